use std::fs::OpenOptions;
use std::future::Future;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use tempfile::TempDir;

use super::*;

mod followers;
mod state;

const SMALL: u64 = 4096;

fn options() -> JournalOptions {
    JournalOptions { segment_size: SMALL, ..JournalOptions::default() }
}

fn faulty(faults: &Arc<DiskFaults>) -> JournalOptions {
    JournalOptions { disk: JournalDisk::through(faults.clone()), ..options() }
}

fn open(place: &TempDir) -> (Journal, JournalRecovery) {
    Journal::open(place.path(), options()).expect("a journal")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn payloads(place: &TempDir) -> Vec<String> {
    let reader = JournalReader::open(place.path()).expect("a reader");
    reader.map(|record| String::from_utf8(record.expect("whole").payload).expect("text")).collect()
}

fn segments(place: &TempDir) -> Vec<PathBuf> {
    let firsts = segment::list(place.path()).expect("a list");
    firsts.into_iter().map(|first| segment::path_of(place.path(), first)).collect()
}

fn write_at(path: &Path, bytes: &[u8], offset: u64) {
    OpenOptions::new().write(true).open(path).and_then(|file| file.write_all_at(bytes, offset)).expect("written");
}

/// A journal of this many records of 100 bytes or so, closed.
fn filled(count: usize) -> TempDir {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    for number in 1..=count {
        journal.append(RecordKind::Event, text(number).as_bytes()).expect("appended");
    }
    place
}

fn text(number: usize) -> String {
    format!("record {number} {}", "x".repeat(90))
}

#[test]
fn what_was_appended_is_read_in_order_after_a_restart() {
    let place = filled(100);
    let (journal, recovered) = open(&place);
    assert_eq!((recovered.last_sequence, recovered.cut), (100, None));
    assert_eq!(journal.append(RecordKind::Event, b"the next"), Ok(Sequence::new(101)));
    drop(journal);
    let read = payloads(&place);
    assert_eq!(read.len(), 101);
    assert_eq!((read[0].clone(), read[99].clone(), read[100].as_str()), (text(1), text(100), "the next"));
    assert!(segments(&place).len() > 3);
}

#[test]
fn a_journal_has_one_writer() {
    let place = TempDir::new().expect("a directory");
    let (_journal, _) = open(&place);
    let second = Journal::open(place.path(), options()).err();
    assert_eq!(second, Some(JournalError::Locked { directory: place.path().to_owned() }));
}

#[test]
fn the_files_are_for_their_owner_alone() {
    let place = filled(60);
    for entry in std::fs::read_dir(place.path()).expect("a list") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("facts").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn an_intent_is_open_until_its_outcome_is_there() {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    let first = journal.append(RecordKind::Intent, b"first").expect("appended");
    let second = journal.append(RecordKind::Intent, b"second").expect("appended");
    journal.append(RecordKind::Outcome(first), b"done").expect("appended");
    drop(journal);
    let (_journal, recovered) = open(&place);
    assert_eq!(recovered.open_intents, [OpenIntent { sequence: second, payload: b"second".to_vec() }]);
}

#[test]
fn a_tail_torn_at_any_byte_costs_the_last_record_alone() {
    let place = filled(4);
    open(&place).0.append(RecordKind::Event, b"the fifth").expect("appended");
    let path = segments(&place)[0].clone();
    let whole = std::fs::read(&path).expect("bytes");
    let end = whole.iter().rposition(|byte| *byte != 0).expect("records") + 1;
    let last = end - (b"the fifth".len() + frame::OVERHEAD);
    for cut in last..end {
        for file in [whole[..cut].to_vec(), [&whole[..cut], &vec![0; whole.len() - cut]].concat()] {
            std::fs::write(&path, &file).expect("written");
            let (journal, recovered) = open(&place);
            assert_eq!(recovered.last_sequence, 4, "cut at {cut}");
            assert_eq!(recovered.cut.is_some(), cut > last, "cut at {cut}");
            journal.append(RecordKind::Event, b"instead").expect("appended");
            drop(journal);
            assert_eq!(payloads(&place).last().map(String::as_str), Some("instead"), "cut at {cut}");
        }
    }
}

#[test]
fn a_sector_lost_in_what_was_never_durable_is_cut_with_all_after_it() {
    let place = filled(10);
    let path = segments(&place)[0].clone();
    write_at(&path, &[0; 512], 1024);
    let (_journal, recovered) = open(&place);
    assert!((2..=6).contains(&recovered.last_sequence), "{recovered:?}");
    assert_eq!(recovered.cut, Some(path));
}

#[test]
fn a_sector_lost_in_what_was_durable_is_refused() {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    for number in 1..=10 {
        wait(journal.record(RecordKind::Event, text(number).as_bytes())).expect("durable");
    }
    drop(journal);
    write_at(&segments(&place)[0], &[0; 512], 1024);
    let refused = Journal::open(place.path(), options()).err();
    assert!(matches!(refused, Some(JournalError::Altered { .. })), "{refused:?}");
}

#[test]
fn a_byte_altered_anywhere_is_refused_with_the_file_and_the_record() {
    let place = filled(100);
    let paths = segments(&place);
    for path in [&paths[0], &paths[1], paths.last().expect("a segment")] {
        let whole = std::fs::read(path).expect("bytes");
        let end = whole.iter().rposition(|byte| *byte != 0).expect("records") + 1;
        for place_of_byte in (0..end).step_by(17) {
            let mut altered = whole.clone();
            altered[place_of_byte] ^= 0x20;
            std::fs::write(path, &altered).expect("written");
            let error = Journal::open(place.path(), options()).expect_err("altered");
            let named = error.to_string().contains(&*path.to_string_lossy());
            assert!(named, "{place_of_byte}: {error}");
            let read = JournalReader::open(place.path()).and_then(|reader| reader.collect::<Result<Vec<_>, _>>());
            assert!(read.is_err(), "{place_of_byte}");
        }
        std::fs::write(path, &whole).expect("written");
    }
    assert_eq!(open(&place).1.last_sequence, 100);
}

#[test]
fn a_record_altered_with_its_checksums_breaks_the_chain() {
    let place = filled(3);
    let path = segments(&place)[0].clone();
    let mut forged = Vec::new();
    let payload = text(2).replace("record", "forged");
    let header = frame::FrameHeader::new(2, RecordKind::Event, 0, payload.as_bytes());
    frame::write(&mut forged, header, payload.as_bytes(), &frame::leaf(payload.as_bytes()), &[0; 32]);
    write_at(&path, &forged, segment::SEGMENT_HEADER + u64::try_from(forged.len()).expect("small"));
    let refused = Journal::open(place.path(), options()).err();
    assert_eq!(refused, Some(JournalError::Chain { file: path, sequence: 2 }));
}

#[test]
fn a_missing_segment_is_refused_wherever_it_was() {
    let count = segments(&filled(100)).len();
    for index in 0..count {
        let place = filled(100);
        std::fs::remove_file(&segments(&place)[index]).expect("removed");
        let refused = Journal::open(place.path(), options()).err();
        assert!(matches!(refused, Some(JournalError::Missing { .. })), "{index}: {refused:?}");
    }
}

#[test]
fn a_segment_whose_header_never_arrived_is_begun_anew() {
    let place = filled(100);
    let last = segments(&place).pop().expect("a segment");
    let first: u64 = last.file_stem().and_then(|stem| stem.to_str()).expect("digits").parse().expect("a number");
    std::fs::write(&last, vec![0; 4096]).expect("written");
    assert!(matches!(Journal::open(place.path(), options()), Err(JournalError::Header { .. })));
    std::fs::write(place.path().join("head"), format!("{:020}\n", 1)).expect("written");
    let (journal, recovered) = open(&place);
    assert_eq!(recovered.last_sequence, first - 1);
    assert_eq!(journal.append(RecordKind::Event, b"on").map(Sequence::number), Ok(first));
}

#[test]
fn a_segment_that_reached_the_disk_before_the_one_it_follows_is_begun_anew() {
    let place = filled(100);
    let paths = segments(&place);
    let [.., before, last] = &paths[..] else { panic!("two segments") };
    let whole = std::fs::read(before).expect("bytes");
    let first = u64::try_from(whole.len()).expect("small") / 2;
    write_at(before, &vec![0; whole.len() / 2], first);
    assert!(matches!(Journal::open(place.path(), options()), Err(JournalError::Altered { .. })));
    std::fs::write(place.path().join("head"), format!("{:020}\n", 1)).expect("written");
    let (_journal, recovered) = open(&place);
    assert_eq!(recovered.cut.as_ref(), Some(before));
    assert!(!last.exists());
}

#[test]
fn a_record_longer_than_a_segment_gets_one_of_its_own() {
    let place = filled(3);
    let (journal, _) = open(&place);
    let long = "y".repeat(20_000);
    journal.append(RecordKind::Event, long.as_bytes()).expect("appended");
    journal.append(RecordKind::Event, b"after").expect("appended");
    drop(journal);
    assert_eq!(payloads(&place)[3..], [long, "after".to_owned()]);
    assert_eq!(open(&place).1.last_sequence, 5);
}

#[test]
fn threads_that_append_at_once_leave_no_gap() {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let append = || {
            let one =
                |number: u32| journal.append(RecordKind::Event, text(number as usize).as_bytes()).expect("appended");
            (0..100).map(|number| one(number).number()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(append)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=800).collect::<Vec<_>>());
    drop(journal);
    let read: Vec<u64> = JournalReader::open(place.path())
        .expect("a reader")
        .map(|record| record.expect("whole").sequence.number())
        .collect();
    assert_eq!(read, numbers);
}

#[test]
fn a_record_is_durable_only_after_a_sync() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    faults.hold_syncs();
    let sequence = journal.append(RecordKind::Event, b"one").expect("appended");
    let mut durable = pin!(journal.durable(sequence));
    faults.until_a_sync_waits();
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(durable.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(journal.durable_sequence(), Sequence::NONE);
    faults.release_syncs();
    assert_eq!(wait(durable), Ok(()));
    assert_eq!(journal.durable_sequence(), sequence);
}

#[test]
fn one_sync_serves_all_who_came_while_another_ran() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let options = JournalOptions { segment_size: 1024 * 1024, ..faulty(&faults) };
    let (journal, _) = Journal::open(place.path(), options).expect("a journal");
    let before = faults.syncs.load(Ordering::SeqCst);
    faults.hold_syncs();
    let first = journal.durable(journal.append(RecordKind::Event, b"first").expect("appended"));
    faults.until_a_sync_waits();
    let append = |number| journal.append(RecordKind::Event, text(number).as_bytes()).expect("appended");
    let others: Vec<_> = (0..50).map(|number| journal.durable(append(number))).collect();
    faults.release_syncs();
    wait(async {
        assert_eq!(first.await, Ok(()));
        for other in others {
            assert_eq!(other.await, Ok(()));
        }
    });
    assert_eq!(faults.syncs.load(Ordering::SeqCst) - before, 2);
}

#[test]
fn a_record_nobody_waits_for_is_synced_in_time() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    faults.hold_syncs();
    journal.append(RecordKind::Event, b"one").expect("appended");
    faults.until_a_sync_waits();
    faults.release_syncs();
}

