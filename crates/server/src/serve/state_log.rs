//! The journal as the state writes to it.

use std::path::PathBuf;
use std::sync::Arc;

use super::ballast;
use portcullis_journal::{Journal, RecordKind};
use portcullis_state::{BoxedFuture, JournalUnavailable, StateJournal};

/// The journal as the state writes to it.
pub(super) struct StateLog {
    pub journal: Arc<Journal>,
    /// Where the state is.
    pub directory: PathBuf,
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
            self.journal.durable(sequence).await.map_err(|_| JournalUnavailable)
        })
    }
}
