//! How a request ends: a record, and a reply that says the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Body as _;

use super::recording::Wait;
use super::reply::{Recorded, Reply};
use super::{Duty, Gate};
use crate::failure::{Failure, S3Error};
use portcullis_audit::{Asked, Configuration, Draft, Elements, Failed, ObjectOutcome, Outcome};
use portcullis_base::names::{HostId, ObjectKey, RequestId, VersionId};
use portcullis_http::Progress;
use portcullis_s3::{Access, Action, Document, Request, Routed, Unclear};
use portcullis_upstream::{Answer, AnswerBegun, AnswerBody, DeletedObject, Done};

/// What the reply to a request needs that nobody decides from.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub request_id: RequestId,
    /// Of a reply of S3.
    pub host_id: Option<HostId>,
    pub resource: Box<str>,
    pub reading: Reading,
    pub duty: Duty,
    pub received: Arc<AtomicU64>,
    pub progress: Arc<Progress>,
    /// Of requests whose reply may begin before it is known how they end.
    pub begun: Option<Arc<AnswerBegun>>,
}

/// Whether the client reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Body,
    HeadAlone,
}

impl Gate {
    /// Closes the draft and makes the reply; a write's record is on disk before its reply begins.
    pub(super) async fn end(
        &self,
        draft: Draft,
        outcome: Result<Answer, Failure>,
        ending: Ending,
        access: Access,
    ) -> Response<Reply> {
        // What ends at once is seldom, and its state would be moved with every request that streams.
        match outcome {
            Ok(Answer::Done(done)) => self.end_done(draft, done, ending, access).await,
            Ok(Answer::Refused(refusal)) => {
                let failure = Failure::UpstreamRefused(Box::new(refusal));
                Box::pin(self.end_failed(draft, failure, ending, access)).await
            }
            Err(failure) => Box::pin(self.end_failed(draft, failure, ending, access)).await,
        }
    }

    async fn end_done(&self, draft: Draft, done: Done, ending: Ending, access: Access) -> Response<Reply> {
        let Done { status, headers, body, deleted } = done;
        let mut outcome = Outcome {
            status: status.as_u16(),
            bytes_in: ending.received.load(Ordering::Relaxed),
            host_id: ending.host_id,
            ..Outcome::default()
        };
        if access == Access::Write {
            outcome.elements = Elements::of(&headers);
            outcome.objects = deleted.iter().filter_map(object_outcome).collect();
        }
        let bytes = match body {
            AnswerBody::Stream(download) if !download.is_end_stream() => {
                let recorded = Recorded::new(download, draft, outcome, self.journal.clone(), ending.duty);
                let reply = Reply::stream(recorded, ending.progress.clone());
                return ending.reply(status, headers, reply);
            }
            AnswerBody::Stream(_) => Bytes::new(),
            AnswerBody::Whole(bytes) => bytes,
        };
        Box::pin(self.end_whole(draft, outcome, status, headers, bytes, ending, access)).await
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one reply, each of its own type")]
    async fn end_whole(
        &self,
        draft: Draft,
        mut outcome: Outcome,
        status: StatusCode,
        headers: HeaderMap,
        bytes: Bytes,
        ending: Ending,
        access: Access,
    ) -> Response<Reply> {
        outcome.bytes_out = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.record(draft, &outcome, access, ending.duty).await {
            Ok(()) => {
                let reply = Reply::whole(bytes, ending.progress.clone());
                ending.reply(status, headers, reply)
            }
            // It was done, and its intent is on disk: the next start records that nobody knows the outcome.
            Err(failure) => ending.error(&failure.s3_error(), HeaderMap::new()),
        }
    }

    async fn end_failed(&self, draft: Draft, failure: Failure, ending: Ending, access: Access) -> Response<Reply> {
        let error = failure.s3_error();
        let headers =
            if let Failure::UpstreamRefused(refusal) = &failure { refusal.headers.clone() } else { HeaderMap::new() };
        let length = match ending.reading {
            Reading::Body => ending.document(&error).len(),
            Reading::HeadAlone => 0,
        };
        let outcome = Outcome {
            status: error.status.as_u16(),
            error: Some(Failed { code: error.code.to_string(), message: error.message_for_the_record().to_owned() }),
            bytes_in: ending.received.load(Ordering::Relaxed),
            bytes_out: u64::try_from(length).unwrap_or(u64::MAX),
            host_id: ending.host_id,
            ..Outcome::default()
        };
        let duty = if failure.is_anonymous() { Duty::ANONYMOUS } else { ending.duty };
        if self.record(draft, &outcome, access, duty).await.is_err() {
            tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
        }
        ending.error(&error, headers)
    }

    /// Records what became of a request; by now it is done.
    pub(super) async fn record(
        &self,
        draft: Draft,
        outcome: &Outcome,
        access: Access,
        duty: Duty,
    ) -> Result<(), Failure> {
        let recorded = match (draft.close(outcome), duty.wait) {
            (Ok(sequence), Wait::Disk) => self.journal.durable(sequence).await,
            (closed, Wait::Disk | Wait::System) => closed.map(drop),
        };
        recorded.or_else(|_| {
            duty.lost(match access {
                Access::Read => Failure::Unrecorded,
                Access::Write => Failure::DoneUnrecorded,
            })
        })
    }
}

impl Ending {
    pub fn new(request_id: RequestId, host_id: HostId, parts: &Parts, progress: Arc<Progress>) -> Self {
        let reading = if parts.method == Method::HEAD { Reading::HeadAlone } else { Reading::Body };
        Self {
            request_id,
            host_id: Some(host_id),
            resource: parts.uri.path().into(),
            reading,
            duty: Duty::ANONYMOUS,
            received: Arc::default(),
            progress,
            begun: None,
        }
    }

