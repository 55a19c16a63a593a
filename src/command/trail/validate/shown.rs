//! The result of a validation, in aws-cli's words or as JSON.

use serde_json::{Value, json};

use crate::command::error::CommandError;
use crate::command::table::harmless;
use crate::command::terminal::{OutputFormat, Terminal};
use portcullis_cloudtrail::DigestHead;
use portcullis_cloudtrail::verify::{FileTally, ValidationFinding, ValidationReport, ValidationScope};

/// Shows it.
pub(super) fn show(
    report: &ValidationReport,
    scope: &ValidationScope,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&as_json(report, scope)),
        OutputFormat::People => {
            as_lines(report, scope).iter().try_for_each(|line| terminal.print(&harmless_line(line)))
        }
    }
}

/// Keeps tabs, which are ours, and escapes other control characters.
fn harmless_line(line: &str) -> String {
    line.split('\t').map(harmless).collect::<Vec<_>>().join("\t")
}

fn as_lines(report: &ValidationReport, scope: &ValidationScope) -> Vec<String> {
    let mut lines = vec![format!("Validating trail {} in s3://{}", scope.trail, scope.bucket)];
    for found in &report.findings {
        lines.push(match found.key() {
            Some(key) => format!("{}\ts3://{}/{key}\tINVALID: {}", found.kind(), scope.bucket, found.fault),
            None => format!("{}\tINVALID: {}", found.kind(), found.fault),
        });
    }
    lines.extend(report.notes.iter().map(|note| format!("Note\t{note}")));
    if let Some((start, end)) = report.covered {
        lines.push(format!("Results for {start} to {end}:"));
    }
    let of_all = |tally: FileTally, what: &str| format!("{}/{} {what} valid", tally.valid, tally.all);
    lines.push(format!(
        "{}, {}, {}; {} events",
        of_all(report.digests, "digest files"),
        of_all(report.backfill_digests, "backfill digest files"),
        of_all(report.logs, "log files"),
        report.events
    ));
    if let Some(head) = report.heads.first() {
        let root = hex::encode(head.merkle_root);
        lines.push(format!("Head: {} events, Merkle root {root}, digest of {}", head.tree_size, head.end));
    }
    lines.push(if report.is_proof() { "PROVEN".to_owned() } else { "NOT PROVEN".to_owned() });
    lines
}

fn as_json(report: &ValidationReport, scope: &ValidationScope) -> Value {
    let tally = |tally: FileTally| json!({ "valid": tally.valid, "all": tally.all });
    let (start, end) = report.covered.unzip();
    json!({
        "proven": report.is_proof(),
        "trail": scope.trail.as_str(),
        "bucket": scope.bucket.as_str(),
        "start": start.map(|start| start.iso_extended()),
        "end": end.map(|end| end.iso_extended()),
        "digests": tally(report.digests),
        "backfillDigests": tally(report.backfill_digests),
        "logs": tally(report.logs),
        "events": report.events,
        "findings": report.findings.iter().map(finding_as_json).collect::<Vec<_>>(),
        "notes": report.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "heads": report.heads.iter().map(DigestHead::to_value).collect::<Vec<_>>(),
    })
}

fn finding_as_json(found: &ValidationFinding) -> Value {
    json!({
        "kind": found.kind(),
        "s3Object": found.key(),
        "code": found.fault.code(),
        "text": found.fault.to_string(),
    })
}
