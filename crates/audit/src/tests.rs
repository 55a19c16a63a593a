use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use portcullis_authorization::MfaDelete;
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::{
    AccessKeyId, AccountId, BucketName, DeviceSerial, HostId, ObjectKey, RequestId, UserName, VersionId,
};
use portcullis_cloudtrail::record::{AccountScope, EventSource, MEMBERS_IN_ORDER, MfaResult, TlsDetails, user_id};
use portcullis_http::{Peer, RequestHead, Transport};
use portcullis_journal::{Journal, JournalClosed, JournalOptions, JournalReader, RecordKind, Sequence};
use portcullis_s3::{MfaDeleteChange, ObjectIdentifier, S3Operation, VersioningDocument, VersioningStatus};
use portcullis_sigv4::{Principal, SignatureForm};

/// Keeps records in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<Vec<(RecordKind, Vec<u8>)>>);

impl RecordSink for Memory {
    fn append(&self, kind: RecordKind, payload: &[u8]) -> Result<Sequence, JournalClosed> {
        let mut records = self.0.lock().expect("no panic");
        records.push((kind, payload.to_vec()));
        Ok(Sequence::new(u64::try_from(records.len()).expect("small")))
    }
}

impl Memory {
    fn kinds(&self) -> Vec<RecordKind> {
        self.0.lock().expect("no panic").iter().map(|(kind, _)| *kind).collect()
    }

    fn all(&self) -> Vec<Value> {
        let records = self.0.lock().expect("no panic");
        let lines = records.iter().flat_map(|(_, payload)| payload.split(|byte| *byte == b'\n'));
        lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }

    fn only(&self) -> Value {
        let mut all = self.all();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

fn site() -> AccountScope {
    let account = AccountId::parse("123456789012").expect("an account");
    AccountScope { account, region: "us-east-1".to_owned(), alias: None }
}

fn recorder(sink: Arc<dyn RecordSink>, site: AccountScope) -> Arc<Recorder> {
    let now = Timestamp::parse_iso_extended("2023-03-19T11:00:50Z").expect("a time");
    Arc::new(Recorder::new(sink, site, Clock::Set(Arc::new(now.millis().into()))))
}

fn memory() -> (Arc<Memory>, Arc<Recorder>) {
    let sink = Arc::new(Memory::default());
    (Arc::clone(&sink), recorder(sink, site()))
}

fn peer() -> Peer {
    Peer { address: SocketAddr::from(([192, 168, 10, 20], 4000)), transport: Transport::Tls }
}

fn open(recorder: &Arc<Recorder>) -> Draft {
    recorder.open(RequestId::from_random([7; 16]), peer())
}

fn parts(method: &str, target: &str, headers: &[(&str, &str)]) -> http::request::Parts {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> RequestHead {
    RequestHead::read(&parts(method, target, headers), peer()).expect("legal")
}

fn tls12() -> TlsDetails {
    TlsDetails { version: "TLSv1.2", cipher_suite: "ECDHE-RSA-AES128-GCM-SHA256".to_owned() }
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).expect("a name")
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).expect("a key")
}

fn key_id(text: &str) -> AccessKeyId {
    AccessKeyId::parse(text).expect("a key id")
}

fn user(name: &str) -> Principal {
    Principal::User(UserName::parse(name).expect("a name"))
}

fn asked(action: S3Operation) -> OperationFacts<'static> {
    let configuration = ConfigurationDocument::None;
    OperationFacts { action, bucket: None, key: None, source: None, configuration, objects: &[] }
}

fn host_id() -> HostId {
    HostId::from_random([7; 56])
}

fn ok(bytes_in: u64, bytes_out: u64) -> RequestOutcome {
    RequestOutcome { status: 200, bytes_in, bytes_out, ..RequestOutcome::default() }
}

fn failed(code: &str, message: &str) -> Option<OutcomeError> {
    Some(OutcomeError { code: code.to_owned(), message: message.to_owned() })
}

