//! A trail to try validation on: 55 digests with a change of keys, a restart and backfill; and ways to tamper with it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::{ExpectedDigest, FileMetadata, StoredFile, TrailCurrency, TrailFiles, ValidationScope, validate};
use crate::digest::{DigestEnding, DigestExtent, DigestLink, LogEntry, PreviousDigest, TrailDigest, hash};
use crate::layout::{DigestSeries, LogSuffix, TrailLayout};
use crate::logfile::{LogFile, LogFileBuilder, compress, decompress};
use crate::merkle::{MerkleTree, leaf_hash};
use crate::test_signer::Signer;
use crate::{DeliveredLog, DigestHead, TrailEnd, TrailName};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, BucketName};

/// A trail's files, and what they are validated by.
#[derive(Clone, Debug)]
pub struct TrailFixture {
    pub files: BTreeMap<String, StoredFile>,
    pub scope: ValidationScope,
    /// The digests' keys, in their order.
    pub digests: Vec<String>,
    pub backfill: Vec<String>,
    signers: Arc<[Signer; 2]>,
}

/// One way to tamper, and what must be said of it.
pub struct Tampering {
    pub what: &'static str,
    pub tamper: fn(&mut TrailFixture),
    /// Each code that is found, once.
    pub found: &'static [&'static str],
}

const HOUR: i64 = 3600;
const DIGESTS: i64 = 55;
/// The digest that ends logging; it starts again five hours later.
const STOP: i64 = 29;
/// The first digest of the second key.
const ROTATION: i64 = 20;
const EMPTY: i64 = 40;
const BACKFILLS: [i64; 2] = [10, 35];
const LIMIT: usize = 1 << 20;

static GROWN: LazyLock<TrailFixture> = LazyLock::new(|| TrailFixture::grow(DigestEnding::Continues));
static ENDED: LazyLock<TrailFixture> = LazyLock::new(|| TrailFixture::grow(DigestEnding::Final));

