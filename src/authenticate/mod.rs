//! Who signed a request: SigV4, verified on what the wire stage read and on nothing else.

mod keyring;

pub use keyring::{Key, KeyStatus, Keyring};

use crate::names::UserName;

/// Whose key signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The account's root user with a long-term key: the only one whose MFA device counts.
    Root,
    /// A user of the account.
    User(UserName),
}

/// Where the signature travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// In the `Authorization` header.
    AuthHeader,
    /// In the query of a presigned URL.
    QueryString,
}
