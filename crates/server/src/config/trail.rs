//! `[trail]`: where trails are delivered, and how often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::SectionReader;
use super::value;

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
    pub witness: Option<CheckpointTarget>,
}

/// A second place that receives each digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointTarget {
    Folder(PathBuf),
    Syslog,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl TrailSettings {
    pub(super) const STANDARD: Self = Self {
        folder: None,
        log_period: Duration::from_secs(5 * 60),
        digest_period: Duration::from_secs(60 * 60),
        key_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
        witness: None,
    };

    pub(super) fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let folder = section.optional("folder", value::path).or(standard.folder);
        let span = |least, most| value::duration(least..=most);
        let log_period = section.take("log_period", standard.log_period, span(second, 60 * minute));
        let digest_period = section.take("digest_period", standard.digest_period, span(minute, DAY));
        let key_lifetime = section.take("key_lifetime", standard.key_lifetime, span(minute, 400 * DAY));
        let witness = section.optional("witness", |value| {
            let path = value::path(value)?;
            Ok(if path.as_os_str() == "syslog" { CheckpointTarget::Syslog } else { CheckpointTarget::Folder(path) })
        });
        Self { folder, log_period, digest_period, key_lifetime, witness: witness.or(standard.witness) }
    }

    pub(super) fn start_paths_at(&mut self, base: &Path) {
        let witness = match &mut self.witness {
            Some(CheckpointTarget::Folder(path)) => Some(path),
            Some(CheckpointTarget::Syslog) | None => None,
        };
        for path in self.folder.iter_mut().chain(witness) {
            *path = base.join(&*path);
        }
    }
}
