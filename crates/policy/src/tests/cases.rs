//! Cases in a file of their own: what AWS documents, and what is ours where it is silent.

use super::*;

#[test]
fn the_cases_end_as_they_say() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases.json")).expect("JSON");
    assert!(cases.len() >= 97, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let text = |name: &str| case[name].as_str().expect("a text");
        let mut values = RequestValues::default();
        for (key, all) in case["context"].as_object().expect("an object") {
            let all = all.as_array().expect("values").iter().map(|value| value.as_str().expect("a text").to_owned());
            values.set(ConditionKey::parse(key).expect("a documented key"), all);
        }
        let ended = match PolicyDocument::parse(&case["policy"].to_string(), PolicyKind::Managed) {
            Ok(document) => decided(&document, text("action"), text("resource"), &values),
            Err(_) => "Malformed",
        };
        if ended != text("expect") {
            wrong.push(format!("{}: {ended} and not {}", text("name"), text("expect")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_shipped_policy_is_understood_and_written_as_it_is_told() {
    let mut names: Vec<_> = ManagedPolicy::ALL.iter().map(|policy| policy.name).collect();
    for policy in ManagedPolicy::ALL {
        let document = policy.document().unwrap_or_else(|fault| panic!("{}: {fault}", policy.name));
        assert_eq!(document.to_string(), policy.text, "{}", policy.name);
        assert_eq!(ManagedPolicy::named(policy.name), Some(policy));
    }
    names.sort_unstable();
    assert_eq!(names, ManagedPolicy::ALL.iter().map(|policy| policy.name).collect::<Vec<_>>());
    assert_eq!(ManagedPolicy::named("ReadWrite"), None);
}

#[test]
fn the_shipped_policies_allow_what_their_names_say() {
    let mut table = String::new();
    for (action, resource) in [
        ("s3:GetObject", KEY),
        ("s3:GetObjectVersion", KEY),
        ("s3:ListBucket", "arn:aws:s3:::vault"),
        ("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
        ("s3:PutObject", KEY),
        ("s3:DeleteObjectVersion", KEY),
        ("s3:PutBucketPolicy", "arn:aws:s3:::vault"),
        ("iam:CreateUser", "arn:aws:iam::123456789012:user/bob"),
        ("iam:GetUser", "arn:aws:iam::123456789012:user/bob"),
        ("cloudtrail:StopLogging", "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"),
        ("cloudtrail:LookupEvents", "*"),
    ] {
        let allowed = ManagedPolicy::ALL.iter().filter(|policy| {
            let document = policy.document().expect("understood");
            decided(&document, action, resource, &RequestValues::default()) == "Allow"
        });
        let names: Vec<_> = allowed.map(|policy| policy.name).collect();
        table.push_str(&format!("{action}: {}\n", names.join(" ")));
    }
    insta::assert_snapshot!(table);
}

/// AWS's Service Authorization Reference knows the same keys of S3, IAM and STS.
#[test]
fn the_condition_keys_are_those_of_awss_reference() {
    let reference: Value = serde_json::from_str(include_str!("../../../../tests/model/iam.json")).expect("JSON");
    // Providers that have names of their own, and directory buckets, are not served here.
    let elsewhere = ["saml:", "s3express:", "graph.facebook.com:", "www.amazon.com:"];
    for key in reference["conditionKeys"].as_array().expect("a list").iter().map(|key| key.as_str().expect("a text")) {
        let key = key.replace("${TagKey}", "team").replace("<key>", "team").replace("${ContextKey}", "team");
        let is_ours = !elsewhere.iter().any(|service| key.starts_with(service)) && key != "s3:ExistingObjectTag/team";
        assert_eq!(ConditionKey::parse(&key).is_ok(), is_ours, "{key}");
    }
}

#[test]
fn a_principal_says_what_its_policies_ask() {
    let held = |principal: &RequestPrincipal, condition: Value| {
        let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
        let found = RequestValues::of_principal(principal);
        decided(&statement(allow), "s3:GetObject", KEY, &found) == "Allow"
    };
    let bob = RequestPrincipal::user(account(), "staff/bob");
    assert!(held(&bob, json!({ "StringEquals": { "aws:username": "bob", "aws:PrincipalType": "User" } })));
    assert!(held(&bob, json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::123456789012:user/staff/*" } })));
    let session = RequestPrincipal::assumed_role(account(), "backup", "nightly");
    assert!(held(&session, json!({ "ArnEquals": { "aws:PrincipalArn": "arn:aws:iam::123456789012:role/backup" } })));
    assert!(held(
        &session,
        json!({ "StringEquals": { "aws:PrincipalType": "AssumedRole", "aws:PrincipalAccount": "123456789012" } })
    ));
    assert!(held(&session, json!({ "Null": { "aws:username": "true" } })));
    let anonymous = RequestPrincipal::anonymous();
    assert!(held(
        &anonymous,
        json!({ "StringEquals": { "aws:PrincipalType": "Anonymous" }, "Null": { "aws:PrincipalArn": "true" } })
    ));
    let web = RequestPrincipal::web_identity("login.example.com");
    assert!(held(&web, json!({ "Null": { "aws:PrincipalType": "true", "aws:PrincipalAccount": "true" } })));
}
