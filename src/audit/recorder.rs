//! Where drafts come from and records go.

use std::fmt::Debug;
use std::sync::Arc;

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
        Self { sink, site, clock }
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
            event_id: Uuid::new_v4(),
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
