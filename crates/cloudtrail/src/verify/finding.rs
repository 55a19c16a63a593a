//! What is wrong with a trail, and what is worth knowing about it.

use thiserror::Error;

use super::super::TrailName;
use super::super::digest::InvalidDigest;
use super::super::logfile::MalformedFile;
use portcullis_base::clock::Timestamp;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationFinding {
    pub subject: FindingSubject,
    pub fault: ValidationFault,
}

/// What it is wrong with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSubject {
    BackfillDigest(String),
    Digest(String),
    Log(String),
    Trail,
}

/// What is wrong with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ValidationFault {
    #[error("it goes on after the digest that ended logging")]
    AfterFinal,
    #[error("it was signed at a time at which its key was not valid")]
    ExpiredKey,
    #[error("its window begins at {found}, and the one before ended at {expected}")]
    Gap { expected: Timestamp, found: Timestamp },
    #[error("hash value doesn't match")]
    HashMismatch,
    #[error("it is not the digest that was expected here: another hash was kept")]
    HeadDiffers,
    #[error("the digest that was expected is not there: the trail's end was removed")]
    HeadMissing,
    #[error("no digest has the hash that was expected: the trail's end was removed or rewritten ({0})")]
    HeadHashMissing(String),
    #[error("invalid format: {0}")]
    InvalidDigest(InvalidDigest),
    #[error("public key is one of another time or trail: no key has the fingerprint {0}")]
    UnknownKey(String),
    #[error("invalid format: {0}")]
    Malformed(MalformedFile),
    #[error("its metadata name no time of backfill")]
    NoBackfillTime,
    #[error("has been moved from its original location")]
    Moved,
    #[error("two digests name it")]
    NamedTwice,
    #[error("not found")]
    NotFound,
    #[error(
        "logging has ended, and the newest digest, of {0}, is not final: the trail's end was removed, or is not delivered yet"
    )]
    NotEnded(Timestamp),
    #[error("no digests found: nothing is proven")]
    NothingFound,
    #[error("no valid digest names it: it was forged, or it replaces one that was removed")]
    NotNamed,
    #[error("no digest covers it yet, so that it is not proven: leave it out with --end-time {}", .before.iso_extended())]
    NotCovered { before: Timestamp },
    #[error("it lies outside the trail's own folder of log files")]
    OutsideTrail,
    #[error("it follows `{named}`, but `{found}` lies between them")]
    PreviousIsAnother { named: String, found: String },
    #[error("logging starts again, though the digest before does not end it")]
    RestartUnannounced,
    #[error("it was rewritten: the digest after it names another {0}")]
    Rewritten(&'static str),
    #[error("it begins the trail again, though digests of the same trail come before it")]
    SecondOrigin,
    #[error("its records begin at {found} of the journal, and not at {expected}: events are missing or were added")]
    SequenceGap { expected: u64, found: u64 },
    #[error("signature algorithm is not SHA256withRSA: `{0}`")]
    SignatureAlgorithm(String),
    #[error("signature verification failed")]
    SignatureInvalid,
    #[error("signature verification failed: there is no signature")]
    SignatureMissing,
    #[error("the newest digest is of {0}, and more are overdue: the trail's end was removed, or the proxy is stopped")]
    Stale(Timestamp),
    #[error("it is no file of a trail")]
    Stray,
    #[error(
        "nothing tells that the newest digest, of {newest}, is the last: expect one that was kept (--expect-head), or leave out \
         what may have followed with --end-time {}", .before.iso_extended()
    )]
    TailNotProven { newest: Timestamp, before: Timestamp },
    #[error("the Merkle tree does not follow from the digest before")]
    TreeBefore,
    #[error("the Merkle tree's root does not follow from the events")]
    TreeRoot,
}

/// What is worth knowing, and not wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ValidationNote {
    #[error(
        "{0} of the log files that no digest names are newer than the digest that ended logging: they are another trail's, \
         from after validation was disabled, or the digests that named them were removed"
    )]
    AfterLast(u64),
    #[error(
        "{count} of the log files that no digest names are older than the trail's first digest: they are another trail's, or \
         from before validation was enabled; what begins at {start} is validated without them"
    )]
    BeforeFirst { count: u64, start: Timestamp },
    #[error("The trail was deleted and created again at {0}; the older one is validated up to its last digest")]
    CreatedAnew(Timestamp),
    #[error("The trail was led elsewhere before: what precedes is in s3://{0}")]
    MovedFrom(String),
    #[error("{0} log files are as the proxy delivered them, and not yet covered by a digest")]
    NotYetCovered(u64),
    #[error("No log files were delivered between {from} and {to}: logging was stopped")]
    Restarted { from: Timestamp, to: Timestamp },
    #[error("Trail {0} delivers, or delivered, to the same place: log files that no digest names may be that trail's")]
    SharedPlace(TrailName),
    #[error("Logging is stopped since {0}")]
    Stopped(Timestamp),
}

impl ValidationFinding {
    /// `Digest file`, `Log file` and the like, as the aws-cli calls them.
    pub fn kind(&self) -> &'static str {
        match self.subject {
            FindingSubject::BackfillDigest(_) => "Backfill digest file",
            FindingSubject::Digest(_) => "Digest file",
            FindingSubject::Log(_) => "Log file",
            FindingSubject::Trail => "Trail",
        }
    }

    /// The file's key.
    pub fn key(&self) -> Option<&str> {
        match &self.subject {
            FindingSubject::BackfillDigest(key) | FindingSubject::Digest(key) | FindingSubject::Log(key) => Some(key),
            FindingSubject::Trail => None,
        }
    }
}

impl ValidationFault {
    /// A word for it that does not change with its text.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AfterFinal => "AfterFinal",
            Self::ExpiredKey => "ExpiredKey",
            Self::Gap { .. } => "Gap",
            Self::HashMismatch => "HashMismatch",
            Self::HeadDiffers => "HeadDiffers",
            Self::HeadHashMissing(_) => "HeadHashMissing",
            Self::HeadMissing => "HeadMissing",
            Self::InvalidDigest(_) => "InvalidDigest",
            Self::Malformed(MalformedFile::Trailing) => "TrailingBytes",
            Self::Malformed(MalformedFile::Gzip | MalformedFile::Records | MalformedFile::TooLarge) => "Malformed",
            Self::Moved => "Moved",
            Self::NamedTwice => "NamedTwice",
            Self::NoBackfillTime => "NoBackfillTime",
            Self::NotCovered { .. } => "NotCovered",
            Self::NotEnded(_) => "NotEnded",
            Self::NotFound => "NotFound",
            Self::NotNamed => "NotNamed",
            Self::NothingFound => "NothingFound",
            Self::OutsideTrail => "OutsideTrail",
            Self::PreviousIsAnother { .. } => "PreviousIsAnother",
            Self::RestartUnannounced => "RestartUnannounced",
            Self::Rewritten(_) => "Rewritten",
            Self::SecondOrigin => "SecondOrigin",
            Self::SequenceGap { .. } => "SequenceGap",
            Self::SignatureAlgorithm(_) => "SignatureAlgorithm",
            Self::SignatureInvalid => "SignatureInvalid",
            Self::SignatureMissing => "SignatureMissing",
            Self::Stale(_) => "Stale",
            Self::Stray => "Stray",
            Self::TailNotProven { .. } => "TailNotProven",
            Self::TreeBefore => "TreeBefore",
            Self::TreeRoot => "TreeRoot",
            Self::UnknownKey(_) => "UnknownKey",
        }
    }
}
