//! Which records are wanted.

use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::lookup::HistoryQuery;
use portcullis_cloudtrail::record::{EventView, LookupAttribute};
use portcullis_server::config::parse_duration;

/// Which records are wanted; one without attributes and times admits all.
#[derive(Clone, Debug, Default)]
pub(super) struct EventFilter {
    /// All of these, as they were typed.
    attributes: Vec<(LookupAttribute, String)>,
    /// The same as records have them.
    normal: Vec<(LookupAttribute, String)>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// From when on: so long ago, or at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SinceTime {
    Ago(std::time::Duration),
    Moment(Timestamp),
}

impl SinceTime {
    /// Reads `1h` or `2026-11-21T09:41:58Z`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(moment) = Timestamp::parse_iso_extended(text) {
            return Ok(Self::Moment(moment));
        }
        parse_duration(text).map(Self::Ago).map_err(|_| {
            "expected a duration, for example 10m, 1h or 7d, or a time, for example 2026-11-21T09:41:58Z".to_owned()
        })
    }

    /// The moment that it means now.
    pub(super) fn moment(self, now: Timestamp) -> Timestamp {
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
    /// Admits what has all of these values, and is of no other time.
    pub(super) fn new(
        attributes: Vec<(LookupAttribute, String)>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Self {
        let normal = attributes.iter().map(|(attribute, value)| (*attribute, attribute.normal(value))).collect();
        Self { attributes, normal, since, until }
    }

    /// Whether the record is wanted.
    pub(super) fn admits(&self, record: &EventView<'_>) -> bool {
        // A record without a readable time is shown rather than lost.
        record.has_all(&self.normal) && record.time().is_none_or(|time| self.reaches(time))
    }

    /// The same question for the history.
    pub(super) fn query(&self, limit: usize) -> HistoryQuery {
        HistoryQuery {
            attributes: self.attributes.clone(),
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
