//! The delivery of trails, as CloudTrail's API sees it.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::{Trail, TrailLayout, TrailName};
use portcullis_control::cloudtrail::{
    BucketContents, BucketUnavailable, DeliveredFiles, DeliveryProgress, TrailDelivery,
};
use portcullis_followers::delivery::Delivery;
use portcullis_state::BoxedFuture;
use portcullis_upstream::{BucketHolding, Upstream};

/// What delivers the trails, and the store whose buckets they take.
#[derive(Debug)]
pub(super) struct DeliveryAdapter {
    pub delivery: Delivery,
    pub upstream: Arc<Upstream>,
    /// Where trails are delivered to, if not to the store.
    pub folder: Option<PathBuf>,
}

impl TrailDelivery for DeliveryAdapter {
    fn contents<'a>(&'a self, bucket: &'a BucketName, now: Timestamp) -> BoxedFuture<'a, BucketContents> {
        Box::pin(async move {
            match self.upstream.holding(bucket, now).await {
                Ok(BucketHolding::Nothing) => BucketContents::None,
                Ok(BucketHolding::Something) => BucketContents::MayBeThere,
                Err(error) => {
                    tracing::warn!(%error, %bucket, "nobody can tell whether a bucket is empty");
                    BucketContents::MayBeThere
                }
            }
        })
    }

    fn files_at<'a>(&'a self, bucket: &'a BucketName, layout: &'a TrailLayout) -> BoxedFuture<'a, BucketContents> {
        Box::pin(async move {
            match self.delivery.has_files(bucket, layout).await {
                Ok(false) => BucketContents::None,
                Ok(true) => BucketContents::MayBeThere,
                Err(error) => {
                    tracing::warn!(%error, %bucket, "nobody can tell whether files of a trail are in a bucket");
                    BucketContents::MayBeThere
                }
            }
        })
    }

    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), BucketUnavailable>> {
        Box::pin(async move {
            self.delivery.make_bucket(bucket).await.map_err(|error| {
                tracing::error!(%error, bucket = %bucket.name(), "a trail's bucket cannot be made");
                BucketUnavailable
            })
        })
    }

    fn files<'a>(&'a self, trail: &'a Trail) -> BoxedFuture<'a, Option<DeliveredFiles>> {
        Box::pin(async move {
            match self.delivery.end_of(trail).await {
                Ok(end) => Some(DeliveredFiles { end, folder: self.folder.clone() }),
                Err(error) => {
                    tracing::error!(%error, trail = %trail.name, "it cannot be read where a trail's files end");
                    None
                }
            }
        })
    }

    fn progress(&self, name: &TrailName) -> DeliveryProgress {
        let status = self.delivery.status(name);
        DeliveryProgress {
            latest_delivery: status.delivered,
            delivery_error: status.delivery_error,
            latest_digest: status.digested,
            digest_error: status.digest_error,
        }
    }

    fn trails_changed(&self) {
        self.delivery.notify_changed();
    }
}
