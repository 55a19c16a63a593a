//! A store that does not answer, and carries out later what it was asked.

use portcullis_s3::UpstreamKind;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::calls::call;
use crate::recovery::died_while;
use crate::rig::{Ask, Keys, Manner, Reply, Rig, exchange, open, upload_id, wait_for};

const PROTECTED: &str =
    "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const SUSPENDED: &str = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

/// Steps of half a minute in which whatever was not answered is carried out or never is.
const LATEST: i64 = 42;

async fn send(rig: &Rig, keys: &Keys, ask: &Ask) -> Reply {
    exchange(rig.address, &ask.signed(keys, rig.now())).await
}

async fn set(rig: &Rig, document: &str) -> Reply {
    rig.send(&Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(document)).await
}

fn aborted() -> (u16, String) {
    (409, "OperationAborted".to_owned())
}

#[tokio::test]
async fn a_bucket_is_not_protected_while_the_store_may_carry_out_what_was_free_before() {
    for manner in [Manner::BreakOffBefore, Manner::FailBefore(500), Manner::FailBefore(502), Manner::FailBefore(504)] {
        for ask in [
            Ask::new("PUT /vault/k").body("late"),
            Ask::new("DELETE /vault/k"),
            Ask::new("DELETE /vault/k?versionId=null"),
            Ask::new("POST /vault?delete").document("<Delete><Object><Key>k</Key></Object></Delete>"),
            Ask::new("PUT /vault?versioning").document(SUSPENDED),
            Ask::new("PUT /vault?policy").body(POLICY),
        ] {
            let rig = Rig::of(UpstreamKind::Minio).await;
            let mallory = rig.user("mallory").await;
            assert_eq!(rig.send(&Ask::new("PUT /vault/k").body("precious")).await.status, 200);
            rig.upstream.answer(manner);
            let reply = send(&rig, &mallory, &ask).await;
            assert!(reply.status >= 500, "{manner:?} {ask:?}: {reply:?}");
            rig.upstream.answer(Manner::Answer);
            let refused = set(&rig, PROTECTED).await;
            assert_eq!(refused.said(), aborted(), "{manner:?} {ask:?}: {refused:?}");
            assert!(refused.body.contains("Try again after 2027-01-15T08:2"), "{refused:?}");
            assert_eq!(rig.mfa_delete("vault").await, None);
            let rig = rig.restart(|_| {}).await;
            assert_eq!(set(&rig, PROTECTED).await.said(), aborted(), "{manner:?} {ask:?}, after a restart");
            rig.pass_steps(LATEST);
            assert_eq!(set(&rig, PROTECTED).await.status, 200, "{manner:?} {ask:?}, when it can come no more");
        }
    }
}

#[tokio::test]
async fn what_certainly_was_not_done_and_what_does_no_harm_late_keeps_no_bucket_from_being_protected() {
    let upload = upload_id(UpstreamKind::Minio, 1);
    for (manner, ask) in [
        (Manner::Refuse(403, "AccessDenied"), Ask::new("PUT /vault/k").body("content")),
        (Manner::Refuse(501, "NotImplemented"), Ask::new("PUT /vault?policy").body(POLICY)),
        (Manner::BreakOff, Ask::new("POST /vault/k?uploads")),
        (Manner::BreakOff, Ask::new(&format!("PUT /vault/k?partNumber=1&uploadId={upload}")).body("part")),
        (Manner::BreakOff, Ask::new(&format!("DELETE /vault/k?uploadId={upload}"))),
        (Manner::BreakOff, Ask::new("DELETE /vault?lifecycle")),
        (Manner::BreakOff, Ask::new("PUT /vault?versioning").document(ENABLED)),
        (Manner::BreakOff, Ask::new("PUT /other/k").body("content")),
    ] {
        let rig = Rig::of(UpstreamKind::Minio).await;
        let mallory = rig.user("mallory").await;
        rig.upstream.answer(manner);
        assert!(send(&rig, &mallory, &ask).await.status >= 400, "{manner:?} {ask:?}");
        assert_eq!(rig.upstream.mutations().len(), 1, "{ask:?} reached the store");
        rig.upstream.answer(Manner::Answer);
        let reply = set(&rig, PROTECTED).await;
        assert_eq!(reply.status, 200, "{manner:?} {ask:?}: {reply:?}");
    }
}

