//! What a request asks for: one typed value, or a refusal; never a second look at the raw request.

mod copy_source;
pub mod documents;
mod elements;
mod hazard;
mod headers;
mod opaque;
mod parameters;
mod permission;
mod profile;
mod request;
mod route;
mod row;
mod stores;
mod stray;
mod table;
mod target;
mod unclear;
mod unconfigured;

pub use hazard::{Hazard, VersioningChange};
pub use headers::EMBEDDED_EXPIRES;
pub use permission::{PermissionRule, PermissionScope, RequiredPermission};
pub use profile::{
    BucketPlacement, ReplicationRule, StoreProcess, StoreProfile, TrailerSupport, UploadVersions, UpstreamKind,
};
pub use request::{
    CopySource, DeleteObjects, MfaDeleteChange, ObjectIdentifier, RequestDocument, S3Request, VersioningDocument,
    VersioningStatus,
};
pub use route::{ExpectedBody, RoutedRequest, route};
pub use row::{
    HazardRule, OperationAccess, OperationBody, OperationCategory, OperationMark, OperationRow, TargetLevel,
};
pub use stores::{LocalAnswer, RequestHandling, StoreTreatment};
pub use table::S3Operation;
pub use target::RoutingRules;
pub use unclear::{UnclearReason, UnclearRequest, UnsupportedPart};
pub use unconfigured::UnconfiguredAnswer;

use parameters::version;

#[cfg(test)]
mod tests;
