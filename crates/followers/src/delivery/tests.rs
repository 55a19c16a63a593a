//! What delivery promises: every event once, in its order, under an unbroken chain, whenever the proxy ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Value, json};

use super::*;
use portcullis_base::clock::Clock;
use portcullis_base::names::ObjectKey;
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::digest::{self, DigestEnding, PreviousDigest, TrailDigest};
use portcullis_cloudtrail::keys::PublicKey;
use portcullis_cloudtrail::layout::{DigestSeries, FileKey, FileName};
use portcullis_cloudtrail::merkle::{MerkleTree, leaf_hash};
use portcullis_cloudtrail::selectors::EventSelectors;
use portcullis_cloudtrail::verify::{
    FileMetadata, StoredFile, TrailCurrency, ValidationFinding, ValidationScope, validate,
};
use portcullis_cloudtrail::{DigestPeriod, LogFileValidation, TrailLayout, logfile};
use portcullis_journal::{Journal, JournalOptions, RecordKind};
use portcullis_state::testing::recorded_in;
use portcullis_state::{BoxedFuture, DigestSigningKey, JournalUnavailable, StateJournal, StateStore};

const T0: i64 = 1_800_000_000;
const MINUTE: i64 = 60;
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// Fails once, at the chosen moment: before or after something was done for good.
#[derive(Debug)]
struct Trap {
    left: AtomicUsize,
}

impl Trap {
    const OFF: usize = usize::MAX;

    fn springs(&self) -> bool {
        let left = self.left.load(Ordering::SeqCst);
        if left == Self::OFF {
            return false;
        }
        self.left.store(left.checked_sub(1).unwrap_or(Self::OFF), Ordering::SeqCst);
        left == 0
    }
}

/// The journal as the state writes to it, with a trap.
struct StateLog(Arc<Journal>, Arc<Trap>);

impl StateJournal for StateLog {
    fn record<'a>(&'a self, _revision: u64, write: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move {
            if self.1.springs() {
                return Err(JournalUnavailable);
            }
            self.0.record(RecordKind::State, write).await.map_err(|_| JournalUnavailable)?;
            if self.1.springs() { Err(JournalUnavailable) } else { Ok(()) }
        })
    }

    fn snapshot<'a>(&'a self, state: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
        Box::pin(async move { self.0.append_snapshot(state).map(drop).map_err(|_| JournalUnavailable) })
    }
}

/// Notes in memory, with a trap.
#[derive(Debug)]
struct TrappedSpool(Mutex<BTreeMap<String, Vec<u8>>>, Arc<Trap>);

impl DeliverySpool for TrappedSpool {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().expect("sound").get(name).cloned())
    }

    fn save<'a>(&'a self, name: &'a str, bytes: &[u8]) -> BoxedFuture<'a, io::Result<()>> {
        let bytes = bytes.to_vec();
        Box::pin(async move {
            if self.1.springs() {
                return Err(io::Error::other("trapped"));
            }
            self.0.lock().expect("sound").insert(name.to_owned(), bytes);
            if self.1.springs() { Err(io::Error::other("trapped")) } else { Ok(()) }
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.1.springs() {
            return Err(io::Error::other("trapped"));
        }
        self.0.lock().expect("sound").remove(name);
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().expect("sound").keys().cloned().collect())
    }
}

/// Buckets in memory that keep every version, with a trap.
#[derive(Debug)]
struct TrappedBuckets {
    files: Mutex<BTreeMap<(String, String), Vec<TrailObject>>>,
    trap: Arc<Trap>,
}

impl TrappedBuckets {
    fn fault() -> DestinationError {
        DestinationError::Folder { path: "trapped".into(), reason: "trapped".to_owned() }
    }
}

