//! What requests must be allowed, and AWS's reference of actions held against the table.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Reference {
    /// Each action with the types of resources that it can be limited to.
    actions: BTreeMap<String, Vec<String>>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../../../tests/model/iam.json")).expect("the extract")
}

/// The type of the resource that a rule's actions are on.
fn resource_of(rule: &PermissionRule) -> Option<&'static str> {
    match *rule {
        PermissionRule::IfETag(inner)
        | PermissionRule::IfElement(_, inner)
        | PermissionRule::IfHeader(_, inner)
        | PermissionRule::IfQuery(_, inner) => resource_of(inner),
        PermissionRule::OnBucket(_) => Some("bucket"),
        PermissionRule::OnEverything(_) => None,
        PermissionRule::CopiesTags
        | PermissionRule::OnEachObject(..)
        | PermissionRule::OnEveryObject(_)
        | PermissionRule::OnObject(_)
        | PermissionRule::OnObjectOrVersion(..)
        | PermissionRule::OnSource(..) => Some("object"),
    }
}

/// The actions of a rule, each with the type of its resource.
fn actions_of(rule: &PermissionRule) -> Vec<(&'static str, Option<&'static str>)> {
    rule.actions().into_iter().map(|action| (action, resource_of(rule))).collect()
}

#[test]
fn every_action_is_one_that_aws_has_on_such_a_resource() {
    let reference = reference();
    for row in S3Operation::ALL.iter().map(|action| action.row()) {
        for (action, resource) in row.needs.iter().flat_map(actions_of) {
            let known = reference.actions.get(action).unwrap_or_else(|| panic!("{}: {action}", row.name));
            match resource {
                // AWS has no resource of this type for it: Object Lambda is not offered here.
                None => assert!(known.is_empty() || action.starts_with("s3-object-lambda:"), "{action} {known:?}"),
                Some(resource) => assert!(known.iter().any(|known| known == resource), "{action} {known:?}"),
            }
        }
    }
}

/// Actions on buckets and objects that no request here needs.
const WITHOUT_OPERATION: &[&str] = &[
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTorrent",
    "s3:InitiateReplication",
    "s3:ListTagsForResource",
    "s3:ObjectOwnerOverrideToBucketOwner",
    "s3:PauseReplication",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
    "s3:UntagResource",
];

#[test]
fn every_action_on_buckets_and_objects_is_needed_by_an_operation() {
    let needed: Vec<_> =
        S3Operation::ALL.iter().flat_map(|action| action.row().needs.iter().flat_map(actions_of)).collect();
    let missing: Vec<_> = reference()
        .actions
        .into_iter()
        .filter(|(action, resources)| {
            let is_ours = resources.iter().any(|resource| matches!(resource.as_str(), "bucket" | "object"));
            action.starts_with("s3:") && is_ours && !needed.iter().any(|(known, _)| known == action)
        })
        .map(|(action, _)| action)
        .collect();
    assert_eq!(missing, WITHOUT_OPERATION);
}

#[test]
fn only_a_preflight_request_needs_nothing() {
    let without = S3Operation::ALL.iter().filter(|action| action.row().needs.is_empty());
    assert_eq!(without.collect::<Vec<_>>(), [&S3Operation::PreflightRequest]);
}

const DELETE: &str =
    "<Delete><Object><Key>a</Key></Object><Object><Key>b/c</Key><VersionId>v1</VersionId></Object></Delete>";
const TAGGED: &str =
    "<CreateBucketConfiguration><Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags></CreateBucketConfiguration>";
const RETENTION: &str =
    "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2027-01-01T00:00:00Z</RetainUntilDate></Retention>";

