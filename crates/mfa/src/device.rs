//! One device: what is known of it, and whether the codes offered for it are right.

use std::ops::RangeInclusive;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

use super::totp::{code_at, otpauth_uri, seconds, step_at};
use super::{CodeDigits, FailedTries, MfaFault, Seed, TokenCode, TryAllowance};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, DeviceSerial};
use portcullis_base::secret::Secret;

/// A device, with all that its next judgement depends on.
#[derive(Clone, Debug)]
pub struct MfaDevice {
    pub serial: DeviceSerial,
    pub seed: Seed,
    pub digits: CodeDigits,
    pub created: Timestamp,
    pub status: DeviceStatus,
    pub counters: DeviceCounters,
}

/// Whether a device's codes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceStatus {
    Active {
        since: Timestamp,
    },
    /// Made but never enabled, or deactivated.
    Pending,
}

/// What a check may change; it is stored before the result is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCounters {
    /// The last time step that was spent; no step up to it is accepted again.
    pub last_step: u64,
    pub offset: StepOffset,
    pub failures: FailedTries,
    pub allowance: TryAllowance,
}

/// How many steps a device's clock is ahead of ours: -2 to 2, learnt from right codes alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepOffset(i8);

/// What came of an offer. A right code is no proof yet: its step is still to be spent.
#[derive(Debug)]
pub struct CodeJudgement {
    serial: DeviceSerial,
    counters: DeviceCounters,
    /// The step that is to be spent.
    verdict: Result<u64, MfaFault>,
}

/// Why two codes did not enable a device.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EnrolmentFault {
    #[error("the device is enabled already")]
    AlreadyActive,
    /// Both are right, but by a clock too far from ours.
    #[error("the device's clock is off by {seconds} seconds")]
    ClockOff { seconds: i64 },
    #[error("a code is not all digits")]
    NotDigits,
    #[error("the codes were used before")]
    Replayed,
    #[error("the codes are not two consecutive ones of the device")]
    WrongCodes,
}

/// The time steps, relative to now, that the last code of an offer may have.
type StepWindow = RangeInclusive<i64>;

/// All that some offset reaches; for proofs so long that looking further costs nothing.
const EVERY_OFFSET: StepWindow = -3..=2;

/// How far a new device's clock is looked for; beyond `EVERY_OFFSET` only to say how wrong it is.
const ENROLMENT: StepWindow = -10..=10;

/// A resynchronisation looks at three times as many steps as an offer of two codes does.
const RESYNC_TOKENS: u8 = 3;

impl CodeJudgement {
    /// The device's new counters; if they differ they must be stored before the result is used.
    pub fn counters(&self) -> &DeviceCounters {
        &self.counters
    }

    /// Why the codes are not accepted; none where they are right.
    pub fn fault(&self) -> Option<MfaFault> {
        self.verdict.err()
    }

    /// The step that a right code of this device spends.
    pub(super) fn step_of(self, serial: &DeviceSerial) -> Result<u64, MfaFault> {
        if self.serial == *serial { self.verdict } else { Err(MfaFault::UnknownDevice) }
    }
}

impl StepOffset {
    /// Takes -2 to 2.
    pub fn parse(steps: i8) -> Option<Self> {
        (-2..=2).contains(&steps).then_some(Self(steps))
    }

    /// The offset in steps.
    pub fn steps(self) -> i8 {
        self.0
    }

    /// The current step of the device's clock and the one before, for the time it takes to type.
    fn window(self) -> StepWindow {
        let now = i64::from(self.0);
        now - 1..=now
    }

    /// The offset nearest to this one that has the matched step in its window.
    fn towards(self, matched: i64) -> Option<Self> {
        let now = i64::from(self.0);
        let nearest = if matched < now - 1 { matched + 1 } else { now.max(matched) };
        i8::try_from(nearest).ok().and_then(Self::parse)
    }
}

impl DeviceCounters {
    /// Those of a device that was never used.
    pub fn fresh(now: Timestamp) -> Self {
        Self {
            last_step: 0,
            offset: StepOffset::default(),
            failures: FailedTries::default(),
            allowance: TryAllowance::full(now),
        }
    }

    fn failed(self, now: Timestamp, tolerated: usize) -> Self {
        Self { failures: self.failures.with(now, tolerated), ..self }
    }

    fn spent(self, step: u64) -> Self {
        Self { last_step: step, ..self }
    }
}

