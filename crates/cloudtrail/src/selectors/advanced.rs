//! Advanced event selectors: conditions on single fields of an event.

use serde_json::Value;

use super::SelectorError;
use super::clause::{SelectorClause, SelectorCondition, SelectorField, SelectorOperator};
use super::member::{JsonMembers, list};

const MOST_VALUES: usize = 500;
const LONGEST_NAME: usize = 1000;
const LONGEST_VALUE: usize = 2048;

/// Reads the list of them.
pub(super) fn parse(selectors: &Value) -> Result<Vec<SelectorClause>, SelectorError> {
    let selectors = list(selectors, "AdvancedEventSelectors")?;
    if selectors.is_empty() {
        return Err(SelectorError::of("AdvancedEventSelectors is empty"));
    }
    let clauses = selectors.iter().map(parse_selector).collect::<Result<Vec<_>, _>>()?;
    let values: usize =
        clauses.iter().flat_map(|clause| &clause.conditions).map(|condition| condition.values.len()).sum();
    if values > MOST_VALUES {
        let text = format!("a trail has up to {MOST_VALUES} values in its advanced event selectors, not {values}");
        return Err(SelectorError::of(text));
    }
    Ok(clauses)
}

fn parse_selector(selector: &Value) -> Result<SelectorClause, SelectorError> {
    let mut members = JsonMembers::of(selector, "AdvancedEventSelector")?;
    let name = members.text("Name")?.unwrap_or_default();
    let fields = members.take("FieldSelectors").map_or(Ok(&[][..]), |value| list(value, "FieldSelectors"))?;
    members.end()?;
    if name.chars().count() > LONGEST_NAME {
        return Err(SelectorError::of(format!("Name is longer than {LONGEST_NAME} characters")));
    }
    if fields.is_empty() {
        return Err(SelectorError::of("an advanced event selector needs a field selector"));
    }
    let mut seen = Vec::new();
    let mut conditions = Vec::new();
    for field in fields {
        let (field, of_field) = parse_field(field)?;
        if seen.contains(&field) {
            return Err(SelectorError::of("a field occurs once in an advanced event selector"));
        }
        seen.push(field);
        conditions.extend(of_field);
    }
    let clause = SelectorClause { conditions };
    check(&clause, &seen)?;
    Ok(clause)
}

fn parse_field(selector: &Value) -> Result<(SelectorField, Vec<SelectorCondition>), SelectorError> {
    let mut members = JsonMembers::of(selector, "FieldSelector")?;
    let name = members.text("Field")?.unwrap_or_default();
    let field = SelectorField::parse(name).ok_or_else(|| SelectorError::of(format!("Field is not known: `{name}`")))?;
    let mut conditions = Vec::new();
    for (word, operator) in SelectorOperator::ALL {
        let Some(values) = members.texts(word)? else { continue };
        if values.is_empty() {
            return Err(SelectorError::of(format!("{name}: {word} has no values")));
        }
        if values.iter().any(|value| value.is_empty() || value.chars().count() > LONGEST_VALUE) {
            let text = format!("{name}: {word} has a value that is empty or longer than {LONGEST_VALUE} characters");
            return Err(SelectorError::of(text));
        }
        conditions.push(SelectorCondition { field, operator, values });
    }
    members.end()?;
    if conditions.is_empty() {
        return Err(SelectorError::of(format!("{name}: there is no operator")));
    }
    Ok((field, conditions))
}

/// Which fields go with which category, and which of them must be there.
fn check(clause: &SelectorClause, fields: &[SelectorField]) -> Result<(), SelectorError> {
    let category = only_value(clause, SelectorField::EventCategory)
        .ok_or_else(|| SelectorError::of("eventCategory must be there, with Equals and one value"))?;
    let (known, required): (&[SelectorField], &[SelectorField]) = match category {
        "Management" => (
            &[
                SelectorField::EventCategory,
                SelectorField::EventName,
                SelectorField::EventSource,
                SelectorField::EventType,
                SelectorField::ReadOnly,
                SelectorField::SessionCredentialFromConsole,
                SelectorField::UserIdentityArn,
            ],
            &[],
        ),
        "Data" => (
            &[
                SelectorField::EventCategory,
                SelectorField::EventName,
                SelectorField::EventSource,
                SelectorField::EventType,
                SelectorField::ReadOnly,
                SelectorField::ResourcesArn,
                SelectorField::ResourcesType,
                SelectorField::SessionCredentialFromConsole,
                SelectorField::UserIdentityArn,
            ],
            &[SelectorField::ResourcesType],
        ),
        "NetworkActivity" => (
            &[
                SelectorField::ErrorCode,
                SelectorField::EventCategory,
                SelectorField::EventName,
                SelectorField::EventSource,
                SelectorField::VpcEndpointId,
            ],
            &[SelectorField::EventSource],
        ),
        other => {
            let text = format!("eventCategory is not one of Management, Data, NetworkActivity: `{other}`");
            return Err(SelectorError::of(text));
        }
    };
    if fields.iter().any(|field| !known.contains(field)) {
        return Err(SelectorError::of(format!("a field does not go with the category {category}")));
    }
    if required.iter().any(|field| only_value(clause, *field).is_none()) {
        let text = format!("the category {category} needs resources.type or eventSource, with Equals and one value");
        return Err(SelectorError::of(text));
    }
    let truth = |condition: &&SelectorCondition| condition.field == SelectorField::ReadOnly;
    match clause.conditions.iter().find(truth) {
        Some(_) if !matches!(only_value(clause, SelectorField::ReadOnly), Some("true" | "false")) => {
            Err(SelectorError::of("readOnly must be Equals, true or false"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The value of a field that is compared by Equals, with one value, and by nothing else.
fn only_value(clause: &SelectorClause, field: SelectorField) -> Option<&str> {
    let mut of_field = clause.conditions.iter().filter(|condition| condition.field == field);
    match (of_field.next(), of_field.next()) {
        (Some(SelectorCondition { operator: SelectorOperator::Equals, values, .. }), None) => match values.as_slice() {
            [only] => Some(only),
            _ => None,
        },
        _ => None,
    }
}