#[tokio::test]
async fn an_upload_whose_end_was_held_back_is_nothing_that_the_store_may_do() {
    let rig = Rig::start().await;
    let mallory = rig.user("mallory").await;
    let bytes = Ask::new("PUT /vault/k").body(vec![b'a'; 300_000]).signed(&mallory, rig.now());
    let mut slow = open(rig.address, &bytes[..bytes.len() - 10]).await;
    wait_for("the upload's beginning", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
    slow.shutdown().await.expect("shut");
    drop(slow);
    rig.events_when(1).await;
    assert_eq!(set(&rig, PROTECTED).await.status, 200);
}

#[tokio::test]
async fn versioning_is_not_suspended_while_the_store_may_carry_out_a_write_that_adds_a_version() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let mallory = rig.user("mallory").await;
    rig.protect("vault").await;
    rig.upstream.answer(Manner::BreakOffBefore);
    assert_eq!(send(&rig, &mallory, &Ask::new("PUT /vault/k").body("late")).await.status, 503);
    rig.upstream.answer(Manner::Answer);
    assert_eq!(set(&rig, SUSPENDED).await.said(), aborted());
    assert_eq!(set(&rig, ENABLED).await.status, 200, "nothing of it would replace anything");
    assert_eq!(send(&rig, &mallory, &Ask::new("PUT /vault/k").body("next")).await.status, 200, "users go on");
    rig.pass_steps(LATEST);
    assert_eq!(set(&rig, SUSPENDED).await.status, 200);
}

#[tokio::test]
async fn a_suspension_that_was_not_answered_counts_as_one_until_it_shows_or_cannot_come() {
    let put = || Ask::new("PUT /vault/k").body("content");
    for shows in [false, true] {
        let rig = Rig::of(UpstreamKind::Minio).await;
        let mallory = rig.user("mallory").await;
        rig.protect("vault").await;
        let manner = if shows { Manner::BreakOffAfterwards } else { Manner::BreakOffBefore };
        rig.upstream.answer(manner);
        assert_eq!(set(&rig, SUSPENDED).await.status, 503);
        rig.upstream.answer(Manner::Answer);
        assert_eq!(send(&rig, &mallory, &put()).await.status, 403, "shows: {shows}");
        assert_eq!(set(&rig, ENABLED).await.status, 200);
        let expected = if shows { 200 } else { 403 };
        assert_eq!(send(&rig, &mallory, &put()).await.status, expected, "shows: {shows}");
        rig.pass_steps(LATEST);
        rig.upstream.give_up();
        assert_eq!(send(&rig, &mallory, &put()).await.status, 200, "shows: {shows}");
    }
}

#[tokio::test]
async fn a_versioning_that_was_seen_before_a_suspension_came_late_is_not_believed_after_it() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let mallory = rig.user("mallory").await;
    rig.protect("vault").await;
    rig.upstream.answer(Manner::BreakOffBefore);
    assert_eq!(set(&rig, SUSPENDED).await.status, 503);
    rig.upstream.answer(Manner::Answer);
    let put = || Ask::new("PUT /vault/k").body("content");
    assert_eq!(send(&rig, &mallory, &put()).await.status, 403, "it was seen to be enabled, and may be suspended");
    rig.upstream.act_late();
    rig.pass_steps(LATEST);
    assert_eq!(send(&rig, &mallory, &put()).await.status, 403, "what was seen is twenty minutes old");
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn an_old_upload_is_not_completed_where_another_may_still_be() {
    let parts =
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";
    let rig = Rig::of(UpstreamKind::Minio).await;
    let mallory = rig.user("mallory").await;
    for _ in 0..2 {
        assert_eq!(send(&rig, &mallory, &Ask::new("POST /vault/new?uploads")).await.status, 200);
    }
    rig.protect("vault").await;
    assert_eq!(send(&rig, &mallory, &Ask::new("POST /vault/new?uploads")).await.status, 200);
    let completing = |number| {
        let upload = upload_id(UpstreamKind::Minio, number);
        Ask::new(&format!("POST /vault/new?uploadId={upload}")).document(parts)
    };
    rig.upstream.answer(Manner::BreakOffBefore);
    assert_eq!(send(&rig, &mallory, &completing(1)).await.status, 503);
    rig.upstream.answer(Manner::Answer);
    assert_eq!(send(&rig, &mallory, &completing(2)).await.status, 403);
    let rig = rig.restart(|_| {}).await;
    assert_eq!(send(&rig, &mallory, &completing(2)).await.status, 403, "after a restart");
    assert_eq!(send(&rig, &mallory, &completing(3)).await.status, 200, "opened in the protected bucket");
    rig.upstream.act_late();
    assert_eq!(send(&rig, &mallory, &completing(2)).await.status, 403);
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn a_key_of_a_batch_over_which_the_store_failed_may_be_deleted_late_and_one_that_it_refused_may_not() {
    for (code, expected) in [("InternalError", 409), ("SlowDownWrite", 409), ("AccessDenied", 200), ("NoSuchKey", 200)]
    {
        let rig = Rig::of(UpstreamKind::Minio).await;
        let mallory = rig.user("mallory").await;
        let result = format!(
            "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>{code}</Code></Error></DeleteResult>"
        );
        rig.upstream.answer_read_with("POST /vault?delete=", 200, &result);
        let document = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
        let batch = send(&rig, &mallory, &Ask::new("POST /vault?delete").document(document)).await;
        assert!(batch.status == 200 && batch.body.contains(code), "{batch:?}");
        assert_eq!(set(&rig, PROTECTED).await.status, expected, "{code}");
    }
}

#[tokio::test]
async fn what_a_crash_left_at_the_store_keeps_the_bucket_from_being_protected() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let rig = died_while(rig, &[Ask::new("PUT /vault/k").body("late")], |rig| {
        rig.upstream.answer_read("HEAD /vault/k", 404, &[]);
    })
    .await;
    assert_eq!(set(&rig, PROTECTED).await.said(), aborted());
    rig.pass_steps(LATEST);
    assert_eq!(set(&rig, PROTECTED).await.status, 200);

    let rig = Rig::of(UpstreamKind::Minio).await;
    let rig = died_while(rig, &[Ask::new("DELETE /vault/k?versionId=v1"), Ask::new("POST /vault/k?uploads")], |rig| {
        rig.upstream.answer_read("HEAD /vault/k?versionId=v1", 404, &[]);
    })
    .await;
    assert_eq!(
        set(&rig, PROTECTED).await.status,
        200,
        "it was seen to be done, and an upload is judged when it completes"
    );
}

