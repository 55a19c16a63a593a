//! The typed request: all that is known of it after parsing, and all that the upstream request is made of.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use super::{Hazard, RequestHandling, S3Operation};
use portcullis_base::names::{AccountId, BucketName, ObjectKey, VersionId};

/// One S3 request, understood.
#[derive(Clone, Debug)]
pub struct S3Request {
    pub action: S3Operation,
    /// Whether the store is asked.
    pub handling: RequestHandling,
    pub bucket: Option<BucketName>,
    pub key: Option<ObjectKey>,
    /// The version the query names; version ids in a document or a copy source are there.
    pub version: Option<VersionId>,
    /// The other query keys this operation may carry, decoded, its distinguishing key among them.
    pub query: Vec<(&'static str, String)>,
    /// The headers this operation may carry, in S3's meaning; none of framing, signing or MFA.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub copy_source: Option<CopySource>,
    pub document: RequestDocument,
    /// The buckets that its document would have the store write into.
    pub destinations: Vec<BucketName>,
    /// What it would do to versions.
    pub hazard: Hazard,
    /// The account that the client expects to own the bucket, where the upstream has no accounts to ask.
    pub expected_owner: Option<AccountId>,
    /// The same for the bucket that a copy reads.
    pub expected_source_owner: Option<AccountId>,
}

/// The object a copy reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

/// What a request's body is.
#[derive(Clone, Debug)]
pub enum RequestDocument {
    /// The keys of `POST ?delete`.
    DeleteObjects(DeleteObjects),
    /// No body.
    None,
    /// Object data, streamed.
    Payload,
    /// Any other document of known grammar, already rewritten.
    Rewritten(Bytes),
    /// The document of `PUT ?versioning`.
    Versioning(VersioningDocument),
}

/// The document of `POST ?delete`: 1 to 1000 entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteObjects {
    pub objects: Vec<ObjectIdentifier>,
    pub quiet: bool,
}

/// One entry of `POST ?delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectIdentifier {
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

/// The document of `PUT ?versioning`; an absent `MfaDelete` leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersioningDocument {
    pub status: VersioningStatus,
    pub mfa_delete: MfaDeleteChange,
}

/// `Status` as S3 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VersioningStatus {
    Enabled,
    Suspended,
}

/// What a versioning document says of MFA Delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MfaDeleteChange {
    Disable,
    Enable,
    /// The element is absent.
    Keep,
}

impl S3Request {
    /// A request of this operation that says nothing yet, and so does nothing.
    pub fn bare(action: S3Operation, bucket: Option<BucketName>, key: Option<ObjectKey>) -> Self {
        Self {
            action,
            handling: RequestHandling::Forwarded,
            bucket,
            key,
            version: None,
            query: Vec::new(),
            headers: Vec::new(),
            copy_source: None,
            document: RequestDocument::None,
            destinations: Vec::new(),
            hazard: Hazard::None,
            expected_owner: None,
            expected_source_owner: None,
        }
    }

    /// Whether this is `POST ?delete`, the one operation whose offer counts even when nothing asks for it.
    pub fn is_delete_objects(&self) -> bool {
        matches!(self.document, RequestDocument::DeleteObjects(_))
    }
}
