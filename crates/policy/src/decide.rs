//! The decision: an explicit Deny anywhere, else what is allowed within each limit, else nothing.

use crate::document::{ElementScope, PolicyDocument, PolicyStatement, StatementEffect};
use crate::principal::{PrincipalMatch, PrincipalType};
use crate::request::AccessRequest;

/// The policies that apply to a principal and a resource.
#[derive(Clone, Debug)]
pub struct ApplicablePolicies<'a> {
    /// Of the user or role itself, and of the user's groups.
    pub identity: Vec<NamedPolicy<'a>>,
    /// The most that the identity's policies can allow.
    pub boundary: PermissionLimit<'a>,
    /// The most that the session can be allowed.
    pub session: PermissionLimit<'a>,
    pub resource: ResourcePolicies<'a>,
}

/// A policy and how it is spoken of.
#[derive(Clone, Copy, Debug)]
pub struct NamedPolicy<'a> {
    pub name: &'a str,
    pub document: &'a PolicyDocument,
}

/// Policies that allow nothing themselves, and without whose Allow nothing is allowed.
#[derive(Clone, Debug)]
pub enum PermissionLimit<'a> {
    None,
    Within(Vec<NamedPolicy<'a>>),
}

/// The policies of the resource itself.
#[derive(Clone, Debug)]
pub enum ResourcePolicies<'a> {
    /// They allow beside the identity's own policies, as a bucket's do.
    Grant(Vec<NamedPolicy<'a>>),
    None,
    /// Without their Allow nothing is allowed: a role's trust policy.
    Required(Vec<NamedPolicy<'a>>),
}

/// Whether a request is allowed, and by which statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyDecision<'a> {
    Allow(DecidingStatement<'a>),
    ExplicitDeny(DecidingStatement<'a>),
    /// No Allow; the role is that of the policies in which one is missing.
    ImplicitDeny(PolicyRole),
}

/// The statement that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecidingStatement<'a> {
    /// The policy's name.
    pub policy: &'a str,
    pub role: PolicyRole,
    /// Its place in the document, from 0.
    pub index: usize,
    pub sid: Option<&'a str>,
}

/// What a policy is to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRole {
    Boundary,
    Identity,
    Resource,
    Session,
}