#[tokio::test]
async fn no_trail_takes_a_bucket_in_which_the_store_may_still_write() {
    let rig = Rig::start().await;
    let mallory = rig.user("mallory").await;
    rig.upstream.answer(Manner::BreakOffBefore);
    assert_eq!(send(&rig, &mallory, &Ask::new("PUT /logs/k").body("late")).await.status, 503);
    rig.upstream.answer(Manner::Answer);
    let trail = json!({"Name": "main", "S3BucketName": "logs"});
    let refused = call(&rig, "CreateTrail", trail.clone()).await;
    assert_eq!(refused.exception(), "ConflictException", "{refused:?}");
    rig.pass_steps(LATEST);
    assert_eq!(call(&rig, "CreateTrail", trail).await.status, 200);
}

/// What a user, root with a code, the store or time does next.
#[derive(Clone, Debug)]
enum Step {
    ActLate,
    Complete(&'static str, usize),
    Delete(&'static str),
    Manner(Manner),
    Open(&'static str),
    Pass(i64),
    Put(&'static str),
    Restart,
    Set(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = prop_oneof![Just("/vault/a"), Just("/vault/b")];
    let manner = prop_oneof![
        3 => Just(Manner::Answer),
        1 => Just(Manner::BreakOffAfterwards),
        2 => Just(Manner::BreakOffBefore),
        1 => Just(Manner::FailBefore(500)),
    ];
    let step = prop_oneof![
        3 => Just(Step::ActLate),
        2 => (path.clone(), 1_usize..6).prop_map(|(path, upload)| Step::Complete(path, upload)),
        2 => path.clone().prop_map(Step::Delete),
        4 => manner.prop_map(Step::Manner),
        1 => path.clone().prop_map(Step::Open),
        2 => (1..LATEST).prop_map(Step::Pass),
        4 => path.prop_map(Step::Put),
        1 => Just(Step::Restart),
        4 => prop_oneof![Just(ENABLED), Just(SUSPENDED), Just(PROTECTED)].prop_map(Step::Set),
    ];
    proptest::collection::vec(step, 1..40)
}

#[test]
fn whatever_a_store_carries_out_late_loses_no_version_of_a_protected_bucket() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 64, ..Config::default() });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut rig = Rig::of(UpstreamKind::Minio).await;
            let mallory = rig.user("mallory").await;
            let mut protected = false;
            // When the oldest request was sent that the store has not carried out.
            let mut oldest = rig.now();
            for step in &steps {
                let before = rig.upstream.lost().len();
                // Twenty minutes after its last one at the latest, a store gives up what it did not carry out.
                if rig.now().distance(oldest) >= Duration::from_secs(20 * 60) {
                    rig.upstream.give_up();
                }
                if rig.upstream.is_prompt() {
                    oldest = rig.now();
                }
                match step {
                    Step::ActLate => rig.upstream.act_late(),
                    Step::Complete(path, upload) => {
                        let parts = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>\
                            </CompleteMultipartUpload>";
                        let upload = upload_id(UpstreamKind::Minio, *upload);
                        let ask = Ask::new(&format!("POST {path}?uploadId={upload}")).document(parts);
                        drop(send(&rig, &mallory, &ask).await);
                    }
                    Step::Delete(path) => drop(send(&rig, &mallory, &Ask::new(&format!("DELETE {path}"))).await),
                    Step::Manner(manner) => rig.upstream.answer(*manner),
                    Step::Open(path) => drop(send(&rig, &mallory, &Ask::new(&format!("POST {path}?uploads"))).await),
                    Step::Pass(steps) => rig.pass_steps(*steps),
                    Step::Put(path) => {
                        drop(send(&rig, &mallory, &Ask::new(&format!("PUT {path}")).body("content")).await)
                    }
                    Step::Restart => rig = rig.restart(|_| {}).await,
                    Step::Set(document) => drop(set(&rig, document).await),
                }
                let lost = rig.upstream.lost();
                prop_assert!(!protected || lost.len() == before, "{step:?} of {steps:?} lost {lost:?}");
                protected = rig.mfa_delete("vault").await.as_deref() == Some("Enabled");
            }
            rig.stop().await;
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
