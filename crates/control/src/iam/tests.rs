//! The subset of IAM, asked as a client asks it.

use serde_json::Value;

mod policies;
mod table;

use super::*;
use crate::fixture::rights_of;
use portcullis_authorization::{Caller, LoopbackTrust, MfaProfile, PermittedAction, Rules, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, DeviceSerial, RequestId};
use portcullis_base::secret::Secret;
use portcullis_mfa::{CodeDigits, MfaDemand, MfaFault, MfaToken, UnmetChallenge};
use portcullis_s3::ReplicationRule;
use portcullis_sigv4::Principal;
use portcullis_state::testing::{HERE, code, codes, in_memory, shown_by};
use portcullis_state::{CodeSource, NewDevice, SpendError, StateStore};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_900_000_000 + seconds)
}

async fn state() -> StateStore {
    in_memory(at(0)).await.0
}

/// What a client is answered, and what the event is told.
#[derive(Debug)]
struct IamReply {
    status: u16,
    mfa: MfaDemand,
    body: Secret<String>,
    event: IamEvent,
    /// `responseElements`, or null.
    elements: Value,
    error: Option<String>,
    code: JudgedCode,
}

/// What became of the offered code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JudgedCode {
    Accepted,
    NotLookedAt,
    Rejected(MfaFault),
}

/// The steps of the story, without a journal.
async fn outcome(
    state: &StateStore,
    request: IamRequest,
    caller: &Caller,
    offer: MfaToken,
    now: Timestamp,
) -> (Result<IamAnswer, IamError>, JudgedCode) {
    let rules = Rules {
        profile: MfaProfile::Strict,
        replication: ReplicationRule::AnyBucket,
        loopback_is_secure: LoopbackTrust::TlsOnly,
    };
    let action = match request.into_action() {
        Ok(action) => action,
        Err(error) => return (Err(error), JudgedCode::NotLookedAt),
    };
    let facts = ActionFacts::read(&action, &caller.principal, rights_of(&caller.principal, state), state);
    let refused = |denial: ActionDenial| Err(denial.refused(|serial| state.codes_needed(serial, now)));
    match decide(action, caller, offer, &facts, rules) {
        Verdict::Permit(permit) => (perform(permit, state, now).await, JudgedCode::NotLookedAt),
        Verdict::Refuse(denial) => (refused(denial), JudgedCode::NotLookedAt),
        Verdict::Mfa(challenge) => {
            let ledger = state.step_ledger(&caller.principal, CodeSource::AdminSocket, now);
            match portcullis_mfa::spend(challenge, &ledger).await {
                Ok(proof) => (perform(ActionPermit::by_proof(proof), state, now).await, JudgedCode::Accepted),
                Err(UnmetChallenge { challenge, error: SpendError::Fault(fault) }) => {
                    (refused(ActionPlan::unmet(&challenge, fault)), JudgedCode::Rejected(fault))
                }
                Err(UnmetChallenge { challenge, error: SpendError::Store(error) }) => {
                    let serial = &challenge.codes().serial;
                    (Err(challenge.subject().unjudged(serial, error)), JudgedCode::NotLookedAt)
                }
            }
        }
    }
}

async fn ask(state: &StateStore, query: &str, offer: MfaToken, now: Timestamp) -> IamReply {
    ask_as(&Caller::operator(), state, query, offer, now).await
}

async fn ask_as(caller: &Caller, state: &StateStore, query: &str, offer: MfaToken, now: Timestamp) -> IamReply {
    let form = crate::query::parse_form(query.as_bytes()).expect("a form");
    let channel = IamChannel::of(caller.transport);
    let request = IamRequest::read(&form, IamScope { account: state.account(), channel, digits: CodeDigits::Six });
    let event = request.event().clone();
    let request_id = RequestId::from_random([7; 16]);
    match outcome(state, request, caller, offer, now).await {
        (Ok(answer), code) => IamReply {
            status: 200,
            mfa: MfaDemand::None,
            body: answer.body(request_id),
            event,
            elements: answer.elements().clone(),
            error: None,
            code,
        },
        (Err(error), code) => IamReply {
            status: error.status,
            mfa: error.mfa,
            body: error.body(request_id),
            event,
            elements: Value::Null,
            error: Some(error.code_in_record()),
            code,
        },
    }
}

