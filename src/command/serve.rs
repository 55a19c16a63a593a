//! `portcullis serve`: the gate as its configuration says.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CommandError;
use portcullis_server::config::Settings;

/// Run the gate as its configuration says.
#[derive(Args)]
pub struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// The settings of a configuration, or all of its mistakes.
pub fn settings(
    config: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, CommandError> {
    Settings::read(config, environment).map_err(|mistakes| {
        let next = match mistakes.count() {
            1 => "Correct it, then:".to_owned(),
            count => format!("Correct all {count}, then:"),
        };
        let check = format!("portcullis check --config {}", super::place::quoted(&config.display().to_string()));
        CommandError::usage(format!("the configuration has mistakes\n{mistakes}")).next(format!("{next} {check}"))
    })
}
