//! `portcullis check`: the configuration, and whether the upstream store does what the proxy relies on.

mod probe;
mod routing;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use self::probe::{ProbeFinding, ProbeReport};
use super::dev::read_credentials;
use super::error::CommandError;
use super::exposure::{ExposedFile, exposed_files};
use super::s3::S3Client;
use super::serve;
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_authorization::LoopbackTrust;
use portcullis_base::clock::Clock;
use portcullis_http::TlsFiles;
use portcullis_http::{Dialler, ListenerSecurity};
use portcullis_server::config::{FileExposure, Settings};
use portcullis_server::serve::{ConnectionFit, OpenFiles, authorities};

/// Check a configuration and the upstream store.
///
/// To test the store it creates a bucket named portcullis-check-..., and removes it again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  portcullis check --config portcullis.toml
  portcullis check --config portcullis.toml --json";

/// Reports all mistakes at once, then tests the store.
pub(super) async fn run(
    args: CheckArgs,
    environment: impl IntoIterator<Item = (String, String)>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let settings = serve::settings(&args.config, environment)?;
    let (key, exposure) = read_credentials(&settings.upstream.credentials_file)?;
    let mut findings = ProbeReport::default();
    findings.add("configuration", ProbeFinding::Good(format!("{} has no mistakes", args.config.display())));
    findings.add("credentials file", file_finding(&settings, exposure));
    if let Some(files) = &settings.listen.tls {
        findings.add("certificate", certificate_finding(files));
    }
    // Those two files have findings of their own above.
    let elsewhere = |file: &ExposedFile| !matches!(file.about, "credentials file" | "certificate's key");
    for ExposedFile { about, text } in exposed_files(&settings, Some(&args.config)).into_iter().filter(elsewhere) {
        findings.add(about, ProbeFinding::Doubtful(text));
    }
    findings.add("codes", codes_finding(&settings));
    findings.add("connections", connections_finding(&settings));
    // The configured authorities and not AWS_CA_BUNDLE, so that the result is the same as when serving.
    match Dialler::new(settings.upstream.endpoint.clone(), &authorities(&settings)) {
        Ok(dialler) => {
            let s3 = S3Client {
                dialler,
                access_key_id: key.access_key_id,
                secret_access_key: key.secret_access_key,
                session_token: None,
                region: settings.upstream.region.clone(),
                clock: Clock::System,
            };
            probe::run(&s3, settings.upstream.profile, &mut findings).await;
        }
        Err(error) => {
            let text = format!("{} cannot be verified: {error}", settings.upstream.endpoint);
            findings.add("store", ProbeFinding::Bad(text));
        }
    }
    show(&findings, terminal)?;
    match findings.failed() {
        0 => Ok(()),
        1 => Err(CommandError::failed("Portcullis cannot protect this store: see the failed finding above")),
        count => Err(CommandError::failed(format!(
            "Portcullis cannot protect this store: see the {count} failed findings above"
        ))),
    }
}

fn file_finding(settings: &Settings, exposure: FileExposure) -> ProbeFinding {
    let path = settings.upstream.credentials_file.display();
    match exposure {
        FileExposure::OwnerOnly => ProbeFinding::Good(format!("{path} is readable only by its owner")),
        FileExposure::Others => ProbeFinding::Doubtful(format!(
            "{path} is readable by others, who could bypass Portcullis: chmod 600 {path}"
        )),
    }
}

fn certificate_finding(files: &TlsFiles) -> ProbeFinding {
    let (certificate, key) = (files.cert_file.display(), files.key_file.display());
    if let Err(error) = ListenerSecurity::tls(files) {
        return ProbeFinding::Bad(error.to_string());
    }
    let mode = std::fs::metadata(&files.key_file).map_or(0, |found| found.permissions().mode());
    if mode & 0o044 == 0 {
        return ProbeFinding::Good(format!("{certificate} belongs to {key}, which is readable only by its owner"));
    }
    ProbeFinding::Doubtful(format!("{key} is readable by others, who could impersonate Portcullis: chmod 600 {key}"))
}

/// Whether a proxy started with this program's limits can have as many connections as configured.
fn connections_finding(settings: &Settings) -> ProbeFinding {
    let (descriptors, wanted) = (OpenFiles::of_a_start(), settings.limits.connections);
    match descriptors.fit(settings) {
        Ok(ConnectionFit::All) => {
            ProbeFinding::Good(format!("the open file limit allows limits.connections = {wanted}"))
        }
        Ok(ConnectionFit::Lowered(connections)) => ProbeFinding::Doubtful(format!(
            "the open file limit allows only {connections} of limits.connections = {wanted}: raise it to {} (ulimit \
             -n, LimitNOFILE=)",
            descriptors.needed(settings)
        )),
        Err(error) => ProbeFinding::Bad(error.to_string()),
    }
}

fn codes_finding(settings: &Settings) -> ProbeFinding {
    let listen = &settings.listen;
    let within_the_machine = listen.address.ip().is_loopback();
    if listen.tls.is_some() {
        return ProbeFinding::Good("clients can send MFA codes, over TLS".to_owned());
    }
    if !listen.trusted_proxies.is_empty() {
        return ProbeFinding::Good("clients can send MFA codes, over TLS that ends at a trusted proxy".to_owned());
    }
    if within_the_machine && settings.mfa.require_tls == LoopbackTrust::Trusted {
        return ProbeFinding::Good("clients on this machine can send MFA codes".to_owned());
    }
    let place = if within_the_machine { "on this machine" } else { "over the network" };
    ProbeFinding::Doubtful(format!(
        "{} accepts requests {place} without TLS, so MFA codes are refused: set listen.cert_file and \
         listen.key_file, or listen.trusted_proxies",
        listen.address
    ))
}

fn show(findings: &ProbeReport, terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => {
            let all = findings.iter().map(
                |(about, finding)| json!({ "about": about, "verdict": finding.verdict(), "text": finding.text() }),
            );
            terminal.print_json(&Value::Array(all.collect()))
        }
        OutputFormat::People => {
            let mut table = TextTable::new(&["", "ABOUT", "FINDING"]);
            for (about, finding) in findings.iter() {
                let tone = match finding {
                    ProbeFinding::Bad(_) => RowTone::Bad,
                    ProbeFinding::Doubtful(_) => RowTone::Plain,
                    ProbeFinding::Good(_) => RowTone::Good,
                };
                table.row(tone, [finding.verdict().to_owned(), about.to_owned(), finding.text().to_owned()]);
            }
            terminal.print(&table.render(TableHead::Hidden, terminal.colour()))
        }
    }
}

#[cfg(test)]
mod tests;
