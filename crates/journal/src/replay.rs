//! Opening a directory: what a crash left is replayed, a torn tail is cut, and anything else is an error.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::base::{self, JournalBase};
use super::disk::{DiskFile, is_passing};
use super::frame::{self, ChainHash, FrameDamage, FrameHeader};
use super::segment::{self, CarriedPositions, SEGMENT_HEADER, SegmentReader, SegmentStep};
use super::verify::{self, KeepReading};
use super::writer::{BlankSegment, JournalWriter, OpenReferences};
use super::{JournalError, JournalOptions, RecordKind, Sequence};

/// What a journal held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalRecovery {
    /// Zero before the first record.
    pub last_sequence: u64,
    /// The intents without an outcome, in order.
    pub open_intents: Vec<OpenIntent>,
    /// The last snapshot of the state and the writes after it, in their order; without a snapshot in what was read, the
    /// writes alone. If what was read has none of either, this is the last one before it.
    pub states: Vec<StateEntry>,
    /// The segment whose torn end was cut: what it held had never been reported durable.
    pub cut: Option<PathBuf>,
    /// Why the journal closed when it was open before, if it could not go on.
    pub closed_because: Option<ClosureNote>,
    /// The first record that was verified; those before it are verified while the journal is in use.
    pub verified_from: u64,
}

/// Why a journal closed, as it noted itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosureNote {
    pub reason: String,
    /// How many records it did not take after that; unknown if its process did not stop in order.
    pub lost: Option<u64>,
}

/// An intent without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    pub sequence: Sequence,
    pub payload: Vec<u8>,
}

/// What the journal has on the state: a write of it, or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    pub sequence: Sequence,
    pub revision: u64,
    pub payload: Vec<u8>,
}

/// Takes the directory for this process alone, and makes it if it is not there.
pub(crate) fn lock(directory: &Path) -> Result<File, JournalError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| JournalError::io("make", directory, &error))?;
    let path = directory.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| JournalError::io("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(JournalError::io("lock", &path, &error)),
    }
}

/// Brings the directory into a state from which the journal can go on; all it holds is on disk then.
pub(crate) fn restore(directory: &Path, options: &JournalOptions) -> Result<RestoredJournal, JournalError> {
    let failed = |error: io::Error| JournalError::io("write to", directory, &error);
    remove_partial(directory).map_err(failed)?;
    let (reserve, note) = open_reserve(directory, options).map_err(failed)?;
    let base = JournalBase::read(directory)?;
    if let Some(base) = &base {
        base::remove_before(directory, base).map_err(failed)?;
    }
    let first = base::first_of(base.as_ref());
    let firsts = segment::list(directory)?;
    if note.as_ref().is_some_and(|closed| closed.reason != NO_SPACE) {
        rewrite(directory, options, &firsts).map_err(failed)?;
    }
    let pinned = pinned(directory)?;
    let mut replay = JournalReplay::new(directory, pinned, base);
    let writer = match (firsts.first(), firsts.last()) {
        (Some(found), Some(last)) if *found == first && *last >= pinned => {
            let beginning = ReplayStart::of(directory, &firsts, options)?;
            replay.begin_at(&beginning);
            let tail = replay.run(beginning.segments)?;
            replay.find_state(&firsts, beginning.state)?;
            replay.go_on(options, tail).map_err(failed)?
        }
        (Some(found), _) if *found == first => return Err(replay.missing(pinned)),
        (Some(_), _) => return Err(replay.missing(first)),
        (None, _) if pinned > 0 || base.is_some() => return Err(replay.missing(pinned.max(first))),
        (None, _) => begin(directory, options).map_err(failed)?,
    };
    options.disk.sync_directory(directory).map_err(failed)?;
    match pin(directory, writer.header.first) {
        Err(error) if pinned > 0 && is_passing(&error) => {}
        done => done.map_err(failed)?,
    }
    let recovered = replay.recovered(note);
    Ok(RestoredJournal { writer, recovered, reserve, first })
}

/// A directory from which the journal can go on.
pub(crate) struct RestoredJournal {
    pub writer: JournalWriter,
    pub recovered: JournalRecovery,
    pub reserve: DiskFile,
    /// The first sequence that is there, or will be.
    pub first: u64,
}

/// Where to begin a replay: far enough from the end that what a start depends on is verified, and no farther.
struct ReplayStart<'a> {
    segments: &'a [u64],
    /// The last write of state before the end of the segments before; zero if nothing is known of one.
    state: u64,
}

