//! TLS towards clients and towards the store, over real sockets.

#![cfg(feature = "embedded")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use portcullis_authorization::LoopbackTrust;
use portcullis_base::clock::Clock;
use portcullis_base::secret::Secret;
use portcullis_http::{DialError, Dialler, TrustedAuthorities};
use portcullis_http::{Endpoint, TlsFiles};
use portcullis_s3::UpstreamKind;
use portcullis_server::config::Settings;
use portcullis_server::serve::{self, StartFailure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const ENABLE: &str = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                      <Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";

#[tokio::test(flavor = "multi_thread")]
async fn a_code_over_tls_is_taken_where_it_always_has_to_be() {
    let rig = Rig::new().await;
    let proxy = rig.proxy(|settings| {
        settings.listen.tls = Some(rig.ours.issue(&rig.path("proxy")));
        settings.mfa.require_tls = LoopbackTrust::TlsOnly;
    });
    let proxy = proxy.await;
    assert_eq!(proxy.ask("PUT", "/vault", None, "").await.0, 200);
    let offer = proxy.enrol();
    let (status, text) = proxy.ask("PUT", "/vault?versioning", Some(&offer), ENABLE).await;
    assert_eq!((status, text.as_str()), (200, ""));
    let events = proxy.stop().await;
    let enabled = events.iter().find(|event| event["eventName"] == "PutBucketVersioning").expect("recorded");
    assert_eq!(enabled["tlsDetails"]["tlsVersion"], "TLSv1.3");
    assert_eq!(enabled["additionalEventData"]["CipherSuite"], enabled["tlsDetails"]["cipherSuite"]);
    assert!(enabled["tlsDetails"]["cipherSuite"].as_str().expect("a suite").starts_with("TLS_"), "{enabled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_in_the_clear_is_refused_where_tls_is_always_required() {
    let rig = Rig::new().await;
    let proxy = rig.proxy(|settings| settings.mfa.require_tls = LoopbackTrust::TlsOnly).await;
    assert_eq!(proxy.ask("PUT", "/vault", None, "").await.0, 200);
    let offer = proxy.enrol();
    let (status, text) = proxy.ask("PUT", "/vault?versioning", Some(&offer), ENABLE).await;
    assert_eq!(status, 400);
    assert!(text.contains("<Code>InvalidRequest</Code>") && text.contains("secure connection"), "{text}");
    let events = proxy.stop().await;
    let refused = events.iter().find(|event| event["eventName"] == "PutBucketVersioning").expect("recorded");
    assert_eq!(refused["tlsDetails"]["tlsVersion"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_fails_is_recorded() {
    let rig = Rig::new().await;
    let proxy = rig.proxy(|settings| settings.listen.tls = Some(rig.ours.issue(&rig.path("proxy")))).await;
    let stranger = Authority::new("stranger", &rig.path("stranger.pem"));
    let dialler = Dialler::new(proxy.endpoint.clone(), &stranger.alone()).expect("a dialler");
    assert!(matches!(dialler.connect().await, Err(DialError::Untrusted(_))));
    let mut plain = TcpStream::connect(proxy.address).await.expect("a connection");
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP/"));
    drop(TcpStream::connect(proxy.address).await.expect("a connection"));
    let events = proxy.stop().await;
    let mut failed: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event["eventName"] == "ConnectionError")
        .map(|event| (text(&event["errorCode"]), text(&event["errorMessage"])))
        .collect();
    failed.sort_unstable();
    assert_eq!(
        failed,
        [
            (
                "TlsHandshakeFailed",
                "the client refused the TLS connection, as it does when it does not trust the certificate"
            ),
            ("TlsHandshakeFailed", "what came is not TLS"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_trust_whom_aws_ca_bundle_names() {
    let rig = Rig::new().await;
    let proxy = rig.proxy(|settings| settings.listen.tls = Some(rig.ours.issue(&rig.path("proxy")))).await;
    assert_eq!(proxy.ask("PUT", "/vault", None, "").await.0, 200);
    let status = |bundle: &Path| proxy.run(&["mfa-delete", "status", "vault", "--json"], &[("AWS_CA_BUNDLE", bundle)]);
    let trusted = status(&rig.ours.file);
    assert_eq!(said(&trusted.stdout), "{\"bucket\":\"vault\",\"versioning\":null,\"mfaDelete\":null}\n");
    let stranger = Authority::new("stranger", &rig.path("stranger.pem"));
    let refused = status(&stranger.file);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused.stderr).contains("UnknownIssuer"), "{}", said(&refused.stderr));
    assert!(said(&refused.stderr).contains("export AWS_CA_BUNDLE=FILE"), "{}", said(&refused.stderr));
    let nothing = status(&rig.path("nothing.pem"));
    assert_eq!(nothing.status.code(), Some(2));
    proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_proves_itself_is_reached_over_tls() {
    let rig = Rig::new().await;
    let front = Front::start(&rig.ours.issue(&rig.path("store")), rig.store.address).await;
    let proxy = rig.proxy(|settings| {
        settings.upstream.endpoint = front.endpoint();
        settings.upstream.ca_file = Some(rig.ours.file.clone());
    });
    let proxy = proxy.await;
    assert_eq!(proxy.ask("PUT", "/vault", None, "").await.0, 200);
    assert_eq!(proxy.ask("PUT", "/vault/k", None, "what travels over TLS").await.0, 200);
    assert_eq!(proxy.ask("GET", "/vault/k", None, "").await, (200, "what travels over TLS".to_owned()));
    assert!(front.served.load(Ordering::SeqCst) > 0);
    proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_prove_itself_is_sent_nothing() {
    let rig = Rig::new().await;
    let front = Front::start(&rig.ours.issue(&rig.path("store")), rig.store.address).await;
    let stranger = Authority::new("stranger", &rig.path("stranger.pem"));
    let proxy = rig.proxy(|settings| {
        settings.upstream.endpoint = front.endpoint();
        settings.upstream.ca_file = Some(stranger.file.clone());
    });
    let proxy = proxy.await;
    let (status, text) = proxy.ask("PUT", "/vault", None, "").await;
    assert_eq!(status, 503);
    assert!(text.contains("The storage behind the proxy cannot prove who it is."), "{text}");
    let config = rig.path("portcullis.toml");
    let lines = format!(
        "[upstream]\nendpoint = \"{}\"\ncredentials_file = \"upstream.env\"\nca_file = \"stranger.pem\"\n",
        front.endpoint()
    );
    fs::write(&config, lines).expect("written");
    let check = proxy.run(&["check", "--config", &config.display().to_string()], &[]);
    assert_eq!(check.status.code(), Some(1));
    let found = said(&check.stdout);
    assert!(found.contains("its certificate is not trusted: invalid peer certificate: UnknownIssuer"), "{found}");
    assert_eq!(front.served.load(Ordering::SeqCst), 0);
    proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_could_not_be_trusted_does_not_start() {
    let rig = Rig::new().await;
    let (one, other) = (rig.ours.issue(&rig.path("one")), rig.ours.issue(&rig.path("other")));
    let mixed = TlsFiles { cert_file: one.cert_file, key_file: other.key_file };
    let settings = rig.settings(|settings| settings.listen.tls = Some(mixed));
    let failure = serve::start(&settings, Clock::System).await.expect_err("a proxy without its key");
    assert!(matches!(failure, StartFailure::Certificate(_)), "{failure}");
    assert!(failure.to_string().contains("does not belong to the certificate"), "{failure}");
    let settings = rig.settings(|settings| {
        settings.upstream.endpoint = Endpoint::parse("https://localhost").expect("an endpoint");
        settings.upstream.ca_file = Some(rig.path("nothing.pem"));
    });
    let failure = serve::start(&settings, Clock::System).await.expect_err("a proxy that trusts nobody");
    assert!(matches!(failure, StartFailure::Trust { .. }), "{failure}");
}

/// A directory, a store and an authority, before there is a proxy.
struct Rig {
    directory: tempfile::TempDir,
    store: portcullis_devstore::RunningStore,
    ours: Authority,
}

/// A proxy that serves.
struct Proxy {
    running: serve::RunningProxy,
    data: PathBuf,
    address: SocketAddr,
    endpoint: Endpoint,
    dialler: Dialler,
    clock: Arc<AtomicI64>,
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

/// TLS in front of a store that speaks none.
struct Front {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
}

impl Rig {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let secret = Secret::new("upstream-secret".to_owned());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let store =
            portcullis_devstore::start(&directory.path().join("store"), anywhere, "UPSTREAM", &secret, "us-east-1")
                .await;
        let key = directory.path().join("upstream.env");
        fs::write(&key, "AWS_ACCESS_KEY_ID=UPSTREAM\nAWS_SECRET_ACCESS_KEY=upstream-secret\n").expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
        let ours = Authority::new("ours", &directory.path().join("ca.pem"));
        Self { store: store.expect("a store"), ours, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self, choose: impl FnOnce(&mut Settings)) -> Settings {
        let endpoint = Endpoint::parse(&format!("http://{}", self.store.address)).expect("an endpoint");
        let mut settings = Settings::standard(self.path("data"), endpoint, self.path("upstream.env"));
        settings.listen.address = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.upstream.profile = UpstreamKind::Embedded;
        choose(&mut settings);
        settings
    }

    async fn proxy(&self, choose: impl FnOnce(&mut Settings)) -> Proxy {
        let settings = self.settings(choose);
        let clock = Arc::new(AtomicI64::new(Clock::System.now().millis()));
        let running = serve::start(&settings, Clock::Set(clock.clone())).await.expect("a proxy");
        let address = running.address();
        let scheme = if settings.listen.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::parse(&format!("{scheme}://localhost:{}", address.port())).expect("an endpoint");
        let dialler = Dialler::new(endpoint.clone(), &self.ours.alone()).expect("a dialler");
        Proxy { running, data: settings.state.directory, address, endpoint, dialler, clock }
    }
}

impl Proxy {
    /// Signs as root, sends, and reads the answer.
    async fn ask(&self, method: &str, target: &str, mfa: Option<&str>, body: &'static str) -> (u16, String) {
        let request = self.signed(method, target, mfa, body);
        let stream = self.dialler.connect().await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, said(&body))
    }

    fn signed(&self, method: &str, target: &str, mfa: Option<&str>, body: &'static str) -> Request<Full<Bytes>> {
        let (id, secret) = self.running.root_credentials().expect("root's key");
        let identity = Credentials::new(id.to_string(), secret.expose(), None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(self.now().system_time())
            .settings(settings)
            .build()
            .expect("complete")
            .into();
        let authority = self.endpoint.authority();
        let headers = [("host", Some(authority.as_str())), ("x-amz-mfa", mfa)];
        let headers: Vec<(&str, &str)> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let uri = format!("{}{target}", self.endpoint);
        let signable = SignableRequest::new(method, uri, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()));
        let (instructions, _) = sign(signable.expect("signable"), &parameters).expect("signed").into_parts();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(Bytes::from(body))).expect("a request");
        instructions.apply_to_request_http1x(&mut request);
        request
    }

    /// Enrols a device, and gives what it would show next.
    fn enrol(&self) -> String {
        let made = self.run(&["mfa", "add", "--name", "phone", "--no-activate", "--json"], &[]);
        let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
        let (serial, seed) = (text(&made["serialNumber"]), text(&made["base32Seed"]));
        let step = self.now().seconds() / 30;
        let activated =
            self.run(&["mfa", "activate", "--serial", serial, &code(seed, step - 1), &code(seed, step)], &[]);
        assert!(activated.status.success(), "{}", said(&activated.stderr));
        self.clock.fetch_add(30_000, Ordering::SeqCst);
        format!("{serial} {}", code(seed, step + 1))
    }

    fn now(&self) -> portcullis_base::clock::Timestamp {
        Clock::Set(self.clock.clone()).now()
    }

    /// Runs one of the proxy's commands as root.
    fn run(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
        let (id, secret) = self.running.root_credentials().expect("root's key");
        Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .env_clear()
            .env("PORTCULLIS_DATA", &self.data)
            .env("AWS_ENDPOINT_URL", self.endpoint.to_string())
            .env("AWS_ACCESS_KEY_ID", id.to_string())
            .env("AWS_SECRET_ACCESS_KEY", secret.expose())
            .envs(environment.iter().copied())
            .output()
            .expect("it runs")
    }

    /// Stops the proxy, and gives what it recorded.
    async fn stop(self) -> Vec<Value> {
        self.running.stop().await;
        let events = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["events", "--json", "--data"])
            .arg(&self.data)
            .output()
            .expect("it runs");
        said(&events.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Authority {
    fn new(name: &str, file: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        fs::write(file, pem("CERTIFICATE", issuer.der())).expect("written");
        Self { issuer, file: file.to_owned() }
    }

    /// A certificate for `localhost`, in files of this name.
    fn issue(&self, base: &Path) -> TlsFiles {
        let files = TlsFiles { cert_file: base.with_extension("pem"), key_file: base.with_extension("key") };
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(&files.cert_file, pem("CERTIFICATE", certificate.der())).expect("written");
        fs::write(&files.key_file, pem("PRIVATE KEY", &key.serialize_der())).expect("written");
        files
    }

    fn alone(&self) -> TrustedAuthorities {
        TrustedAuthorities::File(self.file.clone())
    }
}

impl Front {
    async fn start(files: &TlsFiles, behind: SocketAddr) -> Self {
        let acceptor = acceptor(files);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Arc::new(AtomicUsize::new(0));
        let counted = served.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    counted.fetch_add(1, Ordering::SeqCst);
                    let mut behind = TcpStream::connect(behind).await.expect("the store");
                    drop(copy_bidirectional(&mut stream, &mut behind).await);
                });
            }
        });
        Self { address, served }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("https://localhost:{}", self.address.port())).expect("an endpoint")
    }
}

fn acceptor(files: &TlsFiles) -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_file(&files.cert_file).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&files.key_file).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate with its key");
    Arc::new(config).into()
}

fn code(seed: &str, step: i64) -> String {
    let seconds = u64::try_from(step * 30).expect("after 1970");
    let secret = totp_rs::Secret::try_from_base32(seed).expect("base32");
    totp_rs::Builder::new().with_secret(secret).build().expect("RFC 6238").generate(seconds).to_string()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
