use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use portcullis_base::clock::{SetClocks, WatchedClock};
use portcullis_cloudtrail::lookup::EventOrder;
use portcullis_cloudtrail::record::LookupAttribute;
use portcullis_journal::{JournalOptions, RecordKind};

/// A journal and its history, in a directory of their own.
struct Bench {
    directory: tempfile::TempDir,
    journal: Arc<Journal>,
    history: Option<History>,
    now: Arc<AtomicI64>,
    clock: Clock,
    keep: Duration,
}

const DAY: i64 = 24 * 60 * 60;
const START: i64 = 20_000 * DAY;

impl Bench {
    fn new() -> Self {
        Self::keeping(Duration::from_secs(90 * 24 * 60 * 60))
    }

    fn keeping(keep: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let journal = open_journal(directory.path());
        let now = Arc::new(AtomicI64::new((START + DAY) * 1000));
        let clock = Clock::Set(Arc::clone(&now));
        let mut bench = Self { directory, journal, history: None, now, clock, keep };
        bench.start();
        bench
    }

    fn start(&mut self) {
        let clock = self.clock.clone();
        let journal = Arc::clone(&self.journal);
        let history = History::start(&self.files(), journal, self.keep, clock);
        self.history = Some(history.unwrap());
    }

    fn stop(&mut self) {
        self.history = None;
    }

    fn files(&self) -> PathBuf {
        self.directory.path().join("history")
    }

