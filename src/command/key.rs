//! `portcullis key`: access keys.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::{AdminClient, AdminError, AdminRequest};
use super::error::CommandError;
use super::given_key::GivenKeyArgs;
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_base::secret::Secret;
use portcullis_state::GivenKey;
use portcullis_xml::XmlElement;

/// The subcommands of `key`.
#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Create an access key for a user and show it once, or take one that clients hold already
    #[command(after_help = "Examples:\n  portcullis key create alice\n  portcullis key create root --json\n  \
                            portcullis key create alice --access-key app-1 --secret-stdin < secret.txt")]
    Create(CreateKeyArgs),
    /// Delete an access key
    Delete(KeyArgs),
    /// Disable an access key without deleting it
    Disable(KeyArgs),
    /// Enable a disabled access key
    Enable(KeyArgs),
    /// List all access keys, or those of one user
    List(ListArgs),
}

#[derive(Args)]
pub(super) struct CreateKeyArgs {
    /// The user's name, or root
    user: String,
    #[command(flatten)]
    given: GivenKeyArgs,
}

#[derive(Args)]
pub(super) struct KeyArgs {
    /// The access key id
    id: String,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// The user's name, or root
    user: Option<String>,
}

/// A key without its secret.
pub(super) struct ListedKey {
    pub id: String,
    /// The user; `None` for a key of root.
    pub user: Option<String>,
    status: String,
    created: Option<String>,
}

/// A new key; its secret is shown only now, unless it was given.
pub(super) struct CreatedKey {
    user: String,
    id: String,
    secret: Option<Secret<String>>,
}

/// Runs the subcommand.
pub(super) async fn run(command: KeyCommand, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    match command {
        KeyCommand::Create(CreateKeyArgs { user, given }) => {
            let given = given.read(terminal)?;
            make(&user, given.as_ref(), admin).await?.show(terminal)
        }
        KeyCommand::Delete(args) => {
            let key = find(&args.id, admin).await?;
            act(&key, AdminRequest::new("DeleteAccessKey"), "deleted", admin, terminal).await
        }
        KeyCommand::Disable(args) => {
            let key = find(&args.id, admin).await?;
            act(&key, AdminRequest::new("UpdateAccessKey").with("Status", "Inactive"), "disabled", admin, terminal)
                .await
        }
        KeyCommand::Enable(args) => {
            let key = find(&args.id, admin).await?;
            act(&key, AdminRequest::new("UpdateAccessKey").with("Status", "Active"), "enabled", admin, terminal).await
        }
        KeyCommand::List(args) => list(args.user.as_deref(), admin, terminal).await,
    }
}

/// Root's name on the command line; in IAM, root is meant where no user is named.
pub(super) const ROOT: &str = "root";

/// Makes a key for a user, or for root: the one that is given, or a new one.
pub(super) async fn make(
    user: &str,
    given: Option<&GivenKey>,
    admin: &AdminClient,
) -> Result<CreatedKey, CommandError> {
    let mut question = AdminRequest::new("CreateAccessKey");
    if let Some(given) = given {
        question = question.with("AccessKeyId", given.id().as_str()).with("SecretAccessKey", given.secret().expose());
    }
    let question = of_holder(question, Some(user));
    let result = admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
    CreatedKey::read(&result, user).ok_or_else(|| CommandError::failed("the answer lacks the key"))
}

/// The keys of a user, or root's own.
pub(super) async fn of_user(user: Option<&str>, admin: &AdminClient) -> Result<Vec<ListedKey>, AdminError> {
    let question = of_holder(AdminRequest::new("ListAccessKeys"), user);
    let members = admin.list(question, "AccessKeyMetadata").await?;
    members.iter().map(|member| ListedKey::read(member, user).ok_or(AdminError::Wanting("AccessKeyId"))).collect()
}

fn of_holder(question: AdminRequest, user: Option<&str>) -> AdminRequest {
    match user {
        None | Some(ROOT) => question,
        Some(user) => question.with("UserName", user),
    }
}

