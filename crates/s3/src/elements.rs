//! What a request's document says, where a policy looks at it: elements by name, and the tags that an object is given.

use std::borrow::Cow;

use http::header::{HeaderName, HeaderValue};
use portcullis_base::percent::percent_decode;
use portcullis_xml::XmlElement;

use super::{RequestDocument, S3Operation, S3Request};

const TAGGING: &str = "x-amz-tagging";
const TAGGING_DIRECTIVE: &str = "x-amz-tagging-directive";

impl S3Request {
    /// The text of the first element of this name in the document, however deep.
    pub fn element_text(&self, name: &str) -> Option<String> {
        fn find(element: &XmlElement, name: &str) -> Option<String> {
            if element.name == name {
                return Some(element.text.clone());
            }
            element.children.iter().find_map(|child| find(child, name))
        }
        find(&self.rewritten()?, name)
    }

    /// The tags that the request gives an object, by the header or by the document of `PUT ?tagging`.
    pub fn object_tags(&self) -> Vec<(String, String)> {
        if self.action == S3Operation::PutObjectTagging {
            return self.rewritten().map_or_else(Vec::new, |document| tags_of(&document));
        }
        let header = self.headers.iter().find(|(name, _)| name == TAGGING);
        let text = header.and_then(|(_, value)| value.to_str().ok()).unwrap_or("");
        text.split('&').filter(|pair| !pair.is_empty()).map(tag_of_form).collect()
    }

    /// Makes a copy leave out the tags of its source.
    pub fn copy_without_tags(&mut self) {
        self.headers.retain(|(name, _)| name != TAGGING_DIRECTIVE);
        self.headers.push((HeaderName::from_static(TAGGING_DIRECTIVE), HeaderValue::from_static("REPLACE")));
    }

    fn rewritten(&self) -> Option<XmlElement> {
        match &self.document {
            RequestDocument::Rewritten(bytes) => XmlElement::parse(bytes).ok(),
            RequestDocument::DeleteObjects(_)
            | RequestDocument::None
            | RequestDocument::Payload
            | RequestDocument::Versioning(_) => None,
        }
    }
}

fn tags_of(document: &XmlElement) -> Vec<(String, String)> {
    let set = document.child("TagSet").into_iter().flat_map(|set| &set.children);
    let text = |tag: &XmlElement, name| tag.text_of(name).unwrap_or("").to_owned();
    set.filter(|tag| tag.name == "Tag").map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
}

/// A pair of the header, which is a form: `team=red+blue`.
fn tag_of_form(pair: &str) -> (String, String) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let decoded = |text: &str| {
        let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
        percent_decode(&spaced).unwrap_or_else(|| spaced.into_owned())
    };
    (decoded(key), decoded(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn tagging(document: &'static str) -> S3Request {
        let document = RequestDocument::Rewritten(Bytes::from_static(document.as_bytes()));
        S3Request { document, ..S3Request::bare(S3Operation::PutObjectTagging, None, None) }
    }

    #[test]
    fn tags_are_read_from_header_and_document_alike() {
        let mut put = S3Request::bare(S3Operation::PutObject, None, None);
        put.headers.push((HeaderName::from_static(TAGGING), HeaderValue::from_static("team=a%26b+c&empty=&bare")));
        let expected =
            [("team", "a&b c"), ("empty", ""), ("bare", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(put.object_tags(), expected);
        let document = tagging(
            "<Tagging><TagSet><Tag><Key>team</Key><Value>a&amp;b c</Value></Tag><Tag><Key>empty</Key><Value></Value></Tag></TagSet></Tagging>",
        );
        assert_eq!(document.object_tags(), expected.get(..2).expect("three tags"));
    }

    #[test]
    fn an_element_is_found_however_deep_it_is() {
        let document = tagging("<Retention><Rule><Mode>GOVERNANCE</Mode></Rule></Retention>");
        assert_eq!(document.element_text("Mode").as_deref(), Some("GOVERNANCE"));
        assert_eq!(document.element_text("RetainUntilDate"), None);
        assert_eq!(S3Request::bare(S3Operation::GetObject, None, None).element_text("Mode"), None);
    }

    #[test]
    fn a_copy_without_tags_replaces_them_by_none() {
        let mut copy = S3Request::bare(S3Operation::CopyObject, None, None);
        let directive = HeaderName::from_static(TAGGING_DIRECTIVE);
        copy.headers.push((directive.clone(), HeaderValue::from_static("COPY")));
        copy.copy_without_tags();
        assert_eq!(copy.headers, [(directive, HeaderValue::from_static("REPLACE"))]);
    }
}
