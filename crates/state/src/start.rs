//! Start: open what is there, hold it against the journal, and make it only where nothing ever was.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::clock::{LAST_TIME, LastTime};
use super::engine::{Engine, EngineError, Version};
use super::error::{StartError, StoreError};
use super::lease::Leases;
use super::principals::{new_account_id, new_key};
use super::records::{Account, Record, RecordError};
use super::seal::{MasterKeyError, SealError, Sealer};
use super::sled_engine::SledEngine;
use super::snapshot::last_write;
use super::state::Memory;
use super::sum::{REBUILT_SUM, RebuiltSum, SummedRecords};
use super::unsettled::Unanswered;
use super::write::{Edit, Kept, LAST_WRITE, Write};
use super::writer::{Health, StateJournal, Unrecorded, Writer};
use super::{Inner, Store};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_sigv4::Principal;

/// Where everything is in the state directory.
pub(super) struct Places {
    pub master_key: PathBuf,
    pub lock: PathBuf,
    pub state: PathBuf,
}

/// What an engine holds.
#[derive(Default)]
struct Found {
    edits: Vec<Edit>,
    versions: HashMap<String, Version>,
    records: SummedRecords,
    rebuilt: Option<RebuiltSum>,
    last: Option<(Write, Vec<u8>)>,
    last_time: Option<LastTime>,
}

impl Places {
    pub fn of(dir: &Path) -> Self {
        Self { master_key: dir.join("master.key"), lock: dir.join("state.lock"), state: dir.join("state") }
    }
}

impl Store {
    /// Opens the state in this directory; `recorded` is the last state record of the journal, if it has any.
    ///
    /// A directory of which neither disk nor journal knows gets an account and root's first key.
    pub async fn open(
        dir: &Path,
        journal: Arc<dyn StateJournal>,
        recorded: Option<&[u8]>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        prepare_dir(dir)?;
        let lock = lock(dir)?;
        let places = Places::of(dir);
        if recorded.is_some() && !places.state.exists() {
            return Err(StartError::Missing);
        }
        let sealer = master_key(&places, recorded)?;
        let engine = SledEngine::open(&places.state).await.map_err(|error| unreadable(dir, error))?;
        Self::start(Arc::new(engine), journal, sealer, recorded, clock, Some(lock)).await
    }

    pub(super) async fn start(
        engine: Arc<dyn Engine>,
        journal: Arc<dyn StateJournal>,
        sealer: Sealer,
        recorded: Option<&[u8]>,
        clock: Clock,
        lock: Option<File>,
    ) -> Result<Self, StartError> {
        let found = read_all(&*engine, &sealer).await?;
        let unrecorded = compare(found.last.as_ref(), recorded)?;
        let summed = found.check_sum(&sealer)?;
        let written = found.last.as_ref().map(|(write, _)| Timestamp::from_millis(write.at));
        let kept = found.last_time.as_ref();
        let now = clock.now();
        let last_seen = written.max(kept.map(|last| last.seen)).unwrap_or(now);
        if let Some(watch) = clock.watch() {
            watch.resume(kept.and_then(|last| last.boot.as_ref()), last_seen);
        }
        let memory = Memory::default();
        memory.apply(found.edits);
        let mut writer = Writer {
            engine,
            journal,
            sealer: sealer.clone(),
            revision: found.last.as_ref().map_or(0, |(write, _)| write.revision),
            last: found.last.map_or_else(Vec::new, |(_, bytes)| bytes),
            versions: found.versions,
            records: found.records,
            unrecorded,
            health: Health::Sound,
            clock: clock.clone(),
            last_seen,
        };
        match writer.revision {
            0 => writer.commit(&memory, first_records(now)?, now).await?,
            _ => writer.catch_up().await?,
        }
        if !summed {
            writer.record_sum(&memory, now).await?;
        }
        let account = memory.read().account.clone();
        let account = account.ok_or_else(|| StartError::Unreadable("it has no account".to_owned()))?;
        Ok(Self(Arc::new(Inner {
            account,
            memory,
            clock,
            writer: tokio::sync::Mutex::new(writer),
            queues: Mutex::default(),
            leases: Leases::default(),
            unanswered: Unanswered::default(),
            sealer,
            _lock: lock,
        })))
    }
}

