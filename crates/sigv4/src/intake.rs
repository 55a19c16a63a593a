//! A body coming in, held to its promises while it passes.

use bytes::Bytes;

use super::body::{PayloadChecks, PayloadOutlet};
use super::chunked::ChunkedDecoder;
use super::{Checksum, DeclaredChecksums, PayloadFault, PayloadMode, TrailingChecksum};
use portcullis_http::BodyInspector;

/// A body coming in: `push` what the client sends, `pull` what may go on, `finish` when the client is done.
///
/// What is pulled are slices of what was pushed. The sender announces [`PayloadVerifier::length`] beforehand;
/// the last slice is held back until `finish` has verified everything, so that a forged body stays incomplete.
/// A body of no bytes has no last slice: it has to be finished before its request is sent on.
#[derive(Debug)]
pub struct PayloadVerifier {
    length: u64,
    kind: PayloadFraming,
    state: VerifierState,
    trailing: Option<TrailingChecksum>,
}

#[derive(Debug)]
enum PayloadFraming {
    Chunked(Box<ChunkedDecoder>),
    Plain(Box<PlainPayload>),
}

#[derive(Clone, Copy, Debug)]
enum VerifierState {
    Failed(PayloadFault),
    Finished,
    Open,
}

impl PayloadVerifier {
    /// Begins a body whose client promised `payload` and announced `content_length` bytes on the wire.
    pub fn new(payload: PayloadMode, content_length: u64, promises: DeclaredChecksums) -> Self {
        let plain =
            |digest, promises| PayloadFraming::Plain(Box::new(PlainPayload::new(content_length, digest, promises)));
        let trailing = match &payload {
            // A checksum in the head goes on with the head.
            PayloadMode::Chunked(chunks) if promises.checksum.is_none() => chunks.trailer.map(TrailingChecksum::new),
            PayloadMode::Chunked(_) | PayloadMode::Digest(_) | PayloadMode::Unsigned => None,
        };
        let (length, kind) = match payload {
            PayloadMode::Chunked(chunks) => {
                (chunks.decoded_length, PayloadFraming::Chunked(Box::new(ChunkedDecoder::new(chunks, promises))))
            }
            PayloadMode::Digest(digest) => (content_length, plain(Some(digest), promises)),
            PayloadMode::Unsigned => (content_length, plain(None, promises)),
        };
        Self { length, kind, state: VerifierState::Open, trailing }
    }

    /// How many bytes will be pulled in all, unless the body is faulty.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the checksum is found that the client sends after the body, once that is verified.
    pub fn trailing(&self) -> Option<TrailingChecksum> {
        self.trailing.clone()
    }

    /// Takes what the client sent.
    pub fn push(&mut self, input: Bytes) -> Result<(), PayloadFault> {
        match self.state {
            VerifierState::Failed(fault) => return Err(fault),
            VerifierState::Finished if input.is_empty() => return Ok(()),
            VerifierState::Finished => return Err(self.fail(PayloadFault::AfterEnd)),
            VerifierState::Open => {}
        }
        let taken = match &mut self.kind {
            PayloadFraming::Chunked(decoder) => decoder.push(input),
            PayloadFraming::Plain(plain) => plain.push(input),
        };
        taken.map_err(|fault| self.fail(fault))
    }

    /// The next bytes that may go on.
    pub fn pull(&mut self) -> Option<Bytes> {
        self.outlet().pull()
    }

    /// Verifies the whole, after the client's last byte, and lets the last bytes go; returns the body's verified
    /// checksum if the client gave one.
    pub fn finish(&mut self) -> Result<Option<Checksum>, PayloadFault> {
        match self.state {
            VerifierState::Failed(fault) => return Err(fault),
            VerifierState::Finished => return Ok(None),
            VerifierState::Open => {}
        }
        let finished = match &mut self.kind {
            PayloadFraming::Chunked(decoder) => decoder.finish(),
            PayloadFraming::Plain(plain) => plain.finish(),
        };
        let checksum = finished.map_err(|fault| self.fail(fault))?;
        self.state = VerifierState::Finished;
        if let (Some(trailing), Some(checksum)) = (&self.trailing, &checksum) {
            trailing.settle(checksum.clone());
        }
        self.outlet().release();
        Ok(checksum)
    }

