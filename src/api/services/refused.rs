//! Why calls are refused, and what each protocol calls that.
//!
//! A refusal has the name that JSON has for it; the Query protocols have others.

use super::action::{ActionName, UnnamedAction};
use super::table::{Protocol, ServiceApi};
use crate::api::cloudtrail::Refused;
use crate::authenticate::Service;

/// A refusal in the Query protocols: its code, and its status where that is not JSON's.
type QueryNames = (&'static str, Option<u16>);

/// A refusal's name in JSON, in the Query protocol, and in EC2's.
const NAMES: [(&str, QueryNames, QueryNames); 9] = [
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
pub fn status_and_code(protocol: Protocol, refused: &Refused) -> (u16, &'static str) {
    let named = NAMES.iter().find(|(exception, _, _)| *exception == refused.exception);
    let (code, status) = match (protocol, named) {
        (Protocol::Ec2(_), Some((_, _, names))) | (Protocol::Query(_), Some((_, names, _))) => *names,
        (Protocol::Json { .. }, _) | (Protocol::Ec2(_) | Protocol::Query(_), None) => (refused.exception, None),
    };
    (status.unwrap_or(refused.status), code)
}

/// The error code of a refusal in its record.
pub fn code_in_record(protocol: Protocol, refused: &Refused) -> String {
    let (status, code) = status_and_code(protocol, refused);
    match protocol {
        // EC2 says there whose fault it was, which it does not on the wire.
        Protocol::Ec2(_) if status < 500 => format!("Client.{code}"),
        Protocol::Ec2(_) => format!("Server.{code}"),
        Protocol::Json { .. } | Protocol::Query(_) => code.to_owned(),
    }
}

/// The call goes somewhere else than calls do, or in another way.
pub fn misplaced(api: &ServiceApi) -> Refused {
    let message = match api.protocol {
        Protocol::Ec2(_) | Protocol::Query(_) => {
            "A call is a POST to / whose body is a form, or a GET of / with the same in its query."
        }
        Protocol::Json { .. } => "A call is a POST to / without a query.",
    };
    Refused { status: 404, ..unknown_operation(message) }
}

/// Nobody can tell what is asked for.
pub fn unnamed(api: &ServiceApi, why: UnnamedAction) -> Refused {
    match (api.protocol, why) {
        (Protocol::Json { target }, UnnamedAction::Absent | UnnamedAction::Target) => {
            unknown_operation(format!("X-Amz-Target must be {target} and the operation, with a dot between them."))
        }
        (Protocol::Ec2(_) | Protocol::Query(_), UnnamedAction::Absent) => {
            Refused { status: 400, exception: "MissingAction", message: "Action is required.".to_owned() }
        }
        (Protocol::Ec2(_) | Protocol::Query(_), UnnamedAction::Target) => {
            unknown_operation(format!("{} reads no X-Amz-Target; leave it out.", api.name()))
        }
        (_, UnnamedAction::Form(malformed)) => {
            Refused::serialization(format!("The request's parameters cannot be read: {malformed}."))
        }
        (_, UnnamedAction::Malformed) => {
            unknown_operation("An action's name has 1 to 128 letters and digits of ASCII, and nothing else.")
        }
    }
}

/// It is an action of the service perhaps, and not one of those that are answered.
pub fn not_offered(api: &ServiceApi, action: &ActionName) -> Refused {
    let instead = match api.service {
        Service::Iam => "users, keys and devices are managed on its machine, with portcullis user, key and mfa",
        Service::CloudTrail
        | Service::Ec2
        | Service::Kms
        | Service::Logs
        | Service::Organizations
        | Service::S3
        | Service::Sns
        | Service::Sts => "it answers the calls of S3 and CloudTrail",
    };
    unknown_operation(format!("{}:{action} is not offered by Portcullis; {instead}.", api.name()))
}

fn unknown_operation(message: impl Into<String>) -> Refused {
    Refused { message: message.into(), ..Refused::unknown_operation() }
}
