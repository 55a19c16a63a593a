//! Start: open what is there, hold it against the journal, and make it only where nothing ever was.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::change::ChangeDecision;
use super::contents::EngineContents;
use super::engine::{EngineError, StateEngine};
use super::error::{StartError, StoreError};
use super::lease::BucketLeases;
use super::principals::{new_account_id, new_key};
use super::recorded::{RecordComparison, RecordedState};
use super::records::{AccountRecord, StateRecord};
use super::seal::{MasterKeyError, RecordSealer};
use super::sessions::SessionSealer;
use super::sled_engine::SledEngine;
use super::state::{StateMemory, StateTables};
use super::unsettled::UnansweredRequests;
use super::write::{RecordEdit, StateWrite};
use super::writer::{JournalLack, StateJournal, StateWriter, WriterHealth};
use super::{StateShared, StateStore};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_sigv4::{Keyring, Principal};

/// Where everything is in the state directory.
pub(super) struct StatePaths {
    pub master_key: PathBuf,
    pub lock: PathBuf,
    pub state: PathBuf,
}

impl StatePaths {
    pub(crate) fn of(dir: &Path) -> Self {
        Self { master_key: dir.join("master.key"), lock: dir.join("state.lock"), state: dir.join("state") }
    }
}

impl StateStore {
    /// Opens the state in this directory; `recorded` is the last snapshot in the journal and the writes after it, or the
    /// writes alone.
    ///
    /// A directory of which neither disk nor journal knows gets an account and root's first key.
    pub async fn open(
        dir: &Path,
        journal: Arc<dyn StateJournal>,
        recorded: &[Vec<u8>],
        clock: Clock,
    ) -> Result<Self, StartError> {
        prepare_dir(dir)?;
        let lock = lock(dir)?;
        let places = StatePaths::of(dir);
        if !recorded.is_empty() && !places.state.exists() {
            return Err(StartError::Missing);
        }
        let sealer = master_key(&places, recorded)?;
        let engine = SledEngine::open(&places.state).await.map_err(|error| unreadable(dir, error))?;
        Self::start(Arc::new(engine), journal, sealer, recorded, clock, Some(lock)).await
    }

    pub(super) async fn start(
        engine: Arc<dyn StateEngine>,
        journal: Arc<dyn StateJournal>,
        sealer: RecordSealer,
        recorded: &[Vec<u8>],
        clock: Clock,
        lock: Option<File>,
    ) -> Result<Self, StartError> {
        let entries = engine.scan().await.map_err(|error| StartError::Unreadable(error.to_string()))?;
        let contents = EngineContents::read(entries, &sealer)?;
        let recorded = RecordedState::replay(recorded, |entry| {
            // The engine's own records have told that the master key is the right one.
            entry.verify(&sealer).map_err(|_| StartError::JournalUnreadable(entry.revision()))
        })?;
        let lack = compare_ends(contents.last.as_ref(), &recorded)?;
        let comparison = compare_records(&contents, recorded, lack, &sealer)?;
        let summed = contents.check_sum(&sealer)?;
        let written = contents.last.as_ref().map(|(write, _)| Timestamp::from_millis(write.at));
        let kept = contents.last_time.as_ref();
        let now = clock.now();
        let last_seen = written.max(kept.map(|last| last.seen)).unwrap_or(now);
        if let Some(watch) = clock.watch() {
            watch.resume(kept.and_then(|last| last.boot.as_ref()), last_seen);
        }
        let memory = StateMemory::new(Keyring::with_sessions(Box::new(SessionSealer(sealer.clone()))));
        let revision = contents.revision();
        memory.apply(contents.records.into_iter().map(|(_, record)| RecordEdit::Put(record)).collect());
        let mut writer = StateWriter {
            engine,
            journal,
            sealer: sealer.clone(),
            revision,
            last: contents.last.map_or_else(Vec::new, |(_, bytes)| bytes),
            versions: contents.versions,
            records: contents.sum,
            lack,
            health: WriterHealth::Sound,
            clock: clock.clone(),
            last_seen,
        };
        match writer.revision {
            0 => make_account(&mut writer, &memory, now).await?,
            _ => writer.complete_journal(&memory).await?,
        }
        if !summed {
            writer.record_sum(&memory, now).await?;
        }
        match comparison {
            RecordComparison::Exact => {}
            RecordComparison::Partial => {
                tracing::warn!("the newest part of the journal has no snapshot of the state; one is taken");
                writer.record_start(&memory).await?;
            }
            RecordComparison::Resealed => {
                tracing::info!("records of the state were sealed by an earlier version; a snapshot of it is taken");
                writer.record_start(&memory).await?;
            }
        }
        let account = memory.read().account.clone();
        let account = account.ok_or_else(|| StartError::Unreadable("it has no account".to_owned()))?;
        Ok(Self(Arc::new(StateShared {
            account,
            memory,
            clock,
            writer: tokio::sync::Mutex::new(writer),
            queues: Mutex::default(),
            leases: BucketLeases::default(),
            unanswered: UnansweredRequests::default(),
            sealer,
            _lock: lock,
        })))
    }
}

