//! `portcullis events`: recorded events, as a table or as JSON.

mod filter;
mod recorded;
mod row;

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use self::filter::{EventFilter, SinceTime};
use super::error::CommandError;
use super::state_directory::StateDirectory;
use super::table::{TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_base::clock::Clock;
use portcullis_cloudtrail::record::{EventView, LookupAttribute, one_line};

/// Show recorded events.
#[derive(Args, Default)]
#[command(after_help = EXAMPLES)]
pub(super) struct EventsArgs {
    /// Keep printing new events
    #[arg(long)]
    follow: bool,
    /// Only events of this bucket
    #[arg(long)]
    bucket: Option<String>,
    /// Only events with this name, for example DeleteObject
    #[arg(long, value_name = "NAME")]
    event_name: Option<String>,
    /// Only events of this caller: root, a user's name, an ARN, an access key id, or anonymous
    #[arg(long)]
    principal: Option<String>,
    /// Only events with this error code, for example AccessDenied
    #[arg(long, value_name = "CODE")]
    error: Option<String>,
    /// Only events not older than this (10m, 1h, 7d), or not before this time (2026-11-21T09:41:58Z)
    #[arg(long, value_parser = SinceTime::parse)]
    since: Option<SinceTime>,
    /// Only events at least this old (10m, 1h, 7d), or not after this time (2026-11-21T09:41:58Z)
    #[arg(long, value_parser = SinceTime::parse)]
    until: Option<SinceTime>,
    /// Only events from this address
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<String>,
    /// Only events about this bucket, bucket/key, user or trail, or its ARN
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Only events with this MFA result, for example Accepted, Missing, BadCode or Replayed
    #[arg(long, value_name = "RESULT")]
    mfa_result: Option<String>,
    /// Only the last N events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  portcullis events --bucket vault --since 1h
  portcullis events --error AccessDenied --mfa-result Missing
  portcullis events --follow --json";

/// A source of records, in order.
trait RecordSource {
    /// The next record; `None` if there is none yet.
    fn next(&mut self) -> Result<Option<String>, CommandError>;

    /// Remarks for the reader, each returned once.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// The interval between two checks for new records.
const PAUSE: Duration = Duration::from_millis(200);
/// Rows laid out together: enough to line up, few enough to hold in memory.
const BATCH: usize = 500;

/// Shows the records in the state directory; with `--follow`, until it is interrupted.
pub(super) async fn run(args: EventsArgs, place: &StateDirectory, terminal: &mut Terminal) -> Result<(), CommandError> {
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok());
    let records = recorded::RecordedEvents::open(place, &args.filter(&Clock::System), limit)?;
    show(args, records, Clock::System, terminal).await
}

async fn show(
    args: EventsArgs,
    mut records: impl RecordSource,
    clock: Clock,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let follow = args.follow;
    let filter = args.filter(&clock);
    let mut head = TableHead::Shown;
    records.notes().iter().try_for_each(|note| terminal.note(note))?;
    loop {
        let shown = show_batch(&mut records, &filter, head, terminal)?;
        records.notes().iter().try_for_each(|note| terminal.note(note))?;
        if let ShownBatch::Rows(_) = shown {
            head = TableHead::Hidden;
        }
        match shown {
            ShownBatch::Rows(MoreRecords::ToCome) | ShownBatch::Nothing(MoreRecords::ToCome) => {}
            ShownBatch::Rows(MoreRecords::No) | ShownBatch::Nothing(MoreRecords::No) if follow => {
                tokio::time::sleep(PAUSE).await
            }
            ShownBatch::Rows(MoreRecords::No) | ShownBatch::Nothing(MoreRecords::No) => break,
        }
    }
    if head == TableHead::Shown && terminal.format() == OutputFormat::People {
        terminal.note("no matching events")?;
    }
    Ok(())
}

/// What became of a batch.
enum ShownBatch {
    Nothing(MoreRecords),
    Rows(MoreRecords),
}

/// Whether more records are there already.
#[derive(Clone, Copy)]
enum MoreRecords {
    No,
    ToCome,
}

fn show_batch(
    records: &mut impl RecordSource,
    filter: &EventFilter,
    head: TableHead,
    terminal: &mut Terminal,
) -> Result<ShownBatch, CommandError> {
    let mut table = TextTable::new(&row::HEAD).with_least_widths(&row::LEAST_WIDTHS);
    let mut lines = String::new();
    let mut rows = 0;
    let mut more = MoreRecords::ToCome;
    while rows < BATCH {
        let Some(line) = records.next()? else {
            more = MoreRecords::No;
            break;
        };
        let record = EventView::read(line.as_bytes()).map_err(CommandError::failed)?;
        if !filter.admits(&record) {
            continue;
        }
        rows += 1;
        match terminal.format() {
            OutputFormat::Json => {
                // Written again, so that what the terminal gets is escaped whatever wrote the journal.
                let whole = serde_json::from_str::<Value>(&line).map_err(CommandError::failed)?;
                lines.push_str(&one_line(&whole));
                lines.push('\n');
            }
            OutputFormat::People => {
                let (tone, cells) = row::of(&record);
                table.row(tone, cells);
            }
        }
    }
    if rows == 0 {
        return Ok(ShownBatch::Nothing(more));
    }
    match terminal.format() {
        OutputFormat::Json => terminal.print(&lines)?,
        OutputFormat::People => terminal.print(&table.render(head, terminal.colour()))?,
    }
    Ok(ShownBatch::Rows(more))
}

impl EventsArgs {
    fn filter(&self, clock: &Clock) -> EventFilter {
        let moment = |since: Option<SinceTime>| since.map(|since| since.moment(clock.now()));
        let attributes = [
            (LookupAttribute::BucketName, &self.bucket),
            (LookupAttribute::EventNameAnyCase, &self.event_name),
            (LookupAttribute::Principal, &self.principal),
            (LookupAttribute::ErrorCode, &self.error),
            (LookupAttribute::SourceIpAddress, &self.source_ip),
            (LookupAttribute::ResourceName, &self.resource),
            (LookupAttribute::MfaResult, &self.mfa_result),
        ];
        let wanted = |(attribute, value): (LookupAttribute, &Option<String>)| Some((attribute, value.clone()?));
        let attributes = attributes.into_iter().filter_map(wanted).collect();
        EventFilter::new(attributes, moment(self.since), moment(self.until))
    }
}

#[cfg(test)]
mod tests;
