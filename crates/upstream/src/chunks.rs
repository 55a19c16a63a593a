//! Writes object data in chunks: signed ones for upstreams that are reached in the clear, and followed by the
//! client's checksum for upstreams that take it there.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use portcullis_http::BodyInterrupted;
use portcullis_sigv4::{EMPTY_SHA256, SigningKey, TrailingChecksum};

/// How object data is framed on its way out.
#[derive(Clone, Debug)]
pub(crate) enum ChunkFraming {
    /// The client's checksum follows; the connection is private, so nothing is signed.
    Checksum(TrailingChecksum),
    /// Each chunk is signed.
    Signed,
    /// Each chunk is signed, and so is the client's checksum that follows.
    SignedChecksum(TrailingChecksum),
}

/// The data bytes of every chunk but the last; at least 8 KiB, says S3.
const CHUNK: u64 = 64 * 1024;

const LINE_END: &[u8] = b"\r\n";
const CHUNK_SIGNATURE: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";

/// The digits of a signature.
const DIGITS: usize = 64;

impl ChunkFraming {
    /// What `x-amz-content-sha256` says of such a body.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Checksum(_) => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedChecksum(_) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        }
    }

    /// The checksum that follows the data.
    pub(crate) fn trailing(&self) -> Option<&TrailingChecksum> {
        match self {
            Self::Checksum(trailing) | Self::SignedChecksum(trailing) => Some(trailing),
            Self::Signed => None,
        }
    }

    /// How long `length` bytes of data are when they are framed.
    pub(crate) fn encoded_length(&self, length: u64) -> u64 {
        let (chunk_signature, trailer_signature) = match self {
            Self::Checksum(_) => (0, 0),
            Self::Signed | Self::SignedChecksum(_) => {
                (CHUNK_SIGNATURE.len() + DIGITS, TRAILER_SIGNATURE.len() + DIGITS + LINE_END.len())
            }
        };
        let around = wide(chunk_signature + 2 * LINE_END.len());
        let framed = |size: u64| hex_digits(size) + around + size;
        let (full, last) = (length / CHUNK, length % CHUNK);
        let trailer = self.trailing().map_or(0, |trailing| {
            let algorithm = trailing.algorithm();
            algorithm.header().len() + 1 + algorithm.text_length() + LINE_END.len() + trailer_signature
        });
        full * framed(CHUNK) + if last > 0 { framed(last) } else { 0 } + framed(0) + wide(trailer)
    }

    /// What signs this framing, where it is signed.
    fn seal(&self, signer: impl FnOnce() -> ChunkSigner) -> Option<ChunkSigner> {
        match self {
            Self::Checksum(_) => None,
            Self::Signed | Self::SignedChecksum(_) => Some(signer()),
        }
    }
}

