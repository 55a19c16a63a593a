//! What each user may do, put together from its own policies and those of its groups, and kept up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use portcullis_base::names::UserName;
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

impl ChangedPermissions {
    /// What these edits change.
    pub(crate) fn by(edits: &[RecordEdit]) -> Self {
        let mut users = BTreeSet::new();
        for edit in edits {
            match edit {
                RecordEdit::Put(StateRecord::User(user)) => drop(users.insert(user.name.clone())),
                RecordEdit::Delete(RecordKey::User(name)) => drop(users.insert(name.clone())),
                RecordEdit::Put(StateRecord::Account(_) | StateRecord::Group(_) | StateRecord::Policy(_))
                | RecordEdit::Delete(RecordKey::Account | RecordKey::Group(_) | RecordKey::Policy(_)) => {
                    return Self::All;
                }
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
        Self::Of(users)
    }
}

impl StateTables {
    /// Brings the permissions to what users, groups and policies say now.
    pub(crate) fn update_permissions(&mut self, changed: ChangedPermissions) {
        let names = match changed {
            ChangedPermissions::All => self.users.keys().cloned().collect(),
            ChangedPermissions::Of(users) => users,
        };
        let mut groups: BTreeMap<&UserName, Vec<&GroupRecord>> = BTreeMap::new();
        if !names.is_empty() {
            for group in self.groups.values() {
                group.members.iter().for_each(|member| groups.entry(member).or_default().push(group));
            }
        }
        let none = Vec::new();
        let updated: Vec<_> = names
            .into_iter()
            .map(|name| {
                let held = self.users.get(&name);
                let held = held.and_then(|user| self.permissions_of(user, groups.get(&name).unwrap_or(&none)));
                (name, held.map(Arc::new))
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
