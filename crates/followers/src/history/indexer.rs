//! Follows the journal and puts its events into the files of their days.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use thread_priority::ThreadPriority;
use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};

use super::day::UtcDay;
use super::file::{self, FileError, JournalId};
use super::files::{DayFiles, FilesError};
use super::position::IndexPosition;
use portcullis_audit::events;
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_journal::{
    Follower, FollowerPosition, Journal, JournalError, JournalFollower, JournalGap, Resumption, Sequence,
};

/// What the indexer works with.
#[derive(Debug)]
pub(super) struct Indexer {
    pub directory: PathBuf,
    pub journal: Arc<Journal>,
    pub keep: Duration,
    pub clock: Clock,
    /// The journal's end before anything could be added to it.
    pub end: Sequence,
    pub shared: Arc<IndexerShared>,
}

/// What the indexer tells those who search, and is told by them.
#[derive(Debug, Default)]
pub(super) struct IndexerShared {
    progress: Mutex<IndexProgress>,
    bell: Condvar,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct IndexProgress {
    /// Every event up to this record is found.
    indexed: u64,
    /// Every event up to this record is on disk.
    durable: u64,
    /// A search waits until this record is indexed.
    wanted: u64,
    /// How often indexing has begun.
    beginnings: u64,
    /// Days that a search could not read.
    damaged: BTreeSet<UtcDay>,
    /// A search waits, and its record is not determined yet.
    rung: bool,
    stop: bool,
}

/// Which time indexing has begun: files go and come only between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexRun(u64);

/// Why indexing has to begin again.
#[derive(Debug, Error)]
enum IndexFault {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The indexer at work.
struct IndexingLoop<'a> {
    indexer: &'a Indexer,
    follower: Follower,
    files: DayFiles,
    saved: Instant,
}

/// Whether there was more to read than one batch takes.
#[derive(PartialEq, Eq)]
enum JournalRest {
    More,
    Nothing,
}

const POLL: Duration = Duration::from_millis(50);
/// How long an event may wait for others to be written with.
const GATHER: Duration = Duration::from_millis(400);
/// How often the index is made durable; what a power loss takes is indexed again.
const SAVE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(2);
const FAREWELL: Duration = Duration::from_secs(2);

impl Indexer {
    /// Indexes until it is told to stop.
    pub(super) fn run(&self) {
        // Requests come first. A thread of low priority may still finish its turn; an idle one makes way at once.
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
            tracing::debug!(?error, "the indexer does not make way for requests");
        }
        let mut last = String::new();
        let mut end = self.end.number();
        loop {
            let trouble = match self.begin(end).and_then(IndexingLoop::follow) {
                Ok(()) => return,
                Err(trouble) => trouble,
            };
            // From now on the index holds what was added since.
            end = u64::MAX;
            let mut pause = RETRY;
            if let IndexFault::Files(FilesError::Day { day, error: FileError::Damaged(_) }) = &trouble {
                if self.discard(*day, &trouble.to_string()).is_ok() {
                    pause = POLL;
                }
            } else if trouble.to_string() != last {
                last = trouble.to_string();
                tracing::error!(reason = %trouble, "events cannot be indexed at present");
            }
            if self.shared.rest(pause) == StopSignal::Now {
                return;
            }
        }
    }

