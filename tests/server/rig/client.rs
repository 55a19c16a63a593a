//! Bytes to a socket, and what comes back.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::DEADLINE;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// The text of the first element of this name in the body.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    }

    /// S3's error code.
    pub(crate) fn code(&self) -> String {
        self.element("Code").unwrap_or_default()
    }

    /// CloudTrail's name for the error.
    pub(crate) fn exception(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["__type"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and code, as tests compare them.
    pub(crate) fn said(&self) -> (u16, String) {
        (self.status, self.code())
    }
}

/// Sends bytes and reads until the proxy closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = open(address, bytes).await;
    read(&mut stream).await
}

/// The same over a Unix socket.
pub(super) async fn exchange_at(socket: &Path, bytes: &[u8]) -> Reply {
    let mut stream = UnixStream::connect(socket).await.expect("a socket");
    stream.write_all(bytes).await.expect("sent");
    read(&mut stream).await
}

/// Sends bytes and leaves the connection to the caller.
pub(crate) async fn open(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // A proxy that refuses early may close before it has taken everything.
    drop(stream.write_all(bytes).await);
    stream
}

/// Reads until the other side closes.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Reply {
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match tokio::time::timeout(DEADLINE, stream.read(&mut piece)).await {
            Err(_) => panic!("no end of the reply: {:?}", String::from_utf8_lossy(&received)),
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(count)) => received.extend_from_slice(&piece[..count]),
        }
    }
    let text = String::from_utf8_lossy(&received).into_owned();
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Reply { status: status.unwrap_or(0), headers, body: body.to_owned() }
}
