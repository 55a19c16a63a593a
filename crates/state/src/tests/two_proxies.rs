//! Two proxies on one engine, each with its own memory and journal: what one of them decides holds for the other.

use std::sync::atomic::AtomicU32;

use super::super::change::MOST_DECISIONS;
use super::super::engine::EngineEntries;
use super::super::memory_engine::MemoryEngine;
use super::super::write::LAST_WRITE;
use super::*;

/// Two proxies that have read the same state, and ours is the one that is looked at.
struct TwoProxies {
    ours: StateStore,
    theirs: StateStore,
    engine: Arc<MemoryEngine>,
    /// Through it ours reaches the engine.
    contended: Arc<ContendedEngine>,
    /// The one of ours.
    journal: Arc<MemoryJournal>,
    device: NewDevice,
    dir: tempfile::TempDir,
}

/// An engine that another proxy writes to, right before it compares.
struct ContendedEngine {
    engine: Arc<MemoryEngine>,
    rival: Mutex<Option<StateStore>>,
    conflicts: AtomicU32,
    swaps: AtomicU32,
}

impl StateEngine for ContendedEngine {
    fn compare_and_swap(&self, swaps: Vec<KeySwap>) -> BoxedFuture<'_, Result<SwapOutcome, EngineError>> {
        Box::pin(async move {
            self.swaps.fetch_add(1, Ordering::SeqCst);
            let left = self.conflicts.load(Ordering::SeqCst);
            if left > 0 {
                self.conflicts.store(left - 1, Ordering::SeqCst);
                let rival = self.rival.lock().expect("sound").clone().expect("a rival");
                rival.create_user(&user(&format!("rival-{left}")), at(30)).await.expect("made");
            }
            self.engine.compare_and_swap(swaps).await
        })
    }

    fn scan(&self) -> BoxedFuture<'_, Result<EngineEntries, EngineError>> {
        self.engine.scan()
    }
}

impl TwoProxies {
    /// Both know an enrolled device and nothing else.
    async fn start() -> Self {
        let engine = Arc::new(MemoryEngine::default());
        let (rival, conflicts, swaps) = (Mutex::default(), AtomicU32::new(0), AtomicU32::new(0));
        let contended = Arc::new(ContendedEngine { engine: engine.clone(), rival, conflicts, swaps });
        let dir = tempfile::tempdir().expect("a directory");
        let sealer = RecordSealer::create(&dir.path().join("master.key")).expect("a new key");
        let (clock, journal) = (Clock::standing_at(at(0)), Arc::new(MemoryJournal::default()));
        let ours = StateStore::start(contended.clone(), journal.clone(), sealer.clone(), &[], clock.clone(), None);
        let ours = ours.await.expect("a new store");
        let device = enrolled(&ours, "phone", at(0)).await;
        let records = journal.records();
        let later = MemoryJournal::after(u64::try_from(records.len()).expect("small"));
        let theirs =
            StateStore::start(engine.clone(), Arc::new(later), sealer, &records, clock, None).await.expect("a store");
        *contended.rival.lock().expect("sound") = Some(theirs.clone());
        Self { ours, theirs, engine, contended, journal, device, dir }
    }

    /// A directory with the master key, and no state yet.
    fn place(&self) -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a directory");
        prepare_dir(place.path()).expect("closed to others");
        std::fs::copy(self.dir.path().join("master.key"), place.path().join("master.key")).expect("copied");
        place
    }

    /// What the journal of ours alone makes of the state.
    async fn rebuilt(&self) -> String {
        let place = self.place();
        rebuild(place.path(), self.journal.all(), at(60)).await.expect("rebuilt");
        let journal = Arc::new(MemoryJournal::default());
        let clock = Clock::standing_at(at(60));
        picture(&StateStore::open(place.path(), journal, &self.journal.all(), clock).await.expect("a store"))
    }
}

async fn spend(store: &StateStore, device: &NewDevice, now: Timestamp) -> Result<(), SpendError> {
    store.spend(&codes(device, 1, now), &Principal::Root, HERE, now).await.map(drop)
}

const REPLAYED: Result<(), SpendError> = Err(SpendError::Fault(MfaFault::Replayed));

#[tokio::test]
async fn a_code_that_the_other_proxy_has_accepted_is_replayed() {
    let two = TwoProxies::start().await;
    spend(&two.theirs, &two.device, at(30)).await.expect("a right code");
    let swaps = two.contended.swaps.load(Ordering::SeqCst);
    assert_eq!(spend(&two.ours, &two.device, at(30)).await, REPLAYED);
    assert_eq!(two.contended.swaps.load(Ordering::SeqCst), swaps + 1, "it was right by what ours knew");
    spend(&two.ours, &two.device, at(60)).await.expect("the next code");
    assert_eq!(spend(&two.theirs, &two.device, at(60)).await, REPLAYED);
}

