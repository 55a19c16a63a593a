use super::{CEPH, ask};
use crate::{S3Request, UnclearReason, UnsupportedPart, UpstreamKind};

const SIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=60\
                      &X-Amz-SignedHeaders=host&X-Amz-Signature=s";

/// All that is sent upstream of a request.
fn sent(request: &S3Request) -> String {
    format!("{request:?}")
}

#[test]
fn what_networks_browsers_and_sdks_add_to_a_read_ends_here() {
    for (line, plain) in [
        ("GET /vault/k?v=123", "GET /vault/k"),
        ("GET /vault/k?_=1&utm_source=mail", "GET /vault/k"),
        ("HEAD /vault/k?cachebuster", "HEAD /vault/k"),
        ("GET /vault/k?versionId=a&v=123", "GET /vault/k?versionId=a"),
        ("GET /vault/k?max-keys=", "GET /vault/k"),
        ("GET /vault/k?prefix=a", "GET /vault/k"),
        ("GET /vault?list-type=1", "GET /vault"),
        ("GET /vault?list-type=1&prefix=a", "GET /vault?prefix=a"),
        ("GET /vault?max-keys=", "GET /vault"),
        ("GET /vault?versioning&v=1", "GET /vault?versioning"),
        ("GET /?v=1", "GET /"),
    ] {
        for upstream in [CEPH, UpstreamKind::Minio, UpstreamKind::Aws, UpstreamKind::Generic, UpstreamKind::Embedded] {
            let request = ask(upstream, line, &[], "").expect(line);
            assert_eq!(sent(&request), sent(&ask(upstream, plain, &[], "").expect(plain)), "{line}");
        }
    }
    for (name, value) in [
        ("x-amz-cf-id", "dtdQYNjTBg"),
        ("x-amz-api-version", "2006-03-01"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-something-of-a-later-sdk", "1"),
    ] {
        for line in ["GET /vault/k", "HEAD /vault/k", "GET /vault", "GET /", "GET /vault?versioning"] {
            let request = ask(CEPH, line, &[(name, value)], "").expect(name);
            assert_eq!(sent(&request), sent(&ask(CEPH, line, &[], "").expect(line)), "{line} {name}");
        }
        let moved = format!("GET /vault/k?{SIGNED}&{name}={value}");
        let request = ask(CEPH, &moved, &[], "").expect("presigned");
        assert_eq!(sent(&request), sent(&ask(CEPH, "GET /vault/k", &[], "").expect("plain")), "{moved}");
    }
}

#[test]
fn what_another_operation_or_a_store_reads_is_refused_on_a_read_too() {
    for line in [
        "GET /vault/k?uploads",
        "GET /vault/k?restore",
        "GET /vault/k?delete",
        "GET /vault?select",
        "GET /vault?list-type=3",
        "GET /vault?list-type=",
        "GET /vault?events=s3:ObjectCreated:*",
        "GET /vault?metadata=true",
        "GET /vault?replication-metrics",
        "GET /vault/k?lambdaArn=a",
        "GET /vault/k?rgwx-stat=true",
        "GET /vault/k?X-Minio-Extract=true",
        "GET /vault/k?x-amz-acl=private",
        "GET /vault?mdsearch",
        "GET /?usage",
        "GET /?Action=ListUsers",
        "GET /vault/k?multipart-manifest=get",
    ] {
        assert!(ask(CEPH, line, &[], "").is_err(), "{line}");
        assert!(ask(UpstreamKind::Minio, line, &[], "").is_err(), "{line}");
    }
    for name in [
        "x-amz-acl",
        "x-amz-copy-source",
        "x-amz-meta-a",
        "x-amz-replication-status",
        "x-amz-server-side-encryption",
        "x-amz-write-offset-bytes",
        "x-minio-extract",
        "x-rgw-object-type",
        "rgwx-version-id",
    ] {
        let refused = Some(UnclearReason::NotImplemented(UnsupportedPart::Header(name.to_owned())));
        assert_eq!(ask(CEPH, "GET /vault/k", &[(name, "1")], "").err(), refused);
    }
}

#[test]
fn a_write_carries_nothing_that_is_not_understood() {
    for line in ["PUT /vault/k", "DELETE /vault/k", "PUT /vault", "DELETE /vault", "POST /vault/k?uploads"] {
        let joint = if line.contains('?') { '&' } else { '?' };
        for key in ["v=123", "_=1", "list-type=1", "prefix=a"] {
            assert!(ask(CEPH, &format!("{line}{joint}{key}"), &[], "").is_err(), "{line} {key}");
        }
        assert!(ask(CEPH, line, &[("x-amz-something-of-a-later-sdk", "1")], "").is_err(), "{line}");
        for said in [("x-amz-cf-id", "a"), ("x-amz-api-version", "2006-03-01")] {
            let request = ask(CEPH, line, &[said], "").expect(line);
            assert!(request.headers.iter().all(|(name, _)| name.as_str() != said.0), "{line}");
        }
    }
}
