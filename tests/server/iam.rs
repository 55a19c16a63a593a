//! IAM on the port: what root's key may change, what takes a code beside, and what is the machine's owner's alone.

use portcullis_base::network::IpNetwork;
use portcullis_base::percent::percent_encode;
use serde_json::{Value, json};

use crate::rig::{Ask, Device, Event, Keys, Reply, Rig, exchange};

/// A call as stock clients make it.
fn call(action: &str, parameters: &[(&str, &str)]) -> Ask {
    let mut form = format!("Action={action}&Version=2010-05-08");
    for (name, value) in parameters {
        form.push_str(&format!("&{name}={}", percent_encode(value)));
    }
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    Ask::new("POST /").header("content-type", content_type).body(form).for_service("iam")
}

async fn done(rig: &Rig, ask: &Ask) -> Reply {
    let reply = rig.send(ask).await;
    assert_eq!(reply.status, 200, "{ask:?}: {reply:?}");
    reply
}

fn text(reply: &Reply, element: &str) -> String {
    reply.element(element).unwrap_or_else(|| panic!("no {element} in {reply:?}"))
}

fn last(rig: &Rig) -> Event {
    rig.events().pop().expect("recorded")
}

/// What the last event says of the code.
fn code_in_record(rig: &Rig) -> String {
    last(rig).text(&["additionalEventData", "MfaDelete", "result"]).to_owned()
}

fn deactivate(rig: &Rig) -> Ask {
    call("DeactivateMFADevice", &[("SerialNumber", &rig.device.serial)])
}

