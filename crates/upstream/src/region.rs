//! The region that clients sign for, where the store has another name for it or none.

use super::Upstream;
use http::header::{HeaderName, HeaderValue};
use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::{DECLARATION, Escaping, XmlElement, close_tag, escape};

use super::answer::Answer;
use portcullis_s3::{Action, Document, Placement, Request};

const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");
const CONSTRAINT: &str = "LocationConstraint";

/// The one region that is not named in documents.
const FIRST: &str = "us-east-1";

impl Upstream {
    /// Adds the region to what tells one.
    pub(super) fn with_region(&self, action: Action, mut answer: Answer) -> Answer {
        if let (Answer::Done(done), Action::HeadBucket) = (&mut answer, action)
            && let Ok(region) = HeaderValue::from_str(self.client_region())
        {
            done.headers.insert(BUCKET_REGION, region);
        }
        answer
    }

    /// CreateBucket in the store's terms: the region that clients know is the place where the store keeps everything.
    /// Another place is left to the store to know or refuse.
    pub(super) fn placed(&self, request: &Request) -> Option<Request> {
        let mut node = match (request.action, &request.document) {
            (Action::CreateBucket, Document::Rewritten(bytes)) => XmlElement::parse(bytes).ok()?,
            (Action::CreateBucket, Document::None) => XmlElement::named("CreateBucketConfiguration"),
            (_, Document::DeleteObjects(_) | Document::None | Document::Payload | Document::Rewritten(_))
            | (_, Document::Versioning(_)) => return None,
        };
        if node.text_of(CONSTRAINT).is_some_and(|place| place != self.client_region()) {
            return None;
        }
        node.children.retain(|child| child.name != CONSTRAINT);
        if self.placement() == Placement::Named && self.region() != FIRST {
            node.children.insert(0, XmlElement { text: self.region().to_owned(), ..XmlElement::named(CONSTRAINT) });
        }
        let document = if node.children.is_empty() {
            Document::None
        } else {
            Document::Rewritten(node.document(NAMESPACE).into())
        };
        Some(Request { document, ..request.clone() })
    }
}

/// What GetBucketLocation answers.
pub(super) fn location(region: &str) -> String {
    let mut out = format!("{DECLARATION}<{CONSTRAINT} xmlns=\"{NAMESPACE}\">");
    if region != FIRST {
        escape(&mut out, region, Escaping::Answer);
    }
    close_tag(&mut out, CONSTRAINT);
    out
}
