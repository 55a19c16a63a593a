//! The door of CloudTrail's API: a call is read, told by the story, recorded and answered.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Pipeline;
use super::ending::{self, ClientReads, Exchange, RequestEnding};
use super::reply::ReplyBody;
use crate::story::{Door, OfferedCode, RequestedAction, Requester, Story, UnjudgedCode, code_factor, of_refusal};
use portcullis_audit::{ControlFacts, ControlSubject, Draft, MfaFacts, OutcomeError, RequestOutcome, ResponseElements};
use portcullis_authorization::{Caller, CallerRights, JudgedAction, MfaDelete, PermitCost, UpstreamIdentity, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::record::EventSource;
use portcullis_control::cloudtrail::{
    CONTENT_TYPE, CallDenial, CallFacts, CallPermit, CallPlan, CloudTrailCall, CloudTrailError, CloudTrailOperation,
    LONGEST_BODY, PendingCall, UNKNOWN, UnreadableCall, decide, recorded,
};
use portcullis_control::services::TARGET;
use portcullis_http::{BodyFault, HttpMethod, RequestBody, RequestHead};
use portcullis_mfa::{Challenge, MfaDemand, MfaToken, Proof};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::{AcceptedScope, AwsService, DeclaredChecksums, PayloadMode, PayloadVerifier, UnverifiedCall};
use portcullis_state::CodeSource;

/// How many characters of an unknown target are recorded.
const LONGEST_TARGET: usize = 256;

/// A call whose signature is verified.
struct AuthenticatedCall {
    call: CloudTrailCall,
    requester: Requester,
    offer: MfaToken,
    rights: CallerRights,
}

/// Names a call before its signature is verified, so that the record of a refusal names the operation.
pub(super) fn name_by_head(draft: &mut Draft, head: &RequestHead) {
    name(draft, operation(head).ok(), &Value::Null);
}

/// A body up to this length needs no place: connections are limited, and clients that only hold one open must not keep
/// others from calling. Almost all calls are shorter.
const SMALL_BODY: u64 = 16 * 1024;

fn operation(head: &RequestHead) -> Result<CloudTrailOperation, CloudTrailError> {
    CloudTrailOperation::of_target(head.headers.value(TARGET).unwrap_or_default())
}

impl Pipeline {
    /// Answers a call.
    pub(super) async fn call(
        self: Arc<Self>,
        head: RequestHead,
        incoming: Incoming,
        mut exchange: Exchange,
    ) -> Response<ReplyBody> {
        let asked = match self.read_call(&head, incoming, &mut exchange).await {
            Ok(asked) => asked,
            Err(refused) => return self.end_call(exchange, Err(refused)).await,
        };
        exchange.duty = self.recording.duty(exchange.access, None);
        match exchange.access {
            OperationAccess::Read => self.carry_out_call(asked, exchange).await,
            // A write finishes even if its client disconnects.
            OperationAccess::Write => {
                let fallback = exchange.ending.clone();
                let finishing = tokio::spawn(self.carry_out_call(asked, exchange));
                finishing.await.unwrap_or_else(|_| fallback.json_error(&CloudTrailError::internal()))
            }
        }
    }

    /// Reads a call and verifies its signature, which covers the body; so the body is read first.
    async fn read_call(
        &self,
        head: &RequestHead,
        incoming: Incoming,
        exchange: &mut Exchange,
    ) -> Result<AuthenticatedCall, CloudTrailError> {
        let now = self.clock.now();
        let operation = operation(head);
        let accepted_scope = AcceptedScope { services: &[AwsService::CloudTrail], ..self.accepted_scope.clone() };
        let unproved = UnverifiedCall::read(head, now, &accepted_scope).map_err(|why| {
            why.key_id.iter().for_each(|key_id| exchange.draft.claimed_by(key_id.as_str()));
            CloudTrailError::rejected(&why)
        })?;
        exchange.draft.claimed_by(unproved.claimed_key());
        if head.method != HttpMethod::Post || head.path != "/" || !head.query.pairs().is_empty() {
            return Err(CloudTrailError::unreadable(UnreadableCall::Place));
        }
        let body = self.read_call_body(head, incoming, &mut exchange.ending).await?;
        let signed = unproved.with_body(&body, &self.keyring).map_err(|why| CloudTrailError::rejected(&why))?;
        let draft = &mut exchange.draft;
        ending::signed(draft, &signed);
        // Only from here on does the record wait for the disk: a flood of unsigned calls must not.
        exchange.access = operation.as_ref().map_or(OperationAccess::Write, |operation| operation.access());
        let operation = operation.inspect_err(|_| {
            let target: String = head.headers.value(TARGET).unwrap_or_default().chars().take(LONGEST_TARGET).collect();
            name(draft, None, &json!({ "target": target }));
        })?;
        let call = CloudTrailCall::read(operation, &body)?.asked_by(&signed.key_id, head.peer.address.ip());
        name(draft, Some(call.operation()), &call.recorded());
        let rights = self.call_rights(head, &signed, now, exchange.tls);
        let caller = Caller {
            principal: signed.principal,
            form: signed.form,
            transport: head.peer.transport,
            // What a call asks of the upstream, Portcullis asks for itself.
            upstream: UpstreamIdentity::Own,
        };
        let source = CodeSource::of_address(head.peer.address.ip());
        let offer = MfaToken::parse(head.headers.value("x-amz-mfa"));
        Ok(AuthenticatedCall { call, requester: Requester { caller, source, now }, offer, rights })
    }

    /// Reads the body of a call whose caller is not authenticated yet: a few at a time, with a time limit.
    pub(super) async fn read_call_body(
        &self,
        head: &RequestHead,
        incoming: Incoming,
        ending: &mut RequestEnding,
    ) -> Result<Bytes, CloudTrailError> {
        let refused = |unreadable| Err(CloudTrailError::unreadable(unreadable));
        let Some(length) = head.content_length() else { return refused(UnreadableCall::LengthMissing) };
        if usize::try_from(length).map_or(true, |length| length > LONGEST_BODY) {
            return refused(UnreadableCall::BodyTooLong);
        }
        let mut _room = None;
        if length > SMALL_BODY {
            match tokio::time::timeout(self.body_idle, self.calls.acquire()).await {
                Ok(Ok(room)) => _room = Some(room),
                Ok(Err(_)) | Err(_) => return Err(CloudTrailError::throttled()),
            }
        }
        // The signature covers the hash of the body, so no other check is needed here.
        let inspect = PayloadVerifier::new(PayloadMode::Unsigned, length, DeclaredChecksums::default());
        let body = RequestBody::new(incoming, inspect, self.body_idle);
        ending.received = body.received();
        match tokio::time::timeout(2 * self.body_idle, body.collect(LONGEST_BODY)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(fault)) => refused(unreadable(&fault)),
            Err(_) => refused(UnreadableCall::BodyLate),
        }
    }

    async fn carry_out_call(self: Arc<Self>, asked: AuthenticatedCall, mut exchange: Exchange) -> Response<ReplyBody> {
        let AuthenticatedCall { call, requester, offer, rights } = asked;
        let requested = RequestedAction { action: call, body: (), requester, offer, access: exchange.access };
        let principal = requested.requester.caller.principal.clone();
        let door = CloudTrailDoor { pipeline: &self, rights };
        let story = Story { journal: &self.journal, state: &self.state };
        let outcome = story.act(&door, requested, &mut exchange.draft).await;
        let refused = outcome.is_err();
        let response = self.end_call(exchange, outcome).await;
        if refused {
            self.wait_after_refusal(&principal).await;
        }
        response
    }

    /// Closes the draft and makes the reply; a change's record is on disk before its reply begins.
    async fn end_call(&self, exchange: Exchange, answer: Result<Value, CloudTrailError>) -> Response<ReplyBody> {
        let (status, document) = match &answer {
            Ok(answer) => (200, answer.to_string()),
            Err(refused) => (refused.status, document(refused)),
        };
        let failed = |refused: &CloudTrailError| OutcomeError {
            code: code_in_record(refused).to_owned(),
            message: refused.message.clone(),
        };
        let outcome = RequestOutcome {
            status,
            error: answer.as_ref().err().map(failed),
            bytes_out: u64::try_from(document.len()).unwrap_or(u64::MAX),
            elements: answer
                .as_ref()
                .map_or_else(|_| ResponseElements::default(), |answer| ResponseElements::of_control(&recorded(answer))),
            ..exchange.ending.outcome()
        };
        let (ending, recorded) = exchange.record(&outcome, &self.journal).await;
        match (recorded, answer) {
            (Ok(()), Ok(_)) => ending.json(status, document),
            (Ok(()), Err(refused)) => ending.json_error(&refused),
            // It was done, and its intent is on disk: the next start records that the outcome is unknown.
            (Err(_), Ok(_)) => ending.json_error(&CloudTrailError::done_unrecorded()),
            (Err(_), Err(refused)) => {
                tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
                ending.json_error(&refused)
            }
        }
    }
}

