//! Follows the journal for one trail, and makes log files of what it admits.

use std::sync::Arc;
use std::time::Duration;

use super::progress::{DeliveryStage, TrailProgress, TrailSuccessor};
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::layout::DigestSeries;
use portcullis_cloudtrail::logfile::{LogFile, LogFileBuilder};
use portcullis_cloudtrail::merkle::{MerkleTree, leaf_hash};
use portcullis_cloudtrail::record::EventView;
use portcullis_cloudtrail::{LogFileValidation, Trail, TrailLogging};
use portcullis_journal::{Follower, Journal, JournalError, JournalRecord, RecordKind, Sequence};
use portcullis_state::StateStore;

/// What of the journal is looked at and not yet in a planned file.
pub(super) struct EventGatherer {
    state: StateStore,
    follower: Follower,
    /// The trail as it was where the journal has been followed to.
    pub trail: Trail,
    pub course: DeliveryStage,
    /// Events from before this came after the digest of their window.
    closed: Option<Timestamp>,
    pub standard: GrowingLog,
    pub backfill: GrowingLog,
    last_time: Timestamp,
}

/// A log file that grows, and the tree with its events.
#[derive(Debug)]
pub(super) struct GrowingLog {
    builder: LogFileBuilder,
    tree: MerkleTree,
}

/// Why gathering paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GatherPause {
    /// Nothing more is there for now.
    End,
    /// A log file is as large as one may be, or enough was read at once.
    Full,
    /// The trail became another, or nothing.
    Turned,
}

/// How far gathering may go at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct GatherLimits {
    /// The last record that is known to be on the disk: what a crash may take back is not delivered.
    pub until: Sequence,
    pub compressed: usize,
    pub uncompressed: u64,
}

/// What is read at once, so that a pause request waits only briefly.
const READ: usize = 64 * 1024 * 1024;

/// How late an event may be recorded without being late: requests end in another order than they are recorded in.
pub(super) const LATENESS: Duration = Duration::from_secs(30);

/// How long the stop of a trail may take to become an event.
pub(super) const LINGER: Duration = Duration::from_secs(2);

impl EventGatherer {
    /// Goes on where the trail's progress ends.
    pub(super) fn of(progress: &TrailProgress, state: StateStore, journal: &Arc<Journal>) -> Self {
        // Where logging starts, no window before is closed.
        let goes_on = progress.standard.last.as_ref().is_some_and(|last| last.end == progress.window);
        let closed = goes_on.then(|| minus(progress.window, LATENESS));
        Self {
            state,
            follower: Follower::after(journal, Sequence::new(progress.taken)),
            trail: progress.trail.clone(),
            course: progress.course.clone(),
            closed,
            standard: GrowingLog::of(&progress.standard.tree),
            backfill: GrowingLog::of(&progress.backfill.tree),
            last_time: progress.window,
        }
    }

    /// Takes note that a window ended, by its digest.
    pub(super) fn closed(&mut self, window: Timestamp) {
        self.closed = Some(minus(window, LATENESS));
    }

    /// The last record of the journal that was looked at.
    pub(super) fn taken(&self) -> u64 {
        self.follower.sequence().number()
    }

    /// Whether no event waits for a file.
    pub(super) fn is_empty(&self) -> bool {
        self.standard.builder.records() + self.backfill.builder.records() == 0
    }

    /// Follows the journal until something is to be done.
    pub(super) fn follow(&mut self, limits: GatherLimits) -> Result<GatherPause, JournalError> {
        let mut read = 0;
        while self.follower.sequence() < limits.until {
            match &self.course {
                DeliveryStage::Ending(_) | DeliveryStage::Stopped => return Ok(GatherPause::Turned),
                DeliveryStage::Logging { .. } | DeliveryStage::Starting { .. } | DeliveryStage::Stopping { .. } => {}
            }
            let Some(record) = self.follower.read(limits.until)? else { return Ok(GatherPause::End) };
            read += record.payload.len();
            self.report_gap();
            self.take(&record);
            if self.standard.is_full(limits) || self.backfill.is_full(limits) || read > READ {
                return Ok(GatherPause::Full);
            }
        }
        match &self.course {
            DeliveryStage::Ending(_) | DeliveryStage::Stopped => Ok(GatherPause::Turned),
            DeliveryStage::Logging { .. } | DeliveryStage::Starting { .. } | DeliveryStage::Stopping { .. } => {
                Ok(GatherPause::End)
            }
        }
    }

    /// Ends the log files that grow, and begins new ones.
    pub(super) fn cut(&mut self, series: DigestSeries) -> Option<(LogFile, MerkleTree)> {
        let pile = match series {
            DigestSeries::Backfill => &mut self.backfill,
            DigestSeries::Standard => &mut self.standard,
        };
        if pile.builder.records() == 0 {
            return None;
        }
        Some((std::mem::take(&mut pile.builder).finish(), pile.tree.clone()))
    }

