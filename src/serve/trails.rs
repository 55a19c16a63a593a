//! The delivery of trails, as CloudTrail's API sees it.

use crate::api::cloudtrail::{Deliveries, NoBucket, Progress};
use crate::delivery::Delivery;
use crate::names::BucketName;
use crate::store::Promise;
use crate::trail::TrailName;

/// What delivers the trails.
#[derive(Debug)]
pub(super) struct Delivered(pub Delivery);

impl Deliveries for Delivered {
    fn make_bucket<'a>(&'a self, bucket: &'a BucketName) -> Promise<'a, Result<(), NoBucket>> {
        Box::pin(async move {
            self.0.make_bucket(bucket).await.map_err(|error| {
                tracing::error!(%error, %bucket, "a trail's bucket cannot be made");
                NoBucket
            })
        })
    }

    fn progress(&self, name: &TrailName) -> Progress {
        let status = self.0.status(name);
        Progress {
            latest_delivery: status.delivered,
            delivery_error: status.delivery_error,
            latest_digest: status.digested,
            digest_error: status.digest_error,
        }
    }

    fn trails_changed(&self) {
        self.0.notify_changed();
    }
}
