//! What of an event can be searched for, and what is told of it beside the record itself.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::attribute::{Attribute, resource_name};
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::record::ROOT_USER;

/// Who looks up events, as far as their own lookups are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    pub access_key_id: String,
    pub address: String,
}

/// The searchable fields of one event's JSON line.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event<'a> {
    #[serde(borrow)]
    additional_event_data: Additional<'a>,
    #[serde(borrow)]
    error_code: Text<'a>,
    #[serde(borrow, rename = "eventID")]
    event_id: Text<'a>,
    #[serde(borrow)]
    event_name: Text<'a>,
    #[serde(borrow)]
    event_source: Text<'a>,
    #[serde(borrow)]
    event_time: Text<'a>,
    read_only: Option<bool>,
    #[serde(borrow)]
    request_parameters: Parameters<'a>,
    #[serde(borrow)]
    resources: Vec<Resource<'a>>,
    #[serde(borrow, rename = "sourceIPAddress")]
    source_ip_address: Text<'a>,
    #[serde(borrow)]
    user_identity: Identity<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Additional<'a> {
    #[serde(borrow, rename = "MfaDelete")]
    mfa_delete: MfaDelete<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MfaDelete<'a> {
    #[serde(borrow)]
    result: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity<'a> {
    #[serde(borrow)]
    access_key_id: Text<'a>,
    #[serde(borrow)]
    account_id: Text<'a>,
    #[serde(borrow)]
    arn: Text<'a>,
    #[serde(borrow)]
    principal_id: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    user_name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow, rename = "ARN")]
    arn: Text<'a>,
    #[serde(borrow, rename = "ARNPrefix")]
    arn_prefix: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

/// What a request was about, from `requestParameters`.
#[derive(Debug, Default)]
struct Parameters<'a> {
    bucket: Text<'a>,
    key: Text<'a>,
    /// What the control APIs name: users, devices, keys, trails and their buckets, each with CloudTrail's type for it.
    named: Vec<(&'static str, Cow<'a, str>)>,
}

/// A text, or nothing where something else stands.
#[derive(Debug, Default)]
struct Text<'a>(Option<Cow<'a, str>>);

/// A text or those of a list.
#[derive(Debug, Default)]
struct Texts<'a> {
    alone: Option<Cow<'a, str>>,
    listed: Vec<Cow<'a, str>>,
}

/// What is told of an event beside the record itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
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

/// The members of a control API's parameters that name something, and what CloudTrail calls such a thing; nothing where
/// more than one thing is named so.
const NAMING: [(&str, &str); 10] = [
    ("accessKeyId", ""),
    ("name", TRAIL),
    ("resourceId", TRAIL),
    ("resourceIdList", TRAIL),
    ("s3BucketName", BUCKET),
    ("serialNumber", ""),
    ("trailName", TRAIL),
    ("trailNameList", TRAIL),
    ("userName", ""),
    ("virtualMFADeviceName", ""),
];
const TRAIL: &str = "AWS::CloudTrail::Trail";
const BUCKET: &str = "AWS::S3::Bucket";
const ANONYMOUS: &str = "anonymous";

impl<'a> Event<'a> {
    /// Reads an event's line; one that is no JSON has no fields.
    pub fn read(line: &'a [u8]) -> Self {
        // Whether it is UTF-8 is found out once, and not for each of its texts.
        std::str::from_utf8(line).ok().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
    }

    /// When the event happened, if it says so.
    pub fn time(&self) -> Option<Timestamp> {
        self.event_time.get().and_then(Timestamp::parse_iso_extended)
    }

