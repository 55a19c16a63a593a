//! What is written down before what, and what becomes of a bucket's protection when the store fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_journal::{JournalReader, RecordKind};

use crate::rig::{Ask, Manner, Reply, Rig, outcomes_on_disk, wait_for};

const ENABLE: &str =
    "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
const DISABLE: &str =
    "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>";

async fn set(rig: &Rig, document: &str) -> Reply {
    let ask = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer());
    rig.send(&ask.document(document)).await
}

#[tokio::test]
async fn the_intent_is_on_disk_before_the_store_is_asked_and_the_outcome_before_the_reply() {
    let rig = Rig::start().await;
    let (directory, found) = (rig.journal_directory(), Arc::new(Mutex::new(Vec::new())));
    // What root's device needed to be made is on record in the same way.
    let before = outcomes_on_disk(&directory).len();
    let kept = found.clone();
    rig.upstream.on_arrival(move |_| {
        let intents = JournalReader::open(&directory).expect("a journal").filter_map(Result::ok);
        let intents: Vec<_> = intents.filter(|record| record.kind == RecordKind::Intent).collect();
        kept.lock().expect("sound").push(intents);
    });
    for line in ["PUT /vault/k", "DELETE /vault/k", "PUT /vault", "POST /vault/k?uploads"] {
        let reply = rig.send(&Ask::new(line).body(if line == "PUT /vault/k" { "content" } else { "" })).await;
        assert!(reply.status < 300, "{line}: {reply:?}");
        let intents = found.lock().expect("sound").pop().expect("the store was asked");
        let intent = intents.last().unwrap_or_else(|| panic!("{line}: no intent"));
        let outcome = rig.journal().into_iter().find(|entry| entry.kind == RecordKind::Outcome(intent.sequence));
        assert!(outcome.is_some(), "{line}: no outcome of that very intent");
    }
    let outcomes = outcomes_on_disk(&rig.journal_directory());
    assert_eq!(outcomes.len() - before, 4);
    for (intent, on_disk) in outcomes {
        assert!(intent <= on_disk, "intent {intent} was on no disk when its outcome was known, only {on_disk}");
    }
}

#[tokio::test]
async fn protection_is_recorded_before_the_store_hears_of_the_request() {
    let rig = Rig::start().await;
    rig.upstream.answer(Manner::Hold);
    let (reply, ()) = tokio::join!(set(&rig, ENABLE), async {
        wait_for("the request", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
        assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Enabled"));
        rig.upstream.answer(Manner::Answer);
    });
    assert_eq!(reply.status, 200);
    assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Enabled"));
}

#[tokio::test]
async fn protection_is_taken_back_when_the_store_refuses() {
    let rig = Rig::start().await;
    rig.upstream.answer(Manner::Refuse(409, "InvalidBucketState"));
    assert_eq!(set(&rig, ENABLE).await.said(), (409, "InvalidBucketState".to_owned()));
    assert_eq!(rig.mfa_delete("vault").await, None);
    rig.upstream.answer(Manner::Answer);
    assert_eq!(set(&rig, ENABLE).await.status, 200);
    assert_eq!(set(&rig, DISABLE).await.status, 200);
    rig.upstream.answer(Manner::Refuse(409, "InvalidBucketState"));
    assert_eq!(set(&rig, ENABLE).await.status, 409);
    assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Disabled"));
}

#[tokio::test]
async fn protection_stays_when_nobody_knows_what_the_store_did() {
    let rig = Rig::with(|settings| settings.upstream.response_timeout = Duration::from_millis(200)).await;
    for manner in
        [Manner::Refuse(500, "InternalError"), Manner::Refuse(503, "SlowDown"), Manner::BreakOff, Manner::Hold]
    {
        let bucket =
            format!("{manner:?}").chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        rig.upstream.answer(manner);
        let enable = Ask::new(&format!("PUT /{bucket}?versioning")).header("x-amz-mfa", &rig.fresh_offer());
        let reply = rig.send(&enable.document(ENABLE)).await;
        assert!(reply.status >= 500, "{manner:?}: {reply:?}");
        assert_eq!(rig.mfa_delete(&bucket).await.as_deref(), Some("Enabled"), "{manner:?}");
    }
    rig.upstream.answer(Manner::Answer);
    rig.protect("vault").await;
    for manner in [Manner::BreakOff, Manner::Hold, Manner::Refuse(500, "InternalError")] {
        rig.upstream.answer(manner);
        let reply = set(&rig, DISABLE).await;
        assert!(reply.status >= 500, "{manner:?}: {reply:?}");
        assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Enabled"), "{manner:?}");
    }
}

#[tokio::test]
async fn protection_is_gone_only_after_the_store_has_agreed() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    rig.upstream.answer(Manner::Hold);
    let (reply, ()) = tokio::join!(set(&rig, DISABLE), async {
        wait_for("the request", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
        assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Enabled"));
        rig.upstream.answer(Manner::Answer);
    });
    assert_eq!(reply.status, 200);
    assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Disabled"));
}

#[tokio::test]
async fn a_bucket_that_went_stays_protected_when_it_comes_again() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let delete = Ask::new("DELETE /vault").header("x-amz-mfa", &rig.fresh_offer());
    assert_eq!(rig.send(&delete).await.status, 204);
    assert_eq!(rig.send(&Ask::new("PUT /vault")).await.said(), (403, "AccessDenied".to_owned()));
    let offer = rig.fresh_offer();
    assert_eq!(rig.send(&Ask::new("PUT /vault").header("x-amz-mfa", &offer)).await.status, 200);
}

#[tokio::test]
async fn a_delete_waits_for_a_change_of_versioning_under_way_and_is_judged_after_it() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    rig.upstream.answer(Manner::Hold);
    let suspend = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let (suspended, deleted) = tokio::join!(set(&rig, suspend), async {
        wait_for("the request", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
        let delete = Ask::new("DELETE /vault/k");
        let mut deleting = Box::pin(rig.send(&delete));
        let early = tokio::time::timeout(Duration::from_millis(100), deleting.as_mut()).await;
        assert!(early.is_err(), "judged by a state that was about to change: {early:?}");
        rig.upstream.answer(Manner::Answer);
        deleting.await
    });
    assert_eq!(suspended.status, 200);
    assert_eq!(deleted.said(), (403, "AccessDenied".to_owned()));
    assert_eq!(rig.upstream.mutations().len(), 1);
}
