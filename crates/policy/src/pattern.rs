//! Text with `*`, `?` and variables, and whether another text is one that it stands for.

use std::borrow::Cow;

use crate::document::LanguageVersion;
use crate::request::RequestValues;
use crate::variable::{PolicyVariable, TextToken, VariableFault, Wildcards, tokens};

/// What a text with wildcards and variables stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextPattern {
    /// What stands between the `*`: one run where there is none.
    runs: Vec<Vec<PatternPiece>>,
    case: LetterCase,
}

/// A part of a run; each stands for a text that ends where the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternPiece {
    AnyCharacter,
    Text(Box<str>),
    Variable(PolicyVariable),
}

/// Whether letters of both cases are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetterCase {
    Ignored,
    Told,
}

/// What comparing a value of the request with one of the policy tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueMatch {
    Differs,
    Matches,
    /// One of the two cannot be read, or a variable has no value.
    Unclear,
}

impl TextPattern {
    /// Reads a text whose `*` and `?` stand for others.
    pub(crate) fn with_wildcards(
        text: &str,
        version: LanguageVersion,
        case: LetterCase,
    ) -> Result<Self, VariableFault> {
        Self::read(text, version, Wildcards::Stand, case)
    }

    /// Reads a text whose `*` and `?` are letters.
    pub(crate) fn exact(text: &str, version: LanguageVersion, case: LetterCase) -> Result<Self, VariableFault> {
        Self::read(text, version, Wildcards::Letters, case)
    }

    fn read(
        text: &str,
        version: LanguageVersion,
        wildcards: Wildcards,
        case: LetterCase,
    ) -> Result<Self, VariableFault> {
        let mut runs = vec![Vec::new()];
        for token in tokens(text, version, wildcards)? {
            let piece = match token {
                TextToken::AnyText => {
                    runs.push(Vec::new());
                    continue;
                }
                TextToken::AnyCharacter => PatternPiece::AnyCharacter,
                TextToken::Text(text) => PatternPiece::Text(case.of(&text).into()),
                TextToken::Variable(variable) => PatternPiece::Variable(variable),
            };
            // There is a last run: the first one is there from the beginning.
            if let Some(run) = runs.last_mut() {
                run.push(piece);
            }
        }
        Ok(Self { runs, case })
    }

    /// Whether the pattern stands for this text.
    ///
    /// Between two `*` the first place that fits is as good as any later one, so nothing is tried twice: the cost is at
    /// most the product of both lengths.
    pub(crate) fn compare(&self, text: &str, values: &RequestValues) -> ValueMatch {
        if !self.has_values(values) {
            return ValueMatch::Unclear;
        }
        let matches = self.matches(&self.case.of(text), values);
        if matches { ValueMatch::Matches } else { ValueMatch::Differs }
    }

    /// Its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &PolicyVariable> {
        self.runs.iter().flatten().filter_map(|piece| match piece {
            PatternPiece::Variable(variable) => Some(variable),
            PatternPiece::AnyCharacter | PatternPiece::Text(_) => None,
        })
    }

    /// Whether each of its variables has a value.
    fn has_values(&self, values: &RequestValues) -> bool {
        self.variables().all(|variable| variable.value(values).is_some())
    }

    fn matches(&self, text: &str, values: &RequestValues) -> bool {
        let run = RunMatcher { case: self.case, values };
        match self.runs.as_slice() {
            [] => false,
            [only] => run.after(only, text) == Some(""),
            [first, between @ .., last] => {
                let inner = run.after(first, text).and_then(|rest| run.before(last, rest));
                inner.and_then(|inner| between.iter().try_fold(inner, |rest, one| run.find(one, rest))).is_some()
            }
        }
    }
}

/// Finds runs in a text.
struct RunMatcher<'v> {
    case: LetterCase,
    values: &'v RequestValues,
}

impl RunMatcher<'_> {
    /// What is left when the text begins with the run.
    fn after<'t>(&self, run: &[PatternPiece], text: &'t str) -> Option<&'t str> {
        run.iter().try_fold(text, |rest, piece| match piece {
            PatternPiece::AnyCharacter => without_first(rest),
            PatternPiece::Text(piece) => rest.strip_prefix(&**piece),
            PatternPiece::Variable(variable) => rest.strip_prefix(&*self.value(variable)?),
        })
    }

    /// What is left when the text ends with the run.
    fn before<'t>(&self, run: &[PatternPiece], text: &'t str) -> Option<&'t str> {
        run.iter().rev().try_fold(text, |rest, piece| match piece {
            PatternPiece::AnyCharacter => {
                let mut letters = rest.chars();
                letters.next_back().map(|_| letters.as_str())
            }
            PatternPiece::Text(piece) => rest.strip_suffix(&**piece),
            PatternPiece::Variable(variable) => rest.strip_suffix(&*self.value(variable)?),
        })
    }

    /// What is left behind the first place where the run is.
    fn find<'t>(&self, run: &[PatternPiece], text: &'t str) -> Option<&'t str> {
        if let [PatternPiece::Text(piece)] = run {
            return text.split_once(&**piece).map(|(_, rest)| rest);
        }
        std::iter::successors(Some(text), |rest| without_first(rest)).find_map(|rest| self.after(run, rest))
    }

    fn value<'a>(&'a self, variable: &'a PolicyVariable) -> Option<Cow<'a, str>> {
        variable.value(self.values).map(|value| self.case.of(value))
    }
}

fn without_first(text: &str) -> Option<&str> {
    let mut letters = text.chars();
    letters.next().map(|_| letters.as_str())
}

impl LetterCase {
    fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            // Letter by letter, so that a text in pieces is the same as the whole.
            Self::Ignored => Cow::Owned(text.chars().flat_map(char::to_lowercase).collect()),
            Self::Told => Cow::Borrowed(text),
        }
    }
}

impl ValueMatch {
    /// The best of what comparing with each of several values tells.
    pub(crate) fn any(all: impl IntoIterator<Item = Self>) -> Self {
        let mut best = Self::Differs;
        for one in all {
            match one {
                Self::Matches => return Self::Matches,
                Self::Unclear => best = Self::Unclear,
                Self::Differs => {}
            }
        }
        best
    }
}
