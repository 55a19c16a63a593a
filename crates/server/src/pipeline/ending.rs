//! How a request ends: its record, and the reply that says the same.

use portcullis_s3::{OperationAccess, RequestDocument, RoutedRequest, S3Operation, S3Request, UnclearRequest};
use portcullis_upstream::{AnswerBegun, AnswerBody, CompletedRequest, DeletedObject, UpstreamAnswer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Body as _;

use super::recording::RecordWait;
use super::reply::{RecordedDownload, ReplyBody};
use super::{Pipeline, RecordDuty};
use crate::failure::{Failure, S3Error};
use portcullis_audit::{
    ConfigurationDocument, Draft, ObjectOutcome, OperationFacts, OutcomeError, Recorder, RequestOutcome,
    ResponseElements,
};
use portcullis_authorization::Refusal;
use portcullis_base::names::{HostId, ObjectKey, RequestId, VersionId};
use portcullis_http::{ConnectionProgress, Peer};
use portcullis_journal::Journal;
use portcullis_sigv4::{SigningCredentials, VerifiedRequest};

/// What the reply to a request needs, and no decision depends on.
#[derive(Clone, Debug)]
pub(super) struct RequestEnding {
    pub request_id: RequestId,
    /// Only S3's replies have one.
    pub host_id: Option<HostId>,
    pub resource: Box<str>,
    pub reading: ClientReads,
    pub received: Arc<AtomicU64>,
    pub progress: Arc<ConnectionProgress>,
    /// For requests whose reply may begin before their outcome is known.
    pub begun: Option<Arc<AnswerBegun>>,
}

/// Whether the client reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientReads {
    Body,
    HeadAlone,
}

/// One request from its head to its reply: its draft, and what its reply is made of.
#[derive(Debug)]
pub(super) struct Exchange {
    pub draft: Draft,
    pub ending: RequestEnding,
    /// How it is recorded; as a read until the operation is known.
    pub access: OperationAccess,
    pub duty: RecordDuty,
    /// The version of a TLS connection that ends here: `1.3`.
    pub tls: Option<&'static str>,
}

/// A reply that is in memory.
struct WholeReply {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Pipeline {
    /// Closes the draft and makes the reply; a write's record is on disk before its reply begins.
    pub(super) async fn end(
        &self,
        exchange: Exchange,
        outcome: Result<UpstreamAnswer, Failure>,
    ) -> Response<ReplyBody> {
        // Boxed, since failures are rare and their state would make the future of every request larger.
        match outcome {
            Ok(UpstreamAnswer::Done(done)) => self.end_done(exchange, done).await,
            Ok(UpstreamAnswer::Refused(refusal)) => {
                let failure = Failure::UpstreamRefused(Box::new(refusal));
                Box::pin(self.end_failed(exchange, failure)).await
            }
            Err(failure) => Box::pin(self.end_failed(exchange, failure)).await,
        }
    }

    async fn end_done(&self, exchange: Exchange, done: CompletedRequest) -> Response<ReplyBody> {
        let CompletedRequest { status, headers, body, deleted } = done;
        let mut outcome = RequestOutcome { status: status.as_u16(), ..exchange.ending.outcome() };
        if exchange.access == OperationAccess::Write {
            outcome.elements = ResponseElements::of(&headers);
            outcome.objects = deleted.iter().filter_map(object_outcome).collect();
        }
        let bytes = match body {
            AnswerBody::Stream(download) if !download.is_end_stream() => {
                let Exchange { draft, ending, duty, .. } = exchange;
                let recorded = RecordedDownload::new(download, draft, outcome, self.journal.clone(), duty);
                let reply = ReplyBody::stream(recorded, ending.progress.clone());
                return ending.reply(status, headers, reply);
            }
            AnswerBody::Stream(_) => Bytes::new(),
            AnswerBody::Whole(bytes) => bytes,
        };
        Box::pin(self.end_whole(exchange, outcome, WholeReply { status, headers, bytes })).await
    }

