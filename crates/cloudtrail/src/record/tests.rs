//! What is written into a record is what is read from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId, BucketName, HostId, RequestId, UserName};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

/// Everything that a record can hold, owned.
#[derive(Clone, Debug)]
struct WrittenRecord {
    scope: AccountScope,
    caller: Caller,
    request: Request,
    subject: Subject,
    outcome: Outcome,
    additional: Additional,
    tls: Option<TlsDetails>,
    host: Option<String>,
}

#[derive(Clone, Debug)]
enum Caller {
    Anonymous,
    Claimed(String),
    LocalRoot,
    LocalRootOfDevice,
    Root(AccessKeyId),
    User(UserName, AccessKeyId),
}

#[derive(Clone, Debug)]
struct Request {
    time: Timestamp,
    source: EventSource,
    name: String,
    address: IpAddr,
    user_agent: Option<Vec<u8>>,
    request_id: RequestId,
    event_id: Uuid,
    read_only: bool,
    event_type: EventType,
    category: EventCategory,
}

#[derive(Clone, Debug)]
struct Subject {
    resource: Resource,
    source: Option<(BucketName, String)>,
    bucket_name: Option<String>,
    key: Option<String>,
    upload_id: Option<String>,
    version_id: Option<String>,
    versioning: Option<(String, Option<String>)>,
    user_name: Option<String>,
}

#[derive(Clone, Debug)]
enum Resource {
    Bucket(BucketName),
    None,
    Object(BucketName, String),
    Prefix(BucketName, String),
}

#[derive(Clone, Debug)]
struct Outcome {
    error: Option<(String, String)>,
    version: Option<String>,
    addendum: Option<AddendumReason>,
}

#[derive(Clone, Debug)]
struct Additional {
    authentication: Option<AuthenticationMethod>,
    bytes_in: u64,
    bytes_out: u64,
    encryption: Option<&'static str>,
    host_id: Option<HostId>,
    mfa: Option<Mfa>,
    policy: Option<PolicyFacts>,
    batch: Option<(usize, usize)>,
    aggregate: Option<RequestAggregate>,
}

#[derive(Clone, Debug)]
struct Mfa {
    status: MfaDeleteStatus,
    required: bool,
    presented: bool,
    result: Option<MfaResult>,
    serial: Option<String>,
}

/// What denies: the policy, the statement's place and its `Sid`.
#[derive(Clone, Debug)]
struct PolicyFacts {
    kind: &'static str,
    statement: Option<(String, usize, Option<String>)>,
}

const ACCOUNT: &str = "123456789012";
const RESULTS: [MfaResult; 11] = [
    MfaResult::Accepted,
    MfaResult::BadCode,
    MfaResult::ClockDisagrees,
    MfaResult::InsecureTransport,
    MfaResult::Malformed,
    MfaResult::Missing,
    MfaResult::NotRoot,
    MfaResult::Replayed,
    MfaResult::Throttled,
    MfaResult::Unavailable,
    MfaResult::UnknownDevice,
];
const SOURCES: [EventSource; 9] = [
    EventSource::CloudTrail,
    EventSource::Ec2,
    EventSource::Iam,
    EventSource::Kms,
    EventSource::Logs,
    EventSource::Organizations,
    EventSource::S3,
    EventSource::Sns,
    EventSource::Sts,
];

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}|.{0,20}|[\"\\\\\u{0}-\u{1f}\u{80}-\u{a0}\u{202e}\u{feff}]{0,8}"
}

fn key_id() -> impl Strategy<Value = AccessKeyId> {
    "[A-Z0-9]{16,20}".prop_map(|text| AccessKeyId::parse(&text).unwrap())
}

fn bucket() -> impl Strategy<Value = BucketName> {
    "[a-z0-9]{4}[a-z0-9-]{0,10}[a-z]{5}".prop_map(|text| BucketName::parse(&text).unwrap())
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0_i64..253_402_300_800).prop_map(Timestamp::from_seconds)
}

fn address() -> impl Strategy<Value = IpAddr> {
    let six = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits)));
    prop_oneof![any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))), six]
}