/// Makes the state directory, or makes sure that it belongs to this user.
pub fn prepare_dir(dir: &Path) -> Result<(), StartError> {
    let failed = |error| StartError::Directory { path: dir.to_owned(), error };
    if !dir.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    let metadata = std::fs::metadata(dir).map_err(failed)?;
    let ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    // One that was just made by hand may be closed; one that is in use might be shared on purpose.
    let empty = ours && std::fs::read_dir(dir).map_err(failed)?.next().is_none();
    if !empty {
        return Err(StartError::DirectoryPermissions(dir.to_owned()));
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// Two proxies on one state would each judge codes by counters that the other moved.
pub(super) fn lock(dir: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::Directory { path: dir.to_owned(), error };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(StatePaths::of(dir).lock).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Reads the master key; makes one only where nothing can have been sealed yet.
fn master_key(places: &StatePaths, recorded: &[Vec<u8>]) -> Result<RecordSealer, StartError> {
    let path = &places.master_key;
    let found = match RecordSealer::read(path) {
        Err(MasterKeyError::Missing) if recorded.is_empty() && !places.state.exists() => RecordSealer::create(path),
        found => found,
    };
    found.map_err(|error| StartError::MasterKey { path: path.clone(), error })
}

pub(super) fn unreadable(dir: &Path, error: EngineError) -> StartError {
    match error {
        EngineError::InUse => StartError::InUse(dir.to_owned()),
        EngineError::Closed | EngineError::Failed(_) => StartError::Unreadable(error.to_string()),
    }
}

/// Compares where the two end. The store may be one write ahead of the journal, by a crash between the two, and in no
/// other way apart.
fn compare_ends(last: Option<&(StateWrite, Vec<u8>)>, recorded: &RecordedState) -> Result<JournalLack, StartError> {
    let (store, journal) = (last.map_or(0, |(write, _)| write.revision), recorded.revision);
    match last {
        _ if store < journal => Err(StartError::Behind { store, journal }),
        _ if store > journal + 1 => Err(StartError::JournalCut { store, journal }),
        Some((_, bytes)) if store == journal && recorded.last != *bytes => Err(StartError::Diverged(store)),
        // A version that wrote no sums cannot have read the journal.
        Some((write, _)) if write.sum.is_none() && recorded.carries_sum => Err(StartError::Diverged(store)),
        Some(_) if store > journal => Ok(JournalLack::LastWrite),
        Some(_) | None => Ok(JournalLack::Nothing),
    }
}

/// Compares the records of the two.
// INVARIANT (no trust): memory begins with records that the journal has, each as its last write left it. What was done to
// the engine alone shows here; what was done to both shows by the sum, which the master key sealed.
fn compare_records(
    contents: &EngineContents,
    mut recorded: RecordedState,
    lack: JournalLack,
    sealer: &RecordSealer,
) -> Result<RecordComparison, StartError> {
    if let (JournalLack::LastWrite, Some((write, bytes))) = (lack, &contents.last) {
        recorded.follow(write, bytes)?;
    }
    recorded.compare(&contents.kept, sealer)
}

/// An account without a key of root would be unusable.
async fn make_account(writer: &mut StateWriter, memory: &StateMemory, now: Timestamp) -> Result<(), StoreError> {
    let account = StateRecord::Account(AccountRecord { id: new_account_id()?, created: now });
    let first = [account, StateRecord::Key(new_key(Principal::Root, now)?)].map(RecordEdit::Put);
    let decide = |state: &StateTables| match state.account {
        Some(_) => Ok(ChangeDecision::Unchanged(())),
        None => Ok(ChangeDecision::Write { edits: first.to_vec(), answer: () }),
    };
    writer.change(memory, now, decide).await
}
