//! Verifies segments from their first byte to their last: all of them at leisure, or some before a start.

use std::path::Path;

use super::frame::{self, ChainHash, FrameDamage};
use super::segment::{SegmentReader, SegmentStep};
use super::{JournalError, RecordKind};

/// Where the records that were verified end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedEnd {
    pub sequence: u64,
    pub chain: ChainHash,
}

/// Goes through a segment that others follow; `follows` is what it has to follow from, where that is known.
///
/// Each payload is shown to `look`, which may stop the reading by saying so.
pub(crate) fn whole(
    directory: &Path,
    first: u64,
    follows: Option<&ChainHash>,
    mut look: impl FnMut(u64, RecordKind, Vec<u8>) -> KeepReading,
) -> Result<VerifiedEnd, JournalError> {
    let mut segment = SegmentReader::open(directory, first)?;
    let mut chain = segment.header().chain;
    let mut sequence = first.saturating_sub(1);
    let wrong_chain =
        |segment: &SegmentReader, sequence| JournalError::Chain { file: segment.path().to_owned(), sequence };
    if follows.is_some_and(|follows| *follows != chain) {
        return Err(wrong_chain(&segment, first));
    }
    loop {
        match segment.step()? {
            SegmentStep::Record { header, payload, chain: found } => {
                if header.sequence != sequence + 1 || frame::expected_chain(header, &payload, &chain) != found {
                    return Err(wrong_chain(&segment, sequence + 1));
                }
                (sequence, chain) = (header.sequence, found);
                if look(sequence, header.kind, payload) == KeepReading::Enough {
                    return Ok(VerifiedEnd { sequence, chain });
                }
            }
            SegmentStep::Blank if segment.remainder()?.written <= segment.position() => {
                return Ok(VerifiedEnd { sequence, chain });
            }
            SegmentStep::Blank | SegmentStep::Damaged(FrameDamage::Altered | FrameDamage::Torn) => {
                let (file, offset) = (segment.path().to_owned(), segment.position());
                return Err(JournalError::Altered { file, offset, sequence: sequence + 1 });
            }
        }
    }
}

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepReading {
    Enough,
    Further,
}
