use std::time::Duration;

use super::fixture::{TAMPERINGS, TrailFixture};
use super::*;
use crate::DeliveredLog;
use crate::digest::DigestEnding;

fn report(fixture: &TrailFixture) -> ValidationReport {
    let Ok(report) = validate(&mut fixture.files.clone(), &fixture.scope);
    report
}

fn codes(report: &ValidationReport) -> Vec<&'static str> {
    let codes: BTreeSet<_> = report.findings.iter().map(|found| found.fault.code()).collect();
    codes.into_iter().collect()
}

#[test]
fn an_intact_trail_is_proven_whole() {
    let fixture = TrailFixture::ended();
    let report = report(&fixture);
    assert_eq!(report.findings, []);
    assert!(report.is_proof());
    assert_eq!(report.digests, FileTally { valid: 55, all: 55 });
    assert_eq!(report.backfill_digests, FileTally { valid: 2, all: 2 });
    let logs = fixture.files.keys().filter(|key| key.contains("/CloudTrail/")).count() as u64;
    assert_eq!(report.logs, FileTally { valid: logs, all: logs });
    assert_eq!(report.events, 3 * logs);
    assert_eq!(report.heads[0], fixture.head(54));
    assert_eq!(report.heads[1].object, fixture.backfill[1]);
    assert!(matches!(report.notes.as_slice(), [ValidationNote::Restarted { .. }, ValidationNote::Stopped(_)]));
    let (first, last) = (fixture.digest(0), fixture.digest(54));
    assert_eq!(report.covered, Some((first.start, last.end)));
}

