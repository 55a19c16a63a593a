//! Requests as a client signs them, right or wrong.

use portcullis_base::clock::Timestamp;
use portcullis_base::percent::{percent_decode, percent_encode};
use portcullis_base::secret::Secret;
use portcullis_sigv4::{
    CredentialScope, SigningKey, canonical_path, canonical_query, canonical_request, string_to_sign,
};
use sha2::{Digest, Sha256};

/// An access key.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub key_id: String,
    pub secret: String,
}

/// A request to be signed.
#[derive(Clone)]
pub(crate) struct Ask {
    pub method: String,
    /// As it goes out, query included.
    pub target: String,
    headers: Vec<(String, Vec<u8>)>,
    /// Added after signing.
    unsigned: Vec<(String, String)>,
    pub body: Vec<u8>,
    payload: Payload,
    service: &'static str,
    region: &'static str,
}

/// What the signature says of the body.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Its SHA-256.
    Digest,
    /// This, whatever the body is.
    Claimed(String),
}

const REGION: &str = "us-east-1";

impl std::fmt::Debug for Ask {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(out, " | {name}: {}", String::from_utf8_lossy(value))?;
        }
        for (name, value) in &self.unsigned {
            write!(out, " | unsigned {name}: {value}")?;
        }
        write!(out, " | {}", String::from_utf8_lossy(&self.body[..self.body.len().min(200)]))
    }
}

impl Ask {
    /// A request such as `DELETE /vault/k`.
    pub(crate) fn new(line: &str) -> Self {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            unsigned: Vec::new(),
            body: Vec::new(),
            payload: Payload::Digest,
            service: "s3",
            region: REGION,
        }
    }

    /// A call of CloudTrail's API, as stock clients make it.
    pub(crate) fn call(operation: &str, body: &str) -> Self {
        Self::new("POST /")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", &format!("CloudTrail_20131101.{operation}"))
            .body(body)
            .for_service("cloudtrail")
    }

    /// Signs for another service than S3, which alone is sent the payload's hash.
    pub(crate) fn for_service(mut self, service: &'static str) -> Self {
        self.service = service;
        self
    }

    /// Signs for another region than the rig's own.
    pub(crate) fn in_region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.raw_header(name, value.as_bytes())
    }

    pub(crate) fn raw_header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    /// A header that an intermediary added.
    pub(crate) fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.unsigned.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn document(self, document: &str) -> Self {
        self.body(document)
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The same request with more in its query.
    pub(crate) fn with_query(mut self, raw: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(raw);
        self
    }

    /// The bytes of the request, signed in its `Authorization` header.
    pub(crate) fn signed(&self, keys: &Keys, now: Timestamp) -> Vec<u8> {
        self.signed_with_seed(keys, now).0
    }

    /// The same, with the signature that a chain of chunks begins with.
    pub(crate) fn signed_with_seed(&self, keys: &Keys, now: Timestamp) -> (Vec<u8>, String) {
        let moment = now.iso_basic();
        let hash = self.hash();
        let mut headers = self.headers.clone();
        headers.push(("host".to_owned(), b"localhost".to_vec()));
        if self.service == "s3" {
            headers.push(("x-amz-content-sha256".to_owned(), hash.clone().into_bytes()));
        }
        headers.push(("x-amz-date".to_owned(), moment.clone().into_bytes()));
        let (signature, names) = self.signature(keys, &moment, &headers, &hash, canonical(&self.target).1);
        let credential = format!("{}/{}/{}/{}/aws4_request", keys.key_id, &moment[..8], self.region, self.service);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
        headers.push(("authorization".to_owned(), authorization.into_bytes()));
        (self.written(&self.target, &headers), signature)
    }

    /// The bytes of the request as a presigned URL has it.
    pub(crate) fn presigned(&self, keys: &Keys, now: Timestamp) -> Vec<u8> {
        let moment = now.iso_basic();
        let mut headers = self.headers.clone();
        headers.push(("host".to_owned(), b"localhost".to_vec()));
        let names = signed_names(&headers);
        let scope = format!("{}/{}/{}/{}/aws4_request", keys.key_id, &moment[..8], self.region, self.service);
        let credential = percent_encode(&scope);
        let own = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={moment}&X-Amz-Expires=600\
             &X-Amz-SignedHeaders={}",
            percent_encode(&names)
        );
        let target = self.clone().with_query(&own).target;
        let query = canonical(&target).1;
        let (signature, _) = self.signature(keys, &moment, &headers, "UNSIGNED-PAYLOAD", query);
        self.written(&format!("{target}&X-Amz-Signature={signature}"), &headers)
    }

    fn hash(&self) -> String {
        match &self.payload {
            Payload::Digest => hex::encode(Sha256::digest(&self.body)),
            Payload::Claimed(text) => text.clone(),
        }
    }

    fn signature(
        &self,
        keys: &Keys,
        moment: &str,
        headers: &[(String, Vec<u8>)],
        hash: &str,
        query: String,
    ) -> (String, String) {
        let scope = CredentialScope { date: &moment[..8], region: self.region, service: self.service };
        let mut signed: Vec<(String, &[u8])> =
            headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_slice())).collect();
        signed.sort();
        let signed: Vec<(&str, &[u8])> = signed.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let request = canonical_request(&self.method, &canonical(&self.target).0, &query, &signed, hash);
        let key = SigningKey::derive(&Secret::new(keys.secret.clone()), &scope);
        (key.sign(&string_to_sign(moment, &scope, &request)).hex(), signed_names(headers))
    }

    fn written(&self, target: &str, headers: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut out = format!("{} {target} HTTP/1.1\r\nconnection: close\r\n", self.method).into_bytes();
        for (name, value) in headers {
            out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        for (name, value) in &self.unsigned {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if !self.body.is_empty() && !headers.iter().any(|(name, _)| name == "content-length") {
            out.extend(format!("content-length: {}\r\n", self.body.len()).into_bytes());
        }
        out.extend(b"\r\n");
        out.extend(&self.body);
        out
    }
}

fn signed_names(headers: &[(String, Vec<u8>)]) -> String {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.join(";")
}

/// Path and query as SigV4 has them; what does not decode is signed as it stands.
fn canonical(target: &str) -> (String, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decoded = |text: &str| percent_decode(text).unwrap_or_else(|| text.to_owned());
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let path = canonical_path(path).map_or_else(|| path.to_owned(), |path| path.into_owned());
    (path, canonical_query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}
