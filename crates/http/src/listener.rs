//! The listener: accepts connections within limits, and drains them when the proxy stops.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::TrustedProxies;
use super::client_limit::{ClientLimit, ConnectionSlot};
use super::connection::ConnectionProgress;
use super::timeouts::{ClientTimeouts, TimedStream};
use super::tls::{ClientStream, ConnectionChannel, HandshakeFault, ListenerSecurity};

/// What a connection may use; each bound stops a way to exhaust the proxy.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Until a TLS handshake, and then a head, is complete: stops clients that send it a byte at a time.
    pub header_timeout: Duration,
    /// Header lines in one head.
    pub headers: usize,
    /// Bytes of one head.
    pub head_bytes: usize,
    /// Connections at once; for a further one an idle connection gives way, or it waits.
    pub connections: usize,
    /// Connections at once from one client; further ones are turned away.
    pub connections_per_address: usize,
    /// Whose connections are those of many clients.
    pub proxies: TrustedProxies,
    /// Until a connection without a request is closed: stops clients that open them and leave.
    pub keep_alive: Duration,
    /// Until a client takes any of its reply: stops clients that do not read.
    pub write_idle: Duration,
    /// How long requests in progress may take once the proxy stops.
    pub drain: Duration,
}

/// The header lines that hyper takes in one head unless it is told otherwise.
const HEADERS_BY_DEFAULT: usize = 100;

/// What happens to what comes over a connection.
pub trait ConnectionHandler: Send + Sync + 'static {
    /// The body of a reply.
    type Reply: Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static;

    /// Answers one request; the call itself notes it, so that one whose future is never polled is on record.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: RemoteEnd,
        progress: Arc<ConnectionProgress>,
    ) -> impl Future<Output = Response<Self::Reply>> + Send;

    /// Notes bytes that the TLS or HTTP layer itself refused, so that no request is without a record.
    fn refused_by_http(&self, remote: RemoteEnd, bytes: u64, reason: UnreadRequest);
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteEnd {
    pub address: SocketAddr,
    pub channel: ConnectionChannel,
}

/// Why bytes never became a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadRequest {
    /// The client left in the middle of a head.
    Cut,
    /// There was no TLS connection over which a request could come.
    Handshake(HandshakeFault),
    /// The head is longer than the limits: 431.
    HeadTooLong,
    /// Not HTTP/1.1: 400.
    NotHttp,
    /// The head did not come in time.
    TimedOut,
    /// Nothing was read: its client has as many connections as it may.
    TooManyConnections,
}

/// Serves until `stop` says so, then waits for requests under way.
pub async fn serve<H: ConnectionHandler>(
    listener: TcpListener,
    security: ListenerSecurity,
    handler: Arc<H>,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(limits.connections));
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let client_limit = ClientLimit::new(limits.connections_per_address);
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted.map(|(stream, address)| (stream, canonical(address))) {
            Ok((stream, address)) => {
                let progress = Arc::new(ConnectionProgress::default());
                let Some(slot) = slot(&client_limit, &limits.proxies, address, &progress) else {
                    let remote = RemoteEnd { address, channel: ConnectionChannel::Plain };
                    handler.refused_by_http(remote, 0, UnreadRequest::TooManyConnections);
                    if let (ListenerSecurity::Plain, Ok(turn)) = (&security, turned_away.clone().try_acquire_owned()) {
                        tokio::spawn(turn_away(stream, turn));
                    }
                    continue;
                };
                let place = tokio::select! {
                    place = place(&room, &client_limit) => place?,
                    () = stopped(&mut stop) => break,
                };
                let connection = ClientConnection {
                    security: security.clone(),
                    handler: handler.clone(),
                    limits: limits.clone(),
                    stop: stop.clone(),
                    progress,
                    slot,
                    _place: place,
                };
                tokio::spawn(connection.run(stream, address));
            }
            // Out of descriptors, or a client that left at once: the port itself is sound.
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::select! {
                    () = rest_after(&error) => {}
                    () = stopped(&mut stop) => break,
                }
            }
        }
    }
    drop(listener);
    match tokio::time::timeout(limits.drain, room.acquire_many(all)).await {
        Ok(_) => {}
        Err(_) => tracing::warn!("requests still under way were cut off"),
    }
    Ok(())
}

