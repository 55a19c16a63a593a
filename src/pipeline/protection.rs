//! What a bucket is when a request for it is judged, and that it stays so until the upstream has answered.

mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authenticate::Principal;
use crate::clock::Timestamp;
use crate::failure::Failure;
use crate::forward::{Answer, Upstream, UpstreamError};
use crate::gate::{BucketState, MfaDelete, Name, Profile, StateChange, Use, Versioning};
use crate::names::BucketName;
use crate::operation::{Access, Document, Hazard, MfaDeleteChange, Request, VersioningStatus};
use crate::store::{Generation, Leases, Observed, ReadLease, Store, WriteLease};
use crate::wire::{Condition, Hold, Withdrawn};
use uploads::{CompletingKeys, Opening, SoleCompletion};

pub use uploads::UploadVersions;

/// What is remembered of buckets, and what the upstream says of them now.
#[derive(Debug)]
pub struct Protection {
    store: Store,
    upstream: Arc<Upstream>,
    leases: Leases,
    profile: Profile,
    uploads: UploadVersions,
    completing: CompletingKeys,
    seen: Mutex<HashMap<BucketName, Seen>>,
}

/// A bucket's versioning as it was seen lately.
#[derive(Clone, Copy, Debug)]
struct Seen {
    versioning: Versioning,
    generation: Generation,
    at: Instant,
}

/// A bucket's state, for as long as this lives.
#[derive(Debug)]
pub struct Held {
    pub state: BucketState,
    lease: Lease,
    opening: Option<Opening>,
    _sole: Option<SoleCompletion>,
}

#[derive(Debug)]
enum Lease {
    /// Taken when the body has come, if nothing changed until then: a slow upload must not keep root waiting.
    AtTheEnd {
        observed: Observed,
    },
    NotNeeded,
    Read {
        _lease: ReadLease,
    },
    Write {
        lease: WriteLease,
    },
}

/// How long the versioning of a protected bucket is believed for operations that name no version.
/// Changes through the gate end it at once; this bounds what was changed behind its back.
const FRESH: Duration = Duration::from_secs(2);

impl Protection {
    /// Looks at buckets through this store and this upstream.
    pub fn new(store: Store, upstream: Arc<Upstream>, profile: Profile, uploads: UploadVersions) -> Self {
        let (leases, completing) = (store.leases().clone(), CompletingKeys::default());
        Self { leases, store, upstream, profile, uploads, completing, seen: Mutex::default() }
    }

    /// What is remembered of the bucket; the upstream is not asked.
    pub fn remembered(&self, request: &Request) -> BucketState {
        let Some(bucket) = &request.bucket else { return BucketState::UNPROTECTED };
        let record = self.store.bucket(bucket);
        BucketState {
            mfa_delete: record.mfa_delete,
            name: record.name,
            usage: self.store.use_of(bucket),
            source: request.copy_source.as_ref().map_or(Use::Data, |source| self.store.use_of(&source.bucket)),
            destination: match request.destinations.iter().any(|bucket| self.store.use_of(bucket) == Use::Trail) {
                true => Use::Trail,
                false => Use::Data,
            },
            ..BucketState::UNPROTECTED
        }
    }

