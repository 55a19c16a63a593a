//! What a page gives its reader to ask for the next one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::block::EventKey;
use super::search::EventSearch;
use super::term::index_term;
use portcullis_cloudtrail::lookup::EventOrder;

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 16 + 8 + 8 + 4;

/// Writes down the event given last; the token is of use for the same question alone.
pub(super) fn write(last: EventKey, wanted: &EventSearch) -> String {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.push(VERSION);
    bytes.extend_from_slice(&question(wanted));
    bytes.extend_from_slice(&last.time.to_le_bytes());
    bytes.extend_from_slice(&last.sequence.to_le_bytes());
    bytes.extend_from_slice(&last.line.to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what was given last; nothing if this is no token, or one of another question.
pub(super) fn read(token: &str, wanted: &EventSearch) -> Option<EventKey> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let rest = bytes.strip_prefix(&[VERSION])?.strip_prefix(&question(wanted))?;
    let (time, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let line = rest.try_into().ok()?;
    Some(EventKey {
        time: i64::from_le_bytes(*time),
        sequence: u64::from_le_bytes(*sequence),
        line: u32::from_le_bytes(line),
    })
}

/// Reads a token for a question of its own: what is read is written as the same token.
#[cfg(fuzzing)]
pub fn fuzz_token(token: &str) {
    let wanted = EventSearch {
        attributes: Vec::new(),
        from: 0,
        to: 0,
        without_lookups_of: None,
        order: EventOrder::NewestFirst,
        after: None,
        through: None,
        limit: 1,
    };
    if let Some(last) = read(token, &wanted) {
        assert_eq!(write(last, &wanted), token);
    }
}

fn question(wanted: &EventSearch) -> [u8; 16] {
    let mut attributes = wanted.attributes.clone();
    attributes.sort_unstable();
    let mut hash = Sha256::new();
    for (attribute, value) in &attributes {
        hash.update(index_term(*attribute, value).to_le_bytes());
    }
    hash.update(wanted.from.to_le_bytes());
    hash.update(wanted.to.to_le_bytes());
    hash.update(match wanted.order {
        EventOrder::NewestFirst => [0],
        EventOrder::OldestFirst => [1],
    });
    hash.finalize().first_chunk::<16>().copied().unwrap_or_default()
}
