//! Calls of a service beside S3, CloudTrail and IAM: read, told by the story, answered.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use serde_json::Value;

use super::Pipeline;
use super::ending::{self, Exchange};
use super::reply::ReplyBody;
use crate::story::{Door, OfferedCode, RequestedAction, Requester, Story, UnjudgedCode, code_factor, of_refusal};
use portcullis_audit::{ControlFacts, ControlSubject, Draft, MfaFacts, OutcomeError, RequestOutcome, ResponseElements};
use portcullis_authorization::{Caller, JudgedAction, MfaDelete, Permit, PermitCost, UpstreamIdentity, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_control::cloudtrail::CloudTrailError;
use portcullis_control::services::{
    CallPlace, GLOBAL_REGION, ServiceAction, ServiceAnswer, ServiceApi, ServiceCall, ServiceContent, ServiceDenial,
    ServiceFacts, code_in_record, decide, perform, unrecorded,
};
use portcullis_http::RequestHead;
use portcullis_mfa::{Challenge, MfaToken, Proof};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::{
    AcceptedScope, ClaimFault, SignatureFault, SignatureRejection, SigningCredentials, UnverifiedCall, VerifiedRequest,
};
use portcullis_state::CodeSource;

/// The door of the services beside S3, CloudTrail and IAM.
struct ServiceDoor<'a> {
    pipeline: &'a Pipeline,
    key_id: &'a AccessKeyId,
    credentials: SigningCredentials,
}

/// Names a call before its signature is verified, so that the record of a refusal names the operation.
pub(super) fn name_by_head(draft: &mut Draft, api: &'static ServiceApi, head: &RequestHead) {
    name(draft, api, &ServiceCall::begun(api, head), &Value::Null);
}

impl Pipeline {
    /// Answers a call of this service; none changes anything.
    pub(super) async fn service_call(
        self: Arc<Self>,
        api: &'static ServiceApi,
        head: RequestHead,
        incoming: Incoming,
        mut exchange: Exchange,
    ) -> Response<ReplyBody> {
        let (body, signed) = match self.read_service_call(api, &head, incoming, &mut exchange).await {
            Ok(read) => read,
            Err(refused) => {
                let call = ServiceCall::begun(api, &head);
                return self.end_service_call(api, &call, exchange, Err(refused)).await;
            }
        };
        let call = ServiceCall::read(api, &head, &body);
        let action = call.action();
        exchange.access = action.as_ref().map_or(OperationAccess::Read, ServiceAction::access);
        exchange.duty = self.recording.duty(exchange.access, None);
        let parameters = action.as_ref().map_or(Value::Null, ServiceAction::recorded);
        name(&mut exchange.draft, api, &call, &parameters);
        let principal = signed.principal.clone();
        let content = match action {
            Ok(action) => {
                let caller = Caller {
                    principal: signed.principal,
                    form: signed.form,
                    transport: head.peer.transport,
                    // What a call asks of the upstream, Portcullis asks for itself.
                    upstream: UpstreamIdentity::Own,
                };
                let source = CodeSource::of_address(head.peer.address.ip());
                let requester = Requester { caller, source, now: self.clock.now() };
                // The codes of what is answered here are parameters.
                let (offer, access) = (MfaToken::Absent, exchange.access);
                let requested = RequestedAction { action, body: (), requester, offer, access };
                let story = Story { journal: &self.journal, state: &self.state };
                let door = ServiceDoor { pipeline: &self, key_id: &signed.key_id, credentials: signed.credentials };
                story.act(&door, requested, &mut exchange.draft).await
            }
            Err(refused) => Err(refused),
        };
        let refused = content.is_err();
        let response = self.end_service_call(api, &call, exchange, content).await;
        if refused {
            self.wait_after_refusal(&principal).await;
        }
        response
    }

    /// Reads the body and verifies the signature that covers it.
    pub(super) async fn read_service_call(
        &self,
        api: &'static ServiceApi,
        head: &RequestHead,
        incoming: Incoming,
        exchange: &mut Exchange,
    ) -> Result<(Bytes, VerifiedRequest), CloudTrailError> {
        let now = self.clock.now();
        let Exchange { draft, ending, .. } = exchange;
        let unproved = self.claim(api, head, now).map_err(|why| {
            why.key_id.iter().for_each(|key_id| draft.claimed_by(key_id.as_str()));
            CloudTrailError::rejected(&why)
        })?;
        draft.claimed_by(unproved.claimed_key());
        let body = match CallPlace::of(api, head)? {
            CallPlace::Body => self.read_call_body(head, incoming, ending).await?,
            CallPlace::Query => Bytes::new(),
        };
        name(draft, api, &ServiceCall::read(api, head, &body), &Value::Null);
        let signed = unproved.with_body(&body, &self.keyring).map_err(|why| CloudTrailError::rejected(&why))?;
        ending::signed(draft, &signed);
        Ok((body, signed))
    }

