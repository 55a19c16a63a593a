//! What each kind of store does beyond AWS: one row a kind of store, one column a difference.
//!
//! Nothing else asks which store it is. A new kind of store is a row here, and a new difference a column, which does
//! not build until each row answers it.

use super::S3Operation;
use super::stores::{self, StoreTreatment};
use portcullis_base::setting::WordSetting;

/// `upstream.profile`: which kind of store is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpstreamKind {
    Aws,
    /// Ceph RGW.
    Ceph,
    /// The store that `portcullis dev` starts.
    Embedded,
    /// Anything else: what one of the others does beyond AWS is taken to be there.
    Generic,
    Minio,
}

/// A row: what one kind of store does.
#[derive(Debug)]
pub struct StoreProfile {
    /// What it does with each operation.
    pub operations: OperationSupport,
    pub keys: KeyReading,
    pub folder_objects: FolderObjects,
    pub version_ids: VersionIdForm,
    pub upload_ids: UploadIdForm,
    pub markers: MarkerForm,
    pub continuation_tokens: ContinuationTokenForm,
    pub copied_parts: CopySourceDecoding,
    pub listing_metadata: ListingMetadata,
    pub accounts: AccountSupport,
    pub checksums: ChecksumSupport,
    pub trailers: TrailerSupport,
    pub expires: ExpiresHeader,
    pub bucket_placement: BucketPlacement,
    pub upload_versions: UploadVersions,
    pub replication: ReplicationRule,
    pub process: StoreProcess,
}

/// What a store does with the operations.
#[derive(Clone, Copy, Debug)]
pub enum OperationSupport {
    /// It serves all of them.
    Served,
    /// It serves all but these.
    ServedExcept(&'static [(StoreTreatment, &'static [S3Operation])]),
    /// It may be any of these stores: only what all of them take for what it is is served.
    ServedByAll(&'static [UpstreamKind]),
}

/// Which keys a store reads as they stand; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReading {
    /// Each key is itself.
    AsIs,
    /// Keys are paths, which are cleaned, and some names mean a folder or a cached listing.
    CleanedPaths,
    /// Keys become paths on a disk.
    Paths,
}

/// Whether a key that ends with a slash has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderObjects {
    /// It has none, whatever the bucket has.
    Unversioned,
    /// It is a key like any other.
    Versioned,
}

/// Which version ids a store reads as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionIdForm {
    /// Each is itself.
    AsIs,
    /// It reads a UUID in upper case or without hyphens as the same version under another name.
    LowerCaseUuids,
    /// The version's object is named `_:VERSION_KEY`, so an underscore would move the border between the two.
    NoUnderscores,
    /// Neither another name of a UUID, nor an underscore behind 32 characters, as Ceph's versions would have.
    Unambiguous,
}

/// In which form a store gives out upload ids; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadIdForm {
    /// 32 digits in hexadecimal.
    Hex,
    /// `2~` and a random word. The store's object is named `KEY.ID.meta`, so a dot could move the border between key
    /// and id.
    TildeWord,
    /// Two UUIDs and a time in base64url.
    Uuids,
    /// What no known store reads as a path, as it stands or decoded.
    Unambiguous,
    /// A word with dots.
    Word,
}

/// What a store reads in a marker of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerForm {
    /// A key.
    Key,
    /// A key, and behind it perhaps where its cache of the listing is.
    KeyAndCache,
}

/// In which form a store gives out continuation tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContinuationTokenForm {
    /// What the store alone can read.
    AsIs,
    /// A marker in base64.
    EncodedMarkers,
    /// A marker as it stands, a marker in base64, or what the store alone can read.
    Unambiguous,
}

/// How often a store decodes the source of a copied part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopySourceDecoding {
    Once,
    /// A percent sign in the key names another object, or ends the store.
    Twice,
}

/// Whether listings take `metadata=true`, by which a client asks for the metadata of each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingMetadata {
    Taken,
    Unknown,
}

/// Whether a store knows the accounts that own buckets, so that it compares the owner that a client expects and bills
/// the requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountSupport {
    Known,
    /// We compare the owner.
    Unknown,
}

/// Which checksums in headers a store looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumSupport {
    All,
    /// Not the algorithms that S3 took up last: it refuses them or, worse, stores them unseen.
    Older,
}

/// Which checksums a store takes in a trailer, after the data. The others get the data alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailerSupport {
    All,
    /// Those that stores beside AWS know.
    KnownToStores,
    NotTaken,
}

/// Under which name a store takes `Expires`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresHeader {
    /// S3 keeps any text, and s3s takes dates alone.
    Renamed,
    Standard,
}

/// How a store is told where to make a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketPlacement {
    /// By the region of its endpoint, as on AWS.
    Named,
    /// Not at all: it has one place, or names of its own.
    Unnamed,
}

/// When a store settles whether an upload becomes the null version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadVersions {
    /// As CompleteMultipartUpload finds the bucket.
    SettledAtComplete,
    /// As CreateMultipartUpload finds the bucket, or nothing is known of it.
    SettledAtCreate,
}

/// Where a replication rule needs a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReplicationRule {
    /// On each bucket: the store replicates deletes of versions into protected targets.
    AnyBucket,
    ProtectedBucket,
}

/// Where a store runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreProcess {
    /// In this process, whose descriptors it shares.
    Own,
    Separate,
}

