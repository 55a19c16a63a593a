//! Conditions that all must hold: what an event is compared with, and what selectors are compared by.

use std::borrow::Cow;

use crate::record::{EventView, MemberValue, OBJECT_TYPE, boolean_text};

/// An AND of conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SelectorClause {
    pub conditions: Vec<SelectorCondition>,
}

/// One operator on one field: of the values, any must match, or none may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SelectorCondition {
    pub field: SelectorField,
    pub operator: SelectorOperator,
    pub values: Vec<String>,
}

/// What of an event is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SelectorField {
    ErrorCode,
    EventCategory,
    EventName,
    EventSource,
    EventType,
    ReadOnly,
    ResourcesArn,
    ResourcesType,
    SessionCredentialFromConsole,
    UserIdentityArn,
    VpcEndpointId,
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SelectorOperator {
    EndsWith,
    Equals,
    NotEndsWith,
    NotEquals,
    NotStartsWith,
    StartsWith,
}

impl SelectorClause {
    /// All management events.
    pub(super) fn management() -> Self {
        Self { conditions: vec![SelectorCondition::equals(SelectorField::EventCategory, "Management")] }
    }

    /// Whether the event is of this kind. One that is about several objects, as a copy is, is of it as soon as one of them
    /// is: to copy from what is left out hides nothing of where the copy goes.
    pub(super) fn admits(&self, event: &EventView<'_>) -> bool {
        let is_of_arn = |condition: &&SelectorCondition| condition.field == SelectorField::ResourcesArn;
        let mut of_others = self.conditions.iter().filter(|condition| !is_of_arn(condition));
        let of_arns = || self.conditions.iter().filter(is_of_arn);
        let is_of_kind = |arn| of_arns().all(|condition| condition.holds(std::slice::from_ref(arn)));
        of_others.all(|condition| condition.holds(&condition.field.of(event)))
            && (of_arns().next().is_none() || event.object_arns().iter().any(is_of_kind))
    }

    /// Whether every event that `narrow` admits is certainly admitted here.
    pub(super) fn covers(&self, narrow: &Self) -> bool {
        self.conditions.iter().all(|wide| wide.follows_from(&narrow.conditions))
    }

    /// Clauses that together say the same, each about one kind of access and one value of `resources.ARN`: a set
    /// of selectors may cover them one by one where none of it covers the whole.
    pub(super) fn split(&self) -> Vec<Self> {
        let mut clauses = vec![self.clone()];
        if !self.conditions.iter().any(|condition| condition.field == SelectorField::ReadOnly) {
            clauses = ["true", "false"]
                .iter()
                .map(|value| self.with(SelectorCondition::equals(SelectorField::ReadOnly, value)))
                .collect();
        }
        let several = |condition: &SelectorCondition| {
            condition.field == SelectorField::ResourcesArn
                && !condition.operator.excludes()
                && condition.values.len() > 1
        };
        let Some(place) = self.conditions.iter().position(several) else { return clauses };
        clauses.iter().flat_map(|clause| clause.one_by_one(place)).collect()
    }

    fn with(&self, condition: SelectorCondition) -> Self {
        let mut clause = self.clone();
        clause.conditions.push(condition);
        clause
    }

    fn one_by_one(&self, place: usize) -> Vec<Self> {
        let values = self.conditions.get(place).map(|condition| condition.values.as_slice()).unwrap_or_default();
        let only = |value: &String| {
            let mut clause = self.clone();
            if let Some(condition) = clause.conditions.get_mut(place) {
                condition.values = vec![value.clone()];
            }
            clause
        };
        values.iter().map(only).collect()
    }
}

impl SelectorCondition {
    pub(super) fn equals(field: SelectorField, value: &str) -> Self {
        Self { field, operator: SelectorOperator::Equals, values: vec![value.to_owned()] }
    }

