//! The table as a whole: its snapshot, AWS's model held against it, and requests that stores read differently.

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::prelude::*;

use super::documents::grammar::{ElementInner, ElementRule};
use super::row::OperationBody;
use super::unclear::UnclearReason;
use super::*;
use portcullis_base::names::ObjectKey;
use portcullis_base::percent::percent_encode;
use portcullis_http::{MalformedHead, Peer, RequestHead, Transport};

mod ambiguity;
mod model;
mod permission;
mod snapshot;
mod stray;

const CEPH: UpstreamKind = UpstreamKind::Ceph;

fn routing(upstream: UpstreamKind) -> RoutingRules {
    RoutingRules { base_domain: Some("s3.example.com".to_owned()), upstream }
}

/// A head as the listener would deliver it; its host is not one of the base domain's unless a header says so.
fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<RequestHead, MalformedHead> {
    let mut request = http::Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let peer = Peer { address: SocketAddr::from(([127, 0, 0, 1], 4000)), transport: Transport::Loopback };
    RequestHead::read(&parts, peer)
}

/// Reads a whole request; a body brings its length.
fn ask(upstream: UpstreamKind, line: &str, headers: &[(&str, &str)], body: &str) -> Result<S3Request, UnclearReason> {
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    if !body.is_empty() || method == "PUT" {
        headers.push(("content-length", length.as_str()));
    }
    let head = head(method, target, &headers).expect("a head the wire accepts");
    route(&head, &routing(upstream))
        .and_then(|routed| routed.complete(Some(Bytes::copy_from_slice(body.as_bytes()))))
        .map(|request| *request)
        .map_err(|unclear| unclear.reason)
}

fn action(line: &str) -> Result<S3Operation, UnclearReason> {
    ask(CEPH, line, &[], "").map(|request| request.action)
}

fn hazard(upstream: UpstreamKind, line: &str, body: &str) -> Result<Hazard, UnclearReason> {
    ask(upstream, line, &[], body).map(|request| request.hazard)
}

const ENABLE: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

#[test]
fn a_bucket_is_the_same_in_the_path_and_in_the_host() {
    let routing = routing(CEPH);
    for (target, host) in [
        ("/vault/a%2Fb?acl", "localhost:9000"),
        ("/a%2Fb?acl", "vault.s3.example.com"),
        ("/a/b?acl", "vault.S3.Example.com:9000"),
        ("/vault/a/b?acl", "s3.example.com"),
        ("/vault/a/b?acl", "vault.other.example.com"),
    ] {
        let head = head("GET", target, &[("host", host)]).expect("a head");
        let routed = route(&head, &routing).expect("understood");
        assert_eq!(routed.action(), S3Operation::GetObjectAcl, "{target} at {host}");
        assert_eq!(routed.bucket().map(|bucket| bucket.as_str()), Some("vault"), "{target} at {host}");
        assert_eq!(routed.key().map(ObjectKey::as_str), Some("a/b"), "{target} at {host}");
    }
}

#[test]
fn a_slash_after_the_bucket_changes_nothing() {
    assert_eq!(action("DELETE /vault/"), Ok(S3Operation::DeleteBucket));
    assert_eq!(action("GET /vault/?versioning"), Ok(S3Operation::GetBucketVersioning));
}

#[test]
fn deletes_are_told_apart_by_the_version_they_name() {
    assert_eq!(hazard(CEPH, "DELETE /vault/k", ""), Ok(Hazard::ReplacesNullVersion));
    assert_eq!(hazard(CEPH, "DELETE /vault/k?versionId=null", ""), Ok(Hazard::DestroysVersion));
    let one = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>v</VersionId></Object></Delete>";
    assert_eq!(hazard(CEPH, "POST /vault?delete", one), Ok(Hazard::DestroysVersion));
    let none = "<Delete><Object><Key>a</Key></Object></Delete>";
    assert_eq!(hazard(CEPH, "POST /vault?delete", none), Ok(Hazard::ReplacesNullVersion));
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    assert_eq!(
        ask(CEPH, "POST /vault?delete", &bypass, none).map(|request| request.hazard),
        Ok(Hazard::ReplacesUnversioned)
    );
}