/// The door of CloudTrail's API.
struct CloudTrailDoor<'a> {
    pipeline: &'a Pipeline,
    /// What the caller may do by its policies.
    rights: CallerRights,
}

impl<'a> Door for CloudTrailDoor<'a> {
    type Action = CloudTrailCall;
    type Body = ();
    type Facts = CallFacts<'a>;
    type Permitted = CallPlan;
    type Done = Value;
    type Failure = CloudTrailError;

    async fn facts(
        &self,
        call: &CloudTrailCall,
        requester: &Requester,
        _: &MfaToken,
    ) -> Result<CallFacts<'a>, CloudTrailError> {
        Ok(self.pipeline.trails.facts(call, &requester.caller, self.rights.clone(), requester.now).await)
    }

    fn decide(
        &self,
        call: CloudTrailCall,
        requester: &Requester,
        offer: MfaToken,
        facts: &CallFacts<'a>,
    ) -> Verdict<CallPlan> {
        decide(&call, &requester.caller, offer, facts, self.pipeline.rules, requester.now)
    }

    async fn open(
        &self,
        proof: Proof<PendingCall>,
        _: &Requester,
        _: &mut CallFacts<'a>,
    ) -> Result<JudgedAction<CallPlan>, CloudTrailError> {
        Ok(JudgedAction::Proved(Ok(CallPermit::by_proof(proof))))
    }

    async fn perform(
        &self,
        permit: CallPermit,
        _: CallFacts<'a>,
        (): (),
        now: Timestamp,
    ) -> Result<Value, CloudTrailError> {
        self.pipeline.trails.perform(permit, now).await
    }

    /// A call is about no bucket. The record of a read mentions a code only if one was sent.
    fn recorded(
        &self,
        _: &CallFacts<'a>,
        access: OperationAccess,
        offered: OfferedCode,
        judged: &JudgedAction<CallPlan>,
    ) -> Option<MfaFacts> {
        let factor = code_factor(judged, |denied| match denied {
            CallDenial::Call(_) => (false, None),
            CallDenial::Factor(refusal, _) => of_refusal(refusal),
        });
        let tells = access == OperationAccess::Write || offered.presented;
        tells.then(|| offered.told(MfaDelete::NeverSet, factor))
    }

    fn refused(&self, denied: CallDenial) -> CloudTrailError {
        denied.refused()
    }

    fn unjudged(&self, _: &Challenge<PendingCall>, _: UnjudgedCode) -> CloudTrailError {
        CloudTrailError::unwritten()
    }

    /// A change of what is recorded is never made without a record, whatever `audit.on_failure` says.
    fn unrecorded(&self, _: &CallPermit, _: PermitCost) -> Result<(), CloudTrailError> {
        Err(CloudTrailError::unrecorded())
    }
}

