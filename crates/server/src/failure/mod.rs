//! Every way in which a request ends without the upstream's answer, and what its client is told.
//!
//! The only place that writes text a client sees: no `Display` of an inner error reaches it.

use portcullis_xml::{Escaping, escape};
use std::borrow::Cow;

use http::StatusCode;

use portcullis_authorization::{MFA_REQUIRED, Refusal};
use portcullis_base::clock::ClockDisagreement;
use portcullis_base::names::{DeviceSerial, RequestId};
use portcullis_http::MalformedHead;
use portcullis_mfa::{MfaFault, TokenCode};
use portcullis_s3::UnclearRequest;
use portcullis_sigv4::{ClaimFault, SignatureForm, SignatureRejection};
use portcullis_upstream::{UpstreamError, UpstreamRefusal};

mod unclear;

/// Why a request ends without the upstream's answer.
#[derive(Debug)]
pub enum Failure {
    /// The client: its head can be read in more than one way.
    Malformed(MalformedHead),
    /// The client: its body did not come as promised.
    Body(BodyFailure),
    /// The client: the bucket is not of the account it expects.
    OtherOwner,
    /// The client: a browser asks whether it may ask, and no origin may.
    Preflight,
    /// The client: policy says no.
    Refused(Refusal),
    /// The client: the request is not authenticated.
    Rejected(Box<SignatureRejection>),
    /// The client: what it asks for is not clear, or not S3.
    Unclear(Box<UnclearRequest>),
    /// The upstream gave no answer.
    Upstream(UpstreamError),
    /// The upstream refused, in its own words.
    UpstreamRefused(Box<UpstreamRefusal>),
    /// Us: as many documents are in memory as may be, and none of them went in time.
    Busy,
    /// Us: it was carried out, and that cannot be written down.
    DoneUnrecorded,
    /// Us: the record or the state cannot be written, so nothing is done.
    Unrecorded,
    /// Us: a change of the state failed half-way, so that it may stand.
    StateInDoubt,
    /// Us: something that must be known to judge cannot be read.
    StateUnknown,
    /// Us: a defect.
    Internal,
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyFailure {
    /// `Content-MD5` or a checksum is not of its form.
    DigestMalformed,
    /// The client left, or the body is shorter than announced.
    Incomplete,
    LengthMissing,
    SeveralChecksums,
    TooLong,
    TimedOut,
    /// The bucket's protection changed while the body came.
    Withdrawn,
    /// An XML document must be covered by its signature.
    UnsignedDocument,
    Wrong(portcullis_sigv4::PayloadFault),
}

/// An error as S3 writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Error {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub message: Cow<'static, str>,
    pub recorded: RecordedMessage,
    /// Further elements, in order.
    pub details: Vec<(&'static str, String)>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u32>,
}

/// What the audit record says where a client reads a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedMessage {
    /// The client's message.
    AsSent,
    /// This text, because the client's message repeats an MFA code.
    Instead(&'static str),
}

impl S3Error {
    fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: Cow::Borrowed(code),
            message: message.into(),
            recorded: RecordedMessage::AsSent,
            details: Vec::new(),
            retry_after: None,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The message as the audit record has it, without any MFA code.
    pub fn message_for_the_record(&self) -> &str {
        match self.recorded {
            RecordedMessage::AsSent => &self.message,
            RecordedMessage::Instead(text) => text,
        }
    }

    /// The document a client reads.
    pub fn document(&self, resource: &str, request_id: RequestId, host_id: &str) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let mut element = |name: &str, value: &str| {
            out.push_str(&format!("<{name}>"));
            escape(&mut out, &xml_text(value), Escaping::Answer);
            out.push_str(&format!("</{name}>"));
        };
        element("Code", &self.code);
        element("Message", &self.message);
        for (name, value) in &self.details {
            element(name, value);
        }
        element("Resource", resource);
        element("RequestId", request_id.as_str());
        element("HostId", host_id);
        out.push_str("</Error>");
        out
    }
}

