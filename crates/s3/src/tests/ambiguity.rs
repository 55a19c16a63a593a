//! Requests that Ceph, MinIO, s3s and others read differently, or that speak to what lies beside S3.

use std::fmt::Write as _;

use super::*;

/// Whether a request gets no further than this stage, or the one before it.
fn is_refused(upstream: UpstreamKind, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> bool {
    refusal(upstream, method, target, headers, body).is_some()
}

/// Why a request gets no further, if it does not.
fn refusal(upstream: UpstreamKind, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("content-length", length.as_str()));
    match head(method, target, &headers) {
        Err(malformed) => Some(format!("{malformed:?}")),
        Ok(head) => route(&head, &routing(upstream))
            .and_then(|routed| routed.complete(Some(Bytes::copy_from_slice(body.as_bytes()))))
            .err()
            .map(|unclear| format!("{:?}", unclear.reason)),
    }
}

fn batch(inner: &str) -> String {
    format!("<Delete>{inner}</Delete>")
}

fn entry(inner: &str) -> String {
    batch(&format!("<Object><Key>k</Key>{inner}</Object>"))
}

#[test]
fn a_target_with_two_readings_is_refused() {
    let mut reasons = String::new();
    for (method, target) in [
        ("DELETE", "/vault/k?versionId=a&versionId=b"),
        ("DELETE", "/vault/k?versionId=&versionId=a"),
        ("DELETE", "/vault/k?versionId="),
        ("DELETE", "/vault/k?versionId"),
        ("GET", "/vault/k?versionId="),
        ("DELETE", "/vault/k?versionid=a"),
        ("DELETE", "/vault/k?versionId%3Da"),
        ("DELETE", "/vault/k??versionId=a"),
        ("DELETE", "/vault/k?versionId=%7Ba%7D"),
        ("DELETE", "/vault/k?versionId=urn%3Auuid%3Aa"),
        ("DELETE", "/vault/k?versionId=%20a"),
        ("DELETE", "/vault/k?acl&versionId=a"),
        ("DELETE", "/vault/k?retention"),
        ("DELETE", "/vault/k?torrent"),
        ("DELETE", "/vault/k?uploadId=&versionId=a"),
        ("DELETE", "/vault/k?uploadId="),
        ("DELETE", "/vault/k?uploadId=2~u&versionId=a"),
        ("DELETE", "/vault?versioning"),
        ("DELETE", "/vault?object-lock"),
        ("DELETE", "/vault?notification"),
        ("DELETE", "/vault?requestPayment"),
        ("DELETE", "/vault?acl"),
        ("DELETE", "/vault?xyzzy"),
        ("DELETE", "/vault?delete"),
        ("DELETE", "/vault?uploads"),
        ("DELETE", "/vault?location"),
        ("DELETE", "/vault?versionId=a"),
        ("DELETE", "/vault?intelligent-tiering"),
        ("DELETE", "/vault?inventory"),
        ("DELETE", "/vault?policyStatus"),
        ("DELETE", "/vault?accelerate"),
        ("DELETE", "/vault?logging"),
        ("PUT", "/vault/k?versionId=a"),
        ("POST", "/vault/k?uploads&versionId=a"),
        ("PUT", "/vault/k?xyzzy"),
        ("PUT", "/vault/k?append&position=0"),
        ("PUT", "/vault/k?uploadId=2~u"),
        ("PUT", "/vault/k?partNumber=1"),
        ("PUT", "/vault/k?partNumber=0&uploadId=2~u"),
        ("PUT", "/vault/k?partNumber=+1&uploadId=2~u"),
        ("PUT", "/vault?xyzzy"),
        ("PUT", "/vault?acl&versioning"),
        ("PUT", "/vault?versioning=true"),
        ("GET", "/vault?acl&policy"),
        ("GET", "/vault?list-type=3"),
        ("GET", "/vault?max-keys=-1"),
        ("GET", "/vault?prefix=a%00b"),
        ("GET", "/vault/k?response-content-type=a%0d%0ab"),
        ("GET", "/vault/k?x-id=DeleteObject"),
        ("PUT", "/vault/k?x-id=CopyObject"),
        ("POST", "/vault/k?delete"),
        ("POST", "/vault/k"),
        ("POST", "/vault"),
        ("POST", "/"),
        ("PUT", "/"),
        ("DELETE", "/"),
        ("HEAD", "/"),
        ("GET", "//vault/k?versionId=a"),
        ("GET", "//"),
        ("GET", "/vault%2Fk"),
        ("DELETE", "/vault%2Fk?versionId=a"),
        ("DELETE", "/:vault/k?versionId=a"),
        ("DELETE", "/tenant:vault/k?versionId=a"),
        ("GET", "/tenant%3Avault/k"),
        ("GET", "/Vault/k"),
        ("GET", "/192.168.1.1/k"),
        ("GET", "/va..ult/k"),
        ("GET", "/vault/%00"),
        ("GET", "/vault/%FF"),
        ("GET", "/vault/%zz"),
        ("GET", "/v%FFault/k"),
    ] {
        for upstream in [UpstreamKind::Minio, UpstreamKind::Aws] {
            assert!(is_refused(upstream, method, target, &[], ""), "{method} {target}");
        }
        let reason = refusal(CEPH, method, target, &[], "").expect("refused");
        writeln!(reasons, "{method} {target}\n    {reason}").expect("text");
    }
    insta::assert_snapshot!(reasons);
    assert_eq!(action(&format!("GET /vault/{}", "k".repeat(1025))), Err(UnclearReason::KeyTooLong(1025)));
}

