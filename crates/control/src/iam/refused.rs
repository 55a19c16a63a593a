//! Refusals in AWS's words.

use crate::cloudtrail::CloudTrailError;
use crate::query::MalformedForm;
use crate::services::{IAM_API, status_and_code};
use portcullis_authorization::{MFA_REQUIRED, PolicyDenial, Refusal};
use portcullis_base::clock::ClockDisagreement;
use portcullis_base::names::{AccessKeyId, AccountId, BucketName, DeviceSerial, InvalidName, UserName};
use portcullis_mfa::{EnrolmentFault, MfaDemand, MfaFault};
use portcullis_policy::MalformedPolicy;
use portcullis_state::{RemainingPart, StoreError};

/// Why an action was not done, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IamError {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    pub mfa: MfaDemand,
    /// What in the caller's policies denies it: for the record, not for the client.
    pub denial: Option<Box<PolicyDenial>>,
}

impl IamError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), mfa: MfaDemand::None, denial: None }
    }

    pub(super) fn missing_action() -> Self {
        Self::new(400, "MissingAction", "Action is required.")
    }

    pub(super) fn unknown_action(name: &str, version: &str) -> Self {
        Self::new(400, "InvalidAction", format!("Could not find operation {name} for version {version}"))
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        let member = lower_first(name);
        Self::validation(format!("Value null at '{member}' failed to satisfy constraint: Member must not be null"))
    }

    pub(super) fn unknown_parameter(name: &str) -> Self {
        Self::new(400, "InvalidInput", format!("The parameter {name} is not supported."))
    }

    pub(super) fn repeated_parameter(name: &str) -> Self {
        Self::new(400, "InvalidInput", format!("The parameter {name} is repeated."))
    }

    pub(super) fn invalid_value(name: &str, must: &str) -> Self {
        let member = lower_first(name);
        Self::validation(format!("Value at '{member}' failed to satisfy constraint: Member must {must}"))
    }

    pub(super) fn invalid_name(name: &str, error: InvalidName) -> Self {
        let member = lower_first(name);
        Self::validation(format!("Value at '{member}' failed to satisfy constraint: {error}"))
    }

    fn validation(message: String) -> Self {
        Self::new(400, "ValidationError", format!("1 validation error detected: {message}"))
    }

    pub(super) fn no_such(entity: &str) -> Self {
        Self::new(404, "NoSuchEntity", format!("{entity} cannot be found."))
    }

    pub(super) fn already_enabled() -> Self {
        Self::new(409, "EntityAlreadyExists", "MFA Device is already in use")
    }

    /// The parameters are no form.
    pub(super) fn unreadable_form(malformed: &MalformedForm) -> Self {
        Self::new(400, "MalformedInput", format!("The request's parameters cannot be read: {malformed}."))
    }

    /// Why a call was refused before its parameters were read.
    pub fn unread_call(refused: &CloudTrailError) -> Self {
        let (status, code) = status_and_code(IAM_API.protocol, refused);
        Self { status, code, message: refused.message.clone(), mfa: refused.mfa, denial: None }
    }

    /// Sessions are refused here.
    pub fn session() -> Self {
        Self::new(403, "InvalidClientTokenId", "IAM takes no session credentials here; sign with an access key.")
    }

    /// Who asks may not.
    pub(super) fn not_authorized(user: &UserName, action: &str, resource: &str, account: &AccountId) -> Self {
        let arn = format!("arn:aws:iam::{account}:user/{user}");
        Self::denied(&format!(
            "User: {arn} is not authorized to perform: iam:{action} on resource: {resource} because no identity-based \
             policy allows the iam:{action} action"
        ))
    }

    /// The caller's policies do not allow it.
    pub(super) fn by_policy(denial: Box<PolicyDenial>) -> Self {
        Self { denial: Some(denial.clone()), ..Self::denied(&denial.of_call()) }
    }

    pub(super) fn secret_in_clear() -> Self {
        Self::denied(
            "Secret keys, seeds and codes must not be sent in the clear. Use TLS, or the machine that Portcullis runs on.",
        )
    }

    /// On the port, a device beside an active one is enabled by a code of that one.
    pub(super) fn first_device_elsewhere() -> Self {
        Self::denied(
            "Root's first MFA device is enrolled on the machine that Portcullis runs on, with portcullis mfa add. Further \
             devices can be enrolled here with a code of an active one.",
        )
    }

    pub(super) fn root_keys_elsewhere() -> Self {
        Self::denied(
            "Without an active MFA device, root's access keys are changed on the machine that Portcullis runs on, with \
             portcullis key.",
        )
    }

    /// No one has a password here, so nothing asks for good ones.
    pub(super) fn no_password_policy(account: &AccountId) -> Self {
        Self::no_such(&format!("The Password Policy with domain name {account}"))
    }

    pub(super) fn no_login_profile(user: &str) -> Self {
        Self::no_such(&format!("Login Profile for User {user}"))
    }

    pub(super) fn last_device(bucket: &BucketName) -> Self {
        let text = format!(
            "Cannot deactivate the only active MFA device while MFA Delete is enabled on the bucket {bucket}. Enable \
             another device first."
        );
        Self::new(409, "DeleteConflict", text)
    }

    pub(super) fn users_have_no_devices() -> Self {
        Self::new(400, "InvalidInput", "Only root has MFA devices here; leave out UserName.")
    }

    fn mfa_required() -> Self {
        Self { mfa: MfaDemand::Required, ..Self::denied(MFA_REQUIRED) }
    }

    pub(super) fn denied(message: &str) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    /// Why no code was looked at, in S3's words.
    pub(super) fn factor(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::ClockDisagrees => Self::unavailable(ClockDisagreement::FOR_CLIENTS),
            Refusal::InsecureTransport => Self::denied("MFA authentication must be sent over a secure connection."),
            Refusal::MalformedOffer(_) => Self::malformed_offer(),
            Refusal::MfaRequired => Self::mfa_required(),
            Refusal::NotBucketOwner => Self::denied("Mfa Authentication is root's alone"),
            Refusal::NotDeviceOwner { .. } => Self::offer(MfaFault::UnknownDevice, None),
            Refusal::TokenCodeInvalid(fault) => Self::offer(*fault, None),
            Refusal::NetworkThrottled { .. } | Refusal::TooManyCodesAtOnce => Self::throttled(),
            Refusal::ExclusionsPresent
            | Refusal::LifecycleOnProtectedBucket
            | Refusal::LifecyclePresent
            | Refusal::NoSuchBucket
            | Refusal::NotVersioned
            | Refusal::Policy(_)
            | Refusal::TrailBucket
            | Refusal::Unsettled(_)
            | Refusal::UploadMayReplaceVersion => Self::denied("Access Denied"),
        }
    }

    /// A policy document that is not understood, with the line and the member.
    pub(super) fn malformed_policy(malformed: &MalformedPolicy) -> Self {
        Self::new(400, "MalformedPolicyDocument", malformed.to_string())
    }

    pub(super) fn malformed_offer() -> Self {
        let message = "Mfa header is invalid -- the header should be formatted as {serialNumber}(space){tokenCode}";
        Self::new(400, "InvalidArgument", message)
    }

    /// Why an offered code was no leave, in S3's words, since IAM itself takes no such header.
    pub(super) fn offer(fault: MfaFault, codes_needed: Option<usize>) -> Self {
        let wrong = "The serial number and/or token code you provided is not valid.";
        match fault {
            // The short of AWS's two texts: the long one repeats the code.
            MfaFault::UnknownDevice => Self::new(
                400,
                "NotDeviceOwnerError",
                "The device that generated the token is not owned by the authenticated user.",
            ),
            MfaFault::MoreCodesNeeded => {
                let count = codes_needed.unwrap_or(3);
                let message = format!("{wrong} After failed attempts the device asks for {count} consecutive codes.");
                Self::new(400, "TokenCodeInvalidError", message)
            }
            MfaFault::NotDigits | MfaFault::Replayed | MfaFault::WrongCode => {
                Self::new(400, "TokenCodeInvalidError", wrong)
            }
            MfaFault::ClockDisagrees => Self::unavailable(ClockDisagreement::FOR_CLIENTS),
            MfaFault::NetworkThrottled { .. } | MfaFault::TooManyAtOnce => Self::throttled(),
        }
    }

    /// Why two codes did not bring a device back into step.
    pub(super) fn resync(fault: MfaFault) -> Self {
        match fault {
            MfaFault::UnknownDevice => Self::no_such("An active MFA device with this serial number"),
            MfaFault::MoreCodesNeeded => {
                Self::invalid_codes("Too many attempts; wait three minutes, or use three consecutive codes instead.")
            }
            MfaFault::NotDigits => Self::invalid_value("AuthenticationCode", "be all digits"),
            MfaFault::Replayed => Self::invalid_codes("The codes were used before; wait for the next ones."),
            MfaFault::WrongCode => Self::invalid_codes(""),
            MfaFault::ClockDisagrees => Self::unavailable(ClockDisagreement::FOR_CLIENTS),
            MfaFault::NetworkThrottled { .. } | MfaFault::TooManyAtOnce => Self::throttled(),
        }
    }

    fn enrolment(fault: EnrolmentFault) -> Self {
        match fault {
            EnrolmentFault::AlreadyActive => Self::already_enabled(),
            EnrolmentFault::ClockOff { seconds } => {
                let side = if seconds < 0 { "behind" } else { "ahead" };
                let apart = seconds.unsigned_abs();
                Self::invalid_codes(&format!("The device's clock is {apart} seconds {side}; set it and try again."))
            }
            EnrolmentFault::NotDigits => Self::invalid_value("AuthenticationCode", "be all digits"),
            EnrolmentFault::Replayed => Self::invalid_codes("The codes were used before; wait for the next ones."),
            EnrolmentFault::WrongCodes => Self::invalid_codes(""),
        }
    }

    fn invalid_codes(why: &str) -> Self {
        let message = format!("Authentication code for device is not valid. {why}");
        Self::new(403, "InvalidAuthenticationCode", message.trim_end())
    }

    fn throttled() -> Self {
        Self::new(400, "Throttling", "Rate exceeded")
    }

    /// Why the store did not do it; `entity` names what it was about.
    pub(super) fn store(error: StoreError, entity: &str) -> Self {
        match error {
            StoreError::AlreadyExists => Self::new(409, "EntityAlreadyExists", format!("{entity} already exists.")),
            StoreError::DeviceActive => {
                Self::new(409, "DeleteConflict", "Cannot delete entity, must deactivate the MFA device first.")
            }
            StoreError::DeviceNotActive => Self::no_such(&format!("An active {}", lower_first(entity))),
            StoreError::Enrolment(fault) => Self::enrolment(fault),
            StoreError::DeviceGuards { bucket } => Self::last_device(&bucket),
            StoreError::Remains(part) => Self::new(409, "DeleteConflict", of_remaining(part)),
            StoreError::LimitReached => {
                Self::new(409, "LimitExceeded", format!("Cannot exceed quota: {entity} would be one too many."))
            }
            StoreError::NoSuchEntity => Self::no_such(entity),
            StoreError::Outdated => {
                let text = format!("{entity} was changed at the same time. Try again later.");
                Self::new(409, "ConcurrentModification", text)
            }
            StoreError::ProofNeeded => Self::mfa_required(),
            StoreError::ClockDisagrees(_) => Self::unavailable(ClockDisagreement::FOR_CLIENTS),
            StoreError::Contended
            | StoreError::Engine(_)
            | StoreError::Interrupted
            | StoreError::Sealing(_)
            | StoreError::Unsettled { .. } => {
                Self::unavailable("The state could not be written; the proxy's log says why.")
            }
            StoreError::Journal(_) => Self::unrecorded(),
        }
    }

    /// Why nothing was begun.
    pub fn unrecorded() -> Self {
        Self::unavailable("The journal could not be written; the proxy's log says why.")
    }

    /// It was done, but must not be reported as a success.
    pub fn done_unrecorded() -> Self {
        Self::new(500, "ServiceFailure", "It was done, and the journal could not be written; the proxy's log says why.")
    }

    /// What must not happen did.
    pub fn internal() -> Self {
        Self::new(500, "ServiceFailure", "An internal error occurred.")
    }

    fn unavailable(message: &str) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }
}

/// AWS's sentences.
fn of_remaining(part: RemainingPart) -> &'static str {
    match part {
        RemainingPart::AttachedPolicies => "Cannot delete entity, must detach all policies first.",
        RemainingPart::Attachments => "Cannot delete a policy attached to entities.",
        RemainingPart::DefaultVersion => "Cannot delete the default version of a policy.",
        RemainingPart::Groups => "Cannot delete entity, must remove users from group first.",
        RemainingPart::InlinePolicies => "Cannot delete entity, must delete policies first.",
        RemainingPart::Keys => "Cannot delete entity, must delete access keys first.",
        RemainingPart::Members => "Cannot delete entity, must remove users from group first.",
        RemainingPart::Versions => {
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."
        }
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

pub(super) fn device_entity(serial: &DeviceSerial) -> String {
    format!("MFA device with serial number {serial}")
}

pub(super) fn user_entity(name: &UserName) -> String {
    format!("The user with name {name}")
}

pub(super) fn key_entity(id: &AccessKeyId) -> String {
    format!("The Access Key with id {id}")
}
