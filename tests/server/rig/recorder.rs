//! A store that remembers every byte it was asked, and answers as S3 does or as it is told.

use portcullis_s3::UpstreamKind;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy's own credentials at the store.
pub(crate) const KEY_ID: &str = "UPSTREAMKEY0000000000";
pub(crate) const SECRET: &str = "upstream-secret";

/// The beginning of an answer whose end never comes.
pub(crate) const STALLED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: 500\r\n\r\n<?xml version=\"1.0\"?>";

/// The id of the upload with this number, as stores of this kind give ids out.
pub(crate) fn upload_id(profile: UpstreamKind, number: usize) -> String {
    match profile {
        UpstreamKind::Ceph => format!("2~u{number}"),
        UpstreamKind::Embedded => format!("{number:032x}"),
        UpstreamKind::Aws | UpstreamKind::Generic | UpstreamKind::Minio => {
            let (deployment, upload) = ("8a50f2f8-5ec5-4d76-9f12-5f1f0a3c6e01", "0f8fad5b-d9cb-469f-a165-70867728950e");
            URL_SAFE_NO_PAD.encode(format!("{deployment}.{upload}x{number}"))
        }
    }
}

/// The store.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// One request as it came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UpstreamRequest {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub content: Content,
}

/// How much of a request's body came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Coming,
    /// The connection ended before the length that the head announced.
    CutOff(usize),
    Whole(Vec<u8>),
}

/// How the store answers what would change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Answer,
    BreakOff,
    /// Carries it out, and breaks off all the same.
    BreakOffAfterwards,
    /// Breaks off, and carries it out only when it is told to.
    BreakOffBefore,
    /// Says that it failed, and carries it out only when it is told to.
    FailBefore(u16),
    /// Not before it is told otherwise.
    Hold,
    Refuse(u16, &'static str),
    /// Sends the head of an answer, and then nothing.
    StallAfterHead,
}

type Arrival = Box<dyn Fn(&UpstreamRequest) + Send + Sync>;

struct Shared {
    seen: Mutex<Vec<UpstreamRequest>>,
    versioning: Mutex<HashMap<String, String>>,
    manner: watch::Sender<Manner>,
    arrival: Mutex<Option<Arrival>>,
    /// What is answered to reads, by their request lines.
    reads: Mutex<HashMap<String, Vec<u8>>>,
    silent: AtomicBool,
    objects: Mutex<Objects>,
    profile: Mutex<UpstreamKind>,
    /// What it has still to carry out.
    late: Mutex<Vec<UpstreamRequest>>,
}

/// What is there without a version id of its own, and what becomes of it. As at MinIO an upload is settled to become the
/// null version, or not to, when it is opened.
#[derive(Default)]
struct Objects {
    null_versions: HashSet<String>,
    /// The paths of uploads, and whether each becomes the null version.
    uploads: Vec<(String, bool)>,
    /// The paths whose null version was replaced or removed.
    lost: Vec<String>,
}

impl std::fmt::Debug for UpstreamRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(out, " | {name}: {}", String::from_utf8_lossy(value))?;
        }
        match &self.content {
            Content::Coming => write!(out, " | coming"),
            Content::CutOff(length) => write!(out, " | cut off after {length}"),
            Content::Whole(body) => write!(out, " | {}", String::from_utf8_lossy(&body[..body.len().min(200)])),
        }
    }
}