    fn fail(&mut self, fault: PayloadFault) -> PayloadFault {
        self.state = VerifierState::Failed(fault);
        self.outlet().discard();
        fault
    }

    fn outlet(&mut self) -> &mut PayloadOutlet {
        match &mut self.kind {
            PayloadFraming::Chunked(decoder) => &mut decoder.outlet,
            PayloadFraming::Plain(plain) => &mut plain.outlet,
        }
    }
}

// The HTTP stage streams a body through an inspection; this is it.
impl BodyInspector for PayloadVerifier {
    type Fault = PayloadFault;

    fn push(&mut self, received: Bytes) -> Result<(), PayloadFault> {
        Self::push(self, received)
    }

    fn next(&mut self) -> Option<Bytes> {
        self.pull()
    }

    fn counted(&self, on_the_wire: u64) -> u64 {
        match &self.kind {
            PayloadFraming::Chunked(decoder) => self.length.saturating_sub(decoder.outlet.owed()),
            PayloadFraming::Plain(_) => on_the_wire,
        }
    }

    fn finish(&mut self) -> Result<(), PayloadFault> {
        Self::finish(self).map(|_| ())
    }
}

/// A body that comes as it is.
#[derive(Debug)]
struct PlainPayload {
    outlet: PayloadOutlet,
    checks: PayloadChecks,
}

impl PlainPayload {
    fn new(length: u64, digest: Option<[u8; 32]>, promises: DeclaredChecksums) -> Self {
        Self { outlet: PayloadOutlet::new(length), checks: PayloadChecks::new(digest, promises) }
    }

    fn push(&mut self, input: Bytes) -> Result<(), PayloadFault> {
        self.checks.update(&input);
        self.outlet.give(input)
    }

    fn finish(&mut self) -> Result<Option<Checksum>, PayloadFault> {
        if self.outlet.owed() > 0 {
            return Err(PayloadFault::TooShort);
        }
        self.checks.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChecksumAlgorithm, ChunkSigning, ChunkedPayload};
    use md5::Md5;
    use sha2::{Digest, Sha256};

    fn promises(body: &[u8]) -> DeclaredChecksums {
        let mut running = crate::RunningChecksum::new(ChecksumAlgorithm::Crc64Nvme);
        running.update(body);
        DeclaredChecksums { content_md5: Some(Md5::digest(body).into()), checksum: Some(running.finish()) }
    }

    fn digest(body: &[u8]) -> PayloadMode {
        PayloadMode::Digest(Sha256::digest(body).into())
    }

    /// Pushes a body in two pieces; returns what came out before the end was verified, the verdict, and the rest.
    fn run(
        mut intake: PayloadVerifier,
        body: &'static [u8],
    ) -> (Vec<u8>, Result<Option<Checksum>, PayloadFault>, Vec<u8>) {
        let (first, second) = body.split_at(body.len() / 2);
        let pushed = [first, second].into_iter().try_for_each(|piece| intake.push(Bytes::from_static(piece)));
        let before: Vec<u8> = std::iter::from_fn(|| intake.pull()).flatten().collect();
        let verdict = pushed.and_then(|()| intake.finish());
        let after: Vec<u8> = std::iter::from_fn(|| intake.pull()).flatten().collect();
        (before, verdict, after)
    }

    #[test]
    fn a_body_that_keeps_its_promises_passes_and_its_last_piece_last() {
        let body = b"Welcome to Amazon S3.";
        for payload in [digest(body), PayloadMode::Unsigned] {
            let (before, verdict, after) = run(PayloadVerifier::new(payload, 21, promises(body)), body);
            assert_eq!((before.as_slice(), after.as_slice()), body.split_at(10));
            assert_eq!(verdict, Ok(promises(body).checksum));
        }
    }

