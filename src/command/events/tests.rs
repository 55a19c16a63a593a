use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::command::terminal::kept::terminal;
use portcullis_base::clock::Timestamp;
use portcullis_followers::history::History;
use portcullis_journal::{Journal, JournalOptions, RecordKind};

struct Given(VecDeque<Value>);

impl RecordSource for Given {
    fn next(&mut self) -> Result<Option<String>, CommandError> {
        Ok(self.0.pop_front().map(|record| record.to_string()))
    }
}

fn records() -> Given {
    let root = json!({ "type": "Root", "arn": "arn:aws:iam::123456789012:root", "accessKeyId": "AKIAROOT", "userName": "acme" });
    let alice = json!({ "type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAALICE" });
    let anonymous = json!({ "type": "AWSAccount", "principalId": "", "accountId": "anonymous" });
    let record =
        |time: &str, identity: &Value, name: &str, parameters: Value, error: Option<&str>, mfa: Option<&str>| {
            let mut record = json!({
                "userIdentity": identity, "eventTime": time, "eventName": name, "sourceIPAddress": "127.0.0.1",
                "requestParameters": parameters,
            });
            if let Some(error) = error {
                record["errorCode"] = json!(error);
            }
            if let Some(mfa) = mfa {
                record["additionalEventData"] = json!({ "MfaDelete": { "result": mfa } });
            }
            record
        };
    let version = json!({ "bucketName": "vault", "key": "a\u{1b}[31m", "versionId": "v1" });
    Given(
        [
            record("2026-11-21T09:00:00Z", &root, "CreateBucket", json!({ "bucketName": "vault" }), None, None),
            record(
                "2026-11-21T09:10:00Z",
                &alice,
                "DeleteObject",
                version.clone(),
                Some("AccessDenied"),
                Some("Missing"),
            ),
            record("2026-11-21T09:20:00Z", &root, "DeleteObject", version, None, Some("Accepted")),
            record("2026-11-21T09:30:00Z", &anonymous, "ListBuckets", Value::Null, Some("AccessDenied"), None),
            record("2026-11-21T09:40:00Z", &root, "CreateUser", json!({ "userName": "bob" }), None, None),
        ]
        .into(),
    )
}

async fn shown(format: OutputFormat, change: impl FnOnce(&mut EventsArgs)) -> String {
    let mut args = EventsArgs::default();
    change(&mut args);
    let now = Timestamp::parse_iso_extended("2026-11-21T09:45:00Z").unwrap();
    let clock = Clock::Set(Arc::new(now.millis().into()));
    let (mut terminal, kept) = terminal(format, &[]);
    show(args, records(), clock, &mut terminal).await.unwrap();
    kept.text()
}

async fn times(change: impl FnOnce(&mut EventsArgs)) -> Vec<String> {
    let text = shown(OutputFormat::Json, change).await;
    let minutes =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["eventTime"].as_str().unwrap()[14..16].to_owned();
    text.lines().map(minutes).collect()
}

