//! A request from its head to its reply: who signed it, what it asks for, the story of that, and the record.

mod call;
mod door;
mod ending;
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

use portcullis_sigv4::{AcceptedScope, Keyring, PayloadMode, PayloadVerifier, Principal, VerifiedRequest};
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
use portcullis_authorization::{Caller, Rules};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_cloudtrail::record::TlsDetails;
use portcullis_control::cloudtrail::CloudTrail;
use portcullis_control::services::ServiceApi;
use portcullis_http::{
    ConnectionChannel, ConnectionHandler, ConnectionProgress, HandshakeFault, Peer, RemoteEnd, RequestBody,
    RequestHead, Transport, TrustedProxies, UnreadRequest,
};
use portcullis_journal::Journal;
use portcullis_mfa::MfaToken;
use portcullis_s3::{
    ExpectedBody, LocalAnswer, OperationAccess, RequestHandling, RoutedRequest, RoutingRules, S3Operation,
    UnclearRequest,
};
use portcullis_state::{CodeSource, StateStore};
use portcullis_upstream::{AnswerBegun, Upstream, UpstreamAnswer};
use recording::{OnRecordLoss, RecordDuty};
use s3_door::{ObjectData, S3Door};

pub use pace::RefusalPace;
pub use places::SharedPlaces;
pub use protection::BucketProtection;
pub use recording::{OnFailure, ReadDurability, RecordingRules};
pub use recovery::{RecoveredRequests, recover};
pub use reply::ReplyBody;

/// Everything a request meets on its way.
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
    /// How long a client may send nothing in the middle of a body.
    pub body_idle: Duration,
    /// For the documents that are in memory at once.
    pub documents: SharedPlaces,
    /// For what changes something and is under way, whether or not its client still waits for it.
    pub writes: SharedPlaces,
    /// CloudTrail's API.
    pub trails: CloudTrail,
    /// Room for the bodies of calls that nobody is known to have signed yet.
    pub calls: Semaphore,
    /// How fast each principal may be refused.
    pub pace: RefusalPace,
}

/// A request whose head is understood; boxed, since it goes by value into what finishes it.
struct UnderstoodRequest {
    head: RequestHead,
    signed: VerifiedRequest,
    routed: RoutedRequest,
    now: Timestamp,
}

/// What a head asks for.
enum RequestKind {
    Call(Box<RequestHead>),
    /// Refused, and by whom it was signed where that is proved.
    Refused(Failure, Option<Principal>),
    S3(Box<UnderstoodRequest>),
    ServiceCall(&'static ServiceApi, Box<RequestHead>),
}

impl ConnectionHandler for Pipeline {
    type Reply = ReplyBody;

