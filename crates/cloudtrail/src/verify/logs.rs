//! The log files: those that digests name, and those that lie beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::digest::{DigestEnding, LogEntry, hash};
use super::super::layout::{DigestSeries, FileKey, FileName};
use super::super::logfile::{decompress, leaves};
use super::super::merkle::Sha256Hash;
use super::super::{DeliveredLog, TrailEnd};
use super::chain::{PATIENCE, subject};
use super::digests::ProvenDigest;
use super::{ChainWalk, FileValidity, FindingSubject, TrailCurrency, TrailFiles, ValidationFault, ValidationNote};
use portcullis_base::clock::Timestamp;

/// No log file is larger: proxies end them long before.
const LARGEST: usize = 1 << 30;

/// A log file's name says the minutes in which it was begun, rounded down.
const SLOT: i64 = 300;

/// How far from a log file's own time the digest that names it may lie: longer than any digest's window.
const REACH: i64 = 2 * 86_400;

impl<F: TrailFiles> ChainWalk<'_, F> {
    /// Validates the log files of a digest, and the tree over their events.
    pub(super) fn digest_logs(&mut self, series: DigestSeries, proven: &ProvenDigest) -> Result<(), F::Error> {
        let extent = &proven.digest.extent;
        let mut tree = Some(extent.before.clone());
        for entry in &proven.digest.log_files {
            let judged = match self.name(entry) {
                Ok(()) => self.log(&entry.object, entry.hash)?,
                Err(fault) => Err(fault),
            };
            self.report.logs.count(if judged.is_ok() { FileValidity::Valid } else { FileValidity::Invalid });
            match judged {
                Ok(leaves) => {
                    self.report.events += u64::try_from(leaves.len()).unwrap_or(u64::MAX);
                    if let Some(tree) = &mut tree {
                        leaves.into_iter().for_each(|leaf| tree.push(leaf));
                    }
                }
                Err(fault) => {
                    self.report.find(FindingSubject::Log(entry.object.clone()), fault);
                    tree = None;
                }
            }
        }
        // Without all of the events nothing is known of the root.
        if tree.is_some_and(|tree| (tree.size(), tree.root()) != (extent.size, extent.root)) {
            self.report.find(subject(series, proven.key.clone()), ValidationFault::TreeRoot);
        }
        Ok(())
    }

    fn name(&mut self, entry: &LogEntry) -> Result<(), ValidationFault> {
        match FileKey::parse(&entry.object) {
            Some(FileKey { layout, file: FileName::Log { .. } }) if layout == self.scope.layout => {
                if self.named.insert(entry.object.clone()) { Ok(()) } else { Err(ValidationFault::NamedTwice) }
            }
            Some(_) | None => Err(ValidationFault::OutsideTrail),
        }
    }

    fn log(
        &mut self,
        object: &str,
        expected: Sha256Hash,
    ) -> Result<Result<Vec<Sha256Hash>, ValidationFault>, F::Error> {
        let Some(file) = self.files.read(object)? else { return Ok(Err(ValidationFault::NotFound)) };
        let judge = || {
            let text = decompress(&file.bytes, LARGEST).map_err(ValidationFault::Malformed)?;
            if hash(&text) != expected {
                return Err(ValidationFault::HashMismatch);
            }
            leaves(&text).map_err(ValidationFault::Malformed)
        };
        Ok(judge())
    }

    /// Finds log files that no digest names, and later log files that were delivered and are missing.
    pub(super) fn unnamed_logs(
        &mut self,
        newest: Option<&ProvenDigest>,
        end: Option<TrailEnd>,
    ) -> Result<(), F::Error> {
        let mut unnamed = Vec::new();
        let mut listed = BTreeSet::new();
        for key in self.files.list(&self.scope.layout.logs())? {
            match FileKey::parse(&key) {
                Some(FileKey { layout, file: FileName::Log { slot, .. } }) if layout == self.scope.layout => {
                    if self.is_asked_about(slot) && !self.named.contains(&key) {
                        unnamed.push((slot, key.clone()));
                    }
                    listed.insert(key);
                }
                Some(_) | None => self.report.find(FindingSubject::Log(key), ValidationFault::Stray),
            }
        }
        if let Some(end) = &end {
            self.removed_logs(&end.delivered, &listed);
        }
        if unnamed.is_empty() {
            return Ok(());
        }
        let elsewhere = self.named_elsewhere(&unnamed)?;
        unnamed.retain(|(_, key)| !elsewhere.named.contains(key));
        let strays = match end {
            Some(before) => self.not_delivered(unnamed, before)?,
            None => self.not_covered(unnamed, newest, &elsewhere.covered),
        };
        self.tell_owners(&strays, newest);
        for (_, key) in strays {
            self.invalid_log(key, ValidationFault::NotNamed);
        }
        Ok(())
    }

    /// A log file that was delivered and not yet named by a digest must exist, before and after it is named.
    fn removed_logs(&mut self, delivered: &[DeliveredLog], listed: &BTreeSet<String>) {
        for DeliveredLog { object, .. } in delivered {
            let is_asked_about = match FileKey::parse(object) {
                Some(FileKey { layout, file: FileName::Log { slot, .. } }) => {
                    layout == self.scope.layout && self.is_asked_about(slot)
                }
                Some(_) | None => false,
            };
            if is_asked_about && !listed.contains(object) && !self.named.contains(object) {
                self.invalid_log(object.clone(), ValidationFault::NotFound);
            }
        }
    }

    /// Log files that no digest names and that the proxy did not deliver; it is asked before and after they
    /// are listed, since it goes on meanwhile.
    fn not_delivered(
        &mut self,
        unnamed: Vec<(Timestamp, String)>,
        before: TrailEnd,
    ) -> Result<Vec<(Timestamp, String)>, F::Error> {
        let after = self.files.end()?.unwrap_or_default();
        let known = [before.delivered, before.under_way, after.delivered, after.under_way].into_iter().flatten();
        let known: BTreeMap<String, Sha256Hash> = known.map(|log| (log.object, log.hash)).collect();
        let mut strays = Vec::new();
        let mut waiting = 0;
        for (slot, key) in unnamed {
            let Some(hash) = known.get(&key) else {
                strays.push((slot, key));
                continue;
            };
            match self.log(&key, *hash)? {
                Ok(_) => waiting += 1,
                Err(fault) => self.invalid_log(key, fault),
            }
        }
        if waiting > 0 {
            self.report.notes.push(ValidationNote::NotYetCovered(waiting));
        }
        Ok(strays)
    }

    /// Of log files of a copy that no digest names, those that can be none that a digest would have named later.
    fn not_covered(
        &mut self,
        unnamed: Vec<(Timestamp, String)>,
        newest: Option<&ProvenDigest>,
        elsewhere: &[CoveredWindow],
    ) -> Vec<(Timestamp, String)> {
        let own = newest.filter(|newest| newest.digest.extent.ending == DigestEnding::Continues);
        let own = own.map(|newest| CoveredWindow { end: newest.digest.end, window: self.longest_window });
        // A digest names what was delivered before it within a window or two of its trail. Of several trails it may be the
        // slowest one's log file that was delivered first, and the fastest one's that was delivered last.
        let ends = || own.iter().chain(elsewhere);
        let is_new = |slot: Timestamp| {
            let comes = match self.scope.currency {
                TrailCurrency::At(now) => slot.seconds() <= now.seconds() + SLOT,
                TrailCurrency::Ended | TrailCurrency::Unasked => true,
            };
            comes
                && ends().map(|covered| covered.end).min().is_some_and(|end| slot.seconds() + SLOT > end.seconds())
                && ends().map(CoveredWindow::next_names_until).max().is_some_and(|last| slot.seconds() <= last)
        };
        let (new, old): (Vec<_>, Vec<_>) = unnamed.into_iter().partition(|(slot, _)| is_new(*slot));
        // The digests must reach the end of the range that is advised, and no log file may lie in it that they do not name.
        let oldest = new.iter().map(|(slot, _)| Timestamp::from_seconds(slot.seconds().saturating_sub(1))).min();
        let before = own.iter().map(|own| before_open_slot(own.end)).chain(oldest).min();
        for (_, key) in new {
            let before = before.unwrap_or_else(|| Timestamp::from_seconds(0));
            self.invalid_log(key, ValidationFault::NotCovered { before });
        }
        old
    }

    fn invalid_log(&mut self, key: String, fault: ValidationFault) {
        self.report.logs.count(FileValidity::Invalid);
        self.report.find(FindingSubject::Log(key), fault);
    }

    /// Notes what is known of whose the log files are that no digest names; their names do not tell.
    fn tell_owners(&mut self, strays: &[(Timestamp, String)], newest: Option<&ProvenDigest>) {
        if strays.is_empty() {
            return;
        }
        let count = |counts: &dyn Fn(i64) -> bool| {
            let count = strays.iter().filter(|(slot, _)| counts(slot.seconds())).count();
            u64::try_from(count).ok().filter(|count| *count > 0)
        };
        if let Some(start) = self.begins
            && let Some(count) = count(&|slot| slot < start.seconds())
        {
            self.report.notes.push(ValidationNote::BeforeFirst { count, start });
        }
        if let Some(last) = newest.filter(|newest| newest.digest.extent.ending == DigestEnding::Final)
            && let Some(count) = count(&|slot| slot > last.digest.end.seconds())
        {
            self.report.notes.push(ValidationNote::AfterLast(count));
        }
        for other in self.listing.others(&self.scope.trail) {
            self.report.add_neighbour(other.clone());
        }
    }

    fn is_asked_about(&self, slot: Timestamp) -> bool {
        self.scope.start.is_none_or(|start| start <= slot) && self.scope.end.is_none_or(|end| slot <= end)
    }

    /// What digests outside of the range name, and those of other trails that share the folder.
    fn named_elsewhere(&mut self, unnamed: &[(Timestamp, String)]) -> Result<OtherTrails, F::Error> {
        let seconds = || unnamed.iter().map(|(slot, _)| slot.seconds());
        let (oldest, newest) = (seconds().min().unwrap_or(i64::MIN), seconds().max().unwrap_or(i64::MAX));
        let near = oldest.saturating_sub(SLOT)..newest.saturating_add(REACH);
        let mut elsewhere = OtherTrails::default();
        let listing = self.listing;
        for ((trail, series), digests) in &listing.digests {
            let last = digests.len().saturating_sub(1);
            for (index, (end, key)) in digests.iter().enumerate() {
                let ends_other = index == last && *trail != self.scope.trail && *series == DigestSeries::Standard;
                if self.is_walked(key) || !(near.contains(&end.seconds()) || ends_other) {
                    continue;
                }
                let Ok(found) = self.load(key)? else { continue };
                let after = match digests.get(index + 1) {
                    Some((_, next)) => self.load(next)?.ok(),
                    None => None,
                };
                let Ok(proven) = found.prove(self.scope, *end, *series, after.as_ref()) else { continue };
                if ends_other && proven.digest.extent.ending == DigestEnding::Continues {
                    elsewhere.covered.push(CoveredWindow { end: *end, window: end.distance(proven.digest.start) });
                }
                elsewhere.named.extend(proven.digest.log_files.into_iter().map(|log| log.object));
            }
        }
        Ok(elsewhere)
    }

    fn is_walked(&self, key: &str) -> bool {
        let from = (key.to_owned(), [0; 32]);
        self.walked.range(from..).next().is_some_and(|(walked, _)| walked == key)
    }
}

#[derive(Default)]
struct OtherTrails {
    named: BTreeSet<String>,
    /// Up to when other trails' digests have come.
    covered: Vec<CoveredWindow>,
}

/// Where the newest digest of a trail ends, and how long that trail's windows are.
#[derive(Clone, Copy, Debug)]
struct CoveredWindow {
    end: Timestamp,
    window: Duration,
}

impl CoveredWindow {
    /// The youngest log file that the next digest may name, in seconds.
    fn next_names_until(&self) -> i64 {
        self.end.plus(2 * self.window).seconds() + PATIENCE
    }
}

/// The last moment whose log files a digest that ends then names all: in its last minutes others may follow.
pub(super) fn before_open_slot(end: Timestamp) -> Timestamp {
    Timestamp::from_seconds(end.seconds() - end.seconds().rem_euclid(SLOT) - 1)
}