    /// A reply where even the task that was to make one failed; its draft was recorded when it was dropped.
    pub fn internal(self) -> Response<Reply> {
        self.error(&Failure::Internal.s3_error(), HeaderMap::new())
    }

    fn document(&self, error: &S3Error) -> String {
        error.document(&self.resource, self.request_id, self.host_id.as_ref().map_or("", HostId::as_str))
    }

    fn error(self, error: &S3Error, mut headers: HeaderMap) -> Response<Reply> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if let Some(seconds) = error.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let document = match self.reading {
            Reading::Body => Bytes::from(self.document(error)),
            Reading::HeadAlone => Bytes::new(),
        };
        let reply = Reply::whole(document, self.progress.clone());
        self.reply(error.status, headers, reply)
    }

    pub(super) fn reply(self, status: StatusCode, mut headers: HeaderMap, body: Reply) -> Response<Reply> {
        if let Ok(request_id) = HeaderValue::from_str(self.request_id.as_str()) {
            headers.insert(HeaderName::from_static("x-amz-request-id"), request_id);
        }
        if let Some(Ok(host_id)) = self.host_id.map(|host_id| HeaderValue::from_str(host_id.as_str())) {
            headers.insert(HeaderName::from_static("x-amz-id-2"), host_id);
        }
        headers.insert(header::SERVER, HeaderValue::from_static("portcullis"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Names in the draft what is asked, as far as the head tells.
pub(super) fn name(draft: &mut Draft, routed: &Result<Routed, Unclear>) {
    let (action, bucket, key) = match routed {
        Ok(routed) => (Some(routed.action()), routed.bucket(), routed.key()),
        Err(unclear) => (unclear.action, unclear.bucket.as_ref(), unclear.key.as_ref()),
    };
    let source = routed.as_ref().ok().and_then(Routed::copy_source).map(|source| (&source.bucket, &source.key));
    if let Some(action) = action {
        draft.asks_for(Asked { bucket, key, source, ..asked(action) });
    }
}

/// Describes in the draft what is asked with a document.
pub(super) fn describe(draft: &mut Draft, request: &Request) {
    // All else was named already.
    if let Document::None | Document::Payload = request.document {
        return;
    }
    let objects = match &request.document {
        Document::DeleteObjects(document) => document.objects.as_slice(),
        Document::None | Document::Payload | Document::Rewritten(_) | Document::Versioning(_) => &[],
    };
    let configuration = match &request.document {
        // A list of parts, or a query, configures nothing.
        Document::Rewritten(_)
            if matches!(request.action, Action::CompleteMultipartUpload | Action::SelectObjectContent) =>
        {
            Configuration::None
        }
        Document::Rewritten(bytes) => match request.action.row().body {
            portcullis_s3::Body::Policy => Configuration::Policy(bytes),
            portcullis_s3::Body::Document(_)
            | portcullis_s3::Body::Nothing
            | portcullis_s3::Body::OptionalDocument(_)
            | portcullis_s3::Body::Payload => Configuration::Xml(bytes),
        },
        Document::Versioning(document) => Configuration::Versioning(*document),
        Document::DeleteObjects(_) | Document::None | Document::Payload => Configuration::None,
    };
    draft.asks_for(Asked {
        bucket: request.bucket.as_ref(),
        key: request.key.as_ref(),
        configuration,
        objects,
        ..asked(request.action)
    });
}

fn asked(action: Action) -> Asked<'static> {
    Asked { action, bucket: None, key: None, source: None, configuration: Configuration::None, objects: &[] }
}

fn object_outcome(deleted: &DeletedObject) -> Option<ObjectOutcome> {
    let version = deleted.version.as_deref().and_then(|version| VersionId::parse(version).ok());
    let result = match (&deleted.error, &deleted.delete_marker_version) {
        (Some((code, message)), _) => Err(Failed { code: code.clone(), message: message.clone() }),
        (None, Some(marker)) => Ok(Elements::delete_marker(marker)),
        (None, None) => Ok(Elements::default()),
    };
    Some(ObjectOutcome { key: ObjectKey::parse(&deleted.key).ok()?, version, result })
}
