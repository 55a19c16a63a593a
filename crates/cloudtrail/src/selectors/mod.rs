//! Which events a trail records: CloudTrail's basic and advanced event selectors.
//!
//! Both forms say the same thing, an OR of clauses that are each an AND of conditions; so both are judged by one
//! reading of it, and compared by it.

mod advanced;
mod basic;
mod clause;
mod member;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};
use thiserror::Error;

use self::clause::SelectorClause;
use crate::record::EventView;

/// A trail's event selectors.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSelectors {
    form: SelectorGrammar,
    /// As they were written, in CloudTrail's own shape.
    written: Value,
    clauses: Vec<SelectorClause>,
}

/// In which of CloudTrail's two grammars the selectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectorGrammar {
    Advanced,
    Basic,
}

/// Why selectors are refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{text}")]
pub struct SelectorError {
    /// CloudTrail's name for the error.
    pub exception: &'static str,
    pub text: String,
}

impl EventSelectors {
    /// What a new trail has: all management events, and no data events.
    pub fn standard() -> Self {
        let written = json!([{
            "ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": [], "ExcludeManagementEventSources": []
        }]);
        Self { form: SelectorGrammar::Basic, written, clauses: vec![SelectorClause::management()] }
    }

    /// Takes what PutEventSelectors calls `EventSelectors`.
    pub fn parse_basic(selectors: &Value) -> Result<Self, SelectorError> {
        let selectors = basic::parse(selectors)?;
        let written = selectors.iter().map(basic::EventSelector::to_json).collect();
        let clauses = selectors.iter().flat_map(basic::EventSelector::clauses).collect();
        Ok(Self { form: SelectorGrammar::Basic, written, clauses })
    }

    /// Takes what PutEventSelectors calls `AdvancedEventSelectors`.
    pub fn parse_advanced(selectors: &Value) -> Result<Self, SelectorError> {
        let parsed = advanced::parse(selectors)?;
        Ok(Self { form: SelectorGrammar::Advanced, written: selectors.clone(), clauses: parsed })
    }

    /// The grammar they are written in.
    pub fn form(&self) -> SelectorGrammar {
        self.form
    }

    /// The list alone, as GetEventSelectors shows it.
    pub fn list(&self) -> &Value {
        &self.written
    }

    /// The list under CloudTrail's name for it.
    pub fn to_json(&self) -> Value {
        json!({ self.form.member(): self.written })
    }

    /// Reads what `to_json` wrote.
    pub fn from_json(json: &Value) -> Result<Self, SelectorError> {
        let mut members = member::JsonMembers::of(json, "the selectors")?;
        let (basic, advanced) =
            (members.take(SelectorGrammar::Basic.member()), members.take(SelectorGrammar::Advanced.member()));
        members.end()?;
        match (basic, advanced) {
            (Some(basic), None) => Self::parse_basic(basic),
            (None, Some(advanced)) => Self::parse_advanced(advanced),
            (Some(_), Some(_)) => Err(SelectorError::of("a trail has either event selectors or advanced ones")),
            (None, None) => Err(SelectorError::of("there are no selectors")),
        }
    }

    /// Whether they are anything but what a new trail has.
    pub fn are_custom(&self) -> bool {
        *self != Self::standard()
    }

    /// Whether the trail records the event.
    pub fn admits(&self, event: &EventView<'_>) -> bool {
        self.clauses.iter().any(|clause| clause.admits(event))
    }

    /// Whether these certainly admit every event that `other` admits; in doubt they do not.
    pub fn covers(&self, other: &Self) -> bool {
        let covered = |narrow: &SelectorClause| self.clauses.iter().any(|wide| wide.covers(narrow));
        other.clauses.iter().flat_map(SelectorClause::split).all(|clause| covered(&clause))
    }
}

impl SelectorGrammar {
    fn member(self) -> &'static str {
        match self {
            Self::Advanced => "AdvancedEventSelectors",
            Self::Basic => "EventSelectors",
        }
    }
}

impl SelectorError {
    fn of(text: impl Into<String>) -> Self {
        Self { exception: "InvalidEventSelectorsException", text: text.into() }
    }
}
