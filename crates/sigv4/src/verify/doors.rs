//! The API that a signature is for: exactly one, independent of the rest of the request.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::fixture::{RequestFixture, SIGNED_AT, accepted_scope, keyring};
use crate::{EMPTY_SHA256, UNSIGNED_PAYLOAD};

const BODY: &[u8] = br#"{"Name":"all"}"#;
const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.GetTrail";

fn of_cloudtrail() -> AcceptedScope {
    AcceptedScope { services: &[AwsService::CloudTrail], ..accepted_scope() }
}

fn unsigned() -> RequestFixture {
    RequestFixture::new(
        "POST",
        "/",
        &[("host", "127.0.0.1:9000"), ("content-type", "application/x-amz-json-1.1"), ("x-amz-target", TARGET)],
    )
}

/// A call as stock clients send it: without the hash of its body.
fn call() -> RequestFixture {
    unsigned().signed_for(AwsService::CloudTrail, &hash(BODY), None)
}

fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn with_body(fixture: &RequestFixture, body: &[u8]) -> Result<VerifiedRequest, SignatureRejection> {
    let head = fixture.head().expect("a head");
    UnverifiedCall::read(&head, fixture.now, &of_cloudtrail())?.with_body(body, &keyring())
}

fn reason(fixture: &RequestFixture, body: &[u8]) -> SignatureFault {
    with_body(fixture, body).expect_err("refused").reason
}

/// Which of all doors let the request in.
fn opened(fixture: &RequestFixture, body: &[u8]) -> Vec<AwsService> {
    let head = fixture.head().expect("a head");
    let enters = |door: &'static AwsService| {
        if *door == AwsService::S3 {
            return verify(&head, &keyring(), fixture.now, &accepted_scope());
        }
        let accepted_scope = AcceptedScope { services: std::slice::from_ref(door), ..accepted_scope() };
        UnverifiedCall::read(&head, fixture.now, &accepted_scope)
            .and_then(|unproved| unproved.with_body(body, &keyring()))
    };
    DOORS.iter().filter_map(|door| enters(door).ok()).map(|signed| signed.service).collect()
}

static DOORS: [AwsService; AwsService::ALL.len()] = AwsService::ALL;

#[test]
fn a_call_is_verified_by_the_hash_of_its_body() {
    assert!(!call().headers.iter().any(|(name, _)| name == "x-amz-content-sha256"));
    let signed = with_body(&call(), BODY).expect("right");
    assert_eq!(
        (signed.principal, signed.service, signed.form),
        (Principal::Root, AwsService::CloudTrail, SignatureForm::AuthHeader)
    );
    assert_eq!(signed.signed_at, SIGNED_AT);
    for other in [&b""[..], b"{}", br#"{"Name":"all"} "#] {
        assert_eq!(reason(&call(), other), SignatureFault::SignatureMismatch);
    }
}

#[test]
fn a_hash_that_is_sent_has_to_be_the_bodys() {
    let sends = |sent: &str, signed: &str| {
        let fixture = unsigned().with("x-amz-content-sha256", sent);
        with_body(&fixture.signed_for(AwsService::CloudTrail, signed, None), BODY).map(|signed| signed.service)
    };
    assert_eq!(sends(&hash(BODY), &hash(BODY)).ok(), Some(AwsService::CloudTrail));
    for sent in [UNSIGNED_PAYLOAD, EMPTY_SHA256, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
        let refused = sends(sent, sent).expect_err("refused");
        assert_eq!(refused.reason, SignatureFault::PayloadHashMalformed, "{sent}");
        assert!(sends(sent, &hash(BODY)).is_err(), "{sent}");
    }
}

#[test]
fn what_decides_a_call_is_signed() {
    for (name, value) in [("x-amz-mfa", "20899872 301749"), ("x-amz-anything", "x"), ("content-md5", "x")] {
        assert_eq!(reason(&call().with(name, value), BODY), SignatureFault::HeadersNotSigned(vec![name.to_owned()]));
    }
    for name in ["content-type", "x-amz-target"] {
        let fixture = unsigned().without(name).signed_for(AwsService::CloudTrail, &hash(BODY), None).with(name, "x");
        assert_eq!(reason(&fixture, BODY), SignatureFault::HeadersNotSigned(vec![name.to_owned()]));
    }
    let other = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DeleteTrail";
    assert_eq!(reason(&call().with("x-amz-target", other), BODY), SignatureFault::SignatureMismatch);
    assert_eq!(reason(&call().replaced("content-type;host;", "content-type;"), BODY), {
        SignatureFault::HeadersNotSigned(vec!["host".to_owned()])
    });
}

#[test]
fn a_presigned_url_is_no_call() {
    let fixture =
        unsigned().signed_for(AwsService::CloudTrail, UNSIGNED_PAYLOAD, Some(std::time::Duration::from_secs(60)));
    assert_eq!(reason(&fixture, b""), SignatureFault::PayloadHashMissing);
    let claimed = claimed_service(&fixture.head().expect("a head"));
    assert_eq!(claimed, Some((AwsService::CloudTrail, SignatureForm::QueryString)));
    assert_eq!(opened(&fixture, b""), []);
}

#[test]
fn a_call_is_of_now_and_of_a_known_key_and_without_a_session() {
    let later = SIGNED_AT.plus(std::time::Duration::from_secs(3600));
    assert!(matches!(reason(&call().at(later), BODY), SignatureFault::Skewed { .. }));
    assert_eq!(
        reason(&call().replaced("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7ANOTHER"), BODY),
        SignatureFault::UnknownKey
    );
    let with_token = unsigned().with("x-amz-security-token", "t").signed_for(AwsService::CloudTrail, &hash(BODY), None);
    assert_eq!(reason(&with_token, BODY), SignatureFault::SessionToken);
}

#[test]
fn each_signature_opens_the_door_of_its_service_alone() {
    for service in AwsService::ALL {
        let fixture = unsigned().signed_for(service, &hash(BODY), None);
        assert_eq!(opened(&fixture, BODY), [service], "{service:?}");
        assert_eq!(claimed_service(&fixture.head().expect("a head")), Some((service, SignatureForm::AuthHeader)));
    }
}

proptest! {
    #[test]
    fn no_request_opens_a_door_that_its_scope_does_not_name(
        signed_for in 0..AwsService::ALL.len(),
        claims in 0..AwsService::ALL.len(),
        method in "GET|POST|PUT|DELETE",
        target in "/|/vault|/vault/key|/\\?delete",
        has_target in any::<bool>(),
        has_hash in any::<bool>(),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let (signed_for, claims) = (AwsService::ALL[signed_for], AwsService::ALL[claims]);
        let mut fixture = RequestFixture { method, target, ..unsigned() };
        if !has_target {
            fixture = fixture.without("x-amz-target");
        }
        if has_hash {
            fixture = fixture.with("x-amz-content-sha256", &hash(&body));
        }
        let fixture = fixture.signed_for(signed_for, &hash(&body), None);
        let fixture = fixture.replaced(
            &format!("/us-east-1/{}/aws4_request", signed_for.as_str()),
            &format!("/us-east-1/{}/aws4_request", claims.as_str()),
        );
        let opened = opened(&fixture, &body);
        prop_assert_eq!(claimed_service(&fixture.head().expect("a head")), Some((claims, SignatureForm::AuthHeader)));
        if signed_for == claims {
            prop_assert_eq!(opened, vec![claims]);
        } else {
            prop_assert_eq!(opened, vec![]);
        }
    }
}
