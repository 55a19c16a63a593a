//! `portcullis init`: a commented configuration, and the state it names.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::error::CommandError;
use super::private_file;
use super::state_directory::quoted;
use super::terminal::{OutputFormat, Terminal};
use portcullis_server::config::Settings;

/// Write a commented configuration and create its state directory.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// The configuration file to write; an existing file is not changed
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The state directory to create, which the configuration will name [default: portcullis-data beside it]
    #[arg(long, value_name = "DIR", help_heading = "Common options")]
    pub data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  portcullis init --config portcullis.toml
  portcullis init --config /etc/portcullis/portcullis.toml --data /var/lib/portcullis";

/// A new configuration is the example: every setting, its default, and why one would change it.
const TEMPLATE: &str = include_str!("../../config.example.toml");
/// The template's line that names the state directory.
const STATE_DIRECTORY: &str = "directory = \"portcullis-data\"";

/// Writes the configuration, creates the state, and says what to do next.
pub async fn run(
    args: &InitArgs,
    environment: impl IntoIterator<Item = (String, String)>,
    create_state: impl AsyncFnOnce(&Settings) -> Result<(), CommandError>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let configuration = match &args.data {
        Some(directory) => with_state_directory(directory)?,
        None => TEMPLATE.to_owned(),
    };
    private_file::create(&args.config, configuration.as_bytes()).map_err(|error| unwritten(&args.config, &error))?;
    let settings = Settings::read(&args.config, environment).map_err(CommandError::usage)?;
    create_state(&settings).await.inspect_err(|_| {
        // If the file stayed, the next attempt would fail because it exists.
        drop(std::fs::remove_file(&args.config));
    })?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({
            "config": args.config.display().to_string(),
            "state": settings.state.directory.display().to_string(),
        })),
        OutputFormat::People => terminal.print(&next(&args.config, &settings)),
    }
}

/// The template with another state directory, absolute: a relative one would be read as beside the configuration.
fn with_state_directory(directory: &Path) -> Result<String, CommandError> {
    let unusable = |reason: &str| CommandError::usage(format!("--data {}: {reason}", directory.display()));
    let absolute = std::path::absolute(directory).map_err(|error| unusable(&error.to_string()))?;
    let text = absolute.to_str().ok_or_else(|| unusable("a configuration holds only names in UTF-8"))?;
    // TOML reads a JSON string as the same text.
    let line = format!("directory = {}", serde_json::Value::from(text));
    Ok(TEMPLATE.replacen(STATE_DIRECTORY, &line, 1))
}

fn unwritten(path: &Path, error: &std::io::Error) -> CommandError {
    let shown = CommandError::failed(format!("{} cannot be written: {error}", path.display()));
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return shown.next(format!("The file was not changed. Check it: portcullis check --config {}", word(path)));
    }
    shown
}

fn next(config: &Path, settings: &Settings) -> String {
    format!(
        "\
Wrote {config} and created the state in {state}.

Next:
  1. Set upstream.endpoint and upstream.profile in {config} to the store to protect.
  2. Write its access key into {credentials}, mode 0600:
       AWS_ACCESS_KEY_ID=...
       AWS_SECRET_ACCESS_KEY=...
  3. portcullis check --config {word}
  4. portcullis serve --config {word}
",
        config = config.display(),
        state = settings.state.directory.display(),
        credentials = settings.upstream.credentials_file.display(),
        word = word(config),
    )
}

fn word(path: &Path) -> String {
    quoted(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::terminal::kept::terminal;

    #[tokio::test]
    async fn a_new_configuration_is_the_example_and_its_state_is_created() {
        let directory = tempfile::tempdir().unwrap();
        let args = InitArgs { config: directory.path().join("portcullis.toml"), data: None };
        let (mut terminal, kept) = terminal(OutputFormat::People, &[]);
        let mut created = None;
        let create = async |settings: &Settings| {
            created = Some(settings.state.directory.clone());
            Ok(())
        };
        run(&args, [], create, &mut terminal).await.unwrap();
        assert_eq!(created, Some(directory.path().join("portcullis-data")));
        assert_eq!(std::fs::read_to_string(&args.config).unwrap(), TEMPLATE);
        assert!(kept.text().contains("4. portcullis serve --config "));
    }

    #[tokio::test]
    async fn the_state_goes_to_the_directory_of_the_option_and_the_configuration_names_it() {
        assert_eq!(TEMPLATE.matches(STATE_DIRECTORY).count(), 1);
        let directory = tempfile::tempdir().unwrap();
        for name in ["state", "with \"quotes\" and \\"] {
            let state = directory.path().join(name);
            let args = InitArgs { config: directory.path().join(format!("{name}.toml")), data: Some(state.clone()) };
            let (mut terminal, kept) = terminal(OutputFormat::Json, &[]);
            let mut created = None;
            let create = async |settings: &Settings| {
                created = Some(settings.state.directory.clone());
                Ok(())
            };
            run(&args, [], create, &mut terminal).await.unwrap();
            assert_eq!(created.as_ref(), Some(&state));
            assert_eq!(Settings::read(&args.config, []).unwrap().state.directory, state);
            let shown: serde_json::Value = serde_json::from_str(&kept.text()).unwrap();
            assert_eq!(shown["state"], state.display().to_string());
        }
    }

    #[tokio::test]
    async fn an_existing_configuration_is_left_alone_and_no_state_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let args = InitArgs { config: directory.path().join("portcullis.toml"), data: None };
        std::fs::write(&args.config, "mine").unwrap();
        let (mut terminal, _) = terminal(OutputFormat::People, &[]);
        let outcome = run(&args, [], async |_| panic!("no state is to be made"), &mut terminal).await;
        assert!(outcome.unwrap_err().next.unwrap().contains("was not changed"));
        assert_eq!(std::fs::read_to_string(&args.config).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_state_that_cannot_be_created_leaves_no_configuration_behind() {
        let directory = tempfile::tempdir().unwrap();
        let args = InitArgs { config: directory.path().join("portcullis.toml"), data: None };
        let (mut terminal, _) = terminal(OutputFormat::People, &[]);
        let refused = CommandError::failed("the disk is full");
        assert_eq!(run(&args, [], async |_| Err(refused.clone()), &mut terminal).await, Err(refused));
        assert!(!args.config.exists());
    }
}
