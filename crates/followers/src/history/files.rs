//! The files of all days: gathers events, puts them in, and makes that durable.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::block::{BlockEntry, EventKey};
use super::day::UtcDay;
use super::file::{self, DayWriter, FileError, JournalId};
use super::position::IndexPosition;
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::record::EventView;
use portcullis_journal::{FollowerPosition, Sequence};

/// The files of all days, for the one who writes them.
#[derive(Debug)]
pub struct DayFiles {
    directory: PathBuf,
    journal: JournalId,
    keep: Duration,
    batch: EventBatch,
    /// The files in use, the one used last at the end.
    writers: Vec<(UtcDay, DayWriter)>,
    days: BTreeSet<UtcDay>,
    /// Days whose files have changed since the position was written.
    unsynced: BTreeSet<UtcDay>,
    /// What is flushed, and what of it is durable.
    flushed: u64,
    chain: [u8; 32],
    saved: u64,
    retained: Option<UtcDay>,
}

/// Events that are not in their files yet.
#[derive(Debug, Default)]
struct EventBatch {
    days: BTreeMap<UtcDay, Vec<BlockEntry>>,
    events: usize,
    bytes: usize,
    through: u64,
    since: Option<Instant>,
}

/// Why the files cannot be written.
#[derive(Debug, Error)]
pub enum FilesError {
    #[error("the index of {day}: {error}")]
    Day { day: UtcDay, error: FileError },
    #[error("the index cannot be written: {0}")]
    Directory(#[from] io::Error),
}

const MOST_EVENTS: usize = 4096;
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_WRITERS: usize = 3;

impl DayFiles {
    /// Goes on behind a record of a journal; `days` have files.
    pub fn after(
        directory: &Path,
        journal: JournalId,
        sequence: Sequence,
        days: BTreeSet<UtcDay>,
        keep: Duration,
    ) -> Self {
        let through = sequence.number();
        Self {
            directory: directory.to_owned(),
            journal,
            keep,
            batch: EventBatch { through, ..EventBatch::default() },
            writers: Vec::new(),
            days,
            unsynced: BTreeSet::new(),
            flushed: through,
            chain: [0; 32],
            saved: through,
            retained: None,
        }
    }

    /// Begins in a directory without files.
    pub fn begin(directory: &Path, journal: JournalId, keep: Duration) -> Self {
        Self::after(directory, journal, Sequence::NONE, BTreeSet::new(), keep)
    }

    /// Takes the events of a record.
    pub fn take<'e>(&mut self, sequence: Sequence, events: impl Iterator<Item = &'e [u8]>, now: Timestamp) {
        let batch = &mut self.batch;
        batch.through = sequence.number();
        for (line, record) in events.enumerate() {
            // A line that is no record has no values, and is kept all the same.
            let event = EventView::read(record).unwrap_or_default();
            // What does not say when it happened is filed under now, so that it is found at all.
            let time = event.time().unwrap_or(now).seconds();
            let key = EventKey { time, sequence: batch.through, line: u32::try_from(line).unwrap_or(u32::MAX) };
            batch.events += 1;
            batch.bytes += record.len();
            batch.since.get_or_insert_with(Instant::now);
            let entry = BlockEntry { key, terms: file::terms(&event), record: record.to_vec() };
            batch.days.entry(UtcDay::of(time)).or_default().push(entry);
        }
    }

    /// Whether so much was taken that it should be flushed before more is.
    pub fn is_full(&self) -> bool {
        self.batch.events >= MOST_EVENTS || self.batch.bytes >= MOST_BYTES
    }

    /// Whether a flush would write nothing, though it may tell that there was nothing to write.
    pub fn is_idle(&self) -> bool {
        self.batch.events == 0
    }

    /// When the first event was taken that is not flushed.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.batch.since
    }

    /// Puts what was taken into the files of its days, the last of it with this chain; the answer is the record up
    /// to which all is found.
    pub fn flush(&mut self, chain: [u8; 32], now: Timestamp) -> Result<Sequence, FilesError> {
        let empty = EventBatch { through: self.batch.through, ..EventBatch::default() };
        let batch = std::mem::replace(&mut self.batch, empty);
        for (day, entries) in batch.days {
            if day.is_past(self.keep, now) {
                continue;
            }
            let written = self.writer(day).and_then(|writer| writer.write(entries, batch.through));
            written.map_err(|error| FilesError::Day { day, error })?;
            self.unsynced.insert(day);
        }
        (self.flushed, self.chain) = (batch.through, chain);
        Ok(Sequence::new(self.flushed))
    }

    /// Makes what was flushed durable, and notes how far that is.
    pub fn save(&mut self) -> Result<Sequence, FilesError> {
        if self.flushed > self.saved {
            for day in std::mem::take(&mut self.unsynced) {
                // Not the file itself: closing a second handle on it would give up sqlite's locks. What has left
                // the log for the file was synced by sqlite.
                match File::open(day.log(&self.directory)) {
                    Ok(log) => log.sync_data()?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let days = self.days.clone();
            let at =
                FollowerPosition { journal: self.journal, sequence: Sequence::new(self.flushed), chain: self.chain };
            IndexPosition { at, days }.write(&self.directory)?;
            self.saved = self.flushed;
        }
        Ok(Sequence::new(self.saved))
    }

    /// Removes the days that are past keeping; a look a day is enough.
    pub fn retain(&mut self, now: Timestamp) -> Result<(), FilesError> {
        let today = UtcDay::of(now.seconds());
        if self.retained.replace(today) == Some(today) {
            return Ok(());
        }
        for day in UtcDay::list_all(&self.directory)? {
            if day.is_past(self.keep, now) {
                self.writers.retain(|(open, _)| *open != day);
                self.days.remove(&day);
                day.remove(&self.directory)?;
                tracing::info!(%day, "events of this day are older than history.retention and were deleted");
            }
        }
        Ok(())
    }

    fn writer(&mut self, day: UtcDay) -> Result<&mut DayWriter, FileError> {
        let open = match self.writers.iter().position(|(open, _)| *open == day) {
            Some(place) => self.writers.remove(place).1,
            None => {
                if self.writers.len() >= MOST_WRITERS {
                    self.writers.remove(0);
                }
                self.days.insert(day);
                DayWriter::open(&day.path(&self.directory), self.journal)?
            }
        };
        Ok(&mut self.writers.push_mut((day, open)).1)
    }
}
