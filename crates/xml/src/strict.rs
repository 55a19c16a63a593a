//! Reads a document that has one meaning alone, whichever reader looks at it.

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesStart, Event};

/// One element with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrictElement {
    pub name: String,
    /// As they were sent; there are none but those that the rules admit.
    pub attributes: Vec<(String, String)>,
    pub content: ElementContent,
}

/// What one kind of document may hold.
#[derive(Clone, Copy, Debug)]
pub struct StrictRules {
    /// How deep elements may nest.
    pub deepest: usize,
    /// How many elements there may be.
    pub most_elements: usize,
    /// Whether an attribute of this name may have this value.
    pub admits_attribute: fn(&str, &str) -> bool,
}

/// What is in an element: never text and elements together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementContent {
    Children(Vec<StrictElement>),
    Text(String),
}

/// A document that two readers could read differently, or that is not XML at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotStrict;

impl StrictElement {
    /// Reads a document: UTF-8, XML 1.0, one root, no DTD, no CDATA, no prefixes, no mixed content.
    pub fn parse(document: &[u8], rules: &StrictRules) -> Result<Self, NotStrict> {
        let text = std::str::from_utf8(document).map_err(|_| NotStrict)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if !text.chars().all(is_xml_char) {
            return Err(NotStrict);
        }
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        let mut tree = ElementTree { rules, open: Vec::new(), root: None, count: 0 };
        // A declaration is one only where nothing, not even a space, comes before it.
        let mut at_start = true;
        loop {
            match reader.read_event().map_err(|_| NotStrict)? {
                Event::Start(start) => tree.open(&start)?,
                Event::Empty(start) => {
                    tree.open(&start)?;
                    tree.close()?;
                }
                Event::End(_) => tree.close()?,
                Event::Text(text) => tree.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => tree.character(referred(&reference)?)?,
                Event::Comment(_) => tree.comment(),
                Event::Decl(declaration) if at_start => declared(&declaration)?,
                Event::CData(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => return Err(NotStrict),
                Event::Eof => return tree.finish(),
            }
            at_start = false;
        }
    }

    /// An element with text in it.
    pub fn text_of(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), content: ElementContent::Text(text.to_owned()) }
    }

    /// An element with elements in it.
    pub fn of(name: &str, children: Vec<Self>) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), content: ElementContent::Children(children) }
    }

    /// The elements inside; white space between tags is none.
    pub fn children(&self) -> &[Self] {
        match &self.content {
            ElementContent::Children(children) => children,
            ElementContent::Text(_) => &[],
        }
    }

    /// The first element of this name inside.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children().iter().find(|child| child.name == name)
    }

    /// The text inside, if there are no elements.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            ElementContent::Children(_) => None,
            ElementContent::Text(text) => Some(text),
        }
    }

    /// The text of the first element of this name inside.
    pub fn text_at(&self, name: &str) -> Option<&str> {
        self.child(name).and_then(Self::text)
    }
}

/// The elements that are open, and the root once it is closed.
struct ElementTree<'r> {
    rules: &'r StrictRules,
    open: Vec<OpenElement>,
    root: Option<StrictElement>,
    count: usize,
}

struct OpenElement {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<StrictElement>,
    text: String,
    commented: CommentSeen,
}

#[derive(PartialEq, Eq)]
enum CommentSeen {
    No,
    Yes,
}

impl ElementTree<'_> {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), NotStrict> {
        self.count += 1;
        if self.root.is_some() || self.open.len() >= self.rules.deepest || self.count > self.rules.most_elements {
            return Err(NotStrict);
        }
        let name = start.name().as_ref().to_owned();
        if !is_plain_name(&name) {
            return Err(NotStrict);
        }
        let attributes = attributes(start, self.rules)?;
        self.open.push(OpenElement {
            name,
            attributes,
            children: Vec::new(),
            text: String::new(),
            commented: CommentSeen::No,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), NotStrict> {
        let closed = self.open.pop().ok_or(NotStrict)?.close()?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => self.root = Some(closed),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), NotStrict> {
        match self.open.last_mut() {
            Some(open) => open.text.push_str(text),
            None if is_blank(text) => {}
            None => return Err(NotStrict),
        }
        Ok(())
    }

    fn character(&mut self, character: char) -> Result<(), NotStrict> {
        self.open.last_mut().ok_or(NotStrict)?.text.push(character);
        Ok(())
    }

    fn comment(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.commented = CommentSeen::Yes;
        }
    }

    fn finish(self) -> Result<StrictElement, NotStrict> {
        // A root is there only once everything that was opened is closed, and nothing opens after it.
        self.root.ok_or(NotStrict)
    }
}

impl OpenElement {
    fn close(self) -> Result<StrictElement, NotStrict> {
        let blank = is_blank(&self.text);
        let content = match self.children.is_empty() {
            false if blank => ElementContent::Children(self.children),
            false => return Err(NotStrict),
            // Some readers join the text around a comment, some take its first half.
            true if self.commented == CommentSeen::Yes && !blank => return Err(NotStrict),
            true => ElementContent::Text(self.text),
        };
        Ok(StrictElement { name: self.name, attributes: self.attributes, content })
    }
}

