//! Validates a trail from its files and public keys alone, and leaves nothing of it unproven.
//!
//! `aws cloudtrail validate-logs` walks back from the newest digest, so it does not notice a removed tail,
//! log files that no digest names, a second gzip member, or a digest that was rewritten with the trail's own
//! key. Here every digest must follow from the one before, and every file from a digest.

mod chain;
mod digests;
mod finding;
#[cfg(any(test, feature = "test-support"))]
#[expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "fixtures of tests")]
pub mod fixture;
mod logs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use self::finding::{FindingSubject, ValidationFault, ValidationFinding, ValidationNote};
use super::keys::PublicKey;
use super::layout::{DigestSeries, FileKey, FileName, TrailLayout};
use super::merkle::Sha256Hash;
use super::{DigestHead, TrailEnd, TrailName};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;

/// Where a trail's files are read from.
pub trait TrailFiles {
    type Error;

    /// All keys with this prefix.
    fn list(&mut self, prefix: &str) -> Result<Vec<String>, Self::Error>;

    /// A file, if it is there.
    fn read(&mut self, key: &str) -> Result<Option<StoredFile>, Self::Error>;

    /// Where the files end now, as the proxy reports; none for a copy, which may be from any time.
    fn end(&mut self) -> Result<Option<TrailEnd>, Self::Error> {
        Ok(None)
    }
}

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub bytes: Vec<u8>,
    pub metadata: FileMetadata,
}

/// What is written on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileMetadata {
    /// It was copied without them: a digest's signature is then taken from the digest after it.
    Lost,
    /// By what follows `x-amz-meta-`.
    Present(BTreeMap<String, String>),
}

/// What is to be validated, and by what.
#[derive(Clone, Debug)]
pub struct ValidationScope {
    pub layout: TrailLayout,
    pub trail: TrailName,
    pub bucket: BucketName,
    pub keys: Vec<PublicKey>,
    /// Left out, from the trail's origin.
    pub start: Option<Timestamp>,
    /// If left out, up to the newest digest.
    pub end: Option<Timestamp>,
    pub expected: Vec<ExpectedDigest>,
    pub currency: TrailCurrency,
}

/// A digest that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedDigest {
    Hash(Sha256Hash),
    Head(DigestHead),
    /// It is younger than the range: it must be there, so that the range has not lost its end, and is not validated.
    HeadAfterRange(DigestHead),
}

/// Up to when the trail must go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailCurrency {
    /// Until then, where logging did not end before: the newest digest is not much older than a window is long.
    At(Timestamp),
    /// Until logging ended, which a final digest must tell.
    Ended,
    /// The files may be a copy from long ago, so that something else must tell which digest is the last.
    Unasked,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationReport {
    pub findings: Vec<ValidationFinding>,
    pub notes: Vec<ValidationNote>,
    pub digests: FileTally,
    pub backfill_digests: FileTally,
    pub logs: FileTally,
    /// In the log files that are valid.
    pub events: u64,
    /// What the digests that were validated speak of.
    pub covered: Option<(Timestamp, Timestamp)>,
    /// The newest digest of each series, to be kept elsewhere and expected the next time.
    pub heads: Vec<DigestHead>,
}

/// How many files of a kind are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTally {
    pub valid: u64,
    pub all: u64,
}

impl ValidationReport {
    /// Whether everything is proven.
    pub fn is_proof(&self) -> bool {
        self.findings.is_empty() && self.digests.valid > 0
    }

    /// Whether there are log files that no digest names.
    pub fn has_strays(&self) -> bool {
        self.findings.iter().any(|found| found.fault == ValidationFault::NotNamed)
    }

