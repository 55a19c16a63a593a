//! A request from its head to its reply: the door, the signature, the action, its story, the record and the reply.

mod call;
mod door;
mod ending;
mod iam_call;
mod iam_door;
mod intake;
mod keep_alive;
mod pace;
mod places;
mod protection;
mod recording;
mod recovery;
mod reply;
mod s3_door;
mod service_call;

use portcullis_sigv4::{
    AcceptedScope, Keyring, PayloadMode, PayloadVerifier, Principal, SignatureFault, SignatureRejection,
    VerifiedRequest,
};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::story::{RequestedAction, Requester, Story};
use door::ApiDoor;
use ending::{Exchange, RequestEnding};
use places::{PlaceOwner, ReservedPlace};
use portcullis_audit::{ConnectionFailure, ConnectionFault, Draft, Recorder};
use portcullis_authorization::{
    Caller, CallerRights, DenialCause, DenyingStatement, PolicyDenial, Refusal, RequestCircumstances, Rules,
    UpstreamIdentity,
};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_cloudtrail::record::TlsDetails;
use portcullis_control::cloudtrail::CloudTrail;
use portcullis_control::services::ServiceApi;
use portcullis_http::{
    ConnectionChannel, ConnectionHandler, ConnectionProgress, HandshakeFault, Peer, RemoteEnd, RequestBody,
    RequestHead, Transport, TrustedProxies, UnreadRequest,
};
use portcullis_journal::Journal;
use portcullis_mfa::{CodeDigits, MfaToken};
use portcullis_policy::IdentityPolicies;
use portcullis_s3::{
    ExpectedBody, LocalAnswer, OperationAccess, RequestHandling, RoutedRequest, RoutingRules, S3Operation,
    UnclearRequest,
};
use portcullis_state::{CodeSource, StateStore};
use portcullis_upstream::{AnswerBegun, Upstream, UpstreamAnswer};
use recording::{OnRecordLoss, RecordDuty};
use s3_door::{ObjectData, S3Door};

pub(crate) use iam_door::{IamDoor, iam_outcome};
pub use pace::RefusalPace;
pub use places::SharedPlaces;
pub use protection::BucketProtection;
pub use recording::{OnFailure, ReadDurability, RecordingRules};
pub use recovery::{RecoveredRequests, recover};
pub use reply::ReplyBody;

/// Everything that handling a request needs.
#[derive(Debug)]
pub struct Pipeline {
    pub clock: Clock,
    pub accepted_scope: AcceptedScope,
    pub routing: RoutingRules,
    pub rules: Rules,
    pub keyring: Arc<Keyring>,
    pub proxies: TrustedProxies,
    pub state: StateStore,
    pub upstream: Arc<Upstream>,
    pub journal: Arc<Journal>,
    pub recorder: Arc<Recorder>,
    pub protection: BucketProtection,
    pub recording: RecordingRules,
    /// How long a client may pause in the middle of a body.
    pub body_idle: Duration,
    /// Places for documents, which are held in memory.
    pub documents: SharedPlaces,
    /// Places for writes in progress, whether or not the client still waits.
    pub writes: SharedPlaces,
    /// CloudTrail's API.
    pub trails: CloudTrail,
    /// How long the codes of a new device are.
    pub digits: CodeDigits,
    /// Places for the bodies of calls whose signature is not verified yet.
    pub calls: Semaphore,
    /// The rate limit on refusals of each principal.
    pub pace: RefusalPace,
}

/// A request whose head is read and whose signature is verified. Boxed, since each stage takes it by value.
struct UnderstoodRequest {
    head: RequestHead,
    signed: VerifiedRequest,
    routed: RoutedRequest,
    /// As whom its signer acts at the upstream.
    upstream: UpstreamIdentity,
    now: Timestamp,
}

/// A request by the door that handles it.
enum RequestKind {
    Call(Box<RequestHead>),
    IamCall(Box<RequestHead>),
    /// Refused at the head, with the signer if the signature was verified.
    Refused(Failure, Option<Principal>),
    S3(Box<UnderstoodRequest>),
    ServiceCall(&'static ServiceApi, Box<RequestHead>),
}

impl ConnectionHandler for Pipeline {
    type Reply = ReplyBody;

    // Not an async function: hyper may drop the future before its first poll, and the draft must exist by then.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: RemoteEnd,
        progress: Arc<ConnectionProgress>,
    ) -> impl Future<Output = Response<ReplyBody>> + Send {
        let (parts, incoming) = request.into_parts();
        let peer = self.proxies.peer(remote, &parts.headers);
        let mut exchange = Exchange::open(&self.recorder, &parts, peer, progress);
        // Behind a trusted proxy this is the proxy's connection, not the client's.
        if let ConnectionChannel::Tls { version, cipher_suite } = remote.channel
            && peer.address == remote.address
        {
            exchange.tls = version.strip_prefix("TLSv");
            exchange.draft.travelled(TlsDetails { version, cipher_suite: cipher_suite.to_owned() });
        }
        let opening = self.begin(parts, peer, &mut exchange);
        self.answer(opening, incoming, exchange)
    }

