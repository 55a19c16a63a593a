//! `portcullis user import`: users and access keys that another store's clients hold already.
//!
//! The file is read and compared with the account as a whole before anything is changed, so that what is wrong in it is
//! found first. What is there already stays, so a run that was interrupted is repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::admin::{AdminClient, AdminRequest};
use super::super::error::CommandError;
use super::super::holders::{GrantHolder, NamedGrant};
use super::super::key;
use super::super::table::{RowTone, TableHead, TextTable};
use super::super::terminal::{OutputFormat, Terminal};
use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_base::secret::Secret;
use portcullis_policy::PolicyKind;
use portcullis_state::{GivenKey, MOST_KEYS};

pub(super) const EXAMPLE: &str = r#"FILE is JSON:
  {"users": [{"userName": "alice", "policies": ["readonly"], "accessKeys": [
    {"accessKeyId": "app-1", "secretAccessKey": "..."}]}]}
policies are names or ARNs of managed policies that a new user gets, readwrite where they are left out.

Examples:
  portcullis user import --from users.json
  portcullis user import --from users.json --apply"#;

#[derive(Args)]
pub(in crate::command) struct ImportArgs {
    /// The file of users and keys, or - for standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Make the changes; without it they are only shown
    #[arg(long)]
    apply: bool,
}

/// The file. What is not understood in it refuses it whole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserImport {
    users: Vec<ImportedUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportedUser {
    #[serde(rename = "userName")]
    name: ImportedName,
    /// What a user that is created may do.
    #[serde(default = "as_before_policies")]
    policies: Vec<ImportedPolicy>,
    #[serde(rename = "accessKeys", default)]
    keys: Vec<ImportedKey>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ImportedName(UserName);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ImportedPolicy(NamedGrant);

#[derive(Deserialize)]
#[serde(try_from = "WrittenKey")]
struct ImportedKey(GivenKey);

/// A key as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    #[serde(rename = "accessKeyId")]
    id: String,
    #[serde(rename = "secretAccessKey")]
    secret: String,
}

/// One step of the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImportStep {
    Create,
    /// It is there. A key's secret cannot be compared: no proxy tells a secret.
    Keep,
}

/// A user, or a key of theirs, and what is done about it.
struct PlannedImport<'f> {
    user: &'f UserName,
    policies: &'f [ImportedPolicy],
    key: Option<&'f GivenKey>,
    step: ImportStep,
}

/// More than an account of IAM may have.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

impl TryFrom<String> for ImportedName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match UserName::parse(&text) {
            Ok(_) if text == key::ROOT => Err("userName `root` cannot be a user's".to_owned()),
            Ok(name) => Ok(Self(name)),
            Err(error) => Err(format!("userName: {error}")),
        }
    }
}

impl TryFrom<String> for ImportedPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match NamedGrant::read(&text, PolicyKind::UserInline) {
            Ok(NamedGrant::Inline { .. }) => Err(format!("policies: `{text}` is a file, and not a managed policy")),
            Ok(grant) => Ok(Self(grant)),
            Err(error) => Err(format!("policies: {error}")),
        }
    }
}

fn as_before_policies() -> Vec<ImportedPolicy> {
    vec![ImportedPolicy(NamedGrant::Arn("arn:aws:iam::aws:policy/readwrite".to_owned()))]
}

impl TryFrom<WrittenKey> for ImportedKey {
    type Error = String;

    fn try_from(written: WrittenKey) -> Result<Self, String> {
        let id = AccessKeyId::parse(&written.id).map_err(|error| format!("accessKeyId: {error}"))?;
        let of = format!("secretAccessKey of `{id}`");
        GivenKey::new(id, Secret::new(written.secret)).map(Self).map_err(|error| format!("{of}: {error}"))
    }
}

/// Runs the subcommand.
pub(super) async fn run(args: &ImportArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let file = read(&args.from)?;
    let account = existing(admin).await?;
    let plan = plan(&file, &account)?;
    if args.apply {
        apply(&plan, admin).await?;
    }
    show(&plan, args, terminal)
}

fn read(path: &Path) -> Result<UserImport, CommandError> {
    let shown = path.display();
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(LONGEST_FILE).read_to_string(&mut text),
        Some(_) | None => File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text)),
    };
    let text = Secret::new(text);
    read.map_err(|error| CommandError::usage(format!("{shown} cannot be read: {error}")))?;
    let file = serde_json::from_str(text.expose());
    file.map_err(|error| CommandError::usage(format!("{shown}: {error}")).next("Nothing was imported."))
}

/// The account's users, and who has which key; root's keys have no user.
struct ExistingAccount {
    users: Vec<String>,
    keys: BTreeMap<String, Option<String>>,
}

