//! Policies of users and groups, as the commands name them: a managed policy, one of the account, an ARN, or a file.

use std::path::Path;

use super::admin::{AdminClient, AdminError, AdminRequest};
use super::error::CommandError;
use portcullis_base::names::PolicyName;
use portcullis_base::percent::percent_decode;
use portcullis_policy::{ManagedPolicy, PolicyDocument, PolicyKind};
use portcullis_xml::XmlElement;

/// A policy that was named, and what is known of it without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamedGrant {
    /// The ARN.
    Arn(String),
    /// A document in a file: the holder's own, by the file's name.
    Inline { name: PolicyName, text: String },
    /// One of the account, by its name.
    OfAccount(PolicyName),
}

/// Who gets policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GrantHolder {
    Group(String),
    User(String),
}

impl NamedGrant {
    /// Reads what was typed; a file is read and checked here, so that a mistake in it leaves nothing half done.
    pub(super) fn read(text: &str, kind: PolicyKind) -> Result<Self, CommandError> {
        if let Some(managed) = ManagedPolicy::named(text) {
            return Ok(Self::Arn(format!("arn:aws:iam::aws:policy/{}", managed.name)));
        }
        if text.starts_with("arn:") {
            return Ok(Self::Arn(text.to_owned()));
        }
        let path = Path::new(text);
        // A name of a policy has no slash, and hardly this ending.
        let is_path = text.contains('/') || text.ends_with(".json");
        if !is_path && !path.is_file() {
            let unknown = |error| {
                CommandError::usage(format!("`{text}` is neither a file nor the name of a policy: {error}"))
                    .next("`portcullis policy list` shows the managed policies.")
            };
            return PolicyName::parse(text).map(Self::OfAccount).map_err(unknown);
        }
        let unreadable = |error| CommandError::unreadable(format!("{text} cannot be read: {error}"));
        let document = std::fs::read_to_string(path).map_err(unreadable)?;
        PolicyDocument::parse(&document, kind).map_err(|fault| CommandError::failed(format!("{text}: {fault}")))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        let name = PolicyName::parse(stem).map_err(|_| {
            CommandError::usage(format!("`{text}`: the name of the file is to be the name of the policy"))
                .next("Rename the file to letters, digits and _+=,.@- before its ending.")
        })?;
        Ok(Self::Inline { name, text: document })
    }
}

impl GrantHolder {
    /// Attaches a policy, or gives the holder an inline one.
    pub(super) async fn attach(&self, grant: &NamedGrant, admin: &AdminClient) -> Result<(), AdminError> {
        let question = match grant {
            NamedGrant::Inline { name, text } => self
                .asks("PutUserPolicy", "PutGroupPolicy")
                .with("PolicyName", name.as_str())
                .with("PolicyDocument", text),
            NamedGrant::Arn(_) | NamedGrant::OfAccount(_) => {
                self.asks("AttachUserPolicy", "AttachGroupPolicy").with("PolicyArn", &grant.arn(admin).await?)
            }
        };
        admin.ask(&question).await.map(drop)
    }

    /// Detaches a policy, or takes an inline one away.
    pub(super) async fn detach(&self, grant: &NamedGrant, admin: &AdminClient) -> Result<(), AdminError> {
        let question = match grant {
            NamedGrant::Inline { name, .. } => {
                self.asks("DeleteUserPolicy", "DeleteGroupPolicy").with("PolicyName", name.as_str())
            }
            NamedGrant::Arn(_) | NamedGrant::OfAccount(_) => {
                self.asks("DetachUserPolicy", "DetachGroupPolicy").with("PolicyArn", &grant.arn(admin).await?)
            }
        };
        admin.ask(&question).await.map(drop)
    }

    /// The ARNs of its attached policies.
    pub(super) async fn attached(&self, admin: &AdminClient) -> Result<Vec<String>, AdminError> {
        let question = self.asks("ListAttachedUserPolicies", "ListAttachedGroupPolicies");
        let policies = admin.list(question, "AttachedPolicies").await?;
        Ok(policies.iter().filter_map(|policy| policy.text_of("PolicyArn").map(str::to_owned)).collect())
    }

    /// The names of its inline policies.
    pub(super) async fn inline(&self, admin: &AdminClient) -> Result<Vec<String>, AdminError> {
        let names = admin.list(self.asks("ListUserPolicies", "ListGroupPolicies"), "PolicyNames").await?;
        Ok(names.into_iter().map(|name| name.text).collect())
    }

    /// Takes every policy away.
    pub(super) async fn detach_all(&self, admin: &AdminClient) -> Result<(), AdminError> {
        for arn in self.attached(admin).await? {
            self.detach(&NamedGrant::Arn(arn), admin).await?;
        }
        for name in self.inline(admin).await? {
            let question = self.asks("DeleteUserPolicy", "DeleteGroupPolicy").with("PolicyName", &name);
            admin.ask(&question).await?;
        }
        Ok(())
    }

