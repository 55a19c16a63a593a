//! One trail's delivery, step by step; each step is planned on the disk before it is done, so that after a crash
//! at any moment the same bytes are written to the same place again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::checkpoint::{Checkpoint, CheckpointSink};
use super::destination::{DestinationError, TrailDestination, TrailObject};
use super::gather::{EventGatherer, GatherLimits, GatherPause, LINGER, makes_digests};
use super::keys::{DigestKeys, KeyError};
use super::progress::{
    DeliveryOutcome, DeliveryStage, DigestChain, LastDigest, PinnedChains, PlannedFile, TrailProgress, TrailSuccessor,
};
use super::spool::DeliverySpool;
use portcullis_authorization::TrailBucket;
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::{AccountId, BucketName, ObjectKey};
use portcullis_cloudtrail::digest::{
    self, DigestEnding, DigestExtent, DigestLink, LogEntry, PreviousDigest, TrailDigest, WrittenDigest,
};
use portcullis_cloudtrail::keys::SIGNATURE_ALGORITHM;
use portcullis_cloudtrail::layout::{DigestSeries, LogSuffix, TrailLayout};
use portcullis_cloudtrail::logfile;
use portcullis_cloudtrail::{DigestHead, Trail, TrailLogging};
use portcullis_journal::Journal;
use portcullis_state::{StateStore, StoreError, TrailHead};
use portcullis_upstream::TrailFileError;

/// What all trails are delivered with.
#[derive(Debug)]
pub struct DeliveryDependencies {
    pub state: StateStore,
    pub journal: Arc<Journal>,
    pub spool: Arc<dyn DeliverySpool>,
    pub destination: Arc<dyn TrailDestination>,
    pub keys: DigestKeys,
    pub checkpoints: CheckpointSink,
    pub clock: Clock,
    pub account: AccountId,
    pub region: String,
    pub log_period: Duration,
}

/// One trail's delivery.
pub(super) struct TrailRunner {
    dependencies: Arc<DeliveryDependencies>,
    progress: TrailProgress,
    gather: Option<EventGatherer>,
    /// When the first event came that waits for a log file.
    gathering_since: Option<Timestamp>,
    /// Whether what is planned might be there already.
    redoing: PlanRetry,
    is_signing: bool,
    /// What was found to be missing from the destination.
    pub missing: Option<String>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// More, at once.
    Again,
    /// Nothing ever, unless the trail starts again.
    Done,
    /// Nothing for now.
    Wait,
}

/// How much a step makes of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryPace {
    /// All that was gathered is delivered.
    Flush,
    /// Log files are written when their period is over.
    Usual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanRetry {
    No,
    Perhaps,
}

/// A digest that is to be delivered.
struct SignedDigest {
    digest: TrailDigest,
    metadata: BTreeMap<&'static str, String>,
    signature: Vec<u8>,
    written: WrittenDigest,
}

/// Why a trail is not delivered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DeliveryError {
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error("`{0}` does not hold what was written to it")]
    Differs(String),
    #[error("the journal cannot be followed: {0}")]
    Journal(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("`{0}` is no bucket of the trail")]
    NotATrailBucket(BucketName),
    #[error("the progress of the trail cannot be stored: {0}")]
    Notes(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the work was interrupted")]
    Interrupted,
}

/// As CloudTrail's log files are, about.
const MOST_COMPRESSED: usize = 5 * 1024 * 1024;
const MOST_UNCOMPRESSED: u64 = 32 * 1024 * 1024;

/// More log files than this are not left for one digest.
const MOST_WAITING: usize = 1000;

/// How long the record of a trail's start is looked for.
const START_PATIENCE: Duration = Duration::from_secs(5);

impl TrailRunner {
    /// Takes up a trail where it was left; `seen` is a record of the journal from before it started.
    pub(super) fn open(
        dependencies: Arc<DeliveryDependencies>,
        trail: Trail,
        seen: u64,
    ) -> Result<Self, DeliveryError> {
        let kept = dependencies.spool.load(&note_name(&trail)).map_err(of_notes)?;
        let kept = kept.and_then(|bytes| TrailProgress::from_json(&bytes));
        let pin = dependencies.state.trail_head(&trail.name).and_then(|head| PinnedChains::from_json(&head.0));
        let pin = pin.filter(|pin| pin.created == trail.created);
        let (progress, missing) = taken_up(kept, pin, &trail, seen);
        if let Some(missing) = &missing {
            tracing::error!(trail = %trail.name, "{missing}");
        }
        let gathering_since = None;
        let redoing = PlanRetry::Perhaps;
        let mut runner =
            Self { dependencies, progress, gather: None, gathering_since, redoing, is_signing: false, missing };
        runner.resume_stopped(&trail);
        Ok(runner)
    }

