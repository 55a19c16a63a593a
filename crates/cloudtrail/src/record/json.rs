//! JSON text: written without a tree, since it is written once per request, and escaped so that a record is safe on a terminal.

use std::net::IpAddr;

use serde_json::Value;

/// An object being written; each member is appended to the bytes at once.
#[derive(Debug)]
pub struct JsonObject<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> JsonObject<'a> {
    /// Continues a list of members that has no braces around it.
    pub fn members(out: &'a mut Vec<u8>) -> Self {
        let first = out.is_empty();
        Self { out, first }
    }

    /// A text, escaped.
    pub fn text(&mut self, name: impl MemberName, value: &str) {
        self.name(name);
        write_string(self.out, value);
    }

    /// A constant, which needs no escaping.
    pub fn word(&mut self, name: impl MemberName, value: &'static str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Pieces that make one text.
    pub fn joined(&mut self, name: impl MemberName, pieces: &[&str]) {
        self.name(name);
        self.out.push(b'"');
        pieces.iter().for_each(|piece| escape(self.out, piece));
        self.out.push(b'"');
    }

    /// Members in pieces: constants, and between them text of an alphabet that needs no escaping.
    pub fn pieces(&mut self, pieces: &[&str]) {
        self.comma();
        pieces.iter().for_each(|piece| self.out.extend_from_slice(piece.as_bytes()));
    }

    /// Continues the text that the last piece began.
    pub fn escaped(&mut self, text: &str) {
        escape(self.out, text);
    }

    /// Ends what a piece began.
    pub fn end(&mut self, piece: &'static str) {
        self.out.extend_from_slice(piece.as_bytes());
    }

    /// An address in its usual form.
    pub fn address(&mut self, name: impl MemberName, address: IpAddr) {
        let IpAddr::V4(address) = address else { return self.text(name, &address.to_string()) };
        self.name(name);
        // The formatting machinery takes longer than the rest of a record's beginning.
        for (before, octet) in [b'"', b'.', b'.', b'.'].into_iter().zip(address.octets()) {
            self.out.push(before);
            number(self.out, u64::from(octet));
        }
        self.out.push(b'"');
    }

    /// A text that may not be UTF-8; each byte that is not becomes the character with its number.
    pub fn bytes(&mut self, name: impl MemberName, value: &[u8], frame: TextFrame) {
        self.name(name);
        self.out.push(b'"');
        let (open, close) = match frame {
            TextFrame::Brackets => (&b"["[..], &b"]"[..]),
            TextFrame::None => (&b""[..], &b""[..]),
        };
        self.out.extend_from_slice(open);
        for chunk in value.utf8_chunks() {
            escape(self.out, chunk.valid());
            chunk.invalid().iter().for_each(|byte| escape_unit(self.out, u16::from(*byte)));
        }
        self.out.extend_from_slice(close);
        self.out.push(b'"');
    }

    /// A whole number.
    pub fn number(&mut self, name: impl MemberName, value: u64) {
        self.name(name);
        number(self.out, value);
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: impl MemberName, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// `null`.
    pub fn null(&mut self, name: impl MemberName) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, name: impl MemberName, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    /// A parsed value.
    pub fn value(&mut self, name: impl MemberName, value: &Value) {
        self.name(name);
        write_value(self.out, value);
    }

    /// An object within this one.
    pub fn object(&mut self, name: impl MemberName, write: impl FnOnce(&mut JsonObject<'_>)) {
        self.name(name);
        write_object(self.out, write);
    }

    /// Members that are JSON already, without braces.
    pub fn append(&mut self, members: &[u8]) {
        if members.is_empty() {
            return;
        }
        self.comma();
        self.out.extend_from_slice(members);
    }

    fn name(&mut self, name: impl MemberName) {
        self.comma();
        name.write(self.out);
        self.out.push(b':');
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }
}

/// The name of a member.
pub trait MemberName {
    /// Writes the name with its quotes.
    fn write(self, out: &mut Vec<u8>);
}

/// A constant name needs no escaping.
impl MemberName for &'static str {
    fn write(self, out: &mut Vec<u8>) {
        out.reserve(self.len() + 4);
        out.push(b'"');
        out.extend_from_slice(self.as_bytes());
        out.push(b'"');
    }
}

/// A name that came from a client.
#[derive(Clone, Copy, Debug)]
pub struct ForeignName<'a>(pub &'a str);