/// Every manipulation of a trail's files by someone who can write them, with or without a key.
pub const TAMPERINGS: &[Tampering] = &[
    Tampering { what: "nothing", tamper: |_| {}, found: &[] },
    Tampering {
        what: "a log file is edited",
        tamper: |it| it.replace(&it.log(7), br#"{"Records":[{"eventID":"forged"}]}"#),
        found: &["HashMismatch"],
    },
    Tampering { what: "a log file is removed", tamper: |it| it.remove(&it.log(7)), found: &["NotFound"] },
    Tampering {
        what: "a log file is not gzip",
        tamper: |it| it.file(&it.log(7)).bytes = b"{}".to_vec(),
        found: &["Malformed"],
    },
    Tampering {
        what: "a second gzip member follows a log file",
        tamper: |it| it.append(&it.log(7), &compress(br#"{"Records":[{}]}"#).0),
        found: &["TrailingBytes"],
    },
    Tampering {
        what: "zeroes follow a log file",
        tamper: |it| it.append(&it.log(7), &[0; 8]),
        found: &["TrailingBytes"],
    },
    Tampering {
        what: "a second gzip member follows a digest",
        tamper: |it| it.append(&it.digests[7].clone(), &compress(b"{}").0),
        found: &["NotNamed", "TrailingBytes"],
    },
    Tampering {
        what: "a digest in the middle is removed",
        tamper: |it| it.remove(&it.digests[7].clone()),
        found: &["NotFound", "NotNamed"],
    },
    Tampering {
        what: "a digest in the middle is removed with its log files",
        tamper: |it| {
            it.remove_logs(7);
            it.remove(&it.digests[7].clone());
        },
        found: &["NotFound"],
    },
    Tampering {
        what: "the first digest is removed",
        tamper: |it| it.remove(&it.digests[0].clone()),
        found: &["NotFound", "NotNamed"],
    },
    Tampering {
        what: "the digest that ended logging is removed",
        tamper: |it| it.remove(&it.digests[29].clone()),
        found: &["NotFound", "NotNamed"],
    },
    Tampering {
        what: "a digest is edited",
        tamper: |it| it.edit(7, |digest| digest.log_files.clear()),
        found: &["NotNamed", "SignatureInvalid"],
    },
    Tampering {
        what: "a digest's signature is removed",
        tamper: |it| it.metadata(7, |metadata| _ = metadata.remove("signature")),
        found: &["NotNamed", "SignatureMissing"],
    },
    Tampering {
        what: "a digest's signature is another's",
        tamper: |it| it.metadata(7, |metadata| _ = metadata.insert("signature".to_owned(), "00".repeat(256))),
        found: &["NotNamed", "SignatureInvalid"],
    },
    Tampering {
        what: "a digest's metadata name another algorithm",
        tamper: |it| {
            it.metadata(7, |metadata| {
                _ = metadata.insert("signature-algorithm".to_owned(), "SHA512withRSA".to_owned())
            });
        },
        found: &["NotNamed", "SignatureAlgorithm"],
    },
    Tampering {
        what: "a digest is signed with another algorithm than its metadata say",
        tamper: |it| it.sign_by_sha512(7),
        found: &["NotNamed", "SignatureInvalid"],
    },
    Tampering {
        what: "a digest lies in another's place",
        tamper: |it| {
            let other = it.files[&it.digests[6]].clone();
            *it.file(&it.digests[7].clone()) = other;
        },
        found: &["Moved", "NotNamed"],
    },
    Tampering {
        what: "a public key is not known",
        tamper: |it| _ = it.scope.keys.remove(0),
        found: &["NotNamed", "UnknownKey"],
    },
    Tampering {
        what: "a digest is signed by a key of another month",
        tamper: |it| it.resign_by(0, 50, |_| {}),
        found: &["ExpiredKey", "NotNamed"],
    },
    Tampering { what: "everything is removed", tamper: |it| it.files.clear(), found: &["NothingFound"] },
    Tampering {
        what: "all digests are removed",
        tamper: |it| it.files.retain(|key, _| !key.contains("CloudTrail-Digest")),
        found: &["NotNamed", "NothingFound"],
    },
    Tampering {
        what: "the tail is removed, and its head is known",
        tamper: |it| {
            it.scope.expected = vec![ExpectedDigest::Head(it.head(54))];
            it.cut_tail();
        },
        found: &["HeadMissing"],
    },
    Tampering {
        what: "the tail is removed, and its head's hash is known",
        tamper: |it| {
            it.scope.expected = vec![ExpectedDigest::Hash(it.head(54).hash)];
            it.cut_tail();
        },
        found: &["HeadHashMissing"],
    },
    Tampering {
        what: "the tail is removed, and nothing else is known",
        tamper: TrailFixture::cut_tail,
        found: &["TailNotProven"],
    },
    Tampering {
        what: "the tail is removed, and logging has ended",
        tamper: |it| {
            it.scope.currency = TrailCurrency::Ended;
            it.cut_tail();
        },
        found: &["NotEnded"],
    },
    Tampering {
        what: "the tail is removed, and the proxy is at work",
        tamper: |it| {
            it.scope.currency = TrailCurrency::At(Timestamp::from_seconds(it.head(54).end.seconds() + 60));
            it.cut_tail();
        },
        found: &["Stale"],
    },
    Tampering {
        what: "the tail is rewritten by the holder of the key, and its head is known",
        tamper: |it| {
            it.scope.expected = vec![ExpectedDigest::Head(it.head(54))];
            it.rewrite_from(50);
        },
        found: &["HeadDiffers"],
    },
    Tampering { what: "a log file is forged", tamper: |it| it.forge_log(7), found: &["NotNamed"] },
    Tampering {
        what: "a digest in the middle is rewritten by the holder of the key",
        tamper: |it| it.resign(7, |digest| digest.log_files.clear()),
        found: &["NotNamed", "Rewritten", "TreeRoot"],
    },
    Tampering {
        what: "a log file and its digest are rewritten by the holder of the key",
        tamper: |it| {
            let forged = br#"{"Records":[{"eventID":"forged"}]}"#;
            it.replace(&it.log(7), forged);
            it.resign(7, |digest| digest.log_files[0].hash = hash(forged));
        },
        found: &["Rewritten", "TreeRoot"],
    },
    Tampering {
        what: "a window is left out",
        tamper: |it| it.resign(7, |digest| digest.start = digest.start.plus(std::time::Duration::from_secs(60))),
        found: &["Gap", "Rewritten"],
    },
    Tampering {
        what: "records of the journal are left out",
        tamper: |it| it.resign(7, |digest| digest.extent.first_sequence += 1),
        found: &["Rewritten", "SequenceGap"],
    },
    Tampering {
        what: "a tree grows from another one",
        tamper: |it| it.resign(7, |digest| digest.extent.before = digest.extent.before.clone().with(leaf_hash(b"x"))),
        found: &["Rewritten", "TreeBefore", "TreeRoot"],
    },
    Tampering {
        what: "a restart is feigned",
        tamper: |it| {
            it.resign(7, |digest| {
                if let PreviousDigest::Digest { link, .. } = digest.previous.clone() {
                    digest.previous = PreviousDigest::Restart(link);
                }
            });
        },
        found: &["RestartUnannounced", "Rewritten"],
    },
    Tampering {
        what: "a new origin is feigned",
        tamper: |it| {
            it.resign(30, |digest| {
                digest.previous = PreviousDigest::Origin;
                digest.extent.before = MerkleTree::empty();
            });
        },
        found: &["Rewritten", "SecondOrigin", "TreeRoot"],
    },
    Tampering {
        what: "two digests name a log file",
        tamper: |it| {
            let named = it.digest(6).log_files[0].clone();
            it.resign(7, |digest| digest.log_files.push(named));
        },
        found: &["NamedTwice", "Rewritten"],
    },
    Tampering {
        what: "a digest names a file that is none of the trail's",
        tamper: |it| it.resign(7, |digest| digest.log_files[0].object = "elsewhere.json.gz".to_owned()),
        found: &["NotNamed", "OutsideTrail", "Rewritten"],
    },
    Tampering {
        what: "a digest is put between two others by the holder of the key",
        tamper: |it| it.insert_digest(),
        found: &["PreviousIsAnother"],
    },
    Tampering {
        what: "a backfill digest is removed",
        tamper: |it| it.remove(&it.backfill[0].clone()),
        found: &["NotFound", "NotNamed"],
    },
    Tampering {
        what: "a backfill digest has no time",
        tamper: |it| {
            let key = it.backfill[0].clone();
            if let FileMetadata::Present(metadata) = &mut it.file(&key).metadata {
                metadata.remove("backfill-generation-timestamp");
            }
        },
        found: &["NoBackfillTime", "NotNamed"],
    },
    Tampering {
        what: "files lie about that are none of a trail's",
        tamper: |it| {
            let file = it.files[&it.digests[0]].clone();
            let (logs, digests) = (it.scope.layout.logs(), it.scope.layout.digests());
            it.files.insert(format!("{logs}notes.txt"), file.clone());
            it.files.insert(format!("{digests}notes.txt"), file);
        },
        found: &["Stray"],
    },
];

impl TrailFixture {
    /// The whole trail, intact, which goes on.
    pub fn grown() -> Self {
        GROWN.clone()
    }

    /// The whole trail, intact, up to its final digest.
    pub fn ended() -> Self {
        ENDED.clone()
    }

    /// A trail of another name beside this one.
    pub fn of_trail(name: &str, ending: DigestEnding) -> Self {
        let mut grower = Grower::new(name);
        for number in 0..3 {
            grower.window(number, if number == 2 { ending } else { DigestEnding::Continues });
        }
        grower.fixture
    }

    fn grow(last: DigestEnding) -> Self {
        let mut grower = Grower::new("main");
        for number in 0..DIGESTS {
            if BACKFILLS.contains(&number) {
                grower.backfill(number);
            }
            let ending = match number {
                STOP => DigestEnding::Final,
                _ if number == DIGESTS - 1 => last,
                _ => DigestEnding::Continues,
            };
            grower.window(number, ending);
        }
        grower.fixture
    }

    pub fn remove(&mut self, key: &str) {
        self.files.remove(key).expect("the file is there");
    }

    pub fn file(&mut self, key: &str) -> &mut StoredFile {
        self.files.get_mut(key).expect("the file is there")
    }

    pub fn digest(&self, number: usize) -> TrailDigest {
        self.read(&self.digests[number])
    }

    fn read(&self, key: &str) -> TrailDigest {
        TrailDigest::parse(&decompress(&self.files[key].bytes, LIMIT).expect("gzip")).expect("a digest")
    }

    /// The first log file of a digest.
    pub fn log(&self, number: usize) -> String {
        self.digest(number).log_files[0].object.clone()
    }

    pub fn head(&self, number: usize) -> DigestHead {
        let file = &self.files[&self.digests[number]];
        let FileMetadata::Present(metadata) = &file.metadata else { panic!("metadata") };
        let hash = hash(&decompress(&file.bytes, LIMIT).expect("gzip"));
        DigestHead::of(
            &self.digest(number),
            hash,
            hex::decode(&metadata["signature"]).expect("hex"),
            DigestSeries::Standard,
        )
    }

    /// The end that the proxy reports after it delivered this digest.
    pub fn end_at(&self, number: usize) -> TrailEnd {
        let Ok(report) = validate(&mut self.files.clone(), &self.scope);
        let backfill = report.heads.into_iter().filter(|head| head.series == DigestSeries::Backfill);
        TrailEnd { heads: std::iter::once(self.head(number)).chain(backfill).collect(), ..TrailEnd::default() }
    }

    /// The log files of a digest, as the proxy noted them before it.
    pub fn logs_of(&self, number: usize) -> Vec<DeliveredLog> {
        let logs = self.digest(number).log_files.into_iter();
        logs.map(|log| DeliveredLog { object: log.object, hash: log.hash }).collect()
    }

    /// Removes the digests from this one on, with the log files that they name.
    pub fn remove_from(&mut self, number: usize) {
        for number in number..self.digests.len() {
            self.logs_of(number).iter().for_each(|log| self.remove(&log.object));
            self.remove(&self.digests[number].clone());
        }
    }

    fn replace(&mut self, key: &str, text: &[u8]) {
        self.file(key).bytes = compress(text).0;
    }

    fn append(&mut self, key: &str, bytes: &[u8]) {
        self.file(key).bytes.extend_from_slice(bytes);
    }

    fn metadata(&mut self, number: usize, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let key = self.digests[number].clone();
        if let FileMetadata::Present(metadata) = &mut self.file(&key).metadata {
            change(metadata);
        }
    }

    fn edit(&mut self, number: usize, change: impl FnOnce(&mut TrailDigest)) {
        let (key, mut digest) = (self.digests[number].clone(), self.digest(number));
        change(&mut digest);
        self.file(&key).bytes = digest.write().bytes;
    }

    fn resign(&mut self, number: usize, change: impl FnOnce(&mut TrailDigest)) {
        let signer = usize::from(i64::try_from(number).is_ok_and(|number| number >= ROTATION));
        self.resign_by(signer, number, change);
    }

    fn resign_by(&mut self, signer: usize, number: usize, change: impl FnOnce(&mut TrailDigest)) {
        let mut digest = self.digest(number);
        change(&mut digest);
        self.put(signer, digest, None);
    }

    /// Signs a digest and puts it in its place.
    fn put(&mut self, signer: usize, mut digest: TrailDigest, backfill: Option<Timestamp>) -> (DigestLink, Vec<u8>) {
        let signer = &self.signers[signer];
        digest.fingerprint = signer.public.fingerprint();
        let written = digest.write();
        let signature = signer.sign(written.signing_input.as_bytes());
        let mut metadata = signed(&signature);
        metadata.extend(backfill.map(|at| ("backfill-generation-timestamp".to_owned(), at.iso_extended())));
        let file = StoredFile { bytes: written.bytes, metadata: FileMetadata::Present(metadata) };
        self.files.insert(digest.object.clone(), file);
        (digest.link(written.hash), signature)
    }

    fn sign_by_sha512(&mut self, number: usize) {
        let input = self.digest(number).write().signing_input;
        let signature = self.signers[0].sign_by_sha512(input.as_bytes());
        self.metadata(number, |metadata| metadata.extend(signed(&signature)));
    }

    fn remove_logs(&mut self, number: usize) {
        let logs = self.digest(number).log_files;
        logs.iter().for_each(|log| self.remove(&log.object));
    }

    fn cut_tail(&mut self) {
        for number in 52..55 {
            self.remove_logs(number);
            let key = self.digests[number].clone();
            self.remove(&key);
        }
    }

    /// Forges an event in the place of all others, and makes every digest from here on fit.
    fn rewrite_from(&mut self, number: usize) {
        let mut digest = self.digest(number);
        let forged = br#"{"Records":[{"eventID":"forged"}]}"#;
        let tree = digest.extent.before.clone().with(leaf_hash(br#"{"eventID":"forged"}"#));
        (number..self.digests.len()).for_each(|number| self.remove_logs(number));
        digest.log_files.truncate(1);
        digest.log_files[0].hash = hash(forged);
        self.files.insert(digest.log_files[0].object.clone(), unsigned(compress(forged).0));
        (digest.extent.size, digest.extent.root) = (tree.size(), tree.root());
        let (mut link, mut signature) = self.put(1, digest, None);
        for later in number + 1..self.digests.len() {
            let mut digest = self.digest(later);
            digest.previous = PreviousDigest::Digest { link, signature };
            digest.log_files.clear();
            digest.extent.before = tree.clone();
            (digest.extent.size, digest.extent.root) = (tree.size(), tree.root());
            (link, signature) = self.put(1, digest, None);
        }
    }

    /// Leaves the trail as one that was deleted at its stop, with a new one of its name after it.
    pub fn recreate_after_stop(&mut self) {
        let mut recreated = Grower::new(self.scope.trail.as_str());
        recreated.fixture.signers = Arc::clone(&self.signers);
        let kept: Vec<String> = self.digests.drain(..=30).collect();
        let until = kept[29].clone();
        self.files.retain(|key, _| !key.contains("CloudTrail-Digest") || *key <= until);
        let named: Vec<String> =
            kept[..30].iter().flat_map(|key| self.read(key).log_files).map(|log| log.object).collect();
        let backfill: Vec<String> = self.read(&self.backfill[0]).log_files.into_iter().map(|log| log.object).collect();
        self.files.retain(|key, _| key.contains("CloudTrail-Digest") || named.contains(key) || backfill.contains(key));
        recreated.now = self.read(&kept[29]).end.seconds() + 9 * HOUR;
        recreated.created = Timestamp::from_seconds(recreated.now);
        recreated.files = 1000;
        for number in 31..34 {
            recreated.window(number, if number == 33 { DigestEnding::Final } else { DigestEnding::Continues });
        }
        self.files.extend(recreated.fixture.files);
    }

    fn forge_log(&mut self, number: usize) {
        self.add_log(self.digest(number).start, 0);
    }

    /// A log file that no digest names; its key.
    pub fn add_log(&mut self, slot: Timestamp, number: u8) -> String {
        let mut builder = LogFileBuilder::new();
        builder.push(br#"{"eventID":"forged"}"#, slot);
        let key = self.scope.layout.log_key(slot, &LogSuffix::derive(&[b"forged", &[number]]));
        self.files.insert(key.clone(), unsigned(builder.finish().bytes));
        key
    }

    /// A digest of half an hour, which the one after it does not know of.
    fn insert_digest(&mut self) {
        let before = self.head(6);
        let mut digest = self.digest(7);
        digest.end = Timestamp::from_seconds(digest.start.seconds() + HOUR / 2);
        digest.object = self.scope.layout.digest_key(&self.scope.trail, digest.end, DigestSeries::Standard);
        digest.log_files.clear();
        digest.extent.last_sequence = digest.extent.first_sequence;
        (digest.extent.size, digest.extent.root) = (digest.extent.before.size(), digest.extent.before.root());
        assert_eq!(digest.previous.link().map(|link| link.hash), Some(before.hash));
        self.put(0, digest, None);
    }
}

impl MerkleTree {
    fn with(mut self, leaf: [u8; 32]) -> Self {
        self.push(leaf);
        self
    }
}

fn signed(signature: &[u8]) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("signature".to_owned(), hex::encode(signature)),
        ("signature-algorithm".to_owned(), "SHA256withRSA".to_owned()),
    ])
}

fn unsigned(bytes: Vec<u8>) -> StoredFile {
    StoredFile { bytes, metadata: FileMetadata::Present(BTreeMap::new()) }
}

/// Creates a trail's files as the proxy does, window by window.
struct Grower {
    fixture: TrailFixture,
    standard: Chain,
    backfill: Chain,
    sequence: u64,
    now: i64,
    created: Timestamp,
    files: u32,
}

struct Chain {
    tree: MerkleTree,
    last: Option<(DigestLink, Vec<u8>, DigestEnding)>,
}

impl Grower {
    fn new(name: &str) -> Self {
        let start = Timestamp::parse_iso_extended("2026-10-01T00:00:00Z").expect("a time").seconds();
        let at = |hours: i64| Timestamp::from_seconds(start + hours * HOUR);
        let month = 30 * 24;
        // The first key's month ends at the rotation; the second's is long past when the first is used again.
        let signers = Arc::new([
            Signer::new(at(ROTATION - month), at(ROTATION)),
            Signer::new(at(ROTATION), at(ROTATION + month)),
        ]);
        let layout = TrailLayout {
            prefix: None,
            account: AccountId::parse("111122223333").expect("an account"),
            region: "us-east-1".to_owned(),
        };
        let scope = ValidationScope {
            layout,
            trail: TrailName::parse(name).expect("a name"),
            bucket: BucketName::parse("trail-bucket").expect("a bucket"),
            keys: signers.iter().map(|signer| signer.public.clone()).collect(),
            start: None,
            end: None,
            expected: Vec::new(),
            currency: TrailCurrency::Unasked,
        };
        let fixture =
            TrailFixture { files: BTreeMap::new(), scope, digests: Vec::new(), backfill: Vec::new(), signers };
        let chain = || Chain { tree: MerkleTree::empty(), last: None };
        Self {
            fixture,
            standard: chain(),
            backfill: chain(),
            sequence: 0,
            now: start,
            created: Timestamp::from_seconds(5),
            files: 0,
        }
    }

    /// One window with its log files and its digest.
    fn window(&mut self, number: i64, ending: DigestEnding) {
        if number == STOP + 1 {
            self.now += 5 * HOUR;
            self.sequence += 100;
        }
        let start = self.now;
        let first = self.sequence + 1;
        let before = self.standard.tree.clone();
        let count = if number == EMPTY { 0 } else { 1 + number % 3 };
        let logs: Vec<LogEntry> = (0..count).map(|file| self.log(start + file * 600, DigestSeries::Standard)).collect();
        // Not all that is journaled is admitted.
        self.sequence += 7;
        self.now = start + HOUR;
        let extent = self.extent(first, before, &self.standard.tree, ending);
        let key = self.digest(number, start, logs, extent, DigestSeries::Standard);
        self.fixture.digests.push(key);
    }

    /// A digest of a log file that came late.
    fn backfill(&mut self, number: i64) {
        let before = self.backfill.tree.clone();
        let (start, first) = (self.now, self.sequence + 1);
        let logs = vec![self.log(start + 1200, DigestSeries::Backfill)];
        self.sequence -= 3;
        let extent = self.extent(first, before, &self.backfill.tree, DigestEnding::Continues);
        self.now = start + HOUR;
        let key = self.digest(number, start, logs, extent, DigestSeries::Backfill);
        self.now = start;
        self.fixture.backfill.push(key);
    }

    fn extent(&self, first_sequence: u64, before: MerkleTree, tree: &MerkleTree, ending: DigestEnding) -> DigestExtent {
        DigestExtent {
            trail_created: self.created,
            first_sequence,
            last_sequence: self.sequence.max(first_sequence),
            before,
            size: tree.size(),
            root: tree.root(),
            ending,
        }
    }

    fn log(&mut self, at: i64, series: DigestSeries) -> LogEntry {
        let mut builder = LogFileBuilder::new();
        for _ in 0..3 {
            self.sequence += 1;
            let line = format!(r#"{{"eventID":"{}"}}"#, self.sequence);
            builder.push(line.as_bytes(), Timestamp::from_seconds(at));
            let tree = match series {
                DigestSeries::Backfill => &mut self.backfill.tree,
                DigestSeries::Standard => &mut self.standard.tree,
            };
            tree.push(leaf_hash(line.as_bytes()));
        }
        self.files += 1;
        let name = self.fixture.scope.trail.as_str().as_bytes();
        let suffix = LogSuffix::derive(&[name, &self.files.to_le_bytes()]);
        let key = self.fixture.scope.layout.log_key(Timestamp::from_seconds(at), &suffix);
        let file: LogFile = builder.finish();
        let entry = LogEntry::of(key.clone(), &file).expect("it holds events");
        self.fixture.files.insert(key, unsigned(file.bytes));
        entry
    }

    fn digest(
        &mut self,
        number: i64,
        start: i64,
        log_files: Vec<LogEntry>,
        extent: DigestExtent,
        series: DigestSeries,
    ) -> String {
        let chain = match series {
            DigestSeries::Backfill => &mut self.backfill,
            DigestSeries::Standard => &mut self.standard,
        };
        let previous = match chain.last.take() {
            None => PreviousDigest::Origin,
            Some((link, signature, DigestEnding::Continues)) => PreviousDigest::Digest { link, signature },
            Some((link, _, DigestEnding::Final)) => PreviousDigest::Restart(link),
        };
        let fixture = &mut self.fixture;
        let (scope, end) = (&fixture.scope, Timestamp::from_seconds(self.now));
        let signer = usize::from(number >= ROTATION);
        let (key, ending) = (scope.layout.digest_key(&scope.trail, end, series), extent.ending);
        let digest = TrailDigest {
            account: scope.layout.account.clone(),
            start: Timestamp::from_seconds(start),
            end,
            bucket: scope.bucket.clone(),
            object: key.clone(),
            fingerprint: fixture.signers[signer].public.fingerprint(),
            previous,
            log_files,
            extent,
        };
        let (link, signature) = fixture.put(signer, digest, (series == DigestSeries::Backfill).then_some(end));
        chain.last = Some((link, signature, ending));
        key
    }
}

impl TrailFiles for BTreeMap<String, StoredFile> {
    type Error = std::convert::Infallible;

    fn list(&mut self, prefix: &str) -> Result<Vec<String>, Self::Error> {
        Ok(self.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn read(&mut self, key: &str) -> Result<Option<StoredFile>, Self::Error> {
        Ok(self.get(key).cloned())
    }
}
