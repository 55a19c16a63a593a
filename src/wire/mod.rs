//! Bytes on the wire: what a client sent, read so that no two readers could read it differently.

mod head;
mod query;

pub use head::{Head, Headers, Malformed, Method, Peer, Transport};
pub use query::{Query, percent_decode, percent_encode, percent_encode_path};
