//! A subset of AWS's IAM Query API (version 2010-05-08), as the admin socket speaks it.
//!
//! The caller is root of the account: the socket admits no one else. So where a user name is left out,
//! root itself is meant, as with AWS when root's key signs. Only root has devices here.

mod action;
mod clock;
mod devices;
mod facts;
mod principals;
mod refused;
mod xml;

use action::{CodeAction, IamAction, IamParameters, PlainAction};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::RequestId;
use portcullis_base::secret::Secret;
use portcullis_mfa::{Challenge, MfaDemand, MfaToken, Proof};
use portcullis_sigv4::Principal;
use portcullis_state::{CodeSource, DeviceChange, DeviceDeactivation, DeviceEnabling, SpendError, StateStore};
use refused::IamError;
use xml::ElementWriter;

pub use facts::{ActionEffect, ActionError, FactorOutcome, IamFacts, SecondFactorFacts};

/// An answer, with the facts for its event.
#[derive(Debug)]
pub struct IamReply {
    pub status: u16,
    pub mfa: MfaDemand,
    /// XML; hidden, since a seed or a secret key may be in it, which are shown this once.
    pub body: Secret<String>,
    pub facts: IamFacts,
}

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "text/xml";

/// A request that is read; nothing of the state was looked at, and no code.
pub struct ActionRequest<'a> {
    action: IamAction,
    parameters: IamParameters<'a>,
    offer: MfaToken,
    request_id: RequestId,
    facts: IamFacts,
}

/// A request whose code is spent, where it takes one; nothing else of it is done.
pub struct ProvedAction<'a> {
    task: RemainingTask,
    action: IamAction,
    parameters: IamParameters<'a>,
    request_id: RequestId,
    facts: IamFacts,
    store: &'a StateStore,
    now: Timestamp,
}

/// What is left to do.
enum RemainingTask {
    Deactivate(DeviceChange<DeviceDeactivation>),
    Enable(DeviceChange<DeviceEnabling>),
    Plain(PlainAction),
    /// The ledger has learnt the device's drift by spending the codes.
    Resynchronized,
}

/// One stage of a request, with what it notes for the record.
struct IamCall<'a> {
    parameters: IamParameters<'a>,
    store: &'a StateStore,
    now: Timestamp,
    facts: &'a mut IamFacts,
}

impl<'a> ActionRequest<'a> {
    /// Reads a request; `offer` is what came in its `x-amz-mfa` header. A refusal carries the id that the request has in
    /// its record, as every answer does.
    pub fn read(
        parameters: &'a [(String, String)],
        offer: MfaToken,
        request_id: RequestId,
    ) -> Result<Self, Box<IamReply>> {
        let mut facts = IamFacts::new();
        match parse(parameters, &offer, &mut facts) {
            Ok((action, parameters)) => Ok(Self { action, parameters, offer, request_id, facts }),
            Err(refused) => Err(Box::new(IamReply::refused(&refused, facts, request_id))),
        }
    }

    /// Whether it changes anything.
    pub fn effect(&self) -> ActionEffect {
        self.facts.effect
    }

    /// The answer where a change is not begun, since it could not be recorded.
    pub fn unrecorded(self) -> IamReply {
        IamReply::refused(&IamError::unrecorded(), self.facts, self.request_id)
    }

    /// Spends the offered code where the action takes one.
    pub async fn prove(self, store: &'a StateStore, now: Timestamp) -> Result<ProvedAction<'a>, Box<IamReply>> {
        let Self { action, parameters, offer, request_id, mut facts } = self;
        let call = IamCall { parameters, store, now, facts: &mut facts };
        match call.prove(action, &offer).await {
            Ok(task) => Ok(ProvedAction { task, action, parameters, request_id, facts, store, now }),
            Err(refused) => Err(Box::new(IamReply::refused(&refused, facts, request_id))),
        }
    }
}

impl ProvedAction<'_> {
    /// What its event says so far.
    pub fn facts(&self) -> &IamFacts {
        &self.facts
    }

    /// The answer where the rest is not begun, since it could not be recorded.
    pub fn unrecorded(self) -> IamReply {
        let refused = match self.task {
            RemainingTask::Deactivate(_) | RemainingTask::Enable(_) | RemainingTask::Plain(_) => IamError::unrecorded(),
            RemainingTask::Resynchronized => IamError::done_unrecorded(),
        };
        IamReply::refused(&refused, self.facts, self.request_id)
    }

    /// Does what is asked.
    pub async fn perform(self) -> IamReply {
        let Self { task, action, parameters, request_id, mut facts, store, now } = self;
        let call = IamCall { parameters, store, now, facts: &mut facts };
        match call.perform(task).await {
            Ok(result) => IamReply {
                status: 200,
                mfa: portcullis_mfa::MfaDemand::None,
                body: xml::success(action.name(), result, request_id),
                facts,
            },
            Err(refused) => IamReply::refused(&refused, facts, request_id),
        }
    }
}

