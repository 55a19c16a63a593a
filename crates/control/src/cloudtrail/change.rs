//! What a call would change, and whether that weakens a trail.

use std::time::Duration;

use serde_json::{Value, json};

use super::input::{CallInput, member, only_members};
use super::operation::ChangeOperation;
use super::refused::CloudTrailError;
use super::scope::TrailScope;
use super::show;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::{
    DigestPeriod, EventSelectors, KeyPrefix, LogFileValidation, Trail, TrailLogging, TrailName,
};
use portcullis_state::MOST_TRAILS;

/// What a call would change, and what its answer is then.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedChange {
    pub change: TrailChange,
    pub effect: ChangeEffect,
    pub answer: Value,
}

/// What becomes of a trail.
#[derive(Clone, Debug, PartialEq)]
pub enum TrailChange {
    Delete {
        was: Box<Trail>,
    },
    /// It is so already.
    Nothing,
    Put {
        was: Option<Box<Trail>>,
        trail: Box<Trail>,
    },
}

/// Whether a change takes anything from what a trail records, or from what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeEffect {
    /// It certainly takes nothing.
    Harmless,
    /// It takes something, or may.
    Weakens,
}

impl PlannedChange {
    /// The bucket that becomes a trail's, where it is not the one the trail has.
    pub fn bucket_taken(&self) -> Option<&BucketName> {
        match &self.change {
            TrailChange::Delete { .. } | TrailChange::Nothing => None,
            TrailChange::Put { was, trail } => {
                was.as_ref().is_none_or(|was| was.bucket != trail.bucket).then_some(&trail.bucket)
            }
        }
    }

    /// The trail that is to deliver to another place than before.
    pub fn newly_placed(&self) -> Option<&Trail> {
        match &self.change {
            TrailChange::Delete { .. } | TrailChange::Nothing => None,
            TrailChange::Put { was, trail } => was.as_ref().is_none_or(|was| !was.has_place_of(trail)).then_some(trail),
        }
    }

    /// The bucket that a trail leaves.
    pub fn bucket_left(&self) -> Option<&BucketName> {
        match &self.change {
            TrailChange::Delete { was } => Some(&was.bucket),
            TrailChange::Nothing | TrailChange::Put { was: None, .. } => None,
            TrailChange::Put { was: Some(was), trail } => (was.bucket != trail.bucket).then_some(&was.bucket),
        }
    }

    /// Whether this trail is changed.
    pub fn is_about(&self, name: &TrailName) -> bool {
        match &self.change {
            TrailChange::Delete { was } => was.name == *name,
            TrailChange::Nothing => false,
            TrailChange::Put { trail, .. } => trail.name == *name,
        }
    }
}

const MOST_TAGS: usize = 50;

/// The members of a tag.
const TAG: [&str; 2] = ["Key", "Value"];

/// Plans a change on the trails as they are.
pub(super) fn plan(
    operation: ChangeOperation,
    input: &CallInput,
    trails: &[Trail],
    place: &TrailScope<'_>,
    now: Timestamp,
) -> Result<PlannedChange, CloudTrailError> {
    match operation {
        ChangeOperation::AddTags => add_tags(input, trails, place),
        ChangeOperation::CreateTrail => create(input, trails, place, now),
        ChangeOperation::DeleteTrail => {
            let trail = place.trail(input.required("Name")?, trails)?;
            let effect = if trail.has_logged() { ChangeEffect::Weakens } else { ChangeEffect::Harmless };
            Ok(PlannedChange {
                change: TrailChange::Delete { was: Box::new(trail.clone()) },
                effect,
                answer: json!({}),
            })
        }
        ChangeOperation::PutEventSelectors => put_event_selectors(input, trails, place),
        ChangeOperation::PutInsightSelectors => put_insight_selectors(input, trails, place),
        ChangeOperation::RemoveTags => remove_tags(input, trails, place),
        ChangeOperation::StartLogging => start(input, trails, place, now),
        ChangeOperation::StopLogging => stop(input, trails, place, now),
        ChangeOperation::UpdateTrail => update(input, trails, place),
    }
}

/// Whether the changed trail certainly records and proves everything that it does now. One that never logged
/// does neither yet.
pub(super) fn effect(before: &Trail, after: &Trail) -> ChangeEffect {
    if !before.has_logged() {
        return ChangeEffect::Harmless;
    }
    let logging = |trail: &Trail| matches!(trail.logging, TrailLogging::Started { .. });
    let weaker = [
        before.name != after.name,
        before.bucket != after.bucket,
        before.prefix != after.prefix,
        before.validation == LogFileValidation::Enabled && after.validation == LogFileValidation::Disabled,
        before.digest_period < after.digest_period,
        before.global_events && !after.global_events,
        before.multi_region && !after.multi_region,
        logging(before) && !logging(after),
        before.selectors != after.selectors && !after.selectors.covers(&before.selectors),
    ];
    if weaker.contains(&true) { ChangeEffect::Weakens } else { ChangeEffect::Harmless }
}

