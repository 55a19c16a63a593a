//! Random policies: what Portcullis allows by a translation, MinIO allowed by the policy. MinIO's decision is written
//! here once more, from its handlers and its evaluator.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::action::matches;
use super::policy::translate;
use portcullis_base::names::AccountId;
use portcullis_policy::{
    AccessRequest, ApplicablePolicies, NamedPolicy, PermissionLimit, PolicyDecision, RequestPrincipal, RequestValues,
    ResourcePolicies, decide,
};

const ACTIONS: &[&str] = &[
    "s3:*",
    "s3:Get*",
    "s3:List*",
    "s3:*Version",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectAttributes",
    "s3:GetObjectTagging",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutObject",
];

const RESOURCES: &[&str] =
    &["*", "aaa", "aaa/*", "aaa/b*", "aaa/b", "aa*", "*a", "*a/*", "a*a/b/*", "aaa/", "*b", "aaa*/*"];

/// Operations: the actions that Portcullis asks for, and whether they are about an object. MinIO's is by the last one.
const OPERATIONS: &[(&[&str], bool)] = &[
    (&["s3:DeleteObject"], true),
    (&["s3:DeleteObjectVersion"], true),
    (&["s3:GetObject"], true),
    (&["s3:GetObjectVersion"], true),
    (&["s3:GetObject", "s3:GetObjectAttributes"], true),
    (&["s3:GetObjectVersion", "s3:GetObjectVersionAttributes"], true),
    (&["s3:GetObjectTagging"], true),
    (&["s3:GetObjectVersionTagging"], true),
    (&["s3:PutObject"], true),
    (&["s3:ListBucket"], false),
    (&["s3:ListBucketVersions"], false),
    (&["s3:GetBucketLocation"], false),
];

fn list(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

/// The statements of this effect that are about an action on a resource.
fn names(statements: &[Value], effect: &str, action: &str, resource: &str) -> bool {
    let cleaned = resource.trim_end_matches('/');
    statements.iter().filter(|statement| statement["Effect"] == effect).any(|statement| {
        let actions = list(&statement["Action"]);
        let implied = action == "s3:GetObject" && actions.contains(&"s3:GetObjectVersion");
        let patterns = ["Resource", "NotResource"].map(|element| statement.get(element).map(list));
        let covered = |patterns: &[&str]| {
            let bare = patterns.iter().map(|pattern| pattern.strip_prefix("arn:aws:s3:::").expect("an ARN"));
            bare.into_iter().any(|pattern| pattern == cleaned || matches(pattern, resource))
        };
        let is_about = match &patterns {
            [Some(patterns), _] => covered(patterns),
            [None, Some(patterns)] => !covered(patterns),
            [None, None] => false,
        };
        (implied || actions.iter().any(|pattern| matches(pattern, action))) && is_about
    })
}

fn minio_allows(statements: &[Value], operation: &str, resource: &str) -> bool {
    let denied = |action: &str| names(statements, "Deny", action, resource);
    let allowed = |action: &str| !denied(action) && names(statements, "Allow", action, resource);
    match operation {
        "s3:DeleteObjectVersion" => !denied("s3:DeleteObjectVersion") && allowed("s3:DeleteObject"),
        "s3:GetObjectAttributes" => allowed("s3:GetObjectAttributes") || allowed("s3:GetObject"),
        "s3:GetObjectVersion" => allowed("s3:GetObject"),
        "s3:GetObjectVersionAttributes" => allowed("s3:GetObjectVersionAttributes") || allowed("s3:GetObjectVersion"),
        "s3:GetObjectVersionTagging" => allowed("s3:GetObjectTagging"),
        "s3:ListBucketVersions" => allowed("s3:ListBucketVersions") || allowed("s3:ListBucket"),
        action => allowed(action),
    }
}

fn portcullis_allows(policy: Option<&portcullis_policy::PolicyDocument>, action: &str, resource: &str) -> bool {
    let Some(policy) = policy else { return false };
    let account = AccountId::parse("123456789012").expect("an account");
    let (principal, values) = (RequestPrincipal::user(account, "alice"), RequestValues::default());
    let resource = format!("arn:aws:s3:::{resource}");
    let applicable = ApplicablePolicies {
        identity: vec![NamedPolicy { name: "policy", document: policy }],
        boundary: PermissionLimit::None,
        session: PermissionLimit::None,
        resource: ResourcePolicies::None,
    };
    matches!(decide(&AccessRequest::new(&principal, action, &resource, &values), &applicable), PolicyDecision::Allow(_))
}

fn statement() -> impl Strategy<Value = Value> {
    let some = |list: &'static [&'static str]| proptest::sample::subsequence(list, 1..=2);
    let element = proptest::sample::select(vec!["Resource", "Resource", "Resource", "NotResource"]);
    (proptest::bool::weighted(0.4), some(ACTIONS), some(RESOURCES), element).prop_map(
        |(denies, actions, resources, element)| {
            let resources: Vec<_> = resources.iter().map(|resource| format!("arn:aws:s3:::{resource}")).collect();
            json!({ "Effect": if denies { "Deny" } else { "Allow" }, "Action": actions, element: resources })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn a_translation_allows_nothing_that_minio_refuses(
        statements in proptest::collection::vec(statement(), 1..4),
        bucket in proptest::sample::select(vec!["aaa", "aab", "bab", "aaaa"]),
        key in proptest::sample::select(vec!["b", "b/", "b/b", "a", "ba", "a-a"]),
    ) {
        let policy = translate(&json!({ "Version": "2012-10-17", "Statement": statements })).expect("a translation");
        for (actions, is_about_object) in OPERATIONS {
            let action = actions.last().expect("an action");
            let (resource, asked) = match is_about_object {
                true => (format!("{bucket}/{key}"), format!("{bucket}/{key}")),
                false => (bucket.to_owned(), format!("{bucket}/")),
            };
            let here = actions.iter().all(|action| portcullis_allows(policy.document.as_ref(), action, &resource));
            let there = minio_allows(&statements, action, &asked);
            prop_assert!(!here || there, "{action} on {resource} is allowed here alone");
            // MinIO lists versions, and reads attributes, by either of two actions; here a Deny of one denies it.
            let has_two = ["s3:ListBucketVersions", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"];
            let says_of_difference = !policy.notes.is_empty() || has_two.contains(action);
            prop_assert!(here || !there || says_of_difference, "{action} on {resource} is allowed there alone");
        }
    }
}