#[test]
fn an_encoded_name_means_what_it_decodes_to() {
    let request = ask(CEPH, "DELETE /%76ault/%6b?%76ersionId=a", &[], "").expect("understood");
    assert_eq!(request.bucket.map(|bucket| bucket.to_string()).as_deref(), Some("vault"));
    assert_eq!(request.version.map(|version| version.to_string()).as_deref(), Some("a"));
    assert_eq!(request.hazard, Hazard::DestroysVersion);
}

#[test]
fn a_batch_with_two_readings_is_refused() {
    let mut reasons = String::new();
    for body in [
        entry("<VersionId>a</VersionId><VersionId>b</VersionId>"),
        entry("<VersionId/><VersionId>a</VersionId>"),
        entry("<VersionId/>"),
        entry("<VersionId> </VersionId>"),
        entry("<VersionId> a</VersionId>"),
        entry("<VersionId>a<!-- --></VersionId>"),
        entry("<VersionId>a<!-- -->b</VersionId>"),
        entry("<VersionId><![CDATA[a]]></VersionId>"),
        entry("<VersionId><a/></VersionId>"),
        entry("<versionId>a</versionId>"),
        entry("<VersionID>a</VersionID>"),
        entry("<x:VersionId xmlns:x=\"http://s3.amazonaws.com/doc/2006-03-01/\">a</x:VersionId>"),
        entry("<VersionId x=\"y\">a</VersionId>"),
        entry("<Key>l</Key>"),
        entry("<VersionPurgeStatus>x</VersionPurgeStatus>"),
        entry("<ETag>e</ETag>"),
        entry("text"),
        batch("<Object><VersionId>a</VersionId></Object>"),
        batch("<Object><Key/></Object>"),
        batch("<Object><Key>a&#0;b</Key></Object>"),
        batch("<Object><Key>a&#1;b</Key></Object>"),
        batch("<Object><Key>a\u{1}b</Key></Object>"),
        batch("<Object><Key>k</Key></Object><Quiet>1</Quiet>"),
        batch("<Object><Key>k</Key></Object><Quiet>true</Quiet><Quiet>false</Quiet>"),
        batch("text<Object><Key>k</Key></Object>"),
        entry("").replace("Delete", "Remove"),
        format!("{}{}", entry(""), entry("")),
        format!("{}junk", entry("")),
        format!("<!DOCTYPE Delete [<!ENTITY v \"a\">]>{}", entry("<VersionId>&v;</VersionId>")),
        format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{}", entry("")),
        String::from_utf8_lossy(&entry("").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).into_owned(),
    ] {
        let reason = refusal(CEPH, "POST", "/vault?delete", &[], &body).expect("refused");
        writeln!(reasons, "{body}\n    {reason}").expect("text");
    }
    insta::assert_snapshot!(reasons.replace('\0', "~"));
    assert!(!is_refused(CEPH, "POST", "/vault?delete", &[], &entry("<VersionId>a</VersionId>")));
}

