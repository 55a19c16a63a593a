//! However a request ends, it leaves one event.

use std::time::Duration;

use portcullis_journal::RecordKind;
use tokio::io::AsyncWriteExt;

use crate::rig::{Ask, Event, Manner, Rig, exchange, open, read, wait_for};

/// Stops the proxy, so that nothing more can be written, and reads what it wrote.
async fn all_events(rig: Rig) -> Vec<Event> {
    let journal = rig.journal_directory();
    let _directory = rig.stop().await;
    crate::rig::events_in(&journal)
}

/// Sends each of these bytes over a connection of its own, and expects one event of each.
async fn each_leaves_one_event(rig: Rig, cases: &[(&str, Vec<u8>)]) {
    let mut counted = 0;
    let mut told = Vec::new();
    for (name, bytes) in cases {
        exchange(rig.address, bytes).await;
        // A second event of the same would come after the reply; the next case's wait would see it.
        let events = rig.events_when(counted + 1).await;
        if events.len() != counted + 1 {
            told.push(format!("{name}: {:?}", events[counted..].iter().map(Event::said).collect::<Vec<_>>()));
        }
        counted = events.len();
    }
    let events = all_events(rig).await;
    assert!(told.is_empty() && events.len() == cases.len(), "{} of {}\n{}", events.len(), cases.len(), told.join("\n"));
}

fn quick(settings: &mut portcullis_server::config::Settings) {
    settings.limits.header_timeout = Duration::from_millis(100);
    settings.limits.keep_alive = Duration::from_millis(100);
    settings.limits.body_idle = Duration::from_millis(100);
    settings.limits.drain = Duration::from_secs(2);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_mutation_leaves_its_outcome() {
    let rig = Rig::start().await;
    rig.upstream.answer(Manner::Hold);
    let stream = open(rig.address, &Ask::new("DELETE /vault/k").signed(&rig.root, rig.now())).await;
    wait_for("the request", || (!rig.upstream.mutations().is_empty()).then_some(())).await;
    drop(stream);
    rig.upstream.answer(Manner::Answer);
    wait_for("the outcome", || {
        // What root's device needed to be made is on record in the same way.
        let mut outcomes = rig.journal().into_iter().filter(|entry| matches!(entry.kind, RecordKind::Outcome(_)));
        outcomes.find(|entry| String::from_utf8_lossy(&entry.payload).contains("DeleteObject"))
    })
    .await;
    let events = all_events(rig).await;
    assert_eq!(events.iter().map(Event::said).collect::<Vec<_>>(), [("DeleteObject", "")]);
}

#[tokio::test]
async fn a_client_that_leaves_as_soon_as_it_has_asked_leaves_one_event_that_says_what() {
    let rig = Rig::start().await;
    let lines = ["DELETE /vault/k", "PUT /vault?tagging", "GET /vault/k", "HEAD /vault/k", "GET /vault?list-type=2"];
    let mut asked = 0;
    for line in lines {
        let bytes = Ask::new(line).signed(&rig.root, rig.now());
        for _ in 0..60 {
            drop(open(rig.address, &bytes).await);
        }
        asked += 60;
        rig.events_when(asked).await;
    }
    let events = all_events(rig).await;
    assert_eq!(events.len(), asked);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.text(&["userIdentity", "type"]), "Root", "{number}: {event:?}");
        assert_ne!(event.text(&["eventName"]), "UnknownOperation", "{number}: {event:?}");
        assert_eq!(event.text(&["requestParameters", "bucketName"]), "vault", "{number}: {event:?}");
    }
}

