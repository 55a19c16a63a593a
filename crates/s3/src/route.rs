//! From a head to an operation, and from its body to the whole request.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use super::documents::{self, Understood};
use super::hazard::Hazard;
use super::headers::{self, Sorted};
use super::parameters::{self, Parameters};
use super::request::{CopySource, Document, Request};
use super::row::{Body, Harm, Level, Row};
use super::stores::{Handling, LocalAnswer};
use super::target::{Routing, Target};
use super::unclear::{Reason, Unclear, Unsupported};
use super::{Action, DeleteObjects};
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_http::{HttpMethod, RequestHead};

/// A request of which all but the body is understood.
#[derive(Clone, Debug)]
pub struct Routed {
    row: &'static Row,
    routing: Routing,
    expects: Expects,
    /// Boxed, since every stage passes it on.
    request: Box<Request>,
}

/// What body belongs to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
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
struct Known {
    bucket: Option<BucketName>,
    key: Option<ObjectKey>,
    action: Option<Action>,
}

/// S3's limit for an object sent in one request.
const LONGEST_PAYLOAD: u64 = 5 * 1024 * 1024 * 1024;

/// Finds the one operation that a head is; nothing of the body is read.
pub fn route(head: &RequestHead, routing: &Routing) -> Result<Routed, Unclear> {
    let mut known = Known::default();
    read(head, routing, &mut known).map_err(|reason| Unclear {
        bucket: known.bucket,
        key: known.key,
        action: known.action,
        reason,
    })
}

fn read(head: &RequestHead, routing: &Routing, known: &mut Known) -> Result<Routed, Reason> {
    let target = Target::split(head, routing)?;
    // The rest is looked at before a bad name is reported, so that the audit record can tell the operation.
    let bucket = target.bucket();
    let key = target.key(routing);
    known.bucket = bucket.as_ref().ok().cloned().flatten();
    known.key = key.as_ref().ok().cloned().flatten();
    let row = select(head, target.level())?;
    known.action = Some(row.action);
    let handling = routing.upstream.handling(row.action);
    if handling == Handling::Refused {
        return Err(Reason::NotImplemented(Unsupported::Operation(row.action)));
    }
    let (bucket, key) = (bucket?, key?);
    let (parameters, sorted, expects) = match handling {
        // Nothing of it is forwarded, so that nothing in it can be misread.
        Handling::Answered(LocalAnswer::Preflight) => (Parameters::default(), Sorted::default(), Expects::Nothing),
        Handling::Answered(_) | Handling::Forwarded | Handling::ForwardedElse(_) | Handling::Refused => {
            (parameters::read(head, row, routing)?, headers::sort(head, row, routing)?, expects(head, row)?)
        }
    };
    let copy_source = sorted.copy_source.map(|value| CopySource::parse(&value, routing, row.action)).transpose()?;
    let request = Request {
        handling,
        version: parameters.version,
        query: parameters.query,
        headers: sorted.carried,
        copy_source,
        expected_owner: sorted.expected_owner,
        expected_source_owner: sorted.expected_source_owner,
        ..Request::bare(row.action, bucket, key)
    };
    Ok(Routed { row, routing: routing.clone(), expects, request: Box::new(request) })
}

/// The row all of whose marks are there, and more of them than of any other's.
fn select(head: &RequestHead, level: Level) -> Result<&'static Row, Reason> {
    let mut best: Option<&'static Row> = None;
    let mut rival: Option<&'static Row> = None;
    for &row in rows(head.method, level).iter().filter(|row| row.marks.iter().all(|mark| mark.is_on(head))) {
        match best {
            Some(other) if other.marks.len() > row.marks.len() => {}
            Some(other) if other.marks.len() == row.marks.len() => rival = Some(row),
            Some(_) | None => (best, rival) = (Some(row), None),
        }
    }
    match (best, rival) {
        (None, _) => Err(Reason::MethodNotAllowed),
        (Some(row), None) => Ok(row),
        (Some(one), Some(other)) => Err(conflict(one, other)),
    }
}

/// The rows that a method and a target leave to choose from.
fn rows(method: HttpMethod, level: Level) -> &'static [&'static Row] {
    static ROWS: LazyLock<BTreeMap<(HttpMethod, Level), Vec<&'static Row>>> = LazyLock::new(|| {
        let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in Action::ALL.iter().map(|action| action.row()) {
            for level in [Level::Bucket, Level::Object, Level::Service].into_iter().filter(|level| row.is_at(*level)) {
                rows.entry((row.method, level)).or_default().push(row);
            }
        }
        rows
    });
    ROWS.get(&(method, level)).map_or(&[], Vec::as_slice)
}

fn conflict(one: &Row, other: &Row) -> Reason {
    let named = |row: &Row| row.marks.iter().find_map(|mark| mark.query_key());
    match (named(one), named(other)) {
        (Some(one), Some(other)) => Reason::ConflictingQuery(one.to_owned(), other.to_owned()),
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            Reason::NotImplemented(Unsupported::Header("x-amz-copy-source".to_owned()))
        }
    }
}

