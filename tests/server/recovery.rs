//! What becomes of requests that were under way when the proxy died: the next start asks the store.

use portcullis_journal::{Journal, JournalOptions, RecordKind};

use crate::rig::{Ask, Event, Manner, Rig};

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const PROTECTED: &str =
    "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";

/// Carries requests out, and then makes the journal of a proxy that died before it learnt how they ended.
pub(crate) async fn died_while(rig: Rig, asks: &[Ask], meanwhile: impl FnOnce(&Rig)) -> Rig {
    let before = rig.journal().len();
    for ask in asks {
        rig.send(ask).await;
    }
    let intents: Vec<_> = rig.journal().drain(before..).filter(|entry| entry.kind == RecordKind::Intent).collect();
    assert_eq!(intents.len(), asks.len(), "an intent each");
    meanwhile(&rig);
    let place = rig.journal_directory();
    rig.restart(|_| {
        let (journal, _) = Journal::open(&place, JournalOptions::default()).expect("a journal");
        for intent in intents {
            journal.append(RecordKind::Intent, &intent.payload).expect("taken");
        }
    })
    .await
}

/// The events that the start added, in order.
fn added(rig: &Rig, count: usize) -> Vec<Event> {
    let mut events = rig.events();
    events.split_off(events.len() - count)
}

/// How one such request ended, as the start saw it.
async fn ended(rig: Rig, ask: Ask, meanwhile: impl FnOnce(&Rig)) -> (Rig, String) {
    let rig = died_while(rig, &[ask], meanwhile).await;
    let event = added(&rig, 1).remove(0);
    let reason = event.text(&["addendum", "reason"]);
    let said = match event.text(&["errorCode"]) {
        "" => "Done",
        code => code,
    };
    let expected = if said == "OutcomeUnknown" { "SERVICE_OUTAGE" } else { "UPDATED_DATA" };
    assert_eq!(reason, expected, "{event:?}");
    let said = said.to_owned();
    (rig, said)
}

/// What was asked, what the next start asks for it, what that is answered, and the error code that is recorded.
type Case = (&'static str, &'static str, u16, &'static [(&'static str, &'static str)], &'static str);