    fn begin(&self, end: u64) -> Result<IndexingLoop<'_>, IndexFault> {
        self.shared.begin();
        let mut follower = Follower::after(&self.journal, Sequence::NONE);
        follower.skip_trimmed()?;
        let beginning = follower.position();
        let journal = beginning.journal;
        let mut days = self.usable_days(|through| through <= end, &journal)?;
        let position = IndexPosition::read(&self.directory);
        let mut from = Sequence::NONE;
        let reason = match &position {
            None if days.is_empty() => None,
            None => Some("it is not known how far the index is"),
            Some(position) if position.at.journal != journal => Some("the journal is another one"),
            Some(position) if self.is_missing_any(position, &days) => Some("a day's index is missing"),
            Some(position) => match Follower::resume(&self.journal, &position.at)? {
                Resumption::Continued(resumed) => {
                    (follower, from) = (*resumed, position.at.sequence);
                    None
                }
                Resumption::OtherJournal | Resumption::Replaced => {
                    // Days that the journal no longer reaches are from before it became another one.
                    days = self.usable_days(|through| through <= beginning.sequence.number(), &journal)?;
                    Some("the journal was replaced by a copy of it, or by part of one")
                }
            },
        };
        if from == Sequence::NONE && position.as_ref().is_none_or(|position| position.at.sequence != Sequence::NONE) {
            // Before any file is rebuilt: after a crash in between it must start here again.
            let at = FollowerPosition { journal, ..FollowerPosition::default() };
            IndexPosition { at, days: days.clone() }.write(&self.directory).map_err(FilesError::Directory)?;
        }
        if let Some(reason) = reason {
            tracing::warn!(reason, "the journal is indexed from its beginning");
        }
        let first = follower.sequence();
        self.shared.found_up_to(first.number());
        self.shared.durable_up_to(from.number());
        if let Some(JournalGap { first, last }) = follower.take_gap() {
            tracing::warn!(
                from = first.number(),
                to = last.number(),
                "the journal no longer holds these records; events of them that no day's index holds are not found \
                 any more, though the delivered trail has them"
            );
        }
        let files = DayFiles::after(&self.directory, journal, first, days, self.keep);
        Ok(IndexingLoop { indexer: self, follower, files, saved: Instant::now() })
    }

    /// The days whose files can be used, and are as far as they may be; others are set aside.
    fn usable_days(&self, may: impl Fn(u64) -> bool, journal: &JournalId) -> Result<BTreeSet<UtcDay>, FilesError> {
        let mut days = BTreeSet::new();
        for day in UtcDay::list(&self.directory)? {
            let opened = file::open(&day.path(&self.directory));
            let reason = match opened.and_then(|file| file.map(|file| file::through(&file, journal)).transpose()) {
                Ok(Some(through)) if may(through) => {
                    days.insert(day);
                    continue;
                }
                Ok(None) => continue,
                Ok(Some(through)) => format!("it reaches to record {through}, and is not of this journal"),
                Err(FileError::Damaged(reason)) => reason,
                Err(error @ FileError::Io(_)) => return Err(FilesError::Day { day, error }),
            };
            self.discard(day, &reason)?;
        }
        Ok(days)
    }

    /// The time by which days are too old to keep; while the clock is not believed, no day is.
    fn now(&self) -> Timestamp {
        self.clock.check().unwrap_or(Timestamp::from_seconds(0))
    }

    fn is_missing_any(&self, position: &IndexPosition, days: &BTreeSet<UtcDay>) -> bool {
        let now = self.now();
        position.days.difference(days).any(|day| !day.is_past(self.keep, now))
    }

    /// Moves a day's file out of the way.
    fn discard(&self, day: UtcDay, reason: &str) -> io::Result<()> {
        tracing::warn!(%day, reason, "the index of this day is set aside and rebuilt from the journal");
        // The index must not count as complete from before the file is removed until it is rebuilt.
        self.shared.begin();
        if let Some(position) = IndexPosition::read(&self.directory) {
            let at = FollowerPosition { sequence: Sequence::NONE, ..position.at };
            IndexPosition { at, ..position }.write(&self.directory)?;
        }
        day.set_aside(&self.directory)
    }
}

impl IndexingLoop<'_> {
    fn follow(mut self) -> Result<(), IndexFault> {
        let shared = &self.indexer.shared;
        loop {
            self.files.retain(self.now())?;
            if let Some(day) = shared.take_damaged() {
                let error = file::damaged("a search could not read it");
                return Err(FilesError::Day { day, error }.into());
            }
            let left = self.read()?;
            if left == JournalRest::More || self.is_due() {
                self.flush()?;
            }
            if self.saved.elapsed() >= SAVE {
                self.save()?;
            }
            let pause = if left == JournalRest::More { Duration::ZERO } else { POLL };
            if shared.pause(pause) == StopSignal::Now {
                break;
            }
        }
        // The rest, so that nothing is left to do at the next start; unless it is much.
        let stopping = Instant::now();
        while self.read()? == JournalRest::More && stopping.elapsed() < FAREWELL {
            self.flush()?;
        }
        self.flush()?;
        self.save()
    }

    fn read(&mut self) -> Result<JournalRest, IndexFault> {
        while !self.files.is_full() {
            let Some(record) = self.follower.read(Sequence::LAST)? else { return Ok(JournalRest::Nothing) };
            self.files.take(record.sequence, events(record.kind, &record.payload), self.indexer.clock.now());
        }
        Ok(JournalRest::More)
    }

    fn is_due(&self) -> bool {
        self.files.is_idle()
            || self.files.waiting_since().is_some_and(|since| since.elapsed() >= GATHER)
            || self.indexer.shared.is_wanted()
    }

    fn flush(&mut self) -> Result<(), IndexFault> {
        let through = self.files.flush(self.follower.position().chain, self.now())?;
        self.indexer.shared.found_up_to(through.number());
        Ok(())
    }

    fn save(&mut self) -> Result<(), IndexFault> {
        self.saved = Instant::now();
        let through = self.files.save()?;
        self.indexer.shared.durable_up_to(through.number());
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.indexer.now()
    }
}

