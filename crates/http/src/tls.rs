//! TLS towards clients: the handshake, and what it came to.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{CipherSuite, Error as TlsError, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::{CertificateError, ServerCertificate};
use super::connection::{ConnectionProgress, CountedStream};
use super::stream::TcpOrTlsStream;
use crate::TlsFiles;

/// What protects connections on the way from the client.
#[derive(Clone)]
pub enum ListenerSecurity {
    Plain,
    Tls(TlsAcceptor, Arc<ServerCertificate>),
}

impl fmt::Debug for ListenerSecurity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls(..) => "Tls",
        })
    }
}

/// What reading the certificate again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateReload {
    Done,
    /// There is no certificate.
    Nothing,
}

/// How a connection is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChannel {
    Plain,
    /// The version and the cipher suite as CloudTrail names them.
    Tls {
        version: &'static str,
        cipher_suite: &'static str,
    },
}

/// Why there is no TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFault {
    /// The client broke off; it may be that it does not trust the certificate.
    ClientRefused,
    /// The client left within the handshake.
    Cut,
    /// No version, cipher suite or protocol that both know.
    NothingInCommon,
    /// What came is not TLS.
    NotTls,
    /// The client did something that TLS does not allow.
    Broken,
    /// It was not done in time.
    TimedOut,
}

/// A handshake that failed after this many bytes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FailedHandshake {
    pub bytes: u64,
    pub fault: HandshakeFault,
}

/// Bytes of one client, counted where they leave TCP.
pub(super) type ClientStream = TcpOrTlsStream<CountedStream<TcpStream>>;

impl ListenerSecurity {
    /// TLS 1.2 or later with the certificate in these files.
    pub fn tls(files: &TlsFiles) -> Result<Self, CertificateError> {
        let certificate = Arc::new(ServerCertificate::read(files)?);
        let unusable =
            |error: TlsError| CertificateError::Unusable { path: files.cert_file.clone(), reason: error.to_string() };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self::Tls(TlsAcceptor::from(Arc::new(config)), certificate))
    }

    /// Reads the certificate again at once; one that cannot be served changes nothing.
    pub fn reload(&self) -> Result<CertificateReload, CertificateError> {
        match self {
            Self::Plain => Ok(CertificateReload::Nothing),
            Self::Tls(_, certificate) => certificate.reload().map(|()| CertificateReload::Done),
        }
    }

    /// Makes the connection what it is to be.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<(ClientStream, ConnectionChannel), FailedHandshake> {
        let acceptor = match self {
            Self::Plain => return Ok((TcpOrTlsStream::Plain(stream), ConnectionChannel::Plain)),
            Self::Tls(acceptor, _) => acceptor,
        };
        let progress = Arc::new(ConnectionProgress::default());
        // Boxed, so that a connection in the clear does not carry the room that a handshake needs.
        let accepting = Box::pin(acceptor.accept(CountedStream::new(stream, progress.clone())));
        let fault = match tokio::time::timeout(limit, accepting).await {
            Ok(Ok(stream)) => {
                let channel = ConnectionChannel::of(stream.get_ref().1);
                return Ok((TcpOrTlsStream::Tls(Box::new(stream.into())), channel));
            }
            Ok(Err(error)) => HandshakeFault::of(&error),
            Err(_) => HandshakeFault::TimedOut,
        };
        Err(FailedHandshake { bytes: progress.unaccounted(), fault })
    }
}

impl HandshakeFault {
    fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref::<TlsError>()) {
            None => Self::Cut,
            Some(TlsError::AlertReceived(_)) => Self::ClientRefused,
            Some(TlsError::InvalidMessage(_)) => Self::NotTls,
            Some(TlsError::NoApplicationProtocol | TlsError::PeerIncompatible(_)) => Self::NothingInCommon,
            Some(_) => Self::Broken,
        }
    }
}

impl ConnectionChannel {
    fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(_) | None => "unknown",
        };
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        Self::Tls { version, cipher_suite: suite.map_or("unknown", name_of) }
    }
}

