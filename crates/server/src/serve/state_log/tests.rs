use super::*;

use std::path::Path;

use portcullis_base::clock::Clock;
use portcullis_base::names::UserName;
use portcullis_journal::JournalOptions;
use portcullis_state::StartError;

/// A state on disks, with small segments of which a start reads a few.
struct StateOnDisk {
    journal: Arc<Journal>,
    log: Arc<StateLog>,
    store: StateStore,
}

const SEGMENT: u64 = 4096;
const READ_AT_START: u64 = 8 * SEGMENT;

fn open_journal(place: &Path) -> (Arc<Journal>, JournalRecovery) {
    let options = JournalOptions { segment_size: SEGMENT, verify_at_start: READ_AT_START, ..JournalOptions::default() };
    let (journal, recovered) = Journal::open(&place.join("journal"), options).expect("a journal");
    (Arc::new(journal), recovered)
}

impl StateOnDisk {
    async fn try_open(place: &Path) -> Result<Self, StartError> {
        let (journal, mut recovered) = open_journal(place);
        let (log, entries) = StateLog::new(journal.clone(), place.to_owned(), &mut recovered);
        let log = Arc::new(log);
        let store = StateStore::open(&place.join("data"), log.clone(), &entries, Clock::System).await?;
        Ok(Self { journal, log, store })
    }

    async fn open(place: &Path) -> Self {
        Self::try_open(place).await.expect("a state")
    }

    async fn add_user(&self, name: &str) {
        let name = UserName::parse(name).expect("a name");
        self.store.create_user(&name, Clock::System.now()).await.expect("made");
    }

    /// Records so many events of 200 bytes.
    fn record(&self, count: usize) {
        for _ in 0..count {
            self.journal.append(RecordKind::Event, &[b'x'; 200]).expect("taken");
        }
    }

    fn users(&self) -> usize {
        self.store.users().len()
    }
}

/// How many snapshots, and how many writes after them, a start finds.
fn found(place: &Path) -> (usize, usize) {
    let (_, recovered) = open_journal(place);
    let snapshots = recovered.states.iter().filter(|state| is_snapshot(&state.payload)).count();
    (snapshots, recovered.states.len() - snapshots)
}

fn is_snapshot(payload: &[u8]) -> bool {
    String::from_utf8_lossy(payload).contains("\"state\":[")
}

/// The newest segment.
fn newest(place: &Path) -> PathBuf {
    let segments = std::fs::read_dir(place.join("journal")).expect("a list").map(|entry| entry.expect("one").path());
    segments.filter(|path| path.extension().is_some_and(|end| end == "journal")).max().expect("a segment")
}

#[tokio::test]
async fn a_start_finds_a_snapshot_however_much_was_recorded_since_the_last_change() {
    let place = tempfile::tempdir().expect("a directory");
    let state = StateOnDisk::open(place.path()).await;
    state.add_user("alice").await;
    for _ in 0..100 {
        state.record(20);
        state.log.snapshot_after(2 * SEGMENT, &state.store).await.expect("taken");
    }
    state.add_user("bob").await;
    let written = state.journal.last_sequence().number();
    drop(state);
    assert_eq!(found(place.path()), (1, 1));
    assert!(written < 2000 + 60, "{written}: one in a few segments is enough");
    let state = StateOnDisk::open(place.path()).await;
    assert_eq!((state.users(), state.journal.last_sequence().number()), (2, written), "it was exact");
}

#[tokio::test]
async fn a_start_without_a_snapshot_in_what_it_reads_takes_one() {
    let place = tempfile::tempdir().expect("a directory");
    let state = StateOnDisk::open(place.path()).await;
    state.add_user("alice").await;
    state.record(1000);
    drop(state);
    assert_eq!(found(place.path()), (0, 1), "the last write alone");
    drop(StateOnDisk::open(place.path()).await);
    assert_eq!(found(place.path()), (1, 0));
    assert_eq!(StateOnDisk::open(place.path()).await.users(), 1);
}

#[tokio::test]
async fn a_snapshot_is_taken_where_much_has_begun_and_not_again() {
    let place = tempfile::tempdir().expect("a directory");
    let state = StateOnDisk::open(place.path()).await;
    state.record(10);
    let last = state.journal.last_sequence();
    state.log.snapshot_after(SEGMENT, &state.store).await.expect("not needed");
    assert_eq!(state.journal.last_sequence(), last);
    state.record(100);
    let (stop, stopped) = watch::channel(false);
    let taking = tokio::spawn(take_snapshots(state.log.clone(), state.store.clone(), SEGMENT, stopped));
    let taken = async {
        while state.log.needed_from.load(Ordering::SeqCst) <= last.number() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.expect("taken in time");
    stop.send_replace(true);
    taking.await.expect("it ended").expect("in order");
    let last = state.journal.last_sequence();
    state.log.snapshot_after(SEGMENT, &state.store).await.expect("not needed");
    assert_eq!(state.journal.last_sequence(), last);
}

#[tokio::test]
async fn a_snapshot_that_a_crash_tore_leaves_the_state_as_it_was() {
    let place = tempfile::tempdir().expect("a directory");
    let state = StateOnDisk::open(place.path()).await;
    state.add_user("alice").await;
    drop(state);
    let whole = std::fs::read(newest(place.path())).expect("bytes");
    let before = whole.iter().rposition(|byte| *byte != 0).expect("records") + 1;
    let state = StateOnDisk::open(place.path()).await;
    state.store.snapshot().await.expect("taken");
    drop(state);
    assert_eq!(found(place.path()), (1, 0));
    let mut torn = std::fs::read(newest(place.path())).expect("bytes");
    let end = torn.iter().rposition(|byte| *byte != 0).expect("records") + 1;
    torn[before + (end - before) / 2..].fill(0);
    std::fs::write(newest(place.path()), torn).expect("written");
    let state = StateOnDisk::open(place.path()).await;
    state.add_user("bob").await;
    drop(state);
    assert_eq!(found(place.path()), (0, 3), "the account and two users");
    assert_eq!(StateOnDisk::open(place.path()).await.users(), 2);
}

#[tokio::test]
async fn a_journal_that_was_cut_at_a_segment_is_refused_even_where_nothing_pins_its_end() {
    let place = tempfile::tempdir().expect("a directory");
    let state = StateOnDisk::open(place.path()).await;
    state.record(60);
    state.add_user("alice").await;
    state.store.snapshot().await.expect("taken");
    state.record(60);
    // A start mends the lack of one write, so more than one is to be lost.
    for name in ["bob", "carol", "dave"] {
        state.add_user(name).await;
    }
    drop(state);
    std::fs::remove_file(newest(place.path())).expect("removed");
    let cut = Journal::open(&place.path().join("journal"), JournalOptions::default());
    assert!(matches!(cut, Err(JournalError::Missing { .. })));
    std::fs::remove_file(place.path().join("journal").join("head")).expect("removed");
    let refused = StateOnDisk::try_open(place.path()).await.err();
    assert!(matches!(refused, Some(StartError::JournalCut { .. })), "{refused:?}");
}
