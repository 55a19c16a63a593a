//! `additionalEventData`: what S3 puts there, and `MfaDelete`, which is Portcullis's own.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_base::clock::Timestamp;
use sha2::{Digest, Sha256};

use super::json::JsonObject;
use super::writer::{LONGEST_TEXT, TlsDetails, cut_bytes};

/// What S3 puts into `additionalEventData`, and what Portcullis adds.
#[derive(Clone, Debug, Default)]
pub struct AdditionalData<'a> {
    /// How the request was signed, if its signature was right.
    pub authentication: Option<AuthenticationMethod>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub encryption: Option<&'static str>,
    /// The reply's `x-amz-id-2`.
    pub host_id: Option<&'a str>,
    pub mfa: Option<MfaDeleteData<'a>>,
    /// Why policies deny the request.
    pub policy: Option<PolicyDenialData<'a>>,
    pub batch: Option<BatchCount>,
    pub aggregate: Option<RequestAggregate>,
}

/// `AuthenticationMethod`: where the signature was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthenticationMethod {
    AuthHeader,
    QueryString,
}

/// What a record says that stands for many requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestAggregate {
    /// The first address of the clients' network; none where they were of several.
    pub network: Option<IpAddr>,
    pub requests: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// How many keys a DeleteObjects named, and how many of them failed.
#[derive(Clone, Copy, Debug)]
pub struct BatchCount {
    pub named: usize,
    pub failed: usize,
}

/// What MFA Delete had to do with a request.
#[derive(Clone, Copy, Debug)]
pub struct MfaDeleteData<'a> {
    /// MFA Delete of the bucket when the request was judged.
    pub bucket_status: MfaDeleteStatus,
    /// True if the request needed a code.
    pub required: bool,
    /// True if the client sent `x-amz-mfa`.
    pub presented: bool,
    /// None if neither a code nor the lack of one mattered.
    pub result: Option<MfaResult>,
    pub serial: Option<&'a str>,
}

/// What in the policies denies a request.
#[derive(Clone, Copy, Debug)]
pub struct PolicyDenialData<'a> {
    /// `identity-based`, `permissions-boundary`, `resource-based` or `session`: the policies that deny, or in which an
    /// Allow is missing.
    pub kind: &'static str,
    /// The statement that denies; none where no statement allows.
    pub statement: Option<DenyingStatementData<'a>>,
}

/// A statement of a policy.
#[derive(Clone, Copy, Debug)]
pub struct DenyingStatementData<'a> {
    pub policy: &'a str,
    /// Its place in the document, from 0.
    pub place: usize,
    pub sid: Option<&'a str>,
}

/// MFA Delete of a bucket, as its versioning shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MfaDeleteStatus {
    Disabled,
    Enabled,
    NeverSet,
}

/// What became of an MFA token.
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

impl AdditionalData<'_> {
    pub(super) fn write(&self, out: &mut JsonObject<'_>, tls: Option<&TlsDetails>, user_agent: Option<&[u8]>) {
        if self.authentication.is_some() {
            out.append(b"\"SignatureVersion\":\"SigV4\"");
        }
        if let Some(tls) = tls {
            out.text("CipherSuite", &tls.cipher_suite);
        }
        out.number("bytesTransferredIn", self.bytes_in);
        if let Some(encryption) = self.encryption {
            out.word("SSEApplied", encryption);
        }
        if let Some(method) = self.authentication {
            out.word("AuthenticationMethod", method.as_str());
        }
        if let Some(id) = self.host_id {
            out.text("x-amz-id-2", id);
        }
        out.number("bytesTransferredOut", self.bytes_out);
        if let Some(batch) = self.batch {
            out.number("ObjectCount", u64::try_from(batch.named).unwrap_or(u64::MAX));
            out.number("ErrorCount", u64::try_from(batch.failed).unwrap_or(u64::MAX));
        }
        if let Some(aggregate) = &self.aggregate {
            aggregate.write(out);
        }
        if let Some(mfa) = &self.mfa {
            out.object("MfaDelete", |object| mfa.write(object));
        }
        if let Some(policy) = &self.policy {
            out.object("Policy", |object| policy.write(object));
        }
        if let Some(agent) = user_agent {
            write_agent_twins(out, agent);
        }
    }
}

/// What of a user agent the record's own member cannot hold.
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

impl RequestAggregate {
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

impl PolicyDenialData<'_> {
    fn write(&self, out: &mut JsonObject<'_>) {
        out.word("decision", if self.statement.is_some() { "ExplicitDeny" } else { "ImplicitDeny" });
        out.word("policyType", self.kind);
        if let Some(statement) = &self.statement {
            out.text("policy", statement.policy);
            out.number("statementIndex", u64::try_from(statement.place).unwrap_or(u64::MAX));
            statement.sid.iter().for_each(|sid| out.text("sid", sid));
        }
    }
}

impl MfaDeleteData<'_> {
    fn write(&self, out: &mut JsonObject<'_>) {
        let text = |fact: bool| -> &'static str { if fact { "true" } else { "false" } };
        out.word("bucketStatus", self.bucket_status.as_str());
        out.word("required", text(self.required));
        out.word("presented", text(self.presented));
        if let Some(result) = self.result {
            out.word("result", result.as_str());
        }
        if let Some(serial) = self.serial {
            out.text("serialNumber", serial);
        }
    }
}

impl AuthenticationMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::AuthHeader => "AuthHeader",
            Self::QueryString => "QueryString",
        }
    }
}

impl MfaDeleteStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Enabled => "Enabled",
            Self::NeverSet => "NeverSet",
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
