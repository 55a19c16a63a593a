//! What becomes a proof, and what does not.

use std::sync::Mutex;
use std::task::Waker;

use super::*;
use crate::{CodeDigits, MfaDevice, ProvedPart, Seed, TokenCode, TokenCodes};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::DeviceSerial;

const NOW: Timestamp = Timestamp::from_seconds(1_900_000_000);

/// A ledger that answers with what it is told, however late.
struct FakeLedger {
    settled: Mutex<Option<Result<CodeJudgement, MfaFault>>>,
}

impl FakeLedger {
    fn answering(settled: Result<CodeJudgement, MfaFault>) -> Self {
        Self { settled: Mutex::new(Some(settled)) }
    }
}

impl StepLedger for FakeLedger {
    type Error = MfaFault;

    fn settle(&self, _check: CodeCheck) -> LedgerFuture<'_, Result<CodeJudgement, MfaFault>> {
        Box::pin(std::future::poll_fn(|_| {
            self.settled.lock().expect("sound").take().map_or(Poll::Pending, Poll::Ready)
        }))
    }
}

fn serial(name: &str) -> DeviceSerial {
    DeviceSerial::parse(&format!("arn:aws:iam::123456789012:mfa/{name}")).expect("legal")
}

fn shown(seed: &Seed, now: Timestamp) -> TokenCode {
    TokenCode::new(&crate::shown(seed, CodeDigits::Six, now))
}

/// A device that was enabled a minute ago, and the code that it shows.
fn device(name: &str) -> (MfaDevice, TokenCodes) {
    let seed = Seed::new(*b"12345678901234567890");
    let at = |ago: i64| shown(&seed, Timestamp::from_seconds(NOW.seconds() - ago));
    let (first, second, current) = (at(90), at(60), at(0));
    let pending = MfaDevice::new(serial(name), seed, CodeDigits::Six, NOW);
    let active = pending.enrol(&first, &second, Timestamp::from_seconds(NOW.seconds() - 60)).expect("right codes");
    (active, TokenCodes { serial: serial(name), codes: vec![current] })
}

fn challenge(codes: &TokenCodes) -> Challenge<&'static str> {
    Challenge::new(codes.clone(), "DeleteObject")
}

fn poll_once<T: Unpin, E: From<MfaFault>>(
    spending: &mut PendingSpend<'_, T, E>,
) -> Poll<Result<Proof<T>, UnmetChallenge<T, E>>> {
    Pin::new(spending).poll(&mut Context::from_waker(Waker::noop()))
}

fn spent(challenge: Challenge<&'static str>, ledger: &FakeLedger) -> Result<Proof<&'static str>, MfaFault> {
    match poll_once(&mut spend(challenge, ledger)) {
        Poll::Ready(outcome) => outcome.map_err(|unmet| unmet.error),
        Poll::Pending => panic!("the ledger answered"),
    }
}

/// The key of an object that is to be deleted.
#[derive(Debug, PartialEq)]
struct DeletedKey(&'static str);

impl ProvedPart<&'static str> for DeletedKey {
    fn part_of(whole: &'static str) -> Result<Self, &'static str> {
        whole.strip_prefix("DeleteObject ").map(Self).ok_or(whole)
    }
}

#[test]
fn a_proof_narrows_to_a_part_of_its_subject_and_stays_whole_where_there_is_none() {
    for (subject, part) in [("DeleteObject cat.jpg", Ok("cat.jpg")), ("DeleteBucket", Err("DeleteBucket"))] {
        let (device, codes) = device("phone");
        let judgement = Challenge::new(codes.clone(), ()).check.judge(&device, NOW);
        let proof = spent(Challenge::new(codes, subject), &FakeLedger::answering(Ok(judgement))).expect("a right code");
        let step = proof.step();
        match proof.narrow::<DeletedKey>() {
            Ok(narrowed) => assert_eq!((Ok(narrowed.subject().0), narrowed.step()), (part, step)),
            Err(whole) => assert_eq!((Err(*whole.subject()), whole.step()), (part, step)),
        }
    }
}

#[test]
fn a_proof_has_the_subject_of_its_challenge_and_the_step_that_was_spent() {
    let (device, codes) = device("phone");
    let judgement = device.judge(&codes.codes, NOW);
    let step = judgement.counters().last_step;
    let proof = spent(challenge(&codes), &FakeLedger::answering(Ok(judgement))).expect("a right code");
    assert_eq!((proof.step(), proof.into_subject()), (step, "DeleteObject"));
}

#[test]
fn no_proof_is_made_before_the_ledger_has_kept_the_step() {
    let (_, codes) = device("phone");
    let silent = FakeLedger { settled: Mutex::new(None) };
    let mut spending = spend(challenge(&codes), &silent);
    assert!(poll_once(&mut spending).is_pending());
}

#[test]
fn a_judgement_of_another_device_proves_nothing() {
    let (phone, codes) = device("phone");
    let judgement = phone.judge(&codes.codes, NOW);
    let other = TokenCodes { serial: serial("spare"), ..codes };
    let fault = spent(challenge(&other), &FakeLedger::answering(Ok(judgement))).err();
    assert_eq!(fault, Some(MfaFault::UnknownDevice));
}

#[test]
fn a_challenge_that_is_not_met_comes_back_with_its_fault() {
    let (device, codes) = device("phone");
    let wrong = TokenCodes { codes: vec![TokenCode::new("12345x")], ..codes };
    let judgement = device.judge(&wrong.codes, NOW);
    for settled in [Ok(judgement), Err(MfaFault::NotDigits)] {
        let ledger = FakeLedger::answering(settled);
        let Poll::Ready(Err(unmet)) = poll_once(&mut spend(challenge(&wrong), &ledger)) else {
            panic!("no proof was due");
        };
        assert_eq!((unmet.error, *unmet.challenge.subject()), (MfaFault::NotDigits, "DeleteObject"));
        assert_eq!(unmet.challenge.into_codes().serial, wrong.serial);
    }
}

#[test]
fn a_resynchronisation_takes_two_codes_wherever_an_offset_could_be() {
    let (device, _) = device("phone");
    let at = |ahead: i64| shown(&device.seed, Timestamp::from_seconds(NOW.seconds() + ahead));
    let resync = Challenge::resync(serial("phone"), at(30), at(60), ());
    assert_eq!((resync.check.count(), resync.check.judge(&device, NOW).fault()), (2, None));
    let offered = Challenge::new(resync.codes().clone(), ());
    assert_eq!(offered.check.judge(&device, NOW).fault(), Some(MfaFault::WrongCode));
}
