//! `portcullis trail validate`: verifies a trail by its files and public keys.

mod folder;
mod heads;
mod proxy;
mod shown;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use self::folder::{BucketFolder, FoundTrail};
use super::client::TrailClient;
use super::trail_name;
use crate::command::error::CommandError;
use crate::command::state_directory::StateDirectory;
use crate::command::terminal::Terminal;
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::TrailName;
use portcullis_cloudtrail::keys::PublicKey;
use portcullis_cloudtrail::verify::{TrailCurrency, ValidationReport, ValidationScope, validate};

#[derive(Args)]
#[command(after_help = VALIDATE_HELP)]
pub(crate) struct ValidateArgs {
    /// The trail's name; optional if there is only one trail
    #[arg(value_parser = trail_name)]
    name: Option<TrailName>,
    /// A copy of the trail's bucket [default: the bucket or folder that Portcullis delivers to]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The trail's public keys, as `aws cloudtrail list-public-keys` prints them [default: from the running Portcullis]
    #[arg(long, value_name = "FILE")]
    public_keys: Option<PathBuf>,
    /// Validate from this time on, for example 2026-11-21T09:41:58Z or 2026-11-21 [default: all]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start_time: Option<Timestamp>,
    /// Validate up to this time, which the digests must reach [default: now; for a copy, its newest digest]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end_time: Option<Timestamp>,
    /// A digest that must be present: a file of --write-head or of the witness, or a digest's SHA-256
    #[arg(long, value_name = "FILE|HASH")]
    expect_head: Vec<String>,
    /// The file to write the newest digests to, once all is proven, for the next --expect-head
    #[arg(long, value_name = "FILE")]
    write_head: Option<PathBuf>,
}

const VALIDATE_HELP: &str = "\
Exit codes:
  0  everything is proven
  1  something is not proven: altered, removed, forged, or no files found
  2  the command line is wrong
  3  Portcullis is not running, or the files cannot be read

A trail of the running Portcullis must end with its last delivered file. A copy without its
newest files looks like an earlier copy. So a copy is proven only if --expect-head names a
digest that it must hold, if it ends with the final digest of a stopped trail, or up to an
--end-time that its digests reach. Keep the file of --write-head, or the witness's heads, in
another place. Log files of a copy that no digest covers yet are not proven: exclude them
with --end-time.

Examples:
  portcullis trail validate main
  portcullis trail validate --folder copy --public-keys keys.json --expect-head head";

/// Validates a trail and shows the result.
pub(super) async fn run(
    args: ValidateArgs,
    place: &StateDirectory,
    environment: impl Fn(&str) -> Option<String>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let expected = heads::expected(&args.expect_head)?;
    let client = match (&args.folder, &args.public_keys) {
        (Some(_), Some(_)) => None,
        (Some(_) | None, None) | (None, Some(_)) => Some(TrailClient::new(place, environment)?),
    };
    let keys = match (&args.public_keys, &client) {
        (Some(path), _) => read_keys(path)?,
        (None, Some(client)) => proxy::keys(client).await?,
        (None, None) => Vec::new(),
    };
    let scope = |found: FoundTrail, currency| ValidationScope {
        layout: found.layout,
        trail: found.trail,
        bucket: found.bucket,
        keys,
        start: args.start_time,
        end: args.end_time,
        expected,
        currency,
    };
    let (report, scope) = match (&args.folder, client) {
        (Some(folder), _) => {
            let (mut folder, found) = BucketFolder::open(folder, args.name.as_ref())?;
            let scope = scope(found, TrailCurrency::Unasked);
            (validate(&mut folder, &scope), scope)
        }
        (None, Some(client)) => {
            let trail = proxy::trail(&client, args.name.as_ref()).await?;
            let currency = match (trail.currency, args.end_time) {
                (TrailCurrency::At(_), Some(end)) => TrailCurrency::At(end),
                (currency, _) => currency,
            };
            let (mut report, scope) = proxy::validated(&client, &trail, scope(trail.found.clone(), currency)).await?;
            if let Ok(report) = &mut report
                && report.has_strays()
            {
                trail.neighbours.into_iter().for_each(|other| report.add_neighbour(other));
            }
            (report, scope)
        }
        (None, None) => return Err(CommandError::usage("there is neither a folder nor a running Portcullis")),
    };
    let report = report.map_err(unreadable)?;
    conclude(&report, &scope, args.write_head.as_deref(), terminal)?;
    if args.folder.is_some() && scope.expected.is_empty() {
        terminal.note(
            "note: no head was expected: the removal of all newest files would not be detected (--expect-head)",
        )?;
    }
    Ok(())
}

fn conclude(
    report: &ValidationReport,
    scope: &ValidationScope,
    write_head: Option<&Path>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    shown::show(report, scope, terminal)?;
    if !report.is_proof() {
        let error = CommandError::failed(match report.findings.len() {
            1 => "the trail is not proven: 1 finding".to_owned(),
            several => format!("the trail is not proven: {several} findings"),
        });
        return Err(error);
    }
    if let Some(path) = write_head {
        heads::write(path, &report.heads)?;
    }
    Ok(())
}

fn read_keys(path: &Path) -> Result<Vec<PublicKey>, CommandError> {
    let json = fs::read(path).map_err(|error| unreadable(format!("{}: {error}", path.display())))?;
    PublicKey::list_from_json(&json).map_err(|error| {
        CommandError::usage(format!("{}: {error}", path.display()))
            .next("aws cloudtrail list-public-keys --start-time 2000-01-01 > keys.json")
    })
}

/// Unreadable files are neither proven nor known to be wrong.
fn unreadable(error: impl std::fmt::Display) -> CommandError {
    CommandError::unreadable(error)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || Timestamp::parse_iso_extended(&format!("{text}T00:00:00Z"));
    let read = Timestamp::parse_iso_extended(text).or_else(day);
    read.ok_or_else(|| "expected a time, for example 2026-11-21T09:41:58Z, or a day, for example 2026-11-21".to_owned())
}
