//! `portcullis trail`: what is recorded for good, and where to.

mod validate;

use clap::Subcommand;

use super::error::CommandError;
use super::place::Place;
use super::terminal::Terminal;
use crate::trail::TrailName;

/// What to do with trails.
#[derive(Subcommand)]
pub enum TrailCommand {
    /// Prove that nothing of a trail was altered, removed or forged
    Validate(validate::ValidateArgs),
}

/// Runs one of them.
pub async fn run(
    command: TrailCommand,
    place: &Place,
    environment: impl Fn(&str) -> Option<String>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match command {
        TrailCommand::Validate(args) => validate::run(args, place, environment, terminal).await,
    }
}

fn trail_name(text: &str) -> Result<TrailName, crate::trail::InvalidTrailName> {
    TrailName::parse(text)
}
