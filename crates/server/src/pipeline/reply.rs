//! The body of a reply: its record is written before its last byte goes out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

use super::keep_alive::KeptAlive;
use super::recording::{Duty, Wait};
use crate::failure::Failure;
use portcullis_audit::{Draft, Failed, Outcome};
use portcullis_http::Progress;
use portcullis_journal::{Journal, JournalClosed, Sequence};
use portcullis_upstream::Download;

/// The body of a reply.
pub struct Reply {
    content: Content,
    /// Told at the end, so that what comes later over the connection is known to be another request's.
    progress: Arc<Progress>,
}

enum Content {
    KeptAlive(Box<KeptAlive>),
    Stream(Box<Recorded>),
    Whole(Bytes),
}

/// The upstream broke off in the middle of its answer, so the reply does too.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the upstream closed the connection in the middle of its answer")]
pub struct BrokenOff;

impl Reply {
    /// A body that was recorded already.
    pub fn whole(bytes: Bytes, progress: Arc<Progress>) -> Self {
        Self { content: Content::Whole(bytes), progress }
    }

    /// A body that begins before it is known what it says.
    pub(super) fn kept_alive(body: KeptAlive, progress: Arc<Progress>) -> Self {
        Self { content: Content::KeptAlive(Box::new(body)), progress }
    }

    /// The rest of a body that was recorded already.
    pub(super) fn into_whole(mut self) -> Option<Bytes> {
        match &mut self.content {
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::KeptAlive(_) | Content::Stream(_) => None,
        }
    }

    /// A body that is recorded when it has passed.
    pub fn stream(recorded: Recorded, progress: Arc<Progress>) -> Self {
        Self { content: Content::Stream(Box::new(recorded)), progress }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.content {
            Content::KeptAlive(body) => body.poll_frame(cx),
            Content::Stream(recorded) => recorded.poll_frame(cx),
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::KeptAlive(body) => body.is_over(),
            Content::Stream(recorded) => recorded.is_over(),
            Content::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::KeptAlive(_) => SizeHint::new(),
            Content::Stream(recorded) => recorded.download.size_hint(),
            Content::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.progress.end();
    }
}

/// An upstream's answer on its way to the client, with the draft that its end closes.
pub struct Recorded {
    download: Download,
    draft: Option<Draft>,
    outcome: Outcome,
    journal: Arc<Journal>,
    duty: Duty,
    /// The last frame, until its record is on disk.
    waiting: Option<Waiting>,
}

/// What became of the draft.
enum Ended {
    Before,
    Lost,
    Recorded(Sequence),
}

struct Waiting {
    frame: Option<Frame<Bytes>>,
    durable: Pin<Box<dyn Future<Output = Result<(), JournalClosed>> + Send>>,
}

impl Recorded {
    /// An answer whose draft is closed with `outcome` and the number of bytes that went out.
    pub(super) fn new(download: Download, draft: Draft, outcome: Outcome, journal: Arc<Journal>, duty: Duty) -> Self {
        Self { download, draft: Some(draft), outcome, journal, duty, waiting: None }
    }

    fn is_over(&self) -> bool {
        self.draft.is_none() && self.waiting.is_none() && self.download.is_end_stream()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.waiting.is_none() {
            let frame = match ready!(Pin::new(&mut self.download).poll_frame(cx)) {
                Some(Ok(frame)) => Some(frame),
                Some(Err(_)) => {
                    self.outcome.error = Some(broken_off());
                    self.end_early();
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
                None => None,
            };
            let length = frame.as_ref().and_then(|frame| frame.data_ref()).map_or(0, Bytes::len);
            self.outcome.bytes_out += u64::try_from(length).unwrap_or(0);
            if frame.is_some() && !self.download.is_end_stream() {
                return Poll::Ready(frame.map(Ok));
            }
            match (self.close(), self.duty.wait) {
                (Ended::Recorded(sequence), Wait::Disk) => {
                    let durable = Box::pin(self.journal.durable(sequence));
                    self.waiting = Some(Waiting { frame, durable });
                }
                (Ended::Recorded(_), Wait::System) | (Ended::Before, _) => return Poll::Ready(frame.map(Ok)),
                (Ended::Lost, _) => return Poll::Ready(self.unrecorded(frame)),
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

    fn close(&mut self) -> Ended {
        match self.draft.take().map(|draft| draft.close(&self.outcome)) {
            None => Ended::Before,
            Some(Ok(sequence)) => Ended::Recorded(sequence),
            Some(Err(JournalClosed)) => Ended::Lost,
        }
    }

    /// Closes the draft of a reply that is broken off whether it is recorded or not.
    fn end_early(&mut self) {
        if let Ended::Lost = self.close() {
            tracing::error!("a reply that broke off could not be recorded");
        }
    }

    /// The last frame, where a reply may be whole without a record.
    fn unrecorded(&self, frame: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, BrokenOff>> {
        match self.duty.lost(Failure::Unrecorded) {
            Ok(()) => frame.map(Ok),
            Err(_) => Some(Err(BrokenOff)),
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if self.draft.is_some() {
            self.outcome.error = Some(Failed {
                code: "RequestAbandoned".to_owned(),
                message: "The client left before the reply was complete".to_owned(),
            });
            self.end_early();
        }
    }
}

fn broken_off() -> Failed {
    Failed {
        code: "InternalError".to_owned(),
        message: "The storage behind the gate broke off in the middle of its answer".to_owned(),
    }
}
