//! Who may do what, where, and by which code.

use std::fmt::Write as _;

use super::*;
use portcullis_authorization::StateChange;
use portcullis_base::names::{BucketName, UserName};
use portcullis_http::Transport;
use portcullis_state::BucketRecord;
use portcullis_state::testing::enrolled;

fn caller(principal: Principal, transport: Transport) -> Caller {
    Caller { principal, transport, ..Caller::operator() }
}

fn root_on_the_port() -> Caller {
    caller(Principal::Root, Transport::Tls)
}

fn alice() -> Principal {
    Principal::User(UserName::parse("alice").expect("a name"))
}

/// A state with keys of root and of alice, a device that is not active, and perhaps one that is.
struct World {
    state: StateStore,
    phone: Option<NewDevice>,
    spare: NewDevice,
    root_key: String,
    alice_key: String,
}

impl World {
    async fn new(active: usize) -> Self {
        let state = state().await;
        let phone = match active {
            0 => None,
            _ => Some(enrolled(&state, "phone", at(0)).await),
        };
        let spare = made(&state, "spare").await;
        let root_key = state.keys(&Principal::Root).first().expect("a key").id.to_string();
        plainly(&state, "Action=CreateUser&UserName=alice").await;
        let (_, alice_key) = plainly(&state, "Action=CreateAccessKey&UserName=alice").await;
        let alice_key = inside(&alice_key, "AccessKeyId").to_owned();
        Self { state, phone, spare, root_key, alice_key }
    }

    /// A code that was not used yet, if a device is active.
    fn offer(&self, now: Timestamp) -> MfaToken {
        let shown = self.phone.as_ref().unwrap_or(&self.spare);
        MfaToken::Codes(codes(shown, 1, now))
    }

    /// The requests, each by the name of its row.
    fn requests(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let Self { root_key, alice_key, spare, .. } = self;
        let phone = self.phone.as_ref().unwrap_or(spare);
        let given = "&AccessKeyId=backup.app&SecretAccessKey=wJalrXUtnFEMIK7MDENG";
        vec![
            ("AcceptClock", "Action=AcceptClock".to_owned()),
            ("CreateAccessKey (root's)", "Action=CreateAccessKey".to_owned()),
            ("CreateAccessKey (alice's)", "Action=CreateAccessKey&UserName=alice".to_owned()),
            ("CreateAccessKey (given)", format!("Action=CreateAccessKey&UserName=alice{given}")),
            ("CreateUser", "Action=CreateUser&UserName=bob".to_owned()),
            ("CreateVirtualMFADevice", "Action=CreateVirtualMFADevice&VirtualMFADeviceName=third".to_owned()),
            (
                "CreateVirtualMFADevice (digits)",
                "Action=CreateVirtualMFADevice&VirtualMFADeviceName=third&Digits=8".to_owned(),
            ),
            ("DeactivateMFADevice", format!("Action=DeactivateMFADevice&SerialNumber={}", phone.serial)),
            ("DeleteAccessKey (root's)", format!("Action=DeleteAccessKey&AccessKeyId={root_key}")),
            ("DeleteAccessKey (alice's)", format!("Action=DeleteAccessKey&UserName=alice&AccessKeyId={alice_key}")),
            ("DeleteUser", "Action=DeleteUser&UserName=alice".to_owned()),
            ("DeleteUserUpstreamCredentials", "Action=DeleteUserUpstreamCredentials&UserName=alice".to_owned()),
            ("DeleteVirtualMFADevice", format!("Action=DeleteVirtualMFADevice&SerialNumber={}", spare.serial)),
            ("DeleteVirtualMFADevice (active)", format!("Action=DeleteVirtualMFADevice&SerialNumber={}", phone.serial)),
            ("EnableMFADevice", enabling(spare, now)),
            ("GetClock", "Action=GetClock".to_owned()),
            ("GetUser", "Action=GetUser".to_owned()),
            ("GetUser (alice)", "Action=GetUser&UserName=alice".to_owned()),
            ("GetAccountSummary", "Action=GetAccountSummary".to_owned()),
            ("GetLoginProfile", "Action=GetLoginProfile".to_owned()),
            ("ListAccessKeys", "Action=ListAccessKeys".to_owned()),
            ("ListAccountAliases", "Action=ListAccountAliases".to_owned()),
            ("ListMFADevices", "Action=ListMFADevices".to_owned()),
            ("ListUsers", "Action=ListUsers".to_owned()),
            ("ListVirtualMFADevices", "Action=ListVirtualMFADevices".to_owned()),
            ("PutUserUpstreamCredentials", format!("Action=PutUserUpstreamCredentials&UserName=alice{given}")),
            ("ResyncMFADevice", enabling(phone, now).replace("EnableMFADevice", "ResyncMFADevice")),
            ("UpdateAccessKey (root's)", format!("Action=UpdateAccessKey&AccessKeyId={root_key}&Status=Inactive")),
            ("UpdateAccessKey (alice's)", format!("Action=UpdateAccessKey&AccessKeyId={alice_key}&Status=Inactive")),
        ]
    }
}