impl UpstreamRequest {
    /// Whether the proxy reads a bucket's state for itself, or a client reads anything.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        assert!(values.next().is_none(), "`{name}` is there twice");
        value
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn bucket(&self) -> String {
        self.target.trim_start_matches('/').split(['/', '?']).next().unwrap_or("").to_owned()
    }
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            versioning: Mutex::default(),
            manner: watch::Sender::new(Manner::Answer),
            arrival: Mutex::default(),
            reads: Mutex::default(),
            silent: AtomicBool::new(false),
            objects: Mutex::default(),
            profile: Mutex::new(UpstreamKind::Generic),
            late: Mutex::default(),
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        Self { address, shared }
    }

    /// Everything it was asked.
    /// Gives out upload ids as stores of this kind do.
    pub(crate) fn behave_as(&self, profile: UpstreamKind) {
        *self.shared.profile.lock().expect("sound") = profile;
    }

    pub(crate) fn seen(&self) -> Vec<UpstreamRequest> {
        self.shared.seen.lock().expect("sound").clone()
    }

    /// What it was asked to change.
    pub(crate) fn mutations(&self) -> Vec<UpstreamRequest> {
        self.seen().into_iter().filter(|seen| !seen.is_read()).collect()
    }

    /// Forgets what it was asked so far.
    pub(crate) fn forget(&self) {
        self.shared.seen.lock().expect("sound").clear();
    }

    pub(crate) fn set_versioning(&self, bucket: &str, status: &str) {
        self.shared.versioning.lock().expect("sound").insert(bucket.to_owned(), status.to_owned());
    }

    /// The paths whose null version was replaced or removed so far.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.shared.objects.lock().expect("sound").lost.clone()
    }

    /// Carries out what it did not answer.
    pub(crate) fn act_late(&self) {
        let late = std::mem::take(&mut *self.shared.late.lock().expect("sound"));
        for seen in late {
            let Content::Whole(body) = &seen.content else { continue };
            self.shared.answer(&seen, body);
        }
    }

    /// Whether it has carried out all that it was asked.
    pub(crate) fn is_prompt(&self) -> bool {
        self.shared.late.lock().expect("sound").is_empty()
    }

    /// Forgets what it did not answer, as a store does with what was signed too long ago.
    pub(crate) fn give_up(&self) {
        self.shared.late.lock().expect("sound").clear();
    }

    pub(crate) fn answer(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// How a read such as `HEAD /vault/k` is answered from now on.
    pub(crate) fn answer_read(&self, line: &str, status: u16, headers: &[(&str, &str)]) {
        self.shared.reads.lock().expect("sound").insert(line.to_owned(), reply(status, headers, ""));
    }

    /// How a read is answered from now on, with a document.
    pub(crate) fn answer_read_with(&self, line: &str, status: u16, document: &str) {
        self.shared.reads.lock().expect("sound").insert(line.to_owned(), reply(status, &[], document));
    }

    /// What is sent as the answer to a read from now on, as it stands.
    pub(crate) fn answer_read_as_it_stands(&self, line: &str, bytes: &str) {
        self.shared.reads.lock().expect("sound").insert(line.to_owned(), bytes.as_bytes().to_vec());
    }

    /// Takes requests, and answers none.
    pub(crate) fn fall_silent(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// What happens when something that would change something has come whole, before its answer.
    pub(crate) fn on_arrival(&self, look: impl Fn(&UpstreamRequest) + Send + Sync + 'static) {
        *self.shared.arrival.lock().expect("sound") = Some(Box::new(look));
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut received = Vec::new();
        while let Some(head) = read_head(&mut stream, &mut received).await {
            let place = {
                let mut seen = self.seen.lock().expect("sound");
                seen.push(head.clone());
                seen.len() - 1
            };
            let length = head.header("content-length").map_or(0, |text| text.parse().expect("a length"));
            let content = read_body(&mut stream, &mut received, length).await;
            let seen = UpstreamRequest { content, ..head };
            if let Some(kept) = self.seen.lock().expect("sound").get_mut(place) {
                kept.content = seen.content.clone();
            }
            let Content::Whole(body) = &seen.content else { return };
            let mut manner = Manner::Answer;
            if !seen.is_read() {
                if let Some(look) = self.arrival.lock().expect("sound").as_ref() {
                    look(&seen);
                }
                let mut told = self.manner.subscribe();
                manner = *told.wait_for(|manner| *manner != Manner::Hold).await.expect("told");
            }
            if self.silent.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let answer = match manner {
                Manner::Answer | Manner::Hold => self.answer(&seen, body),
                Manner::BreakOff => return,
                Manner::BreakOffAfterwards => {
                    self.answer(&seen, body);
                    return;
                }
                Manner::BreakOffBefore => {
                    self.late.lock().expect("sound").push(seen);
                    return;
                }
                Manner::FailBefore(status) => {
                    self.late.lock().expect("sound").push(seen.clone());
                    reply(status, &[], "<html>a hop in between</html>")
                }
                Manner::Refuse(status, code) => reply(status, &[], &error(code)),
                Manner::StallAfterHead => STALLED.as_bytes().to_vec(),
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, seen: &UpstreamRequest, body: &[u8]) -> Vec<u8> {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let is_object = path.trim_start_matches('/').contains('/');
        if let Some(told) = self.reads.lock().expect("sound").get(&seen.line()) {
            return told.clone();
        }
        let asks = |key: &str| query.split('&').any(|pair| pair.split('=').next() == Some(key));
        let keeps_all = self.versioning.lock().expect("sound").get(&seen.bucket()).is_some_and(|it| it == "Enabled");
        let mut objects = self.objects.lock().expect("sound");
        let text = String::from_utf8_lossy(body);
        match seen.method.as_str() {
            "GET" if asks("versioning") => {
                let known = self.versioning.lock().expect("sound").get(&seen.bucket()).cloned();
                let status = known.map_or_else(String::new, |status| format!("<Status>{status}</Status>"));
                reply(200, &[], &format!("<VersioningConfiguration>{status}</VersioningConfiguration>"))
            }
            // How the proxy looks for a trail's files.
            "GET" if asks("marker") && asks("prefix") => reply(404, &[], &error("NoSuchBucket")),
            "GET" if asks("max-keys") && asks("versions") => reply(404, &[], &error("NoSuchBucket")),
            "GET" if asks("lifecycle") => reply(404, &[], &error("NoSuchLifecycleConfiguration")),
            "GET" => reply(200, &[("etag", "\"e\"")], "content"),
            "HEAD" if query == "versionId=null" && !objects.null_versions.contains(path) => reply(404, &[], ""),
            "PUT" if asks("versioning") => {
                let status = if text.contains("Suspended") { "Suspended" } else { "Enabled" };
                self.versioning.lock().expect("sound").insert(seen.bucket(), status.to_owned());
                reply(200, &[], "")
            }
            "POST" if asks("delete") => reply(200, &[], &deleted(&text)),
            "POST" if asks("uploads") => {
                objects.uploads.push((path.to_owned(), !keeps_all));
                let id = upload_id(*self.profile.lock().expect("sound"), objects.uploads.len());
                let id = format!("<UploadId>{id}</UploadId>");
                reply(200, &[], &format!("<InitiateMultipartUploadResult>{id}</InitiateMultipartUploadResult>"))
            }
            "POST" => {
                let profile = *self.profile.lock().expect("sound");
                let id = query.strip_prefix("uploadId=").unwrap_or_default();
                let place = (0..objects.uploads.len()).find(|place| upload_id(profile, place + 1) == id);
                let upload = place.and_then(|place| objects.uploads.get(place)).cloned();
                if upload.is_some_and(|(opened, becomes_null)| opened == path && becomes_null) {
                    objects.write_null(path);
                }
                reply(200, &[], "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>")
            }
            "PUT" if seen.header("x-amz-copy-source").is_some() => {
                reply(200, &[], "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>")
            }
            "PUT" if is_object => {
                if !asks("uploadId") && !keeps_all {
                    objects.write_null(path);
                }
                reply(200, &[("etag", "\"e\""), ("x-amz-version-id", "v1")], "")
            }
            "DELETE" => {
                let named = query == "versionId=null";
                if is_object && (named || query.is_empty() && !keeps_all) && objects.null_versions.remove(path) {
                    objects.lost.push(path.to_owned());
                }
                reply(204, &[], "")
            }
            _ => reply(200, &[], ""),
        }
    }
}

impl Objects {
    fn write_null(&mut self, path: &str) {
        if !self.null_versions.insert(path.to_owned()) {
            self.lost.push(path.to_owned());
        }
    }
}

async fn read_head(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<UpstreamRequest> {
    let end = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(received).await.ok()? == 0 {
            return None;
        }
    };
    let rest = received.split_off(end + 4);
    let head = std::mem::replace(received, rest);
    let mut lines = head[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let line = String::from_utf8(lines.next()?.to_vec()).expect("ASCII");
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a header");
            (String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_vec())
        })
        .collect();
    Some(UpstreamRequest { method, target, headers, content: Content::Coming })
}

async fn read_body(stream: &mut TcpStream, received: &mut Vec<u8>, length: usize) -> Content {
    while received.len() < length {
        match stream.read_buf(received).await {
            Ok(0) | Err(_) => return Content::CutOff(received.len()),
            Ok(_) => {}
        }
    }
    let rest = received.split_off(length);
    Content::Whole(std::mem::replace(received, rest))
}

/// A result for each entry, whatever `Quiet` says.
fn deleted(document: &str) -> String {
    let entries = document.split("<Object>").skip(1).map(|entry| {
        let entry = entry.split("</Object>").next().unwrap_or("");
        match entry.contains("<VersionId>") {
            true => format!("<Deleted>{entry}</Deleted>"),
            false => format!(
                "<Deleted>{entry}<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m1</DeleteMarkerVersionId></Deleted>"
            ),
        }
    });
    format!("<DeleteResult>{}</DeleteResult>", entries.collect::<String>())
}

fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>no</Message></Error>")
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if status != 204 {
        out.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    out.push_str("\r\n");
    out.push_str(body);
    out.into_bytes()
}
