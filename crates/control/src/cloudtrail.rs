//! A subset of CloudTrail's API (version 2013-11-01, awsJson1_1), for the trails of this gate.
//!
//! Everybody with a key may see what is recorded and prove what was delivered; root alone changes trails and reads
//! the events, and takes something from a trail only with a code.

mod change;
mod input;
mod lookup;
mod operation;
mod place;
mod ports;
mod refused;
mod show;
mod stake;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use change::{ChangeEffect, PlannedChange, TrailChange};
use operation::OpenTo;
use place::TrailScope;
use portcullis_authorization::{Caller, Rules, TrailBucket};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, BucketName};
use portcullis_cloudtrail::DigestPeriod;
use portcullis_followers::history::{History, LookupCaller};
use portcullis_mfa::{Challenge, MfaFault, MfaToken, Proof};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::Principal;
use portcullis_state::{StateStore, TrailReservation};
use stake::BucketStake;

pub use input::{CallInput, recorded};
pub use operation::{CloudTrailOperation, UNKNOWN};
pub use ports::{BucketContents, BucketUnavailable, DeliveredFiles, DeliveryProgress, TrailDelivery};
pub use refused::{CloudTrailError, MfaCircumstances, RootDevices, UnreadableCall};

/// The longest body of a call: the 500 values of a trail's selectors come to a quarter of that.
pub const LONGEST_BODY: usize = 256 * 1024;

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// CloudTrail's API on the trails of one gate.
#[derive(Debug)]
pub struct CloudTrail {
    region: String,
    store: StateStore,
    deliveries: Arc<dyn TrailDelivery>,
    history: Arc<History>,
    /// A new trail's, where the call says nothing of it.
    digest_period: DigestPeriod,
}

/// A call whose body is read.
#[derive(Clone, Debug)]
pub struct CloudTrailCall {
    operation: CloudTrailOperation,
    input: CallInput,
    /// Who looks up events.
    asker: Option<LookupCaller>,
}

/// What is said of a call.
#[derive(Debug)]
pub enum CallVerdict {
    /// It may be answered as it is.
    Pass(CallPermit),
    Refuse(CallDenial),
    /// It may be answered once the caller's code has proved right.
    Verify(Challenge<PendingChange>),
}

/// Leave to answer one call. Only `judge`, and a proof, make one.
#[derive(Debug)]
pub struct CallPermit(PermittedCall);

#[derive(Debug)]
enum PermittedCall {
    Change(PlannedChange),
    Read(CloudTrailCall),
}

/// A change of root's that passes once the code is proved.
#[derive(Debug)]
pub struct PendingChange {
    planned: PlannedChange,
    circumstances: MfaCircumstances,
}

/// Why a call is refused.
#[derive(Debug)]
pub enum CallDenial {
    /// It cannot be done, or not by this caller.
    Call(CloudTrailError),
    /// The second factor is missing, or does not count.
    Factor(portcullis_authorization::Refusal, MfaCircumstances),
}

impl CloudTrail {
    /// The API of this store's account in this region.
    pub fn new(
        region: String,
        store: StateStore,
        deliveries: Arc<dyn TrailDelivery>,
        history: Arc<History>,
        digest_period: DigestPeriod,
    ) -> Self {
        Self { region, store, deliveries, history, digest_period }
    }