#[test]
fn a_document_names_the_buckets_that_the_store_would_write_into() {
    let destinations = |text: &str| {
        let document = format!(
            "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{text}</TargetBucket></LoggingEnabled></BucketLoggingStatus>"
        );
        let request = ask(CEPH, "PUT /vault?logging", &[], &document).expect("legal");
        request.destinations.iter().map(|bucket| bucket.as_str().to_owned()).collect::<Vec<_>>()
    };
    for text in ["logs", " logs&#10;", "tenant:logs", ":logs", "arn:aws:s3:::logs", "arn:aws:s3:::logs/x", "logs/"] {
        assert!(destinations(text).contains(&"logs".to_owned()), "{text}");
    }
    assert_eq!(destinations("").len() + destinations("No").len(), 0);
}

#[test]
fn every_element_that_holds_a_bucket_is_looked_at() {
    fn texts(rules: &[ElementRule], found: &mut Vec<&'static str>) {
        for rule in rules {
            match rule.inner {
                ElementInner::Elements(inner) => texts(inner, found),
                ElementInner::Text if rule.name.contains("Bucket") => found.push(rule.name),
                ElementInner::Text => {}
            }
        }
    }
    let mut found = Vec::new();
    for action in S3Operation::ALL {
        match action.row().body {
            OperationBody::Document(grammar) | OperationBody::OptionalDocument(grammar) => {
                texts(grammar.elements, &mut found)
            }
            OperationBody::Nothing | OperationBody::Payload | OperationBody::Policy => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    // An account, two switches, and what is no bucket of objects.
    let others = ["BucketAccountId", "BucketKeyEnabled", "RestrictPublicBuckets", "TableBucketArn"];
    found.retain(|name| !others.contains(name));
    assert_eq!(found, ["Bucket", "TargetBucket"]);
}

#[test]
fn minio_keeps_no_versions_of_a_folder() {
    for upstream in [UpstreamKind::Minio, UpstreamKind::Generic] {
        for line in ["PUT /vault/dir/", "DELETE /vault/dir/"] {
            assert_eq!(hazard(upstream, line, ""), Ok(Hazard::ReplacesUnversioned), "{line}");
        }
        let batch = "<Delete><Object><Key>dir/</Key></Object></Delete>";
        assert_eq!(hazard(upstream, "POST /vault?delete", batch), Ok(Hazard::ReplacesUnversioned));
        let copy = [("x-amz-copy-source", "vault/k")];
        let copied = ask(upstream, "PUT /vault/dir/", &copy, "").map(|request| (request.action, request.hazard));
        assert_eq!(copied, Ok((S3Operation::CopyObject, Hazard::ReplacesUnversioned)));
        let parts =
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";
        assert_eq!(
            hazard(upstream, &format!("POST /vault/dir/?uploadId={OF_MINIO}"), parts),
            Ok(Hazard::ReplacesUnversioned)
        );
        assert_eq!(hazard(upstream, "DELETE /vault/dir/?versionId=v", ""), Ok(Hazard::DestroysVersion));
    }
    assert_eq!(hazard(CEPH, "DELETE /vault/dir/", ""), Ok(Hazard::ReplacesNullVersion));
}

#[test]
fn the_versioning_document_is_read_as_aws_reads_it() {
    let versioning = |inner: &str| {
        let body =
            format!("<VersioningConfiguration xmlns=\"{}\">{inner}</VersioningConfiguration>", documents::NAMESPACE);
        let request = ask(CEPH, "PUT /vault?versioning", &[], &body)?;
        let Hazard::ChangesVersioning(change) = request.hazard else { panic!("{request:?}") };
        Ok((change.status, change.mfa_delete))
    };
    use MfaDeleteChange::{Disable, Enable, Keep};
    use VersioningStatus::{Enabled, Suspended};
    assert_eq!(versioning("<Status>Enabled</Status>"), Ok((Enabled, Keep)));
    assert_eq!(versioning("<Status>Suspended</Status>"), Ok((Suspended, Keep)));
    assert_eq!(versioning("<MfaDelete>Enabled</MfaDelete><Status>Enabled</Status>"), Ok((Enabled, Enable)));
    assert_eq!(versioning("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>"), Ok((Enabled, Disable)));
    for inner in ["", "\n", "<MfaDelete>Enabled</MfaDelete>"] {
        assert_eq!(versioning(inner), Err(UnclearReason::IllegalVersioningConfiguration), "{inner}");
    }
    for inner in [
        "<Status>enabled</Status>",
        "<Status>Disabled</Status>",
        "<Status> Enabled</Status>",
        "<Status/>",
        "<Status>Enabled</Status><MFADelete>Enabled</MFADelete>",
        "<Status>Enabled</Status><MfaDelete>enabled</MfaDelete>",
        "<Status>Enabled</Status><MfaDelete/>",
        "<Status>Enabled</Status><Status>Suspended</Status>",
        "<Status><Status>Enabled</Status></Status>",
    ] {
        assert_eq!(versioning(inner), Err(UnclearReason::MalformedXml), "{inner}");
    }
    for (inner, name) in [
        ("<Status>Enabled</Status><ExcludeFolders>true</ExcludeFolders>", "ExcludeFolders"),
        ("<ExcludedPrefixes><Prefix>*</Prefix></ExcludedPrefixes><Status>Enabled</Status>", "ExcludedPrefixes"),
    ] {
        assert_eq!(versioning(inner), Err(UnclearReason::NotImplemented(UnsupportedPart::Element(name.to_owned()))));
    }
}

#[test]
fn documents_that_decide_their_own_hazard_decide_it() {
    let blocks = |values: [&str; 4]| {
        let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
        let inner: String = names.iter().zip(values).map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        let body = format!("<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>");
        hazard(CEPH, "PUT /vault?publicAccessBlock", &body)
    };
    assert_eq!(blocks(["true"; 4]), Ok(Hazard::None));
    assert_eq!(blocks(["true", "true", "true", "false"]), Ok(Hazard::WeakensProtection));
    assert_eq!(blocks(["true", "true", "true", "TRUE"]), Err(UnclearReason::MalformedXml));
    let hold = |status: &str| {
        hazard(CEPH, "PUT /vault/k?legal-hold", &format!("<LegalHold><Status>{status}</Status></LegalHold>"))
    };
    assert_eq!(hold("ON"), Ok(Hazard::None));
    assert_eq!(hold("OFF"), Ok(Hazard::WeakensProtection));
    assert_eq!(hold("off"), Err(UnclearReason::MalformedXml));
}

#[test]
fn what_is_forwarded_of_a_document_is_written_by_us() {
    let sent = "<?xml version='1.0'?>\n<!-- x --><Tagging xmlns=''>\n <TagSet><Tag><Key>a&#38;b</Key><Value/></Tag></TagSet></Tagging>";
    let request = ask(CEPH, "PUT /vault/k?tagging", &[], sent).expect("understood");
    let RequestDocument::Rewritten(written) = request.document else { panic!("{:?}", request.document) };
    assert_eq!(
        String::from_utf8_lossy(&written),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <TagSet><Tag><Key>a&amp;b</Key><Value></Value></Tag></TagSet></Tagging>"
    );
}

#[test]
fn a_batch_is_one_to_a_thousand_legal_entries() {
    let batch = |count: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(count));
    assert!(ask(CEPH, "POST /vault?delete", &[], &batch(1000)).is_ok());
    for count in [0, 1001] {
        assert_eq!(
            ask(CEPH, "POST /vault?delete", &[], &batch(count)).err(),
            Some(UnclearReason::MalformedXml),
            "{count}"
        );
    }
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>";
    let request = ask(CEPH, "POST /vault?delete", &[], quiet).expect("understood");
    assert!(matches!(request.document, RequestDocument::DeleteObjects(DeleteObjects { quiet: true, .. })));
}

#[test]
fn a_body_must_be_where_one_belongs_and_only_there() {
    assert_eq!(ask(CEPH, "GET /vault/k", &[], "x").err(), Some(UnclearReason::UnexpectedContent));
    assert_eq!(
        ask(CEPH, "DELETE /vault/k", &[("transfer-encoding", "chunked")], "").err(),
        Some(UnclearReason::UnexpectedContent)
    );
    assert_eq!(ask(CEPH, "PUT /vault?versioning", &[], "").err(), Some(UnclearReason::MissingRequestBody));
    assert_eq!(ask(CEPH, "POST /vault?delete", &[], "").err(), Some(UnclearReason::MissingContentLength));
    let long = format!("<VersioningConfiguration>{}{ENABLE}", " ".repeat(4096));
    assert_eq!(
        ask(CEPH, "PUT /vault?versioning", &[], &long).err(),
        Some(UnclearReason::MaxMessageLengthExceeded(4096))
    );
    assert!(ask(CEPH, "PUT /vault", &[], "").is_ok());
    let head = head("PUT", "/vault/k", &[("content-length", "5368709121")]).expect("a head");
    assert_eq!(route(&head, &routing(CEPH)).err().map(|unclear| unclear.reason), Some(UnclearReason::EntityTooLarge));
}

#[test]
fn sdk_chatter_is_accepted_and_not_passed_on() {
    let chatter = [
        ("amz-sdk-invocation-id", "1"),
        ("amz-sdk-request", "attempt=1"),
        ("x-amz-user-agent", "aws-sdk-js"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-te", "append-md5"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-date", "20260101T000000Z"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-mfa", "serial 123456"),
        ("x-amz-security-token", "t"),
        ("x-amz-request-payer", "requester"),
        ("expect", "100-continue"),
        ("user-agent", "aws-cli"),
        ("content-encoding", "aws-chunked"),
        ("content-type", "text/plain"),
    ];
    let request = ask(CEPH, "PUT /vault/k?x-id=PutObject", &chatter, "hello").expect("understood");
    let carried: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(carried, ["content-type"]);
    assert_eq!(request.query, []);
    let framed = [
        ("content-encoding", "aws-chunked, gzip"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-decoded-content-length", "1"),
    ];
    let gzip = ask(CEPH, "PUT /vault/k", &framed, "x").expect("understood");
    assert_eq!(gzip.headers.first().and_then(|(_, value)| value.to_str().ok()), Some("gzip"));
}

#[test]
fn sums_of_a_document_as_it_was_sent_are_not_passed_on() {
    let sums = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("x-amz-checksum-crc32", "AAAAAA==")];
    let carried = |line: &str, body: &str| {
        let request = ask(CEPH, line, &sums, body).expect("understood");
        request.headers.iter().map(|(name, _)| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    let both = ["content-md5", "x-amz-checksum-crc32"];
    assert_eq!(carried("PUT /vault/k", "content"), both);
    assert!(carried("POST /vault?delete", "<Delete><Object><Key>k</Key></Object></Delete>").is_empty());
    let parts =
        "<CompleteMultipartUpload><Part><ETag>e</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
    assert_eq!(carried("POST /vault/k?uploadId=2~u", parts), ["x-amz-checksum-crc32"], "of the object");
}

/// An upload id as MinIO gives it out.
const OF_MINIO: &str =
    "OGE1MGYyZjgtNWVjNS00ZDc2LTlmMTItNWYxZjBhM2M2ZTAxLjBmOGZhZDViLWQ5Y2ItNDY5Zi1hMTY1LTcwODY3NzI4OTUwZXgx";

/// An upload id as stores of this kind give it out.
fn upload_id(kind: UpstreamKind) -> &'static str {
    match kind {
        UpstreamKind::Aws | UpstreamKind::Generic | UpstreamKind::Minio => OF_MINIO,
        UpstreamKind::Ceph => "2~u",
        UpstreamKind::Embedded => "81a0edd09c55ec821d80c4e036f7385a",
    }
}

#[test]
fn a_framed_body_and_the_length_of_what_is_in_it_go_together() {
    let reason = |headers: &[(&str, &str)], length: &str| {
        let headers = [headers, &[("content-length", length)]].concat();
        let head = head("PUT", "/vault/k", &headers).expect("a head");
        route(&head, &routing(CEPH)).err().map(|unclear| unclear.reason)
    };
    let (decoded, framed) =
        (("x-amz-decoded-content-length", "5"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
    for length in ["6442450944", "18446744073709551613"] {
        assert_eq!(reason(&[], length), Some(UnclearReason::EntityTooLarge));
        assert_eq!(
            reason(&[decoded], length),
            Some(UnclearReason::EntityTooLarge),
            "a plain body is as long as it says"
        );
        assert_eq!(
            reason(&[("x-amz-decoded-content-length", length), framed], "9"),
            Some(UnclearReason::EntityTooLarge)
        );
    }
    assert_eq!(reason(&[decoded, framed], "100"), None);
    for coding in ["aws-chunked", "AWS-Chunked,gzip", "gzip, aws-chunked"] {
        let coding = ("content-encoding", coding);
        assert!(matches!(
            reason(&[coding, decoded], "5"),
            Some(UnclearReason::InvalidArgument { name: "Content-Encoding", .. })
        ));
        assert_eq!(reason(&[coding, decoded, framed], "100"), None);
    }
}

#[test]
fn a_bypass_of_retention_asks_for_a_code_on_every_form_of_delete() {
    let bypass = |value| [("x-amz-bypass-governance-retention", value)];
    let of = |line: &str, value, body: &str| ask(CEPH, line, &bypass(value), body).map(|request| request.hazard);
    let batch = "<Delete><Object><Key>k</Key></Object></Delete>";
    for value in ["true", "TRUE", "1", ""] {
        assert_eq!(of("DELETE /vault/k", value, ""), Ok(Hazard::ReplacesUnversioned), "{value}");
        assert_eq!(of("POST /vault?delete", value, batch), Ok(Hazard::ReplacesUnversioned), "{value}");
        assert_eq!(of("DELETE /vault/k?versionId=v", value, ""), Ok(Hazard::DestroysVersion), "{value}");
    }
    assert_eq!(of("DELETE /vault/k", "false", ""), Ok(Hazard::ReplacesNullVersion));
    assert_eq!(of("POST /vault?delete", "False", batch), Ok(Hazard::ReplacesNullVersion));
}

#[test]
fn keys_prefixes_and_markers_may_hold_control_characters_but_nul() {
    for kind in UpstreamKind::ALL {
        for line in ["GET /vault/Icon%0D", "PUT /vault/a%01b%7F", "GET /vault?prefix=a%01&marker=Icon%0D&delimiter=%0A"]
        {
            assert!(ask(kind, line, &[], "").is_ok(), "{kind:?} {line}");
        }
        for line in [
            "GET /vault/a%00",
            "GET /vault?prefix=%00",
            "GET /vault?versions&key-marker=%00",
            "GET /vault/k?response-expires=%0D",
        ] {
            assert!(ask(kind, line, &[], "").is_err(), "{kind:?} {line}");
        }
    }
    let batch = "<Delete><Object><Key>Icon&#13;</Key></Object></Delete>";
    let request = ask(CEPH, "POST /vault?delete", &[], batch).expect("understood");
    match request.document {
        RequestDocument::DeleteObjects(batch) => assert_eq!(batch.objects[0].key.as_str(), "Icon\r"),
        RequestDocument::None
        | RequestDocument::Payload
        | RequestDocument::Rewritten(_)
        | RequestDocument::Versioning(_) => panic!("a batch"),
    }
}

#[test]
fn a_host_with_its_final_dot_is_the_same_host() {
    for host in ["vault.s3.example.com", "vault.s3.example.com.", "vault.S3.example.COM.:9000"] {
        let head = head("GET", "/photos/1.jpg", &[("host", host)]).expect("a head");
        let routed = route(&head, &routing(CEPH)).expect("understood");
        assert_eq!(routed.bucket().map(|bucket| bucket.as_str()), Some("vault"), "{host}");
    }
}

#[test]
fn what_is_said_of_checksums_ends_here_where_the_operation_has_none() {
    let said = [
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-mode", "ENABLED"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-checksum-xxhash3", "AAAAAAAAAAA="),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
    ];
    for kind in UpstreamKind::ALL {
        let carried = |line: &str, body: &str| {
            let request = ask(kind, line, &said, body).expect("understood");
            let names = request.headers.iter().map(|(name, _)| name.as_str().to_owned());
            names.filter(|name| name != "x-amz-checksum-xxhash3" || kind != UpstreamKind::Aws).collect::<Vec<_>>()
        };
        assert_eq!(carried("GET /vault/k", ""), ["x-amz-checksum-mode"], "{kind:?}");
        for line in ["GET /vault?list-type=2", "GET /", "DELETE /vault/k", "DELETE /vault/k?tagging"] {
            assert_eq!(carried(line, ""), [""; 0], "{kind:?} {line}");
        }
        assert_eq!(carried("PUT /vault/k", "content"), ["x-amz-checksum-crc32"], "{kind:?}");
        assert_eq!(
            carried(&format!("PUT /vault/k?partNumber=1&uploadId={}", upload_id(kind)), "content"),
            ["x-amz-checksum-crc32"],
            "{kind:?}"
        );
        let created = ["x-amz-checksum-algorithm", "x-amz-checksum-type"];
        assert_eq!(carried("POST /vault/k?uploads", ""), created, "{kind:?}");
        let unknown = [("x-amz-checksum-sha3", "AAAA")];
        assert!(ask(kind, "PUT /vault/k", &unknown, "content").is_err(), "{kind:?}: it would be stored unverified");
    }
}

#[test]
fn a_range_that_s3_ignores_is_not_sent_on() {
    let carried = |range: &str| {
        let request = ask(CEPH, "GET /vault/k", &[("range", range)], "").expect("understood");
        request.headers.first().map(|(_, value)| value.to_str().expect("text").to_owned())
    };
    for range in ["bytes=0-3", "bytes=-3", "bytes=9-", "bytes=20-30", "bytes=-0", "bytes=0-18446744073709551615"] {
        assert_eq!(carried(range).as_deref(), Some(range));
    }
    for range in [
        "bytes=5-2",
        "bytes=abc",
        "items=0-3",
        "bytes=0-1,3-4",
        "bytes=-",
        "bytes=",
        "bytes=+1-2",
        "bytes= 0-3",
        "bytes=0-99999999999999999999",
        "0-3",
    ] {
        assert_eq!(carried(range), None, "{range}");
    }
}

#[test]
fn expires_is_carried_as_the_client_wrote_it() {
    for (kind, name) in UpstreamKind::ALL.map(|kind| match kind {
        UpstreamKind::Embedded => (kind, "x-portcullis-expires"),
        UpstreamKind::Aws | UpstreamKind::Ceph | UpstreamKind::Generic | UpstreamKind::Minio => (kind, "expires"),
    }) {
        let request = ask(kind, "PUT /vault/k", &[("expires", "-1")], "x").expect("understood");
        let carried: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(carried, [(name, b"-1".as_slice())], "{kind:?}");
    }
    let forged = [("x-portcullis-expires", "never")];
    let request = ask(UpstreamKind::Embedded, "PUT /vault/k", &forged, "x").expect("understood");
    assert!(request.headers.is_empty(), "a client's own header of that name means nothing");
}

#[test]
fn a_customer_key_is_not_printed() {
    let key = [("x-amz-server-side-encryption-customer-key", "c2VjcmV0")];
    let request = ask(CEPH, "GET /vault/k", &key, "").expect("understood");
    assert!(!format!("{request:?}").contains("c2VjcmV0"));
}

#[test]
fn the_expected_owner_is_for_us_to_check_unless_the_upstream_is_aws() {
    let owner = [("x-amz-expected-bucket-owner", "123456789012")];
    let request = ask(CEPH, "GET /vault/k", &owner, "").expect("understood");
    assert_eq!(request.expected_owner.map(|owner| owner.to_string()).as_deref(), Some("123456789012"));
    assert!(request.headers.is_empty());
    let request = ask(UpstreamKind::Aws, "GET /vault/k", &owner, "").expect("understood");
    assert_eq!((request.expected_owner, request.headers.len()), (None, 1));
    let bad = [("x-amz-expected-bucket-owner", "me")];
    assert_eq!(ask(CEPH, "GET /vault/k", &bad, "").err(), Some(UnclearReason::InvalidBucketOwner("me".to_owned())));
}

#[test]
fn a_presigned_url_may_carry_headers_in_its_query() {
    let signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=60\
                  &X-Amz-SignedHeaders=host&X-Amz-Signature=s";
    let request = ask(CEPH, &format!("PUT /vault/k?{signed}&x-amz-acl=private&X-Amz-User-Agent=js"), &[], "x")
        .expect("understood");
    let carried: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((carried, request.query.len()), (vec!["x-amz-acl"], 0));
    for stray in ["x-amz-mfa=a", "x-amz-copy-source=vault%2Fk", "X-Amz-Security-token=t", "x-amz-acl=a&X-Amz-Acl=a"] {
        let line = format!("PUT /vault/k?{signed}&{stray}");
        assert!(
            matches!(
                ask(CEPH, &line, &[], "").err(),
                Some(UnclearReason::NotImplemented(UnsupportedPart::QueryKey(_)))
            ),
            "{stray}"
        );
    }
    assert!(ask(CEPH, "PUT /vault/k?x-amz-acl=private", &[], "").is_err());
    let checksum = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
    let request = ask(CEPH, &format!("PUT /vault/k?{signed}&{checksum}"), &[], "x").expect("understood");
    assert_eq!((request.headers.len(), request.query.len()), (0, 0), "of a body that the signer did not have");
}

#[test]
fn every_write_is_found_by_the_name_of_its_event_and_no_read_is() {
    for action in S3Operation::ALL {
        let found = S3Operation::write_of_event(action.row().event);
        assert_eq!(found, (action.row().access == OperationAccess::Write).then_some(*action), "{action:?}");
    }
}

#[test]
fn what_is_known_of_a_refused_request_comes_with_the_refusal() {
    let head = head("DELETE", "/vault/k?versionId=", &[]).expect("a head");
    let unclear = route(&head, &routing(CEPH)).expect_err("empty version id");
    assert_eq!(unclear.bucket.map(|bucket| bucket.to_string()).as_deref(), Some("vault"));
    assert_eq!(unclear.key.map(|key| key.to_string()).as_deref(), Some("k"));
    assert_eq!(unclear.action, Some(S3Operation::DeleteObject));
    let two = self::head("PUT", "/vault?acl&versioning", &[]).expect("a head");
    let unclear = route(&two, &routing(CEPH)).expect_err("two operations");
    assert_eq!(unclear.action, None);
    let bad = self::head("DELETE", "/Vault/k", &[]).expect("a head");
    let unclear = route(&bad, &routing(CEPH)).expect_err("no bucket's name");
    assert_eq!((unclear.bucket, unclear.action), (None, Some(S3Operation::DeleteObject)));
}

#[test]
fn a_preflight_is_ours_to_answer_wherever_it_points() {
    for target in ["/", "/vault", "/vault/k?uploads&x-id=PutObject"] {
        let head = head("OPTIONS", target, &[("origin", "https://a.example")]).expect("a head");
        let routed = route(&head, &routing(CEPH)).expect("understood");
        assert_eq!(
            (routed.action(), routed.handling()),
            (S3Operation::PreflightRequest, RequestHandling::Answered(LocalAnswer::Preflight))
        );
    }
}
