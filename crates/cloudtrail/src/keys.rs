//! The public keys by which digests are verified, as CloudTrail lists them.

use std::fmt;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use thiserror::Error;

use portcullis_base::clock::Timestamp;

/// A key that signed digests, and when it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pkcs1_der: Vec<u8>,
    pub valid_from: Timestamp,
    pub valid_to: Timestamp,
}

/// What tells keys apart: the MD5 of the key's DER, as CloudTrail has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint([u8; 16]);

/// The only algorithm by which a digest is signed here: RSASSA-PKCS1-v1_5 with SHA-256.
pub const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";

/// Why a text lists no keys.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidKeys {
    #[error("public key is not an RSA public key of PKCS#1 in DER: `{0}`")]
    Der(String),
    #[error("fingerprint is not that of the key beside it: `{0}`")]
    Fingerprint(String),
    #[error("not a list of public keys: {0}")]
    List(String),
    #[error("time of validity is not a time: `{0}`")]
    Time(String),
}

/// A signature that is not the key's.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("signature is not the key's")]
pub struct BadSignature;

impl PublicKey {
    /// Takes a PKCS#1 `RSAPublicKey`; the form that most tools write is another.
    pub fn new(pkcs1_der: Vec<u8>, valid_from: Timestamp, valid_to: Timestamp) -> Result<Self, InvalidKeys> {
        if !is_rsa_public_key(&pkcs1_der) {
            return Err(InvalidKeys::Der(STANDARD.encode(&pkcs1_der)));
        }
        Ok(Self { pkcs1_der, valid_from, valid_to })
    }

    /// The key itself.
    pub fn pkcs1_der(&self) -> &[u8] {
        &self.pkcs1_der
    }

    /// What tells this key from others.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.pkcs1_der)
    }

    /// Whether the signature is this key's of the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.pkcs1_der);
        key.verify(message, signature).map_err(|_| BadSignature)
    }

    /// The key as ListPublicKeys shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "Value": STANDARD.encode(&self.pkcs1_der),
            "ValidityStartTime": self.valid_from.seconds(),
            "ValidityEndTime": self.valid_to.seconds(),
            "Fingerprint": self.fingerprint().to_string(),
        })
    }

    /// Reads the answer of ListPublicKeys, or as the aws-cli prints it.
    pub fn list_from_json(json: &[u8]) -> Result<Vec<Self>, InvalidKeys> {
        let list = |text: &str| InvalidKeys::List(text.to_owned());
        let answer: Value = serde_json::from_slice(json).map_err(|error| InvalidKeys::List(error.to_string()))?;
        let keys = answer.get("PublicKeyList").unwrap_or(&answer);
        let keys = keys.as_array().ok_or_else(|| list("there is no `PublicKeyList`"))?;
        keys.iter().map(Self::from_json).collect()
    }

    fn from_json(key: &Value) -> Result<Self, InvalidKeys> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let value = text("Value").ok_or_else(|| InvalidKeys::List("a key has no `Value`".to_owned()))?;
        let der = STANDARD.decode(value).map_err(|_| InvalidKeys::Der(value.to_owned()))?;
        let key_time = |name: &str| key.get(name).map_or(Err(InvalidKeys::Time(name.to_owned())), moment);
        let read = Self::new(der, key_time("ValidityStartTime")?, key_time("ValidityEndTime")?)?;
        match text("Fingerprint") {
            Some(fingerprint) if fingerprint != read.fingerprint().to_string() => {
                Err(InvalidKeys::Fingerprint(fingerprint.to_owned()))
            }
            Some(_) | None => Ok(read),
        }
    }
}