impl MfaDevice {
    /// A device that has not been activated.
    pub fn new(serial: DeviceSerial, seed: Seed, digits: CodeDigits, now: Timestamp) -> Self {
        Self { serial, seed, digits, created: now, status: DeviceStatus::Pending, counters: DeviceCounters::fresh(now) }
    }

    /// The `otpauth:` URI an authenticator app reads from a QR code.
    pub fn otpauth_uri(&self, account: &AccountId) -> Secret<String> {
        otpauth_uri(&self.serial, &self.seed, self.digits, account)
    }

    /// How many consecutive codes the next offer needs: one, two after failures, and three when
    /// two have been tried too often. Length of proof takes the place of a lock, so that no attacker
    /// who holds root's key can lock out the owner of the device.
    pub fn codes_needed(&self, now: Timestamp) -> usize {
        if self.counters.failures.counted(now) < self.tolerated_failures() {
            1
        } else if self.counters.allowance.take(1, now).is_some() {
            2
        } else {
            3
        }
    }

    /// Judges one to three codes of consecutive time steps, oldest first.
    ///
    /// Counted as a failure: a wrong code. Not counted: what cannot be a code; too few codes, which
    /// are not looked at, so that the answer tells nothing of them; a spent code, which guesses nothing.
    pub fn judge(&self, codes: &[TokenCode], now: Timestamp) -> CodeJudgement {
        match self.status {
            DeviceStatus::Active { .. } => {}
            DeviceStatus::Pending => return self.unmoved(MfaFault::UnknownDevice),
        }
        let Some(codes) = self.read(codes) else { return self.unmoved(MfaFault::NotDigits) };
        let needed = self.codes_needed(now);
        if codes.len() < needed {
            return self.unmoved(MfaFault::MoreCodesNeeded);
        }
        let mut counters = self.counters.clone();
        if needed == 2 && codes.len() == 2 {
            let Some(allowance) = counters.allowance.take(1, now) else {
                return self.unmoved(MfaFault::MoreCodesNeeded);
            };
            counters.allowance = allowance;
        }
        // Three codes are looked for wherever an offset could be, so that a clock that drifted is learnt again.
        let window = if codes.len() < 3 { counters.offset.window() } else { EVERY_OFFSET };
        self.settle(counters, &codes, window, now)
    }

    /// Judges two consecutive codes wherever an offset could be, and learns the offset.
    ///
    /// No further: a step that no offset reaches could not be accepted afterwards either.
    pub fn resync(&self, first: &TokenCode, second: &TokenCode, now: Timestamp) -> CodeJudgement {
        match self.status {
            DeviceStatus::Active { .. } => {}
            DeviceStatus::Pending => return self.unmoved(MfaFault::UnknownDevice),
        }
        let codes = [first.clone(), second.clone()];
        let Some(codes) = self.read(&codes) else { return self.unmoved(MfaFault::NotDigits) };
        let Some(allowance) = self.counters.allowance.take(RESYNC_TOKENS, now) else {
            return self.unmoved(MfaFault::MoreCodesNeeded);
        };
        self.settle(DeviceCounters { allowance, ..self.counters.clone() }, &codes, EVERY_OFFSET, now)
    }

    /// Enables a pending device by two consecutive codes; the second one's step is spent by it.
    ///
    /// Wrong codes are not counted: who enrols a device knows its seed.
    pub fn enrol(&self, first: &TokenCode, second: &TokenCode, now: Timestamp) -> Result<Self, EnrolmentFault> {
        match self.status {
            DeviceStatus::Active { .. } => return Err(EnrolmentFault::AlreadyActive),
            DeviceStatus::Pending => {}
        }
        let codes = [first.clone(), second.clone()];
        let codes = self.read(&codes).ok_or(EnrolmentFault::NotDigits)?;
        let near = self.search(&codes, EVERY_OFFSET, now);
        let far = self.search(&codes, ENROLMENT, now);
        let (step, offset) = match (near, far) {
            (CodeMatch::Unspent { step, relative }, _) => {
                (step, StepOffset::default().towards(relative).ok_or(EnrolmentFault::WrongCodes)?)
            }
            (CodeMatch::Spent, _) => return Err(EnrolmentFault::Replayed),
            (CodeMatch::Nothing, CodeMatch::Unspent { relative, .. }) => {
                return Err(EnrolmentFault::ClockOff { seconds: seconds(relative) });
            }
            (CodeMatch::Nothing, CodeMatch::Nothing | CodeMatch::Spent) => return Err(EnrolmentFault::WrongCodes),
        };
        // Failures stay: to disable the device and enable it again must not give new guesses at its seed.
        let counters = DeviceCounters { offset, ..self.counters.clone() }.spent(step);
        Ok(Self { status: DeviceStatus::Active { since: now }, counters, ..self.clone() })
    }

