//! The body of a call: one JSON object, whose members are taken by name and type.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::refused::CloudTrailError;
use portcullis_base::clock::Timestamp;

/// The body of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallInput(Map<String, Value>);

impl CallInput {
    /// Reads a body; a member that is there twice could be read in two ways, so it is refused.
    pub fn read(body: &[u8]) -> Result<Self, CloudTrailError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let value = UniqueMembers.deserialize(&mut reader).map_err(|_| malformed())?;
        reader.end().map_err(|_| malformed())?;
        match value {
            Value::Object(members) => Ok(Self(members)),
            Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Err(malformed()),
        }
    }

    /// The members as CloudTrail records them: `name` for `Name`, and times as it writes them.
    pub fn recorded(&self) -> Value {
        let mut members = self.0.clone();
        for name in ["StartTime", "EndTime"] {
            if let Ok(Some(moment)) = self.moment(name) {
                members.insert(name.to_owned(), moment.spoken().into());
            }
        }
        recorded(&Value::Object(members))
    }

    /// Refuses members that are not among these. AWS ignores them, but one that is misspelt, or of a later version of the
    /// API, would be answered as if it had been done.
    pub fn only(&self, known: &[&str]) -> Result<(), CloudTrailError> {
        only(&self.0, known)
    }

    /// A member of any type; null counts as absent.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, CloudTrailError> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A text of which the empty one says that there is none.
    pub fn some_text(&self, name: &str) -> Result<Option<&str>, CloudTrailError> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    pub fn required(&self, name: &str) -> Result<&str, CloudTrailError> {
        self.text(name)?.ok_or_else(|| CloudTrailError::missing(name))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, CloudTrailError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub fn whole_number(&self, name: &str) -> Result<Option<i64>, CloudTrailError> {
        self.typed(name, "a whole number", Value::as_i64)
    }

    /// A moment, as seconds since 1970.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, CloudTrailError> {
        // A year 9999 and no more: beyond it there is nothing, and arithmetic ends somewhere.
        let within = |seconds: &f64| (0.0..=253_402_300_799.0).contains(seconds);
        #[expect(clippy::cast_possible_truncation, reason = "the range was looked at")]
        let millis = |seconds: f64| (seconds * 1000.0) as i64;
        let read = |value: &Value| value.as_f64().filter(within).map(millis);
        Ok(self.typed(name, "a time in seconds", read)?.map(Timestamp::from_millis))
    }

    pub fn list(&self, name: &str) -> Result<Option<&[Value]>, CloudTrailError> {
        self.typed(name, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, CloudTrailError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        texts.map(Some).ok_or_else(|| of_type(name, "a list of strings"))
    }

    fn typed<'v, T>(
        &'v self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, CloudTrailError> {
        self.value(name).map(|value| read(value).ok_or_else(|| of_type(name, what))).transpose()
    }
}

/// Refuses an object in a list that has other members than these.
pub(super) fn only_members(object: &Value, known: &[&str]) -> Result<(), CloudTrailError> {
    object.as_object().map_or(Ok(()), |members| only(members, known))
}

/// What of an unknown member's name is repeated.
const LONGEST_NAME: usize = 128;

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), CloudTrailError> {
    let unknown = members.iter().find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
    match unknown {
        Some((name, _)) => Err(CloudTrailError::unsupported(&name.chars().take(LONGEST_NAME).collect::<String>())),
        None => Ok(()),
    }
}

/// A member of an object in a list.
pub(super) fn member<'v>(object: &'v Value, name: &str) -> Result<&'v str, CloudTrailError> {
    let value = object.get(name).filter(|value| !value.is_null()).ok_or_else(|| CloudTrailError::missing(name))?;
    value.as_str().ok_or_else(|| of_type(name, "a string"))
}

/// A value as CloudTrail records it: the names of its members begin in lower case.
pub fn recorded(value: &Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.iter().map(recorded).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (lower_first(name), recorded(value))).collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

fn malformed() -> CloudTrailError {
    CloudTrailError::serialization("The request's body is not one JSON object, each of whose members is there once.")
}

fn of_type(name: &str, what: &str) -> CloudTrailError {
    CloudTrailError::serialization(format!("{name} is not {what}."))
}