#[test]
fn a_failed_sync_closes_the_journal_for_good_and_says_so_at_the_next_start() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    faults.fail_syncs.store(true, Ordering::SeqCst);
    let sequence = journal.append(RecordKind::Intent, b"one").expect("appended");
    assert_eq!(wait(journal.durable(sequence)), Err(JournalClosed));
    faults.fail_syncs.store(false, Ordering::SeqCst);
    assert!(!journal.is_open());
    assert_eq!(journal.append(RecordKind::Event, b"two"), Err(JournalClosed));
    assert_eq!(wait(journal.durable(sequence)), Err(JournalClosed));
    let reason = journal.closed_because().expect("a reason");
    drop(journal);

    let (journal, recovered) = open(&place);
    assert_eq!(recovered.closed_because, Some(ClosureNote { reason: reason.clone(), lost: Some(1) }));
    assert_eq!(journal.last_sequence().number(), 2);
    drop(journal);
    let records: Vec<_> =
        JournalReader::open(place.path()).expect("a reader").map(|record| record.expect("whole")).collect();
    assert_eq!(records[1].kind, RecordKind::Closing);
    assert!(String::from_utf8_lossy(&records[1].payload).contains(&reason));
    assert_eq!(open(&place).1.closed_because, None);
}

#[test]
fn a_failed_write_closes_the_journal_and_loses_nothing_before_it() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    journal.append(RecordKind::Event, b"one").expect("appended");
    faults.fail_writes.store(true, Ordering::SeqCst);
    assert_eq!(journal.append(RecordKind::Event, b"two"), Err(JournalClosed));
    faults.fail_writes.store(false, Ordering::SeqCst);
    assert_eq!(journal.append(RecordKind::Event, b"three"), Err(JournalClosed));
    drop(journal);
    assert_eq!(payloads(&place), ["one"]);
}

