//! What the log says, what it leaves out, and what it never says.

use super::*;
use std::sync::Mutex;

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
    for chosen in ["trace", "hyper=trace,aws_sigv4=trace,h2=debug,s3s=trace", "[secret]=trace", "aws_sigv4::x=trace"] {
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
fn what_the_proxy_itself_says_is_chosen_as_ever() {
    let say = || {
        tracing::debug!("of the proxy");
        tracing::warn!(target: "hyper", "a warning");
    };
    let text = logged("debug", say);
    assert!(text.contains("of the proxy") && text.contains("a warning"), "{text}");
    assert!(!logged("warn", say).contains("of the proxy"));
}

/// What a log writes when this is said.
fn written(say: impl FnOnce()) -> String {
    let kept = Kept::default();
    let writer = LogWriter::new(Box::new(kept.clone()));
    tracing::subscriber::with_default(subscriber(EnvFilter::new("debug"), writer.clone()), say);
    writer.tell_left_out();
    assert!(writer.queue.flush(Duration::from_secs(60)));
    let text = kept.0.lock().expect("sound").clone();
    String::from_utf8(text).expect("text")
}

#[test]
fn a_line_that_a_peer_can_cause_is_written_some_times_and_then_counted() {
    let text = written(|| (0..10_000).for_each(|_| tracing::warn!("connection not accepted")));
    let lines = text.lines().filter(|line| line.ends_with("connection not accepted")).count();
    assert!((50..100).contains(&lines), "{lines}");
    let told = text.lines().last().expect("a line");
    assert!(
        told.contains(&format!("{} lines like the last ones of portcullis::command::log::tests", 10_000 - lines)),
        "{told}"
    );
}

#[test]
fn lines_that_the_operator_asked_for_are_all_written() {
    let text = written(|| (0..200).for_each(|_| tracing::debug!("a detail")));
    assert_eq!(text.lines().count(), 200);
}

#[test]
fn what_a_line_quotes_neither_ends_it_nor_steers_a_terminal() {
    let text = written(|| tracing::warn!(error = %"a\u{1b}[2J\nWARN forged\u{9b}\u{202e}", "said"));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.ends_with('\n') && !text.trim_end().chars().any(portcullis_cloudtrail::record::is_deceptive),
        "{text}"
    );
}
