//! Where drafts come from and records go.

use std::fmt::{self, Debug};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::budget::{DiskSpace, RecordAdmission, RequestCount, RequestGroup, UnsignedBudget};
use super::draft::Draft;
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::{HostId, RequestId};
use portcullis_cloudtrail::record::{
    AccountScope, AdditionalData, EventCategory, EventError, EventRecord, EventResources, EventSource, EventType,
    RequestAggregate, UserIdentity,
};
use portcullis_http::{Peer, client_network};
use portcullis_journal::{Journal, JournalClosed, RecordKind, Sequence};

/// Where drafts come from and records go.
#[derive(Debug)]
pub struct Recorder {
    sink: Arc<dyn RecordSink>,
    scope: AccountScope,
    clock: Clock,
    ids: Mutex<IdPool>,
    unsigned: UnsignedBudget,
}

/// An unsigned request, as far as it is counted if it is not recorded by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnsignedRequest<'a> {
    pub address: IpAddr,
    pub code: &'a str,
    /// The key that it named.
    pub key_id: Option<&'a str>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Random bytes for the ids of requests and events, fetched many at a time: asking the operating system costs more than the rest
/// of a record's beginning.
struct IdPool {
    random: [u8; FETCHED],
    used: usize,
}

/// What takes records: the journal, or a test's own.
pub trait RecordSink: Debug + Send + Sync {
    /// Takes a record; on return it has reached the operating system.
    fn append(&self, kind: RecordKind, payload: &[u8]) -> Result<Sequence, JournalClosed>;
}

impl RecordSink for Journal {
    fn append(&self, kind: RecordKind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        Self::append(self, kind, payload)
    }
}

/// A connection that ended before there was a request.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFailure<'a> {
    pub reason: ConnectionFault,
    /// What the HTTP or TLS layer said of it, without anything the client sent.
    pub message: &'a str,
    pub bytes_read: u64,
    pub bytes_written: u64,
}

/// What the HTTP or TLS layer refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionFault {
    /// Status 400: not HTTP.
    BadRequest,
    /// The client left within a head.
    Disconnected,
    /// Status 431.
    HeadTooLarge,
    /// Status 408.
    HeadTooSlow,
    /// Status 414.
    TargetTooLong,
    TlsHandshake,
    /// Turned away since too many connections are open.
    TooManyConnections,
}

impl Recorder {
    /// Records what happens in this account and region.
    pub fn new(sink: Arc<dyn RecordSink>, scope: AccountScope, clock: Clock) -> Self {
        Self { sink, scope, clock, ids: Mutex::default(), unsigned: UnsignedBudget::default() }
    }

    /// Begins the record of a request, before anything of it is read.
    pub fn open(self: &Arc<Self>, request_id: RequestId, peer: Peer) -> Draft {
        Draft::open(Arc::clone(self), request_id, peer)
    }

    /// Records a connection that ended before there was a request.
    pub fn connection_failed(
        &self,
        request_id: RequestId,
        peer: Peer,
        failure: ConnectionFailure<'_>,
    ) -> Result<Sequence, JournalClosed> {
        let address = peer.address.ip();
        let ConnectionFailure { reason, message, bytes_read: bytes_in, bytes_written: bytes_out } = failure;
        let unsigned = UnsignedRequest { address, code: reason.code(), key_id: None, bytes_in, bytes_out };
        self.append_unsigned(unsigned, || {
            let additional = AdditionalData { bytes_in, bytes_out, ..AdditionalData::default() };
            let error = EventError { code: reason.code(), message };
            self.of_connection("ConnectionError", UserIdentity::Anonymous, address, error, additional, request_id)
        })
    }

    /// An event of what happened before there was a request.
    fn of_connection(
        &self,
        name: &'static str,
        identity: UserIdentity<'_>,
        address: IpAddr,
        error: EventError<'_>,
        additional: AdditionalData<'_>,
        request_id: RequestId,
    ) -> Vec<u8> {
        let record = EventRecord {
            scope: &self.scope,
            identity,
            time: self.now(),
            source: EventSource::S3,
            name,
            address,
            user_agent: None,
            error: Some(error),
            parameters: &[],
            response: &[],
            additional,
            request_id,
            event_id: self.event_id(),
            // Nothing was asked for, so nothing was changed.
            read_only: true,
            resources: EventResources::None,
            source_object: None,
            event_type: EventType::ServiceEvent,
            category: EventCategory::Data,
            addendum: None,
            tls: None,
            host: None,
        };
        let mut out = Vec::with_capacity(1024);
        record.render(&mut out);
        out
    }

