//! The only caller of the system clock, and the written forms of a moment.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const BASIC: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");
const EXTENDED: StaticFormatDescription = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const EXTENDED_MILLIS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const CONSOLE: StaticFormatDescription = format_description!(
    "[month repr:short] [day padding:none], [year] [hour repr:12 padding:none]:[minute]:[second] [period]"
);
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A moment in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment this many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment this many seconds after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment this much later.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How far apart two moments are, whichever comes first.
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// `20261121T094158Z`, as in `x-amz-date`.
    pub fn iso_basic(self) -> String {
        self.written(BASIC)
    }

    /// `20261121`, as in a credential scope.
    pub fn date(self) -> String {
        let mut text = self.written(BASIC);
        text.truncate(8);
        text
    }

    /// `2026-11-21T09:41:58Z`, as in a CloudTrail record.
    pub fn iso_extended(self) -> String {
        self.written(EXTENDED)
    }

    /// `2026-11-21T09:41:58.123Z`, as in S3's XML.
    pub fn iso_millis(self) -> String {
        self.written(EXTENDED_MILLIS)
    }

    /// `Nov 21, 2026 9:41:58 AM`, as CloudTrail writes the times in IAM's answers.
    pub fn console(self) -> String {
        self.written(CONSOLE)
    }

    /// `Sat, 21 Nov 2026 09:41:58 GMT`, as in `Date`.
    pub fn http_date(self) -> String {
        self.written(HTTP_DATE)
    }

    /// Reads `20261121T094158Z`.
    pub fn parse_iso_basic(text: &str) -> Option<Self> {
        Self::read(text, BASIC, 16)
    }

    /// Reads `2026-11-21T09:41:58Z`.
    pub fn parse_iso_extended(text: &str) -> Option<Self> {
        Self::read(text, EXTENDED, 20)
    }

    /// Reads `Sat, 21 Nov 2026 09:41:58 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        Self::read(text, HTTP_DATE, 29)
    }

    /// The moment as the standard library counts it.
    pub fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// The moment of a file's time stamp and the like.
    pub fn of(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => Self(i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)),
        }
    }

    fn read(text: &str, format: StaticFormatDescription, length: usize) -> Option<Self> {
        if text.len() != length {
            return None;
        }
        let parsed = time::PrimitiveDateTime::parse(text, format).ok()?;
        Some(Self::from_seconds(parsed.assume_utc().unix_timestamp()))
    }

    fn written(self, format: StaticFormatDescription) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(format).ok())
            .unwrap_or_else(|| "0000-00-00T00:00:00Z".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.iso_extended())
    }
}

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// A clock that tests move by hand, in milliseconds since the Unix epoch.
    Set(Arc<AtomicI64>),
    /// The machine's clock.
    System,
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Set(millis) => Timestamp(millis.load(Ordering::SeqCst)),
            Self::System => Timestamp::of(SystemTime::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_the_written_forms_of_sigv4_cloudtrail_and_http() {
        let moment = Timestamp::from_millis(1_440_938_160_123);
        assert_eq!(moment.iso_basic(), "20150830T123600Z");
        assert_eq!(moment.date(), "20150830");
        assert_eq!(moment.iso_extended(), "2015-08-30T12:36:00Z");
        assert_eq!(moment.iso_millis(), "2015-08-30T12:36:00.123Z");
        assert_eq!(moment.http_date(), "Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(moment.console(), "Aug 30, 2015 12:36:00 PM");
    }

    #[test]
    fn only_the_exact_written_form_is_read_back() {
        let moment = Some(Timestamp::from_seconds(1_440_938_160));
        assert_eq!(Timestamp::parse_iso_basic("20150830T123600Z"), moment);
        assert_eq!(Timestamp::parse_iso_extended("2015-08-30T12:36:00Z"), moment);
        assert_eq!(Timestamp::parse_http_date("Sun, 30 Aug 2015 12:36:00 GMT"), moment);
        for bad in
            ["", "20150830T123600", "20150830T123600Z ", "20150830T1236 0Z", "20151330T123600Z", "20150830t123600z"]
        {
            assert_eq!(Timestamp::parse_iso_basic(bad), None, "{bad}");
        }
    }
}
