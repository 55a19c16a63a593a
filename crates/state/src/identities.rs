//! Users, groups and policies: what is remembered of them, and its written form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, GroupName, PolicyName, UserName};
use portcullis_policy::{MalformedPolicy, ManagedPolicy, PolicyDocument, PolicyKind};

/// A user of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    pub name: UserName,
    /// IAM's unique id, `AIDA` and 17 more.
    pub id: String,
    pub created: Timestamp,
    pub grants: PolicyGrants,
    /// The most that its policies can allow.
    pub boundary: Option<PolicyReference>,
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    pub name: GroupName,
    /// IAM's unique id, `AGPA` and 17 more.
    pub id: String,
    pub created: Timestamp,
    pub grants: PolicyGrants,
    pub members: BTreeSet<UserName>,
}

/// The policies that a user or a group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyGrants {
    pub attached: BTreeSet<PolicyReference>,
    pub inline: BTreeMap<PolicyName, PolicyText>,
}

/// A managed policy of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRecord {
    pub name: PolicyName,
    /// IAM's unique id, `ANPA` and 17 more.
    pub id: String,
    pub description: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// By number; the first is 1, and no number is given twice.
    pub versions: BTreeMap<u32, PolicyVersion>,
    /// The version that counts.
    pub default: u32,
    /// The number of the next version.
    pub next: u32,
}

/// One version of a managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    pub created: Timestamp,
    pub content: PolicyText,
}

/// A policy's document: as it was given, and as it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    text: Box<str>,
    document: Arc<PolicyDocument>,
}

/// A managed policy that is attached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyReference {
    /// One of the account.
    Account(PolicyName),
    /// One that is part of Portcullis.
    Managed(&'static str),
}

/// The policy that users had in effect before there were policies.
pub(crate) const POLICY_BEFORE_POLICIES: PolicyReference = PolicyReference::Managed("readwrite");

impl PolicyText {
    /// Takes a document if all of it is understood.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, MalformedPolicy> {
        let document = PolicyDocument::parse(text, kind)?;
        Ok(Self { text: text.into(), document: Arc::new(document) })
    }

    /// The document as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn document(&self) -> &Arc<PolicyDocument> {
        &self.document
    }
}

impl PolicyRecord {
    /// What the default version says; there is always one.
    pub fn content(&self) -> Option<&PolicyText> {
        self.versions.get(&self.default).map(|version| &version.content)
    }
}

impl PolicyReference {
    /// The ARN, as AWS writes it.
    pub fn arn(&self, account: &AccountId) -> String {
        match self {
            Self::Account(name) => format!("arn:aws:iam::{account}:policy/{name}"),
            Self::Managed(name) => format!("arn:aws:iam::aws:policy/{name}"),
        }
    }

    /// Reads an ARN; none if it is of no policy that this account could have.
    pub fn parse_arn(text: &str, account: &AccountId) -> Option<Self> {
        let rest = text.strip_prefix("arn:aws:iam::")?;
        let (owner, name) = rest.split_once(":policy/")?;
        match owner {
            "aws" => Self::managed(name),
            owner if owner == account.as_str() => PolicyName::parse(name).ok().map(Self::Account),
            _ => None,
        }
    }

    /// One that is part of Portcullis, by its name.
    pub fn managed(name: &str) -> Option<Self> {
        ManagedPolicy::named(name).map(|policy| Self::Managed(policy.name))
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Account(name) => name.as_str(),
            Self::Managed(name) => name,
        }
    }

    /// As a record has it.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("account", name) => PolicyName::parse(name).ok().map(Self::Account),
            ("managed", name) => Self::managed(name),
            (_, _) => None,
        }
    }
}

