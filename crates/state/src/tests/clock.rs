//! Setting the clock makes no code valid again, and root is not locked out once the clock is right.

use std::sync::atomic::AtomicI64;

use super::super::clock::LastTime;
use super::*;
use portcullis_base::clock::{BootTime, ClockDisagreement, SetClocks, WatchedClock};
use portcullis_mfa::Challenge;

const DAY: i64 = 24 * 60 * 60;

/// A machine whose clocks the test sets, with a state.
struct Machine {
    clocks: Arc<SetClocks>,
    boot_id: &'static str,
    journal: Arc<MemoryJournal>,
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let clocks = SetClocks { wall: AtomicI64::new(at(0).millis()), since_boot: AtomicI64::new(1_000_000) };
        let dir = tempfile::tempdir().expect("a directory");
        Self { clocks: Arc::new(clocks), boot_id: "boot-1", journal: Arc::default(), dir }
    }

    fn pass(&self, seconds: i64) {
        self.clocks.since_boot.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.set_by(seconds);
    }

    fn set_by(&self, seconds: i64) {
        self.clocks.wall.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clocks.wall.load(Ordering::SeqCst))
    }

    async fn start(&self) -> StateStore {
        let clock = Clock::Watched(Arc::new(WatchedClock::set(&self.clocks, Some(self.boot_id))));
        let recorded = self.journal.all();
        let journal = Arc::<MemoryJournal>::clone(&self.journal);
        let store = StateStore::open(self.dir.path(), journal, &recorded, clock).await.expect("a store");
        store.watch_clock(self.now()).await.ok();
        store
    }

    /// Offers what the device showed at a moment.
    async fn offer(&self, store: &StateStore, device: &NewDevice, shown: Timestamp) -> Result<(), SpendError> {
        store.spend(&codes(device, 1, shown), &Principal::Root, HERE, self.now()).await.map(drop)
    }
}

const DISAGREES: Result<(), SpendError> = Err(SpendError::Fault(MfaFault::ClockDisagrees));
const WRONG: Result<(), SpendError> = Err(SpendError::Fault(MfaFault::WrongCode));
const REPLAYED: Result<(), SpendError> = Err(SpendError::Fault(MfaFault::Replayed));

#[tokio::test]
async fn a_clock_that_is_ahead_for_a_moment_costs_nothing_but_the_code_of_that_moment() {
    for (set_by, wrong) in [(365 * DAY, DISAGREES), (3000, WRONG)] {
        ahead_for_a_moment(set_by, wrong).await;
    }
}

async fn ahead_for_a_moment(set_by: i64, wrong: Result<(), SpendError>) {
    let machine = Machine::new();
    let store = machine.start().await;
    let device = enrolled(&store, "phone", machine.now()).await;
    machine.pass(60);
    let seen = machine.now();
    machine.set_by(set_by);
    assert_eq!(machine.offer(&store, &device, seen).await, wrong);
    store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::EnableMfaDelete, machine.now())
        .await
        .expect("recorded");
    machine.set_by(-set_by);
    assert_eq!(machine.offer(&store, &device, seen).await, REPLAYED, "{set_by}");
    machine.pass(30);
    assert_eq!(store.codes_needed(&device.serial, machine.now()), Some(1));
    assert_eq!(machine.offer(&store, &device, machine.now()).await, Ok(()));
    drop(store);
    let store = machine.start().await;
    machine.pass(30);
    assert_eq!(machine.offer(&store, &device, machine.now()).await, Ok(()));
}

#[tokio::test]
async fn an_old_code_does_not_pass_when_the_clock_is_set_back_to_its_time() {
    for restart in [None, Some("boot-1"), Some("boot-2")] {
        let mut machine = Machine::new();
        let mut store = machine.start().await;
        let device = enrolled(&store, "phone", machine.now()).await;
        machine.pass(60);
        let seen = machine.now();
        machine.pass(30 * DAY);
        store.watch_clock(machine.now()).await.expect("the clock is right");
        machine.set_by(-30 * DAY);
        if let Some(boot_id) = restart {
            machine.boot_id = boot_id;
            drop(store);
            store = machine.start().await;
        }
        assert_eq!(machine.offer(&store, &device, seen).await, DISAGREES, "{restart:?}");
        let two = codes(&device, 2, seen).codes;
        let resync = Challenge::resync(device.serial.clone(), two[0].clone(), two[1].clone(), ());
        let spent = portcullis_mfa::spend(resync, &store.step_ledger(&Principal::Root, HERE, machine.now())).await;
        assert_eq!(spent.map(drop).map_err(|unmet| unmet.error), DISAGREES);
        machine.set_by(30 * DAY + 30);
        machine.pass(30);
        assert_eq!(machine.offer(&store, &device, machine.now()).await, Ok(()), "{restart:?}");
    }
}