    /// Each of its policies with what it says now, under the names that the records of denials have.
    pub(super) async fn documents(&self, admin: &AdminClient) -> Result<Vec<(String, String)>, AdminError> {
        let mut documents = Vec::new();
        for arn in self.attached(admin).await? {
            let document = default_document(&arn, admin).await?;
            documents.push((arn, document));
        }
        for name in self.inline(admin).await? {
            let question = self.asks("GetUserPolicy", "GetGroupPolicy").with("PolicyName", &name);
            let told = admin.ask(&question).await?;
            documents.push((format!("{}/{name}", self.path()), decoded(&told, "PolicyDocument")?));
        }
        Ok(documents)
    }

    /// `user/alice`
    fn path(&self) -> String {
        match self {
            Self::Group(name) => format!("group/{name}"),
            Self::User(name) => format!("user/{name}"),
        }
    }

    /// As a sentence names it.
    pub(super) fn spoken(&self) -> String {
        match self {
            Self::Group(name) => format!("group {name}"),
            Self::User(name) => format!("user {name}"),
        }
    }

    fn asks(&self, of_user: &'static str, of_group: &'static str) -> AdminRequest {
        match self {
            Self::Group(name) => AdminRequest::new(of_group).with("GroupName", name),
            Self::User(name) => AdminRequest::new(of_user).with("UserName", name),
        }
    }
}

impl NamedGrant {
    /// The ARN of a managed policy or of one of the account.
    pub(super) async fn arn(&self, admin: &AdminClient) -> Result<String, AdminError> {
        match self {
            Self::Arn(arn) => Ok(arn.clone()),
            Self::Inline { name, .. } | Self::OfAccount(name) => own_arn(name, admin).await,
        }
    }
}

/// The ARN of a policy of the account.
pub(super) async fn own_arn(name: &PolicyName, admin: &AdminClient) -> Result<String, AdminError> {
    let answer = admin.ask(&AdminRequest::new("GetUser")).await?;
    let root = answer.child("User").and_then(|user| user.text_of("Arn"));
    let account = root.and_then(|arn| arn.strip_suffix(":root")).ok_or(AdminError::Wanting("root's ARN"))?;
    Ok(format!("{account}:policy/{name}"))
}

/// What the default version of a managed policy says.
pub(super) async fn default_document(arn: &str, admin: &AdminClient) -> Result<String, AdminError> {
    let policy = admin.ask(&AdminRequest::new("GetPolicy").with("PolicyArn", arn)).await?;
    let version = policy.child("Policy").and_then(|policy| policy.text_of("DefaultVersionId"));
    let version = version.ok_or(AdminError::Wanting("DefaultVersionId"))?;
    document_of(arn, version, admin).await
}

/// What a version of a policy says.
pub(super) async fn document_of(arn: &str, version: &str, admin: &AdminClient) -> Result<String, AdminError> {
    let question = AdminRequest::new("GetPolicyVersion").with("PolicyArn", arn).with("VersionId", version);
    let told = admin.ask(&question).await?;
    decoded(told.child("PolicyVersion").ok_or(AdminError::Wanting("PolicyVersion"))?, "Document")
}

/// A document as IAM's answers have it, percent-encoded.
fn decoded(told: &XmlElement, member: &'static str) -> Result<String, AdminError> {
    told.text_of(member).and_then(percent_decode).ok_or(AdminError::Wanting(member))
}

/// The groups of a user.
pub(super) async fn groups_of(user: &str, admin: &AdminClient) -> Result<Vec<String>, AdminError> {
    let groups = admin.list(AdminRequest::new("ListGroupsForUser").with("UserName", user), "Groups").await?;
    let name = |group: &XmlElement| group.text_of("GroupName").map(str::to_owned);
    Ok(groups.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_in_four_ways() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("only-logs.json");
        let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
        std::fs::write(&file, text).expect("written");
        let read = |text: &str| NamedGrant::read(text, PolicyKind::UserInline);
        let name = |name: &str| PolicyName::parse(name).expect("a name");
        assert_eq!(read("readonly").unwrap(), NamedGrant::Arn("arn:aws:iam::aws:policy/readonly".to_owned()));
        let arn = "arn:aws:iam::123456789012:policy/logs";
        assert_eq!(read(arn).unwrap(), NamedGrant::Arn(arn.to_owned()));
        assert_eq!(read("logs").unwrap(), NamedGrant::OfAccount(name("logs")));
        let inline = NamedGrant::Inline { name: name("only-logs"), text: text.to_owned() };
        assert_eq!(read(file.to_str().expect("text")).unwrap(), inline);
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_before_anything_is_asked() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("p.json");
        std::fs::write(&file, r#"{"Statement":{"Effect":"Allow","Action":"s3:*"}}"#).expect("written");
        let refused = NamedGrant::read(file.to_str().expect("text"), PolicyKind::UserInline).unwrap_err();
        assert!(refused.to_string().contains("must contain resources"), "{refused}");
        let missing = NamedGrant::read("./missing.json", PolicyKind::UserInline).unwrap_err();
        assert!(missing.to_string().contains("cannot be read"), "{missing}");
        assert!(NamedGrant::read("no such file", PolicyKind::UserInline).is_err());
    }
}
