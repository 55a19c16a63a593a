//! What becomes of requests while the journal takes no records, and what the next start says of it.

use std::path::PathBuf;

use portcullis_base::bucket_pattern::BucketPattern;
use portcullis_journal::RecordKind;
use portcullis_server::config::Settings;
use portcullis_server::pipeline::OnFailure;

use crate::rig::{Ask, Manner, Reply, Rig};

/// A proxy whose journal has closed: its directory went, and with it the place for the next segment.
async fn closed(change: impl FnOnce(&mut Settings)) -> (Rig, PathBuf) {
    let rig = Rig::with(|settings| {
        settings.audit.segment_size = 16 * 1024;
        settings.audit.strict_buckets = vec![BucketPattern::parse("vault*").expect("a pattern")];
        change(settings);
    })
    .await;
    let (place, aside) = (rig.journal_directory(), rig.journal_directory().with_extension("aside"));
    std::fs::rename(place, &aside).expect("moved");
    for _ in 0..200 {
        if rig.send(&Ask::new("GET /vault/k")).await.status != 200 || rig.upstream.seen().len() > 100 {
            break;
        }
    }
    rig.upstream.forget();
    (rig, aside)
}

async fn ask(rig: &Rig, line: &str) -> Reply {
    rig.send(&Ask::new(line).body(if line.starts_with("PUT") { "content" } else { "" })).await
}

/// What a request is answered, and whether the store was asked.
async fn told(rig: &Rig, line: &str) -> (u16, usize) {
    rig.upstream.forget();
    let reply = ask(rig, line).await;
    (reply.status, rig.upstream.seen().len())
}

#[tokio::test]
async fn a_closed_journal_denies_mutations_and_strict_reads() {
    let (rig, _) = closed(|_| {}).await;
    for line in ["PUT /photos/k", "DELETE /photos/k", "POST /photos/k?uploads", "GET /vault/k", "GET /vault-2/k"] {
        assert_eq!(told(&rig, line).await, (503, 0), "{line}");
    }
    assert_eq!(told(&rig, "GET /photos/k").await, (200, 1));
    assert_eq!(told(&rig, "HEAD /photos/k").await, (200, 1));
}

#[tokio::test]
async fn a_closed_journal_denies_all_where_that_is_chosen() {
    let (rig, _) = closed(|settings| settings.audit.on_failure = OnFailure::DenyAll).await;
    for line in ["PUT /photos/k", "GET /vault/k", "GET /photos/k", "HEAD /photos/k", "GET /"] {
        assert_eq!(told(&rig, line).await, (503, 0), "{line}");
    }
}

#[tokio::test]
async fn a_closed_journal_lets_requests_pass_where_that_is_chosen_but_spends_no_code() {
    let (rig, _) = closed(|settings| settings.audit.on_failure = OnFailure::Allow).await;
    for line in ["GET /vault/k", "GET /photos/k", "PUT /photos/k", "DELETE /photos/k"] {
        let (status, asked) = told(&rig, line).await;
        assert!(status < 300 && asked == 1, "{line}: {status}");
    }
    let enable = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
    );
    assert_eq!(rig.send(&enable).await.status, 503);
    assert!(rig.upstream.mutations().iter().all(|seen| !seen.target.contains("versioning")));
}

#[tokio::test]
async fn a_code_that_cannot_be_recorded_is_not_spent() {
    let (rig, aside) = closed(|_| {}).await;
    let offer = rig.fresh_offer();
    let delete = || Ask::new("DELETE /vault").header("x-amz-mfa", &offer);
    assert_eq!(rig.send(&delete()).await.status, 503);
    let place = rig.journal_directory();
    let rig = rig.restart(|_| std::fs::rename(&aside, &place).expect("moved")).await;
    rig.upstream.answer(Manner::Answer);
    assert_eq!(rig.send(&delete()).await.status, 204);
}

#[tokio::test]
async fn the_next_start_records_why_the_journal_closed_and_how_much_is_missing() {
    let (rig, aside) = closed(|_| {}).await;
    for _ in 0..3 {
        assert_eq!(told(&rig, "GET /photos/k").await, (200, 1));
    }
    let place = rig.journal_directory();
    let rig = rig.restart(|_| std::fs::rename(&aside, &place).expect("moved")).await;
    let closing = rig.journal().into_iter().find(|entry| entry.kind == RecordKind::Closing).expect("a record of it");
    let closing: serde_json::Value = serde_json::from_slice(&closing.payload).expect("JSON");
    assert!(closing["reason"].as_str().is_some_and(|reason| reason.contains("cannot write")), "{closing}");
    assert!(closing["lost"].as_u64().is_some_and(|lost| lost >= 3), "{closing}");
    assert_eq!(ask(&rig, "DELETE /photos/k").await.status, 204);
}
