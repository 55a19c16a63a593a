//! Digests: what was delivered in a window of time, chained, signed, and over a Merkle tree of the events.
//!
//! The fields are CloudTrail's, in its order; the object `portcullis` at the end is ours, and is signed with them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::keys::{KeyFingerprint, SIGNATURE_ALGORITHM};
use super::logfile::{self, LogFile};
use super::merkle::{MerkleTree, Sha256Hash};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, BucketName};

/// One digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailDigest {
    pub account: AccountId,
    /// The end of the window before, unless logging just started.
    pub start: Timestamp,
    pub end: Timestamp,
    pub bucket: BucketName,
    pub object: String,
    /// The key it is signed by.
    pub fingerprint: KeyFingerprint,
    pub previous: PreviousDigest,
    pub log_files: Vec<LogEntry>,
    pub extent: DigestExtent,
}

/// What came before a digest in its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviousDigest {
    /// The window goes on where this one ended.
    Digest { link: DigestLink, signature: Vec<u8> },
    /// Nothing: the trail's first.
    Origin,
    /// Logging had stopped. CloudTrail's own fields are empty then; ours still name the last digest before.
    Restart(DigestLink),
}

/// A digest by its place and the SHA-256 of what is compressed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DigestLink {
    /// Another one than the digest's own, after the trail was led elsewhere.
    pub bucket: BucketName,
    pub object: String,
    pub hash: Sha256Hash,
}

/// A log file as a digest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub object: String,
    /// SHA-256 of what is compressed.
    pub hash: Sha256Hash,
    pub oldest: Timestamp,
    pub newest: Timestamp,
}

/// What a digest says beyond CloudTrail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestExtent {
    /// When the trail was created: a trail that is created again under this name is a different one.
    pub trail_created: Timestamp,
    /// Of the journal, the first sequence of the window; its last may be one less, and the window empty.
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// The series' tree before the events of this digest.
    pub before: MerkleTree,
    /// The tree with them.
    pub size: u64,
    pub root: Sha256Hash,
    pub ending: DigestEnding,
}

/// Whether another digest is to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestEnding {
    Continues,
    /// Logging was stopped, or the trail deleted.
    Final,
}

/// A digest as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenDigest {
    pub bytes: Vec<u8>,
    /// SHA-256 of what is compressed.
    pub hash: Sha256Hash,
    /// What the key is to sign.
    pub signing_input: String,
}

/// Why a file is no digest.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidDigest {
    #[error("a field is missing or is not what it must be: {0}")]
    Field(String),
    #[error("its two accounts of the digest before it differ")]
    Previous,
    #[error("its windows of time or of the journal, or its tree, run backwards")]
    Window,
}

impl TrailDigest {
    /// Compresses the digest and says what of it is signed.
    pub fn write(&self) -> WrittenDigest {
        let (bytes, hash) = logfile::compress(&self.to_json());
        WrittenDigest { bytes, hash, signing_input: self.signing_input(&hash) }
    }

    /// What is signed: end, place, hash, and the signature before, as CloudTrail joins them.
    pub fn signing_input(&self, hash: &Sha256Hash) -> String {
        let Self { bucket, object, .. } = self;
        let previous = self.previous.signature().map_or_else(|| "null".to_owned(), hex::encode);
        format!("{}\n{bucket}/{object}\n{}\n{previous}", self.end, hex::encode(hash))
    }

    /// The digest as JSON, before it is compressed.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&DigestFields::of(self)).unwrap_or_default()
    }

    /// Reads a digest from its JSON; what is not known of is passed over, as it is signed.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidDigest> {
        let fields: DigestFields =
            serde_json::from_slice(json).map_err(|error| InvalidDigest::Field(error.to_string()))?;
        fields.read()
    }

    /// The digest by its place and hash.
    pub fn link(&self, hash: Sha256Hash) -> DigestLink {
        DigestLink { bucket: self.bucket.clone(), object: self.object.clone(), hash }
    }
}

impl PreviousDigest {
    /// The digest before, also where logging had stopped after it.
    pub fn link(&self) -> Option<&DigestLink> {
        match self {
            Self::Digest { link, .. } | Self::Restart(link) => Some(link),
            Self::Origin => None,
        }
    }

    /// The signature that this digest's own covers.
    pub fn signature(&self) -> Option<&[u8]> {
        match self {
            Self::Digest { signature, .. } => Some(signature),
            Self::Origin | Self::Restart(_) => None,
        }
    }
}

