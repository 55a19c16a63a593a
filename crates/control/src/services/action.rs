//! What a call asks for, as far as its name goes; the name is the client's, and becomes that of an event.

use std::fmt;

use super::table::{ServiceApi, ServiceProtocol};
use crate::query::{MalformedForm, sole_value};
use portcullis_http::{HttpMethod, RequestHead};

/// The name of an action, as AWS writes them: 1 to 128 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionName(Box<str>);

/// Why a call names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnnamedAction {
    Absent,
    /// The form in which the name would be.
    Form(MalformedForm),
    /// A name of other letters, or longer, than an action may have.
    Malformed,
    /// An `X-Amz-Target` of another service, or at one that reads none.
    Target,
}

/// AWS's own limit.
const LONGEST_NAME: usize = 128;

impl ActionName {
    /// Takes a name of AWS's syntax.
    pub fn parse(text: &str) -> Option<Self> {
        let legal = (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        legal.then(|| Self(text.into()))
    }

    /// Reads what the head names: all that is known of a call before its body is there.
    pub fn of_head(api: &ServiceApi, head: &RequestHead) -> Result<Self, UnnamedAction> {
        let target = head.headers.raw(TARGET);
        let named = match (api.protocol, target, head.method) {
            (ServiceProtocol::Json { target: prefix }, Some(target), _) => {
                let text = target.to_str().unwrap_or_default();
                Some(text.split_once('.').filter(|(before, _)| *before == prefix).ok_or(UnnamedAction::Target)?.1)
            }
            (ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), Some(_), _) => return Err(UnnamedAction::Target),
            (ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), None, HttpMethod::Get) => head.query.value(ACTION),
            (ServiceProtocol::Ec2(_) | ServiceProtocol::Json { .. } | ServiceProtocol::Query(_), None, _) => None,
        };
        Self::parse(named.ok_or(UnnamedAction::Absent)?).ok_or(UnnamedAction::Malformed)
    }

    /// Reads what the call names, in its head or in the form that is its body.
    pub fn of_call(api: &ServiceApi, head: &RequestHead, body: &[u8]) -> Result<Self, UnnamedAction> {
        match (Self::of_head(api, head), api.protocol, head.method) {
            (Err(UnnamedAction::Absent), ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), HttpMethod::Post) => {
                let named = sole_value(body, ACTION).map_err(UnnamedAction::Form)?;
                Self::parse(&named.ok_or(UnnamedAction::Absent)?).ok_or(UnnamedAction::Malformed)
            }
            (named, _, _) => named,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether AWS's habit says that it changes nothing; any other is recorded as if it did.
    pub fn only_reads(&self) -> bool {
        let begins = |verb: &str| {
            self.0.strip_prefix(verb).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        };
        ["Describe", "Get", "List"].into_iter().any(begins)
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The header that names the action of a call in JSON.
pub const TARGET: &str = "x-amz-target";

/// The parameter that names the action of a call in a form.
pub(super) const ACTION: &str = "Action";
