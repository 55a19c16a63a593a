//! The whole proxy with a trail, in front of the embedded store.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_cloudtrail::digest::TrailDigest;
use portcullis_cloudtrail::layout::{FileKey, FileName};
use portcullis_cloudtrail::{DigestPeriod, Trail, TrailLogging, TrailName, logfile};

mod contended;

const LOGS: &str = "audit-logs";

struct Rig {
    proxy: RunningProxy,
    upstream: Upstream,
    clock: Arc<AtomicI64>,
    _store: portcullis_devstore::RunningStore,
    _directory: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let secret = Secret::new("secret-of-the-store".to_owned());
        let listen = ([127, 0, 0, 1], 0).into();
        let home = directory.path().join("store");
        let store = portcullis_devstore::start(&home, listen, "STOREKEY", &secret, "us-east-1").await.expect("a store");
        let credentials = directory.path().join("upstream.env");
        let text = "AWS_ACCESS_KEY_ID=STOREKEY\nAWS_SECRET_ACCESS_KEY=secret-of-the-store\n";
        std::fs::write(&credentials, text).expect("written");
        let endpoint = Endpoint::parse(&format!("http://{}", store.address)).expect("an endpoint");
        let mut settings = Settings::standard(directory.path().join("state"), endpoint, credentials);
        settings.listen.address = listen;
        settings.audit.segment_size = 1 << 20;
        settings.limits.keep_alive = Duration::from_millis(200);
        settings.trail.log_period = Duration::from_secs(1);
        let clock = Arc::new(AtomicI64::new(Clock::System.now().millis()));
        let proxy = super::start(&settings, Clock::Set(Arc::clone(&clock))).await.expect("a proxy");
        let upstream = super::upstream(&settings).expect("reachable");
        Self { proxy, upstream, clock, _store: store, _directory: directory }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::SeqCst))
    }

    /// Sends an unsigned request; it is refused and recorded.
    async fn knock(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.proxy.address()).await.expect("a connection");
        let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.proxy.address());
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("a reply");
        reply
    }

    /// The events that digests prove, by the buckets they speak of, and how many digests there are.
    async fn proved(&self) -> (BTreeSet<String>, usize) {
        let bucket = BucketName::parse(LOGS).expect("a name");
        let (mut found, mut digests) = (BTreeSet::new(), 0);
        for object in self.upstream.own_keys(&bucket, "AWSLogs/", "", self.now()).await.unwrap_or_default() {
            let Some(FileName::Digest { .. }) = FileKey::parse(&object).map(|key| key.file) else { continue };
            digests += 1;
            let digest = TrailDigest::parse(&self.contents(&bucket, &object).await).expect("a digest");
            for log in digest.log_files {
                let text = self.contents(&bucket, &log.object).await;
                assert_eq!(portcullis_cloudtrail::digest::hash(&text), log.hash);
                for record in logfile::records(&text).expect("records") {
                    let record: serde_json::Value = serde_json::from_slice(record).expect("JSON");
                    let bucket = record["requestParameters"]["bucketName"].as_str().unwrap_or_default();
                    assert!(found.insert(bucket.to_owned()), "`{bucket}` twice");
                }
            }
        }
        (found, digests)
    }

    async fn contents(&self, bucket: &BucketName, object: &str) -> Vec<u8> {
        let key = ObjectKey::parse(object).expect("a key");
        let kept = self.upstream.own(bucket, &key, 1 << 20, self.now()).await.expect("readable").expect("there");
        logfile::decompress(&kept.bytes, 1 << 26).expect("one member")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gate_records_is_delivered_to_a_bucket_of_the_store_and_proved_there() {
    let rig = Rig::start().await;
    let (name, bucket) = (TrailName::parse("main"), BucketName::parse(LOGS).expect("a name"));
    let trail = Trail {
        logging: TrailLogging::Started { at: rig.now() },
        digest_period: DigestPeriod::parse(Duration::from_secs(60)).expect("a minute"),
        ..Trail::new(name.expect("a name"), bucket.clone(), rig.now())
    };
    rig.proxy.state.put_trail(None, trail.clone(), rig.now()).await.expect("recorded");
    let leave = TrailBucket::of(&bucket, &rig.proxy.state).expect("a trail's");
    rig.proxy.delivery.make_bucket(leave).await.expect("made");
    rig.proxy.delivery.notify_changed();
    assert!(rig.knock("/first?versioning").await.contains("AccessDenied"));
    rig.clock.fetch_add(5_000, Ordering::SeqCst);
    assert!(rig.knock("/second?versioning").await.contains("AccessDenied"));

    let expected: BTreeSet<String> = ["first", "second"].map(str::to_owned).into();
    let proving = async {
        loop {
            rig.clock.fetch_add(10_000, Ordering::SeqCst);
            rig.proxy.delivery.notify_changed();
            tokio::time::sleep(Duration::from_millis(100)).await;
            // A file is in the bucket before the status says so: what is told is what was read back and noted.
            let status = rig.proxy.delivery.status(&trail.name);
            let told = status.delivered.is_some() && status.digested.is_some();
            if told && rig.proved().await.0 == expected {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), proving).await.expect("proved in time");
    let status = rig.proxy.delivery.status(&trail.name);
    assert_eq!((status.delivery_error, status.digest_error), (None, None));
    let digests = rig.proved().await.1;
    assert!(digests > 0);
    rig.proxy.stop().await;
}