impl LogEntry {
    /// The entry of a file that holds at least one event.
    pub fn of(object: String, file: &LogFile) -> Option<Self> {
        Some(Self { object, hash: file.hash, oldest: file.oldest?, newest: file.newest? })
    }
}

impl DigestExtent {
    /// How many events the digest's log files hold.
    pub fn records(&self) -> u64 {
        self.size.saturating_sub(self.before.size())
    }
}

/// SHA-256 of what a file of a trail compresses.
pub fn hash(uncompressed: &[u8]) -> Sha256Hash {
    Sha256::digest(uncompressed).into()
}

const HASH_ALGORITHM: &str = "SHA-256";
const VERSION: u32 = 1;

/// The fields in the order in which CloudTrail writes them.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct DigestFields {
    aws_account_id: String,
    digest_start_time: String,
    digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    digest_bucket: String,
    #[serde(rename = "digestS3Object")]
    digest_object: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    newest_event_time: Option<String>,
    oldest_event_time: Option<String>,
    #[serde(rename = "previousDigestS3Bucket")]
    previous_digest_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object")]
    previous_digest_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: Vec<LogFields>,
    portcullis: OwnFields,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogFields {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3Object")]
    object: String,
    hash_value: String,
    hash_algorithm: String,
    newest_event_time: String,
    oldest_event_time: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnFields {
    version: u32,
    trail_created: i64,
    first_sequence: u64,
    last_sequence: u64,
    tree_size: u64,
    merkle_root: String,
    tree_size_before: u64,
    merkle_peaks_before: Vec<String>,
    previous_digest: Option<LinkFields>,
    r#final: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkFields {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3Object")]
    object: String,
    hash_value: String,
}

impl DigestFields {
    fn of(digest: &TrailDigest) -> Self {
        let written = |moment: Option<Timestamp>| moment.map(Timestamp::iso_extended);
        let bucket = digest.bucket.as_str();
        let signature = digest.previous.signature();
        let link = digest.previous.link().filter(|_| signature.is_some());
        Self {
            aws_account_id: digest.account.as_str().to_owned(),
            digest_start_time: digest.start.iso_extended(),
            digest_end_time: digest.end.iso_extended(),
            digest_bucket: bucket.to_owned(),
            digest_object: digest.object.clone(),
            digest_public_key_fingerprint: digest.fingerprint.to_string(),
            digest_signature_algorithm: SIGNATURE_ALGORITHM.to_owned(),
            newest_event_time: written(digest.log_files.iter().map(|log| log.newest).max()),
            oldest_event_time: written(digest.log_files.iter().map(|log| log.oldest).min()),
            previous_digest_bucket: link.map(|link| link.bucket.to_string()),
            previous_digest_object: link.map(|link| link.object.clone()),
            previous_digest_hash_value: link.map(|link| hex::encode(link.hash)),
            previous_digest_hash_algorithm: link.map(|_| HASH_ALGORITHM.to_owned()),
            previous_digest_signature: signature.map(hex::encode),
            log_files: digest.log_files.iter().map(|log| LogFields::of(log, bucket)).collect(),
            portcullis: OwnFields::of(digest),
        }
    }

    fn read(self) -> Result<TrailDigest, InvalidDigest> {
        same(&self.digest_signature_algorithm, SIGNATURE_ALGORITHM, "digestSignatureAlgorithm")?;
        let bucket = self.digest_bucket.as_str();
        let previous = self.previous()?;
        let digest = TrailDigest {
            account: AccountId::parse(&self.aws_account_id).map_err(|_| field("awsAccountId"))?,
            start: moment(&self.digest_start_time, "digestStartTime")?,
            end: moment(&self.digest_end_time, "digestEndTime")?,
            bucket: BucketName::parse(bucket).map_err(|_| field("digestS3Bucket"))?,
            fingerprint: KeyFingerprint::parse(&self.digest_public_key_fingerprint)
                .ok_or_else(|| field("digestPublicKeyFingerprint"))?,
            previous,
            log_files: self.log_files.iter().map(|log| log.read(bucket)).collect::<Result<_, _>>()?,
            extent: self.portcullis.read()?,
            object: self.digest_object,
        };
        let extent = &digest.extent;
        let forwards = digest.start <= digest.end
            && extent.first_sequence <= extent.last_sequence.saturating_add(1)
            && extent.before.size() <= extent.size;
        if forwards { Ok(digest) } else { Err(InvalidDigest::Window) }
    }

    fn previous(&self) -> Result<PreviousDigest, InvalidDigest> {
        let own = self.portcullis.previous_digest.as_ref().map(LinkFields::read).transpose()?;
        let theirs = (
            &self.previous_digest_bucket,
            &self.previous_digest_object,
            &self.previous_digest_hash_value,
            &self.previous_digest_hash_algorithm,
            &self.previous_digest_signature,
        );
        match (own, theirs) {
            (None, (None, None, None, None, None)) => Ok(PreviousDigest::Origin),
            (Some(link), (None, None, None, None, None)) => Ok(PreviousDigest::Restart(link)),
            (Some(link), (Some(bucket), Some(object), Some(hash), Some(algorithm), Some(signature))) => {
                same(algorithm, HASH_ALGORITHM, "previousDigestHashAlgorithm")?;
                if *bucket != link.bucket.as_str()
                    || *object != link.object
                    || read_hash(hash, "previousDigestHashValue")? != link.hash
                {
                    return Err(InvalidDigest::Previous);
                }
                let signature = hex::decode(signature).map_err(|_| field("previousDigestSignature"))?;
                Ok(PreviousDigest::Digest { link, signature })
            }
            _ => Err(InvalidDigest::Previous),
        }
    }
}

impl LogFields {
    fn of(log: &LogEntry, bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            object: log.object.clone(),
            hash_value: hex::encode(log.hash),
            hash_algorithm: HASH_ALGORITHM.to_owned(),
            newest_event_time: log.newest.iso_extended(),
            oldest_event_time: log.oldest.iso_extended(),
        }
    }

    fn read(&self, bucket: &str) -> Result<LogEntry, InvalidDigest> {
        same(&self.bucket, bucket, "s3Bucket")?;
        same(&self.hash_algorithm, HASH_ALGORITHM, "hashAlgorithm")?;
        Ok(LogEntry {
            object: self.object.clone(),
            hash: read_hash(&self.hash_value, "hashValue")?,
            oldest: moment(&self.oldest_event_time, "oldestEventTime")?,
            newest: moment(&self.newest_event_time, "newestEventTime")?,
        })
    }
}

