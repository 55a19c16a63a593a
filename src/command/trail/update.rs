//! `portcullis trail update`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::client::TrailClient;
use super::{show, trail_name};
use crate::command::error::CommandError;
use crate::command::mfa_value;
use crate::command::second_factor::TokenTiming;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::TrailName;
use portcullis_server::config::parse_duration;

#[derive(Args)]
pub(crate) struct UpdateArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
    /// The bucket to deliver to
    #[arg(long)]
    bucket: Option<String>,
    /// The prefix of its files' keys; "" for none
    #[arg(long)]
    prefix: Option<String>,
    /// Whether signed digests are delivered (log file validation)
    #[arg(long, value_name = "STATE")]
    validation: Option<OnOrOff>,
    /// The period that one digest covers, from 60s to 24h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    digest_period: Option<Duration>,
    /// An MFA code of root's device; prompted for if needed and left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOrOff {
    Off,
    On,
}

/// Changes what was given.
pub(super) async fn run(
    args: UpdateArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("S3BucketName", args.bucket.map(Value::from));
    set("S3KeyPrefix", args.prefix.map(Value::from));
    set("EnableLogFileValidation", args.validation.map(|state| (state == OnOrOff::On).into()));
    set("DigestPeriodSeconds", args.digest_period.map(|period| period.as_secs().into()));
    if body.is_empty() {
        return Err(CommandError::usage("no change was given")
            .next("Give at least one of --bucket, --prefix, --validation or --digest-period"));
    }
    body.insert("Name".to_owned(), args.name.as_str().into());
    let body = Value::Object(body);
    client.call_with_code("UpdateTrail", &body, args.mfa, TokenTiming::WhenWanted, terminal).await?;
    let trail = client.trail(&args.name).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&show::as_json(&trail)),
        OutputFormat::People => terminal.print(&show::lines(&trail)),
    }
}