fn caller() -> impl Strategy<Value = Caller> {
    let user = "[a-zA-Z0-9_+=,.@-]{1,64}".prop_map(|text| UserName::parse(&text).unwrap());
    prop_oneof![
        Just(Caller::Anonymous),
        Just(Caller::LocalRoot),
        Just(Caller::LocalRootOfDevice),
        text().prop_map(Caller::Claimed),
        key_id().prop_map(Caller::Root),
        (user, key_id()).prop_map(|(name, key_id)| Caller::User(name, key_id)),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let agent = prop_oneof![vec(any::<u8>(), 0..40), text().prop_map(String::into_bytes), vec(b' '..b'~', 1020..1030)];
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>());
    let kinds = (
        any::<bool>(),
        select(&[EventType::ApiCall, EventType::ServiceEvent][..]),
        select(&[EventCategory::Data, EventCategory::Management][..]),
    );
    (moment(), select(&SOURCES[..]), text(), address(), option::of(agent), ids, kinds).prop_map(
        |(time, source, name, address, user_agent, (request, event), (read_only, event_type, category))| Request {
            time,
            source,
            name,
            address,
            user_agent,
            request_id: RequestId::from_random(request),
            event_id: Uuid::from_bytes(event),
            read_only,
            event_type,
            category,
        },
    )
}

