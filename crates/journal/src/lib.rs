//! The journal: a durable, append-only log in a directory, numbered without gaps and chained by hash.
//!
//! A directory holds segments `00000000000000000001.journal`, each named by its first sequence, zero-filled
//! ahead of its use; `head`, which pins the newest segment; `reserve`, where a journal that can no longer
//! write notes why it closed; and `lock`.

mod base;
mod commit;
mod disk;
mod error;
mod follower;
mod frame;
mod reader;
mod replay;
mod retention;
mod segment;
#[cfg(test)]
mod tests;
mod trim;
mod verify;
mod writer;

use std::fs::File;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use commit::JournalShared;
pub use disk::{DiskCalls, DiskFaults, DiskFile, JournalDisk, disk_space};
pub use error::JournalError;
pub use follower::{Follower, FollowerPosition, JournalGap, Resumption};
#[cfg(fuzzing)]
pub use frame::fuzz_frame;
pub use reader::{JournalReader, JournalRecord};
use replay::RestoredJournal;
pub use replay::{ClosureNote, JournalRecovery, OpenIntent, StateEntry};
use retention::FollowerRegistry;
pub use retention::JournalFollower;

/// A journal that is open for writing; the only one of its directory.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<JournalShared>,
    commits: Option<JoinHandle<()>>,
    verifying: Option<JoinHandle<()>>,
    followers: FollowerRegistry,
    lock: File,
}

/// The number of a record: 1, 2, 3, ... without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// Why the journal was closed, noted when it was opened again.
    Closing,
    /// The events of something that is over, one JSON object a line.
    Event,
    /// A change that is about to start, as the events to record if its outcome stays unknown.
    Intent,
    /// The events of what this intent led to, one JSON object a line.
    Outcome(Sequence),
    /// A write of security state, or a snapshot of it: JSON with its `revision`, in a snapshot also with the `state`.
    State,
}

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The size of a segment; a longer record gets a longer segment.
    pub segment_size: u64,
    /// How long a record may wait for the disk when no task waits for it.
    pub idle_commit: Duration,
    /// How many of the newest bytes are verified before the journal is used, at the least; older ones are verified
    /// while it is.
    pub verify_at_start: u64,
    pub disk: JournalDisk,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_size: 64 * 1024 * 1024,
            idle_commit: Duration::from_millis(100),
            // A disk of 100 MB/s reads it in less than three seconds.
            verify_at_start: 256 * 1024 * 1024,
            disk: JournalDisk::default(),
        }
    }
}

/// The journal did not take the record, and nothing may be done that depends on it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the journal is closed")]
pub struct JournalClosed;

impl Journal {
    /// Opens or begins the journal in a directory, and tells what a crash left there.
    pub fn open(directory: &Path, options: JournalOptions) -> Result<(Self, JournalRecovery), JournalError> {
        let lock = replay::lock(directory)?;
        let RestoredJournal { writer, recovered, reserve, first } = replay::restore(directory, &options)?;
        let shared = JournalShared::new(directory, options, writer, reserve, first);
        let shared = Arc::new(shared.map_err(|error| JournalError::io("open", directory, &error))?);
        if let Some(closed) = &recovered.closed_because {
            note_closing(&shared, closed).map_err(|error| JournalError::io("write to", directory, &error))?;
        }
        let worker = Arc::clone(&shared);
        let commits = std::thread::Builder::new()
            .name("journal-commit".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| JournalError::io("commit to", directory, &error))?;
        shared.prepare_next();
        let verifying = trim::verify_older(&shared, recovered.verified_from);
        let followers = FollowerRegistry::default();
        Ok((Self { shared, commits: Some(commits), verifying, followers, lock }, recovered))
    }

    /// Appends a record; on return it has reached the operating system, and a crash of this process loses nothing.
    pub fn append(&self, kind: RecordKind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        self.shared.append(kind, payload).map(Sequence)
    }

    /// Resolves once the record, and all before it, are on disk.
    pub fn durable(&self, sequence: Sequence) -> impl Future<Output = Result<(), JournalClosed>> + Send + use<> {
        self.shared.durable(sequence.0)
    }