    /// Records an unsigned request, or counts it once its network, or all networks, caused too many records.
    // INVARIANT (signed): what carries a valid signature does not come here, so it is never counted in its record's place.
    pub(super) fn append_unsigned(
        &self,
        unsigned: UnsignedRequest<'_>,
        render: impl FnOnce() -> Vec<u8>,
    ) -> Result<Sequence, JournalClosed> {
        let (network, now) = (client_network(unsigned.address), Instant::now());
        let counted = || {
            // Only a key that exists can be of a wrong signature, and there are few of those.
            let key_id = unsigned.key_id.filter(|_| WRONG_SIGNATURE.contains(&unsigned.code)).map(Into::into);
            let cause = RequestGroup { network: Some(network), code: unsigned.code.to_owned(), key_id };
            self.unsigned.count(cause, RequestCount::one(unsigned.bytes_in, unsigned.bytes_out, self.now()));
        };
        if self.unsigned.admit(network, now) == RecordAdmission::Counted {
            counted();
            return Ok(Sequence::NONE);
        }
        let payload = render();
        let appended = self.append(RecordKind::Event, &payload).inspect_err(|JournalClosed| counted())?;
        self.unsigned.charge(network, payload.len(), now);
        Ok(appended)
    }

    /// Sets whether the disk has space for records of unsigned requests.
    pub fn set_space(&self, space: DiskSpace) {
        self.unsigned.set_space(space);
    }

    /// Records what was counted instead of recorded, once a minute; to be called more often.
    pub fn tell_counted(&self) {
        self.tell(self.unsigned.due(Instant::now()));
    }

    /// Records all counts that are not recorded yet, before the proxy ends.
    pub fn tell_the_rest(&self) {
        self.tell(self.unsigned.rest());
    }

    fn tell(&self, told: Vec<(RequestGroup, RequestCount)>) {
        for (cause, count) in told {
            if self.append(RecordKind::Event, &self.aggregate(&cause, count)).is_err() {
                self.unsigned.count(cause, count);
            }
        }
    }

    fn aggregate(&self, cause: &RequestGroup, count: RequestCount) -> Vec<u8> {
        let RequestCount { requests, bytes_in, bytes_out, first, last } = count;
        let network = cause.network;
        let aggregate = Some(RequestAggregate { network, requests, first, last });
        let additional = AdditionalData { bytes_in, bytes_out, aggregate, ..AdditionalData::default() };
        let identity = cause.key_id.as_deref().map_or(UserIdentity::Anonymous, UserIdentity::Claimed);
        let address = network.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let error = EventError { code: &cause.code, message: AGGREGATED };
        self.of_connection("AggregatedRequests", identity, address, error, additional, self.request_id())
    }

    /// The id of a request that comes now.
    pub fn request_id(&self) -> RequestId {
        RequestId::from_random(self.random())
    }

    /// The id of a call of a control API.
    pub fn call_id(&self) -> RequestId {
        RequestId::uuid(self.random())
    }

    /// What a reply of S3 says beside its request's id.
    pub fn host_id(&self) -> HostId {
        HostId::from_random(self.random())
    }

    pub(super) fn event_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random()).into_uuid()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    pub(super) fn append(&self, kind: RecordKind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        self.sink.append(kind, payload)
    }

    pub(super) fn scope(&self) -> &AccountScope {
        &self.scope
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Enough for a hundred requests.
const FETCHED: usize = 16 * 640;

/// The codes of a wrong signature with a key that exists, of S3 and of the control APIs.
const WRONG_SIGNATURE: [&str; 3] =
    ["Client.SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch"];

const AGGREGATED: &str = "Requests without a valid signature were too many to be recorded one by one";

impl IdPool {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        if self.random.len().saturating_sub(self.used) < N {
            self.fetch();
        }
        let bytes = self.random.get(self.used..).and_then(|rest| rest.first_chunk::<N>()).copied();
        self.used += N;
        bytes.unwrap_or([0; N])
    }

    fn fetch(&mut self) {
        if getrandom::fill(&mut self.random).is_err() {
            // The library has ways of its own to ask.
            self.random.chunks_mut(16).for_each(|chunk| chunk.copy_from_slice(Uuid::new_v4().as_bytes()));
        }
        self.used = 0;
    }
}

impl Default for IdPool {
    fn default() -> Self {
        let random = [0; FETCHED];
        Self { random, used: random.len() }
    }
}

impl Debug for IdPool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Ids")
    }
}

impl ConnectionFault {
    fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Disconnected => "ClientDisconnected",
            Self::HeadTooLarge => "RequestHeaderSectionTooLarge",
            Self::HeadTooSlow => "RequestTimeout",
            Self::TargetTooLong => "URITooLong",
            Self::TlsHandshake => "TlsHandshakeFailed",
            Self::TooManyConnections => "SlowDown",
        }
    }
}
