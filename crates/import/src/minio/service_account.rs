//! Service accounts: keys of a user, with that user's rights, or with as many of them as a session policy leaves, for good
//! or until they expire.

use std::collections::BTreeSet;

use serde_json::json;

use super::export::{AccountStatus, ServiceAccount};
use super::policy::{self, TranslatedPolicy, UserNameUse};
use super::{LEAVE_OUT, MinioReading, UserRights};
use crate::accounts::{AttachedPolicy, PlannedKey, PlannedKeyStatus, PlannedPolicy, PlannedUser, is_entity_name};

/// What a session policy makes of an account.
enum SessionLimit {
    /// It was told of.
    Fault,
    None,
    Within(AttachedPolicy),
}

impl MinioReading<'_> {
    /// A service account that becomes a user with its parent's rights, limited by its session policy.
    pub(super) fn read_separate_account(&mut self, account: &ServiceAccount, key: PlannedKey, rights: &UserRights) {
        let place = format!("service account `{}`", account.key);
        let boundary = match self.session_policy(account) {
            SessionLimit::Fault => return,
            SessionLimit::None => None,
            SessionLimit::Within(policy) => Some(policy),
        };
        let name = format!("{}-{}", account.parent, account.key);
        let why = match (&boundary, account.expires()) {
            (Some(_), None) => "its session policy is the user's permissions boundary".to_owned(),
            (Some(_), Some(time)) => format!("the user's permissions boundary allows nothing from {time} on"),
            (None, _) => "a user has two keys at the most".to_owned(),
        };
        self.to
            .note(place.clone(), format!("becomes the user `{name}` with the rights of `{}`: {why}", account.parent));
        let Some(name) = self.user_name(&place, &name, format!("{LEAVE_OUT} {}", account.key)) else { return };
        let Some((policies, groups)) = self.rights_of_parent(account, rights) else { return };
        self.to.users.push(PlannedUser { name, keys: vec![key], policies, groups, boundary, upstream: None });
    }

    /// The policies and groups by which a user of another name has the rights of a service account's parent.
    fn rights_of_parent(
        &mut self,
        account: &ServiceAccount,
        rights: &UserRights,
    ) -> Option<(BTreeSet<AttachedPolicy>, BTreeSet<String>)> {
        if rights.names == UserNameUse::None {
            return Some((rights.policies.clone(), rights.groups.clone()));
        }
        let parent = &account.parent;
        let (of_user, of_groups) = (&self.export.user_policies, &self.export.group_policies);
        let mut written = self.mapped(of_user, parent);
        written.extend(self.groups_of(parent).flat_map(|(group, _)| self.mapped(of_groups, group)));
        let mut policies = BTreeSet::new();
        for name in written {
            let Some(Ok(reading)) = self.translated.get(name) else { continue };
            match (&reading.attached, reading.names) {
                (None, _) => {}
                (Some(policy), UserNameUse::None) => _ = policies.insert(policy.clone()),
                (Some(policy), UserNameUse::Some) => {
                    let copy = format!("{}-{parent}", policy.name());
                    policies.insert(self.copy_for(name, parent, copy, account)?);
                }
            }
        }
        // Not its groups: by their policies it would have what a user of its own name has.
        Some((policies, BTreeSet::new()))
    }

    /// A policy in which the name of this user stands where it names its user.
    fn copy_for(&mut self, policy: &str, user: &str, copy: String, account: &ServiceAccount) -> Option<AttachedPolicy> {
        let place = format!("service account `{}`", account.key);
        let next = format!("{LEAVE_OUT} {}", account.key);
        let translated = self.export.policies.get(policy).map(|written| policy::translate_for(written, user));
        let reason = match translated {
            Some(Ok(TranslatedPolicy { document: Some(document), names: UserNameUse::None, .. }))
                if is_entity_name(&copy) =>
            {
                if !self.to.policies.iter().any(|policy| policy.name == copy) {
                    self.to.note(place, format!("has `{copy}` in the place of `{policy}`, which names its user"));
                    self.to.policies.push(PlannedPolicy { name: copy.clone(), document });
                }
                return Some(AttachedPolicy::Own(copy));
            }
            Some(Ok(_)) | None => format!("policy `{policy}` has a condition on its user, which is another one here"),
            Some(Err(fault)) => fault.reason,
        };
        self.to.fault(place, reason, next);
        None
    }

    /// A service account of root, which has no user, or one whose parent is none of MinIO's users.
    pub(super) fn read_root_account(&mut self, account: &ServiceAccount) {
        if self.options.left_out.contains(&account.key) || self.export.users.contains_key(&account.parent) {
            return;
        }
        let place = format!("service account `{}`", account.key);
        if self.options.root.as_deref() != Some(&account.parent) {
            let reason = format!("its parent `{}` is no user of this MinIO", account.parent);
            let next = format!(
                "If it is MinIO's root, say so: --root {}. If an identity provider vouches for it, --leave-out {}",
                account.parent, account.key
            );
            return self.to.fault(place, reason, next);
        }
        let Some(key) = self.account_key(account, PlannedKeyStatus::Active) else { return };
        let policy = match self.session_policy(account) {
            SessionLimit::Fault => return,
            SessionLimit::None => AttachedPolicy::Managed("readwrite"),
            SessionLimit::Within(policy) => policy,
        };
        let name = format!("{}-{}", account.parent, account.key);
        let text = format!("becomes the user `{name}` with the policy `{}`: it is root's in MinIO", policy.name());
        self.to.note(place.clone(), text);
        let Some(name) = self.user_name(&place, &name, format!("{LEAVE_OUT} {}", account.key)) else { return };
        let (policies, groups) = (BTreeSet::from([policy]), BTreeSet::new());
        self.to.users.push(PlannedUser { name, keys: vec![key], policies, groups, boundary: None, upstream: None });
    }

    fn session_policy(&mut self, account: &ServiceAccount) -> SessionLimit {
        let everything =
            json!({ "Statement": [{ "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*" }] });
        let written = match (policy::is_empty(&account.policy), account.expires()) {
            (true, None) => return SessionLimit::None,
            (true, Some(_)) => &everything,
            (false, _) => &account.policy,
        };
        let place = format!("service account `{}`", account.key);
        let next = || format!("{LEAVE_OUT} {}", account.key);
        let translated = policy::translate_for(written, &account.parent);
        let translated = translated.and_then(|translated| match account.expires() {
            Some(time) => translated.until(time),
            None => Ok(translated),
        });
        let TranslatedPolicy { document, notes, names } = match translated {
            Ok(translated) => translated,
            Err(fault) => {
                self.to.fault(format!("{place}: session policy: {}", fault.member), fault.reason, next());
                return SessionLimit::Fault;
            }
        };
        let name = format!("session-{}", account.key);
        let reason = match &document {
            None => Some("its session policy has nothing of S3"),
            Some(_) if names == UserNameUse::Some => {
                Some("its session policy has a condition on its user, which is another one here")
            }
            Some(_) if !is_entity_name(&name) => Some("no policy can have its name"),
            Some(_) => None,
        };
        match (reason, document) {
            (None, Some(document)) => {
                for note in notes {
                    self.to.note(format!("{place}: session policy"), note);
                }
                self.to.policies.push(PlannedPolicy { name: name.clone(), document });
                SessionLimit::Within(AttachedPolicy::Own(name))
            }
            (reason, _) => {
                self.to.fault(place, reason.unwrap_or_default(), next());
                SessionLimit::Fault
            }
        }
    }

    /// The key of a service account, unless it stays behind.
    pub(super) fn account_key(&mut self, account: &ServiceAccount, parent: PlannedKeyStatus) -> Option<PlannedKey> {
        if self.options.left_out.contains(&account.key) {
            return None;
        }
        let place = format!("service account `{}`", account.key);
        let next = format!("{LEAVE_OUT} {}", account.key);
        let of_parent: BTreeSet<_> = self.groups_of(&account.parent).map(|(group, _)| group).collect();
        if let Some(group) = account.groups.iter().flatten().find(|group| !of_parent.contains(group)) {
            self.to.fault(place, format!("it is in the group `{group}`, and `{}` is not", account.parent), next);
            return None;
        }
        let status = match (account.status, parent) {
            (AccountStatus::Enabled, PlannedKeyStatus::Active) => PlannedKeyStatus::Active,
            (AccountStatus::Disabled, _) | (_, PlannedKeyStatus::Inactive) => PlannedKeyStatus::Inactive,
        };
        self.key(&place, &account.key, &account.secret, status)
    }
}