#[tokio::test]
async fn of_many_offers_of_one_code_at_both_proxies_one_is_accepted() {
    let two = TwoProxies::start().await;
    for step in 1..=20 {
        let now = at(30 * step);
        let offers = [&two.ours, &two.theirs, &two.theirs, &two.ours].map(|store| {
            let (store, offer) = (store.clone(), codes(&two.device, 1, now));
            tokio::spawn(async move { store.spend(&offer, &Principal::Root, HERE, now).await.map(drop) })
        });
        let mut accepted = 0;
        for offer in offers {
            match offer.await.expect("it ended") {
                Ok(()) => accepted += 1,
                other => assert_eq!(other, REPLAYED),
            }
        }
        assert_eq!(accepted, 1, "step {step}");
    }
}

#[tokio::test]
async fn wrong_codes_count_at_whichever_proxy_they_were_offered() {
    let two = TwoProxies::start().await;
    let wrong = codes(&two.device, 1, at(3000));
    for store in [&two.theirs, &two.ours] {
        let refused = store.spend(&wrong, &Principal::Root, HERE, at(30)).await;
        assert_eq!(refused.err(), Some(SpendError::Fault(MfaFault::WrongCode)));
    }
    assert_eq!(two.ours.codes_needed(&two.device.serial, at(30)), Some(2));
    assert_eq!(spend(&two.theirs, &two.device, at(60)).await, Err(SpendError::Fault(MfaFault::MoreCodesNeeded)));
}

#[tokio::test]
async fn a_bucket_that_the_other_proxy_has_protected_is_not_unprotected() {
    for (change, ours_knows) in [(StateChange::Forget, false), (StateChange::DisableMfaDelete, true)] {
        let two = TwoProxies::start().await;
        let vault = bucket("vault");
        let record = async |change, now| {
            two.theirs.record_bucket(&vault, two.theirs.bucket(&vault), change, now).await.expect("recorded")
        };
        record(StateChange::EnableMfaDelete, at(1)).await;
        let judged = record(StateChange::DisableMfaDelete, at(2)).await;
        // Ours hears of that with a change of its own.
        two.ours.create_user(&user("alice"), at(3)).await.expect("made");
        assert_eq!(two.ours.bucket(&vault), judged);
        record(StateChange::EnableMfaDelete, at(4)).await;
        if ours_knows {
            two.ours.create_user(&user("bob"), at(5)).await.expect("made");
        }
        let refused = two.ours.record_bucket(&vault, judged, change, at(5)).await;
        assert_eq!(refused, Err(StoreError::Outdated), "{change:?}");
        for store in [&two.ours, &two.theirs] {
            assert_eq!(store.bucket(&vault).mfa_delete, MfaDelete::Enabled, "{change:?}");
        }
    }
}

#[tokio::test]
async fn rules_about_several_records_hold_over_both_proxies() {
    let two = TwoProxies::start().await;
    two.theirs.create_key(&Principal::Root, KeyMaterial::Random, at(1)).await.expect("the second key");
    assert_eq!(
        two.ours.create_key(&Principal::Root, KeyMaterial::Random, at(1)).await.err(),
        Some(StoreError::LimitReached)
    );
    let first = trail("first");
    two.theirs.put_trail(None, first.clone(), at(2)).await.expect("made");
    let beside = Trail { prefix: first.prefix.clone(), ..trail("second") };
    assert_eq!(two.ours.put_trail(None, beside, at(2)).await, Err(StoreError::Outdated));
    let alice = Principal::User(user("alice"));
    two.theirs.create_user(&user("alice"), at(3)).await.expect("made");
    let key = two.ours.create_key(&alice, KeyMaterial::Random, at(3)).await;
    assert_eq!(key.err(), Some(StoreError::NoSuchEntity), "a refusal by what ours knew is final");
    two.ours.create_user(&user("bob"), at(3)).await.expect("made");
    let key = two.ours.create_key(&alice, KeyMaterial::Random, at(3)).await.expect("made").key.id;
    assert_eq!(two.theirs.delete_user(&user("alice"), at(4)).await, Err(StoreError::Remains(RemainingPart::Keys)));
    assert!(two.theirs.keyring().find(&key).is_some(), "a key may sign at the other proxy too");
    two.theirs.delete_key(&key, &alice, at(4)).await.expect("gone");
    two.ours.create_user(&user("carol"), at(4)).await.expect("made");
    assert!(two.ours.keyring().find(&key).is_none());
}

#[tokio::test]
async fn a_change_is_decided_eight_times_and_then_refused_with_nothing_of_it_made() {
    for conflicts in [MOST_DECISIONS - 1, MOST_DECISIONS] {
        let two = TwoProxies::start().await;
        let swaps = two.contended.swaps.load(Ordering::SeqCst);
        two.contended.conflicts.store(conflicts, Ordering::SeqCst);
        let spent = spend(&two.ours, &two.device, at(30)).await;
        assert_eq!(two.contended.swaps.load(Ordering::SeqCst), swaps + MOST_DECISIONS);
        if conflicts < MOST_DECISIONS {
            assert_eq!(spent, Ok(()));
        } else {
            assert_eq!(spent, Err(SpendError::Store(StoreError::Contended)));
            spend(&two.ours, &two.device, at(30)).await.expect("the code was not spent");
        }
        assert_eq!(spend(&two.theirs, &two.device, at(30)).await, REPLAYED);
        assert_eq!(picture(&two.ours), picture(&two.theirs));
        assert_eq!(two.ours.users().len(), usize::try_from(conflicts).expect("small"));
        assert_eq!(two.rebuilt().await, picture(&two.ours), "the journal of ours has the changes of both");
    }
}

