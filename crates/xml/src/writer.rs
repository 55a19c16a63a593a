//! Writes elements and text.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The first line of every document.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What is escaped in a text, beside `&`, `<`, `>` and `"`, and the line breaks and tabs that a reader would normalize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// Nothing else, as S3 answers.
    Answer,
    /// `'` as well.
    Document,
}

/// Writes `<name>text</name>`.
pub fn write_element(out: &mut String, name: &str, text: &str) {
    open_tag(out, name);
    escape(out, text, Escaping::Answer);
    close_tag(out, name);
}

/// Writes `<name>`.
pub fn open_tag(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
}

/// Writes `</name>`.
pub fn close_tag(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Writes text so that it reads back as itself.
pub fn escape(out: &mut String, text: &str, escaping: Escaping) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' if escaping == Escaping::Document => out.push_str("&apos;"),
            // A reader would turn a carriage return into a line feed, and each of them into a space in an attribute.
            '\r' | '\n' | '\t' => drop(write!(out, "&#{};", u32::from(character))),
            other => out.push(other),
        }
    }
}

/// A text as AWS's Query protocols escape it: line feeds and tabs stay as they are.
pub fn escape_query(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::XmlElement;
    use proptest::prelude::*;

    #[test]
    fn each_protocol_has_its_escapes() {
        let text = "<a b='c' d=\"e\">\t\r\n&";
        let written = |escaping| {
            let mut out = String::new();
            escape(&mut out, text, escaping);
            out
        };
        assert_eq!(written(Escaping::Answer), "&lt;a b='c' d=&quot;e&quot;&gt;&#9;&#13;&#10;&amp;");
        assert_eq!(written(Escaping::Document), "&lt;a b=&apos;c&apos; d=&quot;e&quot;&gt;&#9;&#13;&#10;&amp;");
        assert_eq!(escape_query("a<'\"\n>&"), "a&lt;&apos;&quot;\n&gt;&amp;");
    }

    proptest! {
        #[test]
        fn written_text_reads_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]*") {
            let mut out = String::new();
            write_element(&mut out, "Key", &text);
            prop_assert_eq!(XmlElement::parse(out.as_bytes()).expect("readable").text, text.as_str());
            let written = format!("<Key>{}</Key>", escape_query(&text));
            prop_assert_eq!(XmlElement::parse(written.as_bytes()).expect("readable").text, text);
        }
    }
}
