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

/// What a connection may use; each bound stops a way to exhaust the gate.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until a head is complete: stops clients that send it a byte at a time.
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
        peer: SocketAddr,
        progress: Arc<Progress>,
    ) -> impl Future<Output = Response<Self::Reply>> + Send;

    /// Notes bytes that the HTTP layer itself refused, so that no request is without a record.
    fn refused_by_http(&self, peer: SocketAddr, bytes: u64, reason: Unread);
}

/// Why the HTTP layer answered for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The client left in the middle of a head.
    Cut,
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
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, handler.clone(), limits.clone(), stop.clone(), seat);
                tokio::spawn(connection);
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

async fn connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    _seat: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let progress = Arc::new(Progress::default());
    let service = service_fn({
        let (handler, progress) = (handler.clone(), progress.clone());
        move |request: Request<Incoming>| {
            let (handler, progress) = (handler.clone(), progress.clone());
            progress.account();
            async move { Ok::<_, Infallible>(handler.handle(request, peer, progress).await) }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_header_size(limits.head_bytes)
        .half_close(false)
        .serve_connection(TokioIo::new(Counted::new(stream, progress.clone())), service);
    let mut served = pin!(served);
    let finished = tokio::select! {
        outcome = served.as_mut() => Some(outcome),
        () = stopped(&mut stop) => None,
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
        if bytes > 0 {
            handler.refused_by_http(peer, bytes, Unread::of(&error));
        }
        tracing::debug!(%peer, %error, "connection ended");
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
