//! Writes: the changes that are made together, in the one form that the disk and the journal share.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::records::{RecordError, RecordKey, StateRecord};
use super::seal::{RecordSealer, SealError};
use super::sum::RecordSum;
use portcullis_base::clock::Timestamp;

/// Where the last write is kept, beside what it changed.
pub(crate) const LAST_WRITE: &str = "meta/last";

/// What is to become of one thing.
#[derive(Clone, Debug)]
pub(crate) enum RecordEdit {
    Delete(RecordKey),
    Put(StateRecord),
}

/// One numbered write, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateWrite {
    /// One more than that of the write before.
    pub revision: u64,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    pub changes: Vec<WrittenChange>,
    /// The sum of all records after it, sealed to all of the write; earlier versions wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// One thing's new record; `null` where it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenChange {
    pub key: String,
    pub record: Value,
    /// Binds key, revision and record to the master key.
    pub tag: String,
}

/// A record's key and its form in the engine; `None` where it is gone.
pub(crate) type EngineChange = (String, Option<Vec<u8>>);

/// A record as the engine keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineRecord {
    pub revision: u64,
    pub record: Value,
    pub tag: String,
}

impl RecordEdit {
    /// What is changed.
    pub(crate) fn key(&self) -> RecordKey {
        match self {
            Self::Delete(key) => key.clone(),
            Self::Put(record) => record.key(),
        }
    }
}

impl StateWrite {
    /// Seals and tags the edits.
    pub(crate) fn seal(
        revision: u64,
        at: Timestamp,
        edits: &[RecordEdit],
        sealer: &RecordSealer,
    ) -> Result<Self, SealError> {
        let changes = edits.iter().map(|edit| WrittenChange::seal(revision, edit, sealer)).collect::<Result<_, _>>()?;
        Ok(Self { revision, at: at.millis(), changes, sum: None })
    }

    /// The write with the sum of all records after it.
    pub(crate) fn with_sum(self, sum: RecordSum, sealer: &RecordSealer) -> Result<Self, SealError> {
        let sum = sum.seal(&self.binding()?, sealer)?;
        Ok(Self { sum: Some(sum), ..self })
    }

    /// The sum of all records after it, if the master key made the write as it is.
    pub(crate) fn open_sum(&self, sealer: &RecordSealer) -> Result<Option<RecordSum>, SealError> {
        self.sum.as_ref().map(|sum| RecordSum::open(&self.binding()?, sum, sealer)).transpose()
    }

    /// Each changed record as the engine has it after the write.
    pub(crate) fn kept(&self) -> Result<Vec<EngineChange>, SealError> {
        self.changes.iter().map(|change| Ok((change.key.clone(), change.kept(self.revision)?))).collect()
    }

    /// All of the write but the sum.
    fn binding(&self) -> Result<String, SealError> {
        let changes = serde_json::to_vec(&self.changes).map_err(|_| SealError::NotSealed)?;
        let changes = hex::encode(Sha256::digest(&changes));
        Ok(format!("portcullis state sum 1\n{}\n{}\n{changes}", self.revision, self.at))
    }

    /// The one written form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        serde_json::to_vec(self).map_err(|_| SealError::NotSealed)
    }

    /// Reads the written form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Verifies that the master key tagged each change.
    pub(crate) fn verify(&self, sealer: &RecordSealer) -> Result<(), RecordError> {
        self.changes.iter().try_for_each(|change| change.verify(self.revision, sealer))
    }

    /// What the write did, if the master key made it.
    pub(crate) fn open(&self, sealer: &RecordSealer) -> Result<Vec<RecordEdit>, RecordError> {
        self.changes.iter().map(|change| change.open(self.revision, sealer)).collect()
    }
}

impl WrittenChange {
    fn seal(revision: u64, edit: &RecordEdit, sealer: &RecordSealer) -> Result<Self, SealError> {
        let key = edit.key().text();
        let record = match edit {
            RecordEdit::Delete(_) => Value::Null,
            RecordEdit::Put(record) => record.write(sealer)?,
        };
        let tag = sealer.seal(&binding(revision, &key, &record), b"")?;
        Ok(Self { key, record, tag })
    }

    fn verify(&self, revision: u64, sealer: &RecordSealer) -> Result<(), RecordError> {
        let sealed = sealer.open(&binding(revision, &self.key, &self.record), &self.tag);
        sealed.map(drop).map_err(|error| RecordError::Sealed { key: self.key.clone(), error })
    }

    fn open(&self, revision: u64, sealer: &RecordSealer) -> Result<RecordEdit, RecordError> {
        self.verify(revision, sealer)?;
        let key = RecordKey::parse(&self.key).ok_or_else(|| RecordError::Malformed(self.key.clone()))?;
        if self.record.is_null() {
            return Ok(RecordEdit::Delete(key));
        }
        StateRecord::read(&key, &self.record, sealer).map(RecordEdit::Put)
    }

    /// The record's form in the engine; `None` where it is gone.
    fn kept(&self, revision: u64) -> Result<Option<Vec<u8>>, SealError> {
        if self.record.is_null() {
            return Ok(None);
        }
        EngineRecord { revision, record: self.record.clone(), tag: self.tag.clone() }.to_bytes().map(Some)
    }
}

impl EngineRecord {
    /// The one written form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        serde_json::to_vec(self).map_err(|_| SealError::NotSealed)
    }

    /// Reads the written form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The write that put a record.
    pub(crate) fn revision(bytes: &[u8]) -> Option<u64> {
        Self::parse(bytes).map(|kept| kept.revision)
    }

    /// Reads a record under its key, if the master key tagged it there.
    pub(crate) fn open(bytes: &[u8], key: &str, sealer: &RecordSealer) -> Result<(u64, StateRecord), RecordError> {
        let kept = Self::parse(bytes).ok_or_else(|| RecordError::Malformed(key.to_owned()))?;
        let change = WrittenChange { key: key.to_owned(), record: kept.record, tag: kept.tag };
        match change.open(kept.revision, sealer)? {
            RecordEdit::Put(record) => Ok((kept.revision, record)),
            RecordEdit::Delete(_) => Err(RecordError::Malformed(key.to_owned())),
        }
    }
}

/// Objects keep the order of their members and hold no fractions, so JSON that was read is written as it was.
fn binding(revision: u64, key: &str, record: &Value) -> String {
    format!("portcullis record 1\n{revision}\n{key}\n{record}")
}
