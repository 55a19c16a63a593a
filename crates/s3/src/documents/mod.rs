//! The documents in request bodies: read strictly, typed where they matter, rewritten.

mod element;
pub mod grammar;
mod policy;
mod reading;

pub use element::NAMESPACE;
pub use grammar::DocumentGrammar;

use bytes::Bytes;

use super::hazard::Hazard;
use super::request::RequestDocument;
use super::target::RoutingRules;
use super::unclear::UnclearReason;
use portcullis_base::names::BucketName;

/// The longest bucket policy S3 takes.
pub(super) const POLICY_LIMIT: usize = 20 * 1024;

/// What a body turned out to be.
#[derive(Debug)]
pub(super) struct ParsedDocument {
    pub document: RequestDocument,
    /// What the document itself would do; only operations whose harm lies in it ask.
    pub hazard: Hazard,
    /// The buckets that the store would write into by it.
    pub destinations: Vec<BucketName>,
}

impl ParsedDocument {
    /// A document that makes the store write nowhere.
    pub(crate) fn of(document: RequestDocument, hazard: Hazard) -> Self {
        Self { document, hazard, destinations: Vec::new() }
    }
}

/// Reads an XML document.
pub(super) fn read(
    grammar: &DocumentGrammar,
    body: &[u8],
    routing: &RoutingRules,
) -> Result<ParsedDocument, UnclearReason> {
    reading::read(grammar, body, routing)
}

/// Reads a bucket policy.
pub(super) fn read_policy(body: &[u8]) -> Result<ParsedDocument, UnclearReason> {
    let policy = policy::parse(body).ok_or(UnclearReason::MalformedPolicy)?;
    let document = RequestDocument::Rewritten(Bytes::from(policy.to_string()));
    Ok(ParsedDocument::of(document, Hazard::WeakensProtection))
}
