//! What a device accepts, in sentences, one table and one property.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_900_000_000;

/// In time steps.
const YEAR: i64 = 365 * 2880;

fn two_failures() -> FailedTries {
    FailedTries::kept(vec![moment(0); 2])
}

fn moment(steps: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds(steps))
}

fn pending(digits: CodeDigits) -> MfaDevice {
    let serial = DeviceSerial::parse("arn:aws:iam::123456789012:mfa/phone").expect("legal");
    MfaDevice::new(serial, Seed::new(*b"12345678901234567890"), digits, moment(-100))
}

fn active(digits: CodeDigits) -> MfaDevice {
    MfaDevice { status: DeviceStatus::Active { since: moment(-100) }, ..pending(digits) }
}

/// The code of the step this far from `moment(0)`.
fn code(relative: i64) -> TokenCode {
    let device = pending(CodeDigits::Six);
    TokenCode::new(&code_at(&device.seed, device.digits, step_at(moment(relative))))
}

fn codes(last: i64, count: i64) -> Vec<TokenCode> {
    (0..count).map(|index| code(last - (count - 1) + index)).collect()
}

fn wrong(count: usize) -> Vec<TokenCode> {
    let taken: Vec<String> = (-20..20).map(|relative| code(relative).expose().to_owned()).collect();
    let free = (0..).map(|number| format!("{number:06}")).find(|text| !taken.contains(text));
    vec![TokenCode::new(&free.expect("most numbers are no code")); count]
}

/// Judges, keeps what is to be kept, and says what came of it.
fn offer(device: &mut MfaDevice, codes: &[TokenCode], now: Timestamp) -> Result<u64, MfaFault> {
    let judgement = device.judge(codes, now);
    device.counters = judgement.counters;
    judgement.verdict
}

#[test]
fn the_current_code_is_accepted_once() {
    let mut device = active(CodeDigits::Six);
    assert_eq!(offer(&mut device, &codes(0, 1), moment(0)), Ok(step_at(moment(0))));
    assert_eq!(offer(&mut device, &codes(0, 1), moment(0)), Err(MfaFault::Replayed));
    assert_eq!(offer(&mut device, &codes(0, 1), moment(1)), Err(MfaFault::Replayed));
    assert_eq!(offer(&mut device, &codes(1, 1), moment(1)), Ok(step_at(moment(1))));
}

#[test]
fn a_code_older_than_the_spent_one_is_spent_too() {
    let mut device = active(CodeDigits::Six);
    assert!(offer(&mut device, &codes(0, 1), moment(0)).is_ok());
    assert_eq!(offer(&mut device, &codes(-1, 1), moment(0)), Err(MfaFault::Replayed));
}

#[test]
fn a_replayed_code_does_not_count_as_a_failure() {
    let mut device = active(CodeDigits::Six);
    assert!(offer(&mut device, &codes(0, 1), moment(0)).is_ok());
    for _ in 0..5 {
        assert_eq!(offer(&mut device, &codes(0, 1), moment(0)), Err(MfaFault::Replayed));
    }
    assert_eq!(device.codes_needed(moment(0)), 1);
}

#[test]
fn what_is_no_code_is_not_counted() {
    let mut device = active(CodeDigits::Six);
    for text in ["12345", "1234567", "12345a", "+12345", "", "<016432>"] {
        assert_eq!(offer(&mut device, &[TokenCode::new(text)], moment(0)), Err(MfaFault::NotDigits), "{text}");
    }
    assert_eq!(offer(&mut device, &[], moment(0)), Err(MfaFault::NotDigits));
    assert_eq!(device.counters.failures, FailedTries::default());
}

