//! How often one place in the code may write to the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Metadata;
use tracing::callsite::Identifier;

/// A rate for each place in the code, since a peer can repeat anything it can cause.
#[derive(Debug, Default)]
pub(super) struct LogLimiter {
    places: Mutex<HashMap<Identifier, LogCallsite>>,
}

#[derive(Debug)]
struct LogCallsite {
    name: String,
    /// Lines that may still be written at once.
    left: u32,
    /// When `left` was last added to.
    since: Instant,
    left_out: u64,
}

/// The burst of lines from one place: enough for each bucket or trail of a small installation to have a line.
const BURST: u32 = 50;
/// How long it takes until a place may write another line.
const EACH: Duration = Duration::from_secs(1);

impl LogLimiter {
    /// True if the line may be written; it is counted otherwise.
    pub(super) fn admit(&self, meta: &Metadata<'_>, now: Instant) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(meta.callsite()).or_insert_with(|| LogCallsite::new(meta, now)).admit(now)
    }

    /// Where lines were left out since this was last asked, and how many.
    pub(super) fn take_left_out(&self) -> Vec<(String, u64)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let some = places.values_mut().filter(|place| place.left_out > 0);
        some.map(|place| (place.name.clone(), std::mem::take(&mut place.left_out))).collect()
    }
}

impl LogCallsite {
    fn new(meta: &Metadata<'_>, now: Instant) -> Self {
        let name = match (meta.file(), meta.line()) {
            (Some(file), Some(line)) => format!("{} ({file}:{line})", meta.target()),
            (Some(_), None) | (None, _) => meta.target().to_owned(),
        };
        Self { name, left: BURST, since: now, left_out: 0 }
    }

    fn admit(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since).as_secs() / EACH.as_secs().max(1);
        if passed > 0 {
            self.left = self.left.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX)).min(BURST);
            self.since = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.left_out += 1;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_burst_and_then_a_line_a_second() {
        let start = Instant::now();
        let mut place = LogCallsite { name: String::new(), left: BURST, since: start, left_out: 0 };
        let admitted = |place: &mut LogCallsite, now| (0..1000).filter(|_| place.admit(now)).count();
        assert_eq!(admitted(&mut place, start), 50);
        assert_eq!(admitted(&mut place, start + Duration::from_millis(999)), 0);
        assert_eq!(admitted(&mut place, start + Duration::from_secs(3)), 3);
        assert_eq!(admitted(&mut place, start + Duration::from_secs(3600)), 50);
        assert_eq!(place.left_out, 4000 - 103);
    }
}
