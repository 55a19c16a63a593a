//! Between the fields of requests and answers and what the store remembers of an object.

use std::collections::BTreeMap;

use http::header::{EXPIRES, HeaderMap, HeaderValue};
use s3s::dto::{ETag, Owner, Timestamp as Moment};
use s3s::{S3Response, S3Result, TrailingHeaders, s3_error};

use super::digest::DigestClaims;
use super::faults::not_implemented;
use super::record::{ObjectHeaders, StoredAlgorithm};
use super::store::DevStore;
use portcullis_base::clock::Timestamp;
use portcullis_s3::EMBEDDED_EXPIRES;

/// The description in a request that makes an object.
macro_rules! description {
    ($input:expr, $headers:expr) => {
        $crate::record::ObjectHeaders {
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $crate::describe::stored_encoding($input.content_encoding.as_deref()),
            content_language: $input.content_language.clone(),
            content_type: $input.content_type.clone(),
            expires: $crate::describe::expires($headers),
            metadata: $crate::describe::metadata($input.metadata.as_ref())?,
            storage_class: $input.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            website_redirect: $input.website_redirect_location.clone(),
        }
    };
}

/// Refuses what a request that makes an object may ask for and this store cannot do.
macro_rules! refuse_unsupported {
    ($input:expr) => {{
        use $crate::describe;
        describe::refuse_encryption(&[
            $input.server_side_encryption.is_some(),
            $input.sse_customer_algorithm.is_some(),
            $input.sse_customer_key.is_some(),
            $input.ssekms_key_id.is_some(),
        ])?;
        describe::refuse_lock(&[
            $input.object_lock_legal_hold_status.is_some(),
            $input.object_lock_mode.is_some(),
            $input.object_lock_retain_until_date.is_some(),
        ])?;
        describe::refuse_acl(
            $input.acl.as_ref().map(|acl| acl.as_str()),
            &[
                $input.grant_full_control.is_some(),
                $input.grant_read.is_some(),
                $input.grant_read_acp.is_some(),
                $input.grant_write_acp.is_some(),
            ],
        )
    }};
}

pub(super) use {description, refuse_unsupported};

/// Fills the fields that GetObject and HeadObject share.
macro_rules! described {
    ($output:ident, $object:expr, $version:expr, $shown_id:expr) => {{
        let description = &$object.description;
        $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: description.cache_control.clone(),
            content_disposition: description.content_disposition.clone(),
            content_encoding: description.content_encoding.clone(),
            content_language: description.content_language.clone(),
            content_type: Some(description.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())),
            e_tag: Some($crate::describe::etag(&$object.etag)),
            last_modified: Some($crate::describe::moment($version.modified())),
            metadata: Some(description.metadata.clone().into_iter().collect()),
            storage_class: description
                .storage_class
                .clone()
                .filter(|class| class != s3s::dto::StorageClass::STANDARD)
                .map(s3s::dto::StorageClass::from),
            version_id: $shown_id,
            website_redirect_location: description.website_redirect.clone(),
            ..$output::default()
        }
    }};
}

pub(super) use described;

/// What a request says its body comes to, in its headers and in the trailer behind the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyClaims {
    claims: DigestClaims,
    trailer: Option<StoredAlgorithm>,
    wanted: Option<StoredAlgorithm>,
}

impl BodyClaims {
    /// Reads the headers of a request with a body.
    pub(crate) fn read(headers: &HeaderMap, content_md5: Option<String>) -> S3Result<Self> {
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut claimed = Self { claims: DigestClaims { md5: content_md5, checksum: None }, ..Self::default() };
        let given = StoredAlgorithm::ALL.map(|algorithm| Some((algorithm, value(algorithm.header())?.to_owned())));
        let mut given = given.into_iter().flatten();
        claimed.claims.checksum = given.next();
        claimed.trailer = StoredAlgorithm::ALL
            .into_iter()
            .find(|algorithm| value("x-amz-trailer").is_some_and(|trailer| trailer.trim() == algorithm.header()));
        let first = claimed.claims.checksum.as_ref().map(|(algorithm, _)| *algorithm);
        if given.next().is_some() || (first.is_some() && claimed.trailer.is_some()) {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
            ));
        }
        claimed.wanted = match value("x-amz-sdk-checksum-algorithm").or_else(|| value("x-amz-checksum-algorithm")) {
            Some(name) => Some(StoredAlgorithm::parse(&name.to_ascii_uppercase())?),
            None => None,
        };
        Ok(claimed)
    }

    /// The algorithm to take over the body, when the request decides it.
    pub(crate) fn algorithm(&self) -> Option<StoredAlgorithm> {
        self.claims.checksum.as_ref().map(|(algorithm, _)| *algorithm).or(self.trailer).or(self.wanted)
    }

    /// All claims, once the body and its trailer are read.
    pub(crate) fn complete(mut self, trailers: Option<&TrailingHeaders>) -> S3Result<DigestClaims> {
        if let Some(algorithm) = self.trailer {
            let value = |fields: &HeaderMap| Some(fields.get(algorithm.header())?.to_str().ok()?.to_owned());
            let value = trailers.and_then(|trailers| trailers.read(value)).flatten().ok_or_else(|| {
                s3_error!(InvalidRequest, "The trailer that x-amz-trailer announces did not follow the body.")
            })?;
            self.claims.checksum = Some((algorithm, value));
        }
        Ok(self.claims)
    }
}