/// How far an Allow of a resource's policy reaches.
enum ResourceGrant<'a> {
    /// It stands by itself: it names the principal, whose other policies need not allow it as well.
    Alone(DecidingStatement<'a>),
    /// To the principal's account: its own policies must allow it as well.
    Delegated,
    None,
    /// In place of an Allow of the principal's own policies, within the limits of boundary and session.
    Within(DecidingStatement<'a>),
}

/// Decides by AWS's rules for principals and resources of one account.
///
/// Root is bound by no policy of its own, and is not asked about here.
pub fn decide<'a>(request: &AccessRequest<'_>, policies: &ApplicablePolicies<'a>) -> PolicyDecision<'a> {
    if let Some(statement) = policies.denial(request) {
        return PolicyDecision::ExplicitDeny(statement);
    }
    let own = allowing(request, &policies.identity, PolicyRole::Identity);
    let allow = match policies.grant(request) {
        ResourceGrant::Alone(statement) => return PolicyDecision::Allow(statement),
        ResourceGrant::Delegated => own,
        ResourceGrant::None if policies.resource.is_required() => {
            return PolicyDecision::ImplicitDeny(PolicyRole::Resource);
        }
        ResourceGrant::None => own,
        ResourceGrant::Within(statement) => own.or(Some(statement)),
    };
    let Some(allow) = allow else { return PolicyDecision::ImplicitDeny(PolicyRole::Identity) };
    let limits = [(&policies.boundary, PolicyRole::Boundary), (&policies.session, PolicyRole::Session)];
    match limits.into_iter().find(|(limit, role)| !limit.allows(request, *role)) {
        Some((_, role)) => PolicyDecision::ImplicitDeny(role),
        None => PolicyDecision::Allow(allow),
    }
}

impl<'a> ApplicablePolicies<'a> {
    fn denial(&self, request: &AccessRequest<'_>) -> Option<DecidingStatement<'a>> {
        let roles = [
            (self.identity.as_slice(), PolicyRole::Identity),
            (self.boundary.policies(), PolicyRole::Boundary),
            (self.session.policies(), PolicyRole::Session),
            (self.resource.policies(), PolicyRole::Resource),
        ];
        roles.into_iter().find_map(|(policies, role)| {
            applying(request, policies, role, StatementEffect::Deny).next().map(|(deciding, _)| deciding)
        })
    }

    /// The furthest reaching Allow of the resource's policies.
    fn grant(&self, request: &AccessRequest<'_>) -> ResourceGrant<'a> {
        let allows = applying(request, self.resource.policies(), PolicyRole::Resource, StatementEffect::Allow)
            .map(|(deciding, statement)| (statement.names(request), deciding));
        // The first of those that name the principal most closely.
        let closest = allows.reduce(|best, next| if next.0 > best.0 { next } else { best });
        match closest {
            None | Some((PrincipalMatch::No, _)) => ResourceGrant::None,
            Some((PrincipalMatch::Account, _)) => ResourceGrant::Delegated,
            Some((PrincipalMatch::Included, statement)) => ResourceGrant::Within(statement),
            Some((PrincipalMatch::Itself, statement)) => match (request.principal.kind(), &self.session) {
                // The session was asked for to be allowed less than its user.
                (PrincipalType::User, PermissionLimit::Within(_)) => ResourceGrant::Within(statement),
                _ => ResourceGrant::Alone(statement),
            },
        }
    }
}

impl<'a> PermissionLimit<'a> {
    fn policies(&self) -> &[NamedPolicy<'a>] {
        match self {
            Self::None => &[],
            Self::Within(policies) => policies,
        }
    }

    fn allows(&self, request: &AccessRequest<'_>, role: PolicyRole) -> bool {
        match self {
            Self::None => true,
            Self::Within(policies) => allowing(request, policies, role).is_some(),
        }
    }
}

impl<'a> ResourcePolicies<'a> {
    fn policies(&self) -> &[NamedPolicy<'a>] {
        match self {
            Self::None => &[],
            Self::Grant(policies) | Self::Required(policies) => policies,
        }
    }

    fn is_required(&self) -> bool {
        match self {
            Self::Required(_) => true,
            Self::Grant(_) | Self::None => false,
        }
    }
}

fn allowing<'a>(
    request: &AccessRequest<'_>,
    policies: &[NamedPolicy<'a>],
    role: PolicyRole,
) -> Option<DecidingStatement<'a>> {
    applying(request, policies, role, StatementEffect::Allow).next().map(|(deciding, _)| deciding)
}

/// The statements of this effect that apply to the request and, where they name principals, to its principal.
fn applying<'p, 'a: 'p>(
    request: &'p AccessRequest<'_>,
    policies: &'p [NamedPolicy<'a>],
    role: PolicyRole,
    effect: StatementEffect,
) -> impl Iterator<Item = (DecidingStatement<'a>, &'a PolicyStatement)> + 'p {
    let statements = policies.iter().flat_map(|policy| {
        policy.document.statements.iter().enumerate().map(|(index, statement)| (policy.name, index, statement))
    });
    let applying = statements.filter(move |(_, _, statement)| {
        let is_named = || statement.names(request) != PrincipalMatch::No;
        statement.effect == effect && is_named() && statement.applies(request)
    });
    applying.map(move |(policy, index, statement)| {
        (DecidingStatement { policy, role, index, sid: statement.sid() }, statement)
    })
}

impl PolicyStatement {
    /// How closely the statement names the request's principal.
    fn names(&self, request: &AccessRequest<'_>) -> PrincipalMatch {
        let closest = |patterns: &[crate::principal::PrincipalPattern]| {
            patterns.iter().map(|pattern| pattern.names(request.principal)).max().unwrap_or(PrincipalMatch::No)
        };
        match &self.principals {
            // The policy is attached to the principal.
            None => PrincipalMatch::Itself,
            Some(ElementScope::Only(patterns)) => closest(patterns),
            // A member of a listed account is not excepted by that, as at AWS.
            Some(ElementScope::AllBut(patterns)) => match closest(patterns) {
                PrincipalMatch::Itself | PrincipalMatch::Included => PrincipalMatch::No,
                PrincipalMatch::Account | PrincipalMatch::No => PrincipalMatch::Included,
            },
        }
    }
}
