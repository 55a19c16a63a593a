//! What the state records of a bucket before a request is sent, and after the upstream's answer or silence.

use http::StatusCode;

use super::{BucketLease, BucketProtection, LeasedBucket};
use crate::failure::Failure;
use portcullis_authorization::{BucketState, LateEffect, MfaDelete, StateChange, Versioning};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_s3::S3Request;
use portcullis_state::{BucketRecord, RequestUnderWay, StoreError};
use portcullis_upstream::{DeletedObject, UpstreamAnswer};

/// Whether the upstream did what it was asked.
#[derive(Clone, Copy)]
pub enum UpstreamOutcome {
    No,
    Unknown,
    Yes,
}

impl UpstreamOutcome {
    /// What an answer, or the lack of one, means.
    pub fn of(answer: &Result<UpstreamAnswer, Failure>) -> Self {
        match answer {
            // Some keys of a batch may be done and others not.
            Ok(UpstreamAnswer::Done(done)) if done.deleted.iter().any(DeletedObject::is_in_doubt) => Self::Unknown,
            Ok(UpstreamAnswer::Done(_)) => Self::Yes,
            // The store has no such operation.
            Ok(UpstreamAnswer::Refused(refusal)) if refusal.status == StatusCode::NOT_IMPLEMENTED => Self::No,
            // A server may fail after it did what was asked, and a hop in between may time out.
            Ok(UpstreamAnswer::Refused(refusal)) if refusal.status.is_client_error() => Self::No,
            Ok(UpstreamAnswer::Refused(_)) => Self::Unknown,
            // The end of its body was held back.
            Err(Failure::Body(_)) => Self::No,
            Err(Failure::Upstream(error)) if error.nothing_was_done() => Self::No,
            Err(_) => Self::Unknown,
        }
    }
}

impl BucketProtection {
    /// Records a change that must not be lost if the proxy crashes before the upstream answers.
    pub async fn before(
        &self,
        request: &S3Request,
        change: StateChange,
        held: &mut LeasedBucket,
        now: Timestamp,
    ) -> Result<(), Failure> {
        held.begin(request.hazard);
        match (change, &request.bucket) {
            (StateChange::EnableMfaDelete, Some(bucket)) => {
                let recorded = self.record(bucket, recorded(held.state), change, now).await;
                recorded.map_err(|error| match error == StoreError::Contended {
                    true => Failure::Unrecorded,
                    // A start may still find a change whose sync failed, or which the journal alone is missing.
                    false => Failure::StateInDoubt,
                })?;
            }
            (StateChange::EnableMfaDelete, None) => return Err(Failure::Internal),
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget | StateChange::None, _) => {}
        }
        let effect = match held.sole {
            Some(_) => Some(LateEffect::Completion),
            None => LateEffect::of(request.hazard),
        };
        if let (Some(bucket), Some(effect)) = (&request.bucket, effect) {
            held.under_way = Some(self.state.send(bucket, effect));
        }
        Ok(())
    }

    /// Records what the upstream's answer makes of the bucket. Silence changes nothing: enabling stays recorded, since
    /// the upstream may have carried it out, and nothing that removes protection is recorded.
    pub async fn after(
        &self,
        bucket: &BucketName,
        change: StateChange,
        held: &mut LeasedBucket,
        agreed: UpstreamOutcome,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.settle(bucket, held, agreed, now).await;
        if let UpstreamOutcome::No = agreed {
            let taken_back = self.take_back(bucket, change, held.state, now).await;
            taken_back.map_err(|_| Failure::StateInDoubt)?;
            held.nothing_changed();
        }
        match (change, agreed) {
            (StateChange::EnableMfaDelete | StateChange::None, _) => Ok(()),
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget, UpstreamOutcome::Yes) => {
                let recorded = self.record(bucket, recorded(held.state), change, now).await;
                recorded.map_err(|_| Failure::DoneUnrecorded)
            }
            (
                StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget,
                UpstreamOutcome::No | UpstreamOutcome::Unknown,
            ) => Ok(()),
        }
    }

    /// Notes what the upstream may still do, while the lease is held: the next request has to be judged by it.
    async fn settle(&self, bucket: &BucketName, held: &mut LeasedBucket, agreed: UpstreamOutcome, now: Timestamp) {
        let Some(under_way) = held.under_way.take() else { return };
        let open = match agreed {
            UpstreamOutcome::No | UpstreamOutcome::Yes => false,
            UpstreamOutcome::Unknown => {
                held.may_have_been_sent() && !self.was_seen_to_happen(bucket, held, &under_way, now).await
            }
        };
        if open {
            self.state.note_unanswered(bucket, under_way.effect(), now).await;
        }
        under_way.end();
    }

    /// Whether a suspension without an answer has taken effect. Under the write lease nothing else can have suspended.
    async fn was_seen_to_happen(
        &self,
        bucket: &BucketName,
        held: &LeasedBucket,
        under_way: &RequestUnderWay,
        now: Timestamp,
    ) -> bool {
        match (&held.lease, under_way.effect(), held.state.versioning, held.state.unsettled.suspension) {
            (BucketLease::Write { .. }, LateEffect::Suspension, Versioning::Enabled, None) => {
                Box::pin(self.upstream.versioning(bucket, now)).await == Ok(Versioning::Suspended)
            }
            (_, _, _, _) => false,
        }
    }

    /// Undoes what was recorded before a request that the upstream refused.
    async fn take_back(
        &self,
        bucket: &BucketName,
        change: StateChange,
        was: BucketState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let enabled = BucketRecord { mfa_delete: MfaDelete::Enabled, ..recorded(was) };
        match (change, was.mfa_delete) {
            (StateChange::EnableMfaDelete, MfaDelete::Disabled) => {
                self.record(bucket, enabled, StateChange::DisableMfaDelete, now).await
            }
            (StateChange::EnableMfaDelete, MfaDelete::NeverSet) => {
                self.record(bucket, enabled, StateChange::Forget, now).await
            }
            (StateChange::EnableMfaDelete, MfaDelete::Enabled)
            | (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget | StateChange::None, _) => {
                Ok(())
            }
        }
    }

    async fn record(
        &self,
        bucket: &BucketName,
        judged: BucketRecord,
        change: StateChange,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let recorded = self.state.record_bucket(bucket, judged, change, now).await;
        recorded.map(drop).inspect_err(|error| {
            tracing::error!(%bucket, %error, "the bucket's protection cannot be recorded");
        })
    }
}

/// The record of a bucket that a request was judged by.
fn recorded(state: BucketState) -> BucketRecord {
    BucketRecord { mfa_delete: state.mfa_delete, name: state.name, updated: None }
}
