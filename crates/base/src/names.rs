//! The names a request can speak of, each a type whose `parse` is the only door.
//!
//! After `parse` no further check is needed: a `BucketName` is always a valid bucket name.

use std::fmt;
use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Why a text is not the name it was offered as.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidName {
    #[error("access key id is not 3 to 128 characters of `A-Za-z0-9_.+@-`")]
    AccessKeyId,
    #[error("account id is not 12 digits")]
    AccountId,
    #[error("bucket name is not 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket,
    #[error("bucket name is reserved")]
    BucketReserved,
    #[error("device serial is not 1 to 256 characters of `A-Za-z0-9+=/:,.@_-`")]
    DeviceSerial,
    #[error("group name is not 1 to 128 characters of `A-Za-z0-9+=,.@_-`")]
    GroupName,
    #[error("object key is empty")]
    KeyEmpty,
    #[error("object key holds a NUL character")]
    KeyControl,
    #[error("object key is longer than 1024 bytes")]
    KeyTooLong,
    #[error("policy name is not 1 to 128 characters of `A-Za-z0-9+=,.@_-`")]
    PolicyName,
    #[error("user name is not 1 to 64 characters of `A-Za-z0-9+=,.@_-`")]
    UserName,
    #[error("version id is empty")]
    VersionEmpty,
    #[error("version id is not 1 to 1024 characters of `A-Za-z0-9._-`")]
    Version,
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// A bucket's name in the strict grammar of AWS's general purpose buckets.
    BucketName
}
name! {
    /// An object's key: 1 to 1024 bytes of UTF-8 without NUL.
    ObjectKey
}
name! {
    /// A version's id, opaque but for its alphabet; `null` in any case, and the nil UUID, are `null`.
    VersionId
}
name! {
    /// The public half of an access key.
    AccessKeyId
}
name! {
    /// The 12 digits of an AWS account.
    AccountId
}
name! {
    /// What names an MFA device in `x-amz-mfa`: an ARN, or a hardware token's serial number.
    DeviceSerial
}
name! {
    /// A group's name within the account.
    GroupName
}
name! {
    /// A policy's name within the account, or within its holder.
    PolicyName
}
name! {
    /// A user's name within the account.
    UserName
}

/// Names that upstreams route to something that is not a bucket.
const RESERVED_BUCKETS: &[&str] =
    &["_iceberg", "admin", "auth", "iceberg", "minio", "notifications", "probe", "rustfs", "swift"];

impl BucketName {
    /// Takes a text that follows AWS's rules for general purpose bucket names.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let legal = (3..=63).contains(&bytes.len())
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
            && !text.contains("..")
            && text.parse::<Ipv4Addr>().is_err();
        if !legal {
            return Err(InvalidName::Bucket);
        }
        if RESERVED_BUCKETS.contains(&text) {
            return Err(InvalidName::BucketReserved);
        }
        Ok(Self(text.into()))
    }
}

impl ObjectKey {
    /// Takes a decoded key. NUL is refused, since stores with C strings cut the key there; other control characters
    /// are part of keys, such as macOS's `Icon\r`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::KeyEmpty);
        }
        if text.len() > 1024 {
            return Err(InvalidName::KeyTooLong);
        }
        if text.contains('\0') {
            return Err(InvalidName::KeyControl);
        }
        Ok(Self(text.into()))
    }
}

impl VersionId {
    /// Takes a version id as a client wrote it; empty is an error, never "no version".
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::VersionEmpty);
        }
        let legal =
            text.len() <= 1024 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !legal {
            return Err(InvalidName::Version);
        }
        // MinIO and RustFS read these as the null version; one spelling leaves here.
        let is_nil_uuid = matches!(text.len(), 32 | 36) && text.bytes().all(|b| matches!(b, b'0' | b'-'));
        if text.eq_ignore_ascii_case("null") || is_nil_uuid {
            return Ok(Self("null".into()));
        }
        Ok(Self(text.into()))
    }

    /// Whether this names the version that has no id of its own.
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }
}

impl AccessKeyId {
    /// Takes 3 to 128 characters. IAM's `accessKeyIdType` has 16 to 128 letters, digits and underscores; MinIO and Ceph
    /// take as access key id whatever its user chose, from 3 characters on.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+@-".contains(&byte);
        let legal = (3..=128).contains(&text.len()) && text.bytes().all(is_legal);
        if legal { Ok(Self(text.into())) } else { Err(InvalidName::AccessKeyId) }
    }
}

impl AccountId {
    /// Takes exactly 12 digits.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let legal = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if legal { Ok(Self(text.into())) } else { Err(InvalidName::AccountId) }
    }
}

