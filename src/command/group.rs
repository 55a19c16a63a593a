//! `portcullis group`: groups of users, which have policies together.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::{AdminClient, AdminError, AdminRequest};
use super::error::CommandError;
use super::holders::{GrantHolder, NamedGrant};
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_policy::PolicyKind;

/// The subcommands of `group`.
#[derive(Subcommand)]
pub(super) enum GroupCommand {
    /// Create a group without members
    #[command(after_help = "Examples:\n  portcullis group add readers --policy readonly\n  \
                            portcullis group add team --policy ./team.json")]
    Add(AddGroupArgs),
    /// Let a user join a group
    Join(MembershipArgs),
    /// Let a user leave a group
    Leave(MembershipArgs),
    /// List groups
    List,
    /// Remove a group, its policies and its memberships
    Remove(GroupArgs),
    /// Show the members and policies of a group
    Show(GroupArgs),
}

#[derive(Args)]
pub(super) struct AddGroupArgs {
    /// The group's name
    group: String,
    /// Policies: names, ARNs, or files
    #[arg(long = "policy", value_name = "POLICY", num_args = 1..)]
    policies: Vec<String>,
}

#[derive(Args)]
pub(super) struct GroupArgs {
    /// The group's name
    group: String,
}

#[derive(Args)]
pub(super) struct MembershipArgs {
    /// The group's name
    group: String,
    /// The user's name
    user: String,
}

/// Runs the subcommand.
pub(super) async fn run(
    command: GroupCommand,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match command {
        GroupCommand::Add(args) => add(&args, admin, terminal).await,
        GroupCommand::Join(args) => change(&args, "AddUserToGroup", "joined", admin, terminal).await,
        GroupCommand::Leave(args) => change(&args, "RemoveUserFromGroup", "left", admin, terminal).await,
        GroupCommand::List => list(admin, terminal).await,
        GroupCommand::Remove(args) => {
            let removed = remove(&args.group, admin).await;
            removed.map_err(|error| error.into_command_error(admin.place()))?;
            match terminal.format() {
                OutputFormat::Json => terminal.print_json(&json!({ "groupName": args.group, "removed": true })),
                OutputFormat::People => terminal.print(&format!("Removed group {}.", args.group)),
            }
        }
        GroupCommand::Show(args) => show(&args.group, admin, terminal).await,
    }
}

async fn add(args: &AddGroupArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    // Read first: a policy that cannot be used must leave no group behind.
    let read = args.policies.iter().map(|text| NamedGrant::read(text, PolicyKind::GroupInline));
    let grants = read.collect::<Result<Vec<_>, _>>()?;
    let refused = |error: AdminError| error.into_command_error(admin.place());
    admin.ask(&AdminRequest::new("CreateGroup").with("GroupName", &args.group)).await.map_err(refused)?;
    let holder = GrantHolder::Group(args.group.clone());
    for (grant, text) in grants.iter().zip(&args.policies) {
        holder.attach(grant, admin).await.map_err(|error| {
            let retry = format!(
                "The group was created without this policy: portcullis policy attach {text} --group {}",
                args.group
            );
            error.into_command_error(admin.place()).next(retry)
        })?;
    }
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "groupName": args.group, "policies": args.policies })),
        OutputFormat::People => terminal.print(&format!("Created group {}.", args.group)),
    }
}

async fn change(
    args: &MembershipArgs,
    action: &'static str,
    done: &str,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let MembershipArgs { group, user } = args;
    let question = AdminRequest::new(action).with("GroupName", group).with("UserName", user);
    admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "groupName": group, "userName": user, "change": done })),
        OutputFormat::People => terminal.print(&format!("User {user} {done} group {group}.")),
    }
}

async fn members(group: &str, admin: &AdminClient) -> Result<Vec<String>, AdminError> {
    let users = admin.list(AdminRequest::new("GetGroup").with("GroupName", group), "Users").await?;
    Ok(users.iter().filter_map(|user| user.text_of("UserName").map(str::to_owned)).collect())
}

/// IAM deletes no group that has members or policies.
async fn remove(group: &str, admin: &AdminClient) -> Result<(), AdminError> {
    for member in members(group, admin).await? {
        let question = AdminRequest::new("RemoveUserFromGroup").with("GroupName", group).with("UserName", &member);
        admin.ask(&question).await?;
    }
    GrantHolder::Group(group.to_owned()).detach_all(admin).await?;
    admin.ask(&AdminRequest::new("DeleteGroup").with("GroupName", group)).await.map(drop)
}

