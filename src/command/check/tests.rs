use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::HeaderMap;

use super::*;
use crate::command::error::Blame;
use crate::command::fake_store::{FakeStore, Seen};
use crate::command::terminal::kept::terminal;
use crate::wire::specimen::{Authority, files};

/// A store that versions, ignores MfaDelete, and serves nobody without a signature.
fn like_minio(seen: &Seen) -> (u16, HeaderMap, String) {
    let mut headers = HeaderMap::new();
    if seen.header("authorization").is_empty() {
        return (403, headers, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>".to_owned());
    }
    if seen.line.starts_with("PUT") && seen.line.ends_with("/probe") {
        headers.insert("x-amz-version-id", "v-1".parse().unwrap());
    }
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned();
    (200, headers, if seen.line.contains("?versioning") { versioning } else { String::new() })
}

fn written(directory: &Path, endpoint: &str) -> CheckArgs {
    let (config, key) = (directory.join("portcullis.toml"), directory.join("upstream.env"));
    std::fs::write(&config, format!("[upstream]\nendpoint = \"{endpoint}\"\ncredentials_file = \"upstream.env\"\n"))
        .unwrap();
    std::fs::write(&key, "AWS_ACCESS_KEY_ID=AKIAUPSTREAM0000001\nAWS_SECRET_ACCESS_KEY=secret\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    CheckArgs { config }
}

async fn verdicts(store: &FakeStore) -> (Result<(), CommandError>, Vec<String>) {
    verdicts_with(store, |_| "").await
}

/// What is found with these further settings.
async fn verdicts_with(
    store: &FakeStore,
    prepare: impl FnOnce(&Path) -> &'static str,
) -> (Result<(), CommandError>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut terminal, kept) = terminal(Format::Json, &[]);
    let args = written(directory.path(), &store.endpoint().to_string());
    let settings = std::fs::read_to_string(&args.config).unwrap() + prepare(directory.path());
    std::fs::write(&args.config, settings).unwrap();
    let outcome = run(args, [], &mut terminal).await;
    let findings: Vec<Value> = serde_json::from_str(&kept.text()).unwrap();
    let line =
        |finding: &Value| format!("{}: {}", finding["about"].as_str().unwrap(), finding["verdict"].as_str().unwrap());
    (outcome, findings.iter().map(line).collect())
}

#[tokio::test]
async fn a_store_that_versions_and_ignores_mfa_delete_is_fit() {
    let store = FakeStore::start_with_headers(like_minio);
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        verdicts,
        [
            "configuration: ok",
            "credentials file: ok",
            "codes: ok",
            "store: ok",
            "anonymous: ok",
            "versioning: ok",
            "MfaDelete: ok"
        ]
    );
    let lines: Vec<String> = store.seen().into_iter().map(|seen| seen.line).collect();
    let bucket = lines[1].strip_prefix("PUT /").unwrap().to_owned();
    assert!(bucket.starts_with("portcullis-check-"));
    assert!(lines.contains(&format!("DELETE /{bucket}/probe?versionId=v-1")));
    assert_eq!(lines.last(), Some(&format!("DELETE /{bucket}")));
}

#[tokio::test]
async fn a_store_that_keeps_no_versions_is_not_fit() {
    let store = FakeStore::start_with_headers(|seen| {
        let (status, _, document) = like_minio(seen);
        (status, HeaderMap::new(), document)
    });
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome.unwrap_err().blame, Blame::Failed);
    assert!(verdicts.contains(&"versioning: FAIL".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn a_store_that_serves_anybody_is_worth_a_look() {
    let store = FakeStore::start_with_headers(|seen| match seen.header("authorization").is_empty() {
        true => (200, HeaderMap::new(), String::new()),
        false => like_minio(seen),
    });
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome, Ok(()));
    assert!(verdicts.contains(&"anonymous: look".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn where_codes_need_tls_that_is_not_there_they_are_worth_a_look() {
    let store = FakeStore::start_with_headers(like_minio);
    let (_, verdicts) = verdicts_with(&store, |_| "[mfa]\nrequire_tls = \"always\"\n").await;
    assert!(verdicts.contains(&"codes: look".to_owned()), "{verdicts:?}");
    let (_, verdicts) = verdicts_with(&store, |_| "[listen]\naddress = \"0.0.0.0:9000\"\n").await;
    assert!(verdicts.contains(&"codes: look".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn a_certificate_is_held_against_its_key_before_anybody_is_served() {
    const TLS: &str = "[listen]\ncert_file = \"gate.pem\"\nkey_file = \"gate.key\"\n";
    let store = FakeStore::start_with_headers(like_minio);
    let authority = Authority::new("ours");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let prepared = |key_mode| {
        let issued = authority.issue("localhost");
        move |directory: &Path| {
            mode(&files(directory, &issued).key_file, key_mode);
            TLS
        }
    };
    let (_, verdicts) = verdicts_with(&store, prepared(0o600)).await;
    assert_eq!(verdicts[2..4], ["certificate: ok", "codes: ok"]);
    let (_, verdicts) = verdicts_with(&store, prepared(0o644)).await;
    assert_eq!(verdicts[2], "certificate: look");
    let (outcome, verdicts) = verdicts_with(&store, |_| TLS).await;
    assert_eq!(verdicts[2], "certificate: FAIL");
    assert_eq!(outcome.unwrap_err().blame, Blame::Failed);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_asked_nothing_more() {
    let (outcome, verdicts) = verdicts(&FakeStore::gone()).await;
    assert_eq!(outcome.unwrap_err().blame, Blame::Failed);
    assert_eq!(verdicts.last().map(String::as_str), Some("store: FAIL"));
}

#[tokio::test]
async fn a_configuration_with_mistakes_is_not_tried() {
    let directory = tempfile::tempdir().unwrap();
    let args = written(directory.path(), "nowhere");
    let (mut terminal, kept) = terminal(Format::Json, &[]);
    let error = run(args, [], &mut terminal).await.unwrap_err();
    assert_eq!(error.blame, Blame::Usage);
    assert!(error.message.contains("portcullis.toml:2: upstream.endpoint: `nowhere`"), "{}", error.message);
    assert_eq!(kept.text(), "");
}
