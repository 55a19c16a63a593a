//! What the event of an action says; nothing secret is in it.

use serde_json::{Map, Value, json};

use super::action::{IamAction, IamParameters};
use super::refused::IamError;
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::record::ROOT_USER;
use portcullis_mfa::MfaFault;
use portcullis_state::SpendError;

/// The facts of one action, for its event.
#[derive(Clone, Debug, PartialEq)]
pub struct IamFacts {
    /// As AWS names the action; `None` where nothing that is served was asked for.
    pub event_name: Option<&'static str>,
    pub effect: ActionEffect,
    /// `requestParameters`, or null.
    pub request_parameters: Value,
    /// `responseElements`, or null.
    pub response_elements: Value,
    pub error: Option<ActionError>,
    /// What came of the offered code, where one was looked at.
    pub second_factor: Option<SecondFactorFacts>,
}

/// Whether an action changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionEffect {
    Changes,
    Reads,
}

/// `errorCode` and `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionError {
    pub code: String,
    pub message: String,
}

/// A code that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactorFacts {
    pub serial: DeviceSerial,
    pub outcome: FactorOutcome,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorOutcome {
    Accepted {
        step: u64,
    },
    Rejected(MfaFault),
    /// It could not be judged, or not be stored as spent.
    Unavailable,
}

impl IamFacts {
    pub(super) fn new() -> Self {
        Self {
            event_name: None,
            // What is not understood is recorded as if it had changed something.
            effect: ActionEffect::Changes,
            request_parameters: Value::Null,
            response_elements: Value::Null,
            error: None,
            second_factor: None,
        }
    }

    pub(super) fn asks_for(&mut self, action: IamAction) {
        (self.event_name, self.effect) = (Some(action.name()), action.effect());
    }

    pub(super) fn parameters(&mut self, parameters: &IamParameters<'_>) {
        let recorded = parameters.recorded().map(|(name, value)| (member(name), Value::from(value)));
        let mut recorded: Map<String, Value> = recorded.collect();
        if parameters.concern_roots_device() {
            recorded.insert("userName".to_owned(), ROOT_USER.into());
        }
        self.request_parameters = if recorded.is_empty() { Value::Null } else { Value::Object(recorded) };
    }

    pub(super) fn answers(&mut self, name: &str, element: Value) {
        self.response_elements = json!({ name: element });
    }

    pub(super) fn judged(&mut self, serial: DeviceSerial, spent: Result<u64, &SpendError>) {
        let outcome = match spent {
            Ok(step) => FactorOutcome::Accepted { step },
            Err(SpendError::Fault(fault)) => FactorOutcome::Rejected(*fault),
            Err(SpendError::Store(_)) => FactorOutcome::Unavailable,
        };
        self.second_factor = Some(SecondFactorFacts { serial, outcome });
    }

    pub(super) fn refused(&mut self, refused: &IamError) {
        // CloudTrail has the exception's name where the wire has its code; what is not IAM's own stays as it is.
        let code = match refused.code {
            code @ ("AccessDenied"
            | "InvalidAction"
            | "InvalidArgument"
            | "MissingAction"
            | "NotDeviceOwnerError"
            | "TokenCodeInvalidError") => code.to_owned(),
            "ValidationError" => "ValidationException".to_owned(),
            code => format!("{code}Exception"),
        };
        self.error = Some(ActionError { code, message: refused.message.clone() });
    }
}

/// `userName` for `UserName`; runs of capitals as CloudTrail has them, `virtualMFADeviceName`.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
