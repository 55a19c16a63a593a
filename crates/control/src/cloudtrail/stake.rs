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

/// What is known of the buckets that a change takes or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffectedBuckets {
    /// What users would lose in the bucket that is taken.
    pub taken: BucketContents,
    /// Files of another trail at the place that is taken.
    pub joined: BucketContents,
    /// What users would get in the bucket that is left.
    pub left: BucketContents,
}

impl AffectedBuckets {
    /// Where nothing was asked, anything may be there.
    pub const UNASKED: Self = Self {
        taken: BucketContents::MayBeThere,
        joined: BucketContents::MayBeThere,
        left: BucketContents::MayBeThere,
    };
}

impl BucketStake {
    /// What a change puts at stake in the buckets that a trail takes or leaves.
    pub fn of(planned: &PlannedChange, buckets: AffectedBuckets) -> Option<Self> {
        let AffectedBuckets { taken, joined, left } = buckets;
        if let (Some(bucket), BucketContents::MayBeThere) = (planned.bucket_taken(), taken) {
            return Some(Self::Closes(bucket.clone()));
        }
        if let (Some(trail), BucketContents::MayBeThere) = (planned.newly_placed(), joined) {
            return Some(Self::Joins(trail.bucket.clone()));
        }
        match (planned.bucket_left(), left) {
            (Some(bucket), BucketContents::MayBeThere) => Some(Self::Opens(bucket.clone())),
            (None, _) | (Some(_), BucketContents::None) => None,
        }
    }
}

impl CloudTrail {
    /// Asks the upstream about the buckets that a change takes or leaves, until one answer is enough for a code.
    pub(super) async fn affected_buckets(
        &self,
        planned: &PlannedChange,
        trails: &[Trail],
        now: Timestamp,
    ) -> AffectedBuckets {
        let mut buckets = AffectedBuckets::UNASKED;
        buckets.taken = match planned.bucket_taken() {
            // Users have lost it already.
            Some(bucket) if self.state.use_of(bucket) == BucketUse::Trail => BucketContents::None,
            Some(bucket) => self.deliveries.contents(bucket, now).await,
            None => BucketContents::None,
        };
        if buckets.taken == BucketContents::MayBeThere {
            return buckets;
        }
        buckets.joined = match planned.newly_placed() {
            Some(trail) => self.deliveries.files_at(&trail.bucket, &self.place().layout(trail)).await,
            None => BucketContents::None,
        };
        if buckets.joined == BucketContents::MayBeThere {
            return buckets;
        }
        buckets.left = match planned.bucket_left() {
            Some(bucket) if stays_closed(planned, bucket, trails) => BucketContents::None,
            Some(bucket) => self.deliveries.contents(bucket, now).await,
            None => BucketContents::None,
        };
        buckets
    }
}

/// Whether another trail keeps the bucket closed; one that never logged does not count, since it may leave the
/// bucket without a code at the same moment.
fn stays_closed(planned: &PlannedChange, bucket: &BucketName, trails: &[Trail]) -> bool {
    let mut others = trails.iter().filter(|trail| !planned.is_about(&trail.name));
    others.any(|other| other.bucket == *bucket && other.has_logged())
}
