//! The store through real HTTP, with a client that signs on its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use tokio::io::AsyncWriteExt;

use super::*;
use portcullis_base::clock::Clock;

const ACCESS_KEY: &str = "AKIAEMBEDDEDSTORE001";
const SECRET_KEY: &str = "a-secret-that-guards-nothing";

struct Client {
    address: SocketAddr,
    secret_key: &'static str,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text of the first element of this name.
    fn element(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(&self.body).unwrap();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</").unwrap().0)
    }
}

impl Client {
    async fn send(&self, method: Method, target: &str, body: &[u8]) -> Answer {
        let payload = hex::encode(Sha256::digest(body));
        self.send_with(method, target, body, &[("x-amz-content-sha256", &payload)]).await
    }

    async fn send_with(&self, method: Method, target: &str, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri(target);
        for (name, value) in self.signed(&method, target, headers) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(sender);
        connection.await.unwrap().unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    fn signed(&self, method: &Method, target: &str, headers: &[(&str, &str)]) -> BTreeMap<String, String> {
        let now = Clock::System.now();
        let mut fields: BTreeMap<String, String> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.insert("host".into(), self.address.to_string());
        fields.insert("x-amz-date".into(), now.iso_basic());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        pairs.sort();
        let lines: String = fields.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names = fields.keys().cloned().collect::<Vec<_>>().join(";");
        let payload = &fields["x-amz-content-sha256"];
        let canonical = format!("{method}\n{path}\n{}\n{lines}\n{names}\n{payload}", pairs.join("&"));
        let scope = format!("{}/us-east-1/s3/aws4_request", now.date());
        let digest = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", now.iso_basic());
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in [now.date().as_str(), "us-east-1", "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}");
        fields.insert("authorization".into(), authorization);
        fields
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

async fn serve_below(directory: &Path) -> (RunningStore, Client) {
    let secret = Secret::new(SECRET_KEY.to_owned());
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = start(directory, listen, ACCESS_KEY, &secret, "us-east-1").await.unwrap();
    let client = Client { address: running.address, secret_key: SECRET_KEY };
    (running, client)
}

async fn versioned(client: &Client) {
    assert_eq!(client.send(Method::PUT, "/vault", b"").await.status, 200);
    let document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(client.send(Method::PUT, "/vault?versioning", document).await.status, 200);
}

fn bodies_below(directory: &Path) -> usize {
    let mut count = 0;
    for shard in std::fs::read_dir(directory.join("buckets/vault/bodies")).unwrap() {
        count += std::fs::read_dir(shard.unwrap().path()).unwrap().count();
    }
    count
}

#[tokio::test]
async fn only_the_key_pair_it_was_given_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let (_running, client) = serve_below(directory.path()).await;
    let stranger = Client { address: client.address, secret_key: "another secret" };
    let answer = stranger.send(Method::GET, "/", b"").await;
    assert_eq!((answer.status, answer.element("Code")), (403, Some("SignatureDoesNotMatch")));
    assert_eq!(client.send(Method::GET, "/", b"").await.status, 200);
}

#[tokio::test]
async fn no_signature_reaches_the_log_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let directory = tempfile::tempdir().unwrap();
    let (_running, client) = serve_below(directory.path()).await;
    let stranger = Client { address: client.address, secret_key: "another secret" };
    assert_eq!(stranger.send(Method::GET, "/", b"").await.status, 403);
    tracing::info!("the log is read");
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the log is read"));
    assert!(!text.to_lowercase().contains("signature"), "{text}");
}

#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_deleted_object_is_restored_by_deleting_its_marker() {
    let directory = tempfile::tempdir().unwrap();
    let (_running, client) = serve_below(directory.path()).await;
    versioned(&client).await;
    let put = client.send(Method::PUT, "/vault/k", b"kept").await;
    assert_eq!((put.status, put.header("x-amz-version-id").map(str::len)), (200, Some(32)));

