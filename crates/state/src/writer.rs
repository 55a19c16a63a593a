//! The one writer: disk, then memory, then journal, and only then is a change acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::change::{ChangeDecision, MOST_DECISIONS};
use super::clock::{LAST_TIME, LastTime};
use super::contents::KeptRecords;
use super::engine::{BoxedFuture, EngineError, KeySwap, StateEngine, SwapOutcome, ValueVersion};
use super::error::{JournalUnavailable, StoreError};
use super::seal::RecordSealer;
use super::snapshot::StateSnapshot;
use super::state::StateMemory;
use super::sum::SummedRecords;
use super::write::{LAST_WRITE, RecordEdit, StateWrite};
use portcullis_base::clock::{Clock, ClockDisagreement, Timestamp};

/// Where changes of the state are recorded beside the state, so that it can be rebuilt.
pub trait StateJournal: Send + Sync {
    /// Appends a change; on `Ok` it survives the loss of power. The bytes are to be given back as they are.
    fn record<'a>(&'a self, revision: u64, write: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>>;

    /// Whether there is space for a change: the engine gives up for good where it meets the end of a disk.
    fn has_space(&self) -> bool {
        true
    }

    /// Appends the whole state in the same way; what was recorded before is needed no longer.
    fn snapshot<'a>(&'a self, state: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>>;
}

/// Makes the writes, one after the other.
pub(crate) struct StateWriter {
    pub engine: Arc<dyn StateEngine>,
    pub journal: Arc<dyn StateJournal>,
    pub sealer: RecordSealer,
    /// The number of the last write in the engine, as far as is known.
    pub revision: u64,
    /// That write as it is written; empty before the first.
    pub last: Vec<u8>,
    /// What each key's value is known as to the engine.
    pub versions: HashMap<String, ValueVersion>,
    /// What the engine holds, in sum.
    pub records: SummedRecords,
    pub lack: JournalLack,
    pub health: WriterHealth,
    pub clock: Clock,
    /// The latest time that was seen while the clock was believed.
    pub last_seen: Timestamp,
}

/// What the engine holds and the journal has still to take, before the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalLack {
    LastWrite,
    Nothing,
    /// Those of others after this one. The engine keeps the last of them alone, so the whole state stands for them.
    Writes {
        after: u64,
    },
}

/// Whether what is on the disk is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriterHealth {
    Failed,
    Sound,
}

/// How far the clock may go back, one time step of a code.
const FARTHEST_BACK: Duration = Duration::from_secs(30);

impl StateWriter {
    /// Makes the edits together, unless another writer has changed the state; or returns why they must not be relied on.
    // INVARIANT (acknowledged): `Done` means on the disk and in the journal. The order is disk first, since
    // start catches up a journal that is one behind, and refuses a store that is.
    pub(super) async fn commit(
        &mut self,
        memory: &StateMemory,
        edits: Vec<RecordEdit>,
        now: Timestamp,
    ) -> Result<SwapOutcome, StoreError> {
        let decided_on = self.revision;
        self.complete_journal(memory).await?;
        if self.revision != decided_on {
            return Ok(SwapOutcome::Conflict);
        }
        self.check_space()?;
        // A clock that was set must not leave its time behind, or the next start would take the right one for wrong.
        let at = self.clock.expected(now);
        let write = StateWrite::seal(self.revision + 1, at, &edits, &self.sealer)?;
        let kept = write.kept()?;
        let changes = kept.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let summed = self.records.after(changes, &self.sealer);
        let write = write.with_sum(summed.sum, &self.sealer)?;
        let bytes = write.to_bytes()?;
        let mut swaps = vec![self.swap(LAST_WRITE, Some(bytes.clone()))];
        swaps.extend(kept.into_iter().map(|(key, value)| self.swap(&key, value)));
        let swapped = self.swap_all(swaps).await?;
        if swapped == SwapOutcome::Conflict {
            return Ok(swapped);
        }
        self.records.apply(summed);
        (self.revision, self.last) = (write.revision, bytes);
        self.last_seen = self.last_seen.max(at);
        // Memory follows the disk even if the journal failed: a restart would read the same.
        memory.apply(edits);
        self.lack = JournalLack::LastWrite;
        self.complete_journal(memory).await?;
        Ok(swapped)
    }

    /// Gives the journal the whole state; no change of it.
    pub(crate) async fn snapshot(&mut self, memory: &StateMemory) -> Result<(), StoreError> {
        // What the journal lacks must not come after the state that has it.
        self.complete_journal(memory).await?;
        let kept = self.refresh(memory).await?;
        self.record_state(&kept).await
    }

