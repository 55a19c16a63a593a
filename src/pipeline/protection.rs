//! What a bucket is when a request for it is judged, and that it stays so until the upstream has answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::failure::Failure;
use crate::forward::{Answer, Upstream, UpstreamError};
use crate::gate::{BucketState, MfaDelete, Profile, StateChange, Use, Versioning};
use crate::names::BucketName;
use crate::operation::{Access, Document, Hazard, MfaDeleteChange, Request};
use crate::store::{Generation, Leases, Observed, ReadLease, Store, WriteLease};
use crate::wire::{Condition, Hold, Withdrawn};

/// What is remembered of buckets, and what the upstream says of them now.
#[derive(Debug)]
pub struct Protection {
    store: Store,
    upstream: Arc<Upstream>,
    leases: Leases,
    profile: Profile,
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
        _lease: WriteLease,
    },
}

/// How long the versioning of a protected bucket is believed for operations that name no version.
/// Changes through the gate end it at once; this bounds what was changed behind its back.
const FRESH: Duration = Duration::from_secs(2);

impl Protection {
    /// Looks at buckets through this store and this upstream.
    pub fn new(store: Store, upstream: Arc<Upstream>, profile: Profile) -> Self {
        Self { leases: store.leases().clone(), store, upstream, profile, seen: Mutex::default() }
    }

