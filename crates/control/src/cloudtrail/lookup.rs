//! LookupEvents: the events of the past, management and data alike.

use serde_json::{Map, Value, json};

use super::input::{CallInput, member, only_members};
use super::refused::CloudTrailError;
use super::show::epoch;
use portcullis_cloudtrail::lookup::{EventOrder, FoundEvent, HistoryPage, HistoryQuery, LookupAsker, LookupError};
use portcullis_cloudtrail::record::{LookupAttribute, NamedResource};

/// AWS's own page.
const STANDARD_PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;
const MOST_ATTRIBUTES: usize = 20;
const LONGEST_VALUE: usize = 2000;
const LONGEST_TOKEN: usize = 1024;

/// What is looked up. Who asks again and again would see little but that, so that the asker's own lookups are left out,
/// unless the question is about events of that name or of that service.
pub(super) fn query(input: &CallInput, asker: Option<LookupAsker>) -> Result<HistoryQuery, CloudTrailError> {
    // The one category that AWS knows here is of insights, which are not made here.
    if input.some_text("EventCategory")?.is_some() {
        return Err(CloudTrailError::invalid_category());
    }
    let attributes = attributes(input)?;
    let (start, end) = (input.moment("StartTime")?, input.moment("EndTime")?);
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err(CloudTrailError::invalid_time_range());
    }
    let limit = match input.whole_number("MaxResults")? {
        None => STANDARD_PAGE,
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|count| (1..=LARGEST_PAGE).contains(count))
            .ok_or_else(|| CloudTrailError::invalid_max_results(LARGEST_PAGE))?,
    };
    let token = match input.some_text("NextToken")? {
        Some(token) if token.len() > LONGEST_TOKEN => return Err(CloudTrailError::invalid_next_token()),
        token => token.map(str::to_owned),
    };
    let about_lookups = |(attribute, _): &(LookupAttribute, String)| {
        matches!(attribute, LookupAttribute::EventId | LookupAttribute::EventName | LookupAttribute::EventSource)
    };
    let without_lookups_of = asker.filter(|_| !attributes.iter().any(about_lookups));
    Ok(HistoryQuery { attributes, start, end, without_lookups_of, order: EventOrder::NewestFirst, limit, token })
}

/// The answer that a page makes.
pub(super) fn answer(page: HistoryPage) -> Value {
    let events: Vec<Value> = page.events.into_iter().map(event).collect();
    match page.next {
        Some(next) => json!({ "Events": events, "NextToken": next }),
        None => json!({ "Events": events }),
    }
}

/// Why there is no page, in AWS's words.
pub(super) fn refused(error: &LookupError) -> CloudTrailError {
    tracing::debug!(%error, "a lookup has no answer");
    match error {
        LookupError::Behind { .. } => CloudTrailError::unavailable("The events are being indexed. Please retry."),
        LookupError::InvalidToken => CloudTrailError::invalid_next_token(),
        LookupError::Unreadable { .. } => {
            CloudTrailError::unavailable("The history of events cannot be read; the proxy's log says why.")
        }
    }
}

fn attributes(input: &CallInput) -> Result<Vec<(LookupAttribute, String)>, CloudTrailError> {
    let list = input.list("LookupAttributes")?.unwrap_or_default();
    if list.len() > MOST_ATTRIBUTES {
        return Err(CloudTrailError::invalid_attributes(format!("A lookup has up to {MOST_ATTRIBUTES} attributes.")));
    }
    let mut attributes = Vec::new();
    for attribute in list {
        only_members(attribute, &["AttributeKey", "AttributeValue"])?;
        let (key, value) = (member(attribute, "AttributeKey")?, member(attribute, "AttributeValue")?);
        if !(1..=LONGEST_VALUE).contains(&value.chars().count()) {
            let message = format!("AttributeValue is 1 to {LONGEST_VALUE} characters: {key}");
            return Err(CloudTrailError::invalid_attributes(message));
        }
        let unknown = || CloudTrailError::invalid_attributes(format!("AttributeKey is not known: {key}"));
        attributes.push((LookupAttribute::parse(key).ok_or_else(unknown)?, value.to_owned()));
    }
    Ok(attributes)
}

