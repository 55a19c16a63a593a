//! The port: connections come in here, within limits, and drain when the gate is told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{Counted, Progress};
use super::tls::{Channel, ClientStream, HandshakeFault, Security};

/// What a connection may use; each bound stops a way to exhaust the gate.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until a TLS handshake, and then a head, is complete: stops clients that send it a byte at a time.
    pub header_timeout: Duration,
    /// Header lines in one head.
    pub headers: usize,
    /// Bytes of one head.
    pub head_bytes: usize,
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Until requests under way are cut off once the gate stops.
    pub drain: Duration,
}

/// What happens to what comes over a connection.
pub trait Handler: Send + Sync + 'static {
    /// The body of a reply.
    type Reply: Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static;

    /// Answers one request.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: Remote,
        progress: Arc<Progress>,
    ) -> impl Future<Output = Response<Self::Reply>> + Send;

    /// Notes bytes that the TLS or HTTP layer itself refused, so that no request is without a record.
    fn refused_by_http(&self, remote: Remote, bytes: u64, reason: Unread);
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    pub address: SocketAddr,
    pub channel: Channel,
}

/// Why bytes never became a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The client left in the middle of a head.
    Cut,
    /// There was no TLS connection over which a request could come.
    Handshake(HandshakeFault),
    /// The head is longer than the limits: 431.
    HeadTooLong,
    /// Not HTTP/1.1: 400.
    NotHttp,
    /// The head did not come in time: 408.
    TimedOut,
}

/// Serves until `stop` says so, then waits for requests under way.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    security: Security,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let seats = Arc::new(Semaphore::new(limits.connections));
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    loop {
        let seat = seats.clone().acquire_owned().await.map_err(io::Error::other)?;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let connection = Connection {
                    security: security.clone(),
                    handler: handler.clone(),
                    limits: limits.clone(),
                    stop: stop.clone(),
                    _seat: seat,
                };
                tokio::spawn(connection.run(stream, address));
            }
            // Out of descriptors, or a client that left at once: the port itself is sound.
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::task::yield_now().await;
            }
        }
    }
    drop(listener);
    match tokio::time::timeout(limits.drain, seats.acquire_many(all)).await {
        Ok(_) => {}
        Err(_) => tracing::warn!("requests still under way were cut off"),
    }
    Ok(())
}

struct Connection<H> {
    security: Security,
    handler: Arc<H>,
    limits: Limits,
    stop: watch::Receiver<bool>,
    _seat: OwnedSemaphorePermit,
}

impl<H: Handler> Connection<H> {
    async fn run(mut self, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let secured = tokio::select! {
            secured = self.security.secure(stream, self.limits.header_timeout) => secured,
            () = stopped(&mut self.stop) => return,
        };
        match secured {
            Ok((stream, channel)) => self.serve(stream, Remote { address, channel }).await,
            Err(unshaken) => {
                // Whoever connects and says nothing, as a health check does, has asked for nothing.
                if unshaken.bytes > 0 {
                    let remote = Remote { address, channel: Channel::Plain };
                    self.handler.refused_by_http(remote, unshaken.bytes, Unread::Handshake(unshaken.fault));
                }
                tracing::debug!(%address, fault = ?unshaken.fault, "no TLS connection");
            }
        }
    }

    async fn serve(mut self, stream: ClientStream, remote: Remote) {
        let progress = Arc::new(Progress::default());
        let service = service_fn({
            let (handler, progress) = (self.handler.clone(), progress.clone());
            move |request: Request<Incoming>| {
                let (handler, progress) = (handler.clone(), progress.clone());
                progress.account();
                async move { Ok::<_, Infallible>(handler.handle(request, remote, progress).await) }
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(self.limits.headers)
            .max_header_size(self.limits.head_bytes)
            .half_close(false)
            .serve_connection(TokioIo::new(Counted::new(stream, progress.clone())), service);
        let mut served = pin!(served);
        let finished = tokio::select! {
            outcome = served.as_mut() => Some(outcome),
            () = stopped(&mut self.stop) => None,
        };
        let outcome = match finished {
            Some(outcome) => outcome,
            None => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = outcome {
            let bytes = progress.unaccounted();
            // What is no head may have come together with the request before it, which then accounted for its bytes.
            if bytes > 0 || error.is_parse() {
                self.handler.refused_by_http(remote, bytes, Unread::of(&error));
            }
            tracing::debug!(peer = %remote.address, %error, "connection ended");
        }
    }
}

/// Ends when the gate is told to stop, or when nobody is left who could tell it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stopped| *stopped).await);
}

impl Unread {
    fn of(error: &hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLong
        } else if error.is_timeout() {
            Self::TimedOut
        } else if error.is_parse() {
            Self::NotHttp
        } else {
            Self::Cut
        }
    }
}
