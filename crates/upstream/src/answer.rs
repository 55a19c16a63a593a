//! The upstream's answer, as a client may see it.

use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::{DECLARATION, XmlElement, close_tag, open_tag, write_element};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::{AnswerBegun, Download, UpstreamError};
use portcullis_authorization::{MfaDelete, RequestPermit, UpstreamIdentity, WithheldEntry};
use portcullis_s3::{DeleteObjects, OperationAccess, RequestDocument, S3Operation};

/// What the upstream did with a permitted request.
#[derive(Debug)]
pub enum UpstreamAnswer {
    /// It was carried out.
    Done(CompletedRequest),
    /// It was refused, in S3's terms.
    Refused(UpstreamRefusal),
}

/// A request that was carried out.
#[derive(Debug)]
pub struct CompletedRequest {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
    /// What became of each entry of `POST ?delete`.
    pub deleted: Vec<DeletedObject>,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Passed on as it comes.
    Stream(Download),
    Whole(Bytes),
}

/// The upstream's own refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRefusal {
    pub status: StatusCode,
    pub code: String,
    pub message: String,
    pub headers: HeaderMap,
    /// What it says of the request and its object.
    pub details: Vec<(&'static str, String)>,
}

/// What became of one entry of `POST ?delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedObject {
    pub key: String,
    pub version: Option<String>,
    pub delete_marker: bool,
    pub delete_marker_version: Option<String>,
    /// Code and message, where it was not deleted.
    pub error: Option<(String, String)>,
}

/// The longest answer that is read as a document: a thousand deleted keys, each at its longest.
const LONGEST_DOCUMENT: usize = 16 * 1024 * 1024;

/// How long a store may work on a copy or a completion, as long as it says something now and then.
const LONGEST_WORK: Duration = Duration::from_secs(60 * 60);

/// Codes by which an upstream refuses the key that signed; it is not the client's own.
const ABOUT_KEY: &[&str] = &[
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "SignatureDoesNotMatch",
    "UserSuspended",
];

/// Codes by which an upstream refuses how we sign, whatever the key is.
const ABOUT_SIGNING: &[&str] =
    &["AuthorizationHeaderMalformed", "MissingSecurityHeader", "RequestTimeTooSkewed", "XAmzContentSHA256Mismatch"];

/// Reads an answer to a permitted request; of its headers the transport left those that are [`allowed`].
/// A document has to be there `within`, but for those that stores keep alive with spaces while they work.
pub(crate) async fn read(
    permit: &RequestPermit,
    response: Response<Download>,
    within: Duration,
    begun: Option<&AnswerBegun>,
) -> Result<UpstreamAnswer, UpstreamError> {
    let (parts, body) = response.into_parts();
    let (status, headers) = (parts.status, parts.headers);
    let request = permit.request();
    let action = request.action;
    if status == StatusCode::NOT_MODIFIED {
        let body = AnswerBody::Whole(Bytes::new());
        return Ok(UpstreamAnswer::Done(CompletedRequest { status, headers, body, deleted: Vec::new() }));
    }
    if status.is_success() && action.row().access == OperationAccess::Read && action != S3Operation::GetBucketVersioning
    {
        return Ok(UpstreamAnswer::Done(CompletedRequest {
            status,
            headers,
            body: AnswerBody::Stream(body),
            deleted: Vec::new(),
        }));
    }
    let within = if is_kept_alive(action) { LONGEST_WORK } else { within };
    if let Some(begun) = begun.filter(|_| status == StatusCode::OK && is_kept_alive(action)) {
        begun.tell(&headers);
    }
    let whole = body.whole(LONGEST_DOCUMENT, within).await?;
    if !status.is_success() {
        return refused(permit.identity(), action, status, headers, &whole);
    }
    let document = if whole.is_empty() { None } else { XmlElement::parse(&whole).ok() };
    // A copy or a completion that fails late says so under a 200 that was already sent.
    if document.as_ref().is_some_and(|node| node.name == "Error") {
        return refused(permit.identity(), action, StatusCode::INTERNAL_SERVER_ERROR, headers, &whole);
    }
    let mut done = CompletedRequest { status, headers, body: AnswerBody::Whole(whole), deleted: Vec::new() };
    match (&request.document, action) {
        (RequestDocument::DeleteObjects(asked), _) => {
            let node = document.ok_or(UpstreamError::Unreadable)?;
            done.deleted = deleted(&node);
            done.deleted.extend(permit.withheld().iter().map(DeletedObject::of_withheld));
            done.replace_body(delete_result(&done.deleted, asked));
        }
        (_, S3Operation::GetBucketVersioning) => {
            let node = document.ok_or(UpstreamError::Unreadable)?;
            done.replace_body(versioning(&node, permit.mfa_delete()));
        }
        (_, S3Operation::CompleteMultipartUpload) => {
            let mut node = document.ok_or(UpstreamError::Unreadable)?;
            relocate(&mut node, permit);
            done.replace_body(node.document(NAMESPACE));
        }
        (_, S3Operation::CreateBucket) => {
            let place = request.bucket.as_ref().map(|bucket| format!("/{bucket}"));
            if let Some(Ok(place)) = place.map(HeaderValue::try_from) {
                done.headers.insert(header::LOCATION, place);
            }
        }
        _ => {}
    }
    Ok(UpstreamAnswer::Done(done))
}

