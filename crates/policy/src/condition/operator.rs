//! The operators: how values are compared, and what `ForAllValues:`, `ForAnyValue:` and `IfExists` add.

use std::fmt;

/// An operator as it stands in a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionOperator {
    name: &'static str,
    pub comparison: Comparison,
    pub polarity: OperatorPolarity,
    pub quantifier: ValueQuantifier,
    pub absent: AbsentKey,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Arn,
    Binary,
    Boolean,
    Date(ValueOrder),
    Network,
    /// Whether the key is there.
    Null,
    Number(ValueOrder),
    Text,
    TextAnyCase,
    TextPattern,
}

/// Where the request's value has to lie, seen from the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueOrder {
    Above,
    AtLeast,
    AtMost,
    Below,
    Equal,
}

/// Whether an operator holds where values match, or where none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperatorPolarity {
    Negated,
    Plain,
}

/// How many of the request's values must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueQuantifier {
    All,
    Any,
    /// The key has one value.
    One,
}

/// What an operator makes of a key that the request does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbsentKey {
    /// No value matches.
    Counts,
    /// `IfExists`: the condition holds.
    Passes,
}

use Comparison::{Arn, Binary, Boolean, Date, Network, Null, Number, Text, TextAnyCase, TextPattern};
use OperatorPolarity::{Negated, Plain};
use ValueOrder::{Above, AtLeast, AtMost, Below, Equal};

/// The operators of AWS's language.
const OPERATORS: &[(&str, Comparison, OperatorPolarity)] = &[
    // Both take wildcards in each part.
    ("ArnEquals", Arn, Plain),
    ("ArnLike", Arn, Plain),
    ("ArnNotEquals", Arn, Negated),
    ("ArnNotLike", Arn, Negated),
    ("BinaryEquals", Binary, Plain),
    ("Bool", Boolean, Plain),
    ("DateEquals", Date(Equal), Plain),
    ("DateGreaterThan", Date(Above), Plain),
    ("DateGreaterThanEquals", Date(AtLeast), Plain),
    ("DateLessThan", Date(Below), Plain),
    ("DateLessThanEquals", Date(AtMost), Plain),
    ("DateNotEquals", Date(Equal), Negated),
    ("IpAddress", Network, Plain),
    ("NotIpAddress", Network, Negated),
    ("Null", Null, Plain),
    ("NumericEquals", Number(Equal), Plain),
    ("NumericGreaterThan", Number(Above), Plain),
    ("NumericGreaterThanEquals", Number(AtLeast), Plain),
    ("NumericLessThan", Number(Below), Plain),
    ("NumericLessThanEquals", Number(AtMost), Plain),
    ("NumericNotEquals", Number(Equal), Negated),
    ("StringEquals", Text, Plain),
    ("StringEqualsIgnoreCase", TextAnyCase, Plain),
    ("StringLike", TextPattern, Plain),
    ("StringNotEquals", Text, Negated),
    ("StringNotEqualsIgnoreCase", TextAnyCase, Negated),
    ("StringNotLike", TextPattern, Negated),
];

const ALL: &str = "ForAllValues:";
const ANY: &str = "ForAnyValue:";
const IF_EXISTS: &str = "IfExists";

impl ConditionOperator {
    /// Reads an operator with what stands before and behind it. `Null` takes neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (quantifier, rest) = match (text.strip_prefix(ALL), text.strip_prefix(ANY)) {
            (Some(rest), _) => (ValueQuantifier::All, rest),
            (None, Some(rest)) => (ValueQuantifier::Any, rest),
            (None, None) => (ValueQuantifier::One, text),
        };
        let (absent, bare) = match rest.strip_suffix(IF_EXISTS) {
            Some(bare) => (AbsentKey::Passes, bare),
            None => (AbsentKey::Counts, rest),
        };
        let (name, comparison, polarity) = *OPERATORS.iter().find(|(name, ..)| *name == bare)?;
        let is_plain = quantifier == ValueQuantifier::One && absent == AbsentKey::Counts;
        (comparison != Null || is_plain).then_some(Self { name, comparison, polarity, quantifier, absent })
    }
}

impl fmt::Display for ConditionOperator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.quantifier {
            ValueQuantifier::All => ALL,
            ValueQuantifier::Any => ANY,
            ValueQuantifier::One => "",
        })?;
        out.write_str(self.name)?;
        out.write_str(match self.absent {
            AbsentKey::Counts => "",
            AbsentKey::Passes => IF_EXISTS,
        })
    }
}

impl ValueOrder {
    /// Whether the request's value lies there.
    pub(crate) fn holds<T: Ord>(self, found: &T, wanted: &T) -> bool {
        match self {
            Self::Above => found > wanted,
            Self::AtLeast => found >= wanted,
            Self::AtMost => found <= wanted,
            Self::Below => found < wanted,
            Self::Equal => found == wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_is_written_as_it_is_read() {
        for (name, comparison, _) in OPERATORS {
            let takes_more = *comparison != Null;
            for before in ["", ALL, ANY] {
                for behind in ["", IF_EXISTS] {
                    let text = format!("{before}{name}{behind}");
                    let read = ConditionOperator::parse(&text).map(|operator| operator.to_string());
                    let expected = (takes_more || text == *name).then(|| text.clone());
                    assert_eq!(read, expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn other_names_are_no_operators() {
        for text in
            ["", "StringMatches", "stringEquals", "IfExists", "ForAnyValue:", "ForSomeValue:Bool", "BoolIfexists"]
        {
            assert_eq!(ConditionOperator::parse(text), None, "{text}");
        }
        assert_eq!(ConditionOperator::parse("ForAnyValue:ForAllValues:StringLike"), None);
        assert_eq!(ConditionOperator::parse("BoolIfExistsIfExists"), None);
    }
}
