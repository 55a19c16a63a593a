//! What an action is decided by.

use super::action::{ActionInput, IamAction};
use crate::cloudtrail::RootDevices;
use portcullis_base::names::{AccessKeyId, DeviceSerial, UserName};
use portcullis_state::{AccessKey, ListedDevice, StateStore, UserRecord};

/// What an action is decided by, beside what it asks for and who asks: the parts of the state that it names.
#[derive(Clone, Debug)]
pub struct ActionFacts {
    pub(super) user: Option<UserRecord>,
    pub(super) device: Option<ListedDevice>,
    pub(super) key: Option<AccessKey>,
    pub(super) devices: RootDevices,
}

impl ActionFacts {
    /// Reads what the action names from the state.
    pub fn read(action: &IamAction, state: &StateStore) -> Self {
        let names = StateNames::of(&action.input);
        Self {
            user: names.user.and_then(|name| state.user(name)),
            device: names.device.and_then(|serial| state.device(serial)),
            key: names.key.and_then(|id| state.key(id)),
            devices: if state.has_active_device() { RootDevices::Some } else { RootDevices::None },
        }
    }
}

/// The parts of the state that decide on an action. What is only made or deleted by its name is the state's to know.
#[derive(Clone, Copy, Debug, Default)]
struct StateNames<'a> {
    user: Option<&'a UserName>,
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
            | ActionInput::GetClock
            | ActionInput::ListUsers { .. }
            | ActionInput::ListVirtualMfaDevices { .. }
            | ActionInput::PutUserUpstreamCredentials { .. } => Self::default(),
            ActionInput::CreateAccessKey { user, .. }
            | ActionInput::GetUser { user }
            | ActionInput::ListAccessKeys { user, .. }
            | ActionInput::ListMfaDevices { user, .. } => Self { user: user.as_ref(), ..Self::default() },
            ActionInput::DeactivateMfaDevice { user, serial }
            | ActionInput::EnableMfaDevice { user, serial, .. }
            | ActionInput::ResyncMfaDevice { user, serial, .. } => {
                Self { user: user.as_ref(), device: Some(serial), key: None }
            }
            ActionInput::DeleteAccessKey { user, id } | ActionInput::UpdateAccessKey { user, id, .. } => {
                Self { user: user.as_ref(), device: None, key: Some(id) }
            }
        }
    }
}