#[test]
fn lists_may_interleave() {
    let body =
        batch("<Object><Key>a</Key></Object><Quiet>false</Quiet><Object><VersionId>v</VersionId><Key>b</Key></Object>");
    assert_eq!(hazard(CEPH, "POST /vault?delete", &body), Ok(Hazard::DestroysVersion));
}

#[test]
fn keys_that_minio_would_clean_are_refused_there() {
    for target in [
        "/vault//k",
        "/vault/a//b",
        "/vault/./k",
        "/vault/a/../k",
        "/vault/a/%2e%2e/k",
        "/vault/..",
        "/vault/a%5C..%5Ck",
        "/vault/%2Fk",
        "/vault/dir__XLDIR__",
        "/vault/a__XLDIR__/b",
        "/vault/k%5Bminio_cache:v2,return:%5D",
    ] {
        for upstream in [UpstreamKind::Minio, UpstreamKind::Generic] {
            assert!(is_refused(upstream, "GET", target, &[], ""), "{target}");
        }
        for upstream in [UpstreamKind::Aws, UpstreamKind::Ceph] {
            assert!(!is_refused(upstream, "GET", target, &[], ""), "{target}");
        }
    }
    let leading = batch("<Object><Key>/k</Key></Object>");
    assert!(is_refused(UpstreamKind::Minio, "POST", "/vault?delete", &[], &leading));
    assert!(!is_refused(UpstreamKind::Ceph, "POST", "/vault?delete", &[], &leading));
}

#[test]
fn a_header_that_commands_a_store_is_refused_everywhere() {
    for (name, value) in [
        ("x-minio-force-delete", "true"),
        ("x-minio-force-create", "true"),
        ("x-minio-source-mtime", "1"),
        ("x-minio-internal-x", "1"),
        ("x-minio-extract", "true"),
        ("x-rustfs-force-delete", "true"),
        ("x-rgw-object-type", "1"),
        ("rgwx-version-id", "1"),
        ("x-object-manifest", "1"),
        ("x-container-meta-a", "1"),
        ("x-amz-replication-status", "REPLICA"),
        ("x-amz-meta-snowball-auto-extract", "true"),
        ("x-amz-meta-minio-snowball-prefix", "a"),
        ("x-amz-meta-x-amz-key", "a"),
        ("x-amz-write-offset-bytes", "0"),
        ("x-amz-unknown", "1"),
    ] {
        let reason = format!("NotImplemented(Header({name:?}))");
        for (method, target) in [("DELETE", "/vault"), ("PUT", "/vault"), ("PUT", "/vault/k"), ("DELETE", "/vault/k")] {
            for upstream in [CEPH, UpstreamKind::Minio, UpstreamKind::Aws] {
                let refusal = refusal(upstream, method, target, &[(name, value)], "");
                assert_eq!(refusal.as_deref(), Some(reason.as_str()), "{method} {target}");
            }
        }
    }
    assert!(is_refused(CEPH, "PUT", "/vault/k?acl", &[("x-amz-copy-source", "vault/other")], ""));
    assert!(is_refused(CEPH, "PUT", "/vault/k?partNumber=1&uploadId=2~u", &[("if-none-match", "*")], ""));
}

