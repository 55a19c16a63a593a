//! Time-based one-time passwords (RFC 6238), and what an authenticator app has to be told of them.

use std::fmt;

use totp_rs::{Algorithm, Builder};
use zeroize::Zeroizing;

use portcullis_base::clock::Timestamp;
use portcullis_base::names::{AccountId, DeviceSerial};
use portcullis_base::percent::percent_encode;
use portcullis_base::secret::Secret;

/// What a device and its verifier share: 160 bits, as RFC 4226 recommends.
#[derive(Clone)]
pub struct Seed(Secret<[u8; Seed::LENGTH]>);

/// How many digits a device shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodeDigits {
    Eight,
    Six,
}

const PERIOD_SECONDS: i64 = 30;

impl Seed {
    /// How many bytes a seed has.
    pub const LENGTH: usize = 20;

    /// Takes bytes fresh from the system's random source, or those kept of them.
    pub fn new(random: [u8; Self::LENGTH]) -> Self {
        Self(Secret::new(random))
    }

    /// The bytes, to be sealed.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        self.0.expose()
    }

    /// Reads a seed as an authenticator app does.
    #[cfg(any(test, feature = "test-support"))]
    pub fn from_base32(text: &str) -> Option<Self> {
        let secret = totp_rs::Secret::try_from_base32(text).ok()?;
        secret.as_bytes().try_into().ok().map(Self::new)
    }

    /// The seed as it is typed into an authenticator app.
    pub fn base32(&self) -> Secret<String> {
        Secret::new(totp_rs::Secret::new_stack(*self.expose()).to_base32())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl CodeDigits {
    /// The number of digits.
    pub fn count(self) -> u8 {
        match self {
            Self::Eight => 8,
            Self::Six => 6,
        }
    }

    /// Takes 6 or 8.
    pub fn parse(count: u8) -> Option<Self> {
        match count {
            6 => Some(Self::Six),
            8 => Some(Self::Eight),
            _ => None,
        }
    }
}

/// The time step of a moment; all that was before 1970 is step 0.
pub(super) fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.seconds().div_euclid(PERIOD_SECONDS)).unwrap_or(0)
}

/// How long this many steps take.
pub(super) fn seconds(steps: i64) -> i64 {
    steps.saturating_mul(PERIOD_SECONDS)
}

/// What a device shows at a moment.
#[cfg(any(test, feature = "test-support"))]
pub fn shown(seed: &Seed, digits: CodeDigits, now: Timestamp) -> Zeroizing<String> {
    code_at(seed, digits, step_at(now))
}

/// The code a device shows in a time step.
pub(super) fn code_at(seed: &Seed, digits: CodeDigits, step: u64) -> Zeroizing<String> {
    // SHA-1 because authenticator apps ignore any other choice; HMAC does not rest on collision resistance.
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(digits.count())
        .with_secret(totp_rs::Secret::new_stack(*seed.expose()))
        .with_step_duration(PERIOD_SECONDS.unsigned_abs())
        .build_noncompliant();
    Zeroizing::new(totp.generate(step.saturating_mul(PERIOD_SECONDS.unsigned_abs())).to_string())
}

/// The `otpauth:` URI an authenticator app reads from a QR code.
// Named `device@account` as AWS does: neither half of a Key URI's label may hold a colon.
pub(super) fn otpauth_uri(
    serial: &DeviceSerial,
    seed: &Seed,
    digits: CodeDigits,
    account: &AccountId,
) -> Secret<String> {
    let name = percent_encode(&format!("{}@{account}", serial.device_name()));
    let secret = seed.base32();
    let digits = match digits {
        CodeDigits::Eight => "&digits=8",
        CodeDigits::Six => "",
    };
    Secret::new(format!("otpauth://totp/Portcullis:{name}?secret={}&issuer=Portcullis{digits}", secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        let seed = Seed::new(*b"12345678901234567890");
        for (time, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = step_at(Timestamp::from_seconds(time));
            assert_eq!(*code_at(&seed, CodeDigits::Eight, step), code);
            assert_eq!(*code_at(&seed, CodeDigits::Six, step), code[2..]);
        }
    }

    #[test]
    fn an_authenticator_app_is_told_name_account_and_seed() {
        let account = AccountId::parse("123456789012").expect("legal");
        let serial = DeviceSerial::virtual_device(&account, "my+phone").expect("legal");
        let uri = otpauth_uri(&serial, &Seed::new(*b"12345678901234567890"), CodeDigits::Eight, &account);
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Portcullis:my%2Bphone%40123456789012\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Portcullis&digits=8"
        );
    }

    #[test]
    fn a_seed_prints_stars() {
        assert_eq!(format!("{:?}", Seed::new([7; 20])), "***");
    }

    #[test]
    fn a_moment_before_1970_is_in_the_first_step() {
        assert_eq!(step_at(Timestamp::from_seconds(-31)), 0);
    }
}
