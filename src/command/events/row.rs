//! A record as a row of a table.

use serde_json::Value;

use crate::command::table::RowTone;

/// The columns.
pub const HEAD: [&str; 7] = ["TIME", "PRINCIPAL", "EVENT", "RESOURCE", "RESULT", "MFA", "SOURCE"];

/// Widths that most records fit into, so that what `--follow` prints later lines up.
pub const LEAST_WIDTHS: [usize; 7] = [20, 10, 20, 20, 12, 8, 0];

/// The record's cells, and what their colour says.
pub fn of(record: &Value) -> (RowTone, [String; 7]) {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let error = text("/errorCode");
    let mfa = text("/additionalEventData/MfaDelete/result");
    let tone = match (error, mfa) {
        (Some(_), _) => RowTone::Bad,
        (None, Some("Accepted")) => RowTone::Good,
        (None, _) => RowTone::Plain,
    };
    let shown = |found: Option<&str>| found.unwrap_or("-").to_owned();
    let cells = [
        shown(text("/eventTime")),
        principal(record),
        shown(text("/eventName")),
        resource(record),
        error.unwrap_or("ok").to_owned(),
        shown(mfa),
        shown(text("/sourceIPAddress")),
    ];
    (tone, cells)
}

fn principal(record: &Value) -> String {
    let text = |name: &str| record.pointer(&format!("/userIdentity/{name}")).and_then(Value::as_str);
    match (text("type"), text("userName").or_else(|| text("arn")), text("accountId")) {
        (Some("Root"), _, _) => "root".to_owned(),
        (_, Some(name), _) => name.to_owned(),
        (_, None, Some("anonymous")) => "anonymous".to_owned(),
        (_, None, _) => text("accessKeyId").or_else(|| text("principalId")).unwrap_or("-").to_owned(),
    }
}

/// How many requests, where the record stands for many. Else `bucket/key`, with the version where one was asked for; for what IAM does, the user or device.
fn resource(record: &Value) -> String {
    let text = |name: &str| record.pointer(&format!("/requestParameters/{name}")).and_then(Value::as_str);
    if let Some(count) = record.pointer("/additionalEventData/count").and_then(Value::as_u64) {
        return format!("{count} requests");
    }
    let Some(bucket) = text("bucketName") else {
        let iam = ["userName", "serialNumber", "virtualMFADeviceName", "accessKeyId"];
        return iam.into_iter().find_map(text).unwrap_or("-").to_owned();
    };
    let key = text("key").map(|key| format!("/{key}")).unwrap_or_default();
    let version = text("versionId").map(|version| format!("?versionId={version}")).unwrap_or_default();
    format!("{bucket}{key}{version}")
}
