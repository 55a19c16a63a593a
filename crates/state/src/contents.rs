//! What an engine holds, with each tag and the sum of all records verified.

use std::collections::{BTreeMap, HashMap};

use super::clock::{LAST_TIME, LastTime};
use super::engine::{EngineEntries, ValueVersion};
use super::error::{StartError, StoreError};
use super::records::{RecordError, StateRecord};
use super::seal::{RecordSealer, SealError};
use super::sum::{REBUILT_SUM, RebuiltSum, SummedRecords};
use super::write::{EngineRecord, LAST_WRITE, StateWrite};

/// How the keys begin that hold no record.
pub(crate) const META: &str = "meta/";

/// Records by key, in the form in which an engine keeps them.
pub(crate) type KeptRecords = BTreeMap<String, Vec<u8>>;

/// All that an engine holds.
#[derive(Default)]
pub(crate) struct EngineContents {
    /// Each record with its key.
    pub records: Vec<(String, StateRecord)>,
    pub kept: KeptRecords,
    /// What each key's value is known as to the engine.
    pub versions: HashMap<String, ValueVersion>,
    pub sum: SummedRecords,
    pub last: Option<(StateWrite, Vec<u8>)>,
    pub last_time: Option<LastTime>,
    rebuilt: Option<RebuiltSum>,
}

impl EngineContents {
    /// Reads what a scan found.
    pub(crate) fn read(entries: EngineEntries, sealer: &RecordSealer) -> Result<Self, StartError> {
        let mut contents = Self::default();
        let mut newest = 0;
        for (key, versioned) in entries {
            let key = String::from_utf8(key).map_err(|_| StartError::Unreadable("a key is not text".to_owned()))?;
            let malformed = || bad_record(RecordError::Malformed(key.clone()));
            match key.as_str() {
                LAST_WRITE => {
                    let write = StateWrite::parse(&versioned.value).ok_or_else(malformed)?;
                    write.open(sealer).map_err(bad_record)?;
                    contents.last = Some((write, versioned.value));
                }
                LAST_TIME => {
                    contents.last_time = Some(LastTime::parse(&versioned.value).ok_or_else(malformed)?);
                }
                REBUILT_SUM => contents.rebuilt = Some(RebuiltSum::parse(&versioned.value).ok_or_else(malformed)?),
                _ => {
                    let (revision, record) = EngineRecord::open(&versioned.value, &key, sealer).map_err(bad_record)?;
                    newest = newest.max(revision);
                    contents.records.push((key.clone(), record));
                    contents.kept.insert(key.clone(), versioned.value);
                }
            }
            contents.versions.insert(key, versioned.version);
        }
        if newest > contents.revision() {
            return Err(StartError::Unreadable("a record is newer than the last write".to_owned()));
        }
        let kept = contents.kept.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice())));
        contents.sum.apply(contents.sum.after(kept, sealer));
        Ok(contents)
    }

    /// The number of the last write; zero before the first.
    pub(crate) fn revision(&self) -> u64 {
        self.last.as_ref().map_or(0, |(write, _)| write.revision)
    }

    /// The last write as it is written; empty before the first.
    pub(crate) fn last_bytes(&self) -> &[u8] {
        self.last.as_ref().map_or(&[], |(_, bytes)| bytes)
    }

    /// Compares the records with the sum that the last write left; whether it left one.
    // INVARIANT (nothing lost): the journal has the same write, or the write before it, and the master key sealed the
    // sum to the write; so a record that the engine lost, kept as it was earlier or got from elsewhere shows here.
    pub(crate) fn check_sum(&self, sealer: &RecordSealer) -> Result<bool, StartError> {
        let Some((write, bytes)) = &self.last else { return Ok(true) };
        let incomplete = |_| StartError::Incomplete(write.revision);
        let rebuilt = self.rebuilt.as_ref().filter(|rebuilt| rebuilt.revision == write.revision);
        let rebuilt = rebuilt.map(|rebuilt| rebuilt.open(bytes, sealer)).transpose().map_err(incomplete)?;
        let written = write.open_sum(sealer).map_err(incomplete)?;
        match rebuilt.or(written) {
            None => Ok(false),
            Some(sum) if sum == self.sum.sum() => Ok(true),
            Some(_) => Err(StartError::Incomplete(write.revision)),
        }
    }
}

/// Why a record that is not as it should be stops a start.
pub(crate) fn bad_record(error: RecordError) -> StartError {
    match error {
        RecordError::Malformed(key) => StartError::Unreadable(format!("record `{key}` is not of a known form")),
        RecordError::Sealed { key, error: SealError::NotOurs } => StartError::WrongMasterKey(key),
        RecordError::Sealed { error, .. } => StartError::Store(StoreError::Sealing(error)),
    }
}
