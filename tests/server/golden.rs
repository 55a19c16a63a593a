//! The golden loop: what the proxy signs for the store is what the proxy itself would accept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use portcullis_authorization::{
    BucketState, Caller, CallerRights, LoopbackTrust, MfaProfile, RequestPermit, Rules, UpstreamIdentity, Verdict,
    assess,
};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, BucketName, ObjectKey, VersionId};
use portcullis_base::secret::Secret;
use portcullis_http::Endpoint;
use portcullis_http::{Dialler, Peer, RequestHead, Transport, TrustedAuthorities};
use portcullis_mfa::MfaToken;
use portcullis_s3::{
    DeleteObjects, ObjectIdentifier, ReplicationRule, RequestDocument, S3Operation, S3Request, TrailerSupport,
};
use portcullis_sigv4::{
    AcceptedScope, AwsService, DeclaredChecksums, KeyStatus, Keyring, KeyringKey, PayloadMode, PayloadVerifier,
    Principal, SignatureForm, UnsignedPayload, verify,
};
use portcullis_upstream::{Upstream, UpstreamSigner, UpstreamTimeouts};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::refused::check;
use crate::rig::{Content, Recorder, UPSTREAM_KEY_ID, UPSTREAM_SECRET, UpstreamRequest};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// What a request is made of.
#[derive(Clone, Debug)]
struct Shape {
    kind: Kind,
    key: String,
    version: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    prefix: String,
    payload: Vec<u8>,
    promised: bool,
    /// Whether others could listen on the way, so that the payload's chunks are signed.
    network: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Batch,
    Delete,
    Get,
    List,
    Put,
}

/// How a body is covered by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covered {
    Chunks,
    Digest,
    Nothing,
}

#[test]
fn what_is_signed_for_the_store_is_what_the_proxy_would_accept() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let recorder = runtime.block_on(Recorder::start());
    let port = recorder.address.port();
    // Every address of this machine, and so none that is known to be the loopback's.
    let upstreams = [upstream(&format!("http://127.0.0.1:{port}")), upstream(&format!("http://0.0.0.0:{port}"))];
    check(120, &shape(), |shape| {
        let upstream = &upstreams[usize::from(shape.network)];
        recorder.forget();
        let answer = runtime.block_on(upstream.send(permit(shape), payload(shape), NOW, None));
        assert!(answer.is_ok(), "{answer:?}");
        let seen = recorder.seen();
        let [seen] = &seen[..] else { panic!("{seen:?}") };
        let (covered, body) = accepted(seen);
        let is_payload = shape.kind == Kind::Put && !shape.payload.is_empty();
        assert_eq!(
            covered,
            match (is_payload && !shape.promised, shape.network) {
                (true, true) => Covered::Chunks,
                (true, false) => Covered::Nothing,
                (false, _) => Covered::Digest,
            }
        );
        match shape.kind {
            Kind::Batch => assert!(!body.is_empty()),
            Kind::Delete | Kind::Get | Kind::List => assert!(body.is_empty()),
            Kind::Put => assert_eq!(body, shape.payload),
        }
    });
}

fn shape() -> impl Strategy<Value = Shape> {
    let kinds = vec![Kind::Batch, Kind::Delete, Kind::Get, Kind::List, Kind::Put, Kind::Put, Kind::Put];
    let metadata =
        prop_oneof!["[!-~]( {1,4}[!-~]){0,3}".prop_map(String::into_bytes), Just("é 日本".as_bytes().to_vec())];
    let headers = proptest::collection::vec(("x-amz-meta-[a-z]{1,4}", metadata), 0..4);
    let sizes = prop_oneof![0_usize..3, 65_530_usize..65_540, 0_usize..200_000];
    let what = (proptest::sample::select(kinds), ".{1,20}", proptest::option::of("[A-Za-z0-9._-]{1,20}"));
    (what, headers, ".{0,20}", sizes, any::<u8>(), any::<bool>(), any::<bool>()).prop_map(
        |((kind, key, version), mut headers, prefix, size, byte, promised, network)| {
            headers.sort();
            headers.dedup_by(|one, other| one.0 == other.0);
            Shape { kind, key, version, headers, prefix, payload: vec![byte; size], promised, network }
        },
    )
}

