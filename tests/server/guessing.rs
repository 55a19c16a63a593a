//! A thief with root's key tries codes without end, from one network or from many; the owner of the device is served.

use portcullis_base::network::IpNetwork;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::rig::{Ask, Reply, Rig, exchange};

const OWNER: &str = "192.0.2.7";
const THIEF: &str = "192.0.2.66";

/// A proxy behind a proxy on this machine that says which network a client is in, and a protected bucket.
async fn protected() -> Rig {
    let loopback = IpNetwork::parse("127.0.0.1/32").expect("a network");
    let rig = Rig::with(|settings| settings.listen.trusted_proxies = vec![loopback]).await;
    rig.upstream.set_versioning("vault", "Enabled");
    let offer = rig.fresh_offer();
    let document =
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    let ask = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &offer).document(document);
    assert_eq!(rig.send(&forwarded(ask, OWNER)).await.status, 200);
    rig.upstream.forget();
    rig.pass_steps(10);
    rig
}

fn forwarded(ask: Ask, client: &str) -> Ask {
    ask.unsigned_header("x-forwarded-for", client).unsigned_header("x-forwarded-proto", "https")
}

/// Deletes a version from another task.
fn deleting(rig: &Rig, client: &str, offer: &str) -> JoinHandle<Reply> {
    let ask = forwarded(Ask::new("DELETE /vault/k?versionId=v1").header("x-amz-mfa", offer), client);
    let (address, bytes) = (rig.address, ask.signed(&rig.root, rig.now()));
    tokio::spawn(async move { exchange(address, &bytes).await })
}

async fn delete(rig: &Rig, client: &str, offer: &str) -> Reply {
    deleting(rig, client, offer).await.expect("a reply")
}

fn two_wrong(rig: &Rig) -> String {
    let wrong = rig.device.wrong_offer(rig.now());
    let code = wrong.rsplit(' ').next().expect("a code");
    format!("{wrong} {code}")
}

fn retry_after(reply: &Reply) -> Option<&str> {
    reply.headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_flood_of_wrong_codes_from_one_network_leaves_the_owner_the_first_try() {
    let rig = protected().await;
    let wrong = two_wrong(&rig);
    let mut flood: Vec<_> = (0..60).map(|_| deleting(&rig, THIEF, &wrong)).collect();
    let owner = deleting(&rig, OWNER, &rig.device.offer(rig.now(), &[-1, 0]));
    flood.extend((0..60).map(|_| deleting(&rig, THIEF, &wrong)));
    let owner = owner.await.expect("a reply");
    assert_eq!(owner.status, 204, "{owner:?}");
    let mut looked_at = 0;
    for guess in flood {
        let reply = guess.await.expect("a reply");
        if reply.said() == (400, "TokenCodeInvalidError".to_owned()) {
            looked_at += 1;
            continue;
        }
        assert_eq!(reply.said(), (503, "SlowDown".to_owned()));
        assert!(reply.body.contains("Your network offered too many codes"), "{reply:?}");
        assert!(matches!(retry_after(&reply), Some("1" | "120")), "{reply:?}");
    }
    assert_eq!(looked_at, 4, "the tries of a network");
    assert_eq!(rig.upstream.mutations().len(), 1);
    let events = rig.events_when(122).await;
    let results = events.iter().map(|event| event.text(&["additionalEventData", "MfaDelete", "result"]));
    assert_eq!(results.filter(|result| *result == "Throttled").count(), 116, "each try is recorded");
}

#[tokio::test]
async fn a_network_has_tries_again_when_it_was_told_so() {
    let rig = protected().await;
    let wrong = two_wrong(&rig);
    for _ in 0..4 {
        assert_eq!(delete(&rig, THIEF, &wrong).await.status, 400);
    }
    let told = delete(&rig, THIEF, &wrong).await;
    assert_eq!((told.status, retry_after(&told)), (503, Some("120")));
    assert!(told.body.contains("Try again in 120 seconds, or offer three consecutive codes"), "{told:?}");
    rig.pass_steps(3);
    assert_eq!(retry_after(&delete(&rig, THIEF, &wrong).await), Some("30"));
    rig.pass_steps(1);
    assert_eq!(delete(&rig, THIEF, &rig.device.offer(rig.now(), &[-1, 0])).await.status, 204);
    assert_eq!(delete(&rig, THIEF, &two_wrong(&rig)).await.status, 400, "what was right took no try");
}

#[tokio::test]
async fn with_three_codes_the_owner_is_served_in_a_flood_from_many_networks_and_from_the_thiefs_own() {
    let rig = protected().await;
    let (one, two) = (rig.device.wrong_offer(rig.now()), two_wrong(&rig));
    let mut flood = Vec::new();
    for host in 1..=200 {
        let client = format!("198.51.100.{host}");
        flood.extend([deleting(&rig, &client, &one), deleting(&rig, &client, &two)]);
    }
    let owner = deleting(&rig, OWNER, &rig.device.offer(rig.now(), &[-2, -1, 0]));
    let owner = owner.await.expect("a reply");
    assert_eq!(owner.status, 204, "{owner:?}");
    for guess in flood {
        let reply = guess.await.expect("a reply");
        assert!(matches!(reply.status, 400 | 503), "{reply:?}");
    }
    rig.pass_steps(10);
    let two = two_wrong(&rig);
    for _ in 0..4 {
        delete(&rig, THIEF, &two).await;
    }
    let right = rig.device.offer(rig.now(), &[-1, 0]);
    assert_eq!(delete(&rig, THIEF, &right).await.said(), (503, "SlowDown".to_owned()), "right ones are not looked at");
    assert_eq!(delete(&rig, THIEF, &rig.device.offer(rig.now(), &[-2, -1, 0])).await.status, 204);
}

#[tokio::test]
async fn a_throttled_call_of_cloudtrail_is_told_when_to_try_again() {
    let rig = protected().await;
    for (operation, body) in
        [("CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})), ("StartLogging", stop())]
    {
        let reply = rig.send(&forwarded(Ask::call(operation, &body.to_string()), OWNER)).await;
        assert_eq!(reply.status, 200, "{operation}: {reply:?}");
    }
    let wrong = two_wrong(&rig);
    for _ in 0..4 {
        assert_eq!(delete(&rig, THIEF, &wrong).await.status, 400);
    }
    let ask = Ask::call("StopLogging", &stop().to_string()).header("x-amz-mfa", &wrong);
    let told = rig.send(&forwarded(ask.clone(), THIEF)).await;
    assert_eq!((told.exception().as_str(), retry_after(&told)), ("ThrottlingException", Some("120")), "{told:?}");
    assert!(told.body.contains("Your network offered too many codes"), "{told:?}");
    let other = rig.send(&forwarded(ask, OWNER)).await;
    assert_eq!(other.exception(), "AccessDeniedException", "{other:?}");
}

fn stop() -> serde_json::Value {
    json!({"Name": "main"})
}
