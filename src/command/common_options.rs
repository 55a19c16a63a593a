//! `--data` and `--json`: where they act, and their refusal where they do not.

use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Args, Command};

use super::error::CommandError;

/// The options that most subcommands share.
#[derive(Args)]
pub(super) struct CommonOptions {
    /// The state directory [default: $PORTCULLIS_DATA, else ./portcullis-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = HEADING)]
    pub data: Option<PathBuf>,
    /// Print results as JSON, for programs
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
}

const HEADING: &str = "Common options";

#[derive(Clone, Copy, PartialEq, Eq)]
enum CommonOption {
    Data,
    Json,
}

/// An option that has no effect on a subcommand, and so is refused there.
struct WithoutEffect {
    subcommand: &'static str,
    option: CommonOption,
    reason: &'static str,
}

const CONFIGURED: &str = "The state directory is state.directory in the configuration.";
const NO_RESULT: &str = "It prints no result. Its log goes to stderr.";

const WITHOUT_EFFECT: [WithoutEffect; 4] = [
    WithoutEffect { subcommand: "check", option: CommonOption::Data, reason: CONFIGURED },
    WithoutEffect { subcommand: "dev", option: CommonOption::Json, reason: NO_RESULT },
    WithoutEffect { subcommand: "serve", option: CommonOption::Data, reason: CONFIGURED },
    WithoutEffect { subcommand: "serve", option: CommonOption::Json, reason: NO_RESULT },
];

impl CommonOption {
    fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Json => "json",
        }
    }

    /// The option as a subcommand's own, which stands in for the shared one there and is left out of its help.
    fn hidden(self) -> Arg {
        let arg = Arg::new(self.name()).long(self.name()).hide(true);
        match self {
            Self::Data => arg.value_name("DIR").value_parser(ValueParser::path_buf()),
            Self::Json => arg.action(ArgAction::SetTrue),
        }
    }
}

impl CommonOptions {
    /// Leaves each option out of the help of the subcommands that it has no effect on.
    pub(super) fn hide_where_refused(command: Command) -> Command {
        WITHOUT_EFFECT.iter().fold(command, |command, entry| {
            command.mut_subcommand(entry.subcommand, |subcommand| subcommand.arg(entry.option.hidden()))
        })
    }

    /// Refuses an option that was given and has no effect on this subcommand.
    pub(super) fn refuse_without_effect(&self, subcommand: &str) -> Result<(), CommandError> {
        let given = |option: CommonOption| match option {
            CommonOption::Data => self.data.is_some(),
            CommonOption::Json => self.json,
        };
        match WITHOUT_EFFECT.iter().find(|entry| entry.subcommand == subcommand && given(entry.option)) {
            Some(entry) => {
                let message = format!("--{} has no effect on `portcullis {subcommand}`", entry.option.name());
                Err(CommandError::usage(message).next(entry.reason))
            }
            None => Ok(()),
        }
    }
}