/// The names that CloudTrail uses: those of the registry for TLS 1.3, and OpenSSL's for TLS 1.2.
const SUITES: &[(CipherSuite, &str)] = &[
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
    (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"),
];

fn name_of(suite: CipherSuite) -> &'static str {
    let known = SUITES.iter().find_map(|&(known, name)| (known == suite).then_some(name));
    known.or_else(|| suite.as_str()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::Endpoint;
    use crate::certificate::certificates;
    use crate::fixture::{Authority, files};
    use crate::{DialError, Dialler, TrustedAuthorities};

    const LIMIT: Duration = Duration::from_secs(10);

    struct TlsServer {
        listener: TcpListener,
        security: ListenerSecurity,
        authority: Authority,
        directory: tempfile::TempDir,
    }

    impl TlsServer {
        async fn start() -> Self {
            let (authority, directory) = (Authority::new("ours"), tempfile::tempdir().expect("a directory"));
            let security = ListenerSecurity::tls(&files(directory.path(), &authority.issue("localhost"))).expect("TLS");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            Self { listener, security, authority, directory }
        }

        fn endpoint(&self, host: &str) -> Endpoint {
            let port = self.listener.local_addr().expect("an address").port();
            Endpoint::parse(&format!("https://{host}:{port}")).expect("an endpoint")
        }

        fn dialler(&self, host: &str, authority: &Authority) -> Dialler {
            let file = self.directory.path().join("ca.pem");
            authority.write(&file);
            Dialler::new(self.endpoint(host), &TrustedAuthorities::File(file)).expect("a dialler")
        }

        async fn accept(&self, limit: Duration) -> Result<(ClientStream, ConnectionChannel), FailedHandshake> {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            self.security.secure(stream, limit).await
        }

        async fn meet(&self, bytes: &[u8]) -> FailedHandshake {
            let mut stream = TcpStream::connect(self.listener.local_addr().expect("an address")).await.expect("there");
            stream.write_all(bytes).await.expect("sent");
            stream.shutdown().await.expect("closed");
            self.accept(LIMIT).await.expect_err("no TLS")
        }
    }

    #[tokio::test]
    async fn bytes_travel_both_ways_and_the_connection_says_how() {
        let server = TlsServer::start().await;
        let dialler = server.dialler("localhost", &server.authority);
        let (accepted, connected) = tokio::join!(server.accept(LIMIT), dialler.connect());
        let ((mut here, channel), mut there) = (accepted.expect("accepted"), connected.expect("connected"));
        assert!(
            matches!(channel, ConnectionChannel::Tls { version: "TLSv1.3", cipher_suite } if cipher_suite.starts_with("TLS_"))
        );
        let mut heard = [0; 4];
        there.write_all(b"ping").await.expect("sent");
        there.flush().await.expect("sent");
        here.read_exact(&mut heard).await.expect("heard");
        assert_eq!(&heard, b"ping");
        here.write_all(b"pong").await.expect("sent");
        here.flush().await.expect("sent");
        there.read_exact(&mut heard).await.expect("heard");
        assert_eq!(&heard, b"pong");
    }

    #[tokio::test]
    async fn tls_1_2_is_spoken_too_and_its_suite_named_as_openssl_does() {
        let server = TlsServer::start().await;
        let file = server.directory.path().join("ca.pem");
        server.authority.write(&file);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificates(&file).expect("an authority").remove(0)).expect("an authority");
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(server.listener.local_addr().expect("an address")).await.expect("there");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = "localhost".try_into().expect("a name");
        let (accepted, connected) = tokio::join!(server.accept(LIMIT), connector.connect(name, stream));
        connected.expect("connected");
        let ConnectionChannel::Tls { version, cipher_suite } = accepted.expect("accepted").1 else {
            panic!("in the clear")
        };
        assert_eq!(version, "TLSv1.2");
        assert!(cipher_suite.starts_with("ECDHE-ECDSA-AES"), "{cipher_suite}");
    }

    #[tokio::test]
    async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
        let server = TlsServer::start().await;
        let dialler = server.dialler("localhost", &Authority::new("stranger"));
        let (accepted, connected) = tokio::join!(server.accept(LIMIT), dialler.connect());
        let error = connected.expect_err("not trusted");
        assert!(matches!(error, DialError::Untrusted(_)));
        assert_eq!(error.to_string(), "its certificate is not trusted: invalid peer certificate: UnknownIssuer");
        assert_eq!(accepted.expect_err("refused").fault, HandshakeFault::ClientRefused);
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_not_trusted() {
        let server = TlsServer::start().await;
        let dialler = server.dialler("127.0.0.1", &server.authority);
        let (_, connected) = tokio::join!(server.accept(LIMIT), dialler.connect());
        assert!(matches!(connected, Err(DialError::Untrusted(_))), "{connected:?}");
    }

    #[tokio::test]
    async fn whoever_does_not_shake_hands_is_turned_away_with_a_reason() {
        let server = TlsServer::start().await;
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert_eq!(server.meet(request).await, FailedHandshake { bytes: 35, fault: HandshakeFault::NotTls });
        assert_eq!(server.meet(b"\x16\x03\x01").await, FailedHandshake { bytes: 3, fault: HandshakeFault::Cut });
        assert_eq!(server.meet(b"").await, FailedHandshake { bytes: 0, fault: HandshakeFault::Cut });
        let _silent = TcpStream::connect(server.listener.local_addr().expect("an address")).await.expect("there");
        let fault = server.accept(Duration::ZERO).await.expect_err("too late");
        assert_eq!(fault, FailedHandshake { bytes: 0, fault: HandshakeFault::TimedOut });
    }

    #[tokio::test]
    async fn a_port_in_the_clear_is_no_https_endpoint() {
        let server = TlsServer::start().await;
        let dialler = server.dialler("localhost", &server.authority);
        let answer = async {
            let (mut stream, _) = server.listener.accept().await.expect("a connection");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
            stream
        };
        let (_stream, connected) = tokio::join!(answer, dialler.connect());
        assert!(matches!(connected, Err(DialError::Handshake(_))), "{connected:?}");
    }

    #[test]
    fn every_cipher_suite_has_the_name_that_cloudtrail_gives_it() {
        let names: Vec<&str> = default_provider().cipher_suites.iter().map(|suite| name_of(suite.suite())).collect();
        assert!(names.iter().all(|name| !name.contains("TLS13") && !name.contains("_WITH_")), "{names:?}");
        assert_eq!(name_of(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), "ECDHE-RSA-AES128-GCM-SHA256");
    }
}
