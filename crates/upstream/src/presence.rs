//! Reads what a store holds, for requests whose outcome is unknown.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::{RenderedRequest, RequestContent, Upstream, UpstreamError};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey, VersionId};
use portcullis_base::percent::percent_encode_path;
use portcullis_http::HttpMethod;
use portcullis_s3::CopySource;
use portcullis_sigv4::canonical_query;

/// What a store says of something it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredPresence {
    Absent,
    /// It is hidden by a delete marker.
    Marked,
    /// It is there, and was written at this time by the store's own clock, if it says so.
    There {
        written: Option<Timestamp>,
    },
}

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookTarget<'a> {
    Bucket,
    Object { key: &'a ObjectKey, version: Option<&'a VersionId> },
    Upload { key: &'a ObjectKey, id: &'a str },
}

impl Upstream {
    /// Whether the store holds this now; what is neither here nor there is an error.
    pub async fn look(
        &self,
        bucket: &BucketName,
        sight: LookTarget<'_>,
        now: Timestamp,
    ) -> Result<StoredPresence, UpstreamError> {
        let response = self.exchange(rendered(bucket, sight), None, now).await?;
        let (parts, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        drop(body.whole(64 * 1024, self.document_timeout()).await);
        let marked = parts.headers.get("x-amz-delete-marker").is_some_and(|value| value == "true");
        match (parts.status, marked) {
            // A store that is not given the key of an object encrypted by a client's own key says no more than that.
            (StatusCode::OK | StatusCode::BAD_REQUEST, _) => {
                Ok(StoredPresence::There { written: written(&parts.headers) })
            }
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, true) => Ok(StoredPresence::Marked),
            (StatusCode::NOT_FOUND, false) => Ok(StoredPresence::Absent),
            (StatusCode::FORBIDDEN, _) => Err(UpstreamError::DeniesUs),
            (_, _) => Err(UpstreamError::Unreadable),
        }
    }
}

impl Upstream {
    /// Whether the source of a copy has tags; what cannot be read may have some.
    pub async fn has_tags(&self, source: &CopySource, now: Timestamp) -> Result<bool, UpstreamError> {
        let sight = LookTarget::Object { key: &source.key, version: source.version.as_ref() };
        let response = self.exchange(rendered(&source.bucket, sight), None, now).await?;
        let (parts, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        drop(body.whole(64 * 1024, self.document_timeout()).await);
        match parts.status {
            StatusCode::OK => Ok(parts.headers.get("x-amz-tagging-count").is_some_and(|count| count != "0")),
            // The copy says it in its own terms.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            StatusCode::BAD_REQUEST => Ok(true),
            _ => Err(UpstreamError::Unreadable),
        }
    }
}

fn rendered(bucket: &BucketName, sight: LookTarget<'_>) -> RenderedRequest {
    let (method, key, query) = match sight {
        LookTarget::Bucket => (HttpMethod::Head, None, String::new()),
        LookTarget::Object { key, version } => {
            let version = version.iter().map(|version| ("versionId", version.as_str()));
            (HttpMethod::Head, Some(key), canonical_query(version))
        }
        LookTarget::Upload { key, id } => {
            (HttpMethod::Get, Some(key), canonical_query([("max-parts", "1"), ("uploadId", id)].into_iter()))
        }
    };
    let mut path = format!("/{bucket}");
    if let Some(key) = key {
        path.push('/');
        path.push_str(&percent_encode_path(key.as_str()));
    }
    RenderedRequest { method, path, query, headers: Vec::new(), content: RequestContent::Document(Bytes::new()) }
}

fn written(headers: &HeaderMap) -> Option<Timestamp> {
    let value = headers.get(header::LAST_MODIFIED)?;
    value.to_str().ok().and_then(Timestamp::parse_http_date)
}
