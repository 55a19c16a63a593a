//! `portcullis user upstream`: the key with which a user acts at the upstream.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::super::admin::{AdminClient, AdminRequest};
use super::super::dev::read_credentials;
use super::super::error::CommandError;
use super::super::key;
use super::super::terminal::{OutputFormat, Terminal};
use portcullis_base::names::AccessKeyId;
use portcullis_server::config::FileExposure;
use portcullis_state::GivenKey;

pub(super) const EXAMPLE: &str = "\
FILE has lines as upstream.credentials_file has them, mode 0600:
  AWS_ACCESS_KEY_ID=...
  AWS_SECRET_ACCESS_KEY=...

Requests that are under way go on with the key that they began with.

Examples:
  portcullis user upstream alice --credentials alice-at-the-store.env
  portcullis user upstream alice --remove";

#[derive(Args)]
pub(in crate::command) struct UpstreamKeyArgs {
    /// The user's name
    user: String,
    #[command(flatten)]
    change: UpstreamKeyChange,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct UpstreamKeyChange {
    /// Use the key in this file from now on, in place of the one before
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Use Portcullis's own key from now on
    #[arg(long)]
    remove: bool,
}

/// Runs the subcommand.
pub(super) async fn run(
    args: &UpstreamKeyArgs,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let user = &args.user;
    if user == key::ROOT {
        return Err(CommandError::usage("root acts at the upstream with Portcullis's own key, always"));
    }
    let key = args.change.credentials.as_deref().map(read).transpose()?;
    match &key {
        Some(key) => put(user, key, admin).await?,
        None => {
            let question = AdminRequest::new("DeleteUserUpstreamCredentials").with("UserName", user);
            admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
        }
    }
    let id = key.as_ref().map(|key| key.id().as_str());
    match (terminal.format(), id) {
        (OutputFormat::Json, _) => terminal.print_json(&json!({ "userName": user, "upstreamAccessKeyId": id })),
        (OutputFormat::People, Some(id)) => {
            terminal.print(&format!("{user} acts at the upstream with the key {id} from now on."))
        }
        (OutputFormat::People, None) => {
            terminal.print(&format!("{user} acts at the upstream with Portcullis's own key from now on."))
        }
    }
}

/// Gives a user a key at the upstream.
pub(super) async fn put(user: &str, key: &GivenKey, admin: &AdminClient) -> Result<(), CommandError> {
    let question = AdminRequest::new("PutUserUpstreamCredentials")
        .with("UserName", user)
        .with("AccessKeyId", key.id().as_str())
        .with("SecretAccessKey", key.secret().expose());
    admin.ask(&question).await.map(drop).map_err(|error| error.into_command_error(admin.place()))
}

/// Reads a key that only its owner may read.
pub(super) fn read(file: &Path) -> Result<GivenKey, CommandError> {
    let (credentials, exposure) = read_credentials(file)?;
    let shown = file.display();
    match exposure {
        FileExposure::OwnerOnly => {}
        FileExposure::Others => {
            return Err(CommandError::usage(format!("{shown}: others than its owner can read it"))
                .next(format!("chmod 600 {shown}, and replace the key at the store if others may have read it")));
        }
    }
    let id = AccessKeyId::parse(&credentials.access_key_id);
    let id = id.map_err(|error| CommandError::usage(format!("{shown}: AWS_ACCESS_KEY_ID: {error}")))?;
    GivenKey::new(id, credentials.secret_access_key)
        .map_err(|error| CommandError::usage(format!("{shown}: AWS_SECRET_ACCESS_KEY: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake_proxy::{FakeProxy, iam_error};
    use crate::command::terminal::kept::terminal;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const SECRET: &str = "a/secret+of=alice";

    fn file(mode: u32, text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    fn lines() -> String {
        format!("AWS_ACCESS_KEY_ID=ALICE-KEY\nAWS_SECRET_ACCESS_KEY={SECRET}\n")
    }

    async fn run_on(proxy: &FakeProxy, user: &str, credentials: Option<&Path>) -> (Result<(), CommandError>, String) {
        let change = UpstreamKeyChange { credentials: credentials.map(Path::to_owned), remove: credentials.is_none() };
        let args = UpstreamKeyArgs { user: user.to_owned(), change };
        let (mut terminal, kept) = terminal(OutputFormat::People, &[]);
        let outcome = run(&args, &AdminClient::of(proxy.place()), &mut terminal).await;
        (outcome, kept.text())
    }

    #[tokio::test]
    async fn a_key_is_given_and_taken_away_and_its_secret_goes_to_the_proxy_alone() {
        let proxy = FakeProxy::start(|_| (200, "<Response/>".to_owned()));
        let file = file(0o600, &lines());
        let (outcome, text) = run_on(&proxy, "alice", Some(file.path())).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(text, "alice acts at the upstream with the key ALICE-KEY from now on.\n");
        assert_eq!(
            proxy.seen().last().unwrap().form,
            "Action=PutUserUpstreamCredentials&Version=2010-05-08&UserName=alice&AccessKeyId=ALICE-KEY&\
             SecretAccessKey=a%2Fsecret%2Bof%3Dalice"
        );
        let (outcome, text) = run_on(&proxy, "alice", None).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(text, "alice acts at the upstream with Portcullis's own key from now on.\n");
        assert_eq!(proxy.actions(), ["PutUserUpstreamCredentials", "DeleteUserUpstreamCredentials"]);
    }

    #[tokio::test]
    async fn nothing_is_sent_of_a_file_that_others_can_read_or_that_holds_no_key() {
        let proxy = FakeProxy::start(|_| (200, "<Response/>".to_owned()));
        for (mode, text, said) in [
            (0o640, lines(), "others than its owner can read it"),
            (0o604, lines(), "others than its owner can read it"),
            (0o602, lines(), "others than its owner can write it"),
            (0o600, "AWS_ACCESS_KEY_ID=ALICE-KEY\n".to_owned(), "AWS_SECRET_ACCESS_KEY is missing"),
            (0o600, lines().replace("ALICE-KEY", "a key"), "AWS_ACCESS_KEY_ID"),
            (0o600, lines().replace(SECRET, "short"), "AWS_SECRET_ACCESS_KEY"),
        ] {
            let file = file(mode, &text);
            let error = run_on(&proxy, "alice", Some(file.path())).await.0.unwrap_err();
            assert!(error.message.contains(said) && !error.to_string().contains(SECRET), "{error}");
        }
        let file = file(0o600, &lines());
        assert!(run_on(&proxy, "root", Some(file.path())).await.0.is_err());
        assert!(run_on(&proxy, "root", None).await.0.is_err());
        assert_eq!(proxy.actions(), [""; 0]);
    }

    #[tokio::test]
    async fn what_the_proxy_refuses_is_told() {
        let proxy = FakeProxy::start(|_| (404, iam_error("NoSuchEntity", "The user cannot be found.")));
        let (outcome, text) = run_on(&proxy, "carol", None).await;
        assert!(outcome.unwrap_err().message.contains("The user cannot be found."));
        assert_eq!(text, "");
    }
}
