//! The head of a trail: its newest digest, kept elsewhere so that a cut tail is noticed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::digest::TrailDigest;
use super::layout::DigestSeries;
use super::merkle::Sha256Hash;
use portcullis_base::clock::Timestamp;

/// A digest as a second place remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestHead {
    pub object: String,
    /// SHA-256 of what is compressed.
    pub hash: Sha256Hash,
    pub signature: Vec<u8>,
    pub end: Timestamp,
    pub last_sequence: u64,
    pub tree_size: u64,
    pub merkle_root: Sha256Hash,
    pub series: DigestSeries,
}

/// A text that is no head.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not the head of a trail: {0}")]
pub struct InvalidHead(String);

impl InvalidHead {
    /// Of a text that is none for this reason.
    pub fn of(reason: String) -> Self {
        Self(reason)
    }
}

impl DigestHead {
    /// The head that this digest is, by the hash and signature it was delivered with.
    pub fn of(digest: &TrailDigest, hash: Sha256Hash, signature: Vec<u8>, series: DigestSeries) -> Self {
        Self {
            object: digest.object.clone(),
            hash,
            signature,
            end: digest.end,
            last_sequence: digest.extent.last_sequence,
            tree_size: digest.extent.size,
            merkle_root: digest.extent.root,
            series,
        }
    }

    /// The head as one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&DigestHeadJson::of(self)).unwrap_or_default()
    }

    /// The head as a member of a JSON document.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(DigestHeadJson::of(self)).unwrap_or_default()
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidHead> {
        let fields: DigestHeadJson = serde_json::from_slice(json).map_err(|error| InvalidHead(error.to_string()))?;
        let wrong = |name: &str| InvalidHead(name.to_owned());
        let hash = |text: &str, name: &str| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).map(|()| hash).map_err(|_| wrong(name))
        };
        Ok(Self {
            hash: hash(&fields.digest_hash_value, "digestHashValue")?,
            signature: hex::decode(&fields.digest_signature).map_err(|_| wrong("digestSignature"))?,
            end: Timestamp::parse_iso_extended(&fields.digest_end_time).ok_or_else(|| wrong("digestEndTime"))?,
            last_sequence: fields.last_sequence,
            tree_size: fields.tree_size,
            merkle_root: hash(&fields.merkle_root, "merkleRoot")?,
            series: if fields.backfill { DigestSeries::Backfill } else { DigestSeries::Standard },
            object: fields.digest_object,
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct DigestHeadJson {
    #[serde(rename = "digestS3Object")]
    digest_object: String,
    digest_hash_value: String,
    digest_signature: String,
    digest_end_time: String,
    last_sequence: u64,
    tree_size: u64,
    merkle_root: String,
    backfill: bool,
}

impl DigestHeadJson {
    fn of(head: &DigestHead) -> Self {
        Self {
            digest_object: head.object.clone(),
            digest_hash_value: hex::encode(head.hash),
            digest_signature: hex::encode(&head.signature),
            digest_end_time: head.end.iso_extended(),
            last_sequence: head.last_sequence,
            tree_size: head.tree_size,
            merkle_root: hex::encode(head.merkle_root),
            backfill: head.series == DigestSeries::Backfill,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A head of this series.
    pub(crate) fn sample(series: DigestSeries) -> DigestHead {
        DigestHead {
            object: "AWSLogs/d.json.gz".to_owned(),
            hash: [1; 32],
            signature: vec![2; 256],
            end: Timestamp::from_seconds(5),
            last_sequence: 9,
            tree_size: 4,
            merkle_root: [3; 32],
            series,
        }
    }

    #[test]
    fn a_head_is_read_back() {
        let head = sample(DigestSeries::Standard);
        assert_eq!(DigestHead::from_json(head.to_json().as_bytes()), Ok(head));
        assert!(DigestHead::from_json(b"{}").is_err());
    }
}
