//! Calls for services beside S3, CloudTrail and IAM: whose words they are answered in, and what their events are called.

use std::iter::once;

use portcullis_control::services::{IAM_API, SERVICE_APIS, ServiceApi, ServiceProtocol};
use portcullis_server::pipeline::OnFailure;
use portcullis_sigv4::AwsService;
use serde_json::{Value, json};

use crate::rig::{Ask, Event, Keys, Payload, Reply, Rig, exchange, open, read};

/// A call whose parameters are a form.
fn form(service: &'static str, body: &str) -> Ask {
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    Ask::new("POST /").header("content-type", content_type).body(body).for_service(service)
}

/// A call in JSON.
fn in_json(service: &'static str, target: &str, body: &str) -> Ask {
    let ask = Ask::new("POST /").header("content-type", "application/x-amz-json-1.1");
    ask.header("x-amz-target", target).body(body).for_service(service)
}

/// A call as stock clients of this service make it.
fn call(api: &'static ServiceApi, action: &str) -> Ask {
    match api.protocol {
        ServiceProtocol::Ec2(query) | ServiceProtocol::Query(query) => {
            form(api.name(), &format!("Action={action}&Version={}", query.version))
        }
        ServiceProtocol::Json { target } => in_json(api.name(), &format!("{target}.{action}"), "{}"),
    }
}

/// The error code in any of the protocols.
fn code(reply: &Reply) -> String {
    match reply.exception() {
        exception if exception.is_empty() => reply.code(),
        exception => exception,
    }
}

/// The beginning of a document, which shows whose it is.
fn dialect(reply: &Reply) -> &'static str {
    let starts = |text: &str| reply.body.starts_with(text);
    if starts("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors>") {
        "ec2"
    } else if starts("<ErrorResponse xmlns=\"https://iam.amazonaws.com/") {
        "iam"
    } else if starts("<ErrorResponse xmlns=\"https://sts.amazonaws.com/") {
        "sts"
    } else if starts("<ErrorResponse xmlns=\"http://sns.amazonaws.com/") {
        "sns"
    } else if starts("{\"__type\":") {
        "json"
    } else if reply.body.contains("<Error><Code>") {
        "s3"
    } else {
        "other"
    }
}

fn dialect_of(service: AwsService) -> &'static str {
    match service {
        AwsService::CloudTrail | AwsService::Kms | AwsService::Logs | AwsService::Organizations => "json",
        AwsService::Ec2 | AwsService::Iam | AwsService::S3 | AwsService::Sns | AwsService::Sts => service.as_str(),
    }
}

fn source(event: &Event) -> &str {
    event.text(&["eventSource"]).strip_suffix(".amazonaws.com").expect("a service of AWS")
}

