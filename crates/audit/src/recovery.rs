//! What becomes of the intents that a crash left open: each asks a question, and its answer is the outcome.

use serde_json::{Map, Value};

use super::recorder::RecordSink;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey, VersionId};
use portcullis_cloudtrail::record::write_value;
use portcullis_journal::{JournalClosed, OpenIntent, RecordKind, Sequence};

/// An intent that a crash left open, as the request it stands for.
// An intent is written as the events to record if nobody learns how it ended, so that no reader is needed to make them.
#[derive(Clone, Debug)]
pub struct UnresolvedIntent {
    sequence: Sequence,
    payload: Vec<u8>,
    events: Vec<IntentEvent>,
}

#[derive(Clone, Debug)]
struct IntentEvent {
    members: Map<String, Value>,
    question: RecoveryQuestion,
}

/// What the store can be asked about a request whose end nobody saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryQuestion {
    /// Whether an upload is gone.
    Aborted {
        bucket: BucketName,
        key: ObjectKey,
        upload: String,
    },
    /// What became of each key, of which each has a question of its own.
    Batch,
    BucketMade(BucketName),
    BucketRemoved(BucketName),
    Deleted {
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        begun: Timestamp,
    },
    /// Nothing the store shows tells whether it was done.
    None,
    Versioning {
        bucket: BucketName,
        status: String,
        mfa_delete: Option<String>,
    },
    Written {
        bucket: BucketName,
        key: ObjectKey,
        begun: Timestamp,
    },
}

/// The operation that an event records, and the bucket that it was asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverySubject {
    pub event_name: String,
    pub bucket: BucketName,
    /// `Status` of a `PutBucketVersioning`.
    pub status: Option<String>,
}

/// What was found out about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryFinding {
    /// The store is as the request would have it.
    Done,
    /// The store is not as the request would have it.
    NotDone,
    Unknown,
}

impl UnresolvedIntent {
    /// Reads an open intent; one that cannot be read has no questions.
    pub fn of(intent: &OpenIntent) -> Self {
        let events = lines(&intent.payload).map(serde_json::from_slice::<Map<String, Value>>);
        let events: Result<Vec<_>, _> = events.collect();
        let events = events.unwrap_or_default().into_iter().map(IntentEvent::new).collect();
        Self { sequence: intent.sequence, payload: intent.payload.clone(), events }
    }

    /// What to ask, an entry for each of its events.
    pub fn questions(&self) -> impl Iterator<Item = &RecoveryQuestion> {
        self.events.iter().map(|event| &event.question)
    }

    /// What each of its events is about, as far as it is a request to a bucket.
    pub fn subjects(&self) -> impl Iterator<Item = Option<RecoverySubject>> + '_ {
        self.events.iter().map(|event| subject(&event.members))
    }

    /// Records the outcome, which has the event ids of the intent and so stands for the same request.
    pub fn resolve(&self, findings: &[RecoveryFinding], sink: &dyn RecordSink) -> Result<Sequence, JournalClosed> {
        sink.append(RecordKind::Outcome(self.sequence), &self.outcome(findings))
    }

    fn outcome(&self, findings: &[RecoveryFinding]) -> Vec<u8> {
        let known = findings.iter().any(|finding| *finding != RecoveryFinding::Unknown);
        if !known || findings.len() != self.events.len() {
            return self.payload.clone();
        }
        let mut out = Vec::with_capacity(self.payload.len() + 256);
        for (event, finding) in self.events.iter().zip(findings) {
            if !out.is_empty() {
                out.push(b'\n');
            }
            match (&event.question, finding) {
                (RecoveryQuestion::Batch, _) => event.batch(findings).render(&mut out),
                (_, RecoveryFinding::Unknown) => event.render(&mut out),
                (_, RecoveryFinding::Done) => event.done().render(&mut out),
                (_, RecoveryFinding::NotDone) => event.not_done().render(&mut out),
            }
        }
        out
    }
}

impl IntentEvent {
    fn new(members: Map<String, Value>) -> Self {
        let question = question(&members).unwrap_or(RecoveryQuestion::None);
        Self { members, question }
    }

    fn done(&self) -> Self {
        let mut event = self.updated("errorCode,errorMessage");
        event.members.shift_remove("errorCode");
        event.members.shift_remove("errorMessage");
        event
    }