/// The answer to a `POST ?delete` of which policies deny every entry: the store has nothing to do.
pub(super) fn of_withheld_alone(permit: &RequestPermit, asked: &DeleteObjects) -> CompletedRequest {
    let deleted: Vec<DeletedObject> = permit.withheld().iter().map(DeletedObject::of_withheld).collect();
    let mut done = CompletedRequest {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: AnswerBody::Whole(Bytes::new()),
        deleted: Vec::new(),
    };
    done.replace_body(delete_result(&deleted, asked));
    CompletedRequest { deleted, ..done }
}

/// Whether the store answers 200 at once, and then sends spaces until it is done.
pub fn is_kept_alive(action: S3Operation) -> bool {
    matches!(action, S3Operation::CompleteMultipartUpload | S3Operation::CopyObject | S3Operation::UploadPartCopy)
}

impl DeletedObject {
    fn of_withheld(withheld: &WithheldEntry) -> Self {
        Self {
            key: withheld.entry.key.to_string(),
            version: withheld.entry.version.as_ref().map(ToString::to_string),
            error: Some(("AccessDenied".to_owned(), withheld.denial.to_string())),
            ..Self::default()
        }
    }

    /// Whether the store failed over it, and so may have deleted it, or may yet.
    pub fn is_in_doubt(&self) -> bool {
        self.error.as_ref().is_some_and(|(code, _)| {
            matches!(code.as_str(), "InternalError" | "OperationTimedOut" | "RequestTimeout" | "ServiceUnavailable")
                || code.starts_with("SlowDown")
        })
    }
}

impl CompletedRequest {
    /// The id of the multipart upload that was opened.
    pub fn upload_id(&self) -> Option<String> {
        match &self.body {
            AnswerBody::Stream(_) => None,
            AnswerBody::Whole(bytes) => XmlElement::parse(bytes).ok()?.text_of("UploadId").map(str::to_owned),
        }
    }

    pub(super) fn replace_body(&mut self, document: String) {
        self.headers.remove(header::CONTENT_LENGTH);
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        self.body = AnswerBody::Whole(document.into());
    }
}

