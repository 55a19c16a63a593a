//! Disk space reserved for a start on a full disk.
//!
//! The state's engine writes when it is opened, so without a reserve the proxy could not start on a full disk.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_journal::{JournalDisk, disk_space};

/// A file that only reserves space, and is removed when the space is needed.
#[derive(Clone, Debug)]
pub(super) struct Ballast {
    path: PathBuf,
}

/// The least space that a start or a write of the state needs.
const NEEDED: u64 = 1 << 20;
/// Enough for several starts, and for writes of the state until the operator makes space.
const SIZE: u64 = 4 << 20;

/// Whether a directory's file system has no space for a write of the state; assumed false if it cannot be determined.
pub(super) fn is_full(directory: &Path) -> bool {
    disk_space(directory).is_ok_and(|(free, _)| free < NEEDED)
}

impl Ballast {
    /// That of a state directory.
    pub(super) fn of(directory: &Path) -> Self {
        Self { path: directory.join("ballast") }
    }

    /// Frees the space if a start needs it.
    pub(super) fn give_way(&self) {
        if !self.path.parent().is_some_and(is_full) {
            return;
        }
        match std::fs::remove_file(&self.path) {
            Ok(()) => tracing::error!("the state's disk is full; Portcullis starts in the space reserved for it"),
            Err(error) => tracing::error!(%error, "the state's disk is full, and no space is reserved for a start"),
        }
    }

    /// Reserves the space again once there is enough.
    pub(super) fn restore(&self) -> io::Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        JournalDisk::default().create(&self.path, SIZE).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_kept_once_and_not_given_away_while_there_is_some() {
        let place = tempfile::tempdir().expect("a directory");
        let ballast = Ballast::of(place.path());
        for _ in 0..2 {
            ballast.restore().expect("made");
            ballast.give_way();
            assert_eq!(std::fs::metadata(place.path().join("ballast")).expect("there").len(), SIZE);
        }
        assert!(!is_full(&place.path().join("absent")), "what is not known stops nothing");
    }
}
