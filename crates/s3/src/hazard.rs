//! What an operation would do to versions and to what protects them.

use super::VersioningDocument;

/// The handful of ways in which an operation can matter to MFA Delete; `authorization` answers each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hazard {
    /// `PUT ?versioning`.
    ChangesVersioning(VersioningChange),
    /// A bucket is made, perhaps under a name that was protected.
    CreatesBucket,
    /// A bucket goes, and its protection with it.
    DeletesBucket,
    /// A version goes for good: a version id is named.
    DestroysVersion,
    /// Others may be let in; the owner's business on a protected bucket.
    ExposesData,
    /// The store itself would delete versions, by rule.
    ExpiresVersions,
    /// The store would act on versions by what another bucket says.
    Replicates,
    /// Nothing that MFA Delete cares for: a read, or a write that only adds.
    None,
    /// A multipart upload begins: some stores settle here whether it will replace the null version when it completes.
    OpensUpload,
    /// Whether a version is lost depends on the bucket's versioning: a put, a copy, a completed
    /// upload, a delete without version id.
    ReplacesNullVersion,
    /// A version is destroyed under every versioning state: MinIO's folder objects have only a null version.
    ReplacesUnversioned,
    /// A protection other than versioning gets weaker: policy, encryption, lock, log.
    WeakensProtection,
}

/// What `PUT ?versioning` asks for.
pub type VersioningChange = VersioningDocument;
