//! The door of IAM's actions, whether they are asked on the admin socket or on the port.

use portcullis_audit::{Draft, MfaFacts, OutcomeError, RequestOutcome, ResponseElements, mfa_result};
use portcullis_authorization::{CallerRights, JudgedAction, MfaDelete, PermitCost, Rules, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::record::MfaResult;
use portcullis_control::iam::{
    self, ActionDenial, ActionFacts, ActionPermit, ActionPlan, IamAction, IamAnswer, IamError, IamRequest,
    PendingAction,
};
use portcullis_journal::Journal;
use portcullis_mfa::{Challenge, MfaToken, Proof};
use portcullis_s3::OperationAccess;
use portcullis_state::StateStore;

use crate::story::{Door, OfferedCode, RequestedAction, Requester, Story, UnjudgedCode, code_factor, of_refusal};

/// IAM, for one request.
pub(crate) struct IamDoor<'a> {
    pub journal: &'a Journal,
    pub state: &'a StateStore,
    pub rules: Rules,
    /// What the caller may do by its policies.
    pub rights: CallerRights,
    pub now: Timestamp,
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) struct IamFailure {
    error: IamError,
    /// The device whose codes the state could not judge.
    unjudged: Option<DeviceSerial>,
}

impl IamDoor<'_> {
    /// Carries out a request: a change starts only after its intent is on disk.
    pub(crate) async fn carry_out(
        &self,
        request: IamRequest,
        requester: Requester,
        offer: MfaToken,
        draft: &mut Draft,
    ) -> Result<IamAnswer, IamError> {
        let presented = OfferedCode::of(&offer).presented;
        self.act(request, requester, offer, draft).await.map_err(|failure| {
            if let Some(mfa) = failure.mfa(presented) {
                draft.judged(mfa);
            }
            if let Some(denial) = &failure.error.denial {
                draft.denied(denial);
                super::log_denial(denial, 1);
            }
            failure.error
        })
    }

    async fn act(
        &self,
        request: IamRequest,
        requester: Requester,
        offer: MfaToken,
        draft: &mut Draft,
    ) -> Result<IamAnswer, IamFailure> {
        let access = request.event().access();
        let action = request.into_action()?;
        // Before a code is spent, which would be in vain.
        if access == OperationAccess::Write && !self.journal.is_open() {
            return Err(IamError::unrecorded().into());
        }
        let requested = RequestedAction { action, body: (), requester, offer, access };
        Story { journal: self.journal, state: self.state }.act(self, requested, draft).await
    }
}

/// What the record says of an answer; `outcome` is the part that depends on the request alone.
pub(crate) fn iam_outcome(answer: &Result<IamAnswer, IamError>, outcome: RequestOutcome) -> RequestOutcome {
    match answer {
        Ok(answer) => {
            RequestOutcome { status: 200, elements: ResponseElements::of_control(answer.elements()), ..outcome }
        }
        Err(error) => RequestOutcome {
            status: error.status,
            error: Some(OutcomeError { code: error.code_in_record(), message: error.message.clone() }),
            ..outcome
        },
    }
}

impl Door for IamDoor<'_> {
    type Action = IamAction;
    type Body = ();
    type Facts = ActionFacts;
    type Permitted = ActionPlan;
    type Done = IamAnswer;
    type Failure = IamFailure;

    async fn facts(&self, action: &IamAction, requester: &Requester, _: &MfaToken) -> Result<ActionFacts, IamFailure> {
        Ok(ActionFacts::read(action, &requester.caller.principal, self.rights.clone(), self.state))
    }

    fn decide(
        &self,
        action: IamAction,
        requester: &Requester,
        offer: MfaToken,
        facts: &ActionFacts,
    ) -> Verdict<ActionPlan> {
        iam::decide(action, &requester.caller, offer, facts, self.rules)
    }

    async fn open(
        &self,
        proof: Proof<PendingAction>,
        _: &Requester,
        _: &mut ActionFacts,
    ) -> Result<JudgedAction<ActionPlan>, IamFailure> {
        Ok(JudgedAction::Proved(Ok(ActionPermit::by_proof(proof))))
    }

    async fn perform(
        &self,
        permit: ActionPermit,
        _: ActionFacts,
        (): (),
        now: Timestamp,
    ) -> Result<IamAnswer, IamFailure> {
        Ok(iam::perform(permit, self.state, now).await?)
    }

    /// The record tells of codes that were judged or missing, and of no others.
    fn recorded(
        &self,
        _: &ActionFacts,
        _: OperationAccess,
        offered: OfferedCode,
        judged: &JudgedAction<ActionPlan>,
    ) -> Option<MfaFacts> {
        let (required, result) = code_factor(judged, |denial| match denial {
            ActionDenial::Action(_) => (false, None),
            ActionDenial::Codes { fault, .. } => (true, Some(mfa_result(*fault))),
            ActionDenial::Factor(refusal) => of_refusal(refusal),
        });
        required.then(|| offered.told(MfaDelete::NeverSet, (required, result)))
    }

    fn refused(&self, denial: ActionDenial) -> IamFailure {
        denial.refused(|serial| self.state.codes_needed(serial, self.now)).into()
    }

    fn unjudged(&self, challenge: &Challenge<PendingAction>, cause: UnjudgedCode) -> IamFailure {
        let serial = &challenge.codes().serial;
        match cause {
            UnjudgedCode::JournalClosed => IamError::unrecorded().into(),
            UnjudgedCode::State(error) => {
                IamFailure { error: challenge.subject().unjudged(serial, error), unjudged: Some(serial.clone()) }
            }
        }
    }

    /// No change is made without a record, whatever `audit.on_failure` says.
    fn unrecorded(&self, permit: &ActionPermit, _: PermitCost) -> Result<(), IamFailure> {
        Err(permit.action().unrecorded().into())
    }
}

impl IamFailure {
    /// What the record says of codes that could not be judged, where some were. `presented`: whether `x-amz-mfa` came.
    fn mfa(&self, presented: bool) -> Option<MfaFacts> {
        let serial = self.unjudged.clone()?;
        let result = Some(MfaResult::Unavailable);
        Some(MfaFacts { bucket: MfaDelete::NeverSet, required: true, presented, result, serial: Some(serial) })
    }
}

impl From<IamError> for IamFailure {
    fn from(error: IamError) -> Self {
        Self { error, unjudged: None }
    }
}
