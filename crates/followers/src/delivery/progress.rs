//! How far a trail is delivered, in the form that survives a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use portcullis_authorization::{TrailRegister, Use};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::digest::{Ending, LogEntry};
use portcullis_cloudtrail::layout::Series;
use portcullis_cloudtrail::merkle::{Hash, Tree};
use portcullis_cloudtrail::{Head, Trail};

/// How far a trail is delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The trail as it was where the journal has been followed to.
    pub trail: Trail,
    pub course: Course,
    /// The last record of the journal that was looked at; what it admitted is planned or delivered.
    pub taken: u64,
    /// Where the window of the next digest begins.
    pub window: Timestamp,
    pub standard: Chain,
    pub backfill: Chain,
    /// What is to be written next, in this order; its bytes are noted beside this.
    pub planned: Vec<Planned>,
    /// Digests that the witness is still to be told of.
    pub untold: Vec<Head>,
    pub delivered: Option<Timestamp>,
    pub digested: Option<Timestamp>,
}

/// What happens to a trail.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// Its events are delivered; those from before this moment are not its own.
    Logging { since: Timestamp },
    /// A last digest is due, and then what the journal made of the trail.
    Ending(Successor),
    /// As logging, but the record of the journal that started it is still ahead.
    Starting { since: Timestamp },
    /// Logging stopped at this moment; the end of it is awaited, so that the stop itself is on record.
    Stopping { at: Timestamp },
    /// Nothing is left to do.
    Stopped,
}

/// What the journal made of a trail.
#[derive(Clone, Debug, PartialEq)]
pub enum Successor {
    Nothing,
    Trail(Box<Trail>),
}

/// One of a trail's two series of digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The last digest.
    pub last: Option<Last>,
    /// The tree as of the last digest.
    pub before: Tree,
    /// The tree with the log files that wait.
    pub tree: Tree,
    /// The last record of the journal that a digest spoke of.
    pub covered: u64,
    /// Log files that no digest names yet.
    pub waiting: Vec<LogEntry>,
}

/// The last digest of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    pub bucket: BucketName,
    pub object: String,
    pub hash: Hash,
    pub signature: Vec<u8>,
    pub end: Timestamp,
    pub ending: Ending,
}

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub bucket: BucketName,
    pub object: String,
    /// Under which name its bytes are noted.
    pub note: String,
    /// SHA-256 of these bytes.
    pub checksum: Hash,
    pub metadata: BTreeMap<&'static str, String>,
    pub series: Series,
    pub outcome: Outcome,
}

/// What follows from a file that was written and read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The chain goes on from this digest.
    Digest { last: Last, head: Head },
    /// A log file waits for its digest.
    Log(LogEntry),
}

impl Progress {
    /// Of a trail that starts to log here.
    pub fn begin(trail: Trail, since: Timestamp, taken: u64) -> Self {
        Self {
            trail,
            course: Course::Starting { since },
            taken,
            window: Timestamp::from_seconds(since.seconds()),
            standard: Chain::begin(taken),
            backfill: Chain::begin(taken),
            planned: Vec::new(),
            untold: Vec::new(),
            delivered: None,
            digested: None,
        }
    }

    /// The series of this kind.
    pub fn chain(&self, series: Series) -> &Chain {
        match series {
            Series::Backfill => &self.backfill,
            Series::Standard => &self.standard,
        }
    }

    /// The series of this kind, to be changed.
    pub fn chain_mut(&mut self, series: Series) -> &mut Chain {
        match series {
            Series::Backfill => &mut self.backfill,
            Series::Standard => &mut self.standard,
        }
    }

    /// Where the chains end, as it is pinned in the store.
    pub fn pin(&self) -> Pin {
        let pinned = |chain: &Chain| Chain { waiting: Vec::new(), tree: chain.before.clone(), ..chain.clone() };
        Pin { created: self.trail.created, standard: pinned(&self.standard), backfill: pinned(&self.backfill) }
    }

    /// The written form.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&json::Progress::of(self)).unwrap_or_default()
    }

    /// Reads the written form.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<json::Progress>(bytes).ok()?.read()
    }
}

