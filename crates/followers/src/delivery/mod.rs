//! Delivers what trails admit: log files and signed digests, to a folder or to the upstream.
//!
//! Each trail has a task of its own that follows the journal, so that none waits for another's destination, and no
//! request for any.

mod checkpoint;
mod destination;
mod end;
mod gather;
mod keys;
mod progress;
mod runner;
mod spool;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::{Trail, TrailEnd, TrailLayout, TrailLogging, TrailName};
use portcullis_journal::{JournalFollower, Sequence};
use portcullis_upstream::TrailFileError;
use progress::{DeliveryStage, TrailProgress};
use runner::{DeliveryPace, NextStep, TrailRunner};

pub use checkpoint::{Checkpoint, CheckpointSink};
pub use destination::{
    DestinationError, FolderDestination, METADATA_SUFFIX, TrailDestination, TrailObject, UpstreamDestination,
};
pub use keys::{DigestKeys, DigestSigner, KeyError};
pub use runner::{DeliveryDependencies, DeliveryError};
pub use spool::{DeliverySpool, SpoolFolder};

/// The delivery of all trails; cheap to clone, and one and the same.
#[derive(Clone)]
pub struct Delivery(Arc<DeliveryHandle>);

/// The tasks run as long as this is held.
struct DeliveryHandle(Arc<DeliveryShared>);

struct DeliveryShared {
    dependencies: Arc<DeliveryDependencies>,
    known: Mutex<KnownTrails>,
    changed: watch::Sender<()>,
    stopping: watch::Sender<DeliveryPhase>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeliveryPhase {
    Delivering,
    Stopping,
}

/// What is known of each trail's delivery.
#[derive(Default)]
struct KnownTrails {
    trails: HashMap<TrailName, TrailTask>,
    /// Whether every trail was looked at once.
    complete: bool,
}

#[derive(Clone, Default)]
struct TrailTask {
    needed: u64,
    running: bool,
    status: DeliveryStatus,
}

/// How the delivery of a trail goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// When a log file was last delivered.
    pub delivered: Option<Timestamp>,
    /// Why none is delivered now.
    pub delivery_error: Option<String>,
    /// When a digest was last delivered.
    pub digested: Option<Timestamp>,
    /// Why none is delivered now, or what of the chain is missing.
    pub digest_error: Option<String>,
}

/// How often the journal is looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long a destination that fails is left alone, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a stop waits for a destination.
const FAREWELL: Duration = Duration::from_secs(10);

impl Delivery {
    /// Begins to deliver.
    pub fn start(dependencies: DeliveryDependencies) -> Self {
        Self::over(Arc::new(dependencies))
    }

    fn over(dependencies: Arc<DeliveryDependencies>) -> Self {
        let inner = Arc::new(DeliveryShared {
            dependencies,
            known: Mutex::default(),
            changed: watch::Sender::new(()),
            stopping: watch::Sender::new(DeliveryPhase::Delivering),
            supervisor: Mutex::default(),
        });
        let follower: Weak<DeliveryShared> = Arc::downgrade(&inner);
        inner.dependencies.journal.register(follower);
        let supervisor = tokio::spawn(Arc::clone(&inner).supervise());
        *inner.supervisor.lock().unwrap_or_else(PoisonError::into_inner) = Some(supervisor);
        Self(Arc::new(DeliveryHandle(inner)))
    }

    /// Says that a trail was made, changed or taken away.
    pub fn notify_changed(&self) {
        self.inner().changed.send_replace(());
    }

    /// How the delivery of a trail goes.
    pub fn status(&self, name: &TrailName) -> DeliveryStatus {
        self.inner().known().trails.get(name).map(|standing| standing.status.clone()).unwrap_or_default()
    }

    /// Where the delivered files of a trail end.
    pub async fn end_of(&self, trail: &Trail) -> std::io::Result<TrailEnd> {
        let (dependencies, trail) = (Arc::clone(&self.inner().dependencies), trail.clone());
        let read = tokio::task::spawn_blocking(move || end::end_of(&dependencies, &trail)).await;
        read.unwrap_or_else(|_| Err(std::io::Error::other("the work was interrupted")))
    }

    /// Makes a trail's bucket, if it is not there.
    pub async fn make_bucket(&self, bucket: TrailBucket<'_>) -> Result<(), DestinationError> {
        self.inner().dependencies.destination.make_bucket(bucket).await
    }

