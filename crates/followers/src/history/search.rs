//! Finding events in the files of the days.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

use rusqlite::{Connection, params};

use super::block::{self, BlockPlaces, EventKey, LONGEST_SPAN};
use super::day::UtcDay;
use super::file::{self, BLOCKS_IN_RUN, FileError, damaged, signed};
use super::term::index_term;
use portcullis_cloudtrail::lookup::{EventOrder, LookupAsker};
use portcullis_cloudtrail::record::{EventView, LookupAttribute};

/// What to find.
#[derive(Clone, Debug)]
pub(super) struct EventSearch {
    /// All of these, each value as events have it.
    pub attributes: Vec<(LookupAttribute, String)>,
    /// Seconds since the Unix epoch, both ends included.
    pub from: i64,
    pub to: i64,
    /// Whose own lookups are left out.
    pub without_lookups_of: Option<LookupAsker>,
    pub order: EventOrder,
    /// The event given last: on with the one after it.
    pub after: Option<EventKey>,
    /// No records of the journal after this one.
    pub through: Option<u64>,
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct SearchResult {
    pub events: Vec<(EventKey, Vec<u8>)>,
    /// Whether there is more.
    pub more: bool,
    bytes: usize,
}

/// A day whose file cannot be used.
#[derive(Debug)]
pub struct UnreadableDay {
    pub day: UtcDay,
    pub error: FileError,
}

/// A page ends early when it holds so much.
const MOST_BYTES: usize = 8 * 1024 * 1024;
const RUNS_REMEMBERED: usize = 8;

/// Finds events in all the days of a directory.
pub(super) fn search(directory: &Path, wanted: &EventSearch) -> Result<SearchResult, UnreadableDay> {
    let mut findings = SearchResult::default();
    let mut days =
        UtcDay::list(directory).map_err(|error| UnreadableDay { day: UtcDay::of(wanted.from), error: error.into() })?;
    let (from, to) = wanted.reach();
    days.retain(|day| (UtcDay::of(from)..=UtcDay::of(to)).contains(day));
    if wanted.order == EventOrder::NewestFirst {
        days.reverse();
    }
    for day in days {
        let in_day = || -> Result<PageState, FileError> {
            let Some(connection) = file::open(&day.path(directory))? else { return Ok(PageState::Open) };
            // One transaction, so that the whole page is of one moment.
            let snapshot = connection.unchecked_transaction()?;
            DaySearch { connection: &snapshot, wanted, runs: HashMap::new(), ahead: BTreeMap::new() }.run(&mut findings)
        }();
        match in_day.map_err(|error| UnreadableDay { day, error })? {
            PageState::Full => break,
            PageState::Open => {}
        }
    }
    Ok(findings)
}

/// Whether a page takes more.
enum PageState {
    Full,
    Open,
}

struct DaySearch<'a> {
    connection: &'a Connection,
    wanted: &'a EventSearch,
    /// By run, the places of each block that hold all that is wanted.
    runs: HashMap<i64, Rc<HashMap<i64, BlockPlaces>>>,
    /// What was found, but may come after something in a block not looked at yet.
    ahead: BTreeMap<(EventKey, i64), Vec<u8>>,
}

/// A block that may hold something.
struct CandidateBlock {
    id: i64,
    /// Time and sequence of its event that comes first in the order.
    edge: (i64, i64),
}

