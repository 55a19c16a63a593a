//! A state that an earlier version left starts without a step by hand, and is compared byte for byte from then on.

use super::super::snapshot::{SnapshotRecord, StateSnapshot};
use super::super::sum::REBUILT_SUM;
use super::super::write::{EngineRecord, LAST_WRITE, StateWrite};
use super::lost::{assert_refused, engine, full, get, put, records, told};
use super::*;

/// Ends the journal with a snapshot as earlier versions wrote it, with each record sealed again.
async fn earlier_snapshot(dir: &Path, journal: &Arc<MemoryJournal>) {
    opened(dir, journal, at(31)).await.snapshot().await.expect("taken");
    let sealer = RecordSealer::read(&dir.join("master.key")).expect("ours");
    let snapshot = StateSnapshot::parse(journal.all().last().expect("one")).expect("a snapshot");
    let records = snapshot.state.iter().map(|record| {
        let (key, kept) = record.clone().kept(snapshot.revision).expect("json");
        RecordEdit::Put(EngineRecord::open(&kept, &key, &sealer).expect("ours").1)
    });
    let again = StateWrite::seal(snapshot.revision, at(0), &records.collect::<Vec<_>>(), &sealer).expect("sealed");
    let state = again.changes.into_iter().map(|change| SnapshotRecord {
        key: change.key,
        revision: None,
        record: change.record,
        tag: change.tag,
    });
    let earlier = StateSnapshot { state: state.collect(), ..snapshot }.tagged(&sealer).expect("sealed");
    journal.replace_snapshot(earlier.to_bytes().expect("json"));
}

fn snapshots(journal: &MemoryJournal) -> usize {
    journal.snapshots.lock().expect("sound").len()
}

#[tokio::test]
async fn a_snapshot_of_an_earlier_version_is_compared_by_what_it_says_and_replaced() {
    let (dir, journal) = full().await;
    let old = records(&engine(dir.path()).await).await;
    let store = opened(dir.path(), &journal, at(60)).await;
    store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::Bury, at(60))
        .await
        .expect("recorded");
    drop(store);
    earlier_snapshot(dir.path(), &journal).await;
    for (key, value, fault) in [
        (
            "bucket/vault",
            old.iter().find(|(key, _)| key == b"bucket/vault").map(|(_, value)| value),
            RecordFault::Older,
        ),
        ("user/alice", None, RecordFault::Missing),
    ] {
        let now = get(&engine(dir.path()).await, key.as_bytes()).await.map(|kept| kept.value);
        put(&engine(dir.path()).await, key.as_bytes(), value.cloned()).await;
        assert_eq!(told(open(dir.path(), &journal, at(61)).await), (key.to_owned(), fault));
        put(&engine(dir.path()).await, key.as_bytes(), now).await;
    }
    let known = snapshots(&journal);
    let before = picture(&opened(dir.path(), &journal, at(61)).await);
    assert_eq!(snapshots(&journal), known + 1, "one that has the bytes of the engine");
    assert_eq!(picture(&opened(dir.path(), &journal, at(61)).await), before);
    assert_eq!(snapshots(&journal), known + 1);
}

#[tokio::test]
async fn a_state_that_an_earlier_version_rebuilt_starts_as_it_is() {
    for writes_after in [0, 1] {
        let (dir, journal) = full().await;
        let before = picture(&opened(dir.path(), &journal, at(31)).await);
        earlier_snapshot(dir.path(), &journal).await;
        // An earlier version sealed each record again in every rebuild.
        rebuild(dir.path(), journal.all(), at(31)).await.expect("rebuilt");
        let writes: Vec<_> = journal.records();
        let open = async |entries: &[Vec<u8>]| {
            StateStore::open(dir.path(), journal.clone(), entries, Clock::standing_at(at(31))).await
        };
        if writes_after > 0 {
            let store = opened(dir.path(), &journal, at(31)).await;
            store.create_user(&user("bob"), at(31)).await.expect("made");
        }
        let writes = [writes, journal.records().split_off(journal.records().len() - writes_after)].concat();
        for key in ["bucket/vault", "user/alice"] {
            let kept = get(&engine(dir.path()).await, key.as_bytes()).await.map(|kept| kept.value);
            put(&engine(dir.path()).await, key.as_bytes(), None).await;
            assert_eq!(told(open(&writes).await), (key.to_owned(), RecordFault::Missing));
            put(&engine(dir.path()).await, key.as_bytes(), kept).await;
        }
        let known = snapshots(&journal);
        let store = open(&writes).await.expect("a store");
        assert_eq!(writes_after == 0, picture(&store) == before);
        assert_eq!(snapshots(&journal), known + 1);
        drop(store);
        opened(dir.path(), &journal, at(32)).await;
        assert_eq!(snapshots(&journal), known + 1, "from now on it is exact");
    }
}

#[tokio::test]
async fn a_rebuilt_store_is_held_against_its_own_sum() {
    let (dir, journal) = full().await;
    earlier_snapshot(dir.path(), &journal).await;
    rebuild(dir.path(), journal.all(), at(31)).await.expect("rebuilt");
    opened(dir.path(), &journal, at(31)).await;
    let sum = get(&engine(dir.path()).await, REBUILT_SUM.as_bytes()).await.map(|kept| kept.value);
    for key in [REBUILT_SUM, "bucket/vault"] {
        let kept = get(&engine(dir.path()).await, key.as_bytes()).await.map(|kept| kept.value);
        put(&engine(dir.path()).await, key.as_bytes(), None).await;
        assert_refused(dir.path(), &journal, key).await;
        put(&engine(dir.path()).await, key.as_bytes(), kept).await;
    }
    // A later write carries the sum of the rebuilt store, and the rebuild's own says nothing any more.
    let store = opened(dir.path(), &journal, at(31)).await;
    store
        .record_bucket(&bucket("second"), store.bucket(&bucket("second")), StateChange::EnableMfaDelete, at(31))
        .await
        .expect("recorded");
    drop(store);
    put(&engine(dir.path()).await, REBUILT_SUM.as_bytes(), None).await;
    opened(dir.path(), &journal, at(31)).await;
    put(&engine(dir.path()).await, REBUILT_SUM.as_bytes(), sum).await;
    put(&engine(dir.path()).await, b"bucket/vault", None).await;
    assert_refused(dir.path(), &journal, "after a later write").await;
}

#[tokio::test]
async fn a_state_from_before_there_were_sums_is_taken_once() {
    let (dir, journal) = full().await;
    let before = picture(&opened(dir.path(), &journal, at(31)).await);
    let last = StateWrite::parse(journal.records().last().expect("one")).expect("a write");
    let old = StateWrite { sum: None, ..last }.to_bytes().expect("json");
    journal.replace_all(|bytes| {
        let write = StateWrite::parse(bytes).expect("a write");
        StateWrite { sum: None, ..write }.to_bytes().expect("json")
    });
    put(&engine(dir.path()).await, LAST_WRITE.as_bytes(), Some(old)).await;
    let known = journal.records().len();
    assert_eq!(picture(&opened(dir.path(), &journal, at(31)).await), before);
    assert_eq!(journal.records().len(), known + 1, "the journal has the sum now");
    assert_eq!(picture(&opened(dir.path(), &journal, at(31)).await), before);
    assert_eq!(journal.records().len(), known + 1);
    put(&engine(dir.path()).await, b"bucket/vault", None).await;
    assert_refused(dir.path(), &journal, "after the one time").await;
}
