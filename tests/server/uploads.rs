//! Uploads during which the bucket changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncWriteExt;

use crate::rig::{Ask, Content, Manner, Rig, exchange, open, read, wait_for};

const SUSPEND: &str = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";

#[tokio::test]
async fn an_upload_whose_bucket_was_suspended_under_way_does_not_complete() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let bytes = Ask::new("PUT /vault/k").body(vec![b'a'; 300_000]).signed(&rig.root, rig.now());
    let (all_but_the_end, end) = bytes.split_at(bytes.len() - 10);
    let mut slow = open(rig.address, all_but_the_end).await;
    wait_for("the upload's beginning", || (!rig.upstream.mutations().is_empty()).then_some(())).await;

    let suspend = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(SUSPEND);
    assert_eq!(rig.send(&suspend).await.status, 200);

    slow.write_all(end).await.expect("sent");
    assert_eq!(read(&mut slow).await.said(), (409, "OperationAborted".to_owned()));
    let upload = rig.upstream.mutations().into_iter().find(|seen| seen.target == "/vault/k").expect("begun");
    let left = wait_for("the upload's end", || {
        let seen = rig.upstream.mutations().into_iter().find(|seen| seen.target == upload.target);
        seen.map(|seen| seen.content).filter(|content| *content != Content::Coming)
    })
    .await;
    assert!(matches!(left, Content::CutOff(length) if length < 300_000), "{left:?}");
    let events = rig.events();
    let upload = events.iter().find(|event| event.said().0 == "PutObject").expect("recorded");
    assert_eq!(upload.said(), ("PutObject", "OperationAborted"));
}

#[tokio::test]
async fn an_upload_during_which_nothing_changed_completes() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let bytes = Ask::new("PUT /vault/k").body(vec![b'a'; 300_000]).signed(&rig.root, rig.now());
    let (all_but_the_end, end) = bytes.split_at(bytes.len() - 10);
    let mut slow = open(rig.address, all_but_the_end).await;
    wait_for("the upload's beginning", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
    rig.protect("other").await;
    slow.write_all(end).await.expect("sent");
    assert_eq!(read(&mut slow).await.status, 200);
}

#[tokio::test]
async fn an_upload_that_began_before_the_protection_does_not_replace_the_null_version_after_it() {
    let rig = Rig::start().await;
    let bytes = Ask::new("PUT /vault/k").body(vec![b'a'; 300_000]).signed(&rig.root, rig.now());
    let (all_but_the_end, end) = bytes.split_at(bytes.len() - 10);
    let mut slow = open(rig.address, all_but_the_end).await;
    wait_for("the upload's beginning", || (!rig.upstream.mutations().is_empty()).then_some(())).await;

    let enable =
        SUSPEND.replace("<Status>Suspended</Status>", "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>");
    for document in [enable.as_str(), SUSPEND] {
        let ask = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(document);
        assert_eq!(rig.send(&ask).await.status, 200);
    }

    slow.write_all(end).await.expect("sent");
    assert_eq!(read(&mut slow).await.said(), (409, "OperationAborted".to_owned()));
}

const ENABLE: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter></Filter>\
    <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

