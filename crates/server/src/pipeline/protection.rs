//! The state of a bucket when a request is judged, and the lease that keeps it true until the upstream has answered.

mod outcome;
mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::failure::Failure;
use portcullis_authorization::{BucketState, BucketUse, MfaDelete, MfaProfile, NameStatus, UnsettledUntil, Versioning};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::BucketName;
use portcullis_http::{ConditionHold, ConditionWithdrawn, ReleaseCondition};
use portcullis_s3::{
    Hazard, MfaDeleteChange, OperationAccess, RequestDocument, S3Request, UploadVersions, VersioningStatus,
};
use portcullis_sigv4::Principal;
use portcullis_state::{
    BucketLeases, LeaseGeneration, ObservedGeneration, ReadLease, RequestUnderWay, StateStore, WriteLease,
};
use portcullis_upstream::{Upstream, UpstreamError};
use uploads::{CompletingKeys, SoleCompletion, UploadOpening};

pub(super) use outcome::UpstreamOutcome;

/// What the state and the upstream say of buckets.
#[derive(Debug)]
pub struct BucketProtection {
    state: StateStore,
    upstream: Arc<Upstream>,
    clock: Clock,
    leases: BucketLeases,
    profile: MfaProfile,
    uploads: UploadVersions,
    completing: CompletingKeys,
    seen: Mutex<HashMap<BucketName, SeenVersioning>>,
}

/// The versioning of a bucket as the upstream told it lately.
#[derive(Clone, Copy, Debug)]
struct SeenVersioning {
    versioning: Versioning,
    generation: LeaseGeneration,
    /// When it was asked for, by the time since the boot: no clock that is set makes an old one fresh.
    at: Duration,
}

/// A bucket's state, which its lease keeps true until this is dropped.
#[derive(Debug)]
pub struct LeasedBucket {
    pub state: BucketState,
    lease: BucketLease,
    opening: Option<UploadOpening>,
    sole: Option<SoleCompletion>,
    under_way: Option<RequestUnderWay>,
}

#[derive(Debug)]
enum BucketLease {
    /// Taken once the body has arrived, if nothing changed until then: a slow upload must not keep root waiting.
    AtTheEnd {
        observed: ObservedGeneration,
        /// Set when the last byte may be sent, and held until the outcome at the upstream is known.
        taken: Arc<OnceLock<ConditionHold>>,
    },
    NotNeeded,
    Read {
        _lease: ReadLease,
    },
    Write {
        lease: WriteLease,
    },
}

/// How long the versioning of a protected bucket is cached for operations that name no version. A change through the
/// proxy ends that at once; this limits how long a change made directly at the store goes unnoticed.
const FRESH: Duration = Duration::from_secs(2);

impl BucketProtection {
    /// Looks at buckets through this state and this upstream.
    pub fn new(
        state: StateStore,
        upstream: Arc<Upstream>,
        clock: Clock,
        profile: MfaProfile,
        uploads: UploadVersions,
    ) -> Self {
        let (leases, completing) = (state.leases().clone(), CompletingKeys::default());
        Self { leases, state, upstream, clock, profile, uploads, completing, seen: Mutex::default() }
    }

    /// What the state says of the bucket; the upstream is not asked.
    pub fn remembered(&self, request: &S3Request, now: Timestamp) -> BucketState {
        let Some(bucket) = &request.bucket else { return BucketState::UNPROTECTED };
        let record = self.state.bucket(bucket);
        BucketState {
            mfa_delete: record.mfa_delete,
            name: record.name,
            usage: self.state.use_of(bucket),
            source: request.copy_source.as_ref().map_or(BucketUse::Data, |source| self.state.use_of(&source.bucket)),
            destination: self.state.use_of_any(&request.destinations),
            unsettled: match request.action.row().access {
                OperationAccess::Read => UnsettledUntil::NOTHING,
                OperationAccess::Write => self.state.unsettled(bucket, now),
            },
            ..BucketState::UNPROTECTED
        }
    }

