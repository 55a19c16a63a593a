//! May it pass? A total, pure function of request, caller, bucket and offer.

mod access;
mod assess;
mod identity;
mod permit;
mod state;
mod trail_bucket;
mod unsettled;
mod verdict;

#[cfg(test)]
mod tests;

pub use access::{
    AllowedRequest, CallerRights, DenialCause, DenyingStatement, PolicyDenial, RequestCircumstances, WithheldEntry,
};
pub use assess::{
    Caller, EarlyVerdict, LoopbackTrust, MfaProfile, Rules, assess, assess_proved, challenge_early, foresee,
};
pub use identity::UpstreamIdentity;
pub use permit::{ControlAction, JudgedAction, Permit, PermitCost, PermittedAction, Requirement, Verdict, authorize};
pub use state::{BucketLifecycle, BucketState, BucketUse, MfaDelete, NameStatus, UploadCompletion, Versioning};
pub use trail_bucket::{TrailBucket, TrailRegister};
pub use unsettled::{LateEffect, UnsettledUntil};
pub use verdict::{MFA_REQUIRED, PendingRequest, PermittedRequest, Refusal, RequestPermit, StateChange};
