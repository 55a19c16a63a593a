//! Why calls are refused, and what each protocol calls that.
//!
//! A refusal has the name that JSON has for it; the Query protocols have others.

use super::action::{ActionName, UnnamedAction};
use super::table::{ServiceApi, ServiceProtocol};
use crate::cloudtrail::CloudTrailError;
use crate::query::MalformedForm;
use portcullis_authorization::Refusal;
use portcullis_base::clock::ClockDisagreement;
use portcullis_mfa::MfaDemand;

/// A refusal in the Query protocols: its code, and its status where that is not JSON's.
type QueryNames = (&'static str, Option<u16>);

/// A refusal's name in JSON, in the Query protocol, and in EC2's.
const NAMES: [(&str, QueryNames, QueryNames); 11] = [
    ("AccessDeniedException", ("AccessDenied", Some(403)), ("UnauthorizedOperation", Some(403))),
    ("ExpiredTokenException", ("ExpiredToken", Some(403)), ("RequestExpired", None)),
    ("IncompleteSignatureException", ("IncompleteSignature", None), ("IncompleteSignature", None)),
    ("InvalidSignatureException", ("SignatureDoesNotMatch", Some(403)), ("SignatureDoesNotMatch", Some(403))),
    (
        "MissingAuthenticationTokenException",
        ("MissingAuthenticationToken", Some(403)),
        ("MissingAuthenticationToken", Some(403)),
    ),
    ("RequestTimeoutException", ("RequestTimeout", None), ("RequestTimeout", None)),
    ("SerializationException", ("MalformedInput", None), ("MalformedInput", None)),
    ("ServiceUnavailableException", ("ServiceUnavailable", None), ("Unavailable", None)),
    ("ThrottlingException", ("Throttling", None), ("RequestLimitExceeded", Some(503))),
    ("UnknownOperationException", ("InvalidAction", None), ("InvalidAction", None)),
    ("UnrecognizedClientException", ("InvalidClientTokenId", Some(403)), ("AuthFailure", Some(401))),
];

/// Status and code of a refusal as clients of this protocol read them.
pub(crate) fn status_and_code(protocol: ServiceProtocol, refused: &CloudTrailError) -> (u16, &'static str) {
    let named = NAMES.iter().find(|(exception, _, _)| *exception == refused.exception);
    let (code, status) = match (protocol, named) {
        (ServiceProtocol::Ec2(_), Some((_, _, names))) | (ServiceProtocol::Query(_), Some((_, names, _))) => *names,
        (ServiceProtocol::Json { .. }, _) | (ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), None) => {
            (refused.exception, None)
        }
    };
    (status.unwrap_or(refused.status), code)
}

/// The error code of a refusal in its record.
pub fn code_in_record(protocol: ServiceProtocol, refused: &CloudTrailError) -> String {
    let (status, code) = status_and_code(protocol, refused);
    match protocol {
        // EC2 says there whose fault it was, which it does not on the wire.
        ServiceProtocol::Ec2(_) if status < 500 => format!("Client.{code}"),
        ServiceProtocol::Ec2(_) => format!("Server.{code}"),
        ServiceProtocol::Json { .. } | ServiceProtocol::Query(_) => code.to_owned(),
    }
}

/// The call goes somewhere else than calls do, or in another way.
pub(super) fn misplaced(api: &ServiceApi) -> CloudTrailError {
    let message = match api.protocol {
        ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_) => {
            "A call is a POST to / whose body is a form, or a GET of / with the same in its query."
        }
        ServiceProtocol::Json { .. } => "A call is a POST to / without a query.",
    };
    CloudTrailError { status: 404, ..unknown_operation(message) }
}

/// The operation is unknown.
pub(super) fn unnamed(api: &ServiceApi, why: UnnamedAction) -> CloudTrailError {
    match (api.protocol, why) {
        (ServiceProtocol::Json { target }, UnnamedAction::Absent | UnnamedAction::Target) => {
            unknown_operation(format!("X-Amz-Target must be {target} and the operation, with a dot between them."))
        }
        (ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), UnnamedAction::Absent) => {
            refused("MissingAction", "Action is required.".to_owned())
        }
        (ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), UnnamedAction::Target) => {
            unknown_operation(format!("{} reads no X-Amz-Target; leave it out.", api.name()))
        }
        (_, UnnamedAction::Form(malformed)) => unreadable_form(&malformed),
        (_, UnnamedAction::Malformed) => {
            unknown_operation("An action's name has 1 to 128 letters and digits of ASCII, and nothing else.")
        }
    }
}

/// It is an action of the service perhaps, and not one of those that are answered.
pub(super) fn not_offered(api: &ServiceApi, action: &ActionName) -> CloudTrailError {
    let instead =
        "it answers S3, CloudTrail, IAM, sts:GetCallerIdentity, ec2:DescribeRegions and organizations:Describe*";
    unknown_operation(format!("{}:{action} is not offered by Portcullis; {instead}.", api.name()))
}

