//! MinIO: users are access keys, with policies of their own and by groups; service accounts are keys of a user, limited
//! by a session policy or not.

mod action;
mod condition;
mod export;
mod policy;
mod resource;
mod service_account;
mod store_keys;

use std::collections::{BTreeMap, BTreeSet};

use self::export::{AccountStatus, MinioGroup, ServiceAccount};
use self::policy::{TranslatedPolicy, UserNameUse};
use crate::accounts::{
    AttachedPolicy, MOST_KEYS, PlannedGroup, PlannedKey, PlannedKeyStatus, PlannedPolicy, PlannedUser, StoreAccounts,
    is_entity_name,
};
use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_base::secret::Secret;
use portcullis_policy::ManagedPolicy;

pub use self::export::{InvalidExport, MinioExport};
pub use crate::zip::InvalidArchive;

/// The policies that every MinIO has.
const BUILT_IN: &[&str] = &["consoleAdmin", "diagnostics", "readonly", "readwrite", "writeonly"];

/// IAM's quota, of a user and of a group.
const MOST_POLICIES: usize = 10;

const LEAVE_OUT: &str = "Change it in MinIO, or leave the account out: --leave-out";

/// Whose access key MinIO's root has, and which accounts stay behind.
#[derive(Clone, Debug, Default)]
pub struct MinioImportOptions {
    /// The access key of MinIO's root, whose service accounts have no other parent.
    pub root: Option<String>,
    /// Users and service accounts, by their access keys.
    pub left_out: BTreeSet<String>,
    pub rights: ImportedRights,
}

/// By what users have their rights after the import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImportedRights {
    /// By MinIO's policies, which go on to hold there: each user acts in the store by its own key.
    InStore,
    /// By MinIO's policies, translated.
    #[default]
    Translated,
}

/// The accounts of a MinIO as Portcullis is to have them.
pub fn accounts(export: &MinioExport, options: &MinioImportOptions) -> StoreAccounts {
    let mut reading = MinioReading { export, options, translated: BTreeMap::new(), to: StoreAccounts::default() };
    if options.rights == ImportedRights::InStore {
        reading.read_store_keys();
        reading.note_what_stays();
        return reading.in_order();
    }
    reading.translate_policies();
    reading.read_groups();
    for name in export.users.keys().filter(|name| !options.left_out.contains(*name)) {
        reading.read_user(name);
    }
    for account in export.service_accounts.values() {
        reading.read_root_account(account);
    }
    reading.note_what_stays();
    reading.note_providers();
    reading.keep_needed_policies();
    reading.in_order()
}

/// What became of a policy.
struct PolicyReading {
    /// None where S3 has nothing of it.
    attached: Option<AttachedPolicy>,
    names: UserNameUse,
}

struct MinioReading<'e> {
    export: &'e MinioExport,
    options: &'e MinioImportOptions,
    /// By MinIO's name of the policy: what it becomes, or the faults of it.
    translated: BTreeMap<&'e str, Result<PolicyReading, (String, String)>>,
    to: StoreAccounts,
}

/// What a user may do, by its policies and groups.
struct UserRights {
    policies: BTreeSet<AttachedPolicy>,
    groups: BTreeSet<String>,
    status: PlannedKeyStatus,
    names: UserNameUse,
}

impl<'e> MinioReading<'e> {
    fn translate_policies(&mut self) {
        for (name, written) in &self.export.policies {
            let place = format!("policy `{name}`");
            let reading = match policy::translate(written) {
                Err(fault) => Err((format!("{place}: {}", fault.member), fault.reason)),
                Ok(TranslatedPolicy { document, notes, names }) => {
                    for note in notes {
                        self.to.note(place.clone(), note);
                    }
                    let attached = document.map(|document| self.own_or_managed(name, document));
                    match attached {
                        Some(AttachedPolicy::Own(own)) if !is_entity_name(&own) => {
                            Err((place, "its name is not 1 to 128 characters of `A-Za-z0-9+=,.@_-`".to_owned()))
                        }
                        attached => Ok(PolicyReading { attached, names }),
                    }
                }
            };
            self.translated.insert(name, reading);
        }
    }

    /// A managed policy of the same name and the same rights, or a policy of the account.
    fn own_or_managed(&mut self, name: &str, document: portcullis_policy::PolicyDocument) -> AttachedPolicy {
        let Some(managed) = ManagedPolicy::named(name) else {
            self.to.policies.push(PlannedPolicy { name: name.to_owned(), document });
            return AttachedPolicy::Own(name.to_owned());
        };
        if managed.document().is_ok_and(|own| own.statements() == document.statements()) {
            return AttachedPolicy::Managed(managed.name);
        }
        let own = format!("minio-{name}");
        self.to.note(format!("policy `{name}`"), format!("becomes `{own}`: `{name}` allows something else here"));
        self.to.policies.push(PlannedPolicy { name: own.clone(), document });
        AttachedPolicy::Own(own)
    }

