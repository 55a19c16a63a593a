//! May it pass? A total, pure function of request, caller, bucket and offer.

mod assess;
mod state;
mod trail_bucket;
mod unsettled;
mod verdict;

#[cfg(test)]
mod tests;

pub use assess::{Caller, Foresight, LoopbackTrust, Profile, Rules, assess, assess_proved, foresee, takes_code};
pub use state::{BucketState, Completion, Lifecycle, MfaDelete, Name, Use, Versioning};
pub use trail_bucket::{TrailBucket, TrailRegister};
pub use unsettled::{LateEffect, Unsettled};
pub use verdict::{MFA_REQUIRED, PendingRequest, Permit, ProvedVerdict, Refusal, StateChange, Verdict};
