//! `portcullis trail create`: a trail that records everything, with logging started.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{TrailClient, Truth, holds, named, text};
use super::{selectors, trail_name};
use crate::command::error::CommandError;
use crate::command::mfa_value;
use crate::command::second_factor::MfaTokenSource;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_base::names::BucketName;
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::TrailName;
use portcullis_server::config::parse_duration;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateTrailArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
    /// The bucket to deliver to; created if missing, and from then on reserved for the trail
    #[arg(long, value_parser = bucket_name)]
    bucket: BucketName,
    /// The prefix of its files' keys
    #[arg(long)]
    prefix: Option<String>,
    /// The period that one digest covers, from 60s to 24h [default: as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    digest_period: Option<Duration>,
    /// Record only management events, not data events of objects
    #[arg(long)]
    management_only: bool,
    /// Enable MFA Delete of the bucket, so that delivered files can be deleted only with an MFA code
    #[arg(long, conflicts_with = "no_mfa_delete")]
    mfa_delete: bool,
    /// Do not ask whether to enable MFA Delete of the bucket
    #[arg(long)]
    no_mfa_delete: bool,
    /// An MFA code of root's device, for a bucket that is not empty, else for MFA Delete; prompted for if left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

const EXAMPLES: &str = "\
Examples:
  portcullis trail create main --bucket trail-logs
  portcullis trail create audit --bucket trail-logs --prefix audit --management-only --mfa-delete";

/// Creates it, sets its events and starts logging.
pub(super) async fn run(
    args: CreateTrailArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let (name, bucket) = (args.name.as_str(), args.bucket.as_str());
    let mut body = json!({ "Name": name, "S3BucketName": bucket, "EnableLogFileValidation": true });
    if let Some(members) = body.as_object_mut() {
        members.extend(args.prefix.iter().map(|prefix| ("S3KeyPrefix".to_owned(), Value::from(prefix.as_str()))));
        let period = args.digest_period.map(|period| ("DigestPeriodSeconds".to_owned(), period.as_secs().into()));
        members.extend(period);
    }
    let mut factor = MfaTokenSource::offered(args.mfa.clone())?;
    let made = client.call_if_wanted("CreateTrail", &body, &mut factor, terminal).await?;
    let again = |error: CommandError| {
        let flag = client.flag();
        error.next(format!(
            "The trail was created, but is not logging yet: portcullis trail selectors {name} --all{flag} && portcullis \
             trail start {name}{flag}"
        ))
    };
    let mut chosen = None;
    if !args.management_only {
        let body = json!({ "TrailName": name, "EventSelectors": selectors::everything() });
        chosen = Some(client.call("PutEventSelectors", &body).await.map_err(again)?);
    }
    client.call("StartLogging", &named(&args.name)).await.map_err(again)?;
    hold_against(&made, chosen.as_ref(), &args.name, client).await?;
    let records =
        if args.management_only { "management events" } else { "management events and all of S3's data events" };
    if terminal.format() == OutputFormat::People {
        terminal.print(&format!("{name}: logging {records} to {bucket}."))?;
        terminal.print(&format!(
            "{bucket} is now reserved for the trail: root can read it, and no client can write to it."
        ))?;
    }
    let protected = protect(&args, client, &mut factor, terminal).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({
            "name": name,
            "arn": text(&made, "TrailARN"),
            "bucket": bucket,
            "prefix": made.get("S3KeyPrefix").cloned().unwrap_or_default(),
            "logging": true,
            "dataEvents": !args.management_only,
            "digestPeriodSeconds": made.get("DigestPeriodSeconds").cloned().unwrap_or_default(),
            "mfaDelete": protected == Protected::Now,
        })),
        OutputFormat::People => match protected {
            Protected::Now => {
                terminal.print(&format!("{bucket}: MFA Delete is enabled: deleting a file of the trail requires an MFA code."))
            }
            Protected::Not => terminal.print(&format!(
                "{bucket}: MFA Delete is not enabled, so delivered files can be deleted without an MFA code. Enable it: \
                 portcullis mfa-delete enable {bucket}{}",
                client.flag()
            )),
        },
    }
}

/// Compares the started trail with the requested one: until logging starts, root's key can change it without a code.
async fn hold_against(
    made: &Value,
    chosen: Option<&Value>,
    name: &TrailName,
    client: &TrailClient<'_>,
) -> Result<(), CommandError> {
    let trail = client.trail(name).await?;
    let selectors = match chosen {
        Some(chosen) => client.call("GetEventSelectors", &json!({ "TrailName": name.as_str() })).await? == *chosen,
        None => holds(&trail, "HasCustomEventSelectors") == Truth::No,
    };
    if selectors && DEFINITION.iter().all(|member| made.get(member) == trail.get(member)) {
        return Ok(());
    }
    let flag = client.flag();
    Err(CommandError::failed(format!("{name} is logging, but it was changed while it was created")).next(format!(
        "See its settings, and which requests changed them: portcullis trail show {name}{flag} && portcullis events{flag}"
    )))
}

/// The members that CreateTrail and GetTrail both return.
const DEFINITION: [&str; 6] = [
    "DigestPeriodSeconds",
    "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail",
    "LogFileValidationEnabled",
    "S3BucketName",
    "S3KeyPrefix",
];

/// Whether the bucket is under MFA Delete now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protected {
    Not,
    Now,
}

async fn protect(
    args: &CreateTrailArgs,
    client: &TrailClient<'_>,
    factor: &mut MfaTokenSource,
    terminal: &mut Terminal,
) -> Result<Protected, CommandError> {
    let wanted = match (args.mfa_delete, args.no_mfa_delete) {
        (true, _) => true,
        (false, true) => false,
        (false, false) => terminal.format() == OutputFormat::People && terminal.has_person() && agrees(args, terminal)?,
    };
    if !wanted {
        return Ok(Protected::Not);
    }
    let flag = client.flag();
    let again = format!("The trail is logging. Try again: portcullis mfa-delete enable {}{flag}", args.bucket);
    let done = client.protect(args.bucket.as_str(), factor, terminal).await;
    done.map(|()| Protected::Now).map_err(|error| {
        let next = error.next.as_ref().map_or_else(|| again.clone(), |next| format!("{next}\n{again}"));
        error.next(next)
    })
}

fn agrees(args: &CreateTrailArgs, terminal: &mut Terminal) -> Result<bool, CommandError> {
    let question =
        format!("Enable MFA Delete of {} now, so that deleting a log file requires an MFA code? [Y/n] ", args.bucket);
    let answer = terminal.ask(&question)?;
    Ok(answer.is_some_and(|answer| matches!(answer.expose().to_ascii_lowercase().as_str(), "" | "y" | "yes")))
}

fn bucket_name(text: &str) -> Result<BucketName, portcullis_base::names::InvalidName> {
    BucketName::parse(text)
}
