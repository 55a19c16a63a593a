//! What LookupEvents asks of the recorded events and gets: between the API that asks and the history that answers.

use portcullis_base::clock::Timestamp;
use thiserror::Error;

use super::record::{EventSource, EventSummary, EventView, LookupAttribute};

/// What to look up.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// All of these.
    pub attributes: Vec<(LookupAttribute, String)>,
    /// Not before this second.
    pub start: Option<Timestamp>,
    /// Not after this second.
    pub end: Option<Timestamp>,
    /// Whose own lookups are left out.
    pub without_lookups_of: Option<LookupAsker>,
    pub order: EventOrder,
    /// How many events a page holds at most; it may hold fewer though there are more.
    pub limit: usize,
    /// What the page before gave.
    pub token: Option<String>,
}

/// A part of what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    pub events: Vec<FoundEvent>,
    /// What to ask for the next page with; nothing after the last one.
    pub next: Option<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEvent {
    pub time: Timestamp,
    /// The number of the journal's record that holds it.
    pub sequence: u64,
    /// The event as it was recorded: one line of JSON.
    pub record: String,
    pub summary: EventSummary,
}

/// Who looks up events, as far as their own lookups are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupAsker {
    pub access_key_id: String,
    pub address: String,
}

/// Which event comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    NewestFirst,
    OldestFirst,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum LookupError {
    /// The index is being rebuilt, or cannot follow the journal.
    #[error("{records} records are not indexed yet")]
    Behind { records: u64 },
    #[error("the token is of another question, or none at all")]
    InvalidToken,
    #[error("the events of {day} cannot be read: {reason}")]
    Unreadable { day: String, reason: String },
}

impl HistoryQuery {
    /// All events, the newest first.
    pub fn all(limit: usize) -> Self {
        Self {
            attributes: Vec::new(),
            start: None,
            end: None,
            without_lookups_of: None,
            order: EventOrder::NewestFirst,
            limit,
            token: None,
        }
    }
}

impl LookupAsker {
    /// True if this is a LookupEvents that this asker was answered.
    pub fn was_answered_by(&self, event: &EventView<'_>) -> bool {
        event.event_name.text() == Some("LookupEvents")
            && event.event_source.text() == Some(EventSource::CloudTrail.as_str())
            && event.error_code.text().is_none()
            && event.user_identity.access_key_id.text() == Some(&self.access_key_id)
            && event.source_ip_address.text() == Some(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_answered_lookup_of_this_key_from_this_address_is_the_askers_own() {
        let asker = LookupAsker { access_key_id: "AKIA1".to_owned(), address: "192.0.2.7".to_owned() };
        let own = json!({
            "userIdentity": { "type": "Root", "accessKeyId": "AKIA1" }, "eventName": "LookupEvents",
            "eventSource": "cloudtrail.amazonaws.com", "sourceIPAddress": "192.0.2.7",
        });
        let is_own = |event: &serde_json::Value| {
            asker.was_answered_by(&EventView::read(event.to_string().as_bytes()).expect("a record"))
        };
        assert!(is_own(&own));
        for (name, value) in [
            ("eventName", json!("GetTrail")),
            ("eventSource", json!("s3.amazonaws.com")),
            ("sourceIPAddress", json!("192.0.2.8")),
            ("errorCode", json!("AccessDenied")),
            ("userIdentity", json!({ "type": "Root", "accessKeyId": "AKIA2" })),
        ] {
            let mut other = own.clone();
            other[name] = value;
            assert!(!is_own(&other), "{name}");
        }
    }
}
