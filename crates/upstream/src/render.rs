//! Writes the upstream request from the typed one; no byte of the client's own is copied here.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::{DECLARATION, close_tag, open_tag, write_element};

use portcullis_base::percent::{percent_encode, percent_encode_path};
use portcullis_http::HttpMethod;
use portcullis_s3::{CopySource, DeleteObjects, RequestDocument, S3Request, VersioningStatus};

/// A request to the upstream before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedRequest {
    pub method: HttpMethod,
    /// Percent-encoded once, as it is signed.
    pub path: String,
    /// Encoded and sorted, as it is signed.
    pub query: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub content: RequestContent,
}

/// What a request to the upstream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestContent {
    /// A document that we wrote; empty where there is none.
    Document(Bytes),
    /// Object data, streamed.
    Payload,
}

/// Why a request cannot be written; names and headers are checked long before, so this is our fault.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a request that was understood cannot be written")]
pub struct UnwritableRequest;

/// Writes the request that was permitted.
pub fn render(request: &S3Request) -> Result<RenderedRequest, UnwritableRequest> {
    let mut headers = request.headers.clone();
    if let Some(source) = &request.copy_source {
        let value = HeaderValue::try_from(copy_source(source)).map_err(|_| UnwritableRequest)?;
        headers.push((HeaderName::from_static("x-amz-copy-source"), value));
    }
    let content = match &request.document {
        RequestDocument::DeleteObjects(document) => RequestContent::Document(delete_objects(document).into()),
        RequestDocument::None => RequestContent::Document(Bytes::new()),
        RequestDocument::Payload => RequestContent::Payload,
        RequestDocument::Rewritten(bytes) => RequestContent::Document(bytes.clone()),
        RequestDocument::Versioning(document) => RequestContent::Document(versioning(document.status).into()),
    };
    if let RequestContent::Document(bytes) = &content
        && !bytes.is_empty()
        && !headers.iter().any(|(name, _)| name == header::CONTENT_TYPE)
    {
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/xml")));
    }
    Ok(RenderedRequest {
        method: request.action.row().method,
        path: path(request),
        query: query(request),
        headers,
        content,
    })
}

impl RenderedRequest {
    /// Whether the request reads, and has no body to tell what.
    pub fn only_reads(&self) -> bool {
        let bare = matches!(&self.content, RequestContent::Document(bytes) if bytes.is_empty());
        bare && matches!(self.method, HttpMethod::Get | HttpMethod::Head)
    }
}

