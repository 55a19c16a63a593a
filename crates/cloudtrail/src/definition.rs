//! A trail as it was defined: what it records, and where to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{EventSelectors, InvalidKeyPrefix, InvalidTrailName, KeyPrefix, SelectorError, TrailName};
use crate::record::EventView;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, BucketName, InvalidName};

/// A trail, complete but for how far it was delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Trail {
    pub name: TrailName,
    pub bucket: BucketName,
    pub prefix: Option<KeyPrefix>,
    pub created: Timestamp,
    pub selectors: EventSelectors,
    /// As earlier versions took them, so that a stored trail is read whole; nothing acts on them or shows them.
    pub insight_selectors: Value,
    pub tags: BTreeMap<String, String>,
    pub validation: LogFileValidation,
    pub logging: TrailLogging,
    pub digest_period: DigestPeriod,
    /// `IncludeGlobalServiceEvents`.
    pub global_events: bool,
    /// `IsMultiRegionTrail`.
    pub multi_region: bool,
}

/// Whether digests are made, so that the log files can be validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFileValidation {
    Disabled,
    Enabled,
}

/// Whether events are delivered, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrailLogging {
    Never,
    Started { at: Timestamp },
    Stopped { started: Timestamp, at: Timestamp },
}

/// How long one digest's window is: from a minute to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestPeriod(Duration);

/// Why a text is no trail.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidTrail {
    #[error("bucket: {0}")]
    Bucket(InvalidName),
    #[error("digest period is not 60 seconds to 24 hours: {0} s")]
    DigestPeriod(u64),
    #[error("not the fields of a trail: {0}")]
    Fields(String),
    #[error("name: {0}")]
    Name(InvalidTrailName),
    #[error("prefix: {0}")]
    Prefix(InvalidKeyPrefix),
    #[error("selectors: {0}")]
    Selectors(SelectorError),
}

/// Whose events are global service events, in CloudTrail's documentation.
const GLOBAL_SERVICES: [&str; 3] = ["cloudfront.amazonaws.com", "iam.amazonaws.com", "sts.amazonaws.com"];

impl Trail {
    /// A new trail with CloudTrail's defaults: all management events, log file validation, not yet logging.
    pub fn new(name: TrailName, bucket: BucketName, created: Timestamp) -> Self {
        Self {
            name,
            bucket,
            prefix: None,
            created,
            selectors: EventSelectors::standard(),
            insight_selectors: Value::Array(Vec::new()),
            tags: BTreeMap::new(),
            validation: LogFileValidation::Enabled,
            logging: TrailLogging::Never,
            digest_period: DigestPeriod::HOUR,
            global_events: true,
            multi_region: false,
        }
    }

    /// Whether both deliver to one place and at least one is to be proven there: the names of log files do not tell
    /// trails apart, so what no digest of a trail names beside its own files counts as forged.
    pub fn disturbs(&self, other: &Self) -> bool {
        let is_validated = |trail: &Self| trail.validation == LogFileValidation::Enabled;
        self.name != other.name && self.has_place_of(other) && (is_validated(self) || is_validated(other))
    }

    /// Whether both deliver to one place: their prefixes are the same, since no prefix leads into another's folders.
    pub fn has_place_of(&self, other: &Self) -> bool {
        (&self.bucket, &self.prefix) == (&other.bucket, &other.prefix)
    }

    /// Whether logging was ever started. It never becomes untrue again: a trail that was stopped has logged.
    pub fn has_logged(&self) -> bool {
        match self.logging {
            TrailLogging::Never => false,
            TrailLogging::Started { .. } | TrailLogging::Stopped { .. } => true,
        }
    }

    /// Whether the trail records the event; one that cannot be judged, it does.
    pub fn admits(&self, event: &EventView<'_>) -> bool {
        let is_global = event.event_source.text().is_some_and(|source| GLOBAL_SERVICES.contains(&source));
        !event.is_complete() || (self.global_events || !is_global) && self.selectors.admits(event)
    }

