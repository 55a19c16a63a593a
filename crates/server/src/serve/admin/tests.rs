//! What the admin socket does before and after a change.

use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::*;
use portcullis_authorization::{LoopbackTrust, MfaProfile};
use portcullis_base::clock::{SetClocks, Timestamp, WatchedClock};
use portcullis_cloudtrail::record::AccountScope;
use portcullis_journal::{DiskFaults, JournalDisk, JournalOptions, JournalReader, RecordKind};
use portcullis_s3::ReplicationRule;
use portcullis_sigv4::Principal;
use portcullis_state::NewDevice;
use portcullis_state::testing::{HERE, by_clock, codes, enrolled, in_memory};

async fn admin(place: &TempDir, faults: &Arc<DiskFaults>) -> AdminSocket {
    admin_by(Clock::Set(Arc::new(1_900_000_000_000.into())), place, faults).await
}

async fn admin_by(clock: Clock, place: &TempDir, faults: &Arc<DiskFaults>) -> AdminSocket {
    let options = JournalOptions {
        segment_size: 64 * 1024,
        disk: JournalDisk::through(faults.clone()),
        ..JournalOptions::default()
    };
    let (journal, _) = Journal::open(place.path(), options).expect("a journal");
    let journal = Arc::new(journal);
    let state = by_clock(clock.clone()).await;
    let site = AccountScope { account: state.account().clone(), region: "us-east-1".to_owned(), alias: None };
    let recorder = Arc::new(Recorder::new(journal.clone(), site, clock.clone()));
    let rules = Rules {
        profile: MfaProfile::Strict,
        replication: ReplicationRule::AnyBucket,
        loopback_is_secure: LoopbackTrust::TlsOnly,
    };
    AdminSocket { clock, state, recorder, journal, digits: CodeDigits::Six, rules }
}

async fn ask(admin: &AdminSocket, form: &str) -> (u16, String) {
    ask_with(admin, form, MfaToken::Absent).await
}

async fn ask_with(admin: &AdminSocket, form: &str, offer: MfaToken) -> (u16, String) {
    let parameters = query::parse_form(form.as_bytes()).expect("a form");
    let request_id = RequestId::from_random([7; 16]);
    let reply = admin.act(admin.draft(request_id, None), request_id, &parameters, offer).await;
    (reply.status, reply.body.expose().clone())
}

/// The form that ends a device.
fn deactivating(device: &NewDevice) -> String {
    format!("Action=DeactivateMFADevice&SerialNumber={}", device.serial)
}

fn records(place: &TempDir) -> Vec<(RecordKind, String)> {
    let records = JournalReader::open(place.path()).expect("a journal").map(|record| record.expect("whole"));
    records.map(|record| (record.kind, String::from_utf8_lossy(&record.payload).into_owned())).collect()
}

/// When devices are enabled; the codes of that moment are spent.
fn before() -> Timestamp {
    Timestamp::from_seconds(1_900_000_000 - 30)
}

fn kinds(place: &TempDir) -> Vec<RecordKind> {
    JournalReader::open(place.path()).expect("a journal").map(|record| record.expect("whole").kind).collect()
}

#[tokio::test]
async fn a_change_is_recorded_before_and_after_it_and_a_question_after_it() {
    let place = TempDir::new().expect("a directory");
    let admin = admin(&place, &Arc::default()).await;
    assert_eq!(ask(&admin, "Action=CreateUser&UserName=alice").await.0, 200);
    let intent = admin.journal.last_sequence().number() - 1;
    assert_eq!(ask(&admin, "Action=ListUsers").await.0, 200);
    let kinds = kinds(&place);
    assert!(
        matches!(kinds.as_slice(), [RecordKind::Intent, RecordKind::Outcome(of), RecordKind::Event] if of.number() == intent)
    );
}

#[tokio::test]
async fn what_will_be_refused_as_it_stands_needs_no_intent() {
    let place = TempDir::new().expect("a directory");
    let admin = admin(&place, &Arc::default()).await;
    let unknown = format!("Action=DeactivateMFADevice&SerialNumber=arn:aws:iam::{}:mfa/none", admin.state.account());
    for (form, status) in [("Action=CreateUser&User=alice", 400), ("Action=CreateUser", 400), (unknown.as_str(), 404)] {
        assert_eq!(ask(&admin, form).await.0, status, "{form}");
    }
    assert_eq!(kinds(&place), [RecordKind::Event; 3]);
}

