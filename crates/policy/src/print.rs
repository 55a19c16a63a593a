//! Writes a document in one form; read again, it is the same document.

use std::fmt;

use serde_json::{Map, Value};

use crate::action::ActionPattern;
use crate::arn::ResourcePattern;
use crate::condition::{ConditionClause, ConditionValue};
use crate::document::{ElementScope, PolicyDocument, PolicyStatement};
use crate::principal::PrincipalPattern;

impl fmt::Display for PolicyDocument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut document = Map::new();
        document.insert("Version".to_owned(), self.version.as_str().into());
        if let Some(id) = &self.id {
            document.insert("Id".to_owned(), id.as_str().into());
        }
        document.insert("Statement".to_owned(), Value::Array(self.statements.iter().map(statement).collect()));
        write!(out, "{}", Value::Object(document))
    }
}

fn statement(statement: &PolicyStatement) -> Value {
    let mut members = Map::new();
    if let Some(sid) = &statement.sid {
        members.insert("Sid".to_owned(), sid.as_str().into());
    }
    members.insert("Effect".to_owned(), statement.effect.as_str().into());
    if let Some(scope) = &statement.principals {
        element(&mut members, "Principal", scope, principals);
    }
    element(&mut members, "Action", &statement.actions, |actions| list(actions.iter().map(ActionPattern::as_str)));
    if let Some(scope) = &statement.resources {
        element(&mut members, "Resource", scope, |resources| list(resources.iter().map(ResourcePattern::as_str)));
    }
    if !statement.conditions.is_empty() {
        members.insert("Condition".to_owned(), conditions(&statement.conditions));
    }
    Value::Object(members)
}

fn element<T>(members: &mut Map<String, Value>, name: &str, scope: &ElementScope<T>, written: impl Fn(&[T]) -> Value) {
    match scope {
        ElementScope::AllBut(patterns) => members.insert(format!("Not{name}"), written(patterns)),
        ElementScope::Only(patterns) => members.insert(name.to_owned(), written(patterns)),
    };
}

fn principals(patterns: &[PrincipalPattern]) -> Value {
    let mut kinds = Map::new();
    for (kind, text) in patterns.iter().map(PrincipalPattern::written) {
        let texts = kinds.entry(kind).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(texts) = texts {
            texts.push(text.into());
        }
    }
    Value::Object(kinds)
}

fn conditions(clauses: &[ConditionClause]) -> Value {
    let mut operators = Map::new();
    for clause in clauses {
        let keys = operators.entry(clause.operator.to_string()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(keys) = keys {
            keys.insert(clause.key.as_str().to_owned(), list(clause.values.iter().map(ConditionValue::as_str)));
        }
    }
    Value::Object(operators)
}

/// One text stands for itself, several for a list.
fn list<'t>(texts: impl Iterator<Item = &'t str>) -> Value {
    let mut texts: Vec<Value> = texts.map(Value::from).collect();
    if texts.len() == 1 { texts.swap_remove(0) } else { Value::Array(texts) }
}
