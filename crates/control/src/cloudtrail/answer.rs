//! What calls that change nothing are answered.

use serde_json::{Value, json};

use super::decide::ReadCall;
use super::input::CallInput;
use super::operation::ReadOperation;
use super::refused::CloudTrailError;
use super::{CloudTrail, lookup, show};
use portcullis_base::clock::Timestamp;

impl CloudTrail {
    /// Answers a call that changes nothing.
    pub(super) async fn read(&self, call: &ReadCall, now: Timestamp) -> Result<Value, CloudTrailError> {
        let (input, place, trails) = (&call.input, self.place(), self.state.trails());
        let named = |member: &str| place.trail(input.required(member)?, &trails);
        match call.operation {
            ReadOperation::DescribeTrails => {
                let names = input.texts("trailNameList")?.unwrap_or_default();
                let mut shown = Vec::new();
                for name in &names {
                    match place.trail(name, &trails) {
                        Ok(trail) => shown.push(show::trail(trail, &place)),
                        // AWS leaves out what is not there.
                        Err(refused) if refused.exception == "TrailNotFoundException" => {}
                        Err(refused) => return Err(refused),
                    }
                }
                if names.is_empty() {
                    shown = trails.iter().map(|trail| show::trail(trail, &place)).collect();
                }
                Ok(json!({ "trailList": shown }))
            }
            ReadOperation::GetEventSelectors => Ok(show::selectors(named("TrailName")?, &place)),
            ReadOperation::GetInsightSelectors => {
                if input.some_text("EventDataStore")?.is_some() {
                    return Err(CloudTrailError::unsupported("EventDataStore"));
                }
                Err(CloudTrailError::no_insights(named("TrailName")?.name.as_str()))
            }
            ReadOperation::GetTrail => Ok(json!({ "Trail": show::trail(named("Name")?, &place) })),
            ReadOperation::GetTrailStatus => {
                let trail = named("Name")?;
                let progress = self.deliveries.progress(&trail.name);
                let files = match input.flag("IncludeFiles")? {
                    Some(true) => Some(self.deliveries.files(trail).await.ok_or_else(CloudTrailError::unknown_files)?),
                    Some(false) | None => None,
                };
                Ok(show::status(trail, &progress, files.as_ref()))
            }
            ReadOperation::ListPublicKeys => self.public_keys(input, now),
            ReadOperation::ListTags => {
                let arns = input.texts("ResourceIdList")?.ok_or_else(|| CloudTrailError::missing("ResourceIdList"))?;
                no_token(input)?;
                let tags = arns.iter().map(|arn| Ok(show::tags(place.resource(arn, &trails)?, arn)));
                Ok(json!({ "ResourceTagList": tags.collect::<Result<Vec<_>, _>>()? }))
            }
            ReadOperation::ListTrails => {
                no_token(input)?;
                Ok(json!({ "Trails": trails.iter().map(|trail| show::listed(trail, &place)).collect::<Vec<_>>() }))
            }
            ReadOperation::LookupEvents => {
                let query = lookup::query(input, call.asker.clone())?;
                let page = self.history.lookup(query).await.map_err(|error| lookup::refused(&error))?;
                Ok(lookup::answer(page))
            }
        }
    }

    /// All keys valid in a time range on one page: validators read one page.
    fn public_keys(&self, input: &CallInput, now: Timestamp) -> Result<Value, CloudTrailError> {
        no_token(input)?;
        let (start, end) = (input.moment("StartTime")?, input.moment("EndTime")?);
        let (from, to) = match (start, end) {
            (None, None) => (now, now),
            (Some(start), None) => (start, Timestamp::from_millis(i64::MAX)),
            (None, Some(end)) => (Timestamp::from_millis(i64::MIN), end),
            (Some(start), Some(end)) => (start, end),
        };
        if from > to {
            return Err(CloudTrailError::invalid_time_range());
        }
        let keys = self.state.signing_keys();
        let valid = keys.iter().filter(|key| key.valid_from <= to && from <= key.valid_to);
        Ok(json!({ "PublicKeyList": valid.map(show::public_key).collect::<Vec<_>>() }))
    }
}

/// These lists are whole: a token can only be another's.
fn no_token(input: &CallInput) -> Result<(), CloudTrailError> {
    match input.some_text("NextToken")? {
        None => Ok(()),
        Some(_) => Err(CloudTrailError::invalid_token()),
    }
}
