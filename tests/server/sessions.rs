//! Temporary credentials: how they are asked for, what they open, and what ends them.

use serde_json::{Value, json};

use crate::rig::{Ask, Event, Keys, Reply, Rig, exchange};

/// Credentials of a session.
#[derive(Clone, Debug)]
struct Session {
    keys: Keys,
    token: String,
}

impl Session {
    fn of(reply: &Reply) -> Self {
        let text = |element| reply.element(element).unwrap_or_else(|| panic!("no {element} in {reply:?}"));
        let keys = Keys { key_id: text("AccessKeyId"), secret: text("SecretAccessKey") };
        Self { keys, token: text("SessionToken") }
    }

    /// Sends a request that the session signs.
    async fn send(&self, rig: &Rig, ask: Ask) -> Reply {
        let ask = ask.header("x-amz-security-token", &self.token);
        exchange(rig.address, &ask.signed(&self.keys, rig.now())).await
    }
}

fn get_session(parameters: &str) -> Ask {
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    let form = format!("Action=GetSessionToken&Version=2011-06-15{parameters}");
    Ask::new("POST /").header("content-type", content_type).body(form).for_service("sts")
}

fn with_code(offer: &str) -> Ask {
    let (serial, code) = offer.split_once(' ').expect("an offer");
    let serial = portcullis_base::percent::percent_encode(serial);
    get_session(&format!("&SerialNumber={serial}&TokenCode={code}"))
}

async fn session(rig: &Rig, keys: &Keys, parameters: &str) -> Session {
    let reply = exchange(rig.address, &get_session(parameters).signed(keys, rig.now())).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    Session::of(&reply)
}

fn last(rig: &Rig) -> Event {
    rig.events().pop().expect("recorded")
}

fn read() -> Ask {
    Ask::new("GET /photos/cat")
}

#[tokio::test]
async fn a_session_acts_as_its_holder_and_its_records_say_so() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    for (keys, name) in [(&rig.root, "Root"), (&alice, "IAMUser")] {
        let session = session(&rig, keys, "").await;
        assert!(session.keys.key_id.starts_with("ASIA"));
        let issued = last(&rig);
        assert_eq!(issued.text(&["userIdentity", "accessKeyId"]), keys.key_id);
        assert_eq!(issued.text(&["responseElements", "credentials", "accessKeyId"]), session.keys.key_id);
        assert_eq!((&issued.0["readOnly"], &issued.0["requestParameters"]), (&json!(true), &Value::Null));
        assert_eq!(issued.0["userIdentity"]["sessionContext"], Value::Null);

        assert_eq!(session.send(&rig, read()).await.status, 200);
        let event = last(&rig);
        assert_eq!((event.text(&["userIdentity", "type"]), event.text(&["eventName"])), (name, "GetObject"));
        assert_eq!(event.text(&["userIdentity", "accessKeyId"]), session.keys.key_id);
        let attributes = &event.0["userIdentity"]["sessionContext"]["attributes"];
        assert_eq!(*attributes, json!({ "creationDate": "2027-01-15T08:00:00Z", "mfaAuthenticated": "false" }));

        let token = portcullis_base::percent::percent_encode(&session.token);
        let url = read().with_query(&format!("X-Amz-Security-Token={token}"));
        assert_eq!(exchange(rig.address, &url.presigned(&session.keys, rig.now())).await.status, 200);
        let whoami = Ask::new("POST /").body("Action=GetCallerIdentity&Version=2011-06-15").for_service("sts");
        assert_eq!(session.send(&rig, whoami).await.status, 200);
        assert!(!rig.events().iter().any(|event| event.0.to_string().contains(&session.token)));
        assert!(!rig.events().iter().any(|event| event.0.to_string().contains(&session.keys.secret)));
    }
}

#[tokio::test]
async fn a_session_with_a_code_spends_it_and_is_recorded_with_it() {
    let rig = Rig::start().await;
    let offer = rig.fresh_offer();
    let reply = rig.send(&with_code(&offer)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let event = last(&rig);
    assert_eq!(event.text(&["additionalEventData", "MfaDelete", "result"]), "Accepted");
    assert_eq!(event.0["requestParameters"], json!({ "serialNumber": rig.device.serial }));
    let session = Session::of(&reply);
    assert_eq!(session.send(&rig, read()).await.status, 200);
    let authenticated = ["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"];
    assert_eq!(last(&rig).text(&authenticated), "true");

    let again = rig.send(&with_code(&offer)).await;
    assert_eq!(again.said(), (403, "AccessDenied".to_owned()));
    assert!(again.body.contains("MultiFactorAuthentication failed with invalid MFA one time pass code"), "{again:?}");
    assert_eq!(last(&rig).text(&["additionalEventData", "MfaDelete", "result"]), "Replayed");
}

#[tokio::test]
async fn no_session_opens_a_protected_version_or_iam_or_another_session() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let reply = rig.send(&with_code(&rig.fresh_offer())).await;
    let session = Session::of(&reply);
    let version = || Ask::new("DELETE /vault/k?versionId=v1");
    assert_eq!(session.send(&rig, version()).await.said(), (403, "AccessDenied".to_owned()));
    let offered = version().header("x-amz-mfa", &rig.fresh_offer());
    assert_eq!(session.send(&rig, offered).await.said(), (400, "InvalidRequest".to_owned()));
    assert!(rig.upstream.seen().iter().all(|seen| seen.method != "DELETE"), "{:?}", rig.upstream.seen());

    let users = Ask::new("POST /").body("Action=ListUsers&Version=2010-05-08").for_service("iam");
    assert_eq!(session.send(&rig, users).await.said(), (403, "InvalidClientTokenId".to_owned()));
    assert_eq!(last(&rig).said(), ("ListUsers", "InvalidClientTokenId"));
    let another = session.send(&rig, get_session("")).await;
    assert_eq!(another.said(), (403, "AccessDenied".to_owned()));
    assert!(another.body.contains("Cannot call GetSessionToken with session credentials"), "{another:?}");
}