    /// Whether files of a trail lie in a place; in a bucket that is not there lie none.
    pub async fn has_files(&self, bucket: &BucketName, layout: &TrailLayout) -> Result<bool, DestinationError> {
        for folder in [layout.logs(), layout.digests()] {
            match self.inner().dependencies.destination.list(bucket, &folder, "").await {
                Ok(keys) if keys.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(DestinationError::Upstream(TrailFileError::NoBucket(_))) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Delivers what there is, as far as the destination allows, and stops.
    pub async fn stop(&self) {
        self.inner().stopping.send_replace(DeliveryPhase::Stopping);
        let supervisor = self.inner().supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor
            && tokio::time::timeout(FAREWELL + TICK, supervisor).await.is_err()
        {
            tracing::warn!("trails were not fully delivered; delivery continues at the next start");
        }
    }

    fn inner(&self) -> &DeliveryShared {
        &self.0.0
    }
}

impl JournalFollower for DeliveryShared {
    /// The first record that a trail still needs.
    fn needed_from(&self) -> Sequence {
        let logging = self.dependencies.state.trails();
        let known = self.known();
        let is_new = |trail: &Trail| {
            matches!(trail.logging, TrailLogging::Started { .. })
                && known.trails.get(&trail.name).is_none_or(|standing| standing.needed == u64::MAX)
        };
        if !known.complete || logging.iter().any(is_new) {
            return Sequence::new(1);
        }
        let next = self.dependencies.journal.last_sequence().next();
        known.trails.values().map(|standing| Sequence::new(standing.needed)).min().unwrap_or(next).min(next)
    }
}

impl Drop for DeliveryHandle {
    fn drop(&mut self) {
        self.0.stopping.send_replace(DeliveryPhase::Stopping);
    }
}

impl DeliveryShared {
    /// Starts a task for each trail that is to be delivered.
    async fn supervise(self: Arc<Self>) {
        let mut changed = self.changed.subscribe();
        let mut stopping = self.stopping.subscribe();
        let mut running = JoinSet::new();
        // A record of the journal from before any trail that is met for the first time could have started.
        let mut seen = 0;
        while *stopping.borrow() == DeliveryPhase::Delivering {
            let next_seen = self.dependencies.journal.last_sequence().number();
            for trail in self.wanting() {
                self.note(&trail.name, |standing| standing.running = true);
                running.spawn(Arc::clone(&self).deliver(trail, seen));
            }
            self.known().complete = true;
            seen = next_seen;
            tokio::select! {
                _ = changed.changed() => {}
                _ = stopping.changed() => {}
                Some(_) = running.join_next() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        drop(tokio::time::timeout(FAREWELL, async { while running.join_next().await.is_some() {} }).await);
    }

    /// The trails that want a task: those that log, and those that must still be ended.
    fn wanting(&self) -> Vec<Trail> {
        let trails = self.dependencies.state.trails();
        let known = self.known();
        let complete = known.complete;
        let wants = |trail: &Trail| match known.trails.get(&trail.name) {
            Some(standing) => !standing.running && matches!(trail.logging, TrailLogging::Started { .. }),
            // One that was stopped may have to be ended; one that never started must not be taken for a start.
            None => trail.logging != TrailLogging::Never,
        };
        let mut wanting: Vec<Trail> = trails.iter().filter(|trail| wants(trail)).cloned().collect();
        drop(known);
        if !complete {
            wanting.extend(self.left_over(&trails));
        }
        wanting
    }

    /// Trails that were deleted while the proxy stopped before their delivery was complete.
    fn left_over(&self, trails: &[Trail]) -> Vec<Trail> {
        let notes = &self.dependencies.spool;
        let names = notes.names().unwrap_or_else(|error| {
            tracing::error!(%error, "the progress of trails cannot be read");
            Vec::new()
        });
        let kept = names.iter().filter(|name| name.ends_with(".json")).filter_map(|name| notes.load(name).ok()?);
        let kept = kept.filter_map(|bytes| TrailProgress::from_json(&bytes));
        let gone = kept.filter(|kept| trails.iter().all(|trail| trail.name != kept.trail.name));
        gone.filter(|kept| kept.course != DeliveryStage::Stopped).map(|kept| kept.trail).collect()
    }

    async fn deliver(self: Arc<Self>, trail: Trail, seen: u64) {
        let name = trail.name.clone();
        if let Err(error) = Arc::clone(&self).run(trail, seen).await {
            tracing::error!(trail = %name, %error, "the trail cannot be delivered");
            self.note(&name, |standing| standing.status.delivery_error = Some(error.to_string()));
            tokio::time::sleep(TICK).await;
        }
        self.note(&name, |standing| standing.running = false);
    }

    async fn run(self: Arc<Self>, trail: Trail, seen: u64) -> Result<(), DeliveryError> {
        let (mut changed, mut stopping) = (self.changed.subscribe(), self.stopping.subscribe());
        let name = trail.name.clone();
        let mut runner = TrailRunner::open(Arc::clone(&self.dependencies), trail, seen)?;
        let mut pause = TICK;
        loop {
            let phase = *stopping.borrow();
            let pace = match phase {
                DeliveryPhase::Delivering => DeliveryPace::Usual,
                DeliveryPhase::Stopping => DeliveryPace::Flush,
            };
            let done = runner.step(pace).await;
            self.account(&runner, done.as_ref().err());
            let wait = match (done, phase) {
                (Ok(NextStep::Again), _) => continue,
                (Ok(NextStep::Done), _) => return self.forget(&name, &runner),
                (Ok(NextStep::Wait) | Err(_), DeliveryPhase::Stopping) => return Ok(()),
                (Ok(NextStep::Wait), DeliveryPhase::Delivering) => {
                    pause = TICK;
                    TICK
                }
                (Err(error), DeliveryPhase::Delivering) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tracing::warn!(trail = %name, %error, ?pause, "the trail cannot be delivered; retrying");
                    pause
                }
            };
            tokio::select! {
                _ = changed.changed() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes away the notes of a trail that is gone.
    fn forget(&self, name: &TrailName, runner: &TrailRunner) -> Result<(), DeliveryError> {
        if self.dependencies.state.trail(name).is_some() { Ok(()) } else { runner.forget() }
    }

    fn account(&self, runner: &TrailRunner, error: Option<&DeliveryError>) {
        let progress = runner.progress();
        let error = error.map(ToString::to_string);
        let (log, digest) = if runner.is_digesting() { (None, error) } else { (error, None) };
        let status = DeliveryStatus {
            delivered: progress.delivered,
            delivery_error: log,
            digested: progress.digested,
            digest_error: digest.or_else(|| runner.missing.clone()),
        };
        let needed = runner.needed();
        self.note(&progress.trail.name, |standing| {
            standing.status = status;
            standing.needed = needed;
        });
    }

    fn note(&self, name: &TrailName, change: impl FnOnce(&mut TrailTask)) {
        change(self.known().trails.entry(name.clone()).or_default());
    }

    fn known(&self) -> MutexGuard<'_, KnownTrails> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Delivery")
    }
}