    /// Reads the state that a request is judged by, under the lease that keeps it true.
    pub async fn hold(&self, request: &Request, now: Timestamp) -> Result<Held, Failure> {
        let Some(bucket) = &request.bucket else {
            return Ok(Held { state: BucketState::UNPROTECTED, lease: Lease::NotNeeded });
        };
        let lease = match lease_of(request) {
            Needs::AtTheEnd => Lease::AtTheEnd { observed: self.leases.observe(bucket) },
            Needs::Nothing => Lease::NotNeeded,
            Needs::Read => Lease::Read { _lease: self.leases.read(bucket).await },
            Needs::Write => Lease::Write { _lease: self.leases.write(bucket).await },
        };
        let record = self.store.bucket(bucket);
        let mut state = BucketState {
            mfa_delete: record.mfa_delete,
            name: record.name,
            usage: self.store.use_of(bucket),
            source: self.store.use_of_any(request.copy_source.as_ref().map(|source| &source.bucket)),
            destination: self.store.use_of_any(&request.destinations),
            ..BucketState::UNPROTECTED
        };
        let protected = record.mfa_delete == MfaDelete::Enabled;
        match request.hazard {
            Hazard::ReplacesNullVersion if protected && self.profile == Profile::Strict => {
                state.versioning = Box::pin(self.versioning(bucket, now)).await?;
            }
            Hazard::ChangesVersioning(change) if change.mfa_delete == MfaDeleteChange::Enable && !protected => {
                state.versioning = Box::pin(self.upstream.versioning(bucket, now)).await.map_err(unknown)?;
                state.lifecycle = Box::pin(self.upstream.lifecycle(bucket, now)).await.map_err(unknown)?;
            }
            Hazard::ChangesVersioning(_)
            | Hazard::CreatesBucket
            | Hazard::DeletesBucket
            | Hazard::DestroysVersion
            | Hazard::ExpiresVersions
            | Hazard::ExposesData
            | Hazard::None
            | Hazard::ReplacesNullVersion
            | Hazard::ReplacesUnversioned
            | Hazard::Replicates
            | Hazard::WeakensProtection => {}
        }
        Ok(Held { state, lease })
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
    pub async fn before(&self, request: &Request, change: StateChange, now: Timestamp) -> Result<(), Failure> {
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
        was: BucketState,
        agreed: Agreed,
        now: Timestamp,
    ) -> Result<(), Failure> {
        match (change, agreed) {
            (StateChange::None, _) | (StateChange::EnableMfaDelete, Agreed::Yes | Agreed::Unknown) => Ok(()),
            (StateChange::EnableMfaDelete, Agreed::No) => match was.mfa_delete {
                MfaDelete::Disabled => self.record(bucket, StateChange::DisableMfaDelete, now).await,
                MfaDelete::Enabled => Ok(()),
                MfaDelete::NeverSet => self.record(bucket, StateChange::Forget, now).await,
            },
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget, Agreed::Yes) => {
                self.record(bucket, change, now).await.map_err(|_| Failure::DoneUnrecorded)
            }
            (StateChange::Bury | StateChange::DisableMfaDelete | StateChange::Forget, Agreed::No | Agreed::Unknown) => {
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

/// Which lease keeps true what a request is judged by.
enum Needs {
    AtTheEnd,
    Nothing,
    Read,
    Write,
}

fn lease_of(request: &Request) -> Needs {
    if request.action.row().access == Access::Read {
        return Needs::Nothing;
    }
    match request.hazard {
        Hazard::None => Needs::Nothing,
        Hazard::ReplacesNullVersion | Hazard::ReplacesUnversioned => match request.document {
            Document::Payload => Needs::AtTheEnd,
            Document::DeleteObjects(_) | Document::None | Document::Rewritten(_) | Document::Versioning(_) => {
                Needs::Read
            }
        },
        Hazard::DestroysVersion => Needs::Read,
        Hazard::ChangesVersioning(_)
        | Hazard::CreatesBucket
        | Hazard::DeletesBucket
        | Hazard::ExpiresVersions
        | Hazard::ExposesData
        | Hazard::Replicates
        | Hazard::WeakensProtection => Needs::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::sync::atomic::Ordering;

    use http::HeaderMap;

    use crate::config::Endpoint;
    use crate::forward::{Patience, Signer, Trailers, UpstreamRefusal};
    use crate::names::ObjectKey;
    use crate::operation::{Action, CopySource, VersioningDocument, VersioningStatus};
    use crate::secret::Secret;
    use crate::store::testing::in_memory;
    use crate::trail::{Trail, TrailName};
    use crate::wire::{Authorities, Dialler};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// In front of a store that is not there, so that whoever asks it fails.
    async fn protection() -> (Protection, Store) {
        let (store, _, _) = in_memory(NOW).await;
        (over(&store), store)
    }

    fn over(store: &Store) -> Protection {
        let endpoint = Endpoint::parse("http://127.0.0.1:1").expect("an endpoint");
        let dialler = Dialler::new(endpoint, &Authorities::System).expect("plain");
        let signer = Signer::new("KEY".to_owned(), Secret::new("secret".to_owned()), "us-east-1".to_owned());
        let second = Duration::from_secs(1);
        let patience = Patience { connect: second, response: second, idle: second };
        let upstream = Arc::new(Upstream::new(dialler, signer, patience, Trailers::NotTaken));
        Protection::new(store.clone(), upstream, Profile::Strict)
    }

    fn vault() -> BucketName {
        BucketName::parse("vault").expect("a name")
    }

    fn request(action: Action, hazard: Hazard, document: Document) -> Request {
        let mut request = Request::bare(action, Some(vault()), ObjectKey::parse("key").ok());
        (request.hazard, request.document) = (hazard, document);
        request
    }

    fn enabling() -> Request {
        let document = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Enable };
        request(Action::PutBucketVersioning, Hazard::ChangesVersioning(document), Document::Versioning(document))
    }

    fn uploading() -> Request {
        request(Action::PutObject, Hazard::ReplacesNullVersion, Document::Payload)
    }

    #[test]
    fn each_hazard_has_the_lease_that_keeps_its_judgement_true() {
        let document = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Keep };
        let hazards = [
            Hazard::ChangesVersioning(document),
            Hazard::CreatesBucket,
            Hazard::DeletesBucket,
            Hazard::DestroysVersion,
            Hazard::ExpiresVersions,
            Hazard::ExposesData,
            Hazard::None,
            Hazard::ReplacesNullVersion,
            Hazard::ReplacesUnversioned,
            Hazard::Replicates,
            Hazard::WeakensProtection,
        ];
        let mut table = String::new();
        for hazard in hazards {
            for (body, document) in [("payload", Document::Payload), ("none", Document::None)] {
                let [write, read] = [Action::PutObject, Action::GetObject].map(|action| {
                    match lease_of(&request(action, hazard, document.clone())) {
                        Needs::AtTheEnd => "read, at the end",
                        Needs::Nothing => "nothing",
                        Needs::Read => "read",
                        Needs::Write => "write",
                    }
                });
                writeln!(table, "{hazard:?}, body {body}: {write}; of a read: {read}").expect("written");
            }
        }
        insta::assert_snapshot!(table);
    }

    #[tokio::test]
    async fn what_is_recorded_after_an_answer_never_loses_protection_on_a_doubt() {
        let mut table = String::new();
        for change in [
            StateChange::Bury,
            StateChange::DisableMfaDelete,
            StateChange::EnableMfaDelete,
            StateChange::Forget,
            StateChange::None,
        ] {
            for before in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
                for (said, agreed) in [("yes", Agreed::Yes), ("no", Agreed::No), ("nothing", Agreed::Unknown)] {
                    let (protection, store) = protection().await;
                    if before != MfaDelete::NeverSet {
                        store.record_bucket(&vault(), StateChange::EnableMfaDelete, NOW).await.expect("recorded");
                    }
                    if before == MfaDelete::Disabled {
                        store.record_bucket(&vault(), StateChange::DisableMfaDelete, NOW).await.expect("recorded");
                    }
                    let was = BucketState { mfa_delete: before, ..BucketState::UNPROTECTED };
                    protection.before(&enabling(), change, NOW).await.expect("recorded");
                    protection.after(&vault(), change, was, agreed, NOW).await.expect("recorded");
                    let after = store.bucket(&vault());
                    let now = (after.mfa_delete, after.name);
                    writeln!(table, "{change:?} of {before:?}, the store says {said}: {now:?}").expect("written");
                    let doubtful = !matches!(agreed, Agreed::Yes);
                    assert!(!doubtful || before != MfaDelete::Enabled || after.mfa_delete == MfaDelete::Enabled);
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[tokio::test]
    async fn a_change_that_failed_half_way_is_not_called_undone() {
        let (store, _, journal) = in_memory(NOW).await;
        journal.failing.store(true, Ordering::SeqCst);
        let enabled = over(&store).before(&enabling(), StateChange::EnableMfaDelete, NOW).await;
        assert!(matches!(enabled, Err(Failure::StateInDoubt)), "{enabled:?}");
        assert_eq!(store.bucket(&vault()).mfa_delete, MfaDelete::Enabled);
    }

    #[tokio::test]
    async fn the_store_is_asked_where_the_judgement_depends_on_it_and_nowhere_else() {
        let (protection, store) = protection().await;
        let asks = async |request: &Request| match protection.hold(request, NOW).await {
            Ok(_) => false,
            Err(Failure::Upstream(UpstreamError::Unreachable)) => true,
            Err(other) => panic!("{other:?}"),
        };
        let deleting = request(Action::DeleteObject, Hazard::DestroysVersion, Document::None);
        assert!(asks(&enabling()).await, "whether it can be protected");
        assert!(!asks(&uploading()).await, "nobody protected the bucket");
        assert!(!asks(&deleting).await);
        store.record_bucket(&vault(), StateChange::EnableMfaDelete, NOW).await.expect("recorded");
        assert!(asks(&uploading()).await, "whether it replaces anything");
        assert!(!asks(&enabling()).await, "it is protected already");
        assert!(!asks(&deleting).await, "it needs a code whatever the store says");
    }

    #[tokio::test]
    async fn a_bucket_that_is_protected_while_its_upload_comes_withdraws_the_leave() {
        let (protection, store) = protection().await;
        let held = protection.hold(&uploading(), NOW).await.expect("held");
        let condition = protection.at_the_end(&held);
        store.record_bucket(&vault(), StateChange::EnableMfaDelete, NOW).await.expect("recorded");
        drop(protection.leases.write(&vault()).await);
        match condition {
            Some(condition) => assert_eq!(condition.await.map(drop), Err(Withdrawn)),
            None => panic!("nothing is looked at"),
        }
    }

    #[tokio::test]
    async fn a_bucket_that_becomes_a_trails_while_its_upload_comes_withdraws_the_leave() {
        let (protection, store) = protection().await;
        let held = protection.hold(&uploading(), NOW).await.expect("held");
        assert_eq!((held.state.usage, held.state.source), (Use::Data, Use::Data));
        let condition = protection.at_the_end(&held);
        let trail = Trail::new(TrailName::parse("main").expect("a name"), vault(), NOW);
        store.put_trail(None, trail, NOW).await.expect("made");
        match condition {
            Some(condition) => assert_eq!(condition.await.map(drop), Err(Withdrawn)),
            None => panic!("nothing is looked at"),
        }
        let held = protection.hold(&uploading(), NOW).await.expect("held");
        assert_eq!(held.state.usage, Use::Trail);
        let elsewhere = BucketName::parse("elsewhere").ok();
        let mut copy = Request::bare(Action::CopyObject, elsewhere, ObjectKey::parse("key").ok());
        let key = ObjectKey::parse("key").expect("a key");
        copy.copy_source = Some(CopySource { bucket: vault(), key, version: None });
        let held = protection.hold(&copy, NOW).await.expect("held");
        assert_eq!((held.state.usage, held.state.source), (Use::Data, Use::Trail));
    }

    #[test]
    fn only_certainty_counts_as_an_answer() {
        let of = |error| match Agreed::of(&Err(Failure::Upstream(error))) {
            Agreed::No => "no",
            Agreed::Unknown => "unknown",
            Agreed::Yes => "yes",
        };
        for error in [UpstreamError::BrokenOff, UpstreamError::Silent, UpstreamError::Unreadable] {
            assert_eq!(of(error), "unknown");
        }
        for error in
            [UpstreamError::RefusesUs, UpstreamError::Unreachable, UpstreamError::Untrusted, UpstreamError::Unwritable]
        {
            assert_eq!(of(error), "no");
        }
        assert!(matches!(Agreed::of(&Err(Failure::Unrecorded)), Agreed::Unknown));
        for (status, agreed) in
            [(301, "unknown"), (400, "no"), (409, "no"), (499, "no"), (500, "unknown"), (503, "unknown")]
        {
            let status = http::StatusCode::from_u16(status).expect("a status");
            let refusal =
                UpstreamRefusal { status, code: String::new(), message: String::new(), headers: HeaderMap::new() };
            let said = match Agreed::of(&Ok(Answer::Refused(refusal))) {
                Agreed::No => "no",
                Agreed::Unknown => "unknown",
                Agreed::Yes => "yes",
            };
            assert_eq!(said, agreed, "{status}");
        }
    }
}
