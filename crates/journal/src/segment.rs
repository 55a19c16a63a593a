//! The files of a journal: their names, their headers, and the bytes read from them through a window.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::frame::{self, ChainHash, FrameHeader, ParsedFrame, WindowEnd};

/// What stands at the start of a segment.
///
/// | bytes | what |
/// |---|---|
/// | 16 | `portcullis jrnl` and a line feed |
/// | 4 + 4 | format version, zeroes |
/// | 8 | the segment's size |
/// | 8 | its first sequence |
/// | 16 | the journal's own random id |
/// | 32 | chain of the record before the first |
/// | 1 + 3 | whether the next two are known, zeroes |
/// | 8 | the first sequence of an intent that was open when it began; zero without one |
/// | 8 | the sequence of the last write of state before it; zero without one |
/// | 16 | zeroes |
/// | 4 | CRC32C of what came before |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub size: u64,
    pub first: u64,
    pub journal: [u8; 16],
    pub chain: ChainHash,
    /// Unknown in segments of older programs.
    pub carried: Option<CarriedPositions>,
}

/// What of earlier segments a reader must know that begins with this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CarriedPositions {
    /// The first intent that was open; zero without one.
    pub open: u64,
    /// The last write of state; zero without one.
    pub state: u64,
}

/// The bytes of a segment's header.
pub(crate) const SEGMENT_HEADER: u64 = 128;

const MARK: [u8; 16] = *b"portcullis jrnl\n";
const VERSION: u32 = 1;