    async fn end_whole(
        &self,
        exchange: Exchange,
        mut outcome: RequestOutcome,
        reply: WholeReply,
    ) -> Response<ReplyBody> {
        let WholeReply { status, headers, bytes } = reply;
        outcome.bytes_out = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (ending, recorded) = exchange.record(&outcome, &self.journal).await;
        match recorded {
            Ok(()) => {
                let reply = ReplyBody::whole(bytes, ending.progress.clone());
                ending.reply(status, headers, reply)
            }
            // It was done, and its intent is on disk: the next start records that the outcome is unknown.
            Err(failure) => ending.error(&failure.s3_error(), HeaderMap::new()),
        }
    }

    async fn end_failed(&self, mut exchange: Exchange, failure: Failure) -> Response<ReplyBody> {
        if let Failure::Refused(Refusal::Policy(denial)) = &failure {
            exchange.draft.denied(denial);
            super::log_denial(denial, 1);
        }
        let error = failure.s3_error();
        let headers =
            if let Failure::UpstreamRefused(refusal) = &failure { refusal.headers.clone() } else { HeaderMap::new() };
        let length = match exchange.ending.reading {
            ClientReads::Body => exchange.ending.document(&error).len(),
            ClientReads::HeadAlone => 0,
        };
        let outcome = RequestOutcome {
            status: error.status.as_u16(),
            error: Some(OutcomeError {
                code: error.code.to_string(),
                message: error.message_for_the_record().to_owned(),
            }),
            bytes_out: u64::try_from(length).unwrap_or(u64::MAX),
            ..exchange.ending.outcome()
        };
        if failure.is_anonymous() {
            exchange.duty = RecordDuty::ANONYMOUS;
        }
        let (ending, recorded) = exchange.record(&outcome, &self.journal).await;
        if recorded.is_err() {
            tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
        }
        ending.error(&error, headers)
    }
}

impl Exchange {
    /// Opens the draft of a request, before there is a future that hyper could drop.
    pub(super) fn open(recorder: &Arc<Recorder>, parts: &Parts, peer: Peer, progress: Arc<ConnectionProgress>) -> Self {
        let ending = RequestEnding::new(recorder.request_id(), recorder.host_id(), parts, progress);
        let draft = recorder.open(ending.request_id, peer);
        Self { draft, ending, access: OperationAccess::Read, duty: RecordDuty::ANONYMOUS, tls: None }
    }

    /// Gives a call an id of the control APIs' form.
    pub(super) fn identify(&mut self, request_id: RequestId) {
        (self.ending.request_id, self.ending.host_id) = (request_id, None);
        self.draft.identify(request_id);
    }

    /// Records the outcome of a request, and gives back what its reply is made of.
    pub(super) async fn record(
        self,
        outcome: &RequestOutcome,
        journal: &Journal,
    ) -> (RequestEnding, Result<(), Failure>) {
        let Self { draft, ending, access, duty, tls: _ } = self;
        let recorded = match (draft.close(outcome), duty.wait) {
            (Ok(sequence), RecordWait::Disk) => journal.durable(sequence).await,
            (closed, RecordWait::Disk | RecordWait::System) => closed.map(drop),
        };
        let recorded = recorded.or_else(|_| {
            duty.lost(match access {
                OperationAccess::Read => Failure::Unrecorded,
                OperationAccess::Write => Failure::DoneUnrecorded,
            })
        });
        (ending, recorded)
    }
}

impl RequestEnding {
    pub(super) fn new(
        request_id: RequestId,
        host_id: HostId,
        parts: &Parts,
        progress: Arc<ConnectionProgress>,
    ) -> Self {
        let reading = if parts.method == Method::HEAD { ClientReads::HeadAlone } else { ClientReads::Body };
        Self {
            request_id,
            host_id: Some(host_id),
            resource: parts.uri.path().into(),
            reading,
            received: Arc::default(),
            progress,
            begun: None,
        }
    }

    /// The part of an outcome that depends on the request alone.
    pub(super) fn outcome(&self) -> RequestOutcome {
        RequestOutcome {
            bytes_in: self.received.load(Ordering::Relaxed),
            host_id: self.host_id,
            ..RequestOutcome::default()
        }
    }

    /// The reply if the task of a request panicked; its draft was recorded when it was dropped.
    pub(super) fn internal(self) -> Response<ReplyBody> {
        self.error(&Failure::Internal.s3_error(), HeaderMap::new())
    }

