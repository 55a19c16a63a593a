//! The door of the admin socket: IAM's actions, asked by the user that owns this process.

use portcullis_audit::{MfaFacts, mfa_result};
use portcullis_authorization::{JudgedAction, MfaDelete, PermitCost, Rules, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::record::MfaResult;
use portcullis_control::iam::{
    self, ActionDenial, ActionFacts, ActionPermit, ActionPlan, IamAction, IamAnswer, IamError, PendingAction,
};
use portcullis_mfa::{Challenge, MfaToken, Proof};
use portcullis_s3::OperationAccess;
use portcullis_state::StateStore;

use crate::story::{Door, OfferedCode, Requester, UnjudgedCode, code_factor};

/// The admin socket, for one request.
pub(super) struct AdminDoor<'a> {
    pub state: &'a StateStore,
    pub rules: Rules,
    pub now: Timestamp,
}

/// Why a request of the admin socket came to nothing.
#[derive(Debug)]
pub(super) struct AdminFailure {
    pub error: IamError,
    /// The device whose codes the state could not judge.
    pub unjudged: Option<DeviceSerial>,
}

impl Door for AdminDoor<'_> {
    type Action = IamAction;
    type Body = ();
    type Facts = ActionFacts;
    type Permitted = ActionPlan;
    type Done = IamAnswer;
    type Failure = AdminFailure;

    async fn facts(&self, action: &IamAction, _: &Requester, _: &MfaToken) -> Result<ActionFacts, AdminFailure> {
        Ok(ActionFacts::read(action, self.state))
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
    ) -> Result<JudgedAction<ActionPlan>, AdminFailure> {
        Ok(JudgedAction::Proved(Ok(ActionPermit::by_proof(proof))))
    }

    async fn perform(
        &self,
        permit: ActionPermit,
        _: ActionFacts,
        (): (),
        now: Timestamp,
    ) -> Result<IamAnswer, AdminFailure> {
        Ok(iam::perform(permit, self.state, now).await?)
    }

    /// The record tells of codes that were judged, and of no others.
    fn recorded(
        &self,
        _: &ActionFacts,
        _: OperationAccess,
        offered: OfferedCode,
        judged: &JudgedAction<ActionPlan>,
    ) -> Option<MfaFacts> {
        let (required, result) =
            code_factor(judged, |denial| (denial.fault().is_some(), denial.fault().map(mfa_result)));
        required.then(|| offered.told(MfaDelete::NeverSet, (required, result)))
    }

    fn refused(&self, denial: ActionDenial) -> AdminFailure {
        denial.refused(|serial| self.state.codes_needed(serial, self.now)).into()
    }

    fn unjudged(&self, challenge: &Challenge<PendingAction>, cause: UnjudgedCode) -> AdminFailure {
        let serial = &challenge.codes().serial;
        match cause {
            UnjudgedCode::JournalClosed => IamError::unrecorded().into(),
            UnjudgedCode::State(error) => {
                AdminFailure { error: challenge.subject().unjudged(serial, error), unjudged: Some(serial.clone()) }
            }
        }
    }

    /// No change is made without a record, whatever `audit.on_failure` says.
    fn unrecorded(&self, permit: &ActionPermit, _: PermitCost) -> Result<(), AdminFailure> {
        Err(permit.action().unrecorded().into())
    }
}

impl AdminFailure {
    /// What the record says of codes that could not be judged, where some were. `presented`: whether `x-amz-mfa` came.
    pub(super) fn mfa(&self, presented: bool) -> Option<MfaFacts> {
        let serial = self.unjudged.clone()?;
        let result = Some(MfaResult::Unavailable);
        Some(MfaFacts { bucket: MfaDelete::NeverSet, required: true, presented, result, serial: Some(serial) })
    }
}

impl From<IamError> for AdminFailure {
    fn from(error: IamError) -> Self {
        Self { error, unjudged: None }
    }
}
