//! `portcullis policy`: IAM policies in files, checked and explained without a running proxy, and who has which.

mod asked;
mod grant;
mod held;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use self::asked::{AskedPrincipal, AskedValue};
use self::held::TestedUser;
use self::source::PolicySource;
use super::admin::AdminClient;
use super::error::CommandError;
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_base::clock::Clock;
use portcullis_policy::{
    AccessRequest, ApplicablePolicies, DecidingStatement, ManagedPolicy, NamedPolicy, PermissionLimit, PolicyDecision,
    PolicyKind, PolicyRole, RequestValues, ResourcePolicies, decide,
};
use portcullis_s3::{PermissionRule, S3Operation};

/// The subcommands of `policy`.
#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Attach a policy to a user or a group
    #[command(after_help = "Examples:\n  portcullis policy attach readonly --user alice\n  \
                            portcullis policy attach ./team.json --group staff")]
    Attach(grant::GrantArgs),
    Check(PolicyCheckArgs),
    /// Detach a policy from a user or a group
    Detach(grant::GrantArgs),
    /// List the managed policies that Portcullis has
    List,
    /// Create a managed policy of the account, or replace what it says
    Put(grant::PutPolicyArgs),
    /// Remove a managed policy of the account that is attached to nothing
    Remove(grant::NamedPolicyArgs),
    Test(Box<PolicyTestArgs>),
}

/// Check a policy document, and say which line is wrong.
#[derive(Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(super) struct PolicyCheckArgs {
    /// The document's file
    file: PathBuf,
    /// What the document is for: it decides how long it may be and which members it has
    #[arg(long, value_enum, default_value_t = DocumentUse::Managed)]
    kind: DocumentUse,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  portcullis policy check policy.json
  portcullis policy check bucket-policy.json --kind resource";

/// Explain whether policies allow an action on a resource.
///
/// The policies are those that are given, or with --user those that a user has at the running proxy. What is denied ends with
/// exit code 1.
#[derive(Args)]
#[command(after_help = TEST_EXAMPLES)]
pub(super) struct PolicyTestArgs {
    /// A user of the running proxy, with all its policies there
    #[arg(long, value_name = "NAME", conflicts_with_all = ["policies", "boundary", "session_policy", "resource_policy", "trust_policy", "principal"])]
    user: Option<String>,
    /// A policy of the principal or of one of its groups: a file, or a managed policy's name
    #[arg(long = "policy", value_name = "FILE", num_args = 1..)]
    policies: Vec<PathBuf>,
    /// The principal's permissions boundary: a file, or a managed policy's name
    #[arg(long, value_name = "FILE")]
    boundary: Option<PathBuf>,
    /// The session's policies: files, or names of managed policies
    #[arg(long, value_name = "FILE", num_args = 1..)]
    session_policy: Vec<PathBuf>,
    /// The policy of the resource, such as a bucket
    #[arg(long, value_name = "FILE")]
    resource_policy: Option<PathBuf>,
    /// The trust policy of the role that the resource is
    #[arg(long, value_name = "FILE", conflicts_with = "resource_policy")]
    trust_policy: Option<PathBuf>,
    /// user/NAME, assumed-role/ROLE/SESSION, anonymous, or an ARN of a user or session [account: 123456789012]
    #[arg(long, value_name = "PRINCIPAL", value_parser = AskedPrincipal::parse, required_unless_present = "user")]
    principal: Option<AskedPrincipal>,
    /// Actions, for example s3:GetObject
    #[arg(long, value_name = "ACTION", required = true, num_args = 1..)]
    action: Vec<String>,
    /// Resources: ARNs, or * for an action that has none
    #[arg(long, value_name = "ARN", required = true, num_args = 1..)]
    resource: Vec<String>,
    /// Values of condition keys; repeat a key that has several
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = AskedValue::parse)]
    context: Vec<AskedValue>,
}

const TEST_EXAMPLES: &str = "\
Examples:
  portcullis policy test --user alice --action s3:GetObject --resource arn:aws:s3:::vault/k
  portcullis policy test --policy readonly --principal user/alice --action s3:GetObject --resource arn:aws:s3:::vault/k
  portcullis policy test --policy policy.json --boundary limit.json --principal user/alice --action s3:PutObject \\
    --resource arn:aws:s3:::vault/k --context aws:SourceIp=10.0.0.9 aws:MultiFactorAuthPresent=true --json";

/// What a document is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DocumentUse {
    GroupInline,
    Managed,
    Resource,
    RoleInline,
    Session,
    Trust,
    UserInline,
}

/// Runs the subcommand.
pub(super) async fn run(
    command: PolicyCommand,
    admin: &AdminClient,
    clock: &Clock,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match command {
        PolicyCommand::Attach(args) => grant::attach(args, admin, terminal).await,
        PolicyCommand::Check(args) => check(&args, terminal),
        PolicyCommand::Detach(args) => grant::detach(args, admin, terminal).await,
        PolicyCommand::List => list(terminal),
        PolicyCommand::Put(args) => grant::put(&args, admin, terminal).await,
        PolicyCommand::Remove(args) => grant::delete(&args, admin, terminal).await,
        PolicyCommand::Test(args) => test(&args, admin, clock, terminal).await,
    }
}

