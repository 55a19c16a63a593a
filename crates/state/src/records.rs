//! Records: what is remembered, and its written form, which is JSON under a tag of the master key.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::identities::{GroupJson, GroupRecord, PolicyJson, PolicyRecord, UserJson, UserRecord};
use super::seal::{RecordSealer, SealError};
use super::unsettled::UnsettledJson;
use super::uploads::{OpenedUpload, UploadJson, UploadMark};
use portcullis_authorization::{MfaDelete, NameStatus, UnsettledUntil};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId, BucketName, DeviceSerial, GroupName, PolicyName, UserName};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::keys::{KeyFingerprint, PublicKey};
use portcullis_cloudtrail::{Trail, TrailName};
use portcullis_mfa::{
    CodeDigits, DeviceCounters, DeviceStatus, FailedTries, MfaDevice, Seed, StepOffset, TryAllowance,
};
use portcullis_sigv4::{KeyStatus, Principal, UpstreamKey};

/// One thing that is remembered.
#[derive(Clone, Debug)]
pub(crate) enum StateRecord {
    Account(AccountRecord),
    Bucket(BucketName, BucketRecord),
    Device(MfaDevice),
    Group(GroupRecord),
    Key(StoredKey),
    Policy(Arc<PolicyRecord>),
    SigningKey(DigestSigningKey),
    Trail(Box<Trail>),
    TrailHead(TrailName, TrailHead),
    Unsettled(BucketName, UnsettledUntil),
    Upload(UploadMark, OpenedUpload),
    UpstreamKey(UserName, StoredUpstreamKey),
    User(UserRecord),
}

/// Which thing it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RecordKey {
    Account,
    Bucket(BucketName),
    Device(DeviceSerial),
    Group(GroupName),
    Key(AccessKeyId),
    Policy(PolicyName),
    SigningKey(KeyFingerprint),
    Trail(TrailName),
    TrailHead(TrailName),
    Unsettled(BucketName),
    Upload(UploadMark),
    /// Of this user.
    UpstreamKey(UserName),
    User(UserName),
}

/// The account all else belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    pub id: AccountId,
    pub created: Timestamp,
}

/// What is remembered of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketRecord {
    pub mfa_delete: MfaDelete,
    pub name: NameStatus,
    /// When this was recorded; never, for a bucket that was never protected.
    pub updated: Option<Timestamp>,
}

/// An access key with its secret.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    pub id: AccessKeyId,
    pub holder: Principal,
    pub secret: Secret<String>,
    pub status: KeyStatus,
    pub created: Timestamp,
}

/// The key with which a user acts at the upstream.
#[derive(Clone, Debug)]
pub struct StoredUpstreamKey {
    pub key: Arc<UpstreamKey>,
    /// When it was given to the user.
    pub created: Timestamp,
}

/// A key that signs the digests of trails; its public half is kept for ever.
#[derive(Clone, Debug)]
pub struct DigestSigningKey {
    /// PKCS#1, in DER.
    pub public: Vec<u8>,
    pub valid_from: Timestamp,
    pub valid_to: Timestamp,
    /// PKCS#8, in DER; forgotten once it can have nothing left to sign.
    pub private: Option<Secret<Vec<u8>>>,
}

/// Where a trail's chains of digests end, as delivery writes it; kept also when the trail is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailHead(pub String);

/// Why a written record is not read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum RecordError {
    #[error("record `{0}` is not of a known form")]
    Malformed(String),
    #[error("record `{key}`: {error}")]
    Sealed { key: String, error: SealError },
}

impl BucketRecord {
    /// A bucket that was never protected.
    pub const UNPROTECTED: Self = Self { mfa_delete: MfaDelete::NeverSet, name: NameStatus::Free, updated: None };

    /// Whether both protect the bucket in the same way, whenever they were recorded.
    pub fn protects_as(self, other: Self) -> bool {
        (self.mfa_delete, self.name) == (other.mfa_delete, other.name)
    }
}

impl DigestSigningKey {
    /// What tells this key from others.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.public)
    }

    /// The public key, as validators get it.
    pub fn listed(&self) -> Option<PublicKey> {
        PublicKey::new(self.public.clone(), self.valid_from, self.valid_to).ok()
    }
}