impl RequestEnding {
    fn json_error(self, refused: &CloudTrailError) -> Response<ReplyBody> {
        let document = document(refused);
        let mut response = self.json(refused.status, document);
        if let Some(seconds) = refused.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(value) = refused.mfa.header_value() {
            response.headers_mut().insert(MfaDemand::HEADER, HeaderValue::from_static(value));
        }
        response
    }

    fn json(self, status: u16, document: String) -> Response<ReplyBody> {
        self.call_reply(status, CONTENT_TYPE, document)
    }

    /// The reply to a call of a control API.
    pub(super) fn call_reply(self, status: u16, content_type: &'static str, document: String) -> Response<ReplyBody> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(request_id) = HeaderValue::from_str(self.request_id.as_str()) {
            headers.insert(HeaderName::from_static("x-amzn-requestid"), request_id);
        }
        let bytes = match self.reading {
            ClientReads::Body => Bytes::from(document),
            ClientReads::HeadAlone => Bytes::new(),
        };
        let reply = ReplyBody::whole(bytes, self.progress.clone());
        self.reply(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), headers, reply)
    }
}

fn name(draft: &mut Draft, operation: Option<CloudTrailOperation>, parameters: &Value) {
    draft.asks_control(ControlFacts {
        source: EventSource::CloudTrail,
        event_name: operation.map_or(UNKNOWN, CloudTrailOperation::name),
        // An unknown operation is recorded as a write.
        read_only: operation.is_some_and(|operation| operation.access() == OperationAccess::Read),
        subject: ControlSubject::Other,
        parameters,
    });
}

/// The error code in a record: there AWS leaves out the suffix that the code has on the wire.
fn code_in_record(refused: &CloudTrailError) -> &'static str {
    match refused.exception {
        "AccessDeniedException" => "AccessDenied",
        exception => exception,
    }
}

fn document(refused: &CloudTrailError) -> String {
    json!({ "__type": refused.exception, "message": refused.message }).to_string()
}

fn unreadable(fault: &BodyFault<portcullis_sigv4::PayloadFault>) -> UnreadableCall {
    match fault {
        BodyFault::Idle => UnreadableCall::BodyLate,
        BodyFault::TooLong => UnreadableCall::BodyTooLong,
        BodyFault::Cut | BodyFault::Withdrawn | BodyFault::Wrong(_) => UnreadableCall::BodyIncomplete,
    }
}
