//! Why a request is not authenticated.

use thiserror::Error;

use super::SignatureForm;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;

/// A request that is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRejection {
    /// The key the client claimed, for the record; nothing was proved of it.
    pub key_id: Option<AccessKeyId>,
    pub reason: SignatureFault,
}

/// Why a request is not authenticated; each names S3's answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureFault {
    /// 403 AccessDenied.
    #[error("the request is not signed")]
    Anonymous,
    /// 400 AuthorizationHeaderMalformed, or 400 AuthorizationQueryParametersError for the query form.
    #[error("the signature's parameters are malformed: {fault}")]
    Claim { form: SignatureForm, fault: ClaimFault },
    /// 403 AccessDenied, `AWS authentication requires a valid Date or x-amz-date header`.
    #[error("the request has no date")]
    DateMissing,
    /// 411 MissingContentLength.
    #[error("a chunked body comes without its decoded length")]
    DecodedLengthMissing,
    /// 400 InvalidArgument.
    #[error("the decoded length of a chunked body is not a number")]
    DecodedLengthMalformed,
    /// 403 AccessDenied, `Request has expired`, with `X-Amz-Expires`, `Expires` and `ServerTime`.
    #[error("the presigned URL expired at {at}")]
    Expired { at: Timestamp, lifetime_seconds: u64, now: Timestamp },
    /// 403 AccessDenied, `There were headers present in the request which were not signed`, with `HeadersNotSigned`.
    #[error("headers are not signed: {}", .0.join(", "))]
    HeadersNotSigned(Vec<String>),
    /// 403 InvalidAccessKeyId.
    #[error("the access key is inactive")]
    InactiveKey,
    /// 403 AccessDenied, `Request is not yet valid`.
    #[error("the presigned URL is not valid before {signed_at}")]
    NotYetValid { signed_at: Timestamp, now: Timestamp },
    /// 400 InvalidURI.
    #[error("the path is not percent-encoded UTF-8")]
    Path,
    /// 400 InvalidArgument, `x-amz-content-sha256 must be UNSIGNED-PAYLOAD, .. or a valid sha256 value.`
    #[error("the payload hash has no known form")]
    PayloadHashMalformed,
    /// 400 InvalidRequest, `Missing required header for this request: x-amz-content-sha256`.
    #[error("the request has no payload hash")]
    PayloadHashMissing,
    /// 403 SignatureDoesNotMatch: the scope's day is not the day of the request's time.
    #[error("the scope is of another day than the request")]
    ScopeDate,
    /// 400 ExpiredToken, `The provided token has expired.`
    #[error("the session is over")]
    SessionExpired,
    /// 400 InvalidToken, `The provided token is malformed or otherwise invalid.`
    #[error("the session token was not issued here with this key id, was revoked, or is in the wrong place")]
    SessionToken,
    /// 400 InvalidRequest, `DevPay and Mfa are mutually exclusive authorization methods.`
    #[error("the request carries a session token and an MFA code")]
    SessionTokenWithMfa,
    /// 400 InvalidArgument, `Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature
    /// query string parameter or the Authorization header should be specified`.
    #[error("the request is signed in more than one way")]
    SeveralMechanisms,
    /// 400 InvalidRequest, `The authorization mechanism you have provided is not supported. Please use
    /// AWS4-HMAC-SHA256.`
    #[error("the request is signed with version 2")]
    SigV2,
    /// 501 NotImplemented.
    #[error("the request is signed with version 4a")]
    SigV4A,
    /// 403 SignatureDoesNotMatch.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// 403 SignatureDoesNotMatch.
    #[error("a signed header is absent: `{0}`")]
    SignedHeaderAbsent(String),
    /// 403 RequestTimeTooSkewed, with `RequestTime`, `ServerTime` and `MaxAllowedSkewMilliseconds`.
    #[error("the request was signed at {signed_at}, too far from now")]
    Skewed { signed_at: Timestamp, now: Timestamp },
    /// 400 InvalidRequest: a trailer comes with a payload form that has none, or is not announced where one must.
    #[error("the trailer is announced where none is, or not where one is")]
    TrailerMismatch,
    /// 400 InvalidRequest, `The value specified in the x-amz-trailer header is not supported`.
    #[error("the announced trailer is not one checksum")]
    TrailerUnsupported,
    /// 403 InvalidAccessKeyId.
    #[error("the access key is unknown")]
    UnknownKey,
    /// 400 InvalidArgument, `Unsupported Authorization Type`.
    #[error("the authorization scheme is unknown")]
    UnknownScheme,
    /// 403 AccessDenied: an unsigned body is taken over TLS, from this machine, or with a presigned URL.
    #[error("the body is not signed and travels in the clear")]
    UnsignedPayloadInClear,
}

/// What is wrong with the parameters of a signature.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClaimFault {
    /// `X-Amz-Algorithm` is none of AWS's.
    #[error("the algorithm is unknown")]
    Algorithm,
    /// Not `key/date/region/service/aws4_request`.
    #[error("the credential is not of five parts")]
    Credential,
    /// `X-Amz-Date` is not `YYYYMMDDTHHMMSSZ`.
    #[error("the date is not in the basic form of ISO 8601")]
    Date,
    #[error("the lifetime is not a number")]
    ExpiresMalformed,
    /// Not 1 to 604800 seconds.
    #[error("the lifetime is not between a second and a week")]
    ExpiresOutOfRange,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is repeated")]
    Repeated(&'static str),
    #[error("the region is `{claimed}`, not `{expected}`")]
    Region { claimed: String, expected: String },
    #[error("the service is `{claimed}`, which is not served")]
    Service { claimed: String },
    /// Not 64 digits of lower-case hex.
    #[error("the signature is not a SHA-256 in hex")]
    Signature,
    /// Not lower-case names, sorted and each once.
    #[error("the list of signed headers is not in canonical form")]
    SignedHeaders,
    /// The credential does not end in `aws4_request`.
    #[error("the credential does not end in `aws4_request`")]
    Terminator,
    #[error("a field is unknown")]
    UnknownField,
}

impl SignatureRejection {
    /// A rejection before any key was named.
    pub(super) fn unclaimed(reason: SignatureFault) -> Self {
        Self { key_id: None, reason }
    }
}
