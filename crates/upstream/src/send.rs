//! Sends one permitted request, and asks the upstream what must be known before a decision.

use portcullis_xml::XmlElement;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::answer::{self, UpstreamAnswer};
use super::chunks::ChunkFraming;
use super::fetch::{self, Fetcher};
use super::pool::{ConnectionPool, UpstreamConnector};
use super::repair::{RepairedAnswer, repaired};
use super::{
    AnswerBegun, Download, PayloadStream, RenderedRequest, RequestContent, UploadBody, UpstreamError, UpstreamSigner,
    render,
};
use portcullis_authorization::{BucketLifecycle, RequestPermit, UpstreamIdentity, Versioning};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_http::Endpoint;
use portcullis_http::EndpointScheme;
use portcullis_http::{Dialler, HttpMethod};
use portcullis_s3::{BucketPlacement, RequestDocument, RequestHandling, TrailerSupport};
use portcullis_sigv4::{EMPTY_SHA256, TrailingChecksum, UNSIGNED_PAYLOAD, UpstreamKey};

/// The S3 that is protected.
#[derive(Debug)]
pub struct Upstream {
    endpoint: Endpoint,
    host: String,
    fetcher: Fetcher,
    pool: ConnectionPool,
    signer: UpstreamSigner,
    timeouts: UpstreamTimeouts,
    listeners: NetworkExposure,
    trailers: TrailerSupport,
    /// The region that clients sign for, and how the store is told where a bucket is made.
    client_region: Option<(String, BucketPlacement)>,
}

/// How long the upstream may take.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamTimeouts {
    pub connect: Duration,
    /// From the last byte of a request to the head of its answer.
    pub response: Duration,
    /// Until an idle connection is given up, before the upstream does.
    pub idle: Duration,
}

/// Who could eavesdrop between the proxy and the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NetworkExposure {
    Anybody,
    /// It stays within this machine or within TLS: a payload needs no signature.
    Private,
}

/// Object data for a permitted request.
pub struct ObjectPayload {
    pub source: PayloadStream,
    pub length: u64,
    /// Its SHA-256, where the client promised one; it is checked before the last byte goes out.
    pub digest: Option<[u8; 32]>,
    /// The checksum that the client sends after it; it goes on to an upstream that takes it.
    pub checksum: Option<TrailingChecksum>,
}

impl ObjectPayload {
    /// Of no bytes, which were verified already.
    pub fn empty(checksum: Option<TrailingChecksum>) -> Self {
        let nothing = Empty::new().map_err(|never| match never {});
        Self { source: Box::pin(nothing), length: 0, digest: None, checksum }
    }
}

/// What a store says of a bucket's configuration.
enum StoredConfiguration {
    Is(XmlElement),
    NoBucket,
    None,
}

/// The longest configuration document that is read for a decision.
const LONGEST_STATE: usize = 1024 * 1024;

impl Upstream {
    /// The upstream that is dialled, reached as this signer.
    pub fn new(dialler: Dialler, signer: UpstreamSigner, timeouts: UpstreamTimeouts, trailers: TrailerSupport) -> Self {
        let endpoint = dialler.endpoint().clone();
        let listeners = NetworkExposure::on_the_way_to(&endpoint);
        let fetcher = Fetcher::new(UpstreamConnector::new(dialler.clone(), timeouts.connect, timeouts.idle));
        let pool = ConnectionPool::new(UpstreamConnector::new(dialler, timeouts.connect, timeouts.idle));
        Self {
            host: endpoint.authority(),
            endpoint,
            fetcher,
            pool,
            signer,
            timeouts,
            listeners,
            trailers,
            client_region: None,
        }
    }

    /// Tells clients this region wherever a bucket's region is told.
    pub fn telling(self, region: &str, placement: BucketPlacement) -> Self {
        Self { client_region: Some((region.to_owned(), placement)), ..self }
    }

    /// The region that clients are told.
    pub(super) fn client_region(&self) -> &str {
        self.client_region.as_ref().map_or_else(|| self.region(), |(region, _)| region)
    }