fn subject() -> impl Strategy<Value = Subject> {
    let resource = prop_oneof![
        Just(Resource::None),
        bucket().prop_map(Resource::Bucket),
        (bucket(), text()).prop_map(|(bucket, key)| Resource::Object(bucket, key)),
        (bucket(), text()).prop_map(|(bucket, prefix)| Resource::Prefix(bucket, prefix)),
    ];
    let some = || option::of(text());
    let versioning = option::of((text(), some()));
    (resource, option::of((bucket(), text())), some(), some(), some(), some(), versioning, some()).prop_map(
        |(resource, source, bucket_name, key, upload_id, version_id, versioning, user_name)| Subject {
            resource,
            source,
            bucket_name,
            key,
            upload_id,
            version_id,
            versioning,
            user_name,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let long = "é{0,600}";
    (option::of((text(), prop_oneof![text(), long])), option::of(text()), any::<bool>()).prop_map(
        |(error, version, outage)| Outcome {
            error,
            version,
            addendum: outage.then_some(AddendumReason::ServiceOutage),
        },
    )
}

fn additional() -> impl Strategy<Value = Additional> {
    let statuses = &[MfaDeleteStatus::Disabled, MfaDeleteStatus::Enabled, MfaDeleteStatus::NeverSet][..];
    let mfa = (select(statuses), any::<bool>(), any::<bool>(), option::of(select(&RESULTS[..])), option::of(text()))
        .prop_map(|(status, required, presented, result, serial)| Mfa { status, required, presented, result, serial });
    let kinds = &["identity-based", "permissions-boundary"][..];
    let policy = (select(kinds), option::of((text(), any::<usize>(), option::of(text()))))
        .prop_map(|(kind, statement)| PolicyFacts { kind, statement });
    let aggregate = (option::of(address()), any::<u64>(), moment(), moment())
        .prop_map(|(network, requests, first, last)| RequestAggregate { network, requests, first, last });
    let methods = &[AuthenticationMethod::AuthHeader, AuthenticationMethod::QueryString][..];
    (
        option::of(select(methods)),
        any::<u64>(),
        any::<u64>(),
        option::of(select(&["SSE_S3", "Default_SSE_KMS"][..])),
        option::of(vec(any::<u8>(), 56).prop_map(|bytes| HostId::from_random(bytes.try_into().unwrap()))),
        option::of(mfa),
        option::of(policy),
        option::of((any::<usize>(), any::<usize>())),
        option::of(aggregate),
    )
        .prop_map(|(authentication, bytes_in, bytes_out, encryption, host_id, mfa, policy, batch, aggregate)| {
            Additional { authentication, bytes_in, bytes_out, encryption, host_id, mfa, policy, batch, aggregate }
        })
}

fn written() -> impl Strategy<Value = WrittenRecord> {
    let scope = (text(), option::of(text())).prop_map(|(region, alias)| AccountScope {
        account: AccountId::parse(ACCOUNT).unwrap(),
        region,
        alias,
    });
    let tls = text().prop_map(|cipher_suite| TlsDetails { version: "TLSv1.3", cipher_suite });
    (scope, caller(), request(), subject(), outcome(), additional(), option::of(tls), option::of(text())).prop_map(
        |(scope, caller, request, subject, outcome, additional, tls, host)| WrittenRecord {
            scope,
            caller,
            request,
            subject,
            outcome,
            additional,
            tls,
            host,
        },
    )
}

impl WrittenRecord {
    fn line(&self) -> String {
        let (parameters, mut response) = (self.subject.parameters(), Vec::new());
        if let Some(version) = &self.outcome.version {
            JsonObject::members(&mut response).text("x-amz-version-id", version);
        }
        let Request { time, source, ref name, address, ref user_agent, request_id, event_id, .. } = self.request;
        let record = EventRecord {
            scope: &self.scope,
            identity: self.caller.identity(),
            time,
            source,
            name,
            address,
            user_agent: user_agent.as_deref(),
            error: self.outcome.error.as_ref().map(|(code, message)| EventError { code, message }),
            parameters: &parameters,
            response: &response,
            additional: self.additional.data(),
            request_id,
            event_id,
            read_only: self.request.read_only,
            resources: self.subject.resource.written(),
            source_object: self.subject.source.as_ref().map(|(bucket, key)| (bucket, key.as_str())),
            event_type: self.request.event_type,
            category: self.request.category,
            addendum: self.outcome.addendum,
            tls: self.tls.as_ref(),
            host: self.host.as_deref(),
        };
        let mut out = Vec::new();
        record.render(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// `userIdentity` as it must be.
    fn identity(&self) -> Value {
        let root = json!({ "type": "Root", "principalId": ACCOUNT, "arn": format!("arn:aws:iam::{ACCOUNT}:root"), "accountId": ACCOUNT });
        let with = |mut identity: Value, name: &str, value: Option<&str>| {
            value.into_iter().for_each(|value| identity[name] = value.into());
            identity
        };
        let alias = self.scope.alias.as_deref();
        match &self.caller {
            Caller::Anonymous => json!({ "type": "AWSAccount", "principalId": "", "accountId": "anonymous" }),
            Caller::Claimed(key_id) => {
                json!({ "type": "Unknown", "principalId": "", "accountId": "anonymous", "accessKeyId": key_id })
            }
            Caller::LocalRoot => with(root, "userName", alias),
            Caller::LocalRootOfDevice => with(root, "userName", alias.or(Some(ROOT_USER))),
            Caller::Root(key_id) => with(with(root, "accessKeyId", Some(key_id.as_str())), "userName", alias),
            Caller::User(name, key_id) => json!({
                "type": "IAMUser", "principalId": user_id(&self.scope.account, name),
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "accountId": ACCOUNT,
                "accessKeyId": key_id.as_str(), "userName": name.as_str(),
            }),
        }
    }

    /// `userAgent` as it must be.
    fn user_agent(&self) -> Option<String> {
        let letters = |agent: &[u8]| -> String {
            let agent = &agent[..agent.len().min(1024)];
            let chunk = |chunk: std::str::Utf8Chunk<'_>| -> String {
                chunk.valid().chars().chain(chunk.invalid().iter().copied().map(char::from)).collect()
            };
            agent.utf8_chunks().map(chunk).collect()
        };
        match (self.request.source, &self.request.user_agent, self.request.event_type) {
            (_, None, EventType::ServiceEvent) => None,
            (EventSource::S3, agent, _) => Some(format!("[{}]", letters(agent.as_deref().unwrap_or_default()))),
            (_, agent, _) => agent.as_deref().map(letters),
        }
    }
}

impl Caller {
    fn identity(&self) -> UserIdentity<'_> {
        match self {
            Self::Anonymous => UserIdentity::Anonymous,
            Self::Claimed(key_id) => UserIdentity::Claimed(key_id),
            Self::LocalRoot => UserIdentity::LocalRoot,
            Self::LocalRootOfDevice => UserIdentity::LocalRootOfDevice,
            Self::Root(key_id) => UserIdentity::Root { key_id, session: None },
            Self::User(name, key_id) => UserIdentity::User { name, key_id, session: None },
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Anonymous | Self::Claimed(_) => "anonymous",
            Self::LocalRoot | Self::LocalRootOfDevice | Self::Root(_) => "root",
            Self::User(name, _) => name.as_str(),
        }
    }
}

impl Subject {
    fn parameters(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut members = JsonObject::members(&mut out);
        let texts = [
            ("bucketName", &self.bucket_name),
            ("key", &self.key),
            ("uploadId", &self.upload_id),
            ("versionId", &self.version_id),
            ("userName", &self.user_name),
        ];
        for (name, value) in texts {
            value.iter().for_each(|value| members.text(name, value));
        }
        if let Some((status, mfa_delete)) = &self.versioning {
            members.object("VersioningConfiguration", |document| {
                document.text("Status", status);
                mfa_delete.iter().for_each(|change| document.text("MfaDelete", change));
            });
        }
        out
    }

    /// `resources` as they must be.
    fn resources(&self) -> Vec<Value> {
        let of_bucket = |bucket: &BucketName| json!({ "accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}") });
        let of_object = |name: &str, bucket: &BucketName, key: &str| json!({ "type": "AWS::S3::Object", name: format!("arn:aws:s3:::{bucket}/{key}") });
        let (bucket, mut resources) = match &self.resource {
            Resource::None => return Vec::new(),
            Resource::Bucket(bucket) => (bucket, vec![of_bucket(bucket)]),
            Resource::Object(bucket, key) => (bucket, vec![of_object("ARN", bucket, key), of_bucket(bucket)]),
            Resource::Prefix(bucket, prefix) => {
                (bucket, vec![of_object("ARNPrefix", bucket, prefix), of_bucket(bucket)])
            }
        };
        if let Some((source, key)) = &self.source {
            resources.push(of_object("ARN", source, key));
            resources.extend((source != bucket).then(|| of_bucket(source)));
        }
        resources
    }
}

impl Resource {
    fn written(&self) -> EventResources<'_> {
        match self {
            Self::Bucket(bucket) => EventResources::Bucket(bucket),
            Self::None => EventResources::None,
            Self::Object(bucket, key) => EventResources::Object(bucket, key),
            Self::Prefix(bucket, prefix) => EventResources::Prefix(bucket, prefix),
        }
    }
}