    /// The trail's ARN.
    pub fn arn(&self, account: &AccountId, region: &str) -> String {
        format!("arn:aws:cloudtrail:{region}:{account}:trail/{}", self.name)
    }

    /// The trail as it is stored.
    pub fn to_json(&self) -> Value {
        let (state, started, stopped) = match self.logging {
            TrailLogging::Never => (LoggingJson::Never, None, None),
            TrailLogging::Started { at } => (LoggingJson::Started, Some(at), None),
            TrailLogging::Stopped { started, at } => (LoggingJson::Stopped, Some(started), Some(at)),
        };
        let stored = TrailJson {
            name: self.name.as_str().to_owned(),
            bucket: self.bucket.as_str().to_owned(),
            prefix: self.prefix.as_ref().map(|prefix| prefix.as_str().to_owned()),
            created: self.created.millis(),
            selectors: self.selectors.to_json(),
            insight_selectors: self.insight_selectors.clone(),
            tags: self.tags.clone(),
            validation: self.validation == LogFileValidation::Enabled,
            logging: state,
            started: started.map(Timestamp::millis),
            stopped: stopped.map(Timestamp::millis),
            digest_period: self.digest_period.duration().as_secs(),
            global_events: self.global_events,
            multi_region: self.multi_region,
        };
        serde_json::to_value(stored).unwrap_or(Value::Null)
    }

    /// Reads a trail as it was stored; what is not known of is an error.
    pub fn from_json(json: &Value) -> Result<Self, InvalidTrail> {
        let fields = |error: serde_json::Error| InvalidTrail::Fields(error.to_string());
        let stored = TrailJson::deserialize(json).map_err(fields)?;
        let moment = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        let logging = match (stored.logging, moment(stored.started), moment(stored.stopped)) {
            (LoggingJson::Never, None, None) => TrailLogging::Never,
            (LoggingJson::Started, Some(at), None) => TrailLogging::Started { at },
            (LoggingJson::Stopped, Some(started), Some(at)) => TrailLogging::Stopped { started, at },
            (LoggingJson::Never | LoggingJson::Started | LoggingJson::Stopped, _, _) => {
                return Err(InvalidTrail::Fields("times do not fit the state of logging".to_owned()));
            }
        };
        Ok(Self {
            name: TrailName::parse(&stored.name).map_err(InvalidTrail::Name)?,
            bucket: BucketName::parse(&stored.bucket).map_err(InvalidTrail::Bucket)?,
            prefix: stored.prefix.as_deref().map(KeyPrefix::parse).transpose().map_err(InvalidTrail::Prefix)?,
            created: Timestamp::from_millis(stored.created),
            selectors: EventSelectors::from_json(&stored.selectors).map_err(InvalidTrail::Selectors)?,
            insight_selectors: stored.insight_selectors,
            tags: stored.tags,
            validation: if stored.validation { LogFileValidation::Enabled } else { LogFileValidation::Disabled },
            logging,
            digest_period: DigestPeriod::parse(Duration::from_secs(stored.digest_period))?,
            global_events: stored.global_events,
            multi_region: stored.multi_region,
        })
    }
}

impl DigestPeriod {
    /// CloudTrail's own.
    pub const HOUR: Self = Self(Duration::from_secs(3600));

    /// Takes whole seconds, from a minute to a day.
    pub fn parse(period: Duration) -> Result<Self, InvalidTrail> {
        let seconds = period.as_secs();
        if !(60..=86_400).contains(&seconds) || period.subsec_nanos() != 0 {
            return Err(InvalidTrail::DigestPeriod(seconds));
        }
        Ok(Self(period))
    }

    /// The period's length.
    pub fn duration(self) -> Duration {
        self.0
    }
}

