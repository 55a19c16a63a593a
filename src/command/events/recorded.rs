//! The records of a place: from the history, and then from the end of the journal, also while its gate writes it.

use std::collections::VecDeque;

use serde_json::Value;

use super::Records;
use super::filter::Filter;
use crate::audit;
use crate::audit::journal::{Reader, Record, Sequence};
use crate::command::error::CommandError;
use crate::command::place::Place;
use crate::history::{Archive, JournalId, LookupError, Order, Page, Query};

/// The records that a filter may admit, the oldest first.
pub struct Recorded {
    history: Option<Indexed>,
    journal: Reader,
    /// What is left of what was read last.
    rest: VecDeque<Value>,
    gap: Option<String>,
}

/// The part of the records that the history holds.
struct Indexed {
    archive: Archive,
    journal: JournalId,
    query: Query,
    /// Later records are the journal's to tell.
    through: Sequence,
}

/// Records asked of the history at once.
const PAGE: usize = 500;

impl Recorded {
    /// Begins with the first record that the filter may admit; with a limit, with the last so many.
    pub fn open(place: &Place, filter: &Filter, limit: Option<usize>) -> Result<Self, CommandError> {
        let directory = place.journal();
        if !directory.exists() {
            return Err(CommandError::not_running(format!("nothing was ever recorded in {}", directory.display()))
                .next(format!("Start a gate: portcullis dev{}\nOr say where it is: --data DIR", place.flag())));
        }
        let id = Reader::open(&directory).map_err(CommandError::failed)?.journal();
        let history = id.and_then(|journal| Indexed::open(place, journal, filter));
        let through = history.as_ref().map_or(Sequence::NONE, |history| history.through);
        let journal = Reader::after(&directory, through).map_err(CommandError::failed)?;
        let first = journal.position();
        let gap = (first > through).then(|| {
            let (from, to) = (through.number() + 1, first.number());
            format!("the journal no longer holds records {from} to {to}, and no history holds them; they are not shown")
        });
        let mut recorded = Self { history, journal, rest: VecDeque::new(), gap };
        if let Some(limit) = limit {
            recorded.keep_last(limit, filter)?;
        }
        Ok(recorded)
    }

    /// Why not all that was ever recorded is shown.
    pub fn gap(&self) -> Option<&str> {
        self.gap.as_deref()
    }

    fn keep_last(&mut self, limit: usize, filter: &Filter) -> Result<(), CommandError> {
        let mut last = VecDeque::new();
        for read in self.journal.by_ref() {
            for event in values(&read.map_err(CommandError::failed)?)? {
                if filter.admits(&event) {
                    last.push_back(event);
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
        history.query.order = Order::NewestFirst;
        while last.len() < limit {
            let page = history.next()?;
            for event in parsed(&page)? {
                if last.len() < limit && filter.admits(&event) {
                    last.push_front(event);
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

impl Records for Recorded {
    fn next(&mut self) -> Result<Option<Value>, CommandError> {
        loop {
            if let Some(record) = self.rest.pop_front() {
                return Ok(Some(record));
            }
            if let Some(history) = &mut self.history {
                let page = history.next()?;
                self.rest = parsed(&page)?.into();
                if page.next.is_none() {
                    self.history = None;
                }
                continue;
            }
            let Some(read) = self.journal.next() else { return Ok(None) };
            self.rest = values(&read.map_err(CommandError::failed)?)?.into();
        }
    }
}

impl Indexed {
    /// The history of this journal; nothing if it cannot be used, since the journal then tells what it still holds.
    fn open(place: &Place, journal: JournalId, filter: &Filter) -> Option<Self> {
        let archive = Archive::open(&place.history())?;
        let through = archive.covers(journal);
        let query = Query { order: Order::OldestFirst, ..filter.query(PAGE) };
        let indexed = Self { archive, journal, query, through };
        (through != Sequence::NONE && indexed.page().is_ok()).then_some(indexed)
    }

    fn next(&mut self) -> Result<Page, CommandError> {
        let page = self.page().map_err(CommandError::failed)?;
        // A day's file that is just being made anew would be missing without a word.
        if self.archive.covers(self.journal) < self.through {
            let error = CommandError::failed("the history is being made anew from the journal");
            return Err(error.next("Ask again in a moment"));
        }
        self.query.token.clone_from(&page.next);
        Ok(page)
    }

    fn page(&self) -> Result<Page, LookupError> {
        self.archive.lookup(&self.query, self.through)
    }
}

fn parsed(page: &Page) -> Result<Vec<Value>, CommandError> {
    let value = |found: &crate::history::Found| {
        serde_json::from_str(&found.record).map_err(|error| no_json(found.sequence, &error))
    };
    page.events.iter().map(value).collect()
}

fn values(record: &Record) -> Result<Vec<Value>, CommandError> {
    let value = |event| serde_json::from_slice(event).map_err(|error| no_json(record.sequence, &error));
    audit::events(record.kind, &record.payload).map(value).collect()
}

fn no_json(sequence: Sequence, error: &serde_json::Error) -> CommandError {
    CommandError::failed(format!("record {} of the journal is no JSON: {error}", sequence.number()))
}
