//! Trails as answers show them.

use serde_json::{Map, Value, json};

use super::ports::{DeliveredFiles, DeliveryProgress};
use super::scope::TrailScope;
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::{LogFileValidation, Trail, TrailLogging, selectors};
use portcullis_state::DigestSigningKey;

/// As CreateTrail and UpdateTrail answer.
pub(super) fn definition(trail: &Trail, place: &TrailScope<'_>) -> Value {
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    set("Name", trail.name.as_str().into());
    set("S3BucketName", trail.bucket.as_str().into());
    if let Some(prefix) = &trail.prefix {
        set("S3KeyPrefix", prefix.as_str().into());
    }
    set("IncludeGlobalServiceEvents", trail.global_events.into());
    set("IsMultiRegionTrail", trail.multi_region.into());
    set("TrailARN", place.arn(trail).into());
    set("LogFileValidationEnabled", (trail.validation == LogFileValidation::Enabled).into());
    set("IsOrganizationTrail", false.into());
    // Ours.
    set("DigestPeriodSeconds", trail.digest_period.duration().as_secs().into());
    Value::Object(members)
}

/// As DescribeTrails and GetTrail show it.
pub(super) fn trail(trail: &Trail, place: &TrailScope<'_>) -> Value {
    let mut shown = definition(trail, place);
    if let Some(members) = shown.as_object_mut() {
        members.insert("HomeRegion".to_owned(), place.region.into());
        members.insert("HasCustomEventSelectors".to_owned(), trail.selectors.are_custom().into());
        members.insert("HasInsightSelectors".to_owned(), false.into());
    }
    shown
}

/// As ListTrails shows it.
pub(super) fn listed(trail: &Trail, place: &TrailScope<'_>) -> Value {
    json!({ "TrailARN": place.arn(trail), "Name": trail.name.as_str(), "HomeRegion": place.region })
}

/// As Get- and PutEventSelectors answer.
pub(super) fn selectors(trail: &Trail, place: &TrailScope<'_>) -> Value {
    let name = match trail.selectors.form() {
        selectors::SelectorGrammar::Advanced => "AdvancedEventSelectors",
        selectors::SelectorGrammar::Basic => "EventSelectors",
    };
    json!({ "TrailARN": place.arn(trail), name: trail.selectors.list() })
}

/// As PutInsightSelectors answers, which takes none.
pub(super) fn no_insights(trail: &Trail, place: &TrailScope<'_>) -> Value {
    json!({ "TrailARN": place.arn(trail), "InsightSelectors": [] })
}

/// As ListTags shows them.
pub(super) fn tags(trail: &Trail, arn: &str) -> Value {
    let tags: Vec<Value> = trail.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    json!({ "ResourceId": arn, "TagsList": tags })
}

/// As GetTrailStatus answers; with the files, which are ours, where they are asked for.
pub(super) fn status(trail: &Trail, progress: &DeliveryProgress, files: Option<&DeliveredFiles>) -> Value {
    let (started, stopped) = match trail.logging {
        TrailLogging::Never => (None, None),
        TrailLogging::Started { at } => (Some(at), None),
        TrailLogging::Stopped { started, at } => (Some(started), Some(at)),
    };
    let mut members = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let text = |moment: Option<Timestamp>| Some(moment.map(Timestamp::iso_extended).unwrap_or_default().into());
    set("IsLogging", Some(matches!(trail.logging, TrailLogging::Started { .. }).into()));
    set("LatestDeliveryTime", progress.latest_delivery.map(epoch));
    set("LatestDeliveryError", progress.delivery_error.clone().map(Value::from));
    set("StartLoggingTime", started.map(epoch));
    set("StopLoggingTime", stopped.map(epoch));
    set("LatestDigestDeliveryTime", progress.latest_digest.map(epoch));
    set("LatestDigestDeliveryError", progress.digest_error.clone().map(Value::from));
    set("LatestDeliveryAttemptTime", text(progress.latest_delivery));
    set("LatestNotificationAttemptTime", Some("".into()));
    set("LatestNotificationAttemptSucceeded", Some("".into()));
    let succeeded = progress.latest_delivery.filter(|_| progress.delivery_error.is_none());
    set("LatestDeliveryAttemptSucceeded", text(succeeded));
    set("TimeLoggingStarted", text(started));
    set("TimeLoggingStopped", text(stopped));
    if let Some(files) = files {
        set("Folder", files.folder.as_ref().map(|folder| folder.display().to_string().into()));
        if let Value::Object(end) = files.end.to_json() {
            members.extend(end);
        }
    }
    Value::Object(members)
}

/// As ListPublicKeys shows it.
pub(super) fn public_key(key: &DigestSigningKey) -> Value {
    use base64::Engine as _;
    json!({
        "Value": base64::engine::general_purpose::STANDARD.encode(&key.public),
        "ValidityStartTime": epoch(key.valid_from),
        "ValidityEndTime": epoch(key.valid_to),
        "Fingerprint": key.fingerprint().to_string(),
    })
}

/// A moment in seconds; whole ones without a point, as a reader that splits them expects.
pub(super) fn epoch(moment: Timestamp) -> Value {
    match (moment.seconds(), moment.millis() % 1000) {
        (seconds, 0) => json!(seconds),
        (seconds, millis) => {
            let text = format!("{seconds}.{millis:03}");
            text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or(json!(seconds), Value::Number)
        }
    }
}