    fn read_groups(&mut self) {
        for (name, group) in &self.export.groups {
            let place = format!("group `{name}`");
            if !is_entity_name(name) {
                let reason = "its name is not 1 to 128 characters of `A-Za-z0-9+=,.@_-`";
                self.to.fault(place, reason, "Make a group of another name in MinIO.");
                continue;
            }
            let policies = match group.status {
                AccountStatus::Enabled => self.attached(&place, self.mapped(&self.export.group_policies, name)).0,
                AccountStatus::Disabled => {
                    self.to.note(place, "is disabled: it comes without its policies, and its members' keys inactive");
                    BTreeSet::new()
                }
            };
            self.to.groups.push(PlannedGroup { name: name.clone(), policies });
        }
    }

    fn mapped(&self, mappings: &'e BTreeMap<String, export::PolicyMapping>, name: &str) -> Vec<&'e str> {
        mappings.get(name).map(|mapping| mapping.names().collect()).unwrap_or_default()
    }

    /// What an account has of these policies.
    fn attached(&mut self, place: &str, names: Vec<&str>) -> (BTreeSet<AttachedPolicy>, UserNameUse) {
        let (mut attached, mut use_of_name) = (BTreeSet::new(), UserNameUse::None);
        for name in names {
            match self.translated.get(name) {
                None => self.to.note(place, format!("has the policy `{name}`, which MinIO does not have")),
                Some(Err((place, reason))) => {
                    let (place, reason) = (place.clone(), reason.clone());
                    self.to.fault(
                        place,
                        reason,
                        "Change the policy in MinIO, or let its users act there by their own keys: --upstream-keys",
                    );
                }
                Some(Ok(reading)) => {
                    if reading.names == UserNameUse::Some {
                        use_of_name = UserNameUse::Some;
                    }
                    match &reading.attached {
                        Some(policy) => _ = attached.insert(policy.clone()),
                        None => self.to.note(place, format!("comes without policy `{name}`: S3 has nothing of it")),
                    }
                }
            }
        }
        if attached.len() > MOST_POLICIES {
            let reason = format!("{} policies are attached to it; IAM takes {MOST_POLICIES}", attached.len());
            self.to.fault(place, reason, "Write several of them in one policy.");
        }
        (attached, use_of_name)
    }

    fn groups_of(&self, name: &str) -> impl Iterator<Item = (&'e String, &'e MinioGroup)> {
        let is_member = move |group: &MinioGroup| group.members.iter().flatten().any(|member| member == name);
        self.export.groups.iter().filter(move |(_, group)| is_member(group))
    }

    fn rights(&mut self, name: &str, place: &str, status: AccountStatus) -> UserRights {
        let (policies, mut names) = self.attached(place, self.mapped(&self.export.user_policies, name));
        let groups: Vec<_> = self.groups_of(name).collect();
        let in_disabled = groups.iter().find(|(_, group)| group.status == AccountStatus::Disabled);
        if let Some((group, _)) = in_disabled {
            self.to
                .note(place, format!("is in the disabled group `{group}`, so MinIO refuses it: its keys are inactive"));
        }
        let by_groups = groups.iter().flat_map(|(group, _)| self.mapped(&self.export.group_policies, group));
        let uses = by_groups.filter_map(|policy| self.translated.get(policy)).filter_map(|read| read.as_ref().ok());
        if uses.into_iter().any(|reading| reading.names == UserNameUse::Some) {
            names = UserNameUse::Some;
        }
        let status = match (status, in_disabled) {
            (AccountStatus::Enabled, None) => PlannedKeyStatus::Active,
            (AccountStatus::Disabled, _) | (_, Some(_)) => PlannedKeyStatus::Inactive,
        };
        UserRights { policies, groups: groups.into_iter().map(|(group, _)| group.clone()).collect(), status, names }
    }

    fn read_user(&mut self, name: &str) {
        let Some(user) = self.export.users.get(name) else { return };
        let place = format!("user `{name}`");
        let rights = self.rights(name, &place, user.status);
        let mut keys: Vec<_> = self.key(&place, name, &user.secret, rights.status).into_iter().collect();
        let of_user = self.export.service_accounts.values().filter(|account| account.parent == name);
        let mut accounts: Vec<_> = of_user.collect();
        // The second key of a user is rather one that is in use.
        accounts.sort_by_key(|account| (account.status == AccountStatus::Disabled, &account.key));
        for account in accounts {
            let Some(key) = self.account_key(account, rights.status) else { continue };
            if policy::is_empty(&account.policy) && account.expires().is_none() && keys.len() < MOST_KEYS {
                keys.push(key);
            } else {
                self.read_separate_account(account, key, &rights);
            }
        }
        let Some(name) = self.user_name(&place, name, format!("{LEAVE_OUT} {name}")) else { return };
        let UserRights { policies, groups, .. } = rights;
        self.to.users.push(PlannedUser { name, keys, policies, groups, boundary: None, upstream: None });
    }

    fn key(&mut self, place: &str, id: &str, secret: &Secret<String>, status: PlannedKeyStatus) -> Option<PlannedKey> {
        match AccessKeyId::parse(id) {
            Ok(id) => Some(PlannedKey { id, secret: secret.clone(), status }),
            Err(reason) => {
                self.to.fault(place, reason, format!("{LEAVE_OUT} \"{id}\""));
                None
            }
        }
    }

    fn user_name(&mut self, place: &str, name: &str, next: String) -> Option<UserName> {
        let reason = match UserName::parse(name) {
            Ok(_) if name == "root" => "`root` cannot be a user's name".to_owned(),
            Ok(name) => return Some(name),
            Err(reason) => format!("`{name}`: {reason}"),
        };
        self.to.fault(place, reason, next);
        None
    }

    fn note_what_stays(&mut self) {
        let known =
            |name: &String| self.export.users.contains_key(name) || self.export.service_accounts.contains_key(name);
        let unknown: Vec<_> = self.options.left_out.iter().filter(|name| !known(name)).cloned().collect();
        for name in unknown {
            self.to.fault(format!("--leave-out {name}"), "no user and no service account has this name", "Correct it.");
        }
        for name in self.options.left_out.clone() {
            self.to.note(format!("`{name}`"), "is left out, as you said");
            let parents =
                |account: &&ServiceAccount| account.parent == name && !self.options.left_out.contains(&account.key);
            let orphans: Vec<_> =
                self.export.service_accounts.values().filter(parents).map(|a| a.key.clone()).collect();
            for key in orphans {
                self.to.note(format!("service account `{key}`"), format!("is left out with its parent `{name}`"));
            }
        }
        let own = self.options.root.as_deref().unwrap_or("of MinIO's root");
        let text = "stays behind: what signs with it needs a key of a user, such as `portcullis user add NAME`";
        self.to.note(format!("the access key `{own}`"), text);
        let bad = self.export.users.iter().filter(|(_, user)| user.policy.is_some()).map(|(name, _)| name.clone());
        for name in bad.collect::<Vec<_>>() {
            self.to.fault(format!("user `{name}`"), "`policy` in users.json is not known here", "Export it again.");
        }
    }

    fn note_providers(&mut self) {
        for name in self.export.provider_policies.keys().filter(|name| self.export.users.contains_key(*name)) {
            let reason = "it has policies as a user of an identity provider too";
            self.to.fault(format!("user `{name}`"), reason, format!("{LEAVE_OUT} {name}"));
        }
        let strangers = self.export.user_policies.keys().filter(|name| !self.export.users.contains_key(*name));
        for name in strangers.chain(self.export.provider_policies.keys()) {
            let text = "has policies, and is no user of this MinIO: an identity provider's users are not imported";
            self.to.notes.push(crate::ImportNote { about: format!("`{name}`"), text: text.to_owned() });
        }
        for name in self.export.group_policies.keys().filter(|name| !self.export.groups.contains_key(*name)) {
            let text = "has policies, and is no group of this MinIO: an identity provider's groups are not imported";
            self.to.notes.push(crate::ImportNote { about: format!("group `{name}`"), text: text.to_owned() });
        }
    }

    /// Built-in policies are made only where an account has them, and a policy that no account has must not be in the way.
    fn keep_needed_policies(&mut self) {
        let users = self.to.users.iter().flat_map(|user| user.policies.iter().chain(&user.boundary));
        let groups = self.to.groups.iter().flat_map(|group| &group.policies);
        let needed: BTreeSet<String> = users.chain(groups).map(|policy| policy.name().to_owned()).collect();
        let is_built_in = |name: &str| BUILT_IN.contains(&name.strip_prefix("minio-").unwrap_or(name));
        self.to.policies.retain(|policy| needed.contains(&policy.name) || !is_built_in(&policy.name));
        let in_use: BTreeSet<&str> = self
            .export
            .user_policies
            .iter()
            .chain(&self.export.group_policies)
            .flat_map(|(_, mapping)| mapping.names())
            .collect();
        for (name, reading) in &self.translated {
            let place = format!("policy `{name}`");
            if !in_use.contains(name) && is_built_in(name) {
                self.to.notes.retain(|note| note.about != place);
            }
            let Err((at, reason)) = reading else { continue };
            if !self.to.faults.iter().any(|fault| fault.place == *at) {
                let member = at.strip_prefix(&format!("{place}: ")).unwrap_or(at);
                let text = format!(
                    "is left out: no imported account has it, and it cannot be the same here ({member}: {reason})"
                );
                self.to.notes.push(crate::ImportNote { about: place, text });
            }
        }
    }

    fn in_order(mut self) -> StoreAccounts {
        self.to.notes.sort();
        self.to.notes.dedup();
        self.to.faults.sort();
        self.to.faults.dedup();
        self.to.policies.sort_by(|a, b| a.name.cmp(&b.name));
        self.to.users.sort_by(|a, b| a.name.cmp(&b.name));
        self.to
    }
}

#[cfg(test)]
mod never_more;
#[cfg(test)]
mod tests;
