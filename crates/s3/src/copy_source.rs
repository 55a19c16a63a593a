//! The object a copy reads: `x-amz-copy-source`, read as S3 reads it and no other way.

use super::profile::CopySourceDecoding;
use super::target::RoutingRules;
use super::unclear::UnclearReason;
use super::{CopySource, S3Operation, version};
use portcullis_base::names::BucketName;
use portcullis_base::percent::percent_decode;

const NAME: &str = "x-amz-copy-source";
const TEXT: &str = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";

const PERCENT: &str = "This store cannot copy a part from a key with a percent sign or `?versionId=` in it. Copy the \
                       whole object to another key first.";

impl CopySource {
    /// Reads `[/]bucket/key[?versionId=id]`, its path percent-encoded once.
    pub(super) fn parse(value: &str, routing: &RoutingRules, action: S3Operation) -> Result<Self, UnclearReason> {
        let refused = |text| UnclearReason::InvalidArgument { name: NAME, value: value.to_owned(), text };
        let invalid = || refused(TEXT);
        let (path, query) = match value.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (value, None),
        };
        let version = match query {
            None => None,
            Some(query) => {
                let raw = query.strip_prefix("versionId=").ok_or_else(invalid)?;
                Some(version(NAME, &percent_decode(raw).ok_or_else(invalid)?, routing)?)
            }
        };
        // Some clients encode the slash between bucket and key as well, so decoding comes first.
        let decoded = percent_decode(path).ok_or_else(invalid)?;
        let path = decoded.strip_prefix('/').unwrap_or(&decoded);
        let (bucket, key) = path.split_once('/').ok_or_else(invalid)?;
        // Decoded once, `%3FversionId%3D` looks to the store like the version of a shorter key.
        let changes = key.contains('%') || key.contains("?versionId=");
        let decodes_twice = routing.upstream.profile().copied_parts == CopySourceDecoding::Twice;
        if action == S3Operation::UploadPartCopy && decodes_twice && changes {
            return Err(refused(PERCENT));
        }
        Ok(Self {
            bucket: BucketName::parse(bucket).map_err(|_| invalid())?,
            key: routing.key(key).map_err(|_| invalid())?,
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UpstreamKind;
    use proptest::prelude::*;

    fn parse(value: &str) -> Option<(String, String, Option<String>)> {
        let routing = RoutingRules { base_domain: None, upstream: UpstreamKind::Ceph };
        let source = CopySource::parse(value, &routing, S3Operation::CopyObject).ok()?;
        Some((source.bucket.to_string(), source.key.to_string(), source.version.map(|version| version.to_string())))
    }

    fn read(bucket: &str, key: &str, version: Option<&str>) -> Option<(String, String, Option<String>)> {
        Some((bucket.to_owned(), key.to_owned(), version.map(str::to_owned)))
    }

    #[test]
    fn a_source_is_a_bucket_a_key_and_perhaps_a_version() {
        assert_eq!(parse("vault/k"), read("vault", "k", None));
        assert_eq!(parse("/vault/a%20b/c%3Fd"), read("vault", "a b/c?d", None));
        assert_eq!(parse("vault%2Fk?versionId=v1"), read("vault", "k", Some("v1")));
    }

    #[test]
    fn a_part_is_copied_from_a_key_with_a_percent_sign_where_the_store_decodes_once() {
        let copies = |upstream, action, value| {
            CopySource::parse(value, &RoutingRules { base_domain: None, upstream }, action).is_ok()
        };
        let takes = |upstream| copies(upstream, S3Operation::UploadPartCopy, "vault/100%25");
        assert!([UpstreamKind::Aws, UpstreamKind::Embedded, UpstreamKind::Minio].into_iter().all(takes));
        for upstream in [UpstreamKind::Ceph, UpstreamKind::Generic] {
            assert!(!takes(upstream) && !copies(upstream, S3Operation::UploadPartCopy, "vault/a%252Fb"));
            assert!(copies(upstream, S3Operation::UploadPartCopy, "vault/a%20b"));
            assert!(copies(upstream, S3Operation::CopyObject, "vault/100%25"));
        }
    }

    #[test]
    fn a_source_with_two_readings_is_refused() {
        for value in [
            "",
            "vault",
            "/vault/",
            "//vault/k",
            "tenant:vault/k",
            "arn:aws:s3:::vault/k",
            "vault/k?versionId=",
            "vault/k?versionId=a&versionId=b",
            "vault/k?versionId=a?versionId=b",
            "vault/k?versionid=a",
            "vault/k?versionId=a&x=y",
            "vault/k?",
            "vault/%zz",
            "vault/a%00",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(value in ".*") {
            let _ = parse(&value);
        }
    }
}
