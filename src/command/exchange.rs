//! One HTTP exchange over a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use portcullis_http::{DialError, Dialler, TcpOrTlsStream};

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(super) struct HttpAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ExchangeError {
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("{0}")]
    Connect(#[from] DialError),
    #[error("the answer took too long")]
    Late,
}

/// How long to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for a whole answer; a durable write on a slow disk is well within it.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Larger than any list that an administrative command asks for.
const BODY_LIMIT: usize = 16 << 20;

/// Connects to a store.
pub(super) async fn connect(dialler: &Dialler) -> Result<TcpOrTlsStream<TcpStream>, ExchangeError> {
    Ok(tokio::time::timeout(CONNECT_LIMIT, dialler.connect()).await.map_err(|_| ExchangeError::Late)??)
}

/// Sends one request and reads its whole answer.
pub(super) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<HttpAnswer, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::time::timeout(ANSWER_LIMIT, unhurried(stream, request)).await.map_err(|_| ExchangeError::Late)?
}

async fn unhurried<S>(stream: S, request: Request<Full<Bytes>>) -> Result<HttpAnswer, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| ExchangeError::Broken(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await;
        let body = body.map_err(|error| ExchangeError::Broken(error.to_string()))?.to_bytes();
        Ok(HttpAnswer { status: head.status, headers: head.headers, body })
    };
    // The connection only moves bytes while it is polled; its own error shows up in the exchange.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}