/// Holds a record of ours against one of AWS's: same values, and keys in the same order.
fn assert_like_aws(ours: &Value, aws: &Value) {
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let shared = |from: &Value, other: &Value| {
        keys(from).into_iter().filter(|name| other.get(name).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(shared(ours, aws), keys(aws), "order or presence of keys");
    let in_order: Vec<_> = MEMBERS_IN_ORDER.iter().copied().filter(|name| ours.get(name).is_some()).collect();
    assert_eq!(keys(ours), in_order, "keys of ours");
    for (name, expected) in aws.as_object().expect("an object") {
        if !matches!(name.as_str(), "eventVersion" | "eventTime" | "requestID" | "eventID") {
            assert_eq!(&ours[name], expected, "{name}");
        }
        if expected.is_object() {
            assert_eq!(keys(&ours[name]), keys(expected), "order within {name}");
        }
    }
}

fn workshop() -> (Arc<Memory>, Draft, &'static str) {
    let account = AccountId::parse("123456789010").expect("an account");
    let sink = Arc::new(Memory::default());
    let site = AccountScope { account, alias: Some("ryanryanic".to_owned()), ..site() };
    let mut draft = open(&recorder(Arc::clone(&sink) as Arc<dyn RecordSink>, site));
    draft.travelled(tls12());
    draft.signed_by(&Principal::Root, &key_id("ASIATAI5Z633WXL7W5UQ"), SignatureForm::AuthHeader);
    (sink, draft, "databackup-123456789010.s3.us-east-1.amazonaws.com")
}

const WORKSHOP_AGENT: &str = "aws-cli/2.11.2 Python/3.11.2 Linux/4.14.255 exe/x86_64.amzn.2 prompt/off command/s3.cp";

#[test]
fn a_get_by_root_is_recorded_as_by_aws() {
    let (sink, mut draft, host) = workshop();
    draft.arrived(&head("GET", "/password-backup.txt", &[("host", host), ("user-agent", WORKSHOP_AGENT)]));
    let (bucket, key) = (bucket("databackup-123456789010"), key("password-backup.txt"));
    draft.asks_for(OperationFacts { bucket: Some(&bucket), key: Some(&key), ..asked(S3Operation::GetObject) });
    draft.close(&RequestOutcome { host_id: Some(host_id()), ..ok(0, 91) }).expect("taken");
    let aws = json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "Root", "principalId": "123456789010", "arn": "arn:aws:iam::123456789010:root",
            "accountId": "123456789010", "accessKeyId": "ASIATAI5Z633WXL7W5UQ", "userName": "ryanryanic",
        },
        "eventTime": "2023-03-19T11:00:50Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
        "awsRegion": "us-east-1", "sourceIPAddress": "192.168.10.20", "userAgent": format!("[{WORKSHOP_AGENT}]"),
        "requestParameters": {"bucketName": "databackup-123456789010", "Host": host, "key": "password-backup.txt"},
        "responseElements": null,
        "additionalEventData": {
            "SignatureVersion": "SigV4", "CipherSuite": "ECDHE-RSA-AES128-GCM-SHA256", "bytesTransferredIn": 0,
            "AuthenticationMethod": "AuthHeader", "x-amz-id-2": host_id().as_str(), "bytesTransferredOut": 91,
        },
        "requestID": "X3WAD8N3JFZKSY05", "eventID": "7adf0612-f936-4368-bccb-6a2afde40d15", "readOnly": true,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::databackup-123456789010/password-backup.txt"},
            {"accountId": "123456789010", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::databackup-123456789010"},
        ],
        "eventType": "AwsApiCall", "managementEvent": false, "recipientAccountId": "123456789010",
        "eventCategory": "Data",
        "tlsDetails": {
            "tlsVersion": "TLSv1.2", "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256", "clientProvidedHostHeader": host,
        },
    });
    assert_like_aws(&sink.only(), &aws);
    assert_eq!(sink.only()["eventTime"], aws["eventTime"]);
    assert_eq!(sink.only()["resources"].to_string(), aws["resources"].to_string());
}

