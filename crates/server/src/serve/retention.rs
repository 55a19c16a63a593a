//! Trims records from the journal that are old and no longer needed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::ballast::Ballast;
use portcullis_audit::{DiskSpace, Recorder};
use portcullis_base::clock::{Clock, ClockDisagreement};
use portcullis_journal::{Journal, JournalError, Sequence};
use portcullis_state::{StateStore, StoreError};

/// How often the journal is trimmed.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// Trims the journal periodically, until the proxy stops.
///
/// It removes only old records that no follower of the journal needs.
pub(super) async fn trim(
    journal: Arc<Journal>,
    state: StateStore,
    clock: Clock,
    keep: Duration,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        let waiting = tokio::time::timeout(EVERY, stop.wait_for(|stopped| *stopped));
        if waiting.await.is_ok() {
            return Ok(());
        }
        match trim_once(&journal, &state, &clock, keep).await {
            Ok(first) => tracing::debug!(first = first.number(), "the journal is trimmed"),
            Err(error) => tracing::error!(%error, "the journal is not trimmed"),
        }
    }
}

/// How often the time is stored: after a reboot, a clock that is behind by less is not noticed.
const KEEP_TIME: Duration = Duration::from_secs(60);

/// Watches the clock, and logs when it is set and when it is right again, until the proxy stops.
pub(super) async fn watch_clock(state: StateStore, clock: Clock, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let (mut disagreed, mut kept) = (false, None::<Instant>);
    loop {
        let disagreement = state.clock_disagreement();
        match (disagreed, &disagreement) {
            (false, Some(disagreement)) => {
                tracing::error!(%disagreement, "MFA codes are refused and old data is kept");
            }
            (true, None) => tracing::warn!("the clock is right again: MFA codes are accepted"),
            (false, None) | (true, Some(_)) => {}
        }
        let changed = disagreed != disagreement.is_some();
        disagreed = disagreement.is_some();
        if changed || kept.is_none_or(|kept| kept.elapsed() >= KEEP_TIME) {
            match state.watch_clock(clock.now()).await {
                Ok(()) | Err(StoreError::ClockDisagrees(_)) => kept = Some(Instant::now()),
                Err(error) => tracing::debug!(%error, "the time cannot be stored"),
            }
        }
        if tokio::time::timeout(LOOK, stop.wait_for(|stopped| *stopped)).await.is_ok() {
            return Ok(());
        }
    }
}

/// How often the clock and the free disk space are checked; unsigned requests write at most their budget in this time.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps unsigned requests from using the disk's reserve, and records their counts instead, until the proxy stops.
pub(super) async fn watch_space(
    recorder: Arc<Recorder>,
    directory: PathBuf,
    segment_size: u64,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut last = DiskSpace::Enough;
    loop {
        let (recorder, directory) = (Arc::clone(&recorder), directory.clone());
        let look = move || {
            let space = space(&directory, segment_size);
            recorder.set_space(space);
            if space == DiskSpace::Enough
                && let Err(error) = Ballast::of(&directory).restore()
            {
                tracing::debug!(%error, "no space can be reserved for a start on a full disk");
            }
            recorder.tell_counted();
            space
        };
        let space = tokio::task::spawn_blocking(look).await.unwrap_or(last);
        match (last, space) {
            (DiskSpace::Enough, DiskSpace::Short) => {
                tracing::error!("the state's disk is nearly full: unsigned requests are counted, not recorded")
            }
            (DiskSpace::Short, DiskSpace::Enough) => tracing::warn!("the state's disk has space again"),
            (DiskSpace::Enough, DiskSpace::Enough) | (DiskSpace::Short, DiskSpace::Short) => {}
        }
        last = space;
        if tokio::time::timeout(LOOK, stop.wait_for(|stopped| *stopped)).await.is_ok() {
            return Ok(());
        }
    }
}

/// Whether a directory's file system has more space than the reserve; assumed true if it cannot be determined.
fn space(directory: &Path, segment_size: u64) -> DiskSpace {
    match portcullis_journal::disk_space(directory) {
        Ok((free, whole)) if free < reserve(whole, segment_size) => DiskSpace::Short,
        Ok(_) => DiskSpace::Enough,
        Err(error) => {
            tracing::debug!(%error, "the free space of the disk cannot be determined");
            DiskSpace::Enough
        }
    }
}

/// A tenth of the disk, and at least two segments of the journal; never more than a quarter of a small disk.
fn reserve(whole: u64, segment_size: u64) -> u64 {
    const LEAST: u64 = 16 << 20;
    const MOST: u64 = 512 << 20;
    (whole / 10).clamp(LEAST, MOST).max(segment_size.saturating_mul(2)).min(whole / 4)
}

