//! What a process that holds secrets does without: core dumps, onlookers, readable files, talkative logs.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// Keeps what the process holds in memory and writes to disk from everybody else on this machine.
pub fn harden() -> io::Result<()> {
    // Secret keys, seeds and codes are in memory; a core dump would put them on disk.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Neither may another process of the same user read that memory.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}

/// Warnings, errors and panics go to stderr; `RUST_LOG` chooses more.
pub fn log() {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // Set already only where several commands run in one process, as in tests.
    drop(tracing::subscriber::set_global_default(subscriber(chosen, io::stderr)));
    std::panic::set_hook(Box::new(|panic| {
        // Not the message: it may quote what the code was working on.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a task panicked");
    }));
}

fn subscriber<W>(chosen: EnvFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(chosen.and(filter_fn(may_be_logged))))
}

/// What other crates say below a warning may quote what passes through them: headers, signatures, bodies.
fn may_be_logged(what: &tracing::Metadata<'_>) -> bool {
    let ours = what.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    ours || *what.level() <= LevelFilter::WARN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use rustix::process::{dumpable_behavior, getrlimit};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("sound").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(chosen: &str, say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(EnvFilter::new(chosen), move || writer.clone());
        tracing::subscriber::with_default(subscriber, say);
        let text = kept.0.lock().expect("sound").clone();
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn no_choice_makes_other_crates_say_what_passes_through_them() {
        for chosen in
            ["trace", "hyper=trace,aws_sigv4=trace,h2=debug,s3s=trace", "[secret]=trace", "aws_sigv4::x=trace"]
        {
            let text = logged(chosen, || {
                let span = tracing::error_span!("secret");
                let _entered = span.enter();
                tracing::trace!(target: "aws_sigv4::x", "canonical request");
                tracing::trace!(target: "hyper::proto::h1::io", "received bytes");
                tracing::debug!(target: "h2", "a frame");
                tracing::info!(target: "s3s", "a header");
                tracing::info!(target: "portcullis_of_another_crate", "anything");
                tracing::warn!(target: "hyper", "a warning");
            });
            assert!(["canonical", "received", "frame", "header", "anything"].iter().all(|word| !text.contains(word)));
        }
    }

    #[test]
    fn what_the_gate_itself_says_is_chosen_as_ever() {
        let say = || {
            tracing::debug!("of the gate");
            tracing::warn!(target: "hyper", "a warning");
        };
        let text = logged("debug", say);
        assert!(text.contains("of the gate") && text.contains("a warning"), "{text}");
        assert!(!logged("warn", say).contains("of the gate"));
    }

    #[test]
    fn a_hardened_process_leaves_no_core_and_lets_nobody_look() {
        harden().expect("Linux");
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().expect("Linux"), DumpableBehavior::NotDumpable);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