#[test]
fn a_listing_is_recorded_as_by_aws() {
    let (sink, mut draft, host) = workshop();
    let target = "/?list-type=2&encoding-type=url&prefix=&delimiter=%2F";
    draft.arrived(&head("GET", target, &[("host", host)]));
    let bucket = bucket("databackup-123456789010");
    draft.asks_for(OperationFacts { bucket: Some(&bucket), ..asked(S3Operation::ListObjectsV2) });
    draft.close(&ok(0, 523)).expect("taken");
    let aws = json!({
        "eventName": "ListObjects",
        "userAgent": "[]",
        "requestParameters": {
            "list-type": "2", "bucketName": "databackup-123456789010", "encoding-type": "url", "prefix": "",
            "delimiter": "/", "Host": host,
        },
        "resources": [
            {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::databackup-123456789010/"},
            {"accountId": "123456789010", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::databackup-123456789010"},
        ],
    });
    assert_like_aws(&sink.only(), &aws);
}

#[test]
fn a_put_through_a_presigned_url_is_recorded_as_by_aws() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    draft.travelled(TlsDetails { version: "TLSv1.3", cipher_suite: "TLS_AES_128_GCM_SHA256".to_owned() });
    let target = "/bank-details/wareville-bank-account-qr.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA\
                  &X-Amz-Date=20241022T152239Z&X-Amz-Expires=300&X-Amz-SignedHeaders=content-md5%3Bhost&X-Amz-Signature=f";
    let host = "wareville-care4wares.s3.ap-southeast-1.amazonaws.com";
    let headers = [("host", host), ("x-amz-acl", "bucket-owner-full-control"), ("x-amz-storage-class", "STANDARD")];
    draft.arrived(&head("PUT", target, &headers));
    draft.signed_by(&user("elf"), &key_id("AKIATFQR7NSC8Q4X20BJ"), SignatureForm::QueryString);
    let (bucket, key) = (bucket("wareville-care4wares"), key("bank-details/wareville-bank-account-qr.png"));
    draft.asks_for(OperationFacts { bucket: Some(&bucket), key: Some(&key), ..asked(S3Operation::PutObject) });
    let mut reply = http::HeaderMap::new();
    reply.insert("x-amz-server-side-encryption", http::HeaderValue::from_static("AES256"));
    let elements = ResponseElements::of(&reply);
    draft.close(&RequestOutcome { elements, host_id: Some(host_id()), ..ok(83, 0) }).expect("taken");
    let aws = json!({
        "eventVersion": "1.10", "eventName": "PutObject",
        "requestParameters": {
            "X-Amz-Date": "20241022T152239Z", "bucketName": "wareville-care4wares",
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "x-amz-acl": "bucket-owner-full-control",
            "X-Amz-SignedHeaders": "content-md5;host", "Host": host, "X-Amz-Expires": "300",
            "key": "bank-details/wareville-bank-account-qr.png", "x-amz-storage-class": "STANDARD",
        },
        "responseElements": {"x-amz-server-side-encryption": "AES256"},
        "additionalEventData": {
            "SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredIn": 83,
            "SSEApplied": "Default_SSE_S3", "AuthenticationMethod": "QueryString", "x-amz-id-2": host_id().as_str(),
            "bytesTransferredOut": 0,
        },
        "readOnly": false, "managementEvent": false, "eventCategory": "Data",
    });
    assert_like_aws(&sink.only(), &aws);
}

fn delete_objects(recorder: &Arc<Recorder>) -> Draft {
    let mut draft = open(recorder);
    draft.arrived(&head("POST", "/?delete&x-id=DeleteObjects", &[("host", "vault.s3.example.com")]));
    draft.signed_by(&user("alice"), &key_id("AKIATFQR7NSC8Q4X20BJ"), SignatureForm::AuthHeader);
    let entry = |name: &str, version: Option<&str>| ObjectIdentifier {
        key: key(name),
        version: version.map(|version| VersionId::parse(version).expect("a version")),
    };
    let objects = [entry("a", None), entry("b", Some("v1")), entry("b", Some("v2"))];
    let vault = bucket("vault");
    draft.asks_for(OperationFacts { bucket: Some(&vault), objects: &objects, ..asked(S3Operation::DeleteObjects) });
    draft
}

#[test]
fn a_delete_of_many_is_one_event_as_by_aws_and_one_for_each_key() {
    let (sink, recorder) = memory();
    let refused = OutcomeError { code: "AccessDenied".to_owned(), message: "Access Denied".to_owned() };
    let version = |text| Some(VersionId::parse(text).expect("a version"));
    let objects = vec![
        ObjectOutcome { key: key("b"), version: version("v2"), result: Err(refused) },
        ObjectOutcome { key: key("a"), version: None, result: Ok(ResponseElements::delete_marker("m1")) },
        ObjectOutcome { key: key("b"), version: version("v1"), result: Ok(ResponseElements::default()) },
    ];
    delete_objects(&recorder).close(&RequestOutcome { objects, ..ok(300, 200) }).expect("taken");
    let [batch, first, second, third] = &sink.all()[..] else { panic!("four events") };
    let resources = json!([
        {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::vault/"},
        {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::vault"},
    ]);
    let aws = json!({
        "eventSource": "s3.amazonaws.com", "eventName": "DeleteObjects",
        "requestParameters":
            {"bucketName": "vault", "Host": "vault.s3.example.com", "delete": "", "x-id": "DeleteObjects"},
        "responseElements": null, "readOnly": false, "resources": resources, "eventType": "AwsApiCall",
        "managementEvent": false, "recipientAccountId": "123456789012", "eventCategory": "Data",
    });
    assert_like_aws(batch, &aws);
    assert_eq!(batch["additionalEventData"]["ObjectCount"], 3);
    assert_eq!(batch["additionalEventData"]["ErrorCount"], 1);
    for (event, name, error) in [(first, "a", None), (second, "b", None), (third, "b", Some("AccessDenied"))] {
        assert_eq!((&event["eventName"], &event["requestParameters"]["key"]), (&json!("DeleteObject"), &json!(name)));
        assert_eq!(event.get("errorCode").and_then(Value::as_str), error);
        assert_eq!(event["requestID"], batch["requestID"]);
        assert_ne!(event["eventID"], batch["eventID"]);
    }
    assert_eq!(first["responseElements"], json!({"x-amz-version-id": "m1", "x-amz-delete-marker": "true"}));
    assert_eq!(second["requestParameters"]["versionId"], "v1");
    assert_eq!(third["resources"][0]["ARN"], "arn:aws:s3:::vault/b");
}

#[test]
fn a_key_that_the_stores_answer_leaves_out_is_not_recorded_as_deleted() {
    let (sink, recorder) = memory();
    let objects = vec![ObjectOutcome { key: key("a"), version: None, result: Ok(ResponseElements::default()) }];
    delete_objects(&recorder).close(&RequestOutcome { objects, ..ok(300, 200) }).expect("taken");
    let all = sink.all();
    let codes: Vec<_> = all.iter().map(|event| event.get("errorCode").and_then(Value::as_str)).collect();
    assert_eq!(codes, [None, None, Some("OutcomeUnknown"), Some("OutcomeUnknown")]);
    assert_eq!(all[0]["additionalEventData"]["ErrorCount"], 2);
}

#[test]
fn a_copy_names_what_it_reads_beside_what_it_writes() {
    let resources = |source: &str| {
        let (sink, recorder) = memory();
        let mut draft = open(&recorder);
        draft.arrived(&head("PUT", "/dst/copy", &[("host", "h"), ("x-amz-copy-source", source)]));
        let (from, to) = (bucket(source.split_once('/').expect("a slash").0), bucket("dst"));
        let (read, written) = (key("a \"b\""), key("copy"));
        draft.asks_for(OperationFacts {
            bucket: Some(&to),
            key: Some(&written),
            source: Some((&from, &read)),
            ..asked(S3Operation::CopyObject)
        });
        draft.close(&ok(0, 9)).expect("taken");
        sink.only()["resources"].clone()
    };
    let object = |arn: &str| json!({"type": "AWS::S3::Object", "ARN": arn});
    let whole = |arn: &str| json!({"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": arn});
    let written = [object("arn:aws:s3:::dst/copy"), whole("arn:aws:s3:::dst")];
    let elsewhere = [object("arn:aws:s3:::src/a \"b\""), whole("arn:aws:s3:::src")];
    assert_eq!(resources("src/a"), json!([written[0], written[1], elsewhere[0], elsewhere[1]]));
    assert_eq!(resources("dst/a"), json!([written[0], written[1], object("arn:aws:s3:::dst/a \"b\"")]));
}

#[test]
fn a_refused_delete_of_many_names_every_key_that_was_tried() {
    let (sink, recorder) = memory();
    let error = failed("AccessDenied", "Access Denied");
    delete_objects(&recorder)
        .close(&RequestOutcome { status: 403, error, ..RequestOutcome::default() })
        .expect("taken");
    let all = sink.all();
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|event| event["errorCode"] == "AccessDenied"));
    assert_eq!(all[0]["additionalEventData"]["ErrorCount"], 3);
}

fn versioning(recorder: &Arc<Recorder>) -> Draft {
    let mut draft = open(recorder);
    let host = ("host", "vault.s3.us-west-2.amazonaws.com");
    let agent = ("user-agent", "Mozilla");
    let offer = ("x-amz-mfa", "arn:aws:iam::123456789012:mfa/phone 987654");
    draft.arrived(&head("PUT", "/?versioning", &[host, agent, offer]));
    draft.signed_by(&Principal::Root, &key_id("AKIAAAAAAAAAAAAAAAAA"), SignatureForm::AuthHeader);
    let vault = bucket("vault");
    let document = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Enable };
    draft.asks_for(OperationFacts {
        bucket: Some(&vault),
        configuration: ConfigurationDocument::Versioning(document),
        ..asked(S3Operation::PutBucketVersioning)
    });
    draft
}