fn event(found: FoundEvent) -> Value {
    let summary = found.summary;
    let mut members = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let resource = |resource: &NamedResource| json!({ "ResourceType": resource.kind, "ResourceName": resource.name });
    set("EventId", summary.event_id.map(Value::from));
    set("EventName", summary.event_name.map(Value::from));
    // A text, not a Boolean: so AWS has it.
    set("ReadOnly", summary.read_only.map(|reads| reads.to_string().into()));
    set("AccessKeyId", summary.access_key_id.map(Value::from));
    set("EventTime", Some(epoch(found.time)));
    set("EventSource", summary.event_source.map(Value::from));
    set("Username", Some(summary.username.unwrap_or_else(|| "anonymous".to_owned()).into()));
    set("Resources", Some(summary.resources.iter().map(resource).collect()));
    set("CloudTrailEvent", Some(found.record.into()));
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<HistoryQuery, CloudTrailError> {
        query(&CallInput::read(body.to_string().as_bytes()).expect("an object"), Some(asker()))
    }

    fn asker() -> LookupAsker {
        LookupAsker { access_key_id: "AKIA1".to_owned(), address: "192.0.2.7".to_owned() }
    }

    #[test]
    fn the_askers_own_lookups_are_left_out_unless_they_are_asked_for() {
        let left_out = |attribute: &str, value: &str| {
            let body = json!({"LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}]});
            read(&body).expect("legal").without_lookups_of
        };
        assert_eq!(read(&json!({})).expect("legal").without_lookups_of, Some(asker()));
        assert_eq!(left_out("Username", "root"), Some(asker()));
        for (attribute, value) in
            [("EventName", "LookupEvents"), ("EventSource", "cloudtrail.amazonaws.com"), ("EventId", "e")]
        {
            assert_eq!(left_out(attribute, value), None, "{attribute}");
        }
    }

    fn exception(body: &Value) -> &'static str {
        read(body).expect_err("refused").exception
    }

    #[test]
    fn a_query_is_read_within_its_limits() {
        let attributes = json!([{"AttributeKey": "EventName", "AttributeValue": "DeleteObject"},
            {"AttributeKey": "BucketName", "AttributeValue": "vault"}]);
        let query = read(&json!({"LookupAttributes": attributes, "StartTime": 1, "EndTime": 2.5, "MaxResults": 1000}))
            .expect("legal");
        assert_eq!((query.attributes.len(), query.limit), (2, 1000));
        assert_eq!(query.end.map(portcullis_base::clock::Timestamp::millis), Some(2500));
        assert_eq!(read(&json!({})).expect("legal").limit, 50);
        assert_eq!(exception(&json!({"StartTime": 2, "EndTime": 1})), "InvalidTimeRangeException");
        for count in [0, -1, 1001] {
            assert_eq!(exception(&json!({"MaxResults": count})), "InvalidMaxResultsException");
        }
        assert_eq!(exception(&json!({"EventCategory": "insight"})), "InvalidEventCategoryException");
        let empty = json!({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": ""}]});
        assert_eq!(exception(&empty), "InvalidLookupAttributesException");
        assert_eq!(exception(&json!({"LookupAttributes": [{"AttributeKey": "EventName"}]})), "ValidationException");
    }

    #[test]
    fn an_event_is_told_as_aws_tells_it() {
        let resource = NamedResource { kind: "AWS::S3::Bucket".to_owned(), name: "vault".to_owned() };
        let summary = portcullis_cloudtrail::record::EventSummary {
            event_id: Some("e".to_owned()),
            read_only: Some(false),
            resources: vec![resource],
            ..portcullis_cloudtrail::record::EventSummary::default()
        };
        let time = portcullis_base::clock::Timestamp::from_seconds(5);
        let page = HistoryPage {
            events: vec![FoundEvent { time, sequence: 7, record: "{}".to_owned(), summary }],
            next: None,
        };
        assert_eq!(
            answer(page),
            json!({"Events": [{"EventId": "e", "ReadOnly": "false", "EventTime": 5, "CloudTrailEvent": "{}",
                "Username": "anonymous",
                "Resources": [{"ResourceType": "AWS::S3::Bucket", "ResourceName": "vault"}]}]})
        );
        assert_eq!(answer(HistoryPage { events: Vec::new(), next: Some("n".to_owned()) })["NextToken"], "n");
    }
}