impl Found {
    /// Holds the records against the sum that the last write left; whether it left one.
    // INVARIANT (nothing lost): the journal has the same write, or the write before it, and the master key sealed the
    // sum to the write; so a record that the engine lost, kept as it was earlier or got from elsewhere shows here.
    fn check_sum(&self, sealer: &Sealer) -> Result<bool, StartError> {
        let Some((write, bytes)) = &self.last else { return Ok(true) };
        let incomplete = |_| StartError::Incomplete(write.revision);
        let rebuilt = self.rebuilt.as_ref().filter(|rebuilt| rebuilt.revision == write.revision);
        let rebuilt = rebuilt.map(|rebuilt| rebuilt.open(bytes, sealer)).transpose().map_err(incomplete)?;
        let written = write.open_sum(sealer).map_err(incomplete)?;
        match rebuilt.or(written) {
            None => Ok(false),
            Some(sum) if sum == self.records.sum() => Ok(true),
            Some(_) => Err(StartError::Incomplete(write.revision)),
        }
    }
}

/// Makes the state directory, or makes sure that it is nobody else's.
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

/// Two gates on one state would each judge codes by counters that the other moved.
pub(super) fn lock(dir: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::Directory { path: dir.to_owned(), error };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(Places::of(dir).lock).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Reads the master key; makes one only where nothing can have been sealed yet.
fn master_key(places: &Places, recorded: Option<&[u8]>) -> Result<Sealer, StartError> {
    let path = &places.master_key;
    let found = match Sealer::read(path) {
        Err(MasterKeyError::Missing) if recorded.is_none() && !places.state.exists() => Sealer::create(path),
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

pub(super) fn bad_record(error: RecordError) -> StartError {
    match error {
        RecordError::Malformed(key) => StartError::Unreadable(format!("record `{key}` is not of a known form")),
        RecordError::Sealed { key, error: SealError::NotOurs } => StartError::WrongMasterKey(key),
        RecordError::Sealed { error, .. } => StartError::Store(StoreError::Sealing(error)),
    }
}

async fn read_all(engine: &dyn Engine, sealer: &Sealer) -> Result<Found, StartError> {
    let entries = engine.scan().await.map_err(|error| StartError::Unreadable(error.to_string()))?;
    let mut found = Found::default();
    let mut kept = Vec::new();
    let mut newest = 0;
    for (key, versioned) in entries {
        let key = String::from_utf8(key).map_err(|_| StartError::Unreadable("a key is not text".to_owned()))?;
        let malformed = || bad_record(RecordError::Malformed(key.clone()));
        match key.as_str() {
            LAST_WRITE => {
                let write = Write::parse(&versioned.value).ok_or_else(malformed)?;
                write.open(sealer).map_err(bad_record)?;
                found.last = Some((write, versioned.value));
            }
            LAST_TIME => {
                found.last_time = Some(LastTime::parse(&versioned.value).ok_or_else(malformed)?);
            }
            REBUILT_SUM => found.rebuilt = Some(RebuiltSum::parse(&versioned.value).ok_or_else(malformed)?),
            _ => {
                let (revision, record) = Kept::open(&versioned.value, &key, sealer).map_err(bad_record)?;
                newest = newest.max(revision);
                found.edits.push(Edit::Put(record));
                kept.push((key.clone(), versioned.value));
            }
        }
        found.versions.insert(key, versioned.version);
    }
    if newest > found.last.as_ref().map_or(0, |(write, _)| write.revision) {
        return Err(StartError::Unreadable("a record is newer than the last write".to_owned()));
    }
    let kept = kept.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice())));
    found.records.apply(found.records.after(kept, sealer));
    Ok(found)
}

/// The store may be one write ahead of the journal, by a crash between the two, and in no other way apart.
fn compare(last: Option<&(Write, Vec<u8>)>, recorded: Option<&[u8]>) -> Result<Option<Unrecorded>, StartError> {
    let store = last.map_or(0, |(write, _)| write.revision);
    let recorded = recorded.map(last_write);
    let recorded = recorded.as_deref();
    let (journal, summed) = match recorded {
        None => (0, false),
        Some(bytes) => {
            let write = Write::parse(bytes).ok_or(StartError::JournalUnreadable(store))?;
            (write.revision, write.sum.is_some())
        }
    };
    match last {
        _ if store < journal => Err(StartError::Behind { store, journal }),
        _ if store > journal + 1 => Err(StartError::JournalCut { store, journal }),
        Some((_, bytes)) if store == journal && recorded != Some(bytes) => Err(StartError::Diverged(store)),
        // A version that wrote no sums cannot have read the journal.
        Some((write, _)) if write.sum.is_none() && summed => Err(StartError::Diverged(store)),
        Some((write, bytes)) if store > journal => {
            Ok(Some(Unrecorded { revision: write.revision, bytes: bytes.clone() }))
        }
        Some(_) | None => Ok(None),
    }
}

/// An account without a key of root would be one that nobody can use.
fn first_records(now: Timestamp) -> Result<Vec<Edit>, StoreError> {
    let account = Account { id: new_account_id()?, created: now };
    Ok(vec![Edit::Put(Record::Account(account)), Edit::Put(Record::Key(new_key(Principal::Root, now)?))])
}