fn offered(result: Option<MfaResult>, serial: &str) -> MfaFacts {
    let serial = Some(DeviceSerial::parse(serial).expect("a serial"));
    MfaFacts { bucket: MfaDelete::NeverSet, required: true, presented: true, result, serial }
}

#[test]
fn enabling_mfa_delete_is_recorded_as_by_aws_with_the_second_factor() {
    let (sink, recorder) = memory();
    let mut draft = versioning(&recorder);
    draft.judged(offered(Some(MfaResult::Accepted), "arn:aws:iam::123456789012:mfa/phone"));
    draft.close(&ok(120, 0)).expect("taken");
    let aws = json!({
        "eventVersion": "1.05",
        "userIdentity": {
            "type": "Root", "principalId": "123456789012", "arn": "arn:aws:iam::123456789012:root",
            "accountId": "123456789012", "accessKeyId": "AKIAAAAAAAAAAAAAAAAA",
        },
        "eventTime": "2019-01-01T00:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "PutBucketVersioning",
        "awsRegion": "us-east-1", "sourceIPAddress": "192.168.10.20", "userAgent": "[Mozilla]",
        "requestParameters": {
            "bucketName": "vault", "Host": "vault.s3.us-west-2.amazonaws.com", "versioning": "",
            "VersioningConfiguration":
                {"Status": "Enabled", "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "MfaDelete": "Enabled"},
        },
        "responseElements": null,
        "requestID": "1", "eventID": "1", "eventType": "AwsApiCall", "recipientAccountId": "123456789012",
    });
    assert_like_aws(&sink.only(), &aws);
    assert_eq!(
        sink.only()["additionalEventData"]["MfaDelete"],
        json!({
            "bucketStatus": "NeverSet", "required": "true", "presented": "true", "result": "Accepted",
            "serialNumber": "arn:aws:iam::123456789012:mfa/phone",
        })
    );
    assert!(!sink.only().to_string().contains("987654"));
}

#[test]
fn the_whole_record_of_enabling_mfa_delete() {
    let (sink, recorder) = memory();
    let mut draft = versioning(&recorder);
    draft.judged(offered(Some(MfaResult::BadCode), "arn:aws:iam::123456789012:mfa/phone"));
    let error = failed("TokenCodeInvalidError", "The token code is invalid");
    draft.close(&RequestOutcome { status: 400, error, ..ok(120, 300) }).expect("taken");
    let mut record = sink.only();
    record["eventID"] = "EVENT ID".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&record).expect("JSON"));
}

