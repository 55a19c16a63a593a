//! A small client of S3, and of the APIs beside it: one signed request over a connection of its own.

use aws_credential_types::Credentials as SigningKey;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use md5::{Digest, Md5};
use serde_json::Value;
use thiserror::Error;

use super::exchange::{ExchangeError, connect, exchange};
use super::table::harmless;
use portcullis_base::clock::Clock;
use portcullis_base::secret::Secret;
use portcullis_http::Dialler;
use portcullis_http::Endpoint;
use portcullis_mfa::MfaDemand;
use portcullis_xml::{InvalidXml, XmlElement};

/// An S3 store and the key to sign for it.
#[derive(Clone, Debug)]
pub struct S3Client {
    pub dialler: Dialler,
    pub access_key_id: String,
    pub secret_access_key: Secret<String>,
    pub session_token: Option<Secret<String>>,
    pub region: String,
    pub clock: Clock,
}

/// One request, path-style.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    pub method: Method,
    /// What follows the endpoint, with everything encoded that has to be.
    pub target: String,
    pub mfa: Option<Secret<String>>,
    pub body: Bytes,
}

/// An answer that is not an error.
#[derive(Clone, Debug)]
pub struct ClientAnswer {
    pub headers: HeaderMap,
    body: Bytes,
}

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum S3ClientError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("the answer is not JSON")]
    NotJson,
    #[error("{message} ({code})")]
    Refused { status: StatusCode, code: String, message: String, mfa: MfaDemand },
    #[error(transparent)]
    Unreadable(#[from] InvalidXml),
    #[error("the request cannot be signed: {0}")]
    Unsigned(String),
}

impl ClientRequest {
    /// A request without a body.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), mfa: None, body: Bytes::new() }
    }

    /// Adds a document or an object.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds `serial code`.
    pub fn mfa(mut self, mfa: Option<Secret<String>>) -> Self {
        self.mfa = mfa;
        self
    }
}

impl ClientAnswer {
    /// The answer's body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The answer's document.
    pub fn document(&self) -> Result<XmlElement, S3ClientError> {
        Ok(XmlElement::parse(&self.body)?)
    }
}