    // Not an async function: the draft is opened, named and signed before there is a future that hyper could drop.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: RemoteEnd,
        progress: Arc<ConnectionProgress>,
    ) -> impl Future<Output = Response<ReplyBody>> + Send {
        let (parts, incoming) = request.into_parts();
        let peer = self.proxies.peer(remote, &parts.headers);
        let mut exchange = Exchange::open(&self.recorder, &parts, peer, progress);
        // The connection of a hop in between says nothing of the client's own.
        if let ConnectionChannel::Tls { version, cipher_suite } = remote.channel
            && peer.address == remote.address
        {
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
    /// Reads the head; hyper reads the next one into the same buffer, once nothing holds on to this one.
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
            // Apart, so that S3's requests need no room for it.
            RequestKind::Call(head) => return Box::pin(self.call(*head, incoming, exchange)).await,
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
            // hyper drops a handler whose client leaves; what changes something finishes all the same.
            OperationAccess::Write => {
                let holder = PlaceOwner::new(asked.signed.principal.clone(), asked.head.peer.address.ip());
                // Waited for here, where a client that leaves gives up waiting.
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

    /// What is asked, and by whom; nothing of the body is read.
    fn ask(
        &self,
        head: RequestHead,
        draft: &mut Draft,
    ) -> Result<Box<UnderstoodRequest>, (Failure, Option<Principal>)> {
        let now = self.clock.now();
        // Named before it is known who asks, so that the record of a refusal says what was refused.
        let routed = portcullis_s3::route(&head, &self.routing);
        ending::name(draft, &routed);
        if routed.as_ref().is_ok_and(|routed| routed.handling() == RequestHandling::Answered(LocalAnswer::Preflight)) {
            return Err((Failure::Preflight, None));
        }
        let signed = portcullis_sigv4::verify(&head, &self.keyring, now, &self.accepted_scope).map_err(|rejected| {
            if let Some(key_id) = &rejected.key_id {
                draft.claimed_by(key_id.as_str());
            }
            (Failure::Rejected(Box::new(rejected)), None)
        })?;
        draft.signed_by(&signed.principal, &signed.key_id, signed.form);
        match routed {
            Ok(routed) => Ok(Box::new(UnderstoodRequest { head, signed, routed, now })),
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

    /// Lets the reply to a refusal wait where its caller causes too many: each is an event, and none is left out.
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
        let UnderstoodRequest { head, signed, routed, now } = *asked;
        let Exchange { draft, ending, access, duty } = exchange;
        // Asked before a code is spent, or anything of the body is read, for nothing.
        if duty.loss == OnRecordLoss::Refused && !self.journal.is_open() {
            return Err(Failure::Unrecorded);
        }
        let caller = Caller { principal: signed.principal.clone(), form: signed.form, transport: head.peer.transport };
        // Kept until the request has ended, as its document is.
        let mut _room = None;
        let (document, payload) = match routed.expects() {
            ExpectedBody::Document { limit } => {
                let holder = PlaceOwner::new(signed.principal.clone(), head.peer.address.ip());
                _room = Some(self.room_for_a_document(&holder).await?);
                let body = self.body(&head, &signed, routed.action(), incoming, ending)?;
                (
                    Some(Box::pin(intake::document(body, &signed, head.peer.transport, limit, self.body_idle)).await?),
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
        let offer = MfaToken::parse(head.headers.value("x-amz-mfa"));
        let source = CodeSource::of_address(head.peer.address.ip());
        let digest = match signed.payload {
            PayloadMode::Digest(digest) => Some(digest),
            PayloadMode::Chunked(_) | PayloadMode::Unsigned => None,
        };
        // What was only read waits for nothing, and so takes no room in the processor's cache.
        drop(head);
        drop(signed);
        let door = S3Door { pipeline: self, duty: *duty, begun: ending.begun.as_deref() };
        let (body, requester) = (ObjectData { payload, digest }, Requester { caller, source, now });
        let requested = RequestedAction { action: request, body, requester, offer, access: *access };
        Story { journal: &self.journal, state: &self.state }.act(&door, requested, draft).await
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

    /// Answers for the upstream who owns its buckets, where the client wants to be sure.
    fn expect_owner(&self, request: &portcullis_s3::S3Request) -> Result<(), Failure> {
        let expected = request.expected_owner.iter().chain(&request.expected_source_owner);
        let ours = expected.into_iter().all(|owner| owner == self.state.account());
        if ours { Ok(()) } else { Err(Failure::OtherOwner) }
    }
}

fn of_handshake(fault: HandshakeFault) -> &'static str {
    match fault {
        HandshakeFault::Broken => "the TLS handshake is not as it should be",
        HandshakeFault::ClientRefused => {
            "the client refused the TLS connection, as it does when it does not trust the certificate"
        }
        HandshakeFault::Cut => "the connection ended within the TLS handshake",
        HandshakeFault::NotTls => "what came is not TLS",
        HandshakeFault::NothingInCommon => "the client knows no TLS version, cipher suite or protocol of the gate's",
        HandshakeFault::TimedOut => "the TLS handshake was not done in time",
    }
}

fn unclear(unclear: UnclearRequest) -> Failure {
    Failure::Unclear(Box::new(unclear))
}
