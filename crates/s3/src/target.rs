//! What a request's path and host name: a service, a bucket or an object.

use super::opaque::names_a_cache;
use super::profile::{FolderObjects, KeyReading, UpstreamKind};
use super::row::TargetLevel;
use super::unclear::UnclearReason;
use portcullis_base::names::{BucketName, InvalidName, ObjectKey};
use portcullis_base::percent::percent_decode;
use portcullis_http::RequestHead;

/// What routing depends on beside the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRules {
    /// The domain under which buckets are hosts of their own, in lower case.
    pub base_domain: Option<String>,
    pub upstream: UpstreamKind,
}

/// A path cut in its two parts, neither of them read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathTarget<'a> {
    bucket: Option<&'a str>,
    key: Option<&'a str>,
}

/// Why a text is not a key that this upstream reads as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    /// Legal in S3, but another key, or a forbidden one, for the upstream.
    Aliased,
    Invalid,
    TooLong(usize),
}

impl RoutingRules {
    /// Reads a decoded key.
    pub(super) fn key(&self, text: &str) -> Result<ObjectKey, KeyFault> {
        let key = ObjectKey::parse(text).map_err(|error| {
            let long = error == InvalidName::KeyTooLong;
            if long { KeyFault::TooLong(text.len()) } else { KeyFault::Invalid }
        })?;
        let is_itself = match self.upstream.profile().keys {
            KeyReading::AsIs => true,
            KeyReading::CleanedPaths => {
                // `/k` and `a//k` are other keys than they say.
                !(text.starts_with('/')
                    || text.contains("//")
                    || has_dot_segment(text)
                    || names_a_cache(text)
                    || names_a_folder_object(text))
            }
            KeyReading::Paths => !has_dot_segment(text),
        };
        if is_itself { Ok(key) } else { Err(KeyFault::Aliased) }
    }

    /// Whether a key is one of MinIO's folder objects, which never have versions.
    pub(super) fn is_folder_object(&self, key: &ObjectKey) -> bool {
        match self.upstream.profile().folder_objects {
            FolderObjects::Unversioned => key.as_str().ends_with('/'),
            FolderObjects::Versioned => false,
        }
    }
}

impl<'a> PathTarget<'a> {
    /// Cuts the raw path at its first `/`, or takes the bucket from the host.
    pub(super) fn split(head: &'a RequestHead, routing: &RoutingRules) -> Result<Self, UnclearReason> {
        let path = head.path.strip_prefix('/').ok_or(UnclearReason::InvalidUri)?;
        if let Some(bucket) = virtual_bucket(&head.host, routing) {
            return Ok(Self { bucket: Some(bucket), key: Some(path).filter(|key| !key.is_empty()) });
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        match (bucket, key) {
            ("", "") if path.is_empty() => Ok(Self { bucket: None, key: None }),
            // `//b/k` is the bucket list, a missing bucket or `b` and `k`, depending on who reads it.
            ("", _) => Err(UnclearReason::InvalidUri),
            (bucket, "") => Ok(Self { bucket: Some(bucket), key: None }),
            (bucket, key) => Ok(Self { bucket: Some(bucket), key: Some(key) }),
        }
    }

    pub(super) fn level(&self) -> TargetLevel {
        match (self.bucket, self.key) {
            (None, _) => TargetLevel::Service,
            (Some(_), None) => TargetLevel::Bucket,
            (Some(_), Some(_)) => TargetLevel::Object,
        }
    }

    pub(super) fn bucket(&self) -> Result<Option<BucketName>, UnclearReason> {
        let Some(raw) = self.bucket else { return Ok(None) };
        let text = percent_decode(raw).ok_or(UnclearReason::InvalidUri)?;
        BucketName::parse(&text).map(Some).map_err(|_| UnclearReason::InvalidBucketName(text))
    }

    pub(super) fn key(&self, routing: &RoutingRules) -> Result<Option<ObjectKey>, UnclearReason> {
        let Some(raw) = self.key else { return Ok(None) };
        let text = percent_decode(raw).ok_or(UnclearReason::InvalidUri)?;
        routing.key(&text).map(Some).map_err(|bad| match bad {
            KeyFault::Aliased | KeyFault::Invalid => UnclearReason::InvalidUri,
            KeyFault::TooLong(size) => UnclearReason::KeyTooLong(size),
        })
    }
}

fn virtual_bucket<'a>(host: &'a str, routing: &RoutingRules) -> Option<&'a str> {
    let base = routing.base_domain.as_deref()?;
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    // A name with its final dot is the same name, fully qualified.
    let host = host.strip_suffix('.').unwrap_or(host);
    let dot = host.len().checked_sub(base.len() + 1)?;
    let (bucket, rest) = host.split_at_checked(dot)?;
    let matches = rest.strip_prefix('.').is_some_and(|domain| domain.eq_ignore_ascii_case(base));
    (matches && !bucket.is_empty()).then_some(bucket)
}

/// Whether a key is written as MinIO names a folder object on its disk: `k__XLDIR__` is `k/` there.
fn names_a_folder_object(key: &str) -> bool {
    key.split('/').any(|segment| segment.ends_with("__XLDIR__"))
}

fn has_dot_segment(key: &str) -> bool {
    // A backslash separates segments for MinIO's check, and for Windows.
    key.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}
