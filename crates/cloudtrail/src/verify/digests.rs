//! One digest by itself: its form, its place, and its signature.

use std::time::Duration;

use super::super::digest::{Digest, hash};
use super::super::keys::SIGNATURE_ALGORITHM;
use super::super::layout::Series;
use super::super::logfile::decompress;
use super::super::merkle::Hash;
use super::{Expected, Fault, Files, Metadata, Scope, Walk};
use portcullis_base::clock::Timestamp;

/// A digest's file as it was found.
#[derive(Debug)]
pub struct Found {
    pub key: String,
    pub hash: Hash,
    pub digest: Digest,
    pub metadata: Metadata,
}

/// A digest whose signature is right.
#[derive(Debug)]
pub struct Proven {
    pub key: String,
    pub hash: Hash,
    pub digest: Digest,
    pub signature: Vec<u8>,
}

/// No digest is larger: it names some 100,000 log files.
const LARGEST: usize = 64 << 20;

/// How far a signature's time may lie outside of its key's validity: digests are signed after their window.
const KEY_SLACK: Duration = Duration::from_secs(86_400);

impl<F: Files> Walk<'_, F> {
    /// Reads a digest, and judges its form alone.
    pub fn load(&mut self, key: &str) -> Result<Result<Found, Fault>, F::Error> {
        let Some(file) = self.files.read(key)? else { return Ok(Err(Fault::NotFound)) };
        let read = || {
            let json = decompress(&file.bytes, LARGEST).map_err(Fault::Malformed)?;
            let digest = Digest::parse(&json).map_err(Fault::InvalidDigest)?;
            Ok(Found { key: key.to_owned(), hash: hash(&json), digest, metadata: file.metadata })
        };
        Ok(read())
    }
}

impl Found {
    /// Proves the digest; `after` is the one that follows it, which knows its signature.
    pub fn prove(self, scope: &Scope, end: Timestamp, series: Series, after: Option<&Self>) -> Result<Proven, Fault> {
        let digest = &self.digest;
        let at_home = digest.object == self.key
            && digest.bucket == scope.bucket
            && digest.account == scope.layout.account
            && digest.end == end;
        if !at_home {
            return Err(Fault::Moved);
        }
        let signature = self.signature(scope, after)?;
        let fingerprint = digest.fingerprint;
        let key = scope.keys.iter().find(|key| key.fingerprint() == fingerprint);
        let key = key.ok_or_else(|| Fault::UnknownKey(fingerprint.to_string()))?;
        let message = digest.signing_input(&self.hash);
        key.verify(message.as_bytes(), &signature).map_err(|_| Fault::SignatureInvalid)?;
        let signed = match series {
            Series::Backfill => self.generated()?.unwrap_or(digest.end),
            Series::Standard => digest.end,
        };
        if signed.plus(KEY_SLACK) < key.valid_from || key.valid_to.plus(KEY_SLACK) < signed {
            return Err(Fault::ExpiredKey);
        }
        Ok(Proven { key: self.key, hash: self.hash, digest: self.digest, signature })
    }

    fn signature(&self, scope: &Scope, after: Option<&Self>) -> Result<Vec<u8>, Fault> {
        let metadata = match &self.metadata {
            Metadata::Present(metadata) => metadata,
            Metadata::Lost => return self.signature_kept_elsewhere(scope, after).ok_or(Fault::SignatureMissing),
        };
        let signature = metadata.get("signature").ok_or(Fault::SignatureMissing)?;
        match metadata.get("signature-algorithm").map(String::as_str) {
            Some(SIGNATURE_ALGORITHM) => {}
            other => return Err(Fault::SignatureAlgorithm(other.unwrap_or_default().to_owned())),
        }
        hex::decode(signature).map_err(|_| Fault::SignatureInvalid)
    }

    fn signature_kept_elsewhere(&self, scope: &Scope, after: Option<&Self>) -> Option<Vec<u8>> {
        let previous = after.map(|after| &after.digest.previous);
        let named = previous.filter(|previous| previous.link().is_some_and(|link| link.object == self.key));
        let expected = scope.expected.iter().find_map(|expected| match expected {
            Expected::Head(head) if head.object == self.key => Some(head.signature.as_slice()),
            Expected::Hash(_) | Expected::Head(_) | Expected::HeadAfterRange(_) => None,
        });
        named.and_then(|previous| previous.signature()).or(expected).map(<[u8]>::to_vec)
    }

    /// When a backfill digest was made.
    fn generated(&self) -> Result<Option<Timestamp>, Fault> {
        match &self.metadata {
            Metadata::Lost => Ok(None),
            Metadata::Present(metadata) => {
                let written = metadata.get("backfill-generation-timestamp").ok_or(Fault::NoBackfillTime)?;
                Timestamp::parse_iso_extended(written).map(Some).ok_or(Fault::NoBackfillTime)
            }
        }
    }
}
