//! Reads what is looked at in a record: one view for selectors, delivery, the history, recovery and the command line.

use std::borrow::Cow;

use portcullis_base::clock::Timestamp;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::identity::IdentityView;
use super::member::MemberValue;
use super::parameters::ParametersView;

/// One record as far as it is looked at, borrowed from its line.
///
/// A member that is missing, `null` or of another type than expected hides nothing of the others: readers that list
/// records see what is there, and readers that decide ask [`EventView::is_complete`] first.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct EventView<'a> {
    #[serde(borrow, deserialize_with = "or_null")]
    pub additional_event_data: AdditionalView<'a>,
    #[serde(borrow)]
    pub error_code: MemberValue<'a>,
    #[serde(borrow)]
    pub event_category: MemberValue<'a>,
    #[serde(borrow, rename = "eventID")]
    pub event_id: MemberValue<'a>,
    #[serde(borrow)]
    pub event_name: MemberValue<'a>,
    #[serde(borrow)]
    pub event_source: MemberValue<'a>,
    #[serde(borrow)]
    pub event_time: MemberValue<'a>,
    #[serde(borrow)]
    pub event_type: MemberValue<'a>,
    #[serde(borrow)]
    pub read_only: MemberValue<'a>,
    #[serde(borrow, deserialize_with = "or_null")]
    pub request_parameters: ParametersView<'a>,
    #[serde(borrow, deserialize_with = "or_null")]
    pub resources: Vec<ResourceView<'a>>,
    #[serde(borrow)]
    pub session_credential_from_console: MemberValue<'a>,
    #[serde(borrow, rename = "sourceIPAddress")]
    pub source_ip_address: MemberValue<'a>,
    #[serde(borrow, deserialize_with = "or_null")]
    pub user_identity: IdentityView<'a>,
    #[serde(borrow)]
    pub vpc_endpoint_id: MemberValue<'a>,
}

/// One entry of `resources`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct ResourceView<'a> {
    #[serde(borrow, rename = "ARN")]
    pub arn: MemberValue<'a>,
    #[serde(borrow, rename = "ARNPrefix")]
    pub arn_prefix: MemberValue<'a>,
    #[serde(borrow, rename = "type")]
    pub kind: MemberValue<'a>,
}

/// What is looked at in `additionalEventData`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct AdditionalView<'a> {
    /// How many requests the record stands for, if it stands for several.
    #[serde(borrow)]
    pub count: MemberValue<'a>,
    #[serde(borrow, rename = "MfaDelete", deserialize_with = "or_null")]
    pub mfa_delete: MfaDeleteView<'a>,
}

/// What is looked at in `MfaDelete`, which is Portcullis's own.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct MfaDeleteView<'a> {
    #[serde(borrow)]
    pub result: MemberValue<'a>,
}

/// A line that is not a record.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line is not an event: {0}")]
pub struct UnreadableEvent(String);

/// The type of an object in `resources`.
pub const OBJECT_TYPE: &str = "AWS::S3::Object";
/// The type of a bucket in `resources`.
pub(super) const BUCKET_TYPE: &str = "AWS::S3::Bucket";

impl UnreadableEvent {
    pub(super) fn of(error: impl ToString) -> Self {
        Self(error.to_string())
    }
}

impl<'a> EventView<'a> {
    /// Reads one record from its line.
    pub fn read(line: &'a [u8]) -> Result<Self, UnreadableEvent> {
        // UTF-8 is checked once for the line, and not for each of its texts.
        let line = std::str::from_utf8(line).map_err(UnreadableEvent::of)?;
        if !line.trim_ascii_start().starts_with('{') {
            // serde takes a list for an object whose members have lost their names.
            return Err(UnreadableEvent::of("it is not an object"));
        }
        serde_json::from_str(line).map_err(UnreadableEvent::of)
    }

    /// True if every member is there that AWS writes into each record, and whatever selectors compare is of its type.
    ///
    /// Decide nothing by a record for which this is false: a missing member is not a member of another value.
    pub fn is_complete(&self) -> bool {
        let required = [
            &self.event_category,
            &self.event_id,
            &self.event_name,
            &self.event_source,
            &self.event_time,
            &self.event_type,
            &self.user_identity.kind,
        ];
        let optional = [
            &self.error_code,
            &self.session_credential_from_console,
            &self.source_ip_address,
            &self.user_identity.access_key_id,
            &self.user_identity.arn,
            &self.user_identity.user_name,
            &self.vpc_endpoint_id,
        ];
        let of_resources =
            self.resources.iter().flat_map(|resource| [&resource.arn, &resource.arn_prefix, &resource.kind]);
        required.iter().all(|member| member.text().is_some())
            && self.read_only.boolean().is_some()
            && optional.into_iter().chain(of_resources).all(MemberValue::is_text_or_absent)
    }

    /// When the request was completed.
    pub fn time(&self) -> Option<Timestamp> {
        Timestamp::parse_iso_extended(self.event_time.text()?)
    }

    /// `additionalEventData.MfaDelete.result`.
    pub fn mfa_result(&self) -> Option<&str> {
        self.additional_event_data.mfa_delete.result.text()
    }

