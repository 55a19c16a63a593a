//! A request's head: immutable, unambiguous, and the only form of it that later stages see.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use super::QueryString;

/// The head of one request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    pub method: HttpMethod,
    /// The path as it was sent, still percent-encoded, beginning with `/`.
    pub path: String,
    pub query: QueryString,
    pub headers: RequestHeaders,
    /// The value of the one `Host` header.
    pub host: String,
    pub peer: Peer,
}

/// The methods S3 knows; HTTP's others never get further than the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HttpMethod {
    Delete,
    Get,
    Head,
    Options,
    Post,
    Put,
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address: the TCP peer, or what a trusted proxy says of it.
    pub address: SocketAddr,
    pub transport: Transport,
}

/// How a request travelled; a code in the clear is worth as much as its thief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The admin socket, which only the user of this process can open.
    AdminSocket,
    /// Plain HTTP within this machine.
    Loopback,
    /// Plain HTTP over a network.
    Plain,
    /// TLS, ended here or at a trusted proxy.
    Tls,
}

/// Why a head is refused before its signature is checked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MalformedHead {
    #[error("the Connection header names a header that decides something")]
    Connection,
    #[error("a header that decides something is repeated")]
    HeaderRepeated,
    #[error("a header that decides something holds other than visible ASCII and spaces")]
    HeaderValue,
    #[error("the request does not have exactly one host")]
    Host,
    #[error("the method is not one of S3's")]
    Method,
    #[error("the query is ambiguous or not percent-encoded UTF-8")]
    Query,
    #[error("a query key is repeated")]
    QueryRepeated,
    #[error("the query has more than 64 parameters")]
    QueryTooLong,
    #[error("the request target is not an absolute path")]
    Target,
    #[error("the request target is longer than 16384 bytes")]
    TargetTooLong,
    #[error("the body is framed in a way this request may not use")]
    Framing,
}

const LONGEST_TARGET: usize = 16 * 1024;

/// Headers that no stage reads and nothing forwards, so that they may come as they like.
const IGNORED: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "cookie",
    "dnt",
    "forwarded",
    // Java's client offers HTTP/2 in the clear with each request; nothing is upgraded.
    "http2-settings",
    "origin",
    "pragma",
    "priority",
    "referer",
    "user-agent",
    "via",
    "warning",
    "connection",
    "keep-alive",
    "te",
    "upgrade",
    "upgrade-insecure-requests",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
];

impl RequestHead {
    /// Reads what the HTTP layer delivered.
    pub fn read(parts: &http::request::Parts, peer: Peer) -> Result<Self, MalformedHead> {
        let method = HttpMethod::read(&parts.method)?;
        // An absolute-form target carries a second authority, and `*` none of S3's.
        if parts.uri.authority().is_some() || parts.uri.scheme().is_some() || !parts.uri.path().starts_with('/') {
            return Err(MalformedHead::Target);
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        if target.len() > LONGEST_TARGET {
            return Err(MalformedHead::TargetTooLong);
        }
        let headers = RequestHeaders::read(&parts.headers)?;
        if headers.iter().any(|(name, value)| name == header::CONNECTION && removes_a_header(value, &headers)) {
            return Err(MalformedHead::Connection);
        }
        let host = headers.value("host").filter(|host| is_host(host)).ok_or(MalformedHead::Host)?.to_owned();
        Ok(Self {
            method,
            path: parts.uri.path().to_owned(),
            query: QueryString::parse(parts.uri.query().unwrap_or(""))?,
            headers,
            host,
            peer,
        })
    }

    /// The length the client announced for the body as sent.
    pub fn content_length(&self) -> Option<u64> {
        self.headers.value("content-length").and_then(|text| text.parse().ok())
    }
}

impl HttpMethod {
    fn read(method: &http::Method) -> Result<Self, MalformedHead> {
        match method.as_str() {
            "DELETE" => Ok(Self::Delete),
            "GET" => Ok(Self::Get),
            "HEAD" => Ok(Self::Head),
            "OPTIONS" => Ok(Self::Options),
            "POST" => Ok(Self::Post),
            "PUT" => Ok(Self::Put),
            _ => Err(MalformedHead::Method),
        }
    }

    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// The headers of a request: each that could decide anything is there once, in visible ASCII.
// A list: among a handful of names, looking at each is faster than hashing one.
#[derive(Clone, Debug)]
pub struct RequestHeaders(Vec<(HeaderName, HeaderValue)>);

impl RequestHeaders {
    /// Takes headers none of which, but the ignored ones, is repeated or unreadable.
    pub fn read(map: &HeaderMap) -> Result<Self, MalformedHead> {
        // Only where there are more values than names, so that the work stays in proportion to the head's length.
        if map.len() > map.keys().len() {
            let repeated = |name: &&HeaderName| map.get_all(*name).iter().nth(1).is_some() && !is_ignored(name);
            if let Some(name) = map.keys().find(repeated) {
                return Err(if name == header::HOST { MalformedHead::Host } else { MalformedHead::HeaderRepeated });
            }
        }
        let mut taken: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(map.len());
        for (name, value) in map {
            // Metadata may hold UTF-8 as some SDKs send it; what decides anything may not.
            if value.to_str().is_err() && decides(name) && !is_ignored(name) {
                return Err(MalformedHead::HeaderValue);
            }
            taken.push((name.clone(), value.clone()));
        }
        Ok(Self(taken))
    }