/// The state no longer tells of a trail that was deleted or moved. Its progress does: it is begun by a recorded trail, and
/// follows what the journal made of it.
impl TrailRegister for Progress {
    fn use_of(&self, bucket: &BucketName) -> Use {
        let mut planned = self.planned.iter().map(|planned| &planned.bucket);
        if self.trail.bucket == *bucket || planned.any(|planned| planned == bucket) { Use::Trail } else { Use::Data }
    }
}

/// Where a trail's chains end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// When the trail was created, since another may have its name.
    pub created: Timestamp,
    pub standard: Chain,
    pub backfill: Chain,
}

impl Pin {
    /// The written form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&json::Pin::of(self)).unwrap_or_default()
    }

    /// Reads the written form.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str::<json::Pin>(text).ok()?.read()
    }
}

impl Chain {
    fn begin(taken: u64) -> Self {
        Self { last: None, before: Tree::empty(), tree: Tree::empty(), covered: taken, waiting: Vec::new() }
    }
}

/// The written forms.
mod json {
    use super::*;

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub struct Progress {
        trail: Value,
        course: Course,
        taken: u64,
        window: i64,
        standard: Chain,
        backfill: Chain,
        planned: Vec<Planned>,
        untold: Vec<String>,
        delivered: Option<i64>,
        digested: Option<i64>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub struct Pin {
        created: i64,
        standard: Chain,
        backfill: Chain,
    }

    #[derive(Deserialize, Serialize)]
    enum Course {
        Logging(i64),
        Ending(Option<Value>),
        Starting(i64),
        Stopping(i64),
        Stopped,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Chain {
        last: Option<Last>,
        before: Tree,
        tree: Tree,
        covered: u64,
        waiting: Vec<LogEntry>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Tree {
        size: u64,
        peaks: Vec<String>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Last {
        bucket: String,
        object: String,
        hash: String,
        signature: String,
        end: i64,
        is_final: bool,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct LogEntry {
        object: String,
        hash: String,
        oldest: i64,
        newest: i64,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Planned {
        bucket: String,
        object: String,
        note: String,
        checksum: String,
        metadata: BTreeMap<String, String>,
        is_backfill: bool,
        outcome: Outcome,
    }

    #[derive(Deserialize, Serialize)]
    enum Outcome {
        Digest { last: Last, head: String },
        Log(LogEntry),
    }

    impl Progress {
        pub fn of(progress: &super::Progress) -> Self {
            Self {
                trail: progress.trail.to_json(),
                course: match &progress.course {
                    super::Course::Logging { since } => Course::Logging(since.millis()),
                    super::Course::Ending(Successor::Nothing) => Course::Ending(None),
                    super::Course::Ending(Successor::Trail(trail)) => Course::Ending(Some(trail.to_json())),
                    super::Course::Starting { since } => Course::Starting(since.millis()),
                    super::Course::Stopping { at } => Course::Stopping(at.millis()),
                    super::Course::Stopped => Course::Stopped,
                },
                taken: progress.taken,
                window: progress.window.millis(),
                standard: Chain::of(&progress.standard),
                backfill: Chain::of(&progress.backfill),
                planned: progress.planned.iter().map(Planned::of).collect(),
                untold: progress.untold.iter().map(Head::to_json).collect(),
                delivered: progress.delivered.map(Timestamp::millis),
                digested: progress.digested.map(Timestamp::millis),
            }
        }

        pub fn read(self) -> Option<super::Progress> {
            let trail = |json: &Value| Trail::from_json(json).ok();
            let course = match self.course {
                Course::Logging(since) => super::Course::Logging { since: Timestamp::from_millis(since) },
                Course::Ending(None) => super::Course::Ending(Successor::Nothing),
                Course::Ending(Some(next)) => super::Course::Ending(Successor::Trail(Box::new(trail(&next)?))),
                Course::Starting(since) => super::Course::Starting { since: Timestamp::from_millis(since) },
                Course::Stopping(at) => super::Course::Stopping { at: Timestamp::from_millis(at) },
                Course::Stopped => super::Course::Stopped,
            };
            Some(super::Progress {
                trail: trail(&self.trail)?,
                course,
                taken: self.taken,
                window: Timestamp::from_millis(self.window),
                standard: self.standard.read()?,
                backfill: self.backfill.read()?,
                planned: self.planned.into_iter().map(Planned::read).collect::<Option<_>>()?,
                untold: self.untold.iter().map(|head| Head::from_json(head.as_bytes()).ok()).collect::<Option<_>>()?,
                delivered: self.delivered.map(Timestamp::from_millis),
                digested: self.digested.map(Timestamp::from_millis),
            })
        }
    }

    impl Pin {
        pub fn of(pin: &super::Pin) -> Self {
            let (standard, backfill) = (Chain::of(&pin.standard), Chain::of(&pin.backfill));
            Self { created: pin.created.millis(), standard, backfill }
        }

        pub fn read(self) -> Option<super::Pin> {
            let created = Timestamp::from_millis(self.created);
            Some(super::Pin { created, standard: self.standard.read()?, backfill: self.backfill.read()? })
        }
    }

    impl Chain {
        fn of(chain: &super::Chain) -> Self {
            Self {
                last: chain.last.as_ref().map(Last::of),
                before: Tree::of(&chain.before),
                tree: Tree::of(&chain.tree),
                covered: chain.covered,
                waiting: chain.waiting.iter().map(LogEntry::of).collect(),
            }
        }

        fn read(self) -> Option<super::Chain> {
            let last = match self.last {
                Some(last) => Some(last.read()?),
                None => None,
            };
            Some(super::Chain {
                last,
                before: self.before.read()?,
                tree: self.tree.read()?,
                covered: self.covered,
                waiting: self.waiting.into_iter().map(LogEntry::read).collect::<Option<_>>()?,
            })
        }
    }

    impl Tree {
        fn of(tree: &super::Tree) -> Self {
            Self { size: tree.size(), peaks: tree.peaks().iter().map(hex::encode).collect() }
        }

        fn read(self) -> Option<super::Tree> {
            super::Tree::of(self.size, self.peaks.iter().map(|peak| hash(peak)).collect::<Option<_>>()?)
        }
    }

    impl Last {
        fn of(last: &super::Last) -> Self {
            Self {
                bucket: last.bucket.to_string(),
                object: last.object.clone(),
                hash: hex::encode(last.hash),
                signature: hex::encode(&last.signature),
                end: last.end.millis(),
                is_final: last.ending == Ending::Final,
            }
        }

        fn read(self) -> Option<super::Last> {
            Some(super::Last {
                bucket: BucketName::parse(&self.bucket).ok()?,
                object: self.object,
                hash: hash(&self.hash)?,
                signature: hex::decode(self.signature).ok()?,
                end: Timestamp::from_millis(self.end),
                ending: if self.is_final { Ending::Final } else { Ending::Continues },
            })
        }
    }

    impl LogEntry {
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

    impl Planned {
        fn of(planned: &super::Planned) -> Self {
            Self {
                bucket: planned.bucket.to_string(),
                object: planned.object.clone(),
                note: planned.note.clone(),
                checksum: hex::encode(planned.checksum),
                metadata: planned.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
                is_backfill: planned.series == Series::Backfill,
                outcome: match &planned.outcome {
                    super::Outcome::Digest { last, head } => {
                        Outcome::Digest { last: Last::of(last), head: head.to_json() }
                    }
                    super::Outcome::Log(entry) => Outcome::Log(LogEntry::of(entry)),
                },
            }
        }

        fn read(self) -> Option<super::Planned> {
            let names = super::super::destination::METADATA;
            let metadata = names.iter().filter_map(|name| Some((*name, self.metadata.get(*name)?.clone()))).collect();
            Some(super::Planned {
                bucket: BucketName::parse(&self.bucket).ok()?,
                object: self.object,
                note: self.note,
                checksum: hash(&self.checksum)?,
                metadata,
                series: if self.is_backfill { Series::Backfill } else { Series::Standard },
                outcome: match self.outcome {
                    Outcome::Digest { last, head } => {
                        super::Outcome::Digest { last: last.read()?, head: Head::from_json(head.as_bytes()).ok()? }
                    }
                    Outcome::Log(entry) => super::Outcome::Log(entry.read()?),
                },
            })
        }
    }

    fn hash(text: &str) -> Option<Hash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(hash)
    }
}
