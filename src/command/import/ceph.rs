//! `portcullis import ceph`: users from what `radosgw-admin user info` prints.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use super::super::admin::AdminClient;
use super::super::error::CommandError;
use super::super::terminal::Terminal;
use super::{PlanUse, import};
use portcullis_base::secret::Secret;
use portcullis_import::ceph::{CephUsers, accounts};

/// Take the users of a Ceph, with their keys
///
/// Each user's requests are sent to Ceph with a key of that user's own, so that its buckets, ACLs, policies and quotas
/// hold there as before. Here the user gets the policy `readwrite`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::command) struct CephArgs {
    /// What `radosgw-admin user info` prints, of one user or a list of them, or - for standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Carry the plan out; without it the plan is only shown
    #[arg(long)]
    apply: bool,
}

const EXAMPLES: &str = "\
Examples:
  radosgw-admin user info --uid alice | portcullis import ceph --from -
  portcullis import ceph --from users.json --apply";

/// More than any Ceph has users.
const LONGEST_FILE: u64 = 64 * 1024 * 1024;

pub(super) async fn run(args: &CephArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let shown = args.from.display();
    let mut text = String::new();
    let read = match args.from.to_str() {
        Some("-") => std::io::stdin().lock().take(LONGEST_FILE).read_to_string(&mut text),
        Some(_) | None => File::open(&args.from).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text)),
    };
    let text = Secret::new(text);
    read.map_err(|error| CommandError::usage(format!("{shown} cannot be read: {error}")))?;
    let users = CephUsers::read(text.expose())
        .map_err(|error| CommandError::usage(format!("{shown}: {error}")).next("Nothing was imported."))?;
    let plan_use = if args.apply { PlanUse::Apply } else { PlanUse::Show };
    import(accounts(&users), plan_use, admin, terminal).await
}
