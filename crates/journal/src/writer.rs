//! The end of the journal that grows: the segment in use and what the next record follows from.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{DiskFile, JournalDisk};
use super::frame::{self, ChainHash, FrameHeader};
use super::segment::{self, CarriedPositions, SEGMENT_HEADER, SegmentHeader};
use super::{JournalOptions, RecordKind};

/// The growing end of the journal; its holder appends.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    pub file: Arc<DiskFile>,
    pub header: SegmentHeader,
    /// Where the next frame goes.
    pub position: u64,
    /// The last record's sequence.
    pub sequence: u64,
    pub chain: ChainHash,
    /// What has been written and rotated away since the last commit.
    pub unsynced: UnsyncedFiles,
    pub pending: OpenReferences,
    buffer: Vec<u8>,
}

/// What of the records so far those to come may refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenReferences {
    /// The intents without an outcome.
    pub open: BTreeSet<u64>,
    /// The last write of state; zero before the first.
    pub state: u64,
}

/// What a commit has to sync beside the segment in use.
#[derive(Debug, Default)]
pub(crate) struct UnsyncedFiles {
    pub files: Vec<Arc<DiskFile>>,
    /// The newest segment whose name is not yet known to be on disk.
    pub name: Option<u64>,
}

/// A file of zeroes that waits to become a segment.
#[derive(Debug)]
pub(crate) struct BlankSegment {
    file: DiskFile,
    path: PathBuf,
    size: u64,
}

impl BlankSegment {
    /// Makes a file of zeroes in the directory.
    pub(crate) fn create(directory: &Path, disk: &JournalDisk, size: u64, name: &str) -> io::Result<Self> {
        let path = directory.join(name);
        let file = disk.create_within_space(&path, size)?;
        Ok(Self { file, path, size })
    }

    /// Whether a record of this length fits.
    pub(crate) fn holds(&self, frame: u64) -> bool {
        SEGMENT_HEADER + frame <= self.size
    }

    /// Writes the header and gives the file its name.
    pub(crate) fn begin(
        self,
        directory: &Path,
        first: u64,
        journal: [u8; 16],
        chain: ChainHash,
        carried: CarriedPositions,
    ) -> io::Result<BegunSegment> {
        let header = SegmentHeader { size: self.size, first, journal, chain, carried: Some(carried) };
        self.file.write_all_at(&header.bytes(), 0)?;
        std::fs::rename(&self.path, segment::path_of(directory, first))?;
        Ok((Arc::new(self.file), header))
    }
}

/// A hundred outcomes or so of requests that are under way when the space ends.
const KEPT_AT_END: u64 = 256 * 1024;

/// A segment that has a header and a name.
pub(crate) type BegunSegment = (Arc<DiskFile>, SegmentHeader);

impl JournalWriter {
    /// Goes on after the last whole record.
    pub(crate) fn new(
        begun: BegunSegment,
        position: u64,
        sequence: u64,
        chain: ChainHash,
        pending: OpenReferences,
    ) -> Self {
        let (file, header) = begun;
        Self {
            file,
            header,
            position,
            sequence,
            chain,
            unsynced: UnsyncedFiles::default(),
            pending,
            buffer: Vec::new(),
        }
    }

    /// Writes a record into the segment in use, which has the space.
    pub(crate) fn append(
        &mut self,
        kind: RecordKind,
        payload: &[u8],
        leaf: &ChainHash,
        durable: u64,
    ) -> io::Result<u64> {
        let header = FrameHeader::new(self.sequence + 1, kind, durable, payload);
        self.buffer.clear();
        let chain = frame::write(&mut self.buffer, header, payload, leaf, &self.chain);
        self.file.write_all_at(&self.buffer, self.position)?;
        self.position += u64::try_from(self.buffer.len()).unwrap_or(0);
        self.sequence = header.sequence;
        self.chain = chain;
        self.pending.take(kind, self.sequence);
        // One huge record must not keep its space for ever.
        self.buffer.shrink_to(1024 * 1024);
        Ok(self.sequence)
    }

    /// Whether a frame of this length fits into the segment in use.
    pub(crate) fn holds(&self, frame: u64) -> bool {
        self.position + frame <= self.header.size
    }

    /// The end of a segment that is kept, while there is no next one, for what ends or protects what was begun before.
    pub(crate) fn kept_for(&self, kind: RecordKind) -> u64 {
        match kind {
            RecordKind::Event | RecordKind::Intent => KEPT_AT_END.min(self.header.size / 16),
            RecordKind::Closing | RecordKind::Outcome(_) | RecordKind::State => 0,
        }
    }

    /// Goes on in a new segment.
    pub(crate) fn rotate(&mut self, directory: &Path, blank: BlankSegment) -> io::Result<()> {
        let (file, header) =
            blank.begin(directory, self.sequence + 1, self.header.journal, self.chain, self.pending.carried())?;
        self.unsynced.files.push(std::mem::replace(&mut self.file, file));
        self.unsynced.name = Some(header.first);
        self.header = header;
        self.position = SEGMENT_HEADER;
        Ok(())
    }
}

impl OpenReferences {
    fn take(&mut self, kind: RecordKind, sequence: u64) {
        match kind {
            RecordKind::Closing | RecordKind::Event => {}
            RecordKind::Intent => {
                self.open.insert(sequence);
            }
            RecordKind::Outcome(intent) => {
                self.open.remove(&intent.number());
            }
            RecordKind::State => self.state = sequence,
        }
    }

    fn carried(&self) -> CarriedPositions {
        CarriedPositions { open: self.open.first().copied().unwrap_or(0), state: self.state }
    }
}

/// The size of a segment that holds a frame of this length.
pub(crate) fn segment_size(options: &JournalOptions, frame: u64) -> u64 {
    options.segment_size.max(SEGMENT_HEADER + frame)
}
