//! May an action be carried out? A pure function of the action, its caller and the facts.

use super::action::{ActionInput, AssignmentStatus, IamAction, PageRequest, PathPrefix};
use super::facts::ActionFacts;
use super::policies::PolicyAction;
use super::refused::{self, IamError};
use super::resource::resource;
use super::scope::IamChannel;
use crate::cloudtrail::RootDevices;
use portcullis_authorization::{Caller, ControlAction, Permit, PermittedAction, Refusal, Requirement, Rules, Verdict};
use portcullis_base::names::{AccessKeyId, DeviceSerial, UserName};
use portcullis_cloudtrail::record::ROOT_USER;
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
    Policy(PolicyAction),
    PutUserUpstreamKey { name: UserName, given: GivenKey },
    Read(ReadStep),
    UpdateAccessKey { key: AccessKey, status: KeyStatus },
}

/// A step that changes nothing.
#[derive(Debug)]
pub(super) enum ReadStep {
    AccessKeys {
        holder: Principal,
        page: PageRequest,
    },
    AccountSummary,
    Clock,
    CredentialReport,
    CredentialReportState,
    /// The name of a list that has no members here.
    EmptyList(&'static str),
    MfaDevices {
        holder: Principal,
        page: PageRequest,
    },
    User(Option<UserRecord>),
    Users {
        prefix: PathPrefix,
        page: PageRequest,
    },
    VirtualMfaDevices {
        assignment: AssignmentStatus,
        page: PageRequest,
    },
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
    /// It cannot be done.
    Action(IamError),
    /// The codes were judged and opened nothing.
    Codes { fault: MfaFault, serial: DeviceSerial, purpose: CodePurpose },
    /// It takes a code, and none was looked at.
    Factor(Refusal),
}

/// What codes were offered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// Leave for the action, by a token in `x-amz-mfa`.
    Permission,
    /// To bring their own device back into step.
    Resync,
}

/// Decides on an action by the state as it was read. What the state has become by the time the action is carried out, the
/// state itself compares.
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
    match permitted(&action, caller, facts, rules).and_then(|()| owed(action, caller, facts)) {
        Err(refused) => Verdict::Refuse(ActionDenial::Action(refused)),
        Ok((requirement, PlannedAction::Step(_, step))) => {
            portcullis_authorization::authorize(PendingAction { name, step }, requirement, caller, offer, rules)
        }
        // The codes of the device itself are the whole action, so no other code is asked for.
        Ok((_, PlannedAction::Resync(DeviceEnabling { serial, first, second }))) => {
            let pending = PendingAction { name, step: PendingStep::Resync };
            Verdict::Mfa(Challenge::resync(serial, first, second, pending))
        }
    }
}

/// Whether this caller may ask for the action at all. Root may, and a user what its policies allow; but devices are root's,
/// and no policy reaches what is root's.
fn permitted(action: &IamAction, caller: &Caller, facts: &ActionFacts, rules: Rules) -> Result<(), IamError> {
    match &caller.principal {
        Principal::Root => {}
        Principal::User(name) => {
            let resource = resource(action, facts);
            if facts.subject == Principal::Root || action.nature().changes_devices {
                return Err(IamError::not_authorized(name, action.name, &resource, &facts.account));
            }
            if let Some(denial) = facts.rights.denies(&format!("iam:{}", action.name), &resource) {
                return Err(IamError::by_policy(denial));
            }
        }
    }
    if action.nature().carries_secret && !caller.is_confidential(rules) {
        return Err(IamError::secret_in_clear());
    }
    Ok(())
}

/// Plans the action, and says what it needs.
fn owed(action: IamAction, caller: &Caller, facts: &ActionFacts) -> Result<(Requirement, PlannedAction), IamError> {
    let planned = plan(action.input, facts)?;
    let kind = match &planned {
        PlannedAction::Step(kind, _) => *kind,
        PlannedAction::Resync(_) => StepKind::ActiveDevices,
    };
    Ok((requirement(kind, IamChannel::of(caller.transport), facts.devices)?, planned))
}