/// Why nothing was trimmed.
#[derive(Debug, thiserror::Error)]
enum TrimError {
    /// The clock was set, so records that seem old may be new.
    #[error(transparent)]
    Clock(#[from] ClockDisagreement),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn trim_once(
    journal: &Arc<Journal>,
    state: &StateStore,
    clock: &Clock,
    keep: Duration,
) -> Result<Sequence, TrimError> {
    let first = journal.first_sequence();
    // With a clock before 1970 everything is kept.
    let Some(time) = clock.check()?.system_time().checked_sub(keep) else { return Ok(first) };
    let before = journal.retained_from(time)?;
    if before <= first {
        return Ok(first);
    }
    // The removed records may hold the last write of a record of the state.
    state.snapshot().await?;
    let journal = Arc::clone(journal);
    let trimmed = tokio::task::spawn_blocking(move || journal.trim(before)).await;
    Ok(trimmed.unwrap_or(Ok(first))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Weak;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::serve::state_log::StateLog;
    use portcullis_base::clock::{SetClocks, WatchedClock};
    use portcullis_journal::{JournalFollower, JournalOptions, JournalRecovery, RecordKind};
    use portcullis_state::testing::in_memory;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    async fn open(place: &std::path::Path) -> (Arc<Journal>, StateStore, JournalRecovery) {
        let options = JournalOptions { segment_size: 4096, ..JournalOptions::default() };
        let (journal, mut recovered) = Journal::open(&place.join("journal"), options).expect("a journal");
        let journal = Arc::new(journal);
        let (log, entries) = StateLog::new(journal.clone(), place.to_owned(), &mut recovered);
        let log = Arc::new(log);
        let state = StateStore::open(&place.join("data"), log, &entries, Clock::System).await.expect("a state");
        (journal, state, recovered)
    }

    #[test]
    fn a_reserve_is_a_tenth_of_the_disk_within_bounds() {
        for (whole, segment, expected) in [
            (100 << 30, 64 << 20, 512 << 20),
            (1 << 30, 64 << 20, 128 << 20),
            (256 << 20, 4 << 20, 26_843_545),
            (256 << 20, 64 << 20, 64 << 20),
            (32 << 20, 1 << 20, 8 << 20),
        ] {
            assert_eq!(reserve(whole, segment), expected, "{whole} {segment}");
        }
    }

    /// A follower that needs this record and those after it.
    #[derive(Debug)]
    struct Needs(AtomicU64);

    impl JournalFollower for Needs {
        fn needed_from(&self) -> Sequence {
            Sequence::new(self.0.load(Ordering::SeqCst))
        }
    }

    /// Registers a follower that needs this record.
    fn follow(journal: &Journal, number: u64) -> Arc<Needs> {
        let needs = Arc::new(Needs(AtomicU64::new(number)));
        let follower: Weak<Needs> = Arc::downgrade(&needs);
        journal.register(follower);
        needs
    }

    #[tokio::test]
    async fn what_is_old_and_needed_by_nobody_goes_and_the_gate_starts_without_it() {
        let place = tempfile::tempdir().expect("a directory");
        let (journal, state, _) = open(place.path()).await;
        let account = state.account().clone();
        for _ in 0..100 {
            journal.append(RecordKind::Event, &[b'x'; 200]).expect("taken");
        }
        let now = Clock::System.now();
        let later = Clock::standing_at(now.plus(3 * HOUR));
        let trim =
            async |clock: &Clock| trim_once(&journal, &state, clock, HOUR).await.map(|first| first.number()).ok();
        assert_eq!(trim(&later).await, Some(1), "nothing else has it");
        let _far = follow(&journal, 90);
        assert_eq!(trim(&Clock::System).await, Some(1), "it is not old");
        let near = follow(&journal, 2);
        assert_eq!(trim(&later).await, Some(1), "a follower needs it");
        near.0.store(50, Ordering::SeqCst);
        let clocks = SetClocks { wall: now.millis().into(), since_boot: 0.into() };
        let clocks = Arc::new(clocks);
        let set_ahead = Clock::Watched(Arc::new(WatchedClock::set(&clocks, None)));
        clocks.wall.fetch_add(3 * 3_600_000, Ordering::SeqCst);
        assert_eq!(trim(&set_ahead).await, None, "the clock was set");
        let (unsaved, _, refusing) = in_memory(now).await;
        refusing.failing.store(true, Ordering::SeqCst);
        let refused = trim_once(&journal, &unsaved, &later, HOUR).await;
        assert!(matches!(refused, Err(TrimError::Store(StoreError::Journal(_)))), "{refused:?}");
        assert_eq!(journal.first_sequence().number(), 1, "no snapshot stands for what would go");
        let first = trim(&later).await.expect("trimmed");
        assert!((30..=50).contains(&first), "{first}");
        drop((journal, state));
        let (journal, state, recovered) = open(place.path()).await;
        assert_eq!((journal.first_sequence().number(), state.account()), (first, &account));
        assert_eq!(recovered.verified_from, first);
    }
}
