//! Which conditions mean to MinIO what they mean here. All others are refused.
//!
//! MinIO has no `IfExists`, takes a negated operator behind `ForAllValues:` for its opposite, holds a number or a date
//! that is absent to be equal to none, and takes `aws:Referer`, `aws:UserAgent` and `s3:versionid` as empty where they
//! are absent.

use std::collections::BTreeMap;

use serde_json::Value;

use super::policy::OneOrMore;
use super::resource::USER_NAME;

/// `Condition` as MinIO writes it: operator, key, values.
pub(crate) type WrittenConditions = BTreeMap<String, BTreeMap<String, OneOrMore<Value>>>;

/// What kind of value a key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Address,
    /// A text that is there with every request, empty if the client sends none.
    AlwaysText,
    Boolean,
    Moment,
    Number,
    Seconds,
    Text,
}

/// The keys to which MinIO and Portcullis give the same values.
const KEYS: &[(&str, KeyKind)] = &[
    ("aws:CurrentTime", KeyKind::Moment),
    ("aws:EpochTime", KeyKind::Seconds),
    ("aws:Referer", KeyKind::AlwaysText),
    ("aws:SecureTransport", KeyKind::Boolean),
    ("aws:SourceIp", KeyKind::Address),
    ("aws:UserAgent", KeyKind::AlwaysText),
    ("aws:username", KeyKind::AlwaysText),
    ("s3:delimiter", KeyKind::Text),
    ("s3:max-keys", KeyKind::Number),
    ("s3:prefix", KeyKind::Text),
    ("s3:x-amz-metadata-directive", KeyKind::Text),
    ("s3:x-amz-server-side-encryption", KeyKind::Text),
    ("s3:x-amz-server-side-encryption-customer-algorithm", KeyKind::Text),
    ("s3:x-amz-storage-class", KeyKind::Text),
];

/// Why a condition has no translation.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum UntranslatableCondition {
    #[error("the values of `{0}` are not those that Portcullis has for it")]
    Key(String),
    #[error("MinIO reads `{operator}` with `{key}` in another way than Portcullis")]
    Operator { operator: String, key: String },
    #[error("value `{0}` means something else to MinIO")]
    Value(String),
}

/// The conditions of a statement with their values as texts, in one order.
pub(crate) fn translate(written: &WrittenConditions) -> Result<Value, (String, UntranslatableCondition)> {
    let mut conditions = serde_json::Map::new();
    for (operator, keys) in written {
        let mut translated = serde_json::Map::new();
        for (key, values) in keys {
            let place = || format!("Condition.{operator}.{key}");
            let values = clause(operator, key, values).map_err(|fault| (place(), fault))?;
            translated.insert(key.clone(), values.into_iter().map(Value::String).collect());
        }
        conditions.insert(operator.clone(), Value::Object(translated));
    }
    Ok(Value::Object(conditions))
}

fn clause(operator: &str, key: &str, values: &OneOrMore<Value>) -> Result<Vec<String>, UntranslatableCondition> {
    let kind = KEYS.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind);
    let kind = kind.ok_or_else(|| UntranslatableCondition::Key(key.to_owned()))?;
    if !is_same(operator, kind) {
        return Err(UntranslatableCondition::Operator { operator: operator.to_owned(), key: key.to_owned() });
    }
    let mut texts = values.iter().map(|value| text(value, operator, kind)).collect::<Result<Vec<_>, _>>()?;
    texts.sort();
    Ok(texts)
}

/// Whether both compare in the same way.
fn is_same(operator: &str, kind: KeyKind) -> bool {
    const PLAIN: &[&str] = &["StringEquals", "StringEqualsIgnoreCase", "StringLike"];
    let bare = operator.strip_prefix("ForAllValues:").or_else(|| operator.strip_prefix("ForAnyValue:"));
    match (bare, kind) {
        (Some(bare), KeyKind::AlwaysText | KeyKind::Text) => PLAIN.contains(&bare),
        (Some(_), _) => false,
        (None, KeyKind::Address) => matches!(operator, "IpAddress" | "NotIpAddress"),
        (None, KeyKind::Boolean) => operator == "Bool",
        // The time is never absent.
        (None, KeyKind::Moment) => operator.starts_with("Date"),
        (None, KeyKind::Seconds) => operator.starts_with("Numeric"),
        (None, KeyKind::Number) => {
            operator == "Null" || operator.starts_with("Numeric") && operator != "NumericNotEquals"
        }
        (None, KeyKind::AlwaysText) => operator.starts_with("String"),
        (None, KeyKind::Text) => operator == "Null" || operator.starts_with("String"),
    }
}

