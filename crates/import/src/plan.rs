//! From what is to be there and what is there already to the calls of IAM that make the difference, in order.
//!
//! What is there already in the same form is kept, so a plan that was interrupted is made again and goes on. What is
//! there in another form is a fault: no call of a plan adds to what was not imported.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::accounts::{
    AttachedPolicy, ImportFault, ImportNote, MOST_KEYS, PlannedGroup, PlannedKey, PlannedKeyStatus, PlannedUser,
    StoreAccounts,
};
use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_base::secret::Secret;
use portcullis_policy::PolicyDocument;

/// What an import does, or why it does nothing.
#[derive(Clone, Debug)]
pub struct ImportPlan {
    pub calls: Vec<PlannedCall>,
    pub notes: Vec<ImportNote>,
    /// While there is one, no call may be made.
    pub faults: Vec<ImportFault>,
}

/// One call, and whether it was made already.
#[derive(Clone, Debug)]
pub struct PlannedCall {
    pub call: ImportCall,
    pub standing: StepStanding,
}

/// Whether a call has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStanding {
    /// What it makes is there. (A key's secret cannot be compared: no proxy tells a secret.)
    Made,
    ToMake,
}

/// A call of IAM.
#[derive(Clone, Debug)]
pub enum ImportCall {
    AddUserToGroup { user: UserName, group: String },
    AttachGroupPolicy { group: String, policy: AttachedPolicy },
    AttachUserPolicy { user: UserName, policy: AttachedPolicy },
    CreateAccessKey { user: UserName, id: AccessKeyId, secret: Secret<String> },
    CreateGroup { group: String },
    CreatePolicy { name: String, document: PolicyDocument },
    CreateUser { user: UserName },
    DeactivateAccessKey { user: UserName, id: AccessKeyId },
    PutUserPermissionsBoundary { user: UserName, policy: AttachedPolicy },
    PutUserUpstreamCredentials { user: UserName, id: AccessKeyId, secret: Secret<String> },
}

/// The ARNs of the account's own policies.
#[derive(Clone, Debug, Default)]
pub struct PolicyArns(BTreeMap<String, String>);

/// A policy whose ARN the proxy did not tell.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the ARN of policy `{0}` is not known")]
pub struct UnknownPolicyArn(String);

/// What is there before an import.
#[derive(Clone, Debug, Default)]
pub struct AccountContents {
    pub users: BTreeMap<String, ExistingUser>,
    pub root_keys: BTreeSet<String>,
    pub groups: BTreeMap<String, ExistingGroup>,
    /// The account's own policies, in their default versions.
    pub policies: BTreeMap<String, PolicyDocument>,
}

/// A user that is there.
#[derive(Clone, Debug, Default)]
pub struct ExistingUser {
    pub keys: BTreeMap<String, PlannedKeyStatus>,
    /// Names of managed policies, Portcullis's and the account's.
    pub policies: BTreeSet<String>,
    /// Names of policies that are the user's alone.
    pub inline: BTreeSet<String>,
    pub groups: BTreeSet<String>,
    pub boundary: Option<String>,
    /// The access key with which the user acts in the store.
    pub upstream: Option<String>,
}

/// A group that is there.
#[derive(Clone, Debug, Default)]
pub struct ExistingGroup {
    pub policies: BTreeSet<String>,
    pub inline: BTreeSet<String>,
}

/// IAM's quota.
const MOST_GROUPS: usize = 10;

const REMOVE_FIRST: &str = "Remove it first, or leave the account out.";

