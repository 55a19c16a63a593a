//! A store without a disk, and a journal that can be told to fail; for tests of this and of later stages.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::engine::BoxedFuture;
pub use super::memory_engine::MemoryEngine;
use super::snapshot::StateSnapshot;
use super::{
    CodeSource, DeviceChange, DeviceDeactivation, DeviceEnabling, JournalUnavailable, NewDevice, RecordSealer,
    SpendError, StateJournal, StateStore, StoreError,
};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::Trail;
use portcullis_mfa::{Challenge, Proof, TokenCode, TokenCodes};
use portcullis_sigv4::Principal;

/// Where codes come from in tests.
pub const HERE: CodeSource = CodeSource::Network(IpAddr::V4(Ipv4Addr::LOCALHOST));

/// A journal in memory.
#[derive(Default)]
pub struct MemoryJournal {
    records: Mutex<Vec<Vec<u8>>>,
    /// The last write that is in it.
    last: AtomicU64,
    /// Writes and snapshots in their order.
    all: Mutex<Vec<Vec<u8>>>,
    pub snapshots: Mutex<Vec<Vec<u8>>>,
    pub failing: AtomicBool,
}

impl MemoryJournal {
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.records.lock().expect("sound").clone()
    }

    /// One that goes on after a write that another journal has.
    pub fn after(revision: u64) -> Self {
        Self { last: AtomicU64::new(revision), ..Self::default() }
    }

    /// The writes and the snapshots in their order.
    pub fn all(&self) -> Vec<Vec<u8>> {
        self.all.lock().expect("sound").clone()
    }

    /// Makes another record of the last one.
    pub fn replace_last(&self, record: Vec<u8>) {
        *self.all.lock().expect("sound").last_mut().expect("a record") = record.clone();
        *self.records.lock().expect("sound").last_mut().expect("a record") = record;
    }

    /// Makes another snapshot of the last one.
    pub fn replace_snapshot(&self, snapshot: Vec<u8>) {
        *self.all.lock().expect("sound").last_mut().expect("a record") = snapshot.clone();
        *self.snapshots.lock().expect("sound").last_mut().expect("a snapshot") = snapshot;
    }

    /// Makes other records of all, which are writes.
    pub fn replace_all(&self, replace: impl Fn(&[u8]) -> Vec<u8>) {
        for records in [&self.all, &self.records] {
            records.lock().expect("sound").iter_mut().for_each(|record| *record = replace(record));
        }
    }
}

impl StateJournal for MemoryJournal {
    fn record<'a>(&'a self, revision: u64, write: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move {
            if self.failing.load(Ordering::SeqCst) {
                return Err(JournalUnavailable);
            }
            assert_eq!(self.last.swap(revision, Ordering::SeqCst), revision - 1, "a gap or a repetition");
            self.records.lock().expect("sound").push(write.to_vec());
            self.all.lock().expect("sound").push(write.to_vec());
            Ok(())
        })
    }

    fn snapshot<'a>(&'a self, state: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move {
            if self.failing.load(Ordering::SeqCst) {
                return Err(JournalUnavailable);
            }
            let revision = StateSnapshot::parse(state).expect("a snapshot").revision;
            self.last.store(revision, Ordering::SeqCst);
            self.snapshots.lock().expect("sound").push(state.to_vec());
            self.all.lock().expect("sound").push(state.to_vec());
            Ok(())
        })
    }
}

/// A new store without a disk.
pub async fn in_memory(now: Timestamp) -> (StateStore, Arc<MemoryEngine>, Arc<MemoryJournal>) {
    let (engine, journal) = (Arc::new(MemoryEngine::default()), Arc::new(MemoryJournal::default()));
    let store = started(engine.clone(), journal.clone(), now).await;
    (store, engine, journal)
}

/// A new store without a disk, and with a journal of one's own.
pub async fn recorded_in(journal: Arc<dyn StateJournal>, now: Timestamp) -> StateStore {
    started(Arc::new(MemoryEngine::default()), journal, now).await
}

