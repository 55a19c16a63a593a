//! Delivers what trails admit: log files and signed digests, to a folder or to the upstream.

mod destination;
mod keys;

pub use destination::{Buckets, Destination, DestinationError, Folder, METADATA_SUFFIX, Parcel};
pub use keys::{KeyError, Keys, Signer};