#[tokio::test]
async fn what_nobody_signed_is_counted_once_it_is_too_much_and_what_somebody_signed_is_recorded() {
    let rig = Rig::start().await;
    let bob = rig.user("bob").await;
    let unsigned = format!("GET /vault/k HTTP/1.1\r\nhost: a\r\nuser-agent: {}\r\n\r\n", "x".repeat(1000));
    let unknown = crate::rig::Keys { key_id: "AKIA0000000000000000".to_owned(), ..bob.clone() };
    let forged = crate::rig::Keys { secret: "guessed".to_owned(), ..bob.clone() };
    let keep = |keys: &crate::rig::Keys| Ask::new("GET /vault/k").signed(keys, rig.now());
    let last = b"GET /vault HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut sent = 0;
    for _ in 0..40 {
        let mut stream = open(rig.address, &[unsigned.repeat(100).as_bytes(), last].concat()).await;
        read(&mut stream).await;
        sent += 101;
    }
    let call = Ask::new("POST /").body("Action=DescribeRegions&Version=2016-11-15").for_service("ec2");
    let unsigned_call =
        b"POST / HTTP/1.1\r\nhost: a\r\nx-amz-target: TrentService.ListKeys\r\nconnection: close\r\n\r\n";
    for bytes in [
        keep(&unknown),
        keep(&forged),
        keep(&forged),
        b"junk\r\n\r\n".to_vec(),
        call.signed(&forged, rig.now()),
        unsigned_call.to_vec(),
    ] {
        exchange(rig.address, &bytes).await;
        sent += 1;
    }
    for _ in 0..50 {
        assert_eq!(exchange(rig.address, &keep(&bob)).await.status, 200);
        assert_eq!(exchange(rig.address, &Ask::new("DELETE /vault?policy").signed(&bob, rig.now())).await.status, 204);
        // Refused, and yet an event each: the requester is known.
        let refused = Ask::new("PUT /vault/k?versionId=a").body("x").signed(&bob, rig.now());
        assert_eq!(exchange(rig.address, &refused).await.status, 400);
        assert_eq!(exchange(rig.address, &call.signed(&bob, rig.now())).await.status, 200);
    }
    let events = all_events(rig).await;
    let (signed, unsigned): (Vec<&Event>, Vec<&Event>) =
        events.iter().partition(|event| event.text(&["userIdentity", "type"]) == "IAMUser");
    assert_eq!(signed.len(), 200);
    let (counted, single): (Vec<&Event>, Vec<&Event>) =
        unsigned.into_iter().partition(|event| event.text(&["eventName"]) == "AggregatedRequests");
    let count = |event: &Event| event.0["additionalEventData"]["count"].as_u64().expect("a number");
    let total: u64 = counted.iter().map(|event| count(event)).sum();
    assert_eq!(single.len() as u64 + total, sent);
    assert!(single.len() > 1000 && single.len() < 3000, "{}", single.len());
    let of = |code: &str| {
        let found = counted.iter().find(|event| event.text(&["errorCode"]) == code).expect("a count of it");
        assert_eq!(found.text(&["additionalEventData", "network"]), "127.0.0.1/32");
        assert_eq!(found.text(&["sourceIPAddress"]), "127.0.0.1");
        (count(found), found.text(&["userIdentity", "accessKeyId"]).to_owned())
    };
    assert_eq!(of("SignatureDoesNotMatch"), (2, bob.key_id.clone()), "a key that exists is named");
    assert_eq!(of("Client.SignatureDoesNotMatch"), (1, bob.key_id.clone()));
    assert_eq!(of("MissingAuthenticationTokenException"), (1, String::new()));
    assert_eq!(of("InvalidAccessKeyId"), (1, String::new()));
    assert_eq!(of("BadRequest"), (1, String::new()));
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_read_to_leaves_one_event() {
    let rig = Rig::start().await;
    drop(open(rig.address, &Ask::new("GET /vault/k").signed(&rig.root, rig.now())).await);
    rig.events_when(1).await;
    let events = all_events(rig).await;
    assert_eq!(events.iter().map(|event| event.said().0).collect::<Vec<_>>(), ["GetObject"], "{events:?}");
}

#[tokio::test]
async fn whatever_comes_over_the_socket_leaves_one_event() {
    let root = |rig: &Rig, line: &str| Ask::new(line).signed(&rig.root, rig.now());
    let rig = Rig::with(quick).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000)).into_bytes();
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)).into_bytes();
    let put = Ask::new("PUT /vault/k").body(vec![b'a'; 100_000]).signed(&rig.root, rig.now());
    let refused = Ask::new("PUT /vault/k?versionId=a").body(vec![b'a'; 100_000]).signed(&rig.root, rig.now());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n".to_vec()),
        ("another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a long target", long),
        ("many headers", headers),
        ("a slow head", b"GET / HTTP/1.1\r\nhost:".to_vec()),
        ("a bad length", b"PUT /vault/k HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc".to_vec()),
        (
            "two lengths",
            b"PUT /vault/k HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd".to_vec(),
        ),
        ("an unknown method", b"PURGE / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec()),
        ("a connect", b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n".to_vec()),
        ("a target of two authorities", b"GET http://b/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec()),
        ("no host", b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec()),
        ("nobody", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec()),
        ("a preflight", b"OPTIONS /vault/k HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec()),
        ("an ordinary read", root(&rig, "GET /vault/k")),
        ("a question without an answer's body", root(&rig, "HEAD /vault/nothing?xyzzy")),
        ("an ordinary write", root(&rig, "DELETE /vault/k")),
        ("a refused upload", refused.clone()),
        ("half of a refused upload", refused[..refused.len() / 2].to_vec()),
        ("a body that stops", put[..put.len() - 1].to_vec()),
        ("an ordinary upload", put),
    ];
    each_leaves_one_event(rig, &cases).await;
}

#[tokio::test]
async fn a_client_that_cuts_its_own_request_off_leaves_one_event() {
    let rig = Rig::start().await;
    let put = Ask::new("PUT /vault/k").body(vec![b'a'; 300_000]).signed(&rig.root, rig.now());
    let policy = Ask::new("PUT /vault?policy").body(vec![b'{'; 20_000]).signed(&rig.root, rig.now());
    let versioning = Ask::new("PUT /vault?versioning").body(vec![b' '; 4000]).signed(&rig.root, rig.now());
    let cases = [
        ("a head", b"GET /vault/k HTTP/1.1\r\nhost: a\r\n".to_vec(), ""),
        ("an upload", put[..put.len() - 1].to_vec(), "PutObject"),
        ("a long document", policy[..policy.len() - 1].to_vec(), "PutBucketPolicy"),
        ("a short document", versioning[..versioning.len() - 1].to_vec(), "PutBucketVersioning"),
    ];
    for (count, (name, bytes, event)) in cases.iter().enumerate() {
        let mut stream = open(rig.address, bytes).await;
        stream.shutdown().await.expect("closed");
        drop(stream);
        let events = rig.events_when(count + 1).await;
        let said: Vec<_> = events.iter().map(Event::said).collect();
        assert_eq!(events.len(), count + 1, "{name}: {said:?}");
        assert!(event.is_empty() || said[count].0 == *event, "{name}: {said:?}");
    }
    let events = all_events(rig).await;
    assert_eq!(events.len(), cases.len(), "{:?}", events.iter().map(Event::said).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reply_and_its_event_say_the_same_ids_and_a_head_has_no_bytes() {
    let rig = Rig::start().await;
    let header = |reply: &crate::rig::Reply, wanted: &str| {
        let found = reply.headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone()).expect("a header")
    };
    for (number, line) in
        ["GET /vault/k", "PUT /vault/k?versionId=a", "HEAD /vault/k", "HEAD /vault?xyzzy", "DELETE /vault/k"]
            .into_iter()
            .enumerate()
    {
        let reply = rig.send(&Ask::new(line)).await;
        let event = rig.events_when(number + 1).await.remove(number);
        let host_id = header(&reply, "x-amz-id-2");
        assert_eq!(event.text(&["additionalEventData", "x-amz-id-2"]), host_id, "{line}");
        assert_eq!(event.text(&["requestID"]), header(&reply, "x-amz-request-id"), "{line}");
        assert_eq!((host_id.len(), host_id.ends_with('=')), (76, true));
        if !reply.body.is_empty() && reply.status >= 400 {
            assert_eq!(reply.element("HostId"), Some(host_id));
        }
        if line.starts_with("HEAD") {
            assert_eq!(event.0["additionalEventData"]["bytesTransferredOut"], 0, "{line}");
        }
    }
}

#[tokio::test]
async fn requests_over_one_connection_leave_an_event_each() {
    let rig = Rig::start().await;
    let line = b"GET /vault HTTP/1.1\r\nhost: a\r\n\r\n";
    let last = b"GET /vault HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".as_slice();
    let mut stream = open(rig.address, &[line.as_slice(), line, last].concat()).await;
    read(&mut stream).await;
    let mut garbage = open(rig.address, &[line.as_slice(), b"\x01\x02\x03\r\n\r\n"].concat()).await;
    read(&mut garbage).await;
    let events = all_events(rig).await;
    assert_eq!(events.len(), 5, "{:?}", events.iter().map(Event::said).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_connection_over_which_nothing_is_asked_leaves_no_event() {
    let rig = Rig::with(quick).await;
    drop(open(rig.address, b"").await);
    let mut silent = open(rig.address, b"").await;
    read(&mut silent).await;
    let mut half_closed = open(rig.address, b"").await;
    half_closed.shutdown().await.expect("closed");
    read(&mut half_closed).await;
    let asked = b"GET /vault HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut idle = open(rig.address, asked).await;
    read(&mut idle).await;
    let events = all_events(rig).await;
    assert_eq!(events.len(), 1, "{:?}", events.iter().map(Event::said).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_follows_a_request_over_its_connection_is_an_event_of_its_own() {
    let asked = b"GET /vault HTTP/1.1\r\nhost: a\r\n\r\n".as_slice();
    let following: &[(&str, &[u8], &str)] = &[
        ("half a head, and no more", b"GET /vault HTTP/1.1\r\nho", "RequestTimeout"),
        ("one byte, and no more", b"G", "RequestTimeout"),
        ("garbage", b"\x01\x02\x03\r\n\r\n", "BadRequest"),
        ("another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "BadRequest"),
        ("a bad length", b"PUT /vault/k HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", "BadRequest"),
    ];
    for (name, bytes, code) in following {
        for apart in [false, true] {
            let rig = Rig::with(quick).await;
            let mut stream = if apart {
                let mut stream = open(rig.address, asked).await;
                rig.events_when(1).await;
                stream.write_all(bytes).await.expect("sent");
                stream
            } else {
                open(rig.address, &[asked, bytes].concat()).await
            };
            read(&mut stream).await;
            let events = all_events(rig).await;
            let said: Vec<_> = events.iter().map(|event| event.said().1).collect();
            assert_eq!(said.len(), 2, "{name}, apart: {apart}: {said:?}");
            assert_eq!(said[1], *code, "{name}, apart: {apart}");
        }
    }
}

#[tokio::test]
async fn requests_of_uncommon_forms_leave_one_event_each() {
    let rig = Rig::with(quick).await;
    let unsigned_put = "PUT /vault/k HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let signed = |line: &str| Ask::new(line).unsigned_header("expect", "100-continue").body("content");
    let signed_put = signed("PUT /vault/k").signed(&rig.root, rig.now());
    let held_back = signed_put.len() - "content".len();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP/1.0", b"GET /vault/k HTTP/1.0\r\nhost: a\r\n\r\n".to_vec()),
        ("HTTP/1.0 without a host", b"GET /vault/k HTTP/1.0\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /vault/k\r\n\r\n".to_vec()),
        ("a version to come", b"GET /vault/k HTTP/3.0\r\nhost: a\r\n\r\n".to_vec()),
        ("a body that waits to be asked for, and is not", unsigned_put.as_bytes().to_vec()),
        ("a body that waits to be asked for, and never comes", signed_put[..held_back].to_vec()),
        ("a body that does not wait to be asked for", signed_put.clone()),
        (
            "a chunk that is none",
            b"PUT /vault/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n".to_vec(),
        ),
        ("an unknown coding", b"PUT /vault/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: x\r\n\r\n".to_vec()),
        ("a folded header", b"GET /vault/k HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\nconnection: close\r\n\r\n".to_vec()),
        ("a nul in a header", b"GET /vault/k HTTP/1.1\r\nhost: a\0b\r\nconnection: close\r\n\r\n".to_vec()),
        (
            "a wish for another protocol",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n".to_vec(),
        ),
    ];
    each_leaves_one_event(rig, &cases).await;
}
