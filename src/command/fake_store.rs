//! An S3 store for tests: gives prepared answers and keeps the requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use portcullis_http::Endpoint;

/// A request that was received.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Method and target.
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// A store with prepared answers.
pub(super) struct FakeStore {
    endpoint: Endpoint,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl FakeStore {
    /// Starts with these answers: a status and a document.
    pub(super) fn start(answer: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::start_with_headers(move |seen| {
            let (status, document) = answer(seen);
            (status, HeaderMap::new(), document)
        })
    }

    /// Starts with these answers: a status, headers and a document.
    pub(super) fn start_with_headers<B: Into<Bytes>>(
        answer: impl Fn(&Seen) -> (u16, HeaderMap, B) + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, answer) = (kept.clone(), answer.clone());
                    async move {
                        let asked = Seen::read(request).await;
                        let (status, headers, document) = answer(&asked);
                        kept.lock().unwrap().push(asked);
                        let mut answer = Response::builder().status(status).body(Full::new(document.into())).unwrap();
                        answer.headers_mut().extend(headers);
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { endpoint, seen }
    }

    /// An endpoint that nothing listens on any more.
    pub(super) fn gone() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        Self { endpoint, seen: Arc::default() }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Seen {
    async fn read(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            line: format!("{} {}", head.method, head.uri),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
