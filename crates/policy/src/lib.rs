//! IAM policies: what a document says, and whether it allows an action on a resource.
//!
//! A document is read once, when it is stored, into types that hold nothing unknown; a decision is a pure function of
//! those types and of what is known about the request.

mod action;
mod arn;
mod condition;
mod decide;
mod document;
mod fault;
mod identity;
mod json;
mod managed;
mod pattern;
mod principal;
mod print;
mod read;
mod request;
mod variable;

pub use condition::{ConditionKey, UnknownConditionKey};
pub use decide::{
    ApplicablePolicies, DecidingStatement, NamedPolicy, PermissionLimit, PolicyDecision, PolicyRole, ResourcePolicies,
    decide,
};
pub use document::{LanguageVersion, PolicyDocument, PolicyKind, PolicyStatement, StatementEffect};
pub use fault::MalformedPolicy;
pub use identity::{HeldPolicy, IdentityPolicies};
pub use managed::ManagedPolicy;
pub use principal::{PrincipalType, RequestPrincipal};
pub use request::{AccessRequest, RequestValues};

#[cfg(test)]
mod tests;
