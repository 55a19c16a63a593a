//! With whose key the store is asked, and what becomes of a key that the store refuses.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Ask, Keys, Manner, Reply, Rig, UPSTREAM_KEY_ID, UpstreamRequest, exchange, open, read};
use portcullis_s3::UpstreamKind;

const OWN: &str = UPSTREAM_KEY_ID;
const ALICE: &str = "ALICE-AT-THE-STORE";

async fn send(rig: &Rig, keys: &Keys, ask: &Ask) -> Reply {
    exchange(rig.address, &ask.signed(keys, rig.now())).await
}

/// Gives a user a key at the store.
async fn give(rig: &Rig, user: &str, id: &str) {
    let parameters = [("UserName", user), ("AccessKeyId", id), ("SecretAccessKey", "secret-of-the-store")];
    rig.administer("PutUserUpstreamCredentials", &parameters).await;
}

/// A proxy, and alice, who is a user of the store too.
async fn with_alice() -> (Rig, Keys) {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let alice = rig.user("alice").await;
    give(&rig, "alice", ALICE).await;
    (rig, alice)
}

fn signer(seen: &UpstreamRequest) -> String {
    let authorization = seen.header("authorization").expect("signed");
    let (_, credential) = authorization.split_once("Credential=").expect("a credential");
    credential.split('/').next().expect("a key id").to_owned()
}

/// What the store was asked by one request, each with the key that signed it.
async fn asked(rig: &Rig, keys: &Keys, ask: &Ask) -> Vec<String> {
    rig.upstream.forget();
    let reply = send(rig, keys, ask).await;
    assert!(reply.status < 300, "{ask:?}: {reply:?}");
    rig.upstream.seen().iter().map(|seen| format!("{} {}", signer(seen), seen.line())).collect()
}

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const BATCH: &str = "<Delete><Object><Key>k</Key></Object></Delete>";
const BATCH_OF_VERSIONS: &str = "<Delete><Object><Key>k</Key><VersionId>v1</VersionId></Object></Delete>";
const PARTS: &str =
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part></CompleteMultipartUpload>";

/// A request of each class, in a bucket without MFA Delete.
fn requests() -> Vec<Ask> {
    let upload = crate::rig::upload_id(UpstreamKind::Minio, 1);
    vec![
        Ask::new("GET /"),
        Ask::new("PUT /open"),
        Ask::new("HEAD /open"),
        Ask::new("GET /open?location"),
        Ask::new("GET /open?versioning"),
        Ask::new("PUT /open?versioning").document(ENABLED),
        Ask::new("PUT /open?policy").document("{\"Version\":\"2012-10-17\",\"Statement\":[]}"),
        Ask::new("PUT /open/k").body("content"),
        Ask::new("PUT /open/k2").header("x-amz-copy-source", "/open/k"),
        Ask::new("GET /open/k"),
        Ask::new("HEAD /open/k"),
        Ask::new("POST /open/k?uploads"),
        Ask::new(&format!("PUT /open/k?partNumber=1&uploadId={upload}")).body("part"),
        Ask::new(&format!("POST /open/k?uploadId={upload}")).document(PARTS),
        Ask::new(&format!("DELETE /open/k?uploadId={upload}")),
        Ask::new("DELETE /open/k"),
        Ask::new("DELETE /open/k?versionId=v1"),
        Ask::new("POST /open?delete").document(BATCH),
        Ask::new("POST /open?delete").document(BATCH_OF_VERSIONS),
        Ask::new("DELETE /open"),
    ]
}

#[tokio::test]
async fn a_user_of_the_store_is_that_user_there_and_all_others_are_portcullis() {
    let (rig, alice) = with_alice().await;
    let bob = rig.user("bob").await;
    for ask in requests() {
        for (keys, expected) in [(&alice, ALICE), (&bob, OWN), (&rig.root, OWN)] {
            let asked = asked(&rig, keys, &ask).await;
            assert!(!asked.is_empty(), "{ask:?}");
            assert!(asked.iter().all(|asked| asked.starts_with(&format!("{expected} "))), "{ask:?}: {asked:?}");
        }
    }
}

#[tokio::test]
async fn what_protection_depends_on_is_read_and_changed_with_portcullis_own_key() {
    let (rig, alice) = with_alice().await;
    rig.protect("vault").await;
    assert_eq!(
        asked(&rig, &alice, &Ask::new("PUT /vault/k").body("content")).await,
        [format!("{OWN} GET /vault?versioning="), format!("{ALICE} PUT /vault/k")]
    );
    for ask in [
        Ask::new("DELETE /vault/k?versionId=v1"),
        Ask::new("POST /vault?delete").document(BATCH_OF_VERSIONS),
        Ask::new("PUT /vault?versioning").document(ENABLED),
        Ask::new("DELETE /vault"),
    ] {
        rig.upstream.forget();
        let refused = send(&rig, &alice, &ask).await;
        assert_eq!(refused.said(), (403, "AccessDenied".to_owned()), "{ask:?}");
        assert_eq!(rig.upstream.seen(), [], "{ask:?}");
        let offer = rig.fresh_offer();
        let asked = asked(&rig, &rig.root, &ask.clone().header("x-amz-mfa", &offer)).await;
        assert!(asked.iter().all(|asked| asked.starts_with(&format!("{OWN} "))), "{asked:?}");
    }
}

