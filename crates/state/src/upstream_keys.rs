//! The keys with which users act at the upstream.

use std::sync::Arc;

use super::StateStore;
use super::change::ChangeDecision;
use super::error::StoreError;
use super::principals::GivenKey;
use super::records::{RecordKey, StateRecord, StoredUpstreamKey};
use super::state::StateTables;
use portcullis_authorization::UpstreamIdentity;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::UserName;
use portcullis_sigv4::{Principal, UpstreamKey};

impl StateStore {
    /// As whom a principal acts at the upstream; none for a user who is gone.
    pub fn upstream_identity(&self, principal: &Principal) -> Option<UpstreamIdentity> {
        let Principal::User(name) = principal else { return Some(UpstreamIdentity::Own) };
        // Both under one look, so that a user whose removal takes the key away is not one without a key.
        let state = self.0.memory.read();
        match state.upstream_keys.get(name) {
            Some(stored) => Some(UpstreamIdentity::User(Arc::clone(&stored.key))),
            None => state.users.contains_key(name).then_some(UpstreamIdentity::Own),
        }
    }

    /// The key with which a user acts at the upstream, if it is not Portcullis's own.
    pub fn upstream_key(&self, user: &UserName) -> Option<StoredUpstreamKey> {
        self.0.memory.read().upstream_keys.get(user).cloned()
    }

    /// Gives a user a key at the upstream, in place of the one that may be there.
    pub async fn put_upstream_key(
        &self,
        user: &UserName,
        given: GivenKey,
        now: Timestamp,
    ) -> Result<StoredUpstreamKey, StoreError> {
        let (inner, user) = (Arc::clone(&self.0), user.clone());
        self.finish(async move {
            let key = UpstreamKey::new(given.id().to_string(), given.secret().clone());
            let stored = StoredUpstreamKey { key: Arc::new(key), created: now };
            let decide = |state: &StateTables| {
                state.expect_holder(&Principal::User(user.clone()))?;
                Ok(ChangeDecision::put(StateRecord::UpstreamKey(user.clone(), stored.clone()), stored.clone()))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Takes a user's key at the upstream away: the user acts there with Portcullis's own again.
    pub async fn delete_upstream_key(&self, user: &UserName, now: Timestamp) -> Result<(), StoreError> {
        let (inner, user) = (Arc::clone(&self.0), user.clone());
        self.finish(async move {
            let decide = |state: &StateTables| match state.upstream_keys.contains_key(&user) {
                true => Ok(ChangeDecision::delete(RecordKey::UpstreamKey(user.clone()))),
                false => Err(StoreError::NoSuchEntity),
            };
            inner.change(now, decide).await
        })
        .await
    }
}