    /// Reads the state that a request is judged by, under the lease that keeps it true.
    pub async fn hold(
        &self,
        request: &S3Request,
        remembered: BucketState,
        caller: &Principal,
        now: Timestamp,
    ) -> Result<LeasedBucket, Failure> {
        let Some(bucket) = &request.bucket else { return Ok(LeasedBucket::without_lease(remembered)) };
        if needs(request, remembered) == LeaseNeed::Nothing {
            return Ok(LeasedBucket::without_lease(remembered));
        }
        let (lease, mut state) = self.lease(request, bucket, remembered, now).await;
        let (mut opening, mut sole) = (None, None);
        let protected = state.mfa_delete == MfaDelete::Enabled;
        match request.hazard {
            Hazard::ReplacesNullVersion if protected && self.profile == MfaProfile::Strict => {
                state.versioning = Box::pin(self.versioning(bucket, state.unsettled, now)).await?;
                (state.completion, sole) = Box::pin(self.completion(request, bucket, state.unsettled, now)).await?;
            }
            Hazard::OpensUpload if protected && self.profile == MfaProfile::Strict => {
                opening = Box::pin(self.opening(request, bucket, caller, state.unsettled, now)).await?;
            }
            Hazard::ChangesVersioning(change) if change.mfa_delete == MfaDeleteChange::Enable && !protected => {
                state.versioning = Box::pin(self.upstream.versioning(bucket, now)).await.map_err(unknown)?;
                state.lifecycle = Box::pin(self.upstream.lifecycle(bucket, now)).await.map_err(unknown)?;
            }
            Hazard::ChangesVersioning(_) if protected => {
                // It only tells a change from a repetition; if it cannot be read, the request counts as a change.
                let versioning = Box::pin(self.upstream.versioning(bucket, now)).await;
                state.versioning = versioning.unwrap_or(Versioning::Unread);
            }
            Hazard::ChangesVersioning(_)
            | Hazard::CreatesBucket
            | Hazard::DeletesBucket
            | Hazard::DestroysVersion
            | Hazard::ExpiresVersions
            | Hazard::ExposesData
            | Hazard::None
            | Hazard::OpensUpload
            | Hazard::ReplacesNullVersion
            | Hazard::ReplacesUnversioned
            | Hazard::Replicates
            | Hazard::WeakensProtection => {}
        }
        Ok(LeasedBucket { state, lease, opening, sole, under_way: None })
    }

    /// Takes the lease that a request needs, and reads the state again under it.
    async fn lease(
        &self,
        request: &S3Request,
        bucket: &BucketName,
        mut state: BucketState,
        now: Timestamp,
    ) -> (BucketLease, BucketState) {
        loop {
            let wanted = needs(request, state);
            let lease = match wanted {
                LeaseNeed::AtTheEnd => {
                    BucketLease::AtTheEnd { observed: self.leases.observe(bucket), taken: Arc::default() }
                }
                LeaseNeed::Nothing => BucketLease::NotNeeded,
                LeaseNeed::Read => BucketLease::Read { _lease: self.leases.read(bucket).await },
                LeaseNeed::Write => BucketLease::Write { lease: self.leases.write(bucket).await },
            };
            state = self.remembered(request, now);
            // Root may have protected the bucket while the lease was waited for.
            if needs(request, state) <= wanted {
                return (lease, state);
            }
        }
    }

    /// The condition for sending the last byte of a body.
    pub fn at_the_end(&self, held: &LeasedBucket) -> Option<ReleaseCondition> {
        let BucketLease::AtTheEnd { observed, .. } = &held.lease else { return None };
        let (bucket, generation) = (observed.bucket().clone(), observed.generation());
        let (leases, state) = (self.leases.clone(), self.state.clone());
        Some(Box::pin(async move {
            let lease = leases.read(&bucket).await;
            // Also if the bucket was neither protected nor a trail's when the request was judged.
            let protected = state.bucket(&bucket).mfa_delete == MfaDelete::Enabled;
            let guarded = protected || state.use_of(&bucket) == BucketUse::Trail;
            if guarded && lease.generation() != generation {
                return Err(ConditionWithdrawn);
            }
            Ok(Box::new(lease) as ConditionHold)
        }))
    }

    /// The bucket's versioning, or what an unsettled request may still make of it.
    async fn versioning(
        &self,
        bucket: &BucketName,
        unsettled: UnsettledUntil,
        now: Timestamp,
    ) -> Result<Versioning, Failure> {
        match (self.versioning_now(bucket, now).await?, unsettled.suspension) {
            (Versioning::Enabled, Some(_)) => Ok(Versioning::Suspended),
            (versioning, _) => Ok(versioning),
        }
    }

    async fn versioning_now(&self, bucket: &BucketName, now: Timestamp) -> Result<Versioning, Failure> {
        let (generation, at) = (self.leases.generation(bucket), self.clock.since_boot());
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied();
        if let Some(seen) = known
            && seen.generation == generation
            && seen.is_fresh(at)
        {
            return Ok(seen.versioning);
        }
        let versioning = self.upstream.versioning(bucket, now).await.map_err(unknown)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, seen| seen.is_fresh(at));
        seen.insert(bucket.clone(), SeenVersioning { versioning, generation, at });
        Ok(versioning)
    }
}

impl SeenVersioning {
    fn is_fresh(&self, now: Duration) -> bool {
        now.checked_sub(self.at).is_some_and(|age| age < FRESH)
    }
}

fn unknown(error: UpstreamError) -> Failure {
    match error {
        UpstreamError::DeniesUs => {
            tracing::error!("the upstream denies Portcullis's own credentials what protection depends on; grant it");
            Failure::Upstream(error)
        }
        UpstreamError::RefusesUs
        | UpstreamError::RefusesUser
        | UpstreamError::Unreachable
        | UpstreamError::Untrusted => Failure::Upstream(error),
        UpstreamError::BrokenOff | UpstreamError::Silent | UpstreamError::Unreadable | UpstreamError::Unwritable => {
            tracing::error!(%error, "a bucket's state cannot be read");
            Failure::StateUnknown
        }
    }
}

