//! What the admin socket does before and after a change.

use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::*;
use crate::audit::Site;
use crate::audit::journal::{Disk, Faults, Kind, Options, Reader};
use crate::clock::Timestamp;
use crate::store::testing::in_memory;

async fn admin(place: &TempDir, faults: &Arc<Faults>) -> Admin {
    let clock = Clock::Set(Arc::new(1_900_000_000_000.into()));
    let options = Options { segment_size: 64 * 1024, disk: Disk::Faulty(Arc::clone(faults)), ..Options::default() };
    let (journal, _) = Journal::open(place.path(), options).expect("a journal");
    let journal = Arc::new(journal);
    let store = in_memory(Timestamp::from_millis(1_900_000_000_000)).await.0;
    let site = Site { account: store.account().clone(), region: "us-east-1".to_owned(), alias: None };
    let recorder = Arc::new(Recorder::new(journal.clone(), site, clock.clone()));
    Admin { clock, store, recorder, journal, digits: Digits::Six }
}

async fn ask(admin: &Admin, form: &str) -> (u16, String) {
    let parameters = query::parse_form(form.as_bytes()).expect("a form");
    let request_id = RequestId::from_random([7; 16]);
    let reply = admin.act(admin.draft(request_id, None), request_id, &parameters, Offer::Absent).await;
    (reply.status, reply.body.expose().clone())
}

fn kinds(place: &TempDir) -> Vec<Kind> {
    Reader::open(place.path()).expect("a journal").map(|record| record.expect("whole").kind).collect()
}

#[tokio::test]
async fn a_change_is_recorded_before_and_after_it_and_a_question_after_it() {
    let place = TempDir::new().expect("a directory");
    let admin = admin(&place, &Arc::default()).await;
    assert_eq!(ask(&admin, "Action=CreateUser&UserName=alice").await.0, 200);
    let intent = admin.journal.last_sequence().number() - 1;
    assert_eq!(ask(&admin, "Action=ListUsers").await.0, 200);
    let kinds = kinds(&place);
    assert!(matches!(kinds.as_slice(), [Kind::Intent, Kind::Outcome(of), Kind::Event] if of.number() == intent));
}

#[tokio::test]
async fn what_will_be_refused_as_it_stands_needs_no_intent() {
    let place = TempDir::new().expect("a directory");
    let admin = admin(&place, &Arc::default()).await;
    assert_eq!(ask(&admin, "Action=CreateUser&User=alice").await.0, 400);
    assert_eq!(kinds(&place), [Kind::Event]);
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_not_made() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(Faults::default());
    let admin = admin(&place, &faults).await;
    faults.fail_syncs.store(true, Ordering::SeqCst);
    let (status, body) = ask(&admin, "Action=CreateUser&UserName=alice").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("<Code>ServiceUnavailable</Code>"), "{body}");
    let (_, users) = ask(&admin, "Action=ListUsers").await;
    assert!(!users.contains("alice"), "{users}");
}
