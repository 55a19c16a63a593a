//! The journal as the state writes to it, and the snapshots by which a start needs little of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::ballast;
use portcullis_journal::{Journal, JournalError, JournalRecovery, RecordKind, Sequence};
use portcullis_state::{BoxedFuture, JournalUnavailable, StateJournal, StateStore, StoreError};

/// The journal as the state writes to it.
pub(super) struct StateLog {
    journal: Arc<Journal>,
    /// Where the state is.
    directory: PathBuf,
    /// The first record that the next start needs to know the state; zero for the whole journal.
    needed_from: AtomicU64,
}

impl StateLog {
    /// The log, and what the journal tells of the state, which is taken out of what was recovered.
    pub(super) fn new(
        journal: Arc<Journal>,
        directory: PathBuf,
        recovered: &mut JournalRecovery,
    ) -> (Self, Vec<Vec<u8>>) {
        let needed_from = recovered.states.first().map_or(0, |state| state.sequence.number());
        let entries = std::mem::take(&mut recovered.states).into_iter().map(|state| state.payload).collect();
        (Self { journal, directory, needed_from: needed_from.into() }, entries)
    }

    /// Takes a snapshot if more of the journal than this has begun since the last one.
    async fn snapshot_after(&self, most: u64, state: &StateStore) -> Result<(), SnapshotError> {
        let (journal, from) = (Arc::clone(&self.journal), self.needed_from.load(Ordering::SeqCst));
        let measured = tokio::task::spawn_blocking(move || journal.bytes_begun_after(Sequence::new(from))).await;
        // A measurement that was cut off ends with the process.
        if measured.unwrap_or(Ok(0))? > most { Ok(state.snapshot().await?) } else { Ok(()) }
    }
}

impl StateJournal for StateLog {
    fn record<'a>(&'a self, _revision: u64, write: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move {
            self.journal.record(RecordKind::State, write).await.map(drop).map_err(|_| JournalUnavailable)
        })
    }

    fn has_space(&self) -> bool {
        !ballast::is_full(&self.directory)
    }

    fn snapshot<'a>(&'a self, state: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move {
            let sequence = self.journal.append_snapshot(state).map_err(|_| JournalUnavailable)?;
            self.journal.durable(sequence).await.map_err(|_| JournalUnavailable)?;
            self.needed_from.store(sequence.number(), Ordering::SeqCst);
            Ok(())
        })
    }
}

/// A snapshot follows so much of the journal; a start reads four times as much.
pub(super) const MOST_SINCE_SNAPSHOT: u64 = 64 << 20;

/// How often the journal is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a snapshot failed.
const RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// Takes snapshots of the state, so that a start finds one in what it reads of the journal, until the proxy stops.
pub(super) async fn take_snapshots(
    log: Arc<StateLog>,
    state: StateStore,
    most: u64,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut next = MEASURE_EVERY;
    while tokio::time::timeout(next, stop.wait_for(|stopped| *stopped)).await.is_err() {
        next = match log.snapshot_after(most, &state).await {
            Ok(()) => MEASURE_EVERY,
            Err(error) => {
                tracing::error!(%error, "no snapshot of the state is taken");
                RETRY_AFTER
            }
        };
    }
    Ok(())
}

/// Why no snapshot was taken.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