    fn refused_by_http(&self, remote: RemoteEnd, bytes: u64, reason: UnreadRequest) {
        let (reason, message) = match reason {
            UnreadRequest::Cut => (ConnectionFault::Disconnected, "the connection ended within a request"),
            UnreadRequest::Handshake(fault) => (ConnectionFault::TlsHandshake, of_handshake(fault)),
            UnreadRequest::HeadTooLong => (ConnectionFault::HeadTooLarge, "the head of the request is too long"),
            UnreadRequest::NotHttp => (ConnectionFault::BadRequest, "the request is not HTTP/1.1"),
            UnreadRequest::TimedOut => (ConnectionFault::HeadTooSlow, "the head of the request did not come in time"),
            UnreadRequest::TooManyConnections => {
                (ConnectionFault::TooManyConnections, "the client has as many connections as it may")
            }
        };
        let peer = Peer { address: remote.address, transport: Transport::Plain };
        let failure = ConnectionFailure { reason, message, bytes_read: bytes, bytes_written: 0 };
        if self.recorder.connection_failed(self.recorder.request_id(), peer, failure).is_err() {
            tracing::error!(remote = %remote.address, "a refused connection could not be recorded");
        }
    }
}

impl Pipeline {
    /// Reads the head. It takes `Parts` by value and drops them, so that hyper can reuse the buffer for the next head.
    fn begin(&self, parts: Parts, peer: Peer, exchange: &mut Exchange) -> RequestKind {
        let head = match RequestHead::read(&parts, peer) {
            Ok(head) => head,
            Err(malformed) => {
                exchange.draft.arrived_malformed(&parts);
                return RequestKind::Refused(Failure::Malformed(malformed), None);
            }
        };
        exchange.draft.arrived(&head);
        match ApiDoor::of(&head) {
            ApiDoor::CloudTrail => {
                exchange.identify(self.recorder.call_id());
                call::name_by_head(&mut exchange.draft, &head);
                RequestKind::Call(Box::new(head))
            }
            ApiDoor::Iam => {
                exchange.identify(self.recorder.call_id());
                iam_call::name_by_head(&mut exchange.draft, &head);
                RequestKind::IamCall(Box::new(head))
            }
            ApiDoor::S3 => self
                .ask(head, &mut exchange.draft)
                .map_or_else(|(failure, signer)| RequestKind::Refused(failure, signer), RequestKind::S3),
            ApiDoor::Service(api) => {
                exchange.identify(self.recorder.call_id());
                service_call::name_by_head(&mut exchange.draft, api, &head);
                RequestKind::ServiceCall(api, Box::new(head))
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        opening: RequestKind,
        incoming: Incoming,
        mut exchange: Exchange,
    ) -> Response<ReplyBody> {
        let asked = match opening {
            RequestKind::S3(asked) => asked,
            // Boxed, so that the future of an S3 request is not as large as that of a call.
            RequestKind::Call(head) => return Box::pin(self.call(*head, incoming, exchange)).await,
            RequestKind::IamCall(head) => return Box::pin(self.iam_call(*head, incoming, exchange)).await,
            RequestKind::ServiceCall(api, head) => {
                return Box::pin(self.service_call(api, *head, incoming, exchange)).await;
            }
            RequestKind::Refused(failure, signer) => {
                let response = self.end(exchange, Err(failure)).await;
                if let Some(signer) = signer {
                    self.wait_after_refusal(&signer).await;
                }
                return response;
            }
        };
        exchange.access = asked.routed.row().access;
        match exchange.access {
            OperationAccess::Read => self.carry_out(asked, incoming, exchange).await,
            // hyper drops the handler of a client that disconnects; a write must finish all the same.
            OperationAccess::Write => {
                let holder = PlaceOwner::new(asked.signed.principal.clone(), asked.head.peer.address.ip());
                // Outside of the task, so that a client that disconnects stops waiting.
                let Some(place) = self.writes.take(&holder, self.body_idle).await else {
                    return self.end(exchange, Err(Failure::Busy)).await;
                };
                let begun = portcullis_upstream::is_kept_alive(asked.routed.action()).then(Arc::<AnswerBegun>::default);
                exchange.ending.begun.clone_from(&begun);
                let fallback = exchange.ending.clone();
                let finishing = tokio::spawn(async move {
                    let response = self.carry_out(asked, incoming, exchange).await;
                    drop(place);
                    response
                });
                match begun {
                    None => finishing.await.unwrap_or_else(|_| fallback.internal()),
                    Some(begun) => Box::pin(keep_alive::reply(finishing, &begun, fallback)).await,
                }
            }
        }
    }

    /// Routes the request and verifies its signature; the body is not read.
    fn ask(
        &self,
        head: RequestHead,
        draft: &mut Draft,
    ) -> Result<Box<UnderstoodRequest>, (Failure, Option<Principal>)> {
        let now = self.clock.now();
        // Before the signature is verified, so that the record of a refusal names the operation.
        let routed = portcullis_s3::route(&head, &self.routing);
        ending::name(draft, &routed);
        if routed.as_ref().is_ok_and(|routed| routed.handling() == RequestHandling::Answered(LocalAnswer::Preflight)) {
            return Err((Failure::Preflight, None));
        }
        let signed = portcullis_sigv4::verify(&head, &self.keyring, now, &self.accepted_scope)
            .map_err(|rejected| reject(draft, rejected))?;
        // By the key that is there now: a user who is removed meanwhile must not go on with Portcullis's own.
        let upstream = self.state.upstream_identity(&signed.principal).ok_or_else(|| {
            let key_id = Some(signed.key_id.clone());
            reject(draft, SignatureRejection { key_id, reason: SignatureFault::UnknownKey })
        })?;
        ending::signed(draft, &signed);
        match routed {
            Ok(routed) => Ok(Box::new(UnderstoodRequest { head, signed, routed, upstream, now })),
            Err(why) => Err((unclear(why), Some(signed.principal))),
        }
    }

    async fn carry_out(
        self: Arc<Self>,
        asked: Box<UnderstoodRequest>,
        incoming: Incoming,
        mut exchange: Exchange,
    ) -> Response<ReplyBody> {
        exchange.duty = self.recording.duty(exchange.access, asked.routed.bucket());
        let principal = asked.signed.principal.clone();
        let outcome = self.story(asked, incoming, &mut exchange).await;
        let refused = matches!(&outcome, Err(failure) if failure.is_refusal());
        let response = self.end(exchange, outcome).await;
        if refused {
            Box::pin(self.wait_after_refusal(&principal)).await;
        }
        response
    }

    /// Delays the reply to a refusal if its caller causes too many: each refusal is an event, and none is left out.
    async fn wait_after_refusal(&self, principal: &Principal) {
        let wait = self.pace.refusal(principal, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    async fn story(
        &self,
        asked: Box<UnderstoodRequest>,
        incoming: Incoming,
        exchange: &mut Exchange,
    ) -> Result<UpstreamAnswer, Failure> {
        let UnderstoodRequest { head, signed, routed, upstream, now } = *asked;
        let Exchange { draft, ending, access, duty, tls } = exchange;
        // Before the body is read and a code is spent, which would be in vain.
        if duty.loss == OnRecordLoss::Refused && !self.journal.is_open() {
            return Err(Failure::Unrecorded);
        }
        let principal = signed.principal.clone();
        let caller = Caller { principal, form: signed.form, transport: head.peer.transport, upstream };
        // Held until the request ends, as long as the document is in memory.
        let mut _room = None;
        let (document, payload) = match routed.expects() {
            ExpectedBody::Document { limit } => {
                let holder = PlaceOwner::new(signed.principal.clone(), head.peer.address.ip());
                _room = Some(self.room_for_a_document(&holder).await?);
                let body = self.body(&head, &signed, routed.action(), incoming, ending)?;
                let (unsigned, transport) = (self.accepted_scope.unsigned_payload, head.peer.transport);
                (
                    Some(Box::pin(intake::document(body, &signed, unsigned, transport, limit, self.body_idle)).await?),
                    None,
                )
            }
            ExpectedBody::Nothing => (None, None),
            ExpectedBody::Payload => {
                let body = self.body(&head, &signed, routed.action(), incoming, ending)?;
                (None, Some(Box::new(body)))
            }
        };
        let request = routed.complete(document).map_err(unclear)?;
        ending::describe(draft, &request);
        self.expect_owner(&request)?;
        let circumstances = self.circumstances(&head, &signed, now, *tls);
        let policies = self.policies(&signed.principal);
        let account = self.state.account();
        let rights = CallerRights::of(&signed.principal, policies, account, &request, &circumstances);
        let request = rights.allow(request).map_err(|denial| Failure::Refused(Refusal::Policy(denial)))?;
        if let Some(first) = request.withheld().first() {
            draft.withholds(request.withheld());
            log_denial(&first.denial, request.withheld().len());
        }
        let offer = MfaToken::parse(head.headers.value("x-amz-mfa"));
        let source = CodeSource::of_address(head.peer.address.ip());
        let digest = match signed.payload {
            PayloadMode::Digest(digest) => Some(digest),
            PayloadMode::Chunked(_) | PayloadMode::Unsigned => None,
        };
        // Dropped before the wait for the store: a smaller future keeps more of the processor's cache.
        drop(head);
        drop(signed);
        let door = S3Door { pipeline: self, duty: *duty, rights, begun: ending.begun.as_deref() };
        let (body, requester) = (ObjectData { payload, digest }, Requester { caller, source, now });
        let requested = RequestedAction { action: request, body, requester, offer, access: *access };
        Story { journal: &self.journal, state: &self.state }.act(&door, requested, draft).await
    }

    /// What the caller of a control API may do.
    fn call_rights(
        &self,
        head: &RequestHead,
        signed: &VerifiedRequest,
        now: Timestamp,
        tls_version: Option<&'static str>,
    ) -> CallerRights {
        let circumstances = self.circumstances(head, signed, now, tls_version);
        let policies = self.policies(&signed.principal);
        CallerRights::of_call(&signed.principal, policies, self.state.account(), &circumstances)
    }

    /// How a request came, as conditions of policies look at it.
    fn circumstances<'a>(
        &'a self,
        head: &'a RequestHead,
        signed: &VerifiedRequest,
        now: Timestamp,
        tls_version: Option<&'static str>,
    ) -> RequestCircumstances<'a> {
        RequestCircumstances {
            head,
            form: signed.form,
            credentials: signed.credentials,
            signed_at: signed.signed_at,
            now,
            region: &self.accepted_scope.region,
            tls_version,
        }
    }

    /// The policies of a user; root has none.
    fn policies(&self, principal: &Principal) -> Option<Arc<IdentityPolicies>> {
        match principal {
            Principal::Root => None,
            Principal::User(name) => self.state.permissions(name),
        }
    }

    async fn room_for_a_document(&self, holder: &PlaceOwner) -> Result<ReservedPlace, Failure> {
        self.documents.take(holder, self.body_idle).await.ok_or(Failure::Busy)
    }

    fn body(
        &self,
        head: &RequestHead,
        signed: &VerifiedRequest,
        action: S3Operation,
        incoming: Incoming,
        ending: &mut RequestEnding,
    ) -> Result<RequestBody<PayloadVerifier>, Failure> {
        let body = RequestBody::new(incoming, intake::of(head, signed, action)?, self.body_idle);
        ending.received = body.received();
        Ok(body)
    }

    /// Checks `x-amz-expected-bucket-owner` and its like: each bucket is owned by our account.
    fn expect_owner(&self, request: &portcullis_s3::S3Request) -> Result<(), Failure> {
        let expected = request.expected_owner.iter().chain(&request.expected_source_owner);
        let ours = expected.into_iter().all(|owner| owner == self.state.account());
        if ours { Ok(()) } else { Err(Failure::OtherOwner) }
    }
}

/// Ends a request whose signature does not count.
fn reject(draft: &mut Draft, rejected: SignatureRejection) -> (Failure, Option<Principal>) {
    if let Some(key_id) = &rejected.key_id {
        draft.claimed_by(key_id.as_str());
    }
    (Failure::Rejected(Box::new(rejected)), None)
}

fn of_handshake(fault: HandshakeFault) -> &'static str {
    match fault {
        HandshakeFault::Broken => "the TLS handshake is not as it should be",
        HandshakeFault::ClientRefused => {
            "the client refused the TLS connection, as it does when it does not trust the certificate"
        }
        HandshakeFault::Cut => "the connection ended within the TLS handshake",
        HandshakeFault::NotTls => "what came is not TLS",
        HandshakeFault::NothingInCommon => "the client knows no TLS version, cipher suite or protocol of the proxy's",
        HandshakeFault::TimedOut => "the TLS handshake was not done in time",
    }
}

/// Says which statement denies: the client hears only that one does.
fn log_denial(denial: &PolicyDenial, requests: usize) {
    let PolicyDenial { principal, action, resource, cause } = denial;
    match cause {
        DenialCause::Explicit(DenyingStatement { policy, place, sid, .. }) => {
            let sid = sid.as_deref().unwrap_or("");
            tracing::info!(%principal, %action, %resource, requests, %policy, statement = place, sid, "a policy denies");
        }
        DenialCause::Implicit(role) => {
            tracing::info!(%principal, %action, %resource, requests, ?role, "no policy allows");
        }
    }
}

fn unclear(unclear: UnclearRequest) -> Failure {
    Failure::Unclear(Box::new(unclear))
}