fn path(request: &S3Request) -> String {
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

fn query(request: &S3Request) -> String {
    let version = request.version.iter().map(|version| ("versionId", version.as_str()));
    let pairs = request.query.iter().map(|(name, value)| (*name, value.as_str()));
    portcullis_sigv4::canonical_query(pairs.chain(version))
}

fn copy_source(source: &CopySource) -> String {
    let mut text = format!("/{}/{}", source.bucket, percent_encode_path(source.key.as_str()));
    if let Some(version) = &source.version {
        text.push_str("?versionId=");
        text.push_str(&percent_encode(version.as_str()));
    }
    text
}

/// Every entry is requested, even in quiet mode, so that each can be recorded.
fn delete_objects(document: &DeleteObjects) -> String {
    let mut out = format!("{DECLARATION}<Delete xmlns=\"{NAMESPACE}\">");
    for object in &document.objects {
        open_tag(&mut out, "Object");
        write_element(&mut out, "Key", object.key.as_str());
        if let Some(version) = &object.version {
            write_element(&mut out, "VersionId", version.as_str());
        }
        close_tag(&mut out, "Object");
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    use portcullis_http::{Peer, RequestHead, Transport};
    use portcullis_s3::{RoutingRules, UpstreamKind, route};

    /// A request as a client sends it: its line, its headers, its document.
    type Sent = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

    const REQUESTS: &[Sent] = &[
        ("GET /", &[], None),
        ("GET /vault?list-type=2&prefix=a%20b%2F&delimiter=%2F&max-keys=5", &[], None),
        ("GET /vault?versions&key-marker=%C3%A9", &[], None),
        ("GET /vault/a%20b/%C3%A9+c?versionId=v1&response-content-type=text%2Fplain", &[("range", "bytes=0-9")], None),
        ("GET /vault/a%2Fb?tagging", &[("x-forwarded-for", "192.0.2.1"), ("cookie", "a=b")], None),
        ("DELETE /vault/key?versionId=null", &[("x-amz-mfa", "20899872 123456")], None),
        ("DELETE /vault/key%3FversionId=v1", &[], None),
        (
            "PUT /vault/key",
            &[
                ("x-amz-meta-name", "a  b"),
                ("content-encoding", "aws-chunked,gzip"),
                ("content-length", "3"),
                ("x-amz-sdk-checksum-algorithm", "CRC32"),
                ("x-amz-checksum-crc32", "8AdzLQ=="),
                ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
                ("x-amz-decoded-content-length", "3"),
            ],
            None,
        ),
        ("PUT /vault/key", &[("x-amz-copy-source", "other/a%20b+c%3F?versionId=v1")], None),
        ("PUT /vault/key?partNumber=1&uploadId=u%5Fu", &[("content-length", "3")], None),
        (
            "POST /vault/key?uploads",
            &[("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "FULL_OBJECT")],
            None,
        ),
        (
            "POST /vault?delete",
            &[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), ("x-amz-mfa", "20899872 123456")],
            Some(
                "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object>\
                 <Object><VersionId>v1</VersionId><Key>c</Key></Object></Delete>",
            ),
        ),
        (
            "PUT /vault?versioning",
            &[("x-amz-mfa", "20899872 123456")],
            Some(
                "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete>\
                 <Status>Enabled</Status></VersioningConfiguration>",
            ),
        ),
        (
            "PUT /vault?tagging",
            &[],
            Some("<Tagging><TagSet><Tag><Value>1 &lt; 2</Value><Key>k</Key></Tag></TagSet></Tagging>"),
        ),
        ("PUT /vault?policy", &[], Some("{\"Statement\": [] }")),
    ];

    fn rendered((line, headers, document): &Sent) -> RenderedRequest {
        let (method, target) = line.split_once(' ').expect("a line");
        let mut request = http::Request::builder().method(method).uri(target).header("host", "proxy");
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        if let Some(document) = document {
            request = request.header("content-length", document.len());
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let peer = Peer { address: ([127, 0, 0, 1], 1).into(), transport: Transport::Loopback };
        let head = RequestHead::read(&parts, peer).expect("a legal head");
        let routing = RoutingRules { base_domain: None, upstream: UpstreamKind::Aws };
        let document = document.map(|document| Bytes::from_static(document.as_bytes()));
        let request = route(&head, &routing).and_then(|routed| routed.complete(document)).expect(line);
        render(&request).expect(line)
    }

    #[test]
    fn what_is_sent_is_written_from_what_was_understood() {
        let mut table = String::new();
        for sent in REQUESTS {
            let RenderedRequest { method, path, query, mut headers, content } = rendered(sent);
            headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
            writeln!(table, "{}\n    {} {path}?{query}", sent.0, method.as_str()).expect("written");
            for (name, value) in headers {
                writeln!(table, "    {name}: {}", String::from_utf8_lossy(value.as_bytes())).expect("written");
            }
            match content {
                RequestContent::Document(bytes) if bytes.is_empty() => {}
                RequestContent::Document(bytes) => {
                    writeln!(table, "    {}", String::from_utf8_lossy(&bytes).replace('\n', "~")).expect("written");
                }
                RequestContent::Payload => writeln!(table, "    (its payload)").expect("written"),
            }
        }
        insta::assert_snapshot!(table);
    }
}