    /// Waits until all that was appended is on disk; the answer is the last record that is. A closed journal has no
    /// more to come.
    pub async fn flush(&self) -> Sequence {
        self.durable(self.last_sequence()).await.ok();
        self.durable_sequence()
    }

    /// Appends a record and waits until it is on disk.
    pub async fn record(&self, kind: RecordKind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        let sequence = self.append(kind, payload)?;
        self.durable(sequence).await?;
        Ok(sequence)
    }

    /// Appends the whole state, so that the writes of state before it are no longer needed.
    pub fn append_snapshot(&self, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        let sequence = self.append(RecordKind::State, payload)?;
        self.shared.snapshot.fetch_max(sequence.number(), Ordering::SeqCst);
        Ok(sequence)
    }

    /// Removes the segments that hold only records before this one; the answer is the first record that is left.
    ///
    /// Kept all the same are the last snapshot of the state and what came after it, open intents, whatever is not on
    /// disk yet, and the segment in use. A journal whose state was not appended as a snapshot since it was opened
    /// keeps everything.
    pub fn trim(&self, before: Sequence) -> Result<Sequence, JournalError> {
        self.shared.trim(before)
    }

    /// The first record of the first segment that was written to at this time or later.
    fn written_since(&self, time: SystemTime) -> Result<Sequence, JournalError> {
        self.shared.written_since(time)
    }

    /// The size of the segments that begin after this record.
    pub fn bytes_begun_after(&self, sequence: Sequence) -> Result<u64, JournalError> {
        self.shared.bytes_begun_after(sequence)
    }

    /// The first record that is there, or will be.
    pub fn first_sequence(&self) -> Sequence {
        Sequence(self.shared.first.load(Ordering::SeqCst))
    }

    /// Where the journal is.
    pub fn directory(&self) -> &Path {
        self.shared.directory()
    }

    /// Whether the journal takes records now.
    pub fn is_open(&self) -> bool {
        self.shared.is_open()
    }

    /// Whether the journal takes records, now or as soon as there is space again.
    pub fn is_sound(&self) -> bool {
        self.shared.is_sound()
    }

    /// Why the journal closed.
    pub fn closed_because(&self) -> Option<String> {
        self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last record that was appended; zero before the first.
    pub fn last_sequence(&self) -> Sequence {
        Sequence(self.shared.last_sequence())
    }

    /// The last record that is known to be on disk; zero before the first.
    pub fn durable_sequence(&self) -> Sequence {
        Sequence(self.shared.durable_sequence())
    }
}

/// Makes the reason why the journal closed a record, and only then forgets it.
fn note_closing(shared: &Arc<JournalShared>, closed: &ClosureNote) -> io::Result<()> {
    match shared.record_closing(closed) {
        Ok(sequence) => {
            shared.commit();
            if shared.durable_sequence() < sequence { Err(io::Error::other(JournalClosed)) } else { Ok(()) }
        }
        // A full disk ends no start: it is recorded as soon as there is space.
        Err(JournalClosed) if shared.is_sound() => {
            shared.lost.fetch_add(closed.lost.unwrap_or(0), Ordering::Relaxed);
            *shared.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(closed.reason.clone());
            Ok(())
        }
        Err(closed) => Err(io::Error::other(closed)),
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(commits) = self.commits.take()
            && commits.join().is_err()
        {
            tracing::error!("the journal's commit thread panicked");
        }
        if self.verifying.take().is_some_and(|verifying| verifying.join().is_err()) {
            tracing::error!("the journal's verification panicked");
        }
        self.shared.note_losses();
        // Closing alone would not do while a child of this process that is just being made has the file too.
        if let Err(error) = self.lock.unlock() {
            tracing::error!(%error, "cannot unlock the journal");
        }
    }
}

impl Sequence {
    /// Before the first record.
    pub const NONE: Self = Self(0);

    /// After any record there can be.
    pub const LAST: Self = Self(u64::MAX);

    /// The record of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The record after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