fn dataset(
    sink: &Arc<Memory>,
    target: &str,
    action: S3Operation,
    xml: Option<&[u8]>,
    outcome: &RequestOutcome,
) -> Value {
    let account = AccountId::parse("123837392027").expect("an account");
    let mut draft = open(&recorder(Arc::clone(sink) as Arc<dyn RecordSink>, AccountScope { account, ..site() }));
    draft.travelled(tls12());
    let host = ("host", "stratus-red-team-ctlr-bucket-zqfsvooxqj.s3.us-east-1.amazonaws.com");
    draft.arrived(&head("PUT", target, &[host, ("user-agent", "stratus-red-team_4990da05")]));
    draft.signed_by(&user("bert-jan"), &key_id("AKIATFQR7NSC8Q4X20BJ"), SignatureForm::AuthHeader);
    let bucket = bucket("stratus-red-team-ctlr-bucket-zqfsvooxqj");
    let configuration = xml.map_or(ConfigurationDocument::None, ConfigurationDocument::Xml);
    draft.asks_for(OperationFacts { bucket: Some(&bucket), configuration, ..asked(action) });
    draft.close(outcome).expect("taken");
    let account = AccountId::parse("123837392027").expect("an account");
    let id = user_id(&account, &UserName::parse("bert-jan").expect("a name"));
    json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser", "principalId": id, "arn": "arn:aws:iam::123837392027:user/bert-jan",
            "accountId": "123837392027", "accessKeyId": "AKIATFQR7NSC8Q4X20BJ", "userName": "bert-jan",
        },
        "eventTime": "2023-07-10T12:00:35Z", "eventSource": "s3.amazonaws.com", "eventName": action.row().event,
        "awsRegion": "us-east-1", "sourceIPAddress": "192.168.10.20", "userAgent": "[stratus-red-team_4990da05]",
        "errorCode": null, "errorMessage": null,
        "requestParameters": {
            "bucketName": "stratus-red-team-ctlr-bucket-zqfsvooxqj", "Host": host.1,
        },
        "responseElements": null,
        "additionalEventData": {
            "SignatureVersion": "SigV4", "CipherSuite": "ECDHE-RSA-AES128-GCM-SHA256", "bytesTransferredIn": 249,
            "AuthenticationMethod": "AuthHeader", "x-amz-id-2": host_id().as_str(), "bytesTransferredOut": 0,
        },
        "requestID": "3WDNJTQG33KXSTM8", "eventID": "7823c70d-f7f9-4a04-b4c0-baa8fbe09ea3", "readOnly": false,
        "resources": [{
            "accountId": "123837392027", "type": "AWS::S3::Bucket",
            "ARN": "arn:aws:s3:::stratus-red-team-ctlr-bucket-zqfsvooxqj",
        }],
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "123837392027",
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.2", "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256", "clientProvidedHostHeader": host.1,
        },
    })
}

