use std::path::PathBuf;

use clap::Parser;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::command::fake_store::{FakeStore, Seen};
use crate::command::terminal::OutputFormat;
use crate::command::terminal::kept::{Kept, terminal};
use portcullis_mfa::MfaDemand;

const MFA: &str = "arn:aws:iam::123456789012:mfa/phone 123456";

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: TrailCommand,
}

/// Runs what was typed, apart at each `|`.
async fn typed(
    store: &FakeStore,
    line: &str,
    format: OutputFormat,
    answers: &[&str],
) -> (Result<(), CommandError>, Kept) {
    let (mut terminal, kept) = terminal(format, answers);
    let nowhere = StateDirectory::find(Some(PathBuf::from("/nonexistent")), None);
    let endpoint = store.endpoint().to_string();
    let environment = move |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIAROOT000000000001".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        _ => None,
    };
    let command = Line::try_parse_from(std::iter::once("trail").chain(line.split('|'))).unwrap().command;
    (run(command, &nowhere, environment, &mut terminal).await, kept)
}

fn operation(seen: &Seen) -> String {
    match seen.line.as_str() {
        "POST /" => seen.header("x-amz-target").rsplit('.').next().unwrap().to_owned(),
        other => other.to_owned(),
    }
}

/// A proxy that has one trail, or that refuses what comes without a code.
fn proxy(wants_code: &'static [&'static str]) -> FakeStore {
    FakeStore::start_with_headers(move |seen| {
        let name = operation(seen);
        if wants_code.contains(&name.as_str()) && !seen.headers.contains_key("x-amz-mfa") {
            let refused = json!({"__type": "AccessDeniedException", "message": "a text that no program reads"});
            return (400, mfa_demanded(), refused.to_string());
        }
        let trail = json!({"Name": "main", "TrailARN": "arn:main", "S3BucketName": "logs", "S3KeyPrefix": "a",
            "LogFileValidationEnabled": true, "DigestPeriodSeconds": 3600});
        let answer = match name.as_str() {
            "CreateTrail" => trail,
            "GetTrail" => json!({"Trail": trail}),
            "DescribeTrails" => json!({"trailList": [trail]}),
            "GetTrailStatus" => json!({"IsLogging": true, "StartLoggingTime": 0, "LatestDeliveryTime": 60}),
            "GetEventSelectors" | "PutEventSelectors" => {
                json!({"TrailARN": "arn:main", "EventSelectors": selectors::everything()})
            }
            "ListTags" => {
                json!({"ResourceTagList": [{"ResourceId": "arn:main", "TagsList": [{"Key": "k", "Value": "v"}]}]})
            }
            _ => json!({}),
        };
        (200, HeaderMap::new(), answer.to_string())
    })
}

fn mfa_demanded() -> HeaderMap {
    let value = MfaDemand::Required.header_value().unwrap();
    HeaderMap::from_iter([(HeaderName::from_static(MfaDemand::HEADER), HeaderValue::from_static(value))])
}

fn operations(store: &FakeStore) -> Vec<String> {
    let coded = |seen: &Seen| if seen.headers.contains_key("x-amz-mfa") { "*" } else { "" };
    store.seen().iter().map(|seen| format!("{}{}", operation(seen), coded(seen))).collect()
}

#[tokio::test]
async fn a_new_trail_records_everything_at_once_and_says_so() {
    let store = proxy(&[]);
    let (outcome, kept) = typed(&store, "create|main|--bucket|logs|--no-mfa-delete", OutputFormat::People, &[]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        operations(&store),
        ["CreateTrail", "PutEventSelectors", "StartLogging", "GetTrail", "GetEventSelectors"]
    );
    let seen = store.seen();
    assert!(seen[0].header("authorization").contains("/us-east-1/cloudtrail/aws4_request"));
    assert!(seen[0].header("authorization").contains("x-amz-target"));
    assert_eq!(serde_json::from_str::<Value>(&seen[1].body).unwrap()["EventSelectors"], selectors::everything());
    assert!(kept.text().contains("management events and all of S3's data events"), "{}", kept.text());
    assert!(kept.text().contains("portcullis mfa-delete enable logs"), "{}", kept.text());
}