    /// Reads the state that a request is judged by, under the lease that keeps it true.
    pub async fn hold(&self, request: &Request, caller: &Principal, now: Timestamp) -> Result<Held, Failure> {
        let Some(bucket) = &request.bucket else { return Ok(Held::without_lease(BucketState::UNPROTECTED)) };
        let (lease, mut state) = self.lease(request, bucket).await;
        let (mut opening, mut sole) = (None, None);
        let protected = state.mfa_delete == MfaDelete::Enabled;
        match request.hazard {
            Hazard::ReplacesNullVersion if protected && self.profile == Profile::Strict => {
                state.versioning = Box::pin(self.versioning(bucket, now)).await?;
                (state.completion, sole) = Box::pin(self.completion(request, bucket, now)).await?;
            }
            Hazard::OpensUpload if protected && self.profile == Profile::Strict => {
                opening = Box::pin(self.opening(request, bucket, caller, now)).await?;
            }
            Hazard::ChangesVersioning(change) if change.mfa_delete == MfaDeleteChange::Enable && !protected => {
                state.versioning = Box::pin(self.upstream.versioning(bucket, now)).await.map_err(unknown)?;
                state.lifecycle = Box::pin(self.upstream.lifecycle(bucket, now)).await.map_err(unknown)?;
            }
            Hazard::ChangesVersioning(_) if protected => {
                // It tells a change from a repetition, and nothing is judged by it: what is unread counts as a change.
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
        Ok(Held { state, lease, opening, _sole: sole })
    }

    /// The lease that a request needs in the bucket as it is once the lease is had, and what is remembered then.
    async fn lease(&self, request: &Request, bucket: &BucketName) -> (Lease, BucketState) {
        loop {
            let needs = needs(request, self.remembered(request));
            let lease = match needs {
                Needs::AtTheEnd => Lease::AtTheEnd { observed: self.leases.observe(bucket) },
                Needs::Nothing => Lease::NotNeeded,
                Needs::Read => Lease::Read { _lease: self.leases.read(bucket).await },
                Needs::Write => Lease::Write { lease: self.leases.write(bucket).await },
            };
            let state = self.remembered(request);
            // Root may have protected the bucket while the lease was waited for.
            if self::needs(request, state) <= needs {
                return (lease, state);
            }
        }
    }

    /// What has to hold when the last byte of a body is about to go out.
    pub fn at_the_end(&self, held: &Held) -> Option<Condition> {
        let Lease::AtTheEnd { observed } = &held.lease else { return None };
        let (bucket, generation) = (observed.bucket().clone(), observed.generation());
        let (leases, store) = (self.leases.clone(), self.store.clone());
        Some(Box::pin(async move {
            let lease = leases.read(&bucket).await;
            // Also where the bucket was not protected, nor a trail's, when it was judged.
            let protected = store.bucket(&bucket).mfa_delete == MfaDelete::Enabled;
            let guarded = protected || store.use_of(&bucket) == Use::Trail;
            if guarded && lease.generation() != generation {
                return Err(Withdrawn);
            }
            Ok(Box::new(lease) as Hold)
        }))
    }

    /// Records a change that must not be lost if the gate dies before the upstream answers.
    pub async fn before(
        &self,
        request: &Request,
        change: StateChange,
        held: &mut Held,
        now: Timestamp,
    ) -> Result<(), Failure> {
        held.begin(request.hazard);
        match (change, &request.bucket) {
            (StateChange::EnableMfaDelete, Some(bucket)) => self.record(bucket, change, now).await,
            (StateChange::EnableMfaDelete, None) => Err(Failure::Internal),
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget | StateChange::None, _) => Ok(()),
        }
    }

    /// Records what the upstream's answer makes of the bucket. Silence changes nothing: enabling stays
    /// recorded, since the upstream may have agreed, and what takes protection away is not recorded.
    pub(super) async fn after(
        &self,
        bucket: &BucketName,
        change: StateChange,
        held: &mut Held,
        agreed: Agreed,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if let Agreed::No = agreed {
            self.take_back(bucket, change, held.state.mfa_delete, now).await?;
            held.nothing_changed();
        }
        match (change, agreed) {
            (StateChange::EnableMfaDelete | StateChange::None, _) => Ok(()),
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget, Agreed::Yes) => {
                self.record(bucket, change, now).await.map_err(|_| Failure::DoneUnrecorded)
            }
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget, Agreed::No | Agreed::Unknown) => {
                Ok(())
            }
        }
    }

    /// Undoes what was recorded before a request that the upstream refused.
    async fn take_back(
        &self,
        bucket: &BucketName,
        change: StateChange,
        was: MfaDelete,
        now: Timestamp,
    ) -> Result<(), Failure> {
        match (change, was) {
            (StateChange::EnableMfaDelete, MfaDelete::Disabled) => {
                self.record(bucket, StateChange::DisableMfaDelete, now).await
            }
            (StateChange::EnableMfaDelete, MfaDelete::NeverSet) => self.record(bucket, StateChange::Forget, now).await,
            (StateChange::EnableMfaDelete, MfaDelete::Enabled)
            | (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget | StateChange::None, _) => {
                Ok(())
            }
        }
    }

    async fn record(&self, bucket: &BucketName, change: StateChange, now: Timestamp) -> Result<(), Failure> {
        self.store.record_bucket(bucket, change, now).await.map(drop).map_err(|error| {
            tracing::error!(%bucket, %error, "the bucket's protection cannot be recorded");
            // What failed to sync, or was kept from the journal alone, a start may find all the same.
            Failure::StateInDoubt
        })
    }

    async fn versioning(&self, bucket: &BucketName, now: Timestamp) -> Result<Versioning, Failure> {
        let generation = self.leases.generation(bucket);
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied();
        if let Some(seen) = known
            && seen.generation == generation
            && seen.at.elapsed() < FRESH
        {
            return Ok(seen.versioning);
        }
        let at = Instant::now();
        let versioning = self.upstream.versioning(bucket, now).await.map_err(unknown)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, seen| seen.at.elapsed() < FRESH);
        seen.insert(bucket.clone(), Seen { versioning, generation, at });
        Ok(versioning)
    }
}

