//! The table of services and calls: what each is answered, and what its event is called.

use std::fmt::Write as _;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::decide::PlannedAnswer;
use super::*;
use crate::fixture::root;
use portcullis_authorization::{Caller, LoopbackTrust, MfaProfile, Rules, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId, RequestId, UserName};
use portcullis_http::{Peer, Transport};
use portcullis_s3::ReplicationRule;
use portcullis_sigv4::{AwsService, Principal, SignatureFault, SignatureRejection, SigningCredentials};
use serde_json::Value;

fn id() -> RequestId {
    RequestId::uuid([7; 16])
}

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> RequestHead {
    let mut request = http::Request::builder().method(method).uri(target).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let address = SocketAddr::from(([192, 0, 2, 1], 4000));
    RequestHead::read(&parts, Peer { address, transport: Transport::Tls }).expect("a head")
}

/// A call as stock clients send it: head and body.
fn call(api: &ServiceApi, action: &str) -> (RequestHead, String) {
    match api.protocol {
        ServiceProtocol::Ec2(query) | ServiceProtocol::Query(query) => {
            (head("POST", "/", &[]), format!("Action={action}&Version={}", query.version))
        }
        ServiceProtocol::Json { target } => {
            (head("POST", "/", &[(TARGET, &format!("{target}.{action}"))]), "{}".to_owned())
        }
    }
}

fn api(service: AwsService) -> &'static ServiceApi {
    ServiceApi::of_service(service).expect("in the table")
}

/// What the client reads, and what the event says.
fn told(api: &'static ServiceApi, head: &RequestHead, body: &[u8]) -> String {
    told_to(&Principal::Root, api, head, body)
}

/// `requestParameters`, and the content of the answer.
fn answer(call: &ServiceCall<'_>, principal: &Principal) -> (Value, Result<ServiceContent, CloudTrailError>) {
    let account = AccountId::parse("123456789012").expect("an account");
    let key_id = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").expect("an id");
    let facts = ServiceFacts {
        account: &account,
        region: "eu-central-1",
        key_id: &key_id,
        credentials: SigningCredentials::LongTerm,
        now: Timestamp::from_seconds(1_800_000_000),
    };
    let caller = Caller { principal: principal.clone(), transport: Transport::Loopback, ..root() };
    let rules = Rules {
        profile: MfaProfile::Strict,
        replication: ReplicationRule::AnyBucket,
        loopback_is_secure: LoopbackTrust::TlsOnly,
    };
    match call.action() {
        Ok(action) => {
            let recorded = action.recorded();
            match decide(action, &caller, &facts, rules) {
                Verdict::Permit(permit) => match permit.into_action().0 {
                    PlannedAnswer::Content(text) => (recorded, Ok(ServiceContent::shown(text))),
                    PlannedAnswer::Session(session) => panic!("no session is asked for: {session:?}"),
                },
                Verdict::Refuse(denial) => (recorded, Err(denial.refused())),
                Verdict::Mfa(challenge) => panic!("no code is asked for: {challenge:?}"),
            }
        }
        Err(refused) => (Value::Null, Err(refused)),
    }
}

fn told_to(principal: &Principal, api: &'static ServiceApi, head: &RequestHead, body: &[u8]) -> String {
    let (call, parameters, content) = match CallPlace::of(api, head) {
        Ok(_) => {
            let call = ServiceCall::read(api, head, body);
            let (parameters, content) = answer(&call, principal);
            (call, parameters, content)
        }
        Err(refused) => (ServiceCall::begun(api, head), Value::Null, Err(refused)),
    };
    let (status, document) = call.document(&content, id());
    let access = if call.only_reads() { "reads" } else { "writes" };
    let code = content.as_ref().err().map_or(String::new(), |refused| code_in_record(api.protocol, refused));
    format!("{status} {document}\n    event {} {access} {parameters} {code}", call.event_name())
}