/// Until its start a trail can be changed without a code, also by a thief of root's key.
#[tokio::test]
async fn a_trail_that_was_changed_while_it_was_made_is_told() {
    let narrower = json!([{"ReadWriteType": "ReadOnly"}]);
    for (line, changed, told) in [
        ("create|main|--bucket|logs", json!({"EventSelectors": narrower}), true),
        ("create|main|--bucket|logs", json!({"S3BucketName": "elsewhere"}), true),
        ("create|main|--bucket|logs", json!({"LogFileValidationEnabled": false}), true),
        ("create|main|--bucket|logs|--management-only", json!({"HasCustomEventSelectors": true}), true),
        ("create|main|--bucket|logs|--management-only", json!({}), false),
    ] {
        let store = FakeStore::start({
            let changed = changed.clone();
            move |seen| {
                let mut trail = json!({"Name": "main", "S3BucketName": "logs", "LogFileValidationEnabled": true});
                let mut chosen = json!({"EventSelectors": selectors::everything()});
                let name = operation(seen);
                let answer = match name.as_str() {
                    "GetEventSelectors" | "PutEventSelectors" => &mut chosen,
                    _ => &mut trail,
                };
                if name.starts_with("Get") {
                    answer.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
                }
                let answer = if name == "GetTrail" { json!({"Trail": answer}) } else { answer.clone() };
                (200, answer.to_string())
            }
        });
        let (outcome, _) = typed(&store, &format!("{line}|--no-mfa-delete"), OutputFormat::People, &[]).await;
        let expected = "main is logging, but it was changed while it was created";
        assert_eq!(outcome.err().map(|error| error.message), told.then(|| expected.to_owned()), "{line} {changed}");
    }
}

