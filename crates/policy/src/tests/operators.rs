//! Each operator, for keys that are absent, that match, that differ and that cannot be read.

use super::*;

/// Operators with a value of a policy, one of a request that matches or differs, and one that cannot be read.
const SAMPLES: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("ArnEquals", "arn:aws:iam::*:user/a*", "arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/bob", Some("alice")),
    ("ArnLike", "arn:aws:iam::1:user/?", "arn:aws:iam::1:user/a", "arn:aws:iam::1:user/bob", Some("a:b")),
    ("ArnNotEquals", "arn:aws:iam::1:user/b", "arn:aws:iam::1:user/b", "arn:aws:iam::1:user/a", Some("b")),
    ("ArnNotLike", "arn:aws:iam::1:user/b*", "arn:aws:iam::1:user/bob", "arn:aws:iam::1:user/a", Some("bob")),
    ("BinaryEquals", "QUJD", "QUJD", "QUJE", Some("no base64")),
    ("Bool", "true", "TRUE", "false", Some("yes")),
    ("DateEquals", "2026-11-28", "2026-11-28T00:00:00Z", "2026-11-28T00:00:01Z", Some("today")),
    ("DateGreaterThan", "2026-11-28", "2026-11-28T00:00:01Z", "2026-11-28T00:00:00Z", Some("today")),
    ("DateGreaterThanEquals", "2026-11-28", "2026-11-28T00:00:00Z", "2026-11-27T23:59:59Z", Some("today")),
    ("DateLessThan", "2026-11-28", "2026-11-27T23:59:59Z", "2026-11-28T00:00:00Z", Some("today")),
    ("DateLessThanEquals", "2026-11-28", "2026-11-28T00:00:00Z", "2026-11-28T00:00:01Z", Some("today")),
    ("DateNotEquals", "2026-11-28", "2026-11-28T00:00:00Z", "2026-11-28T00:00:01Z", Some("today")),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", "11.1.2.3", Some("10.1.2")),
    ("NotIpAddress", "10.1.2.3/8", "10.1.2.3", "11.1.2.3", Some("unknown")),
    ("NumericEquals", "10", "10.0", "11", Some("ten")),
    ("NumericGreaterThan", "10", "10.1", "10", Some("ten")),
    ("NumericGreaterThanEquals", "10", "10", "9.9", Some("ten")),
    ("NumericLessThan", "10", "9", "10", Some("ten")),
    ("NumericLessThanEquals", "10", "10", "10.000000001", Some("ten")),
    ("NumericNotEquals", "10", "10", "11", Some("ten")),
    ("StringEquals", "Alice*", "Alice*", "alice*", None),
    ("StringEqualsIgnoreCase", "ÉLAN", "élan", "elan", None),
    ("StringLike", "A?*e", "Alice", "alice", None),
    ("StringNotEquals", "Alice*", "Alice*", "Alice1", None),
    ("StringNotEqualsIgnoreCase", "Alice", "aLICE", "Bob", None),
    ("StringNotLike", "A*", "Alice", "Bob", None),
];

/// Whether a statement with this condition applies: it allows, or denies what another one allows.
fn applies(effect: &str, operator: &str, value: &str, found: &[&str]) -> bool {
    let condition = json!({ operator: { "aws:username": value } });
    let conditional = json!({ "Effect": effect, "Action": "*", "Resource": "*", "Condition": condition });
    let found: &[(&str, &[&str])] = if found.is_empty() { &[] } else { &[("aws:username", found)] };
    if effect == "Allow" {
        return decided(&statement(conditional), "s3:GetObject", KEY, &values(found)) == "Allow";
    }
    let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    decided(&statement(json!([allow, conditional])), "s3:GetObject", KEY, &values(found)) == "ExplicitDeny"
}