/// AWS itself, or what is no different in any way that is known.
const AWS: StoreProfile = StoreProfile {
    operations: OperationSupport::Served,
    keys: KeyReading::AsIs,
    folder_objects: FolderObjects::Versioned,
    version_ids: VersionIdForm::AsIs,
    upload_ids: UploadIdForm::Word,
    markers: MarkerForm::Key,
    continuation_tokens: ContinuationTokenForm::AsIs,
    copied_parts: CopySourceDecoding::Once,
    listing_metadata: ListingMetadata::Unknown,
    accounts: AccountSupport::Known,
    checksums: ChecksumSupport::All,
    trailers: TrailerSupport::All,
    expires: ExpiresHeader::Standard,
    bucket_placement: BucketPlacement::Named,
    // AWS does not say.
    upload_versions: UploadVersions::SettledAtCreate,
    replication: ReplicationRule::ProtectedBucket,
    process: StoreProcess::Separate,
};

const CEPH: StoreProfile = StoreProfile {
    operations: OperationSupport::ServedExcept(stores::CEPH),
    keys: KeyReading::AsIs,
    folder_objects: FolderObjects::Versioned,
    version_ids: VersionIdForm::NoUnderscores,
    upload_ids: UploadIdForm::TildeWord,
    markers: MarkerForm::Key,
    continuation_tokens: ContinuationTokenForm::AsIs,
    copied_parts: CopySourceDecoding::Twice,
    listing_metadata: ListingMetadata::Unknown,
    accounts: AccountSupport::Unknown,
    checksums: ChecksumSupport::Older,
    trailers: TrailerSupport::NotTaken,
    expires: ExpiresHeader::Standard,
    bucket_placement: BucketPlacement::Unnamed,
    upload_versions: UploadVersions::SettledAtComplete,
    replication: ReplicationRule::ProtectedBucket,
    process: StoreProcess::Separate,
};

const EMBEDDED: StoreProfile = StoreProfile {
    operations: OperationSupport::ServedExcept(stores::EMBEDDED),
    keys: KeyReading::Paths,
    folder_objects: FolderObjects::Versioned,
    version_ids: VersionIdForm::AsIs,
    upload_ids: UploadIdForm::Hex,
    markers: MarkerForm::Key,
    continuation_tokens: ContinuationTokenForm::AsIs,
    copied_parts: CopySourceDecoding::Once,
    listing_metadata: ListingMetadata::Unknown,
    accounts: AccountSupport::Unknown,
    checksums: ChecksumSupport::Older,
    trailers: TrailerSupport::KnownToStores,
    expires: ExpiresHeader::Renamed,
    bucket_placement: BucketPlacement::Unnamed,
    upload_versions: UploadVersions::SettledAtComplete,
    replication: ReplicationRule::ProtectedBucket,
    process: StoreProcess::Own,
};

/// The strictest answer of the others in each column.
const GENERIC: StoreProfile = StoreProfile {
    operations: OperationSupport::ServedByAll(&UpstreamKind::KNOWN),
    keys: KeyReading::CleanedPaths,
    folder_objects: FolderObjects::Unversioned,
    version_ids: VersionIdForm::Unambiguous,
    upload_ids: UploadIdForm::Unambiguous,
    markers: MarkerForm::KeyAndCache,
    continuation_tokens: ContinuationTokenForm::Unambiguous,
    copied_parts: CopySourceDecoding::Twice,
    listing_metadata: ListingMetadata::Unknown,
    accounts: AccountSupport::Unknown,
    checksums: ChecksumSupport::Older,
    trailers: TrailerSupport::NotTaken,
    expires: ExpiresHeader::Standard,
    bucket_placement: BucketPlacement::Unnamed,
    upload_versions: UploadVersions::SettledAtCreate,
    replication: ReplicationRule::AnyBucket,
    process: StoreProcess::Separate,
};

const MINIO: StoreProfile = StoreProfile {
    operations: OperationSupport::ServedExcept(stores::MINIO),
    keys: KeyReading::CleanedPaths,
    folder_objects: FolderObjects::Unversioned,
    version_ids: VersionIdForm::LowerCaseUuids,
    upload_ids: UploadIdForm::Uuids,
    markers: MarkerForm::KeyAndCache,
    continuation_tokens: ContinuationTokenForm::EncodedMarkers,
    copied_parts: CopySourceDecoding::Once,
    listing_metadata: ListingMetadata::Taken,
    accounts: AccountSupport::Unknown,
    checksums: ChecksumSupport::Older,
    trailers: TrailerSupport::KnownToStores,
    expires: ExpiresHeader::Standard,
    bucket_placement: BucketPlacement::Unnamed,
    upload_versions: UploadVersions::SettledAtCreate,
    replication: ReplicationRule::AnyBucket,
    process: StoreProcess::Separate,
};

impl UpstreamKind {
    /// Every kind of store.
    pub const ALL: [Self; 5] = [Self::Aws, Self::Ceph, Self::Embedded, Self::Generic, Self::Minio];

    /// The stores that one of which nothing is known may be.
    pub const KNOWN: [Self; 3] = [Self::Ceph, Self::Embedded, Self::Minio];

    /// What a store of this kind does beyond AWS.
    pub const fn profile(self) -> &'static StoreProfile {
        match self {
            Self::Aws => &AWS,
            Self::Ceph => &CEPH,
            Self::Embedded => &EMBEDDED,
            Self::Generic => &GENERIC,
            Self::Minio => &MINIO,
        }
    }
}

impl WordSetting for UpstreamKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("embedded", Self::Embedded),
        ("minio", Self::Minio),
        ("ceph", Self::Ceph),
        ("aws", Self::Aws),
        ("generic", Self::Generic),
    ];
}
