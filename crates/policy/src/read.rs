//! Reads a document: every member is known, there once, and of a meaning that the decision knows.

use std::collections::BTreeSet;

use crate::action::ActionPattern;
use crate::arn::ResourcePattern;
use crate::condition::{ConditionClause, ConditionKey, ConditionOperator, ConditionValue, ValueFault};
use crate::document::{ElementScope, LanguageVersion, PolicyDocument, PolicyKind, PolicyStatement, StatementEffect};
use crate::fault::{MalformedPolicy, PlacedFault, PolicyFault};
use crate::json::{self, JsonMember, JsonNode, JsonValue};
use crate::principal::PrincipalPattern;

type Read<T> = Result<T, PlacedFault>;

/// The most bytes that are looked at; IAM takes no longer parameter.
const LONGEST_TEXT: usize = 131_072;

impl PolicyDocument {
    /// Reads a document of this kind, or says what is wrong with it and where.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, MalformedPolicy> {
        within_quota(text, kind).map_err(|fault| fault.in_document(text, None))?;
        let root = json::read(text).map_err(|fault| PlacedFault::from(fault).in_document(text, None))?;
        DocumentReader::of(kind).document(&root).map_err(|fault| fault.in_document(text, Some(&root)))
    }
}

fn within_quota(text: &str, kind: PolicyKind) -> Read<()> {
    let (length, longest) = match text.len() {
        size if size > LONGEST_TEXT => (size, LONGEST_TEXT),
        _ => (kind.measure(text), kind.longest()),
    };
    if length > longest { Err(at(0, PolicyFault::TooLong { length, longest })) } else { Ok(()) }
}

struct DocumentReader {
    kind: PolicyKind,
    version: LanguageVersion,
}

/// The members of a statement.
#[derive(Default)]
struct StatementMembers<'n> {
    sid: Option<&'n JsonNode>,
    effect: Option<&'n JsonNode>,
    principals: Option<ElementMember<'n>>,
    actions: Option<ElementMember<'n>>,
    resources: Option<ElementMember<'n>>,
    condition: Option<&'n JsonNode>,
}

/// `Action` or `NotAction`, and the like.
struct ElementMember<'n> {
    is_negated: NegatedElement,
    at: usize,
    value: &'n JsonNode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NegatedElement {
    No,
    Yes,
}

impl DocumentReader {
    fn of(kind: PolicyKind) -> Self {
        Self { kind, version: LanguageVersion::V2008 }
    }

    fn document(mut self, root: &JsonNode) -> Read<PolicyDocument> {
        let (mut id, mut statements) = (None, None);
        for member in object(root, "an object")? {
            match member.name.as_str() {
                "Version" => {
                    let text = text_of(&member.value)?;
                    let unknown = || at(member.value.at, PolicyFault::Version(text.to_owned()));
                    self.version = LanguageVersion::parse(text).ok_or_else(unknown)?;
                }
                "Id" => id = Some(text_of(&member.value)?.to_owned()),
                "Statement" => statements = Some(&member.value),
                _ => return Err(at(member.at, PolicyFault::UnknownMember(member.name.clone()))),
            }
        }
        // The version is known before the first text is read, wherever it stands.
        let list = one_or_more(statements.ok_or_else(|| at(root.at, PolicyFault::MissingStatement))?, "`Statement`")?;
        let statements = list.iter().map(|node| self.statement(node)).collect::<Read<Vec<_>>>()?;
        let mut sids = BTreeSet::new();
        for (statement, node) in statements.iter().zip(list) {
            let Some(sid) = statement.sid().filter(|sid| !sid.is_empty()) else { continue };
            if !sids.insert(sid) {
                return Err(at(node.at, PolicyFault::DuplicateSid(sid.to_owned())));
            }
        }
        Ok(PolicyDocument { version: self.version, id, statements })
    }

    fn statement(&self, node: &JsonNode) -> Read<PolicyStatement> {
        let members = StatementMembers::of(node)?;
        let missing = |fault| at(node.at, fault);
        let effect = effect(members.effect.ok_or_else(|| missing(PolicyFault::MissingEffect))?)?;
        let actions = members.actions.ok_or_else(|| missing(PolicyFault::MissingActions))?;
        Ok(PolicyStatement {
            sid: members.sid.map(|node| self.sid(node)).transpose()?,
            effect,
            principals: self.principals(members.principals, effect, node)?,
            actions: self.actions(&actions)?,
            resources: self.resources(members.resources, node)?,
            conditions: members.condition.map(|node| self.conditions(node)).transpose()?.unwrap_or_default(),
        })
    }

    fn sid(&self, node: &JsonNode) -> Read<String> {
        let text = text_of(node)?;
        // S3 takes any text in the policy of a bucket.
        let legal = self.kind == PolicyKind::Resource || text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if legal { Ok(text.to_owned()) } else { Err(at(node.at, PolicyFault::Sid(text.to_owned()))) }
    }