#[tokio::test]
async fn a_call_of_each_service_is_refused_in_its_words_and_recorded_by_its_name() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    for (keys, identity) in [(&rig.root, "Root"), (&alice, "IAMUser")] {
        for api in &SERVICE_APIS {
            for (action, reads) in [("ListThings", true), ("DeleteThing", false)] {
                let reply = exchange(rig.address, &call(api, action).signed(keys, rig.now())).await;
                let told = format!("{reply:?}");
                assert_eq!((reply.status, dialect(&reply)), (400, dialect_of(api.service)), "{told}");
                assert!(reply.body.contains(&format!("{}:{action} is not offered", api.name())), "{told}");
                let events = rig.events();
                let event = events.last().expect("recorded");
                assert_eq!((source(event), event.text(&["eventName"])), (api.name(), action));
                assert_eq!(event.text(&["userIdentity", "type"]), identity);
                assert_eq!(event.text(&["userIdentity", "accessKeyId"]), keys.key_id);
                assert_eq!((&event.0["readOnly"], &event.0["managementEvent"]), (&json!(reads), &json!(true)));
                assert_eq!(event.0["requestParameters"], Value::Null);
                let header = |name: &str| reply.headers.iter().find(|(known, _)| known == name).map(|(_, id)| id);
                assert_eq!(header("x-amzn-requestid").map(String::as_str), Some(event.text(&["requestID"])));
                let recorded = event.text(&["errorCode"]);
                assert_eq!(recorded.strip_prefix("Client.").unwrap_or(recorded), code(&reply));
            }
        }
    }
    assert_eq!(rig.events().len(), 2 * 2 * SERVICE_APIS.len());
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn the_caller_is_told_who_they_are_as_their_records_name_them() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    let ask = form("sts", "Action=GetCallerIdentity&Version=2011-06-15");
    let in_query = Ask::new("GET /?Action=GetCallerIdentity&Version=2011-06-15").for_service("sts");
    for keys in [&rig.root, &alice] {
        for ask in [&ask, &in_query] {
            let reply = exchange(rig.address, &ask.signed(keys, rig.now())).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let events = rig.events();
            let event = events.last().expect("recorded");
            assert_eq!((source(event), event.said()), ("sts", ("GetCallerIdentity", "")));
            let identity = |name: &str| Some(event.text(&["userIdentity", name]).to_owned());
            assert_eq!(reply.element("Arn"), identity("arn"));
            assert_eq!(reply.element("UserId"), identity("principalId"));
            assert_eq!(reply.element("Account"), identity("accountId"));
            assert_eq!(reply.element("RequestId").as_deref(), Some(event.text(&["requestID"])));
            assert_eq!((&event.0["readOnly"], &event.0["requestParameters"]), (&json!(true), &Value::Null));
            assert_eq!(event.0["responseElements"], Value::Null);
        }
    }
    assert_eq!(rig.events().len(), 4);
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_form_needs_no_type_and_json_needs_its_signed() {
    let rig = Rig::start().await;
    let bare = |ask: Ask| ask.unsigned_header("content-type", "application/x-www-form-urlencoded");
    let form = Ask::new("POST /").body("Action=GetCallerIdentity&Version=2011-06-15").for_service("sts");
    assert_eq!(rig.send(&form).await.status, 200);
    assert_eq!(rig.send(&bare(form)).await.status, 200, "as curl sends it");
    let target = "AWSOrganizationsV20161128.DescribeOrganization";
    let json = Ask::new("POST /").header("x-amz-target", target).body("{}").for_service("organizations");
    assert_eq!(rig.send(&json).await.exception(), "AWSOrganizationsNotInUseException");
    assert_eq!(rig.send(&bare(json)).await.exception(), "InvalidSignatureException");
}

#[tokio::test]
async fn the_region_is_described_and_no_organization_is() {
    let rig = Rig::start().await;
    let regions = form("ec2", "Action=DescribeRegions&Version=2016-11-15&RegionName.1=us-east-1");
    let reply = rig.send(&regions).await;
    assert_eq!((reply.status, reply.element("regionName").as_deref()), (200, Some("us-east-1")));
    let organization = in_json("organizations", "AWSOrganizationsV20161128.DescribeOrganization", "{}");
    let none = rig.send(&organization).await;
    assert_eq!((none.status, none.exception().as_str()), (400, "AWSOrganizationsNotInUseException"));
    let events = rig.events();
    let [described, refused] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((source(described), described.said()), ("ec2", ("DescribeRegions", "")));
    assert_eq!(described.0["requestParameters"], json!({"regionSet": {"items": [{"regionName": "us-east-1"}]}}));
    let said = ("DescribeOrganization", "AWSOrganizationsNotInUseException");
    assert_eq!((source(refused), refused.said()), ("organizations", said));
}

#[tokio::test]
async fn a_call_that_cannot_be_recorded_is_answered_only_where_reads_are() {
    for (on_failure, status) in [(OnFailure::DenyMutations, 200), (OnFailure::DenyAll, 503)] {
        let rig = Rig::with(|settings| {
            settings.audit.segment_size = 16 * 1024;
            settings.audit.on_failure = on_failure;
        })
        .await;
        let (place, aside) = (rig.journal_directory(), rig.journal_directory().with_extension("aside"));
        std::fs::rename(place, aside).expect("moved");
        let ask = form("sts", "Action=GetCallerIdentity&Version=2011-06-15");
        // Until there is no place for the next segment.
        let mut replies = Vec::new();
        for _ in 0..100 {
            replies.push(rig.send(&ask).await.status);
        }
        assert_eq!(replies.last(), Some(&status), "{on_failure:?}");
        assert!(replies.iter().all(|told| [200, status].contains(told)), "{replies:?}");
    }
}

