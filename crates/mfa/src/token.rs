//! What a client sent in `x-amz-mfa`.

use std::fmt;

use portcullis_base::names::DeviceSerial;
use portcullis_base::secret::Secret;

/// What a client sent in `x-amz-mfa`.
#[derive(Clone, Debug)]
pub enum MfaToken {
    /// No header.
    Absent,
    /// A serial number and one to three tokens.
    Codes(TokenCodes),
    /// A header that is not `{serialNumber}(space){tokenCode}`, as it came: AWS's answer repeats it.
    Malformed(TokenCode),
}

/// A serial number with the codes that came with it.
#[derive(Clone, Debug)]
pub struct TokenCodes {
    pub serial: DeviceSerial,
    /// One code, or two or three of consecutive time steps, oldest first.
    pub codes: Vec<TokenCode>,
}

/// One token as it was typed; not yet known to be digits.
#[derive(Clone)]
pub struct TokenCode(Secret<String>);

impl TokenCode {
    /// Takes a token as it was typed.
    pub fn new(text: &str) -> Self {
        Self(Secret::new(text.to_owned()))
    }

    /// The digits, if there are exactly as many as the device shows.
    pub fn digits(&self, count: usize) -> Option<&str> {
        let text = self.0.expose();
        (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text.as_str())
    }

    /// The token for the two answers that have to repeat it: `NotDeviceOwnerError` and AWS's `InvalidArgument`.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for TokenCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl MfaToken {
    /// Reads the header's value: a serial and one to three tokens, apart by spaces only.
    pub fn parse(header: Option<&str>) -> Self {
        let Some(text) = header else { return Self::Absent };
        // SigV4 trims and folds spaces before signing, so more than one between the parts is the same value.
        let mut parts = text.split(' ').filter(|part| !part.is_empty());
        let (Some(serial), Some(first)) = (parts.next(), parts.next()) else {
            return Self::Malformed(TokenCode::new(text));
        };
        let codes: Vec<TokenCode> = std::iter::once(first).chain(parts).map(TokenCode::new).collect();
        let readable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        match DeviceSerial::parse(serial) {
            Ok(serial) if readable && codes.len() <= 3 => Self::Codes(TokenCodes { serial, codes }),
            _ => Self::Malformed(TokenCode::new(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(header: Option<&str>) -> String {
        match MfaToken::parse(header) {
            MfaToken::Absent => "absent".to_owned(),
            MfaToken::Codes(codes) => format!("{} with {}", codes.serial, codes.codes.len()),
            MfaToken::Malformed(_) => "malformed".to_owned(),
        }
    }

    #[test]
    fn a_header_is_a_serial_and_one_to_three_codes() {
        assert_eq!(shape(None), "absent");
        assert_eq!(shape(Some("20899872 301749")), "20899872 with 1");
        assert_eq!(shape(Some("20899872   301749 301750")), "20899872 with 2");
        assert_eq!(
            shape(Some("arn:aws:iam::123456789012:mfa/phone 1 2 3")),
            "arn:aws:iam::123456789012:mfa/phone with 3"
        );
    }

    #[test]
    fn a_header_without_a_serial_is_malformed() {
        for header in ["", " ", "970589", " 970589", "a\t123456", "a b c d e", "sérial 123456"] {
            assert_eq!(shape(Some(header)), "malformed", "{header}");
        }
    }

    #[test]
    fn only_the_exact_number_of_ascii_digits_is_a_code() {
        assert_eq!(TokenCode::new("012345").digits(6), Some("012345"));
        for bad in ["12345", "1234567", "+12345", "12345a", "١٢٣٤٥٦"] {
            assert_eq!(TokenCode::new(bad).digits(6), None, "{bad}");
        }
    }

    #[test]
    fn an_offer_never_prints_its_code() {
        assert!(!format!("{:?}", MfaToken::parse(Some("20899872 301749"))).contains("301749"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = MfaToken::parse(Some(&text));
        }
    }
}