/// Asks without an offer; status and body.
async fn plainly(state: &StateStore, query: &str) -> (u16, String) {
    let reply = ask(state, query, MfaToken::Absent, at(0)).await;
    (reply.status, reply.body.expose().clone())
}

/// Status and error code.
async fn refusal(state: &StateStore, query: &str) -> (u16, String) {
    let (status, body) = plainly(state, query).await;
    (status, inside(&body, "Code").to_owned())
}

fn inside<'a>(body: &'a str, element: &str) -> &'a str {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let rest = body.split_once(&open).map_or("", |(_, rest)| rest);
    rest.split_once(&close).map_or("", |(text, _)| text)
}

/// What a client keeps of `CreateVirtualMFADevice`.
fn read_device(body: &str) -> NewDevice {
    use base64::Engine as _;
    let seed = base64::engine::general_purpose::STANDARD.decode(inside(body, "Base32StringSeed")).expect("a blob");
    NewDevice {
        serial: DeviceSerial::parse(inside(body, "SerialNumber")).expect("a serial"),
        digits: CodeDigits::Six,
        base32_seed: Secret::new(String::from_utf8(seed).expect("base32")),
        otpauth_uri: Secret::new(inside(body, "OtpauthUri").to_owned()),
    }
}

async fn made(state: &StateStore, name: &str) -> NewDevice {
    let (status, body) =
        plainly(state, &format!("Action=CreateVirtualMFADevice&Version=2010-05-08&VirtualMFADeviceName={name}")).await;
    assert_eq!(status, 200, "{body}");
    read_device(&body)
}

fn enabling(device: &NewDevice, now: Timestamp) -> String {
    let pair = codes(device, 2, now).codes;
    let (first, second) = (pair[0].expose(), pair[1].expose());
    format!(
        "Action=EnableMFADevice&SerialNumber={}&AuthenticationCode1={first}&AuthenticationCode2={second}",
        device.serial
    )
}

#[tokio::test]
async fn the_first_device_is_made_and_enabled_and_listed() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    assert_eq!(phone.serial.as_str(), format!("arn:aws:iam::{}:mfa/phone", state.account()));
    assert!(phone.otpauth_uri.expose().starts_with("otpauth://totp/Portcullis:phone%40"));
    let reply = ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    assert_eq!(reply.status, 200, "{}", reply.body.expose());
    assert_eq!(
        *reply.body.expose(),
        "<EnableMFADeviceResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ResponseMetadata>\
         <RequestId>7777777777777777</RequestId></ResponseMetadata></EnableMFADeviceResponse>"
    );
    let (_, body) = plainly(&state, "Action=ListMFADevices").await;
    assert_eq!(
        inside(&body, "ListMFADevicesResult"),
        format!(
            "<MFADevices><member><SerialNumber>{}</SerialNumber><EnableDate>2030-03-17T17:46:40Z</EnableDate>\
             </member></MFADevices><IsTruncated>false</IsTruncated>",
            phone.serial
        )
    );
    state.spend(&codes(&phone, 1, at(30)), &Principal::Root, HERE, at(30)).await.expect("it works");
}

#[tokio::test]
async fn nothing_secret_is_in_the_facts() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    let query = enabling(&phone, at(0));
    let enabled = ask(&state, &query, MfaToken::Absent, at(0)).await;
    let created = ask(&state, "Action=CreateAccessKey", MfaToken::Absent, at(0)).await;
    let again = ask(&state, "Action=CreateVirtualMFADevice&VirtualMFADeviceName=b", MfaToken::Absent, at(0)).await;
    let told = format!("{enabled:?} {created:?} {again:?}");
    let shown = [phone.base32_seed.expose().clone(), inside(created.body.expose(), "SecretAccessKey").to_owned()];
    let shown = shown.into_iter().chain([inside(again.body.expose(), "OtpauthUri").to_owned()]);
    let typed = codes(&phone, 2, at(0)).codes.into_iter().map(|code| code.expose().to_owned());
    for secret in shown.chain(typed) {
        assert!(!secret.is_empty() && !told.contains(&secret), "{secret}");
    }
    let parameters = serde_json::json!({ "serialNumber": phone.serial.as_str(), "userName": "AWS ROOT USER" });
    assert_eq!(*enabled.event.facts().parameters, parameters);
    assert_eq!(created.elements["accessKey"]["status"], Value::from("Active"));
}