/// Headers that mean something to a client of S3. The others name the upstream, its software or its
/// own requests, or would make the client bypass the proxy.
pub(super) fn allowed(from: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        if is_allowed(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Whether a client may see a header.
pub(super) fn is_allowed(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.strip_prefix("x-amz-") {
        Some(rest) => !matches!(rest, "request-id" | "id-2" | "bucket-region" | "expected-bucket-owner"),
        None => matches!(
            name,
            "accept-ranges"
                | "allow"
                | "cache-control"
                | "content-disposition"
                | "content-encoding"
                | "content-language"
                | "content-length"
                | "content-md5"
                | "content-range"
                | "content-type"
                | "etag"
                | "expires"
                | "last-modified"
                | "retry-after"
        ),
    }
}

/// Tells a refusal of what Portcullis signs with from a refusal of what was asked.
pub(super) fn refused_by(identity: &UpstreamIdentity, code: &str) -> Result<(), UpstreamError> {
    match (identity, ABOUT_KEY.contains(&code), ABOUT_SIGNING.contains(&code)) {
        (_, false, false) => Ok(()),
        (UpstreamIdentity::Own, _, _) | (_, _, true) => {
            tracing::error!(%code, "the upstream refuses Portcullis's credentials");
            Err(UpstreamError::RefusesUs)
        }
        (UpstreamIdentity::User(key), true, false) => {
            tracing::error!(%code, access_key_id = %key.id(), "the upstream refuses a user's credentials");
            Err(UpstreamError::RefusesUser)
        }
    }
}

/// The code in an error's document.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    XmlElement::parse(body).ok().and_then(|error| error.text_of("Code").map(str::to_owned))
}

pub(super) fn refused(
    identity: &UpstreamIdentity,
    action: S3Operation,
    status: StatusCode,
    mut headers: HeaderMap,
    body: &[u8],
) -> Result<UpstreamAnswer, UpstreamError> {
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::ETAG] {
        headers.remove(name);
    }
    // Of a delete marker that was named by its id, S3 says when it was made.
    if status != StatusCode::METHOD_NOT_ALLOWED {
        headers.remove(header::LAST_MODIFIED);
    }
    if status.is_redirection() || status.is_informational() {
        return Err(UpstreamError::Unreadable);
    }
    let node = XmlElement::parse(body).ok().filter(|node| node.name == "Error");
    let code = node.as_ref().and_then(|node| node.text_of("Code")).filter(|code| !code.is_empty());
    let code = code.unwrap_or_else(|| code_of(action, status)).to_owned();
    refused_by(identity, &code)?;
    // Ceph RGW leaves messages empty, and aws-cli fails over an empty one.
    let message = node.as_ref().and_then(|node| node.text_of("Message")).filter(|message| !message.is_empty());
    let message = message.map_or_else(|| message_of(&code).to_owned(), str::to_owned);
    let details = DETAILS.iter().filter_map(|name| {
        let text = node.as_ref()?.text_of(name)?;
        Some((*name, text.to_owned()))
    });
    Ok(UpstreamAnswer::Refused(UpstreamRefusal { status, code, message, headers, details: details.collect() }))
}

/// Elements of an error that say something of the request or its object, which S3's clients read. What is not named here
/// may name the store.
const DETAILS: &[&str] = &[
    "ActualObjectSize",
    "ArgumentName",
    "ArgumentValue",
    "BucketName",
    "Condition",
    "ETag",
    "Key",
    "MaxSizeAllowed",
    "Method",
    "MinSizeAllowed",
    "PartNumber",
    "ProposedSize",
    "RangeRequested",
    "ResourceType",
    "UploadId",
    "VersionId",
];

/// The code that a bare status stands for, as after a HEAD.
fn code_of(action: S3Operation, status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "AccessDenied",
        404 if action == S3Operation::HeadBucket => "NoSuchBucket",
        404 => "NoSuchKey",
        405 => "MethodNotAllowed",
        408 => "RequestTimeout",
        409 => "OperationAborted",
        412 => "PreconditionFailed",
        416 => "InvalidRange",
        501 => "NotImplemented",
        429 | 503 => "SlowDown",
        400..=499 => "InvalidRequest",
        _ => "InternalError",
    }
}

