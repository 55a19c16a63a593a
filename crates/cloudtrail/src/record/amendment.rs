//! Corrects a record that was written before the end of its request was known.

use serde_json::{Map, Value};

use super::json::write_value;
use super::view::UnreadableEvent;
use super::writer::EventError;

/// What is known now of a request whose record says that its end is not known.
///
/// AWS marks such a record in its `addendum` with the reason `UPDATED_DATA`, the members that changed, and the ids of the
/// record that is corrected; see [CloudTrail record contents][contents].
///
/// [contents]: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amendment<'a> {
    pub outcome: AmendedOutcome<'a>,
    /// How many keys of a DeleteObjects failed; none for any other request.
    pub failed_keys: Option<usize>,
}

/// How a request ended, as far as it is known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmendedOutcome<'a> {
    Failed(EventError<'a>),
    Succeeded,
    /// The record keeps its error and its addendum.
    Unknown,
}

impl Amendment<'_> {
    /// Writes the corrected record as one line, without a line feed. All other members stay as they are.
    pub fn render(&self, line: &[u8], out: &mut Vec<u8>) -> Result<(), UnreadableEvent> {
        let mut members: Map<String, Value> = serde_json::from_slice(line).map_err(UnreadableEvent::of)?;
        match self.outcome {
            AmendedOutcome::Failed(error) => {
                mark_as_updated(&mut members);
                members.insert("errorCode".to_owned(), error.code.into());
                members.insert("errorMessage".to_owned(), error.message.into());
            }
            AmendedOutcome::Succeeded => {
                mark_as_updated(&mut members);
                members.shift_remove("errorCode");
                members.shift_remove("errorMessage");
            }
            AmendedOutcome::Unknown => {}
        }
        if let (Some(failed), Some(Value::Object(additional))) =
            (self.failed_keys, members.get_mut("additionalEventData"))
        {
            additional.insert("ErrorCount".to_owned(), failed.into());
        }
        write_value(out, &Value::Object(members));
        Ok(())
    }
}

fn mark_as_updated(members: &mut Map<String, Value>) {
    let original = |name: &str| members.get(name).cloned().unwrap_or(Value::Null);
    let mut addendum = Map::new();
    addendum.insert("reason".to_owned(), "UPDATED_DATA".into());
    addendum.insert("updatedFields".to_owned(), "errorCode,errorMessage".into());
    addendum.insert("originalRequestID".to_owned(), original("requestID"));
    addendum.insert("originalEventID".to_owned(), original("eventID"));
    // The record has one already, whose place it takes.
    members.insert("addendum".to_owned(), addendum.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: &str = r#"{"eventName":"DeleteObjects","errorCode":"OutcomeUnknown","errorMessage":"m","additionalEventData":{"ObjectCount":2,"ErrorCount":2},"requestID":"R","eventID":"E","addendum":{"reason":"SERVICE_OUTAGE"},"eventCategory":"Data"}"#;

    fn amended(outcome: AmendedOutcome<'_>, failed_keys: Option<usize>) -> String {
        let mut out = Vec::new();
        Amendment { outcome, failed_keys }.render(UNKNOWN.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_says_what_was_learnt_and_which_record_it_corrects() {
        let addendum = r#""addendum":{"reason":"UPDATED_DATA","updatedFields":"errorCode,errorMessage","originalRequestID":"R","originalEventID":"E"}"#;
        let failed = AmendedOutcome::Failed(EventError { code: "NotCarriedOut", message: "n" });
        assert_eq!(
            amended(failed, None),
            UNKNOWN
                .replace(r#""OutcomeUnknown","errorMessage":"m""#, r#""NotCarriedOut","errorMessage":"n""#)
                .replace(r#""addendum":{"reason":"SERVICE_OUTAGE"}"#, addendum)
        );
        assert_eq!(
            amended(AmendedOutcome::Succeeded, Some(0)),
            UNKNOWN
                .replace(r#""errorCode":"OutcomeUnknown","errorMessage":"m","#, "")
                .replace(r#""ErrorCount":2"#, r#""ErrorCount":0"#)
                .replace(r#""addendum":{"reason":"SERVICE_OUTAGE"}"#, addendum)
        );
        assert_eq!(
            amended(AmendedOutcome::Unknown, Some(1)),
            UNKNOWN.replace(r#""ErrorCount":2"#, r#""ErrorCount":1"#)
        );
    }

    #[test]
    fn what_is_not_a_record_is_not_corrected() {
        let amendment = Amendment { outcome: AmendedOutcome::Succeeded, failed_keys: None };
        for bad in ["", "[]", "null", "{"] {
            let mut out = Vec::new();
            assert!(amendment.render(bad.as_bytes(), &mut out).is_err(), "{bad}");
            assert!(out.is_empty());
        }
    }
}
