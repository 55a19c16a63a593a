//! Multipart uploads that were opened while their bucket was not what it is when they complete.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::rig::{Ask, Keys, Manner, Reply, Rig, exchange, open, read, upload_id, wait_for};
use portcullis_authorization::MfaProfile;
use portcullis_s3::UpstreamKind;

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const SUSPENDED: &str = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
const PARTS: &str =
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part></CompleteMultipartUpload>";

async fn send(rig: &Rig, keys: &Keys, ask: &Ask) -> Reply {
    exchange(rig.address, &ask.signed(keys, rig.now())).await
}

async fn opened(rig: &Rig, keys: &Keys, path: &str) -> String {
    let reply = send(rig, keys, &Ask::new(&format!("POST {path}?uploads"))).await;
    reply.element("UploadId").unwrap_or_else(|| panic!("{reply:?}"))
}

fn completing(path: &str, upload: &str) -> Ask {
    Ask::new(&format!("POST {path}?uploadId={upload}")).document(PARTS)
}

async fn set_versioning(rig: &Rig, document: &str) {
    let ask = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(document);
    let reply = rig.send(&ask).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A proxy before a store that holds a null version of `/vault/k`, and a user.
async fn with_null_version(profile: UpstreamKind) -> (Rig, Keys) {
    let rig = Rig::of(profile).await;
    let mallory = rig.user("mallory").await;
    assert_eq!(rig.send(&Ask::new("PUT /vault/k").body("precious")).await.status, 200);
    (rig, mallory)
}

#[tokio::test]
async fn an_upload_opened_before_the_protection_needs_a_code_to_replace_the_null_version() {
    for profile in [UpstreamKind::Aws, UpstreamKind::Generic, UpstreamKind::Minio] {
        let (rig, mallory) = with_null_version(profile).await;
        let upload = opened(&rig, &mallory, "/vault/k").await;
        rig.protect("vault").await;
        for keys in [&mallory, &rig.root] {
            let refused = send(&rig, keys, &completing("/vault/k", &upload)).await;
            assert_eq!(refused.said(), (403, "AccessDenied".to_owned()), "{profile:?}");
            assert!(refused.body.contains("Abort it and upload the object again"), "{refused:?}");
        }
        assert_eq!(rig.upstream.lost(), [""; 0]);
        let abort = send(&rig, &mallory, &Ask::new(&format!("DELETE /vault/k?uploadId={upload}"))).await;
        assert_eq!(abort.status, 204);
        let offer = rig.fresh_offer();
        let coded = rig.send(&completing("/vault/k", &upload).header("x-amz-mfa", &offer)).await;
        assert_eq!(coded.status, 200, "{coded:?}");
        assert_eq!(rig.upstream.lost(), ["/vault/k"], "with root's code");
    }
}

#[tokio::test]
async fn an_upload_opened_while_versioning_was_suspended_needs_a_code_after_it_is_enabled() {
    let (rig, mallory) = with_null_version(UpstreamKind::Minio).await;
    rig.protect("vault").await;
    set_versioning(&rig, SUSPENDED).await;
    let upload = opened(&rig, &mallory, "/vault/k").await;
    set_versioning(&rig, ENABLED).await;
    assert_eq!(send(&rig, &mallory, &completing("/vault/k", &upload)).await.status, 403);
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn an_upload_opened_in_the_protected_bucket_completes_without_a_code_also_after_a_restart() {
    let (rig, alice) = with_null_version(UpstreamKind::Minio).await;
    rig.protect("vault").await;
    let (first, second) = (opened(&rig, &alice, "/vault/k").await, opened(&rig, &alice, "/vault/k").await);
    let part = Ask::new(&format!("PUT /vault/k?partNumber=1&uploadId={first}")).body("part");
    assert_eq!(send(&rig, &alice, &part).await.status, 200);
    assert_eq!(send(&rig, &alice, &completing("/vault/k", &first)).await.status, 200);
    let rig = rig.restart(|_| {}).await;
    assert_eq!(send(&rig, &alice, &completing("/vault/k", &second)).await.status, 200);
    // The store says what became of an upload that is completed once more.
    assert_eq!(send(&rig, &alice, &completing("/vault/k", &second)).await.status, 200);
    assert_eq!(send(&rig, &alice, &completing("/vault/other", &second)).await.status, 200, "it has no null version");
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn the_first_upload_of_unknown_origin_to_a_new_key_is_free_and_the_next_is_not() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let mallory = rig.user("mallory").await;
    let (first, second) = (opened(&rig, &mallory, "/vault/new").await, opened(&rig, &mallory, "/vault/new").await);
    rig.protect("vault").await;
    assert_eq!(send(&rig, &mallory, &completing("/vault/new", &first)).await.status, 200);
    assert_eq!(send(&rig, &mallory, &completing("/vault/new", &second)).await.status, 403);
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn a_forged_upload_id_reaches_no_store_and_is_recorded() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let mallory = rig.user("mallory").await;
    let forged = URL_SAFE_NO_PAD.encode("a.../../../vault/KEY");
    let asks = [
        Ask::new(&format!("PUT /scratch/x?partNumber=1&uploadId={forged}")).body("part"),
        Ask::new(&format!("PUT /scratch/x?partNumber=1&uploadId={forged}")).header("x-amz-copy-source", "vault/KEY"),
        Ask::new(&format!("GET /scratch/x?uploadId={forged}")),
        Ask::new(&format!("DELETE /scratch/x?uploadId={forged}")),
        completing("/scratch/x", &forged),
    ];
    for ask in &asks {
        assert_eq!(send(&rig, &mallory, ask).await.said(), (404, "NoSuchUpload".to_owned()), "{ask:?}");
    }
    assert_eq!(rig.upstream.seen(), []);
    let events = rig.events();
    let refused: Vec<_> = events.iter().filter(|event| event.said().1 == "NoSuchUpload").collect();
    assert_eq!(refused.len(), asks.len());
    assert!(refused.iter().all(|event| event.text(&["requestParameters", "uploadId"]) == forged), "{refused:?}");
}

#[tokio::test]
async fn of_two_uploads_of_unknown_origin_one_is_completed_at_a_time() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let mallory = rig.user("mallory").await;
    let (first, second) = (opened(&rig, &mallory, "/vault/new").await, opened(&rig, &mallory, "/vault/new").await);
    rig.protect("vault").await;
    rig.upstream.answer(Manner::Hold);
    let bytes = completing("/vault/new", &first).signed(&mallory, rig.now());
    let mut completing_first = open(rig.address, &bytes).await;
    wait_for("the completion", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
    let meanwhile = send(&rig, &mallory, &completing("/vault/new", &second)).await;
    assert_eq!(meanwhile.said(), (503, "SlowDown".to_owned()));
    rig.upstream.answer(Manner::Answer);
    assert_eq!(read(&mut completing_first).await.status, 200);
    assert_eq!(send(&rig, &mallory, &completing("/vault/new", &second)).await.status, 403);
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn uploads_of_unknown_origin_are_in_nobodys_way() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    let (alice, mallory) = (rig.user("alice").await, rig.user("mallory").await);
    let old = opened(&rig, &mallory, "/vault/new").await;
    rig.protect("vault").await;
    let honest = opened(&rig, &alice, "/vault/new").await;
    rig.upstream.answer(Manner::Hold);
    let unknown = completing("/vault/new", &old).signed(&mallory, rig.now());
    let mut unknown = open(rig.address, &unknown).await;
    wait_for("the completion", || (rig.upstream.mutations().len() == 2).then_some(())).await;
    let honest = completing("/vault/new", &honest).signed(&alice, rig.now());
    let mut honest = open(rig.address, &honest).await;
    wait_for("the other beside it", || (rig.upstream.mutations().len() == 3).then_some(())).await;
    rig.upstream.answer(Manner::Answer);
    assert_eq!((read(&mut unknown).await.status, read(&mut honest).await.status), (200, 200));
    assert_eq!(rig.upstream.lost(), [""; 0]);
}

#[tokio::test]
async fn what_the_store_cannot_say_of_the_null_version_keeps_it_from_being_replaced() {
    let (rig, mallory) = with_null_version(UpstreamKind::Minio).await;
    let upload = opened(&rig, &mallory, "/vault/k").await;
    rig.protect("vault").await;
    let marked: &[(&str, &str)] = &[("x-amz-delete-marker", "true")];
    for (status, headers, expected) in [
        (400, [].as_slice(), 403),
        (404, marked, 403),
        (405, marked, 403),
        (403, &[], 409),
        (500, &[], 503),
        (404, &[], 200),
    ] {
        rig.upstream.answer_read("HEAD /vault/k?versionId=null", status, headers);
        let reply = send(&rig, &mallory, &completing("/vault/k", &upload)).await;
        assert_eq!(reply.status, expected, "{status} {headers:?}: {reply:?}");
    }
}

#[tokio::test]
async fn a_store_that_settles_at_the_end_and_awss_own_rules_ask_nothing() {
    for profile in [UpstreamKind::Ceph, UpstreamKind::Minio] {
        let rig = Rig::with(|settings| {
            settings.upstream.profile = profile;
            if profile == UpstreamKind::Minio {
                settings.mfa_delete.profile = MfaProfile::Aws;
            }
        })
        .await;
        let alice = rig.user("alice").await;
        let upload = opened(&rig, &alice, "/vault/k").await;
        rig.protect("vault").await;
        assert_eq!(send(&rig, &alice, &completing("/vault/k", &upload)).await.status, 200, "{profile:?}");
        let looks = rig.upstream.seen().into_iter().filter(|seen| seen.method == "HEAD").count();
        assert_eq!(looks, 0, "{profile:?}");
    }
}

/// What a user, or root with a code, does next.
#[derive(Clone, Debug)]
enum Step {
    Complete(&'static str, usize),
    Delete(&'static str),
    Open(&'static str),
    Protect,
    Put(&'static str),
    Restart,
    Set(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = prop_oneof![Just("/vault/a"), Just("/vault/b")];
    let step = prop_oneof![
        4 => (path.clone(), 1_usize..8).prop_map(|(path, upload)| Step::Complete(path, upload)),
        1 => path.clone().prop_map(Step::Delete),
        3 => path.clone().prop_map(Step::Open),
        2 => Just(Step::Protect),
        2 => path.prop_map(Step::Put),
        1 => Just(Step::Restart),
        2 => prop_oneof![Just(ENABLED), Just(SUSPENDED)].prop_map(Step::Set),
    ];
    proptest::collection::vec(step, 1..40)
}

#[test]
fn no_order_of_a_users_requests_and_roots_changes_loses_a_version_of_a_protected_bucket() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut rig = Rig::of(UpstreamKind::Minio).await;
            let mallory = rig.user("mallory").await;
            let mut protected = false;
            for step in &steps {
                let before = rig.upstream.lost().len();
                match step {
                    Step::Complete(path, upload) => {
                        drop(send(&rig, &mallory, &completing(path, &upload_id(UpstreamKind::Minio, *upload))).await)
                    }
                    Step::Delete(path) => drop(send(&rig, &mallory, &Ask::new(&format!("DELETE {path}"))).await),
                    Step::Open(path) => drop(opened(&rig, &mallory, path).await),
                    Step::Protect => {
                        rig.protect("vault").await;
                        protected = true;
                    }
                    Step::Put(path) => {
                        drop(send(&rig, &mallory, &Ask::new(&format!("PUT {path}")).body("content")).await)
                    }
                    Step::Restart => rig = rig.restart(|_| {}).await,
                    Step::Set(document) => set_versioning(&rig, document).await,
                }
                let lost = rig.upstream.lost();
                prop_assert!(!protected || lost.len() == before, "{step:?} of {steps:?} lost {lost:?}");
            }
            rig.stop().await;
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
