//! Which headers go on to the upstream, which end here, and which make a request refused.

use http::header::{self, HeaderName, HeaderValue};

use super::profile::{AccountSupport, ChecksumSupport, ExpiresHeader, StoreProfile};
use super::row::{OperationAccess, OperationBody, OperationRow};
use super::stray;
use super::target::RoutingRules;
use super::unclear::{UnclearReason, UnsupportedPart};
use portcullis_base::names::AccountId;
use portcullis_http::RequestHead;

/// The name under which the embedded store takes `Expires`: S3 keeps any text, and s3s takes dates alone.
pub const EMBEDDED_EXPIRES: HeaderName = HeaderName::from_static("x-portcullis-expires");

/// Headers by what they are about; a name that ends with `-` stands for all that begin with it.
pub(super) mod group {
    pub(crate) const ACL: &[&str] =
        &["x-amz-acl", "x-amz-grant-full-control", "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write-acp"];
    pub(crate) const ATTRIBUTES: &[&str] = &["x-amz-max-parts", "x-amz-object-attributes", "x-amz-part-number-marker"];
    pub(crate) const BUCKET_ACL: &[&str] = &[
        "x-amz-acl",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write",
        "x-amz-grant-write-acp",
    ];
    pub(crate) const BUCKET_CREATION: &[&str] = &["x-amz-bucket-object-lock-enabled", "x-amz-object-ownership"];
    pub(crate) const BYPASS: &[&str] = &["x-amz-bypass-governance-retention"];
    pub(crate) const CHECKSUM: &[&str] = &[
        "content-md5",
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-md5",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "x-amz-checksum-sha512",
        "x-amz-checksum-xxhash128",
        "x-amz-checksum-xxhash3",
        "x-amz-checksum-xxhash64",
    ];
    pub(crate) const CHECKSUM_ALGORITHM: &[&str] = &["x-amz-checksum-algorithm"];
    pub(crate) const CHECKSUM_MODE: &[&str] = &["x-amz-checksum-mode"];
    pub(crate) const CHECKSUM_TYPE: &[&str] = &["x-amz-checksum-type", "x-amz-mp-object-size"];
    pub(crate) const CONFIRM: &[&str] = &["x-amz-confirm-remove-self-bucket-access"];
    pub(crate) const CONTENT: &[&str] =
        &["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];
    pub(crate) const COPY: &[&str] = &[
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-source-expected-bucket-owner",
    ];
    pub(crate) const COPY_CUSTOMER_KEY: &[&str] = &[
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key-md5",
    ];
    pub(crate) const COPY_RANGE: &[&str] = &["x-amz-copy-source-range"];
    pub(crate) const CUSTOMER_KEY: &[&str] = &[
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
    ];
    pub(crate) const DELETE_CONDITION: &[&str] =
        &["if-match", "x-amz-if-match-last-modified-time", "x-amz-if-match-size"];
    pub(crate) const DIRECTIVE: &[&str] = &["x-amz-metadata-directive", "x-amz-tagging-directive"];
    pub(crate) const ENCRYPTION: &[&str] = &[
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-bucket-key-enabled",
        "x-amz-server-side-encryption-context",
    ];
    pub(crate) const INITIATED: &[&str] = &["x-amz-if-match-initiated-time"];
    pub(crate) const LOCK: &[&str] =
        &["x-amz-object-lock-legal-hold", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"];
    pub(crate) const LOCK_TOKEN: &[&str] = &["x-amz-bucket-object-lock-token"];
    pub(crate) const METADATA: &[&str] = &["x-amz-meta-"];
    pub(crate) const OPTIONAL_ATTRIBUTES: &[&str] = &["x-amz-optional-object-attributes"];
    pub(crate) const PLACEMENT: &[&str] = &["x-amz-storage-class", "x-amz-tagging", "x-amz-website-redirect-location"];
    pub(crate) const RANGE: &[&str] = &["range"];
    pub(crate) const READ_CONDITION: &[&str] =
        &["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"];
    pub(crate) const SKIP_VALIDATION: &[&str] = &["x-amz-skip-destination-validation"];
    pub(crate) const TRANSITION: &[&str] = &["x-amz-transition-default-minimum-object-size"];
    pub(crate) const WRITE_CONDITION: &[&str] = &["if-match", "if-none-match"];
}

/// The headers of a request, apart by where they go.
#[derive(Debug, Default)]
pub(super) struct SortedHeaders {
    pub carried: Vec<(HeaderName, HeaderValue)>,
    pub copy_source: Option<String>,
    /// The owner the client expects, where the upstream knows no accounts and we answer for it.
    pub expected_owner: Option<AccountId>,
    pub expected_source_owner: Option<AccountId>,
}

/// Where one header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeaderFate {
    Carry,
    /// An earlier stage has read it, or none needs it.
    End,
    Refuse,
    /// Read here.
    Take,
}

/// Name spaces in which each header commands something, to S3 or to one of the stores that speak it.
pub(super) const COMMANDING: &[&str] =
    &["x-amz-", "x-minio-", "x-rustfs-", "x-rgw-", "rgwx-", "x-object-", "x-container-"];

/// What is said of a checksum beside its value. Where the operation has no such checksum it says nothing.
const ABOUT_CHECKSUMS: &[&str] = &["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];

/// Checksums that only some stores look at.
const NEWER_CHECKSUMS: &[&str] = &[
    "x-amz-checksum-md5",
    "x-amz-checksum-sha512",
    "x-amz-checksum-xxhash128",
    "x-amz-checksum-xxhash3",
    "x-amz-checksum-xxhash64",
];

/// What SDKs and CloudFront say of themselves; no store acts on it.
const CHATTER: &[&str] =
    &["amz-sdk-", "x-amz-api-version", "x-amz-cf-id", "x-amz-sdk-", "x-amz-te", "x-amz-user-agent"];

/// Headers of signing, framing and MFA: read by other stages, never passed on.
const ELSEWHERE: &[&str] = &[
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-mfa",
    "x-amz-security-token",
    "x-amz-trailer",
];

/// Headers whose value is a number, with no sign that one store would read and another not.
const NUMBERS: &[&str] = &["x-amz-max-parts", "x-amz-mp-object-size", "x-amz-part-number-marker"];

/// Metadata that MinIO takes for orders: to unpack an archive over other keys, to forge its own records.
const FORBIDDEN_METADATA: &[&str] =
    &["x-amz-meta-snowball-auto-extract", "x-amz-meta-minio-", "x-amz-meta-x-amz-", "x-amz-meta-x-minio-"];

/// Sorts the headers of a request, and those that a presigned URL carries in its query.
pub(super) fn sort(
    head: &RequestHead,
    row: &OperationRow,
    routing: &RoutingRules,
) -> Result<SortedHeaders, UnclearReason> {
    let mut sorted = SortedHeaders::default();
    let profile = routing.upstream.profile();
    for (name, value) in head.headers.iter() {
        let fate = fate(name.as_str(), row, profile);
        match name {
            &header::RANGE if fate == HeaderFate::Carry && !is_readable_range(value) => {}
            &header::EXPIRES if profile.expires == ExpiresHeader::Renamed => {
                sorted.add(EMBEDDED_EXPIRES, value.clone(), fate)?;
            }
            name => sorted.add(name.clone(), value.clone(), fate)?,
        }
    }
    for (key, value) in head.query.pairs() {
        if !is_presigned_header(head, key) {
            continue;
        }
        let name = key.to_ascii_lowercase();
        let fate = match fate(&name, row, profile) {
            // The signer of a URL does not have the body: SDKs put the checksum of an empty one there, and S3 ignores it.
            HeaderFate::Carry if name.starts_with("x-amz-checksum-") && is_payload(row.body) => HeaderFate::End,
            // What routes, signs or proves must be where every reader looks for it.
            HeaderFate::Take if name == "x-amz-copy-source" => HeaderFate::Refuse,
            HeaderFate::End if ELSEWHERE.contains(&name.as_str()) => HeaderFate::Refuse,
            unmoved @ (HeaderFate::Carry | HeaderFate::End | HeaderFate::Refuse | HeaderFate::Take) => unmoved,
        };
        let refused = || UnclearReason::NotImplemented(UnsupportedPart::QueryKey(key.clone()));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let value = HeaderValue::from_str(value).map_err(|_| refused())?;
        let twice = head.headers.has(&name) || sorted.carried.iter().any(|(carried, _)| *carried == header);
        if fate == HeaderFate::Refuse || twice {
            return Err(refused());
        }
        sorted.add(header, value, fate)?;
    }
    Ok(sorted)
}

/// Whether S3 reads a Range header: one range of bytes, its end not before its start. It ignores any other and sends
/// the whole object, where stores refuse some and differ on the rest.
fn is_readable_range(value: &HeaderValue) -> bool {
    let Some(range) = value.to_str().ok().and_then(|text| text.strip_prefix("bytes=")) else { return false };
    let Some((first, last)) = range.split_once('-') else { return false };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (first, last) {
        ("", last) => number(last).is_some(),
        (first, "") => number(first).is_some(),
        (first, last) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
    }
}

/// Whether a query key is a header that the signer of a URL moved there.
pub(super) fn is_presigned_header(head: &RequestHead, key: &str) -> bool {
    let control = key.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
    control && head.query.has("X-Amz-Signature") && !SIGNING_KEYS.contains(&key)
}

/// The query keys of a presigned URL that are about its signature.
pub(super) const SIGNING_KEYS: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

impl SortedHeaders {
    fn add(&mut self, name: HeaderName, mut value: HeaderValue, fate: HeaderFate) -> Result<(), UnclearReason> {
        match fate {
            HeaderFate::Carry => {
                if NUMBERS.contains(&name.as_str()) && !value.as_bytes().iter().all(u8::is_ascii_digit) {
                    return Err(UnclearReason::NotImplemented(UnsupportedPart::Header(name.as_str().to_owned())));
                }
                if name == http::header::CONTENT_ENCODING {
                    match without_chunking(&value) {
                        Some(rest) => value = rest,
                        None => return Ok(()),
                    }
                }
                value.set_sensitive(name.as_str().ends_with("-customer-key"));
                self.carried.push((name, value));
            }
            HeaderFate::End => {}
            HeaderFate::Refuse => {
                return Err(UnclearReason::NotImplemented(UnsupportedPart::Header(name.as_str().to_owned())));
            }
            HeaderFate::Take => {
                let text = value.to_str().unwrap_or_default().to_owned();
                match name.as_str() {
                    "x-amz-copy-source" => self.copy_source = Some(text),
                    "x-amz-source-expected-bucket-owner" => self.expected_source_owner = Some(account(text)?),
                    _ => self.expected_owner = Some(account(text)?),
                }
            }
        }
        Ok(())
    }
}

fn fate(name: &str, row: &OperationRow, profile: &StoreProfile) -> HeaderFate {
    // What nearly every request has, and no operation takes.
    if matches!(
        name,
        "accept-encoding" | "authorization" | "host" | "user-agent" | "x-amz-content-sha256" | "x-amz-date"
    ) {
        return HeaderFate::End;
    }
    let knows_accounts = profile.accounts == AccountSupport::Known;
    let allowed = row.takes_header(name);
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    match name {
        "x-amz-copy-source" if allowed => HeaderFate::Take,
        "x-amz-source-expected-bucket-owner" if allowed && !knows_accounts => HeaderFate::Take,
        "x-amz-expected-bucket-owner" if !knows_accounts => HeaderFate::Take,
        "x-amz-expected-bucket-owner" => HeaderFate::Carry,
        "x-amz-request-payer" if knows_accounts => HeaderFate::Carry,
        "x-amz-request-payer" => HeaderFate::End,
        // Of the document as it was sent, also where the other sums are of the object that it puts together.
        "content-md5" if is_document(row.body) => HeaderFate::End,
        _ if begins(FORBIDDEN_METADATA) => HeaderFate::Refuse,
        // Verified while the body passes, independent of the store.
        _ if allowed && profile.checksums == ChecksumSupport::Older && NEWER_CHECKSUMS.contains(&name) => {
            HeaderFate::End
        }
        _ if allowed => HeaderFate::Carry,
        _ if ELSEWHERE.contains(&name) || begins(CHATTER) => HeaderFate::End,
        _ if ABOUT_CHECKSUMS.contains(&name) => HeaderFate::End,
        // Of a document as it was sent, which is rewritten with checksums of its own; or of no body at all, as SDKs
        // send with every read.
        _ if name.starts_with("x-amz-checksum-") && !is_payload(row.body) => HeaderFate::End,
        _ if stray::ends_header(row, name) => HeaderFate::End,
        _ if begins(COMMANDING) => HeaderFate::Refuse,
        // A write whose condition is not looked at could destroy what the condition was to keep.
        _ if name.starts_with("if-") && row.access == OperationAccess::Write => HeaderFate::Refuse,
        _ => HeaderFate::End,
    }
}

fn is_payload(body: OperationBody) -> bool {
    match body {
        OperationBody::Payload => true,
        OperationBody::Document(_)
        | OperationBody::Nothing
        | OperationBody::OptionalDocument(_)
        | OperationBody::Policy => false,
    }
}

fn is_document(body: OperationBody) -> bool {
    match body {
        OperationBody::Document(_) | OperationBody::OptionalDocument(_) | OperationBody::Policy => true,
        OperationBody::Nothing | OperationBody::Payload => false,
    }
}

fn account(text: String) -> Result<AccountId, UnclearReason> {
    AccountId::parse(&text).map_err(|_| UnclearReason::InvalidBucketOwner(text))
}

/// The content's own encoding, without the coding that only frames it on the way here.
fn without_chunking(value: &HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = value.to_str() else { return Some(value.clone()) };
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    if kept.is_empty() { None } else { HeaderValue::from_str(&kept.join(",")).ok() }
}
