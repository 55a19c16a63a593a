//! What LookupEvents searches by, and what it tells of each record.

use super::identity::{ROOT, ROOT_USER};
use super::member::MemberValue;
use super::view::{BUCKET_TYPE, EventView, ResourceView};
use super::writer::EventSource;

/// What records are looked up by: the `AttributeKey` of AWS's [LookupEvents][lookup], and what the command line adds.
///
/// [lookup]: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupAttribute.html
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookupAttribute {
    AccessKeyId,
    BucketName,
    ErrorCode,
    EventId,
    EventName,
    /// The name without regard to case, as people type it.
    EventNameAnyCase,
    EventSource,
    MfaResult,
    /// Any name of the principal: `root`, `anonymous`, a user's name, an ARN, an access key id, a principal id.
    Principal,
    ReadOnly,
    /// A bucket, `bucket/key`, or the ARN of either; of the control APIs, what they name.
    ResourceName,
    ResourceType,
    SourceIpAddress,
    /// The user's name, the session's of a role, or `root`.
    Username,
}

impl LookupAttribute {
    /// Reads an `AttributeKey` of LookupEvents: AWS's eight, and four of ours.
    pub fn parse(key: &str) -> Option<Self> {
        Some(match key {
            "AccessKeyId" => Self::AccessKeyId,
            "BucketName" => Self::BucketName,
            "ErrorCode" => Self::ErrorCode,
            "EventId" => Self::EventId,
            "EventName" => Self::EventName,
            "EventSource" => Self::EventSource,
            "MfaResult" => Self::MfaResult,
            "ReadOnly" => Self::ReadOnly,
            "ResourceName" => Self::ResourceName,
            "ResourceType" => Self::ResourceType,
            "SourceIPAddress" => Self::SourceIpAddress,
            "Username" => Self::Username,
            _ => return None,
        })
    }

    /// The value as records have it.
    pub fn normal(self, value: &str) -> String {
        match self {
            Self::EventNameAnyCase => value.to_ascii_lowercase(),
            Self::ReadOnly => value.to_ascii_lowercase(),
            Self::ResourceName => resource_name(value).to_owned(),
            Self::AccessKeyId
            | Self::BucketName
            | Self::ErrorCode
            | Self::EventId
            | Self::EventName
            | Self::EventSource
            | Self::MfaResult
            | Self::Principal
            | Self::ResourceType
            | Self::SourceIpAddress
            | Self::Username => value.to_owned(),
        }
    }
}

/// What LookupEvents tells of a record beside the record itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSummary {
    pub access_key_id: Option<String>,
    pub event_id: Option<String>,
    pub event_name: Option<String>,
    pub event_source: Option<String>,
    pub read_only: Option<bool>,
    pub resources: Vec<NamedResource>,
    pub username: Option<String>,
}

/// A resource as LookupEvents names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedResource {
    /// `AWS::S3::Bucket`, `AWS::S3::Object` or `AWS::CloudTrail::Trail`.
    pub kind: String,
    /// The name of a bucket or a trail, or `bucket/key`.
    pub name: String,
}

