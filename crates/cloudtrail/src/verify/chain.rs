//! One series of digests: each must follow from the one before, in time, in the journal, and in its tree.

use super::super::DigestHead;
use super::super::digest::{DigestEnding, DigestLink, PreviousDigest, TrailDigest};
use super::super::layout::{DigestSeries, FileKey, FileName};
use super::digests::{FoundDigest, ProvenDigest};
use super::logs::before_open_slot;
use super::{
    ChainWalk, ExpectedDigest, FileValidity, FindingSubject, TrailCurrency, TrailFiles, ValidationFault, ValidationNote,
};
use portcullis_base::clock::Timestamp;

/// How late digests may be when the proxy is busy.
pub(super) const PATIENCE: i64 = 600;

impl<F: TrailFiles> ChainWalk<'_, F> {
    /// Validates a series; gives its newest digest, if that is one of those looked at.
    pub(super) fn series(&mut self, series: DigestSeries) -> Result<Option<ProvenDigest>, F::Error> {
        let listing = self.listing;
        let digests = listing.of_series(&self.scope.trail, series);
        self.heads_expected(digests, series);
        let (first, last) = self.bounds(digests, series);
        let chosen = digests.get(first..last).unwrap_or_default();
        if chosen.is_empty() {
            if series == DigestSeries::Standard {
                self.report.find(FindingSubject::Trail, ValidationFault::NothingFound);
            }
            return Ok(None);
        }
        // The one before is another range's, and only what this range is tied to.
        let mut previous = match first.checked_sub(1).and_then(|before| digests.get(before)) {
            Some((end, key)) => {
                let successor = self.load_at(digests, first)?;
                let found = self.load(key)?.ok();
                found.and_then(|found| found.prove(self.scope, *end, series, successor.as_ref()).ok())
            }
            None => None,
        };
        let mut after = None;
        for (index, (end, key)) in chosen.iter().enumerate() {
            let found = match after.take() {
                Some(loaded) => loaded,
                None => self.load(key)?,
            };
            let next = match digests.get(first + index + 1) {
                Some((_, next)) => Some(self.load(next)?),
                None => None,
            };
            let successor = next.as_ref().and_then(|next| next.as_ref().ok());
            let proven = found.and_then(|found| found.prove(self.scope, *end, series, successor));
            let before = (first + index).checked_sub(1).and_then(|before| digests.get(before));
            previous = self.judge(series, key, proven, before.map(|(_, key)| key.as_str()), previous)?;
            after = next;
        }
        let newest = previous.filter(|newest| digests.last().is_some_and(|(_, last)| *last == newest.key));
        if let Some(ProvenDigest { digest, hash, signature, .. }) = &newest {
            self.report.heads.push(DigestHead::of(digest, *hash, signature.clone(), series));
            if series == DigestSeries::Standard {
                self.end_of_trail(digest);
            }
        }
        Ok(newest)
    }

    fn load_at(&mut self, digests: &[(Timestamp, String)], place: usize) -> Result<Option<FoundDigest>, F::Error> {
        match digests.get(place) {
            Some((_, key)) => Ok(self.load(key)?.ok()),
            None => Ok(None),
        }
    }

    /// Which digests speak of the range; one that was expected is always among them, and all that follow it.
    fn bounds(&self, digests: &[(Timestamp, String)], series: DigestSeries) -> (usize, usize) {
        let end = self.heads(series).fold(self.scope.end, |end, head| end.map(|end| end.max(head)));
        let first = self.start(series).map_or(0, |start| digests.partition_point(|(stamp, _)| *stamp <= start));
        let last = end.map_or(digests.len(), |end| {
            let before = digests.partition_point(|(stamp, _)| *stamp < end);
            // The window in which the range ends is part of it.
            (before + 1).min(digests.len())
        });
        (first, last.max(first))
    }

    /// Where validation begins: what was expected before the range is tied to it by all that lies between.
    fn start(&self, series: DigestSeries) -> Option<Timestamp> {
        let before = |head: Timestamp| Timestamp::from_seconds(head.seconds() - 1);
        self.heads(series).fold(self.scope.start, |start, head| start.map(|start| start.min(before(head))))
    }

    fn heads(&self, series: DigestSeries) -> impl Iterator<Item = Timestamp> {
        self.scope.expected.iter().filter_map(move |expected| match expected {
            ExpectedDigest::Head(head) if head.series == series => Some(head.end),
            ExpectedDigest::Hash(_) | ExpectedDigest::Head(_) | ExpectedDigest::HeadAfterRange(_) => None,
        })
    }

    fn heads_expected(&mut self, digests: &[(Timestamp, String)], series: DigestSeries) {
        for expected in &self.scope.expected {
            match expected {
                ExpectedDigest::Head(head) | ExpectedDigest::HeadAfterRange(head) if head.series == series => {
                    if !digests.iter().any(|(_, key)| *key == head.object) {
                        self.report.find(subject(series, head.object.clone()), ValidationFault::HeadMissing);
                    }
                }
                ExpectedDigest::Hash(_) | ExpectedDigest::Head(_) | ExpectedDigest::HeadAfterRange(_) => {}
            }
        }
    }

    fn judge(
        &mut self,
        series: DigestSeries,
        key: &str,
        proven: Result<ProvenDigest, ValidationFault>,
        before: Option<&str>,
        previous: Option<ProvenDigest>,
    ) -> Result<Option<ProvenDigest>, F::Error> {
        let earlier = self.report.findings.len();
        let proven = match proven {
            Ok(proven) => Some(proven),
            Err(fault) => {
                self.report.find(subject(series, key.to_owned()), fault);
                None
            }
        };
        if let Some(proven) = &proven {
            self.walked.insert((key.to_owned(), proven.hash));
            self.expected_here(series, proven);
            self.link(series, proven, before, previous.as_ref());
        }
        let invalid = |found: &super::ValidationFinding| found.key() == Some(key);
        let is_valid = !self.report.findings.iter().skip(earlier).any(invalid);
        let tally = match series {
            DigestSeries::Backfill => &mut self.report.backfill_digests,
            DigestSeries::Standard => &mut self.report.digests,
        };
        tally.count(if is_valid { FileValidity::Valid } else { FileValidity::Invalid });
        if let Some(proven) = &proven {
            self.digest_logs(series, proven)?;
            self.cover(series, &proven.digest);
        }
        // Past an invalid one, so that what follows is still tied to what came before.
        Ok(proven.or(previous))
    }

    fn expected_here(&mut self, series: DigestSeries, proven: &ProvenDigest) {
        for expected in &self.scope.expected {
            match expected {
                ExpectedDigest::Head(head) if head.object == proven.key && head.hash != proven.hash => {
                    self.report.find(subject(series, proven.key.clone()), ValidationFault::HeadDiffers);
                }
                ExpectedDigest::Hash(_) | ExpectedDigest::Head(_) | ExpectedDigest::HeadAfterRange(_) => {}
            }
        }
    }

    fn link(
        &mut self,
        series: DigestSeries,
        proven: &ProvenDigest,
        before: Option<&str>,
        previous: Option<&ProvenDigest>,
    ) {
        let Some(link) = proven.digest.previous.link() else {
            if proven.digest.extent.before.size() != 0 {
                self.report.find(subject(series, proven.key.clone()), ValidationFault::TreeBefore);
            }
            if series == DigestSeries::Standard && before.is_none() {
                self.begins = Some(proven.digest.start);
            }
            return self.origin(series, proven, previous);
        };
        if link.bucket != self.scope.bucket || !self.is_here(link) {
            self.report.notes.push(ValidationNote::MovedFrom(format!("{}/{}", link.bucket, link.object)));
        } else if let Some(previous) = previous.filter(|previous| previous.key == link.object) {
            self.follows(series, proven, previous);
        } else if self.is_listed(series, &link.object) {
            // One that is invalid was reported as such; one that lies further back has another in its place.
            if let Some(found) = before.filter(|before| *before != link.object) {
                let fault = ValidationFault::PreviousIsAnother { named: link.object.clone(), found: found.to_owned() };
                self.report.find(subject(series, proven.key.clone()), fault);
            }
        } else if !self.is_before_range(series, link) {
            self.report.find(subject(series, link.object.clone()), ValidationFault::NotFound);
        }
    }

    fn origin(&mut self, series: DigestSeries, proven: &ProvenDigest, previous: Option<&ProvenDigest>) {
        let Some(previous) = previous else { return };
        let created = proven.digest.extent.trail_created;
        if previous.digest.extent.trail_created < created {
            self.report.notes.push(ValidationNote::CreatedAnew(created));
            // A trail is deleted with a final digest; without it the older one lost its end.
            if previous.digest.extent.ending == DigestEnding::Continues {
                self.report.find(subject(series, proven.key.clone()), ValidationFault::RestartUnannounced);
            }
        } else {
            self.report.find(subject(series, proven.key.clone()), ValidationFault::SecondOrigin);
        }
    }

    /// Whether a digest follows from the one before, which is the one it names.
    fn follows(&mut self, series: DigestSeries, proven: &ProvenDigest, previous: &ProvenDigest) {
        let (digest, before) = (&proven.digest, &previous.digest);
        let rewritten = |what| (subject(series, previous.key.clone()), ValidationFault::Rewritten(what));
        let mut found = Vec::new();
        if digest.previous.link().is_some_and(|link| link.hash != previous.hash) {
            found.push(rewritten("hash"));
        } else if digest.previous.signature().is_some_and(|signature| signature != previous.signature) {
            found.push(rewritten("signature"));
        }
        let own = |fault| (subject(series, proven.key.clone()), fault);
        found.extend(ending_fault(digest, before).map(own));
        if series == DigestSeries::Standard {
            found.extend(window_fault(digest, before).map(own));
            found.extend(sequence_fault(digest, before).map(own));
        }
        let tree = &digest.extent.before;
        if (tree.size(), tree.root()) != (before.extent.size, before.extent.root) {
            found.push(own(ValidationFault::TreeBefore));
        }
        if let PreviousDigest::Restart(_) = digest.previous {
            self.report.notes.push(ValidationNote::Restarted { from: before.end, to: digest.start });
        }
        for (subject, fault) in found {
            self.report.find(subject, fault);
        }
    }

    fn is_listed(&self, series: DigestSeries, key: &str) -> bool {
        self.listing.of_series(&self.scope.trail, series).iter().any(|(_, listed)| listed == key)
    }

    fn is_here(&self, link: &DigestLink) -> bool {
        FileKey::parse(&link.object).is_none_or(|key| key.layout == self.scope.layout)
    }

    /// Whether a digest speaks only of what is not asked about.
    fn is_before_range(&self, series: DigestSeries, link: &DigestLink) -> bool {
        match (FileKey::parse(&link.object).map(|key| key.file), self.start(series)) {
            (Some(FileName::Digest { end, .. }), Some(start)) => end <= start,
            (Some(FileName::Log { .. }) | None, _) | (Some(FileName::Digest { .. }), None) => false,
        }
    }

    fn cover(&mut self, series: DigestSeries, digest: &TrailDigest) {
        if series == DigestSeries::Standard {
            let (start, end) = self.report.covered.unwrap_or((digest.start, digest.end));
            self.report.covered = Some((start.min(digest.start), end.max(digest.end)));
            self.longest_window = self.longest_window.max(digest.end.distance(digest.start));
        }
    }

    fn end_of_trail(&mut self, digest: &TrailDigest) {
        let reaches_end = self.scope.end.is_some_and(|end| end <= digest.end);
        let fault = match (digest.extent.ending, self.scope.currency) {
            (DigestEnding::Final, _) => return self.report.notes.push(ValidationNote::Stopped(digest.end)),
            (DigestEnding::Continues, TrailCurrency::At(now)) => {
                let overdue = digest.end.plus(2 * self.longest_window).seconds() + PATIENCE;
                (overdue < now.seconds()).then_some(ValidationFault::Stale(digest.end))
            }
            (DigestEnding::Continues, TrailCurrency::Ended) => {
                (!reaches_end).then_some(ValidationFault::NotEnded(digest.end))
            }
            (DigestEnding::Continues, TrailCurrency::Unasked) => {
                let fault = ValidationFault::TailNotProven { newest: digest.end, before: before_open_slot(digest.end) };
                (!reaches_end && !self.expects_end()).then_some(fault)
            }
        };
        if let Some(fault) = fault {
            self.report.find(FindingSubject::Trail, fault);
        }
    }

    /// Whether a head tells up to where the trail must go on.
    fn expects_end(&self) -> bool {
        self.scope.expected.iter().any(|expected| match expected {
            ExpectedDigest::Hash(_) => true,
            ExpectedDigest::Head(head) | ExpectedDigest::HeadAfterRange(head) => head.series == DigestSeries::Standard,
        })
    }
}