/// What a step needs. The owner of the machine, on the admin socket, replaces root's keys and enrols root's first device
/// with nothing else at hand. On the port root's key may be a thief's, who must neither take the owner's place nor leave
/// another key behind: there a code is needed, and where no device could show one the machine alone will do.
fn requirement(kind: StepKind, channel: IamChannel, devices: RootDevices) -> Result<Requirement, IamError> {
    match (kind, channel, devices) {
        (StepKind::ActiveDevices, _, RootDevices::Some) | (StepKind::RootKeys, IamChannel::Port, RootDevices::Some) => {
            Ok(Requirement::Code)
        }
        (StepKind::ActiveDevices, IamChannel::AdminSocket, RootDevices::None)
        | (StepKind::Other, _, _)
        | (StepKind::PendingDevices, IamChannel::AdminSocket, _)
        | (StepKind::PendingDevices, IamChannel::Port, RootDevices::Some)
        | (StepKind::RootKeys, IamChannel::AdminSocket, _) => Ok(Requirement::Nothing),
        (StepKind::ActiveDevices | StepKind::PendingDevices, IamChannel::Port, RootDevices::None) => {
            Err(IamError::first_device_elsewhere())
        }
        (StepKind::RootKeys, IamChannel::Port, RootDevices::None) => Err(IamError::root_keys_elsewhere()),
    }
}

enum PlannedAction {
    Resync(DeviceEnabling),
    Step(StepKind, PendingStep),
}

/// What a step changes, as far as its needs depend on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepKind {
    /// Which devices' codes count.
    ActiveDevices,
    Other,
    /// The devices whose codes do not count.
    PendingDevices,
    RootKeys,
}

fn plan(input: ActionInput, facts: &ActionFacts) -> Result<PlannedAction, IamError> {
    let step = match input {
        ActionInput::DeactivateMfaDevice { serial, .. } => {
            facts.devices_are_roots()?;
            return match facts.device(&serial)?.status {
                DeviceStatus::Active { .. } => match &facts.guarded {
                    Some(bucket) => Err(IamError::last_device(bucket)),
                    None => Ok(on_devices(PendingStep::Deactivate(DeviceDeactivation { serial }))),
                },
                DeviceStatus::Pending => {
                    Err(IamError::no_such(&format!("An active {}", refused::device_entity(&serial))))
                }
            };
        }
        ActionInput::EnableMfaDevice { serial, codes, .. } => {
            facts.devices_are_roots()?;
            return match facts.device(&serial)?.status {
                DeviceStatus::Active { .. } => Err(IamError::already_enabled()),
                DeviceStatus::Pending => {
                    let enabling = DeviceEnabling { serial, first: codes.first, second: codes.second };
                    Ok(on_devices(PendingStep::Enable(enabling)))
                }
            };
        }
        ActionInput::ResyncMfaDevice { serial, codes, .. } => {
            facts.devices_are_roots()?;
            facts.device(&serial)?;
            return Ok(PlannedAction::Resync(DeviceEnabling { serial, first: codes.first, second: codes.second }));
        }
        ActionInput::AcceptClock => PlainStep::AcceptClock,
        ActionInput::CreateAccessKey { material, .. } => {
            PlainStep::CreateAccessKey { holder: facts.holder()?, material }
        }
        ActionInput::CreateUser { name } => PlainStep::CreateUser { name },
        ActionInput::CreateVirtualMfaDevice { serial, digits } => PlainStep::CreateDevice { serial, digits },
        ActionInput::DeleteAccessKey { id, .. } => PlainStep::DeleteAccessKey { key: facts.key(&id)?.clone() },
        ActionInput::DeleteUser { name } => PlainStep::DeleteUser { name },
        ActionInput::DeleteUserUpstreamCredentials { name } => PlainStep::DeleteUserUpstreamKey { name },
        ActionInput::DeleteVirtualMfaDevice { serial } => PlainStep::DeleteDevice { serial },
        ActionInput::EmptyList { list, .. } => {
            facts.user()?;
            PlainStep::Read(ReadStep::EmptyList(list))
        }
        ActionInput::GetAccountPasswordPolicy => return Err(IamError::no_password_policy(&facts.account)),
        ActionInput::GenerateCredentialReport => PlainStep::Read(ReadStep::CredentialReportState),
        ActionInput::GetCredentialReport => PlainStep::Read(ReadStep::CredentialReport),
        ActionInput::GetAccountSummary => PlainStep::Read(ReadStep::AccountSummary),
        ActionInput::GetClock => PlainStep::Read(ReadStep::Clock),
        ActionInput::GetLoginProfile { .. } => {
            let user = facts.user()?;
            return Err(IamError::no_login_profile(user.map_or(ROOT_USER, |user| user.name.as_str())));
        }
        ActionInput::GetUser { .. } => PlainStep::Read(ReadStep::User(facts.user()?.cloned())),
        ActionInput::ListAccessKeys { page, .. } => {
            PlainStep::Read(ReadStep::AccessKeys { holder: facts.holder()?, page })
        }
        ActionInput::ListMfaDevices { page, .. } => {
            PlainStep::Read(ReadStep::MfaDevices { holder: facts.holder()?, page })
        }
        ActionInput::ListUsers { prefix, page } => PlainStep::Read(ReadStep::Users { prefix, page }),
        ActionInput::ListVirtualMfaDevices { assignment, page } => {
            PlainStep::Read(ReadStep::VirtualMfaDevices { assignment, page })
        }
        ActionInput::Policy(action) => PlainStep::Policy(action),
        ActionInput::PutUserUpstreamCredentials { name, given } => PlainStep::PutUserUpstreamKey { name, given },
        ActionInput::UpdateAccessKey { id, status, .. } => {
            PlainStep::UpdateAccessKey { key: facts.key(&id)?.clone(), status }
        }
    };
    Ok(PlannedAction::Step(step.kind(), PendingStep::Plain(step)))
}