/// What clients of each API send, whatever service it is signed for.
fn shapes() -> Vec<Ask> {
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    vec![
        Ask::new("GET /"),
        Ask::new("GET /vault/key"),
        Ask::new("PUT /vault/key").body("x"),
        Ask::new("DELETE /vault/key?versionId=null"),
        Ask::new("POST /vault?delete").body("<Delete/>"),
        Ask::new("POST /").header("content-type", "application/x-www-form-urlencoded").body(form),
        Ask::new(&format!("POST /?{form}")),
        Ask::new(&format!("POST /vault?{form}")).body(form),
        Ask::new("PUT /vault?Action=DescribeOrganization").body("{}"),
        Ask::new("POST /").header("x-amz-target", "CloudTrail_20131101.StopLogging").body("{\"Name\":\"main\"}"),
        Ask::new("POST /").header("x-amz-target", "TrentService.ListKeys").body("{}"),
        Ask::new("POST /").header("x-amz-target", "TrentService.ListKeys").body(form),
        Ask::new("POST /vault/key?uploads").header("x-amz-target", "Logs_20140328.DescribeLogGroups"),
    ]
}

#[tokio::test]
async fn what_is_signed_for_one_service_is_never_answered_as_anothers() {
    let rig = Rig::start().await;
    let services = SERVICE_APIS.iter().chain(once(&IAM_API)).map(|api| api.service);
    for service in services {
        for (ask, signed_ask) in shapes().into_iter().map(|ask| (ask.clone(), ask.for_service(service.as_str()))) {
            let replies = [
                exchange(rig.address, &signed_ask.signed(&rig.root, rig.now())).await,
                exchange(rig.address, &signed_ask.presigned(&rig.root, rig.now())).await,
            ];
            for reply in replies {
                let told = format!("{service:?} {ask:?}: {reply:?}");
                if reply.status == 200 {
                    assert!(
                        service == AwsService::Sts && reply.body.starts_with("<GetCallerIdentityResponse"),
                        "{told}"
                    );
                } else {
                    assert_eq!((reply.status / 100, dialect(&reply)), (4, dialect_of(service)), "{told}");
                }
                let events = rig.events();
                assert_eq!(source(events.last().expect("recorded")), service.as_str(), "{ask:?}");
            }
        }
    }
    assert!(rig.upstream.seen().is_empty(), "nothing of it is S3's");
    for ask in shapes() {
        let reply = rig.send(&ask).await;
        assert!(matches!(dialect(&reply), "s3" | "other"), "{ask:?}: {reply:?}");
        let events = rig.events();
        assert_eq!(source(events.last().expect("recorded")), "s3", "{ask:?}");
    }
}

#[tokio::test]
async fn a_signature_for_another_service_is_wrong_at_each() {
    let rig = Rig::start().await;
    for api in SERVICE_APIS.iter().chain(once(&IAM_API)) {
        for other in AwsService::ALL.into_iter().filter(|other| *other != api.service) {
            let bytes = call(api, "ListThings").for_service(other.as_str()).signed(&rig.root, rig.now());
            let scope = |name: &str| format!("/us-east-1/{name}/aws4_request");
            let text = String::from_utf8(bytes).expect("text").replace(&scope(other.as_str()), &scope(api.name()));
            let reply = exchange(rig.address, text.as_bytes()).await;
            assert_eq!(dialect(&reply), dialect_of(api.service), "{other:?}: {reply:?}");
            let wrong = ["InvalidSignatureException", "SignatureDoesNotMatch"];
            assert!(wrong.contains(&code(&reply).as_str()), "{other:?}: {reply:?}");
            let events = rig.events();
            let event = events.last().expect("recorded");
            assert_eq!((source(event), event.text(&["userIdentity", "type"])), (api.name(), "Unknown"));
        }
    }
}

