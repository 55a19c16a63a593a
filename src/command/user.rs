//! `portcullis user`: the account's users.

mod import;
mod upstream;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::{AdminClient, AdminRequest};
use super::error::CommandError;
use super::given_key::GivenKeyArgs;
use super::holders::{GrantHolder, NamedGrant, groups_of};
use super::key;
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_policy::PolicyKind;

/// The subcommands of `user`.
#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Create a user with an access key, a new one that is shown once or one that clients hold already
    #[command(
        after_help = "Examples:\n  portcullis user add alice\n  portcullis user add alice --policy readonly --json\n  \
                            portcullis user add alice --access-key app-1 --secret-stdin < secret.txt\n  \
                            portcullis user add alice --upstream-credentials alice-at-the-store.env"
    )]
    Add(AddUserArgs),
    /// Take users and access keys from a file
    #[command(after_help = import::EXAMPLE)]
    Import(import::ImportArgs),
    /// List users
    List,
    /// Remove a user, all its access keys and its policies
    Remove(UserArgs),
    /// Show the policies, groups and keys of a user
    Show(UserArgs),
    /// Set with which key a user acts at the upstream
    #[command(after_help = upstream::EXAMPLE)]
    Upstream(upstream::UpstreamKeyArgs),
}

#[derive(Args)]
pub(super) struct AddUserArgs {
    /// The user's name
    user: String,
    /// What the user may do: names of policies, ARNs, or files
    #[arg(long = "policy", value_name = "POLICY", num_args = 1.., default_value = "readwrite", conflicts_with = "no_policy")]
    policies: Vec<String>,
    /// Create a user that may do nothing yet
    #[arg(long)]
    no_policy: bool,
    #[command(flatten)]
    given: GivenKeyArgs,
    /// Sign the user's requests to the upstream with the key in this file, so that the upstream's own policies apply
    #[arg(long, value_name = "FILE")]
    upstream_credentials: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct UserArgs {
    /// The user's name
    user: String,
}

/// Runs the subcommand.
pub(super) async fn run(
    command: UserCommand,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match command {
        UserCommand::Add(args) => add(args, admin, terminal).await,
        UserCommand::Import(args) => import::run(&args, admin, terminal).await,
        UserCommand::List => list(admin, terminal).await,
        UserCommand::Remove(args) => remove(&args.user, admin, terminal).await,
        UserCommand::Show(args) => show(&args.user, admin, terminal).await,
        UserCommand::Upstream(args) => upstream::run(&args, admin, terminal).await,
    }
}

async fn add(args: AddUserArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let AddUserArgs { user, policies, no_policy, given, upstream_credentials } = args;
    if user == key::ROOT {
        // A user of this name would be taken for root wherever keys are named by their user.
        return Err(
            CommandError::usage("`root` cannot be a user's name").next("For a key of root: portcullis key create root")
        );
    }
    // Read first: a secret that cannot be used must leave no user behind.
    let upstream_key = upstream_credentials.as_deref().map(upstream::read).transpose()?;
    let given = given.read(terminal)?;
    let policies = if no_policy { Vec::new() } else { policies };
    let read = policies.iter().map(|text| NamedGrant::read(text, PolicyKind::UserInline));
    let grants = read.collect::<Result<Vec<_>, _>>()?;
    let question = AdminRequest::new("CreateUser").with("UserName", &user);
    admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
    // Before the user has a key to sign with, so that nothing is done with Portcullis's own meanwhile.
    if let Some(upstream_key) = &upstream_key {
        upstream::put(&user, upstream_key, admin).await.map_err(|error| {
            let place = admin.place().flag();
            error.next(format!(
                "The user was created without any key. Remove it and try again: portcullis user remove {user}{place}"
            ))
        })?;
    }
    let holder = GrantHolder::User(user.clone());
    for (grant, text) in grants.iter().zip(&policies) {
        holder.attach(grant, admin).await.map_err(|error| {
            let remove =
                format!("The user was created without policy {text} and without a key: portcullis user remove {user}");
            error.into_command_error(admin.place()).next(format!("{remove}{}", admin.place().flag()))
        })?;
    }
    let key = key::make(&user, given.as_ref(), admin).await.map_err(|error| {
        let retry = format!(
            "The user was created without a key; create one: portcullis key create {user}{}",
            admin.place().flag()
        );
        error.next(retry)
    })?;
    let may = match policies.as_slice() {
        [] => {
            format!("{user} may do nothing yet: portcullis policy attach POLICY --user {user}{}", admin.place().flag())
        }
        some => format!("{user} may do what these policies allow: {}", some.join(", ")),
    };
    match terminal.format() {
        OutputFormat::Json => {}
        OutputFormat::People => terminal.note(&may)?,
    }
    key.show(terminal)
}

async fn remove(user: &str, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    if user == key::ROOT {
        return Err(CommandError::usage("root is not a user and cannot be removed"));
    }
    let refused = |error: super::admin::AdminError| error.into_command_error(admin.place());
    // IAM deletes no user that still has keys.
    for key in key::of_user(Some(user), admin).await.map_err(refused)? {
        let question = AdminRequest::new("DeleteAccessKey").with("UserName", user).with("AccessKeyId", &key.id);
        admin.ask(&question).await.map_err(refused)?;
    }
    for group in groups_of(user, admin).await.map_err(refused)? {
        let question = AdminRequest::new("RemoveUserFromGroup").with("GroupName", &group).with("UserName", user);
        admin.ask(&question).await.map_err(refused)?;
    }
    GrantHolder::User(user.to_owned()).detach_all(admin).await.map_err(refused)?;
    admin.ask(&AdminRequest::new("DeleteUser").with("UserName", user)).await.map_err(refused)?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "userName": user, "removed": true })),
        OutputFormat::People => terminal.print(&format!("Removed user {user}, all its access keys and its policies.")),
    }
}

