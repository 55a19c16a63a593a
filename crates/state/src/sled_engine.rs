//! sled behind the port, made to reach the disk.
//!
//! `flush` of sled 0.34 writes with `sync_file_range`, which leaves the data in the drive's cache.
//! So each write here is flushed, and then the data of sled's own file is synced through a handle of ours.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use tokio::sync::oneshot;

use super::engine::{
    BoxedFuture, EngineEntries, EngineError, KeySwap, StateEngine, SwapOutcome, ValueVersion, VersionedValue,
};

/// A sled database on a thread of its own, since each of its calls may wait for a disk.
pub(crate) struct SledEngine {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<EngineJob>>,
    thread: Option<JoinHandle<()>>,
}

type EngineJob = Box<dyn FnOnce(&mut SledDisk) + Send>;

struct SledDisk {
    db: sled::Db,
    /// sled's own file, to sync.
    file: File,
    health: SledHealth,
}

/// After a failed sync the disk's content is unknown, and a second sync would report success.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SledHealth {
    Failed,
    Sound,
}

/// The state is some kilobytes; sled's own default is a gigabyte.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// sled's threads let go of its lock a little after its last handle is gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

impl SledEngine {
    /// Opens the database in this directory, or makes it.
    pub(crate) async fn open(path: &Path) -> Result<Self, EngineError> {
        let (jobs, queue) = mpsc::channel::<EngineJob>();
        let (opened, opening) = oneshot::channel();
        let path = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(&path, &queue, opened))
            .map_err(|error| EngineError::Failed(error.to_string()))?;
        // sled panics over some files that are not its own; the sender is dropped then.
        let outcome = opening.await.unwrap_or_else(|_| Err(EngineError::Failed("it panicked on opening".to_owned())));
        let engine = Self { jobs: Some(jobs), thread: Some(thread) };
        outcome.map(|()| engine)
    }

    fn run<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&mut SledDisk) -> Result<T, EngineError> + Send + 'static,
    ) -> BoxedFuture<'a, Result<T, EngineError>> {
        let (done, outcome) = oneshot::channel();
        let job: EngineJob = Box::new(move |disk| {
            // Who asked may have gone; the work is done all the same.
            drop(done.send(work(disk)));
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(EngineError::Closed);
            }
            outcome.await.unwrap_or(Err(EngineError::Closed))
        })
    }
}

impl StateEngine for SledEngine {
    fn compare_and_swap(&self, swaps: Vec<KeySwap>) -> BoxedFuture<'_, Result<SwapOutcome, EngineError>> {
        self.run(move |disk| disk.swap(&swaps))
    }

    fn scan(&self) -> BoxedFuture<'_, Result<EngineEntries, EngineError>> {
        self.run(|disk| {
            let entries = disk.db.iter();
            entries.map(|entry| entry.map_err(failed).and_then(|(k, v)| Ok((k.to_vec(), decode(&v)?)))).collect()
        })
    }
}

impl Drop for SledEngine {
    /// Waits until the file is closed, so that who opens it next finds its lock free.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(path: &Path, queue: &mpsc::Receiver<EngineJob>, opened: oneshot::Sender<Result<(), EngineError>>) {
    let mut disk = match SledDisk::open(path) {
        Ok(disk) => disk,
        Err(error) => return drop(opened.send(Err(error))),
    };
    drop(opened.send(Ok(())));
    for job in queue {
        job(&mut disk);
    }
}

impl SledDisk {
    fn open(path: &Path) -> Result<Self, EngineError> {
        let db = open_db(path)?;
        let file = File::open(path.join("db")).map_err(|error| EngineError::Failed(error.to_string()))?;
        let disk = Self { db, file, health: SledHealth::Sound };
        disk.sync()?;
        for directory in [Some(path.to_owned()), path.parent().map(PathBuf::from)].into_iter().flatten() {
            sync_dir(&directory)?;
        }
        Ok(disk)
    }

    fn swap(&mut self, swaps: &[KeySwap]) -> Result<SwapOutcome, EngineError> {
        match self.health {
            SledHealth::Failed => return Err(EngineError::Closed),
            SledHealth::Sound => {}
        }
        match self.db.transaction(|tree| transact(tree, swaps)) {
            Ok(version) => {
                self.sync().inspect_err(|_| self.health = SledHealth::Failed)?;
                Ok(SwapOutcome::Done(version))
            }
            Err(TransactionError::Abort(TransactionStop::Conflict)) => Ok(SwapOutcome::Conflict),
            Err(TransactionError::Abort(TransactionStop::Unreadable(error))) => Err(error),
            Err(TransactionError::Storage(error)) => {
                self.health = SledHealth::Failed;
                Err(failed(error))
            }
        }
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.db.flush().map_err(failed)?;
        self.file.sync_data().map_err(|error| EngineError::Failed(error.to_string()))
    }
}

