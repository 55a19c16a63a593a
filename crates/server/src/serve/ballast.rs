//! Space that is kept for a start on a full disk.
//!
//! The state's engine writes when it is opened, so that a gate could not start on a disk that others have filled.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_journal::{Disk, disk_space};

/// A file whose only use is that it can be removed.
#[derive(Clone, Debug)]
pub(super) struct Ballast {
    path: PathBuf,
}

/// What a start, and each write of the state, needs at the least.
const NEEDED: u64 = 1 << 20;
/// Some starts, and the writes of the state until somebody makes space.
const SIZE: u64 = 4 << 20;

/// Whether the file system of a directory has no space for a write of the state; one that tells nothing is taken to have.
pub(super) fn is_full(directory: &Path) -> bool {
    disk_space(directory).is_ok_and(|(free, _)| free < NEEDED)
}

impl Ballast {
    /// That of a state directory.
    pub fn of(directory: &Path) -> Self {
        Self { path: directory.join("ballast") }
    }

    /// Gives its space to a start that would find none.
    pub fn give_way(&self) {
        if !self.path.parent().is_some_and(is_full) {
            return;
        }
        match std::fs::remove_file(&self.path) {
            Ok(()) => tracing::error!("the state's disk is full; Portcullis starts in the space reserved for it"),
            Err(error) => tracing::error!(%error, "the state's disk is full, and no space is reserved for a start"),
        }
    }

    /// Keeps the space again, once there is enough.
    pub fn restore(&self) -> io::Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        Disk::Real.create(&self.path, SIZE).map(drop)
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
