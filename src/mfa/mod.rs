//! The second factor: what was offered, and whether it is right.

mod allowance;
mod device;
mod failures;
mod fault;
mod offer;
mod proof;
mod totp;

pub use allowance::Allowance;
pub use device::{Counters, Device, DeviceStatus, EnrolmentFault, Judgement, Offset, Spending};
pub use failures::Failures;
pub use fault::Fault;
pub use offer::{Code, Codes, Offer};
pub use proof::Proof;
#[cfg(test)]
pub use totp::shown;
pub use totp::{Digits, Seed};
