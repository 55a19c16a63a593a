//! `userIdentity`: who made a request, as far as it is proved.

use portcullis_base::names::{AccessKeyId, AccountId, UserName};
use sha2::{Digest, Sha256};

use super::json::JsonObject;
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
    },
    User {
        name: &'a UserName,
        key_id: &'a AccessKeyId,
    },
}

/// Root's name in AWS's events of its devices.
pub const ROOT_USER: &str = "AWS ROOT USER";
/// The `accountId` of a request without a valid signature.
pub(super) const ANONYMOUS: &str = "anonymous";

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
            Self::Root { key_id } => {
                write_root(out, account);
                out.text("accessKeyId", key_id.as_str());
                write_alias(out, scope);
            }
            Self::User { name, key_id } => {
                out.word("type", "IAMUser");
                out.text("principalId", &user_id(&scope.account, name));
                out.joined("arn", &["arn:aws:iam::", account, ":user/", name.as_str()]);
                out.text("accountId", account);
                out.text("accessKeyId", key_id.as_str());
                out.text("userName", name.as_str());
            }
        }
    }
}

fn write_root(out: &mut JsonObject<'_>, account: &str) {
    let arn = "\",\"arn\":\"arn:aws:iam::";
    let start = "\"type\":\"Root\",\"principalId\":\"";
    out.pieces(&[start, account, arn, account, ":root\",\"accountId\":\"", account, "\""]);
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
