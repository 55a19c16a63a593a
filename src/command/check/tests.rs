use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use http::HeaderMap;

use super::*;
use crate::command::error::ExitCause;
use crate::command::fake_store::{FakeStore, Seen};
use crate::command::terminal::kept::terminal;
use portcullis_http::fixture::{Authority, files};

/// A store that versions, ignores MfaDelete, and serves no request without a signature.
fn like_minio() -> impl Fn(&Seen) -> (u16, HeaderMap, String) + Send + Sync {
    that_mistakes(&[])
}

/// The same, but it carries out the plain operation where the query begins with one of these keys.
fn that_mistakes(mistaken: &'static [&'static str]) -> impl Fn(&Seen) -> (u16, HeaderMap, String) + Send + Sync {
    let held = Mutex::new(BTreeMap::<String, String>::new());
    move |seen| {
        let (method, target) = seen.line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let key = query.split(['=', '&']).next().unwrap();
        let mut held = held.lock().unwrap();
        let (status, document) = match (method, key) {
            _ if seen.header("authorization").is_empty() => {
                (403, "<Error><Code>AccessDenied</Code></Error>".to_owned())
            }
            ("GET", "") if path == "/" => (200, String::new()),
            (method, key) if key.is_empty() || mistaken.contains(&key) => plain(&mut held, method, path, seen),
            (method, key) => of_a_configuration(&mut held, method, path, key),
        };
        let mut headers = HeaderMap::new();
        if (method, status, key) == ("PUT", 200, "") && path.ends_with("/probe") {
            headers.insert("x-amz-version-id", "v-1".parse().unwrap());
        }
        (status, headers, document)
    }
}

fn plain(held: &mut BTreeMap<String, String>, method: &str, path: &str, seen: &Seen) -> (u16, String) {
    let is_bucket = path.matches('/').count() == 1;
    match method {
        "PUT" => {
            let source = seen.header("x-amz-copy-source");
            let content = held.get(source).cloned().unwrap_or_else(|| seen.body.clone());
            held.insert(path.to_owned(), content);
            (200, String::new())
        }
        "GET" if is_bucket => {
            let keys = held.keys().filter_map(|held| held.strip_prefix(&format!("{path}/")));
            let entries: String = keys.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
            (200, format!("<ListBucketResult>{entries}</ListBucketResult>"))
        }
        "DELETE" => {
            held.remove(path);
            (204, String::new())
        }
        _ => held.get(path).map_or((404, String::new()), |content| (200, content.clone())),
    }
}

fn of_a_configuration(held: &mut BTreeMap<String, String>, method: &str, path: &str, key: &str) -> (u16, String) {
    match (method, key) {
        (_, "versioning") => {
            (200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned())
        }
        ("GET", "list-type") => (200, "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>".to_owned()),
        ("POST", "delete") => {
            held.remove(&format!("{path}/probe"));
            (200, "<DeleteResult/>".to_owned())
        }
        ("DELETE", _) => (204, String::new()),
        (_, "website") => (501, "<Error><Code>NotImplemented</Code></Error>".to_owned()),
        _ => (400, "<Error><Code>MalformedXML</Code></Error>".to_owned()),
    }
}

fn written(directory: &Path, endpoint: &str) -> CheckArgs {
    let (config, key) = (directory.join("portcullis.toml"), directory.join("upstream.env"));
    // So few connections fit whatever the limit of open files is here.
    let settings = format!(
        "[limits]\nconnections = 8\nconnections_per_address = 8\n[upstream]\nendpoint = \"{endpoint}\"\n\
         credentials_file = \"upstream.env\"\n"
    );
    std::fs::write(&config, settings).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
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
    let (outcome, findings) = findings_with(store, prepare).await;
    let line =
        |finding: &Value| format!("{}: {}", finding["about"].as_str().unwrap(), finding["verdict"].as_str().unwrap());
    (outcome, findings.iter().map(line).collect())
}

async fn findings_with(
    store: &FakeStore,
    prepare: impl FnOnce(&Path) -> &'static str,
) -> (Result<(), CommandError>, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut terminal, kept) = terminal(OutputFormat::Json, &[]);
    let args = written(directory.path(), &store.endpoint().to_string());
    let settings = std::fs::read_to_string(&args.config).unwrap() + prepare(directory.path());
    std::fs::write(&args.config, settings).unwrap();
    let outcome = run(args, [], &mut terminal).await;
    (outcome, serde_json::from_str(&kept.text()).unwrap())
}

