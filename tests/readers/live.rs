//! A store that runs: whatever is sent to it changes the bucket, the key and the version that were judged, and nothing
//! else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, SystemTime};

use portcullis_base::clock::Timestamp;
use portcullis_base::percent::{percent_decode, percent_encode, percent_encode_path};
use portcullis_base::secret::Secret;
use portcullis_http::HttpMethod;
use portcullis_s3::{
    OperationAccess, RequestDocument, RoutingRules, S3Operation, S3Request, TargetLevel, UpstreamKind,
};
use portcullis_upstream::{RenderedRequest, RequestContent, render};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};

use crate::raw::unescape;
use crate::signer::{Ask, Keys};
use crate::{generate, understand};

const BUCKET: &str = "vault";

/// More would not fit into one page of a listing.
const MOST_ENTRIES: usize = 300;

struct Store {
    address: SocketAddr,
    keys: Keys,
    kind: UpstreamKind,
}

/// A version or a delete marker: its key and its id.
type Entry = (String, String);

/// What a store holds, as far as it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    buckets: BTreeSet<String>,
    entries: BTreeMap<String, BTreeSet<Entry>>,
}

#[test]
fn the_embedded_store_changes_what_was_judged_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let keys = Keys { key_id: "AKIAEMBEDDED00000001".to_owned(), secret: "secret".to_owned() };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let secret = Secret::new(keys.secret.clone());
    let started = portcullis_devstore::start(directory.path(), listen, &keys.key_id, &secret, "us-east-1");
    let running = runtime.block_on(started).expect("a store");
    hold(&Store { address: running.address, keys, kind: UpstreamKind::Embedded }, 600);
}

/// The store of `PORTCULLIS_TEST_UPSTREAM`, as `./test` has it; it is sent as many requests as
/// `PORTCULLIS_TEST_REQUESTS` says.
#[test]
fn a_store_that_runs_changes_what_was_judged_and_nothing_else() {
    let Ok(url) = std::env::var("PORTCULLIS_TEST_UPSTREAM") else { return };
    let (key, address) = url.trim_start_matches("http://").split_once('@').expect("a key and an address");
    let (key_id, secret) = key.split_once(':').expect("both halves of a key");
    let decoded = |text| percent_decode(text).expect("percent-encoded");
    let kind = match std::env::var("PORTCULLIS_TEST_UPSTREAM_PROFILE").as_deref() {
        Ok("ceph") => UpstreamKind::Ceph,
        Ok("embedded") => UpstreamKind::Embedded,
        Ok("generic") => UpstreamKind::Generic,
        Ok("minio") | Err(_) => UpstreamKind::Minio,
        Ok(other) => panic!("no profile {other}"),
    };
    let count = std::env::var("PORTCULLIS_TEST_REQUESTS").ok().and_then(|count| count.parse().ok());
    let keys = Keys { key_id: decoded(key_id), secret: decoded(secret) };
    let address = address.to_socket_addrs().expect("an address").next().expect("an address");
    hold(&Store { address, keys, kind }, count.unwrap_or(2000));
}

fn hold(store: &Store, requests: usize) {
    let routing = RoutingRules { base_domain: None, upstream: store.kind };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let strategy = generate::sent(store.kind);
    let mut carried_out: BTreeMap<S3Operation, usize> = BTreeMap::new();
    let mut before = Held::default();
    let mut turn = 0;
    while turn < requests {
        let mut sent = strategy.new_tree(&mut runner).expect("a request").current();
        if turn % 2 == 0 {
            // With every header that there is, most would be refused.
            sent.headers.retain(|(name, _)| matches!(name.as_str(), "content-length" | "x-amz-copy-source"));
        }
        let Some(request) = understand(&sent, &routing).filter(|request| generate::is_sent(request.action, store.kind))
        else {
            continue;
        };
        turn += 1;
        store.prepare(&request, &mut before);
        let rendered = render(&request).expect("written");
        let status = store.send(&rendered).map_or(0, |(status, _)| status);
        if (200..300).contains(&status) {
            *carried_out.entry(request.action).or_default() += 1;
        }
        let after = store.look(&request);
        let strays = strays(store, &request, &before, &after);
        assert!(strays.is_empty(), "{status}: {strays:?}\n{sent:?}\n{rendered:?}");
        before.buckets = after.buckets;
        before.entries.extend(after.entries);
    }
    let writes = carried_out.iter().filter(|(action, _)| action.row().access == OperationAccess::Write);
    assert!(writes.count() > 10, "little was carried out: {carried_out:?}");
    eprintln!("{requests} requests: {carried_out:?}");
    store.wipe(BUCKET);
}

