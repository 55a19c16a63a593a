//! When a wall clock is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

const START: i64 = 1_900_000_000_000;
const SECOND: i64 = 1000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

struct Rig {
    clocks: Arc<SetClocks>,
    clock: WatchedClock,
}

impl Rig {
    fn new() -> Self {
        let clocks = Arc::new(SetClocks { wall: AtomicI64::new(START), since_boot: AtomicI64::new(5 * DAY) });
        Self { clock: WatchedClock::set(&clocks, Some("boot-1")), clocks }
    }

    /// Lets time pass by both clocks.
    fn pass(&self, millis: i64) {
        self.clocks.wall.fetch_add(millis, Ordering::SeqCst);
        self.clocks.since_boot.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock by so much.
    fn set_by(&self, millis: i64) {
        self.clocks.wall.fetch_add(millis, Ordering::SeqCst);
    }

    fn restart(self, boot_id: &str, last_seen: i64) -> Self {
        let kept = self.clock.boot_time();
        let clock = WatchedClock::set(&self.clocks, Some(boot_id));
        clock.resume(kept.as_ref(), Timestamp::from_millis(last_seen));
        Self { clock, clocks: self.clocks }
    }

    fn agrees(&self) -> bool {
        self.clock.check().is_ok()
    }
}

#[test]
fn a_clock_that_is_set_by_more_than_a_correction_is_not_believed_until_it_is_right_again() {
    for (set_by, agrees) in [
        (0, true),
        (-30 * SECOND, true),
        (-31 * SECOND, false),
        (3600 * SECOND, true),
        (3601 * SECOND, false),
        (-30 * DAY, false),
        (365 * DAY, false),
    ] {
        let rig = Rig::new();
        rig.pass(SECOND);
        rig.set_by(set_by);
        assert_eq!(rig.agrees(), agrees, "{set_by}");
        rig.pass(SECOND);
        assert_eq!(rig.agrees(), agrees, "{set_by}");
        rig.set_by(-set_by);
        assert!(rig.agrees(), "{set_by}");
    }
}

#[test]
fn time_that_passes_by_both_clocks_is_believed() {
    let rig = Rig::new();
    rig.pass(400 * DAY);
    assert_eq!(rig.clock.check(), Ok(Timestamp::from_millis(START + 400 * DAY)));
}

#[test]
fn a_drift_is_followed_and_no_faster_than_a_clock_drifts() {
    let rig = Rig::new();
    for _ in 0..100 {
        rig.pass(DAY);
        rig.set_by(-4 * SECOND);
        assert!(rig.agrees(), "four seconds a day");
    }
    let hours = (0..1000).take_while(|_| {
        rig.pass(DAY / 24);
        rig.set_by(-2500);
        rig.agrees()
    });
    assert_eq!(hours.count(), 40, "a minute a day, of which 43 seconds are followed");
}

#[test]
fn many_small_steps_are_no_drift() {
    let rig = Rig::new();
    let steps = (0..1000).take_while(|_| {
        rig.pass(SECOND);
        rig.set_by(-SECOND);
        rig.agrees()
    });
    assert_eq!(steps.count(), 30);
}

#[test]
fn codes_of_before_the_clock_was_set_are_to_be_spent_by_the_earlier_clock() {
    for (set_by, seen) in
        [(30 * DAY, START + SECOND), (3000 * SECOND, START + SECOND), (-30 * DAY, START + SECOND - 30 * DAY)]
    {
        let rig = Rig::new();
        rig.pass(SECOND);
        rig.set_by(set_by);
        assert_eq!(rig.clock.codes_seen_until(), None);
        assert_eq!(rig.agrees(), set_by == 3000 * SECOND);
        rig.pass(SECOND);
        assert_eq!(rig.agrees(), set_by == 3000 * SECOND);
        let seen = Timestamp::from_millis(seen);
        assert_eq!(rig.clock.codes_seen_until(), Some(seen), "{set_by}: when it began");
        rig.clock.codes_are_spent(seen);
        assert_eq!(rig.clock.codes_seen_until(), None);
    }
}

#[test]
fn a_restart_goes_on_from_the_same_boot() {
    let rig = Rig::new();
    rig.pass(SECOND);
    rig.set_by(365 * DAY);
    let rig = rig.restart("boot-1", START);
    assert!(!rig.agrees());
    assert_eq!(rig.clock.codes_seen_until(), Some(Timestamp::from_millis(START + SECOND)));
    rig.set_by(-365 * DAY);
    assert!(rig.restart("boot-1", START).agrees());
}

#[test]
fn after_another_boot_a_clock_is_believed_that_is_not_behind_the_latest_time_seen() {
    for (set_by, agrees) in [(365 * DAY, true), (0, true), (-30 * SECOND, true), (-31 * SECOND, false)] {
        let rig = Rig::new();
        rig.set_by(set_by);
        let rig = rig.restart("boot-2", START);
        assert_eq!(rig.agrees(), agrees, "{set_by}");
        rig.set_by(-set_by);
        assert!(set_by > 0 || rig.agrees(), "{set_by}");
    }
}

#[test]
fn a_clock_that_is_accepted_is_believed_and_codes_up_to_then_are_to_be_spent() {
    let rig = Rig::new();
    assert_eq!(rig.clock.accept(), None, "there is nothing to accept");
    rig.set_by(-3 * DAY);
    assert!(!rig.agrees());
    let (wall, expected) = (Timestamp::from_millis(START - 3 * DAY), Timestamp::from_millis(START));
    assert_eq!(rig.clock.accept(), Some(ClockDisagreement { wall, expected }));
    assert!(rig.agrees());
    assert_eq!(rig.clock.codes_seen_until(), Some(wall));
    assert!(rig.restart("boot-1", START - 3 * DAY).agrees());
}
