//! The region that clients sign for, where the store has another name for it or none.

use super::Upstream;
use http::header::{HeaderName, HeaderValue};
use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::{DECLARATION, Escaping, XmlElement, close_tag, escape};

use super::answer::UpstreamAnswer;
use portcullis_s3::{BucketPlacement, RequestDocument, S3Operation, S3Request};

const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");
const CONSTRAINT: &str = "LocationConstraint";

/// The one region that is not named in documents.
const FIRST: &str = "us-east-1";

impl Upstream {
    /// Adds the region to what tells one.
    pub(super) fn with_region(&self, action: S3Operation, mut answer: UpstreamAnswer) -> UpstreamAnswer {
        if let (UpstreamAnswer::Done(done), S3Operation::HeadBucket) = (&mut answer, action)
            && let Ok(region) = HeaderValue::from_str(self.client_region())
        {
            done.headers.insert(BUCKET_REGION, region);
        }
        answer
    }

    /// CreateBucket in the store's terms: the region that clients know is the place where the store keeps everything.
    /// Another place is left to the store to know or refuse.
    pub(super) fn placed(&self, request: &S3Request) -> Option<S3Request> {
        let mut node = match (request.action, &request.document) {
            (S3Operation::CreateBucket, RequestDocument::Rewritten(bytes)) => XmlElement::parse(bytes).ok()?,
            (S3Operation::CreateBucket, RequestDocument::None) => XmlElement::named("CreateBucketConfiguration"),
            (
                _,
                RequestDocument::DeleteObjects(_)
                | RequestDocument::None
                | RequestDocument::Payload
                | RequestDocument::Rewritten(_),
            )
            | (_, RequestDocument::Versioning(_)) => return None,
        };
        if node.text_of(CONSTRAINT).is_some_and(|place| place != self.client_region()) {
            return None;
        }
        node.children.retain(|child| child.name != CONSTRAINT);
        if self.placement() == BucketPlacement::Named && self.region() != FIRST {
            node.children.insert(0, XmlElement { text: self.region().to_owned(), ..XmlElement::named(CONSTRAINT) });
        }
        let document = if node.children.is_empty() {
            RequestDocument::None
        } else {
            RequestDocument::Rewritten(node.document(NAMESPACE).into())
        };
        Some(S3Request { document, ..request.clone() })
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