impl Failure {
    /// Whether the request is not authenticated.
    pub fn is_anonymous(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::Preflight | Self::Rejected(_) => true,
            Self::Body(_)
            | Self::Busy
            | Self::DoneUnrecorded
            | Self::Internal
            | Self::OtherOwner
            | Self::Refused(_)
            | Self::StateInDoubt
            | Self::StateUnknown
            | Self::Unclear(_)
            | Self::Unrecorded
            | Self::Upstream(_)
            | Self::UpstreamRefused(_) => false,
        }
    }

    /// Whether Portcullis itself refuses the request.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Body(_)
            | Self::Malformed(_)
            | Self::OtherOwner
            | Self::Preflight
            | Self::Refused(_)
            | Self::Rejected(_)
            | Self::Unclear(_) => true,
            Self::Busy
            | Self::DoneUnrecorded
            | Self::Internal
            | Self::StateInDoubt
            | Self::StateUnknown
            | Self::Unrecorded
            | Self::Upstream(_)
            | Self::UpstreamRefused(_) => false,
        }
    }

    /// What S3 says of it.
    pub fn s3_error(&self) -> S3Error {
        match self {
            Self::Malformed(malformed) => of_malformed(*malformed),
            Self::Body(failure) => of_body(failure),
            Self::Busy => slow_down(),
            Self::DoneUnrecorded => S3Error::new(
                500,
                "InternalError",
                "The request was carried out, but that cannot be recorded. Look at what is there before you repeat it.",
            ),
            Self::OtherOwner => access_denied("Access Denied"),
            Self::Preflight => access_denied("CORSResponse: CORS is not enabled for this bucket."),
            Self::Refused(refusal) => of_refusal(refusal),
            Self::Rejected(rejected) => of_rejected(rejected),
            Self::Unclear(unclear) => unclear::of_unclear(unclear),
            Self::Upstream(error) => of_upstream(*error),
            Self::UpstreamRefused(refusal) => S3Error {
                status: refusal.status,
                code: Cow::Owned(refusal.code.clone()),
                message: Cow::Owned(refusal.message.clone()),
                // The upstream never receives `x-amz-mfa`, so it has no code to repeat.
                recorded: RecordedMessage::AsSent,
                details: refusal.details.clone(),
                retry_after: None,
            },
            Self::Unrecorded => S3Error::new(
                503,
                "ServiceUnavailable",
                "The request cannot be recorded, so it was not carried out. Please retry.",
            ),
            Self::StateInDoubt => S3Error::new(
                503,
                "ServiceUnavailable",
                "The bucket's protection cannot be recorded. Look at its versioning before you repeat the request.",
            ),
            Self::StateUnknown => S3Error::new(
                503,
                "ServiceUnavailable",
                "The bucket's protection cannot be read, so the request was not carried out. Please retry.",
            ),
            Self::Internal => internal(),
        }
    }
}

fn slow_down() -> S3Error {
    S3Error::new(503, "SlowDown", "Please reduce your request rate.")
}

fn internal() -> S3Error {
    S3Error::new(500, "InternalError", "We encountered an internal error. Please try again.")
}

fn mismatch() -> S3Error {
    S3Error::new(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    )
}

fn access_denied(message: impl Into<Cow<'static, str>>) -> S3Error {
    S3Error::new(403, "AccessDenied", message)
}

fn invalid_argument(message: impl Into<Cow<'static, str>>, name: &str, value: &str) -> S3Error {
    S3Error::new(400, "InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", value)
}

fn of_malformed(malformed: MalformedHead) -> S3Error {
    match malformed {
        MalformedHead::Connection => S3Error::new(
            400,
            "InvalidRequest",
            "The Connection header must not name a header that the request depends on.",
        ),
        MalformedHead::Framing => {
            S3Error::new(400, "InvalidRequest", "The request's body is framed in a way that is not supported.")
        }
        MalformedHead::HeaderRepeated => S3Error::new(400, "InvalidRequest", "A header of the request is repeated."),
        MalformedHead::HeaderValue => {
            S3Error::new(400, "InvalidRequest", "A header of the request holds characters other than visible ASCII.")
        }
        MalformedHead::Host => S3Error::new(400, "InvalidRequest", "The request must have exactly one Host header."),
        MalformedHead::Method => {
            S3Error::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        }
        MalformedHead::Query => {
            S3Error::new(400, "InvalidURI", "The query of the request is ambiguous or not percent-encoded UTF-8.")
        }
        MalformedHead::QueryRepeated => {
            S3Error::new(400, "InvalidArgument", "A query parameter of the request is repeated.")
        }
        MalformedHead::QueryTooLong => {
            S3Error::new(400, "InvalidArgument", "The request has more than 64 query parameters.")
        }
        MalformedHead::Target => S3Error::new(400, "InvalidURI", "Couldn't parse the specified URI."),
        MalformedHead::TargetTooLong => {
            S3Error::new(414, "RequestURITooLong", "The request's target is longer than 16384 bytes.")
        }
    }
}

