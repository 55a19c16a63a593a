//! One CloudTrail record as JSON, its keys in the order in which AWS writes them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::authenticate::{Form, Principal};
use crate::gate::MfaDelete;
use crate::mfa::Fault;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId, BucketName, DeviceSerial, RequestId, UserName};
use portcullis_cloudtrail::record::{JsonObject, TextFrame, write_object};

/// One record, complete but for its form.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    pub site: &'a Site,
    pub identity: Identity<'a>,
    pub time: Timestamp,
    pub source: Source,
    pub name: &'a str,
    pub address: IpAddr,
    pub user_agent: Option<&'a [u8]>,
    pub error: Option<ErrorText<'a>>,
    /// The members of `requestParameters`; none are `null`.
    pub parameters: &'a [u8],
    /// The members of `responseElements`; none are `null`.
    pub response: &'a [u8],
    pub additional: Additional<'a>,
    pub request_id: RequestId,
    pub event_id: Uuid,
    pub read_only: bool,
    pub resources: Resources<'a>,
    /// The object that a copy reads.
    pub source_object: Option<(&'a BucketName, &'a str)>,
    pub event_type: EventType,
    pub category: Category,
    pub addendum: Option<Addendum>,
    pub tls: Option<&'a TlsDetails>,
    pub host: Option<&'a str>,
}

/// What all records of one gate have in common.
#[derive(Clone, Debug)]
pub struct Site {
    pub account: AccountId,
    pub region: String,
    /// The account's alias, which AWS shows as root's user name.
    pub alias: Option<String>,
}

/// Who asked, as far as it is proved.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    Anonymous,
    /// A key was named, but nobody proved to hold it.
    Claimed(&'a str),
    /// Root, through the admin socket: the operating system vouches, and there is no key.
    Operator,
    /// The same, about a device of root's.
    OperatorOfDevice,
    Signed {
        principal: &'a Principal,
        key_id: &'a AccessKeyId,
    },
}

/// The service that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
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

/// What the client was told, in S3's words.
#[derive(Clone, Copy, Debug)]
pub struct ErrorText<'a> {
    pub code: &'a str,
    pub message: &'a str,
}

/// What AWS puts into `additionalEventData`, and what we add.
#[derive(Clone, Debug, Default)]
pub struct Additional<'a> {
    /// How the request was signed, if its signature was right.
    pub form: Option<Form>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub encryption: Option<&'static str>,
    /// The reply's `x-amz-id-2`.
    pub host_id: Option<&'a str>,
    pub mfa: Option<&'a MfaFacts>,
    pub objects: Option<ObjectCount>,
    pub aggregate: Option<Aggregate>,
}

/// What an event says that stands for many requests.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate {
    /// The first address of the clients' network; none where they were of several.
    pub network: Option<IpAddr>,
    pub requests: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// How many keys a DeleteObjects named, and how many of them failed.
#[derive(Clone, Copy, Debug)]
pub struct ObjectCount {
    pub named: usize,
    pub failed: usize,
}

/// What MFA Delete had to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaFacts {
    /// MFA Delete of the bucket when the request was judged.
    pub bucket: MfaDelete,
    /// Whether the request needed a code.
    pub required: bool,
    /// Whether the client sent `x-amz-mfa`.
    pub presented: bool,
    /// What became of the offer, or of the lack of one; none if neither mattered.
    pub result: Option<MfaResult>,
    pub serial: Option<DeviceSerial>,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MfaResult {
    Accepted,
    BadCode,
    ClockDisagrees,
    InsecureTransport,
    Malformed,
    Missing,
    NotRoot,
    Replayed,
    /// Too many codes wait to be looked at, or the client's network has tried too many.
    Throttled,
    /// It could not be judged, or not be stored as spent.
    Unavailable,
    UnknownDevice,
}

/// What a request was about.
#[derive(Clone, Copy, Debug)]
pub enum Resources<'a> {
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
pub enum Category {
    Data,
    Management,
}

/// Why a record is not as the request left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addendum {
    /// The gate stopped before it learnt how the request ended.
    ServiceOutage,
}

/// The TLS connection a request came over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
}

const EVENT_VERSION: &[u8] = b"\"eventVersion\":\"1.11\"";
const LONGEST_TEXT: usize = 1024;

