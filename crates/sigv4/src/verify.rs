//! Whether a request was signed by the holder of a key.

use sha2::{Digest, Sha256};

use super::canonical::{canonical_path, canonical_query, canonical_request, extend_hex, string_to_sign};
use super::claim::{Claim, SIGNATURE_KEY};
use super::payload::{ChunkChain, Promise};
use super::{Form, KeyStatus, Keyring, Payload, Principal, Realm, Reason, Rejected, Service};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_http::Head;

/// A request whose signature is right.
#[derive(Clone, Debug)]
pub struct Signed {
    pub principal: Principal,
    pub key_id: AccessKeyId,
    pub form: Form,
    pub service: Service,
    /// What the signature promises of the body; the reader of the body has to check it.
    pub payload: Payload,
    pub signed_at: Timestamp,
}

/// A request whose signature covers its body by the body's own hash, so that it is judged when that is there.
#[derive(Debug)]
pub struct Unproved<'a> {
    head: &'a Head,
    claim: Claim<'a>,
    service: Service,
}

/// Finds who signed a request, or why the signature is not accepted.
// INVARIANT (signed control headers): of the headers that decide anything, each that is there is signed.
pub fn verify(head: &Head, keyring: &Keyring, now: Timestamp, realm: &Realm) -> Result<Signed, Rejected> {
    let claim = Claim::read(head).map_err(Rejected::unclaimed)?;
    let key_id = AccessKeyId::parse(claim.key_id).ok();
    let examined = examine(head, &claim, now, realm).and_then(|service| {
        let (promise, payload_hash) = Promise::read(head, claim.form)?;
        prove(head, &claim, key_id.as_ref(), keyring, service, promise, payload_hash)
    });
    examined.map_err(|reason| Rejected { key_id, reason })
}

impl<'a> Unproved<'a> {
    /// Accepts a claim before the body has arrived, unless it is wrong with any body.
    pub fn read(head: &'a Head, now: Timestamp, realm: &Realm) -> Result<Self, Rejected> {
        let claim = Claim::read(head).map_err(Rejected::unclaimed)?;
        let examined = examine(head, &claim, now, realm).and_then(|service| match claim.form {
            Form::AuthHeader => Ok(service),
            // A URL has no body that could be signed with it.
            Form::QueryString => Err(Reason::PayloadHashMissing),
        });
        match examined {
            Ok(service) => Ok(Self { head, claim, service }),
            Err(reason) => Err(Rejected { key_id: AccessKeyId::parse(claim.key_id).ok(), reason }),
        }
    }

    /// The key that is claimed; nothing of it is proved.
    pub fn claimed_key(&self) -> &str {
        self.claim.key_id
    }

    /// Finds who signed the request with this body.
    pub fn with_body(self, body: &[u8], keyring: &Keyring) -> Result<Signed, Rejected> {
        let key_id = AccessKeyId::parse(self.claim.key_id).ok();
        let digest: [u8; 32] = Sha256::digest(body).into();
        let mut text = Vec::with_capacity(64);
        extend_hex(&mut text, &digest);
        let text = String::from_utf8_lossy(&text);
        // Who sends the hash has to mean this body by it: `UNSIGNED-PAYLOAD` is none.
        let promised = self.head.headers.value("x-amz-content-sha256").unwrap_or(&text);
        let proved = if promised == text {
            let promise = Promise::Digest(digest);
            prove(self.head, &self.claim, key_id.as_ref(), keyring, self.service, promise, &text)
        } else {
            Err(Reason::PayloadHashMalformed)
        };
        proved.map_err(|reason| Rejected { key_id, reason })
    }
}

/// The service that a request claims to be signed for, and where it does so; nothing of it is proved.
pub fn claimed_service(head: &Head) -> Option<(Service, Form)> {
    let claim = Claim::read(head).ok()?;
    let service = Service::ALL.into_iter().find(|service| service.as_str() == claim.scope.service)?;
    Some((service, claim.form))
}

/// What is wrong with a claim, independent of its key.
fn examine(head: &Head, claim: &Claim<'_>, now: Timestamp, realm: &Realm) -> Result<Service, Reason> {
    let service = claim.within(realm)?;
    claim.timely(now)?;
    refuse_session(head)?;
    refuse_unsigned_headers(head, claim, service)?;
    Ok(service)
}