fn expects(head: &RequestHead, row: &Row) -> Result<Expects, Reason> {
    let length = head.content_length();
    let chunked = head.headers.has("transfer-encoding");
    if length.is_none() && head.headers.has("content-length") {
        return Err(Reason::MissingContentLength);
    }
    let absent = !chunked && length.unwrap_or(0) == 0;
    let limit = match row.body {
        Body::Nothing if absent => return Ok(Expects::Nothing),
        Body::Nothing => return Err(Reason::UnexpectedContent),
        Body::Payload => return payload(head, length),
        Body::OptionalDocument(_) if absent => return Ok(Expects::Nothing),
        Body::Document(grammar) | Body::OptionalDocument(grammar) => grammar.limit,
        Body::Policy => documents::POLICY_LIMIT,
    };
    match length {
        None => Err(Reason::MissingContentLength),
        Some(_) if chunked => Err(Reason::MissingContentLength),
        Some(length) if usize::try_from(length).is_ok_and(|length| length <= limit) => Ok(Expects::Document { limit }),
        Some(_) => Err(Reason::MaxMessageLengthExceeded(limit)),
    }
}

fn payload(head: &RequestHead, length: Option<u64>) -> Result<Expects, Reason> {
    let framed = head.headers.value("x-amz-content-sha256").is_some_and(|text| text.starts_with("STREAMING-"));
    let coding = head.headers.value("content-encoding").unwrap_or_default();
    if !framed && coding.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked")) {
        // Nothing takes the framing off, so that it would be stored as if it were data.
        return Err(Reason::InvalidArgument {
            name: "Content-Encoding",
            value: coding.to_owned(),
            text: "aws-chunked needs one of the STREAMING- values in x-amz-content-sha256",
        });
    }
    // Of a body that is not framed it says nothing, and must not hide how long the body is.
    let decoded = || head.headers.value("x-amz-decoded-content-length").and_then(|text| text.parse::<u64>().ok());
    match if framed { decoded() } else { length } {
        None => Err(Reason::MissingContentLength),
        Some(length) if length > LONGEST_PAYLOAD => Err(Reason::EntityTooLarge),
        Some(_) => Ok(Expects::Payload),
    }
}

impl Routed {
    /// Which operation it is.
    pub fn action(&self) -> Action {
        self.row.action
    }

    /// What the table says of it.
    pub fn row(&self) -> &'static Row {
        self.row
    }

    /// What is done with it in front of this store.
    pub fn handling(&self) -> Handling {
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
    pub fn expects(&self) -> Expects {
        self.expects
    }

    /// Takes the body, whole where a document is expected, and makes the request complete.
    pub fn complete(self, body: Option<Bytes>) -> Result<Box<Request>, Unclear> {
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
                Err(Unclear { bucket: request.bucket, key: request.key, action: Some(request.action), reason })
            }
        }
    }
}

fn understand(row: &Row, routing: &Routing, expects: Expects, body: Option<Bytes>) -> Result<Understood, Reason> {
    let without = |document| Understood::of(document, Hazard::None);
    match (expects, body) {
        (Expects::Nothing, None) => Ok(without(Document::None)),
        (Expects::Nothing, Some(_)) => Err(Reason::UnexpectedContent),
        // Streamed past this stage; there is nothing in it that could change the decision.
        (Expects::Payload, _) => Ok(without(Document::Payload)),
        (Expects::Document { limit }, Some(body)) if body.len() > limit => Err(Reason::MaxMessageLengthExceeded(limit)),
        (Expects::Document { .. }, Some(body)) => match row.body {
            Body::Document(grammar) | Body::OptionalDocument(grammar) => documents::read(grammar, &body, routing),
            Body::Policy => documents::read_policy(&body),
            Body::Nothing | Body::Payload => Err(Reason::UnexpectedContent),
        },
        (Expects::Document { .. }, None) => Err(Reason::MissingRequestBody),
    }
}

fn hazard(row: &Row, routing: &Routing, request: &Request, understood: &Understood) -> Hazard {
    let folder = request.key.as_ref().is_some_and(|key| routing.is_folder_object(key));
    match row.harm {
        Harm::Always(hazard) => hazard,
        Harm::AsDocument => understood.hazard,
        Harm::Deletes if request.version.is_some() => Hazard::DestroysVersion,
        Harm::Deletes if bypasses_governance(request) => Hazard::ReplacesUnversioned,
        Harm::Deletes | Harm::Replaces if folder => Hazard::ReplacesUnversioned,
        Harm::Deletes | Harm::Replaces => Hazard::ReplacesNullVersion,
        Harm::DeletesMany => match &understood.document {
            Document::DeleteObjects(entries) => hazard_of_entries(entries, routing, request),
            Document::None | Document::Payload | Document::Rewritten(_) | Document::Versioning(_) => {
                Hazard::DestroysVersion
            }
        },
    }
}

fn hazard_of_entries(entries: &DeleteObjects, routing: &Routing, request: &Request) -> Hazard {
    if entries.objects.iter().any(|entry| entry.version.is_some()) {
        Hazard::DestroysVersion
    } else if bypasses_governance(request) || entries.objects.iter().any(|entry| routing.is_folder_object(&entry.key)) {
        Hazard::ReplacesUnversioned
    } else {
        Hazard::ReplacesNullVersion
    }
}

/// Whether a delete asks to ignore retention, which no delete marker needs: it expects to destroy something.
fn bypasses_governance(request: &Request) -> bool {
    let bypass = |(name, value): &(HeaderName, HeaderValue)| {
        name.as_str() == "x-amz-bypass-governance-retention" && !value.as_bytes().eq_ignore_ascii_case(b"false")
    };
    request.headers.iter().any(bypass)
}