async fn show(user: &str, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let holder = GrantHolder::User(user.to_owned());
    let read = async {
        let described = admin.ask(&AdminRequest::new("GetUser").with("UserName", user)).await?;
        let boundary = described.child("User").and_then(|user| user.child("PermissionsBoundary"));
        let boundary = boundary.and_then(|boundary| boundary.text_of("PermissionsBoundaryArn")).map(str::to_owned);
        let (attached, inline) = (holder.attached(admin).await?, holder.inline(admin).await?);
        Ok((boundary, attached, inline, groups_of(user, admin).await?, key::of_user(Some(user), admin).await?))
    };
    let shown = read.await.map_err(|error: super::admin::AdminError| error.into_command_error(admin.place()))?;
    let (boundary, attached, inline, groups, keys) = shown;
    let keys: Vec<String> = keys.into_iter().map(|key| key.id).collect();
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({
            "userName": user,
            "attachedPolicies": attached,
            "inlinePolicies": inline,
            "permissionsBoundary": boundary,
            "groups": groups,
            "accessKeyIds": keys,
        })),
        OutputFormat::People => {
            let mut table = TextTable::new(&["", ""]);
            let rows = [
                ("user", vec![user.to_owned()]),
                ("policies", attached),
                ("inline policies", inline),
                ("permissions boundary", boundary.into_iter().collect()),
                ("groups", groups),
                ("access keys", keys),
            ];
            for (name, values) in rows {
                let values = if values.is_empty() { "-".to_owned() } else { values.join(", ") };
                table.row(RowTone::Plain, [name.to_owned(), values]);
            }
            terminal.print(&table.render(TableHead::Hidden, terminal.colour()))
        }
    }
}

