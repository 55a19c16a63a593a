//! The keys that sign digests: made when they are needed, sealed in the state, replaced about monthly.

use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use thiserror::Error;

use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::keys::KeyFingerprint;
use portcullis_state::{DigestSigningKey, StateStore, StoreError};

/// The keys that sign digests.
#[derive(Debug)]
pub struct DigestKeys {
    state: StateStore,
    clock: Clock,
    lifetime: Duration,
    /// Held while a key is made, so that two trails do not make one each.
    making: tokio::sync::Mutex<()>,
}

/// A key at work.
#[derive(Debug)]
pub struct DigestSigner {
    pair: KeyPair,
    fingerprint: KeyFingerprint,
}

/// Why nothing can be signed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    #[error("the private half of signing key `{0}` cannot be read")]
    Damaged(KeyFingerprint),
    #[error("no signing key could be generated")]
    NotMade,
    #[error("the signing key did not sign")]
    NotSigned,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DigestKeys {
    /// Keys that are each used for so long.
    pub fn new(state: StateStore, clock: Clock, lifetime: Duration) -> Self {
        Self { state, clock, lifetime, making: tokio::sync::Mutex::default() }
    }

    /// The key of a moment; a new one, where none is valid then.
    pub async fn at(&self, moment: Timestamp) -> Result<DigestSigner, KeyError> {
        let _making = self.making.lock().await;
        let keys = self.state.signing_keys();
        let valid =
            |key: &&DigestSigningKey| key.valid_from <= moment && moment < key.valid_to && key.private.is_some();
        match keys.iter().rev().find(valid) {
            Some(key) => DigestSigner::of(key),
            None => self.make(moment).await,
        }
    }

    async fn make(&self, moment: Timestamp) -> Result<DigestSigner, KeyError> {
        // Half a second or so of nothing but work.
        let pair = tokio::task::spawn_blocking(|| KeyPair::generate(KeySize::Rsa2048)).await;
        let pair = pair.map_err(|_| KeyError::NotMade)?.map_err(|_| KeyError::NotMade)?;
        let private = pair.as_der().map_err(|_| KeyError::NotMade)?;
        let valid_from = Timestamp::from_seconds(moment.seconds());
        let key = DigestSigningKey {
            public: pair.public_key().as_ref().to_vec(),
            valid_from,
            valid_to: valid_from.plus(self.lifetime),
            private: Some(Secret::new(private.as_ref().to_vec())),
        };
        let fingerprint = key.fingerprint();
        self.state.add_signing_key(key, self.lifetime, self.clock.now()).await?;
        tracing::info!(%fingerprint, "digests are signed with a new key");
        Ok(DigestSigner { pair, fingerprint })
    }
}

impl DigestSigner {
    fn of(key: &DigestSigningKey) -> Result<Self, KeyError> {
        let fingerprint = key.fingerprint();
        let private = key.private.as_ref().ok_or(KeyError::Damaged(fingerprint))?;
        let pair = KeyPair::from_pkcs8(private.expose()).map_err(|_| KeyError::Damaged(fingerprint))?;
        Ok(Self { pair, fingerprint })
    }

    /// Which key it is.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// Signs, by RSASSA-PKCS1-v1_5 with SHA-256: the same message gives the same signature.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| KeyError::NotSigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use portcullis_state::testing::in_memory;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    #[tokio::test]
    async fn a_key_signs_until_its_life_is_over_and_is_then_followed_by_another() {
        let (state, _, _) = in_memory(NOW).await;
        let keys = DigestKeys::new(state.clone(), Clock::System, MONTH);
        let first = keys.at(NOW).await.expect("a key");
        let later = keys.at(NOW.plus(MONTH - Duration::from_secs(1))).await.expect("a key");
        assert_eq!(first.fingerprint(), later.fingerprint());
        let second = keys.at(NOW.plus(MONTH)).await.expect("a key");
        assert_ne!(first.fingerprint(), second.fingerprint());
        assert_eq!(keys.at(NOW).await.expect("a key").fingerprint(), first.fingerprint(), "what it began, it may end");

        let third = keys.at(NOW.plus(3 * MONTH)).await.expect("a key");
        let kept: Vec<_> = state.signing_keys().iter().map(|key| (key.fingerprint(), key.private.is_some())).collect();
        let known = [(first.fingerprint(), false), (second.fingerprint(), true), (third.fingerprint(), true)];
        assert_eq!(kept, known, "public halves stay, private ones go");
    }

    #[tokio::test]
    async fn a_signature_is_verified_by_the_public_half_that_is_kept() {
        let (state, _, journal) = in_memory(NOW).await;
        let keys = DigestKeys::new(state.clone(), Clock::System, MONTH);
        let signature = keys.at(NOW).await.expect("a key").sign(b"message").expect("signed");
        assert_eq!(keys.at(NOW).await.expect("the same").sign(b"message"), Ok(signature.clone()));
        let key = state.signing_keys().remove(0);
        assert_eq!(key.public.len(), 270, "PKCS#1, as CloudTrail's are");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.public);
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"another", &signature).is_err());
        let private = key.private.expect("there");
        let written = journal.records().concat();
        let plain = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, private.expose());
        assert!(!String::from_utf8_lossy(&written).contains(&plain[..64]), "the private half is sealed");
    }
}