    /// Judges a call by the trails as they are; if they are others when it is answered, it conflicts. Root comes before the
    /// trail and both before the code, so that no code is spent on nothing.
    pub async fn judge(
        &self,
        call: CloudTrailCall,
        caller: &Caller,
        offer: MfaToken,
        rules: Rules,
        now: Timestamp,
    ) -> CallVerdict {
        if let Err(refused) = self.may_ask(call.operation, &caller.principal) {
            return CallVerdict::Refuse(CallDenial::Call(refused));
        }
        if let Err(refused) = call.input.only(call.operation.members()) {
            return CallVerdict::Refuse(CallDenial::Call(refused));
        }
        let offer = match offer {
            MfaToken::Malformed(header) => {
                let refusal = portcullis_authorization::Refusal::MalformedOffer(header);
                return CallVerdict::Refuse(CallDenial::Factor(refusal, self.circumstances(None)));
            }
            MfaToken::Absent => None,
            MfaToken::Codes(codes) => Some(codes),
        };
        match call.operation.access() {
            OperationAccess::Read => return CallVerdict::Pass(CallPermit(PermittedCall::Read(call))),
            OperationAccess::Write => {}
        }
        let planned = match change::plan(call.operation, &call.input, &self.store.trails(), &self.place(), now) {
            Ok(planned) => planned,
            Err(refused) => return CallVerdict::Refuse(CallDenial::Call(refused)),
        };
        let stake = match planned.effect {
            ChangeEffect::Harmless => match self.bucket_stake(&planned, now).await {
                None => return CallVerdict::Pass(CallPermit(PermittedCall::Change(planned))),
                stake => stake,
            },
            ChangeEffect::Weakens => None,
        };
        let circumstances = self.circumstances(stake);
        match portcullis_authorization::takes_code(caller, offer, rules) {
            Ok(offer) => CallVerdict::Verify(Challenge::new(offer, PendingChange { planned, circumstances })),
            Err(refusal) => CallVerdict::Refuse(CallDenial::Factor(refusal, circumstances)),
        }
    }

    fn circumstances(&self, stake: Option<BucketStake>) -> MfaCircumstances {
        let devices = if self.store.has_active_device() { RootDevices::Some } else { RootDevices::None };
        MfaCircumstances { stake, devices }
    }

    /// Answers a call that may be answered.
    pub async fn answer(&self, permit: CallPermit, now: Timestamp) -> Result<Value, CloudTrailError> {
        match permit.0 {
            PermittedCall::Change(planned) => self.change(planned, now).await,
            PermittedCall::Read(call) => self.read(&call, now).await,
        }
    }

    fn may_ask(&self, operation: CloudTrailOperation, principal: &Principal) -> Result<(), CloudTrailError> {
        match (operation.open_to(), principal) {
            (OpenTo::Anybody, _) | (OpenTo::Root, Principal::Root) => Ok(()),
            (OpenTo::Root, Principal::User(_)) => {
                Err(CloudTrailError::not_authorized(principal, operation.name(), self.store.account()))
            }
        }
    }