/// Why a transaction stopped.
enum TransactionStop {
    Conflict,
    Unreadable(EngineError),
}

fn transact(
    tree: &TransactionalTree,
    swaps: &[KeySwap],
) -> Result<ValueVersion, ConflictableTransactionError<TransactionStop>> {
    for swap in swaps {
        let found = tree.get(&swap.key)?.map(|bytes| decode(&bytes)).transpose();
        let found = found.map_err(|error| ConflictableTransactionError::Abort(TransactionStop::Unreadable(error)))?;
        if found.map(|versioned| versioned.version) != swap.expect {
            return Err(ConflictableTransactionError::Abort(TransactionStop::Conflict));
        }
    }
    // An id is given once in the life of a database, so that a key that goes and comes again is told apart.
    let version = ValueVersion(tree.generate_id()?);
    for swap in swaps {
        match &swap.value {
            Some(value) => tree.insert(swap.key.as_slice(), encode(version, value))?,
            None => tree.remove(swap.key.as_slice())?,
        };
    }
    Ok(version)
}

fn open_db(path: &Path) -> Result<sled::Db, EngineError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        // Without sled's own flusher: nothing is written but what is then synced here.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        match config.open() {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                if Instant::now() >= deadline {
                    return Err(EngineError::InUse);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

pub(super) fn sync_dir(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| EngineError::Failed(error.to_string()))
}

fn failed(error: sled::Error) -> EngineError {
    EngineError::Failed(error.to_string())
}

fn encode(version: ValueVersion, value: &[u8]) -> Vec<u8> {
    let mut bytes = version.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(value);
    bytes
}

fn decode(bytes: &[u8]) -> Result<VersionedValue, EngineError> {
    let (version, value) =
        bytes.split_first_chunk().ok_or_else(|| EngineError::Failed("a value has no version".to_owned()))?;
    Ok(VersionedValue { version: ValueVersion(u64::from_be_bytes(*version)), value: value.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(key: &str, expect: Option<ValueVersion>, value: Option<&str>) -> KeySwap {
        KeySwap { key: key.into(), expect, value: value.map(|text| text.as_bytes().to_vec()) }
    }

    async fn write(engine: &SledEngine, swaps: Vec<KeySwap>) -> ValueVersion {
        match engine.compare_and_swap(swaps).await.expect("a sound disk") {
            SwapOutcome::Done(version) => version,
            SwapOutcome::Conflict => panic!("a conflict"),
        }
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_reopening() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        let engine = SledEngine::open(&path).await.expect("a new database");
        let version = write(&engine, vec![swap("a/1", None, Some("x")), swap("b/1", None, Some("y"))]).await;
        drop(engine);
        let engine = SledEngine::open(&path).await.expect("the same database");
        let value = |text: &str| VersionedValue { version, value: text.as_bytes().to_vec() };
        assert_eq!(engine.scan().await, Ok(vec![(b"a/1".to_vec(), value("x")), (b"b/1".to_vec(), value("y"))]));
    }

    #[tokio::test]
    async fn a_swap_changes_all_keys_or_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = SledEngine::open(dir.path()).await.expect("a new database");
        let version = write(&engine, vec![swap("a", None, Some("x"))]).await;
        let stale = engine.compare_and_swap(vec![swap("b", None, Some("y")), swap("a", None, Some("z"))]).await;
        assert_eq!(stale, Ok(SwapOutcome::Conflict));
        assert_eq!(engine.scan().await.map(|entries| entries.len()), Ok(1));
        let next = write(&engine, vec![swap("a", Some(version), None)]).await;
        assert_ne!(next, version);
        let again = write(&engine, vec![swap("a", None, Some("x"))]).await;
        assert_ne!(again, version, "a key that comes again has a version of its own");
    }

    #[tokio::test]
    async fn a_file_that_is_not_sleds_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        let engine = SledEngine::open(&path).await.expect("a new database");
        write(&engine, vec![swap("a", None, Some("x"))]).await;
        drop(engine);
        std::fs::write(path.join("conf"), b"not sled's").expect("written");
        assert!(matches!(SledEngine::open(&path).await, Err(EngineError::Failed(_))));
        assert_eq!(std::fs::read(path.join("conf")).expect("readable"), b"not sled's");
    }
}
