//! What the operator types.

mod admin;
mod check;
mod clock;
pub mod dev;
mod devices;
pub mod error;
mod events;
mod exchange;
mod exposure;
mod gate;
pub mod init;
mod key;
mod log;
mod mfa;
mod mfa_delete;
pub mod place;
mod private_file;
mod process;
mod qr;
pub mod root_key;
mod s3;
mod second_factor;
pub mod serve;
mod state;
mod table;
pub mod terminal;
mod trail;
mod user;

#[cfg(test)]
mod fake_gate;
#[cfg(test)]
mod fake_store;

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::admin::AdminClient;
use self::error::{CommandError, EXIT_CODES};
use self::place::StateDirectory;
use self::terminal::{OutputFormat, Terminal};
use portcullis_base::secret::Secret;

/// MFA Delete and a CloudTrail for any S3 store.
#[derive(Parser)]
#[command(name = "portcullis", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    /// The gate's state directory [default: $PORTCULLIS_DATA, else ./portcullis-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write results for programs, as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration, and the store behind it
    Check(check::CheckArgs),
    /// The clock that codes go by
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Start the gate with nothing to configure
    Dev(dev::DevArgs),
    /// Show what was recorded
    Events(events::EventsArgs),
    /// Write a commented configuration and create the state it names
    Init(init::InitArgs),
    /// Access keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Root's MFA devices
    #[command(subcommand)]
    Mfa(mfa::MfaCommand),
    /// MFA Delete of buckets
    #[command(subcommand)]
    MfaDelete(mfa_delete::MfaDeleteCommand),
    /// Run the gate as its configuration says
    Serve(serve::ServeArgs),
    /// What the gate remembers
    #[command(subcommand)]
    State(state::StateCommand),
    /// Trails: what is recorded for good
    #[command(subcommand)]
    Trail(trail::TrailCommand),
    /// The account's users
    #[command(subcommand)]
    User(user::UserCommand),
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = if cli.json { OutputFormat::Json } else { OutputFormat::People };
    let _flushed = log::FlushAtEnd;
    let mut terminal = match &cli.command {
        // Whoever does not read what the gate says must not stop it.
        Command::Dev(_) | Command::Serve(_) => Terminal::writing_to(format, log::stdout(), log::stderr()),
        Command::Check(_)
        | Command::Clock(_)
        | Command::Events(_)
        | Command::Init(_)
        | Command::Key(_)
        | Command::Mfa(_)
        | Command::MfaDelete(_)
        | Command::State(_)
        | Command::Trail(_)
        | Command::User(_) => Terminal::system(format),
    };
    let variable = std::env::var_os(place::VARIABLE).map(PathBuf::from);
    let place = StateDirectory::find(cli.data, variable);
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
        Command::Dev(args) => on_all_threads(gate::dev(args, place, environment(), terminal)),
        Command::Events(args) => on_one_thread(events::run(args, place, terminal)),
        Command::Init(args) => on_one_thread(init::run(&args, environment(), gate::create_state, terminal)),
        Command::Key(command) => on_one_thread(key::run(command, &admin, terminal)),
        Command::Mfa(command) => on_one_thread(mfa::run(command, &admin, terminal)),
        Command::MfaDelete(command) => {
            let environment = |name: &str| std::env::var(name).ok();
            on_one_thread(mfa_delete::run(command, place, environment, terminal))
        }
        Command::Serve(args) => on_all_threads(gate::serve(args, environment(), terminal)),
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

/// Runs the gate. On one core there is nobody to share work with, and it costs less not to be ready to.
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

/// `SERIAL CODE` as it was typed; its form is looked at where it is used, so that no message repeats it.
fn mfa_value(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// A code as it was typed.
fn code_word(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contracts_command_lines_are_understood() {
        for line in [
            "mfa add --name phone",
            "mfa add --name phone --no-activate --json --qr phone.png",
            "mfa activate --serial arn:aws:iam::123456789012:mfa/phone 123456 654321",
            "mfa list --json",
            "mfa resync --name phone",
            "mfa remove --name phone --data /var/lib/portcullis",
            "mfa-delete enable vault",
            "mfa-delete disable vault",
            "mfa-delete status --json",
            "mfa-delete status vault",
            "user add alice --json",
            "user list",
            "user remove alice",
            "key create alice",
            "key list",
            "key disable AKIA",
            "key enable AKIA",
            "key delete AKIA",
            "events --json --follow --bucket b --event-name DeleteObject --principal root --error AccessDenied --since 1h",
            "state rebuild",
            "trail validate --folder copy --public-keys keys.json --start-time 2026-11-21 --expect-head head --json",
            "trail validate main --end-time 2026-11-21T09:41:58Z --write-head head",
            "trail create main --bucket logs --prefix a --digest-period 60s --no-mfa-delete",
            "trail create main --bucket logs --management-only --mfa-delete --json",
            "trail list --json",
            "trail status main",
            "trail show main",
            "trail start main",
            "trail stop main",
            "trail update main --validation off --prefix p",
            "trail delete main",
            "trail selectors main --all",
            "check --config portcullis.toml",
            "clock show --json",
            "clock accept --data /var/lib/portcullis",
        ] {
            let words = std::iter::once("portcullis").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn codes_come_in_pairs() {
        let line = "portcullis mfa activate --serial s 123456".split(' ');
        assert!(Cli::try_parse_from(line).is_err());
    }
}
