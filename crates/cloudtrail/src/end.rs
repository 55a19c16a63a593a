//! Where the delivered files of a trail end, as the proxy that delivers them knows it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::head::{DigestHead, InvalidHead};
use super::merkle::Sha256Hash;

/// Where the delivered files of a trail end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailEnd {
    /// The newest digest of each series.
    pub heads: Vec<DigestHead>,
    /// The log files that were delivered and that no digest names yet.
    pub delivered: Vec<DeliveredLog>,
    /// Those that are being delivered, and may be there or not.
    pub under_way: Vec<DeliveredLog>,
}

/// A log file that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredLog {
    pub object: String,
    /// SHA-256 of what is compressed.
    pub hash: Sha256Hash,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TrailEndJson {
    newest_digests: Vec<Value>,
    log_files_without_digest: Vec<DeliveredLogJson>,
    log_files_under_way: Vec<DeliveredLogJson>,
}

#[derive(Deserialize, Serialize)]
struct DeliveredLogJson {
    #[serde(rename = "s3Object")]
    object: String,
    #[serde(rename = "hashValue")]
    hash: String,
}

impl TrailEnd {
    /// The written form, a JSON object.
    pub fn to_json(&self) -> Value {
        let logs = |logs: &[DeliveredLog]| logs.iter().map(DeliveredLogJson::of).collect();
        let heads = self.heads.iter().map(DigestHead::to_value);
        let json = TrailEndJson {
            newest_digests: heads.collect(),
            log_files_without_digest: logs(&self.delivered),
            log_files_under_way: logs(&self.under_way),
        };
        serde_json::to_value(json).unwrap_or_default()
    }

    /// Reads what `to_json` wrote, also beside other members.
    pub fn from_json(json: &Value) -> Result<Self, InvalidHead> {
        let wrong = |error: serde_json::Error| InvalidHead::of(error.to_string());
        let json = TrailEndJson::deserialize(json).map_err(wrong)?;
        let logs = |logs: Vec<DeliveredLogJson>| -> Result<Vec<DeliveredLog>, String> {
            logs.into_iter().map(DeliveredLogJson::read).collect()
        };
        let heads = json.newest_digests.iter().map(|head| DigestHead::from_json(head.to_string().as_bytes()));
        Ok(Self {
            heads: heads.collect::<Result<_, _>>()?,
            delivered: logs(json.log_files_without_digest).map_err(wrong_hash)?,
            under_way: logs(json.log_files_under_way).map_err(wrong_hash)?,
        })
    }
}

fn wrong_hash(object: String) -> InvalidHead {
    InvalidHead::of(format!("hashValue of {object}"))
}

impl DeliveredLogJson {
    fn of(log: &DeliveredLog) -> Self {
        Self { object: log.object.clone(), hash: hex::encode(log.hash) }
    }

    fn read(self) -> Result<DeliveredLog, String> {
        let mut hash = [0; 32];
        match hex::decode_to_slice(&self.hash, &mut hash) {
            Ok(()) => Ok(DeliveredLog { object: self.object, hash }),
            Err(_) => Err(self.object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DigestSeries;
    use crate::head::tests::sample;

    #[test]
    fn an_end_is_read_as_it_is_written_beside_other_members() {
        let log = |name: &str| DeliveredLog { object: name.to_owned(), hash: [4; 32] };
        let end = TrailEnd {
            heads: vec![sample(DigestSeries::Backfill)],
            delivered: vec![log("a"), log("b")],
            under_way: vec![log("c")],
        };
        let mut json = end.to_json();
        json["IsLogging"] = true.into();
        assert_eq!(TrailEnd::from_json(&json), Ok(end));
        json["LogFilesUnderWay"][0]["hashValue"] = "00".into();
        assert!(TrailEnd::from_json(&json).is_err());
        assert!(TrailEnd::from_json(&serde_json::json!({})).is_err());
    }
}