#[tokio::test]
async fn a_key_that_the_store_refuses_is_the_operators_to_mend_and_its_policy_is_the_users_to_hear() {
    let (rig, alice) = with_alice().await;
    let put = Ask::new("PUT /open/k").body("content");
    for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "UserSuspended", "ExpiredToken"] {
        rig.upstream.answer(Manner::Refuse(403, code));
        let reply = send(&rig, &alice, &put).await;
        assert_eq!(reply.said(), (503, "ServiceUnavailable".to_owned()), "{code}");
        assert!(reply.body.contains("acts there for this user. Please tell its operator"), "{reply:?}");
        let reply = rig.send(&put).await;
        assert!(reply.body.contains("does not accept the proxy's credentials"), "{code}: {reply:?}");
    }
    for (status, code) in [(403, "AccessDenied"), (403, "QuotaExceeded"), (400, "TooManyBuckets")] {
        rig.upstream.answer(Manner::Refuse(status, code));
        assert_eq!(send(&rig, &alice, &put).await.said(), (status, code.to_owned()));
    }
    rig.upstream.answer(Manner::Answer);
    // None of them may still be carried out: the bucket could not be protected then.
    rig.protect("open").await;
}

#[tokio::test]
async fn a_refusal_without_a_document_is_asked_about_once_more_with_the_same_key() {
    let (rig, alice) = with_alice().await;
    let error = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    for line in ["HEAD /open/k", "HEAD /open"] {
        rig.upstream.answer_read(line, 403, &[]);
        for (code, status) in [("InvalidAccessKeyId", 503), ("AccessDenied", 403), ("NoSuchBucket", 403)] {
            rig.upstream.answer_read_with("GET /open?location=", 403, &error(code));
            rig.upstream.forget();
            assert_eq!(send(&rig, &alice, &Ask::new(line)).await.status, status, "{line} {code}");
            let seen = rig.upstream.seen();
            assert_eq!(seen.iter().map(UpstreamRequest::line).collect::<Vec<_>>(), [line, "GET /open?location="]);
            assert!(seen.iter().all(|seen| signer(seen) == ALICE), "{seen:?}");
        }
        rig.upstream.forget();
        assert_eq!(rig.send(&Ask::new(line)).await.status, 403);
        assert_eq!(rig.upstream.seen().len(), 1, "Portcullis's own key is known by what protection reads");
    }
}

#[tokio::test]
async fn an_upload_goes_on_with_the_key_that_the_user_has_by_then() {
    let (rig, alice) = with_alice().await;
    let upload = send(&rig, &alice, &Ask::new("POST /open/k?uploads")).await.element("UploadId").expect("an id");
    give(&rig, "alice", "ALICE-NEXT").await;
    let part = Ask::new(&format!("PUT /open/k?partNumber=1&uploadId={upload}")).body("part");
    assert!(asked(&rig, &alice, &part).await.iter().all(|asked| asked.starts_with("ALICE-NEXT ")));
    rig.administer("DeleteUserUpstreamCredentials", &[("UserName", "alice")]).await;
    let complete = Ask::new(&format!("POST /open/k?uploadId={upload}")).document(PARTS);
    assert!(asked(&rig, &alice, &complete).await.iter().all(|asked| asked.starts_with(&format!("{OWN} "))));
}

#[tokio::test]
async fn a_user_who_is_removed_while_the_request_comes_does_not_become_portcullis() {
    let (rig, alice) = with_alice().await;
    let ask = Ask::new("POST /open?delete").unsigned_header("expect", "100-continue").document(BATCH);
    let bytes = ask.signed(&alice, rig.now());
    let (head, body) = bytes.split_at(bytes.len() - BATCH.len());
    let mut stream = open(rig.address, head).await;
    let mut promised = [0; 25];
    stream.read_exact(&mut promised).await.expect("the signature is verified, and the body wanted");
    assert_eq!(&promised, b"HTTP/1.1 100 Continue\r\n\r\n");
    let key = [("UserName", "alice"), ("AccessKeyId", alice.key_id.as_str())];
    rig.administer("DeleteAccessKey", &key).await;
    let policy = ("PolicyArn", "arn:aws:iam::aws:policy/readwrite");
    rig.administer("DetachUserPolicy", &[("UserName", "alice"), policy]).await;
    rig.administer("DeleteUser", &[("UserName", "alice")]).await;
    rig.upstream.forget();
    stream.write_all(body).await.expect("sent");
    // It has no policies any more by the time that the document is judged.
    let reply = read(&mut stream).await;
    assert!(reply.status == 200 && reply.body.contains("<Code>AccessDenied</Code>"), "{reply:?}");
    assert_eq!(rig.upstream.seen().iter().map(signer).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(send(&rig, &alice, &Ask::new("GET /open/k")).await.said(), (403, "InvalidAccessKeyId".to_owned()));
}

#[tokio::test]
async fn a_bucket_whose_versioning_the_store_does_not_tell_portcullis_is_not_protected() {
    let (rig, _) = with_alice().await;
    rig.upstream.set_versioning("hers", "Enabled");
    let denied = "<Error><Code>AccessDenied</Code></Error>";
    rig.upstream.answer_read_with("GET /hers?versioning=", 403, denied);
    let protect =
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    let offer = rig.fresh_offer();
    let ask = Ask::new("PUT /hers?versioning").header("x-amz-mfa", &offer).document(protect);
    let reply = rig.send(&ask).await;
    assert_eq!(reply.said(), (409, "InvalidBucketState".to_owned()));
    assert!(reply.body.contains("does not let the proxy read how the bucket is protected"), "{reply:?}");
    assert_eq!(rig.upstream.mutations(), []);
}
