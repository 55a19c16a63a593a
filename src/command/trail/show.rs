//! `portcullis trail show`.

use clap::Args;
use serde_json::{Value, json};

use super::client::{TrailClient, Truth, holds, named, text};
use super::{list, selectors, trail_name};
use crate::command::error::CommandError;
use crate::command::table::harmless;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_cloudtrail::TrailName;

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
}

/// Shows it.
pub(super) async fn run(
    args: &ShowArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let trail = client.trail(&args.name).await?;
    let status = client.call("GetTrailStatus", &named(&args.name)).await?;
    let chosen = client.call("GetEventSelectors", &json!({ "TrailName": args.name.as_str() })).await?;
    let tags = client.call("ListTags", &json!({ "ResourceIdList": [text(&trail, "TrailARN")] })).await?;
    let tags = tags.pointer("/ResourceTagList/0/TagsList").and_then(Value::as_array).cloned().unwrap_or_default();
    match terminal.format() {
        OutputFormat::Json => {
            let mut shown = as_json(&trail);
            if let Some(members) = shown.as_object_mut() {
                members.insert("status".to_owned(), list::status_as_json(&status));
                members.insert("selectors".to_owned(), selectors::as_json(&chosen));
                let tags = tags.iter().map(|tag| (text(tag, "Key").to_owned(), text(tag, "Value").into()));
                members.insert("tags".to_owned(), Value::Object(tags.collect()));
            }
            terminal.print_json(&shown)
        }
        OutputFormat::People => {
            terminal.print(&lines(&trail))?;
            terminal.print(&list::status_lines(&status))?;
            let tags: Vec<String> =
                tags.iter().map(|tag| harmless(&format!("{}={}", text(tag, "Key"), text(tag, "Value")))).collect();
            if !tags.is_empty() {
                terminal.print(&line("tags", &tags.join(", ")))?;
            }
            terminal.print(&line("events", &selectors::described(&chosen)))
        }
    }
}

/// A trail for programs.
pub(super) fn as_json(trail: &Value) -> Value {
    json!({
        "name": text(trail, "Name"),
        "arn": text(trail, "TrailARN"),
        "bucket": text(trail, "S3BucketName"),
        "prefix": trail.get("S3KeyPrefix").cloned().unwrap_or_default(),
        "validation": holds(trail, "LogFileValidationEnabled") == Truth::Yes,
        "digestPeriodSeconds": trail.get("DigestPeriodSeconds").cloned().unwrap_or_default(),
        "customSelectors": holds(trail, "HasCustomEventSelectors") == Truth::Yes,
    })
}

/// A trail for people.
pub(super) fn lines(trail: &Value) -> String {
    let seconds = trail.get("DigestPeriodSeconds").and_then(Value::as_u64).unwrap_or_default();
    let validation = match holds(trail, "LogFileValidationEnabled") {
        Truth::No => "off".to_owned(),
        Truth::Yes => format!("on, a digest every {seconds} s"),
    };
    let prefix = text(trail, "S3KeyPrefix");
    let place = format!("{}{}{prefix}", text(trail, "S3BucketName"), if prefix.is_empty() { "" } else { "/" });
    [
        line("trail", text(trail, "Name")),
        line("arn", text(trail, "TrailARN")),
        line("delivers to", &place),
        line("validation", &validation),
    ]
    .concat()
}

/// One fact, aligned with others.
pub(super) fn line(name: &str, value: &str) -> String {
    format!("{name:<16}{value}\n")
}
