use http::HeaderMap;

use super::*;
use crate::command::error::ExitCause;
use crate::command::fake_proxy::{FakeProxy, Seen, iam_error};
use crate::command::fake_store::FakeStore;
use crate::command::terminal::kept::terminal;
use clap::Parser;

/// What a MinIO told.
const EXPORT: &[u8] = include_bytes!("../../../crates/import/src/fixtures/minio-export.zip");
const CEPH: &str = include_str!("../../../crates/import/src/fixtures/ceph-users.json");

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: ImportCommand,
}

fn typed(line: &str) -> ImportCommand {
    Line::try_parse_from(std::iter::once("import").chain(line.split(' '))).expect("a command line").command
}

/// An account without users and policies, which takes all that is made.
fn empty(seen: &Seen) -> (u16, String) {
    let action = seen.form.strip_prefix("Action=").and_then(|form| form.split('&').next()).unwrap_or_default();
    if !action.starts_with("List") && seen.form.ends_with("&Version=2010-05-08") {
        return (400, iam_error("ValidationError", "A parameter is missing."));
    }
    let result = match action {
        "CreatePolicy" => "<Policy><Arn>arn:aws:iam::123456789012:policy/made</Arn></Policy>",
        "CreateAccessKey" => "<AccessKey><AccessKeyId>AKIA</AccessKeyId></AccessKey>",
        _ => "",
    };
    (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

/// Some other calls than `empty` answers are unknown.
fn of_old(seen: &Seen) -> (u16, String) {
    match ["CreateUser", "CreateAccessKey", "ListUsers", "ListAccessKeys"].iter().any(|action| seen.asks(action)) {
        true => empty(seen),
        false => (400, iam_error("InvalidAction", "Could not find operation.")),
    }
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("export.zip"), EXPORT).unwrap();
        std::fs::write(folder.path().join("users.json"), CEPH).unwrap();
        let key = "AWS_ACCESS_KEY_ID=minioadmin\nAWS_SECRET_ACCESS_KEY=minio-secret\n";
        std::fs::write(folder.path().join("root.env"), key).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn minio(&self, further: &str) -> ImportCommand {
        let export = self.path("export.zip");
        typed(&format!("minio --from {export} --root minioadmin --leave-out bob-trial{further}"))
    }

    fn ceph(&self, further: &str) -> ImportCommand {
        typed(&format!("ceph --from {}{further}", self.path("users.json")))
    }
}

async fn run_on(proxy: &FakeProxy, command: ImportCommand, format: OutputFormat) -> (Result<(), CommandError>, String) {
    let (mut terminal, kept) = terminal(format, &[]);
    let outcome = run(command, &AdminClient::of(proxy.place()), &mut terminal).await;
    (outcome, kept.text())
}

/// The calls that would change something, in order, each once.
fn changes(proxy: &FakeProxy) -> Vec<String> {
    let whole = proxy.seen().into_iter().filter(|seen| !seen.form.ends_with("&Version=2010-05-08"));
    let mut actions: Vec<_> =
        whole.filter_map(|seen| Some(seen.form.strip_prefix("Action=")?.split('&').next()?.to_owned())).collect();
    actions.retain(|action| !action.starts_with("List"));
    actions.dedup();
    actions
}

#[tokio::test]
async fn without_apply_the_plan_is_shown_and_nothing_is_made() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let (outcome, text) = run_on(&proxy, files.minio(""), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()));
    for part in [
        "to do  policy photos-editor, 2 statements\n",
        "to do  policy photos-editor for group editors\n",
        "to do  access key alice-ci of user alice\n",
        "to do  access key erin of user erin is inactive\n",
        "to do  user alice-alice-limited may do no more than policy session-alice-limited allows\n",
        "\nWhat differs from the store:\n",
        "  policy `readonly` becomes `minio-readonly`: ",
        "Nothing is changed yet. Add --apply to make these changes.\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("-secret"), "{text}");
    assert_eq!(changes(&proxy), [""; 0]);
}

