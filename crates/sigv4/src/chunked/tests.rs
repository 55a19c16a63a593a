use proptest::prelude::*;

use crate::fixture::{RequestFixture, SIGNED_AT, authorization, chunk_signature, trailer_signature};
use crate::{
    Checksum, ChecksumAlgorithm, ChunkSigning, ChunkedPayload, DeclaredChecksums, EMPTY_SHA256, PayloadFault,
    PayloadMode, PayloadVerifier, RunningChecksum,
};
use bytes::Bytes;

const CRC32C: ChecksumAlgorithm = ChecksumAlgorithm::Crc32c;

/// AWS's example of a chunked upload, 64 KiB and 1 KiB of `a`, as its head is sent.
fn example(extra: &[(&str, &str)], hash: &str, signed_headers: &str, signature: &str) -> RequestFixture {
    let headers = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", hash),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("authorization", &authorization(signed_headers, signature)),
    ];
    RequestFixture::new("PUT", "/examplebucket/chunkObject.txt", &[&headers, extra].concat())
}

fn body_of(chunks: &[(usize, &str)], end: &str) -> Bytes {
    let mut body = Vec::new();
    for (size, signature) in chunks {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.resize(body.len() + size, b'a');
        if *size > 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    body.extend_from_slice(end.as_bytes());
    body.into()
}

/// What came out before the end was verified, the verdict, and what came out after.
struct Outcome {
    before: Vec<u8>,
    verdict: Result<Option<Checksum>, PayloadFault>,
    after: Vec<u8>,
}

impl Outcome {
    fn all(&self) -> Vec<u8> {
        [self.before.as_slice(), &self.after].concat()
    }
}

/// Runs a body through, in pieces of these sizes over and over.
fn run(payload: PayloadMode, body: &Bytes, sizes: &[usize]) -> Outcome {
    let mut intake = PayloadVerifier::new(payload, 0, DeclaredChecksums::default());
    let (mut before, mut rest, mut sizes) = (Vec::new(), body.clone(), sizes.iter().cycle());
    let mut pushed = Ok(());
    while !rest.is_empty() && pushed.is_ok() {
        let size = sizes.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        pushed = intake.push(rest.split_to(size));
        before.extend(std::iter::from_fn(|| intake.pull()).flatten());
    }
    let verdict = pushed.and_then(|()| intake.finish());
    let after = std::iter::from_fn(|| intake.pull()).flatten().collect();
    Outcome { before, verdict, after }
}

fn payload_of(fixture: &RequestFixture) -> PayloadMode {
    fixture.verify().expect("signed").payload
}

#[test]
fn aws_published_chunked_upload_is_accepted() {
    let fixture = example(
        &[("content-length", "66824")],
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    );
    let chunks = [
        (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];
    let body = body_of(&chunks, "\r\n");
    assert_eq!(body.len(), 66824);
    let outcome = run(payload_of(&fixture), &body, &[8192]);
    assert_eq!((outcome.verdict.clone(), outcome.all()), (Ok(None), vec![b'a'; 66560]));
}

#[test]
fn aws_published_upload_with_a_signed_trailer_is_accepted() {
    let fixture = example(
        &[("x-amz-trailer", "x-amz-checksum-crc32c")],
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    );
    let chunks = [
        (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ];
    let signature = "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";
    // As AWS's SDKs write a trailer, and as MinIO's do.
    for line in ["x-amz-checksum-crc32c:sOO8/Q==\r\n", "x-amz-checksum-crc32c:sOO8/Q==\n\r\n"] {
        let outcome = run(payload_of(&fixture), &body_of(&chunks, &format!("{line}{signature}")), &[8192]);
        assert_eq!(outcome.verdict, Ok(Checksum::parse(CRC32C, "sOO8/Q==")));
        assert_eq!(outcome.all(), vec![b'a'; 66560]);
    }
}

/// A body in chunks of these contents, with the promise that is true of it.
#[derive(Clone, Debug)]
struct Upload {
    decoded: Vec<u8>,
    body: Vec<u8>,
    payload: PayloadMode,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Signed,
    SignedWithTrailer(ChecksumAlgorithm),
    UnsignedWithTrailer(ChecksumAlgorithm),
}

fn upload(chunks: &[Vec<u8>], shape: Shape) -> Upload {
    let decoded = chunks.concat();
    let length = decoded.len().to_string();
    let (hash, trailer) = match shape {
        Shape::Signed => ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None),
        Shape::SignedWithTrailer(algorithm) => ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Some(algorithm)),
        Shape::UnsignedWithTrailer(algorithm) => ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Some(algorithm)),
    };
    let mut headers = vec![("host", "localhost"), ("x-amz-decoded-content-length", length.as_str())];
    headers.extend(trailer.map(|algorithm| ("x-amz-trailer", algorithm.header())));
    let fixture = RequestFixture::new("PUT", "/bucket/key", &headers).signed_by_aws(hash, None);
    let mut previous = seed(&fixture);
    let mut body = Vec::new();
    for chunk in chunks.iter().chain([&Vec::new()]) {
        body.extend_from_slice(format!("{:x}", chunk.len()).as_bytes());
        if !matches!(shape, Shape::UnsignedWithTrailer(_)) {
            previous = chunk_signature(chunk, &previous);
            body.extend_from_slice(format!(";chunk-signature={previous}").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(chunk);
        body.extend_from_slice(if chunk.is_empty() { b"" } else { b"\r\n" });
    }
    if let Some(algorithm) = trailer {
        let mut running = RunningChecksum::new(algorithm);
        running.update(&decoded);
        let value = running.finish().text();
        body.extend_from_slice(format!("{}:{value}\r\n", algorithm.header()).as_bytes());
        if matches!(shape, Shape::SignedWithTrailer(_)) {
            let signature = trailer_signature(algorithm.header(), &value, &previous);
            body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
    }
    body.extend_from_slice(b"\r\n");
    Upload { decoded, body, payload: payload_of(&fixture) }
}

fn seed(fixture: &RequestFixture) -> String {
    let value = fixture.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.as_slice());
    let text = std::str::from_utf8(value.expect("signed")).expect("ASCII");
    text.rsplit('=').next().expect("a signature").to_owned()
}

fn chunks_of(upload: &Upload) -> ChunkedPayload {
    match upload.payload.clone() {
        PayloadMode::Chunked(chunks) => chunks,
        PayloadMode::Digest(_) | PayloadMode::Unsigned => panic!("chunked"),
    }
}

fn verdict(payload: PayloadMode, body: &[u8]) -> Result<Option<Checksum>, PayloadFault> {
    let outcome = run(payload, &Bytes::copy_from_slice(body), &[]);
    if outcome.verdict.is_err() {
        assert!(outcome.after.is_empty());
    }
    outcome.verdict
}

fn replaced(body: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(body.to_vec()).expect("ASCII").replacen(from, to, 1).into_bytes()
}

#[test]
fn each_fault_in_the_framing_has_its_name() {
    let good = upload(&[b"hello ".to_vec(), b"world".to_vec()], Shape::UnsignedWithTrailer(CRC32C));
    let signed = upload(&[b"hello ".to_vec(), b"world".to_vec()], Shape::SignedWithTrailer(CRC32C));
    let body = &good.body;
    let trailer = "x-amz-checksum-crc32c:yZRlqg==\r\n";
    assert!(String::from_utf8_lossy(body).contains(trailer));
    let table: Vec<(Vec<u8>, PayloadFault)> = vec![
        ([body.as_slice(), b"\r\n"].concat(), PayloadFault::AfterEnd),
        (replaced(body, "world", "w0rld"), PayloadFault::Checksum(CRC32C)),
        (replaced(body, "5\r\n", "4\r\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "5\r\n", "6\r\n"), PayloadFault::TooLong),
        (replaced(body, "5\r\nworld\r\n", ""), PayloadFault::TooShort),
        (replaced(body, "6\r\n", "+6\r\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", "0x6\r\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", " 6\r\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", "\r\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", "6\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", "6;a=b\r\n"), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", &format!("{}6\r\n", "0".repeat(16))), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", &"0".repeat(200)), PayloadFault::ChunkMalformed),
        (replaced(body, "6\r\n", "ffffffffffffffff\r\n"), PayloadFault::TooLong),
        (replaced(body, "hello \r\n", "hello   "), PayloadFault::ChunkMalformed),
        (replaced(body, trailer, ""), PayloadFault::TrailerMalformed),
        (replaced(body, trailer, &[trailer, trailer].concat()), PayloadFault::TrailerMalformed),
        (replaced(body, trailer, &[trailer, "x-amz-meta-a:b\r\n"].concat()), PayloadFault::TrailerMalformed),
        (replaced(body, "crc32c", "crc32"), PayloadFault::TrailerMalformed),
        (replaced(body, "yZRlqg==", "yZRlqg="), PayloadFault::TrailerMalformed),
        (replaced(body, "yZRlqg==", &"y".repeat(300)), PayloadFault::TrailerMalformed),
        (replaced(body, "yZRlqg==", "yZRlqw=="), PayloadFault::Checksum(CRC32C)),
        (body[..body.len() - 2].to_vec(), PayloadFault::TooShort),
        (body[..20].to_vec(), PayloadFault::TooShort),
        (Vec::new(), PayloadFault::TooShort),
    ];
    for (body, fault) in table {
        assert_eq!(verdict(good.payload.clone(), &body), Err(fault), "{}", String::from_utf8_lossy(&body));
    }
    let signature = "x-amz-trailer-signature:";
    let zeros = "0".repeat(64);
    let forged = format!("{signature}{zeros}\r\n\r\n");
    let text = String::from_utf8(signed.body.clone()).expect("ASCII");
    let (rest, _) = text.split_once(signature).expect("a signed trailer");
    let table = [
        (replaced(&signed.body, "hello", "jello"), PayloadFault::ChunkSignature),
        (replaced(&signed.body, "world", "w0rld"), PayloadFault::ChunkSignature),
        (replaced(&signed.body, ";chunk-signature=", ";chunk-signatures="), PayloadFault::ChunkMalformed),
        (body.clone(), PayloadFault::ChunkMalformed),
        (format!("{rest}{forged}").into_bytes(), PayloadFault::TrailerSignature),
        (format!("{rest}\r\n\r\n").into_bytes(), PayloadFault::TrailerMalformed),
        (format!("{rest}\r\n").into_bytes(), PayloadFault::TooShort),
        (format!("{rest}{signature}abc\r\n\r\n").into_bytes(), PayloadFault::TrailerMalformed),
        (replaced(&signed.body, trailer, ""), PayloadFault::TrailerMalformed),
    ];
    for (body, fault) in table {
        assert_eq!(verdict(signed.payload.clone(), &body), Err(fault), "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn an_unsigned_trailer_may_end_as_minio_go_ends_it() {
    let payload =
        |trailer| PayloadMode::Chunked(ChunkedPayload { decoded_length: 1, signing: ChunkSigning::Unsigned, trailer });
    let body = |end: &str| format!("1\r\na\r\n0\r\nx-amz-checksum-crc32c:wdBDMA=={end}").into_bytes();
    for end in ["\r\n\r\n", "\n\r\n", "\n\r\n\r\n"] {
        assert!(verdict(payload(Some(CRC32C)), &body(end)).is_ok(), "{end:?}");
    }
    for end in ["\r\n\r\n\r\n", "\n\r\n\r\n\r\n", "\n\r\n\r", "\n\r\nx", "\n\r\n\n", "\n\r\nx\n"] {
        assert_eq!(verdict(payload(Some(CRC32C)), &body(end)), Err(PayloadFault::AfterEnd), "{end:?}");
    }
}

#[test]
fn a_signed_chunk_larger_than_the_limit_is_refused_and_an_unsigned_one_is_not() {
    let large = ChunkedPayload { decoded_length: 1 << 40, ..chunks_of(&upload(&[b"a".to_vec()], Shape::Signed)) };
    let line = |size: u64| format!("{size:x};chunk-signature={}\r\n", "0".repeat(64));
    let first = |chunks: &ChunkedPayload, line: &str| {
        PayloadVerifier::new(PayloadMode::Chunked(chunks.clone()), 0, DeclaredChecksums::default())
            .push(Bytes::copy_from_slice(line.as_bytes()))
    };
    assert_eq!(first(&large, &line(64 * 1024 * 1024)), Ok(()));
    assert_eq!(first(&large, &line(64 * 1024 * 1024 + 1)), Err(PayloadFault::ChunkTooLarge));
    let unsigned = ChunkedPayload { signing: ChunkSigning::Unsigned, ..large };
    assert_eq!(first(&unsigned, "10000000000\r\n"), Ok(()));
    assert_eq!(first(&unsigned, "10000000001\r\n"), Err(PayloadFault::TooLong));
}

#[test]
fn an_empty_upload_is_verified() {
    for shape in [Shape::Signed, Shape::SignedWithTrailer(CRC32C), Shape::UnsignedWithTrailer(CRC32C)] {
        let upload = upload(&[], shape);
        assert!(verdict(upload.payload.clone(), &upload.body).is_ok(), "{shape:?}");
        assert_eq!(verdict(upload.payload, b""), Err(PayloadFault::TooShort));
    }
}

#[test]
fn promises_in_headers_hold_for_the_decoded_bytes() {
    use md5::Digest as _;
    let upload = upload(&[b"hello ".to_vec(), b"world".to_vec()], Shape::Signed);
    for (text, expected) in [("hello world", Ok(None)), ("hello", Err(PayloadFault::ContentMd5))] {
        let promises = DeclaredChecksums { content_md5: Some(md5::Md5::digest(text).into()), checksum: None };
        let mut intake = PayloadVerifier::new(upload.payload.clone(), 0, promises);
        assert_eq!(intake.push(Bytes::from(upload.body.clone())), Ok(()));
        assert_eq!(intake.finish(), expected);
    }
}

#[test]
fn decoded_bytes_are_slices_of_the_input() {
    let upload = upload(&[vec![1; 100], vec![2; 100]], Shape::Signed);
    let body = Bytes::from(upload.body.clone());
    let mut intake = PayloadVerifier::new(upload.payload, 0, DeclaredChecksums::default());
    assert_eq!(intake.push(body.clone()), Ok(()));
    let slice = intake.pull().expect("the first chunk");
    assert!(body.as_ptr_range().contains(&slice.as_ptr()));
    assert_eq!(intake.pull(), None, "the last chunk waits for the end");
    assert!(intake.finish().is_ok());
    assert_eq!(intake.pull().as_deref(), Some([2; 100].as_slice()));
}

#[test]
fn an_empty_hash_is_the_hash_of_nothing() {
    use sha2::Digest as _;
    assert_eq!(hex::encode(sha2::Sha256::digest(b"")), EMPTY_SHA256);
    assert_eq!(SIGNED_AT.iso_basic(), "20130524T000000Z");
}

fn any_upload() -> impl Strategy<Value = Upload> {
    let algorithm = prop::sample::select(ChecksumAlgorithm::ALL.to_vec());
    let shape = (0..3, algorithm).prop_map(|(kind, algorithm)| match kind {
        0 => Shape::Signed,
        1 => Shape::SignedWithTrailer(algorithm),
        _ => Shape::UnsignedWithTrailer(algorithm),
    });
    let chunk = prop::collection::vec(any::<u8>(), 1..40);
    (prop::collection::vec(chunk, 1..4), shape).prop_map(|(chunks, shape)| upload(&chunks, shape))
}

proptest! {
    #[test]
    fn however_the_input_is_cut_the_bytes_are_the_same(
        upload in any_upload(),
        sizes in prop::collection::vec(1_usize..30, 1..8),
    ) {
        let outcome = run(upload.payload, &upload.body.into(), &sizes);
        prop_assert!(outcome.verdict.is_ok());
        prop_assert_eq!(outcome.all(), upload.decoded);
    }

    #[test]
    fn the_last_byte_never_leaves_before_all_is_verified(
        upload in any_upload(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        sizes in prop::collection::vec(1_usize..30, 1..8),
    ) {
        let mut body = upload.body.clone();
        let at = at.index(body.len());
        body[at] ^= flip;
        let outcome = run(upload.payload, &body.into(), &sizes);
        prop_assert!(outcome.before.len() < upload.decoded.len());
        match outcome.verdict {
            // A letter of another case where case does not matter, or a lone line feed in the trailer.
            Ok(_) => prop_assert_eq!(outcome.all(), upload.decoded),
            Err(_) => prop_assert!(outcome.after.is_empty()),
        }
    }

    #[test]
    fn a_body_that_ends_anywhere_before_its_end_stays_incomplete(
        upload in any_upload(),
        cut in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1_usize..30, 1..8),
    ) {
        let cut = cut.index(upload.body.len());
        let outcome = run(upload.payload, &Bytes::copy_from_slice(&upload.body[..cut]), &sizes);
        prop_assert_eq!(&outcome.verdict, &Err(PayloadFault::TooShort));
        prop_assert!(outcome.all().len() < upload.decoded.len());
    }

    #[test]
    fn arbitrary_input_never_panics_and_never_gets_through(
        upload in any_upload(),
        body in prop::collection::vec(any::<u8>(), 0..300),
        text in "[0-9a-f;=\r\n:x-]{0,200}",
    ) {
        for body in [body, text.into_bytes()] {
            let outcome = run(upload.payload.clone(), &body.into(), &[7]);
            prop_assert!(outcome.verdict.is_err());
            prop_assert!(outcome.all().len() < upload.decoded.len());
        }
    }
}
