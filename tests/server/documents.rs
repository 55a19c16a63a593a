//! Documents whose signature does not cover them, as several SDKs send them over TLS.

use std::net::Ipv4Addr;

use portcullis_base::network::IpNetwork;
use portcullis_sigv4::UnsignedPayload;

use crate::rig::{Ask, Payload, Reply, Rig, exchange};

/// A proxy behind a proxy on this machine that says how the client reached it.
async fn behind_a_proxy() -> Rig {
    let loopback = IpNetwork::parse("127.0.0.1/32").expect("a network");
    Rig::with(|settings| settings.listen.trusted_proxies = vec![loopback]).await
}

fn unsigned(ask: Ask, scheme: &str) -> Ask {
    ask.payload(Payload::Claimed("UNSIGNED-PAYLOAD".to_owned()))
        .unsigned_header("x-forwarded-for", &Ipv4Addr::new(192, 0, 2, 7).to_string())
        .unsigned_header("x-forwarded-proto", scheme)
}

/// An operation of each kind of document.
fn documents() -> Vec<Ask> {
    let complete =
        "<CompleteMultipartUpload><Part><ETag>e</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
    [
        ("POST /vault?delete", "<Delete><Object><Key>k</Key></Object></Delete>"),
        ("POST /vault/k?uploadId=u", complete),
        ("PUT /vault?tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"),
        ("PUT /vault/k?tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"),
        ("PUT /vault?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        ("PUT /vault?policy", "{\"Statement\":[]}"),
    ]
    .map(|(line, document)| Ask::new(line).document(document))
    .into()
}

#[tokio::test]
async fn an_unsigned_document_is_taken_over_tls_and_from_this_machine_alone() {
    let (direct, behind) = (Rig::start().await, behind_a_proxy().await);
    for ask in documents() {
        let here = ask.clone().payload(Payload::Claimed("UNSIGNED-PAYLOAD".to_owned()));
        assert_ne!(direct.send(&here).await.status, 400, "{ask:?}");
        assert_ne!(behind.send(&unsigned(ask.clone(), "https")).await.status, 400, "{ask:?}");
        behind.upstream.forget();
        let reply = behind.send(&unsigned(ask.clone(), "http")).await;
        assert_eq!(reply.said(), (403, "AccessDenied".to_owned()), "{ask:?}");
        assert_eq!(behind.upstream.mutations(), [], "{ask:?}");
    }
}

#[tokio::test]
async fn an_operator_may_take_unsigned_payloads_in_plain_http_but_no_code() {
    let refused = behind_a_proxy().await;
    let upload = Ask::new("PUT /vault/k").body("content");
    let reply = refused.send(&unsigned(upload.clone(), "http")).await;
    assert_eq!(reply.said(), (403, "AccessDenied".to_owned()));
    assert!(reply.body.contains("listen.unsigned_payload"), "{reply:?}");

    let loopback = IpNetwork::parse("127.0.0.1/32").expect("a network");
    let rig = Rig::with(|settings| {
        settings.listen.trusted_proxies = vec![loopback];
        settings.listen.unsigned_payload = UnsignedPayload::Anywhere;
    })
    .await;
    for ask in documents().into_iter().chain([upload]) {
        let reply = rig.send(&unsigned(ask.clone(), "http")).await;
        assert!(!matches!(reply.status, 400 | 403), "{ask:?}: {reply:?}");
    }
    rig.upstream.forget();
    let protecting =
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    let versioning = Ask::new("PUT /vault?versioning").document(protecting);
    let with_code = versioning.header("x-amz-mfa", "arn:aws:iam::123456789012:mfa/phone 123456");
    let reply = rig.send(&unsigned(with_code, "http")).await;
    assert_eq!(reply.said(), (400, "InvalidRequest".to_owned()), "{reply:?}");
    assert_eq!(rig.upstream.mutations(), []);
}

#[tokio::test]
async fn a_presigned_document_needs_a_safe_connection_too() {
    let behind = behind_a_proxy().await;
    let send = async |scheme: &str| -> Reply {
        behind.upstream.forget();
        let ask = unsigned(documents().remove(0), scheme);
        exchange(behind.address, &ask.presigned(&behind.root, behind.now())).await
    };
    assert_eq!(send("https").await.status, 200);
    assert_eq!(send("http").await.said(), (400, "InvalidRequest".to_owned()));
    assert_eq!(behind.upstream.mutations(), []);
}

#[tokio::test]
async fn an_unsigned_document_with_a_code_is_judged_like_a_signed_one() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let document = "<Delete><Object><Key>k</Key><VersionId>v</VersionId></Object></Delete>";
    let ask =
        Ask::new("POST /vault?delete").document(document).payload(Payload::Claimed("UNSIGNED-PAYLOAD".to_owned()));
    assert_eq!(rig.send(&ask).await.said(), (403, "AccessDenied".to_owned()));
    let offer = rig.fresh_offer();
    assert_eq!(rig.send(&ask.clone().header("x-amz-mfa", &offer)).await.status, 200);
    let again = rig.send(&ask.header("x-amz-mfa", &offer)).await;
    assert_eq!(again.said(), (400, "TokenCodeInvalidError".to_owned()));
}
