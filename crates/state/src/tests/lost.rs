//! A state that was changed outside of Portcullis is refused, and can be rebuilt from the journal.

use super::super::sled_engine::SledEngine;
use super::super::sum::REBUILT_SUM;
use super::super::write::{EngineRecord, LAST_WRITE, StateWrite};
use super::*;

/// One record of each kind, each changed at least once since the first of them.
pub(super) async fn full() -> (tempfile::TempDir, Arc<MemoryJournal>) {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.create_user(&user("alice"), at(30)).await.expect("made");
    store.create_key(&Principal::User(user("alice")), KeyMaterial::Random, at(30)).await.expect("made");
    store.put_upstream_key(&user("alice"), given("STORE-ALICE"), at(30)).await.expect("given");
    store.put_trail(None, trail("main"), at(30)).await.expect("made");
    store.pin_trail_head(&trail("main").name, TrailHead("head".to_owned()), at(30)).await.expect("pinned");
    store.add_signing_key(signing_key(1, 0, 9), Duration::ZERO, at(30)).await.expect("added");
    store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("a right code");
    (dir, journal)
}

pub(super) async fn engine(dir: &Path) -> SledEngine {
    SledEngine::open(&dir.join("state")).await.expect("readable")
}

pub(super) async fn get(engine: &SledEngine, key: &[u8]) -> Option<VersionedValue> {
    engine.scan().await.expect("readable").into_iter().find(|(found, _)| found == key).map(|(_, value)| value)
}

/// Writes without the journal.
pub(super) async fn put(engine: &SledEngine, key: &[u8], value: Option<Vec<u8>>) {
    let expect = get(engine, key).await.map(|versioned| versioned.version);
    let swapped = engine.compare_and_swap(vec![KeySwap { key: key.to_vec(), expect, value }]).await;
    assert!(matches!(swapped, Ok(SwapOutcome::Done(_))), "{swapped:?}");
}

pub(super) async fn records(engine: &SledEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = engine.scan().await.expect("readable").into_iter();
    let entries = entries.map(|(key, versioned)| (key, versioned.value));
    entries.filter(|(key, _)| !key.starts_with(b"meta/")).collect()
}

pub(super) async fn assert_refused(dir: &Path, journal: &Arc<MemoryJournal>, why: &str) {
    let refused = open(dir, journal, at(31)).await;
    let Err(error @ (StartError::Incomplete(_) | StartError::RecordDiffers { .. })) = refused else {
        panic!("{why}: {refused:?}")
    };
    assert!(error.to_string().contains("`portcullis state rebuild`"), "{error}");
}

/// The record that a start has named, and what is wrong with it.
pub(super) fn told(refused: Result<StateStore, StartError>) -> (String, RecordFault) {
    match refused {
        Err(StartError::RecordDiffers { key, fault }) => (key, fault),
        other => panic!("no record is named: {other:?}"),
    }
}

#[tokio::test]
async fn a_lost_record_of_any_kind_is_refused_and_a_rebuild_brings_it_back() {
    let (dir, journal) = full().await;
    let before = picture(&opened(dir.path(), &journal, at(31)).await);
    let all = records(&engine(dir.path()).await).await;
    let kinds: std::collections::BTreeSet<_> = all
        .iter()
        .map(|(key, _)| String::from_utf8_lossy(key).split('/').next().unwrap_or_default().to_owned())
        .collect();
    let known = [
        "account",
        "bucket",
        "device",
        "key",
        "signing-key",
        "trail",
        "trail-head",
        "unsettled",
        "upload",
        "upstream-key",
        "user",
    ];
    assert!(kinds.iter().eq(known.iter()), "{kinds:?}");
    for (key, _) in all {
        put(&engine(dir.path()).await, &key, None).await;
        let why = String::from_utf8_lossy(&key).into_owned();
        assert_refused(dir.path(), &journal, &why).await;
        rebuild(dir.path(), journal.records(), at(31)).await.expect("rebuilt");
        assert_eq!(picture(&opened(dir.path(), &journal, at(31)).await), before, "{why}");
    }
}