fn on_devices(step: PendingStep) -> PlannedAction {
    PlannedAction::Step(StepKind::ActiveDevices, step)
}

impl PlainStep {
    fn kind(&self) -> StepKind {
        let of_key = |holder: &Principal| match holder {
            Principal::Root => StepKind::RootKeys,
            Principal::User(_) => StepKind::Other,
        };
        match self {
            Self::CreateAccessKey { holder, .. } => of_key(holder),
            Self::CreateDevice { .. } | Self::DeleteDevice { .. } => StepKind::PendingDevices,
            Self::DeleteAccessKey { key } | Self::UpdateAccessKey { key, .. } => of_key(&key.holder),
            Self::AcceptClock
            | Self::CreateUser { .. }
            | Self::DeleteUser { .. }
            | Self::DeleteUserUpstreamKey { .. }
            | Self::Policy(_)
            | Self::PutUserUpstreamKey { .. }
            | Self::Read(_) => StepKind::Other,
        }
    }
}

impl ActionFacts {
    /// The user that the action is about, unless that is root.
    fn user(&self) -> Result<Option<&UserRecord>, IamError> {
        match (&self.subject, &self.user) {
            (Principal::Root, _) => Ok(None),
            (Principal::User(_), Some(user)) => Ok(Some(user)),
            (Principal::User(name), None) => Err(IamError::no_such(&refused::user_entity(name))),
        }
    }

    fn holder(&self) -> Result<Principal, IamError> {
        self.user()?;
        Ok(self.subject.clone())
    }

    fn devices_are_roots(&self) -> Result<(), IamError> {
        match self.user()? {
            Some(_) => Err(IamError::users_have_no_devices()),
            None => Ok(()),
        }
    }

    fn device(&self, serial: &DeviceSerial) -> Result<&ListedDevice, IamError> {
        self.device.as_ref().ok_or_else(|| IamError::no_such(&refused::device_entity(serial)))
    }

    /// The key that is named. To root its id is enough, as root may change every key; a user's has to be that user's.
    fn key(&self, id: &AccessKeyId) -> Result<&AccessKey, IamError> {
        let fits = |key: &&AccessKey| match &self.subject {
            Principal::Root => true,
            Principal::User(_) => key.holder == self.subject,
        };
        self.user()?;
        self.key.as_ref().filter(fits).ok_or_else(|| IamError::no_such(&refused::key_entity(id)))
    }
}

impl PermittedAction for ActionPlan {
    type Pending = PendingAction;
    type Refusal = ActionDenial;

    fn refused(_: &PendingAction, refusal: Refusal) -> ActionDenial {
        ActionDenial::Factor(refusal)
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
    /// What the client is told. `codes_needed` is how many codes a device asks for by now.
    pub fn refused(self, codes_needed: impl FnOnce(&DeviceSerial) -> Option<usize>) -> IamError {
        match self {
            Self::Action(refused) => refused,
            Self::Codes { fault, serial, purpose: CodePurpose::Permission } => {
                IamError::offer(fault, codes_needed(&serial))
            }
            Self::Codes { fault, purpose: CodePurpose::Resync, .. } => IamError::resync(fault),
            Self::Factor(refusal) => IamError::factor(&refusal),
        }
    }
}
