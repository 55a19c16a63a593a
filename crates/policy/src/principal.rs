//! Who asks, and whom a policy of a resource or a role names.

use portcullis_base::names::AccountId;

/// Who makes a request, as policies know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPrincipal {
    /// None for who is of no account: an anonymous caller, or one whom an identity provider vouches for.
    account: Option<AccountId>,
    /// The ARN; for a web identity the name of its provider.
    arn: String,
    /// The role of a session.
    role: Option<String>,
    kind: PrincipalType,
}

/// What kind of principal makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalType {
    Anonymous,
    AssumedRole,
    User,
    WebIdentity,
}

/// Whom an element `Principal` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrincipalPattern {
    /// All principals of the account, as far as their own policies allow.
    Account {
        text: Box<str>,
        account: AccountId,
    },
    /// A user, a role or a session.
    Arn(Box<str>),
    Everyone,
    /// Who comes with a token of this identity provider.
    Federated(Box<str>),
    Service(Box<str>),
}

/// How closely a pattern names a principal; the later, the closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PrincipalMatch {
    No,
    /// Only its account is named: its own policies decide what it may.
    Account,
    /// It is among those who are named.
    Included,
    /// It is named itself.
    Itself,
}

impl RequestPrincipal {
    /// Who sends no credentials.
    pub fn anonymous() -> Self {
        Self { account: None, arn: String::new(), role: None, kind: PrincipalType::Anonymous }
    }

    /// A session of a role: `assumed-role/backup/nightly`.
    pub fn assumed_role(account: AccountId, role: &str, session: &str) -> Self {
        Self {
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            role: Some(format!("arn:aws:iam::{account}:role/{role}")),
            account: Some(account),
            kind: PrincipalType::AssumedRole,
        }
    }

    /// A user, by its name with the path before it.
    pub fn user(account: AccountId, name: &str) -> Self {
        let arn = format!("arn:aws:iam::{account}:user/{name}");
        Self { arn, role: None, account: Some(account), kind: PrincipalType::User }
    }

    /// Who comes with a token of this provider.
    pub fn web_identity(provider: &str) -> Self {
        Self { account: None, arn: provider.to_owned(), role: None, kind: PrincipalType::WebIdentity }
    }

    /// The account.
    pub fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// The ARN, or the name of the provider.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The ARN that `aws:PrincipalArn` has: of a session its role's.
    pub(crate) fn policy_arn(&self) -> &str {
        self.role.as_deref().unwrap_or(&self.arn)
    }

    /// The name of a user, without its path.
    pub(crate) fn user_name(&self) -> Option<&str> {
        let is_user = self.kind == PrincipalType::User;
        self.arn.rsplit('/').next().filter(|_| is_user)
    }

    /// What kind of principal it is.
    pub fn kind(&self) -> PrincipalType {
        self.kind
    }
}

impl PrincipalType {
    /// As `aws:PrincipalType` says it; AWS names none for a web identity.
    pub(crate) fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Anonymous => Some("Anonymous"),
            Self::AssumedRole => Some("AssumedRole"),
            Self::User => Some("User"),
            Self::WebIdentity => None,
        }
    }
}

impl PrincipalPattern {
    /// Reads a value of `"AWS"`: `*`, an account, or the ARN of an account, a user, a role or a session.
    pub(crate) fn parse_aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        if let Ok(account) = AccountId::parse(text) {
            return Some(Self::Account { text: text.into(), account });
        }
        let [arn, partition, service, region, account, resource] = *text.splitn(6, ':').collect::<Vec<_>>() else {
            return None;
        };
        let account = AccountId::parse(account).ok()?;
        if arn != "arn" || !matches!(partition, "aws" | "aws-cn" | "aws-us-gov") || !region.is_empty() {
            return None;
        }
        match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Some(Self::Account { text: text.into(), account }),
            ("iam", Some(("user" | "role", name))) | ("sts", Some(("assumed-role" | "federated-user", name)))
                if !name.is_empty() && !name.contains(['*', '?']) =>
            {
                Some(Self::Arn(text.into()))
            }
            _ => None,
        }
    }

    /// Reads a value of `"Federated"`: an issuer's host and path, or a provider's ARN.
    pub(crate) fn parse_federated(text: &str) -> Option<Self> {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '/' | ':');
        (text.contains(['.', ':']) && text.chars().all(legal)).then(|| Self::Federated(text.into()))
    }

    /// Reads a value of `"Service"`: `cloudtrail.amazonaws.com`.
    pub(crate) fn parse_service(text: &str) -> Option<Self> {
        let legal =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '.' | '-');
        let (name, _) = text.split_once(".amazonaws.com")?;
        (!name.is_empty() && text.chars().all(legal)).then(|| Self::Service(text.into()))
    }

    /// The member of `Principal` that it stands in, and its text.
    pub(crate) fn written(&self) -> (&'static str, &str) {
        match self {
            Self::Account { text, .. } | Self::Arn(text) => ("AWS", text),
            Self::Everyone => ("AWS", "*"),
            Self::Federated(text) => ("Federated", text),
            Self::Service(text) => ("Service", text),
        }
    }

    /// How closely it names a principal.
    pub(crate) fn names(&self, principal: &RequestPrincipal) -> PrincipalMatch {
        match self {
            Self::Account { account, .. } if principal.account.as_ref() != Some(account) => PrincipalMatch::No,
            Self::Account { .. } => PrincipalMatch::Account,
            Self::Arn(arn) if principal.kind != PrincipalType::WebIdentity && **arn == principal.arn => {
                PrincipalMatch::Itself
            }
            Self::Arn(arn) if principal.role.as_deref() == Some(&**arn) => PrincipalMatch::Included,
            Self::Everyone => PrincipalMatch::Included,
            Self::Federated(provider)
                if principal.kind == PrincipalType::WebIdentity && **provider == principal.arn =>
            {
                PrincipalMatch::Itself
            }
            // No service makes requests here.
            Self::Arn(_) | Self::Federated(_) | Self::Service(_) => PrincipalMatch::No,
        }
    }
}
