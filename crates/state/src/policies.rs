//! Policies and groups: what can be changed of them, and what a change must leave true.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StateStore;
use super::change::ChangeDecision;
use super::error::{RemainingPart, StoreError};
use super::identities::{
    GroupRecord, PolicyGrants, PolicyRecord, PolicyReference, PolicyText, PolicyVersion, UserRecord,
};
use super::principals::random_id;
use super::records::{RecordKey, StateRecord};
use super::state::StateTables;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{GroupName, PolicyName, UserName};
use portcullis_policy::{IdentityPolicies, PolicyKind};

/// Who has policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyHolder {
    Group(GroupName),
    User(UserName),
}

/// A change of the policies that a user or a group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantChange {
    Attach(PolicyReference),
    DeleteInline(PolicyName),
    Detach(PolicyReference),
    PutInline(PolicyName, PolicyText),
}

/// A change of a policy's versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionChange {
    Add { content: PolicyText, is_default: bool },
    Delete(u32),
    SetDefault(u32),
}

/// A change of who is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    Join,
    Leave,
}

/// Where a policy is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyUse {
    pub users: Vec<UserName>,
    pub groups: Vec<GroupName>,
    /// Of how many users it is the permissions boundary.
    pub boundaries: usize,
}

impl PolicyUse {
    /// Whether it is attached, or a boundary.
    pub fn is_attached(&self) -> bool {
        !self.users.is_empty() || !self.groups.is_empty() || self.boundaries > 0
    }
}

/// AWS's quota of policies that are attached to one user or group.
pub const MOST_ATTACHED: usize = 10;
/// AWS's quota of groups.
pub const MOST_GROUPS: usize = 300;
/// AWS's quota of groups that one user is in.
pub const MOST_GROUPS_OF_USER: usize = 10;
/// AWS's quota of managed policies of the account.
pub const MOST_POLICIES: usize = 1500;
/// AWS's quota of versions of a managed policy.
pub const MOST_VERSIONS: usize = 5;

impl StateStore {
    /// What this user may do; none if there is no such user.
    pub fn permissions(&self, user: &UserName) -> Option<Arc<IdentityPolicies>> {
        self.0.memory.read().permissions.get(user).cloned()
    }

    /// The policies of the account, by name.
    pub fn policies(&self) -> Vec<Arc<PolicyRecord>> {
        self.0.memory.read().policies.values().cloned().collect()
    }

    /// One policy of the account.
    pub fn policy(&self, name: &PolicyName) -> Option<Arc<PolicyRecord>> {
        self.0.memory.read().policies.get(name).cloned()
    }

    /// The groups, by name.
    pub fn groups(&self) -> Vec<GroupRecord> {
        self.0.memory.read().groups.values().cloned().collect()
    }

    /// One group.
    pub fn group(&self, name: &GroupName) -> Option<GroupRecord> {
        self.0.memory.read().groups.get(name).cloned()
    }

    /// Where each policy is used that is used.
    pub fn policy_uses(&self) -> BTreeMap<PolicyReference, PolicyUse> {
        let state = self.0.memory.read();
        let mut uses: BTreeMap<PolicyReference, PolicyUse> = BTreeMap::new();
        for user in state.users.values() {
            for reference in &user.grants.attached {
                uses.entry(reference.clone()).or_default().users.push(user.name.clone());
            }
            if let Some(reference) = &user.boundary {
                uses.entry(reference.clone()).or_default().boundaries += 1;
            }
        }
        for group in state.groups.values() {
            for reference in &group.grants.attached {
                uses.entry(reference.clone()).or_default().groups.push(group.name.clone());
            }
        }
        uses
    }

