//! What is sent upstream has one reading: three stores, each modelled by what it does with raw bytes, read the
//! operation, the bucket, the keys and the versions that were judged.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot do its part has failed")]

mod ceph;
mod generate;
mod live;
mod minio;
mod raw;
mod read_back;
mod s3s;
#[path = "../server/rig/signer.rs"]
#[expect(clippy::indexing_slicing, dead_code, reason = "the proxy's own tests index, and need more of it")]
mod signer;

use std::cell::RefCell;
use std::collections::BTreeSet;

use bytes::Bytes;
use portcullis_base::names::{BucketName, ObjectKey, VersionId};
use portcullis_http::{Peer, RequestHead, Transport};
use portcullis_s3::{
    CopySource, DeleteObjects, ExpectedBody, Hazard, MfaDeleteChange, ObjectIdentifier, OperationBody, OperationMark,
    RequestDocument, RoutingRules, S3Operation, S3Request, StoreTreatment, TargetLevel, UpstreamKind, VersioningStatus,
    route,
};
use portcullis_upstream::{RenderedRequest, RequestContent, render};
use proptest::test_runner::{Config, TestRunner};

use generate::Sent;
use raw::{Raw, Reading};
use read_back::read_back;

/// So many that each operation comes up some two hundred times.
const CASES: u32 = 20_000;

#[test]
fn minio_reads_what_was_judged() {
    hold(UpstreamKind::Minio, minio::read);
}

#[test]
fn ceph_reads_what_was_judged() {
    hold(UpstreamKind::Ceph, ceph::read);
}

#[test]
fn s3s_reads_what_was_judged() {
    hold(UpstreamKind::Embedded, s3s::read);
}

#[test]
fn each_of_them_reads_what_was_judged_for_a_store_that_is_not_known() {
    hold(UpstreamKind::Generic, minio::read);
    hold(UpstreamKind::Generic, ceph::read);
    hold(UpstreamKind::Generic, s3s::read);
}

