//! The table of services and calls: what each is answered, and what its event is called.

use std::fmt::Write as _;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::authenticate::{Reason, Rejected, Service};
use crate::names::RequestId;
use crate::wire::{Peer, Transport};

fn id() -> RequestId {
    RequestId::uuid([7; 16])
}

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Head {
    let mut request = http::Request::builder().method(method).uri(target).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let address = SocketAddr::from(([192, 0, 2, 1], 4000));
    Head::read(&parts, Peer { address, transport: Transport::Tls }).expect("a head")
}

/// A call as stock clients send it: head and body.
fn call(api: &ServiceApi, action: &str) -> (Head, String) {
    match api.protocol {
        Protocol::Ec2(query) | Protocol::Query(query) => {
            (head("POST", "/", &[]), format!("Action={action}&Version={}", query.version))
        }
        Protocol::Json { target } => (head("POST", "/", &[(TARGET, &format!("{target}.{action}"))]), "{}".to_owned()),
    }
}

fn api(service: Service) -> &'static ServiceApi {
    ServiceApi::of_service(service).expect("in the table")
}

/// What the client reads, and what the event says.
fn told(api: &'static ServiceApi, head: &Head, body: &[u8]) -> String {
    let (call, refused) = match CallPlace::of(api, head) {
        Ok(_) => {
            let call = ServiceCall::read(api, head, body);
            let refused = call.refusal();
            (call, refused)
        }
        Err(refused) => (ServiceCall::begun(api, head), refused),
    };
    let (status, document) = api.failure(&refused, id());
    let access = if call.only_reads() { "reads" } else { "writes" };
    let code = code_in_record(api.protocol, &refused);
    format!("{status} {document}\n    event {} {access} {code}", call.event_name())
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
fn a_call_that_cannot_be_read_has_its_answer() {
    let mut table = String::new();
    let long = "A".repeat(129);
    for service in [Service::Ec2, Service::Kms, Service::Sts] {
        let api = api(service);
        let mut row = |what: &str, head: &Head, body: &str| {
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
    for service in [Service::Ec2, Service::Kms, Service::Sts] {
        for reason in [
            Reason::Anonymous,
            Reason::InactiveKey,
            Reason::PayloadHashMissing,
            Reason::SessionToken,
            Reason::SignatureMismatch,
            Reason::UnknownKey,
        ] {
            let refused = Refused::rejected(&Rejected { key_id: None, reason: reason.clone() });
            let (status, document) = api(service).failure(&refused, id());
            let code = code_in_record(api(service).protocol, &refused);
            writeln!(table, "{service:?} {reason:?} -> {status} {document}\n    event {code}").unwrap();
        }
        for refused in [Refused::throttled(), Refused::unavailable("x")] {
            let (status, document) = api(service).failure(&refused, id());
            writeln!(table, "{service:?} {} -> {status} {document}", refused.exception).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_has_every_service_but_those_that_are_answered_elsewhere() {
    let elsewhere = [Service::CloudTrail, Service::S3];
    let named: Vec<Service> = SERVICE_APIS.iter().map(|api| api.service).collect();
    let all: Vec<Service> = Service::ALL.into_iter().filter(|service| !elsewhere.contains(service)).collect();
    assert_eq!(named, all);
    for api in &SERVICE_APIS {
        assert_eq!(ServiceApi::of_service(api.service).map(ServiceApi::name), Some(api.name()));
        if let Protocol::Json { target } = api.protocol {
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
        let encoded = crate::wire::percent_encode(&action);
        let target = format!("/?Action={encoded}");
        let head = match (method.as_str(), api.protocol) {
            ("POST", Protocol::Json { target }) => head("POST", "/", &[(TARGET, &format!("{target}.{action}"))]),
            ("POST", _) => head("POST", "/", &[]),
            _ => head("GET", &target, &[]),
        };
        let body = if form { [b"Action=", encoded.as_bytes()].concat() } else { body };
        let call = ServiceCall::read(api, &head, &body);
        let name = call.event_name();
        prop_assert!((1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let (status, document) = api.failure(&call.refusal(), id());
        prop_assert!((400..500).contains(&status));
        prop_assert!(document.bytes().all(|byte| byte == b'\n' || byte.is_ascii_graphic() || byte == b' '));
    }
}
