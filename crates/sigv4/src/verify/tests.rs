mod sessions;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fixture::{
    INACTIVE_KEY_ID, KEY_ID, PARENT_KEY_ID, RequestFixture, SECRET, SIGNED_AT, accepted_scope, authorization, keyring,
};
use crate::{
    ChecksumAlgorithm, ChunkSigning, ClaimFault, CredentialScope, EMPTY_SHA256, SessionClaims, SessionFacts,
    SessionMfa, SessionOpener, SigningKey, UNSIGNED_PAYLOAD, UnsignedPayload,
};
use portcullis_base::percent::{percent_decode, percent_encode, percent_encode_path};
use portcullis_base::secret::Secret;
use portcullis_http::Transport;

const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE+/=";
const SESSION_FACTS: SessionFacts = SessionFacts { issued: SIGNED_AT, mfa: SessionMfa::Present };

/// Opens one token, with the access key id that the fixtures sign with.
#[derive(Debug)]
struct OneSession {
    holder: Principal,
    expires: Timestamp,
}

impl SessionOpener for OneSession {
    fn open(&self, key_id: &AccessKeyId, token: &str) -> Option<SessionClaims> {
        (key_id.as_str() == KEY_ID && token == SESSION_TOKEN).then(|| SessionClaims {
            parent: AccessKeyId::parse(PARENT_KEY_ID).expect("an id"),
            holder: self.holder.clone(),
            secret: Secret::new(SECRET.to_owned()),
            expires: self.expires,
            facts: SESSION_FACTS,
        })
    }
}

fn reason(fixture: RequestFixture) -> SignatureFault {
    fixture.verify().expect_err("refused").reason
}

fn in_header(fault: ClaimFault) -> SignatureFault {
    SignatureFault::Claim { form: SignatureForm::AuthHeader, fault }
}

fn in_query(fault: ClaimFault) -> SignatureFault {
    SignatureFault::Claim { form: SignatureForm::QueryString, fault }
}

/// A PUT signed by AWS's crate, its payload promised as `hash`.
fn put(hash: &str, headers: &[(&str, &str)]) -> RequestFixture {
    let headers = [&[HOST], headers].concat();
    RequestFixture::new("PUT", "/bucket/key", &headers).signed_by_aws(hash, None)
}

