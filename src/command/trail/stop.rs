//! `portcullis trail stop`.

use clap::Args;
use serde_json::json;

use super::client::{TrailClient, named};
use super::trail_name;
use crate::command::error::CommandError;
use crate::command::mfa_value;
use crate::command::second_factor::TokenTiming;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::TrailName;

#[derive(Args)]
pub(crate) struct StopArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
    /// An MFA code of root's device; prompted for if left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

/// Stops logging.
pub(super) async fn run(args: StopArgs, client: &TrailClient<'_>, terminal: &mut Terminal) -> Result<(), CommandError> {
    client.call_with_code("StopLogging", &named(&args.name), args.mfa, TokenTiming::AtOnce, terminal).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "name": args.name.as_str(), "logging": false })),
        OutputFormat::People => terminal.print(&format!("{}: stopped logging.", args.name)),
    }
}
