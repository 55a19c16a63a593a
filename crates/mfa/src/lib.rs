//! The second factor: what was offered, and whether it is right.

mod allowance;
mod challenge;
mod demand;
mod device;
mod failures;
mod fault;
mod proof;
mod qr;
mod spend;
mod token;
mod totp;

pub use allowance::TryAllowance;
pub use challenge::{Challenge, CodeCheck};
pub use demand::MfaDemand;
pub use device::{CodeJudgement, DeviceCounters, DeviceStatus, EnrolmentFault, MfaDevice, StepOffset};
pub use failures::FailedTries;
pub use fault::MfaFault;
pub use proof::{Proof, ProvedPart};
pub use qr::{QrError, QrSymbol};
pub use spend::{LedgerFuture, PendingSpend, StepLedger, UnmetChallenge, spend};
pub use token::{MfaToken, TokenCode, TokenCodes};
#[cfg(any(test, feature = "test-support"))]
pub use totp::shown;
pub use totp::{CodeDigits, Seed};
