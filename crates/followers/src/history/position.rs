//! How far the index is known to be on disk.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::day::UtcDay;
use super::file::JournalId;
use portcullis_journal::{FollowerPosition, Sequence};

/// How far the index is known to be on disk: every event up to this record is in the file of its day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexPosition {
    pub at: FollowerPosition,
    /// The days that have files.
    pub days: BTreeSet<UtcDay>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct IndexPositionJson {
    version: u32,
    journal: String,
    sequence: u64,
    chain: String,
    days: Vec<String>,
}

const NAME: &str = "position.json";
const VERSION: u32 = 1;

impl IndexPosition {
    /// Reads what was written last; nothing if that cannot be used.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let written: IndexPositionJson = serde_json::from_slice(&std::fs::read(directory.join(NAME)).ok()?).ok()?;
        if written.version != VERSION {
            return None;
        }
        let mut journal = JournalId::default();
        hex::decode_to_slice(&written.journal, &mut journal).ok()?;
        let mut chain = [0; 32];
        hex::decode_to_slice(&written.chain, &mut chain).ok()?;
        let days = written.days.iter().map(|day| UtcDay::parse(day)).collect::<Option<_>>()?;
        let at = FollowerPosition { journal, sequence: Sequence::new(written.sequence), chain };
        Some(Self { at, days })
    }

    /// Whether anything was written, readable or not.
    pub(super) fn is_in(directory: &Path) -> bool {
        directory.join(NAME).exists()
    }

    /// Replaces what was written before, durably; everything it promises must be on disk already.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let written = IndexPositionJson {
            version: VERSION,
            journal: hex::encode(self.at.journal),
            sequence: self.at.sequence.number(),
            chain: hex::encode(self.at.chain),
            days: self.days.iter().map(ToString::to_string).collect(),
        };
        let partial = directory.join("position.partial");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.sync_all()?;
        std::fs::rename(&partial, directory.join(NAME))?;
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(IndexPosition::read(directory.path()), None);
        let days = [UtcDay::of(0), UtcDay::of(1_000_000)].into();
        let at = FollowerPosition { journal: [7; 16], sequence: Sequence::new(42), chain: [9; 32] };
        let position = IndexPosition { at, days };
        position.write(directory.path()).unwrap();
        assert_eq!(IndexPosition::read(directory.path()), Some(position));
        std::fs::write(directory.path().join(NAME), b"{\"version\":1,").unwrap();
        assert_eq!(IndexPosition::read(directory.path()), None);
    }
}
