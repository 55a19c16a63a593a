//! The keys of a trail's files, in CloudTrail's own layout, written and read.

use sha2::{Digest, Sha256};

use super::{KeyPrefix, TrailName};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccountId;

/// Where one account's files of one region lie in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrailLayout {
    pub prefix: Option<KeyPrefix>,
    pub account: AccountId,
    pub region: String,
}

/// What a key says about its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    pub layout: TrailLayout,
    pub file: FileName,
}

/// A file of a trail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileName {
    Digest { trail: TrailName, end: Timestamp, series: DigestSeries },
    Log { slot: Timestamp, suffix: LogSuffix },
}

/// Which of a trail's two chains of digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestSeries {
    /// Of log files that came after the digest of their window.
    Backfill,
    Standard,
}

/// The 16 letters and digits that tell the log files of one minute apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSuffix(String);

const LOGS: &str = "CloudTrail";
const DIGESTS: &str = "CloudTrail-Digest";
const ENDING: &str = ".json.gz";
const BACKFILL: &str = "_backfill";

impl TrailLayout {
    /// The key of a log file; the slot is written to the minute.
    pub fn log_key(&self, slot: Timestamp, suffix: &LogSuffix) -> String {
        let Self { account, region, .. } = self;
        let minute = slot.iso_basic().get(..13).unwrap_or_default().to_owned();
        format!("{}{}/{account}_{LOGS}_{region}_{minute}Z_{}{ENDING}", self.logs(), day(slot), suffix.0)
    }

    /// The key of the digest whose window ends then.
    pub fn digest_key(&self, trail: &TrailName, end: Timestamp, series: DigestSeries) -> String {
        let Self { account, region, .. } = self;
        let (stamp, mark) = (end.iso_basic(), series.mark());
        let folder = self.digests();
        format!("{folder}{}/{account}_{DIGESTS}_{region}_{trail}_{region}_{stamp}{mark}{ENDING}", day(end))
    }

    /// What all keys of log files begin with.
    pub fn logs(&self) -> String {
        self.folder(LOGS)
    }

    /// What all keys of digests begin with.
    pub fn digests(&self) -> String {
        self.folder(DIGESTS)
    }

    fn folder(&self, kind: &str) -> String {
        let Self { prefix, account, region } = self;
        match prefix {
            Some(prefix) => format!("{prefix}/AWSLogs/{account}/{kind}/{region}/"),
            None => format!("AWSLogs/{account}/{kind}/{region}/"),
        }
    }
}

impl FileKey {
    /// Reads a key; none unless it is exactly as it would be written.
    pub fn parse(key: &str) -> Option<Self> {
        let (prefix, rest) = match key.strip_prefix("AWSLogs/") {
            Some(rest) => (None, rest),
            None => {
                let (prefix, rest) = key.split_once("/AWSLogs/")?;
                (Some(KeyPrefix::parse(prefix).ok()?), rest)
            }
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let [account, kind, region, _, _, _, name] = parts.as_slice() else { return None };
        let layout = TrailLayout { prefix, account: AccountId::parse(account).ok()?, region: (*region).to_owned() };
        let name = name.strip_suffix(ENDING)?.strip_prefix(&format!("{account}_{kind}_{region}_"))?;
        let file = match *kind {
            LOGS => FileName::read_log(name)?,
            DIGESTS => FileName::read_digest(name, region)?,
            _ => return None,
        };
        let read = Self { layout, file };
        (read.to_string() == key).then_some(read)
    }
}

impl std::fmt::Display for FileKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&match &self.file {
            FileName::Digest { trail, end, series } => self.layout.digest_key(trail, *end, *series),
            FileName::Log { slot, suffix } => self.layout.log_key(*slot, suffix),
        })
    }
}

impl FileName {
    fn read_log(name: &str) -> Option<Self> {
        let (minute, suffix) = name.split_once("Z_")?;
        let slot = Timestamp::parse_iso_basic(&format!("{minute}00Z"))?;
        Some(Self::Log { slot, suffix: LogSuffix::parse(suffix)? })
    }

    fn read_digest(name: &str, region: &str) -> Option<Self> {
        let (name, series) = match name.strip_suffix(BACKFILL) {
            Some(name) => (name, DigestSeries::Backfill),
            None => (name, DigestSeries::Standard),
        };
        let (trail, stamp) = name.rsplit_once('_')?;
        let trail = trail.strip_suffix(region)?.strip_suffix('_')?;
        let (trail, end) = (TrailName::parse(trail).ok()?, Timestamp::parse_iso_basic(stamp)?);
        Some(Self::Digest { trail, end, series })
    }
}

impl DigestSeries {
    fn mark(self) -> &'static str {
        match self {
            Self::Backfill => BACKFILL,
            Self::Standard => "",
        }
    }
}

