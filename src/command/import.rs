//! `portcullis import`: the users of a store, with their own keys and no more rights than they had there.
//!
//! The plan is made of what the store and the running proxy tell, and shown as a whole. `--apply` makes its calls on the
//! admin socket, and begins only if nothing is in the way and the proxy has every action that the plan needs.

mod account;
mod apply;
mod ceph;
mod minio;
mod show;

use clap::Subcommand;

use super::admin::AdminClient;
use super::error::CommandError;
use super::terminal::{OutputFormat, Terminal};
use portcullis_import::{ImportFault, ImportPlan, StoreAccounts};
use portcullis_state::GivenKey;

/// The subcommands of `import`.
#[derive(Subcommand)]
pub(super) enum ImportCommand {
    Ceph(ceph::CephArgs),
    Minio(Box<minio::MinioArgs>),
}

/// Whether the plan is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanUse {
    Apply,
    Show,
}

/// Runs the subcommand.
pub(super) async fn run(
    command: ImportCommand,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match command {
        ImportCommand::Ceph(args) => ceph::run(&args, admin, terminal).await,
        ImportCommand::Minio(args) => minio::run(*args, admin, terminal).await,
    }
}

/// Plans, shows, and carries the plan out if it is to be.
async fn import(
    mut accounts: StoreAccounts,
    plan_use: PlanUse,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    refuse_bad_secrets(&mut accounts);
    let (existing, mut arns) = account::existing(admin).await?;
    let plan = ImportPlan::of(accounts, &existing);
    if terminal.format() == OutputFormat::People {
        show::plan(&plan, terminal)?;
    }
    let made = match (plan_use, plan.faults.len()) {
        (PlanUse::Apply, 0) => apply::apply(&plan, &mut arns, admin).await?,
        (PlanUse::Apply | PlanUse::Show, _) => 0,
    };
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&show::as_json(&plan, plan_use))?,
        OutputFormat::People => show::outcome(&plan, plan_use, made, terminal)?,
    }
    match plan.faults.len() {
        0 => Ok(()),
        count => {
            let faults = if count == 1 { "1 fault" } else { &format!("{count} faults") };
            Err(CommandError::failed(format!("the import has {faults}, told above")).next("Nothing was imported."))
        }
    }
}

/// A secret that no request could be signed with here.
fn refuse_bad_secrets(accounts: &mut StoreAccounts) {
    let mut faults = Vec::new();
    for user in &accounts.users {
        for key in &user.keys {
            if let Err(reason) = GivenKey::new(key.id.clone(), key.secret.clone()) {
                let place = format!("secret of access key `{}` of `{}`", key.id, user.name);
                let next = "Give the key another secret in the store.".to_owned();
                faults.push(ImportFault { place, reason: reason.to_string(), next });
            }
        }
    }
    accounts.faults.extend(faults);
}

#[cfg(test)]
mod tests;