#[tokio::test]
async fn a_person_is_asked_whether_the_bucket_is_to_be_protected() {
    for (answers, protects) in [(&["y", MFA][..], true), (&["", MFA], true), (&["n"], false), (&[], false)] {
        let store = proxy(&[]);
        let (outcome, _) = typed(&store, "create|main|--bucket|logs", OutputFormat::People, answers).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(operations(&store).contains(&"PUT /logs?versioning*".to_owned()), protects, "{answers:?}");
    }
    let store = proxy(&[]);
    let line = format!("create|main|--bucket|logs|--mfa-delete|--mfa|{MFA}");
    let (outcome, kept) = typed(&store, &line, OutputFormat::Json, &[]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(operations(&store).last().map(String::as_str), Some("PUT /logs?versioning*"));
    assert!(kept.text().contains("\"mfaDelete\":true"), "{}", kept.text());
}

#[tokio::test]
async fn a_code_is_taken_for_a_bucket_that_is_not_empty_and_then_not_for_its_protection() {
    let store = proxy(&["CreateTrail"]);
    let line = format!("create|main|--bucket|logs|--mfa-delete|--mfa|{MFA}");
    let (outcome, _) =
        typed(&store, &line, OutputFormat::People, &["arn:aws:iam::123456789012:mfa/phone 654321"]).await;
    assert_eq!(outcome, Ok(()));
    let after = ["PutEventSelectors", "StartLogging", "GetTrail", "GetEventSelectors", "PUT /logs?versioning*"];
    assert_eq!(operations(&store), [&["CreateTrail", "CreateTrail*"][..], &after].concat());
    let offers: Vec<_> = store.seen().iter().filter_map(|seen| seen.headers.get("x-amz-mfa").cloned()).collect();
    assert_ne!(offers[0], offers[1]);
}

#[tokio::test]
async fn what_the_proxy_says_beside_that_it_wants_a_code_is_shown() {
    let store = FakeStore::start_with_headers(|_| {
        let message = "logs is not known to be empty";
        (400, mfa_demanded(), json!({"__type": "AccessDeniedException", "message": message}).to_string())
    });
    let (outcome, kept) = typed(&store, "create|main|--bucket|logs", OutputFormat::People, &[MFA]).await;
    assert!(outcome.is_err());
    assert!(kept.text().contains("logs is not known to be empty"), "{}", kept.text());
}

#[tokio::test]
async fn a_refusal_that_only_reads_like_a_demand_for_a_code_asks_for_none() {
    let store = FakeStore::start(|_| {
        let message = portcullis_authorization::MFA_REQUIRED;
        (400, json!({"__type": "AccessDeniedException", "message": message}).to_string())
    });
    let (outcome, _) = typed(&store, "delete|main", OutputFormat::People, &[MFA]).await;
    assert!(outcome.is_err());
    assert_eq!(operations(&store), ["DeleteTrail"]);
}

#[tokio::test]
async fn what_weakens_a_trail_asks_for_a_code() {
    let store = proxy(&["StopLogging"]);
    let (outcome, _) = typed(&store, "stop|main", OutputFormat::People, &[MFA]).await;
    assert_eq!((outcome, operations(&store)), (Ok(()), vec!["StopLogging*".to_owned()]));
    let store = proxy(&["DeleteTrail"]);
    let (outcome, _) = typed(&store, "delete|main", OutputFormat::People, &[MFA]).await;
    assert_eq!((outcome, operations(&store)), (Ok(()), vec!["DeleteTrail".to_owned(), "DeleteTrail*".to_owned()]));
    let store = proxy(&[]);
    let (outcome, _) = typed(&store, "delete|main", OutputFormat::People, &[]).await;
    assert_eq!((outcome, operations(&store)), (Ok(()), vec!["DeleteTrail".to_owned()]), "it never logged");
    let store = proxy(&["UpdateTrail"]);
    let (outcome, _) = typed(&store, "update|main|--validation|off", OutputFormat::People, &[MFA]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(operations(&store), ["UpdateTrail", "UpdateTrail*", "GetTrail"]);
    let store = proxy(&[]);
    let (outcome, _) = typed(&store, "update|main|--digest-period|60s", OutputFormat::People, &[]).await;
    assert_eq!((outcome, operations(&store).len()), (Ok(()), 2));
}

#[tokio::test]
async fn trails_are_listed_and_shown() {
    let store = proxy(&[]);
    let (_, kept) = typed(&store, "list", OutputFormat::People, &[]).await;
    assert_eq!(
        kept.text(),
        "NAME  BUCKET  PREFIX  VALIDATION  DIGESTS\nmain  logs    a       on          every 3600 s\n"
    );
    let (_, kept) = typed(&store, "status", OutputFormat::People, &[]).await;
    assert_eq!(
        kept.text(),
        "NAME  LOGGING  SINCE                 LAST LOG FILE         LAST DIGEST  ERROR\n\
         main  yes      1970-01-01T00:00:00Z  1970-01-01T00:01:00Z  -            -\n"
    );
    let (_, kept) = typed(&store, "show|main", OutputFormat::People, &[]).await;
    assert!(kept.text().contains("delivers to     logs/a\n"), "{}", kept.text());
    assert!(
        kept.text().ends_with("events          all management events, all of S3's data events\n"),
        "{}",
        kept.text()
    );
    for line in ["list", "status", "status|main", "show|main", "selectors|main", "start|main"] {
        let (outcome, kept) = typed(&store, line, OutputFormat::Json, &[]).await;
        assert_eq!(outcome, Ok(()), "{line}");
        assert!(serde_json::from_str::<Value>(&kept.text()).is_ok(), "{line}: {}", kept.text());
    }
}

#[tokio::test]
async fn a_refusal_is_shown_with_what_to_do() {
    let store = FakeStore::start(|_| {
        (400, json!({"__type": "TrailNotFoundException", "message": "Unknown trail: x"}).to_string())
    });
    let (outcome, _) = typed(&store, "show|main", OutputFormat::People, &[]).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.message, "GetTrail: refused: Unknown trail: x (TrailNotFoundException)");
    assert!(error.next.unwrap().contains("portcullis trail list"));
}
