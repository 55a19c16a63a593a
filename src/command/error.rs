//! How a command reports that it failed.

use std::fmt;
use std::io;
use std::process::ExitCode;

use thiserror::Error;

/// A failed command: what happened, and what to do next.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct CommandError {
    pub blame: ExitCause,
    pub message: String,
    pub next: Option<String>,
}

/// Who has to act; the exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCause {
    /// It was refused, or it failed.
    Failed,
    /// Portcullis is not running.
    NotRunning,
    /// The reader of the output closed it.
    OutputClosed,
    /// The files to validate cannot be read.
    Unreadable,
    /// The command line or the configuration is wrong.
    Usage,
}

/// What follows the list of subcommands in `--help`.
pub const ROOT_HELP: &str = "\
Examples:
  portcullis dev                                   try it out with an embedded store
  portcullis init --config portcullis.toml         write a configuration
  portcullis serve --config portcullis.toml        run it
  portcullis mfa add --name phone                  add root's first MFA device
  portcullis mfa-delete enable vault               require MFA to delete versions of bucket vault
  portcullis events --bucket vault                 show what was done with it

Exit codes:
  0  done
  1  refused or failed
  2  the command line or the configuration is wrong
  3  Portcullis is not running, or the files to validate cannot be read

Environment:
  PORTCULLIS_DATA  the state directory, if --data is not given
  NO_COLOR         disables colours on a terminal";

impl CommandError {
    /// It was refused, or it failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::Failed, message: message.to_string(), next: None }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::Usage, message: message.to_string(), next: None }
    }

    /// Portcullis is not running.
    pub fn not_running(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::NotRunning, message: message.to_string(), next: None }
    }

    /// The files to validate cannot be read.
    pub fn unreadable(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::Unreadable, message: message.to_string(), next: None }
    }

    /// The output could not be written.
    pub fn output(error: &io::Error) -> Self {
        let blame = if error.kind() == io::ErrorKind::BrokenPipe { ExitCause::OutputClosed } else { ExitCause::Failed };
        Self { blame, message: format!("the output cannot be written: {error}"), next: None }
    }

    /// Adds what to do next.
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self.blame {
            ExitCause::Failed => ExitCode::from(1),
            ExitCause::NotRunning | ExitCause::Unreadable => ExitCode::from(3),
            // With `portcullis events | head` this is the normal end.
            ExitCause::OutputClosed => ExitCode::SUCCESS,
            ExitCause::Usage => ExitCode::from(2),
        }
    }
}
