//! What a call is answered: a pure function of the action, its caller and the facts.

use serde_json::Value;

use super::ec2::RegionsQuery;
use super::{refused, sts};
use crate::cloudtrail::{CloudTrailError, MfaCircumstances, RootDevices};
use portcullis_authorization::{Caller, ControlAction, PermittedAction, Refusal, Requirement, Rules, Verdict};
use portcullis_base::names::AccountId;

/// An action that is answered here, with its parameters.
#[derive(Debug)]
pub enum ServiceAction {
    DescribeOrganization,
    DescribeRegions(RegionsQuery),
    GetCallerIdentity,
}

/// The facts that answers may hold.
#[derive(Clone, Copy, Debug)]
pub struct ServiceFacts<'a> {
    pub account: &'a AccountId,
    pub region: &'a str,
}

/// The content of an answer. It is known once the action is decided on, since no action changes anything.
// INVARIANT (permit): made by `decide` alone.
#[derive(Debug)]
pub struct ServiceAnswer(String);

/// Decides on an action. Each principal with a key may ask what is answered here, and no code is looked at.
pub fn decide(
    action: &ServiceAction,
    caller: &Caller,
    facts: &ServiceFacts<'_>,
    rules: Rules,
) -> Verdict<ServiceAnswer> {
    let content = match action {
        ServiceAction::DescribeOrganization => Err(refused::no_organization()),
        ServiceAction::DescribeRegions(query) => query.answer(facts.region),
        ServiceAction::GetCallerIdentity => Ok(sts::caller_identity(&caller.principal, facts.account)),
    };
    match content {
        Ok(content) => {
            let answer = ServiceAnswer(content);
            portcullis_authorization::authorize(answer, Requirement::Nothing, caller, None, rules)
        }
        Err(refused) => Verdict::Refuse(refused),
    }
}

impl ServiceAction {
    /// `requestParameters` of its event, or null.
    pub fn recorded(&self) -> Value {
        match self {
            Self::DescribeOrganization | Self::GetCallerIdentity => Value::Null,
            Self::DescribeRegions(query) => query.recorded(),
        }
    }
}

impl ServiceAnswer {
    /// The content of the answer's document.
    pub fn into_content(self) -> String {
        self.0
    }
}

impl PermittedAction for ServiceAnswer {
    type Pending = Self;
    type Refusal = CloudTrailError;

    fn refused(_: &Self, refusal: Refusal) -> CloudTrailError {
        CloudTrailError::factor(&refusal, &MfaCircumstances { stake: None, devices: RootDevices::None })
    }
}

impl ControlAction for ServiceAnswer {
    fn permitted(pending: Self) -> Self {
        pending
    }
}
