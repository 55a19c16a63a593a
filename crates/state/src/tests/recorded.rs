//! What the journal tells of the state counts only as the master key made it, and from its first entry to its last.

use super::super::engine::EngineEntries;
use super::super::memory_engine::MemoryEngine;
use super::super::snapshot::StateSnapshot;
use super::super::write::{EngineRecord, StateWrite};
use super::lost::{engine, full, get, put, told};
use super::*;

/// A state with a snapshot in its journal, and a bucket that was protected before it and unprotected after it.
async fn unprotected_since() -> (tempfile::TempDir, Arc<MemoryJournal>) {
    let (dir, journal) = full().await;
    let store = opened(dir.path(), &journal, at(31)).await;
    store.snapshot().await.expect("taken");
    let disable = StateChange::DisableMfaDelete;
    store.record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), disable, at(31)).await.expect("recorded");
    (dir, journal)
}

async fn open_with(dir: &Path, journal: &Arc<MemoryJournal>, entries: &[Vec<u8>]) -> Result<StateStore, StartError> {
    StateStore::open(dir, journal.clone(), entries, Clock::standing_at(at(32))).await
}

#[tokio::test]
async fn an_entry_that_the_master_key_did_not_make_stops_the_start() {
    let (dir, journal) = unprotected_since().await;
    let all = journal.all();
    let (snapshot, write) = (&all[all.len() - 2], &all[all.len() - 1]);
    let parsed = StateSnapshot::parse(snapshot).expect("a snapshot");
    let lacking = StateSnapshot { state: parsed.state[1..].to_vec(), ..parsed.clone() };
    let follows = StateSnapshot { follows: Some(1), ..parsed.clone() };
    let mut other = parsed.clone();
    other.state[0].record = other.state[1].record.clone();
    for forged in [lacking, follows, other] {
        let forged = forged.to_bytes().expect("json");
        let refused = open_with(dir.path(), &journal, &[forged, write.clone()]).await;
        assert!(matches!(refused, Err(StartError::JournalUnreadable(_))), "{refused:?}");
    }
    let text = String::from_utf8(write.clone()).expect("text").replace("\"Disabled\"", "\"Enabled\"");
    let refused = open_with(dir.path(), &journal, &[snapshot.clone(), text.into_bytes()]).await;
    assert!(matches!(refused, Err(StartError::JournalUnreadable(_))), "{refused:?}");
    open_with(dir.path(), &journal, &[snapshot.clone(), write.clone()]).await.expect("a store");
}

#[tokio::test]
async fn an_older_record_that_a_forged_snapshot_agrees_with_is_refused() {
    let (dir, journal, device) = used().await;
    let key = format!("device/{}", device.serial);
    let old = get(&engine(dir.path()).await, key.as_bytes()).await.expect("there").value;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("a right code");
    store.snapshot().await.expect("taken");
    drop(store);
    put(&engine(dir.path()).await, key.as_bytes(), Some(old.clone())).await;
    let snapshot = journal.all().pop().expect("one");
    let fault = open_with(dir.path(), &journal, std::slice::from_ref(&snapshot)).await;
    assert_eq!(told(fault), (key.clone(), RecordFault::Older));
    let mut forged = StateSnapshot::parse(&snapshot).expect("a snapshot");
    let EngineRecord { revision, record, tag } = EngineRecord::parse(&old).expect("a record");
    let place = forged.state.iter_mut().find(|record| record.key == key).expect("there");
    (place.revision, place.record, place.tag) = (Some(revision), record, tag);
    let refused = open_with(dir.path(), &journal, &[forged.to_bytes().expect("json")]).await;
    assert!(matches!(refused, Err(StartError::JournalUnreadable(_))), "{refused:?}");
}

#[tokio::test]
async fn an_older_snapshot_after_newer_entries_stops_the_start() {
    let (dir, journal) = full().await;
    let store = opened(dir.path(), &journal, at(31)).await;
    store.snapshot().await.expect("taken");
    drop(store);
    let older = journal.all().pop().expect("a snapshot");
    let protected = open_with(dir.path(), &journal, std::slice::from_ref(&older)).await.expect("a store");
    let disable = StateChange::DisableMfaDelete;
    let judged = protected.bucket(&bucket("vault"));
    drop(protected);
    // The engine is as it was at the snapshot, and the journal has a later write.
    let later = {
        let engine = Arc::new(MemoryEngine::default());
        copy(&self::engine(dir.path()).await, &engine).await;
        let sealer = RecordSealer::read(&dir.path().join("master.key")).expect("ours");
        let (clock, entries) = (Clock::standing_at(at(32)), std::slice::from_ref(&older));
        let store = StateStore::start(engine, journal.clone(), sealer, entries, clock, None).await.expect("a store");
        store.record_bucket(&bucket("vault"), judged, disable, at(32)).await.expect("recorded");
        journal.all().pop().expect("a write")
    };
    let behind = open_with(dir.path(), &journal, &[older.clone(), later.clone()]).await;
    assert!(matches!(behind, Err(StartError::Behind { .. })), "{behind:?}");
    let refused = open_with(dir.path(), &journal, &[older.clone(), later, older]).await;
    assert!(matches!(refused, Err(StartError::JournalUnreadable(_))), "{refused:?}");
}