    fn actions(&self, member: &ElementMember<'_>) -> Read<ElementScope<ActionPattern>> {
        let patterns = texts(member.value, "the list of actions")?;
        let patterns = patterns.into_iter().map(|(text, place)| {
            let pattern = ActionPattern::parse(text).map_err(|_| at(place, PolicyFault::Action(text.to_owned())))?;
            if self.kind == PolicyKind::Trust && pattern.service() != Some("sts") {
                return Err(at(place, PolicyFault::TrustAction(text.to_owned())));
            }
            Ok(pattern)
        });
        Ok(member.scope(patterns.collect::<Read<_>>()?))
    }

    fn resources(
        &self,
        member: Option<ElementMember<'_>>,
        statement: &JsonNode,
    ) -> Read<Option<ElementScope<ResourcePattern>>> {
        match (member, self.kind) {
            (None, PolicyKind::Trust) => Ok(None),
            (Some(member), PolicyKind::Trust) => {
                Err(at(member.at, PolicyFault::Prohibited(member.name("Resource", "NotResource"))))
            }
            (None, _) => Err(at(statement.at, PolicyFault::MissingResources)),
            (Some(member), _) => {
                let patterns = texts(member.value, "the list of resources")?;
                let patterns = patterns.into_iter().map(|(text, place)| {
                    ResourcePattern::parse(text, self.version)
                        .map_err(|fault| at(place, PolicyFault::Resource { text: text.to_owned(), fault }))
                });
                Ok(Some(member.scope(patterns.collect::<Read<_>>()?)))
            }
        }
    }

    fn principals(
        &self,
        member: Option<ElementMember<'_>>,
        effect: StatementEffect,
        statement: &JsonNode,
    ) -> Read<Option<ElementScope<PrincipalPattern>>> {
        match member {
            None if self.kind.names_principals() => Err(at(statement.at, PolicyFault::MissingPrincipal)),
            None => Ok(None),
            Some(member) if !self.kind.names_principals() => Err(at(member.at, PolicyFault::ProhibitedPrincipal)),
            // It would allow principals that are added later.
            Some(member) if member.is_negated == NegatedElement::Yes && effect == StatementEffect::Allow => {
                Err(at(member.at, PolicyFault::NotPrincipalAllows))
            }
            Some(member) => Ok(Some(member.scope(principals(member.value)?))),
        }
    }

    fn conditions(&self, node: &JsonNode) -> Read<Vec<ConditionClause>> {
        let mut clauses: Vec<ConditionClause> = Vec::new();
        for below in object(node, "an object of operators")? {
            let unknown = || at(below.at, PolicyFault::ConditionOperator(below.name.clone()));
            let operator = ConditionOperator::parse(&below.name).ok_or_else(unknown)?;
            let keys = object(&below.value, "an object of condition keys")?;
            if keys.is_empty() {
                return Err(at(below.value.at, PolicyFault::Empty("a condition's list of keys")));
            }
            for member in keys {
                let clause = self.clause(operator, member)?;
                // Keys in other letters are the same key, and two readers might take one of them each.
                if clauses.iter().any(|other| other.operator == operator && other.key.is_same(&clause.key)) {
                    return Err(at(member.at, PolicyFault::DuplicateMember(member.name.clone())));
                }
                clauses.push(clause);
            }
        }
        Ok(clauses)
    }

    fn clause(&self, operator: ConditionOperator, member: &JsonMember) -> Read<ConditionClause> {
        let key = ConditionKey::parse(&member.name).map_err(|fault| at(member.at, PolicyFault::ConditionKey(fault)))?;
        let nodes = one_or_more(&member.value, "a condition's list of values")?;
        let values = nodes.iter().map(|node| {
            let text = scalar(node)?;
            ConditionValue::parse(&text, operator.comparison, self.version).map_err(|fault| match fault {
                ValueFault::Expected(expected) => at(node.at, PolicyFault::ConditionValue { text, expected }),
                ValueFault::Variable(fault) => at(node.at, PolicyFault::Variable(fault)),
            })
        });
        Ok(ConditionClause { operator, key, values: values.collect::<Read<_>>()? })
    }
}

impl<'n> StatementMembers<'n> {
    fn of(node: &'n JsonNode) -> Read<Self> {
        let mut members = Self::default();
        for member in object(node, "a statement")? {
            let element = |is_negated| ElementMember { is_negated, at: member.at, value: &member.value };
            let (place, names, found) = match member.name.as_str() {
                "Sid" => {
                    members.sid = Some(&member.value);
                    continue;
                }
                "Effect" => {
                    members.effect = Some(&member.value);
                    continue;
                }
                "Condition" => {
                    members.condition = Some(&member.value);
                    continue;
                }
                "Action" => (&mut members.actions, ACTION, element(NegatedElement::No)),
                "NotAction" => (&mut members.actions, ACTION, element(NegatedElement::Yes)),
                "Resource" => (&mut members.resources, RESOURCE, element(NegatedElement::No)),
                "NotResource" => (&mut members.resources, RESOURCE, element(NegatedElement::Yes)),
                "Principal" => (&mut members.principals, PRINCIPAL, element(NegatedElement::No)),
                "NotPrincipal" => (&mut members.principals, PRINCIPAL, element(NegatedElement::Yes)),
                _ => return Err(at(member.at, PolicyFault::UnknownMember(member.name.clone()))),
            };
            if place.replace(found).is_some() {
                return Err(at(member.at, PolicyFault::Both(names.0, names.1)));
            }
        }
        Ok(members)
    }
}