impl<'a> ReplayStart<'a> {
    fn of(directory: &Path, firsts: &'a [u64], options: &JournalOptions) -> Result<Self, JournalError> {
        let mut length = 0;
        for (index, first) in firsts.iter().enumerate().rev() {
            let path = segment::path_of(directory, *first);
            length += std::fs::metadata(&path).map_err(|error| JournalError::io("read", &path, &error))?.len();
            // A newest one without a header is no place to begin, nor is one of an older program.
            if length <= options.verify_at_start || index + 1 == firsts.len() {
                continue;
            }
            if let Ok(Some(carried)) = SegmentReader::open(directory, *first).map(|segment| segment.header().carried) {
                let CarriedPositions { open, state } = carried;
                let from = if open == 0 { *first } else { open };
                let index = firsts.iter().rposition(|first| *first <= from).unwrap_or(0);
                return Ok(Self { segments: firsts.get(index..).unwrap_or(firsts), state });
            }
        }
        Ok(Self { segments: firsts, state: 0 })
    }
}

fn begin(directory: &Path, options: &JournalOptions) -> io::Result<JournalWriter> {
    let mut journal = [0; 16];
    getrandom::fill(&mut journal).map_err(io::Error::other)?;
    let chain = segment::first_chain(&journal);
    let blank =
        BlankSegment::create(directory, &options.disk, options.segment_size.max(SEGMENT_HEADER), "first.partial")?;
    let begun = blank.begin(directory, 1, journal, chain, CarriedPositions::default())?;
    begun.0.sync()?;
    Ok(JournalWriter::new(begun, SEGMENT_HEADER, 0, chain, OpenReferences::default()))
}

/// The reading of all segments in order.
struct JournalReplay<'a> {
    directory: &'a Path,
    /// The newest segment that is known to have reached the disk with all before it.
    pinned: u64,
    base: Option<JournalBase>,
    sequence: u64,
    /// The first record that is read.
    from: u64,
    link: Option<SegmentLink>,
    open: BTreeMap<u64, Vec<u8>>,
    states: Vec<StateEntry>,
    cut: Option<PathBuf>,
}

/// What the journal reads of an entry of state.
#[derive(Deserialize)]
struct StateForm {
    revision: u64,
    /// Only a snapshot has the whole state.
    #[serde(default)]
    state: Option<IgnoredAny>,
}

/// What the next segment must follow from.
struct SegmentLink {
    journal: [u8; 16],
    chain: ChainHash,
}

/// Where the journal ends.
struct JournalTail {
    segment: SegmentReader,
    chain: ChainHash,
    /// The end of what was written, perhaps after the last whole record.
    written: u64,
}

impl<'a> JournalReplay<'a> {
    fn new(directory: &'a Path, pinned: u64, base: Option<JournalBase>) -> Self {
        let open = BTreeMap::new();
        Self { directory, pinned, base, sequence: 0, from: 1, link: None, open, states: Vec::new(), cut: None }
    }

    fn begin_at(&mut self, beginning: &ReplayStart<'_>) {
        self.from = beginning.segments.first().copied().unwrap_or(1);
        self.sequence = self.from.saturating_sub(1);
    }

    /// Looks up the last entry of state where it came before the records that were read.
    fn find_state(&mut self, firsts: &[u64], sequence: u64) -> Result<(), JournalError> {
        if !self.states.is_empty() || sequence == 0 {
            return Ok(());
        }
        let first = firsts.iter().rev().find(|first| **first <= sequence).copied();
        let first = first.ok_or_else(|| self.missing(sequence))?;
        let mut found = None;
        verify::whole(self.directory, first, None, |number, kind, payload| {
            if number < sequence {
                return KeepReading::Further;
            }
            found = (kind == RecordKind::State).then_some(payload);
            KeepReading::Enough
        })?;
        let payload = found.ok_or_else(|| self.missing(sequence))?;
        let StateForm { revision, .. } = self.form(&payload)?;
        self.states.push(StateEntry { sequence: Sequence::new(sequence), revision, payload });
        Ok(())
    }

    fn run(&mut self, firsts: &[u64]) -> Result<JournalTail, JournalError> {
        let mut rest = firsts;
        loop {
            let Some((first, later)) = rest.split_first() else { return Err(self.missing(self.sequence + 1)) };
            if let Some(tail) = self.replay_segment(*first, later)? {
                return Ok(tail);
            }
            rest = later;
        }
    }