fn put(before: &Trail, after: Trail, answer: Value) -> PlannedChange {
    let effect = effect(before, &after);
    let change = if *before == after {
        TrailChange::Nothing
    } else {
        TrailChange::Put { was: Some(Box::new(before.clone())), trail: Box::new(after) }
    };
    PlannedChange { change, effect, answer }
}

fn create(
    input: &CallInput,
    trails: &[Trail],
    place: &TrailScope<'_>,
    now: Timestamp,
) -> Result<PlannedChange, CloudTrailError> {
    refuse_unsupported(input)?;
    let text = input.required("Name")?;
    if text.is_empty() {
        return Err(CloudTrailError::no_trail_named());
    }
    let name = TrailName::parse(text).map_err(CloudTrailError::invalid_name)?;
    let mut trail = Trail::new(name, bucket(input.required("S3BucketName")?)?, now);
    trail.prefix = prefix(input.some_text("S3KeyPrefix")?)?;
    trail.digest_period = place.digest_period;
    describe(&mut trail, input)?;
    if let Some(list) = input.list("TagsList")? {
        add_to(&mut trail, list)?;
    }
    if trails.iter().any(|known| known.name == trail.name) {
        return Err(CloudTrailError::trail_exists(trail.name.as_str(), place.account));
    }
    if trails.len() >= MOST_TRAILS {
        return Err(CloudTrailError::too_many_trails(place.account, trails.len(), place.region));
    }
    keep_apart(None, &trail, trails)?;
    let answer = show::definition(&trail, place);
    let change = TrailChange::Put { was: None, trail: Box::new(trail) };
    Ok(PlannedChange { change, effect: ChangeEffect::Harmless, answer })
}

fn update(input: &CallInput, trails: &[Trail], place: &TrailScope<'_>) -> Result<PlannedChange, CloudTrailError> {
    refuse_unsupported(input)?;
    let before = place.trail(input.required("Name")?, trails)?;
    let mut trail = before.clone();
    if let Some(name) = input.some_text("S3BucketName")? {
        trail.bucket = bucket(name)?;
    }
    if let Some(text) = input.text("S3KeyPrefix")? {
        trail.prefix = prefix(Some(text).filter(|text| !text.is_empty()))?;
    }
    describe(&mut trail, input)?;
    keep_apart(Some(before), &trail, trails)?;
    let answer = show::definition(&trail, place);
    Ok(put(before, trail, answer))
}

/// Refuses a trail that comes to the place of another where one of them is validated: a stray file could not be removed
/// from there, and its trail would never be proven again. A code would only make that the owner's own doing.
fn keep_apart(before: Option<&Trail>, trail: &Trail, trails: &[Trail]) -> Result<(), CloudTrailError> {
    if before.is_some_and(|before| before.has_place_of(trail) && before.validation == trail.validation) {
        return Ok(());
    }
    match trails.iter().find(|other| trail.disturbs(other)) {
        Some(other) => Err(CloudTrailError::place_taken(other)),
        None => Ok(()),
    }
}

/// Takes the members that CreateTrail and UpdateTrail share; what is left out stays.
fn describe(trail: &mut Trail, input: &CallInput) -> Result<(), CloudTrailError> {
    if let Some(enabled) = input.flag("EnableLogFileValidation")? {
        trail.validation = if enabled { LogFileValidation::Enabled } else { LogFileValidation::Disabled };
    }
    trail.global_events = input.flag("IncludeGlobalServiceEvents")?.unwrap_or(trail.global_events);
    trail.multi_region = input.flag("IsMultiRegionTrail")?.unwrap_or(trail.multi_region);
    if trail.multi_region && !trail.global_events {
        return Err(CloudTrailError::invalid_combination("Multi-Region trail must include global service events."));
    }
    // Ours: AWS's digests are of an hour.
    if let Some(seconds) = input.whole_number("DigestPeriodSeconds")? {
        let period = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        trail.digest_period =
            DigestPeriod::parse(period).map_err(|error| CloudTrailError::invalid_digest_period(&error))?;
    }
    Ok(())
}

/// What would make people believe that something is done which is not.
fn refuse_unsupported(input: &CallInput) -> Result<(), CloudTrailError> {
    for name in ["SnsTopicName", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn", "KmsKeyId"] {
        if input.some_text(name)?.is_some() {
            return Err(CloudTrailError::unsupported(name));
        }
    }
    for name in ["IsOrganizationTrail", "RecursiveLogging"] {
        if input.flag(name)? == Some(true) {
            return Err(CloudTrailError::unsupported(name));
        }
    }
    Ok(())
}

fn bucket(name: &str) -> Result<BucketName, CloudTrailError> {
    BucketName::parse(name).map_err(|_| CloudTrailError::invalid_bucket(name))
}

fn prefix(text: Option<&str>) -> Result<Option<KeyPrefix>, CloudTrailError> {
    text.map(KeyPrefix::parse).transpose().map_err(CloudTrailError::invalid_prefix)
}