/// The names of all users, and the keys of root and of each user.
pub(super) async fn users_and_keys(admin: &AdminClient) -> Result<(Vec<String>, Vec<ListedKey>), AdminError> {
    let mut keys = of_user(None, admin).await?;
    let users = admin.list(AdminRequest::new("ListUsers"), "Users").await?;
    let users: Vec<String> =
        users.iter().filter_map(|user| user.filled_text_of("UserName")).map(str::to_owned).collect();
    for user in &users {
        keys.extend(of_user(Some(user), admin).await?);
    }
    Ok((users, keys))
}

/// IAM requires the user of a key.
async fn find(id: &str, admin: &AdminClient) -> Result<ListedKey, CommandError> {
    let (_, keys) = users_and_keys(admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    keys.into_iter().find(|key| key.id == id).ok_or_else(|| {
        CommandError::failed(format!("there is no access key `{id}`"))
            .next(format!("portcullis key list{} shows them", admin.place().flag()))
    })
}

async fn act(
    key: &ListedKey,
    question: AdminRequest,
    done: &str,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let question = of_holder(question.with("AccessKeyId", &key.id), key.user.as_deref());
    admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "accessKeyId": key.id, done: true })),
        OutputFormat::People => terminal.print(&format!("{} of {} is {done}.", key.id, key.holder())),
    }
}

async fn list(user: Option<&str>, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let keys = match user {
        Some(user) => of_user(Some(user), admin).await,
        None => users_and_keys(admin).await.map(|(_, keys)| keys),
    };
    let keys = keys.map_err(|error| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&Value::Array(keys.iter().map(ListedKey::as_json).collect())),
        OutputFormat::People => {
            let mut table = TextTable::new(&["ACCESS KEY ID", "USER", "STATUS", "CREATED"]);
            for key in &keys {
                let tone = if key.status == "Active" { RowTone::Plain } else { RowTone::Faint };
                let created = key.created.clone().unwrap_or_else(|| "-".to_owned());
                table.row(tone, [key.id.clone(), key.holder().to_owned(), key.status.clone(), created]);
            }
            terminal.print(&table.render(TableHead::Shown, terminal.colour()))
        }
    }
}

impl ListedKey {
    fn read(member: &XmlElement, user: Option<&str>) -> Option<Self> {
        Some(Self {
            id: member.filled_text_of("AccessKeyId")?.to_owned(),
            user: user.map(str::to_owned),
            status: member.filled_text_of("Status").unwrap_or("unknown").to_owned(),
            created: member.filled_text_of("CreateDate").map(str::to_owned),
        })
    }

    /// Whether it may sign.
    pub(super) fn is_active(&self) -> bool {
        self.status == "Active"
    }

    fn holder(&self) -> &str {
        self.user.as_deref().unwrap_or(ROOT)
    }

    fn as_json(&self) -> Value {
        json!({
            "accessKeyId": self.id,
            "userName": self.holder(),
            "status": self.status,
            "createDate": self.created,
        })
    }
}

impl CreatedKey {
    fn read(result: &XmlElement, user: &str) -> Option<Self> {
        let key = result.child("AccessKey")?;
        Some(Self {
            user: key.filled_text_of("UserName").unwrap_or(user).to_owned(),
            id: key.filled_text_of("AccessKeyId")?.to_owned(),
            secret: key.filled_text_of("SecretAccessKey").map(|secret| Secret::new(secret.to_owned())),
        })
    }

