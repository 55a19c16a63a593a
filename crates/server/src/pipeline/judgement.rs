//! What the gate made of a request, and how the record tells it.

use super::Pipeline;
use super::protection::LeasedBucket;
use crate::failure::Failure;
use portcullis_audit::{Draft, MfaFacts, mfa_result};
use portcullis_authorization::{BucketState, Caller, EarlyVerdict, Permit, ProvedVerdict, Refusal, Verdict};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;
use portcullis_cloudtrail::record::MfaResult;
use portcullis_mfa::{Challenge, MfaToken, Proof, UnmetChallenge};
use portcullis_s3::S3Request;
use portcullis_state::{CodeSource, SpendError};

/// What the gate made of a request.
pub(super) enum JudgedRequest {
    /// No code was needed.
    Free(Permit),
    /// The code was right; the bucket's own state may forbid it even so.
    Proved(Result<Permit, Refusal>),
    Refused(Refusal),
}

/// What a permit cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermitCost {
    Code,
    Nothing,
}

impl Pipeline {
    /// Judges a request. The permit comes with the lease that keeps true what it was judged by.
    pub(super) async fn judge(
        &self,
        request: Box<S3Request>,
        caller: &Caller,
        source: CodeSource,
        offer: MfaToken,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(Permit, LeasedBucket, PermitCost), Failure> {
        let offered = OfferedToken::of(&offer);
        let remembered = self.protection.remembered(&request, now);
        // Codes queue for their device, and what is refused has nothing to wait for. Neither may keep others from the
        // bucket meanwhile, so both come before the lease, and what is judged then is judged by it once more.
        let (judged, held) =
            match (portcullis_authorization::foresee(&request, caller, remembered, &offer, self.rules), offer) {
                (EarlyVerdict::Code, MfaToken::Codes(codes)) => {
                    let challenge = Challenge::new(codes, request);
                    match Box::pin(self.spend(challenge, caller, source, now)).await? {
                        Ok(proof) => {
                            let held =
                                self.protection.hold(proof.subject(), remembered, &caller.principal, now).await?;
                            (
                                JudgedRequest::from(portcullis_authorization::assess_proved(
                                    proof, caller, held.state, self.rules,
                                )),
                                held,
                            )
                        }
                        Err(refusal) => (JudgedRequest::Refused(refusal), LeasedBucket::without_lease(remembered)),
                    }
                }
                (foresight, offer) => {
                    let held = match foresight {
                        EarlyVerdict::Code | EarlyVerdict::Open => {
                            self.protection.hold(&request, remembered, &caller.principal, now).await?
                        }
                        EarlyVerdict::Refusal => LeasedBucket::without_lease(remembered),
                    };
                    let judged = match portcullis_authorization::assess(request, caller, held.state, offer, self.rules)
                    {
                        Verdict::Forward(permit) => JudgedRequest::Free(permit),
                        Verdict::Refuse(refusal) => JudgedRequest::Refused(refusal),
                        Verdict::Verify(challenge) => match Box::pin(self.spend(challenge, caller, source, now)).await?
                        {
                            Ok(proof) => JudgedRequest::Proved(Permit::by_proof(proof)),
                            Err(refusal) => JudgedRequest::Refused(refusal),
                        },
                    };
                    (judged, held)
                }
            };
        draft.judged(offered.told(held.state, &judged));
        let spent = match judged {
            JudgedRequest::Proved(_) => PermitCost::Code,
            JudgedRequest::Free(_) | JudgedRequest::Refused(_) => PermitCost::Nothing,
        };
        Ok((judged.permit().map_err(Failure::Refused)?, held, spent))
    }

    /// Takes the code of a challenge; it is spent, durably, before anything else happens.
    async fn spend<T: Unpin>(
        &self,
        challenge: Challenge<T>,
        caller: &Caller,
        source: CodeSource,
        now: Timestamp,
    ) -> Result<Result<Proof<T>, Refusal>, Failure> {
        // A journal that waits for space still takes changes of the state. But whatever `audit.on_failure` lets pass
        // unrecorded, what needs a code is not among it.
        if !self.journal.is_open() {
            return Err(Failure::Unrecorded);
        }
        match portcullis_mfa::spend(challenge, &self.store.step_ledger(&caller.principal, source, now)).await {
            Ok(proof) => Ok(Ok(proof)),
            Err(UnmetChallenge { challenge, error: SpendError::Fault(fault) }) => {
                Ok(Err(Refusal::of_fault(challenge.into_codes(), fault)))
            }
            Err(UnmetChallenge { error: SpendError::Store(error), .. }) => {
                tracing::error!(%error, "an MFA code cannot be checked");
                Err(Failure::Unrecorded)
            }
        }
    }
}

/// What a client offered, before the gate takes it.
pub(super) struct OfferedToken {
    pub presented: bool,
    pub serial: Option<DeviceSerial>,
}

impl OfferedToken {
    pub fn of(offer: &MfaToken) -> Self {
        match offer {
            MfaToken::Absent => Self { presented: false, serial: None },
            MfaToken::Codes(codes) => Self { presented: true, serial: Some(codes.serial.clone()) },
            MfaToken::Malformed(_) => Self { presented: true, serial: None },
        }
    }

    /// The facts of MFA Delete for the record.
    pub fn told(self, bucket: BucketState, judged: &JudgedRequest) -> MfaFacts {
        let (required, result) = match judged {
            JudgedRequest::Free(_) => (false, None),
            JudgedRequest::Proved(_) => (true, Some(MfaResult::Accepted)),
            JudgedRequest::Refused(refusal) => of_refusal(refusal),
        };
        MfaFacts { bucket: bucket.mfa_delete, required, presented: self.presented, result, serial: self.serial }
    }
}

impl From<ProvedVerdict> for JudgedRequest {
    fn from(verdict: ProvedVerdict) -> Self {
        match verdict {
            ProvedVerdict::Needed(outcome) => Self::Proved(outcome),
            ProvedVerdict::Unneeded(Ok(permit)) => Self::Free(permit),
            ProvedVerdict::Unneeded(Err(refusal)) => Self::Refused(refusal),
        }
    }
}

impl JudgedRequest {
    pub fn permit(self) -> Result<Permit, Refusal> {
        match self {
            Self::Free(permit) => Ok(permit),
            Self::Proved(outcome) => outcome,
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

pub(super) fn of_refusal(refusal: &Refusal) -> (bool, Option<MfaResult>) {
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
            let facts = OfferedToken::of(&presented).told(BucketState::UNPROTECTED, &JudgedRequest::Refused(refusal));
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
            let offered = OfferedToken::of(&MfaToken::parse(header));
            assert_eq!(
                (offered.presented, offered.serial.map(|serial| serial.to_string()).as_deref()),
                (presented, serial)
            );
        }
    }
}
