//! Rebuild: a new engine from the journal's records of state; the old one is put aside and never deleted.

use std::path::{Path, PathBuf};

use super::contents::{KeptRecords, bad_record};
use super::engine::{KeySwap, StateEngine, SwapOutcome};
use super::error::{StartError, StoreError};
use super::recorded::{RecordedExtent, RecordedState};
use super::seal::RecordSealer;
use super::sled_engine::{SledEngine, sync_dir};
use super::start::{StatePaths, lock, prepare_dir, unreadable};
use super::sum::{REBUILT_SUM, RebuiltSum, SummedRecords};
use super::write::{EngineRecord, LAST_WRITE, StateWrite};
use portcullis_base::clock::Timestamp;

/// What a rebuild did.
#[derive(Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// The last change that is in the new engine.
    pub revision: u64,
    /// Where the old engine's files are now, if there was one.
    pub set_aside: Option<PathBuf>,
}

/// Makes a new engine of the journal's records of state, given in their order and from the first on, or from a snapshot.
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
    let recorded = RecordedState::replay(records, |entry| entry.verify(&sealer))?;
    if recorded.revision == 0 || recorded.extent == RecordedExtent::Part {
        return Err(StartError::JournalUnreadable(1));
    }
    let revision = recorded.revision;
    let fresh = unused(dir, "state.new", now);
    write_new(&fresh, recorded, &sealer, dir).await?;
    let set_aside = swap_in(dir, &places.state, &fresh, now)?;
    Ok(RebuildReport { revision, set_aside })
}

async fn write_new(path: &Path, recorded: RecordedState, sealer: &RecordSealer, dir: &Path) -> Result<(), StartError> {
    let failed = |error| unreadable(dir, error);
    let (revision, last) = (recorded.revision, recorded.last.clone());
    let kept = recorded.into_kept();
    for (key, record) in &kept {
        EngineRecord::open(record, key, sealer).map_err(bad_record)?;
    }
    let mut meta = vec![(LAST_WRITE, last.clone())];
    if let Some(sum) = own_sum(&kept, revision, &last, sealer)? {
        meta.push((REBUILT_SUM, sum.to_bytes().map_err(StoreError::Sealing)?));
    }
    let meta = meta.into_iter().map(|(key, value)| (key.to_owned(), value));
    let swaps =
        meta.chain(kept).map(|(key, value)| KeySwap { key: key.into_bytes(), expect: None, value: Some(value) });
    let engine = SledEngine::open(path).await.map_err(failed)?;
    match engine.compare_and_swap(swaps.collect()).await.map_err(failed)? {
        SwapOutcome::Done(_) => Ok(()),
        SwapOutcome::Conflict => Err(StartError::Unreadable("the new store was not empty".to_owned())),
    }
}

/// The sum of these records, where it is not the one that the last write carries.
fn own_sum(
    kept: &KeptRecords,
    revision: u64,
    last: &[u8],
    sealer: &RecordSealer,
) -> Result<Option<RebuiltSum>, StartError> {
    let unreadable = || StartError::JournalUnreadable(revision);
    let records = kept.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice())));
    let sum = SummedRecords::default().after(records, sealer).sum;
    let write = StateWrite::parse(last).ok_or_else(unreadable)?;
    let written = write.open_sum(sealer).map_err(|_| unreadable())?;
    if written == Some(sum) {
        return Ok(None);
    }
    RebuiltSum::seal(sum, revision, last, sealer).map(Some).map_err(|error| StoreError::Sealing(error).into())
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
