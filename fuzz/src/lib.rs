//! What each fuzz target does with its bytes, and what must hold of them whatever they are.
//!
//! A function is given bytes and returns; a panic is a finding. What it asserts is what later stages rely on.

#[path = "../../tests/readers/read_back.rs"]
mod read_back;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccountId;
use portcullis_http::{Peer, QueryString, RequestHead, RequestHeaders, Transport};
use portcullis_import::ceph::CephUsers;
use portcullis_import::minio::{MinioExport, MinioImportOptions};
use portcullis_import::{AccountContents, ImportCall, ImportPlan, ceph, minio};
use portcullis_mfa::MfaToken;
use portcullis_policy::{
    AccessRequest, ApplicablePolicies, NamedPolicy, PermissionLimit, PolicyDecision, PolicyDocument, PolicyKind,
    RequestPrincipal, RequestValues, ResourcePolicies, StatementEffect, decide,
};
use portcullis_s3::{
    ExpectedBody, OperationBody, OperationMark, OperationRow, RoutingRules, S3Operation, S3Request, TargetLevel,
    UpstreamKind, route,
};
use portcullis_sigv4::{
    AcceptedScope, AwsService, ChecksumAlgorithm, ChunkSigning, ChunkedPayload, DeclaredChecksums, Keyring,
    PayloadMode, PayloadVerifier, UnsignedPayload, verify,
};
use portcullis_upstream::render as render_request;

use read_back::read_back;

const STORES: [UpstreamKind; 5] =
    [UpstreamKind::Aws, UpstreamKind::Ceph, UpstreamKind::Embedded, UpstreamKind::Generic, UpstreamKind::Minio];

/// A request's head as it came: what is read has one host and one absolute path, and is routed or refused.
pub fn request_head(data: &[u8]) {
    let (store, data) = store_and_rest(data);
    let Some(head) = read_head(data) else { return };
    assert!(head.path.starts_with('/') && !head.host.is_empty());
    assert!(!head.headers.iter().any(|(name, _)| name == "host" && head.headers.value("host") != Some(&head.host)));
    drop(route(&head, &routing(store)));
}

/// A query: what is read names each key once, and is read as the same when it is written again.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(query) = QueryString::parse(text) else { return };
    let pairs = query.pairs();
    assert!(pairs.len() <= 64);
    for (index, (key, _)) in pairs.iter().enumerate() {
        assert!(pairs.iter().take(index).all(|(other, _)| other != key), "{key:?} twice");
    }
    let written: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
    let again = QueryString::parse(&written.join("&")).expect("what was read can be written");
    assert_eq!(again.pairs(), pairs);
}

/// Each document of S3: what is understood is understood as the same when it is sent on and read again.
pub fn document(data: &[u8]) {
    let (store, body) = store_and_rest(data);
    let names = |root: &str| body.windows(root.len()).any(|window| window == root.as_bytes());
    for row in S3Operation::ALL.iter().map(|action| action.row()) {
        let is_tried = match row.body {
            OperationBody::Document(grammar) | OperationBody::OptionalDocument(grammar) => names(grammar.root),
            OperationBody::Policy => body.starts_with(b"{"),
            OperationBody::Nothing | OperationBody::Payload => false,
        };
        let Some(head) = plainest(row).filter(|_| is_tried) else { continue };
        let Ok(routed) = route(&head, &routing(store)) else { continue };
        if !matches!(routed.expects(), ExpectedBody::Document { limit } if body.len() <= limit) {
            continue;
        }
        let Ok(request) = routed.complete(Some(Bytes::copy_from_slice(body))) else { continue };
        sent_on_as_the_same(&request, store);
    }
}

