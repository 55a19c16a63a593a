//! The ETag and the checksum of bytes as they pass.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use md5::{Digest as _, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto;
use s3s::{S3Result, s3_error};

use super::record::{ChecksumScope, StoredAlgorithm, StoredChecksum};

/// Takes MD5 and one checksum over the same bytes.
pub(crate) struct RunningDigest {
    md5: Md5,
    algorithm: StoredAlgorithm,
    checksum: ChecksumHasher,
}

/// What the bytes came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyDigest {
    pub md5: [u8; 16],
    pub checksum: StoredChecksum,
}

/// What a client says the bytes come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DigestClaims {
    pub md5: Option<String>,
    pub checksum: Option<(StoredAlgorithm, String)>,
}

impl RunningDigest {
    /// Begins with no bytes.
    pub(crate) fn new(algorithm: StoredAlgorithm) -> Self {
        Self { md5: Md5::new(), algorithm, checksum: hasher(algorithm) }
    }

    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksum.update(bytes);
    }

    /// Ends with what the bytes came to.
    pub(crate) fn finish(self) -> BodyDigest {
        let value = base64_of(self.checksum);
        let checksum = StoredChecksum { algorithm: self.algorithm, value, scope: ChecksumScope::FullObject };
        BodyDigest { md5: self.md5.finalize().into(), checksum }
    }
}

