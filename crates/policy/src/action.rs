//! Actions: `s3:GetObject`, `s3:Get*`, `*`.

use crate::document::LanguageVersion;
use crate::pattern::{LetterCase, TextPattern, ValueMatch};
use crate::request::RequestValues;

/// What a statement's `Action` names. Case does not count, so that all is compared in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActionPattern {
    text: Box<str>,
    names: ActionNames,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ActionNames {
    Everything,
    OfService { service: Box<str>, name: TextPattern },
}

/// A text that names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidActionPattern;

impl ActionPattern {
    /// Reads `*`, or a service and a name; only the name may have wildcards.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidActionPattern> {
        if text == "*" {
            return Ok(Self { text: text.into(), names: ActionNames::Everything });
        }
        let lower = text.to_ascii_lowercase();
        let (service, name) = lower.split_once(':').ok_or(InvalidActionPattern)?;
        let is_service = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '*' | '?');
        if service.is_empty() || name.is_empty() || !service.chars().all(is_service) || !name.chars().all(is_name) {
            return Err(InvalidActionPattern);
        }
        // Variables are not for actions, and `$` is no letter of a name.
        let name = TextPattern::with_wildcards(name, LanguageVersion::V2008, LetterCase::Told)
            .map_err(|_| InvalidActionPattern)?;
        Ok(Self { text: text.into(), names: ActionNames::OfService { service: service.into(), name } })
    }

    /// The text as it stands in the policy.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The service in lower case, if it names one.
    pub(crate) fn service(&self) -> Option<&str> {
        match &self.names {
            ActionNames::Everything => None,
            ActionNames::OfService { service, .. } => Some(service),
        }
    }

    /// Whether it names an action, given in lower case.
    pub(crate) fn names(&self, action: &str) -> bool {
        match &self.names {
            ActionNames::Everything => true,
            ActionNames::OfService { service, name } => {
                let rest = action.strip_prefix(&**service).and_then(|rest| rest.strip_prefix(':'));
                rest.is_some_and(|rest| name.compare(rest, RequestValues::NONE) == ValueMatch::Matches)
            }
        }
    }
}