async fn copy(from: &super::super::sled_engine::SledEngine, to: &MemoryEngine) {
    let entries: EngineEntries = from.scan().await.expect("readable");
    let swaps = entries.into_iter().map(|(key, kept)| KeySwap { key, expect: None, value: Some(kept.value) });
    assert!(matches!(to.compare_and_swap(swaps.collect()).await, Ok(SwapOutcome::Done(_))));
}

#[tokio::test]
async fn a_journal_that_tells_a_part_of_the_state_has_a_snapshot_after_the_start() {
    let (dir, journal) = full().await;
    let before = picture(&opened(dir.path(), &journal, at(31)).await);
    let open = async |entries: &[Vec<u8>]| open_with(dir.path(), &journal, entries).await;
    let all = journal.all();
    let newest = &all[all.len() - 2..];
    let kept = get(&engine(dir.path()).await, b"bucket/vault").await.map(|kept| kept.value);
    put(&engine(dir.path()).await, b"bucket/vault", None).await;
    assert!(matches!(open(newest).await, Err(StartError::Incomplete(_))), "the sum tells it");
    put(&engine(dir.path()).await, b"bucket/vault", kept).await;
    // What the newest writes name is compared as always.
    let changed = StateWrite::parse(&newest[0]).expect("a write").changes[0].key.clone();
    let kept = get(&engine(dir.path()).await, changed.as_bytes()).await.map(|kept| kept.value);
    put(&engine(dir.path()).await, changed.as_bytes(), None).await;
    assert_eq!(told(open(newest).await), (changed.clone(), RecordFault::Missing));
    put(&engine(dir.path()).await, changed.as_bytes(), kept).await;
    journal.failing.store(true, Ordering::SeqCst);
    let refused = open(newest).await;
    assert!(matches!(refused, Err(StartError::Store(StoreError::Journal(_)))), "{refused:?}");
    journal.failing.store(false, Ordering::SeqCst);
    assert!(journal.snapshots.lock().expect("sound").is_empty());
    assert_eq!(picture(&open(newest).await.expect("a store")), before);
    assert_eq!(journal.snapshots.lock().expect("sound").len(), 1);
    assert_eq!(picture(&open(&journal.all()).await.expect("a store")), before);
    assert_eq!(journal.snapshots.lock().expect("sound").len(), 1);
}

#[tokio::test]
async fn a_snapshot_that_the_journal_does_not_take_changes_nothing() {
    let (dir, journal) = full().await;
    let store = opened(dir.path(), &journal, at(31)).await;
    journal.failing.store(true, Ordering::SeqCst);
    assert_eq!(store.snapshot().await, Err(StoreError::Journal(JournalUnavailable)));
    journal.failing.store(false, Ordering::SeqCst);
    store.create_user(&user("bob"), at(31)).await.expect("made");
    let before = picture(&store);
    drop(store);
    let store = opened(dir.path(), &journal, at(32)).await;
    assert_eq!(picture(&store), before);
    store.snapshot().await.expect("taken");
    drop(store);
    assert_eq!(picture(&opened(dir.path(), &journal, at(33)).await), before);
    rebuild(dir.path(), journal.all().split_off(journal.all().len() - 1), at(34)).await.expect("rebuilt");
    assert_eq!(picture(&opened(dir.path(), &journal, at(34)).await), before);
}

#[tokio::test]
async fn no_snapshot_is_taken_of_a_store_that_was_altered_while_it_was_open() {
    let (store, engine, journal) = in_memory(at(0)).await;
    store.create_user(&user("alice"), at(0)).await.expect("made");
    let entries = engine.scan().await.expect("readable");
    let (key, kept) = entries.into_iter().find(|(key, _)| key == b"user/alice").expect("there");
    let swap = KeySwap { key, expect: Some(kept.version), value: None };
    assert!(matches!(engine.compare_and_swap(vec![swap]).await, Ok(SwapOutcome::Done(_))));
    let refused = store.snapshot().await;
    assert!(matches!(refused, Err(StoreError::Engine(EngineError::Failed(_)))), "{refused:?}");
    assert!(journal.snapshots.lock().expect("sound").is_empty());
    let closed = store.create_user(&user("bob"), at(1)).await;
    assert_eq!(closed.err(), Some(StoreError::Engine(EngineError::Closed)));
}
