//! Why policies deny a request, as it is told to the client, in the record and in the log.

use std::fmt;

use portcullis_policy::{DecidingStatement, PolicyRole};

/// What a caller's policies do not let it do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDenial {
    /// The caller's ARN.
    pub principal: String,
    /// `s3:GetObject`
    pub action: &'static str,
    /// The resource's ARN.
    pub resource: String,
    pub cause: DenialCause,
}

/// What in the policies denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenialCause {
    Explicit(DenyingStatement),
    /// No statement of these policies allows it.
    Implicit(PolicyRole),
}

/// The statement that denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyingStatement {
    pub policy: String,
    pub role: PolicyRole,
    /// Its place in the document, from 0.
    pub place: usize,
    pub sid: Option<String>,
}

impl DenyingStatement {
    pub(super) fn of(statement: DecidingStatement<'_>) -> Self {
        Self {
            policy: statement.policy.to_owned(),
            role: statement.role,
            place: statement.index,
            sid: statement.sid.map(str::to_owned),
        }
    }
}

/// AWS's sentence. Which policy and statement it was is the record's to tell, not the client's to know.
impl fmt::Display for PolicyDenial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, action, resource, cause } = self;
        write!(out, "User: {principal} is not authorized to perform: {action} on resource: \"{resource}\" ")?;
        match cause {
            DenialCause::Explicit(DenyingStatement { role: PolicyRole::Boundary, .. }) => {
                write!(out, "with an explicit deny in a permissions boundary")
            }
            DenialCause::Explicit(DenyingStatement { role, .. }) => {
                let article = if *role == PolicyRole::Identity { "an" } else { "a" };
                write!(out, "with an explicit deny in {article} {} policy", kind_of(*role))
            }
            DenialCause::Implicit(PolicyRole::Boundary) => {
                write!(out, "because no permissions boundary allows the {action} action")
            }
            DenialCause::Implicit(role) => {
                write!(out, "because no {} policy allows the {action} action", kind_of(*role))
            }
        }
    }
}

fn kind_of(role: PolicyRole) -> &'static str {
    match role {
        PolicyRole::Boundary => "permissions boundary",
        PolicyRole::Identity => "identity-based",
        PolicyRole::Resource => "resource-based",
        PolicyRole::Session => "session",
    }
}
