//! The log: lines go to stderr through a queue, so that a slow reader delays no request.

mod limiter;
mod queue;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use self::limiter::LogLimiter;
use self::queue::LogQueue;
use super::table::harmless;
use portcullis_base::clock::Clock;

/// What the log is written with, once it was begun.
static LOG: OnceLock<LogWriter> = OnceLock::new();

/// What stdout is written with, where it is queued.
static PRINTED: OnceLock<Arc<LogQueue>> = OnceLock::new();

/// How long the end of the process waits for each of the two to be read.
const FLUSH: Duration = Duration::from_secs(2);

/// Sends warnings, errors and panics to stderr; `RUST_LOG` chooses more.
pub(super) fn begin() {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let writer = writer();
    // Set already only where several commands run in one process, as in tests.
    drop(tracing::subscriber::set_global_default(subscriber(chosen, writer.clone())));
    std::panic::set_hook(Box::new(|panic| {
        // Not the message: it may quote request data.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a task panicked");
    }));
}

fn writer() -> &'static LogWriter {
    LOG.get_or_init(|| LogWriter::new(Box::new(io::stderr())))
}

/// Stderr, in order with the log's lines.
pub(super) fn stderr() -> Box<dyn Write + Send> {
    Box::new(QueuedOutput(Arc::clone(&writer().queue)))
}

/// Stdout in the same way.
pub(super) fn stdout() -> Box<dyn Write + Send> {
    let queue = PRINTED.get_or_init(|| Arc::new(LogQueue::new(Box::new(io::stdout()), Vec::new)));
    Box::new(QueuedOutput(Arc::clone(queue)))
}

/// Waits when it is dropped until the log and stdout are written, but not for long; also after a panic.
pub(super) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        if let Some(writer) = LOG.get() {
            writer.tell_left_out();
            writer.queue.flush(FLUSH);
        }
        if let Some(queue) = PRINTED.get() {
            queue.flush(FLUSH);
        }
    }
}

/// An output whose bytes are queued.
struct QueuedOutput(Arc<LogQueue>);

impl Write for QueuedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // The queue's thread writes at once, as fast as stderr is read.
        Ok(())
    }
}

/// Writes lines into the queue, each kind of line within its rate.
#[derive(Clone)]
struct LogWriter {
    queue: Arc<LogQueue>,
    limiter: Arc<LogLimiter>,
}

/// One line on its way, or one of too many.
struct LogLine<'w> {
    writer: &'w LogWriter,
    goes: LineFate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineFate {
    Out,
    Uncounted,
}

impl LogWriter {
    fn new(out: Box<dyn Write + Send>) -> Self {
        let limiter = Arc::new(LogLimiter::default());
        let told = Arc::clone(&limiter);
        let queue = LogQueue::new(out, move || left_out(&told));
        Self { queue: Arc::new(queue), limiter }
    }

    /// Queues a line that says how many lines were left out since the last one.
    fn tell_left_out(&self) {
        left_out(&self.limiter).into_iter().for_each(|line| self.queue.push(line));
    }
}

fn left_out(limiter: &LogLimiter) -> Vec<Vec<u8>> {
    let time = Clock::System.now();
    let told = limiter.take_left_out().into_iter();
    told.map(|(place, count)| {
        format!("{time}  WARN portcullis: {count} lines like the last ones of {place} were left out\n").into_bytes()
    })
    .collect()
}

impl<'w> MakeWriter<'w> for LogWriter {
    type Writer = LogLine<'w>;

    fn make_writer(&'w self) -> LogLine<'w> {
        LogLine { writer: self, goes: LineFate::Out }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> LogLine<'w> {
        // Debug lines are written only if the operator asked for them.
        let limited = *meta.level() <= LevelFilter::INFO;
        let admitted = !limited || self.limiter.admit(meta, Instant::now());
        LogLine { writer: self, goes: if admitted { LineFate::Out } else { LineFate::Uncounted } }
    }
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.goes == LineFate::Out {
            let text = String::from_utf8_lossy(bytes);
            // A line may quote a client or a store.
            let line = harmless(text.strip_suffix('\n').unwrap_or(&text)) + "\n";
            self.writer.queue.push(line.into_bytes());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn subscriber<W>(chosen: EnvFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(chosen.and(filter_fn(may_be_logged))))
}

/// Other crates' lines below warning level may quote headers, signatures and bodies.
fn may_be_logged(what: &Metadata<'_>) -> bool {
    let ours = what.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    ours || *what.level() <= LevelFilter::WARN
}

#[cfg(test)]
mod tests;