    fn holds(&self, found: &[Cow<'_, str>]) -> bool {
        let any = found.iter().any(|text| self.values.iter().any(|value| self.operator.matches(text, value)));
        any != self.operator.excludes()
    }

    /// Whether this holds wherever all the others hold.
    fn follows_from(&self, others: &[Self]) -> bool {
        let mut about = others.iter().filter(|other| other.field == self.field);
        if !self.operator.excludes() {
            return about.any(|other| self.includes_all_of(other));
        }
        let about: Vec<&Self> = about.collect();
        self.values.iter().all(|value| about.iter().any(|other| other.rules_out(self.operator, value)))
    }

    /// For an including clause: whether it matches everything that the other one matches.
    fn includes_all_of(&self, other: &Self) -> bool {
        let within = |narrow: &String| self.values.iter().any(|wide| self.operator.matches(narrow, wide));
        match (self.operator, other.operator) {
            (_, SelectorOperator::Equals) => other.values.iter().all(within),
            (SelectorOperator::StartsWith, SelectorOperator::StartsWith)
            | (SelectorOperator::EndsWith, SelectorOperator::EndsWith) => other.values.iter().all(within),
            (
                SelectorOperator::EndsWith
                | SelectorOperator::Equals
                | SelectorOperator::NotEndsWith
                | SelectorOperator::NotEquals
                | SelectorOperator::NotStartsWith
                | SelectorOperator::StartsWith,
                SelectorOperator::EndsWith
                | SelectorOperator::NotEndsWith
                | SelectorOperator::NotEquals
                | SelectorOperator::NotStartsWith
                | SelectorOperator::StartsWith,
            ) => false,
        }
    }

    /// Whether nothing that satisfies this is of the value, as the excluding operator compares.
    fn rules_out(&self, operator: SelectorOperator, value: &str) -> bool {
        let any = |matches: &dyn Fn(&str) -> bool| self.values.iter().any(|own| matches(own));
        match (self.operator, operator) {
            (SelectorOperator::NotEquals, SelectorOperator::NotEquals) => any(&|own| own == value),
            (SelectorOperator::NotStartsWith, SelectorOperator::NotEquals | SelectorOperator::NotStartsWith) => {
                any(&|own| value.starts_with(own))
            }
            (SelectorOperator::NotEndsWith, SelectorOperator::NotEquals | SelectorOperator::NotEndsWith) => {
                any(&|own| value.ends_with(own))
            }
            // An event may have several ARNs: that one is another does not say that none is this.
            (SelectorOperator::Equals, _) if self.field != SelectorField::ResourcesArn => {
                !any(&|own| operator.matches(own, value))
            }
            (
                SelectorOperator::EndsWith
                | SelectorOperator::Equals
                | SelectorOperator::NotEndsWith
                | SelectorOperator::NotEquals
                | SelectorOperator::NotStartsWith
                | SelectorOperator::StartsWith,
                _,
            ) => false,
        }
    }
}

impl SelectorField {
    /// The field's name in a selector.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "errorCode" => Self::ErrorCode,
            "eventCategory" => Self::EventCategory,
            "eventName" => Self::EventName,
            "eventSource" => Self::EventSource,
            "eventType" => Self::EventType,
            "readOnly" => Self::ReadOnly,
            "resources.ARN" => Self::ResourcesArn,
            "resources.type" => Self::ResourcesType,
            "sessionCredentialFromConsole" => Self::SessionCredentialFromConsole,
            "userIdentity.arn" => Self::UserIdentityArn,
            "vpcEndpointId" => Self::VpcEndpointId,
            _ => return None,
        })
    }

    fn of<'e>(self, event: &'e EventView<'_>) -> Vec<Cow<'e, str>> {
        let text = |value: &'e MemberValue<'_>| value.text().map(Cow::Borrowed).into_iter().collect();
        match self {
            Self::ErrorCode => text(&event.error_code),
            Self::EventCategory => text(&event.event_category),
            Self::EventName => text(&event.event_name),
            Self::EventSource => text(&event.event_source),
            Self::EventType => text(&event.event_type),
            Self::ReadOnly => {
                event.read_only.boolean().map(|reads| Cow::Borrowed(boolean_text(reads))).into_iter().collect()
            }
            Self::ResourcesArn => event.object_arns(),
            // Every data event of ours is one of S3's objects, also where it names a bucket alone.
            Self::ResourcesType => vec![Cow::Borrowed(OBJECT_TYPE)],
            Self::SessionCredentialFromConsole => text(&event.session_credential_from_console),
            Self::UserIdentityArn => text(&event.user_identity.arn),
            Self::VpcEndpointId => text(&event.vpc_endpoint_id),
        }
    }
}

impl SelectorOperator {
    /// All of them, with their names in a selector.
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("Equals", Self::Equals),
        ("StartsWith", Self::StartsWith),
        ("EndsWith", Self::EndsWith),
        ("NotEquals", Self::NotEquals),
        ("NotStartsWith", Self::NotStartsWith),
        ("NotEndsWith", Self::NotEndsWith),
    ];

    fn excludes(self) -> bool {
        match self {
            Self::EndsWith | Self::Equals | Self::StartsWith => false,
            Self::NotEndsWith | Self::NotEquals | Self::NotStartsWith => true,
        }
    }

    fn matches(self, text: &str, value: &str) -> bool {
        match self {
            Self::EndsWith | Self::NotEndsWith => text.ends_with(value),
            Self::Equals | Self::NotEquals => text == value,
            Self::NotStartsWith | Self::StartsWith => text.starts_with(value),
        }
    }
}