#[test]
fn every_tampering_is_found_and_nothing_else() {
    let mut wrong = String::new();
    for tampering in TAMPERINGS {
        let mut fixture = TrailFixture::ended();
        (tampering.tamper)(&mut fixture);
        let report = report(&fixture);
        if codes(&report) != tampering.found || report.is_proof() != tampering.found.is_empty() {
            wrong.push_str(&format!("{}: {:#?}\n", tampering.what, report.findings));
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn a_tampering_is_found_in_its_own_place() {
    let mut fixture = TrailFixture::grown();
    let digest = fixture.digests[7].clone();
    fixture.remove(&digest);
    let found = report(&fixture).findings;
    assert_eq!(
        found[0],
        ValidationFinding { subject: FindingSubject::Digest(digest), fault: ValidationFault::NotFound }
    );
}

#[test]
fn a_head_that_was_kept_is_found_again_in_a_trail_that_grew() {
    let mut fixture = TrailFixture::grown();
    fixture.scope.expected = vec![ExpectedDigest::Head(fixture.head(40)), ExpectedDigest::Hash(fixture.head(3).hash)];
    assert_eq!(report(&fixture).findings, []);
    // What lies between the head and the range is validated too.
    fixture.scope.expected.pop();
    fixture.scope.start = Some(fixture.digest(50).start);
    let (log, digest) = (fixture.log(41), fixture.digests[41].clone());
    fixture.remove(&log);
    assert_eq!(codes(&report(&fixture)), ["NotFound"]);
    fixture.remove(&digest);
    assert_eq!(
        report(&fixture).findings[0],
        ValidationFinding { subject: FindingSubject::Digest(digest), fault: ValidationFault::NotFound }
    );
}

#[test]
fn a_range_is_validated_by_the_digests_that_speak_of_it() {
    let mut fixture = TrailFixture::grown();
    fixture.scope.start = Some(fixture.digest(10).start);
    fixture.scope.end = Some(fixture.digest(12).end);
    let whole = report(&fixture);
    assert_eq!((whole.findings.as_slice(), whole.digests), (&[][..], FileTally { valid: 3, all: 3 }));
    assert_eq!(whole.heads.len(), 1, "the range's last digest is not the newest, but for the backfill");
    // Outside of it nothing is asked, be it as it may.
    for number in [3, 9, 20] {
        let key = fixture.digests[number].clone();
        fixture.remove(&key);
    }
    assert_eq!(report(&fixture).findings, []);
    let key = fixture.digests[11].clone();
    fixture.remove(&key);
    assert_eq!(codes(&report(&fixture)), ["NotFound", "NotNamed"]);
    fixture.scope.start = Some(fixture.digest(54).end.plus(Duration::from_secs(1)));
    fixture.scope.end = None;
    assert_eq!(codes(&report(&fixture)), ["NothingFound"]);
}

#[test]
fn a_copy_that_lost_its_metadata_is_proven_by_what_follows_and_by_the_head() {
    let mut fixture = TrailFixture::grown();
    fixture.scope.expected = vec![ExpectedDigest::Head(fixture.head(54)), ExpectedDigest::Head(fixture.head(29))];
    fixture.files.values_mut().for_each(|file| file.metadata = FileMetadata::Lost);
    let found = report(&fixture).findings;
    // Nothing else knows the last signature of the backfill.
    assert!(
        found.iter().all(|found| found.key() == Some(&fixture.backfill[1]) || found.fault == ValidationFault::NotNamed)
    );
    assert_eq!(found[0].fault, ValidationFault::SignatureMissing);
    fixture.scope.expected.clear();
    let digests = [29, 54].map(|number| Some(fixture.digests[number].clone()));
    for found in report(&fixture).findings.iter().filter(|found| matches!(found.subject, FindingSubject::Digest(_))) {
        assert!(digests.contains(&found.key().map(str::to_owned)), "{found:?}");
    }
}

#[test]
fn log_files_after_the_last_digest_are_not_yet_covered() {
    let mut fixture = TrailFixture::grown();
    let key = fixture.digests[54].clone();
    let last = fixture.digest(53).extent.ending;
    fixture.remove(&key);
    let uncovered = report(&fixture);
    assert_eq!((codes(&uncovered), last), (vec!["NotCovered", "TailNotProven"], DigestEnding::Continues));
    // As the messages say, what is before is proven without them.
    for found in &uncovered.findings {
        let (ValidationFault::NotCovered { before } | ValidationFault::TailNotProven { before, .. }) = found.fault
        else {
            panic!("{uncovered:?}")
        };
        fixture.scope.end = Some(before);
        assert_eq!(report(&fixture).findings, []);
    }
}

/// Files of a running proxy that reports their end, which moves while they are read.
struct Delivering {
    files: BTreeMap<String, StoredFile>,
    ends: Vec<TrailEnd>,
}

impl TrailFiles for Delivering {
    type Error = std::convert::Infallible;

    fn list(&mut self, prefix: &str) -> Result<Vec<String>, Self::Error> {
        self.files.list(prefix)
    }

    fn read(&mut self, key: &str) -> Result<Option<StoredFile>, Self::Error> {
        self.files.read(key)
    }

    fn end(&mut self) -> Result<Option<TrailEnd>, Self::Error> {
        Ok(Some(if self.ends.len() > 1 { self.ends.remove(0) } else { self.ends[0].clone() }))
    }
}

fn delivered(fixture: &TrailFixture, ends: &[TrailEnd]) -> ValidationReport {
    let mut files = Delivering { files: fixture.files.clone(), ends: ends.to_vec() };
    let Ok(report) = validate(&mut files, &fixture.scope);
    report
}

#[test]
fn a_proxys_own_trail_ends_where_the_proxy_delivered_to() {
    let whole = TrailFixture::grown();
    let end = whole.end_at(54);
    assert_eq!(delivered(&whole, std::slice::from_ref(&end)).findings, []);
    let mut table = String::new();
    type Removal = (&'static str, fn(&mut TrailFixture));
    let tail: &[Removal] = &[
        ("the newest digest", |fixture| {
            let key = fixture.digests[54].clone();
            fixture.remove(&key);
        }),
        ("the newest digest with its log files", |fixture| fixture.remove_from(54)),
        ("all from the final digest of an earlier stop on", |fixture| fixture.remove_from(29)),
        ("the backfill", |fixture| {
            fixture.backfill.clone().iter().for_each(|key| fixture.remove(key));
        }),
    ];
    for (what, remove) in tail {
        let mut fixture = TrailFixture::grown();
        remove(&mut fixture);
        let report = delivered(&fixture, std::slice::from_ref(&end));
        table.push_str(&format!("{what}: {:?}\n", codes(&report)));
        assert!(!report.is_proof(), "{what}");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn of_log_files_without_a_digest_those_are_taken_that_the_proxy_delivered_as_they_are() {
    let mut fixture = TrailFixture::grown();
    let (newest, waiting) = (fixture.end_at(53), fixture.logs_of(54));
    let key = fixture.digests[54].clone();
    fixture.remove(&key);
    assert!(!waiting.is_empty());
    let told = |delivered: &[DeliveredLog], under_way: &[DeliveredLog]| TrailEnd {
        delivered: delivered.to_vec(),
        under_way: under_way.to_vec(),
        ..newest.clone()
    };
    let (known, nothing) = (told(&waiting, &[]), told(&[], &[]));
    let note = ValidationNote::NotYetCovered(waiting.len() as u64);
    for ends in
        [[known.clone(), known.clone()], [told(&[], &waiting), nothing.clone()], [nothing.clone(), known.clone()]]
    {
        let report = delivered(&fixture, &ends);
        assert_eq!((report.findings.as_slice(), report.notes.contains(&note)), (&[][..], true), "{ends:?}");
    }
    assert_eq!(codes(&delivered(&fixture, std::slice::from_ref(&nothing))), ["NotNamed"]);
    // Altered, and removed.
    let mut altered = known.clone();
    altered.delivered[0].hash = [0; 32];
    assert_eq!(codes(&delivered(&fixture, &[altered])), ["HashMismatch"]);
    fixture.remove(&waiting[0].object);
    assert_eq!(codes(&delivered(&fixture, &[known])), ["NotFound"]);
    assert_eq!(delivered(&fixture, &[told(&waiting[1..], &waiting[..1])]).findings, [], "it was not there yet");
}

#[test]
fn a_log_file_of_a_copy_is_awaited_by_the_digests_of_all_trails_in_its_place() {
    let (mut one, other) = (TrailFixture::grown(), TrailFixture::of_trail("other", DigestEnding::Continues));
    one.scope.keys.extend(other.scope.keys.clone());
    one.files.extend(other.files.clone());
    // The other's chain ends long before, and goes on.
    let slot =
        |fixture: &TrailFixture, seconds: i64| Timestamp::from_seconds(fixture.digest(54).end.seconds() + seconds);
    let codes_with = |seconds: i64| {
        let mut fixture = one.clone();
        let slot = slot(&fixture, seconds);
        let key = fixture.add_log(slot, 0);
        let report = report(&fixture);
        report.findings.iter().find(|found| found.key() == Some(&key)).map(|found| found.fault.code())
    };
    assert_eq!(codes_with(300), Some("NotCovered"), "the one's next digest may name it");
    assert_eq!(codes_with(3 * 86_400), Some("NotNamed"), "no digest names so late");
}

/// A digest names what was delivered before it, and comes two windows and ten minutes after the last one at the latest.
#[test]
fn a_log_file_named_ahead_of_the_digest_that_could_name_it_or_of_now_is_forged() {
    let mut fixture = TrailFixture::grown();
    fixture.scope.expected = vec![ExpectedDigest::Head(fixture.head(54))];
    let end = fixture.digest(54).end;
    let named = |after: i64, currency: TrailCurrency| {
        let mut fixture = fixture.clone();
        fixture.scope.currency = currency;
        fixture.add_log(Timestamp::from_seconds(end.seconds() + after), 0);
        codes(&report(&fixture))
    };
    for (after, found) in
        [(0, "NotCovered"), (7200 + 600, "NotCovered"), (7200 + 900, "NotNamed"), (1 << 31, "NotNamed")]
    {
        assert_eq!(named(after, TrailCurrency::Unasked), [found], "{after} s after the newest digest");
    }
    let now = Timestamp::from_seconds(end.seconds() + 900);
    for (after, found) in [(-300, "NotCovered"), (300, "NotCovered"), (600, "NotNamed")] {
        assert_eq!(named(900 + after, TrailCurrency::At(now)), [found], "{after} s after now");
    }
}

/// A range that ends before the newest digest is not to lose its end either.
#[test]
fn a_range_of_a_proxys_own_trail_has_its_end_too() {
    let end = TrailFixture::grown().end_at(54);
    let digest_end = |number: usize| TrailFixture::grown().digest(number).end;
    for (until, removed, is_proven) in [
        (digest_end(40), None, true),
        (digest_end(40), Some(39), false),
        (digest_end(53), Some(53), false),
        (digest_end(54), Some(54), false),
        (digest_end(54).plus(Duration::from_secs(60)), Some(54), false),
        (digest_end(54).plus(Duration::from_secs(60)), None, true),
    ] {
        let mut fixture = TrailFixture::grown();
        fixture.scope.end = Some(until);
        fixture.scope.currency = TrailCurrency::At(until);
        if let Some(number) = removed {
            fixture.remove_from(number);
        }
        let report = delivered(&fixture, std::slice::from_ref(&end));
        assert_eq!(report.is_proof(), is_proven, "{until} {removed:?} {:?}", report.findings);
    }
}

/// A deleted trail ends with a final digest, so that one that was made after it does not hide that its end was removed.
#[test]
fn a_trail_that_was_created_anew_does_not_hide_that_the_older_one_lost_its_end() {
    let mut fixture = TrailFixture::grown();
    let last = fixture.digests[29].clone();
    let named = fixture.digest(29).log_files;
    fixture.recreate_after_stop();
    fixture.remove(&last);
    for log in named {
        fixture.remove(&log.object);
    }
    assert_eq!(codes(&report(&fixture)), ["RestartUnannounced"]);
}

#[test]
fn after_the_end_of_logging_no_log_file_can_be_new() {
    let mut fixture = TrailFixture::grown();
    for number in 30..55 {
        let key = fixture.digests[number].clone();
        fixture.remove(&key);
    }
    let key = fixture.backfill[1].clone();
    fixture.remove(&key);
    let report = report(&fixture);
    assert_eq!(codes(&report), ["NotNamed"]);
    assert!(report.notes.contains(&ValidationNote::Stopped(fixture.digest(29).end)));
    let strays = u64::try_from(report.findings.len()).unwrap();
    assert!(report.notes.contains(&ValidationNote::AfterLast(strays)), "{:?}", report.notes);
}

#[test]
fn a_trail_that_is_current_has_a_new_digest() {
    let mut fixture = TrailFixture::grown();
    let end = fixture.digest(54).end;
    fixture.scope.currency = TrailCurrency::At(end.plus(Duration::from_secs(7200)));
    assert_eq!(report(&fixture).findings, []);
    fixture.scope.currency = TrailCurrency::At(end.plus(Duration::from_secs(7900)));
    assert_eq!(codes(&report(&fixture)), ["Stale"]);
}

#[test]
fn trails_may_share_a_folder() {
    let (mut one, other) = (TrailFixture::ended(), TrailFixture::of_trail("other", DigestEnding::Continues));
    one.scope.keys.extend(other.scope.keys.clone());
    one.files.extend(other.files.clone());
    assert_eq!(report(&one).findings, []);
    let first = other.digests[0].clone();
    assert!(
        !report(&one).notes.iter().any(|note| matches!(note, ValidationNote::SharedPlace(_))),
        "nothing is a stray"
    );
    one.remove(&first);
    let report = report(&one);
    assert_eq!(codes(&report), ["NotNamed"], "what the other's digest named");
    assert!(
        report.notes.contains(&ValidationNote::SharedPlace(TrailName::parse("other").unwrap())),
        "{:?}",
        report.notes
    );
}

/// A trail without validation was in the place before, or this one was without it.
#[test]
fn log_files_from_before_the_first_digest_are_told_and_a_range_leaves_them_out() {
    let mut fixture = TrailFixture::ended();
    let start = fixture.digest(0).start;
    for (number, minutes) in [(0, 10), (1, 90)] {
        let slot = Timestamp::from_seconds(start.seconds() - 60 * minutes);
        fixture.add_log(slot, number);
    }
    let whole = report(&fixture);
    assert_eq!((codes(&whole), whole.findings.len()), (vec!["NotNamed"], 2));
    assert!(whole.notes.contains(&ValidationNote::BeforeFirst { count: 2, start }), "{:?}", whole.notes);
    fixture.scope.start = Some(start);
    assert_eq!(report(&fixture).findings, []);
    // Without the first digest the start of the trail is unknown.
    fixture.scope.start = None;
    let first = fixture.digests[0].clone();
    fixture.remove(&first);
    let beheaded = report(&fixture);
    assert_eq!(codes(&beheaded), ["NotFound", "NotNamed"]);
    assert!(
        !beheaded.notes.iter().any(|note| matches!(note, ValidationNote::BeforeFirst { .. })),
        "{:?}",
        beheaded.notes
    );
}

#[test]
fn a_trail_of_the_same_name_that_was_created_anew_is_another() {
    let mut fixture = TrailFixture::grown();
    // As a deleted trail leaves it, up to its final digest; what follows begins at nothing.
    fixture.recreate_after_stop();
    let report = report(&fixture);
    assert_eq!(report.findings, []);
    assert!(report.notes.iter().any(|note| matches!(note, ValidationNote::CreatedAnew(_))), "{:?}", report.notes);
}