    /// Adds what is known of another trail that delivers to the same place.
    pub fn add_neighbour(&mut self, trail: TrailName) {
        let note = ValidationNote::SharedPlace(trail);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn find(&mut self, subject: FindingSubject, fault: ValidationFault) {
        self.findings.push(ValidationFinding { subject, fault });
    }
}

impl FileTally {
    fn count(&mut self, validity: FileValidity) {
        self.all += 1;
        if validity == FileValidity::Valid {
            self.valid += 1;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileValidity {
    Invalid,
    Valid,
}

/// Validates a trail; an error means that it could not be read, and says nothing of what it is.
pub fn validate<F: TrailFiles>(files: &mut F, scope: &ValidationScope) -> Result<ValidationReport, F::Error> {
    // Before the files are listed: a digest is pinned as soon as it is there.
    let end = files.end()?;
    let scope = &scope.expecting(end.as_ref());
    let listing = DigestListing::of(files.list(&scope.layout.digests())?, scope);
    let mut report = ValidationReport::default();
    for stray in &listing.strays {
        report.find(FindingSubject::Digest(stray.clone()), ValidationFault::Stray);
    }
    let mut walk = ChainWalk {
        files,
        scope,
        listing: &listing,
        report,
        named: BTreeSet::new(),
        walked: BTreeSet::new(),
        longest_window: Duration::ZERO,
        begins: None,
    };
    let newest = walk.series(DigestSeries::Standard)?;
    walk.series(DigestSeries::Backfill)?;
    walk.hashes_expected();
    walk.unnamed_logs(newest.as_ref(), end)?;
    Ok(walk.report)
}

impl ValidationScope {
    /// With the newest digests that the proxy knows of. Files after the range are not validated, but must exist:
    /// else the digests at the range's end could be removed with all that follow.
    fn expecting(&self, end: Option<&TrailEnd>) -> Self {
        let mut scope = self.clone();
        if let Some(end) = end {
            let is_here =
                |head: &&DigestHead| FileKey::parse(&head.object).is_some_and(|key| key.layout == self.layout);
            let expected = |head: DigestHead| match self.end {
                Some(end) if end < head.end => ExpectedDigest::HeadAfterRange(head),
                Some(_) | None => ExpectedDigest::Head(head),
            };
            scope.expected.extend(end.heads.iter().filter(is_here).cloned().map(expected));
        }
        scope
    }
}

/// The digests that are there.
struct DigestListing {
    /// By trail and series, in the order of their ends.
    digests: BTreeMap<(TrailName, DigestSeries), Vec<(Timestamp, String)>>,
    strays: Vec<String>,
}

struct ChainWalk<'w, F> {
    files: &'w mut F,
    scope: &'w ValidationScope,
    listing: &'w DigestListing,
    report: ValidationReport,
    /// The log files that valid digests name.
    named: BTreeSet<String>,
    /// The hashes of the digests that were validated, by their keys.
    walked: BTreeSet<(String, Sha256Hash)>,
    /// Of those, the longest window: how long the next digest may take to come.
    longest_window: Duration,
    /// Where the window of the trail's first digest begins, if that digest is valid.
    begins: Option<Timestamp>,
}

impl DigestListing {
    fn of(keys: Vec<String>, scope: &ValidationScope) -> Self {
        let mut listing = Self { digests: BTreeMap::new(), strays: Vec::new() };
        for key in keys {
            match FileKey::parse(&key) {
                Some(FileKey { layout, file: FileName::Digest { trail, end, series } }) if layout == scope.layout => {
                    listing.digests.entry((trail, series)).or_default().push((end, key));
                }
                Some(_) | None => listing.strays.push(key),
            }
        }
        listing.digests.values_mut().for_each(|digests| digests.sort_unstable());
        listing
    }

    /// The other trails whose digests lie in the same place.
    fn others<'l>(&'l self, trail: &'l TrailName) -> impl Iterator<Item = &'l TrailName> {
        let others: BTreeSet<&TrailName> = self.digests.keys().map(|(other, _)| other).collect();
        others.into_iter().filter(move |other| *other != trail)
    }

    fn of_series(&self, trail: &TrailName, series: DigestSeries) -> &[(Timestamp, String)] {
        self.digests.get(&(trail.clone(), series)).map(Vec::as_slice).unwrap_or_default()
    }
}

impl<F> ChainWalk<'_, F> {
    fn hashes_expected(&mut self) {
        for expected in &self.scope.expected {
            match expected {
                ExpectedDigest::Hash(hash) if !self.walked.iter().any(|(_, walked)| walked == hash) => {
                    self.report.find(FindingSubject::Trail, ValidationFault::HeadHashMissing(hex::encode(hash)));
                }
                ExpectedDigest::Hash(_) | ExpectedDigest::Head(_) | ExpectedDigest::HeadAfterRange(_) => {}
            }
        }
    }
}
