//! Trails, the keys that sign their digests, and how far each was delivered.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::error::StoreError;
use super::records::{Record, SigningKey};
use super::write::Edit;
use crate::clock::Timestamp;

impl Store {
    /// Every key that ever signed, the oldest first.
    pub fn signing_keys(&self) -> Vec<SigningKey> {
        let mut keys: Vec<_> = self.0.memory.read().signing_keys.values().cloned().collect();
        keys.sort_by_key(|key| (key.valid_from, key.fingerprint()));
        keys
    }

    /// Adds a key that signs, and forgets the private halves of those that ended this long before it begins.
    pub async fn add_signing_key(&self, key: SigningKey, kept: Duration, now: Timestamp) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let mut writer = inner.writer.lock().await;
            let spent = |old: &&SigningKey| old.private.is_some() && old.valid_to.plus(kept) < key.valid_from;
            let mut edits: Vec<Edit> = {
                let state = inner.memory.read();
                let spent = state.signing_keys.values().filter(spent);
                spent.map(|old| Edit::Put(Record::SigningKey(SigningKey { private: None, ..old.clone() }))).collect()
            };
            edits.push(Edit::Put(Record::SigningKey(key)));
            writer.commit(&inner.memory, edits, now).await
        })
        .await
    }
}
