//! The facts about one request so far: every stage writes them, none can read them.

use std::sync::Arc;

use http::request::Parts;
use serde_json::Value;
use uuid::Uuid;

use super::mfa::MfaFacts;
use super::order;
use super::outcome::{ABANDONED, KeyAnswer, RequestOutcome, ResponseElements};
use super::parameters::{self, ConfigurationDocument};
use super::recorder::{Recorder, UnsignedRequest};
use portcullis_authorization::{DenialCause, PolicyDenial, WithheldEntry};
use portcullis_base::names::{AccessKeyId, BucketName, HostId, ObjectKey, RequestId};
use portcullis_cloudtrail::record::{
    AddendumReason, AdditionalData, AuthenticationMethod, BatchCount, DenyingStatementData, EventCategory, EventError,
    EventRecord, EventResources, EventSource, EventType, JsonObject, PolicyDenialData, SessionAttributes, TlsDetails,
    UserIdentity,
};
use portcullis_http::{HttpMethod, Peer, RequestHead};
use portcullis_journal::{JournalClosed, RecordKind, Sequence};
use portcullis_policy::PolicyRole;
use portcullis_s3::{ObjectIdentifier, OperationAccess, S3Operation};
use portcullis_sigv4::{Principal, SessionFacts, SessionMfa, SignatureForm};

/// The facts about one request so far. Nothing can be decided from them, for there is no way to read them,
/// and dropping them records that the request was abandoned.
// INVARIANT (one record): a draft ends in `close` or in `drop`, and either appends exactly one record.
#[derive(Debug)]
pub struct Draft {
    recorder: Arc<Recorder>,
    /// Boxed, since a draft goes through every stage by value.
    facts: Box<DraftFacts>,
    intent: Option<Sequence>,
    state: DraftState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DraftState {
    Closed,
    Open,
}

/// What an operation is called and what it is about.
#[derive(Clone, Copy, Debug)]
pub struct OperationFacts<'a> {
    pub action: S3Operation,
    pub bucket: Option<&'a BucketName>,
    pub key: Option<&'a ObjectKey>,
    /// The object that a copy reads.
    pub source: Option<(&'a BucketName, &'a ObjectKey)>,
    pub configuration: ConfigurationDocument<'a>,
    /// The entries of `POST ?delete`.
    pub objects: &'a [ObjectIdentifier],
}

/// What a control API was asked for.
#[derive(Clone, Copy, Debug)]
pub struct ControlFacts<'a> {
    pub source: EventSource,
    pub event_name: &'a str,
    pub read_only: bool,
    pub subject: ControlSubject,
    /// The parameters by CloudTrail's names; codes, seeds and secrets among them are not written.
    pub parameters: &'a Value,
}

/// What an action of a control API is about, as far as the name of its caller depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlSubject {
    /// An MFA device: in the event of its change AWS gives root a name.
    MfaDevice,
    Other,
}

#[derive(Debug)]
struct DraftFacts {
    request_id: RequestId,
    event_id: Uuid,
    peer: Peer,
    tls: Option<TlsDetails>,
    arrived: Option<ArrivedRequest>,
    /// The user agent of a request that has no head here.
    agent: Option<Box<[u8]>>,
    caller: DraftCaller,
    operation: DraftOperation,
    mfa: Option<MfaFacts>,
    denial: Option<Box<PolicyDenial>>,
    /// The entries of `POST ?delete` that are not sent, in the order of the document.
    withheld: Vec<WithheldEntry>,
}

#[derive(Debug)]
struct ArrivedRequest {
    method: Box<str>,
    target: Box<str>,
    host: Option<Box<str>>,
    user_agent: Option<Box<[u8]>>,
    /// Members of `requestParameters` from query and headers.
    members: Vec<u8>,
    prefix: Option<Box<str>>,
    encrypts: bool,
}

#[derive(Debug)]
enum DraftCaller {
    Anonymous,
    Claimed(Box<str>),
    Operator,
    Signed { principal: Principal, key_id: AccessKeyId, form: SignatureForm, session: Option<SessionAttributes> },
}

#[derive(Debug)]
enum DraftOperation {
    Control {
        source: EventSource,
        name: Box<str>,
        read_only: bool,
        subject: ControlSubject,
        members: Vec<u8>,
    },
    S3(S3DraftFacts),
    /// No stage got so far as to name it.
    Unknown,
}

#[derive(Debug)]
struct S3DraftFacts {
    action: S3Operation,
    bucket: Option<BucketName>,
    key: Option<ObjectKey>,
    source: Option<(BucketName, ObjectKey)>,
    /// Members of `requestParameters` from the document.
    members: Vec<u8>,
    objects: Vec<ObjectIdentifier>,
}

