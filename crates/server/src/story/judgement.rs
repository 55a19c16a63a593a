//! What the record of a decision says of the code.

use portcullis_audit::{MfaFacts, mfa_result};
use portcullis_authorization::{JudgedAction, MfaDelete, PermittedAction, Refusal};
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::record::MfaResult;
use portcullis_mfa::{Challenge, MfaToken};

/// Whether a code was needed, and what became of the one that was offered.
pub(crate) type CodeFactor = (bool, Option<MfaResult>);

/// What a client offered in `x-amz-mfa`, without the code itself.
pub(crate) struct OfferedCode {
    pub presented: bool,
    serial: Option<DeviceSerial>,
}

impl OfferedCode {
    pub(crate) fn of(offer: &MfaToken) -> Self {
        match offer {
            MfaToken::Absent => Self { presented: false, serial: None },
            MfaToken::Codes(codes) => Self { presented: true, serial: Some(codes.serial.clone()) },
            MfaToken::Malformed(_) => Self { presented: true, serial: None },
        }
    }

    /// Notes whose codes are judged: a token's, or those that an action takes as its parameters.
    pub(super) fn challenged<T>(&mut self, challenge: &Challenge<T>) {
        self.serial = Some(challenge.codes().serial.clone());
    }

    /// The facts of MFA Delete for the record.
    pub(crate) fn told(self, bucket: MfaDelete, (required, result): CodeFactor) -> MfaFacts {
        MfaFacts { bucket, required, presented: self.presented, result, serial: self.serial }
    }
}

/// What a decision tells of the code.
pub(crate) fn code_factor<A: PermittedAction>(
    judged: &JudgedAction<A>,
    of_refusal: impl FnOnce(&A::Refusal) -> CodeFactor,
) -> CodeFactor {
    match judged {
        JudgedAction::Permitted(_) => (false, None),
        JudgedAction::Proved(_) => (true, Some(MfaResult::Accepted)),
        JudgedAction::Refused(refusal) => of_refusal(refusal),
    }
}

/// What a refusal says of the code.
pub(crate) fn of_refusal(refusal: &Refusal) -> CodeFactor {
    match refusal {
        Refusal::ClockDisagrees => (true, Some(MfaResult::ClockDisagrees)),
        Refusal::ExclusionsPresent
        | Refusal::LifecycleOnProtectedBucket
        | Refusal::LifecyclePresent
        | Refusal::NoSuchBucket
        | Refusal::NotVersioned
        | Refusal::Policy(_)
        | Refusal::TrailBucket
        | Refusal::Unsettled(_) => (false, None),
        Refusal::InsecureTransport => (true, Some(MfaResult::InsecureTransport)),
        Refusal::MalformedOffer(_) => (false, Some(MfaResult::Malformed)),
        Refusal::MfaRequired => (true, Some(MfaResult::Missing)),
        Refusal::NotBucketOwner => (true, Some(MfaResult::NotRoot)),
        Refusal::NotDeviceOwner { .. } => (true, Some(MfaResult::UnknownDevice)),
        Refusal::TokenCodeInvalid(fault) => (true, Some(mfa_result(*fault))),
        Refusal::NetworkThrottled { .. } | Refusal::TooManyCodesAtOnce => (true, Some(MfaResult::Throttled)),
        Refusal::UploadMayReplaceVersion => (true, Some(MfaResult::Missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    use portcullis_base::clock::Timestamp;
    use portcullis_mfa::{MfaFault, TokenCode};

    #[test]
    fn each_refusal_is_told_as_what_it_says_of_the_code() {
        let serial = DeviceSerial::parse("20899872").expect("a serial");
        let faults = [
            MfaFault::ClockDisagrees,
            MfaFault::MoreCodesNeeded,
            MfaFault::NetworkThrottled { seconds: 120 },
            MfaFault::NotDigits,
            MfaFault::Replayed,
            MfaFault::TooManyAtOnce,
            MfaFault::UnknownDevice,
            MfaFault::WrongCode,
        ];
        let mut refusals = vec![
            Refusal::ClockDisagrees,
            Refusal::ExclusionsPresent,
            Refusal::InsecureTransport,
            Refusal::LifecycleOnProtectedBucket,
            Refusal::LifecyclePresent,
            Refusal::MalformedOffer(TokenCode::new("123456")),
            Refusal::MfaRequired,
            Refusal::NetworkThrottled { seconds: 120 },
            Refusal::NoSuchBucket,
            Refusal::NotBucketOwner,
            Refusal::NotDeviceOwner { serial, code: TokenCode::new("123456") },
            Refusal::NotVersioned,
            Refusal::TooManyCodesAtOnce,
            Refusal::TrailBucket,
            Refusal::Unsettled(Timestamp::from_seconds(1_800_000_000)),
            Refusal::UploadMayReplaceVersion,
        ];
        refusals.extend(faults.map(Refusal::TokenCodeInvalid));
        let mut table = String::new();
        for refusal in refusals {
            let name = format!("{refusal:?}");
            let presented = MfaToken::parse(Some("20899872 123456"));
            let facts = OfferedCode::of(&presented).told(MfaDelete::NeverSet, of_refusal(&refusal));
            let serial = facts.serial.map(|serial| serial.to_string());
            assert_eq!(serial.as_deref(), Some("20899872"), "what was offered is told whatever came of it");
            writeln!(table, "{name}: required {}, {:?}", facts.required, facts.result).expect("written");
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn what_was_offered_is_told_without_its_code() {
        for (header, presented, serial) in
            [(None, false, None), (Some("20899872 123456"), true, Some("20899872")), (Some("123456"), true, None)]
        {
            let offered = OfferedCode::of(&MfaToken::parse(header));
            assert_eq!(
                (offered.presented, offered.serial.map(|serial| serial.to_string()).as_deref()),
                (presented, serial)
            );
        }
    }
}
