//! The result of a decision: a permit, a code that is still needed, or a refusal.

use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;
use portcullis_mfa::{Challenge, MfaFault, Proof, TokenCode, TokenCodes};
use portcullis_s3::S3Request;

use super::MfaDelete;
use super::assess::CodeObligation;

/// The decision on a request.
#[derive(Debug)]
pub enum Verdict {
    /// It may pass as it is.
    Forward(Permit),
    /// Policy says no.
    Refuse(Refusal),
    /// It may pass once the caller's code has proved right.
    Verify(Challenge<PendingRequest>),
}

/// The decision on a request whose code was spent before its bucket's state was known.
#[derive(Debug)]
pub enum ProvedVerdict {
    /// The code was needed.
    Needed(Result<Permit, Refusal>),
    /// It passes or is refused, independent of the code.
    Unneeded(Result<Permit, Refusal>),
}

/// Leave to forward one request. Only this module makes one, and `forward` takes it by value.
// INVARIANT (permit): no constructor outside `gate`.
#[derive(Debug)]
pub struct Permit {
    request: Box<S3Request>,
    change: StateChange,
    mfa_delete: MfaDelete,
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

/// A request of the bucket owner that passes once the code is proved.
#[derive(Debug)]
pub struct PendingRequest {
    pub(super) request: Box<S3Request>,
    pub(super) owed: CodeObligation,
    pub(super) change: StateChange,
    pub(super) mfa_delete: MfaDelete,
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

impl Permit {
    pub(super) fn new(request: Box<S3Request>, change: StateChange, mfa_delete: MfaDelete) -> Self {
        Self { request, change, mfa_delete }
    }

    /// Opens what the proof was made for; what the bucket's own state forbids is refused even so.
    pub fn by_proof(proof: Proof<PendingRequest>) -> Result<Self, Refusal> {
        let PendingRequest { request, owed, change, mfa_delete } = proof.into_subject();
        match owed {
            CodeObligation::Code => Ok(Self::new(request, change, mfa_delete)),
            CodeObligation::CodeThen(refusal) => Err(refusal.into()),
        }
    }

    /// The request that may be forwarded.
    pub fn request(&self) -> &S3Request {
        &self.request
    }

    /// What becomes of the bucket's record.
    pub fn change(&self) -> StateChange {
        self.change
    }

    /// MFA Delete as it was when the request was judged, which `GET ?versioning` is told.
    pub fn mfa_delete(&self) -> MfaDelete {
        self.mfa_delete
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