/// `Authorization` and presigned queries: nobody without a key has a signature that counts.
pub fn authorization(data: &[u8]) {
    let Some((form, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (target, header) = match form % 2 {
        0 => ("/vault/k".to_owned(), Some(text)),
        _ => (format!("/vault/k?{text}"), None),
    };
    let mut request = http::Request::builder().uri(target).header("host", "localhost");
    request = request.header("x-amz-date", "20261121T094158Z").header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    if let Some(value) = header {
        request = request.header("authorization", value);
    }
    let Ok(request) = request.body(()) else { return };
    let Ok(head) = RequestHead::read(&request.into_parts().0, peer()) else { return };
    let realm = AcceptedScope {
        region: "us-east-1".to_owned(),
        services: &[AwsService::S3],
        unsigned_payload: UnsignedPayload::Tls,
    };
    // 2026-11-21T09:41:58Z, so that a signature can be refused for itself and not for its time.
    let now = Timestamp::from_seconds(1_795_254_118);
    assert!(verify(&head, &Keyring::default(), now, &realm).is_err());
}

/// An aws-chunked body in pieces: no more than was announced comes out, and all of it only if the body is whole.
pub fn chunked(data: &[u8]) {
    let [announced, piece, trailer, body @ ..] = data else { return };
    let trailer = (trailer % 2 == 1).then_some(ChecksumAlgorithm::Crc32);
    let announced = u64::from(*announced);
    let chunks = ChunkedPayload { decoded_length: announced, signing: ChunkSigning::Unsigned, trailer };
    let length = u64::try_from(body.len()).expect("a length");
    let mut intake = PayloadVerifier::new(PayloadMode::Chunked(chunks), length, DeclaredChecksums::default());
    let mut pulled = 0;
    for piece in body.chunks(usize::from(*piece).max(1)) {
        if intake.push(Bytes::copy_from_slice(piece)).is_err() {
            return;
        }
        pulled += all_pulled(&mut intake);
        assert!(pulled <= announced && (pulled < announced || announced == 0), "{pulled} of {announced}");
    }
    if intake.finish().is_ok() {
        assert_eq!(pulled + all_pulled(&mut intake), announced);
    }
}

/// `x-amz-mfa`: one to three codes after a serial, or malformed.
pub fn mfa_header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match MfaToken::parse(Some(text)) {
        MfaToken::Absent => panic!("a header is not absent"),
        MfaToken::Codes(codes) => assert!((1..=3).contains(&codes.codes.len()) && text.contains(codes.serial.as_str())),
        MfaToken::Malformed(code) => assert_eq!(code.expose(), text),
    }
}

/// A store's answer: it is read in one way or refused, and its body is no longer than the head says.
pub fn upstream_head(data: &[u8]) {
    portcullis_upstream::fuzz_answer(&Bytes::copy_from_slice(data));
}

/// The journal's frames: of bytes as they come, and of a frame that was written and then damaged.
pub fn journal_frame(data: &[u8]) {
    portcullis_journal::fuzz_frame(data);
}

/// The token that a page of a lookup ends with: what is read is written as the same token.
pub fn lookup_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    portcullis_followers::history::fuzz_token(text);
}

/// What a store tells of its users: a plan without faults makes no key twice, and no key before its user.
pub fn import(data: &[u8]) {
    let of_ceph = std::str::from_utf8(data).ok().and_then(|text| CephUsers::read(text).ok());
    let of_minio = MinioExport::read(data).ok();
    let accounts = match (of_ceph, of_minio) {
        (Some(users), _) => ceph::accounts(&users),
        (None, Some(export)) => minio::accounts(&export, &MinioImportOptions::default()),
        (None, None) => return,
    };
    let plan = ImportPlan::of(accounts, &AccountContents::default());
    let (mut users, mut keys) = (Vec::new(), Vec::new());
    for call in plan.calls.iter().map(|planned| &planned.call).filter(|_| plan.faults.is_empty()) {
        match call {
            ImportCall::CreateUser { user } => users.push(user.clone()),
            ImportCall::CreateAccessKey { user, id, .. } => {
                assert!(users.contains(user) && !keys.contains(id));
                keys.push(id.clone());
            }
            _ => {}
        }
    }
}

