//! All buckets, and what they share.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use s3s::{S3Error, S3Result, s3_error};

use super::bucket::DevBucket;
use super::disk::{self, BucketDirectory, BucketFiles};
use super::faults::{internal, no_such_bucket};
use super::record::{BucketVersioning, SEQUENCE_PER_MILLISECOND, StoredBucket};
use portcullis_base::clock::{Clock, Timestamp};

/// All buckets of one directory.
#[derive(Debug)]
pub(crate) struct DevStore {
    pub region: String,
    pub owner: String,
    root: PathBuf,
    sequence: Arc<VersionSequence>,
    buckets: RwLock<BTreeMap<String, Arc<DevBucket>>>,
    // Held so that no second store writes below the same directory.
    _lock: File,
}

impl DevStore {
    /// Reads a directory back, or begins an empty one.
    pub(crate) fn open(root: &Path, region: &str, owner: String) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let lock = File::create(root.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another store uses the directory"),
        })?;
        let sequence = Arc::new(VersionSequence { clock: Clock::System, last: AtomicU64::new(0) });
        let mut buckets = BTreeMap::new();
        for name in disk::bucket_names(root)? {
            let directory = BucketDirectory::of(root, &name);
            if let Some(contents) = directory.scan()? {
                let bucket = DevBucket::new(name.clone(), directory, sequence.clone(), contents);
                buckets.insert(name, Arc::new(bucket));
            }
        }
        let (region, root) = (region.to_owned(), root.to_owned());
        Ok(Self { region, owner, root, sequence, buckets: RwLock::new(buckets), _lock: lock })
    }

    /// The bucket of this name.
    pub(crate) fn bucket(&self, name: &str) -> S3Result<Arc<DevBucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).cloned().ok_or_else(no_such_bucket)
    }

    /// All buckets in the order of their names.
    pub(crate) fn buckets(&self) -> Vec<Arc<DevBucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Makes a bucket.
    pub(crate) fn create_bucket(&self, name: &str, location: Option<String>) -> S3Result<()> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.contains_key(name) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        let directory = BucketDirectory::of(&self.root, name);
        let created_millis = self.sequence.now().millis();
        let record =
            StoredBucket { created_millis, location, versioning: BucketVersioning::Never, settings: BTreeMap::new() };
        directory.create(&record).map_err(internal)?;
        let contents = BucketFiles { record, versions: Vec::new(), uploads: Vec::new() };
        let bucket = DevBucket::new(name.to_owned(), directory, self.sequence.clone(), contents);
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(())
    }

    /// Deletes a bucket that holds no version and no marker; uploads that were begun go with it.
    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(name).ok_or_else(no_such_bucket)?;
        bucket.delete()?;
        buckets.remove(name);
        Ok(())
    }
}

/// Numbers that grow with time and never repeat.
#[derive(Debug)]
pub(crate) struct VersionSequence {
    clock: Clock,
    last: AtomicU64,
}

impl VersionSequence {
    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Keeps later numbers above one that was given out before.
    pub(crate) fn seen(&self, sequence: u64) {
        self.last.fetch_max(sequence, Ordering::Relaxed);
    }

    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        let now = u64::try_from(self.now().millis()).unwrap_or(0).saturating_mul(SEQUENCE_PER_MILLISECOND);
        let step = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        last.map_or(now, |last| now.max(last.saturating_add(1)))
    }
}

/// Disk work, off the threads that serve connections; it finishes even if its caller is dropped.
pub(crate) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> S3Result<T> + Send + 'static) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(S3Error::internal_error)?
}

/// 64 random bits.
pub(crate) fn random() -> S3Result<u64> {
    getrandom::u64().map_err(|error| internal(io::Error::other(error)))
}

/// A random name, for bodies and uploads.
pub(crate) fn random_name() -> S3Result<String> {
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}