/// What changed although the request does not say so.
fn strays(store: &Store, request: &S3Request, before: &Held, after: &Held) -> Vec<String> {
    let bucket = request.bucket.as_ref().map(ToString::to_string);
    let mut strays = Vec::new();
    let makes_or_deletes = matches!(request.action, S3Operation::CreateBucket | S3Operation::DeleteBucket);
    for changed in before.buckets.symmetric_difference(&after.buckets) {
        if !makes_or_deletes || Some(changed) != bucket.as_ref() {
            strays.push(format!("bucket {changed}"));
        }
    }
    let none = BTreeSet::new();
    for (name, now) in &after.entries {
        let then = before.entries.get(name).unwrap_or(&none);
        for (key, version) in then.symmetric_difference(now) {
            let is_gone = then.contains(&(key.clone(), version.clone()));
            let own = bucket.as_ref() == Some(name) && names(request, key, is_gone.then_some(version));
            if !own && !store.hides(request, name, key, version, is_gone) {
                strays.push(format!("{} {name}/{key} {version}", if is_gone { "gone:" } else { "new:" }));
            }
        }
    }
    strays
}

/// Whether a request is about this key, and may take away this version: the one it names, or the null version.
fn names(request: &S3Request, key: &str, gone: Option<&String>) -> bool {
    let writes = request.action.row().access == OperationAccess::Write;
    let takes = |version: Option<&str>| gone.is_none_or(|gone| gone == "null" || Some(gone.as_str()) == version);
    match &request.document {
        RequestDocument::DeleteObjects(batch) => batch
            .objects
            .iter()
            .any(|entry| entry.key.as_str() == key && takes(entry.version.as_ref().map(|version| version.as_str()))),
        RequestDocument::None
        | RequestDocument::Payload
        | RequestDocument::Rewritten(_)
        | RequestDocument::Versioning(_) => {
            let version = request.version.as_ref().map(|version| version.as_str());
            writes && request.key.as_ref().is_some_and(|own| own.as_str() == key) && takes(version)
        }
    }
}

impl Store {
    /// A versioned bucket in which the key of the request has a version to lose; an empty one for what may delete it.
    fn prepare(&self, request: &S3Request, held: &mut Held) {
        let row = request.action.row();
        let may_go = row.level == TargetLevel::Bucket && row.method == HttpMethod::Delete;
        if may_go || held.entries.get(BUCKET).is_some_and(|entries| entries.len() > MOST_ENTRIES) {
            self.wipe(BUCKET);
        }
        self.ask(Ask::new(&format!("PUT /{BUCKET}")).header("content-length", "0"));
        self.ask(Ask::new(&format!("PUT /{BUCKET}?versioning=")).document(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>",
        ));
        if let (TargetLevel::Object, Some(key)) = (request.action.row().level, &request.key) {
            let path = percent_encode_path(key.as_str());
            self.ask(Ask::new(&format!("PUT /{BUCKET}/{path}")).body("seed"));
        }
        let now = self.look(request);
        held.buckets = now.buckets;
        held.entries.extend(now.entries);
    }

    /// The buckets, and what is in the one that is asked for and in the one that is prepared.
    fn look(&self, request: &S3Request) -> Held {
        let (_, listed) = self.ask(Ask::new("GET /")).expect("a list of buckets");
        let buckets = elements(&listed, "Bucket").iter().filter_map(|bucket| text(bucket, "Name")).collect();
        let mut held = Held { buckets, ..Held::default() };
        let own = request.bucket.as_ref().map(ToString::to_string);
        for name in [Some(BUCKET.to_owned()), own].into_iter().flatten() {
            if held.buckets.contains(&name) {
                let entries = self.entries(&name).unwrap_or_default();
                held.entries.insert(name, entries);
            }
        }
        held
    }

