//! From a head to an operation, and from its body to the whole request.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use super::documents::{self, ParsedDocument};
use super::hazard::Hazard;
use super::headers::{self, SortedHeaders};
use super::parameters::{self, QueryParameters};
use super::request::{CopySource, RequestDocument, S3Request};
use super::row::{HazardRule, OperationBody, OperationRow, TargetLevel};
use super::stores::{LocalAnswer, RequestHandling};
use super::target::{PathTarget, RoutingRules};
use super::unclear::{UnclearReason, UnclearRequest, UnsupportedPart};
use super::{DeleteObjects, S3Operation};
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_http::{HttpMethod, RequestHead};

/// A request of which all but the body is understood.
#[derive(Clone, Debug)]
pub struct RoutedRequest {
    row: &'static OperationRow,
    routing: RoutingRules,
    expects: ExpectedBody,
    /// Boxed, since every stage passes it on.
    request: Box<S3Request>,
}

/// What body belongs to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedBody {
    /// A document that is read whole; more than `limit` bytes are refused.
    Document {
        limit: usize,
    },
    Nothing,
    /// Object data, streamed.
    Payload,
}

/// What is known of a request so far.
#[derive(Default)]
struct KnownTarget {
    bucket: Option<BucketName>,
    key: Option<ObjectKey>,
    action: Option<S3Operation>,
}

/// S3's limit for an object sent in one request.
const LONGEST_PAYLOAD: u64 = 5 * 1024 * 1024 * 1024;

/// Finds the one operation that a head is; nothing of the body is read.
pub fn route(head: &RequestHead, routing: &RoutingRules) -> Result<RoutedRequest, UnclearRequest> {
    let mut known = KnownTarget::default();
    read(head, routing, &mut known).map_err(|reason| UnclearRequest {
        bucket: known.bucket,
        key: known.key,
        action: known.action,
        reason,
    })
}

fn read(head: &RequestHead, routing: &RoutingRules, known: &mut KnownTarget) -> Result<RoutedRequest, UnclearReason> {
    let target = PathTarget::split(head, routing)?;
    // The rest is looked at before a bad name is reported, so that the audit record can tell the operation.
    let bucket = target.bucket();
    let key = target.key(routing);
    known.bucket = bucket.as_ref().ok().cloned().flatten();
    known.key = key.as_ref().ok().cloned().flatten();
    let row = select(head, target.level())?;
    known.action = Some(row.action);
    let handling = routing.upstream.handling(row.action);
    if handling == RequestHandling::Refused {
        return Err(UnclearReason::NotImplemented(UnsupportedPart::Operation(row.action)));
    }
    let (bucket, key) = (bucket?, key?);
    let (parameters, sorted, expects) = match handling {
        // Nothing of it is forwarded, so that nothing in it can be misread.
        RequestHandling::Answered(LocalAnswer::Preflight) => {
            (QueryParameters::default(), SortedHeaders::default(), ExpectedBody::Nothing)
        }
        RequestHandling::Answered(_)
        | RequestHandling::Forwarded
        | RequestHandling::ForwardedElse(_)
        | RequestHandling::Refused => {
            (parameters::read(head, row, routing)?, headers::sort(head, row, routing)?, expects(head, row)?)
        }
    };
    let copy_source = sorted.copy_source.map(|value| CopySource::parse(&value, routing, row.action)).transpose()?;
    let request = S3Request {
        handling,
        version: parameters.version,
        query: parameters.query,
        headers: sorted.carried,
        copy_source,
        expected_owner: sorted.expected_owner,
        expected_source_owner: sorted.expected_source_owner,
        ..S3Request::bare(row.action, bucket, key)
    };
    Ok(RoutedRequest { row, routing: routing.clone(), expects, request: Box::new(request) })
}

/// The row all of whose marks are there, and more of them than of any other's.
fn select(head: &RequestHead, level: TargetLevel) -> Result<&'static OperationRow, UnclearReason> {
    let mut best: Option<&'static OperationRow> = None;
    let mut rival: Option<&'static OperationRow> = None;
    for &row in rows(head.method, level).iter().filter(|row| row.marks.iter().all(|mark| mark.is_on(head))) {
        match best {
            Some(other) if other.marks.len() > row.marks.len() => {}
            Some(other) if other.marks.len() == row.marks.len() => rival = Some(row),
            Some(_) | None => (best, rival) = (Some(row), None),
        }
    }
    match (best, rival) {
        (None, _) => Err(UnclearReason::MethodNotAllowed),
        (Some(row), None) => Ok(row),
        (Some(one), Some(other)) => Err(conflict(one, other)),
    }
}