impl JournalFollower for IndexerShared {
    fn needed_from(&self) -> Sequence {
        Sequence::new(self.durable()).next()
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopSignal {
    No,
    Now,
}

impl IndexerShared {
    /// Tells the indexer to finish what it has and end.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.bell.notify_all();
    }

    /// Waits until the events up to this record are found, or says how many records are missing.
    pub(super) fn catch_up(&self, sequence: u64, timeout: Duration) -> Result<IndexRun, u64> {
        let mut progress = self.lock();
        if progress.indexed < sequence {
            progress.wanted = progress.wanted.max(sequence);
            progress.rung = true;
            self.bell.notify_all();
        }
        let waited = self.moved.wait_timeout_while(progress, timeout, |progress| progress.indexed < sequence);
        let progress = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(progress, _)| progress);
        match sequence.saturating_sub(progress.indexed) {
            0 => Ok(IndexRun(progress.beginnings)),
            missing => Err(missing),
        }
    }

    /// Whether what was found since then is all there was to find.
    pub(super) fn holds(&self, since: IndexRun) -> bool {
        self.lock().beginnings == since.0
    }

    /// Says that a day's file is not what was written.
    pub(super) fn report(&self, day: UtcDay) {
        let mut progress = self.lock();
        progress.damaged.insert(day);
        progress.rung = true;
        drop(progress);
        self.bell.notify_all();
    }

    /// The record up to which every event is on disk.
    pub(super) fn durable(&self) -> u64 {
        self.lock().durable
    }

    fn begin(&self) {
        let mut progress = self.lock();
        progress.indexed = 0;
        progress.beginnings += 1;
    }

    fn is_wanted(&self) -> bool {
        let progress = self.lock();
        progress.wanted > progress.indexed
    }

    fn take_damaged(&self) -> Option<UtcDay> {
        self.lock().damaged.pop_first()
    }

    fn found_up_to(&self, sequence: u64) {
        self.lock().indexed = sequence;
        self.moved.notify_all();
    }

    fn durable_up_to(&self, sequence: u64) {
        self.lock().durable = sequence;
    }

    /// Waits for a search, or this long.
    fn pause(&self, span: Duration) -> StopSignal {
        let waited = self.bell.wait_timeout_while(self.lock(), span, |progress| !progress.stop && !progress.rung);
        let mut progress = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(progress, _)| progress);
        progress.rung = false;
        if progress.stop { StopSignal::Now } else { StopSignal::No }
    }

    /// Waits this long, also if a search waits.
    fn rest(&self, span: Duration) -> StopSignal {
        let waited = self.bell.wait_timeout_while(self.lock(), span, |progress| !progress.stop);
        let progress = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(progress, _)| progress);
        if progress.stop { StopSignal::Now } else { StopSignal::No }
    }

    fn lock(&self) -> MutexGuard<'_, IndexProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_in_vain_learns_how_much_is_missing() {
        let shared = IndexerShared::default();
        assert_eq!(shared.catch_up(7, Duration::ZERO), Err(7));
        shared.found_up_to(5);
        assert_eq!(shared.catch_up(7, Duration::ZERO), Err(2));
        assert!(shared.catch_up(5, Duration::ZERO).is_ok());
    }

    #[test]
    fn what_was_found_while_files_went_does_not_count() {
        let shared = IndexerShared::default();
        shared.found_up_to(5);
        let since = shared.catch_up(5, Duration::ZERO).unwrap();
        assert!(shared.holds(since));
        shared.begin();
        assert!(!shared.holds(since));
        assert_eq!(shared.catch_up(5, Duration::ZERO), Err(5));
    }
}
