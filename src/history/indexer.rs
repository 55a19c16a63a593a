//! Follows the journal and puts its events into the files of their days.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::block::{Entry, Key};
use super::day::Day;
use super::event::Event;
use super::file::{self, DayWriter, FileError, JournalId};
use super::position::Position;
use crate::audit::events;
use crate::audit::journal::{Journal, JournalError, Reader, Record, Sequence};
use crate::clock::Clock;

/// What the indexer works with.
#[derive(Debug)]
pub struct Indexer {
    pub directory: PathBuf,
    pub journal_directory: PathBuf,
    pub journal: Arc<Journal>,
    pub keep: Duration,
    pub clock: Clock,
    pub shared: Arc<Shared>,
}

/// What the indexer tells those who search, and is told by them.
#[derive(Debug, Default)]
pub struct Shared {
    progress: Mutex<Progress>,
    bell: Condvar,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Every event up to this record is found.
    indexed: u64,
    /// Every event up to this record is on disk.
    durable: u64,
    /// Somebody waits until this record is found.
    wanted: u64,
    /// How often indexing has begun.
    beginnings: u64,
    /// Days that a search could not read.
    damaged: BTreeSet<Day>,
    /// Somebody waits, and nobody has looked yet for what.
    rung: bool,
    stop: bool,
}

/// Which time indexing has begun: files go and come only between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning(u64);

/// Why indexing has to begin again.
#[derive(Debug, Error)]
enum Trouble {
    #[error("the index of {day}: {error}")]
    Day { day: Day, error: FileError },
    #[error("the index cannot be written: {0}")]
    Directory(#[from] io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The indexer at work.
struct Work<'a> {
    indexer: &'a Indexer,
    reader: Reader,
    journal: JournalId,
    /// A record that was read before it was on disk.
    held: Option<Record>,
    batch: Batch,
    /// The files in use, the one used last at the end.
    writers: Vec<(Day, DayWriter)>,
    days: BTreeSet<Day>,
    /// Days whose files have changed since the position was written.
    unsynced: BTreeSet<Day>,
    saved: (u64, Instant),
    retained: Option<Day>,
}

/// Events that are not in their files yet.
#[derive(Debug, Default)]
struct Batch {
    days: BTreeMap<Day, Vec<Entry>>,
    events: usize,
    bytes: usize,
    through: u64,
    since: Option<Instant>,
}

/// Whether there was more to read than one batch takes.
#[derive(PartialEq, Eq)]
enum Left {
    More,
    Nothing,
}

const POLL: Duration = Duration::from_millis(50);
/// How long an event may wait for others to be written with.
const GATHER: Duration = Duration::from_millis(400);
/// How often the index is made durable; what a power loss takes is indexed again.
const SAVE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(2);
const MOST_EVENTS: usize = 4096;
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_WRITERS: usize = 3;
/// The request path comes first.
const NICE: i32 = 10;

impl Indexer {
    /// Indexes until it is told to stop.
    pub fn run(&self) {
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "the indexer runs with normal priority");
        }
        let mut last = String::new();
        loop {
            let trouble = match self.begin().and_then(Work::follow) {
                Ok(()) => return,
                Err(trouble) => trouble,
            };
            let mut at_once = false;
            if let Trouble::Day { day, error: FileError::Damaged(_) } = &trouble {
                at_once = self.discard(*day, &trouble.to_string()).is_ok();
            } else if trouble.to_string() != last {
                last = trouble.to_string();
                tracing::error!(reason = %trouble, "events are not indexed for now");
            }
            if !at_once && self.shared.rest(RETRY) == Stop::Now {
                return;
            }
        }
    }

    fn begin(&self) -> Result<Work<'_>, Trouble> {
        self.shared.begin();
        let reader = Reader::open(&self.journal_directory)?;
        let journal = reader.journal().unwrap_or_default();
        let days = self.usable_days(journal)?;
        let position = Position::read(&self.directory);
        let (from, reason) = match &position {
            None if days.is_empty() => (0, None),
            None => (0, Some("it is not known how far the index is")),
            Some(position) if position.journal != journal => (0, Some("the journal is another one")),
            Some(position) if self.is_missing_any(position, &days) => (0, Some("a day's index is missing")),
            Some(position) => (position.sequence, None),
        };
        if from == 0 && position.as_ref().is_none_or(|position| position.sequence != 0) {
            // Before any file is made anew: a crash on the way must begin here again.
            Position { journal, sequence: 0, days: days.clone() }.write(&self.directory)?;
        }
        let reader = Reader::after(&self.journal_directory, Sequence::new(from))?;
        let first = reader.position().number();
        self.shared.found_up_to(first);
        self.shared.durable_up_to(from);
        if let Some(reason) = reason {
            tracing::warn!(reason, "the journal is indexed from its beginning");
        }
        if first > from {
            tracing::warn!(
                from = from + 1,
                to = first,
                "the journal no longer holds these records; events of them that no day's index holds are not found \
                 any more, though the delivered trail has them"
            );
        }
        Ok(Work {
            indexer: self,
            reader,
            journal,
            held: None,
            batch: Batch { through: first, ..Batch::default() },
            writers: Vec::new(),
            days,
            unsynced: BTreeSet::new(),
            saved: (from, Instant::now()),
            retained: None,
        })
    }

    /// The days whose files can be used; others are set aside.
    fn usable_days(&self, journal: JournalId) -> Result<BTreeSet<Day>, Trouble> {
        let mut days = BTreeSet::new();
        let end = self.journal.durable_sequence().number();
        for day in Day::list(&self.directory)? {
            let path = day.path(&self.directory);
            let reason =
                match file::open(&path).and_then(|file| file.map(|file| file::through(&file, &journal)).transpose()) {
                    Ok(Some(through)) if through <= end => {
                        days.insert(day);
                        continue;
                    }
                    Ok(None) => continue,
                    Ok(Some(through)) => format!("it holds record {through}, and the journal ends with {end}"),
                    Err(FileError::Damaged(reason)) => reason,
                    Err(error @ FileError::Io(_)) => return Err(Trouble::Day { day, error }),
                };
            self.discard(day, &reason)?;
        }
        Ok(days)
    }

    /// Moves a day's file out of the way.
    fn discard(&self, day: Day, reason: &str) -> io::Result<()> {
        tracing::warn!(%day, reason, "this day's index is set aside and made anew from the journal");
        // Nobody may believe that all is there from before the file is gone until it is whole again.
        self.shared.begin();
        if let Some(position) = Position::read(&self.directory) {
            Position { sequence: 0, ..position }.write(&self.directory)?;
        }
        day.set_aside(&self.directory)
    }

    fn is_missing_any(&self, position: &Position, days: &BTreeSet<Day>) -> bool {
        let now = self.clock.now();
        position.days.difference(days).any(|day| !day.is_past(self.keep, now))
    }
}

