//! The door of S3: a request is decided on by the state of its bucket, and sent to the upstream.

use std::sync::{Arc, OnceLock};

use super::Pipeline;
use super::intake;
use super::protection::{LeasedBucket, UpstreamOutcome};
use super::recording::RecordDuty;
use crate::failure::Failure;
use crate::story::{Door, OfferedCode, Requester, UnjudgedCode, code_factor, of_refusal};
use portcullis_audit::MfaFacts;
use portcullis_authorization::{
    AllowedRequest, CallerRights, EarlyVerdict, JudgedAction, PendingRequest, PermitCost, PermittedRequest, Refusal,
    RequestPermit, Verdict,
};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_http::{BodyFault, RequestBody};
use portcullis_mfa::{Challenge, MfaToken, Proof};
use portcullis_s3::{CopySource, OperationAccess, S3Request};
use portcullis_sigv4::{PayloadFault, PayloadVerifier};
use portcullis_upstream::{AnswerBegun, UpstreamAnswer};

/// S3, for one request.
pub(super) struct S3Door<'a> {
    pub pipeline: &'a Pipeline,
    pub duty: RecordDuty,
    /// What the caller may do by its policies.
    pub rights: CallerRights,
    /// Notified when the upstream begins to answer, for replies that are kept alive.
    pub begun: Option<&'a AnswerBegun>,
}

/// Object data on its way in.
pub(super) struct ObjectData {
    /// Boxed, since it is large and most requests have none.
    pub payload: Option<Box<RequestBody<PayloadVerifier>>>,
    /// Its SHA-256, if the client sent one.
    pub digest: Option<[u8; 32]>,
}

/// What a request to S3 is decided by.
pub(super) struct BucketFacts {
    held: LeasedBucket,
    foresight: EarlyVerdict,
    source_tags: SourceTags,
}

/// Whether a copy would copy tags that its caller may not copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceTags {
    Denied,
    /// There are none, or they may be copied.
    Free,
}

impl Door for S3Door<'_> {
    type Action = AllowedRequest;
    type Body = ObjectData;
    type Facts = BucketFacts;
    type Permitted = PermittedRequest;
    type Done = UpstreamAnswer;
    type Failure = Failure;

    /// Reads what the state and the upstream say of the bucket, under the lease that keeps it true.
    async fn facts(
        &self,
        allowed: &AllowedRequest,
        requester: &Requester,
        offer: &MfaToken,
    ) -> Result<BucketFacts, Failure> {
        let Pipeline { protection, rules, .. } = self.pipeline;
        let Requester { caller, now, .. } = requester;
        let request = allowed.request();
        let source_tags = match allowed.source_without_tags() {
            Some(source) => self.tags_of(source, *now).await?,
            None => SourceTags::Free,
        };
        let remembered = protection.remembered(request, *now);
        let foresight = portcullis_authorization::foresee(request, caller, remembered, offer, *rules);
        let held = match (foresight, offer) {
            // Codes wait in the queue of their device, and a refusal waits for nothing. Neither may hold the bucket's
            // lease meanwhile, so both are decided before it; a proved code is decided on again under the lease.
            (EarlyVerdict::Code, MfaToken::Codes(_)) | (EarlyVerdict::Refusal, _) => {
                LeasedBucket::without_lease(remembered)
            }
            (EarlyVerdict::Code | EarlyVerdict::Open, _) => {
                protection.hold(request, remembered, &caller.principal, *now).await?
            }
        };
        Ok(BucketFacts { held, foresight, source_tags })
    }

    fn decide(
        &self,
        allowed: AllowedRequest,
        requester: &Requester,
        offer: MfaToken,
        facts: &BucketFacts,
    ) -> Verdict<PermittedRequest> {
        let allowed = match facts.source_tags {
            SourceTags::Free => allowed,
            SourceTags::Denied => match allowed.refuse_tags() {
                Ok(allowed) => allowed,
                Err(denial) => return Verdict::Refuse(Refusal::Policy(denial)),
            },
        };
        match (facts.foresight, offer) {
            (EarlyVerdict::Code, MfaToken::Codes(codes)) => {
                Verdict::Mfa(portcullis_authorization::challenge_early(codes, allowed))
            }
            (EarlyVerdict::Code | EarlyVerdict::Open | EarlyVerdict::Refusal, offer) => {
                portcullis_authorization::assess(
                    allowed,
                    &requester.caller,
                    facts.held.state,
                    offer,
                    self.pipeline.rules,
                )
            }
        }
    }

    async fn open(
        &self,
        proof: Proof<PendingRequest>,
        requester: &Requester,
        facts: &mut BucketFacts,
    ) -> Result<JudgedAction<PermittedRequest>, Failure> {
        let Requester { caller, now, .. } = requester;
        if proof.subject().is_foreseen() {
            let (request, remembered) = (proof.subject().request(), facts.held.state);
            facts.held = self.pipeline.protection.hold(request, remembered, &caller.principal, *now).await?;
        }
        Ok(portcullis_authorization::assess_proved(proof, caller, facts.held.state, self.pipeline.rules))
    }

    async fn perform(
        &self,
        permit: RequestPermit,
        facts: BucketFacts,
        data: ObjectData,
        now: Timestamp,
    ) -> Result<UpstreamAnswer, Failure> {
        let (protection, mut held) = (&self.pipeline.protection, facts.held);
        let (bucket, change) = (permit.request().bucket.clone(), permit.change());
        protection.before(permit.request(), change, &mut held, now).await?;
        let listed = self.told_of_absence(permit.request());
        let answer = self.forward(permit, data, &mut held, now).await;
        protection.opened(&held, &answer, now).await;
        if let Some(bucket) = bucket {
            protection
                .after(&bucket, change, &mut held, UpstreamOutcome::of(&answer), self.pipeline.clock.now())
                .await?;
        }
        answer.and_then(|answer| self.without_absence(answer, listed.as_ref()))
    }

    fn recorded(
        &self,
        facts: &BucketFacts,
        _: OperationAccess,
        offered: OfferedCode,
        judged: &JudgedAction<PermittedRequest>,
    ) -> Option<MfaFacts> {
        Some(offered.told(facts.held.state.mfa_delete, code_factor(judged, of_refusal)))
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }

    fn unjudged(&self, _: &Challenge<PendingRequest>, _: UnjudgedCode) -> Failure {
        Failure::Unrecorded
    }

    fn unrecorded(&self, _: &RequestPermit, cost: PermitCost) -> Result<(), Failure> {
        match cost {
            PermitCost::Code => Err(Failure::Unrecorded),
            PermitCost::Nothing => self.duty.lost(Failure::Unrecorded),
        }
    }
}

