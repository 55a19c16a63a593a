//! Bucket patterns in settings.

use std::fmt;

use thiserror::Error;

use crate::names::BucketName;

/// One bucket, or with a final `*` all buckets with this prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketPattern {
    start: String,
    rest: PatternTail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PatternTail {
    Anything,
    Nothing,
}

/// Why a text is not a bucket pattern.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a bucket is a name, or the beginning of one and a `*`, for example \"vault\" or \"finance-*\"")]
pub struct InvalidBucketPattern;

impl BucketPattern {
    /// Reads `vault`, `finance-*` or `*`.
    pub fn parse(text: &str) -> Result<Self, InvalidBucketPattern> {
        let (start, rest) = match text.strip_suffix('*') {
            Some(start) => (start, PatternTail::Anything),
            None => (text, PatternTail::Nothing),
        };
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        let legal = match rest {
            PatternTail::Anything => start.len() <= 63 && start.bytes().all(letters),
            PatternTail::Nothing => BucketName::parse(start).is_ok(),
        };
        if legal { Ok(Self { start: start.to_owned(), rest }) } else { Err(InvalidBucketPattern) }
    }

    /// Whether the bucket is one of these.
    pub fn admits(&self, bucket: &BucketName) -> bool {
        match self.rest {
            PatternTail::Anything => bucket.as_str().starts_with(&self.start),
            PatternTail::Nothing => bucket.as_str() == self.start,
        }
    }
}

impl fmt::Display for BucketPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.start)?;
        match self.rest {
            PatternTail::Anything => out.write_str("*"),
            PatternTail::Nothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_admits_its_bucket_or_all_that_begin_so() {
        let admits = |pattern: &str, bucket: &str| {
            BucketPattern::parse(pattern).expect("a pattern").admits(&BucketName::parse(bucket).expect("a name"))
        };
        assert!(admits("vault", "vault") && !admits("vault", "vault-2"));
        assert!(admits("vault*", "vault") && admits("vault*", "vault-2") && !admits("vault*", "my-vault"));
        assert!(admits("*", "anything"));
        assert_eq!(BucketPattern::parse("finance-*").map(|pattern| pattern.to_string()).as_deref(), Ok("finance-*"));
    }

    #[test]
    fn what_can_name_no_bucket_is_refused() {
        for text in ["", "a*b", "**", "Vault", "x", "vault/", "vault?*"] {
            assert_eq!(BucketPattern::parse(text), Err(InvalidBucketPattern), "{text}");
        }
    }
}
