//! Verifies segments from their first byte to their last: all of them at leisure, or some before a start.

use std::path::Path;

use super::frame::{self, Chain, Damage};
use super::segment::{Segment, Step};
use super::{JournalError, Kind};

/// Where the records that were verified end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    pub sequence: u64,
    pub chain: Chain,
}

/// Goes through a segment that others follow; `follows` is what it has to follow from, where that is known.
///
/// Each payload is shown to `look`, which may stop the reading by saying so.
pub fn whole(
    directory: &Path,
    first: u64,
    follows: Option<&Chain>,
    mut look: impl FnMut(u64, Kind, Vec<u8>) -> Look,
) -> Result<Verified, JournalError> {
    let mut segment = Segment::open(directory, first)?;
    let mut chain = segment.header().chain;
    let mut sequence = first.saturating_sub(1);
    let wrong_chain = |segment: &Segment, sequence| JournalError::Chain { file: segment.path().to_owned(), sequence };
    if follows.is_some_and(|follows| *follows != chain) {
        return Err(wrong_chain(&segment, first));
    }
    loop {
        match segment.step()? {
            Step::Record { header, payload, chain: found } => {
                if header.sequence != sequence + 1 || frame::expected_chain(header, &payload, &chain) != found {
                    return Err(wrong_chain(&segment, sequence + 1));
                }
                (sequence, chain) = (header.sequence, found);
                if look(sequence, header.kind, payload) == Look::Enough {
                    return Ok(Verified { sequence, chain });
                }
            }
            Step::Blank if segment.remainder()?.written <= segment.position() => {
                return Ok(Verified { sequence, chain });
            }
            Step::Blank | Step::Damaged(Damage::Altered | Damage::Torn) => {
                let (file, offset) = (segment.path().to_owned(), segment.position());
                return Err(JournalError::Altered { file, offset, sequence: sequence + 1 });
            }
        }
    }
}

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Enough,
    Further,
}