#[tokio::test]
async fn a_further_device_needs_a_code_of_an_active_one() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    let spare = made(&state, "spare").await;
    let query = enabling(&spare, at(30));
    let bare = ask(&state, &query, MfaToken::Absent, at(30)).await;
    assert_eq!((bare.status, inside(bare.body.expose(), "Code")), (403, "AccessDenied"));
    assert_eq!(inside(bare.body.expose(), "Message"), "Mfa Authentication must be used for this request");
    assert_eq!(bare.mfa, MfaDemand::Required);
    assert_eq!(bare.error.as_deref(), Some("AccessDenied"));

    let wrong = ask(&state, &query, MfaToken::Codes(codes(&phone, 1, at(9000))), at(30)).await;
    assert_eq!((wrong.status, inside(wrong.body.expose(), "Code")), (400, "TokenCodeInvalidError"));
    assert_eq!(wrong.mfa, MfaDemand::None);
    assert_eq!(wrong.code, JudgedCode::Rejected(MfaFault::WrongCode));
    let own = ask(&state, &query, MfaToken::Codes(codes(&spare, 1, at(30))), at(30)).await;
    assert_eq!((own.status, inside(own.body.expose(), "Code")), (400, "NotDeviceOwnerError"));

    let proved = ask(&state, &query, MfaToken::Codes(codes(&phone, 1, at(30))), at(30)).await;
    assert_eq!(proved.status, 200, "{}", proved.body.expose());
    assert_eq!(proved.code, JudgedCode::Accepted);
    let replayed = ask(&state, &query, MfaToken::Codes(codes(&phone, 1, at(30))), at(30)).await;
    assert_eq!((replayed.status, inside(replayed.body.expose(), "Code")), (409, "EntityAlreadyExists"));
}

#[tokio::test]
async fn an_active_device_goes_by_a_code_and_in_two_steps() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    let delete = format!("Action=DeleteVirtualMFADevice&SerialNumber={}", phone.serial);
    let deactivate = format!("Action=DeactivateMFADevice&SerialNumber={}", phone.serial);
    assert_eq!(refusal(&state, &delete).await, (409, "DeleteConflict".to_owned()));
    assert_eq!(refusal(&state, &deactivate).await, (403, "AccessDenied".to_owned()));
    let offer = MfaToken::Codes(codes(&phone, 1, at(30)));
    assert_eq!(ask(&state, &deactivate, offer, at(30)).await.status, 200);
    assert_eq!(refusal(&state, &deactivate).await, (404, "NoSuchEntity".to_owned()));
    assert_eq!(plainly(&state, &delete).await.0, 200);
    assert_eq!(refusal(&state, &delete).await, (404, "NoSuchEntity".to_owned()));
}

#[tokio::test]
async fn wrong_codes_enable_nothing_and_a_wrong_clock_is_named() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    let late = ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(120)).await;
    assert_eq!((late.status, inside(late.body.expose(), "Code")), (403, "InvalidAuthenticationCode"));
    assert_eq!(
        inside(late.body.expose(), "Message"),
        "Authentication code for device is not valid. The device&apos;s clock is 120 seconds behind; set it and try \
         again."
    );
    let wrong = ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(9000)).await;
    assert_eq!(inside(wrong.body.expose(), "Message"), "Authentication code for device is not valid.");
    let letters = format!(
        "Action=EnableMFADevice&SerialNumber={}&AuthenticationCode1=abcdef&AuthenticationCode2=123456",
        phone.serial
    );
    assert_eq!(refusal(&state, &letters).await, (400, "ValidationError".to_owned()));
}

