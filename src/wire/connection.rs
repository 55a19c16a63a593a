//! One client's connection: how much came over it, and how much of that a request accounted for.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read from a connection, and those that some request has accounted for; what is left when
/// it fails was never seen by anybody but the HTTP layer, and is recorded for that.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    accounted: AtomicU64,
}

impl Progress {
    /// Says that a request has taken all that came so far.
    pub fn account(&self) {
        self.accounted.store(self.read.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Bytes that no request has taken.
    pub fn unaccounted(&self) -> u64 {
        self.read.load(Ordering::Relaxed).saturating_sub(self.accounted.load(Ordering::Relaxed))
    }
}

pin_project! {
    /// A stream that counts what is read from it.
    #[derive(Debug)]
    pub(super) struct Counted<S> {
        #[pin]
        stream: S,
        progress: Arc<Progress>,
    }
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }
}

impl<S: AsyncRead> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        let outcome = ready!(this.stream.poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        this.progress.read.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, slices)
    }
}