    fn journal_files(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    fn history(&self) -> &History {
        self.history.as_ref().unwrap()
    }

    async fn record(&self, events: &[Value]) {
        let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
        self.journal.record(RecordKind::Event, lines.join("\n").as_bytes()).await.unwrap();
    }

    async fn page(&self, query: &HistoryQuery) -> HistoryPage {
        self.history().lookup(query.clone()).await.unwrap()
    }

    /// All pages, as the ids of their events.
    async fn ids(&self, query: &HistoryQuery) -> Vec<String> {
        let mut query = query.clone();
        let mut ids = Vec::new();
        loop {
            let page = self.page(&query).await;
            assert!(page.events.len() <= query.limit);
            ids.extend(page.events.into_iter().map(|found| found.summary.event_id.unwrap()));
            match page.next {
                Some(next) => query.token = Some(next),
                None => return ids,
            }
        }
    }
}

fn open_journal(directory: &Path) -> Arc<Journal> {
    let options = JournalOptions { segment_size: 1 << 16, ..JournalOptions::default() };
    Arc::new(Journal::open(&directory.join("journal"), options).unwrap().0)
}

fn event(id: &str, time: i64) -> Value {
    json!({ "eventID": id, "eventTime": Timestamp::from_seconds(time).iso_extended(), "eventName": "GetObject" })
}

fn by(attributes: &[(LookupAttribute, &str)]) -> HistoryQuery {
    let attributes = attributes.iter().map(|(attribute, value)| (*attribute, (*value).to_owned())).collect();
    HistoryQuery { attributes, ..HistoryQuery::all(50) }
}

#[tokio::test]
async fn an_event_is_found_as_soon_as_its_record_is_on_disk() {
    let bench = Bench::new();
    bench.record(&[event("a", START)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["a"]);
    bench.record(&[event("b", START + 1)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["b", "a"]);
    let page = bench.page(&by(&[(LookupAttribute::EventId, "a")])).await;
    assert_eq!(serde_json::from_str::<Value>(&page.events[0].record).unwrap(), event("a", START));
}

#[tokio::test]
async fn intents_and_state_are_no_events() {
    let bench = Bench::new();
    bench.journal.record(RecordKind::State, br#"{"revision":1}"#).await.unwrap();
    let intent = bench.journal.record(RecordKind::Intent, event("x", START).to_string().as_bytes()).await.unwrap();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, [""; 0]);
    bench.journal.record(RecordKind::Outcome(intent), event("x", START).to_string().as_bytes()).await.unwrap();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["x"]);
}

#[tokio::test]
async fn pages_stay_as_they_are_while_events_arrive() {
    let bench = Bench::new();
    for number in 0..30 {
        bench.record(&[event(&format!("old-{number:02}"), START + number / 7)]).await;
    }
    let mut query = HistoryQuery::all(7);
    let mut ids = Vec::new();
    for round in 0.. {
        let page = bench.page(&query).await;
        ids.extend(page.events.into_iter().map(|found| found.summary.event_id.unwrap()));
        bench.record(&[event(&format!("new-{round}"), START + 100), event("late", START - 100)]).await;
        let Some(next) = page.next else { break };
        query.token = Some(next);
    }
    let expected: Vec<String> = (0..30).rev().map(|number| format!("old-{number:02}")).collect();
    assert_eq!(ids[..30], expected);
    assert!(ids[30..].iter().all(|id| id == "late"), "{ids:?}");
}

#[tokio::test]
async fn a_token_is_of_use_for_its_own_question_alone() {
    let bench = Bench::new();
    bench.record(&[event("a", START), event("b", START), event("c", START)]).await;
    let query = HistoryQuery { limit: 1, ..by(&[(LookupAttribute::EventName, "GetObject")]) };
    let token = bench.page(&query).await.next;
    assert!(token.is_some());
    let of = |query: HistoryQuery| bench.history().lookup(HistoryQuery { token: token.clone(), ..query });
    assert_eq!(of(query.clone()).await.unwrap().events.len(), 1);
    assert_eq!(of(HistoryQuery { limit: 2, ..query.clone() }).await.unwrap().events.len(), 2);
    for other in [
        HistoryQuery::all(1),
        HistoryQuery { start: Some(Timestamp::from_seconds(START)), ..query.clone() },
        HistoryQuery { order: EventOrder::OldestFirst, ..query.clone() },
    ] {
        assert!(matches!(of(other).await, Err(LookupError::InvalidToken)));
    }
    let nonsense = HistoryQuery { token: Some("AAAA".to_owned()), ..query };
    assert!(matches!(bench.history().lookup(nonsense).await, Err(LookupError::InvalidToken)));
}

#[tokio::test]
async fn days_past_keeping_are_removed_and_not_indexed_again() {
    let mut bench = Bench::keeping(Duration::from_secs(2 * 24 * 60 * 60));
    bench.record(&[event("old", START), event("new", START + 2 * DAY)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["new", "old"]);
    bench.stop();
    bench.now.store((START + 3 * DAY) * 1000, Ordering::SeqCst);
    bench.start();
    bench.record(&[event("later", START + 3 * DAY), event("very late", START)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["later", "new"]);
    assert!(!bench.files().join("2024-10-04.sqlite").exists());
    std::fs::remove_file(bench.files().join("position.json")).unwrap();
    bench.stop();
    bench.start();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["later", "new"]);
}

#[tokio::test]
async fn while_the_clock_disagrees_no_day_is_past_keeping() {
    let mut bench = Bench::keeping(Duration::from_secs(2 * 24 * 60 * 60));
    bench.stop();
    let clocks = SetClocks { wall: AtomicI64::new((START + DAY) * 1000), since_boot: AtomicI64::new(0) };
    let clocks = Arc::new(clocks);
    bench.clock = Clock::Watched(Arc::new(WatchedClock::set(&clocks, None)));
    bench.start();
    bench.record(&[event("old", START), event("new", START + 2 * DAY)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["new", "old"]);
    clocks.wall.fetch_add(91 * DAY * 1000, Ordering::SeqCst);
    bench.record(&[event("very late", START)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["new", "very late", "old"]);
    bench.stop();
    bench.start();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["new", "very late", "old"]);
    std::fs::remove_file(bench.files().join("position.json")).unwrap();
    bench.stop();
    bench.start();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["new", "very late", "old"]);
    let Clock::Watched(clock) = &bench.clock else { unreachable!("as it was set above") };
    clock.accept();
    bench.stop();
    bench.start();
    bench.record(&[event("later", START + 92 * DAY)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["later"]);
}

#[tokio::test]
async fn what_a_stop_interrupts_goes_on_where_it_was() {
    let mut bench = Bench::new();
    for number in 0..300 {
        bench.record(&[event(&format!("{number:03}"), START + number)]).await;
        if number % 70 == 0 {
            bench.stop();
            bench.start();
        }
    }
    let expected: Vec<String> = (0..300).rev().map(|number| format!("{number:03}")).collect();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, expected);
    bench.stop();
    let through = Archive::open(&bench.files()).unwrap().covers(journal_id(&bench));
    assert_eq!(through, bench.journal.last_sequence());
}

fn journal_id(bench: &Bench) -> JournalId {
    portcullis_journal::JournalReader::open(&bench.journal_files()).unwrap().journal().unwrap()
}

/// Spoils the index in some way, and holds that everything is found all the same.
async fn survives(spoil: impl Fn(&Path)) {
    let mut bench = Bench::new();
    for number in 0..400 {
        bench.record(&[event(&format!("{number:03}"), START + DAY / 2 + number * 200)]).await;
    }
    let expected: Vec<String> = (0..400).rev().map(|number| format!("{number:03}")).collect();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, expected);
    bench.stop();
    assert_eq!(day::UtcDay::list(&bench.files()).unwrap().len(), 2);
    spoil(&bench.files());
    bench.start();
    // A search that finds a damaged file reports it, and has it rebuilt for later searches.
    let rebuilt = async {
        loop {
            match bench.history().lookup(HistoryQuery::all(1000)).await {
                Err(LookupError::Behind { .. } | LookupError::Unreadable { .. }) => tokio::task::yield_now().await,
                found @ (Ok(_) | Err(LookupError::InvalidToken)) => return found,
            }
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), rebuilt).await.expect("rebuilt in time");
    let found: Vec<String> = found.unwrap().events.into_iter().map(|found| found.summary.event_id.unwrap()).collect();
    assert_eq!(found, expected);
    let one = by(&[(LookupAttribute::EventId, "123")]);
    assert_eq!(bench.ids(&one).await, ["123"]);
}

fn files_with(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(end));
    files.sort();
    files
}

#[tokio::test]
async fn a_file_cut_short_is_rebuilt() {
    survives(|directory| {
        let file = std::fs::OpenOptions::new().write(true).open(&files_with(directory, ".sqlite")[0]).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_of_zeroes_is_rebuilt() {
    survives(|directory| {
        let path = &files_with(directory, ".sqlite")[1];
        let length = std::fs::metadata(path).unwrap().len();
        std::fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_of_another_version_is_rebuilt() {
    survives(|directory| {
        let connection = rusqlite::Connection::open(&files_with(directory, ".sqlite")[0]).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_torn_block_is_rebuilt() {
    survives(|directory| {
        let connection = rusqlite::Connection::open(&files_with(directory, ".sqlite")[0]).unwrap();
        connection.execute("UPDATE block SET body = substr(body, 1, length(body) / 2) WHERE id = 1", []).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_day_that_is_gone_is_rebuilt() {
    survives(|directory| std::fs::remove_file(&files_with(directory, ".sqlite")[0]).unwrap()).await;
}

#[tokio::test]
async fn a_position_that_is_gone_is_found_again() {
    survives(|directory| std::fs::remove_file(&files_with(directory, "position.json")[0]).unwrap()).await;
}

#[tokio::test]
async fn everything_gone_is_rebuilt() {
    survives(|directory| std::fs::remove_dir_all(directory).unwrap()).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // The shared memory of those who have the file open does not outlive them.
        if path.extension().is_some_and(|extension| extension != "sqlite-shm") {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[tokio::test]
async fn whatever_a_power_loss_leaves_of_what_was_not_synced_is_completed() {
    let mut bench = Bench::new();
    bench.stop();
    std::fs::remove_dir_all(bench.files()).unwrap();
    std::fs::create_dir_all(bench.files()).unwrap();
    let lines: Vec<String> =
        (0..600).map(|number| event(&format!("{number:03}"), START + number).to_string()).collect();
    let mut files = DayFiles::begin(&bench.files(), journal_id(&bench), bench.keep);
    let now = Timestamp::from_millis(bench.now.load(Ordering::SeqCst));
    let mut synced = 0;
    let log = bench.files().join("2024-10-04.sqlite-wal");
    for (number, line) in lines.iter().enumerate() {
        let sequence = bench.journal.append(RecordKind::Event, line.as_bytes()).unwrap();
        files.take(sequence, std::iter::once(line.as_bytes()), now);
        if number % 60 == 59 {
            let mut reader = portcullis_journal::JournalReader::open(&bench.journal_files()).unwrap();
            assert!(reader.by_ref().all(|record| record.is_ok()));
            files.flush(reader.chain_hash(), now).unwrap();
        }
        if number == 299 {
            files.save().unwrap();
            synced = std::fs::metadata(&log).unwrap().len();
        }
    }
    bench.journal.durable(bench.journal.last_sequence()).await.unwrap();
    let crashed = bench.directory.path().join("crashed");
    copy(&bench.files(), &crashed);
    drop(files);
    let length = std::fs::metadata(crashed.join("2024-10-04.sqlite-wal")).unwrap().len();
    assert!(synced > 0 && length > synced);
    let expected: Vec<String> = (0..600).rev().map(|number| format!("{number:03}")).collect();
    for part in 0..9 {
        std::fs::remove_dir_all(bench.files()).unwrap();
        copy(&crashed, &bench.files());
        let cut = synced + (length - synced) * part / 8;
        std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(cut).unwrap();
        bench.start();
        assert_eq!(bench.ids(&HistoryQuery::all(50)).await, expected, "cut at {cut}");
        assert!(files_with(&bench.files(), ".aside").is_empty());
        bench.stop();
    }
}

/// Puts an older copy of the journal in its place, and records other things in it than before.
async fn goes_back(before: usize, later: usize) {
    let mut bench = Bench::new();
    bench.record(&[event("a", START)]).await;
    let kept = bench.directory.path().join("kept");
    copy(&bench.journal_files(), &kept);
    for _ in 0..before {
        bench.record(&[event("b", START)]).await;
    }
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await.len(), 1 + before);
    bench.stop();
    let Bench { directory, journal, history: _, now, clock, keep } = bench;
    drop(journal);
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    std::fs::rename(kept, directory.path().join("journal")).unwrap();
    let journal = open_journal(directory.path());
    let mut bench = Bench { directory, journal, history: None, now, clock, keep };
    for number in 0..later {
        bench.record(&[event(&format!("c{number}"), START)]).await;
    }
    bench.start();
    let expected: Vec<String> = (0..later).rev().map(|number| format!("c{number}")).chain(["a".to_owned()]).collect();
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, expected);
    assert_eq!(files_with(&bench.files(), ".aside").len(), 1);
}

#[tokio::test]
async fn an_index_that_is_ahead_of_its_journal_is_rebuilt() {
    goes_back(1, 0).await;
}

#[tokio::test]
async fn an_index_of_records_that_are_others_now_is_rebuilt() {
    goes_back(1, 1).await;
    goes_back(1, 5).await;
    goes_back(5, 2).await;
}

#[tokio::test]
async fn a_journal_begun_anew_adds_to_what_the_old_one_left() {
    let mut bench = Bench::new();
    bench.record(&[event("a", START), event("b", START)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["b", "a"]);
    bench.stop();
    let Bench { directory, journal, history: _, now, clock, keep } = bench;
    drop(journal);
    std::fs::rename(directory.path().join("journal"), directory.path().join("old")).unwrap();
    let journal = open_journal(directory.path());
    let mut bench = Bench { directory, journal, history: None, now, clock, keep };
    bench.start();
    bench.record(&[event("c", START + 1)]).await;
    assert_eq!(bench.ids(&HistoryQuery::all(50)).await, ["c", "b", "a"]);
}

#[tokio::test]
async fn the_events_of_an_archive_end_where_they_are_asked_to() {
    let mut bench = Bench::new();
    bench.record(&[event("a", START)]).await;
    bench.record(&[event("b", START)]).await;
    bench.stop();
    let archive = Archive::open(&bench.files()).unwrap();
    let query = HistoryQuery { order: EventOrder::OldestFirst, ..HistoryQuery::all(50) };
    let ids = |through| -> Vec<String> {
        let page = archive.lookup(&query, Sequence::new(through)).unwrap();
        page.events.into_iter().map(|found| found.summary.event_id.unwrap()).collect()
    };
    assert_eq!(ids(2), ["a", "b"]);
    assert_eq!(ids(1), ["a"]);
    assert_eq!(archive.covers([0; 16]), Sequence::NONE);
}

#[derive(Clone, Debug)]
struct Made {
    time: i64,
    user: u8,
    bucket: u8,
    key: u8,
    error: Option<u8>,
    reads: bool,
}

fn made() -> impl Strategy<Value = Made> {
    // Mostly in order, at times hours late, sometimes over midnight.
    let time = prop_oneof![8 => 0..600i64, 1 => -40_000..40_000i64];
    (time, 0..3u8, 0..3u8, 0..20u8, prop::option::of(0..2u8), any::<bool>())
        .prop_map(|(time, user, bucket, key, error, reads)| Made { time, user, bucket, key, error, reads })
}

impl Made {
    fn event(&self, number: usize) -> Value {
        let time = START + DAY - 300 + i64::try_from(number).unwrap() * 3 + self.time;
        let (bucket, key) = (format!("bucket-{}", self.bucket), format!("key/{}", self.key));
        let mut event = json!({
            "userIdentity": { "type": "IAMUser", "userName": format!("user-{}", self.user), "accessKeyId": format!("AKIA{}", self.user) },
            "eventTime": Timestamp::from_seconds(time).iso_extended(),
            "eventSource": "s3.amazonaws.com",
            "eventName": if self.reads { "GetObject" } else { "DeleteObject" },
            "sourceIPAddress": format!("192.0.2.{}", self.user % 2),
            "requestParameters": { "bucketName": bucket, "key": key },
            "additionalEventData": { "MfaDelete": { "result": if self.reads { Value::Null } else { json!("Missing") } } },
            "eventID": format!("id-{number}"),
            "readOnly": self.reads,
            "resources": [
                { "type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/{key}") },
                { "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}") },
            ],
        });
        if let Some(error) = self.error {
            event["errorCode"] = json!(format!("Error{error}"));
        }
        event
    }
}

/// Whether an event has a value, without a word of the index's own code.
fn has(event: &Value, attribute: LookupAttribute, value: &str) -> bool {
    let is = |pointer: &str| event.pointer(pointer).and_then(Value::as_str) == Some(value);
    let resources = event["resources"].as_array().unwrap();
    match attribute {
        LookupAttribute::AccessKeyId => is("/userIdentity/accessKeyId"),
        LookupAttribute::BucketName => is("/requestParameters/bucketName"),
        LookupAttribute::ErrorCode => is("/errorCode"),
        LookupAttribute::EventId => is("/eventID"),
        LookupAttribute::EventName => is("/eventName"),
        LookupAttribute::EventNameAnyCase => event["eventName"].as_str().unwrap().eq_ignore_ascii_case(value),
        LookupAttribute::EventSource => is("/eventSource"),
        LookupAttribute::MfaResult => is("/additionalEventData/MfaDelete/result"),
        LookupAttribute::Principal => is("/userIdentity/userName") || is("/userIdentity/accessKeyId"),
        LookupAttribute::ReadOnly => {
            event["readOnly"].as_bool().map(|reads| if reads { "true" } else { "false" }) == Some(value)
        }
        LookupAttribute::ResourceName => {
            let arn = if value.starts_with("arn:") { value.to_owned() } else { format!("arn:aws:s3:::{value}") };
            resources.iter().any(|resource| resource["ARN"] == json!(arn))
        }
        LookupAttribute::ResourceType => resources.iter().any(|resource| resource["type"] == json!(value)),
        LookupAttribute::SourceIpAddress => is("/sourceIPAddress"),
        LookupAttribute::Username => is("/userIdentity/userName"),
    }
}

fn wanted() -> impl Strategy<Value = (LookupAttribute, String)> {
    let of = |attribute: LookupAttribute, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (attribute, value.to_owned())).boxed()
    };
    prop_oneof![
        of(LookupAttribute::AccessKeyId, &["AKIA0", "AKIA2"]),
        of(LookupAttribute::BucketName, &["bucket-0", "bucket-1", "none"]),
        of(LookupAttribute::ErrorCode, &["Error0", "Error1"]),
        of(LookupAttribute::EventId, &["id-0", "id-7", "id-300"]),
        of(LookupAttribute::EventName, &["GetObject", "DeleteObject", "getobject"]),
        of(LookupAttribute::EventNameAnyCase, &["GETOBJECT", "deleteobject"]),
        of(LookupAttribute::EventSource, &["s3.amazonaws.com", "iam.amazonaws.com"]),
        of(LookupAttribute::MfaResult, &["Missing", "Accepted"]),
        of(LookupAttribute::Principal, &["user-1", "AKIA1"]),
        of(LookupAttribute::ReadOnly, &["true", "false"]),
        of(
            LookupAttribute::ResourceName,
            &["bucket-1", "bucket-1/key/3", "arn:aws:s3:::bucket-2/key/4", "arn:aws:s3:::bucket-0"]
        ),
        of(LookupAttribute::ResourceType, &["AWS::S3::Object", "AWS::S3::Bucket"]),
        of(LookupAttribute::SourceIpAddress, &["192.0.2.0", "192.0.2.1"]),
        of(LookupAttribute::Username, &["user-0", "user-2"]),
    ]
}

type Question = (Vec<(LookupAttribute, String)>, Option<i64>, Option<i64>, usize, bool);

fn question() -> impl Strategy<Value = Question> {
    let moment = || prop::option::of(-600..2400i64);
    (prop::collection::vec(wanted(), 0..4), moment(), moment(), prop_oneof![1..5usize, 30..70usize], any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_index_answers_as_a_look_at_every_event_does(
        made in prop::collection::vec((made(), 1..4usize), 1..400),
        questions in prop::collection::vec(question(), 12),
        restart in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new();
            let mut all: Vec<(i64, usize, Value)> = Vec::new();
            for (record, (made, lines)) in made.iter().enumerate() {
                let events: Vec<Value> = (0..*lines).map(|line| {
                    let mut event = made.event(record);
                    event["eventID"] = json!(format!("id-{}", all.len() + line));
                    event
                }).collect();
                let payload: Vec<String> = events.iter().map(ToString::to_string).collect();
                bench.journal.append(RecordKind::Event, payload.join("\n").as_bytes()).unwrap();
                for event in events {
                    let time = Timestamp::parse_iso_extended(event["eventTime"].as_str().unwrap()).unwrap();
                    all.push((time.seconds(), all.len(), event));
                }
            }
            bench.journal.durable(bench.journal.last_sequence()).await.unwrap();
            if restart {
                bench.stop();
                bench.start();
            }
            all.sort_by_key(|(time, number, _)| (*time, *number));
            for (attributes, start, end, limit, newest) in questions {
                let moment = |seconds: i64| Timestamp::from_seconds(START + DAY + seconds);
                let query = HistoryQuery {
                    attributes: attributes.clone(),
                    start: start.map(moment),
                    end: end.map(moment),
                    without_lookups_of: None,
                    order: if newest { EventOrder::NewestFirst } else { EventOrder::OldestFirst },
                    limit,
                    token: None,
                };
                let mut expected: Vec<String> = all.iter().filter(|(time, _, event)| {
                    query.start.is_none_or(|start| *time >= start.seconds())
                        && query.end.is_none_or(|end| *time <= end.seconds())
                        && attributes.iter().all(|(attribute, value)| has(event, *attribute, value))
                }).map(|(_, _, event)| event["eventID"].as_str().unwrap().to_owned()).collect();
                if newest {
                    expected.reverse();
                }
                assert_eq!(bench.ids(&query).await, expected, "{query:?}");
            }
        });
    }
}
