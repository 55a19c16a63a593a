//! The whole state in memory, where every read is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::identities::{GroupRecord, PolicyRecord, UserRecord};
use super::records::{
    AccountRecord, BucketRecord, DigestSigningKey, RecordKey, StateRecord, StoredKey, StoredUpstreamKey, TrailHead,
};
use super::uploads::KnownUploads;
use super::write::RecordEdit;
use portcullis_authorization::UnsettledUntil;
use portcullis_base::names::{AccessKeyId, BucketName, DeviceSerial, GroupName, PolicyName, UserName};
use portcullis_cloudtrail::keys::KeyFingerprint;
use portcullis_cloudtrail::{Trail, TrailName};
use portcullis_mfa::{DeviceStatus, MfaDevice};
use portcullis_policy::IdentityPolicies;
use portcullis_sigv4::{Keyring, KeyringKey};

/// The state as it is on the disk, with the keyring that follows it.
#[derive(Debug)]
pub(crate) struct StateMemory {
    state: RwLock<StateTables>,
    keyring: Arc<Keyring>,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(crate) struct StateTables {
    pub account: Option<AccountRecord>,
    pub buckets: BTreeMap<BucketName, BucketRecord>,
    pub devices: BTreeMap<DeviceSerial, MfaDevice>,
    pub groups: BTreeMap<GroupName, GroupRecord>,
    pub keys: BTreeMap<AccessKeyId, StoredKey>,
    /// What each user may do, as users, groups and policies say it together.
    pub permissions: BTreeMap<UserName, Arc<IdentityPolicies>>,
    pub policies: BTreeMap<PolicyName, Arc<PolicyRecord>>,
    pub signing_keys: BTreeMap<KeyFingerprint, DigestSigningKey>,
    pub trails: BTreeMap<TrailName, Trail>,
    pub trail_heads: BTreeMap<TrailName, TrailHead>,
    pub unsettled: BTreeMap<BucketName, UnsettledUntil>,
    pub uploads: KnownUploads,
    pub upstream_keys: BTreeMap<UserName, StoredUpstreamKey>,
    pub users: BTreeMap<UserName, UserRecord>,
}

impl StateMemory {
    /// An empty state, whose keys go into this keyring.
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self { state: RwLock::default(), keyring: Arc::new(keyring) }
    }

    /// The state, for as long as a look at it takes.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, StateTables> {
        // A writer does nothing under the lock that can panic.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that may sign.
    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Follows what was written.
    pub(crate) fn apply(&self, edits: Vec<RecordEdit>) {
        for edit in &edits {
            self.ring(edit);
        }
        self.state.write().unwrap_or_else(PoisonError::into_inner).apply(edits);
    }

    fn ring(&self, edit: &RecordEdit) {
        match edit {
            RecordEdit::Put(StateRecord::Key(key)) => {
                let ring = KeyringKey { holder: key.holder.clone(), secret: key.secret.clone(), status: key.status };
                self.keyring.set(key.id.clone(), ring);
            }
            RecordEdit::Delete(RecordKey::Key(id)) => self.keyring.remove(id),
            RecordEdit::Put(
                StateRecord::Account(_)
                | StateRecord::Bucket(..)
                | StateRecord::Device(_)
                | StateRecord::Group(_)
                | StateRecord::Policy(_)
                | StateRecord::SigningKey(_)
                | StateRecord::Trail(_)
                | StateRecord::TrailHead(..)
                | StateRecord::Unsettled(..)
                | StateRecord::Upload(..)
                | StateRecord::UpstreamKey(..)
                | StateRecord::User(_),
            )
            | RecordEdit::Delete(
                RecordKey::Account
                | RecordKey::Bucket(_)
                | RecordKey::Device(_)
                | RecordKey::Group(_)
                | RecordKey::Policy(_)
                | RecordKey::SigningKey(_)
                | RecordKey::Trail(_)
                | RecordKey::TrailHead(_)
                | RecordKey::Unsettled(_)
                | RecordKey::Upload(_)
                | RecordKey::UpstreamKey(_)
                | RecordKey::User(_),
            ) => {}
        }
    }
}

impl StateTables {
    /// What is remembered of a bucket.
    pub(crate) fn bucket(&self, name: &BucketName) -> BucketRecord {
        self.buckets.get(name).copied().unwrap_or(BucketRecord::UNPROTECTED)
    }

    /// Whether some device's codes count.
    pub(crate) fn has_active_device(&self) -> bool {
        self.devices.values().any(|device| match device.status {
            DeviceStatus::Active { .. } => true,
            DeviceStatus::Pending => false,
        })
    }

    /// Makes the edits.
    pub(crate) fn apply(&mut self, edits: Vec<RecordEdit>) {
        let changed = self.permissions_changed_by(&edits);
        for edit in edits {
            match edit {
                RecordEdit::Put(record) => self.put(record),
                RecordEdit::Delete(key) => self.delete(&key),
            }
        }
        self.update_permissions(changed);
    }

    fn put(&mut self, record: StateRecord) {
        match record {
            StateRecord::Account(account) => self.account = Some(account),
            StateRecord::Bucket(name, bucket) => drop(self.buckets.insert(name, bucket)),
            StateRecord::Device(device) => drop(self.devices.insert(device.serial.clone(), device)),
            StateRecord::Group(group) => drop(self.groups.insert(group.name.clone(), group)),
            StateRecord::Key(key) => drop(self.keys.insert(key.id.clone(), key)),
            StateRecord::Policy(policy) => drop(self.policies.insert(policy.name.clone(), policy)),
            StateRecord::SigningKey(key) => drop(self.signing_keys.insert(key.fingerprint(), key)),
            StateRecord::Trail(trail) => drop(self.trails.insert(trail.name.clone(), *trail)),
            StateRecord::TrailHead(name, head) => drop(self.trail_heads.insert(name, head)),
            StateRecord::Unsettled(name, unsettled) => drop(self.unsettled.insert(name, unsettled)),
            StateRecord::Upload(mark, upload) => self.uploads.put(mark, upload),
            StateRecord::UpstreamKey(user, key) => drop(self.upstream_keys.insert(user, key)),
            StateRecord::User(user) => drop(self.users.insert(user.name.clone(), user)),
        }
    }

    fn delete(&mut self, key: &RecordKey) {
        match key {
            RecordKey::Account => self.account = None,
            RecordKey::Bucket(name) => drop(self.buckets.remove(name)),
            RecordKey::Device(serial) => drop(self.devices.remove(serial)),
            RecordKey::Group(name) => drop(self.groups.remove(name)),
            RecordKey::Key(id) => drop(self.keys.remove(id)),
            RecordKey::Policy(name) => drop(self.policies.remove(name)),
            RecordKey::SigningKey(fingerprint) => drop(self.signing_keys.remove(fingerprint)),
            RecordKey::Trail(name) => drop(self.trails.remove(name)),
            RecordKey::TrailHead(name) => drop(self.trail_heads.remove(name)),
            RecordKey::Unsettled(name) => drop(self.unsettled.remove(name)),
            RecordKey::Upload(mark) => self.uploads.remove(*mark),
            RecordKey::UpstreamKey(user) => drop(self.upstream_keys.remove(user)),
            RecordKey::User(name) => drop(self.users.remove(name)),
        }
    }
}