#[tokio::test]
async fn a_record_as_it_was_before_its_last_change_is_refused() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.put_trail(None, trail("main"), at(30)).await.expect("made");
    store.create_user(&user("alice"), at(30)).await.expect("made");
    drop(store);
    let old = records(&engine(dir.path()).await).await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("a right code");
    store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::Bury, at(30))
        .await
        .expect("recorded");
    store.put_trail(Some(&trail("main")), Trail { global_events: false, ..trail("main") }, at(30)).await.expect("made");
    // What is gone comes back as an extra record.
    store.delete_user(&user("alice"), at(30)).await.expect("gone");
    drop(store);
    let new: std::collections::BTreeMap<_, _> = records(&engine(dir.path()).await).await.into_iter().collect();
    let changed: Vec<_> = old.into_iter().filter(|(key, value)| new.get(key) != Some(value)).collect();
    assert_eq!(changed.len(), 4, "a device, a bucket, a trail and a user");
    for (key, value) in changed {
        put(&engine(dir.path()).await, &key, Some(value)).await;
        assert_refused(dir.path(), &journal, &String::from_utf8_lossy(&key)).await;
        put(&engine(dir.path()).await, &key, new.get(&key).cloned()).await;
        opened(dir.path(), &journal, at(31)).await;
    }
}

#[tokio::test]
async fn a_store_that_is_one_write_ahead_must_be_whole_too() {
    let (dir, journal) = full().await;
    let store = opened(dir.path(), &journal, at(31)).await;
    journal.failing.store(true, Ordering::SeqCst);
    let lost = store
        .record_bucket(&bucket("second"), store.bucket(&bucket("second")), StateChange::EnableMfaDelete, at(31))
        .await;
    assert_eq!(lost, Err(StoreError::Journal(JournalUnavailable)));
    drop(store);
    journal.failing.store(false, Ordering::SeqCst);
    let known = journal.records().len();
    for key in ["bucket/second", "bucket/vault"] {
        let kept = get(&engine(dir.path()).await, key.as_bytes()).await.map(|kept| kept.value);
        put(&engine(dir.path()).await, key.as_bytes(), None).await;
        assert_refused(dir.path(), &journal, key).await;
        assert_eq!(journal.records().len(), known, "the journal does not take what is refused");
        put(&engine(dir.path()).await, key.as_bytes(), kept).await;
    }
    let store = opened(dir.path(), &journal, at(32)).await;
    assert_eq!(journal.records().len(), known + 1);
    assert_eq!(store.bucket(&bucket("second")).mfa_delete, MfaDelete::Enabled);
}

#[tokio::test]
async fn a_last_write_that_the_master_key_did_not_seal_is_refused() {
    let (dir, journal) = full().await;
    let last = journal.records().last().cloned().expect("one");
    let last = StateWrite::parse(&last).expect("a write");
    let empty = StateWrite { revision: last.revision + 1, at: last.at, changes: Vec::new(), sum: last.sum.clone() };
    let bare = StateWrite { sum: None, ..empty.clone() };
    for (forged, known) in [(empty, false), (bare, true)] {
        put(&engine(dir.path()).await, LAST_WRITE.as_bytes(), Some(forged.to_bytes().expect("json"))).await;
        let refused = open(dir.path(), &journal, at(31)).await;
        match known {
            false => assert!(matches!(refused, Err(StartError::Incomplete(_))), "{refused:?}"),
            true => assert!(matches!(refused, Err(StartError::Diverged(_))), "{refused:?}"),
        }
    }
    put(&engine(dir.path()).await, LAST_WRITE.as_bytes(), None).await;
    assert!(open(dir.path(), &journal, at(31)).await.is_err());
}

