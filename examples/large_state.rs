//! Makes the state directory of a large and busy proxy: `cargo run --release --example large_state -- DIRECTORY BUCKETS RECORDS`.
//!
//! `bench/start` measures a start with it. The buckets are under MFA Delete, each by a write of its own; after them come
//! the records of one day, which are indexed as well. A write has two records, its intent and its outcome.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that fails has failed")]

mod events;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::{DAY, Source};
use portcullis_authorization::StateChange;
use portcullis_base::clock::Clock;
use portcullis_base::names::BucketName;
use portcullis_followers::history::History;
use portcullis_journal::{Journal, JournalOptions, RecordKind};
use portcullis_server::serve;
use portcullis_state::{BoxedFuture, JournalUnavailable, StateJournal, StateStore, prepare_dir};

/// So many records may wait for the disk.
const BATCH: u64 = 10_000;
/// A snapshot of the state follows so many, some 100 MiB, as a proxy takes them.
const SNAPSHOT: u64 = 100_000;
const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, buckets, records] = arguments.as_slice() else {
        eprintln!("usage: large_state DIRECTORY BUCKETS RECORDS");
        std::process::exit(64);
    };
    let directory = Path::new(directory);
    let (journal, store) = make(directory, buckets.parse().expect("a number")).await;
    record(&journal, &store, records.parse().expect("a number")).await;
    drop(store);
    index(directory, journal).await;
}

/// Makes the state with its buckets.
async fn make(directory: &Path, buckets: u32) -> (Arc<Journal>, StateStore) {
    prepare_dir(directory).expect("the directory can be made");
    let (journal, _) = Journal::open(&serve::journal_of(directory), JournalOptions::default()).expect("a new journal");
    let journal = Arc::new(journal);
    let log = Arc::new(StateLog(Arc::clone(&journal)));
    let store = StateStore::open(directory, log, &[], Clock::System).await.expect("a new state");
    for number in 0..buckets {
        let name = BucketName::parse(&format!("bucket-{number:06}")).expect("a name");
        store
            .record_bucket(&name, store.bucket(&name), StateChange::EnableMfaDelete, Clock::System.now())
            .await
            .expect("recorded");
    }
    store.watch_clock(Clock::System.now()).await.expect("recorded");
    (journal, store)
}

/// Appends so many records, the last of them of this moment.
async fn record(journal: &Journal, store: &StateStore, records: u64) {
    let mut source = Source::new(88_172_645_463_325_252, Clock::System.now().seconds() - DAY);
    let mut written = 0;
    while written < records {
        let event = source.event(written, records);
        let line = event.line();
        let last = if event.reads() || written + 1 == records {
            written += 1;
            journal.append(RecordKind::Event, line.as_bytes())
        } else {
            written += 2;
            let intent = journal.append(RecordKind::Intent, line.as_bytes()).expect("the journal is open");
            journal.append(RecordKind::Outcome(intent), line.as_bytes())
        };
        let last = last.expect("the journal is open");
        if last.number() % BATCH < 2 {
            journal.durable(last).await.expect("the journal is open");
        }
        if last.number() % SNAPSHOT < 2 {
            store.snapshot().await.expect("recorded");
        }
    }
    journal.durable(journal.last_sequence()).await.expect("the journal is open");
}

/// Indexes everything, as a proxy that ran for long has.
async fn index(directory: &Path, journal: Arc<Journal>) {
    let place = serve::history_of(directory);
    let last = journal.durable_sequence();
    let history = History::start(&place, journal, RETENTION, Clock::System).expect("a new history");
    while history.indexed_through() < last {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::task::spawn_blocking(move || history.stop()).await.expect("the indexer ends");
}

/// The journal as the state's writes go there.
struct StateLog(Arc<Journal>);

impl StateJournal for StateLog {
    fn record<'a>(&'a self, _revision: u64, write: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move { self.0.record(RecordKind::State, write).await.map(drop).map_err(|_| JournalUnavailable) })
    }

    fn snapshot<'a>(&'a self, state: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move { self.0.append_snapshot(state).map(drop).map_err(|_| JournalUnavailable) })
    }
}