impl RecordKey {
    /// The key as the engine has it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Account => "account".to_owned(),
            Self::Bucket(name) => format!("bucket/{name}"),
            Self::Device(serial) => format!("device/{serial}"),
            Self::Group(name) => format!("group/{name}"),
            Self::Key(id) => format!("key/{id}"),
            Self::Policy(name) => format!("policy/{name}"),
            Self::SigningKey(fingerprint) => format!("signing-key/{fingerprint}"),
            Self::Trail(name) => format!("trail/{name}"),
            Self::TrailHead(name) => format!("trail-head/{name}"),
            Self::Unsettled(name) => format!("unsettled/{name}"),
            Self::Upload(mark) => format!("upload/{mark}"),
            Self::UpstreamKey(user) => format!("upstream-key/{user}"),
            Self::User(name) => format!("user/{name}"),
        }
    }

    /// Reads a key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "account" {
            return Some(Self::Account);
        }
        let (kind, name) = text.split_once('/')?;
        match kind {
            "bucket" => BucketName::parse(name).ok().map(Self::Bucket),
            "device" => DeviceSerial::parse(name).ok().map(Self::Device),
            "group" => GroupName::parse(name).ok().map(Self::Group),
            "key" => AccessKeyId::parse(name).ok().map(Self::Key),
            "policy" => PolicyName::parse(name).ok().map(Self::Policy),
            "signing-key" => KeyFingerprint::parse(name).map(Self::SigningKey),
            "trail" => TrailName::parse(name).ok().map(Self::Trail),
            "trail-head" => TrailName::parse(name).ok().map(Self::TrailHead),
            "unsettled" => BucketName::parse(name).ok().map(Self::Unsettled),
            "upload" => UploadMark::parse(name).map(Self::Upload),
            "upstream-key" => UserName::parse(name).ok().map(Self::UpstreamKey),
            "user" => UserName::parse(name).ok().map(Self::User),
            _ => None,
        }
    }
}

impl StateRecord {
    /// Which thing this is.
    pub(crate) fn key(&self) -> RecordKey {
        match self {
            Self::Account(_) => RecordKey::Account,
            Self::Bucket(name, _) => RecordKey::Bucket(name.clone()),
            Self::Device(device) => RecordKey::Device(device.serial.clone()),
            Self::Group(group) => RecordKey::Group(group.name.clone()),
            Self::Key(key) => RecordKey::Key(key.id.clone()),
            Self::Policy(policy) => RecordKey::Policy(policy.name.clone()),
            Self::SigningKey(key) => RecordKey::SigningKey(key.fingerprint()),
            Self::Trail(trail) => RecordKey::Trail(trail.name.clone()),
            Self::TrailHead(name, _) => RecordKey::TrailHead(name.clone()),
            Self::Unsettled(name, _) => RecordKey::Unsettled(name.clone()),
            Self::Upload(mark, _) => RecordKey::Upload(*mark),
            Self::UpstreamKey(user, _) => RecordKey::UpstreamKey(user.clone()),
            Self::User(user) => RecordKey::User(user.name.clone()),
        }
    }

    /// The record as JSON, its secrets sealed.
    pub(crate) fn write(&self, sealer: &RecordSealer) -> Result<Value, SealError> {
        self.write_with(|secret| sealer.seal(&binding(&self.key().text()), secret))
    }

    /// The record as JSON with digests of its secrets: two that say the same are equal, however they were sealed.
    pub(crate) fn comparable(&self, sealer: &RecordSealer) -> Result<Value, SealError> {
        self.write_with(|secret| Ok(hex::encode(sealer.digest("portcullis secret digest 1", secret))))
    }

