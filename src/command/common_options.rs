//! `--data` and `--json`, and the refusal of each option where it has no effect.

use std::fmt;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};

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

/// An option that has no effect on a subcommand, alone or as it is used, and so is refused there.
struct WithoutEffect {
    subcommand: &'static str,
    option: &'static str,
    when: EffectLack,
    reason: &'static str,
}

/// When an option has no effect.
enum EffectLack {
    Always,
    /// Together with all of these.
    With(&'static [&'static str]),
    /// Where none of these is given.
    WithoutAny(&'static [&'static str]),
}

const CONFIGURED: &str = "The state directory is state.directory in the configuration.";
const FROM_FILES: &str = "It reads policies from files, and asks no running proxy.";
const NO_RESULT: &str = "It prints no result. Its log goes to stderr.";

const WITHOUT_EFFECT: [WithoutEffect; 10] = [
    WithoutEffect { subcommand: "check", option: "data", when: EffectLack::Always, reason: CONFIGURED },
    WithoutEffect { subcommand: "dev", option: "json", when: EffectLack::Always, reason: NO_RESULT },
    WithoutEffect {
        subcommand: "mfa add",
        option: "mfa",
        when: EffectLack::With(&["no-activate"]),
        // A code is valid for one request and for half a minute.
        reason: "The code is needed on activation. Pass it there: portcullis mfa activate --mfa \"SERIAL CODE\" ...",
    },
    WithoutEffect { subcommand: "policy check", option: "data", when: EffectLack::Always, reason: FROM_FILES },
    WithoutEffect { subcommand: "policy list", option: "data", when: EffectLack::Always, reason: FROM_FILES },
    WithoutEffect {
        subcommand: "policy test",
        option: "data",
        when: EffectLack::WithoutAny(&["user"]),
        reason: FROM_FILES,
    },
    WithoutEffect { subcommand: "serve", option: "data", when: EffectLack::Always, reason: CONFIGURED },
    WithoutEffect { subcommand: "serve", option: "json", when: EffectLack::Always, reason: NO_RESULT },
    WithoutEffect {
        subcommand: "trail selectors",
        option: "mfa",
        when: EffectLack::WithoutAny(&["all", "management", "basic", "advanced"]),
        reason: "Nothing is changed, and no code is needed to show the selectors.",
    },
    WithoutEffect {
        subcommand: "trail validate",
        option: "data",
        when: EffectLack::With(&["folder", "public-keys"]),
        reason: "The files and the keys are given, so no running Portcullis is asked.",
    },
];

impl CommonOptions {
    /// Leaves each option out of the help of the subcommands that it never has an effect on.
    pub(super) fn hide_where_refused(command: Command) -> Command {
        let never = WITHOUT_EFFECT.iter().filter(|entry| matches!(entry.when, EffectLack::Always));
        never.fold(command, |command, entry| entry.hide_in(command, entry.subcommand))
    }
}

/// Refuses an option that was given and has no effect: to take it would say that it has one.
pub(super) fn refuse_without_effect(matches: &ArgMatches) -> Result<(), CommandError> {
    let typed = TypedLine::of(matches);
    match WITHOUT_EFFECT.iter().find(|entry| entry.applies_to(&typed)) {
        Some(entry) => Err(CommandError::usage(entry.to_string()).next(entry.reason)),
        None => Ok(()),
    }
}

impl WithoutEffect {
    fn applies_to(&self, typed: &TypedLine<'_>) -> bool {
        let lacks = || match self.when {
            EffectLack::Always => true,
            EffectLack::With(others) => others.iter().all(|other| typed.has(other)),
            EffectLack::WithoutAny(others) => !others.iter().any(|other| typed.has(other)),
        };
        typed.subcommand == self.subcommand && typed.has(self.option) && lacks()
    }

    /// Hides the option from the help of the subcommand at this path.
    fn hide_in(&self, command: Command, path: &str) -> Command {
        match path.split_once(' ') {
            Some((name, rest)) => command.mut_subcommand(name, |subcommand| self.hide_in(subcommand, rest)),
            None => command.mut_subcommand(path, |subcommand| subcommand.arg(self.hidden())),
        }
    }

    /// The option as a subcommand's own, which stands in for the shared one there and is left out of its help.
    fn hidden(&self) -> Arg {
        let arg = Arg::new(self.option).long(self.option).hide(true);
        match self.option {
            "data" => arg.value_name("DIR").value_parser(ValueParser::path_buf()),
            _ => arg.action(ArgAction::SetTrue),
        }
    }
}

impl fmt::Display for WithoutEffect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "--{} has no effect on `portcullis {}`", self.option, self.subcommand)?;
        match self.when {
            EffectLack::Always => Ok(()),
            EffectLack::With(others) => write!(out, " with {}", listed(others, "and")),
            EffectLack::WithoutAny(others) => write!(out, " without {}", listed(others, "or")),
        }
    }
}

/// The options as a sentence names them.
fn listed(options: &[&str], word: &str) -> String {
    match options {
        [] => String::new(),
        [only] => format!("--{only}"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|option| format!("--{option}")).collect();
            format!("{} {word} --{last}", rest.join(", "))
        }
    }
}

/// A command line that clap has read: the path of its subcommand, and what was given to each part of it.
struct TypedLine<'m> {
    subcommand: String,
    levels: Vec<&'m ArgMatches>,
}

impl<'m> TypedLine<'m> {
    fn of(matches: &'m ArgMatches) -> Self {
        let (mut names, mut levels) = (Vec::new(), vec![matches]);
        let mut next = matches.subcommand();
        while let Some((name, below)) = next {
            names.push(name);
            levels.push(below);
            next = below.subcommand();
        }
        Self { subcommand: names.join(" "), levels }
    }

    /// Whether the option was typed, before the subcommand or after it.
    fn has(&self, option: &str) -> bool {
        let id = option.replace('-', "_");
        self.levels.iter().any(|level| {
            level.try_contains_id(&id).unwrap_or(false) && level.value_source(&id) == Some(ValueSource::CommandLine)
        })
    }
}