#[tokio::test]
async fn a_drifted_device_is_brought_back_into_step() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    let resync = enabling(&phone, at(120)).replace("EnableMFADevice", "ResyncMFADevice");
    let reply = ask(&state, &resync, MfaToken::Absent, at(60)).await;
    assert_eq!(reply.status, 200, "{}", reply.body.expose());
    let again = ask(&state, &resync, MfaToken::Absent, at(60)).await;
    assert_eq!((again.status, inside(again.body.expose(), "Code")), (403, "InvalidAuthenticationCode"));
    let ahead = shown_by(&phone, [code(&phone, at(150))]);
    state.spend(&ahead, &Principal::Root, HERE, at(90)).await.expect("two steps ahead");
}

#[tokio::test]
async fn a_user_is_made_shown_listed_and_goes_after_its_keys() {
    let state = state().await;
    let (status, body) = plainly(&state, "Action=CreateUser&UserName=alice").await;
    assert_eq!(status, 200);
    let described = inside(&body, "User");
    assert_eq!(inside(described, "Arn"), format!("arn:aws:iam::{}:user/alice", state.account()));
    assert!(inside(described, "UserId").starts_with("AIDA") && inside(described, "UserId").len() == 21);
    assert_eq!(refusal(&state, "Action=CreateUser&UserName=Alice").await, (409, "EntityAlreadyExists".to_owned()));
    let (_, got) = plainly(&state, "Action=GetUser&UserName=alice").await;
    assert_eq!(inside(&got, "User"), described);
    let (_, listed) = plainly(&state, "Action=ListUsers").await;
    assert_eq!(inside(inside(&listed, "Users"), "member"), described);

    let (_, key) = plainly(&state, "Action=CreateAccessKey&UserName=alice").await;
    let id = AccessKeyId::parse(inside(&key, "AccessKeyId")).expect("an id");
    assert!(
        state
            .keyring()
            .find(&id)
            .is_some_and(|kept| { kept.secret.matches(inside(&key, "SecretAccessKey").as_bytes()) })
    );
    assert_eq!(refusal(&state, "Action=DeleteUser&UserName=alice").await, (409, "DeleteConflict".to_owned()));
    let disable = format!("Action=UpdateAccessKey&AccessKeyId={id}&Status=Inactive");
    assert_eq!(plainly(&state, &disable).await.0, 200);
    let (_, keys) = plainly(&state, "Action=ListAccessKeys&UserName=alice").await;
    assert_eq!(inside(inside(&keys, "AccessKeyMetadata"), "Status"), "Inactive");
    assert!(!keys.contains("SecretAccessKey"));
    let not_hers = format!("Action=DeleteAccessKey&UserName=bob&AccessKeyId={id}");
    assert_eq!(refusal(&state, &not_hers).await, (404, "NoSuchEntity".to_owned()));
    assert_eq!(plainly(&state, &format!("Action=DeleteAccessKey&AccessKeyId={id}")).await.0, 200);
    assert_eq!(plainly(&state, "Action=DeleteUser&UserName=alice").await.0, 200);
    assert_eq!(refusal(&state, "Action=GetUser&UserName=alice").await, (404, "NoSuchEntity".to_owned()));
}

