//! Why a journal cannot be opened or read.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a journal cannot be opened or read, and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JournalError {
    #[error(
        "record {sequence} at byte {offset} of `{file}` is not what was written; restore the file from a copy, \
         or move the whole directory aside and begin a new journal"
    )]
    Altered { file: PathBuf, offset: u64, sequence: u64 },
    #[error(
        "record {sequence} in `{file}` does not follow from the record before it; restore the segments from a \
         copy, or move the whole directory aside and begin a new journal"
    )]
    Chain { file: PathBuf, sequence: u64 },
    #[error("`{file}` does not begin as a file of a journal does; restore it from a copy")]
    Header { file: PathBuf },
    #[error("cannot {action} `{path}`: {text}; check that it is there, writable and not full")]
    Io { action: &'static str, path: PathBuf, kind: io::ErrorKind, text: String },
    #[error("`{directory}` is in use by another process; stop that one first")]
    Locked { directory: PathBuf },
    #[error(
        "the journal in `{directory}` has no segment with record {sequence}; restore \
         `{sequence:020}.journal` or the segment that holds it from a copy"
    )]
    Missing { directory: PathBuf, sequence: u64 },
    #[error("the state in record {sequence} of `{directory}` has no revision; it was written by another program")]
    State { directory: PathBuf, sequence: u64 },
    #[error("`{file}` has format version {version}, and this program reads 1; use the program that wrote it")]
    Version { file: PathBuf, version: u32 },
}

impl JournalError {
    pub(super) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), kind: error.kind(), text: error.to_string() }
    }
}
