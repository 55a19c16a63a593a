//! Why a document is refused: `MalformedPolicyDocument` in AWS's words where AWS has some, with the place of the fault.

use std::fmt;

use crate::arn::ResourceFault;
use crate::condition::UnknownConditionKey;
use crate::json::{JsonFault, JsonFaultReason, JsonNode};
use crate::variable::VariableFault;

/// A document that is refused whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedPolicy {
    fault: PolicyFault,
    line: usize,
    column: usize,
    member: Option<String>,
}

/// A fault, and the byte at which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacedFault {
    pub at: usize,
    pub fault: PolicyFault,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyFault {
    /// Not a service and a name.
    Action(String),
    /// Two members of which a statement has one.
    Both(&'static str, &'static str),
    ConditionKey(UnknownConditionKey),
    ConditionOperator(String),
    ConditionValue {
        text: String,
        expected: &'static str,
    },
    DuplicateMember(String),
    DuplicateSid(String),
    Effect(String),
    Empty(&'static str),
    Json(&'static str),
    MissingActions,
    MissingEffect,
    MissingPrincipal,
    MissingResources,
    MissingStatement,
    NotPrincipalAllows,
    Principal(String),
    Prohibited(&'static str),
    ProhibitedPrincipal,
    Resource {
        text: String,
        fault: ResourceFault,
    },
    Sid(String),
    TooDeep,
    TooLong {
        length: usize,
        longest: usize,
    },
    TrustAction(String),
    UnknownMember(String),
    Variable(VariableFault),
    Version(String),
    WrongType(&'static str),
}

impl PlacedFault {
    /// The fault with its line, its column and the members that lead to it.
    pub(crate) fn in_document(self, text: &str, document: Option<&JsonNode>) -> MalformedPolicy {
        let before = text.get(..self.at).unwrap_or(text);
        let last_line = before.rsplit('\n').next().unwrap_or(before);
        MalformedPolicy {
            line: before.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
            member: document.and_then(|document| document.path_to(self.at)),
            fault: self.fault,
        }
    }
}

impl MalformedPolicy {
    /// The line of the fault, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the fault in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The member in which the fault is: `Statement[1].Action`.
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// The fault without its place.
    pub fn reason(&self) -> String {
        self.fault.to_string()
    }
}

impl From<JsonFault> for PlacedFault {
    fn from(JsonFault { at, reason }: JsonFault) -> Self {
        let fault = match reason {
            JsonFaultReason::DuplicateMember(name) => PolicyFault::DuplicateMember(name),
            JsonFaultReason::Expected(what) => PolicyFault::Json(what),
            JsonFaultReason::TooDeep => PolicyFault::TooDeep,
        };
        Self { at, fault }
    }
}

impl fmt::Display for MalformedPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)?;
        if let Some(member) = &self.member {
            write!(out, ", `{member}`")?;
        }
        write!(out, ": {}", self.fault)
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action(text) => {
                write!(out, "actions must be prefaced by a vendor, e.g. `s3:GetObject`, or be `*`: `{text}`")
            }
            Self::Both(one, other) => write!(out, "a statement has `{one}` or `{other}`, not both"),
            Self::ConditionKey(unknown) => write!(out, "{unknown}"),
            Self::ConditionOperator(text) => write!(out, "invalid condition type `{text}`"),
            Self::ConditionValue { text, expected } => write!(out, "`{text}` is not {expected}"),
            Self::DuplicateMember(name) => write!(out, "the member `{name}` is there twice"),
            Self::DuplicateSid(text) => write!(out, "statement IDs (SID) in a single policy must be unique: `{text}`"),
            Self::Effect(text) => write!(out, "`Effect` must be `Allow` or `Deny`, not `{text}`"),
            Self::Empty(what) => write!(out, "{what} must not be empty"),
            Self::Json(expected) => write!(out, "syntax errors in policy: expected {expected}"),
            Self::MissingActions => out.write_str("policy statement must contain actions"),
            Self::MissingEffect => out.write_str("missing required field `Effect`"),
            Self::MissingPrincipal => out.write_str("missing required field `Principal`"),
            Self::MissingResources => out.write_str("policy statement must contain resources"),
            Self::MissingStatement => out.write_str("missing required field `Statement`"),
            Self::NotPrincipalAllows => out.write_str("`NotPrincipal` is only for statements that deny"),
            Self::Principal(text) => write!(out, "invalid principal in policy: `{text}`"),
            Self::Prohibited(name) => write!(out, "has prohibited field `{name}`"),
            Self::ProhibitedPrincipal => out.write_str("policy document should not specify a principal"),
            Self::Resource { text, fault } => match fault {
                ResourceFault::NotArn => write!(out, "resource `{text}` must be in ARN format or `*`"),
                ResourceFault::Partition => write!(out, "the partition of resource `{text}` is not valid"),
                ResourceFault::Service => {
                    write!(out, "resource vendor must be fully qualified and cannot contain wildcards: `{text}`")
                }
                ResourceFault::Variable(fault) => variable(fault, out),
            },
            Self::Sid(text) => write!(out, "statement IDs (SID) must be alpha-numeric: `{text}`"),
            Self::TooDeep => out.write_str("syntax errors in policy: values nest too deep"),
            Self::TooLong { length, longest } => {
                write!(out, "the policy has {length} characters beside white space, more than {longest}")
            }
            Self::TrustAction(text) => write!(out, "a trust policy may only specify actions of STS: `{text}`"),
            Self::UnknownMember(name) => write!(out, "unknown field `{name}`"),
            Self::Variable(fault) => variable(fault, out),
            Self::Version(text) => write!(out, "`Version` must be `2012-10-17` or `2008-10-17`, not `{text}`"),
            Self::WrongType(expected) => write!(out, "syntax errors in policy: expected {expected}"),
        }
    }
}

fn variable(fault: &VariableFault, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fault {
        VariableFault::BadDefault(text) => {
            write!(out, "the default of a policy variable is a text in single quotes, not `{text}`")
        }
        VariableFault::Open => out.write_str("a policy variable begins with `${` and has no `}`"),
        VariableFault::UnknownKey(unknown) => write!(out, "in a policy variable: {unknown}"),
    }
}
