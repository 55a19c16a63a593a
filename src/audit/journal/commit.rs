//! What makes records durable: one thread that syncs for all who wait.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::disk::{Disk, DiskFile};
use super::frame::{self, LONGEST_PAYLOAD, OVERHEAD};
use super::replay::{self, Closed};
use super::writer::{self, Blank, Writer};
use super::{JournalClosed, Kind, Options};

/// What those who append, the commit thread and those who wait have in common.
#[derive(Debug)]
pub struct Shared {
    directory: PathBuf,
    options: Options,
    writer: Mutex<Writer>,
    wish: Mutex<Wish>,
    bell: Condvar,
    next: Mutex<Next>,
    made: Condvar,
    /// Whether anything was appended since the last commit began.
    dirty: AtomicBool,
    open: AtomicBool,
    durable: AtomicU64,
    progress: watch::Sender<Progress>,
    pub reserve: DiskFile,
    pub reason: Mutex<Option<String>>,
    /// How many records were not taken since the journal closed.
    lost: AtomicU64,
    /// The last snapshot of the state that was appended since the journal was opened; zero before.
    pub snapshot: AtomicU64,
    /// The first sequence that is there, or will be.
    pub first: AtomicU64,
    /// Held while segments are removed, and while one that could be is opened.
    pub removing: Mutex<()>,
    stopping: AtomicBool,
}

/// What the commit thread is asked for.
#[derive(Debug, Default)]
struct Wish {
    /// The highest sequence somebody waits for.
    sequence: u64,
    stop: bool,
}

/// How far the disk is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    durable: u64,
    open: bool,
}

/// The segment after the one in use.
#[derive(Debug)]
enum Next {
    Failed,
    Making,
    Ready(Blank),
}

impl Shared {
    pub fn new(directory: &Path, options: Options, writer: Writer, reserve: DiskFile, first: u64) -> Self {
        // What was restored is on disk already.
        let durable = writer.sequence;
        Self {
            directory: directory.to_owned(),
            options,
            dirty: AtomicBool::new(false),
            writer: Mutex::new(writer),
            wish: Mutex::default(),
            bell: Condvar::new(),
            next: Mutex::new(Next::Failed),
            made: Condvar::new(),
            open: AtomicBool::new(true),
            durable: AtomicU64::new(durable),
            progress: watch::Sender::new(Progress { durable, open: true }),
            reserve,
            reason: Mutex::default(),
            lost: AtomicU64::new(0),
            snapshot: AtomicU64::new(0),
            first: AtomicU64::new(first),
            removing: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    pub fn append(self: &Arc<Self>, kind: Kind, payload: &[u8]) -> Result<u64, JournalClosed> {
        if payload.len() > LONGEST_PAYLOAD {
            tracing::error!(bytes = payload.len(), "a record is too long for the journal");
            return Err(JournalClosed);
        }
        let leaf = frame::leaf(payload);
        let mut writer = lock(&self.writer);
        if !self.is_open() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(JournalClosed);
        }
        let length = u64::try_from(payload.len() + OVERHEAD).unwrap_or(u64::MAX);
        let appended = self
            .make_space(&mut writer, length)
            .and_then(|()| writer.append(kind, payload, &leaf, self.durable.load(Ordering::Relaxed)));
        let sequence = appended.map_err(|error| {
            self.lost.fetch_add(1, Ordering::Relaxed);
            self.close("write", &error, &writer)
        })?;
        drop(writer);
        if !self.dirty.swap(true, Ordering::SeqCst) {
            drop(lock(&self.wish));
            self.bell.notify_one();
        }
        Ok(sequence)
    }

    pub fn durable(&self, sequence: u64) -> impl Future<Output = Result<(), JournalClosed>> + Send + use<> {
        let mut progress = self.progress.subscribe();
        if self.durable.load(Ordering::SeqCst) < sequence {
            let mut wish = lock(&self.wish);
            wish.sequence = wish.sequence.max(sequence);
            drop(wish);
            self.bell.notify_one();
        }
        async move {
            loop {
                let Progress { durable, open } = *progress.borrow_and_update();
                if durable >= sequence {
                    return Ok(());
                }
                if !open || progress.changed().await.is_err() {
                    return Err(JournalClosed);
                }
            }
        }
    }

    /// Commits until told to stop, and once more then.
    pub fn run(&self) {
        let mut wish = lock(&self.wish);
        loop {
            wish = wait_while(&self.bell, wish, |wish| !self.is_wanted(wish) && !self.dirty.load(Ordering::SeqCst));
            let waited = self.bell.wait_timeout_while(wish, self.options.idle_commit, |wish| !self.is_wanted(wish));
            wish = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(wish, _)| wish);
            let stop = wish.stop;
            wish.sequence = 0;
            drop(wish);
            self.commit();
            if stop {
                return;
            }
            wish = lock(&self.wish);
        }
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        lock(&self.wish).stop = true;
        self.bell.notify_one();
        // A file half made would be left behind to disturb whoever opens the journal next.
        drop(wait_while(&self.made, lock(&self.next), |next| matches!(next, Next::Making)));
    }

