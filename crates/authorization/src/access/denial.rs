//! Why policies deny a request, as it is told to the client, in the record and in the log.

use std::borrow::Cow;
use std::fmt;

use portcullis_policy::{DecidingStatement, PolicyRole};

/// What a caller's policies do not let it do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDenial {
    /// The caller's ARN.
    pub principal: String,
    /// `s3:GetObject`
    pub action: Cow<'static, str>,
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

impl PolicyDenial {
    /// AWS's sentence as the control APIs write it.
    pub fn of_call(&self) -> String {
        self.sentence("")
    }

    fn sentence(&self, quote: &str) -> String {
        let Self { principal, action, resource, cause } = self;
        let why = match cause {
            DenialCause::Explicit(DenyingStatement { role, .. }) => {
                let article = if *role == PolicyRole::Identity { "an" } else { "a" };
                format!("with an explicit deny in {article} {}", kind_of(*role))
            }
            DenialCause::Implicit(role) => format!("because no {} allows the {action} action", kind_of(*role)),
        };
        format!("User: {principal} is not authorized to perform: {action} on resource: {quote}{resource}{quote} {why}")
    }
}

/// AWS's sentence, as S3 writes it. Which policy and statement it was is the record's to tell, not the client's to know.
impl fmt::Display for PolicyDenial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.sentence("\""))
    }
}

fn kind_of(role: PolicyRole) -> &'static str {
    match role {
        PolicyRole::Boundary => "permissions boundary",
        PolicyRole::Identity => "identity-based policy",
        PolicyRole::Resource => "resource-based policy",
        PolicyRole::Session => "session policy",
    }
}