/// A policy document: what is understood is written as the same, and nothing is allowed that no statement allows.
pub fn policy(data: &[u8]) {
    const KINDS: [PolicyKind; 4] =
        [PolicyKind::RoleInline, PolicyKind::Resource, PolicyKind::Trust, PolicyKind::Session];
    let Some((kind, data)) = data.split_first() else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let Ok(text) = std::str::from_utf8(data) else { return };
    let document = match PolicyDocument::parse(text, kind) {
        Ok(document) => document,
        Err(fault) => {
            assert!(fault.line() >= 1 && fault.column() >= 1 && !fault.reason().is_empty());
            return;
        }
    };
    // The written form may be longer: escapes are chosen again, and one value may become a list.
    if let Ok(again) = PolicyDocument::parse(&document.to_string(), kind) {
        assert_eq!(again, document);
    }
    let named = || vec![NamedPolicy { name: "p", document: &document }];
    let mut policies = ApplicablePolicies {
        identity: named(),
        boundary: PermissionLimit::None,
        session: PermissionLimit::None,
        resource: ResourcePolicies::None,
    };
    if matches!(kind, PolicyKind::Resource | PolicyKind::Trust) {
        (policies.identity, policies.resource) = (Vec::new(), ResourcePolicies::Required(named()));
    }
    let alice = RequestPrincipal::assumed_role(account(), "r", "s");
    let values = RequestValues::of_principal(&alice);
    for action in ["s3:GetObject", "sts:AssumeRole"] {
        let request = AccessRequest::new(&alice, action, "arn:aws:s3:::vault/k", &values);
        if let PolicyDecision::Allow(by) = decide(&request, &policies) {
            let statement = &document.statements()[by.index];
            assert!(statement.effect() == StatementEffect::Allow && statement.sid() == by.sid);
        }
    }
}

/// A whole request: what is sent upstream for it is the operation that was judged, about the same things.
pub fn render(data: &[u8]) {
    let (store, data) = store_and_rest(data);
    let (head, body) = match data.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(end) => data.split_at(end + 4),
        None => (data, &[][..]),
    };
    let Some(head) = read_head(head) else { return };
    let Ok(routed) = route(&head, &routing(store)) else { return };
    let body = match routed.expects() {
        ExpectedBody::Document { limit } if body.len() <= limit => Some(Bytes::copy_from_slice(body)),
        ExpectedBody::Document { .. } => return,
        ExpectedBody::Nothing | ExpectedBody::Payload => None,
    };
    let Ok(request) = routed.complete(body) else { return };
    sent_on_as_the_same(&request, store);
}

/// Writes the request for the upstream, reads what was written, and compares.
fn sent_on_as_the_same(request: &S3Request, store: UpstreamKind) {
    let rendered = render_request(request).expect("what is understood can be written");
    let again = read_back(&rendered, &routing(store));
    let facts = |request: &S3Request| {
        let mut query = request.query.clone();
        query.sort();
        let named = (request.action, request.bucket.clone(), request.key.clone(), request.version.clone());
        (named, request.copy_source.clone(), query)
    };
    assert_eq!(facts(&again), facts(request), "{rendered:?}");
    assert_eq!(render_request(&again).map(|again| again.content), Ok(rendered.content));
}

/// The first byte chooses the kind of store.
fn store_and_rest(data: &[u8]) -> (UpstreamKind, &[u8]) {
    match data.split_first() {
        Some((first, rest)) => (STORES[usize::from(*first) % STORES.len()], rest),
        None => (UpstreamKind::Generic, data),
    }
}

fn routing(upstream: UpstreamKind) -> RoutingRules {
    RoutingRules { base_domain: Some("s3.example.org".to_owned()), upstream }
}

fn account() -> AccountId {
    AccountId::parse("123456789012").expect("an account")
}

fn peer() -> Peer {
    Peer { address: ([127, 0, 0, 1], 1).into(), transport: Transport::Loopback }
}

/// Reads a head as the HTTP layer hands it over.
fn read_head(data: &[u8]) -> Option<RequestHead> {
    let mut lines = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut lines);
    if !parsed.parse(data).ok()?.is_complete() {
        return None;
    }
    let mut request = http::Request::builder().method(parsed.method?).uri(parsed.path?);
    for line in parsed.headers.iter() {
        request = request.header(line.name, line.value);
    }
    RequestHead::read(&request.body(()).ok()?.into_parts().0, peer()).ok()
}

/// The head of an operation that says no more than it must.
fn plainest(row: &OperationRow) -> Option<RequestHead> {
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
    let query = pairs.collect::<Vec<_>>().join("&");
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("content-length", HeaderValue::from_static("1"));
    let (headers, query) = (RequestHeaders::read(&headers).ok()?, QueryString::parse(&query).ok()?);
    Some(RequestHead {
        method: row.method,
        path: path.to_owned(),
        query,
        headers,
        host: "localhost".to_owned(),
        peer: peer(),
    })
}

fn all_pulled(intake: &mut PayloadVerifier) -> u64 {
    std::iter::from_fn(|| intake.pull()).map(|bytes| u64::try_from(bytes.len()).expect("a length")).sum()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
