//! Requests for tests: AWS's published examples, and requests signed by AWS's own crate.

use std::net::SocketAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::{SigningParams, sign_chunk, sign_trailer};
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;

use super::{
    AcceptedScope, AwsService, KeyStatus, Keyring, KeyringKey, Principal, SignatureRejection, UnsignedPayload,
    VerifiedRequest, verify,
};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_base::secret::Secret;
use portcullis_http::{MalformedHead, Peer, RequestHead, Transport};

pub(super) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const PARENT_KEY_ID: &str = "AKIAPARENTODNN7EXAMPLE";
pub(super) const INACTIVE_KEY_ID: &str = "AKIAI44QH8DHBEXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// 20130524T000000Z, when AWS signed its examples.
pub(super) const SIGNED_AT: Timestamp = Timestamp::from_seconds(1_369_353_600);

pub(super) fn keyring() -> Keyring {
    let keyring = Keyring::default();
    for (id, status) in [(KEY_ID, KeyStatus::Active), (INACTIVE_KEY_ID, KeyStatus::Inactive)] {
        let key = KeyringKey { holder: Principal::Root, secret: Secret::new(SECRET.to_owned()), status };
        keyring.set(AccessKeyId::parse(id).expect("an id"), key);
    }
    keyring
}

pub(super) fn accepted_scope() -> AcceptedScope {
    AcceptedScope {
        region: "us-east-1".to_owned(),
        services: &[AwsService::S3],
        unsigned_payload: UnsignedPayload::Tls,
    }
}

/// A request as it will be sent; what is not said is as in AWS's examples.
#[derive(Clone, Debug)]
pub(super) struct RequestFixture {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub transport: Transport,
    pub now: Timestamp,
}

impl RequestFixture {
    pub(super) fn new(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers, transport: Transport::Tls, now: SIGNED_AT }
    }

    /// AWS's example of a GET with a range.
    pub(super) fn get_object() -> Self {
        Self::new(
            "GET",
            "/test.txt",
            &[
                ("host", "examplebucket.s3.amazonaws.com"),
                ("range", "bytes=0-9"),
                ("x-amz-content-sha256", super::EMPTY_SHA256),
                ("x-amz-date", "20130524T000000Z"),
                (
                    "authorization",
                    &authorization(
                        "host;range;x-amz-content-sha256;x-amz-date",
                        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                    ),
                ),
            ],
        )
    }

    /// AWS's example of a presigned URL, good for a day.
    pub(super) fn presigned() -> Self {
        let target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        Self::new("GET", target, &[("host", "examplebucket.s3.amazonaws.com")])
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Replaces a text wherever it is, in the target or in a header.
    pub(super) fn replaced(mut self, from: &str, to: &str) -> Self {
        self.target = self.target.replace(from, to);
        for (_, value) in &mut self.headers {
            if let Ok(text) = std::str::from_utf8(value) {
                *value = text.replace(from, to).into_bytes();
            }
        }
        self
    }

    pub(super) fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub(super) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The head as the wire stage reads it.
    pub(super) fn head(&self) -> Result<RequestHead, MalformedHead> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        // What no HTTP parser would deliver is no request.
        let (parts, ()) = request.body(()).map_err(|_| MalformedHead::Target)?.into_parts();
        let address = SocketAddr::from(([192, 0, 2, 1], 4000));
        RequestHead::read(&parts, Peer { address, transport: self.transport })
    }

    pub(super) fn verify(&self) -> Result<VerifiedRequest, SignatureRejection> {
        verify(&self.head().expect("a head"), &keyring(), self.now, &accepted_scope())
    }

    /// Signs with AWS's crate, in the header, or in the query where a lifetime is given.
    pub(super) fn signed_by_aws(self, payload_hash: &str, lifetime: Option<Duration>) -> Self {
        self.signed_for(AwsService::S3, payload_hash, lifetime)
    }

    /// Signs as AWS's crate does for a service; S3 alone is sent the payload's hash.
    pub(super) fn signed_for(mut self, service: AwsService, payload_hash: &str, lifetime: Option<Duration>) -> Self {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.excluded_headers = None;
        if lifetime.is_some() {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = lifetime;
        } else if service == AwsService::S3 {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let uri = format!("https://example.com{}", self.target);
        let instructions = {
            let headers =
                self.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).expect("UTF-8")));
            let body = SignableBody::Precomputed(payload_hash.to_owned());
            let request = SignableRequest::new(&self.method, &uri, headers, body).expect("a request");
            let identity = identity();
            let params = params(&identity, service, settings).into();
            sign(request, &params).expect("a signature").into_parts().0
        };
        for (name, value) in instructions.headers() {
            self = self.with(name, value);
        }
        for (name, value) in instructions.params() {
            let separator = if self.target.contains('?') { '&' } else { '?' };
            let value = portcullis_base::percent::percent_encode(value);
            self.target.push_str(&format!("{separator}{name}={value}"));
        }
        self
    }
}

pub(super) fn authorization(signed_headers: &str, signature: &str) -> String {
    let credential = format!("{KEY_ID}/20130524/us-east-1/s3/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={signed_headers},Signature={signature}")
}

fn identity() -> Identity {
    Credentials::new(KEY_ID, SECRET, None, None, "test").into()
}

fn params<S: Default>(identity: &Identity, service: AwsService, settings: S) -> SigningParams<'_, S> {
    SigningParams::builder()
        .identity(identity)
        .region("us-east-1")
        .name(service.as_str())
        .time(SIGNED_AT.system_time())
        .settings(settings)
        .build()
        .expect("all parameters")
}

/// The signature of a chunk, by AWS's crate.
pub(super) fn chunk_signature(chunk: &[u8], previous: &str) -> String {
    let identity = identity();
    let signed = sign_chunk(&Bytes::copy_from_slice(chunk), previous, &params(&identity, AwsService::S3, ()))
        .expect("a signature");
    signed.into_parts().1
}

/// The signature of a trailer, by AWS's crate.
pub(super) fn trailer_signature(name: &'static str, value: &str, previous: &str) -> String {
    let mut headers = aws_smithy_runtime_api::http::Headers::new();
    headers.insert(name, value.to_owned());
    let identity = identity();
    let signed = sign_trailer(&headers, previous, &params(&identity, AwsService::S3, ())).expect("a signature");
    signed.into_parts().1
}
