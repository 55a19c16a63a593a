//! `portcullis trail validate`: proves a trail from its files and public keys.

mod folder;
mod gate;
mod heads;
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
use crate::command::place::StateDirectory;
use crate::command::terminal::Terminal;
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::TrailName;
use portcullis_cloudtrail::keys::PublicKey;
use portcullis_cloudtrail::verify::{TrailCurrency, ValidationReport, ValidationScope, validate};

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct ValidateArgs {
    /// The trail; it may be left out where there is one
    #[arg(value_parser = trail_name)]
    name: Option<TrailName>,
    /// A copy of the trail's bucket [default: where the gate delivers to]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The trail's public keys, as `aws cloudtrail list-public-keys` prints them [default: asked of the gate]
    #[arg(long, value_name = "FILE")]
    public_keys: Option<PathBuf>,
    /// Validate from this moment on, as 2026-11-21T09:41:58Z or 2026-11-21 [default: all]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start_time: Option<Timestamp>,
    /// Validate up to this moment, which the digests must reach [default: now; of a copy, whatever is newest]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end_time: Option<Timestamp>,
    /// A digest that must be there: a file of --write-head or of the witness, or a digest's SHA-256
    #[arg(long, value_name = "FILE|HASH")]
    expect_head: Vec<String>,
    /// Where to write the newest digests, once all is proven, to expect them the next time
    #[arg(long, value_name = "FILE")]
    write_head: Option<PathBuf>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  everything is proven
  1  something is not: altered, removed, forged, or nothing is there
  2  the command line is wrong
  3  the gate is not running, or the files cannot be read

The gate's own trail must end where the gate delivered to last. A copy whose newest files
were all removed looks like an earlier copy. So it is proven only if --expect-head says what
it must hold, if it ends with the final digest of a trail that was stopped, or up to an
--end-time that its digests reach. Keep what --write-head writes, or what trail.witness is
told, in another place. Log files of a copy that no digest covers yet are not proven either:
leave them out with --end-time.";

/// Validates a trail and says what came of it.
pub async fn run(
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
        (None, Some(client)) => gate::keys(client).await?,
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
            let trail = gate::trail(&client, args.name.as_ref()).await?;
            let currency = match (trail.currency, args.end_time) {
                (TrailCurrency::At(_), Some(end)) => TrailCurrency::At(end),
                (currency, _) => currency,
            };
            let (mut report, scope) = gate::validated(&client, &trail, scope(trail.found.clone(), currency)).await?;
            if let Ok(report) = &mut report
                && report.has_strays()
            {
                trail.neighbours.into_iter().for_each(|other| report.add_neighbour(other));
            }
            (report, scope)
        }
        (None, None) => return Err(CommandError::usage("there is neither a folder nor a gate")),
    };
    let report = report.map_err(unreadable)?;
    conclude(&report, &scope, args.write_head.as_deref(), terminal)?;
    if args.folder.is_some() && scope.expected.is_empty() {
        terminal.note(
            "note: no head was expected: had the newest files all been removed, it would not show (--expect-head)",
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

/// What could not be read is neither proven nor found to be wrong.
fn unreadable(error: impl std::fmt::Display) -> CommandError {
    CommandError::unreadable(error)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || Timestamp::parse_iso_extended(&format!("{text}T00:00:00Z"));
    let read = Timestamp::parse_iso_extended(text).or_else(day);
    read.ok_or_else(|| "not a time like 2026-11-21T09:41:58Z, nor a day like 2026-11-21".to_owned())
}