impl DaySearch<'_> {
    fn run(mut self, findings: &mut SearchResult) -> Result<PageState, FileError> {
        let open: Option<i64> = {
            let mut statement = self.connection.prepare("SELECT id FROM block WHERE open")?;
            let mut rows = statement.query([])?;
            rows.next()?.map(|row| row.get(0)).transpose()?
        };
        let (from, to) = self.wanted.reach();
        let connection = self.connection;
        let mut statement = connection.prepare(self.wanted.order.query())?;
        let (time, sequence) =
            self.wanted.after.map_or(self.wanted.order.start(), |key| (key.time, signed(key.sequence)));
        let mut rows = statement.query(params![from, to, LONGEST_SPAN, time, sequence])?;
        while let Some(row) = rows.next()? {
            let candidate = CandidateBlock { id: row.get(0)?, edge: (row.get(1)?, row.get(2)?) };
            let places = if open == Some(candidate.id) { BlockPlaces::MAX } else { self.places(candidate.id)? };
            if places == 0 {
                continue;
            }
            if let PageState::Full = self.give(Some(candidate.edge), findings) {
                return Ok(PageState::Full);
            }
            self.look_into(candidate.id, places)?;
        }
        Ok(self.give(None, findings))
    }

    /// The places of a block that hold all that is wanted.
    fn places(&mut self, block: i64) -> Result<BlockPlaces, FileError> {
        if self.wanted.attributes.is_empty() {
            return Ok(BlockPlaces::MAX);
        }
        let run = block / BLOCKS_IN_RUN;
        let known = match self.runs.get(&run) {
            Some(known) => Rc::clone(known),
            None => {
                let read = Rc::new(self.read_run(run)?);
                if self.runs.len() >= RUNS_REMEMBERED {
                    self.runs.clear();
                }
                self.runs.insert(run, Rc::clone(&read));
                read
            }
        };
        Ok(known.get(&block).copied().unwrap_or(0))
    }

    fn read_run(&self, run: i64) -> Result<HashMap<i64, BlockPlaces>, FileError> {
        let mut statement =
            self.connection.prepare("SELECT block, places FROM posting WHERE run = ?1 AND term = ?2")?;
        let mut all: Option<HashMap<i64, BlockPlaces>> = None;
        for (attribute, value) in &self.wanted.attributes {
            let mut rows = statement.query(params![run, index_term(*attribute, value)])?;
            let mut found = HashMap::new();
            while let Some(row) = rows.next()? {
                let block: i64 = row.get(0)?;
                let places = file::places(row, 1)?;
                let both = all.as_ref().map_or(places, |all| all.get(&block).map_or(0, |others| others & places));
                if both != 0 {
                    found.insert(block, both);
                }
            }
            if found.is_empty() {
                return Ok(found);
            }
            all = Some(found);
        }
        Ok(all.unwrap_or_default())
    }

    fn look_into(&mut self, block: i64, places: BlockPlaces) -> Result<(), FileError> {
        let query = "SELECT body FROM block WHERE id = ?1";
        let body: Vec<u8> = self.connection.query_row(query, [block], |row| row.get(0))?;
        for (place, (key, record)) in block::open(&body).map_err(damaged)?.into_iter().enumerate() {
            // The index says where to look; the event itself says whether it is wanted.
            if places & block::bit(place) != 0 && self.wanted.admits(key, &record) {
                self.ahead.insert((key, block), record);
            }
        }
        Ok(())
    }

    /// Gives what comes before the edge of the next block; without one, all.
    fn give(&mut self, edge: Option<(i64, i64)>, findings: &mut SearchResult) -> PageState {
        let order = self.wanted.order;
        loop {
            let first = match order {
                EventOrder::NewestFirst => self.ahead.last_entry(),
                EventOrder::OldestFirst => self.ahead.first_entry(),
            };
            let Some(first) = first else { return PageState::Open };
            let (key, _) = *first.key();
            let is_next =
                edge.is_none_or(|edge| order.compare(&(key.time, signed(key.sequence)), &edge) == Ordering::Less);
            if !is_next {
                return PageState::Open;
            }
            if findings.events.len() >= self.wanted.limit || findings.bytes >= MOST_BYTES {
                findings.more = true;
                return PageState::Full;
            }
            let record = first.remove();
            findings.bytes += record.len();
            findings.events.push((key, record));
        }
    }
}

impl EventSearch {
    /// Whether this event is wanted.
    fn admits(&self, key: EventKey, record: &[u8]) -> bool {
        (self.from..=self.to).contains(&key.time)
            && self.through.is_none_or(|through| key.sequence <= through)
            && self.after.is_none_or(|after| self.order.compare(&key, &after) == Ordering::Greater)
            && (self.attributes.is_empty() || EventView::read(record).unwrap_or_default().has_all(&self.attributes))
            && !self.is_own_lookup(record)
    }

    fn is_own_lookup(&self, record: &[u8]) -> bool {
        const NAME: &[u8] = b"\"LookupEvents\"";
        // A plain search first: few events are of this name.
        self.without_lookups_of.as_ref().is_some_and(|asker| {
            record.windows(NAME.len()).any(|part| part == NAME)
                && asker.was_answered_by(&EventView::read(record).unwrap_or_default())
        })
    }

    /// The times that are left, given what was found before.
    fn reach(&self) -> (i64, i64) {
        match (self.order, self.after) {
            (_, None) => (self.from, self.to),
            (EventOrder::NewestFirst, Some(after)) => (self.from, self.to.min(after.time)),
            (EventOrder::OldestFirst, Some(after)) => (self.from.max(after.time), self.to),
        }
    }
}

/// What an order means to the search.
trait SearchOrder: Copy {
    fn compare<T: Ord>(self, one: &T, other: &T) -> Ordering;
    /// Before the first event of all.
    fn start(self) -> (i64, i64);
    /// The blocks that reach into the range and beyond what was given, in the order of their first events.
    ///
    /// No block spans more than ?3 seconds, which bounds the walk on the index at both of its ends.
    fn query(self) -> &'static str;
}

impl SearchOrder for EventOrder {
    fn compare<T: Ord>(self, one: &T, other: &T) -> Ordering {
        match self {
            Self::NewestFirst => other.cmp(one),
            Self::OldestFirst => one.cmp(other),
        }
    }

    fn start(self) -> (i64, i64) {
        match self {
            Self::NewestFirst => (i64::MAX, i64::MAX),
            Self::OldestFirst => (i64::MIN, i64::MIN),
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::NewestFirst => {
                "SELECT id, max_time, max_sequence FROM block INDEXED BY block_newest
                 WHERE max_time BETWEEN ?1 AND ?2 + ?3 AND (min_time, min_sequence) <= (?4, ?5) AND min_time <= ?2
                 ORDER BY max_time DESC, max_sequence DESC"
            }
            Self::OldestFirst => {
                "SELECT id, min_time, min_sequence FROM block INDEXED BY block_oldest
                 WHERE min_time BETWEEN ?1 - ?3 AND ?2 AND (max_time, max_sequence) >= (?4, ?5) AND max_time >= ?1
                 ORDER BY min_time, min_sequence"
            }
        }
    }
}