impl ImportPlan {
    /// The plan by which these accounts come to be there.
    pub fn of(accounts: StoreAccounts, existing: &AccountContents) -> Self {
        let StoreAccounts { policies, groups, users, notes, faults } = accounts;
        let mut plan = Self { calls: Vec::new(), notes, faults };
        plan.refuse_namesakes("policy", policies.iter().map(|policy| policy.name.as_str()));
        for policy in policies {
            let namesake = namesake(existing.policies.keys(), &policy.name);
            let standing = match namesake.and_then(|name| existing.policies.get(name)) {
                Some(there) if *there == policy.document && namesake == Some(&policy.name) => StepStanding::Made,
                None => StepStanding::ToMake,
                Some(_) => {
                    plan.conflict(
                        format!("policy `{}`", policy.name),
                        "there is a policy of this name, which says something else",
                    );
                    continue;
                }
            };
            plan.push(ImportCall::CreatePolicy { name: policy.name, document: policy.document }, standing);
        }
        plan.refuse_namesakes("group", groups.iter().map(|group| group.name.as_str()));
        plan.refuse_namesakes("user", users.iter().map(|user| user.name.as_str()));
        plan.refuse_namesakes("access key", users.iter().flat_map(|user| &user.keys).map(|key| key.id.as_str()));
        for group in &groups {
            plan.group(group, &users, existing);
        }
        for user in users {
            plan.user(user, existing);
        }
        plan
    }

    /// Whether nothing is left to do.
    pub fn is_made(&self) -> bool {
        self.calls.iter().all(|planned| planned.standing == StepStanding::Made)
    }

    fn push(&mut self, call: ImportCall, standing: StepStanding) {
        self.calls.push(PlannedCall { call, standing });
    }

    fn conflict(&mut self, place: String, reason: impl Into<String>) {
        self.faults.push(ImportFault { place, reason: reason.into(), next: REMOVE_FIRST.to_owned() });
    }

