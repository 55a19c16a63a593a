//! Measures the history: `cargo run --release --example history -- [EVENTS] [DIRECTORY]`.
//!
//! Indexes that many synthetic events of one day (default: ten million), then looks up the last hour of them by each
//! attribute, first pages of fifty events, and prints the times. Nothing is cached between two lookups but by the
//! operating system. Then follows a journal that takes 20,000 events a second, and looks up what was just recorded.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that fails has failed"
)]

mod events;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use events::{Event, Source};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_cloudtrail::lookup::{HistoryPage, HistoryQuery};
use portcullis_cloudtrail::record::LookupAttribute;
use portcullis_followers::history::{Archive, DayFiles, History, JournalId};
use portcullis_journal::{Journal, JournalOptions, RecordKind, Sequence};

const JOURNAL: JournalId = [7; 16];
const DAY: i64 = events::DAY;
const HOUR: i64 = 60 * 60;
const START: i64 = 20_000 * DAY;
const LOOKUPS: usize = 9;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(10_000_000, |count| count.parse().expect("a number of events"));
    let directory = arguments.next().map_or_else(|| std::env::temp_dir().join("portcullis-history"), PathBuf::from);
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    let last = index(events, &directory);
    look_up(events, &directory, last);
    std::fs::remove_dir_all(&directory).expect("the directory can be removed");
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(follow(&directory));
    std::fs::remove_dir_all(&directory).expect("the directory can be removed");
}

const RATE: u64 = 20_000;
const SECONDS: u64 = 20;

async fn follow(directory: &Path) {
    let recorded = directory.join("journal");
    let journal = Arc::new(Journal::open(&recorded, JournalOptions::default()).expect("a journal can be begun").0);
    let kept = directory.join("history");
    let keep = Duration::from_secs(1 << 40);
    let history = History::start(&kept, Arc::clone(&journal), keep, Clock::System).expect("it starts");
    let (last, writing) = (Arc::new(Mutex::new(String::new())), Arc::clone(&journal));
    let latest = Arc::clone(&last);
    let writer = std::thread::spawn(move || {
        let mut source = Source::new(3_141_592_653_589, START);
        let begun = Instant::now();
        for number in 0..RATE * SECONDS {
            let event = source.event(number, RATE * SECONDS);
            writing.append(RecordKind::Event, event.line().as_bytes()).expect("the journal is open");
            *latest.lock().unwrap() = event.id;
            let due = Duration::from_micros(number * 1_000_000 / RATE);
            if let Some(early) = due.checked_sub(begun.elapsed()).filter(|early| early.as_millis() > 0) {
                std::thread::sleep(early);
            }
        }
        begun.elapsed()
    });
    let (mut times, mut durable, mut failed) = (Vec::new(), Vec::new(), 0);
    while !writer.is_finished() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let id = last.lock().unwrap().clone();
        let begun = Instant::now();
        journal.durable(journal.last_sequence()).await.expect("the journal is open");
        let on_disk = begun.elapsed();
        let found = history
            .lookup(HistoryQuery { attributes: vec![(LookupAttribute::EventId, id)], ..HistoryQuery::all(1) })
            .await;
        match found {
            Ok(page) => {
                assert_eq!(page.events.len(), 1, "an event on disk is found");
                times.push((begun.elapsed() - on_disk).as_secs_f64() * 1e3);
                durable.push(on_disk.as_secs_f64() * 1e3);
            }
            Err(_) => failed += 1,
        }
    }
    let took = writer.join().expect("the writer ends").as_secs_f64();
    times.sort_by(f64::total_cmp);
    durable.sort_by(f64::total_cmp);
    let of =
        |times: &[f64]| format!("median {:.1}, most {:.1}", times.get(times.len() / 2).unwrap(), times.last().unwrap());
    println!(
        "while {:.0} events/s were recorded for {took:.1} s, {} lookups of the newest took {} ms ({failed} failed), \
         after {} ms until it was on disk; the indexer used {:.1} s of processor time; memory at its peak {}",
        (RATE * SECONDS) as f64 / took,
        times.len(),
        of(&times),
        of(&durable),
        processor_time("history"),
        memory("VmHWM"),
    );
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || history.stop()).await.expect("it stops");
    println!("stopped in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
}