impl S3Door<'_> {
    async fn tags_of(&self, source: &CopySource, now: Timestamp) -> Result<SourceTags, Failure> {
        match self.pipeline.upstream.has_tags(source, now).await {
            Ok(true) => Ok(SourceTags::Denied),
            Ok(false) => Ok(SourceTags::Free),
            Err(error) => Err(Failure::Upstream(error)),
        }
    }

    /// The bucket that a caller with policies has to be allowed to list, to be told that a key is not there.
    fn told_of_absence(&self, request: &S3Request) -> Option<BucketName> {
        if self.rights.is_root() {
            return None;
        }
        match (&request.copy_source, request.action.row().access) {
            (Some(source), _) => Some(source.bucket.clone()),
            (None, OperationAccess::Read) => request.bucket.clone(),
            (None, OperationAccess::Write) => None,
        }
    }

    /// Tells who may not list the bucket nothing of what it has not got, as AWS does.
    fn without_absence(&self, answer: UpstreamAnswer, bucket: Option<&BucketName>) -> Result<UpstreamAnswer, Failure> {
        let is_absent = matches!(&answer, UpstreamAnswer::Refused(refusal) if refusal.code == "NoSuchKey");
        match bucket.filter(|_| is_absent).and_then(|bucket| self.rights.hides_absence(bucket)) {
            Some(denial) => Err(Failure::Refused(Refusal::Policy(denial))),
            None => Ok(answer),
        }
    }

    /// Sends what is permitted: the only place from which a client's request reaches the upstream.
    async fn forward(
        &self,
        permit: RequestPermit,
        data: ObjectData,
        held: &mut LeasedBucket,
        now: Timestamp,
    ) -> Result<UpstreamAnswer, Failure> {
        let (payload, fault) = match data.payload {
            None => (None, None),
            Some(body) => {
                let (payload, fault) = self.upload(body, data.digest, held).await?;
                (Some(payload), Some(fault))
            }
        };
        let answer = self.pipeline.upstream.send(permit, payload, now, self.begun).await;
        match (fault.as_ref().and_then(|fault| fault.get()), answer) {
            (Some(fault), _) => Err(intake::of_fault(fault.clone())),
            (None, answer) => answer.map_err(Failure::Upstream),
        }
    }

    /// Prepares object data for the upstream; the second part is where its fault is found.
    async fn upload(
        &self,
        mut body: Box<RequestBody<PayloadVerifier>>,
        digest: Option<[u8; 32]>,
        held: &mut LeasedBucket,
    ) -> Result<(portcullis_upstream::ObjectPayload, SharedBodyFault), Failure> {
        if let Some(condition) = self.pipeline.protection.at_the_end(held) {
            body.set_condition(condition);
        }
        // The lease is held until the outcome at the upstream is known.
        held.keep(body.hold());
        let fault = body.fault();
        let (length, checksum) = (body.inspect().length(), body.inspect().trailing());
        if length == 0 {
            // An empty body has no last byte to hold back, so it is verified before the request is sent.
            Box::pin(body.collect(0)).await.map_err(intake::of_fault)?;
            return Ok((portcullis_upstream::ObjectPayload::empty(checksum), fault));
        }
        Ok((portcullis_upstream::ObjectPayload { source: Box::into_pin(body), length, digest, checksum }, fault))
    }
}

/// Where the fault of a body is found, once there is one.
type SharedBodyFault = Arc<OnceLock<BodyFault<PayloadFault>>>;