/// Reads a value whose objects have each member once.
struct UniqueMembers;

impl<'de> DeserializeSeed<'de> for UniqueMembers {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut reader: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = reader.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut reader: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = reader.next_key::<String>()? {
            let value = reader.next_value_seed(Self)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is repeated"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn input(text: &str) -> CallInput {
        CallInput::read(text.as_bytes()).expect("an object")
    }

    #[test]
    fn a_body_is_one_object_whose_members_are_there_once() {
        assert_eq!(input("{}"), CallInput::default());
        for text in ["", "[]", "null", "{} {}", "{", r#"{"a":1,"a":1}"#, r#"{"a":[{"b":1,"b":2}]}"#, "\u{feff}{}"] {
            assert!(CallInput::read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(CallInput::read("[".repeat(10_000).as_bytes()).is_err());
        assert!(CallInput::read(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_member_is_of_its_type_or_refused() {
        let input = input(r#"{"t":"x","b":true,"n":3,"f":1.5,"l":["a"],"m":[1],"null":null,"big":1e300,"e":""}"#);
        assert_eq!(input.text("t"), Ok(Some("x")));
        assert_eq!(input.some_text("e"), Ok(None));
        assert_eq!(input.flag("b"), Ok(Some(true)));
        assert_eq!(input.whole_number("n"), Ok(Some(3)));
        assert_eq!(input.moment("f"), Ok(Some(Timestamp::from_millis(1500))));
        assert_eq!(input.texts("l"), Ok(Some(vec!["a"])));
        assert_eq!((input.text("null"), input.text("absent")), (Ok(None), Ok(None)));
        assert_eq!(input.required("absent").expect_err("missing").exception, "ValidationException");
        assert!(input.text("n").is_err() && input.flag("t").is_err() && input.whole_number("f").is_err());
        assert!(input.moment("big").is_err() && input.texts("m").is_err() && input.list("t").is_err());
    }

    #[test]
    fn a_member_that_an_operation_does_not_know_is_refused() {
        let input = input(r#"{"Name":"main","S3bucketName":"other","absent":null}"#);
        assert_eq!(input.only(&["Name", "S3bucketName"]), Ok(()));
        let refused = input.only(&["Name", "S3BucketName"]).expect_err("a misspelt one");
        assert_eq!(refused.exception, "UnsupportedOperationException");
        assert_eq!(refused.message, "S3bucketName is not supported here; leave it out.");
        let tag = json!({"Key": "team", "Vaule": "red"});
        assert!(only_members(&tag, &["Key", "Value"]).is_err());
        assert_eq!(only_members(&json!({"Key": "team", "Value": null}), &["Key"]), Ok(()));
        let long = json!({"x".repeat(10_000): 1});
        assert!(only_members(&long, &[]).expect_err("unknown").message.len() < 200);
    }

    #[test]
    fn members_are_recorded_in_cloudtrails_case_and_values_as_they_are() {
        let value = json!({"S3BucketName": "B", "TagsList": [{"Key": "Team", "Value": "Red"}], "trailNameList": []});
        assert_eq!(
            recorded(&value),
            json!({"s3BucketName": "B", "tagsList": [{"key": "Team", "value": "Red"}], "trailNameList": []})
        );
    }

    #[test]
    fn times_are_recorded_as_cloudtrail_writes_them_and_what_is_no_time_as_it_is() {
        let read = input(r#"{"StartTime":1761436852,"EndTime":1761523200.5,"MaxResults":5}"#);
        let written =
            json!({"startTime": "Oct 26, 2025, 12:00:52 AM", "endTime": "Oct 27, 2025, 12:00:00 AM", "maxResults": 5});
        assert_eq!(read.recorded(), written);
        assert_eq!(input(r#"{"StartTime":"x","EndTime":-1}"#).recorded(), json!({"startTime": "x", "endTime": -1}));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_reads_or_nothing(text in r#"[{}\[\]",:a0-9.e-]{0,40}"#) {
            if let Ok(CallInput(members)) = CallInput::read(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(Value::Object(members)));
            }
        }
    }
}
