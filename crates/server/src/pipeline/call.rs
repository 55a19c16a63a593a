//! The story of a call of CloudTrail's API, in the order in which it happens.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Pipeline;
use super::ending::{ClientReads, RequestEnding};
use super::judgement::{OfferedToken, of_refusal};
use super::reply::ReplyBody;
use portcullis_audit::{ControlFacts, Draft, MfaFacts, OutcomeError, RequestOutcome, ResponseElements, mfa_result};
use portcullis_authorization::{Caller, MfaDelete};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::RequestId;
use portcullis_cloudtrail::record::{EventSource, MfaResult};
use portcullis_control::cloudtrail::{
    CONTENT_TYPE, CloudTrailCall, CloudTrailError, CloudTrailOperation, Denied, LONGEST_BODY, PendingCall, Permit,
    UNKNOWN, UnreadableCall, Verdict, decide, recorded,
};
use portcullis_control::services::TARGET;
use portcullis_http::{BodyFault, HttpMethod, RequestBody, RequestHead};
use portcullis_mfa::{Challenge, MfaDemand, MfaToken, UnmetChallenge};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::{AcceptedScope, AwsService, DeclaredChecksums, PayloadMode, PayloadVerifier, UnverifiedCall};
use portcullis_state::{CodeSource, SpendError};

/// What of an unknown target is recorded.
const LONGEST_TARGET: usize = 256;

/// A call of somebody who is known.
struct SignedCall {
    call: CloudTrailCall,
    caller: Caller,
    source: CodeSource,
    offer: MfaToken,
    now: Timestamp,
}

/// Names a call before it is known who asks, so that the record of a refusal says what was refused.
pub(super) fn name_by_head(draft: &mut Draft, head: &RequestHead) {
    name(draft, operation(head).ok(), &Value::Null);
}

/// A body up to this length needs no room: connections are bounded, and clients that only hold one open must not keep
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
        mut draft: Draft,
        mut ending: RequestEnding,
    ) -> Response<ReplyBody> {
        let asked = match self.read_call(&head, incoming, &mut draft, &mut ending).await {
            Ok(asked) => asked,
            Err(unasked) => return self.end_call(draft, Err(unasked.refused), ending, unasked.access).await,
        };
        ending.duty = self.recording.duty(asked.call.operation().access(), None);
        match asked.call.operation().access() {
            OperationAccess::Read => self.carry_out_call(asked, draft, ending).await,
            // What changes something finishes also when who asked for it leaves.
            OperationAccess::Write => {
                let fallback = ending.clone();
                let finishing = tokio::spawn(self.carry_out_call(asked, draft, ending));
                finishing.await.unwrap_or_else(|_| fallback.json_error(&CloudTrailError::internal()))
            }
        }
    }

    /// What is asked, and by whom: the body is read first, since the signature covers it.
    async fn read_call(
        &self,
        head: &RequestHead,
        incoming: Incoming,
        draft: &mut Draft,
        ending: &mut RequestEnding,
    ) -> Result<SignedCall, RefusedCall> {
        let now = self.clock.now();
        let operation = operation(head);
        let realm = AcceptedScope { region: self.realm.region.clone(), services: &[AwsService::CloudTrail] };
        let rejected = |rejected| RefusedCall::by_nobody(CloudTrailError::rejected(&rejected));
        let unproved = UnverifiedCall::read(head, now, &realm).map_err(|why| {
            why.key_id.iter().for_each(|key_id| draft.claimed_by(key_id.as_str()));
            rejected(why)
        })?;
        draft.claimed_by(unproved.claimed_key());
        if head.method != HttpMethod::Post || head.path != "/" || !head.query.pairs().is_empty() {
            return Err(RefusedCall::by_nobody(CloudTrailError::unreadable(UnreadableCall::Place)));
        }
        let body = self.read_call_body(head, incoming, ending).await.map_err(RefusedCall::by_nobody)?;
        let signed = unproved.with_body(&body, &self.keyring).map_err(rejected)?;
        draft.signed_by(&signed.principal, &signed.key_id, signed.form);
        let access = operation.as_ref().map_or(OperationAccess::Write, |operation| operation.access());
        let by_caller = |refused| RefusedCall { refused, access };
        let operation = operation.map_err(|refused| {
            let target: String = head.headers.value(TARGET).unwrap_or_default().chars().take(LONGEST_TARGET).collect();
            name(draft, None, &json!({ "target": target }));
            by_caller(refused)
        })?;
        let call = CloudTrailCall::read(operation, &body).map_err(by_caller)?;
        let call = call.asked_by(&signed.key_id, head.peer.address.ip());
        name(draft, Some(call.operation()), &call.recorded());
        let caller = Caller { principal: signed.principal, form: signed.form, transport: head.peer.transport };
        let source = CodeSource::of_address(head.peer.address.ip());
        Ok(SignedCall { call, caller, source, offer: MfaToken::parse(head.headers.value("x-amz-mfa")), now })
    }

    /// Reads the body of somebody who may be anybody: few at a time, in rooms of their own, and not for long.
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
        // Its hash is its signature's part.
        let inspect = PayloadVerifier::new(PayloadMode::Unsigned, length, DeclaredChecksums::default());
        let body = RequestBody::new(incoming, inspect, self.body_idle);
        ending.received = body.received();
        match tokio::time::timeout(2 * self.body_idle, body.collect(LONGEST_BODY)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(fault)) => refused(unreadable(&fault)),
            Err(_) => refused(UnreadableCall::BodyLate),
        }
    }

    async fn carry_out_call(
        self: Arc<Self>,
        asked: SignedCall,
        mut draft: Draft,
        ending: RequestEnding,
    ) -> Response<ReplyBody> {
        let access = asked.call.operation().access();
        let principal = asked.caller.principal.clone();
        let outcome = self.call_story(asked, &mut draft).await;
        let refused = outcome.is_err();
        let response = self.end_call(draft, outcome, ending, access).await;
        if refused {
            self.wait_after_refusal(&principal).await;
        }
        response
    }

    async fn call_story(&self, asked: SignedCall, draft: &mut Draft) -> Result<Value, CloudTrailError> {
        let SignedCall { call, caller, source, offer, now } = asked;
        let access = call.operation().access();
        let offered = OfferedToken::of(&offer);
        let facts = self.trails.facts(&call, &caller, now).await;
        let (judged, factor) = match decide(&call, &caller, offer, &facts, self.rules, now) {
            Verdict::Pass(permit) => (Ok(permit), (false, None)),
            Verdict::Refuse(denied) => {
                let factor = of_denied(&denied);
                (Err(denied), factor)
            }
            Verdict::Verify(challenge) => self.second_factor_of(challenge, &caller, source, now).await?,
        };
        if access == OperationAccess::Write || offered.presented {
            let (required, result) = factor;
            let (presented, serial) = (offered.presented, offered.serial);
            draft.judged(MfaFacts { bucket: MfaDelete::NeverSet, required, presented, result, serial });
        }
        let permit = judged.map_err(|denied| denied.refused())?;
        // No trail, no act.
        if access == OperationAccess::Write {
            // Whatever `audit.on_failure` lets pass unrecorded, a change of what is recorded is not among it.
            let intent = draft.intend().map_err(|_| CloudTrailError::unrecorded())?;
            self.journal.durable(intent).await.map_err(|_| CloudTrailError::unrecorded())?;
        }
        self.trails.perform(permit, now).await
    }

    /// Takes the code of a challenge; it is spent, durably, before anything else happens.
    async fn second_factor_of(
        &self,
        challenge: Challenge<PendingCall>,
        caller: &Caller,
        source: CodeSource,
        now: Timestamp,
    ) -> Result<(Result<Permit, Denied>, FactorUse), CloudTrailError> {
        match portcullis_mfa::spend(challenge, &self.store.step_ledger(&caller.principal, source, now)).await {
            Ok(proof) => Ok((Ok(Permit::by_proof(proof)), (true, Some(MfaResult::Accepted)))),
            Err(UnmetChallenge { challenge, error: SpendError::Fault(fault) }) => {
                Ok((Err(Denied::of_fault(challenge, fault)), (true, Some(mfa_result(fault)))))
            }
            Err(UnmetChallenge { error: SpendError::Store(error), .. }) => {
                tracing::error!(%error, "an MFA code cannot be checked");
                Err(CloudTrailError::unwritten())
            }
        }
    }

    /// Closes the draft and makes the reply; a change's record is on disk before its reply begins.
    async fn end_call(
        &self,
        draft: Draft,
        answer: Result<Value, CloudTrailError>,
        ending: RequestEnding,
        access: OperationAccess,
    ) -> Response<ReplyBody> {
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
            bytes_in: ending.received.load(std::sync::atomic::Ordering::Relaxed),
            bytes_out: u64::try_from(document.len()).unwrap_or(u64::MAX),
            elements: answer
                .as_ref()
                .map_or_else(|_| ResponseElements::default(), |answer| ResponseElements::of_control(&recorded(answer))),
            ..RequestOutcome::default()
        };
        match (self.record(draft, &outcome, access, ending.duty).await, answer) {
            (Ok(()), Ok(_)) => ending.json(status, document),
            (Ok(()), Err(refused)) => ending.json_error(&refused),
            // It was done, and its intent is on disk: the next start records that nobody knows the outcome.
            (Err(_), Ok(_)) => ending.json_error(&CloudTrailError::done_unrecorded()),
            (Err(_), Err(refused)) => {
                tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
                ending.json_error(&refused)
            }
        }
    }
}

