//! Bytes on the wire: what a client sent, read so that no two readers could read it differently.

mod body;
mod connection;
mod head;
mod listener;
mod peer;
mod query;

pub use body::{Body, BodyFault, Condition, Hold, Inspect, Withdrawn};
pub use connection::Progress;
pub use head::{Head, Headers, Malformed, Method, Peer, Transport};
pub use listener::{Handler, Limits, Unread, serve};
pub use peer::TrustedProxies;
pub use query::{Query, percent_decode, percent_encode, percent_encode_path};