    /// How far the trail is.
    pub(super) fn progress(&self) -> &TrailProgress {
        &self.progress
    }

    /// The first record of the journal that is still needed.
    pub(super) fn needed(&self) -> u64 {
        match (&self.progress.course, makes_digests(&self.progress.trail)) {
            (DeliveryStage::Stopped, _) => u64::MAX,
            (_, true) => self.progress.standard.covered.saturating_add(1),
            (_, false) => self.progress.taken.saturating_add(1),
        }
    }

    /// Whether a digest is what is done or tried now.
    pub(super) fn is_digesting(&self) -> bool {
        match self.progress.planned.first().map(|planned| &planned.outcome) {
            Some(DeliveryOutcome::Digest { .. }) => true,
            Some(DeliveryOutcome::Log(_)) => false,
            None => self.is_signing,
        }
    }

    /// Takes the notes of a trail away that is gone.
    pub(super) fn forget(&self) -> Result<(), DeliveryError> {
        self.dependencies.spool.remove(&note_name(&self.progress.trail)).map_err(of_notes)
    }

    /// Does what is due.
    pub(super) async fn step(&mut self, pace: DeliveryPace) -> Result<NextStep, DeliveryError> {
        let done = self.try_step(pace).await;
        if done.is_err() {
            self.redoing = PlanRetry::Perhaps;
        }
        done
    }

    async fn try_step(&mut self, pace: DeliveryPace) -> Result<NextStep, DeliveryError> {
        self.deliver().await?;
        self.is_signing = false;
        self.tell().await;
        let now = self.dependencies.clock.now();
        match self.progress.course.clone() {
            DeliveryStage::Stopped => return Ok(NextStep::Done),
            DeliveryStage::Ending(successor) => return self.end(successor, now).await,
            DeliveryStage::Logging { .. } | DeliveryStage::Starting { .. } | DeliveryStage::Stopping { .. } => {}
        }
        let due = self.digest_is_due(now);
        let pause = self.follow(due || pace == DeliveryPace::Flush).await?;
        let lingered = self.has_lingered(now);
        if self.is_to_be_cut(pause, now, due || lingered, pace) {
            self.cut(now).await?;
            self.deliver().await?;
        }
        if pause != GatherPause::End {
            return Ok(NextStep::Again);
        }
        if lingered {
            let ending = DeliveryStage::Ending(TrailSuccessor::Trail(Box::new(self.progress.trail.clone())));
            self.keep(TrailProgress { course: ending, ..self.progress.clone() }).await?;
            return Ok(NextStep::Again);
        }
        if due {
            self.digest(self.window_end(now), DigestEnding::Continues, now).await?;
            return Ok(NextStep::Again);
        }
        Ok(NextStep::Wait)
    }

    /// Follows the journal: as far as is certain to last or, for a digest or the last flush, to its end.
    async fn follow(&mut self, to_its_end: bool) -> Result<GatherPause, DeliveryError> {
        let dependencies = &self.dependencies;
        let stopping = matches!(self.progress.course, DeliveryStage::Stopping { .. });
        let until = if to_its_end || stopping {
            dependencies.journal.flush().await
        } else {
            dependencies.journal.durable_sequence()
        };
        let limits = GatherLimits { until, compressed: MOST_COMPRESSED, uncompressed: MOST_UNCOMPRESSED };
        let mut gather = match self.gather.take() {
            Some(gather) => gather,
            None => EventGatherer::of(&self.progress, dependencies.state.clone(), &dependencies.journal),
        };
        let following = tokio::task::spawn_blocking(move || {
            let pause = gather.follow(limits);
            (gather, pause)
        });
        let (mut gather, pause) = following.await.map_err(|_| DeliveryError::Interrupted)?;
        let now = dependencies.clock.now();
        if let (DeliveryStage::Starting { since }, Ok(GatherPause::End)) = (&gather.course, &pause)
            && now >= since.plus(START_PATIENCE)
        {
            gather.adopt();
        }
        if !gather.is_empty() {
            self.gathering_since.get_or_insert(now);
        }
        self.gather = Some(gather);
        pause.map_err(|error| DeliveryError::Journal(error.to_string()))
    }

