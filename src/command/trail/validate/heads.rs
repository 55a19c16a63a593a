//! The newest digests of a trail, stored for the next `--expect-head`.

use std::fs;
use std::path::Path;

use super::unreadable;
use crate::command::error::CommandError;
use crate::command::private_file;
use portcullis_cloudtrail::verify::ExpectedDigest;
use portcullis_cloudtrail::{DigestHead, DigestSeries};

/// What each `--expect-head` says: a SHA-256, or a file that holds heads among other text.
pub(super) fn expected(given: &[String]) -> Result<Vec<ExpectedDigest>, CommandError> {
    let mut expected = Vec::new();
    for given in given {
        let mut hash = [0; 32];
        if hex::decode_to_slice(given, &mut hash).is_ok() {
            expected.push(ExpectedDigest::Hash(hash));
            continue;
        }
        let text = fs::read(given).map_err(|error| unreadable(format!("{given}: {error}")))?;
        let heads = newest(&text);
        if heads.is_empty() {
            return Err(CommandError::usage(format!("{given}: no head of a trail found")));
        }
        expected.extend(heads.into_iter().map(ExpectedDigest::Head));
    }
    Ok(expected)
}

/// The newest head of each series in a text; a line may have a prefix, as in a log.
fn newest(text: &[u8]) -> Vec<DigestHead> {
    let of_line = |line: &[u8]| {
        let start = line.iter().position(|byte| *byte == b'{')?;
        DigestHead::from_json(line.get(start..)?.trim_ascii()).ok()
    };
    let heads: Vec<DigestHead> = text.split(|byte| *byte == b'\n').filter_map(of_line).collect();
    let of_series = |series| heads.iter().filter(move |head| head.series == series).max_by_key(|head| head.end);
    [DigestSeries::Standard, DigestSeries::Backfill].into_iter().filter_map(of_series).cloned().collect()
}

/// Writes heads, one a line.
pub(super) fn write(path: &Path, heads: &[DigestHead]) -> Result<(), CommandError> {
    let lines: String = heads.iter().map(|head| head.to_json() + "\n").collect();
    private_file::replace(path, lines.as_bytes())
        .map_err(|error| CommandError::failed(format!("{}: {error}", path.display())))
}
