//! One record as bytes: framed, numbered, checked and chained.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | mark |
//! | 4 | length of the payload |
//! | 8 | sequence |
//! | 8 | for an outcome, the sequence of its intent |
//! | 8 | the last sequence known to be on disk when this was written |
//! | 1 + 3 | kind, zeroes |
//! | 4 | CRC32C of what came before, without the mark |
//! | n | payload |
//! | 32 | chain: SHA-256 of the previous chain, the header without mark and CRC, and the payload's leaf hash |
//! | 4 | CRC32C of payload and chain |
//! | 4 | end mark, no byte of which is zero |
//!
//! Numbers are little-endian. The leaf hash is SHA-256 of a zero byte and the payload, as RFC 6962 has it.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::{Digest, Sha256};

use super::{RecordKind, Sequence};

/// What a frame adds to its payload.
pub(crate) const OVERHEAD: usize = HEADER + TRAILER;
pub(crate) const HEADER: usize = 40;
/// A payload longer than this is not taken: 1000 keys of a DeleteObjects are the longest, and less.
pub(crate) const LONGEST_PAYLOAD: usize = 32 * 1024 * 1024;

const TRAILER: usize = 40;
const MARK: [u8; 4] = *b"PJR1";
const END: [u8; 4] = *b"end\n";
/// The unit in which a disk loses what was not synced.
const SECTOR: usize = 512;

/// What ties a record to all before it.
pub(crate) type ChainHash = [u8; 32];

/// What stands in a frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub sequence: u64,
    /// The last sequence known to be on disk when this one was written.
    pub durable: u64,
    pub kind: RecordKind,
    length: usize,
}

/// What the bytes at a frame's place are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParsedFrame<'a> {
    /// Nothing was written here yet.
    Blank,
    /// A frame that does not hold what was written.
    Damaged(FrameDamage),
    Frame {
        header: FrameHeader,
        payload: &'a [u8],
        chain: ChainHash,
        /// The bytes of the whole frame.
        length: usize,
    },
    /// The frame goes on after the bytes given: as many are needed.
    More(usize),
}

/// How a frame is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameDamage {
    /// Bytes were altered.
    Altered,
    /// Bytes never arrived, as when the machine stopped while they were written.
    Torn,
}

/// The leaf hash of a payload: the costly half of a frame, computed before the journal is locked.
pub(crate) fn leaf(payload: &[u8]) -> ChainHash {
    Sha256::new().chain_update([0]).chain_update(payload).finalize().into()
}

/// Writes one frame after what `out` holds and returns its chain.
pub(crate) fn write(
    out: &mut Vec<u8>,
    header: FrameHeader,
    payload: &[u8],
    leaf: &ChainHash,
    previous: &ChainHash,
) -> ChainHash {
    let fields = header.fields();
    let chain = link(previous, &fields, leaf);
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&fields);
    out.extend_from_slice(&crc(&[&fields]));
    out.extend_from_slice(payload);
    out.extend_from_slice(&chain);
    out.extend_from_slice(&crc(&[payload, &chain]));
    out.extend_from_slice(&END);
    chain
}

/// Reads the frame at the start of `bytes`; `ends` says that nothing follows them in the file.
pub(crate) fn read(bytes: &[u8], ends: WindowEnd) -> ParsedFrame<'_> {
    let Some(head) = bytes.first_chunk::<HEADER>() else {
        return match ends {
            WindowEnd::Here if bytes.iter().all(|byte| *byte == 0) => ParsedFrame::Blank,
            WindowEnd::Here => ParsedFrame::Damaged(FrameDamage::Torn),
            WindowEnd::Later => ParsedFrame::More(HEADER),
        };
    };
    if head.iter().all(|byte| *byte == 0) {
        return ParsedFrame::Blank;
    }
    let Some(header) = FrameHeader::read(head) else { return ParsedFrame::Damaged(damage_of_header(bytes)) };
    let length = header.length + OVERHEAD;
    let Some(frame) = bytes.get(..length) else {
        return match ends {
            WindowEnd::Here => ParsedFrame::Damaged(FrameDamage::Torn),
            WindowEnd::Later => ParsedFrame::More(length),
        };
    };
    match split(frame, header.length) {
        Some((payload, chain)) => ParsedFrame::Frame { header, payload, chain, length },
        None => ParsedFrame::Damaged(damage_of_frame(frame)),
    }
}

