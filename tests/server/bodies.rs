//! Bodies that are not what was promised never become objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use portcullis_base::secret::Secret;
use portcullis_s3::UpstreamKind;
use portcullis_sigv4::{ChecksumAlgorithm, CredentialScope, EMPTY_SHA256, RunningChecksum, SigningKey};
use sha2::{Digest, Sha256};

use crate::rig::{Ask, Content, Payload, Reply, Rig, exchange, open, wait_for};

/// Longer than the proxy reads at once, so that some of it is under way before the end is known.
const LONG: usize = 300_000;

/// What the store holds of the one upload it was sent, once nothing of it is under way.
async fn stored(rig: &Rig) -> Option<Vec<u8>> {
    let seen = wait_for("the upload's end", || {
        let seen = rig.upstream.mutations();
        seen.iter().all(|seen| seen.content != Content::Coming).then_some(seen)
    })
    .await;
    assert!(seen.len() < 2, "{seen:?}");
    seen.into_iter().find_map(|seen| match seen.content {
        Content::Whole(body) => Some(body),
        Content::Coming | Content::CutOff(_) => None,
    })
}

async fn put(rig: &Rig, ask: Ask) -> (Reply, Option<Vec<u8>>) {
    rig.upstream.forget();
    let reply = rig.send(&ask).await;
    (reply, stored(rig).await)
}

fn object(length: usize) -> Ask {
    Ask::new("PUT /vault/k").body(vec![b'a'; length])
}

fn crc32(bytes: &[u8]) -> String {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32IsoHdlc);
    digest.update(bytes);
    let sum = u32::try_from(digest.finalize()).expect("32 bits");
    STANDARD.encode(sum.to_be_bytes())
}

#[tokio::test]
async fn a_body_that_is_right_arrives_with_the_sums_the_client_gave() {
    let rig = Rig::start().await;
    for length in [1, LONG] {
        let body = vec![b'a'; length];
        let md5 = STANDARD.encode(Md5::digest(&body));
        let ask = object(length).header("content-md5", &md5).header("x-amz-checksum-crc32", &crc32(&body));
        let (reply, stored) = put(&rig, ask).await;
        assert_eq!((reply.status, stored), (200, Some(body)), "{reply:?}");
        let sent = rig.upstream.mutations().remove(0);
        assert_eq!(sent.header("content-md5"), Some(md5));
        assert!(sent.header("x-amz-checksum-crc32").is_some());
    }
}

