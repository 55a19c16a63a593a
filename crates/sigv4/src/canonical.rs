//! The canonical request, the string to sign and the signature of SigV4, as S3 reads them.
//!
//! Verification and the signer of upstream requests share this file, so that they cannot disagree.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use portcullis_base::percent::{percent_decode, percent_encode, percent_encode_path};
use portcullis_base::secret::Secret;

/// The one algorithm spoken here.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The payload hash of a request whose body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The SHA-256 of nothing, in hex.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a signing key is good for: one day, one region, one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialScope<'a> {
    /// The day, as `20130524`.
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

impl fmt::Display for CredentialScope<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// The canonical request; `headers` are the signed ones, in lower case and sorted by name.
pub fn canonical_request(
    method: &str,
    canonical_path: &str,
    canonical_query: &str,
    headers: &[(&str, &[u8])],
    payload_hash: &str,
) -> Vec<u8> {
    let headers_length: usize = headers.iter().map(|(name, value)| 2 * name.len() + value.len() + 3).sum();
    let fixed_length = method.len() + canonical_path.len() + canonical_query.len() + payload_hash.len() + 5;
    let mut out = Vec::with_capacity(headers_length + fixed_length);
    for part in [method, canonical_path, canonical_query] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    for (name, value) in headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        extend_folded(&mut out, value);
        out.push(b'\n');
    }
    out.push(b'\n');
    for (index, (name, _)) in headers.iter().enumerate() {
        if index > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(payload_hash.as_bytes());
    out
}

/// The path as S3 signs it: decoded and encoded once, never normalised; `None` if it does not decode.
pub fn canonical_path(raw: &str) -> Option<Cow<'_, str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    if raw.bytes().all(plain) {
        return Some(Cow::Borrowed(raw));
    }
    percent_decode(raw).map(|decoded| Cow::Owned(percent_encode_path(&decoded)))
}

