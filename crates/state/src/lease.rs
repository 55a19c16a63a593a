//! Leases: a bucket's state holds still while a request that was judged by it is under way.
//!
//! Readers and writers of a bucket get their leases in the order in which they asked, so that neither a stream of uploads
//! keeps root's change waiting nor the other way round.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use portcullis_base::names::BucketName;

/// One read/write lease for each bucket; what changes a bucket's protection takes the write side.
#[derive(Clone, Debug, Default)]
pub struct BucketLeases(Arc<Mutex<LeaseTable>>);

/// How often protection changed; equal generations of a bucket mean that nothing changed between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGeneration(u64);

/// Leave to rely on a bucket's state until it is dropped.
#[derive(Debug)]
pub struct ReadLease {
    _guard: OwnedRwLockReadGuard<()>,
    place: SlotHolder,
}

/// A bucket's generation at some moment, for who takes a lease only later.
#[derive(Debug)]
pub struct ObservedGeneration {
    generation: LeaseGeneration,
    // Keeps the bucket's own slot, or changes of other buckets would look like changes of this one.
    place: SlotHolder,
}

/// Leave to change a bucket's state; when it is dropped after a change the bucket has a new generation.
#[derive(Debug)]
pub struct WriteLease {
    // Before the lock is let go, so that no reader meets the old generation after the change.
    change: GenerationChange,
    _guard: OwnedRwLockWriteGuard<()>,
    place: SlotHolder,
}

#[derive(Debug, Default)]
struct LeaseTable {
    slots: HashMap<BucketName, LeaseSlot>,
    /// The newest generation given to any bucket.
    newest: u64,
    /// At least the generation of each bucket that has no slot.
    floor: u64,
}

#[derive(Clone, Debug)]
struct LeaseSlot {
    lock: Arc<RwLock<()>>,
    generation: u64,
    /// Leases, and those who wait for one.
    holders: usize,
}

/// A holder's place in the table; the slot goes with the last of them.
#[derive(Debug)]
struct SlotHolder {
    leases: BucketLeases,
    bucket: BucketName,
}

/// Gives the bucket a new generation when it is dropped, if anything changed.
#[derive(Debug)]
struct GenerationChange {
    leases: BucketLeases,
    bucket: BucketName,
    extent: ChangeExtent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeExtent {
    Nothing,
    Something,
}

impl BucketLeases {
    /// Waits for a shared lease: no change of the bucket while it is held.
    pub async fn read(&self, bucket: &BucketName) -> ReadLease {
        let (lock, place) = self.enter(bucket);
        ReadLease { _guard: lock.read_owned().await, place }
    }

    /// Waits for an exclusive lease: no other lease while it is held.
    pub async fn write(&self, bucket: &BucketName) -> WriteLease {
        let (lock, place) = self.enter(bucket);
        let guard = lock.write_owned().await;
        let change = GenerationChange { leases: self.clone(), bucket: bucket.clone(), extent: ChangeExtent::Nothing };
        WriteLease { change, _guard: guard, place }
    }

    /// Begins to look out for changes of the bucket.
    pub fn observe(&self, bucket: &BucketName) -> ObservedGeneration {
        let (_, place) = self.enter(bucket);
        ObservedGeneration { generation: self.generation(bucket), place }
    }

    /// The bucket's generation now; unless observed or leased it may also be new when nothing changed.
    pub fn generation(&self, bucket: &BucketName) -> LeaseGeneration {
        let table = self.table();
        LeaseGeneration(table.slots.get(bucket).map_or(table.floor, |slot| slot.generation))
    }

    fn enter(&self, bucket: &BucketName) -> (Arc<RwLock<()>>, SlotHolder) {
        let mut table = self.table();
        let floor = table.floor;
        let slot = table.slots.entry(bucket.clone()).or_insert_with(|| LeaseSlot {
            lock: Arc::default(),
            generation: floor,
            holders: 0,
        });
        slot.holders += 1;
        (Arc::clone(&slot.lock), SlotHolder { leases: self.clone(), bucket: bucket.clone() })
    }

    fn table(&self) -> MutexGuard<'_, LeaseTable> {
        // Nothing under this lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObservedGeneration {
    /// Which bucket it is.
    pub fn bucket(&self) -> &BucketName {
        &self.place.bucket
    }

    /// The bucket's generation when it began.
    pub fn generation(&self) -> LeaseGeneration {
        self.generation
    }
}

impl ReadLease {
    /// The generation that holds as long as this lease does.
    pub fn generation(&self) -> LeaseGeneration {
        self.place.leases.generation(&self.place.bucket)
    }
}

impl WriteLease {
    /// Says that what requests are judged by may change from now on. Until then the lease leaves no trace: a request that
    /// is refused must not withdraw the uploads of others.
    pub fn begin_change(&mut self) {
        self.change.extent = ChangeExtent::Something;
    }

    /// Says that it is certain that nothing changed.
    pub fn nothing_changed(&mut self) {
        self.change.extent = ChangeExtent::Nothing;
    }

