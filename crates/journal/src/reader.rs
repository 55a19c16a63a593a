//! Reading a journal, also while another process writes it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::base::{self, JournalBase};
use super::frame::{self, ChainHash, FrameDamage, FrameHeader};
use super::segment::{self, SegmentReader, SegmentStep};
use super::{JournalError, RecordKind, Sequence};

/// The records of a journal in order, checked as they are read.
///
/// As an iterator it ends where the journal ends now; asked again later, it goes on with what was
/// written since. After an error it stays where it is.
#[derive(Debug)]
pub struct JournalReader {
    directory: PathBuf,
    segment: Option<SegmentReader>,
    chain: ChainHash,
    /// The record read last.
    sequence: u64,
}

/// One record of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    pub sequence: Sequence,
    pub kind: RecordKind,
    pub payload: Vec<u8>,
}

/// How often the same place is read before it is believed.
const LOOKS: usize = 4;

impl JournalReader {
    /// Reads from the first record that is there.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        Self::after(directory, Sequence::NONE)
    }

    /// Reads from the record after this one, or the first that is left where that one was trimmed.
    pub fn after(directory: &Path, sequence: Sequence) -> Result<Self, JournalError> {
        let mut segment = Self::find(directory, sequence);
        for _ in 1..LOOKS {
            match segment {
                // It was trimmed between two looks.
                Err(JournalError::Io { kind: ErrorKind::NotFound, .. }) => segment = Self::find(directory, sequence),
                Ok(_) | Err(_) => break,
            }
        }
        let segment = segment?;
        let mut reader =
            Self { directory: directory.to_owned(), chain: ChainHash::default(), sequence: 0, segment: None };
        if let Some(segment) = segment {
            reader.enter(segment);
        }
        while reader.sequence < sequence.number() {
            if reader.read()?.is_none() {
                break;
            }
        }
        Ok(reader)
    }

    /// The segment that holds the record after this one; the first there is, before any.
    fn find(directory: &Path, after: Sequence) -> Result<Option<SegmentReader>, JournalError> {
        let firsts = segment::list(directory)?;
        let oldest = base::first_of(JournalBase::read(directory)?.as_ref());
        let wanted = oldest.max(after.number() + 1);
        match (firsts.first(), firsts.iter().rev().find(|first| **first <= wanted)) {
            (None, _) => Ok(None),
            (Some(_), Some(first)) => SegmentReader::open(directory, *first).map(Some),
            (Some(_), None) => Err(JournalError::Missing { directory: directory.to_owned(), sequence: wanted }),
        }
    }

    /// The last record that was read.
    pub fn position(&self) -> Sequence {
        Sequence::new(self.sequence)
    }

    /// The random id of the journal; nothing before it has begun.
    pub fn journal(&self) -> Option<[u8; 16]> {
        self.segment.as_ref().map(|segment| segment.header().journal)
    }

    /// What ties the last record that was read to all before it.
    pub fn chain_hash(&self) -> [u8; 32] {
        self.chain
    }

    fn read(&mut self) -> Result<Option<JournalRecord>, JournalError> {
        let mut damage = None;
        // A record, or a segment, may come between two looks, and a writer in its middle looks like damage.
        for _ in 0..LOOKS {
            let Some(segment) = &mut self.segment else {
                self.enter_first()?;
                continue;
            };
            match segment.step()? {
                SegmentStep::Record { header, payload, chain } => return self.take(header, payload, chain).map(Some),
                SegmentStep::Damaged(found) => damage = Some(found),
                SegmentStep::Blank => damage = None,
            }
            segment.refresh();
            self.enter_next()?;
        }
        match (&self.segment, damage) {
            (Some(segment), Some(FrameDamage::Altered)) => Err(JournalError::Altered {
                file: segment.path().to_owned(),
                offset: segment.position(),
                sequence: self.sequence + 1,
            }),
            (Some(_), None | Some(FrameDamage::Torn)) => self.end(),
            (None, _) => Ok(None),
        }
    }

    fn take(&mut self, header: FrameHeader, payload: Vec<u8>, chain: ChainHash) -> Result<JournalRecord, JournalError> {
        if header.sequence != self.sequence + 1 || frame::expected_chain(header, &payload, &self.chain) != chain {
            let file =
                self.segment.as_ref().map_or_else(|| self.directory.clone(), |segment| segment.path().to_owned());
            return Err(self.chain_error(file));
        }
        self.chain = chain;
        self.sequence = header.sequence;
        Ok(JournalRecord { sequence: Sequence::new(header.sequence), kind: header.kind, payload })
    }

    /// The end for now, unless a later segment says that there must be more.
    fn end(&mut self) -> Result<Option<JournalRecord>, JournalError> {
        let gap = segment::list(&self.directory)?.last().is_some_and(|last| *last > self.sequence + 1);
        let Some(segment) = self.segment.as_mut().filter(|_| gap) else { return Ok(None) };
        match segment.step()? {
            SegmentStep::Record { header, payload, chain } => self.take(header, payload, chain).map(Some),
            SegmentStep::Blank | SegmentStep::Damaged(_) => {
                if self.enter_next()? {
                    return Ok(None);
                }
                Err(JournalError::Missing { directory: self.directory.clone(), sequence: self.sequence + 1 })
            }
        }
    }

    fn enter_first(&mut self) -> Result<(), JournalError> {
        if let Some(first) = segment::list(&self.directory)?.first() {
            self.enter(SegmentReader::open(&self.directory, *first)?);
        }
        Ok(())
    }

    fn enter_next(&mut self) -> Result<bool, JournalError> {
        let next = self.sequence + 1;
        let Some(current) = self.segment.as_ref().map(SegmentReader::header).filter(|header| header.first != next)
        else {
            return Ok(false);
        };
        let path = segment::path_of(&self.directory, next);
        if !path.exists() {
            return Ok(false);
        }
        let segment = SegmentReader::open(&self.directory, next)?;
        if segment.header().chain != self.chain || segment.header().journal != current.journal {
            return Err(self.chain_error(path));
        }
        self.segment = Some(segment);
        Ok(true)
    }

    fn enter(&mut self, segment: SegmentReader) {
        self.chain = segment.header().chain;
        self.sequence = segment.header().first.saturating_sub(1);
        self.segment = Some(segment);
    }

    fn chain_error(&self, file: PathBuf) -> JournalError {
        JournalError::Chain { file, sequence: self.sequence + 1 }
    }
}

impl Iterator for JournalReader {
    type Item = Result<JournalRecord, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
