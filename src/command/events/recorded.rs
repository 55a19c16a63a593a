//! The records in a state directory: from the history, then from the end of the journal, also while it is written.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::path::PathBuf;

use portcullis_cloudtrail::lookup::{EventOrder, HistoryPage, HistoryQuery, LookupError};
use portcullis_cloudtrail::record::{EventView, UnreadableEvent};

use super::RecordSource;
use super::filter::EventFilter;
use crate::command::error::CommandError;
use crate::command::state_directory::StateDirectory;
use portcullis_followers::history::{Archive, JournalId};
use portcullis_journal::{JournalReader, JournalRecord, Sequence};

/// The records that a filter may admit, oldest first.
pub(super) struct RecordedEvents {
    history: Option<IndexedEvents>,
    directory: PathBuf,
    journal: JournalReader,
    /// What the history returned before it failed; the journal must not return it again.
    given: HistoryCursor,
    /// What is left of what was read last.
    rest: VecDeque<String>,
    notes: Vec<String>,
}

/// The part of the records that the history holds.
struct IndexedEvents {
    archive: Archive,
    journal: JournalId,
    query: HistoryQuery,
    /// Later records come from the journal.
    through: Sequence,
}

/// How far the history was read; it is ordered by time, and by the journal's order within a second.
#[derive(Clone, Copy)]
struct HistoryCursor {
    last: Option<(i64, Sequence)>,
    /// Events of that very record.
    of_last: usize,
    /// The journal gave what comes after this.
    through: Sequence,
}

/// Records asked of the history at once.
const PAGE: usize = 500;

impl RecordedEvents {
    /// Begins with the first record that the filter may admit; with a limit, with the last so many.
    pub(super) fn open(
        place: &StateDirectory,
        filter: &EventFilter,
        limit: Option<usize>,
    ) -> Result<Self, CommandError> {
        let directory = place.journal();
        if !directory.exists() {
            return Err(CommandError::not_running(format!("no journal in {}", directory.display())).next(format!(
                "Start Portcullis: portcullis dev{}\nOr name its state directory: --data DIR",
                place.flag()
            )));
        }
        let id = JournalReader::open(&directory).map_err(CommandError::failed)?.journal();
        let mut notes = Vec::new();
        let history = id.map(|journal| IndexedEvents::open(place, journal, filter)).and_then(|opened| {
            opened.unwrap_or_else(|reason| {
                notes.push(instead(&reason));
                None
            })
        });
        let through = history.as_ref().map_or(Sequence::NONE, |history| history.through);
        let journal = JournalReader::after(&directory, through).map_err(CommandError::failed)?;
        let given = HistoryCursor { last: None, of_last: 0, through };
        let mut recorded = Self { history, directory, journal, given, rest: VecDeque::new(), notes };
        recorded.note_gap();
        if let Some(limit) = limit {
            recorded.keep_last(limit, filter)?;
        }
        Ok(recorded)
    }

    /// Notes that some records are missing, if so.
    fn note_gap(&mut self) {
        let (first, through) = (self.journal.position(), self.given.through);
        if first > through {
            let (from, to) = (through.number() + 1, first.number());
            self.notes.push(format!(
                "records {from} to {to} are not shown: neither the journal nor a readable history holds them"
            ));
        }
    }

    /// Continues from the journal after the history failed.
    fn go_without_history(&mut self, reason: &str) -> Result<(), CommandError> {
        self.history = None;
        self.given.through = Sequence::NONE;
        self.journal = JournalReader::open(&self.directory).map_err(CommandError::failed)?;
        self.notes.push(instead(reason));
        self.note_gap();
        Ok(())
    }

    fn keep_last(&mut self, limit: usize, filter: &EventFilter) -> Result<(), CommandError> {
        let mut last = VecDeque::new();
        for read in self.journal.by_ref() {
            for line in lines(&read.map_err(CommandError::failed)?)? {
                if admits(filter, &line) {
                    last.push_back(line);
                }
                if last.len() > limit {
                    last.pop_front();
                }
            }
        }
        let Some(mut history) = self.history.take() else {
            self.rest = last;
            return Ok(());
        };
        history.query.order = EventOrder::NewestFirst;
        while last.len() < limit {
            let page = match history.next() {
                Ok(page) => page,
                Err(reason) => {
                    self.go_without_history(&reason)?;
                    return self.keep_last(limit, filter);
                }
            };
            for line in lines_of(&page)? {
                if last.len() < limit && admits(filter, &line) {
                    last.push_front(line);
                }
            }
            if page.next.is_none() {
                break;
            }
        }
        self.rest = last;
        Ok(())
    }
}