    /// Hands over every value of every attribute; some more than once.
    pub fn each_term(&self, mut take: impl FnMut(Attribute, &str)) {
        let identity = &self.user_identity;
        let single = [
            (Attribute::AccessKeyId, &identity.access_key_id),
            (Attribute::BucketName, &self.request_parameters.bucket),
            (Attribute::ErrorCode, &self.error_code),
            (Attribute::EventId, &self.event_id),
            (Attribute::EventName, &self.event_name),
            (Attribute::EventSource, &self.event_source),
            (Attribute::MfaResult, &self.additional_event_data.mfa_delete.result),
            (Attribute::SourceIpAddress, &self.source_ip_address),
        ];
        for (attribute, text) in single {
            text.get().into_iter().for_each(|text| take(attribute, text));
        }
        if let Some(name) = self.event_name.get() {
            take(Attribute::EventNameAnyCase, &name.to_ascii_lowercase());
        }
        self.read_only.iter().for_each(|reads| take(Attribute::ReadOnly, boolean(*reads)));
        self.each_other_bucket(|name| take(Attribute::BucketName, name));
        self.username().iter().for_each(|name| take(Attribute::Username, name));
        self.each_principal(|name| take(Attribute::Principal, name));
        self.each_resource_name(|name| take(Attribute::ResourceName, name));
        let kinds = self.resources.iter().filter_map(|resource| resource.kind.get());
        kinds.chain(self.typed().map(|(kind, _)| kind)).for_each(|kind| take(Attribute::ResourceType, kind));
    }

    /// Whether this is a LookupEvents that this asker was answered.
    pub fn is_lookup_of(&self, asker: &Asker) -> bool {
        self.event_name.get() == Some("LookupEvents")
            && self.event_source.get() == Some("cloudtrail.amazonaws.com")
            && self.error_code.get().is_none()
            && self.user_identity.access_key_id.get() == Some(&asker.access_key_id)
            && self.source_ip_address.get() == Some(&asker.address)
    }

    /// What is told of the event beside the record itself.
    pub fn summary(&self) -> Summary {
        let owned = |text: &Text<'_>| text.get().map(str::to_owned);
        let named = |resource: &Resource<'_>| {
            let name = resource.arn.get().or_else(|| resource.arn_prefix.get())?;
            Some(NamedResource {
                kind: resource.kind.get().unwrap_or_default().to_owned(),
                name: resource_name(name).to_owned(),
            })
        };
        let typed = |(kind, name): (&str, &str)| NamedResource { kind: kind.to_owned(), name: name.to_owned() };
        Summary {
            access_key_id: owned(&self.user_identity.access_key_id),
            event_id: owned(&self.event_id),
            event_name: owned(&self.event_name),
            event_source: owned(&self.event_source),
            read_only: self.read_only,
            resources: self.resources.iter().filter_map(named).chain(self.typed().map(typed)).collect(),
            username: self.username().map(str::to_owned),
        }
    }

    /// What a call of CloudTrail names, by type and plain name; such events have no `resources`.
    fn typed(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_call = self.event_source.get() == Some("cloudtrail.amazonaws.com");
        let named = self.request_parameters.named.iter().filter(move |(kind, _)| is_call && !kind.is_empty());
        named.map(|(kind, name)| (*kind, resource_name(name)))
    }

    /// The user's name, the session's of a role, or `root`.
    fn username(&self) -> Option<&str> {
        let identity = &self.user_identity;
        match identity.kind.get() {
            // An account's alias is root's user name, and must not pass for a user's.
            Some("Root") => Some("root"),
            Some("AssumedRole") => identity.arn.get().and_then(|arn| arn.rsplit_once('/')).map(|(_, session)| session),
            // Programs read the name of every event, also of unsigned requests.
            Some(_) => Some(identity.user_name.get().unwrap_or(ANONYMOUS)),
            None => identity.user_name.get(),
        }
    }

    fn each_principal(&self, mut take: impl FnMut(&str)) {
        let identity = &self.user_identity;
        let ids = [&identity.arn, &identity.access_key_id];
        if identity.kind.get() == Some("Root") {
            take("root");
            ids.into_iter().filter_map(Text::get).for_each(take);
            return;
        }
        if identity.account_id.get() == Some(ANONYMOUS) {
            take(ANONYMOUS);
        }
        // A user of that name is neither root nor anonymous.
        let names = [&identity.user_name, &identity.principal_id].into_iter().chain(ids).filter_map(Text::get);
        names.filter(|name| !matches!(*name, "root" | ANONYMOUS)).for_each(take);
    }

    /// The buckets among the resources, as that of a copy's source, but for the one that the request names.
    fn each_other_bucket(&self, take: impl FnMut(&str)) {
        let buckets = self.resources.iter().filter(|resource| resource.kind.get() == Some(BUCKET));
        let names = buckets.filter_map(|resource| resource.arn.get()).map(resource_name);
        names.filter(|name| self.request_parameters.bucket.get() != Some(name)).for_each(take);
    }

    fn each_resource_name(&self, mut take: impl FnMut(&str)) {
        let parameters = &self.request_parameters;
        for resource in &self.resources {
            let names = [&resource.arn, &resource.arn_prefix].into_iter().filter_map(Text::get);
            names.for_each(|name| take(resource_name(name)));
        }
        // AWS names no resource of CreateBucket and of the control APIs, yet people look for them.
        match (parameters.bucket.get(), parameters.key.get()) {
            (Some(bucket), Some(key)) => {
                take(bucket);
                take(&[bucket, "/", key].concat());
            }
            (Some(bucket), None) => take(bucket),
            (None, _) if self.event_source.get() != Some("s3.amazonaws.com") => {
                for (_, name) in &parameters.named {
                    take(resource_name(name));
                    if name == ROOT_USER {
                        take("root");
                    }
                }
            }
            (None, _) => {}
        }
    }
}