#[test]
fn any_key_that_is_one_is_read_as_itself() {
    let names = (".{1,20}", proptest::option::of("[A-Za-z0-9._-]{1,20}"));
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&names, |(key, version)| {
        let Ok(key) = ObjectKey::parse(&key) else { return Ok(()) };
        let bucket = BucketName::parse("vault").expect("a bucket");
        let version = version.map(|version| VersionId::parse(&version).expect("a version"));
        let source = CopySource { bucket: bucket.clone(), key: key.clone(), version: version.clone() };
        let bare = |action, key| S3Request::bare(action, Some(bucket.clone()), key);
        let entry = ObjectIdentifier { key: key.clone(), version: version.clone() };
        let hazard = if version.is_some() { Hazard::DestroysVersion } else { Hazard::ReplacesNullVersion };
        let mut requests = vec![
            S3Request { version: version.clone(), ..bare(S3Operation::DeleteObject, Some(key.clone())) },
            S3Request { copy_source: Some(source), ..bare(S3Operation::CopyObject, Some(key.clone())) },
        ];
        // What XML 1.0 cannot carry is refused when a batch is read.
        if !key.as_str().contains(['\u{fffe}', '\u{ffff}']) {
            let document = RequestDocument::DeleteObjects(DeleteObjects { objects: vec![entry], quiet: false });
            let query = vec![("delete", String::new())];
            requests.push(S3Request { document, query, hazard, ..bare(S3Operation::DeleteObjects, None) });
        }
        for request in requests {
            let raw = Raw::of(&render(&request).expect("written"));
            for read in [ceph::read, s3s::read] {
                let Reading::Taken(taken) = read(&raw) else { panic!("refused: {raw:?}") };
                assert_eq!(*taken, raw::Taken::of(&request), "{raw:?}");
            }
        }
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}

/// The table of what each store does is what the model of its router does with the plainest request of each operation.
#[test]
fn each_store_treats_each_operation_as_its_table_says() {
    let mut wrong = Vec::new();
    for (upstream, read) in [
        (UpstreamKind::Ceph, ceph::read as fn(&Raw) -> Reading),
        (UpstreamKind::Embedded, s3s::read),
        (UpstreamKind::Minio, minio::read),
    ] {
        // A preflight is sent nowhere, and a form is told by its content.
        let told = |action: &S3Operation| !matches!(action, S3Operation::PostObject | S3Operation::PreflightRequest);
        for action in S3Operation::ALL.iter().copied().filter(told) {
            let own = |operation: &str| action.row().is_named(operation);
            let reading = read(&plainest(action));
            let right = match (upstream.treatment(action), &reading) {
                (StoreTreatment::Serves, Reading::Taken(taken)) => own(&taken.operation),
                (StoreTreatment::Serves, Reading::Refused(_)) => false,
                (StoreTreatment::MayDecline | StoreTreatment::Declines, Reading::Taken(taken)) => own(&taken.operation),
                (StoreTreatment::MayDecline | StoreTreatment::Declines, Reading::Refused(_)) => true,
                (StoreTreatment::Mistakes(other), Reading::Taken(taken)) => taken.operation == other.name(),
                (StoreTreatment::Mistakes(_), Reading::Refused(_)) => false,
            };
            if !right {
                wrong.push(format!("{upstream:?} {action:?}: {:?}, {reading:?}", upstream.treatment(action)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The request of an operation that says no more than it must.
fn plainest(action: S3Operation) -> Raw {
    let row = action.row();
    let path = match row.level {
        TargetLevel::Any | TargetLevel::Service => "/",
        TargetLevel::Bucket => "/vault",
        TargetLevel::Object => "/vault/k",
    };
    let pairs = row.marks.iter().filter_map(|mark| match mark {
        OperationMark::Exactly(key, value) => Some(format!("{key}={value}")),
        OperationMark::Flag(key) => Some(format!("{key}=")),
        OperationMark::Value(key) => Some(format!("{key}=1")),
        OperationMark::Header(_) | OperationMark::Path(_) => None,
    });
    let copies = row.marks.iter().any(|mark| matches!(mark, OperationMark::Header(_)));
    let source = ("x-amz-copy-source".to_owned(), "/vault/other".to_owned());
    Raw {
        method: row.method.as_str().to_owned(),
        path: path.to_owned(),
        query: pairs.collect::<Vec<_>>().join("&"),
        headers: copies.then_some(source).into_iter().collect(),
        body: match row.body {
            OperationBody::Document(grammar) => format!("<{0}></{0}>", grammar.root),
            OperationBody::Nothing
            | OperationBody::OptionalDocument(_)
            | OperationBody::Payload
            | OperationBody::Policy => String::new(),
        },
    }
}

/// Asks for anything, and where it is understood compares what the store reads with what was judged.
fn hold(upstream: UpstreamKind, read: fn(&Raw) -> Reading) {
    let routing = RoutingRules { base_domain: None, upstream };
    let understood = RefCell::new(BTreeSet::new());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&generate::sent(upstream), |sent| {
        let Some(request) = understand(&sent, &routing) else { return Ok(()) };
        understood.borrow_mut().insert(request.action);
        if !generate::is_sent(request.action, upstream) {
            return Ok(());
        }
        let rendered = render(&request).expect("written");
        check_headers(&rendered);
        let raw = Raw::of(&rendered);
        match read(&raw) {
            // A store that refuses does nothing else instead.
            Reading::Refused(_) => {}
            Reading::Taken(taken) => assert_eq!(*taken, raw::Taken::of(&request), "{sent:?}\n{rendered:?}"),
        }
        check_read_back(&request, &rendered, &routing);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
    let never: Vec<S3Operation> = S3Operation::ALL
        .iter()
        .copied()
        .filter(|action| generate::is_sent(*action, upstream))
        .filter(|action| !understood.borrow().contains(action))
        .collect();
    assert!(never.is_empty(), "never tried: {never:?}");
}

fn understand(sent: &Sent, routing: &RoutingRules) -> Option<Box<S3Request>> {
    let routed = route(&head(&sent.method, &sent.target, &sent.headers)?, routing).ok()?;
    let body = match routed.expects() {
        ExpectedBody::Document { .. } => Some(Bytes::from(sent.body.clone())),
        ExpectedBody::Nothing | ExpectedBody::Payload => None,
    };
    routed.complete(body).ok()
}

fn head(method: &str, target: &str, headers: &[(String, String)]) -> Option<RequestHead> {
    let mut request = http::Request::builder().method(method).uri(target).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).ok()?.into_parts();
    RequestHead::read(&parts, peer()).ok()
}

fn peer() -> Peer {
    Peer { address: ([127, 0, 0, 1], 1).into(), transport: Transport::Loopback }
}

/// What frames, signs or proves is the proxy's own business with each side.
fn check_headers(rendered: &RenderedRequest) {
    const NEVER: &[&str] = &[
        "authorization",
        "content-length",
        "date",
        "expect",
        "host",
        "transfer-encoding",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-mfa",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-security-token",
        "x-amz-trailer",
    ];
    let mut names: Vec<&str> = rendered.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert!(names.iter().all(|name| !NEVER.contains(name)), "{names:?}");
    assert!(names.windows(2).all(|pair| matches!(pair, [a, b] if a != b)), "{names:?}");
    if let RequestContent::Document(bytes) = &rendered.content
        && !bytes.is_empty()
    {
        assert!(!names.contains(&"content-md5"), "{names:?}");
    }
}

/// Our own reader is a fourth one: it understands what was written as the same request.
fn check_read_back(request: &S3Request, rendered: &RenderedRequest, routing: &RoutingRules) {
    let again = read_back(rendered, routing);
    let taken = raw::Taken::of(request);
    assert_eq!((raw::Taken::of(&again), again.hazard), (taken, hazard_left(request)));
    let sorted = |request: &S3Request| {
        let mut query = request.query.clone();
        query.sort();
        let mut headers = request.headers.clone();
        headers.retain(|(name, _)| name != "content-type");
        (query, headers)
    };
    assert_eq!(sorted(&again), sorted(request));
    if let (RequestDocument::Rewritten(first), RequestDocument::Rewritten(second)) =
        (&request.document, &again.document)
    {
        assert_eq!(first, second);
    }
}

/// The hazard of a request whose MFA Delete stays with the proxy.
fn hazard_left(request: &S3Request) -> Hazard {
    let Hazard::ChangesVersioning(mut change) = request.hazard else { return request.hazard };
    change.mfa_delete = MfaDeleteChange::Keep;
    Hazard::ChangesVersioning(change)
}

fn status_of(status: VersioningStatus) -> &'static str {
    match status {
        VersioningStatus::Enabled => "Enabled",
        VersioningStatus::Suspended => "Suspended",
    }
}
