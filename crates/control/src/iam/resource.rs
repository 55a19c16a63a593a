//! The resource that an action is about, as policies and refusals name it.

use super::action::{ActionInput, IamAction, NamedUser};
use super::facts::ActionFacts;
use portcullis_base::names::AccountId;
use portcullis_sigv4::Principal;

/// The ARN of what the action is about; `*` where AWS has no resource for it.
pub(super) fn resource(action: &IamAction, facts: &ActionFacts) -> String {
    let account = &facts.account;
    match &action.input {
        ActionInput::AcceptClock
        | ActionInput::EmptyList { user: NamedUser::Caller, .. }
        | ActionInput::GetAccountPasswordPolicy
        | ActionInput::GetAccountSummary
        | ActionInput::GetClock => "*".to_owned(),
        ActionInput::CreateAccessKey { .. }
        | ActionInput::DeactivateMfaDevice { .. }
        | ActionInput::DeleteAccessKey { .. }
        | ActionInput::EmptyList { user: NamedUser::Root | NamedUser::User(_), .. }
        | ActionInput::EnableMfaDevice { .. }
        | ActionInput::GetLoginProfile { .. }
        | ActionInput::GetUser { .. }
        | ActionInput::ListAccessKeys { .. }
        | ActionInput::ListMfaDevices { .. }
        | ActionInput::ResyncMfaDevice { .. }
        | ActionInput::UpdateAccessKey { .. } => arn(account, &facts.subject),
        ActionInput::CreateUser { name }
        | ActionInput::DeleteUser { name }
        | ActionInput::DeleteUserUpstreamCredentials { name }
        | ActionInput::PutUserUpstreamCredentials { name, .. } => user(account, name.as_str()),
        ActionInput::CreateVirtualMfaDevice { serial, .. } | ActionInput::DeleteVirtualMfaDevice { serial } => {
            serial.to_string()
        }
        ActionInput::ListUsers { .. } => user(account, ""),
        ActionInput::ListVirtualMfaDevices { .. } => format!("arn:aws:iam::{account}:mfa/"),
    }
}

fn arn(account: &AccountId, principal: &Principal) -> String {
    match principal {
        Principal::Root => format!("arn:aws:iam::{account}:root"),
        Principal::User(name) => user(account, name.as_str()),
    }
}

fn user(account: &AccountId, name: &str) -> String {
    format!("arn:aws:iam::{account}:user/{name}")
}