/// Whether the upstream did what it was asked.
#[derive(Clone, Copy)]
pub(super) enum Agreed {
    No,
    Unknown,
    Yes,
}

impl Agreed {
    /// What an answer, or the lack of one, says.
    pub fn of(answer: &Result<Answer, Failure>) -> Self {
        match answer {
            Ok(Answer::Done(_)) => Self::Yes,
            // A server that failed may have failed after it did what was asked.
            Ok(Answer::Refused(refusal)) if refusal.status.is_client_error() => Self::No,
            Ok(Answer::Refused(_)) => Self::Unknown,
            Err(Failure::Upstream(error)) if error.nothing_was_done() => Self::No,
            Err(_) => Self::Unknown,
        }
    }
}

fn unknown(error: UpstreamError) -> Failure {
    match error {
        UpstreamError::RefusesUs | UpstreamError::Unreachable | UpstreamError::Untrusted => Failure::Upstream(error),
        UpstreamError::BrokenOff | UpstreamError::Silent | UpstreamError::Unreadable | UpstreamError::Unwritable => {
            tracing::error!(%error, "a bucket's state cannot be read");
            Failure::StateUnknown
        }
    }
}

impl Held {
    /// For a request of which nothing reaches the upstream, or that concerns no bucket.
    pub fn without_lease(state: BucketState) -> Self {
        Self { state, lease: Lease::NotNeeded, opening: None, _sole: None }
    }

    /// From here on a request of this hazard may change what others are judged by.
    fn begin(&mut self, hazard: Hazard) {
        if let Lease::Write { lease } = &mut self.lease
            && alters_judgements(hazard, self.state)
        {
            lease.begin_change();
        }
    }

    fn nothing_changed(&mut self) {
        if let Lease::Write { lease } = &mut self.lease {
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

/// Which lease keeps true what a request is judged by, the more exclusive after the less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    AtTheEnd,
    Read,
    Write,
}

/// Only a change of what other requests are judged by keeps them out. In a bucket without MFA Delete that is its
/// protection alone, so that no user can keep anybody out of a bucket.
fn needs(request: &Request, state: BucketState) -> Needs {
    if request.action.row().access == Access::Read {
        return Needs::Nothing;
    }
    let guarded = state.mfa_delete == MfaDelete::Enabled || state.name == Name::Buried;
    match request.hazard {
        Hazard::None => Needs::Nothing,
        Hazard::OpensUpload if state.mfa_delete == MfaDelete::Enabled => Needs::Read,
        Hazard::OpensUpload => Needs::Nothing,
        Hazard::ReplacesNullVersion | Hazard::ReplacesUnversioned => match request.document {
            Document::Payload => Needs::AtTheEnd,
            Document::DeleteObjects(_) | Document::None | Document::Rewritten(_) | Document::Versioning(_) => {
                Needs::Read
            }
        },
        Hazard::ChangesVersioning(change) if guarded || change.mfa_delete == MfaDeleteChange::Enable => Needs::Write,
        Hazard::CreatesBucket | Hazard::DeletesBucket if guarded => Needs::Write,
        // These exclude what protects a bucket, or unprotects it, and not one another.
        Hazard::ChangesVersioning(_)
        | Hazard::CreatesBucket
        | Hazard::DeletesBucket
        | Hazard::DestroysVersion
        | Hazard::ExpiresVersions
        | Hazard::ExposesData
        | Hazard::Replicates
        | Hazard::WeakensProtection => Needs::Read,
    }
}

#[cfg(test)]
mod tests;