#[test]
fn what_lies_beside_s3_is_refused() {
    let mut reasons = String::new();
    for (method, target) in [
        ("GET", "/minio/admin/v3/info"),
        ("PUT", "/minio/admin/v3/import-bucket-metadata"),
        ("GET", "/minio/health/live"),
        ("GET", "/rustfs/admin/v3/info"),
        ("GET", "/admin/user"),
        ("GET", "/swift/v1"),
        ("GET", "/auth/v1.0"),
        ("GET", "/v1/AUTH_a"),
        ("GET", "/iceberg/v1/config"),
        ("GET", "/_iceberg/v1/config"),
        ("POST", "/node_service.NodeService/Call"),
        ("GET", "/notifications"),
        ("POST", "/?Action=AssumeRole"),
        ("GET", "/?events=s3:ObjectCreated:*"),
        ("GET", "/vault?events=s3:ObjectCreated:*"),
        ("GET", "/vault/k?lambdaArn=a"),
        ("PUT", "/vault?replication-reset"),
        ("GET", "/vault?replication-metrics=2"),
        ("GET", "/vault?replication-check"),
        ("GET", "/vault/k?rgwx-version-id=1"),
        ("GET", "/vault?mdsearch"),
        ("GET", "/?usage"),
        ("POST", "/vault?logging"),
        ("GET", "/vault?session"),
        ("GET", "/vault/k?torrent"),
        ("PUT", "/vault/k?renameObject"),
        ("POST", "/WriteGetObjectResponse"),
        ("GET", "/?Action=ListUsers&Version=2010-05-08"),
        ("PUT", "/vault/k?AWSAccessKeyId=a&Expires=1&Signature=s"),
    ] {
        for upstream in [UpstreamKind::Minio, UpstreamKind::Generic] {
            assert!(is_refused(upstream, method, target, &[], ""), "{method} {target}");
        }
        let reason = refusal(CEPH, method, target, &[], "").expect("refused");
        writeln!(reasons, "{method} {target}\n    {reason}").expect("text");
    }
    insta::assert_snapshot!(reasons);
}

#[test]
fn minios_listing_key_is_known_on_minio_alone() {
    assert!(!is_refused(UpstreamKind::Minio, "GET", "/vault?list-type=2&metadata=true", &[], ""));
    assert!(is_refused(UpstreamKind::Minio, "GET", "/vault?metadata=true", &[], ""));
    assert!(is_refused(CEPH, "GET", "/vault?list-type=2&metadata=true", &[], ""));
}

#[test]
fn elements_that_only_minio_knows_are_refused_by_name() {
    let rule = |inner: &str| format!("<LifecycleConfiguration><Rule>{inner}</Rule></LifecycleConfiguration>");
    for (line, body, name) in [
        (
            "PUT /vault?lifecycle",
            rule("<Expiration><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>"),
            "ExpiredObjectAllVersions",
        ),
        (
            "PUT /vault?lifecycle",
            rule("<DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>"),
            "DelMarkerExpiration",
        ),
        ("POST /vault/k?restore", "<RestoreRequest><Type>SELECT</Type></RestoreRequest>".to_owned(), "Type"),
        ("POST /vault/k?restore", "<RestoreRequest><OutputLocation/></RestoreRequest>".to_owned(), "OutputLocation"),
    ] {
        assert_eq!(
            ask(UpstreamKind::Minio, line, &[], &body).err(),
            Some(UnclearReason::NotImplemented(UnsupportedPart::Element(name.to_owned())))
        );
    }
}

/// Requests from which others are made by adding to them.
const HONEST: &[&str] = &[
    "DELETE /vault/k",
    "DELETE /vault/k?versionId=a",
    "PUT /vault/k",
    "PUT /vault",
    "DELETE /vault",
    "GET /vault?versioning",
    "DELETE /vault?lifecycle",
    "GET /vault/k",
    "DELETE /vault/k?uploadId=2~u",
    "PUT /vault/k?partNumber=1&uploadId=2~u",
];

fn any_key() -> impl Strategy<Value = String> {
    let known: Vec<String> = S3Operation::ALL
        .iter()
        .map(|action| action.row())
        .flat_map(|row| row.marks.iter().filter_map(|mark| mark.query_key()).chain(row.query.concat()))
        .map(str::to_owned)
        .collect();
    prop_oneof![proptest::sample::select(known), "[a-zA-Z-]{1,12}"]
}

