//! The subcommands of `policy` that a running proxy carries out: policies of the account, and who has them.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::command::admin::{AdminClient, AdminError, AdminRequest};
use crate::command::error::CommandError;
use crate::command::holders::{GrantHolder, NamedGrant, own_arn};
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_base::names::PolicyName;
use portcullis_policy::{PolicyDocument, PolicyKind};
use portcullis_state::MOST_VERSIONS;

/// Attach a policy to a user or a group.
#[derive(Args)]
#[command(group = ArgGroup::new("holder").required(true).args(["user", "group"]))]
pub(in crate::command) struct GrantArgs {
    /// A name that `portcullis policy list` shows, one of the account's policies, an ARN, or a file
    policy: String,
    /// The user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

/// Create a managed policy of the account, or replace what it says.
#[derive(Args)]
pub(in crate::command) struct PutPolicyArgs {
    /// The policy's name
    name: String,
    /// The document's file
    file: PathBuf,
}

#[derive(Args)]
pub(in crate::command) struct NamedPolicyArgs {
    /// The policy's name
    name: String,
}

/// What became of a policy and its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantState {
    Attached,
    Detached,
}

pub(super) async fn attach(args: GrantArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let (holder, grant) = args.read()?;
    holder.attach(&grant, admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    told(&holder, &args.policy, GrantState::Attached, terminal)
}

pub(super) async fn detach(args: GrantArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let (holder, grant) = args.read()?;
    let attached = holder.detach(&grant, admin).await;
    // A name without a file may be that of an inline policy.
    let detached = match (attached, &grant) {
        (Err(error), NamedGrant::OfAccount(name)) if error.code() == Some("NoSuchEntity") => {
            let inline = NamedGrant::Inline { name: name.clone(), text: String::new() };
            holder.detach(&inline, admin).await.map_err(|_| error)
        }
        (detached, _) => detached,
    };
    detached.map_err(|error| error.into_command_error(admin.place()))?;
    told(&holder, &args.policy, GrantState::Detached, terminal)
}

fn told(holder: &GrantHolder, policy: &str, state: GrantState, terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => {
            let (kind, name) = match holder {
                GrantHolder::Group(name) => ("groupName", name),
                GrantHolder::User(name) => ("userName", name),
            };
            terminal.print_json(&json!({ kind: name, "policy": policy, "attached": state == GrantState::Attached }))
        }
        OutputFormat::People => {
            let has = match state {
                GrantState::Attached => "has",
                GrantState::Detached => "no longer has",
            };
            let holder = holder.spoken();
            let (first, rest) = holder.split_at_checked(1).unwrap_or(("", &holder));
            terminal.print(&format!("{}{rest} {has} policy {policy}.", first.to_uppercase()))
        }
    }
}

impl GrantArgs {
    fn read(&self) -> Result<(GrantHolder, NamedGrant), CommandError> {
        let (holder, kind) = match (&self.user, &self.group) {
            (Some(user), None) => (GrantHolder::User(user.clone()), PolicyKind::UserInline),
            (None, Some(group)) => (GrantHolder::Group(group.clone()), PolicyKind::GroupInline),
            (Some(_), Some(_)) | (None, None) => return Err(CommandError::usage("Give either --user or --group.")),
        };
        Ok((holder, NamedGrant::read(&self.policy, kind)?))
    }
}

pub(super) async fn put(
    args: &PutPolicyArgs,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let name = PolicyName::parse(&args.name).map_err(CommandError::usage)?;
    let shown = args.file.display();
    let unreadable = |error| CommandError::unreadable(format!("{shown} cannot be read: {error}"));
    let text = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    PolicyDocument::parse(&text, PolicyKind::Managed)
        .map_err(|fault| CommandError::failed(format!("{shown}: {fault}")))?;
    let version = put_document(&name, &text, admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "policyName": args.name, "versionId": version })),
        OutputFormat::People => terminal.print(&format!("Policy {} says this now, as version {version}.", args.name)),
    }
}

/// Makes the document the default version of the policy, and says which one it is.
async fn put_document(name: &PolicyName, text: &str, admin: &AdminClient) -> Result<String, AdminError> {
    let create = AdminRequest::new("CreatePolicy").with("PolicyName", name.as_str()).with("PolicyDocument", text);
    match admin.ask(&create).await {
        Ok(_) => return Ok("v1".to_owned()),
        Err(error) if error.code() == Some("EntityAlreadyExists") => {}
        Err(error) => return Err(error),
    }
    let arn = own_arn(name, admin).await?;
    let versions = admin.list(AdminRequest::new("ListPolicyVersions").with("PolicyArn", &arn), "Versions").await?;
    let text_of = |version: &portcullis_xml::XmlElement, name: &str| version.text_of(name).unwrap_or("").to_owned();
    if versions.len() >= MOST_VERSIONS {
        // The oldest that does not count.
        let oldest = versions.iter().find(|version| text_of(version, "IsDefaultVersion") != "true");
        if let Some(oldest) = oldest {
            let version = text_of(oldest, "VersionId");
            let delete = AdminRequest::new("DeletePolicyVersion").with("PolicyArn", &arn).with("VersionId", &version);
            admin.ask(&delete).await?;
        }
    }
    let add = AdminRequest::new("CreatePolicyVersion").with("PolicyArn", &arn).with("PolicyDocument", text);
    let added = admin.ask(&add.with("SetAsDefault", "true")).await?;
    let version = added.child("PolicyVersion").map(|version| text_of(version, "VersionId"));
    version.ok_or(AdminError::Wanting("PolicyVersion"))
}

pub(super) async fn delete(
    args: &NamedPolicyArgs,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let name = PolicyName::parse(&args.name).map_err(CommandError::usage)?;
    delete_policy(&name, admin).await.map_err(|error| {
        let attached = error.code() == Some("DeleteConflict");
        let refused = error.into_command_error(admin.place());
        if attached {
            refused.next("Detach it first; `portcullis user show NAME` tells what a user has.")
        } else {
            refused
        }
    })?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "policyName": args.name, "removed": true })),
        OutputFormat::People => terminal.print(&format!("Removed policy {}.", args.name)),
    }
}

/// A policy goes once its other versions are gone; one that is attached loses none of them.
async fn delete_policy(name: &PolicyName, admin: &AdminClient) -> Result<(), AdminError> {
    let arn = own_arn(name, admin).await?;
    let delete = AdminRequest::new("DeletePolicy").with("PolicyArn", &arn);
    match admin.ask(&delete).await {
        Err(AdminError::Refused(refusal)) if refusal.message.contains("more than one version") => {}
        ended => return ended.map(drop),
    }
    for version in admin.list(AdminRequest::new("ListPolicyVersions").with("PolicyArn", &arn), "Versions").await? {
        if version.text_of("IsDefaultVersion") != Some("true") {
            let version = version.text_of("VersionId").unwrap_or("");
            let question = AdminRequest::new("DeletePolicyVersion").with("PolicyArn", &arn).with("VersionId", version);
            admin.ask(&question).await?;
        }
    }
    admin.ask(&delete).await.map(drop)
}
