//! What of delivery and of the history the API stands upon.

use std::fmt::Debug;
use std::path::PathBuf;

use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::lookup::{HistoryPage, HistoryQuery, LookupError};
use portcullis_cloudtrail::{Trail, TrailEnd, TrailLayout, TrailName};
use portcullis_state::BoxedFuture;

/// How trails are delivered.
pub trait TrailDelivery: Debug + Send + Sync {
    /// What users would lose sight of if a trail took this bucket, wherever the trail is delivered.
    fn contents<'a>(&'a self, bucket: &'a BucketName, now: Timestamp) -> BoxedFuture<'a, BucketContents>;
    /// Whether files of a trail are where a trail is to deliver to.
    fn files_at<'a>(&'a self, bucket: &'a BucketName, layout: &'a TrailLayout) -> BoxedFuture<'a, BucketContents>;
    /// Makes the bucket, if it is not there.
    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), BucketUnavailable>>;
    /// Where the delivered files of a trail end, and the folder that they lie in, if they lie in none of the store's
    /// buckets; none where it cannot be determined.
    fn files<'a>(&'a self, trail: &'a Trail) -> BoxedFuture<'a, Option<DeliveredFiles>>;
    /// How far a trail was delivered.
    fn progress(&self, name: &TrailName) -> DeliveryProgress;
    /// Says that trails changed.
    fn trails_changed(&self);
}

/// The recorded events, searched.
pub trait EventHistory: Debug + Send + Sync {
    /// Finds events, among them all whose record was on disk when this was asked.
    fn lookup(&self, query: HistoryQuery) -> BoxedFuture<'_, Result<HistoryPage, LookupError>>;
}

/// What is in a bucket, or at a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketContents {
    /// It is not empty, or that cannot be determined.
    MayBeThere,
    None,
}

/// The files of a trail that were delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveredFiles {
    pub end: TrailEnd,
    /// A folder on this machine, whose subfolders stand for buckets.
    pub folder: Option<PathBuf>,
}

/// The bucket is not there and cannot be made; the log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketUnavailable;

/// How far a trail was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryProgress {
    pub latest_delivery: Option<Timestamp>,
    pub delivery_error: Option<String>,
    pub latest_digest: Option<Timestamp>,
    pub digest_error: Option<String>,
}