async fn existing(admin: &AdminClient) -> Result<ExistingAccount, CommandError> {
    let listed = key::users_and_keys(admin).await;
    let (users, keys) = listed.map_err(|error| error.into_command_error(admin.place()))?;
    Ok(ExistingAccount { users, keys: keys.into_iter().map(|key| (key.id, key.user)).collect() })
}

/// What is to be done, or why none of it can be.
fn plan<'f>(file: &'f UserImport, account: &ExistingAccount) -> Result<Vec<PlannedImport<'f>>, CommandError> {
    let refused = |why: String| Err(CommandError::usage(why).next("Nothing was imported."));
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let mut plan = Vec::new();
    for ImportedUser { name: ImportedName(user), policies, keys } in &file.users {
        if !names.insert(user.as_str().to_ascii_lowercase()) {
            return refused(format!("user `{user}` is there twice"));
        }
        let namesake = account.users.iter().find(|name| name.eq_ignore_ascii_case(user.as_str()));
        let step = match namesake {
            Some(name) if name == user.as_str() => ImportStep::Keep,
            Some(name) => return refused(format!("user `{user}`: there is a user `{name}`, and case does not count")),
            None => ImportStep::Create,
        };
        plan.push(PlannedImport { user, policies, key: None, step });
        let mut held = account.keys.values().filter(|holder| holder.as_deref() == Some(user.as_str())).count();
        for ImportedKey(key) in keys {
            if !ids.insert(key.id().as_str()) {
                return refused(format!("access key `{}` is there twice", key.id()));
            }
            let step = match account.keys.get(key.id().as_str()) {
                Some(Some(holder)) if holder == user.as_str() => ImportStep::Keep,
                Some(holder) => {
                    let holder = holder.as_deref().unwrap_or(key::ROOT);
                    return refused(format!("access key `{}` of `{user}` is a key of `{holder}` here", key.id()));
                }
                None => ImportStep::Create,
            };
            held += usize::from(step == ImportStep::Create);
            if held > MOST_KEYS {
                return refused(format!("user `{user}` would have {held} access keys; a user has {MOST_KEYS} at most"));
            }
            plan.push(PlannedImport { user, policies, key: Some(key), step });
        }
    }
    Ok(plan)
}

async fn apply(plan: &[PlannedImport<'_>], admin: &AdminClient) -> Result<(), CommandError> {
    let again = |error: CommandError| error.next("What was imported before this stays. Run the command again.");
    for planned in plan.iter().filter(|planned| planned.step == ImportStep::Create) {
        match planned.key {
            None => {
                let question = AdminRequest::new("CreateUser").with("UserName", planned.user.as_str());
                let made = admin.ask(&question).await;
                made.map_err(|error| again(error.into_command_error(admin.place())))?;
                let holder = GrantHolder::User(planned.user.to_string());
                for ImportedPolicy(grant) in planned.policies {
                    holder.attach(grant, admin).await.map_err(|error| {
                        let remove = format!("Remove the user, which may do nothing yet, and run the command again: portcullis user remove {}", planned.user);
                        error.into_command_error(admin.place()).next(remove)
                    })?;
                }
            }
            Some(given) => {
                key::make(planned.user.as_str(), Some(given), admin).await.map_err(again)?;
            }
        }
    }
    Ok(())
}

fn show(plan: &[PlannedImport<'_>], args: &ImportArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let word = |step| match (step, args.apply) {
        (ImportStep::Create, false) => "create",
        (ImportStep::Create, true) => "created",
        (ImportStep::Keep, _) => "there already",
    };
    let key = |planned: &PlannedImport<'_>| planned.key.map(|key| key.id().as_str().to_owned());
    match terminal.format() {
        OutputFormat::Json => {
            let steps = plan.iter().map(|planned| {
                json!({ "userName": planned.user.as_str(), "accessKeyId": key(planned), "step": word(planned.step) })
            });
            terminal.print_json(&json!({ "applied": args.apply, "steps": Value::Array(steps.collect()) }))
        }
        OutputFormat::People => {
            let mut table = TextTable::new(&["USER", "ACCESS KEY ID", ""]);
            for planned in plan {
                let tone = if planned.step == ImportStep::Create { RowTone::Plain } else { RowTone::Faint };
                let key = key(planned).unwrap_or_else(|| "-".to_owned());
                table.row(tone, [planned.user.to_string(), key, word(planned.step).to_owned()]);
            }
            terminal.print(&table.render(TableHead::Shown, terminal.colour()))?;
            match (args.apply, plan.iter().any(|planned| planned.step == ImportStep::Create)) {
                (false, true) => terminal.print("Nothing is changed yet. Add --apply to make these changes."),
                (_, false) => terminal.print("All of it is there already. The secrets of keys were not compared."),
                (true, true) => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