/// An ETag as S3s writes it.
pub(crate) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// A moment as s3s writes it.
pub(crate) fn moment(timestamp: Timestamp) -> Moment {
    timestamp.system_time().into()
}

/// `Expires` as the client wrote it, which need not be a date: the proxy sends it under another name, since s3s
/// refuses what is none.
pub(crate) fn expires(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(EMBEDDED_EXPIRES).or_else(|| headers.get(EXPIRES))?;
    value.to_str().ok().map(str::to_owned)
}

/// An answer about an object, with the `Expires` that its writer gave it.
pub(crate) fn with_expires<T>(mut response: S3Response<T>, description: &ObjectHeaders) -> S3Response<T> {
    if let Some(value) = description.expires.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers.insert(EXPIRES, value);
    }
    response
}

/// The owner of everything in the store.
pub(crate) fn owner(store: &DevStore) -> Owner {
    Owner { display_name: Some("portcullis".to_owned()), id: Some(store.owner.clone()) }
}

/// A size in the type S3's answers have for it.
pub(crate) fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A count in the type S3's answers have for it.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The content encoding without `aws-chunked`, which describes the request and not the object.
pub(crate) fn stored_encoding(encoding: Option<&str>) -> Option<String> {
    let codings = encoding?.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked"));
    let codings: Vec<&str> = codings.filter(|coding| !coding.is_empty()).collect();
    if codings.is_empty() { None } else { Some(codings.join(",")) }
}

/// User metadata, of which S3 takes 2 KiB.
pub(crate) fn metadata(given: Option<&s3s::dto::Metadata>) -> S3Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<_, _> =
        given.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
    if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 2048 {
        return Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size"));
    }
    Ok(metadata)
}

/// Refuses any header that asks for encryption at rest.
pub(crate) fn refuse_encryption(asked: &[bool]) -> S3Result<()> {
    if asked.contains(&true) { Err(not_implemented("x-amz-server-side-encryption")) } else { Ok(()) }
}

/// Refuses any header that locks an object.
pub(crate) fn refuse_lock(asked: &[bool]) -> S3Result<()> {
    if asked.contains(&true) {
        return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    Ok(())
}

/// Refuses access control lists that grant anything to anyone but the owner.
pub(crate) fn refuse_acl(canned: Option<&str>, grants: &[bool]) -> S3Result<()> {
    let owner_only = matches!(canned, None | Some("private" | "bucket-owner-full-control" | "bucket-owner-read"));
    if owner_only && !grants.contains(&true) {
        return Ok(());
    }
    Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_chunked_is_no_encoding_of_the_object() {
        assert_eq!(stored_encoding(Some("aws-chunked")), None);
        assert_eq!(stored_encoding(Some("aws-chunked,gzip")).as_deref(), Some("gzip"));
        assert_eq!(stored_encoding(Some("gzip, aws-chunked")).as_deref(), Some("gzip"));
        assert_eq!(stored_encoding(None), None);
    }

    #[test]
    fn two_checksums_for_one_body_are_refused() {
        let headers = HeaderMap::from_iter(
            ["x-amz-checksum-crc32", "x-amz-checksum-sha1"]
                .map(|name| (http::HeaderName::from_static(name), http::HeaderValue::from_static("x"))),
        );
        assert_eq!(BodyClaims::read(&headers, None).unwrap_err().code().as_str(), "InvalidRequest");
    }
}