impl TrailDestination for TrappedBuckets {
    fn make_bucket<'a>(&'a self, _bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), DestinationError>> {
        Box::pin(async { Ok(()) })
    }

    fn put<'a>(
        &'a self,
        bucket: TrailBucket<'a>,
        key: &'a ObjectKey,
        parcel: &'a TrailObject,
    ) -> BoxedFuture<'a, Result<(), DestinationError>> {
        Box::pin(async move {
            if self.trap.springs() {
                return Err(Self::fault());
            }
            let place = (bucket.name().to_string(), key.to_string());
            self.files.lock().expect("sound").entry(place).or_default().push(parcel.clone());
            if self.trap.springs() { Err(Self::fault()) } else { Ok(()) }
        })
    }

    fn read<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
    ) -> BoxedFuture<'a, Result<Option<TrailObject>, DestinationError>> {
        let place = (bucket.to_string(), key.to_string());
        let found = self.files.lock().expect("sound").get(&place).and_then(|versions| versions.last().cloned());
        Box::pin(async move { Ok(found) })
    }

    fn list<'a>(
        &'a self,
        _bucket: &'a BucketName,
        _prefix: &'a str,
        _after: &'a str,
    ) -> BoxedFuture<'a, Result<Vec<String>, DestinationError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

struct Rig {
    clock: Arc<AtomicI64>,
    dependencies: Arc<DeliveryDependencies>,
    destination: Arc<TrappedBuckets>,
    trap: Arc<Trap>,
    runner: Option<TrailRunner>,
    /// How often the proxy was restarted.
    crashes: usize,
    directory: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let trap = Arc::new(Trap { left: AtomicUsize::new(Trap::OFF) });
        let clock = Arc::new(AtomicI64::new(T0 * 1000));
        let at = Timestamp::from_seconds(T0);
        let folder = directory.path().join("journal");
        let options = JournalOptions { segment_size: 1 << 20, ..JournalOptions::default() };
        let journal = Arc::new(Journal::open(&folder, options).expect("a journal").0);
        let state = recorded_in(Arc::new(StateLog(Arc::clone(&journal), Arc::clone(&trap))), at).await;
        state.add_signing_key(ready_key(), MONTH, at).await.expect("added");
        let destination = Arc::new(TrappedBuckets { files: Mutex::default(), trap: Arc::clone(&trap) });
        let dependencies = Arc::new(DeliveryDependencies {
            keys: DigestKeys::new(state.clone(), Clock::Set(Arc::clone(&clock)), MONTH),
            account: state.account().clone(),
            state,
            journal,
            spool: Arc::new(TrappedSpool(Mutex::default(), Arc::clone(&trap))),
            destination: Arc::clone(&destination) as Arc<dyn TrailDestination>,
            checkpoints: CheckpointSink::Folder(directory.path().join("witness")),
            clock: Clock::Set(Arc::clone(&clock)),
            region: "us-east-1".to_owned(),
            log_period: Duration::from_secs(10),
        });
        Self { clock, dependencies, destination, trap, runner: None, crashes: 0, directory }
    }

    fn state(&self) -> &StateStore {
        &self.dependencies.state
    }

    fn now(&self) -> Timestamp {
        self.dependencies.clock.now()
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Changes the trail as the API does, also where a first attempt meets the trap.
    async fn put(&self, change: impl Fn(Trail) -> Trail) {
        let was = self.state().trail(&name());
        let next = change(was.clone().unwrap_or_else(|| trail(self.now())));
        if self.state().put_trail(was.as_ref(), next, self.now()).await.is_err() {
            self.state().watch_clock(self.now()).await.expect("kept");
            let again = |trail: Trail| change(trail);
            let was = self.state().trail(&name());
            let next = again(was.clone().expect("in memory"));
            self.state().put_trail(was.as_ref(), next, self.now()).await.expect("recorded");
        }
    }

    async fn log(&self) {
        let at = self.now();
        self.put(|trail| Trail { logging: TrailLogging::Started { at }, ..trail }).await;
    }

    async fn stop(&self) {
        let at = self.now();
        self.put(|trail| {
            let started = match trail.logging {
                TrailLogging::Started { at } | TrailLogging::Stopped { started: at, .. } => at,
                TrailLogging::Never => panic!("it never logged"),
            };
            Trail { logging: TrailLogging::Stopped { started, at }, ..trail }
        })
        .await;
    }

    /// An event of this moment.
    fn event(&self, id: &str) {
        self.event_at(id, self.now());
    }

    fn event_at(&self, id: &str, time: Timestamp) {
        self.dependencies
            .journal
            .append(RecordKind::Event, line(id, "PutBucketVersioning", time).as_bytes())
            .expect("recorded");
    }

    /// Lets delivery do all that is due, and starts it again where it fails.
    async fn drive(&mut self) -> NextStep {
        let last = self.dependencies.journal.last_sequence();
        self.dependencies.journal.durable(last).await.expect("on disk");
        loop {
            let runner = match self.runner.take() {
                Some(runner) => Ok(runner),
                None => TrailRunner::open(
                    Arc::clone(&self.dependencies),
                    self.state().trail(&name()).unwrap_or_else(|| trail(self.now())),
                    0,
                ),
            };
            let mut runner = runner.expect("opened");
            match runner.step(DeliveryPace::Usual).await {
                Ok(NextStep::Again) => self.runner = Some(runner),
                Ok(NextStep::Wait) => {
                    self.runner = Some(runner);
                    return NextStep::Wait;
                }
                Ok(NextStep::Done) => return NextStep::Done,
                Err(error) => {
                    self.crashes += 1;
                    assert!(self.crashes < 2, "{error}");
                }
            }
        }
    }

    /// Lets the window end, and its digest be delivered.
    async fn end_window(&mut self) {
        self.pass(MINUTE);
        self.drive().await;
    }

    /// What delivery says is missing.
    fn missing(&self) -> Option<&str> {
        self.runner.as_ref().and_then(|runner| runner.missing.as_deref())
    }

    /// Every digest of a series in order, verified, with the events that it proves.
    fn proved(&self, series: DigestSeries) -> Vec<(TrailDigest, Vec<String>)> {
        let keys: Vec<PublicKey> = self.state().signing_keys().iter().filter_map(DigestSigningKey::listed).collect();
        let mut proved = Vec::new();
        let mut chain: Option<(TrailDigest, [u8; 32], Vec<u8>)> = None;
        let mut tree = MerkleTree::empty();
        for (bucket, object) in self.files().into_iter().filter(|(_, object)| is_digest(object, series)) {
            let parcel = self.file(&bucket, &object).expect("there");
            let json = logfile::decompress(&parcel.bytes, 1 << 20).expect("one member");
            let (digest, hash) = (TrailDigest::parse(&json).expect("a digest"), digest::hash(&json));
            assert_eq!((&digest.object, digest.bucket.as_str()), (&object, bucket.as_str()));
            let signature = hex::decode(&parcel.metadata["signature"]).expect("hexadecimal");
            let key = keys.iter().find(|key| key.fingerprint() == digest.fingerprint).expect("a known key");
            key.verify(digest.signing_input(&hash).as_bytes(), &signature).expect("ours");
            assert!(key.valid_from <= digest.end && digest.end < key.valid_to);
            assert!(digest.start < digest.end);
            match (&chain, &digest.previous) {
                (None, PreviousDigest::Origin) => {}
                (Some((last, hash, _)), PreviousDigest::Restart(link)) => {
                    assert_eq!((&link.object, &link.hash), (&last.object, hash));
                    assert_eq!(last.extent.ending, DigestEnding::Final);
                }
                (Some((last, hash, signature)), PreviousDigest::Digest { link, signature: previous }) => {
                    assert_eq!((&link.object, &link.hash, previous), (&last.object, hash, signature));
                    assert_eq!(last.extent.ending, DigestEnding::Continues);
                    assert_eq!(digest.start, last.end, "windows without a gap");
                    assert_eq!(digest.extent.first_sequence, last.extent.last_sequence + 1);
                }
                (last, previous) => panic!("{previous:?} after {last:?}"),
            }
            assert_eq!(digest.extent.before, tree);
            let mut events = Vec::new();
            for log in &digest.log_files {
                let text = logfile::decompress(&self.file(&bucket, &log.object).expect("there").bytes, 1 << 26);
                let text = text.expect("one member");
                assert_eq!(digest::hash(&text), log.hash);
                for record in logfile::records(&text).expect("records") {
                    tree.push(leaf_hash(record));
                    let record: Value = serde_json::from_slice(record).expect("JSON");
                    events.push(record["eventID"].as_str().expect("an id").to_owned());
                }
            }
            assert_eq!((digest.extent.size, digest.extent.root), (tree.size(), tree.root()));
            proved.push((digest.clone(), events));
            chain = Some((digest, hash, signature));
        }
        proved
    }

    /// What validation finds wrong with the files.
    fn findings(&self) -> Vec<ValidationFinding> {
        let Trail { name, bucket, prefix, .. } = trail(self.now());
        let stored = |(_, object): (String, String)| {
            let parcel = self.file(bucket.as_str(), &object).expect("there");
            let metadata = parcel.metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            (object, StoredFile { bytes: parcel.bytes.to_vec(), metadata: FileMetadata::Present(metadata) })
        };
        let mut files: BTreeMap<String, StoredFile> = self.files().into_iter().map(stored).collect();
        let scope = ValidationScope {
            layout: TrailLayout {
                prefix,
                account: self.dependencies.account.clone(),
                region: self.dependencies.region.clone(),
            },
            trail: name,
            bucket,
            keys: self.state().signing_keys().iter().filter_map(DigestSigningKey::listed).collect(),
            start: None,
            end: None,
            expected: Vec::new(),
            currency: TrailCurrency::At(self.now()),
        };
        let Ok(report) = validate(&mut files, &scope);
        report.findings
    }

    fn events(&self, series: DigestSeries) -> Vec<Vec<String>> {
        self.proved(series).into_iter().map(|(_, events)| events).collect()
    }

    /// Log files that no digest names.
    fn unnamed(&self) -> Vec<String> {
        let named: BTreeSet<String> = [DigestSeries::Standard, DigestSeries::Backfill]
            .into_iter()
            .flat_map(|series| self.proved(series))
            .flat_map(|(digest, _)| digest.log_files)
            .map(|log| log.object)
            .collect();
        let objects = self.files().into_iter().map(|(_, object)| object);
        let logs =
            objects.filter(|object| matches!(FileKey::parse(object).map(|key| key.file), Some(FileName::Log { .. })));
        logs.filter(|object| !named.contains(object)).collect()
    }

    fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<_> = self.destination.files.lock().expect("sound").keys().cloned().collect();
        files.sort_by_key(|(_, object)| object.rsplit_once('/').map(|(_, name)| name.to_owned()));
        files
    }

    fn file(&self, bucket: &str, object: &str) -> Option<TrailObject> {
        let place = (bucket.to_owned(), object.to_owned());
        self.destination.files.lock().expect("sound").get(&place).and_then(|versions| versions.last().cloned())
    }
}