const ACTION: (&str, &str) = ("Action", "NotAction");
const PRINCIPAL: (&str, &str) = ("Principal", "NotPrincipal");
const RESOURCE: (&str, &str) = ("Resource", "NotResource");

impl ElementMember<'_> {
    fn scope<T>(&self, patterns: Vec<T>) -> ElementScope<T> {
        match self.is_negated {
            NegatedElement::No => ElementScope::Only(patterns),
            NegatedElement::Yes => ElementScope::AllBut(patterns),
        }
    }

    fn name(&self, plain: &'static str, negated: &'static str) -> &'static str {
        match self.is_negated {
            NegatedElement::No => plain,
            NegatedElement::Yes => negated,
        }
    }
}

/// Reads `"*"`, or lists of principals by their kind.
fn principals(node: &JsonNode) -> Read<Vec<PrincipalPattern>> {
    if let JsonValue::Text(text) = &node.value {
        return match text.as_str() {
            "*" => Ok(vec![PrincipalPattern::Everyone]),
            _ => Err(at(node.at, PolicyFault::Principal(text.clone()))),
        };
    }
    let mut patterns = Vec::new();
    for member in object(node, "`\"*\"` or an object of principals")? {
        let parse = match member.name.as_str() {
            "AWS" => PrincipalPattern::parse_aws,
            "Federated" => PrincipalPattern::parse_federated,
            "Service" => PrincipalPattern::parse_service,
            _ => return Err(at(member.at, PolicyFault::UnknownMember(member.name.clone()))),
        };
        for (text, place) in texts(&member.value, "the list of principals")? {
            let invalid = || at(place, PolicyFault::Principal(text.to_owned()));
            patterns.push(parse(text).ok_or_else(invalid)?);
        }
    }
    if patterns.is_empty() { Err(at(node.at, PolicyFault::Empty("the list of principals"))) } else { Ok(patterns) }
}

fn effect(node: &JsonNode) -> Read<StatementEffect> {
    let text = text_of(node)?;
    let known = [StatementEffect::Allow, StatementEffect::Deny].into_iter().find(|effect| effect.as_str() == text);
    known.ok_or_else(|| at(node.at, PolicyFault::Effect(text.to_owned())))
}

fn at(at: usize, fault: PolicyFault) -> PlacedFault {
    PlacedFault { at, fault }
}

fn object<'n>(node: &'n JsonNode, expected: &'static str) -> Read<&'n [JsonMember]> {
    match &node.value {
        JsonValue::Object(members) => Ok(members),
        JsonValue::Array(_) | JsonValue::Boolean(_) | JsonValue::Null | JsonValue::Number(_) | JsonValue::Text(_) => {
            Err(at(node.at, PolicyFault::WrongType(expected)))
        }
    }
}

/// The elements of a list that is not empty, or the one value that stands for such a list.
fn one_or_more<'n>(node: &'n JsonNode, what: &'static str) -> Read<&'n [JsonNode]> {
    match &node.value {
        JsonValue::Array(elements) if elements.is_empty() => Err(at(node.at, PolicyFault::Empty(what))),
        JsonValue::Array(elements) => Ok(elements),
        JsonValue::Boolean(_) | JsonValue::Null | JsonValue::Number(_) | JsonValue::Object(_) | JsonValue::Text(_) => {
            Ok(std::slice::from_ref(node))
        }
    }
}

/// The texts of a list, each with its place.
fn texts<'n>(node: &'n JsonNode, what: &'static str) -> Read<Vec<(&'n str, usize)>> {
    one_or_more(node, what)?.iter().map(|element| Ok((text_of(element)?, element.at))).collect()
}

fn text_of(node: &JsonNode) -> Read<&str> {
    match &node.value {
        JsonValue::Text(text) => Ok(text),
        JsonValue::Array(_) | JsonValue::Boolean(_) | JsonValue::Null | JsonValue::Number(_) | JsonValue::Object(_) => {
            Err(at(node.at, PolicyFault::WrongType("a string")))
        }
    }
}

/// A value of a condition: a text, or a number or boolean as it is written.
fn scalar(node: &JsonNode) -> Read<String> {
    match &node.value {
        JsonValue::Boolean(value) => Ok(value.to_string()),
        JsonValue::Number(text) | JsonValue::Text(text) => Ok(text.clone()),
        JsonValue::Array(_) | JsonValue::Null | JsonValue::Object(_) => {
            Err(at(node.at, PolicyFault::WrongType("a string, a number or a boolean")))
        }
    }
}
