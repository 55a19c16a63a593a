//! What waits for a code, and how the code is checked.

use super::{CodeJudgement, MfaDevice, TokenCode, TokenCodes};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;

/// A subject that waits for a right code: a request, or a change of a device.
///
/// The subject leaves a challenge only in the [`Proof`](super::Proof) that [`spend`](super::spend) makes of it, so the
/// proof of one challenge cannot open another.
#[derive(Debug)]
pub struct Challenge<T> {
    pub(super) subject: T,
    pub(super) check: CodeCheck,
}

/// The codes of a challenge, as the ledger has them judged.
#[derive(Clone, Debug)]
pub struct CodeCheck {
    codes: TokenCodes,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Authorize,
    /// Two consecutive codes also tell how far the device's clock has drifted.
    Resynchronize,
}

impl<T> Challenge<T> {
    /// Makes the subject wait for these codes.
    pub fn new(codes: TokenCodes, subject: T) -> Self {
        Self { subject, check: CodeCheck { codes, purpose: Purpose::Authorize } }
    }

    /// Makes the subject wait for two consecutive codes that bring a device back into step.
    pub fn resync(serial: DeviceSerial, first: TokenCode, second: TokenCode, subject: T) -> Self {
        let codes = TokenCodes { serial, codes: vec![first, second] };
        Self { subject, check: CodeCheck { codes, purpose: Purpose::Resynchronize } }
    }

    /// The codes that were offered.
    pub fn codes(&self) -> &TokenCodes {
        &self.check.codes
    }

    /// What waits.
    pub fn subject(&self) -> &T {
        &self.subject
    }

    /// Gives the challenge up, with its subject.
    #[cfg(any(test, feature = "test-support"))]
    pub fn into_codes(self) -> TokenCodes {
        self.check.codes
    }
}

impl CodeCheck {
    /// The device whose codes these are said to be.
    pub fn serial(&self) -> &DeviceSerial {
        &self.codes.serial
    }

    /// How many codes were offered.
    pub fn count(&self) -> usize {
        self.codes.codes.len()
    }

    /// Judges the codes by what is known of the device.
    pub fn judge(&self, device: &MfaDevice, now: Timestamp) -> CodeJudgement {
        match (self.purpose, self.codes.codes.as_slice()) {
            (Purpose::Resynchronize, [first, second]) => device.resync(first, second, now),
            (Purpose::Authorize | Purpose::Resynchronize, codes) => device.judge(codes, now),
        }
    }
}
