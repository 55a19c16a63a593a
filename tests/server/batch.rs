//! `POST ?delete`: one reply, one event for each key.

use crate::rig::{Ask, Content, Manner, Rig, open, wait_for};

const BATCH: &str =
    "<Delete>QUIET<Object><Key>a&amp;b</Key></Object><Object><Key>c</Key><VersionId>v1</VersionId></Object></Delete>";

async fn delete(quiet: &str) -> (Rig, String) {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let ask = Ask::new("POST /vault?delete").header("x-amz-mfa", &rig.fresh_offer());
    let reply = rig.send(&ask.document(&BATCH.replace("QUIET", quiet))).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (rig, reply.body)
}

#[tokio::test]
async fn one_code_covers_a_batch_and_each_key_is_an_event() {
    let (rig, body) = delete("").await;
    assert!(body.contains("<Key>a&amp;b</Key>") && body.contains("<VersionId>v1</VersionId>"), "{body}");
    let events = rig.events();
    let keys: Vec<_> = events
        .iter()
        .filter(|event| !event.text(&["requestParameters", "key"]).is_empty())
        .map(|event| (event.said().0, event.text(&["requestParameters", "key"])))
        .collect();
    assert_eq!(keys, [("DeleteObject", "a&b"), ("DeleteObject", "c")], "{events:?}");
}

#[tokio::test]
async fn a_quiet_batch_is_quiet_to_the_client_alone() {
    let (rig, body) = delete("<Quiet>true</Quiet>").await;
    assert!(!body.contains("<Deleted>"), "{body}");
    let [sent] = &rig.upstream.mutations()[..] else { panic!("{:?}", rig.upstream.seen()) };
    let Content::Whole(document) = &sent.content else { panic!("{sent:?}") };
    assert!(!String::from_utf8_lossy(document).contains("Quiet"), "{sent:?}");
    let keys = rig.events().iter().filter(|event| !event.text(&["requestParameters", "key"]).is_empty()).count();
    assert_eq!(keys, 2);
}

/// The events of a batch and of its keys, each with its error.
fn told(rig: &Rig) -> Vec<(String, String)> {
    rig.events()
        .iter()
        .filter(|event| event.said().0.starts_with("DeleteObject"))
        .map(|event| {
            let (name, error) = event.said();
            (format!("{name} {}", event.text(&["requestParameters", "key"])), error.to_owned())
        })
        .collect()
}

fn expected(errors: [&str; 3]) -> Vec<(String, String)> {
    let names = ["DeleteObjects ", "DeleteObject a", "DeleteObject b"];
    names.into_iter().zip(errors).map(|(name, error)| (name.to_owned(), error.to_owned())).collect()
}

const TWO: &str = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";

#[tokio::test]
async fn a_batch_whose_answer_breaks_off_has_an_event_for_each_key_all_the_same() {
    for (manner, status) in [(Manner::BreakOff, 502), (Manner::Refuse(503, "SlowDown"), 503)] {
        let rig = Rig::start().await;
        rig.upstream.answer(manner);
        let reply = rig.send(&Ask::new("POST /vault?delete").document(TWO)).await;
        assert!(reply.status >= 500, "{reply:?}");
        let code = reply.code();
        assert!(!code.is_empty(), "{status}: {reply:?}");
        assert_eq!(told(&rig), expected([&code, &code, &code]), "{manner:?}");
    }
}

#[tokio::test]
async fn a_batch_whose_client_leaves_has_an_event_for_each_key_with_its_own_result() {
    let rig = Rig::start().await;
    rig.upstream.answer(Manner::Hold);
    let stream = open(rig.address, &Ask::new("POST /vault?delete").document(TWO).signed(&rig.root, rig.now())).await;
    wait_for("the request", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
    drop(stream);
    rig.upstream.answer(Manner::Answer);
    rig.events_when(3).await;
    assert_eq!(told(&rig), expected(["", "", ""]));
}
