//! `userIdentity`: who made a request, as far as it is proved.

use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, AccountId, UserName};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::json::JsonObject;
use super::member::MemberValue;
use super::writer::AccountScope;

/// Who made a request, as far as it is proved.
///
/// The members are those of AWS's page [CloudTrail userIdentity element][element].
///
/// [element]: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
#[derive(Clone, Copy, Debug)]
pub enum UserIdentity<'a> {
    Anonymous,
    /// A key was named, but its holder did not prove it.
    Claimed(&'a str),
    /// Root on the proxy's own machine: the operating system vouches for it, and there is no key.
    LocalRoot,
    /// The same in an event about one of root's MFA devices, where AWS gives root a name.
    LocalRootOfDevice,
    Root {
        key_id: &'a AccessKeyId,
        session: Option<SessionAttributes>,
    },
    User {
        name: &'a UserName,
        key_id: &'a AccessKeyId,
        session: Option<SessionAttributes>,
    },
}

/// What is told of temporary credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionAttributes {
    pub created: Timestamp,
    /// Whether they were asked for with an MFA code.
    pub mfa_authenticated: bool,
}

/// What is looked at in `userIdentity`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct IdentityView<'a> {
    #[serde(borrow)]
    pub access_key_id: MemberValue<'a>,
    #[serde(borrow)]
    pub account_id: MemberValue<'a>,
    #[serde(borrow)]
    pub arn: MemberValue<'a>,
    #[serde(borrow, rename = "type")]
    pub kind: MemberValue<'a>,
    #[serde(borrow)]
    pub principal_id: MemberValue<'a>,
    #[serde(borrow)]
    pub user_name: MemberValue<'a>,
}

/// Root's name in AWS's events of its devices.
pub const ROOT_USER: &str = "AWS ROOT USER";
/// The `accountId` of a request without a valid signature, and its principal's name.
const ANONYMOUS: &str = "anonymous";
/// The name by which root is searched for, whatever the account's alias.
pub(super) const ROOT: &str = "root";

impl UserIdentity<'_> {
    pub(super) fn write(&self, out: &mut JsonObject<'_>, scope: &AccountScope) {
        let account = scope.account.as_str();
        match self {
            Self::Anonymous => {
                out.word("type", "AWSAccount");
                out.text("principalId", "");
                out.text("accountId", ANONYMOUS);
            }
            Self::Claimed(key_id) => {
                out.word("type", "Unknown");
                out.text("principalId", "");
                out.text("accountId", ANONYMOUS);
                out.text("accessKeyId", key_id);
            }
            Self::LocalRoot => {
                write_root(out, account);
                write_alias(out, scope);
            }
            Self::LocalRootOfDevice => {
                write_root(out, account);
                out.text("userName", scope.alias.as_deref().unwrap_or(ROOT_USER));
            }
            Self::Root { key_id, session } => {
                write_root(out, account);
                out.text("accessKeyId", key_id.as_str());
                write_alias(out, scope);
                write_session(out, *session);
            }
            Self::User { name, key_id, session } => {
                out.word("type", "IAMUser");
                out.text("principalId", &user_id(&scope.account, name));
                out.joined("arn", &["arn:aws:iam::", account, ":user/", name.as_str()]);
                out.text("accountId", account);
                out.text("accessKeyId", key_id.as_str());
                out.text("userName", name.as_str());
                write_session(out, *session);
            }
        }
    }
}

impl IdentityView<'_> {
    /// The name of the principal: a user's, that of a role's session, `root`, or `anonymous`.
    pub fn name(&self) -> Option<&str> {
        match self.kind.text() {
            // The account's alias is root's user name, and must not be taken for a user's.
            Some("Root") => Some(ROOT),
            Some("AssumedRole") => self.arn.text().and_then(|arn| arn.rsplit_once('/')).map(|(_, session)| session),
            // LookupEvents tells a name of every event, also where no principal is proved.
            Some(_) => Some(self.user_name.text().unwrap_or(ANONYMOUS)),
            None => self.user_name.text(),
        }
    }

    /// Calls back with every name by which the principal can be searched for: user name, ARN, access key id, principal
    /// id, `root`, `anonymous`.
    pub fn each_name(&self, mut take: impl FnMut(&str)) {
        let ids = [&self.arn, &self.access_key_id];
        if self.kind.text() == Some("Root") {
            take(ROOT);
            ids.into_iter().filter_map(MemberValue::text).for_each(take);
            return;
        }
        if self.account_id.text() == Some(ANONYMOUS) {
            take(ANONYMOUS);
        }
        // A user with such a name is neither root nor anonymous.
        let names = [&self.user_name, &self.principal_id].into_iter().chain(ids).filter_map(MemberValue::text);
        names.filter(|name| !matches!(*name, ROOT | ANONYMOUS)).for_each(take);
    }
}

fn write_root(out: &mut JsonObject<'_>, account: &str) {
    let arn = "\",\"arn\":\"arn:aws:iam::";
    let start = "\"type\":\"Root\",\"principalId\":\"";
    out.pieces(&[start, account, arn, account, ":root\",\"accountId\":\"", account, "\""]);
}

fn write_session(out: &mut JsonObject<'_>, session: Option<SessionAttributes>) {
    let Some(SessionAttributes { created, mfa_authenticated }) = session else { return };
    out.object("sessionContext", |context| {
        context.object("attributes", |attributes| {
            attributes.text("creationDate", &created.iso_extended());
            attributes.word("mfaAuthenticated", if mfa_authenticated { "true" } else { "false" });
        });
    });
}

fn write_alias(out: &mut JsonObject<'_>, scope: &AccountScope) {
    if let Some(alias) = &scope.alias {
        out.text("userName", alias);
    }
}

/// The `AIDA...` id of a user: derived from account and name, so it never changes and need not be stored.
pub fn user_id(account: &AccountId, user: &UserName) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::new().chain_update(account.as_str()).chain_update("/").chain_update(user.as_str()).finalize();
    let letters = digest.iter().take(17).filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    "AIDA".chars().chain(letters.map(|letter| char::from(*letter))).collect()
}
