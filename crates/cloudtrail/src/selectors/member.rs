//! Reads the members of JSON objects, leaving none unread.

use serde_json::{Map, Value};

use super::SelectorError;

/// An object of which each member is taken once.
pub(super) struct JsonMembers<'a> {
    object: &'a Map<String, Value>,
    what: &'static str,
    taken: Vec<&'static str>,
}

impl<'a> JsonMembers<'a> {
    pub(super) fn of(value: &'a Value, what: &'static str) -> Result<Self, SelectorError> {
        let object = value.as_object().ok_or_else(|| SelectorError::of(format!("{what}: not an object")))?;
        Ok(Self { object, what, taken: Vec::new() })
    }

    /// The member of the name; `null` is none.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, SelectorError> {
        self.take(name).map(|value| text(value, name)).transpose()
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, SelectorError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let texts = list(value, name)?.iter().map(|item| text(item, name).map(str::to_owned));
        texts.collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// Refuses what was not taken.
    pub(super) fn end(self) -> Result<(), SelectorError> {
        match self.object.keys().find(|name| !self.taken.contains(&name.as_str())) {
            Some(name) => Err(SelectorError::of(format!("{}: unknown member `{name}`", self.what))),
            None => Ok(()),
        }
    }
}

/// A list, or the error that names what is none.
pub(super) fn list<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], SelectorError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| SelectorError::of(format!("{what}: not a list")))
}

fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str, SelectorError> {
    value.as_str().ok_or_else(|| SelectorError::of(format!("{what}: not a text")))
}