fn attributes(start: &BytesStart<'_>, rules: &StrictRules) -> Result<Vec<(String, String)>, NotStrict> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| NotStrict)?;
        let name: &str = attribute.key.as_ref();
        let value: &str = attribute.value.as_ref();
        if !(rules.admits_attribute)(name, value) {
            return Err(NotStrict);
        }
        attributes.push((name.to_owned(), value.to_owned()));
    }
    Ok(attributes)
}

fn declared(declaration: &BytesDecl<'_>) -> Result<(), NotStrict> {
    let version = declaration.version().map_err(|_| NotStrict)?;
    let utf8 = match declaration.encoding() {
        None => true,
        Some(Ok(encoding)) => encoding.eq_ignore_ascii_case("utf-8"),
        Some(Err(_)) => false,
    };
    if version == "1.0" && utf8 { Ok(()) } else { Err(NotStrict) }
}

fn referred(reference: &str) -> Result<char, NotStrict> {
    let number = match reference {
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "gt" => return Ok('>'),
        "lt" => return Ok('<'),
        "quot" => return Ok('"'),
        _ => reference.strip_prefix('#').ok_or(NotStrict)?,
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NotStrict);
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| NotStrict)?;
    char::from_u32(code).filter(|character| is_xml_char(*character)).ok_or(NotStrict)
}

fn is_plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|character| matches!(character, ' ' | '\t' | '\r' | '\n'))
}

fn is_xml_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Escaping, escape};
    use proptest::prelude::*;

    const SCHEMA: &str = "http://example.com/schema";
    const RULES: StrictRules = StrictRules {
        deepest: 8,
        most_elements: 1000,
        admits_attribute: |name, value| match name {
            "xmlns" => value.is_empty() || value == SCHEMA,
            "kind" => value == "Group",
            _ => false,
        },
    };

    fn parse(document: &[u8]) -> Result<StrictElement, NotStrict> {
        StrictElement::parse(document, &RULES)
    }

    fn leaf(document: &str) -> Option<String> {
        parse(document.as_bytes()).ok().and_then(|root| root.text().map(str::to_owned))
    }

    #[test]
    fn text_is_read_with_its_references_and_spaces() {
        assert_eq!(leaf("<a> b&amp;c&#x20;&#100; </a>").as_deref(), Some(" b&c d "));
        assert_eq!(
            leaf("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a>é</a>\n<!-- end -->").as_deref(),
            Some("é")
        );
        assert_eq!(leaf("<a/>").as_deref(), Some(""));
    }

    #[test]
    fn children_are_read_with_white_space_and_comments_between() {
        let root = parse(b"<a>\n <!-- one --><b>1</b>\n<b/> </a>").expect("legal");
        assert_eq!(
            root,
            StrictElement::of("a", vec![StrictElement::text_of("b", "1"), StrictElement::text_of("b", "")])
        );
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for document in [
            "",
            " ",
            "junk",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><a/>",
            "<a/>junk",
            "<a/>&amp;",
            "junk<a/>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY v \"x\">]><a>&v;</a>",
            "<a>&v;</a>",
            "<a>&#0;</a>",
            "<a>&#x1;</a>",
            "<a>&#xD800;</a>",
            "<a>&#+65;</a>",
            "<a>&#;</a>",
            "<a>& b</a>",
            "<a>\u{1}</a>",
            "<a><![CDATA[b]]></a>",
            "<?php x?><a/>",
            "<a><?x y?></a>",
            " <?xml version=\"1.0\"?><a/>",
            "<a/><?xml version=\"1.0\"?>",
            "<?xml version=\"1.1\"?><a/>",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>",
            "<a>x<b/></a>",
            "<a><b/>x</a>",
            "<a>x<!-- c -->y</a>",
            "<a>x<!-- c --></a>",
            "<p:a xmlns:p=\"http://example.com/schema\"/>",
            "<a b=\"c\"/>",
            "<a xmlns=\"http://other/\"/>",
            "<a xmlns=\"\" xmlns=\"\"/>",
            "<a kind=\"Other\"/>",
            "<a b/>",
            "<1/>",
            "<é/>",
            "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>",
        ] {
            assert_eq!(parse(document.as_bytes()), Err(NotStrict), "{document}");
        }
        let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse(&utf16), Err(NotStrict));
    }

    #[test]
    fn a_bomb_of_elements_is_refused() {
        let document = format!("<a>{}</a>", "<b/>".repeat(RULES.most_elements));
        assert_eq!(parse(document.as_bytes()), Err(NotStrict));
    }

    #[test]
    fn only_attributes_that_the_rules_admit_are_read() {
        let element = parse(format!("<a xmlns='{SCHEMA}'><b kind='Group'/></a>").as_bytes()).expect("legal");
        assert_eq!(element.attributes, [("xmlns".to_owned(), SCHEMA.to_owned())]);
        assert_eq!(element.children()[0].attributes, [("kind".to_owned(), "Group".to_owned())]);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(document in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&document).ok();
        }

        #[test]
        fn parsing_of_almost_xml_never_panics(document in "[<>/!?a&#;x1 \\[\\]CDATA\"=-]{0,60}") {
            parse(document.as_bytes()).ok();
        }

        #[test]
        fn escaped_text_is_read_as_it_was(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]*") {
            let mut document = String::from("<a>");
            escape(&mut document, &text, Escaping::Document);
            document.push_str("</a>");
            prop_assert_eq!(leaf(&document), Some(text));
        }
    }
}