    /// How the store is told where a bucket is made.
    pub(super) fn placement(&self) -> BucketPlacement {
        self.client_region.as_ref().map_or(BucketPlacement::Named, |(_, placement)| *placement)
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends what was permitted: the request inside the permit, and nothing else. An object without
    /// bytes has no payload.
    pub async fn send(
        &self,
        permit: RequestPermit,
        payload: Option<ObjectPayload>,
        now: Timestamp,
        begun: Option<&AnswerBegun>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let answer = self.answer(&permit, payload, now, begun).await?;
        if may_be_about_key(&permit, &answer) {
            // Rare, and large.
            Box::pin(self.expect_key_taken(&permit, now)).await?;
        }
        Ok(answer)
    }

    async fn answer(
        &self,
        permit: &RequestPermit,
        payload: Option<ObjectPayload>,
        now: Timestamp,
        begun: Option<&AnswerBegun>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let instead = match permit.request().handling {
            RequestHandling::Answered(answer) => return self.answer_here(permit, answer, now).await,
            RequestHandling::Forwarded => None,
            RequestHandling::ForwardedElse(answer) => Some(answer),
            RequestHandling::Refused => return Err(UpstreamError::Unwritable),
        };
        if let RequestDocument::DeleteObjects(asked) = &permit.request().document
            && asked.objects.is_empty()
        {
            return Ok(UpstreamAnswer::Done(answer::of_withheld_alone(permit, asked)));
        }
        let placed = self.placed(permit.request());
        let rendered =
            render(placed.as_ref().unwrap_or_else(|| permit.request())).map_err(|_| UpstreamError::Unwritable)?;
        let response = self.exchange_as(self.key_of(permit), rendered, payload, now).await?;
        let answer = answer::read(permit, response, self.document_timeout(), begun).await?;
        match (repaired(permit.request().action, answer, self.document_timeout()).await?, instead) {
            (RepairedAnswer::Nothing(_), Some(instead)) => self.answer_here(permit, instead, now).await,
            (RepairedAnswer::Answer(answer), Some(instead)) if answer.leaves_to(instead) => {
                self.answer_here(permit, instead, now).await
            }
            (RepairedAnswer::Answer(answer) | RepairedAnswer::Nothing(answer), _) => {
                Ok(self.with_region(permit.request().action, answer))
            }
        }
    }

    /// With which key a permitted request is signed.
    fn key_of<'a>(&'a self, permit: &'a RequestPermit) -> &'a UpstreamKey {
        match permit.identity() {
            UpstreamIdentity::Own => self.signer.own(),
            UpstreamIdentity::User(key) => key,
        }
    }

    /// Finds out whether a user's key is what the upstream refused where its answer has no room to say so.
    async fn expect_key_taken(&self, permit: &RequestPermit, now: Timestamp) -> Result<(), UpstreamError> {
        let Some(bucket) = &permit.request().bucket else { return Ok(()) };
        let response = self.exchange_as(self.key_of(permit), asking(bucket, "location"), None, now).await;
        let Ok((parts, body)) = response.map(Response::into_parts) else { return Ok(()) };
        match (parts.status.is_success(), body.whole(LONGEST_STATE, self.document_timeout()).await) {
            (false, Ok(body)) => answer::refused_by(permit.identity(), &answer::error_code(&body).unwrap_or_default()),
            (true, _) | (false, Err(_)) => Ok(()),
        }
    }

    /// The bucket's versioning as it is now.
    pub async fn versioning(&self, bucket: &BucketName, now: Timestamp) -> Result<Versioning, UpstreamError> {
        let document = match self.configuration(bucket, "versioning", now).await? {
            StoredConfiguration::Is(document) => document,
            StoredConfiguration::NoBucket => return Ok(Versioning::NoBucket),
            StoredConfiguration::None => return Ok(Versioning::Never),
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
    pub async fn lifecycle(&self, bucket: &BucketName, now: Timestamp) -> Result<BucketLifecycle, UpstreamError> {
        match self.configuration(bucket, "lifecycle", now).await? {
            StoredConfiguration::Is(document) if document.children.iter().any(|child| child.name == "Rule") => {
                Ok(BucketLifecycle::Present)
            }
            StoredConfiguration::Is(_) | StoredConfiguration::NoBucket | StoredConfiguration::None => {
                Ok(BucketLifecycle::Absent)
            }
        }
    }

    /// A bucket's configuration document.
    async fn configuration(
        &self,
        bucket: &BucketName,
        name: &'static str,
        now: Timestamp,
    ) -> Result<StoredConfiguration, UpstreamError> {
        let response = self.exchange(asking(bucket, name), None, now).await?;
        let status = response.status();
        let body = response.into_body().whole(LONGEST_STATE, self.document_timeout()).await?;
        match status {
            StatusCode::OK => {
                XmlElement::parse(&body).map(StoredConfiguration::Is).map_err(|_| UpstreamError::Unreadable)
            }
            StatusCode::NOT_FOUND => Ok(if answer::error_code(&body).as_deref() == Some("NoSuchBucket") {
                StoredConfiguration::NoBucket
            } else {
                StoredConfiguration::None
            }),
            // A store that has no such configuration does nothing by it.
            StatusCode::NOT_IMPLEMENTED => Ok(StoredConfiguration::None),
            StatusCode::FORBIDDEN => {
                answer::refused_by(&UpstreamIdentity::Own, &answer::error_code(&body).unwrap_or_default())?;
                Err(UpstreamError::DeniesUs)
            }
            _ => Err(UpstreamError::Unreadable),
        }
    }

    /// How long the documents of an answer may take in all.
    pub(super) fn document_timeout(&self) -> Duration {
        self.timeouts.response * 2
    }

    /// Where requests are signed for.
    pub(super) fn region(&self) -> &str {
        self.signer.region()
    }

    /// Sends a request of Portcullis itself.
    pub(super) async fn exchange(
        &self,
        rendered: RenderedRequest,
        payload: Option<ObjectPayload>,
        now: Timestamp,
    ) -> Result<Response<Download>, UpstreamError> {
        self.exchange_as(self.signer.own(), rendered, payload, now).await
    }

    async fn exchange_as(
        &self,
        key: &UpstreamKey,
        rendered: RenderedRequest,
        payload: Option<ObjectPayload>,
        now: Timestamp,
    ) -> Result<Response<Download>, UpstreamError> {
        if payload.is_none() && rendered.only_reads() {
            return self.fetch(key, rendered, now).await;
        }
        // Rare, and large.
        Box::pin(self.carry(key, rendered, payload, now)).await
    }

    /// Sends a request without a payload in place of the one that is permitted.
    pub(super) async fn exchange_instead(
        &self,
        permit: &RequestPermit,
        rendered: RenderedRequest,
        now: Timestamp,
    ) -> Result<Response<Download>, UpstreamError> {
        self.exchange_as(self.key_of(permit), rendered, None, now).await
    }

    async fn fetch(
        &self,
        key: &UpstreamKey,
        rendered: RenderedRequest,
        now: Timestamp,
    ) -> Result<Response<Download>, UpstreamError> {
        let method = rendered.method;
        let message = {
            // What a thousand requests keep while they wait for the store, they take from each other's cache.
            let rendered = rendered;
            let signed = self.signer.sign(key, &rendered, &self.host, EMPTY_SHA256, now);
            let signed = signed.ok_or(UpstreamError::Unwritable)?;
            fetch::message(&rendered, &signed)?
        };
        self.fetcher.fetch(method, &message, self.timeouts.response).await
    }

    async fn carry(
        &self,
        key: &UpstreamKey,
        rendered: RenderedRequest,
        payload: Option<ObjectPayload>,
        now: Timestamp,
    ) -> Result<Response<Download>, UpstreamError> {
        let progress = Arc::new(AtomicU64::new(0));
        let request = self.signed(key, rendered, payload, &progress, now)?;
        let mut sending = std::pin::pin!(self.pool.send(request, self.timeouts.response));
        let mut seen = 0;
        // The clock runs from the last byte that went out, however long the upload takes.
        loop {
            match tokio::time::timeout(self.timeouts.response, sending.as_mut()).await {
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
        key: &UpstreamKey,
        mut rendered: RenderedRequest,
        payload: Option<ObjectPayload>,
        progress: &Arc<AtomicU64>,
        now: Timestamp,
    ) -> Result<Request<UploadBody>, UpstreamError> {
        let content = std::mem::replace(&mut rendered.content, RequestContent::Payload);
        let (digest, upload, framing) = match (content, payload) {
            (RequestContent::Document(bytes), None) if bytes.is_empty() => {
                (EMPTY_SHA256.to_owned(), UploadBody::empty(), None)
            }
            (RequestContent::Document(bytes), None) => {
                rendered.headers.push((HeaderName::from_static("content-md5"), md5_of(&bytes)?));
                (hex::encode(Sha256::digest(&bytes)), UploadBody::Document(bytes), None)
            }
            (RequestContent::Payload, None) => (EMPTY_SHA256.to_owned(), UploadBody::empty(), None),
            (RequestContent::Payload, Some(payload)) if payload.length == 0 => {
                rendered.headers.extend(self.checksum_header(&payload)?);
                (EMPTY_SHA256.to_owned(), UploadBody::empty(), None)
            }
            (RequestContent::Payload, Some(payload)) => {
                let framing = self.framing(&payload);
                if let Some(framing) = &framing {
                    frame_headers(&mut rendered, framing, payload.length)?;
                }
                let digest = match (&framing, payload.digest) {
                    (Some(framing), _) => framing.name().to_owned(),
                    (None, Some(digest)) => hex::encode(digest),
                    (None, None) => UNSIGNED_PAYLOAD.to_owned(),
                };
                (digest, UploadBody::payload(payload.source, payload.length, progress), framing)
            }
            (RequestContent::Document(_), Some(_)) => return Err(UpstreamError::Unwritable),
        };
        let signed = self.signer.sign(key, &rendered, &self.host, &digest, now).ok_or(UpstreamError::Unwritable)?;
        let target =
            if rendered.query.is_empty() { rendered.path } else { format!("{}?{}", rendered.path, rendered.query) };
        let mut request = Request::builder().method(rendered.method.as_str()).uri(target);
        if let Some(headers) = request.headers_mut() {
            let ours = signed.headers();
            headers.reserve(rendered.headers.len() + ours.len());
            headers.extend(rendered.headers);
            for (name, text) in ours {
                headers.append(name, HeaderValue::from_str(text).map_err(|_| UpstreamError::Unwritable)?);
            }
            // hyper leaves it out of a request without a body, and stores refuse an upload that does not say its length.
            if upload.is_empty() && matches!(rendered.method, HttpMethod::Post | HttpMethod::Put) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            }
        }
        let upload = match framing {
            Some(framing) => upload.in_chunks(&framing, || signed.chunks()),
            None => upload,
        };
        request.body(upload).map_err(|_| UpstreamError::Unwritable)
    }

    /// The client's checksum, where the upstream takes it.
    fn checksum<'a>(&self, payload: &'a ObjectPayload) -> Option<&'a TrailingChecksum> {
        payload.checksum.as_ref().filter(|checksum| match self.trailers {
            TrailerSupport::All => true,
            TrailerSupport::KnownToStores => checksum.algorithm().is_known_to_stores(),
            TrailerSupport::NotTaken => false,
        })
    }

    /// The header for a checksum that is known beforehand.
    fn checksum_header(&self, payload: &ObjectPayload) -> Result<Option<(HeaderName, HeaderValue)>, UpstreamError> {
        let Some(checksum) = self.checksum(payload).and_then(TrailingChecksum::verified) else { return Ok(None) };
        let value = HeaderValue::try_from(checksum.text()).map_err(|_| UpstreamError::Unwritable)?;
        Ok(Some((HeaderName::from_static(checksum.algorithm().header()), value)))
    }

    /// How a payload is framed; one whose digest is known, or on a private connection, needs no frames.
    fn framing(&self, payload: &ObjectPayload) -> Option<ChunkFraming> {
        match (payload.digest, self.checksum(payload).cloned(), self.listeners) {
            (Some(_), _, _) | (None, None, NetworkExposure::Private) => None,
            (None, None, NetworkExposure::Anybody) => Some(ChunkFraming::Signed),
            (None, Some(checksum), NetworkExposure::Anybody) => Some(ChunkFraming::SignedChecksum(checksum)),
            (None, Some(checksum), NetworkExposure::Private) => Some(ChunkFraming::Checksum(checksum)),
        }
    }
}

/// Whether an upstream may have refused a user's key by an answer that does not say so: one to a HEAD.
fn may_be_about_key(permit: &RequestPermit, answer: &UpstreamAnswer) -> bool {
    let is_mute = match permit.request().handling {
        // Where an answer is given here, the upstream was asked by a HEAD.
        RequestHandling::Answered(_) | RequestHandling::ForwardedElse(_) => true,
        RequestHandling::Forwarded | RequestHandling::Refused => {
            permit.request().action.row().method == HttpMethod::Head
        }
    };
    match (permit.identity(), answer) {
        (UpstreamIdentity::User(_), UpstreamAnswer::Refused(refusal)) => {
            is_mute && refusal.status == StatusCode::FORBIDDEN
        }
        (UpstreamIdentity::Own, _) | (UpstreamIdentity::User(_), UpstreamAnswer::Done(_)) => false,
    }
}

/// A question about a bucket's configuration.
fn asking(bucket: &BucketName, name: &'static str) -> RenderedRequest {
    RenderedRequest {
        method: HttpMethod::Get,
        path: format!("/{bucket}"),
        query: format!("{name}="),
        headers: Vec::new(),
        content: RequestContent::Document(Bytes::new()),
    }
}

impl NetworkExposure {
    fn on_the_way_to(endpoint: &Endpoint) -> Self {
        match endpoint.scheme() {
            EndpointScheme::Http if is_loopback(endpoint) => Self::Private,
            EndpointScheme::Http => Self::Anybody,
            EndpointScheme::Https => Self::Private,
        }
    }
}

/// Whether every address of the host is this machine's own.
fn is_loopback(endpoint: &Endpoint) -> bool {
    let addresses = (endpoint.host(), endpoint.port()).to_socket_addrs();
    addresses.is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback()))
}

