//! The body of a request to the upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a request to the upstream.
pub enum UploadBody {
    /// A document that we wrote, or nothing.
    Document(Bytes),
    /// Object data as it comes from the client, of a length known beforehand.
    Payload { source: PayloadStream, length: u64, progress: Arc<AtomicU64> },
}

/// Object data on its way through.
pub type PayloadStream = Pin<Box<dyn Body<Data = Bytes, Error = BodyInterrupted> + Send>>;

/// The client's body did not arrive whole and right; the upstream is told nothing but its absence.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the body was interrupted")]
pub struct BodyInterrupted;

impl UploadBody {
    /// No body.
    pub fn empty() -> Self {
        Self::Document(Bytes::new())
    }

    /// Whether nothing will come.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Document(bytes) => bytes.is_empty(),
            Self::Payload { length, .. } => *length == 0,
        }
    }

    /// Object data that counts its slices in `progress` as they go out.
    pub fn payload(source: PayloadStream, length: u64, progress: &Arc<AtomicU64>) -> Self {
        Self::Payload { source, length, progress: progress.clone() }
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
            Self::Payload { source, progress, .. } => {
                progress.fetch_add(1, Ordering::Relaxed);
                source.as_mut().poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Document(bytes) => bytes.is_empty(),
            Self::Payload { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Document(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::Payload { length, .. } => SizeHint::with_exact(*length),
        }
    }
}

impl std::fmt::Debug for UploadBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document(bytes) => write!(out, "Document({})", bytes.len()),
            Self::Payload { length, .. } => write!(out, "Payload({length})"),
        }
    }
}
