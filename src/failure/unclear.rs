//! What S3 says of a request that is none of its operations.

use super::{S3Error, invalid_argument};
use crate::operation::{Unclear, UnclearReason, Unsupported};

pub(super) fn of_unclear(unclear: &Unclear) -> S3Error {
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
        UnclearReason::NotImplemented(unsupported) => of_unsupported(unsupported),
        UnclearReason::UnexpectedContent => {
            S3Error::new(400, "UnexpectedContent", "This request does not support content")
        }
    }
}

fn of_unsupported(unsupported: &Unsupported) -> S3Error {
    let (what, name, value) = match unsupported {
        Unsupported::Element(element) => ("An element", "Element", element.as_str()),
        Unsupported::Header(header) => ("A header", "Header", header.as_str()),
        Unsupported::Operation(action) => ("An operation", "Operation", action.name()),
        Unsupported::QueryKey(key) => ("A query parameter", "QueryParameter", key.as_str()),
    };
    S3Error::new(501, "NotImplemented", format!("{what} you provided implies functionality that is not implemented"))
        .with(name, value)
}
