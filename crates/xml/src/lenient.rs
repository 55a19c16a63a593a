//! Reads what a store or the proxy itself answered: trusted with content, never with the grammar of requests.

use std::borrow::Cow;

use quick_xml::escape::unescape;
use quick_xml::events::attributes::{AttrError, Attribute};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use thiserror::Error;

use crate::writer::{DECLARATION, Escaping, close_tag, escape, open_tag};

/// One element with its text and the elements in it, without prefixes and attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XmlElement {
    pub name: String,
    /// Empty if there are elements in it: the space between them is layout.
    pub text: String,
    pub children: Vec<Self>,
}

/// Reads a document event by event, for readers that build trees of their own.
#[derive(Debug)]
pub struct LenientReader<'d> {
    reader: Reader<&'d [u8]>,
    depth: usize,
    /// The end of an element that was written as one tag.
    ends: bool,
}

/// A part of a document. Comments, declarations and processing instructions are none.
#[derive(Clone, Debug)]
pub enum LenientEvent<'d> {
    /// The character of a reference, as in `&amp;`.
    Character(char),
    Close,
    Open(LenientTag<'d>),
    /// Text as it stands in the document.
    Text(LenientText<'d>),
}

/// The tag that opens an element.
#[derive(Clone, Debug)]
pub struct LenientTag<'d>(BytesStart<'d>);

/// A piece of text without references.
#[derive(Clone, Debug)]
pub struct LenientText<'d>(Cow<'d, str>);

/// Why bytes are not a document.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidXml {
    #[error("the answer is nested too deep")]
    Deep,
    #[error("the answer declares a document type")]
    DocumentType,
    #[error("the answer is not XML: {0}")]
    Malformed(String),
    #[error("the answer is not one element")]
    NotOneElement,
    #[error("the answer is not UTF-8")]
    NotUtf8,
}

/// Deeper than any answer of IAM or S3.
const DEEPEST: usize = 32;

impl XmlElement {
    /// Reads one document. Text beside its root is ignored.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidXml> {
        let mut reader = LenientReader::new(document)?;
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        while let Some(event) = reader.next_event()? {
            match event {
                LenientEvent::Character(character) => {
                    open.last_mut().into_iter().for_each(|element| element.text.push(character));
                }
                LenientEvent::Close => {
                    let closed = open.pop().ok_or(InvalidXml::NotOneElement)?.closed();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(closed),
                        None => root = Some(closed),
                    }
                }
                LenientEvent::Open(_) if open.is_empty() && root.is_some() => return Err(InvalidXml::NotOneElement),
                LenientEvent::Open(tag) => open.push(Self::named(tag.local_name())),
                LenientEvent::Text(text) => {
                    open.last_mut().into_iter().for_each(|element| element.text.push_str(text.raw()));
                }
            }
        }
        root.filter(|_| open.is_empty()).ok_or(InvalidXml::NotOneElement)
    }

    /// An element of this name with nothing in it.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of this name in it.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The same, if it is not empty.
    pub fn filled_text_of(&self, name: &str) -> Option<&str> {
        self.text_of(name).filter(|text| !text.is_empty())
    }

    /// What an IAM list of this name holds.
    pub fn members(&self, list: &str) -> impl Iterator<Item = &Self> {
        self.child(list).into_iter().flat_map(|list| &list.children).filter(|child| child.name == "member")
    }

    /// Writes the element and all in it.
    pub fn write(&self, out: &mut String) {
        open_tag(out, &self.name);
        if self.children.is_empty() {
            escape(out, &self.text, Escaping::Answer);
        }
        self.children.iter().for_each(|child| child.write(out));
        close_tag(out, &self.name);
    }

    /// The document whose root this is, in this namespace.
    pub fn document(&self, namespace: &str) -> String {
        let mut out = format!("{DECLARATION}<{} xmlns=\"{namespace}\">", self.name);
        self.children.iter().for_each(|child| child.write(&mut out));
        close_tag(&mut out, &self.name);
        out
    }

    fn closed(mut self) -> Self {
        if !self.children.is_empty() {
            self.text.clear();
        }
        self
    }
}

impl<'d> LenientReader<'d> {
    /// Begins to read a document in UTF-8, whatever white space comes before it.
    pub fn new(document: &'d [u8]) -> Result<Self, InvalidXml> {
        let text = std::str::from_utf8(document).map_err(|_| InvalidXml::NotUtf8)?;
        let reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
        Ok(Self { reader, depth: 0, ends: false })
    }

    /// The next part; none at the document's end, where elements may still be open.
    pub fn next_event(&mut self) -> Result<Option<LenientEvent<'d>>, InvalidXml> {
        if std::mem::take(&mut self.ends) {
            return Ok(Some(LenientEvent::Close));
        }
        loop {
            return Ok(Some(match self.reader.read_event().map_err(malformed)? {
                Event::CData(text) => LenientEvent::Text(LenientText(text.into_inner())),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::DocType(_) => return Err(InvalidXml::DocumentType),
                Event::Empty(tag) => {
                    self.ends = true;
                    LenientEvent::Open(LenientTag(tag))
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    LenientEvent::Close
                }
                Event::Eof => return Ok(None),
                Event::GeneralRef(reference) => LenientEvent::Character(resolved(&reference)?),
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth > DEEPEST {
                        return Err(InvalidXml::Deep);
                    }
                    LenientEvent::Open(LenientTag(tag))
                }
                Event::Text(text) => LenientEvent::Text(LenientText(text.into_inner())),
            }));
        }
    }
}