    /// Reports records that are gone before they were delivered; the digest's numbers tell of it as well.
    fn report_gap(&mut self) {
        let is_starting = matches!(self.course, DeliveryStage::Starting { .. });
        if let Some(gap) = self.follower.take_gap()
            && !is_starting
        {
            let (first, last) = (gap.first.number(), gap.last.number());
            tracing::error!(trail = %self.trail.name, first, last, "records were removed from the journal before they were delivered");
        }
    }

    fn take(&mut self, record: &JournalRecord) {
        if record.kind == RecordKind::State {
            for (name, change) in self.state.trails_in(&record.payload) {
                if name == self.trail.name {
                    self.turn(change);
                }
            }
            return;
        }
        for line in portcullis_audit::events(record.kind, &record.payload) {
            self.consider(line);
        }
    }

    fn consider(&mut self, line: &[u8]) {
        let view = EventView::read(line);
        let time = view.as_ref().ok().and_then(EventView::time).unwrap_or(self.last_time);
        // What cannot be read matters.
        let passed_over = view.is_ok_and(|view| !self.trail.admits(&view));
        if passed_over || !self.is_own(time) {
            return;
        }
        self.last_time = time;
        let pile = match self.closed {
            Some(closed) if time < closed => &mut self.backfill,
            Some(_) | None => &mut self.standard,
        };
        pile.builder.push(line, time);
        pile.tree.push(leaf_hash(line));
    }

    fn is_own(&self, time: Timestamp) -> bool {
        match &self.course {
            DeliveryStage::Logging { since } | DeliveryStage::Starting { since } => {
                time.seconds() >= since.seconds() || self.closed.is_some()
            }
            DeliveryStage::Stopping { at } => time.seconds() <= at.seconds() + 1,
            DeliveryStage::Ending(_) | DeliveryStage::Stopped => false,
        }
    }

    /// Takes a change of the trail where it stands in the journal.
    fn turn(&mut self, change: Option<Trail>) {
        if let DeliveryStage::Starting { since } = self.course
            && !self.starts_with(change.as_ref(), since)
        {
            return;
        }
        let Some(next) = change else {
            self.course = DeliveryStage::Ending(TrailSuccessor::Nothing);
            return;
        };
        let here = &self.trail;
        let is_same = next.created == here.created && next.bucket == here.bucket && next.validation == here.validation;
        match (&self.course, next.logging) {
            (DeliveryStage::Logging { since } | DeliveryStage::Starting { since }, TrailLogging::Started { at })
                if is_same && at <= *since =>
            {
                self.course = DeliveryStage::Logging { since: *since };
                self.trail = next;
            }
            (DeliveryStage::Logging { .. } | DeliveryStage::Starting { .. }, TrailLogging::Stopped { at, .. })
                if is_same =>
            {
                self.course = DeliveryStage::Stopping { at };
                self.trail = next;
            }
            (DeliveryStage::Stopping { .. }, TrailLogging::Stopped { .. }) if is_same => self.trail = next,
            (DeliveryStage::Logging { .. } | DeliveryStage::Starting { .. } | DeliveryStage::Stopping { .. }, _) => {
                self.course = DeliveryStage::Ending(TrailSuccessor::Trail(Box::new(next)));
            }
            (DeliveryStage::Ending(_) | DeliveryStage::Stopped, _) => {}
        }
    }

    /// Whether a change is the start that is looked for, or came after it; older ones are in the journal too.
    fn starts_with(&self, change: Option<&Trail>, since: Timestamp) -> bool {
        change.is_some_and(|next| {
            next.created == self.trail.created
                && match next.logging {
                    TrailLogging::Never => false,
                    TrailLogging::Started { at } => at >= since,
                    TrailLogging::Stopped { started, .. } => started >= since,
                }
        })
    }

    /// Gives up looking for the start, which the journal no longer has, and believes the store.
    pub(super) fn adopt(&mut self) {
        if let DeliveryStage::Starting { since } = self.course {
            self.course = DeliveryStage::Logging { since };
            let now = self.state.trail(&self.trail.name);
            if now.as_ref() != Some(&self.trail) {
                self.turn(now);
            }
        }
    }
}

impl GrowingLog {
    fn of(tree: &MerkleTree) -> Self {
        Self { builder: LogFileBuilder::new(), tree: tree.clone() }
    }

    fn is_full(&self, limits: GatherLimits) -> bool {
        self.builder.compressed() >= limits.compressed || self.builder.uncompressed() >= limits.uncompressed
    }
}

/// Whether the window's end is of any use: without validation there are no digests.
pub(super) fn makes_digests(trail: &Trail) -> bool {
    trail.validation == LogFileValidation::Enabled
}

fn minus(moment: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(moment.millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
