//! What a decision gives: a permit, a challenge, or a refusal; the same three for every door.

use super::assess::{Caller, Rules, takes_code};
use super::verdict::Refusal;
use portcullis_mfa::{Challenge, MfaFault, Proof, TokenCodes};

/// An action that is decided on before it is carried out.
///
/// What waits for the decision is made by the module that decides, and by no other. A permit is worth as much.
pub trait PermittedAction: Sized {
    /// The action while its code is owed.
    type Pending;
    /// Why policy says no, in the terms of this action's door.
    type Refusal;

    /// Why the action gets no permit though it could have one by a code.
    fn refused(pending: &Self::Pending, refusal: Refusal) -> Self::Refusal;

    /// Why a challenge was not met.
    fn unmet(challenge: &Challenge<Self::Pending>, fault: MfaFault) -> Self::Refusal {
        Self::refused(challenge.subject(), Refusal::of_fault(challenge.codes().clone(), fault))
    }
}

/// An action of a control API: with its code it is owed nothing more.
pub trait ControlAction: PermittedAction {
    /// The action without what only its decision needed.
    fn permitted(pending: Self::Pending) -> Self;

    /// The same once its code is spent, for an action that hands its proof on to the state.
    fn proved(proof: Proof<Self::Pending>) -> Self {
        Self::permitted(proof.into_subject())
    }
}

/// What is said of an action.
#[derive(Debug)]
pub enum Verdict<A: PermittedAction> {
    /// It may be carried out once the caller's code has proved right.
    Mfa(Challenge<A::Pending>),
    /// It may be carried out as it is.
    Permit(Permit<A>),
    /// Policy says no.
    Refuse(A::Refusal),
}

/// What was decided on an action once no code is owed. A code that was spent before all facts were known may have been
/// needless.
#[derive(Debug)]
pub enum JudgedAction<A: PermittedAction> {
    /// No code was needed.
    Permitted(Permit<A>),
    /// The code was needed and right; the state may forbid the action all the same.
    Proved(Result<Permit<A>, A::Refusal>),
    Refused(A::Refusal),
}

/// What a permit cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitCost {
    Code,
    Nothing,
}

/// Leave to carry out one action. What carries it out takes the permit by value.
// INVARIANT (permit): no constructor outside this crate; of a control API by what its `Pending` is made by.
#[derive(Debug)]
pub struct Permit<A>(A);

/// What an action needs that its caller may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    Code,
    Nothing,
}

/// Decides on an action of a control API, whose needs are known.
pub fn authorize<A: ControlAction>(
    pending: A::Pending,
    requirement: Requirement,
    caller: &Caller,
    offer: Option<TokenCodes>,
    rules: Rules,
) -> Verdict<A> {
    match requirement {
        Requirement::Code => match takes_code(caller, offer, rules) {
            Ok(codes) => Verdict::Mfa(Challenge::new(codes, pending)),
            Err(refusal) => Verdict::Refuse(A::refused(&pending, refusal)),
        },
        Requirement::Nothing => Verdict::Permit(Permit(A::permitted(pending))),
    }
}

impl<A> Permit<A> {
    pub(super) fn new(action: A) -> Self {
        Self(action)
    }

    /// The action that may be carried out.
    pub fn action(&self) -> &A {
        &self.0
    }

    /// Takes the action; the permit is used up.
    pub fn into_action(self) -> A {
        self.0
    }
}

impl<A: ControlAction> Permit<A> {
    /// Opens what the proof was made for.
    pub fn by_proof(proof: Proof<A::Pending>) -> Self {
        Self(A::proved(proof))
    }
}

impl<A: PermittedAction> JudgedAction<A> {
    /// What the permit cost, if there is one.
    pub fn cost(&self) -> PermitCost {
        match self {
            Self::Proved(_) => PermitCost::Code,
            Self::Permitted(_) | Self::Refused(_) => PermitCost::Nothing,
        }
    }

    /// The permit, or why there is none.
    pub fn permit(self) -> Result<Permit<A>, A::Refusal> {
        match self {
            Self::Permitted(permit) => Ok(permit),
            Self::Proved(outcome) => outcome,
            Self::Refused(refusal) => Err(refusal),
        }
    }
}