    /// All versions and markers in a bucket; none where it is not there.
    fn entries(&self, bucket: &str) -> Option<BTreeSet<Entry>> {
        let list = || {
            let ask = Ask::new(&format!("GET /{bucket}?encoding-type=url&max-keys=1000&versions="));
            self.ask(ask).expect("a list of versions")
        };
        let (mut status, mut listed) = list();
        if status == 403 {
            // A random policy or ACL shuts even its author out.
            self.ask(Ask::new(&format!("DELETE /{bucket}?policy=")));
            let acl = Ask::new(&format!("PUT /{bucket}?acl="));
            self.ask(acl.header("x-amz-acl", "private").header("content-length", "0"));
            (status, listed) = list();
        }
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{listed}");
        assert!(!listed.contains("<IsTruncated>true"), "too much to look at");
        let both = ["Version", "DeleteMarker"].into_iter().flat_map(|name| elements(&listed, name));
        let entry = |entry| {
            let key = text(entry, "Key").expect("a key").replace('+', "%20");
            (percent_decode(&key).expect("percent-encoded"), text(entry, "VersionId").unwrap_or_default())
        };
        Some(both.map(entry).collect())
    }

    /// MinIO does not list what lies below an object; it is there all the same.
    fn hides(&self, request: &S3Request, bucket: &str, key: &str, version: &str, is_gone: bool) -> bool {
        let below = request.key.as_ref().is_some_and(|own| key.starts_with(&format!("{}/", own.as_str())));
        let listed = match &request.document {
            RequestDocument::DeleteObjects(batch) => {
                batch.objects.iter().any(|entry| key.starts_with(&format!("{}/", entry.key.as_str())))
            }
            RequestDocument::None
            | RequestDocument::Payload
            | RequestDocument::Rewritten(_)
            | RequestDocument::Versioning(_) => below,
        };
        let path = percent_encode_path(key);
        let head = || Ask::new(&format!("HEAD /{bucket}/{path}?versionId={}", percent_encode(version)));
        let is_there = || self.ask(head()).is_some_and(|(status, _)| matches!(status, 200 | 405));
        self.kind != UpstreamKind::Ceph && listed && (!is_gone || is_there())
    }

    fn wipe(&self, bucket: &str) {
        // What was hidden is seen once the object above it is gone.
        for _ in 0..3 {
            let Some(entries) = self.entries(bucket) else { return };
            for (key, version) in entries {
                let path = percent_encode_path(&key);
                self.ask(Ask::new(&format!("DELETE /{bucket}/{path}?versionId={}", percent_encode(&version))));
            }
        }
    }

    fn send(&self, rendered: &RenderedRequest) -> Option<(u16, String)> {
        let target = match rendered.query.as_str() {
            "" => rendered.path.clone(),
            query => format!("{}?{query}", rendered.path),
        };
        let mut ask = Ask::new(&format!("{} {target}", rendered.method.as_str()));
        for (name, value) in &rendered.headers {
            ask = ask.raw_header(name.as_str(), value.as_bytes());
        }
        let body = match &rendered.content {
            RequestContent::Document(bytes) => bytes.to_vec(),
            RequestContent::Payload => b"payload".to_vec(),
        };
        if body.is_empty() && matches!(rendered.method.as_str(), "POST" | "PUT") {
            ask = ask.header("content-length", "0");
        }
        self.ask(ask.body(body))
    }

    /// Status and body; none where the answer is no HTTP.
    fn ask(&self, ask: Ask) -> Option<(u16, String)> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
        let now = Timestamp::from_millis(i64::try_from(since.as_millis()).expect("a time"));
        let mut stream = TcpStream::connect(self.address).expect("the store runs");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        stream.write_all(&ask.signed(&self.keys, now)).ok()?;
        let mut answer = Vec::new();
        // A store that closes early has said what it has to say.
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Some((status, if chunked { unchunked(body) } else { body.to_owned() }))
    }
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        let Some((chunk, rest)) = rest.split_at_checked(length).filter(|_| length > 0) else { break };
        out.push_str(chunk);
        body = rest.trim_start_matches("\r\n");
    }
    out
}

/// What is in each element of this name.
fn elements<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    document.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}

fn text(element: &str, name: &str) -> Option<String> {
    elements(element, name).first().and_then(|text| unescape(text))
}
