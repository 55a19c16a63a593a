//! The body of an upstream's answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::fetch::Fetched;
use super::pool::Door;
use super::shelf::Lent;
use super::{Upload, UpstreamError};
use portcullis_http::{Deadline, DeadlinePassed};

/// The body of an upstream's answer; read to its end, it gives its connection back. Where nothing comes for too long
/// it ends with [`UpstreamError::Silent`].
#[derive(Debug)]
pub struct Download {
    source: Source,
    /// The longest time between two reads.
    patience: Duration,
    /// Made when a read has to wait for the first time.
    deadline: Option<Box<Deadline>>,
}

#[derive(Debug)]
enum Source {
    /// Given up.
    Ended,
    Fetched(Fetched),
    Streamed(Streamed),
}

/// An answer that hyper reads.
#[derive(Debug)]
struct Streamed {
    body: Incoming,
    home: Arc<Door<SendRequest<Upload>>>,
    /// Until the end was read: an unread rest would be taken for the next answer.
    sender: Option<Lent<SendRequest<Upload>>>,
}

impl Download {
    pub(super) fn fetched(fetched: Fetched, patience: Duration) -> Self {
        Self { source: Source::Fetched(fetched), patience, deadline: None }
    }

    pub(super) fn streamed(
        body: Incoming,
        sender: Lent<SendRequest<Upload>>,
        home: Arc<Door<SendRequest<Upload>>>,
        patience: Duration,
    ) -> Self {
        let source = Source::Streamed(Streamed { body, home, sender: Some(sender) });
        Self { source, patience, deadline: None }
    }

    /// The whole body, of at most `limit` bytes; it has to be there in `within`, however steadily it comes.
    pub(super) async fn whole(self, limit: usize, within: Duration) -> Result<Bytes, UpstreamError> {
        match tokio::time::timeout(within, Limited::new(self, limit).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            // The other error is that of the limit.
            Ok(Err(error)) => Err(error.downcast::<UpstreamError>().map_or(UpstreamError::Unreadable, |error| *error)),
            Err(_) => Err(UpstreamError::Silent),
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self;
        let polled = match &mut this.source {
            Source::Ended => Poll::Ready(None),
            Source::Fetched(fetched) => fetched.poll_frame(cx),
            Source::Streamed(streamed) => streamed.poll_frame(cx),
        };
        match (polled, &mut this.deadline) {
            (Poll::Ready(frame), deadline) => {
                if let Some(deadline) = deadline {
                    deadline.clear();
                }
                Poll::Ready(frame)
            }
            (Poll::Pending, deadline) => {
                let deadline = deadline.get_or_insert_default();
                if deadline.moment().is_none() {
                    deadline.set(this.patience);
                }
                let DeadlinePassed = ready!(deadline.poll(cx));
                // The rest of the answer would be taken for the next one, so its connection goes.
                this.source = Source::Ended;
                Poll::Ready(Some(Err(UpstreamError::Silent)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ended => true,
            Source::Fetched(fetched) => fetched.is_over(),
            Source::Streamed(streamed) => streamed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended => SizeHint::with_exact(0),
            Source::Fetched(fetched) => fetched.length().map_or_else(SizeHint::new, SizeHint::with_exact),
            Source::Streamed(streamed) => streamed.body.size_hint(),
        }
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.go_home();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|_| UpstreamError::BrokenOff)))
    }

    fn go_home(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.home.shelf.keep(sender);
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // An answer without a body is never polled.
        if self.body.is_end_stream() {
            self.go_home();
        }
    }
}
