//! Rebuild: a new store from the changes in the journal, the old one put aside and never deleted.

use std::path::{Path, PathBuf};

use super::contents::bad_record;
use super::engine::{KeySwap, StateEngine, SwapOutcome};
use super::error::{StartError, StoreError};
use super::seal::RecordSealer;
use super::sled_engine::{SledEngine, sync_dir};
use super::snapshot::StateSnapshot;
use super::start::{StatePaths, lock, prepare_dir, unreadable};
use super::state::StateTables;
use super::sum::{REBUILT_SUM, RebuiltSum, SummedRecords};
use super::write::{LAST_WRITE, StateWrite};
use portcullis_base::clock::Timestamp;

/// What a rebuild did.
#[derive(Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// The last change that is in the new store.
    pub revision: u64,
    /// Where the old store is now, if there was one.
    pub set_aside: Option<PathBuf>,
}

/// Makes a new store of the journal's state records, given in their order and from the first on, or from a snapshot.
pub async fn rebuild(
    dir: &Path,
    records: impl IntoIterator<Item = Vec<u8>>,
    now: Timestamp,
) -> Result<RebuildReport, StartError> {
    prepare_dir(dir)?;
    let _lock = lock(dir)?;
    let places = StatePaths::of(dir);
    let sealer = RecordSealer::read(&places.master_key)
        .map_err(|error| StartError::MasterKey { path: places.master_key.clone(), error })?;
    let (state, last) = replay(records, &sealer)?;
    let fresh = unused(dir, "state.new", now);
    write_new(&fresh, &state, &last, &sealer, dir).await?;
    let set_aside = swap_in(dir, &places.state, &fresh, now)?;
    Ok(RebuildReport { revision: last.revision, set_aside })
}

/// The state after all changes; each must follow the one before and carry our tag.
fn replay(
    records: impl IntoIterator<Item = Vec<u8>>,
    sealer: &RecordSealer,
) -> Result<(StateTables, ReplayedState), StartError> {
    let mut state = StateTables::default();
    let mut last = ReplayedState { revision: 0, bytes: Vec::new(), summed: false };
    for bytes in records {
        // A record may be there twice, since the journal takes it again when it is unsure.
        if bytes == last.bytes {
            continue;
        }
        if let Some(snapshot) = StateSnapshot::parse(&bytes) {
            if !snapshot.may_follow(last.revision, &last.bytes) {
                return Err(StartError::JournalUnreadable(last.revision));
            }
            state = StateTables::default();
            state.apply(snapshot.open(sealer).map_err(bad_record)?);
            let summed = StateWrite::parse(snapshot.last.as_bytes()).is_some_and(|write| write.sum.is_some());
            last = ReplayedState { revision: snapshot.revision, bytes: snapshot.last.into_bytes(), summed };
            continue;
        }
        let expected = last.revision + 1;
        let write = StateWrite::parse(&bytes).filter(|write| write.revision == expected);
        let write = write.ok_or(StartError::JournalUnreadable(expected))?;
        state.apply(write.open(sealer).map_err(bad_record)?);
        let summed = write.open_sum(sealer).map_err(|_| StartError::JournalUnreadable(expected))?.is_some();
        if last.summed && !summed {
            return Err(StartError::JournalUnreadable(expected));
        }
        last = ReplayedState { revision: write.revision, bytes, summed };
    }
    if last.revision == 0 {
        return Err(StartError::JournalUnreadable(1));
    }
    Ok((state, last))
}

struct ReplayedState {
    revision: u64,
    bytes: Vec<u8>,
    /// Whether it carries the sum of all records; every later one does then.
    summed: bool,
}

async fn write_new(
    path: &Path,
    state: &StateTables,
    last: &ReplayedState,
    sealer: &RecordSealer,
    dir: &Path,
) -> Result<(), StartError> {
    let failed = |error| unreadable(dir, error);
    let edits: Vec<_> = state.records().map(super::write::RecordEdit::Put).collect();
    // Sealed again, as of the last change: the time is that of the journal's record.
    let write =
        StateWrite::seal(last.revision, Timestamp::from_millis(0), &edits, sealer).map_err(StoreError::Sealing)?;
    let kept = write.kept().map_err(StoreError::Sealing)?;
    let records = kept.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
    let sum = SummedRecords::default().after(records, sealer).sum;
    let sum = RebuiltSum::seal(sum, last.revision, &last.bytes, sealer).and_then(|sum| sum.to_bytes());
    let meta = [(LAST_WRITE, last.bytes.clone()), (REBUILT_SUM, sum.map_err(StoreError::Sealing)?)];
    let meta = meta.into_iter().map(|(key, value)| (key.to_owned(), Some(value)));
    let swaps = meta.chain(kept).map(|(key, value)| KeySwap { key: key.into_bytes(), expect: None, value }).collect();
    let engine = SledEngine::open(path).await.map_err(failed)?;
    match engine.compare_and_swap(swaps).await.map_err(failed)? {
        SwapOutcome::Done(_) => Ok(()),
        SwapOutcome::Conflict => Err(StartError::Unreadable("the new store was not empty".to_owned())),
    }
}

/// Between the two renames there is no store, which a start takes for missing and never for new.
fn swap_in(dir: &Path, state: &Path, fresh: &Path, now: Timestamp) -> Result<Option<PathBuf>, StartError> {
    let failed = |error| StartError::Directory { path: dir.to_owned(), error };
    let aside = state.exists().then(|| unused(dir, "state.old", now));
    if let Some(aside) = &aside {
        std::fs::rename(state, aside).map_err(failed)?;
    }
    std::fs::rename(fresh, state).map_err(failed)?;
    sync_dir(dir).map_err(|error| unreadable(dir, error))?;
    Ok(aside)
}

fn unused(dir: &Path, stem: &str, now: Timestamp) -> PathBuf {
    let first = dir.join(format!("{stem}-{}", now.iso_basic()));
    let others = (2..).map(|number| dir.join(format!("{stem}-{}-{number}", now.iso_basic())));
    std::iter::once(first).chain(others).find(|path| !path.exists()).unwrap_or_else(|| dir.join(stem))
}
