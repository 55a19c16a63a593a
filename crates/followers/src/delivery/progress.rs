//! How far a trail is delivered, in the form that survives a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use portcullis_authorization::{BucketUse, TrailRegister};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::digest::{DigestEnding, LogEntry};
use portcullis_cloudtrail::layout::DigestSeries;
use portcullis_cloudtrail::merkle::{MerkleTree, Sha256Hash};
use portcullis_cloudtrail::{DigestHead, Trail};

/// How far a trail is delivered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TrailProgress {
    /// The trail as it was where the journal has been followed to.
    pub trail: Trail,
    pub course: DeliveryStage,
    /// The last record of the journal that was looked at; what it admitted is planned or delivered.
    pub taken: u64,
    /// Where the window of the next digest begins.
    pub window: Timestamp,
    pub standard: DigestChain,
    pub backfill: DigestChain,
    /// What is to be written next, in this order; its bytes are noted beside this.
    pub planned: Vec<PlannedFile>,
    /// Digests that the witness is still to be told of.
    pub untold: Vec<DigestHead>,
    pub delivered: Option<Timestamp>,
    pub digested: Option<Timestamp>,
}

/// What happens to a trail.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum DeliveryStage {
    /// Its events are delivered; those from before this moment are not its own.
    Logging { since: Timestamp },
    /// A last digest is due, and then what the journal made of the trail.
    Ending(TrailSuccessor),
    /// As logging, but the record of the journal that started it is still ahead.
    Starting { since: Timestamp },
    /// Logging stopped at this moment; the end of it is awaited, so that the stop itself is on record.
    Stopping { at: Timestamp },
    /// Nothing is left to do.
    Stopped,
}

/// What the journal made of a trail.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TrailSuccessor {
    Nothing,
    Trail(Box<Trail>),
}

/// One of a trail's two series of digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DigestChain {
    /// The last digest.
    pub last: Option<LastDigest>,
    /// The tree as of the last digest.
    pub before: MerkleTree,
    /// The tree with the log files that wait.
    pub tree: MerkleTree,
    /// The last record of the journal that a digest spoke of.
    pub covered: u64,
    /// Log files that no digest names yet.
    pub waiting: Vec<LogEntry>,
}

/// The last digest of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastDigest {
    pub bucket: BucketName,
    pub object: String,
    pub hash: Sha256Hash,
    pub signature: Vec<u8>,
    pub end: Timestamp,
    pub ending: DigestEnding,
}

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedFile {
    pub bucket: BucketName,
    pub object: String,
    /// Under which name its bytes are noted.
    pub note: String,
    /// SHA-256 of these bytes.
    pub checksum: Sha256Hash,
    pub metadata: BTreeMap<&'static str, String>,
    pub series: DigestSeries,
    pub outcome: DeliveryOutcome,
}

/// What follows from a file that was written and read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeliveryOutcome {
    /// The chain goes on from this digest.
    Digest { last: LastDigest, head: DigestHead },
    /// A log file waits for its digest.
    Log(LogEntry),
}

impl TrailProgress {
    /// Of a trail that starts to log here.
    pub(super) fn begin(trail: Trail, since: Timestamp, taken: u64) -> Self {
        Self {
            trail,
            course: DeliveryStage::Starting { since },
            taken,
            window: Timestamp::from_seconds(since.seconds()),
            standard: DigestChain::begin(taken),
            backfill: DigestChain::begin(taken),
            planned: Vec::new(),
            untold: Vec::new(),
            delivered: None,
            digested: None,
        }
    }

    /// The series of this kind.
    pub(super) fn chain(&self, series: DigestSeries) -> &DigestChain {
        match series {
            DigestSeries::Backfill => &self.backfill,
            DigestSeries::Standard => &self.standard,
        }
    }

    /// The series of this kind, to be changed.
    pub(super) fn chain_mut(&mut self, series: DigestSeries) -> &mut DigestChain {
        match series {
            DigestSeries::Backfill => &mut self.backfill,
            DigestSeries::Standard => &mut self.standard,
        }
    }

    /// Where the chains end, as it is pinned in the store.
    pub(super) fn pin(&self) -> PinnedChains {
        let pinned =
            |chain: &DigestChain| DigestChain { waiting: Vec::new(), tree: chain.before.clone(), ..chain.clone() };
        PinnedChains { created: self.trail.created, standard: pinned(&self.standard), backfill: pinned(&self.backfill) }
    }

    /// The written form.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&json::TrailProgressJson::of(self)).unwrap_or_default()
    }

    /// Reads the written form.
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<json::TrailProgressJson>(bytes).ok()?.read()
    }
}

/// The state no longer tells of a trail that was deleted or moved. Its progress does: it is begun by a recorded trail, and
/// follows what the journal made of it.
impl TrailRegister for TrailProgress {
    fn use_of(&self, bucket: &BucketName) -> BucketUse {
        let mut planned = self.planned.iter().map(|planned| &planned.bucket);
        if self.trail.bucket == *bucket || planned.any(|planned| planned == bucket) {
            BucketUse::Trail
        } else {
            BucketUse::Data
        }
    }
}

