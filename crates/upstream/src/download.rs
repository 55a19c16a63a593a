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

use super::fetch::FetchedBody;
use super::idle::PooledConnection;
use super::pool::UpstreamConnector;
use super::{UploadBody, UpstreamError};
use portcullis_http::{Deadline, DeadlinePassed};

/// The body of an upstream's answer; read to its end, it gives its connection back. Where nothing comes for too long
/// it ends with [`UpstreamError::Silent`].
#[derive(Debug)]
pub struct Download {
    source: DownloadSource,
    /// The longest time between two reads.
    timeout: Duration,
    /// Made when a read has to wait for the first time.
    deadline: Option<Box<Deadline>>,
}

#[derive(Debug)]
enum DownloadSource {
    /// Given up.
    Ended,
    Fetched(FetchedBody),
    Streamed(StreamedAnswer),
}

/// An answer that hyper reads.
#[derive(Debug)]
struct StreamedAnswer {
    body: Incoming,
    home: Arc<UpstreamConnector<SendRequest<UploadBody>>>,
    /// Until the end was read: an unread rest would be taken for the next answer.
    sender: Option<PooledConnection<SendRequest<UploadBody>>>,
}

impl Download {
    pub(super) fn fetched(fetched: FetchedBody, timeout: Duration) -> Self {
        Self { source: DownloadSource::Fetched(fetched), timeout, deadline: None }
    }

    pub(super) fn streamed(
        body: Incoming,
        sender: PooledConnection<SendRequest<UploadBody>>,
        home: Arc<UpstreamConnector<SendRequest<UploadBody>>>,
        timeout: Duration,
    ) -> Self {
        let source = DownloadSource::Streamed(StreamedAnswer { body, home, sender: Some(sender) });
        Self { source, timeout, deadline: None }
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
            DownloadSource::Ended => Poll::Ready(None),
            DownloadSource::Fetched(fetched) => fetched.poll_frame(cx),
            DownloadSource::Streamed(streamed) => streamed.poll_frame(cx),
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
                    deadline.set(this.timeout);
                }
                let DeadlinePassed = ready!(deadline.poll(cx));
                // The rest of the answer would be taken for the next one, so its connection goes.
                this.source = DownloadSource::Ended;
                Poll::Ready(Some(Err(UpstreamError::Silent)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            DownloadSource::Ended => true,
            DownloadSource::Fetched(fetched) => fetched.is_over(),
            DownloadSource::Streamed(streamed) => streamed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            DownloadSource::Ended => SizeHint::with_exact(0),
            DownloadSource::Fetched(fetched) => fetched.length().map_or_else(SizeHint::new, SizeHint::with_exact),
            DownloadSource::Streamed(streamed) => streamed.body.size_hint(),
        }
    }
}

impl StreamedAnswer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.go_home();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|_| UpstreamError::BrokenOff)))
    }

    fn go_home(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.home.idle.keep(sender);
        }
    }
}

impl Drop for StreamedAnswer {
    fn drop(&mut self) {
        // An answer without a body is never polled.
        if self.body.is_end_stream() {
            self.go_home();
        }
    }
}
