//! The whole state in memory, where every read is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::records::{Account, BucketRecord, Record, RecordKey, SigningKey, StoredKey, TrailHead, User};
use super::uploads::KnownUploads;
use super::write::Edit;
use portcullis_authorization::Unsettled;
use portcullis_base::names::{AccessKeyId, BucketName, DeviceSerial, UserName};
use portcullis_cloudtrail::keys::Fingerprint;
use portcullis_cloudtrail::{Trail, TrailName};
use portcullis_mfa::{Device, DeviceStatus};
use portcullis_sigv4::{Key, Keyring};

/// The state as it is on the disk, with the keyring that follows it.
#[derive(Debug, Default)]
pub struct Memory {
    state: RwLock<State>,
    keyring: Arc<Keyring>,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct State {
    pub account: Option<Account>,
    pub buckets: BTreeMap<BucketName, BucketRecord>,
    pub devices: BTreeMap<DeviceSerial, Device>,
    pub keys: BTreeMap<AccessKeyId, StoredKey>,
    pub signing_keys: BTreeMap<Fingerprint, SigningKey>,
    pub trails: BTreeMap<TrailName, Trail>,
    pub trail_heads: BTreeMap<TrailName, TrailHead>,
    pub unsettled: BTreeMap<BucketName, Unsettled>,
    pub uploads: KnownUploads,
    pub users: BTreeMap<UserName, User>,
}

impl Memory {
    /// The state, for as long as a look at it takes.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        // A writer does nothing under the lock that can panic.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that may sign.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Follows what was written.
    pub fn apply(&self, edits: Vec<Edit>) {
        for edit in &edits {
            self.ring(edit);
        }
        self.state.write().unwrap_or_else(PoisonError::into_inner).apply(edits);
    }

    fn ring(&self, edit: &Edit) {
        match edit {
            Edit::Put(Record::Key(key)) => {
                let ring = Key { holder: key.holder.clone(), secret: key.secret.clone(), status: key.status };
                self.keyring.set(key.id.clone(), ring);
            }
            Edit::Delete(RecordKey::Key(id)) => self.keyring.remove(id),
            Edit::Put(
                Record::Account(_)
                | Record::Bucket(..)
                | Record::Device(_)
                | Record::SigningKey(_)
                | Record::Trail(_)
                | Record::TrailHead(..)
                | Record::Unsettled(..)
                | Record::Upload(..)
                | Record::User(_),
            )
            | Edit::Delete(
                RecordKey::Account
                | RecordKey::Bucket(_)
                | RecordKey::Device(_)
                | RecordKey::SigningKey(_)
                | RecordKey::Trail(_)
                | RecordKey::TrailHead(_)
                | RecordKey::Unsettled(_)
                | RecordKey::Upload(_)
                | RecordKey::User(_),
            ) => {}
        }
    }
}

impl State {
    /// What is remembered of a bucket.
    pub fn bucket(&self, name: &BucketName) -> BucketRecord {
        self.buckets.get(name).copied().unwrap_or(BucketRecord::UNPROTECTED)
    }

    /// Whether some device's codes count.
    pub fn has_active_device(&self) -> bool {
        self.devices.values().any(|device| match device.status {
            DeviceStatus::Active { .. } => true,
            DeviceStatus::Pending => false,
        })
    }

    /// Makes the edits.
    pub fn apply(&mut self, edits: Vec<Edit>) {
        for edit in edits {
            match edit {
                Edit::Put(record) => self.put(record),
                Edit::Delete(key) => self.delete(&key),
            }
        }
    }

    /// Every record, for a rebuilt state.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let account = self.account.iter().cloned().map(Record::Account);
        let buckets = self.buckets.iter().map(|(name, bucket)| Record::Bucket(name.clone(), *bucket));
        let devices = self.devices.values().cloned().map(Record::Device);
        let keys = self.keys.values().cloned().map(Record::Key);
        let signing_keys = self.signing_keys.values().cloned().map(Record::SigningKey);
        let trails = self.trails.values().cloned().map(Box::new).map(Record::Trail);
        let heads = self.trail_heads.iter().map(|(name, head)| Record::TrailHead(name.clone(), head.clone()));
        let uploads = self.uploads.iter().map(|(mark, upload)| Record::Upload(mark, upload.clone()));
        let users = self.users.values().cloned().map(Record::User);
        let unsettled = self.unsettled.iter().map(|(name, until)| Record::Unsettled(name.clone(), *until));
        let trails = trails.chain(heads).chain(unsettled);
        account.chain(buckets).chain(devices).chain(keys).chain(signing_keys).chain(trails).chain(uploads).chain(users)
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Account(account) => self.account = Some(account),
            Record::Bucket(name, bucket) => drop(self.buckets.insert(name, bucket)),
            Record::Device(device) => drop(self.devices.insert(device.serial.clone(), device)),
            Record::Key(key) => drop(self.keys.insert(key.id.clone(), key)),
            Record::SigningKey(key) => drop(self.signing_keys.insert(key.fingerprint(), key)),
            Record::Trail(trail) => drop(self.trails.insert(trail.name.clone(), *trail)),
            Record::TrailHead(name, head) => drop(self.trail_heads.insert(name, head)),
            Record::Unsettled(name, unsettled) => drop(self.unsettled.insert(name, unsettled)),
            Record::Upload(mark, upload) => self.uploads.put(mark, upload),
            Record::User(user) => drop(self.users.insert(user.name.clone(), user)),
        }
    }

    fn delete(&mut self, key: &RecordKey) {
        match key {
            RecordKey::Account => self.account = None,
            RecordKey::Bucket(name) => drop(self.buckets.remove(name)),
            RecordKey::Device(serial) => drop(self.devices.remove(serial)),
            RecordKey::Key(id) => drop(self.keys.remove(id)),
            RecordKey::SigningKey(fingerprint) => drop(self.signing_keys.remove(fingerprint)),
            RecordKey::Trail(name) => drop(self.trails.remove(name)),
            RecordKey::TrailHead(name) => drop(self.trail_heads.remove(name)),
            RecordKey::Unsettled(name) => drop(self.unsettled.remove(name)),
            RecordKey::Upload(mark) => self.uploads.remove(*mark),
            RecordKey::User(name) => drop(self.users.remove(name)),
        }
    }
}
