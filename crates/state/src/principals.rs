//! Users, and the access keys of users and of root.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

use super::StateStore;
use super::change::ChangeDecision;
use super::error::{RemainingPart, StoreError};
use super::identities::{PolicyGrants, UserRecord};
use super::records::{RecordKey, StateRecord, StoredKey};
use super::seal::SealError;
use super::state::StateTables;
use super::write::RecordEdit;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId, UserName};
use portcullis_base::secret::Secret;
use portcullis_sigv4::{KeyStatus, Principal};

/// An access key as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    pub id: AccessKeyId,
    pub holder: Principal,
    pub status: KeyStatus,
    pub created: Timestamp,
}

/// An access key that was just made: the one time its secret is shown.
#[derive(Debug)]
pub struct IssuedKey {
    pub key: AccessKey,
    pub secret: Secret<String>,
}

/// The two halves of a new access key.
#[derive(Debug)]
pub enum KeyMaterial {
    /// A key that clients hold already.
    Given(GivenKey),
    /// Both are made here.
    Random,
}

/// A key that clients hold already.
#[derive(Clone, Debug)]
pub struct GivenKey {
    id: AccessKeyId,
    secret: Secret<String>,
}

/// Why a given secret is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a secret access key is 8 to 128 bytes, without control characters and without spaces at its ends")]
pub struct InvalidSecretKey;

/// Of the secrets that MinIO, Ceph and AWS give out or take, MinIO's are the shortest, with 8 characters.
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;

impl GivenKey {
    /// Takes a secret as stores give it out or let a user choose it.
    pub fn new(id: AccessKeyId, secret: Secret<String>) -> Result<Self, InvalidSecretKey> {
        let text = secret.expose();
        let whole = text.trim() == text && !text.contains(char::is_control);
        let legal = whole && SECRET_LENGTHS.contains(&text.len());
        if legal { Ok(Self { id, secret }) } else { Err(InvalidSecretKey) }
    }

    /// Its private half.
    pub fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// Its public half.
    pub fn id(&self) -> &AccessKeyId {
        &self.id
    }
}

/// AWS's quota: one in use, and one to change over to.
pub const MOST_KEYS: usize = 2;

/// AWS's quota. Root's key can make users at the port, and their number must not be a thief's to choose.
pub const MOST_USERS: usize = 5000;

impl StateStore {
    /// The users, by name.
    pub fn users(&self) -> Vec<UserRecord> {
        self.0.memory.read().users.values().cloned().collect()
    }

    /// One user.
    pub fn user(&self, name: &UserName) -> Option<UserRecord> {
        self.0.memory.read().users.get(name).cloned()
    }

    /// The keys of one holder, by id.
    pub fn keys(&self, holder: &Principal) -> Vec<AccessKey> {
        self.0.memory.read().keys.values().filter(|key| key.holder == *holder).map(listed).collect()
    }

    /// One key.
    pub fn key(&self, id: &AccessKeyId) -> Option<AccessKey> {
        self.0.memory.read().keys.get(id).map(listed)
    }

    /// A key of root that may sign, with its secret, for the file that root's tools read.
    pub fn root_credentials(&self) -> Option<(AccessKeyId, Secret<String>)> {
        let state = self.0.memory.read();
        let mut keys = state.keys.values();
        let key = keys.find(|key| key.holder == Principal::Root && key.status == KeyStatus::Active)?;
        Some((key.id.clone(), key.secret.clone()))
    }

