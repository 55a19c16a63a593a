//! What a client says of its signature, in the `Authorization` header or in a presigned URL.

use std::borrow::Cow;
use std::time::Duration;

use super::canonical::{ALGORITHM, CredentialScope, Signature};
use super::{AcceptedScope, AwsService, ClaimFault, SignatureFault, SignatureForm};
use portcullis_base::clock::Timestamp;
use portcullis_http::RequestHead;

/// What a client says of its signature; nothing of it is proved yet.
#[derive(Debug)]
pub(super) struct SignatureClaim<'a> {
    pub form: SignatureForm,
    pub key_id: &'a str,
    pub scope: CredentialScope<'a>,
    /// When the request was signed, as the string to sign writes it.
    pub moment: Cow<'a, str>,
    pub signature: Signature,
    pub signed_at: Timestamp,
    /// The names of the signed headers, in lower case and sorted.
    pub signed_headers: Vec<&'a str>,
    /// How long a presigned URL is good.
    lifetime: Option<Duration>,
}

/// How far clocks may be apart, as S3 has it.
const LARGEST_SKEW: Duration = Duration::from_secs(15 * 60);

/// A week, the longest life of a presigned URL.
const LONGEST_LIFETIME: u64 = 604_800;

const ALGORITHM_KEY: &str = "X-Amz-Algorithm";
const CREDENTIAL_KEY: &str = "X-Amz-Credential";
const DATE_KEY: &str = "X-Amz-Date";
const EXPIRES_KEY: &str = "X-Amz-Expires";
const SIGNED_HEADERS_KEY: &str = "X-Amz-SignedHeaders";

/// The query key that the signature itself cannot cover.
pub(super) const SIGNATURE_KEY: &str = "X-Amz-Signature";

const PRESIGNED_KEYS: [&str; 6] =
    [ALGORITHM_KEY, CREDENTIAL_KEY, DATE_KEY, EXPIRES_KEY, SIGNED_HEADERS_KEY, SIGNATURE_KEY];

impl<'a> SignatureClaim<'a> {
    /// Reads the one claim a request makes.
    pub(super) fn read(head: &'a RequestHead) -> Result<Self, SignatureFault> {
        // The wire stage lets no value pass that is not readable.
        let header = head.headers.raw("authorization").map(|value| value.to_str().unwrap_or(""));
        // Another spelling of these keys is a malformed claim rather than none.
        let presigned = has_key(head, |key| PRESIGNED_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)));
        let version_2 = has_key(head, |key| matches!(key, "AWSAccessKeyId" | "Signature"));
        match (header, presigned, version_2) {
            (None, false, false) => Err(SignatureFault::Anonymous),
            (Some(text), false, false) => Self::read_header(head, text),
            (None, true, false) => Self::read_query(head),
            (None, false, true) => Err(SignatureFault::SigV2),
            _ => Err(SignatureFault::SeveralMechanisms),
        }
    }

    fn read_header(head: &'a RequestHead, text: &'a str) -> Result<Self, SignatureFault> {
        let (scheme, fields) = text.split_once(' ').unwrap_or((text, ""));
        match scheme {
            ALGORITHM => {}
            "AWS" => return Err(SignatureFault::SigV2),
            "AWS4-ECDSA-P256-SHA256" => return Err(SignatureFault::SigV4A),
            _ => return Err(SignatureFault::UnknownScheme),
        }
        let claim = |fault| SignatureFault::Claim { form: SignatureForm::AuthHeader, fault };
        let fields = AuthorizationFields::read(fields).map_err(claim)?;
        let (key_id, scope) = read_credential(fields.credential).map_err(claim)?;
        let signed_headers = read_signed_headers(fields.signed_headers).map_err(claim)?;
        let signature = Signature::parse(fields.signature).ok_or(claim(ClaimFault::Signature))?;
        let (signed_at, moment) = read_date(head).ok_or(SignatureFault::DateMissing)?;
        Ok(Self {
            form: SignatureForm::AuthHeader,
            key_id,
            scope,
            moment,
            signature,
            signed_at,
            signed_headers,
            lifetime: None,
        })
    }

    fn read_query(head: &'a RequestHead) -> Result<Self, SignatureFault> {
        let claim = |fault| SignatureFault::Claim { form: SignatureForm::QueryString, fault };
        let value = |key| head.query.value(key).ok_or(claim(ClaimFault::Missing(key)));
        match value(ALGORITHM_KEY)? {
            ALGORITHM => {}
            "AWS4-ECDSA-P256-SHA256" => return Err(SignatureFault::SigV4A),
            _ => return Err(claim(ClaimFault::Algorithm)),
        }
        let (key_id, scope) = read_credential(value(CREDENTIAL_KEY)?).map_err(claim)?;
        let signed_headers = read_signed_headers(value(SIGNED_HEADERS_KEY)?).map_err(claim)?;
        let signature = Signature::parse(value(SIGNATURE_KEY)?).ok_or(claim(ClaimFault::Signature))?;
        let moment = value(DATE_KEY)?;
        let signed_at = Timestamp::parse_iso_basic(moment).ok_or(claim(ClaimFault::Date))?;
        let lifetime = Some(read_lifetime(value(EXPIRES_KEY)?).map_err(claim)?);
        Ok(Self {
            form: SignatureForm::QueryString,
            key_id,
            scope,
            moment: moment.into(),
            signature,
            signed_at,
            signed_headers,
            lifetime,
        })
    }

    /// The service the scope names, if its region and service are ours and its day is the request's.
    pub(super) fn within(&self, accepted_scope: &AcceptedScope) -> Result<AwsService, SignatureFault> {
        let claim = |fault| SignatureFault::Claim { form: self.form, fault };
        if self.scope.region != accepted_scope.region {
            let (claimed, expected) = (self.scope.region.to_owned(), accepted_scope.region.clone());
            return Err(claim(ClaimFault::Region { claimed, expected }));
        }
        let service = accepted_scope.services.iter().find(|service| service.as_str() == self.scope.service);
        let service = service.ok_or_else(|| claim(ClaimFault::Service { claimed: self.scope.service.to_owned() }))?;
        if self.moment.get(..8) != Some(self.scope.date) {
            return Err(SignatureFault::ScopeDate);
        }
        Ok(*service)
    }

    /// Whether the claim is of about now, or of a presigned URL's lifetime.
    pub(super) fn timely(&self, now: Timestamp) -> Result<(), SignatureFault> {
        let signed_at = self.signed_at;
        let Some(lifetime) = self.lifetime else {
            return if signed_at.distance(now) > LARGEST_SKEW {
                Err(SignatureFault::Skewed { signed_at, now })
            } else {
                Ok(())
            };
        };
        if signed_at > now.plus(LARGEST_SKEW) {
            return Err(SignatureFault::NotYetValid { signed_at, now });
        }
        let at = signed_at.plus(lifetime);
        if now > at {
            return Err(SignatureFault::Expired { at, lifetime_seconds: lifetime.as_secs(), now });
        }
        Ok(())
    }
}