#[tokio::test]
async fn refused_and_repeated_changes_do_not_withdraw_an_upload_and_a_real_change_does() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let mallory = rig.user("mallory").await;
    for (change, status) in [(ENABLE, 200), (SUSPEND, 409)] {
        let bytes = Ask::new("PUT /vault/k").body(vec![b'a'; 300_000]).signed(&rig.root, rig.now());
        let (all_but_the_end, end) = bytes.split_at(bytes.len() - 10);
        let mut slow = open(rig.address, all_but_the_end).await;
        let begun = || rig.upstream.mutations().iter().filter(|seen| seen.target == "/vault/k").count();
        wait_for("the upload's beginning", || (begun() > 0).then_some(())).await;

        for _ in 0..20 {
            for (line, document, expected) in [
                ("PUT /vault?versioning", SUSPEND, 403),
                ("PUT /vault?lifecycle", LIFECYCLE, 409),
                ("PUT /vault?policy", POLICY, 403),
            ] {
                let ask = Ask::new(line).document(document);
                let reply = exchange(rig.address, &ask.signed(&mallory, rig.now())).await;
                assert_eq!(reply.status, expected, "a user's {line}: {reply:?}");
                assert_eq!(rig.send(&ask).await.status, expected, "root's {line} without a code");
            }
        }
        for line in ["DELETE /vault", "PUT /vault"] {
            assert_eq!(exchange(rig.address, &Ask::new(line).signed(&mallory, rig.now())).await.status, 403, "{line}");
        }
        let wrong = rig.device.wrong_offer(rig.now());
        let wrong = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &wrong).document(SUSPEND);
        assert_eq!(rig.send(&wrong).await.code(), "TokenCodeInvalidError");
        // What root may change, the store refuses: nothing changed either.
        rig.upstream.answer(Manner::Refuse(409, "InvalidBucketState"));
        let refused = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(SUSPEND);
        assert_eq!(rig.send(&refused).await.status, 409);
        rig.upstream.answer(Manner::Answer);

        let ask = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(change);
        assert_eq!(rig.send(&ask).await.status, 200);
        slow.write_all(end).await.expect("sent");
        assert_eq!(read(&mut slow).await.status, status, "{change}");
        rig.upstream.forget();
        // The wrong code is forgotten.
        rig.pass_steps(365 * 2880);
    }
}

#[tokio::test]
async fn what_is_refused_does_not_wait_for_a_change_under_way() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let mallory = rig.user("mallory").await;
    rig.upstream.answer(Manner::Hold);
    let suspend = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(SUSPEND);
    let wrong = rig.device.wrong_offer(rig.now());
    let (suspended, ()) = tokio::join!(rig.send(&suspend), async {
        wait_for("the change", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
        let ask = Ask::new("PUT /vault?versioning").document(SUSPEND);
        assert_eq!(exchange(rig.address, &ask.signed(&mallory, rig.now())).await.status, 403);
        assert_eq!(rig.send(&ask.header("x-amz-mfa", &wrong)).await.code(), "TokenCodeInvalidError");
        rig.upstream.answer(Manner::Answer);
    });
    assert_eq!(suspended.status, 200);
    assert_eq!(rig.upstream.mutations().len(), 1);
}

#[tokio::test]
async fn a_slow_change_by_a_user_keeps_nobody_out_of_a_bucket() {
    let rig = Rig::start().await;
    let mallory = rig.user("mallory").await;
    rig.upstream.answer(Manner::Hold);
    let changes = [
        Ask::new("PUT /vault?versioning").document(ENABLE),
        Ask::new("PUT /vault?policy").body(POLICY),
        Ask::new("DELETE /vault"),
        Ask::new("PUT /vault"),
    ];
    let mut changing = Vec::new();
    for ask in &changes {
        changing.push(open(rig.address, &ask.signed(&mallory, rig.now())).await);
    }
    let mut upload = open(rig.address, &Ask::new("PUT /vault/k").body("content").signed(&rig.root, rig.now())).await;
    wait_for("all of them", || (rig.upstream.mutations().len() == changes.len() + 1).then_some(())).await;
    rig.upstream.answer(Manner::Answer);
    assert_eq!(read(&mut upload).await.status, 200);
    for mut change in changing {
        assert!(read(&mut change).await.status < 300);
    }
}

#[tokio::test]
async fn roots_change_gets_through_a_flood_of_uploads() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let mallory = rig.user("mallory").await;
    let over = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..16)
        .map(|place| {
            let (address, over) = (rig.address, over.clone());
            let bytes = Ask::new(&format!("PUT /vault/k{place}")).body("content").signed(&mallory, rig.now());
            tokio::spawn(async move {
                let mut sent = 0;
                while !over.load(Ordering::SeqCst) {
                    exchange(address, &bytes).await;
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    wait_for("the flood", || (rig.upstream.mutations().len() > 32).then_some(())).await;
    let suspend = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(SUSPEND);
    assert_eq!(rig.send(&suspend).await.status, 200);
    over.store(true, Ordering::SeqCst);
    for client in flood {
        assert!(client.await.expect("ended") > 0);
    }
}
