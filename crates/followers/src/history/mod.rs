//! Every recorded event, searched.
//!
//! A directory holds a file `2026-11-21.sqlite` for each day of events, by the time they happened, and
//! `position.json`, which says how far the journal is known to be in them. In a day's file events lie in
//! compressed blocks, about a hundred together. The index does not know events but blocks: for each value of each
//! attribute, in which blocks it occurs, and at which places of theirs.

mod block;
mod day;
mod file;
mod files;
mod indexer;
mod position;
mod search;
mod term;
#[cfg(test)]
mod tests;
mod token;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_cloudtrail::lookup::{FoundEvent, HistoryPage, HistoryQuery, LookupError};
use portcullis_cloudtrail::record::EventView;
use thiserror::Error;
use tokio::sync::Semaphore;

use portcullis_base::clock::{Clock, Timestamp};
use portcullis_journal::{Journal, Sequence};

pub use file::JournalId;
pub use files::{DayFiles, FilesError};
#[cfg(fuzzing)]
pub use token::fuzz_token;

use file::FileError;
use indexer::{Indexer, IndexerShared};
use position::IndexPosition;
use search::{EventSearch, SearchResult, UnreadableDay};

/// The recorded events, kept up to date from the journal while this lives.
#[derive(Debug)]
pub struct History {
    archive: Archive,
    journal: Arc<Journal>,
    shared: Arc<IndexerShared>,
    searches: Arc<Semaphore>,
    indexer: Mutex<Option<JoinHandle<()>>>,
}

/// The recorded events as they are on disk.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

/// Why what was indexed cannot be searched.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnusableIndex {
    #[error("the file of {0} is not there")]
    DayMissing(String),
    #[error("it is of another journal")]
    OtherJournal,
    #[error("what says how far it reaches cannot be read")]
    PositionUnreadable,
}

/// How long a search waits for what was recorded before it was asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// Searches at once: each takes a few megabytes and reads from disk.
const SEARCHES: usize = 4;
const LARGEST_PAGE: usize = 1000;
/// Seconds before and after all that happens; far from where sums of them overflow.
const EVER: i64 = 1 << 48;

