//! ARNs: six parts between colons, each compared by itself, so that a `*` does not reach into the next part.

use crate::document::LanguageVersion;
use crate::pattern::{LetterCase, TextPattern, ValueMatch};
use crate::request::{ARN_PARTS, RequestResource, RequestValues};
use crate::variable::VariableFault;

/// An ARN of a policy, perhaps with wildcards and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArnPattern {
    text: Box<str>,
    parts: Vec<TextPattern>,
}

/// What a statement's `Resource` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourcePattern {
    Arn(ArnPattern),
    Everything,
}

/// Why a text names no resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceFault {
    NotArn,
    Partition,
    Service,
    Variable(VariableFault),
}

/// Partitions of AWS.
const PARTITIONS: &[&str] = &["aws", "aws-cn", "aws-us-gov"];

impl ArnPattern {
    pub(crate) fn parse(text: &str, version: LanguageVersion) -> Result<Self, VariableFault> {
        let parts = parts_of(text, version);
        let parts = parts.into_iter().map(|part| TextPattern::with_wildcards(part, version, LetterCase::Told));
        Ok(Self { text: text.into(), parts: parts.collect::<Result<_, _>>()? })
    }

    /// The text as it stands in the policy.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Compares with the ARN that a condition looks at. What has other than six parts is no ARN, and matches none.
    pub(crate) fn compare(&self, arn: &str, values: &RequestValues) -> ValueMatch {
        let parts = || arn.splitn(ARN_PARTS, ':');
        if self.parts.len() != ARN_PARTS || parts().count() != ARN_PARTS {
            return ValueMatch::Unclear;
        }
        self.compare_parts(parts(), values)
    }

    fn compare_parts<'t>(&self, parts: impl Iterator<Item = &'t str>, values: &RequestValues) -> ValueMatch {
        let compared = self.parts.iter().zip(parts).map(|(pattern, part)| pattern.compare(part, values));
        let mut all = ValueMatch::Matches;
        for one in compared {
            match one {
                ValueMatch::Differs => return ValueMatch::Differs,
                ValueMatch::Unclear => all = ValueMatch::Unclear,
                ValueMatch::Matches => {}
            }
        }
        all
    }
}

impl ResourcePattern {
    /// Reads `*` or an ARN. An ARN may end early if it ends with `*`, which then stands for all further parts, as at AWS.
    pub(crate) fn parse(text: &str, version: LanguageVersion) -> Result<Self, ResourceFault> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        let parts = parts_of(text, version);
        let [arn, partition, service, _, ..] = parts.as_slice() else { return Err(ResourceFault::NotArn) };
        if *arn != "arn" || (parts.len() < ARN_PARTS && !text.ends_with('*')) {
            return Err(ResourceFault::NotArn);
        }
        if !PARTITIONS.contains(partition) {
            return Err(ResourceFault::Partition);
        }
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if service.is_empty() || !service.chars().all(letters) {
            return Err(ResourceFault::Service);
        }
        ArnPattern::parse(text, version).map(Self::Arn).map_err(ResourceFault::Variable)
    }

    /// The text as it stands in the policy.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Arn(pattern) => pattern.as_str(),
            Self::Everything => "*",
        }
    }

    pub(crate) fn compare(&self, resource: &RequestResource<'_>, values: &RequestValues) -> ValueMatch {
        match self {
            Self::Everything => ValueMatch::Matches,
            Self::Arn(pattern) => match resource.arn_in(pattern.parts.len()) {
                Some(parts) => pattern.compare_parts(parts, values),
                None => ValueMatch::Differs,
            },
        }
    }
}

/// Cuts at the first five colons that stand outside variables.
fn parts_of(text: &str, version: LanguageVersion) -> Vec<&str> {
    let mut parts = Vec::with_capacity(ARN_PARTS);
    let mut rest = text;
    while parts.len() + 1 < ARN_PARTS {
        let Some(at) = next_colon(rest, version) else { break };
        let Some((part, after)) = rest.split_at_checked(at) else { break };
        parts.push(part);
        rest = after.strip_prefix(':').unwrap_or(after);
    }
    parts.push(rest);
    parts
}

/// Where the first colon outside a variable is.
fn next_colon(text: &str, version: LanguageVersion) -> Option<usize> {
    let (mut is_inside, mut previous) = (false, ' ');
    text.find(|letter| {
        is_inside = match (is_inside, previous, letter) {
            (false, '$', '{') => version.has_variables(),
            (true, _, '}') => false,
            (same, ..) => same,
        };
        previous = letter;
        letter == ':' && !is_inside
    })
}