fn is_digest(object: &str, wanted: DigestSeries) -> bool {
    matches!(FileKey::parse(object).map(|key| key.file), Some(FileName::Digest { series, .. }) if series == wanted)
}

fn name() -> TrailName {
    TrailName::parse("main").expect("a name")
}

fn trail(created: Timestamp) -> Trail {
    let bucket = BucketName::parse("logs").expect("a name");
    let digest_period = DigestPeriod::parse(Duration::from_secs(60)).expect("a minute");
    Trail { digest_period, ..Trail::new(name(), bucket, created) }
}

fn line(id: &str, name: &str, time: Timestamp) -> String {
    json!({
        "eventVersion": "1.11", "userIdentity": { "type": "Root" }, "eventTime": time.iso_extended(),
        "eventSource": "s3.amazonaws.com", "eventName": name, "eventID": id, "readOnly": false,
        "eventType": "AwsApiCall", "managementEvent": true, "eventCategory": "Management",
    })
    .to_string()
}

/// Making keys takes longer than all else.
fn ready_key() -> DigestSigningKey {
    static KEY: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (public, private) = KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        (pair.public_key().as_ref().to_vec(), pair.as_der().expect("written").as_ref().to_vec())
    });
    let valid_from = Timestamp::from_seconds(T0);
    let private = Some(Secret::new(private.clone()));
    DigestSigningKey { public: public.clone(), valid_from, valid_to: valid_from.plus(MONTH), private }
}

