//! May an action be carried out? A pure function of the action, its caller and the facts.

use super::action::{ActionInput, AssignmentStatus, IamAction, PageRequest, PathPrefix};
use super::facts::ActionFacts;
use super::refused::{self, IamError};
use crate::cloudtrail::RootDevices;
use portcullis_authorization::{Caller, ControlAction, Permit, PermittedAction, Refusal, Requirement, Rules, Verdict};
use portcullis_base::names::{AccessKeyId, DeviceSerial, UserName};
use portcullis_mfa::{Challenge, CodeDigits, DeviceStatus, MfaFault, MfaToken, Proof, ProvedPart};
use portcullis_sigv4::{KeyStatus, Principal};
use portcullis_state::{
    AccessKey, DeviceChange, DeviceDeactivation, DeviceEnabling, GivenKey, KeyMaterial, ListedDevice, UserRecord,
};

/// Leave to carry out one action.
pub type ActionPermit = Permit<ActionPlan>;

/// What an action comes to.
#[derive(Debug)]
pub struct ActionPlan {
    pub(super) name: &'static str,
    pub(super) step: PlannedStep,
}

/// What is left to do once no code is owed.
#[derive(Debug)]
pub(super) enum PlannedStep {
    DeactivateDevice(DeviceChange<DeviceDeactivation>),
    EnableDevice(DeviceChange<DeviceEnabling>),
    Plain(PlainStep),
    /// Nothing: the state has learnt the device's drift by spending the codes.
    Resynchronized,
}

/// A step that takes no code.
#[derive(Debug)]
pub(super) enum PlainStep {
    AcceptClock,
    CreateAccessKey { holder: Principal, material: KeyMaterial },
    CreateDevice { serial: DeviceSerial, digits: CodeDigits },
    CreateUser { name: UserName },
    DeleteAccessKey { key: AccessKey },
    DeleteDevice { serial: DeviceSerial },
    DeleteUser { name: UserName },
    DeleteUserUpstreamKey { name: UserName },
    PutUserUpstreamKey { name: UserName, given: GivenKey },
    Read(ReadStep),
    UpdateAccessKey { key: AccessKey, status: KeyStatus },
}

/// A step that changes nothing.
#[derive(Debug)]
pub(super) enum ReadStep {
    AccessKeys { holder: Principal, page: PageRequest },
    Clock,
    MfaDevices { holder: Principal, page: PageRequest },
    User(Option<UserRecord>),
    Users { prefix: PathPrefix, page: PageRequest },
    VirtualMfaDevices { assignment: AssignmentStatus, page: PageRequest },
}

/// An action that may be carried out, at once or once a code is proved.
// INVARIANT (permit): made by `decide` alone.
#[derive(Debug)]
pub struct PendingAction {
    name: &'static str,
    step: PendingStep,
}

#[derive(Debug)]
enum PendingStep {
    Deactivate(DeviceDeactivation),
    Enable(DeviceEnabling),
    Plain(PlainStep),
    Resync,
}

/// Why an action is refused.
#[derive(Debug)]
pub enum ActionDenial {
    /// It cannot be done, or not without a code.
    Action(IamError),
    /// The codes were judged and opened nothing.
    Codes { fault: MfaFault, serial: DeviceSerial, purpose: CodePurpose },
}

/// What codes were offered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// Leave for the action, by a token in `x-amz-mfa`.
    Permission,
    /// To bring their own device back into step.
    Resync,
}

/// Decides on an action by the state as it was read. The caller is root; what the state has become by the time the action
/// is carried out, the state itself compares.
pub fn decide(
    action: IamAction,
    caller: &Caller,
    offer: MfaToken,
    facts: &ActionFacts,
    rules: Rules,
) -> Verdict<ActionPlan> {
    let offer = match offer {
        MfaToken::Malformed(_) => return Verdict::Refuse(ActionDenial::Action(IamError::malformed_offer())),
        MfaToken::Absent => None,
        MfaToken::Codes(codes) => Some(codes),
    };
    let name = action.name;
    let (requirement, step) = match plan(action.input, facts) {
        Err(refused) => return Verdict::Refuse(ActionDenial::Action(refused)),
        Ok(PlannedAction::OnDevice(step)) => (of_devices(facts.devices), step),
        Ok(PlannedAction::Plain(step)) => (Requirement::Nothing, PendingStep::Plain(step)),
        // The codes of the device itself are the whole action, so no other code is asked for.
        Ok(PlannedAction::Resync(DeviceEnabling { serial, first, second })) => {
            let pending = PendingAction { name, step: PendingStep::Resync };
            return Verdict::Mfa(Challenge::resync(serial, first, second, pending));
        }
    };
    portcullis_authorization::authorize(PendingAction { name, step }, requirement, caller, offer, rules)
}

