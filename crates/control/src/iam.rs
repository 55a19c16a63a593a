//! A subset of AWS's IAM Query API (version 2010-05-08), as the admin socket speaks it.
//!
//! Who asks is root of the account: the socket lets in nobody else. So where a user name is left out,
//! root itself is meant, as with AWS when root's key signs. Only root has devices here.

mod action;
mod clock;
mod devices;
mod facts;
mod principals;
mod refused;
mod xml;

use action::{IamAction, IamParameters};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::RequestId;
use portcullis_base::secret::Secret;
use portcullis_mfa::{Challenge, MfaToken, Proof};
use portcullis_sigv4::Principal;
use portcullis_state::{CodeSource, DeviceChange, SpendError, StateStore};
use refused::IamError;
use xml::ElementWriter;

pub use facts::{ActionEffect, ActionError, FactorOutcome, IamFacts, SecondFactorFacts};

/// An answer, with the facts for its event.
#[derive(Debug)]
pub struct IamReply {
    pub status: u16,
    /// XML; hidden, since a seed or a secret key may be in it, which are shown this once.
    pub body: Secret<String>,
    pub facts: IamFacts,
}

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "text/xml";

/// One request on its way to its answer.
struct IamCall<'a> {
    parameters: IamParameters<'a>,
    offer: MfaToken,
    store: &'a StateStore,
    now: Timestamp,
    facts: &'a mut IamFacts,
}

/// Answers one request; `offer` is what came in its `x-amz-mfa` header, and is spent only where it is needed.
///
/// The answer carries the id that the request has in its record.
pub async fn answer(
    parameters: &[(String, String)],
    offer: MfaToken,
    store: &StateStore,
    request_id: RequestId,
    now: Timestamp,
) -> IamReply {
    let mut facts = IamFacts::new();
    let answered = dispatch(parameters, offer, store, now, &mut facts).await;
    match answered {
        Ok((action, result)) => {
            let body = xml::success(action.name(), result, request_id);
            IamReply { status: 200, body, facts }
        }
        Err(refused) => IamReply::refused(&refused, facts, request_id),
    }
}

/// The facts of a change before it is begun; none of what only reads or will be refused as it stands.
pub fn change_asked(parameters: &[(String, String)], offer: &MfaToken) -> Option<IamFacts> {
    let action = IamAction::find(parameters).ok().filter(|action| action.effect() == ActionEffect::Changes)?;
    let parameters = IamParameters::read(action, parameters).ok()?;
    if let MfaToken::Malformed(_) = offer {
        return None;
    }
    let mut facts = IamFacts::new();
    facts.asks_for(action);
    facts.parameters(&parameters);
    Some(facts)
}

/// The answer where a change is not begun, since it could not be recorded.
pub fn unrecorded(asked: IamFacts, request_id: RequestId) -> IamReply {
    IamReply::refused(&IamError::unrecorded(), asked, request_id)
}

/// The answer where a change was made and that cannot be recorded.
pub fn done_unrecorded(done: IamFacts, request_id: RequestId) -> IamReply {
    IamReply::refused(&IamError::done_unrecorded(), done, request_id)
}

impl IamReply {
    fn refused(refused: &IamError, mut facts: IamFacts, request_id: RequestId) -> Self {
        facts.refused(refused);
        Self { status: refused.status, body: xml::failure(refused, request_id), facts }
    }
}

async fn dispatch(
    parameters: &[(String, String)],
    offer: MfaToken,
    store: &StateStore,
    now: Timestamp,
    facts: &mut IamFacts,
) -> Result<(IamAction, Option<ElementWriter>), IamError> {
    let action = IamAction::find(parameters)?;
    facts.asks_for(action);
    let parameters = IamParameters::read(action, parameters)?;
    facts.parameters(&parameters);
    if let MfaToken::Malformed(_) = &offer {
        return Err(IamError::malformed_offer());
    }
    let call = IamCall { parameters, offer, store, now, facts };
    let result = match action {
        IamAction::AcceptClock => call.accept_clock().await.map(Some),
        IamAction::CreateAccessKey => call.create_access_key().await.map(Some),
        IamAction::CreateUser => call.create_user().await.map(Some),
        IamAction::CreateVirtualMfaDevice => call.create_virtual_mfa_device().await.map(Some),
        IamAction::DeactivateMfaDevice => call.deactivate_mfa_device().await.map(|()| None),
        IamAction::DeleteAccessKey => call.delete_access_key().await.map(|()| None),
        IamAction::DeleteUser => call.delete_user().await.map(|()| None),
        IamAction::DeleteVirtualMfaDevice => call.delete_virtual_mfa_device().await.map(|()| None),
        IamAction::EnableMfaDevice => call.enable_mfa_device().await.map(|()| None),
        IamAction::GetClock => Ok(Some(call.clock())),
        IamAction::GetUser => call.user().map(Some),
        IamAction::ListAccessKeys => call.list_access_keys().map(Some),
        IamAction::ListMfaDevices => call.list_mfa_devices().map(Some),
        IamAction::ListUsers => call.list_users().map(Some),
        IamAction::ListVirtualMfaDevices => call.list_virtual_mfa_devices().map(Some),
        IamAction::ResyncMfaDevice => call.resync_mfa_device().await.map(|()| None),
        IamAction::UpdateAccessKey => call.update_access_key().await.map(|()| None),
    }?;
    Ok((action, result))
}

impl IamCall<'_> {
    /// Proves a change of devices, which takes a code beside an active device; the first device needs none.
    async fn prove<T: Unpin>(&mut self, change: T) -> Result<DeviceChange<T>, IamError> {
        if !self.store.has_active_device() {
            return Ok(DeviceChange::Unproved(change));
        }
        let MfaToken::Codes(codes) = &self.offer else { return Err(IamError::mfa_required()) };
        let serial = codes.serial.clone();
        match self.spend(Challenge::new(codes.clone(), change)).await {
            Ok(proof) => Ok(DeviceChange::Proved(proof)),
            Err(SpendError::Fault(fault)) => Err(IamError::offer(fault, self.store.codes_needed(&serial, self.now))),
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