/// The seconds that a thread of this process has used.
fn processor_time(name: &str) -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let stat = threads.filter_map(|thread| std::fs::read_to_string(thread.join("stat")).ok());
    let ticks = |stat: String| {
        let fields: Vec<u64> = stat.rsplit(") ").next()?.split(' ').skip(11).take(2).flat_map(str::parse).collect();
        stat.contains(&format!("({name})")).then(|| fields.iter().sum::<u64>() as f64 / 100.0)
    };
    stat.filter_map(ticks).sum()
}

fn index(events: u64, directory: &Path) -> Event {
    let mut files = DayFiles::begin(directory, JOURNAL, Duration::from_secs(1 << 40));
    let mut source = Source::new(88_172_645_463_325_252, START);
    let mut last = source.event(0, events);
    let (mut raw, mut making, mut working) = (0, Duration::ZERO, Duration::ZERO);
    let now = Timestamp::from_seconds(START + DAY);
    for number in 0..events {
        let begun = Instant::now();
        last = source.event(number, events);
        let line = last.line();
        raw += line.len();
        let made = Instant::now();
        making += made - begun;
        files.take(Sequence::new(number + 1), std::iter::once(line.as_bytes()), now);
        if files.is_full() || number + 1 == events {
            files.flush([0; 32], now).expect("the events can be written");
        }
        working += made.elapsed();
        if number % 1_000_000 == 999_999 {
            print!("\r{} million events", (number + 1) / 1_000_000);
            std::io::stdout().flush().expect("the terminal takes it");
        }
    }
    let begun = Instant::now();
    files.save().expect("the files can be synced");
    drop(files);
    working += begun.elapsed();
    let size: u64 = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    let per_event = |bytes: u64| bytes / events;
    println!(
        "\r{events} events of {} bytes indexed in {:.1} s ({:.0} events/s), {} bytes each on disk ({:.2} GB)",
        per_event(raw as u64),
        working.as_secs_f64(),
        events as f64 / working.as_secs_f64(),
        per_event(size),
        size as f64 / 1e9,
    );
    println!(
        "(making them took {:.1} s more); memory at its peak {}, now {}",
        making.as_secs_f64(),
        memory("VmHWM"),
        memory("VmRSS")
    );
    last
}