    /// Keeps the time for the next start; no change of the state.
    pub(crate) async fn remember_time(&mut self, memory: &StateMemory, now: Timestamp) -> Result<(), StoreError> {
        let at = self.clock.expected(now);
        self.last_seen = self.last_seen.max(at);
        self.check_space()?;
        for conflicts in 0..MOST_DECISIONS {
            if conflicts > 0 {
                self.catch_up(memory, conflicts).await?;
            }
            let boot = self.clock.watch().and_then(|clock| clock.boot_time());
            let last = LastTime { seen: self.last_seen, boot };
            let swap = self.swap(LAST_TIME, Some(last.to_bytes()?));
            match self.swap_all(vec![swap]).await? {
                SwapOutcome::Done(_) => return Ok(()),
                SwapOutcome::Conflict => {}
            }
        }
        Err(StoreError::Contended)
    }

    /// Refuses a time before the latest one that was seen.
    pub(crate) fn check_time(&self, now: Timestamp) -> Result<(), StoreError> {
        if now.plus(FARTHEST_BACK) < self.last_seen {
            let disagreement = ClockDisagreement { wall: now, expected: self.last_seen };
            return Err(StoreError::ClockDisagrees(disagreement));
        }
        Ok(())
    }

    /// Records the sum of what is here, after a version that wrote none.
    pub(crate) async fn record_sum(&mut self, memory: &StateMemory, now: Timestamp) -> Result<(), StoreError> {
        if !self.journal.has_space() {
            // A start on a full disk works all the same; the next change brings the sum.
            return Ok(());
        }
        tracing::warn!("no change so far carries the sum of all records: the state is taken as it is, this once");
        self.change(memory, now, |_| Ok(ChangeDecision::Write { edits: Vec::new(), answer: () })).await
    }

    /// Records the whole state, so that the next start finds each record in the journal as the engine keeps it.
    pub(crate) async fn record_start(&mut self, memory: &StateMemory) -> Result<(), StoreError> {
        if !self.journal.has_space() {
            // A start on a full disk works all the same.
            return Ok(());
        }
        self.snapshot(memory).await
    }

    /// Gives the journal what a crash, or writes of others, kept from it.
    pub(crate) async fn complete_journal(&mut self, memory: &StateMemory) -> Result<(), StoreError> {
        match self.lack {
            JournalLack::LastWrite => self.journal.record(self.revision, &self.last).await?,
            JournalLack::Nothing => {}
            JournalLack::Writes { .. } => {
                let kept = self.refresh(memory).await?;
                self.record_state(&kept).await?;
            }
        }
        self.lack = JournalLack::Nothing;
        Ok(())
    }

    /// Records the whole state as the engine has just been found to hold it.
    pub(super) async fn record_state(&mut self, kept: &KeptRecords) -> Result<(), StoreError> {
        let follows = match self.lack {
            JournalLack::LastWrite | JournalLack::Nothing => self.revision,
            JournalLack::Writes { after } => after,
        };
        let snapshot = StateSnapshot::seal(&self.last, self.revision, follows, kept, &self.sealer)?;
        self.journal.snapshot(&snapshot.to_bytes()?).await?;
        self.lack = JournalLack::Nothing;
        Ok(())
    }

    fn check_space(&self) -> Result<(), StoreError> {
        if self.journal.has_space() { Ok(()) } else { Err(JournalUnavailable.into()) }
    }

    fn swap(&self, key: &str, value: Option<Vec<u8>>) -> KeySwap {
        KeySwap { key: key.as_bytes().to_vec(), expect: self.versions.get(key).copied(), value }
    }

    async fn swap_all(&mut self, swaps: Vec<KeySwap>) -> Result<SwapOutcome, StoreError> {
        match self.health {
            WriterHealth::Failed => return Err(EngineError::Closed.into()),
            WriterHealth::Sound => {}
        }
        let keys: Vec<(String, bool)> =
            swaps.iter().map(|swap| (String::from_utf8_lossy(&swap.key).into_owned(), swap.value.is_some())).collect();
        let swapped = self.engine.compare_and_swap(swaps).await;
        // Perhaps it is on the disk, perhaps not; a restart tells.
        let swapped = swapped.inspect_err(|_| self.health = WriterHealth::Failed)?;
        if let SwapOutcome::Done(version) = swapped {
            for (key, stays) in keys {
                if stays {
                    self.versions.insert(key, version);
                } else {
                    self.versions.remove(&key);
                }
            }
        }
        Ok(swapped)
    }
}