#[test]
fn each_call_of_each_service_has_its_answer() {
    let mut table = String::new();
    for api in &SERVICE_APIS {
        for action in ["ListThings", "DeleteThing", "Get", "No-Such"] {
            let (head, body) = call(api, action);
            writeln!(table, "{}:{action} -> {}", api.name(), told(api, &head, body.as_bytes())).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_call_that_is_answered_has_its_answer() {
    let mut table = String::new();
    let alice = Principal::User(UserName::parse("alice").expect("a name"));
    for principal in [&Principal::Root, &alice] {
        let (head, body) = call(api(AwsService::Sts), "GetCallerIdentity");
        let told = told_to(principal, api(AwsService::Sts), &head, body.as_bytes());
        writeln!(table, "{principal:?} -> {told}").unwrap();
    }
    for query in [
        "Action=GetCallerIdentity",
        "Action=GetCallerIdentity&Version=2010-05-08",
        "Action=GetCallerIdentity&Version=2011-06-15&RoleArn=a",
        "Action=GetCallerIdentity&Version=2011-06-15&%3Cb%3E=a",
        "Action=GetCallerIdentity&Version=2011-06-15&Version=2011-06-15",
    ] {
        writeln!(table, "{query} -> {}", told(api(AwsService::Sts), &head("POST", "/", &[]), query.as_bytes()))
            .unwrap();
    }
    let get = head("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", &[]);
    writeln!(table, "GET -> {}", told(api(AwsService::Sts), &get, b"")).unwrap();
    for (target, body) in [
        ("DescribeOrganization", "{}"),
        ("DescribeAccount", r#"{"AccountId":"123456789012"}"#),
        ("DescribeAccount", ""),
        ("DescribeAccount", "{}{}"),
        ("Describe", "{}"),
        ("DescribedAccount", "{}"),
        ("ListAccounts", "{}"),
    ] {
        let (head, _) = call(api(AwsService::Organizations), target);
        let told = told(api(AwsService::Organizations), &head, body.as_bytes());
        writeln!(table, "{target} {body} -> {told}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_regions_are_described_as_they_are_asked_for_or_not_at_all() {
    let mut table = String::new();
    let long = format!("Filter.1.Name=endpoint&Filter.1.Value.1={}", "a".repeat(256));
    let many: String = (1..=256).map(|number| format!("&RegionName.{number}=eu-central-1")).collect();
    for query in [
        "",
        "RegionName.1=eu-central-1&AllRegions=false",
        "RegionName.1=eu-central-1&RegionName.2=us-east-1",
        "RegionName.1=%3Cscript%3E",
        "RegionName=eu-central-1",
        "RegionName.01=eu-central-1",
        "RegionName.0=eu-central-1",
        "RegionNames.1=eu-central-1",
        "AllRegions=true",
        "AllRegions=1",
        "Filter.1.Name=opt-in-status&Filter.1.Value.1=opt-in-not-required&Filter.1.Value.2=opted-in",
        "Filter.1.Name=opt-in-status&Filter.1.Value.1=not-opted-in",
        "Filter.1.Name=endpoint&Filter.1.Value.1=*eu*",
        "Filter.1.Name=endpoint&Filter.1.Value.1=*eu*&Filter.2.Name=region-name&Filter.2.Value.1=us-*",
        "Filter.1.Name=region-name&Filter.1.Value.1=eu-central-?",
        "Filter.1.Name=region-name",
        "Filter.1.Value.1=eu-central-1",
        "Filter.1.Name=other&Filter.1.Value.1=a",
        "Filter.1.Name=region-name&Filter.1.Value=eu-central-1",
        "DryRun=true",
        "DryRun=true&RegionName.1=us-east-1",
        "DryRun=false",
        "MaxResults=5",
        &long,
        &many,
    ] {
        let body = format!("Action=DescribeRegions&Version=2016-11-15&{query}");
        let told = told(api(AwsService::Ec2), &head("POST", "/", &[]), body.as_bytes());
        let short: String = query.chars().take(120).collect();
        writeln!(table, "{short} -> {}", told.replacen("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "", 1)).unwrap();
    }
    let older = told(api(AwsService::Ec2), &head("POST", "/", &[]), b"Action=DescribeRegions&Version=2014-10-01");
    writeln!(table, "an older version -> {older}").unwrap();
    insta::assert_snapshot!(table);
}

#[test]
fn a_call_that_cannot_be_read_has_its_answer() {
    let mut table = String::new();
    let long = "A".repeat(129);
    for service in [AwsService::Ec2, AwsService::Kms, AwsService::Sts] {
        let api = api(service);
        let mut row = |what: &str, head: &RequestHead, body: &str| {
            writeln!(table, "{} {what} -> {}", api.name(), told(api, head, body.as_bytes())).unwrap();
        };
        row("nothing", &head("POST", "/", &[]), "");
        row("a foreign target", &head("POST", "/", &[(TARGET, "DynamoDB_20120810.ListTables")]), "Action=ListTables");
        row("a target without a dot", &head("POST", "/", &[(TARGET, "TrentService")]), "{}");
        row("a target of two dots", &head("POST", "/", &[(TARGET, "TrentService.List.Keys")]), "{}");
        row("a long target", &head("POST", "/", &[(TARGET, &format!("TrentService.{long}"))]), "{}");
        row("a long action", &head("POST", "/", &[]), &format!("Action={long}"));
        row("an empty action", &head("POST", "/", &[]), "Action=");
        row("an action with markup", &head("POST", "/", &[]), "Action=%3C%26%00%1B%5B2J");
        row("two actions", &head("POST", "/", &[]), "Action=GetUser&A%63tion=DeleteUser");
        row("a form that is not encoded", &head("POST", "/", &[]), "Action=%zz");
        row("a query", &head("GET", "/?Action=ListThings", &[]), "");
        row("a query and a form", &head("POST", "/?Action=ListThings", &[]), "Action=DeleteThing");
        row("a query and a body", &head("GET", "/?Action=ListThings", &[("content-length", "9")]), "");
        row("a path", &head("POST", "/vault/key", &[]), "Action=ListThings");
        row("a deletion", &head("DELETE", "/", &[]), "");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn each_refusal_of_a_signature_has_its_answer() {
    let mut table = String::new();
    for service in [AwsService::Ec2, AwsService::Kms, AwsService::Sts] {
        for reason in [
            SignatureFault::Anonymous,
            SignatureFault::InactiveKey,
            SignatureFault::PayloadHashMissing,
            SignatureFault::SessionExpired,
            SignatureFault::SessionToken,
            SignatureFault::SignatureMismatch,
            SignatureFault::UnknownKey,
        ] {
            let refused = CloudTrailError::rejected(&SignatureRejection { key_id: None, reason: reason.clone() });
            let (status, document) = api(service).failure(&refused, id());
            let code = code_in_record(api(service).protocol, &refused);
            writeln!(table, "{service:?} {reason:?} -> {status} {document}\n    event {code}").unwrap();
        }
        for refused in [CloudTrailError::throttled(), CloudTrailError::unavailable("x")] {
            let (status, document) = api(service).failure(&refused, id());
            writeln!(table, "{service:?} {} -> {status} {document}", refused.exception).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_has_every_service_but_those_that_are_answered_elsewhere() {
    let elsewhere = [AwsService::CloudTrail, AwsService::Iam, AwsService::S3];
    let named: Vec<AwsService> = SERVICE_APIS.iter().map(|api| api.service).collect();
    let all: Vec<AwsService> = AwsService::ALL.into_iter().filter(|service| !elsewhere.contains(service)).collect();
    assert_eq!(named, all);
    for api in &SERVICE_APIS {
        assert_eq!(ServiceApi::of_service(api.service).map(ServiceApi::name), Some(api.name()));
        if let ServiceProtocol::Json { target } = api.protocol {
            assert_eq!(ServiceApi::of_target(&format!("{target}.X")).map(ServiceApi::name), Some(api.name()));
            assert!(ServiceApi::of_target(target).is_none());
        }
    }
    for target in ["", ".", "S3.X", "TrentServices.X", "com.amazonaws.TrentService.X", "trentservice.X"] {
        assert!(ServiceApi::of_target(target).is_none(), "{target}");
    }
}

#[test]
fn what_only_reads_says_so_in_its_first_word() {
    for (name, reads) in [
        ("ListKeys", true),
        ("DescribeRegions", true),
        ("GetCallerIdentity", true),
        ("Get", false),
        ("Getaway", false),
        ("List", false),
        ("DeleteKey", false),
        ("listKeys", false),
        ("UntagResource", false),
    ] {
        assert_eq!(ActionName::parse(name).map(|name| name.only_reads()), Some(reads), "{name}");
    }
}

proptest! {
    #[test]
    fn an_event_has_a_name_of_awss_syntax_whatever_is_sent(
        service in 0..SERVICE_APIS.len(),
        method in "GET|POST",
        action in "[ -~]{0,12}|[A-Za-z0-9]{0,140}",
        body in prop::collection::vec(any::<u8>(), 0..60),
        form in any::<bool>(),
    ) {
        let api = &SERVICE_APIS[service];
        let encoded = portcullis_base::percent::percent_encode(&action);
        let target = format!("/?Action={encoded}");
        let head = match (method.as_str(), api.protocol) {
            ("POST", ServiceProtocol::Json { target }) => head("POST", "/", &[(TARGET, &format!("{target}.{action}"))]),
            ("POST", _) => head("POST", "/", &[]),
            _ => head("GET", &target, &[]),
        };
        let body = if form { [b"Action=", encoded.as_bytes()].concat() } else { body };
        let call = ServiceCall::read(api, &head, &body);
        let name = call.event_name();
        prop_assert!((1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let (status, document) = call.document(&answer(&call, &Principal::Root).1, id());
        prop_assert!(status == 200 || (400..500).contains(&status));
        prop_assert!(document.bytes().all(|byte| byte == b'\n' || byte.is_ascii_graphic() || byte == b' '));
    }
}
