//! `portcullis trail`: what is recorded for good, and where to.

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
use super::place::StateDirectory;
use super::terminal::Terminal;
use client::TrailClient;
use portcullis_cloudtrail::TrailName;

/// What to do with trails.
#[derive(Subcommand)]
pub enum TrailCommand {
    /// Record everything into a bucket from now on
    Create(create::CreateTrailArgs),
    /// Take a trail away; what it delivered stays
    Delete(delete::DeleteArgs),
    /// List the trails
    List,
    /// Show or choose the events that a trail records
    Selectors(selectors::SelectorsArgs),
    /// Show all that a trail is
    Show(show::ShowArgs),
    /// Let a trail record again
    Start(start::StartArgs),
    /// Show how far trails are delivered
    Status(list::TrailStatusArgs),
    /// Let a trail record nothing for a while
    Stop(stop::StopArgs),
    /// Change where a trail is delivered, and how it is proved
    Update(update::UpdateArgs),
    /// Prove that nothing of a trail was altered, removed or forged
    Validate(validate::ValidateArgs),
}

/// Runs one of them.
pub async fn run(
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
