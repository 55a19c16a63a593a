use std::path::PathBuf;

use super::*;
use crate::command::fake_store::FakeStore;
use crate::command::terminal::kept::{Kept, terminal};

const MFA: &str = "arn:aws:iam::123456789012:mfa/phone 123456";

fn versioning(inner: &str) -> (u16, String) {
    (200, format!("<VersioningConfiguration>{inner}</VersioningConfiguration>"))
}

async fn run_on(
    store: &FakeStore,
    command: MfaDeleteCommand,
    format: OutputFormat,
) -> (Result<(), CommandError>, Kept) {
    let (mut terminal, kept) = terminal(format, &[]);
    let nowhere = StateDirectory::find(Some(PathBuf::from("/nonexistent")), None);
    let endpoint = store.endpoint().to_string();
    let environment = move |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIAROOT000000000001".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        _ => None,
    };
    (run(command, &nowhere, environment, &mut terminal).await, kept)
}

fn vault() -> ChangeArgs {
    ChangeArgs { bucket: BucketName::parse("vault").unwrap(), mfa: Some(Secret::new(MFA.to_owned())) }
}

#[tokio::test]
async fn enabling_sets_versioning_and_mfa_delete_with_a_signed_code() {
    let store = FakeStore::start(|_| versioning(""));
    let (outcome, kept) = run_on(&store, MfaDeleteCommand::Enable(vault()), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()));
    let seen = store.seen();
    assert_eq!(seen[0].line, "GET /vault?versioning");
    assert_eq!(seen[1].line, "PUT /vault?versioning");
    assert_eq!(seen[1].header("x-amz-mfa"), MFA);
    assert!(seen[1].header("authorization").contains(";x-amz-mfa,"));
    assert!(seen[1].body.contains("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"), "{}", seen[1].body);
    assert!(kept.text().starts_with("vault: MFA Delete is enabled"), "{}", kept.text());
}

#[tokio::test]
async fn enabling_what_is_enabled_spends_no_code() {
    let store = FakeStore::start(|_| versioning("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"));
    let (outcome, _) = run_on(&store, MfaDeleteCommand::Enable(vault()), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(store.seen().len(), 1);
}

#[tokio::test]
async fn disabling_keeps_versioning_as_it_is() {
    let store = FakeStore::start(|_| versioning("<Status>Suspended</Status><MfaDelete>Enabled</MfaDelete>"));
    let (outcome, kept) = run_on(&store, MfaDeleteCommand::Disable(vault()), OutputFormat::Json).await;
    assert_eq!(outcome, Ok(()));
    let body = store.seen()[1].body.clone();
    assert!(body.contains("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>"), "{body}");
    assert_eq!(kept.text(), "{\"bucket\":\"vault\",\"versioning\":\"Suspended\",\"mfaDelete\":\"Disabled\"}\n");
}

#[tokio::test]
async fn the_status_of_all_buckets_is_a_table() {
    let store = FakeStore::start(|seen| match seen.line.as_str() {
        "GET /" => {
            let buckets = "<Buckets><Bucket><Name>scratch</Name></Bucket><Bucket><Name>vault</Name></Bucket></Buckets>";
            (200, format!("<ListAllMyBucketsResult>{buckets}</ListAllMyBucketsResult>"))
        }
        "GET /vault?versioning" => versioning("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"),
        _ => versioning(""),
    });
    let (_, kept) =
        run_on(&store, MfaDeleteCommand::Status(BucketStatusArgs { bucket: None }), OutputFormat::People).await;
    assert_eq!(
        kept.text(),
        "BUCKET   VERSIONING  MFA DELETE\nscratch  never set   never set\nvault    Enabled     Enabled\n"
    );
}

#[tokio::test]
async fn the_status_of_one_bucket_is_one_object() {
    let store = FakeStore::start(|_| versioning("<Status>Enabled</Status>"));
    let args = BucketStatusArgs { bucket: BucketName::parse("vault").ok() };
    let (_, kept) = run_on(&store, MfaDeleteCommand::Status(args), OutputFormat::Json).await;
    assert_eq!(kept.text(), "{\"bucket\":\"vault\",\"versioning\":\"Enabled\",\"mfaDelete\":null}\n");
}

#[tokio::test]
async fn a_refusal_is_shown_in_its_own_words() {
    let store = FakeStore::start(|seen| match seen.line.starts_with("PUT") {
        true => (
            400,
            "<Error><Code>TokenCodeInvalidError</Code><Message>The serial number and/or token code you provided is \
             not valid.</Message></Error>"
                .to_owned(),
        ),
        false => versioning(""),
    });
    let (outcome, _) = run_on(&store, MfaDeleteCommand::Enable(vault()), OutputFormat::People).await;
    let error = outcome.unwrap_err();
    assert_eq!(
        error.message,
        "vault: refused: The serial number and/or token code you provided is not valid. (TokenCodeInvalidError)"
    );
    assert!(error.next.unwrap().contains("each code is accepted once"));
}

#[tokio::test]
async fn where_nothing_listens_portcullis_is_said_not_to_run() {
    let store = FakeStore::gone();
    let args = BucketStatusArgs { bucket: None };
    let (outcome, _) = run_on(&store, MfaDeleteCommand::Status(args), OutputFormat::Json).await;
    assert_eq!(outcome.unwrap_err().blame, crate::command::error::ExitCause::NotRunning);
}
