//! Portcullis's own files at the upstream: what it writes to a bucket, independent of requests.

use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::{DECLARATION, XmlElement, write_element};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use thiserror::Error;

use super::{Download, RenderedRequest, RequestContent, Upstream, UpstreamError};
use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_base::percent::{percent_decode, percent_encode_path};
use portcullis_http::HttpMethod;
use portcullis_sigv4::canonical_query;

/// A file of Portcullis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailFile {
    pub bytes: Bytes,
    pub content_type: &'static str,
    /// What follows `x-amz-meta-`, and its value.
    pub metadata: Vec<(&'static str, String)>,
}

/// A file of Portcullis as the upstream has it.
#[derive(Clone, Debug)]
pub struct StoredTrailFile {
    pub bytes: Bytes,
    headers: HeaderMap,
}

/// Whether anything is in a bucket: an object, a version of one, or a delete marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketHolding {
    Nothing,
    Something,
}

/// Why the upstream did not do it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TrailFileError {
    #[error("the upstream has no bucket `{0}`")]
    NoBucket(BucketName),
    #[error("the upstream refuses: {code} (status {status})")]
    Refused { status: u16, code: String },
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// The longest answer that is a document.
const LONGEST_DOCUMENT: usize = 4 * 1024 * 1024;

impl StoredTrailFile {
    /// A value of its metadata.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.headers.get(format!("x-amz-meta-{name}")).and_then(|value| value.to_str().ok())
    }
}

impl Upstream {
    /// Writes a file, over any that is there.
    pub async fn put_own(
        &self,
        bucket: TrailBucket<'_>,
        key: &ObjectKey,
        file: &TrailFile,
        now: Timestamp,
    ) -> Result<(), TrailFileError> {
        let mut headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type))];
        for (name, value) in &file.metadata {
            let name = HeaderName::try_from(format!("x-amz-meta-{name}")).map_err(|_| UpstreamError::Unwritable)?;
            headers.push((name, HeaderValue::try_from(value).map_err(|_| UpstreamError::Unwritable)?));
        }
        let content = RequestContent::Document(file.bytes.clone());
        let path = path(bucket.name(), Some(key));
        let rendered = RenderedRequest { method: HttpMethod::Put, path, query: String::new(), headers, content };
        self.done(rendered, bucket.name(), now).await
    }

    /// Reads a file; none where the key names nothing.
    pub async fn own(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        limit: usize,
        now: Timestamp,
    ) -> Result<Option<StoredTrailFile>, TrailFileError> {
        let rendered = ask(HttpMethod::Get, path(bucket, Some(key)), String::new());
        let response = self.exchange(rendered, None, now).await?;
        if response.status() != StatusCode::OK {
            return match refusal(response, bucket).await {
                TrailFileError::Refused { status: 404, .. } => Ok(None),
                error
                @ (TrailFileError::NoBucket(_) | TrailFileError::Refused { .. } | TrailFileError::Upstream(_)) => {
                    Err(error)
                }
            };
        }
        let headers = response.headers().clone();
        Ok(Some(StoredTrailFile { bytes: whole(response, limit).await?, headers }))
    }

    /// The next keys with this prefix, in order, after this one; none at the end.
    pub async fn own_keys(
        &self,
        bucket: &BucketName,
        prefix: &str,
        after: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, TrailFileError> {
        let query = canonical_query([("encoding-type", "url"), ("marker", after), ("prefix", prefix)].into_iter());
        let response = self.exchange(ask(HttpMethod::Get, path(bucket, None), query), None, now).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response, bucket).await);
        }
        let document =
            XmlElement::parse(&whole(response, LONGEST_DOCUMENT).await?).map_err(|_| UpstreamError::Unreadable)?;
        // Not every store heeds the parameter, and says so by leaving the element out.
        let encoded = document.text_of("EncodingType") == Some("url");
        let contents = document.children.iter().filter(|child| child.name == "Contents");
        let keys = contents.map(|entry| {
            let key = entry.text_of("Key")?;
            if encoded { percent_decode(&key.replace('+', "%20")) } else { Some(key.to_owned()) }
        });
        keys.collect::<Option<Vec<_>>>().ok_or(TrailFileError::Upstream(UpstreamError::Unreadable))
    }

    /// Whether anything is in a bucket; in one that is not there is nothing. What cannot be told is an error.
    pub async fn holding(&self, bucket: &BucketName, now: Timestamp) -> Result<BucketHolding, TrailFileError> {
        let query = canonical_query([("max-keys", "1"), ("versions", "")].into_iter());
        let response = self.exchange(ask(HttpMethod::Get, path(bucket, None), query), None, now).await?;
        if response.status() != StatusCode::OK {
            return match refusal(response, bucket).await {
                TrailFileError::NoBucket(_) => Ok(BucketHolding::Nothing),
                error @ (TrailFileError::Refused { .. } | TrailFileError::Upstream(_)) => Err(error),
            };
        }
        let document = XmlElement::parse(&whole(response, LONGEST_DOCUMENT).await?).ok();
        document.as_ref().and_then(holding).ok_or(TrailFileError::Upstream(UpstreamError::Unreadable))
    }

    /// Makes a bucket that keeps every version, if the store can; one that is there stays as it is.
    pub async fn make_bucket(&self, bucket: TrailBucket<'_>, now: Timestamp) -> Result<(), TrailFileError> {
        let bucket = bucket.name();
        let response = self.exchange(ask(HttpMethod::Head, path(bucket, None), String::new()), None, now).await?;
        if response.status().is_success() {
            return Ok(());
        }
        let mut document = Vec::new();
        // The one region that must not be named.
        if self.region() != "us-east-1" {
            let mut text = format!("{DECLARATION}<CreateBucketConfiguration xmlns=\"{NAMESPACE}\">");
            write_element(&mut text, "LocationConstraint", self.region());
            text.push_str("</CreateBucketConfiguration>");
            document = text.into_bytes();
        }
        let content = RequestContent::Document(document.into());
        let rendered = RenderedRequest { content, ..ask(HttpMethod::Put, path(bucket, None), String::new()) };
        match self.done(rendered, bucket, now).await {
            Err(TrailFileError::Refused { code, .. }) if code == "BucketAlreadyOwnedByYou" => return Ok(()),
            made => made?,
        }
        let text = format!(
            "{DECLARATION}<VersioningConfiguration xmlns=\"{NAMESPACE}\"><Status>Enabled</Status></VersioningConfiguration>"
        );
        let content = RequestContent::Document(text.into());
        let versioned =
            RenderedRequest { content, ..ask(HttpMethod::Put, path(bucket, None), "versioning=".to_owned()) };
        if let Err(error) = self.done(versioned, bucket, now).await {
            tracing::warn!(%bucket, %error, "the bucket was made, but it does not keep versions");
        }
        Ok(())
    }

    async fn done(&self, rendered: RenderedRequest, bucket: &BucketName, now: Timestamp) -> Result<(), TrailFileError> {
        let response = self.exchange(rendered, None, now).await?;
        if !response.status().is_success() {
            return Err(refusal(response, bucket).await);
        }
        // Read to its end, so that the connection is of further use.
        whole(response, LONGEST_DOCUMENT).await.map(drop)
    }
}

