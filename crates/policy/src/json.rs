//! JSON with the place of each value, and no name twice in any object.
//!
//! serde_json decodes strings and checks numbers; what it does not tell is where a value stands, which an operator with a
//! policy of two hundred lines has to be told.

use std::fmt::Write as _;

/// How deep a document may nest; a policy needs six levels.
const DEEPEST: usize = 16;

/// A value, and the byte at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonNode {
    pub at: usize,
    pub value: JsonValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsonValue {
    Array(Vec<JsonNode>),
    Boolean(bool),
    Null,
    /// As it was written.
    Number(String),
    Object(Vec<JsonMember>),
    Text(String),
}

/// A name and its value; the place is the name's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonMember {
    pub at: usize,
    pub name: String,
    pub value: JsonNode,
}

/// Why a text is not a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonFault {
    pub at: usize,
    pub reason: JsonFaultReason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonFaultReason {
    DuplicateMember(String),
    Expected(&'static str),
    TooDeep,
}

/// Reads one value and nothing after it.
pub(crate) fn read(text: &str) -> Result<JsonNode, JsonFault> {
    let mut reader = JsonReader { text, at: 0 };
    let node = reader.value(0)?;
    reader.skip_space();
    if reader.rest().is_empty() { Ok(node) } else { Err(reader.expected("the end of the document")) }
}

struct JsonReader<'t> {
    text: &'t str,
    at: usize,
}

