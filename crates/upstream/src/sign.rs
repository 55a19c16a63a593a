//! Signs requests to the upstream with the credentials that only Portcullis holds: its own, and those of users.

use std::sync::Arc;

use http::header::{self, HeaderName};

use super::RenderedRequest;
use super::chunks::ChunkSigner;
use portcullis_base::clock::Timestamp;
use portcullis_base::secret::Secret;
use portcullis_sigv4::{ALGORITHM, CredentialScope, DailyKey, UpstreamKey, canonical_request, string_to_sign};

/// Signs for one region, with Portcullis's own key or a user's.
#[derive(Debug)]
pub struct UpstreamSigner {
    own: UpstreamKey,
    region: String,
}

/// A signed request: the headers that make it ours, and what its chunks are signed over.
pub struct UpstreamSignature<'a> {
    host: &'a str,
    content_sha256: &'a str,
    moment: String,
    authorization: String,
    signature: String,
    today: Arc<DailyKey>,
}

impl UpstreamSigner {
    /// Signs in this region; this key is Portcullis's own.
    pub fn new(access_key_id: String, secret: Secret<String>, region: String) -> Self {
        Self { own: UpstreamKey::new(access_key_id, secret), region }
    }

    /// Portcullis's own key.
    pub fn own(&self) -> &UpstreamKey {
        &self.own
    }

    /// The region it signs for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Signs a request with every header it carries; `None` in a year that SigV4 cannot write.
    pub fn sign<'a>(
        &self,
        key: &UpstreamKey,
        rendered: &RenderedRequest,
        host: &'a str,
        content_sha256: &'a str,
        now: Timestamp,
    ) -> Option<UpstreamSignature<'a>> {
        let moment = now.iso_basic();
        let today = key.on(moment.get(..8)?, &self.region);
        let scope = today.scope();
        let mut signed: Vec<(&str, &[u8])> = Vec::with_capacity(rendered.headers.len() + 3);
        signed.push(("host", host.as_bytes()));
        signed.push(("x-amz-content-sha256", content_sha256.as_bytes()));
        signed.push(("x-amz-date", moment.as_bytes()));
        signed.extend(rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        signed.sort_unstable_by_key(|(name, _)| *name);
        let canonical =
            canonical_request(rendered.method.as_str(), &rendered.path, &rendered.query, &signed, content_sha256);
        let signature = today.signing_key().sign(&string_to_sign(&moment, &scope, &canonical)).hex();
        let authorization = authorization(key.id(), &scope, &signed, &signature);
        Some(UpstreamSignature { host, content_sha256, moment, authorization, signature, today })
    }
}

fn authorization(key_id: &str, scope: &CredentialScope<'_>, signed: &[(&str, &[u8])], signature: &str) -> String {
    let mut text = String::with_capacity(256 + 24 * signed.len());
    for part in [
        ALGORITHM,
        " Credential=",
        key_id,
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

impl UpstreamSignature<'_> {
    /// What signs the chunks of the request that was signed.
    pub fn chunks(self) -> ChunkSigner {
        let scope = self.today.scope().to_string();
        let signing_key = self.today.signing_key().clone();
        ChunkSigner { signing_key, moment: self.moment, scope, previous: self.signature }
    }

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
