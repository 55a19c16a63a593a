//! Connections to the upstream, kept open between requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::{Upload, UpstreamError};
use crate::wire::{DialError, Dialler};

/// Connections to one upstream. The one used last is used first, so that idle ones age and go.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialler: Dialler,
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// More idle connections than this serve nobody.
const MOST_IDLE: usize = 512;

impl Pool {
    /// A pool without connections; they are made as they are needed.
    pub fn new(dialler: Dialler, connect_timeout: Duration, idle_timeout: Duration) -> Self {
        Self(Arc::new(Inner { dialler, connect_timeout, idle_timeout, idle: Mutex::default() }))
    }

    /// Sends one request and waits for the head of the answer.
    ///
    /// A request goes out a second time only if not a byte of it was written: the upstream had
    /// closed the idle connection. Nothing else is ever repeated.
    pub async fn send(&self, mut request: Request<Upload>) -> Result<Response<Download>, UpstreamError> {
        loop {
            let (mut sender, fresh) = match self.0.take_idle() {
                Some(mut sender) => match sender.ready().await {
                    Ok(()) => (sender, Fresh::No),
                    Err(_) => continue,
                },
                None => (self.0.connect().await?, Fresh::Yes),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let home = self.0.clone();
                    return Ok(response.map(|body| Download { body, home, sender: Some(sender) }));
                }
                Err(mut failed) => match (failed.take_message(), fresh) {
                    (Some(unsent), Fresh::No) => request = unsent,
                    (Some(_), Fresh::Yes) => return Err(UpstreamError::Unreachable),
                    (None, _) => return Err(UpstreamError::of(failed.into_error())),
                },
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Fresh {
    No,
    Yes,
}

impl Inner {
    fn take_idle(&self) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { sender, since }) = idle.pop_back() {
            if since.elapsed() > self.idle_timeout {
                // Those below it are older still.
                idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<Upload>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push_back(Idle { sender, since: Instant::now() });
        }
    }

    async fn connect(&self) -> Result<SendRequest<Upload>, UpstreamError> {
        let connected = tokio::time::timeout(self.connect_timeout, self.dialler.connect()).await;
        let stream = connected.map_err(|_| UpstreamError::Unreachable)?.map_err(|error| self.explain(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(UpstreamError::of)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(sender)
    }

    fn explain(&self, error: &DialError) -> UpstreamError {
        let endpoint = self.dialler.endpoint();
        match error {
            DialError::Unreachable(_) => UpstreamError::Unreachable,
            DialError::Handshake(_) => {
                tracing::warn!(%endpoint, %error, "the upstream cannot be spoken to");
                UpstreamError::Unreachable
            }
            DialError::Untrusted(_) => {
                tracing::error!(%endpoint, %error, "nothing is sent to the upstream; upstream.ca_file names whom to trust");
                UpstreamError::Untrusted
            }
        }
    }
}

/// The body of an upstream's answer; read to its end, it gives its connection back.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
    home: Arc<Inner>,
    /// Until the end was read: an unread rest would be taken for the next answer.
    sender: Option<SendRequest<Upload>>,
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.go_home();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Download {
    fn go_home(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.home.keep(sender);
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // An answer without a body is never polled.
        if self.body.is_end_stream() {
            self.go_home();
        }
    }
}