/// The parameters of the call are no form.
pub(super) fn unreadable_form(malformed: &MalformedForm) -> CloudTrailError {
    CloudTrailError::serialization(format!("The request's parameters cannot be read: {malformed}."))
}

/// The call is of another version of the API, or does not say of which.
pub(super) fn wrong_version(api: &ServiceApi, version: &str) -> CloudTrailError {
    unknown_operation(format!("Version must be {version}, the version of {} that is answered here.", api.name()))
}

pub(super) fn unknown_parameter(name: &str) -> CloudTrailError {
    refused("UnknownParameter", format!("The parameter {} is not recognized", shown(name)))
}

pub(super) fn invalid_value(name: &str) -> CloudTrailError {
    invalid_parameter_value(format!("Value for parameter {} is invalid.", shown(name)))
}

pub(super) fn no_such_region(name: &str, region: &str) -> CloudTrailError {
    invalid_parameter_value(format!("Invalid region(s) [{}] provided. The region here is {region}.", shown(name)))
}

pub(super) fn unknown_filter(name: &str) -> CloudTrailError {
    let known = "endpoint, opt-in-status and region-name";
    invalid_parameter_value(format!("The filter '{}' is invalid; the filters here are {known}", shown(name)))
}

pub(super) fn filter_without_values(name: &str) -> CloudTrailError {
    refused("MissingParameter", format!("The filter '{}' has no value", shown(name)))
}

pub(super) fn duration() -> CloudTrailError {
    let what = "Value at 'durationSeconds' failed to satisfy constraint: Member must be between 900 and 129600";
    refused("ValidationError", format!("1 validation error detected: {what}"))
}

pub(super) fn half_a_factor() -> CloudTrailError {
    refused("ValidationError", "SerialNumber and TokenCode come together, or not at all.".to_owned())
}

/// A session does not make another.
pub(super) fn session_of_session() -> CloudTrailError {
    denied("Cannot call GetSessionToken with session credentials")
}

/// The codes opened nothing. AWS has one text for all that may be wrong with them.
pub(super) fn factor(refusal: &Refusal) -> CloudTrailError {
    match refusal {
        Refusal::ClockDisagrees => CloudTrailError::unavailable(ClockDisagreement::FOR_CLIENTS),
        Refusal::InsecureTransport => secret_in_clear(),
        Refusal::NetworkThrottled { .. } | Refusal::TooManyCodesAtOnce => CloudTrailError::throttled(),
        Refusal::ExclusionsPresent
        | Refusal::LifecycleOnProtectedBucket
        | Refusal::LifecyclePresent
        | Refusal::MalformedOffer(_)
        | Refusal::MfaRequired
        | Refusal::NoSuchBucket
        | Refusal::NotBucketOwner
        | Refusal::NotDeviceOwner { .. }
        | Refusal::NotVersioned
        | Refusal::Policy(_)
        | Refusal::TokenCodeInvalid(_)
        | Refusal::TrailBucket
        | Refusal::Unsettled(_)
        | Refusal::UploadMayReplaceVersion => {
            denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
        }
    }
}

pub(super) fn secret_in_clear() -> CloudTrailError {
    denied("Secret keys and codes must not be sent in the clear. Use TLS, or the machine that Portcullis runs on.")
}

fn denied(message: &str) -> CloudTrailError {
    refused("AccessDeniedException", message.to_owned())
}

/// The call is right, and was not to be answered.
pub(super) fn dry_run() -> CloudTrailError {
    let message = "Request would have succeeded, but DryRun flag is set.".to_owned();
    CloudTrailError { status: 412, ..refused("DryRunOperation", message) }
}

/// The account is its own, as an AWS account is that belongs to no organization.
pub(super) fn no_organization() -> CloudTrailError {
    refused("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.".to_owned())
}

/// The call may be answered, but not without a record of it.
pub fn unrecorded() -> CloudTrailError {
    CloudTrailError::unavailable("The request cannot be recorded, so it is not answered. Please retry.")
}

/// A text of the client's as messages repeat it: nothing in it that a document or a terminal reads as more than text.
fn shown(text: &str) -> &str {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if (1..=64).contains(&text.len()) && text.bytes().all(harmless) { text } else { "(not shown)" }
}

fn invalid_parameter_value(message: String) -> CloudTrailError {
    refused("InvalidParameterValue", message)
}

fn refused(exception: &'static str, message: String) -> CloudTrailError {
    CloudTrailError { status: 400, exception, message, retry_after: None, mfa: MfaDemand::None }
}

fn unknown_operation(message: impl Into<String>) -> CloudTrailError {
    CloudTrailError { message: message.into(), ..CloudTrailError::unknown_operation() }
}
