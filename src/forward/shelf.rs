//! Idle connections, kept for whoever needs one next.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle connections. The one used last is used first, so that the others age and go.
#[derive(Debug)]
pub(super) struct Shelf<C> {
    longest: Duration,
    idle: Mutex<VecDeque<(Lent<C>, Instant)>>,
}

/// A connection, and when it was made.
#[derive(Debug)]
pub(super) struct Lent<C> {
    pub connection: C,
    made: Instant,
}

/// More idle connections than this serve nobody.
const MOST: usize = 512;

/// A connection is not used again after this, so that the upstream's name is looked up again and a change of its address
/// is followed while requests go on.
const LONGEST_USE: Duration = Duration::from_secs(30);

impl<C> Lent<C> {
    /// A connection that was made just now.
    pub fn new(connection: C) -> Self {
        Self { connection, made: Instant::now() }
    }
}

impl<C> Shelf<C> {
    /// An empty shelf, on which nothing lies longer than this.
    pub fn new(longest: Duration) -> Self {
        Self { longest, idle: Mutex::default() }
    }

    /// The youngest connection that may still be used; it may have been closed meanwhile.
    pub fn take(&self) -> Option<Lent<C>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (lent, since) = idle.pop_back()?;
            if since.elapsed() > self.longest {
                // Those below it lie longer still.
                idle.clear();
                return None;
            }
            if lent.made.elapsed() <= LONGEST_USE {
                return Some(lent);
            }
        }
    }

    pub fn keep(&self, lent: Lent<C>) {
        if lent.made.elapsed() > LONGEST_USE {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push_back((lent, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(shelf: &Shelf<i32>) -> Option<i32> {
        shelf.take().map(|lent| lent.connection)
    }

    #[test]
    fn the_one_kept_last_is_taken_first() {
        let shelf = Shelf::new(Duration::from_secs(60));
        shelf.keep(Lent::new(1));
        shelf.keep(Lent::new(2));
        assert_eq!([taken(&shelf), taken(&shelf), taken(&shelf)], [Some(2), Some(1), None]);
    }

    #[test]
    fn what_lay_too_long_is_gone() {
        let shelf = Shelf::new(Duration::ZERO);
        shelf.keep(Lent::new(1));
        shelf.keep(Lent::new(2));
        while shelf.idle.lock().expect("sound").back().is_some_and(|(_, since)| since.elapsed().is_zero()) {}
        assert_eq!([taken(&shelf), taken(&shelf)], [None, None]);
    }

    #[test]
    fn a_connection_is_not_used_for_longer_than_its_name_is_believed() {
        let Some(long_ago) = Instant::now().checked_sub(LONGEST_USE + Duration::from_secs(1)) else { return };
        let shelf = Shelf::new(Duration::from_secs(60));
        shelf.keep(Lent { connection: 1, made: long_ago });
        assert_eq!(shelf.idle.lock().expect("sound").len(), 0);
        shelf.keep(Lent::new(2));
        shelf.idle.lock().expect("sound").push_back((Lent { connection: 3, made: long_ago }, Instant::now()));
        assert_eq!(taken(&shelf), Some(2));
    }
}
