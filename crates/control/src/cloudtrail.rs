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

use change::{Change, Effect, Planned};
use operation::OpenTo;
use place::Place;
use portcullis_authorization::{Caller, Rules, TrailBucket};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, BucketName};
use portcullis_cloudtrail::DigestPeriod;
use portcullis_followers::history::{History, LookupAsker};
use portcullis_mfa::{Challenge, Fault, Offer, Proof};
use portcullis_s3::Access;
use portcullis_sigv4::Principal;
use portcullis_state::{Store, TrailReservation};
use stake::BucketStake;

pub use input::{Input, recorded};
pub use operation::{Operation, UNKNOWN};
pub use ports::{Contents, DeliveredFiles, Deliveries, NoBucket, Progress};
pub use refused::{Circumstances, Devices, Refused, Unreadable};

/// The longest body of a call: the 500 values of a trail's selectors come to a quarter of that.
pub const LONGEST_BODY: usize = 256 * 1024;

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// CloudTrail's API on the trails of one gate.
#[derive(Debug)]
pub struct CloudTrail {
    region: String,
    store: Store,
    deliveries: Arc<dyn Deliveries>,
    history: Arc<History>,
    /// A new trail's, where the call says nothing of it.
    digest_period: DigestPeriod,
}

/// A call whose body is read.
#[derive(Clone, Debug)]
pub struct Call {
    operation: Operation,
    input: Input,
    /// Who looks up events.
    asker: Option<LookupAsker>,
}

/// What is said of a call.
#[derive(Debug)]
pub enum Verdict {
    /// It may be answered as it is.
    Pass(Permit),
    Refuse(Denied),
    /// It may be answered once the caller's code has proved right.
    Verify(Challenge<PendingChange>),
}

/// Leave to answer one call. Only `judge`, and a proof, make one.
#[derive(Debug)]
pub struct Permit(Granted);

#[derive(Debug)]
enum Granted {
    Change(Planned),
    Read(Call),
}

/// A change of root's that passes once the code is proved.
#[derive(Debug)]
pub struct PendingChange {
    planned: Planned,
    circumstances: Circumstances,
}

/// Why a call is refused.
#[derive(Debug)]
pub enum Denied {
    /// It cannot be done, or not by this caller.
    Call(Refused),
    /// The second factor is missing, or does not count.
    Factor(portcullis_authorization::Refusal, Circumstances),
}

impl CloudTrail {
    /// The API of this store's account in this region.
    pub fn new(
        region: String,
        store: Store,
        deliveries: Arc<dyn Deliveries>,
        history: Arc<History>,
        digest_period: DigestPeriod,
    ) -> Self {
        Self { region, store, deliveries, history, digest_period }
    }

    /// Judges a call by the trails as they are; if they are others when it is answered, it conflicts. Root comes before the
    /// trail and both before the code, so that no code is spent on nothing.
    pub async fn judge(&self, call: Call, caller: &Caller, offer: Offer, rules: Rules, now: Timestamp) -> Verdict {
        if let Err(refused) = self.may_ask(call.operation, &caller.principal) {
            return Verdict::Refuse(Denied::Call(refused));
        }
        if let Err(refused) = call.input.only(call.operation.members()) {
            return Verdict::Refuse(Denied::Call(refused));
        }
        let offer = match offer {
            Offer::Malformed(header) => {
                let refusal = portcullis_authorization::Refusal::MalformedOffer(header);
                return Verdict::Refuse(Denied::Factor(refusal, self.circumstances(None)));
            }
            Offer::Absent => None,
            Offer::Codes(codes) => Some(codes),
        };
        match call.operation.access() {
            Access::Read => return Verdict::Pass(Permit(Granted::Read(call))),
            Access::Write => {}
        }
        let planned = match change::plan(call.operation, &call.input, &self.store.trails(), &self.place(), now) {
            Ok(planned) => planned,
            Err(refused) => return Verdict::Refuse(Denied::Call(refused)),
        };
        let stake = match planned.effect {
            Effect::Harmless => match self.bucket_stake(&planned, now).await {
                None => return Verdict::Pass(Permit(Granted::Change(planned))),
                stake => stake,
            },
            Effect::Weakens => None,
        };
        let circumstances = self.circumstances(stake);
        match portcullis_authorization::takes_code(caller, offer, rules) {
            Ok(offer) => Verdict::Verify(Challenge::new(offer, PendingChange { planned, circumstances })),
            Err(refusal) => Verdict::Refuse(Denied::Factor(refusal, circumstances)),
        }
    }

    fn circumstances(&self, stake: Option<BucketStake>) -> Circumstances {
        let devices = if self.store.has_active_device() { Devices::Some } else { Devices::None };
        Circumstances { stake, devices }
    }

    /// Answers a call that may be answered.
    pub async fn answer(&self, permit: Permit, now: Timestamp) -> Result<Value, Refused> {
        match permit.0 {
            Granted::Change(planned) => self.change(planned, now).await,
            Granted::Read(call) => self.read(&call, now).await,
        }
    }

    fn may_ask(&self, operation: Operation, principal: &Principal) -> Result<(), Refused> {
        match (operation.open_to(), principal) {
            (OpenTo::Anybody, _) | (OpenTo::Root, Principal::Root) => Ok(()),
            (OpenTo::Root, Principal::User(_)) => {
                Err(Refused::not_authorized(principal, operation.name(), self.store.account()))
            }
        }
    }

    async fn change(&self, planned: Planned, now: Timestamp) -> Result<Value, Refused> {
        let takes_bucket = planned.bucket_taken().is_some();
        let (trail, done) = match planned.change {
            Change::Nothing => return Ok(planned.answer),
            Change::Delete { was } => {
                let done = self.store.delete_trail(&was, now).await;
                (was, done)
            }
            Change::Put { was, trail } => {
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
                Err(Refused::store(&error, &trail, &self.place()))
            }
        }
    }

