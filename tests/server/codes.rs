//! The second factor over the wire, its clock moved by hand.

use crate::rig::{Ask, Reply, Rig};

async fn delete(rig: &Rig, offer: &str) -> Reply {
    rig.send(&Ask::new("DELETE /vault/k?versionId=v1").header("x-amz-mfa", offer)).await
}

async fn protected() -> Rig {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    rig
}

fn wrong() -> (u16, String) {
    (400, "TokenCodeInvalidError".to_owned())
}

#[tokio::test]
async fn a_used_code_is_never_taken_again() {
    let rig = protected().await;
    let offer = rig.fresh_offer();
    assert_eq!(delete(&rig, &offer).await.status, 204);
    assert_eq!(delete(&rig, &offer).await.said(), wrong());
    rig.pass_steps(1);
    assert_eq!(delete(&rig, &offer).await.said(), wrong());
    assert_eq!(rig.upstream.mutations().len(), 1);
}

#[tokio::test]
async fn the_code_of_the_step_before_counts_and_no_other() {
    let rig = protected().await;
    rig.pass_steps(10);
    let now = rig.now();
    assert_eq!(delete(&rig, &rig.device.offer(now, &[-1])).await.status, 204);
    rig.pass_steps(10);
    for step in [-2, 1] {
        assert_eq!(delete(&rig, &rig.device.offer(rig.now(), &[step])).await.said(), wrong(), "{step}");
        // A year between, so that no failure is the second one.
        rig.pass_steps(365 * 2880);
        assert_eq!(delete(&rig, &rig.fresh_offer()).await.status, 204);
    }
}

#[tokio::test]
async fn a_code_older_than_the_last_one_used_is_refused() {
    let rig = protected().await;
    rig.pass_steps(10);
    assert_eq!(delete(&rig, &rig.device.offer(rig.now(), &[0])).await.status, 204);
    assert_eq!(delete(&rig, &rig.device.offer(rig.now(), &[-1])).await.said(), wrong());
}

#[tokio::test]
async fn after_two_failures_it_takes_two_consecutive_codes() {
    let rig = protected().await;
    rig.pass_steps(10);
    for _ in 0..2 {
        assert_eq!(delete(&rig, &rig.device.wrong_offer(rig.now())).await.said(), wrong());
    }
    assert_eq!(delete(&rig, &rig.device.offer(rig.now(), &[0])).await.said(), wrong());
    rig.pass_steps(10);
    let unrelated = rig.device.offer(rig.now(), &[-1, -1]);
    assert_eq!(delete(&rig, &unrelated).await.said(), wrong());
    rig.pass_steps(10);
    assert_eq!(rig.upstream.mutations(), []);
    assert_eq!(delete(&rig, &rig.device.offer(rig.now(), &[-1, 0])).await.status, 204);
    let asked = delete(&rig, &rig.fresh_offer()).await;
    assert_eq!(asked.said(), wrong(), "a right code takes no failure away");
    assert!(asked.body.contains("the device asks for consecutive codes"), "{asked:?}");
    rig.pass_steps(365 * 2880);
    assert_eq!(delete(&rig, &rig.fresh_offer()).await.status, 204);
}

#[tokio::test]
async fn one_code_authorises_one_request_however_many_race_for_it() {
    let rig = protected().await;
    let offer = rig.fresh_offer();
    let (a, b, c) = tokio::join!(delete(&rig, &offer), delete(&rig, &offer), delete(&rig, &offer));
    let done = [&a, &b, &c].into_iter().filter(|reply| reply.status == 204).count();
    assert_eq!((done, rig.upstream.mutations().len()), (1, 1), "{a:?} {b:?} {c:?}");
}

#[tokio::test]
async fn a_code_is_not_spent_by_what_no_code_helps() {
    let rig = protected().await;
    let offer = rig.fresh_offer();
    let lifecycle = Ask::new("PUT /vault?lifecycle")
        .header("x-amz-mfa", &offer)
        .document("<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>");
    assert_eq!(rig.send(&lifecycle).await.said(), (409, "InvalidBucketState".to_owned()));
    assert_eq!(rig.send(&Ask::new("GET /vault/k").header("x-amz-mfa", &offer)).await.status, 200);
    assert_eq!(delete(&rig, &offer).await.status, 204);
}

#[tokio::test]
async fn a_code_is_never_written_down() {
    let rig = protected().await;
    let offers = [rig.fresh_offer(), rig.device.wrong_offer(rig.now())];
    for offer in &offers {
        delete(&rig, offer).await;
    }
    let journal: Vec<u8> = rig.journal().into_iter().flat_map(|entry| entry.payload).collect();
    for offer in &offers {
        let code = offer.rsplit(' ').next().expect("a code").as_bytes();
        // Six digits turn up in ids and times; in quotation marks or beside the serial they do not.
        let shown = [[b"\"", code, b"\""].concat(), [b" ", code].concat()];
        assert!(!shown.iter().any(|text| journal.windows(text.len()).any(|window| window == text)), "{offer}");
    }
}