#[test]
fn a_full_disk_closes_the_journal_only_when_the_segment_is_full() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    faults.fail_creates.store(true, Ordering::SeqCst);
    let taken =
        (1..1000).take_while(|number| journal.append(RecordKind::Event, text(*number).as_bytes()).is_ok()).count();
    assert!((15..60).contains(&taken), "{taken}");
    assert!(journal.closed_because().is_some_and(|reason| reason.contains("fault")));
    drop(journal);
    let (journal, recovered) = open(&place);
    assert!(recovered.closed_because.is_some());
    assert_eq!(recovered.last_sequence, u64::try_from(taken).expect("small"));
    assert!(journal.is_open());
}

#[test]
fn the_next_segment_is_made_once() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    while !place.path().join("next.partial").exists() {
        std::thread::yield_now();
    }
    faults.fail_creates.store(true, Ordering::SeqCst);
    journal.shared.prepare_next();
    while segments(&place).len() < 2 {
        journal.append(RecordKind::Event, text(1).as_bytes()).expect("appended");
    }
}

#[test]
fn a_reader_follows_a_journal_that_is_being_written() {
    let place = TempDir::new().expect("a directory");
    let mut early = JournalReader::open(place.path()).expect("a reader");
    assert_eq!(early.next(), None);
    let (journal, _) = open(&place);
    let mut reader = JournalReader::open(place.path()).expect("a reader");
    for number in 1..=100 {
        assert_eq!(reader.next(), None);
        journal.append(RecordKind::Event, text(number).as_bytes()).expect("appended");
        let record = reader.next().expect("a record").expect("whole");
        assert_eq!(record.payload, text(number).as_bytes());
    }
    let seen: Vec<_> = early.map(|record| record.expect("whole").sequence.number()).collect();
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_reader_beside_a_busy_writer_sees_every_record_once_and_no_error() {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    let mut reader = JournalReader::open(place.path()).expect("a reader");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=2000 {
                journal.append(RecordKind::Event, text(number).as_bytes()).expect("appended");
            }
        });
        let mut seen = 0;
        while seen < 2000 {
            let Some(record) = reader.next() else {
                std::thread::yield_now();
                continue;
            };
            seen += 1;
            assert_eq!(record.expect("whole").payload, text(seen).as_bytes());
        }
    });
}

