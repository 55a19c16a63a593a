//! Old segments: verified while the journal is in use, and removed when no reader needs them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::base::{self, JournalBase};
use super::commit::{JournalShared, lock};
use super::frame::ChainHash;
use super::segment::{self, SegmentReader};
use super::verify::{self, KeepReading};
use super::{JournalError, Sequence};

/// After this many bytes of old segments the disk is left to requests for a while.
const PIECE: usize = 4 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(20);

impl JournalShared {
    /// Removes whole segments; the base that stands for them is on disk before the first of them goes.
    pub(crate) fn trim(&self, before: Sequence) -> Result<Sequence, JournalError> {
        let _removing = lock(&self.removing);
        let (directory, present) = (self.directory(), self.first.load(Ordering::SeqCst));
        let limit = Sequence::new(before.number().min(self.kept_from()));
        let Some(base) = base::at(directory, limit, present)? else { return Ok(Sequence::new(present)) };
        let failed = |error| JournalError::io("trim", directory, &error);
        base.write(directory).map_err(failed)?;
        self.disk().sync_directory(directory).map_err(failed)?;
        self.first.store(base.first, Ordering::SeqCst);
        base::remove_before(directory, &base).map_err(failed)?;
        self.disk().sync_directory(directory).map_err(failed)?;
        Ok(Sequence::new(base.first))
    }

    /// The first record of the first segment that was written to at this time or later.
    pub(crate) fn written_since(&self, time: SystemTime) -> Result<Sequence, JournalError> {
        let _removing = lock(&self.removing);
        let mut oldest = self.last_sequence() + 1;
        for first in segment::list(self.directory())?.into_iter().rev() {
            let path = segment::path_of(self.directory(), first);
            let written = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
            if written.map_err(|error| JournalError::io("read", &path, &error))? < time {
                break;
            }
            oldest = first;
        }
        Ok(Sequence::new(oldest))
    }

    /// The size of the segments that begin after this record.
    pub(crate) fn bytes_begun_after(&self, sequence: Sequence) -> Result<u64, JournalError> {
        let _removing = lock(&self.removing);
        let later = segment::list(self.directory())?.into_iter().filter(|first| *first > sequence.number());
        let length = |first| {
            let path = segment::path_of(self.directory(), first);
            let metadata = std::fs::metadata(&path).map_err(|error| JournalError::io("read", &path, &error));
            metadata.map(|metadata| metadata.len())
        };
        later.map(length).sum()
    }

    /// What the first segment that is there has to follow from.
    fn beginning(&self, first: u64) -> Result<Option<ChainHash>, JournalError> {
        match JournalBase::read(self.directory())? {
            Some(base) => Ok((base.first == first).then_some(base.chain)),
            None => {
                let segment = SegmentReader::open(self.directory(), first)?;
                Ok(Some(segment::first_chain(&segment.header().journal)))
            }
        }
    }

    /// Verifies what comes before a record that was verified.
    fn verify_before(&self, until: u64) -> Result<(), JournalError> {
        let mut next = None;
        let mut follows: Option<ChainHash> = None;
        loop {
            let removing = lock(&self.removing);
            let firsts = segment::list(self.directory())?;
            let expected = next.filter(|next| *next >= self.first.load(Ordering::SeqCst));
            let Some(first) = expected.or_else(|| firsts.first().copied()).filter(|first| *first <= until) else {
                return Ok(());
            };
            if expected.is_none() {
                follows = self.beginning(first)?;
            }
            if first == until {
                // Its own records are verified; what is before them has to lead there.
                let segment = SegmentReader::open(self.directory(), first)?;
                let leads = follows.is_none_or(|chain| chain == segment.header().chain);
                let error = JournalError::Chain { file: segment.path().to_owned(), sequence: first };
                return if leads { Ok(()) } else { Err(error) };
            }
            if !firsts.contains(&first) {
                return Err(JournalError::Missing { directory: self.directory().to_owned(), sequence: first });
            }
            drop(removing);
            let mut read = 0;
            let outcome = verify::whole(self.directory(), first, follows.as_ref(), |_, _, payload| {
                read += payload.len();
                if read > PIECE {
                    read = 0;
                    std::thread::sleep(PAUSE);
                }
                if self.is_stopping() { KeepReading::Enough } else { KeepReading::Further }
            });
            if self.is_stopping() {
                return Ok(());
            }
            match outcome {
                Ok(verified) => (next, follows) = (Some(verified.sequence + 1), Some(verified.chain)),
                // Removed before it could be opened.
                Err(_) if first < self.first.load(Ordering::SeqCst) => (next, follows) = (None, None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Verifies at leisure what a start did not; damage closes the journal.
pub(crate) fn verify_older(shared: &Arc<JournalShared>, verified_from: u64) -> Option<JoinHandle<()>> {
    if verified_from <= shared.first.load(Ordering::SeqCst) {
        return None;
    }
    let shared = Arc::clone(shared);
    let verify = move || match shared.verify_before(verified_from) {
        Ok(()) => {}
        Err(error) => {
            shared.close_because(error.to_string());
        }
    };
    let spawned = std::thread::Builder::new().name("journal-verify".to_owned()).spawn(verify);
    spawned.map_err(|error| tracing::error!(%error, "older segments of the journal are not verified")).ok()
}
