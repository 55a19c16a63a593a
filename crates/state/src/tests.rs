//! What the store promises: nothing acknowledged is lost, nothing spent comes back, nothing altered is believed.

mod clock;
mod earlier;
mod lost;
mod policies;
mod recorded;
mod reserved;
mod turns;
mod two_proxies;
mod upstream_keys;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::testing::{HERE, MemoryJournal, code, codes, deactivated, enabling, enrolled, in_memory, proved};
use super::*;
use portcullis_authorization::{BucketUse, LateEffect};
use portcullis_base::names::{AccessKeyId, ObjectKey, UserName};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::{KeyPrefix, LogFileValidation, Trail, TrailName};
use portcullis_mfa::{CodeDigits, DeviceStatus, EnrolmentFault, MfaFault, TokenCodes};
use portcullis_sigv4::{KeyStatus, Principal};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_900_000_000 + seconds)
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).expect("legal")
}

fn user(name: &str) -> UserName {
    UserName::parse(name).expect("legal")
}

fn given(id: &str) -> GivenKey {
    let secret = Secret::new(format!("secret of {id}"));
    GivenKey::new(AccessKeyId::parse(id).expect("legal"), secret).expect("legal")
}

async fn open(dir: &Path, journal: &Arc<MemoryJournal>, now: Timestamp) -> Result<StateStore, StartError> {
    StateStore::open(dir, Arc::<MemoryJournal>::clone(journal), &journal.all(), Clock::standing_at(now)).await
}

async fn opened(dir: &Path, journal: &Arc<MemoryJournal>, now: Timestamp) -> StateStore {
    open(dir, journal, now).await.expect("a store")
}

/// A directory that is left with an enrolled device and a protected bucket.
async fn used() -> (tempfile::TempDir, Arc<MemoryJournal>, NewDevice) {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Arc::new(MemoryJournal::default());
    let store = opened(dir.path(), &journal, at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::EnableMfaDelete, at(0))
        .await
        .expect("recorded");
    store.note_unanswered(&bucket("vault"), LateEffect::Versions, at(0)).await;
    for holder in [Principal::Root, Principal::User(user("alice"))] {
        let key = ObjectKey::parse("key").expect("legal");
        let mark = UploadMark::of(&bucket("vault"), &key, &format!("{holder:?}"));
        store.remember_upload(mark, holder, at(0)).await.expect("remembered");
    }
    (dir, journal, device)
}

/// All that can be seen of a store.
fn picture(store: &StateStore) -> String {
    let keys: Vec<_> = [Principal::Root, Principal::User(user("alice"))].iter().map(|who| store.keys(who)).collect();
    let ring: Vec<_> = keys.iter().flatten().map(|key| store.keyring().find(&key.id)).collect();
    let secrets: Vec<_> = ring.iter().flatten().map(|key| (&key.holder, key.secret.expose(), key.status)).collect();
    let counters: Vec<_> =
        store.0.memory.read().devices.values().map(|device| (*device.seed.expose(), device.counters.clone())).collect();
    let signing = store.signing_keys();
    let signing: Vec<_> = signing.iter().map(|key| (key, key.private.as_ref().map(Secret::expose))).collect();
    let heads: Vec<_> = store.0.memory.read().trail_heads.values().cloned().collect();
    let uploads = format!("{:?} {:?}", store.0.memory.read().uploads, store.0.memory.read().unsettled);
    let upstream: Vec<_> = store.0.memory.read().upstream_keys.clone().into_iter().collect();
    let upstream: Vec<_> = upstream
        .iter()
        .map(|(user, stored)| (user, stored.key.id(), stored.key.secret().expose(), stored.created))
        .collect();
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {signing:?} {heads:?} {uploads} {upstream:?}",
        store.account(),
        store.buckets(),
        store.users(),
        keys,
        secrets,
        store.devices(),
        counters,
        store.trails()
    )
}

fn trail(name: &str) -> Trail {
    let mut trail = Trail::new(TrailName::parse(name).expect("legal"), bucket("logs"), at(0));
    trail.prefix = Some(KeyPrefix::parse(name).expect("legal"));
    // A fraction that is not read as it is written.
    trail.insight_selectors = serde_json::json!([{ "share": 0.1_f64 + 0.2_f64 }]);
    trail
}