fn events(windows: &[&[&str]]) -> Vec<Vec<String>> {
    windows.iter().map(|window| window.iter().map(|id| (*id).to_owned()).collect()).collect()
}

#[tokio::test]
async fn windows_follow_each_other_from_start_to_stop_with_and_without_events() {
    let mut rig = Rig::start().await;
    rig.event("before");
    rig.log().await;
    rig.event("a");
    assert_eq!(rig.drive().await, NextStep::Wait);
    rig.pass(9);
    rig.event("b");
    rig.drive().await;
    assert_eq!(rig.files(), [], "the period is not over");
    rig.pass(1);
    rig.drive().await;
    assert_eq!(rig.files().len(), 1);
    rig.pass(MINUTE - 10);
    rig.drive().await;
    rig.pass(MINUTE);
    rig.drive().await;
    rig.pass(10);
    rig.event("c");
    rig.stop().await;
    rig.event("stop");
    assert_eq!(rig.drive().await, NextStep::Wait);
    rig.pass(3);
    rig.event("after");
    assert_eq!(rig.drive().await, NextStep::Done);
    let proved = rig.proved(DigestSeries::Standard);
    assert_eq!(rig.events(DigestSeries::Standard), events(&[&["before", "a", "b"], &[], &["c", "stop"]]));
    let spans: Vec<_> =
        proved.iter().map(|(digest, _)| (digest.start.seconds() - T0, digest.end.seconds() - T0)).collect();
    assert_eq!(spans, [(0, 60), (60, 120), (120, 133)]);
    assert_eq!(proved[2].0.extent.ending, DigestEnding::Final);

    rig.pass(MINUTE);
    rig.event("unseen");
    rig.pass(1);
    rig.log().await;
    rig.event("d");
    rig.drive().await;
    rig.pass(MINUTE);
    rig.drive().await;
    let proved = rig.proved(DigestSeries::Standard);
    assert_eq!(proved[3].1, ["d"]);
    assert!(matches!(proved[3].0.previous, PreviousDigest::Restart(_)));
    assert_eq!(rig.unnamed(), Vec::<String>::new());
    assert_eq!(rig.findings(), []);
}

