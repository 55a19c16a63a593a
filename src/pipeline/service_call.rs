//! The story of a call for a service that is neither S3 nor CloudTrail, in the order in which it happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;

use super::Gate;
use super::ending::Ending;
use super::reply::Reply;
use crate::api::cloudtrail::Refused;
use crate::api::services::{CallPlace, GLOBAL_REGION, ServiceApi, ServiceCall, code_in_record};
use crate::audit::{ControlAsked, Draft, Failed, Outcome};
use crate::authenticate::{ClaimFault, Realm, Reason, Rejected, Signed, Unproved};
use crate::clock::Timestamp;
use crate::operation::Access;
use crate::wire::Head;

/// Names a call before it is known who asks, so that the record of a refusal says what was refused.
pub(super) fn name_by_head(draft: &mut Draft, api: &'static ServiceApi, head: &Head) {
    name(draft, api, &ServiceCall::begun(api, head));
}

impl Gate {
    /// Answers a call of this service.
    pub(super) async fn service_call(
        self: Arc<Self>,
        api: &'static ServiceApi,
        head: Head,
        incoming: Incoming,
        mut draft: Draft,
        mut ending: Ending,
    ) -> Response<Reply> {
        let (refused, signer) = match self.read_service_call(api, &head, incoming, &mut draft, &mut ending).await {
            Ok((call, signed)) => {
                ending.duty = self.recording.duty(Access::Read, None);
                (call.refusal(), Some(signed.principal))
            }
            Err(refused) => (refused, None),
        };
        let response = self.end_service_call(api, draft, refused, ending).await;
        if let Some(signer) = signer {
            self.wait_after_refusal(&signer).await;
        }
        response
    }

    /// What is asked, and by whom: the body is read first, since the signature covers it.
    async fn read_service_call(
        &self,
        api: &'static ServiceApi,
        head: &Head,
        incoming: Incoming,
        draft: &mut Draft,
        ending: &mut Ending,
    ) -> Result<(ServiceCall, Signed), Refused> {
        let now = self.clock.now();
        let unproved = self.claim(api, head, now).map_err(|why| {
            why.key_id.iter().for_each(|key_id| draft.claimed_by(key_id.as_str()));
            Refused::rejected(&why)
        })?;
        draft.claimed_by(unproved.claimed_key());
        let body = match CallPlace::of(api, head)? {
            CallPlace::Body => self.read_call_body(head, incoming, ending).await?,
            CallPlace::Query => Bytes::new(),
        };
        let call = ServiceCall::read(api, head, &body);
        name(draft, api, &call);
        let signed = unproved.with_body(&body, &self.keyring).map_err(|why| Refused::rejected(&why))?;
        draft.signed_by(&signed.principal, &signed.key_id, signed.form);
        Ok((call, signed))
    }

    /// The claim of who signed, for the gate's region, or for that of the services that AWS has once.
    fn claim<'a>(&self, api: &'static ServiceApi, head: &'a Head, now: Timestamp) -> Result<Unproved<'a>, Rejected> {
        let within = |region: &str| {
            let realm = Realm { region: region.to_owned(), services: std::slice::from_ref(&api.service) };
            Unproved::read(head, now, &realm)
        };
        let claimed = within(&self.realm.region);
        if let Err(Rejected { reason: Reason::Claim { fault: ClaimFault::Region { claimed, .. }, .. }, .. }) = &claimed
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
        draft: Draft,
        refused: Refused,
        ending: Ending,
    ) -> Response<Reply> {
        let (status, document) = api.failure(&refused, ending.request_id);
        let outcome = Outcome {
            status,
            error: Some(Failed { code: code_in_record(api.protocol, &refused), message: refused.message }),
            bytes_in: ending.received.load(Ordering::Relaxed),
            bytes_out: u64::try_from(document.len()).unwrap_or(u64::MAX),
            ..Outcome::default()
        };
        if self.record(draft, &outcome, Access::Read, ending.duty).await.is_err() {
            tracing::error!(request = %ending.request_id, "a refusal could not be recorded");
        }
        ending.call_reply(status, api.content_type(), document)
    }
}

fn name(draft: &mut Draft, api: &'static ServiceApi, call: &ServiceCall) {
    draft.asks_control(ControlAsked {
        source: api.source,
        event_name: call.event_name(),
        read_only: call.only_reads(),
        // Of what is not answered nobody here knows which parameters are secret.
        parameters: &serde_json::Value::Null,
    });
}