    /// Replays one segment; the answer is where the journal ends, if it ends there.
    fn replay_segment(&mut self, first: u64, later: &[u64]) -> Result<Option<JournalTail>, JournalError> {
        let mut segment = SegmentReader::open(self.directory, first)?;
        let mut chain = self.follow(&segment)?;
        let damage = loop {
            match segment.step()? {
                SegmentStep::Blank => break None,
                SegmentStep::Damaged(damage) => break Some(damage),
                SegmentStep::Record { header, payload, chain: found } => {
                    self.check(&segment, header, &payload, &chain, &found)?;
                    self.take(header, payload)?;
                    chain = found;
                }
            }
        };
        self.link = Some(SegmentLink { journal: segment.header().journal, chain });
        let rest = segment.remainder()?;
        let expected = self.sequence + 1;
        let whole = damage.is_none() && rest.written <= segment.position();
        let ends_here = match later {
            [] => true,
            [next, ..] if *next == expected && whole && !self.never_begun(later)? => return Ok(None),
            // A segment that was begun, but of which nothing reached the disk together with what precedes it.
            [next] => self.never_durable(*next, expected)?,
            [_, _, ..] => false,
        };
        let torn = damage.is_none_or(|damage| damage == FrameDamage::Torn) && rest.durable < expected;
        if whole && !ends_here {
            return Err(self.missing(expected));
        }
        if !torn || !ends_here {
            return Err(altered(&segment, expected));
        }
        if let [next] = later {
            self.remove(*next)?;
        }
        if !whole || !later.is_empty() {
            self.cut = Some(segment.path().to_owned());
        }
        Ok(Some(JournalTail { segment, chain, written: rest.written }))
    }

    /// Opens the last segment for writing, with zeroes where the next record goes.
    fn go_on(&self, options: &JournalOptions, tail: JournalTail) -> io::Result<JournalWriter> {
        let JournalTail { segment, chain, written } = tail;
        let header = *segment.header();
        let file = options.disk.open(segment.path())?;
        file.zero(segment.position(), written)?;
        let length = std::fs::metadata(segment.path())?.len();
        file.zero(length, header.size)?;
        // A killed process may have left pages that are only in the page cache.
        for first in segment::list(self.directory).map_err(io::Error::other)?.iter().rev().take(2) {
            options.disk.open(&segment::path_of(self.directory, *first))?.sync()?;
        }
        let state = last_of(&self.states).map_or(0, |state| state.sequence.number());
        let pending = OpenReferences { open: self.open.keys().copied().collect(), state };
        Ok(JournalWriter::new((Arc::new(file), header), segment.position(), self.sequence, chain, pending))
    }

    fn follow(&self, segment: &SegmentReader) -> Result<ChainHash, JournalError> {
        let header = segment.header();
        let expected = match &self.link {
            Some(link) if link.journal == header.journal => link.chain,
            None => match &self.base {
                Some(base) if base.first == header.first && base.journal == header.journal => base.chain,
                Some(base) if base.journal == header.journal => header.chain,
                None if header.first == 1 => segment::first_chain(&header.journal),
                // What comes before is verified later, and has to lead here.
                None => header.chain,
                Some(_) => return Err(chain_error(segment, header.first)),
            },
            Some(_) => return Err(chain_error(segment, header.first)),
        };
        if header.chain == expected { Ok(expected) } else { Err(chain_error(segment, header.first)) }
    }

    fn check(
        &self,
        segment: &SegmentReader,
        header: FrameHeader,
        payload: &[u8],
        previous: &ChainHash,
        found: &ChainHash,
    ) -> Result<(), JournalError> {
        if header.sequence != self.sequence + 1 || frame::expected_chain(header, payload, previous) != *found {
            return Err(chain_error(segment, self.sequence + 1));
        }
        Ok(())
    }

    fn take(&mut self, header: FrameHeader, payload: Vec<u8>) -> Result<(), JournalError> {
        self.sequence = header.sequence;
        match header.kind {
            RecordKind::Closing | RecordKind::Event => {}
            RecordKind::Intent => {
                self.open.insert(header.sequence, payload);
            }
            RecordKind::Outcome(intent) => {
                self.open.remove(&intent.number());
            }
            RecordKind::State => {
                let StateForm { revision, state } = self.form(&payload)?;
                // A snapshot that is older than what precedes it replaces nothing; the state refuses such an order.
                if state.is_some() && last_of(&self.states).is_none_or(|last| last.revision <= revision) {
                    self.states.clear();
                }
                self.states.push(StateEntry { sequence: Sequence::new(header.sequence), revision, payload });
            }
        }
        Ok(())
    }

    fn form(&self, payload: &[u8]) -> Result<StateForm, JournalError> {
        serde_json::from_slice(payload)
            .map_err(|_| JournalError::State { directory: self.directory.to_owned(), sequence: self.sequence })
    }