/// A change of devices takes a code beside an active device; the first device needs none.
fn of_devices(devices: RootDevices) -> Requirement {
    match devices {
        RootDevices::None => Requirement::Nothing,
        RootDevices::Some => Requirement::Code,
    }
}

enum PlannedAction {
    OnDevice(PendingStep),
    Plain(PlainStep),
    Resync(DeviceEnabling),
}

fn plan(input: ActionInput, facts: &ActionFacts) -> Result<PlannedAction, IamError> {
    let step = match input {
        ActionInput::DeactivateMfaDevice { user, serial } => {
            facts.devices_are_roots(user.as_ref())?;
            return match facts.device(&serial)?.status {
                DeviceStatus::Active { .. } => {
                    Ok(PlannedAction::OnDevice(PendingStep::Deactivate(DeviceDeactivation { serial })))
                }
                DeviceStatus::Pending => {
                    Err(IamError::no_such(&format!("An active {}", refused::device_entity(&serial))))
                }
            };
        }
        ActionInput::EnableMfaDevice { user, serial, codes } => {
            facts.devices_are_roots(user.as_ref())?;
            return match facts.device(&serial)?.status {
                DeviceStatus::Active { .. } => Err(IamError::already_enabled()),
                DeviceStatus::Pending => {
                    let enabling = DeviceEnabling { serial, first: codes.first, second: codes.second };
                    Ok(PlannedAction::OnDevice(PendingStep::Enable(enabling)))
                }
            };
        }
        ActionInput::ResyncMfaDevice { user, serial, codes } => {
            facts.devices_are_roots(user.as_ref())?;
            facts.device(&serial)?;
            return Ok(PlannedAction::Resync(DeviceEnabling { serial, first: codes.first, second: codes.second }));
        }
        ActionInput::AcceptClock => PlainStep::AcceptClock,
        ActionInput::CreateAccessKey { user, material } => {
            PlainStep::CreateAccessKey { holder: facts.holder(user.as_ref())?, material }
        }
        ActionInput::CreateUser { name } => PlainStep::CreateUser { name },
        ActionInput::CreateVirtualMfaDevice { serial, digits } => PlainStep::CreateDevice { serial, digits },
        ActionInput::DeleteAccessKey { user, id } => {
            PlainStep::DeleteAccessKey { key: facts.key(&id, user.as_ref())?.clone() }
        }
        ActionInput::DeleteUser { name } => PlainStep::DeleteUser { name },
        ActionInput::DeleteUserUpstreamCredentials { name } => PlainStep::DeleteUserUpstreamKey { name },
        ActionInput::DeleteVirtualMfaDevice { serial } => PlainStep::DeleteDevice { serial },
        ActionInput::GetClock => PlainStep::Read(ReadStep::Clock),
        ActionInput::GetUser { user } => PlainStep::Read(ReadStep::User(facts.user(user.as_ref())?.cloned())),
        ActionInput::ListAccessKeys { user, page } => {
            PlainStep::Read(ReadStep::AccessKeys { holder: facts.holder(user.as_ref())?, page })
        }
        ActionInput::ListMfaDevices { user, page } => {
            PlainStep::Read(ReadStep::MfaDevices { holder: facts.holder(user.as_ref())?, page })
        }
        ActionInput::ListUsers { prefix, page } => PlainStep::Read(ReadStep::Users { prefix, page }),
        ActionInput::ListVirtualMfaDevices { assignment, page } => {
            PlainStep::Read(ReadStep::VirtualMfaDevices { assignment, page })
        }
        ActionInput::PutUserUpstreamCredentials { name, given } => PlainStep::PutUserUpstreamKey { name, given },
        ActionInput::UpdateAccessKey { user, id, status } => {
            PlainStep::UpdateAccessKey { key: facts.key(&id, user.as_ref())?.clone(), status }
        }
    };
    Ok(PlannedAction::Plain(step))
}

impl ActionFacts {
    /// The user that is named, if one is.
    fn user(&self, named: Option<&UserName>) -> Result<Option<&UserRecord>, IamError> {
        match (named, &self.user) {
            (None, _) => Ok(None),
            (Some(_), Some(user)) => Ok(Some(user)),
            (Some(name), None) => Err(IamError::no_such(&refused::user_entity(name))),
        }
    }

    fn holder(&self, named: Option<&UserName>) -> Result<Principal, IamError> {
        Ok(self.user(named)?.map_or(Principal::Root, |user| Principal::User(user.name.clone())))
    }

    fn devices_are_roots(&self, named: Option<&UserName>) -> Result<(), IamError> {
        match self.user(named)? {
            Some(_) => Err(IamError::users_have_no_devices()),
            None => Ok(()),
        }
    }

    fn device(&self, serial: &DeviceSerial) -> Result<&ListedDevice, IamError> {
        self.device.as_ref().ok_or_else(|| IamError::no_such(&refused::device_entity(serial)))
    }