#[test]
fn each_operator_holds_where_the_table_says() {
    let mut table = String::from("allow/deny where the key is: absent, matching, differing, unreadable, one of each\n");
    for (name, value, matching, differing, unreadable) in SAMPLES {
        for (before, behind) in
            [("", ""), ("", "IfExists"), ("ForAllValues:", ""), ("ForAnyValue:", ""), ("ForAnyValue:", "IfExists")]
        {
            let operator = format!("{before}{name}{behind}");
            let mut columns = vec![vec![], vec![*matching], vec![*differing]];
            columns.push(unreadable.iter().copied().collect());
            columns.push(vec![*matching, *differing]);
            let cells = columns.iter().enumerate().map(|(place, found)| match (place, unreadable) {
                (3, None) => "     -".to_owned(),
                _ => {
                    let cell = |effect| if applies(effect, &operator, value, found) { "yes" } else { "no" };
                    format!("{:>4}/{:<3}", cell("Allow"), cell("Deny"))
                }
            });
            table.push_str(&format!("{operator:<46}{}\n", cells.collect::<Vec<_>>().join(" ").trim_end()));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn null_asks_whether_the_key_is_there() {
    for effect in ["Allow", "Deny"] {
        assert!(applies(effect, "Null", "true", &[]) && !applies(effect, "Null", "true", &["alice"]));
        assert!(applies(effect, "Null", "false", &["alice"]) && !applies(effect, "Null", "false", &[]));
    }
    let both = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { "Null": { "aws:username": ["true", "false"] } } });
    assert_eq!(decided(&statement(both), "s3:GetObject", KEY, &values(&[])), "Allow");
}

#[test]
fn an_absent_key_never_allows_by_an_operator_that_is_not_negated() {
    for (name, value, ..) in SAMPLES.iter().filter(|(name, ..)| !name.contains("Not")) {
        for key in ["s3:prefix", "s3:max-keys", "aws:MultiFactorAuthAge", "aws:SourceIp"] {
            let condition = json!({ *name: { key: value } });
            let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
            assert_eq!(decided(&statement(allow), "s3:ListBucket", KEY, &values(&[])), "ImplicitDeny", "{name} {key}");
        }
    }
}

#[test]
fn a_variable_without_a_value_allows_nothing_and_excepts_nothing_from_a_deny() {
    let cases = [
        ("Allow", "StringEquals", false),
        ("Allow", "StringNotEquals", false),
        ("Allow", "StringNotLike", false),
        ("Allow", "ArnNotEquals", false),
        ("Deny", "StringEquals", false),
        ("Deny", "StringNotEquals", true),
        ("Deny", "StringNotLike", true),
        ("Deny", "ArnNotLike", true),
    ];
    for (effect, operator, expected) in cases {
        let value = match operator.starts_with("Arn") {
            true => "arn:aws:iam::1:user/${aws:PrincipalTag/team}",
            false => "${aws:PrincipalTag/team}",
        };
        assert_eq!(applies(effect, operator, value, &["arn:aws:iam::1:user/x"]), expected, "{effect} {operator}");
    }
}

#[test]
fn a_variable_stands_for_its_one_value_and_nothing_more() {
    let holds = |value: &str, team: &[&str], name: &str| {
        let condition = json!({ "StringLike": { "aws:username": value } });
        let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
        let found = values(&[("aws:PrincipalTag/team", team), ("aws:username", &[name])]);
        decided(&statement(allow), "s3:GetObject", KEY, &found) == "Allow"
    };
    assert!(holds("${aws:PrincipalTag/Team}-*", &["red"], "red-1"));
    assert!(!holds("${aws:PrincipalTag/team}", &["*"], "red"));
    assert!(holds("${aws:PrincipalTag/team}", &["*"], "*"));
    assert!(!holds("${aws:PrincipalTag/team}", &["red", "blue"], "red"), "two values");
    assert!(holds("${aws:PrincipalTag/team,'none'}", &[], "none"));
    assert!(holds("${ aws:PrincipalTag/team , '' }x", &[], "x"));
    assert!(!holds("${aws:PrincipalTag/team, 'none'}", &["red", "blue"], "none"), "two values");
    assert!(holds("${$}{x}${?}${*}", &[], "${x}?*"));
    assert!(!holds("${?}", &[], "x"));
    assert!(holds("$x$", &[], "$x$"));
}

#[test]
fn case_is_ignored_letter_by_letter() {
    assert!(applies("Allow", "StringEqualsIgnoreCase", "ΣΟΦΟΣ", &["σοφοσ"]));
    assert!(!applies("Allow", "StringEqualsIgnoreCase", "ΣΟΦΟΣ", &["σοφος"]));
    assert!(!applies("Allow", "StringEquals", "ΣΟΦΟΣ", &["σοφοσ"]));
}