/// A new store without a disk, by a clock that may be set.
pub async fn by_clock(clock: Clock) -> StateStore {
    started_by(Arc::new(MemoryEngine::default()), Arc::new(MemoryJournal::default()), clock).await
}

async fn started(engine: Arc<MemoryEngine>, journal: Arc<dyn StateJournal>, now: Timestamp) -> StateStore {
    started_by(engine, journal, Clock::standing_at(now)).await
}

async fn started_by(engine: Arc<MemoryEngine>, journal: Arc<dyn StateJournal>, clock: Clock) -> StateStore {
    let dir = tempfile::tempdir().expect("a directory");
    let sealer = RecordSealer::create(&dir.path().join("master.key")).expect("a new key");
    StateStore::start(engine, journal, sealer, &[], clock, None).await.expect("a new store")
}

/// What the device shows at a moment.
pub fn code(device: &NewDevice, now: Timestamp) -> TokenCode {
    let seed = totp_seed(device.base32_seed.expose());
    TokenCode::new(&portcullis_mfa::shown(&seed, device.digits, now))
}

/// Codes of consecutive steps, the last one of this moment.
pub fn codes(device: &NewDevice, count: i64, now: Timestamp) -> TokenCodes {
    let at = |age: i64| Timestamp::from_seconds(now.seconds() - 30 * age);
    shown_by(device, (0..count).rev().map(|age| code(device, at(age))))
}

/// An offer of these codes.
pub fn shown_by(device: &NewDevice, codes: impl IntoIterator<Item = TokenCode>) -> TokenCodes {
    TokenCodes { serial: device.serial.clone(), codes: codes.into_iter().collect() }
}

/// Makes a device and enables it by the codes before and of this moment.
pub async fn enrolled(store: &StateStore, name: &str, now: Timestamp) -> NewDevice {
    let serial = DeviceSerial::virtual_device(store.account(), name).expect("legal");
    let device = store.create_device(&serial, portcullis_mfa::CodeDigits::Six, now).await.expect("made");
    let codes = codes(&device, 2, now).codes;
    let change = DeviceChange::Unproved(enabling(&serial, &codes[0], &codes[1]));
    store.enable_device(change, now).await.expect("enabled");
    device
}

/// The enabling of a device by these two codes.
pub fn enabling(serial: &DeviceSerial, first: &TokenCode, second: &TokenCode) -> DeviceEnabling {
    DeviceEnabling { serial: serial.clone(), first: first.clone(), second: second.clone() }
}

/// Ends a device by the code that another, or itself, shows.
pub async fn deactivated(store: &StateStore, shown_by: &NewDevice, serial: &DeviceSerial, now: Timestamp) {
    let change = proved(store, shown_by, DeviceDeactivation { serial: serial.clone() }, now).await;
    store.deactivate_device(DeviceChange::Proved(change), now).await.expect("deactivated");
}

/// The proof of a subject by the code that a device shows.
pub async fn proved<T: Unpin>(store: &StateStore, device: &NewDevice, subject: T, now: Timestamp) -> Proof<T> {
    let challenge = Challenge::new(codes(device, 1, now), subject);
    portcullis_mfa::spend(challenge, &store.step_ledger(&Principal::Root, HERE, now)).await.ok().expect("a right code")
}

impl StateStore {
    /// Makes a trail, or changes the one that was looked at.
    pub async fn put_trail(&self, was: Option<&Trail>, trail: Trail, now: Timestamp) -> Result<(), StoreError> {
        self.reserve_trail(was, trail, now).await?.record(now).await
    }

    /// Spends codes that are offered for nothing.
    pub async fn spend(
        &self,
        codes: &TokenCodes,
        principal: &Principal,
        source: CodeSource,
        now: Timestamp,
    ) -> Result<Proof<()>, SpendError> {
        let challenge = Challenge::new(codes.clone(), ());
        portcullis_mfa::spend(challenge, &self.step_ledger(principal, source, now)).await.map_err(|unmet| unmet.error)
    }
}

fn totp_seed(base32: &str) -> portcullis_mfa::Seed {
    portcullis_mfa::Seed::from_base32(base32).expect("a seed")
}