/// A request line, headers and a body.
type RequestForm<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// Requests whose form decides what they need.
#[test]
fn a_request_needs_what_its_form_says() {
    let source = ("x-amz-copy-source", "/other/s?versionId=v1");
    let requests: &[RequestForm] = &[
        ("GET /", &[], ""),
        ("GET /vault", &[], ""),
        ("GET /vault?list-type=2&prefix=a&metadata=true", &[], ""),
        ("GET /vault?versions", &[], ""),
        ("GET /vault/a%2Fb%20c", &[], ""),
        ("GET /vault/k?versionId=v1", &[], ""),
        ("HEAD /vault/k?versionId=null", &[], ""),
        ("GET /vault/k?attributes&versionId=v1", &[("x-amz-object-attributes", "ETag")], ""),
        ("GET /vault/k?tagging", &[], ""),
        ("GET /vault/k?tagging&versionId=v1", &[], ""),
        ("DELETE /vault/k", &[("if-match", "\"e\"")], ""),
        ("DELETE /vault/k", &[("if-match", "*")], ""),
        ("DELETE /vault/k", &[("x-amz-if-match-size", "1")], ""),
        ("DELETE /vault/k?versionId=v1", &[("x-amz-bypass-governance-retention", "true")], ""),
        ("POST /vault?delete", &[], DELETE),
        ("POST /vault?delete", &[("x-amz-bypass-governance-retention", "true")], DELETE),
        ("PUT /vault/k", &[], "data"),
        ("PUT /vault/k", &[("x-amz-tagging", "a=b"), ("x-amz-acl", "private"), ("if-none-match", "*")], "data"),
        (
            "PUT /vault/k",
            &[
                ("x-amz-object-lock-mode", "GOVERNANCE"),
                ("x-amz-object-lock-retain-until-date", "2027-01-01T00:00:00Z"),
                ("x-amz-object-lock-legal-hold", "ON"),
                ("if-match", "\"e\""),
            ],
            "data",
        ),
        ("PUT /vault/k", &[("x-amz-copy-source", "/other/s")], ""),
        ("PUT /vault/k", &[source, ("x-amz-tagging-directive", "COPY")], ""),
        ("PUT /vault/k", &[source, ("x-amz-tagging-directive", "REPLACE"), ("x-amz-tagging", "a=b")], ""),
        ("PUT /vault/k?partNumber=1&uploadId=u", &[], "data"),
        ("PUT /vault/k?partNumber=1&uploadId=u", &[source], ""),
        ("POST /vault/k?uploads", &[("x-amz-grant-read", "id=\"a\"")], ""),
        ("PUT /vault", &[], ""),
        ("PUT /vault", &[("x-amz-bucket-object-lock-enabled", "true"), ("x-amz-acl", "private")], TAGGED),
        ("PUT /vault", &[("x-amz-object-ownership", "BucketOwnerEnforced")], ""),
        ("PUT /vault/k?retention", &[("x-amz-bypass-governance-retention", "true")], RETENTION),
        ("OPTIONS /vault/k", &[("origin", "https://example.com"), ("access-control-request-method", "GET")], ""),
    ];
    let mut table = String::new();
    for (line, headers, body) in requests {
        // MinIO takes `metadata=true`, and the ids of its versions are UUIDs.
        let store = if line.contains("metadata") { UpstreamKind::Minio } else { UpstreamKind::Aws };
        let request = ask(store, line, headers, body).unwrap_or_else(|reason| panic!("{line}: {reason:?}"));
        let names: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        table.push_str(format!("{line}  {}", names.join("; ")).trim_end());
        table.push('\n');
        for need in request.required_permissions() {
            let scope = match need.scope {
                PermissionScope::Entry(place) => format!(", for entry {place}"),
                PermissionScope::Request => String::new(),
                PermissionScope::TaggedSource => ", if the source has tags".to_owned(),
            };
            table.push_str(&format!("  {} {}{scope}\n", need.action, need.resource));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_read_of_a_version_is_never_allowed_as_a_read_of_the_object() {
    for line in ["GET /vault/k?versionId=v1", "HEAD /vault/k?versionId=v1", "GET /vault/k?acl&versionId=v1"] {
        let needs = ask(UpstreamKind::Aws, line, &[], "").expect(line).required_permissions();
        assert!(needs.iter().all(|need| need.action.contains("Version")) && !needs.is_empty(), "{line}: {needs:?}");
    }
}
