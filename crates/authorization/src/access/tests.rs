//! What policies let through, what they withhold, and what conditions see of a request.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{ObjectKey, UserName};
use portcullis_http::{Peer, RequestHead, Transport};
use portcullis_policy::{HeldPolicy, PolicyDocument, PolicyKind, PolicyRole};
use portcullis_s3::{DeleteObjects, S3Operation};
use portcullis_sigv4::{SessionFacts, SessionMfa, SignatureForm, SigningCredentials};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_795_254_118);

fn account() -> AccountId {
    AccountId::parse("123456789012").expect("twelve digits")
}

fn alice() -> Principal {
    Principal::User(UserName::parse("alice").expect("a name"))
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).expect("a bucket")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

fn held(name: &str, statements: &str) -> HeldPolicy {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    let document = PolicyDocument::parse(&text, PolicyKind::Managed).expect("a policy");
    HeldPolicy { name: name.into(), document: Arc::new(document) }
}

fn policies(statements: &str) -> Option<Arc<IdentityPolicies>> {
    let principal = RequestPrincipal::user(account(), "alice");
    Some(Arc::new(IdentityPolicies::new(principal, "AIDAALICE", vec![held("own", statements)], None)))
}

fn head() -> RequestHead {
    let request = http::Request::get("/")
        .header("host", "s3.example.com")
        .header("user-agent", "aws-cli/2")
        .header("referer", "https://example.com/")
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let address = "[::ffff:192.0.2.7]:4711".parse().expect("an address");
    RequestHead::read(&parts, Peer { address, transport: Transport::Tls }).expect("a head")
}

fn rights(statements: &str, request: &S3Request) -> CallerRights {
    rights_of(policies(statements), request)
}

fn rights_of(policies: Option<Arc<IdentityPolicies>>, request: &S3Request) -> CallerRights {
    rights_by(SigningCredentials::LongTerm, policies, request)
}

fn rights_by(
    credentials: SigningCredentials,
    policies: Option<Arc<IdentityPolicies>>,
    request: &S3Request,
) -> CallerRights {
    let head = head();
    let circumstances = RequestCircumstances {
        head: &head,
        form: SignatureForm::AuthHeader,
        credentials,
        signed_at: Timestamp::from_seconds(1_795_254_100),
        now: NOW,
        region: "eu-central-1",
        tls_version: Some("1.3"),
    };
    CallerRights::of(&alice(), policies, &account(), request, &circumstances)
}

fn get() -> Box<S3Request> {
    Box::new(S3Request::bare(S3Operation::GetObject, Some(bucket("vault")), Some(key("a/b"))))
}

fn copy() -> Box<S3Request> {
    let mut request = S3Request::bare(S3Operation::CopyObject, Some(bucket("vault")), Some(key("new")));
    request.copy_source = Some(CopySource { bucket: bucket("source"), key: key("old"), version: None });
    Box::new(request)
}

fn deleting(entries: &[(&str, Option<&str>)]) -> Box<S3Request> {
    let objects = entries.iter().map(|(name, version)| ObjectIdentifier {
        key: key(name),
        version: version.map(|version| VersionId::parse(version).expect("a version")),
    });
    let document = RequestDocument::DeleteObjects(DeleteObjects { objects: objects.collect(), quiet: false });
    Box::new(S3Request { document, ..S3Request::bare(S3Operation::DeleteObjects, Some(bucket("vault")), None) })
}

#[test]
fn root_is_asked_about_in_no_policy_and_an_unknown_user_may_do_nothing() {
    assert!(CallerRights::root().allow(get()).is_ok());
    let denied = rights_of(None, &get()).allow(get()).expect_err("the user is unknown");
    assert_eq!(
        denied.to_string(),
        "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: s3:GetObject on resource: \
         \"arn:aws:s3:::vault/a/b\" because no identity-based policy allows the s3:GetObject action"
    );
}

#[test]
fn a_denial_names_the_statement_and_tells_the_client_only_its_kind() {
    let statements = r#"{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Sid":"NoReads","Effect":"Deny","Action":"s3:Get*","Resource":"*"}"#;
    let denied = rights(statements, &get()).allow(get()).expect_err("it is denied");
    let statement = DenyingStatement {
        policy: "own".to_owned(),
        role: PolicyRole::Identity,
        place: 1,
        sid: Some("NoReads".to_owned()),
    };
    assert_eq!(denied.cause, DenialCause::Explicit(statement));
    assert!(denied.to_string().ends_with("with an explicit deny in an identity-based policy"));
    assert!(!denied.to_string().contains("NoReads"));
}

