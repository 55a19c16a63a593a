//! Which wrong codes still count against a device.

use std::time::Duration;

use portcullis_base::clock::Timestamp;

/// When wrong codes were offered that still count, oldest first; never more than the device tolerates.
///
/// Only time removes one. If a right code did, each code that the owner uses would give an attacker with root's key
/// further guesses at single codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedTries(Vec<Timestamp>);

/// How long a wrong code counts: the probability of a lucky guess is stated for a year.
pub(super) const COUNTED_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl FailedTries {
    /// Failures as they were kept.
    pub fn kept(mut times: Vec<Timestamp>) -> Self {
        times.sort();
        Self(times)
    }

    /// When each was offered.
    pub fn times(&self) -> &[Timestamp] {
        &self.0
    }

    /// How many count now. A clock that went back takes none away.
    pub(super) fn counted(&self, now: Timestamp) -> usize {
        self.0.iter().filter(|time| counts(**time, now)).count()
    }

    /// With one more, if fewer than `tolerated` count: further ones would change nothing but how long they count.
    pub(super) fn with(self, now: Timestamp, tolerated: usize) -> Self {
        if self.counted(now) >= tolerated {
            return self;
        }
        let mut times = self.0;
        times.retain(|time| counts(*time, now));
        times.push(now);
        Self::kept(times)
    }
}

fn counts(time: Timestamp, now: Timestamp) -> bool {
    now < time.plus(COUNTED_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_seconds(1_900_000_000 + days * DAY)
    }

    #[test]
    fn a_failure_counts_for_a_year() {
        let failures = FailedTries::default().with(at(0), 2).with(at(100), 2);
        for (days, counted) in [(100, 2), (364, 2), (365, 1), (464, 1), (465, 0)] {
            assert_eq!(failures.counted(at(days)), counted, "{days}");
        }
    }

    #[test]
    fn no_more_are_kept_than_are_tolerated_and_further_ones_do_not_prolong_them() {
        let mut failures = FailedTries::default();
        for days in 0..365 {
            failures = failures.with(at(days), 2);
        }
        assert_eq!(failures.times(), [at(0), at(1)]);
        assert_eq!(failures.with(at(365), 2).times(), [at(1), at(365)]);
    }

    #[test]
    fn a_clock_that_went_back_forgets_nothing() {
        let failures = FailedTries::default().with(at(0), 2).with(at(1), 2);
        assert_eq!(failures.counted(at(-1000)), 2);
        assert_eq!(failures.clone().with(at(-1000), 2), failures);
    }
}