impl LogSuffix {
    /// The suffix that follows from these parts, and so is the same whenever the file is made again.
    pub fn derive(parts: &[&[u8]]) -> Self {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        let letters = hash.iter().take(16).filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        Self(letters.map(|letter| char::from(*letter)).collect())
    }

    fn parse(text: &str) -> Option<Self> {
        let legal = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        legal.then(|| Self(text.to_owned()))
    }

    /// The suffix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `2026/11/21`.
fn day(moment: Timestamp) -> String {
    let date = moment.date();
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default().to_owned();
    format!("{}/{}/{}", part(0..4), part(4..6), part(6..8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(prefix: Option<&str>) -> TrailLayout {
        TrailLayout {
            prefix: prefix.map(|prefix| KeyPrefix::parse(prefix).unwrap()),
            account: AccountId::parse("111122223333").unwrap(),
            region: "us-east-1".to_owned(),
        }
    }

    fn moment() -> Timestamp {
        Timestamp::parse_iso_extended("2015-08-17T15:01:31Z").unwrap()
    }

    #[test]
    fn keys_are_cloudtrails() {
        let (suffix, trail) = (LogSuffix::derive(&[b"a", b"b"]), TrailName::parse("my_trail").unwrap());
        let log = layout(None).log_key(moment(), &suffix);
        assert_eq!(
            log,
            format!(
                "AWSLogs/111122223333/CloudTrail/us-east-1/2015/08/17/111122223333_CloudTrail_us-east-1_20150817T1501Z_{}.json.gz",
                suffix.as_str()
            )
        );
        let digest = layout(Some("a/b")).digest_key(&trail, moment(), DigestSeries::Backfill);
        assert_eq!(
            digest,
            "a/b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2015/08/17/111122223333_CloudTrail-Digest_us-east-1_my_trail_us-east-1_20150817T150131Z_backfill.json.gz"
        );
        // The aws-cli cuts the stamp out of the key by its distance from the end.
        assert_eq!(&digest[digest.len() - 33..digest.len() - 17], "20150817T150131Z");
    }

    #[test]
    fn a_written_key_is_read_back() {
        let trail = TrailName::parse("my_trail").unwrap();
        for prefix in [None, Some("logs"), Some("a/b")] {
            for series in [DigestSeries::Backfill, DigestSeries::Standard] {
                let key = layout(prefix).digest_key(&trail, moment(), series);
                let file = FileName::Digest { trail: trail.clone(), end: moment(), series };
                assert_eq!(FileKey::parse(&key), Some(FileKey { layout: layout(prefix), file }));
            }
            let suffix = LogSuffix::derive(&[]);
            let read = FileKey::parse(&layout(prefix).log_key(moment(), &suffix)).unwrap();
            assert_eq!(read.layout, layout(prefix));
            assert!(matches!(read.file, FileName::Log { suffix: read, .. } if read == suffix));
        }
    }

    #[test]
    fn what_is_not_exactly_a_key_is_none() {
        let key = layout(None).log_key(moment(), &LogSuffix::derive(&[]));
        for bad in [
            key.replace("2015/08/17", "2015/08/18"),
            key.replace(".gz", ""),
            key.replace("/us-east-1/", "/us-west-1/"),
            key.replace("T1501Z", "T1561Z"),
            key.replace("AWSLogs", "awslogs"),
            key.replace("CloudTrail", "CloudTrail-Insight"),
            format!("/{key}"),
            format!("{key}/"),
            String::new(),
        ] {
            assert_eq!(FileKey::parse(&bad), None, "{bad}");
        }
    }

    fn any_prefix() -> impl Strategy<Value = Option<KeyPrefix>> {
        let segment = prop_oneof!["[a-cA-C.]{1,2}", Just("CloudTrail".to_owned()), Just("AWSLogs.".to_owned())];
        let path = proptest::collection::vec(segment, 0..4).prop_map(|parts| parts.join("/"));
        path.prop_map(|text| KeyPrefix::parse(&text).ok())
    }

    proptest! {
        #[test]
        fn no_prefix_leads_into_the_folders_of_another(one in any_prefix(), other in any_prefix()) {
            let folders = |prefix: &Option<KeyPrefix>| {
                let layout = TrailLayout { prefix: prefix.clone(), ..layout(None) };
                [layout.logs(), layout.digests()]
            };
            for (place, folder) in folders(&one).iter().enumerate() {
                for (other_place, within) in folders(&other).iter().enumerate() {
                    prop_assert_eq!(within.starts_with(folder.as_str()), one == other && place == other_place);
                }
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*", tail in "[0-9A-Za-z_./-]{0,60}") {
            FileKey::parse(&text);
            FileKey::parse(&format!("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2015/08/17/{tail}"));
        }
    }
}
