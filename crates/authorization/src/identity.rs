//! With whose key a permitted request is signed for the upstream.

use std::sync::Arc;

use super::{Caller, MfaDelete};
use portcullis_s3::Hazard;
use portcullis_sigv4::{Principal, UpstreamKey};

/// As whom something is done at the upstream.
#[derive(Clone, Debug)]
pub enum UpstreamIdentity {
    /// With Portcullis's own key.
    Own,
    /// With the key of a user who is a user of the upstream too.
    User(Arc<UpstreamKey>),
}

impl UpstreamIdentity {
    /// As whom a caller's request of this hazard is sent. A request that reaches the upstream as a user does no more than
    /// the upstream lets that user do. Root has no other key than Portcullis's own.
    pub(super) fn of(hazard: Hazard, caller: &Caller, mfa_delete: MfaDelete) -> Self {
        match (&caller.principal, &caller.upstream) {
            (Principal::Root, _) | (Principal::User(_), Self::Own) => Self::Own,
            (Principal::User(_), Self::User(key)) => match decides(hazard, mfa_delete) {
                DecidingPolicy::Portcullis => Self::Own,
                DecidingPolicy::Upstream => Self::User(Arc::clone(key)),
            },
        }
    }
}

/// Whether the upstream's own policies decide too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DecidingPolicy {
    /// What MFA Delete guards: the upstream may deny it to all but Portcullis.
    Portcullis,
    /// Were it sent with Portcullis's own key, a user could do what the upstream denies that user.
    Upstream,
}

fn decides(hazard: Hazard, mfa_delete: MfaDelete) -> DecidingPolicy {
    match (hazard, mfa_delete) {
        (Hazard::ChangesVersioning(_) | Hazard::DestroysVersion, MfaDelete::Enabled) => DecidingPolicy::Portcullis,
        (Hazard::ChangesVersioning(_) | Hazard::DestroysVersion, MfaDelete::Disabled | MfaDelete::NeverSet)
        | (
            Hazard::CreatesBucket
            | Hazard::DeletesBucket
            | Hazard::ExpiresVersions
            | Hazard::ExposesData
            | Hazard::None
            | Hazard::OpensUpload
            | Hazard::ReplacesNullVersion
            | Hazard::ReplacesUnversioned
            | Hazard::Replicates
            | Hazard::WeakensProtection,
            MfaDelete::Disabled | MfaDelete::Enabled | MfaDelete::NeverSet,
        ) => DecidingPolicy::Upstream,
    }
}