/// Whether the bytes read are the file's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowEnd {
    Here,
    Later,
}

/// The chain of a frame as it must be.
pub(crate) fn expected_chain(header: FrameHeader, payload: &[u8], previous: &ChainHash) -> ChainHash {
    link(previous, &header.fields(), &leaf(payload))
}

/// The highest `durable` of the frames that begin anywhere in `bytes`.
pub(crate) fn highest_durable(bytes: &[u8]) -> Option<u64> {
    let starts = bytes.windows(HEADER).filter_map(|window| window.first_chunk::<HEADER>());
    starts.filter(|head| head.starts_with(&MARK)).filter_map(FrameHeader::read).map(|header| header.durable).max()
}

impl FrameHeader {
    pub(crate) fn new(sequence: u64, kind: RecordKind, durable: u64, payload: &[u8]) -> Self {
        Self { sequence, durable, kind, length: payload.len() }
    }

    fn fields(&self) -> [u8; 32] {
        let (code, of) = match self.kind {
            RecordKind::Closing => (1, 0),
            RecordKind::Event => (2, 0),
            RecordKind::Intent => (3, 0),
            RecordKind::Outcome(intent) => (4, intent.number()),
            RecordKind::State => (5, 0),
        };
        let length = u32::try_from(self.length).unwrap_or(u32::MAX).to_le_bytes();
        let (sequence, of, durable) = (self.sequence.to_le_bytes(), of.to_le_bytes(), self.durable.to_le_bytes());
        let mut fields = [0; 32];
        let written = length.iter().chain(&sequence).chain(&of).chain(&durable).chain(std::slice::from_ref(&code));
        for (place, byte) in fields.iter_mut().zip(written) {
            *place = *byte;
        }
        fields
    }

    fn read(head: &[u8; HEADER]) -> Option<Self> {
        let rest = head.strip_prefix(&MARK)?;
        let (fields, check) = rest.split_first_chunk::<32>()?;
        if check != crc(&[fields]) {
            return None;
        }
        let (length, rest) = fields.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (of, rest) = rest.split_first_chunk()?;
        let (durable, rest) = rest.split_first_chunk()?;
        let of = u64::from_le_bytes(*of);
        let kind = match (rest, of) {
            ([1, 0, 0, 0], 0) => RecordKind::Closing,
            ([2, 0, 0, 0], 0) => RecordKind::Event,
            ([3, 0, 0, 0], 0) => RecordKind::Intent,
            ([4, 0, 0, 0], intent) => RecordKind::Outcome(Sequence::new(intent)),
            ([5, 0, 0, 0], 0) => RecordKind::State,
            _ => return None,
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        Some(Self {
            sequence: u64::from_le_bytes(*sequence),
            durable: u64::from_le_bytes(*durable),
            kind,
            length: Some(length).filter(|length| *length <= LONGEST_PAYLOAD)?,
        })
    }
}

fn link(previous: &ChainHash, fields: &[u8; 32], leaf: &ChainHash) -> ChainHash {
    Sha256::new().chain_update(previous).chain_update(fields).chain_update(leaf).finalize().into()
}

fn split(frame: &[u8], length: usize) -> Option<(&[u8], ChainHash)> {
    let (payload, trailer) = frame.get(HEADER..)?.split_at_checked(length)?;
    let (chain, rest) = trailer.split_first_chunk::<32>()?;
    let (check, end) = rest.split_first_chunk::<4>()?;
    (*check == crc(&[payload, chain]) && end == END).then_some((payload, *chain))
}

/// A header is torn if it begins in a sector that never arrived, or runs out into one or into nothing.
fn damage_of_header(bytes: &[u8]) -> FrameDamage {
    let head = bytes.get(..HEADER).unwrap_or(bytes);
    let written = head.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let blank = bytes.iter().skip(written).take_while(|byte| **byte == 0).count();
    let runs_out = written < HEADER && (blank >= SECTOR || written + blank == bytes.len());
    if runs_out || head.starts_with(&[0]) { FrameDamage::Torn } else { FrameDamage::Altered }
}

/// A frame is torn if its end is missing, or a sector's worth of zeroes lies within: payloads are text.
fn damage_of_frame(frame: &[u8]) -> FrameDamage {
    let hole = frame
        .chunk_by(|left, right| (*left == 0) == (*right == 0))
        .any(|run| run.first() == Some(&0) && run.len() >= SECTOR);
    let no_end = frame.ends_with(&[0]);
    if hole || no_end { FrameDamage::Torn } else { FrameDamage::Altered }
}

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut digest = Crc::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    u32::try_from(digest.finalize()).unwrap_or(0).to_le_bytes()
}