    /// Adds a user without keys and policies.
    pub async fn create_user(&self, name: &UserName, now: Timestamp) -> Result<UserRecord, StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let user = UserRecord {
                name,
                id: format!("AIDA{}", random_id(17)?),
                created: now,
                grants: PolicyGrants::default(),
                boundary: None,
            };
            let decide = |state: &StateTables| {
                state.expect_new_user(&user.name)?;
                Ok(ChangeDecision::put(StateRecord::User(user.clone()), user.clone()))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Takes away a user that has neither keys nor policies left, and is in no group.
    pub async fn delete_user(&self, name: &UserName, now: Timestamp) -> Result<(), StoreError> {
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        self.finish(async move {
            let holder = Principal::User(name.clone());
            let decide = |state: &StateTables| {
                state.expect_holder(&holder)?;
                if state.count_keys(&holder) > 0 {
                    return Err(StoreError::Remains(RemainingPart::Keys));
                }
                state.expect_no_grants(&name)?;
                Ok(ChangeDecision::Write { edits: state.removal(&name), answer: () })
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Makes a key for root or a user. A key id is there once in all.
    pub async fn create_key(
        &self,
        holder: &Principal,
        material: KeyMaterial,
        now: Timestamp,
    ) -> Result<IssuedKey, StoreError> {
        let (inner, holder) = (Arc::clone(&self.0), holder.clone());
        self.finish(async move {
            let stored = match material {
                KeyMaterial::Random => new_key(holder, now)?,
                KeyMaterial::Given(GivenKey { id, secret }) => {
                    StoredKey { id, holder, secret, status: KeyStatus::Active, created: now }
                }
            };
            let decide = |state: &StateTables| {
                state.expect_holder(&stored.holder)?;
                if state.keys.contains_key(&stored.id) {
                    return Err(StoreError::AlreadyExists);
                }
                if state.count_keys(&stored.holder) >= MOST_KEYS {
                    return Err(StoreError::LimitReached);
                }
                let new = IssuedKey { key: listed(&stored), secret: stored.secret.clone() };
                Ok(ChangeDecision::put(StateRecord::Key(stored.clone()), new))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Lets a key sign, or not.
    pub async fn set_key_status(
        &self,
        id: &AccessKeyId,
        holder: &Principal,
        status: KeyStatus,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (inner, id, holder) = (Arc::clone(&self.0), id.clone(), holder.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                let key = state.known_key(&id, &holder)?;
                if key.status == status {
                    return Ok(ChangeDecision::Unchanged(()));
                }
                Ok(ChangeDecision::put(StateRecord::Key(StoredKey { status, ..key.clone() }), ()))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Takes away a key.
    pub async fn delete_key(&self, id: &AccessKeyId, holder: &Principal, now: Timestamp) -> Result<(), StoreError> {
        let (inner, id, holder) = (Arc::clone(&self.0), id.clone(), holder.clone());
        self.finish(async move {
            let decide = |state: &StateTables| {
                state.known_key(&id, &holder)?;
                Ok(ChangeDecision::delete(RecordKey::Key(id.clone())))
            };
            inner.change(now, decide).await
        })
        .await
    }
}

impl StateTables {
    fn expect_new_user(&self, name: &UserName) -> Result<(), StoreError> {
        // IAM's user names differ by more than case.
        let taken = self.users.keys().any(|user| user.as_str().eq_ignore_ascii_case(name.as_str()));
        match taken {
            true => Err(StoreError::AlreadyExists),
            false if self.users.len() >= MOST_USERS => Err(StoreError::LimitReached),
            false => Ok(()),
        }
    }

    pub(super) fn expect_holder(&self, holder: &Principal) -> Result<(), StoreError> {
        match holder {
            Principal::Root => Ok(()),
            Principal::User(name) if self.users.contains_key(name) => Ok(()),
            Principal::User(_) => Err(StoreError::NoSuchEntity),
        }
    }

    /// All that goes with a user.
    fn removal(&self, name: &UserName) -> Vec<RecordEdit> {
        let upstream_key = self.upstream_keys.get(name).map(|_| RecordKey::UpstreamKey(name.clone()));
        [Some(RecordKey::User(name.clone())), upstream_key].into_iter().flatten().map(RecordEdit::Delete).collect()
    }

    fn known_key(&self, id: &AccessKeyId, holder: &Principal) -> Result<&StoredKey, StoreError> {
        self.keys.get(id).filter(|key| key.holder == *holder).ok_or(StoreError::NoSuchEntity)
    }

    fn count_keys(&self, holder: &Principal) -> usize {
        self.keys.values().filter(|key| key.holder == *holder).count()
    }
}

/// A new random key.
pub(super) fn new_key(holder: Principal, now: Timestamp) -> Result<StoredKey, StoreError> {
    let id = AccessKeyId::parse(&format!("AKIA{}", random_id(16)?)).map_err(|_| SealError::NoRandomness)?;
    Ok(StoredKey { id, holder, secret: random_secret()?, status: KeyStatus::Active, created: now })
}

/// A new random secret key.
pub(super) fn random_secret() -> Result<Secret<String>, StoreError> {
    let mut random = Zeroizing::new([0; 30]);
    getrandom::fill(random.as_mut_slice()).map_err(|_| SealError::NoRandomness)?;
    Ok(Secret::new(STANDARD.encode(random.as_slice())))
}

/// A new random account id; without a leading zero, which some tools would drop.
pub(super) fn new_account_id() -> Result<AccountId, StoreError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| SealError::NoRandomness)?;
    let number = 100_000_000_000 + u64::from_be_bytes(random) % 900_000_000_000;
    AccountId::parse(&number.to_string()).map_err(|_| SealError::NoRandomness.into())
}

pub(super) fn random_id(length: usize) -> Result<String, StoreError> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut random = vec![0; length];
    getrandom::fill(&mut random).map_err(|_| SealError::NoRandomness)?;
    Ok(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).map(|byte| char::from(*byte)).collect())
}

fn listed(key: &StoredKey) -> AccessKey {
    AccessKey { id: key.id.clone(), holder: key.holder.clone(), status: key.status, created: key.created }
}