    /// The device without the right to be heard; what it spent stays spent.
    pub fn deactivated(&self) -> Self {
        Self { status: DeviceStatus::Pending, ..self.clone() }
    }

    /// The device with each code spent that it showed up to this moment.
    pub fn with_codes_spent(&self, until: Timestamp) -> Self {
        let step = step_at(until).saturating_add_signed(i64::from(self.counters.offset.steps()));
        let counters = DeviceCounters { last_step: self.counters.last_step.max(step), ..self.counters.clone() };
        Self { counters, ..self.clone() }
    }

    /// How many wrong codes a year are followed by another guess at a single code. A guess succeeds for two time
    /// steps, so that the probability is 2 times 2 in 10^6 for six digits, and 10 times 2 in 10^8 for eight.
    fn tolerated_failures(&self) -> usize {
        match self.digits {
            CodeDigits::Eight => 10,
            CodeDigits::Six => 2,
        }
    }

    fn unmoved(&self, fault: MfaFault) -> CodeJudgement {
        self.judged(self.counters.clone(), Err(fault))
    }

    fn read<'a>(&self, codes: &'a [TokenCode]) -> Option<Vec<&'a str>> {
        let digits = usize::from(self.digits.count());
        let read: Option<Vec<&str>> = codes.iter().map(|code| code.digits(digits)).collect();
        read.filter(|codes| !codes.is_empty())
    }

    fn settle(&self, counters: DeviceCounters, codes: &[&str], window: StepWindow, now: Timestamp) -> CodeJudgement {
        match self.search(codes, window, now) {
            CodeMatch::Unspent { step, relative } => {
                let offset = counters.offset.towards(relative).unwrap_or(counters.offset);
                self.judged(DeviceCounters { offset, ..counters.spent(step) }, Ok(step))
            }
            CodeMatch::Spent => self.judged(counters, Err(MfaFault::Replayed)),
            CodeMatch::Nothing => {
                self.judged(counters.failed(now, self.tolerated_failures()), Err(MfaFault::WrongCode))
            }
        }
    }

    fn judged(&self, counters: DeviceCounters, verdict: Result<u64, MfaFault>) -> CodeJudgement {
        CodeJudgement { serial: self.serial.clone(), counters, verdict }
    }

    /// Compares every candidate, each in constant time and none left out, so that the time taken
    /// does not tell how near a guess was.
    fn search(&self, codes: &[&str], window: StepWindow, now: Timestamp) -> CodeMatch {
        let present = step_at(now);
        let mut spent = Choice::from(0);
        let mut unspent = Choice::from(0);
        let mut at: i64 = 0;
        for relative in window {
            let mut right = Choice::from(1);
            let mut first = u64::MAX;
            for (age, code) in (0..).zip(codes.iter().rev()) {
                let step = present.checked_add_signed(relative - age);
                right &= Choice::from(u8::from(step.is_some()));
                first = step.unwrap_or(0);
                right &= code_at(&self.seed, self.digits, first).as_bytes().ct_eq(code.as_bytes());
            }
            let fresh = Choice::from(u8::from(first > self.counters.last_step));
            // The latest of several matches, so that the same digits do not count once more for a later step.
            at.conditional_assign(&relative, right & fresh);
            unspent |= right & fresh;
            spent |= right & !fresh;
        }
        match (unspent.into(), spent.into()) {
            (true, _) => CodeMatch::Unspent { step: present.saturating_add_signed(at), relative: at },
            (false, true) => CodeMatch::Spent,
            (false, false) => CodeMatch::Nothing,
        }
    }
}

/// Where codes were found.
enum CodeMatch {
    Nothing,
    /// At a step that was spent before.
    Spent,
    /// The last code's step, and how far it is from now.
    Unspent {
        step: u64,
        relative: i64,
    },
}

#[cfg(test)]
mod tests;