    /// Whether the one segment that follows is a file of zeroes: renamed, but its header never arrived.
    fn never_begun(&self, later: &[u64]) -> Result<bool, JournalError> {
        let [next] = later else { return Ok(false) };
        let path = segment::path_of(self.directory, *next);
        let mut head = [0; 128];
        let read = File::open(&path).and_then(|file| file.read_at(&mut head, 0));
        read.map_err(|error| JournalError::io("read", &path, &error))?;
        Ok(head == [0; 128] && self.never_durable(*next, *next)?)
    }

    fn never_durable(&self, first: u64, expected: u64) -> Result<bool, JournalError> {
        Ok(first > self.pinned && segment::durable_in(&segment::path_of(self.directory, first))? < expected)
    }

    fn remove(&self, first: u64) -> Result<(), JournalError> {
        let path = segment::path_of(self.directory, first);
        std::fs::remove_file(&path).map_err(|error| JournalError::io("remove", &path, &error))
    }

    fn missing(&self, sequence: u64) -> JournalError {
        JournalError::Missing { directory: self.directory.to_owned(), sequence }
    }

    fn recovered(self, note: Option<ClosureNote>) -> JournalRecovery {
        let open = self.open.into_iter();
        JournalRecovery {
            last_sequence: self.sequence,
            open_intents: open
                .map(|(sequence, payload)| OpenIntent { sequence: Sequence::new(sequence), payload })
                .collect(),
            states: self.states,
            cut: self.cut,
            closed_because: note,
            verified_from: self.from,
        }
    }
}

fn last_of(states: &[StateEntry]) -> Option<&StateEntry> {
    states.iter().max_by_key(|state| state.revision)
}

fn altered(segment: &SegmentReader, sequence: u64) -> JournalError {
    JournalError::Altered { file: segment.path().to_owned(), offset: segment.position(), sequence }
}

fn chain_error(segment: &SegmentReader, sequence: u64) -> JournalError {
    JournalError::Chain { file: segment.path().to_owned(), sequence }
}

/// Pins the newest segment, so that its loss is noticed.
pub(crate) fn pin(directory: &Path, first: u64) -> io::Result<()> {
    let partial = directory.join("head.partial");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all_at(format!("{first:020}\n").as_bytes(), 0)?;
    file.sync_all()?;
    std::fs::rename(&partial, directory.join("head"))
}

fn pinned(directory: &Path) -> Result<u64, JournalError> {
    let path = directory.join("head");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(JournalError::io("read", &path, &error)),
    };
    text.strip_suffix('\n').and_then(|digits| digits.parse().ok()).ok_or(JournalError::Header { file: path })
}

/// The reason of a journal that waited for space: of what it wrote nothing is in doubt.
pub(crate) const NO_SPACE: &str = "there was no space for the next segment";

const RESERVE: u64 = 64 * 1024;
const NOTE: &[u8; 8] = b"closed: ";

fn open_reserve(directory: &Path, options: &JournalOptions) -> io::Result<(DiskFile, Option<ClosureNote>)> {
    let path = directory.join("reserve");
    if !path.exists() {
        return Ok((options.disk.create(&path, RESERVE)?, None));
    }
    let bytes = std::fs::read(&path)?;
    let note = bytes.strip_prefix(NOTE).map(|text| {
        let mut texts = text.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let reason = texts.next().map_or_else(String::new, |reason| reason.into_owned());
        ClosureNote { reason, lost: texts.next().and_then(|lost| lost.parse().ok()) }
    });
    Ok((options.disk.open(&path)?, note))
}

/// Notes why the journal closed, in space that was set aside for it.
pub(crate) fn note_closing(reserve: &DiskFile, closed: &ClosureNote) -> io::Result<()> {
    let reason: String = closed.reason.chars().filter(|letter| !letter.is_control()).take(1000).collect();
    let lost = closed.lost.map_or_else(String::new, |lost| lost.to_string());
    reserve.write_all_at(&[&NOTE[..], reason.as_bytes(), &[0], lost.as_bytes(), &[0]].concat(), 0)?;
    reserve.sync()
}

/// Empties the reserve, once what it said is a record.
pub(crate) fn clear_note(reserve: &DiskFile) -> io::Result<()> {
    reserve.zero(0, RESERVE)?;
    reserve.sync()
}

/// Rewrites the newest segments. After a failed sync the operating system may hold pages as written
/// that the disk never got, and would not write them again.
fn rewrite(directory: &Path, options: &JournalOptions, firsts: &[u64]) -> io::Result<()> {
    for first in firsts.iter().rev().take(2) {
        let path = segment::path_of(directory, *first);
        let bytes = std::fs::read(&path)?;
        let partial = directory.join("rewrite.partial");
        let file = options.disk.create(&partial, 0)?;
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        std::fs::rename(&partial, &path)?;
    }
    options.disk.sync_directory(directory)
}

fn remove_partial(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "partial") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