fn of_body(failure: &BodyFailure) -> S3Error {
    use portcullis_sigv4::PayloadFault;
    let incomplete = || {
        S3Error::new(
            400,
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        )
    };
    match failure {
        BodyFailure::Incomplete => incomplete(),
        BodyFailure::DigestMalformed => {
            S3Error::new(400, "InvalidDigest", "The Content-MD5 or checksum value that you specified was invalid.")
        }
        BodyFailure::SeveralChecksums => S3Error::new(
            400,
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ),
        BodyFailure::LengthMissing => {
            S3Error::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        }
        BodyFailure::TooLong => S3Error::new(400, "MaxMessageLengthExceeded", "Your request was too big."),
        BodyFailure::TimedOut => S3Error::new(
            400,
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ),
        BodyFailure::Withdrawn => S3Error::new(
            409,
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try again.",
        ),
        BodyFailure::UnsignedDocument => S3Error::new(
            400,
            "InvalidRequest",
            "The document of this request must be sent over TLS, or x-amz-content-sha256 has to be its SHA-256.",
        ),
        BodyFailure::Wrong(fault) => match fault {
            PayloadFault::AfterEnd | PayloadFault::ChunkMalformed | PayloadFault::TooLong | PayloadFault::TooShort => {
                incomplete()
            }
            PayloadFault::Checksum(algorithm) => S3Error::new(
                400,
                "BadDigest",
                format!("The {} you specified did not match the calculated checksum.", algorithm.as_str()),
            ),
            PayloadFault::ChunkSignature | PayloadFault::TrailerSignature => mismatch(),
            PayloadFault::ChunkTooLarge => {
                S3Error::new(400, "InvalidRequest", "A signed chunk of the body is larger than 67108864 bytes.")
            }
            PayloadFault::ContentMd5 => {
                S3Error::new(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
            }
            PayloadFault::ContentSha256 => S3Error::new(
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ),
            PayloadFault::TrailerMalformed => S3Error::new(
                400,
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our published schema.",
            ),
        },
    }
}

/// Text of a client with U+FFFD in the place of each character that XML 1.0 cannot carry, escaped or not.
fn xml_text(text: &str) -> Cow<'_, str> {
    let carried = |character| match character {
        '\t' | '\n' | '\r' => true,
        '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => true,
    };
    match text.chars().all(carried) {
        true => Cow::Borrowed(text),
        false => text.chars().map(|character| if carried(character) { character } else { '\u{FFFD}' }).collect(),
    }
}

fn of_refusal(refusal: &Refusal) -> S3Error {
    match refusal {
        Refusal::ExclusionsPresent => S3Error::new(
            409,
            "InvalidBucketState",
            "Mfa Authentication is not supported on a bucket whose versioning excludes prefixes or folders. Remove the exclusions before enabling Mfa Authentication.",
        ),
        Refusal::InsecureTransport => {
            S3Error::new(400, "InvalidRequest", "Requests specifying x-amz-mfa must be made over a secure connection.")
        }
        Refusal::LifecycleOnProtectedBucket => S3Error::new(
            409,
            "InvalidBucketState",
            "Lifecycle configuration is not supported on a bucket with Mfa Authentication enabled. Disable Mfa Authentication before adding lifecycle configuration.",
        ),
        Refusal::LifecyclePresent => S3Error::new(
            409,
            "InvalidBucketState",
            "Mfa Authentication is not supported on a bucket with lifecycle configuration. Delete lifecycle configuration before enabling Mfa Authentication.",
        ),
        Refusal::MalformedOffer(header) => of_malformed_offer(header),
        Refusal::MfaRequired => access_denied(MFA_REQUIRED),
        Refusal::NetworkThrottled { seconds } => S3Error::new(
            503,
            "SlowDown",
            format!(
                "Please reduce your request rate. Your network offered too many codes for this device. Try again in {seconds} seconds, or offer three consecutive codes, separated by spaces."
            ),
        )
        .retry_after(*seconds),
        Refusal::NoSuchBucket => S3Error::new(404, "NoSuchBucket", "The specified bucket does not exist"),
        Refusal::NotBucketOwner => access_denied("This operation may only be performed by the bucket owner"),
        Refusal::NotDeviceOwner { serial, code } => of_foreign_device(serial, code),
        Refusal::NotVersioned => S3Error::new(
            409,
            "InvalidBucketState",
            "Mfa Authentication can only be enabled on a bucket whose versioning is Enabled.",
        ),
        Refusal::Policy(denial) => access_denied(denial.to_string()),
        Refusal::TrailBucket => access_denied("Access Denied"),
        Refusal::TokenCodeInvalid(MfaFault::MoreCodesNeeded) => S3Error::new(
            400,
            "TokenCodeInvalidError",
            "The serial number and/or token code you provided is not valid. Wrong codes were offered within a year, so that the device asks for consecutive codes, separated by spaces: two, or three while two are tried too often.",
        ),
        Refusal::TokenCodeInvalid(_) => {
            S3Error::new(400, "TokenCodeInvalidError", "The serial number and/or token code you provided is not valid.")
        }
        Refusal::ClockDisagrees => S3Error::new(503, "ServiceUnavailable", ClockDisagreement::FOR_CLIENTS),
        Refusal::TooManyCodesAtOnce => S3Error::new(
            503,
            "SlowDown",
            "Please reduce your request rate. Too many codes of this device wait to be verified. Try again in a second, or offer three consecutive codes, separated by spaces.",
        )
        .retry_after(1),
        Refusal::Unsettled(until) => S3Error::new(
            409,
            "OperationAborted",
            format!(
                "The storage behind the proxy has not answered an earlier request to this bucket and may still carry it out. Try again after {}.",
                until.iso_extended()
            ),
        ),
        Refusal::UploadMayReplaceVersion => access_denied(
            "Mfa Authentication must be used to complete this upload: it may have been opened before the bucket kept every version, and would replace the null version of its key. Abort it and upload the object again.",
        ),
    }
}

