//! The body of an upstream's answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::fetch::Fetched;
use super::pool::Door;
use super::{Upload, UpstreamError};

/// The body of an upstream's answer; read to its end, it gives its connection back.
#[derive(Debug)]
pub struct Download(Source);

#[derive(Debug)]
enum Source {
    Fetched(Fetched),
    Streamed(Streamed),
}

/// An answer that hyper reads.
#[derive(Debug)]
struct Streamed {
    body: Incoming,
    home: Arc<Door<SendRequest<Upload>>>,
    /// Until the end was read: an unread rest would be taken for the next answer.
    sender: Option<SendRequest<Upload>>,
}

impl Download {
    pub(super) fn fetched(fetched: Fetched) -> Self {
        Self(Source::Fetched(fetched))
    }

    pub(super) fn streamed(body: Incoming, sender: SendRequest<Upload>, home: Arc<Door<SendRequest<Upload>>>) -> Self {
        Self(Source::Streamed(Streamed { body, home, sender: Some(sender) }))
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut self.0 {
            Source::Fetched(fetched) => fetched.poll_frame(cx),
            Source::Streamed(streamed) => streamed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Fetched(fetched) => fetched.is_over(),
            Source::Streamed(streamed) => streamed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Fetched(fetched) => fetched.length().map_or_else(SizeHint::new, SizeHint::with_exact),
            Source::Streamed(streamed) => streamed.body.size_hint(),
        }
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
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