impl EventView<'_> {
    /// Calls back with every value of every attribute; some come more than once.
    pub fn each_value(&self, mut take: impl FnMut(LookupAttribute, &str)) {
        let single = [
            (LookupAttribute::AccessKeyId, &self.user_identity.access_key_id),
            (LookupAttribute::BucketName, &self.request_parameters.bucket_name),
            (LookupAttribute::ErrorCode, &self.error_code),
            (LookupAttribute::EventId, &self.event_id),
            (LookupAttribute::EventName, &self.event_name),
            (LookupAttribute::EventSource, &self.event_source),
            (LookupAttribute::MfaResult, &self.additional_event_data.mfa_delete.result),
            (LookupAttribute::SourceIpAddress, &self.source_ip_address),
        ];
        for (attribute, value) in single {
            value.text().into_iter().for_each(|text| take(attribute, text));
        }
        if let Some(name) = self.event_name.text() {
            take(LookupAttribute::EventNameAnyCase, &name.to_ascii_lowercase());
        }
        self.read_only.boolean().into_iter().for_each(|reads| take(LookupAttribute::ReadOnly, boolean_text(reads)));
        self.each_other_bucket(|name| take(LookupAttribute::BucketName, name));
        self.user_identity.name().into_iter().for_each(|name| take(LookupAttribute::Username, name));
        self.user_identity.each_name(|name| take(LookupAttribute::Principal, name));
        self.each_resource_name(|name| take(LookupAttribute::ResourceName, name));
        let kinds = self.resources.iter().filter_map(|resource| resource.kind.text());
        kinds.chain(self.typed().map(|(kind, _)| kind)).for_each(|kind| take(LookupAttribute::ResourceType, kind));
    }

    /// True if the record has all of these values, each in the form of [`LookupAttribute::normal`].
    pub fn has_all(&self, attributes: &[(LookupAttribute, String)]) -> bool {
        if attributes.is_empty() {
            return true;
        }
        let mut missing = vec![true; attributes.len()];
        self.each_value(|attribute, value| {
            for ((wanted, text), missing) in attributes.iter().zip(&mut missing) {
                *missing &= *wanted != attribute || text != value;
            }
        });
        !missing.contains(&true)
    }

    /// What LookupEvents tells of the record beside the record itself.
    pub fn summary(&self) -> EventSummary {
        let owned = |value: &MemberValue<'_>| value.text().map(str::to_owned);
        let named = |resource: &ResourceView<'_>| {
            Some(NamedResource {
                kind: resource.kind.text().unwrap_or_default().to_owned(),
                name: resource_name(resource.name()?).to_owned(),
            })
        };
        let typed = |(kind, name): (&str, &str)| NamedResource { kind: kind.to_owned(), name: name.to_owned() };
        EventSummary {
            access_key_id: owned(&self.user_identity.access_key_id),
            event_id: owned(&self.event_id),
            event_name: owned(&self.event_name),
            event_source: owned(&self.event_source),
            read_only: self.read_only.boolean(),
            resources: self.resources.iter().filter_map(named).chain(self.typed().map(typed)).collect(),
            username: self.user_identity.name().map(str::to_owned),
        }
    }

    /// What a call of CloudTrail names, by type and plain name; such records have no `resources`.
    fn typed(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_call = self.event_source.text() == Some(EventSource::CloudTrail.as_str());
        let named = self.request_parameters.typed_names().filter(move |_| is_call);
        named.map(|(kind, name)| (kind, resource_name(name)))
    }

    /// The buckets among the resources, as that of a copy's source, but for the one that the request names.
    fn each_other_bucket(&self, take: impl FnMut(&str)) {
        let buckets = self.resources.iter().filter(|resource| resource.kind.text() == Some(BUCKET_TYPE));
        let names = buckets.filter_map(|resource| resource.arn.text()).map(resource_name);
        names.filter(|name| self.request_parameters.bucket_name.text() != Some(name)).for_each(take);
    }

    fn each_resource_name(&self, mut take: impl FnMut(&str)) {
        let parameters = &self.request_parameters;
        for resource in &self.resources {
            let names = [&resource.arn, &resource.arn_prefix].into_iter().filter_map(MemberValue::text);
            names.for_each(|name| take(resource_name(name)));
        }
        // AWS names no resource of CreateBucket and of the control APIs, yet people look for them.
        match (parameters.bucket_name.text(), parameters.key.text()) {
            (Some(bucket), Some(key)) => {
                take(bucket);
                take(&[bucket, "/", key].concat());
            }
            (Some(bucket), None) => take(bucket),
            (None, _) if self.event_source.text() != Some(EventSource::S3.as_str()) => {
                for name in parameters.names() {
                    take(resource_name(name));
                    if name == ROOT_USER {
                        take(ROOT);
                    }
                }
            }
            (None, _) => {}
        }
    }
}

/// A Boolean as LookupEvents writes it.
pub fn boolean_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A resource's plain name: an ARN's bucket, `bucket/key`, user or trail; other names as they are.
pub(super) fn resource_name(text: &str) -> &str {
    if let Some(path) = text.strip_prefix("arn:aws:s3:::") {
        return bucket_or_path(path);
    }
    let tail = |service: &str, kind: &str| text.strip_prefix(service)?.split_once(kind).map(|(_, name)| name);
    tail("arn:aws:iam::", ":user/").or_else(|| tail("arn:aws:cloudtrail:", ":trail/")).unwrap_or(bucket_or_path(text))
}