#[tokio::test]
async fn a_call_that_nobody_proved_to_have_signed_is_refused_and_recorded_without_a_principal() {
    let rig = Rig::start().await;
    let stranger = Keys { secret: "wrong".to_owned(), ..rig.root.clone() };
    let nobody = Keys { key_id: "AKIANOBODYNOBODYNOBO".to_owned(), secret: "x".to_owned() };
    let ask = form("sts", "Action=AssumeRole&Version=2011-06-15");
    let mut tampered = ask.signed(&rig.root, rig.now());
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    let claimed = ask.clone().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let claimed = claimed.payload(Payload::Claimed("UNSIGNED-PAYLOAD".into())).signed(&rig.root, rig.now());
    let late = ask.signed(&rig.root, portcullis_base::clock::Timestamp::from_seconds(0));
    let by_an_intermediary = ask.clone().unsigned_header("x-amz-target", "A.B").signed(&rig.root, rig.now());
    for (bytes, status, expected) in [
        (ask.signed(&stranger, rig.now()), 403, "SignatureDoesNotMatch"),
        (ask.signed(&nobody, rig.now()), 403, "InvalidClientTokenId"),
        (tampered, 403, "SignatureDoesNotMatch"),
        (claimed, 403, "SignatureDoesNotMatch"),
        (late, 403, "SignatureDoesNotMatch"),
        (by_an_intermediary, 403, "SignatureDoesNotMatch"),
        (ask.clone().header("x-amz-security-token", "t").signed(&rig.root, rig.now()), 403, "InvalidClientTokenId"),
        (ask.clone().in_region("eu-west-1").signed(&rig.root, rig.now()), 403, "SignatureDoesNotMatch"),
        (ask.presigned(&rig.root, rig.now()), 400, "IncompleteSignature"),
    ] {
        let reply = exchange(rig.address, &bytes).await;
        assert_eq!((reply.said(), dialect(&reply)), ((status, expected.to_owned()), "sts"), "{reply:?}");
        let events = rig.events();
        let event = events.last().expect("recorded");
        assert_eq!((source(event), event.text(&["errorCode"])), ("sts", expected));
        assert_eq!(event.text(&["userIdentity", "type"]), "Unknown");
    }
    assert_eq!(rig.events().len(), 9);
}

#[tokio::test]
async fn a_call_that_nobody_signed_is_refused_and_recorded_as_anonymous() {
    let rig = Rig::start().await;
    let unsigned = async |line: &str, headers: &str, body: &str| {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}", body.len());
        exchange(rig.address, format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await
    };
    for (service, target, name) in [
        ("kms", "TrentService.ListKeys", "ListKeys"),
        ("logs", "Logs_20140328.PutLogEvents", "PutLogEvents"),
        ("organizations", "AWSOrganizationsV20161128.DescribeOrganization", "DescribeOrganization"),
        ("kms", "TrentService.<script>", "UnknownOperation"),
    ] {
        let reply = unsigned("POST /", &format!("x-amz-target: {target}\r\n"), "{}").await;
        assert_eq!((reply.status, reply.exception().as_str()), (400, "MissingAuthenticationTokenException"));
        let events = rig.events();
        let event = events.last().expect("recorded");
        assert_eq!((source(event), event.text(&["eventName"])), (service, name));
        assert_eq!(event.text(&["userIdentity", "accountId"]), "anonymous");
    }
    // Nothing but a signature says that a form is not S3's.
    let form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=t";
    let reply = unsigned("POST /", "content-type: application/x-www-form-urlencoded\r\n", form).await;
    assert_eq!(dialect(&reply), "s3", "{reply:?}");
    assert!((400..600).contains(&reply.status) && rig.upstream.seen().is_empty());
    assert!(!rig.events().last().expect("recorded").0.to_string().contains("WebIdentityToken"));
}

