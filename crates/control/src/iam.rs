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

use action::{Action, Parameters};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::RequestId;
use portcullis_base::secret::Secret;
use portcullis_mfa::{Challenge, MfaToken, Proof};
use portcullis_sigv4::Principal;
use portcullis_state::{CodeSource, DeviceChange, SpendError, StateStore};
use refused::Refused;
use xml::Element;

pub use facts::{Effect, EventError, FactorOutcome, Facts, SecondFactor};

/// An answer, with the facts for its event.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// XML; hidden, since a seed or a secret key may be in it, which are shown this once.
    pub body: Secret<String>,
    pub facts: Facts,
}

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "text/xml";

/// One request on its way to its answer.
struct Call<'a> {
    parameters: Parameters<'a>,
    offer: MfaToken,
    store: &'a StateStore,
    now: Timestamp,
    facts: &'a mut Facts,
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
) -> Reply {
    let mut facts = Facts::new();
    let answered = dispatch(parameters, offer, store, now, &mut facts).await;
    match answered {
        Ok((action, result)) => {
            let body = xml::success(action.name(), result, request_id);
            Reply { status: 200, body, facts }
        }
        Err(refused) => Reply::refused(&refused, facts, request_id),
    }
}

/// The facts of a change before it is begun; none of what only reads or will be refused as it stands.
pub fn change_asked(parameters: &[(String, String)], offer: &MfaToken) -> Option<Facts> {
    let action = Action::find(parameters).ok().filter(|action| action.effect() == Effect::Changes)?;
    let parameters = Parameters::read(action, parameters).ok()?;
    if let MfaToken::Malformed(_) = offer {
        return None;
    }
    let mut facts = Facts::new();
    facts.asks_for(action);
    facts.parameters(&parameters);
    Some(facts)
}

/// The answer where a change is not begun, since it could not be recorded.
pub fn unrecorded(asked: Facts, request_id: RequestId) -> Reply {
    Reply::refused(&Refused::unrecorded(), asked, request_id)
}

/// The answer where a change was made and that cannot be recorded.
pub fn done_unrecorded(done: Facts, request_id: RequestId) -> Reply {
    Reply::refused(&Refused::done_unrecorded(), done, request_id)
}

impl Reply {
    fn refused(refused: &Refused, mut facts: Facts, request_id: RequestId) -> Self {
        facts.refused(refused);
        Self { status: refused.status, body: xml::failure(refused, request_id), facts }
    }
}

async fn dispatch(
    parameters: &[(String, String)],
    offer: MfaToken,
    store: &StateStore,
    now: Timestamp,
    facts: &mut Facts,
) -> Result<(Action, Option<Element>), Refused> {
    let action = Action::find(parameters)?;
    facts.asks_for(action);
    let parameters = Parameters::read(action, parameters)?;
    facts.parameters(&parameters);
    if let MfaToken::Malformed(_) = &offer {
        return Err(Refused::malformed_offer());
    }
    let call = Call { parameters, offer, store, now, facts };
    let result = match action {
        Action::AcceptClock => call.accept_clock().await.map(Some),
        Action::CreateAccessKey => call.create_access_key().await.map(Some),
        Action::CreateUser => call.create_user().await.map(Some),
        Action::CreateVirtualMfaDevice => call.create_virtual_mfa_device().await.map(Some),
        Action::DeactivateMfaDevice => call.deactivate_mfa_device().await.map(|()| None),
        Action::DeleteAccessKey => call.delete_access_key().await.map(|()| None),
        Action::DeleteUser => call.delete_user().await.map(|()| None),
        Action::DeleteVirtualMfaDevice => call.delete_virtual_mfa_device().await.map(|()| None),
        Action::EnableMfaDevice => call.enable_mfa_device().await.map(|()| None),
        Action::GetClock => Ok(Some(call.clock())),
        Action::GetUser => call.user().map(Some),
        Action::ListAccessKeys => call.list_access_keys().map(Some),
        Action::ListMfaDevices => call.list_mfa_devices().map(Some),
        Action::ListUsers => call.list_users().map(Some),
        Action::ListVirtualMfaDevices => call.list_virtual_mfa_devices().map(Some),
        Action::ResyncMfaDevice => call.resync_mfa_device().await.map(|()| None),
        Action::UpdateAccessKey => call.update_access_key().await.map(|()| None),
    }?;
    Ok((action, result))
}

impl Call<'_> {
    /// Proves a change of devices, which takes a code beside an active device; the first device needs none.
    async fn prove<T: Unpin>(&mut self, change: T) -> Result<DeviceChange<T>, Refused> {
        if !self.store.has_active_device() {
            return Ok(DeviceChange::Unproved(change));
        }
        let MfaToken::Codes(codes) = &self.offer else { return Err(Refused::mfa_required()) };
        let serial = codes.serial.clone();
        match self.spend(Challenge::new(codes.clone(), change)).await {
            Ok(proof) => Ok(DeviceChange::Proved(proof)),
            Err(SpendError::Fault(fault)) => Err(Refused::offer(fault, self.store.codes_needed(&serial, self.now))),
            Err(SpendError::Store(error)) => Err(Refused::store(error, "")),
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