fn signing_key(byte: u8, from: i64, to: i64) -> DigestSigningKey {
    let private = Some(Secret::new(vec![byte; 3]));
    DigestSigningKey { public: vec![byte], valid_from: at(from), valid_to: at(to), private }
}

#[tokio::test]
async fn a_new_directory_gets_an_account_and_a_key_of_root() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(&dir.path().join("data"), &Arc::default(), at(0)).await;
    let (id, secret) = store.root_credentials().expect("root's key");
    assert!(id.as_str().starts_with("AKIA") && id.as_str().len() == 20);
    assert_eq!(secret.expose().len(), 40);
    let ring = store.keyring().find(&id).expect("in the ring");
    assert_eq!((ring.holder, ring.status), (Principal::Root, KeyStatus::Active));
    assert!(ring.secret.matches(secret.expose().as_bytes()));
}

#[tokio::test]
async fn reopening_finds_all_of_it_again() {
    let (dir, journal, _) = used().await;
    let store = opened(dir.path(), &journal, at(1)).await;
    store.create_user(&user("alice"), at(1)).await.expect("made");
    let key = store.create_key(&Principal::User(user("alice")), KeyMaterial::Random, at(1)).await.expect("made").key;
    store.set_key_status(&key.id, &key.holder, KeyStatus::Inactive, at(1)).await.expect("set");
    let before = picture(&store);
    drop(store);
    assert_eq!(picture(&opened(dir.path(), &journal, at(2)).await), before);
}

#[tokio::test]
async fn a_spent_code_stays_spent_over_a_restart() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    let offer = codes(&device, 1, at(30));
    store.spend(&offer, &Principal::Root, HERE, at(30)).await.expect("a right code");
    drop(store);
    let store = opened(dir.path(), &journal, at(30)).await;
    let again = store.spend(&offer, &Principal::Root, HERE, at(30)).await;
    assert_eq!(again.err(), Some(SpendError::Fault(MfaFault::Replayed)));
}

#[tokio::test]
async fn failures_are_counted_over_a_restart() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    let wrong = codes(&device, 1, at(3000));
    for _ in 0..2 {
        let refused = store.spend(&wrong, &Principal::Root, HERE, at(30)).await;
        assert_eq!(refused.err(), Some(SpendError::Fault(MfaFault::WrongCode)));
    }
    drop(store);
    let store = opened(dir.path(), &journal, at(30)).await;
    assert_eq!(store.codes_needed(&device.serial, at(30)), Some(2));
}

#[tokio::test]
async fn of_two_requests_with_one_code_one_is_accepted() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let offer = codes(&device, 1, at(30));
    let (first, second) = tokio::join!(
        store.spend(&offer, &Principal::Root, HERE, at(30)),
        store.spend(&offer, &Principal::Root, HERE, at(30))
    );
    let accepted = [&first, &second].iter().filter(|spent| spent.is_ok()).count();
    assert_eq!(accepted, 1, "{first:?} {second:?}");
}

#[tokio::test]
async fn only_roots_offers_are_looked_at() {
    let (store, _, journal) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let written = journal.records().len();
    let alice = Principal::User(user("alice"));
    let refused = store.spend(&codes(&device, 1, at(30)), &alice, HERE, at(30)).await;
    assert_eq!(refused.err(), Some(SpendError::Fault(MfaFault::UnknownDevice)));
    assert_eq!(journal.records().len(), written);
    let unknown = TokenCodes {
        serial: portcullis_base::names::DeviceSerial::parse("20899872").expect("legal"),
        codes: Vec::new(),
    };
    let refused = store.spend(&unknown, &Principal::Root, HERE, at(30)).await;
    assert_eq!(refused.err(), Some(SpendError::Fault(MfaFault::UnknownDevice)));
}