impl Record<'_> {
    /// Writes the record as one line, without a line feed.
    pub fn render(&self, out: &mut Vec<u8>) {
        let site = self.site;
        write_object(out, |record| {
            record.append(EVENT_VERSION);
            record.object("userIdentity", |identity| self.identity.write(identity, site));
            let (time, source) = (self.time.iso_extended(), self.source.as_str());
            record.pieces(&["\"eventTime\":\"", &time, "\",\"eventSource\":\"", source, "\""]);
            record.text("eventName", self.name);
            record.text("awsRegion", &site.region);
            record.address("sourceIPAddress", self.address.to_canonical());
            self.write_user_agent(record);
            if let Some(error) = self.error {
                record.text("errorCode", cut(error.code));
                record.text("errorMessage", cut(error.client_text()));
            }
            braced(record, "requestParameters", self.parameters);
            braced(record, "responseElements", self.response);
            record.object("additionalEventData", |additional| self.write_additional(additional));
            let mut buffer = Uuid::encode_buffer();
            let event_id: &str = self.event_id.hyphenated().encode_lower(&mut buffer);
            record.pieces(&["\"requestID\":\"", self.request_id.as_str(), "\",\"eventID\":\"", event_id, "\""]);
            record.boolean("readOnly", self.read_only);
            self.resources.write(record, self.source_object, &site.account);
            record.word("eventType", self.event_type.as_str());
            record.boolean("managementEvent", self.category == Category::Management);
            record.pieces(&["\"recipientAccountId\":\"", site.account.as_str(), "\""]);
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
            // S3 alone puts brackets around it, also around nothing.
            (Source::S3, agent) => record.bytes("userAgent", cut_bytes(agent.unwrap_or(&[])), TextFrame::Brackets),
            (_, Some(agent)) => record.bytes("userAgent", cut_bytes(agent), TextFrame::None),
            (_, None) => {}
        }
    }

    fn write_additional(&self, out: &mut JsonObject<'_>) {
        let facts = &self.additional;
        if facts.form.is_some() {
            out.append(b"\"SignatureVersion\":\"SigV4\"");
        }
        if let Some(tls) = self.tls {
            out.text("CipherSuite", &tls.cipher_suite);
        }
        out.number("bytesTransferredIn", facts.bytes_in);
        if let Some(encryption) = facts.encryption {
            out.word("SSEApplied", encryption);
        }
        if let Some(form) = facts.form {
            out.word("AuthenticationMethod", form_text(form));
        }
        if let Some(id) = facts.host_id {
            out.text("x-amz-id-2", id);
        }
        out.number("bytesTransferredOut", facts.bytes_out);
        if let Some(count) = facts.objects {
            out.number("ObjectCount", u64::try_from(count.named).unwrap_or(u64::MAX));
            out.number("ErrorCount", u64::try_from(count.failed).unwrap_or(u64::MAX));
        }
        if let Some(aggregate) = &facts.aggregate {
            aggregate.write(out);
        }
        if let Some(mfa) = facts.mfa {
            out.object("MfaDelete", |object| mfa.write(object));
        }
        if let Some(agent) = self.user_agent {
            write_agent_twins(out, agent);
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

/// What of a user agent the record's own field cannot hold.
fn write_agent_twins(out: &mut JsonObject<'_>, agent: &[u8]) {
    if agent.len() > LONGEST_TEXT {
        out.object("userAgentTruncated", |object| write_truncated(object, agent));
    }
    if std::str::from_utf8(agent).is_err() {
        out.text("userAgentB64", &STANDARD.encode(cut_bytes(agent)));
    }
}

/// What stands for a value that is too long: enough to recognise it by.
pub fn write_truncated(out: &mut JsonObject<'_>, value: &[u8]) {
    out.boolean("truncated", true);
    out.text("sha256", &hex::encode(Sha256::digest(value)));
    out.number("len", u64::try_from(value.len()).unwrap_or(u64::MAX));
}

impl Identity<'_> {
    fn write(&self, out: &mut JsonObject<'_>, site: &Site) {
        let account = site.account.as_str();
        let root = |out: &mut JsonObject<'_>| {
            let arn = "\",\"arn\":\"arn:aws:iam::";
            let start = "\"type\":\"Root\",\"principalId\":\"";
            out.pieces(&[start, account, arn, account, ":root\",\"accountId\":\"", account, "\""]);
        };
        match self {
            Self::Anonymous => {
                out.word("type", "AWSAccount");
                out.text("principalId", "");
                out.text("accountId", "anonymous");
            }
            Self::Claimed(key_id) => {
                out.word("type", "Unknown");
                out.text("principalId", "");
                out.text("accountId", "anonymous");
                out.text("accessKeyId", key_id);
            }
            Self::Operator => {
                root(out);
                write_alias(out, site);
            }
            Self::OperatorOfDevice => {
                root(out);
                out.text("userName", site.alias.as_deref().unwrap_or(ROOT_USER));
            }
            Self::Signed { principal: Principal::Root, key_id } => {
                root(out);
                out.text("accessKeyId", key_id.as_str());
                write_alias(out, site);
            }
            Self::Signed { principal: Principal::User(user), key_id } => {
                out.word("type", "IAMUser");
                out.text("principalId", &user_id(&site.account, user));
                out.joined("arn", &["arn:aws:iam::", account, ":user/", user.as_str()]);
                out.text("accountId", account);
                out.text("accessKeyId", key_id.as_str());
                out.text("userName", user.as_str());
            }
        }
    }
}

/// Root's name in AWS's events of its devices.
pub const ROOT_USER: &str = "AWS ROOT USER";

fn write_alias(out: &mut JsonObject<'_>, site: &Site) {
    if let Some(alias) = &site.alias {
        out.text("userName", alias);
    }
}

/// The `AIDA...` id of a user: the same for ever, though nobody stores it.
pub fn user_id(account: &AccountId, user: &UserName) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::new().chain_update(account.as_str()).chain_update("/").chain_update(user.as_str()).finalize();
    let letters = digest.iter().take(17).filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    "AIDA".chars().chain(letters.map(|letter| char::from(*letter))).collect()
}

