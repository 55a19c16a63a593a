//! One value in a record that may be of any type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One value in a record, borrowed from its line; a text is copied only where it holds escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MemberValue<'a> {
    /// Missing, or `null`.
    #[default]
    Absent,
    Boolean(bool),
    /// The texts of a list.
    List(Box<[Cow<'a, str>]>),
    Number(u64),
    /// Of a type that no member of the view has.
    Other,
    Text(Cow<'a, str>),
}

impl MemberValue<'_> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Boolean(_) | Self::List(_) | Self::Number(_) | Self::Other => None,
        }
    }

    /// The Boolean, if it is one.
    pub fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Absent | Self::List(_) | Self::Number(_) | Self::Other | Self::Text(_) => None,
        }
    }

    /// The whole number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Absent | Self::Boolean(_) | Self::List(_) | Self::Other | Self::Text(_) => None,
        }
    }

    pub(super) fn is_text_or_absent(&self) -> bool {
        match self {
            Self::Absent | Self::Text(_) => true,
            Self::Boolean(_) | Self::List(_) | Self::Number(_) | Self::Other => false,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MemberValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor(PhantomData))
    }
}

struct MemberVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for MemberVisitor<'a> {
    type Value = MemberValue<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(MemberValue::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(MemberValue::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(MemberValue::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(MemberValue::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(MemberValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(MemberValue::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(MemberValue::Absent)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Self::Value, S::Error> {
        let mut texts = Vec::new();
        while let Some(item) = items.next_element()? {
            if let MemberValue::Text(text) = item {
                texts.push(text);
            }
        }
        Ok(MemberValue::List(texts.into_boxed_slice()))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(MemberValue::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_any_type_is_read_to_its_end() {
        let text = r#"["a","a\nb",true,7,-7,0.5,null,[1,["a"],"b"],{"a":{"b":1}}]"#;
        let read: Vec<MemberValue<'_>> = serde_json::from_str(text).unwrap();
        assert_eq!(
            read,
            [
                MemberValue::Text("a".into()),
                MemberValue::Text("a\nb".into()),
                MemberValue::Boolean(true),
                MemberValue::Number(7),
                MemberValue::Other,
                MemberValue::Other,
                MemberValue::Absent,
                MemberValue::List(["b".into()].into()),
                MemberValue::Other,
            ]
        );
        assert!(matches!(&read[0], MemberValue::Text(Cow::Borrowed(_))));
        assert_eq!((read[2].boolean(), read[3].number(), read[4].number()), (Some(true), Some(7), None));
    }
}