impl RecordSource for RecordedEvents {
    fn next(&mut self) -> Result<Option<String>, CommandError> {
        loop {
            if let Some(record) = self.rest.pop_front() {
                return Ok(Some(record));
            }
            match self.history.as_mut().map(IndexedEvents::next) {
                Some(Ok(page)) => {
                    self.rest = lines_of(&page)?.into();
                    self.given.note(&page);
                    if page.next.is_none() {
                        self.history = None;
                    }
                }
                Some(Err(reason)) => self.go_without_history(&reason)?,
                None => {
                    let Some(read) = self.journal.next() else { return Ok(None) };
                    let record = read.map_err(CommandError::failed)?;
                    self.rest = lines(&record)?.into();
                    let given = self.given;
                    let mut skipped = 0;
                    self.rest.retain(|line| !given.holds(line, record.sequence, &mut skipped));
                }
            }
        }
    }

    fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

impl HistoryCursor {
    fn note(&mut self, page: &HistoryPage) {
        for found in &page.events {
            let key = Some((found.time.seconds(), Sequence::new(found.sequence)));
            self.of_last = if self.last == key { self.of_last + 1 } else { 1 };
            self.last = key;
        }
    }

    /// Whether the history gave an event before it failed; of a record that it gave in part, the first events.
    fn holds(&self, line: &str, sequence: Sequence, skipped: &mut usize) -> bool {
        // Otherwise the history gave all it had, and the journal began behind it.
        let (Some(last), Sequence::NONE) = (self.last, self.through) else { return false };
        let time = EventView::read(line.as_bytes()).ok().and_then(|event| event.time());
        // A record without a time is shown twice rather than lost.
        let Some(time) = time else { return false };
        match (time.seconds(), sequence).cmp(&last) {
            Ordering::Less => true,
            Ordering::Equal => {
                *skipped += 1;
                *skipped <= self.of_last
            }
            Ordering::Greater => false,
        }
    }
}

impl IndexedEvents {
    /// The history of this journal; none where it has not begun, and the reason where it cannot be used.
    fn open(place: &StateDirectory, journal: JournalId, filter: &EventFilter) -> Result<Option<Self>, String> {
        let Some(archive) = Archive::open(&place.history()) else { return Ok(None) };
        let through = archive.coverage(journal).map_err(|unusable| unusable.to_string())?;
        if through == Sequence::NONE {
            return Ok(None);
        }
        let query = HistoryQuery { order: EventOrder::OldestFirst, ..filter.query(PAGE) };
        let indexed = Self { archive, journal, query, through };
        indexed.page().map_err(|error| error.to_string())?;
        Ok(Some(indexed))
    }

    fn next(&mut self) -> Result<HistoryPage, String> {
        let page = self.page().map_err(|error| error.to_string())?;
        // A day's file that is being rebuilt would be left out without notice.
        if self.archive.covers(self.journal) < self.through {
            return Err("it is being rebuilt".to_owned());
        }
        self.query.token.clone_from(&page.next);
        Ok(page)
    }

    fn page(&self) -> Result<HistoryPage, LookupError> {
        self.archive.lookup(&self.query, self.through)
    }
}

fn instead(reason: &str) -> String {
    format!("note: the history cannot be used: {reason}; the journal is read in its place")
}

/// Whether a record's line that could be read is wanted.
fn admits(filter: &EventFilter, line: &str) -> bool {
    EventView::read(line.as_bytes()).is_ok_and(|event| filter.admits(&event))
}

fn lines_of(page: &HistoryPage) -> Result<Vec<String>, CommandError> {
    page.events.iter().map(|found| readable(Sequence::new(found.sequence), found.record.as_bytes())).collect()
}

fn lines(record: &JournalRecord) -> Result<Vec<String>, CommandError> {
    portcullis_audit::events(record.kind, &record.payload).map(|line| readable(record.sequence, line)).collect()
}

fn readable(sequence: Sequence, line: &[u8]) -> Result<String, CommandError> {
    let unreadable = |error: UnreadableEvent| {
        CommandError::failed(format!("record {} of the journal cannot be read: {error}", sequence.number()))
    };
    EventView::read(line).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(line).into_owned())
}
