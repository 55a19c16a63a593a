//! Timeouts of a client's connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{AwaitedPart, ClientWait, ConnectionProgress, CountedStream};
use super::deadline::{Deadline, DeadlinePassed};

/// The timeouts of one client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    /// For a head to be complete.
    pub head: Duration,
    /// For the next request.
    pub next: Duration,
    /// For the client to take any of what is written to it.
    pub write: Duration,
}

/// A client's stream that ends at a timeout.
///
/// hyper's own limit for a head runs while a connection idles as well, so it would cut off the idle
/// connections that clients keep for their next request.
pub(super) struct TimedStream<S> {
    stream: CountedStream<S>,
    progress: Arc<ConnectionProgress>,
    timeouts: ClientTimeouts,
    /// What `reading` was set for.
    waiting: Option<ClientWait>,
    reading: Deadline,
    writing: Deadline,
    /// Whether the client has said its last.
    ended: bool,
    /// Whether all that hyper wrote has left.
    flushed: bool,
    /// What is left of a `100 Continue` that is being written.
    interim: &'static [u8],
    linger: LingerLimits,
    closing: ClosingStage,
}

/// How far the end of a connection is.
enum ClosingStage {
    NotYet,
    /// The reply is out, and what the client still sends is read and dropped; this much at most.
    Lingering {
        left: u64,
        until: Deadline,
    },
    Done,
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How far a client that was refused may go on sending, so that it reads its reply: a socket that is closed with something
/// unread is reset, and the reply is lost with it.
#[derive(Clone, Copy, Debug)]
struct LingerLimits {
    whole: Duration,
    silence: Duration,
    bytes: u64,
}

const LINGER: LingerLimits =
    LingerLimits { whole: Duration::from_secs(30), silence: Duration::from_secs(2), bytes: 1 << 30 };

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, progress: Arc<ConnectionProgress>, timeouts: ClientTimeouts) -> Self {
        let counted = CountedStream::new(stream, progress.clone());
        let (reading, writing) = (Deadline::default(), Deadline::default());
        Self {
            stream: counted,
            progress,
            timeouts,
            waiting: None,
            reading,
            writing,
            ended: false,
            flushed: true,
            interim: &[],
            linger: LINGER,
            closing: ClosingStage::NotYet,
        }
    }

    /// Whether what is awaited has been awaited for too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<AwaitedPart> {
        let waiting = self.progress.waiting();
        if self.waiting.replace(waiting) != Some(waiting) {
            match waiting.awaited {
                AwaitedPart::Body => self.reading.clear(),
                AwaitedPart::First | AwaitedPart::Head => self.reading.set(self.timeouts.head),
                AwaitedPart::Next => self.reading.set(self.timeouts.next),
            }
        }
        self.reading.poll(cx).map(|DeadlinePassed| waiting.awaited)
    }

    /// Lets a write wait only as long as the client takes something now and then.
    fn poll_taken<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.writing.clear();
            self.expect_more(cx);
            return outcome;
        }
        if self.writing.moment().is_none() {
            self.writing.set(self.timeouts.write);
        }
        self.writing.poll(cx).map(|DeadlinePassed| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Begins to wait for the next request once a reply is written: hyper does not look at what it reads from again.
    fn expect_more(&mut self, cx: &mut Context<'_>) {
        if self.waiting.is_some_and(|waiting| waiting.awaited == AwaitedPart::Body) && self.poll_overdue(cx).is_ready()
        {
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncWrite + Unpin> TimedStream<S> {
    /// Writes the `100 Continue` that is owed, if it can stand before the reply: not while an earlier reply is under way.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress.take_continue() && self.flushed {
            self.interim = CONTINUE;
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = self.interim.get(written..).unwrap_or(&[]);
        }
        Poll::Ready(Ok(()))
    }

    /// Sees to it that what is owed goes out first; what is not ready then is waited for in the place of the write.
    fn poll_before_write(&mut self, cx: &mut Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let outcome = match self.poll_interim(cx) {
            Poll::Ready(Ok(())) => {
                self.flushed = false;
                return None;
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        Some(self.poll_taken(cx, outcome))
    }

    /// Sends the pending `100 Continue` before there is a reply; errors show when the reply is written.
    fn send_interim(&mut self, cx: &mut Context<'_>) {
        if (self.progress.owes_continue() || !self.interim.is_empty()) && self.poll_interim(cx).is_ready() {
            drop(Pin::new(&mut self.stream).poll_flush(cx));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TimedStream<S> {
    /// Reads and drops what the client still sends, within limits.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ClosingStage::Lingering { left, until } = &mut self.closing else { return Poll::Ready(()) };
        let mut space = [0; 16 * 1024];
        loop {
            if until.poll(cx).is_ready() || *left == 0 {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_discard(cx, &mut buffer) {
                Poll::Pending => return self.reading.poll(cx).map(|DeadlinePassed| ()),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {
                    *left = left.saturating_sub(u64::try_from(buffer.filled().len()).unwrap_or(u64::MAX));
                    self.reading.set(self.linger.silence);
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.send_interim(cx);
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(read) = &outcome {
            self.ended |= read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
            return outcome;
        }
        match std::task::ready!(self.poll_overdue(cx)) {
            AwaitedPart::Body => Poll::Pending,
            // As if the client had left, which ends the connection in order, unless half a head came before its time.
            AwaitedPart::First | AwaitedPart::Next => {
                self.progress.time_out();
                Poll::Ready(Ok(()))
            }
            AwaitedPart::Head => {
                self.progress.time_out();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(waiting) = self.poll_before_write(cx) {
            return waiting;
        }
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_taken(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.flushed |= matches!(outcome, Poll::Ready(Ok(())));
        self.poll_taken(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let ClosingStage::NotYet = self.closing {
            let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.poll_taken(cx, outcome))?;
            self.closing = if self.ended || self.progress.timed_out() {
                ClosingStage::Done
            } else {
                let mut until = Deadline::default();
                until.set(self.linger.whole);
                let silence = self.linger.silence;
                self.reading.set(silence);
                ClosingStage::Lingering { left: self.linger.bytes, until }
            };
        }
        ready!(self.poll_linger(cx));
        self.closing = ClosingStage::Done;
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(waiting) = self.poll_before_write(cx) {
            return waiting;
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_taken(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    const PATIENCE: ClientTimeouts =
        ClientTimeouts { head: Duration::from_secs(10), next: Duration::from_secs(75), write: Duration::from_secs(30) };
    const NONE: ClientTimeouts = ClientTimeouts { head: Duration::ZERO, next: Duration::ZERO, write: Duration::ZERO };

    fn connection(timeouts: ClientTimeouts) -> (DuplexStream, TimedStream<DuplexStream>, Arc<ConnectionProgress>) {
        let (client, proxy) = tokio::io::duplex(64);
        let progress = Arc::new(ConnectionProgress::default());
        (client, TimedStream::new(proxy, progress.clone(), timeouts), progress)
    }

    /// Reads what is there, and then waits for more.
    fn poll(watched: &mut TimedStream<DuplexStream>) -> Poll<io::Result<usize>> {
        let mut space = [0; 64];
        let mut buffer = ReadBuf::new(&mut space);
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(outcome) = Pin::new(&mut *watched).poll_read(&mut cx, &mut buffer) {
            match outcome {
                Ok(()) if !buffer.filled().is_empty() => buffer.clear(),
                Ok(()) => return Poll::Ready(Ok(0)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    /// The moment until which the connection may be silent.
    fn until(watched: &TimedStream<DuplexStream>) -> Option<Instant> {
        watched.reading.moment()
    }

    /// How many seconds the connection may be silent from now on.
    fn left(watched: &mut TimedStream<DuplexStream>) -> Option<u64> {
        assert!(poll(watched).is_pending());
        let left = until(watched)?.saturating_duration_since(Instant::now());
        Some(left.as_secs_f64().round() as u64)
    }

    #[tokio::test]
    async fn a_head_has_its_time_from_its_first_byte_on_however_many_follow() {
        let (mut client, mut watched, _) = connection(PATIENCE);
        client.write_all(b"G").await.expect("written");
        assert_eq!(left(&mut watched), Some(10));
        let first = until(&watched);
        client.write_all(b"ET").await.expect("written");
        assert!(poll(&mut watched).is_pending());
        assert_eq!(until(&watched), first);
    }

    #[tokio::test]
    async fn an_idle_connection_lives_longer_than_a_head_may_take() {
        let (mut client, mut watched, progress) = connection(PATIENCE);
        assert_eq!(left(&mut watched), Some(10), "nothing came yet");
        client.write_all(b"GET / HTTP/1.1").await.expect("written");
        assert!(poll(&mut watched).is_pending());
        progress.begin();
        assert_eq!(left(&mut watched), None, "the one who answers decides how long it takes");
        progress.end();
        assert_eq!(left(&mut watched), Some(75));
        client.write_all(b"GET").await.expect("written");
        assert_eq!(left(&mut watched), Some(10), "the second head has the time of the first");
    }

    #[tokio::test]
    async fn a_connection_that_idles_too_long_ends_in_order() {
        for requests in [0, 1] {
            let (_client, mut watched, progress) = connection(NONE);
            if requests > 0 {
                progress.begin();
                progress.end();
            }
            assert_eq!(watched.read(&mut [0; 8]).await.ok(), Some(0));
            assert_eq!(progress.unaccounted(), 0);
        }
    }

    #[tokio::test]
    async fn a_head_that_takes_too_long_is_a_failure_with_its_bytes() {
        let (mut client, mut watched, progress) = connection(NONE);
        client.write_all(b"GET").await.expect("written");
        assert_eq!(watched.read(&mut [0; 8]).await.ok(), Some(3));
        let outcome = watched.read(&mut [0; 8]).await;
        assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert_eq!((progress.timed_out(), progress.unaccounted()), (true, 3));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_of_its_reply_loses_its_connection() {
        let (mut client, mut watched, _) = connection(NONE);
        let outcome = watched.write_all(&[7; 65]).await;
        assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        let (mut slow, mut patient, _) = connection(PATIENCE);
        let (reply, mut taken) = ([7; 640], [0; 640]);
        let (written, read) = tokio::join!(patient.write_all(&reply), slow.read_exact(&mut taken));
        assert!(written.is_ok() && read.is_ok());
        assert!(patient.writing.moment().is_none(), "each byte taken starts the time again");
        drop(client.read(&mut [0; 8]).await);
    }

    async fn shut_down(mut watched: TimedStream<DuplexStream>) -> io::Result<()> {
        watched.shutdown().await
    }

    #[tokio::test]
    async fn a_client_that_still_sends_is_heard_out_before_its_connection_closes() {
        let (mut client, watched, progress) = connection(PATIENCE);
        progress.begin();
        progress.end();
        let closing = tokio::spawn(shut_down(watched));
        // Far more than the connection buffers at once: it is accepted although no task reads it.
        client.write_all(&[7; 4096]).await.expect("taken");
        assert_eq!(client.read(&mut [0; 8]).await.ok(), Some(0), "the reply is over meanwhile");
        assert!(!closing.is_finished());
        drop(client);
        closing.await.expect("in order").expect("closed");
        assert_eq!(progress.unaccounted(), 0, "what is dropped is no request");
    }

    #[tokio::test]
    async fn a_client_that_falls_silent_or_never_ends_is_not_heard_out() {
        let hour = Duration::from_secs(3600);
        for linger in [
            LingerLimits { whole: hour, silence: Duration::ZERO, bytes: u64::MAX },
            LingerLimits { whole: Duration::ZERO, silence: hour, bytes: u64::MAX },
            LingerLimits { whole: hour, silence: hour, bytes: 3 },
        ] {
            let (mut client, mut watched, _) = connection(PATIENCE);
            watched.linger = linger;
            client.write_all(b"more").await.expect("written");
            shut_down(watched).await.expect("closed");
            assert!(client.write_all(b"x").await.is_err(), "{linger:?}");
        }
    }

    #[tokio::test]
    async fn a_client_that_left_or_idled_is_not_waited_for() {
        let (client, mut left, _) = connection(PATIENCE);
        drop(client);
        assert_eq!(left.read(&mut [0; 8]).await.ok(), Some(0));
        shut_down(left).await.expect("closed");
        let (_client, mut idle, progress) = connection(NONE);
        assert_eq!(idle.read(&mut [0; 8]).await.ok(), Some(0));
        assert!(progress.timed_out());
        shut_down(idle).await.expect("closed");
    }

    #[tokio::test]
    async fn a_client_that_waits_to_send_nothing_is_told_to_go_on_before_its_reply() {
        let (mut client, mut watched, progress) = connection(PATIENCE);
        progress.begin();
        progress.owe_continue();
        assert!(poll(&mut watched).is_pending());
        let mut told = [0; 25];
        client.read_exact(&mut told).await.expect("told at once");
        assert_eq!(told, CONTINUE);
        watched.write_all(b"reply").await.expect("written");
        let mut reply = [0; 5];
        client.read_exact(&mut reply).await.expect("a reply");
        assert_eq!(&reply, b"reply", "it is told once");
    }

    #[tokio::test]
    async fn nothing_is_told_within_an_earlier_reply() {
        let (mut client, mut watched, progress) = connection(PATIENCE);
        watched.write_all(b"an earlier re").await.expect("written");
        progress.owe_continue();
        watched.write_all(b"ply").await.expect("written");
        watched.flush().await.expect("flushed");
        let mut reply = [0; 16];
        client.read_exact(&mut reply).await.expect("a reply");
        assert_eq!(&reply, b"an earlier reply");
    }
}
