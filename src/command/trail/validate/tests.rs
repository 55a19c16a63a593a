use std::collections::BTreeMap;
use std::path::Path;

use http::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::command::error::ExitCause;
use crate::command::fake_store::FakeStore;
use crate::command::terminal::{OutputFormat, kept};
use portcullis_cloudtrail::TrailEnd;
use portcullis_cloudtrail::digest::DigestEnding;
use portcullis_cloudtrail::verify::fixture::{TAMPERINGS, TrailFixture};
use portcullis_cloudtrail::verify::{ExpectedDigest, FileMetadata};

/// Writes a fixture as a copy of its bucket, with what else the command is given; how it is called follows.
fn laid_out(fixture: &TrailFixture, bucket: &str) -> (TempDir, ValidateArgs) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("copy");
    fs::create_dir(&folder).unwrap();
    for (key, file) in &fixture.files {
        let path = folder.join(bucket).join(key);
        write(&path, &file.bytes);
        if let FileMetadata::Present(metadata) = &file.metadata
            && key.contains("CloudTrail-Digest")
        {
            write(Path::new(&format!("{}.metadata.json", path.display())), json!(metadata).to_string().as_bytes());
        }
    }
    let keys: Vec<Value> = fixture.scope.keys.iter().map(PublicKey::to_json).collect();
    let public_keys = directory.path().join("keys.json");
    write(&public_keys, json!({ "PublicKeyList": keys }).to_string().as_bytes());
    let mut expect_head = Vec::new();
    for (number, expected) in fixture.scope.expected.iter().enumerate() {
        expect_head.push(match expected {
            ExpectedDigest::Hash(hash) => hex::encode(hash),
            ExpectedDigest::Head(head) | ExpectedDigest::HeadAfterRange(head) => {
                let path = directory.path().join(format!("head-{number}"));
                write(&path, format!("origin\n{}\n", head.to_json()).as_bytes());
                path.display().to_string()
            }
        });
    }
    let args = ValidateArgs {
        name: None,
        folder: Some(folder),
        public_keys: Some(public_keys),
        start_time: None,
        end_time: None,
        expect_head,
        write_head: Some(directory.path().join("written-head")),
    };
    (directory, args)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

async fn validated(args: ValidateArgs, format: OutputFormat) -> (Result<(), CommandError>, String) {
    let (mut terminal, kept) = kept::terminal(format, &[]);
    let place = StateDirectory::find(Some("nowhere".into()), None);
    let outcome = run(args, &place, |_| None, &mut terminal).await;
    (outcome, kept.text())
}

