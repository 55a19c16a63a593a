//! What an upstream writes, read leniently: it is trusted with content, never with our grammar.

use std::fmt::Write as _;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// An element of an upstream's answer, without prefixes and attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XmlNode {
    pub name: String,
    pub text: String,
    pub children: Vec<XmlNode>,
}

/// Deeper than any answer of S3.
const DEEPEST: usize = 32;

impl XmlNode {
    /// Reads one document; anything unreadable is `None`.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(document).ok()?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
        let mut open: Vec<Self> = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) if open.len() < DEEPEST => open.push(Self::named(start.local_name().as_ref())),
                Event::Start(_) | Event::DocType(_) => return None,
                Event::Empty(empty) => open.last_mut()?.children.push(Self::named(empty.local_name().as_ref())),
                Event::End(_) => {
                    let node = open.pop()?;
                    open.last_mut()?.children.push(node);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text),
                Event::CData(text) => open.last_mut()?.text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().ok()? {
                        Some(character) => character,
                        None => match reference.as_ref() {
                            "amp" => '&',
                            "apos" => '\'',
                            "gt" => '>',
                            "lt" => '<',
                            "quot" => '"',
                            _ => return None,
                        },
                    };
                    open.last_mut()?.text.push(character);
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        let mut roots = open.pop().filter(|_| open.is_empty())?.children;
        if roots.len() == 1 { roots.pop() } else { None }
    }

    /// The text of the first child of this name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }

    /// Writes the node and all in it.
    pub fn write(&self, out: &mut String) {
        open_tag(out, &self.name);
        if self.children.is_empty() {
            escape(out, &self.text);
        }
        for child in &self.children {
            child.write(out);
        }
        close_tag(out, &self.name);
    }

    /// An element of this name with nothing in it.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// The head of every document that S3 answers with.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// S3's namespace.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The document whose root this node is, in S3's namespace.
pub fn document(root: &XmlNode) -> String {
    let mut out = format!("{DECLARATION}<{} xmlns=\"{NAMESPACE}\">", root.name);
    for child in &root.children {
        child.write(&mut out);
    }
    close_tag(&mut out, &root.name);
    out
}

/// Writes `<name>text</name>`.
pub fn element(out: &mut String, name: &str, text: &str) {
    open_tag(out, name);
    escape(out, text);
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
pub fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A literal carriage return would be read back as a line feed.
            '\r' | '\n' | '\t' => drop(write!(out, "&#{};", u32::from(character))),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_of_an_upstream_is_read() {
        let node =
            XmlNode::parse(b"<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>NoSuchKey</Code><Message/></Error>");
        let node = node.expect("readable");
        assert_eq!(
            (node.name.as_str(), node.text_of("Code"), node.text_of("Message")),
            ("Error", Some("NoSuchKey"), Some(""))
        );
    }

    #[test]
    fn what_is_no_document_is_no_answer() {
        for bad in ["", "   ", "text", "<a>", "<a/><b/>", "<!DOCTYPE a><a/>", "<a>&x;</a>", "{\"a\":1}"] {
            assert_eq!(XmlNode::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = XmlNode::parse(&bytes);
        }

        #[test]
        fn written_text_reads_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]*") {
            let mut out = String::new();
            element(&mut out, "Key", &text);
            let node = XmlNode::parse(out.as_bytes()).expect("readable");
            prop_assert_eq!(node.text, text);
        }
    }
}
