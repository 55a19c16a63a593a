//! Ceph: what `radosgw-admin user info` tells of users.
//!
//! A user of RGW has rights by the buckets it owns and by what their ACLs and policies say, all of which stay in the
//! store. So its requests are sent there with a key of its own, and Portcullis's policy for it is `readwrite`: what it
//! may do is what the store lets that key do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::Value;
use thiserror::Error;

use crate::accounts::{AttachedPolicy, MOST_KEYS, PlannedKey, PlannedKeyStatus, PlannedUser, StoreAccounts};
use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_base::secret::Secret;

/// The users of a Ceph.
#[derive(Debug)]
pub struct CephUsers(Vec<CephUser>);

/// Why a text is no `user info`.
#[derive(Debug, Error)]
#[error("it is not what `radosgw-admin user info` prints: {0}")]
pub struct InvalidCephUsers(#[from] serde_json::Error);

#[derive(Debug, Deserialize)]
struct CephUser {
    user_id: String,
    #[serde(default)]
    tenant: String,
    suspended: Suspension,
    keys: Vec<CephKey>,
    #[serde(default)]
    subusers: Vec<Value>,
    #[serde(default)]
    swift_keys: Vec<Value>,
    #[serde(default)]
    temp_url_keys: Vec<Value>,
    #[serde(default)]
    caps: Vec<Value>,
    #[serde(default)]
    mfa_ids: Vec<Value>,
    #[serde(default)]
    bucket_quota: CephQuota,
    #[serde(default)]
    user_quota: CephQuota,
    /// A member that stays as it is in the store.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct CephKey {
    /// `alice`, or `alice:backup` of a subuser.
    user: String,
    access_key: String,
    #[serde(deserialize_with = "secret")]
    secret_key: Secret<String>,
    /// Ceph before Squid has no keys that are not.
    #[serde(default = "active")]
    active: bool,
}

#[derive(Debug, Default, Deserialize)]
struct CephQuota {
    #[serde(default)]
    enabled: bool,
}

/// `suspended` is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspension {
    No,
    Yes,
}

/// Members that say nothing of rights, or say what the store goes on to hold the user to.
const KNOWN: &[&str] = &[
    "account_id",
    "create_date",
    "default_placement",
    "default_storage_class",
    "display_name",
    "email",
    "group_ids",
    "max_buckets",
    "op_mask",
    "path",
    "placement_tags",
    "stats",
    "tags",
    "type",
];

impl CephUsers {
    /// Reads one user, or a list of them.
    pub fn read(text: &str) -> Result<Self, InvalidCephUsers> {
        let users = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(text)?,
            false => vec![serde_json::from_str(text)?],
        };
        Ok(Self(users))
    }
}

/// The users, as Portcullis is to have them.
pub fn accounts(users: &CephUsers) -> StoreAccounts {
    let mut accounts = StoreAccounts::default();
    for user in &users.0 {
        read_user(user, &mut accounts);
    }
    accounts.users.sort_by(|a, b| a.name.cmp(&b.name));
    accounts
}

