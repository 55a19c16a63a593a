//! What a change of a trail does to buckets, beside what it does to the trail itself.

use std::fmt;

use super::CloudTrail;
use super::change::PlannedChange;
use super::ports::BucketContents;
use portcullis_authorization::BucketUse;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::Trail;

/// Why a change needs a code though the trail itself loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketStake {
    /// Users would lose a bucket that may hold something.
    Closes(BucketName),
    /// Files would be added to a place that may hold those of a trail which was deleted or moved.
    Joins(BucketName),
    /// Users would get a bucket that may hold something.
    Opens(BucketName),
}

impl fmt::Display for BucketStake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closes(bucket) => {
                write!(out, "{bucket} is not known to be empty, and a trail's bucket is closed to users")
            }
            Self::Joins(bucket) => {
                write!(
                    out,
                    "files of another trail may be in {bucket} under the same prefix, and cannot be validated then"
                )
            }
            Self::Opens(bucket) => {
                write!(out, "{bucket} is not known to be empty, and without the trail it is open to users")
            }
        }
    }
}

impl CloudTrail {
    /// What a change puts at stake in the buckets that a trail takes or leaves.
    pub(super) async fn bucket_stake(&self, planned: &PlannedChange, now: Timestamp) -> Option<BucketStake> {
        if let Some(bucket) = planned.bucket_taken()
            && self.store.use_of(bucket) == BucketUse::Data
            && self.may_hold(bucket, now).await
        {
            return Some(BucketStake::Closes(bucket.clone()));
        }
        if let Some(trail) = planned.newly_placed()
            && self.may_hold_files(trail).await
        {
            return Some(BucketStake::Joins(trail.bucket.clone()));
        }
        if let Some(bucket) = planned.bucket_left()
            && !self.stays_closed(planned, bucket)
            && self.may_hold(bucket, now).await
        {
            return Some(BucketStake::Opens(bucket.clone()));
        }
        None
    }

    async fn may_hold(&self, bucket: &BucketName, now: Timestamp) -> bool {
        match self.deliveries.contents(bucket, now).await {
            BucketContents::MayBeThere => true,
            BucketContents::None => false,
        }
    }

    async fn may_hold_files(&self, trail: &Trail) -> bool {
        match self.deliveries.files_at(&trail.bucket, &self.place().layout(trail)).await {
            BucketContents::MayBeThere => true,
            BucketContents::None => false,
        }
    }

    /// Whether another trail keeps the bucket closed; one that never logged does not count, since it may leave the
    /// bucket without a code at the same moment.
    fn stays_closed(&self, planned: &PlannedChange, bucket: &BucketName) -> bool {
        let trails = self.store.trails();
        let mut others = trails.iter().filter(|trail| !planned.is_about(&trail.name));
        others.any(|other| other.bucket == *bucket && other.has_logged())
    }
}
