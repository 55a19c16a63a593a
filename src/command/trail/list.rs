//! `portcullis trail list` and `portcullis trail status`.

use clap::Args;
use serde_json::{Value, json};

use super::client::{TrailClient, Truth, holds, moment, text};
use super::show::{self, line};
use super::trail_name;
use crate::command::error::CommandError;
use crate::command::table::{RowTone, TableHead, TextTable, harmless};
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_cloudtrail::TrailName;

#[derive(Args)]
pub(crate) struct TrailStatusArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: Option<TrailName>,
}

/// Lists all trails.
pub(super) async fn list(client: &TrailClient<'_>, terminal: &mut Terminal) -> Result<(), CommandError> {
    let trails = client.trails().await?;
    if terminal.format() == OutputFormat::Json {
        return terminal.print_json(&trails.iter().map(show::as_json).collect());
    }
    if trails.is_empty() {
        return terminal.print(&nothing(client));
    }
    let mut table = TextTable::new(&["NAME", "BUCKET", "PREFIX", "VALIDATION", "DIGESTS"]);
    for trail in &trails {
        let seconds = trail.get("DigestPeriodSeconds").and_then(Value::as_u64).unwrap_or_default();
        let prefix = Some(text(trail, "S3KeyPrefix")).filter(|prefix| !prefix.is_empty()).unwrap_or("-");
        let validation = holds(trail, "LogFileValidationEnabled");
        let tone = if validation == Truth::Yes { RowTone::Good } else { RowTone::Plain };
        let cells = [text(trail, "Name"), text(trail, "S3BucketName"), prefix, validation.on_or_off()];
        let period = format!("every {seconds} s");
        table.row(tone, cells.map(str::to_owned).into_iter().chain([period]));
    }
    terminal.print(&table.render(TableHead::Shown, terminal.colour()))
}

/// Shows the status of one trail, or of each.
pub(super) async fn status(
    args: TrailStatusArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let one = args.name.is_some();
    let trails = match &args.name {
        Some(name) => vec![client.trail(name).await?],
        None => client.trails().await?,
    };
    let mut statuses = Vec::new();
    for trail in &trails {
        let status = client.call("GetTrailStatus", &json!({ "Name": text(trail, "Name") })).await?;
        statuses.push((text(trail, "Name").to_owned(), status));
    }
    let with_name = |(name, status): &(String, Value)| {
        let mut shown = status_as_json(status);
        if let Some(members) = shown.as_object_mut() {
            members.insert("name".to_owned(), name.as_str().into());
        }
        shown
    };
    match (terminal.format(), statuses.as_slice()) {
        (OutputFormat::Json, [only]) if one => terminal.print_json(&with_name(only)),
        (OutputFormat::Json, all) => terminal.print_json(&all.iter().map(with_name).collect()),
        (OutputFormat::People, []) => terminal.print(&nothing(client)),
        (OutputFormat::People, all) => terminal.print(&table(all).render(TableHead::Shown, terminal.colour())),
    }
}

fn table(statuses: &[(String, Value)]) -> TextTable {
    let mut table = TextTable::new(&["NAME", "LOGGING", "SINCE", "LAST LOG FILE", "LAST DIGEST", "ERROR"]);
    for (name, status) in statuses {
        let records = holds(status, "IsLogging");
        let since = match records {
            Truth::No => moment(status, "StopLoggingTime"),
            Truth::Yes => moment(status, "StartLoggingTime"),
        };
        let error = error_of(status);
        let tone = match (records, error.is_empty()) {
            (_, false) => RowTone::Bad,
            (Truth::No, true) => RowTone::Faint,
            (Truth::Yes, true) => RowTone::Good,
        };
        let time = |time: Option<String>| time.unwrap_or_else(|| "-".to_owned());
        let (log, digest) = (moment(status, "LatestDeliveryTime"), moment(status, "LatestDigestDeliveryTime"));
        let error = if error.is_empty() { "-".to_owned() } else { error };
        let records = if records == Truth::Yes { "yes" } else { "no" };
        table.row(tone, [name.clone(), records.to_owned(), time(since), time(log), time(digest), error]);
    }
    table
}

/// What went wrong last, of both kinds of files.
fn error_of(status: &Value) -> String {
    let errors = ["LatestDeliveryError", "LatestDigestDeliveryError"].map(|name| text(status, name));
    let errors: Vec<&str> = errors.into_iter().filter(|error| !error.is_empty()).collect();
    errors.join("; ")
}

/// A status for programs.
pub(super) fn status_as_json(status: &Value) -> Value {
    let error = |name: &str| Some(text(status, name)).filter(|error| !error.is_empty());
    json!({
        "logging": holds(status, "IsLogging") == Truth::Yes,
        "started": moment(status, "StartLoggingTime"),
        "stopped": moment(status, "StopLoggingTime"),
        "latestLogFile": moment(status, "LatestDeliveryTime"),
        "logFileError": error("LatestDeliveryError"),
        "latestDigest": moment(status, "LatestDigestDeliveryTime"),
        "digestError": error("LatestDigestDeliveryError"),
    })
}

/// A status for people.
pub(super) fn status_lines(status: &Value) -> String {
    let moment = |name: &str| moment(status, name).unwrap_or_else(|| "-".to_owned());
    let records = match holds(status, "IsLogging") {
        Truth::No if status.get("StopLoggingTime").is_some() => format!("stopped {}", moment("StopLoggingTime")),
        Truth::No => "never started".to_owned(),
        Truth::Yes => format!("since {}", moment("StartLoggingTime")),
    };
    let mut lines = [
        line("logging", &records),
        line("last log file", &moment("LatestDeliveryTime")),
        line("last digest", &moment("LatestDigestDeliveryTime")),
    ]
    .concat();
    let error = error_of(status);
    if !error.is_empty() {
        lines.push_str(&line("error", &harmless(&error)));
    }
    lines
}

fn nothing(client: &TrailClient<'_>) -> String {
    format!("no trails yet; create one: portcullis trail create main --bucket BUCKET{}", client.flag())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_with_what_went_wrong() {
        let status = json!({"IsLogging": true, "StartLoggingTime": 0, "LatestDigestDeliveryError": "AccessDenied"});
        assert_eq!(
            status_lines(&status),
            "logging         since 1970-01-01T00:00:00Z\nlast log file   -\nlast digest     -\nerror           AccessDenied\n"
        );
    }
}
