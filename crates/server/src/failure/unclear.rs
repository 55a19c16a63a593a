//! What S3 says of a request that is none of its operations.

use super::{S3Error, invalid_argument};
use portcullis_s3::{S3Operation, UnclearReason, UnclearRequest, UnsupportedPart};

pub(super) fn of_unclear(unclear: &UnclearRequest) -> S3Error {
    match &unclear.reason {
        UnclearReason::ConflictingQuery(first, second) => {
            let message = format!("Conflicting query string parameters: {first}, {second}");
            invalid_argument(message, "ResourceType", first)
        }
        UnclearReason::EntityTooLarge => {
            S3Error::new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        }
        UnclearReason::IllegalVersioningConfiguration => {
            S3Error::new(400, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
        }
        UnclearReason::InvalidArgument { name, value, text } => invalid_argument(*text, name, value),
        UnclearReason::InvalidBucketName(name) => {
            S3Error::new(400, "InvalidBucketName", "The specified bucket is not valid.").with("BucketName", name)
        }
        UnclearReason::InvalidBucketOwner(_) => S3Error::new(
            400,
            "InvalidBucketOwnerAWSAccountID",
            "The value of the expected bucket owner parameter must be an AWS Account ID",
        ),
        UnclearReason::InvalidUri => S3Error::new(400, "InvalidURI", "Couldn't parse the specified URI."),
        UnclearReason::KeyTooLong(size) => S3Error::new(400, "KeyTooLongError", "Your key is too long")
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", "1024"),
        UnclearReason::MalformedPolicy => {
            S3Error::new(400, "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
        }
        UnclearReason::MalformedXml => S3Error::new(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
        UnclearReason::MaxMessageLengthExceeded(limit) => {
            S3Error::new(400, "MaxMessageLengthExceeded", "Your request was too large.")
                .with("MaxMessageLengthBytes", limit.to_string())
        }
        UnclearReason::MethodNotAllowed => {
            S3Error::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        }
        UnclearReason::MissingContentLength => {
            S3Error::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        }
        UnclearReason::MissingRequestBody => S3Error::new(400, "MissingRequestBodyError", "Request body is empty."),
        UnclearReason::NoSuchUpload(id) => S3Error::new(
            404,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
             completed.",
        )
        .with("UploadId", id),
        UnclearReason::NotImplemented(unsupported) => of_unsupported(unsupported),
        UnclearReason::UnexpectedContent => {
            S3Error::new(400, "UnexpectedContent", "This request does not support content")
        }
    }
}

fn of_unsupported(unsupported: &UnsupportedPart) -> S3Error {
    let (what, name, value) = match unsupported {
        UnsupportedPart::Element(element) => ("An element", "Element", element.as_str()),
        UnsupportedPart::Header(header) => ("A header", "Header", header.as_str()),
        UnsupportedPart::Operation(action) => return of_operation(*action),
        UnsupportedPart::QueryKey(key) => ("A query parameter", "QueryParameter", key.as_str()),
    };
    S3Error::new(501, "NotImplemented", format!("{what} you provided implies functionality that is not implemented"))
        .with(name, value)
}

/// What to use instead of operations that not every store has.
const INSTEAD: &[(&[S3Operation], &str)] = &[
    (&[S3Operation::CreateSession], "Sign each request with an access key."),
    (&[S3Operation::GetObjectAttributes], "Use HeadObject."),
    (&[S3Operation::GetObjectTorrent], "Use GetObject."),
    (&[S3Operation::ListDirectoryBuckets], "Use ListBuckets."),
    (&[S3Operation::PostObject], "Use PutObject, or a presigned URL of it."),
    (
        &[
            S3Operation::PutBucketAbac,
            S3Operation::PutBucketAcl,
            S3Operation::PutObjectAcl,
            S3Operation::PutPublicAccessBlock,
        ],
        "Use PutBucketPolicy.",
    ),
    (&[S3Operation::PutBucketAccelerateConfiguration], "Use this endpoint without acceleration."),
    (
        &[S3Operation::PutBucketAnalyticsConfiguration, S3Operation::PutBucketMetricsConfiguration],
        "Use the metrics of the store itself.",
    ),
    (
        &[S3Operation::PutBucketEncryption, S3Operation::UpdateObjectEncryption],
        "Use x-amz-server-side-encryption with each upload, or encrypt at the store itself.",
    ),
    (&[S3Operation::PutBucketIntelligentTieringConfiguration], "Use PutBucketLifecycleConfiguration."),
    (&[S3Operation::PutBucketInventoryConfiguration], "Use ListObjectVersions."),
    (&[S3Operation::PutBucketLogging], "Use CreateTrail: each request is recorded as a CloudTrail event."),
    (&[S3Operation::PutBucketReplication], "Use the replication of the store itself."),
    (&[S3Operation::PutBucketWebsite], "Use a web server that reads with GetObject."),
    (
        &[S3Operation::PutObjectLegalHold, S3Operation::PutObjectLockConfiguration, S3Operation::PutObjectRetention],
        "Use MFA Delete to keep versions.",
    ),
    (&[S3Operation::RenameObject], "Use CopyObject and DeleteObject."),
];

fn of_operation(action: S3Operation) -> S3Error {
    let mut message = format!("{} is not implemented for the store behind this endpoint.", action.name());
    if let Some((_, instead)) = INSTEAD.iter().find(|(actions, _)| actions.contains(&action)) {
        message = format!("{message} {instead}");
    }
    S3Error::new(501, "NotImplemented", message).with("Operation", action.name())
}
