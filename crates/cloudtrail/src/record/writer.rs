//! Writes one record as JSON, its members in the order in which AWS writes them.

use std::net::IpAddr;

use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, BucketName, RequestId};
use uuid::Uuid;

use super::additional::AdditionalData;
use super::identity::UserIdentity;
use super::json::{JsonObject, TextFrame, write_object};

/// One record, everything but its form.
///
/// The members are those of AWS's page [CloudTrail record contents][contents], version 1.11.
///
/// [contents]: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
#[derive(Clone, Debug)]
pub struct EventRecord<'a> {
    pub scope: &'a AccountScope,
    pub identity: UserIdentity<'a>,
    pub time: Timestamp,
    pub source: EventSource,
    pub name: &'a str,
    pub address: IpAddr,
    pub user_agent: Option<&'a [u8]>,
    pub error: Option<EventError<'a>>,
    /// The members of `requestParameters`; without any it is `null`.
    pub parameters: &'a [u8],
    /// The members of `responseElements`; without any it is `null`.
    pub response: &'a [u8],
    pub additional: AdditionalData<'a>,
    pub request_id: RequestId,
    pub event_id: Uuid,
    pub read_only: bool,
    pub resources: EventResources<'a>,
    /// The object that a copy reads.
    pub source_object: Option<(&'a BucketName, &'a str)>,
    pub event_type: EventType,
    pub category: EventCategory,
    pub addendum: Option<AddendumReason>,
    pub tls: Option<&'a TlsDetails>,
    /// The Host header as the client sent it.
    pub host: Option<&'a str>,
}

/// The account and the region that all records of one proxy belong to.
#[derive(Clone, Debug)]
pub struct AccountScope {
    pub account: AccountId,
    pub region: String,
    /// The account's alias, which AWS shows as root's user name.
    pub alias: Option<String>,
}

/// The service that the request was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventSource {
    CloudTrail,
    Ec2,
    Iam,
    Kms,
    Logs,
    Organizations,
    S3,
    Sns,
    Sts,
}

/// The error as the client was told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventError<'a> {
    pub code: &'a str,
    pub message: &'a str,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum EventResources<'a> {
    Bucket(&'a BucketName),
    None,
    Object(&'a BucketName, &'a str),
    Prefix(&'a BucketName, &'a str),
}

/// `eventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    ApiCall,
    ServiceEvent,
}

/// `eventCategory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventCategory {
    Data,
    Management,
}

/// Why a record says less, or something else, than the request itself would have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddendumReason {
    /// The proxy stopped before it learnt how the request ended.
    ServiceOutage,
}

/// The TLS connection of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
}

const EVENT_VERSION: &[u8] = b"\"eventVersion\":\"1.11\"";
/// AWS cuts `userAgent`, `errorCode` and `errorMessage` at 1 KB.
pub(super) const LONGEST_TEXT: usize = 1024;

impl EventRecord<'_> {
    /// Writes the record as one line, without a line feed.
    pub fn render(&self, out: &mut Vec<u8>) {
        let scope = self.scope;
        write_object(out, |record| {
            record.append(EVENT_VERSION);
            record.object("userIdentity", |identity| self.identity.write(identity, scope));
            let (time, source) = (self.time.iso_extended(), self.source.as_str());
            record.pieces(&["\"eventTime\":\"", &time, "\",\"eventSource\":\"", source, "\""]);
            record.text("eventName", self.name);
            record.text("awsRegion", &scope.region);
            record.address("sourceIPAddress", self.address.to_canonical());
            self.write_user_agent(record);
            if let Some(error) = self.error {
                record.text("errorCode", cut(error.code));
                record.text("errorMessage", cut(error.message));
            }
            write_braced(record, "requestParameters", self.parameters);
            write_braced(record, "responseElements", self.response);
            record.object("additionalEventData", |additional| {
                self.additional.write(additional, self.tls, self.user_agent);
            });
            let mut buffer = Uuid::encode_buffer();
            let event_id: &str = self.event_id.hyphenated().encode_lower(&mut buffer);
            record.pieces(&["\"requestID\":\"", self.request_id.as_str(), "\",\"eventID\":\"", event_id, "\""]);
            record.boolean("readOnly", self.read_only);
            self.resources.write(record, self.source_object, &scope.account);
            record.word("eventType", self.event_type.as_str());
            record.boolean("managementEvent", self.category == EventCategory::Management);
            record.pieces(&["\"recipientAccountId\":\"", scope.account.as_str(), "\""]);
            if let Some(addendum) = self.addendum {
                record.object("addendum", |object| object.word("reason", addendum.as_str()));
            }
            record.word("eventCategory", self.category.as_str());
            self.write_tls(record);
        });
    }

    fn write_user_agent(&self, record: &mut JsonObject<'_>) {
        match (self.source, self.user_agent) {
            (_, None) if self.event_type == EventType::ServiceEvent => {}
            // S3 alone encloses it in brackets, also where it is empty.
            (EventSource::S3, agent) => {
                record.bytes("userAgent", cut_bytes(agent.unwrap_or(&[])), TextFrame::Brackets);
            }
            (_, Some(agent)) => record.bytes("userAgent", cut_bytes(agent), TextFrame::None),
            (_, None) => {}
        }
    }

    fn write_tls(&self, record: &mut JsonObject<'_>) {
        if self.tls.is_none() && self.host.is_none() {
            return;
        }
        record.object("tlsDetails", |object| {
            if let Some(tls) = self.tls {
                object.word("tlsVersion", tls.version);
                object.text("cipherSuite", &tls.cipher_suite);
            }
            if let Some(host) = self.host {
                object.text("clientProvidedHostHeader", cut(host));
            }
        });
    }
}

