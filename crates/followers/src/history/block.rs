//! Events next to each other, compressed together.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// Where an event stands among all: by time, then as the journal has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EventKey {
    /// Seconds since the Unix epoch.
    pub time: i64,
    /// The journal's record.
    pub sequence: u64,
    /// The line within the record.
    pub line: u32,
}

/// An event as it goes into a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockEntry {
    pub key: EventKey,
    /// What stands for the event's attribute values in the index.
    pub terms: Vec<i64>,
    pub record: Vec<u8>,
}

/// A block that takes events.
#[derive(Debug)]
pub(super) struct BlockBuilder {
    id: i64,
    entries: Vec<BlockEntry>,
    bytes: usize,
    span: Option<BlockSpan>,
}

/// A block's first and last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockSpan {
    pub first: EventKey,
    pub last: EventKey,
}

/// An event as it comes out of a block.
pub(super) type StoredEvent = (EventKey, Vec<u8>);

/// The places of a block: a bit for each.
pub(super) type BlockPlaces = u128;

/// The seconds between the first and the last event of a block are at most these, so that a search knows how far
/// beyond its own range it has to look.
pub(super) const LONGEST_SPAN: i64 = 300;

const MOST_EVENTS: usize = 128;
const MOST_BYTES: usize = 160 * 1024;
/// More than the journal takes as one record.
const LONGEST_BODY: u64 = 64 * 1024 * 1024;
const LEVEL: u32 = 3;
/// What goes with each event.
const FRAMING: usize = 24;

impl BlockBuilder {
    /// An empty block.
    pub(super) fn new(id: i64) -> Self {
        Self { id, entries: Vec::new(), bytes: 0, span: None }
    }

    /// Whether the event may still go in here.
    pub(super) fn takes(&self, entry: &BlockEntry) -> bool {
        let Some(span) = self.span else { return true };
        let wider = span.with(entry.key);
        self.entries.len() < MOST_EVENTS
            && self.bytes + entry.record.len() <= MOST_BYTES
            && wider.last.time.saturating_sub(wider.first.time) <= LONGEST_SPAN
    }

    /// Puts the event behind the others.
    pub(super) fn push(&mut self, entry: BlockEntry) {
        self.bytes += entry.record.len();
        self.span =
            Some(self.span.map_or(BlockSpan { first: entry.key, last: entry.key }, |span| span.with(entry.key)));
        self.entries.push(entry);
    }

    /// The block's number in its day.
    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// The first and the last event; nothing in an empty block.
    pub(super) fn span(&self) -> Option<BlockSpan> {
        self.span
    }

    /// Which places hold which term.
    pub(super) fn postings(&self) -> BTreeMap<i64, BlockPlaces> {
        let mut postings = BTreeMap::new();
        for (place, entry) in self.entries.iter().enumerate() {
            for term in &entry.terms {
                *postings.entry(*term).or_default() |= bit(place);
            }
        }
        postings
    }

    /// The events, compressed.
    pub(super) fn body(&self) -> io::Result<Vec<u8>> {
        let mut raw = Vec::with_capacity(self.bytes + self.entries.len() * FRAMING);
        for BlockEntry { key, record, terms: _ } in &self.entries {
            let length = u32::try_from(record.len()).map_err(io::Error::other)?;
            raw.extend_from_slice(&key.time.to_le_bytes());
            raw.extend_from_slice(&key.sequence.to_le_bytes());
            raw.extend_from_slice(&key.line.to_le_bytes());
            raw.extend_from_slice(&length.to_le_bytes());
            raw.extend_from_slice(record);
        }
        // All at once: with every write, the encoder clears the room for what it may give.
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(raw.len() / 6), Compression::new(LEVEL));
        encoder.write_all(&raw)?;
        encoder.finish()
    }
}

impl BlockSpan {
    fn with(self, key: EventKey) -> Self {
        Self { first: self.first.min(key), last: self.last.max(key) }
    }
}

/// The bit of a place; none of one that no block has.
pub(super) fn bit(place: usize) -> BlockPlaces {
    u32::try_from(place).ok().and_then(|place| BlockPlaces::checked_shl(1, place)).unwrap_or(0)
}

/// The events of a compressed block; an error if it is not what was written.
pub(super) fn open(body: &[u8]) -> io::Result<Vec<StoredEvent>> {
    let mut raw = Vec::new();
    ZlibDecoder::new(body).take(LONGEST_BODY).read_to_end(&mut raw)?;
    let mut rest = raw.as_slice();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (event, further) = split(rest).ok_or(io::ErrorKind::InvalidData)?;
        events.push(event);
        rest = further;
    }
    Ok(events)
}

fn split(rest: &[u8]) -> Option<(StoredEvent, &[u8])> {
    let (time, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let key = EventKey {
        time: i64::from_le_bytes(*time),
        sequence: u64::from_le_bytes(*sequence),
        line: u32::from_le_bytes(*line),
    };
    let (record, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some(((key, record.to_vec()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time: i64, terms: &[i64], record: &[u8]) -> BlockEntry {
        BlockEntry { key: EventKey { time, sequence: 7, line: 1 }, terms: terms.to_vec(), record: record.to_vec() }
    }

    #[test]
    fn a_block_gives_back_what_went_in() {
        let mut block = BlockBuilder::new(1);
        block.push(entry(10, &[1, 2], b"first"));
        block.push(entry(9, &[2], b""));
        let events = open(&block.body().unwrap()).unwrap();
        assert_eq!(events[0], (EventKey { time: 10, sequence: 7, line: 1 }, b"first".to_vec()));
        assert_eq!(events[1], (EventKey { time: 9, sequence: 7, line: 1 }, Vec::new()));
        assert_eq!(block.postings(), BTreeMap::from([(1, 0b01), (2, 0b11)]));
        assert_eq!(block.span().map(|span| (span.first.time, span.last.time)), Some((9, 10)));
    }

    #[test]
    fn a_block_takes_neither_too_many_nor_too_far_apart() {
        let mut block = BlockBuilder::new(1);
        for _ in 0..MOST_EVENTS {
            assert!(block.takes(&entry(1000, &[], b"x")));
            block.push(entry(1000, &[], b"x"));
        }
        assert!(!block.takes(&entry(1000, &[], b"x")));
        let mut block = BlockBuilder::new(2);
        block.push(entry(1000, &[], b"x"));
        assert!(block.takes(&entry(1000 + LONGEST_SPAN, &[], b"x")));
        assert!(!block.takes(&entry(1001 + LONGEST_SPAN, &[], b"x")));
        assert!(!block.takes(&entry(999 - LONGEST_SPAN, &[], b"x")));
    }

    #[test]
    fn a_block_of_one_takes_any_length() {
        let mut block = BlockBuilder::new(1);
        let long = entry(1, &[], &vec![b'x'; 2 * MOST_BYTES]);
        assert!(block.takes(&long));
        block.push(long);
        assert!(!block.takes(&entry(1, &[], b"x")));
        assert_eq!(open(&block.body().unwrap()).unwrap()[0].1.len(), 2 * MOST_BYTES);
    }

    #[test]
    fn a_torn_block_is_an_error() {
        let mut block = BlockBuilder::new(1);
        block.push(entry(1, &[], b"some event of some length"));
        let body = block.body().unwrap();
        assert!(open(&body[..body.len() - 3]).is_err());
        let mut flipped = body.clone();
        flipped[body.len() / 2] ^= 1;
        assert!(open(&flipped).is_err());
    }
}
