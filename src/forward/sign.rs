//! Signs requests to the upstream with the credentials that only the gate holds.

use std::sync::{Mutex, PoisonError};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::header::{HeaderName, HeaderValue};

use crate::authenticate::{ALGORITHM, Scope, canonical_request, string_to_sign};
use crate::clock::Timestamp;
use crate::secret::Secret;

use super::Rendered;
use super::chunks::ChunkSigner;

/// The gate's own credentials at the upstream, whose key ids follow rules of its own.
#[derive(Debug)]
pub struct Signer {
    access_key_id: String,
    secret: Secret<String>,
    region: String,
    today: Mutex<Option<Today>>,
}

/// A signed request: the headers that make it ours, and what its chunks are signed over.
pub struct Signed {
    pub headers: Vec<(HeaderName, HeaderValue)>,
    moment: String,
    scope: String,
    signature: String,
}

/// The signing key of one day, kept since deriving it costs as much as the rest of a signature.
#[derive(Debug)]
struct Today {
    date: String,
    key: Secret<Vec<u8>>,
}

impl Signer {
    /// Signs as this key in this region.
    pub fn new(access_key_id: String, secret: Secret<String>, region: String) -> Self {
        Self { access_key_id, secret, region, today: Mutex::new(None) }
    }

    /// Signs a request with every header it carries.
    pub fn sign(&self, rendered: &Rendered, host: &str, content_sha256: &str, now: Timestamp) -> Signed {
        let moment = now.iso_basic();
        let date = moment.get(..8).unwrap_or("");
        let scope = Scope { date, region: &self.region, service: "s3" };
        let mut signed: Vec<(&str, &[u8])> = vec![
            ("host", host.as_bytes()),
            ("x-amz-content-sha256", content_sha256.as_bytes()),
            ("x-amz-date", moment.as_bytes()),
        ];
        signed.extend(rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        signed.sort_unstable_by_key(|(name, _)| *name);
        let canonical =
            canonical_request(rendered.method.as_str(), &rendered.path, &rendered.query, &signed, content_sha256);
        let signature =
            self.with_key(date, |key| calculate_signature(key, &string_to_sign(&moment, &scope, &canonical)));
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.access_key_id,
            names.join(";")
        );
        let headers = [
            ("x-amz-content-sha256", content_sha256.to_owned()),
            ("x-amz-date", moment.clone()),
            ("authorization", authorization),
            ("host", host.to_owned()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect();
        Signed { headers, scope: scope.to_string(), moment, signature }
    }

    /// What signs the chunks of a request that was just signed.
    pub fn chunks(&self, signed: Signed) -> ChunkSigner {
        let date = signed.moment.get(..8).unwrap_or("").to_owned();
        let signing_key = self.with_key(&date, |key| Secret::new(key.to_vec()));
        ChunkSigner { signing_key, moment: signed.moment, scope: signed.scope, previous: signed.signature }
    }

    fn with_key<T>(&self, date: &str, use_key: impl FnOnce(&[u8]) -> T) -> T {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = match today.take() {
            Some(kept) if kept.date == date => kept,
            _ => {
                let now = Timestamp::parse_iso_basic(&format!("{date}T000000Z")).unwrap_or(Timestamp::from_seconds(0));
                let key = generate_signing_key(self.secret.expose(), now.system_time(), &self.region, "s3");
                Today { date: date.to_owned(), key: Secret::new(key.as_ref().to_vec()) }
            }
        };
        let outcome = use_key(fresh.key.expose());
        *today = Some(fresh);
        outcome
    }
}
