//! The values of a condition, read as what its operator compares.

use std::net::IpAddr;

use portcullis_base::clock::Timestamp;
use portcullis_base::network::IpNetwork;

use super::date::moment;
use super::number::DecimalNumber;
use super::operator::{Comparison, ValueOrder};
use crate::arn::ArnPattern;
use crate::document::LanguageVersion;
use crate::pattern::{LetterCase, TextPattern, ValueMatch};
use crate::request::RequestValues;
use crate::variable::{PolicyVariable, VariableFault};

/// A value as it stands in a policy, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConditionValue {
    text: Box<str>,
    meaning: ValueMeaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValueMeaning {
    Arn(ArnPattern),
    Boolean(bool),
    /// Base64 in the one form that stands for its bytes.
    Bytes,
    Date(Timestamp),
    Network(IpNetwork),
    Number(DecimalNumber),
    Text(TextPattern),
}

/// Why a text is no value for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValueFault {
    /// What was expected.
    Expected(&'static str),
    Variable(VariableFault),
}

impl ConditionValue {
    /// Reads a value for an operator.
    pub(crate) fn parse(text: &str, comparison: Comparison, version: LanguageVersion) -> Result<Self, ValueFault> {
        let exact =
            |case| TextPattern::exact(text, version, case).map(ValueMeaning::Text).map_err(ValueFault::Variable);
        let meaning = match comparison {
            Comparison::Arn => ValueMeaning::Arn(ArnPattern::parse(text, version).map_err(ValueFault::Variable)?),
            Comparison::Binary if is_base64(text) => ValueMeaning::Bytes,
            Comparison::Binary => return Err(ValueFault::Expected("base64")),
            Comparison::Boolean | Comparison::Null => {
                ValueMeaning::Boolean(boolean(text).ok_or(ValueFault::Expected("`true` or `false`"))?)
            }
            Comparison::Date(_) => ValueMeaning::Date(
                moment(text)
                    .ok_or(ValueFault::Expected("a date such as `2026-11-28T09:30:00Z`, or seconds since 1970"))?,
            ),
            Comparison::Network => ValueMeaning::Network(
                IpNetwork::parse(text)
                    .map_err(|_| ValueFault::Expected("an IP address or a range such as `10.0.0.0/8`"))?,
            ),
            Comparison::Number(_) => {
                ValueMeaning::Number(DecimalNumber::parse(text).ok_or(ValueFault::Expected("a number"))?)
            }
            Comparison::Text => exact(LetterCase::Told)?,
            Comparison::TextAnyCase => exact(LetterCase::Ignored)?,
            Comparison::TextPattern => ValueMeaning::Text(
                TextPattern::with_wildcards(text, version, LetterCase::Told).map_err(ValueFault::Variable)?,
            ),
        };
        Ok(Self { text: text.into(), meaning })
    }

    /// The value as it stands in the policy.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables in it.
    pub(super) fn variables(&self) -> Vec<&PolicyVariable> {
        match &self.meaning {
            ValueMeaning::Arn(pattern) => pattern.variables().collect(),
            ValueMeaning::Text(pattern) => pattern.variables().collect(),
            ValueMeaning::Boolean(_)
            | ValueMeaning::Bytes
            | ValueMeaning::Date(_)
            | ValueMeaning::Network(_)
            | ValueMeaning::Number(_) => Vec::new(),
        }
    }

    /// Whether it is the `true` of `Null`.
    pub(super) fn is_absence(&self) -> bool {
        self.meaning == ValueMeaning::Boolean(true)
    }

    /// Compares a value of the request with this one.
    pub(super) fn compare(&self, comparison: Comparison, found: &str, request: &RequestValues) -> ValueMatch {
        let order = match comparison {
            Comparison::Date(order) | Comparison::Number(order) => order,
            Comparison::Arn
            | Comparison::Binary
            | Comparison::Boolean
            | Comparison::Network
            | Comparison::Null
            | Comparison::Text
            | Comparison::TextAnyCase
            | Comparison::TextPattern => ValueOrder::Equal,
        };
        match &self.meaning {
            ValueMeaning::Arn(pattern) => pattern.compare(found, request),
            ValueMeaning::Boolean(wanted) => told(boolean(found).map(|found| found == *wanted)),
            ValueMeaning::Bytes => told(is_base64(found).then(|| *found == *self.text)),
            ValueMeaning::Date(wanted) => told(moment(found).map(|found| order.holds(&found, wanted))),
            ValueMeaning::Network(network) => {
                told(found.parse::<IpAddr>().ok().map(|address| network.contains(address)))
            }
            ValueMeaning::Number(wanted) => told(DecimalNumber::parse(found).map(|found| order.holds(&found, wanted))),
            ValueMeaning::Text(pattern) => pattern.compare(found, request),
        }
    }
}

/// What a comparison told, if the request's value could be read.
fn told(matches: Option<bool>) -> ValueMatch {
    match matches {
        None => ValueMatch::Unclear,
        Some(false) => ValueMatch::Differs,
        Some(true) => ValueMatch::Matches,
    }
}

fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find_map(|(word, value)| text.eq_ignore_ascii_case(word).then_some(value))
}

/// Whether a text is base64 whose unused bits are zero: the same bytes are then the same text.
fn is_base64(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/');
    let last_is_canonical = match text.len() - data.len() {
        0 => true,
        1 => data.ends_with(|letter| "AEIMQUYcgkosw048".contains(letter)),
        2 => data.ends_with(['A', 'Q', 'g', 'w']),
        _ => false,
    };
    text.len().is_multiple_of(4) && data.chars().all(legal) && last_is_canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_form_in_base64() {
        for text in ["", "QQ==", "QUI=", "QUJD", "+/+/"] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["Q", "QQ", "QR==", "QUJ=", "Q===", "====", "QU=D", "QU D", "-_-_"] {
            assert!(!is_base64(text), "{text}");
        }
    }
}
