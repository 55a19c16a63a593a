//! What we remember: bucket protection, devices and their spent steps, users, keys, trails.
//!
//! All of it is in memory, so that no request waits for a disk to be judged. Each change is on the disk
//! and in the journal before it is acknowledged; what cannot be read is an error, never "not protected".

mod change;
mod clock;
mod code_queue;
mod contents;
mod devices;
mod engine;
mod error;
mod identities;
mod lease;
#[cfg(any(test, feature = "test-support"))]
#[expect(clippy::expect_used, reason = "fixtures of tests")]
mod memory_engine;
mod permissions;
mod policies;
mod principals;
mod rebuild;
mod recorded;
mod records;
mod seal;
mod sessions;
mod sled_engine;
mod snapshot;
mod start;
mod state;
mod sum;
#[cfg(any(test, feature = "test-support"))]
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "fixtures of tests")]
pub mod testing;
mod trails;
mod unsettled;
mod uploads;
mod upstream_keys;
mod write;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::sync::{Arc, Mutex};

use change::ChangeDecision;
use code_queue::CodeQueue;
use portcullis_authorization::{MfaDelete, NameStatus, StateChange};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::{AccountId, BucketName, DeviceSerial};
use portcullis_sigv4::Keyring;
use records::StateRecord;
use seal::RecordSealer;
use state::{StateMemory, StateTables};
use unsettled::UnansweredRequests;
use write::RecordEdit;
use writer::StateWriter;

pub use code_queue::CodeSource;
pub use devices::{DeviceChange, DeviceDeactivation, DeviceEnabling, DeviceLedger, ListedDevice, NewDevice};
pub use engine::{
    BoxedFuture, EngineEntries, EngineError, KeySwap, StateEngine, SwapOutcome, ValueVersion, VersionedValue,
};
pub use error::{JournalUnavailable, RecordFault, RemainingPart, SpendError, StartError, StoreError};
pub use identities::{GroupRecord, PolicyGrants, PolicyRecord, PolicyReference, PolicyText, PolicyVersion, UserRecord};
pub use lease::{BucketLeases, LeaseGeneration, ObservedGeneration, ReadLease, WriteLease};
pub use policies::{
    GrantChange, MOST_ATTACHED, MOST_GROUPS, MOST_GROUPS_OF_USER, MOST_POLICIES, MOST_VERSIONS, MembershipChange,
    PolicyHolder, PolicyUse, VersionChange,
};
pub use principals::{AccessKey, GivenKey, InvalidSecretKey, IssuedKey, KeyMaterial, MOST_KEYS, MOST_USERS};
pub use rebuild::{RebuildReport, rebuild};
pub use records::{AccountRecord, BucketRecord, DigestSigningKey, StoredUpstreamKey, TrailHead};
pub use seal::{MasterKeyError, SealError};
pub use sessions::{IssuedSession, SessionRequest};
pub use start::prepare_dir;
pub use trails::{MOST_TRAILS, TrailReservation};
pub use unsettled::RequestUnderWay;
pub use uploads::{OpenedUpload, UploadMark};
pub use writer::StateJournal;

/// What we remember; cheap to clone, and one and the same.
#[derive(Clone)]
pub struct StateStore(Arc<StateShared>);

struct StateShared {
    account: AccountRecord,
    memory: StateMemory,
    clock: Clock,
    /// Held while something is decided by the state and written, so that no decision is outdated.
    writer: tokio::sync::Mutex<StateWriter>,
    /// Where the codes of each device wait to be judged.
    queues: Mutex<HashMap<DeviceSerial, CodeQueue>>,
    leases: BucketLeases,
    unanswered: UnansweredRequests,
    /// Opens what the journal says of the state.
    sealer: RecordSealer,
    /// Keeps other processes out of the directory; `None` in tests without one.
    _lock: Option<File>,
}

impl StateStore {
    /// The account's id.
    pub fn account(&self) -> &AccountId {
        &self.0.account.id
    }

