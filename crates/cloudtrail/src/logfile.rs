//! Log files: `{"Records":[...]}` in one gzip member, written as a stream and read to the last byte.

use std::io::{self, BufWriter, Read as _, Write as _};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::merkle::{Sha256Hash, leaf_hash};
use portcullis_base::clock::Timestamp;

/// A log file being written: event by event, in the order of the journal.
#[derive(Debug)]
pub struct LogFileBuilder {
    gzip: GzipWriter,
    records: u64,
    times: Option<(Timestamp, Timestamp)>,
}

/// A log file, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// As it is delivered.
    pub bytes: Vec<u8>,
    /// SHA-256 of what is compressed.
    pub hash: Sha256Hash,
    pub records: u64,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
}

/// Why bytes are no file of a trail.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MalformedFile {
    #[error("not gzip")]
    Gzip,
    #[error("not a list of records")]
    Records,
    #[error("larger than a file of a trail may be")]
    TooLarge,
    #[error("bytes follow the end of its gzip member")]
    Trailing,
}

const OPEN: &[u8] = br#"{"Records":["#;
const CLOSE: &[u8] = b"]}";

impl LogFileBuilder {
    /// A log file without events.
    pub fn new() -> Self {
        let mut gzip = GzipWriter::new();
        gzip.write(OPEN);
        Self { gzip, records: 0, times: None }
    }

    /// Adds an event by its line, which is one JSON object.
    pub fn push(&mut self, line: &[u8], time: Timestamp) {
        if self.records > 0 {
            self.gzip.write(b",");
        }
        self.gzip.write(line);
        self.records += 1;
        let (oldest, newest) = self.times.unwrap_or((time, time));
        self.times = Some((oldest.min(time), newest.max(time)));
    }

    /// How many events there are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How long the file is before it is compressed.
    pub fn uncompressed(&self) -> u64 {
        self.gzip.uncompressed
    }

    /// About how long the file is; what the compressor still holds is not counted.
    pub fn compressed(&self) -> usize {
        self.gzip.encoder.get_ref().get_ref().len()
    }

    /// Ends the file.
    pub fn finish(mut self) -> LogFile {
        self.gzip.write(CLOSE);
        let (bytes, hash) = self.gzip.finish();
        let (oldest, newest) = self.times.unzip();
        LogFile { bytes, hash, records: self.records, oldest, newest }
    }
}

impl Default for LogFileBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// The events of a log file, each as its line.
pub fn records(uncompressed: &[u8]) -> Result<Vec<&[u8]>, MalformedFile> {
    let mut rest = uncompressed.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE));
    let mut records = Vec::new();
    while let Some(list) = rest.filter(|list| !list.is_empty()) {
        let length = object_length(list).ok_or(MalformedFile::Records)?;
        let (record, after) = list.split_at_checked(length).ok_or(MalformedFile::Records)?;
        records.push(record);
        rest = match after.split_first() {
            None => return Ok(records),
            Some((b',', more)) if !more.is_empty() => Some(more),
            Some(_) => return Err(MalformedFile::Records),
        };
    }
    rest.map(|_| records).ok_or(MalformedFile::Records)
}

/// The leaves of a log file's events.
pub fn leaves(uncompressed: &[u8]) -> Result<Vec<Sha256Hash>, MalformedFile> {
    Ok(records(uncompressed)?.into_iter().map(leaf_hash).collect())
}