/// What a list of versions says. A store that lists objects alone, or not all that it found, says nothing.
fn holding(listed: &XmlElement) -> Option<BucketHolding> {
    let mut entries = listed.children.iter().filter(|child| matches!(child.name.as_str(), "DeleteMarker" | "Version"));
    match (listed.name.as_str(), entries.next(), listed.text_of("IsTruncated")) {
        ("ListVersionsResult", Some(_), _) => Some(BucketHolding::Something),
        ("ListVersionsResult", None, Some("false")) => Some(BucketHolding::Nothing),
        (_, _, _) => None,
    }
}

fn ask(method: HttpMethod, path: String, query: String) -> RenderedRequest {
    RenderedRequest { method, path, query, headers: Vec::new(), content: RequestContent::Document(Bytes::new()) }
}

fn path(bucket: &BucketName, key: Option<&ObjectKey>) -> String {
    match key {
        Some(key) => format!("/{bucket}/{}", percent_encode_path(key.as_str())),
        None => format!("/{bucket}"),
    }
}

/// How long a file of a trail may take to come back, however steadily it comes.
const LONGEST_READ: Duration = Duration::from_secs(300);

async fn whole(response: Response<Download>, limit: usize) -> Result<Bytes, TrailFileError> {
    Ok(response.into_body().whole(limit, LONGEST_READ).await?)
}

async fn refusal(response: Response<Download>, bucket: &BucketName) -> TrailFileError {
    let status = response.status().as_u16();
    let body = whole(response, LONGEST_DOCUMENT).await.unwrap_or_default();
    let code = XmlElement::parse(&body).ok().and_then(|error| error.text_of("Code").map(str::to_owned));
    match code {
        Some(code) if code == "NoSuchBucket" => TrailFileError::NoBucket(bucket.clone()),
        // It becomes part of a line of the log.
        Some(code) if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            TrailFileError::Refused { status, code }
        }
        Some(_) | None => TrailFileError::Refused { status, code: "Unknown".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(document: &str) -> Option<BucketHolding> {
        holding(&XmlElement::parse(document.as_bytes()).expect("a document"))
    }

    #[test]
    fn only_a_whole_list_without_an_entry_says_that_nothing_is_there() {
        let list = |inner: &str| format!("<ListVersionsResult><Name>b</Name>{inner}</ListVersionsResult>");
        let whole = "<IsTruncated>false</IsTruncated>";
        assert_eq!(said(&list(whole)), Some(BucketHolding::Nothing));
        for entry in ["<Version><Key>k</Key></Version>", "<DeleteMarker><Key>k</Key></DeleteMarker>"] {
            assert_eq!(said(&list(&format!("{whole}{entry}"))), Some(BucketHolding::Something), "{entry}");
            assert_eq!(said(&list(entry)), Some(BucketHolding::Something), "{entry}");
        }
        for unclear in [
            list(""),
            list("<IsTruncated>true</IsTruncated>"),
            format!("<ListBucketResult>{whole}</ListBucketResult>"),
            "<html/>".to_owned(),
        ] {
            assert_eq!(said(&unclear), None, "{unclear}");
        }
    }
}