    /// The generation before the change.
    pub fn generation(&self) -> LeaseGeneration {
        self.place.leases.generation(&self.place.bucket)
    }
}

impl Drop for GenerationChange {
    fn drop(&mut self) {
        if self.extent == ChangeExtent::Nothing {
            return;
        }
        let mut table = self.leases.table();
        table.newest += 1;
        let newest = table.newest;
        if let Some(slot) = table.slots.get_mut(&self.bucket) {
            slot.generation = newest;
        }
    }
}

impl Drop for SlotHolder {
    fn drop(&mut self) {
        let mut table = self.leases.table();
        let Some(slot) = table.slots.get_mut(&self.bucket) else { return };
        slot.holders = slot.holders.saturating_sub(1);
        if slot.holders == 0 {
            // A new slot starts at least at the highest removed generation, so generations never repeat.
            let generation = slot.generation;
            table.slots.remove(&self.bucket);
            table.floor = table.floor.max(generation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).expect("legal")
    }

    fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    /// Changes the bucket under a write lease that is free.
    fn change(leases: &BucketLeases, name: &str) {
        let mut lease = ready(leases.write(&bucket(name))).expect("free");
        lease.begin_change();
    }

    #[test]
    fn readers_share_and_a_writer_waits_for_them() {
        let leases = BucketLeases::default();
        let first = ready(leases.read(&bucket("vault"))).expect("free");
        let second = ready(leases.read(&bucket("vault"))).expect("shared");
        assert!(ready(leases.write(&bucket("vault"))).is_none());
        assert!(ready(leases.write(&bucket("other"))).is_some());
        drop((first, second));
        let writer = ready(leases.write(&bucket("vault"))).expect("free again");
        assert!(ready(leases.read(&bucket("vault"))).is_none());
        drop(writer);
    }

    #[test]
    fn a_generation_changes_with_a_change_and_never_returns() {
        let leases = BucketLeases::default();
        let before = leases.generation(&bucket("vault"));
        let lease = ready(leases.read(&bucket("vault"))).expect("free");
        assert_eq!(lease.generation(), before);
        drop(lease);
        change(&leases, "vault");
        assert_ne!(leases.generation(&bucket("vault")), before);
        drop(ready(leases.read(&bucket("other"))));
        assert_ne!(leases.generation(&bucket("vault")), before);
    }

    #[test]
    fn an_observed_bucket_does_not_change_with_another() {
        let leases = BucketLeases::default();
        let observed = leases.observe(&bucket("vault"));
        change(&leases, "other");
        assert_eq!(ready(leases.read(&bucket("vault"))).expect("free").generation(), observed.generation());
        change(&leases, "vault");
        assert_ne!(ready(leases.read(&bucket("vault"))).expect("free").generation(), observed.generation());
        drop(observed);
        assert!(leases.table().slots.is_empty());
    }

    #[test]
    fn the_generation_is_new_before_the_next_reader_enters() {
        let leases = BucketLeases::default();
        let mut writer = ready(leases.write(&bucket("vault"))).expect("free");
        writer.begin_change();
        let before = writer.generation();
        let name = bucket("vault");
        let mut waiting = pin!(leases.read(&name));
        let mut task = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut task).is_pending());
        drop(writer);
        let Poll::Ready(reader) = waiting.as_mut().poll(&mut task) else { panic!("still waiting") };
        assert_ne!(reader.generation(), before);
    }

    #[test]
    fn a_write_lease_under_which_nothing_changed_leaves_the_generation() {
        let leases = BucketLeases::default();
        let observed = leases.observe(&bucket("vault"));
        for _ in 0..100 {
            drop(ready(leases.write(&bucket("vault"))).expect("free"));
        }
        let mut refused = ready(leases.write(&bucket("vault"))).expect("free");
        refused.begin_change();
        refused.nothing_changed();
        drop(refused);
        assert_eq!(leases.generation(&bucket("vault")), observed.generation());
        change(&leases, "vault");
        assert_ne!(leases.generation(&bucket("vault")), observed.generation());
    }

    #[test]
    fn a_writer_waits_for_the_readers_before_it_and_for_none_after_it() {
        let (leases, name) = (BucketLeases::default(), bucket("vault"));
        let mut task = Context::from_waker(Waker::noop());
        let before: Vec<_> = (0..8).map(|_| ready(leases.read(&name)).expect("shared")).collect();
        let mut writer = pin!(leases.write(&name));
        assert!(writer.as_mut().poll(&mut task).is_pending());
        let mut after: Vec<_> = (0..64).map(|_| Box::pin(leases.read(&name))).collect();
        assert!(after.iter_mut().all(|reader| reader.as_mut().poll(&mut task).is_pending()));
        drop(before);
        let Poll::Ready(writer) = writer.as_mut().poll(&mut task) else { panic!("overtaken by later readers") };
        assert!(after.iter_mut().all(|reader| reader.as_mut().poll(&mut task).is_pending()));
        drop(writer);
        assert!(after.iter_mut().all(|reader| reader.as_mut().poll(&mut task).is_ready()));
    }

    #[test]
    fn idle_buckets_take_no_room_even_when_a_waiter_gave_up() {
        let leases = BucketLeases::default();
        let reader = ready(leases.read(&bucket("vault"))).expect("free");
        assert!(ready(leases.write(&bucket("vault"))).is_none());
        drop(reader);
        assert!(leases.table().slots.is_empty());
    }
}
