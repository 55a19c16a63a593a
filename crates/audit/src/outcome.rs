//! How a request ended.

use std::collections::HashMap;

use http::HeaderMap;

use portcullis_base::names::{HostId, ObjectKey, VersionId};
use portcullis_cloudtrail::record::{EventError, JsonObject};
use portcullis_s3::ObjectIdentifier;

/// How a request ended.
#[derive(Clone, Debug, Default)]
pub struct RequestOutcome {
    /// The reply's status; zero if there was no reply.
    pub status: u16,
    /// The error in S3's words; without one, a status of 400 or more is an error all the same.
    pub error: Option<OutcomeError>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the reply's body.
    pub bytes_out: u64,
    pub elements: ResponseElements,
    /// The reply's `x-amz-id-2`.
    pub host_id: Option<HostId>,
    /// What became of each key of a DeleteObjects; one that is not here shares the fate of the request.
    pub objects: Vec<ObjectOutcome>,
}

/// An error in S3's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeError {
    pub code: String,
    /// The message that may be recorded; it holds no MFA code.
    pub message: String,
}

/// What became of one key of a DeleteObjects.
#[derive(Clone, Debug)]
pub struct ObjectOutcome {
    pub key: ObjectKey,
    /// The version the request named.
    pub version: Option<VersionId>,
    pub result: Result<ResponseElements, OutcomeError>,
}

/// What of a reply's head CloudTrail shows as `responseElements`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseElements {
    members: Vec<u8>,
    encryption: AppliedEncryption,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AppliedEncryption {
    Customer,
    Kms,
    KmsTwice,
    #[default]
    None,
    S3,
}

/// What was said of one key.
#[derive(Clone, Debug)]
pub(super) struct KeyAnswer<'a> {
    pub error: Option<EventError<'a>>,
    pub elements: Option<&'a ResponseElements>,
}

const SHOWN: &[&str] = &[
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-version-id",
    "x-amz-delete-marker",
    "x-amz-expiration",
    "x-amz-copy-source-version-id",
];

impl ResponseElements {
    /// Takes what is shown from a reply's headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut members = Vec::new();
        let mut object = JsonObject::members(&mut members);
        for name in SHOWN {
            if let Some(value) = headers.get(*name).and_then(|value| value.to_str().ok()) {
                object.text(*name, value);
            }
        }
        Self { members, encryption: AppliedEncryption::of(headers) }
    }

    /// What a key's deletion made: a delete marker of this version.
    pub fn delete_marker(version: &str) -> Self {
        let mut members = Vec::new();
        let mut object = JsonObject::members(&mut members);
        object.text("x-amz-version-id", version);
        object.text("x-amz-delete-marker", "true");
        Self { members, encryption: AppliedEncryption::None }
    }

    /// What a control API answered, by CloudTrail's names; secrets in it are not written.
    pub fn of_control(answer: &serde_json::Value) -> Self {
        let mut members = Vec::new();
        super::parameters::write_members(&mut members, answer);
        Self { members, encryption: AppliedEncryption::None }
    }

    pub(super) fn members(&self) -> &[u8] {
        &self.members
    }

    pub(super) fn encryption(&self, asked: bool) -> Option<&'static str> {
        match (self.encryption, asked) {
            (AppliedEncryption::None, _) => None,
            (AppliedEncryption::Customer, _) => Some("SSE_C"),
            (AppliedEncryption::Kms, true) => Some("SSE_KMS"),
            (AppliedEncryption::Kms, false) => Some("Default_SSE_KMS"),
            (AppliedEncryption::KmsTwice, true) => Some("DSSE_KMS"),
            (AppliedEncryption::KmsTwice, false) => Some("Default_DSSE_KMS"),
            (AppliedEncryption::S3, true) => Some("SSE_S3"),
            (AppliedEncryption::S3, false) => Some("Default_SSE_S3"),
        }
    }
}

impl AppliedEncryption {
    fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key("x-amz-server-side-encryption-customer-algorithm") {
            return Self::Customer;
        }
        match headers.get("x-amz-server-side-encryption").map(http::HeaderValue::as_bytes) {
            Some(b"AES256") => Self::S3,
            Some(b"aws:kms") => Self::Kms,
            Some(b"aws:kms:dsse") => Self::KmsTwice,
            Some(_) | None => Self::None,
        }
    }
}

impl RequestOutcome {
    /// An end without a reply.
    pub(super) fn said(error: EventError<'_>) -> Self {
        let error = OutcomeError { code: error.code.to_owned(), message: error.message.to_owned() };
        Self { error: Some(error), ..Self::default() }
    }

    pub(super) fn error(&self) -> Option<EventError<'_>> {
        match &self.error {
            Some(error) => Some(error.text()),
            None => named_by_status(self.status),
        }
    }

    /// What became of each of these keys, in their order.
    pub(super) fn results(&self, objects: &[ObjectIdentifier]) -> Vec<KeyAnswer<'_>> {
        if objects.is_empty() {
            return Vec::new();
        }
        let told: HashMap<_, _> =
            self.objects.iter().map(|object| ((&object.key, object.version.as_ref()), &object.result)).collect();
        let said = |object: &ObjectIdentifier| match told.get(&(&object.key, object.version.as_ref())) {
            Some(Ok(elements)) => KeyAnswer { error: None, elements: Some(elements) },
            Some(Err(error)) => KeyAnswer { error: Some(error.text()), elements: None },
            // The answer to a successful batch names each key's outcome; for a key that it leaves out it is unknown.
            None => KeyAnswer { error: self.error().or(Some(NOT_TOLD)), elements: None },
        };
        objects.iter().map(said).collect()
    }
}

impl OutcomeError {
    fn text(&self) -> EventError<'_> {
        EventError { code: &self.code, message: &self.message }
    }
}

/// AWS has no code for this either.
const NOT_TOLD: EventError<'static> = EventError {
    code: "OutcomeUnknown",
    message: "The store's answer to the batch does not tell what became of this key",
};

/// AWS has no code for this end.
pub(super) const ABANDONED: EventError<'static> =
    EventError { code: "RequestAbandoned", message: "The client left before the request was complete" };

/// A reply to HEAD has no body, so its error has no other name than its status.
fn named_by_status(status: u16) -> Option<EventError<'static>> {
    let (code, message) = match status {
        0 => return Some(ABANDONED),
        1..400 => return None,
        400 => ("BadRequest", "Bad Request"),
        403 => ("AccessDenied", "Access Denied"),
        404 => ("NoSuchKey", "The specified key does not exist."),
        405 => ("MethodNotAllowed", "The specified method is not allowed against this resource."),
        409 => ("Conflict", "Conflict"),
        412 => ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
        416 => ("InvalidRange", "The requested range is not satisfiable"),
        503 => ("ServiceUnavailable", "Service is unable to handle request."),
        500.. => ("InternalError", "We encountered an internal error. Please try again."),
        _ => ("RequestFailed", "The request failed"),
    };
    Some(EventError { code, message })
}