#[tokio::test]
async fn every_tampering_with_a_copied_folder_ends_in_exit_code_1_and_says_why() {
    let mut wrong = Vec::new();
    for tampering in TAMPERINGS {
        let mut fixture = TrailFixture::ended();
        (tampering.tamper)(&mut fixture);
        if fixture.scope.currency != TrailCurrency::Unasked {
            // A copy is as old as it is.
            continue;
        }
        let (_directory, args) = laid_out(&fixture, "");
        let head = args.write_head.clone().unwrap();
        let (outcome, text) = validated(args, OutputFormat::Json).await;
        let shown: Value = serde_json::from_str(text.lines().next().unwrap_or("null")).unwrap();
        let mut codes: Vec<&str> = Vec::new();
        if let Some(found) = shown["findings"].as_array() {
            codes.extend(found.iter().filter_map(|found| found["code"].as_str()));
        }
        codes.sort_unstable();
        codes.dedup();
        let blame = outcome.map_err(|error| error.blame);
        let expected = if tampering.found.is_empty() { Ok(()) } else { Err(ExitCause::Failed) };
        // Where there are no digests left, there is no trail to report on.
        let found = if tampering.found.contains(&"NothingFound") { &[] } else { tampering.found };
        if (blame, codes.as_slice(), head.exists()) != (expected, found, expected.is_ok()) {
            wrong.push(format!("{}: {blame:?} {codes:?}", tampering.what));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn people_are_told_in_the_words_of_the_aws_cli() {
    let mut fixture = TrailFixture::ended();
    let log = fixture.log(7);
    fixture.remove(&log);
    let (_directory, args) = laid_out(&fixture, "");
    let (outcome, text) = validated(args, OutputFormat::People).await;
    assert_eq!(outcome.unwrap_err().to_string(), "the trail is not proven: 1 finding");
    assert!(text.contains(&format!("Log file\ts3://trail-bucket/{log}\tINVALID: not found\n")), "{text}");
    assert!(text.contains("55/55 digest files valid, 2/2 backfill digest files valid, "), "{text}");
    assert!(text.contains("Note\tNo log files were delivered between "), "{text}");
    assert!(text.ends_with("NOT PROVEN\n"), "{text}");
}

#[tokio::test]
async fn a_head_that_was_written_is_expected_the_next_time() {
    let fixture = TrailFixture::ended();
    let (directory, args) = laid_out(&fixture, "");
    let head = args.write_head.clone().unwrap();
    let (outcome, text) = validated(args, OutputFormat::People).await;
    assert_eq!(outcome, Ok(()));
    assert!(text.contains("PROVEN\nnote: no head was expected"), "{text}");

    let (_other, mut args) = laid_out(&fixture, "");
    args.expect_head = vec![head.display().to_string()];
    let (outcome, text) = validated(args, OutputFormat::People).await;
    assert_eq!(outcome, Ok(()));
    assert!(!text.contains("no head was expected"), "{text}");

    let mut shorter = fixture;
    shorter.remove(&shorter.backfill[1].clone());
    let (_other, mut args) = laid_out(&shorter, "");
    args.expect_head = vec![head.display().to_string()];
    let (outcome, text) = validated(args, OutputFormat::People).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed, "{}", directory.path().display());
    assert!(text.contains("Backfill digest file\t"), "{text}");
}

#[tokio::test]
async fn a_copy_proves_nothing_after_its_last_digest() {
    for (day, outcome) in [("2026-10-03", Ok(())), ("2026-10-04", Err(ExitCause::Failed))] {
        let (_directory, mut args) = laid_out(&TrailFixture::grown(), "");
        args.end_time = moment(day).ok();
        assert_eq!(validated(args, OutputFormat::People).await.0.map_err(|error| error.blame), outcome, "{day}");
    }
}

#[tokio::test]
async fn the_bucket_is_found_wherever_in_the_folder_it_begins() {
    for bucket in ["", "trail-bucket", "a/b"] {
        let (_directory, args) = laid_out(&TrailFixture::ended(), bucket);
        assert_eq!(validated(args, OutputFormat::People).await.0, Ok(()), "{bucket}");
    }
}

#[tokio::test]
async fn one_of_several_trails_has_to_be_named() {
    let (mut fixture, other) = (TrailFixture::ended(), TrailFixture::of_trail("other", DigestEnding::Final));
    fixture.files.extend(other.files);
    fixture.scope.keys.extend(other.scope.keys);
    let (_directory, args) = laid_out(&fixture, "");
    assert_eq!(validated(args, OutputFormat::People).await.0.unwrap_err().blame, ExitCause::Usage);
    for name in ["main", "other"] {
        let (_directory, mut args) = laid_out(&fixture, "");
        args.name = Some(TrailName::parse(name).unwrap());
        assert_eq!(validated(args, OutputFormat::People).await.0, Ok(()), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_proven_and_not_found_to_be_wrong() {
    let (_directory, mut args) = laid_out(&TrailFixture::ended(), "");
    args.folder.as_mut().unwrap().push("nowhere");
    assert_eq!(validated(args, OutputFormat::People).await.0.unwrap_err().blame, ExitCause::Unreadable);
    let (_directory, mut args) = laid_out(&TrailFixture::ended(), "");
    args.public_keys.as_mut().unwrap().set_extension("none");
    assert_eq!(validated(args, OutputFormat::People).await.0.unwrap_err().blame, ExitCause::Unreadable);
    let (_directory, mut args) = laid_out(&TrailFixture::ended(), "");
    args.expect_head = vec![args.public_keys.as_ref().unwrap().display().to_string()];
    assert_eq!(validated(args, OutputFormat::People).await.0.unwrap_err().blame, ExitCause::Usage);
}

/// A proxy that serves a fixture, some keys at a time.
fn proxy(fixture: TrailFixture) -> FakeStore {
    proxy_with(fixture, &[])
}

/// Such a proxy, with other trails by name and prefix.
fn proxy_with(fixture: TrailFixture, others: &'static [(&'static str, &'static str)]) -> FakeStore {
    proxy_that_tells(fixture, others, TrailEnd::default(), None)
}

/// Such a proxy, which tells where the files of its trail end, and the folder that they lie in.
fn proxy_that_tells(
    fixture: TrailFixture,
    others: &'static [(&'static str, &'static str)],
    end: TrailEnd,
    folder: Option<String>,
) -> FakeStore {
    FakeStore::start_with_headers(move |seen| {
        let (path, query) = seen.line.split_once(' ').unwrap().1.split_once('?').unwrap_or((&seen.line[4..], ""));
        let said = |value: Value| (200, HeaderMap::new(), value.to_string().into_bytes());
        match seen.header("x-amz-target").rsplit('.').next() {
            Some("DescribeTrails") => {
                let described = |(name, prefix): &(&str, &str)| {
                    let arn = format!("arn:aws:cloudtrail:us-east-1:111122223333:trail/{name}");
                    json!({ "Name": name, "TrailARN": arn, "S3BucketName": "trail-bucket", "S3KeyPrefix": prefix })
                };
                let trails: Vec<Value> = [("main", "")].iter().chain(others).map(described).collect();
                return said(json!({ "trailList": trails }));
            }
            Some("GetTrailStatus") => {
                let mut status = end.to_json();
                status["IsLogging"] = false.into();
                status["Folder"] = folder.clone().into();
                return said(status);
            }
            Some("ListPublicKeys") => {
                let keys: Vec<Value> = fixture.scope.keys.iter().map(PublicKey::to_json).collect();
                return said(json!({ "PublicKeyList": keys }));
            }
            _ => {}
        }
        if path == "/trail-bucket" {
            let query = portcullis_http::QueryString::parse(query).unwrap();
            let value =
                |name: &str| query.pairs().iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
            let (prefix, after) = (value("prefix"), value("continuation-token"));
            let listed = fixture.files.keys().filter(|key| key.starts_with(prefix) && key.as_str() > after);
            let page: Vec<&String> = listed.take(20).collect();
            let contents: String = page.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
            let next = match page.get(19) {
                Some(last) => {
                    format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>")
                }
                None => "<IsTruncated>false</IsTruncated>".to_owned(),
            };
            let document = format!("<ListBucketResult>{contents}{next}</ListBucketResult>");
            return (200, HeaderMap::new(), document.into_bytes());
        }
        let Some(file) = path.strip_prefix("/trail-bucket/").and_then(|key| fixture.files.get(key)) else {
            let document = "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>";
            return (404, HeaderMap::new(), document.as_bytes().to_vec());
        };
        let mut headers = HeaderMap::new();
        if let FileMetadata::Present(metadata) = &file.metadata {
            for (name, value) in metadata {
                let name: http::HeaderName = format!("x-amz-meta-{name}").parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
        }
        (200, headers, file.bytes.clone())
    })
}

async fn asked(store: &FakeStore) -> (Result<(), CommandError>, String) {
    asked_about(None, store).await
}

async fn asked_about(name: Option<&str>, store: &FakeStore) -> (Result<(), CommandError>, String) {
    let (mut terminal, kept) = kept::terminal(OutputFormat::People, &[]);
    let place = StateDirectory::find(Some("nowhere".into()), None);
    let endpoint = store.endpoint().to_string();
    let environment = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIAROOT000000000001".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        _ => None,
    };
    let args = ValidateArgs {
        name: name.map(|name| TrailName::parse(name).unwrap()),
        folder: None,
        public_keys: None,
        start_time: None,
        end_time: None,
        expect_head: Vec::new(),
        write_head: None,
    };
    (run(args, &place, environment, &mut terminal).await, kept.text())
}

#[tokio::test]
async fn a_proxys_own_trail_is_proven_over_s3_and_its_api() {
    let (outcome, text) = asked(&proxy(TrailFixture::ended())).await;
    assert_eq!(outcome, Ok(()), "{text}");
    assert!(text.contains("55/55 digest files valid, 2/2 backfill digest files valid, "), "{text}");
    let mut fixture = TrailFixture::ended();
    let log = fixture.log(7);
    fixture.remove(&log);
    let (outcome, text) = asked(&proxy(fixture)).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed);
    assert!(text.contains(&format!("Log file\ts3://trail-bucket/{log}\tINVALID: not found\n")), "{text}");
}

#[tokio::test]
async fn a_proxys_own_trail_must_end_where_the_proxy_says() {
    for (removed, is_proven) in [(None, true), (Some(54), false), (Some(29), false)] {
        let mut fixture = TrailFixture::ended();
        let end = fixture.end_at(54);
        if let Some(number) = removed {
            fixture.remove_from(number);
        }
        let (outcome, text) = asked(&proxy_that_tells(fixture, &[], end, None)).await;
        assert_eq!(outcome.is_ok(), is_proven, "{removed:?} {text}");
        assert_eq!(text.contains("the trail's end was removed"), !is_proven, "{text}");
        assert!(!text.contains("no head was expected"), "{text}");
    }
}

#[tokio::test]
async fn a_copy_of_a_trail_that_goes_on_is_proven_up_to_its_head_or_the_end_that_is_advised() {
    let (_directory, args) = laid_out(&TrailFixture::grown(), "");
    let (outcome, text) = validated(args, OutputFormat::People).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed);
    let advised = text.lines().find_map(|line| line.split("--end-time ").nth(1)).unwrap().to_owned();
    assert!(text.contains("(--expect-head)"), "{text}");
    let (_directory, mut args) = laid_out(&TrailFixture::grown(), "");
    args.end_time = Some(moment(&advised).unwrap());
    let (outcome, text) = validated(args, OutputFormat::People).await;
    assert_eq!(outcome, Ok(()), "{text}");
    let mut fixture = TrailFixture::grown();
    fixture.scope.expected = vec![ExpectedDigest::Head(fixture.head(54))];
    let (_directory, args) = laid_out(&fixture, "");
    assert_eq!(validated(args, OutputFormat::People).await.0, Ok(()));
}

/// An end of the range that is within a window or two of the newest digest is not reached by it.
#[tokio::test]
async fn the_digests_of_a_copy_must_reach_the_end_of_the_range() {
    for (after, is_proven) in [(-1, true), (0, true), (1, false), (3600, false)] {
        let (_directory, mut args) = laid_out(&TrailFixture::grown(), "");
        args.end_time = Some(Timestamp::from_seconds(TrailFixture::grown().digest(54).end.seconds() + after));
        let (outcome, text) = validated(args, OutputFormat::People).await;
        assert_eq!(outcome.is_ok(), is_proven, "{after} {text}");
    }
}

#[tokio::test]
async fn a_trail_that_the_proxy_delivers_to_a_folder_is_read_there() {
    let fixture = TrailFixture::ended();
    let (directory, args) = laid_out(&fixture, "trail-bucket");
    let (end, folder) = (fixture.end_at(54), args.folder.map(|folder| folder.display().to_string()));
    let mut nothing_in_the_store = TrailFixture::ended();
    nothing_in_the_store.files.clear();
    let proxy = proxy_that_tells(nothing_in_the_store, &[], end, folder);
    let (outcome, text) = asked(&proxy).await;
    assert_eq!(outcome, Ok(()), "{text}");
    // As seen from another machine: nothing is proven, and nothing is found to be wrong.
    drop(directory);
    let (outcome, text) = asked(&proxy).await;
    assert_eq!((outcome.unwrap_err().blame, text.as_str()), (ExitCause::Unreadable, ""));
}

/// As an earlier version let two trails share a place: the name of a log file does not say whose it is.
#[tokio::test]
async fn a_stray_log_file_is_told_with_the_trails_that_may_have_left_it() {
    let mut fixture = TrailFixture::ended();
    let slot = fixture.digest(7).start;
    fixture.add_log(slot, 0);
    let others = &[("beside", ""), ("elsewhere", "a")];
    let (outcome, text) = asked_about(Some("main"), &proxy_with(fixture, others)).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed);
    assert!(text.contains("Note\tTrail beside delivers, or delivered, to the same place: log files"), "{text}");
    assert!(!text.contains("Trail elsewhere") && !text.contains("Trail main delivers"), "{text}");
    let (outcome, text) = asked_about(Some("main"), &proxy_with(TrailFixture::ended(), others)).await;
    assert_eq!(outcome, Ok(()));
    assert!(!text.contains("Trail beside"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_proves_nothing_and_is_not_found_to_be_wrong() {
    let (outcome, _) = asked(&FakeStore::gone()).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::NotRunning);
    let broken = FakeStore::start(|seen| match seen.header("x-amz-target").rsplit('.').next() {
        Some("DescribeTrails") => {
            let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
            let trail = json!({ "Name": "main", "TrailARN": arn, "S3BucketName": "trail-bucket" });
            (200, json!({ "trailList": [trail] }).to_string())
        }
        Some("ListPublicKeys") => (200, json!({ "PublicKeyList": [] }).to_string()),
        Some("GetTrailStatus") => (200, TrailEnd::default().to_json().to_string()),
        _ => (503, "<Error><Code>SlowDown</Code><Message>slower</Message></Error>".to_owned()),
    });
    assert_eq!(asked(&broken).await.0.unwrap_err().blame, ExitCause::Unreadable);
}

#[test]
fn a_time_is_a_moment_or_a_day() {
    let day = Timestamp::parse_iso_extended("2026-11-21T00:00:00Z");
    assert_eq!(moment("2026-11-21").ok(), day);
    assert_eq!(moment("2026-11-21T00:00:00Z").ok(), day);
    assert!(moment("yesterday").is_err());
}

#[test]
fn metadata_that_are_no_texts_are_none() {
    let read = |json: &str| folder::texts(json.as_bytes());
    assert_eq!(read(r#"{"signature":"00","x":1}"#), BTreeMap::from([("signature".to_owned(), "00".to_owned())]));
    assert_eq!(read("not json"), BTreeMap::new());
}