    /// Shows the key; the secret cannot be shown again.
    pub(super) fn show(&self, terminal: &mut Terminal) -> Result<(), CommandError> {
        match (terminal.format(), &self.secret) {
            (OutputFormat::Json, None) => {
                terminal.print_json(&json!({ "userName": self.user, "accessKeyId": self.id }))
            }
            (OutputFormat::Json, Some(secret)) => terminal.print_json(&json!({
                "userName": self.user,
                "accessKeyId": self.id,
                "secretAccessKey": secret.expose(),
            })),
            (OutputFormat::People, None) => {
                terminal.print(&format!("{} is now a key of {}, with the secret that was given.", self.id, self.user))
            }
            (OutputFormat::People, Some(secret)) => terminal.print(&format!(
                "The key of {}; its secret is shown this once only.\n\n  \
                 export AWS_ACCESS_KEY_ID={}\n  export AWS_SECRET_ACCESS_KEY={}\n",
                self.user,
                self.id,
                secret.expose()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake_proxy::{FakeProxy, Seen};
    use crate::command::terminal::kept::terminal;

    fn two_keys(seen: &Seen) -> (u16, String) {
        let member = |id: &str, status: &str| {
            format!(
                "<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata><member><AccessKeyId>{id}</AccessKeyId>\
                 <Status>{status}</Status><CreateDate>2026-11-21T09:41:58Z</CreateDate></member></AccessKeyMetadata>\
                 </ListAccessKeysResult></ListAccessKeysResponse>"
            )
        };
        if seen.asks("ListUsers") {
            let users = "<Users><member><UserName>alice</UserName></member></Users>";
            return (200, format!("<ListUsersResponse><ListUsersResult>{users}</ListUsersResult></ListUsersResponse>"));
        }
        match (seen.asks("ListAccessKeys"), seen.form.contains("UserName=alice")) {
            (true, true) => (200, member("AKIAALICE00000000001", "Inactive")),
            (true, false) => (200, member("AKIAROOT000000000001", "Active")),
            (false, _) => (200, "<Response/>".to_owned()),
        }
    }

    async fn run_on(
        proxy: &FakeProxy,
        command: KeyCommand,
        format: OutputFormat,
    ) -> (Result<(), CommandError>, String) {
        let (mut terminal, kept) = terminal(format, &[]);
        let outcome = run(command, &AdminClient::of(proxy.place()), &mut terminal).await;
        (outcome, kept.text())
    }

    #[tokio::test]
    async fn the_list_holds_roots_keys_and_every_users() {
        let proxy = FakeProxy::start(two_keys);
        let (_, text) = run_on(&proxy, KeyCommand::List(ListArgs { user: None }), OutputFormat::People).await;
        assert_eq!(
            text,
            "ACCESS KEY ID         USER   STATUS    CREATED\n\
             AKIAROOT000000000001  root   Active    2026-11-21T09:41:58Z\n\
             AKIAALICE00000000001  alice  Inactive  2026-11-21T09:41:58Z\n"
        );
    }

    #[tokio::test]
    async fn the_proxy_is_told_whose_key_to_disable() {
        let proxy = FakeProxy::start(two_keys);
        let args = KeyArgs { id: "AKIAALICE00000000001".to_owned() };
        let (outcome, text) = run_on(&proxy, KeyCommand::Disable(args), OutputFormat::Json).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(text, "{\"accessKeyId\":\"AKIAALICE00000000001\",\"disabled\":true}\n");
        assert_eq!(
            proxy.seen().last().unwrap().form,
            "Action=UpdateAccessKey&Version=2010-05-08&Status=Inactive&AccessKeyId=AKIAALICE00000000001&UserName=alice"
        );
    }

    #[tokio::test]
    async fn roots_keys_are_those_of_no_user() {
        let proxy = FakeProxy::start(two_keys);
        let list = ListArgs { user: Some("root".to_owned()) };
        let (_, text) = run_on(&proxy, KeyCommand::List(list), OutputFormat::People).await;
        assert!(text.contains("AKIAROOT000000000001  root "), "{text}");
        assert_eq!(proxy.seen()[0].form, "Action=ListAccessKeys&Version=2010-05-08");
    }

    #[tokio::test]
    async fn a_key_that_is_not_there_is_said_so() {
        let proxy = FakeProxy::start(two_keys);
        let args = KeyArgs { id: "AKIANOBODY".to_owned() };
        let (outcome, _) = run_on(&proxy, KeyCommand::Delete(args), OutputFormat::People).await;
        assert_eq!(outcome.unwrap_err().message, "there is no access key `AKIANOBODY`");
        assert!(!proxy.actions().iter().any(|action| action == "DeleteAccessKey"));
    }
}