impl LeasedBucket {
    /// For a request that does not reach the upstream, or that concerns no bucket.
    pub fn without_lease(state: BucketState) -> Self {
        Self { state, lease: BucketLease::NotNeeded, opening: None, sole: None, under_way: None }
    }

    /// Holds the lease that is taken at the end of a body as long as this.
    pub fn keep(&mut self, hold: Arc<OnceLock<ConditionHold>>) {
        if let BucketLease::AtTheEnd { taken, .. } = &mut self.lease {
            *taken = hold;
        }
    }

    /// Whether the whole request may have reached the upstream. The last byte of a body is held back until the lease is
    /// taken, and no store acts on part of a body.
    fn may_have_been_sent(&self) -> bool {
        match &self.lease {
            BucketLease::AtTheEnd { taken, .. } => taken.get().is_some(),
            BucketLease::NotNeeded | BucketLease::Read { .. } | BucketLease::Write { .. } => true,
        }
    }

    /// Notes that a request of this hazard may change from here on what others are judged by.
    fn begin(&mut self, hazard: Hazard) {
        if let BucketLease::Write { lease } = &mut self.lease
            && alters_judgements(hazard, self.state)
        {
            lease.begin_change();
        }
    }

    fn nothing_changed(&mut self) {
        if let BucketLease::Write { lease } = &mut self.lease {
            lease.nothing_changed();
        }
    }
}

/// Whether other requests are judged differently after a request of this hazard. One that repeats what is there already
/// does not count, or root could withdraw every upload without changing anything.
fn alters_judgements(hazard: Hazard, state: BucketState) -> bool {
    match hazard {
        Hazard::ChangesVersioning(change) => {
            let mfa_delete_stays = match (change.mfa_delete, state.mfa_delete) {
                (MfaDeleteChange::Keep, _) | (MfaDeleteChange::Enable, MfaDelete::Enabled) => true,
                (MfaDeleteChange::Disable | MfaDeleteChange::Enable, _) => false,
            };
            let versioning_stays = match (change.status, state.versioning) {
                (VersioningStatus::Enabled, Versioning::Enabled)
                | (VersioningStatus::Suspended, Versioning::Suspended) => true,
                (VersioningStatus::Enabled | VersioningStatus::Suspended, _) => false,
            };
            !(mfa_delete_stays && versioning_stays)
        }
        Hazard::CreatesBucket | Hazard::DeletesBucket => true,
        Hazard::DestroysVersion
        | Hazard::ExpiresVersions
        | Hazard::ExposesData
        | Hazard::None
        | Hazard::OpensUpload
        | Hazard::ReplacesNullVersion
        | Hazard::ReplacesUnversioned
        | Hazard::Replicates
        | Hazard::WeakensProtection => false,
    }
}

/// The lease that keeps true what a request is judged by; later variants are more exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LeaseNeed {
    Nothing,
    AtTheEnd,
    Read,
    Write,
}

/// Only a change of what other requests are judged by excludes them. In a bucket without MFA Delete that is its
/// protection alone, so no user can exclude others from a bucket.
fn needs(request: &S3Request, state: BucketState) -> LeaseNeed {
    if request.action.row().access == OperationAccess::Read {
        return LeaseNeed::Nothing;
    }
    let guarded = state.mfa_delete == MfaDelete::Enabled || state.name == NameStatus::Tombstoned;
    match request.hazard {
        Hazard::None => LeaseNeed::Nothing,
        Hazard::OpensUpload if state.mfa_delete == MfaDelete::Enabled => LeaseNeed::Read,
        Hazard::OpensUpload => LeaseNeed::Nothing,
        Hazard::ReplacesNullVersion | Hazard::ReplacesUnversioned => match request.document {
            RequestDocument::Payload => LeaseNeed::AtTheEnd,
            RequestDocument::DeleteObjects(_)
            | RequestDocument::None
            | RequestDocument::Rewritten(_)
            | RequestDocument::Versioning(_) => LeaseNeed::Read,
        },
        Hazard::ChangesVersioning(change) if guarded || change.mfa_delete == MfaDeleteChange::Enable => {
            LeaseNeed::Write
        }
        Hazard::CreatesBucket | Hazard::DeletesBucket if guarded => LeaseNeed::Write,
        // These exclude changes of the bucket's protection, and not one another.
        Hazard::ChangesVersioning(_)
        | Hazard::CreatesBucket
        | Hazard::DeletesBucket
        | Hazard::DestroysVersion
        | Hazard::ExpiresVersions
        | Hazard::ExposesData
        | Hazard::Replicates
        | Hazard::WeakensProtection => LeaseNeed::Read,
    }
}

#[cfg(test)]
mod tests;
