//! Writes the upstream request from the typed one; no byte of the client's own is copied here.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};

use super::xml::{self, DECLARATION, NAMESPACE};
use crate::operation::{CopySource, DeleteObjects, Document, Request, VersioningStatus};
use crate::wire::{Method, percent_encode, percent_encode_path};

/// A request to the upstream before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub method: Method,
    /// Percent-encoded once, as it is signed.
    pub path: String,
    /// Encoded and sorted, as it is signed.
    pub query: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub content: Content,
}

/// What a request to the upstream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A document that we wrote; empty where there is none.
    Document(Bytes),
    /// Object data, streamed.
    Payload,
}

/// Why a request cannot be written; names and headers are checked long before, so this is our fault.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a request that was understood cannot be written")]
pub struct Unwritable;

/// Writes the request that was permitted.
pub fn render(request: &Request) -> Result<Rendered, Unwritable> {
    let mut headers = request.headers.clone();
    if let Some(source) = &request.copy_source {
        let value = HeaderValue::try_from(copy_source(source)).map_err(|_| Unwritable)?;
        headers.push((HeaderName::from_static("x-amz-copy-source"), value));
    }
    let content = match &request.document {
        Document::DeleteObjects(document) => Content::Document(delete_objects(document).into()),
        Document::None => Content::Document(Bytes::new()),
        Document::Payload => Content::Payload,
        Document::Rewritten(bytes) => Content::Document(bytes.clone()),
        Document::Versioning(document) => Content::Document(versioning(document.status).into()),
    };
    if let Content::Document(bytes) = &content
        && !bytes.is_empty()
        && !headers.iter().any(|(name, _)| name == header::CONTENT_TYPE)
    {
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/xml")));
    }
    Ok(Rendered { method: request.action.row().method, path: path(request), query: query(request), headers, content })
}

fn path(request: &Request) -> String {
    let mut path = String::from("/");
    if let Some(bucket) = &request.bucket {
        path.push_str(bucket.as_str());
        if let Some(key) = &request.key {
            path.push('/');
            path.push_str(&percent_encode_path(key.as_str()));
        }
    }
    path
}

fn query(request: &Request) -> String {
    let version = request.version.iter().map(|version| ("versionId", version.as_str()));
    let pairs = request.query.iter().map(|(name, value)| (*name, value.as_str()));
    crate::authenticate::canonical_query(pairs.chain(version))
}

fn copy_source(source: &CopySource) -> String {
    let mut text = format!("/{}/{}", source.bucket, percent_encode_path(source.key.as_str()));
    if let Some(version) = &source.version {
        text.push_str("?versionId=");
        text.push_str(&percent_encode(version.as_str()));
    }
    text
}

/// Every entry is asked for, whatever the client wants to hear, so that each can be recorded.
fn delete_objects(document: &DeleteObjects) -> String {
    let mut out = format!("{DECLARATION}<Delete xmlns=\"{NAMESPACE}\">");
    for object in &document.objects {
        xml::open_tag(&mut out, "Object");
        xml::element(&mut out, "Key", object.key.as_str());
        if let Some(version) = &object.version {
            xml::element(&mut out, "VersionId", version.as_str());
        }
        xml::close_tag(&mut out, "Object");
    }
    out.push_str("</Delete>");
    out
}

/// The upstream never learns of MFA Delete: MinIO would drop it, Ceph RGW would ask for its own device.
fn versioning(status: VersioningStatus) -> String {
    let status = match status {
        VersioningStatus::Enabled => "Enabled",
        VersioningStatus::Suspended => "Suspended",
    };
    format!(
        "{DECLARATION}<VersioningConfiguration xmlns=\"{NAMESPACE}\"><Status>{status}</Status></VersioningConfiguration>"
    )
}
