//! Answers that are given here in the store's stead; the store is asked only whether the bucket is there.

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::DECLARATION;

use super::answer::{self, AnswerBody, CompletedRequest, UpstreamAnswer, UpstreamRefusal};
use super::region::location;
use super::{RenderedRequest, RequestContent, Upstream, UpstreamError};
use portcullis_authorization::RequestPermit;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_http::HttpMethod;
use portcullis_s3::{LocalAnswer, S3Operation, UnconfiguredAnswer};

/// An answer to a HEAD has no body; one that comes all the same is not read far.
const LONGEST_HEAD: usize = 64 * 1024;

impl Upstream {
    /// Answers a permitted request as AWS does, without sending it.
    pub(super) async fn answer_here(
        &self,
        permit: &RequestPermit,
        answer: LocalAnswer,
        now: Timestamp,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let Some(bucket) = permit.request().bucket.clone() else { return Err(UpstreamError::Unwritable) };
        if let Some(refused) = self.without_bucket(permit, &bucket, now).await? {
            return Ok(refused);
        }
        match answer {
            LocalAnswer::Location => Ok(document(location(self.client_region()))),
            // It is answered before a signature is checked.
            LocalAnswer::Preflight => Err(UpstreamError::Unwritable),
            LocalAnswer::Unconfigured(UnconfiguredAnswer::Document { root, inner }) => {
                Ok(document(format!("{DECLARATION}<{root} xmlns=\"{NAMESPACE}\">{inner}</{root}>")))
            }
            LocalAnswer::Unconfigured(UnconfiguredAnswer::Error { status, code, message }) => {
                Ok(UpstreamAnswer::Refused(UpstreamRefusal {
                    status: StatusCode::from_u16(status).map_err(|_| UpstreamError::Unwritable)?,
                    code: code.to_owned(),
                    message: message.to_owned(),
                    headers: HeaderMap::new(),
                    details: Vec::new(),
                }))
            }
            LocalAnswer::Unconfigured(UnconfiguredAnswer::Removed) => Ok(removed()),
        }
    }

    /// What the store answers instead of letting a bucket be asked about; none where the bucket is there.
    async fn without_bucket(
        &self,
        permit: &RequestPermit,
        bucket: &BucketName,
        now: Timestamp,
    ) -> Result<Option<UpstreamAnswer>, UpstreamError> {
        let content = RequestContent::Document(Bytes::new());
        let path = format!("/{bucket}");
        let rendered =
            RenderedRequest { method: HttpMethod::Head, path, query: String::new(), headers: Vec::new(), content };
        let (parts, body) = self.exchange_instead(permit, rendered, now).await?.into_parts();
        // Read to its end, so that the connection can be used again.
        drop(body.whole(LONGEST_HEAD, self.document_timeout()).await);
        if parts.status.is_success() {
            return Ok(None);
        }
        answer::refused(permit.identity(), S3Operation::HeadBucket, parts.status, parts.headers, &[]).map(Some)
    }
}

impl UpstreamAnswer {
    /// Whether the store does not implement what it was asked for, or says that nothing is configured. MinIO says
    /// that also of a bucket that is not there.
    pub(super) fn leaves_to(&self, instead: LocalAnswer) -> bool {
        let Self::Refused(refusal) = self else { return false };
        let is_declined = matches!(refusal.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        let is_same = match instead {
            LocalAnswer::Unconfigured(UnconfiguredAnswer::Error { status, code, .. }) => {
                status == StatusCode::NOT_FOUND && refusal.code == code
            }
            LocalAnswer::Location
            | LocalAnswer::Preflight
            | LocalAnswer::Unconfigured(UnconfiguredAnswer::Document { .. } | UnconfiguredAnswer::Removed) => false,
        };
        is_declined || is_same
    }
}

fn document(document: String) -> UpstreamAnswer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    done(StatusCode::OK, headers, document.into())
}

fn removed() -> UpstreamAnswer {
    done(StatusCode::NO_CONTENT, HeaderMap::new(), Bytes::new())
}

fn done(status: StatusCode, headers: HeaderMap, bytes: Bytes) -> UpstreamAnswer {
    UpstreamAnswer::Done(CompletedRequest { status, headers, body: AnswerBody::Whole(bytes), deleted: Vec::new() })
}