    /// IAM's names of one kind differ in more than case.
    fn refuse_namesakes<'n>(&mut self, kind: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = BTreeMap::new();
        for name in names {
            if let Some(other) = seen.insert(name.to_lowercase(), name) {
                self.conflict(
                    format!("{kind} `{name}`"),
                    format!("comes twice, also as `{other}`; case does not count"),
                );
            }
        }
    }

    fn group(&mut self, group: &PlannedGroup, users: &[PlannedUser], existing: &AccountContents) {
        let place = || format!("group `{}`", group.name);
        let there = match namesake(existing.groups.keys(), &group.name) {
            Some(name) if *name != group.name => {
                return self.conflict(place(), format!("there is a group `{name}`, and case does not count"));
            }
            Some(name) => existing.groups.get(name),
            None => None,
        };
        let policies = there.map(|there| &there.policies);
        if let Some(there) = there {
            if let Some(other) = surplus(&there.policies, &group.policies).or_else(|| there.inline.first()) {
                self.conflict(
                    place(),
                    format!("it is there with the policy `{other}`, which it does not have in the store"),
                );
            }
            for (name, user) in &existing.users {
                let is_in_both =
                    users.iter().any(|user| user.name.as_str() == name && user.groups.contains(&group.name));
                if user.groups.contains(&group.name) && !is_in_both {
                    self.conflict(
                        place(),
                        format!("it is there with the member `{name}`, which it does not have in the store"),
                    );
                }
            }
        }
        let (name, standing) = (group.name.clone(), made(there.is_some()));
        self.push(ImportCall::CreateGroup { group: name.clone() }, standing);
        for policy in &group.policies {
            let standing = made(policies.is_some_and(|policies| policies.contains(policy.name())));
            self.push(ImportCall::AttachGroupPolicy { group: name.clone(), policy: policy.clone() }, standing);
        }
    }

    fn user(&mut self, user: PlannedUser, existing: &AccountContents) {
        let place = format!("user `{}`", user.name);
        let there = match namesake(existing.users.keys(), user.name.as_str()) {
            Some(name) if *name != user.name.as_str() => {
                return self.conflict(place, format!("there is a user `{name}`, and case does not count"));
            }
            Some(name) => existing.users.get(name),
            None => None,
        };
        if user.groups.len() > MOST_GROUPS {
            let reason = format!("it is in {} groups; IAM takes {MOST_GROUPS}", user.groups.len());
            self.faults.push(ImportFault { place: place.clone(), reason, next: "Take it out of some.".to_owned() });
        }
        if let Some(there) = there {
            self.compare(&place, &user, there);
        }
        let name = user.name;
        self.push(ImportCall::CreateUser { user: name.clone() }, made(there.is_some()));
        if let Some(policy) = user.boundary {
            let standing = made(there.is_some_and(|there| there.boundary.as_deref() == Some(policy.name())));
            self.push(ImportCall::PutUserPermissionsBoundary { user: name.clone(), policy }, standing);
        }
        if let Some(PlannedKey { id, secret, .. }) = user.upstream {
            let standing = made(there.is_some_and(|there| there.upstream.as_deref() == Some(id.as_str())));
            self.push(ImportCall::PutUserUpstreamCredentials { user: name.clone(), id, secret }, standing);
        }
        // A key exists before its user has rights if it is to be inactive, and after that if it is to be active: so none
        // can do more in between, or if the import ends there.
        let is_inactive = |key: &PlannedKey| key.status == PlannedKeyStatus::Inactive;
        let (inactive, active): (Vec<_>, Vec<_>) = user.keys.into_iter().partition(is_inactive);
        for key in inactive {
            self.key(&name, key, existing);
        }
        for group in user.groups {
            let standing = made(there.is_some_and(|there| there.groups.contains(&group)));
            self.push(ImportCall::AddUserToGroup { user: name.clone(), group }, standing);
        }
        for policy in user.policies {
            let standing = made(there.is_some_and(|there| there.policies.contains(policy.name())));
            self.push(ImportCall::AttachUserPolicy { user: name.clone(), policy }, standing);
        }
        for key in active {
            self.key(&name, key, existing);
        }
    }

    /// Names what a user has that it does not have in the store.
    fn compare(&mut self, place: &str, user: &PlannedUser, there: &ExistingUser) {
        let other = |what: &str, name: &str| {
            format!("it is there with the {what} `{name}`, which it does not have in the store")
        };
        if let Some(policy) = surplus(&there.policies, &user.policies).or_else(|| there.inline.first()) {
            self.conflict(place.to_owned(), other("policy", policy));
        }
        if let Some(group) = there.groups.difference(&user.groups).next() {
            self.conflict(place.to_owned(), other("group", group));
        }
        if let Some(boundary) = &there.boundary
            && user.boundary.as_ref().map(AttachedPolicy::name) != Some(boundary)
        {
            self.conflict(place.to_owned(), other("permissions boundary", boundary));
        }
        let upstream = user.upstream.as_ref().map(|key| key.id.as_str());
        if let Some(key) = &there.upstream
            && upstream != Some(key)
        {
            self.conflict(place.to_owned(), format!("it is there and acts in the store by the key `{key}`"));
        }
        let is_new = |key: &&PlannedKey| !there.keys.contains_key(key.id.as_str());
        let keys = there.keys.len() + user.keys.iter().filter(is_new).count();
        if keys > MOST_KEYS {
            self.conflict(
                place.to_owned(),
                format!("it would have {keys} access keys; a user has {MOST_KEYS} at most"),
            );
        }
    }

    fn key(&mut self, user: &UserName, key: PlannedKey, existing: &AccountContents) {
        let PlannedKey { id, secret, status } = key;
        let place = || format!("access key `{id}` of `{user}`");
        let holders = existing.users.iter().filter(|(_, there)| there.keys.contains_key(id.as_str()));
        let holder = holders.map(|(name, _)| name.as_str()).next();
        let holder = holder.or_else(|| existing.root_keys.contains(id.as_str()).then_some("root"));
        let there = holder.and_then(|holder| existing.users.get(holder)).and_then(|there| there.keys.get(id.as_str()));
        match (holder, there) {
            (Some(holder), _) if holder != user.as_str() => {
                return self.conflict(place(), format!("it is a key of `{holder}` here"));
            }
            (_, Some(PlannedKeyStatus::Inactive)) if status == PlannedKeyStatus::Active => {
                return self.conflict(place(), "it is inactive here and active in the store");
            }
            (Some(_) | None, _) => {}
        }
        let create = ImportCall::CreateAccessKey { user: user.clone(), id: id.clone(), secret };
        self.push(create, made(there.is_some()));
        if status == PlannedKeyStatus::Inactive {
            let standing = made(there == Some(&PlannedKeyStatus::Inactive));
            self.push(ImportCall::DeactivateAccessKey { user: user.clone(), id }, standing);
        }
    }
}

