//! What of an event's line is looked at: by selectors, by delivery and by the index.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use thiserror::Error;

use portcullis_base::clock::Timestamp;

/// One event as far as it is looked at, borrowed from its line.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EventView<'a> {
    #[serde(borrow)]
    pub event_time: Text<'a>,
    #[serde(borrow)]
    pub event_source: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(borrow)]
    pub event_category: Text<'a>,
    #[serde(borrow)]
    pub event_type: Text<'a>,
    #[serde(borrow, rename = "eventID")]
    pub event_id: Text<'a>,
    pub read_only: bool,
    #[serde(borrow, rename = "sourceIPAddress")]
    pub source_address: Option<Text<'a>>,
    #[serde(borrow)]
    pub error_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub user_identity: EventIdentity<'a>,
    #[serde(borrow, default)]
    pub resources: Vec<EventResource<'a>>,
    #[serde(borrow)]
    pub session_credential_from_console: Option<Text<'a>>,
    #[serde(borrow)]
    pub vpc_endpoint_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    request_parameters: Option<Parameters<'a>>,
    #[serde(borrow, default)]
    additional_event_data: Option<Additional<'a>>,
}

/// Who asked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EventIdentity<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub access_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub user_name: Option<Text<'a>>,
}

/// One thing the event is about.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct EventResource<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, rename = "ARN")]
    pub arn: Option<Text<'a>>,
    #[serde(borrow, rename = "ARNPrefix")]
    pub arn_prefix: Option<Text<'a>>,
}

/// A text of the line, copied only where it holds escapes.
#[derive(Clone, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A line that is not an event; callers that decide about it must include it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line is not an event: {0}")]
pub struct UnreadableEvent(String);

pub(super) const OBJECT: &str = "AWS::S3::Object";
const BUCKET: &str = "AWS::S3::Bucket";

impl<'a> EventView<'a> {
    /// Reads one event from its line.
    pub fn read(line: &'a [u8]) -> Result<Self, UnreadableEvent> {
        serde_json::from_slice(line).map_err(|error| UnreadableEvent(error.to_string()))
    }

    /// When the request was completed.
    pub fn time(&self) -> Option<Timestamp> {
        Timestamp::parse_iso_extended(&self.event_time)
    }

    /// `requestParameters.bucketName`.
    pub fn bucket_name(&self) -> Option<&str> {
        self.request_parameters.as_ref()?.bucket_name.as_deref()
    }

    /// `requestParameters.key`.
    pub fn key(&self) -> Option<&str> {
        self.request_parameters.as_ref()?.key.as_deref()
    }

    /// `additionalEventData.MfaDelete.result`.
    pub fn mfa_result(&self) -> Option<&str> {
        self.additional_event_data.as_ref()?.mfa_delete.as_ref()?.result.as_deref()
    }

    /// The object ARNs that data selectors compare.
    ///
    /// HeadBucket and its like name a bucket alone, and a broken connection nothing at all; both are events of
    /// S3's objects, so that a selector of the whole bucket, or of all, admits them.
    pub(super) fn object_arns(&self) -> Vec<Cow<'_, str>> {
        let of_kind =
            |kind: &'static str| self.resources.iter().filter(move |resource| resource.kind.as_deref() == Some(kind));
        let objects: Vec<Cow<'_, str>> = of_kind(OBJECT)
            .filter_map(|resource| resource.arn.as_deref().or(resource.arn_prefix.as_deref()))
            .map(Cow::Borrowed)
            .collect();
        if !objects.is_empty() {
            return objects;
        }
        let buckets: Vec<Cow<'_, str>> =
            of_kind(BUCKET).filter_map(|bucket| Some(Cow::Owned(format!("{}/", bucket.arn.as_deref()?)))).collect();
        if buckets.is_empty() { vec![Cow::Borrowed("arn:aws:s3:::")] } else { buckets }
    }
}

impl<'a> Text<'a> {
    /// The text itself, without a copy where the line holds it as it is.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", &*self.0)
    }
}

