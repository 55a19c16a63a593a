//! Answers of the store: those that stop in the middle, and what of the others a client sees.

use std::fmt::Write as _;
use std::time::Duration;

use crate::rig::{Ask, Manner, Rig, STALLED, exchange, open, wait_for};

const MOMENT: Duration = Duration::from_millis(200);

async fn impatient() -> Rig {
    Rig::with(|settings| settings.upstream.response_timeout = MOMENT).await
}

#[tokio::test]
async fn a_read_whose_body_stalls_ends_and_is_recorded() {
    let rig = impatient().await;
    for line in ["GET /vault/k", "GET /vault?list-type=2"] {
        rig.upstream.answer_read_as_it_stands(line, STALLED);
        let reply = rig.send(&Ask::new(line)).await;
        assert_eq!(
            (reply.status, reply.body.len()),
            (200, 21),
            "{line}: what came is passed on, and no end is made up"
        );
    }
    let events = rig.events_when(2).await;
    assert!(events.iter().all(|event| !event.said().1.is_empty()), "{events:?}");
}

#[tokio::test]
async fn a_body_that_comes_slowly_but_steadily_passes() {
    let rig = Rig::with(|settings| settings.upstream.response_timeout = Duration::from_secs(5)).await;
    rig.upstream.answer_read_as_it_stands("GET /vault/k", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ncontent");
    assert_eq!(rig.send(&Ask::new("GET /vault/k")).await.body, "content");
}

#[tokio::test]
async fn a_write_whose_answer_stalls_ends_in_doubt_and_frees_its_bucket() {
    let rig = impatient().await;
    rig.protect("vault").await;
    rig.upstream.answer(Manner::StallAfterHead);
    let asks = [
        Ask::new("PUT /vault/k").body("x"),
        Ask::new("DELETE /vault/k"),
        Ask::new("POST /vault?delete").document("<Delete><Object><Key>k</Key></Object></Delete>"),
        Ask::new("PUT /vault?policy").body("{\"Statement\":[]}").header("x-amz-mfa", &rig.fresh_offer()),
    ];
    for ask in &asks {
        let reply = rig.send(ask).await;
        assert_eq!(reply.status, 503, "{ask:?} {reply:?}");
    }
    rig.upstream.answer(Manner::Answer);
    assert_eq!(rig.send(&Ask::new("PUT /vault/after").body("x")).await.status, 200);
    let events = rig.events();
    assert!(events.iter().filter(|event| event.said().1 == "ServiceUnavailable").count() >= asks.len(), "{events:?}");
}

#[tokio::test]
async fn a_completion_that_takes_long_is_kept_alive_and_a_late_error_is_one() {
    let rig = Rig::with(|settings| settings.upstream.response_timeout = Duration::from_secs(3)).await;
    rig.upstream.answer(Manner::StallAfterHead);
    let parts =
        "<CompleteMultipartUpload><Part><ETag>e</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
    let reply = rig.send(&Ask::new("POST /vault/k?uploadId=u").document(parts)).await;
    assert_eq!(reply.said(), (200, "ServiceUnavailable".to_owned()), "{reply:?}");
    assert_eq!(reply.body.matches("<?xml").count(), 1, "{reply:?}");
    let events = rig.events_when(1).await;
    assert_eq!(events[0].said(), ("CompleteMultipartUpload", "ServiceUnavailable"));
}

#[tokio::test]
async fn state_that_stalls_is_unknown_and_closes_the_bucket() {
    let rig = impatient().await;
    rig.protect("vault").await;
    rig.upstream.answer_read_as_it_stands("GET /vault?versioning=", STALLED);
    let reply = rig.send(&Ask::new("PUT /vault/k").body("x")).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(!rig.upstream.mutations().iter().any(|seen| seen.line() == "PUT /vault/k"));
}

#[tokio::test]
async fn writes_of_clients_that_left_are_bounded_and_keep_root_from_nothing() {
    let rig = Rig::with(|settings| {
        settings.limits.writes = 8;
        settings.limits.body_idle = MOMENT;
    })
    .await;
    let mallory = rig.user("mallory").await;
    rig.upstream.answer(Manner::Hold);
    for number in 1..3 {
        let ask = Ask::new(&format!("DELETE /scratch/left{number}"));
        let connection = open(rig.address, &ask.signed(&mallory, rig.now())).await;
        wait_for("at the store", || (rig.upstream.mutations().len() == number).then_some(())).await;
        drop(connection);
    }
    let third = exchange(rig.address, &Ask::new("DELETE /scratch/third").signed(&mallory, rig.now())).await;
    assert_eq!(third.said(), (503, "SlowDown".to_owned()));
    let root = open(rig.address, &Ask::new("DELETE /scratch/roots").signed(&rig.root, rig.now())).await;
    wait_for("root's at the store", || (rig.upstream.mutations().len() == 3).then_some(())).await;
    assert_eq!(rig.upstream.mutations()[2].line(), "DELETE /scratch/roots");
    rig.upstream.answer(Manner::Answer);
    drop(root);
    let events = rig.events_when(4).await;
    assert_eq!(events.iter().filter(|event| event.said().1 == "SlowDown").count(), 1, "{events:?}");
}

#[tokio::test]
async fn as_many_headers_as_a_store_holds_come_through() {
    let rig = Rig::start().await;
    let names: Vec<String> = (0..300).map(|number| format!("x-amz-meta-name-{number}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    for line in ["GET /vault/k", "HEAD /vault/k"] {
        rig.upstream.answer_read(line, 200, &headers);
        let bytes = Ask::new(line).signed(&rig.root, rig.now());
        let reply = exchange(rig.address, &bytes).await;
        let found = reply.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-name-")).count();
        assert_eq!((reply.status, found), (200, 300), "{line}");
    }
}

#[tokio::test]
async fn what_an_error_says_of_the_object_is_passed_on_and_what_it_says_of_the_store_is_not() {
    let rig = Rig::start().await;
    let said = "<Error><Code>InvalidRange</Code><Message>m</Message><RangeRequested>bytes=9-</RangeRequested>\
                <ActualObjectSize>3</ActualObjectSize><Key>k</Key><Endpoint>store.internal</Endpoint>\
                <HostId>their-host</HostId><RequestId>theirs</RequestId><Resource>/their/path</Resource></Error>";
    rig.upstream.answer_read_with("GET /vault/k", 416, said);
    let reply = rig.send(&Ask::new("GET /vault/k")).await;
    assert_eq!(reply.said(), (416, "InvalidRange".to_owned()));
    for (name, text) in [("RangeRequested", "bytes=9-"), ("ActualObjectSize", "3"), ("Key", "k")] {
        assert_eq!(reply.element(name).as_deref(), Some(text));
    }
    for theirs in ["store.internal", "their-host", "theirs", "/their/path"] {
        assert!(!reply.body.contains(theirs), "{theirs}: {reply:?}");
    }
}

#[tokio::test]
async fn a_bare_status_has_the_code_by_which_sdks_decide_to_retry() {
    let rig = Rig::start().await;
    let mut table = String::new();
    for status in [400, 403, 404, 405, 408, 409, 412, 416, 429, 500, 501, 502, 503, 504] {
        let headers = [("retry-after", "7"), ("allow", "DELETE"), ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")];
        rig.upstream.answer_read("GET /vault/k", status, &headers);
        let reply = rig.send(&Ask::new("GET /vault/k")).await;
        let has = |name: &str| reply.headers.iter().any(|(known, _)| known == name);
        assert!(has("retry-after"), "{status}");
        assert_eq!(has("last-modified"), status == 405, "{status}");
        writeln!(table, "{status}: {} {}", reply.status, reply.code()).expect("written");
    }
    insta::assert_snapshot!(table);
    let codes: Vec<String> = rig.events().iter().map(|event| event.said().1.to_owned()).collect();
    assert!(codes.contains(&"SlowDown".to_owned()) && codes.contains(&"RequestTimeout".to_owned()), "{codes:?}");
}