    /// Has the next segment made in the background, unless it is.
    pub fn prepare_next(self: &Arc<Self>) {
        let mut next = lock(&self.next);
        match *next {
            Next::Failed => *next = Next::Making,
            // Two that make one file would zero what the journal has written to it by then.
            Next::Making | Next::Ready(_) => return,
        }
        drop(next);
        let shared = Arc::clone(self);
        let make = move || {
            let size = writer::segment_size(&shared.options, 0);
            let made = Blank::create(&shared.directory, &shared.options.disk, size, "next.partial");
            let next = made.map_or_else(
                |error| {
                    tracing::error!(%error, "cannot make the journal's next segment");
                    Next::Failed
                },
                Next::Ready,
            );
            *lock(&shared.next) = next;
            shared.made.notify_all();
        };
        if std::thread::Builder::new().name("journal-prepare".to_owned()).spawn(make).is_err() {
            *lock(&self.next) = Next::Failed;
            self.made.notify_all();
        }
    }

    /// Adds to the note why the journal closed how much it did not take since.
    pub fn note_losses(&self) {
        let Some(reason) = lock(&self.reason).clone() else { return };
        let closed = Closed { reason, lost: Some(self.lost.load(Ordering::Relaxed)) };
        if let Err(error) = replay::note_closing(&self.reserve, &closed) {
            tracing::error!(%error, "cannot note how many records are missing");
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn disk(&self) -> &Disk {
        &self.options.disk
    }

    /// The first record that must stay whoever wants it gone.
    pub fn kept_from(&self) -> u64 {
        let writer = lock(&self.writer);
        let open = writer.pending.open.first().copied().unwrap_or(u64::MAX);
        let current = writer.header.first;
        drop(writer);
        let (snapshot, durable) = (self.snapshot.load(Ordering::SeqCst), self.durable_sequence());
        // A snapshot that power loss can take back stands for nothing.
        if snapshot > durable { 0 } else { current.min(open).min(snapshot) }
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub fn last_sequence(&self) -> u64 {
        lock(&self.writer).sequence
    }

    pub fn durable_sequence(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    fn is_wanted(&self, wish: &Wish) -> bool {
        wish.stop || wish.sequence > self.durable.load(Ordering::SeqCst)
    }

    /// Syncs what was appended, for all who wait for it.
    pub fn commit(&self) {
        self.dirty.store(false, Ordering::SeqCst);
        let mut writer = lock(&self.writer);
        let (current, sequence) = (Arc::clone(&writer.file), writer.sequence);
        let unsynced = std::mem::take(&mut writer.unsynced);
        drop(writer);
        if !self.is_open() || (sequence == self.durable_sequence() && unsynced.name.is_none()) {
            return;
        }
        // Old segments first: nobody may find a later record without those before it.
        let synced = unsynced.files.iter().chain([&current]).try_for_each(|file| file.sync()).and_then(|()| {
            unsynced.name.map_or(Ok(()), |first| {
                self.options.disk.sync_directory(&self.directory)?;
                replay::pin(&self.directory, first)
            })
        });
        match synced {
            Ok(()) => {
                self.durable.store(sequence, Ordering::SeqCst);
                self.progress.send_modify(|progress| progress.durable = sequence);
            }
            Err(error) => {
                let writer = lock(&self.writer);
                self.close("sync", &error, &writer);
            }
        }
    }

    fn make_space(self: &Arc<Self>, writer: &mut Writer, frame: u64) -> io::Result<()> {
        if writer.holds(frame) {
            return Ok(());
        }
        let mut next = wait_while(&self.made, lock(&self.next), |next| matches!(next, Next::Making));
        let ready = std::mem::replace(&mut *next, Next::Failed);
        drop(next);
        let blank = match ready {
            Next::Ready(blank) if blank.holds(frame) => blank,
            Next::Failed | Next::Making | Next::Ready(_) => {
                let size = writer::segment_size(&self.options, frame);
                Blank::create(&self.directory, &self.options.disk, size, "late.partial")?
            }
        };
        writer.rotate(&self.directory, blank)?;
        self.prepare_next();
        Ok(())
    }

    /// Closes the journal for good: after a failed write or sync nobody knows what the file holds, so neither
    /// is tried again on it.
    fn close(&self, action: &str, error: &io::Error, writer: &Writer) -> JournalClosed {
        self.close_because(format!("cannot {action} the segment of record {}: {error}", writer.sequence))
    }

    /// Closes the journal for good.
    pub fn close_because(&self, reason: String) -> JournalClosed {
        if self.open.swap(false, Ordering::SeqCst) {
            tracing::error!(%reason, "the journal is closed");
            if let Err(error) = replay::note_closing(&self.reserve, &Closed { reason: reason.clone(), lost: None }) {
                tracing::error!(%error, "cannot note why the journal is closed");
            }
            *lock(&self.reason) = Some(reason);
            self.progress.send_modify(|progress| progress.open = false);
        }
        JournalClosed
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while<'a, T>(bell: &Condvar, guard: MutexGuard<'a, T>, holds: impl Fn(&mut T) -> bool) -> MutexGuard<'a, T> {
    bell.wait_while(guard, holds).unwrap_or_else(PoisonError::into_inner)
}
