//! What a call is answered: a pure function of the action, its caller and the facts.

use serde_json::Value;

use super::ec2::RegionsQuery;
use super::sts::SessionQuery;
use super::{refused, sts};
use crate::cloudtrail::CloudTrailError;
use portcullis_authorization::{Caller, ControlAction, PermittedAction, Refusal, Requirement, Rules, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId};
use portcullis_mfa::Proof;
use portcullis_s3::OperationAccess;
use portcullis_sigv4::{SessionMfa, SigningCredentials};
use portcullis_state::SessionRequest;

/// An action that is answered here, with its parameters.
#[derive(Debug)]
pub enum ServiceAction {
    DescribeOrganization,
    DescribeRegions(RegionsQuery),
    GetCallerIdentity,
    GetSessionToken(SessionQuery),
}

/// The facts that answers may hold.
#[derive(Clone, Copy, Debug)]
pub struct ServiceFacts<'a> {
    pub account: &'a AccountId,
    pub region: &'a str,
    /// The key that signed, and what kind it is of.
    pub key_id: &'a AccessKeyId,
    pub credentials: SigningCredentials,
    pub now: Timestamp,
}

/// An answer that may be given.
// INVARIANT (permit): made by `decide` alone.
#[derive(Debug)]
pub struct ServiceAnswer(pub(super) PlannedAnswer);

/// Most answers are known once the action is decided on.
#[derive(Debug)]
pub(super) enum PlannedAnswer {
    Content(String),
    Session(SessionRequest),
}

/// Why an action is refused.
#[derive(Debug)]
pub enum ServiceDenial {
    Action(CloudTrailError),
    /// The codes that came with it opened nothing.
    Factor(Refusal),
}

/// Decides on an action. Each principal with a key may ask what is answered here.
pub fn decide(
    action: ServiceAction,
    caller: &Caller,
    facts: &ServiceFacts<'_>,
    rules: Rules,
) -> Verdict<ServiceAnswer> {
    let content = match action {
        ServiceAction::DescribeOrganization => Err(refused::no_organization()),
        ServiceAction::DescribeRegions(query) => query.answer(facts.region),
        ServiceAction::GetCallerIdentity => Ok(sts::caller_identity(&caller.principal, facts.account)),
        ServiceAction::GetSessionToken(query) => return decide_session(query, caller, facts, rules),
    };
    match content {
        Ok(content) => {
            let answer = ServiceAnswer(PlannedAnswer::Content(content));
            portcullis_authorization::authorize(answer, Requirement::Nothing, caller, None, rules)
        }
        Err(refused) => Verdict::Refuse(ServiceDenial::Action(refused)),
    }
}

/// Decides on a session: of a long-term key, and with MFA only by a code.
fn decide_session(
    query: SessionQuery,
    caller: &Caller,
    facts: &ServiceFacts<'_>,
    rules: Rules,
) -> Verdict<ServiceAnswer> {
    match facts.credentials {
        SigningCredentials::LongTerm => {}
        SigningCredentials::Session(_) => {
            return Verdict::Refuse(ServiceDenial::Action(refused::session_of_session()));
        }
    }
    if !caller.is_confidential(rules) {
        return Verdict::Refuse(ServiceDenial::Action(refused::secret_in_clear()));
    }
    let requirement = if query.codes.is_some() { Requirement::Code } else { Requirement::Nothing };
    let session = SessionRequest {
        parent: facts.key_id.clone(),
        holder: caller.principal.clone(),
        expires: Timestamp::from_seconds(facts.now.seconds().saturating_add(query.seconds(&caller.principal))),
        mfa: SessionMfa::Absent,
    };
    let answer = ServiceAnswer(PlannedAnswer::Session(session));
    portcullis_authorization::authorize(answer, requirement, caller, query.codes, rules)
}

impl ServiceAction {
    /// `requestParameters` of its event, or null.
    pub fn recorded(&self) -> Value {
        match self {
            Self::DescribeOrganization | Self::GetCallerIdentity => Value::Null,
            Self::DescribeRegions(query) => query.recorded(),
            Self::GetSessionToken(query) => query.recorded(),
        }
    }

    /// How it is recorded. A session is a secret that is given out, so that its record is on disk before it is.
    pub fn access(&self) -> OperationAccess {
        match self {
            Self::DescribeOrganization | Self::DescribeRegions(_) | Self::GetCallerIdentity => OperationAccess::Read,
            Self::GetSessionToken(_) => OperationAccess::Write,
        }
    }
}

impl ServiceDenial {
    /// What the client is told.
    pub fn refused(&self) -> CloudTrailError {
        match self {
            Self::Action(refused) => refused.clone(),
            Self::Factor(refusal) => refused::factor(refusal),
        }
    }
}

impl PermittedAction for ServiceAnswer {
    type Pending = Self;
    type Refusal = ServiceDenial;

    fn refused(_: &Self, refusal: Refusal) -> ServiceDenial {
        ServiceDenial::Factor(refusal)
    }
}

impl ControlAction for ServiceAnswer {
    fn permitted(pending: Self) -> Self {
        pending
    }

    /// The one place where a session comes to have been asked for with a code.
    fn proved(proof: Proof<Self>) -> Self {
        match proof.into_subject().0 {
            PlannedAnswer::Session(session) => {
                Self(PlannedAnswer::Session(SessionRequest { mfa: SessionMfa::Present, ..session }))
            }
            answer @ PlannedAnswer::Content(_) => Self(answer),
        }
    }
}
