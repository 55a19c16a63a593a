//! Trails, the keys that sign their digests, and where each one's chains of digests end.

use std::sync::Arc;
use std::time::Duration;

use super::StateStore;
use super::change::ChangeDecision;
use super::error::StoreError;
use super::lease::WriteLease;
use super::records::{DigestSigningKey, RecordKey, StateRecord, TrailHead};
use super::state::StateTables;
use super::write::{RecordEdit, StateWrite};
use portcullis_authorization::{BucketUse, TrailRegister};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::{Trail, TrailName};

/// A trail that is being recorded: nothing else changes its bucket meanwhile, and its record is the next to come.
///
/// Between the two the bucket may be made. Other changes of the state go on, since only the bucket's lease is held: the
/// upstream may take its time.
#[derive(Debug)]
pub struct TrailReservation {
    store: StateStore,
    lease: WriteLease,
    was: Option<Trail>,
    trail: Trail,
}

/// CloudTrail's quota in a region; each is a reader of the journal.
pub const MOST_TRAILS: usize = 5;

impl StateStore {
    /// The trails, by name.
    pub fn trails(&self) -> Vec<Trail> {
        self.0.memory.read().trails.values().cloned().collect()
    }

    /// One trail.
    pub fn trail(&self, name: &TrailName) -> Option<Trail> {
        self.0.memory.read().trails.get(name).cloned()
    }

    /// Whose a bucket is.
    pub fn use_of(&self, bucket: &BucketName) -> BucketUse {
        self.use_of_any([bucket])
    }

    /// What these buckets are used for: a trail's, if any of them is.
    pub fn use_of_any<'a>(&self, buckets: impl IntoIterator<Item = &'a BucketName>) -> BucketUse {
        let memory = self.0.memory.read();
        let is_a_trails = |bucket: &BucketName| memory.trails.values().any(|trail| trail.bucket == *bucket);
        if buckets.into_iter().any(is_a_trails) { BucketUse::Trail } else { BucketUse::Data }
    }

    /// Begins to make a trail, or to change the one that was looked at. Unless it is recorded, nothing has changed.
    pub async fn reserve_trail(
        &self,
        was: Option<&Trail>,
        trail: Trail,
        now: Timestamp,
    ) -> Result<TrailReservation, StoreError> {
        // Uploads that were judged before this end first, or withdraw at their end.
        let lease = self.0.leases.write(&trail.bucket).await;
        self.0.memory.read().allows(was, &trail)?;
        // What a user wrote before, the upstream must not carry out in a trail's bucket.
        if was.is_none_or(|was| was.bucket != trail.bucket)
            && let Some(until) = self.unsettled(&trail.bucket, now).latest()
        {
            return Err(StoreError::Unsettled { until });
        }
        Ok(TrailReservation { store: self.clone(), lease, was: was.cloned(), trail })
    }

    /// Takes away the trail that was looked at.
    pub async fn delete_trail(&self, was: &Trail, now: Timestamp) -> Result<(), StoreError> {
        let (inner, was) = (Arc::clone(&self.0), was.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                state.allows(Some(&was), &was)?;
                Ok(ChangeDecision::delete(RecordKey::Trail(was.name.clone())))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// What a state record of the journal made of trails, in its order: each as it was from there on, or gone.
    pub fn trails_in(&self, state_record: &[u8]) -> Vec<(TrailName, Option<Trail>)> {
        let write = StateWrite::parse(state_record);
        // One that is not ours changed nothing; the start looks into that.
        let edits = write.and_then(|write| write.open(&self.0.sealer).ok()).unwrap_or_default();
        let changes = edits.into_iter().filter_map(|edit| match edit {
            RecordEdit::Put(StateRecord::Trail(trail)) => Some((trail.name.clone(), Some(*trail))),
            RecordEdit::Delete(RecordKey::Trail(name)) => Some((name, None)),
            RecordEdit::Put(_) | RecordEdit::Delete(_) => None,
        });
        changes.collect()
    }

    /// Where a trail's chains of digests end.
    pub fn trail_head(&self, name: &TrailName) -> Option<TrailHead> {
        self.0.memory.read().trail_heads.get(name).cloned()
    }

    /// Records where a trail's chains of digests end.
    pub async fn pin_trail_head(&self, name: &TrailName, head: TrailHead, now: Timestamp) -> Result<(), StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let decide = |state: &StateTables| match state.trail_heads.get(&name) {
                Some(pinned) if *pinned == head => Ok(ChangeDecision::Unchanged(())),
                Some(_) | None => Ok(ChangeDecision::put(StateRecord::TrailHead(name.clone(), head.clone()), ())),
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Every key that ever signed, the oldest first.
    pub fn signing_keys(&self) -> Vec<DigestSigningKey> {
        let mut keys: Vec<_> = self.0.memory.read().signing_keys.values().cloned().collect();
        keys.sort_by_key(|key| (key.valid_from, key.fingerprint()));
        keys
    }

    /// Adds a key that signs, and forgets the private halves of those that ended this long before it begins.
    pub async fn add_signing_key(
        &self,
        key: DigestSigningKey,
        kept: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let spent = |old: &&DigestSigningKey| old.private.is_some() && old.valid_to.plus(kept) < key.valid_from;
            let decide = |state: &StateTables| {
                let spent = state.signing_keys.values().filter(spent);
                let forgotten = spent.map(|old| DigestSigningKey { private: None, ..old.clone() });
                let keys = forgotten.chain([key.clone()]).map(|key| RecordEdit::Put(StateRecord::SigningKey(key)));
                Ok(ChangeDecision::Write { edits: keys.collect(), answer: () })
            };
            inner.change(now, decide).await
        })
        .await
    }
}