#[test]
fn a_reader_starts_after_any_record() {
    let place = filled(100);
    for after in [0, 1, 20, 50, 99, 100] {
        let mut reader = JournalReader::after(place.path(), Sequence::new(after)).expect("a reader");
        let next = reader.next().map(|record| record.expect("whole").sequence.number());
        assert_eq!(next, (after < 100).then_some(after + 1));
    }
}

fn state(revision: u64) -> String {
    format!("{{\"revision\":{revision}}}")
}

/// Segments filled by events; the numbers of the records that began one.
fn fill(journal: &Journal, count: usize) {
    for number in 1..=count {
        journal.append(RecordKind::Event, text(number).as_bytes()).expect("appended");
    }
}

/// The numbers of the entries of state that a start found.
fn numbers(recovered: &JournalRecovery) -> Vec<u64> {
    recovered.states.iter().map(|state| state.sequence.number()).collect()
}

fn first_of(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()).expect("digits").parse().expect("a number")
}

/// A journal of some segments that may be trimmed up to record 60, and was.
fn trimmed() -> (TempDir, u64) {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    journal.append(RecordKind::State, state(1).as_bytes()).expect("appended");
    fill(&journal, 59);
    wait(journal.durable(journal.append_snapshot(state(1).as_bytes()).expect("appended"))).expect("durable");
    fill(&journal, 60);
    let first = journal.trim(Sequence::new(1000)).expect("trimmed").number();
    assert_eq!(first, first_of(&segments(&place)[0]));
    assert!((30..=61).contains(&first), "{first}");
    (place, first)
}