fn prove(
    head: &Head,
    claim: &Claim<'_>,
    key_id: Option<&AccessKeyId>,
    keyring: &Keyring,
    service: Service,
    promise: Promise,
    payload_hash: &str,
) -> Result<Signed, Reason> {
    let text = signed_text(head, claim, payload_hash)?;
    // An unknown key costs the same work, so that time does not tell which ids exist.
    let signer = keyring.signer(key_id, &claim.scope);
    let matches = signer.key.sign(&text).matches(&claim.signature);
    let (Some(key_id), Some((principal, status))) = (key_id, signer.known) else { return Err(Reason::UnknownKey) };
    match status {
        KeyStatus::Inactive => return Err(Reason::InactiveKey),
        KeyStatus::Active if !matches => return Err(Reason::SignatureMismatch),
        KeyStatus::Active => {}
    }
    let chain = || ChunkChain::new(signer.key, &claim.moment, &claim.scope, claim.signature.clone());
    Ok(Signed {
        principal,
        key_id: key_id.clone(),
        form: claim.form,
        service,
        payload: promise.kept(chain),
        signed_at: claim.signed_at,
    })
}

/// No session token is ever issued here; with a code beside it S3 answers differently.
fn refuse_session(head: &Head) -> Result<(), Reason> {
    const TOKEN: &str = "x-amz-security-token";
    let in_query = || head.query.pairs().iter().any(|(key, _)| key.eq_ignore_ascii_case(TOKEN));
    if !head.headers.has(TOKEN) && !in_query() {
        return Ok(());
    }
    Err(if head.headers.has("x-amz-mfa") { Reason::SessionTokenWithMfa } else { Reason::SessionToken })
}

fn refuse_unsigned_headers(head: &Head, claim: &Claim<'_>, service: Service) -> Result<(), Reason> {
    let mut unsigned: Vec<String> = head
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| must_be_signed(name, service) && claim.signed_headers.binary_search(name).is_err())
        .map(str::to_owned)
        .collect();
    if unsigned.is_empty() {
        return Ok(());
    }
    unsigned.sort_unstable();
    Err(Reason::HeadersNotSigned(unsigned))
}

/// Upstreams act on these, so an intermediary must not be able to add one.
fn must_be_signed(name: &str, service: Service) -> bool {
    const CONTROL: [&str; 7] = ["x-amz-", "x-container-", "x-minio-", "x-object-", "x-rgw-", "x-rustfs-", "rgwx-"];
    let reads_its_type = match service {
        Service::CloudTrail | Service::Kms | Service::Logs | Service::Organizations => true,
        // These calls are forms under any content type, and curl leaves it unsigned.
        Service::Ec2 | Service::Iam | Service::Sns | Service::Sts => false,
        // Presigned uploads have a content type that the signer of the URL did not know.
        Service::S3 => false,
    };
    matches!(name, "content-md5" | "host")
        || reads_its_type && name == "content-type"
        || CONTROL.iter().any(|prefix| name.starts_with(prefix))
}

/// The string to sign, from what the client lists as signed.
fn signed_text(head: &Head, claim: &Claim<'_>, payload_hash: &str) -> Result<Vec<u8>, Reason> {
    let headers = claim
        .signed_headers
        .iter()
        .map(|&name| match head.headers.raw(name) {
            Some(value) => Ok((name, value.as_bytes())),
            None => Err(Reason::SignedHeaderAbsent(name.to_owned())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let path = canonical_path(&head.path).ok_or(Reason::Path)?;
    let pairs = head.query.pairs().iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let query = match claim.form {
        Form::AuthHeader => canonical_query(pairs),
        Form::QueryString => canonical_query(pairs.filter(|(key, _)| *key != SIGNATURE_KEY)),
    };
    let request = canonical_request(head.method.as_str(), &path, &query, &headers, payload_hash);
    Ok(string_to_sign(&claim.moment, &claim.scope, &request))
}

#[cfg(test)]
mod doors;
#[cfg(test)]
mod tests;