fn of_malformed_offer(header: &TokenCode) -> S3Error {
    invalid_argument(
        "Mfa header is invalid -- the header should be formatted as {serialNumber}(space){tokenCode}",
        "x-amz-mfa",
        header.expose(),
    )
}

fn of_foreign_device(serial: &DeviceSerial, code: &TokenCode) -> S3Error {
    let message = format!(
        "The device with serial number {serial} that generated token {} is not owned by the authenticated user",
        code.expose()
    );
    let recorded = "The device that generated the token is not owned by the authenticated user.";
    S3Error { recorded: RecordedMessage::Instead(recorded), ..S3Error::new(400, "NotDeviceOwnerError", message) }
}

fn of_upstream(error: UpstreamError) -> S3Error {
    match error {
        UpstreamError::BrokenOff | UpstreamError::Silent => S3Error::new(
            503,
            "ServiceUnavailable",
            "The storage behind the proxy did not answer; whether the request was carried out is unknown.",
        ),
        // No 503: clients would repeat it, and show what a code says that was spent by then.
        UpstreamError::DeniesUs => S3Error::new(
            409,
            "InvalidBucketState",
            "The storage behind the proxy does not let the proxy read how the bucket is protected, so the request was not carried out. Please tell its operator.",
        ),
        UpstreamError::RefusesUs => S3Error::new(
            503,
            "ServiceUnavailable",
            "The storage behind the proxy does not accept the proxy's credentials. Please tell its operator.",
        ),
        UpstreamError::RefusesUser => S3Error::new(
            503,
            "ServiceUnavailable",
            "The storage behind the proxy does not accept the credentials with which the proxy acts there for this user. Please tell its operator.",
        ),
        UpstreamError::Unreachable => {
            S3Error::new(503, "ServiceUnavailable", "The storage behind the proxy cannot be reached. Please retry.")
        }
        UpstreamError::Unreadable => {
            S3Error::new(502, "InternalError", "The storage behind the proxy gave an answer that cannot be read.")
        }
        UpstreamError::Untrusted => S3Error::new(
            503,
            "ServiceUnavailable",
            "The storage behind the proxy cannot prove who it is. Please tell its operator.",
        ),
        UpstreamError::Unwritable => internal(),
    }
}

