//! The language as a whole: tables of cases, what went wrong in other evaluators, and properties of random policies.

use serde_json::{Value, json};

use super::*;
use portcullis_base::names::AccountId;

mod cases;
mod decisions;
mod faults;
mod operators;
mod random;
mod wildcards;

const KEY: &str = "arn:aws:s3:::vault/k";
const EVERYTHING: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;

fn account() -> AccountId {
    AccountId::parse("123456789012").expect("an account")
}

fn alice() -> RequestPrincipal {
    RequestPrincipal::user(account(), "alice")
}

fn managed(text: &str) -> PolicyDocument {
    PolicyDocument::parse(text, PolicyKind::Managed).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

fn of_resource(text: &str) -> PolicyDocument {
    PolicyDocument::parse(text, PolicyKind::Resource).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

fn statement(statement: Value) -> PolicyDocument {
    managed(&json!({ "Version": "2012-10-17", "Statement": statement }).to_string())
}

fn values(context: &[(&str, &[&str])]) -> RequestValues {
    let mut values = RequestValues::default();
    for (key, all) in context {
        let key = ConditionKey::parse(key).expect("a documented key");
        values.set(key, all.iter().map(|value| (*value).to_owned()));
    }
    values
}

fn own<'a>(documents: &[&'a PolicyDocument]) -> ApplicablePolicies<'a> {
    let named = |document: &&'a PolicyDocument| NamedPolicy { name: "own", document };
    ApplicablePolicies {
        identity: documents.iter().map(named).collect(),
        boundary: PermissionLimit::None,
        session: PermissionLimit::None,
        resource: ResourcePolicies::None,
    }
}

/// `Allow`, `ExplicitDeny` or `ImplicitDeny`.
fn word(decision: &PolicyDecision<'_>) -> &'static str {
    match decision {
        PolicyDecision::Allow(_) => "Allow",
        PolicyDecision::ExplicitDeny(_) => "ExplicitDeny",
        PolicyDecision::ImplicitDeny(_) => "ImplicitDeny",
    }
}

/// What alice may do by one policy.
fn decided(document: &PolicyDocument, action: &str, resource: &str, values: &RequestValues) -> &'static str {
    let alice = alice();
    let request = AccessRequest::new(&alice, action, resource, values);
    word(&decide(&request, &own(&[document])))
}
