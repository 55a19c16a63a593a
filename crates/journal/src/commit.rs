//! What makes records durable: one thread that syncs for all who wait.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::disk::{DiskDirectory, DiskFile, JournalDisk, is_passing};
use super::frame::{self, LONGEST_PAYLOAD, OVERHEAD};
use super::replay::{self, ClosureNote};
use super::writer::{self, BlankSegment, JournalWriter};
use super::{JournalClosed, JournalOptions, RecordKind};

/// What those who append, the commit thread and those who wait have in common.
#[derive(Debug)]
pub(crate) struct JournalShared {
    directory: PathBuf,
    /// Open all the time: a commit must not depend on a free descriptor.
    names: DiskDirectory,
    options: JournalOptions,
    writer: Mutex<JournalWriter>,
    wish: Mutex<CommitRequest>,
    bell: Condvar,
    next: Mutex<NextSegment>,
    made: Condvar,
    /// Whether anything was appended since the last commit began.
    dirty: AtomicBool,
    open: AtomicBool,
    /// Whether there is no next segment, and no space to make it; nothing of the one in use is in doubt.
    paused: AtomicBool,
    durable: AtomicU64,
    progress: watch::Sender<CommitProgress>,
    pub reserve: DiskFile,
    pub reason: Mutex<Option<String>>,
    /// How many records were not taken since the journal closed.
    pub lost: AtomicU64,
    /// The record that says what the note in the reserve says; zero if there is none.
    noted: AtomicU64,
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
struct CommitRequest {
    /// The highest sequence that a task waits for.
    sequence: u64,
    stop: bool,
}

/// How far the disk is.
#[derive(Clone, Copy, Debug)]
struct CommitProgress {
    durable: u64,
    open: bool,
}

/// The segment after the one in use.
#[derive(Debug)]
enum NextSegment {
    Failed,
    Making,
    Ready(BlankSegment),
    /// There was no space for it; the thread that makes it tries again.
    Waiting,
}

/// How often a segment is tried again for which there was no space.
const RETRY: Duration = Duration::from_secs(1);

impl JournalShared {
    pub(crate) fn new(
        directory: &Path,
        options: JournalOptions,
        writer: JournalWriter,
        reserve: DiskFile,
        first: u64,
    ) -> io::Result<Self> {
        // What was restored is on disk already.
        let durable = writer.sequence;
        Ok(Self {
            directory: directory.to_owned(),
            names: options.disk.open_directory(directory)?,
            options,
            dirty: AtomicBool::new(false),
            writer: Mutex::new(writer),
            wish: Mutex::default(),
            bell: Condvar::new(),
            next: Mutex::new(NextSegment::Failed),
            made: Condvar::new(),
            open: AtomicBool::new(true),
            paused: AtomicBool::new(false),
            durable: AtomicU64::new(durable),
            progress: watch::Sender::new(CommitProgress { durable, open: true }),
            reserve,
            reason: Mutex::default(),
            lost: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            snapshot: AtomicU64::new(0),
            first: AtomicU64::new(first),
            removing: Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    pub(crate) fn append(self: &Arc<Self>, kind: RecordKind, payload: &[u8]) -> Result<u64, JournalClosed> {
        if payload.len() > LONGEST_PAYLOAD {
            tracing::error!(bytes = payload.len(), "a record is too long for the journal");
            return Err(JournalClosed);
        }
        let leaf = frame::leaf(payload);
        let mut writer = lock(&self.writer);
        let takes = match kind {
            RecordKind::Event | RecordKind::Intent => self.is_open(),
            RecordKind::Closing | RecordKind::Outcome(_) | RecordKind::State => self.is_sound(),
        };
        if !takes {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(JournalClosed);
        }
        let length = u64::try_from(payload.len() + OVERHEAD).unwrap_or(u64::MAX);
        let space = self.make_space(&mut writer, length, kind).map_err(|error| {
            self.lost.fetch_add(1, Ordering::Relaxed);
            // The segment in use was not touched, so that the journal can go on once there is space.
            if is_passing(&error) { self.pause(&error) } else { self.close("write", &error, &writer) }
        });
        space?;
        let appended = writer.append(kind, payload, &leaf, self.durable.load(Ordering::Relaxed));
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

    pub(crate) fn durable(&self, sequence: u64) -> impl Future<Output = Result<(), JournalClosed>> + Send + use<> {
        let mut progress = self.progress.subscribe();
        if self.durable.load(Ordering::SeqCst) < sequence {
            let mut wish = lock(&self.wish);
            wish.sequence = wish.sequence.max(sequence);
            drop(wish);
            self.bell.notify_one();
        }
        async move {
            loop {
                let CommitProgress { durable, open } = *progress.borrow_and_update();
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
    pub(crate) fn run(&self) {
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

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        lock(&self.wish).stop = true;
        self.bell.notify_one();
        self.made.notify_all();
        // A partly written file would be in the way of the next start.
        drop(wait_while(&self.made, lock(&self.next), |next| matches!(next, NextSegment::Making)));
    }

    /// Has the next segment made in the background, unless it is.
    pub(crate) fn prepare_next(self: &Arc<Self>) {
        let mut next = lock(&self.next);
        match *next {
            NextSegment::Failed => *next = NextSegment::Making,
            // Two that make one file would zero what the journal has written to it by then.
            NextSegment::Making | NextSegment::Ready(_) | NextSegment::Waiting => return,
        }
        drop(next);
        let shared = Arc::clone(self);
        let make = move || shared.make_next();
        if std::thread::Builder::new().name("journal-prepare".to_owned()).spawn(make).is_err() {
            *lock(&self.next) = NextSegment::Failed;
            self.made.notify_all();
        }
    }

    /// Makes the next segment, and waits for space where there is none.
    fn make_next(self: &Arc<Self>) {
        let mut told = false;
        loop {
            let size = writer::segment_size(&self.options, 0);
            let made = BlankSegment::create(&self.directory, &self.options.disk, size, "next.partial");
            let waits = made.as_ref().is_err_and(is_passing) && !self.is_stopping();
            let mut next = lock(&self.next);
            *next = match made {
                Ok(blank) => NextSegment::Ready(blank),
                Err(_) if waits => NextSegment::Waiting,
                Err(_) => NextSegment::Failed,
            };
            self.made.notify_all();
            if !waits {
                let ready = matches!(*next, NextSegment::Ready(_));
                drop(next);
                return if ready { self.resume() } else { tracing::error!("cannot make the journal's next segment") };
            }
            if !std::mem::replace(&mut told, true) {
                tracing::error!(bytes = size, "there is no space for the journal's next segment; it is tried again");
            }
            let waited = self.made.wait_timeout_while(next, RETRY, |_| !self.is_stopping());
            *waited.map_or_else(|poisoned| poisoned.into_inner().0, |(next, _)| next) = NextSegment::Making;
        }
    }

    /// Takes records no more until there is a next segment.
    fn pause(self: &Arc<Self>, error: &io::Error) -> JournalClosed {
        let next = lock(&self.next);
        // What makes the segment says so under this lock, and looks at the flag after that.
        let paused = !matches!(*next, NextSegment::Ready(_)) && !self.paused.swap(true, Ordering::SeqCst);
        drop(next);
        if paused {
            tracing::error!(%error, "the journal takes no records until there is space for its next segment");
            self.note_pause();
            self.prepare_next();
        }
        JournalClosed
    }

    /// Takes records again, the first of which says how many are missing.
    fn resume(self: &Arc<Self>) {
        if !self.paused.swap(false, Ordering::SeqCst) {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        tracing::warn!(lost, "the journal takes records again");
        let noted = self.record_closing(&ClosureNote { reason: self.reason_of_pause(), lost: Some(lost) });
        if noted.is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
            tracing::error!("cannot record how many records are missing");
        }
    }

    /// Makes a record of why no records were taken, and how many those were; the commit that makes it durable empties the
    /// reserve.
    pub(crate) fn record_closing(self: &Arc<Self>, closed: &ClosureNote) -> Result<u64, JournalClosed> {
        let payload = serde_json::json!({ "reason": closed.reason, "lost": closed.lost }).to_string();
        let sequence = self.append(RecordKind::Closing, payload.as_bytes())?;
        self.noted.store(sequence, Ordering::SeqCst);
        Ok(sequence)
    }

    /// Empties the reserve once what it says is a durable record.
    fn clear_note(&self) {
        let noted = self.noted.load(Ordering::SeqCst);
        if noted == 0 || noted > self.durable_sequence() {
            return;
        }
        self.noted.store(0, Ordering::SeqCst);
        if let Err(error) = replay::clear_note(&self.reserve) {
            tracing::error!(%error, "why records are missing will be recorded twice");
        }
    }

    fn reason_of_pause(&self) -> String {
        lock(&self.reason).clone().unwrap_or_else(|| replay::NO_SPACE.to_owned())
    }

    /// Notes that records are missing, in case this process ends before there is space.
    fn note_pause(&self) {
        let closed = ClosureNote { reason: self.reason_of_pause(), lost: Some(self.lost.load(Ordering::Relaxed)) };
        if let Err(error) = replay::note_closing(&self.reserve, &closed) {
            tracing::error!(%error, "cannot note that the journal takes no records");
        }
    }

    /// Adds to the note why the journal closed how much it did not take since.
    pub(crate) fn note_losses(&self) {
        if self.is_sound() && self.paused.load(Ordering::SeqCst) {
            return self.note_pause();
        }
        let Some(reason) = lock(&self.reason).clone() else { return };
        let closed = ClosureNote { reason, lost: Some(self.lost.load(Ordering::Relaxed)) };
        if let Err(error) = replay::note_closing(&self.reserve, &closed) {
            tracing::error!(%error, "cannot note how many records are missing");
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn disk(&self) -> &JournalDisk {
        &self.options.disk
    }

    /// The first record that must not be trimmed.
    pub(crate) fn kept_from(&self) -> u64 {
        let writer = lock(&self.writer);
        let open = writer.pending.open.first().copied().unwrap_or(u64::MAX);
        let current = writer.header.first;
        drop(writer);
        let (snapshot, durable) = (self.snapshot.load(Ordering::SeqCst), self.durable_sequence());
        // A snapshot that power loss can take back stands for nothing.
        if snapshot > durable { 0 } else { current.min(open).min(snapshot) }
    }

    /// Whether records are taken now.
    pub(crate) fn is_open(&self) -> bool {
        self.is_sound() && !self.paused.load(Ordering::SeqCst)
    }

    /// Whether records are taken again once there is space, if not now.
    pub(crate) fn is_sound(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        lock(&self.writer).sequence
    }

    pub(crate) fn durable_sequence(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    fn is_wanted(&self, wish: &CommitRequest) -> bool {
        wish.stop || wish.sequence > self.durable.load(Ordering::SeqCst)
    }

    /// Syncs what was appended, for all who wait for it.
    pub(crate) fn commit(&self) {
        self.dirty.store(false, Ordering::SeqCst);
        let mut writer = lock(&self.writer);
        let (current, sequence) = (Arc::clone(&writer.file), writer.sequence);
        let unsynced = std::mem::take(&mut writer.unsynced);
        drop(writer);
        if !self.is_sound() || (sequence == self.durable_sequence() && unsynced.name.is_none()) {
            return;
        }
        // Old segments first: a later record must not be on disk without the earlier ones.
        let synced = unsynced.files.iter().chain([&current]).try_for_each(|file| file.sync()).and_then(|()| {
            unsynced.name.map_or(Ok(()), |first| {
                self.names.sync()?;
                self.pin(first)
            })
        });
        match synced {
            Ok(()) => {
                self.durable.store(sequence, Ordering::SeqCst);
                self.progress.send_modify(|progress| progress.durable = sequence);
                self.clear_note();
            }
            Err(error) => {
                let writer = lock(&self.writer);
                self.close("sync", &error, &writer);
            }
        }
    }

    /// Pins the newest segment; where there is no space for that, with the next commit.
    fn pin(&self, first: u64) -> io::Result<()> {
        match replay::pin(&self.directory, first) {
            // All that the segments hold is synced. Until it is pinned, the loss of the whole newest one would not show.
            Err(error) if is_passing(&error) => {
                tracing::debug!(%error, "the journal's newest segment is not pinned yet");
                lock(&self.writer).unsynced.name.get_or_insert(first);
                Ok(())
            }
            pinned => pinned,
        }
    }

    /// Sees to it that the segment in use has room for a frame, without a change to what is written.
    fn make_space(self: &Arc<Self>, writer: &mut JournalWriter, frame: u64, kind: RecordKind) -> io::Result<()> {
        if writer.holds(frame + writer.kept_for(kind)) {
            return Ok(());
        }
        let mut next = wait_while(&self.made, lock(&self.next), |next| matches!(next, NextSegment::Making));
        if writer.holds(frame) && (writer.kept_for(kind) == 0 || matches!(*next, NextSegment::Ready(_))) {
            return Ok(());
        }
        let ready = match &*next {
            NextSegment::Waiting => return Err(io::ErrorKind::StorageFull.into()),
            NextSegment::Failed | NextSegment::Making | NextSegment::Ready(_) => {
                std::mem::replace(&mut *next, NextSegment::Failed)
            }
        };
        drop(next);
        let blank = match ready {
            NextSegment::Ready(blank) if blank.holds(frame) => blank,
            NextSegment::Failed | NextSegment::Making | NextSegment::Ready(_) | NextSegment::Waiting => {
                let size = writer::segment_size(&self.options, frame);
                BlankSegment::create(&self.directory, &self.options.disk, size, "late.partial")?
            }
        };
        writer.rotate(&self.directory, blank)?;
        self.prepare_next();
        Ok(())
    }

    /// Closes the journal for good: after a failed write or sync the file's content is unknown, so neither
    /// is tried again on it.
    fn close(&self, action: &str, error: &io::Error, writer: &JournalWriter) -> JournalClosed {
        self.close_because(format!("cannot {action} the segment of record {}: {error}", writer.sequence))
    }

    /// Closes the journal for good.
    pub(crate) fn close_because(&self, reason: String) -> JournalClosed {
        if self.open.swap(false, Ordering::SeqCst) {
            tracing::error!(%reason, "the journal is closed");
            if let Err(error) = replay::note_closing(&self.reserve, &ClosureNote { reason: reason.clone(), lost: None })
            {
                tracing::error!(%error, "cannot note why the journal is closed");
            }
            *lock(&self.reason) = Some(reason);
            self.progress.send_modify(|progress| progress.open = false);
        }
        JournalClosed
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while<'a, T>(bell: &Condvar, guard: MutexGuard<'a, T>, holds: impl Fn(&mut T) -> bool) -> MutexGuard<'a, T> {
    bell.wait_while(guard, holds).unwrap_or_else(PoisonError::into_inner)
}