#[tokio::test]
async fn applying_makes_each_call_in_order_with_the_keys_that_clients_hold() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let (outcome, text) = run_on(&proxy, files.minio(" --apply"), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()), "{text}");
    let made = changes(&proxy);
    assert_eq!(made[..4], ["CreatePolicy", "CreateGroup", "AttachGroupPolicy", "CreateGroup"]);
    assert_eq!(made.last().map(String::as_str), Some("CreateAccessKey"));
    let seen = proxy.seen();
    let forms: Vec<_> = seen.iter().map(|seen| seen.form.as_str()).collect();
    for form in [
        "Action=CreateAccessKey&Version=2010-05-08&UserName=alice&AccessKeyId=alice-ci&SecretAccessKey=alice-ci-secret",
        "Action=AttachUserPolicy&Version=2010-05-08&UserName=alice&PolicyArn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2Fwriteonly",
        "Action=AttachUserPolicy&Version=2010-05-08&UserName=bob&PolicyArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Apolicy%2Fmade",
        "Action=UpdateAccessKey&Version=2010-05-08&UserName=erin&AccessKeyId=erin&Status=Inactive",
        "Action=AddUserToGroup&Version=2010-05-08&UserName=alice&GroupName=editors",
    ] {
        assert!(forms.contains(&form), "{form}\n{forms:#?}");
    }
    assert!(text.ends_with("steps are made.\n") && !text.contains("alice-ci-secret"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_lacks_an_action_gets_no_part_of_the_plan() {
    let (proxy, files) = (FakeProxy::start(of_old), Files::new());
    for (command, action) in [(files.minio(" --apply"), "AddUserToGroup"), (files.ceph(" --apply"), "AttachUserPolicy")]
    {
        let (outcome, _) = run_on(&proxy, command, OutputFormat::People).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.message, format!("the running Portcullis does not know {action}, which the import needs"));
    }
    assert_eq!(changes(&proxy), [""; 0]);
    let (outcome, _) = run_on(&proxy, files.minio(""), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()), "the plan can be seen");
}

#[tokio::test]
async fn a_call_that_is_refused_ends_the_import_and_says_so() {
    let proxy = FakeProxy::start(|seen| match seen.form.contains("UserName=carol") && seen.asks("CreateUser") {
        true => (503, iam_error("ServiceUnavailable", "The state could not be written.")),
        false => empty(seen),
    });
    let (outcome, _) = run_on(&proxy, Files::new().minio(" --apply"), OutputFormat::Json).await;
    let error = outcome.unwrap_err();
    assert!(error.message.contains("The state could not be written."));
    assert!(error.next.unwrap().contains("Run the command again"));
    assert!(!proxy.seen().iter().any(|seen| seen.form.contains("UserName=dave")), "what follows is not tried");
}

#[tokio::test]
async fn what_is_in_the_way_refuses_the_whole() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let command = || typed(&format!("minio --from {} --leave-out root-app --apply", files.path("export.zip")));
    let (outcome, text) = run_on(&proxy, command(), OutputFormat::People).await;
    assert_eq!(outcome.unwrap_err().message, "the import has 1 fault, told above");
    let told = "What is in the way:\n  service account `root-limited`: its parent `minioadmin` is no user of this MinIO\n    \
                If it is MinIO's root, say so: --root minioadmin. If an identity provider vouches for it, --leave-out \
                root-limited\n";
    assert!(text.contains(told), "{text}");
    assert_eq!(changes(&proxy), [""; 0]);
    let (_, text) = run_on(&proxy, command(), OutputFormat::Json).await;
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["applied"], false);
    assert_eq!(told["faults"][0]["place"], "service account `root-limited`");
    assert_eq!(told["steps"][0]["standing"], "to do");
    assert!(!text.contains("-secret"), "{text}");
}

#[tokio::test]
async fn a_minio_is_asked_with_a_signed_request() {
    let store = FakeStore::start_with_headers(|_| (200, HeaderMap::new(), EXPORT));
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let command =
        format!("minio --endpoint {} --credentials {} --leave-out bob-trial", store.endpoint(), files.path("root.env"));
    let (outcome, text) = run_on(&proxy, typed(&command), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()), "{text}");
    assert!(text.contains("user minioadmin-root-app\n"), "the key that asks is root's: {text}");
    let seen = store.seen();
    assert_eq!(seen.iter().map(|seen| seen.line.as_str()).collect::<Vec<_>>(), ["GET /minio/admin/v3/export-iam"]);
    assert!(seen[0].header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=minioadmin/"));
}