    /// The key that is named. Its id is enough, as root may change every key; a user name has to fit.
    fn key(&self, id: &AccessKeyId, named: Option<&UserName>) -> Result<&AccessKey, IamError> {
        let holder = self.user(named)?.map(|user| Principal::User(user.name.clone()));
        let key = self.key.as_ref().filter(|key| holder.as_ref().is_none_or(|holder| key.holder == *holder));
        key.ok_or_else(|| IamError::no_such(&refused::key_entity(id)))
    }
}

impl PermittedAction for ActionPlan {
    type Pending = PendingAction;
    type Refusal = ActionDenial;

    fn refused(_: &PendingAction, refusal: Refusal) -> ActionDenial {
        ActionDenial::Action(IamError::factor(&refusal))
    }

    fn unmet(challenge: &Challenge<PendingAction>, fault: MfaFault) -> ActionDenial {
        let purpose = match challenge.subject().step {
            PendingStep::Resync => CodePurpose::Resync,
            PendingStep::Deactivate(_) | PendingStep::Enable(_) | PendingStep::Plain(_) => CodePurpose::Permission,
        };
        ActionDenial::Codes { fault, serial: challenge.codes().serial.clone(), purpose }
    }
}

impl ControlAction for ActionPlan {
    fn permitted(PendingAction { name, step }: PendingAction) -> Self {
        let step = match step {
            PendingStep::Deactivate(change) => PlannedStep::DeactivateDevice(DeviceChange::Unproved(change)),
            PendingStep::Enable(change) => PlannedStep::EnableDevice(DeviceChange::Unproved(change)),
            PendingStep::Plain(step) => PlannedStep::Plain(step),
            PendingStep::Resync => PlannedStep::Resynchronized,
        };
        Self { name, step }
    }

    /// The state takes a change of devices with its proof.
    fn proved(proof: Proof<PendingAction>) -> Self {
        let name = proof.subject().name;
        let proof = match proof.narrow::<DeviceEnabling>() {
            Ok(proof) => return Self { name, step: PlannedStep::EnableDevice(DeviceChange::Proved(proof)) },
            Err(proof) => proof,
        };
        match proof.narrow::<DeviceDeactivation>() {
            Ok(proof) => Self { name, step: PlannedStep::DeactivateDevice(DeviceChange::Proved(proof)) },
            Err(proof) => Self::permitted(proof.into_subject()),
        }
    }
}

impl ProvedPart<PendingAction> for DeviceEnabling {
    fn part_of(whole: PendingAction) -> Result<Self, PendingAction> {
        match whole.step {
            PendingStep::Enable(change) => Ok(change),
            step @ (PendingStep::Deactivate(_) | PendingStep::Plain(_) | PendingStep::Resync) => {
                Err(PendingAction { step, ..whole })
            }
        }
    }
}

impl ProvedPart<PendingAction> for DeviceDeactivation {
    fn part_of(whole: PendingAction) -> Result<Self, PendingAction> {
        match whole.step {
            PendingStep::Deactivate(change) => Ok(change),
            step @ (PendingStep::Enable(_) | PendingStep::Plain(_) | PendingStep::Resync) => {
                Err(PendingAction { step, ..whole })
            }
        }
    }
}

impl ActionPlan {
    /// Why it is not begun where its intent cannot be recorded. A device whose codes are spent is back in step by then.
    pub fn unrecorded(&self) -> IamError {
        match self.step {
            PlannedStep::DeactivateDevice(_) | PlannedStep::EnableDevice(_) | PlannedStep::Plain(_) => {
                IamError::unrecorded()
            }
            PlannedStep::Resynchronized => IamError::done_unrecorded(),
        }
    }
}

impl PendingAction {
    /// Why nothing is done where the state could not judge the codes.
    pub fn unjudged(&self, serial: &DeviceSerial, error: portcullis_state::StoreError) -> IamError {
        match self.step {
            PendingStep::Resync => IamError::store(error, &refused::device_entity(serial)),
            PendingStep::Deactivate(_) | PendingStep::Enable(_) | PendingStep::Plain(_) => IamError::store(error, ""),
        }
    }
}

impl ActionDenial {
    /// The fault of codes that were judged.
    pub fn fault(&self) -> Option<MfaFault> {
        match self {
            Self::Action(_) => None,
            Self::Codes { fault, .. } => Some(*fault),
        }
    }

    /// What the client is told. `codes_needed` is how many codes a device asks for by now.
    pub fn refused(self, codes_needed: impl FnOnce(&DeviceSerial) -> Option<usize>) -> IamError {
        match self {
            Self::Action(refused) => refused,
            Self::Codes { fault, serial, purpose: CodePurpose::Permission } => {
                IamError::offer(fault, codes_needed(&serial))
            }
            Self::Codes { fault, purpose: CodePurpose::Resync, .. } => IamError::resync(fault),
        }
    }
}