#[tokio::test]
async fn each_request_ends_as_the_store_shows_it() {
    const OLD: &[(&str, &str)] = &[("last-modified", "Fri, 15 Jan 2027 07:44:00 GMT")];
    const NEW: &[(&str, &str)] = &[("last-modified", "Fri, 15 Jan 2027 07:46:00 GMT")];
    const MARKER: &[(&str, &str)] = &[("x-amz-delete-marker", "true")];
    let cases: &[Case] = &[
        ("DELETE /b/k?versionId=v1", "HEAD /b/k?versionId=v1", 404, &[], ""),
        ("DELETE /b/k?versionId=v1", "HEAD /b/k?versionId=v1", 200, &[], "NotCarriedOut"),
        ("DELETE /b/k?versionId=v1", "HEAD /b/k?versionId=v1", 405, MARKER, "NotCarriedOut"),
        ("DELETE /b/k?versionId=v1", "HEAD /b/k?versionId=v1", 503, &[], "OutcomeUnknown"),
        ("DELETE /b/k?versionId=null", "HEAD /b/k?versionId=null", 404, &[], ""),
        ("DELETE /b/k?versionId=null", "HEAD /b/k?versionId=null", 200, NEW, "OutcomeUnknown"),
        ("DELETE /b/k", "HEAD /b/k", 404, MARKER, ""),
        ("DELETE /b/k", "HEAD /b/k", 200, OLD, "NotCarriedOut"),
        ("DELETE /b/k", "HEAD /b/k", 200, NEW, "OutcomeUnknown"),
        ("DELETE /b/k", "HEAD /b/k", 200, &[], "OutcomeUnknown"),
        ("PUT /b/k", "HEAD /b/k", 404, &[], "NotCarriedOut"),
        ("PUT /b/k", "HEAD /b/k", 404, MARKER, "OutcomeUnknown"),
        ("PUT /b/k", "HEAD /b/k", 200, OLD, "NotCarriedOut"),
        ("PUT /b/k", "HEAD /b/k", 200, NEW, "OutcomeUnknown"),
        ("PUT /b", "HEAD /b", 200, &[], ""),
        ("PUT /b", "HEAD /b", 404, &[], "NotCarriedOut"),
        ("PUT /b", "HEAD /b", 403, &[], "OutcomeUnknown"),
        ("DELETE /b", "HEAD /b", 404, &[], ""),
        ("DELETE /b", "HEAD /b", 200, &[], "NotCarriedOut"),
        ("DELETE /b/k?uploadId=u%3D", "GET /b/k?max-parts=1&uploadId=u%3D", 404, &[], ""),
        ("DELETE /b/k?uploadId=u%3D", "GET /b/k?max-parts=1&uploadId=u%3D", 200, &[], "NotCarriedOut"),
        ("POST /b/k?uploads", "HEAD /b/k", 404, &[], "OutcomeUnknown"),
        ("PUT /b?versioning", "GET /b?versioning=", 404, &[], "NotCarriedOut"),
    ];
    // A bucket each, so that no two are about the same thing.
    let own = |line: &str, place: usize| line.replace("/b", &format!("/bucket-{place}"));
    let asks = cases.iter().enumerate();
    let asks = asks.map(|(place, (line, ..))| match *line {
        "PUT /b?versioning" => Ask::new(&own(line, place)).document(ENABLED),
        _ => Ask::new(&own(line, place)).body(if *line == "PUT /b/k" { "content" } else { "" }),
    });
    let asks: Vec<_> = asks.collect();
    let rig = died_while(Rig::start().await, &asks, |rig| {
        for (place, (_, look, status, headers, _)) in cases.iter().enumerate() {
            rig.upstream.answer_read(&own(look, place), *status, headers);
        }
    })
    .await;
    for (event, (line, look, status, headers, expected)) in added(&rig, cases.len()).iter().zip(cases) {
        let told = event.text(&["errorCode"]);
        assert_eq!(told, *expected, "{line}; {look}: {status} {headers:?}");
        let reason = if told == "OutcomeUnknown" { "SERVICE_OUTAGE" } else { "UPDATED_DATA" };
        assert_eq!(event.text(&["addendum", "reason"]), reason, "{line}");
    }
}

#[tokio::test]
async fn the_outcome_stands_for_the_request_of_the_intent() {
    let rig = Rig::start().await;
    let ask = Ask::new("DELETE /vault/%E2%80%AEkey?versionId=v1");
    let rig = died_while(rig, &[ask], |rig| {
        rig.upstream.answer_read("HEAD /vault/%E2%80%AEkey?versionId=v1", 404, &[]);
    })
    .await;
    let events = rig.events();
    let [first, again] = &events[..] else { panic!("{events:?}") };
    assert_eq!(first.text(&["eventID"]), again.text(&["eventID"]));
    assert_eq!(again.text(&["addendum", "originalEventID"]), first.text(&["eventID"]));
    assert_eq!(again.text(&["addendum", "updatedFields"]), "errorCode,errorMessage");
    let (first, again) = (first.0.as_object().expect("a record"), again.0.as_object().expect("a record"));
    let keys: Vec<_> = again.keys().filter(|key| *key != "addendum").collect();
    assert_eq!(keys, first.keys().collect::<Vec<_>>(), "in CloudTrail's order");
    let place = again.keys().position(|key| key == "addendum");
    assert_eq!(place.and_then(|place| again.keys().nth(place + 1)).map(String::as_str), Some("eventCategory"));
    let raw = rig.journal().pop().expect("a record").payload;
    assert!(!String::from_utf8(raw).expect("UTF-8").contains('\u{202e}'), "safe on a terminal still");
}

