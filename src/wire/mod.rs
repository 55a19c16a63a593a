//! Bytes on the wire: what a client sent, read so that no two readers could read it differently.

mod body;
mod certificate;
mod connection;
mod deadline;
mod dial;
mod head;
mod listener;
mod patience;
mod peer;
mod query;
mod seats;
#[cfg(test)]
pub(crate) mod specimen;
mod stream;
mod tls;

pub use body::{Body, BodyFault, Condition, Hold, Inspect, Withdrawn};
pub use certificate::CertificateError;
pub use connection::Progress;
pub use deadline::{Deadline, Overdue};
pub use dial::{Addresses, Authorities, DialError, Dialler, TrustError};
pub use head::{Head, Headers, Malformed, Method, Peer, Transport};
pub use listener::{Handler, Limits, Remote, Unread, rest_after, serve};
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