/// How much a hazard asks of a caller, in the one respect that matters here: nothing, or something.
fn asks(hazard: Hazard) -> u8 {
    match hazard {
        Hazard::None | Hazard::OpensUpload => 0,
        Hazard::ReplacesNullVersion => 1,
        Hazard::ChangesVersioning(_)
        | Hazard::CreatesBucket
        | Hazard::DeletesBucket
        | Hazard::DestroysVersion
        | Hazard::ExpiresVersions
        | Hazard::ExposesData
        | Hazard::ReplacesUnversioned
        | Hazard::Replicates
        | Hazard::WeakensProtection => 2,
    }
}

proptest! {
    #[test]
    fn a_key_added_to_a_request_is_refused_or_makes_it_that_keys_own_operation(
        line in proptest::sample::select(HONEST),
        key in any_key(),
        value in "[a-z0-9]{0,3}",
    ) {
        let plain = ask(CEPH, line, &[], "").expect("honest");
        let joint = if line.contains('?') { '&' } else { '?' };
        let target = format!("{line}{joint}{}={}", percent_encode(&key), percent_encode(&value));
        let (method, path) = target.split_once(' ').expect("a line");
        let Ok(head) = head(method, path, &[("content-length", "0")]) else { return Ok(()) };
        let Ok(routed) = route(&head, &routing(CEPH)) else { return Ok(()) };
        if routed.action() == plain.action {
            let added = routed.complete(None).expect("as before");
            prop_assert!(asks(added.hazard) >= asks(plain.hazard), "{target}");
        } else {
            // Another operation only by that operation's own mark, which then goes upstream with it.
            prop_assert!(routed.row().marks.iter().any(|mark| mark.query_key() == Some(key.as_str())), "{target}");
        }
    }

    #[test]
    fn an_unknown_key_ends_here_on_a_read_and_is_refused_on_a_write(
        line in proptest::sample::select(HONEST),
        key in "[a-z]{13,20}",
    ) {
        let joint = if line.contains('?') { '&' } else { '?' };
        let plain = ask(CEPH, line, &[], "").expect("honest");
        let longer = ask(CEPH, &format!("{line}{joint}{key}"), &[], "");
        match plain.action.row().access {
            OperationAccess::Read => prop_assert_eq!(format!("{:?}", longer.expect("a read")), format!("{plain:?}")),
            OperationAccess::Write => prop_assert!(longer.is_err()),
        }
    }

    #[test]
    fn a_header_added_to_a_request_never_changes_what_it_does(
        line in proptest::sample::select(HONEST),
        name in prop_oneof!["x-amz-[a-z-]{1,20}", "x-minio-[a-z-]{1,20}", "[a-z][a-z-]{1,20}"],
    ) {
        prop_assume!(!matches!(name.as_str(), "host" | "content-length" | "transfer-encoding"));
        let plain = ask(CEPH, line, &[], "").expect("honest");
        if let Ok(added) = ask(CEPH, line, &[(name.as_str(), "1")], "") {
            prop_assert_eq!((added.action, added.hazard), (plain.action, plain.hazard));
        }
    }

    #[test]
    fn reading_a_request_never_panics(
        method in proptest::sample::select(vec!["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"]),
        path in "/[a-z]{0,4}[/%2FA:.\\\\a-z]{0,12}",
        query in "[a-zA-Z%=&2-]{0,30}",
        body in "[<>/!?a-zA-Z&#; ]{0,60}",
    ) {
        if let Ok(uri) = format!("{path}?{query}").parse::<http::Uri>() {
            is_refused(UpstreamKind::Generic, method, &uri.to_string(), &[], &body);
        }
    }

    #[test]
    fn reading_a_document_never_panics(
        action in proptest::sample::select(S3Operation::ALL),
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        if let OperationBody::Document(grammar) | OperationBody::OptionalDocument(grammar) = action.row().body {
            let open = format!("<{}>", grammar.root).into_bytes();
            let close = format!("</{}>", grammar.root).into_bytes();
            let document = [open, body, close].concat();
            documents::read(grammar, &document, &routing(CEPH)).ok();
        }
    }
}