#[tokio::test]
async fn a_key_that_clients_hold_already_is_taken_as_it_is_and_its_secret_never_told() {
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+secret";
    let state = state().await;
    plainly(&state, "Action=CreateUser&UserName=alice").await;
    plainly(&state, "Action=CreateUser&UserName=bob").await;
    let given = |user: &str, id: &str, secret: &str| {
        let secret = secret.replace('+', "%2B").replace('/', "%2F");
        format!("Action=CreateAccessKey&UserName={user}&AccessKeyId={id}&SecretAccessKey={secret}")
    };
    let made = ask(&state, &given("alice", "backup.app", SECRET), MfaToken::Absent, at(0)).await;
    assert_eq!(made.status, 200);
    assert!(!format!("{made:?} {}", made.body.expose()).contains(SECRET));
    assert_eq!(made.event.facts().parameters["accessKeyId"], Value::from("backup.app"));
    let id = AccessKeyId::parse("backup.app").expect("an id");
    assert!(state.keyring().find(&id).is_some_and(|kept| kept.secret.matches(SECRET.as_bytes())));
    for (user, id, secret, refused) in [
        ("alice", "backup.app", SECRET, (409, "EntityAlreadyExists")),
        ("bob", "backup.app", SECRET, (409, "EntityAlreadyExists")),
        ("carol", "other.app", SECRET, (404, "NoSuchEntity")),
        ("bob", "a,b", SECRET, (400, "ValidationError")),
        ("bob", "other.app", "short", (400, "ValidationError")),
        ("bob", "other.app", "", (400, "ValidationError")),
        ("bob", "", SECRET, (400, "ValidationError")),
    ] {
        assert_eq!(refusal(&state, &given(user, id, secret)).await, (refused.0, refused.1.to_owned()), "{user} {id}");
    }
    let half = "Action=CreateAccessKey&UserName=bob&AccessKeyId=other.app";
    assert_eq!(refusal(&state, half).await, (400, "ValidationError".to_owned()));
    assert!(!plainly(&state, "Action=ListAccessKeys&UserName=bob").await.1.contains("AccessKeyId"));
    assert_eq!(plainly(&state, "Action=CreateAccessKey&UserName=alice").await.0, 200);
    assert_eq!(refusal(&state, &given("alice", "third.app", SECRET)).await, (409, "LimitExceeded".to_owned()));
}

#[tokio::test]
async fn a_user_is_given_a_key_at_the_upstream_and_its_secret_never_told() {
    const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-secret";
    let state = state().await;
    plainly(&state, "Action=CreateUser&UserName=alice").await;
    let put = |user: &str, id: &str, secret: &str| {
        format!("Action=PutUserUpstreamCredentials&UserName={user}&AccessKeyId={id}&SecretAccessKey={secret}")
    };
    let given = ask(&state, &put("alice", "alice-at-the-store", SECRET), MfaToken::Absent, at(0)).await;
    assert_eq!(given.status, 200, "{}", given.body.expose());
    assert!(!format!("{given:?} {}", given.body.expose()).contains(SECRET));
    assert_eq!(
        *given.event.facts().parameters,
        serde_json::json!({ "userName": "alice", "accessKeyId": "alice-at-the-store" })
    );
    assert_eq!(given.elements["upstreamCredentials"]["accessKeyId"], Value::from("alice-at-the-store"));
    for query in ["Action=GetUser&UserName=alice", "Action=ListUsers"] {
        let (_, shown) = plainly(&state, query).await;
        assert_eq!(inside(&shown, "UpstreamAccessKeyId"), "alice-at-the-store", "{query}");
        assert!(!shown.contains(SECRET));
    }
    assert_eq!(plainly(&state, &put("alice", "next", SECRET)).await.0, 200);
    assert_eq!(inside(&plainly(&state, "Action=GetUser&UserName=alice").await.1, "UpstreamAccessKeyId"), "next");
    for (user, id, secret, refused) in [
        ("carol", "other", SECRET, (404, "NoSuchEntity")),
        ("", "other", SECRET, (400, "ValidationError")),
        ("alice", "a,b", SECRET, (400, "ValidationError")),
        ("alice", "other", "short", (400, "ValidationError")),
        ("alice", "", SECRET, (400, "ValidationError")),
    ] {
        assert_eq!(refusal(&state, &put(user, id, secret)).await, (refused.0, refused.1.to_owned()), "{user} {id}");
    }
    let root = "Action=PutUserUpstreamCredentials&AccessKeyId=other&SecretAccessKey=long-enough";
    assert_eq!(refusal(&state, root).await, (400, "ValidationError".to_owned()), "root has none");
    let delete = "Action=DeleteUserUpstreamCredentials&UserName=alice";
    assert_eq!(plainly(&state, delete).await.0, 200);
    assert_eq!(refusal(&state, delete).await, (404, "NoSuchEntity".to_owned()));
    assert!(!plainly(&state, "Action=GetUser&UserName=alice").await.1.contains("UpstreamAccessKeyId"));
}