impl SegmentHeader {
    /// The header as it is written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.journal);
        out.extend_from_slice(&self.chain);
        if let Some(carried) = self.carried {
            out.extend_from_slice(&[1, 0, 0, 0]);
            out.extend_from_slice(&carried.open.to_le_bytes());
            out.extend_from_slice(&carried.state.to_le_bytes());
        }
        out.resize(124, 0);
        let check = frame::checksum(&out);
        out.extend_from_slice(&check);
        out
    }

    fn read(bytes: &[u8], path: &Path) -> Result<Self, JournalError> {
        let damaged = || JournalError::Header { file: path.to_owned() };
        let (fields, check) = bytes.split_at_checked(124).ok_or_else(damaged)?;
        let rest = fields.strip_prefix(&MARK).ok_or_else(damaged)?;
        if check != frame::checksum(fields) {
            return Err(damaged());
        }
        let (version, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(JournalError::Version { file: path.to_owned(), version });
        }
        let (_, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (size, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (first, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (journal, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (chain, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (known, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (open, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (state, _) = rest.split_first_chunk().ok_or_else(damaged)?;
        let carried = CarriedPositions { open: u64::from_le_bytes(*open), state: u64::from_le_bytes(*state) };
        let carried = match known {
            [0, 0, 0, 0] => None,
            [1, 0, 0, 0] => Some(carried),
            _ => return Err(damaged()),
        };
        Ok(Self {
            size: u64::from_le_bytes(*size),
            first: u64::from_le_bytes(*first),
            journal: *journal,
            chain: *chain,
            carried,
        })
    }
}

/// The chain before a journal's first record.
pub(crate) fn first_chain(journal: &[u8; 16]) -> ChainHash {
    frame::leaf(journal)
}

/// Where the segment that begins with this sequence lies.
pub(crate) fn path_of(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.journal"))
}

/// The first sequences of the segments in a directory, in order.
pub(crate) fn list(directory: &Path) -> Result<Vec<u64>, JournalError> {
    let failed = |error: io::Error| JournalError::io("list", directory, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".journal")).filter(|stem| stem.len() == 20);
        found.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// A segment being read: one window of it in memory at a time.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    path: PathBuf,
    header: SegmentHeader,
    /// Where the next frame begins.
    position: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// What the next frame of a segment is.
#[derive(Debug)]
pub(crate) enum SegmentStep {
    Blank,
    Damaged(frame::FrameDamage),
    Record { header: FrameHeader, payload: Vec<u8>, chain: ChainHash },
}

const WINDOW: usize = 256 * 1024;

impl SegmentReader {
    /// Opens the segment that begins with this sequence.
    pub(crate) fn open(directory: &Path, first: u64) -> Result<Self, JournalError> {
        let path = path_of(directory, first);
        let file = File::open(&path).map_err(|error| JournalError::io("open", &path, &error))?;
        let mut head = vec![0; 128];
        let count = read_at(&file, &mut head, 0).map_err(|error| JournalError::io("read", &path, &error))?;
        head.truncate(count);
        let header = SegmentHeader::read(&head, &path)?;
        if header.first != first {
            return Err(JournalError::Header { file: path });
        }
        Ok(Self { file, path, header, position: SEGMENT_HEADER, window: Vec::new(), window_at: 0 })
    }

    /// Reads the next frame, and steps over it if it is whole.
    pub(crate) fn step(&mut self) -> Result<SegmentStep, JournalError> {
        let mut needed = frame::HEADER;
        loop {
            let ends = self.fill(needed)?;
            let (step, length) = match frame::read(self.ahead(), ends) {
                ParsedFrame::Blank => (SegmentStep::Blank, 0),
                ParsedFrame::Damaged(damage) => (SegmentStep::Damaged(damage), 0),
                ParsedFrame::Frame { header, payload, chain, length } => {
                    (SegmentStep::Record { header, payload: payload.to_vec(), chain }, length)
                }
                ParsedFrame::More(count) => {
                    needed = count;
                    continue;
                }
            };
            self.position += u64::try_from(length).unwrap_or(0);
            return Ok(step);
        }
    }

    /// Forgets what was read ahead, since a live journal may have written there.
    pub(crate) fn refresh(&mut self) {
        self.window.clear();
    }

    /// The highest `durable` that frames after this position tell of, and whether anything is there.
    pub(crate) fn remainder(&mut self) -> Result<SegmentRemainder, JournalError> {
        let mut remainder = SegmentRemainder { written: self.position, durable: 0 };
        let mut at = self.position;
        let mut buffer = vec![0; WINDOW];
        loop {
            let count =
                read_at(&self.file, &mut buffer, at).map_err(|error| JournalError::io("read", &self.path, &error))?;
            let bytes = buffer.get(..count).unwrap_or(&[]);
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                remainder.written = at + u64::try_from(last).unwrap_or(0) + 1;
                remainder.durable = remainder.durable.max(frame::highest_durable(bytes).unwrap_or(0));
            }
            if count < WINDOW {
                return Ok(remainder);
            }
            // Windows overlap, so that no header is cut in two.
            at += u64::try_from(WINDOW - frame::HEADER).unwrap_or(1);
        }
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    fn ahead(&self) -> &[u8] {
        let skip = usize::try_from(self.position.saturating_sub(self.window_at)).unwrap_or(usize::MAX);
        self.window.get(skip..).unwrap_or(&[])
    }

    fn fill(&mut self, needed: usize) -> Result<WindowEnd, JournalError> {
        if self.ahead().len() >= needed && self.position >= self.window_at {
            return Ok(WindowEnd::Later);
        }
        self.window.resize(needed.max(WINDOW), 0);
        self.window_at = self.position;
        let count = read_at(&self.file, &mut self.window, self.position)
            .map_err(|error| JournalError::io("read", &self.path, &error))?;
        self.window.truncate(count);
        Ok(if count < needed.max(WINDOW) { WindowEnd::Here } else { WindowEnd::Later })
    }
}

/// What follows the last whole frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRemainder {
    /// The end of the last byte that is not zero.
    pub written: u64,
    /// The highest sequence that a frame there says was on disk.
    pub durable: u64,
}

/// What a whole file that may have no header tells of sequences on disk.
pub(crate) fn durable_in(path: &Path) -> Result<u64, JournalError> {
    let bytes = std::fs::read(path).map_err(|error| JournalError::io("read", path, &error))?;
    Ok(frame::highest_durable(&bytes).unwrap_or(0))
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + u64::try_from(filled).unwrap_or(0)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