fn window_fault(digest: &TrailDigest, before: &TrailDigest) -> Option<ValidationFault> {
    let fits = match digest.previous {
        PreviousDigest::Digest { .. } => digest.start == before.end,
        PreviousDigest::Origin | PreviousDigest::Restart(_) => digest.start >= before.end,
    };
    (!fits).then_some(ValidationFault::Gap { expected: before.end, found: digest.start })
}

fn sequence_fault(digest: &TrailDigest, before: &TrailDigest) -> Option<ValidationFault> {
    let (expected, found) = (before.extent.last_sequence.saturating_add(1), digest.extent.first_sequence);
    let fits = match digest.previous {
        PreviousDigest::Digest { .. } => found == expected,
        PreviousDigest::Origin | PreviousDigest::Restart(_) => found >= expected,
    };
    (!fits).then_some(ValidationFault::SequenceGap { expected, found })
}

fn ending_fault(digest: &TrailDigest, before: &TrailDigest) -> Option<ValidationFault> {
    match (&digest.previous, before.extent.ending) {
        (PreviousDigest::Digest { .. }, DigestEnding::Final) => Some(ValidationFault::AfterFinal),
        (PreviousDigest::Restart(_), DigestEnding::Continues) => Some(ValidationFault::RestartUnannounced),
        (PreviousDigest::Digest { .. }, DigestEnding::Continues)
        | (PreviousDigest::Restart(_), DigestEnding::Final)
        | (PreviousDigest::Origin, _) => None,
    }
}

/// A digest of this series by its key.
pub(super) fn subject(series: DigestSeries, key: String) -> FindingSubject {
    match series {
        DigestSeries::Backfill => FindingSubject::BackfillDigest(key),
        DigestSeries::Standard => FindingSubject::Digest(key),
    }
}
