//! How Portcullis tells its own clients that a refusal asks for an MFA token.

/// Whether a refusal asks for an MFA token.
///
/// AWS has no error code for it: `AccessDenied` stands for many refusals, and its message is written for people.
/// So the answer says it in a header of its own, which other clients ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MfaDemand {
    None,
    Required,
}

impl MfaDemand {
    /// The response header.
    pub const HEADER: &'static str = "x-portcullis-mfa";
    const REQUIRED: &'static str = "required";

    /// The header's value; none where the header is left out.
    pub fn header_value(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Required => Some(Self::REQUIRED),
        }
    }

    /// Reads the header's value.
    pub fn parse(value: Option<&[u8]>) -> Self {
        match value {
            Some(value) if value == Self::REQUIRED.as_bytes() => Self::Required,
            Some(_) | None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for demand in [MfaDemand::None, MfaDemand::Required] {
            assert_eq!(MfaDemand::parse(demand.header_value().map(str::as_bytes)), demand);
        }
        assert_eq!(MfaDemand::parse(Some(b"perhaps")), MfaDemand::None);
    }
}