    fn is_to_be_cut(&self, pause: GatherPause, now: Timestamp, due: bool, pace: DeliveryPace) -> bool {
        let Some(gather) = &self.gather else { return false };
        let period_is_over = self.gathering_since.is_some_and(|since| now >= since.plus(self.dependencies.log_period));
        let turned = match gather.course {
            DeliveryStage::Logging { .. } | DeliveryStage::Starting { .. } => false,
            DeliveryStage::Ending(_) | DeliveryStage::Stopped | DeliveryStage::Stopping { .. } => {
                gather.course != self.progress.course
            }
        };
        match pause {
            GatherPause::Full | GatherPause::Turned => true,
            GatherPause::End => turned || due || period_is_over || pace == DeliveryPace::Flush && !gather.is_empty(),
        }
    }

    /// Plans log files of what was gathered.
    async fn cut(&mut self, now: Timestamp) -> Result<(), DeliveryError> {
        let Some(mut gather) = self.gather.take() else { return Ok(()) };
        let mut progress = self.progress.clone();
        let first = progress.taken + 1;
        for series in [DigestSeries::Standard, DigestSeries::Backfill] {
            let Some((file, tree)) = gather.cut(series) else { continue };
            let trail = &progress.trail;
            let mark: &[u8] = match series {
                DigestSeries::Backfill => b"backfill",
                DigestSeries::Standard => b"",
            };
            let created = trail.created.millis().to_le_bytes();
            let (first, last) = (first.to_le_bytes(), gather.taken().to_le_bytes());
            let suffix = LogSuffix::derive(&[trail.name.as_str().as_bytes(), &created, &first, &last, mark]);
            let object = self.layout(trail).log_key(now, &suffix);
            let bucket = trail.bucket.clone();
            // A pile is cut only when it holds events.
            let Some(entry) = LogEntry::of(object.clone(), &file) else { continue };
            let outcome = DeliveryOutcome::Log(entry);
            let planned = self.plan(bucket, object, file.bytes, BTreeMap::new(), series, outcome).await?;
            progress.planned.push(planned);
            if makes_digests(&progress.trail) {
                progress.chain_mut(series).tree = tree;
            }
        }
        progress.taken = gather.taken();
        progress.course = gather.course.clone();
        // Delivered by what it was; from here on by what it is.
        progress.trail = gather.trail.clone();
        self.keep(progress).await?;
        self.gather = Some(gather);
        self.gathering_since = None;
        Ok(())
    }

    /// Notes the bytes of a file that is to be written.
    async fn plan(
        &self,
        bucket: BucketName,
        object: String,
        bytes: Vec<u8>,
        metadata: BTreeMap<&'static str, String>,
        series: DigestSeries,
        outcome: DeliveryOutcome,
    ) -> Result<PlannedFile, DeliveryError> {
        let checksum = Sha256::digest(&bytes).into();
        let id = hex::encode(Sha256::digest(&object));
        let note = format!("{}.{}.planned", self.progress.trail.name, id.get(..16).unwrap_or_default());
        self.dependencies.spool.save(&note, &bytes).await.map_err(of_notes)?;
        Ok(PlannedFile { bucket, object, note, checksum, metadata, series, outcome })
    }