    /// Reads the claim of who signed, for the proxy's region, or for that of the services that AWS has once.
    fn claim<'a>(
        &self,
        api: &'static ServiceApi,
        head: &'a RequestHead,
        now: Timestamp,
    ) -> Result<UnverifiedCall<'a>, SignatureRejection> {
        let within = |region: &str| {
            let services = std::slice::from_ref(&api.service);
            let accepted_scope = AcceptedScope {
                region: region.to_owned(),
                services,
                unsigned_payload: self.accepted_scope.unsigned_payload,
            };
            UnverifiedCall::read(head, now, &accepted_scope)
        };
        let claimed = within(&self.accepted_scope.region);
        if let Err(SignatureRejection {
            reason: SignatureFault::Claim { fault: ClaimFault::Region { claimed, .. }, .. },
            ..
        }) = &claimed
            && api.takes_region(claimed)
        {
            return within(GLOBAL_REGION);
        }
        claimed
    }

    /// Closes the draft and makes the reply.
    async fn end_service_call(
        &self,
        api: &'static ServiceApi,
        call: &ServiceCall<'_>,
        exchange: Exchange,
        content: Result<ServiceContent, CloudTrailError>,
    ) -> Response<ReplyBody> {
        let (status, document) = call.document(&content, exchange.ending.request_id);
        let failed = |refused: &CloudTrailError| OutcomeError {
            code: code_in_record(api.protocol, refused),
            message: refused.message.clone(),
        };
        let outcome = RequestOutcome {
            status,
            error: content.as_ref().err().map(failed),
            bytes_out: u64::try_from(document.len()).unwrap_or(u64::MAX),
            elements: content.as_ref().map_or_else(
                |_| ResponseElements::default(),
                |content| ResponseElements::of_control(content.elements()),
            ),
            ..exchange.ending.outcome()
        };
        let (ending, recorded) = exchange.record(&outcome, &self.journal).await;
        let (status, document) = match (recorded, content) {
            (Ok(()), _) => (status, document),
            (Err(_), Ok(_)) => call.document(&Err(unrecorded()), ending.request_id),
            (Err(_), Err(_)) => {
                tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
                (status, document)
            }
        };
        ending.call_reply(status, api.content_type(), document)
    }
}

impl<'a> Door for ServiceDoor<'a> {
    type Action = ServiceAction;
    type Body = ();
    type Facts = ServiceFacts<'a>;
    type Permitted = ServiceAnswer;
    type Done = ServiceContent;
    type Failure = CloudTrailError;

    async fn facts(
        &self,
        _: &ServiceAction,
        requester: &Requester,
        _: &MfaToken,
    ) -> Result<ServiceFacts<'a>, CloudTrailError> {
        let Self { pipeline, key_id, credentials } = *self;
        let (account, region) = (pipeline.state.account(), pipeline.accepted_scope.region.as_str());
        Ok(ServiceFacts { account, region, key_id, credentials, now: requester.now })
    }

    fn decide(
        &self,
        action: ServiceAction,
        requester: &Requester,
        _: MfaToken,
        facts: &ServiceFacts<'a>,
    ) -> Verdict<ServiceAnswer> {
        decide(action, &requester.caller, facts, self.pipeline.rules)
    }

    async fn open(
        &self,
        proof: Proof<ServiceAnswer>,
        _: &Requester,
        _: &mut ServiceFacts<'a>,
    ) -> Result<JudgedAction<ServiceAnswer>, CloudTrailError> {
        Ok(JudgedAction::Proved(Ok(Permit::by_proof(proof))))
    }

    async fn perform(
        &self,
        permit: Permit<ServiceAnswer>,
        _: ServiceFacts<'a>,
        (): (),
        now: Timestamp,
    ) -> Result<ServiceContent, CloudTrailError> {
        perform(permit, &self.pipeline.state, now)
    }

    /// The record tells of codes that were asked for by those that came as parameters.
    fn recorded(
        &self,
        _: &ServiceFacts<'a>,
        _: OperationAccess,
        offered: OfferedCode,
        judged: &JudgedAction<ServiceAnswer>,
    ) -> Option<MfaFacts> {
        let (required, result) = code_factor(judged, |denial| match denial {
            ServiceDenial::Action(_) => (false, None),
            ServiceDenial::Factor(refusal) => of_refusal(refusal),
        });
        required.then(|| offered.told(MfaDelete::NeverSet, (required, result)))
    }

    fn refused(&self, denial: ServiceDenial) -> CloudTrailError {
        denial.refused()
    }

    fn unjudged(&self, _: &Challenge<ServiceAnswer>, _: UnjudgedCode) -> CloudTrailError {
        CloudTrailError::unwritten()
    }

    fn unrecorded(&self, _: &Permit<ServiceAnswer>, _: PermitCost) -> Result<(), CloudTrailError> {
        Err(unrecorded())
    }
}

fn name(draft: &mut Draft, api: &'static ServiceApi, call: &ServiceCall<'_>, parameters: &Value) {
    draft.asks_control(ControlFacts {
        source: api.source,
        event_name: call.event_name(),
        read_only: call.only_reads(),
        subject: ControlSubject::Other,
        parameters,
    });
}
