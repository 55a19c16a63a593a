//! What is to be there after an import: policies, groups, users and their keys, whatever store they come from.

use std::collections::BTreeSet;

use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_base::secret::Secret;
use portcullis_policy::PolicyDocument;

/// IAM's quota of the access keys of a user.
pub(crate) const MOST_KEYS: usize = 2;

/// A store's accounts, as Portcullis is to have them.
#[derive(Clone, Debug, Default)]
pub struct StoreAccounts {
    pub policies: Vec<PlannedPolicy>,
    pub groups: Vec<PlannedGroup>,
    pub users: Vec<PlannedUser>,
    /// What comes over in another form, or not at all; none of it gives a user more than the store did.
    pub notes: Vec<ImportNote>,
    /// What is in the way: while there is one, nothing is imported.
    pub faults: Vec<ImportFault>,
}

/// A managed policy of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPolicy {
    pub name: String,
    pub document: PolicyDocument,
}

/// A group with the policies of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedGroup {
    pub name: String,
    pub policies: BTreeSet<AttachedPolicy>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct PlannedUser {
    pub name: UserName,
    pub keys: Vec<PlannedKey>,
    pub policies: BTreeSet<AttachedPolicy>,
    pub groups: BTreeSet<String>,
    /// What the user may do at the most.
    pub boundary: Option<AttachedPolicy>,
    /// The key with which requests of the user are sent to the store, where it is the user's own.
    pub upstream: Option<PlannedKey>,
}

/// An access key that clients hold.
#[derive(Clone, Debug)]
pub struct PlannedKey {
    pub id: AccessKeyId,
    pub secret: Secret<String>,
    pub status: PlannedKeyStatus,
}

/// Whether a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedKeyStatus {
    Active,
    Inactive,
}

/// A policy that a user or a group has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttachedPolicy {
    /// One that Portcullis has without its being made.
    Managed(&'static str),
    /// One of the account, by its name.
    Own(String),
}

/// Something that the operator should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportNote {
    /// ``user `alice` ``
    pub about: String,
    pub text: String,
}

/// Something that refuses the import, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportFault {
    /// ``policy `home`: Statement[1].Resource[0]``
    pub place: String,
    pub reason: String,
    pub next: String,
}

impl StoreAccounts {
    pub(crate) fn note(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.notes.push(ImportNote { about: about.into(), text: text.into() });
    }

    pub(crate) fn fault(&mut self, place: impl Into<String>, reason: impl ToString, next: impl Into<String>) {
        self.faults.push(ImportFault { place: place.into(), reason: reason.to_string(), next: next.into() });
    }
}

impl AttachedPolicy {
    /// The policy's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Managed(name) => name,
            Self::Own(name) => name,
        }
    }
}

/// Whether IAM takes it as the name of a policy or a group: 1 to 128 characters of `A-Za-z0-9+=,.@_-`.
pub(crate) fn is_entity_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(legal)
}
