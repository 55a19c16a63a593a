//! What a policy document says.

use crate::action::ActionPattern;
use crate::arn::ResourcePattern;
use crate::condition::{ConditionClause, ConditionKey};
use crate::pattern::ValueMatch;
use crate::principal::PrincipalPattern;
use crate::request::AccessRequest;
use crate::variable::PolicyVariable;

/// A policy: all of it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    pub(crate) version: LanguageVersion,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<PolicyStatement>,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: StatementEffect,
    /// In policies of resources and roles.
    pub(crate) principals: Option<ElementScope<PrincipalPattern>>,
    pub(crate) actions: ElementScope<ActionPattern>,
    /// In all policies but those of roles.
    pub(crate) resources: Option<ElementScope<ResourcePattern>>,
    pub(crate) conditions: Vec<ConditionClause>,
}

/// What an element such as `Action` or `NotAction` covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ElementScope<T> {
    AllBut(Vec<T>),
    Only(Vec<T>),
}

/// What a statement does where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementEffect {
    Allow,
    Deny,
}

/// The version of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanguageVersion {
    /// Also what a document without `Version` is in. It has no variables.
    V2008,
    V2012,
}

/// What a document is for: it decides how long it may be, and whether it names principals and resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Inline, of a group.
    GroupInline,
    /// With an ARN of its own; also a permissions boundary.
    Managed,
    /// Of a resource, such as a bucket.
    Resource,
    /// Inline, of a role.
    RoleInline,
    /// Given when a session is asked for.
    Session,
    /// Who may assume a role.
    Trust,
    /// Inline, of a user.
    UserInline,
}

impl PolicyDocument {
    /// The statements, in the document's order.
    pub fn statements(&self) -> &[PolicyStatement] {
        &self.statements
    }

    /// Every key whose value a decision by it looks at, perhaps more than once.
    pub(crate) fn condition_keys(&self) -> impl Iterator<Item = &ConditionKey> {
        self.statements.iter().flat_map(PolicyStatement::condition_keys)
    }

    /// The version of the language it is written in.
    pub fn version(&self) -> LanguageVersion {
        self.version
    }
}

impl PolicyStatement {
    /// Whether the statement is about this action on this resource under these conditions; its principals are apart.
    pub(crate) fn applies(&self, request: &AccessRequest<'_>) -> bool {
        self.covers_action(&request.action)
            && self.covers_resource(request)
            && self.conditions.iter().all(|condition| condition.holds(request.values, self.effect))
    }

    fn condition_keys(&self) -> impl Iterator<Item = &ConditionKey> {
        let patterns = self.resources.iter().flat_map(|scope| match scope {
            ElementScope::AllBut(patterns) | ElementScope::Only(patterns) => patterns.iter(),
        });
        let variables = patterns.flat_map(ResourcePattern::variables).map(PolicyVariable::key);
        variables.chain(self.conditions.iter().flat_map(ConditionClause::keys))
    }

    /// What it does where it applies.
    pub fn effect(&self) -> StatementEffect {
        self.effect
    }

    /// Its name.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// The texts of `Action` or `NotAction` that name none of these actions, of which `service` is the service.
    pub fn unknown_actions<'a>(&'a self, service: &'a str, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let (ElementScope::AllBut(patterns) | ElementScope::Only(patterns)) = &self.actions;
        let of_service = patterns.iter().filter(move |pattern| pattern.service() == Some(service));
        of_service
            .filter(|pattern| !known.iter().any(|action| pattern.names(&action.to_ascii_lowercase())))
            .map(ActionPattern::as_str)
    }

    fn covers_action(&self, action: &str) -> bool {
        match &self.actions {
            ElementScope::AllBut(patterns) => !patterns.iter().any(|pattern| pattern.names(action)),
            ElementScope::Only(patterns) => patterns.iter().any(|pattern| pattern.names(action)),
        }
    }

    fn covers_resource(&self, request: &AccessRequest<'_>) -> bool {
        let compare = |patterns: &[ResourcePattern]| {
            ValueMatch::any(patterns.iter().map(|pattern| pattern.compare(&request.resource, request.values)))
        };
        match &self.resources {
            // A role's trust policy is about the role alone.
            None => true,
            Some(ElementScope::AllBut(patterns)) => compare(patterns).differs(self.effect),
            Some(ElementScope::Only(patterns)) => compare(patterns) == ValueMatch::Matches,
        }
    }
}

impl LanguageVersion {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::V2008, Self::V2012].into_iter().find(|version| version.as_str() == text)
    }

    /// As `Version` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2008 => "2008-10-17",
            Self::V2012 => "2012-10-17",
        }
    }

    /// Whether `${` begins a variable.
    pub(crate) fn has_variables(self) -> bool {
        match self {
            Self::V2008 => false,
            Self::V2012 => true,
        }
    }
}

impl StatementEffect {
    /// As `Effect` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

impl PolicyKind {
    /// The most characters a document of this kind may have, white space not counted.
    pub fn longest(self) -> usize {
        match self {
            Self::GroupInline => 5_120,
            Self::Managed => 6_144,
            Self::Resource => 20_480,
            Self::RoleInline => 10_240,
            Self::Session | Self::Trust | Self::UserInline => 2_048,
        }
    }

    /// The length of a document as it counts: in characters, white space left out.
    pub fn measure(self, text: &str) -> usize {
        text.chars().filter(|letter| !matches!(letter, ' ' | '\t' | '\n' | '\r')).count()
    }

    /// Whether its statements say for whom they are.
    pub(crate) fn names_principals(self) -> bool {
        match self {
            Self::Resource | Self::Trust => true,
            Self::GroupInline | Self::Managed | Self::RoleInline | Self::Session | Self::UserInline => false,
        }
    }
}

impl ValueMatch {
    /// Whether a statement of this effect takes the value for another one. What is unclear differs only where that denies.
    pub(crate) fn differs(self, effect: StatementEffect) -> bool {
        match self {
            Self::Differs => true,
            Self::Matches => false,
            Self::Unclear => effect == StatementEffect::Deny,
        }
    }
}