/// CRC32C, for a segment's own header.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc(&[bytes])
}

/// Of bytes as they come, and of a frame that was written and then damaged: a frame is read only as it was written.
#[cfg(fuzzing)]
pub fn fuzz_frame(data: &[u8]) {
    for ends in [WindowEnd::Here, WindowEnd::Later] {
        match read(data, ends) {
            ParsedFrame::Blank | ParsedFrame::Damaged(_) => {}
            ParsedFrame::Frame { payload, length, .. } => assert!(payload.len() < length && length <= data.len()),
            ParsedFrame::More(length) => assert!(ends == WindowEnd::Later && length > data.len()),
        }
    }
    // No fuzzer finds a checksum, so that the rest begins with a frame that has the right one.
    let [kept, flipped, bit, payload @ ..] = data else { return };
    let header = FrameHeader::new(7, RecordKind::Event, 6, payload);
    let mut frame = Vec::new();
    write(&mut frame, header, payload, &leaf(payload), &[0; 32]);
    let written = frame.clone();
    if let Some(byte) = frame.get_mut(usize::from(*flipped)) {
        *byte ^= bit;
    }
    frame.truncate(written.len() - usize::from(*kept).min(written.len()));
    let is_whole = frame == written;
    assert_eq!(matches!(read(&frame, WindowEnd::Here), ParsedFrame::Frame { .. }), is_whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let header = FrameHeader::new(7, RecordKind::Outcome(Sequence::new(3)), 5, payload);
        write(&mut out, header, payload, &leaf(payload), &[9; 32]);
        out
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = frame(b"hello");
        let ParsedFrame::Frame { header, payload, chain, length } = read(&bytes, WindowEnd::Here) else {
            panic!("a frame")
        };
        assert_eq!((header.sequence, header.durable, header.kind), (7, 5, RecordKind::Outcome(Sequence::new(3))));
        assert_eq!((payload, length), (&b"hello"[..], bytes.len()));
        assert_eq!(chain, expected_chain(header, payload, &[9; 32]));
    }

    #[test]
    fn a_frame_cut_anywhere_is_torn() {
        let whole = frame(&[b'x'; 2000]);
        for cut in 1..whole.len() {
            let short = &whole[..cut];
            assert_eq!(read(short, WindowEnd::Here), ParsedFrame::Damaged(FrameDamage::Torn), "short at {cut}");
            let mut zeroed = whole.clone();
            zeroed[cut..].fill(0);
            zeroed.extend_from_slice(&[0; 4096]);
            assert_eq!(read(&zeroed, WindowEnd::Here), ParsedFrame::Damaged(FrameDamage::Torn), "zeroed at {cut}");
        }
    }

    #[test]
    fn any_bit_flipped_is_seen_and_is_not_taken_for_a_torn_write() {
        let mut whole = frame(&[b'x'; 300]);
        let length = whole.len();
        whole.extend_from_slice(&frame(b"the next"));
        for place in 0..length {
            for bit in 0..8 {
                let mut altered = whole.clone();
                altered[place] ^= 1 << bit;
                assert_eq!(
                    read(&altered, WindowEnd::Here),
                    ParsedFrame::Damaged(FrameDamage::Altered),
                    "bit {bit} of {place}"
                );
            }
        }
    }

    #[test]
    fn a_lost_sector_is_a_torn_write() {
        let mut whole = frame(&[b'x'; 3000]);
        whole[512..1024].fill(0);
        assert_eq!(read(&whole, WindowEnd::Here), ParsedFrame::Damaged(FrameDamage::Torn));
    }

    #[test]
    fn later_frames_tell_what_was_on_disk() {
        let mut bytes = vec![0; 100];
        bytes.extend_from_slice(&frame(b"later"));
        assert_eq!(highest_durable(&bytes), Some(5));
        assert_eq!(highest_durable(&[0; 100]), None);
    }
}