fn text(value: &Value, operator: &str, kind: KeyKind) -> Result<String, UntranslatableCondition> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Null | Value::Object(_) => {
            return Err(UntranslatableCondition::Value(value.to_string()));
        }
    };
    let is_text = matches!(kind, KeyKind::AlwaysText | KeyKind::Text);
    let rest = if is_text { text.replace(USER_NAME, "") } else { text.clone() };
    // `?` is one byte for MinIO.
    let has_one = operator.ends_with("Like") && text.contains('?');
    // What is absent here and empty there must not make a difference.
    let takes_empty = kind == KeyKind::AlwaysText && text.trim_matches('*').is_empty();
    if rest.contains("${") || has_one || takes_empty { Err(UntranslatableCondition::Value(text)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> Result<String, String> {
        let written: WrittenConditions = serde_json::from_str(text).unwrap();
        translate(&written).map(|value| value.to_string()).map_err(|(place, fault)| format!("{place}: {fault}"))
    }

    #[test]
    fn conditions_of_one_meaning_are_kept_with_all_their_values() {
        for (written, expected) in [
            (
                r#"{"StringLike":{"s3:prefix":["b/*","${aws:username}/*"]}}"#,
                r#"{"StringLike":{"s3:prefix":["${aws:username}/*","b/*"]}}"#,
            ),
            (
                r#"{"Bool":{"aws:SecureTransport":[true]},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
                r#"{"Bool":{"aws:SecureTransport":["true"]},"IpAddress":{"aws:SourceIp":["10.0.0.0/8"]}}"#,
            ),
            (r#"{"NumericLessThan":{"s3:max-keys":[100]}}"#, r#"{"NumericLessThan":{"s3:max-keys":["100"]}}"#),
            (
                r#"{"DateGreaterThan":{"aws:CurrentTime":["2026-01-01T00:00:00Z"]}}"#,
                r#"{"DateGreaterThan":{"aws:CurrentTime":["2026-01-01T00:00:00Z"]}}"#,
            ),
            (
                r#"{"ForAnyValue:StringEquals":{"s3:prefix":["a"]}}"#,
                r#"{"ForAnyValue:StringEquals":{"s3:prefix":["a"]}}"#,
            ),
            (r#"{"Null":{"s3:prefix":[true]}}"#, r#"{"Null":{"s3:prefix":["true"]}}"#),
            (r#"{"StringNotEquals":{"aws:Referer":["x"]}}"#, r#"{"StringNotEquals":{"aws:Referer":["x"]}}"#),
        ] {
            assert_eq!(translated(written).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn conditions_of_another_meaning_are_refused_with_their_place() {
        for (written, place) in [
            (
                r#"{"StringEquals":{"s3:ExistingObjectTag/team":["a"]}}"#,
                "Condition.StringEquals.s3:ExistingObjectTag/team",
            ),
            (r#"{"StringEquals":{"aws:userid":["a"]}}"#, "Condition.StringEquals.aws:userid"),
            (r#"{"StringEquals":{"jwt:sub":["a"]}}"#, "Condition.StringEquals.jwt:sub"),
            (
                r#"{"ForAllValues:StringNotEquals":{"s3:prefix":["a"]}}"#,
                "Condition.ForAllValues:StringNotEquals.s3:prefix",
            ),
            (r#"{"NumericNotEquals":{"s3:max-keys":[1]}}"#, "Condition.NumericNotEquals.s3:max-keys"),
            (
                r#"{"NumericGreaterThanIfExists":{"s3:signatureAge":[1]}}"#,
                "Condition.NumericGreaterThanIfExists.s3:signatureAge",
            ),
            (r#"{"Null":{"aws:Referer":[true]}}"#, "Condition.Null.aws:Referer"),
            (r#"{"StringLike":{"aws:Referer":["*"]}}"#, "Condition.StringLike.aws:Referer"),
            (r#"{"StringLike":{"s3:prefix":["a?"]}}"#, "Condition.StringLike.s3:prefix"),
            (r#"{"StringEquals":{"s3:prefix":["${aws:userid}"]}}"#, "Condition.StringEquals.s3:prefix"),
            (r#"{"StringEquals":{"s3:versionid":["a"]}}"#, "Condition.StringEquals.s3:versionid"),
            (r#"{"DateEquals":{"aws:EpochTime":["1"]}}"#, "Condition.DateEquals.aws:EpochTime"),
            (r#"{"BinaryEquals":{"s3:prefix":["YQ=="]}}"#, "Condition.BinaryEquals.s3:prefix"),
        ] {
            let fault = translated(written).unwrap_err();
            assert!(fault.starts_with(&format!("{place}: ")), "{fault}");
        }
    }
}