#[test]
fn a_lifecycle_is_recorded_as_by_aws() {
    let sink = Arc::new(Memory::default());
    let xml = br#"<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>
        <Expiration><Days>1</Days></Expiration><ID>nuke-cloudtrail-logs-after-1-day</ID><Status>Enabled</Status>
        <Filter><Prefix>*</Prefix></Filter></Rule></LifecycleConfiguration>"#;
    let outcome = RequestOutcome { host_id: Some(host_id()), ..ok(249, 0) };
    let mut aws = dataset(&sink, "/?lifecycle", S3Operation::PutBucketLifecycleConfiguration, Some(xml), &outcome);
    let aws = aws.as_object_mut().expect("an object");
    aws.shift_remove("errorCode");
    aws.shift_remove("errorMessage");
    aws["requestParameters"] = json!({
        "lifecycle": "",
        "bucketName": aws["requestParameters"]["bucketName"],
        "LifecycleConfiguration": {
            "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/",
            "Rule": {
                "Status": "Enabled", "Filter": {"Prefix": "*"}, "Expiration": {"Days": 1},
                "ID": "nuke-cloudtrail-logs-after-1-day",
            },
        },
        "Host": aws["requestParameters"]["Host"],
    });
    assert_like_aws(&sink.only(), &Value::Object(aws.clone()));
    assert!(sink.only().get("errorCode").is_none());
}

#[test]
fn a_failure_is_recorded_as_by_aws() {
    let sink = Arc::new(Memory::default());
    let error = failed("BucketNotEmpty", "The bucket you tried to delete is not empty");
    let outcome = RequestOutcome { status: 409, error, host_id: Some(host_id()), ..ok(0, 339) };
    let mut aws = dataset(&sink, "/", S3Operation::DeleteBucket, None, &outcome);
    aws["errorCode"] = "BucketNotEmpty".into();
    aws["errorMessage"] = "The bucket you tried to delete is not empty".into();
    aws["additionalEventData"]["bytesTransferredIn"] = 0.into();
    aws["additionalEventData"]["bytesTransferredOut"] = 339.into();
    assert_like_aws(&sink.only(), &aws);
}

#[test]
fn an_anonymous_request_is_recorded_as_by_aws() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    draft.arrived(&head("GET", "/", &[("host", "forela-fileshare.s3.amazonaws.com")]));
    draft.close(&RequestOutcome { status: 403, ..ok(0, 24199) }).expect("taken");
    let record = sink.only();
    assert_eq!(record["userIdentity"].to_string(), r#"{"type":"AWSAccount","principalId":"","accountId":"anonymous"}"#);
    assert_eq!(record["additionalEventData"].to_string(), r#"{"bytesTransferredIn":0,"bytesTransferredOut":24199}"#);
    assert_eq!(record["errorCode"], "AccessDenied");
}

#[test]
fn a_key_that_was_only_claimed_is_nobodys() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    draft.arrived(&head("DELETE", "/vault/k?versionId=v", &[("host", "localhost")]));
    draft.claimed_by("AKIATFQR7NSC8Q4X20BJ");
    let error = failed("SignatureDoesNotMatch", "The request signature we calculated does not match");
    draft.close(&RequestOutcome { status: 403, error, ..RequestOutcome::default() }).expect("taken");
    let record = sink.only();
    assert_eq!(
        record["userIdentity"],
        json!({"type": "Unknown", "principalId": "", "accountId": "anonymous", "accessKeyId": "AKIATFQR7NSC8Q4X20BJ"})
    );
    assert_eq!(record["eventName"], "UnknownOperation");
    assert_eq!(
        record["requestParameters"],
        json!({"Host": "localhost", "httpMethod": "DELETE", "requestURI": "/vault/k", "versionId": "v"})
    );
    assert_eq!(record["readOnly"], false);
    assert!(record["additionalEventData"].get("SignatureVersion").is_none());
}

#[test]
fn a_malformed_request_is_recorded_without_its_signature() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    draft.arrived_malformed(&parts(
        "DELETE",
        "/b/k?versionId=a&versionId=b&X-Amz-Signature=feed",
        &[("x-amz-mfa", "s 987654")],
    ));
    draft
        .close(&RequestOutcome { status: 400, error: failed("InvalidArgument", "no"), ..RequestOutcome::default() })
        .expect("taken");
    let record = sink.only();
    assert_eq!(record["requestParameters"]["requestURI"], "/b/k?versionId=a&versionId=b&-&");
    let text = record.to_string();
    assert!(!text.contains("feed") && !text.contains("987654"), "{text}");
}

