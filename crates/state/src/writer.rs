//! The one writer: disk, then memory, then journal, and only then is a change acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{LAST_TIME, LastTime};
use super::engine::{Engine, EngineError, Promise, Swap, Swapped, Version};
use super::error::{JournalUnavailable, StoreError};
use super::seal::Sealer;
use super::snapshot::Snapshot;
use super::state::Memory;
use super::sum::SummedRecords;
use super::write::{Edit, LAST_WRITE, Write};
use portcullis_base::clock::{Clock, ClockDisagreement, Timestamp};

/// Where the state's changes are recorded beside the state, so that it can be made anew.
pub trait StateJournal: Send + Sync {
    /// Appends a change; on `Ok` it survives the loss of power. The bytes are to be given back as they are.
    fn record<'a>(&'a self, revision: u64, write: &'a [u8]) -> Promise<'a, Result<(), JournalUnavailable>>;

    /// Whether there is space for a change: the engine gives up for good where it meets the end of a disk.
    fn has_space(&self) -> bool {
        true
    }

    /// Appends the whole state in the same way; what was recorded before is needed no longer.
    fn snapshot<'a>(&'a self, state: &'a [u8]) -> Promise<'a, Result<(), JournalUnavailable>>;
}

/// Makes the writes, one after the other.
pub struct Writer {
    pub engine: Arc<dyn Engine>,
    pub journal: Arc<dyn StateJournal>,
    pub sealer: Sealer,
    /// The number of the last write on the disk.
    pub revision: u64,
    /// The last write as it is written; empty before the first.
    pub last: Vec<u8>,
    /// What each key's value is known as to the engine.
    pub versions: HashMap<String, Version>,
    /// What the engine holds, in sum.
    pub records: SummedRecords,
    /// A write that is on the disk and not yet in the journal; there is never a second one.
    pub unrecorded: Option<Unrecorded>,
    pub health: Health,
    pub clock: Clock,
    /// The latest time that was seen while the clock was believed.
    pub last_seen: Timestamp,
}

/// A write that the journal has still to take.
pub struct Unrecorded {
    pub revision: u64,
    pub bytes: Vec<u8>,
}

/// Whether what is on the disk is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Failed,
    Sound,
}

/// How far the clock may go back, one time step of a code.
const FARTHEST_BACK: Duration = Duration::from_secs(30);

impl Writer {
    /// Makes the edits together, or says why nobody may count on them.
    // INVARIANT (acknowledged): `Ok` means on the disk and in the journal. The order is disk first, since
    // start catches up a journal that is one behind, and refuses a store that is.
    pub async fn commit(&mut self, memory: &Memory, edits: Vec<Edit>, now: Timestamp) -> Result<(), StoreError> {
        self.record_unrecorded().await?;
        self.check_space()?;
        // A clock that was set must not leave its time behind, or the next start would take the right one for wrong.
        let at = self.clock.expected(now);
        let write = Write::seal(self.revision + 1, at, &edits, &self.sealer)?;
        let kept = write.kept()?;
        let changes = kept.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let summed = self.records.after(changes, &self.sealer);
        let write = write.with_sum(summed.sum, &self.sealer)?;
        let bytes = write.to_bytes()?;
        let mut swaps = vec![self.swap(LAST_WRITE, Some(bytes.clone()))];
        swaps.extend(kept.into_iter().map(|(key, value)| self.swap(&key, value)));
        self.swap_all(swaps).await?;
        self.records.apply(summed);
        self.revision = write.revision;
        self.last.clone_from(&bytes);
        self.last_seen = self.last_seen.max(at);
        // Memory follows the disk whatever the journal says: a restart would find the same.
        memory.apply(edits);
        self.unrecorded = Some(Unrecorded { revision: write.revision, bytes });
        self.record_unrecorded().await
    }

    /// Gives the journal the whole state; no change of it.
    pub async fn snapshot(&mut self, memory: &Memory) -> Result<(), StoreError> {
        // What the journal lacks must not come after the state that has it.
        self.record_unrecorded().await?;
        let state: Vec<_> = memory.read().records().map(Edit::Put).collect();
        let snapshot = Snapshot::seal(&self.last, self.revision, &state, &self.sealer)?;
        self.journal.snapshot(&snapshot.to_bytes()?).await?;
        Ok(())
    }

    /// Keeps the time for the next start; no change of the state.
    pub async fn remember_time(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let at = self.clock.expected(now);
        self.last_seen = self.last_seen.max(at);
        self.check_space()?;
        let boot = self.clock.watch().and_then(|clock| clock.boot_time());
        let last = LastTime { seen: self.last_seen, boot };
        let swap = self.swap(LAST_TIME, Some(last.to_bytes()?));
        self.swap_all(vec![swap]).await
    }

    /// Refuses a time before the latest one that was seen.
    pub fn check_time(&self, now: Timestamp) -> Result<(), StoreError> {
        if now.plus(FARTHEST_BACK) < self.last_seen {
            let disagreement = ClockDisagreement { wall: now, expected: self.last_seen };
            return Err(StoreError::ClockDisagrees(disagreement));
        }
        Ok(())
    }

    /// Gives the journal the one write that a crash may have kept from it.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        self.record_unrecorded().await
    }

    /// Records the sum of what is here, after a version that wrote none.
    pub async fn record_sum(&mut self, memory: &Memory, now: Timestamp) -> Result<(), StoreError> {
        if !self.journal.has_space() {
            // A start on a full disk works all the same; the next change brings the sum.
            return Ok(());
        }
        tracing::warn!("no change so far carries the sum of all records: the state is taken as it is, this once");
        self.commit(memory, Vec::new(), now).await
    }

    fn check_space(&self) -> Result<(), StoreError> {
        if self.journal.has_space() { Ok(()) } else { Err(JournalUnavailable.into()) }
    }

    async fn record_unrecorded(&mut self) -> Result<(), StoreError> {
        if let Some(unrecorded) = &self.unrecorded {
            self.journal.record(unrecorded.revision, &unrecorded.bytes).await?;
            self.unrecorded = None;
        }
        Ok(())
    }

    fn swap(&self, key: &str, value: Option<Vec<u8>>) -> Swap {
        Swap { key: key.as_bytes().to_vec(), expect: self.versions.get(key).copied(), value }
    }

    async fn swap_all(&mut self, swaps: Vec<Swap>) -> Result<(), StoreError> {
        match self.health {
            Health::Failed => return Err(EngineError::Closed.into()),
            Health::Sound => {}
        }
        let keys: Vec<(String, bool)> =
            swaps.iter().map(|swap| (String::from_utf8_lossy(&swap.key).into_owned(), swap.value.is_some())).collect();
        let swapped = self.engine.compare_and_swap(swaps).await;
        let version = match swapped {
            Ok(Swapped::Done(version)) => version,
            Ok(Swapped::Conflict) => {
                self.health = Health::Failed;
                return Err(EngineError::Failed("another process has changed it".to_owned()).into());
            }
            Err(error) => {
                // Perhaps it is on the disk, perhaps not; a restart tells.
                self.health = Health::Failed;
                return Err(error.into());
            }
        };
        for (key, stays) in keys {
            if stays {
                self.versions.insert(key, version);
            } else {
                self.versions.remove(&key);
            }
        }
        Ok(())
    }
}