impl Text<'_> {
    fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A Boolean as LookupEvents writes it.
pub fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Texts::deserialize(deserializer).map(|texts| Text(texts.alone))
    }
}

impl<'a> Texts<'a> {
    fn of(alone: Option<Cow<'a, str>>) -> Self {
        Self { alone, listed: Vec::new() }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> Visitor<'de> for Any<'a> {
            type Value = Texts<'a>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Texts::of(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Texts::of(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Texts::of(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Texts::of(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Texts::of(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Texts::of(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Texts::of(None))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Self::Value, S::Error> {
                let mut listed = Vec::new();
                while let Some(Text(item)) = items.next_element()? {
                    listed.extend(item);
                }
                Ok(Texts { alone: None, listed })
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Texts::of(None))
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}

// By hand, since a derived reader refuses a member that is there twice, and clients choose some of them.
impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
            type Value = Parameters<'a>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object or null")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
                let mut found = Parameters::default();
                while let Some(Text(name)) = members.next_key()? {
                    match name.as_deref() {
                        Some("bucketName") if found.bucket.0.is_none() => found.bucket = members.next_value()?,
                        Some("key") if found.key.0.is_none() => found.key = members.next_value()?,
                        name => match NAMING.iter().find(|(naming, _)| Some(*naming) == name) {
                            Some((_, kind)) => {
                                let Texts { alone, listed } = members.next_value()?;
                                found.named.extend(alone.into_iter().chain(listed).map(|value| (*kind, value)));
                            }
                            None => drop(members.next_value::<IgnoredAny>()?),
                        },
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_any(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms(event: &serde_json::Value) -> Vec<String> {
        let line = event.to_string();
        let mut found = Vec::new();
        Event::read(line.as_bytes()).each_term(|attribute, value| found.push(format!("{attribute:?}={value}")));
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
            assert_eq!(Event::read(event.to_string().as_bytes()).summary().username.as_deref(), Some("anonymous"));
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
    fn only_an_answered_lookup_of_this_key_from_this_address_is_the_askers_own() {
        let asker = Asker { access_key_id: "AKIA1".to_owned(), address: "192.0.2.7".to_owned() };
        let own = json!({
            "userIdentity": { "type": "Root", "accessKeyId": "AKIA1" }, "eventName": "LookupEvents",
            "eventSource": "cloudtrail.amazonaws.com", "sourceIPAddress": "192.0.2.7",
        });
        let is_own = |event: &serde_json::Value| Event::read(event.to_string().as_bytes()).is_lookup_of(&asker);
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
        let named: Vec<(String, String)> = Event::read(line.as_bytes())
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
        Event::read(line).each_term(|attribute, value| found.push((attribute, value.to_owned())));
        assert!(found.contains(&(Attribute::BucketName, "a".to_owned())));
        assert!(found.contains(&(Attribute::EventName, "X".to_owned())));
        assert!(!found.contains(&(Attribute::BucketName, "b".to_owned())));
    }

    #[test]
    fn what_is_no_json_has_no_facts() {
        let mut found = 0;
        Event::read(b"{\"eventName\":").each_term(|_, _| found += 1);
        assert_eq!(found, 0);
    }
}
