//! A wall clock that is compared with the time since boot, which cannot be set.
//!
//! Codes, retention and time limits use the wall clock. An attacker who can set it, for example by forged NTP, could
//! otherwise make an old code current again, or years of records too old to keep.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use super::Timestamp;

/// A wall clock and what it should say.
#[derive(Debug)]
pub struct WatchedClock {
    source: ClockSource,
    /// Tells one boot of the machine from another; `None` where the kernel does not tell.
    boot_id: Option<String>,
    expectation: Mutex<ExpectedTime>,
}

/// Where the two clocks are read.
#[derive(Debug)]
enum ClockSource {
    Machine,
    #[cfg(any(test, feature = "test-support"))]
    Set(std::sync::Arc<SetClocks>),
}

/// The two clocks of a test, in milliseconds.
#[cfg(any(test, feature = "test-support"))]
#[derive(Debug)]
pub struct SetClocks {
    pub wall: std::sync::atomic::AtomicI64,
    pub since_boot: std::sync::atomic::AtomicI64,
}

/// What the wall clock should say.
#[derive(Debug)]
struct ExpectedTime {
    /// The moment of the boot, by the wall clock as it was believed, in milliseconds since 1970.
    booted: i64,
    /// How many milliseconds after the boot that was last adjusted.
    adjusted: i64,
    /// Whether the wall clock was right within a time step of a code when it was last looked at.
    was_right: bool,
    /// The moment up to which codes may have been seen, since the clock ceased to be right or was accepted.
    codes_seen_until: Option<Timestamp>,
}

/// When the machine booted, by a wall clock that was believed; for the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTime {
    pub boot_id: String,
    /// Milliseconds since 1970.
    pub booted: i64,
    /// Milliseconds after the boot.
    pub adjusted: i64,
}

/// That the wall clock was set, ahead or back.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the machine's clock says {wall}, and by the time since its boot it should be {expected}; set the clock right or, if \
     it is, run `portcullis clock accept`"
)]
pub struct ClockDisagreement {
    pub wall: Timestamp,
    pub expected: Timestamp,
}

impl ClockDisagreement {
    /// What a client is told whose code is not taken.
    pub const FOR_CLIENTS: &str = "The clock of the proxy was set, so that no code is taken. Its operator sets the clock \
                                   right or, if it is, runs `portcullis clock accept` on the proxy's machine.";
}

/// One time step of a code: a code that was current then may be taken that much longer.
const FARTHEST_BACK: Duration = Duration::from_secs(30);

/// A clock that is ahead makes no old code current; but a machine that stood still, whose boot clock stood too, is behind.
const FARTHEST_AHEAD: Duration = Duration::from_secs(60 * 60);

/// The most that a clock drifts, 500 in a million: what is corrected in smaller steps than that is followed.
const DRIFT: i64 = 2000;