async fn list(admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let users = admin.list(AdminRequest::new("ListUsers"), "Users").await;
    let users = users.map_err(|error| error.into_command_error(admin.place()))?;
    let text = |user: &portcullis_xml::XmlElement, name: &str| user.filled_text_of(name).unwrap_or("-").to_owned();
    match terminal.format() {
        OutputFormat::Json => {
            let users = users.iter().map(|user| {
                json!({
                    "userName": user.filled_text_of("UserName"),
                    "arn": user.filled_text_of("Arn"),
                    "createDate": user.filled_text_of("CreateDate"),
                    "upstreamAccessKeyId": user.filled_text_of("UpstreamAccessKeyId"),
                })
            });
            terminal.print_json(&Value::Array(users.collect()))
        }
        OutputFormat::People if users.is_empty() => {
            terminal.print(&format!("no users yet; add one: portcullis user add NAME{}", admin.place().flag()))
        }
        OutputFormat::People => {
            let mut table = TextTable::new(&["USER", "CREATED", "UPSTREAM KEY", "ARN"]);
            for user in &users {
                table.row(
                    RowTone::Plain,
                    ["UserName", "CreateDate", "UpstreamAccessKeyId", "Arn"].map(|name| text(user, name)),
                );
            }
            terminal.print(&table.render(TableHead::Shown, terminal.colour()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake_proxy::{FakeProxy, Seen, iam_error};
    use crate::command::terminal::kept::terminal;

    fn willing(seen: &Seen) -> (u16, String) {
        let (action, result) = if seen.asks("CreateAccessKey") {
            let key = "<AccessKey><UserName>alice</UserName><AccessKeyId>AKIAALICE00000000001</AccessKeyId>\
                       <Status>Active</Status><SecretAccessKey>s3cr3t</SecretAccessKey></AccessKey>";
            ("CreateAccessKey", key)
        } else if seen.asks("ListAccessKeys") {
            let member = "<AccessKeyMetadata><member><UserName>alice</UserName><AccessKeyId>AKIAALICE00000000001\
                          </AccessKeyId><Status>Active</Status></member></AccessKeyMetadata>";
            ("ListAccessKeys", member)
        } else {
            ("Other", "")
        };
        (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
    }

    fn added(user: &str) -> AddUserArgs {
        let policies = vec!["readwrite".to_owned()];
        AddUserArgs {
            user: user.to_owned(),
            policies,
            no_policy: false,
            given: GivenKeyArgs::default(),
            upstream_credentials: None,
        }
    }

    fn alice() -> AddUserArgs {
        added("alice")
    }

    #[tokio::test]
    async fn adding_gives_the_user_a_key_and_shows_it() {
        let proxy = FakeProxy::start(willing);
        let (mut terminal, kept) = terminal(OutputFormat::Json, &[]);
        run(UserCommand::Add(alice()), &AdminClient::of(proxy.place()), &mut terminal).await.unwrap();
        assert_eq!(proxy.actions(), ["CreateUser", "AttachUserPolicy", "CreateAccessKey"]);
        assert_eq!(
            kept.text(),
            "{\"userName\":\"alice\",\"accessKeyId\":\"AKIAALICE00000000001\",\"secretAccessKey\":\"s3cr3t\"}\n"
        );
    }

    #[tokio::test]
    async fn a_user_of_the_upstream_has_its_key_there_before_one_to_sign_with() {
        let proxy = FakeProxy::start(willing);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "AWS_ACCESS_KEY_ID=ALICE-KEY\nAWS_SECRET_ACCESS_KEY=long-enough\n").unwrap();
        let args = || AddUserArgs { upstream_credentials: Some(file.path().to_owned()), ..alice() };
        let (mut output, _) = terminal(OutputFormat::Json, &[]);
        run(UserCommand::Add(args()), &AdminClient::of(proxy.place()), &mut output).await.unwrap();
        assert_eq!(
            proxy.actions(),
            ["CreateUser", "PutUserUpstreamCredentials", "AttachUserPolicy", "CreateAccessKey"]
        );

        let proxy = FakeProxy::start(|seen| match seen.asks("PutUserUpstreamCredentials") {
            true => (503, iam_error("ServiceUnavailable", "The state could not be written.")),
            false => willing(seen),
        });
        let (mut output, _) = terminal(OutputFormat::Json, &[]);
        let outcome = run(UserCommand::Add(args()), &AdminClient::of(proxy.place()), &mut output).await;
        assert!(outcome.unwrap_err().next.unwrap().contains("portcullis user remove alice"));
        assert_eq!(proxy.actions(), ["CreateUser", "PutUserUpstreamCredentials"], "no key without the other");
    }

    #[tokio::test]
    async fn nobody_is_called_root_but_root() {
        let proxy = FakeProxy::start(willing);
        let (mut terminal, _) = terminal(OutputFormat::Json, &[]);
        let root = added("root");
        let outcome = run(UserCommand::Add(root), &AdminClient::of(proxy.place()), &mut terminal).await;
        assert_eq!(outcome.unwrap_err().blame, crate::command::error::ExitCause::Usage);
        let root = UserArgs { user: "root".to_owned() };
        assert!(run(UserCommand::Remove(root), &AdminClient::of(proxy.place()), &mut terminal).await.is_err());
        assert_eq!(proxy.actions(), [""; 0]);
    }

    #[tokio::test]
    async fn a_user_left_without_a_key_is_told_of() {
        let proxy = FakeProxy::start(|seen| match seen.asks("CreateAccessKey") {
            true => (409, iam_error("LimitExceeded", "Cannot exceed quota")),
            false => willing(seen),
        });
        let (mut terminal, _) = terminal(OutputFormat::Json, &[]);
        let outcome = run(UserCommand::Add(alice()), &AdminClient::of(proxy.place()), &mut terminal).await;
        assert!(outcome.unwrap_err().next.unwrap().contains("portcullis key create alice"));
    }

    #[tokio::test]
    async fn removing_takes_the_keys_first() {
        let proxy = FakeProxy::start(willing);
        let (mut terminal, kept) = terminal(OutputFormat::People, &[]);
        run(UserCommand::Remove(UserArgs { user: "alice".to_owned() }), &AdminClient::of(proxy.place()), &mut terminal)
            .await
            .unwrap();
        let expected = [
            "ListAccessKeys",
            "DeleteAccessKey",
            "ListGroupsForUser",
            "ListAttachedUserPolicies",
            "ListUserPolicies",
            "DeleteUser",
        ];
        assert_eq!(proxy.actions(), expected);
        assert_eq!(kept.text(), "Removed user alice, all its access keys and its policies.\n");
    }
}