#[test]
fn a_draft_that_is_dropped_records_that_the_request_was_abandoned() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    draft.arrived(&head("GET", "/vault/k", &[("host", "localhost")]));
    drop(draft);
    assert_eq!(sink.only()["errorCode"], "RequestAbandoned");
}

#[test]
fn a_mutation_that_is_dropped_after_its_intent_has_an_unknown_outcome() {
    let (sink, recorder) = memory();
    let mut draft = versioning(&recorder);
    let intent = draft.intend().expect("taken");
    drop(draft);
    assert_eq!(sink.kinds(), [RecordKind::Intent, RecordKind::Outcome(intent)]);
    let [before, after] = &sink.all()[..] else { panic!("two events") };
    assert_eq!((&before["errorCode"], &after["errorCode"]), (&json!("OutcomeUnknown"), &json!("OutcomeUnknown")));
    assert_eq!(before["eventID"], after["eventID"]);
    assert_eq!(after["addendum"], json!({"reason": "SERVICE_OUTAGE"}));
}

/// What a process that is killed now would leave.
fn copy(directory: &Path) -> TempDir {
    let copied = TempDir::new().expect("a directory");
    for entry in std::fs::read_dir(directory).expect("a list") {
        let entry = entry.expect("an entry");
        // A file in the making may be renamed before it is copied.
        if entry.path().extension().is_none_or(|extension| extension != "partial") {
            std::fs::copy(entry.path(), copied.path().join(entry.file_name())).expect("copied");
        }
    }
    copied
}

#[test]
fn an_intent_that_a_crash_left_open_becomes_one_record_of_the_same_request() {
    let place = TempDir::new().expect("a directory");
    let options = || JournalOptions { segment_size: 64 * 1024, ..JournalOptions::default() };
    let (journal, _) = Journal::open(place.path(), options()).expect("a journal");
    let journal = Arc::new(journal);
    let recorder = recorder(Arc::clone(&journal) as Arc<dyn RecordSink>, site());
    let mut done = versioning(&recorder);
    done.intend().expect("taken");
    done.close(&ok(1, 1)).expect("taken");
    let mut open = delete_objects(&recorder);
    let intent = open.intend().expect("taken");
    let crashed = copy(place.path());

    let mut reader = JournalReader::open(crashed.path()).expect("a reader");
    let written = reader.find_map(|record| record.ok().filter(|record| record.sequence == intent)).expect("the intent");
    let (journal, recovered) = Journal::open(crashed.path(), options()).expect("a journal");
    assert_eq!(recovered.open_intents.len(), 1);
    let unresolved = UnresolvedIntent::of(&recovered.open_intents[0]);
    unresolved.resolve(&[RecoveryFinding::Unknown; 4], &journal).expect("taken");
    drop(journal);
    let last =
        JournalReader::after(crashed.path(), intent).expect("a reader").next().expect("a record").expect("whole");
    assert_eq!((last.kind, &last.payload), (RecordKind::Outcome(intent), &written.payload));
    let names: Vec<Value> = events(last.kind, &last.payload)
        .map(|line| serde_json::from_slice::<Value>(line).expect("JSON")["eventName"].clone())
        .collect();
    assert_eq!(names, ["DeleteObjects", "DeleteObject", "DeleteObject", "DeleteObject"]);
    assert_eq!(Journal::open(crashed.path(), options()).expect("a journal").1.open_intents, []);
}

#[test]
fn an_administrators_act_is_an_iam_event_of_root() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    draft.by_operator(Some(b"portcullis/1"));
    let parameters = json!({"userName": "AWS ROOT USER", "serialNumber": "arn:aws:iam::123456789012:mfa/phone", "authenticationCode1": "987654"});
    draft.asks_control(ControlFacts {
        source: EventSource::Iam,
        event_name: "EnableMFADevice",
        read_only: false,
        subject: ControlSubject::MfaDevice,
        parameters: &parameters,
    });
    draft.close(&ok(0, 0)).expect("taken");
    let mut record = sink.only();
    record["eventID"] = "EVENT ID".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&record).expect("JSON"));
}