impl History {
    /// Begins to follow a journal; what it held before is found as soon as it is indexed.
    pub fn start(directory: &Path, journal: Arc<Journal>, keep: Duration, clock: Clock) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let shared = Arc::new(IndexerShared::default());
        let follower: Weak<IndexerShared> = Arc::downgrade(&shared);
        journal.register(follower);
        let indexer = Indexer {
            directory: directory.to_owned(),
            journal: Arc::clone(&journal),
            keep,
            clock,
            end: journal.durable_sequence(),
            shared: Arc::clone(&shared),
        };
        let indexer = std::thread::Builder::new().name("history".to_owned()).spawn(move || indexer.run())?;
        Ok(Self {
            archive: Archive { directory: directory.to_owned() },
            journal,
            shared,
            searches: Arc::new(Semaphore::new(SEARCHES)),
            indexer: Mutex::new(Some(indexer)),
        })
    }

    /// Finds events, among them all whose record was on disk when this was asked.
    pub async fn lookup(&self, query: HistoryQuery) -> Result<HistoryPage, LookupError> {
        let wanted = wanted_by(&query, None)?;
        let until = self.journal.durable_sequence().number();
        let (archive, shared) = (self.archive.clone(), Arc::clone(&self.shared));
        // It is never closed; and without a permit the search would only be slower.
        let permit = Arc::clone(&self.searches).acquire_owned().await;
        let searched = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            archive.search_all(&wanted, until, &shared)
        });
        searched.await.unwrap_or_else(|panicked| {
            Err(LookupError::Unreadable { day: "these days".to_owned(), reason: panicked.to_string() })
        })
    }

    /// Indexes what is there still and ends; blocks until then.
    pub fn stop(&self) {
        self.shared.stop();
        let indexer = self.indexer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if indexer.is_some_and(|indexer| indexer.join().is_err()) {
            tracing::error!("the indexer panicked");
        }
    }

    /// The journal's last record whose events no crash takes out of the index any more.
    pub fn indexed_through(&self) -> Sequence {
        Sequence::new(self.shared.durable())
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Archive {
    /// The events that were indexed in a directory, if there are any.
    pub fn open(directory: &Path) -> Option<Self> {
        directory.is_dir().then(|| Self { directory: directory.to_owned() })
    }

    /// Every event of this journal up to this record can be found; zero if it is not known.
    pub fn covers(&self, journal: JournalId) -> Sequence {
        self.coverage(journal).unwrap_or(Sequence::NONE)
    }

    /// The same, where what cannot be used is told apart from what has not begun yet.
    pub fn coverage(&self, journal: JournalId) -> Result<Sequence, UnusableIndex> {
        let Some(position) = IndexPosition::read(&self.directory) else {
            let begun = IndexPosition::is_in(&self.directory);
            return if begun { Err(UnusableIndex::PositionUnreadable) } else { Ok(Sequence::NONE) };
        };
        if position.at.journal != journal {
            return Err(UnusableIndex::OtherJournal);
        }
        match position.days.iter().find(|day| !day.path(&self.directory).exists()) {
            Some(day) if position.at.sequence > Sequence::NONE => Err(UnusableIndex::DayMissing(day.to_string())),
            Some(_) | None => Ok(position.at.sequence),
        }
    }

    /// Finds events of records up to this one.
    pub fn lookup(&self, query: &HistoryQuery, through: Sequence) -> Result<HistoryPage, LookupError> {
        self.search(&wanted_by(query, Some(through.number()))?).map_err(Into::into)
    }

    /// Finds events, among them all up to this record.
    fn search_all(&self, wanted: &EventSearch, until: u64, shared: &IndexerShared) -> Result<HistoryPage, LookupError> {
        loop {
            let since = shared.catch_up(until, PATIENCE).map_err(|records| LookupError::Behind { records })?;
            let searched = self.search(wanted);
            if !shared.holds(since) {
                // A day's file may have gone while others were searched.
                continue;
            }
            return searched.map_err(|unreadable| {
                tracing::warn!(day = %unreadable.day, reason = %unreadable.error, "a search could not read these events");
                if let FileError::Damaged(_) = &unreadable.error {
                    shared.report(unreadable.day);
                }
                unreadable.into()
            });
        }
    }

    fn search(&self, wanted: &EventSearch) -> Result<HistoryPage, UnreadableDay> {
        let SearchResult { events, more, .. } = search::search(&self.directory, wanted)?;
        let next = events.last().filter(|_| more).map(|(last, _)| token::write(*last, wanted));
        let found = |(key, record): (block::EventKey, Vec<u8>)| FoundEvent {
            time: Timestamp::from_seconds(key.time),
            sequence: key.sequence,
            summary: EventView::read(&record).unwrap_or_default().summary(),
            record: String::from_utf8(record)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        };
        Ok(HistoryPage { events: events.into_iter().map(found).collect(), next })
    }
}

/// A question in the form of the files, with its token read.
fn wanted_by(query: &HistoryQuery, through: Option<u64>) -> Result<EventSearch, LookupError> {
    let attributes = query.attributes.iter().map(|(attribute, value)| (*attribute, attribute.normal(value))).collect();
    let mut wanted = EventSearch {
        attributes,
        from: query.start.map_or(-EVER, |start| start.seconds().clamp(-EVER, EVER)),
        to: query.end.map_or(EVER, |end| end.seconds().clamp(-EVER, EVER)),
        without_lookups_of: query.without_lookups_of.clone(),
        order: query.order,
        after: None,
        through,
        limit: query.limit.clamp(1, LARGEST_PAGE),
    };
    if let Some(token) = &query.token {
        wanted.after = Some(token::read(token, &wanted).ok_or(LookupError::InvalidToken)?);
    }
    Ok(wanted)
}

impl From<UnreadableDay> for LookupError {
    fn from(unreadable: UnreadableDay) -> Self {
        let reason = match unreadable.error {
            FileError::Damaged(reason) | FileError::Io(reason) => reason,
        };
        Self::Unreadable { day: unreadable.day.to_string(), reason }
    }
}
