//! Sends one permitted request, and asks the upstream what the gate must know before it judges.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::answer::{self, Answer};
use super::chunks::{SIGNED_CHUNKS, SignedChunks, encoded_length};
use super::{Content, Download, Node, Pool, Rendered, Signer, Source, Upload, UpstreamError, render};
use crate::authenticate::{EMPTY_SHA256, UNSIGNED_PAYLOAD};
use crate::clock::Timestamp;
use crate::config::{Endpoint, Scheme};
use crate::gate::{Lifecycle, Permit, Versioning};
use crate::names::BucketName;
use crate::wire::{Dialler, Method};

/// The S3 that is protected.
#[derive(Debug)]
pub struct Upstream {
    endpoint: Endpoint,
    host: String,
    pool: Pool,
    signer: Signer,
    patience: Patience,
    listeners: Listeners,
}

/// How long the upstream may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// From the last byte of a request to the head of its answer.
    pub response: Duration,
    /// Until an idle connection is given up, before the upstream does.
    pub idle: Duration,
}

/// Who could listen between the gate and the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listeners {
    Anybody,
    /// It stays within this machine or within TLS: a payload needs no signature.
    Nobody,
}

/// Object data for a permitted request.
pub struct Payload {
    pub source: Source,
    pub length: u64,
    /// Its SHA-256, where the client promised one; it is checked before the last byte goes out.
    pub digest: Option<[u8; 32]>,
}

/// What a store says of a bucket's configuration.
enum Configuration {
    Is(Node),
    NoBucket,
    None,
}

/// The longest configuration document the gate reads for itself.
const LONGEST_STATE: usize = 1024 * 1024;

impl Upstream {
    /// The upstream that is dialled, reached as this signer.
    pub fn new(dialler: Dialler, signer: Signer, patience: Patience) -> Self {
        let endpoint = dialler.endpoint().clone();
        let listeners = Listeners::on_the_way_to(&endpoint);
        let pool = Pool::new(dialler, patience.connect, patience.idle);
        Self { host: endpoint.authority(), endpoint, pool, signer, patience, listeners }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends what was permitted: the request inside the permit, and nothing else. An object without
    /// bytes has no payload.
    pub async fn send(
        &self,
        permit: Permit,
        payload: Option<Payload>,
        now: Timestamp,
    ) -> Result<Answer, UpstreamError> {
        let rendered = render(permit.request()).map_err(|_| UpstreamError::Unwritable)?;
        let response = self.exchange(rendered, payload, now).await?;
        answer::read(&permit, response).await
    }

    /// The bucket's versioning as it is now.
    pub async fn versioning(&self, bucket: &BucketName, now: Timestamp) -> Result<Versioning, UpstreamError> {
        let document = match self.configuration(bucket, "versioning", now).await? {
            Configuration::Is(document) => document,
            Configuration::NoBucket => return Ok(Versioning::NoBucket),
            Configuration::None => return Ok(Versioning::Never),
        };
        let excludes = document.children.iter().any(|child| match child.name.as_str() {
            "ExcludedPrefixes" => true,
            "ExcludeFolders" => child.text == "true",
            _ => false,
        });
        match document.text_of("Status") {
            Some("Enabled") if excludes => Ok(Versioning::EnabledWithExclusions),
            Some("Enabled") => Ok(Versioning::Enabled),
            Some("Suspended") => Ok(Versioning::Suspended),
            None => Ok(Versioning::Never),
            Some(_) => Err(UpstreamError::Unreadable),
        }
    }

    /// Whether the store deletes this bucket's versions by rule.
    pub async fn lifecycle(&self, bucket: &BucketName, now: Timestamp) -> Result<Lifecycle, UpstreamError> {
        match self.configuration(bucket, "lifecycle", now).await? {
            Configuration::Is(document) if document.children.iter().any(|child| child.name == "Rule") => {
                Ok(Lifecycle::Present)
            }
            Configuration::Is(_) | Configuration::NoBucket | Configuration::None => Ok(Lifecycle::Absent),
        }
    }

    /// A bucket's configuration document.
    async fn configuration(
        &self,
        bucket: &BucketName,
        name: &'static str,
        now: Timestamp,
    ) -> Result<Configuration, UpstreamError> {
        let rendered = Rendered {
            method: Method::Get,
            path: format!("/{bucket}"),
            query: format!("{name}="),
            headers: Vec::new(),
            content: Content::Document(Bytes::new()),
        };
        let response = self.exchange(rendered, None, now).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_STATE).collect().await;
        let body = body.map_err(|_| UpstreamError::BrokenOff)?.to_bytes();
        match status {
            StatusCode::OK => Node::parse(&body).map(Configuration::Is).ok_or(UpstreamError::Unreadable),
            StatusCode::NOT_FOUND => {
                let code = Node::parse(&body).and_then(|error| error.text_of("Code").map(str::to_owned));
                Ok(if code.as_deref() == Some("NoSuchBucket") { Configuration::NoBucket } else { Configuration::None })
            }
            // A store that has no such configuration does nothing by it.
            StatusCode::NOT_IMPLEMENTED => Ok(Configuration::None),
            _ => Err(UpstreamError::Unreadable),
        }
    }