impl TrailReservation {
    /// Records the trail; on return its bucket is the trail's alone. What was judged by an older trail must not undo a change that came between.
    pub async fn record(self, now: Timestamp) -> Result<(), StoreError> {
        let Self { store, mut lease, was, trail } = self;
        let inner = Arc::clone(&store.0);
        let recording = async move {
            let decide = |state: &StateTables| {
                state.allows(was.as_ref(), &trail)?;
                lease.begin_change();
                Ok(ChangeDecision::put(StateRecord::Trail(Box::new(trail.clone())), ()))
            };
            inner.change(now, decide).await
        };
        store.finish(recording).await
    }
}

impl TrailRegister for TrailReservation {
    fn use_of(&self, bucket: &BucketName) -> BucketUse {
        if self.trail.bucket == *bucket { BucketUse::Trail } else { BucketUse::Data }
    }
}

impl TrailRegister for StateStore {
    fn use_of(&self, bucket: &BucketName) -> BucketUse {
        self.use_of_any([bucket])
    }
}

impl StateTables {
    /// Whether a trail may be put in the place of the one that was looked at.
    fn allows(&self, was: Option<&Trail>, trail: &Trail) -> Result<(), StoreError> {
        match (was, self.trails.get(&trail.name)) {
            (None, Some(_)) => Err(StoreError::AlreadyExists),
            (None, None) if self.trails.len() >= MOST_TRAILS => Err(StoreError::LimitReached),
            (Some(_), None) => Err(StoreError::NoSuchEntity),
            (Some(was), Some(is)) if was != is => Err(StoreError::Outdated),
            (None, None) | (Some(_), Some(_)) => self.leaves_others_provable(was, trail),
        }
    }

    /// Refuses a trail that another came to disturb since both were judged. Trails that were put in one place by an
    /// earlier version can still be changed otherwise.
    fn leaves_others_provable(&self, was: Option<&Trail>, trail: &Trail) -> Result<(), StoreError> {
        let stays = |was: &Trail| was.has_place_of(trail) && was.validation == trail.validation;
        if was.is_some_and(stays) || !self.trails.values().any(|other| trail.disturbs(other)) {
            return Ok(());
        }
        Err(StoreError::Outdated)
    }
}