impl Aggregate {
    fn write(&self, out: &mut JsonObject<'_>) {
        out.number("count", self.requests);
        match self.network {
            Some(IpAddr::V4(address)) => out.text("network", &format!("{address}/32")),
            Some(IpAddr::V6(address)) => out.text("network", &format!("{address}/64")),
            None => out.word("network", "several"),
        }
        out.text("firstEventTime", &self.first.iso_extended());
        out.text("lastEventTime", &self.last.iso_extended());
    }
}

impl Resources<'_> {
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

impl MfaFacts {
    fn write(&self, out: &mut JsonObject<'_>) {
        let text = |fact: bool| -> &'static str { if fact { "true" } else { "false" } };
        out.text(
            "bucketStatus",
            match self.bucket {
                MfaDelete::Disabled => "Disabled",
                MfaDelete::Enabled => "Enabled",
                MfaDelete::NeverSet => "NeverSet",
            },
        );
        out.word("required", text(self.required));
        out.word("presented", text(self.presented));
        if let Some(result) = self.result {
            out.word("result", result.as_str());
        }
        if let Some(serial) = self.serial.as_ref().filter(|serial| self.may_show(serial)) {
            out.text("serialNumber", serial.as_str());
        }
    }

    /// Whoever turns serial and code around sends the code as the serial: digits alone are shown only once
    /// they are known to be a device.
    fn may_show(&self, serial: &DeviceSerial) -> bool {
        let could_be_code = serial.as_str().len() <= 10 && serial.as_str().bytes().all(|byte| byte.is_ascii_digit());
        match self.result {
            Some(MfaResult::Accepted | MfaResult::BadCode | MfaResult::Replayed | MfaResult::Throttled) => true,
            Some(
                MfaResult::ClockDisagrees
                | MfaResult::InsecureTransport
                | MfaResult::Malformed
                | MfaResult::Missing
                | MfaResult::NotRoot
                | MfaResult::Unavailable
                | MfaResult::UnknownDevice,
            )
            | None => !could_be_code,
        }
    }
}

impl MfaResult {
    /// The result as it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::BadCode => "BadCode",
            Self::ClockDisagrees => "ClockDisagrees",
            Self::InsecureTransport => "InsecureTransport",
            Self::Malformed => "Malformed",
            Self::Missing => "Missing",
            Self::NotRoot => "NotRoot",
            Self::Replayed => "Replayed",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::UnknownDevice => "UnknownDevice",
        }
    }
}

impl From<Fault> for MfaResult {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::ClockDisagrees => Self::ClockDisagrees,
            Fault::MoreCodesNeeded | Fault::NotDigits | Fault::WrongCode => Self::BadCode,
            Fault::NetworkThrottled { .. } | Fault::TooManyAtOnce => Self::Throttled,
            Fault::Replayed => Self::Replayed,
            Fault::UnknownDevice => Self::UnknownDevice,
        }
    }
}

impl<'a> ErrorText<'a> {
    /// The message, but for the one of AWS's that repeats the code.
    fn client_text(&self) -> &'a str {
        match self.code {
            "NotDeviceOwnerError" => "The device that generated the token is not owned by the authenticated user.",
            _ => self.message,
        }
    }
}

impl Source {
    fn as_str(self) -> &'static str {
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

impl Category {
    fn as_str(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Management => "Management",
        }
    }
}

impl Addendum {
    fn as_str(self) -> &'static str {
        match self {
            Self::ServiceOutage => "SERVICE_OUTAGE",
        }
    }
}

fn form_text(form: Form) -> &'static str {
    match form {
        Form::AuthHeader => "AuthHeader",
        Form::QueryString => "QueryString",
    }
}

fn braced(record: &mut JsonObject<'_>, name: &'static str, members: &[u8]) {
    if members.is_empty() {
        record.null(name);
    } else {
        record.object(name, |object| object.append(members));
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or(text)
}

fn cut_bytes(bytes: &[u8]) -> &[u8] {
    bytes.get(..LONGEST_TEXT).unwrap_or(bytes)
}
