//! Whether a request was signed by the holder of a key.

use sha2::{Digest, Sha256};

use super::canonical::{SigningKey, canonical_path, canonical_query, canonical_request, extend_hex, string_to_sign};
use super::claim::{SIGNATURE_KEY, SignatureClaim};
use super::keyring::ClaimedSigner;
use super::payload::{ChunkChain, DeclaredPayload};
use super::session::{LONGEST_TOKEN, SigningCredentials};
use super::{
    AcceptedScope, AwsService, KeyStatus, Keyring, PayloadMode, Principal, SignatureFault, SignatureForm,
    SignatureRejection,
};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_http::RequestHead;

/// A request whose signature is right.
#[derive(Clone, Debug)]
pub struct VerifiedRequest {
    pub principal: Principal,
    pub key_id: AccessKeyId,
    pub form: SignatureForm,
    pub credentials: SigningCredentials,
    pub service: AwsService,
    /// What the signature promises of the body; the reader of the body has to check it.
    pub payload: PayloadMode,
    pub signed_at: Timestamp,
}

/// A request whose signature covers its body by the body's own hash, so that it is judged when that is there.
#[derive(Debug)]
pub struct UnverifiedCall<'a> {
    head: &'a RequestHead,
    claim: SignatureClaim<'a>,
    service: AwsService,
    now: Timestamp,
}

/// Finds who signed a request, or why the signature is not accepted.
// INVARIANT (signed control headers): of the headers that decide anything, each that is there is signed.
pub fn verify(
    head: &RequestHead,
    keyring: &Keyring,
    now: Timestamp,
    accepted_scope: &AcceptedScope,
) -> Result<VerifiedRequest, SignatureRejection> {
    let claim = SignatureClaim::read(head).map_err(SignatureRejection::unclaimed)?;
    let key_id = AccessKeyId::parse(claim.key_id).ok();
    let examined = examine(head, &claim, now, accepted_scope).and_then(|service| {
        let (promise, payload_hash) = DeclaredPayload::read(head, claim.form, accepted_scope.unsigned_payload)?;
        prove(head, &claim, ClaimedKey { id: key_id.as_ref(), keyring, now }, service, promise, payload_hash)
    });
    examined.map_err(|reason| SignatureRejection { key_id, reason })
}

impl<'a> UnverifiedCall<'a> {
    /// Accepts a claim before the body has arrived, unless it is wrong with any body.
    pub fn read(
        head: &'a RequestHead,
        now: Timestamp,
        accepted_scope: &AcceptedScope,
    ) -> Result<Self, SignatureRejection> {
        let claim = SignatureClaim::read(head).map_err(SignatureRejection::unclaimed)?;
        let examined = examine(head, &claim, now, accepted_scope).and_then(|service| match claim.form {
            SignatureForm::AuthHeader => Ok(service),
            // A URL has no body that could be signed with it.
            SignatureForm::QueryString => Err(SignatureFault::PayloadHashMissing),
        });
        match examined {
            Ok(service) => Ok(Self { head, claim, service, now }),
            Err(reason) => Err(SignatureRejection { key_id: AccessKeyId::parse(claim.key_id).ok(), reason }),
        }
    }

    /// The key that is claimed; nothing of it is proved.
    pub fn claimed_key(&self) -> &str {
        self.claim.key_id
    }

    /// Finds who signed the request with this body.
    pub fn with_body(self, body: &[u8], keyring: &Keyring) -> Result<VerifiedRequest, SignatureRejection> {
        let key_id = AccessKeyId::parse(self.claim.key_id).ok();
        let digest: [u8; 32] = Sha256::digest(body).into();
        let mut text = Vec::with_capacity(64);
        extend_hex(&mut text, &digest);
        let text = String::from_utf8_lossy(&text);
        // Who sends the hash has to mean this body by it: `UNSIGNED-PAYLOAD` is none.
        let promised = self.head.headers.value("x-amz-content-sha256").unwrap_or(&text);
        let proved = if promised == text {
            let promise = DeclaredPayload::Digest(digest);
            let key = ClaimedKey { id: key_id.as_ref(), keyring, now: self.now };
            prove(self.head, &self.claim, key, self.service, promise, &text)
        } else {
            Err(SignatureFault::PayloadHashMalformed)
        };
        proved.map_err(|reason| SignatureRejection { key_id, reason })
    }
}

/// The service that a request claims to be signed for, and where it does so; nothing of it is proved.
pub fn claimed_service(head: &RequestHead) -> Option<(AwsService, SignatureForm)> {
    let claim = SignatureClaim::read(head).ok()?;
    let service = AwsService::ALL.into_iter().find(|service| service.as_str() == claim.scope.service)?;
    Some((service, claim.form))
}

/// What is wrong with a claim, independent of its key.
fn examine(
    head: &RequestHead,
    claim: &SignatureClaim<'_>,
    now: Timestamp,
    accepted_scope: &AcceptedScope,
) -> Result<AwsService, SignatureFault> {
    let service = claim.within(accepted_scope)?;
    claim.timely(now)?;
    session_token(head, claim.form)?;
    refuse_unsigned_headers(head, claim, service)?;
    Ok(service)
}

/// The key that is claimed, and where it would be found.
#[derive(Clone, Copy)]
struct ClaimedKey<'a> {
    id: Option<&'a AccessKeyId>,
    keyring: &'a Keyring,
    now: Timestamp,
}

