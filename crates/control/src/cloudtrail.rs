//! A subset of CloudTrail's API (version 2013-11-01, awsJson1_1), for the trails of this proxy.
//!
//! Everybody with a key may see what is recorded and prove what was delivered; root alone changes trails and reads
//! the events, and takes something from a trail only with a code.

mod answer;
mod change;
mod decide;
mod input;
mod lookup;
mod operation;
mod ports;
mod refused;
mod scope;
mod show;
mod stake;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use change::{ChangeEffect, PlannedChange, TrailChange};
use portcullis_authorization::{Caller, CallerRights, TrailBucket};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, BucketName};
use portcullis_cloudtrail::DigestPeriod;
use portcullis_cloudtrail::lookup::LookupAsker;
use portcullis_state::{StateStore, TrailReservation};
use scope::TrailScope;
use stake::AffectedBuckets;

pub use decide::{CallDenial, CallFacts, CallPermit, CallPlan, PendingCall, decide};
pub use input::{CallInput, recorded};
pub use operation::{CloudTrailOperation, UNKNOWN};
pub use ports::{BucketContents, BucketUnavailable, DeliveredFiles, DeliveryProgress, EventHistory, TrailDelivery};
pub use refused::{CloudTrailError, MfaCircumstances, RootDevices, UnreadableCall};

/// The longest body of a call: the 500 values of a trail's selectors come to a quarter of that.
pub const LONGEST_BODY: usize = 256 * 1024;

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// CloudTrail's API on the trails of one proxy.
#[derive(Debug)]
pub struct CloudTrail {
    region: String,
    state: StateStore,
    deliveries: Arc<dyn TrailDelivery>,
    history: Arc<dyn EventHistory>,
    /// A new trail's, where the call says nothing of it.
    digest_period: DigestPeriod,
}

/// A call whose body is read.
#[derive(Clone, Debug)]
pub struct CloudTrailCall {
    operation: CloudTrailOperation,
    input: CallInput,
    /// Who looks up events.
    asker: Option<LookupAsker>,
}

impl CloudTrail {
    /// The API of the account of this state, in this region.
    pub fn new(
        region: String,
        state: StateStore,
        deliveries: Arc<dyn TrailDelivery>,
        history: Arc<dyn EventHistory>,
        digest_period: DigestPeriod,
    ) -> Self {
        Self { region, state, deliveries, history, digest_period }
    }

    /// What a call is decided by: the only I/O before the decision.
    pub async fn facts(
        &self,
        call: &CloudTrailCall,
        caller: &Caller,
        rights: CallerRights,
        now: Timestamp,
    ) -> CallFacts<'_> {
        let facts = CallFacts {
            place: self.place(),
            rights,
            trails: self.state.trails(),
            devices: if self.state.has_active_device() { RootDevices::Some } else { RootDevices::None },
            buckets: AffectedBuckets::UNASKED,
        };
        // The upstream is asked for root alone, and only where the answer can decide.
        let buckets = match decide::plan(call, caller, &facts, now) {
            Ok(CallPlan::Change(planned)) if planned.effect == ChangeEffect::Harmless => {
                self.affected_buckets(&planned, &facts.trails, now).await
            }
            Ok(CallPlan::Change(_) | CallPlan::Read(_)) | Err(_) => AffectedBuckets::UNASKED,
        };
        CallFacts { buckets, ..facts }
    }

    /// Carries out a call that is permitted.
    pub async fn perform(&self, permit: CallPermit, now: Timestamp) -> Result<Value, CloudTrailError> {
        match permit.into_action() {
            CallPlan::Change(planned) => self.change(planned, now).await,
            CallPlan::Read(call) => self.read(&call, now).await,
        }
    }

    async fn change(&self, planned: PlannedChange, now: Timestamp) -> Result<Value, CloudTrailError> {
        let takes_bucket = planned.bucket_taken().is_some();
        let (trail, done) = match planned.change {
            TrailChange::Nothing => return Ok(planned.answer),
            TrailChange::Delete { was } => {
                let done = self.state.delete_trail(&was, now).await;
                (was, done)
            }
            TrailChange::Put { was, trail } => {
                let reserved = self.state.reserve_trail(was.as_deref(), (*trail).clone(), now).await;
                let done = match reserved {
                    Ok(reservation) => {
                        if takes_bucket {
                            self.make_bucket(&trail.bucket, &reservation).await?;
                        }
                        reservation.record(now).await
                    }
                    Err(error) => Err(error),
                };
                (trail, done)
            }
        };
        // Told also of a failure: the change may be on the disk all the same.
        self.deliveries.trails_changed();
        match done {
            Ok(()) => Ok(planned.answer),
            Err(error) => {
                tracing::warn!(%error, trail = %trail.name, "a trail was not changed");
                Err(CloudTrailError::store(&error, &trail, &self.place()))
            }
        }
    }

    /// Makes the bucket of a trail that is being recorded. A crash before the record leaves a bucket without a trail.
    async fn make_bucket(&self, bucket: &BucketName, reservation: &TrailReservation) -> Result<(), CloudTrailError> {
        let made = match TrailBucket::of(bucket, reservation) {
            Some(leave) => self.deliveries.make_bucket(leave).await,
            None => Err(BucketUnavailable),
        };
        made.map_err(|BucketUnavailable| CloudTrailError::no_bucket(bucket.as_str()))
    }

    fn place(&self) -> TrailScope<'_> {
        TrailScope { account: self.state.account(), region: &self.region, digest_period: self.digest_period }
    }
}

impl CloudTrailCall {
    /// Reads the body of a call.
    pub fn read(operation: CloudTrailOperation, body: &[u8]) -> Result<Self, CloudTrailError> {
        Ok(Self { operation, input: CallInput::read(body)?, asker: None })
    }

    /// Says who signed the call, and from where.
    pub fn asked_by(self, key_id: &AccessKeyId, address: IpAddr) -> Self {
        let (access_key_id, address) = (key_id.to_string(), address.to_canonical().to_string());
        Self { asker: Some(LookupAsker { access_key_id, address }), ..self }
    }

    /// What is asked for.
    pub fn operation(&self) -> CloudTrailOperation {
        self.operation
    }

    /// `requestParameters` of its event.
    pub fn recorded(&self) -> Value {
        self.input.recorded()
    }
}

#[cfg(test)]
mod tests;