#[tokio::test]
async fn a_device_is_not_enabled_while_the_clock_disagrees() {
    let machine = Machine::new();
    let store = machine.start().await;
    let serial = portcullis_base::names::DeviceSerial::virtual_device(store.account(), "phone").expect("legal");
    let device = store.create_device(&serial, CodeDigits::Six, machine.now()).await.expect("made");
    machine.set_by(DAY);
    let now = machine.now();
    let two = codes(&device, 2, now).codes;
    let change = DeviceChange::Unproved(enabling(&serial, &two[0], &two[1]));
    let enabled = store.enable_device(change, now).await;
    assert_eq!(enabled, Err(StoreError::ClockDisagrees(ClockDisagreement { wall: now, expected: at(0) })));
}

#[tokio::test]
async fn a_clock_that_is_accepted_is_believed_and_no_code_of_before_counts() {
    for set_by in [-3 * DAY, 3 * DAY] {
        let mut machine = Machine::new();
        let store = machine.start().await;
        let device = enrolled(&store, "phone", machine.now()).await;
        assert_eq!(store.accept_clock().await, Ok(None), "there is nothing to accept");
        machine.pass(60);
        machine.set_by(set_by);
        let disagreement = ClockDisagreement { wall: machine.now(), expected: at(60) };
        assert_eq!(store.clock_disagreement(), Some(disagreement));
        assert_eq!(store.accept_clock().await, Ok(Some(disagreement)));
        assert_eq!(store.clock_disagreement(), None);
        let seen = machine.now().min(at(60));
        assert_eq!(machine.offer(&store, &device, seen).await, if set_by > 0 { WRONG } else { REPLAYED });
        // What a device spent stays spent, so that a clock that is set back has to reach it.
        let passes = machine.offer(&store, &device, machine.now()).await;
        assert_eq!(passes, if set_by > 0 { Ok(()) } else { REPLAYED });
        drop(store);
        machine.boot_id = "boot-2";
        let store = machine.start().await;
        assert_eq!(store.clock_disagreement(), None, "the time of before is forgotten");
    }
}

#[tokio::test]
async fn a_wrong_clock_that_was_accepted_and_is_accepted_back_keeps_no_owner_out() {
    let machine = Machine::new();
    let store = machine.start().await;
    let device = enrolled(&store, "phone", machine.now()).await;
    machine.pass(60);
    machine.set_by(DAY);
    assert!(store.accept_clock().await.is_ok_and(|accepted| accepted.is_some()));
    machine.set_by(-DAY);
    assert_eq!(machine.offer(&store, &device, machine.now()).await, DISAGREES);
    assert!(store.accept_clock().await.is_ok_and(|accepted| accepted.is_some()));
    machine.pass(30);
    assert_eq!(machine.offer(&store, &device, machine.now()).await, Ok(()));
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_ends_no_wait_for_a_request_without_an_answer() {
    let machine = Machine::new();
    let store = machine.start().await;
    store.note_unanswered(&bucket("vault"), LateEffect::Versions, machine.now()).await;
    machine.set_by(DAY);
    store.note_unanswered(&bucket("other"), LateEffect::Versions, machine.now()).await;
    assert!(store.unsettled(&bucket("vault"), machine.now()).versions.is_some());
    drop(store);
    let store = machine.start().await;
    assert!(store.unsettled(&bucket("vault"), machine.now()).versions.is_some(), "over a restart");
    machine.set_by(-DAY);
    assert!(store.unsettled(&bucket("vault"), machine.now()).versions.is_some());
    machine.pass(21 * 60);
    assert!(store.unsettled(&bucket("vault"), machine.now()).versions.is_none());
}

#[tokio::test]
async fn a_time_before_the_latest_one_seen_is_no_time_for_codes() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(0)).await;
    store.watch_clock(at(1000)).await.expect("kept");
    drop(store);
    let store = opened(dir.path(), &journal, at(0)).await;
    for (now, expected) in [(969, DISAGREES), (970, Ok(()))] {
        let spent = store.spend(&codes(&device, 1, at(now)), &Principal::Root, HERE, at(now)).await;
        assert_eq!(spent.map(drop), expected, "{now}");
    }
}

#[test]
fn the_latest_time_is_read_as_it_is_written_and_as_earlier_versions_wrote_it() {
    let boot = BootTime { boot_id: "boot-1".to_owned(), booted: 5, adjusted: 7 };
    for boot in [None, Some(boot)] {
        let last = LastTime { seen: at(0), boot };
        assert_eq!(LastTime::parse(&last.to_bytes().expect("written")), Some(last));
    }
    assert_eq!(LastTime::parse(b"1900000000000"), Some(LastTime { seen: at(0), boot: None }));
    for malformed in ["", "x", "{}", "{\"seen\":1,\"boot\":null,\"more\":1}", "-"] {
        assert_eq!(LastTime::parse(malformed.as_bytes()), None, "{malformed}");
    }
}