    /// The value of a header, if it is there and is visible ASCII.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.raw(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a header as bytes.
    pub fn raw(&self, name: &str) -> Option<&HeaderValue> {
        self.0.iter().find(|(there, _)| there.as_str() == name).map(|(_, value)| value)
    }

    /// Whether the header is there.
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Every name with its value, an ignored one perhaps more than once.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

/// Whether a Connection header says that the next hop removes a header that decides something: two readers would then
/// see two requests.
fn removes_a_header(connection: &HeaderValue, headers: &RequestHeaders) -> bool {
    let text = connection.as_bytes().to_ascii_lowercase();
    text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|token| {
        let present = headers.iter().any(|(name, _)| name.as_str().as_bytes() == token && !is_ignored(name));
        token.starts_with(b"x-amz-") || present
    })
}

/// A name or an address, perhaps with a port. The host may name the bucket, so it has one reading: no empty label, but
/// for the final dot of a full name, and no second port.
fn is_host(text: &str) -> bool {
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(address) = text.strip_prefix('[') {
        let Some((address, port)) = address.split_once(']') else { return false };
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'%');
        return address.bytes().all(is_part) && (port.is_empty() || port.strip_prefix(':').is_some_and(digits));
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    digits(port) && labels.all(|label| !label.is_empty() && label.bytes().all(is_part))
}

fn is_ignored(name: &HeaderName) -> bool {
    IGNORED.contains(&name.as_str())
}

fn decides(name: &HeaderName) -> bool {
    let name = name.as_str();
    !name.starts_with("x-amz-meta-")
        && !matches!(name, "content-disposition" | "content-type" | "cache-control" | "expires")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer { address: SocketAddr::from(([127, 0, 0, 1], 4000)), transport: Transport::Loopback }
    }

    fn read(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<RequestHead, MalformedHead> {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        RequestHead::read(&parts, peer())
    }

    #[test]
    fn an_ordinary_head_is_read() {
        let head = read("GET", "/vault/a%20b?versionId=v", &[("host", "localhost:9000")]).expect("legal");
        assert_eq!((head.method, head.path.as_str()), (HttpMethod::Get, "/vault/a%20b"));
        assert_eq!(head.query.value("versionId"), Some("v"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let host = ("host", "localhost");
        assert_eq!(read("GET", "/", &[]).err(), Some(MalformedHead::Host));
        assert_eq!(read("GET", "/", &[host, host]).err(), Some(MalformedHead::Host));
        assert_eq!(read("GET", "http://other/b", &[host]).err(), Some(MalformedHead::Target));
        assert_eq!(read("delete", "/b", &[host]).err(), Some(MalformedHead::Method));
        assert_eq!(read("PURGE", "/b", &[host]).err(), Some(MalformedHead::Method));
        let twice = [host, ("x-amz-mfa", "a 111111"), ("x-amz-mfa", "b 222222")];
        assert_eq!(read("DELETE", "/b/k", &twice).err(), Some(MalformedHead::HeaderRepeated));
        assert_eq!(
            read("DELETE", "/b/k", &[host, ("x-amz-mfa", "sérial 111111")]).err(),
            Some(MalformedHead::HeaderValue)
        );
    }

    #[test]
    fn a_connection_header_removes_nothing_that_decides() {
        let with = |connection| {
            let headers =
                [("host", "a"), ("x-amz-mfa", "s 123456"), ("range", "bytes=0-1"), ("connection", connection)];
            read("GET", "/b/k", &headers).err()
        };
        let java = [
            ("host", "a"),
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAEAAEAAAAIAAAAB"),
        ];
        assert!(read("GET", "/b/k", &java).is_ok(), "what Java's client sends");
        for token in ["close", "keep-alive", "TE", "Keep-Alive, TE", "upgrade, HTTP2-Settings", "x-other", ""] {
            assert_eq!(with(token), None, "{token}");
        }
        for token in ["x-amz-mfa", "close, X-Amz-Mfa", "x-amz-acl", "host", "close,range", "Range ,close"] {
            assert_eq!(with(token), Some(MalformedHead::Connection), "{token}");
        }
        let twice = [("host", "a"), ("connection", "close"), ("connection", "x-amz-mfa")];
        assert_eq!(read("GET", "/b/k", &twice).err(), Some(MalformedHead::Connection));
    }

    #[test]
    fn a_host_has_one_reading() {
        let with = |host| read("GET", "/b/k", &[("host", host)]).err();
        for host in ["a", "a:9000", "a:", "vault.s3.example.org.", "my_proxy:80", "127.0.0.1:1", "[::1]:9000", "[::1]"]
        {
            assert_eq!(with(host), None, "{host}");
        }
        let unclear = [
            "",
            ".",
            "a..",
            ".s3.example.org",
            "vault..s3.example.org",
            "a:80:80",
            "a:b",
            "a b",
            "u@a",
            "a/b",
            "a,b",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "a%2Eb",
            "http://a",
        ];
        for host in unclear {
            assert_eq!(with(host), Some(MalformedHead::Host), "{host}");
        }
    }

    #[test]
    fn an_ignored_header_may_come_twice() {
        assert!(read("GET", "/", &[("host", "a"), ("accept", "x"), ("accept", "y")]).is_ok());
    }
}