impl Additional {
    fn data(&self) -> AdditionalData<'_> {
        let mfa = |mfa: &'_ Mfa| MfaDeleteData {
            bucket_status: mfa.status,
            required: mfa.required,
            presented: mfa.presented,
            result: mfa.result,
            serial: None,
        };
        AdditionalData {
            authentication: self.authentication,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            encryption: self.encryption,
            host_id: self.host_id.as_ref().map(HostId::as_str),
            mfa: self.mfa.as_ref().map(|facts| MfaDeleteData { serial: facts.serial.as_deref(), ..mfa(facts) }),
            policy: self.policy.as_ref().map(|policy| PolicyDenialData {
                kind: policy.kind,
                statement: policy.statement.as_ref().map(|(policy, place, sid)| DenyingStatementData {
                    policy,
                    place: *place,
                    sid: sid.as_deref(),
                }),
            }),
            batch: self.batch.map(|(named, failed)| BatchCount { named, failed }),
            aggregate: self.aggregate,
        }
    }
}

/// A text cut to what a member of a record holds.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(1024)]
}

fn text_of<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

proptest! {
    #[test]
    fn the_view_of_a_record_gives_back_what_was_written(written in written()) {
        let line = written.line();
        let view = EventView::read(line.as_bytes()).unwrap();
        let (request, subject) = (&written.request, &written.subject);
        prop_assert!(view.is_complete());
        prop_assert_eq!(view.time(), Some(request.time));
        prop_assert_eq!(view.event_source.text(), Some(request.source.as_str()));
        prop_assert_eq!(view.event_name.text(), Some(request.name.as_str()));
        let address = request.address.to_canonical().to_string();
        prop_assert_eq!(view.source_ip_address.text(), Some(address.as_str()));
        prop_assert_eq!(view.error_code.text(), written.outcome.error.as_ref().map(|(code, _)| cut(code)));
        let event_id = request.event_id.to_string();
        prop_assert_eq!(view.event_id.text(), Some(event_id.as_str()));
        prop_assert_eq!(view.read_only.boolean(), Some(request.read_only));
        let (kind, category) = (view.event_type.text(), view.event_category.text());
        prop_assert_eq!(kind == Some("AwsServiceEvent"), request.event_type == EventType::ServiceEvent);
        prop_assert_eq!(category == Some("Management"), request.category == EventCategory::Management);
        let result = written.additional.mfa.as_ref().and_then(|mfa| mfa.result).map(MfaResult::as_str);
        prop_assert_eq!(view.mfa_result(), result);
        let count = written.additional.aggregate.map(|aggregate| aggregate.requests);
        prop_assert_eq!(view.additional_event_data.count.number(), count);

        let parameters = &view.request_parameters;
        prop_assert_eq!(parameters.bucket_name.text(), subject.bucket_name.as_deref());
        prop_assert_eq!(parameters.key.text(), subject.key.as_deref());
        prop_assert_eq!(parameters.upload_id.text(), subject.upload_id.as_deref());
        prop_assert_eq!(parameters.version_id.text(), subject.version_id.as_deref());
        prop_assert_eq!(parameters.named("userName"), subject.user_name.as_deref());
        let (status, mfa_delete) = subject.versioning.as_ref().map_or((None, None), |(status, change)| (Some(status.as_str()), change.as_deref()));
        prop_assert_eq!((parameters.versioning.status.text(), parameters.versioning.mfa_delete.text()), (status, mfa_delete));

        let (identity, expected) = (&view.user_identity, written.identity());
        let members = [&identity.kind, &identity.principal_id, &identity.arn, &identity.account_id, &identity.access_key_id, &identity.user_name];
        let names = ["/type", "/principalId", "/arn", "/accountId", "/accessKeyId", "/userName"];
        for (member, name) in members.into_iter().zip(names) {
            prop_assert_eq!(member.text(), text_of(&expected, name), "{}", name);
        }
        prop_assert_eq!(identity.name(), Some(written.caller.name()));
        let resources: Vec<_> = view.resources.iter().map(|resource| (resource.kind.text(), resource.arn.text(), resource.arn_prefix.text())).collect();
        let expected = subject.resources();
        let expected: Vec<_> = expected.iter().map(|resource| (text_of(resource, "/type"), text_of(resource, "/ARN"), text_of(resource, "/ARNPrefix"))).collect();
        prop_assert_eq!(resources, expected);
    }

    #[test]
    fn every_member_of_a_record_is_what_was_written_and_stands_where_aws_writes_it(written in written()) {
        let line = written.line();
        prop_assert!(!line.chars().any(is_deceptive), "{}", line);
        let read: Value = serde_json::from_str(&line).unwrap();
        let mut expected = json!({
            "eventVersion": "1.11",
            "userIdentity": written.identity(),
            "eventTime": written.request.time.iso_extended(),
            "eventSource": written.request.source.as_str(),
            "eventName": written.request.name,
            "awsRegion": written.scope.region,
            "sourceIPAddress": written.request.address.to_canonical().to_string(),
            "userAgent": written.user_agent(),
            "errorCode": written.outcome.error.as_ref().map(|(code, _)| cut(code)),
            "errorMessage": written.outcome.error.as_ref().map(|(_, message)| cut(message)),
            "requestParameters": serde_json::from_slice::<Value>(&[b"{", &written.subject.parameters()[..], b"}"].concat()).unwrap(),
            "responseElements": written.outcome.version.as_ref().map(|version| json!({ "x-amz-version-id": version })),
            "additionalEventData": written.additional_value(),
            "requestID": written.request.request_id.as_str(),
            "eventID": written.request.event_id.to_string(),
            "readOnly": written.request.read_only,
            "resources": written.subject.resources(),
            "eventType": match written.request.event_type { EventType::ApiCall => "AwsApiCall", EventType::ServiceEvent => "AwsServiceEvent" },
            "managementEvent": written.request.category == EventCategory::Management,
            "recipientAccountId": ACCOUNT,
            "addendum": written.outcome.addendum.map(|_| json!({ "reason": "SERVICE_OUTAGE" })),
            "eventCategory": match written.request.category { EventCategory::Data => "Data", EventCategory::Management => "Management" },
            "tlsDetails": written.tls_value(),
        });
        if expected["requestParameters"] == json!({}) {
            expected["requestParameters"] = Value::Null;
        }
        for (name, value) in expected.as_object().unwrap() {
            let is_always_there = matches!(name.as_str(), "requestParameters" | "responseElements");
            let is_absent = !is_always_there && (value.is_null() || value == &json!([]) || value == &json!({}));
            prop_assert_eq!(read.get(name), Some(value).filter(|_| !is_absent), "{}", name);
        }
        let names: Vec<&str> = read.as_object().unwrap().keys().map(String::as_str).collect();
        let in_order: Vec<&str> = MEMBERS_IN_ORDER.into_iter().filter(|name| read.get(name).is_some()).collect();
        prop_assert_eq!(names, in_order);
    }

    #[test]
    fn reading_what_is_almost_a_record_never_panics(text in "[{}\\[\\],:\"a0n\\\\ ]{0,40}", bytes in vec(any::<u8>(), 0..60)) {
        let within = format!("{{\"requestParameters\":{text},\"resources\":{text},\"userIdentity\":{text}}}");
        for line in [text.as_bytes(), &bytes, within.as_bytes()] {
            if let Ok(view) = EventView::read(line) {
                view.each_value(|_, value| assert!(value.len() <= line.len()));
            }
        }
    }
}