#[tokio::test]
async fn root_manages_users_and_their_keys_on_record() {
    let rig = Rig::start().await;
    done(&rig, &call("CreateUser", &[("UserName", "alice")])).await;
    let event = last(&rig);
    assert_eq!((event.text(&["eventSource"]), event.said()), ("iam.amazonaws.com", ("CreateUser", "")));
    assert_eq!(event.text(&["userIdentity", "type"]), "Root");
    assert_eq!(event.text(&["userIdentity", "accessKeyId"]), rig.root.key_id);
    assert_eq!((&event.0["readOnly"], &event.0["requestParameters"]), (&json!(false), &json!({"userName": "alice"})));
    assert_eq!(event.text(&["responseElements", "user", "userName"]), "alice");
    assert_eq!(event.text(&["sourceIPAddress"]), "127.0.0.1");

    let made = done(&rig, &call("CreateAccessKey", &[("UserName", "alice")])).await;
    let alice = Keys { key_id: text(&made, "AccessKeyId"), secret: text(&made, "SecretAccessKey") };
    assert_eq!(last(&rig).text(&["responseElements", "accessKey", "accessKeyId"]), alice.key_id);
    let read = exchange(rig.address, &Ask::new("GET /photos/cat").signed(&alice, rig.now())).await;
    assert_eq!(read.said(), (403, "AccessDenied".to_owned()), "no policy allows anything yet");
    let policy = [("UserName", "alice"), ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")];
    done(&rig, &call("AttachUserPolicy", &policy)).await;
    assert_eq!(last(&rig).0["requestParameters"]["policyArn"], json!(policy[1].1));
    let read = exchange(rig.address, &Ask::new("GET /photos/cat").signed(&alice, rig.now())).await;
    assert_eq!(read.status, 200, "the key signs, and the policy counts at once: {read:?}");

    let listed = done(&rig, &call("ListUsers", &[])).await;
    assert_eq!(text(&listed, "UserName"), "alice");
    assert_eq!((last(&rig).said(), &last(&rig).0["readOnly"]), (("ListUsers", ""), &json!(true)));
    let id = listed.headers.iter().find(|(name, _)| name == "x-amzn-requestid").map(|(_, id)| id.as_str());
    assert_eq!(id, Some(last(&rig).text(&["requestID"])));
    assert_eq!(id.map(str::to_owned), listed.element("RequestId"));

    let key = [("UserName", "alice"), ("AccessKeyId", alice.key_id.as_str())];
    assert_eq!(rig.send(&call("DeleteUser", &[("UserName", "alice")])).await.said(), (409, "DeleteConflict".into()));
    done(&rig, &call("DeleteAccessKey", &key)).await;
    let read = exchange(rig.address, &Ask::new("GET /photos/cat").signed(&alice, rig.now())).await;
    assert_eq!(read.said(), (403, "InvalidAccessKeyId".to_owned()));
    assert_eq!(rig.send(&call("DeleteUser", &[("UserName", "alice")])).await.said(), (409, "DeleteConflict".into()));
    done(&rig, &call("DetachUserPolicy", &policy)).await;
    done(&rig, &call("DeleteUser", &[("UserName", "alice")])).await;
    let gone = rig.send(&call("GetUser", &[("UserName", "alice")])).await;
    assert_eq!(gone.said(), (404, "NoSuchEntity".to_owned()));
    assert_eq!(last(&rig).said(), ("GetUser", "NoSuchEntityException"));
}

#[tokio::test]
async fn a_user_has_no_right_on_iam() {
    let rig = Rig::start().await;
    let alice = rig.user("alice").await;
    for (action, reads) in [("ListUsers", true), ("CreateAccessKey", false), ("GetUser", true)] {
        let offered = call(action, &[]).header("x-amz-mfa", &rig.fresh_offer());
        let reply = exchange(rig.address, &offered.signed(&alice, rig.now())).await;
        assert_eq!(reply.said(), (403, "AccessDenied".to_owned()));
        let message = text(&reply, "Message");
        let sentence = format!("because no identity-based policy allows the iam:{action} action");
        assert!(
            message.contains(":user/alice is not authorized to perform") && message.ends_with(&sentence),
            "{message}"
        );
        let event = last(&rig);
        assert_eq!((event.said(), &event.0["readOnly"]), ((action, "AccessDenied"), &json!(reads)));
        assert_eq!(event.text(&["userIdentity", "userName"]), "alice");
    }
    let offer = rig.device.offer(rig.now(), &[0]);
    done(&rig, &deactivate(&rig).header("x-amz-mfa", &offer)).await;
}

#[tokio::test]
async fn a_change_of_devices_takes_a_code_and_the_first_device_the_machine() {
    let rig = Rig::start().await;
    let bare = rig.send(&deactivate(&rig)).await;
    assert_eq!(bare.said(), (403, "AccessDenied".to_owned()));
    assert!(bare.headers.iter().any(|(name, value)| name == "x-portcullis-mfa" && value == "required"), "{bare:?}");
    assert_eq!(code_in_record(&rig), "Missing");
    let wrong = rig.send(&deactivate(&rig).header("x-amz-mfa", &rig.device.wrong_offer(rig.now()))).await;
    assert_eq!(wrong.said(), (400, "TokenCodeInvalidError".to_owned()));
    let offer = rig.fresh_offer();
    let unsigned = rig.send(&deactivate(&rig).unsigned_header("x-amz-mfa", &offer)).await;
    assert_eq!(unsigned.said(), (403, "SignatureDoesNotMatch".to_owned()));

    let made = done(&rig, &call("CreateVirtualMFADevice", &[("VirtualMFADeviceName", "spare")])).await;
    let spare = Device::of(&text(&made, "SerialNumber"), &text(&made, "Base32StringSeed"));
    let enable = |rig: &Rig| {
        let (first, second) = (spare.code(rig.now(), -1), spare.code(rig.now(), 0));
        let codes = [
            ("SerialNumber", spare.serial.as_str()),
            ("AuthenticationCode1", &first),
            ("AuthenticationCode2", &second),
        ];
        call("EnableMFADevice", &codes)
    };
    assert_eq!(rig.send(&enable(&rig)).await.said(), (403, "AccessDenied".to_owned()));
    done(&rig, &enable(&rig).header("x-amz-mfa", &rig.device.offer(rig.now(), &[0]))).await;
    let event = last(&rig);
    assert_eq!((event.said(), code_in_record(&rig).as_str()), (("EnableMFADevice", ""), "Accepted"));
    assert_eq!(event.text(&["requestParameters", "userName"]), "AWS ROOT USER");

    rig.pass_steps(2);
    done(&rig, &deactivate(&rig).header("x-amz-mfa", &spare.offer(rig.now(), &[0]))).await;
    rig.pass_steps(2);
    let serial = [("SerialNumber", spare.serial.as_str())];
    let last_one = call("DeactivateMFADevice", &serial).header("x-amz-mfa", &spare.offer(rig.now(), &[0]));
    done(&rig, &last_one).await;
    for ask in [
        enable(&rig),
        call("CreateVirtualMFADevice", &[("VirtualMFADeviceName", "third")]),
        call("DeleteVirtualMFADevice", &serial),
    ] {
        let elsewhere = rig.send(&ask).await;
        assert_eq!(elsewhere.said(), (403, "AccessDenied".to_owned()));
        assert!(text(&elsewhere, "Message").contains("on the machine that Portcullis runs on"), "{elsewhere:?}");
    }
}

#[tokio::test]
async fn the_last_device_of_a_protected_bucket_stays() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let refused = rig.send(&deactivate(&rig).header("x-amz-mfa", &rig.fresh_offer())).await;
    assert_eq!(refused.said(), (409, "DeleteConflict".to_owned()));
    assert!(text(&refused, "Message").contains("the bucket vault"), "{refused:?}");
}