fn of_rejected(rejected: &SignatureRejection) -> S3Error {
    use portcullis_sigv4::SignatureFault;
    let unknown_key = || {
        let error = S3Error::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        );
        match &rejected.key_id {
            Some(id) => error.with("AWSAccessKeyId", id.as_str()),
            None => error,
        }
    };
    match &rejected.reason {
        SignatureFault::Anonymous => access_denied("Access Denied"),
        SignatureFault::Claim { form, fault } => of_claim(*form, fault),
        SignatureFault::DateMissing => access_denied("AWS authentication requires a valid Date or x-amz-date header"),
        SignatureFault::DecodedLengthMissing => {
            S3Error::new(411, "MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.")
        }
        SignatureFault::DecodedLengthMalformed => {
            S3Error::new(400, "InvalidArgument", "The value of x-amz-decoded-content-length is not a number.")
        }
        SignatureFault::Expired { at, lifetime_seconds, now } => access_denied("Request has expired")
            .with("X-Amz-Expires", lifetime_seconds.to_string())
            .with("Expires", at.iso_extended())
            .with("ServerTime", now.iso_extended()),
        SignatureFault::HeadersNotSigned(names) => {
            access_denied("There were headers present in the request which were not signed")
                .with("HeadersNotSigned", names.join(", "))
        }
        SignatureFault::InactiveKey | SignatureFault::UnknownKey => unknown_key(),
        SignatureFault::NotYetValid { .. } => access_denied("Request is not yet valid"),
        SignatureFault::Path => S3Error::new(400, "InvalidURI", "Couldn't parse the specified URI."),
        SignatureFault::PayloadHashMalformed => S3Error::new(
            400,
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        ),
        SignatureFault::PayloadHashMissing => {
            S3Error::new(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        }
        SignatureFault::ScopeDate | SignatureFault::SignatureMismatch | SignatureFault::SignedHeaderAbsent(_) => {
            mismatch()
        }
        SignatureFault::SessionExpired => S3Error::new(400, "ExpiredToken", "The provided token has expired."),
        SignatureFault::SessionToken => {
            S3Error::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        }
        SignatureFault::SessionTokenWithMfa => {
            S3Error::new(400, "InvalidRequest", "DevPay and Mfa are mutually exclusive authorization methods.")
        }
        SignatureFault::SeveralMechanisms => S3Error::new(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
        ),
        SignatureFault::SigV2 => S3Error::new(
            400,
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ),
        SignatureFault::SigV4A => S3Error::new(
            501,
            "NotImplemented",
            "Signatures of version 4a are not supported. Please use AWS4-HMAC-SHA256.",
        ),
        SignatureFault::Skewed { signed_at, now } => S3Error::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", signed_at.iso_basic())
        .with("ServerTime", now.iso_extended())
        .with("MaxAllowedSkewMilliseconds", "900000"),
        SignatureFault::TrailerMismatch | SignatureFault::TrailerUnsupported => {
            S3Error::new(400, "InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
        }
        SignatureFault::UnknownScheme => S3Error::new(400, "InvalidArgument", "Unsupported Authorization Type"),
        SignatureFault::UnsignedPayloadInClear => access_denied(
            "An unsigned payload must be sent over a secure connection. The operator allows it in plain HTTP by listen.unsigned_payload = \"anywhere\".",
        ),
    }
}

fn of_claim(form: SignatureForm, fault: &ClaimFault) -> S3Error {
    let text: Cow<'static, str> = match fault {
        ClaimFault::Algorithm => "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"".into(),
        ClaimFault::Credential | ClaimFault::Terminator => {
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".".into()
        }
        ClaimFault::Date => "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"".into(),
        ClaimFault::ExpiresMalformed => "X-Amz-Expires should be a number".into(),
        ClaimFault::ExpiresOutOfRange => "X-Amz-Expires must be between 1 and 604800 seconds".into(),
        ClaimFault::Missing(field) => format!("a required field is missing: {field}").into(),
        ClaimFault::Repeated(field) => format!("a field is repeated: {field}").into(),
        ClaimFault::Region { claimed, expected } => {
            format!("the region '{claimed}' is wrong; expecting '{expected}'").into()
        }
        ClaimFault::Service { claimed } => {
            format!("incorrect service \"{claimed}\". This endpoint belongs to \"s3\".").into()
        }
        ClaimFault::Signature => "the Signature is not 64 digits of lower-case hex".into(),
        ClaimFault::SignedHeaders => "the SignedHeaders are not sorted lower-case names, host among them".into(),
        ClaimFault::UnknownField => "an unknown field is present".into(),
    };
    let error = match form {
        SignatureForm::AuthHeader => {
            S3Error::new(400, "AuthorizationHeaderMalformed", format!("The authorization header is malformed; {text}"))
        }
        SignatureForm::QueryString => S3Error::new(400, "AuthorizationQueryParametersError", text),
    };
    if let ClaimFault::Region { expected, .. } = fault { error.with("Region", expected.as_str()) } else { error }
}

#[cfg(test)]
mod tests;
