//! The second factor: what was offered, and whether it is right.

mod allowance;
mod challenge;
mod demand;
mod device;
mod failures;
mod fault;
mod offer;
mod proof;
mod spend;
mod totp;

pub use allowance::Allowance;
pub use challenge::{Challenge, CodeCheck};
pub use demand::MfaDemand;
pub use device::{Counters, Device, DeviceStatus, EnrolmentFault, Judgement, Offset};
pub use failures::Failures;
pub use fault::Fault;
pub use offer::{Code, Codes, Offer};
pub use proof::Proof;
pub use spend::{LedgerFuture, PendingSpend, StepLedger, UnmetChallenge, spend};
#[cfg(any(test, feature = "test-support"))]
pub use totp::shown;
pub use totp::{Digits, Seed};