    fn write_with(&self, seal: impl Fn(&[u8]) -> Result<String, SealError>) -> Result<Value, SealError> {
        let written = match self {
            Self::Account(account) => {
                to_value(&AccountJson { id: account.id.to_string(), created: account.created.millis() })
            }
            Self::Bucket(_, bucket) => to_value(&BucketJson {
                mfa_delete: bucket.mfa_delete.into(),
                name: bucket.name.into(),
                updated: bucket.updated.map(Timestamp::millis),
            }),
            Self::Device(device) => to_value(&DeviceJson::of(device, seal(device.seed.expose())?)),
            Self::Group(group) => to_value(&GroupJson::of(group)),
            Self::Policy(policy) => to_value(&PolicyJson::of(policy)),
            Self::Key(key) => to_value(&KeyJson {
                user: match &key.holder {
                    Principal::Root => None,
                    Principal::User(name) => Some(name.to_string()),
                },
                secret: seal(key.secret.expose().as_bytes())?,
                status: key.status.into(),
                created: key.created.millis(),
            }),
            Self::SigningKey(key) => to_value(&SigningKeyJson {
                public: STANDARD.encode(&key.public),
                valid_from: key.valid_from.millis(),
                valid_to: key.valid_to.millis(),
                private: key.private.as_ref().map(|private| seal(private.expose())).transpose()?,
            }),
            Self::Trail(trail) => to_value(&TextJson { text: trail.to_json().to_string() }),
            Self::TrailHead(_, head) => to_value(&TextJson { text: head.0.clone() }),
            Self::Unsettled(_, unsettled) => to_value(&UnsettledJson::of(*unsettled)),
            Self::Upload(_, upload) => to_value(&UploadJson::of(upload)),
            Self::UpstreamKey(_, StoredUpstreamKey { key, created }) => to_value(&UpstreamKeyJson {
                id: key.id().to_owned(),
                secret: seal(key.secret().expose().as_bytes())?,
                created: created.millis(),
            }),
            Self::User(user) => to_value(&UserJson::of(user)),
        };
        written.ok_or(SealError::NotSealed)
    }

    /// Reads what `write` wrote under this key.
    pub(crate) fn read(key: &RecordKey, json: &Value, sealer: &RecordSealer) -> Result<Self, RecordError> {
        let malformed = || RecordError::Malformed(key.text());
        let open = |sealed: &str| {
            let opened = sealer.open(&binding(&key.text()), sealed);
            opened.map_err(|error| RecordError::Sealed { key: key.text(), error })
        };
        let open_text = |sealed: &str| {
            let opened = open(sealed)?;
            let text = std::str::from_utf8(opened.expose()).map_err(|_| malformed())?;
            Ok(Secret::new(text.to_owned()))
        };
        match key {
            RecordKey::Account => {
                let json = AccountJson::deserialize(json).map_err(|_| malformed())?;
                let id = AccountId::parse(&json.id).map_err(|_| malformed())?;
                Ok(Self::Account(AccountRecord { id, created: Timestamp::from_millis(json.created) }))
            }
            RecordKey::Bucket(name) => {
                let json = BucketJson::deserialize(json).map_err(|_| malformed())?;
                let updated = json.updated.map(Timestamp::from_millis);
                let bucket = BucketRecord { mfa_delete: json.mfa_delete.into(), name: json.name.into(), updated };
                Ok(Self::Bucket(name.clone(), bucket))
            }
            RecordKey::Device(serial) => {
                let json = DeviceJson::deserialize(json).map_err(|_| malformed())?;
                let seed = open(&json.seed)?;
                let seed = seed.expose().as_slice().try_into().map(Seed::new).map_err(|_| malformed())?;
                json.device(serial, seed).map(Self::Device).ok_or_else(malformed)
            }
            RecordKey::Key(id) => {
                let json = KeyJson::deserialize(json).map_err(|_| malformed())?;
                let secret = open_text(&json.secret)?;
                let holder = match json.user {
                    None => Principal::Root,
                    Some(name) => Principal::User(UserName::parse(&name).map_err(|_| malformed())?),
                };
                let (status, created) = (json.status.into(), Timestamp::from_millis(json.created));
                Ok(Self::Key(StoredKey { id: id.clone(), holder, secret, status, created }))
            }
            RecordKey::Group(name) => {
                let group = GroupJson::deserialize(json).ok().and_then(|json| json.group(name));
                group.map(Self::Group).ok_or_else(malformed)
            }
            RecordKey::Policy(name) => {
                let policy = PolicyJson::deserialize(json).ok().and_then(|json| json.policy(name));
                policy.map(|policy| Self::Policy(Arc::new(policy))).ok_or_else(malformed)
            }
            RecordKey::SigningKey(fingerprint) => {
                let json = SigningKeyJson::deserialize(json).map_err(|_| malformed())?;
                let key = DigestSigningKey {
                    public: STANDARD.decode(&json.public).map_err(|_| malformed())?,
                    valid_from: Timestamp::from_millis(json.valid_from),
                    valid_to: Timestamp::from_millis(json.valid_to),
                    private: json.private.as_deref().map(open).transpose()?,
                };
                if key.fingerprint() == *fingerprint { Ok(Self::SigningKey(key)) } else { Err(malformed()) }
            }
            RecordKey::Trail(name) => {
                let json = TextJson::deserialize(json).map_err(|_| malformed())?;
                let json = serde_json::from_str(&json.text).map_err(|_| malformed())?;
                let trail = Trail::from_json(&json).map_err(|_| malformed())?;
                if trail.name == *name { Ok(Self::Trail(Box::new(trail))) } else { Err(malformed()) }
            }
            RecordKey::TrailHead(name) => {
                let json = TextJson::deserialize(json).map_err(|_| malformed())?;
                Ok(Self::TrailHead(name.clone(), TrailHead(json.text)))
            }
            RecordKey::Unsettled(name) => {
                let json = UnsettledJson::deserialize(json).map_err(|_| malformed())?;
                Ok(Self::Unsettled(name.clone(), json.unsettled()))
            }
            RecordKey::Upload(mark) => {
                let upload = UploadJson::deserialize(json).ok().and_then(UploadJson::upload);
                upload.map(|upload| Self::Upload(*mark, upload)).ok_or_else(malformed)
            }
            RecordKey::UpstreamKey(user) => {
                let json = UpstreamKeyJson::deserialize(json).map_err(|_| malformed())?;
                let key = Arc::new(UpstreamKey::new(json.id, open_text(&json.secret)?));
                let created = Timestamp::from_millis(json.created);
                Ok(Self::UpstreamKey(user.clone(), StoredUpstreamKey { key, created }))
            }
            RecordKey::User(name) => {
                let user = UserJson::deserialize(json).ok().and_then(|json| json.user(name));
                user.map(Self::User).ok_or_else(malformed)
            }
        }
    }
}

