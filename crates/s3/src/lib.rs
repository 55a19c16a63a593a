//! What a request asks for: one typed value, or a refusal; never a second look at the raw request.

mod copy_source;
pub mod documents;
mod hazard;
mod headers;
mod opaque;
mod parameters;
mod profile;
mod request;
mod route;
mod row;
mod stores;
mod table;
mod target;
mod unclear;
mod unconfigured;

pub use hazard::{Hazard, VersioningChange};
pub use headers::EMBEDDED_EXPIRES;
pub use profile::{Placement, Replication, StoreProcess, StoreProfile, Trailers, UploadVersions, UpstreamKind};
pub use request::{
    CopySource, DeleteObjects, Document, MfaDeleteChange, ObjectIdentifier, Request, VersioningDocument,
    VersioningStatus,
};
pub use route::{Expects, Routed, route};
pub use row::{Access, Body, Category, Harm, Level, Mark, Row};
pub use stores::{Handling, LocalAnswer, Treatment};
pub use table::Action;
pub use target::Routing;
pub use unclear::{Reason as UnclearReason, Unclear, Unsupported};
pub use unconfigured::Unconfigured;

use parameters::version;

#[cfg(test)]
mod tests;
