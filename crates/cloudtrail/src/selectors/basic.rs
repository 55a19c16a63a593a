//! Basic event selectors: read or write, management or not, and the ARNs of data.

use serde_json::{Value, json};

use super::SelectorError;
use super::clause::{SelectorClause, SelectorCondition, SelectorField, SelectorOperator};
use super::member::{JsonMembers, list};

/// One of up to five.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventSelector {
    access: ReadWriteType,
    management: ManagementEvents,
    resources: Vec<DataResource>,
    excluded_sources: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadWriteType {
    All,
    ReadOnly,
    WriteOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ManagementEvents {
    Excluded,
    Included,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DataResource {
    kind: String,
    values: Vec<String>,
}

const MOST_SELECTORS: usize = 5;
const MOST_VALUES: usize = 250;
const TYPES: [&str; 3] = ["AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"];
const EXCLUDABLE: [&str; 2] = ["kms.amazonaws.com", "rdsdata.amazonaws.com"];

/// Reads the list of them.
pub(super) fn parse(selectors: &Value) -> Result<Vec<EventSelector>, SelectorError> {
    let selectors = list(selectors, "EventSelectors")?;
    if selectors.is_empty() || selectors.len() > MOST_SELECTORS {
        let text = format!("a trail has 1 to {MOST_SELECTORS} event selectors, not {}", selectors.len());
        return Err(SelectorError::of(text));
    }
    let selectors = selectors.iter().map(EventSelector::parse).collect::<Result<Vec<_>, _>>()?;
    let values: usize =
        selectors.iter().flat_map(|selector| &selector.resources).map(|resource| resource.values.len()).sum();
    if values > MOST_VALUES {
        return Err(SelectorError::of(format!("a trail has up to {MOST_VALUES} data resources, not {values}")));
    }
    Ok(selectors)
}

impl EventSelector {
    fn parse(selector: &Value) -> Result<Self, SelectorError> {
        let mut members = JsonMembers::of(selector, "EventSelector")?;
        let access = ReadWriteType::parse(members.text("ReadWriteType")?.unwrap_or("All"))?;
        let management = match members.take("IncludeManagementEvents") {
            None | Some(Value::Bool(true)) => ManagementEvents::Included,
            Some(Value::Bool(false)) => ManagementEvents::Excluded,
            Some(_) => return Err(SelectorError::of("IncludeManagementEvents: not true or false")),
        };
        let resources = members.take("DataResources").map_or(Ok(&[][..]), |value| list(value, "DataResources"))?;
        let resources = resources.iter().map(DataResource::parse).collect::<Result<Vec<_>, _>>()?;
        let excluded_sources = members.texts("ExcludeManagementEventSources")?.unwrap_or_default();
        members.end()?;
        if let Some(source) = excluded_sources.iter().find(|source| !EXCLUDABLE.contains(&source.as_str())) {
            let text = format!("ExcludeManagementEventSources: not one of {}: `{source}`", EXCLUDABLE.join(", "));
            return Err(SelectorError::of(text));
        }
        if management == ManagementEvents::Excluded && resources.is_empty() {
            return Err(SelectorError::of("an event selector without management events needs a data resource"));
        }
        Ok(Self { access, management, resources, excluded_sources })
    }

    pub(super) fn to_json(&self) -> Value {
        let resources: Vec<Value> = self.resources.iter().map(DataResource::to_json).collect();
        json!({
            "ReadWriteType": self.access.as_str(),
            "IncludeManagementEvents": self.management == ManagementEvents::Included,
            "DataResources": resources,
            "ExcludeManagementEventSources": self.excluded_sources,
        })
    }

    /// The same, as clauses.
    pub(super) fn clauses(&self) -> Vec<SelectorClause> {
        let management = (self.management == ManagementEvents::Included).then(|| self.management_clause());
        let data = self.resources.iter().map(|resource| self.data_clause(resource));
        management.into_iter().chain(data).collect()
    }

    fn management_clause(&self) -> SelectorClause {
        let mut clause = SelectorClause::management();
        clause.conditions.extend(self.access.condition());
        if !self.excluded_sources.is_empty() {
            let values = self.excluded_sources.clone();
            clause.conditions.push(SelectorCondition {
                field: SelectorField::EventSource,
                operator: SelectorOperator::NotEquals,
                values,
            });
        }
        clause
    }

    fn data_clause(&self, resource: &DataResource) -> SelectorClause {
        let values = resource.values.clone();
        let mut conditions = vec![
            SelectorCondition::equals(SelectorField::EventCategory, "Data"),
            SelectorCondition::equals(SelectorField::ResourcesType, &resource.kind),
            SelectorCondition { field: SelectorField::ResourcesArn, operator: SelectorOperator::StartsWith, values },
        ];
        conditions.extend(self.access.condition());
        SelectorClause { conditions }
    }
}

impl DataResource {
    fn parse(resource: &Value) -> Result<Self, SelectorError> {
        let mut members = JsonMembers::of(resource, "DataResource")?;
        let kind = members.text("Type")?.unwrap_or_default().to_owned();
        let values = members.texts("Values")?.unwrap_or_default();
        members.end()?;
        if !TYPES.contains(&kind.as_str()) {
            let text = format!("DataResources: Type is not one of {}: `{kind}`", TYPES.join(", "));
            return Err(SelectorError::of(text));
        }
        if values.is_empty() {
            return Err(SelectorError::of("DataResources: Values is empty"));
        }
        match values.iter().find(|value| !fits(&kind, value)) {
            Some(value) => Err(SelectorError::of(format!("DataResources: not an ARN of `{kind}`: `{value}`"))),
            None => Ok(Self { kind, values }),
        }
    }

    fn to_json(&self) -> Value {
        json!({ "Type": self.kind, "Values": self.values })
    }
}

/// Without the slash after its name a bucket would stand for all buckets whose names begin with it.
fn fits(kind: &str, value: &str) -> bool {
    let short = value.len() <= 2048;
    short
        && match kind {
            "AWS::S3::Object" => {
                let within = value.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.split_once('/'));
                matches!(value, "arn:aws:s3" | "arn:aws:s3:::") || within.is_some_and(|(bucket, _)| !bucket.is_empty())
            }
            "AWS::Lambda::Function" => value.starts_with("arn:aws:lambda"),
            _ => value.starts_with("arn:aws:dynamodb"),
        }
}

impl ReadWriteType {
    fn parse(text: &str) -> Result<Self, SelectorError> {
        match text {
            "All" => Ok(Self::All),
            "ReadOnly" => Ok(Self::ReadOnly),
            "WriteOnly" => Ok(Self::WriteOnly),
            _ => Err(SelectorError::of(format!("ReadWriteType is not one of All, ReadOnly, WriteOnly: `{text}`"))),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::ReadOnly => "ReadOnly",
            Self::WriteOnly => "WriteOnly",
        }
    }

    fn condition(self) -> Option<SelectorCondition> {
        match self {
            Self::All => None,
            Self::ReadOnly => Some(SelectorCondition::equals(SelectorField::ReadOnly, "true")),
            Self::WriteOnly => Some(SelectorCondition::equals(SelectorField::ReadOnly, "false")),
        }
    }
}
