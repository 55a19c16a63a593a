//! One client's connection: how much came over it, and how much of that a request accounted for.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read from a connection, and those that some request has accounted for; what is left when
/// it fails was seen only by the HTTP layer, and is recorded for that.
#[derive(Debug, Default)]
pub struct ConnectionProgress {
    read: AtomicU64,
    accounted: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    /// When the last request began, in nanoseconds since `FIRST_LOOK`.
    active: AtomicU64,
    timed_out: AtomicBool,
    owes_continue: AtomicBool,
}

/// A moment by which others are told, since an `Instant` is no number.
static FIRST_LOOK: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long ago `FIRST_LOOK` was.
pub(super) fn moment() -> Duration {
    FIRST_LOOK.elapsed()
}

/// What is waited for when no bytes arrive, in which request of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientWait {
    pub awaited: AwaitedPart,
    request: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitedPart {
    /// A request is answered; the reader of its body has a timeout of its own.
    Body,
    /// The first byte of the connection.
    First,
    /// The rest of a head.
    Head,
    /// Another request.
    Next,
}

impl ConnectionProgress {
    /// Says that a request has taken all that came so far, and is answered from now on.
    pub fn begin(&self) {
        self.account();
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.active.store(u64::try_from(moment().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Says that the request's reply is over: what comes later is another one's.
    pub fn end(&self) {
        self.account();
        self.ended.store(self.begun.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Bytes that no request has taken.
    pub fn unaccounted(&self) -> u64 {
        self.read.load(Ordering::Relaxed).saturating_sub(self.accounted.load(Ordering::Relaxed))
    }

    /// Whether each request that began has had its reply.
    pub fn is_between_requests(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == self.ended.load(Ordering::Relaxed)
    }

    /// When the last request began; zero before the first.
    pub(super) fn last_active(&self) -> Duration {
        Duration::from_nanos(self.active.load(Ordering::Relaxed))
    }

    /// Whether the connection ended since a head did not come in time.
    pub fn timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Relaxed)
    }

    pub(super) fn time_out(&self) {
        self.timed_out.store(true, Ordering::Relaxed);
    }

    /// Says that the client waits for `100 Continue`.
    pub(super) fn owe_continue(&self) {
        self.owes_continue.store(true, Ordering::Relaxed);
    }

    /// Whether the client waits for `100 Continue`.
    pub(super) fn owes_continue(&self) -> bool {
        self.owes_continue.load(Ordering::Relaxed)
    }

    /// Whether the client waits for `100 Continue`; it is told once.
    pub(super) fn take_continue(&self) -> bool {
        // Waiters are rare, and a load is cheaper than a swap.
        self.owes_continue() && self.owes_continue.swap(false, Ordering::Relaxed)
    }

    fn account(&self) {
        self.accounted.store(self.read.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// What is awaited.
    pub(super) fn waiting(&self) -> ClientWait {
        let request = self.begun.load(Ordering::Relaxed);
        let awaited = if self.ended.load(Ordering::Relaxed) < request {
            AwaitedPart::Body
        } else if self.unaccounted() > 0 {
            AwaitedPart::Head
        } else if request == 0 {
            AwaitedPart::First
        } else {
            AwaitedPart::Next
        };
        ClientWait { awaited, request }
    }
}

pin_project! {
    /// A stream that counts what is read from it.
    #[derive(Debug)]
    pub(super) struct CountedStream<S> {
        #[pin]
        stream: S,
        progress: Arc<ConnectionProgress>,
    }
}

impl<S> CountedStream<S> {
    pub(super) fn new(stream: S, progress: Arc<ConnectionProgress>) -> Self {
        Self { stream, progress }
    }
}

impl<S: AsyncRead> CountedStream<S> {
    /// Reads what no request is made of.
    pub(super) fn poll_discard(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(cx, buffer)
    }
}

impl<S: AsyncRead> AsyncRead for CountedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        let outcome = ready!(this.stream.poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        this.progress.read.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite> AsyncWrite for CountedStream<S> {
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