#[tokio::test]
async fn records_are_an_aligned_table() {
    insta::assert_snapshot!(shown(OutputFormat::People, |_| {}).await, @r"
    TIME                  PRINCIPAL   EVENT                 RESOURCE                        RESULT        MFA       SOURCE
    2026-11-21T09:00:00Z  root        CreateBucket          vault                           ok            -         127.0.0.1
    2026-11-21T09:10:00Z  alice       DeleteObject          vault/a\u{1b}[31m?versionId=v1  AccessDenied  Missing   127.0.0.1
    2026-11-21T09:20:00Z  root        DeleteObject          vault/a\u{1b}[31m?versionId=v1  ok            Accepted  127.0.0.1
    2026-11-21T09:30:00Z  anonymous   ListBuckets           -                               AccessDenied  -         127.0.0.1
    2026-11-21T09:40:00Z  root        CreateUser            bob                             ok            -         127.0.0.1
    ");
}

#[tokio::test]
async fn for_programs_each_record_is_one_line_as_it_was_recorded() {
    let text = shown(OutputFormat::Json, |_| {}).await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, Vec::from(records().0));
}

#[tokio::test]
async fn each_filter_admits_what_it_names() {
    assert_eq!(times(|args| args.bucket = Some("vault".to_owned())).await, ["00", "10", "20"]);
    assert_eq!(times(|args| args.event_name = Some("deleteobject".to_owned())).await, ["10", "20"]);
    assert_eq!(times(|args| args.error = Some("AccessDenied".to_owned())).await, ["10", "30"]);
    assert_eq!(times(|args| args.principal = Some("root".to_owned())).await, ["00", "20", "40"]);
    assert_eq!(times(|args| args.principal = Some("alice".to_owned())).await, ["10"]);
    assert_eq!(times(|args| args.principal = Some("AKIAALICE".to_owned())).await, ["10"]);
    assert_eq!(times(|args| args.principal = Some("anonymous".to_owned())).await, ["30"]);
    assert_eq!(times(|args| args.source_ip = Some("127.0.0.1".to_owned())).await.len(), 5);
    assert_eq!(times(|args| args.source_ip = Some("127.0.0.2".to_owned())).await.len(), 0);
    assert_eq!(times(|args| args.resource = Some("arn:aws:s3:::vault".to_owned())).await, ["00", "10", "20"]);
    assert_eq!(times(|args| args.mfa_result = Some("Missing".to_owned())).await, ["10"]);
    assert_eq!(times(|args| args.until = SinceTime::parse("2026-11-21T09:20:00Z").ok()).await, ["00", "10", "20"]);
    assert_eq!(times(|args| args.until = SinceTime::parse("20m").ok()).await, ["00", "10", "20"]);
    assert_eq!(times(|args| args.since = SinceTime::parse("20m").ok()).await, ["30", "40"]);
    assert_eq!(times(|args| args.since = SinceTime::parse("2026-11-21T09:20:00Z").ok()).await, ["20", "30", "40"]);
}

#[tokio::test]
async fn filters_admit_only_what_all_of_them_admit() {
    let both = |args: &mut EventsArgs| {
        args.principal = Some("root".to_owned());
        args.bucket = Some("vault".to_owned());
    };
    assert_eq!(times(both).await, ["00", "20"]);
}

#[tokio::test]
async fn the_accounts_alias_does_not_pass_for_a_user() {
    assert_eq!(times(|args| args.principal = Some("acme".to_owned())).await, [""; 0]);
}

#[tokio::test]
async fn nothing_found_is_said_to_people_alone() {
    let nobody = |args: &mut EventsArgs| args.principal = Some("nobody".to_owned());
    assert_eq!(shown(OutputFormat::People, nobody).await, "no matching events\n");
    assert_eq!(shown(OutputFormat::Json, nobody).await, "");
}

#[tokio::test]
async fn what_the_journal_holds_is_shown_while_its_proxy_still_writes() {
    let directory = tempfile::tempdir().unwrap();
    let place = StateDirectory::find(Some(directory.path().to_owned()), None);
    let (journal, _) =
        Journal::open(&place.journal(), JournalOptions { segment_size: 1 << 16, ..JournalOptions::default() }).unwrap();
    let mut recorded = recorded::RecordedEvents::open(&place, &EventFilter::default(), None).unwrap();
    assert_eq!(recorded.next(), Ok(None));
    let intent = journal.append(RecordKind::Intent, br#"{"eventName":"DeleteObjects"}"#).unwrap();
    journal.append(RecordKind::State, br#"{"revision":1}"#).unwrap();
    journal.append(RecordKind::Event, br#"{"eventName":"GetObject"}"#).unwrap();
    let outcome = b"{\"eventName\":\"DeleteObjects\"}\n{\"eventName\":\"DeleteObject\"}\n";
    journal.append(RecordKind::Outcome(intent), outcome).unwrap();
    let mut names = Vec::new();
    while let Some(record) = recorded.next().unwrap() {
        names.push(name_of(&record));
    }
    assert_eq!(names, ["GetObject", "DeleteObjects", "DeleteObject"]);
}

fn name_of(line: &str) -> String {
    EventView::read(line.as_bytes()).unwrap().event_name.text().unwrap().to_owned()
}

/// The names of a place's events, those first that its history holds.
fn names(place: &StateDirectory, filter: &EventFilter, limit: Option<usize>) -> Vec<String> {
    let (names, notes) = names_and_notes(place, filter, limit, || {});
    assert_eq!(notes, [""; 0]);
    names
}

/// The same, and what is said beside them; something may happen once the first was read.
fn names_and_notes(
    place: &StateDirectory,
    filter: &EventFilter,
    limit: Option<usize>,
    meanwhile: impl FnOnce(),
) -> (Vec<String>, Vec<String>) {
    let mut recorded = recorded::RecordedEvents::open(place, filter, limit).unwrap();
    let mut meanwhile = Some(meanwhile);
    let mut names = Vec::new();
    while let Some(record) = recorded.next().unwrap() {
        if filter.admits(&EventView::read(record.as_bytes()).unwrap()) {
            names.push(name_of(&record));
        }
        meanwhile.take().into_iter().for_each(|meanwhile| meanwhile());
    }
    (names, recorded.notes())
}

#[tokio::test]
async fn the_history_and_the_end_of_the_journal_tell_each_record_once() {
    let directory = tempfile::tempdir().unwrap();
    let place = StateDirectory::find(Some(directory.path().to_owned()), None);
    let options = JournalOptions { segment_size: 1 << 16, ..JournalOptions::default() };
    let journal = Arc::new(Journal::open(&place.journal(), options).unwrap().0);
    let record = |number: usize| {
        let bucket = if number.is_multiple_of(2) { "even" } else { "odd" };
        let event = json!({
            "eventName": format!("E{number}"), "eventTime": "2026-11-21T09:00:00Z",
            "requestParameters": { "bucketName": bucket },
        });
        journal.append(RecordKind::Event, event.to_string().as_bytes()).unwrap()
    };
    let keep = std::time::Duration::from_secs(1 << 30);
    let history = |journal| History::start(&place.history(), journal, keep, Clock::System).unwrap();
    for number in 0..700 {
        record(number);
    }
    journal.durable(journal.last_sequence()).await.unwrap();
    history(Arc::clone(&journal)).stop();
    for number in 700..703 {
        record(number);
    }
    let all = |numbers: std::ops::Range<usize>| -> Vec<String> { numbers.map(|number| format!("E{number}")).collect() };
    assert_eq!(names(&place, &EventFilter::default(), None), all(0..703));
    assert_eq!(names(&place, &EventFilter::default(), Some(2)), all(701..703));
    assert_eq!(names(&place, &EventFilter::default(), Some(10)), all(693..703));
    let odd = EventFilter::new(vec![(LookupAttribute::BucketName, "odd".to_owned())], None, None);
    assert_eq!(names(&place, &odd, Some(3)), ["E697", "E699", "E701"]);
    assert_eq!(names(&place, &odd, None).len(), 351);
    let day = place.history().join("2026-11-21.sqlite");
    let spoil = || std::fs::write(&day, b"nothing that sqlite wrote").unwrap();
    let whole = std::fs::read(&day).unwrap();
    // Once the first page was given, and before anything was.
    for meanwhile in [Some(&spoil), None] {
        let (names, notes) =
            names_and_notes(&place, &EventFilter::default(), None, || meanwhile.iter().for_each(|it| it()));
        assert_eq!((names, notes.len()), (all(0..703), 1));
        assert!(notes[0].starts_with("note: the history cannot be used: "), "{notes:?}");
        assert!(notes[0].ends_with("; the journal is read in its place"), "{notes:?}");
    }
    let (last, notes) = names_and_notes(&place, &EventFilter::default(), Some(10), || {});
    assert_eq!((last, notes.len()), (all(693..703), 1));

    std::fs::write(&day, whole).unwrap();
    assert_eq!(names(&place, &EventFilter::default(), None), all(0..703));
    std::fs::rename(&day, day.with_extension("gone")).unwrap();
    let (names, notes) = names_and_notes(&place, &EventFilter::default(), None, || {});
    assert_eq!(names, all(0..703));
    assert!(notes[0].contains("the file of 2026-11-21 is not there"), "{notes:?}");
}

#[tokio::test]
async fn a_history_that_is_not_this_journals_is_told_and_one_that_has_not_begun_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let place = StateDirectory::find(Some(directory.path().to_owned()), None);
    let options = JournalOptions { segment_size: 1 << 16, ..JournalOptions::default() };
    let journal = Journal::open(&place.journal(), options).unwrap().0;
    journal.append(RecordKind::Event, br#"{"eventName":"GetObject"}"#).unwrap();
    let noted = || names_and_notes(&place, &EventFilter::default(), None, || {});
    assert_eq!(noted(), (vec!["GetObject".to_owned()], vec![]));
    std::fs::create_dir(place.history()).unwrap();
    assert_eq!(noted().1, [""; 0]);
    let position = |journal: &str| {
        let (chain, days) = ("00".repeat(32), [""; 0]);
        json!({ "version": 1, "journal": journal, "sequence": 7, "chain": chain, "days": days }).to_string()
    };
    for (written, reason) in
        [(position(&"00".repeat(16)), "it is of another journal"), ("{".to_owned(), "cannot be read")]
    {
        std::fs::write(place.history().join("position.json"), written).unwrap();
        let (names, notes) = noted();
        assert_eq!(names, ["GetObject"]);
        assert!(notes[0].contains(reason), "{notes:?}");
    }
}

#[tokio::test]
async fn where_nothing_was_ever_recorded_the_command_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let place = StateDirectory::find(Some(directory.path().to_owned()), None);
    let error = recorded::RecordedEvents::open(&place, &EventFilter::default(), None).err().unwrap();
    assert_eq!(error.blame, crate::command::error::ExitCause::NotRunning);
}

#[test]
fn a_since_that_is_neither_a_span_nor_a_moment_says_what_to_write() {
    assert!(SinceTime::parse("yesterday").unwrap_err().contains("1h"));
}
