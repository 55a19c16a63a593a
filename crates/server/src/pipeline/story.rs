//! The story of an action, written once: facts, decision, code, intent, deed. Each API on the port is a [`Door`] to it.

use std::future::Future;

use super::judgement::{Factor, JudgedAction, OfferedCode, PermitCost};
use portcullis_audit::Draft;
use portcullis_authorization::{Caller, MfaDelete, Permit, PermittedAction, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_journal::Journal;
use portcullis_mfa::{Challenge, MfaToken, Proof, UnmetChallenge};
use portcullis_s3::OperationAccess;
use portcullis_state::{CodeSource, SpendError, StateStore};

/// One API: how its actions are decided on, carried out and refused. When each of these happens is the story's.
pub(super) trait Door: Sync {
    /// What is asked for, once it is read.
    type Action: Send;
    /// What comes with it and goes on unread.
    type Body: Send;
    /// What it is decided by, and what keeps that true until it is done.
    type Facts: Send;
    /// What a permit is about.
    type Permitted: PermittedAction<Pending: Send + Unpin, Refusal: Send> + Send;
    /// What comes of it.
    type Done;
    /// Why nothing comes of it, in the terms of this API.
    type Failure: Send;

    /// What the action is decided by: the only I/O before the decision.
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

    /// What a proof opens. A code that was spent before all facts were there may open nothing.
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

    /// The state of MFA Delete that the record of the decision has; none where the record says nothing of codes.
    fn recorded_state(&self, facts: &Self::Facts, access: OperationAccess, offered: &OfferedCode) -> Option<MfaDelete>;

    /// What a refusal says of the code.
    fn factor(refusal: &RefusalOf<Self>) -> Factor;

    /// A refusal, as the client is told.
    fn refused(refusal: RefusalOf<Self>) -> Self::Failure;

    /// A code could not be judged, or not be kept as spent.
    fn unspent() -> Self::Failure;

    /// Whether an action goes on whose intent could not be recorded.
    fn unrecorded(&self, spent: PermitCost) -> Result<(), Self::Failure>;
}

/// What waits for a code at a door.
pub(super) type PendingOf<D> = <<D as Door>::Permitted as PermittedAction>::Pending;

/// Why policy says no at a door.
pub(super) type RefusalOf<D> = <<D as Door>::Permitted as PermittedAction>::Refusal;

/// Who asks, from where, and when.
#[derive(Clone, Debug)]
pub(super) struct Requester {
    pub caller: Caller,
    pub source: CodeSource,
    pub now: Timestamp,
}

/// An action that is asked for.
pub(super) struct RequestedAction<D: Door> {
    pub action: D::Action,
    pub body: D::Body,
    pub requester: Requester,
    pub offer: MfaToken,
    pub access: OperationAccess,
}

/// Where codes are spent and intents recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story<'a> {
    pub journal: &'a Journal,
    pub store: &'a StateStore,
}

impl Story<'_> {
    /// Decides on an action and carries it out. The draft is told of the decision, and closed by the caller.
    pub(super) async fn act<D: Door>(
        self,
        door: &D,
        requested: RequestedAction<D>,
        draft: &mut Draft,
    ) -> Result<D::Done, D::Failure> {
        let RequestedAction { action, body, requester, offer, access } = requested;
        let offered = OfferedCode::of(&offer);
        let mut facts = door.facts(&action, &requester, &offer).await?;
        let judged = match door.decide(action, &requester, offer, &facts) {
            // Boxed: what needs no code needs no room for it.
            Verdict::Mfa(challenge) => Box::pin(self.prove(door, challenge, &requester, &mut facts)).await?,
            Verdict::Permit(permit) => JudgedAction::Permitted(permit),
            Verdict::Refuse(refusal) => JudgedAction::Refused(refusal),
        };
        if let Some(mfa_delete) = door.recorded_state(&facts, access, &offered) {
            draft.judged(offered.told(mfa_delete, judged.factor(D::factor)));
        }
        let spent = judged.spent();
        let permit = judged.permit().map_err(D::refused)?;
        // What only the decision needed waits for nothing, and so takes no room in the processor's cache.
        let now = requester.now;
        drop(requester);
        // No trail, no act.
        if access == OperationAccess::Write {
            let intended = match draft.intend() {
                Ok(intent) => self.journal.durable(intent).await,
                Err(closed) => Err(closed),
            };
            intended.or_else(|_| door.unrecorded(spent))?;
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
            return Err(D::unspent());
        }
        let ledger = self.store.step_ledger(&requester.caller.principal, requester.source, requester.now);
        match portcullis_mfa::spend(challenge, &ledger).await {
            Ok(proof) => door.open(proof, requester, facts).await,
            Err(UnmetChallenge { challenge, error: SpendError::Fault(fault) }) => {
                Ok(JudgedAction::Refused(D::Permitted::unmet(&challenge, fault)))
            }
            Err(UnmetChallenge { error: SpendError::Store(error), .. }) => {
                tracing::error!(%error, "a code cannot be judged");
                Err(D::unspent())
            }
        }
    }
}
