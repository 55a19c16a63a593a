//! The pace of refusals: each refusal of a valid key is a record, so their rate is limited.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_sigv4::Principal;

/// How far each principal is ahead of its rate of refusals.
///
/// Each refusal of a signed request is an event, and costs its sender almost nothing. So beyond a rate the replies are
/// delayed, each on its own connection, of which a client has few.
#[derive(Debug, Default)]
pub struct RefusalPace(Mutex<HashMap<Principal, PaceDebt>>);

/// How far ahead a principal is.
#[derive(Clone, Copy, Debug)]
struct PaceDebt {
    refusals: u32,
    since: Instant,
}

/// Refusals without delay: what a faulty program causes until an operator notices.
const AT_ONCE: u32 = 10_000;
/// How many more each second.
const A_SECOND: u32 = 100;
/// Shorter than the timeout of any client.
const LONGEST: Duration = Duration::from_secs(20);

impl RefusalPace {
    /// How long the reply to one more refusal is delayed.
    pub fn refusal(&self, principal: &Principal, now: Instant) -> Duration {
        let mut principals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map has no more entries than the state has users.
        let ahead = principals.entry(principal.clone()).or_insert(PaceDebt { refusals: 0, since: now });
        let seconds = now.saturating_duration_since(ahead.since).as_secs();
        if seconds > 0 {
            let passed = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(A_SECOND);
            ahead.refusals = ahead.refusals.saturating_sub(passed);
            ahead.since = now;
        }
        ahead.refusals = ahead.refusals.saturating_add(1);
        let late = ahead.refusals.saturating_sub(AT_ONCE);
        (Duration::from_secs(u64::from(late)) / A_SECOND).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_base::names::UserName;

    fn user(name: &str) -> Principal {
        Principal::User(UserName::parse(name).expect("a name"))
    }

    #[test]
    fn refusals_beyond_the_first_are_told_at_a_pace_and_those_of_others_at_once() {
        let (pace, now) = (RefusalPace::default(), Instant::now());
        let waits: Vec<_> = (0..10_200).map(|_| pace.refusal(&user("mallory"), now)).collect();
        assert!(waits[..10_000].iter().all(Duration::is_zero));
        assert_eq!(waits[10_199], Duration::from_secs(2));
        assert_eq!(pace.refusal(&Principal::Root, now), Duration::ZERO);
        assert_eq!(pace.refusal(&user("mallory"), now + Duration::from_secs(60)), Duration::ZERO);
    }

    #[test]
    fn no_reply_waits_longer_than_a_client() {
        let (pace, now) = (RefusalPace::default(), Instant::now());
        let longest = (0..20_000).map(|_| pace.refusal(&user("mallory"), now)).max();
        assert_eq!(longest, Some(LONGEST));
    }
}