/// What S3 says with a code, for upstreams that say nothing.
fn message_of(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "BucketAlreadyExists" => {
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
             Please select a different name and try again."
        }
        "BucketAlreadyOwnedByYou" => {
            "Your previous request to create the named bucket succeeded and you already own it."
        }
        "BucketNotEmpty" => "The bucket you tried to delete is not empty",
        "EntityTooSmall" => "Your proposed upload is smaller than the minimum allowed size",
        "InvalidPart" => {
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
             specified entity tag may not match the part's entity tag."
        }
        "InvalidPartOrder" => "The list of parts was not in ascending order. Parts must be ordered by part number.",
        "InvalidRange" => "The requested range is not satisfiable",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "NoSuchBucket" => "The specified bucket does not exist",
        "NoSuchBucketPolicy" => "The bucket policy does not exist",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchLifecycleConfiguration" => "The lifecycle configuration does not exist",
        "NoSuchTagSet" => "The TagSet does not exist",
        "NoSuchUpload" => {
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
             completed."
        }
        "NoSuchVersion" => "The specified version does not exist.",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold",
        "QuotaExceeded" => "The quota of the bucket or of its owner is exceeded.",
        "RequestTimeout" => {
            "Your socket connection to the server was not read from or written to within the timeout period."
        }
        "SlowDown" => "Please reduce your request rate.",
        "TooManyBuckets" => "You have attempted to create more buckets than allowed",
        _ => "The upstream refused the request without saying why.",
    }
}

fn deleted(result: &XmlElement) -> Vec<DeletedObject> {
    let text = |node: &XmlElement, name| node.text_of(name).map(str::to_owned);
    let entries = result.children.iter().filter_map(|node| match node.name.as_str() {
        "Deleted" => Some(DeletedObject {
            key: text(node, "Key")?,
            version: text(node, "VersionId"),
            delete_marker: node.text_of("DeleteMarker") == Some("true"),
            delete_marker_version: text(node, "DeleteMarkerVersionId"),
            error: None,
        }),
        "Error" => {
            let code = text(node, "Code").unwrap_or_else(|| "InternalError".to_owned());
            let message = text(node, "Message").filter(|message| !message.is_empty());
            let message = message.unwrap_or_else(|| message_of(&code).to_owned());
            Some(DeletedObject {
                key: text(node, "Key")?,
                version: text(node, "VersionId"),
                error: Some((code, message)),
                ..DeletedObject::default()
            })
        }
        _ => None,
    });
    entries.collect()
}

/// Rewrites the result: the upstream was asked for every entry so that each can be recorded,
/// the client gets what it asked for.
fn delete_result(deleted: &[DeletedObject], asked: &DeleteObjects) -> String {
    let mut out = format!("{DECLARATION}<DeleteResult xmlns=\"{NAMESPACE}\">");
    for entry in deleted {
        let name = match &entry.error {
            Some(_) => "Error",
            None if asked.quiet => continue,
            None => "Deleted",
        };
        open_tag(&mut out, name);
        write_element(&mut out, "Key", &entry.key);
        if let Some(version) = &entry.version {
            write_element(&mut out, "VersionId", version);
        }
        if entry.delete_marker {
            write_element(&mut out, "DeleteMarker", "true");
        }
        if let Some(version) = &entry.delete_marker_version {
            write_element(&mut out, "DeleteMarkerVersionId", version);
        }
        if let Some((code, message)) = &entry.error {
            write_element(&mut out, "Code", code);
            write_element(&mut out, "Message", message);
        }
        close_tag(&mut out, name);
    }
    out.push_str("</DeleteResult>");
    out
}

/// Rewrites `GET ?versioning` with our MFA Delete, which the upstream does not know.
fn versioning(node: &XmlElement, mfa_delete: MfaDelete) -> String {
    let mut out = format!("{DECLARATION}<VersioningConfiguration xmlns=\"{NAMESPACE}\">");
    if let Some(status @ ("Enabled" | "Suspended")) = node.text_of("Status") {
        write_element(&mut out, "Status", status);
    }
    match mfa_delete {
        MfaDelete::Disabled => write_element(&mut out, "MfaDelete", "Disabled"),
        MfaDelete::Enabled => write_element(&mut out, "MfaDelete", "Enabled"),
        MfaDelete::NeverSet => {}
    }
    out.push_str("</VersioningConfiguration>");
    out
}

