//! Bodies on their way between a connection and the disk, never whole in memory.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Error, S3Result, s3_error};
use tokio::task::JoinHandle;

use super::bucket::DevBucket;
use super::digest::{BodyDigest, RunningDigest};
use super::faults::{internal, named};
use super::record::{BodySegment, ObjectHeaders, ObjectRecord, StoredAlgorithm};
use super::store::{on_disk, random_name};

/// How much is written or read at a time, and the most that a body below it is read in one go.
const BATCH: usize = 256 * 1024;

/// A body that arrives.
pub(crate) struct IncomingBody {
    sink: BodySink,
    rest: Vec<Bytes>,
}

/// A body on disk that no record names yet; it is removed unless it is kept.
#[must_use]
pub(crate) struct BodyOnDisk {
    pub body: UnnamedBody,
    pub size: u64,
    pub digested: BodyDigest,
}

/// A body's name while no record holds it.
pub(crate) struct UnnamedBody {
    bucket: Arc<DevBucket>,
    name: Option<String>,
}

impl UnnamedBody {
    /// Makes up a name.
    pub(crate) fn new(bucket: &Arc<DevBucket>) -> S3Result<Self> {
        Ok(Self { bucket: bucket.clone(), name: Some(random_name()?) })
    }

    /// The name, while it is not kept.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Leaves the body to the record that names it.
    pub(crate) fn keep(mut self) -> String {
        self.name.take().unwrap_or_default()
    }
}

impl Drop for UnnamedBody {
    fn drop(&mut self) {
        self.bucket.directory.remove_bodies(self.name.as_deref());
    }
}

struct BodySink {
    body: UnnamedBody,
    file: Option<File>,
    size: u64,
    digest: RunningDigest,
}

impl BodySink {
    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.body.bucket.directory.create_body(self.body.name())?),
        };
        for bytes in batch {
            self.digest.update(bytes);
            file.write_all(bytes)?;
            self.size += bytes.len() as u64;
        }
        Ok(())
    }
}

impl IncomingBody {
    /// Takes a body in, writing a batch while the next one arrives. The last batch is left to `finish`.
    pub(crate) async fn receive(
        bucket: &Arc<DevBucket>,
        body: Option<StreamingBlob>,
        algorithm: StoredAlgorithm,
    ) -> S3Result<Self> {
        let sink =
            BodySink { body: UnnamedBody::new(bucket)?, file: None, size: 0, digest: RunningDigest::new(algorithm) };
        let mut writing = SinkState::Resting(Box::new(sink));
        let (mut batch, mut gathered) = (Vec::new(), 0);
        if let Some(mut body) = body {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(|error| cut_short(&*error))?;
                gathered += bytes.len();
                batch.push(bytes);
                if gathered >= BATCH {
                    writing = writing.write(std::mem::take(&mut batch)).await?;
                    gathered = 0;
                }
            }
        }
        let sink = writing.rest().await?;
        Ok(Self { sink: *sink, rest: batch })
    }

    /// Writes what is left; blocks.
    pub(crate) fn finish(mut self) -> S3Result<BodyOnDisk> {
        self.sink.write(&self.rest).map_err(internal)?;
        let BodySink { body, size, digest, .. } = self.sink;
        Ok(BodyOnDisk { body, size, digested: digest.finish() })
    }

    /// Copies a range of an object into a new body; blocks.
    pub(crate) fn copy(
        source: &BodySource,
        target: &Arc<DevBucket>,
        range: Range<u64>,
        algorithm: StoredAlgorithm,
    ) -> S3Result<BodyOnDisk> {
        let digest = RunningDigest::new(algorithm);
        let mut sink = BodySink { body: UnnamedBody::new(target)?, file: None, size: 0, digest };
        for slice in slices(&source.segments, range) {
            let file = source.bucket.directory.open_body(&slice.body).map_err(internal)?;
            let mut at = slice.range.start;
            while at < slice.range.end {
                let bytes = read_at(&file, at..slice.range.end).map_err(internal)?;
                at += bytes.len() as u64;
                sink.write(&[bytes]).map_err(internal)?;
            }
        }
        Self { sink, rest: Vec::new() }.finish()
    }
}

impl BodyOnDisk {
    /// The object that has this body and no other.
    pub(crate) fn object(&self, description: ObjectHeaders, tags: Vec<(String, String)>) -> ObjectRecord {
        ObjectRecord {
            size: self.size,
            etag: self.digested.etag(),
            checksum: Some(self.digested.checksum.clone()),
            segments: vec![BodySegment { body: self.body.name().to_owned(), size: self.size, part: None }],
            description,
            tags,
        }
    }
}

/// The state of the disk's side of a body that arrives.
enum SinkState {
    Busy(JoinHandle<S3Result<Box<BodySink>>>),
    Resting(Box<BodySink>),
}

