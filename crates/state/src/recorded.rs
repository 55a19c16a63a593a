//! The state as the journal tells it: the last snapshot, and the writes after that.

use std::collections::BTreeMap;

use super::contents::{KeptRecords, bad_record};
use super::error::{RecordFault, StartError, StoreError};
use super::seal::RecordSealer;
use super::snapshot::StateSnapshot;
use super::write::{EngineRecord, StateWrite};

/// What the engine has to hold, by the journal's entries of state.
#[derive(Debug, Default)]
pub(crate) struct RecordedState {
    /// The last write; zero before the first.
    pub revision: u64,
    /// The last write as it is written.
    pub last: Vec<u8>,
    /// Whether the last write carries the sum of all records; every later one does then.
    pub carries_sum: bool,
    /// Whether the entries tell all records.
    pub extent: RecordedExtent,
    /// Each record in the form in which an engine keeps it; `None` where it was deleted.
    records: BTreeMap<String, Option<Vec<u8>>>,
}

/// How much of the state the journal's entries tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RecordedExtent {
    /// They begin after the first write and have no snapshot, so there may be records that they do not name.
    Part,
    #[default]
    Whole,
}

/// How an engine that holds the right records was found to hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordComparison {
    /// Each record has the bytes that the journal has.
    Exact,
    /// The journal tells a part of the records; whether the others are right, the sum says.
    Partial,
    /// Some records were sealed again by an earlier version, and were compared by what they say.
    Resealed,
}

/// One entry of state in the journal.
pub(crate) enum RecordedEntry {
    Snapshot(StateSnapshot),
    Write(StateWrite),
}

impl RecordedEntry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        StateSnapshot::parse(bytes).map(Self::Snapshot).or_else(|| StateWrite::parse(bytes).map(Self::Write))
    }

    /// The last write that it tells.
    pub(crate) fn revision(&self) -> u64 {
        match self {
            Self::Snapshot(snapshot) => snapshot.revision,
            Self::Write(write) => write.revision,
        }
    }

    /// Verifies that the master key made every part of it.
    pub(crate) fn verify(&self, sealer: &RecordSealer) -> Result<(), StartError> {
        match self {
            Self::Snapshot(snapshot) => snapshot.verify(sealer).map_err(bad_record),
            Self::Write(write) => {
                write.verify(sealer).map_err(bad_record)?;
                write.open_sum(sealer).map(drop).map_err(|_| StartError::JournalUnreadable(write.revision))
            }
        }
    }
}

impl RecordedState {
    /// Follows the entries in their order, each once it was verified; each write must follow the one before.
    pub(crate) fn replay<B: AsRef<[u8]>>(
        entries: impl IntoIterator<Item = B>,
        verify: impl Fn(&RecordedEntry) -> Result<(), StartError>,
    ) -> Result<Self, StartError> {
        let mut state = Self::default();
        for bytes in entries {
            let bytes = bytes.as_ref();
            // One may be there twice, since the journal takes it again when it is unsure.
            if bytes == state.last {
                continue;
            }
            let entry = RecordedEntry::parse(bytes).ok_or(StartError::JournalUnreadable(state.revision + 1))?;
            verify(&entry)?;
            match entry {
                RecordedEntry::Snapshot(snapshot) => state.restart(snapshot)?,
                RecordedEntry::Write(write) => state.follow(&write, bytes)?,
            }
        }
        Ok(state)
    }

    /// Begins again with the whole state as of a write.
    fn restart(&mut self, snapshot: StateSnapshot) -> Result<(), StartError> {
        if !snapshot.may_follow(self.revision, &self.last) {
            return Err(StartError::JournalUnreadable(self.revision));
        }
        let StateSnapshot { revision, last, state, .. } = snapshot;
        let carries_sum = StateWrite::parse(last.as_bytes()).is_some_and(|write| write.sum.is_some());
        let mut records = BTreeMap::new();
        for record in state {
            let (key, kept) = record.kept(revision).map_err(StoreError::Sealing)?;
            records.insert(key, Some(kept));
        }
        let (last, extent) = (last.into_bytes(), RecordedExtent::Whole);
        *self = Self { revision, last, carries_sum, extent, records };
        Ok(())
    }

    /// Makes the changes of a write.
    pub(crate) fn follow(&mut self, write: &StateWrite, bytes: &[u8]) -> Result<(), StartError> {
        let expected = self.revision + 1;
        if self.revision == 0 && write.revision > 1 {
            self.extent = RecordedExtent::Part;
        } else if write.revision != expected || (self.carries_sum && write.sum.is_none()) {
            return Err(StartError::JournalUnreadable(expected));
        }
        self.records.extend(write.kept().map_err(StoreError::Sealing)?);
        (self.revision, self.carries_sum) = (write.revision, write.sum.is_some());
        self.last = bytes.to_vec();
        Ok(())
    }

    /// Compares what an engine holds, record by record.
    pub(crate) fn compare(&self, kept: &KeptRecords, sealer: &RecordSealer) -> Result<RecordComparison, StartError> {
        let differs = |key: &str, fault| Err(StartError::RecordDiffers { key: key.to_owned(), fault });
        let mut comparison = RecordComparison::Exact;
        for (key, recorded) in &self.records {
            match (recorded, kept.get(key)) {
                (Some(recorded), Some(kept)) if recorded == kept => {}
                (Some(recorded), Some(kept)) if self.say_the_same(key, recorded, kept, sealer)? => {
                    comparison = RecordComparison::Resealed;
                }
                (Some(recorded), Some(kept)) => return differs(key, fault(recorded, kept)),
                (Some(_), None) => return differs(key, RecordFault::Missing),
                (None, Some(_)) => return differs(key, RecordFault::Deleted),
                (None, None) => {}
            }
        }
        match (self.extent, kept.keys().find(|key| !self.records.contains_key(*key))) {
            (RecordedExtent::Part, _) => Ok(RecordComparison::Partial),
            (RecordedExtent::Whole, Some(key)) => differs(key, RecordFault::Unrecorded),
            (RecordedExtent::Whole, None) => Ok(comparison),
        }
    }

    fn say_the_same(&self, key: &str, recorded: &[u8], kept: &[u8], sealer: &RecordSealer) -> Result<bool, StartError> {
        let unreadable = |_| StartError::JournalUnreadable(self.revision);
        let (_, recorded) = EngineRecord::open(recorded, key, sealer).map_err(unreadable)?;
        let (_, kept) = EngineRecord::open(kept, key, sealer).map_err(bad_record)?;
        let of = |record: super::StateRecord| record.comparable(sealer).map_err(StoreError::Sealing);
        Ok(of(recorded)? == of(kept)?)
    }

    /// Each record that is there, for an engine that is to hold it.
    pub(crate) fn into_kept(self) -> KeptRecords {
        self.records.into_iter().filter_map(|(key, kept)| Some((key, kept?))).collect()
    }
}

/// In what way a record is not the journal's.
fn fault(recorded: &[u8], kept: &[u8]) -> RecordFault {
    match (EngineRecord::revision(recorded), EngineRecord::revision(kept)) {
        (Some(recorded), Some(kept)) if kept < recorded => RecordFault::Older,
        (_, _) => RecordFault::Altered,
    }
}