impl S3Client {
    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        self.dialler.endpoint()
    }

    /// Signs, sends, and reads the whole answer.
    pub async fn send(&self, ask: ClientRequest) -> Result<ClientAnswer, S3ClientError> {
        let request = self.signed(ask)?;
        self.exchange(request).await
    }

    /// The same with further headers, signed too.
    pub async fn send_with(
        &self,
        headers: &[(&'static str, String)],
        ask: ClientRequest,
    ) -> Result<ClientAnswer, S3ClientError> {
        let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = self.signed_for("s3", &headers, ask)?;
        self.exchange(request).await
    }

    /// Sends without a signature.
    pub async fn send_unsigned(&self, ask: ClientRequest) -> Result<ClientAnswer, S3ClientError> {
        self.exchange(self.unsigned(ask)?).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<ClientAnswer, S3ClientError> {
        let stream = connect(&self.dialler).await?;
        let answer = exchange(stream, request).await?;
        if answer.status.is_success() {
            return Ok(ClientAnswer { headers: answer.headers, body: answer.body });
        }
        Err(S3ClientError::read(answer.status, &answer.headers, &answer.body))
    }

    fn unsigned(&self, ask: ClientRequest) -> Result<Request<Full<Bytes>>, S3ClientError> {
        let mut request =
            Request::builder().method(&ask.method).uri(ask.target).header("host", self.endpoint().authority());
        // hyper leaves it out of a request without a body, and some stores refuse that.
        if ask.body.is_empty() && matches!(ask.method, Method::POST | Method::PUT) {
            request = request.header("content-length", 0);
        }
        request.body(Full::new(ask.body)).map_err(|error| S3ClientError::Unsigned(error.to_string()))
    }

    /// Calls an operation of CloudTrail's API; returns its JSON.
    pub async fn call(
        &self,
        operation: &str,
        body: &Value,
        mfa: Option<&Secret<String>>,
    ) -> Result<Value, S3ClientError> {
        let ask = ClientRequest::new(Method::POST, "/").body(body.to_string()).mfa(mfa.cloned());
        let target = format!("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{operation}");
        let request = self.signed_for("cloudtrail", &[("x-amz-target", &target)], ask)?;
        let stream = connect(&self.dialler).await?;
        let answer = exchange(stream, request).await?;
        let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (answer.status.is_success(), document) {
            (true, Some(document)) => Ok(document),
            (true, None) => Err(S3ClientError::NotJson),
            (false, document) => {
                let text = |name: &str| document.as_ref()?.get(name)?.as_str().map(str::to_owned);
                let code = text("__type").unwrap_or_else(|| answer.status.as_u16().to_string());
                let reason = || answer.status.canonical_reason().unwrap_or("no reason").to_owned();
                let message = text("message").unwrap_or_else(reason);
                Err(S3ClientError::refused(answer.status, &answer.headers, &code, &message))
            }
        }
    }

    fn signed(&self, ask: ClientRequest) -> Result<Request<Full<Bytes>>, S3ClientError> {
        self.signed_for("s3", &[], ask)
    }

    /// Signs for a service, with these headers beside the usual ones.
    fn signed_for(
        &self,
        service: &str,
        further: &[(&'static str, &str)],
        ask: ClientRequest,
    ) -> Result<Request<Full<Bytes>>, S3ClientError> {
        let unsigned = |error: &dyn std::fmt::Display| S3ClientError::Unsigned(error.to_string());
        let authority = self.endpoint().authority();
        let mfa = ask.mfa.as_ref().map(|mfa| mfa.expose().as_str());
        let headers = [("host", Some(authority.as_str())), ("x-amz-mfa", mfa)];
        let uri = format!("{}{}", self.endpoint(), ask.target);
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let headers = headers.chain(further.iter().copied());
        let signable = SignableRequest::new(ask.method.as_str(), uri, headers, SignableBody::Bytes(&ask.body));
        let identity = self.signing_key().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(self.clock.now().system_time())
            .settings(signing_settings())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let signature =
            sign(signable.map_err(|error| unsigned(&error))?, &parameters).map_err(|error| unsigned(&error))?;
        let (instructions, _) = signature.into_parts();
        let mfa = ask.mfa.clone();
        let mut request = self.unsigned(ask)?;
        if let Some(mfa) = mfa {
            let mut value = HeaderValue::from_str(mfa.expose()).map_err(|error| unsigned(&error))?;
            value.set_sensitive(true);
            request.headers_mut().insert("x-amz-mfa", value);
        }
        for (name, value) in further {
            let value = HeaderValue::from_str(value).map_err(|error| unsigned(&error))?;
            request.headers_mut().insert(*name, value);
        }
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    fn signing_key(&self) -> SigningKey {
        let token = self.session_token.as_ref().map(|token| token.expose().clone());
        SigningKey::new(&self.access_key_id, self.secret_access_key.expose(), token, None, "portcullis")
    }
}

/// S3 signs the path as it is sent, and the payload's hash as a header.
fn signing_settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

/// The value of `Content-MD5`, which stores ask of a batch.
pub(super) fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

impl S3ClientError {
    fn refused(status: StatusCode, headers: &HeaderMap, code: &str, message: &str) -> Self {
        let mfa = MfaDemand::parse(headers.get(MfaDemand::HEADER).map(HeaderValue::as_bytes));
        // Line breaks in a store's text could imitate lines of our own output.
        Self::Refused { status, code: harmless(code), message: harmless(message), mfa }
    }

    fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let error = XmlElement::parse(body).unwrap_or_default();
        // MinIO's admin API tells its errors in JSON, by the same names.
        let told: Value = serde_json::from_slice(body).unwrap_or_default();
        let in_json = |name: &str| told.get(name).and_then(Value::as_str);
        let text = |name: &str| error.filled_text_of(name).or_else(|| in_json(name)).map(str::to_owned);
        let code = text("Code").unwrap_or_else(|| status.as_u16().to_string());
        let message = text("Message").unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason").to_owned());
        Self::refused(status, headers, &code, &message)
    }

    /// The store's own code for its no.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Exchange(_) | Self::NotJson | Self::Unreadable(_) | Self::Unsigned(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_base::clock::Timestamp;
    use portcullis_http::TrustedAuthorities;
    use std::sync::Arc;

    fn example() -> S3Client {
        let moment = Timestamp::parse_iso_basic("20130524T000000Z").unwrap();
        let endpoint = Endpoint::parse("http://examplebucket.s3.amazonaws.com").unwrap();
        S3Client {
            dialler: Dialler::new(endpoint, &TrustedAuthorities::System).unwrap(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
            region: "us-east-1".to_owned(),
            clock: Clock::Set(Arc::new(moment.millis().into())),
        }
    }

    #[test]
    fn a_request_is_signed_as_in_the_examples_of_aws() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "GET Bucket Lifecycle".
        let request = example().signed(ClientRequest::new(Method::GET, "/?lifecycle")).unwrap();
        assert_eq!(
            request.headers()["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
    }

    #[test]
    fn the_code_is_signed_and_does_not_show_in_what_is_printed() {
        let mfa = Secret::new("20899872 301749".to_owned());
        let request = example().signed(ClientRequest::new(Method::PUT, "/vault?versioning").mfa(Some(mfa))).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-mfa,"));
        assert_eq!(request.headers()["x-amz-mfa"], "20899872 301749");
        assert!(!format!("{request:?}").contains("301749"));
    }

    #[test]
    fn a_refusal_without_a_document_still_says_something() {
        let error = S3ClientError::read(StatusCode::FORBIDDEN, &HeaderMap::new(), b"");
        assert_eq!(error.to_string(), "Forbidden (403)");
        let error = S3ClientError::read(
            StatusCode::FORBIDDEN,
            &HeaderMap::new(),
            b"<Error><Code>AccessDenied</Code><Message/></Error>",
        );
        assert_eq!(error.code(), Some("AccessDenied"));
        let error = S3ClientError::read(
            StatusCode::FORBIDDEN,
            &HeaderMap::new(),
            br#"{"Code":"AccessDenied","Message":"Access Denied.","Resource":"/minio/admin/v3/export-iam"}"#,
        );
        assert_eq!(error.to_string(), "Access Denied. (AccessDenied)");
    }
}
