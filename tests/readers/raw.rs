//! A request as bytes, and what a reader takes it for.

use portcullis_s3::{Hazard, RequestDocument, S3Request};
use portcullis_upstream::{RenderedRequest, RequestContent};

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What a reader does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    Refused(#[expect(dead_code, reason = "for the reader of a failure")] &'static str),
    Taken(Box<Taken>),
}

/// What a reader takes a request for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub operation: String,
    pub bucket: Option<String>,
    pub key: Option<String>,
    pub version: Option<String>,
    /// Bucket, key and version that a copy reads.
    pub source: Option<(String, String, Option<String>)>,
    /// The entries of a batch.
    pub objects: Vec<(String, Option<String>)>,
    pub status: Option<String>,
    /// The bucket and key to whose upload the upload id leads.
    pub upload: Option<String>,
}

impl Taken {
    /// What was judged.
    pub(crate) fn of(request: &S3Request) -> Self {
        let text = |value: &dyn ToString| value.to_string();
        let mut taken = Self {
            operation: request.action.name().to_owned(),
            bucket: request.bucket.as_ref().map(|bucket| text(bucket)),
            key: request.key.as_ref().map(|key| text(key)),
            version: request.version.as_ref().map(|version| text(version)),
            upload: request
                .query
                .iter()
                .find(|(name, _)| *name == "uploadId")
                .and_then(|_| Some(format!("{}/{}", request.bucket.as_ref()?, request.key.as_ref()?))),
            ..Self::default()
        };
        if let Some(source) = &request.copy_source {
            let version = source.version.as_ref().map(|version| text(version));
            taken.source = Some((text(&source.bucket), text(&source.key), version));
        }
        match &request.document {
            RequestDocument::DeleteObjects(batch) => {
                let entries = batch.objects.iter();
                let entry = entries.map(|entry| (text(&entry.key), entry.version.as_ref().map(|id| text(id))));
                taken.objects = entry.collect();
                let destroys = taken.objects.iter().any(|(_, version)| version.is_some());
                assert_eq!(destroys, request.hazard == Hazard::DestroysVersion);
            }
            RequestDocument::Versioning(document) => taken.status = Some(crate::status_of(document.status).to_owned()),
            RequestDocument::None | RequestDocument::Payload | RequestDocument::Rewritten(_) => {}
        }
        taken
    }
}

impl Raw {
    pub(crate) fn of(rendered: &RenderedRequest) -> Self {
        let headers = rendered
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let body = match &rendered.content {
            RequestContent::Document(bytes) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            RequestContent::Payload => "payload".to_owned(),
        };
        Self {
            method: rendered.method.as_str().to_owned(),
            path: rendered.path.clone(),
            query: rendered.query.clone(),
            headers: headers.collect(),
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Percent-decoding, with a raw `+` as it is or as a space.
pub(crate) fn decode(text: &str, plus: char) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
            }
            b'+' => out.extend(plus.to_string().bytes()),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// An element of a document, read by a reader that believes everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub name: String,
    pub text: String,
    pub children: Vec<Node>,
}

impl Node {
    /// Reads tags and text; names lose their prefixes, and what is neither is left out.
    pub(crate) fn read(document: &str) -> Option<Self> {
        let mut open = vec![Self::default()];
        let mut rest = document;
        while let Some((text, tagged)) = rest.split_once('<') {
            open.last_mut()?.text.push_str(&unescape(text)?);
            let (tag, after) = tagged.split_once('>')?;
            rest = after;
            match tag.strip_prefix('/') {
                Some(_) => {
                    let closed = open.pop()?;
                    open.last_mut()?.children.push(closed);
                }
                None if tag.starts_with(['?', '!']) => {}
                None => {
                    let name = tag.split([' ', '/']).next().unwrap_or("");
                    let name = name.rsplit(':').next().unwrap_or("").to_owned();
                    open.push(Self { name, ..Self::default() });
                }
            }
        }
        let mut root = open.pop()?;
        if open.is_empty() { root.children.pop() } else { None }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "apos" => '\'',
            "gt" => '>',
            "lt" => '<',
            "quot" => '"',
            number => char::from_u32(number.strip_prefix('#')?.parse().ok()?)?,
        });
        out.push_str(rest);
    }
    Some(out)
}