impl MemberName for ForeignName<'_> {
    fn write(self, out: &mut Vec<u8>) {
        write_string(out, self.0);
    }
}

/// What encloses a text.
#[derive(Clone, Copy, Debug)]
pub enum TextFrame {
    Brackets,
    None,
}

/// Writes an object with its braces.
pub fn write_object(out: &mut Vec<u8>, write: impl FnOnce(&mut JsonObject<'_>)) {
    out.push(b'{');
    write(&mut JsonObject { out, first: true });
    out.push(b'}');
}

/// Writes a string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Writes a whole value.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(out, |object| {
            for (name, value) in members {
                object.value(ForeignName(name), value);
            }
        }),
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    // Nearly every text is plain ASCII, and the hot path is made of such.
    if text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~')) {
        return out.extend_from_slice(text.as_bytes());
    }
    escape_letters(out, text);
}

#[cold]
fn escape_letters(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    for (at, letter) in text.char_indices().filter(|(_, letter)| !is_plain(*letter)) {
        out.extend_from_slice(text.get(plain..at).unwrap_or("").as_bytes());
        plain = at + letter.len_utf8();
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            _ => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape_unit(out, *unit)),
        }
    }
    out.extend_from_slice(text.get(plain..).unwrap_or("").as_bytes());
}

fn is_plain(letter: char) -> bool {
    !matches!(letter, '"' | '\\') && !is_deceptive(letter)
}

/// True for characters that deceive the reader of a record or a terminal: controls, line separators, invisible
/// characters, and those that change the direction of writing.
pub fn is_deceptive(letter: char) -> bool {
    match letter {
        ' '..='~' => false,
        '\u{0}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

/// The value on one line, escaped like a record.
pub fn one_line(value: &Value) -> String {
    let mut out = Vec::new();
    write_value(&mut out, value);
    // Only UTF-8 went in, and it was cut between letters.
    String::from_utf8_lossy(&out).into_owned()
}

fn escape_unit(out: &mut Vec<u8>, unit: u16) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(HEX.get(usize::from(unit >> shift & 15)));
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [b'0'; 20];
    let mut rest = value;
    let mut count = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - count..).unwrap_or(&[]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut JsonObject<'_>)) -> String {
        let mut out = Vec::new();
        write_object(&mut out, write);
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn what_could_deceive_a_reader_is_escaped() {
        let text = written(|object| object.text("a", "\"\\\n\u{1b}[2J\u{7f}\u{9b}\u{2028}\u{202e}é😀"));
        assert_eq!(text, r#"{"a":"\"\\\n\u001b[2J\u007f\u009b\u2028\u202eé😀"}"#);
    }

    #[test]
    fn a_byte_that_is_not_utf8_becomes_the_character_of_its_number() {
        assert_eq!(written(|object| object.bytes("a", b"x\xffy", TextFrame::Brackets)), r#"{"a":"[x\u00ffy]"}"#);
    }

    #[test]
    fn members_are_set_apart_by_commas() {
        let mut members = Vec::new();
        JsonObject::members(&mut members).number("a", 0);
        JsonObject::members(&mut members).number("b", u64::MAX);
        let text = written(|object| {
            object.append(&[]);
            object.append(&members);
            object.null("c");
        });
        assert_eq!(text, r#"{"a":0,"b":18446744073709551615,"c":null}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(name in ".*", value in ".*", number: u64) {
            let text = written(|object| {
                object.text("text", &value);
                object.number("number", number);
                object.object("nested", |nested| nested.text(ForeignName(&name), &value));
            });
            let read: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(read["text"].as_str(), Some(value.as_str()));
            prop_assert_eq!(read["number"].as_u64(), Some(number));
            prop_assert_eq!(read["nested"][&name].as_str(), Some(value.as_str()));
        }

        #[test]
        fn any_bytes_are_json(value: Vec<u8>) {
            let text = written(|object| object.bytes("bytes", &value, TextFrame::None));
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
