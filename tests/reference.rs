//! `docs/reference/` says what the code does. Each page is rendered from what it describes and compared with its file.
//!
//! After a change that is meant, write the files again: `PORTCULLIS_WRITE_REFERENCE=1 cargo test --test reference`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot do its part has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_s3::{OperationAccess, OperationCategory, S3Operation};

const VARIABLE: &str = "PORTCULLIS_WRITE_REFERENCE";

#[test]
fn the_commands_are_those_of_the_binary() {
    let mut page = heading("Commands", "what `--help` prints for each command");
    let mut commands = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        let help = help_of(&command);
        commands.extend(subcommands(&help).rev().map(|name| [command.clone(), vec![name.to_owned()]].concat()));
        let title = [vec!["portcullis".to_owned()], command].concat().join(" ");
        write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.trim_end()).expect("written");
    }
    hold("commands.md", &page);
}

#[test]
fn the_settings_are_those_of_the_example() {
    let example = read(Path::new("config.example.toml"));
    let mut page = heading("Settings", "`config.example.toml`, which `portcullis init` writes");
    page.push_str(
        "\nThe variable `PORTCULLIS_SECTION__KEY` overrides a setting: `PORTCULLIS_LISTEN__ADDRESS=0.0.0.0:9000`. Relative \
         paths start\nat the file's directory. `portcullis check --config FILE` reports every mistake.\n",
    );
    // What stands before the first section says how to read the file.
    let sections = example.find("\n[").expect("a section");
    let mut about = Vec::new();
    for line in example.split_at(sections).1.lines() {
        let setting = line.strip_prefix("#! ");
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            write!(
                page,
                "\n## {section}\n\n| Setting | Default | What it does, and the risk it controls |\n|---|---|---|\n"
            )
            .expect("written");
        } else if let Some((key, value)) = setting.unwrap_or(line).split_once(" = ").filter(|_| !line.starts_with("# "))
        {
            let default = match setting {
                Some(_) => format!("none; as in `{value}`"),
                None => format!("`{value}`"),
            };
            writeln!(page, "| `{key}` | {default} | {} |", cell(&about.join(" "))).expect("written");
            about.clear();
        } else if let Some(comment) = line.strip_prefix("# ") {
            about.push(comment);
        }
    }
    assert!(about.is_empty(), "a comment without a setting: {about:?}");
    hold("settings.md", &page);
}

#[test]
fn the_errors_are_those_of_the_failure_table() {
    let table = read(&snapshot("every_failure_has_its_answer.snap"));
    let mut errors = BTreeSet::new();
    for line in table.lines().filter_map(|line| line.strip_prefix("    ")) {
        // Beside the answer itself stand the further elements of the document, which begin with no status.
        let Some((status, answer)) = line.split_once(' ').filter(|(status, _)| status.parse::<u16>().is_ok()) else {
            continue;
        };
        let (code, message) = answer.split_once(": ").expect("a code and a message");
        errors.insert((code, status, message));
    }
    assert!(errors.len() > 50, "the table was read");
    let mut page = heading("Errors", "the table of everything that ends a request without the upstream's answer");
    page.push_str(
        "\nThe words are AWS's where AWS has an error for it. Values in a message are examples. An error of the upstream \
         itself keeps\nits code and message. CloudTrail's API and the other services use their own protocols' codes.\n\n\
         | Code | Status | Message |\n|---|---|---|\n",
    );
    for (code, status, message) in errors {
        writeln!(page, "| `{code}` | {status} | {} |", cell(message)).expect("written");
    }
    hold("errors.md", &page);
}

#[test]
fn the_events_are_those_of_the_operation_table() {
    let mut page = heading("Events", "the table of S3's operations");
    page.push_str(
        "\n`eventSource` is `s3.amazonaws.com`. A data event is about an object or a listing, a management event about a \
         bucket. Which of\nthem a trail records is a matter of its selectors. [The trail](../concepts/trail.md) has the \
         fields, and the events of other\nsources.\n\n| Operation | `eventName` | Category | `readOnly` |\n|---|---|---|---|\n",
    );
    for action in S3Operation::ALL {
        let row = action.row();
        let category = match row.category {
            OperationCategory::Data => "data",
            OperationCategory::Management => "management",
        };
        let read_only = match row.access {
            OperationAccess::Read => "true",
            OperationAccess::Write => "false",
        };
        writeln!(page, "| {} | `{}` | {category} | {read_only} |", row.name, row.event).expect("written");
    }
    hold("events.md", &page);
}

/// Compares a page with its file, or writes the file where that is asked for.
fn hold(name: &str, page: &str) {
    let path = Path::new("docs/reference").join(name);
    if std::env::var_os(VARIABLE).is_some() {
        return fs::write(&path, page).expect("the file is written");
    }
    let file = fs::read_to_string(&path).unwrap_or_default();
    let Some((old, new)) = file.lines().zip(page.lines()).find(|(old, new)| old != new) else {
        let both = (file.lines().count(), page.lines().count());
        assert!(file == page, "{} has {} lines of {}; {HOW}", path.display(), both.0, both.1);
        return;
    };
    panic!("{} is out of date; {HOW}\n- {old}\n+ {new}", path.display());
}

const HOW: &str = "if the change is meant, run `PORTCULLIS_WRITE_REFERENCE=1 cargo test --test reference`";

fn heading(title: &str, source: &str) -> String {
    format!("# {title}\n\nWritten by `tests/reference.rs` from {source}. Do not edit.\n")
}

/// Text as a table's cell holds it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn help_of(command: &[String]) -> String {
    let binary = env!("CARGO_BIN_EXE_portcullis");
    let run = Command::new(binary).args(command).arg("--help").output().expect("the binary runs");
    assert!(run.status.success(), "{command:?}: {run:?}");
    let help = String::from_utf8(run.stdout).expect("UTF-8");
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The names under "Commands:", in the order in which they are shown.
fn subcommands(help: &str) -> impl DoubleEndedIterator<Item = &str> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let list = list.split_once("\n\n").map_or(list, |(list, _)| list);
    list.lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !matches!(*name, "" | "help")))
}

/// The one snapshot with this ending, wherever its test lies.
fn snapshot(ending: &str) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("src"), PathBuf::from("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert_eq!(found.len(), 1, "{ending}: {found:?}");
    found.remove(0)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