fn hex_digits(size: u64) -> u64 {
    wide(format!("{size:x}").len())
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Signs the chunks of one request, each over the signature before it.
pub struct ChunkSigner {
    pub signing_key: SigningKey,
    pub moment: String,
    pub scope: String,
    pub previous: String,
}

/// Puts data into chunks, without copying it: data is pushed in, slices of the encoding are taken out.
pub(crate) struct ChunkEncoder {
    signer: Option<ChunkSigner>,
    trailing: Option<TrailingChecksum>,
    /// Data of the chunk that is being gathered.
    gathered: Vec<Bytes>,
    gathered_length: u64,
    digest: Sha256,
    left: u64,
    ready: VecDeque<Bytes>,
    /// The rest of a slice that belongs to the next chunk.
    rest: Bytes,
}

impl ChunkEncoder {
    /// Chunks for `length` bytes of data.
    pub(crate) fn new(length: u64, framing: &ChunkFraming, signer: impl FnOnce() -> ChunkSigner) -> Self {
        Self {
            signer: framing.seal(signer),
            trailing: framing.trailing().cloned(),
            gathered: Vec::new(),
            gathered_length: 0,
            digest: Sha256::new(),
            left: length,
            ready: VecDeque::new(),
            rest: Bytes::new(),
        }
    }

    /// Takes the next slice of the encoding, if there is one without more data.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, BodyInterrupted> {
        loop {
            if let Some(slice) = self.ready.pop_front() {
                return Ok(Some(slice));
            }
            if self.rest.is_empty() || self.left == 0 {
                return Ok(None);
            }
            let rest = std::mem::take(&mut self.rest);
            self.push(rest)?;
        }
    }

    /// True once all the data was pushed.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Adds data: as much of the slice as the chunk still needs, which closes a chunk that is full. The rest waits for
    /// `next`.
    pub(crate) fn push(&mut self, mut slice: Bytes) -> Result<(), BodyInterrupted> {
        let wanted = CHUNK.min(self.gathered_length + self.left) - self.gathered_length;
        let taken = slice.split_to(slice.len().min(usize::try_from(wanted).unwrap_or(usize::MAX)));
        let length = wide(taken.len());
        if self.signer.is_some() {
            self.digest.update(&taken);
        }
        self.gathered.push(taken);
        self.gathered_length += length;
        self.left -= length;
        self.rest = slice;
        if self.gathered_length == CHUNK || self.left == 0 {
            self.close_chunk();
        }
        if self.left == 0 { self.close() } else { Ok(()) }
    }

    fn close_chunk(&mut self) {
        let digest = self.digest.finalize_reset();
        let head = self.head(self.gathered_length, &hex::encode(digest));
        self.ready.push_back(head);
        self.ready.extend(self.gathered.drain(..));
        self.gathered_length = 0;
        self.ready.push_back(Bytes::from_static(LINE_END));
    }

    /// Ends the body: with the checksum, which the last slice of the data comes after.
    fn close(&mut self) -> Result<(), BodyInterrupted> {
        let mut end = BytesMut::from(&*self.head(0, EMPTY_SHA256));
        if let Some(trailing) = &self.trailing {
            let checksum = trailing.verified().ok_or(BodyInterrupted)?;
            let line = format!("{}:{}", trailing.algorithm().header(), checksum.text());
            end.extend_from_slice(line.as_bytes());
            end.extend_from_slice(LINE_END);
            if let Some(signer) = &mut self.signer {
                signer.sign_trailer(&line);
                end.extend_from_slice(format!("{TRAILER_SIGNATURE}{}\r\n", signer.previous).as_bytes());
            }
        }
        end.extend_from_slice(LINE_END);
        self.ready.push_back(end.freeze());
        Ok(())
    }

    fn head(&mut self, length: u64, digest: &str) -> Bytes {
        let Some(signer) = &mut self.signer else { return format!("{length:x}\r\n").into() };
        signer.sign_chunk(digest);
        format!("{length:x}{CHUNK_SIGNATURE}{}\r\n", signer.previous).into()
    }
}

impl ChunkSigner {
    fn sign_chunk(&mut self, digest: &str) {
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{EMPTY_SHA256}\n{digest}"));
    }

    fn sign_trailer(&mut self, line: &str) {
        self.sign("AWS4-HMAC-SHA256-TRAILER", &hex::encode(Sha256::digest(format!("{line}\n"))));
    }