/// The name of a request that ended before its operation was known.
const UNKNOWN: &str = "UnknownOperation";
/// AWS has no code for this end.
const OUTCOME_UNKNOWN: EventError<'static> =
    EventError { code: "OutcomeUnknown", message: "The request was sent to the store and how it ended is unknown" };
const LONGEST_HOST: usize = 1024;
const LONGEST_KEY_ID: usize = 128;
const LONGEST_TARGET: usize = 4096;

impl Draft {
    pub(super) fn open(recorder: Arc<Recorder>, request_id: RequestId, peer: Peer) -> Self {
        let facts = Box::new(DraftFacts {
            request_id,
            event_id: recorder.event_id(),
            peer,
            tls: None,
            arrived: None,
            agent: None,
            caller: DraftCaller::Anonymous,
            operation: DraftOperation::Unknown,
            mfa: None,
            denial: None,
            withheld: Vec::new(),
        });
        Self { recorder, facts, intent: None, state: DraftState::Open }
    }

    /// Notes the TLS connection.
    pub fn travelled(&mut self, tls: TlsDetails) {
        self.facts.tls = Some(tls);
    }

    /// Notes a head that could be read.
    pub fn arrived(&mut self, head: &RequestHead) {
        let mut members = Vec::with_capacity(128);
        parameters::write_query(&mut members, &head.query);
        parameters::write_headers(&mut members, &head.headers, &head.query);
        self.facts.arrived = Some(ArrivedRequest {
            method: head.method.as_str().into(),
            target: shortened(&head.path, LONGEST_TARGET),
            host: Some(shortened(&head.host, LONGEST_HOST)),
            user_agent: head.headers.raw("user-agent").map(|agent| agent.as_bytes().into()),
            members,
            prefix: head.query.value("prefix").map(Into::into),
            encrypts: head.headers.has("x-amz-server-side-encryption"),
        });
    }

    /// Notes a head that is refused as malformed.
    pub fn arrived_malformed(&mut self, parts: &Parts) {
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        self.facts.arrived = Some(ArrivedRequest {
            method: shortened(parts.method.as_str(), 64),
            target: shortened(&parameters::redacted(target), LONGEST_TARGET),
            host: parts
                .headers
                .get("host")
                .and_then(|host| host.to_str().ok())
                .map(|host| shortened(host, LONGEST_HOST)),
            user_agent: parts.headers.get("user-agent").map(|agent| agent.as_bytes().into()),
            members: Vec::new(),
            prefix: None,
            encrypts: false,
        });
    }

    /// Notes the key a request names, before its signature is verified.
    pub fn claimed_by(&mut self, key_id: &str) {
        self.facts.caller = DraftCaller::Claimed(shortened(key_id, LONGEST_KEY_ID));
    }

    /// Notes who signed, once that is proved.
    pub fn signed_by(&mut self, principal: &Principal, key_id: &AccessKeyId, form: SignatureForm) {
        let (principal, key_id) = (principal.clone(), key_id.clone());
        self.facts.caller = DraftCaller::Signed { principal, key_id, form, session: None };
    }

    /// Notes that a request that is signed was signed with temporary credentials.
    pub fn in_session(&mut self, facts: SessionFacts) {
        if let DraftCaller::Signed { session, .. } = &mut self.facts.caller {
            let mfa_authenticated = facts.mfa == SessionMfa::Present;
            *session = Some(SessionAttributes { created: facts.issued, mfa_authenticated });
        }
    }

    /// Notes that the request came through the admin socket, and what program says it sent it.
    pub fn by_operator(&mut self, agent: Option<&[u8]>) {
        self.facts.caller = DraftCaller::Operator;
        self.facts.agent = Some(agent.unwrap_or(b"admin.sock").into());
    }

    /// Gives the request an id of another form, before it is sent.
    pub fn identify(&mut self, request_id: RequestId) {
        self.facts.request_id = request_id;
    }

    /// Notes what is asked of S3.
    pub fn asks_for(&mut self, asked: OperationFacts<'_>) {
        let mut members = Vec::new();
        parameters::write_document(&mut members, asked.configuration);
        self.facts.operation = DraftOperation::S3(S3DraftFacts {
            action: asked.action,
            bucket: asked.bucket.cloned(),
            key: asked.key.cloned(),
            source: asked.source.map(|(bucket, key)| (bucket.clone(), key.clone())),
            members,
            objects: asked.objects.to_vec(),
        });
    }

