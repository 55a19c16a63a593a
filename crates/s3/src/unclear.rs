//! Why a request is not understood, and what was understood of it before.

use thiserror::Error;

use super::S3Operation;
use portcullis_base::names::{BucketName, ObjectKey};

/// A request that is no operation we pass on, with all that is known of it for the audit record.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct UnclearRequest {
    pub bucket: Option<BucketName>,
    pub key: Option<ObjectKey>,
    pub action: Option<S3Operation>,
    pub reason: UnclearReason,
}

/// Why; the client is to blame for each. Every variant names S3's code, status and text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnclearReason {
    /// 400 `InvalidArgument`, "Conflicting query string parameters: {0}, {1}", with `ArgumentName`
    /// `ResourceType` and the first as `ArgumentValue`.
    #[error("query names two operations, `{0}` and `{1}`")]
    ConflictingQuery(String, String),
    /// 400 `EntityTooLarge`, "Your proposed upload exceeds the maximum allowed size".
    #[error("the object is longer than 5 GiB")]
    EntityTooLarge,
    /// 400 `IllegalVersioningConfigurationException`, "The Versioning element must be specified".
    #[error("versioning document has no status")]
    IllegalVersioningConfiguration,
    /// 400 `InvalidArgument` with this text, `ArgumentName` and `ArgumentValue`.
    #[error("{text}: `{name}` is `{value}`")]
    InvalidArgument { name: &'static str, value: String, text: &'static str },
    /// 400 `InvalidBucketName`, "The specified bucket is not valid.", with `BucketName`.
    #[error("bucket name is not valid: `{0}`")]
    InvalidBucketName(String),
    /// 400 `InvalidBucketOwnerAWSAccountID`, "The value of the expected bucket owner parameter must be an AWS Account ID".
    #[error("expected bucket owner is not an account id: `{0}`")]
    InvalidBucketOwner(String),
    /// 400 `InvalidURI`, "Couldn't parse the specified URI.".
    #[error("path is not one that every store reads alike")]
    InvalidUri,
    /// 400 `KeyTooLongError`, "Your key is too long", with `Size` and `MaxSizeAllowed` 1024.
    #[error("key has {0} bytes")]
    KeyTooLong(usize),
    /// 400 `MalformedPolicy`, "Policies must be valid JSON and the first byte must be '{'".
    #[error("policy is not unambiguous JSON")]
    MalformedPolicy,
    /// 400 `MalformedXML`, "The XML you provided was not well-formed or did not validate against our published schema".
    #[error("document does not follow its grammar")]
    MalformedXml,
    /// 400 `MaxMessageLengthExceeded`, "Your request was too large.".
    #[error("document is longer than {0} bytes")]
    MaxMessageLengthExceeded(usize),
    /// 405 `MethodNotAllowed`, "The specified method is not allowed against this resource.".
    #[error("no operation has this method here")]
    MethodNotAllowed,
    /// 411 `MissingContentLength`, "You must provide the Content-Length HTTP header.".
    #[error("body has no length")]
    MissingContentLength,
    /// 400 `MissingRequestBodyError`, "Request body is empty.".
    #[error("body is empty")]
    MissingRequestBody,
    /// 404 `NoSuchUpload`; `UploadId` is what the client sent.
    #[error("no upload of this store has the id `{0}`")]
    NoSuchUpload(String),
    /// 501 `NotImplemented`, "A header you provided implies functionality that is not implemented", with `Header`
    /// where it is a header; for the others the same text with what it is in the place of "A header".
    #[error("not implemented: {0}")]
    NotImplemented(UnsupportedPart),
    /// 400 `UnexpectedContent`, "This request does not support content".
    #[error("operation takes no body")]
    UnexpectedContent,
}

/// What of a request has no row, or is deliberately left out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnsupportedPart {
    #[error("element `{0}`")]
    Element(String),
    #[error("header `{0}`")]
    Header(String),
    #[error("operation `{}`", .0.name())]
    Operation(S3Operation),
    #[error("query key `{0}`")]
    QueryKey(String),
}
