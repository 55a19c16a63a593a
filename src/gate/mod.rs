//! May it pass? A total, pure function of request, caller, bucket and offer.

mod assess;
mod state;
mod verdict;

#[cfg(test)]
mod tests;

pub use assess::{Caller, LoopbackTrust, Profile, Replication, Rules, assess, takes_code};
pub use state::{BucketState, Lifecycle, MfaDelete, Name, Use, Versioning};
pub use verdict::{Challenge, MFA_REQUIRED, Permit, Refusal, StateChange, Verdict};
