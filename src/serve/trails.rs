//! The delivery of trails, as CloudTrail's API sees it.

use std::sync::Arc;

use crate::api::cloudtrail::{Contents, Deliveries, NoBucket, Progress};
use crate::clock::Timestamp;
use crate::delivery::Delivery;
use crate::forward::{Holding, Upstream};
use crate::names::BucketName;
use crate::store::Promise;
use crate::trail::{Layout, TrailName};

/// What delivers the trails, and the store whose buckets they take.
#[derive(Debug)]
pub(super) struct Delivered {
    pub delivery: Delivery,
    pub upstream: Arc<Upstream>,
}

impl Deliveries for Delivered {
    fn contents<'a>(&'a self, bucket: &'a BucketName, now: Timestamp) -> Promise<'a, Contents> {
        Box::pin(async move {
            match self.upstream.holding(bucket, now).await {
                Ok(Holding::Nothing) => Contents::None,
                Ok(Holding::Something) => Contents::MayBeThere,
                Err(error) => {
                    tracing::warn!(%error, %bucket, "nobody can tell whether a bucket is empty");
                    Contents::MayBeThere
                }
            }
        })
    }

    fn files_at<'a>(&'a self, bucket: &'a BucketName, layout: &'a Layout) -> Promise<'a, Contents> {
        Box::pin(async move {
            match self.delivery.has_files(bucket, layout).await {
                Ok(false) => Contents::None,
                Ok(true) => Contents::MayBeThere,
                Err(error) => {
                    tracing::warn!(%error, %bucket, "nobody can tell whether files of a trail are in a bucket");
                    Contents::MayBeThere
                }
            }
        })
    }

    fn make_bucket<'a>(&'a self, bucket: &'a BucketName) -> Promise<'a, Result<(), NoBucket>> {
        Box::pin(async move {
            self.delivery.make_bucket(bucket).await.map_err(|error| {
                tracing::error!(%error, %bucket, "a trail's bucket cannot be made");
                NoBucket
            })
        })
    }

    fn progress(&self, name: &TrailName) -> Progress {
        let status = self.delivery.status(name);
        Progress {
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
