//! What is known of a bucket when a request for it is judged.

use super::UnsettledUntil;

/// What is known of a bucket when a request for it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketState {
    pub mfa_delete: MfaDelete,
    pub name: NameStatus,
    pub usage: BucketUse,
    /// What the bucket that a copy reads is used for.
    pub source: BucketUse,
    /// What the buckets that the store would write into by a document are used for.
    pub destination: BucketUse,
    /// As the upstream says now, where the bucket is protected.
    pub versioning: Versioning,
    /// As the upstream says now, where MFA Delete is being enabled.
    pub lifecycle: BucketLifecycle,
    /// What completing an upload would do, where that is asked.
    pub completion: UploadCompletion,
    /// What the upstream may still do there of what it did not answer.
    pub unsettled: UnsettledUntil,
}

/// MFA Delete as `GET ?versioning` tells it: the element is absent until it was first set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MfaDelete {
    Disabled,
    Enabled,
    NeverSet,
}

/// Whether a name is free of a past that protects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameStatus {
    /// A protected bucket of this name was deleted; creating it again must not remove the protection.
    Tombstoned,
    Free,
}

/// Whose a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BucketUse {
    /// The users'.
    Data,
    /// A trail's: only Portcullis writes there, and only root reads.
    Trail,
}

/// A bucket's versioning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Versioning {
    Enabled,
    /// Enabled, but not for every key: MinIO's `ExcludedPrefixes` and `ExcludeFolders`.
    EnabledWithExclusions,
    Never,
    /// The store has no bucket of this name.
    NoBucket,
    Suspended,
    /// Not asked, since nothing of this request depends on it.
    Unread,
}

/// Whether the store deletes versions by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BucketLifecycle {
    Absent,
    Present,
    /// Not asked, since nothing of this request depends on it.
    Unread,
}

/// What completing a multipart upload would do to the key's null version in a bucket that keeps every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UploadCompletion {
    /// It adds a version. So does every operation that completes no upload.
    AddsVersion,
    /// It replaces the null version if the upload was opened before the bucket kept every version, and nothing says that
    /// it was not.
    MayReplaceNull,
}

impl BucketState {
    /// A bucket that was never protected.
    pub const UNPROTECTED: Self = Self {
        mfa_delete: MfaDelete::NeverSet,
        name: NameStatus::Free,
        usage: BucketUse::Data,
        source: BucketUse::Data,
        destination: BucketUse::Data,
        versioning: Versioning::Unread,
        lifecycle: BucketLifecycle::Unread,
        completion: UploadCompletion::AddsVersion,
        unsettled: UnsettledUntil::NOTHING,
    };
}
