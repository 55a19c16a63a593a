//! Following a journal while it is written: where a reader is, how far it may read, and what it missed.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Journal, JournalError, JournalReader, JournalRecord, Sequence};

/// Reads the records of a journal in use, in order and none before it is on disk.
///
/// What is made of a record that a power loss takes back would be told of another record of the same number.
#[derive(Debug)]
pub struct Follower {
    journal: Arc<Journal>,
    /// Opened with the first read, and again after an error: the journal may have been trimmed below it.
    reader: Option<JournalReader>,
    position: Sequence,
    gap: Option<JournalGap>,
}

/// Where a follower was, in the form in which it is kept over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerPosition {
    /// The random id of the journal.
    pub journal: [u8; 16],
    /// The last record that was read.
    pub sequence: Sequence,
    /// The hash that ties this record to all before it, which tells a journal from one that was put back from a copy.
    pub chain: [u8; 32],
}

/// Records that were trimmed before a follower read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalGap {
    pub first: Sequence,
    pub last: Sequence,
}

/// What a kept position is worth in the journal of today.
#[derive(Debug)]
pub enum Resumption {
    /// The journal has this record, or has trimmed it: reading goes on after it.
    Continued(Box<Follower>),
    /// The position is of a journal with another id.
    OtherJournal,
    /// The journal has the same id, but ends before this record or has another one there.
    Replaced,
}

impl Follower {
    /// Reads from the record after this one, or from the first that is left.
    pub fn after(journal: &Arc<Journal>, sequence: Sequence) -> Self {
        Self { journal: Arc::clone(journal), reader: None, position: sequence, gap: None }
    }

    /// Goes on after a position that was kept, if the journal is still the one it was taken in.
    pub fn resume(journal: &Arc<Journal>, at: &FollowerPosition) -> Result<Resumption, JournalError> {
        let mut follower = Self::after(journal, at.sequence);
        let reader = &*follower.open()?;
        if reader.journal().unwrap_or_default() != at.journal {
            return Ok(Resumption::OtherJournal);
        }
        let is_same = match reader.position().cmp(&at.sequence) {
            Ordering::Less => false,
            Ordering::Equal => at.sequence == Sequence::NONE || reader.chain_hash() == at.chain,
            // What was trimmed cannot be compared, and cannot have been replaced.
            Ordering::Greater => true,
        };
        Ok(if is_same { Resumption::Continued(Box::new(follower)) } else { Resumption::Replaced })
    }

    /// Opens the journal and skips what was trimmed, which the first read would do otherwise.
    pub fn skip_trimmed(&mut self) -> Result<(), JournalError> {
        self.open().map(drop)
    }

    /// Reads the next record, if it is on disk and not after this one.
    pub fn read(&mut self, until: Sequence) -> Result<Option<JournalRecord>, JournalError> {
        if self.position >= until.min(self.journal.durable_sequence()) {
            return Ok(None);
        }
        match self.open()?.next().transpose() {
            Ok(record) => {
                self.position = record.as_ref().map_or(self.position, |record| record.sequence);
                Ok(record)
            }
            Err(error) => {
                self.reader = None;
                Err(error)
            }
        }
    }

    /// The last record that was read or skipped.
    pub fn sequence(&self) -> Sequence {
        self.position
    }

    /// Where reading goes on after a restart; before the journal was opened, the beginning of none.
    pub fn position(&self) -> FollowerPosition {
        self.reader.as_ref().map_or_else(FollowerPosition::default, |reader| FollowerPosition {
            journal: reader.journal().unwrap_or_default(),
            sequence: self.position,
            chain: reader.chain_hash(),
        })
    }

    /// The records that were skipped since this was last asked.
    pub fn take_gap(&mut self) -> Option<JournalGap> {
        self.gap.take()
    }

    fn open(&mut self) -> Result<&mut JournalReader, JournalError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.find()?,
        };
        Ok(self.reader.insert(reader))
    }

    fn find(&mut self) -> Result<JournalReader, JournalError> {
        let reader = JournalReader::after(self.journal.directory(), self.position)?;
        if reader.position() > self.position {
            self.gap = Some(JournalGap { first: self.position.next(), last: reader.position() });
            self.position = reader.position();
        }
        Ok(reader)
    }
}
