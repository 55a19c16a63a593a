//! Changes: decided on the state in memory, made by comparison in the engine, and decided again where another writer came
//! first.
//!
//! Each write replaces `meta/last`, so that any other write since the decision is a conflict, whichever record it
//! changed: a rule that looks at several records (the last device, the trails of a bucket) holds as well.

use std::collections::HashMap;
use std::time::Duration;

use super::contents::{EngineContents, KeptRecords, META};
use super::engine::{EngineEntries, EngineError, SwapOutcome, ValueVersion};
use super::error::StoreError;
use super::records::{RecordKey, StateRecord};
use super::state::{StateMemory, StateTables};
use super::write::RecordEdit;
use super::writer::{JournalLack, StateWriter, WriterHealth};
use portcullis_base::clock::Timestamp;

/// What is decided on the state.
#[derive(Debug)]
pub(crate) enum ChangeDecision<T> {
    /// There is nothing to write. The engine is not asked, so this is as old as memory is.
    Unchanged(T),
    /// The answer holds once the edits are made.
    Write { edits: Vec<RecordEdit>, answer: T },
}

/// How often a change is decided before the caller is told to try again.
pub(crate) const MOST_DECISIONS: u32 = 8;

impl<T> ChangeDecision<T> {
    /// Puts one record, and then answers.
    pub(crate) fn put(record: StateRecord, answer: T) -> Self {
        Self::Write { edits: vec![RecordEdit::Put(record)], answer }
    }
}

impl ChangeDecision<()> {
    /// Deletes one record.
    pub(crate) fn delete(key: RecordKey) -> Self {
        Self::Write { edits: vec![RecordEdit::Delete(key)], answer: () }
    }
}

impl StateWriter {
    /// Decides, and makes the change that was decided on; decides again on the newer state after a conflict.
    ///
    /// `decide` may run several times, so it changes nothing itself.
    // INVARIANT (decided on the newest): a change is made only on the very state that it was decided on.
    pub(crate) async fn change<T, E: From<StoreError>>(
        &mut self,
        memory: &StateMemory,
        now: Timestamp,
        mut decide: impl FnMut(&StateTables) -> Result<ChangeDecision<T>, E>,
    ) -> Result<T, E> {
        for conflicts in 0..MOST_DECISIONS {
            if conflicts > 0 {
                self.catch_up(memory, conflicts).await?;
            }
            let decision = decide(&memory.read())?;
            match decision {
                ChangeDecision::Unchanged(answer) => return Ok(answer),
                ChangeDecision::Write { edits, answer } => match self.commit(memory, edits, now).await? {
                    SwapOutcome::Done(_) => return Ok(answer),
                    SwapOutcome::Conflict => {}
                },
            }
        }
        Err(StoreError::Contended.into())
    }

    /// Applies what others have written since, after a pause that grows with the conflicts.
    pub(super) async fn catch_up(&mut self, memory: &StateMemory, conflicts: u32) -> Result<(), StoreError> {
        tokio::time::sleep(pause(conflicts)).await;
        let kept = self.refresh(memory).await?;
        // Before anything else is decided: a crash must not leave the journal further behind than a start can mend.
        match self.lack {
            JournalLack::Writes { .. } => self.record_state(&kept).await,
            JournalLack::LastWrite | JournalLack::Nothing => self.complete_journal(memory).await,
        }
    }

    /// Brings memory to what the engine holds now; the answer is each record as it is there.
    pub(super) async fn refresh(&mut self, memory: &StateMemory) -> Result<KeptRecords, StoreError> {
        match self.health {
            WriterHealth::Failed => return Err(EngineError::Closed.into()),
            WriterHealth::Sound => {}
        }
        let entries = self.engine.scan().await;
        let read = entries.map_err(StoreError::from).and_then(|entries| self.read_newer(entries));
        let mut contents = read.inspect_err(|_| self.health = WriterHealth::Failed)?;
        let (revision, kept) = (contents.revision(), std::mem::take(&mut contents.kept));
        if revision > self.revision {
            tracing::warn!(revision, "another writer has changed the state: its changes are applied");
        }
        self.adopt(memory, contents);
        Ok(kept)
    }

    /// Reads what the engine holds, if it is what the last write left and not older than what is known.
    fn read_newer(&self, entries: EngineEntries) -> Result<EngineContents, StoreError> {
        let contents = EngineContents::read(entries, &self.sealer).and_then(|contents| {
            contents.check_sum(&self.sealer)?;
            Ok(contents)
        });
        let contents = contents.map_err(|error| EngineError::Failed(error.to_string()))?;
        let is_same = contents.last_bytes() == self.last.as_slice();
        if contents.revision() > self.revision || (contents.revision() == self.revision && is_same) {
            return Ok(contents);
        }
        Err(EngineError::Failed("it is older than what it held before".to_owned()).into())
    }

    fn adopt(&mut self, memory: &StateMemory, contents: EngineContents) {
        let EngineContents { records, versions, sum, last, .. } = contents;
        memory.apply(differences(records, &self.versions, &versions));
        self.versions = versions;
        self.records = sum;
        let Some((write, bytes)) = last.filter(|(write, _)| write.revision > self.revision) else { return };
        self.lack = match self.lack {
            JournalLack::Nothing => JournalLack::Writes { after: self.revision },
            JournalLack::LastWrite => JournalLack::Writes { after: self.revision.saturating_sub(1) },
            JournalLack::Writes { after } => JournalLack::Writes { after },
        };
        self.last_seen = self.last_seen.max(Timestamp::from_millis(write.at));
        (self.revision, self.last) = (write.revision, bytes);
    }
}

/// What makes the records that were known into those that are there.
fn differences(
    records: Vec<(String, StateRecord)>,
    known: &HashMap<String, ValueVersion>,
    there: &HashMap<String, ValueVersion>,
) -> Vec<RecordEdit> {
    let gone = known.keys().filter(|key| !key.starts_with(META) && !there.contains_key(*key));
    let gone = gone.filter_map(|key| RecordKey::parse(key)).map(RecordEdit::Delete);
    let newer = records.into_iter().filter(|(key, _)| known.get(key) != there.get(key));
    gone.chain(newer.map(|(_, record)| RecordEdit::Put(record))).collect()
}

/// Up to 2, 4, 8, .. milliseconds, so that two writers do not meet again and again.
fn pause(conflicts: u32) -> Duration {
    let mut random = [u8::MAX];
    // Without randomness it is the longest pause.
    getrandom::fill(&mut random).ok();
    Duration::from_micros((1000 << conflicts.min(MOST_DECISIONS)) * u64::from(random[0]) / 256)
}
