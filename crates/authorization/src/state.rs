//! What is known of a bucket when a request for it is judged.

use super::Unsettled;

/// What is known of a bucket when a request for it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketState {
    pub mfa_delete: MfaDelete,
    pub name: Name,
    pub usage: Use,
    /// What the bucket that a copy reads is used for.
    pub source: Use,
    /// What the buckets that the store would write into by a document are used for.
    pub destination: Use,
    /// As the upstream says now, where the bucket is protected.
    pub versioning: Versioning,
    /// As the upstream says now, where MFA Delete is being enabled.
    pub lifecycle: Lifecycle,
    /// What completing an upload would do, where that is asked.
    pub completion: Completion,
    /// What the upstream may still do there of what it did not answer.
    pub unsettled: Unsettled,
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
pub enum Name {
    /// A protected bucket of this name was deleted; creating it again must not remove the protection.
    Buried,
    Free,
}

/// Whose a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
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
pub enum Lifecycle {
    Absent,
    Present,
    /// Not asked, since nothing of this request depends on it.
    Unread,
}

/// What completing a multipart upload would do to the key's null version in a bucket that keeps every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Completion {
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
        name: Name::Free,
        usage: Use::Data,
        source: Use::Data,
        destination: Use::Data,
        versioning: Versioning::Unread,
        lifecycle: Lifecycle::Unread,
        completion: Completion::AddsVersion,
        unsettled: Unsettled::NOTHING,
    };
}