/// The rows that a method and a target leave to choose from.
fn rows(method: HttpMethod, level: TargetLevel) -> &'static [&'static OperationRow] {
    static ROWS: LazyLock<BTreeMap<(HttpMethod, TargetLevel), Vec<&'static OperationRow>>> = LazyLock::new(|| {
        let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in S3Operation::ALL.iter().map(|action| action.row()) {
            for level in [TargetLevel::Bucket, TargetLevel::Object, TargetLevel::Service]
                .into_iter()
                .filter(|level| row.is_at(*level))
            {
                rows.entry((row.method, level)).or_default().push(row);
            }
        }
        rows
    });
    ROWS.get(&(method, level)).map_or(&[], Vec::as_slice)
}

fn conflict(one: &OperationRow, other: &OperationRow) -> UnclearReason {
    let named = |row: &OperationRow| row.marks.iter().find_map(|mark| mark.query_key());
    match (named(one), named(other)) {
        (Some(one), Some(other)) => UnclearReason::ConflictingQuery(one.to_owned(), other.to_owned()),
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            UnclearReason::NotImplemented(UnsupportedPart::Header("x-amz-copy-source".to_owned()))
        }
    }
}

fn expects(head: &RequestHead, row: &OperationRow) -> Result<ExpectedBody, UnclearReason> {
    let length = head.content_length();
    let chunked = head.headers.has("transfer-encoding");
    if length.is_none() && head.headers.has("content-length") {
        return Err(UnclearReason::MissingContentLength);
    }
    let absent = !chunked && length.unwrap_or(0) == 0;
    let limit = match row.body {
        OperationBody::Nothing if absent => return Ok(ExpectedBody::Nothing),
        OperationBody::Nothing => return Err(UnclearReason::UnexpectedContent),
        OperationBody::Payload => return payload(head, length),
        OperationBody::OptionalDocument(_) if absent => return Ok(ExpectedBody::Nothing),
        OperationBody::Document(grammar) | OperationBody::OptionalDocument(grammar) => grammar.limit,
        OperationBody::Policy => documents::POLICY_LIMIT,
    };
    match length {
        None => Err(UnclearReason::MissingContentLength),
        Some(_) if chunked => Err(UnclearReason::MissingContentLength),
        Some(length) if usize::try_from(length).is_ok_and(|length| length <= limit) => {
            Ok(ExpectedBody::Document { limit })
        }
        Some(_) => Err(UnclearReason::MaxMessageLengthExceeded(limit)),
    }
}

fn payload(head: &RequestHead, length: Option<u64>) -> Result<ExpectedBody, UnclearReason> {
    let framed = head.headers.value("x-amz-content-sha256").is_some_and(|text| text.starts_with("STREAMING-"));
    let coding = head.headers.value("content-encoding").unwrap_or_default();
    if !framed && coding.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked")) {
        // Nothing takes the framing off, so that it would be stored as if it were data.
        return Err(UnclearReason::InvalidArgument {
            name: "Content-Encoding",
            value: coding.to_owned(),
            text: "aws-chunked needs one of the STREAMING- values in x-amz-content-sha256",
        });
    }
    // Of a body that is not framed it says nothing, and must not hide how long the body is.
    let decoded = || head.headers.value("x-amz-decoded-content-length").and_then(|text| text.parse::<u64>().ok());
    match if framed { decoded() } else { length } {
        None => Err(UnclearReason::MissingContentLength),
        Some(length) if length > LONGEST_PAYLOAD => Err(UnclearReason::EntityTooLarge),
        Some(_) => Ok(ExpectedBody::Payload),
    }
}

impl RoutedRequest {
    /// Which operation it is.
    pub fn action(&self) -> S3Operation {
        self.row.action
    }