    /// Writes what is planned, and reads it back.
    async fn deliver(&mut self) -> Result<(), DeliveryError> {
        while let Some(planned) = self.progress.planned.first().cloned() {
            let bytes = self.dependencies.spool.load(&planned.note).map_err(of_notes)?;
            let bytes = bytes.filter(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)) == planned.checksum);
            let Some(bytes) = bytes else {
                return Err(DeliveryError::Notes(format!("`{}` is gone", planned.note)));
            };
            let parcel = TrailObject { bytes: Bytes::from(bytes), metadata: planned.metadata.clone() };
            self.write(&planned, &parcel).await?;
            let now = self.dependencies.clock.now();
            let mut progress = self.progress.clone();
            progress.planned.remove(0);
            match &planned.outcome {
                DeliveryOutcome::Digest { .. } => progress.digested = Some(now),
                DeliveryOutcome::Log(_) => progress.delivered = Some(now),
            }
            let closed = apply(&mut progress, &planned);
            if let DeliveryOutcome::Digest { .. } = planned.outcome {
                let head = TrailHead(progress.pin().to_json());
                self.dependencies.state.pin_trail_head(&progress.trail.name, head, now).await?;
            }
            self.keep(progress).await?;
            if let (Some(gather), Some(window)) = (&mut self.gather, closed) {
                gather.closed(window);
            }
            self.dependencies.spool.remove(&planned.note).map_err(of_notes)?;
        }
        self.redoing = PlanRetry::No;
        Ok(())
    }

    async fn write(&self, planned: &PlannedFile, parcel: &TrailObject) -> Result<(), DeliveryError> {
        let destination = &self.dependencies.destination;
        let (bucket, key) = (&planned.bucket, object_key(&planned.object)?);
        let leave = self.leave_to_write(bucket)?;
        if self.redoing == PlanRetry::Perhaps
            && destination.read(bucket, &key).await.ok().flatten().as_ref() == Some(parcel)
        {
            return Ok(());
        }
        match destination.put(leave, &key, parcel).await {
            Err(DestinationError::Upstream(TrailFileError::NoBucket(_))) => {
                tracing::error!(%bucket, trail = %self.progress.trail.name, "the trail's bucket is missing; it is created again");
                destination.make_bucket(leave).await?;
                destination.put(leave, &key, parcel).await?;
            }
            put => put?,
        }
        let there = destination.read(bucket, &key).await?;
        if there.as_ref() == Some(parcel) { Ok(()) } else { Err(DeliveryError::Differs(planned.object.clone())) }
    }

    /// A trail that was deleted, or that went to another bucket, is still owed its last files where it was.
    fn leave_to_write<'a>(&'a self, bucket: &'a BucketName) -> Result<TrailBucket<'a>, DeliveryError> {
        let recorded = TrailBucket::of(bucket, &self.dependencies.state);
        let leave = recorded.or_else(|| TrailBucket::of(bucket, &self.progress));
        leave.ok_or_else(|| DeliveryError::NotATrailBucket(bucket.clone()))
    }

    /// Signs what was delivered.
    async fn digest(&mut self, end: Timestamp, ending: DigestEnding, now: Timestamp) -> Result<(), DeliveryError> {
        self.is_signing = true;
        self.look_for_last().await?;
        let mut progress = self.progress.clone();
        for series in [DigestSeries::Standard, DigestSeries::Backfill] {
            if series == DigestSeries::Backfill && progress.backfill.waiting.is_empty() {
                continue;
            }
            let SignedDigest { digest, metadata, signature, written } = self.sign(series, end, ending, now).await?;
            let head = DigestHead::of(&digest, written.hash, signature.clone(), series);
            let (bucket, object) = (digest.bucket.clone(), digest.object.clone());
            let last = LastDigest {
                bucket: bucket.clone(),
                object: object.clone(),
                hash: written.hash,
                signature,
                end,
                ending,
            };
            let outcome = DeliveryOutcome::Digest { last, head };
            progress.planned.push(self.plan(bucket, object, written.bytes, metadata, series, outcome).await?);
        }
        self.keep(progress).await?;
        self.deliver().await?;
        self.is_signing = false;
        Ok(())
    }

    async fn sign(
        &self,
        series: DigestSeries,
        end: Timestamp,
        ending: DigestEnding,
        now: Timestamp,
    ) -> Result<SignedDigest, DeliveryError> {
        let TrailProgress { trail, taken, window, .. } = &self.progress;
        let chain = self.progress.chain(series);
        let signer = self.dependencies.keys.at(end).await?;
        let digest = TrailDigest {
            account: self.dependencies.account.clone(),
            start: chain.goes_on().map_or(*window, |last| last.end),
            end,
            bucket: trail.bucket.clone(),
            object: self.layout(trail).digest_key(&trail.name, end, series),
            fingerprint: signer.fingerprint(),
            previous: previous(chain),
            log_files: chain.waiting.clone(),
            extent: DigestExtent {
                trail_created: trail.created,
                first_sequence: chain.covered + 1,
                last_sequence: *taken,
                before: chain.before.clone(),
                size: chain.tree.size(),
                root: chain.tree.root(),
                ending,
            },
        };
        let written = digest.write();
        let signature = signer.sign(written.signing_input.as_bytes())?;
        let mut metadata = BTreeMap::from([
            ("signature", hex::encode(&signature)),
            ("signature-algorithm", SIGNATURE_ALGORITHM.to_owned()),
        ]);
        if series == DigestSeries::Backfill {
            metadata.insert("backfill-generation-timestamp", now.iso_extended());
        }
        Ok(SignedDigest { digest, metadata, signature, written })
    }

    /// A digest names the one before it, so its loss must be noticed at the next check: now.
    async fn look_for_last(&mut self) -> Result<(), DeliveryError> {
        let Some(last) = self.progress.standard.last.clone() else { return Ok(()) };
        let there = self.dependencies.destination.read(&last.bucket, &object_key(&last.object)?).await?;
        let hash =
            there.and_then(|parcel| Some(digest::hash(&logfile::decompress(&parcel.bytes, LONGEST_DIGEST).ok()?)));
        self.missing = (hash != Some(last.hash)).then(|| {
            let text =
                format!("the digest `{}` is missing from bucket `{}` or was altered there", last.object, last.bucket);
            tracing::error!(trail = %self.progress.trail.name, "{text}");
            text
        });
        Ok(())
    }

    /// Tells the witness; one that does not listen is told later.
    async fn tell(&mut self) {
        while let Some(head) = self.progress.untold.first().cloned() {
            let trail = &self.progress.trail;
            let arn = trail.arn(&self.dependencies.account, &self.dependencies.region);
            let checkpoint = Checkpoint { trail: trail.name.clone(), arn, head };
            let (witness, now) = (self.dependencies.checkpoints.clone(), self.dependencies.clock.now());
            let told = tokio::task::spawn_blocking(move || witness.tell(&checkpoint, now)).await;
            match told {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return tracing::error!(%error, "the witness cannot be told of a digest"),
                Err(_) => return,
            }
            let mut progress = self.progress.clone();
            progress.untold.remove(0);
            if self.keep(progress).await.is_err() {
                return;
            }
        }
    }

    /// Ends the trail's course, with a digest of what there still was.
    async fn end(&mut self, successor: TrailSuccessor, now: Timestamp) -> Result<NextStep, DeliveryError> {
        let trail = self.progress.trail.clone();
        let ending = match &successor {
            TrailSuccessor::Trail(next) if only_moves(&trail, next) => DigestEnding::Continues,
            TrailSuccessor::Nothing | TrailSuccessor::Trail(_) => DigestEnding::Final,
        };
        // A crash may have come between the last digest and the note of it.
        let DigestChain { last, covered, waiting, .. } = &self.progress.standard;
        let is_final =
            ending == DigestEnding::Final && last.as_ref().is_some_and(|last| last.ending == DigestEnding::Final);
        let is_digested = is_final && *covered == self.progress.taken && waiting.is_empty();
        if makes_digests(&trail) && !is_digested {
            let end = Timestamp::from_seconds(now.seconds());
            if end <= self.progress.window {
                // Two digests of one second would have one name.
                return Ok(NextStep::Wait);
            }
            self.digest(end, ending, now).await?;
        }
        let mut progress = self.progress.clone();
        match successor {
            TrailSuccessor::Nothing => progress.course = DeliveryStage::Stopped,
            TrailSuccessor::Trail(next) => progress.succeed(*next, ending, now),
        }
        self.gather = None;
        self.keep(progress).await?;
        Ok(NextStep::Again)
    }

    fn resume_stopped(&mut self, trail: &Trail) {
        if self.progress.course != DeliveryStage::Stopped {
            return;
        }
        if let TrailLogging::Started { at } = trail.logging {
            let taken = self.progress.taken;
            self.progress.start(trail.clone(), at, taken);
            self.progress.course = DeliveryStage::Starting { since: at };
        }
    }

    fn digest_is_due(&self, now: Timestamp) -> bool {
        let TrailProgress { trail, window, standard, .. } = &self.progress;
        let is_over = now >= window.plus(trail.digest_period.duration());
        let is_crowded = standard.waiting.len() >= MOST_WAITING && now.seconds() > window.seconds();
        makes_digests(trail) && (is_over || is_crowded)
    }

    /// Windows follow each other without a gap; one that is overdue by more than itself is as long as it took.
    fn window_end(&self, now: Timestamp) -> Timestamp {
        let period = self.progress.trail.digest_period.duration();
        let end = self.progress.window.plus(period);
        if now >= end && now < end.plus(period) { end } else { Timestamp::from_seconds(now.seconds()) }
    }

    fn has_lingered(&self, now: Timestamp) -> bool {
        match self.gather.as_ref().map(|gather| &gather.course) {
            Some(DeliveryStage::Stopping { at }) => now >= at.plus(LINGER),
            Some(
                DeliveryStage::Ending(_)
                | DeliveryStage::Logging { .. }
                | DeliveryStage::Starting { .. }
                | DeliveryStage::Stopped,
            )
            | None => false,
        }
    }

    fn layout(&self, trail: &Trail) -> TrailLayout {
        let DeliveryDependencies { account, region, .. } = &*self.dependencies;
        TrailLayout { prefix: trail.prefix.clone(), account: account.clone(), region: region.clone() }
    }

    async fn keep(&mut self, progress: TrailProgress) -> Result<(), DeliveryError> {
        let name = note_name(&progress.trail);
        self.dependencies.spool.save(&name, &progress.to_json()).await.map_err(of_notes)?;
        self.progress = progress;
        Ok(())
    }
}

