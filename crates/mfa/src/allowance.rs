//! How often two codes may be tried after failures: once a minute, five times in a row.

use std::time::Duration;

use portcullis_base::clock::Timestamp;

/// A token bucket; when it is empty, longer proofs are asked for instead of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryAllowance {
    tokens: u8,
    refilled: Timestamp,
}

const BURST: u8 = 5;
const REFILL: Duration = Duration::from_secs(60);

impl TryAllowance {
    /// A full bucket.
    pub fn full(now: Timestamp) -> Self {
        Self { tokens: BURST, refilled: now }
    }

    /// A bucket as it was kept; no more than full.
    pub fn kept(tokens: u8, refilled: Timestamp) -> Self {
        Self { tokens: tokens.min(BURST), refilled }
    }

    /// The tokens that were left at the last refill.
    pub fn tokens(self) -> u8 {
        self.tokens
    }

    /// When the last whole token came.
    pub fn refilled(self) -> Timestamp {
        self.refilled
    }

    /// The bucket without this many tokens, if it holds them now.
    pub(super) fn take(self, tokens: u8, now: Timestamp) -> Option<Self> {
        let filled = self.filled(now);
        filled.tokens.checked_sub(tokens).map(|tokens| Self { tokens, ..filled })
    }

    /// The bucket after what has come in since. A clock that went back brings nothing.
    fn filled(self, now: Timestamp) -> Self {
        let passed = u64::try_from(now.millis().saturating_sub(self.refilled.millis())).unwrap_or(0);
        let come = passed / u64::try_from(REFILL.as_millis()).unwrap_or(u64::MAX);
        let missing = BURST.saturating_sub(self.tokens);
        match u8::try_from(come) {
            Ok(0) => self,
            Ok(come) if come < missing => {
                Self { tokens: self.tokens + come, refilled: self.refilled.plus(REFILL * u32::from(come)) }
            }
            Ok(_) | Err(_) => Self::full(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn five_come_at_once_and_then_one_a_minute() {
        let mut bucket = TryAllowance::full(at(0));
        for _ in 0..5 {
            bucket = bucket.take(1, at(1)).expect("a token of the burst");
        }
        assert_eq!(bucket.take(1, at(59)), None);
        bucket = bucket.take(1, at(60)).expect("a token of the first minute");
        assert_eq!(bucket.take(1, at(119)), None);
        assert!(bucket.take(1, at(120)).is_some());
    }

    #[test]
    fn a_long_wait_fills_the_bucket_and_no_more() {
        let bucket = TryAllowance::kept(0, at(0));
        assert!(bucket.take(5, at(1_000_000)).is_some());
        assert_eq!(bucket.take(6, at(1_000_000)), None);
    }

    #[test]
    fn a_clock_that_went_back_brings_no_tokens() {
        assert_eq!(TryAllowance::kept(0, at(1000)).take(1, at(0)), None);
    }

    #[test]
    fn part_of_a_minute_is_not_lost_by_asking() {
        let bucket = TryAllowance::kept(1, at(0)).take(1, at(59)).expect("the one kept");
        assert!(bucket.take(1, at(60)).is_some());
    }
}
