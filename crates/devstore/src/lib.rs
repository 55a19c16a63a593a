//! A versioned S3 store on disk, served over HTTP, for trying Portcullis out and for its tests.
//!
//! It follows S3's rules for versions, markers and listings closely, and leaves out what a real store is for: it syncs
//! nothing to the device, knows one key pair, and has no encryption, object lock, lifecycle expiry or replication.
//! Settings it does not act on (lifecycle, policy, CORS and the like) are kept and given back. `MfaDelete` in a
//! versioning document is ignored, as other stores do: protecting versions is the proxy's work.

mod body;
mod bucket;
mod buckets;
mod conditions;
mod copies;
mod deletions;
mod describe;
mod digest;
mod disk;
mod faults;
mod listing;
mod listings;
mod multipart;
mod objects;
mod record;
mod service;
mod settings;
mod store;
mod tags;
#[cfg(test)]
mod tests;
mod versions;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use portcullis_base::secret::Secret;

/// How long open requests may go on after a shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the store does not start.
#[derive(Debug, Error)]
pub enum DevStoreError {
    #[error("the embedded store cannot listen on {address}: {reason}")]
    Listen { address: SocketAddr, reason: io::Error },
    #[error("the embedded store cannot use directory `{}`: {reason}", directory.display())]
    Open { directory: PathBuf, reason: io::Error },
    #[error("the embedded store did not finish reading its directory")]
    Interrupted,
}

/// A store that serves until it is shut down or dropped.
#[derive(Debug)]
pub struct RunningStore {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<ServingState>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServingState {
    Open,
    Stopping,
}

/// Opens the store below a directory and serves it; requests are signed with the one key pair.
pub async fn start(
    directory: &Path,
    listen: SocketAddr,
    access_key: &str,
    secret_key: &Secret<String>,
    region: &str,
) -> Result<RunningStore, DevStoreError> {
    let service = open(directory, access_key, secret_key, region).await?;
    let failure = |reason| DevStoreError::Listen { address: listen, reason };
    let listener = TcpListener::bind(listen).await.map_err(failure)?;
    let address = listener.local_addr().map_err(failure)?;
    let (stop, stopping) = watch::channel(ServingState::Open);
    let accepting = tokio::spawn(accept(listener, service, stopping));
    Ok(RunningStore { address, stop, accepting })
}

impl RunningStore {
    /// Stops taking requests, and waits for those that are open.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(ServingState::Stopping);
        // A task that failed has stopped too.
        drop((&mut self.accepting).await);
    }
}

impl Drop for RunningStore {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn open(
    directory: &Path,
    access_key: &str,
    secret_key: &Secret<String>,
    region: &str,
) -> Result<S3Service, DevStoreError> {
    let owner = hex::encode(Sha256::digest(access_key));
    let (root, region) = (directory.to_owned(), region.to_owned());
    let store = tokio::task::spawn_blocking(move || store::DevStore::open(&root, &region, owner))
        .await
        .map_err(|_| DevStoreError::Interrupted)?
        .map_err(|reason| DevStoreError::Open { directory: directory.to_owned(), reason })?;
    let mut builder = S3ServiceBuilder::new(service::DevService(Arc::new(store)));
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key.expose().as_str()));
    Ok(builder.build())
}

async fn accept(listener: TcpListener, service: S3Service, mut stopping: watch::Receiver<ServingState>) {
    let mut connections = JoinSet::new();
    let for_connections = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone(), for_connections.clone()))),
                // Out of descriptors, most likely: accepting again at once would only spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    // What is still open after the drain is cut when the set is dropped.
    drop(tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await);
}

async fn stopped(stopping: &mut watch::Receiver<ServingState>) {
    // Without a sender, there is no owner left.
    drop(stopping.wait_for(|serving| *serving == ServingState::Stopping).await);
}

async fn serve(stream: TcpStream, service: S3Service, mut stopping: watch::Receiver<ServingState>) {
    // Without it, small answers wait for the client's acknowledgement; failing here costs only speed.
    drop(stream.set_nodelay(true));
    let answer = service_fn(move |request| answer(service.clone(), request));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A broken connection affects no other one.
        ended = connection.as_mut() => return drop(ended),
        () = stopped(&mut stopping) => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

async fn answer(service: S3Service, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    // s3s logs computed signatures and every refusal; here nothing of it is ever written.
    let answered = service.call(request.map(Body::from)).with_subscriber(NoSubscriber::new());
    Ok(match answered.await {
        Ok(mut response) => {
            if let Some(objects::PartialContent) = response.extensions_mut().remove() {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            response
        }
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    })
}