#[test]
fn after_two_failures_in_a_year_six_digits_need_two_consecutive_codes() {
    let mut device = active(CodeDigits::Six);
    for _ in 0..2 {
        assert_eq!(offer(&mut device, &wrong(1), moment(0)), Err(MfaFault::WrongCode));
    }
    assert_eq!(offer(&mut device, &codes(0, 1), moment(0)), Err(MfaFault::MoreCodesNeeded));
    let not_consecutive = [code(-2), code(0)];
    assert_eq!(offer(&mut device, &not_consecutive, moment(0)), Err(MfaFault::WrongCode));
    let reversed = [code(0), code(-1)];
    assert_eq!(offer(&mut device, &reversed, moment(0)), Err(MfaFault::WrongCode));
    assert_eq!(offer(&mut device, &codes(0, 2), moment(0)), Ok(step_at(moment(0))));
    assert_eq!(device.codes_needed(moment(10)), 2, "a right code takes no failure away");
    assert_eq!(device.codes_needed(moment(YEAR)), 1);
}

#[test]
fn neither_disabling_and_enabling_nor_a_resync_takes_a_failure_away() {
    let mut device = active(CodeDigits::Six);
    device.counters.failures = two_failures();
    let mut again = device.deactivated().enrol(&code(-1), &code(0), moment(0)).expect("right codes");
    assert_eq!(again.codes_needed(moment(0)), 2);
    again.counters = again.resync(&code(1), &code(2), moment(0)).counters;
    assert_eq!(again.counters.last_step, step_at(moment(2)));
    assert_eq!(again.codes_needed(moment(0)), 2);
}