    fn not_done(&self) -> Self {
        let mut event = self.updated("errorCode,errorMessage");
        event.members.insert("errorCode".to_owned(), NOT_DONE.into());
        event.members.insert("errorMessage".to_owned(), NOT_DONE_MESSAGE.into());
        event
    }

    /// The batch succeeded if every key's end is known, as the store answers such a batch.
    fn batch(&self, findings: &[RecoveryFinding]) -> Self {
        let keys = findings.get(1..).unwrap_or(&[]);
        let mut event = if keys.contains(&RecoveryFinding::Unknown) {
            self.clone()
        } else if keys.contains(&RecoveryFinding::Done) {
            self.done()
        } else {
            self.not_done()
        };
        let failed = keys.iter().filter(|finding| **finding != RecoveryFinding::Done).count();
        if let Some(Value::Object(additional)) = event.members.get_mut("additionalEventData") {
            additional.insert("ErrorCount".to_owned(), failed.into());
        }
        event
    }

    fn updated(&self, fields: &str) -> Self {
        let mut event = self.clone();
        let original = |name: &str| self.members.get(name).cloned().unwrap_or(Value::Null);
        let mut addendum = Map::new();
        addendum.insert("reason".to_owned(), "UPDATED_DATA".into());
        addendum.insert("updatedFields".to_owned(), fields.into());
        addendum.insert("originalRequestID".to_owned(), original("requestID"));
        addendum.insert("originalEventID".to_owned(), original("eventID"));
        // It stands there already, so it keeps its place.
        event.members.insert("addendum".to_owned(), addendum.into());
        event
    }

    fn render(&self, out: &mut Vec<u8>) {
        write_value(out, &Value::Object(self.members.clone()));
    }
}

const NOT_DONE: &str = "NotCarriedOut";
const NOT_DONE_MESSAGE: &str =
    "The gate stopped before the store answered; when it was asked later, the store had not done it";

fn subject(event: &Map<String, Value>) -> Option<RecoverySubject> {
    if text(event, "eventSource")? != "s3.amazonaws.com" {
        return None;
    }
    let Some(Value::Object(parameters)) = event.get("requestParameters") else { return None };
    let status = match parameters.get("VersioningConfiguration") {
        Some(Value::Object(document)) => text(document, "Status").map(str::to_owned),
        Some(_) | None => None,
    };
    let bucket = BucketName::parse(text(parameters, "bucketName")?).ok()?;
    Some(RecoverySubject { event_name: text(event, "eventName")?.to_owned(), bucket, status })
}

fn question(event: &Map<String, Value>) -> Option<RecoveryQuestion> {
    if text(event, "eventSource")? != "s3.amazonaws.com" {
        return None;
    }
    let Some(Value::Object(parameters)) = event.get("requestParameters") else { return None };
    let bucket = BucketName::parse(text(parameters, "bucketName")?).ok()?;
    let begun = Timestamp::parse_iso_extended(text(event, "eventTime")?)?;
    let key = || ObjectKey::parse(text(parameters, "key")?).ok();
    Some(match text(event, "eventName")? {
        "AbortMultipartUpload" => {
            RecoveryQuestion::Aborted { bucket, key: key()?, upload: text(parameters, "uploadId")?.to_owned() }
        }
        "CopyObject" | "PutObject" => RecoveryQuestion::Written { bucket, key: key()?, begun },
        "CreateBucket" => RecoveryQuestion::BucketMade(bucket),
        "DeleteBucket" => RecoveryQuestion::BucketRemoved(bucket),
        "DeleteObject" => {
            let version = text(parameters, "versionId").map(VersionId::parse).transpose().ok()?;
            RecoveryQuestion::Deleted { bucket, key: key()?, version, begun }
        }
        "DeleteObjects" => RecoveryQuestion::Batch,
        "PutBucketVersioning" => {
            let Some(Value::Object(document)) = parameters.get("VersioningConfiguration") else { return None };
            let mfa_delete = text(document, "MfaDelete").map(str::to_owned);
            RecoveryQuestion::Versioning { bucket, status: text(document, "Status")?.to_owned(), mfa_delete }
        }
        _ => return None,
    })
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

/// The single events of a record's payload; none in what is no event.
pub fn events(kind: RecordKind, payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(match kind {
        RecordKind::Event | RecordKind::Outcome(_) => payload,
        RecordKind::Closing | RecordKind::Intent | RecordKind::State => &[],
    })
}

fn lines(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}
