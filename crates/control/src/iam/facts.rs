//! What an action is decided by.

use super::action::{ActionInput, IamAction, NamedUser};
use crate::cloudtrail::RootDevices;
use portcullis_authorization::CallerRights;
use portcullis_base::names::{AccessKeyId, AccountId, BucketName, DeviceSerial};
use portcullis_sigv4::Principal;
use portcullis_state::{AccessKey, ListedDevice, StateStore, UserRecord};

/// What an action is decided by, beside what it asks for and who asks: the parts of the state that it names.
#[derive(Clone, Debug)]
pub struct ActionFacts {
    pub(super) account: AccountId,
    /// What the caller may do by its policies.
    pub(super) rights: CallerRights,
    /// Whom the action is about: the user that is named, else the caller.
    pub(super) subject: Principal,
    /// The record of the subject, if that is a user that exists.
    pub(super) user: Option<UserRecord>,
    pub(super) device: Option<ListedDevice>,
    pub(super) key: Option<AccessKey>,
    pub(super) devices: RootDevices,
    /// A protected bucket, where the device that is named is root's only active one.
    pub(super) guarded: Option<BucketName>,
}

impl ActionFacts {
    /// Reads what the action of this caller names from the state.
    pub fn read(action: &IamAction, caller: &Principal, rights: CallerRights, state: &StateStore) -> Self {
        let names = StateNames::of(&action.input);
        let subject = names.user.map_or_else(|| caller.clone(), |named| named.principal(caller));
        let user = match &subject {
            Principal::Root => None,
            Principal::User(name) => state.user(name),
        };
        Self {
            account: state.account().clone(),
            rights,
            subject,
            user,
            device: names.device.and_then(|serial| state.device(serial)),
            key: names.key.and_then(|id| state.key(id)),
            devices: if state.has_active_device() { RootDevices::Some } else { RootDevices::None },
            guarded: names.device.and_then(|serial| state.guarded_by_only(serial)),
        }
    }
}

/// The parts of the state that decide on an action. What is only made or deleted by its name is the state's to know.
#[derive(Clone, Copy, Debug, Default)]
struct StateNames<'a> {
    user: Option<&'a NamedUser>,
    device: Option<&'a DeviceSerial>,
    key: Option<&'a AccessKeyId>,
}

impl<'a> StateNames<'a> {
    fn of(input: &'a ActionInput) -> Self {
        match input {
            ActionInput::AcceptClock
            | ActionInput::CreateUser { .. }
            | ActionInput::CreateVirtualMfaDevice { .. }
            | ActionInput::DeleteUser { .. }
            | ActionInput::DeleteUserUpstreamCredentials { .. }
            | ActionInput::DeleteVirtualMfaDevice { .. }
            | ActionInput::GenerateCredentialReport
            | ActionInput::GetAccountPasswordPolicy
            | ActionInput::GetAccountSummary
            | ActionInput::GetClock
            | ActionInput::GetCredentialReport
            | ActionInput::ListUsers { .. }
            | ActionInput::ListVirtualMfaDevices { .. }
            | ActionInput::Policy(_)
            | ActionInput::PutUserUpstreamCredentials { .. } => Self::default(),
            ActionInput::CreateAccessKey { user, .. }
            | ActionInput::EmptyList { user, .. }
            | ActionInput::GetLoginProfile { user }
            | ActionInput::GetUser { user }
            | ActionInput::ListAccessKeys { user, .. }
            | ActionInput::ListMfaDevices { user, .. } => Self { user: Some(user), ..Self::default() },
            ActionInput::DeactivateMfaDevice { user, serial }
            | ActionInput::EnableMfaDevice { user, serial, .. }
            | ActionInput::ResyncMfaDevice { user, serial, .. } => {
                Self { user: Some(user), device: Some(serial), key: None }
            }
            ActionInput::DeleteAccessKey { user, id } | ActionInput::UpdateAccessKey { user, id, .. } => {
                Self { user: Some(user), device: None, key: Some(id) }
            }
        }
    }
}