#[tokio::test]
async fn the_record_that_differs_is_named() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.create_user(&user("alice"), at(30)).await.expect("made");
    drop(store);
    let old: std::collections::BTreeMap<_, _> = records(&engine(dir.path()).await).await.into_iter().collect();
    let store = opened(dir.path(), &journal, at(30)).await;
    store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("a right code");
    store.delete_user(&user("alice"), at(30)).await.expect("gone");
    drop(store);
    let serial = format!("device/{}", device.serial);
    let (sealer, revision) = (RecordSealer::read(&dir.path().join("master.key")).expect("ours"), 1);
    let stray = StateRecord::User(UserRecord {
        name: user("mallory"),
        id: "AIDAMALLORY".to_owned(),
        created: at(0),
        grants: PolicyGrants::default(),
        boundary: None,
    });
    let stray =
        StateWrite::seal(revision, at(0), &[RecordEdit::Put(stray)], &sealer).expect("sealed").kept().expect("json");
    let stray = stray.into_iter().next().and_then(|(_, kept)| kept);
    let altered = BucketRecord { mfa_delete: MfaDelete::Disabled, ..BucketRecord::UNPROTECTED };
    let current = get(&engine(dir.path()).await, b"bucket/vault").await.expect("there").value;
    let revision = EngineRecord::revision(&current).expect("a record");
    let altered =
        StateWrite::seal(revision, at(0), &[RecordEdit::Put(StateRecord::Bucket(bucket("vault"), altered))], &sealer);
    let altered = altered.expect("sealed").kept().expect("json").into_iter().next().and_then(|(_, kept)| kept);
    for (key, value, fault) in [
        ("bucket/vault", None, RecordFault::Missing),
        ("bucket/vault", altered, RecordFault::Altered),
        (serial.as_str(), old.get(serial.as_bytes()).cloned(), RecordFault::Older),
        ("user/alice", old.get(b"user/alice".as_slice()).cloned(), RecordFault::Deleted),
        ("user/mallory", stray, RecordFault::Unrecorded),
    ] {
        let now = get(&engine(dir.path()).await, key.as_bytes()).await.map(|kept| kept.value);
        put(&engine(dir.path()).await, key.as_bytes(), value).await;
        assert_eq!(told(open(dir.path(), &journal, at(31)).await), (key.to_owned(), fault));
        put(&engine(dir.path()).await, key.as_bytes(), now).await;
    }
    opened(dir.path(), &journal, at(31)).await;
}

#[tokio::test]
async fn a_rebuild_makes_the_engine_as_it_was() {
    let (dir, journal) = full().await;
    opened(dir.path(), &journal, at(31)).await.snapshot().await.expect("taken");
    let before = records(&engine(dir.path()).await).await;
    let all = journal.all();
    for recorded in [&all[..all.len() - 1], &all, &all[all.len() - 1..]] {
        rebuild(dir.path(), recorded.to_vec(), at(31)).await.expect("rebuilt");
        assert_eq!(records(&engine(dir.path()).await).await, before);
        assert_eq!(
            get(&engine(dir.path()).await, REBUILT_SUM.as_bytes()).await,
            None,
            "the sum of the last write holds"
        );
    }
}

#[tokio::test]
async fn a_snapshot_in_the_journal_tells_of_a_lost_record() {
    let (dir, journal) = full().await;
    let store = opened(dir.path(), &journal, at(31)).await;
    store.snapshot().await.expect("taken");
    let before = picture(&store);
    drop(store);
    let snapshot = journal.snapshots.lock().expect("sound").pop().expect("a snapshot");
    let open = || {
        StateStore::open(
            dir.path(),
            Arc::<MemoryJournal>::clone(&journal),
            std::slice::from_ref(&snapshot),
            Clock::standing_at(at(31)),
        )
    };
    put(&engine(dir.path()).await, b"bucket/vault", None).await;
    assert_eq!(told(open().await), ("bucket/vault".to_owned(), RecordFault::Missing));
    rebuild(dir.path(), vec![snapshot.clone()], at(31)).await.expect("rebuilt");
    assert_eq!(picture(&open().await.expect("a store")), before);
}

#[tokio::test]
async fn a_journal_that_stops_telling_sums_rebuilds_nothing() {
    let (dir, journal) = full().await;
    let last = StateWrite::parse(journal.records().last().expect("one")).expect("a write");
    let revision = last.revision;
    for forged in [StateWrite { sum: None, ..last.clone() }, StateWrite { at: 0, ..last }] {
        journal.replace_last(forged.to_bytes().expect("json"));
        let refused = rebuild(dir.path(), journal.records(), at(31)).await;
        assert!(matches!(refused, Err(StartError::JournalUnreadable(at)) if at == revision), "{refused:?}");
    }
}