/// The query as it is signed: decoded pairs, encoded again and sorted by name.
pub fn canonical_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut encoded: Vec<(String, String)> =
        pairs.map(|(name, value)| (percent_encode(name), percent_encode(value))).collect();
    // By name, not by the joined text: `=` sorts after `-`, so that `a-b` would come before `a`.
    encoded.sort_unstable();
    let mut out = String::with_capacity(encoded.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
    for (name, value) in &encoded {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    out
}

/// The string to sign of a request made at `moment`, such as `20130524T000000Z`.
pub fn string_to_sign(moment: &str, scope: &CredentialScope<'_>, canonical_request: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    extend_preamble(&mut out, ALGORITHM, moment, scope);
    extend_hex(&mut out, &Sha256::digest(canonical_request).into());
    out
}

/// Appends the lines with which every string to sign begins.
pub(super) fn extend_preamble(out: &mut Vec<u8>, algorithm: &str, moment: &str, scope: &CredentialScope<'_>) {
    for part in [algorithm, "\n", moment, "\n", scope.date, "/", scope.region, "/", scope.service, "/aws4_request\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends a digest in lower-case hex.
pub(super) fn extend_hex(out: &mut Vec<u8>, digest: &[u8; 32]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let mut digits = [[0; 2]; 32];
    for (place, byte) in digits.iter_mut().zip(digest) {
        *place = [digit(byte >> 4), digit(byte & 15)];
    }
    out.extend_from_slice(digits.as_flattened());
}

/// What is no digit of lower-case hex.
const NO_DIGIT: u8 = 0x80;

/// Reads a SHA-256 or a signature: 64 digits of lower-case hex.
pub(super) fn read_hex(text: &str) -> Option<[u8; 32]> {
    // Without a way out of the loop: every request has two numbers of 64 digits.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => NO_DIGIT,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut digest = [0; 32];
    let mut seen = 0;
    for (place, &[high, low]) in digest.iter_mut().zip(pairs) {
        let (high, low) = (digit(high), digit(low));
        seen |= high | low;
        *place = high << 4 | low & 15;
    }
    if seen & NO_DIGIT != 0 {
        return None;
    }
    Some(digest)
}

/// Appends a header's value without the spaces around it, runs of spaces within as one.
fn extend_folded(out: &mut Vec<u8>, value: &[u8]) {
    let value = value.trim_ascii();
    if !value.contains(&b' ') || !value.windows(2).any(|pair| pair == b"  ") {
        out.extend_from_slice(value);
        return;
    }
    let mut after_space = false;
    for &byte in value {
        if byte != b' ' || !after_space {
            out.push(byte);
        }
        after_space = byte == b' ';
    }
}

/// A key that signs within one scope; derived once, used often.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Derives the key of a scope from an access key's secret.
    pub fn derive(secret: &Secret<String>, scope: &CredentialScope<'_>) -> Self {
        let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.expose().len()));
        seed.extend_from_slice(b"AWS4");
        seed.extend_from_slice(secret.expose().as_bytes());
        [scope.date, scope.region, scope.service, "aws4_request"]
            .into_iter()
            .fold(Self::of(&seed), |key, part| Self::of(key.sign(part.as_bytes()).0.expose()))
    }

    /// Signs a string to sign.
    pub fn sign(&self, text: &[u8]) -> Signature {
        let mut mac = self.0.clone();
        mac.update(text);
        Signature(Secret::new(mac.finalize().into_bytes().into()))
    }

    /// A key without a secret, for work whose result is discarded.
    pub(super) fn decoy() -> Self {
        Self::of(&[])
    }

    fn of(key: &[u8]) -> Self {
        // HMAC pads a short key with zeros and hashes a long one; done here, no length is an error.
        let mut block = Zeroizing::new([0; 64]);
        match block.get_mut(..key.len()) {
            Some(place) => place.copy_from_slice(key),
            None => block.iter_mut().zip(Sha256::digest(key)).for_each(|(place, byte)| *place = byte),
        }
        Self(Hmac::new(&(*block).into()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// A signature; a computed one is as good as the key for its one request, so it hides like a secret.
#[derive(Clone, Debug)]
pub struct Signature(Secret<[u8; 32]>);

impl Signature {
    /// Reads 64 digits of lower-case hex.
    pub fn parse(text: &str) -> Option<Self> {
        read_hex(text).map(|bytes| Self(Secret::new(bytes)))
    }

    /// Whether both are the same, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(other.0.expose())
    }

    /// The hex form, for sending it to an upstream and for nothing else.
    pub fn hex(&self) -> String {
        let mut out = Vec::with_capacity(64);
        self.extend_into(&mut out);
        // Digits are ASCII; a signature that is not 64 of them no store would take.
        String::from_utf8(out).unwrap_or_default()
    }

    pub(super) fn extend_into(&self, out: &mut Vec<u8>) {
        extend_hex(out, self.0.expose());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCOPE: CredentialScope<'static> = CredentialScope { date: "20150830", region: "us-east-1", service: "iam" };

    #[test]
    fn a_derived_key_signs_as_aws_documents() {
        // The worked example of the AWS General Reference, "Calculate the signature".
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signature = SigningKey::derive(&secret, &SCOPE).sign(text.as_bytes());
        assert_eq!(signature.hex(), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    #[test]
    fn a_canonical_request_has_the_documented_lines() {
        let headers: [(&str, &[u8]); 2] = [("host", b"a"), ("x-amz-meta-note", b"  one   two \t")];
        let request = canonical_request("GET", "/b/k", "a=1", &headers, EMPTY_SHA256);
        let expected =
            format!("GET\n/b/k\na=1\nhost:a\nx-amz-meta-note:one two\n\nhost;x-amz-meta-note\n{EMPTY_SHA256}");
        assert_eq!(String::from_utf8(request).expect("ASCII"), expected);
    }

    #[test]
    fn a_path_is_encoded_once_and_never_normalised() {
        for (raw, canonical) in [
            ("/", "/"),
            ("/b/../a//k", "/b/../a//k"),
            ("/test$file", "/test%24file"),
            ("/a%20b%2fc", "/a%20b/c"),
            ("/%7e%41", "/~A"),
            ("/100%25", "/100%25"),
        ] {
            assert_eq!(canonical_path(raw).as_deref(), Some(canonical), "{raw}");
        }
        for bad in ["/%", "/%4", "/%zz", "/%FF"] {
            assert_eq!(canonical_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_query_is_sorted_by_name_and_a_flag_gets_its_equals_sign() {
        let pairs = [("prefix", "a b/"), ("lifecycle", ""), ("a-b", "1"), ("a", "2")];
        assert_eq!(canonical_query(pairs.into_iter()), "a=2&a-b=1&lifecycle=&prefix=a%20b%2F");
    }

    #[test]
    fn a_signature_is_read_from_64_lower_case_digits_only_and_prints_stars() {
        let text = "0f".repeat(32);
        let signature = Signature::parse(&text).expect("a signature");
        assert_eq!(signature.hex(), text);
        assert_eq!(format!("{signature:?}"), "Signature(***)");
        for bad in ["", "0f", &"0F".repeat(32), &"0f".repeat(33), &"zz".repeat(32)] {
            assert!(Signature::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_of_any_length_is_the_key_hmac_makes_of_it(key in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
            mac.update(b"text");
            prop_assert_eq!(SigningKey::of(&key).sign(b"text").hex(), hex::encode(mac.finalize().into_bytes()));
        }

        #[test]
        fn canonical_forms_never_panic(raw in ".*", pairs in proptest::collection::vec((".*", ".*"), 0..4)) {
            let _ = canonical_path(&raw);
            let _ = canonical_query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
    }
}
