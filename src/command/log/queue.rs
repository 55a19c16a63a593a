//! A bounded queue of lines, written by its own thread, because the reader may be slow or stop reading.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines that wait for the writing thread; lines that do not fit are dropped and counted.
#[derive(Debug)]
pub(super) struct LogQueue {
    shared: Arc<LogQueueShared>,
}

#[derive(Debug, Default)]
struct LogQueueShared {
    state: Mutex<LogQueueState>,
    /// Notified when there is something to write.
    filled: Condvar,
    /// Notified when all is written.
    drained: Condvar,
}

#[derive(Debug, Default)]
struct LogQueueState {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    lost: u64,
    writing: bool,
    closed: bool,
}

/// The limit of waiting bytes: some thousands of lines.
const CAPACITY: usize = 1 << 20;
/// How often `more` is called.
const ASK_EVERY: Duration = Duration::from_secs(10);

impl LogQueue {
    /// A queue to this output; `more` is called periodically for further lines.
    pub(super) fn new(out: Box<dyn Write + Send>, more: impl Fn() -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let shared = Arc::new(LogQueueShared::default());
        let worker = Arc::clone(&shared);
        let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || worker.run(out, &more));
        // Without the thread all lines are dropped, but no request is affected.
        shared.lock().closed = spawned.is_err();
        Self { shared }
    }

    /// Adds a line, or counts it as lost.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.shared.lock();
        if state.closed || state.bytes.saturating_add(line.len()) > CAPACITY {
            state.lost += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        drop(state);
        self.shared.filled.notify_one();
    }

    /// Waits until all lines are written, at most this long; true if they are.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.drained.wait_timeout_while(state, limit, |state| state.is_busy());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_busy()
    }
}

impl Drop for LogQueue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

impl LogQueueState {
    fn is_busy(&self) -> bool {
        !self.closed && (self.writing || !self.lines.is_empty())
    }
}

impl LogQueueShared {
    fn lock(&self) -> MutexGuard<'_, LogQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut out: Box<dyn Write + Send>, more: &impl Fn() -> Vec<Vec<u8>>) {
        let mut asked = Instant::now();
        loop {
            let waited =
                self.filled.wait_timeout_while(self.lock(), ASK_EVERY, |state| state.lines.is_empty() && !state.closed);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.closed && state.lines.is_empty() {
                return;
            }
            state.writing = true;
            state.bytes = 0;
            let (mut lines, lost) = (std::mem::take(&mut state.lines), std::mem::take(&mut state.lost));
            drop(state);
            if lost > 0 {
                lines.push_back(
                    format!("portcullis: {lost} lines of the log were lost: they were not read in time\n").into(),
                );
            }
            if asked.elapsed() >= ASK_EVERY {
                asked = Instant::now();
                lines.extend(more());
            }
            let failed = lines.iter().filter(|line| out.write_all(line).is_err()).count();
            drop(out.flush());
            let mut state = self.lock();
            state.writing = false;
            state.lost += u64::try_from(failed).unwrap_or(0);
            drop(state);
            self.drained.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// A reader that accepts a write only when the test allows it.
    struct Slow {
        let_go: Receiver<()>,
        taken: SyncSender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.let_go.recv().unwrap_or_default();
            drop(self.taken.send(bytes.to_vec()));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_lost_and_counted_and_hold_up_nobody() {
        let ((go, let_go), (taken, lines)) = (sync_channel(0), sync_channel(1 << 20));
        let queue = LogQueue::new(Box::new(Slow { let_go, taken }), Vec::new);
        let line = vec![b'x'; 1023];
        // The first is being written, and does not count.
        queue.push(b"first\n".to_vec());
        while !queue.shared.lock().writing {
            std::thread::yield_now();
        }
        for _ in 0..2000 {
            queue.push(line.clone());
        }
        assert!(!queue.flush(Duration::from_millis(1)), "what is not read is not written");
        // From now on every write is accepted.
        drop(go);
        assert!(queue.flush(Duration::from_secs(60)));
        let all: Vec<Vec<u8>> = lines.try_iter().collect();
        assert_eq!(all.first().map(Vec::as_slice), Some(&b"first\n"[..]));
        let whole = all.iter().filter(|taken| **taken == line).count();
        assert_eq!(whole, CAPACITY / 1023);
        let told = String::from_utf8(all.last().expect("a line").clone()).expect("text");
        assert_eq!(
            told,
            format!("portcullis: {} lines of the log were lost: they were not read in time\n", 2000 - whole)
        );
    }
}