/// The upstream names itself in `Location`; clients are told the path that they know.
fn relocate(node: &mut XmlElement, permit: &RequestPermit) {
    let (Some(bucket), Some(key)) = (&permit.request().bucket, &permit.request().key) else { return };
    for child in node.children.iter_mut().filter(|child| child.name == "Location") {
        child.text = format!("/{bucket}/{key}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sigv4::UpstreamKey;

    fn node(text: &str) -> XmlElement {
        XmlElement::parse(text.as_bytes()).expect("a document")
    }

    #[test]
    fn versioning_is_told_with_our_mfa_delete_and_never_with_the_upstreams() {
        let upstream = node(
            "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>",
        );
        assert!(
            versioning(&upstream, MfaDelete::Enabled)
                .ends_with("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>")
        );
        assert!(!versioning(&upstream, MfaDelete::NeverSet).contains("MfaDelete"));
        assert!(
            versioning(&node("<VersioningConfiguration/>"), MfaDelete::NeverSet)
                .ends_with("2006-03-01/\"></VersioningConfiguration>")
        );
    }

    #[test]
    fn a_refused_key_is_told_from_a_refused_request() {
        let secret = portcullis_base::secret::Secret::new("secret".to_owned());
        let user = UpstreamIdentity::User(std::sync::Arc::new(UpstreamKey::new("KEY".to_owned(), secret)));
        for code in ABOUT_KEY {
            assert_eq!(refused_by(&user, code), Err(UpstreamError::RefusesUser), "{code}");
            assert_eq!(refused_by(&UpstreamIdentity::Own, code), Err(UpstreamError::RefusesUs), "{code}");
        }
        for code in ABOUT_SIGNING {
            assert_eq!(refused_by(&user, code), Err(UpstreamError::RefusesUs), "{code}");
            assert_eq!(refused_by(&UpstreamIdentity::Own, code), Err(UpstreamError::RefusesUs), "{code}");
        }
        for code in ["", "AccessDenied", "NoSuchBucket", "QuotaExceeded", "TooManyBuckets"] {
            assert_eq!(refused_by(&user, code), Ok(()), "{code}");
            assert_eq!(refused_by(&UpstreamIdentity::Own, code), Ok(()), "{code}");
        }
    }

    #[test]
    fn a_quiet_batch_hears_of_its_errors_alone() {
        let result = node(
            "<DeleteResult><Deleted><Key>a&amp;b</Key><DeleteMarker>true</DeleteMarker></Deleted><Error><Key>c</Key><Code>AccessDenied</Code><Message></Message></Error></DeleteResult>",
        );
        let deleted = deleted(&result);
        assert_eq!(deleted.len(), 2);
        let asked = |quiet| DeleteObjects { objects: Vec::new(), quiet };
        assert!(delete_result(&deleted, &asked(false)).contains("<Key>a&amp;b</Key><DeleteMarker>true</DeleteMarker>"));
        let quiet = delete_result(&deleted, &asked(true));
        assert!(!quiet.contains("a&amp;b") && quiet.contains("<Message>Access Denied</Message>"));
    }

    #[test]
    fn headers_that_name_the_upstream_stay_behind() {
        let mut map = HeaderMap::new();
        for name in [
            "server",
            "set-cookie",
            "location",
            "x-minio-deployment-id",
            "x-amz-request-id",
            "x-amz-id-2",
            "x-rgw-object-type",
            "etag",
            "x-amz-version-id",
        ] {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let mut names: Vec<_> = allowed(&map).keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["etag", "x-amz-version-id"]);
    }
}
