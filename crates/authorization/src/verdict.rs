//! What is said of a request to S3: leave to forward, a code still owed, or no.

use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;
use portcullis_mfa::{MfaFault, TokenCode, TokenCodes};
use portcullis_s3::S3Request;

use super::access::{AllowedRequest, PolicyDenial, WithheldEntry};
use super::assess::CodeObligation;
use super::permit::{Permit, PermittedAction};
use super::{Caller, MfaDelete, UpstreamIdentity};

/// Leave to forward one request. `upstream` takes it by value.
pub type RequestPermit = Permit<PermittedRequest>;

/// A request that may be forwarded.
// INVARIANT (permit): no constructor outside this crate.
#[derive(Debug)]
pub struct PermittedRequest {
    request: Box<S3Request>,
    withheld: Vec<WithheldEntry>,
    change: StateChange,
    mfa_delete: MfaDelete,
    identity: UpstreamIdentity,
}

/// What a permitted request makes of the bucket's record, once the upstream has agreed;
/// enabling is recorded before, so that a crash leaves the bucket protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateChange {
    /// The bucket goes and its name stays protected.
    Bury,
    DisableMfaDelete,
    EnableMfaDelete,
    /// The bucket is deleted, or created again, without a record.
    Forget,
    None,
}

/// A request of the bucket owner that waits for a code.
#[derive(Debug)]
pub struct PendingRequest {
    pub(super) allowed: AllowedRequest,
    pub(super) stage: PendingStage,
}

/// How far a request was judged before its code is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingStage {
    /// By what is remembered of the bucket alone: the code is looked at, whatever the upstream says.
    Foreseen,
    Judged {
        owed: CodeObligation,
        change: StateChange,
        mfa_delete: MfaDelete,
    },
}

impl PendingRequest {
    /// The request that waits.
    pub fn request(&self) -> &S3Request {
        self.allowed.request()
    }

    /// Whether it is judged once the bucket's lease is held.
    pub fn is_foreseen(&self) -> bool {
        self.stage == PendingStage::Foreseen
    }
}

/// What AWS says where a code is needed: every door says it so, and clients of ours know it by that.
pub const MFA_REQUIRED: &str = "Mfa Authentication must be used for this request";

/// Why policy says no.
#[derive(Debug)]
pub enum Refusal {
    /// Codes are refused, since the clock was set.
    ClockDisagrees,
    /// MFA Delete cannot go with MinIO's versioning exclusions.
    ExclusionsPresent,
    /// The offer came over a network in the clear.
    InsecureTransport,
    /// The bucket is protected, so the store may not expire versions.
    LifecycleOnProtectedBucket,
    /// The bucket has a lifecycle configuration, so it cannot be protected.
    LifecyclePresent,
    /// The header is not a serial and a code.
    MalformedOffer(TokenCode),
    /// A code is needed and none, or none that counts, was offered.
    MfaRequired,
    /// The caller's network offered too many codes for the device.
    NetworkThrottled { seconds: u32 },
    /// There is no bucket to protect.
    NoSuchBucket,
    /// Only root may.
    NotBucketOwner,
    /// The device is not the caller's.
    NotDeviceOwner { serial: DeviceSerial, code: TokenCode },
    /// MFA Delete needs versioning to be enabled.
    NotVersioned,
    /// The caller's policies do not allow it.
    Policy(Box<PolicyDenial>),
    /// The bucket is a trail's.
    TrailBucket,
    /// The code is wrong, was used before, or is too few.
    TokenCodeInvalid(MfaFault),
    /// Codes queue up for the device.
    TooManyCodesAtOnce,
    /// Until then the upstream may carry out an earlier request that it did not answer.
    Unsettled(Timestamp),
    /// The upload that is to be completed may replace the key's null version.
    UploadMayReplaceVersion,
}

impl PermittedAction for PermittedRequest {
    type Pending = PendingRequest;
    type Refusal = Refusal;

    fn refused(_: &PendingRequest, refusal: Refusal) -> Refusal {
        refusal
    }
}

impl RequestPermit {
    pub(super) fn of(allowed: AllowedRequest, change: StateChange, mfa_delete: MfaDelete, caller: &Caller) -> Self {
        let (request, withheld) = allowed.into_parts();
        let identity = UpstreamIdentity::of(request.hazard, caller, mfa_delete);
        Self::new(PermittedRequest { request, withheld, change, mfa_delete, identity })
    }

    /// The request that may be forwarded.
    pub fn request(&self) -> &S3Request {
        &self.action().request
    }

    /// With whose key it is sent.
    pub fn identity(&self) -> &UpstreamIdentity {
        &self.action().identity
    }

    /// The entries of `POST ?delete` that policies deny: they are not in the request.
    pub fn withheld(&self) -> &[WithheldEntry] {
        &self.action().withheld
    }

    /// What becomes of the bucket's record.
    pub fn change(&self) -> StateChange {
        self.action().change
    }

    /// MFA Delete as it was when the request was judged, which `GET ?versioning` is told.
    pub fn mfa_delete(&self) -> MfaDelete {
        self.action().mfa_delete
    }
}

impl Refusal {
    /// Why an offer opened nothing.
    pub fn of_fault(offer: TokenCodes, fault: MfaFault) -> Self {
        match fault {
            MfaFault::UnknownDevice => {
                let code = offer.codes.into_iter().next().unwrap_or_else(|| TokenCode::new(""));
                Self::NotDeviceOwner { serial: offer.serial, code }
            }
            MfaFault::ClockDisagrees => Self::ClockDisagrees,
            MfaFault::NetworkThrottled { seconds } => Self::NetworkThrottled { seconds },
            MfaFault::TooManyAtOnce => Self::TooManyCodesAtOnce,
            MfaFault::MoreCodesNeeded | MfaFault::NotDigits | MfaFault::Replayed | MfaFault::WrongCode => {
                Self::TokenCodeInvalid(fault)
            }
        }
    }
}