impl fmt::Display for PolicyReference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(out, "account/{name}"),
            Self::Managed(name) => write!(out, "managed/{name}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserJson {
    id: String,
    created: i64,
    /// `None`: written before there were policies.
    #[serde(default)]
    policies: Option<GrantsJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boundary: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupJson {
    id: String,
    created: i64,
    policies: GrantsJson,
    members: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsJson {
    attached: Vec<String>,
    /// Documents as they were given, by name.
    inline: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyJson {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    created: i64,
    updated: i64,
    versions: Vec<VersionJson>,
    default: u32,
    next: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionJson {
    number: u32,
    created: i64,
    document: String,
}

impl UserJson {
    pub(super) fn of(user: &UserRecord) -> Self {
        Self {
            id: user.id.clone(),
            created: user.created.millis(),
            policies: Some(GrantsJson::of(&user.grants)),
            boundary: user.boundary.as_ref().map(ToString::to_string),
        }
    }

    pub(super) fn user(self, name: &UserName) -> Option<UserRecord> {
        let grants = match self.policies {
            Some(policies) => policies.grants(PolicyKind::UserInline)?,
            None => PolicyGrants { attached: [POLICY_BEFORE_POLICIES].into(), inline: BTreeMap::new() },
        };
        let boundary = match self.boundary {
            Some(text) => Some(PolicyReference::parse(&text)?),
            None => None,
        };
        let created = Timestamp::from_millis(self.created);
        Some(UserRecord { name: name.clone(), id: self.id, created, grants, boundary })
    }
}

impl GroupJson {
    pub(super) fn of(group: &GroupRecord) -> Self {
        Self {
            id: group.id.clone(),
            created: group.created.millis(),
            policies: GrantsJson::of(&group.grants),
            members: group.members.iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn group(self, name: &GroupName) -> Option<GroupRecord> {
        Some(GroupRecord {
            name: name.clone(),
            id: self.id,
            created: Timestamp::from_millis(self.created),
            grants: self.policies.grants(PolicyKind::GroupInline)?,
            members: self.members.iter().map(|member| UserName::parse(member).ok()).collect::<Option<_>>()?,
        })
    }
}

impl GrantsJson {
    fn of(grants: &PolicyGrants) -> Self {
        Self {
            attached: grants.attached.iter().map(ToString::to_string).collect(),
            inline: grants.inline.iter().map(|(name, policy)| (name.to_string(), policy.text.to_string())).collect(),
        }
    }

    fn grants(self, kind: PolicyKind) -> Option<PolicyGrants> {
        let inline =
            self.inline.iter().map(|(name, text)| PolicyName::parse(name).ok().zip(PolicyText::parse(text, kind).ok()));
        Some(PolicyGrants {
            attached: self.attached.iter().map(|text| PolicyReference::parse(text)).collect::<Option<_>>()?,
            inline: inline.collect::<Option<_>>()?,
        })
    }
}

impl PolicyJson {
    pub(super) fn of(policy: &PolicyRecord) -> Self {
        let versions = policy.versions.iter().map(|(number, version)| VersionJson {
            number: *number,
            created: version.created.millis(),
            document: version.content.text.to_string(),
        });
        Self {
            id: policy.id.clone(),
            description: policy.description.clone(),
            created: policy.created.millis(),
            updated: policy.updated.millis(),
            versions: versions.collect(),
            default: policy.default,
            next: policy.next,
        }
    }

    pub(super) fn policy(self, name: &PolicyName) -> Option<PolicyRecord> {
        let versions = self.versions.into_iter().map(|version| {
            let content = PolicyText::parse(&version.document, PolicyKind::Managed).ok()?;
            Some((version.number, PolicyVersion { created: Timestamp::from_millis(version.created), content }))
        });
        let versions = versions.collect::<Option<BTreeMap<_, _>>>()?;
        let is_whole = versions.contains_key(&self.default) && versions.keys().all(|number| *number < self.next);
        is_whole.then(|| PolicyRecord {
            name: name.clone(),
            id: self.id,
            description: self.description,
            created: Timestamp::from_millis(self.created),
            updated: Timestamp::from_millis(self.updated),
            versions,
            default: self.default,
            next: self.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_before_there_were_policies_has_readwrite() {
        let name = UserName::parse("alice").expect("a name");
        let json: UserJson = serde_json::from_str(r#"{"id":"AIDAALICE","created":1000}"#).expect("the earlier form");
        let user = json.user(&name).expect("a user");
        assert_eq!(user.grants.attached, [POLICY_BEFORE_POLICIES].into());
        let nothing: UserJson =
            serde_json::from_str(r#"{"id":"A","created":0,"policies":{"attached":[],"inline":{}}}"#).expect("a user");
        assert_eq!(nothing.user(&name).expect("a user").grants, PolicyGrants::default());
    }

    #[test]
    fn a_record_that_cannot_be_understood_is_none() {
        let name = UserName::parse("alice").expect("a name");
        for policies in [
            r#"{"attached":["managed/unknown"],"inline":{}}"#,
            r#"{"attached":["elsewhere/readonly"],"inline":{}}"#,
            r#"{"attached":[],"inline":{"p":"{}"}}"#,
            r#"{"attached":[],"inline":{"a b":"{}"}}"#,
        ] {
            let text = format!(r#"{{"id":"A","created":0,"policies":{policies}}}"#);
            let json: UserJson = serde_json::from_str(&text).expect("JSON");
            assert_eq!(json.user(&name), None, "{policies}");
        }
        let document =
            r#"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}"#;
        let policy = |default: u32, next: u32| {
            let text = format!(
                r#"{{"id":"A","created":0,"updated":0,"default":{default},"next":{next},"versions":[{{"number":1,"created":0,"document":"{document}"}}]}}"#
            );
            let json: PolicyJson = serde_json::from_str(&text).expect("JSON");
            json.policy(&PolicyName::parse("p").expect("a name")).is_some()
        };
        assert_eq!([policy(1, 2), policy(2, 3), policy(1, 1)], [true, false, false]);
    }

    #[test]
    fn an_arn_names_one_policy() {
        let account = AccountId::parse("123456789012").expect("twelve digits");
        for text in ["arn:aws:iam::aws:policy/readonly", "arn:aws:iam::123456789012:policy/Logs-1"] {
            let reference = PolicyReference::parse_arn(text, &account).expect("a policy");
            assert_eq!(reference.arn(&account), text);
            assert_eq!(PolicyReference::parse(&reference.to_string()), Some(reference));
        }
        for text in [
            "arn:aws:iam::aws:policy/unknown",
            "arn:aws:iam::210987654321:policy/Logs-1",
            "arn:aws:iam::123456789012:user/alice",
            "arn:aws:iam::123456789012:policy/a/b",
            "readonly",
        ] {
            assert_eq!(PolicyReference::parse_arn(text, &account), None, "{text}");
        }
    }
}
