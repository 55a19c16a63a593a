//! Snapshots: the whole state as one record of the journal, in place of the writes that led to it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::contents::KeptRecords;
use super::records::RecordError;
use super::seal::{RecordSealer, SealError};
use super::write::EngineRecord;

/// The whole state as of a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateSnapshot {
    /// That of the last write.
    pub revision: u64,
    /// The last write as it is written, since the engine's last write is compared with it at a start.
    pub last: String,
    pub state: Vec<SnapshotRecord>,
    /// The journal's last write before it, where others made the later ones and the journal has not got them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<u64>,
    /// Binds all of it to the master key, so that no record can be left out.
    pub tag: String,
}

/// A record in a snapshot, as the engine keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotRecord {
    pub key: String,
    /// The write that put it; earlier versions sealed each record again, as of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    pub record: Value,
    pub tag: String,
}

impl StateSnapshot {
    /// Seals what the engine holds after the last write; the journal has the write `follows`, and none between the two.
    pub(crate) fn seal(
        last: &[u8],
        revision: u64,
        follows: u64,
        records: &KeptRecords,
        sealer: &RecordSealer,
    ) -> Result<Self, SealError> {
        let last = String::from_utf8(last.to_vec()).map_err(|_| SealError::NotSealed)?;
        let state = records.iter().map(|(key, kept)| SnapshotRecord::of(key, kept).ok_or(SealError::NotSealed));
        let state = state.collect::<Result<_, _>>()?;
        let follows = (follows != revision).then_some(follows);
        Self { revision, last, state, follows, tag: String::new() }.tagged(sealer)
    }

    /// The same under a tag of the master key.
    pub(crate) fn tagged(self, sealer: &RecordSealer) -> Result<Self, SealError> {
        let tag = sealer.seal(&self.binding()?, b"")?;
        Ok(Self { tag, ..self })
    }

    /// Whether it may come after this write, or before any other record of state.
    pub(crate) fn may_follow(&self, revision: u64, write: &[u8]) -> bool {
        revision == 0 || self.last.as_bytes() == write || self.follows == Some(revision)
    }

    /// The one written form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        serde_json::to_vec(self).map_err(|_| SealError::NotSealed)
    }

    /// Reads the written form; a write is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Verifies that the master key made it.
    pub(crate) fn verify(&self, sealer: &RecordSealer) -> Result<(), RecordError> {
        let sealed = |error| RecordError::Sealed { key: "snapshot".to_owned(), error };
        sealer.open(&self.binding().map_err(sealed)?, &self.tag).map(drop).map_err(sealed)
    }

    /// All of it but the tag.
    fn binding(&self) -> Result<String, SealError> {
        let state = serde_json::to_vec(&self.state).map_err(|_| SealError::NotSealed)?;
        let state = hex::encode(Sha256::digest(&state));
        let last = hex::encode(Sha256::digest(self.last.as_bytes()));
        let follows = self.follows.map_or_else(String::new, |follows| format!("\n{follows}"));
        Ok(format!("portcullis snapshot 1\n{}\n{last}\n{state}{follows}", self.revision))
    }
}

impl SnapshotRecord {
    fn of(key: &str, kept: &[u8]) -> Option<Self> {
        let EngineRecord { revision, record, tag } = EngineRecord::parse(kept)?;
        Some(Self { key: key.to_owned(), revision: Some(revision), record, tag })
    }

    /// The record with its key, in the form in which an engine keeps it; `snapshot` is the snapshot's own revision.
    pub(crate) fn kept(self, snapshot: u64) -> Result<(String, Vec<u8>), SealError> {
        let Self { key, revision, record, tag } = self;
        Ok((key, EngineRecord { revision: revision.unwrap_or(snapshot), record, tag }.to_bytes()?))
    }
}