/// Whether a code was needed, and what became of the one that was offered.
type FactorUse = (bool, Option<MfaResult>);

/// A call that nobody can be answered.
struct RefusedCall {
    refused: CloudTrailError,
    /// How it is recorded.
    access: OperationAccess,
}

impl RefusedCall {
    /// Nobody is promised a record of what nobody signed: a flood of it must not wait for the disk.
    fn by_nobody(refused: CloudTrailError) -> Self {
        Self { refused, access: OperationAccess::Read }
    }
}

impl RequestEnding {
    /// Gives a call an id of CloudTrail's form.
    pub(super) fn identify(&mut self, request_id: RequestId) {
        (self.request_id, self.host_id) = (request_id, None);
    }

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
        // What is not understood is recorded as if it had changed something.
        read_only: operation.is_some_and(|operation| operation.access() == OperationAccess::Read),
        parameters,
    });
}

/// The error code in a record: AWS leaves out of one the end that it has on the wire.
fn code_in_record(refused: &CloudTrailError) -> &'static str {
    match refused.exception {
        "AccessDeniedException" => "AccessDenied",
        exception => exception,
    }
}

fn document(refused: &CloudTrailError) -> String {
    json!({ "__type": refused.exception, "message": refused.message }).to_string()
}

fn of_denied(denied: &Denied) -> FactorUse {
    match denied {
        Denied::Call(_) => (false, None),
        Denied::Factor(refusal, _) => of_refusal(refusal),
    }
}

fn unreadable(fault: &BodyFault<portcullis_sigv4::PayloadFault>) -> UnreadableCall {
    match fault {
        BodyFault::Idle => UnreadableCall::BodyLate,
        BodyFault::TooLong => UnreadableCall::BodyTooLong,
        BodyFault::Cut | BodyFault::Withdrawn | BodyFault::Wrong(_) => UnreadableCall::BodyIncomplete,
    }
}