#[tokio::test]
async fn roots_own_keys_change_by_a_code_alone() {
    let rig = Rig::start().await;
    let own = [("AccessKeyId", rig.root.key_id.as_str())];
    let inactive = [("AccessKeyId", rig.root.key_id.as_str()), ("Status", "Inactive")];
    for ask in [call("CreateAccessKey", &[]), call("DeleteAccessKey", &own), call("UpdateAccessKey", &inactive)] {
        assert_eq!(rig.send(&ask).await.said(), (403, "AccessDenied".to_owned()), "{ask:?}");
        assert_eq!(code_in_record(&rig), "Missing");
    }
    let second = done(&rig, &call("CreateAccessKey", &[]).header("x-amz-mfa", &rig.fresh_offer())).await;
    let second = Keys { key_id: text(&second, "AccessKeyId"), secret: text(&second, "SecretAccessKey") };
    done(&rig, &call("UpdateAccessKey", &inactive).header("x-amz-mfa", &rig.fresh_offer())).await;
    assert_eq!(rig.send(&call("ListUsers", &[])).await.said(), (403, "InvalidClientTokenId".to_owned()));
    let reply = exchange(rig.address, &call("ListUsers", &[]).signed(&second, rig.now())).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn what_is_the_machines_owners_is_unknown_on_the_port() {
    let rig = Rig::start().await;
    rig.user("alice").await;
    let (key, secret) = (("AccessKeyId", "backup.app"), ("SecretAccessKey", "wJalrXUtnFEMIK7MDENG"));
    for (ask, code) in [
        (call("GetClock", &[]), "InvalidAction"),
        (call("AcceptClock", &[]), "InvalidAction"),
        (call("CreateAccessKey", &[("UserName", "alice"), key, secret]), "InvalidInput"),
        (call("CreateVirtualMFADevice", &[("VirtualMFADeviceName", "b"), ("Digits", "6")]), "InvalidInput"),
    ] {
        assert_eq!(rig.send(&ask).await.said(), (400, code.to_owned()), "{ask:?}");
    }
    let whole: Vec<u8> = rig.journal().into_iter().flat_map(|entry| entry.payload).collect();
    assert!(!String::from_utf8_lossy(&whole).contains(secret.1));
}

#[tokio::test]
async fn nothing_secret_of_a_call_is_recorded() {
    let rig = Rig::start().await;
    done(&rig, &call("CreateUser", &[("UserName", "alice")])).await;
    let key = done(&rig, &call("CreateAccessKey", &[("UserName", "alice")])).await;
    let made = done(&rig, &call("CreateVirtualMFADevice", &[("VirtualMFADeviceName", "spare")])).await;
    let spare = Device::of(&text(&made, "SerialNumber"), &text(&made, "Base32StringSeed"));
    let (first, second) = (spare.code(rig.now(), -1), spare.code(rig.now(), 0));
    let codes =
        [("SerialNumber", spare.serial.as_str()), ("AuthenticationCode1", &first), ("AuthenticationCode2", &second)];
    let offer = rig.device.offer(rig.now(), &[0]);
    rig.send(&call("EnableMFADevice", &codes).header("x-amz-mfa", &offer)).await;
    let events: String = rig.events().iter().map(|event| event.0.to_string()).collect();
    let seed = text(&made, "Base32StringSeed");
    let picture = text(&made, "QRCodePNG");
    let offered = offer.rsplit(' ').next().expect("a code").to_owned();
    for secret in [text(&key, "SecretAccessKey"), seed, picture, first, second, offered] {
        // The figures of a code may be part of a longer number.
        let quoted = format!("\"{secret}\"");
        assert!(!events.contains(&quoted) && (secret.len() < 10 || !events.contains(&secret)), "{secret}");
    }
}

#[tokio::test]
async fn a_call_that_is_none_is_refused_in_iams_words_and_recorded() {
    let rig = Rig::start().await;
    let bare = |body: &str| Ask::new("POST /").body(body).for_service("iam");
    let stranger = Keys { secret: "wrong".to_owned(), ..rig.root.clone() };
    for (bytes, said, name) in [
        (call("CreateRole", &[]).signed(&rig.root, rig.now()), (400, "InvalidAction"), "CreateRole"),
        (bare("Action=List%1B").signed(&rig.root, rig.now()), (400, "InvalidAction"), "UnknownOperation"),
        (bare("Version=2010-05-08").signed(&rig.root, rig.now()), (400, "MissingAction"), "UnknownOperation"),
        (bare("Action=%zz").signed(&rig.root, rig.now()), (400, "MalformedInput"), "UnknownOperation"),
        (
            bare("Action=ListUsers&Action=DeleteUser").signed(&rig.root, rig.now()),
            (400, "MalformedInput"),
            "UnknownOperation",
        ),
        (call("ListUsers", &[]).signed(&stranger, rig.now()), (403, "SignatureDoesNotMatch"), "ListUsers"),
        (call("ListUsers", &[]).presigned(&rig.root, rig.now()), (400, "IncompleteSignature"), "UnknownOperation"),
        (
            call("ListUsers", &[]).header("x-amz-security-token", "t").signed(&rig.root, rig.now()),
            (403, "InvalidClientTokenId"),
            "ListUsers",
        ),
        (
            Ask::new("PUT /vault/key").body("x").for_service("iam").signed(&rig.root, rig.now()),
            (404, "InvalidAction"),
            "UnknownOperation",
        ),
    ] {
        let reply = exchange(rig.address, &bytes).await;
        assert_eq!(reply.said(), (said.0, said.1.to_owned()), "{reply:?}");
        assert!(reply.body.starts_with("<ErrorResponse xmlns=\"https://iam.amazonaws.com/"), "{reply:?}");
        let event = last(&rig);
        let code = event.text(&["errorCode"]);
        assert_eq!((event.text(&["eventName"]), code.strip_suffix("Exception").unwrap_or(code)), (name, said.1));
        assert_eq!(event.text(&["eventSource"]), "iam.amazonaws.com");
    }
    let query = Ask::new("GET /?Action=ListUsers&Version=2010-05-08").for_service("iam");
    done(&rig, &query).await;
    assert_eq!((last(&rig).said(), last(&rig).0["requestParameters"].clone()), (("ListUsers", ""), Value::Null));
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn iam_is_signed_for_its_own_region_too() {
    let rig = Rig::with(|settings| settings.account.region = "eu-central-1".to_owned()).await;
    for (region, status) in [("eu-central-1", 200), ("us-east-1", 200), ("us-west-2", 403)] {
        assert_eq!(rig.send(&call("ListUsers", &[]).in_region(region)).await.status, status, "{region}");
    }
}

#[tokio::test]
async fn tries_at_iam_count_with_those_at_s3() {
    let loopback = IpNetwork::parse("127.0.0.1/32").expect("a network");
    let rig = Rig::with(|settings| settings.listen.trusted_proxies = vec![loopback]).await;
    let forwarded = |ask: Ask, scheme: &str| {
        ask.unsigned_header("x-forwarded-for", "192.0.2.66").unsigned_header("x-forwarded-proto", scheme)
    };
    let in_clear = forwarded(deactivate(&rig).header("x-amz-mfa", &rig.fresh_offer()), "http");
    assert_eq!(rig.send(&in_clear).await.said(), (403, "AccessDenied".to_owned()));
    assert_eq!(code_in_record(&rig), "InsecureTransport");
    let key = forwarded(call("CreateVirtualMFADevice", &[("VirtualMFADeviceName", "b")]), "http");
    assert!(text(&rig.send(&key).await, "Message").contains("in the clear"));

    let two_wrong = |rig: &Rig| {
        let wrong = rig.device.wrong_offer(rig.now());
        format!("{wrong} {}", wrong.rsplit(' ').next().expect("a code"))
    };
    for _ in 0..4 {
        let guess = forwarded(deactivate(&rig).header("x-amz-mfa", &two_wrong(&rig)), "https");
        assert_eq!(rig.send(&guess).await.said(), (400, "TokenCodeInvalidError".to_owned()));
    }
    let fifth = forwarded(deactivate(&rig).header("x-amz-mfa", &two_wrong(&rig)), "https");
    assert_eq!(rig.send(&fifth).await.said(), (400, "Throttling".to_owned()));
    rig.upstream.set_versioning("vault", "Enabled");
    let document =
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    let at_s3 = Ask::new("PUT /vault?versioning").header("x-amz-mfa", &two_wrong(&rig)).document(document);
    assert_eq!(rig.send(&forwarded(at_s3, "https")).await.said(), (503, "SlowDown".to_owned()));
}

#[tokio::test]
async fn a_user_asks_of_iam_what_its_policies_allow_and_reaches_nothing_of_roots() {
    let rig = Rig::start().await;
    let everything = rig.user_with("alice", r#"{"Effect":"Allow","Action":"iam:*","Resource":"*"}"#).await;
    let own = r#"{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${aws:username}"}"#;
    let limited = rig.user_with("bob", own).await;
    let ask = async |keys: &Keys, action: &str, given: &[(&str, &str)]| {
        exchange(rig.address, &call(action, given).signed(keys, rig.now())).await.said()
    };
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(ask(&limited, "GetUser", &[]).await.0, 200);
    assert_eq!(ask(&limited, "GetUser", &[("UserName", "alice")]).await, denied);
    let policy = &last(&rig).0["additionalEventData"]["Policy"];
    assert_eq!(*policy, json!({"decision": "ImplicitDeny", "policyType": "identity-based"}));
    assert_eq!(ask(&limited, "ListUsers", &[]).await, denied);
    assert_eq!(ask(&everything, "ListUsers", &[]).await.0, 200);
    assert_eq!(ask(&everything, "CreateUser", &[("UserName", "carol")]).await.0, 200);
    let serial = rig.device.serial.to_string();
    let roots = [
        ("DeactivateMFADevice", vec![("SerialNumber", serial.as_str()), ("UserName", "root")]),
        ("DeactivateMFADevice", vec![("SerialNumber", serial.as_str())]),
        ("DeleteVirtualMFADevice", vec![("SerialNumber", serial.as_str())]),
        ("CreateVirtualMFADevice", vec![("VirtualMFADeviceName", "another")]),
        ("DeleteAccessKey", vec![("AccessKeyId", rig.root.key_id.as_str())]),
        ("UpdateAccessKey", vec![("AccessKeyId", rig.root.key_id.as_str()), ("Status", "Inactive")]),
    ];
    for (action, given) in roots {
        let (status, code) = ask(&everything, action, &given).await;
        assert!(matches!(status, 403 | 404), "{action}: {status} {code}");
    }
    assert_eq!(rig.send(&call("ListMFADevices", &[])).await.status, 200, "root's key and device are as they were");
}
