//! `portcullis init`: a commented configuration, and the state it names.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::error::CommandError;
use super::place::quoted;
use super::private_file;
use super::terminal::{OutputFormat, Terminal};
use portcullis_server::config::Settings;

/// Write a commented configuration and create the state it names.
#[derive(Args)]
pub struct InitArgs {
    /// The configuration to write; an existing one is left alone
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// The example is what a new configuration says: every setting, its default, and why one would change it.
const TEMPLATE: &str = include_str!("../../config.example.toml");

/// Writes the configuration, has the state created, and says what comes next.
pub async fn run(
    args: &InitArgs,
    environment: impl IntoIterator<Item = (String, String)>,
    create_state: impl AsyncFnOnce(&Settings) -> Result<(), CommandError>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    private_file::create(&args.config, TEMPLATE.as_bytes()).map_err(|error| unwritten(&args.config, &error))?;
    let settings = Settings::read(&args.config, environment).map_err(CommandError::usage)?;
    create_state(&settings).await.inspect_err(|_| {
        // Left behind, the file would make the next try fail on itself.
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

fn unwritten(path: &Path, error: &std::io::Error) -> CommandError {
    let shown = CommandError::failed(format!("{} cannot be written: {error}", path.display()));
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return shown.next(format!("It is left as it is. Check it: portcullis check --config {}", word(path)));
    }
    shown
}

fn next(config: &Path, settings: &Settings) -> String {
    format!(
        "\
Wrote {config} and created the state in {state}.

Next:
  1. Say which store to protect: upstream.endpoint and upstream.profile in {config}.
  2. Write its access key to {credentials}, mode 0600:
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
        let args = InitArgs { config: directory.path().join("portcullis.toml") };
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
    async fn an_existing_configuration_is_left_alone_and_no_state_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let args = InitArgs { config: directory.path().join("portcullis.toml") };
        std::fs::write(&args.config, "mine").unwrap();
        let (mut terminal, _) = terminal(OutputFormat::People, &[]);
        let outcome = run(&args, [], async |_| panic!("no state is to be made"), &mut terminal).await;
        assert!(outcome.unwrap_err().next.unwrap().contains("left as it is"));
        assert_eq!(std::fs::read_to_string(&args.config).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_state_that_cannot_be_created_leaves_no_configuration_behind() {
        let directory = tempfile::tempdir().unwrap();
        let args = InitArgs { config: directory.path().join("portcullis.toml") };
        let (mut terminal, _) = terminal(OutputFormat::People, &[]);
        let refused = CommandError::failed("the disk is full");
        assert_eq!(run(&args, [], async |_| Err(refused.clone()), &mut terminal).await, Err(refused));
        assert!(!args.config.exists());
    }
}