    /// Notes what is asked of a control API.
    pub fn asks_control(&mut self, asked: ControlFacts<'_>) {
        let mut members = Vec::new();
        parameters::write_members(&mut members, asked.parameters);
        let ControlFacts { source, event_name, read_only, subject, parameters: _ } = asked;
        self.facts.operation = DraftOperation::Control { source, name: event_name.into(), read_only, subject, members };
    }

    /// Notes what MFA Delete had to do with the request.
    pub fn judged(&mut self, facts: MfaFacts) {
        self.facts.mfa = Some(facts);
    }

    /// Notes what in the caller's policies denies the request.
    pub fn denied(&mut self, denial: &PolicyDenial) {
        self.facts.denial = Some(Box::new(denial.clone()));
    }

    /// Notes the entries of `POST ?delete` that policies deny, in the order of the document.
    pub fn withholds(&mut self, withheld: &[WithheldEntry]) {
        self.facts.withheld = withheld.to_vec();
    }

    /// The events to record if the outcome stays unknown, one a line.
    fn intent(&self) -> Vec<u8> {
        self.facts.events(&self.recorder, &RequestOutcome::said(OUTCOME_UNKNOWN), Some(AddendumReason::ServiceOutage))
    }

    /// Appends the intent; nothing may go upstream before it is durable.
    pub fn intend(&mut self) -> Result<Sequence, JournalClosed> {
        let sequence = self.recorder.append(RecordKind::Intent, &self.intent())?;
        self.intent = Some(sequence);
        Ok(sequence)
    }

    /// Appends the record of how the request ended.
    pub fn close(mut self, outcome: &RequestOutcome) -> Result<Sequence, JournalClosed> {
        self.end(outcome, None)
    }

    fn end(&mut self, outcome: &RequestOutcome, addendum: Option<AddendumReason>) -> Result<Sequence, JournalClosed> {
        self.state = DraftState::Closed;
        if let (None, Some(unsigned)) = (self.intent, self.facts.unsigned(outcome)) {
            return self.recorder.append_unsigned(unsigned, || self.facts.events(&self.recorder, outcome, addendum));
        }
        let kind = self.intent.map_or(RecordKind::Event, RecordKind::Outcome);
        self.recorder.append(kind, &self.facts.events(&self.recorder, outcome, addendum))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.state == DraftState::Closed {
            return;
        }
        let (error, addendum) = match self.intent {
            // Whatever the cause, the upstream may have carried out the request.
            Some(_) => (OUTCOME_UNKNOWN, Some(AddendumReason::ServiceOutage)),
            None => (ABANDONED, None),
        };
        if self.end(&RequestOutcome::said(error), addendum).is_err() {
            tracing::error!(request = %self.facts.request_id, "an abandoned request could not be recorded");
        }
    }
}

impl DraftFacts {
    /// The record of the request, and one of each key of a DeleteObjects, each a line.
    fn events(&self, recorder: &Recorder, outcome: &RequestOutcome, addendum: Option<AddendumReason>) -> Vec<u8> {
        let objects = match &self.operation {
            DraftOperation::S3(operation) => operation.objects.as_slice(),
            DraftOperation::Control { .. } | DraftOperation::Unknown => &[],
        };
        let results = outcome.results(objects);
        let mut out = Vec::with_capacity(1536 * (1 + objects.len()));
        let mut record = self.record(recorder, outcome);
        record.addendum = addendum;
        if !objects.is_empty() {
            let failed = results.iter().filter(|result| result.error.is_some()).count();
            record.additional.batch = Some(BatchCount { named: objects.len(), failed });
        }
        let parameters = self.parameters();
        record.parameters = &parameters;
        record.render(&mut out);
        let mut withheld = self.withheld.iter().peekable();
        for (place, (object, said)) in objects.iter().zip(results).enumerate() {
            out.push(b'\n');
            let denied = withheld.next_if(|withheld| withheld.place == place);
            record.additional.policy = denied.map(|withheld| denial_data(&withheld.denial));
            self.render_object(recorder, &record, object, &said, &mut out);
        }
        out
    }

