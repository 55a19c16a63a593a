//! A trail's name, and what its files' keys begin with.

use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

/// A trail's name in CloudTrail's grammar.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrailName(Box<str>);

/// What stands before `AWSLogs/` in the keys of a trail's files: path segments, without a slash at either end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPrefix(Box<str>);

/// Why a text is no trail's name, in CloudTrail's words.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidTrailName {
    #[error("Trail name cannot be in IP address format.")]
    Address,
    #[error("Trail name cannot contain two adjacent periods, underscores, or dashes.")]
    Adjacent,
    #[error(
        "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), \
         and underscores (_)."
    )]
    Characters,
    #[error("Trail name must ends with a letter or number.")]
    End,
    #[error("Trail name too long. Maximum allowed length: 128 characters. Specified name length: {0} characters.")]
    Long(usize),
    #[error("Trail name too short. Minimum allowed length: 3 characters. Specified name length: {0} characters.")]
    Short(usize),
    #[error("Trail name must starts with a letter or number.")]
    Start,
}

/// Why a text is no key prefix.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidKeyPrefix {
    #[error("key prefix holds a character other than `A-Za-z0-9!_.*'()=-` and `/`")]
    Characters,
    #[error("key prefix is empty")]
    Empty,
    #[error("key prefix is longer than 200 characters")]
    Long,
    #[error("key prefix has a segment that is empty, `.`, `..` or `AWSLogs`")]
    Segment,
}

impl TrailName {
    /// Takes 3 to 128 letters, digits, dots, underscores and dashes, as CreateTrail does.
    pub fn parse(text: &str) -> Result<Self, InvalidTrailName> {
        let separator = |byte: &u8| matches!(byte, b'.' | b'_' | b'-');
        let bytes = text.as_bytes();
        let length = text.chars().count();
        if !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || separator(byte)) {
            return Err(InvalidTrailName::Characters);
        }
        if length < 3 {
            return Err(InvalidTrailName::Short(length));
        }
        if length > 128 {
            return Err(InvalidTrailName::Long(length));
        }
        if bytes.first().is_some_and(separator) {
            return Err(InvalidTrailName::Start);
        }
        if bytes.last().is_some_and(separator) {
            return Err(InvalidTrailName::End);
        }
        if bytes.windows(2).any(|pair| pair.iter().all(separator)) {
            return Err(InvalidTrailName::Adjacent);
        }
        if text.parse::<Ipv4Addr>().is_ok() {
            return Err(InvalidTrailName::Address);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyPrefix {
    /// Takes up to 200 characters that are safe in a key and in a file's path.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyPrefix> {
        let safe = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'_' | b'.' | b'*' | b'\'' | b'(' | b')' | b'=' | b'-' | b'/')
        };
        if text.is_empty() {
            return Err(InvalidKeyPrefix::Empty);
        }
        if !text.bytes().all(safe) {
            return Err(InvalidKeyPrefix::Characters);
        }
        if text.len() > 200 {
            return Err(InvalidKeyPrefix::Long);
        }
        // A delivered key becomes a path, and is read back by the place of `AWSLogs`.
        if text.split('/').any(|segment| matches!(segment, "" | "." | ".." | "AWSLogs")) {
            return Err(InvalidKeyPrefix::Segment);
        }
        Ok(Self(text.into()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrailName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for TrailName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", &*self.0)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trails_name_follows_cloudtrails_rule() {
        for good in ["abc", "Trail-1", "a.b_c-d", "1a2", &"a".repeat(128)] {
            assert!(TrailName::parse(good).is_ok(), "{good}");
        }
        let bad = [
            ("", InvalidTrailName::Short(0)),
            ("ab", InvalidTrailName::Short(2)),
            (&"a".repeat(129), InvalidTrailName::Long(129)),
            ("-abc", InvalidTrailName::Start),
            ("abc.", InvalidTrailName::End),
            ("my-_trail", InvalidTrailName::Adjacent),
            ("my--trail", InvalidTrailName::Adjacent),
            ("10.0.0.1", InvalidTrailName::Address),
            ("a b", InvalidTrailName::Characters),
            ("a/b", InvalidTrailName::Characters),
            ("träil", InvalidTrailName::Characters),
        ];
        for (text, error) in bad {
            assert_eq!(TrailName::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_key_prefix_leads_nowhere_else() {
        for good in ["logs", "a/b", "year=2026", "..a"] {
            assert!(KeyPrefix::parse(good).is_ok(), "{good}");
        }
        let bad = [
            ("", InvalidKeyPrefix::Empty),
            ("/a", InvalidKeyPrefix::Segment),
            ("a/", InvalidKeyPrefix::Segment),
            ("a//b", InvalidKeyPrefix::Segment),
            ("a/../b", InvalidKeyPrefix::Segment),
            ("a/AWSLogs", InvalidKeyPrefix::Segment),
            ("a\\b", InvalidKeyPrefix::Characters),
            ("a\0", InvalidKeyPrefix::Characters),
            (&"a".repeat(201), InvalidKeyPrefix::Long),
        ];
        for (text, error) in bad {
            assert_eq!(KeyPrefix::parse(text), Err(error), "{text}");
        }
    }
}
