//! Wildcards in actions, resources and values, and what they cost.

use super::*;
use crate::document::LanguageVersion;
use crate::pattern::{LetterCase, TextPattern, ValueMatch};
use proptest::prelude::*;

fn stands_for(pattern: &str, text: &str) -> bool {
    let pattern = TextPattern::with_wildcards(pattern, LanguageVersion::V2012, LetterCase::Told).expect("a pattern");
    pattern.compare(text, &RequestValues::default()) == ValueMatch::Matches
}

/// The definition, tried in every way.
fn by_definition(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(('*', rest)), _) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
        (Some(('?', rest)), Some((_, after))) => by_definition(rest, after),
        (Some((letter, rest)), Some((first, after))) => letter == first && by_definition(rest, after),
        (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_stands_for_what_its_definition_says(pattern in "[ab*?é]{0,8}", text in "[abé]{0,8}") {
        let definition = by_definition(
            &pattern.chars().collect::<Vec<_>>(),
            &text.chars().collect::<Vec<_>>(),
        );
        prop_assert_eq!(stands_for(&pattern, &text), definition);
    }

    #[test]
    fn a_resource_is_compared_part_by_part(
        pattern in "arn:aws:s3:[*1]{0,2}:[*?1]{0,2}:[ab*?:/]{0,6}",
        resource in "arn:aws:s3:[1]{0,2}:[1]{0,2}:[ab:/]{0,6}",
    ) {
        let parts = |text: &str| text.splitn(6, ':').map(|part| part.chars().collect::<Vec<_>>()).collect::<Vec<_>>();
        let expected = parts(&pattern).iter().zip(parts(&resource)).all(|(pattern, part)| by_definition(pattern, &part));
        let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": pattern }));
        prop_assert_eq!(decided(&allow, "s3:GetObject", &resource, &values(&[])) == "Allow", expected);
    }
}

/// A matcher that tries each star again for each place would not end.
#[test]
fn a_hostile_pattern_costs_no_more_than_the_product_of_the_lengths() {
    let text = "a".repeat(4_000);
    for (pattern, expected) in [
        ("*a".repeat(300) + "b", false),
        ("*a".repeat(300), true),
        ("*?a".repeat(200) + "b*", false),
        ("a*".repeat(300) + "?", true),
        ("*".repeat(2_000), true),
        ("?*".repeat(1_000), true),
        ("*".repeat(50) + "b" + &"*".repeat(50), false),
    ] {
        assert_eq!(stands_for(&pattern, &text), expected, "{}", pattern.get(..8).unwrap_or(&pattern));
    }
}

#[test]
fn an_arn_may_end_early_with_a_star() {
    let covers = |pattern: &str, resource: &str| {
        let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": pattern }));
        decided(&allow, "s3:GetObject", resource, &values(&[])) == "Allow"
    };
    assert!(covers("arn:aws:s3:*", KEY) && covers("arn:aws:s3::*", KEY) && covers("arn:aws:s3:::*", KEY));
    assert!(!covers("arn:aws:iam:*", KEY));
    assert!(covers("arn:aws:s3:*:*:vault/k", KEY));
    assert!(!covers("arn:aws:s3:*:*:k", "arn:aws:s3:::vault/x:k"));
    assert!(covers("arn:aws:s3:::vault/*:b", "arn:aws:s3:::vault/x:y:b"));
}

#[test]
fn a_resource_that_is_no_arn_is_covered_by_a_star_alone() {
    let covers = |pattern: &str| {
        let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": pattern }));
        decided(&allow, "iam:ListUsers", "*", &values(&[])) == "Allow"
    };
    assert!(covers("*"));
    assert!(!covers("arn:aws:iam::*:*") && !covers("arn:aws:iam:*"));
    let all_but = statement(json!({ "Effect": "Allow", "Action": "*", "NotResource": "arn:aws:iam:*" }));
    assert_eq!(decided(&all_but, "iam:ListUsers", "*", &values(&[])), "Allow");
}