#[tokio::test]
async fn a_change_that_the_journal_did_not_take_is_not_acknowledged_but_holds() {
    let (store, _, journal) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    journal.failing.store(true, Ordering::SeqCst);
    let offer = codes(&device, 1, at(30));
    let spent = store.spend(&offer, &Principal::Root, HERE, at(30)).await;
    assert_eq!(spent.err(), Some(SpendError::Store(StoreError::Journal(JournalUnavailable))));
    // The store is ahead by one; a second change would put it further ahead than a restart could mend.
    let next = store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::EnableMfaDelete, at(30))
        .await;
    assert_eq!(next, Err(StoreError::Journal(JournalUnavailable)));
    assert_eq!(store.bucket(&bucket("vault")), BucketRecord::UNPROTECTED);
    journal.failing.store(false, Ordering::SeqCst);
    let replayed = store.spend(&offer, &Principal::Root, HERE, at(30)).await;
    assert_eq!(replayed.err(), Some(SpendError::Fault(MfaFault::Replayed)));
    store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::EnableMfaDelete, at(30))
        .await
        .expect("recorded");
}

#[tokio::test]
async fn after_a_disk_failed_nothing_more_is_written() {
    let (store, engine, _) = in_memory(at(0)).await;
    engine.broken.store(true, Ordering::SeqCst);
    let failed = store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::EnableMfaDelete, at(0))
        .await;
    assert!(matches!(failed, Err(StoreError::Engine(EngineError::Failed(_)))));
    engine.broken.store(false, Ordering::SeqCst);
    let closed = store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::EnableMfaDelete, at(0))
        .await;
    assert_eq!(closed, Err(StoreError::Engine(EngineError::Closed)));
}

#[tokio::test]
async fn a_change_is_finished_though_who_asked_for_it_left() {
    let (store, _, _) = in_memory(at(0)).await;
    let writer = store.0.writer.lock().await;
    let name = bucket("vault");
    let recording = Box::pin(store.record_bucket(&name, store.bucket(&name), StateChange::EnableMfaDelete, at(0)));
    assert!(tokio::time::timeout(std::time::Duration::ZERO, recording).await.is_err());
    drop(writer);
    // The writer is handed on in turn, so the change is through when it comes back to us.
    drop(store.0.writer.lock().await);
    assert_eq!(store.bucket(&name).mfa_delete, MfaDelete::Enabled);
}

#[tokio::test]
async fn a_crash_between_disk_and_journal_is_mended_at_the_next_start() {
    let (dir, journal, _) = used().await;
    let store = opened(dir.path(), &journal, at(1)).await;
    journal.failing.store(true, Ordering::SeqCst);
    let lost = store
        .record_bucket(&bucket("second"), store.bucket(&bucket("second")), StateChange::EnableMfaDelete, at(1))
        .await;
    assert_eq!(lost, Err(StoreError::Journal(JournalUnavailable)));
    let known = journal.records().len();
    drop(store);
    let unavailable = open(dir.path(), &journal, at(2)).await;
    assert!(matches!(unavailable, Err(StartError::Store(StoreError::Journal(JournalUnavailable)))));
    journal.failing.store(false, Ordering::SeqCst);
    let store = opened(dir.path(), &journal, at(2)).await;
    assert_eq!(journal.records().len(), known + 1);
    assert_eq!(store.bucket(&bucket("second")).mfa_delete, MfaDelete::Enabled);
}

#[tokio::test]
async fn a_missing_store_is_not_made_anew_when_the_journal_knows_it() {
    let (dir, journal, _) = used().await;
    std::fs::remove_dir_all(dir.path().join("state")).expect("gone");
    assert!(matches!(open(dir.path(), &journal, at(1)).await, Err(StartError::Missing)));
    assert!(!dir.path().join("state").exists());
    // An empty one is as good as missing.
    drop(sled_engine::SledEngine::open(&dir.path().join("state")).await.expect("made"));
    assert!(matches!(open(dir.path(), &journal, at(1)).await, Err(StartError::Behind { store: 0, .. })));
}

