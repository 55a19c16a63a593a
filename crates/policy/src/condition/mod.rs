//! Conditions: an operator, a key, and the values that it is compared with.

mod date;
mod key;
mod number;
mod operator;
mod value;

pub use key::{ConditionKey, UnknownConditionKey};
pub(crate) use operator::ConditionOperator;
pub(crate) use value::{ConditionValue, ValueFault};

use crate::document::StatementEffect;
use crate::pattern::ValueMatch;
use crate::request::RequestValues;
use crate::variable::PolicyVariable;
use operator::{AbsentKey, Comparison, OperatorPolarity, ValueQuantifier};

/// One key below one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConditionClause {
    pub operator: ConditionOperator,
    pub key: ConditionKey,
    pub values: Vec<ConditionValue>,
}

impl ConditionClause {
    /// The keys whose values it looks at: its own, and those of variables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ConditionKey> {
        let variables = self.values.iter().flat_map(ConditionValue::variables).map(PolicyVariable::key);
        std::iter::once(&self.key).chain(variables)
    }

    /// Whether the request meets it.
    ///
    /// Where AWS leaves the reading open, a statement that allows is read narrowly, and one that denies widely: a key with
    /// several values below an operator for one, a value that cannot be read, a variable without a value.
    pub(crate) fn holds(&self, request: &RequestValues, effect: StatementEffect) -> bool {
        let found = request.of(&self.key);
        if self.operator.comparison == Comparison::Null {
            return self.values.iter().any(|value| value.is_absence() == found.is_empty());
        }
        if found.is_empty() {
            return self.holds_without_key();
        }
        let mut each = found.iter().map(|value| self.holds_for(value, request, effect));
        match (self.operator.quantifier, effect) {
            (ValueQuantifier::All, _) | (ValueQuantifier::One, StatementEffect::Allow) => each.all(|holds| holds),
            (ValueQuantifier::Any, _) | (ValueQuantifier::One, StatementEffect::Deny) => each.any(|holds| holds),
        }
    }

    fn holds_without_key(&self) -> bool {
        match (self.operator.absent, self.operator.quantifier, self.operator.polarity) {
            (AbsentKey::Passes, _, _) | (AbsentKey::Counts, ValueQuantifier::All, _) => true,
            (AbsentKey::Counts, ValueQuantifier::Any, _) => false,
            (AbsentKey::Counts, ValueQuantifier::One, polarity) => polarity == OperatorPolarity::Negated,
        }
    }

    fn holds_for(&self, found: &str, request: &RequestValues, effect: StatementEffect) -> bool {
        let compare = |value: &ConditionValue| value.compare(self.operator.comparison, found, request);
        let compared = ValueMatch::any(self.values.iter().map(compare));
        match self.operator.polarity {
            OperatorPolarity::Negated => compared.differs(effect),
            OperatorPolarity::Plain => compared == ValueMatch::Matches,
        }
    }
}