impl JsonReader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn expected(&self, what: &'static str) -> JsonFault {
        JsonFault { at: self.at, reason: JsonFaultReason::Expected(what) }
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Skips white space, and the token if it is next.
    fn takes(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<JsonNode, JsonFault> {
        self.skip_space();
        let at = self.at;
        if depth == DEEPEST {
            return Err(JsonFault { at, reason: JsonFaultReason::TooDeep });
        }
        let value = match self.rest().as_bytes().first() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => JsonValue::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) | None => self.word()?,
        };
        Ok(JsonNode { at, value })
    }

    fn object(&mut self, depth: usize) -> Result<JsonValue, JsonFault> {
        self.takes("{");
        let mut members: Vec<JsonMember> = Vec::new();
        if self.takes("}") {
            return Ok(JsonValue::Object(members));
        }
        loop {
            self.skip_space();
            let at = self.at;
            if !self.rest().starts_with('"') {
                return Err(self.expected("a member's name in quotes"));
            }
            let name = self.string()?;
            if members.iter().any(|member| member.name == name) {
                return Err(JsonFault { at, reason: JsonFaultReason::DuplicateMember(name) });
            }
            if !self.takes(":") {
                return Err(self.expected("`:`"));
            }
            members.push(JsonMember { at, name, value: self.value(depth + 1)? });
            if self.takes("}") {
                return Ok(JsonValue::Object(members));
            }
            if !self.takes(",") {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<JsonValue, JsonFault> {
        self.takes("[");
        let mut elements = Vec::new();
        if self.takes("]") {
            return Ok(JsonValue::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.takes("]") {
                return Ok(JsonValue::Array(elements));
            }
            if !self.takes(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonFault> {
        let mut escaped = false;
        let closes = |(_, byte): &(usize, u8)| {
            let is_end = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            is_end
        };
        let end = self.rest().bytes().enumerate().skip(1).find(closes);
        let Some((end, _)) = end else { return Err(self.expected("a string that ends with a quote")) };
        let literal = self.rest().get(..=end).unwrap_or("");
        let text = serde_json::from_str(literal).map_err(|_| self.expected("a string with JSON's escapes"))?;
        self.at += end + 1;
        Ok(text)
    }

    fn number(&mut self) -> Result<JsonValue, JsonFault> {
        let rest = self.rest();
        let end = rest.find(|letter: char| !matches!(letter, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let literal = rest.get(..end.unwrap_or(rest.len())).unwrap_or("").to_owned();
        if serde_json::from_str::<serde_json::Number>(&literal).is_err() {
            return Err(self.expected("a number as JSON writes it"));
        }
        self.at += literal.len();
        Ok(JsonValue::Number(literal))
    }

    fn word(&mut self) -> Result<JsonValue, JsonFault> {
        let words =
            [("true", JsonValue::Boolean(true)), ("false", JsonValue::Boolean(false)), ("null", JsonValue::Null)];
        for (word, value) in words {
            if self.takes(word) {
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }
}

impl JsonNode {
    /// The way to the member or element that begins at this byte: `Statement[1].Action`.
    pub(crate) fn path_to(&self, at: usize) -> Option<String> {
        let mut path = String::new();
        self.find(at, &mut path).then(|| path.trim_start_matches('.').to_owned())
    }

    fn find(&self, at: usize, path: &mut String) -> bool {
        let length = path.len();
        match &self.value {
            JsonValue::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    // Writing to a string does not fail.
                    _ = write!(path, "[{index}]");
                    if element.at == at || element.find(at, path) {
                        return true;
                    }
                    path.truncate(length);
                }
            }
            JsonValue::Object(members) => {
                for member in members {
                    _ = write!(path, ".{}", member.name);
                    if member.at == at || member.value.at == at || member.value.find(at, path) {
                        return true;
                    }
                    path.truncate(length);
                }
            }
            JsonValue::Boolean(_) | JsonValue::Null | JsonValue::Number(_) | JsonValue::Text(_) => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn reason(text: &str) -> (usize, JsonFaultReason) {
        let fault = read(text).expect_err(text);
        (fault.at, fault.reason)
    }

    fn plain(node: &JsonNode) -> Value {
        match &node.value {
            JsonValue::Array(elements) => Value::Array(elements.iter().map(plain).collect()),
            JsonValue::Boolean(value) => (*value).into(),
            JsonValue::Null => Value::Null,
            JsonValue::Number(text) => serde_json::from_str(text).expect("a number"),
            JsonValue::Object(members) => {
                Value::Object(members.iter().map(|member| (member.name.clone(), plain(&member.value))).collect())
            }
            JsonValue::Text(text) => text.as_str().into(),
        }
    }

    #[test]
    fn a_fault_is_where_the_reader_stopped() {
        use JsonFaultReason::{DuplicateMember, Expected, TooDeep};
        for (text, at, expected) in [
            ("", 0, Expected("a value")),
            (" {\"a\": 1,}", 9, Expected("a member's name in quotes")),
            ("{\"a\" 1}", 5, Expected("`:`")),
            ("{\"a\": 1 \"b\"}", 8, Expected("`,` or `}`")),
            ("[1 2]", 3, Expected("`,` or `]`")),
            ("[01]", 1, Expected("a number as JSON writes it")),
            ("[\"a", 1, Expected("a string that ends with a quote")),
            ("[\"\\x\"]", 1, Expected("a string with JSON's escapes")),
            ("{} {}", 3, Expected("the end of the document")),
            ("[nul]", 1, Expected("a value")),
            ("{\"a\": {\"b\": 1, \"\\u0062\": 2}}", 15, DuplicateMember("b".to_owned())),
            (&"[".repeat(40), DEEPEST, TooDeep),
            (&"{\"a\":".repeat(40), DEEPEST * 5, TooDeep),
        ] {
            assert_eq!(reason(text), (at, expected), "{text}");
        }
        assert!(read(&format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST))).is_ok());
        assert_eq!(read(r#"["\\"]"#).map(|node| plain(&node).to_string()).as_deref(), Ok(r#"["\\"]"#));
        assert_eq!(read(r#"["\""]"#).map(|node| plain(&node).to_string()).as_deref(), Ok(r#"["\""]"#));
    }

    #[test]
    fn a_place_is_named_by_the_members_that_lead_to_it() {
        let text = r#"{"a": [{"b": "x"}, {"c": [1, 2]}], "d": {"e": null}}"#;
        let node = read(text).expect("JSON");
        let path = |part: &str| node.path_to(text.find(part).expect("a part"));
        assert_eq!(path("\"x\"").as_deref(), Some("a[0].b"));
        assert_eq!(path("\"c\"").as_deref(), Some("a[1].c"));
        assert_eq!(path("2]").as_deref(), Some("a[1].c[1]"));
        assert_eq!(path("null").as_deref(), Some("d.e"));
        assert_eq!(node.path_to(1_000), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_json_reads(text in "[\\[\\]{}:,\"ab\\\\u0-9. \\-e+tfn]{0,40}") {
            match read(&text) {
                Ok(node) => prop_assert_eq!(Some(plain(&node)), serde_json::from_str(&text).ok()),
                // serde_json takes a name twice, and nests deeper.
                Err(fault) => prop_assert!(
                    !matches!(fault.reason, JsonFaultReason::Expected(_)) || serde_json::from_str::<Value>(&text).is_err()
                ),
            }
        }
    }
}