    #[test]
    fn each_broken_promise_keeps_the_last_piece_back() {
        let body = b"Welcome to Amazon S3.";
        let other = promises(b"something else");
        let only_md5 = DeclaredChecksums { content_md5: other.content_md5, checksum: None };
        let only_checksum = DeclaredChecksums { content_md5: None, checksum: other.checksum };
        let cases = [
            (PayloadVerifier::new(digest(b""), 21, DeclaredChecksums::default()), PayloadFault::ContentSha256),
            (PayloadVerifier::new(digest(body), 21, only_md5), PayloadFault::ContentMd5),
            (
                PayloadVerifier::new(digest(body), 21, only_checksum),
                PayloadFault::Checksum(ChecksumAlgorithm::Crc64Nvme),
            ),
            (PayloadVerifier::new(digest(body), 22, DeclaredChecksums::default()), PayloadFault::TooShort),
        ];
        for (intake, fault) in cases {
            let (before, verdict, after) = run(intake, body);
            assert_eq!(verdict, Err(fault));
            assert!(before.len() < 22 && after.is_empty(), "{fault:?}");
        }
        let (before, verdict, after) = run(PayloadVerifier::new(digest(body), 20, DeclaredChecksums::default()), body);
        assert_eq!((before.len(), verdict, after.len()), (0, Err(PayloadFault::TooLong), 0));
    }

    #[test]
    fn a_trailing_checksum_is_known_when_the_last_piece_is_let_go_and_never_of_a_faulty_body() {
        let chunked = |promises| {
            let chunks = ChunkedPayload {
                decoded_length: 3,
                signing: ChunkSigning::Unsigned,
                trailer: Some(ChecksumAlgorithm::Crc32),
            };
            PayloadVerifier::new(PayloadMode::Chunked(chunks), 0, promises)
        };
        let trailing = |body: &'static [u8]| {
            let intake = chunked(DeclaredChecksums::default());
            let trailing = intake.trailing().expect("announced");
            let (before, verdict, after) = run(intake, body);
            (before.len(), verdict.is_ok(), after.len(), trailing.verified().map(Checksum::text))
        };
        let right = b"3\r\naaa\r\n0\r\nx-amz-checksum-crc32:8AdzLQ==\r\n\r\n";
        assert_eq!(trailing(right), (0, true, 3, Some("8AdzLQ==".to_owned())));
        let wrong = b"3\r\nbbb\r\n0\r\nx-amz-checksum-crc32:8AdzLQ==\r\n\r\n";
        assert_eq!(trailing(wrong), (0, false, 0, None));
        assert!(chunked(promises(b"aaa")).trailing().is_none(), "the one in the head goes on with the head");
    }

    #[test]
    fn an_empty_body_is_verified_too() {
        assert_eq!(PayloadVerifier::new(digest(b""), 0, promises(b"")).finish(), Ok(promises(b"").checksum));
        assert_eq!(
            PayloadVerifier::new(digest(b"x"), 0, DeclaredChecksums::default()).finish(),
            Err(PayloadFault::ContentSha256)
        );
    }

    #[test]
    fn nothing_is_taken_after_the_end_and_a_fault_stays() {
        let mut intake = PayloadVerifier::new(digest(b"ab"), 2, DeclaredChecksums::default());
        assert_eq!(intake.push(Bytes::from_static(b"ab")), Ok(()));
        assert_eq!(intake.finish(), Ok(None));
        assert_eq!(intake.push(Bytes::from_static(b"c")), Err(PayloadFault::AfterEnd));
        assert_eq!((intake.pull(), intake.finish()), (None, Err(PayloadFault::AfterEnd)));
    }

    #[test]
    fn what_is_pulled_is_what_was_pushed_and_no_copy() {
        let input = Bytes::from(vec![7; 1000]);
        let mut intake = PayloadVerifier::new(PayloadMode::Unsigned, 2000, DeclaredChecksums::default());
        assert_eq!(intake.push(input.clone()), Ok(()));
        assert_eq!(intake.pull().map(|slice| slice.as_ptr()), Some(input.as_ptr()));
    }
}