fn made(is_there: bool) -> StepStanding {
    if is_there { StepStanding::Made } else { StepStanding::ToMake }
}

fn namesake<'n>(mut names: impl Iterator<Item = &'n String>, name: &str) -> Option<&'n String> {
    names.find(|there| there.eq_ignore_ascii_case(name))
}

/// A policy that is there and should not be.
fn surplus<'n>(there: &'n BTreeSet<String>, wanted: &BTreeSet<AttachedPolicy>) -> Option<&'n String> {
    there.iter().find(|name| !wanted.iter().any(|policy| policy.name() == *name))
}

impl ImportCall {
    /// The action of IAM's API.
    pub fn action(&self) -> &'static str {
        match self {
            Self::AddUserToGroup { .. } => "AddUserToGroup",
            Self::AttachGroupPolicy { .. } => "AttachGroupPolicy",
            Self::AttachUserPolicy { .. } => "AttachUserPolicy",
            Self::CreateAccessKey { .. } => "CreateAccessKey",
            Self::CreateGroup { .. } => "CreateGroup",
            Self::CreatePolicy { .. } => "CreatePolicy",
            Self::CreateUser { .. } => "CreateUser",
            Self::DeactivateAccessKey { .. } => "UpdateAccessKey",
            Self::PutUserPermissionsBoundary { .. } => "PutUserPermissionsBoundary",
            Self::PutUserUpstreamCredentials { .. } => "PutUserUpstreamCredentials",
        }
    }

    /// The action's parameters.
    pub fn parameters(&self, arns: &PolicyArns) -> Result<Vec<(&'static str, Secret<String>)>, UnknownPolicyArn> {
        let text = |text: &str| Secret::new(text.to_owned());
        let arn = |policy: &AttachedPolicy| arns.of(policy).map(Secret::new);
        Ok(match self {
            Self::AddUserToGroup { user, group } => vec![("UserName", text(user.as_str())), ("GroupName", text(group))],
            Self::AttachGroupPolicy { group, policy } => vec![("GroupName", text(group)), ("PolicyArn", arn(policy)?)],
            Self::AttachUserPolicy { user, policy } => {
                vec![("UserName", text(user.as_str())), ("PolicyArn", arn(policy)?)]
            }
            Self::CreateAccessKey { user, id, secret } | Self::PutUserUpstreamCredentials { user, id, secret } => vec![
                ("UserName", text(user.as_str())),
                ("AccessKeyId", text(id.as_str())),
                ("SecretAccessKey", secret.clone()),
            ],
            Self::CreateGroup { group } => vec![("GroupName", text(group))],
            Self::CreatePolicy { name, document } => {
                vec![("PolicyName", text(name)), ("PolicyDocument", Secret::new(document.to_string()))]
            }
            Self::CreateUser { user } => vec![("UserName", text(user.as_str()))],
            Self::DeactivateAccessKey { user, id } => vec![
                ("UserName", text(user.as_str())),
                ("AccessKeyId", text(id.as_str())),
                ("Status", text("Inactive")),
            ],
            Self::PutUserPermissionsBoundary { user, policy } => {
                vec![("UserName", text(user.as_str())), ("PermissionsBoundary", arn(policy)?)]
            }
        })
    }
}

impl PolicyArns {
    /// Takes note of an ARN.
    pub fn insert(&mut self, name: String, arn: String) {
        self.0.insert(name, arn);
    }

    fn of(&self, policy: &AttachedPolicy) -> Result<String, UnknownPolicyArn> {
        match policy {
            AttachedPolicy::Managed(name) => Ok(format!("arn:aws:iam::aws:policy/{name}")),
            AttachedPolicy::Own(name) => self.0.get(name).cloned().ok_or_else(|| UnknownPolicyArn(name.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
