//! Uploads during which the bucket changes.

use tokio::io::AsyncWriteExt;

use crate::rig::{Ask, Content, Rig, open, read, wait_for};

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
