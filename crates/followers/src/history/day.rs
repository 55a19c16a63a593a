//! A day in UTC, and the files that hold its events.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_base::clock::Timestamp;

/// A day in UTC, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(i64);

const SECONDS: i64 = 24 * 60 * 60;
const SUFFIX: &str = ".sqlite";

impl UtcDay {
    /// The day of a moment, in seconds since the Unix epoch.
    pub fn of(seconds: i64) -> Self {
        Self(seconds.div_euclid(SECONDS))
    }

    /// Whether all of the day is longer ago than this.
    pub fn is_past(self, keep: Duration, now: Timestamp) -> bool {
        let keep = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        self.0.saturating_add(1).saturating_mul(SECONDS) <= now.seconds().saturating_sub(keep)
    }

    /// The file of the day's events.
    pub fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{self}{SUFFIX}"))
    }

    /// The days that have files, the oldest first.
    pub fn list(directory: &Path) -> io::Result<Vec<Self>> {
        Self::list_with(directory, &[SUFFIX])
    }

    /// The days that have files, be they in use or set aside.
    pub fn list_all(directory: &Path) -> io::Result<Vec<Self>> {
        Self::list_with(directory, &[SUFFIX, ".sqlite.aside"])
    }

    fn list_with(directory: &Path, suffixes: &[&str]) -> io::Result<Vec<Self>> {
        let mut days = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)));
            days.extend(stem.and_then(Self::parse));
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    /// Reads `2026-11-21`.
    pub fn parse(text: &str) -> Option<Self> {
        let day = Timestamp::parse_iso_extended(&format!("{text}T00:00:00Z"))?;
        Some(Self::of(day.seconds()))
    }

    /// Removes the day's files.
    pub fn remove(self, directory: &Path) -> io::Result<()> {
        for suffix in ["", "-wal", "-shm", ".aside"] {
            match std::fs::remove_file(self.beside(directory, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Moves the day's file out of the way; what was not in it yet is lost with it.
    pub fn set_aside(self, directory: &Path) -> io::Result<()> {
        match std::fs::rename(self.path(directory), self.beside(directory, ".aside")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for suffix in ["-wal", "-shm"] {
            match std::fs::remove_file(self.beside(directory, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The log that sqlite writes beside the day's file.
    pub fn log(self, directory: &Path) -> PathBuf {
        self.beside(directory, "-wal")
    }

    fn beside(self, directory: &Path, suffix: &str) -> PathBuf {
        directory.join(format!("{self}{SUFFIX}{suffix}"))
    }
}

impl fmt::Display for UtcDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Timestamp::from_seconds(self.0.saturating_mul(SECONDS)).iso_extended();
        out.write_str(text.split('T').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_past_once_its_last_second_is() {
        let day = UtcDay::parse("2026-11-21").unwrap();
        let moment = |text: &str| Timestamp::parse_iso_extended(text).unwrap();
        let keep = Duration::from_secs(24 * 60 * 60);
        assert!(!day.is_past(keep, moment("2026-11-22T23:59:59Z")));
        assert!(day.is_past(keep, moment("2026-11-23T00:00:00Z")));
        assert_eq!(day.to_string(), "2026-11-21");
    }
}
