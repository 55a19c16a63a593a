//! The file operations of the journal, in one place, over the calls that reach the disk.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What the journal writes to.
#[derive(Clone, Debug)]
pub struct JournalDisk {
    calls: Arc<dyn DiskCalls>,
}

/// The calls that bring the journal's bytes to the disk; a port, so that a test makes them fail and a benchmark measures
/// what they cost.
// INVARIANT (durable): the product serves with `RealCalls` alone; tests/architecture.rs holds it.
pub trait DiskCalls: Debug + Send + Sync {
    /// Makes an empty file, readable by its owner alone.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
    }

    /// Fills a new file with zeroes, durably.
    fn fill(&self, file: &File, size: u64) -> io::Result<()> {
        zero(file, 0, size)?;
        file.sync_all()
    }

    /// Hands bytes to the operating system.
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Waits until what was written to a file is on disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &File) -> io::Result<()> {
        directory.sync_all()
    }
}

/// The calls as the operating system has them.
#[derive(Debug)]
struct RealCalls;

impl DiskCalls for RealCalls {}

/// The faults of a disk, switched on and off while it is used.
#[derive(Debug, Default)]
pub struct DiskFaults {
    pub fail_creates: AtomicBool,
    /// Files cannot be made for want of space.
    pub full: AtomicBool,
    pub fail_syncs: AtomicBool,
    pub fail_writes: AtomicBool,
    /// How many syncs of files have succeeded.
    pub syncs: AtomicU64,
    latch: Mutex<SyncLatch>,
    turned: Condvar,
}

#[derive(Debug, Default)]
struct SyncLatch {
    held: bool,
    waiting: u64,
}

/// An open file of the journal.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    disk: JournalDisk,
}

/// The open directory of the journal.
#[derive(Debug)]
pub struct DiskDirectory {
    file: File,
    disk: JournalDisk,
}

impl Default for JournalDisk {
    /// The file system.
    fn default() -> Self {
        Self::through(Arc::new(RealCalls))
    }
}

impl JournalDisk {
    /// The file system, by these calls.
    pub fn through(calls: Arc<dyn DiskCalls>) -> Self {
        Self { calls }
    }

    /// Makes a file of zeroes, all of them written and synced; readable by its owner alone.
    pub fn create(&self, path: &Path, size: u64) -> io::Result<DiskFile> {
        let file = self.calls.create(path)?;
        match self.calls.fill(&file, size) {
            Ok(()) => Ok(DiskFile { file, disk: self.clone() }),
            Err(error) => {
                // Half a file would keep the space that others need.
                drop(std::fs::remove_file(path));
                Err(error)
            }
        }
    }

    /// Makes a file of zeroes like [`JournalDisk::create`], and leaves some space of the file system to others.
    pub fn create_within_space(&self, path: &Path, size: u64) -> io::Result<DiskFile> {
        let directory = path.parent().unwrap_or(path);
        if disk_space(directory)?.0 < size.saturating_add(LEFT_TO_OTHERS) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.create(path, size)
    }

    /// Opens a file that is there.
    pub fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(DiskFile { file, disk: self.clone() })
    }

    /// Opens a directory whose names will have to be durable, also when nothing can be opened any more.
    pub fn open_directory(&self, path: &Path) -> io::Result<DiskDirectory> {
        Ok(DiskDirectory { file: File::open(path)?, disk: self.clone() })
    }

    /// Makes the names in a directory durable.
    pub fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.open_directory(path)?.sync()
    }
}

/// What the journal's next segment leaves of the disk, for the state, the history and the notes of a close.
const LEFT_TO_OTHERS: u64 = 2 * 1024 * 1024;

/// Bytes that this process can still write to the file system of a directory, and its whole size.
pub fn disk_space(directory: &Path) -> io::Result<(u64, u64)> {
    let facts = rustix::fs::statvfs(directory)?;
    Ok((facts.f_bavail.saturating_mul(facts.f_frsize), facts.f_blocks.saturating_mul(facts.f_frsize)))
}

/// True for an error that says nothing of the file and goes away by itself: no space, no memory, no descriptors.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_space =
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory);
    of_space || matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

impl DiskDirectory {
    /// Makes the names in the directory durable.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.calls.sync_directory(&self.file)
    }
}

impl DiskFile {
    /// Hands bytes to the operating system.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.calls.write_all_at(&self.file, bytes, offset)
    }

    /// Fills a range with zeroes.
    pub fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        zero(&self.file, from, to)
    }

    /// Waits until what was written is on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.calls.sync(&self.file)
    }
}

fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut offset = from;
    while offset < to {
        let count = usize::try_from(to - offset).unwrap_or(usize::MAX).min(ZEROES.len());
        file.write_all_at(ZEROES.get(..count).unwrap_or(&ZEROES), offset)?;
        offset += u64::try_from(count).unwrap_or(0).max(1);
    }
    Ok(())
}

impl DiskCalls for DiskFaults {
    fn create(&self, path: &Path) -> io::Result<File> {
        fail_if(&self.fail_creates)?;
        RealCalls.create(path)
    }

    fn fill(&self, file: &File, size: u64) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealCalls.fill(file, size)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        fail_if(&self.fail_writes)?;
        RealCalls.write_all_at(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.pass_latch();
        fail_if(&self.fail_syncs)?;
        RealCalls.sync(file)?;
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn sync_directory(&self, directory: &File) -> io::Result<()> {
        fail_if(&self.fail_syncs)?;
        RealCalls.sync_directory(directory)
    }
}

fn fail_if(fault: &AtomicBool) -> io::Result<()> {
    if fault.load(Ordering::SeqCst) { Err(io::Error::other("a fault put here by a test")) } else { Ok(()) }
}

impl DiskFaults {
    /// Makes each sync wait until [`DiskFaults::release_syncs`].
    #[cfg(test)]
    pub(crate) fn hold_syncs(&self) {
        self.latch.lock().unwrap_or_else(PoisonError::into_inner).held = true;
    }

    /// Lets the syncs that wait, and all later ones, go on.
    #[cfg(test)]
    pub(crate) fn release_syncs(&self) {
        self.latch.lock().unwrap_or_else(PoisonError::into_inner).held = false;
        self.turned.notify_all();
    }

    /// Returns once a sync waits at the latch.
    #[cfg(test)]
    pub(crate) fn until_a_sync_waits(&self) {
        let latch = self.latch.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.turned.wait_while(latch, |latch| latch.waiting == 0));
    }

    fn pass_latch(&self) {
        let mut latch = self.latch.lock().unwrap_or_else(PoisonError::into_inner);
        latch.waiting += 1;
        self.turned.notify_all();
        let mut latch = self.turned.wait_while(latch, |latch| latch.held).unwrap_or_else(PoisonError::into_inner);
        latch.waiting -= 1;
    }
}