async fn list(admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let groups = admin.list(AdminRequest::new("ListGroups"), "Groups").await;
    let groups = groups.map_err(|error| error.into_command_error(admin.place()))?;
    let text = |group: &portcullis_xml::XmlElement, name: &str| group.filled_text_of(name).unwrap_or("-").to_owned();
    match terminal.format() {
        OutputFormat::Json => {
            let groups = groups.iter().map(|group| {
                json!({ "groupName": text(group, "GroupName"), "arn": text(group, "Arn"), "createDate": text(group, "CreateDate") })
            });
            terminal.print_json(&Value::Array(groups.collect()))
        }
        OutputFormat::People if groups.is_empty() => {
            terminal.print(&format!("no groups yet; add one: portcullis group add NAME{}", admin.place().flag()))
        }
        OutputFormat::People => {
            let mut table = TextTable::new(&["GROUP", "CREATED", "ARN"]);
            for group in &groups {
                table.row(RowTone::Plain, ["GroupName", "CreateDate", "Arn"].map(|name| text(group, name)));
            }
            terminal.print(&table.render(TableHead::Shown, terminal.colour()))
        }
    }
}

async fn show(group: &str, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let holder = GrantHolder::Group(group.to_owned());
    let read = async { Ok((members(group, admin).await?, holder.attached(admin).await?, holder.inline(admin).await?)) };
    let (members, attached, inline) =
        read.await.map_err(|error: AdminError| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({
            "groupName": group, "members": members, "attachedPolicies": attached, "inlinePolicies": inline,
        })),
        OutputFormat::People => {
            let mut table = TextTable::new(&["", ""]);
            for (name, values) in [
                ("group", vec![group.to_owned()]),
                ("members", members),
                ("policies", attached),
                ("inline policies", inline),
            ] {
                let values = if values.is_empty() { "-".to_owned() } else { values.join(", ") };
                table.row(RowTone::Plain, [name.to_owned(), values]);
            }
            terminal.print(&table.render(TableHead::Hidden, terminal.colour()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake_proxy::{FakeProxy, Seen};
    use crate::command::terminal::kept::terminal;

    fn willing(seen: &Seen) -> (u16, String) {
        let (action, result) = if seen.asks("GetGroup") {
            ("GetGroup", "<Users><member><UserName>alice</UserName></member></Users>")
        } else if seen.asks("ListAttachedGroupPolicies") {
            let policy = "<AttachedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/readonly</PolicyArn></member></AttachedPolicies>";
            ("ListAttachedGroupPolicies", policy)
        } else {
            ("Other", "")
        };
        (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
    }

    async fn run_at(proxy: &FakeProxy, command: GroupCommand) -> (Result<(), CommandError>, String) {
        let (mut terminal, kept) = terminal(OutputFormat::People, &[]);
        let outcome = run(command, &AdminClient::of(proxy.place()), &mut terminal).await;
        (outcome, kept.text())
    }

    #[tokio::test]
    async fn removing_a_group_empties_it_first() {
        let proxy = FakeProxy::start(willing);
        let (outcome, said) = run_at(&proxy, GroupCommand::Remove(GroupArgs { group: "staff".to_owned() })).await;
        outcome.unwrap();
        assert_eq!(said, "Removed group staff.\n");
        let expected = [
            "GetGroup",
            "RemoveUserFromGroup",
            "ListAttachedGroupPolicies",
            "DetachGroupPolicy",
            "ListGroupPolicies",
            "DeleteGroup",
        ];
        assert_eq!(proxy.actions(), expected);
    }

    #[tokio::test]
    async fn a_group_with_an_unreadable_policy_is_not_created() {
        let proxy = FakeProxy::start(willing);
        let args = AddGroupArgs { group: "staff".to_owned(), policies: vec!["no/such file".to_owned()] };
        let (outcome, _) = run_at(&proxy, GroupCommand::Add(args)).await;
        assert!(outcome.is_err());
        assert_eq!(proxy.actions(), [""; 0]);
    }

    #[tokio::test]
    async fn a_group_is_shown_with_members_and_policies() {
        let proxy = FakeProxy::start(willing);
        let (outcome, said) = run_at(&proxy, GroupCommand::Show(GroupArgs { group: "staff".to_owned() })).await;
        outcome.unwrap();
        assert!(said.contains("alice") && said.contains("arn:aws:iam::aws:policy/readonly"), "{said}");
    }
}
