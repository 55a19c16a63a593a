//! IAM on the port: a call is read, told by the story, recorded and answered.

use std::sync::Arc;

use http::Response;
use http::header::HeaderValue;
use hyper::body::Incoming;

use super::Pipeline;
use super::ending::{Exchange, RequestEnding};
use super::iam_door::{IamDoor, iam_outcome};
use super::reply::ReplyBody;
use super::service_call;
use crate::story::Requester;
use portcullis_audit::{Draft, RequestOutcome};
use portcullis_authorization::{Caller, CallerRights, UpstreamIdentity};
use portcullis_base::secret::Secret;
use portcullis_control::iam::{CONTENT_TYPE, IamAnswer, IamChannel, IamError, IamRequest, IamScope};
use portcullis_control::query::parse_form;
use portcullis_control::services::IAM_API;
use portcullis_http::{HttpMethod, RequestHead};
use portcullis_mfa::{MfaDemand, MfaToken};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::SigningCredentials;
use portcullis_state::CodeSource;

/// A call whose signature is verified.
struct SignedIamCall {
    request: IamRequest,
    requester: Requester,
    offer: MfaToken,
    rights: CallerRights,
}

/// Names a call before its signature is verified, so that the record of a refusal names the action.
pub(super) fn name_by_head(draft: &mut Draft, head: &RequestHead) {
    service_call::name_by_head(draft, &IAM_API, head);
}

impl Pipeline {
    /// Answers a call of IAM.
    pub(super) async fn iam_call(
        self: Arc<Self>,
        head: RequestHead,
        incoming: Incoming,
        mut exchange: Exchange,
    ) -> Response<ReplyBody> {
        let call = match self.read_iam_call(&head, incoming, &mut exchange).await {
            Ok(call) => call,
            Err(refused) => return self.end_iam_call(exchange, Err(refused)).await,
        };
        exchange.duty = self.recording.duty(exchange.access, None);
        match exchange.access {
            OperationAccess::Read => self.carry_out_iam_call(call, exchange).await,
            // A change finishes even if its client disconnects.
            OperationAccess::Write => {
                let fallback = exchange.ending.clone();
                let finishing = tokio::spawn(self.carry_out_iam_call(call, exchange));
                finishing.await.unwrap_or_else(|_| fallback.iam_reply(Err(&IamError::internal())))
            }
        }
    }

    /// Reads a call and verifies its signature, which covers the body.
    async fn read_iam_call(
        &self,
        head: &RequestHead,
        incoming: Incoming,
        exchange: &mut Exchange,
    ) -> Result<SignedIamCall, IamError> {
        let read = self.read_service_call(&IAM_API, head, incoming, exchange).await;
        let (body, signed) = read.map_err(|refused| IamError::unread_call(&refused))?;
        let form = match head.method {
            HttpMethod::Get => Ok(head.query.pairs().to_vec()),
            HttpMethod::Delete | HttpMethod::Head | HttpMethod::Options | HttpMethod::Post | HttpMethod::Put => {
                parse_form(&body)
            }
        };
        let scope = IamScope { account: self.state.account(), channel: IamChannel::Port, digits: self.digits };
        let request = match form {
            Ok(form) => IamRequest::read(&form, scope),
            Err(malformed) => IamRequest::unreadable(&malformed),
        };
        let request = match signed.credentials {
            SigningCredentials::LongTerm => request,
            // As at AWS: what a session may do ends with it, and a key that it makes would not.
            SigningCredentials::Session(_) => request.refused(IamError::session()),
        };
        exchange.access = request.event().access();
        exchange.draft.asks_control(request.event().facts());
        let now = self.clock.now();
        let rights = self.call_rights(head, &signed, now, exchange.tls);
        let caller = Caller {
            principal: signed.principal,
            form: signed.form,
            transport: head.peer.transport,
            // Nothing is asked of the upstream.
            upstream: UpstreamIdentity::Own,
        };
        let source = CodeSource::of_address(head.peer.address.ip());
        let offer = MfaToken::parse(head.headers.value("x-amz-mfa"));
        Ok(SignedIamCall { request, requester: Requester { caller, source, now }, offer, rights })
    }

    async fn carry_out_iam_call(self: Arc<Self>, call: SignedIamCall, mut exchange: Exchange) -> Response<ReplyBody> {
        let SignedIamCall { request, requester, offer, rights } = call;
        let principal = requester.caller.principal.clone();
        let (journal, state, rules, now) = (&self.journal, &self.state, self.rules, requester.now);
        let door = IamDoor { journal, state, rules, rights, now };
        let answer = door.carry_out(request, requester, offer, &mut exchange.draft).await;
        let refused = answer.is_err();
        let response = self.end_iam_call(exchange, answer).await;
        if refused {
            self.wait_after_refusal(&principal).await;
        }
        response
    }

    /// Closes the draft and makes the reply; a change's record is on disk before its reply begins.
    async fn end_iam_call(&self, exchange: Exchange, answer: Result<IamAnswer, IamError>) -> Response<ReplyBody> {
        let length = document(answer.as_ref(), &exchange.ending).expose().len();
        let bytes_out = u64::try_from(length).unwrap_or(u64::MAX);
        let outcome = RequestOutcome { bytes_out, ..iam_outcome(&answer, exchange.ending.outcome()) };
        let access = exchange.access;
        let (ending, recorded) = exchange.record(&outcome, &self.journal).await;
        match (recorded, answer, access) {
            (Ok(()), answer, _) => ending.iam_reply(answer.as_ref()),
            (Err(_), Ok(_), OperationAccess::Read) => ending.iam_reply(Err(&IamError::unrecorded())),
            // It was done, and its intent is on disk: the next start records that the outcome is unknown.
            (Err(_), Ok(_), OperationAccess::Write) => ending.iam_reply(Err(&IamError::done_unrecorded())),
            (Err(_), Err(refused), _) => {
                tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
                ending.iam_reply(Err(&refused))
            }
        }
    }
}

impl RequestEnding {
    fn iam_reply(self, answer: Result<&IamAnswer, &IamError>) -> Response<ReplyBody> {
        let document = document(answer, &self);
        let (status, mfa) = answer.map_or_else(|refused| (refused.status, refused.mfa), |_| (200, MfaDemand::None));
        let mut response = self.call_reply(status, CONTENT_TYPE, document.expose().clone());
        if let Some(value) = mfa.header_value() {
            response.headers_mut().insert(MfaDemand::HEADER, HeaderValue::from_static(value));
        }
        response
    }
}

/// The body of the reply; hidden, since a seed or a secret key may be in it.
fn document(answer: Result<&IamAnswer, &IamError>, ending: &RequestEnding) -> Secret<String> {
    answer.map_or_else(|refused| refused.body(ending.request_id), |answer| answer.body(ending.request_id))
}