impl ClaimedKey<'_> {
    /// The signer of a long-term key, or that of a session by its token.
    fn signer(
        self,
        head: &RequestHead,
        claim: &SignatureClaim<'_>,
    ) -> Result<(ClaimedSigner, SigningCredentials), SignatureFault> {
        match session_token(head, claim.form)? {
            // An unknown key costs the same work, so that time does not tell which ids exist.
            None => Ok((self.keyring.signer(self.id, &claim.scope), SigningCredentials::LongTerm)),
            Some(token) => {
                let session = self.keyring.session(self.id, token, self.now)?;
                let key = SigningKey::derive(&session.secret, &claim.scope);
                let known = Some((session.holder, KeyStatus::Active));
                Ok((ClaimedSigner { key, known }, SigningCredentials::Session(session.facts)))
            }
        }
    }
}

fn prove(
    head: &RequestHead,
    claim: &SignatureClaim<'_>,
    claimed: ClaimedKey<'_>,
    service: AwsService,
    promise: DeclaredPayload,
    payload_hash: &str,
) -> Result<VerifiedRequest, SignatureFault> {
    let text = signed_text(head, claim, payload_hash)?;
    let (signer, credentials) = claimed.signer(head, claim)?;
    let matches = signer.key.sign(&text).matches(&claim.signature);
    let (Some(key_id), Some((principal, status))) = (claimed.id, signer.known) else {
        return Err(SignatureFault::UnknownKey);
    };
    match status {
        KeyStatus::Inactive => return Err(SignatureFault::InactiveKey),
        KeyStatus::Active if !matches => return Err(SignatureFault::SignatureMismatch),
        KeyStatus::Active => {}
    }
    let chain = || ChunkChain::new(signer.key, &claim.moment, &claim.scope, claim.signature.clone());
    Ok(VerifiedRequest {
        principal,
        key_id: key_id.clone(),
        form: claim.form,
        credentials,
        service,
        payload: promise.kept(chain),
        signed_at: claim.signed_at,
    })
}

/// The session token, where one belongs: in the header of a signature in a header, in the query of one in the query. Both
/// are signed: each `x-amz-` header has to be, and a query always is. With a code beside it S3 answers differently.
fn session_token(head: &RequestHead, form: SignatureForm) -> Result<Option<&str>, SignatureFault> {
    const HEADER: &str = "x-amz-security-token";
    const QUERY_KEY: &str = "X-Amz-Security-Token";
    let mut in_query = head.query.pairs().iter().filter(|(key, _)| key.eq_ignore_ascii_case(HEADER));
    let (in_query, more) = (in_query.next(), in_query.next());
    if in_query.is_none() && !head.headers.has(HEADER) {
        return Ok(None);
    }
    if head.headers.has("x-amz-mfa") {
        return Err(SignatureFault::SessionTokenWithMfa);
    }
    let token = match (form, head.headers.value(HEADER), in_query) {
        (SignatureForm::AuthHeader, Some(token), None) => Some(token),
        (SignatureForm::QueryString, None, Some((key, token))) if key == QUERY_KEY && more.is_none() => {
            Some(token.as_str())
        }
        (SignatureForm::AuthHeader | SignatureForm::QueryString, _, _) => None,
    };
    token.filter(|token| token.len() <= LONGEST_TOKEN).map(Some).ok_or(SignatureFault::SessionToken)
}

fn refuse_unsigned_headers(
    head: &RequestHead,
    claim: &SignatureClaim<'_>,
    service: AwsService,
) -> Result<(), SignatureFault> {
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
    Err(SignatureFault::HeadersNotSigned(unsigned))
}

/// Upstreams act on these, so an intermediary must not be able to add one.
fn must_be_signed(name: &str, service: AwsService) -> bool {
    const CONTROL: [&str; 7] = ["x-amz-", "x-container-", "x-minio-", "x-object-", "x-rgw-", "x-rustfs-", "rgwx-"];
    let reads_its_type = match service {
        AwsService::CloudTrail | AwsService::Kms | AwsService::Logs | AwsService::Organizations => true,
        // These calls are forms under any content type, and curl leaves it unsigned.
        AwsService::Ec2 | AwsService::Iam | AwsService::Sns | AwsService::Sts => false,
        // Presigned uploads have a content type that the signer of the URL did not know.
        AwsService::S3 => false,
    };
    // CloudFront adds it to what it passes on, and it ends here on every operation.
    if name == "x-amz-cf-id" {
        return false;
    }
    matches!(name, "content-md5" | "host")
        || reads_its_type && name == "content-type"
        || CONTROL.iter().any(|prefix| name.starts_with(prefix))
}

/// The string to sign, from what the client lists as signed.
fn signed_text(head: &RequestHead, claim: &SignatureClaim<'_>, payload_hash: &str) -> Result<Vec<u8>, SignatureFault> {
    let headers = claim
        .signed_headers
        .iter()
        .map(|&name| match head.headers.raw(name) {
            Some(value) => Ok((name, value.as_bytes())),
            None => Err(SignatureFault::SignedHeaderAbsent(name.to_owned())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let path = canonical_path(&head.path).ok_or(SignatureFault::Path)?;
    let pairs = head.query.pairs().iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let query = match claim.form {
        SignatureForm::AuthHeader => canonical_query(pairs),
        SignatureForm::QueryString => canonical_query(pairs.filter(|(key, _)| *key != SIGNATURE_KEY)),
    };
    let request = canonical_request(head.method.as_str(), &path, &query, &headers, payload_hash);
    Ok(string_to_sign(&claim.moment, &claim.scope, &request))
}

#[cfg(test)]
mod doors;
#[cfg(test)]
mod tests;