fn start(
    input: &CallInput,
    trails: &[Trail],
    place: &TrailScope<'_>,
    now: Timestamp,
) -> Result<PlannedChange, CloudTrailError> {
    let before = place.trail(input.required("Name")?, trails)?;
    let logging = match before.logging {
        // A restart would begin a new chain of digests.
        TrailLogging::Started { .. } => before.logging,
        TrailLogging::Never | TrailLogging::Stopped { .. } => TrailLogging::Started { at: now },
    };
    Ok(put(before, Trail { logging, ..before.clone() }, json!({})))
}

fn stop(
    input: &CallInput,
    trails: &[Trail],
    place: &TrailScope<'_>,
    now: Timestamp,
) -> Result<PlannedChange, CloudTrailError> {
    let before = place.trail(input.required("Name")?, trails)?;
    let logging = match before.logging {
        TrailLogging::Started { at: started } => TrailLogging::Stopped { started, at: now },
        TrailLogging::Never | TrailLogging::Stopped { .. } => before.logging,
    };
    Ok(put(before, Trail { logging, ..before.clone() }, json!({})))
}

fn put_event_selectors(
    input: &CallInput,
    trails: &[Trail],
    place: &TrailScope<'_>,
) -> Result<PlannedChange, CloudTrailError> {
    let before = place.trail(input.required("TrailName")?, trails)?;
    let selectors = match (input.value("EventSelectors"), input.value("AdvancedEventSelectors")) {
        (Some(basic), None) => EventSelectors::parse_basic(basic),
        (None, Some(advanced)) => EventSelectors::parse_advanced(advanced),
        (Some(_), Some(_)) | (None, None) => return Err(CloudTrailError::one_kind_of_selectors()),
    };
    let after = Trail { selectors: selectors.map_err(CloudTrailError::selectors)?, ..before.clone() };
    let answer = show::selectors(&after, place);
    Ok(put(before, after, answer))
}

fn put_insight_selectors(
    input: &CallInput,
    trails: &[Trail],
    place: &TrailScope<'_>,
) -> Result<PlannedChange, CloudTrailError> {
    for name in ["EventDataStore", "InsightsDestination"] {
        if input.some_text(name)?.is_some() {
            return Err(CloudTrailError::unsupported(name));
        }
    }
    let before = place.trail(input.required("TrailName")?, trails)?;
    let list = input.list("InsightSelectors")?.ok_or_else(|| CloudTrailError::missing("InsightSelectors"))?;
    // To have none, which at AWS ends insights, is what a trail has here.
    if !list.is_empty() {
        return Err(CloudTrailError::insights_unsupported());
    }
    let after = Trail { insight_selectors: Value::Array(Vec::new()), ..before.clone() };
    let answer = show::no_insights(&after, place);
    Ok(put(before, after, answer))
}

fn add_tags(input: &CallInput, trails: &[Trail], place: &TrailScope<'_>) -> Result<PlannedChange, CloudTrailError> {
    let before = place.resource(input.required("ResourceId")?, trails)?;
    let mut trail = before.clone();
    add_to(&mut trail, input.list("TagsList")?.ok_or_else(|| CloudTrailError::missing("TagsList"))?)?;
    Ok(put(before, trail, json!({})))
}

fn remove_tags(input: &CallInput, trails: &[Trail], place: &TrailScope<'_>) -> Result<PlannedChange, CloudTrailError> {
    let before = place.resource(input.required("ResourceId")?, trails)?;
    let mut trail = before.clone();
    for tag in input.list("TagsList")?.ok_or_else(|| CloudTrailError::missing("TagsList"))? {
        only_members(tag, &TAG)?;
        trail.tags.remove(member(tag, "Key")?);
    }
    Ok(put(before, trail, json!({})))
}

fn add_to(trail: &mut Trail, list: &[Value]) -> Result<(), CloudTrailError> {
    for tag in list {
        only_members(tag, &TAG)?;
        let key = member(tag, "Key")?;
        let value = match tag.get("Value").filter(|value| !value.is_null()) {
            Some(_) => member(tag, "Value")?,
            None => "",
        };
        let legal = |text: &str| {
            text.chars().all(|letter| letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter))
        };
        if !(1..=128).contains(&key.chars().count()) || !legal(key) || key.to_ascii_lowercase().starts_with("aws:") {
            return Err(CloudTrailError::invalid_tag(
                "A tag's key is 1 to 128 letters, digits, spaces and _.:/=+-@, and does not begin with aws:.",
            ));
        }
        if value.chars().count() > 256 || !legal(value) {
            return Err(CloudTrailError::invalid_tag(
                "A tag's value is up to 256 letters, digits, spaces and _.:/=+-@.",
            ));
        }
        trail.tags.insert(key.to_owned(), value.to_owned());
    }
    if trail.tags.len() > MOST_TAGS { Err(CloudTrailError::too_many_tags(MOST_TAGS)) } else { Ok(()) }
}
