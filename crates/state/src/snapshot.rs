//! Snapshots: the whole state as one record of the journal, in place of the writes that led to it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::records::RecordError;
use super::seal::{RecordSealer, SealError};
use super::write::{RecordEdit, StateWrite, WrittenChange};
use portcullis_base::clock::Timestamp;

/// The whole state as of a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateSnapshot {
    /// That of the last write.
    pub revision: u64,
    /// The last write as it is written, since the store is held against it at its start.
    pub last: String,
    pub state: Vec<WrittenChange>,
    /// The journal's last write before it, where others made the later ones and the journal has not got them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<u64>,
    /// Binds all of it to the master key, so that no record can be left out.
    pub tag: String,
}

impl StateSnapshot {
    /// Seals the state after the last write; the journal has the write `follows`, and none between the two.
    pub(crate) fn seal(
        last: &[u8],
        revision: u64,
        follows: u64,
        state: &[RecordEdit],
        sealer: &RecordSealer,
    ) -> Result<Self, SealError> {
        let last = String::from_utf8(last.to_vec()).map_err(|_| SealError::NotSealed)?;
        let state = StateWrite::seal(revision, Timestamp::from_millis(0), state, sealer)?.changes;
        let follows = (follows != revision).then_some(follows);
        let tag = sealer.seal(&binding(revision, &last, &state, follows)?, b"")?;
        Ok(Self { revision, last, state, follows, tag })
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

    /// The state, if the master key made it.
    pub(crate) fn open(&self, sealer: &RecordSealer) -> Result<Vec<RecordEdit>, RecordError> {
        let sealed = |error| RecordError::Sealed { key: "snapshot".to_owned(), error };
        let binding = binding(self.revision, &self.last, &self.state, self.follows).map_err(sealed)?;
        sealer.open(&binding, &self.tag).map_err(sealed)?;
        let changes = self.state.clone();
        StateWrite { revision: self.revision, at: 0, changes, sum: None }.open(sealer)
    }
}

/// The write that a state record of the journal ends with.
pub(crate) fn last_write(recorded: &[u8]) -> Vec<u8> {
    match StateSnapshot::parse(recorded) {
        Some(snapshot) => snapshot.last.into_bytes(),
        None => recorded.to_vec(),
    }
}

fn binding(revision: u64, last: &str, state: &[WrittenChange], follows: Option<u64>) -> Result<String, SealError> {
    let state = serde_json::to_vec(state).map_err(|_| SealError::NotSealed)?;
    let (last, state) = (hex::encode(Sha256::digest(last.as_bytes())), hex::encode(Sha256::digest(&state)));
    let follows = follows.map_or_else(String::new, |follows| format!("\n{follows}"));
    Ok(format!("portcullis snapshot 1\n{revision}\n{last}\n{state}{follows}"))
}
