//! May a call be carried out? A pure function of the call, its caller and the facts.

use super::CloudTrailCall;
use super::change::{self, ChangeEffect, PlannedChange};
use super::input::CallInput;
use super::operation::{CallAudience, CloudTrailOperation, ReadOperation};
use super::refused::{CloudTrailError, MfaCircumstances, RootDevices};
use super::scope::TrailScope;
use super::stake::{AffectedBuckets, BucketStake};
use portcullis_authorization::{
    Caller, CallerRights, ControlAction, Permit, PermittedAction, Requirement, Rules, Verdict,
};
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::Trail;
use portcullis_cloudtrail::lookup::LookupAsker;
use portcullis_mfa::MfaToken;
use portcullis_sigv4::Principal;

/// What a call is decided by, beside what it asks for and who asks.
#[derive(Clone, Debug)]
pub struct CallFacts<'a> {
    pub(super) place: TrailScope<'a>,
    /// What the caller may do by its policies.
    pub(super) rights: CallerRights,
    pub(super) trails: Vec<Trail>,
    pub(super) devices: RootDevices,
    pub(super) buckets: AffectedBuckets,
}

/// Leave to carry out one call.
pub type CallPermit = Permit<CallPlan>;

/// What a call comes to.
#[derive(Debug)]
pub enum CallPlan {
    Change(PlannedChange),
    Read(ReadCall),
}

/// A call that changes nothing.
#[derive(Clone, Debug)]
pub struct ReadCall {
    pub operation: ReadOperation,
    pub input: CallInput,
    /// Who looks up events.
    pub asker: Option<LookupAsker>,
}

/// A call that may be carried out, at once or once a code is proved.
// INVARIANT (permit): made by `decide` alone.
#[derive(Debug)]
pub struct PendingCall {
    plan: CallPlan,
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

/// Decides on a call by the trails as they are; if they are others when it is carried out, it conflicts. Root comes before
/// the trail and both before the code, so that no code is spent on nothing.
pub fn decide(
    call: &CloudTrailCall,
    caller: &Caller,
    offer: MfaToken,
    facts: &CallFacts<'_>,
    rules: Rules,
    now: Timestamp,
) -> Verdict<CallPlan> {
    let circumstances = |stake| MfaCircumstances { stake, devices: facts.devices };
    let plan = plan(call, caller, facts, now);
    let offer = match (offer, &plan) {
        (_, Err(PlanRefusal::Forbidden(refused))) => return Verdict::Refuse(CallDenial::Call(refused.clone())),
        (MfaToken::Malformed(header), _) => {
            return Verdict::Refuse(CallDenial::Factor(
                portcullis_authorization::Refusal::MalformedOffer(header),
                circumstances(None),
            ));
        }
        (MfaToken::Absent, _) => None,
        (MfaToken::Codes(codes), _) => Some(codes),
    };
    let plan = match plan {
        Err(PlanRefusal::Forbidden(refused) | PlanRefusal::Impossible(refused)) => {
            return Verdict::Refuse(CallDenial::Call(refused));
        }
        Ok(plan) => plan,
    };
    let (requirement, stake) = match &plan {
        CallPlan::Change(PlannedChange { effect: ChangeEffect::Weakens, .. }) => (Requirement::Code, None),
        CallPlan::Change(planned) => match BucketStake::of(planned, facts.buckets) {
            None => (Requirement::Nothing, None),
            stake => (Requirement::Code, stake),
        },
        CallPlan::Read(_) => (Requirement::Nothing, None),
    };
    let pending = PendingCall { plan, circumstances: circumstances(stake) };
    portcullis_authorization::authorize(pending, requirement, caller, offer, rules)
}

/// Why a call comes to nothing.
#[derive(Debug)]
pub(super) enum PlanRefusal {
    /// Not by this caller, or not in this form: said before the offer is looked at.
    Forbidden(CloudTrailError),
    Impossible(CloudTrailError),
}

/// What a call comes to, on the trails as they are.
pub(super) fn plan(
    call: &CloudTrailCall,
    caller: &Caller,
    facts: &CallFacts<'_>,
    now: Timestamp,
) -> Result<CallPlan, PlanRefusal> {
    may_ask(call.operation, &caller.principal, facts).map_err(PlanRefusal::Forbidden)?;
    call.input.only(call.operation.members()).map_err(PlanRefusal::Forbidden)?;
    match call.operation {
        CloudTrailOperation::Change(operation) => {
            change::plan(operation, &call.input, &facts.trails, &facts.place, now)
                .map(CallPlan::Change)
                .map_err(PlanRefusal::Impossible)
        }
        CloudTrailOperation::Read(operation) => {
            Ok(CallPlan::Read(ReadCall { operation, input: call.input.clone(), asker: call.asker.clone() }))
        }
    }
}

fn may_ask(
    operation: CloudTrailOperation,
    principal: &Principal,
    facts: &CallFacts<'_>,
) -> Result<(), CloudTrailError> {
    let refused = || CloudTrailError::not_authorized(principal, operation.name(), facts.place.account);
    match (operation.open_to(), principal) {
        (CallAudience::Anybody, _) | (CallAudience::AllowedUsers | CallAudience::Root, Principal::Root) => Ok(()),
        (CallAudience::AllowedUsers, Principal::User(_)) => {
            match facts.rights.denies(&format!("cloudtrail:{}", operation.name()), "*") {
                None => Ok(()),
                Some(_) => Err(refused()),
            }
        }
        (CallAudience::Root, Principal::User(_)) => Err(refused()),
    }
}

impl PermittedAction for CallPlan {
    type Pending = PendingCall;
    type Refusal = CallDenial;

    fn refused(pending: &PendingCall, refusal: portcullis_authorization::Refusal) -> CallDenial {
        CallDenial::Factor(refusal, pending.circumstances.clone())
    }
}

impl ControlAction for CallPlan {
    fn permitted(pending: PendingCall) -> Self {
        pending.plan
    }
}

impl CallDenial {
    /// What the client is told.
    pub fn refused(&self) -> CloudTrailError {
        match self {
            Self::Call(refused) => refused.clone(),
            Self::Factor(refusal, circumstances) => CloudTrailError::factor(refusal, circumstances),
        }
    }
}
