//! The body of a reply: its record is written before its last byte goes out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

use super::keep_alive::KeepAliveBody;
use super::recording::{RecordDuty, RecordWait};
use crate::failure::Failure;
use portcullis_audit::{Draft, OutcomeError, RequestOutcome};
use portcullis_http::ConnectionProgress;
use portcullis_journal::{Journal, JournalClosed, Sequence};
use portcullis_upstream::Download;

/// The body of a reply.
pub struct ReplyBody {
    content: ReplyContent,
    /// Told when the reply ends, so that later bytes of the connection count as another request's.
    progress: Arc<ConnectionProgress>,
}

enum ReplyContent {
    KeptAlive(Box<KeepAliveBody>),
    Stream(Box<RecordedDownload>),
    Whole(Bytes),
}

/// The upstream cut off its answer, so the reply is cut off too.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the upstream closed the connection in the middle of its answer")]
pub struct UpstreamCutOff;

impl ReplyBody {
    /// A body whose record is written.
    pub fn whole(bytes: Bytes, progress: Arc<ConnectionProgress>) -> Self {
        Self { content: ReplyContent::Whole(bytes), progress }
    }

    /// A body that begins before its content is known.
    pub(super) fn kept_alive(body: KeepAliveBody, progress: Arc<ConnectionProgress>) -> Self {
        Self { content: ReplyContent::KeptAlive(Box::new(body)), progress }
    }

    /// The rest of a body whose record is written.
    pub(super) fn into_whole(mut self) -> Option<Bytes> {
        match &mut self.content {
            ReplyContent::Whole(bytes) => Some(std::mem::take(bytes)),
            ReplyContent::KeptAlive(_) | ReplyContent::Stream(_) => None,
        }
    }

    /// A body that is recorded before its last byte goes out.
    pub fn stream(recorded: RecordedDownload, progress: Arc<ConnectionProgress>) -> Self {
        Self { content: ReplyContent::Stream(Box::new(recorded)), progress }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = UpstreamCutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamCutOff>>> {
        match &mut self.content {
            ReplyContent::KeptAlive(body) => body.poll_frame(cx),
            ReplyContent::Stream(recorded) => recorded.poll_frame(cx),
            ReplyContent::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ReplyContent::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            ReplyContent::KeptAlive(body) => body.is_over(),
            ReplyContent::Stream(recorded) => recorded.is_over(),
            ReplyContent::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ReplyContent::KeptAlive(_) => SizeHint::new(),
            ReplyContent::Stream(recorded) => recorded.download.size_hint(),
            ReplyContent::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.progress.end();
    }
}

/// An upstream's answer on its way to the client, with the draft that its end closes.
pub struct RecordedDownload {
    download: Download,
    draft: Option<Draft>,
    outcome: RequestOutcome,
    journal: Arc<Journal>,
    duty: RecordDuty,
    /// The last frame, which waits for its record.
    waiting: Option<WaitingFrame>,
}

/// Whether the draft is closed.
enum DraftEnd {
    Before,
    Lost,
    Recorded(Sequence),
}

struct WaitingFrame {
    frame: Option<Frame<Bytes>>,
    durable: Pin<Box<dyn Future<Output = Result<(), JournalClosed>> + Send>>,
}

impl RecordedDownload {
    /// An answer whose draft is closed with `outcome` and the number of bytes that were sent.
    pub(super) fn new(
        download: Download,
        draft: Draft,
        outcome: RequestOutcome,
        journal: Arc<Journal>,
        duty: RecordDuty,
    ) -> Self {
        Self { download, draft: Some(draft), outcome, journal, duty, waiting: None }
    }

    fn is_over(&self) -> bool {
        self.draft.is_none() && self.waiting.is_none() && self.download.is_end_stream()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamCutOff>>> {
        if self.waiting.is_none() {
            let frame = match ready!(Pin::new(&mut self.download).poll_frame(cx)) {
                Some(Ok(frame)) => Some(frame),
                Some(Err(_)) => {
                    self.outcome.error = Some(broken_off());
                    self.end_early();
                    return Poll::Ready(Some(Err(UpstreamCutOff)));
                }
                None => None,
            };
            let length = frame.as_ref().and_then(|frame| frame.data_ref()).map_or(0, Bytes::len);
            self.outcome.bytes_out += u64::try_from(length).unwrap_or(0);
            if frame.is_some() && !self.download.is_end_stream() {
                return Poll::Ready(frame.map(Ok));
            }
            match (self.close(), self.duty.wait) {
                (DraftEnd::Recorded(sequence), RecordWait::Disk) => {
                    let durable = Box::pin(self.journal.durable(sequence));
                    self.waiting = Some(WaitingFrame { frame, durable });
                }
                (DraftEnd::Recorded(_), RecordWait::System) | (DraftEnd::Before, _) => {
                    return Poll::Ready(frame.map(Ok));
                }
                (DraftEnd::Lost, _) => return Poll::Ready(self.unrecorded(frame)),
            }
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(None) };
        let durable = ready!(waiting.durable.as_mut().poll(cx));
        let frame = self.waiting.take().and_then(|waiting| waiting.frame);
        match durable {
            Ok(()) => Poll::Ready(frame.map(Ok)),
            Err(JournalClosed) => Poll::Ready(self.unrecorded(frame)),
        }
    }

    fn close(&mut self) -> DraftEnd {
        match self.draft.take().map(|draft| draft.close(&self.outcome)) {
            None => DraftEnd::Before,
            Some(Ok(sequence)) => DraftEnd::Recorded(sequence),
            Some(Err(JournalClosed)) => DraftEnd::Lost,
        }
    }

    /// Closes the draft of a reply that is cut off; whether it could be recorded changes nothing.
    fn end_early(&mut self) {
        if let DraftEnd::Lost = self.close() {
            tracing::error!("a reply that broke off could not be recorded");
        }
    }

    /// The last frame, if a reply may be complete without a record.
    fn unrecorded(&self, frame: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, UpstreamCutOff>> {
        match self.duty.lost(Failure::Unrecorded) {
            Ok(()) => frame.map(Ok),
            Err(_) => Some(Err(UpstreamCutOff)),
        }
    }
}

impl Drop for RecordedDownload {
    fn drop(&mut self) {
        if self.draft.is_some() {
            self.outcome.error = Some(OutcomeError {
                code: "RequestAbandoned".to_owned(),
                message: "The client left before the reply was complete".to_owned(),
            });
            self.end_early();
        }
    }
}

fn broken_off() -> OutcomeError {
    OutcomeError {
        code: "InternalError".to_owned(),
        message: "The storage behind the proxy broke off in the middle of its answer".to_owned(),
    }
}
