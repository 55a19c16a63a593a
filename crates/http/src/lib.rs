//! Bytes on the wire: what a client sent, read so that no two readers could read it differently.

mod body;
mod certificate;
mod client_limit;
mod connection;
mod deadline;
mod dial;
mod endpoint;
#[cfg(any(test, feature = "test-support"))]
#[expect(clippy::expect_used, reason = "fixtures of tests")]
pub mod fixture;
mod head;
mod listener;
mod peer;
mod query;
mod stream;
mod timeouts;
mod tls;

pub use body::{
    BodyFault, BodyInspector, BodyInterrupted, ConditionHold, ConditionWithdrawn, ReleaseCondition, RequestBody,
};
pub use certificate::{CertificateError, TlsFiles};
pub use client_limit::client_network;
pub use connection::ConnectionProgress;
pub use deadline::{Deadline, DeadlinePassed};
pub use dial::{DialError, Dialler, EndpointAddresses, TrustError, TrustedAuthorities};
pub use endpoint::{Endpoint, EndpointScheme, InvalidEndpoint};
pub use head::{HttpMethod, MalformedHead, Peer, RequestHead, RequestHeaders, Transport};
pub use listener::{ConnectionHandler, ConnectionLimits, RemoteEnd, UnreadRequest, rest_after, serve};
pub use peer::TrustedProxies;
pub use query::QueryString;
pub use stream::TcpOrTlsStream;
pub use tls::{CertificateReload, ConnectionChannel, HandshakeFault, ListenerSecurity};

/// True for an error that says nothing of its cause but that descriptors, buffers or memory are used up for now.
pub fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