    /// The object ARNs that data selectors compare.
    ///
    /// HeadBucket and its like name a bucket alone, and a broken connection names nothing; both are events of S3's
    /// objects, so that a selector of the whole bucket, or of all, admits them.
    pub fn object_arns(&self) -> Vec<Cow<'_, str>> {
        let of_type =
            |kind: &'static str| self.resources.iter().filter(move |resource| resource.kind.text() == Some(kind));
        let objects: Vec<Cow<'_, str>> =
            of_type(OBJECT_TYPE).filter_map(ResourceView::name).map(Cow::Borrowed).collect();
        if !objects.is_empty() {
            return objects;
        }
        let buckets: Vec<Cow<'_, str>> =
            of_type(BUCKET_TYPE).filter_map(|bucket| Some(Cow::Owned(format!("{}/", bucket.arn.text()?)))).collect();
        if buckets.is_empty() { vec![Cow::Borrowed("arn:aws:s3:::")] } else { buckets }
    }
}

impl ResourceView<'_> {
    /// The ARN, or its prefix where the request is about all that begins so.
    pub fn name(&self) -> Option<&str> {
        self.arn.text().or_else(|| self.arn_prefix.text())
    }
}

/// Reads a value, and takes `null` for a missing one.
pub(super) fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The least that is a complete record.
    pub(crate) fn event(name: &str, category: &str, rest: &str) -> String {
        format!(
            r#"{{"userIdentity":{{"type":"Root","arn":"arn:aws:iam::123456789012:root"}},"eventTime":"2026-11-21T09:41:58Z","eventSource":"s3.amazonaws.com","eventName":"{name}","eventID":"e","readOnly":false,"eventType":"AwsApiCall","eventCategory":"{category}"{rest}}}"#
        )
    }

    fn read(line: &str) -> EventView<'_> {
        EventView::read(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_records_line_is_read_without_copies() {
        let line = event(
            "DeleteObject",
            "Data",
            r#","sourceIPAddress":"::1","errorCode":"AccessDenied","requestParameters":{"bucketName":"vault","key":"a\"b","x":{"y":[1]}},"additionalEventData":{"MfaDelete":{"result":"Missing"},"bytesTransferredIn":0},"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::vault/a"}]"#,
        );
        let view = read(&line);
        assert!(matches!(view.event_name, MemberValue::Text(Cow::Borrowed("DeleteObject"))));
        assert!(matches!(view.error_code, MemberValue::Text(Cow::Borrowed("AccessDenied"))));
        assert_eq!(view.request_parameters.bucket_name.text(), Some("vault"));
        assert_eq!(view.request_parameters.key.text(), Some("a\"b"));
        assert_eq!(view.mfa_result(), Some("Missing"));
        assert_eq!(view.time(), Timestamp::parse_iso_extended("2026-11-21T09:41:58Z"));
        assert_eq!(view.object_arns(), ["arn:aws:s3:::vault/a"]);
        assert!(view.is_complete());
    }

    #[test]
    fn parameters_that_a_client_named_neither_hide_a_record_nor_speak_for_it() {
        let rest = r#","requestParameters":{"bucketName":"vault","bucketName":"other","key":{"a":1},"key":"k"}"#;
        let line = event("GetObject", "Data", rest);
        let parameters = read(&line).request_parameters;
        assert_eq!((parameters.bucket_name.text(), parameters.key.text()), (Some("vault"), Some("k")));
        let null = event("ListBuckets", "Management", r#","requestParameters":null,"additionalEventData":null"#);
        assert_eq!(read(&null).request_parameters, ParametersView::default());
    }

    #[test]
    fn a_record_without_an_object_is_about_the_bucket_or_about_all() {
        let bucket = event("HeadBucket", "Data", r#","resources":[{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::b"}]"#);
        assert_eq!(read(&bucket).object_arns(), ["arn:aws:s3:::b/"]);
        let nothing = event("ConnectionError", "Data", "");
        assert_eq!(read(&nothing).object_arns(), ["arn:aws:s3:::"]);
    }

    #[test]
    fn a_line_that_is_no_object_is_not_a_record() {
        for bad in ["", "[]", "null", "{\"eventName\":", "{}{}", "\"eventName\""] {
            assert!(EventView::read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(EventView::read(b"{\"eventName\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_record_that_lacks_a_member_or_has_one_of_another_type_is_not_complete() {
        let whole = event("GetObject", "Data", "");
        let value: serde_json::Value = serde_json::from_str(&whole).unwrap();
        for name in value.as_object().unwrap().keys() {
            let mut lacking = value.clone();
            lacking.as_object_mut().unwrap().shift_remove(name);
            let lacking = lacking.to_string();
            assert!(!read(&lacking).is_complete(), "{lacking}");
        }
        for rest in [r#","errorCode":5"#, r#","vpcEndpointId":[]"#, r#","resources":[{"ARN":{}}]"#] {
            let line = event("GetObject", "Data", rest);
            assert!(!read(&line).is_complete(), "{line}");
            assert_eq!(read(&line).event_name.text(), Some("GetObject"));
        }
        assert!(read(&event("GetObject", "Data", r#","errorCode":null,"resources":null"#)).is_complete());
    }
}