impl OwnFields {
    fn of(digest: &TrailDigest) -> Self {
        let extent = &digest.extent;
        Self {
            version: VERSION,
            trail_created: extent.trail_created.millis(),
            first_sequence: extent.first_sequence,
            last_sequence: extent.last_sequence,
            tree_size: extent.size,
            merkle_root: hex::encode(extent.root),
            tree_size_before: extent.before.size(),
            merkle_peaks_before: extent.before.peaks().iter().map(hex::encode).collect(),
            previous_digest: digest.previous.link().map(LinkFields::of),
            r#final: extent.ending == DigestEnding::Final,
        }
    }

    fn read(&self) -> Result<DigestExtent, InvalidDigest> {
        if self.version != VERSION {
            return Err(field("version"));
        }
        let peaks = self.merkle_peaks_before.iter().map(|peak| read_hash(peak, "merklePeaksBefore"));
        let peaks = peaks.collect::<Result<Vec<_>, _>>()?;
        Ok(DigestExtent {
            trail_created: Timestamp::from_millis(self.trail_created),
            first_sequence: self.first_sequence,
            last_sequence: self.last_sequence,
            before: MerkleTree::of(self.tree_size_before, peaks).ok_or_else(|| field("merklePeaksBefore"))?,
            size: self.tree_size,
            root: read_hash(&self.merkle_root, "merkleRoot")?,
            ending: if self.r#final { DigestEnding::Final } else { DigestEnding::Continues },
        })
    }
}

impl LinkFields {
    fn of(link: &DigestLink) -> Self {
        let DigestLink { bucket, object, hash } = link;
        Self { bucket: bucket.to_string(), object: object.clone(), hash_value: hex::encode(hash) }
    }

    fn read(&self) -> Result<DigestLink, InvalidDigest> {
        Ok(DigestLink {
            bucket: BucketName::parse(&self.bucket).map_err(|_| field("s3Bucket"))?,
            object: self.object.clone(),
            hash: read_hash(&self.hash_value, "hashValue")?,
        })
    }
}

fn moment(text: &str, name: &str) -> Result<Timestamp, InvalidDigest> {
    Timestamp::parse_iso_extended(text).ok_or_else(|| field(name))
}

fn read_hash(text: &str, name: &str) -> Result<Sha256Hash, InvalidDigest> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map(|()| hash).map_err(|_| field(name))
}

fn same(text: &str, expected: &str, name: &str) -> Result<(), InvalidDigest> {
    if text == expected { Ok(()) } else { Err(field(name)) }
}