/// The answer where a change was made and that cannot be recorded.
pub fn done_unrecorded(done: IamFacts, request_id: RequestId) -> IamReply {
    IamReply::refused(&IamError::done_unrecorded(), done, request_id)
}

fn parse<'a>(
    parameters: &'a [(String, String)],
    offer: &MfaToken,
    facts: &mut IamFacts,
) -> Result<(IamAction, IamParameters<'a>), IamError> {
    let action = IamAction::find(parameters)?;
    facts.asks_for(action);
    let parameters = IamParameters::read(action, parameters)?;
    facts.parameters(&parameters);
    match offer {
        MfaToken::Malformed(_) => Err(IamError::malformed_offer()),
        MfaToken::Absent | MfaToken::Codes(_) => Ok((action, parameters)),
    }
}

impl IamReply {
    fn refused(refused: &IamError, mut facts: IamFacts, request_id: RequestId) -> Self {
        facts.refused(refused);
        Self { status: refused.status, mfa: refused.mfa, body: xml::failure(refused, request_id), facts }
    }
}

impl IamCall<'_> {
    async fn prove(mut self, action: IamAction, offer: &MfaToken) -> Result<RemainingTask, IamError> {
        match action {
            IamAction::Code(CodeAction::Deactivate) => {
                let change = self.deactivation()?;
                self.prove_change(change, offer).await.map(RemainingTask::Deactivate)
            }
            IamAction::Code(CodeAction::Enable) => {
                let change = self.enabling()?;
                self.prove_change(change, offer).await.map(RemainingTask::Enable)
            }
            IamAction::Code(CodeAction::Resync) => {
                self.resync_mfa_device().await.map(|()| RemainingTask::Resynchronized)
            }
            IamAction::Plain(action) => Ok(RemainingTask::Plain(action)),
        }
    }

    async fn perform(self, task: RemainingTask) -> Result<Option<ElementWriter>, IamError> {
        match task {
            RemainingTask::Deactivate(change) => self.deactivate_mfa_device(change).await.map(|()| None),
            RemainingTask::Enable(change) => self.enable_mfa_device(change).await.map(|()| None),
            RemainingTask::Plain(action) => self.perform_plain(action).await,
            RemainingTask::Resynchronized => Ok(None),
        }
    }

    async fn perform_plain(self, action: PlainAction) -> Result<Option<ElementWriter>, IamError> {
        match action {
            PlainAction::AcceptClock => self.accept_clock().await.map(Some),
            PlainAction::CreateAccessKey => self.create_access_key().await.map(Some),
            PlainAction::CreateUser => self.create_user().await.map(Some),
            PlainAction::CreateVirtualMfaDevice => self.create_virtual_mfa_device().await.map(Some),
            PlainAction::DeleteAccessKey => self.delete_access_key().await.map(|()| None),
            PlainAction::DeleteUser => self.delete_user().await.map(|()| None),
            PlainAction::DeleteVirtualMfaDevice => self.delete_virtual_mfa_device().await.map(|()| None),
            PlainAction::GetClock => Ok(Some(self.clock())),
            PlainAction::GetUser => self.user().map(Some),
            PlainAction::ListAccessKeys => self.list_access_keys().map(Some),
            PlainAction::ListMfaDevices => self.list_mfa_devices().map(Some),
            PlainAction::ListUsers => self.list_users().map(Some),
            PlainAction::ListVirtualMfaDevices => self.list_virtual_mfa_devices().map(Some),
            PlainAction::UpdateAccessKey => self.update_access_key().await.map(|()| None),
        }
    }

    /// Proves a change of devices, which takes a code beside an active device; the first device needs none.
    async fn prove_change<T: Unpin>(&mut self, change: T, offer: &MfaToken) -> Result<DeviceChange<T>, IamError> {
        if !self.store.has_active_device() {
            return Ok(DeviceChange::Unproved(change));
        }
        let MfaToken::Codes(codes) = offer else { return Err(IamError::mfa_required()) };
        match self.spend(Challenge::new(codes.clone(), change)).await {
            Ok(proof) => Ok(DeviceChange::Proved(proof)),
            Err(SpendError::Fault(fault)) => {
                Err(IamError::offer(fault, self.store.codes_needed(&codes.serial, self.now)))
            }
            Err(SpendError::Store(error)) => Err(IamError::store(error, "")),
        }
    }

    /// Takes the code of a challenge, and notes what came of it.
    async fn spend<T: Unpin>(&mut self, challenge: Challenge<T>) -> Result<Proof<T>, SpendError> {
        let serial = challenge.codes().serial.clone();
        let ledger = self.store.step_ledger(&Principal::Root, CodeSource::AdminSocket, self.now);
        let spent = portcullis_mfa::spend(challenge, &ledger).await.map_err(|unmet| unmet.error);
        self.facts.judged(serial, spent.as_ref().map(Proof::step));
        spent
    }
}

#[cfg(test)]
mod tests;
