//! `POST ?delete`: one reply, one event for each key.

use crate::rig::{Ask, Content, Rig};

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