#[test]
fn an_operation_that_needs_no_permission_is_not_allowed_by_policies() {
    let preflight = || Box::new(S3Request::bare(S3Operation::PreflightRequest, Some(bucket("vault")), None));
    let everything = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    assert!(rights(everything, &preflight()).allow(preflight()).is_err());
}

#[test]
fn a_batch_loses_the_entries_that_are_denied_and_keeps_the_others() {
    let statements = r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::vault/own/*"},
        {"Effect":"Allow","Action":"s3:DeleteObjectVersion","Resource":"*","Condition":{"StringEquals":{"s3:VersionId":"v1"}}}"#;
    let entries = [("own/a", None), ("other/b", None), ("own/c", Some("v1")), ("own/d", Some("v2"))];
    let allowed = rights(statements, &deleting(&entries)).allow(deleting(&entries)).expect("some are allowed");
    let RequestDocument::DeleteObjects(left) = &allowed.request().document else { panic!("still a batch") };
    let keys: Vec<&str> = left.objects.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["own/a", "own/c"]);
    let withheld: Vec<_> =
        allowed.withheld().iter().map(|entry| (entry.place, entry.entry.key.as_str(), &*entry.denial.action)).collect();
    assert_eq!(withheld, [(1, "other/b", "s3:DeleteObject"), (3, "own/d", "s3:DeleteObjectVersion")]);
    let nothing = rights(r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#, &deleting(&entries));
    assert_eq!(nothing.allow(deleting(&entries)).expect("each entry is told").withheld().len(), 4);
}

#[test]
fn an_entry_that_is_denied_twice_is_told_once_with_the_first_denial() {
    let bypassing = || {
        let mut request = deleting(&[("a", Some("v1")), ("b", None)]);
        let header = HeaderName::from_static("x-amz-bypass-governance-retention");
        request.headers.push((header, HeaderValue::from_static("true")));
        request
    };
    let rights = rights(r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}"#, &bypassing());
    let allowed = rights.allow(bypassing()).expect("each entry is told");
    let withheld: Vec<_> = allowed.withheld().iter().map(|entry| (entry.place, &*entry.denial.action)).collect();
    assert_eq!(withheld, [(0, "s3:DeleteObjectVersion"), (1, "s3:DeleteObject")]);
}

#[test]
fn who_may_not_copy_tags_copies_none() {
    let objects = r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}"#;
    let allowed = rights(objects, &copy()).allow(copy()).expect("the objects may be read and written");
    let directive = ("x-amz-tagging-directive".to_owned(), "REPLACE".to_owned());
    let headers = |request: &S3Request| -> Vec<(String, String)> {
        let pairs = request.headers.iter();
        pairs.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect()
    };
    assert_eq!(headers(allowed.request()), [directive]);
    assert_eq!(allowed.source_without_tags().map(|source| source.key.as_str()), Some("old"));
    let denied = allowed.refuse_tags().expect_err("a source with tags is refused");
    assert_eq!((&*denied.action, denied.resource.as_str()), ("s3:GetObjectTagging", "arn:aws:s3:::source/old"));

    let tags = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let allowed = rights(tags, &copy()).allow(copy()).expect("all is allowed");
    assert!(allowed.source_without_tags().is_none() && headers(allowed.request()).is_empty());
    assert!(allowed.refuse_tags().is_ok());
}

#[test]
fn who_may_not_list_a_bucket_is_not_told_what_is_not_there() {
    let reads = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#;
    let lists = r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::vault"}"#;
    assert_eq!(
        rights(reads, &get()).hides_absence(&bucket("vault")).map(|denial| denial.action),
        Some("s3:ListBucket".into())
    );
    assert_eq!(rights(lists, &get()).hides_absence(&bucket("vault")), None);
    assert!(rights(lists, &get()).hides_absence(&bucket("other")).is_some());
    assert_eq!(CallerRights::root().hides_absence(&bucket("vault")), None);
}

#[test]
fn the_version_of_a_source_is_the_one_that_its_read_is_about() {
    let versioned = || {
        let mut request = copy();
        request.copy_source.as_mut().expect("a copy").version = Some(VersionId::parse("v7").expect("a version"));
        request
    };
    let of = |version: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"s3:PutObject*","Resource":"*"}},
               {{"Effect":"Allow","Action":"s3:GetObjectVersion*","Resource":"*","Condition":{{"StringEquals":{{"s3:VersionId":"{version}"}}}}}}"#
        )
    };
    assert!(rights(&of("v7"), &versioned()).allow(versioned()).is_ok());
    assert!(rights(&of("v8"), &versioned()).allow(versioned()).is_err());
}

#[test]
fn conditions_tell_a_session_from_an_access_key() {
    let issued = Timestamp::from_seconds(NOW.seconds() - 120);
    let by = |mfa| SigningCredentials::Session(SessionFacts { issued, mfa });
    let sessions = [SigningCredentials::LongTerm, by(SessionMfa::Absent), by(SessionMfa::Present)];
    for (condition, allowed) in [
        (r#"{"Bool":{"aws:MultiFactorAuthPresent":"true"}}"#, [false, false, true]),
        (r#"{"Bool":{"aws:MultiFactorAuthPresent":"false"}}"#, [false, true, false]),
        (r#"{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}"#, [true, true, false]),
        (r#"{"Null":{"aws:MultiFactorAuthPresent":"true"}}"#, [true, false, false]),
        (r#"{"NumericEquals":{"aws:MultiFactorAuthAge":"120"}}"#, [false, false, true]),
        (r#"{"NumericLessThan":{"aws:MultiFactorAuthAge":"120"}}"#, [false, false, false]),
        (r#"{"Null":{"aws:MultiFactorAuthAge":"true"}}"#, [true, true, false]),
        (r#"{"Null":{"aws:TokenIssueTime":"true"}}"#, [true, false, false]),
        (r#"{"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}"#, [false, true, true]),
    ] {
        let statement = format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#);
        let found = sessions.map(|session| rights_by(session, policies(&statement), &get()).allow(get()).is_ok());
        assert_eq!(found, allowed, "{condition}");
    }
}

/// Every key that is looked at, in the policy of one user, and what it is in requests of several kinds.
#[test]
fn conditions_see_what_the_typed_request_says() {
    let keys = [
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalTag/team",
        "aws:PrincipalType",
        "aws:Referer",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:SecureTransport",
        "aws:SourceIp",
        "aws:SourceVpc",
        "aws:TokenIssueTime",
        "aws:UserAgent",
        "aws:ViaAWSService",
        "aws:userid",
        "aws:username",
        "s3:LocationConstraint",
        "s3:RequestObjectTag/Team",
        "s3:RequestObjectTagKeys",
        "s3:ResourceAccount",
        "s3:TlsVersion",
        "s3:VersionId",
        "s3:authType",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:max-keys",
        "s3:object-lock-legal-hold",
        "s3:object-lock-mode",
        "s3:object-lock-retain-until-date",
        "s3:prefix",
        "s3:signatureAge",
        "s3:signatureversion",
        "s3:x-amz-acl",
        "s3:x-amz-content-sha256",
        "s3:x-amz-copy-source",
        "s3:x-amz-grant-read",
        "s3:x-amz-metadata-directive",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-storage-class",
    ];
    let conditions: Vec<String> = keys.iter().map(|key| format!(r#""{key}":"x""#)).collect();
    let statement = format!(
        r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"StringEquals":{{{}}}}}}}"#,
        conditions.join(",")
    );
    let mut put = S3Request::bare(S3Operation::PutObject, Some(bucket("vault")), Some(key("a/b")));
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-tagging", "Team=red&other=1"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("if-none-match", "*"),
    ] {
        put.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
    }
    let mut list = S3Request::bare(S3Operation::ListObjectsV2, Some(bucket("vault")), None);
    list.query = vec![("prefix", "home/".to_owned()), ("delimiter", "/".to_owned()), ("max-keys", "7".to_owned())];
    let mut hold = S3Request::bare(S3Operation::PutObjectLegalHold, Some(bucket("vault")), Some(key("a/b")));
    hold.document = RequestDocument::Rewritten(Bytes::from_static(b"<LegalHold><Status>OFF</Status></LegalHold>"));
    hold.version = Some(VersionId::parse("v1").expect("a version"));
    let mut table = String::new();
    for (name, request) in [("put", put), ("list", list), ("hold", hold), ("copy", *copy())] {
        writeln!(table, "{name}").expect("written");
        let CallerRights(RightsOf::User { values, policies }) = rights(&statement, &request) else { panic!("a user") };
        for key in policies.condition_keys() {
            let found = values.of(key);
            if !found.is_empty() {
                writeln!(table, "  {} = {found:?}", key.folded()).expect("written");
            }
        }
    }
    insta::assert_snapshot!(table);
}
