//! `portcullis trail create`: a trail that records everything, started at once.

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
pub struct CreateTrailArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
    /// The bucket it is delivered to; made if it is not there, and from then on the trail's alone
    #[arg(long, value_parser = bucket_name)]
    bucket: BucketName,
    /// What the keys of its files begin with
    #[arg(long)]
    prefix: Option<String>,
    /// How long one digest's window is, from 60s to 24h [default: as the gate is configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    digest_period: Option<Duration>,
    /// Record management events alone, and not what is done with objects
    #[arg(long)]
    management_only: bool,
    /// Put the bucket under MFA Delete, so that what was delivered goes with a code alone
    #[arg(long, conflicts_with = "no_mfa_delete")]
    mfa_delete: bool,
    /// Do not ask whether to put the bucket under MFA Delete
    #[arg(long)]
    no_mfa_delete: bool,
    /// A code of root's device, for a bucket that is not empty, else for MFA Delete; asked for where it is left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

/// Creates it, chooses its events and starts it.
pub async fn run(args: CreateTrailArgs, client: &TrailClient<'_>, terminal: &mut Terminal) -> Result<(), CommandError> {
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
            "The trail is there, and does not record yet: portcullis trail selectors {name} --all{flag} && portcullis \
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
        terminal.print(&format!("{name}: records {records} into {bucket} from now on."))?;
        terminal.print(&format!(
            "{bucket} is the trail's alone now: root reads it, and nobody writes it through the gate."
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
                terminal.print(&format!("{bucket}: MFA Delete is on: no file of the trail goes without a code."))
            }
            Protected::Not => terminal.print(&format!(
                "{bucket}: MFA Delete is not on. Whoever reaches the store can delete what was delivered; turn it on: \
                 portcullis mfa-delete enable {bucket}{}",
                client.flag()
            )),
        },
    }
}

/// Holds the trail that was started against the one that was asked for: until its start it could be changed by root's key
/// without a code.
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
    Err(CommandError::failed(format!("{name} records, but it was changed while it was made")).next(format!(
        "See what it is now, and whose requests changed it: portcullis trail show {name}{flag} && portcullis events{flag}"
    )))
}

/// What CreateTrail and GetTrail both tell of a trail.
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
    let again = format!("The trail records. Try again: portcullis mfa-delete enable {}{flag}", args.bucket);
    let done = client.protect(args.bucket.as_str(), factor, terminal).await;
    done.map(|()| Protected::Now).map_err(|error| {
        let next = error.next.as_ref().map_or_else(|| again.clone(), |next| format!("{next}\n{again}"));
        error.next(next)
    })
}

fn agrees(args: &CreateTrailArgs, terminal: &mut Terminal) -> Result<bool, CommandError> {
    let question = format!("Put {} under MFA Delete now, so that no log goes without a code? [Y/n] ", args.bucket);
    let answer = terminal.ask(&question)?;
    Ok(answer.is_some_and(|answer| matches!(answer.expose().to_ascii_lowercase().as_str(), "" | "y" | "yes")))
}

fn bucket_name(text: &str) -> Result<BucketName, portcullis_base::names::InvalidName> {
    BucketName::parse(text)
}