/// How long nothing is accepted after it failed for want of descriptors: it would fail again at once, and the client is
/// still there later.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Waits as long as it makes no sense to accept after this error.
pub async fn rest_after(error: &io::Error) {
    if is_of_one_client(error) {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(SHORTAGE).await;
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// The address of an IPv4 client as it is, also where the port takes both.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(IpAddr::V4(ip), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn slot(
    client_limit: &ClientLimit,
    proxies: &TrustedProxies,
    peer: SocketAddr,
    progress: &Arc<ConnectionProgress>,
) -> Option<ConnectionSlot> {
    if proxies.trusts(peer.ip()) {
        return Some(client_limit.take_for_proxy(progress.clone()));
    }
    client_limit.take(peer.ip(), progress.clone())
}

/// How long a connection that was told to leave may take before another one is told.
const LEAVE: Duration = Duration::from_millis(100);

/// The next place; where none is free, idle connections give way, one after the other.
///
/// A few addresses can open as many connections as there are in all. New ones would wait until theirs time out.
async fn place(room: &Arc<Semaphore>, client_limit: &ClientLimit) -> io::Result<OwnedSemaphorePermit> {
    if let Ok(place) = room.clone().try_acquire_owned() {
        return Ok(place);
    }
    loop {
        client_limit.free_one();
        if let Ok(place) = tokio::time::timeout(LEAVE, room.clone().acquire_owned()).await {
            return place.map_err(io::Error::other);
        }
    }
}

/// Clients at once that are told that they have too many connections: those who open them without end take nothing from
/// others.
const TURNED_AWAY: usize = 16;

/// Tells a client that it has too many connections, if it listens.
async fn turn_away(mut stream: TcpStream, _turn: OwnedSemaphorePermit) {
    const REPLY: &[u8] = b"HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";
    let told = async {
        stream.write_all(REPLY).await?;
        stream.shutdown().await?;
        // What is unread when a socket closes resets it, and the reply would be lost.
        while stream.read(&mut [0; 4096]).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    drop(tokio::time::timeout(Duration::from_secs(1), told).await);
}

struct ClientConnection<H> {
    security: ListenerSecurity,
    handler: Arc<H>,
    limits: ConnectionLimits,
    stop: watch::Receiver<bool>,
    progress: Arc<ConnectionProgress>,
    slot: ConnectionSlot,
    _place: OwnedSemaphorePermit,
}

impl<H: ConnectionHandler> ClientConnection<H> {
    async fn run(mut self, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let secured = tokio::select! {
            secured = self.security.secure(stream, self.limits.header_timeout) => secured,
            () = stopped(&mut self.stop) => return,
            () = self.slot.given_up() => return,
        };
        match secured {
            Ok((stream, channel)) => self.serve(stream, RemoteEnd { address, channel }).await,
            Err(unshaken) => {
                // A connection without a request, as of a health check, is no failure.
                if unshaken.bytes > 0 {
                    let remote = RemoteEnd { address, channel: ConnectionChannel::Plain };
                    self.handler.refused_by_http(remote, unshaken.bytes, UnreadRequest::Handshake(unshaken.fault));
                }
                tracing::debug!(%address, fault = ?unshaken.fault, "no TLS connection");
            }
        }
    }

    async fn serve(mut self, stream: ClientStream, remote: RemoteEnd) {
        let progress = self.progress;
        let service = service_fn({
            let (handler, progress) = (self.handler.clone(), progress.clone());
            move |request: Request<Incoming>| {
                let (handler, progress) = (handler.clone(), progress.clone());
                progress.begin();
                if awaits_continue(&request) {
                    progress.owe_continue();
                }
                // Called before the future is made: hyper may drop that one unpolled, when its client leaves at once.
                let answering = handler.handle(request, remote, progress);
                async move { Ok::<_, Infallible>(answering.await) }
            }
        });
        let limits = &self.limits;
        let timeouts =
            ClientTimeouts { head: limits.header_timeout, next: limits.keep_alive, write: limits.write_idle };
        let stream = TimedStream::new(stream, progress.clone(), timeouts);
        let mut http = http1::Builder::new();
        http.header_read_timeout(None).max_header_size(self.limits.head_bytes).half_close(false);
        // Told its own number, hyper gives up its faster way to read as many.
        if self.limits.headers != HEADERS_BY_DEFAULT {
            http.max_headers(self.limits.headers);
        }
        let served = http.serve_connection(TokioIo::new(stream), service);
        let mut served = pin!(served);
        let finished = tokio::select! {
            biased;
            outcome = served.as_mut() => Some(outcome),
            () = stopped(&mut self.stop) => None,
            () = self.slot.given_up() => {
                served.as_mut().graceful_shutdown();
                let Some(outcome) = leave(served.as_mut(), &progress).await else {
                    let bytes = progress.unaccounted();
                    if bytes > 0 {
                        self.handler.refused_by_http(remote, bytes, UnreadRequest::TooManyConnections);
                    }
                    return;
                };
                Some(outcome)
            }
        };
        let outcome = match finished {
            Some(outcome) => outcome,
            None => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = outcome {
            let bytes = progress.unaccounted();
            // What is no head, or half of one, may have come together with the request before it, which then accounted
            // for its bytes.
            let half_a_head = error.is_incomplete_message() && progress.is_between_requests();
            if bytes > 0 || error.is_parse() || half_a_head {
                self.handler.refused_by_http(remote, bytes, UnreadRequest::of(&error, &progress));
            }
            tracing::debug!(peer = %remote.address, %error, "connection ended");
        }
    }
}

/// Ends a connection that carries no request: none where its client has sent half a head, or does not take its last reply.
/// A request that came meanwhile is answered.
async fn leave<S: Future>(mut served: Pin<&mut S>, progress: &ConnectionProgress) -> Option<S::Output> {
    if progress.is_between_requests() && progress.unaccounted() > 0 {
        return None;
    }
    match tokio::time::timeout(LEAVE, served.as_mut()).await {
        Ok(outcome) => Some(outcome),
        Err(_) if progress.is_between_requests() => None,
        Err(_) => Some(served.await),
    }
}

/// True for a client that waits for `100 Continue` before it sends nothing; hyper tells only those that send something.
fn awaits_continue(request: &Request<Incoming>) -> bool {
    let expects = request.headers().get(http::header::EXPECT);
    request.version() == http::Version::HTTP_11
        && request.body().is_end_stream()
        && expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Ends when the proxy stops, or when the sender of that signal is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stopped| *stopped).await);
}

impl UnreadRequest {
    fn of(error: &hyper::Error, progress: &ConnectionProgress) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLong
        } else if progress.timed_out() {
            Self::TimedOut
        } else if error.is_parse() {
            Self::NotHttp
        } else {
            Self::Cut
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use http_body_util::Full;

    #[derive(Default)]
    struct Echo {
        refused: Mutex<Vec<(u64, UnreadRequest)>>,
    }

    impl ConnectionHandler for Echo {
        type Reply = Full<bytes::Bytes>;

        async fn handle(
            self: Arc<Self>,
            request: Request<Incoming>,
            _: RemoteEnd,
            progress: Arc<ConnectionProgress>,
        ) -> Response<Self::Reply> {
            progress.end();
            Response::new(Full::new(request.uri().path().to_owned().into()))
        }

        fn refused_by_http(&self, _: RemoteEnd, bytes: u64, reason: UnreadRequest) {
            self.refused.lock().expect("sound").push((bytes, reason));
        }
    }

    /// A port with such limits.
    struct Port {
        address: SocketAddr,
        handler: Arc<Echo>,
        stop: watch::Sender<bool>,
        serving: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn port(change: impl FnOnce(&mut ConnectionLimits)) -> Port {
        let second = Duration::from_secs(1);
        let mut limits = ConnectionLimits {
            header_timeout: 10 * second,
            headers: 16,
            head_bytes: 8192,
            connections: 8,
            connections_per_address: 8,
            proxies: TrustedProxies::default(),
            keep_alive: 75 * second,
            write_idle: 30 * second,
            drain: Duration::ZERO,
        };
        change(&mut limits);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let handler = Arc::new(Echo::default());
        let serving = tokio::spawn(serve(listener, ListenerSecurity::Plain, handler.clone(), limits, stopped));
        Port { address, handler, stop, serving }
    }

    impl Port {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.expect("connected")
        }

        /// What was refused until the port stopped.
        async fn stop(self) -> Vec<(u64, UnreadRequest)> {
            self.stop.send_replace(true);
            self.serving.await.expect("served").expect("in order");
            std::mem::take(&mut *self.handler.refused.lock().expect("sound"))
        }
    }

    async fn ask(stream: &mut TcpStream, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut reply = [0; 4096];
        let length = stream.read(&mut reply).await.expect("a reply");
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut rest = Vec::new();
        // A reset is an end as well.
        drop(stream.read_to_end(&mut rest).await);
        String::from_utf8_lossy(&rest).into_owned()
    }

    #[tokio::test]
    async fn one_connection_too_many_is_told_so_and_recorded_once() {
        let port = port(|limits| limits.connections_per_address = 1).await;
        let mut first = port.connect().await;
        assert!(ask(&mut first, "/a").await.ends_with("/a"));
        assert!(rest(port.connect().await).await.starts_with("HTTP/1.1 503 Slow Down\r\n"));
        assert!(ask(&mut first, "/b").await.ends_with("/b"), "the first is none the worse");
        assert_eq!(port.stop().await, [(0, UnreadRequest::TooManyConnections)]);
    }

    #[tokio::test]
    async fn a_trusted_proxy_has_as_many_connections_as_there_are() {
        let network = portcullis_base::network::IpNetwork::parse("127.0.0.1").expect("a network");
        let port = port(|limits| {
            limits.connections_per_address = 1;
            limits.proxies = TrustedProxies::new(vec![network]);
        })
        .await;
        for stream in &mut [port.connect().await, port.connect().await] {
            assert!(ask(stream, "/a").await.ends_with("/a"));
        }
        assert_eq!(port.stop().await, []);
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_without_a_record() {
        let port = port(|limits| limits.keep_alive = Duration::from_millis(1)).await;
        let mut stream = port.connect().await;
        assert!(ask(&mut stream, "/a").await.ends_with("/a"));
        assert_eq!(rest(stream).await, "");
        assert_eq!(port.stop().await, []);
    }

    #[tokio::test]
    async fn an_idle_connection_outlives_the_time_of_a_head() {
        let port = port(|limits| limits.header_timeout = Duration::from_millis(50)).await;
        let mut stream = port.connect().await;
        assert!(ask(&mut stream, "/a").await.ends_with("/a"));
        let closed = tokio::time::timeout(Duration::from_millis(200), stream.readable()).await;
        assert!(closed.is_err(), "neither closed nor answered");
        assert!(ask(&mut stream, "/b").await.ends_with("/b"));
        assert_eq!(port.stop().await, []);
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_in_time_is_recorded() {
        let port = port(|limits| limits.header_timeout = Duration::from_millis(1)).await;
        let mut stream = port.connect().await;
        stream.write_all(b"GET / HT").await.expect("written");
        assert_eq!(rest(stream).await, "");
        assert_eq!(port.stop().await, [(8, UnreadRequest::TimedOut)]);
    }

    #[tokio::test]
    async fn on_a_full_port_an_idle_connection_gives_way_to_a_new_one() {
        let port = port(|limits| limits.connections = 2).await;
        let mut idle = port.connect().await;
        assert!(ask(&mut idle, "/a").await.ends_with("/a"));
        let mut half = port.connect().await;
        half.write_all(b"GET / HT").await.expect("written");
        let mut first = port.connect().await;
        assert!(ask(&mut first, "/b").await.ends_with("/b"));
        assert_eq!(rest(idle).await, "", "its request is longer ago");
        let mut second = port.connect().await;
        assert!(ask(&mut second, "/c").await.ends_with("/c"));
        assert_eq!(rest(half).await, "");
        assert!(ask(&mut first, "/d").await.ends_with("/d"));
        assert_eq!(port.stop().await, [(8, UnreadRequest::TooManyConnections)]);
    }

    #[tokio::test]
    async fn those_that_are_turned_away_take_no_places_of_others() {
        let port = port(|limits| (limits.connections, limits.connections_per_address) = (2, 1)).await;
        let mut first = port.connect().await;
        assert!(ask(&mut first, "/a").await.ends_with("/a"));
        // None of these leaves by itself.
        let mut turned_away = Vec::new();
        for _ in 0..TURNED_AWAY + 4 {
            turned_away.push(port.connect().await);
        }
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 2], 0).into()).expect("another address of this machine");
        let mut other = socket.connect(port.address).await.expect("connected");
        assert!(ask(&mut other, "/b").await.ends_with("/b"));
        assert!(ask(&mut first, "/c").await.ends_with("/c"), "neither gave way");
        assert_eq!(port.stop().await, vec![(0, UnreadRequest::TooManyConnections); TURNED_AWAY + 4]);
    }

    #[tokio::test]
    async fn a_full_port_can_be_stopped() {
        let port = port(|limits| limits.connections = 1).await;
        let mut stream = port.connect().await;
        assert!(ask(&mut stream, "/a").await.ends_with("/a"));
        assert_eq!(port.stop().await, []);
    }

    #[test]
    fn an_ipv4_client_of_a_port_for_both_is_itself() {
        for (peer, client) in [
            ("[::ffff:127.0.0.1]:7", "127.0.0.1:7"),
            ("127.0.0.1:7", "127.0.0.1:7"),
            ("[::1]:7", "[::1]:7"),
            ("[::127.0.0.1]:7", "[::7f00:1]:7"),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            assert_eq!(canonical(peer).to_string(), client);
        }
    }

    #[test]
    fn only_a_client_that_left_lets_the_next_one_in_at_once() {
        use rustix::io::Errno;
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::PERM] {
            assert!(!is_of_one_client(&errno.into()), "{errno}");
        }
        assert!(is_of_one_client(&Errno::CONNABORTED.into()));
    }

    #[tokio::test]
    async fn after_descriptors_ran_out_nothing_is_accepted_for_a_while() {
        let start = std::time::Instant::now();
        rest_after(&rustix::io::Errno::MFILE.into()).await;
        assert!(start.elapsed() >= SHORTAGE);
    }

    #[tokio::test]
    async fn a_client_that_waits_to_send_an_empty_body_is_told_to_go_on() {
        let port = port(|_| ()).await;
        let mut stream = port.connect().await;
        for head in ["expect: 100-continue\r\ncontent-length: 0\r\n", ""] {
            let request = format!("PUT /a HTTP/1.1\r\nhost: x\r\n{head}\r\n");
            stream.write_all(request.as_bytes()).await.expect("written");
            let mut reply = String::new();
            while !reply.ends_with("\r\n/a") {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.expect("a reply");
                assert!(length > 0, "{reply}");
                reply.push_str(&String::from_utf8_lossy(&part[..length]));
            }
            let told = reply.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
            assert_eq!(told, !head.is_empty(), "{reply}");
        }
        assert_eq!(port.stop().await, []);
    }

    #[tokio::test]
    async fn a_client_that_writes_all_before_it_reads_gets_its_reply() {
        let port = port(|_| ()).await;
        let mut stream = port.connect().await;
        let body = vec![7; 20 << 20];
        let head = format!("PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(&body).await.expect("taken although it was not read");
        assert!(rest(stream).await.ends_with("/a"));
        assert_eq!(port.stop().await, []);
    }
}
