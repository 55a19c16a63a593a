//! Signs requests to the upstream with the credentials that only Portcullis holds.

use std::sync::{Arc, PoisonError, RwLock};

use http::header::{self, HeaderName};

use super::RenderedRequest;
use super::chunks::ChunkSigner;
use portcullis_base::clock::Timestamp;
use portcullis_base::secret::Secret;
use portcullis_sigv4::{ALGORITHM, CredentialScope, SigningKey, canonical_request, string_to_sign};

/// Portcullis's credentials at the upstream, whose key ids follow the upstream's rules.
#[derive(Debug)]
pub struct UpstreamSigner {
    access_key_id: String,
    secret: Secret<String>,
    region: String,
    today: RwLock<Arc<DailyKey>>,
}

/// A signed request: the headers that make it ours, and what its chunks are signed over.
pub struct UpstreamSignature<'a> {
    host: &'a str,
    content_sha256: &'a str,
    moment: String,
    authorization: String,
    signature: String,
}

/// The signing key of one day, kept since deriving it costs as much as the rest of a signature.
#[derive(Debug)]
struct DailyKey {
    date: String,
    key: SigningKey,
}

/// The service that upstreams are.
const SERVICE: &str = "s3";

impl UpstreamSigner {
    /// Signs as this key in this region.
    pub fn new(access_key_id: String, secret: Secret<String>, region: String) -> Self {
        let today = RwLock::new(Arc::new(DailyKey::derive(&secret, &region, "")));
        Self { access_key_id, secret, region, today }
    }

    /// The region it signs for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Signs a request with every header it carries; `None` in a year that SigV4 cannot write.
    pub fn sign<'a>(
        &self,
        rendered: &RenderedRequest,
        host: &'a str,
        content_sha256: &'a str,
        now: Timestamp,
    ) -> Option<UpstreamSignature<'a>> {
        let moment = now.iso_basic();
        let today = self.today(moment.get(..8)?);
        let scope = self.scope(&today);
        let mut signed: Vec<(&str, &[u8])> = Vec::with_capacity(rendered.headers.len() + 3);
        signed.push(("host", host.as_bytes()));
        signed.push(("x-amz-content-sha256", content_sha256.as_bytes()));
        signed.push(("x-amz-date", moment.as_bytes()));
        signed.extend(rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        signed.sort_unstable_by_key(|(name, _)| *name);
        let canonical =
            canonical_request(rendered.method.as_str(), &rendered.path, &rendered.query, &signed, content_sha256);
        let signature = today.key.sign(&string_to_sign(&moment, &scope, &canonical)).hex();
        let authorization = self.authorization(&scope, &signed, &signature);
        Some(UpstreamSignature { host, content_sha256, moment, authorization, signature })
    }

    /// What signs the chunks of a request that was just signed.
    pub fn chunks(&self, signed: UpstreamSignature<'_>) -> ChunkSigner {
        let today = self.today(signed.moment.get(..8).unwrap_or(""));
        let scope = self.scope(&today).to_string();
        ChunkSigner { signing_key: today.key.clone(), moment: signed.moment, scope, previous: signed.signature }
    }

    fn authorization(&self, scope: &CredentialScope<'_>, signed: &[(&str, &[u8])], signature: &str) -> String {
        let mut text = String::with_capacity(256 + 24 * signed.len());
        for part in [
            ALGORITHM,
            " Credential=",
            &self.access_key_id,
            "/",
            scope.date,
            "/",
            scope.region,
            "/",
            scope.service,
            "/aws4_request, SignedHeaders=",
        ] {
            text.push_str(part);
        }
        for (index, (name, _)) in signed.iter().enumerate() {
            text.push_str(if index > 0 { ";" } else { "" });
            text.push_str(name);
        }
        text.push_str(", Signature=");
        text.push_str(signature);
        text
    }

    fn scope<'a>(&'a self, today: &'a DailyKey) -> CredentialScope<'a> {
        CredentialScope { date: &today.date, region: &self.region, service: SERVICE }
    }

    fn today(&self, date: &str) -> Arc<DailyKey> {
        let kept = self.today.read().unwrap_or_else(PoisonError::into_inner).clone();
        if kept.date == date {
            return kept;
        }
        let fresh = Arc::new(DailyKey::derive(&self.secret, &self.region, date));
        *self.today.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }
}

impl UpstreamSignature<'_> {
    /// What the request carries beside its own headers.
    pub fn headers(&self) -> [(HeaderName, &str); 4] {
        const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
        const DATE: HeaderName = HeaderName::from_static("x-amz-date");
        [
            (header::HOST, self.host),
            (CONTENT_SHA256, self.content_sha256),
            (DATE, &self.moment),
            (header::AUTHORIZATION, &self.authorization),
        ]
    }
}

impl DailyKey {
    fn derive(secret: &Secret<String>, region: &str, date: &str) -> Self {
        Self {
            date: date.to_owned(),
            key: SigningKey::derive(secret, &CredentialScope { date, region, service: SERVICE }),
        }
    }
}