    /// Makes the bucket of a trail that is being recorded. A crash before the record leaves a bucket without a trail.
    async fn make_bucket(&self, bucket: &BucketName, reservation: &TrailReservation) -> Result<(), Refused> {
        let made = match TrailBucket::of(bucket, reservation) {
            Some(leave) => self.deliveries.make_bucket(leave).await,
            None => Err(NoBucket),
        };
        made.map_err(|NoBucket| Refused::no_bucket(bucket.as_str()))
    }

    async fn read(&self, call: &Call, now: Timestamp) -> Result<Value, Refused> {
        let (input, place, trails) = (&call.input, self.place(), self.store.trails());
        let named = |member: &str| place.trail(input.required(member)?, &trails);
        match call.operation {
            Operation::DescribeTrails => {
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
            Operation::GetEventSelectors => Ok(show::selectors(named("TrailName")?, &place)),
            Operation::GetInsightSelectors => {
                if input.some_text("EventDataStore")?.is_some() {
                    return Err(Refused::unsupported("EventDataStore"));
                }
                Err(Refused::no_insights(named("TrailName")?.name.as_str()))
            }
            Operation::GetTrail => Ok(json!({ "Trail": show::trail(named("Name")?, &place) })),
            Operation::GetTrailStatus => {
                let trail = named("Name")?;
                let progress = self.deliveries.progress(&trail.name);
                let files = match input.flag("IncludeFiles")? {
                    Some(true) => Some(self.deliveries.files(trail).await.ok_or_else(Refused::unknown_files)?),
                    Some(false) | None => None,
                };
                Ok(show::status(trail, &progress, files.as_ref()))
            }
            Operation::ListPublicKeys => self.public_keys(input, now),
            Operation::ListTags => {
                let arns = input.texts("ResourceIdList")?.ok_or_else(|| Refused::missing("ResourceIdList"))?;
                no_token(input)?;
                let tags = arns.iter().map(|arn| Ok(show::tags(place.resource(arn, &trails)?, arn)));
                Ok(json!({ "ResourceTagList": tags.collect::<Result<Vec<_>, _>>()? }))
            }
            Operation::ListTrails => {
                no_token(input)?;
                Ok(json!({ "Trails": trails.iter().map(|trail| show::listed(trail, &place)).collect::<Vec<_>>() }))
            }
            Operation::LookupEvents => {
                let query = lookup::query(input, call.asker.clone())?;
                let page = self.history.lookup(query).await.map_err(|error| lookup::refused(&error))?;
                Ok(lookup::answer(page))
            }
            Operation::AddTags
            | Operation::CreateTrail
            | Operation::DeleteTrail
            | Operation::PutEventSelectors
            | Operation::PutInsightSelectors
            | Operation::RemoveTags
            | Operation::StartLogging
            | Operation::StopLogging
            | Operation::UpdateTrail => Err(Refused::internal()),
        }
    }

    /// All keys of a time at once: whoever validates reads one page.
    fn public_keys(&self, input: &Input, now: Timestamp) -> Result<Value, Refused> {
        no_token(input)?;
        let (start, end) = (input.moment("StartTime")?, input.moment("EndTime")?);
        let (from, to) = match (start, end) {
            (None, None) => (now, now),
            (Some(start), None) => (start, Timestamp::from_millis(i64::MAX)),
            (None, Some(end)) => (Timestamp::from_millis(i64::MIN), end),
            (Some(start), Some(end)) => (start, end),
        };
        if from > to {
            return Err(Refused::invalid_time_range());
        }
        let keys = self.store.signing_keys();
        let valid = keys.iter().filter(|key| key.valid_from <= to && from <= key.valid_to);
        Ok(json!({ "PublicKeyList": valid.map(show::public_key).collect::<Vec<_>>() }))
    }

    fn place(&self) -> Place<'_> {
        Place { account: self.store.account(), region: &self.region, digest_period: self.digest_period }
    }
}

/// These lists are whole: a token can only be another's.
fn no_token(input: &Input) -> Result<(), Refused> {
    match input.some_text("NextToken")? {
        None => Ok(()),
        Some(_) => Err(Refused::invalid_token()),
    }
}

impl Call {
    /// Reads the body of a call.
    pub fn read(operation: Operation, body: &[u8]) -> Result<Self, Refused> {
        Ok(Self { operation, input: Input::read(body)?, asker: None })
    }

    /// Says who signed the call, and from where.
    pub fn asked_by(self, key_id: &AccessKeyId, address: IpAddr) -> Self {
        let (access_key_id, address) = (key_id.to_string(), address.to_canonical().to_string());
        Self { asker: Some(LookupAsker { access_key_id, address }), ..self }
    }

    /// What is asked for.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// `requestParameters` of its event.
    pub fn recorded(&self) -> Value {
        self.input.recorded()
    }
}

impl Permit {
    /// Opens what the proof was made for.
    pub fn by_proof(proof: Proof<PendingChange>) -> Self {
        Self(Granted::Change(proof.into_subject().planned))
    }
}

impl Denied {
    /// Turns a challenge that was not met into its refusal.
    pub fn of_fault(challenge: Challenge<PendingChange>, fault: Fault) -> Self {
        let circumstances = challenge.subject().circumstances.clone();
        Self::Factor(portcullis_authorization::Refusal::of_fault(challenge.into_codes(), fault), circumstances)
    }

    /// What the client is told.
    pub fn refused(&self) -> Refused {
        match self {
            Self::Call(refused) => refused.clone(),
            Self::Factor(refusal, circumstances) => Refused::factor(refusal, circumstances),
        }
    }
}

#[cfg(test)]
mod tests;