fn permit(shape: &Shape) -> RequestPermit {
    let bucket = Some(BucketName::parse("vault").expect("a bucket"));
    let key = ObjectKey::parse(&shape.key).or_else(|_| ObjectKey::parse("k")).expect("a key");
    let version = shape.version.as_deref().map(|version| VersionId::parse(version).expect("a version"));
    let bare = |action, key| S3Request::bare(action, bucket.clone(), key);
    let request = match shape.kind {
        Kind::Batch => {
            let objects = vec![ObjectIdentifier { key, version }];
            let document = RequestDocument::DeleteObjects(DeleteObjects { objects, quiet: true });
            S3Request { document, query: vec![("delete", String::new())], ..bare(S3Operation::DeleteObjects, None) }
        }
        Kind::Delete => S3Request { version, ..bare(S3Operation::DeleteObject, Some(key)) },
        Kind::Get => S3Request { version, ..bare(S3Operation::GetObject, Some(key)) },
        Kind::List => {
            let query = vec![("prefix", shape.prefix.clone()), ("list-type", "2".to_owned())];
            S3Request { query, ..bare(S3Operation::ListObjectsV2, None) }
        }
        Kind::Put => {
            let headers = shape.headers.iter().map(|(name, value)| {
                let value = http::HeaderValue::from_bytes(value).expect("a value");
                (http::HeaderName::from_bytes(name.as_bytes()).expect("a name"), value)
            });
            let headers = headers.collect();
            S3Request { headers, document: RequestDocument::Payload, ..bare(S3Operation::PutObject, Some(key)) }
        }
    };
    let caller = Caller {
        principal: Principal::Root,
        form: SignatureForm::AuthHeader,
        transport: Transport::Loopback,
        upstream: UpstreamIdentity::Own,
    };
    let rules = Rules {
        profile: MfaProfile::Strict,
        replication: ReplicationRule::ProtectedBucket,
        loopback_is_secure: LoopbackTrust::Trusted,
    };
    let allowed = CallerRights::root().allow(Box::new(request)).expect("no policy is about root");
    match assess(allowed, &caller, BucketState::UNPROTECTED, MfaToken::Absent, rules) {
        Verdict::Permit(permit) => permit,
        Verdict::Refuse(refusal) => panic!("{refusal:?}"),
        Verdict::Mfa(challenge) => panic!("{challenge:?}"),
    }
}

fn payload(shape: &Shape) -> Option<portcullis_upstream::ObjectPayload> {
    if shape.kind != Kind::Put || shape.payload.is_empty() {
        return None;
    }
    let body = Full::new(Bytes::from(shape.payload.clone())).map_err(|never| match never {});
    let digest = shape.promised.then(|| Sha256::digest(&shape.payload).into());
    Some(portcullis_upstream::ObjectPayload {
        source: Box::pin(body),
        length: shape.payload.len() as u64,
        digest,
        checksum: None,
    })
}

fn upstream(endpoint: &str) -> Upstream {
    let second = Duration::from_secs(5);
    let signer = UpstreamSigner::new(
        UPSTREAM_KEY_ID.to_owned(),
        Secret::new(UPSTREAM_SECRET.to_owned()),
        "us-east-1".to_owned(),
    );
    let timeouts = UpstreamTimeouts { connect: second, response: second, idle: second };
    let endpoint = Endpoint::parse(endpoint).expect("an endpoint");
    Upstream::new(
        Dialler::new(endpoint, &TrustedAuthorities::System).expect("plain"),
        signer,
        timeouts,
        TrailerSupport::NotTaken,
    )
}

/// The data in a request's body, once the proxy's own eyes have found the request right.
fn accepted(seen: &UpstreamRequest) -> (Covered, Vec<u8>) {
    let mut request = http::Request::builder().method(seen.method.as_str()).uri(&seen.target);
    for (name, value) in &seen.headers {
        request = request.header(name, value.as_slice());
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), transport: Transport::Loopback };
    let head = RequestHead::read(&parts, peer).unwrap_or_else(|malformed| panic!("{malformed}: {seen:?}"));
    let accepted_scope = AcceptedScope {
        region: "us-east-1".to_owned(),
        services: &[AwsService::S3],
        unsigned_payload: UnsignedPayload::Tls,
    };
    let signed =
        verify(&head, &keyring(), NOW, &accepted_scope).unwrap_or_else(|rejected| panic!("{rejected:?}: {seen:?}"));
    let Content::Whole(body) = &seen.content else { panic!("{seen:?}") };
    let covered = match signed.payload {
        PayloadMode::Chunked(_) => Covered::Chunks,
        PayloadMode::Digest(_) => Covered::Digest,
        PayloadMode::Unsigned => Covered::Nothing,
    };
    let mut intake = PayloadVerifier::new(signed.payload, body.len() as u64, DeclaredChecksums::default());
    intake.push(Bytes::from(body.clone())).expect("taken");
    intake.finish().expect("right to its end");
    (covered, std::iter::from_fn(|| intake.pull()).flatten().collect())
}

fn keyring() -> Arc<Keyring> {
    let keyring = Keyring::default();
    let secret = Secret::new(UPSTREAM_SECRET.to_owned());
    let key = KeyringKey { holder: Principal::Root, secret, status: KeyStatus::Active };
    keyring.set(AccessKeyId::parse(UPSTREAM_KEY_ID).expect("an id"), key);
    Arc::new(keyring)
}