#[tokio::test]
async fn after_a_crash_at_any_step_the_same_files_are_there() {
    let mut most = 0;
    for step in 0.. {
        let mut rig = Rig::start().await;
        rig.trap.left.store(step, Ordering::SeqCst);
        rig.log().await;
        rig.event("a");
        rig.drive().await;
        rig.pass(10);
        rig.event("b");
        rig.drive().await;
        rig.pass(MINUTE);
        rig.drive().await;
        rig.event("c");
        rig.event_at("late", Timestamp::from_seconds(T0 + 1));
        rig.pass(MINUTE);
        rig.drive().await;
        rig.stop().await;
        rig.event("stop");
        rig.pass(3);
        assert_eq!(rig.drive().await, NextStep::Done);
        rig.log().await;
        rig.event("d");
        rig.pass(MINUTE);
        rig.drive().await;

        let found: Vec<String> = rig.events(DigestSeries::Standard).concat();
        assert_eq!(found, ["a", "b", "c", "stop", "d"], "step {step}");
        assert_eq!(rig.events(DigestSeries::Backfill).concat(), ["late"], "step {step}");
        assert_eq!(rig.unnamed(), Vec::<String>::new(), "step {step}");
        assert_eq!(rig.findings(), [], "step {step}");
        let files = rig.destination.files.lock().expect("sound").clone();
        let same = files.values().all(|versions| versions.windows(2).all(|pair| pair[0] == pair[1]));
        assert!(same, "step {step}: two files of one name");
        let notes = rig.dependencies.spool.names().expect("readable");
        let told = std::fs::read_to_string(rig.directory.path().join("witness/main.checkpoints")).expect("told");
        assert_eq!(told.matches("arn:aws:cloudtrail").count(), 5, "step {step}");
        if rig.trap.left.load(Ordering::SeqCst) != Trap::OFF {
            assert_eq!(notes, ["main.json"]);
            most = step;
            break;
        }
    }
    assert!(most > 50, "only {most} steps were met");
}

