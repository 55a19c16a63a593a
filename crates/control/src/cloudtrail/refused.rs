//! Refusals in CloudTrail's words.

use super::scope::TrailScope;
use super::stake::BucketStake;
use portcullis_base::clock::ClockDisagreement;
use portcullis_base::names::AccountId;
use portcullis_cloudtrail::{InvalidTrail, InvalidTrailName, SelectorError, Trail};
use portcullis_mfa::{MfaDemand, MfaFault};
use portcullis_sigv4::{ClaimFault, Principal, SignatureFault, SignatureRejection};
use portcullis_state::{MOST_TRAILS, StoreError};

/// Why a call was not answered, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudTrailError {
    pub status: u16,
    /// CloudTrail's name for it.
    pub exception: &'static str,
    pub message: String,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u32>,
    pub mfa: MfaDemand,
}

/// What is wrong with a call before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableCall {
    /// Its body is cut off, or never came.
    BodyIncomplete,
    /// Its body did not come in time.
    BodyLate,
    /// Its body is longer than any call's.
    BodyTooLong,
    /// Its body has no length.
    LengthMissing,
    /// It does not go to `POST /`.
    Place,
}

/// Context for an MFA prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaCircumstances {
    /// What the change would do to a bucket.
    pub stake: Option<BucketStake>,
    pub devices: RootDevices,
}

/// Whether root has a device that makes codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootDevices {
    None,
    Some,
}