#[tokio::test]
async fn a_body_with_a_wrong_sum_never_completes() {
    let rig = Rig::start().await;
    let nothing = STANDARD.encode(Md5::digest(b""));
    for length in [1, LONG] {
        let cases = [
            (object(length).payload(Payload::Claimed(EMPTY_SHA256.to_owned())), "XAmzContentSHA256Mismatch"),
            (object(length).header("content-md5", &nothing), "BadDigest"),
            (object(length).header("x-amz-checksum-crc32", "AAAAAA=="), "BadDigest"),
            (
                object(length)
                    .payload(Payload::Claimed("UNSIGNED-PAYLOAD".to_owned()))
                    .header("x-amz-checksum-crc32", "AAAAAA=="),
                "BadDigest",
            ),
        ];
        for (ask, code) in cases {
            let (reply, stored) = put(&rig, ask).await;
            assert_eq!((reply.said(), stored), ((400, code.to_owned()), None), "{length}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn every_checksum_is_verified_whether_or_not_the_store_knows_it() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let body = b"aaaa";
    for algorithm in ChecksumAlgorithm::ALL {
        let (right, wrong) = [body.as_slice(), b"bbbb"].map(|bytes| sum(algorithm, bytes)).into();
        let (reply, stored) = put(&rig, object(4).header(algorithm.header(), &right)).await;
        assert_eq!((reply.status, stored), (200, Some(body.to_vec())), "{algorithm:?} {reply:?}");
        let passed_on = rig.upstream.mutations().remove(0).header(algorithm.header());
        assert_eq!(passed_on, algorithm.is_known_to_stores().then_some(right.clone()), "{algorithm:?}");
        let (reply, stored) = put(&rig, object(4).header(algorithm.header(), &wrong)).await;
        assert_eq!((reply.said(), stored), ((400, "BadDigest".to_owned()), None), "{algorithm:?}");
        let part = Ask::new(&format!("PUT /vault/k?partNumber=1&uploadId={OF_MINIO}"))
            .body("aaaa")
            .header(algorithm.header(), &wrong);
        let (reply, stored) = put(&rig, part).await;
        assert_eq!((reply.said(), stored), ((400, "BadDigest".to_owned()), None), "a part, {algorithm:?}");
        for (trailer, expected) in [(right, (200, Some(()))), (wrong, (400, None))] {
            rig.upstream.forget();
            let form = Chunked::new(UNSIGNED_TRAILER, 4).trailer_of(algorithm, trailer);
            let reply = exchange(rig.address, &form.bytes(&rig, body, |_| false)).await;
            let stored = stored_at_all(&rig).await;
            assert_eq!((reply.status, stored), expected, "a trailer, {algorithm:?} {reply:?}");
        }
    }
}

/// An upload id as MinIO gives it out.
const OF_MINIO: &str =
    "OGE1MGYyZjgtNWVjNS00ZDc2LTlmMTItNWYxZjBhM2M2ZTAxLjBmOGZhZDViLWQ5Y2ItNDY5Zi1hMTY1LTcwODY3NzI4OTUwZXgx";

fn sum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> String {
    let mut running = RunningChecksum::new(algorithm);
    running.update(bytes);
    running.finish().text()
}

async fn stored_at_all(rig: &Rig) -> Option<()> {
    stored(rig).await.map(drop)
}

#[tokio::test]
async fn an_empty_body_with_a_wrong_sum_reaches_nothing() {
    let rig = Rig::start().await;
    let other = Ask::new("PUT /vault/k").header("content-length", "0").payload(Payload::Claimed("0".repeat(64)));
    assert_eq!(rig.send(&other).await.said(), (400, "XAmzContentSHA256Mismatch".to_owned()));
    assert_eq!(rig.upstream.mutations(), []);
    assert_eq!(rig.send(&Ask::new("PUT /vault/k").header("content-length", "0")).await.status, 200);
}

#[tokio::test]
async fn a_body_that_ends_early_never_completes() {
    let rig = Rig::start().await;
    let mut bytes = object(LONG).signed(&rig.root, rig.now());
    bytes.truncate(bytes.len() - 1);
    drop(open(rig.address, &bytes).await);
    let events = rig.events_when(1).await;
    assert_eq!(events[0].said(), ("PutObject", "IncompleteBody"), "{events:?}");
    assert_eq!(stored(&rig).await, None);
}

/// An aws-chunked body, each chunk signed over the one before it.
struct Chunked {
    ask: Ask,
    trailer: Option<(&'static str, String)>,
    signed: bool,
}

impl Chunked {
    fn new(kind: &str, length: usize) -> Self {
        let ask = Ask::new("PUT /vault/k")
            .payload(Payload::Claimed(kind.to_owned()))
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", &length.to_string());
        Self { ask, trailer: None, signed: kind.starts_with("STREAMING-AWS4") }
    }

    fn trailer(self, value: String) -> Self {
        self.trailer_of(ChecksumAlgorithm::Crc32, value)
    }

    fn trailer_of(mut self, algorithm: ChecksumAlgorithm, value: String) -> Self {
        self.ask = self.ask.header("x-amz-trailer", algorithm.header());
        self.trailer = Some((algorithm.header(), value));
        self
    }

    /// The request with its body in two chunks; `spoil` may change a chunk's signature by its number.
    fn bytes(self, rig: &Rig, body: &[u8], spoil: impl Fn(usize) -> bool) -> Vec<u8> {
        let moment = rig.now().iso_basic();
        let scope = CredentialScope { date: &moment[..8], region: "us-east-1", service: "s3" };
        let key = SigningKey::derive(&Secret::new(rig.root.secret.clone()), &scope);
        let mut length = 0;
        let mut encoded = Vec::new();
        // The length is signed, and known only when the body was made: twice, with a guessed seed first.
        for _ in 0..2 {
            let ask = self.ask.clone().header("content-length", &length.to_string());
            let (head, seed) = ask.signed_with_seed(&rig.root, rig.now());
            let mut previous = seed;
            let mut sign = |number: usize, algorithm: &str, digest: String| {
                let text = format!("{algorithm}\n{moment}\n{scope}\n{previous}\n{digest}");
                let signature = key.sign(text.as_bytes()).hex();
                previous.clone_from(&signature);
                if spoil(number) { signature.chars().rev().collect::<String>() } else { signature }
            };
            encoded.clear();
            let half = body.len() / 2;
            for (number, chunk) in [&body[..half], &body[half..], &[]].into_iter().enumerate() {
                let digest = format!("{EMPTY_SHA256}\n{}", hex::encode(Sha256::digest(chunk)));
                let extension = match self.signed {
                    true => format!(";chunk-signature={}", sign(number, "AWS4-HMAC-SHA256-PAYLOAD", digest)),
                    false => String::new(),
                };
                encoded.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
                if !chunk.is_empty() {
                    encoded.extend([chunk, b"\r\n"].concat());
                }
            }
            if let Some((name, value)) = &self.trailer {
                encoded.extend(format!("{name}:{value}\r\n").into_bytes());
                if self.signed {
                    let digest = hex::encode(Sha256::digest(format!("{name}:{value}\n")));
                    let signature = sign(3, "AWS4-HMAC-SHA256-TRAILER", digest);
                    encoded.extend(format!("x-amz-trailer-signature:{signature}\r\n").into_bytes());
                }
            }
            encoded.extend(b"\r\n");
            if length == encoded.len() {
                return [head, encoded].concat();
            }
            length = encoded.len();
        }
        panic!("the length of the body depends on its signatures");
    }
}

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

#[tokio::test]
async fn chunks_that_are_right_arrive_as_the_data_in_them() {
    let rig = Rig::start().await;
    for length in [2, LONG] {
        let body = vec![b'a'; length];
        let forms = [
            Chunked::new(SIGNED, length),
            Chunked::new(SIGNED_TRAILER, length).trailer(crc32(&body)),
            Chunked::new(UNSIGNED_TRAILER, length).trailer(crc32(&body)),
            Chunked::new(UNSIGNED_TRAILER, length),
        ];
        for form in forms {
            rig.upstream.forget();
            let reply = exchange(rig.address, &form.bytes(&rig, &body, |_| false)).await;
            assert_eq!((reply.status, stored(&rig).await), (200, Some(body.clone())), "{reply:?}");
            let sent = rig.upstream.mutations().remove(0);
            assert_eq!(sent.header("content-encoding"), None);
            assert_eq!(sent.header("content-length"), Some(length.to_string()));
        }
    }
    let events = rig.events();
    let counted: Vec<_> = events.iter().map(|event| &event.0["additionalEventData"]["bytesTransferredIn"]).collect();
    let long = LONG as u64;
    assert_eq!(counted, [2, 2, 2, 2, long, long, long, long], "what was stored, not its framing");
}

#[tokio::test]
async fn a_trailing_checksum_goes_on_to_the_stores_that_take_one_and_to_no_other() {
    let body = b"aaaa";
    let framed = format!("4\r\naaaa\r\n0\r\nx-amz-checksum-crc32:{}\r\n\r\n", crc32(body));
    for (profile, taken) in [
        (UpstreamKind::Aws, true),
        (UpstreamKind::Ceph, false),
        (UpstreamKind::Embedded, true),
        (UpstreamKind::Generic, false),
        (UpstreamKind::Minio, true),
    ] {
        let rig = Rig::of(profile).await;
        for kind in [SIGNED_TRAILER, UNSIGNED_TRAILER] {
            rig.upstream.forget();
            let form = Chunked::new(kind, body.len()).trailer(crc32(body));
            let reply = exchange(rig.address, &form.bytes(&rig, body, |_| false)).await;
            assert_eq!(reply.status, 200, "{profile:?} {reply:?}");
            let sent = rig.upstream.mutations().remove(0);
            let expected = if taken { framed.as_bytes() } else { body };
            assert_eq!(sent.content, Content::Whole(expected.to_vec()), "{profile:?} {sent:?}");
            let announced = taken.then(|| "x-amz-checksum-crc32".to_owned());
            assert_eq!(sent.header("x-amz-trailer"), announced, "{profile:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_chunk_or_trailer_never_completes() {
    let rig = Rig::start().await;
    for length in [2, LONG] {
        let body = vec![b'a'; length];
        for number in 0..3 {
            rig.upstream.forget();
            let bytes = Chunked::new(SIGNED, length).bytes(&rig, &body, |place| place == number);
            let reply = exchange(rig.address, &bytes).await;
            let told = (reply.said(), stored(&rig).await);
            assert_eq!(told, ((403, "SignatureDoesNotMatch".to_owned()), None), "chunk {number} of {length}");
        }
        let trailers = [
            (Chunked::new(SIGNED_TRAILER, length).trailer(crc32(&body)).bytes(&rig, &body, |place| place == 3), 403),
            (Chunked::new(SIGNED_TRAILER, length).trailer(crc32(b"x")).bytes(&rig, &body, |_| false), 400),
            (Chunked::new(UNSIGNED_TRAILER, length).trailer(crc32(b"x")).bytes(&rig, &body, |_| false), 400),
        ];
        for (bytes, status) in trailers {
            rig.upstream.forget();
            let reply = exchange(rig.address, &bytes).await;
            assert_eq!((reply.status, stored(&rig).await), (status, None), "{reply:?}");
        }
    }
}
