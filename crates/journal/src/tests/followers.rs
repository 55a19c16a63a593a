//! Followers: what they read, where they go on, and what stays for them.

use std::sync::Weak;

use super::*;

/// Reads all there is on disk, and answers with the numbers.
fn read_on(follower: &mut Follower) -> Vec<u64> {
    std::iter::from_fn(|| follower.read(Sequence::LAST).expect("sound"))
        .map(|record| record.sequence.number())
        .collect()
}

#[test]
fn a_follower_reads_what_is_on_disk_and_goes_on_where_it_was() {
    let place = TempDir::new().expect("a directory");
    let faults = Arc::new(DiskFaults::default());
    let journal = Arc::new(Journal::open(place.path(), faulty(&faults)).expect("a journal").0);
    fill(&journal, 3);
    assert_eq!(wait(journal.flush()), Sequence::new(3));
    faults.hold_syncs();
    fill(&journal, 2);
    let mut follower = Follower::after(&journal, Sequence::new(1));
    assert_eq!(follower.position(), FollowerPosition::default());
    assert_eq!(follower.read(Sequence::new(2)).expect("sound").map(|record| record.sequence.number()), Some(2));
    assert_eq!(follower.read(Sequence::new(2)), Ok(None), "no further than was asked");
    assert_eq!(read_on(&mut follower), [3], "what is not on disk is not read");
    faults.release_syncs();
    assert_eq!(wait(journal.flush()), Sequence::new(5));
    assert_eq!(
        (read_on(&mut follower), follower.sequence(), follower.take_gap()),
        (vec![4, 5], Sequence::new(5), None)
    );
}

#[test]
fn a_follower_tells_once_of_the_records_that_were_trimmed_before_it_read_them() {
    let (place, first) = trimmed();
    let journal = Arc::new(open(&place).0);
    let mut follower = Follower::after(&journal, Sequence::new(3));
    follower.skip_trimmed().expect("sound");
    assert_eq!(follower.sequence(), Sequence::new(first - 1));
    let gap = JournalGap { first: Sequence::new(4), last: Sequence::new(first - 1) };
    assert_eq!((follower.take_gap(), follower.take_gap()), (Some(gap), None));
    assert_eq!(read_on(&mut follower).first(), Some(&first));
}

#[test]
fn a_position_is_taken_up_only_in_the_journal_that_it_is_of() {
    let (place, first) = trimmed();
    let journal = Arc::new(open(&place).0);
    let resume = |at: FollowerPosition| match Follower::resume(&journal, &at).expect("sound") {
        Resumption::Continued(follower) => format!("after {}", follower.sequence().number()),
        Resumption::OtherJournal => "another journal".to_owned(),
        Resumption::Replaced => "replaced".to_owned(),
    };
    let mut follower = Follower::after(&journal, Sequence::new(99));
    assert_eq!(follower.read(Sequence::new(100)).expect("sound").map(|record| record.sequence.number()), Some(100));
    let at = follower.position();
    let missed = FollowerPosition { sequence: Sequence::new(2), ..at };
    assert_eq!(resume(at), "after 100");
    assert_eq!(resume(missed), format!("after {}", first - 1), "what was trimmed cannot be compared");
    assert_eq!(resume(FollowerPosition { chain: [7; 32], ..at }), "replaced");
    assert_eq!(resume(FollowerPosition { sequence: Sequence::new(1000), ..at }), "replaced");
    assert_eq!(resume(FollowerPosition { journal: [7; 16], ..at }), "another journal");
}

#[derive(Debug)]
struct Needs(u64);

impl JournalFollower for Needs {
    fn needed_from(&self) -> Sequence {
        Sequence::new(self.0)
    }
}

#[test]
fn what_stays_is_what_any_follower_needs_and_everything_where_one_is_gone_or_none_is() {
    let place = filled(100);
    let journal = open(&place).0;
    let (future, past) = (SystemTime::now() + Duration::from_secs(60), SystemTime::UNIX_EPOCH);
    let retained = |since| journal.retained_from(since).map(Sequence::number);
    assert_eq!(retained(future), Ok(1), "nothing follows");
    let followers = [Arc::new(Needs(70)), Arc::new(Needs(40)), Arc::new(Needs(u64::MAX))];
    for follower in &followers {
        let follower: Weak<Needs> = Arc::downgrade(follower);
        journal.register(follower);
    }
    assert_eq!(retained(future), Ok(40));
    assert_eq!(retained(past), Ok(1), "it is not old");
    drop(followers);
    assert_eq!(retained(future), Ok(0), "nothing says that it is done");
}