/// How long the JSON object is that the bytes begin with.
fn object_length(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(b"{") {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// Decompresses exactly one gzip member, up to a limit; a reader that stops after the first member would not see
/// what others read from a second.
pub fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, MalformedFile> {
    let mut decoder = GzDecoder::new(bytes);
    let mut uncompressed = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    (&mut decoder).take(most).read_to_end(&mut uncompressed).map_err(|_| MalformedFile::Gzip)?;
    if uncompressed.len() > limit {
        return Err(MalformedFile::TooLarge);
    }
    if decoder.into_inner().is_empty() { Ok(uncompressed) } else { Err(MalformedFile::Trailing) }
}

/// Compresses a whole file as one member, the same bytes each time.
pub fn compress(uncompressed: &[u8]) -> (Vec<u8>, Sha256Hash) {
    let mut gzip = GzipWriter::new();
    gzip.write(uncompressed);
    gzip.finish()
}

/// A gzip member being written, without a time or a system in its header.
#[derive(Debug)]
struct GzipWriter {
    /// Written to in long pieces: with every write, the encoder clears the room for what it may give.
    encoder: BufWriter<GzEncoder<Vec<u8>>>,
    hash: Sha256,
    uncompressed: u64,
}

/// Events repeat themselves: higher levels cost more than they save.
const LEVEL: u32 = 3;
const PIECE: usize = 64 * 1024;
/// RFC 1952: unknown.
const NO_SYSTEM: u8 = 255;

impl GzipWriter {
    fn new() -> Self {
        let builder = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM);
        let encoder = BufWriter::with_capacity(PIECE, builder.write(Vec::new(), Compression::new(LEVEL)));
        Self { encoder, hash: Sha256::new(), uncompressed: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        // Memory takes every byte. Were one lost, the hash would not fit and the read-back would say so.
        if self.encoder.write_all(bytes).is_ok() {
            self.hash.update(bytes);
            self.uncompressed = self.uncompressed.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
    }

    fn finish(self) -> (Vec<u8>, Sha256Hash) {
        let compressed = self.encoder.into_inner().map_err(io::Error::from).and_then(GzEncoder::finish);
        (compressed.unwrap_or_default(), self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 1 << 20;

    fn file(lines: &[&str]) -> LogFile {
        let mut builder = LogFileBuilder::new();
        for (index, line) in lines.iter().enumerate() {
            builder.push(line.as_bytes(), Timestamp::from_seconds(100 - index as i64));
        }
        builder.finish()
    }

    #[test]
    fn a_log_file_holds_the_events_in_their_order() {
        let lines = [r#"{"a":"},{"}"#, r#"{"b":[{"c":"\"]}"}]}"#, "{}"];
        let file = file(&lines);
        let text = decompress(&file.bytes, MOST).unwrap();
        assert_eq!(text, format!(r#"{{"Records":[{}]}}"#, lines.join(",")).as_bytes());
        assert_eq!(file.hash, <Sha256Hash>::from(Sha256::digest(&text)));
        assert_eq!(records(&text).unwrap(), lines.map(str::as_bytes));
        assert_eq!(leaves(&text).unwrap(), lines.map(|line| leaf_hash(line.as_bytes())));
        assert_eq!((file.records, file.oldest, file.newest), (3, Some(at(98)), Some(at(100))));
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn the_same_events_make_the_same_bytes() {
        let bytes = file(&["{}", "{}"]).bytes;
        assert_eq!(bytes, file(&["{}", "{}"]).bytes);
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, bytes[8], 255]);
    }

    #[test]
    fn a_log_file_without_events_is_still_one() {
        let empty = LogFileBuilder::new().finish();
        let text = decompress(&empty.bytes, MOST).unwrap();
        assert_eq!(records(&text).unwrap(), Vec::<&[u8]>::new());
        assert_eq!((empty.oldest, empty.newest), (None, None));
    }

    #[test]
    fn nothing_is_hidden_behind_the_first_member() {
        let bytes = file(&["{}"]).bytes;
        for tail in [&b"x"[..], &b"\0"[..], &bytes] {
            assert_eq!(decompress(&[&bytes, tail].concat(), MOST), Err(MalformedFile::Trailing));
        }
        assert_eq!(decompress(&bytes[..bytes.len() - 1], MOST), Err(MalformedFile::Gzip));
        assert_eq!(decompress(b"", MOST), Err(MalformedFile::Gzip));
        assert_eq!(decompress(b"{\"Records\":[]}", MOST), Err(MalformedFile::Gzip));
        assert_eq!(decompress(&bytes, 10), Err(MalformedFile::TooLarge));
    }

    #[test]
    fn what_is_not_a_list_of_objects_holds_no_events() {
        for bad in [
            "",
            "{}",
            r#"{"Records":[]"#,
            r#"{"Records":[1]}"#,
            r#"{"Records":[{},]}"#,
            r#"{"Records":[{}{}]}"#,
            r#"{"Records":[{}, {}]}"#,
            r#"{"Records":[{}],"x":[{}]}"#,
            r#" {"Records":[]}"#,
            r#"{"Records":[]} "#,
            r#"{"Records":[{]}"#,
        ] {
            assert_eq!(records(bad.as_bytes()), Err(MalformedFile::Records), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let wrapped = [OPEN, bytes.as_slice(), CLOSE].concat();
            drop(records(&bytes));
            let read = records(&wrapped).map(|lines| [OPEN, &lines.join(&b','), CLOSE].concat());
            prop_assert!(read.is_err() || read == Ok(wrapped));
            prop_assert!(decompress(&bytes, MOST).is_err() || bytes.starts_with(&[0x1f, 0x8b]));
            let (packed, _) = compress(&bytes);
            prop_assert_eq!(decompress(&packed, MOST), Ok(bytes));
        }
    }
}