    let deleted = client.send(Method::DELETE, "/vault/k", b"").await;
    let marker = deleted.header("x-amz-version-id").unwrap().to_owned();
    assert_eq!((deleted.status, deleted.header("x-amz-delete-marker")), (204, Some("true")));
    let gone = client.send(Method::GET, "/vault/k", b"").await;
    assert_eq!((gone.status, gone.element("Code")), (404, Some("NoSuchKey")));
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let refused = client.send(Method::GET, &format!("/vault/k?versionId={marker}"), b"").await;
    assert_eq!((refused.status, refused.element("Code")), (405, Some("MethodNotAllowed")));
    assert_eq!(refused.header("x-amz-delete-marker"), Some("true"));

    let restored = client.send(Method::DELETE, &format!("/vault/k?versionId={marker}"), b"").await;
    assert_eq!((restored.status, restored.header("x-amz-delete-marker")), (204, Some("true")));
    assert_eq!(client.send(Method::GET, "/vault/k", b"").await.body, "kept");
}

#[tokio::test]
async fn a_body_is_taken_in_each_form_that_can_be_signed_and_comes_back_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (_running, client) = serve_below(directory.path()).await;
    versioned(&client).await;
    let body: Vec<u8> = (0..700_000_u32).map(|number| number.to_be_bytes()[3]).collect();
    let length = body.len().to_string();
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n", TRAILER].concat();
    const TRAILER: &[u8] = b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n";

    assert_eq!(client.send(Method::PUT, "/vault/k", &body).await.status, 200);
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    assert_eq!(client.send_with(Method::PUT, "/vault/k", &body, &unsigned).await.status, 200);
    assert_eq!(client.send(Method::GET, "/vault/k", b"").await.body, body);
    let other = hex::encode(Sha256::digest(b"other"));
    let wrong = client.send_with(Method::PUT, "/vault/k", &body, &[("x-amz-content-sha256", &other)]).await;
    assert_eq!((wrong.status, wrong.element("Code")), (400, Some("XAmzContentSHA256Mismatch")));
    let trailing = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", length.as_str()),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let wrong = client.send_with(Method::PUT, "/vault/k", &chunked, &trailing).await;
    assert_eq!((wrong.status, wrong.element("Code")), (400, Some("BadDigest")));
    assert_eq!(bodies_below(directory.path()), 2, "a refused body leaves nothing");
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (running, client) = serve_below(directory.path()).await;
    versioned(&client).await;
    let first = client.send(Method::PUT, "/vault/k", b"one").await;
    let first = first.header("x-amz-version-id").unwrap().to_owned();
    client.send(Method::PUT, "/vault/k", b"two").await;
    let before = client.send(Method::GET, "/vault?versions", b"").await.body;
    running.shutdown().await;
    let orphan = directory.path().join("buckets/vault/bodies/00/00orphan");
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, b"half a body").unwrap();

    let (_running, client) = serve_below(directory.path()).await;
    assert_eq!(client.send(Method::GET, "/vault?versions", b"").await.body, before);
    assert_eq!(client.send(Method::GET, &format!("/vault/k?versionId={first}"), b"").await.body, "one");
    assert!(!orphan.exists());
}

#[tokio::test]
async fn a_directory_has_one_store_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (_running, client) = serve_below(directory.path()).await;
    let secret = Secret::new(SECRET_KEY.to_owned());
    let second = start(directory.path(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ACCESS_KEY, &secret, "r").await;
    assert!(matches!(second, Err(DevStoreError::Open { .. })));
    let taken = tempfile::tempdir().unwrap();
    let second = start(taken.path(), client.address, ACCESS_KEY, &secret, "r").await;
    assert!(matches!(second, Err(DevStoreError::Listen { .. })));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (running, client) = serve_below(directory.path()).await;
    versioned(&client).await;
    let length = 4 * 1024 * 1024;
    let mut head = String::from("PUT /vault/k HTTP/1.1\r\n");
    for (name, value) in client.signed(&Method::PUT, "/vault/k", &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {length}\r\n\r\n"));
    let mut stream = TcpStream::connect(client.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![7; length / 2]).await.unwrap();
    drop(stream);
    // The drain ends when the broken connection was dealt with.
    running.shutdown().await;
    let (_running, client) = serve_below(directory.path()).await;
    assert_eq!(client.send(Method::GET, "/vault/k", b"").await.status, 404);
    assert_eq!(bodies_below(directory.path()), 0);
}