#[tokio::test]
async fn a_change_takes_effect_where_it_stands_in_the_journal() {
    let mut rig = Rig::start().await;
    let selectors = |kind: &str| EventSelectors::parse_basic(&json!([{ "ReadWriteType": kind }])).expect("selectors");
    rig.log().await;
    rig.event("wide");
    rig.put(|trail| Trail { selectors: selectors("ReadOnly"), ..trail }).await;
    rig.event("narrow");
    rig.put(|trail| Trail { selectors: selectors("WriteOnly"), ..trail }).await;
    rig.event("wide again");
    // All of it is looked at only now.
    rig.drive().await;
    rig.end_window().await;
    assert_eq!(rig.events(DigestSeries::Standard), events(&[&["wide", "wide again"]]));
}

#[tokio::test]
async fn a_trail_that_moves_goes_on_elsewhere_with_its_chain() {
    let mut rig = Rig::start().await;
    rig.log().await;
    rig.event("here");
    rig.drive().await;
    let elsewhere = BucketName::parse("elsewhere").expect("a name");
    rig.pass(5);
    rig.put(|trail| Trail { bucket: elsewhere.clone(), ..trail }).await;
    rig.event("there");
    rig.drive().await;
    rig.end_window().await;
    let proved = rig.proved(DigestSeries::Standard);
    let places: Vec<_> = proved.iter().map(|(digest, events)| (digest.bucket.to_string(), events.concat())).collect();
    let at = |bucket: &str, event: &str| (bucket.to_owned(), event.to_owned());
    assert_eq!(places, [at("logs", "here"), at("elsewhere", "there")]);
    assert!(matches!(proved[1].0.previous, PreviousDigest::Digest { .. }));
}

#[tokio::test]
async fn without_validation_there_are_log_files_and_no_digests() {
    let mut rig = Rig::start().await;
    rig.put(|trail| Trail { validation: LogFileValidation::Disabled, ..trail }).await;
    rig.log().await;
    rig.event("unsigned");
    rig.drive().await;
    rig.end_window().await;
    assert_eq!((rig.files().len(), rig.proved(DigestSeries::Standard).len()), (1, 0));
    rig.put(|trail| Trail { validation: LogFileValidation::Enabled, ..trail }).await;
    rig.event("signed");
    rig.drive().await;
    rig.end_window().await;
    rig.put(|trail| Trail { validation: LogFileValidation::Disabled, ..trail }).await;
    rig.event("unsigned again");
    rig.pass(1);
    rig.drive().await;
    rig.end_window().await;
    let proved = rig.proved(DigestSeries::Standard);
    assert_eq!(rig.events(DigestSeries::Standard), events(&[&["signed"], &[]]));
    assert_eq!(proved[1].0.extent.ending, DigestEnding::Final);
    assert_eq!(rig.unnamed().len(), 2);
}