#[tokio::test]
async fn a_store_that_versions_and_ignores_mfa_delete_is_fit() {
    let store = FakeStore::start_with_headers(like_minio());
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        verdicts,
        [
            "configuration: ok",
            "credentials file: ok",
            "codes: ok",
            "connections: ok",
            "store: ok",
            "anonymous: ok",
            "routing: ok",
            "listing: ok",
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
async fn a_store_that_takes_an_operation_for_another_is_not_fit_for_its_profile() {
    for (mistaken, told) in [
        (&["policy"] as &'static [&'static str], "DeleteBucketPolicy, GetBucketPolicy, PutBucketPolicy"),
        (
            &["tagging"],
            "DeleteBucketTagging, GetBucketTagging, PutBucketTagging, DeleteObjectTagging, GetObjectTagging, PutObjectTagging",
        ),
        (&["list-type"], "ListObjectsV2"),
        (&["versions"], "ListObjectVersions"),
        (&["delete"], "DeleteObjects"),
        (&["uploadId"], "AbortMultipartUpload, ListParts"),
        (&["partNumber"], "UploadPart, UploadPartCopy"),
        (&["object-lock"], "GetObjectLockConfiguration, PutObjectLockConfiguration"),
    ] {
        let store = FakeStore::start_with_headers(that_mistakes(mistaken));
        let (outcome, findings) = findings_with(&store, |_| "").await;
        assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed, "{mistaken:?}");
        let routing = findings.iter().find(|finding| finding["about"] == "routing").unwrap();
        let text = routing["text"].as_str().unwrap();
        assert!(text.ends_with(&format!("another operation for {told}")), "{mistaken:?}: {text}");
    }
}

#[tokio::test]
async fn what_a_store_mistakes_is_put_right_before_the_next_trial() {
    let store = FakeStore::start_with_headers(that_mistakes(&["policy", "cors"]));
    let (_, findings) = findings_with(&store, |_| "").await;
    let routing = findings.iter().find(|finding| finding["about"] == "routing").unwrap();
    assert_eq!(routing["text"].as_str().unwrap().matches("Bucket").count(), 6, "{routing}");
    let lines: Vec<String> = store.seen().into_iter().map(|seen| seen.line).collect();
    let bucket = lines[1].strip_prefix("PUT /").unwrap().to_owned();
    let count = |line: &str| lines.iter().filter(|seen| *seen == line).count();
    // Made once, and again after either delete; each bucket made by mistake goes.
    assert_eq!(count(&format!("PUT /{bucket}")), 3);
    assert_eq!(count(&format!("DELETE /{bucket}-free")), 2);
}

#[tokio::test]
async fn a_store_that_hides_keys_from_listings_is_worth_a_look() {
    let minio = like_minio();
    let store = FakeStore::start_with_headers(move |seen| {
        let (status, headers, document) = minio(seen);
        (status, headers, document.replace("<Contents><Key>folder/probe</Key></Contents>", ""))
    });
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome, Ok(()));
    assert!(verdicts.contains(&"listing: look".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn a_store_that_keeps_no_versions_is_not_fit() {
    let minio = like_minio();
    let store = FakeStore::start_with_headers(move |seen| {
        let (status, _, document) = minio(seen);
        (status, HeaderMap::new(), document)
    });
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed);
    assert!(verdicts.contains(&"versioning: FAIL".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn a_store_that_serves_anybody_is_worth_a_look() {
    let minio = like_minio();
    let store = FakeStore::start_with_headers(move |seen| match seen.header("authorization").is_empty() {
        true => (200, HeaderMap::new(), String::new()),
        false => minio(seen),
    });
    let (outcome, verdicts) = verdicts(&store).await;
    assert_eq!(outcome, Ok(()));
    assert!(verdicts.contains(&"anonymous: look".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn where_codes_need_tls_that_is_not_there_they_are_worth_a_look() {
    let store = FakeStore::start_with_headers(like_minio());
    let (_, verdicts) = verdicts_with(&store, |_| "[mfa]\nrequire_tls = \"always\"\n").await;
    assert!(verdicts.contains(&"codes: look".to_owned()), "{verdicts:?}");
    let (_, verdicts) = verdicts_with(&store, |_| "[listen]\naddress = \"0.0.0.0:9000\"\n").await;
    assert!(verdicts.contains(&"codes: look".to_owned()), "{verdicts:?}");
}

#[tokio::test]
async fn a_certificate_is_held_against_its_key_before_anybody_is_served() {
    const TLS: &str = "[listen]\ncert_file = \"proxy.pem\"\nkey_file = \"proxy.key\"\n";
    let store = FakeStore::start_with_headers(like_minio());
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
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_asked_nothing_more() {
    let (outcome, verdicts) = verdicts(&FakeStore::gone()).await;
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Failed);
    assert_eq!(verdicts.last().map(String::as_str), Some("store: FAIL"));
}

#[tokio::test]
async fn a_configuration_with_mistakes_is_not_tried() {
    let directory = tempfile::tempdir().unwrap();
    let args = written(directory.path(), "nowhere");
    let (mut terminal, kept) = terminal(OutputFormat::Json, &[]);
    let error = run(args, [], &mut terminal).await.unwrap_err();
    assert_eq!(error.blame, ExitCause::Usage);
    assert!(error.message.contains("portcullis.toml:5: upstream.endpoint: `nowhere`"), "{}", error.message);
    assert_eq!(kept.text(), "");
}
