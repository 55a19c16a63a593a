//! What was decided on an action, and how the record tells it.

use portcullis_audit::{MfaFacts, mfa_result};
use portcullis_authorization::{MfaDelete, Permit, PermittedAction, PermittedRequest, ProvedVerdict, Refusal};
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::record::MfaResult;
use portcullis_mfa::MfaToken;

/// What was decided on an action, once no code is owed.
pub(super) enum JudgedAction<A: PermittedAction> {
    /// No code was needed.
    Permitted(Permit<A>),
    /// The code was right; the state may forbid it even so.
    Proved(Result<Permit<A>, A::Refusal>),
    Refused(A::Refusal),
}

/// Whether a code was needed, and what became of the one that was offered.
pub(super) type Factor = (bool, Option<MfaResult>);

/// What a permit cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermitCost {
    Code,
    Nothing,
}

/// What a client offered, without the code itself.
pub(super) struct OfferedCode {
    pub presented: bool,
    serial: Option<DeviceSerial>,
}

impl OfferedCode {
    pub(super) fn of(offer: &MfaToken) -> Self {
        match offer {
            MfaToken::Absent => Self { presented: false, serial: None },
            MfaToken::Codes(codes) => Self { presented: true, serial: Some(codes.serial.clone()) },
            MfaToken::Malformed(_) => Self { presented: true, serial: None },
        }
    }

    /// The facts of MFA Delete for the record.
    pub(super) fn told(self, bucket: MfaDelete, (required, result): Factor) -> MfaFacts {
        MfaFacts { bucket, required, presented: self.presented, result, serial: self.serial }
    }
}

impl From<ProvedVerdict> for JudgedAction<PermittedRequest> {
    fn from(verdict: ProvedVerdict) -> Self {
        match verdict {
            ProvedVerdict::Needed(outcome) => Self::Proved(outcome),
            ProvedVerdict::Unneeded(Ok(permit)) => Self::Permitted(permit),
            ProvedVerdict::Unneeded(Err(refusal)) => Self::Refused(refusal),
        }
    }
}

impl<A: PermittedAction> JudgedAction<A> {
    /// What of a code the decision tells.
    pub(super) fn factor(&self, of_refusal: impl FnOnce(&A::Refusal) -> Factor) -> Factor {
        match self {
            Self::Permitted(_) => (false, None),
            Self::Proved(_) => (true, Some(MfaResult::Accepted)),
            Self::Refused(refusal) => of_refusal(refusal),
        }
    }

    pub(super) fn spent(&self) -> PermitCost {
        match self {
            Self::Proved(_) => PermitCost::Code,
            Self::Permitted(_) | Self::Refused(_) => PermitCost::Nothing,
        }
    }

    pub(super) fn permit(self) -> Result<Permit<A>, A::Refusal> {
        match self {
            Self::Permitted(permit) => Ok(permit),
            Self::Proved(outcome) => outcome,
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// What a refusal says of the code.
pub(super) fn of_refusal(refusal: &Refusal) -> Factor {
    match refusal {
        Refusal::ClockDisagrees => (true, Some(MfaResult::ClockDisagrees)),
        Refusal::ExclusionsPresent
        | Refusal::LifecycleOnProtectedBucket
        | Refusal::LifecyclePresent
        | Refusal::NoSuchBucket
        | Refusal::NotVersioned
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