#[tokio::test]
async fn without_a_user_name_root_is_meant() {
    let state = state().await;
    let (_, user) = plainly(&state, "Action=GetUser").await;
    assert_eq!(inside(&user, "Arn"), format!("arn:aws:iam::{}:root", state.account()));
    assert_eq!(plainly(&state, "Action=CreateAccessKey").await.0, 200);
    assert_eq!(refusal(&state, "Action=CreateAccessKey").await, (409, "LimitExceeded".to_owned()));
    let (_, keys) = plainly(&state, "Action=ListAccessKeys").await;
    assert_eq!(keys.matches("<AccessKeyId>").count(), 2);
    assert!(!keys.contains("UserName"));
}

#[tokio::test]
async fn the_account_is_summed_up_and_what_it_never_has_is_none() {
    let state = state().await;
    let entry = |body: &str, key: &str| {
        let (_, rest) = body.split_once(&format!("<key>{key}</key>")).expect("an entry");
        inside(rest, "value").to_owned()
    };
    plainly(&state, "Action=CreateUser&UserName=alice").await;
    made(&state, "spare").await;
    let (_, before) = plainly(&state, "Action=GetAccountSummary").await;
    let phone = made(&state, "phone").await;
    ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    let (_, after) = plainly(&state, "Action=GetAccountSummary").await;
    let told = |body: &str| {
        let keys = ["AccountMFAEnabled", "MFADevices", "MFADevicesInUse", "Users", "AccountAccessKeysPresent"];
        keys.map(|key| entry(body, key)).join(" ")
    };
    assert_eq!((told(&before).as_str(), told(&after).as_str()), ("0 1 0 1 1", "1 2 1 1 1"));
    for (query, list) in [
        ("Action=ListAccountAliases", "<AccountAliases></AccountAliases><IsTruncated>false</IsTruncated>"),
        ("Action=ListUserTags&UserName=alice", "<Tags></Tags><IsTruncated>false</IsTruncated>"),
        ("Action=ListSSHPublicKeys", "<SSHPublicKeys></SSHPublicKeys><IsTruncated>false</IsTruncated>"),
    ] {
        let (status, body) = plainly(&state, query).await;
        assert!(status == 200 && body.contains(list), "{body}");
    }
    for query in [
        "Action=GetAccountPasswordPolicy",
        "Action=GetLoginProfile",
        "Action=GetLoginProfile&UserName=alice",
        "Action=GetLoginProfile&UserName=bob",
        "Action=ListSigningCertificates&UserName=bob",
    ] {
        assert_eq!(refusal(&state, query).await, (404, "NoSuchEntity".to_owned()), "{query}");
    }
    assert_eq!(refusal(&state, "Action=ListUserTags").await, (400, "ValidationError".to_owned()));
}

#[tokio::test]
async fn a_list_goes_on_where_its_marker_says() {
    let state = state().await;
    for name in ["c", "a", "b"] {
        plainly(&state, &format!("Action=CreateUser&UserName={name}")).await;
    }
    let (_, first) = plainly(&state, "Action=ListUsers&MaxItems=2").await;
    assert_eq!((inside(&first, "IsTruncated"), inside(&first, "Marker")), ("true", "b"));
    let (_, rest) = plainly(&state, "Action=ListUsers&MaxItems=2&Marker=b").await;
    assert_eq!((inside(&rest, "IsTruncated"), inside(&rest, "UserName")), ("false", "c"));
    assert_eq!(refusal(&state, "Action=ListUsers&MaxItems=0").await.1, "ValidationError");
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let state = state().await;
    for (query, code) in [
        ("", "MissingAction"),
        ("Action=CreateRole", "InvalidAction"),
        ("Action=ListUsers&Version=2011-06-15", "InvalidAction"),
        ("Action=CreateUser", "ValidationError"),
        ("Action=CreateUser&UserName=", "ValidationError"),
        ("Action=CreateUser&UserName=a%20b", "ValidationError"),
        ("Action=CreateUser&UserName=a&Path=/team/", "ValidationError"),
        ("Action=CreateUser&UserName=a&Tags.member.1.Key=b", "InvalidInput"),
        ("Action=CreateVirtualMFADevice&VirtualMFADeviceName=a:b", "ValidationError"),
        ("Action=CreateVirtualMFADevice&VirtualMFADeviceName=a&Digits=7", "ValidationError"),
        ("Action=UpdateAccessKey&AccessKeyId=AKIAIOSFODNN7EXAMPLE&Status=Inactive", "NoSuchEntity"),
        ("Action=ListMFADevices&UserName=nobody", "NoSuchEntity"),
    ] {
        assert_eq!(refusal(&state, query).await.1, code, "{query}");
    }
    let user = portcullis_base::names::UserName::parse("a").expect("legal");
    assert!(state.user(&user).is_none());
}