#[tokio::test]
async fn the_time_of_a_stop_is_kept_beside_changes_of_the_other_proxy() {
    let two = TwoProxies::start().await;
    two.theirs.watch_clock(at(60)).await.expect("kept");
    two.ours.watch_clock(at(90)).await.expect("kept");
    two.theirs.watch_clock(at(120)).await.expect("kept");
}

#[tokio::test]
async fn nothing_is_decided_while_the_journal_lacks_what_the_other_proxy_wrote() {
    let two = TwoProxies::start().await;
    for name in ["first", "second"] {
        two.theirs.create_user(&user(name), at(1)).await.expect("made");
    }
    two.journal.failing.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let refused = two.ours.create_user(&user("alice"), at(2)).await;
        assert_eq!(refused, Err(StoreError::Journal(JournalUnavailable)));
    }
    assert!(!picture(&two.theirs).contains("alice"));
    two.journal.failing.store(false, Ordering::SeqCst);
    two.ours.create_user(&user("alice"), at(2)).await.expect("made");
    assert_eq!(two.rebuilt().await, picture(&two.ours));
}

#[tokio::test]
async fn a_crash_between_engine_and_journal_after_a_conflict_is_mended_at_the_next_start() {
    let two = TwoProxies::start().await;
    for name in ["first", "second"] {
        two.theirs.create_user(&user(name), at(1)).await.expect("made");
    }
    // This brings the journal up to what the other proxy wrote.
    assert_eq!(two.ours.create_user(&user("First"), at(2)).await.err(), Some(StoreError::AlreadyExists));
    two.journal.failing.store(true, Ordering::SeqCst);
    let unrecorded =
        two.ours.record_bucket(&bucket("vault"), BucketRecord::UNPROTECTED, StateChange::EnableMfaDelete, at(2)).await;
    assert_eq!(unrecorded, Err(StoreError::Journal(JournalUnavailable)));
    two.journal.failing.store(false, Ordering::SeqCst);
    let (known, before) = (two.journal.all(), picture(&two.ours));
    let sealer = RecordSealer::read(&two.dir.path().join("master.key")).expect("ours");
    let clock = Clock::standing_at(at(3));
    let again =
        StateStore::start(two.engine.clone(), two.journal.clone(), sealer, &known, clock, None).await.expect("a store");
    assert_eq!(picture(&again), before);
    assert_eq!(again.bucket(&bucket("vault")).mfa_delete, MfaDelete::Enabled);
    assert_eq!(two.journal.all().len(), known.len() + 1);
    assert_eq!(two.rebuilt().await, before);
}

#[tokio::test]
async fn what_was_not_left_by_a_proxy_with_the_master_key_closes_the_state() {
    for key in [LAST_WRITE, "account"] {
        let two = TwoProxies::start().await;
        let old = two.engine.scan().await.expect("readable");
        two.theirs.create_user(&user("theirs"), at(1)).await.expect("made");
        let new = two.engine.scan().await.expect("readable");
        let of = |entries: &EngineEntries| {
            entries.iter().find(|(found, _)| found == key.as_bytes()).expect("there").1.clone()
        };
        let altered = match key {
            LAST_WRITE => Some(of(&old).value),
            _ => None,
        };
        let swap = KeySwap { key: key.into(), expect: Some(of(&new).version), value: altered };
        assert!(matches!(two.engine.compare_and_swap(vec![swap]).await, Ok(SwapOutcome::Done(_))));
        let refused = two.ours.create_user(&user("ours"), at(2)).await;
        assert!(matches!(refused, Err(StoreError::Engine(EngineError::Failed(_)))), "{key}: {refused:?}");
        let closed = two.ours.create_user(&user("ours"), at(2)).await;
        assert_eq!(closed.err(), Some(StoreError::Engine(EngineError::Closed)));
        assert!(two.ours.users().is_empty(), "nothing of it is believed");
    }
}

#[tokio::test]
async fn a_snapshot_stands_after_the_write_that_it_names_alone() {
    let two = TwoProxies::start().await;
    for name in ["first", "second"] {
        two.theirs.create_user(&user(name), at(1)).await.expect("made");
    }
    two.ours.create_user(&user("alice"), at(2)).await.expect("made");
    let mut records = two.journal.all();
    let place = two.place();
    let at_snapshot = records.len() - 2;
    records.remove(at_snapshot - 1);
    let refused = rebuild(place.path(), records, at(3)).await;
    assert!(matches!(refused, Err(StartError::JournalUnreadable(_))), "{refused:?}");
}