/// SECURITY.md, "The second factor", states these figures.
#[test]
fn a_year_of_guesses_is_as_improbable_to_succeed_with_a_device_in_daily_use() {
    let mut table = String::new();
    for (digits, chance) in [(CodeDigits::Six, 1e-6_f64), (CodeDigits::Eight, 1e-8)] {
        for used in [false, true] {
            let mut device = active(digits);
            let mut probability = 0.0;
            for step in 0..YEAR {
                if used && step % 2880 == 0 {
                    device.counters = device.counters.clone().spent(step_at(moment(step)));
                }
                // A single code for each of the two steps that are accepted; and so for two codes.
                let needed = device.codes_needed(moment(step));
                match needed {
                    1 => probability += 2.0 * chance,
                    2 => {
                        let allowance = device.counters.allowance.take(1, moment(step));
                        device.counters.allowance = allowance.expect("else three are needed");
                        probability += 2.0 * chance * chance;
                    }
                    _ => continue,
                }
                let tolerated = device.tolerated_failures();
                device.counters = device.counters.clone().failed(moment(step), tolerated);
            }
            let use_of_it = if used { "used daily" } else { "not used" };
            writeln!(table, "{} digits, {use_of_it}: {probability:.2e}", digits.count()).expect("text");
        }
    }
    insta::assert_snapshot!(table, @"
    6 digits, not used: 5.05e-6
    6 digits, used daily: 5.05e-6
    8 digits, not used: 2.00e-7
    8 digits, used daily: 2.00e-7
    ");
}

#[test]
fn after_ten_failures_eight_digits_need_two_consecutive_codes() {
    let mut device = active(CodeDigits::Eight);
    for _ in 0..10 {
        assert_eq!(device.codes_needed(moment(0)), 1);
        assert_eq!(offer(&mut device, &[TokenCode::new("00000000")], moment(0)), Err(MfaFault::WrongCode));
    }
    assert_eq!(device.codes_needed(moment(0)), 2);
}

#[test]
fn too_few_codes_get_one_answer_whether_right_or_wrong() {
    let mut device = active(CodeDigits::Six);
    device.counters.failures = two_failures();
    for offered in [codes(0, 1), wrong(1)] {
        let judgement = device.judge(&offered, moment(0));
        assert_eq!(judgement.verdict.err(), Some(MfaFault::MoreCodesNeeded));
        assert_eq!(judgement.counters, device.counters);
    }
}

#[test]
fn when_two_codes_were_tried_too_often_three_always_open() {
    let mut device = active(CodeDigits::Six);
    device.counters.failures = two_failures();
    for _ in 0..5 {
        assert_eq!(offer(&mut device, &wrong(2), moment(0)), Err(MfaFault::WrongCode));
    }
    assert_eq!(device.codes_needed(moment(0)), 3);
    assert_eq!(offer(&mut device, &codes(0, 2), moment(0)), Err(MfaFault::MoreCodesNeeded));
    for _ in 0..100 {
        assert_eq!(offer(&mut device, &wrong(3), moment(0)), Err(MfaFault::WrongCode));
    }
    assert_eq!(offer(&mut device, &codes(0, 3), moment(0)), Ok(step_at(moment(0))));
    assert_eq!(device.codes_needed(moment(0)), 3, "a right code takes no failure away");
}

#[test]
fn two_codes_are_tried_once_a_minute_after_the_burst() {
    let mut device = active(CodeDigits::Six);
    device.counters.failures = two_failures();
    device.counters.allowance = TryAllowance::kept(0, moment(0));
    assert_eq!(device.codes_needed(moment(1)), 3);
    assert_eq!(device.codes_needed(moment(2)), 2);
}

#[test]
fn three_codes_teach_the_offset_of_a_clock_that_drifted() {
    let mut device = active(CodeDigits::Six);
    assert_eq!(offer(&mut device, &codes(2, 1), moment(0)), Err(MfaFault::WrongCode));
    assert!(offer(&mut device, &codes(2, 3), moment(0)).is_ok());
    assert_eq!(device.counters.offset.steps(), 2);
    assert_eq!(offer(&mut device, &codes(3, 1), moment(1)), Ok(step_at(moment(3))));
}

#[test]
fn several_codes_are_spent_when_any_of_them_is() {
    let mut device = active(CodeDigits::Six);
    assert!(offer(&mut device, &codes(-1, 1), moment(-1)).is_ok());
    assert_eq!(offer(&mut device, &codes(0, 2), moment(0)), Err(MfaFault::Replayed));
}

#[test]
fn a_pending_device_is_nobodys() {
    let mut device = pending(CodeDigits::Six);
    assert_eq!(offer(&mut device, &codes(0, 1), moment(0)), Err(MfaFault::UnknownDevice));
}

#[test]
fn two_consecutive_codes_enable_a_device_and_are_spent_by_it() {
    let device = pending(CodeDigits::Six);
    let mut device = device.enrol(&code(-1), &code(0), moment(0)).expect("right codes");
    assert_eq!(device.status, DeviceStatus::Active { since: moment(0) });
    assert_eq!(offer(&mut device, &codes(0, 1), moment(0)), Err(MfaFault::Replayed));
    assert_eq!(offer(&mut device, &codes(1, 1), moment(1)), Ok(step_at(moment(1))));
}

#[test]
fn enrolment_learns_the_offset_and_says_when_a_clock_is_too_far_off() {
    let device = pending(CodeDigits::Six);
    let enrol = |last: i64| device.enrol(&code(last - 1), &code(last), moment(0));
    for (last, offset) in [(-3, -2), (-2, -1), (-1, 0), (0, 0), (1, 1), (2, 2)] {
        assert_eq!(enrol(last).map(|device| device.counters.offset.steps()).ok(), Some(offset), "{last}");
    }
    assert_eq!(enrol(-4).err(), Some(EnrolmentFault::ClockOff { seconds: -120 }));
    assert_eq!(enrol(10).err(), Some(EnrolmentFault::ClockOff { seconds: 300 }));
    assert_eq!(enrol(11).err(), Some(EnrolmentFault::WrongCodes));
}

#[test]
fn enrolment_refuses_codes_that_are_not_consecutive_and_a_device_in_use() {
    let device = pending(CodeDigits::Six);
    let same = device.enrol(&code(0), &code(0), moment(0));
    assert_eq!(same.err(), Some(EnrolmentFault::WrongCodes));
    let gap = device.enrol(&code(-2), &code(0), moment(0));
    assert_eq!(gap.err(), Some(EnrolmentFault::WrongCodes));
    let letters = device.enrol(&TokenCode::new("abcdef"), &code(0), moment(0));
    assert_eq!(letters.err(), Some(EnrolmentFault::NotDigits));
    let again = active(CodeDigits::Six).enrol(&code(-1), &code(0), moment(0));
    assert_eq!(again.err(), Some(EnrolmentFault::AlreadyActive));
}

#[test]
fn a_deactivated_device_cannot_be_enabled_again_by_spent_codes() {
    let mut device = active(CodeDigits::Six);
    assert!(offer(&mut device, &codes(0, 1), moment(0)).is_ok());
    let device = device.deactivated();
    let replayed = device.enrol(&code(-1), &code(0), moment(0));
    assert_eq!(replayed.err(), Some(EnrolmentFault::Replayed));
}

#[test]
fn resync_finds_a_clock_that_drifted_and_is_throttled() {
    let mut device = active(CodeDigits::Six);
    let found = device.resync(&code(1), &code(2), moment(0));
    assert!(found.verdict.is_ok());
    assert_eq!((found.counters.offset.steps(), found.counters.failures.counted(moment(0))), (2, 0));
    let guess = wrong(1).remove(0);
    let missed = device.resync(&guess, &guess, moment(0));
    assert_eq!(missed.verdict.err(), Some(MfaFault::WrongCode));
    assert_eq!(missed.counters.failures.counted(moment(0)), 1);
    device.counters = missed.counters;
    let soon = device.resync(&code(1), &code(2), moment(0));
    assert_eq!(soon.verdict.err(), Some(MfaFault::MoreCodesNeeded));
}

#[test]
fn the_window_is_the_current_step_and_the_one_before_shifted_by_what_was_learnt() {
    let mut table = String::from("offset  codes  accepted steps of the last code, relative to now\n");
    for offset in -2..=2 {
        for count in 1..=3 {
            let mut device = active(CodeDigits::Six);
            device.counters.offset = StepOffset::parse(offset).expect("legal");
            let accepted: Vec<String> = (-8..=8)
                .filter(|last| device.judge(&codes(*last, count), moment(0)).verdict.is_ok())
                .map(|last| format!("{last:+}"))
                .collect();
            writeln!(table, "{offset:>6}  {count:>5}  {}", accepted.join(" ")).expect("text");
        }
    }
    insta::assert_snapshot!(table);
}

#[derive(Clone, Debug)]
enum Move {
    Right { last: i64, count: i64 },
    Text(Vec<String>),
    Resync { last: i64 },
    Wait { seconds: i64 },
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        (-4..4_i64, 1..4_i64).prop_map(|(last, count)| Move::Right { last, count }),
        proptest::collection::vec("[0-9]{6}|.{0,8}", 0..4).prop_map(Move::Text),
        (-4..4_i64).prop_map(|last| Move::Resync { last }),
        (0..200_i64).prop_map(|seconds| Move::Wait { seconds }),
    ]
}