    /// Makes a policy with its first version.
    pub async fn create_policy(
        &self,
        name: &PolicyName,
        description: Option<String>,
        content: PolicyText,
        now: Timestamp,
    ) -> Result<Arc<PolicyRecord>, StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let versions = BTreeMap::from([(1, PolicyVersion { created: now, content })]);
            let id = format!("ANPA{}", random_id(17)?);
            let made =
                PolicyRecord { name, id, description, created: now, updated: now, versions, default: 1, next: 2 };
            let made = Arc::new(made);
            let decide = |state: &StateTables| {
                // IAM's names differ by more than case.
                if is_taken(state.policies.keys().map(PolicyName::as_str), made.name.as_str()) {
                    return Err(StoreError::AlreadyExists);
                }
                if state.policies.len() >= MOST_POLICIES {
                    return Err(StoreError::LimitReached);
                }
                Ok(ChangeDecision::put(StateRecord::Policy(Arc::clone(&made)), Arc::clone(&made)))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Changes the versions of a policy; the answer is the policy after it.
    pub async fn change_policy(
        &self,
        name: &PolicyName,
        change: VersionChange,
        now: Timestamp,
    ) -> Result<Arc<PolicyRecord>, StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let policy = state.policies.get(&name).ok_or(StoreError::NoSuchEntity)?;
                let mut after = PolicyRecord::clone(policy);
                after.change(&change, now)?;
                if after == **policy {
                    return Ok(ChangeDecision::Unchanged(Arc::clone(policy)));
                }
                let after = Arc::new(PolicyRecord { updated: now, ..after });
                Ok(ChangeDecision::put(StateRecord::Policy(Arc::clone(&after)), after))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Deletes a policy that has one version left and is attached to nothing.
    pub async fn delete_policy(&self, name: &PolicyName, now: Timestamp) -> Result<(), StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let policy = state.policies.get(&name).ok_or(StoreError::NoSuchEntity)?;
                if state.uses(&PolicyReference::Account(name.clone())) {
                    return Err(StoreError::Remains(RemainingPart::Attachments));
                }
                if policy.versions.len() > 1 {
                    return Err(StoreError::Remains(RemainingPart::Versions));
                }
                Ok(ChangeDecision::delete(RecordKey::Policy(name.clone())))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Changes the policies of a user or a group.
    pub async fn change_grants(
        &self,
        holder: &PolicyHolder,
        change: GrantChange,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (inner, holder) = (Arc::clone(&self.0), holder.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let record = match &holder {
                    PolicyHolder::User(name) => {
                        let user = state.users.get(name).ok_or(StoreError::NoSuchEntity)?;
                        let grants = state.granted(&user.grants, &change, PolicyKind::UserInline)?;
                        grants.map(|grants| StateRecord::User(UserRecord { grants, ..user.clone() }))
                    }
                    PolicyHolder::Group(name) => {
                        let group = state.groups.get(name).ok_or(StoreError::NoSuchEntity)?;
                        let grants = state.granted(&group.grants, &change, PolicyKind::GroupInline)?;
                        grants.map(|grants| StateRecord::Group(GroupRecord { grants, ..group.clone() }))
                    }
                };
                Ok(record.map_or(ChangeDecision::Unchanged(()), |record| ChangeDecision::put(record, ())))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Sets the permissions boundary of a user, or takes it away.
    pub async fn set_boundary(
        &self,
        user: &UserName,
        boundary: Option<PolicyReference>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (inner, name) = (Arc::clone(&self.0), user.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let user = state.users.get(&name).ok_or(StoreError::NoSuchEntity)?;
                if let Some(reference) = &boundary {
                    state.expect_policy(reference)?;
                }
                // As AWS has it: there is nothing to take away.
                if boundary.is_none() && user.boundary.is_none() {
                    return Err(StoreError::NoSuchEntity);
                }
                if user.boundary == boundary {
                    return Ok(ChangeDecision::Unchanged(()));
                }
                let user = UserRecord { boundary: boundary.clone(), ..user.clone() };
                Ok(ChangeDecision::put(StateRecord::User(user), ()))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Makes a group without members and policies.
    pub async fn create_group(&self, name: &GroupName, now: Timestamp) -> Result<GroupRecord, StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let made = GroupRecord {
                name,
                id: format!("AGPA{}", random_id(17)?),
                created: now,
                grants: PolicyGrants::default(),
                members: [].into(),
            };
            let decide = |state: &StateTables| {
                if is_taken(state.groups.keys().map(GroupName::as_str), made.name.as_str()) {
                    return Err(StoreError::AlreadyExists);
                }
                if state.groups.len() >= MOST_GROUPS {
                    return Err(StoreError::LimitReached);
                }
                Ok(ChangeDecision::put(StateRecord::Group(made.clone()), made.clone()))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Deletes a group that has neither members nor policies.
    pub async fn delete_group(&self, name: &GroupName, now: Timestamp) -> Result<(), StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let group = state.groups.get(&name).ok_or(StoreError::NoSuchEntity)?;
                if !group.members.is_empty() {
                    return Err(StoreError::Remains(RemainingPart::Members));
                }
                group.grants.expect_none()?;
                Ok(ChangeDecision::delete(RecordKey::Group(name.clone())))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Lets a user join a group, or leave it.
    pub async fn change_membership(
        &self,
        group: &GroupName,
        user: &UserName,
        change: MembershipChange,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (inner, group, user) = (Arc::clone(&self.0), group.clone(), user.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let found = state.groups.get(&group).ok_or(StoreError::NoSuchEntity)?;
                if !state.users.contains_key(&user) {
                    return Err(StoreError::NoSuchEntity);
                }
                let mut after = found.clone();
                let is_changed = match change {
                    MembershipChange::Join => after.members.insert(user.clone()),
                    MembershipChange::Leave if after.members.remove(&user) => true,
                    MembershipChange::Leave => return Err(StoreError::NoSuchEntity),
                };
                let of_user = state.groups.values().filter(|group| group.members.contains(&user)).count();
                if is_changed && change == MembershipChange::Join && of_user >= MOST_GROUPS_OF_USER {
                    return Err(StoreError::LimitReached);
                }
                if !is_changed {
                    return Ok(ChangeDecision::Unchanged(()));
                }
                Ok(ChangeDecision::put(StateRecord::Group(after), ()))
            };
            inner.change(now, decide).await
        })
        .await
    }
}

impl StateTables {
    /// What a user must not have any more when it is deleted, as at AWS.
    pub(super) fn expect_no_grants(&self, user: &UserName) -> Result<(), StoreError> {
        if self.groups.values().any(|group| group.members.contains(user)) {
            return Err(StoreError::Remains(RemainingPart::Groups));
        }
        self.users.get(user).map_or(Ok(()), |user| user.grants.expect_none())
    }

    /// The grants after a change; none if it changes nothing.
    fn granted(
        &self,
        before: &PolicyGrants,
        change: &GrantChange,
        kind: PolicyKind,
    ) -> Result<Option<PolicyGrants>, StoreError> {
        let mut after = before.clone();
        match change {
            GrantChange::Attach(reference) => {
                self.expect_policy(reference)?;
                after.attached.insert(reference.clone());
                if after.attached.len() > MOST_ATTACHED {
                    return Err(StoreError::LimitReached);
                }
            }
            GrantChange::Detach(reference) => {
                after.attached.take(reference).ok_or(StoreError::NoSuchEntity)?;
            }
            GrantChange::PutInline(name, policy) => {
                after.inline.insert(name.clone(), policy.clone());
                // AWS counts all inline policies of a holder together.
                let together: usize = after.inline.values().map(|policy| kind.measure(policy.text())).sum();
                if together > kind.longest() {
                    return Err(StoreError::LimitReached);
                }
            }
            GrantChange::DeleteInline(name) => {
                after.inline.remove(name).ok_or(StoreError::NoSuchEntity)?;
            }
        }
        Ok(Some(after).filter(|after| after != before))
    }

    fn expect_policy(&self, reference: &PolicyReference) -> Result<(), StoreError> {
        match reference {
            PolicyReference::Managed(_) => Ok(()),
            PolicyReference::Account(name) if self.policies.contains_key(name) => Ok(()),
            PolicyReference::Account(_) => Err(StoreError::NoSuchEntity),
        }
    }

    fn uses(&self, reference: &PolicyReference) -> bool {
        let is_of_user =
            |user: &UserRecord| user.grants.attached.contains(reference) || user.boundary.as_ref() == Some(reference);
        self.users.values().any(is_of_user)
            || self.groups.values().any(|group| group.grants.attached.contains(reference))
    }
}

impl PolicyGrants {
    fn expect_none(&self) -> Result<(), StoreError> {
        if !self.attached.is_empty() {
            return Err(StoreError::Remains(RemainingPart::AttachedPolicies));
        }
        if !self.inline.is_empty() {
            return Err(StoreError::Remains(RemainingPart::InlinePolicies));
        }
        Ok(())
    }
}

impl PolicyRecord {
    fn change(&mut self, change: &VersionChange, now: Timestamp) -> Result<(), StoreError> {
        match change {
            VersionChange::Add { content, is_default } => {
                if self.versions.len() >= MOST_VERSIONS {
                    return Err(StoreError::LimitReached);
                }
                let number = self.next;
                self.next = number.saturating_add(1);
                self.versions.insert(number, PolicyVersion { created: now, content: content.clone() });
                if *is_default {
                    self.default = number;
                }
            }
            VersionChange::Delete(number) if *number == self.default => {
                return Err(StoreError::Remains(RemainingPart::DefaultVersion));
            }
            VersionChange::Delete(number) => drop(self.versions.remove(number).ok_or(StoreError::NoSuchEntity)?),
            VersionChange::SetDefault(number) if self.versions.contains_key(number) => self.default = *number,
            VersionChange::SetDefault(_) => return Err(StoreError::NoSuchEntity),
        }
        Ok(())
    }
}

fn is_taken<'a>(mut names: impl Iterator<Item = &'a str>, name: &str) -> bool {
    names.any(|known| known.eq_ignore_ascii_case(name))
}