/// Of `requestParameters`, whose other members a client chose the names of: the first of a name counts, and what
/// is no text does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parameters<'a> {
    bucket_name: Option<Text<'a>>,
    key: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParametersVisitor)
    }
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut parameters = Parameters::default();
        while let Some(name) = members.next_key::<Text<'de>>()? {
            let place = match &*name {
                "bucketName" => &mut parameters.bucket_name,
                "key" => &mut parameters.key,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            match members.next_value::<Loose<'de>>()? {
                Loose::Text(text) => _ = place.get_or_insert(text),
                Loose::Other(_) => {}
            }
        }
        Ok(parameters)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<'a> {
    Text(#[serde(borrow)] Text<'a>),
    Other(IgnoredAny),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Additional<'a> {
    #[serde(borrow, rename = "MfaDelete")]
    mfa_delete: Option<Mfa<'a>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Mfa<'a> {
    #[serde(borrow)]
    result: Option<Text<'a>>,
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The least that is an event.
    pub fn event(name: &str, category: &str, rest: &str) -> String {
        format!(
            r#"{{"userIdentity":{{"type":"Root","arn":"arn:aws:iam::123456789012:root"}},"eventTime":"2026-11-21T09:41:58Z","eventSource":"s3.amazonaws.com","eventName":"{name}","eventID":"e","readOnly":false,"eventType":"AwsApiCall","eventCategory":"{category}"{rest}}}"#
        )
    }

    #[test]
    fn an_events_line_is_read_without_copies() {
        let line = event(
            "DeleteObject",
            "Data",
            r#","sourceIPAddress":"::1","errorCode":"AccessDenied","requestParameters":{"bucketName":"vault","key":"a\"b","x":{"y":[1]}},"additionalEventData":{"MfaDelete":{"result":"Missing"},"bytesTransferredIn":0},"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::vault/a"}]"#,
        );
        let view = EventView::read(line.as_bytes()).unwrap();
        assert!(matches!(view.event_name.clone().into_cow(), Cow::Borrowed("DeleteObject")));
        assert!(matches!(view.error_code.clone().unwrap().into_cow(), Cow::Borrowed("AccessDenied")));
        assert_eq!(view.bucket_name(), Some("vault"));
        assert_eq!(view.key(), Some("a\"b"));
        assert_eq!(view.mfa_result(), Some("Missing"));
        assert_eq!(view.time(), Timestamp::parse_iso_extended("2026-11-21T09:41:58Z"));
        assert_eq!(view.object_arns(), ["arn:aws:s3:::vault/a"]);
    }

    #[test]
    fn parameters_that_a_client_named_neither_hide_an_event_nor_speak_for_it() {
        let rest = r#","requestParameters":{"bucketName":"vault","bucketName":"other","key":{"a":1},"key":"k"}"#;
        let line = event("GetObject", "Data", rest);
        let view = EventView::read(line.as_bytes()).unwrap();
        assert_eq!((view.bucket_name(), view.key()), (Some("vault"), Some("k")));
        let null = event("ListBuckets", "Management", r#","requestParameters":null,"additionalEventData":null"#);
        assert_eq!(EventView::read(null.as_bytes()).unwrap().bucket_name(), None);
    }

    #[test]
    fn what_names_no_object_is_about_the_bucket_or_about_all() {
        let bucket = event("HeadBucket", "Data", r#","resources":[{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::b"}]"#);
        assert_eq!(EventView::read(bucket.as_bytes()).unwrap().object_arns(), ["arn:aws:s3:::b/"]);
        let nothing = event("ConnectionError", "Data", "");
        assert_eq!(EventView::read(nothing.as_bytes()).unwrap().object_arns(), ["arn:aws:s3:::"]);
    }

    #[test]
    fn what_is_no_event_is_said_to_be_none() {
        for bad in ["", "{}", "[]", "null", "{\"eventName\":1}"] {
            assert!(EventView::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
