//! The checksums of S3's `x-amz-checksum-*`, in headers and trailers.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use xxhash_rust::xxh3::Xxh3;
use xxhash_rust::xxh64::Xxh64;

/// The algorithms of S3's `x-amz-checksum-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Md5,
    Sha1,
    Sha256,
    Sha512,
    XxHash128,
    XxHash3,
    XxHash64,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::XxHash128,
        Self::XxHash3,
        Self::XxHash64,
    ];

    /// Whether it is one of the five that S3 stores beside AWS know, too. They ignore or refuse the others,
    /// which are therefore verified here and not sent to them.
    pub fn is_known_to_stores(self) -> bool {
        match self {
            Self::Crc32 | Self::Crc32c | Self::Crc64Nvme | Self::Sha1 | Self::Sha256 => true,
            Self::Md5 | Self::Sha512 | Self::XxHash128 | Self::XxHash3 | Self::XxHash64 => false,
        }
    }

    /// The header, or trailer, that carries it.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Md5 => "x-amz-checksum-md5",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
            Self::XxHash128 => "x-amz-checksum-xxhash128",
            Self::XxHash3 => "x-amz-checksum-xxhash3",
            Self::XxHash64 => "x-amz-checksum-xxhash64",
        }
    }

    /// The algorithm whose header this is, in any case.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// The name in S3's documents and error texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::XxHash128 => "XXHASH128",
            Self::XxHash3 => "XXHASH3",
            Self::XxHash64 => "XXHASH64",
        }
    }

    /// How many letters a header's value has.
    pub fn text_length(self) -> usize {
        self.length().div_ceil(3) * 4
    }

    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::XxHash3 | Self::XxHash64 => 8,
            Self::Md5 | Self::XxHash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// One checksum of a whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    bytes: Vec<u8>,
}

impl Checksum {
    /// Reads a header's value: base64 of the algorithm's length.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        (bytes.len() == algorithm.length()).then_some(Self { algorithm, bytes })
    }

    /// Which checksum it is.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The header's value.
    pub fn text(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

/// A checksum that follows its body: known once the whole body is verified, and before its last bytes go on.
#[derive(Clone, Debug)]
pub struct TrailingChecksum {
    algorithm: ChecksumAlgorithm,
    verified: Arc<OnceLock<Checksum>>,
}

impl TrailingChecksum {
    /// A checksum that is to come.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        Self { algorithm, verified: Arc::default() }
    }

    /// Which checksum it is.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The checksum, once it is known to be the body's.
    pub fn verified(&self) -> Option<&Checksum> {
        self.verified.get()
    }

    /// Says what it is.
    pub fn settle(&self, checksum: Checksum) {
        // A body is verified once.
        drop(self.verified.set(checksum));
    }
}

/// A checksum of the bytes so far.
#[derive(Clone)]
pub struct RunningChecksum {
    algorithm: ChecksumAlgorithm,
    state: ChecksumState,
}

#[derive(Clone)]
enum ChecksumState {
    Crc(crc_fast::Digest),
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
    // Half a kilobyte: boxed, since every other state is small.
    XxHash128(Box<Xxh3>),
    XxHash3(Box<Xxh3>),
    XxHash64(Xxh64),
}

impl std::fmt::Debug for RunningChecksum {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RunningChecksum({})", self.algorithm.as_str())
    }
}

impl RunningChecksum {
    /// A checksum of nothing yet.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match algorithm {
            ChecksumAlgorithm::Crc32 => ChecksumState::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            ChecksumAlgorithm::Crc32c => ChecksumState::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            ChecksumAlgorithm::Crc64Nvme => ChecksumState::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            ChecksumAlgorithm::Md5 => ChecksumState::Md5(Md5::new()),
            ChecksumAlgorithm::Sha1 => ChecksumState::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => ChecksumState::Sha256(Sha256::new()),
            ChecksumAlgorithm::Sha512 => ChecksumState::Sha512(Box::new(Sha512::new())),
            ChecksumAlgorithm::XxHash128 => ChecksumState::XxHash128(Box::new(Xxh3::new())),
            ChecksumAlgorithm::XxHash3 => ChecksumState::XxHash3(Box::new(Xxh3::new())),
            ChecksumAlgorithm::XxHash64 => ChecksumState::XxHash64(Xxh64::new(0)),
        };
        Self { algorithm, state }
    }

    /// Takes further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            ChecksumState::Crc(digest) => digest.update(bytes),
            ChecksumState::Md5(digest) => digest.update(bytes),
            ChecksumState::Sha1(digest) => digest.update(bytes),
            ChecksumState::Sha256(digest) => digest.update(bytes),
            ChecksumState::Sha512(digest) => digest.update(bytes),
            ChecksumState::XxHash128(digest) | ChecksumState::XxHash3(digest) => digest.update(bytes),
            ChecksumState::XxHash64(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all bytes.
    pub fn finish(self) -> Checksum {
        let bytes = match self.state {
            // The last bytes of the big-endian number, as many as the CRC is wide.
            ChecksumState::Crc(digest) => {
                let number = digest.finalize().to_be_bytes();
                number.iter().skip(number.len() - self.algorithm.length()).copied().collect()
            }
            ChecksumState::Md5(digest) => digest.finalize().to_vec(),
            ChecksumState::Sha1(digest) => digest.finalize().to_vec(),
            ChecksumState::Sha256(digest) => digest.finalize().to_vec(),
            ChecksumState::Sha512(digest) => digest.finalize().to_vec(),
            // xxHash's canonical form is big-endian.
            ChecksumState::XxHash128(digest) => digest.digest128().to_be_bytes().to_vec(),
            ChecksumState::XxHash3(digest) => digest.digest().to_be_bytes().to_vec(),
            ChecksumState::XxHash64(digest) => digest.digest().to_be_bytes().to_vec(),
        };
        Checksum { algorithm: self.algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_gives_its_published_check_value() {
        // For `123456789`: the check values of the CRC catalogue, digests as coreutils and xxhsum compute them.
        for (algorithm, expected) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Md5, "25f9e794323b453885f5181f1b624d0b"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
            (
                ChecksumAlgorithm::Sha512,
                "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a\
                 d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
            ),
            (ChecksumAlgorithm::XxHash128, "33119477ede5dcd5e9716427681d5860"),
            (ChecksumAlgorithm::XxHash3, "72dcb18b67a17dff"),
            (ChecksumAlgorithm::XxHash64, "8cb841db40e6ae83"),
        ] {
            let mut running = RunningChecksum::new(algorithm);
            running.update(b"1234");
            running.update(b"56789");
            let checksum = running.finish();
            assert_eq!(hex::encode(&checksum.bytes), expected, "{algorithm:?}");
            assert_eq!(Checksum::parse(algorithm, &checksum.text()), Some(checksum));
        }
    }

    #[test]
    fn a_value_of_the_wrong_length_or_alphabet_is_none() {
        for bad in ["", "AAAA", "AAAAAA", "AAAAAA=", "AAAAAA==-2", "sOO8/Q== ", "sOO8_Q=="] {
            assert_eq!(Checksum::parse(ChecksumAlgorithm::Crc32c, bad), None, "{bad}");
        }
        assert!(Checksum::parse(ChecksumAlgorithm::Crc32c, "sOO8/Q==").is_some());
    }

    #[test]
    fn every_header_leads_back_to_its_algorithm() {
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(ChecksumAlgorithm::of_header(algorithm.header()), Some(algorithm));
        }
        assert_eq!(ChecksumAlgorithm::of_header("x-amz-checksum-type"), None);
    }
}
