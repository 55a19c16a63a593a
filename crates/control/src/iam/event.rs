//! What the event of an action says of what was asked; nothing secret is in it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::cloudtrail::UNKNOWN;
use crate::services::ActionName;
use portcullis_audit::{ControlFacts, ControlSubject};
use portcullis_cloudtrail::record::{EventSource, ROOT_USER};
use portcullis_s3::OperationAccess;

/// What the event of an action says of what was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct IamEvent {
    name: Cow<'static, str>,
    access: OperationAccess,
    subject: ControlSubject,
    /// `requestParameters`, or null.
    parameters: Value,
}

impl IamEvent {
    /// Of what is not offered. It has the name that it asks for, if that can be one.
    pub(super) fn unknown(name: Option<&str>) -> Self {
        let name = name.and_then(ActionName::parse);
        let access = match &name {
            Some(name) if name.only_reads() => OperationAccess::Read,
            // What is not understood is recorded as if it had changed something.
            Some(_) | None => OperationAccess::Write,
        };
        let name = name.map_or(Cow::Borrowed(UNKNOWN), |name| Cow::Owned(name.as_str().to_owned()));
        Self { name, access, subject: ControlSubject::Other, parameters: Value::Null }
    }

    pub(super) const fn of(name: &'static str, access: OperationAccess, subject: ControlSubject) -> Self {
        Self { name: Cow::Borrowed(name), access, subject, parameters: Value::Null }
    }

    pub(super) fn parameters<'a>(&mut self, recorded: impl Iterator<Item = (&'static str, &'a str)>) {
        let recorded = recorded.map(|(name, value)| (member(name), Value::from(value)));
        let mut recorded: Map<String, Value> = recorded.collect();
        if self.subject == ControlSubject::MfaDevice {
            // AWS names root in the events of its devices, although the request leaves the name out.
            recorded.entry("userName").or_insert_with(|| ROOT_USER.into());
        }
        self.parameters = if recorded.is_empty() { Value::Null } else { Value::Object(recorded) };
    }

    /// Whether the action changes anything.
    pub fn access(&self) -> OperationAccess {
        self.access
    }

    /// The facts for its draft.
    pub fn facts(&self) -> ControlFacts<'_> {
        ControlFacts {
            source: EventSource::Iam,
            event_name: &self.name,
            read_only: self.access == OperationAccess::Read,
            subject: self.subject,
            parameters: &self.parameters,
        }
    }
}

/// `userName` for `UserName`; runs of capitals as CloudTrail has them, `virtualMFADeviceName`.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