impl LenientTag<'_> {
    /// The name with its prefix.
    pub fn name(&self) -> &str {
        self.0.name().into_inner()
    }

    /// The name without its prefix.
    pub fn local_name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The attributes by their names with prefixes, in their order.
    pub fn attributes(&self) -> Result<Vec<(String, String)>, InvalidXml> {
        let attribute = |attribute: Result<Attribute<'_>, AttrError>| {
            let attribute = attribute.map_err(malformed)?;
            let value = unescape(&attribute.value).map_err(malformed)?;
            Ok((attribute.key.into_inner().to_owned(), value.into_owned()))
        };
        self.0.attributes().map(attribute).collect()
    }
}

impl LenientText<'_> {
    /// The text as it stands in the document.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The text as XML 1.0 has it read: each line ends with a line feed.
    pub fn normalized(&self) -> String {
        self.0.replace("\r\n", "\n").replace('\r', "\n")
    }
}

fn malformed(error: impl ToString) -> InvalidXml {
    InvalidXml::Malformed(error.to_string())
}

fn resolved(reference: &BytesRef<'_>) -> Result<char, InvalidXml> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(character);
    }
    Ok(match reference.as_ref() {
        "amp" => '&',
        "apos" => '\'',
        "gt" => '>',
        "lt" => '<',
        "quot" => '"',
        other => return Err(InvalidXml::Malformed(format!("unknown entity `{other}`"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(document: &str) -> Result<XmlElement, InvalidXml> {
        XmlElement::parse(document.as_bytes())
    }

    #[test]
    fn an_answer_becomes_a_tree() {
        let answer = read(
            "<?xml version=\"1.0\"?>\n<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\n \
             <ListUsersResult><Users><member><UserName>a&amp;b&#33;</UserName></member><member/></Users>\
             <IsTruncated>false</IsTruncated></ListUsersResult></ListUsersResponse>",
        )
        .unwrap();
        let result = answer.child("ListUsersResult").unwrap();
        assert_eq!((answer.name.as_str(), answer.text.as_str()), ("ListUsersResponse", ""));
        assert_eq!(result.text_of("IsTruncated"), Some("false"));
        let names: Vec<_> = result.members("Users").map(|user| user.filled_text_of("UserName")).collect();
        assert_eq!(names, [Some("a&b!"), None]);
    }

    #[test]
    fn an_error_of_a_store_is_read() {
        let error = read("<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>NoSuchKey</Code><Message/></Error>").unwrap();
        let texts = (error.text_of("Code"), error.text_of("Message"), error.filled_text_of("Message"));
        assert_eq!((error.name.as_str(), texts), ("Error", (Some("NoSuchKey"), Some(""), None)));
    }

    #[test]
    fn a_document_that_is_not_one_element_is_not_read() {
        for bad in ["", "   ", "text", "<a/><b/>", "<a><b/>", "<a>", "{\"a\":1}"] {
            assert_eq!(read(bad), Err(InvalidXml::NotOneElement), "{bad}");
        }
        assert_eq!(read("<!DOCTYPE a><a/>"), Err(InvalidXml::DocumentType));
        assert_eq!(XmlElement::parse(b"<a>\xff</a>"), Err(InvalidXml::NotUtf8));
        for bad in ["<a>&x;</a>", "<a></b>", "<a>&#xD800;</a>"] {
            assert!(matches!(read(bad), Err(InvalidXml::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
        assert!(read(&nested(DEEPEST)).is_ok());
        assert_eq!(read(&nested(DEEPEST + 1)), Err(InvalidXml::Deep));
    }

    #[test]
    fn space_before_a_document_and_text_beside_its_root_are_ignored() {
        let expected = Ok(XmlElement { text: "b".to_owned(), ..XmlElement::named("a") });
        for document in ["\u{feff} \n<a>b</a>\n", "<p:a>b</p:a>", "<a><![CDATA[b]]></a> tail"] {
            assert_eq!(read(document), expected, "{document}");
        }
    }

    #[test]
    fn events_keep_prefixes_attributes_and_line_ends() {
        let mut reader = LenientReader::new(b"<p:a b='c&lt;' p:d=\"\">x\r\ny\rz</p:a>").unwrap();
        let Some(LenientEvent::Open(tag)) = reader.next_event().unwrap() else { panic!("an element") };
        assert_eq!((tag.name(), tag.local_name()), ("p:a", "a"));
        let attributes = [("b", "c<"), ("p:d", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(tag.attributes().unwrap(), attributes);
        let Some(LenientEvent::Text(text)) = reader.next_event().unwrap() else { panic!("text") };
        assert_eq!((text.raw(), text.normalized().as_str()), ("x\r\ny\rz", "x\ny\nz"));
        assert!(matches!(reader.next_event(), Ok(Some(LenientEvent::Close))));
        assert!(matches!(reader.next_event(), Ok(None)));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            XmlElement::parse(&bytes).ok();
        }

        #[test]
        fn reading_what_is_almost_xml_never_panics(text in "[<>/a&#;x1!\\[\\]?\" =-]{0,60}") {
            XmlElement::parse(text.as_bytes()).ok();
        }

        #[test]
        fn a_written_element_reads_back(names in proptest::collection::vec("[a-z]{1,8}", 1..6), text in "[ -~éß]{0,20}") {
            let leaf = XmlElement { text, ..XmlElement::named("leaf") };
            let nest = |inside: XmlElement, name: &String| XmlElement { children: vec![inside.clone(), inside], ..XmlElement::named(name) };
            let element = names.iter().fold(leaf, nest);
            prop_assert_eq!(read(&element.document("n")), Ok(element));
        }
    }
}
