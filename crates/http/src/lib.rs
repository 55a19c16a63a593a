//! Bytes on the wire: what a client sent, read so that no two readers could read it differently.

mod body;
mod certificate;
mod connection;
mod deadline;
mod dial;
mod endpoint;
mod head;
mod listener;
mod network;
mod patience;
mod peer;
mod query;
mod seats;
#[cfg(any(test, feature = "test-support"))]
#[expect(clippy::expect_used, reason = "fixtures of tests")]
pub mod specimen;
mod stream;
mod tls;

pub use body::{Body, BodyFault, Condition, Hold, Inspect, Withdrawn};
pub use certificate::{CertificateError, TlsFiles};
pub use connection::Progress;
pub use deadline::{Deadline, Overdue};
pub use dial::{Addresses, Authorities, DialError, Dialler, TrustError};
pub use endpoint::{Endpoint, EndpointScheme, InvalidEndpoint};
pub use head::{Head, Headers, Malformed, Method, Peer, Transport};
pub use listener::{Handler, Limits, Remote, Unread, rest_after, serve};
pub use network::{InvalidNetwork, IpNetwork};
pub use peer::TrustedProxies;
pub use query::Query;
pub use seats::client_network;
pub use stream::Stream;
pub use tls::{Channel, HandshakeFault, Reload, Security};

/// True for an error that says nothing of its cause but that descriptors, buffers or memory are used up for now.
pub fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
