//! Temporary credentials: where a token belongs, and what ends a session.

use super::*;
use crate::{KeyringKey, SigningCredentials};

/// A keyring with the key that asked for the session, and not with the session's own.
fn ring(holder: Principal, status: KeyStatus) -> Keyring {
    let expires = SIGNED_AT.plus(Duration::from_secs(900));
    let keyring = Keyring::with_sessions(Box::new(OneSession { holder: Principal::Root, expires }));
    let parent = KeyringKey { holder, secret: Secret::new("of the parent".to_owned()), status };
    keyring.set(AccessKeyId::parse(PARENT_KEY_ID).expect("an id"), parent);
    keyring
}

fn verified(fixture: &RequestFixture, keyring: &Keyring) -> Result<SigningCredentials, SignatureFault> {
    let head = fixture.head().expect("a head");
    let signed = verify(&head, keyring, fixture.now, &accepted_scope());
    signed.map(|signed| signed.credentials).map_err(|rejection| rejection.reason)
}

fn in_header(token: &str) -> RequestFixture {
    RequestFixture::new("GET", "/test.txt", &[HOST, ("x-amz-security-token", token)]).signed_by_aws(EMPTY_SHA256, None)
}

fn in_url(key: &str) -> RequestFixture {
    let target = format!("/test.txt?{key}={}", percent_encode(SESSION_TOKEN));
    let lifetime = Some(Duration::from_secs(86_400));
    RequestFixture::new("GET", &target, &[HOST]).signed_by_aws(UNSIGNED_PAYLOAD, lifetime)
}

fn root() -> Keyring {
    ring(Principal::Root, KeyStatus::Active)
}

#[test]
fn a_session_signs_in_a_header_and_in_a_url() {
    for fixture in [in_header(SESSION_TOKEN), in_url("X-Amz-Security-Token")] {
        assert_eq!(verified(&fixture, &root()), Ok(SigningCredentials::Session(SESSION_FACTS)));
    }
    let long_term = RequestFixture::new("GET", "/test.txt", &[HOST]).signed_by_aws(EMPTY_SHA256, None);
    assert_eq!(verified(&long_term, &keyring()), Ok(SigningCredentials::LongTerm));
    assert_eq!(verified(&long_term, &root()), Err(SignatureFault::UnknownKey), "a session's key without its token");
}

#[test]
fn a_call_may_be_signed_by_a_session() {
    let fixture = RequestFixture::new("POST", "/", &[HOST, ("x-amz-security-token", SESSION_TOKEN)]);
    let fixture = fixture.signed_for(AwsService::Sts, EMPTY_SHA256, None);
    let head = fixture.head().expect("a head");
    let scope = AcceptedScope { services: &[AwsService::Sts], ..accepted_scope() };
    let signed = UnverifiedCall::read(&head, fixture.now, &scope).and_then(|call| call.with_body(b"", &root()));
    assert_eq!(signed.map(|signed| signed.credentials), Ok(SigningCredentials::Session(SESSION_FACTS)));
}

#[test]
fn a_token_is_signed_and_in_its_place() {
    let fault = |fixture: &RequestFixture| verified(fixture, &root()).expect_err("refused");
    let bare = RequestFixture::new("GET", "/test.txt", &[HOST]).signed_by_aws(EMPTY_SHA256, None);
    assert_eq!(
        fault(&bare.with("x-amz-security-token", SESSION_TOKEN)),
        SignatureFault::HeadersNotSigned(vec!["x-amz-security-token".to_owned()])
    );
    let lifetime = Some(Duration::from_secs(60));
    let elsewhere = RequestFixture::new("GET", "/test.txt", &[HOST, ("x-amz-security-token", SESSION_TOKEN)]);
    let twice = in_url("X-Amz-Security-Token").replaced("/test.txt?", "/test.txt?x-amz-security-token=a&");
    let long = "a".repeat(2049);
    for fixture in [
        elsewhere.signed_by_aws(UNSIGNED_PAYLOAD, lifetime),
        in_header(SESSION_TOKEN).replaced("/test.txt", "/test.txt?X-Amz-Security-Token=a"),
        in_url("x-amz-security-token"),
        twice,
        in_header(&long),
        in_header("another"),
    ] {
        assert_eq!(fault(&fixture), SignatureFault::SessionToken, "{fixture:?}");
    }
    let tampered = in_url("X-Amz-Security-Token").replaced("EXAMPLE%2B", "EXAMPLE%2b");
    assert_eq!(verified(&tampered, &root()), Ok(SigningCredentials::Session(SESSION_FACTS)), "the same token");
    let with_code =
        RequestFixture::new("GET", "/", &[HOST, ("x-amz-security-token", SESSION_TOKEN), ("x-amz-mfa", "a 1")]);
    assert_eq!(fault(&with_code.signed_by_aws(EMPTY_SHA256, None)), SignatureFault::SessionTokenWithMfa);
    assert_eq!(fault(&in_header(SESSION_TOKEN).replaced("/test.txt", "/other.txt")), SignatureFault::SignatureMismatch);
    assert_eq!(fault(&in_header(SESSION_TOKEN).replaced(KEY_ID, INACTIVE_KEY_ID)), SignatureFault::SessionToken);
}

#[test]
fn a_session_ends_with_its_time_and_with_the_key_that_asked_for_it() {
    let url = in_url("X-Amz-Security-Token");
    let at = |seconds| url.clone().at(SIGNED_AT.plus(Duration::from_secs(seconds)));
    assert!(verified(&at(899), &root()).is_ok());
    assert_eq!(verified(&at(900), &root()), Err(SignatureFault::SessionExpired));
    assert_eq!(verified(&url, &ring(Principal::Root, KeyStatus::Inactive)), Err(SignatureFault::SessionToken));
    let alice = Principal::User(portcullis_base::names::UserName::parse("alice").expect("a name"));
    assert_eq!(verified(&url, &ring(alice, KeyStatus::Active)), Err(SignatureFault::SessionToken));
    let gone = root();
    gone.remove(&AccessKeyId::parse(PARENT_KEY_ID).expect("an id"));
    assert_eq!(verified(&url, &gone), Err(SignatureFault::SessionToken));
}