#[test]
fn aws_published_examples_are_accepted() {
    let put_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let put_headers = [
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        HOST,
        ("x-amz-content-sha256", put_hash),
        DATE,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ];
    let read_headers = [HOST, ("x-amz-content-sha256", EMPTY_SHA256), DATE];
    let read_signed = "host;x-amz-content-sha256;x-amz-date";
    let examples = [
        ("GET Object", RequestFixture::get_object()),
        (
            "PUT Object",
            RequestFixture::new("PUT", "/test$file.text", &put_headers).with(
                "authorization",
                &authorization(
                    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                ),
            ),
        ),
        (
            "GET Bucket Lifecycle",
            RequestFixture::new("GET", "/?lifecycle", &read_headers).with(
                "authorization",
                &authorization(read_signed, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ),
        ),
        (
            "List Objects",
            RequestFixture::new("GET", "/?max-keys=2&prefix=J", &read_headers).with(
                "authorization",
                &authorization(read_signed, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            ),
        ),
        ("presigned URL", RequestFixture::presigned()),
    ];
    for (name, example) in examples {
        let signed = example.verify().unwrap_or_else(|rejected| panic!("{name}: {rejected:?}"));
        assert_eq!(
            (signed.principal, signed.key_id.as_str(), signed.service),
            (Principal::Root, KEY_ID, AwsService::S3)
        );
        assert_eq!(signed.signed_at, SIGNED_AT);
    }
}

#[test]
fn what_the_signature_says_of_the_request_is_kept() {
    let signed = RequestFixture::get_object().verify().expect("signed");
    assert_eq!(signed.form, SignatureForm::AuthHeader);
    assert!(matches!(signed.payload, PayloadMode::Digest(digest) if hex::encode(digest) == EMPTY_SHA256));
    let signed = RequestFixture::presigned().verify().expect("signed");
    assert_eq!(signed.form, SignatureForm::QueryString);
    assert!(matches!(signed.payload, PayloadMode::Unsigned));
}

#[test]
fn a_date_header_stands_in_for_an_absent_x_amz_date() {
    for date in ["Fri, 24 May 2013 00:00:00 GMT", "20130524T000000Z"] {
        let headers = [("date", date), HOST, ("x-amz-content-sha256", EMPTY_SHA256)];
        let as_bytes = headers.map(|(name, value)| (name, value.as_bytes()));
        let scope = CredentialScope { date: "20130524", region: "us-east-1", service: "s3" };
        let request = canonical_request("GET", "/", "", &as_bytes, EMPTY_SHA256);
        let secret = keyring().find(&AccessKeyId::parse(KEY_ID).expect("an id")).expect("a key").secret;
        let signature = SigningKey::derive(&secret, &scope).sign(&string_to_sign(DATE.1, &scope, &request)).hex();
        let value = authorization("date;host;x-amz-content-sha256", &signature);
        let fixture = RequestFixture::new("GET", "/", &headers).with("authorization", &value);
        assert!(fixture.verify().is_ok(), "{date}");
        let unreadable = fixture.with("x-amz-date", "yesterday");
        assert_eq!(reason(unreadable), SignatureFault::DateMissing, "{date}");
    }
}

#[test]
fn each_payload_form_is_kept_as_what_it_promises() {
    let length = ("x-amz-decoded-content-length", "66560");
    let trailer = ("x-amz-trailer", "x-amz-checksum-crc32c");
    let chunks = |fixture: RequestFixture| match fixture.verify().expect("signed").payload {
        PayloadMode::Chunked(chunks) => {
            (chunks.decoded_length, matches!(chunks.signing, ChunkSigning::Signed(_)), chunks.trailer)
        }
        PayloadMode::Digest(_) | PayloadMode::Unsigned => panic!("chunked"),
    };
    assert_eq!(chunks(put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &[length])), (66560, true, None));
    let crc32c = Some(ChecksumAlgorithm::Crc32c);
    let signed = put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", &[length, trailer]);
    assert_eq!(chunks(signed), (66560, true, crc32c));
    let unsigned = put("STREAMING-UNSIGNED-PAYLOAD-TRAILER", &[length, trailer]);
    assert_eq!(chunks(unsigned), (66560, false, crc32c));
    assert_eq!(chunks(put("STREAMING-UNSIGNED-PAYLOAD-TRAILER", &[length])), (66560, false, None));
    assert!(matches!(put(UNSIGNED_PAYLOAD, &[]).verify().expect("signed").payload, PayloadMode::Unsigned));
}

#[test]
fn an_unsigned_payload_is_not_taken_in_the_clear() {
    let length = ("x-amz-decoded-content-length", "1");
    let trailer = ("x-amz-trailer", "x-amz-checksum-crc32");
    for fixture in [put(UNSIGNED_PAYLOAD, &[]), put("STREAMING-UNSIGNED-PAYLOAD-TRAILER", &[length, trailer])] {
        assert_eq!(reason(fixture.clone().over(Transport::Plain)), SignatureFault::UnsignedPayloadInClear);
        assert!(fixture.clone().over(Transport::Loopback).verify().is_ok());
        let anywhere = AcceptedScope { unsigned_payload: UnsignedPayload::Anywhere, ..accepted_scope() };
        assert!({
            let head = fixture.over(Transport::Plain).head().expect("a head");
            verify(&head, &keyring(), SIGNED_AT, &anywhere).is_ok()
        });
    }
    for method in ["DELETE", "GET", "HEAD"] {
        let headers = [HOST, DATE, ("x-amz-content-sha256", UNSIGNED_PAYLOAD)];
        let bodiless = RequestFixture::new(method, "/b/k", &headers).signed_by_aws(UNSIGNED_PAYLOAD, None);
        assert!(bodiless.over(Transport::Plain).verify().is_ok(), "{method} reads no body");
    }
    assert!(RequestFixture::presigned().over(Transport::Plain).verify().is_ok());
    assert!(RequestFixture::get_object().over(Transport::Plain).verify().is_ok());
}

#[test]
fn a_presigned_payload_hash_may_be_in_a_signed_header_or_in_the_query() {
    let lifetime = Some(Duration::from_secs(60));
    let digest = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let header = ("x-amz-content-sha256", digest);
    let fixture = RequestFixture::new("PUT", "/b/k", &[HOST, header]).signed_by_aws(digest, lifetime);
    assert!(matches!(fixture.verify().expect("signed").payload, PayloadMode::Digest(_)));
    let target = format!("/b/k?X-Amz-Content-Sha256={UNSIGNED_PAYLOAD}");
    let fixture = RequestFixture::new("PUT", &target, &[HOST]).signed_by_aws(UNSIGNED_PAYLOAD, lifetime);
    assert!(matches!(fixture.verify().expect("signed").payload, PayloadMode::Unsigned));
    let both = RequestFixture::new("PUT", &target, &[HOST, header]).signed_by_aws(digest, lifetime);
    assert_eq!(reason(both), SignatureFault::PayloadHashMalformed);
    let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let header = ("x-amz-content-sha256", streaming);
    let chunked = RequestFixture::new("PUT", "/b/k", &[HOST, header]).signed_by_aws(streaming, lifetime);
    assert_eq!(reason(chunked), SignatureFault::PayloadHashMalformed);
}

#[test]
fn a_header_claim_in_no_exact_form_is_malformed() {
    let get = RequestFixture::get_object;
    let wrong_region = ClaimFault::Region { claimed: "eu-west-1".to_owned(), expected: "us-east-1".to_owned() };
    let table = [
        (get().replaced("us-east-1", "eu-west-1"), wrong_region),
        (get().replaced("/s3/", "/ec2/"), ClaimFault::Service { claimed: "ec2".to_owned() }),
        (get().replaced("/s3/", "/iam/"), ClaimFault::Service { claimed: "iam".to_owned() }),
        (get().replaced("aws4_request", "aws5_request"), ClaimFault::Terminator),
        (get().replaced("/aws4_request", ""), ClaimFault::Credential),
        (get().replaced("aws4_request", "aws4_request/more"), ClaimFault::Credential),
        (get().replaced(KEY_ID, "AKIA/IOSFODNN7EXAMPLE"), ClaimFault::Credential),
        (get().replaced(KEY_ID, ""), ClaimFault::Credential),
        (get().replaced("/20130524/", "/2013052/"), ClaimFault::Credential),
        (get().replaced(",Signature", ",Region=a,Signature"), ClaimFault::UnknownField),
        (get().replaced(",Signature", ",,Signature"), ClaimFault::UnknownField),
        (get().replaced(",Signature=", ",signature="), ClaimFault::UnknownField),
        (get().replaced("Credential=", "Signature=a,Credential="), ClaimFault::Repeated("Signature")),
        (get().replaced("SignedHeaders=host", "Other"), ClaimFault::UnknownField),
        (get().with("authorization", "AWS4-HMAC-SHA256 Credential=a"), ClaimFault::Missing("SignedHeaders")),
        (get().with("authorization", "AWS4-HMAC-SHA256 SignedHeaders=a"), ClaimFault::Missing("Credential")),
        (
            get().with("authorization", "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b"),
            ClaimFault::Missing("Signature"),
        ),
        (get().replaced("f0e8bdb8", "F0E8BDB8"), ClaimFault::Signature),
        (get().replaced("6bdb41", "6bdb4"), ClaimFault::Signature),
        (get().replaced("host;range", "range;host"), ClaimFault::SignedHeaders),
        (get().replaced("host;range", "host;host;range"), ClaimFault::SignedHeaders),
        (get().replaced("host;range", "Host;range"), ClaimFault::SignedHeaders),
        (get().replaced("host;range", "host;;range"), ClaimFault::SignedHeaders),
    ];
    for (fixture, fault) in table {
        let sent = format!("{:?}", fixture.headers.last().map(|(_, value)| String::from_utf8_lossy(value)));
        assert_eq!(reason(fixture), in_header(fault), "{sent}");
    }
}

#[test]
fn a_presigned_claim_in_no_exact_form_is_malformed() {
    let url = RequestFixture::presigned;
    let wrong_region = ClaimFault::Region { claimed: "eu-west-1".to_owned(), expected: "us-east-1".to_owned() };
    let table = [
        (url().replaced("us-east-1", "eu-west-1"), wrong_region),
        (url().replaced("%2Fs3%2F", "%2Fsts%2F"), ClaimFault::Service { claimed: "sts".to_owned() }),
        (url().replaced("=AWS4-HMAC-SHA256", "=AWS4-HMAC-SHA512"), ClaimFault::Algorithm),
        (url().replaced("=20130524T000000Z", "=2013-05-24T00:00:00Z"), ClaimFault::Date),
        (url().replaced("Expires=86400", "Expires=0"), ClaimFault::ExpiresOutOfRange),
        (url().replaced("Expires=86400", "Expires=-1"), ClaimFault::ExpiresOutOfRange),
        (url().replaced("Expires=86400", "Expires=604801"), ClaimFault::ExpiresOutOfRange),
        (url().replaced("Expires=86400", "Expires=99999999999999999999"), ClaimFault::ExpiresOutOfRange),
        (url().replaced("Expires=86400", "Expires=1e3"), ClaimFault::ExpiresMalformed),
        (url().replaced("Expires=86400", "Expires="), ClaimFault::ExpiresMalformed),
        (url().replaced("&X-Amz-Expires=86400", ""), ClaimFault::Missing("X-Amz-Expires")),
        (url().replaced("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), ClaimFault::Missing("X-Amz-Algorithm")),
        (url().replaced("&X-Amz-Date=20130524T000000Z", ""), ClaimFault::Missing("X-Amz-Date")),
        (url().replaced("&X-Amz-SignedHeaders=host", ""), ClaimFault::Missing("X-Amz-SignedHeaders")),
        (url().replaced("X-Amz-Signature", "x-amz-signature"), ClaimFault::Missing("X-Amz-Signature")),
        (url().replaced("X-Amz-Credential", "X-Amz-Credentials"), ClaimFault::Missing("X-Amz-Credential")),
        (url().replaced("SignedHeaders=host", "SignedHeaders=Host"), ClaimFault::SignedHeaders),
        (url().replaced("04d404", "04d40"), ClaimFault::Signature),
    ];
    for (fixture, fault) in table {
        let sent = fixture.target.clone();
        assert_eq!(reason(fixture), in_query(fault), "{sent}");
    }
}

#[test]
fn every_other_reason_has_a_request_that_meets_it() {
    let get = RequestFixture::get_object;
    let url = RequestFixture::presigned;
    let second = Duration::from_secs(1);
    let quarter = Duration::from_secs(900);
    let before =
        |span: Duration| Timestamp::from_millis(SIGNED_AT.millis() - i64::try_from(span.as_millis()).expect("small"));
    let day = Duration::from_secs(86400);
    let unsigned = |name: &str| SignatureFault::HeadersNotSigned(vec![name.to_owned()]);
    let chunks = |fixture: RequestFixture| {
        fixture
            .replaced(EMPTY_SHA256, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            .replaced("x-amz-date,", "x-amz-date;x-amz-decoded-content-length,")
    };
    let length = "x-amz-decoded-content-length";
    let late = SIGNED_AT.plus(quarter + second);
    let table = [
        (get().without("authorization"), SignatureFault::Anonymous),
        (url().with("authorization", "AWS4-HMAC-SHA256 a"), SignatureFault::SeveralMechanisms),
        (get().replaced("/test.txt", "/test.txt?X-Amz-Signature=a"), SignatureFault::SeveralMechanisms),
        (get().replaced("/test.txt", "/test.txt?x-amz-algorithm=a"), SignatureFault::SeveralMechanisms),
        (url().replaced("/test.txt?", "/test.txt?AWSAccessKeyId=a&"), SignatureFault::SeveralMechanisms),
        (get().with("authorization", &format!("AWS {KEY_ID}:frJIUN8DYpKDtOLCwo//yllqDzg=")), SignatureFault::SigV2),
        (
            get().without("authorization").replaced("/test.txt", "/test.txt?AWSAccessKeyId=a&Signature=b&Expires=1"),
            SignatureFault::SigV2,
        ),
        (get().replaced("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), SignatureFault::SigV4A),
        (url().replaced("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), SignatureFault::SigV4A),
        (get().replaced(EMPTY_SHA256, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), SignatureFault::SigV4A),
        (get().with("authorization", "Bearer abc"), SignatureFault::UnknownScheme),
        (get().with("authorization", ""), SignatureFault::UnknownScheme),
        (get().without("x-amz-date"), SignatureFault::DateMissing),
        (get().with("x-amz-date", "20130524T000000"), SignatureFault::DateMissing),
        (get().replaced("/20130524/", "/20130523/"), SignatureFault::ScopeDate),
        (url().replaced("%2F20130524%2F", "%2F20130523%2F"), SignatureFault::ScopeDate),
        (get().at(late), SignatureFault::Skewed { signed_at: SIGNED_AT, now: late }),
        (
            get().at(before(quarter + second)),
            SignatureFault::Skewed { signed_at: SIGNED_AT, now: before(quarter + second) },
        ),
        (
            url().at(SIGNED_AT.plus(day + second)),
            SignatureFault::Expired {
                at: SIGNED_AT.plus(day),
                lifetime_seconds: 86400,
                now: SIGNED_AT.plus(day + second),
            },
        ),
        (
            url().at(before(quarter + second)),
            SignatureFault::NotYetValid { signed_at: SIGNED_AT, now: before(quarter + second) },
        ),
        (get().with("x-amz-security-token", "a"), unsigned("x-amz-security-token")),
        (url().replaced("/test.txt?", "/test.txt?X-Amz-Security-Token=a&"), SignatureFault::SessionToken),
        (get().with("x-amz-security-token", "a").with("x-amz-mfa", "a 123456"), SignatureFault::SessionTokenWithMfa),
        (
            url().replaced("/test.txt?", "/test.txt?X-Amz-Security-Token=a&").with("x-amz-mfa", "a 123456"),
            SignatureFault::SessionTokenWithMfa,
        ),
        (get().with("x-amz-mfa", "a 123456"), unsigned("x-amz-mfa")),
        (url().with("x-amz-mfa", "a 123456"), unsigned("x-amz-mfa")),
        (get().with("x-minio-force-delete", "true"), unsigned("x-minio-force-delete")),
        (get().with("x-rustfs-force-delete", "true"), unsigned("x-rustfs-force-delete")),
        (get().with("x-rgw-any", "true"), unsigned("x-rgw-any")),
        (get().with("rgwx-any", "true"), unsigned("rgwx-any")),
        (get().with("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="), unsigned("content-md5")),
        (get().replaced("=host;", "="), unsigned("host")),
        (url().replaced("SignedHeaders=host", "SignedHeaders=range").with("range", "bytes=0-9"), unsigned("host")),
        (
            get().replaced(";x-amz-content-sha256;x-amz-date", ""),
            SignatureFault::HeadersNotSigned(vec!["x-amz-content-sha256".to_owned(), "x-amz-date".to_owned()]),
        ),
        (get().without("range"), SignatureFault::SignedHeaderAbsent("range".to_owned())),
        (
            get().replaced("=host;", "=content-type;host;"),
            SignatureFault::SignedHeaderAbsent("content-type".to_owned()),
        ),
        (
            get().without("x-amz-content-sha256").replaced("x-amz-content-sha256;", ""),
            SignatureFault::PayloadHashMissing,
        ),
        (get().with("x-amz-content-sha256", "abc"), SignatureFault::PayloadHashMalformed),
        (get().with("x-amz-content-sha256", &EMPTY_SHA256.to_uppercase()), SignatureFault::PayloadHashMalformed),
        (chunks(get()).replaced(";x-amz-decoded-content-length", ""), SignatureFault::DecodedLengthMissing),
        (chunks(get()).with(length, "-1"), SignatureFault::DecodedLengthMalformed),
        (chunks(get()).with(length, ""), SignatureFault::DecodedLengthMalformed),
        (chunks(get()).with(length, "18446744073709551616"), SignatureFault::DecodedLengthMalformed),
        (
            put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &[(length, "1"), ("x-amz-trailer", "a")]),
            SignatureFault::TrailerMismatch,
        ),
        (put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", &[(length, "1")]), SignatureFault::TrailerMismatch),
        (
            put("STREAMING-UNSIGNED-PAYLOAD-TRAILER", &[(length, "1"), ("x-amz-trailer", "x-amz-meta-a")]),
            SignatureFault::TrailerUnsupported,
        ),
        (get().replaced("/test.txt", "/test%FF.txt"), SignatureFault::Path),
        (get().replaced(KEY_ID, "AKIAUNKNOWNUNKNOWN00"), SignatureFault::UnknownKey),
        (get().replaced(KEY_ID, "short"), SignatureFault::UnknownKey),
        (get().replaced(KEY_ID, INACTIVE_KEY_ID), SignatureFault::InactiveKey),
        (get().with("range", "bytes=0-8"), SignatureFault::SignatureMismatch),
        (get().replaced("f0e8bdb8", "f0e8bdb9"), SignatureFault::SignatureMismatch),
        (url().with("x-amz-date", "20130524T000000Z"), unsigned("x-amz-date")),
    ];
    for (fixture, expected) in table {
        let sent = format!("{fixture:?}");
        assert_eq!(reason(fixture), expected, "{sent}");
    }
}

#[test]
fn a_request_is_good_until_the_last_moment_of_its_time() {
    let quarter = Duration::from_secs(900);
    let early = Timestamp::from_seconds(SIGNED_AT.seconds() - 900);
    for fixture in [RequestFixture::get_object().at(early), RequestFixture::get_object().at(SIGNED_AT.plus(quarter))] {
        assert!(fixture.verify().is_ok());
    }
    for fixture in [
        RequestFixture::presigned().at(early),
        RequestFixture::presigned().at(SIGNED_AT.plus(Duration::from_secs(86400))),
    ] {
        assert!(fixture.verify().is_ok());
    }
}

#[test]
fn a_rejection_names_the_claimed_key_as_soon_as_one_is_claimed() {
    let key_id =
        |fixture: RequestFixture| fixture.verify().expect_err("refused").key_id.map(|id| id.as_str().to_owned());
    let get = RequestFixture::get_object;
    assert_eq!(key_id(get().with("range", "bytes=0-8")).as_deref(), Some(KEY_ID));
    assert_eq!(key_id(get().replaced("us-east-1", "eu-west-1")).as_deref(), Some(KEY_ID));
    assert_eq!(key_id(get().replaced(KEY_ID, "AKIAUNKNOWNUNKNOWN00")).as_deref(), Some("AKIAUNKNOWNUNKNOWN00"));
    assert_eq!(key_id(get().without("authorization")), None);
}

#[test]
fn what_was_verified_prints_no_signature_and_no_key() {
    let fixture = put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &[("x-amz-decoded-content-length", "1")]);
    let sent = fixture.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.clone());
    let signature = String::from_utf8(sent.expect("signed")).expect("ASCII").rsplit('=').next().map(str::to_owned);
    let printed = format!("{:?}", fixture.verify().expect("signed"));
    assert!(!printed.contains(&signature.expect("a signature")), "{printed}");
}

#[test]
fn metadata_in_utf8_is_signed_byte_for_byte() {
    let fixture = put(EMPTY_SHA256, &[("x-amz-meta-city", "Zürich")]);
    assert!(fixture.verify().is_ok());
    assert_eq!(reason(fixture.replaced("Zürich", "Zurich")), SignatureFault::SignatureMismatch);
}

fn folded(value: &[u8]) -> Vec<u8> {
    let mut out = value.trim_ascii().to_vec();
    out.dedup_by(|next, previous| *next == b' ' && *previous == b' ');
    out
}

/// All that a signature covers, in the one form in which two requests are the same.
#[derive(Debug, PartialEq)]
struct Meaning {
    path: String,
    pairs: Vec<(String, String)>,
    headers: Vec<(String, Vec<u8>)>,
}

fn meaning(fixture: &RequestFixture) -> Option<Meaning> {
    let head = fixture.head().ok()?;
    let mut pairs = head.query.pairs().to_vec();
    pairs.sort();
    let headers = fixture.headers.iter().map(|(name, value)| (name.clone(), folded(value))).collect();
    Some(Meaning { path: percent_decode(&head.path)?, pairs, headers })
}

fn fixture() -> impl Strategy<Value = RequestFixture> {
    let method = prop::sample::select(vec!["GET", "PUT", "POST", "DELETE", "HEAD"]);
    let pairs = prop::collection::btree_map("[a-zA-Z-]{1,8}", "[ -~é]{0,12}", 0..4);
    let lifetime = prop::option::of(1_u64..604_800);
    (method, "[ -~é]{0,24}", pairs, "[!-~]( {0,3}[!-~]){0,8}", lifetime).prop_map(
        |(method, key, pairs, note, lifetime)| {
            let query: Vec<String> =
                pairs.iter().map(|(key, value)| format!("{key}={}", percent_encode(value))).collect();
            let mark = if query.is_empty() { "" } else { "?" };
            let target = format!("/bucket/{}{mark}{}", percent_encode_path(&key), query.join("&"));
            let headers = [HOST, ("x-amz-meta-note", note.as_str()), ("content-type", "text/plain")];
            let hash = if lifetime.is_some() { UNSIGNED_PAYLOAD } else { EMPTY_SHA256 };
            RequestFixture::new(method, &target, &headers).signed_by_aws(hash, lifetime.map(Duration::from_secs))
        },
    )
}

proptest! {
    #[test]
    fn what_aws_own_signer_signs_is_accepted(fixture in fixture()) {
        prop_assert!(fixture.verify().is_ok(), "{:?} {:?}", fixture.verify(), fixture);
    }

    #[test]
    fn any_changed_byte_is_refused(
        fixture in fixture(),
        place in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in 0x20_u8..0x7f,
    ) {
        let mut changed = fixture.clone();
        let place = place.index(changed.headers.len() + 1);
        let mut bytes = match changed.headers.get(place) {
            Some((_, value)) => value.clone(),
            None => changed.target.clone().into_bytes(),
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match changed.headers.get_mut(place) {
            Some((_, value)) => *value = bytes,
            None => changed.target = String::from_utf8(bytes).expect("ASCII"),
        }
        if let Some(meaning_after) = meaning(&changed) {
            let same = Some(meaning_after) == meaning(&fixture);
            prop_assert_eq!(changed.verify().is_ok(), same, "{:?}", changed);
        }
    }

    #[test]
    fn an_added_or_removed_header_or_pair_is_refused(fixture in fixture(), extra in "x-amz-[a-z]{1,8}") {
        prop_assert!(fixture.clone().with(&extra, "a").verify().is_err());
        prop_assert!(fixture.clone().without("x-amz-meta-note").verify().is_err());
        let separator = if fixture.target.contains('?') { '&' } else { '?' };
        let target = format!("{}{separator}versionId=a", fixture.target);
        let longer = RequestFixture { target, ..fixture };
        prop_assert!(longer.head().is_err() || longer.verify().is_err());
    }

    #[test]
    fn reading_a_claim_never_panics(
        fields in ".*",
        pairs in prop::collection::vec(("X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)", ".*"), 0..7),
    ) {
        let header = RequestFixture::get_object();
        for text in [fields.clone(), format!("AWS4-HMAC-SHA256 {fields}"), format!("AWS4-HMAC-SHA256 Credential={fields},SignedHeaders={fields},Signature={fields}")] {
            if let Ok(head) = header.clone().with("authorization", &text).head() {
                prop_assert!(verify(&head, &keyring(), SIGNED_AT, &accepted_scope()).is_err());
            }
        }
        let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", percent_encode(value))).collect();
        let url = RequestFixture::new("GET", &format!("/?{}", query.join("&")), &[HOST]);
        if let Ok(head) = url.head() {
            prop_assert!(verify(&head, &keyring(), SIGNED_AT, &accepted_scope()).is_err());
        }
    }
}