fn look_up(events: u64, directory: &Path, last: Event) {
    let archive = Archive::open(directory).expect("the directory is there");
    let recent = Source::new(1, START).event(events - events / 50, events);
    let name = format!("{}/{}", last.bucket, last.key);
    let cases: Vec<(&str, Vec<(LookupAttribute, String)>)> = [
        ("everything", vec![]),
        ("EventId", vec![(LookupAttribute::EventId, &*last.id)]),
        ("EventId, none", vec![(LookupAttribute::EventId, "00000000-0000-4000-8000-000000000000")]),
        ("EventName, 60 %", vec![(LookupAttribute::EventName, "GetObject")]),
        ("EventName, 0.01 %", vec![(LookupAttribute::EventName, "PutBucketVersioning")]),
        ("EventName, none", vec![(LookupAttribute::EventName, "DeleteTrail")]),
        ("ReadOnly, true", vec![(LookupAttribute::ReadOnly, "true")]),
        ("ReadOnly, false", vec![(LookupAttribute::ReadOnly, "false")]),
        ("Username, 0.5 %", vec![(LookupAttribute::Username, &*last.user)]),
        ("Username, none", vec![(LookupAttribute::Username, "nobody")]),
        ("ResourceType", vec![(LookupAttribute::ResourceType, "AWS::S3::Object")]),
        ("ResourceName, bucket", vec![(LookupAttribute::ResourceName, &*last.bucket)]),
        ("ResourceName, object", vec![(LookupAttribute::ResourceName, &*name)]),
        ("EventSource", vec![(LookupAttribute::EventSource, "s3.amazonaws.com")]),
        ("EventSource, none", vec![(LookupAttribute::EventSource, "iam.amazonaws.com")]),
        ("AccessKeyId", vec![(LookupAttribute::AccessKeyId, &*last.access_key)]),
        ("SourceIPAddress", vec![(LookupAttribute::SourceIpAddress, &*last.address)]),
        ("BucketName", vec![(LookupAttribute::BucketName, &*last.bucket)]),
        ("ErrorCode, 3 %", vec![(LookupAttribute::ErrorCode, "AccessDenied")]),
        ("MfaResult, 0.1 %", vec![(LookupAttribute::MfaResult, "Missing")]),
        (
            "three together",
            vec![
                (LookupAttribute::Username, &*last.user),
                (LookupAttribute::EventName, "GetObject"),
                (LookupAttribute::BucketName, &*recent.bucket),
            ],
        ),
        (
            "two frequent ones, never together",
            vec![(LookupAttribute::ReadOnly, "true"), (LookupAttribute::EventName, "PutObject")],
        ),
    ]
    .into_iter()
    .map(|(title, attributes)| {
        (title, attributes.into_iter().map(|(attribute, value)| (attribute, value.to_owned())).collect())
    })
    .collect();
    println!("{:34} {:>7} {:>9} {:>9} {:>9}   {:>9}", "last hour by", "found", "min ms", "median", "max", "whole day");
    let hour = Timestamp::from_seconds(START + DAY - HOUR);
    for (title, attributes) in cases {
        let query = HistoryQuery { attributes, start: Some(hour), ..HistoryQuery::all(50) };
        let (page, times) = timed(&archive, &query);
        let (_, whole) = timed(&archive, &HistoryQuery { start: None, ..query });
        let found = format!("{}{}", page.events.len(), if page.next.is_some() { "+" } else { "" });
        let [least, .., most] = times.as_slice() else { continue };
        println!(
            "{title:34} {found:>7} {least:>9.2} {:>9.2} {most:>9.2}   {:>9.2}",
            times.get(LOOKUPS / 2).unwrap(),
            whole.get(LOOKUPS / 2).unwrap()
        );
    }
    let begun = Instant::now();
    let mut query = HistoryQuery {
        start: Some(hour),
        attributes: vec![(LookupAttribute::Username, last.user)],
        ..HistoryQuery::all(50)
    };
    let (mut pages, mut slowest) = (0, Duration::ZERO);
    loop {
        let asked = Instant::now();
        let page = ask(&archive, &query);
        slowest = slowest.max(asked.elapsed());
        pages += 1;
        let Some(next) = page.next else { break };
        query.token = Some(next);
    }
    println!(
        "all {pages} pages of one user in the last hour: {:.0} ms, the slowest {:.1} ms; memory at its peak {}",
        begun.elapsed().as_secs_f64() * 1e3,
        slowest.as_secs_f64() * 1e3,
        memory("VmHWM"),
    );
}

/// The page, and the milliseconds of each lookup in order.
fn timed(archive: &Archive, query: &HistoryQuery) -> (HistoryPage, Vec<f64>) {
    let mut page = HistoryPage::default();
    let mut times: Vec<f64> = (0..LOOKUPS)
        .map(|_| {
            let begun = Instant::now();
            page = ask(archive, query);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (page, times)
}

fn ask(archive: &Archive, query: &HistoryQuery) -> HistoryPage {
    archive.lookup(query, Sequence::new(u64::MAX)).expect("the files can be read")
}

/// A line of what the kernel says of this process, in MB.
fn memory(line: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|found| found.strip_prefix(line)?.trim_matches([':', ' ', '\t']).split(' ').next()?.parse().ok());
    kilobytes.map_or_else(|| "unknown".to_owned(), |kilobytes: u64| format!("{} MB", kilobytes / 1024))
}
