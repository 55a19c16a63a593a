//! Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and `${*}`, `${?}`, `${$}` for the letters.

use std::borrow::Cow;

use crate::condition::{ConditionKey, UnknownConditionKey};
use crate::document::LanguageVersion;
use crate::request::RequestValues;

/// A part of a text in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextToken<'t> {
    /// `?`
    AnyCharacter,
    /// `*`
    AnyText,
    Text(Cow<'t, str>),
    Variable(PolicyVariable),
}

/// What stands for a value of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyVariable {
    key: ConditionKey,
    default: Option<Box<str>>,
}

/// Why a text has no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VariableFault {
    /// The default is not a text in single quotes.
    BadDefault(String),
    /// `${` without `}`.
    Open,
    UnknownKey(UnknownConditionKey),
}

/// Whether `*` and `?` stand for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wildcards {
    Letters,
    Stand,
}

/// Splits a text of a policy of this version.
pub(crate) fn tokens(
    text: &str,
    version: LanguageVersion,
    wildcards: Wildcards,
) -> Result<Vec<TextToken<'_>>, VariableFault> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_special = |letter: char| match letter {
            '*' | '?' => wildcards == Wildcards::Stand,
            '$' => version.has_variables(),
            _ => false,
        };
        let (token, after) = match rest.find(is_special) {
            Some(0) => special(rest)?,
            Some(at) => split(rest, at),
            None => split(rest, rest.len()),
        };
        tokens.push(token);
        rest = after;
    }
    Ok(tokens)
}

fn split(text: &str, at: usize) -> (TextToken<'_>, &str) {
    let (text, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    (TextToken::Text(text.into()), rest)
}

/// Reads the token at the beginning: a wildcard or what begins with `$`.
fn special(text: &str) -> Result<(TextToken<'_>, &str), VariableFault> {
    if let Some(rest) = text.strip_prefix('*') {
        return Ok((TextToken::AnyText, rest));
    }
    if let Some(rest) = text.strip_prefix('?') {
        return Ok((TextToken::AnyCharacter, rest));
    }
    let Some(inner) = text.strip_prefix("${") else { return Ok(split(text, 1)) };
    let (inner, rest) = inner.split_once('}').ok_or(VariableFault::Open)?;
    match inner {
        "*" | "?" | "$" => Ok((TextToken::Text(inner.into()), rest)),
        _ => Ok((TextToken::Variable(PolicyVariable::parse(inner)?), rest)),
    }
}

impl PolicyVariable {
    /// Reads what stands between the braces.
    fn parse(text: &str) -> Result<Self, VariableFault> {
        let (name, default) = match text.split_once(',') {
            Some((name, default)) => (name, Some(quoted(default)?.into())),
            None => (text, None),
        };
        let key = ConditionKey::parse(name.trim_matches(' ')).map_err(VariableFault::UnknownKey)?;
        Ok(Self { key, default })
    }

    /// The key whose value stands for it.
    pub(crate) fn key(&self) -> &ConditionKey {
        &self.key
    }

    /// The value that stands for it: the request's one value of the key, else the default.
    pub(crate) fn value<'a>(&'a self, values: &'a RequestValues) -> Option<&'a str> {
        match values.of(&self.key) {
            [] => self.default.as_deref(),
            [value] => Some(value),
            // No text says which of several values is meant.
            [_, _, ..] => None,
        }
    }
}

fn quoted(default: &str) -> Result<&str, VariableFault> {
    let text = default.trim_matches(' ');
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).filter(|text| !text.contains('\''));
    inner.ok_or_else(|| VariableFault::BadDefault(text.to_owned()))
}
