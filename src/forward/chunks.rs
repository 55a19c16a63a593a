//! Writes object data in signed chunks, for upstreams that are reached in the clear and whose
//! payload's digest nobody knows beforehand.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use sha2::{Digest, Sha256};

use super::upload::{Interrupted, Source};
use crate::authenticate::{EMPTY_SHA256, SigningKey};

/// What `x-amz-content-sha256` says of such a body.
pub const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// The data bytes of every chunk but the last; at least 8 KiB, says S3.
const CHUNK: u64 = 64 * 1024;

/// `;chunk-signature=` with its 64 digits, and the line ends before and after the data.
const FRAMING: u64 = 17 + 64 + 2 + 2;

/// Signs the chunks of one request, each over the signature before it.
pub struct ChunkSigner {
    pub signing_key: SigningKey,
    pub moment: String,
    pub scope: String,
    pub previous: String,
}

/// Data on its way out in signed chunks.
pub struct SignedChunks {
    source: Source,
    signer: ChunkSigner,
    /// Data of the chunk that is being gathered.
    gathered: Vec<Bytes>,
    gathered_length: u64,
    digest: Sha256,
    left: u64,
    ready: VecDeque<Bytes>,
    /// The rest of a slice that belongs to the next chunk.
    rest: Bytes,
}

/// How long `length` bytes of data are in signed chunks.
pub fn encoded_length(length: u64) -> u64 {
    let full = length / CHUNK;
    let last = length % CHUNK;
    let framed = |size: u64| hex_digits(size) + FRAMING + size;
    full * framed(CHUNK) + if last > 0 { framed(last) } else { 0 } + framed(0)
}

fn hex_digits(size: u64) -> u64 {
    u64::try_from(format!("{size:x}").len()).unwrap_or(0)
}

impl SignedChunks {
    /// Chunks for `length` bytes of data.
    pub fn new(source: Source, length: u64, signer: ChunkSigner) -> Self {
        Self {
            source,
            signer,
            gathered: Vec::new(),
            gathered_length: 0,
            digest: Sha256::new(),
            left: length,
            ready: VecDeque::new(),
            rest: Bytes::new(),
        }
    }

    /// Takes as much of a slice as the chunk still needs, and closes the chunk when it is full.
    fn gather(&mut self, mut slice: Bytes) {
        let wanted = CHUNK.min(self.gathered_length + self.left) - self.gathered_length;
        let taken = slice.split_to(slice.len().min(usize::try_from(wanted).unwrap_or(usize::MAX)));
        let length = u64::try_from(taken.len()).unwrap_or(0);
        self.digest.update(&taken);
        self.gathered.push(taken);
        self.gathered_length += length;
        self.left -= length;
        self.rest = slice;
        if self.gathered_length == CHUNK || self.left == 0 {
            self.close_chunk();
        }
    }

    fn close_chunk(&mut self) {
        let digest = hex::encode(self.digest.finalize_reset());
        let head = self.signer.head(self.gathered_length, &digest);
        self.ready.push_back(head);
        self.ready.extend(self.gathered.drain(..));
        self.gathered_length = 0;
        self.ready.push_back(Bytes::from_static(b"\r\n"));
        if self.left == 0 {
            let last = self.signer.head(0, EMPTY_SHA256);
            self.ready.push_back(last);
            self.ready.push_back(Bytes::from_static(b"\r\n"));
        }
    }
}

impl ChunkSigner {
    fn head(&mut self, length: u64, digest: &str) -> Bytes {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{EMPTY_SHA256}\n{digest}",
            self.moment, self.scope, self.previous
        );
        self.previous = self.signing_key.sign(text.as_bytes()).hex();
        let mut head = BytesMut::with_capacity(100);
        head.extend_from_slice(format!("{length:x};chunk-signature={}\r\n", self.previous).as_bytes());
        head.freeze()
    }
}

impl Body for SignedChunks {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        loop {
            if let Some(slice) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(slice))));
            }
            if !self.rest.is_empty() && self.left > 0 {
                let rest = std::mem::take(&mut self.rest);
                self.gather(rest);
                continue;
            }
            if self.left == 0 {
                return Poll::Ready(None);
            }
            match ready!(self.source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(slice) = frame.into_data() {
                        self.gather(slice);
                    }
                }
                Some(Err(interrupted)) => return Poll::Ready(Some(Err(interrupted))),
                None => return Poll::Ready(Some(Err(Interrupted))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticate::Scope;
    use crate::secret::Secret;
    use http_body_util::BodyExt;

    struct Slices(VecDeque<Bytes>);

    impl Body for Slices {
        type Data = Bytes;
        type Error = Interrupted;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
            Poll::Ready(self.0.pop_front().map(|slice| Ok(Frame::data(slice))))
        }
    }

    async fn encode(total: usize, cut: usize) -> Bytes {
        let whole = Bytes::from(vec![b'a'; total]);
        let slices = whole.chunks(cut).map(Bytes::copy_from_slice).collect();
        // AWS's published example of a chunked upload.
        let signer = ChunkSigner {
            signing_key: SigningKey::derive(
                &Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
                &Scope { date: "20130524", region: "us-east-1", service: "s3" },
            ),
            moment: "20130524T000000Z".to_owned(),
            scope: "20130524/us-east-1/s3/aws4_request".to_owned(),
            previous: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".to_owned(),
        };
        let length = u64::try_from(total).expect("small");
        let body = SignedChunks::new(Box::pin(Slices(slices)), length, signer);
        body.collect().await.expect("whole").to_bytes()
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
        assert_eq!(u64::try_from(encoded.len()).expect("small"), encoded_length(66_560));
        assert_eq!(encoded.len(), 66_824);
    }

    #[tokio::test]
    async fn the_encoding_does_not_depend_on_how_the_data_was_cut() {
        for total in [1, 65_535, 65_536, 65_537, 200_000] {
            let whole = encode(total, total).await;
            assert_eq!(encode(total, 7_777).await, whole);
            assert_eq!(
                u64::try_from(whole.len()).expect("small"),
                encoded_length(u64::try_from(total).expect("small"))
            );
        }
    }

    #[tokio::test]
    async fn data_that_ends_early_is_an_interruption() {
        let signer = ChunkSigner {
            signing_key: SigningKey::derive(&Secret::new(String::new()), &Scope { date: "", region: "", service: "" }),
            moment: String::new(),
            scope: String::new(),
            previous: String::new(),
        };
        let body = SignedChunks::new(Box::pin(Slices([Bytes::from_static(b"ab")].into())), 3, signer);
        assert_eq!(body.collect().await.map(|_| ()), Err(Interrupted));
    }
}