    fn sign(&mut self, algorithm: &str, digests: &str) {
        let text = format!("{algorithm}\n{}\n{}\n{}\n{digests}", self.moment, self.scope, self.previous);
        self.previous = self.signing_key.sign(text.as_bytes()).hex();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use http_body::{Body, Frame};
    use http_body_util::BodyExt;

    use super::super::upload::UploadBody;
    use super::*;
    use portcullis_base::secret::Secret;
    use portcullis_sigv4::{ChecksumAlgorithm, CredentialScope, RunningChecksum};

    struct Slices(VecDeque<Bytes>);

    impl Body for Slices {
        type Data = Bytes;
        type Error = BodyInterrupted;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyInterrupted>>> {
            Poll::Ready(self.0.pop_front().map(|slice| Ok(Frame::data(slice))))
        }
    }

    /// AWS's published examples of chunked uploads, without and with a trailer.
    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const SEED_WITH_TRAILER: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

    fn signer(seed: &str) -> ChunkSigner {
        ChunkSigner {
            signing_key: SigningKey::derive(
                &Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
                &CredentialScope { date: "20130524", region: "us-east-1", service: "s3" },
            ),
            moment: "20130524T000000Z".to_owned(),
            scope: "20130524/us-east-1/s3/aws4_request".to_owned(),
            previous: seed.to_owned(),
        }
    }

    fn verified(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> TrailingChecksum {
        let mut running = RunningChecksum::new(algorithm);
        running.update(bytes);
        let trailing = TrailingChecksum::new(algorithm);
        trailing.settle(running.finish());
        trailing
    }

    fn upload(slices: VecDeque<Bytes>, length: u64, framing: &ChunkFraming, seed: &str) -> UploadBody {
        let whole = UploadBody::payload(Box::pin(Slices(slices)), length, &Arc::default());
        whole.in_chunks(framing, || signer(seed))
    }

    async fn frame(total: usize, cut: usize, framing: &ChunkFraming, seed: &str) -> Result<Bytes, BodyInterrupted> {
        let whole = Bytes::from(vec![b'a'; total]);
        let slices = whole.chunks(cut).map(Bytes::copy_from_slice).collect();
        Ok(upload(slices, wide(total), framing, seed).collect().await?.to_bytes())
    }

    async fn encode(total: usize, cut: usize) -> Bytes {
        frame(total, cut, &ChunkFraming::Signed, SEED).await.expect("whole")
    }

    #[tokio::test]
    async fn chunks_are_signed_as_in_aws_own_example() {
        let encoded = encode(66_560, 1000).await;
        let text = String::from_utf8_lossy(&encoded);
        assert!(
            text.starts_with(
                "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
            )
        );
        assert!(
            text.contains(
                "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
            )
        );
        assert!(text.ends_with(
            "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
        ));
        assert_eq!(wide(encoded.len()), ChunkFraming::Signed.encoded_length(66_560));
        assert_eq!(encoded.len(), 66_824);
    }

    #[tokio::test]
    async fn the_encoding_does_not_depend_on_how_the_data_was_cut() {
        for total in [1, 65_535, 65_536, 65_537, 200_000] {
            let whole = encode(total, total).await;
            assert_eq!(encode(total, 7_777).await, whole);
            assert_eq!(wide(whole.len()), ChunkFraming::Signed.encoded_length(wide(total)));
        }
    }

    #[tokio::test]
    async fn data_that_ends_early_is_an_interruption() {
        let body = upload([Bytes::from_static(b"ab")].into(), 3, &ChunkFraming::Signed, SEED);
        assert_eq!(body.collect().await.map(|_| ()), Err(BodyInterrupted));
    }

    #[tokio::test]
    async fn a_trailer_is_signed_as_in_aws_own_example() {
        let framing = ChunkFraming::SignedChecksum(verified(ChecksumAlgorithm::Crc32c, &[b'a'; 66_560]));
        let encoded = frame(66_560, 1000, &framing, SEED_WITH_TRAILER).await.expect("whole");
        let text = String::from_utf8_lossy(&encoded);
        assert!(
            text.starts_with(
                "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
            )
        );
        assert!(text.ends_with(
            "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n\
             x-amz-checksum-crc32c:sOO8/Q==\r\n\
             x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
        ));
        assert_eq!(wide(encoded.len()), framing.encoded_length(66_560));
    }

    #[tokio::test]
    async fn an_unsigned_trailer_follows_chunks_of_their_size_alone() {
        let framing = ChunkFraming::Checksum(verified(ChecksumAlgorithm::Crc32, b"aaa"));
        let encoded = frame(3, 2, &framing, SEED).await.expect("whole");
        assert_eq!(encoded, "3\r\naaa\r\n0\r\nx-amz-checksum-crc32:8AdzLQ==\r\n\r\n");
        for algorithm in ChecksumAlgorithm::ALL {
            for total in [1, 65_535, 65_536, 65_537, 200_000] {
                let trailing = verified(algorithm, &vec![b'a'; total]);
                for framing in [ChunkFraming::Checksum(trailing.clone()), ChunkFraming::SignedChecksum(trailing)] {
                    let encoded = frame(total, 7_777, &framing, SEED).await.expect("whole");
                    assert_eq!(wide(encoded.len()), framing.encoded_length(wide(total)), "{algorithm:?} {total}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_checksum_that_nobody_verified_ends_the_upload() {
        let framing = ChunkFraming::Checksum(TrailingChecksum::new(ChecksumAlgorithm::Sha256));
        assert_eq!(frame(3, 3, &framing, SEED).await, Err(BodyInterrupted));
    }
}