impl DeviceSerial {
    /// Takes IAM's `serialNumberType` without its lower bound, which AWS's own S3 examples break.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let legal = (1..=256).contains(&text.len())
            && text.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'=' | b'/' | b':' | b',' | b'.' | b'@' | b'-')
            });
        if legal { Ok(Self(text.into())) } else { Err(InvalidName::DeviceSerial) }
    }

    /// The ARN of a virtual device of this name in the account.
    pub fn virtual_device(account: &AccountId, name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() || name.contains('/') {
            return Err(InvalidName::DeviceSerial);
        }
        Self::parse(&format!("arn:aws:iam::{account}:mfa/{name}"))
    }

    /// The device's own name: what follows the last `/`, else the whole serial.
    pub fn device_name(&self) -> &str {
        self.as_str().rsplit('/').next().unwrap_or(self.as_str())
    }
}

impl GroupName {
    /// Takes IAM's `groupNameType`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_identity_name(text, 128) { Ok(Self(text.into())) } else { Err(InvalidName::GroupName) }
    }
}

impl PolicyName {
    /// Takes IAM's `policyNameType`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_identity_name(text, 128) { Ok(Self(text.into())) } else { Err(InvalidName::PolicyName) }
    }
}

impl UserName {
    /// Takes IAM's `userNameType`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_identity_name(text, 64) { Ok(Self(text.into())) } else { Err(InvalidName::UserName) }
    }
}

/// IAM's pattern for names, `[\w+=,.@-]+`.
fn is_identity_name(text: &str, longest: usize) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-');
    (1..=longest).contains(&text.len()) && text.bytes().all(legal)
}

/// The id of one request: 16 characters of `0-9A-Z`, as S3 writes it, or a UUID, as the control APIs do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    text: [u8; 36],
    length: usize,
}

/// What S3 says of a reply beside the request's id, `x-amz-id-2`: 76 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostId([u8; 76]);

impl RequestId {
    /// Makes an id of 80 random bits.
    pub fn from_random(random: [u8; 16]) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut text = [0; 36];
        for (place, byte) in text.iter_mut().zip(random) {
            *place = ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'0');
        }
        Self { text, length: random.len() }
    }

    /// Makes a UUID of version 4.
    pub fn uuid(random: [u8; 16]) -> Self {
        let mut text = [0; 36];
        uuid::Builder::from_random_bytes(random).into_uuid().hyphenated().encode_lower(&mut text);
        Self { text, length: text.len() }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // The alphabet is ASCII, so this cannot fail; an empty id would show if it did.
        self.text.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }
}

impl HostId {
    /// Makes an id of 448 random bits.
    pub fn from_random(random: [u8; 56]) -> Self {
        let mut text = [b'='; 76];
        // 56 bytes are 76 characters, the last of them `=`.
        _ = STANDARD.encode_slice(random, &mut text);
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_name_follows_the_rules_of_general_purpose_buckets() {
        for good in ["vault", "a-b.c", "123", &"a".repeat(63)] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Vault", "a..b", "-ab", "ab-", "tenant:b", ":b", "1.2.3.4", "a_b", "a b", &"a".repeat(64)]
        {
            assert_eq!(BucketName::parse(bad), Err(InvalidName::Bucket), "{bad}");
        }
        assert_eq!(BucketName::parse("minio"), Err(InvalidName::BucketReserved));
    }

    #[test]
    fn an_empty_version_id_is_an_error_and_never_no_version() {
        assert_eq!(VersionId::parse(""), Err(InvalidName::VersionEmpty));
    }

    #[test]
    fn every_spelling_of_the_null_version_is_null() {
        for spelling in
            ["null", "NULL", "Null", "00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000"]
        {
            assert!(VersionId::parse(spelling).is_ok_and(|id| id.is_null()), "{spelling}");
        }
    }

    #[test]
    fn a_version_id_carries_no_white_space_and_no_braces() {
        for bad in [" v", "v ", "{v}", "urn:uuid:v", "a&b", "a=b", "a/b"] {
            assert_eq!(VersionId::parse(bad), Err(InvalidName::Version), "{bad}");
        }
    }

    #[test]
    fn a_key_is_bytes_of_utf8_without_control_characters() {
        assert!(ObjectKey::parse("été/2026 %2F?x=1").is_ok());
        assert_eq!(ObjectKey::parse("a\0b"), Err(InvalidName::KeyControl));
        assert_eq!(ObjectKey::parse(&"k".repeat(1025)), Err(InvalidName::KeyTooLong));
    }
}