    /// When the account was made.
    pub fn account_created(&self) -> Timestamp {
        self.0.account.created
    }

    /// The keys that may sign, kept up to date.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(self.0.memory.keyring())
    }

    /// The leases on buckets.
    pub fn leases(&self) -> &BucketLeases {
        &self.0.leases
    }

    /// What is remembered of a bucket.
    pub fn bucket(&self, name: &BucketName) -> BucketRecord {
        self.0.memory.read().bucket(name)
    }

    /// All that is remembered of buckets, by name.
    pub fn buckets(&self) -> Vec<(BucketName, BucketRecord)> {
        self.0.memory.read().buckets.iter().map(|(name, record)| (name.clone(), *record)).collect()
    }

    /// Records what a permitted request makes of the bucket that it was judged by.
    ///
    /// Only what takes protection away depends on that: protecting a bucket is right whatever it was.
    pub async fn record_bucket(
        &self,
        name: &BucketName,
        judged: BucketRecord,
        change: StateChange,
        now: Timestamp,
    ) -> Result<BucketRecord, StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move { inner.change(now, |state| state.record_bucket(&name, judged, change, now)).await })
            .await
    }

    /// Gives the journal the whole state, so that it needs none of the writes before.
    pub async fn snapshot(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move { inner.writer.lock().await.snapshot(&inner.memory).await }).await
    }

    /// Runs a change to its end, also when who asked for it leaves.
    async fn finish<T, E>(&self, change: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        tokio::spawn(change).await.unwrap_or_else(|_| Err(StoreError::Interrupted.into()))
    }
}

impl StateShared {
    /// Makes a change as [`StateWriter::change`] does, once it is its turn.
    async fn change<T, E: From<StoreError>>(
        &self,
        now: Timestamp,
        decide: impl FnMut(&StateTables) -> Result<ChangeDecision<T>, E>,
    ) -> Result<T, E> {
        self.writer.lock().await.change(&self.memory, now, decide).await
    }
}

impl StateTables {
    fn record_bucket(
        &self,
        name: &BucketName,
        judged: BucketRecord,
        change: StateChange,
        now: Timestamp,
    ) -> Result<ChangeDecision<BucketRecord>, StoreError> {
        let before = self.bucket(name);
        let after = changed(before, change, now);
        if after.protects_as(before) {
            return Ok(ChangeDecision::Unchanged(before));
        }
        match change {
            // Another writer has protected or recreated the bucket since.
            StateChange::DisableMfaDelete | StateChange::Forget if !before.protects_as(judged) => {
                return Err(StoreError::Outdated);
            }
            StateChange::Bury
            | StateChange::DisableMfaDelete
            | StateChange::EnableMfaDelete
            | StateChange::Forget
            | StateChange::None => {}
        }
        let record = StateRecord::Bucket(name.clone(), after);
        let unprotected = after.protects_as(BucketRecord::UNPROTECTED);
        let edit = if unprotected { RecordEdit::Delete(record.key()) } else { RecordEdit::Put(record) };
        Ok(ChangeDecision::Write { edits: vec![edit], answer: after })
    }
}

/// The name of a deleted bucket stays protected until it is created again: the upstream might restore the bucket.
fn changed(before: BucketRecord, change: StateChange, now: Timestamp) -> BucketRecord {
    let updated = Some(now);
    match change {
        StateChange::Bury => BucketRecord { mfa_delete: MfaDelete::Enabled, name: NameStatus::Tombstoned, updated },
        StateChange::DisableMfaDelete => BucketRecord { mfa_delete: MfaDelete::Disabled, updated, ..before },
        StateChange::EnableMfaDelete => BucketRecord { mfa_delete: MfaDelete::Enabled, updated, ..before },
        StateChange::Forget => BucketRecord::UNPROTECTED,
        StateChange::None => before,
    }
}

impl fmt::Debug for StateStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Store({})", self.0.account.id)
    }
}

#[cfg(test)]
mod tests;
