//! Reads what is written for the store as if a client had sent it. The fuzz targets read by it too.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use portcullis_http::{Peer, QueryString, RequestHead, RequestHeaders, Transport};
use portcullis_s3::{RoutingRules, S3Request, route};
use portcullis_upstream::{RenderedRequest, RequestContent};

/// The request that was written, as our own reader understands it.
pub(crate) fn read_back(rendered: &RenderedRequest, routing: &RoutingRules) -> Box<S3Request> {
    let mut map = HeaderMap::new();
    for (name, value) in &rendered.headers {
        // The embedded store takes `Expires` under a name of its own.
        let name = if name == "x-portcullis-expires" { "expires" } else { name.as_str() };
        map.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.clone());
    }
    map.insert("host", HeaderValue::from_static("upstream"));
    let body = match &rendered.content {
        RequestContent::Document(bytes) => bytes.clone(),
        RequestContent::Payload => Bytes::from_static(b"payload"),
    };
    if !body.is_empty() {
        map.insert("content-length", body.len().into());
    }
    let head = RequestHead {
        method: rendered.method,
        path: rendered.path.clone(),
        query: QueryString::parse(&rendered.query).expect("an unambiguous query"),
        headers: RequestHeaders::read(&map).expect("unambiguous headers"),
        host: "upstream".to_owned(),
        peer: Peer { address: ([127, 0, 0, 1], 1).into(), transport: Transport::Loopback },
    };
    route(&head, routing).and_then(|routed| routed.complete(Some(body))).expect("understood again")
}