/// The stored form.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrailJson {
    name: String,
    bucket: String,
    prefix: Option<String>,
    created: i64,
    selectors: Value,
    insight_selectors: Value,
    tags: BTreeMap<String, String>,
    validation: bool,
    logging: LoggingJson,
    started: Option<i64>,
    stopped: Option<i64>,
    digest_period: u64,
    global_events: bool,
    multi_region: bool,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum LoggingJson {
    Never,
    Started,
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn trail() -> Trail {
        let name = TrailName::parse("main").unwrap();
        let mut trail = Trail::new(name, BucketName::parse("trail-bucket").unwrap(), Timestamp::from_millis(1_234));
        trail.prefix = Some(KeyPrefix::parse("a/b").unwrap());
        trail.tags.insert("team".to_owned(), "red".to_owned());
        trail.digest_period = DigestPeriod::parse(Duration::from_secs(60)).unwrap();
        trail
    }

    #[test]
    fn a_stored_trail_is_read_back() {
        let at = |millis| Timestamp::from_millis(millis);
        for logging in [
            TrailLogging::Never,
            TrailLogging::Started { at: at(5) },
            TrailLogging::Stopped { started: at(5), at: at(9) },
        ] {
            let trail = Trail { logging, ..trail() };
            assert_eq!(Trail::from_json(&trail.to_json()), Ok(trail));
        }
    }

    #[test]
    fn what_is_not_known_of_is_an_error() {
        let mut json = trail().to_json();
        json["paused"] = json!(true);
        assert!(matches!(Trail::from_json(&json), Err(InvalidTrail::Fields(_))));
        let mut json = trail().to_json();
        json["stopped"] = json!(1);
        assert!(matches!(Trail::from_json(&json), Err(InvalidTrail::Fields(_))));
        let mut json = trail().to_json();
        json["digestPeriod"] = json!(59);
        assert_eq!(Trail::from_json(&json), Err(InvalidTrail::DigestPeriod(59)));
        assert!(Trail::from_json(&Value::Null).is_err());
    }

    #[test]
    fn two_trails_disturb_each_other_in_one_place_if_one_of_them_is_validated() {
        let named = |name: &str| Trail { name: TrailName::parse(name).unwrap(), ..trail() };
        let unproved = |trail: Trail| Trail { validation: LogFileValidation::Disabled, ..trail };
        let (main, other) = (named("main"), named("other"));
        assert!(main.disturbs(&other) && other.disturbs(&main));
        assert!(unproved(main.clone()).disturbs(&other) && main.disturbs(&unproved(other.clone())));
        assert!(!unproved(main.clone()).disturbs(&unproved(other.clone())), "nothing is to be proven");
        assert!(!main.disturbs(&main), "it is one trail");
        for prefix in [None, Some("a"), Some("a/b/c"), Some("A/b")] {
            let prefix = prefix.map(|prefix| KeyPrefix::parse(prefix).unwrap());
            assert!(!main.disturbs(&Trail { prefix, ..other.clone() }));
        }
        let bucket = BucketName::parse("other-bucket").unwrap();
        assert!(!main.disturbs(&Trail { bucket, ..other }));
    }

    #[test]
    fn global_service_events_are_left_out_where_the_trail_says_so() {
        use crate::record::event;
        for (source, is_global) in [
            ("s3.amazonaws.com", false),
            ("cloudtrail.amazonaws.com", false),
            ("iam.amazonaws.com", true),
            ("sts.amazonaws.com", true),
        ] {
            let line = event("CreateUser", "Management", "").replace("s3.amazonaws.com", source);
            let view = EventView::read(line.as_bytes()).unwrap();
            assert!(trail().admits(&view), "{source}");
            assert_eq!(Trail { global_events: false, ..trail() }.admits(&view), !is_global, "{source}");
        }
        let data = event("GetObject", "Data", "");
        assert!(!trail().admits(&EventView::read(data.as_bytes()).unwrap()), "the selectors count");
    }

    #[test]
    fn the_arn_is_cloudtrails() {
        let account = AccountId::parse("123456789012").unwrap();
        assert_eq!(trail().arn(&account, "us-east-1"), "arn:aws:cloudtrail:us-east-1:123456789012:trail/main");
    }
}