    fn record<'a>(&'a self, recorder: &'a Recorder, outcome: &'a RequestOutcome) -> EventRecord<'a> {
        let arrived = self.arrived.as_ref();
        let (source, name, category, read_only) = match &self.operation {
            DraftOperation::Control { source, name, read_only, .. } => {
                (*source, &**name, EventCategory::Management, *read_only)
            }
            DraftOperation::S3(S3DraftFacts { action, .. }) => {
                let row = action.row();
                (EventSource::S3, row.event, event_category(row.category), row.access == OperationAccess::Read)
            }
            DraftOperation::Unknown => (EventSource::S3, UNKNOWN, EventCategory::Data, self.only_reads()),
        };
        EventRecord {
            scope: recorder.scope(),
            identity: self.identity(),
            time: recorder.now(),
            source,
            name,
            address: self.peer.address.ip(),
            user_agent: arrived.and_then(|arrived| arrived.user_agent.as_deref()).or(self.agent.as_deref()),
            error: outcome.error(),
            parameters: &[],
            // Of what only reads, AWS tells the answer where that is credentials.
            response: if read_only && source != EventSource::Sts { &[] } else { outcome.elements.members() },
            additional: AdditionalData {
                authentication: self.authentication(),
                bytes_in: outcome.bytes_in,
                bytes_out: outcome.bytes_out,
                encryption: self.encryption(&outcome.elements),
                host_id: outcome.host_id.as_ref().map(HostId::as_str),
                mfa: self.mfa.as_ref().map(MfaFacts::data),
                policy: self.denial.as_deref().map(denial_data),
                batch: None,
                aggregate: None,
            },
            request_id: self.request_id,
            event_id: self.event_id,
            read_only,
            resources: self.resources(),
            source_object: self.source_object(),
            event_type: EventType::ApiCall,
            category,
            addendum: None,
            tls: self.tls.as_ref(),
            host: arrived.and_then(|arrived| arrived.host.as_deref()),
        }
    }

    fn parameters(&self) -> Vec<u8> {
        let mut members = Vec::with_capacity(512);
        let mut object = JsonObject::members(&mut members);
        let arrived = self.arrived.as_ref();
        let host = arrived.and_then(|arrived| arrived.host.as_deref());
        match &self.operation {
            DraftOperation::Control { members: given, .. } => object.append(given),
            DraftOperation::S3(operation) => {
                // In AWS's order of insertion, which shows where two names share a place.
                arrived.iter().for_each(|arrived| object.append(&arrived.members));
                operation.bucket.iter().for_each(|bucket| object.text("bucketName", bucket.as_str()));
                host.iter().for_each(|host| object.text("Host", host));
                operation.key.iter().for_each(|key| object.text("key", key.as_str()));
                object.append(&operation.members);
                return order::of_copied_map(&members);
            }
            DraftOperation::Unknown => {
                host.iter().for_each(|host| object.text("Host", host));
                if let Some(arrived) = arrived {
                    object.text("httpMethod", &arrived.method);
                    object.text("requestURI", &arrived.target);
                    object.append(&arrived.members);
                }
            }
        }
        members
    }

    /// One key's own DeleteObject, told like the batch it came in.
    fn render_object(
        &self,
        recorder: &Recorder,
        batch: &EventRecord<'_>,
        object: &ObjectIdentifier,
        said: &KeyAnswer<'_>,
        out: &mut Vec<u8>,
    ) {
        let DraftOperation::S3(S3DraftFacts { bucket: Some(bucket), .. }) = &self.operation else { return };
        let mut parameters = Vec::with_capacity(256);
        let mut members = JsonObject::members(&mut parameters);
        members.text("bucketName", bucket.as_str());
        batch.host.iter().for_each(|host| members.text("Host", host));
        members.text("key", object.key.as_str());
        object.version.iter().for_each(|version| members.text("versionId", version.as_str()));
        members.text("x-id", "DeleteObjects");
        let parameters = order::of_copied_map(&parameters);
        let additional =
            AdditionalData { bytes_in: 0, bytes_out: 0, encryption: None, batch: None, ..batch.additional.clone() };
        let record = EventRecord {
            name: S3Operation::DeleteObject.row().event,
            error: said.error,
            parameters: &parameters,
            response: said.elements.map_or(&[], ResponseElements::members),
            additional,
            event_id: recorder.event_id(),
            resources: EventResources::Object(bucket, object.key.as_str()),
            source_object: None,
            ..batch.clone()
        };
        record.render(out);
    }

    /// What of it is counted, unless the request is signed.
    fn unsigned<'a>(&'a self, outcome: &'a RequestOutcome) -> Option<UnsignedRequest<'a>> {
        let key_id = match &self.caller {
            DraftCaller::Anonymous => None,
            DraftCaller::Claimed(key_id) => Some(&**key_id),
            DraftCaller::Operator | DraftCaller::Signed { .. } => return None,
        };
        let (address, code) = (self.peer.address.ip(), outcome.error().map_or("", |error| error.code));
        Some(UnsignedRequest { address, code, key_id, bytes_in: outcome.bytes_in, bytes_out: outcome.bytes_out })
    }

    fn identity(&self) -> UserIdentity<'_> {
        match &self.caller {
            DraftCaller::Anonymous => UserIdentity::Anonymous,
            DraftCaller::Claimed(key_id) => UserIdentity::Claimed(key_id),
            DraftCaller::Operator => match &self.operation {
                DraftOperation::Control { subject: ControlSubject::MfaDevice, .. } => UserIdentity::LocalRootOfDevice,
                DraftOperation::Control { subject: ControlSubject::Other, .. }
                | DraftOperation::S3(_)
                | DraftOperation::Unknown => UserIdentity::LocalRoot,
            },
            DraftCaller::Signed { principal: Principal::Root, key_id, form: _, session } => {
                UserIdentity::Root { key_id, session: *session }
            }
            DraftCaller::Signed { principal: Principal::User(name), key_id, form: _, session } => {
                UserIdentity::User { name, key_id, session: *session }
            }
        }
    }

    fn authentication(&self) -> Option<AuthenticationMethod> {
        match &self.caller {
            DraftCaller::Signed { form: SignatureForm::AuthHeader, .. } => Some(AuthenticationMethod::AuthHeader),
            DraftCaller::Signed { form: SignatureForm::QueryString, .. } => Some(AuthenticationMethod::QueryString),
            DraftCaller::Anonymous | DraftCaller::Claimed(_) | DraftCaller::Operator => None,
        }
    }

    fn resources(&self) -> EventResources<'_> {
        let DraftOperation::S3(operation) = &self.operation else { return EventResources::None };
        let prefix = || self.arrived.as_ref().and_then(|arrived| arrived.prefix.as_deref()).unwrap_or("");
        match (&operation.bucket, &operation.key, operation.action) {
            // AWS names no resource where the bucket is not there yet.
            (None, _, _) | (Some(_), None, S3Operation::CreateBucket) => EventResources::None,
            (Some(bucket), Some(key), _) => EventResources::Object(bucket, key.as_str()),
            (
                Some(bucket),
                None,
                S3Operation::DeleteObjects
                | S3Operation::ListMultipartUploads
                | S3Operation::ListObjectVersions
                | S3Operation::ListObjects
                | S3Operation::ListObjectsV2,
            ) => EventResources::Prefix(bucket, prefix()),
            (Some(bucket), None, _) => EventResources::Bucket(bucket),
        }
    }

    /// What a copy reads.
    fn source_object(&self) -> Option<(&BucketName, &str)> {
        match &self.operation {
            DraftOperation::S3(operation) => operation.source.as_ref().map(|(bucket, key)| (bucket, key.as_str())),
            DraftOperation::Control { .. } | DraftOperation::Unknown => None,
        }
    }

    fn encryption(&self, elements: &ResponseElements) -> Option<&'static str> {
        let asked = self.arrived.as_ref().is_some_and(|arrived| arrived.encrypts);
        let reads = match &self.operation {
            DraftOperation::S3(operation) => operation.action.row().access == OperationAccess::Read,
            DraftOperation::Control { .. } | DraftOperation::Unknown => true,
        };
        elements.encryption(asked).filter(|_| !reads)
    }

    fn only_reads(&self) -> bool {
        let reads = [HttpMethod::Get, HttpMethod::Head, HttpMethod::Options].map(HttpMethod::as_str);
        self.arrived.as_ref().is_some_and(|arrived| reads.contains(&&*arrived.method))
    }
}

fn denial_data(denial: &PolicyDenial) -> PolicyDenialData<'_> {
    let (role, statement) = match &denial.cause {
        DenialCause::Explicit(statement) => (statement.role, Some(statement)),
        DenialCause::Implicit(role) => (*role, None),
    };
    PolicyDenialData {
        kind: match role {
            PolicyRole::Boundary => "permissions-boundary",
            PolicyRole::Identity => "identity-based",
            PolicyRole::Resource => "resource-based",
            PolicyRole::Session => "session",
        },
        statement: statement.map(|statement| DenyingStatementData {
            policy: &statement.policy,
            place: statement.place,
            sid: statement.sid.as_deref(),
        }),
    }
}

fn shortened(text: &str, longest: usize) -> Box<str> {
    text.get(..text.floor_char_boundary(longest)).unwrap_or("").into()
}

fn event_category(category: portcullis_s3::OperationCategory) -> EventCategory {
    match category {
        portcullis_s3::OperationCategory::Data => EventCategory::Data,
        portcullis_s3::OperationCategory::Management => EventCategory::Management,
    }
}
