//! What events are looked up by.

use sha2::{Digest, Sha256};

/// What events are looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookupAttribute {
    AccessKeyId,
    BucketName,
    ErrorCode,
    EventId,
    EventName,
    /// The name without regard to case, as people type it.
    EventNameAnyCase,
    EventSource,
    MfaResult,
    /// Any name of the caller: `root`, `anonymous`, a user's name, an ARN, an access key id, a principal id.
    Principal,
    ReadOnly,
    /// A bucket, `bucket/key`, or the ARN of either; of the control APIs, what they name.
    ResourceName,
    ResourceType,
    SourceIpAddress,
    /// The user's name, the session's of a role, or `root`.
    Username,
}

impl LookupAttribute {
    /// Reads an `AttributeKey` of LookupEvents: AWS's eight, and four of ours.
    pub fn parse(key: &str) -> Option<Self> {
        Some(match key {
            "AccessKeyId" => Self::AccessKeyId,
            "BucketName" => Self::BucketName,
            "ErrorCode" => Self::ErrorCode,
            "EventId" => Self::EventId,
            "EventName" => Self::EventName,
            "EventSource" => Self::EventSource,
            "MfaResult" => Self::MfaResult,
            "ReadOnly" => Self::ReadOnly,
            "ResourceName" => Self::ResourceName,
            "ResourceType" => Self::ResourceType,
            "SourceIPAddress" => Self::SourceIpAddress,
            "Username" => Self::Username,
            _ => return None,
        })
    }

    /// The value as events have it.
    pub fn normal(self, value: &str) -> String {
        match self {
            Self::EventNameAnyCase => value.to_ascii_lowercase(),
            Self::ReadOnly => value.to_ascii_lowercase(),
            Self::ResourceName => resource_name(value).to_owned(),
            Self::AccessKeyId
            | Self::BucketName
            | Self::ErrorCode
            | Self::EventId
            | Self::EventName
            | Self::EventSource
            | Self::MfaResult
            | Self::Principal
            | Self::ResourceType
            | Self::SourceIpAddress
            | Self::Username => value.to_owned(),
        }
    }

    /// What stands for a value in the index. Two values may share one: the events themselves decide.
    pub fn term(self, normal: &str) -> i64 {
        let digest = Sha256::new().chain_update([self.tag()]).chain_update(normal).finalize();
        digest.first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes))
    }

    /// Written to disk: a tag never changes its meaning.
    fn tag(self) -> u8 {
        match self {
            Self::AccessKeyId => 1,
            Self::BucketName => 2,
            Self::ErrorCode => 3,
            Self::EventId => 4,
            Self::EventName => 5,
            Self::EventNameAnyCase => 6,
            Self::EventSource => 7,
            Self::MfaResult => 8,
            Self::Principal => 9,
            Self::ReadOnly => 10,
            Self::ResourceName => 11,
            Self::ResourceType => 12,
            Self::SourceIpAddress => 13,
            Self::Username => 14,
        }
    }
}

/// A resource's plain name: an ARN's bucket, `bucket/key`, user or trail; other names as they are.
pub fn resource_name(text: &str) -> &str {
    if let Some(path) = text.strip_prefix("arn:aws:s3:::") {
        return bucket_or_path(path);
    }
    let tail = |service: &str, kind: &str| text.strip_prefix(service)?.split_once(kind).map(|(_, name)| name);
    tail("arn:aws:iam::", ":user/").or_else(|| tail("arn:aws:cloudtrail:", ":trail/")).unwrap_or(bucket_or_path(text))
}

/// `bucket/` is the bucket; a key may well end in a slash.
fn bucket_or_path(path: &str) -> &str {
    path.strip_suffix('/').filter(|bucket| !bucket.contains('/')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_one_plain_name() {
        for (written, plain) in [
            ("vault", "vault"),
            ("vault/", "vault"),
            ("vault/a/b", "vault/a/b"),
            ("vault/a/", "vault/a/"),
            ("arn:aws:s3:::vault", "vault"),
            ("arn:aws:s3:::vault/", "vault"),
            ("arn:aws:s3:::vault/a/b", "vault/a/b"),
            ("arn:aws:iam::123456789012:user/alice", "alice"),
            ("arn:aws:iam::123456789012:mfa/phone", "arn:aws:iam::123456789012:mfa/phone"),
            ("arn:aws:cloudtrail:us-east-1:123456789012:trail/main", "main"),
        ] {
            assert_eq!(resource_name(written), plain, "{written}");
        }
    }

    #[test]
    fn the_same_value_of_two_attributes_is_two_terms() {
        assert_ne!(LookupAttribute::Username.term("root"), LookupAttribute::Principal.term("root"));
        assert_eq!(LookupAttribute::Username.term("root"), LookupAttribute::Username.term("root"));
    }
}
