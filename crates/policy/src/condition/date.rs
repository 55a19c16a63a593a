//! Moments as policies write them: ISO 8601 with a zone, a date alone, or seconds since the Unix epoch.

use portcullis_base::clock::Timestamp;

/// Reads `2026-11-28T09:30:00Z`, `2026-11-28T09:30+01:00`, `2026-11-28` or `1795858200`.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    if text.len() <= 12 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Timestamp::from_seconds);
    }
    let Some((date, time)) = text.split_once('T') else {
        return Timestamp::parse_iso_extended(&format!("{text}T00:00:00Z"));
    };
    let (time, zone) = zoned(time)?;
    let (clock, millis) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, thousandths(fraction)?),
        None => (time, 0),
    };
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    let moment = Timestamp::parse_iso_extended(&format!("{date}T{clock}{seconds}Z"))?;
    Some(Timestamp::from_millis(moment.millis() + millis - zone * 60_000))
}

/// The time without its zone, and the zone's minutes.
fn zoned(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let (time, zone) = time.split_at_checked(time.len().checked_sub(6)?)?;
    let (sign, zone) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(zone), _) => (1, zone),
        (None, Some(zone)) => (-1, zone),
        (None, None) => return None,
    };
    let (hours, minutes) = zone.split_once(':')?;
    Some((time, sign * (two_digits(hours, 23)? * 60 + two_digits(minutes, 59)?)))
}

fn two_digits(text: &str, most: i64) -> Option<i64> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && *number <= most)
}

/// The milliseconds of a fraction; what is finer is not kept.
fn thousandths(fraction: &str) -> Option<i64> {
    let is_number = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let millis = format!("{fraction:0<3}");
    millis.get(..3)?.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_has_several_forms() {
        let noon = Timestamp::parse_iso_extended("2026-11-28T12:00:00Z");
        for text in [
            "2026-11-28T12:00:00Z",
            "2026-11-28T12:00Z",
            "2026-11-28T12:00:00.000Z",
            "2026-11-28T13:30:00+01:30",
            "2026-11-28T07:00-05:00",
            "1795867200",
        ] {
            assert_eq!(moment(text), noon, "{text}");
        }
        assert_eq!(moment("2026-11-28"), Timestamp::parse_iso_extended("2026-11-28T00:00:00Z"));
        assert_eq!(moment("2026-11-28T12:00:00.25Z").map(Timestamp::millis), noon.map(|noon| noon.millis() + 250));
        assert_eq!(moment("2026-11-28T12:00:00.1239Z").map(Timestamp::millis), noon.map(|noon| noon.millis() + 123));
        assert_eq!(moment("0"), Some(Timestamp::from_millis(0)));
    }

    #[test]
    fn what_has_no_zone_or_no_day_is_no_moment() {
        for text in [
            "",
            "soon",
            "2026-11-28T12:00:00",
            "2026-13-01",
            "2026-11-31",
            "2026-11-28T24:00:00Z",
            "2026-11-28T12Z",
            "2026-11-28T12:00:00+0100",
            "2026-11-28T12:00:00+24:00",
            "2026-11-28T12:00:00+01:60",
            "2026-11-28T12:00:00.Z",
            "2026-11-28T12:00:00.1234567890Z",
            "2026-11-28t12:00:00z",
            "2026-11-28T12:00:00+-1:00",
            "-1",
            "1234567890123",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
