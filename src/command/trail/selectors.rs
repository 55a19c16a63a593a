//! `portcullis trail selectors`: the events that a trail records.

use std::io::Read as _;

use clap::Args;
use serde_json::{Value, json};

use super::client::{TrailClient, Truth, holds, text};
use super::trail_name;
use crate::command::error::CommandError;
use crate::command::mfa_value;
use crate::command::second_factor::TokenTiming;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::TrailName;

#[derive(Args)]
pub(crate) struct SelectorsArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
    #[command(flatten)]
    choice: SelectorChoice,
    /// An MFA code of root's device; prompted for if needed and left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
#[group(multiple = false)]
struct SelectorChoice {
    /// Record all management events and all of S3's data events
    #[arg(long)]
    all: bool,
    /// Record only management events
    #[arg(long)]
    management: bool,
    /// Basic event selectors: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    basic: Option<String>,
    /// Advanced event selectors: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    advanced: Option<String>,
}

/// Sets them, or shows them.
pub(super) async fn run(
    args: SelectorsArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let name = args.name.as_str();
    let chosen = match args.choice.selectors()? {
        None => client.call("GetEventSelectors", &json!({ "TrailName": name })).await?,
        Some((member, list)) => {
            let body = json!({ "TrailName": name, member: list });
            client.call_with_code("PutEventSelectors", &body, args.mfa, TokenTiming::WhenWanted, terminal).await?
        }
    };
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&as_json(&chosen)),
        OutputFormat::People => terminal.print(&described(&chosen)),
    }
}

/// All management events and all of S3's data events.
pub(super) fn everything() -> Value {
    json!([{
        "ReadWriteType": "All",
        "IncludeManagementEvents": true,
        "DataResources": [{ "Type": "AWS::S3::Object", "Values": ["arn:aws:s3"] }],
    }])
}

impl SelectorChoice {
    fn selectors(&self) -> Result<Option<(&'static str, Value)>, CommandError> {
        Ok(match (self.all, self.management, &self.basic, &self.advanced) {
            (true, _, _, _) => Some(("EventSelectors", everything())),
            (_, true, _, _) => Some(("EventSelectors", json!([{ "IncludeManagementEvents": true }]))),
            (_, _, Some(text), _) => Some(("EventSelectors", read(text)?)),
            (_, _, _, Some(text)) => Some(("AdvancedEventSelectors", read(text)?)),
            (false, false, None, None) => None,
        })
    }
}

/// A body has 256 KiB at most.
const LONGEST: u64 = 256 * 1024;

fn read(text: &str) -> Result<Value, CommandError> {
    let unread = |what: &str, error: std::io::Error| CommandError::usage(format!("{what} cannot be read: {error}"));
    let json = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| unread(path, error))?,
        None if text == "-" => {
            let mut read = String::new();
            let mut input = std::io::stdin().lock().take(LONGEST);
            input.read_to_string(&mut read).map_err(|error| unread("standard input", error))?;
            read
        }
        None => text.to_owned(),
    };
    serde_json::from_str(&json).map_err(|error| {
        CommandError::usage(format!("the selectors are not JSON: {error}"))
            .next("Put an @ before the name of a file: --basic @selectors.json")
    })
}

/// The selectors for programs, in AWS's own shape.
pub(super) fn as_json(answer: &Value) -> Value {
    let list = |name: &str| answer.get(name).cloned();
    match (list("EventSelectors"), list("AdvancedEventSelectors")) {
        (_, Some(advanced)) => json!({ "advanced": advanced }),
        (basic, None) => json!({ "basic": basic }),
    }
}

/// The selectors in words where possible, else as JSON.
pub(super) fn described(answer: &Value) -> String {
    let Some([only]) = answer.get("EventSelectors").and_then(Value::as_array).map(Vec::as_slice) else {
        return as_json(answer).to_string();
    };
    let data = only.get("DataResources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let plain = text(only, "ReadWriteType") == "All" && holds(only, "IncludeManagementEvents") == Truth::Yes;
    let all_of_s3 = |resource: &Value| resource.pointer("/Values/0").and_then(Value::as_str) == Some("arn:aws:s3");
    match data {
        [] if plain => "all management events, no data events".to_owned(),
        [one] if plain && all_of_s3(one) => "all management events, all of S3's data events".to_owned(),
        _ => as_json(answer).to_string(),
    }
}