#[test]
fn what_was_trimmed_is_gone_and_the_rest_verifies_on_its_own() {
    let (place, first) = trimmed();
    let read: Vec<_> =
        JournalReader::open(place.path()).expect("a reader").map(|record| record.expect("whole")).collect();
    assert_eq!(read[0].sequence.number(), first);
    let (journal, recovered) = open(&place);
    assert_eq!((recovered.last_sequence, recovered.verified_from), (121, first));
    assert_eq!(numbers(&recovered), [61]);
    assert_eq!(journal.first_sequence().number(), first);
    assert_eq!(journal.append(RecordKind::Event, b"on").map(Sequence::number), Ok(122));
    for after in [1, first - 2, first - 1] {
        let mut reader = JournalReader::after(place.path(), Sequence::new(after)).expect("a reader");
        assert_eq!(reader.next().map(|record| record.expect("whole").sequence.number()), Some(first), "{after}");
    }
}

#[test]
fn a_trim_that_was_cut_short_is_finished_at_the_next_start() {
    let place = filled(100);
    let firsts = segments(&place);
    let base = base::at(place.path(), Sequence::new(60), 1).expect("a base").expect("one to come");
    base.write(place.path()).expect("written");
    let (_journal, recovered) = open(&place);
    assert_eq!(recovered.last_sequence, 100);
    assert!(!firsts[0].exists());
    assert_eq!(first_of(&segments(&place)[0]), base.first);
}

#[test]
fn a_trimmed_journal_that_lost_its_base_or_its_first_segment_is_refused() {
    let (place, first) = trimmed();
    let base = place.path().join("base");
    let kept = std::fs::read(&base).expect("a base");
    std::fs::remove_file(&base).expect("removed");
    let missing = |sequence| Some(JournalError::Missing { directory: place.path().to_owned(), sequence });
    assert_eq!(Journal::open(place.path(), options()).err(), missing(1));
    std::fs::write(&base, kept).expect("written");
    std::fs::remove_file(&segments(&place)[0]).expect("removed");
    assert_eq!(Journal::open(place.path(), options()).err(), missing(first));
}

#[test]
fn a_base_of_another_chain_is_refused() {
    let (place, first) = trimmed();
    let base = base::JournalBase::read(place.path()).expect("a base").expect("one");
    base::JournalBase { chain: [0; 32], ..base }.write(place.path()).expect("written");
    let refused = Journal::open(place.path(), options()).err();
    assert_eq!(refused, Some(JournalError::Chain { file: segment::path_of(place.path(), first), sequence: first }));
}

