//! Sessions: temporary credentials, of which nothing is stored but in their token.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::StateStore;
use super::error::StoreError;
use super::principals::{random_id, random_secret};
use super::seal::{RecordSealer, SealError};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccessKeyId, UserName};
use portcullis_base::secret::Secret;
use portcullis_sigv4::{Principal, SessionClaims, SessionFacts, SessionMfa, SessionOpener};

/// A session that is to be issued.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// The long-term key that asks for it.
    pub parent: AccessKeyId,
    pub holder: Principal,
    pub expires: Timestamp,
    pub mfa: SessionMfa,
}

/// Temporary credentials: the one time they are shown.
#[derive(Debug)]
pub struct IssuedSession {
    pub id: AccessKeyId,
    pub secret: Secret<String>,
    pub token: Secret<String>,
    pub expires: Timestamp,
}

/// Opens tokens with the master key. A token is bound to its access key id, and what is sealed for another purpose has
/// another binding.
#[derive(Clone, Debug)]
pub(super) struct SessionSealer(pub RecordSealer);

/// What a token says, as it is sealed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SealedSession {
    parent: String,
    /// None is root.
    user: Option<String>,
    /// Moved into a `Secret` by each that has it.
    secret: String,
    issued: i64,
    expires: i64,
    mfa: bool,
}

impl StateStore {
    /// Issues a session. It ends when its time has passed, and when its parent is gone or may not sign any more.
    pub fn issue_session(&self, asked: &SessionRequest, now: Timestamp) -> Result<IssuedSession, StoreError> {
        let id = AccessKeyId::parse(&format!("ASIA{}", random_id(16)?)).map_err(|_| SealError::NoRandomness)?;
        let sealed = SealedSession {
            parent: asked.parent.to_string(),
            user: match &asked.holder {
                Principal::Root => None,
                Principal::User(name) => Some(name.to_string()),
            },
            secret: random_secret()?.expose().clone(),
            issued: now.seconds(),
            expires: asked.expires.seconds(),
            mfa: match asked.mfa {
                SessionMfa::Absent => false,
                SessionMfa::Present => true,
            },
        };
        let plain = serde_json::to_vec(&sealed).map(Zeroizing::new).map_err(|_| SealError::NotSealed);
        let token = plain.and_then(|plain| self.0.sealer.seal(&binding(&id), &plain));
        let secret = Secret::new(sealed.secret);
        Ok(IssuedSession { id, secret, token: Secret::new(token?), expires: asked.expires })
    }
}

impl SessionOpener for SessionSealer {
    fn open(&self, key_id: &AccessKeyId, token: &str) -> Option<SessionClaims> {
        let plain = self.0.open(&binding(key_id), token).ok()?;
        let sealed: SealedSession = serde_json::from_slice(plain.expose()).ok()?;
        let secret = Secret::new(sealed.secret);
        let holder = match &sealed.user {
            None => Principal::Root,
            Some(name) => Principal::User(UserName::parse(name).ok()?),
        };
        let mfa = if sealed.mfa { SessionMfa::Present } else { SessionMfa::Absent };
        Some(SessionClaims {
            parent: AccessKeyId::parse(&sealed.parent).ok()?,
            holder,
            secret,
            expires: Timestamp::from_seconds(sealed.expires),
            facts: SessionFacts { issued: Timestamp::from_seconds(sealed.issued), mfa },
        })
    }
}

fn binding(id: &AccessKeyId) -> String {
    format!("session/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_memory;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_900_000_000 + seconds)
    }

    fn asked(holder: Principal, mfa: SessionMfa) -> SessionRequest {
        let parent = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").expect("an id");
        SessionRequest { parent, holder, expires: at(900), mfa }
    }

    #[tokio::test]
    async fn a_token_says_what_was_issued_and_opens_with_its_own_key_id_alone() {
        let (state, other) = (in_memory(at(0)).await.0, in_memory(at(0)).await.0);
        let alice = Principal::User(UserName::parse("alice").expect("a name"));
        for (holder, mfa) in [(Principal::Root, SessionMfa::Present), (alice, SessionMfa::Absent)] {
            let issued = state.issue_session(&asked(holder.clone(), mfa), at(0)).expect("issued");
            let again = state.issue_session(&asked(holder.clone(), mfa), at(0)).expect("issued");
            assert!(issued.id.as_str().starts_with("ASIA") && issued.id.as_str().len() == 20);
            let (token, sealer) = (issued.token.expose(), SessionSealer(state.0.sealer.clone()));
            let opened = sealer.open(&issued.id, token).expect("opened");
            assert_eq!((opened.parent.as_str(), &opened.holder), ("AKIAIOSFODNN7EXAMPLE", &holder));
            assert_eq!((opened.expires, opened.facts), (at(900), SessionFacts { issued: at(0), mfa }));
            assert_eq!(opened.secret.expose(), issued.secret.expose());
            assert!(token.len() <= 2048 && !format!("{issued:?}").contains(token));

            assert!(sealer.open(&again.id, token).is_none(), "another session's key id");
            assert!(SessionSealer(other.0.sealer.clone()).open(&issued.id, token).is_none(), "another state");
            let record = state.0.sealer.seal(&format!("key/{}", issued.id), b"{}").expect("sealed");
            assert!(sealer.open(&issued.id, &record).is_none(), "sealed for another purpose");
            for text in ["", "AAAA", &token[..token.len() - 4], &format!("{token}AAAA")] {
                assert!(sealer.open(&issued.id, text).is_none(), "{text}");
            }
        }
    }
}
