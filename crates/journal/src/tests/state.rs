//! What a start finds of the state: the last snapshot and the writes after it.

use super::*;

fn snapshot(revision: u64) -> String {
    format!("{{\"revision\":{revision},\"state\":[]}}")
}

/// A closed journal of these entries of state.
fn holding(entries: &[String]) -> TempDir {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    for entry in entries {
        journal.append(RecordKind::State, entry.as_bytes()).expect("appended");
    }
    place
}

#[test]
fn a_start_finds_the_last_snapshot_and_the_writes_after_it() {
    let place = holding(&[state(1), state(2), state(3)]);
    let (journal, recovered) = open(&place);
    assert_eq!(numbers(&recovered), [1, 2, 3]);
    journal.append_snapshot(snapshot(3).as_bytes()).expect("appended");
    journal.append(RecordKind::Event, b"{}").expect("appended");
    journal.append(RecordKind::State, state(4).as_bytes()).expect("appended");
    drop(journal);
    let (journal, recovered) = open(&place);
    assert_eq!(numbers(&recovered), [4, 6]);
    assert_eq!(recovered.states[1].payload, state(4).as_bytes());
    fill(&journal, 60);
    drop(journal);
    let (_journal, recovered) = Journal::open(place.path(), hasty()).expect("a journal");
    assert_eq!(numbers(&recovered), [6], "what was read has none");
}

#[test]
fn an_older_snapshot_at_the_end_replaces_nothing() {
    let place = holding(&[state(1), snapshot(1), state(2), snapshot(1)]);
    let recovered = open(&place).1;
    assert_eq!(numbers(&recovered), [2, 3, 4]);
}

#[test]
fn a_snapshot_that_was_torn_at_any_byte_leaves_the_entries_before_it() {
    let place = holding(&[state(1), state(2)]);
    let end = |place: &TempDir| {
        let whole = std::fs::read(&segments(place)[0]).expect("bytes");
        whole.iter().rposition(|byte| *byte != 0).expect("records") + 1
    };
    let before = end(&place);
    let whole = {
        open(&place).0.append_snapshot(snapshot(2).as_bytes()).expect("appended");
        std::fs::read(&segments(&place)[0]).expect("bytes")
    };
    assert_eq!(numbers(&open(&place).1), [3]);
    for torn in before..end(&place) {
        let mut bytes = whole.clone();
        bytes[torn..].fill(0);
        std::fs::write(&segments(&place)[0], bytes).expect("written");
        let (journal, recovered) = open(&place);
        assert_eq!(numbers(&recovered), [1, 2], "{torn}");
        journal.append(RecordKind::State, state(3).as_bytes()).expect("appended");
        drop(journal);
        assert_eq!(numbers(&open(&place).1), [1, 2, 3], "{torn}");
    }
}

#[test]
fn a_snapshot_that_is_not_on_disk_removes_nothing_it_stands_for() {
    let place = holding(&[state(1)]);
    let faults = Arc::new(DiskFaults::default());
    let (journal, _) = Journal::open(place.path(), faulty(&faults)).expect("a journal");
    let trim = |journal: &Journal| journal.trim(Sequence::LAST).map(Sequence::number);
    fill(&journal, 60);
    let first = journal.append_snapshot(snapshot(1).as_bytes()).expect("appended");
    wait(journal.durable(first)).expect("durable");
    fill(&journal, 60);
    faults.hold_syncs();
    journal.append_snapshot(snapshot(1).as_bytes()).expect("appended");
    assert_eq!(trim(&journal), Ok(1), "power loss may take it");
    faults.release_syncs();
    wait(journal.durable(journal.last_sequence())).expect("durable");
    assert!(trim(&journal).expect("trimmed") > first.number());
    drop(journal);
    assert_eq!(open(&place).1.states.len(), 1);
}

#[test]
fn what_began_after_a_record_is_known_by_its_size() {
    let place = TempDir::new().expect("a directory");
    let (journal, _) = open(&place);
    let first = journal.append(RecordKind::State, state(1).as_bytes()).expect("appended");
    assert_eq!(journal.bytes_begun_after(first), Ok(0));
    fill(&journal, 60);
    let lengths: Vec<_> = segments(&place).iter().map(|path| std::fs::metadata(path).expect("there").len()).collect();
    assert_eq!(journal.bytes_begun_after(first), Ok(lengths[1..].iter().sum()));
    assert_eq!(journal.bytes_begun_after(Sequence::NONE), Ok(lengths.iter().sum()));
    assert_eq!(journal.bytes_begun_after(journal.last_sequence()), Ok(0));
}