    fn document(&self, error: &S3Error) -> String {
        error.document(&self.resource, self.request_id, self.host_id.as_ref().map_or("", HostId::as_str))
    }

    fn error(self, error: &S3Error, mut headers: HeaderMap) -> Response<ReplyBody> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if let Some(seconds) = error.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let document = match self.reading {
            ClientReads::Body => Bytes::from(self.document(error)),
            ClientReads::HeadAlone => Bytes::new(),
        };
        let reply = ReplyBody::whole(document, self.progress.clone());
        self.reply(error.status, headers, reply)
    }

    pub(super) fn reply(self, status: StatusCode, mut headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
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

/// Notes in the draft who signed, once that is proved.
pub(super) fn signed(draft: &mut Draft, signed: &VerifiedRequest) {
    draft.signed_by(&signed.principal, &signed.key_id, signed.form);
    match signed.credentials {
        SigningCredentials::LongTerm => {}
        SigningCredentials::Session(facts) => draft.in_session(facts),
    }
}

/// Notes the operation in the draft, as far as the head tells it.
pub(super) fn name(draft: &mut Draft, routed: &Result<RoutedRequest, UnclearRequest>) {
    let (action, bucket, key) = match routed {
        Ok(routed) => (Some(routed.action()), routed.bucket(), routed.key()),
        Err(unclear) => (unclear.action, unclear.bucket.as_ref(), unclear.key.as_ref()),
    };
    let source = routed.as_ref().ok().and_then(RoutedRequest::copy_source).map(|source| (&source.bucket, &source.key));
    if let Some(action) = action {
        draft.asks_for(OperationFacts { bucket, key, source, ..asked(action) });
    }
}

/// Notes in the draft what the document asks for.
pub(super) fn describe(draft: &mut Draft, request: &S3Request) {
    // The head named everything else already.
    if let RequestDocument::None | RequestDocument::Payload = request.document {
        return;
    }
    let objects = match &request.document {
        RequestDocument::DeleteObjects(document) => document.objects.as_slice(),
        RequestDocument::None
        | RequestDocument::Payload
        | RequestDocument::Rewritten(_)
        | RequestDocument::Versioning(_) => &[],
    };
    let configuration = match &request.document {
        // A list of parts, or a query, configures nothing.
        RequestDocument::Rewritten(_)
            if matches!(request.action, S3Operation::CompleteMultipartUpload | S3Operation::SelectObjectContent) =>
        {
            ConfigurationDocument::None
        }
        RequestDocument::Rewritten(bytes) => match request.action.row().body {
            portcullis_s3::OperationBody::Policy => ConfigurationDocument::Policy(bytes),
            portcullis_s3::OperationBody::Document(_)
            | portcullis_s3::OperationBody::Nothing
            | portcullis_s3::OperationBody::OptionalDocument(_)
            | portcullis_s3::OperationBody::Payload => ConfigurationDocument::Xml(bytes),
        },
        RequestDocument::Versioning(document) => ConfigurationDocument::Versioning(*document),
        RequestDocument::DeleteObjects(_) | RequestDocument::None | RequestDocument::Payload => {
            ConfigurationDocument::None
        }
    };
    draft.asks_for(OperationFacts {
        bucket: request.bucket.as_ref(),
        key: request.key.as_ref(),
        configuration,
        objects,
        ..asked(request.action)
    });
}

fn asked(action: S3Operation) -> OperationFacts<'static> {
    OperationFacts {
        action,
        bucket: None,
        key: None,
        source: None,
        configuration: ConfigurationDocument::None,
        objects: &[],
    }
}

fn object_outcome(deleted: &DeletedObject) -> Option<ObjectOutcome> {
    let version = deleted.version.as_deref().and_then(|version| VersionId::parse(version).ok());
    let result = match (&deleted.error, &deleted.delete_marker_version) {
        (Some((code, message)), _) => Err(OutcomeError { code: code.clone(), message: message.clone() }),
        (None, Some(marker)) => Ok(ResponseElements::delete_marker(marker)),
        (None, None) => Ok(ResponseElements::default()),
    };
    Some(ObjectOutcome { key: ObjectKey::parse(&deleted.key).ok()?, version, result })
}
