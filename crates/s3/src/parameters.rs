//! The query of a request: every key known to its operation, every value such as all stores read alike.

use super::S3Operation;
use super::headers::{SIGNING_KEYS, is_presigned_header};
use super::opaque::{ContinuationToken, ListingMarker, UploadId, is_version_of};
use super::profile::ListingMetadata;
use super::row::{OperationMark, OperationRow};
use super::stray;
use super::target::RoutingRules;
use super::unclear::{UnclearReason, UnsupportedPart};
use portcullis_base::names::{InvalidName, VersionId};
use portcullis_http::RequestHead;

/// What a query says beside the signature.
#[derive(Debug, Default)]
pub(super) struct QueryParameters {
    pub query: Vec<(&'static str, String)>,
    pub version: Option<VersionId>,
}

/// Reads the query of a request that is this row's operation.
pub(super) fn read(
    head: &RequestHead,
    row: &'static OperationRow,
    routing: &RoutingRules,
) -> Result<QueryParameters, UnclearReason> {
    let mut parameters = QueryParameters::default();
    for (key, value) in head.query.pairs() {
        if SIGNING_KEYS.contains(&key.as_str()) || is_presigned_header(head, key) {
            continue;
        }
        match (key.as_str(), row.query_key(key)) {
            ("versionId", Some(_)) => parameters.version = Some(version("versionId", value, routing)?),
            ("versionId", None) => {
                return Err(invalid("versionId", value, "This operation does not accept a version-id."));
            }
            // SDKs repeat the operation's name; another name is another reading of the request.
            ("x-id", _) if row.is_named(value) => {}
            ("x-id", _) => return Err(invalid("x-id", value, "Invalid Argument")),
            // S3 reads an empty number as none.
            (_, Some(known)) if NUMBERS.contains(&known) && value.is_empty() => {}
            (_, Some(known)) => {
                check(row, known, value)?;
                parameters.query.push((known, decoded_by_the_store(known, value, routing)?));
            }
            ("metadata", None) if lists_metadata(row.action, routing) && value == "true" => {
                parameters.query.push(("metadata", value.clone()));
            }
            (_, None) if stray::ends_query_key(row, key, value) => {}
            (_, None) => return Err(unknown_key(head, row, key)),
        }
    }
    Ok(parameters)
}

/// Reads a version id; empty is S3's own error, never "no version".
pub(super) fn version(name: &'static str, value: &str, routing: &RoutingRules) -> Result<VersionId, UnclearReason> {
    match VersionId::parse(value) {
        Ok(version) if is_version_of(&version, routing.upstream.profile()) => Ok(version),
        Err(InvalidName::VersionEmpty) => Err(invalid(name, value, "Version id cannot be the empty string")),
        Ok(_) | Err(_) => Err(invalid(name, value, "Invalid version id specified")),
    }
}

/// Whether a listing takes `metadata=true`, which MinIO's client asks for.
fn lists_metadata(action: S3Operation, routing: &RoutingRules) -> bool {
    match routing.upstream.profile().listing_metadata {
        ListingMetadata::Taken => matches!(action, S3Operation::ListObjectVersions | S3Operation::ListObjectsV2),
        ListingMetadata::Unknown => false,
    }
}

/// A value as it is sent; what the store decodes is sent only in the form in which it gives it out.
fn decoded_by_the_store(key: &'static str, value: &str, routing: &RoutingRules) -> Result<String, UnclearReason> {
    let profile = routing.upstream.profile();
    match key {
        "uploadId" => match UploadId::parse(value, profile) {
            Some(id) => Ok(id.into_text()),
            None => Err(UnclearReason::NoSuchUpload(value.to_owned())),
        },
        "upload-id-marker" if value.is_empty() => Ok(String::new()),
        "upload-id-marker" => match UploadId::parse(value, profile) {
            Some(id) => Ok(id.into_text()),
            None => Err(invalid(key, value, "Invalid uploadId marker")),
        },
        "version-id-marker" if value.is_empty() => Ok(String::new()),
        "version-id-marker" => version(key, value, routing).map(|version| version.to_string()),
        "continuation-token" => match ContinuationToken::parse(value, profile) {
            Some(token) => Ok(token.into_text()),
            None => Err(invalid(key, value, "The continuation token provided is incorrect")),
        },
        "key-marker" | "marker" | "start-after" => match ListingMarker::parse(value, profile) {
            Some(marker) => Ok(marker.into_text()),
            None => Err(invalid(key, value, "Invalid Argument")),
        },
        _ => Ok(value.to_owned()),
    }
}

/// Query keys whose value is a key, or a part of one, so that it may hold control characters as keys do.
const KEYS: &[&str] = &["continuation-token", "delimiter", "key-marker", "marker", "prefix", "start-after"];

/// Query keys whose value is a number from 0.
const NUMBERS: &[&str] = &["max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker"];

fn check(row: &OperationRow, key: &'static str, value: &str) -> Result<(), UnclearReason> {
    if value.contains('\0') || (value.chars().any(char::is_control) && !KEYS.contains(&key)) {
        return Err(invalid(key, value, "Invalid Argument"));
    }
    for mark in row.marks {
        match mark {
            OperationMark::Flag(flag) if *flag == key && !value.is_empty() => {
                return Err(invalid(key, value, "This parameter does not take a value"));
            }
            // Ceph reads an empty upload id as none, and the request as another operation.
            OperationMark::Value(named) if *named == key && value.is_empty() => {
                return Err(invalid(key, value, "This parameter cannot be the empty string"));
            }
            OperationMark::Exactly(..)
            | OperationMark::Flag(_)
            | OperationMark::Header(_)
            | OperationMark::Path(_)
            | OperationMark::Value(_) => {}
        }
    }
    match key {
        "partNumber" if !is_number(value, 1, 10_000) => {
            Err(invalid(key, value, "Part number must be an integer between 1 and 10000, inclusive"))
        }
        number if NUMBERS.contains(&number) && !is_number(value, 0, i32::MAX.unsigned_abs()) => {
            Err(invalid(key, value, "Provided value is not an integer or not within integer range"))
        }
        "encoding-type" if value != "url" => Err(invalid(key, value, "Invalid Encoding Method specified in Request")),
        "fetch-owner" if !matches!(value, "true" | "false") => Err(invalid(key, value, "Invalid Argument")),
        _ => Ok(()),
    }
}

fn is_number(text: &str, least: u32, most: u32) -> bool {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|number| (least..=most).contains(&number))
}

/// A key that this operation does not know: another operation's mark, or an unknown one.
fn unknown_key(head: &RequestHead, row: &OperationRow, key: &str) -> UnclearReason {
    let mut marked = S3Operation::ALL
        .iter()
        .map(|action| action.row())
        .filter(|other| other.is_at(row.level) && other.marks.iter().any(|mark| mark.query_key() == Some(key)));
    match (marked.clone().any(|other| other.method == head.method), marked.next()) {
        (true, _) => match row.marks.iter().find_map(OperationMark::query_key) {
            Some(own) => UnclearReason::ConflictingQuery(own.to_owned(), key.to_owned()),
            None => UnclearReason::NotImplemented(UnsupportedPart::QueryKey(key.to_owned())),
        },
        (false, Some(_)) => UnclearReason::MethodNotAllowed,
        (false, None) => UnclearReason::NotImplemented(UnsupportedPart::QueryKey(key.to_owned())),
    }
}

fn invalid(name: &'static str, value: &str, text: &'static str) -> UnclearReason {
    UnclearReason::InvalidArgument { name, value: value.to_owned(), text }
}
