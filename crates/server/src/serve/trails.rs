//! The delivery of trails and the history of events, as CloudTrail's API sees them.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::lookup::{HistoryPage, HistoryQuery, LookupError};
use portcullis_cloudtrail::{Trail, TrailLayout, TrailName};
use portcullis_control::cloudtrail::{
    BucketContents, BucketUnavailable, DeliveredFiles, DeliveryProgress, EventHistory, TrailDelivery,
};
use portcullis_followers::delivery::Delivery;
use portcullis_followers::history::History;
use portcullis_state::BoxedFuture;
use portcullis_upstream::{BucketHolding, Upstream};

/// The delivery of trails, and the upstream whose buckets they use.
#[derive(Debug)]
pub(super) struct DeliveryAdapter {
    pub delivery: Delivery,
    pub upstream: Arc<Upstream>,
    /// The folder that trails are delivered to, if not to the upstream.
    pub folder: Option<PathBuf>,
}

impl TrailDelivery for DeliveryAdapter {
    fn contents<'a>(&'a self, bucket: &'a BucketName, now: Timestamp) -> BoxedFuture<'a, BucketContents> {
        Box::pin(async move {
            match self.upstream.holding(bucket, now).await {
                Ok(BucketHolding::Nothing) => BucketContents::None,
                Ok(BucketHolding::Something) => BucketContents::MayBeThere,
                Err(error) => {
                    tracing::warn!(%error, %bucket, "cannot determine whether a bucket is empty");
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
                    tracing::warn!(%error, %bucket, "cannot determine whether a bucket holds files of a trail");
                    BucketContents::MayBeThere
                }
            }
        })
    }

    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), BucketUnavailable>> {
        Box::pin(async move {
            self.delivery.make_bucket(bucket).await.map_err(|error| {
                tracing::error!(%error, bucket = %bucket.name(), "a trail's bucket cannot be created");
                BucketUnavailable
            })
        })
    }

    fn files<'a>(&'a self, trail: &'a Trail) -> BoxedFuture<'a, Option<DeliveredFiles>> {
        Box::pin(async move {
            match self.delivery.end_of(trail).await {
                Ok(end) => Some(DeliveredFiles { end, folder: self.folder.clone() }),
                Err(error) => {
                    tracing::error!(%error, trail = %trail.name, "the end of a trail's files cannot be read");
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

/// The history, which the proxy stops at its end.
#[derive(Debug)]
pub(super) struct HistoryAdapter(pub Arc<History>);

impl EventHistory for HistoryAdapter {
    fn lookup(&self, query: HistoryQuery) -> BoxedFuture<'_, Result<HistoryPage, LookupError>> {
        Box::pin(self.0.lookup(query))
    }
}
