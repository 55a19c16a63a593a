//! Users that go on acting in MinIO with their own keys: MinIO's policies hold for them there, and none is translated.

use std::collections::BTreeSet;

use super::export::AccountStatus;
use super::{LEAVE_OUT, MinioReading};
use crate::accounts::{AttachedPolicy, PlannedKeyStatus, PlannedUser};
use portcullis_base::secret::Secret;

impl MinioReading<'_> {
    /// Each key becomes a user of its own that acts in the store by it.
    pub(super) fn read_store_keys(&mut self) {
        for (name, user) in &self.export.users {
            self.read_store_key(&format!("user `{name}`"), name, name, &user.secret, user.status);
        }
        for (key, account) in &self.export.service_accounts {
            if self.options.left_out.contains(&account.parent) {
                continue;
            }
            let place = format!("service account `{key}`");
            let name = format!("{}-{key}", account.parent);
            if !self.options.left_out.contains(key) {
                self.to.note(place.clone(), format!("becomes the user `{name}`"));
            }
            self.read_store_key(&place, &name, key, &account.secret, account.status);
        }
        let text = "stay in the store, and hold there for these users as before: here each of them has `readwrite`";
        self.to.note("policies, groups and expirations", text);
    }

    fn read_store_key(&mut self, place: &str, name: &str, id: &str, secret: &Secret<String>, status: AccountStatus) {
        if self.options.left_out.contains(id) {
            return;
        }
        let status = match status {
            AccountStatus::Disabled => PlannedKeyStatus::Inactive,
            AccountStatus::Enabled => PlannedKeyStatus::Active,
        };
        let Some(key) = self.key(place, id, secret, status) else { return };
        let next = format!("{LEAVE_OUT} {id}");
        let Some(name) = self.user_name(place, name, next) else { return };
        self.to.users.push(PlannedUser {
            name,
            keys: vec![key.clone()],
            policies: BTreeSet::from([AttachedPolicy::Managed("readwrite")]),
            groups: BTreeSet::new(),
            boundary: None,
            upstream: Some(key),
        });
    }
}
