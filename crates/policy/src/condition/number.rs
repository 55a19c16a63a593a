//! Numbers as policies write them: decimal, compared exactly.

/// A decimal number with at most nine digits behind its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DecimalNumber {
    billionths: i128,
}

const PLACES: usize = 9;
const BILLION: i128 = 1_000_000_000;

impl DecimalNumber {
    /// Reads `3600`, `-1` or `0.5`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (unsigned, sign) = match text.strip_prefix('-') {
            Some(unsigned) => (unsigned, -1),
            None => (text, 1),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        if whole.len() > 18 || fraction.len() > PLACES {
            return None;
        }
        // `1.` and `.5` have a part without digits.
        let (whole, _) = (digits(whole)?, digits(fraction)?);
        let fraction = digits(&format!("{fraction:0<PLACES$}"))?;
        Some(Self { billionths: sign * (whole * BILLION + fraction) })
    }
}

/// Digits alone: `parse` would take a sign.
fn digits(text: &str) -> Option<i128> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_order_of_their_values() {
        let texts = ["-10", "-1.5", "-0.000000001", "0", "0.05", "0.5", "1", "1.25", "9", "10", "999999999999999999"];
        let numbers: Vec<_> = texts.iter().map(|text| DecimalNumber::parse(text).expect("a number")).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert_eq!(DecimalNumber::parse("1.50"), DecimalNumber::parse("1.5"));
        assert_eq!(DecimalNumber::parse("007"), DecimalNumber::parse("7"));
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in ["", "-", ".", "1.", ".5", "+1", "--1", "1e3", "1_000", "0x1", " 1", "soon", "1.-5", "1.2.3"] {
            assert_eq!(DecimalNumber::parse(text), None, "{text}");
        }
        assert_eq!(DecimalNumber::parse("1234567890123456789"), None);
        assert_eq!(DecimalNumber::parse("0.1234567890"), None);
    }
}