impl EventResources<'_> {
    fn write(&self, record: &mut JsonObject<'_>, source: Option<(&BucketName, &str)>, account: &AccountId) {
        let account = account.as_str();
        let (bucket, name, rest) = match *self {
            Self::None => return,
            Self::Bucket(bucket) => (bucket.as_str(), None, ""),
            Self::Object(bucket, key) => (bucket.as_str(), Some("ARN"), key),
            Self::Prefix(bucket, prefix) => (bucket.as_str(), Some("ARNPrefix"), prefix),
        };
        record.pieces(&["\"resources\":["]);
        if let Some(name) = name {
            write_object_arn(record, name, bucket, rest);
            record.end(",");
        }
        write_bucket_arn(record, bucket, account);
        if let Some((source, key)) = source {
            record.end(",");
            write_object_arn(record, "ARN", source.as_str(), key);
            if source.as_str() != bucket {
                record.end(",");
                write_bucket_arn(record, source.as_str(), account);
            }
        }
        record.end("]");
    }
}

fn write_object_arn(record: &mut JsonObject<'_>, name: &'static str, bucket: &str, rest: &str) {
    record.end("{\"type\":\"AWS::S3::Object\",\"");
    record.end(name);
    record.end("\":\"arn:aws:s3:::");
    record.escaped(bucket);
    record.end("/");
    record.escaped(rest);
    record.end("\"}");
}

fn write_bucket_arn(record: &mut JsonObject<'_>, bucket: &str, account: &str) {
    record.end("{\"accountId\":\"");
    record.escaped(account);
    record.end("\",\"type\":\"AWS::S3::Bucket\",\"ARN\":\"arn:aws:s3:::");
    record.escaped(bucket);
    record.end("\"}");
}

impl EventSource {
    /// `s3.amazonaws.com` and its like.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail.amazonaws.com",
            Self::Ec2 => "ec2.amazonaws.com",
            Self::Iam => "iam.amazonaws.com",
            Self::Kms => "kms.amazonaws.com",
            Self::Logs => "logs.amazonaws.com",
            Self::Organizations => "organizations.amazonaws.com",
            Self::S3 => "s3.amazonaws.com",
            Self::Sns => "sns.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
        }
    }
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            Self::ApiCall => "AwsApiCall",
            Self::ServiceEvent => "AwsServiceEvent",
        }
    }
}

impl EventCategory {
    fn as_str(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Management => "Management",
        }
    }
}

impl AddendumReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::ServiceOutage => "SERVICE_OUTAGE",
        }
    }
}

fn write_braced(record: &mut JsonObject<'_>, name: &'static str, members: &[u8]) {
    if members.is_empty() {
        record.null(name);
    } else {
        record.object(name, |object| object.append(members));
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or(text)
}

pub(super) fn cut_bytes(bytes: &[u8]) -> &[u8] {
    bytes.get(..LONGEST_TEXT).unwrap_or(bytes)
}