#[test]
fn a_connection_that_never_became_a_request_is_an_event() {
    let (sink, recorder) = memory();
    let failure = ConnectionFailure {
        reason: ConnectionFault::HeadTooLarge,
        message: "message head is too large",
        bytes_read: 70_000,
        bytes_written: 60,
    };
    recorder.connection_failed(RequestId::from_random([1; 16]), peer(), failure).expect("taken");
    let mut record = sink.only();
    record["eventID"] = "EVENT ID".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&record).expect("JSON"));
}

#[test]
fn the_addresses_of_an_ipv6_network_share_a_budget_and_are_told_together() {
    let (sink, recorder) = memory();
    let failure =
        ConnectionFailure { reason: ConnectionFault::BadRequest, message: "no", bytes_read: 3, bytes_written: 0 };
    let requests = 20_000_u64;
    for number in 0..requests {
        let address = SocketAddr::new(format!("2001:db8:0:1::{:x}", number % 5000).parse().expect("an address"), 1);
        let peer = Peer { address, ..peer() };
        recorder.connection_failed(RequestId::from_random([1; 16]), peer, failure).expect("taken");
    }
    let single = sink.all().len() as u64;
    assert!((1000..10_000).contains(&single), "{single}");
    recorder.tell_counted();
    let mut aggregate = sink.all().pop().expect("an event");
    assert_eq!(aggregate["additionalEventData"]["count"], requests - single);
    for (place, value) in [("eventID", "EVENT ID"), ("requestID", "REQUEST ID")] {
        aggregate[place] = value.into();
    }
    aggregate["additionalEventData"]["count"] = 0.into();
    aggregate["additionalEventData"]["bytesTransferredIn"] = 0.into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&aggregate).expect("JSON"));
    let other = Peer { address: SocketAddr::from(([192, 0, 2, 7], 1)), ..peer() };
    recorder.connection_failed(RequestId::from_random([1; 16]), other, failure).expect("taken");
    assert_eq!(sink.all().last().expect("an event")["eventName"], "ConnectionError", "another network has its own");
}

#[test]
fn a_user_agent_too_long_or_unreadable_is_kept_recognisable() {
    let (sink, recorder) = memory();
    let mut draft = open(&recorder);
    let mut parts = parts("GET", "/", &[("host", "h")]);
    let agent = [&[0xff][..], &[b'a'; 3000]].concat();
    parts.headers.insert("user-agent", http::HeaderValue::from_bytes(&agent).expect("a value"));
    draft.arrived(&RequestHead::read(&parts, peer()).expect("legal"));
    draft.close(&ok(0, 0)).expect("taken");
    let record = sink.only();
    assert!(record["userAgent"].as_str().is_some_and(|text| text.starts_with("[\u{ff}aa") && text.len() < 1100));
    assert_eq!(record["additionalEventData"]["userAgentTruncated"]["len"], 3001);
    assert!(record["additionalEventData"]["userAgentB64"].as_str().is_some_and(|text| text.starts_with("/2Fh")));
}

proptest! {
    #[test]
    fn whatever_a_client_sends_the_record_is_one_json_object_without_code_or_signature(
        agent in "[ -~\u{80}-\u{ff}]{0,40}",
        prefix in ".{0,40}",
        claimed in ".{0,20}",
        name in "[a-z0-9\"\\\\\u{202e}é/ ]{1,40}",
        code in "[a-z]{3}SECRET[0-9]{6}",
        message in ".{0,60}",
    ) {
        let (sink, recorder) = memory();
        let mut draft = open(&recorder);
        let target = format!("/k?prefix={}&X-Amz-Signature={code}", portcullis_base::percent::percent_encode(&prefix));
        let authorization = format!("AWS4-HMAC-SHA256 Credential=a, Signature={code}");
        let offer = format!("serial {code}");
        let headers = [("host", "h"), ("authorization", authorization.as_str()), ("x-amz-mfa", offer.as_str())];
        let mut parts = parts("GET", &target, &headers);
        if let Ok(agent) = http::HeaderValue::from_bytes(agent.as_bytes()) {
            parts.headers.insert("user-agent", agent);
        }
        draft.claimed_by(&claimed);
        match RequestHead::read(&parts, peer()) {
            Ok(head) => draft.arrived(&head),
            Err(_) => draft.arrived_malformed(&parts),
        }
        let (bucket, key) = (bucket("vault"), key(&name));
        draft.asks_for(OperationFacts { bucket: Some(&bucket), key: Some(&key), ..asked(S3Operation::GetObject) });
        draft.close(&RequestOutcome { error: failed("AccessDenied", &message), ..ok(0, 0) }).expect("taken");
        let record = sink.only();
        prop_assert_eq!(record["requestParameters"]["key"].as_str(), Some(name.as_str()));
        prop_assert!(!record.to_string().contains("SECRET"));
    }
}
