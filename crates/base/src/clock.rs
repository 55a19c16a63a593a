//! The only caller of the system clock, and the written forms of a moment.

mod watched;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, Time};

#[cfg(any(test, feature = "test-support"))]
pub use watched::SetClocks;
pub use watched::{BootTime, ClockDisagreement, WatchedClock};

const EXTENDED_MILLIS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const CONSOLE: StaticFormatDescription = format_description!(
    "[month repr:short] [day padding:none], [year] [hour repr:12 padding:none]:[minute]:[second] [period]"
);
const SPOKEN: StaticFormatDescription = format_description!(
    "[month repr:short] [day padding:none], [year], [hour repr:12 padding:none]:[minute]:[second] [period]"
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
        self.iso("", "")
    }

    /// `20261121`, as in a credential scope.
    pub fn date(self) -> String {
        let mut text = self.iso_basic();
        text.truncate(8);
        text
    }

    /// `2026-11-21T09:41:58Z`, as in a CloudTrail record.
    pub fn iso_extended(self) -> String {
        self.iso("-", ":")
    }

    /// `2026-11-21T09:41:58.123Z`, as in S3's XML.
    pub fn iso_millis(self) -> String {
        self.written(EXTENDED_MILLIS)
    }

    /// `Nov 21, 2026 9:41:58 AM`, as CloudTrail writes the times in IAM's answers.
    pub fn console(self) -> String {
        self.written(CONSOLE)
    }

    /// `Nov 21, 2026, 9:41:58 AM`, as CloudTrail writes the times in calls of its own.
    pub fn spoken(self) -> String {
        self.written(SPOKEN)
    }

    /// `Sat, 21 Nov 2026 09:41:58 GMT`, as in `Date`.
    pub fn http_date(self) -> String {
        self.written(HTTP_DATE)
    }

    /// Reads `20261121T094158Z`.
    pub fn parse_iso_basic(text: &str) -> Option<Self> {
        let [year @ .., m1, m2, d1, d2, b'T', h1, h2, n1, n2, s1, s2, b'Z'] = text.as_bytes() else { return None };
        Self::of_fields(year, [[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]])
    }

    /// Reads `2026-11-21T09:41:58Z`.
    pub fn parse_iso_extended(text: &str) -> Option<Self> {
        let [year @ .., b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = text.as_bytes()
        else {
            return None;
        };
        Self::of_fields(year, [[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]])
    }

    /// Reads `Sat, 21 Nov 2026 09:41:58 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        if text.len() != 29 {
            return None;
        }
        let parsed = time::PrimitiveDateTime::parse(text, HTTP_DATE).ok()?;
        Some(Self::from_seconds(parsed.assume_utc().unix_timestamp()))
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

    /// Reads four digits and five times two.
    fn of_fields(year: &[u8], rest: [[&u8; 2]; 5]) -> Option<Self> {
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
        let &[thousands, hundreds, tens, ones] = year.as_array::<4>()?;
        let year = [thousands, hundreds, tens, ones].iter().try_fold(0, |year, byte| Some(year * 10 + digit(byte)?))?;
        let two = |[tens, ones]: [&u8; 2]| u8::try_from(digit(tens)? * 10 + digit(ones)?).ok();
        let [month, day, hour, minute, second] = rest.map(two);
        let date = Date::from_calendar_date(year, Month::try_from(month?).ok()?, day?).ok()?;
        let time = Time::from_hms(hour?, minute?, second?).ok()?;
        Some(Self::from_seconds(date.with_time(time).assume_utc().unix_timestamp()))
    }

    /// The forms that every request needs: written by hand, which is several times faster than by a description.
    fn iso(self, between_days: &str, between_hours: &str) -> String {
        let mut out = String::with_capacity(20);
        let Ok(moment) = OffsetDateTime::from_unix_timestamp(self.seconds()) else { return Self::NEVER.to_owned() };
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        let Ok(year) = u16::try_from(year) else { return Self::NEVER.to_owned() };
        let mut two = |number: u16, after: &str| {
            let at = usize::from(number % 100) * 2;
            out.push_str(TWO_DIGITS.get(at..at + 2).unwrap_or("00"));
            out.push_str(after);
        };
        two(year / 100, "");
        two(year, between_days);
        two(u16::from(u8::from(month)), between_days);
        two(u16::from(day), "T");
        two(u16::from(hour), between_hours);
        two(u16::from(minute), between_hours);
        two(u16::from(second), "Z");
        out
    }

    fn written(self, format: StaticFormatDescription) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(format).ok())
            .unwrap_or_else(|| Self::NEVER.to_owned())
    }

    /// What stands for a moment that no calendar has.
    const NEVER: &str = "0000-00-00T00:00:00Z";
}