#[tokio::test]
async fn a_key_is_followed_by_another_within_the_chain() {
    let mut rig = Rig::start().await;
    rig.log().await;
    rig.event("old");
    rig.drive().await;
    rig.end_window().await;
    rig.pass(30 * 86_400);
    rig.event("new");
    rig.drive().await;
    let proved = rig.proved(DigestSeries::Standard);
    assert_eq!(rig.events(DigestSeries::Standard), events(&[&["old"], &["new"]]));
    assert_ne!(proved[0].0.fingerprint, proved[1].0.fingerprint);
    assert_eq!(rig.state().signing_keys().len(), 2);
}

#[tokio::test]
async fn lost_progress_is_noticed_and_the_chain_goes_on() {
    let mut rig = Rig::start().await;
    rig.log().await;
    rig.event("a");
    rig.drive().await;
    rig.end_window().await;
    rig.event("b");
    rig.drive().await;
    rig.pass(11);
    rig.drive().await;
    let first = rig.dependencies.spool.load("main.json").expect("readable").expect("there");
    assert_eq!(rig.missing(), None);

    rig.dependencies.spool.remove("main.json").expect("removed");
    rig.runner = None;
    rig.drive().await;
    assert!(rig.missing().is_some_and(|text| text.contains("is lost")), "{:?}", rig.missing());
    rig.event("c");
    rig.end_window().await;
    rig.end_window().await;
    assert_eq!(rig.events(DigestSeries::Standard), events(&[&["a"], &["b", "c"], &[]]));
    assert_eq!(rig.unnamed().len(), 1, "what was delivered and not yet digested");
    assert_eq!(rig.missing(), None);

    // Put back to where it was once.
    rig.dependencies.spool.save("main.json", &first).await.expect("saved");
    rig.runner = None;
    rig.drive().await;
    assert!(rig.missing().is_some());
    rig.event("d");
    rig.end_window().await;
    assert_eq!(rig.events(DigestSeries::Standard).last(), events(&[&["d"]]).last());
}

#[tokio::test]
async fn a_wiped_bucket_is_noticed_with_the_next_digest() {
    let mut rig = Rig::start().await;
    rig.log().await;
    rig.drive().await;
    rig.end_window().await;
    rig.end_window().await;
    assert_eq!(rig.missing(), None);
    rig.destination.files.lock().expect("sound").clear();
    rig.end_window().await;
    assert!(rig.missing().is_some_and(|text| text.contains("is missing from bucket `logs`")), "{:?}", rig.missing());
    let (bucket, object) = rig.files().remove(0);
    let parcel = rig.file(&bucket, &object).expect("there");
    let json = logfile::decompress(&parcel.bytes, 1 << 20).expect("one member");
    let digest = TrailDigest::parse(&json).expect("a digest");
    assert!(matches!(digest.previous, PreviousDigest::Digest { .. }), "it still names what is gone");
}

#[tokio::test]
async fn a_window_that_nobody_ended_is_as_long_as_it_took() {
    let mut rig = Rig::start().await;
    rig.log().await;
    rig.event("a");
    rig.drive().await;
    rig.runner = None;
    rig.pass(100 * MINUTE);
    rig.event("b");
    rig.drive().await;
    let proved = rig.proved(DigestSeries::Standard);
    assert_eq!(rig.events(DigestSeries::Standard), events(&[&["a", "b"]]));
    assert_eq!(proved[0].0.end.seconds() - proved[0].0.start.seconds(), 100 * MINUTE);
}

#[tokio::test]
async fn a_full_log_file_is_followed_by_another() {
    let rig = Rig::start().await;
    rig.log().await;
    for number in 0..10 {
        rig.event(&number.to_string());
    }
    let last = rig.dependencies.journal.last_sequence();
    rig.dependencies.journal.durable(last).await.expect("on disk");
    let progress = TrailProgress::begin(trail(rig.now()), rig.now(), 0);
    let mut gather = gather::EventGatherer::of(&progress, rig.state().clone(), &rig.dependencies.journal);
    let size = u64::try_from(line("0", "PutBucketVersioning", rig.now()).len()).expect("small");
    let limits = gather::GatherLimits { until: last, compressed: usize::MAX, uncompressed: 4 * size };
    let mut sizes = Vec::new();
    loop {
        let pause = gather.follow(limits).expect("followed");
        sizes.extend(gather.cut(DigestSeries::Standard).map(|(file, _)| file.records));
        if pause == gather::GatherPause::End {
            break;
        }
    }
    assert_eq!(sizes, [4, 4, 2]);
}

