//! A record as a row of a table.

use crate::command::table::RowTone;
use portcullis_cloudtrail::record::EventView;

/// The columns.
pub(super) const HEAD: [&str; 7] = ["TIME", "PRINCIPAL", "EVENT", "RESOURCE", "RESULT", "MFA", "SOURCE"];

/// Widths that most records fit into, so that what `--follow` prints later lines up.
pub(super) const LEAST_WIDTHS: [usize; 7] = [20, 10, 20, 20, 12, 8, 0];

/// The record's cells, and what their colour says.
pub(super) fn of(record: &EventView<'_>) -> (RowTone, [String; 7]) {
    let error = record.error_code.text();
    let mfa = record.mfa_result();
    let tone = match (error, mfa) {
        (Some(_), _) => RowTone::Bad,
        (None, Some("Accepted")) => RowTone::Good,
        (None, _) => RowTone::Plain,
    };
    let shown = |found: Option<&str>| found.unwrap_or("-").to_owned();
    let cells = [
        shown(record.event_time.text()),
        shown(record.user_identity.name()),
        shown(record.event_name.text()),
        resource(record),
        error.unwrap_or("ok").to_owned(),
        shown(mfa),
        shown(record.source_ip_address.text()),
    ];
    (tone, cells)
}

/// How many requests, where the record stands for several. Else `bucket/key`, with the version where one was asked for;
/// for what IAM does, the user or device.
fn resource(record: &EventView<'_>) -> String {
    if let Some(count) = record.additional_event_data.count.number() {
        return format!("{count} requests");
    }
    let parameters = &record.request_parameters;
    let Some(bucket) = parameters.bucket_name.text() else {
        let iam = ["userName", "serialNumber", "virtualMFADeviceName", "accessKeyId"];
        return iam.into_iter().find_map(|member| parameters.named(member)).unwrap_or("-").to_owned();
    };
    let key = parameters.key.text().map(|key| format!("/{key}")).unwrap_or_default();
    let version = parameters.version_id.text().map(|version| format!("?versionId={version}")).unwrap_or_default();
    format!("{bucket}{key}{version}")
}