fn check(args: &PolicyCheckArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let policy = PolicySource::in_file(&args.file, args.kind.into())?;
    let statements = policy.document.statements();
    note_unknown_actions([&policy], terminal)?;
    match terminal.format() {
        OutputFormat::Json => {
            let document: Value = serde_json::from_str(&policy.document.to_string()).map_err(CommandError::failed)?;
            terminal.print_json(&json!({ "file": policy.name, "statements": statements.len(), "document": document }))
        }
        OutputFormat::People => {
            let count = match statements.len() {
                1 => "1 statement".to_owned(),
                count => format!("{count} statements"),
            };
            let version = policy.document.version().as_str();
            terminal.print(&format!("{} has no mistakes: {count}, version {version}", policy.name))
        }
    }
}

fn list(terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => {
            let document = |policy: &ManagedPolicy| serde_json::from_str::<Value>(policy.text);
            let policies = ManagedPolicy::ALL.iter().map(|policy| {
                let document = document(policy).map_err(CommandError::failed)?;
                Ok(json!({ "policyName": policy.name, "description": policy.about, "document": document }))
            });
            terminal.print_json(&Value::Array(policies.collect::<Result<_, CommandError>>()?))
        }
        OutputFormat::People => {
            let mut table = TextTable::new(&["POLICY", "ALLOWS"]);
            for policy in ManagedPolicy::ALL {
                table.row(RowTone::Plain, [policy.name.to_owned(), policy.about.to_owned()]);
            }
            terminal.print(&table.render(TableHead::Shown, terminal.colour()))
        }
    }
}

async fn test(
    args: &PolicyTestArgs,
    admin: &AdminClient,
    clock: &Clock,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let TestedUser { principal, policies } = match (&args.user, &args.principal) {
        (Some(user), _) => TestedUser::read(user, admin).await?,
        (None, Some(principal)) => TestedUser { principal: principal.0.clone(), policies: TestedPolicies::read(args)? },
        // clap demands one of the two.
        (None, None) => return Err(CommandError::usage("add --user or --principal")),
    };
    note_unknown_actions(policies.all(), terminal)?;
    let mut values = RequestValues::of_principal(&principal);
    AskedValue::set_all(&args.context, clock, &mut values);
    let applicable = policies.applicable();
    let mut decisions = Vec::new();
    for action in &args.action {
        for resource in &args.resource {
            let request = AccessRequest::new(&principal, action, resource, &values);
            decisions.push((action.as_str(), resource.as_str(), decide(&request, &applicable)));
        }
    }
    show(&decisions, terminal)?;
    let denied = decisions.iter().filter(|(.., decision)| !is_allowed(decision)).count();
    match (denied, decisions.len()) {
        (0, _) => Ok(()),
        (1, 1) => Err(CommandError::failed("the policies do not allow it")),
        (denied, all) => Err(CommandError::failed(format!("the policies do not allow {denied} of {all}"))),
    }
}

/// The documents of a test, by what they are to the principal.
struct TestedPolicies {
    identity: Vec<PolicySource>,
    boundary: Vec<PolicySource>,
    session: Vec<PolicySource>,
    resource: Vec<PolicySource>,
    /// At most one of this and `resource` has a policy.
    trust: Vec<PolicySource>,
}

impl TestedPolicies {
    fn read(args: &PolicyTestArgs) -> Result<Self, CommandError> {
        let named = |places: &[PathBuf], kind| {
            places.iter().map(|place| PolicySource::named_or_in_file(place, kind)).collect::<Result<Vec<_>, _>>()
        };
        let in_file = |place: &Option<PathBuf>, kind| {
            place.iter().map(|place| PolicySource::in_file(place, kind)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            // The longest of the kinds that it could be: which one is not known.
            identity: named(&args.policies, PolicyKind::RoleInline)?,
            boundary: named(args.boundary.as_slice(), PolicyKind::Managed)?,
            session: named(&args.session_policy, PolicyKind::Managed)?,
            resource: in_file(&args.resource_policy, PolicyKind::Resource)?,
            trust: in_file(&args.trust_policy, PolicyKind::Trust)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &PolicySource> {
        [&self.identity, &self.boundary, &self.session, &self.resource, &self.trust].into_iter().flatten()
    }

    fn applicable(&self) -> ApplicablePolicies<'_> {
        let resource = match (self.resource.as_slice(), self.trust.as_slice()) {
            ([], []) => ResourcePolicies::None,
            (policies, []) => ResourcePolicies::Grant(named(policies)),
            (_, trust) => ResourcePolicies::Required(named(trust)),
        };
        let (boundary, session) = (limit(&self.boundary), limit(&self.session));
        ApplicablePolicies { identity: named(&self.identity), boundary, session, resource }
    }
}

fn named(sources: &[PolicySource]) -> Vec<NamedPolicy<'_>> {
    sources.iter().map(PolicySource::named).collect()
}

fn limit(sources: &[PolicySource]) -> PermissionLimit<'_> {
    match sources {
        [] => PermissionLimit::None,
        some => PermissionLimit::Within(named(some)),
    }
}