impl Work<'_> {
    fn follow(mut self) -> Result<(), Trouble> {
        loop {
            self.retain()?;
            if let Some(day) = self.indexer.shared.take_damaged() {
                let error = file::damaged("a search could not read it");
                return Err(Trouble::Day { day, error });
            }
            if self.read()? == Left::More {
                self.flush()?;
                if self.indexer.shared.pause(Duration::ZERO) == Stop::Now {
                    break;
                }
                continue;
            }
            if self.is_due() {
                self.flush()?;
            }
            if self.saved.1.elapsed() >= SAVE {
                self.save()?;
            }
            if self.indexer.shared.pause(POLL) == Stop::Now {
                break;
            }
        }
        // What was recorded before the stop is found by whoever searches after it.
        while self.read()? == Left::More {
            self.flush()?;
        }
        self.flush()?;
        self.save()
    }

    fn read(&mut self) -> Result<Left, Trouble> {
        while self.batch.events < MOST_EVENTS && self.batch.bytes < MOST_BYTES {
            let record = match self.held.take() {
                Some(record) => record,
                None => match self.reader.next() {
                    Some(record) => record?,
                    None => return Ok(Left::Nothing),
                },
            };
            // A power loss may take what is not on disk, and give its number to another record.
            if record.sequence > self.indexer.journal.durable_sequence() {
                self.held = Some(record);
                return Ok(Left::Nothing);
            }
            let now = self.indexer.clock.now();
            self.batch.add(&record, now.seconds());
        }
        Ok(Left::More)
    }

    fn is_due(&self) -> bool {
        self.batch.since.is_some_and(|since| since.elapsed() >= GATHER)
            || self.indexer.shared.is_wanted()
            || (self.batch.events == 0 && self.batch.through > self.indexer.shared.indexed())
    }

    /// Puts the batch into the files of its days.
    fn flush(&mut self) -> Result<(), Trouble> {
        let empty = Batch { through: self.batch.through, ..Batch::default() };
        let batch = std::mem::replace(&mut self.batch, empty);
        let now = self.indexer.clock.now();
        for (day, entries) in batch.days {
            if day.is_past(self.indexer.keep, now) {
                continue;
            }
            let written = self.writer(day).and_then(|writer| writer.write(entries, batch.through));
            written.map_err(|error| Trouble::Day { day, error })?;
            self.unsynced.insert(day);
        }
        self.indexer.shared.found_up_to(batch.through);
        if self.saved.1.elapsed() >= SAVE {
            self.save()?;
        }
        Ok(())
    }

    fn writer(&mut self, day: Day) -> Result<&mut DayWriter, FileError> {
        let open = match self.writers.iter().position(|(open, _)| *open == day) {
            Some(place) => self.writers.remove(place).1,
            None => {
                if self.writers.len() >= MOST_WRITERS {
                    self.writers.remove(0);
                }
                self.days.insert(day);
                DayWriter::open(&day.path(&self.indexer.directory), self.journal)?
            }
        };
        Ok(&mut self.writers.push_mut((day, open)).1)
    }

    /// Makes what was flushed durable, and notes how far that is.
    fn save(&mut self) -> Result<(), Trouble> {
        let through = self.indexer.shared.indexed();
        self.saved.1 = Instant::now();
        if through <= self.saved.0 {
            return Ok(());
        }
        for day in std::mem::take(&mut self.unsynced) {
            // Not the file itself: closing a second handle on it would give up sqlite's locks. What has left the
            // log for the file was synced by sqlite.
            match File::open(day.log(&self.indexer.directory)) {
                Ok(log) => log.sync_data()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Position { journal: self.journal, sequence: through, days: self.days.clone() }
            .write(&self.indexer.directory)?;
        self.saved.0 = through;
        self.indexer.shared.durable_up_to(through);
        Ok(())
    }

    /// Removes the days that are past keeping; once a day is enough.
    fn retain(&mut self) -> Result<(), Trouble> {
        let now = self.indexer.clock.now();
        let today = Day::of(now.seconds());
        if self.retained.replace(today) == Some(today) {
            return Ok(());
        }
        for day in Day::list_all(&self.indexer.directory)? {
            if day.is_past(self.indexer.keep, now) {
                self.writers.retain(|(open, _)| *open != day);
                self.days.remove(&day);
                day.remove(&self.indexer.directory)?;
                tracing::info!(%day, "this day's events are older than history.retention, and are no longer kept");
            }
        }
        Ok(())
    }
}

impl Batch {
    fn add(&mut self, record: &Record, now: i64) {
        self.through = record.sequence.number();
        for (line, record_line) in events(record.kind, &record.payload).enumerate() {
            let event = Event::read(record_line);
            // What does not say when it happened is filed under now, so that it is found at all.
            let time = event.time().map_or(now, |time| time.seconds());
            let key = Key { time, sequence: self.through, line: u32::try_from(line).unwrap_or(u32::MAX) };
            let entry = Entry { key, terms: file::terms(&event), record: record_line.to_vec() };
            self.events += 1;
            self.bytes += record_line.len();
            self.since.get_or_insert_with(Instant::now);
            self.days.entry(Day::of(time)).or_default().push(entry);
        }
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Now,
}

impl Shared {
    /// Tells the indexer to finish what it has and end.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.bell.notify_all();
    }

    /// Waits until the events up to this record are found, or says how many records are missing.
    pub fn catch_up(&self, sequence: u64, patience: Duration) -> Result<Beginning, u64> {
        let mut progress = self.lock();
        if progress.indexed < sequence {
            progress.wanted = progress.wanted.max(sequence);
            progress.rung = true;
            self.bell.notify_all();
        }
        let waited = self.moved.wait_timeout_while(progress, patience, |progress| progress.indexed < sequence);
        let progress = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(progress, _)| progress);
        match sequence.saturating_sub(progress.indexed) {
            0 => Ok(Beginning(progress.beginnings)),
            missing => Err(missing),
        }
    }

    /// Whether what was found since then is all there was to find.
    pub fn holds(&self, since: Beginning) -> bool {
        self.lock().beginnings == since.0
    }

    /// Says that a day's file is not what was written.
    pub fn report(&self, day: Day) {
        let mut progress = self.lock();
        progress.damaged.insert(day);
        progress.rung = true;
        drop(progress);
        self.bell.notify_all();
    }

    /// Every event up to this record is on disk.
    pub fn durable(&self) -> u64 {
        self.lock().durable
    }

    fn begin(&self) {
        let mut progress = self.lock();
        progress.indexed = 0;
        progress.beginnings += 1;
    }

    fn indexed(&self) -> u64 {
        self.lock().indexed
    }

    fn is_wanted(&self) -> bool {
        let progress = self.lock();
        progress.wanted > progress.indexed
    }

    fn take_damaged(&self) -> Option<Day> {
        self.lock().damaged.pop_first()
    }

    fn found_up_to(&self, sequence: u64) {
        self.lock().indexed = sequence;
        self.moved.notify_all();
    }

    fn durable_up_to(&self, sequence: u64) {
        self.lock().durable = sequence;
    }

    /// Waits for somebody who waits, or so long.
    fn pause(&self, span: Duration) -> Stop {
        let waited = self.bell.wait_timeout_while(self.lock(), span, |progress| !progress.stop && !progress.rung);
        let mut progress = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(progress, _)| progress);
        progress.rung = false;
        if progress.stop { Stop::Now } else { Stop::No }
    }

    /// Waits so long, whoever waits.
    fn rest(&self, span: Duration) -> Stop {
        let waited = self.bell.wait_timeout_while(self.lock(), span, |progress| !progress.stop);
        let progress = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(progress, _)| progress);
        if progress.stop { Stop::Now } else { Stop::No }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
