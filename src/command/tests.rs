use std::fmt::Write as _;

use super::*;

/// A command line for each subcommand, and more that scripts rely on.
const LINES: &[&str] = &[
    "check --config portcullis.toml",
    "clock accept",
    "clock show",
    "dev",
    "events",
    "events --follow --bucket b --event-name DeleteObject --principal root --error AccessDenied --since 1h",
    "init --config portcullis.toml",
    "key create alice",
    "key delete AKIA",
    "key disable AKIA",
    "key enable AKIA",
    "key list",
    "mfa activate --serial arn:aws:iam::123456789012:mfa/phone 123456 654321",
    "mfa add --name phone",
    "mfa add --name phone --no-activate --qr phone.png",
    "mfa list",
    "mfa remove --name phone",
    "mfa resync --name phone",
    "mfa-delete disable vault",
    "mfa-delete enable vault",
    "mfa-delete status",
    "mfa-delete status vault",
    "serve --config portcullis.toml",
    "state rebuild",
    "trail create main --bucket logs --prefix a --digest-period 60s --no-mfa-delete",
    "trail create main --bucket logs --management-only --mfa-delete",
    "trail delete main",
    "trail list",
    "trail selectors main --all",
    "trail show main",
    "trail start main",
    "trail status main",
    "trail stop main",
    "trail update main --validation off --prefix p",
    "trail validate --folder copy --public-keys keys.json --start-time 2026-11-21 --expect-head head",
    "trail validate main --end-time 2026-11-21T09:41:58Z --write-head head",
    "user add alice",
    "user list",
    "user remove alice",
];

/// What becomes of a command line before its command runs.
fn typed(line: &str) -> Result<Cli, String> {
    let words = std::iter::once("portcullis").chain(line.split(' '));
    let matches = command_line().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let cli = read(&matches).map_err(|error| error.to_string())?;
    let subcommand = matches.subcommand_name().unwrap_or_default();
    cli.common
        .refuse_without_effect(subcommand)
        .map_err(|error| format!("{error}: {}", error.next.as_deref().unwrap_or("")))?;
    Ok(cli)
}

/// The subcommands that do something, each with its path.
fn subcommands(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let below = command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
    let below: Vec<_> = below
        .flat_map(|subcommand| subcommands(subcommand, format!("{path} {}", subcommand.get_name()).trim_start()))
        .collect();
    if below.is_empty() { vec![(path.to_owned(), command.clone())] } else { below }
}

#[test]
fn the_command_line_is_sound() {
    command_line().debug_assert();
}

#[test]
fn the_contracts_command_lines_are_understood() {
    for line in LINES {
        assert_eq!(typed(line).err(), None, "{line}");
    }
}

#[test]
fn every_subcommand_takes_the_common_options_that_act_there_and_shows_no_others() {
    let mut command = command_line();
    command.build();
    let mut table = String::new();
    let mut all = subcommands(&command, "");
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (path, mut subcommand) in all {
        let line = LINES.iter().find(|line| line.starts_with(&path)).unwrap_or_else(|| panic!("no line for {path}"));
        let help = subcommand.render_long_help().to_string();
        write!(table, "{path:<20}").unwrap();
        for option in ["--data", "--json"] {
            let value = if option == "--data" { " DIR" } else { "" };
            let (before, after) =
                (typed(&format!("{option}{value} {line}")), typed(&format!("{line} {option}{value}")));
            assert_eq!(before.as_ref().err(), after.as_ref().err(), "before and after {path}");
            assert_eq!(help.contains(option), after.is_ok(), "help of {path}: {help}");
            let taken = after.map(|cli| assert!(cli.common.json || cli.common.data.is_some()));
            let shown = taken.map_or_else(|refusal| format!("refused ({refusal})"), |()| "taken".to_owned());
            write!(table, "  {option} {shown}").unwrap();
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[test]
fn help_is_a_subcommand_and_an_option() {
    let shown = |line: &str| typed(line).err().expect("help ends the command line");
    assert_eq!(shown("help"), shown("--help"));
    assert_eq!(shown("help mfa add"), shown("mfa add --help"));
    assert_eq!(shown("help check"), shown("check --help"));
}

#[test]
fn codes_come_in_pairs() {
    assert!(typed("mfa activate --serial s 123456").is_err());
}