fn field(name: &str) -> InvalidDigest {
    InvalidDigest::Field(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn digest(previous: PreviousDigest) -> TrailDigest {
        let at = |text: &str| Timestamp::parse_iso_extended(text).unwrap();
        TrailDigest {
            account: AccountId::parse("111122223333").unwrap(),
            start: at("2015-08-17T14:01:31Z"),
            end: at("2015-08-17T15:01:31Z"),
            bucket: BucketName::parse("trail-bucket").unwrap(),
            object: "AWSLogs/d.json.gz".to_owned(),
            fingerprint: KeyFingerprint::of(b"key"),
            previous,
            log_files: vec![LogEntry {
                object: "AWSLogs/l.json.gz".to_owned(),
                hash: [1; 32],
                oldest: at("2015-08-17T14:02:00Z"),
                newest: at("2015-08-17T14:05:00Z"),
            }],
            extent: DigestExtent {
                trail_created: Timestamp::from_millis(7),
                first_sequence: 10,
                last_sequence: 12,
                before: MerkleTree::of(2, vec![[2; 32]]).unwrap(),
                size: 5,
                root: [3; 32],
                ending: DigestEnding::Continues,
            },
        }
    }

    fn link() -> DigestLink {
        let bucket = BucketName::parse("trail-bucket").unwrap();
        DigestLink { bucket, object: "AWSLogs/p.json.gz".to_owned(), hash: [4; 32] }
    }

    fn continued() -> TrailDigest {
        digest(PreviousDigest::Digest { link: link(), signature: vec![0xab, 0xcd] })
    }

    #[test]
    fn the_fields_are_cloudtrails_in_its_order_and_ours_follow() {
        insta::assert_snapshot!(String::from_utf8(continued().to_json()).unwrap().replace(",\"", ",\n\""));
    }

    #[test]
    fn what_is_signed_is_what_cloudtrail_joins() {
        let hash = [5; 32];
        let place = "2015-08-17T15:01:31Z\ntrail-bucket/AWSLogs/d.json.gz";
        let hex = "05".repeat(32);
        assert_eq!(continued().signing_input(&hash), format!("{place}\n{hex}\nabcd"));
        assert_eq!(digest(PreviousDigest::Origin).signing_input(&hash), format!("{place}\n{hex}\nnull"));
        assert_eq!(digest(PreviousDigest::Restart(link())).signing_input(&hash), format!("{place}\n{hex}\nnull"));
    }

    #[test]
    fn a_written_digest_is_read_back() {
        let mut last = continued();
        last.extent.ending = DigestEnding::Final;
        last.log_files.clear();
        for digest in [continued(), digest(PreviousDigest::Origin), digest(PreviousDigest::Restart(link())), last] {
            let written = digest.write();
            let json = logfile::decompress(&written.bytes, 1 << 20).unwrap();
            assert_eq!(hash(&json), written.hash);
            assert_eq!(TrailDigest::parse(&json), Ok(digest));
        }
    }

    #[test]
    fn a_field_that_is_missing_or_contradicts_another_is_an_error() {
        let json: Value = serde_json::from_slice(&continued().to_json()).unwrap();
        let members: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        for name in members.iter().filter(|name| !matches!(name.as_str(), "newestEventTime" | "oldestEventTime")) {
            let mut without = json.clone();
            without.as_object_mut().unwrap().remove(name);
            assert!(TrailDigest::parse(without.to_string().as_bytes()).is_err(), "{name}");
        }
        let mut swapped = json.clone();
        swapped["previousDigestHashValue"] = Value::from("00".repeat(32));
        assert_eq!(TrailDigest::parse(swapped.to_string().as_bytes()), Err(InvalidDigest::Previous));
        let mut weaker = json.clone();
        weaker["digestSignatureAlgorithm"] = Value::from("SHA1withRSA");
        assert_eq!(TrailDigest::parse(weaker.to_string().as_bytes()), Err(field("digestSignatureAlgorithm")));
        let mut backwards = json;
        backwards["portcullis"]["lastSequence"] = Value::from(8);
        assert_eq!(TrailDigest::parse(backwards.to_string().as_bytes()), Err(InvalidDigest::Window));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, place in 0usize..1200, byte: u8) {
            prop_assert!(TrailDigest::parse(&bytes).is_err());
            let mut json = continued().to_json();
            if let Some(spot) = json.get_mut(place) {
                *spot = byte;
            }
            drop(TrailDigest::parse(&json));
        }
    }
}
