//! The query string.

use super::MalformedHead;
use portcullis_base::percent::percent_decode;

/// The decoded query of a request: no key twice, no key that another parser could split again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryString(Vec<(String, String)>);

/// The most pairs of a query; S3's own operations take fewer than twenty, and presigned URLs a few more.
const MOST_PAIRS: usize = 64;

impl QueryString {
    /// Reads a raw query; a flag such as `?versioning` is a key with an empty value.
    pub fn parse(raw: &str) -> Result<Self, MalformedHead> {
        if raw.is_empty() {
            return Ok(Self::default());
        }
        // Before anything is decoded: the work for a request that nothing is known of must not grow with its length.
        if raw.bytes().filter(|byte| *byte == b'&').count() >= MOST_PAIRS {
            return Err(MalformedHead::QueryTooLong);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.split('&') {
            // `;` separates pairs for some readers, and a raw `+` is a space for some.
            if part.is_empty() || part.contains(';') || part.contains('+') {
                return Err(MalformedHead::Query);
            }
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let key = percent_decode(key).ok_or(MalformedHead::Query)?;
            let value = percent_decode(value).ok_or(MalformedHead::Query)?;
            // Ceph RGW decodes first and splits afterwards: `versionId%3Dv` is a version there.
            if key.is_empty() || key.contains(['=', '&', '?', '#']) || key.chars().any(char::is_control) {
                return Err(MalformedHead::Query);
            }
            if pairs.iter().any(|(seen, _)| *seen == key) {
                return Err(MalformedHead::QueryRepeated);
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    /// The decoded value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether the key is there, with or without a value.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// All pairs in the order they were sent.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_has_at_most_sixty_four_pairs_and_is_not_decoded_before_that_is_known() {
        let of = |count: usize| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join("&");
        assert_eq!(QueryString::parse(&of(64)).map(|query| query.pairs().len()), Ok(64));
        for longer in [of(65), of(3_900), format!("%zz&{}", of(64)), "&".repeat(12_000)] {
            assert_eq!(QueryString::parse(&longer), Err(MalformedHead::QueryTooLong));
        }
    }

    #[test]
    fn a_flag_and_an_empty_value_are_the_same() {
        assert_eq!(QueryString::parse("versioning"), QueryString::parse("versioning="));
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for raw in [
            "versionId%3Dv",
            "?versionId=v",
            "a=1;b=2",
            "a=1&amp;b=2",
            "a=1&&b=2",
            "a=%zz",
            "a=%F",
            "a=%FF",
            "prefix=a+b",
            "=v",
        ] {
            assert_eq!(QueryString::parse(raw), Err(MalformedHead::Query), "{raw}");
        }
        for raw in ["versionId=a&versionId=b", "versionId=&versionId=a", "%76ersionId=a&versionId=b"] {
            assert_eq!(QueryString::parse(raw), Err(MalformedHead::QueryRepeated), "{raw}");
        }
    }

    #[test]
    fn keys_and_values_are_decoded_once() {
        let query = QueryString::parse("%76ersionId=a%2525").expect("legal");
        assert_eq!(query.value("versionId"), Some("a%25"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(raw in ".*") {
            drop(QueryString::parse(&raw));
        }
    }
}
