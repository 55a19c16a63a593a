//! A state that others change each time: the client is told to try again, and nothing of its request is done.

use portcullis_journal::{JournalReader, RecordKind};
use portcullis_sigv4::{CredentialScope, SigningKey, canonical_request, string_to_sign};
use portcullis_state::NewDevice;
use portcullis_state::testing::{MemoryEngine, code, enrolled, in_memory};

use super::*;

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const PROTECTED: &str =
    "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";

/// A proxy whose state is on an engine that can be contended.
struct ContendedProxy {
    address: SocketAddr,
    state: StateStore,
    engine: Arc<MemoryEngine>,
    device: NewDevice,
    clock: Arc<AtomicI64>,
    journal: PathBuf,
    _stop: watch::Sender<bool>,
    _store: portcullis_devstore::RunningStore,
    _directory: tempfile::TempDir,
}

impl ContendedProxy {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (settings, store) = settings(directory.path()).await;
        let clock = Arc::new(AtomicI64::new(Clock::System.now().millis()));
        let now = Timestamp::from_millis(clock.load(Ordering::SeqCst));
        let (state, engine, _) = in_memory(now).await;
        let device = enrolled(&state, "phone", now).await;
        let (journal, _) = Journal::open(&journal_of(directory.path()), JournalOptions::default()).expect("a journal");
        let (journal, clocks) = (Arc::new(journal), Clock::Set(Arc::clone(&clock)));
        let upstream = Arc::new(super::super::upstream(&settings).expect("reachable"));
        let scope = AccountScope {
            account: state.account().clone(),
            region: settings.account.region.clone(),
            alias: settings.account.alias.clone(),
        };
        let recorder = Arc::new(Recorder::new(journal.clone(), scope, clocks.clone()));
        let delivery = Delivery::start(delivery_dependencies(&settings, &clocks, &state, &journal, &upstream));
        let history = Arc::new(history(&settings, &journal, &clocks).expect("a history"));
        let proxy = build_pipeline(&settings, clocks, state.clone(), upstream, journal, recorder, history, delivery);
        let listener = TcpListener::bind(settings.listen.address).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = watch::channel(false);
        let limits = limits(&settings).expect("enough");
        tokio::spawn(portcullis_http::serve(listener, ListenerSecurity::Plain, Arc::new(proxy), limits, stopped));
        let journal = journal_of(directory.path());
        Self { address, state, engine, device, clock, journal, _stop: stop, _store: store, _directory: directory }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::SeqCst))
    }

    /// A code that was never shown before.
    fn fresh_code(&self) -> String {
        self.clock.fetch_add(30_000, Ordering::SeqCst);
        format!("{} {}", self.device.serial, code(&self.device, self.now()).digits(6).expect("six digits"))
    }

    /// Sends a request signed by root; the answer is its status.
    async fn send(&self, line: &str, mfa: Option<&str>, body: &str) -> u16 {
        let (key, secret) = self.state.root_credentials().expect("root's key");
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = if query.is_empty() || query.contains('=') { query.to_owned() } else { format!("{query}=") };
        let moment = self.now().iso_basic();
        let mut headers =
            vec![("host", "localhost"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("x-amz-date", &moment)];
        headers.extend(mfa.map(|offer| ("x-amz-mfa", offer)));
        let signed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let request = canonical_request(method, path, &query, &signed, "UNSIGNED-PAYLOAD");
        let scope = CredentialScope { date: &moment[..8], region: "us-east-1", service: "s3" };
        let signature = SigningKey::derive(&secret, &scope).sign(&string_to_sign(&moment, &scope, &request)).hex();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str(&format!(
            "authorization: AWS4-HMAC-SHA256 Credential={key}/{}/us-east-1/s3/aws4_request, SignedHeaders={}, \
             Signature={signature}\r\n\r\n{body}",
            &moment[..8],
            names.join(";")
        ));
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("a reply");
        reply.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// The last record of the journal, and whether it ends an intent; with its one event.
    fn last_event(&self) -> (bool, serde_json::Value) {
        let records = JournalReader::open(&self.journal).expect("a journal").map(|record| record.expect("sound"));
        let records: Vec<_> = records.collect();
        let last = records.last().expect("a record");
        let ends_intent = match last.kind {
            RecordKind::Outcome(intent) => {
                let begun = records.iter().find(|record| record.sequence == intent).expect("an intent");
                assert_eq!(begun.kind, RecordKind::Intent);
                true
            }
            RecordKind::Closing | RecordKind::Event | RecordKind::Intent | RecordKind::State => false,
        };
        (ends_intent, serde_json::from_slice(&last.payload).expect("one event"))
    }
}

/// Settings in front of an embedded store.
async fn settings(directory: &Path) -> (Settings, portcullis_devstore::RunningStore) {
    let secret = Secret::new("secret-of-the-store".to_owned());
    let listen = ([127, 0, 0, 1], 0).into();
    let home = directory.join("store");
    let store = portcullis_devstore::start(&home, listen, "STOREKEY", &secret, "us-east-1").await.expect("a store");
    let credentials = directory.join("upstream.env");
    std::fs::write(&credentials, "AWS_ACCESS_KEY_ID=STOREKEY\nAWS_SECRET_ACCESS_KEY=secret-of-the-store\n")
        .expect("written");
    let endpoint = Endpoint::parse(&format!("http://{}", store.address)).expect("an endpoint");
    let mut settings = Settings::standard(directory.to_owned(), endpoint, credentials);
    settings.listen.address = listen;
    (settings, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protection_that_eight_conflicts_keep_from_the_state_is_503_and_asks_nothing_of_the_store() {
    let proxy = ContendedProxy::start().await;
    assert_eq!(proxy.send("PUT /vault", None, "").await, 200);
    assert_eq!(proxy.send("PUT /vault?versioning", None, ENABLED).await, 200);
    proxy.engine.contend(Some("bucket/vault"));
    let offer = proxy.fresh_code();
    assert_eq!(proxy.send("PUT /vault?versioning", Some(&offer), PROTECTED).await, 503);
    assert_eq!(proxy.engine.conflicts(), 8);
    let (ends_intent, event) = proxy.last_event();
    assert!(ends_intent, "{event}");
    assert_eq!(
        (event["eventName"].as_str(), event["errorCode"].as_str()),
        (Some("PutBucketVersioning"), Some("ServiceUnavailable"))
    );
    assert_eq!(event["additionalEventData"]["MfaDelete"]["result"], "Accepted");
    let name = BucketName::parse("vault").expect("a name");
    assert_eq!(proxy.state.bucket(&name), portcullis_state::BucketRecord::UNPROTECTED);

    proxy.engine.contend(None);
    assert_eq!(proxy.send("PUT /vault?versioning", Some(&offer), PROTECTED).await, 400);
    assert_eq!(proxy.last_event().1["additionalEventData"]["MfaDelete"]["result"], "Replayed", "the code is spent");
    assert_eq!(proxy.send("PUT /vault?versioning", Some(&proxy.fresh_code()), PROTECTED).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_eight_conflicts_keep_from_being_spent_is_503_and_counts_afterwards() {
    let proxy = ContendedProxy::start().await;
    assert_eq!(proxy.send("PUT /vault", None, "").await, 200);
    assert_eq!(proxy.send("PUT /vault?versioning", Some(&proxy.fresh_code()), PROTECTED).await, 200);
    proxy.engine.contend(Some("device/"));
    let offer = proxy.fresh_code();
    assert_eq!(proxy.send("DELETE /vault/k?versionId=null", Some(&offer), "").await, 503);
    assert_eq!(proxy.engine.conflicts(), 8);
    let (ends_intent, event) = proxy.last_event();
    assert!(!ends_intent, "nothing was begun: {event}");
    assert_eq!(
        (event["eventName"].as_str(), event["errorCode"].as_str()),
        (Some("DeleteObject"), Some("ServiceUnavailable"))
    );

    proxy.engine.contend(None);
    assert_eq!(proxy.send("DELETE /vault/k?versionId=null", Some(&offer), "").await, 204);
}
