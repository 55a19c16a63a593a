//! Idle connections, kept for the next request.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_http::EndpointAddresses;

/// Idle connections. The one used last is used first, so that the others age and go.
#[derive(Debug)]
pub(super) struct IdleConnections<C> {
    longest: Duration,
    addresses: EndpointAddresses,
    idle: Mutex<VecDeque<(PooledConnection<C>, Instant)>>,
}

/// A connection, the period in which it was made, and how often the upstream had moved by then.
#[derive(Debug)]
pub(super) struct PooledConnection<C> {
    pub connection: C,
    period: u64,
    moves: u64,
}

/// The most idle connections that are kept.
const MOST: usize = 512;

/// A connection is used in the period in which it was made alone, so that the upstream's name is looked up again and a
/// change of its address is followed while requests go on. The periods are the same for all connections, so that
/// requests do not go to two addresses for longer than a moment.
const PERIOD: Duration = Duration::from_secs(20);

static FIRST_PERIOD: LazyLock<Instant> = LazyLock::new(Instant::now);

fn this_period() -> u64 {
    FIRST_PERIOD.elapsed().as_secs() / PERIOD.as_secs()
}

impl<C> IdleConnections<C> {
    /// No connection yet; none is kept longer than this, of connections to these addresses.
    pub(crate) fn new(longest: Duration, addresses: EndpointAddresses) -> Self {
        Self { longest, addresses, idle: Mutex::default() }
    }

    /// A connection that was made just now.
    pub(crate) fn lend(&self, connection: C) -> PooledConnection<C> {
        PooledConnection { connection, period: this_period(), moves: self.addresses.moves() }
    }

    fn is_usable(&self, lent: &PooledConnection<C>) -> bool {
        lent.period == this_period() && lent.moves == self.addresses.moves()
    }

    /// The youngest connection that may still be used; it may have been closed meanwhile.
    pub(crate) fn take(&self) -> Option<PooledConnection<C>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (lent, since) = idle.pop_back()?;
            if since.elapsed() > self.longest {
                // Those below it lie longer still.
                idle.clear();
                return None;
            }
            if self.is_usable(&lent) {
                return Some(lent);
            }
        }
    }

    pub(crate) fn keep(&self, lent: PooledConnection<C>) {
        if !self.is_usable(&lent) {
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

    fn taken(idle: &IdleConnections<i32>) -> Option<i32> {
        idle.take().map(|lent| lent.connection)
    }

    fn idle(longest: Duration) -> IdleConnections<i32> {
        IdleConnections::new(longest, EndpointAddresses::default())
    }

    #[test]
    fn the_one_kept_last_is_taken_first() {
        let idle = idle(Duration::from_secs(60));
        idle.keep(idle.lend(1));
        idle.keep(idle.lend(2));
        assert_eq!([taken(&idle), taken(&idle), taken(&idle)], [Some(2), Some(1), None]);
    }

    #[test]
    fn what_lay_too_long_is_gone() {
        let idle = idle(Duration::ZERO);
        idle.keep(idle.lend(1));
        idle.keep(idle.lend(2));
        while idle.idle.lock().expect("sound").back().is_some_and(|(_, since)| since.elapsed().is_zero()) {}
        assert_eq!([taken(&idle), taken(&idle)], [None, None]);
    }

    #[test]
    fn a_connection_is_not_used_beyond_its_period_nor_once_the_upstream_moved() {
        let idle = idle(Duration::from_secs(60));
        let old = |connection| PooledConnection { period: this_period().wrapping_sub(1), ..idle.lend(connection) };
        let moved = |connection| PooledConnection { moves: 7, ..idle.lend(connection) };
        for unusable in [old(1), moved(1)] {
            idle.keep(unusable);
            assert_eq!(idle.idle.lock().expect("sound").len(), 0);
        }
        idle.keep(idle.lend(2));
        idle.idle.lock().expect("sound").extend([(old(3), Instant::now()), (moved(4), Instant::now())]);
        assert_eq!(taken(&idle), Some(2));
    }
}
