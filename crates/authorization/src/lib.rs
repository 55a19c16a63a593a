//! May it pass? A total, pure function of request, caller, bucket and offer.

mod assess;
mod state;
mod trail_bucket;
mod unsettled;
mod verdict;

#[cfg(test)]
mod tests;

pub use assess::{Caller, EarlyVerdict, LoopbackTrust, MfaProfile, Rules, assess, assess_proved, foresee, takes_code};
pub use state::{BucketLifecycle, BucketState, BucketUse, MfaDelete, NameStatus, UploadCompletion, Versioning};
pub use trail_bucket::{TrailBucket, TrailRegister};
pub use unsettled::{LateEffect, UnsettledUntil};
pub use verdict::{MFA_REQUIRED, PendingRequest, Permit, ProvedVerdict, Refusal, StateChange, Verdict};
