use std::io::Write as _;

use super::*;
use crate::command::fake_proxy::{FakeProxy, Seen};
use crate::command::terminal::kept::terminal;

/// An account in which alice has one key, and root another.
fn with_alice(seen: &Seen) -> (u16, String) {
    let key = |id: &str| format!("<member><AccessKeyId>{id}</AccessKeyId><Status>Active</Status></member>");
    let (action, result) = if seen.asks("ListUsers") {
        ("ListUsers", "<Users><member><UserName>alice</UserName></member></Users>".to_owned())
    } else if seen.asks("ListAccessKeys") {
        let id = if seen.form.contains("UserName=alice") { "alice-1" } else { "root-1" };
        ("ListAccessKeys", format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", key(id)))
    } else if seen.asks("CreateAccessKey") {
        ("CreateAccessKey", "<AccessKey><AccessKeyId>given</AccessKeyId></AccessKey>".to_owned())
    } else if seen.asks("CreateUser") {
        ("CreateUser", String::new())
    } else {
        ("AttachUserPolicy", String::new())
    };
    (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

/// Imports a file, and gives the outcome, what was printed, and the changes that were asked for.
async fn import(file: &str, apply: bool) -> (Result<(), String>, String, Vec<String>) {
    let proxy = FakeProxy::start(with_alice);
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let (mut terminal, kept) = terminal(OutputFormat::People, &[]);
    let args = ImportArgs { from: written.path().to_owned(), apply };
    let outcome = run(&args, &AdminClient::of(proxy.place()), &mut terminal).await;
    let outcome = outcome.map_err(|error| format!("{error} {}", error.next.as_deref().unwrap_or("")));
    let is_change = |form: &String| form.starts_with("Action=Create") || form.starts_with("Action=Attach");
    let changes = proxy.seen().into_iter().map(|seen| seen.form).filter(is_change);
    (outcome, kept.text(), changes.collect())
}

const FILE: &str = r#"{"users": [
    {"userName": "alice", "accessKeys": [
        {"accessKeyId": "alice-1", "secretAccessKey": "known-to-alice"},
        {"accessKeyId": "alice-2", "secretAccessKey": "also&known=to-alice%"}]},
    {"userName": "bob", "accessKeys": [{"accessKeyId": "minio.bob@example", "secretAccessKey": "bobs-secret"}]},
    {"userName": "carol", "policies": ["readonly", "arn:aws:iam::123456789012:policy/logs"]},
    {"userName": "dan", "policies": []}]}"#;

#[tokio::test]
async fn a_plan_is_shown_and_nothing_changed_until_it_is_applied() {
    let (outcome, text, changes) = import(FILE, false).await;
    assert_eq!((outcome, changes), (Ok(()), Vec::new()));
    insta::assert_snapshot!(text);
    let (outcome, text, changes) = import(FILE, true).await;
    assert_eq!(outcome, Ok(()));
    insta::assert_snapshot!(format!("{text}\n{}", changes.join("\n")));
}

#[tokio::test]
async fn a_file_that_is_wrong_is_refused_whole_and_says_where() {
    let user =
        |name: &str, keys: &str| format!("{{\"users\": [{{\"userName\": \"{name}\", \"accessKeys\": [{keys}]}}]}}");
    let key = |id: &str, secret: &str| format!("{{\"accessKeyId\": \"{id}\", \"secretAccessKey\": \"{secret}\"}}");
    let two = format!("{}, {}", key("new-1", "long-enough"), key("new-2", "long-enough"));
    let mut told = String::new();
    for file in [
        String::new(),
        "{}".to_owned(),
        "{\"users\": 1}".to_owned(),
        FILE.replace("also&known=to-alice%", " also&known"),
        FILE.replace("\"userName\": \"bob\"", "\"username\": \"bob\""),
        FILE.replace("alice-2", "a/b"),
        FILE.replace("bobs-secret", "short"),
        FILE.replace("carol", "a b"),
        FILE.replace("carol", "root"),
        FILE.replace("\"readonly\"", "\"no such/policy\""),
        FILE.replace("\"policies\": [\"readonly\"", "\"policy\": [\"readonly\""),
        user("dave", &key("root-1", "long-enough")),
        user("dave", &key("alice-1", "long-enough")),
        user("Alice", ""),
        user("alice", &two),
        user("dave", &format!("{two}, {}", key("new-1", "long-enough"))),
        user("dave", &format!("{two}, {}", key("new-3", "long-enough"))),
        "{\"users\": [{\"userName\": \"dave\"}, {\"userName\": \"Dave\"}]}".to_owned(),
    ] {
        let (outcome, text, changes) = import(&file, true).await;
        let error = outcome.expect_err(&file);
        assert_eq!((text, changes), (String::new(), Vec::new()), "{file}");
        assert!(error.contains("Nothing was imported.") && !error.contains("long-enough"), "{error}");
        told.push_str(error.split_once(": ").map_or(error.as_str(), |(path, rest)| match path.starts_with('/') {
            true => rest,
            false => error.as_str(),
        }));
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}