    async fn exchange(
        &self,
        rendered: Rendered,
        payload: Option<Payload>,
        now: Timestamp,
    ) -> Result<Response<Download>, UpstreamError> {
        let progress = Arc::new(AtomicU64::new(0));
        let request = self.signed(rendered, payload, &progress, now)?;
        let mut sending = std::pin::pin!(self.pool.send(request));
        let mut seen = 0;
        // The clock runs from the last byte that went out, however long the upload takes.
        loop {
            match tokio::time::timeout(self.patience.response, sending.as_mut()).await {
                Ok(outcome) => return outcome,
                Err(_) => match progress.load(Ordering::Relaxed) {
                    unchanged if unchanged == seen => return Err(UpstreamError::Silent),
                    more => seen = more,
                },
            }
        }
    }

    fn signed(
        &self,
        mut rendered: Rendered,
        payload: Option<Payload>,
        progress: &Arc<AtomicU64>,
        now: Timestamp,
    ) -> Result<Request<Upload>, UpstreamError> {
        let content = std::mem::replace(&mut rendered.content, Content::Payload);
        let (digest, upload, chunked) = match (content, payload) {
            (Content::Document(bytes), None) if bytes.is_empty() => {
                (EMPTY_SHA256.to_owned(), Upload::empty(), Chunked::No)
            }
            (Content::Document(bytes), None) => {
                rendered.headers.push((HeaderName::from_static("content-md5"), md5_of(&bytes)?));
                (hex::encode(Sha256::digest(&bytes)), Upload::Document(bytes), Chunked::No)
            }
            (Content::Payload, None) => (EMPTY_SHA256.to_owned(), Upload::empty(), Chunked::No),
            (Content::Payload, Some(Payload { source, length, digest })) => match (digest, self.listeners) {
                (Some(digest), _) => (hex::encode(digest), Upload::payload(source, length, progress), Chunked::No),
                (None, Listeners::Nobody) => {
                    (UNSIGNED_PAYLOAD.to_owned(), Upload::payload(source, length, progress), Chunked::No)
                }
                (None, Listeners::Anybody) => {
                    chunk_headers(&mut rendered, length)?;
                    (SIGNED_CHUNKS.to_owned(), Upload::payload(source, length, progress), Chunked::Yes)
                }
            },
            (Content::Document(_), Some(_)) => return Err(UpstreamError::Unwritable),
        };
        let signed = self.signer.sign(&rendered, &self.host, &digest, now).ok_or(UpstreamError::Unwritable)?;
        let target =
            if rendered.query.is_empty() { rendered.path } else { format!("{}?{}", rendered.path, rendered.query) };
        let mut request = Request::builder().method(rendered.method.as_str()).uri(target);
        if let Some(headers) = request.headers_mut() {
            headers.reserve(rendered.headers.len() + signed.headers.len());
            for (name, value) in rendered.headers.into_iter().chain(signed.headers.iter().cloned()) {
                headers.append(name, value);
            }
            // hyper leaves it out of a request without a body, and stores refuse an upload that does not say its length.
            if upload.is_empty() && matches!(rendered.method, Method::Post | Method::Put) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            }
        }
        let upload = match (chunked, upload) {
            (Chunked::Yes, Upload::Payload { source, length, progress }) => {
                let chunks = SignedChunks::new(source, length, self.signer.chunks(signed));
                Upload::Payload { source: Box::pin(chunks), length: encoded_length(length), progress }
            }
            (Chunked::Yes | Chunked::No, upload) => upload,
        };
        request.body(upload).map_err(|_| UpstreamError::Unwritable)
    }
}

impl Listeners {
    fn on_the_way_to(endpoint: &Endpoint) -> Self {
        match endpoint.scheme() {
            Scheme::Http if is_loopback(endpoint) => Self::Nobody,
            Scheme::Http => Self::Anybody,
            Scheme::Https => Self::Nobody,
        }
    }
}

/// Whether every address of the host is this machine's own.
fn is_loopback(endpoint: &Endpoint) -> bool {
    let addresses = (endpoint.host(), endpoint.port()).to_socket_addrs();
    addresses.is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback()))
}

#[derive(Clone, Copy)]
enum Chunked {
    No,
    Yes,
}

fn md5_of(bytes: &[u8]) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::try_from(STANDARD.encode(Md5::digest(bytes))).map_err(|_| UpstreamError::Unwritable)
}

fn chunk_headers(rendered: &mut Rendered, length: u64) -> Result<(), UpstreamError> {
    let encodings = rendered.headers.iter_mut().find(|(name, _)| name == header::CONTENT_ENCODING);
    match encodings {
        Some((_, value)) => {
            let both = [b"aws-chunked,".as_slice(), value.as_bytes()].concat();
            *value = HeaderValue::try_from(both).map_err(|_| UpstreamError::Unwritable)?;
        }
        None => rendered.headers.push((header::CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"))),
    }
    rendered.headers.push((HeaderName::from_static("x-amz-decoded-content-length"), HeaderValue::from(length)));
    Ok(())
}
