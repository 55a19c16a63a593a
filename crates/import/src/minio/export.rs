//! The reply of MinIO's `export-iam`: a ZIP archive of JSON documents, the secrets of all keys among them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use thiserror::Error;

use crate::zip::{self, InvalidArchive};
use portcullis_base::secret::Secret;

/// What a MinIO knows of its users.
#[derive(Debug)]
pub struct MinioExport {
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) users: BTreeMap<String, MinioUser>,
    pub(super) groups: BTreeMap<String, MinioGroup>,
    pub(super) service_accounts: BTreeMap<String, ServiceAccount>,
    pub(super) user_policies: BTreeMap<String, PolicyMapping>,
    pub(super) group_policies: BTreeMap<String, PolicyMapping>,
    /// Of users that an identity provider vouches for.
    pub(super) provider_policies: BTreeMap<String, PolicyMapping>,
}

/// Why a reply or a file is no export.
#[derive(Debug, Error)]
pub enum InvalidExport {
    #[error(transparent)]
    Archive(#[from] InvalidArchive),
    #[error("{member}: {error}")]
    Member { member: String, error: serde_json::Error },
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("it has `{0}`, which is not known here")]
    Unknown(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MinioUser {
    #[serde(rename = "secretKey", deserialize_with = "secret")]
    pub secret: Secret<String>,
    pub status: AccountStatus,
    /// Never set in an export.
    #[serde(default)]
    pub policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MinioGroup {
    #[serde(rename = "version")]
    _version: u32,
    pub status: AccountStatus,
    pub members: Option<Vec<String>>,
    #[serde(rename = "updatedAt", default)]
    _changed: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccount {
    pub parent: String,
    #[serde(rename = "accessKey")]
    pub key: String,
    #[serde(rename = "secretKey", deserialize_with = "secret")]
    pub secret: Secret<String>,
    pub groups: Option<Vec<String>>,
    /// What its token says: the same again.
    #[serde(rename = "claims")]
    _claims: Value,
    #[serde(rename = "sessionPolicy", default)]
    pub policy: Value,
    pub status: AccountStatus,
    #[serde(rename = "name", default)]
    _name: String,
    #[serde(rename = "description", default)]
    _description: String,
    #[serde(default)]
    pub expiration: Option<String>,
    #[serde(rename = "apiVersion", default)]
    _api: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyMapping {
    #[serde(rename = "version")]
    _version: u32,
    /// Names with commas between them.
    #[serde(rename = "policy")]
    names: String,
    #[serde(rename = "updatedAt", default)]
    _changed: Option<String>,
}

/// Users and groups are `enabled`, service accounts `on`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum AccountStatus {
    #[serde(alias = "off")]
    Disabled,
    #[serde(alias = "on")]
    Enabled,
}

const FOLDER: &str = "iam-assets/";

impl MinioExport {
    /// Reads the archive. What is not understood in it refuses it whole, since it may limit what a user may do.
    pub fn read(archive: &[u8]) -> Result<Self, InvalidExport> {
        let mut members = zip::read(archive)?;
        let export = Self {
            policies: member(&mut members, "policies.json")?,
            users: member(&mut members, "users.json")?,
            groups: member(&mut members, "groups.json")?,
            service_accounts: member(&mut members, "svcaccts.json")?,
            user_policies: member(&mut members, "user_mappings.json")?,
            group_policies: member(&mut members, "group_mappings.json")?,
            provider_policies: member(&mut members, "stsuser_mappings.json")?,
        };
        match members.into_keys().next() {
            Some(name) => Err(InvalidExport::Unknown(name)),
            None => Ok(export),
        }
    }

    /// Whether a user has this access key.
    pub fn has_user(&self, key: &str) -> bool {
        self.users.contains_key(key)
    }
}

impl ServiceAccount {
    /// When it ends, if it does: MinIO tells none as a day of the year 1 or 1970.
    pub(super) fn expires(&self) -> Option<&str> {
        self.expiration.as_deref().filter(|time| !time.starts_with("0001-") && !time.starts_with("1970-"))
    }
}

impl PolicyMapping {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.split(',').map(str::trim).filter(|name| !name.is_empty())
    }
}

fn member<T: DeserializeOwned>(
    members: &mut BTreeMap<String, Secret<Vec<u8>>>,
    name: &'static str,
) -> Result<T, InvalidExport> {
    let content = members.remove(&format!("{FOLDER}{name}")).ok_or(InvalidExport::Missing(name))?;
    serde_json::from_slice(content.expose()).map_err(|error| InvalidExport::Member { member: name.to_owned(), error })
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_export_is_read_without_its_secrets_being_shown() {
        let export = MinioExport::read(include_bytes!("../fixtures/minio-export.zip")).expect("an export");
        assert_eq!(export.users.keys().collect::<Vec<_>>(), ["alice", "bob", "carol", "dave", "erin"]);
        assert_eq!(export.users["erin"].status, AccountStatus::Disabled);
        assert_eq!(export.users["alice"].secret.expose(), "alice-secret-1");
        assert_eq!(export.user_policies["erin"].names().collect::<Vec<_>>(), ["office-hours", "ops"]);
        assert_eq!(export.service_accounts["alice-batch"].status, AccountStatus::Disabled);
        let shown = format!("{:?} {:?}", export.users, export.service_accounts["alice-ci"].secret);
        assert!(!shown.contains("secret-1") && !shown.contains("ci-secret"), "{shown}");
    }

    #[test]
    fn a_member_that_is_not_understood_is_named() {
        let read = |text: &str| serde_json::from_str::<BTreeMap<String, MinioUser>>(text).unwrap_err().to_string();
        let unknown = read(r#"{"a": {"secretKey": "s", "status": "enabled", "limit": 1}}"#);
        assert!(unknown.starts_with("unknown field `limit`") && unknown.ends_with("line 1 column 53"), "{unknown}");
        let status = read(r#"{"a": {"secretKey": "s", "status": "paused"}}"#);
        assert!(status.starts_with("unknown variant `paused`"), "{status}");
    }
}
