//! AWS's XML answers as a small tree.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};
use thiserror::Error;

/// One element with its text and the elements in it; namespaces and attributes carry nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Self>,
}

/// Why bytes are no such answer.
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

impl Element {
    /// Reads a whole document.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidXml> {
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidXml::NotUtf8)?;
        let mut reader = Reader::from_str(text);
        // The bottom of the stack holds the document; what is open lies above it.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|error| InvalidXml::Malformed(error.to_string()))? {
                Event::Start(start) => {
                    if open.len() > DEEPEST {
                        return Err(InvalidXml::Deep);
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                }
                Event::Empty(start) => close(&mut open, Self::named(start.local_name().as_ref()))?,
                Event::End(_) => {
                    let element = open.pop().ok_or(InvalidXml::NotOneElement)?;
                    close(&mut open, element)?;
                }
                Event::Text(text) => append(&mut open, &text.xml10_content()),
                Event::CData(text) => append(&mut open, &text.xml10_content()),
                Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)?),
                Event::DocType(_) => return Err(InvalidXml::DocumentType),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        let document = open.pop().ok_or(InvalidXml::NotOneElement)?;
        let stray = !open.is_empty() || !document.text.trim().is_empty();
        let mut roots = document.children.into_iter();
        match (roots.next(), roots.next()) {
            (Some(root), None) if !stray => Ok(root),
            (Some(_) | None, _) => Err(InvalidXml::NotOneElement),
        }
    }

    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of this name in it, if it says anything.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// What an IAM list of this name holds.
    pub fn members(&self, list: &str) -> impl Iterator<Item = &Self> {
        self.child(list).into_iter().flat_map(|list| &list.children).filter(|child| child.name == "member")
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

fn close(open: &mut [Element], mut element: Element) -> Result<(), InvalidXml> {
    // The space between elements is layout.
    if !element.children.is_empty() {
        element.text.clear();
    }
    open.last_mut().ok_or(InvalidXml::NotOneElement)?.children.push(element);
    Ok(())
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, InvalidXml> {
    let malformed = || InvalidXml::Malformed(format!("unknown entity `{}`", &**reference));
    if let Some(character) = reference.resolve_char_ref().map_err(|_| malformed())? {
        return Ok(character.to_string());
    }
    resolve_xml_entity(reference).map(str::to_owned).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_becomes_a_tree() {
        let answer = Element::parse(
            b"<?xml version=\"1.0\"?>\n<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\n \
              <ListUsersResult><Users><member><UserName>a&amp;b&#33;</UserName></member><member/></Users>\
              <IsTruncated>false</IsTruncated></ListUsersResult></ListUsersResponse>",
        )
        .unwrap();
        let result = answer.child("ListUsersResult").unwrap();
        assert_eq!(answer.name, "ListUsersResponse");
        assert_eq!(answer.text, "");
        assert_eq!(result.text_of("IsTruncated"), Some("false"));
        assert_eq!(
            result.members("Users").map(|user| user.text_of("UserName")).collect::<Vec<_>>(),
            [Some("a&b!"), None]
        );
    }

    #[test]
    fn what_is_no_single_element_is_refused() {
        assert_eq!(Element::parse(b""), Err(InvalidXml::NotOneElement));
        assert_eq!(Element::parse(b"<a/><b/>"), Err(InvalidXml::NotOneElement));
        assert_eq!(Element::parse(b"<a/>tail"), Err(InvalidXml::NotOneElement));
        assert_eq!(Element::parse(b"<a><b/>"), Err(InvalidXml::NotOneElement));
        assert_eq!(Element::parse(b"<!DOCTYPE a><a/>"), Err(InvalidXml::DocumentType));
        assert_eq!(Element::parse("<a>".repeat(40).as_bytes()), Err(InvalidXml::Deep));
        assert!(matches!(Element::parse(b"<a>&x;</a>"), Err(InvalidXml::Malformed(_))));
        assert!(matches!(Element::parse(b"<a></b>"), Err(InvalidXml::Malformed(_))));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[<>/a&;!\\[\\]?\" -]{0,40}") {
            drop(Element::parse(text.as_bytes()));
        }
    }
}
