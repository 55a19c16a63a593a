//! `[trail]`: where trails are delivered, and how often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::SectionReader;
use super::value;
use portcullis_followers::delivery::CheckpointSink;

/// `[trail]`: where trails are delivered, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailSettings {
    /// A folder to deliver to instead of the upstream's buckets.
    pub folder: Option<PathBuf>,
    /// How long events are gathered for one log file.
    pub log_period: Duration,
    /// The digest period of a new trail.
    pub digest_period: Duration,
    pub key_lifetime: Duration,
    /// A second place that is told of each digest.
    pub witness: CheckpointSink,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl TrailSettings {
    pub(super) const STANDARD: Self = Self {
        folder: None,
        log_period: Duration::from_secs(5 * 60),
        digest_period: Duration::from_secs(60 * 60),
        key_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
        witness: CheckpointSink::Nowhere,
    };

    pub(super) fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let folder = section.optional("folder", value::path).or(standard.folder);
        let span = |least, most| value::duration(least..=most);
        let log_period = section.take("log_period", standard.log_period, span(second, 60 * minute));
        let digest_period = section.take("digest_period", standard.digest_period, span(minute, DAY));
        let key_lifetime = section.take("key_lifetime", standard.key_lifetime, span(minute, 400 * DAY));
        let witness = section.optional("witness", |value| value::path(value).map(CheckpointSink::named));
        Self { folder, log_period, digest_period, key_lifetime, witness: witness.unwrap_or(standard.witness) }
    }

    pub(super) fn start_paths_at(&mut self, base: &Path) {
        for path in self.folder.iter_mut().chain(self.witness.folder_mut()) {
            *path = base.join(&*path);
        }
    }
}