#[tokio::test]
async fn roots_codes_are_roots_alone() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    let offer = rig.fresh_offer();
    let hers = exchange(rig.address, &with_code(&offer).signed(&alice, rig.now())).await;
    assert_eq!(hers.said(), (403, "AccessDenied".to_owned()));
    assert_eq!(last(&rig).text(&["additionalEventData", "MfaDelete", "result"]), "NotRoot");
    assert_eq!(rig.send(&with_code(&offer)).await.status, 200, "still unspent");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_it_was_asked_for_and_roots_an_hour() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    let (short, roots) = (
        session(&rig, &alice, "&DurationSeconds=900").await,
        session(&rig, &rig.root, "&DurationSeconds=129600").await,
    );
    rig.pass_steps(29);
    assert_eq!(short.send(&rig, read()).await.status, 200);
    rig.pass_steps(1);
    assert_eq!(short.send(&rig, read()).await.said(), (400, "ExpiredToken".to_owned()));
    assert_eq!(roots.send(&rig, read()).await.status, 200);
    rig.pass_steps(90);
    assert_eq!(roots.send(&rig, read()).await.said(), (400, "ExpiredToken".to_owned()));
    let whoami = Ask::new("POST /").body("Action=GetCallerIdentity&Version=2011-06-15").for_service("sts");
    assert_eq!(roots.send(&rig, whoami).await.said(), (403, "ExpiredToken".to_owned()));
    for (parameters, code) in [
        ("&DurationSeconds=899", "ValidationError"),
        ("&DurationSeconds=129601", "ValidationError"),
        ("&DurationSeconds=%2B900", "ValidationError"),
        ("&SerialNumber=20899872", "ValidationError"),
        ("&TokenCode=123456", "ValidationError"),
        ("&Policy=a", "UnknownParameter"),
    ] {
        assert_eq!(rig.send(&get_session(parameters)).await.said(), (400, code.to_owned()), "{parameters}");
    }
}

#[tokio::test]
async fn a_session_ends_at_once_with_the_key_that_asked_for_it() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    let session = session(&rig, &alice, "").await;
    assert_eq!(session.send(&rig, read()).await.status, 200);
    let iam = |action: &str, rest: &str| {
        let form = format!("Action={action}&Version=2010-05-08&UserName=alice&AccessKeyId={}{rest}", alice.key_id);
        Ask::new("POST /").body(form).for_service("iam")
    };
    for (ask, said) in [
        (iam("UpdateAccessKey", "&Status=Inactive"), (400, "InvalidToken")),
        (iam("UpdateAccessKey", "&Status=Active"), (200, "")),
        (iam("DeleteAccessKey", ""), (400, "InvalidToken")),
    ] {
        assert_eq!(rig.send(&ask).await.status, 200);
        assert_eq!(session.send(&rig, read()).await.said(), (said.0, said.1.to_owned()), "{ask:?}");
    }
}

#[tokio::test]
async fn a_token_is_worth_nothing_without_its_secret_or_with_another_key() {
    let rig = Rig::start().await;
    let (one, two) = (session(&rig, &rig.root, "").await, session(&rig, &rig.root, "").await);
    let mixed = Session { keys: two.keys.clone(), token: one.token.clone() };
    assert_eq!(mixed.send(&rig, read()).await.said(), (400, "InvalidToken".to_owned()));
    let stolen = Session { keys: Keys { secret: "wrong".to_owned(), ..one.keys.clone() }, token: one.token.clone() };
    assert_eq!(stolen.send(&rig, read()).await.said(), (403, "SignatureDoesNotMatch".to_owned()));
    let long_term = Session { keys: rig.root.clone(), token: one.token.clone() };
    assert_eq!(long_term.send(&rig, read()).await.said(), (400, "InvalidToken".to_owned()));
    let bare = exchange(rig.address, &read().signed(&one.keys, rig.now())).await;
    assert_eq!(bare.said(), (403, "InvalidAccessKeyId".to_owned()));
    let rig = rig.restart(|_| {}).await;
    assert_eq!(one.send(&rig, read()).await.status, 200, "a restart ends no session");
}
