//! What one row of the operation table says.

use super::S3Operation;
use super::documents::DocumentGrammar;
use super::hazard::Hazard;
use super::permission::PermissionRule;
use portcullis_http::{HttpMethod, RequestHead};

/// One operation of S3: how it is told apart, what it may carry, and what it does.
#[derive(Debug)]
pub struct OperationRow {
    pub action: S3Operation,
    /// The operation's name in AWS's model.
    pub name: &'static str,
    /// An older operation of the model that looks the same on the wire.
    pub alias: Option<&'static str>,
    pub method: HttpMethod,
    pub level: TargetLevel,
    /// What must be there for a request to be this operation, and not a plainer one.
    pub marks: &'static [OperationMark],
    /// The query keys it may carry beside its marks, by group.
    pub query: &'static [&'static [&'static str]],
    /// The headers it may carry beside the common ones, by group; a name that ends with `-` is a prefix.
    pub headers: &'static [&'static [&'static str]],
    pub body: OperationBody,
    pub harm: HazardRule,
    /// The name CloudTrail gives it.
    pub event: &'static str,
    pub category: OperationCategory,
    pub access: OperationAccess,
    /// What it must be allowed.
    pub needs: &'static [PermissionRule],
}

/// What a request's target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetLevel {
    /// A row for each of the others.
    Any,
    Bucket,
    Object,
    Service,
}

/// A sign by which an operation is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationMark {
    /// A query key with exactly this value.
    Exactly(&'static str, &'static str),
    /// A query key without a value.
    Flag(&'static str),
    Header(&'static str),
    /// A path that is no bucket's.
    Path(&'static str),
    /// A query key whose value is not empty.
    Value(&'static str),
}

/// What an operation's body is.
#[derive(Clone, Copy, Debug)]
pub enum OperationBody {
    Document(&'static DocumentGrammar),
    Nothing,
    OptionalDocument(&'static DocumentGrammar),
    /// Object data.
    Payload,
    /// A bucket policy, in JSON.
    Policy,
}

/// How an operation's hazard is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HazardRule {
    /// The operation alone decides.
    Always(Hazard),
    /// The document decides.
    AsDocument,
    /// By whether a version is named.
    Deletes,
    /// By whether any entry names a version.
    DeletesMany,
    /// By what the key is.
    Replaces,
}

/// The two kinds of CloudTrail events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationCategory {
    Data,
    Management,
}

/// Whether an operation changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationAccess {
    Read,
    Write,
}

impl OperationRow {
    /// The table's own spelling of a query key that this operation may carry.
    pub fn query_key(&self, key: &str) -> Option<&'static str> {
        let marked = self.marks.iter().filter_map(OperationMark::query_key);
        marked.chain(self.query.iter().copied().flatten().copied()).find(|known| *known == key)
    }

    /// Whether this operation may carry a header, in lower case.
    pub fn takes_header(&self, name: &str) -> bool {
        self.headers.iter().copied().flatten().any(|known| match known.ends_with('-') {
            true => name.len() > known.len() && name.starts_with(known),
            false => name == *known,
        })
    }

    /// Whether a name is this operation's, or that of its older twin.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }

    /// Whether the row is for targets of this level.
    pub fn is_at(&self, level: TargetLevel) -> bool {
        self.level == level || self.level == TargetLevel::Any
    }
}

impl OperationMark {
    /// Whether a request carries this mark.
    pub fn is_on(&self, head: &RequestHead) -> bool {
        match self {
            Self::Exactly(key, value) => head.query.value(key) == Some(value),
            Self::Flag(key) | Self::Value(key) => head.query.has(key),
            Self::Header(name) => head.headers.has(name),
            Self::Path(path) => head.path == *path,
        }
    }

    /// The query key of this mark, if it is one.
    pub fn query_key(&self) -> Option<&'static str> {
        match self {
            Self::Exactly(key, _) | Self::Flag(key) | Self::Value(key) => Some(key),
            Self::Header(_) | Self::Path(_) => None,
        }
    }
}
