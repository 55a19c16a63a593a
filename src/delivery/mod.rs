//! Delivers what trails admit: log files and signed digests, to a folder or to the upstream.

mod destination;

pub use destination::{Buckets, Destination, DestinationError, Folder, METADATA_SUFFIX, Parcel};