impl SinkState {
    async fn write(self, batch: Vec<Bytes>) -> S3Result<Self> {
        let mut sink = self.rest().await?;
        Ok(Self::Busy(tokio::task::spawn_blocking(move || sink.write(&batch).map(|()| sink).map_err(internal))))
    }

    async fn rest(self) -> S3Result<Box<BodySink>> {
        match self {
            Self::Busy(writing) => writing.await.map_err(S3Error::internal_error)?,
            Self::Resting(sink) => Ok(sink),
        }
    }
}

/// Whose bytes to read.
#[derive(Clone, Debug)]
pub(crate) struct BodySource {
    pub bucket: Arc<DevBucket>,
    pub segments: Vec<BodySegment>,
}

impl BodySource {
    /// Sends a range of an object: at once when it is short, else batch by batch as the client takes it.
    ///
    /// `Ok(None)` says that the first body is gone: the version was replaced or destroyed since it was found.
    pub(crate) async fn send(self, range: Range<u64>) -> S3Result<Option<StreamingBlob>> {
        let short = range.end - range.start <= BATCH as u64;
        let slices = slices(&self.segments, range);
        let first = on_disk(move || {
            let mut reader = BodyReader { bucket: self.bucket, slices: slices.into_iter(), open: None };
            let first = if short { reader.read_all() } else { reader.read_batch().map(Option::unwrap_or_default) };
            match first {
                Ok(first) => Ok(Some((first, reader))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(internal(error)),
            }
        });
        let Some((first, reader)) = first.await? else { return Ok(None) };
        if short {
            return Ok(Some(Body::from(first).into()));
        }
        let rest = stream::try_unfold(reader, |mut reader| async move {
            let read = move || reader.read_batch().map(|batch| batch.map(|bytes| (bytes, reader)));
            tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
        });
        Ok(Some(StreamingBlob::wrap(stream::iter([Ok(first)]).chain(rest))))
    }
}

struct BodyReader {
    bucket: Arc<DevBucket>,
    slices: std::vec::IntoIter<BodySlice>,
    open: Option<(File, Range<u64>)>,
}

impl BodyReader {
    fn read_batch(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some((file, range)) = &mut self.open
                && !range.is_empty()
            {
                let bytes = read_at(file, range.clone())?;
                range.start += bytes.len() as u64;
                return Ok(Some(bytes));
            }
            let Some(slice) = self.slices.next() else { return Ok(None) };
            self.open = Some((self.bucket.directory.open_body(&slice.body)?, slice.range));
        }
    }

    fn read_all(&mut self) -> io::Result<Bytes> {
        let mut all = self.read_batch()?.unwrap_or_default();
        while let Some(more) = self.read_batch()? {
            let mut joined = BytesMut::from(all);
            joined.extend_from_slice(&more);
            all = joined.freeze();
        }
        Ok(all)
    }
}

/// Reads from a range, up to one batch.
fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(BATCH);
    let mut bytes = Vec::with_capacity(length);
    let mut at = PositionedFile { file, position: range.start }.take(length as u64);
    // Reading to the end of a `Take` fills the reserved space without clearing it first.
    if at.read_to_end(&mut bytes)? < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

struct PositionedFile<'a> {
    file: &'a File,
    position: u64,
}

impl Read for PositionedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// A range of one body.
#[derive(Debug, PartialEq, Eq)]
struct BodySlice {
    body: String,
    range: Range<u64>,
}

fn slices(segments: &[BodySegment], range: Range<u64>) -> Vec<BodySlice> {
    let mut slices = Vec::new();
    let mut before = 0;
    for segment in segments {
        let start = range.start.max(before);
        let end = range.end.min(before + segment.size);
        if start < end {
            slices.push(BodySlice { body: segment.body.clone(), range: start - before..end - before });
        }
        before += segment.size;
    }
    slices
}

/// What a body that ended in an error tells the client; s3s keeps the errors' types to itself.
fn cut_short(error: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let text = error.to_string();
    if text.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided. Check your key and signing \
             method."
        );
    }
    if text.contains("Sha256Mismatch") {
        return named(
            "XAmzContentSHA256Mismatch",
            http::StatusCode::BAD_REQUEST,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
    }
    s3_error!(IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(sizes: &[u64]) -> Vec<BodySegment> {
        ('a'..).zip(sizes).map(|(body, size)| BodySegment { body: body.into(), size: *size, part: None }).collect()
    }

    #[test]
    fn a_range_takes_from_each_segment_what_it_covers() {
        let slice = |body: &str, range| BodySlice { body: body.into(), range };
        let three = segments(&[4, 0, 6]);
        assert_eq!(slices(&three, 0..10), [slice("a", 0..4), slice("c", 0..6)]);
        assert_eq!(slices(&three, 3..5), [slice("a", 3..4), slice("c", 0..1)]);
        assert_eq!(slices(&three, 4..10), [slice("c", 0..6)]);
        assert_eq!(slices(&three, 9..10), [slice("c", 5..6)]);
        assert_eq!(slices(&three, 10..10), []);
    }
}
