//! Which records are wanted.

use serde_json::Value;

use portcullis_base::clock::Timestamp;
use portcullis_followers::history::{self, HistoryQuery, LookupAttribute};
use portcullis_server::config::parse_duration;

/// Which records are wanted; what is not set admits all.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    pub bucket: Option<String>,
    pub event_name: Option<String>,
    pub principal: Option<String>,
    pub error: Option<String>,
    pub source_ip: Option<String>,
    pub resource: Option<String>,
    pub mfa_result: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// From when on: so long ago, or at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinceTime {
    Ago(std::time::Duration),
    Moment(Timestamp),
}

impl SinceTime {
    /// Reads `1h` or `2026-11-21T09:41:58Z`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(moment) = Timestamp::parse_iso_extended(text) {
            return Ok(Self::Moment(moment));
        }
        parse_duration(text).map(Self::Ago).map_err(|_| {
            "write a span of time, as in 10m, 1h or 7d, or a moment, as in 2026-11-21T09:41:58Z".to_owned()
        })
    }

    /// The moment that it means now.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => {
                let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.millis().saturating_sub(millis))
            }
            Self::Moment(moment) => moment,
        }
    }
}

impl EventFilter {
    /// Whether the record is wanted.
    pub fn admits(&self, record: &Value) -> bool {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let is = |wanted: &Option<String>, found: Option<&str>| match wanted {
            Some(wanted) => found == Some(wanted.as_str()),
            None => true,
        };
        self.bucket.as_ref().is_none_or(|wanted| history::names_bucket(&record.to_string(), wanted))
            && is(&self.error, text("/errorCode"))
            && self
                .event_name
                .as_ref()
                .is_none_or(|wanted| text("/eventName").is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
            && self.principal.as_ref().is_none_or(|wanted| is_caller(record, wanted))
            && is(&self.source_ip, text("/sourceIPAddress"))
            && is(&self.mfa_result, text("/additionalEventData/MfaDelete/result"))
            && self.resource.as_ref().is_none_or(|wanted| history::names_resource(&record.to_string(), wanted))
            // A record without a readable time is shown rather than lost.
            && text("/eventTime").and_then(Timestamp::parse_iso_extended).is_none_or(|time| self.reaches(time))
    }

    /// The same question for the history.
    pub fn query(&self, limit: usize) -> HistoryQuery {
        let attributes = [
            (LookupAttribute::BucketName, &self.bucket),
            (LookupAttribute::EventNameAnyCase, &self.event_name),
            (LookupAttribute::Principal, &self.principal),
            (LookupAttribute::ErrorCode, &self.error),
            (LookupAttribute::SourceIpAddress, &self.source_ip),
            (LookupAttribute::ResourceName, &self.resource),
            (LookupAttribute::MfaResult, &self.mfa_result),
        ];
        let wanted = |(attribute, value): (LookupAttribute, &Option<String>)| Some((attribute, value.clone()?));
        HistoryQuery {
            attributes: attributes.into_iter().filter_map(wanted).collect(),
            start: self.since,
            end: self.until,
            ..HistoryQuery::all(limit)
        }
    }

    fn reaches(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time.seconds() >= since.seconds())
            && self.until.is_none_or(|until| time.seconds() <= until.seconds())
    }
}

fn is_caller(record: &Value, wanted: &str) -> bool {
    let Some(identity) = record.get("userIdentity") else { return false };
    let text = |name: &str| identity.get(name).and_then(Value::as_str);
    match wanted {
        "root" => text("type") == Some("Root"),
        "anonymous" => text("accountId") == Some("anonymous"),
        // An account's alias is root's user name, and must not pass for a user's.
        _ if text("type") == Some("Root") => text("arn") == Some(wanted) || text("accessKeyId") == Some(wanted),
        _ => ["userName", "arn", "accessKeyId", "principalId"].iter().any(|name| text(name) == Some(wanted)),
    }
}
