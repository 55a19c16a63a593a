//! `portcullis trail`: CloudTrail trails.

mod client;
mod create;
mod delete;
mod list;
mod selectors;
mod show;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod update;
mod validate;

use clap::Subcommand;

use super::error::CommandError;
use super::state_directory::StateDirectory;
use super::terminal::Terminal;
use client::TrailClient;
use portcullis_cloudtrail::TrailName;

/// The subcommands of `trail`.
#[derive(Subcommand)]
pub(super) enum TrailCommand {
    /// Create a trail into a bucket and start logging
    Create(create::CreateTrailArgs),
    /// Delete a trail; its delivered files stay
    Delete(delete::DeleteArgs),
    /// List trails
    List,
    /// Show or set the events that a trail records
    Selectors(selectors::SelectorsArgs),
    /// Show a trail
    Show(show::ShowArgs),
    /// Start logging
    Start(start::StartArgs),
    /// Show logging and delivery status
    Status(list::TrailStatusArgs),
    /// Stop logging
    Stop(stop::StopArgs),
    /// Change a trail's bucket, prefix, validation or digest period
    Update(update::UpdateArgs),
    /// Verify that no file of a trail was altered, removed or forged
    Validate(validate::ValidateArgs),
}

/// Runs the subcommand.
pub(super) async fn run(
    command: TrailCommand,
    place: &StateDirectory,
    environment: impl Fn(&str) -> Option<String>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let client = || TrailClient::new(place, &environment);
    match command {
        TrailCommand::Create(args) => create::run(args, &client()?, terminal).await,
        TrailCommand::Delete(args) => delete::run(args, &client()?, terminal).await,
        TrailCommand::List => list::list(&client()?, terminal).await,
        TrailCommand::Selectors(args) => selectors::run(args, &client()?, terminal).await,
        TrailCommand::Show(args) => show::run(&args, &client()?, terminal).await,
        TrailCommand::Start(args) => start::run(&args, &client()?, terminal).await,
        TrailCommand::Status(args) => list::status(args, &client()?, terminal).await,
        TrailCommand::Stop(args) => stop::run(args, &client()?, terminal).await,
        TrailCommand::Update(args) => update::run(args, &client()?, terminal).await,
        TrailCommand::Validate(args) => validate::run(args, place, environment, terminal).await,
    }
}

fn trail_name(text: &str) -> Result<TrailName, portcullis_cloudtrail::InvalidTrailName> {
    TrailName::parse(text)
}