/// What a secret is sealed to: the form of the record, and its key.
fn binding(key: &str) -> String {
    format!("portcullis secret 1\n{key}")
}

fn to_value(record: &impl Serialize) -> Option<Value> {
    serde_json::to_value(record).ok()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountJson {
    id: String,
    created: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketJson {
    mfa_delete: MfaDeleteJson,
    name: NameJson,
    updated: Option<i64>,
}

#[derive(Serialize, Deserialize)]
enum MfaDeleteJson {
    Disabled,
    Enabled,
    NeverSet,
}

#[derive(Serialize, Deserialize)]
enum NameJson {
    Buried,
    Free,
}

/// As many failures without a time as any device tolerates; earlier versions counted on.
const MOST_UNDATED: usize = 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceJson {
    seed: String,
    digits: u8,
    created: i64,
    /// When it was enabled; `None` while it is pending.
    active: Option<i64>,
    last_step: u64,
    offset: i8,
    /// How many codes were wrong since a right one, at times that earlier versions did not keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failures: Option<usize>,
    /// When each code was offered that was wrong.
    #[serde(default)]
    failed: Vec<i64>,
    tokens: u8,
    refilled: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyJson {
    /// `None`: root.
    user: Option<String>,
    secret: String,
    status: KeyStatusJson,
    created: i64,
}

#[derive(Serialize, Deserialize)]
enum KeyStatusJson {
    Active,
    Inactive,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SigningKeyJson {
    public: String,
    valid_from: i64,
    valid_to: i64,
    private: Option<String>,
}

/// JSON within JSON: what a trail holds is not all ours, and must be tagged in the very form it is read in.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextJson {
    text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpstreamKeyJson {
    id: String,
    secret: String,
    created: i64,
}

impl DeviceJson {
    fn of(device: &MfaDevice, seed: String) -> Self {
        let counters = &device.counters;
        Self {
            seed,
            digits: device.digits.count(),
            created: device.created.millis(),
            active: match device.status {
                DeviceStatus::Active { since } => Some(since.millis()),
                DeviceStatus::Pending => None,
            },
            last_step: counters.last_step,
            offset: counters.offset.steps(),
            failures: None,
            failed: counters.failures.times().iter().map(|time| time.millis()).collect(),
            tokens: counters.allowance.tokens(),
            refilled: counters.allowance.refilled().millis(),
        }
    }

    fn device(&self, serial: &DeviceSerial, seed: Seed) -> Option<MfaDevice> {
        let status = match self.active {
            Some(since) => DeviceStatus::Active { since: Timestamp::from_millis(since) },
            None => DeviceStatus::Pending,
        };
        let counters = DeviceCounters {
            last_step: self.last_step,
            offset: StepOffset::parse(self.offset)?,
            failures: FailedTries::kept(self.failed()),
            allowance: TryAllowance::kept(self.tokens, Timestamp::from_millis(self.refilled)),
        };
        let (digits, created) = (CodeDigits::parse(self.digits)?, Timestamp::from_millis(self.created));
        Some(MfaDevice { serial: serial.clone(), seed, digits, created, status, counters })
    }

    fn failed(&self) -> Vec<Timestamp> {
        let mut failed: Vec<_> = self.failed.iter().copied().map(Timestamp::from_millis).collect();
        // After the last right code, and no later than the last two codes were tried.
        let undated = self.created.max(self.refilled);
        let count = self.failures.unwrap_or(0).min(MOST_UNDATED);
        failed.extend(std::iter::repeat_n(Timestamp::from_millis(undated), count));
        failed
    }
}

impl From<MfaDelete> for MfaDeleteJson {
    fn from(state: MfaDelete) -> Self {
        match state {
            MfaDelete::Disabled => Self::Disabled,
            MfaDelete::Enabled => Self::Enabled,
            MfaDelete::NeverSet => Self::NeverSet,
        }
    }
}

impl From<MfaDeleteJson> for MfaDelete {
    fn from(json: MfaDeleteJson) -> Self {
        match json {
            MfaDeleteJson::Disabled => Self::Disabled,
            MfaDeleteJson::Enabled => Self::Enabled,
            MfaDeleteJson::NeverSet => Self::NeverSet,
        }
    }
}

impl From<NameStatus> for NameJson {
    fn from(name: NameStatus) -> Self {
        match name {
            NameStatus::Tombstoned => Self::Buried,
            NameStatus::Free => Self::Free,
        }
    }
}

impl From<NameJson> for NameStatus {
    fn from(json: NameJson) -> Self {
        match json {
            NameJson::Buried => Self::Tombstoned,
            NameJson::Free => Self::Free,
        }
    }
}

impl From<KeyStatus> for KeyStatusJson {
    fn from(status: KeyStatus) -> Self {
        match status {
            KeyStatus::Active => Self::Active,
            KeyStatus::Inactive => Self::Inactive,
        }
    }
}

impl From<KeyStatusJson> for KeyStatus {
    fn from(json: KeyStatusJson) -> Self {
        match json {
            KeyStatusJson::Active => Self::Active,
            KeyStatusJson::Inactive => Self::Inactive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_an_earlier_version_counted_without_their_times_count_from_their_last_trace() {
        let text = r#"{"seed":"","digits":6,"created":1000,"active":null,"last_step":0,"offset":0,"failures":2,
                       "tokens":5,"refilled":5000}"#;
        let json: DeviceJson = serde_json::from_str(text).expect("the earlier form");
        assert_eq!(json.failed(), [Timestamp::from_millis(5000); 2]);
        let serial = DeviceSerial::parse("20899872").expect("legal");
        let device = json.device(&serial, Seed::new([0; Seed::LENGTH])).expect("legal");
        assert_eq!(device.codes_needed(Timestamp::from_millis(6000)), 2);
        let written = serde_json::to_value(DeviceJson::of(&device, String::new())).expect("written");
        assert_eq!((written.get("failures"), &written["failed"]), (None, &serde_json::json!([5000, 5000])));
    }
}