#[test]
fn nothing_that_is_needed_is_trimmed() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    let kept = |journal: &Journal| journal.trim(Sequence::new(u64::MAX)).map(Sequence::number);
    fill(&journal, 60);
    assert_eq!(kept(&journal), Ok(1), "no snapshot of the state");
    let intent = journal.append(RecordKind::Intent, b"{}").expect("appended");
    fill(&journal, 60);
    faults.hold_syncs();
    let snapshot = journal.append_snapshot(state(1).as_bytes()).expect("appended");
    assert_eq!(kept(&journal), Ok(1), "a snapshot that is not on disk");
    faults.release_syncs();
    wait(journal.durable(snapshot)).expect("durable");
    let first = kept(&journal).expect("trimmed");
    assert!(first <= intent.number(), "an open intent");
    journal.append(RecordKind::Outcome(intent), b"{}").expect("appended");
    fill(&journal, 60);
    let later = kept(&journal).expect("trimmed");
    assert!(first < later && later <= snapshot.number(), "{first} {later}");
    assert_eq!(journal.trim(Sequence::new(10)).map(Sequence::number), Ok(later), "it is gone already");
}

#[test]
fn a_base_that_cannot_be_written_removes_nothing() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    fill(&journal, 60);
    wait(journal.durable(journal.append_snapshot(state(1).as_bytes()).expect("appended"))).expect("durable");
    let count = segments(&place).len();
    std::fs::create_dir(place.path().join("base.partial")).expect("made");
    assert!(journal.trim(Sequence::new(60)).is_err());
    assert_eq!((segments(&place).len(), journal.first_sequence().number()), (count, 1));
    assert!(journal.is_open());
}

fn hasty() -> JournalOptions {
    JournalOptions { verify_at_start: 0, ..options() }
}

#[test]
fn a_start_that_verifies_the_newest_alone_knows_all_that_it_depends_on() {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    journal.append(RecordKind::State, state(1).as_bytes()).expect("appended");
    fill(&journal, 60);
    let intent = journal.append(RecordKind::Intent, b"{}").expect("appended");
    fill(&journal, 60);
    drop(journal);
    let (_, whole) = open(&place);
    let (journal, hasty) = Journal::open(place.path(), hasty()).expect("a journal");
    assert!(hasty.verified_from > 1 && hasty.verified_from <= intent.number(), "{}", hasty.verified_from);
    assert_eq!(numbers(&hasty), [1]);
    assert_eq!(JournalRecovery { verified_from: 1, ..hasty }, whole);
    drop(journal);
}

#[test]
fn damage_to_an_old_segment_closes_the_journal_that_did_not_read_it_at_its_start() {
    for damage in ["altered", "missing", "of another journal", "sound"] {
        let place = filled(100);
        let paths = segments(&place);
        match damage {
            "altered" => write_at(&paths[1], b"X", 300),
            "missing" => std::fs::remove_file(&paths[1]).expect("removed"),
            "of another journal" => drop(std::fs::copy(&segments(&filled(100))[1], &paths[1]).expect("copied")),
            _ => {}
        }
        let (mut journal, recovered) = Journal::open(place.path(), hasty()).expect("a journal");
        assert!(recovered.verified_from > first_of(&paths[1]), "{damage}");
        journal.verifying.take().expect("a thread").join().expect("no panic");
        assert_eq!(journal.is_open(), damage == "sound", "{damage}: {:?}", journal.closed_because());
    }
}

#[test]
fn a_trim_while_old_segments_are_verified_is_no_damage() {
    let place = filled(2000);
    let (mut journal, _) = Journal::open(place.path(), hasty()).expect("a journal");
    wait(journal.durable(journal.append_snapshot(state(1).as_bytes()).expect("appended"))).expect("durable");
    for before in [300, 900, 1500, 1900] {
        journal.trim(Sequence::new(before)).expect("trimmed");
    }
    journal.verifying.take().expect("a thread").join().expect("no panic");
    assert!(journal.is_open(), "{:?}", journal.closed_because());
}

