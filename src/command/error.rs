//! How a command ends when it does not do what was asked.

use std::fmt;
use std::io;
use std::process::ExitCode;

use thiserror::Error;

/// A command that did not do what was asked: what happened, and what to do next.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct CommandError {
    pub blame: ExitCause,
    pub message: String,
    pub next: Option<String>,
}

/// Who has to act, which is what the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCause {
    /// It was refused, or it failed.
    Failed,
    /// The gate does not run.
    NotRunning,
    /// Whoever read the output has left.
    OutputClosed,
    /// What is to be judged cannot be read.
    Unreadable,
    /// What was typed, or written in a file, is wrong.
    Usage,
}

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed
  2  the command line or the configuration is wrong
  3  the gate is not running, or what is to be judged cannot be read

Environment:
  PORTCULLIS_DATA  the state directory, where --data is not given
  NO_COLOR         no colours, also on a terminal";

impl CommandError {
    /// It was refused, or it failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::Failed, message: message.to_string(), next: None }
    }

    /// What was typed, or written in a file, is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::Usage, message: message.to_string(), next: None }
    }

    /// The gate does not run.
    pub fn not_running(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::NotRunning, message: message.to_string(), next: None }
    }

    /// What is to be judged cannot be read.
    pub fn unreadable(message: impl fmt::Display) -> Self {
        Self { blame: ExitCause::Unreadable, message: message.to_string(), next: None }
    }

    /// Nothing could be written.
    pub fn output(error: &io::Error) -> Self {
        let blame = if error.kind() == io::ErrorKind::BrokenPipe { ExitCause::OutputClosed } else { ExitCause::Failed };
        Self { blame, message: format!("the output cannot be written: {error}"), next: None }
    }

    /// Adds what to do next.
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// What the shell is told.
    pub fn exit_code(&self) -> ExitCode {
        match self.blame {
            ExitCause::Failed => ExitCode::from(1),
            ExitCause::NotRunning | ExitCause::Unreadable => ExitCode::from(3),
            // `portcullis events | head` has seen all it asked for.
            ExitCause::OutputClosed => ExitCode::SUCCESS,
            ExitCause::Usage => ExitCode::from(2),
        }
    }
}