#[tokio::test]
async fn each_key_of_a_batch_ends_as_the_store_shows_it() {
    let document = "<Delete><Object><Key>a</Key><VersionId>v1</VersionId></Object><Object><Key>b</Key>\
        <VersionId>v2</VersionId></Object><Object><Key>c</Key><VersionId>v3</VersionId></Object></Delete>";
    for (third, said, failed) in [(404, "", 1), (503, "OutcomeUnknown", 2)] {
        let rig = Rig::start().await;
        let rig = died_while(rig, &[Ask::new("POST /vault?delete").document(document)], |rig| {
            rig.upstream.answer_read("HEAD /vault/a?versionId=v1", 404, &[]);
            rig.upstream.answer_read("HEAD /vault/b?versionId=v2", 200, &[]);
            rig.upstream.answer_read("HEAD /vault/c?versionId=v3", third, &[]);
        })
        .await;
        let events = added(&rig, 4);
        let told: Vec<_> = events.iter().map(Event::said).collect();
        let (deleted, kept) = (("DeleteObject", ""), ("DeleteObject", "NotCarriedOut"));
        assert_eq!(told, [("DeleteObjects", said), deleted, kept, ("DeleteObject", said)]);
        assert_eq!(events[0].0["additionalEventData"]["ErrorCount"], failed);
    }
}

#[tokio::test]
async fn requests_that_may_have_met_are_not_told_apart() {
    let rig = Rig::start().await;
    let asks = [Ask::new("PUT /vault/k").body("content"), Ask::new("DELETE /vault/k"), Ask::new("DELETE /vault/other")];
    let rig = died_while(rig, &asks, |rig| {
        rig.upstream.answer_read("HEAD /vault/k", 404, &[]);
        rig.upstream.answer_read("HEAD /vault/other", 404, &[]);
    })
    .await;
    let events = added(&rig, 3);
    let told: Vec<_> = events.iter().map(|event| event.text(&["errorCode"])).collect();
    assert_eq!(told, ["OutcomeUnknown", "OutcomeUnknown", ""]);
}

#[tokio::test]
async fn protection_that_was_recorded_stays_whatever_the_store_shows() {
    for (status, said) in [("Enabled", "Done"), ("Suspended", "OutcomeUnknown")] {
        let rig = Rig::start().await;
        let enable = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(PROTECTED);
        let (rig, told) = ended(rig, enable, |rig| rig.upstream.set_versioning("vault", status)).await;
        assert_eq!(told, said);
        assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Enabled"), "{status}");
    }
}

#[tokio::test]
async fn protection_that_was_about_to_go_stays() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    // The store failed, so the proxy has not recorded that MFA Delete is off.
    rig.upstream.answer(Manner::Refuse(500, "InternalError"));
    let disable = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &rig.fresh_offer()).document(
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>",
    );
    let (rig, said) = ended(rig, disable, |_| {}).await;
    assert_eq!(said, "OutcomeUnknown");
    assert_eq!(rig.mfa_delete("vault").await.as_deref(), Some("Enabled"));
}

#[tokio::test]
async fn a_protected_bucket_that_went_unseen_stays_protected_when_it_comes_again() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    rig.upstream.answer(Manner::Refuse(500, "InternalError"));
    let delete = Ask::new("DELETE /vault").header("x-amz-mfa", &rig.fresh_offer());
    let (rig, said) = ended(rig, delete, |rig| {
        rig.upstream.answer_read("HEAD /vault", 404, &[]);
        rig.upstream.answer(Manner::Answer);
    })
    .await;
    assert_eq!(said, "Done");
    assert_eq!(rig.send(&Ask::new("PUT /vault")).await.said(), (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn a_store_that_does_not_answer_does_not_keep_the_proxy_from_starting() {
    let rig = Rig::with(|settings| settings.upstream.response_timeout = std::time::Duration::from_millis(100)).await;
    let (_rig, said) = ended(rig, Ask::new("DELETE /vault/k?versionId=v1"), |rig| rig.upstream.fall_silent()).await;
    assert_eq!(said, "OutcomeUnknown");
}