#[tokio::test]
async fn a_store_that_was_put_back_from_a_copy_is_refused() {
    let (dir, journal, _) = used().await;
    let copy = |from: &str, to: &str| {
        std::fs::create_dir_all(dir.path().join(to)).expect("made");
        for entry in std::fs::read_dir(dir.path().join(from)).expect("there") {
            let entry = entry.expect("readable");
            if entry.file_type().expect("known").is_file() {
                std::fs::copy(entry.path(), dir.path().join(to).join(entry.file_name())).expect("copied");
            }
        }
    };
    copy("state", "copy");
    let store = opened(dir.path(), &journal, at(1)).await;
    store
        .record_bucket(&bucket("vault"), store.bucket(&bucket("vault")), StateChange::DisableMfaDelete, at(1))
        .await
        .expect("recorded");
    drop(store);
    std::fs::remove_dir_all(dir.path().join("state")).expect("gone");
    copy("copy", "state");
    let refused = open(dir.path(), &journal, at(2)).await;
    let Err(StartError::Behind { store, journal: known }) = refused else { panic!("{refused:?}") };
    assert_eq!(known, store + 1);
    rebuild(dir.path(), journal.all(), at(2)).await.expect("rebuilt");
    assert_eq!(opened(dir.path(), &journal, at(2)).await.bucket(&bucket("vault")).mfa_delete, MfaDelete::Disabled);
}

#[tokio::test]
async fn a_journal_that_lost_its_end_is_noticed() {
    let (dir, journal, _) = used().await;
    let records = journal.records();
    let open = async |entries: &[Vec<u8>]| {
        StateStore::open(dir.path(), journal.clone(), entries, Clock::standing_at(at(1))).await
    };
    for left in [0, 1, records.len() - 2] {
        let known = u64::try_from(left).expect("small");
        let cut = open(&records[..left]).await;
        assert!(matches!(cut, Err(StartError::JournalCut { journal, .. }) if journal == known), "{left}: {cut:?}");
    }
    let mut other: serde_json::Value = serde_json::from_slice(&records[records.len() - 1]).expect("json");
    other["at"] = 0.into();
    let altered = open(&[other.to_string().into_bytes()]).await;
    assert!(matches!(altered, Err(StartError::JournalUnreadable(_))), "{altered:?}");
    // Its changes are ours, but it is not the write that the store has.
    other.as_object_mut().expect("an object").remove("sum");
    let diverged = open(&[other.to_string().into_bytes()]).await;
    assert!(matches!(diverged, Err(StartError::Diverged(_))), "{diverged:?}");
}

#[tokio::test]
async fn the_store_is_rebuilt_from_the_journal_as_it_was() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.create_user(&user("alice"), at(30)).await.expect("made");
    store.create_key(&Principal::User(user("alice")), KeyMaterial::Random, at(30)).await.expect("made");
    store.create_user(&user("bob"), at(30)).await.expect("made");
    store.delete_user(&user("bob"), at(30)).await.expect("gone");
    store
        .record_bucket(&bucket("old"), store.bucket(&bucket("old")), StateChange::Bury, at(30))
        .await
        .expect("recorded");
    store.put_trail(None, trail("main"), at(30)).await.expect("made");
    store.put_trail(None, trail("gone"), at(30)).await.expect("made");
    store.delete_trail(&trail("gone"), at(30)).await.expect("gone");
    store.pin_trail_head(&trail("main").name, TrailHead("head".to_owned()), at(30)).await.expect("pinned");
    store.add_signing_key(signing_key(1, 0, 9), Duration::ZERO, at(30)).await.expect("added");
    store.add_signing_key(signing_key(2, 10, 19), Duration::ZERO, at(30)).await.expect("added");
    store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("a right code");
    let before = picture(&store);
    drop(store);
    std::fs::write(dir.path().join("state").join("db"), b"rubbish").expect("written");
    std::fs::write(dir.path().join("state").join("conf"), b"rubbish").expect("written");
    assert!(matches!(open(dir.path(), &journal, at(31)).await, Err(StartError::Unreadable(_))));

    let mut records = journal.records();
    records.push(records[records.len() - 1].clone());
    let rebuilt = rebuild(dir.path(), records, at(31)).await.expect("rebuilt");
    assert_eq!(rebuilt.revision, u64::try_from(journal.records().len()).expect("small"));
    let aside = rebuilt.set_aside.expect("the old one");
    assert_eq!(std::fs::read(aside.join("db")).expect("kept"), b"rubbish");
    let store = opened(dir.path(), &journal, at(31)).await;
    assert_eq!(picture(&store), before);
    let again = store.spend(&codes(&device, 1, at(30)), &Principal::Root, HERE, at(31)).await;
    assert_eq!(again.err(), Some(SpendError::Fault(MfaFault::Replayed)));
}

