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
    "group add staff",
    "group add staff --policy readonly",
    "group join staff alice",
    "group leave staff alice",
    "group list",
    "group remove staff",
    "group show staff",
    "import ceph --from users.json",
    "import ceph --from - --apply",
    "import minio --endpoint https://minio:9000 --credentials root.env",
    "import minio --endpoint https://minio:9000 --credentials root.env --ca ca.pem --leave-out bob --apply",
    "import minio --from minio-iam-info.zip --root minioadmin",
    "import minio --from minio-iam-info.zip --upstream-keys",
    "init --config portcullis.toml",
    "key create alice",
    "key create alice --access-key app-1 --secret-stdin",
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
    "policy attach readonly --user alice",
    "policy attach readonly --group staff",
    "policy check policy.json",
    "policy check bucket.json --kind resource",
    "policy detach readonly --user alice",
    "policy list",
    "policy put logs logs.json",
    "policy remove logs",
    "policy test --user alice --action s3:GetObject --resource arn:aws:s3:::vault/k",
    "policy test --policy readwrite --principal user/alice --action s3:GetObject --resource arn:aws:s3:::vault/k",
    "serve --config portcullis.toml",
    "state rebuild",
    "trail create main --bucket logs",
    "trail create main --bucket logs --prefix a --digest-period 60s --no-mfa-delete",
    "trail create main --bucket logs --management-only --mfa-delete",
    "trail delete main",
    "trail list",
    "trail selectors main",
    "trail selectors main --all",
    "trail show main",
    "trail start main",
    "trail status main",
    "trail stop main",
    "trail update main --validation off --prefix p",
    "trail validate",
    "trail validate --folder copy --public-keys keys.json --start-time 2026-11-21 --expect-head head",
    "trail validate main --end-time 2026-11-21T09:41:58Z --write-head head",
    "user add alice",
    "user add alice --access-key app-1 --secret-stdin",
    "user import --from users.json",
    "user import --from users.json --apply",
    "user add alice --policy readonly logs",
    "user add alice --no-policy",
    "user list",
    "user remove alice",
    "user show alice",
    "user upstream alice --remove",
];

/// What becomes of a command line before its command runs.
fn typed(line: &str) -> Result<Cli, String> {
    let words = std::iter::once("portcullis").chain(line.split(' '));
    let matches = command_line().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let cli = read(&matches).map_err(|error| error.to_string())?;
    refuse_without_effect(&matches).map_err(|error| format!("{error}: {}", error.next.as_deref().unwrap_or("")))?;
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

/// What a test types for an option that takes a value.
fn value_for(option: &str) -> &'static str {
    match option {
        "basic" | "advanced" => " []",
        "digest-period" => " 60s",
        "limit" => " 5",
        "listen" => " 127.0.0.1:0",
        "since" | "until" => " 1h",
        "start-time" | "end-time" => " 2026-11-21",
        "upstream" => " http://127.0.0.1:1",
        "validation" => " off",
        _ => " word",
    }
}

/// Each way to choose up to three of these.
fn choices(options: &[String]) -> Vec<Vec<&str>> {
    let mut chosen: Vec<Vec<&str>> = vec![Vec::new()];
    for size in 0..3 {
        let smaller: Vec<_> = chosen.iter().filter(|choice| choice.len() == size).cloned().collect();
        for choice in smaller {
            let later = options.iter().skip_while(|option| choice.last().is_some_and(|last| last != option));
            let later = later.skip(usize::from(!choice.is_empty()));
            chosen.extend(later.map(|option| [choice.as_slice(), &[option.as_str()]].concat()));
        }
    }
    chosen.retain(|choice| !choice.is_empty());
    chosen
}

#[test]
fn options_that_leave_each_other_without_effect_are_refused_together() {
    let mut command = command_line();
    command.build();
    let mut table = String::new();
    for (path, subcommand) in subcommands(&command, "") {
        let own = LINES.iter().filter(|line| **line == path || line.starts_with(&format!("{path} ")));
        let plainest = own.min_by_key(|line| line.len()).unwrap_or_else(|| panic!("no line for {path}"));
        let named = |option: &&clap::Arg| option.get_long().is_some_and(|long| long != "help" && long != "version");
        let takes = |option: &clap::Arg| option.get_action().takes_values();
        let options: Vec<(String, bool)> = subcommand
            .get_arguments()
            .filter(named)
            .map(|option| (option.get_long().unwrap_or_default().to_owned(), takes(option)))
            .filter(|(option, _)| !plainest.contains(&format!("--{option} ")))
            .collect();
        let names: Vec<String> = options.iter().map(|(option, _)| option.clone()).collect();
        writeln!(table, "{path}: {}", names.join(" ")).unwrap();
        let mut refused: Vec<Vec<&str>> = Vec::new();
        for choice in choices(&names) {
            if refused.iter().any(|known| known.iter().all(|option| choice.contains(option))) {
                continue;
            }
            let word = |option: &&str| {
                let takes = options.iter().any(|(known, takes)| known == option && *takes);
                format!(" --{option}{}", if takes { value_for(option) } else { "" })
            };
            let line = format!("{plainest}{}", choice.iter().map(word).collect::<String>());
            if let Err(why) = typed(&line) {
                let why = why.lines().next().unwrap_or_default();
                writeln!(table, "  {}: {why}", choice.join(" ")).unwrap();
                refused.push(choice);
            }
        }
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
