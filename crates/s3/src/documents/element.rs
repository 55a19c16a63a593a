//! Unambiguous XML: a small strict tree, read from events and rewritten.

use portcullis_xml::{DECLARATION, ElementContent, Escaping, NotStrict, StrictElement, StrictRules, escape};

/// The namespace of S3's documents.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

const RULES: StrictRules = StrictRules {
    deepest: 8,
    // Ten thousand parts with a checksum each fit many times over; a bomb of empty elements does not.
    most_elements: 65_536,
    admits_attribute,
};

/// Reads a document of a request.
pub(super) fn parse(document: &[u8]) -> Result<StrictElement, NotStrict> {
    StrictElement::parse(document, &RULES)
}

fn admits_attribute(name: &str, value: &str) -> bool {
    match name {
        "xmlns" => value.is_empty() || value == NAMESPACE,
        "xmlns:xsi" => value == SCHEMA_INSTANCE,
        "xsi:type" => matches!(value, "AmazonCustomerByEmail" | "CanonicalUser" | "Group"),
        _ => false,
    }
}

/// The document as it is sent on, whatever it looked like when it came.
pub(super) fn write(root: &StrictElement) -> String {
    let mut out = String::from(DECLARATION);
    write_into(&mut out, root, ElementPlace::Root);
    out
}

fn write_into(out: &mut String, element: &StrictElement, place: ElementPlace) {
    out.push('<');
    out.push_str(&element.name);
    match place {
        ElementPlace::Inside => {}
        ElementPlace::Root => {
            out.push_str(" xmlns=\"");
            out.push_str(NAMESPACE);
            out.push('"');
        }
    }
    if let Some((_, kind)) = element.attributes.iter().find(|(name, _)| name == "xsi:type") {
        out.push_str(" xmlns:xsi=\"");
        out.push_str(SCHEMA_INSTANCE);
        out.push_str("\" xsi:type=\"");
        escape(out, kind, Escaping::Document);
        out.push('"');
    }
    out.push('>');
    match &element.content {
        ElementContent::Children(children) => {
            children.iter().for_each(|child| write_into(out, child, ElementPlace::Inside))
        }
        ElementContent::Text(text) => escape(out, text, Escaping::Document),
    }
    out.push_str("</");
    out.push_str(&element.name);
    out.push('>');
}

#[derive(Clone, Copy)]
enum ElementPlace {
    Inside,
    Root,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_grantee_keeps_its_type() {
        let sent = format!("<Grantee xmlns:xsi='{SCHEMA_INSTANCE}' xsi:type='Group'><URI>u</URI></Grantee>");
        let written = write(&parse(sent.as_bytes()).expect("legal"));
        assert!(written.contains("xsi:type=\"Group\"><URI>u</URI></Grantee>"), "{written}");
    }

    #[test]
    fn what_two_stores_read_differently_is_refused() {
        for document in [
            "<p:a xmlns:p=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
            "<a b=\"c\"/>",
            "<a xmlns=\"http://other/\"/>",
            "<a xmlns:xsi=\"http://other/\"/>",
            "<a xsi:type=\"Other\"/>",
            "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>",
        ] {
            assert_eq!(parse(document.as_bytes()), Err(NotStrict), "{document}");
        }
        let bomb = format!("<a>{}</a>", "<b/>".repeat(RULES.most_elements));
        assert_eq!(parse(bomb.as_bytes()), Err(NotStrict));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]*") {
            let tree = StrictElement::of("a", vec![StrictElement::text_of("b", &text), StrictElement::text_of("c", "")]);
            let read = parse(write(&tree).as_bytes()).expect("own writing");
            prop_assert_eq!(read.children(), tree.children());
        }
    }
}
