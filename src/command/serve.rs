//! `portcullis serve`: the proxy with a configuration.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CommandError;
use portcullis_server::config::Settings;

/// Run Portcullis with a configuration.
///
/// Environment variables PORTCULLIS_SECTION__KEY override single settings. SIGHUP reloads the TLS certificate.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

const EXAMPLES: &str = "\
Example:
  portcullis serve --config /etc/portcullis/portcullis.toml";

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
        let check =
            format!("portcullis check --config {}", super::state_directory::quoted(&config.display().to_string()));
        CommandError::usage(format!("the configuration has mistakes\n{mistakes}")).next(format!("{next} {check}"))
    })
}
