//! What each user may do, put together from its own policies and those of its groups, and kept up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use portcullis_base::names::{GroupName, PolicyName, UserName};
use portcullis_policy::{HeldPolicy, IdentityPolicies, ManagedPolicy, PolicyDocument, RequestPrincipal};

use super::identities::{GroupRecord, PolicyGrants, PolicyReference, UserRecord};
use super::records::{RecordKey, StateRecord};
use super::state::StateTables;
use super::write::RecordEdit;

/// Whose permissions a change of the state changes.
#[derive(Debug)]
pub(crate) enum ChangedPermissions {
    All,
    Of(BTreeSet<UserName>),
}

/// The policies that are part of Portcullis, understood once.
static MANAGED: LazyLock<BTreeMap<&'static str, Arc<PolicyDocument>>> = LazyLock::new(|| {
    let known = ManagedPolicy::ALL.iter().filter_map(|policy| Some((policy.name, policy.document().ok()?)));
    known.map(|(name, document)| (name, Arc::new(document))).collect()
});

impl StateTables {
    /// Whose permissions these edits change, which are not made yet. A change of one policy or group must not be the work
    /// of all users, while no request is answered.
    pub(crate) fn permissions_changed_by(&self, edits: &[RecordEdit]) -> ChangedPermissions {
        let mut users = BTreeSet::new();
        for edit in edits {
            match edit {
                RecordEdit::Put(StateRecord::Account(_)) | RecordEdit::Delete(RecordKey::Account) => {
                    return ChangedPermissions::All;
                }
                RecordEdit::Put(StateRecord::User(user)) => drop(users.insert(user.name.clone())),
                RecordEdit::Delete(RecordKey::User(name)) => drop(users.insert(name.clone())),
                RecordEdit::Put(StateRecord::Group(group)) => {
                    users.extend(group.members.iter().cloned());
                    users.extend(self.members(&group.name));
                }
                RecordEdit::Delete(RecordKey::Group(name)) => users.extend(self.members(name)),
                RecordEdit::Put(StateRecord::Policy(policy)) => users.extend(self.users_of(&policy.name)),
                RecordEdit::Delete(RecordKey::Policy(name)) => users.extend(self.users_of(name)),
                RecordEdit::Put(
                    StateRecord::Bucket(..)
                    | StateRecord::Device(_)
                    | StateRecord::Key(_)
                    | StateRecord::SigningKey(_)
                    | StateRecord::Trail(_)
                    | StateRecord::TrailHead(..)
                    | StateRecord::Unsettled(..)
                    | StateRecord::Upload(..)
                    | StateRecord::UpstreamKey(..),
                )
                | RecordEdit::Delete(
                    RecordKey::Bucket(_)
                    | RecordKey::Device(_)
                    | RecordKey::Key(_)
                    | RecordKey::SigningKey(_)
                    | RecordKey::Trail(_)
                    | RecordKey::TrailHead(_)
                    | RecordKey::Unsettled(_)
                    | RecordKey::Upload(_)
                    | RecordKey::UpstreamKey(_),
                ) => {}
            }
        }
        ChangedPermissions::Of(users)
    }

    fn members(&self, group: &GroupName) -> impl Iterator<Item = UserName> + use<'_> {
        self.groups.get(group).into_iter().flat_map(|group| group.members.iter().cloned())
    }

    /// The users that have a policy of the account themselves, as a boundary, or by a group.
    fn users_of(&self, policy: &PolicyName) -> BTreeSet<UserName> {
        let reference = PolicyReference::Account(policy.clone());
        let has = |user: &&UserRecord| {
            user.grants.attached.contains(&reference) || user.boundary.as_ref() == Some(&reference)
        };
        let themselves = self.users.values().filter(has).map(|user| user.name.clone());
        let groups = self.groups.values().filter(|group| group.grants.attached.contains(&reference));
        themselves.chain(groups.flat_map(|group| group.members.iter().cloned())).collect()
    }

    /// Brings the permissions to what users, groups and policies say now.
    pub(crate) fn update_permissions(&mut self, changed: ChangedPermissions) {
        let names = match changed {
            ChangedPermissions::All => self.users.keys().cloned().collect(),
            ChangedPermissions::Of(users) => users,
        };
        let mut groups: BTreeMap<&UserName, Vec<&GroupRecord>> = BTreeMap::new();
        for group in self.groups.values() {
            // Whichever of the two are fewer.
            if names.len() < group.members.len() {
                let members = names.iter().filter(|name| group.members.contains(*name));
                members.for_each(|name| groups.entry(name).or_default().push(group));
            } else {
                let members = group.members.iter().filter(|member| names.contains(*member));
                members.for_each(|member| groups.entry(member).or_default().push(group));
            }
        }
        let none = Vec::new();
        let updated: Vec<_> = names
            .iter()
            .map(|name| {
                let held = self.users.get(name);
                let held = held.and_then(|user| self.permissions_of(user, groups.get(name).unwrap_or(&none)));
                (name.clone(), held.map(Arc::new))
            })
            .collect();
        for (name, held) in updated {
            match held {
                Some(held) => drop(self.permissions.insert(name, held)),
                None => drop(self.permissions.remove(&name)),
            }
        }
    }

    /// None if a policy is not there that is attached, which no change of the state can lead to: all is denied then.
    fn permissions_of(&self, user: &UserRecord, groups: &[&GroupRecord]) -> Option<IdentityPolicies> {
        let account = self.account.as_ref()?.id.clone();
        let mut policies = self.held(&user.grants, &format!("user/{}", user.name))?;
        for group in groups {
            policies.extend(self.held(&group.grants, &format!("group/{}", group.name))?);
        }
        let boundary = match &user.boundary {
            Some(reference) => Some(self.attached(reference)?),
            None => None,
        };
        let principal = RequestPrincipal::user(account, user.name.as_str());
        Some(IdentityPolicies::new(principal, &user.id, policies, boundary))
    }

    fn held(&self, grants: &PolicyGrants, holder: &str) -> Option<Vec<HeldPolicy>> {
        let inline = grants.inline.iter().map(|(name, policy)| {
            let name = format!("{holder}/{name}").into();
            Some(HeldPolicy { name, document: Arc::clone(policy.document()) })
        });
        grants.attached.iter().map(|reference| self.attached(reference)).chain(inline).collect()
    }

    fn attached(&self, reference: &PolicyReference) -> Option<HeldPolicy> {
        let account = self.account.as_ref()?;
        let document = match reference {
            PolicyReference::Managed(name) => Arc::clone(MANAGED.get(name)?),
            PolicyReference::Account(name) => Arc::clone(self.policies.get(name)?.content()?.document()),
        };
        Some(HeldPolicy { name: reference.arn(&account.id).into(), document })
    }
}
