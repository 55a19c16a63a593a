//! Connections to the upstream, kept open between requests.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Download;
use super::fetch::MOST_HEADERS;
use super::idle::IdleConnections;
use super::{UploadBody, UpstreamError, answer};
use portcullis_http::{DialError, Dialler, TcpOrTlsStream};

/// Sends requests of every kind, with hyper.
#[derive(Clone, Debug)]
pub(super) struct ConnectionPool(Arc<UpstreamConnector<SendRequest<UploadBody>>>);

/// The way to one upstream, and the connections that wait there.
#[derive(Debug)]
pub(super) struct UpstreamConnector<C> {
    pub dialler: Dialler,
    pub connect_timeout: Duration,
    pub idle: IdleConnections<C>,
}

impl ConnectionPool {
    /// A pool without connections; they are made as they are needed.
    pub(crate) fn new(door: UpstreamConnector<SendRequest<UploadBody>>) -> Self {
        Self(Arc::new(door))
    }

    /// Sends one request and waits for the head of the answer.
    ///
    /// A request goes out a second time only if not a byte of it was written: the upstream had
    /// closed the idle connection. Nothing else is ever repeated.
    pub(crate) async fn send(
        &self,
        mut request: Request<UploadBody>,
        timeout: Duration,
    ) -> Result<Response<Download>, UpstreamError> {
        loop {
            let (mut lent, fresh) = match self.0.idle.take() {
                Some(mut lent) => match lent.connection.ready().await {
                    Ok(()) => (lent, FreshConnection::No),
                    Err(_) => continue,
                },
                None => (self.0.idle.lend(Box::pin(self.connect()).await?), FreshConnection::Yes),
            };
            match lent.connection.try_send_request(request).await {
                Ok(response) => {
                    let (mut parts, body) = response.into_parts();
                    parts.headers = answer::allowed(&parts.headers);
                    let body = Download::streamed(body, lent, self.0.clone(), timeout);
                    return Ok(Response::from_parts(parts, body));
                }
                Err(mut failed) => match (failed.take_message(), fresh) {
                    (Some(unsent), FreshConnection::No) => request = unsent,
                    (Some(_), FreshConnection::Yes) => return Err(UpstreamError::Unreachable),
                    (None, _) => return Err(UpstreamError::of(failed.into_error())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<UploadBody>, UpstreamError> {
        let stream = connect(&self.0.dialler, self.0.connect_timeout).await?;
        let (sender, connection) = http1::Builder::new()
            .max_headers(MOST_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::of)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(sender)
    }
}

impl<C> UpstreamConnector<C> {
    pub(crate) fn new(dialler: Dialler, connect_timeout: Duration, idle_timeout: Duration) -> Self {
        let idle = IdleConnections::new(idle_timeout, dialler.addresses().clone());
        Self { dialler, connect_timeout, idle }
    }
}

#[derive(Clone, Copy)]
enum FreshConnection {
    No,
    Yes,
}

/// A new connection.
pub(super) async fn connect(dialler: &Dialler, timeout: Duration) -> Result<TcpOrTlsStream<TcpStream>, UpstreamError> {
    let connected = tokio::time::timeout(timeout, dialler.connect()).await;
    connected.map_err(|_| UpstreamError::Unreachable)?.map_err(|error| explain(dialler, &error))
}

fn explain(dialler: &Dialler, error: &DialError) -> UpstreamError {
    let endpoint = dialler.endpoint();
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
