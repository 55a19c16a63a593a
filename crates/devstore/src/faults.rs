//! What a request can fail with, in AWS's words.

use std::borrow::Cow;
use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::record::VersionRecord;
use super::versions::is_version_id;

/// A failure of ours, told without its reason, which the log gets.
pub(crate) fn internal(error: io::Error) -> S3Error {
    tracing::error!(%error, "the embedded store failed");
    s3_error!(error, InternalError, "We encountered an internal error. Please try again.")
}

/// The bucket is not there, or is gone.
pub(crate) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

/// The key has no object.
pub(crate) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// The key has no version of this id.
pub(crate) fn no_such_version() -> S3Error {
    s3_error!(NoSuchVersion, "The specified version does not exist.")
}

/// The upload is not there, or has ended.
pub(crate) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
         completed."
    )
}

/// A condition does not hold.
pub(crate) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// The object is the one the client has.
pub(crate) fn not_modified(etag: &str, modified: &str) -> S3Error {
    let mut answer = s3_error!(NotModified, "Not Modified");
    answer.set_headers(headers([("etag", format!("\"{etag}\"")), ("last-modified", modified.to_owned())]));
    answer
}

/// The newest version of a key is a delete marker, so that there is no object.
pub(crate) fn deleted(shown_id: Option<String>) -> S3Error {
    let mut answer = no_such_key();
    answer.set_headers(marker_headers(shown_id));
    answer
}

/// A delete marker was asked for by its id, and has nothing to read.
pub(crate) fn marker_has_no_method(marker: &VersionRecord) -> S3Error {
    let mut answer = s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.");
    let mut fields = marker_headers(Some(marker.id.clone()));
    fields.extend(headers([("allow", "DELETE".to_owned()), ("last-modified", marker.modified().http_date())]));
    answer.set_headers(fields);
    answer
}

/// A code that the S3 crate has no name for.
pub(crate) fn named(code: &'static str, status: StatusCode, message: impl Into<Cow<'static, str>>) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// Something S3 can do and this store cannot; it is refused, because ignoring it would promise it.
pub(crate) fn not_implemented(header: &str) -> S3Error {
    s3_error!(NotImplemented, "A header you provided implies functionality that is not implemented: {header}")
}

/// Refuses what no version of any key could be called.
pub(crate) fn check_version_id(id: &str) -> S3Result<()> {
    if is_version_id(id) { Ok(()) } else { Err(s3_error!(InvalidArgument, "Invalid version id specified")) }
}

fn marker_headers(shown_id: Option<String>) -> HeaderMap {
    let id = shown_id.map(|id| ("x-amz-version-id", id));
    headers([("x-amz-delete-marker", "true".to_owned())].into_iter().chain(id))
}

fn headers(fields: impl IntoIterator<Item = (&'static str, String)>) -> HeaderMap {
    // An error's own headers take the place of those the S3 crate would set.
    let mut headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"))]);
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
