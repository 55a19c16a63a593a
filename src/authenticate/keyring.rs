//! The access keys that may sign, and whose they are.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::Principal;
use crate::names::AccessKeyId;
use crate::secret::Secret;

/// The access keys that may sign; shared by reference, changed as keys are made and disabled.
#[derive(Debug, Default)]
pub struct Keyring(RwLock<HashMap<AccessKeyId, Key>>);

/// One access key.
#[derive(Clone, Debug)]
pub struct Key {
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

impl Keyring {
    /// Adds a key, or replaces the one of this id.
    pub fn set(&self, id: AccessKeyId, key: Key) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, key);
    }

    /// Takes a key away.
    pub fn remove(&self, id: &AccessKeyId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The key of this id, active or not.
    pub fn find(&self, id: &AccessKeyId) -> Option<Key> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}
