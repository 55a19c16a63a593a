//! What the disk remembers: one JSON record per bucket, version, upload and part.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use portcullis_base::clock::Timestamp;

/// Sequence numbers count in this fraction of a millisecond, so that they stay in the order of time.
pub(crate) const SEQUENCE_PER_MILLISECOND: u64 = 1_000_000;

/// The id of the version that has none of its own.
pub(crate) const NULL_VERSION: &str = "null";

/// One version of one key: an object or a delete marker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VersionRecord {
    pub key: String,
    pub id: String,
    /// Versions of a key are ordered by this, and the moment of the write is read from it.
    pub sequence: u64,
    pub content: VersionContent,
}

/// What a version is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum VersionContent {
    Marker,
    Object(Box<ObjectRecord>),
}

/// An object's body and everything a client said about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub size: u64,
    pub etag: String,
    pub checksum: Option<StoredChecksum>,
    pub segments: Vec<BodySegment>,
    pub description: ObjectHeaders,
    pub tags: Vec<(String, String)>,
}

/// A file that holds the next bytes of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BodySegment {
    pub body: String,
    pub size: u64,
    /// Present when the segment was a part of a multipart upload.
    pub part: Option<PartMark>,
}

/// Which part a segment was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartMark {
    pub number: i32,
    pub checksum: Option<StoredChecksum>,
}

/// The headers a client gave an object, to be given back with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectHeaders {
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
    #[serde(default)]
    pub expires: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub storage_class: Option<String>,
    pub website_redirect: Option<String>,
}

/// A checksum in one of S3's algorithms, in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredChecksum {
    pub algorithm: StoredAlgorithm,
    pub value: String,
    pub scope: ChecksumScope,
}

/// S3's checksum algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoredAlgorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

/// What a multipart object's checksum was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChecksumScope {
    /// The checksums of the parts.
    Composite,
    /// All bytes.
    FullObject,
}

/// A bucket's own record; its versions have theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredBucket {
    pub created_millis: i64,
    pub location: Option<String>,
    pub versioning: BucketVersioning,
    /// Documents that are kept and given back, by the name of their query key.
    pub settings: BTreeMap<String, String>,
}

/// A bucket's versioning state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BucketVersioning {
    Enabled,
    Never,
    Suspended,
}

/// A multipart upload that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub key: String,
    pub id: String,
    pub initiated_millis: i64,
    pub algorithm: StoredAlgorithm,
    pub scope: ChecksumScope,
    pub description: ObjectHeaders,
    pub tags: Vec<(String, String)>,
}

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub number: i32,
    pub body: String,
    pub size: u64,
    pub etag: String,
    pub checksum: StoredChecksum,
    pub modified_millis: i64,
}

impl VersionRecord {
    /// When the version was written.
    pub(crate) fn modified(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.sequence / SEQUENCE_PER_MILLISECOND).unwrap_or(i64::MAX))
    }

    /// The object, unless this is a delete marker.
    pub(crate) fn object(&self) -> Option<&ObjectRecord> {
        match &self.content {
            VersionContent::Marker => None,
            VersionContent::Object(object) => Some(object),
        }
    }
}

impl ObjectRecord {
    /// How many parts the object was uploaded in, when it came in parts.
    pub(crate) fn parts_count(&self) -> Option<usize> {
        self.segments.first().and_then(|segment| segment.part.as_ref()).map(|_| self.segments.len())
    }
}
