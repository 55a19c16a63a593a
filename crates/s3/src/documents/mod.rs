//! The documents in request bodies: read strictly, typed where they matter, rewritten.

mod element;
pub mod grammar;
mod policy;
mod reading;

pub use element::NAMESPACE;
pub use grammar::Grammar;

use bytes::Bytes;

use super::hazard::Hazard;
use super::request::Document;
use super::target::Routing;
use super::unclear::Reason;
use portcullis_base::names::BucketName;

/// The longest bucket policy S3 takes.
pub(super) const POLICY_LIMIT: usize = 20 * 1024;

/// What a body turned out to be.
#[derive(Debug)]
pub(super) struct Understood {
    pub document: Document,
    /// What the document itself would do; only operations whose harm lies in it ask.
    pub hazard: Hazard,
    /// The buckets that the store would write into by it.
    pub destinations: Vec<BucketName>,
}

impl Understood {
    /// A document that makes the store write nowhere.
    pub fn of(document: Document, hazard: Hazard) -> Self {
        Self { document, hazard, destinations: Vec::new() }
    }
}

/// Reads an XML document.
pub(super) fn read(grammar: &Grammar, body: &[u8], routing: &Routing) -> Result<Understood, Reason> {
    reading::read(grammar, body, routing)
}

/// Reads a bucket policy.
pub(super) fn read_policy(body: &[u8]) -> Result<Understood, Reason> {
    let policy = policy::parse(body).ok_or(Reason::MalformedPolicy)?;
    let document = Document::Rewritten(Bytes::from(policy.to_string()));
    Ok(Understood::of(document, Hazard::WeakensProtection))
}
