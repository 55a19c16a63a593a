//! The resource that an action is about, as policies and refusals name it.

use super::action::{ActionInput, IamAction, NamedUser};
use super::facts::ActionFacts;
use super::policies::{PolicyAction, PolicyQuestion};
use portcullis_base::names::AccountId;
use portcullis_sigv4::Principal;
use portcullis_state::{PolicyHolder, PolicyReference};

/// The ARN of what the action is about; `*` where AWS has no resource for it.
pub(super) fn resource(action: &IamAction, facts: &ActionFacts) -> String {
    let account = &facts.account;
    match &action.input {
        ActionInput::AcceptClock
        | ActionInput::EmptyList { user: NamedUser::Caller, .. }
        | ActionInput::GenerateCredentialReport
        | ActionInput::GetAccountPasswordPolicy
        | ActionInput::GetAccountSummary
        | ActionInput::GetClock
        | ActionInput::GetCredentialReport => "*".to_owned(),
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
        ActionInput::Policy(action) => of_policy_action(account, action),
        ActionInput::ListUsers { .. } => user(account, ""),
        ActionInput::ListVirtualMfaDevices { .. } => format!("arn:aws:iam::{account}:mfa/"),
    }
}

fn of_policy_action(account: &AccountId, action: &PolicyAction) -> String {
    let holder = |holder: &PolicyHolder| match holder {
        PolicyHolder::Group(name) => group(account, name.as_str()),
        PolicyHolder::User(name) => user(account, name.as_str()),
    };
    match action {
        PolicyAction::ChangeGrants { holder: of, .. } => holder(of),
        PolicyAction::ChangeMembership { group: name, .. }
        | PolicyAction::CreateGroup { name }
        | PolicyAction::DeleteGroup { name } => group(account, name.as_str()),
        PolicyAction::ChangeVersions { policy: name, .. }
        | PolicyAction::CreatePolicy { name, .. }
        | PolicyAction::DeletePolicy { policy: name } => PolicyReference::Account(name.clone()).arn(account),
        PolicyAction::SetBoundary { user: name, .. } => user(account, name.as_str()),
        PolicyAction::Read(question) => match question {
            PolicyQuestion::Attached { holder: of, .. }
            | PolicyQuestion::Inline { holder: of, .. }
            | PolicyQuestion::InlineNames { holder: of, .. } => holder(of),
            PolicyQuestion::Entities { policy, .. }
            | PolicyQuestion::Policy(policy)
            | PolicyQuestion::Version { policy, .. }
            | PolicyQuestion::Versions { policy, .. } => policy.arn(account),
            PolicyQuestion::Group { name, .. } => group(account, name.as_str()),
            PolicyQuestion::Groups { .. } => group(account, ""),
            PolicyQuestion::GroupsOfUser { user: name, .. } => user(account, name.as_str()),
            PolicyQuestion::Policies { .. } => format!("arn:aws:iam::{account}:policy/"),
        },
    }
}

fn arn(account: &AccountId, principal: &Principal) -> String {
    match principal {
        Principal::Root => format!("arn:aws:iam::{account}:root"),
        Principal::User(name) => user(account, name.as_str()),
    }
}

fn group(account: &AccountId, name: &str) -> String {
    format!("arn:aws:iam::{account}:group/{name}")
}

fn user(account: &AccountId, name: &str) -> String {
    format!("arn:aws:iam::{account}:user/{name}")
}