#[tokio::test]
async fn what_names_no_action_is_recorded_under_a_safe_name() {
    let rig = Rig::start().await;
    let long = "A".repeat(129);
    for (ask, expected) in [
        (form("sts", "Action=Get%1B%5B2J"), "InvalidAction"),
        (form("sts", &format!("Action={long}")), "InvalidAction"),
        (form("sts", "Action=GetCallerIdentity&Action=DeleteUser"), "MalformedInput"),
        (form("sts", "Action=%zz"), "MalformedInput"),
        (form("sts", "Version=2011-06-15"), "MissingAction"),
        (form("sts", "{}").header("x-amz-target", "TrentService.ListKeys"), "InvalidAction"),
        (in_json("kms", "TrentService.<b>", "{}"), "UnknownOperationException"),
        (in_json("kms", &format!("TrentService.{long}"), "{}"), "UnknownOperationException"),
        (in_json("kms", "Logs_20140328.DescribeLogGroups", "{}"), "UnknownOperationException"),
        (in_json("kms", "CloudTrail_20131101.StopLogging", "{}"), "UnknownOperationException"),
        (form("kms", "Action=ListKeys"), "UnknownOperationException"),
    ] {
        let reply = rig.send(&ask).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, expected), "{ask:?}: {reply:?}");
        let events = rig.events();
        let event = events.last().expect("recorded");
        assert_eq!(event.said(), ("UnknownOperation", expected), "{ask:?}");
        assert_eq!(event.0["readOnly"], json!(false));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_or_does_not_come_is_refused_and_recorded() {
    let rig = Rig::with(|settings| settings.limits.body_idle = std::time::Duration::from_millis(100)).await;
    let long = rig.send(&form("sts", &format!("Action=GetCallerIdentity&{}", "a".repeat(256 * 1024)))).await;
    assert_eq!(long.said(), (413, "MalformedInput".to_owned()));
    let full = format!("Action=DecodeAuthorizationMessage&EncodedMessage={}", "a".repeat(200 * 1024));
    let ids: String = (1..=1000).map(|number| format!("InstanceId.{number}=i-0123456789abcdef0&")).collect();
    let many = format!("{ids}Action=DescribeInstances");
    for (ask, name) in [(form("sts", &full), "DecodeAuthorizationMessage"), (form("ec2", &many), "DescribeInstances")] {
        assert_eq!(rig.send(&ask).await.said(), (400, "InvalidAction".to_owned()));
        assert_eq!(rig.events().last().expect("recorded").text(&["eventName"]), name);
    }
    let chunked = form("ec2", "").header("transfer-encoding", "chunked").signed(&rig.root, rig.now());
    let chunked = exchange(rig.address, &[&chunked[..], b"0\r\n\r\n"].concat()).await;
    assert_eq!((chunked.said(), dialect(&chunked)), ((411, "MalformedInput".to_owned()), "ec2"));
    let before = rig.events().len();
    let bytes = in_json("logs", "Logs_20140328.DescribeLogGroups", "{\"limit\":1}").signed(&rig.root, rig.now());
    let mut stream = open(rig.address, &bytes[..bytes.len() - 3]).await;
    let reply = read(&mut stream).await;
    assert_eq!((reply.status, reply.exception().as_str()), (408, "RequestTimeoutException"));
    let events = rig.events_when(before + 1).await;
    assert_eq!(events[before].said(), ("DescribeLogGroups", "RequestTimeoutException"));
}

#[tokio::test]
async fn a_global_service_is_signed_for_its_own_region_too_and_no_other_service_is() {
    let rig = Rig::with(|settings| settings.account.region = "eu-central-1".to_owned()).await;
    for api in &SERVICE_APIS {
        let known = |reply: &Reply| reply.body.contains("is not offered");
        let global = matches!(api.service, AwsService::Organizations | AwsService::Sts);
        let there = rig.send(&call(api, "ListThings").in_region("eu-central-1")).await;
        let at_home = rig.send(&call(api, "ListThings").in_region("us-east-1")).await;
        let elsewhere = rig.send(&call(api, "ListThings").in_region("us-west-2")).await;
        assert_eq!((known(&there), known(&at_home), known(&elsewhere)), (true, global, false), "{}", api.name());
        assert!(elsewhere.body.contains("which is eu-central-1 here"), "{elsewhere:?}");
    }
}
