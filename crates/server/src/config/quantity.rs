//! Durations and sizes, as written in a configuration.

use std::time::Duration;

use thiserror::Error;

/// Why a text is not a quantity.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidQuantity {
    #[error("a duration is a number and one of ms, s, m, h, d, for example \"10s\"")]
    Duration,
    #[error("a size is a number of bytes, or a number and one of KiB, MiB, GiB, for example \"64 MiB\"")]
    Size,
    #[error("the number is too large")]
    TooLarge,
}

/// Reads `500ms`, `10s`, `5m`, `1h` or `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidQuantity> {
    let (number, unit) = split(text).ok_or(InvalidQuantity::Duration)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err(InvalidQuantity::Duration),
    };
    // At most a century, so that sums of timestamps stay in range.
    let span = number.checked_mul(millis).map(Duration::from_millis).ok_or(InvalidQuantity::TooLarge)?;
    if span > Duration::from_secs(100 * 366 * 24 * 60 * 60) { Err(InvalidQuantity::TooLarge) } else { Ok(span) }
}

/// Reads `65536`, `32 KiB`, `2 MiB` or `1 GiB`.
pub fn parse_size(text: &str) -> Result<u64, InvalidQuantity> {
    let (number, unit) = split(text).ok_or(InvalidQuantity::Size)?;
    let bytes: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(InvalidQuantity::Size),
    };
    number.checked_mul(bytes).ok_or(InvalidQuantity::TooLarge)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("7 d"), Ok(Duration::from_secs(7 * 86_400)));
        for bad in ["", "10", "s", "-1s", "1.5s", "1 week", "1sec"] {
            assert_eq!(parse_duration(bad), Err(InvalidQuantity::Duration), "{bad}");
        }
        assert_eq!(parse_duration("18446744073709551615d"), Err(InvalidQuantity::TooLarge));
    }

    #[test]
    fn a_size_is_in_binary_units() {
        assert_eq!(parse_size("65536"), Ok(65_536));
        assert_eq!(parse_size("64 MiB"), Ok(64 << 20));
        assert_eq!(parse_size("32KiB"), Ok(32 << 10));
        for bad in ["", "64 MB", "-1", "1e3", "MiB"] {
            assert_eq!(parse_size(bad), Err(InvalidQuantity::Size), "{bad}");
        }
        assert_eq!(parse_size("18446744073709551615 GiB"), Err(InvalidQuantity::TooLarge));
    }
}