impl WatchedClock {
    /// The machine's clock, believed as it is until the state says more.
    pub fn machine() -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self::of(ClockSource::Machine, boot_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()))
    }

    /// A clock that a test moves by hand.
    #[cfg(any(test, feature = "test-support"))]
    pub fn set(clocks: &std::sync::Arc<SetClocks>, boot_id: Option<&str>) -> Self {
        Self::of(ClockSource::Set(std::sync::Arc::clone(clocks)), boot_id.map(str::to_owned))
    }

    fn of(source: ClockSource, boot_id: Option<String>) -> Self {
        let (wall, since_boot) = source.read();
        let expectation =
            ExpectedTime { booted: wall - since_boot, adjusted: since_boot, was_right: true, codes_seen_until: None };
        Self { source, boot_id, expectation: Mutex::new(expectation) }
    }

    /// The wall clock, right or wrong.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.source.wall())
    }

    /// The time since the machine's boot.
    pub(super) fn since_boot(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.source.since_boot()).unwrap_or(0))
    }

    /// The wall clock, if it agrees with the time since the boot.
    pub fn check(&self) -> Result<Timestamp, ClockDisagreement> {
        let mut expectation = self.expectation();
        let (wall, since_boot) = self.source.read();
        expectation.check(wall, since_boot)
    }

    /// What the wall clock should say, by the time since the boot.
    pub fn expected(&self) -> Timestamp {
        let expectation = self.expectation();
        Timestamp::from_millis(expectation.booted + self.source.since_boot())
    }

    /// Goes on from what an earlier start kept: when the machine booted, if it is the same boot, and the latest time
    /// that was seen.
    pub fn resume(&self, kept: Option<&BootTime>, last_seen: Timestamp) {
        let mut expectation = self.expectation();
        let (wall, since_boot) = self.source.read();
        let same_boot = kept.filter(|kept| Some(&kept.boot_id) == self.boot_id.as_ref() && kept.adjusted <= since_boot);
        if let Some(kept) = same_boot {
            (expectation.booted, expectation.adjusted) = (kept.booted, kept.adjusted);
        } else if wall < last_seen.millis() {
            (expectation.booted, expectation.adjusted) = (last_seen.millis() - since_boot, since_boot);
        }
        // Notes the beginning of a disagreement, if there is one.
        expectation.check(wall, since_boot).ok();
    }

    /// Believes the wall clock as it is now; the answer is what it should have said, if that was something else.
    pub fn accept(&self) -> Option<ClockDisagreement> {
        let mut expectation = self.expectation();
        let (wall, since_boot) = self.source.read();
        let disagreement = expectation.check(wall, since_boot).err()?;
        *expectation = ExpectedTime {
            booted: wall - since_boot,
            adjusted: since_boot,
            was_right: true,
            // Codes between the two times were not seen, unless the clock that is accepted is the wrong one.
            codes_seen_until: Some(disagreement.wall.min(disagreement.expected)),
        };
        Some(disagreement)
    }

    /// When the machine booted, for the next start; `None` where one boot cannot be told from another.
    pub fn boot_time(&self) -> Option<BootTime> {
        let expectation = self.expectation();
        let boot_id = self.boot_id.clone()?;
        Some(BootTime { boot_id, booted: expectation.booted, adjusted: expectation.adjusted })
    }

    /// The moment up to which codes may have been seen and must be spent, if they are not yet.
    pub fn codes_seen_until(&self) -> Option<Timestamp> {
        self.expectation().codes_seen_until
    }

    /// Says that all codes up to this moment are spent, durably.
    pub fn codes_are_spent(&self, until: Timestamp) {
        let mut expectation = self.expectation();
        expectation.codes_seen_until = expectation.codes_seen_until.filter(|seen| *seen > until);
    }

    fn expectation(&self) -> MutexGuard<'_, ExpectedTime> {
        // Nothing under this lock can panic halfway through a change.
        self.expectation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExpectedTime {
    fn check(&mut self, wall: i64, since_boot: i64) -> Result<Timestamp, ClockDisagreement> {
        let expected = self.booted + since_boot;
        let ahead = wall - expected;
        let is_right = ahead.abs() <= millis(FARTHEST_BACK);
        if self.was_right && !is_right {
            let earlier = Timestamp::from_millis(wall.min(expected));
            self.codes_seen_until = self.codes_seen_until.max(Some(earlier));
        }
        self.was_right = is_right;
        if ahead < -millis(FARTHEST_BACK) || ahead > millis(FARTHEST_AHEAD) {
            let (wall, expected) = (Timestamp::from_millis(wall), Timestamp::from_millis(expected));
            return Err(ClockDisagreement { wall, expected });
        }
        let drift = (since_boot - self.adjusted) / DRIFT;
        if drift > 0 {
            self.booted += ahead.clamp(-drift, drift);
            self.adjusted = since_boot;
        }
        Ok(Timestamp::from_millis(wall))
    }
}

impl ClockSource {
    /// The wall clock and the time since the boot, in milliseconds.
    fn read(&self) -> (i64, i64) {
        (self.wall(), self.since_boot())
    }

    fn wall(&self) -> i64 {
        match self {
            Self::Machine => Timestamp::of(SystemTime::now()).millis(),
            #[cfg(any(test, feature = "test-support"))]
            Self::Set(clocks) => clocks.wall.load(std::sync::atomic::Ordering::SeqCst),
        }
    }

    fn since_boot(&self) -> i64 {
        match self {
            Self::Machine => millis(since_boot()),
            #[cfg(any(test, feature = "test-support"))]
            Self::Set(clocks) => clocks.since_boot.load(std::sync::atomic::Ordering::SeqCst),
        }
    }
}

/// The time since the machine's boot, sleep included.
pub(super) fn since_boot() -> Duration {
    let since_boot = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(since_boot.tv_sec).unwrap_or(0), u32::try_from(since_boot.tv_nsec).unwrap_or(0))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
