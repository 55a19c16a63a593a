//! ARNs: six parts between colons, each compared by itself, so that a `*` does not reach into the next part.

use crate::document::LanguageVersion;
use crate::pattern::{LetterCase, TextPattern, ValueMatch};
use crate::request::{ARN_PARTS, RequestResource, RequestValues};
use crate::variable::{PolicyVariable, VariableFault};

/// An ARN of a policy, perhaps with wildcards and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArnPattern {
    text: Box<str>,
    /// The first parts without wildcards and variables, with their colons: `arn:aws:s3:::`. One comparison tells most ARNs
    /// apart.
    head: Box<str>,
    /// The parts behind the head.
    tail: Vec<TextPattern>,
    /// How many parts there are.
    length: usize,
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
        let length = parts.len();
        let is_plain = |part: &&&str| !part.contains(['*', '?', '$']);
        // The last part has no colon behind it.
        let head = parts.iter().take(length.saturating_sub(1)).take_while(is_plain).count();
        let (head, tail) = parts.split_at_checked(head).unwrap_or((&[], &parts));
        let tail = tail.iter().map(|part| TextPattern::with_wildcards(part, version, LetterCase::Told));
        Ok(Self {
            text: text.into(),
            head: head.iter().map(|part| format!("{part}:")).collect::<String>().into(),
            tail: tail.collect::<Result<_, _>>()?,
            length,
        })
    }

    /// The text as it stands in the policy.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &PolicyVariable> {
        self.tail.iter().flat_map(TextPattern::variables)
    }

    /// Compares with the ARN that a condition looks at. What has other than six parts is no ARN, and matches none.
    pub(crate) fn compare(&self, arn: &str, values: &RequestValues) -> ValueMatch {
        if self.length != ARN_PARTS || arn.splitn(ARN_PARTS, ':').count() != ARN_PARTS {
            return ValueMatch::Unclear;
        }
        self.compare_parts(arn, values)
    }

    /// Compares part by part with a text that has as many parts; the last one holds the rest.
    fn compare_parts(&self, arn: &str, values: &RequestValues) -> ValueMatch {
        let Some(rest) = arn.strip_prefix(&*self.head) else { return ValueMatch::Differs };
        let parts = rest.splitn(self.tail.len(), ':');
        let compared = self.tail.iter().zip(parts).map(|(pattern, part)| pattern.compare(part, values));
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

    /// Its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &PolicyVariable> {
        let pattern = match self {
            Self::Arn(pattern) => Some(pattern),
            Self::Everything => None,
        };
        pattern.into_iter().flat_map(ArnPattern::variables)
    }

    pub(crate) fn compare(&self, resource: &RequestResource<'_>, values: &RequestValues) -> ValueMatch {
        match self {
            Self::Everything => ValueMatch::Matches,
            Self::Arn(pattern) => match resource.arn() {
                Some(arn) => pattern.compare_parts(arn, values),
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
