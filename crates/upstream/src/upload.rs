//! The body of a request to the upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::chunks::{ChunkEncoder, ChunkFraming, ChunkSigner};
use portcullis_http::BodyInterrupted;

/// The body of a request to the upstream.
pub enum UploadBody {
    /// A document that we wrote, or nothing.
    Document(Bytes),
    /// Object data as it comes from the client.
    Payload(ObjectUpload),
}

/// Object data on its way to the upstream: its frames and its progress are kept here, so that between the client's
/// connection and the upstream's it has two layers, its intake and this.
pub struct ObjectUpload {
    source: PayloadStream,
    /// On the wire, with the frames.
    length: u64,
    frames: Option<Box<ChunkEncoder>>,
    /// Counts the slices that went out.
    progress: Arc<AtomicU64>,
}

/// Object data on its way through.
pub type PayloadStream = Pin<Box<dyn Body<Data = Bytes, Error = BodyInterrupted> + Send>>;

impl UploadBody {
    /// No body.
    pub fn empty() -> Self {
        Self::Document(Bytes::new())
    }

    /// Whether nothing will come.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Document(bytes) => bytes.is_empty(),
            Self::Payload(upload) => upload.length == 0,
        }
    }

    /// Object data that counts its slices in `progress` as they go out.
    pub fn payload(source: PayloadStream, length: u64, progress: &Arc<AtomicU64>) -> Self {
        Self::Payload(ObjectUpload { source, length, frames: None, progress: progress.clone() })
    }

    /// The same object data in chunks.
    pub(crate) fn in_chunks(self, framing: &ChunkFraming, signer: impl FnOnce() -> ChunkSigner) -> Self {
        match self {
            Self::Document(bytes) => Self::Document(bytes),
            Self::Payload(upload) => {
                let frames = Some(Box::new(ChunkEncoder::new(upload.length, framing, signer)));
                Self::Payload(ObjectUpload { length: framing.encoded_length(upload.length), frames, ..upload })
            }
        }
    }
}

impl ObjectUpload {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyInterrupted>>> {
        self.progress.fetch_add(1, Ordering::Relaxed);
        let Some(frames) = &mut self.frames else { return self.source.as_mut().poll_frame(cx) };
        loop {
            match frames.next() {
                Ok(Some(slice)) => return Poll::Ready(Some(Ok(Frame::data(slice)))),
                Ok(None) if frames.is_complete() => return Poll::Ready(None),
                Ok(None) => {}
                Err(interrupted) => return Poll::Ready(Some(Err(interrupted))),
            }
            match ready!(self.source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(slice) = frame.into_data()
                        && let Err(interrupted) = frames.push(slice)
                    {
                        return Poll::Ready(Some(Err(interrupted)));
                    }
                }
                Some(Err(interrupted)) => return Poll::Ready(Some(Err(interrupted))),
                None => return Poll::Ready(Some(Err(BodyInterrupted))),
            }
        }
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = BodyInterrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyInterrupted>>> {
        match &mut *self {
            Self::Document(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Document(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Payload(upload) => upload.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Document(bytes) => bytes.is_empty(),
            Self::Payload(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Document(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::Payload(upload) => SizeHint::with_exact(upload.length),
        }
    }
}

impl std::fmt::Debug for UploadBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document(bytes) => write!(out, "Document({})", bytes.len()),
            Self::Payload(upload) => write!(out, "Payload({})", upload.length),
        }
    }
}