fn has_key(head: &RequestHead, matches: impl Fn(&str) -> bool) -> bool {
    head.query.pairs().iter().any(|(key, _)| matches(key))
}

/// The three fields of the header's value.
struct AuthorizationFields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> AuthorizationFields<'a> {
    fn read(text: &'a str) -> Result<Self, ClaimFault> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in text.split(',') {
            let (name, value) = field.trim_matches(' ').split_once('=').ok_or(ClaimFault::UnknownField)?;
            let (name, place) = match name {
                "Credential" => ("Credential", &mut credential),
                "SignedHeaders" => ("SignedHeaders", &mut signed_headers),
                "Signature" => ("Signature", &mut signature),
                _ => return Err(ClaimFault::UnknownField),
            };
            if place.replace(value).is_some() {
                return Err(ClaimFault::Repeated(name));
            }
        }
        Ok(Self {
            credential: credential.ok_or(ClaimFault::Missing("Credential"))?,
            signed_headers: signed_headers.ok_or(ClaimFault::Missing("SignedHeaders"))?,
            signature: signature.ok_or(ClaimFault::Missing("Signature"))?,
        })
    }
}

fn read_credential(text: &str) -> Result<(&str, CredentialScope<'_>), ClaimFault> {
    let mut parts = text.split('/');
    let mut part = || parts.next().ok_or(ClaimFault::Credential);
    let (key_id, date, region, service, terminator) = (part()?, part()?, part()?, part()?, part()?);
    let day = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || key_id.is_empty() || !day {
        return Err(ClaimFault::Credential);
    }
    if terminator != "aws4_request" {
        return Err(ClaimFault::Terminator);
    }
    Ok((key_id, CredentialScope { date, region, service }))
}

/// Takes a list that is in its one canonical form, so that it names no header twice and none in two ways.
fn read_signed_headers(text: &str) -> Result<Vec<&str>, ClaimFault> {
    let token = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !matches!(byte, b':' | b',' | b'=');
    let names: Vec<&str> = text.split(';').collect();
    let canonical = names.iter().all(|name| !name.is_empty() && name.bytes().all(token));
    if canonical && names.is_sorted_by(|a, b| a < b) { Ok(names) } else { Err(ClaimFault::SignedHeaders) }
}

fn read_lifetime(text: &str) -> Result<Duration, ClaimFault> {
    let seconds = text.strip_prefix('-').unwrap_or(text);
    if seconds.is_empty() || !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ClaimFault::ExpiresMalformed);
    }
    match text.parse() {
        Ok(seconds @ 1..=LONGEST_LIFETIME) => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err(ClaimFault::ExpiresOutOfRange),
    }
}

/// When a request with a header claim was signed; an `x-amz-date` that cannot be read is not replaced by `Date`.
fn read_date(head: &RequestHead) -> Option<(Timestamp, Cow<'_, str>)> {
    if let Some(value) = head.headers.raw("x-amz-date") {
        let text = value.to_str().ok()?;
        return Some((Timestamp::parse_iso_basic(text)?, text.into()));
    }
    let text = head.headers.value("date")?;
    match Timestamp::parse_iso_basic(text) {
        Some(moment) => Some((moment, text.into())),
        None => Timestamp::parse_http_date(text).map(|moment| (moment, moment.iso_basic().into())),
    }
}
