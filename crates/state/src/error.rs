//! Why the store did not do what it was asked for.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::engine::EngineError;
use super::seal::{MasterKeyError, SealError};
use portcullis_base::clock::{ClockDisagreement, Timestamp};
use portcullis_base::names::BucketName;
use portcullis_mfa::{EnrolmentFault, MfaFault};

/// Why a change was not made, or not acknowledged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    // What was asked for cannot be.
    #[error("it exists already")]
    AlreadyExists,
    #[error("the device is active")]
    DeviceActive,
    #[error("no other device is active, and MFA Delete is enabled on `{bucket}`")]
    DeviceGuards { bucket: BucketName },
    #[error("the device is not active")]
    DeviceNotActive,
    #[error("the device was not enabled: {0}")]
    Enrolment(#[from] EnrolmentFault),
    #[error("the limit is reached")]
    LimitReached,
    #[error("it does not exist")]
    NoSuchEntity,
    /// By another request, since it was read.
    #[error("it was changed at the same time")]
    Outdated,
    #[error("a code of an active device is needed")]
    ProofNeeded,
    #[error("it still has {0}")]
    Remains(RemainingPart),
    /// The upstream may still do something in its bucket.
    #[error("the upstream may carry out an earlier request until {until}")]
    Unsettled { until: Timestamp },

    // It cannot be done now. The change may be on disk, but must not be relied on.
    /// Codes are not taken, since one that was seen long ago could be current again.
    #[error("MFA codes are refused: {0}")]
    ClockDisagrees(ClockDisagreement),
    /// Nothing of the change was made.
    #[error("other writers changed the state each time that the change was tried")]
    Contended,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the work was stopped")]
    Interrupted,
    #[error(transparent)]
    Journal(#[from] JournalUnavailable),
    #[error("a secret could not be sealed: {0}")]
    Sealing(#[from] SealError),
}

/// What has to go before something can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemainingPart {
    /// A user's or a group's.
    AttachedPolicies,
    /// A policy's.
    Attachments,
    /// The version of a policy that counts.
    DefaultVersion,
    /// A user's.
    Groups,
    InlinePolicies,
    Keys,
    /// A group's.
    Members,
    /// Those of a policy beside the default one.
    Versions,
}

impl fmt::Display for RemainingPart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AttachedPolicies => "attached policies",
            Self::Attachments => "users or groups that it is attached to",
            Self::DefaultVersion => "this version as its default",
            Self::Groups => "groups that it is in",
            Self::InlinePolicies => "inline policies",
            Self::Keys => "access keys",
            Self::Members => "members",
            Self::Versions => "other versions",
        })
    }
}

/// Why a code gave no proof: the client's fault, or ours.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SpendError {
    #[error(transparent)]
    Fault(#[from] MfaFault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// That the journal did not take a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the journal did not take the change")]
pub struct JournalUnavailable;

/// In what way a record of the state store is not the journal's.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordFault {
    #[error("differs from the one in the journal")]
    Altered,
    #[error("is there, though it was deleted")]
    Deleted,
    #[error("is missing")]
    Missing,
    #[error("is older than the one in the journal")]
    Older,
    #[error("is not in the journal")]
    Unrecorded,
}

/// Why Portcullis does not start with this state.
#[derive(Debug, Error)]
pub enum StartError {
    /// The journal knows later changes.
    #[error(
        "the state store ends at change {store} and the journal at {journal}; run `portcullis state rebuild` to bring \
         it up to date"
    )]
    Behind { store: u64, journal: u64 },
    #[error("the state directory `{}` cannot be used: {error}", path.display())]
    Directory { path: PathBuf, error: std::io::Error },
    #[error(
        "the state directory `{}` must be a directory of this user that no other user may enter; run `chmod 700` on it",
        .0.display()
    )]
    DirectoryPermissions(PathBuf),
    /// Both end at the same change, but not with the same one.
    #[error(
        "the state store and the journal tell change {0} differently; if the journal is right, run `portcullis state \
         rebuild`"
    )]
    Diverged(u64),
    /// The sum of the records is not the one that the last write left.
    #[error(
        "the state store does not hold what change {0} left in it: a record is missing, older or too many; run \
         `portcullis state rebuild`"
    )]
    Incomplete(u64),
    #[error("another Portcullis is running with the state directory `{}`", .0.display())]
    InUse(PathBuf),
    /// Records are gone from the journal's end.
    #[error(
        "the journal ends at change {journal} and the state store at {store}; the journal's last files are missing, \
         put them back"
    )]
    JournalCut { store: u64, journal: u64 },
    /// A record of the journal is not what the store wrote into it.
    #[error("change {0} in the journal is missing or altered; put the journal's files back as they were")]
    JournalUnreadable(u64),
    #[error("{error}: `{}`", path.display())]
    MasterKey { path: PathBuf, error: MasterKeyError },
    #[error("the state store is missing but the journal knows of it; run `portcullis state rebuild`")]
    Missing,
    /// The engine does not hold what the journal tells.
    #[error("record `{key}` of the state store {fault}; run `portcullis state rebuild`")]
    RecordDiffers { key: String, fault: RecordFault },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the state store cannot be read ({0}); run `portcullis state rebuild`")]
    Unreadable(String),
    /// The tags tell it, since each is made with the key.
    #[error(
        "record `{0}` of the state was altered, or the master key is not the one it was sealed with; put the right \
         key back or, if the key is right, run `portcullis state rebuild`"
    )]
    WrongMasterKey(String),
}