impl BodyDigest {
    /// The ETag of an object that came in one piece.
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

impl DigestClaims {
    /// Refuses bytes that are not what the client said.
    pub(crate) fn check(&self, digested: &BodyDigest) -> S3Result<()> {
        if let Some(md5) = &self.md5 {
            match STANDARD.decode(md5) {
                Ok(claimed) if claimed.len() == digested.md5.len() => {
                    if claimed != digested.md5 {
                        return Err(s3_error!(
                            BadDigest,
                            "The Content-MD5 you specified did not match what we received."
                        ));
                    }
                }
                Ok(_) | Err(_) => return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid.")),
            }
        }
        match &self.checksum {
            Some((algorithm, value)) if *value != digested.checksum.value => Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                algorithm.name()
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl StoredAlgorithm {
    /// The algorithms in the order of S3's headers.
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha1, Self::Sha256];

    /// The name S3 gives the algorithm.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header and trailer that carry such a checksum.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Takes the name S3 gives the algorithm.
    pub(crate) fn parse(name: &str) -> S3Result<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or_else(|| {
            s3_error!(
                InvalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, \
                 CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        })
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// The ETag of an object that came in parts of these.
pub(crate) fn etag_of_parts<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = etags.len();
    let mut md5 = Md5::new();
    for etag in etags {
        md5.update(hex::decode(etag).unwrap_or_default());
    }
    format!("{}-{count}", hex::encode(md5.finalize()))
}

/// The checksum of an object that came in parts of these checksums and sizes.
pub(crate) fn checksum_of_parts(
    algorithm: StoredAlgorithm,
    scope: ChecksumScope,
    parts: &[(&StoredChecksum, u64)],
) -> Option<StoredChecksum> {
    if parts.iter().any(|(checksum, _)| checksum.algorithm != algorithm) {
        return None;
    }
    let values = parts.iter().map(|(checksum, size)| Some((STANDARD.decode(&checksum.value).ok()?, *size)));
    let values = values.collect::<Option<Vec<_>>>()?;
    let value = match scope {
        ChecksumScope::Composite => {
            let mut checksum = hasher(algorithm);
            values.iter().for_each(|(value, _)| checksum.update(value));
            format!("{}-{}", base64_of(checksum), values.len())
        }
        ChecksumScope::FullObject => {
            let crc = algorithm.crc()?;
            let mut whole = values.iter().map(|(value, size)| (big_endian(value), value.len(), *size));
            let (first, width, _) = whole.next()?;
            let value = whole.fold(first, |sum, (value, _, size)| checksum_combine(crc, sum, value, size));
            let bytes = value.to_be_bytes();
            STANDARD.encode(bytes.get(bytes.len().checked_sub(width)?..)?)
        }
    };
    Some(StoredChecksum { algorithm, value, scope })
}

/// A checksum in the fields S3's answers have for it.
pub(crate) fn answered(checksum: Option<&StoredChecksum>) -> dto::Checksum {
    let mut answer = dto::Checksum::default();
    let Some(StoredChecksum { algorithm, value, scope }) = checksum else { return answer };
    let value = Some(value.clone());
    match algorithm {
        StoredAlgorithm::Crc32 => answer.checksum_crc32 = value,
        StoredAlgorithm::Crc32c => answer.checksum_crc32c = value,
        StoredAlgorithm::Crc64nvme => answer.checksum_crc64nvme = value,
        StoredAlgorithm::Sha1 => answer.checksum_sha1 = value,
        StoredAlgorithm::Sha256 => answer.checksum_sha256 = value,
    }
    answer.checksum_type = Some(scope.answered());
    answer
}

impl StoredChecksum {
    /// Whether a client claims this value for the object. minio-go leaves the number of parts out of a composite one,
    /// as S3 allows.
    pub(crate) fn is_claimed_as(&self, claim: &str) -> bool {
        let without_count = self.value.rsplit_once('-').map(|(value, _)| value);
        self.value == claim || (self.scope == ChecksumScope::Composite && without_count == Some(claim))
    }
}

impl ChecksumScope {
    /// The name S3 gives the scope.
    pub(crate) fn answered(self) -> dto::ChecksumType {
        dto::ChecksumType::from_static(match self {
            Self::Composite => dto::ChecksumType::COMPOSITE,
            Self::FullObject => dto::ChecksumType::FULL_OBJECT,
        })
    }
}

fn hasher(algorithm: StoredAlgorithm) -> ChecksumHasher {
    let mut hasher = ChecksumHasher::default();
    match algorithm {
        StoredAlgorithm::Crc32 => hasher.crc32 = Some(Crc32::new()),
        StoredAlgorithm::Crc32c => hasher.crc32c = Some(Crc32c::new()),
        StoredAlgorithm::Crc64nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
        StoredAlgorithm::Sha1 => hasher.sha1 = Some(Sha1::new()),
        StoredAlgorithm::Sha256 => hasher.sha256 = Some(Sha256::new()),
    }
    hasher
}

fn base64_of(hasher: ChecksumHasher) -> String {
    let sums = hasher.finalize();
    let sums =
        [sums.checksum_crc32, sums.checksum_crc32c, sums.checksum_crc64nvme, sums.checksum_sha1, sums.checksum_sha256];
    sums.into_iter().flatten().next().unwrap_or_default()
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digested(algorithm: StoredAlgorithm, bytes: &[u8]) -> BodyDigest {
        let mut digest = RunningDigest::new(algorithm);
        digest.update(bytes);
        digest.finish()
    }

    #[test]
    fn the_checksums_are_those_of_the_published_check_values() {
        // The check values of the CRC catalogue, and the digests of FIPS 180, for `123456789`.
        let expected = [
            (StoredAlgorithm::Crc32, "cbf43926"),
            (StoredAlgorithm::Crc32c, "e3069283"),
            (StoredAlgorithm::Crc64nvme, "ae8b14860a799888"),
            (StoredAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (StoredAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ];
        for (algorithm, hexadecimal) in expected {
            let found = digested(algorithm, b"123456789");
            assert_eq!(hex::encode(STANDARD.decode(found.checksum.value).unwrap()), hexadecimal);
            assert_eq!(hex::encode(found.md5), "25f9e794323b453885f5181f1b624d0b");
        }
    }

    #[test]
    fn the_full_object_checksum_of_parts_is_that_of_their_bytes() {
        for algorithm in [StoredAlgorithm::Crc32, StoredAlgorithm::Crc32c, StoredAlgorithm::Crc64nvme] {
            let (whole, one, two) =
                (digested(algorithm, b"123456789"), digested(algorithm, b"1234"), digested(algorithm, b"56789"));
            let parts = [(&one.checksum, 4), (&two.checksum, 5)];
            assert_eq!(checksum_of_parts(algorithm, ChecksumScope::FullObject, &parts), Some(whole.checksum));
        }
        let part = digested(StoredAlgorithm::Sha256, b"1");
        let parts = [(&part.checksum, 1)];
        assert_eq!(checksum_of_parts(StoredAlgorithm::Sha256, ChecksumScope::FullObject, &parts), None);
    }

    #[test]
    fn the_composite_checksum_is_over_the_parts_checksums_and_tells_their_number() {
        let (one, two) = (digested(StoredAlgorithm::Sha256, b"1"), digested(StoredAlgorithm::Sha256, b"2"));
        let both = [one.checksum.value.as_str(), &two.checksum.value].map(|value| STANDARD.decode(value).unwrap());
        let expected = format!("{}-2", digested(StoredAlgorithm::Sha256, &both.concat()).checksum.value);
        let parts = [(&one.checksum, 1), (&two.checksum, 1)];
        let found = checksum_of_parts(StoredAlgorithm::Sha256, ChecksumScope::Composite, &parts).unwrap();
        assert!(found.is_claimed_as(&expected) && found.is_claimed_as(expected.trim_end_matches("-2")));
        assert!(!found.is_claimed_as("AAAA") && !found.is_claimed_as(&expected.replace("-2", "-3")));
        assert_eq!((found.value, found.scope), (expected, ChecksumScope::Composite));
    }

    #[test]
    fn a_claim_that_is_not_met_is_refused() {
        let found = digested(StoredAlgorithm::Crc32, b"123456789");
        let md5 = |text: &str| DigestClaims { md5: Some(text.into()), checksum: None };
        let crc = |text: &str| DigestClaims { md5: None, checksum: Some((StoredAlgorithm::Crc32, text.into())) };
        assert!(md5("JfnnlDI7RTiF9RgfG2JNCw==").check(&found).is_ok());
        assert!(crc("y/Q5Jg==").check(&found).is_ok());
        for (claims, code) in [
            (md5("AAAAAAAAAAAAAAAAAAAAAA=="), "BadDigest"),
            (md5("x"), "InvalidDigest"),
            (crc("AAAAAA=="), "BadDigest"),
        ] {
            assert_eq!(claims.check(&found).unwrap_err().code().as_str(), code);
        }
    }
}