proptest! {
    #[test]
    fn a_used_code_is_never_accepted_again(moves in proptest::collection::vec(moves(), 1..60)) {
        let mut device = active(CodeDigits::Six);
        let mut now = moment(0);
        let mut last_spent = 0;
        for next in moves {
            let here = i64::try_from(step_at(now) - step_at(moment(0))).expect("small");
            let (offered, judgement) = match next {
                Move::Wait { seconds } => {
                    now = Timestamp::from_seconds(now.seconds() + seconds);
                    continue;
                }
                Move::Right { last, count } => {
                    let offered = codes(here + last, count);
                    let judgement = device.judge(&offered, now);
                    (offered, judgement)
                }
                Move::Text(texts) => {
                    let offered: Vec<TokenCode> = texts.iter().map(|text| TokenCode::new(text)).collect();
                    let judgement = device.judge(&offered, now);
                    (offered, judgement)
                }
                Move::Resync { last } => {
                    let offered = codes(here + last, 2);
                    let judgement = device.resync(&offered[0], &offered[1], now);
                    (offered, judgement)
                }
            };
            device.counters = judgement.counters;
            if let Ok(step) = judgement.verdict {
                prop_assert!(step > last_spent, "step {step} after {last_spent}");
                prop_assert_eq!(device.counters.last_step, step);
                last_spent = step;
                prop_assert!(device.judge(&offered, now).verdict.is_err());
            }
            prop_assert!(device.counters.last_step >= last_spent);
        }
    }
}