fn read_user(user: &CephUser, to: &mut StoreAccounts) {
    let place = format!("user `{}`", user.user_id);
    // Its buckets have names of their own, which are not those that Portcullis judges by.
    if !user.tenant.is_empty() || user.user_id.contains('$') {
        let next = "Take it out of the file.";
        return to.fault(place, "it is of a tenant, whose buckets Portcullis does not see", next);
    }
    for text in stays(user) {
        to.note(place.clone(), text);
    }
    if user.suspended == Suspension::Yes {
        to.note(place.clone(), "is suspended: its keys come in inactive");
    }
    if user.keys.is_empty() {
        return to.note(place, "has no S3 key and is not imported");
    }
    let mut by_user: BTreeMap<&str, Vec<&CephKey>> = BTreeMap::new();
    for key in &user.keys {
        by_user.entry(&key.user).or_default().push(key);
    }
    for (holder, mut keys) in by_user {
        let of_user =
            holder == user.user_id || holder.strip_prefix(&user.user_id).is_some_and(|rest| rest.starts_with(':'));
        if !of_user {
            to.fault(place.clone(), format!("a key of it is `{holder}`'s"), "Take the file from radosgw-admin again.");
            continue;
        }
        // The first is the one with which the store is asked: rather one that is in use.
        keys.sort_by_key(|key| (!key.active, &key.access_key));
        let name = holder.replace(':', "-");
        if name != user.user_id {
            to.note(place.clone(), format!("subuser `{holder}` becomes the user `{name}`"));
        }
        for (index, keys) in keys.chunks(MOST_KEYS).enumerate() {
            let name = match (index, keys.first()) {
                (0, _) | (_, None) => name.clone(),
                (_, Some(key)) => {
                    let extra = format!("{name}-{}", key.access_key);
                    to.note(
                        place.clone(),
                        format!("has more than two keys: `{}` becomes the user `{extra}`", key.access_key),
                    );
                    extra
                }
            };
            push_user(&place, &name, keys, user.suspended, to);
        }
    }
}

fn push_user(place: &str, name: &str, keys: &[&CephKey], suspended: Suspension, to: &mut StoreAccounts) {
    let name = match UserName::parse(name) {
        Ok(_) if name == "root" => {
            return to.fault(place, "`root` cannot be a user's name", "Take it out of the file.");
        }
        Ok(name) => name,
        Err(reason) => return to.fault(place, format!("`{name}`: {reason}"), "Take it out of the file."),
    };
    let mut imported = Vec::new();
    for key in keys {
        let status = match (suspended, key.active) {
            (Suspension::No, true) => PlannedKeyStatus::Active,
            (Suspension::Yes, _) | (_, false) => PlannedKeyStatus::Inactive,
        };
        match AccessKeyId::parse(&key.access_key) {
            Ok(id) => imported.push(PlannedKey { id, secret: key.secret_key.clone(), status }),
            Err(reason) => to.fault(place, format!("`{}`: {reason}", key.access_key), "Make another key in Ceph."),
        }
    }
    let Some(upstream) = imported.first().cloned() else { return };
    to.users.push(PlannedUser {
        name,
        keys: imported,
        policies: BTreeSet::from([AttachedPolicy::Managed("readwrite")]),
        groups: BTreeSet::new(),
        boundary: None,
        upstream: Some(upstream),
    });
}

/// What has no counterpart here.
fn stays(user: &CephUser) -> Vec<String> {
    let mut texts = Vec::new();
    let mut say = |is_there: bool, text: &str| {
        if is_there {
            texts.push(text.to_owned());
        }
    };
    let of_subusers = user.keys.iter().filter(|key| key.user != user.user_id).count();
    say(!user.swift_keys.is_empty(), "has Swift keys, which stay in the store: Portcullis speaks S3 alone");
    say(!user.temp_url_keys.is_empty(), "has keys for Swift's temporary URLs, which stay in the store");
    say(!user.caps.is_empty(), "has capabilities of RGW's admin API, which Portcullis does not have");
    say(!user.mfa_ids.is_empty(), "has MFA devices of RGW, which stay in the store: Portcullis has its own");
    say(user.bucket_quota.enabled || user.user_quota.enabled, "has a quota, which stays in the store and holds there");
    say(user.subusers.len() > of_subusers, "has subusers without an S3 key, which stay in the store");
    for (name, value) in user.others.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str())) {
        texts.push(format!("has the member `{name}`: {value}, which stays in the store and has no counterpart here"));
    }
    texts
}

fn active() -> bool {
    true
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

impl<'de> Deserialize<'de> for Suspension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            0 => Ok(Self::No),
            _ => Ok(Self::Yes),
        }
    }
}

#[cfg(test)]
mod tests;
