//! The checksums of S3's `x-amz-checksum-*`, in headers and trailers.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The algorithms S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The header, or trailer, that carries it.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
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
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// How many letters a header's value has.
    pub fn text_length(self) -> usize {
        self.length().div_ceil(3) * 4
    }

    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
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
pub struct Trailing {
    algorithm: ChecksumAlgorithm,
    verified: Arc<OnceLock<Checksum>>,
}

impl Trailing {
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
#[derive(Clone, Debug)]
pub struct RunningChecksum {
    algorithm: ChecksumAlgorithm,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl RunningChecksum {
    /// A checksum of nothing yet.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match algorithm {
            ChecksumAlgorithm::Crc32 => State::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            ChecksumAlgorithm::Crc32c => State::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            ChecksumAlgorithm::Crc64Nvme => State::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            ChecksumAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    /// Takes further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(digest) => digest.update(bytes),
            State::Sha1(digest) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all bytes.
    pub fn finish(self) -> Checksum {
        let bytes = match self.state {
            // The last bytes of the big-endian number, as many as the CRC is wide.
            State::Crc(digest) => {
                let number = digest.finalize().to_be_bytes();
                number.iter().skip(number.len() - self.algorithm.length()).copied().collect()
            }
            State::Sha1(digest) => digest.finalize().to_vec(),
            State::Sha256(digest) => digest.finalize().to_vec(),
        };
        Checksum { algorithm: self.algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_gives_its_published_check_value() {
        // The check values of the CRC catalogue, and of FIPS 180 computed with coreutils, for `123456789`.
        for (algorithm, expected) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
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
