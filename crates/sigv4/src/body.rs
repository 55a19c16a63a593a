//! What every kind of body has in common: promises to hold it to, and a last piece that waits for them.

use std::collections::VecDeque;

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::{Checksum, ChecksumAlgorithm, RunningChecksum};

/// Why a body is not what was promised; it aborts the upload.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PayloadFault {
    /// 400 IncompleteBody.
    #[error("bytes follow the end of the body")]
    AfterEnd,
    /// 400 BadDigest, `The CRC32 you specified did not match the calculated checksum.`
    #[error("the {} of the body is not the promised one", .0.as_str())]
    Checksum(ChecksumAlgorithm),
    /// 400 IncompleteBody.
    #[error("the framing of a chunk is malformed")]
    ChunkMalformed,
    /// 403 SignatureDoesNotMatch.
    #[error("the signature of a chunk does not match")]
    ChunkSignature,
    /// 400 InvalidRequest.
    #[error("a signed chunk is larger than 67108864 bytes")]
    ChunkTooLarge,
    /// 400 BadDigest, `The Content-MD5 you specified did not match what we received.`
    #[error("the MD5 of the body is not the promised one")]
    ContentMd5,
    /// 400 XAmzContentSHA256Mismatch.
    #[error("the SHA-256 of the body is not the promised one")]
    ContentSha256,
    /// 400 IncompleteBody.
    #[error("the body is shorter than promised")]
    TooShort,
    /// 400 IncompleteBody.
    #[error("the body is longer than promised")]
    TooLong,
    /// 400 MalformedTrailerError.
    #[error("the trailer is not the announced one")]
    TrailerMalformed,
    /// 403 SignatureDoesNotMatch.
    #[error("the signature of the trailer does not match")]
    TrailerSignature,
}

/// What headers promise of a body beyond the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredChecksums {
    /// `Content-MD5`.
    pub content_md5: Option<[u8; 16]>,
    /// `x-amz-checksum-*`.
    pub checksum: Option<Checksum>,
}

/// The digests of a body so far, with what they have to be.
#[derive(Debug)]
pub(super) struct PayloadChecks {
    content_sha256: Option<(Sha256, [u8; 32])>,
    content_md5: Option<(Md5, [u8; 16])>,
    checksum: Option<(RunningChecksum, Checksum)>,
}

impl PayloadChecks {
    pub(super) fn new(content_sha256: Option<[u8; 32]>, promises: DeclaredChecksums) -> Self {
        Self {
            content_sha256: content_sha256.map(|digest| (Sha256::new(), digest)),
            content_md5: promises.content_md5.map(|digest| (Md5::new(), digest)),
            checksum: promises.checksum.map(|checksum| (RunningChecksum::new(checksum.algorithm()), checksum)),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some((running, _)) = &mut self.content_sha256 {
            running.update(bytes);
        }
        if let Some((running, _)) = &mut self.content_md5 {
            running.update(bytes);
        }
        if let Some((running, _)) = &mut self.checksum {
            running.update(bytes);
        }
    }

    /// Holds the digests of the whole body against the promised ones.
    pub(super) fn finish(&mut self) -> Result<Option<Checksum>, PayloadFault> {
        if let Some((running, promised)) = self.content_sha256.take()
            && !bool::from(running.finalize().as_slice().ct_eq(&promised))
        {
            return Err(PayloadFault::ContentSha256);
        }
        if let Some((running, promised)) = self.content_md5.take()
            && running.finalize().as_slice() != promised
        {
            return Err(PayloadFault::ContentMd5);
        }
        let Some((running, promised)) = self.checksum.take() else { return Ok(None) };
        if running.finish() != promised {
            return Err(PayloadFault::Checksum(promised.algorithm()));
        }
        Ok(Some(promised))
    }
}

/// The decoded bytes on their way out.
// INVARIANT (last byte): the slice that holds the body's last byte leaves only through `release`,
// so that an upload of known length cannot be complete upstream before all of it is verified.
#[derive(Debug)]
pub(super) struct PayloadOutlet {
    ready: VecDeque<Bytes>,
    /// How many of the promised bytes have not come yet.
    owed: u64,
    last: Option<Bytes>,
}

impl PayloadOutlet {
    pub(super) fn new(length: u64) -> Self {
        Self { ready: VecDeque::new(), owed: length, last: None }
    }

    /// How many of the promised bytes have not come yet.
    pub(super) fn owed(&self) -> u64 {
        self.owed
    }

    /// Takes the next decoded bytes.
    pub(super) fn give(&mut self, bytes: Bytes) -> Result<(), PayloadFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = u64::try_from(bytes.len()).map_err(|_| PayloadFault::TooLong)?;
        self.owed = self.owed.checked_sub(length).ok_or(PayloadFault::TooLong)?;
        if self.owed == 0 {
            self.last = Some(bytes);
        } else {
            self.ready.push_back(bytes);
        }
        Ok(())
    }

    /// Hands out the next bytes that may go on.
    pub(super) fn pull(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Lets the last bytes go, once everything is verified.
    pub(super) fn release(&mut self) {
        self.ready.extend(self.last.take());
    }

    /// Lets nothing go any more.
    pub(super) fn discard(&mut self) {
        self.ready.clear();
        self.last = None;
    }
}