fn md5_of(bytes: &[u8]) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::try_from(STANDARD.encode(Md5::digest(bytes))).map_err(|_| UpstreamError::Unwritable)
}

fn frame_headers(rendered: &mut RenderedRequest, framing: &ChunkFraming, length: u64) -> Result<(), UpstreamError> {
    let encodings = rendered.headers.iter_mut().find(|(name, _)| name == header::CONTENT_ENCODING);
    match encodings {
        Some((_, value)) => {
            let both = [b"aws-chunked,".as_slice(), value.as_bytes()].concat();
            *value = HeaderValue::try_from(both).map_err(|_| UpstreamError::Unwritable)?;
        }
        None => rendered.headers.push((header::CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"))),
    }
    rendered.headers.push((HeaderName::from_static("x-amz-decoded-content-length"), HeaderValue::from(length)));
    if let Some(trailing) = framing.trailing() {
        let name = HeaderValue::from_static(trailing.algorithm().header());
        rendered.headers.push((HeaderName::from_static("x-amz-trailer"), name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use portcullis_base::names::AccessKeyId;
    use portcullis_base::secret::Secret;
    use portcullis_http::{BodyInterrupted, Peer, RequestHead, Transport, TrustedAuthorities};
    use portcullis_sigv4::{
        AcceptedScope, AwsService, Checksum, ChecksumAlgorithm, DeclaredChecksums, KeyStatus, Keyring, KeyringKey,
        PayloadVerifier, Principal, RunningChecksum, UnsignedPayload, verify,
    };

    const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const NOW: Timestamp = Timestamp::from_seconds(1_369_353_600);

    fn upstream(endpoint: &str, trailers: TrailerSupport) -> Upstream {
        let endpoint = Endpoint::parse(endpoint).expect("an endpoint");
        let dialler = Dialler::new(endpoint, &TrustedAuthorities::System).expect("no TLS");
        let signer = UpstreamSigner::new(KEY_ID.to_owned(), Secret::new(SECRET.to_owned()), "us-east-1".to_owned());
        let second = Duration::from_secs(1);
        Upstream::new(dialler, signer, UpstreamTimeouts { connect: second, response: second, idle: second }, trailers)
    }

    fn payload(bytes: &'static [u8], checksum: Option<ChecksumAlgorithm>) -> ObjectPayload {
        let checksum = checksum.map(|algorithm| {
            let mut running = RunningChecksum::new(algorithm);
            running.update(bytes);
            let trailing = TrailingChecksum::new(algorithm);
            trailing.settle(running.finish());
            trailing
        });
        if bytes.is_empty() {
            return ObjectPayload::empty(checksum);
        }
        let source = http_body_util::Full::new(Bytes::from_static(bytes)).map_err(|_| BodyInterrupted);
        ObjectPayload {
            source: Box::pin(source),
            length: u64::try_from(bytes.len()).expect("small"),
            digest: None,
            checksum,
        }
    }

    fn put() -> RenderedRequest {
        let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        RenderedRequest {
            method: HttpMethod::Put,
            path: "/vault/key".to_owned(),
            query: String::new(),
            headers: vec![encoding],
            content: RequestContent::Payload,
        }
    }

    /// The request as an upstream reads it that parses like the proxy.
    async fn read(request: Request<UploadBody>) -> (RequestHead, Vec<u8>, Option<Checksum>) {
        let (parts, upload) = request.into_parts();
        let announced = upload.size_hint().exact().expect("a known length");
        let bytes = upload.collect().await.expect("whole").to_bytes();
        assert_eq!(u64::try_from(bytes.len()).ok(), Some(announced), "the length on the wire is the announced one");
        let peer = Peer { address: ([127, 0, 0, 1], 1).into(), transport: Transport::Loopback };
        let head = RequestHead::read(&parts, peer).expect("a legal head");
        let keyring = Keyring::default();
        let key =
            KeyringKey { holder: Principal::Root, secret: Secret::new(SECRET.to_owned()), status: KeyStatus::Active };
        keyring.set(AccessKeyId::parse(KEY_ID).expect("an id"), key);
        let accepted_scope = AcceptedScope {
            region: "us-east-1".to_owned(),
            services: &[AwsService::S3],
            unsigned_payload: UnsignedPayload::Tls,
        };
        let signed = verify(&head, &keyring, NOW, &accepted_scope).expect("our own signature");
        let mut intake = PayloadVerifier::new(signed.payload, announced, DeclaredChecksums::default());
        intake.push(bytes).expect("our own framing");
        let checksum = intake.finish().expect("our own checksum");
        (head, std::iter::from_fn(|| intake.pull()).flatten().collect(), checksum)
    }

    #[tokio::test]
    async fn a_checksum_goes_on_to_whoever_takes_it_in_the_safest_frame_that_the_way_needs() {
        let (here, elsewhere) = ("http://127.0.0.1:9000", "http://192.0.2.1:9000");
        let crc = Some(ChecksumAlgorithm::Crc32);
        let newer = Some(ChecksumAlgorithm::XxHash3);
        let cases = [
            (here, TrailerSupport::KnownToStores, crc, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            (here, TrailerSupport::KnownToStores, None, "UNSIGNED-PAYLOAD"),
            (here, TrailerSupport::KnownToStores, newer, "UNSIGNED-PAYLOAD"),
            (here, TrailerSupport::All, newer, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            (here, TrailerSupport::NotTaken, crc, "UNSIGNED-PAYLOAD"),
            (elsewhere, TrailerSupport::KnownToStores, crc, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            (elsewhere, TrailerSupport::KnownToStores, None, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            (elsewhere, TrailerSupport::NotTaken, crc, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ];
        let progress = Arc::default();
        for (endpoint, trailers, algorithm, expected) in cases {
            let upstream = upstream(endpoint, trailers);
            let payload = payload(b"Welcome to Amazon S3.", algorithm);
            let request = upstream.signed(upstream.signer.own(), put(), Some(payload), &progress, NOW);
            let (head, bytes, checksum) = read(request.expect("written")).await;
            let said = |name: &str| head.headers.value(name).map(str::to_owned);
            assert_eq!(said("x-amz-content-sha256").as_deref(), Some(expected));
            assert_eq!(bytes, b"Welcome to Amazon S3.", "{expected}");
            let passed_on = algorithm.filter(|_| expected.ends_with("-TRAILER"));
            assert_eq!(checksum.map(|checksum| checksum.algorithm()), passed_on, "{endpoint} {trailers:?}");
            assert_eq!(said("x-amz-trailer").as_deref(), passed_on.map(ChecksumAlgorithm::header));
            let chunked = expected.starts_with("STREAMING-");
            assert_eq!(said("x-amz-decoded-content-length").as_deref(), chunked.then_some("21"));
            assert_eq!(said("content-encoding").as_deref(), Some(if chunked { "aws-chunked,gzip" } else { "gzip" }));
        }
    }

    #[tokio::test]
    async fn the_checksum_of_an_empty_object_goes_ahead_of_it() {
        let progress = Arc::default();
        for (trailers, expected) in
            [(TrailerSupport::KnownToStores, Some("AAAAAA==")), (TrailerSupport::NotTaken, None)]
        {
            let payload = payload(b"", Some(ChecksumAlgorithm::Crc32));
            let upstream = upstream("http://127.0.0.1:9000", trailers);
            let request = upstream.signed(upstream.signer.own(), put(), Some(payload), &progress, NOW);
            let (head, bytes, _) = read(request.expect("written")).await;
            assert_eq!(head.headers.value("x-amz-checksum-crc32"), expected);
            assert_eq!((head.headers.value("x-amz-content-sha256"), bytes.len()), (Some(EMPTY_SHA256), 0));
        }
    }

    #[tokio::test]
    async fn a_known_digest_is_what_is_signed() {
        let progress = Arc::default();
        let bytes = b"Welcome to Amazon S3.";
        let payload = ObjectPayload { digest: Some(Sha256::digest(bytes).into()), ..payload(bytes, None) };
        let upstream = upstream("http://192.0.2.1:9000", TrailerSupport::KnownToStores);
        let request = upstream.signed(upstream.signer.own(), put(), Some(payload), &progress, NOW);
        let (head, read, _) = read(request.expect("written")).await;
        let digest = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        assert_eq!((head.headers.value("x-amz-content-sha256"), read.as_slice()), (Some(digest), bytes.as_slice()));
    }
}