#[tokio::test]
async fn a_journal_with_a_gap_or_a_change_of_its_own_rebuilds_nothing() {
    let (dir, journal, _) = used().await;
    let state = std::fs::read(dir.path().join("state").join("db")).expect("there");
    let mut gap = journal.records();
    gap.remove(1);
    assert!(matches!(rebuild(dir.path(), gap, at(1)).await, Err(StartError::JournalUnreadable(2))));
    let forged: Vec<Vec<u8>> = journal
        .records()
        .into_iter()
        .map(|bytes| String::from_utf8(bytes).expect("text").replace("\"Enabled\"", "\"Disabled\"").into_bytes())
        .collect();
    assert!(matches!(rebuild(dir.path(), forged, at(1)).await, Err(StartError::WrongMasterKey(_))));
    assert!(matches!(rebuild(dir.path(), Vec::new(), at(1)).await, Err(StartError::JournalUnreadable(1))));
    assert_eq!(std::fs::read(dir.path().join("state").join("db")).expect("there"), state);
}

#[tokio::test]
async fn an_altered_record_is_refused() {
    for (prefix, from, to) in [
        ("bucket/", "\"Enabled\"", "\"Disabled\""),
        ("device/", "\"last_step\":", "\"last_step\":0"),
        ("device/", "\"seed\":\"", "\"seed\":\"AAAA"),
        ("key/", "\"user\":null", "\"user\":\"mallory\""),
    ] {
        let (dir, journal, _) = used().await;
        let engine = sled_engine::SledEngine::open(&dir.path().join("state")).await.expect("readable");
        let mut entries = engine.scan().await.expect("readable").into_iter();
        let (key, versioned) = entries.find(|(key, _)| key.starts_with(prefix.as_bytes())).expect("one");
        let altered = String::from_utf8(versioned.value).expect("text").replacen(from, to, 1);
        assert!(altered.contains(to), "{altered}");
        let swap = KeySwap { key, expect: Some(versioned.version), value: Some(altered.into_bytes()) };
        engine.compare_and_swap(vec![swap]).await.expect("written");
        drop(engine);
        let refused = open(dir.path(), &journal, at(1)).await;
        assert!(matches!(refused, Err(StartError::WrongMasterKey(_) | StartError::Unreadable(_))), "{prefix} {from}");
    }
}

#[tokio::test]
async fn another_master_key_is_refused_and_a_missing_one_not_replaced() {
    let (dir, journal, _) = used().await;
    let path = dir.path().join("master.key");
    std::fs::remove_file(&path).expect("gone");
    assert!(matches!(
        open(dir.path(), &journal, at(1)).await,
        Err(StartError::MasterKey { error: MasterKeyError::Missing, .. })
    ));
    RecordSealer::create(&path).expect("another");
    assert!(matches!(open(dir.path(), &journal, at(1)).await, Err(StartError::WrongMasterKey(_))));
}

#[tokio::test]
async fn nothing_secret_is_on_the_disk_or_in_the_journal_in_clear() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(1)).await;
    let secret = store.root_credentials().expect("root's key").1;
    drop(store);
    let seed = portcullis_mfa::Seed::from_base32(device.base32_seed.expose()).expect("a seed");
    let disk = std::fs::read(dir.path().join("state").join("db")).expect("there");
    let everything = [disk, journal.records().concat()].concat();
    for needle in [secret.expose().as_bytes(), device.base32_seed.expose().as_bytes(), seed.expose()] {
        assert!(!everything.windows(needle.len()).any(|window| window == needle));
    }
}

