//! The story of an action, written once: facts, decision, code, intent, effect. Each API is a [`Door`] to it.
//!
//! What comes before it, reading and authenticating a request, and what comes after it, the record of the outcome and the
//! reply, is the door's own. In between, a door says what each step is in its API; the order of the steps is here alone.

mod judgement;

use std::future::Future;

use portcullis_audit::{Draft, MfaFacts};
use portcullis_authorization::{Caller, JudgedAction, Permit, PermitCost, PermittedAction, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_journal::Journal;
use portcullis_mfa::{Challenge, MfaToken, Proof, UnmetChallenge};
use portcullis_s3::OperationAccess;
use portcullis_state::{CodeSource, SpendError, StateStore, StoreError};

pub(crate) use judgement::{OfferedCode, code_factor, of_refusal};

/// One API: how its actions are decided on, carried out and refused.
pub(crate) trait Door: Sync {
    /// What is asked for, once it is read.
    type Action: Send;
    /// What comes with it and is streamed on.
    type Body: Send;
    /// What it is decided by, and what keeps that true until it is done.
    type Facts: Send;
    /// What a permit is about.
    type Permitted: PermittedAction<Pending: Send + Unpin, Refusal: Send> + Send;
    /// What comes of it.
    type Done;
    /// Why nothing comes of it, in the terms of this API.
    type Failure: Send;

    /// Reads what the action is decided by: the only I/O before the decision.
    fn facts(
        &self,
        action: &Self::Action,
        requester: &Requester,
        offer: &MfaToken,
    ) -> impl Future<Output = Result<Self::Facts, Self::Failure>> + Send;

    /// Decides, by these facts alone.
    fn decide(
        &self,
        action: Self::Action,
        requester: &Requester,
        offer: MfaToken,
        facts: &Self::Facts,
    ) -> Verdict<Self::Permitted>;

    /// Takes what a proof opens. A code that was spent before all facts were known may open nothing.
    fn open(
        &self,
        proof: Proof<PendingOf<Self>>,
        requester: &Requester,
        facts: &mut Self::Facts,
    ) -> impl Future<Output = Result<JudgedAction<Self::Permitted>, Self::Failure>> + Send;

    /// Carries out what is permitted.
    fn perform(
        &self,
        permit: Permit<Self::Permitted>,
        facts: Self::Facts,
        body: Self::Body,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self::Done, Self::Failure>> + Send;

    /// What the record says of MFA; none where it says nothing of codes.
    fn recorded(
        &self,
        facts: &Self::Facts,
        access: OperationAccess,
        offered: OfferedCode,
        judged: &JudgedAction<Self::Permitted>,
    ) -> Option<MfaFacts>;

    /// Why policy says no, as the client is told.
    fn refused(&self, refusal: RefusalOf<Self>) -> Self::Failure;

    /// Why a code could not be judged, as the client is told.
    fn unjudged(&self, challenge: &Challenge<PendingOf<Self>>, cause: UnjudgedCode) -> Self::Failure;

    /// Decides whether an action goes on whose intent could not be recorded.
    fn unrecorded(&self, permit: &Permit<Self::Permitted>, cost: PermitCost) -> Result<(), Self::Failure>;
}

/// What waits for a code at a door.
pub(crate) type PendingOf<D> = <<D as Door>::Permitted as PermittedAction>::Pending;

/// Why policy says no at a door.
pub(crate) type RefusalOf<D> = <<D as Door>::Permitted as PermittedAction>::Refusal;

/// Why a code could not be judged, or not be stored as spent.
#[derive(Debug)]
pub(crate) enum UnjudgedCode {
    JournalClosed,
    State(StoreError),
}

/// Who asks, from where, and when.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    pub caller: Caller,
    pub source: CodeSource,
    pub now: Timestamp,
}

/// An action that is asked for.
pub(crate) struct RequestedAction<D: Door> {
    pub action: D::Action,
    pub body: D::Body,
    pub requester: Requester,
    pub offer: MfaToken,
    pub access: OperationAccess,
}

/// Where codes are spent and intents recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story<'a> {
    pub journal: &'a Journal,
    pub state: &'a StateStore,
}

impl Story<'_> {
    /// Decides on an action and carries it out. The draft is told of the decision, and closed by the caller.
    pub(crate) async fn act<D: Door>(
        self,
        door: &D,
        requested: RequestedAction<D>,
        draft: &mut Draft,
    ) -> Result<D::Done, D::Failure> {
        let RequestedAction { action, body, requester, offer, access } = requested;
        let mut offered = OfferedCode::of(&offer);
        let mut facts = door.facts(&action, &requester, &offer).await?;
        let judged = match door.decide(action, &requester, offer, &facts) {
            Verdict::Mfa(challenge) => {
                offered.challenged(&challenge);
                // Boxed: what needs no code needs no room for it.
                Box::pin(self.prove(door, challenge, &requester, &mut facts)).await?
            }
            Verdict::Permit(permit) => JudgedAction::Permitted(permit),
            Verdict::Refuse(refusal) => JudgedAction::Refused(refusal),
        };
        if let Some(mfa) = door.recorded(&facts, access, offered, &judged) {
            draft.judged(mfa);
        }
        let cost = judged.cost();
        let permit = judged.permit().map_err(|refusal| door.refused(refusal))?;
        // Dropped before the wait for the disk: a smaller future keeps more of the processor's cache.
        let now = requester.now;
        drop(requester);
        // No trail, no act.
        if access == OperationAccess::Write {
            let intended = match draft.intend() {
                Ok(intent) => self.journal.durable(intent).await,
                Err(closed) => Err(closed),
            };
            intended.or_else(|_| door.unrecorded(&permit, cost))?;
        }
        door.perform(permit, facts, body, now).await
    }

    /// Takes the code of a challenge; it is spent, durably, before anything else happens.
    async fn prove<D: Door>(
        self,
        door: &D,
        challenge: Challenge<PendingOf<D>>,
        requester: &Requester,
        facts: &mut D::Facts,
    ) -> Result<JudgedAction<D::Permitted>, D::Failure> {
        // A journal that waits for space still takes changes of the state. But whatever `audit.on_failure` lets pass
        // unrecorded, what needs a code is not among it.
        if !self.journal.is_open() {
            return Err(door.unjudged(&challenge, UnjudgedCode::JournalClosed));
        }
        let ledger = self.state.step_ledger(&requester.caller.principal, requester.source, requester.now);
        match portcullis_mfa::spend(challenge, &ledger).await {
            Ok(proof) => door.open(proof, requester, facts).await,
            Err(UnmetChallenge { challenge, error: SpendError::Fault(fault) }) => {
                Ok(JudgedAction::Refused(D::Permitted::unmet(&challenge, fault)))
            }
            Err(UnmetChallenge { challenge, error: SpendError::Store(error) }) => {
                tracing::error!(%error, "a code cannot be judged");
                Err(door.unjudged(&challenge, UnjudgedCode::State(error)))
            }
        }
    }
}