    /// What the table says of it.
    pub fn row(&self) -> &'static OperationRow {
        self.row
    }

    /// What is done with it in front of this store.
    pub fn handling(&self) -> RequestHandling {
        self.request.handling
    }

    /// The bucket it is about.
    pub fn bucket(&self) -> Option<&BucketName> {
        self.request.bucket.as_ref()
    }

    /// The key it is about.
    pub fn key(&self) -> Option<&ObjectKey> {
        self.request.key.as_ref()
    }

    /// The headers that go on with it.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.request.headers
    }

    /// The object that a copy reads.
    pub fn copy_source(&self) -> Option<&CopySource> {
        self.request.copy_source.as_ref()
    }

    /// What body belongs to it.
    pub fn expects(&self) -> ExpectedBody {
        self.expects
    }

    /// Takes the body, whole where a document is expected, and makes the request complete.
    pub fn complete(self, body: Option<Bytes>) -> Result<Box<S3Request>, UnclearRequest> {
        let body = body.filter(|body| !body.is_empty());
        let Self { row, routing, expects, mut request } = self;
        match understand(row, &routing, expects, body) {
            Ok(understood) => {
                request.hazard = hazard(row, &routing, &request, &understood);
                request.document = understood.document;
                request.destinations = understood.destinations;
                Ok(request)
            }
            Err(reason) => {
                Err(UnclearRequest { bucket: request.bucket, key: request.key, action: Some(request.action), reason })
            }
        }
    }
}

fn understand(
    row: &OperationRow,
    routing: &RoutingRules,
    expects: ExpectedBody,
    body: Option<Bytes>,
) -> Result<ParsedDocument, UnclearReason> {
    let without = |document| ParsedDocument::of(document, Hazard::None);
    match (expects, body) {
        (ExpectedBody::Nothing, None) => Ok(without(RequestDocument::None)),
        (ExpectedBody::Nothing, Some(_)) => Err(UnclearReason::UnexpectedContent),
        // Streamed past this stage; there is nothing in it that could change the decision.
        (ExpectedBody::Payload, _) => Ok(without(RequestDocument::Payload)),
        (ExpectedBody::Document { limit }, Some(body)) if body.len() > limit => {
            Err(UnclearReason::MaxMessageLengthExceeded(limit))
        }
        (ExpectedBody::Document { .. }, Some(body)) => match row.body {
            OperationBody::Document(grammar) | OperationBody::OptionalDocument(grammar) => {
                documents::read(grammar, &body, routing)
            }
            OperationBody::Policy => documents::read_policy(&body),
            OperationBody::Nothing | OperationBody::Payload => Err(UnclearReason::UnexpectedContent),
        },
        (ExpectedBody::Document { .. }, None) => Err(UnclearReason::MissingRequestBody),
    }
}

fn hazard(row: &OperationRow, routing: &RoutingRules, request: &S3Request, understood: &ParsedDocument) -> Hazard {
    let folder = request.key.as_ref().is_some_and(|key| routing.is_folder_object(key));
    match row.harm {
        HazardRule::Always(hazard) => hazard,
        HazardRule::AsDocument => understood.hazard,
        HazardRule::Deletes if request.version.is_some() => Hazard::DestroysVersion,
        HazardRule::Deletes if bypasses_governance(request) => Hazard::ReplacesUnversioned,
        HazardRule::Deletes | HazardRule::Replaces if folder => Hazard::ReplacesUnversioned,
        HazardRule::Deletes | HazardRule::Replaces => Hazard::ReplacesNullVersion,
        HazardRule::DeletesMany => match &understood.document {
            RequestDocument::DeleteObjects(entries) => hazard_of_entries(entries, routing, request),
            RequestDocument::None
            | RequestDocument::Payload
            | RequestDocument::Rewritten(_)
            | RequestDocument::Versioning(_) => Hazard::DestroysVersion,
        },
    }
}

fn hazard_of_entries(entries: &DeleteObjects, routing: &RoutingRules, request: &S3Request) -> Hazard {
    if entries.objects.iter().any(|entry| entry.version.is_some()) {
        Hazard::DestroysVersion
    } else if bypasses_governance(request) || entries.objects.iter().any(|entry| routing.is_folder_object(&entry.key)) {
        Hazard::ReplacesUnversioned
    } else {
        Hazard::ReplacesNullVersion
    }
}

/// Whether a delete asks to ignore retention, which no delete marker needs: it expects to destroy something.
fn bypasses_governance(request: &S3Request) -> bool {
    let bypass = |(name, value): &(HeaderName, HeaderValue)| {
        name.as_str() == "x-amz-bypass-governance-retention" && !value.as_bytes().eq_ignore_ascii_case(b"false")
    };
    request.headers.iter().any(bypass)
}
