//! Keeps the journal from growing for ever: what nobody needs any more is trimmed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::audit::journal::{Journal, JournalError, Sequence};
use crate::clock::{Clock, Timestamp};
use crate::delivery::Delivery;
use crate::history::History;
use crate::store::{Store, StoreError};

/// How often old records are looked for.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// The first record that somebody still needs.
pub(super) type Needed = Box<dyn Fn() -> Sequence + Send + Sync>;

/// Whoever makes something of the journal's records, and still needs some.
pub(super) fn readers(delivery: &Delivery, history: &Arc<History>) -> Vec<Needed> {
    let (delivery, history) = (delivery.clone(), Arc::clone(history));
    let after = |sequence: Sequence| Sequence::new(sequence.number() + 1);
    vec![Box::new(move || delivery.needed_from()), Box::new(move || after(history.indexed_through()))]
}

/// Trims the journal now and then, until the gate stops.
///
/// Only what all of `readers` are done with goes; with none of them nobody keeps what the journal alone has, so that
/// nothing goes.
pub(super) async fn trim(
    journal: Arc<Journal>,
    store: Store,
    clock: Clock,
    keep: Duration,
    readers: Vec<Needed>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        let waiting = tokio::time::timeout(EVERY, stop.wait_for(|stopped| *stopped));
        if waiting.await.is_ok() {
            return Ok(());
        }
        match trim_once(&journal, &store, clock.now(), keep, &readers).await {
            Ok(first) => tracing::debug!(first = first.number(), "the journal is trimmed"),
            Err(error) => tracing::error!(%error, "the journal is not trimmed"),
        }
    }
}

/// Why nothing was trimmed.
#[derive(Debug, thiserror::Error)]
enum Untrimmed {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn trim_once(
    journal: &Arc<Journal>,
    store: &Store,
    now: Timestamp,
    keep: Duration,
    readers: &[Needed],
) -> Result<Sequence, Untrimmed> {
    let first = journal.first_sequence();
    let Some(needed) = readers.iter().map(|needed| needed()).min() else { return Ok(first) };
    // A clock before 1970 keeps everything.
    let Some(time) = now.system_time().checked_sub(keep) else { return Ok(first) };
    let before = journal.written_since(time)?.min(needed);
    if before <= first {
        return Ok(first);
    }
    // What goes may hold the last write of each record of the state.
    store.snapshot().await?;
    let journal = Arc::clone(journal);
    let trimmed = tokio::task::spawn_blocking(move || journal.trim(before)).await;
    Ok(trimmed.unwrap_or(Ok(first))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::audit::journal::{Kind, Options, Recovered};
    use crate::serve::StateLog;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    async fn open(place: &std::path::Path) -> (Arc<Journal>, Store, Recovered) {
        let options = Options { segment_size: 4096, ..Options::default() };
        let (journal, recovered) = Journal::open(&place.join("journal"), options).expect("a journal");
        let journal = Arc::new(journal);
        let recorded = recovered.last_state.as_ref().map(|state| state.payload.as_slice());
        let state = Arc::new(StateLog(journal.clone()));
        let store = Store::open(&place.join("data"), state, recorded, Clock::System.now()).await.expect("a store");
        (journal, store, recovered)
    }

    fn needs(number: u64) -> Needed {
        Box::new(move || Sequence::new(number))
    }

    #[tokio::test]
    async fn what_is_old_and_needed_by_nobody_goes_and_the_gate_starts_without_it() {
        let place = tempfile::tempdir().expect("a directory");
        let (journal, store, _) = open(place.path()).await;
        let account = store.account().clone();
        for _ in 0..100 {
            journal.append(Kind::Event, &[b'x'; 200]).expect("taken");
        }
        let (now, later) = (Clock::System.now(), Clock::System.now().plus(3 * HOUR));
        let trim = async |now, readers: &[Needed]| trim_once(&journal, &store, now, HOUR, readers).await.expect("done");
        assert_eq!(trim(later, &[]).await.number(), 1, "nobody else has it");
        assert_eq!(trim(now, &[needs(90)]).await.number(), 1, "it is not old");
        assert_eq!(trim(later, &[needs(90), needs(2)]).await.number(), 1, "somebody needs it");
        let first = trim(later, &[needs(90), needs(50)]).await.number();
        assert!((30..=50).contains(&first), "{first}");
        drop((journal, store));
        let (journal, store, recovered) = open(place.path()).await;
        assert_eq!((journal.first_sequence().number(), store.account()), (first, &account));
        assert_eq!(recovered.verified_from, first);
    }
}
