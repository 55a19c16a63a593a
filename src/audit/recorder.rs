//! Where drafts come from and records go.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::draft::Draft;
use super::event::{Additional, Category, ErrorText, EventType, Identity, Record, Resources, Site, Source};
use super::journal::{Journal, JournalClosed, Kind, Sequence};
use crate::clock::{Clock, Timestamp};
use crate::names::RequestId;
use crate::wire::Peer;

/// Where drafts come from and records go.
#[derive(Debug)]
pub struct Recorder {
    sink: Arc<dyn Sink>,
    site: Site,
    clock: Clock,
    ids: Mutex<Ids>,
}

/// Random bytes for the ids of requests and events, fetched many at a time: asking the operating system costs more than the rest
/// of a record's beginning.
struct Ids {
    random: [u8; 16 * 64],
    used: usize,
}

/// What takes records: the journal, or a test's own.
pub trait Sink: Debug + Send + Sync {
    /// Takes a record; on return it has reached the operating system.
    fn append(&self, kind: Kind, payload: &[u8]) -> Result<Sequence, JournalClosed>;
}

impl Sink for Journal {
    fn append(&self, kind: Kind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
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
    /// Records what happens at this site.
    pub fn new(sink: Arc<dyn Sink>, site: Site, clock: Clock) -> Self {
        Self { sink, site, clock, ids: Mutex::default() }
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
        let record = Record {
            site: &self.site,
            identity: Identity::Anonymous,
            time: self.now(),
            source: Source::S3,
            name: "ConnectionError",
            address: peer.address.ip(),
            user_agent: None,
            error: Some(ErrorText { code: failure.reason.code(), message: failure.message }),
            parameters: &[],
            response: &[],
            additional: Additional {
                bytes_in: failure.bytes_read,
                bytes_out: failure.bytes_written,
                ..Additional::default()
            },
            request_id,
            event_id: self.event_id(),
            // Nothing was asked for, so nothing was changed.
            read_only: true,
            resources: Resources::None,
            event_type: EventType::ServiceEvent,
            category: Category::Data,
            addendum: None,
            tls: None,
            host: None,
        };
        let mut out = Vec::with_capacity(1024);
        record.render(&mut out);
        self.append(Kind::Event, &out)
    }

    /// The id of a request that comes now.
    pub fn request_id(&self) -> RequestId {
        RequestId::from_random(self.random())
    }

    pub(super) fn event_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random()).into_uuid()
    }

    fn random(&self) -> [u8; 16] {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    pub(super) fn append(&self, kind: Kind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        self.sink.append(kind, payload)
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Ids {
    fn next(&mut self) -> [u8; 16] {
        let rest = self.random.get(self.used..).and_then(|rest| rest.first_chunk::<16>());
        if let Some(bytes) = rest {
            self.used += 16;
            return *bytes;
        }
        if getrandom::fill(&mut self.random).is_err() {
            // The library has ways of its own to ask.
            return Uuid::new_v4().into_bytes();
        }
        self.used = 0;
        self.next()
    }
}

impl Default for Ids {
    fn default() -> Self {
        let random = [0; 16 * 64];
        Self { random, used: random.len() }
    }
}

impl Debug for Ids {
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