const LONGEST_DIGEST: usize = 64 * 1024 * 1024;

/// The name of the note that a trail's progress is in.
pub(super) fn note_name(trail: &Trail) -> String {
    format!("{}.json", trail.name)
}

/// Where a trail goes on, and what is amiss if the two accounts of it differ.
fn taken_up(
    kept: Option<TrailProgress>,
    pin: Option<PinnedChains>,
    trail: &Trail,
    seen: u64,
) -> (TrailProgress, Option<String>) {
    // What was read for a trail of this name was read before a new trail of this name.
    let seen = kept.as_ref().map_or(seen, |kept| seen.min(kept.taken));
    let begun = || {
        let since = match trail.logging {
            TrailLogging::Started { at } => at,
            TrailLogging::Never => trail.created,
            TrailLogging::Stopped { started, .. } => started,
        };
        TrailProgress::begin(trail.clone(), since, seen)
    };
    match (kept, pin) {
        // Another trail of this name is being ended first.
        (Some(kept), _) if kept.trail.created != trail.created && kept.course != DeliveryStage::Stopped => (kept, None),
        (Some(kept), Some(pin)) if kept.trail.created == trail.created && leads_to(&kept, &pin) => (kept, None),
        (Some(kept), None) if kept.trail.created == trail.created => (kept, None),
        (None | Some(_), Some(pin)) => {
            let text = "the progress of the trail is lost or was put back; it goes on from its last digest, and log files \
                        that were delivered since are delivered again under other names";
            (resumed(pin, begun()), Some(text.to_owned()))
        }
        (None | Some(_), None) => (begun(), None),
    }
}