const TWO_DIGITS: &str = "0001020304050607080910111213141516171819\
                          2021222324252627282930313233343536373839\
                          4041424344454647484950515253545556575859\
                          6061626364656667686970717273747576777879\
                          8081828384858687888990919293949596979899";

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
    /// What the machine's clock should say, also while it is set to something else.
    Steady(Arc<WatchedClock>),
    /// The machine's clock.
    System,
    /// The machine's clock, held against the time since its boot.
    Watched(Arc<WatchedClock>),
}

impl Clock {
    /// The machine's clock, compared with the time since boot.
    pub fn watched() -> Self {
        Self::Watched(Arc::new(WatchedClock::machine()))
    }

    /// A clock that stands still.
    #[cfg(any(test, feature = "test-support"))]
    pub fn standing_at(now: Timestamp) -> Self {
        Self::Set(Arc::new(AtomicI64::new(now.millis())))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Set(millis) => Timestamp(millis.load(Ordering::SeqCst)),
            Self::Steady(clock) => clock.check().unwrap_or_else(|disagreement| disagreement.expected),
            Self::System => Timestamp::of(SystemTime::now()),
            Self::Watched(clock) => clock.wall(),
        }
    }

    /// The time now, unless the clock was set since the machine's boot. Only a watched clock can tell.
    pub fn check(&self) -> Result<Timestamp, ClockDisagreement> {
        match self {
            Self::Watched(clock) => clock.check(),
            Self::Set(_) | Self::Steady(_) | Self::System => Ok(self.now()),
        }
    }

    /// The clock for what must not follow a clock that is set, but go on as time passes.
    pub fn steady(&self) -> Self {
        match self {
            Self::Watched(clock) => Self::Steady(Arc::clone(clock)),
            Self::Set(_) | Self::Steady(_) | Self::System => self.clone(),
        }
    }

    /// What the clock should say by the time since the boot; `now` where it is not held against that.
    pub fn expected(&self, now: Timestamp) -> Timestamp {
        self.watch().map_or(now, WatchedClock::expected)
    }

    /// The time since the machine's boot, by which spans are measured: setting the clock does not change it.
    pub fn since_boot(&self) -> Duration {
        match self {
            Self::Set(millis) => Duration::from_millis(u64::try_from(millis.load(Ordering::SeqCst)).unwrap_or(0)),
            Self::Steady(clock) | Self::Watched(clock) => clock.since_boot(),
            Self::System => watched::since_boot(),
        }
    }

    /// The clock's watch, where it has one.
    pub fn watch(&self) -> Option<&WatchedClock> {
        match self {
            Self::Steady(clock) | Self::Watched(clock) => Some(clock),
            Self::Set(_) | Self::System => None,
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
        assert_eq!(moment.spoken(), "Aug 30, 2015, 12:36:00 PM");
        assert_eq!(Timestamp::from_seconds(1_761_436_852).spoken(), "Oct 26, 2025, 12:00:52 AM");
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

    proptest::proptest! {
        #[test]
        fn every_second_of_four_digit_years_is_read_as_it_is_written(seconds in -62_167_219_200_i64..253_402_300_800) {
            let moment = Timestamp::from_seconds(seconds);
            proptest::prop_assert_eq!(Timestamp::parse_iso_basic(&moment.iso_basic()), Some(moment));
            proptest::prop_assert_eq!(Timestamp::parse_iso_extended(&moment.iso_extended()), Some(moment));
            proptest::prop_assert_eq!(moment.iso_millis().replace(".000", ""), moment.iso_extended());
        }

        #[test]
        fn reading_never_panics(text in ".*") {
            let read = [Timestamp::parse_iso_basic(&text), Timestamp::parse_iso_extended(&text)].into_iter().flatten();
            proptest::prop_assert!(read.map(Timestamp::iso_basic).all(|written| written.len() == 16));
        }
    }
}
