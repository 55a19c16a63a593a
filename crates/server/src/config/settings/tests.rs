use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../../../../config.example.toml");
const LEAST: &str = "[upstream]\nendpoint = \"http://127.0.0.1:9100\"\ncredentials_file = \"upstream.env\"\n";

fn parse(text: &str) -> Result<Settings, ConfigMistakes> {
    Settings::parse("portcullis.toml", text, [])
}

fn complaints(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn with_variable(variable: &str, value: &str) -> Result<Settings, ConfigMistakes> {
    Settings::parse("portcullis.toml", LEAST, [(variable.to_owned(), value.to_owned())])
}

/// The example with the settings that have no default written out.
fn example_in_full() -> String {
    EXAMPLE.lines().map(|line| format!("{}\n", line.strip_prefix("#! ").unwrap_or(line))).collect()
}

fn asked() -> BTreeSet<String> {
    let mut reader = SettingsReader::new(ConfigFile::read("", []));
    Settings::ask(&mut reader);
    reader.asked().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    insta::assert_snapshot!(complaints(
        r#"[listen]
address = "localhost"
trusted_proxies = "10.0.0.0/8"
cert_file = "proxy.pem"
adress = "127.0.0.1:9000"

[upstream]
endpoint = "https://store:9000/s3"
profile = "mino"

[mfa]
digits = 7

[mfadelete]
profile = "strict"

[audit]
reads = true
segment_size = "64 MB"

[limits]
headers = 3
header_timeout = "10"
digits = 6
"#
    ), @r#"
    portcullis.toml:2: listen.address: `localhost` is not ADDRESS:PORT; write for example "127.0.0.1:9000"
    portcullis.toml:3: listen.trusted_proxies: this is a string; write a list, for example ["10.0.0.0/8"]
    portcullis.toml:4: listen.cert_file needs listen.key_file; write both or neither
    portcullis.toml:5: there is no setting listen.adress; did you mean listen.address?
    portcullis.toml:8: upstream.endpoint: `https://store:9000/s3`: an endpoint is http://HOST:PORT or https://HOST:PORT and nothing after it
    portcullis.toml:9: upstream.profile: `mino` is not one of "embedded", "minio", "ceph", "aws", "generic"
    portcullis.toml:12: mfa.digits: codes have 6 or 8 digits; write 6 or 8
    portcullis.toml:14: there is no section [mfadelete]; the sections are account, audit, history, limits, listen, mfa, mfa_delete, state, trail, upstream
    portcullis.toml:18: audit.reads: this is true or false; write one of "relaxed", "strict"
    portcullis.toml:19: audit.segment_size: `64 MB`: a size is a number of bytes, or a number and one of KiB, MiB, GiB, for example "64 MiB"
    portcullis.toml:22: limits.headers: write a whole number from 16 to 1024
    portcullis.toml:23: limits.header_timeout: `10`: a duration is a number and one of ms, s, m, h, d, for example "10s"
    portcullis.toml:24: there is no setting limits.digits; did you mean mfa.digits?
    portcullis.toml: upstream.credentials_file is missing; write credentials_file = "upstream.env" below [upstream]
    "#);
}

#[test]
fn what_is_missing_says_what_to_write() {
    assert_eq!(
        complaints(""),
        "portcullis.toml: upstream.endpoint is missing; write endpoint = \"http://127.0.0.1:9100\" below [upstream]\n\
         portcullis.toml: upstream.credentials_file is missing; write credentials_file = \"upstream.env\" below [upstream]"
    );
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let complaints = complaints("[listen]\naddress = \n[upstream\nendpoint = \"x\"\n");
    assert_eq!(
        complaints,
        "portcullis.toml:2: not TOML: string values must be quoted, expected literal string\n\
         portcullis.toml:3: not TOML: unclosed table, expected `]`"
    );
}

#[test]
fn a_setting_outside_of_any_section_is_a_mistake() {
    let complaints = complaints(&format!("address = \"127.0.0.1:9000\"\n{LEAST}"));
    assert_eq!(complaints, "portcullis.toml:1: `address` is outside of any section; move it below its [section]");
}

#[test]
fn a_variable_of_the_environment_overrides_the_file() {
    let settings = with_variable("PORTCULLIS_UPSTREAM__ENDPOINT", "http://store:7480").unwrap();
    assert_eq!(settings.upstream.endpoint.to_string(), "http://store:7480");
    let settings = with_variable("PORTCULLIS_MFA_DELETE__PROFILE", "aws").unwrap();
    assert_eq!(settings.mfa_delete.profile, MfaProfile::Aws);
    let settings = with_variable("PORTCULLIS_LIMITS__HEADERS", "100").unwrap();
    assert_eq!(settings.limits.headers, 100);
    let settings = with_variable("PORTCULLIS_LISTEN__TRUSTED_PROXIES", "10.0.0.0/8, ::1").unwrap();
    assert_eq!(settings.listen.trusted_proxies.len(), 2);
    let settings = with_variable("PORTCULLIS_AUDIT__SEGMENT_SIZE", "2 MiB").unwrap();
    assert_eq!(settings.audit.segment_size, 2 << 20);
    let settings = with_variable("PORTCULLIS_MFA__DIGITS", "8").unwrap();
    assert_eq!(settings.mfa.digits, CodeDigits::Eight);
}

#[test]
fn a_mistake_in_the_environment_names_its_variable() {
    assert_eq!(
        with_variable("PORTCULLIS_LIMITS__HEADERS", "many").unwrap_err().to_string(),
        "environment PORTCULLIS_LIMITS__HEADERS: limits.headers: write a whole number from 16 to 1024"
    );
    assert_eq!(
        with_variable("PORTCULLIS_MFA__DIGIT", "6").unwrap_err().to_string(),
        "environment PORTCULLIS_MFA__DIGIT: there is no setting mfa.digit; did you mean mfa.digits?"
    );
}

#[test]
fn a_variable_that_names_no_setting_is_left_alone() {
    assert_eq!(with_variable("PORTCULLIS_DATA", "/somewhere"), parse(LEAST));
}

#[test]
fn the_example_holds_the_defaults_and_nothing_else() {
    assert_eq!(parse(EXAMPLE), parse(LEAST));
}

#[test]
fn no_setting_is_missing_from_the_example() {
    let leftovers = ConfigFile::read(&example_in_full(), []).leftovers();
    assert_eq!(leftovers.mistakes, []);
    let written: BTreeSet<String> = leftovers.settings.keys().map(ToString::to_string).collect();
    assert_eq!(written, asked());
    assert!(parse(&example_in_full()).is_ok());
}

#[test]
fn each_setting_of_the_example_says_what_it_is_for() {
    let mut above = "";
    for line in EXAMPLE.lines() {
        if line.contains(" = ") && !line.starts_with("# ") {
            assert!(above.starts_with("# "), "{line}");
        }
        above = line;
    }
}

#[test]
fn relative_paths_start_at_the_files_own_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.toml");
    std::fs::write(&path, LEAST).unwrap();
    let settings = Settings::read(&path, []).unwrap();
    assert_eq!(settings.state.directory, directory.path().join("portcullis-data"));
    assert_eq!(settings.upstream.credentials_file, directory.path().join("upstream.env"));
}

#[test]
fn a_file_that_is_not_there_says_how_to_write_one() {
    let complaints = Settings::read(Path::new("/nonexistent/p.toml"), []).unwrap_err().to_string();
    assert!(complaints.contains("portcullis init --config /nonexistent/p.toml"), "{complaints}");
}