#[tokio::test]
async fn a_directory_that_others_may_enter_or_another_proxy_uses_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, journal, _) = used().await;
    let store = opened(dir.path(), &journal, at(1)).await;
    assert!(matches!(open(dir.path(), &journal, at(1)).await, Err(StartError::InUse(_))));
    drop(store);
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o750)).expect("set");
    assert!(matches!(open(dir.path(), &journal, at(1)).await, Err(StartError::DirectoryPermissions(_))));
}

#[tokio::test]
async fn a_buckets_record_follows_what_was_permitted() {
    let (store, _, journal) = in_memory(at(0)).await;
    let vault = bucket("vault");
    let mut told = String::new();
    for change in [
        StateChange::None,
        StateChange::EnableMfaDelete,
        StateChange::EnableMfaDelete,
        StateChange::DisableMfaDelete,
        StateChange::Bury,
        StateChange::EnableMfaDelete,
        StateChange::Forget,
    ] {
        let record = store.record_bucket(&vault, store.bucket(&vault), change, at(0)).await.expect("recorded");
        assert_eq!(store.bucket(&vault), record);
        let written = journal.records().len();
        told.push_str(&format!("{change:?}: {:?} {:?}, {written} written\n", record.mfa_delete, record.name));
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_further_device_and_the_loss_of_one_need_proof() {
    let (store, _, _) = in_memory(at(0)).await;
    let phone = enrolled(&store, "phone", at(0)).await;
    let serial = portcullis_base::names::DeviceSerial::virtual_device(store.account(), "spare").expect("legal");
    let spare = store.create_device(&serial, CodeDigits::Eight, at(0)).await.expect("made");
    let (first, second) = (code(&spare, at(0)), code(&spare, at(30)));
    let enabling = || enabling(&serial, &first, &second);
    let bare = store.enable_device(DeviceChange::Unproved(enabling()), at(30)).await;
    assert_eq!(bare, Err(StoreError::ProofNeeded));
    let own = store.spend(&codes(&spare, 1, at(30)), &Principal::Root, HERE, at(30)).await;
    assert_eq!(own.err(), Some(SpendError::Fault(MfaFault::UnknownDevice)));
    let proof = proved(&store, &phone, enabling(), at(30)).await;
    store.enable_device(DeviceChange::Proved(proof), at(30)).await.expect("enabled");
    assert_eq!(store.delete_device(&serial, at(30)).await, Err(StoreError::DeviceActive));
    let bare = DeviceChange::Unproved(DeviceDeactivation { serial: serial.clone() });
    assert_eq!(store.deactivate_device(bare, at(30)).await, Err(StoreError::ProofNeeded));
    deactivated(&store, &spare, &serial, at(60)).await;
    assert_eq!(store.device(&serial).map(|device| device.status), Some(DeviceStatus::Pending));
    store.delete_device(&serial, at(60)).await.expect("gone");
    assert_eq!(store.delete_device(&serial, at(60)).await, Err(StoreError::NoSuchEntity));
}

#[tokio::test]
async fn wrong_codes_enable_nothing() {
    let (store, _, journal) = in_memory(at(0)).await;
    let serial = portcullis_base::names::DeviceSerial::virtual_device(store.account(), "phone").expect("legal");
    let device = store.create_device(&serial, CodeDigits::Six, at(0)).await.expect("made");
    let written = journal.records().len();
    let twice = enabling(&serial, &code(&device, at(0)), &code(&device, at(0)));
    let same = store.enable_device(DeviceChange::Unproved(twice), at(0)).await;
    assert_eq!(same, Err(StoreError::Enrolment(EnrolmentFault::WrongCodes)));
    assert_eq!(journal.records().len(), written);
    assert!(!store.has_active_device());
}

#[tokio::test]
async fn there_are_at_most_eight_devices_and_two_keys_each() {
    let (store, _, _) = in_memory(at(0)).await;
    for number in 0..9 {
        let serial = portcullis_base::names::DeviceSerial::virtual_device(store.account(), &format!("d{number}"));
        let made = store.create_device(&serial.expect("legal"), CodeDigits::Six, at(0)).await;
        assert_eq!(made.err(), (number == 8).then_some(StoreError::LimitReached));
    }
    store.create_key(&Principal::Root, KeyMaterial::Random, at(0)).await.expect("a second one");
    assert_eq!(
        store.create_key(&Principal::Root, KeyMaterial::Random, at(0)).await.err(),
        Some(StoreError::LimitReached)
    );
}

#[tokio::test]
async fn there_are_at_most_five_thousand_users() {
    let (store, _, _) = in_memory(at(0)).await;
    for number in 0..=MOST_USERS {
        let name = UserName::parse(&format!("user-{number}")).expect("legal");
        let made = store.create_user(&name, at(0)).await;
        assert_eq!(made.err(), (number == MOST_USERS).then_some(StoreError::LimitReached));
    }
}

#[tokio::test]
async fn a_user_goes_after_its_keys_and_a_key_belongs_to_its_holder() {
    let (store, _, _) = in_memory(at(0)).await;
    let alice = Principal::User(user("alice"));
    assert_eq!(store.create_key(&alice, KeyMaterial::Random, at(0)).await.err(), Some(StoreError::NoSuchEntity));
    store.create_user(&user("alice"), at(0)).await.expect("made");
    assert_eq!(store.create_user(&user("Alice"), at(0)).await.err(), Some(StoreError::AlreadyExists));
    let id: AccessKeyId = store.create_key(&alice, KeyMaterial::Random, at(0)).await.expect("made").key.id;
    assert_eq!(store.delete_user(&user("alice"), at(0)).await, Err(StoreError::Remains(RemainingPart::Keys)));
    assert_eq!(store.delete_key(&id, &Principal::Root, at(0)).await, Err(StoreError::NoSuchEntity));
    store.set_key_status(&id, &alice, KeyStatus::Inactive, at(0)).await.expect("set");
    assert_eq!(store.keyring().find(&id).map(|key| key.status), Some(KeyStatus::Inactive));
    store.delete_key(&id, &alice, at(0)).await.expect("gone");
    assert!(store.keyring().find(&id).is_none());
    store.delete_user(&user("alice"), at(0)).await.expect("gone");
}

#[tokio::test]
async fn a_trail_is_changed_only_as_it_was_looked_at() {
    let (store, _, _) = in_memory(at(0)).await;
    let first = trail("main");
    store.put_trail(None, first.clone(), at(0)).await.expect("made");
    assert_eq!(store.put_trail(None, first.clone(), at(0)).await, Err(StoreError::AlreadyExists));
    let second = Trail { global_events: false, ..first.clone() };
    store.put_trail(Some(&first), second.clone(), at(0)).await.expect("changed");
    assert_eq!(store.put_trail(Some(&first), first.clone(), at(0)).await, Err(StoreError::Outdated));
    assert_eq!(store.delete_trail(&first, at(0)).await, Err(StoreError::Outdated));
    assert_eq!(store.trail(&first.name), Some(second.clone()));
    store.delete_trail(&second, at(0)).await.expect("gone");
    assert_eq!(store.put_trail(Some(&second), second.clone(), at(0)).await, Err(StoreError::NoSuchEntity));
    for number in 0..=MOST_TRAILS {
        let made = store.put_trail(None, trail(&format!("trail{number}")), at(0)).await;
        assert_eq!(made.err(), (number == MOST_TRAILS).then_some(StoreError::LimitReached));
    }
}

/// Of two changes that were judged at the same time, the later must not bring two trails into one place.
#[tokio::test]
async fn a_trail_never_comes_to_the_place_of_one_that_is_validated() {
    let (store, _, _) = in_memory(at(0)).await;
    let (first, second) = (trail("first"), trail("second"));
    store.put_trail(None, first.clone(), at(0)).await.expect("made");
    let at_place = Trail { prefix: first.prefix.clone(), ..second.clone() };
    let unproved = Trail { validation: LogFileValidation::Disabled, ..at_place.clone() };
    for trail in [&at_place, &unproved] {
        assert_eq!(store.put_trail(None, trail.clone(), at(0)).await, Err(StoreError::Outdated));
    }
    store.put_trail(None, second.clone(), at(0)).await.expect("made elsewhere");
    for trail in [&at_place, &unproved] {
        assert_eq!(store.put_trail(Some(&second), trail.clone(), at(0)).await, Err(StoreError::Outdated));
    }
    let first_unproved = Trail { validation: LogFileValidation::Disabled, ..first.clone() };
    store.put_trail(Some(&first), first_unproved.clone(), at(0)).await.expect("changed");
    store.put_trail(Some(&second), unproved.clone(), at(0)).await.expect("nothing is to be proven there");
    let done = store.put_trail(Some(&first_unproved), first.clone(), at(0)).await;
    assert_eq!(done, Err(StoreError::Outdated), "it would have to be proven beside the second");
    let tagged = Trail { global_events: false, ..unproved.clone() };
    store.put_trail(Some(&unproved), tagged, at(0)).await.expect("it stays where it is");
}

#[tokio::test]
async fn a_bucket_is_a_trails_while_a_trail_names_it() {
    let (store, _, _) = in_memory(at(0)).await;
    let (first, second) = (trail("first"), trail("second"));
    for trail in [&first, &second] {
        store.put_trail(None, trail.clone(), at(0)).await.expect("made");
    }
    assert_eq!((store.use_of(&bucket("logs")), store.use_of(&bucket("logs2"))), (BucketUse::Trail, BucketUse::Data));
    store.delete_trail(&first, at(0)).await.expect("gone");
    assert_eq!(store.use_of(&bucket("logs")), BucketUse::Trail);
    let moved = Trail { bucket: bucket("logs2"), ..second.clone() };
    store.put_trail(Some(&second), moved, at(0)).await.expect("changed");
    assert_eq!((store.use_of(&bucket("logs")), store.use_of(&bucket("logs2"))), (BucketUse::Data, BucketUse::Trail));
}

#[tokio::test]
async fn a_snapshot_stands_for_all_changes_before_it() {
    let (dir, journal, device) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.snapshot().await.expect("taken");
    let snapshot = journal.snapshots.lock().expect("sound").pop().expect("a snapshot");
    let known = journal.records().len();
    let text = String::from_utf8_lossy(&snapshot).into_owned();
    assert!(!text.contains(device.base32_seed.expose().as_str()));
    let before = picture(&store);
    drop(store);
    let restarted =
        StateStore::open(dir.path(), journal.clone(), std::slice::from_ref(&snapshot), Clock::standing_at(at(31)))
            .await
            .expect("a store");
    assert_eq!(picture(&restarted), before);
    restarted.create_user(&user("alice"), at(31)).await.expect("made");
    let before = picture(&restarted);
    drop(restarted);

    let later = journal.records().split_off(known);
    for records in [
        [vec![snapshot.clone()], later.clone()].concat(),
        [journal.records()[..known].to_vec(), vec![snapshot.clone()], later.clone()].concat(),
    ] {
        let rebuilt = rebuild(dir.path(), records, at(32)).await.expect("rebuilt");
        assert_eq!(rebuilt.revision, u64::try_from(journal.records().len()).expect("small"));
        let store = opened(dir.path(), &journal, at(32)).await;
        assert_eq!(picture(&store), before);
    }
}

#[tokio::test]
async fn a_snapshot_that_lacks_a_record_or_says_another_thing_rebuilds_nothing() {
    let (dir, journal, _) = used().await;
    let store = opened(dir.path(), &journal, at(30)).await;
    store.snapshot().await.expect("taken");
    drop(store);
    let snapshot = journal.snapshots.lock().expect("sound").pop().expect("a snapshot");
    let mut lacking: serde_json::Value = serde_json::from_slice(&snapshot).expect("json");
    lacking["state"].as_array_mut().expect("records").pop();
    let forged = String::from_utf8(snapshot.clone()).expect("text").replacen("\"Enabled\"", "\"Disabled\"", 1);
    for bytes in [lacking.to_string(), forged] {
        let refused = rebuild(dir.path(), vec![bytes.into_bytes()], at(31)).await;
        assert!(matches!(refused, Err(StartError::WrongMasterKey(_))), "{refused:?}");
    }
    let stray = [journal.records()[..1].to_vec(), vec![snapshot]].concat();
    assert!(matches!(rebuild(dir.path(), stray, at(31)).await, Err(StartError::JournalUnreadable(1))));
}