    async fn change(&self, planned: PlannedChange, now: Timestamp) -> Result<Value, CloudTrailError> {
        let takes_bucket = planned.bucket_taken().is_some();
        let (trail, done) = match planned.change {
            TrailChange::Nothing => return Ok(planned.answer),
            TrailChange::Delete { was } => {
                let done = self.store.delete_trail(&was, now).await;
                (was, done)
            }
            TrailChange::Put { was, trail } => {
                let reserved = self.store.reserve_trail(was.as_deref(), (*trail).clone(), now).await;
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

    async fn read(&self, call: &CloudTrailCall, now: Timestamp) -> Result<Value, CloudTrailError> {
        let (input, place, trails) = (&call.input, self.place(), self.store.trails());
        let named = |member: &str| place.trail(input.required(member)?, &trails);
        match call.operation {
            CloudTrailOperation::DescribeTrails => {
                let names = input.texts("trailNameList")?.unwrap_or_default();
                let mut shown = Vec::new();
                for name in &names {
                    match place.trail(name, &trails) {
                        Ok(trail) => shown.push(show::trail(trail, &place)),
                        // AWS leaves out what is not there.
                        Err(refused) if refused.exception == "TrailNotFoundException" => {}
                        Err(refused) => return Err(refused),
                    }
                }
                if names.is_empty() {
                    shown = trails.iter().map(|trail| show::trail(trail, &place)).collect();
                }
                Ok(json!({ "trailList": shown }))
            }
            CloudTrailOperation::GetEventSelectors => Ok(show::selectors(named("TrailName")?, &place)),
            CloudTrailOperation::GetInsightSelectors => {
                if input.some_text("EventDataStore")?.is_some() {
                    return Err(CloudTrailError::unsupported("EventDataStore"));
                }
                Err(CloudTrailError::no_insights(named("TrailName")?.name.as_str()))
            }
            CloudTrailOperation::GetTrail => Ok(json!({ "Trail": show::trail(named("Name")?, &place) })),
            CloudTrailOperation::GetTrailStatus => {
                let trail = named("Name")?;
                let progress = self.deliveries.progress(&trail.name);
                let files = match input.flag("IncludeFiles")? {
                    Some(true) => Some(self.deliveries.files(trail).await.ok_or_else(CloudTrailError::unknown_files)?),
                    Some(false) | None => None,
                };
                Ok(show::status(trail, &progress, files.as_ref()))
            }
            CloudTrailOperation::ListPublicKeys => self.public_keys(input, now),
            CloudTrailOperation::ListTags => {
                let arns = input.texts("ResourceIdList")?.ok_or_else(|| CloudTrailError::missing("ResourceIdList"))?;
                no_token(input)?;
                let tags = arns.iter().map(|arn| Ok(show::tags(place.resource(arn, &trails)?, arn)));
                Ok(json!({ "ResourceTagList": tags.collect::<Result<Vec<_>, _>>()? }))
            }
            CloudTrailOperation::ListTrails => {
                no_token(input)?;
                Ok(json!({ "Trails": trails.iter().map(|trail| show::listed(trail, &place)).collect::<Vec<_>>() }))
            }
            CloudTrailOperation::LookupEvents => {
                let query = lookup::query(input, call.asker.clone())?;
                let page = self.history.lookup(query).await.map_err(|error| lookup::refused(&error))?;
                Ok(lookup::answer(page))
            }
            CloudTrailOperation::AddTags
            | CloudTrailOperation::CreateTrail
            | CloudTrailOperation::DeleteTrail
            | CloudTrailOperation::PutEventSelectors
            | CloudTrailOperation::PutInsightSelectors
            | CloudTrailOperation::RemoveTags
            | CloudTrailOperation::StartLogging
            | CloudTrailOperation::StopLogging
            | CloudTrailOperation::UpdateTrail => Err(CloudTrailError::internal()),
        }
    }

    /// All keys of a time at once: whoever validates reads one page.
    fn public_keys(&self, input: &CallInput, now: Timestamp) -> Result<Value, CloudTrailError> {
        no_token(input)?;
        let (start, end) = (input.moment("StartTime")?, input.moment("EndTime")?);
        let (from, to) = match (start, end) {
            (None, None) => (now, now),
            (Some(start), None) => (start, Timestamp::from_millis(i64::MAX)),
            (None, Some(end)) => (Timestamp::from_millis(i64::MIN), end),
            (Some(start), Some(end)) => (start, end),
        };
        if from > to {
            return Err(CloudTrailError::invalid_time_range());
        }
        let keys = self.store.signing_keys();
        let valid = keys.iter().filter(|key| key.valid_from <= to && from <= key.valid_to);
        Ok(json!({ "PublicKeyList": valid.map(show::public_key).collect::<Vec<_>>() }))
    }

    fn place(&self) -> TrailScope<'_> {
        TrailScope { account: self.store.account(), region: &self.region, digest_period: self.digest_period }
    }
}

/// These lists are whole: a token can only be another's.
fn no_token(input: &CallInput) -> Result<(), CloudTrailError> {
    match input.some_text("NextToken")? {
        None => Ok(()),
        Some(_) => Err(CloudTrailError::invalid_token()),
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
        Self { asker: Some(LookupCaller { access_key_id, address }), ..self }
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

impl CallPermit {
    /// Opens what the proof was made for.
    pub fn by_proof(proof: Proof<PendingChange>) -> Self {
        Self(PermittedCall::Change(proof.into_subject().planned))
    }
}

impl CallDenial {
    /// Turns a challenge that was not met into its refusal.
    pub fn of_fault(challenge: Challenge<PendingChange>, fault: MfaFault) -> Self {
        let circumstances = challenge.subject().circumstances.clone();
        Self::Factor(portcullis_authorization::Refusal::of_fault(challenge.into_codes(), fault), circumstances)
    }

    /// What the client is told.
    pub fn refused(&self) -> CloudTrailError {
        match self {
            Self::Call(refused) => refused.clone(),
            Self::Factor(refusal, circumstances) => CloudTrailError::factor(refusal, circumstances),
        }
    }
}

#[cfg(test)]
mod tests;