#[tokio::test]
async fn a_store_that_gives_no_export_is_named_with_what_to_do() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let denied = r#"{"Code":"AccessDenied","Message":"Access Denied."}"#;
    let not_found = "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>";
    for (status, body, message, next) in [
        (403, denied, "Access Denied. (AccessDenied)", "admin:ExportIAM"),
        (404, not_found, "no (NoSuchBucket)", "It is no MinIO"),
        (200, "{}", "gave no export of MinIO's users: it is not a ZIP archive", "Nothing was imported."),
    ] {
        let store = FakeStore::start(move |_| (status, body.to_owned()));
        let command = format!("minio --endpoint {} --credentials {}", store.endpoint(), files.path("root.env"));
        let (outcome, _) = run_on(&proxy, typed(&command), OutputFormat::People).await;
        let error = outcome.unwrap_err();
        assert!(error.message.contains(message) && error.message.contains(&store.endpoint().to_string()), "{error}");
        assert!(error.next.as_deref().unwrap_or_default().contains(next), "{:?}", error.next);
    }
    assert_eq!(proxy.actions(), [""; 0]);
}

#[tokio::test]
async fn users_of_ceph_act_in_the_store_by_their_own_keys() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let (outcome, text) = run_on(&proxy, files.ceph(" --apply"), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()), "{text}");
    assert!(text.contains("to do  user bob-backup acts in the store by its key bobbackup\n"), "{text}");
    let form = "Action=PutUserUpstreamCredentials&Version=2010-05-08&UserName=bob-backup&AccessKeyId=bobbackup&\
                SecretAccessKey=bob-backup-secret-1";
    assert!(proxy.seen().iter().any(|seen| seen.form == form));
    assert!(!text.contains("bob-backup-secret"), "{text}");
}

#[tokio::test]
async fn users_of_minio_may_act_there_by_their_own_keys() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    let (outcome, text) = run_on(&proxy, files.minio(" --upstream-keys"), OutputFormat::People).await;
    assert_eq!(outcome, Ok(()), "{text}");
    assert!(text.contains("to do  user alice-alice-ci acts in the store by its key alice-ci\n"), "{text}");
    assert!(!text.contains("to do  group") && !text.contains("policy home"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_before_the_proxy_is_asked() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    std::fs::write(files.path("users.json"), "[{\"user_id\": \"a\",\n \"suspended\": 0}]").unwrap();
    let (outcome, _) = run_on(&proxy, files.ceph(""), OutputFormat::People).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.blame, ExitCause::Usage);
    assert!(error.message.contains("missing field `keys` at line 2"), "{error}");
    std::fs::write(files.path("export.zip"), &EXPORT[..EXPORT.len() / 2]).unwrap();
    let (outcome, _) = run_on(&proxy, files.minio(""), OutputFormat::People).await;
    assert!(outcome.unwrap_err().message.ends_with("it is not a ZIP archive"));
    assert_eq!(proxy.actions(), [""; 0]);
}

#[tokio::test]
async fn a_secret_that_cannot_sign_here_is_a_fault() {
    let (proxy, files) = (FakeProxy::start(empty), Files::new());
    std::fs::write(files.path("users.json"), CEPH.replace("carol-secret-1", "short")).unwrap();
    let (outcome, text) = run_on(&proxy, files.ceph(" --apply"), OutputFormat::People).await;
    assert!(outcome.is_err());
    assert!(
        text.contains("secret of access key `carolkey` of `carol`: a secret access key is 8 to 128 bytes"),
        "{text}"
    );
    assert!(!text.contains("short"), "{text}");
    assert_eq!(changes(&proxy), [""; 0]);
}

#[test]
fn the_source_of_an_import_is_one() {
    let fails = |line: &str| Line::try_parse_from(std::iter::once("import").chain(line.split(' '))).is_err();
    for line in [
        "minio --apply",
        "minio --endpoint http://minio:9000",
        "minio --credentials root.env",
        "minio --from e.zip --endpoint http://minio:9000 --credentials root.env",
        "minio --from e.zip --ca ca.pem",
        "ceph --apply",
    ] {
        assert!(fails(line), "{line}");
    }
}