impl CloudTrailError {
    fn new(exception: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, exception, message: message.into(), retry_after: None, mfa: MfaDemand::None }
    }

    fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "The requested operation is not served here.")
    }

    pub fn unreadable(unreadable: UnreadableCall) -> Self {
        let serialization = |message| Self::new("SerializationException", message);
        match unreadable {
            UnreadableCall::BodyIncomplete => serialization("The request's body did not come whole."),
            UnreadableCall::BodyLate => {
                Self::new("RequestTimeoutException", "The request's body did not come in time.").with_status(408)
            }
            UnreadableCall::BodyTooLong => serialization("The request's body is too long.").with_status(413),
            UnreadableCall::LengthMissing => {
                serialization("You must provide the Content-Length HTTP header.").with_status(411)
            }
            UnreadableCall::Place => {
                Self::new("UnknownOperationException", "A call is a POST to / without a query.").with_status(404)
            }
        }
    }

    /// The body is not JSON of the operation's shape.
    pub fn serialization(what: impl Into<String>) -> Self {
        Self::new("SerializationException", what)
    }

    /// A member that must be there is not.
    pub fn missing(member: &str) -> Self {
        let first: String = member.chars().take(1).map(|letter| letter.to_ascii_lowercase()).collect();
        let rest = member.get(1..).unwrap_or_default();
        Self::new(
            "ValidationException",
            format!(
                "1 validation error detected: Value null at '{first}{rest}' failed to satisfy constraint: Member must \
                 not be null"
            ),
        )
    }

    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub fn invalid_combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombinationException", message)
    }

    /// What AWS has and this proxy has not.
    pub fn unsupported(member: &str) -> Self {
        Self::new("UnsupportedOperationException", format!("{member} is not supported here; leave it out."))
    }

    pub fn invalid_bucket(name: &str) -> Self {
        Self::new("InvalidS3BucketNameException", format!("Bucket name is not valid: {name}"))
    }

    pub fn invalid_prefix(error: impl std::fmt::Display) -> Self {
        Self::new("InvalidS3PrefixException", format!("S3 prefix is not valid: {error}"))
    }

    pub fn no_bucket(bucket: &str) -> Self {
        Self::new("S3BucketDoesNotExistException", format!("S3 bucket {bucket} does not exist, and cannot be made."))
    }

    pub fn no_trail_named() -> Self {
        Self::new("InvalidTrailNameException", "Trail name cannot be empty.")
    }

    pub fn invalid_name(error: InvalidTrailName) -> Self {
        Self::new("InvalidTrailNameException", error.to_string())
    }

    pub fn invalid_arn(arn: &str) -> Self {
        Self::new("CloudTrailARNInvalidException", format!("The ARN is not valid: {arn}"))
    }

    pub fn no_such_trail(arn: &str, account: &AccountId) -> Self {
        Self::new("TrailNotFoundException", format!("Unknown trail: {arn} for the user: {account}"))
    }

    pub fn no_such_resource(arn: &str) -> Self {
        Self::new("ResourceNotFoundException", format!("Resource not found: {arn}"))
    }

    pub fn trail_exists(name: &str, account: &AccountId) -> Self {
        Self::new("TrailAlreadyExistsException", format!("Trail {name} already exists for customer: {account}"))
    }

    pub fn place_taken(other: &Trail) -> Self {
        let place = match &other.prefix {
            Some(prefix) => format!("{}/{prefix}", other.bucket),
            None => format!("{}, without a prefix", other.bucket),
        };
        Self::invalid_combination(format!(
            "Trail {} delivers to {place}. Log files of two trails in one place cannot be validated. Choose another \
             S3KeyPrefix or another bucket.",
            other.name
        ))
    }

    pub fn too_many_trails(account: &AccountId, count: usize, region: &str) -> Self {
        Self::new(
            "MaximumNumberOfTrailsExceededException",
            format!("User: {account} already has {count} trails in {region}."),
        )
    }

    pub fn selectors(error: SelectorError) -> Self {
        Self::new(error.exception, error.text)
    }

    pub fn one_kind_of_selectors() -> Self {
        Self::new(
            "InvalidEventSelectorsException",
            "Specify either EventSelectors or AdvancedEventSelectors, and not both.",
        )
    }

    /// A trail that would have insight selectors would seem to be watched.
    pub fn insights_unsupported() -> Self {
        Self::new(
            "UnsupportedOperationException",
            "Insights events are not made here, so a trail takes no insight selectors; leave them out.",
        )
    }

    pub fn no_insights(name: &str) -> Self {
        Self::new("InsightNotEnabledException", format!("Trail {name} does not have Insights enabled."))
    }

    pub fn invalid_digest_period(error: &InvalidTrail) -> Self {
        Self::invalid_parameter(format!("DigestPeriodSeconds: {error}"))
    }

    pub fn invalid_tag(message: impl Into<String>) -> Self {
        Self::new("InvalidTagParameterException", message)
    }

    pub fn too_many_tags(most: usize) -> Self {
        Self::new("TagsLimitExceededException", format!("A trail has up to {most} tags."))
    }

    pub fn invalid_time_range() -> Self {
        Self::new("InvalidTimeRangeException", "The start time must be before the end time.")
    }

    pub fn invalid_attributes(message: impl Into<String>) -> Self {
        Self::new("InvalidLookupAttributesException", message)
    }

    pub fn invalid_max_results(most: usize) -> Self {
        Self::new("InvalidMaxResultsException", format!("MaxResults must be between 1 and {most}."))
    }

    pub fn invalid_next_token() -> Self {
        Self::new("InvalidNextTokenException", "The token is not valid, or is another query's.")
    }

    /// `ListPublicKeys` and its like call the same thing by another name.
    pub fn invalid_token() -> Self {
        Self::new("InvalidTokenException", "The token is not valid.")
    }

    pub fn invalid_category() -> Self {
        Self::new("InvalidEventCategoryException", "EventCategory can be insight alone, or be left out.")
    }

    /// Who asks may not.
    pub fn not_authorized(principal: &Principal, operation: &str, account: &AccountId) -> Self {
        let caller = match principal {
            Principal::Root => "root".to_owned(),
            Principal::User(user) => format!("user/{user}"),
        };
        Self::new(
            "AccessDeniedException",
            format!(
                "User: arn:aws:iam::{account}:{caller} is not authorized to perform: cloudtrail:{operation} because no \
                 identity-based policy allows the cloudtrail:{operation} action"
            ),
        )
    }

    /// The second factor did not open it. CloudTrail's own API takes none, so the texts are S3's.
    pub fn factor(refusal: &portcullis_authorization::Refusal, circumstances: &MfaCircumstances) -> Self {
        let denied = |message: &str| Self::new("AccessDeniedException", message);
        match refusal {
            portcullis_authorization::Refusal::ClockDisagrees => Self::unavailable(ClockDisagreement::FOR_CLIENTS),
            portcullis_authorization::Refusal::InsecureTransport => {
                denied("MFA authentication must be sent over a secure connection.")
            }
            portcullis_authorization::Refusal::MalformedOffer(_) => Self::invalid_parameter(
                "Mfa header is invalid -- the header should be formatted as {serialNumber}(space){tokenCode}",
            ),
            portcullis_authorization::Refusal::MfaRequired => {
                Self { mfa: MfaDemand::Required, ..denied(&code_wanted(circumstances)) }
            }
            portcullis_authorization::Refusal::NotBucketOwner => denied("Mfa Authentication is root's alone"),
            // The short of AWS's two texts: the long one repeats the code.
            portcullis_authorization::Refusal::NotDeviceOwner { .. } => {
                denied("The device that generated the token is not owned by the authenticated user.")
            }
            portcullis_authorization::Refusal::TokenCodeInvalid(MfaFault::MoreCodesNeeded) => denied(
                "The serial number and/or token code you provided is not valid. After failed attempts the device asks \
                 for several consecutive codes.",
            ),
            portcullis_authorization::Refusal::TokenCodeInvalid(_) => {
                denied("The serial number and/or token code you provided is not valid.")
            }
            portcullis_authorization::Refusal::NetworkThrottled { seconds } => {
                let again = format!("Try again in {seconds} seconds, or offer three consecutive codes.");
                let message = format!("Rate exceeded. Your network offered too many codes for this device. {again}");
                Self { retry_after: Some(*seconds), ..Self::new("ThrottlingException", message) }
            }
            portcullis_authorization::Refusal::TooManyCodesAtOnce => Self { retry_after: Some(1), ..Self::throttled() },
            portcullis_authorization::Refusal::ExclusionsPresent
            | portcullis_authorization::Refusal::LifecycleOnProtectedBucket
            | portcullis_authorization::Refusal::LifecyclePresent
            | portcullis_authorization::Refusal::NoSuchBucket
            | portcullis_authorization::Refusal::NotVersioned
            | portcullis_authorization::Refusal::Policy(_)
            | portcullis_authorization::Refusal::TrailBucket
            | portcullis_authorization::Refusal::Unsettled(_)
            | portcullis_authorization::Refusal::UploadMayReplaceVersion => denied("Access Denied"),
        }
    }

    /// The call is not authenticated.
    pub fn rejected(rejected: &SignatureRejection) -> Self {
        let mismatch = || {
            Self::new(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            )
        };
        let incomplete = |what: &str| {
            Self::new("IncompleteSignatureException", format!("The request's signature cannot be read: {what}."))
        };
        match &rejected.reason {
            SignatureFault::Anonymous => {
                Self::new("MissingAuthenticationTokenException", "Missing Authentication Token")
            }
            SignatureFault::SessionExpired => {
                Self::new("ExpiredTokenException", "The security token included in the request is expired")
            }
            SignatureFault::InactiveKey
            | SignatureFault::SessionToken
            | SignatureFault::SessionTokenWithMfa
            | SignatureFault::UnknownKey => {
                Self::new("UnrecognizedClientException", "The security token included in the request is invalid.")
            }
            SignatureFault::Expired { .. } | SignatureFault::NotYetValid { .. } => {
                Self::new("InvalidSignatureException", "A call is signed in its header.")
            }
            SignatureFault::Skewed { signed_at, now } => Self::new(
                "InvalidSignatureException",
                format!(
                    "Signature not current: {} is more than 15 minutes from {}",
                    signed_at.iso_basic(),
                    now.iso_basic()
                ),
            ),
            SignatureFault::HeadersNotSigned(names) => Self::new(
                "InvalidSignatureException",
                format!("There were headers present in the request which were not signed: {}", names.join(", ")),
            ),
            SignatureFault::ScopeDate | SignatureFault::SignatureMismatch | SignatureFault::SignedHeaderAbsent(_) => {
                mismatch()
            }
            SignatureFault::PayloadHashMalformed => Self::new(
                "InvalidSignatureException",
                "x-amz-content-sha256 must be the SHA-256 of the request's body.",
            ),
            SignatureFault::Claim { fault: ClaimFault::Region { expected, .. }, .. } => Self::new(
                "InvalidSignatureException",
                format!("Credential should be scoped to a valid region, which is {expected} here."),
            ),
            SignatureFault::DateMissing => incomplete("there is no valid Date or X-Amz-Date header"),
            SignatureFault::PayloadHashMissing => incomplete("a call is signed in its header"),
            SignatureFault::SeveralMechanisms => incomplete("it is signed in more than one way"),
            SignatureFault::Claim { .. }
            | SignatureFault::DecodedLengthMalformed
            | SignatureFault::DecodedLengthMissing
            | SignatureFault::Path
            | SignatureFault::SigV2
            | SignatureFault::SigV4A
            | SignatureFault::TrailerMismatch
            | SignatureFault::TrailerUnsupported
            | SignatureFault::UnknownScheme
            | SignatureFault::UnsignedPayloadInClear => incomplete("use AWS4-HMAC-SHA256 in the Authorization header"),
        }
    }

    /// Why the store did not change the trail.
    pub fn store(error: &StoreError, trail: &Trail, place: &TrailScope<'_>) -> Self {
        match error {
            StoreError::AlreadyExists => Self::trail_exists(trail.name.as_str(), place.account),
            StoreError::LimitReached => Self::too_many_trails(place.account, MOST_TRAILS, place.region),
            StoreError::NoSuchEntity => Self::no_such_trail(&place.arn(trail), place.account),
            StoreError::Outdated => {
                Self::new("ConflictException", format!("Trail {} was changed at the same time. Try again.", trail.name))
            }
            StoreError::Unsettled { until } => Self::new(
                "ConflictException",
                format!(
                    "The storage behind the proxy has not answered an earlier request to bucket {} and may still carry it \
                     out. Try again after {}.",
                    trail.bucket,
                    until.iso_extended()
                ),
            ),
            StoreError::ClockDisagrees(_)
            | StoreError::Contended
            | StoreError::DeviceActive
            | StoreError::DeviceGuards { .. }
            | StoreError::DeviceNotActive
            | StoreError::Engine(_)
            | StoreError::Enrolment(_)
            | StoreError::Interrupted
            | StoreError::Journal(_)
            | StoreError::Remains(_)
            | StoreError::ProofNeeded
            | StoreError::Sealing(_) => Self::unwritten(),
        }
    }

    /// The state cannot be written, or not in time.
    pub fn unwritten() -> Self {
        Self::unavailable("The state could not be written; the proxy's log says why.")
    }

    /// What delivery noted of the trail's files cannot be read.
    pub fn unknown_files() -> Self {
        Self::unavailable("It cannot be read where the trail's files end; the proxy's log says why.")
    }

    pub fn throttled() -> Self {
        Self::new("ThrottlingException", "Rate exceeded")
    }

    pub fn unrecorded() -> Self {
        Self::unavailable("The request cannot be recorded, so it was not carried out. Please retry.")
    }

    /// It was done, but cannot be recorded.
    pub fn done_unrecorded() -> Self {
        Self::new(
            "InternalFailure",
            "The request was carried out, but that cannot be recorded. Look at what is there before you repeat it.",
        )
        .with_status(500)
    }

    pub fn internal() -> Self {
        Self::new("InternalFailure", "We encountered an internal error. Please try again.").with_status(500)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("ServiceUnavailableException", message).with_status(503)
    }
}

fn code_wanted(circumstances: &MfaCircumstances) -> String {
    let mut text = portcullis_authorization::MFA_REQUIRED.to_owned();
    if let Some(stake) = &circumstances.stake {
        text.push_str(&format!(": {stake}"));
    }
    match circumstances.devices {
        RootDevices::None => text.push_str(
            ". Root has no active MFA device; add one on the proxy's machine: portcullis mfa add --name NAME",
        ),
        RootDevices::Some => {}
    }
    text
}
