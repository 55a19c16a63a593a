//! `portcullis trail delete`.

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
pub(crate) struct DeleteArgs {
    /// The trail's name
    #[arg(value_parser = trail_name)]
    name: TrailName,
    /// An MFA code of root's device; prompted for if needed and left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

/// Deletes it.
pub(super) async fn run(
    args: DeleteArgs,
    client: &TrailClient<'_>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    client.call_with_code("DeleteTrail", &named(&args.name), args.mfa, TokenTiming::WhenWanted, terminal).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "name": args.name.as_str(), "deleted": true })),
        OutputFormat::People => terminal.print(&format!("{}: deleted; its delivered files stay.", args.name)),
    }
}