/// Where a trail's chains end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PinnedChains {
    /// When the trail was created, since another may have its name.
    pub created: Timestamp,
    pub standard: DigestChain,
    pub backfill: DigestChain,
}

impl PinnedChains {
    /// The written form.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(&json::PinnedChainsJson::of(self)).unwrap_or_default()
    }

    /// Reads the written form.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str::<json::PinnedChainsJson>(text).ok()?.read()
    }
}

impl DigestChain {
    fn begin(taken: u64) -> Self {
        Self { last: None, before: MerkleTree::empty(), tree: MerkleTree::empty(), covered: taken, waiting: Vec::new() }
    }
}

/// The written forms.
mod json {
    use super::*;

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct TrailProgressJson {
        trail: Value,
        course: DeliveryStageJson,
        taken: u64,
        window: i64,
        standard: DigestChainJson,
        backfill: DigestChainJson,
        planned: Vec<PlannedFileJson>,
        untold: Vec<String>,
        delivered: Option<i64>,
        digested: Option<i64>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct PinnedChainsJson {
        created: i64,
        standard: DigestChainJson,
        backfill: DigestChainJson,
    }

    #[derive(Deserialize, Serialize)]
    enum DeliveryStageJson {
        Logging(i64),
        Ending(Option<Value>),
        Starting(i64),
        Stopping(i64),
        Stopped,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct DigestChainJson {
        last: Option<LastDigestJson>,
        before: MerkleTreeJson,
        tree: MerkleTreeJson,
        covered: u64,
        waiting: Vec<LogEntryJson>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct MerkleTreeJson {
        size: u64,
        peaks: Vec<String>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct LastDigestJson {
        bucket: String,
        object: String,
        hash: String,
        signature: String,
        end: i64,
        is_final: bool,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct LogEntryJson {
        object: String,
        hash: String,
        oldest: i64,
        newest: i64,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct PlannedFileJson {
        bucket: String,
        object: String,
        note: String,
        checksum: String,
        metadata: BTreeMap<String, String>,
        is_backfill: bool,
        outcome: DeliveryOutcomeJson,
    }

    #[derive(Deserialize, Serialize)]
    enum DeliveryOutcomeJson {
        Digest { last: LastDigestJson, head: String },
        Log(LogEntryJson),
    }

    impl TrailProgressJson {
        pub(super) fn of(progress: &super::TrailProgress) -> Self {
            Self {
                trail: progress.trail.to_json(),
                course: match &progress.course {
                    super::DeliveryStage::Logging { since } => DeliveryStageJson::Logging(since.millis()),
                    super::DeliveryStage::Ending(TrailSuccessor::Nothing) => DeliveryStageJson::Ending(None),
                    super::DeliveryStage::Ending(TrailSuccessor::Trail(trail)) => {
                        DeliveryStageJson::Ending(Some(trail.to_json()))
                    }
                    super::DeliveryStage::Starting { since } => DeliveryStageJson::Starting(since.millis()),
                    super::DeliveryStage::Stopping { at } => DeliveryStageJson::Stopping(at.millis()),
                    super::DeliveryStage::Stopped => DeliveryStageJson::Stopped,
                },
                taken: progress.taken,
                window: progress.window.millis(),
                standard: DigestChainJson::of(&progress.standard),
                backfill: DigestChainJson::of(&progress.backfill),
                planned: progress.planned.iter().map(PlannedFileJson::of).collect(),
                untold: progress.untold.iter().map(DigestHead::to_json).collect(),
                delivered: progress.delivered.map(Timestamp::millis),
                digested: progress.digested.map(Timestamp::millis),
            }
        }

        pub(super) fn read(self) -> Option<super::TrailProgress> {
            let trail = |json: &Value| Trail::from_json(json).ok();
            let course = match self.course {
                DeliveryStageJson::Logging(since) => {
                    super::DeliveryStage::Logging { since: Timestamp::from_millis(since) }
                }
                DeliveryStageJson::Ending(None) => super::DeliveryStage::Ending(TrailSuccessor::Nothing),
                DeliveryStageJson::Ending(Some(next)) => {
                    super::DeliveryStage::Ending(TrailSuccessor::Trail(Box::new(trail(&next)?)))
                }
                DeliveryStageJson::Starting(since) => {
                    super::DeliveryStage::Starting { since: Timestamp::from_millis(since) }
                }
                DeliveryStageJson::Stopping(at) => super::DeliveryStage::Stopping { at: Timestamp::from_millis(at) },
                DeliveryStageJson::Stopped => super::DeliveryStage::Stopped,
            };
            Some(super::TrailProgress {
                trail: trail(&self.trail)?,
                course,
                taken: self.taken,
                window: Timestamp::from_millis(self.window),
                standard: self.standard.read()?,
                backfill: self.backfill.read()?,
                planned: self.planned.into_iter().map(PlannedFileJson::read).collect::<Option<_>>()?,
                untold: self
                    .untold
                    .iter()
                    .map(|head| DigestHead::from_json(head.as_bytes()).ok())
                    .collect::<Option<_>>()?,
                delivered: self.delivered.map(Timestamp::from_millis),
                digested: self.digested.map(Timestamp::from_millis),
            })
        }
    }

    impl PinnedChainsJson {
        pub(super) fn of(pin: &super::PinnedChains) -> Self {
            let (standard, backfill) = (DigestChainJson::of(&pin.standard), DigestChainJson::of(&pin.backfill));
            Self { created: pin.created.millis(), standard, backfill }
        }

        pub(super) fn read(self) -> Option<super::PinnedChains> {
            let created = Timestamp::from_millis(self.created);
            Some(super::PinnedChains { created, standard: self.standard.read()?, backfill: self.backfill.read()? })
        }
    }

    impl DigestChainJson {
        fn of(chain: &super::DigestChain) -> Self {
            Self {
                last: chain.last.as_ref().map(LastDigestJson::of),
                before: MerkleTreeJson::of(&chain.before),
                tree: MerkleTreeJson::of(&chain.tree),
                covered: chain.covered,
                waiting: chain.waiting.iter().map(LogEntryJson::of).collect(),
            }
        }

        fn read(self) -> Option<super::DigestChain> {
            let last = match self.last {
                Some(last) => Some(last.read()?),
                None => None,
            };
            Some(super::DigestChain {
                last,
                before: self.before.read()?,
                tree: self.tree.read()?,
                covered: self.covered,
                waiting: self.waiting.into_iter().map(LogEntryJson::read).collect::<Option<_>>()?,
            })
        }
    }

    impl MerkleTreeJson {
        fn of(tree: &super::MerkleTree) -> Self {
            Self { size: tree.size(), peaks: tree.peaks().iter().map(hex::encode).collect() }
        }

        fn read(self) -> Option<super::MerkleTree> {
            super::MerkleTree::of(self.size, self.peaks.iter().map(|peak| hash(peak)).collect::<Option<_>>()?)
        }
    }

    impl LastDigestJson {
        fn of(last: &super::LastDigest) -> Self {
            Self {
                bucket: last.bucket.to_string(),
                object: last.object.clone(),
                hash: hex::encode(last.hash),
                signature: hex::encode(&last.signature),
                end: last.end.millis(),
                is_final: last.ending == DigestEnding::Final,
            }
        }

        fn read(self) -> Option<super::LastDigest> {
            Some(super::LastDigest {
                bucket: BucketName::parse(&self.bucket).ok()?,
                object: self.object,
                hash: hash(&self.hash)?,
                signature: hex::decode(self.signature).ok()?,
                end: Timestamp::from_millis(self.end),
                ending: if self.is_final { DigestEnding::Final } else { DigestEnding::Continues },
            })
        }
    }

    impl LogEntryJson {
        fn of(entry: &super::LogEntry) -> Self {
            Self {
                object: entry.object.clone(),
                hash: hex::encode(entry.hash),
                oldest: entry.oldest.millis(),
                newest: entry.newest.millis(),
            }
        }

        fn read(self) -> Option<super::LogEntry> {
            let (oldest, newest) = (Timestamp::from_millis(self.oldest), Timestamp::from_millis(self.newest));
            Some(super::LogEntry { object: self.object, hash: hash(&self.hash)?, oldest, newest })
        }
    }

    impl PlannedFileJson {
        fn of(planned: &super::PlannedFile) -> Self {
            Self {
                bucket: planned.bucket.to_string(),
                object: planned.object.clone(),
                note: planned.note.clone(),
                checksum: hex::encode(planned.checksum),
                metadata: planned.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
                is_backfill: planned.series == DigestSeries::Backfill,
                outcome: match &planned.outcome {
                    super::DeliveryOutcome::Digest { last, head } => {
                        DeliveryOutcomeJson::Digest { last: LastDigestJson::of(last), head: head.to_json() }
                    }
                    super::DeliveryOutcome::Log(entry) => DeliveryOutcomeJson::Log(LogEntryJson::of(entry)),
                },
            }
        }

        fn read(self) -> Option<super::PlannedFile> {
            let names = super::super::destination::METADATA;
            let metadata = names.iter().filter_map(|name| Some((*name, self.metadata.get(*name)?.clone()))).collect();
            Some(super::PlannedFile {
                bucket: BucketName::parse(&self.bucket).ok()?,
                object: self.object,
                note: self.note,
                checksum: hash(&self.checksum)?,
                metadata,
                series: if self.is_backfill { DigestSeries::Backfill } else { DigestSeries::Standard },
                outcome: match self.outcome {
                    DeliveryOutcomeJson::Digest { last, head } => super::DeliveryOutcome::Digest {
                        last: last.read()?,
                        head: DigestHead::from_json(head.as_bytes()).ok()?,
                    },
                    DeliveryOutcomeJson::Log(entry) => super::DeliveryOutcome::Log(entry.read()?),
                },
            })
        }
    }

    fn hash(text: &str) -> Option<Sha256Hash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(hash)
    }
}
