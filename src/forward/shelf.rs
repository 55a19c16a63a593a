//! Idle connections, kept for whoever needs one next.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle connections. The one used last is used first, so that the others age and go.
#[derive(Debug)]
pub(super) struct Shelf<C> {
    longest: Duration,
    idle: Mutex<VecDeque<(C, Instant)>>,
}

/// More idle connections than this serve nobody.
const MOST: usize = 512;

impl<C> Shelf<C> {
    /// An empty shelf, on which nothing lies longer than this.
    pub fn new(longest: Duration) -> Self {
        Self { longest, idle: Mutex::default() }
    }

    /// The youngest connection that may still be used; it may have been closed meanwhile.
    pub fn take(&self) -> Option<C> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, since) = idle.pop_back()?;
        if since.elapsed() <= self.longest {
            return Some(connection);
        }
        // Those below it are older still.
        idle.clear();
        None
    }

    pub fn keep(&self, connection: C) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push_back((connection, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_kept_last_is_taken_first() {
        let shelf = Shelf::new(Duration::from_secs(60));
        shelf.keep(1);
        shelf.keep(2);
        assert_eq!([shelf.take(), shelf.take(), shelf.take()], [Some(2), Some(1), None]);
    }

    #[test]
    fn what_lay_too_long_is_gone() {
        let shelf = Shelf::new(Duration::ZERO);
        shelf.keep(1);
        shelf.keep(2);
        while shelf.idle.lock().expect("sound").back().is_some_and(|(_, since)| since.elapsed().is_zero()) {}
        assert_eq!([shelf.take(), shelf.take()], [None, None]);
    }
}