#[tokio::test]
async fn a_code_that_the_state_cannot_judge_is_recorded_as_that() {
    let place = TempDir::new().expect("a directory");
    let (state, engine, _) = in_memory(before()).await;
    let admin = AdminSocket { state, ..admin(&place, &Arc::default()).await };
    let phone = enrolled(&admin.state, "phone", before()).await;
    engine.broken.store(true, Ordering::SeqCst);
    let offer = MfaToken::Codes(codes(&phone, 1, admin.clock.now()));
    let (status, body) = ask_with(&admin, &deactivating(&phone), offer).await;
    assert!(status == 503 && body.contains("The state could not be written"), "{status} {body}");
    let records = records(&place);
    let [(RecordKind::Event, record)] = records.as_slice() else { panic!("{records:?}") };
    let serial = format!(r#""serialNumber":"{}""#, phone.serial);
    for told in [r#""result":"Unavailable""#, r#""presented":"true""#, &serial] {
        assert!(record.contains(told), "{told} in {record}");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_not_made() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let admin = admin(&place, &faults).await;
    faults.fail_syncs.store(true, Ordering::SeqCst);
    let (status, body) = ask(&admin, "Action=CreateUser&UserName=alice").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("<Code>ServiceUnavailable</Code>"), "{body}");
    let (_, users) = ask(&admin, "Action=ListUsers").await;
    assert!(!users.contains("alice"), "{users}");
}

#[tokio::test]
async fn a_code_is_spent_before_the_change_is_intended() {
    let place = TempDir::new().expect("a directory");
    let admin = admin(&place, &Arc::default()).await;
    let phone = enrolled(&admin.state, "phone", before()).await;
    let offer = MfaToken::Codes(codes(&phone, 1, admin.clock.now()));
    let (status, body) = ask_with(&admin, &deactivating(&phone), offer).await;
    assert_eq!(status, 200, "{body}");
    let records = records(&place);
    let [(RecordKind::Intent, intent), (RecordKind::Outcome(_), outcome)] = records.as_slice() else {
        panic!("{records:?}")
    };
    for record in [intent, outcome] {
        assert!(record.contains(r#""eventName":"DeactivateMFADevice""#), "{record}");
        assert!(record.contains(r#""result":"Accepted""#), "{record}");
    }
}

#[tokio::test]
async fn a_refused_code_is_an_event_and_no_change_is_intended() {
    let place = TempDir::new().expect("a directory");
    let admin = admin(&place, &Arc::default()).await;
    let phone = enrolled(&admin.state, "phone", before()).await;
    let spent = MfaToken::Codes(codes(&phone, 1, before()));
    let (status, body) = ask_with(&admin, &deactivating(&phone), spent).await;
    assert!(status == 400 && body.contains("<Code>TokenCodeInvalidError</Code>"), "{status} {body}");
    assert_eq!(ask(&admin, &deactivating(&phone)).await.0, 403);
    let records = records(&place);
    let [(RecordKind::Event, refused), (RecordKind::Event, missing)] = records.as_slice() else {
        panic!("{records:?}")
    };
    let serial = format!(r#""serialNumber":"{}""#, phone.serial);
    for told in [r#""eventName":"DeactivateMFADevice""#, r#""errorCode":"TokenCodeInvalidError""#, &serial] {
        assert!(refused.contains(told), "{told} in {refused}");
    }
    assert!(refused.contains(r#""result":"Replayed""#), "{refused}");
    assert!(missing.contains(r#""errorCode":"AccessDenied""#), "{missing}");
}

#[tokio::test]
async fn no_code_is_spent_where_the_change_could_not_be_recorded() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let admin = admin(&place, &faults).await;
    let phone = enrolled(&admin.state, "phone", before()).await;
    faults.fail_syncs.store(true, Ordering::SeqCst);
    assert_eq!(ask(&admin, "Action=CreateUser&UserName=alice").await.0, 503);
    let now = admin.clock.now();
    let offered = codes(&phone, 1, now);
    let (status, body) = ask_with(&admin, &deactivating(&phone), MfaToken::Codes(offered.clone())).await;
    assert!(status == 503 && body.contains("The journal could not be written"), "{status} {body}");
    admin.state.spend(&offered, &Principal::Root, HERE, now).await.expect("the code is still good");
}

#[tokio::test]
async fn a_clock_that_was_set_is_told_and_accepted_on_record() {
    let place = TempDir::new().expect("a directory");
    let clocks = Arc::new(SetClocks { wall: 1_900_000_000_000.into(), since_boot: 0.into() });
    let clock = Clock::Watched(Arc::new(WatchedClock::set(&clocks, Some("boot-1"))));
    let admin = admin_by(clock, &place, &Arc::default()).await;
    let told = async |action: &str| {
        let (status, body) = ask(&admin, &format!("Action={action}")).await;
        assert_eq!(status, 200, "{body}");
        body.contains("<ExpectedTime>2030-03-17T17:46:40Z</ExpectedTime>")
    };
    assert!(!told("GetClock").await);
    clocks.wall.fetch_add(7_200_000, Ordering::SeqCst);
    assert!(told("GetClock").await);
    let (status, body) = ask(&admin, "Action=CreateVirtualMFADevice&VirtualMFADeviceName=phone").await;
    assert_eq!(status, 200, "{body}");
    let serial = format!("arn:aws:iam::{}:mfa/phone", admin.state.account());
    let enabling =
        format!("Action=EnableMFADevice&SerialNumber={serial}&AuthenticationCode1=123456&AuthenticationCode2=654321");
    let (status, body) = ask(&admin, &enabling).await;
    assert!(status == 503 && body.contains("portcullis clock accept"), "{body}");
    assert!(told("AcceptClock").await);
    assert!(!told("GetClock").await);
    let records = JournalReader::open(place.path()).expect("a journal").map(|record| record.expect("whole").payload);
    let records: Vec<String> = records.map(|payload| String::from_utf8_lossy(&payload).into_owned()).collect();
    let times = r#"{"clock":{"expectedTime":"2030-03-17T17:46:40Z","time":"2030-03-17T19:46:40Z"}}"#;
    assert!(records.iter().any(|record| record.contains("\"AcceptClock\"") && record.contains(times)), "{records:?}");
}
