//! A key pair to sign digests with in tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding};
use portcullis_base::clock::Timestamp;

use crate::keys::PublicKey;

/// A key pair, to sign with in tests.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) pair: KeyPair,
    pub public: PublicKey,
}

impl Signer {
    pub(crate) fn new(valid_from: Timestamp, valid_to: Timestamp) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = PublicKey::new(pair.public_key().as_ref().to_vec(), valid_from, valid_to).unwrap();
        Self { pair, public }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_by(&RSA_PKCS1_SHA256, message)
    }

    /// What the metadata do not say, and the aws-cli does not ask.
    pub(crate) fn sign_by_sha512(&self, message: &[u8]) -> Vec<u8> {
        self.sign_by(&RSA_PKCS1_SHA512, message)
    }

    fn sign_by(&self, algorithm: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(algorithm, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}
