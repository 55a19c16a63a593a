//! How a written value becomes what a setting means; each refusal says what to write instead.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::quantity::{parse_duration, parse_size};
use portcullis_base::bucket_pattern::BucketPattern;
use portcullis_base::network::IpNetwork;
use portcullis_base::setting::WordSetting;
use portcullis_http::Endpoint;
use portcullis_mfa::CodeDigits;

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SettingValue {
    Integer(i64),
    List(Vec<Self>),
    /// From the environment, where everything is text.
    Plain(String),
    Text(String),
    /// A kind that no setting takes.
    Unusable(&'static str),
}

/// What a reader says of a value it does not take.
pub(super) type ValueHint = String;

impl SettingValue {
    pub(super) fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Array(values) => Self::List(values.iter().map(|value| Self::of(value.get_ref())).collect()),
            DeValue::Boolean(_) => Self::Unusable("true or false"),
            DeValue::Datetime(_) => Self::Unusable("a date"),
            DeValue::Float(_) => Self::Unusable("a number with a fraction"),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Self::Integer(number),
                Err(_) => Self::Unusable("a number too large"),
            },
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Table(_) => Self::Unusable("a table"),
        }
    }

    /// The text, if it is one.
    fn text(&self, instead: &str) -> Result<&str, ValueHint> {
        match self {
            Self::Plain(text) | Self::Text(text) => Ok(text),
            Self::Integer(_) | Self::List(_) | Self::Unusable(_) => {
                Err(format!("this is {}; write {instead}", self.kind()))
            }
        }
    }

    /// The texts, if it is a list of them.
    fn texts(&self, example: &str, entry: &str) -> Result<Vec<&str>, ValueHint> {
        match self {
            Self::List(values) => {
                values.iter().map(|value| value.text(&format!("a string, for example {entry}"))).collect()
            }
            Self::Plain(text) => Ok(text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()),
            Self::Integer(_) | Self::Text(_) | Self::Unusable(_) => {
                Err(format!("this is {}; write a list, for example {example}", self.kind()))
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a number",
            Self::List(_) => "a list",
            Self::Plain(_) | Self::Text(_) => "a string",
            Self::Unusable(kind) => kind,
        }
    }
}

/// An address and a port to listen on.
pub(super) fn address(value: &SettingValue) -> Result<SocketAddr, ValueHint> {
    let text = value.text("a string, for example \"127.0.0.1:9000\"")?;
    text.parse().map_err(|_| format!("`{text}` is not ADDRESS:PORT; write for example \"127.0.0.1:9000\""))
}

/// One of a few words.
pub(super) fn choice<T: WordSetting>(value: &SettingValue) -> Result<T, ValueHint> {
    let words = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let text = value.text(&format!("one of {words}"))?;
    T::WORDS
        .iter()
        .find_map(|&(word, value)| (word == text).then_some(value))
        .ok_or_else(|| format!("`{text}` is not one of {words}"))
}

/// A whole number in a range.
pub(super) fn count(range: RangeInclusive<u32>) -> impl Fn(&SettingValue) -> Result<u32, ValueHint> {
    move |value| {
        let (low, high) = (range.start(), range.end());
        let number = match value {
            SettingValue::Integer(number) => u32::try_from(*number).ok(),
            SettingValue::Plain(text) => text.parse().ok(),
            SettingValue::List(_) | SettingValue::Text(_) | SettingValue::Unusable(_) => {
                return Err(format!("this is {}; write a whole number from {low} to {high}", value.kind()));
            }
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("write a whole number from {low} to {high}"))
    }
}

/// The length of a code.
pub(super) fn digits(value: &SettingValue) -> Result<CodeDigits, ValueHint> {
    let count = match value {
        SettingValue::Integer(count) => u8::try_from(*count).ok(),
        SettingValue::Plain(text) => text.parse().ok(),
        SettingValue::List(_) | SettingValue::Text(_) | SettingValue::Unusable(_) => None,
    };
    count.and_then(CodeDigits::parse).ok_or_else(|| "codes have 6 or 8 digits; write 6 or 8".to_owned())
}

/// A span of time in a range.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&SettingValue) -> Result<Duration, ValueHint> {
    move |value| {
        let text = value.text("a string, for example \"10s\"")?;
        let span = parse_duration(text).map_err(|invalid| format!("`{text}`: {invalid}"))?;
        if range.contains(&span) {
            return Ok(span);
        }
        Err(format!("`{text}` is out of range; write {:?} to {:?}", range.start(), range.end()))
    }
}

/// A store's endpoint.
pub(super) fn endpoint(value: &SettingValue) -> Result<Endpoint, ValueHint> {
    let text = value.text("a string, for example \"http://127.0.0.1:9100\"")?;
    Endpoint::parse(text).map_err(|invalid| format!("`{text}`: {invalid}"))
}

/// Buckets, as a list, or with commas between them where only text can be written.
pub(super) fn buckets(value: &SettingValue) -> Result<Vec<BucketPattern>, ValueHint> {
    let texts = value.texts("[\"vault\", \"finance-*\"]", "\"vault\"")?;
    texts.into_iter().map(|text| BucketPattern::parse(text).map_err(|invalid| format!("`{text}`: {invalid}"))).collect()
}

/// A host's name in lower case.
pub(super) fn domain(value: &SettingValue) -> Result<String, ValueHint> {
    let text = value.text("a string, for example \"s3.example.org\"")?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if text.len() <= 190 && text.split('.').all(label) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not a host name in lower case; write for example \"s3.example.org\""))
}

/// Networks, as a list, or with commas between them where only text can be written.
pub(super) fn networks(value: &SettingValue) -> Result<Vec<IpNetwork>, ValueHint> {
    let texts = value.texts("[\"10.0.0.0/8\"]", "\"10.0.0.0/8\"")?;
    texts.into_iter().map(|text| IpNetwork::parse(text).map_err(|invalid| format!("`{text}`: {invalid}"))).collect()
}

/// A path of a file or directory.
pub(super) fn path(value: &SettingValue) -> Result<PathBuf, ValueHint> {
    let text = value.text("a string, for example \"portcullis-data\"")?;
    if text.is_empty() { Err("the path is empty; write one".to_owned()) } else { Ok(PathBuf::from(text)) }
}

/// A size in bytes in a range.
pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(&SettingValue) -> Result<u64, ValueHint> {
    move |value| {
        let bytes = match value {
            SettingValue::Integer(bytes) => u64::try_from(*bytes).map_err(|_| "a size is not negative".to_owned())?,
            SettingValue::List(_) | SettingValue::Plain(_) | SettingValue::Text(_) | SettingValue::Unusable(_) => {
                let text = value.text("a string, for example \"64 MiB\"")?;
                parse_size(text).map_err(|invalid| format!("`{text}`: {invalid}"))?
            }
        };
        if range.contains(&bytes) {
            return Ok(bytes);
        }
        Err(format!("{bytes} bytes is out of range; write {} to {} bytes", range.start(), range.end()))
    }
}

/// A short word: letters, digits, `-` and `_`.
pub(super) fn word(example: &'static str) -> impl Fn(&SettingValue) -> Result<String, ValueHint> {
    move |value| {
        let text = value.text(&format!("a string, for example {example}"))?;
        let legal = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if legal {
            return Ok(text.to_owned());
        }
        Err(format!("`{text}` is not 1 to 63 letters, digits, `-` and `_`; write for example {example}"))
    }
}
