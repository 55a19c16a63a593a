//! Temporary credentials: what a session token says.

use std::fmt;

use super::Principal;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_base::secret::Secret;

/// What an opened session token says.
#[derive(Clone, Debug)]
pub struct SessionClaims {
    /// The long-term key that asked for the session. The session ends with it.
    pub parent: AccessKeyId,
    pub holder: Principal,
    pub secret: Secret<String>,
    pub expires: Timestamp,
    pub facts: SessionFacts,
}

/// What records and decisions know of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    pub issued: Timestamp,
    pub mfa: SessionMfa,
}

/// Whether a session was asked for with an MFA code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionMfa {
    Absent,
    Present,
}

/// The credentials that a request is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningCredentials {
    /// An access key.
    LongTerm,
    Session(SessionFacts),
}

/// What opens session tokens.
// INVARIANT (session): believed, so the state alone implements it outside tests; `tests/architecture.rs` holds it to that.
pub trait SessionOpener: fmt::Debug + Send + Sync {
    /// Opens the token that was issued with this access key id; none where it was not.
    fn open(&self, key_id: &AccessKeyId, token: &str) -> Option<SessionClaims>;
}

/// Longer than any token that is issued.
pub(super) const LONGEST_TOKEN: usize = 2048;
