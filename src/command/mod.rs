//! The command line.

mod admin;
mod check;
mod clock;
mod common_options;
pub mod dev;
mod devices;
pub mod error;
mod events;
mod exchange;
mod exposure;
mod given_key;
mod group;
mod holders;
mod import;
pub mod init;
mod key;
mod log;
mod mfa;
mod mfa_delete;
mod policy;
mod private_file;
mod process;
mod qr;
pub mod root_key;
mod run_proxy;
mod s3;
mod second_factor;
pub mod serve;
mod state;
pub mod state_directory;
mod table;
pub mod terminal;
mod trail;
mod user;

#[cfg(test)]
mod fake_proxy;
#[cfg(test)]
mod fake_store;

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZero;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::admin::AdminClient;
use self::common_options::{CommonOptions, refuse_without_effect};
use self::error::{CommandError, ROOT_HELP};
use self::state_directory::StateDirectory;
use self::terminal::{OutputFormat, Terminal};
use portcullis_base::clock::Clock;
use portcullis_base::secret::Secret;

/// MFA Delete and CloudTrail for any S3-compatible store.
#[derive(Parser)]
#[command(name = "portcullis", version, about, after_help = ROOT_HELP)]
struct Cli {
    #[command(flatten)]
    common: CommonOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::CheckArgs),
    /// Show or accept the clock that MFA codes are checked against
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    Dev(dev::DevArgs),
    /// Show recorded events
    Events(events::EventsArgs),
    /// Manage groups of users
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Take the users of a store, with their keys and no more rights than they had there
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Write a commented configuration and create its state directory
    Init(init::InitArgs),
    /// Manage access keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Manage root's MFA devices
    #[command(subcommand)]
    Mfa(mfa::MfaCommand),
    /// Enable, disable and show MFA Delete of buckets
    #[command(subcommand)]
    MfaDelete(mfa_delete::MfaDeleteCommand),
    /// Attach IAM policies to users and groups, check them, and explain what they allow
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    Serve(serve::ServeArgs),
    /// State maintenance
    #[command(subcommand)]
    State(state::StateCommand),
    /// Manage CloudTrail trails
    #[command(subcommand)]
    Trail(trail::TrailCommand),
    /// Manage users
    #[command(subcommand)]
    User(user::UserCommand),
}

/// The command line that `Cli` stands for.
fn command_line() -> clap::Command {
    let command = CommonOptions::hide_where_refused(Cli::command());
    let names: Vec<String> = command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    // `portcullis help mfa add` is enough; `portcullis mfa help add` would only lengthen each list.
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |subcommand| subcommand.disable_help_subcommand(true))
    })
}

fn read(matches: &ArgMatches) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(matches)
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let matches = command_line().get_matches();
    let cli = read(&matches).unwrap_or_else(|error| error.exit());
    if let Err(error) = refuse_without_effect(&matches) {
        Terminal::system(OutputFormat::People).report(&error);
        return error.exit_code();
    }
    let format = if cli.common.json { OutputFormat::Json } else { OutputFormat::People };
    let _flushed = log::FlushAtEnd;
    let mut terminal = match &cli.command {
        // A reader that stops reading stdout or stderr must not block the proxy.
        Command::Dev(_) | Command::Serve(_) => Terminal::writing_to(format, log::stdout(), log::stderr()),
        Command::Check(_)
        | Command::Clock(_)
        | Command::Events(_)
        | Command::Group(_)
        | Command::Import(_)
        | Command::Init(_)
        | Command::Key(_)
        | Command::Mfa(_)
        | Command::MfaDelete(_)
        | Command::Policy(_)
        | Command::State(_)
        | Command::Trail(_)
        | Command::User(_) => Terminal::system(format),
    };
    let variable = std::env::var_os(state_directory::VARIABLE).map(Into::into);
    let place = StateDirectory::find(cli.common.data, variable);
    match run(cli.command, &place, &mut terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.report(&error);
            error.exit_code()
        }
    }
}

fn run(command: Command, place: &StateDirectory, terminal: &mut Terminal) -> Result<(), CommandError> {
    let admin = AdminClient::of(place);
    match command {
        Command::Check(args) => on_one_thread(check::run(args, environment(), terminal)),
        Command::Clock(command) => on_one_thread(clock::run(command, &admin, terminal)),
        Command::Dev(args) => on_all_threads(run_proxy::dev(args, place, environment(), terminal)),
        Command::Events(args) => on_one_thread(events::run(args, place, terminal)),
        Command::Group(command) => on_one_thread(group::run(command, &admin, terminal)),
        Command::Import(command) => on_one_thread(import::run(command, &admin, terminal)),
        Command::Init(args) => on_one_thread(init::run(&args, environment(), run_proxy::create_state, terminal)),
        Command::Key(command) => on_one_thread(key::run(command, &admin, terminal)),
        Command::Mfa(command) => on_one_thread(mfa::run(command, &admin, terminal)),
        Command::MfaDelete(command) => {
            let environment = |name: &str| std::env::var(name).ok();
            on_one_thread(mfa_delete::run(command, place, environment, terminal))
        }
        Command::Policy(command) => on_one_thread(policy::run(command, &admin, &Clock::System, terminal)),
        Command::Serve(args) => on_all_threads(run_proxy::serve(args, environment(), terminal)),
        Command::State(command) => on_one_thread(state::run(command, place, terminal)),
        Command::Trail(command) => {
            let environment = |name: &str| std::env::var(name).ok();
            on_one_thread(trail::run(command, place, environment, terminal))
        }
        Command::User(command) => on_one_thread(user::run(command, &admin, terminal)),
    }
}

/// Runs a command that waits for one thing at a time.
fn on_one_thread(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CommandError::failed(format!("the runtime does not start: {error}")))?.block_on(work)
}

/// Runs the proxy. On one core a single-threaded runtime costs less.
fn on_all_threads(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let mut builder = match std::thread::available_parallelism().map_or(1, NonZero::get) {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| CommandError::failed(format!("the runtime does not start: {error}")))?.block_on(work)
}

/// The environment; what is not UTF-8 in it names no setting.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// `SERIAL CODE` as it was typed; it is parsed where it is used, so that no error message of clap repeats the code.
fn mfa_value(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// A code as it was typed.
fn code_word(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
