//! What becomes of the intents that a crash left open: each asks a question, and its answer is the outcome.

use super::recorder::RecordSink;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey, VersionId};
use portcullis_cloudtrail::record::{AmendedOutcome, Amendment, EventError, EventSource, EventView, UnreadableEvent};
use portcullis_journal::{JournalClosed, OpenIntent, RecordKind, Sequence};
use portcullis_s3::S3Operation;

/// An intent that a crash left open, as the request it stands for.
// An intent holds the events to record if the outcome stays unknown, so that nothing has to be derived from it.
#[derive(Clone, Debug)]
pub struct UnresolvedIntent {
    sequence: Sequence,
    payload: Vec<u8>,
    events: Vec<RecordedRequest>,
}

/// What one event of an intent asks, and what it is about.
#[derive(Clone, Debug)]
struct RecordedRequest {
    question: RecoveryQuestion,
    subject: Option<RecoverySubject>,
}

/// What the upstream can be asked about a request whose outcome is unknown.
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
    pub action: S3Operation,
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
        let events: Result<Vec<_>, UnreadableEvent> = lines(&intent.payload).map(RecordedRequest::read).collect();
        let events = events.unwrap_or_default();
        Self { sequence: intent.sequence, payload: intent.payload.clone(), events }
    }

    /// What to ask, an entry for each of its events.
    pub fn questions(&self) -> impl Iterator<Item = &RecoveryQuestion> {
        self.events.iter().map(|event| &event.question)
    }

    /// What each of its events is about, as far as it is a request to a bucket.
    pub fn subjects(&self) -> impl Iterator<Item = Option<RecoverySubject>> + '_ {
        self.events.iter().map(|event| event.subject.clone())
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
        let lines = lines(&self.payload);
        for (line, (event, finding)) in lines.zip(self.events.iter().zip(findings)) {
            let amendment = match event.question {
                RecoveryQuestion::Batch => of_batch(findings.get(1..).unwrap_or(&[])),
                RecoveryQuestion::Aborted { .. }
                | RecoveryQuestion::BucketMade(_)
                | RecoveryQuestion::BucketRemoved(_)
                | RecoveryQuestion::Deleted { .. }
                | RecoveryQuestion::None
                | RecoveryQuestion::Versioning { .. }
                | RecoveryQuestion::Written { .. } => Amendment { outcome: amended(*finding), failed_keys: None },
            };
            if !out.is_empty() {
                out.push(b'\n');
            }
            if amendment.render(line, &mut out).is_err() {
                out.extend_from_slice(line);
            }
        }
        out
    }
}

impl RecordedRequest {
    fn read(line: &[u8]) -> Result<Self, UnreadableEvent> {
        let event = EventView::read(line)?;
        Ok(Self { question: question(&event).unwrap_or(RecoveryQuestion::None), subject: subject(&event) })
    }
}

fn amended(finding: RecoveryFinding) -> AmendedOutcome<'static> {
    match finding {
        RecoveryFinding::Done => AmendedOutcome::Succeeded,
        RecoveryFinding::NotDone => AmendedOutcome::Failed(NOT_CARRIED_OUT),
        RecoveryFinding::Unknown => AmendedOutcome::Unknown,
    }
}

/// The batch succeeded if every key's end is known, as the store answers such a batch.
fn of_batch(keys: &[RecoveryFinding]) -> Amendment<'static> {
    let finding = if keys.contains(&RecoveryFinding::Unknown) {
        RecoveryFinding::Unknown
    } else if keys.contains(&RecoveryFinding::Done) {
        RecoveryFinding::Done
    } else {
        RecoveryFinding::NotDone
    };
    let failed = keys.iter().filter(|finding| **finding != RecoveryFinding::Done).count();
    Amendment { outcome: amended(finding), failed_keys: Some(failed) }
}

const NOT_CARRIED_OUT: EventError<'static> = EventError {
    code: "NotCarriedOut",
    message: "The proxy stopped before the store answered; when it was asked later, the store had not done it",
};

fn subject(event: &EventView<'_>) -> Option<RecoverySubject> {
    let parameters = &event.request_parameters;
    if event.event_source.text()? != EventSource::S3.as_str() {
        return None;
    }
    let bucket = BucketName::parse(parameters.bucket_name.text()?).ok()?;
    let status = parameters.versioning.status.text().map(str::to_owned);
    Some(RecoverySubject { action: S3Operation::write_of_event(event.event_name.text()?)?, bucket, status })
}

fn question(event: &EventView<'_>) -> Option<RecoveryQuestion> {
    let parameters = &event.request_parameters;
    if event.event_source.text()? != EventSource::S3.as_str() {
        return None;
    }
    let bucket = BucketName::parse(parameters.bucket_name.text()?).ok()?;
    let begun = event.time()?;
    let key = parameters.key.text().and_then(|key| ObjectKey::parse(key).ok());
    Some(match (S3Operation::write_of_event(event.event_name.text()?)?, key) {
        (S3Operation::AbortMultipartUpload, Some(key)) => {
            RecoveryQuestion::Aborted { bucket, key, upload: parameters.upload_id.text()?.to_owned() }
        }
        (S3Operation::CopyObject | S3Operation::PutObject, Some(key)) => {
            RecoveryQuestion::Written { bucket, key, begun }
        }
        (S3Operation::CreateBucket, _) => RecoveryQuestion::BucketMade(bucket),
        (S3Operation::DeleteBucket, _) => RecoveryQuestion::BucketRemoved(bucket),
        (S3Operation::DeleteObject, Some(key)) => {
            let version = parameters.version_id.text().map(VersionId::parse).transpose().ok()?;
            RecoveryQuestion::Deleted { bucket, key, version, begun }
        }
        (S3Operation::DeleteObjects, _) => RecoveryQuestion::Batch,
        (S3Operation::PutBucketVersioning, _) => {
            let mfa_delete = parameters.versioning.mfa_delete.text().map(str::to_owned);
            RecoveryQuestion::Versioning { bucket, status: parameters.versioning.status.text()?.to_owned(), mfa_delete }
        }
        _ => return None,
    })
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