/// Whether progress is where the chains were pinned: there, or with a digest still to be accounted for.
fn leads_to(kept: &TrailProgress, pin: &PinnedChains) -> bool {
    let is_pinned = |progress: &TrailProgress| {
        progress.standard.last == pin.standard.last && progress.backfill.last == pin.backfill.last
    };
    let mut progress = kept.clone();
    let mut found = is_pinned(&progress);
    for planned in std::mem::take(&mut progress.planned) {
        apply(&mut progress, &planned);
        found |= is_pinned(&progress);
    }
    found
}

/// Progress as of the last digests.
fn resumed(pin: PinnedChains, begun: TrailProgress) -> TrailProgress {
    let Some(last) = pin.standard.last.clone() else { return begun };
    let (taken, window) = (pin.standard.covered, last.end);
    let course = match (last.ending, begun.trail.logging, begun.course.clone()) {
        (DigestEnding::Final, _, _) => DeliveryStage::Stopped,
        (DigestEnding::Continues, TrailLogging::Started { at }, _) => DeliveryStage::Logging { since: at },
        (DigestEnding::Continues, TrailLogging::Stopped { at, .. }, _) => DeliveryStage::Stopping { at },
        (DigestEnding::Continues, TrailLogging::Never, course) => course,
    };
    TrailProgress { course, taken, window, standard: pin.standard, backfill: pin.backfill, ..begun }
}

