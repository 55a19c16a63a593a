//! `portcullis trail start`.

use clap::Args;
use serde_json::json;

use super::client::{TrailClient, named};
use super::trail_name;
use crate::command::error::CommandError;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_cloudtrail::TrailName;

#[derive(Args)]
pub(crate) struct StartArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
}

/// Starts logging.
pub(super) async fn run(
    args: &StartArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    client.call("StartLogging", &named(&args.name)).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "name": args.name.as_str(), "logging": true })),
        OutputFormat::People => terminal.print(&format!("{}: logging.", args.name)),
    }
}