impl WrittenRecord {
    /// `additionalEventData` as it must be.
    fn additional_value(&self) -> Value {
        let (data, agent) = (&self.additional, self.request.user_agent.as_deref());
        let said = |value: bool| if value { "true" } else { "false" };
        let mut members = serde_json::Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            value.into_iter().for_each(|value| _ = members.insert(name.to_owned(), value));
        };
        let method = data.authentication.map(|method| match method {
            AuthenticationMethod::AuthHeader => "AuthHeader",
            AuthenticationMethod::QueryString => "QueryString",
        });
        add("SignatureVersion", method.map(|_| "SigV4".into()));
        add("CipherSuite", self.tls.as_ref().map(|tls| tls.cipher_suite.as_str().into()));
        add("bytesTransferredIn", Some(data.bytes_in.into()));
        add("SSEApplied", data.encryption.map(Into::into));
        add("AuthenticationMethod", method.map(Into::into));
        add("x-amz-id-2", data.host_id.as_ref().map(|id| id.as_str().into()));
        add("bytesTransferredOut", Some(data.bytes_out.into()));
        add("ObjectCount", data.batch.map(|(named, _)| named.into()));
        add("ErrorCount", data.batch.map(|(_, failed)| failed.into()));
        if let Some(RequestAggregate { network, requests, first, last }) = data.aggregate {
            add("count", Some(requests.into()));
            let network = network.map(|network| format!("{network}/{}", if network.is_ipv4() { 32 } else { 64 }));
            add("network", Some(network.unwrap_or_else(|| "several".to_owned()).into()));
            add("firstEventTime", Some(first.iso_extended().into()));
            add("lastEventTime", Some(last.iso_extended().into()));
        }
        let mfa = data.mfa.as_ref().map(|mfa| {
            let status = match mfa.status {
                MfaDeleteStatus::Disabled => "Disabled",
                MfaDeleteStatus::Enabled => "Enabled",
                MfaDeleteStatus::NeverSet => "NeverSet",
            };
            let mut members =
                json!({ "bucketStatus": status, "required": said(mfa.required), "presented": said(mfa.presented) });
            mfa.result.into_iter().for_each(|result| members["result"] = result.as_str().into());
            mfa.serial.iter().for_each(|serial| members["serialNumber"] = serial.as_str().into());
            members
        });
        add("MfaDelete", mfa);
        let policy = data.policy.as_ref().map(|policy| {
            let decision = if policy.statement.is_some() { "ExplicitDeny" } else { "ImplicitDeny" };
            let mut members = json!({ "decision": decision, "policyType": policy.kind });
            if let Some((name, place, sid)) = &policy.statement {
                members["policy"] = name.as_str().into();
                members["statementIndex"] = (*place).into();
                sid.iter().for_each(|sid| members["sid"] = sid.as_str().into());
            }
            members
        });
        add("Policy", policy);
        let agent_text = agent.filter(|agent| agent.len() > 1024).map(|agent| {
            use sha2::Digest;
            json!({ "truncated": true, "sha256": hex::encode(sha2::Sha256::digest(agent)), "len": agent.len() })
        });
        add("userAgentTruncated", agent_text);
        let encoded = agent.filter(|agent| std::str::from_utf8(agent).is_err()).map(|agent| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(&agent[..agent.len().min(1024)]).into()
        });
        add("userAgentB64", encoded);
        Value::Object(members)
    }

    /// `tlsDetails` as they must be.
    fn tls_value(&self) -> Value {
        let mut details = serde_json::Map::new();
        if let Some(tls) = &self.tls {
            details.insert("tlsVersion".to_owned(), tls.version.into());
            details.insert("cipherSuite".to_owned(), tls.cipher_suite.as_str().into());
        }
        self.host.iter().for_each(|host| _ = details.insert("clientProvidedHostHeader".to_owned(), cut(host).into()));
        Value::Object(details)
    }
}
