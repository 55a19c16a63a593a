//! Which records have to stay: those that are not old yet, and those that a follower still needs.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::SystemTime;

use super::{Journal, JournalError, Sequence};

/// A part of the product that makes something of the journal's records.
pub trait JournalFollower: Send + Sync {
    /// The first record that it has not done with; those before it may be trimmed.
    fn needed_from(&self) -> Sequence;
}

/// The followers of one journal.
#[derive(Debug, Default)]
pub(crate) struct FollowerRegistry(Mutex<Vec<Weak<dyn JournalFollower>>>);

impl FollowerRegistry {
    fn add(&self, follower: Weak<dyn JournalFollower>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(follower);
    }

    /// The first record that a follower needs; none if nothing follows.
    fn needed_from(&self) -> Option<Sequence> {
        let followers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // One that is gone did not say that it is done with any.
        let needed = |follower: Weak<dyn JournalFollower>| {
            follower.upgrade().map_or(Sequence::NONE, |follower| follower.needed_from())
        };
        followers.into_iter().map(needed).min()
    }
}

impl Journal {
    /// Keeps what this follower needs from now on; each follower has to be registered before it reads.
    pub fn register(&self, follower: Weak<dyn JournalFollower>) {
        self.followers.add(follower);
    }

    /// The first record that has to stay: it was written since this time, or a follower needs it.
    ///
    /// Where nothing follows, the journal alone has what is in it, and all of it stays.
    pub fn retained_from(&self, since: SystemTime) -> Result<Sequence, JournalError> {
        let Some(needed) = self.followers.needed_from() else { return Ok(self.first_sequence()) };
        Ok(self.written_since(since)?.min(needed))
    }
}
