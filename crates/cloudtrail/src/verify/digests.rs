//! One digest by itself: its form, its place, and its signature.

use std::time::Duration;

use super::super::digest::{TrailDigest, hash};
use super::super::keys::SIGNATURE_ALGORITHM;
use super::super::layout::DigestSeries;
use super::super::logfile::decompress;
use super::super::merkle::Sha256Hash;
use super::{ChainWalk, ExpectedDigest, FileMetadata, TrailFiles, ValidationFault, ValidationScope};
use portcullis_base::clock::Timestamp;

/// A digest's file as it was found.
#[derive(Debug)]
pub(super) struct FoundDigest {
    pub key: String,
    pub hash: Sha256Hash,
    pub digest: TrailDigest,
    pub metadata: FileMetadata,
}

/// A digest whose signature is right.
#[derive(Debug)]
pub(super) struct ProvenDigest {
    pub key: String,
    pub hash: Sha256Hash,
    pub digest: TrailDigest,
    pub signature: Vec<u8>,
}

/// No digest is larger: it names some 100,000 log files.
const LARGEST: usize = 64 << 20;

/// How far a signature's time may lie outside of its key's validity: digests are signed after their window.
const KEY_SLACK: Duration = Duration::from_secs(86_400);

impl<F: TrailFiles> ChainWalk<'_, F> {
    /// Reads a digest, and judges its form alone.
    pub(super) fn load(&mut self, key: &str) -> Result<Result<FoundDigest, ValidationFault>, F::Error> {
        let Some(file) = self.files.read(key)? else { return Ok(Err(ValidationFault::NotFound)) };
        let read = || {
            let json = decompress(&file.bytes, LARGEST).map_err(ValidationFault::Malformed)?;
            let digest = TrailDigest::parse(&json).map_err(ValidationFault::InvalidDigest)?;
            Ok(FoundDigest { key: key.to_owned(), hash: hash(&json), digest, metadata: file.metadata })
        };
        Ok(read())
    }
}

impl FoundDigest {
    /// Proves the digest; `after` is the one that follows it, which knows its signature.
    pub(super) fn prove(
        self,
        scope: &ValidationScope,
        end: Timestamp,
        series: DigestSeries,
        after: Option<&Self>,
    ) -> Result<ProvenDigest, ValidationFault> {
        let digest = &self.digest;
        let at_home = digest.object == self.key
            && digest.bucket == scope.bucket
            && digest.account == scope.layout.account
            && digest.end == end;
        if !at_home {
            return Err(ValidationFault::Moved);
        }
        let signature = self.signature(scope, after)?;
        let fingerprint = digest.fingerprint;
        let key = scope.keys.iter().find(|key| key.fingerprint() == fingerprint);
        let key = key.ok_or_else(|| ValidationFault::UnknownKey(fingerprint.to_string()))?;
        let message = digest.signing_input(&self.hash);
        key.verify(message.as_bytes(), &signature).map_err(|_| ValidationFault::SignatureInvalid)?;
        let signed = match series {
            DigestSeries::Backfill => self.generated()?.unwrap_or(digest.end),
            DigestSeries::Standard => digest.end,
        };
        if signed.plus(KEY_SLACK) < key.valid_from || key.valid_to.plus(KEY_SLACK) < signed {
            return Err(ValidationFault::ExpiredKey);
        }
        Ok(ProvenDigest { key: self.key, hash: self.hash, digest: self.digest, signature })
    }

    fn signature(&self, scope: &ValidationScope, after: Option<&Self>) -> Result<Vec<u8>, ValidationFault> {
        let metadata = match &self.metadata {
            FileMetadata::Present(metadata) => metadata,
            FileMetadata::Lost => {
                return self.signature_kept_elsewhere(scope, after).ok_or(ValidationFault::SignatureMissing);
            }
        };
        let signature = metadata.get("signature").ok_or(ValidationFault::SignatureMissing)?;
        match metadata.get("signature-algorithm").map(String::as_str) {
            Some(SIGNATURE_ALGORITHM) => {}
            other => return Err(ValidationFault::SignatureAlgorithm(other.unwrap_or_default().to_owned())),
        }
        hex::decode(signature).map_err(|_| ValidationFault::SignatureInvalid)
    }

    fn signature_kept_elsewhere(&self, scope: &ValidationScope, after: Option<&Self>) -> Option<Vec<u8>> {
        let previous = after.map(|after| &after.digest.previous);
        let named = previous.filter(|previous| previous.link().is_some_and(|link| link.object == self.key));
        let expected = scope.expected.iter().find_map(|expected| match expected {
            ExpectedDigest::Head(head) if head.object == self.key => Some(head.signature.as_slice()),
            ExpectedDigest::Hash(_) | ExpectedDigest::Head(_) | ExpectedDigest::HeadAfterRange(_) => None,
        });
        named.and_then(|previous| previous.signature()).or(expected).map(<[u8]>::to_vec)
    }

    /// When a backfill digest was made.
    fn generated(&self) -> Result<Option<Timestamp>, ValidationFault> {
        match &self.metadata {
            FileMetadata::Lost => Ok(None),
            FileMetadata::Present(metadata) => {
                let written = metadata.get("backfill-generation-timestamp").ok_or(ValidationFault::NoBackfillTime)?;
                Timestamp::parse_iso_extended(written).map(Some).ok_or(ValidationFault::NoBackfillTime)
            }
        }
    }
}
