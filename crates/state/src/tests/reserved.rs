//! A trail that is being recorded, while its bucket is made.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::TrailReservation;
use portcullis_authorization::TrailBucket;

async fn reserved(store: &StateStore, was: Option<&Trail>, trail: &Trail) -> TrailReservation {
    store.reserve_trail(was, trail.clone(), at(0)).await.expect("nothing is in the way")
}

fn is_waiting(future: impl Future) -> bool {
    matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

fn may_be_written(bucket: &BucketName, register: &dyn portcullis_authorization::TrailRegister) -> bool {
    TrailBucket::of(bucket, register).is_some()
}

#[tokio::test]
async fn a_trail_that_is_being_recorded_opens_its_own_bucket_and_no_other() {
    let (store, _, _) = in_memory(at(0)).await;
    let reservation = reserved(&store, None, &trail("main")).await;
    assert!(may_be_written(&bucket("logs"), &reservation));
    assert!(!may_be_written(&bucket("photos"), &reservation));
    assert!(!may_be_written(&bucket("logs"), &store), "it is not recorded yet");
    reservation.record(at(0)).await.expect("recorded");
    assert!(may_be_written(&bucket("logs"), &store));
    assert!(!may_be_written(&bucket("photos"), &store));
}

#[tokio::test]
async fn while_a_bucket_is_made_its_requests_wait_and_all_other_changes_go_on() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let (logs, photos) = (bucket("logs"), bucket("photos"));
    let reservation = reserved(&store, None, &trail("main")).await;
    assert!(is_waiting(store.leases().read(&logs)));
    assert!(!is_waiting(store.leases().read(&photos)));
    store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("a right code");
    store.record_bucket(&photos, store.bucket(&photos), StateChange::EnableMfaDelete, at(30)).await.expect("recorded");
    reservation.record(at(30)).await.expect("recorded");
    assert!(!is_waiting(store.leases().read(&logs)));
}

/// A crash between the two leaves this, and so does an upstream that does not make the bucket.
#[tokio::test]
async fn a_trail_that_is_not_recorded_in_the_end_has_changed_nothing() {
    let (store, _, journal) = in_memory(at(0)).await;
    let logs = bucket("logs");
    let observed = store.leases().observe(&logs);
    let written = journal.records().len();
    drop(reserved(&store, None, &trail("main")).await);
    assert_eq!(store.leases().generation(&logs), observed.generation(), "no upload is withdrawn");
    assert_eq!((journal.records().len(), store.trails()), (written, Vec::new()));
    assert_eq!(store.use_of(&logs), BucketUse::Data);
    reserved(&store, None, &trail("main")).await.record(at(0)).await.expect("recorded");
    assert_ne!(store.leases().generation(&logs), observed.generation());
}

#[tokio::test]
async fn a_trail_that_was_changed_while_its_bucket_was_made_conflicts() {
    let (store, _, _) = in_memory(at(0)).await;
    let first = trail("main");
    store.put_trail(None, first.clone(), at(0)).await.expect("made");
    let moved = Trail { bucket: bucket("elsewhere"), ..first.clone() };
    let reservation = reserved(&store, Some(&first), &moved).await;
    let changed = Trail { global_events: false, ..first.clone() };
    store.put_trail(Some(&first), changed.clone(), at(0)).await.expect("another bucket's lease");
    assert_eq!(reservation.record(at(0)).await, Err(StoreError::Outdated));
    assert_eq!(store.trails(), [changed]);
}

#[tokio::test]
async fn what_would_be_refused_is_not_reserved() {
    let (store, _, _) = in_memory(at(0)).await;
    let first = trail("main");
    store.put_trail(None, first.clone(), at(0)).await.expect("made");
    let refused = async |was: Option<&Trail>, trail: Trail| store.reserve_trail(was, trail, at(0)).await.err();
    assert_eq!(refused(None, first.clone()).await, Some(StoreError::AlreadyExists));
    assert_eq!(refused(Some(&trail("gone")), trail("gone")).await, Some(StoreError::NoSuchEntity));
    store.note_unanswered(&bucket("slow"), LateEffect::Versions, at(0)).await;
    let slow = Trail { bucket: bucket("slow"), ..trail("second") };
    assert!(matches!(refused(None, slow).await, Some(StoreError::Unsettled { .. })));
}
