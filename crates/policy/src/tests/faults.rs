//! What is refused when a document is stored, and what the operator is told.

use super::*;

fn fault(text: &str, kind: PolicyKind) -> String {
    match PolicyDocument::parse(text, kind) {
        Ok(document) => panic!("taken: {document}"),
        Err(fault) => fault.to_string(),
    }
}

/// A document whose one statement has these members instead of, or beside, those of a plain one.
fn with(members: &Value) -> String {
    let mut statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
    for (name, value) in members.as_object().expect("an object") {
        if value.is_null() {
            statement.as_object_mut().expect("an object").remove(name);
        } else {
            statement[name] = value.clone();
        }
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

#[test]
fn each_fault_is_named_with_its_place() {
    let mut table = String::new();
    let whole = [
        "",
        "{",
        "[]",
        "{}",
        "\"*\"",
        r#"{"Statement": []}"#,
        r#"{"Statement": "x"}"#,
        r#"{"Statement": [null]}"#,
        r#"{"Version": 2012, "Statement": {}}"#,
        r#"{"Version": "2012-10-18", "Statement": {}}"#,
        r#"{"version": "2012-10-17", "Statement": {}}"#,
        r#"{"Id": 1, "Statement": {}}"#,
        r#"{"Statement": {}, "Statement": {}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}} x"#,
    ];
    for text in whole {
        table.push_str(&format!("{text}\n  {}\n", fault(text, PolicyKind::Managed)));
    }
    let statements = [
        json!({ "Effect": null }),
        json!({ "Effect": "allow" }),
        json!({ "Effect": ["Allow"] }),
        json!({ "Action": null }),
        json!({ "Action": [] }),
        json!({ "Action": "GetObject" }),
        json!({ "Action": "s3*:GetObject" }),
        json!({ "Action": ["s3:GetObject", ":Get"] }),
        json!({ "Action": "s3:" }),
        json!({ "Action": "s3:Get${aws:username}" }),
        json!({ "Action": 1 }),
        json!({ "NotAction": "s3:GetObject" }),
        json!({ "Resource": null }),
        json!({ "Resource": [] }),
        json!({ "Resource": ["*", ""] }),
        json!({ "Resource": "vault/*" }),
        json!({ "Resource": "arn:aws:s3" }),
        json!({ "Resource": "arn:aws:s3:*:vault" }),
        json!({ "Resource": "arn:*:s3:::vault" }),
        json!({ "Resource": "arn:aws:*:::vault" }),
        json!({ "Resource": "arn:aws::::vault" }),
        json!({ "Resource": "arn:aws:s3:::${aws:usrname}/*" }),
        json!({ "Resource": "arn:aws:s3:::${aws:username/*" }),
        json!({ "Resource": "arn:aws:s3:::${aws:username, none}/*" }),
        json!({ "Resource": "arn:aws:s3:::${aws:username, 'it's'}/*" }),
        json!({ "Resource": "arn:aws:s3:::${}/*" }),
        json!({ "Resource": { "AWS": "*" } }),
        json!({ "NotResource": "arn:aws:s3:::vault" }),
        json!({ "Principal": "*" }),
        json!({ "NotPrincipal": { "AWS": "*" } }),
        json!({ "Sid": "read objects" }),
        json!({ "Sid": 1 }),
        json!({ "Conditon": {} }),
        json!({ "Condition": [] }),
        json!({ "Condition": { "StringMatches": { "aws:username": "x" } } }),
        json!({ "Condition": { "stringequals": { "aws:username": "x" } } }),
        json!({ "Condition": { "NullIfExists": { "aws:username": "true" } } }),
        json!({ "Condition": { "StringEquals": {} } }),
        json!({ "Condition": { "StringEquals": "x" } }),
        json!({ "Condition": { "StringEquals": { "aws:username": [] } } }),
        json!({ "Condition": { "StringEquals": { "aws:username": null } } }),
        json!({ "Condition": { "StringEquals": { "aws:username": ["x", { "y": 1 }] } } }),
        json!({ "Condition": { "StringEquals": { "aws:usrname": "x" } } }),
        json!({ "Condition": { "StringEquals": { "aws:PrincipalTag/": "x" } } }),
        json!({ "Condition": { "StringEquals": { "jwt:groups": "x" } } }),
        json!({ "Condition": { "StringEquals": { "s3:ExistingObjectTag/class": "x" } } }),
        json!({ "Condition": { "StringEquals": { "aws:username": "x", "AWS:UserName": "y" } } }),
        json!({ "Condition": { "StringLike": { "aws:username": "${aws:usrname}" } } }),
        json!({ "Condition": { "NumericLessThan": { "aws:MultiFactorAuthAge": "${aws:username}" } } }),
        json!({ "Condition": { "NumericLessThan": { "aws:MultiFactorAuthAge": ["1", "soon"] } } }),
        json!({ "Condition": { "DateLessThan": { "aws:CurrentTime": "tomorrow" } } }),
        json!({ "Condition": { "Bool": { "aws:SecureTransport": "yes" } } }),
        json!({ "Condition": { "Null": { "aws:username": "yes" } } }),
        json!({ "Condition": { "IpAddress": { "aws:SourceIp": "10.0.0.0/99" } } }),
        json!({ "Condition": { "BinaryEquals": { "aws:userid": "?" } } }),
    ];
    for members in statements {
        table.push_str(&format!("{members}\n  {}\n", fault(&with(&members), PolicyKind::Managed)));
    }
    let resource = [
        json!({}),
        json!({ "Principal": "alice" }),
        json!({ "Principal": {} }),
        json!({ "Principal": { "AWS": [] } }),
        json!({ "Principal": { "AWS": "alice" } }),
        json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:user/*" } }),
        json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:group/g" } }),
        json!({ "Principal": { "AWS": "arn:aws:iam::123:root" } }),
        json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:alice" } }),
        json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:user/" } }),
        json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:assumed-role/r/s" } }),
        json!({ "Principal": { "AWS": "arn:aws:s3::123456789012:user/alice" } }),
        json!({ "Principal": { "AWS": "urn:aws:iam::123456789012:user/alice" } }),
        json!({ "Principal": { "AWS": "arn:azure:iam::123456789012:user/alice" } }),
        json!({ "Principal": { "AWS": "arn:aws:sts:us-east-1:123456789012:assumed-role/r/s" } }),
        json!({ "Principal": { "aws": "*" } }),
        json!({ "Principal": { "Service": "s3" } }),
        json!({ "Principal": { "Service": ".amazonaws.com" } }),
        json!({ "Principal": { "Service": "S3.amazonaws.com" } }),
        json!({ "Principal": { "Federated": "idp" } }),
        json!({ "Principal": { "Federated": "https://login.example.com/?realm" } }),
        json!({ "NotPrincipal": { "AWS": "123456789012" } }),
        json!({ "Principal": "*", "NotPrincipal": "*" }),
        json!({ "Principal": "*", "Resource": null }),
    ];
    for members in resource {
        table.push_str(&format!("of a resource: {members}\n  {}\n", fault(&with(&members), PolicyKind::Resource)));
    }
    let trust = [
        json!({ "Principal": "*", "Action": "sts:AssumeRole" }),
        json!({ "Principal": "*", "Action": "sts:AssumeRole", "Resource": null, "NotResource": "*" }),
        json!({ "Principal": "*", "Resource": null }),
        json!({ "Principal": "*", "Resource": null, "Action": "*" }),
        json!({ "Resource": null, "Action": "sts:AssumeRole" }),
    ];
    for members in trust {
        table.push_str(&format!("of trust: {members}\n  {}\n", fault(&with(&members), PolicyKind::Trust)));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_place_is_a_line_and_a_column_of_the_text() {
    let text = "{\n  \"Statement\": [\n    {\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"},\n    \
                {\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": [\"*\", \"ü\"]}\n  ]\n}";
    let fault = PolicyDocument::parse(text, PolicyKind::Managed).expect_err("no ARN");
    assert_eq!((fault.line(), fault.column(), fault.member()), (4, 57, Some("Statement[1].Resource[1]")));
    assert_eq!(fault.reason(), "resource `ü` must be in ARN format or `*`");
    let text = "{\n  \"Id\": \"ü\", x}";
    let fault = PolicyDocument::parse(text, PolicyKind::Managed).expect_err("no JSON");
    assert_eq!((fault.line(), fault.column(), fault.member()), (2, 14, None));
}

#[test]
fn names_of_statements_are_unique() {
    let named = |one: &str, other: &str| {
        let statement = |sid: &str| json!({ "Sid": sid, "Effect": "Allow", "Action": "*", "Resource": "*" });
        let document = json!({ "Statement": [statement(one), statement(other)] }).to_string();
        PolicyDocument::parse(&document, PolicyKind::Managed).map(|_| ()).map_err(|fault| fault.to_string())
    };
    assert_eq!(named("a", "A"), Ok(()));
    assert_eq!(named("", ""), Ok(()));
    let twice = named("a", "a").expect_err("twice");
    assert!(twice.contains("`Statement[1]`") && twice.contains("must be unique: `a`"), "{twice}");
}

#[test]
fn the_policy_of_a_bucket_may_name_its_statements_in_any_letters() {
    let text = with(&json!({ "Sid": "read objects", "Principal": "*" }));
    assert!(PolicyDocument::parse(&text, PolicyKind::Resource).is_ok());
}

#[test]
fn a_document_is_as_long_as_its_kind_may_be() {
    for (kind, longest) in [
        (PolicyKind::GroupInline, 5_120),
        (PolicyKind::Managed, 6_144),
        (PolicyKind::RoleInline, 10_240),
        (PolicyKind::Session, 2_048),
        (PolicyKind::UserInline, 2_048),
        (PolicyKind::Resource, 20_480),
        (PolicyKind::Trust, 2_048),
    ] {
        let members = match kind {
            PolicyKind::Resource => json!({ "Principal": "*" }),
            PolicyKind::Trust => json!({ "Principal": "*", "Action": "sts:AssumeRole", "Resource": null }),
            PolicyKind::GroupInline
            | PolicyKind::Managed
            | PolicyKind::RoleInline
            | PolicyKind::Session
            | PolicyKind::UserInline => json!({}),
        };
        let plain = with(&members);
        let with_id = |length: usize| plain.replacen('{', &format!("{{ \t\n\"Id\": \"{}\",", "x".repeat(length)), 1);
        let rest = longest - plain.len() - r#""Id":"","#.len();
        assert_eq!(PolicyDocument::parse(&with_id(rest), kind).map(|_| ()), Ok(()), "{kind:?}");
        let long = PolicyDocument::parse(&with_id(rest + 1), kind).expect_err("too long");
        let expected = format!("the policy has {} characters beside white space, more than {longest}", longest + 1);
        assert_eq!(long.reason(), expected);
    }
    let blank = format!("{}{}", EVERYTHING, " ".repeat(131_072));
    assert!(fault(&blank, PolicyKind::Managed).contains("more than 131072"));
    assert!(PolicyDocument::parse(&blank[..131_072], PolicyKind::Managed).is_ok());
    let dense = format!("{{\"Id\":\"{}\"}}", "x".repeat(131_072 - 9));
    assert_eq!(dense.len(), 131_072);
    assert!(fault(&dense, PolicyKind::Managed).contains("more than 6144"));
}

#[test]
fn what_aws_documents_is_taken() {
    for (members, kind) in [
        (
            json!({ "Action": ["s3:*", "*"], "Resource": ["arn:aws-cn:s3:::a", "arn:aws-us-gov:s3:::b"] }),
            PolicyKind::Managed,
        ),
        (json!({ "Condition": {} }), PolicyKind::Managed),
        (json!({ "Condition": { "Bool": { "aws:SecureTransport": [true, "false"] } } }), PolicyKind::Managed),
        (
            json!({ "Condition": { "StringEquals": { "aws:username": "x" }, "StringLike": { "aws:username": "x" } } }),
            PolicyKind::Managed,
        ),
        (
            json!({ "Condition": { "StringLike": { "aws:userid": ["AROAEXAMPLE:*", "111122223333"] } } }),
            PolicyKind::Managed,
        ),
        (
            json!({ "Principal": { "AWS": ["123456789012", "arn:aws:iam::123456789012:root"], "Service": "cloudtrail.amazonaws.com" } }),
            PolicyKind::Resource,
        ),
        (
            json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:user/a/b", "Federated": "login.example.com/realm" } }),
            PolicyKind::Resource,
        ),
        (json!({ "Principal": { "AWS": "arn:aws:sts::123456789012:assumed-role/r/s" } }), PolicyKind::Resource),
        (
            json!({ "Effect": "Deny", "NotPrincipal": { "AWS": "arn:aws:iam::123456789012:role/r" } }),
            PolicyKind::Resource,
        ),
        (
            json!({
                "Resource": null, "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": { "Federated": "arn:aws:iam::123456789012:oidc-provider/login.example.com" },
                "Condition": { "StringEquals": { "login.example.com:sub": "x", "localhost:5556/dex:groups": "y" } }
            }),
            PolicyKind::Trust,
        ),
    ] {
        let text = with(&members);
        let document = PolicyDocument::parse(&text, kind).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        let again = PolicyDocument::parse(&document.to_string(), kind).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(again, document);
    }
}

#[test]
fn the_version_counts_wherever_it_stands() {
    let text = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${aws:username}/*"}, "Version": "2012-10-17"}"#;
    let found = values(&[("aws:username", &["alice"])]);
    assert_eq!(decided(&managed(text), "s3:GetObject", "arn:aws:s3:::alice/k", &found), "Allow");
    assert_eq!(managed(text).version(), LanguageVersion::V2012);
    assert_eq!(managed(&text.replace("2012", "2008")).version(), LanguageVersion::V2008);
}