#[test]
fn a_variable_in_a_resource_may_hold_colons_in_its_name_and_its_value() {
    let text = "arn:aws:s3:::vault/${aws:PrincipalTag/a:b}/x:${aws:username}";
    let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": text }));
    let found = values(&[("aws:PrincipalTag/a:b", &["c:d"]), ("aws:username", &["alice"])]);
    assert_eq!(decided(&allow, "s3:GetObject", "arn:aws:s3:::vault/c:d/x:alice", &found), "Allow");
    assert_eq!(decided(&allow, "s3:GetObject", "arn:aws:s3:::vault/c:d/x:bob", &found), "ImplicitDeny");
}

#[test]
fn a_variable_may_stand_in_each_part_of_an_arn() {
    let text = "arn:aws:iam:${aws:RequestedRegion}:${aws:PrincipalAccount}:user/${aws:username}";
    let found = values(&[("aws:RequestedRegion", &[""]), ("aws:PrincipalAccount", &["1"]), ("aws:username", &["a"])]);
    let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": text }));
    assert_eq!(decided(&allow, "iam:GetUser", "arn:aws:iam::1:user/a", &found), "Allow");
    assert_eq!(decided(&allow, "iam:GetUser", "arn:aws:iam::2:user/a", &found), "ImplicitDeny");
    let condition = json!({ "ArnEquals": { "aws:PrincipalArn": text } });
    let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition }));
    let mut found = found;
    found.set(ConditionKey::parse("aws:PrincipalArn").expect("a key"), ["arn:aws:iam::1:user/a".to_owned()]);
    assert_eq!(decided(&allow, "iam:GetUser", "*", &found), "Allow");
}

#[test]
fn wildcards_may_stand_in_each_part_of_an_arn() {
    let arn = "arn:aws:iam::1:user/a";
    let holds = |pattern: &str, found: &str| {
        let condition = json!({ "ArnLike": { "aws:PrincipalArn": pattern } });
        let allow = statement(json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition }));
        decided(&allow, "s3:GetObject", KEY, &values(&[("aws:PrincipalArn", &[found])])) == "Allow"
    };
    for pattern in ["*:aws:iam::1:user/a", "a?n:*:i*m:*:?:user/a", "arn:aws:iam:::*", "*:*:*:*:*:*", "arn:aws:iam::1:*"]
    {
        assert_eq!(holds(pattern, arn), pattern != "arn:aws:iam:::*", "{pattern}");
    }
    assert!(
        !holds("*:aws:iam::1:user/a", "arn:aws:iam::1:user/b") && !holds("*:aws:iam::1:user/a", "arn:aws:s3::1:user/a")
    );
    assert!(!holds("arn:aws:iam::1:user/a", "arn:aws:iam::1:user/ab") && holds(arn, arn));
}

#[test]
fn a_resource_whose_variable_has_no_value_is_not_excepted_from_an_allow() {
    let scope = |effect: &str, element: &str| {
        let other = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
        let all = json!({ "Effect": effect, "Action": "*", element: "arn:aws:s3:::${aws:username}/*" });
        decided(&statement(json!([other, all])), "s3:PutObject", KEY, &values(&[]))
    };
    assert_eq!(scope("Allow", "Resource"), "ImplicitDeny");
    assert_eq!(scope("Allow", "NotResource"), "ImplicitDeny");
    assert_eq!(scope("Deny", "NotResource"), "ExplicitDeny");
    assert_eq!(scope("Deny", "Resource"), "ImplicitDeny");
}

#[test]
fn an_action_is_named_in_any_case_and_only_by_its_whole_name() {
    let names = |pattern: &str, action: &str| {
        let allow = statement(json!({ "Effect": "Allow", "Action": pattern, "Resource": "*" }));
        decided(&allow, action, KEY, &values(&[])) == "Allow"
    };
    assert!(names("S3:GET*", "s3:GetObject") && names("s3:getobject", "S3:GetObject"));
    assert!(!names("s3:GetObject", "s3:GetObjectVersion") && !names("s3:GetObjectVersion", "s3:GetObject"));
    assert!(!names("s3:Get?bject", "s3:Getbject") && names("s3:*Object*", "s3:GetObjectAcl"));
    assert!(!names("s3:*", "s3-object-lambda:GetObject") && !names("s3:*", "s3tables:GetTable"));
}
