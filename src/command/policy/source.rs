//! Where a policy comes from: a file, or a managed policy by its name.

use std::fs;
use std::path::Path;

use crate::command::error::CommandError;
use portcullis_policy::{ManagedPolicy, NamedPolicy, PolicyDocument, PolicyKind};

/// A policy that was read, with the name that it is shown by.
pub(super) struct PolicySource {
    pub name: String,
    pub document: PolicyDocument,
}

impl PolicySource {
    /// Reads a file, or takes the managed policy of this name.
    pub(super) fn named_or_in_file(place: &Path, kind: PolicyKind) -> Result<Self, CommandError> {
        // `./readonly` is the file of that name.
        let managed = place.to_str().and_then(ManagedPolicy::named);
        match managed {
            Some(policy) => Self::parse(policy.name.to_owned(), policy.text, PolicyKind::Managed),
            None => Self::in_file(place, kind),
        }
    }

    /// Reads a file.
    pub(super) fn in_file(place: &Path, kind: PolicyKind) -> Result<Self, CommandError> {
        let name = place.display().to_string();
        let text = fs::read_to_string(place).map_err(|error| {
            CommandError::unreadable(format!("{name} cannot be read: {error}"))
                .next("A policy is a file, or one of those that `portcullis policy list` shows.")
        })?;
        Self::parse(name, &text, kind)
    }

    pub(super) fn parse(name: String, text: &str, kind: PolicyKind) -> Result<Self, CommandError> {
        let document =
            PolicyDocument::parse(text, kind).map_err(|fault| CommandError::failed(format!("{name}: {fault}")))?;
        Ok(Self { name, document })
    }

    /// The policy as the decision takes it.
    pub(super) fn named(&self) -> NamedPolicy<'_> {
        NamedPolicy { name: &self.name, document: &self.document }
    }
}
