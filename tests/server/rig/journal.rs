//! The journal as anybody can read it while the proxy writes it.

use std::path::Path;

use portcullis_journal::{JournalReader, RecordKind};
use serde_json::Value;

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub kind: RecordKind,
    pub payload: Vec<u8>,
}

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event(pub Value);

impl Event {
    /// A text of the record, by its path.
    pub(crate) fn text(&self, path: &[&str]) -> &str {
        let found = path.iter().try_fold(&self.0, |value, name| value.get(name));
        found.and_then(Value::as_str).unwrap_or("")
    }

    /// Name and error code, as tests compare them.
    pub(crate) fn said(&self) -> (&str, &str) {
        (self.text(&["eventName"]), self.text(&["errorCode"]))
    }
}

/// All records.
pub(super) fn read(directory: &Path) -> Vec<Entry> {
    let reader = JournalReader::open(directory).expect("a journal");
    reader
        .map(|record| record.expect("sound"))
        .map(|record| Entry { kind: record.kind, payload: record.payload })
        .collect()
}

/// The events of clients: an administrator's are IAM's, and name no key.
pub(super) fn events(entries: &[Entry]) -> Vec<Event> {
    let over = entries.iter().filter(|entry| matches!(entry.kind, RecordKind::Event | RecordKind::Outcome(_)));
    over.flat_map(|entry| entry.payload.split(|byte| *byte == b'\n'))
        .filter(|line| !line.is_empty())
        .map(|line| Event(serde_json::from_slice(line).expect("one JSON object a line")))
        .filter(|event| {
            let by_key = !event.text(&["userIdentity", "accessKeyId"]).is_empty();
            by_key || event.text(&["eventSource"]) != "iam.amazonaws.com"
        })
        .collect()
}

/// The events of clients in a journal.
pub(crate) fn events_in(directory: &Path) -> Vec<Event> {
    events(&read(directory))
}

/// What each outcome's frame says by its header: its intent, and the last record that was on disk when the outcome
/// was written.
pub(crate) fn outcomes_on_disk(directory: &Path) -> Vec<(u64, u64)> {
    const MARK: &[u8] = b"PJR1";
    let mut found = Vec::new();
    for file in std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("a file").path()) {
        if file.extension().is_none_or(|extension| extension != "journal") {
            continue;
        }
        let bytes = std::fs::read(file).expect("readable");
        let number = |place: usize| u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"));
        let frames = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
        found.extend(frames.map(|(place, _)| (number(place + 16), number(place + 24))));
    }
    found.retain(|(intent, _)| *intent > 0);
    found
}