impl KeyFingerprint {
    /// The fingerprint of a key's DER.
    pub fn of(pkcs1_der: &[u8]) -> Self {
        Self(Md5::digest(pkcs1_der).into())
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = hex::decode(text).ok()?.try_into().ok()?;
        Some(Self(bytes)).filter(|read| read.to_string() == text)
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

/// `SEQUENCE { INTEGER modulus, INTEGER exponent }` and nothing else.
fn is_rsa_public_key(der: &[u8]) -> bool {
    const INTEGER: u8 = 0x02;
    const SEQUENCE: u8 = 0x30;
    let whole = || {
        let (fields, after) = der_element(der, SEQUENCE)?;
        let (modulus, rest) = der_element(fields, INTEGER)?;
        let (_, rest) = der_element(rest, INTEGER)?;
        // 2048 bits and the zero byte that says they are positive.
        (after.is_empty() && rest.is_empty() && modulus.len() >= 257).then_some(())
    };
    whole().is_some()
}

fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [found, ..] if *found != tag => return None,
        [_, 0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        [_, 0x81, length, rest @ ..] => (usize::from(*length), rest),
        [_, length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Seconds since the epoch, as the API has them, or the text that the aws-cli makes of them.
fn moment(time: &Value) -> Result<Timestamp, InvalidKeys> {
    let wrong = || InvalidKeys::Time(time.to_string());
    if let Some(seconds) = time.as_i64() {
        return Ok(Timestamp::from_seconds(seconds));
    }
    if let Some(seconds) = time.as_f64() {
        // The fraction only says when within a second the key was made.
        return format!("{:.0}", seconds.floor()).parse().map(Timestamp::from_seconds).map_err(|_| wrong());
    }
    time.as_str().and_then(written_moment).ok_or_else(wrong)
}

/// `2026-11-21T09:41:58Z`, with a fraction and an offset where they are written.
fn written_moment(text: &str) -> Option<Timestamp> {
    let (local, rest) = text.split_at_checked(19)?;
    let local = Timestamp::parse_iso_extended(&format!("{local}Z"))?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        None => rest,
    };
    if offset == "Z" {
        return Some(local);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = (i64::from(hours) * 60 + i64::from(minutes)) * 60;
    Some(Timestamp::from_millis(local.millis() - sign * seconds * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signer::Signer;
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::KeyPair as _;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn only_the_pinned_algorithm_and_the_right_key_verify() {
        let (one, other) = (Signer::new(at(0), at(1)), Signer::new(at(0), at(1)));
        let signature = one.sign(b"message");
        assert_eq!(one.public.verify(b"message", &signature), Ok(()));
        assert_eq!(one.public.verify(b"massage", &signature), Err(BadSignature));
        assert_eq!(other.public.verify(b"message", &signature), Err(BadSignature));
        assert_eq!(one.public.verify(b"message", &one.sign_by_sha512(b"message")), Err(BadSignature));
        assert_eq!(one.public.verify(b"message", b""), Err(BadSignature));
    }

    #[test]
    fn a_listed_key_is_read_back_in_each_form_of_time() {
        let key = Signer::new(at(1_453_076_702), at(1_455_668_702)).public;
        let mut listed = key.to_json();
        let read = |listed: &Value| {
            PublicKey::list_from_json(json!({ "PublicKeyList": [listed] }).to_string().as_bytes())
                .map(|keys| keys[0].clone())
        };
        assert_eq!(read(&listed), Ok(key.clone()));
        for time in [
            json!(1_453_076_702.25),
            json!("2016-01-18T00:25:02Z"),
            json!("2016-01-18T00:25:02.040000+00:00"),
            json!("2016-01-18T02:25:02+02:00"),
            json!("2016-01-17T23:55:02-00:30"),
        ] {
            listed["ValidityStartTime"] = time.clone();
            assert_eq!(read(&listed), Ok(key.clone()), "{time}");
        }
        listed["ValidityStartTime"] = json!("yesterday");
        assert!(matches!(read(&listed), Err(InvalidKeys::Time(_))));
    }

    #[test]
    fn a_key_in_another_form_or_under_another_fingerprint_is_refused() {
        let signer = Signer::new(at(0), at(1));
        let spki: PublicKeyX509Der<'_> = signer.pair.public_key().as_der().unwrap();
        assert!(matches!(PublicKey::new(spki.as_ref().to_vec(), at(0), at(1)), Err(InvalidKeys::Der(_))));
        let mut longer = signer.public.pkcs1_der().to_vec();
        longer.push(0);
        assert!(matches!(PublicKey::new(longer, at(0), at(1)), Err(InvalidKeys::Der(_))));
        let mut listed = signer.public.to_json();
        listed["Fingerprint"] = json!("00");
        let list = json!([listed]).to_string();
        assert_eq!(PublicKey::list_from_json(list.as_bytes()), Err(InvalidKeys::Fingerprint("00".to_owned())));
        for bad in ["", "{}", "null", "[1]", "{\"PublicKeyList\":{}}"] {
            assert!(PublicKey::list_from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// A key and its fingerprint as AWS's documentation of `list-public-keys` prints them.
    #[test]
    fn the_fingerprint_is_cloudtrails() {
        let value = "MIIBCgKCAQEAn11L2YZ9h7onug2ILi1MWyHiMRsTQjfWE+pHVRLk1QjfWhirG+lpOa8NrwQ/r7Ah5bNL6HepznOU9XTDSfmmnP97mqyc7z/upfZdS/AHhYcGaz7n6Wc/RRBU6VmiPCrAUojuSk6/GjvA8iOPFsYDuBtviXarvuLPlrT9kAd4Lb+rFfR5peEgBEkhlzc5HuWO7S0y+KunqxX6jQBnXGMtxmPBPP0FylgWGNdFtks/4YSKcgqwH0YDcawP9GGGDAeCIqPWIXDLG1jOjRRzWfCmD0iJUkz8vTsn4hq/5ZxRFE7UBAUiVcGbdnDdvVfhF9C3dQiDq3k7adQIziLT0cShgQIDAQAB";
        let listed = json!([{ "Value": value, "ValidityStartTime": 0, "ValidityEndTime": 1, "Fingerprint": "8eba5db5bea9b640d1c96a77256fe7f2" }]);
        assert_eq!(PublicKey::list_from_json(listed.to_string().as_bytes()).map(|keys| keys.len()), Ok(1));
    }
}
