//! The region that clients sign for, where the store has another name for it or none.

use http::header::{HeaderName, HeaderValue};

use super::answer::UpstreamAnswer;
use super::xml::{self, DECLARATION, NAMESPACE};
use super::{Upstream, XmlNode};
use portcullis_s3::{RequestDocument, S3Operation, S3Request};

/// How a store is told where to make a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketPlacement {
    /// By the region of its endpoint, as on AWS.
    Named,
    /// Not at all: it has one place, or names of its own.
    Unnamed,
}

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
            (S3Operation::CreateBucket, RequestDocument::Rewritten(bytes)) => XmlNode::parse(bytes)?,
            (S3Operation::CreateBucket, RequestDocument::None) => XmlNode::named("CreateBucketConfiguration"),
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
            node.children.insert(0, XmlNode { text: self.region().to_owned(), ..XmlNode::named(CONSTRAINT) });
        }
        let document = if node.children.is_empty() {
            RequestDocument::None
        } else {
            RequestDocument::Rewritten(xml::document(&node).into())
        };
        Some(S3Request { document, ..request.clone() })
    }
}

/// What GetBucketLocation answers.
pub(super) fn location(region: &str) -> String {
    let mut out = format!("{DECLARATION}<{CONSTRAINT} xmlns=\"{NAMESPACE}\">");
    if region != FIRST {
        xml::escape(&mut out, region);
    }
    xml::close_tag(&mut out, CONSTRAINT);
    out
}
