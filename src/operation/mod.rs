//! What a request asks for: one typed value, or a refusal; never a second look at the raw request.

mod hazard;
mod request;

pub use hazard::{Hazard, VersioningChange};
pub use request::{
    CopySource, DeleteObjects, Document, MfaDeleteChange, ObjectIdentifier, Request, VersioningDocument,
    VersioningStatus,
};