fn told(reply: &IamReply) -> String {
    let code = match reply.code {
        JudgedCode::Accepted => " by code",
        JudgedCode::NotLookedAt => "",
        JudgedCode::Rejected(_) => " code rejected",
    };
    let demand = match reply.mfa {
        MfaDemand::None => "",
        MfaDemand::Required => " code wanted",
    };
    format!("{} {}{code}{demand}", reply.status, inside(reply.body.expose(), "Code"))
        .replace("  ", " ")
        .trim()
        .to_owned()
}

#[tokio::test]
async fn each_action_has_its_rule_for_each_caller_on_each_channel() {
    let mut table = String::new();
    let rows = World::new(0).await.requests(at(60)).len();
    let callers = [
        ("root, admin socket", Caller::operator()),
        ("root, port", root_on_the_port()),
        ("root, port in the clear", caller(Principal::Root, Transport::Plain)),
        ("alice, port", caller(alice(), Transport::Tls)),
    ];
    for row in 0..rows {
        for (place, caller) in &callers {
            let mut cells = Vec::new();
            let mut name = "";
            for (devices, offered) in [(0, false), (0, true), (1, false), (1, true)] {
                let world = World::new(devices).await;
                let now = at(60);
                let offer = if offered { world.offer(now) } else { MfaToken::Absent };
                let (row, query) = world.requests(now).swap_remove(row);
                name = row;
                cells.push(told(&ask_as(caller, &world.state, &query, offer, now).await));
            }
            let [none, none_offered, some, some_offered] = cells.as_slice() else { panic!("four cells") };
            writeln!(table, "{name}, {place}").expect("written");
            writeln!(table, "    no device: {none} | with an offer: {none_offered}").expect("written");
            writeln!(table, "    a device:  {some} | with an offer: {some_offered}").expect("written");
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn each_refusal_for_want_of_a_right_names_the_resource() {
    let world = World::new(1).await;
    let mut table = String::new();
    for (name, query) in world.requests(at(60)) {
        let reply = ask_as(&caller(alice(), Transport::Tls), &world.state, &query, MfaToken::Absent, at(60)).await;
        let message = inside(reply.body.expose(), "Message").replace(world.state.account().as_str(), "ACCOUNT");
        writeln!(table, "{name}: {message}").expect("written");
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_user_that_names_nobody_means_itself() {
    let world = World::new(1).await;
    let alice = caller(alice(), Transport::Tls);
    for action in ["GetUser", "ListAccessKeys", "ListMFADevices", "CreateAccessKey"] {
        let reply = ask_as(&alice, &world.state, &format!("Action={action}"), MfaToken::Absent, at(60)).await;
        let message = inside(reply.body.expose(), "Message");
        let resource = format!("on resource: arn:aws:iam::{}:user/alice because", world.state.account());
        assert!(reply.status == 403 && message.contains(&resource), "{message}");
    }
}

#[tokio::test]
async fn root_may_be_named_where_tools_demand_a_name() {
    let world = World::new(1).await;
    let named = format!("{}&UserName=AWS%20ROOT%20USER", enabling(&world.spare, at(60)));
    let reply = ask_as(&root_on_the_port(), &world.state, &named, world.offer(at(60)), at(60)).await;
    assert_eq!(reply.status, 200, "{}", reply.body.expose());
    let elsewhere = "Action=CreateAccessKey&UserName=AWS%20ROOT%20USER";
    assert_eq!(refusal(&world.state, elsewhere).await, (400, "ValidationError".to_owned()));
    let users = format!("{}&UserName=alice", enabling(&world.spare, at(60)));
    assert_eq!(refusal(&world.state, &users).await, (400, "InvalidInput".to_owned()));
}

#[tokio::test]
async fn a_refusal_says_where_it_can_be_done() {
    let world = World::new(0).await;
    let root = root_on_the_port();
    for (query, place) in [
        (enabling(&world.spare, at(0)), "portcullis mfa add"),
        ("Action=CreateVirtualMFADevice&VirtualMFADeviceName=third".to_owned(), "portcullis mfa add"),
        ("Action=CreateAccessKey".to_owned(), "portcullis key"),
    ] {
        let reply = ask_as(&root, &world.state, &query, MfaToken::Absent, at(0)).await;
        let message = inside(reply.body.expose(), "Message");
        assert!(reply.status == 403 && message.contains(place), "{message}");
    }
}

#[tokio::test]
async fn the_last_device_stays_while_a_bucket_is_protected() {
    for caller in [Caller::operator(), root_on_the_port()] {
        let world = World::new(1).await;
        let phone = world.phone.as_ref().expect("active");
        let vault = BucketName::parse("vault").expect("a name");
        let protect = |change| world.state.record_bucket(&vault, BucketRecord::UNPROTECTED, change, at(0));
        protect(StateChange::EnableMfaDelete).await.expect("recorded");
        let deactivate = format!("Action=DeactivateMFADevice&SerialNumber={}", phone.serial);
        let refused = ask_as(&caller, &world.state, &deactivate, world.offer(at(60)), at(60)).await;
        let code = inside(refused.body.expose(), "Code");
        assert_eq!((refused.status, code, refused.code), (409, "DeleteConflict", JudgedCode::NotLookedAt));
        assert!(inside(refused.body.expose(), "Message").contains("the bucket vault"));

        let spare = ask_as(&caller, &world.state, &enabling(&world.spare, at(60)), world.offer(at(60)), at(60)).await;
        assert_eq!(spare.status, 200, "{}", spare.body.expose());
        let gone = ask_as(&caller, &world.state, &deactivate, world.offer(at(90)), at(90)).await;
        assert_eq!((gone.status, gone.code), (200, JudgedCode::Accepted));
    }
}

#[tokio::test]
async fn a_new_device_has_the_digits_of_the_scope_and_a_picture_of_its_uri() {
    let state = state().await;
    let scope = IamScope { account: state.account(), channel: IamChannel::Port, digits: CodeDigits::Eight };
    enrolled(&state, "phone", at(0)).await;
    let form = crate::query::parse_form(b"Action=CreateVirtualMFADevice&VirtualMFADeviceName=spare").expect("a form");
    let made = outcome(&state, IamRequest::read(&form, scope), &root_on_the_port(), MfaToken::Absent, at(0)).await;
    let body = made.0.expect("made").body(RequestId::from_random([7; 16]));
    assert!(inside(body.expose(), "OtpauthUri").contains("digits=8"));
    use base64::Engine as _;
    let picture = base64::engine::general_purpose::STANDARD.decode(inside(body.expose(), "QRCodePNG")).expect("base64");
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
}
