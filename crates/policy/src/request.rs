//! What is known about a request when policies are asked.

use crate::condition::ConditionKey;
use crate::principal::RequestPrincipal;

/// How many parts an ARN has.
pub(crate) const ARN_PARTS: usize = 6;

/// One action on one resource, by one principal.
#[derive(Clone, Debug)]
pub struct AccessRequest<'a> {
    pub(crate) principal: &'a RequestPrincipal,
    /// In lower case.
    pub(crate) action: String,
    pub(crate) resource: RequestResource<'a>,
    pub(crate) values: &'a RequestValues,
}

/// The resource of a request: an ARN, or `*` where an action has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestResource<'a> {
    text: &'a str,
    kind: ResourceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResourceKind {
    Arn,
    Other,
}

/// The values that conditions look at, by key.
///
/// It is filled from the typed request alone. No header of a client becomes a value by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestValues(Vec<(ConditionKey, KeyValues)>);

/// The values of one key. Almost every key has one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyValues {
    Many(Vec<String>),
    One(String),
}

impl<'a> AccessRequest<'a> {
    /// `s3:GetObject` on `arn:aws:s3:::vault/k`.
    pub fn new(principal: &'a RequestPrincipal, action: &str, resource: &'a str, values: &'a RequestValues) -> Self {
        Self { principal, action: action.to_ascii_lowercase(), resource: RequestResource::new(resource), values }
    }
}

impl<'a> RequestResource<'a> {
    fn new(text: &'a str) -> Self {
        let is_arn = text.starts_with("arn:") && text.split(':').count() >= ARN_PARTS;
        Self { text, kind: if is_arn { ResourceKind::Arn } else { ResourceKind::Other } }
    }

    /// The ARN, which has six parts.
    pub(crate) fn arn(&self) -> Option<&'a str> {
        match self.kind {
            ResourceKind::Arn => Some(self.text),
            ResourceKind::Other => None,
        }
    }
}

impl RequestValues {
    /// What the principal alone says: its ARN, its account, its type and, of a user, its name.
    pub fn of_principal(principal: &RequestPrincipal) -> Self {
        let mut values = Self::default();
        let mut set = |key, value: &str| values.set(ConditionKey::global(key), [value.to_owned()]);
        if let Some(account) = principal.account() {
            set("aws:PrincipalAccount", account.as_str());
            set("aws:PrincipalArn", principal.policy_arn());
        }
        if let Some(name) = principal.user_name() {
            set("aws:username", name);
        }
        if let Some(kind) = principal.kind().as_str() {
            set("aws:PrincipalType", kind);
        }
        values
    }

    /// No values.
    pub(crate) const NONE: &'static Self = &Self(Vec::new());

    /// Says what a key's values are, in place of what was said before.
    pub fn set(&mut self, key: ConditionKey, values: impl IntoIterator<Item = String>) {
        let mut values = values.into_iter();
        let values = match (values.next(), values.next()) {
            (None, _) => KeyValues::Many(Vec::new()),
            (Some(value), None) => KeyValues::One(value),
            (Some(first), Some(second)) => KeyValues::Many([first, second].into_iter().chain(values).collect()),
        };
        match self.0.iter_mut().find(|(other, _)| other.is_same(&key)) {
            Some((_, before)) => *before = values,
            None => self.0.push((key, values)),
        }
    }

    /// The same, but for keys that are not among these.
    pub(crate) fn only(mut self, keys: &[ConditionKey]) -> Self {
        self.0.retain(|(known, _)| keys.iter().any(|key| key.is_same(known)));
        self
    }

    /// The key's values; none if it is absent.
    pub fn of(&self, key: &ConditionKey) -> &[String] {
        match self.0.iter().find(|(other, _)| other.is_same(key)) {
            None => &[],
            Some((_, KeyValues::Many(values))) => values,
            Some((_, KeyValues::One(value))) => std::slice::from_ref(value),
        }
    }
}