/// A whole delivery, with its tasks, over these dependencies.
struct Going(Delivery);

impl Going {
    async fn until(&self, what: &str, is_met: impl Fn(&Delivery) -> bool) {
        let waiting = async {
            while !is_met(&self.0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("never {what}"));
    }
}

fn needed_from(delivery: &Delivery) -> Sequence {
    delivery.inner().needed_from()
}

#[tokio::test]
async fn each_trail_has_its_task_and_its_standing() {
    let rig = Rig::start().await;
    let dependencies = Arc::clone(&rig.dependencies);
    let delivery = Delivery::over(Arc::clone(&dependencies));
    let going = Going(delivery.clone());
    going.until("complete", |delivery| needed_from(delivery).number() > 1).await;
    rig.log().await;
    assert_eq!(needed_from(&delivery), Sequence::new(1), "until it is known what it needs");
    delivery.notify_changed();
    rig.event("a");
    rig.trap.left.store(0, Ordering::SeqCst);
    delivery.notify_changed();
    let failed = |delivery: &Delivery| {
        rig.pass(1);
        delivery.notify_changed();
        delivery.status(&name()).delivery_error.is_some()
    };
    going.until("failed", failed).await;
    let delivered = |delivery: &Delivery| {
        delivery.notify_changed();
        let status = delivery.status(&name());
        status.delivered.is_some() && status.delivery_error.is_none()
    };
    going.until("delivered", delivered).await;
    let needed = needed_from(&delivery);
    rig.pass(MINUTE);
    let digested = |delivery: &Delivery| {
        delivery.notify_changed();
        delivery.status(&name()).digested.is_some()
    };
    going.until("digested", digested).await;
    going.until("further", |delivery| needed_from(delivery) > needed).await;

    let was = rig.state().trail(&name()).expect("there");
    rig.pass(5);
    rig.event("last");
    rig.state().delete_trail(&was, rig.now()).await.expect("gone");
    let forgotten = |delivery: &Delivery| {
        delivery.notify_changed();
        dependencies.spool.names().is_ok_and(|names| names.is_empty())
    };
    going.until("forgotten", forgotten).await;
    let proved = rig.proved(DigestSeries::Standard);
    assert_eq!(rig.events(DigestSeries::Standard).concat(), ["a", "last"]);
    assert!(proved.last().is_some_and(|(digest, _)| digest.extent.ending == DigestEnding::Final));
    going
        .until("free", |delivery| needed_from(delivery).number() > rig.dependencies.journal.last_sequence().number())
        .await;
    delivery.stop().await;
}

#[tokio::test]
async fn a_trail_that_was_never_started_has_no_task() {
    let rig = Rig::start().await;
    rig.put(|trail| trail).await;
    let delivery = Delivery::over(Arc::clone(&rig.dependencies));
    let going = Going(delivery.clone());
    going.until("looked at", |delivery| delivery.inner().known().complete).await;
    rig.event("a");
    assert!(delivery.inner().known().trails.is_empty());
    delivery.stop().await;
    assert!(rig.files().is_empty());
}

#[tokio::test]
async fn what_was_gathered_is_delivered_at_the_end_of_the_proxy() {
    let rig = Rig::start().await;
    rig.log().await;
    rig.event("a");
    let delivery = Delivery::over(Arc::clone(&rig.dependencies));
    let going = Going(delivery.clone());
    going.until("looked at", |delivery| delivery.inner().known().complete).await;
    rig.event("b");
    delivery.stop().await;
    assert_eq!(rig.files().len(), 1);
}
