//! The access keys that may sign, and whose they are.

use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock};

use super::canonical::{CredentialScope, SigningKey};
use super::session::{SessionClaims, SessionOpener};
use super::{Principal, SignatureFault};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_base::secret::Secret;

/// The access keys that may sign; shared by reference, changed as keys are made and disabled.
#[derive(Debug)]
pub struct Keyring {
    keys: RwLock<HashMap<AccessKeyId, CachedKey>>,
    /// What opens session tokens; without it none is accepted.
    sessions: Option<Box<dyn SessionOpener>>,
    decoy: SigningKey,
}

/// One access key.
#[derive(Clone, Debug)]
pub struct KeyringKey {
    pub holder: Principal,
    pub secret: Secret<String>,
    pub status: KeyStatus,
}

/// Whether a key may sign, as IAM calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyStatus {
    Active,
    Inactive,
}

/// A key with what was derived from it: both go together when the key changes.
#[derive(Debug)]
struct CachedKey {
    key: KeyringKey,
    derived: RwLock<VecDeque<DerivedKey>>,
}

#[derive(Debug)]
struct DerivedKey {
    date: Box<str>,
    region: Box<str>,
    service: Box<str>,
    key: SigningKey,
}

/// The principal of a key id, with a key to compute a signature with in either case.
#[derive(Debug)]
pub(super) struct ClaimedSigner {
    /// A dummy for an unknown key id, so that the answer takes as long as for a known one.
    pub key: SigningKey,
    pub known: Option<(Principal, KeyStatus)>,
}

/// A week of presigned URLs and tomorrow's first requests, in one service.
const MOST_DERIVED: usize = 9;

impl Keyring {
    /// A keyring that takes session tokens too.
    pub fn with_sessions(sessions: Box<dyn SessionOpener>) -> Self {
        Self { sessions: Some(sessions), ..Self::default() }
    }

    /// Opens the token of a session that is not over: its time has not passed, and the key that asked for it may still sign.
    pub(super) fn session(
        &self,
        id: Option<&AccessKeyId>,
        token: &str,
        now: Timestamp,
    ) -> Result<SessionClaims, SignatureFault> {
        let opened = id.zip(self.sessions.as_ref()).and_then(|(id, sessions)| sessions.open(id, token));
        let claims = opened.ok_or(SignatureFault::SessionToken)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let parent = keys.get(&claims.parent).map(|entry| &entry.key);
        let lasts = |parent: &&KeyringKey| parent.status == KeyStatus::Active && parent.holder == claims.holder;
        parent.filter(lasts).ok_or(SignatureFault::SessionToken)?;
        if now >= claims.expires { Err(SignatureFault::SessionExpired) } else { Ok(claims) }
    }

    /// Adds a key, or replaces the one of this id.
    pub fn set(&self, id: AccessKeyId, key: KeyringKey) {
        let entry = CachedKey { key, derived: RwLock::default() };
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(id, entry);
    }

    /// Takes a key away.
    pub fn remove(&self, id: &AccessKeyId) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The key of this id, active or not.
    pub fn find(&self, id: &AccessKeyId) -> Option<KeyringKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(id).map(|entry| entry.key.clone())
    }

    /// The principal that signs with this id in this scope; a missing id counts as unknown.
    pub(super) fn signer(&self, id: Option<&AccessKeyId>, scope: &CredentialScope<'_>) -> ClaimedSigner {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        match id.and_then(|id| keys.get(id)) {
            Some(entry) => ClaimedSigner {
                key: entry.signing_key(scope),
                known: Some((entry.key.holder.clone(), entry.key.status)),
            },
            None => ClaimedSigner { key: self.decoy.clone(), known: None },
        }
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self { keys: RwLock::default(), sessions: None, decoy: SigningKey::decoy() }
    }
}

impl CachedKey {
    fn signing_key(&self, scope: &CredentialScope<'_>) -> SigningKey {
        if let Some(found) = self.remembered(scope) {
            return found;
        }
        let key = SigningKey::derive(&self.key.secret, scope);
        let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        if derived.len() >= MOST_DERIVED {
            derived.pop_front();
        }
        derived.push_back(DerivedKey {
            date: scope.date.into(),
            region: scope.region.into(),
            service: scope.service.into(),
            key: key.clone(),
        });
        key
    }

    fn remembered(&self, scope: &CredentialScope<'_>) -> Option<SigningKey> {
        let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
        derived.iter().rev().find(|derived| derived.is_for(scope)).map(|derived| derived.key.clone())
    }
}

impl DerivedKey {
    fn is_for(&self, scope: &CredentialScope<'_>) -> bool {
        *self.date == *scope.date && *self.region == *scope.region && *self.service == *scope.service
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> AccessKeyId {
        AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").expect("an id")
    }

    fn key(secret: &str) -> KeyringKey {
        KeyringKey { holder: Principal::Root, secret: Secret::new(secret.to_owned()), status: KeyStatus::Active }
    }

    fn scope(date: &str) -> CredentialScope<'_> {
        CredentialScope { date, region: "us-east-1", service: "s3" }
    }

    fn signs(keyring: &Keyring, scope: &CredentialScope<'_>) -> Option<String> {
        let signer = keyring.signer(Some(&id()), scope);
        signer.known.map(|_| signer.key.sign(b"text").hex())
    }

    fn expected(secret: &str, scope: &CredentialScope<'_>) -> Option<String> {
        Some(SigningKey::derive(&Secret::new(secret.to_owned()), scope).sign(b"text").hex())
    }

    #[test]
    fn a_remembered_key_is_the_derived_one_in_each_scope() {
        let keyring = Keyring::default();
        keyring.set(id(), key("first"));
        let dates: Vec<String> = (10..30).map(|day| format!("201305{day}")).collect();
        for date in dates.iter().chain(dates.iter().rev()) {
            assert_eq!(signs(&keyring, &scope(date)), expected("first", &scope(date)), "{date}");
        }
        let elsewhere = CredentialScope { region: "eu-west-1", ..scope("20130510") };
        assert_eq!(signs(&keyring, &elsewhere), expected("first", &elsewhere));
    }

    #[test]
    fn a_changed_key_forgets_what_was_derived_from_the_old_one() {
        let keyring = Keyring::default();
        keyring.set(id(), key("first"));
        let before = signs(&keyring, &scope("20130524"));
        keyring.set(id(), key("second"));
        assert_ne!(signs(&keyring, &scope("20130524")), before);
        assert_eq!(signs(&keyring, &scope("20130524")), expected("second", &scope("20130524")));
        keyring.remove(&id());
        assert_eq!(signs(&keyring, &scope("20130524")), None);
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let keyring = Keyring::default();
        keyring.set(id(), key("first"));
        for day in 10..40 {
            signs(&keyring, &scope(&format!("201305{day}")));
        }
        let keys = keyring.keys.read().expect("not poisoned");
        assert_eq!(keys.get(&id()).map(|entry| entry.derived.read().expect("not poisoned").len()), Some(MOST_DERIVED));
    }

    #[test]
    fn a_keyring_prints_no_secret() {
        let keyring = Keyring::default();
        keyring.set(id(), key("hunter2"));
        signs(&keyring, &scope("20130524"));
        assert!(!format!("{keyring:?}").contains("hunter2"));
    }
}