/// A misspelt action is no mistake of the language, and allows or denies nothing.
fn note_unknown_actions<'p>(
    policies: impl IntoIterator<Item = &'p PolicySource>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let needs = S3Operation::ALL.iter().flat_map(|operation| operation.row().needs);
    let known: BTreeSet<_> = needs.flat_map(PermissionRule::actions).collect();
    let known: Vec<_> = known.into_iter().collect();
    for policy in policies {
        for (place, statement) in policy.document.statements().iter().enumerate() {
            for action in statement.unknown_actions("s3", &known) {
                let name = &policy.name;
                terminal
                    .note(&format!("note: {name}: `{action}` in Statement[{place}] is needed by no S3 operation"))?;
            }
        }
    }
    Ok(())
}

fn is_allowed(decision: &PolicyDecision<'_>) -> bool {
    match decision {
        PolicyDecision::Allow(_) => true,
        PolicyDecision::ExplicitDeny(_) | PolicyDecision::ImplicitDeny(_) => false,
    }
}

fn show(decisions: &[(&str, &str, PolicyDecision<'_>)], terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => {
            let all = decisions.iter().map(|(action, resource, decision)| {
                let mut told = json!({ "action": action, "resource": resource });
                if let Some(members) = told.as_object_mut() {
                    members.extend(decision_members(decision));
                }
                told
            });
            terminal.print_json(&Value::Array(all.collect()))
        }
        OutputFormat::People => {
            let mut table = TextTable::new(&["", "ACTION", "RESOURCE", "BECAUSE"]);
            for (action, resource, decision) in decisions {
                let (tone, word) = match is_allowed(decision) {
                    true => (RowTone::Good, "allowed"),
                    false => (RowTone::Bad, "denied"),
                };
                table.row(tone, [word, action, resource, &reason(decision)].map(str::to_owned));
            }
            terminal.print(&table.render(TableHead::Hidden, terminal.colour()))
        }
    }
}

/// The decision in the words of SimulateCustomPolicy, and the statement that made it.
fn decision_members(decision: &PolicyDecision<'_>) -> serde_json::Map<String, Value> {
    let told = match decision {
        PolicyDecision::Allow(by) => statement_members("allowed", by),
        PolicyDecision::ExplicitDeny(by) => statement_members("explicitDeny", by),
        PolicyDecision::ImplicitDeny(role) => json!({ "decision": "implicitDeny", "missingAllow": role_word(*role) }),
    };
    match told {
        Value::Object(members) => members,
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => serde_json::Map::new(),
    }
}

fn statement_members(decision: &str, by: &DecidingStatement<'_>) -> Value {
    json!({
        "decision": decision,
        "policy": by.policy,
        "policyType": role_word(by.role),
        "statement": by.index,
        "sid": by.sid,
    })
}

fn reason(decision: &PolicyDecision<'_>) -> String {
    match decision {
        PolicyDecision::Allow(by) => format!("{} allows it", statement_text(by)),
        PolicyDecision::ExplicitDeny(by) => format!("{} denies it", statement_text(by)),
        PolicyDecision::ImplicitDeny(PolicyRole::Boundary) => "the permissions boundary does not allow it".to_owned(),
        PolicyDecision::ImplicitDeny(PolicyRole::Identity) => "no identity-based policy allows it".to_owned(),
        PolicyDecision::ImplicitDeny(PolicyRole::Resource) => "the role's trust policy does not allow it".to_owned(),
        PolicyDecision::ImplicitDeny(PolicyRole::Session) => "no session policy allows it".to_owned(),
    }
}

fn statement_text(by: &DecidingStatement<'_>) -> String {
    let sid = by.sid.map(|sid| format!(" ({sid})")).unwrap_or_default();
    format!("Statement[{}]{sid} of {} policy {}", by.index, role_word(by.role), by.policy)
}

fn role_word(role: PolicyRole) -> &'static str {
    match role {
        PolicyRole::Boundary => "boundary",
        PolicyRole::Identity => "identity",
        PolicyRole::Resource => "resource",
        PolicyRole::Session => "session",
    }
}

impl From<DocumentUse> for PolicyKind {
    fn from(kind: DocumentUse) -> Self {
        match kind {
            DocumentUse::GroupInline => Self::GroupInline,
            DocumentUse::Managed => Self::Managed,
            DocumentUse::Resource => Self::Resource,
            DocumentUse::RoleInline => Self::RoleInline,
            DocumentUse::Session => Self::Session,
            DocumentUse::Trust => Self::Trust,
            DocumentUse::UserInline => Self::UserInline,
        }
    }
}

#[cfg(test)]
mod tests;