#[test]
fn old_segments_are_told_by_when_they_were_written() {
    let place = filled(100);
    let paths = segments(&place);
    let (journal, _) = open(&place);
    let long_ago = SystemTime::now() - Duration::from_secs(60 * 60);
    for path in &paths[..2] {
        std::fs::File::options().write(true).open(path).and_then(|file| file.set_modified(long_ago)).expect("set");
    }
    let recent = SystemTime::now() - Duration::from_secs(60);
    assert_eq!(journal.written_since(recent), Ok(Sequence::new(first_of(&paths[2]))));
    assert_eq!(journal.written_since(SystemTime::UNIX_EPOCH), Ok(Sequence::new(1)));
    assert_eq!(journal.written_since(SystemTime::now() + Duration::from_secs(60)), Ok(Sequence::new(101)));
}

/// Fills the segments that there are, and one record more.
fn until_full(journal: &Journal) -> usize {
    (1..).find(|number| journal.append(RecordKind::Event, text(*number).as_bytes()).is_err()).expect("an end")
}

#[test]
fn a_journal_without_space_takes_records_again_once_there_is_some_and_says_how_many_are_missing() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    let intent = journal.append(RecordKind::Intent, b"begun").expect("taken");
    faults.full.store(true, Ordering::SeqCst);
    let count = until_full(&journal);
    assert!(!journal.is_open() && journal.is_sound());
    assert_eq!(journal.append(RecordKind::Intent, b"a mutation"), Err(JournalClosed));
    // What was begun ends all the same, and what was taken becomes durable.
    let outcome = journal.append(RecordKind::Outcome(intent), b"done").expect("taken");
    wait(journal.durable(outcome)).expect("durable");
    faults.full.store(false, Ordering::SeqCst);
    while !journal.is_open() {
        std::thread::yield_now();
    }
    wait(journal.record(RecordKind::Event, b"after")).expect("taken");
    drop(journal);
    let read = payloads(&place);
    let closing = read.iter().find(|payload| payload.contains("no space")).expect("a record of it");
    assert!(closing.contains("\"lost\":2"), "{closing}");
    assert!(read.iter().any(|payload| payload == "after") && read.len() > count, "{read:?}");
    let (_journal, recovered) = open(&place);
    assert_eq!((recovered.closed_because, recovered.open_intents), (None, Vec::new()));
}

#[test]
fn a_start_on_a_full_disk_waits_for_space_and_then_says_what_is_missing() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    faults.full.store(true, Ordering::SeqCst);
    until_full(&journal);
    drop(journal);
    let (journal, recovered) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    assert_eq!(recovered.closed_because.map(|closed| closed.lost), Some(Some(1)));
    while journal.append(RecordKind::Event, &[b'x'; 600]).is_ok() {}
    assert!(!journal.is_open() && journal.is_sound());
    faults.full.store(false, Ordering::SeqCst);
    while !journal.is_open() {
        std::thread::yield_now();
    }
    wait(journal.record(RecordKind::Event, b"after")).expect("taken");
    drop(journal);
    assert_eq!(payloads(&place).iter().filter(|payload| payload.contains("no space")).count(), 2);
    assert_eq!(open(&place).1.closed_because, None);
}

#[test]
fn nothing_is_left_of_a_segment_for_which_there_was_no_space() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    faults.full.store(true, Ordering::SeqCst);
    until_full(&journal);
    let partial = |name: &str| place.path().join(name).exists();
    assert!(!partial("late.partial") && !partial("next.partial"));
}

#[test]
fn only_errors_of_space_memory_and_descriptors_pass() {
    use rustix::io::Errno;
    for passing in [Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        assert!(disk::is_passing(&passing.into()), "{passing}");
    }
    for lasting in [Errno::IO, Errno::ROFS, Errno::NOENT, Errno::BADF, Errno::FBIG] {
        assert!(!disk::is_passing(&lasting.into()), "{lasting}");
    }
}
