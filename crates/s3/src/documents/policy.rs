//! Bucket policies: JSON in which nothing is said twice.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a policy: an object, no name twice in any object of it, nothing after it.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    if body.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice::<UniqueJson>(body).ok().map(|unrepeated| unrepeated.0)
}

/// A JSON value without repeated names, of which some readers take the first and some the last.
struct UniqueJson(Value);

impl<'de> Deserialize<'de> for UniqueJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueValues).map(Self)
    }
}

struct UniqueValues;

impl<'de> Visitor<'de> for UniqueValues {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(UniqueJson(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, UniqueJson(value))) = entries.next_entry::<String, _>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated name"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_policy_is_kept_in_its_order() {
        let policy = br#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "N": 1.5}]}"#;
        assert_eq!(
            parse(policy).map(|value| value.to_string()).as_deref(),
            Some(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","N":1.5}]}"#)
        );
    }

    #[test]
    fn a_policy_with_two_readings_is_refused() {
        for policy in [
            "",
            "[]",
            " {}",
            "{} {}",
            "{",
            r#"{"a": 1, "a": 2}"#,
            r#"{"a": [{"b": 1, "b": 2}]}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            "{\"a\": NaN}",
        ] {
            assert_eq!(parse(policy.as_bytes()), None, "{policy}");
        }
        assert_eq!(parse(b"{\"a\": \"\xff\"}"), None);
        let deep = format!("{}{}", "{\"a\":".repeat(3_000), "}".repeat(3_000));
        assert_eq!(parse(deep.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(policy in "[{}\\[\\]:,\"a1\\\\u ]{0,60}") {
            let _ = parse(policy.as_bytes());
        }
    }
}