/// Takes account of a file that was written; of a digest, the end of its window.
fn apply(progress: &mut TrailProgress, planned: &PlannedFile) -> Option<Timestamp> {
    let digests = makes_digests(&progress.trail);
    let chain = progress.chain_mut(planned.series);
    match &planned.outcome {
        DeliveryOutcome::Log(entry) if digests => chain.waiting.push(entry.clone()),
        DeliveryOutcome::Log(_) => {}
        DeliveryOutcome::Digest { last, head } => {
            *chain = DigestChain {
                last: Some(last.clone()),
                before: chain.tree.clone(),
                tree: chain.tree.clone(),
                covered: head.last_sequence,
                waiting: Vec::new(),
            };
            progress.untold.push(head.clone());
            if planned.series == DigestSeries::Standard {
                progress.window = last.end;
                return Some(last.end);
            }
        }
    }
    None
}

fn previous(chain: &DigestChain) -> PreviousDigest {
    let Some(last) = &chain.last else { return PreviousDigest::Origin };
    let link = DigestLink { bucket: last.bucket.clone(), object: last.object.clone(), hash: last.hash };
    match last.ending {
        DigestEnding::Continues => PreviousDigest::Digest { link, signature: last.signature.clone() },
        DigestEnding::Final => PreviousDigest::Restart(link),
    }
}

/// Whether a trail goes on, elsewhere.
fn only_moves(trail: &Trail, next: &Trail) -> bool {
    let is_logging = matches!(next.logging, TrailLogging::Started { .. });
    let is_same = trail.created == next.created && trail.validation == next.validation;
    is_logging && is_same && trail.logging == next.logging
}

impl DigestChain {
    /// The last digest, unless logging stopped with it.
    fn goes_on(&self) -> Option<&LastDigest> {
        self.last.as_ref().filter(|last| last.ending == DigestEnding::Continues)
    }
}

impl TrailProgress {
    /// Goes on as what the journal made of the trail.
    fn succeed(&mut self, next: Trail, ending: DigestEnding, now: Timestamp) {
        match (next.logging, ending) {
            (TrailLogging::Started { at }, DigestEnding::Continues) => {
                self.trail = next;
                self.course = DeliveryStage::Logging { since: at };
            }
            (TrailLogging::Started { at }, DigestEnding::Final) => {
                let taken = self.taken;
                // What logged all along, without digests, has them from now on.
                let began = if next.logging == self.trail.logging { now } else { at };
                self.start(next, began, taken);
                self.course = DeliveryStage::Logging { since: at };
            }
            (TrailLogging::Never | TrailLogging::Stopped { .. }, _) => {
                self.trail = next;
                self.course = DeliveryStage::Stopped;
            }
        }
    }

    /// Starts to log, after the last digest if the trail has one.
    fn start(&mut self, next: Trail, at: Timestamp, taken: u64) {
        if next.created != self.trail.created {
            *self = Self::begin(next, at, taken);
            return;
        }
        let end = self.standard.last.as_ref().map(|last| last.end);
        self.window = Timestamp::from_seconds(at.seconds()).max(end.unwrap_or(at));
        self.taken = taken;
        for series in [DigestSeries::Standard, DigestSeries::Backfill] {
            let chain = self.chain_mut(series);
            *chain = DigestChain { covered: taken, tree: chain.before.clone(), waiting: Vec::new(), ..chain.clone() };
        }
        self.trail = next;
    }
}

fn object_key(object: &str) -> Result<ObjectKey, DeliveryError> {
    ObjectKey::parse(object).map_err(|error| DeliveryError::Notes(error.to_string()))
}

fn of_notes(error: std::io::Error) -> DeliveryError {
    DeliveryError::Notes(error.to_string())
}
