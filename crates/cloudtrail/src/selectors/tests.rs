use serde_json::{Value, json};

use super::*;
use crate::record::event;

fn basic(selectors: Value) -> EventSelectors {
    EventSelectors::parse_basic(&selectors).unwrap()
}

fn advanced(selectors: Value) -> EventSelectors {
    EventSelectors::parse_advanced(&selectors).unwrap()
}

/// One advanced selector of `field operator value` lines; values are set apart by `|`.
fn clause(lines: &[&str]) -> Value {
    let fields = lines.iter().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut field = json!({ "Field": words[0] });
        for pair in words[1..].chunks(2) {
            field[pair[0]] = pair[1].split('|').collect();
        }
        field
    });
    json!({ "FieldSelectors": fields.collect::<Vec<_>>() })
}

fn one(lines: &[&str]) -> EventSelectors {
    advanced(json!([clause(lines)]))
}

const DATA: [&str; 2] = ["eventCategory Equals Data", "resources.type Equals AWS::S3::Object"];

fn data(lines: &[&str]) -> EventSelectors {
    one(&[&DATA[..], lines].concat())
}

fn object(key: &str) -> String {
    format!(r#","resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{key}"}}]"#)
}

/// The events that selectors are tried on, each under a letter.
fn events() -> Vec<(char, String)> {
    let read = |line: String| line.replace("\"readOnly\":false", "\"readOnly\":true");
    let prefix = r#","resources":[{"type":"AWS::S3::Object","ARNPrefix":"arn:aws:s3:::b/"},{"accountId":"1","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::b"}]"#;
    let bucket = r#","resources":[{"accountId":"1","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::b"}]"#;
    vec![
        ('m', event("PutBucketVersioning", "Management", bucket)),
        ('r', read(event("GetBucketVersioning", "Management", bucket))),
        ('k', event("Encrypt", "Management", "").replace("s3.amazonaws", "kms.amazonaws")),
        ('p', event("PutObject", "Data", &object("b/logs/x"))),
        ('g', read(event("GetObject", "Data", &object("b/x")))),
        ('o', event("DeleteObject", "Data", &object("bb/x"))),
        ('l', read(event("ListObjects", "Data", prefix))),
        ('h', read(event("HeadBucket", "Data", bucket))),
        ('c', read(event("ConnectionError", "Data", ""))),
    ]
}

fn admitted(selectors: &EventSelectors) -> String {
    let admits = |line: &str| selectors.admits(&EventView::read(line.as_bytes()).unwrap());
    events().iter().filter(|(_, line)| admits(line)).map(|(letter, _)| *letter).collect()
}

fn s3(values: &[&str]) -> Value {
    json!([{ "Type": "AWS::S3::Object", "Values": values }])
}

#[test]
fn basic_selectors_admit_what_cloudtrail_says() {
    let table = [
        (json!([{}]), "mrk"),
        (json!([{ "ReadWriteType": "ReadOnly" }]), "r"),
        (json!([{ "ReadWriteType": "WriteOnly" }]), "mk"),
        (json!([{ "ExcludeManagementEventSources": ["kms.amazonaws.com"] }]), "mr"),
        (json!([{ "IncludeManagementEvents": false, "DataResources": s3(&["arn:aws:s3"]) }]), "pgolhc"),
        (json!([{ "IncludeManagementEvents": false, "DataResources": s3(&["arn:aws:s3:::"]) }]), "pgolhc"),
        (json!([{ "IncludeManagementEvents": false, "DataResources": s3(&["arn:aws:s3:::b/"]) }]), "pglh"),
        (json!([{ "IncludeManagementEvents": false, "DataResources": s3(&["arn:aws:s3:::b/logs/"]) }]), "p"),
        (json!([{ "DataResources": s3(&["arn:aws:s3:::b/logs/", "arn:aws:s3:::bb/"]) }]), "mrkpo"),
        (
            json!([{ "ReadWriteType": "WriteOnly", "DataResources": s3(&["arn:aws:s3"]) }, { "ReadWriteType": "ReadOnly" }]),
            "mrkpo",
        ),
    ];
    for (selectors, expected) in table {
        assert_eq!(admitted(&basic(selectors.clone())), expected, "{selectors}");
    }
    assert_eq!(admitted(&EventSelectors::standard()), "mrk");
    assert_eq!(EventSelectors::standard(), basic(json!([{}])));
}

#[test]
fn advanced_selectors_admit_what_cloudtrail_says() {
    let table: [(EventSelectors, &str); 15] = [
        (one(&["eventCategory Equals Management"]), "mrk"),
        (one(&["eventCategory Equals Management", "eventSource NotEquals kms.amazonaws.com"]), "mr"),
        (one(&["eventCategory Equals Management", "readOnly Equals true"]), "r"),
        (one(&["eventCategory Equals NetworkActivity", "eventSource Equals s3.amazonaws.com"]), ""),
        (one(&["eventCategory Equals Data", "resources.type Equals AWS::Lambda::Function"]), ""),
        (data(&[]), "pgolhc"),
        (data(&["resources.ARN StartsWith arn:aws:s3:::b/"]), "pglh"),
        (data(&["resources.ARN NotStartsWith arn:aws:s3:::b/"]), "oc"),
        (data(&["resources.ARN StartsWith arn:aws:s3:::b/ NotStartsWith arn:aws:s3:::b/logs/"]), "glh"),
        (data(&["resources.ARN Equals arn:aws:s3:::b/x|arn:aws:s3:::bb/x"]), "go"),
        (data(&["resources.ARN EndsWith /x"]), "pgo"),
        (data(&["eventName NotEquals GetObject|ListObjects"]), "pohc"),
        (data(&["eventName StartsWith Get NotEndsWith Tagging"]), "g"),
        (data(&["userIdentity.arn NotEquals arn:aws:iam::123456789012:root"]), ""),
        (data(&["sessionCredentialFromConsole NotEquals true", "readOnly Equals false"]), "po"),
    ];
    for (selectors, expected) in table {
        assert_eq!(admitted(&selectors), expected, "{}", selectors.list());
    }
    let both = advanced(json!([clause(&["eventCategory Equals Management"]), clause(&DATA)]));
    assert_eq!(admitted(&both), "mrkpgolhc");
}

#[test]
fn selectors_that_break_cloudtrails_grammar_are_refused() {
    let many = |count: usize| (0..count).map(|n| format!("arn:aws:s3:::b/{n}")).collect::<Vec<_>>();
    let bad_basic = [
        json!(null),
        json!({}),
        json!([]),
        json!([{}, {}, {}, {}, {}, {}]),
        json!([{ "ReadWriteType": "Some" }]),
        json!([{ "IncludeManagementEvents": "yes" }]),
        json!([{ "IncludeManagementEvents": false }]),
        json!([{ "Unknown": 1 }]),
        json!([{ "ExcludeManagementEventSources": ["s3.amazonaws.com"] }]),
        json!([{ "DataResources": [{ "Type": "AWS::S3::Object", "Values": [] }] }]),
        json!([{ "DataResources": [{ "Type": "AWS::S3::Bucket", "Values": ["arn:aws:s3:::b/"] }] }]),
        json!([{ "DataResources": s3(&["arn:aws:s3:::b"]) }]),
        json!([{ "DataResources": s3(&["b/"]) }]),
        json!([{ "DataResources": [{ "Type": "AWS::S3::Object", "Values": many(251) }] }]),
    ];
    for bad in bad_basic {
        let refused = EventSelectors::parse_basic(&bad).map_err(|error| error.exception);
        assert_eq!(refused, Err("InvalidEventSelectorsException"), "{bad}");
    }
    let long = "v".repeat(2049);
    let bad_advanced = [
        json!(null),
        json!([]),
        json!([{ "Name": "n" }]),
        json!([{ "Name": "n".repeat(1001), "FieldSelectors": [{ "Field": "eventCategory", "Equals": ["Management"] }] }]),
        json!([{ "FieldSelectors": [{ "Field": "eventCategory", "Equals": ["Management"], "Like": ["x"] }] }]),
        json!([{ "FieldSelectors": [{ "Field": "eventCategory" }] }]),
        json!([{ "FieldSelectors": [{ "Field": "eventCategory", "Equals": [] }] }]),
        json!([{ "FieldSelectors": [{ "Field": "eventCategory", "Equals": [""] }] }]),
        json!([clause(&["eventCategory Equals Data|Management"])]),
        json!([clause(&["eventCategory NotEquals Data"])]),
        json!([clause(&["eventCategory Equals Insight"])]),
        json!([clause(&["eventCategory Equals Data"])]),
        json!([clause(&["eventCategory Equals Data", "resources.type StartsWith AWS"])]),
        json!([clause(&["eventCategory Equals Management", "resources.ARN Equals x"])]),
        json!([clause(&["eventCategory Equals Management", "readOnly Equals maybe"])]),
        json!([clause(&["eventCategory Equals Management", "readOnly NotEquals true"])]),
        json!([clause(&["eventCategory Equals Management", "awsRegion Equals x"])]),
        json!([clause(&["eventCategory Equals Management", "eventName Equals a", "eventName Equals b"])]),
        json!([clause(&["eventCategory Equals NetworkActivity"])]),
        json!([clause(&["eventCategory Equals Management", &format!("eventName Equals {long}")])]),
        json!([clause(&[
            "eventCategory Equals Management",
            &format!("eventName Equals {}", vec!["x"; 500].join("|"))
        ])]),
    ];
    for bad in bad_advanced {
        let refused = EventSelectors::parse_advanced(&bad).map_err(|error| error.exception);
        assert_eq!(refused, Err("InvalidEventSelectorsException"), "{bad}");
    }
}

#[test]
fn selectors_are_read_back_as_they_were_written() {
    for selectors in [EventSelectors::standard(), data(&["eventName StartsWith Get NotEndsWith Tagging"])] {
        assert_eq!(EventSelectors::from_json(&selectors.to_json()), Ok(selectors));
    }
    assert!(!EventSelectors::standard().are_custom());
    assert!(data(&[]).are_custom());
    for bad in [json!({}), json!({ "EventSelectors": [{}], "AdvancedEventSelectors": [] }), json!({ "Other": [] })] {
        assert!(EventSelectors::from_json(&bad).is_err(), "{bad}");
    }
}

/// Selectors of many shapes, to be compared each with each.
fn shapes() -> Vec<EventSelectors> {
    let only_data = |values: &[&str]| basic(json!([{ "IncludeManagementEvents": false, "DataResources": s3(values) }]));
    vec![
        EventSelectors::standard(),
        basic(json!([{ "ReadWriteType": "ReadOnly" }])),
        basic(json!([{ "ReadWriteType": "ReadOnly" }, { "ReadWriteType": "WriteOnly" }])),
        basic(json!([{ "ExcludeManagementEventSources": ["kms.amazonaws.com"] }])),
        only_data(&["arn:aws:s3"]),
        only_data(&["arn:aws:s3:::b/"]),
        only_data(&["arn:aws:s3:::b/logs/", "arn:aws:s3:::bb/"]),
        one(&["eventCategory Equals Management"]),
        one(&["eventCategory Equals Management", "eventName NotEquals GetBucketVersioning"]),
        one(&["eventCategory Equals Management", "eventName NotStartsWith Get"]),
        one(&["eventCategory Equals Management", "eventName Equals PutBucketVersioning|Encrypt"]),
        one(&["eventCategory Equals Management", "eventName EndsWith Versioning"]),
        data(&[]),
        data(&["resources.ARN StartsWith arn:aws:s3:::b"]),
        data(&["resources.ARN Equals arn:aws:s3:::b/x"]),
        data(&["resources.ARN NotEquals arn:aws:s3:::b/x"]),
        data(&["resources.ARN NotStartsWith arn:aws:s3:::b/"]),
        data(&["eventName NotEndsWith Object"]),
        data(&["readOnly Equals false"]),
        advanced(json!([clause(&["eventCategory Equals Management"]), clause(&DATA)])),
    ]
}

#[test]
fn covering_never_claims_more_than_the_events_show() {
    for wide in shapes() {
        for narrow in shapes() {
            let subset = admitted(&narrow).chars().all(|letter| admitted(&wide).contains(letter));
            assert!(!wide.covers(&narrow) || subset, "{} covers {}", wide.list(), narrow.list());
        }
        assert!(wide.covers(&wide), "{} covers itself", wide.list());
    }
}

#[test]
fn obvious_widening_is_known_as_such() {
    let all = advanced(json!([clause(&["eventCategory Equals Management"]), clause(&DATA)]));
    let only_data = |values: &[&str]| basic(json!([{ "IncludeManagementEvents": false, "DataResources": s3(values) }]));
    for shape in shapes() {
        assert!(all.covers(&shape), "all cover {}", shape.list());
    }
    let wider = [
        (EventSelectors::standard(), one(&["eventCategory Equals Management", "eventName Equals a"])),
        (basic(json!([{ "ReadWriteType": "ReadOnly" }, { "ReadWriteType": "WriteOnly" }])), EventSelectors::standard()),
        (only_data(&["arn:aws:s3:::b/", "arn:aws:s3:::c/"]), only_data(&["arn:aws:s3:::c/x", "arn:aws:s3:::b/"])),
        (data(&["eventName NotEquals a"]), data(&["eventName NotEquals b|a"])),
        (data(&["eventName NotEquals ab"]), data(&["eventName NotStartsWith a"])),
        (data(&["eventName NotStartsWith b"]), data(&["eventName Equals a"])),
        (data(&["eventName EndsWith b"]), data(&["eventName EndsWith ab"])),
    ];
    for (wide, narrow) in wider {
        assert!(wide.covers(&narrow), "{} covers {}", wide.list(), narrow.list());
    }
    let not_wider = [
        (EventSelectors::standard(), all.clone()),
        (one(&["eventCategory Equals Management", "eventName Equals a"]), EventSelectors::standard()),
        (data(&["resources.ARN NotEquals a"]), data(&["resources.ARN Equals b"])),
        (data(&["eventName StartsWith ab"]), data(&["eventName StartsWith a"])),
        (data(&["eventName NotStartsWith a"]), data(&["eventName NotEquals ab"])),
    ];
    for (wide, narrow) in not_wider {
        assert!(!wide.covers(&narrow), "{} does not cover {}", wide.list(), narrow.list());
    }
}

#[test]
fn an_event_about_two_objects_is_admitted_as_soon_as_one_of_them_is() {
    let resources = r#","resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::vault/copy"},{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::public/a"}]"#;
    let line = event("CopyObject", "Data", resources);
    let copy = EventView::read(line.as_bytes()).unwrap();
    for (conditions, expected) in [
        (&["resources.ARN StartsWith arn:aws:s3:::vault/"][..], true),
        (&["resources.ARN StartsWith arn:aws:s3:::public/"], true),
        (&["resources.ARN Equals arn:aws:s3:::public/a"], true),
        (&["resources.ARN StartsWith arn:aws:s3:::other/"], false),
        // Who copies from what is left out does not leave out what is written.
        (&["resources.ARN NotStartsWith arn:aws:s3:::public/"], true),
        (&["resources.ARN NotStartsWith arn:aws:s3:::vault/"], true),
        (&["resources.ARN NotStartsWith arn:aws:s3:::vault/|arn:aws:s3:::public/"], false),
        // One and the same object has to satisfy all.
        (&["resources.ARN StartsWith arn:aws:s3:::vault/ EndsWith /a"], false),
        (&["resources.ARN StartsWith arn:aws:s3:::public/ EndsWith /a"], true),
    ] {
        assert_eq!(data(conditions).admits(&copy), expected, "{conditions:?}");
    }
}