#[tokio::test]
async fn a_refusal_is_well_formed_whatever_was_asked() {
    let state = state().await;
    let (status, body) = plainly(&state, "Action=%3C%26%3E").await;
    assert_eq!(status, 400);
    assert_eq!(inside(&body, "Message"), "Could not find operation &lt;&amp;&gt; for version 2010-05-08");
}

#[tokio::test]
async fn a_malformed_offer_is_refused_and_a_needless_one_not_spent() {
    let state = state().await;
    let phone = made(&state, "phone").await;
    ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    let malformed = ask(&state, "Action=ListUsers", MfaToken::parse(Some("123456")), at(0)).await;
    assert_eq!(malformed.status, 400);
    let offer = codes(&phone, 1, at(30));
    let needless = ask(&state, "Action=ListUsers", MfaToken::Codes(offer.clone()), at(30)).await;
    assert_eq!((needless.status, needless.code), (200, JudgedCode::NotLookedAt));
    state.spend(&offer, &Principal::Root, HERE, at(30)).await.expect("still unspent");
}

#[tokio::test]
async fn a_store_that_cannot_write_answers_503() {
    let (state, engine, _) = in_memory(at(0)).await;
    engine.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(refusal(&state, "Action=CreateUser&UserName=a").await, (503, "ServiceUnavailable".to_owned()));
}

#[tokio::test]
async fn the_credential_report_tells_the_keys_and_devices_of_all() {
    use base64::Engine as _;
    let state = state().await;
    plainly(&state, "Action=CreateUser&UserName=a,b").await;
    plainly(&state, "Action=CreateAccessKey&UserName=a,b").await;
    let phone = made(&state, "phone").await;
    ask(&state, &enabling(&phone, at(0)), MfaToken::Absent, at(0)).await;
    assert_eq!(inside(&plainly(&state, "Action=GenerateCredentialReport").await.1, "State"), "COMPLETE");
    let (_, told) = plainly(&state, "Action=GetCredentialReport").await;
    let report = base64::engine::general_purpose::STANDARD.decode(inside(&told, "Content")).expect("base64");
    let report = String::from_utf8(report).expect("text");
    let lines: Vec<&str> = report.lines().collect();
    let [head, root, user] = lines[..] else { panic!("{report}") };
    let unused = "N/A,N/A,N/A";
    let account = state.account();
    assert!(head.starts_with("user,arn,user_creation_time,password_enabled") && head.split(',').count() == 22);
    assert_eq!(
        root,
        format!(
            "<root_account>,arn:aws:iam::{account}:root,2030-03-17T17:46:40+00:00,not_supported,no_information,not_supported,\
             not_supported,true,\
             true,2030-03-17T17:46:40+00:00,{unused},false,N/A,{unused},false,N/A,false,N/A"
        )
    );
    assert!(user.starts_with(&format!("\"a,b\",\"arn:aws:iam::{account}:user/a,b\",")), "{user}");
    assert!(user.contains(&format!(",false,{unused},false,true,2030-03-17T17:46:40+00:00,{unused},false")), "{user}");
}