/// `bucket/` is the bucket; a key may well end in a slash.
fn bucket_or_path(path: &str) -> &str {
    path.strip_suffix('/').filter(|bucket| !bucket.contains('/')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_has_one_plain_name() {
        for (written, plain) in [
            ("vault", "vault"),
            ("vault/", "vault"),
            ("vault/a/b", "vault/a/b"),
            ("vault/a/", "vault/a/"),
            ("arn:aws:s3:::vault", "vault"),
            ("arn:aws:s3:::vault/", "vault"),
            ("arn:aws:s3:::vault/a/b", "vault/a/b"),
            ("arn:aws:iam::123456789012:user/alice", "alice"),
            ("arn:aws:iam::123456789012:mfa/phone", "arn:aws:iam::123456789012:mfa/phone"),
            ("arn:aws:cloudtrail:us-east-1:123456789012:trail/main", "main"),
        ] {
            assert_eq!(resource_name(written), plain, "{written}");
        }
    }

    fn terms(event: &serde_json::Value) -> Vec<String> {
        let line = event.to_string();
        let mut found = Vec::new();
        EventView::read(line.as_bytes())
            .unwrap()
            .each_value(|attribute, value| found.push(format!("{attribute:?}={value}")));
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn an_event_is_found_by_each_of_its_facts() {
        let event = json!({
            "userIdentity": { "type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::123456789012:user/alice",
                "accessKeyId": "AKIA1", "userName": "alice" },
            "eventTime": "2026-11-21T09:41:58Z", "eventSource": "s3.amazonaws.com", "eventName": "DeleteObject",
            "sourceIPAddress": "192.0.2.7", "errorCode": "AccessDenied",
            "requestParameters": { "bucketName": "vault", "key": "a \"quoted\" key", "x": { "key": "no" } },
            "additionalEventData": { "bytesTransferredIn": 0, "MfaDelete": { "result": "Missing" } },
            "eventID": "e-1", "readOnly": false,
            "resources": [
                { "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::vault/a \"quoted\" key" },
                { "accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::vault" },
            ],
        });
        assert_eq!(
            terms(&event),
            [
                "AccessKeyId=AKIA1",
                "BucketName=vault",
                "ErrorCode=AccessDenied",
                "EventId=e-1",
                "EventName=DeleteObject",
                "EventNameAnyCase=deleteobject",
                "EventSource=s3.amazonaws.com",
                "MfaResult=Missing",
                "Principal=AIDA1",
                "Principal=AKIA1",
                "Principal=alice",
                "Principal=arn:aws:iam::123456789012:user/alice",
                "ReadOnly=false",
                "ResourceName=vault",
                "ResourceName=vault/a \"quoted\" key",
                "ResourceType=AWS::S3::Bucket",
                "ResourceType=AWS::S3::Object",
                "SourceIpAddress=192.0.2.7",
                "Username=alice",
            ]
        );
    }

    #[test]
    fn roots_user_name_is_root_whatever_the_accounts_alias() {
        let event = json!({ "userIdentity": { "type": "Root", "userName": "acme", "accessKeyId": "AKIAROOT" } });
        assert_eq!(terms(&event), ["AccessKeyId=AKIAROOT", "Principal=AKIAROOT", "Principal=root", "Username=root"]);
    }

    #[test]
    fn what_nobody_signed_has_the_name_of_nobody() {
        let anonymous = json!({ "type": "AWSAccount", "principalId": "", "accountId": "anonymous" });
        let claimed = json!({ "type": "Unknown", "principalId": "", "accountId": "anonymous", "accessKeyId": "AKIA1" });
        for identity in [anonymous, claimed] {
            let event = json!({ "userIdentity": identity });
            assert!(terms(&event).contains(&"Username=anonymous".to_owned()), "{event}");
            assert_eq!(
                EventView::read(event.to_string().as_bytes()).unwrap().summary().username.as_deref(),
                Some("anonymous")
            );
        }
    }

    #[test]
    fn a_copy_is_found_by_what_it_reads() {
        let resource = |kind: &str, arn: &str| json!({ "type": kind, "ARN": arn });
        let event = json!({
            "eventSource": "s3.amazonaws.com", "eventName": "CopyObject",
            "requestParameters": { "bucketName": "dst", "key": "copy", "x-amz-copy-source": "src/a" },
            "resources": [
                resource("AWS::S3::Object", "arn:aws:s3:::dst/copy"), resource("AWS::S3::Bucket", "arn:aws:s3:::dst"),
                resource("AWS::S3::Object", "arn:aws:s3:::src/a"), resource("AWS::S3::Bucket", "arn:aws:s3:::src"),
            ],
        });
        let found = terms(&event);
        for term in
            ["BucketName=dst", "BucketName=src", "ResourceName=src", "ResourceName=src/a", "ResourceName=dst/copy"]
        {
            assert!(found.contains(&term.to_owned()), "{term}: {found:?}");
        }
    }

    #[test]
    fn a_session_is_found_by_its_name() {
        let arn = "arn:aws:sts::123456789012:assumed-role/deploy/nightly";
        let event = json!({ "userIdentity": { "type": "AssumedRole", "arn": arn } });
        assert!(terms(&event).contains(&"Username=nightly".to_owned()));
    }

    #[test]
    fn what_the_control_apis_name_is_a_resource_and_a_query_of_s3_is_not() {
        let named = |source: &str| {
            let event = json!({ "eventSource": source, "requestParameters": { "userName": "bob", "maxItems": 3 } });
            terms(&event).contains(&"ResourceName=bob".to_owned())
        };
        assert!(named("iam.amazonaws.com"));
        assert!(!named("s3.amazonaws.com"));
    }

    #[test]
    fn a_call_of_cloudtrail_is_found_by_the_trail_and_the_bucket_that_it_names() {
        let arn = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";
        for (parameters, expected) in [
            (json!({ "name": "main" }), &["ResourceName=main", "ResourceType=AWS::CloudTrail::Trail"][..]),
            (json!({ "trailName": arn }), &["ResourceName=main", "ResourceType=AWS::CloudTrail::Trail"]),
            (json!({ "resourceId": arn }), &["ResourceName=main", "ResourceType=AWS::CloudTrail::Trail"]),
            (json!({ "trailNameList": ["other", 7, arn] }), &["ResourceName=main", "ResourceName=other"]),
            (json!({ "resourceIdList": [arn] }), &["ResourceName=main"]),
            (json!({ "name": "main", "s3BucketName": "logs" }), &["ResourceName=logs", "ResourceType=AWS::S3::Bucket"]),
        ] {
            let event = json!({ "eventSource": "cloudtrail.amazonaws.com", "requestParameters": parameters });
            let found = terms(&event);
            expected.iter().for_each(|term| assert!(found.contains(&(*term).to_owned()), "{term} of {event}"));
        }
        let event = json!({ "eventSource": "cloudtrail.amazonaws.com",
            "requestParameters": { "s3BucketName": "logs", "name": arn } });
        let line = event.to_string();
        let named: Vec<(String, String)> = EventView::read(line.as_bytes())
            .unwrap()
            .summary()
            .resources
            .into_iter()
            .map(|resource| (resource.kind, resource.name))
            .collect();
        let expected = [("AWS::S3::Bucket", "logs"), ("AWS::CloudTrail::Trail", "main")];
        let expected = expected.map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        assert_eq!(named.iter().collect::<std::collections::BTreeSet<_>>(), expected.iter().collect());
        let iam = json!({ "eventSource": "iam.amazonaws.com", "requestParameters": { "userName": "bob" } });
        assert_eq!(terms(&iam), ["EventSource=iam.amazonaws.com", "ResourceName=bob"]);
    }

    #[test]
    fn the_first_of_two_members_counts_and_odd_ones_hide_nothing() {
        let line = br#"{"eventName":"X","requestParameters":{"bucketName":"a","bucketName":"b","key":[1],"key":null,"name":{"x":1}}}"#;
        let mut found = Vec::new();
        EventView::read(line).unwrap().each_value(|attribute, value| found.push((attribute, value.to_owned())));
        assert!(found.contains(&(LookupAttribute::BucketName, "a".to_owned())));
        assert!(found.contains(&(LookupAttribute::EventName, "X".to_owned())));
        assert!(!found.contains(&(LookupAttribute::BucketName, "b".to_owned())));
    }
}
