//! The versions of every key of a bucket, ordered as S3 lists them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::record::{NULL_VERSION, VersionRecord};

/// All versions of a bucket: keys in the order of their bytes, each key's versions newest first.
#[derive(Debug, Default)]
pub(crate) struct BucketVersions(BTreeMap<String, Vec<Arc<VersionRecord>>>);

impl BucketVersions {
    /// The newest version of a key, which may be a delete marker.
    pub(crate) fn current(&self, key: &str) -> Option<&Arc<VersionRecord>> {
        self.0.get(key)?.first()
    }

    /// The version of a key that has this id.
    pub(crate) fn find(&self, key: &str, id: &str) -> Option<&Arc<VersionRecord>> {
        self.0.get(key)?.iter().find(|version| version.id == id)
    }

    /// Adds a version, in place of the one that had its id.
    pub(crate) fn insert(&mut self, version: Arc<VersionRecord>) -> Option<Arc<VersionRecord>> {
        let versions = self.0.entry(version.key.clone()).or_default();
        let replaced =
            versions.iter().position(|known| known.id == version.id).map(|position| versions.remove(position));
        let position = versions.partition_point(|known| known.sequence > version.sequence);
        versions.insert(position, version);
        replaced
    }

    /// Takes a version out; a key without versions is gone.
    pub(crate) fn remove(&mut self, key: &str, id: &str) -> Option<Arc<VersionRecord>> {
        let versions = self.0.get_mut(key)?;
        let position = versions.iter().position(|version| version.id == id)?;
        let removed = versions.remove(position);
        if versions.is_empty() {
            self.0.remove(key);
        }
        Some(removed)
    }

    /// Whether a key has any version or marker.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether the bucket has no version and no marker.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys from a bound on, each with its versions.
    pub(crate) fn from<'a>(
        &'a self,
        start: Bound<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a [Arc<VersionRecord>])> + use<'a> {
        self.0.range::<str, _>((start, Bound::Unbounded)).map(|(key, versions)| (key.as_str(), versions.as_slice()))
    }
}

/// The id of the version of this sequence number: opaque to clients, in the order of time.
pub(crate) fn version_id(sequence: u64, random: u64) -> String {
    format!("{sequence:016x}{random:016x}")
}

/// Whether a text could be an id this store gave out.
pub(crate) fn is_version_id(text: &str) -> bool {
    text == NULL_VERSION || (text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')))
}

/// The sequence number inside an id, so that a listing goes on after a version that is gone.
pub(crate) fn sequence_of(id: &str) -> Option<u64> {
    u64::from_str_radix(id.get(..16)?, 16).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::record::VersionContent;
    use super::*;

    pub(crate) fn object(key: &str, sequence: u64) -> Arc<VersionRecord> {
        let id = version_id(sequence, 7);
        Arc::new(VersionRecord { key: key.into(), id, sequence, content: VersionContent::Object(Box::default()) })
    }

    pub(crate) fn null(key: &str, sequence: u64) -> Arc<VersionRecord> {
        Arc::new(VersionRecord { id: NULL_VERSION.into(), ..(*object(key, sequence)).clone() })
    }

    pub(crate) fn marker(key: &str, sequence: u64) -> Arc<VersionRecord> {
        Arc::new(VersionRecord { content: VersionContent::Marker, ..(*object(key, sequence)).clone() })
    }

    #[test]
    fn the_newest_version_is_current_whatever_the_order_of_insertion() {
        let mut versions = BucketVersions::default();
        for sequence in [2, 3, 1] {
            assert_eq!(versions.insert(object("k", sequence)), None);
        }
        assert_eq!(versions.current("k"), Some(&object("k", 3)));
        let ids: Vec<u64> = versions.0["k"].iter().map(|version| version.sequence).collect();
        assert_eq!(ids, [3, 2, 1]);
    }

    #[test]
    fn a_null_version_replaces_the_null_version_and_no_other() {
        let mut versions = BucketVersions::default();
        versions.insert(null("k", 1));
        versions.insert(object("k", 2));
        assert_eq!(versions.insert(null("k", 3)), Some(null("k", 1)));
        assert_eq!(versions.current("k"), Some(&null("k", 3)));
        assert_eq!(versions.0["k"].len(), 2);
    }

    #[test]
    fn removing_a_marker_brings_the_version_below_it_back() {
        let mut versions = BucketVersions::default();
        versions.insert(object("k", 1));
        let marker = marker("k", 2);
        versions.insert(marker.clone());
        assert_eq!(versions.current("k"), Some(&marker));
        assert_eq!(versions.remove("k", &marker.id), Some(marker));
        assert_eq!(versions.current("k"), Some(&object("k", 1)));
    }

    #[test]
    fn a_key_without_versions_is_gone() {
        let mut versions = BucketVersions::default();
        versions.insert(object("k", 1));
        versions.remove("k", &version_id(1, 7));
        assert!(!versions.holds("k"));
        assert!(versions.is_empty());
    }

    #[test]
    fn an_id_tells_its_sequence_number() {
        assert_eq!(sequence_of(&version_id(42, u64::MAX)), Some(42));
        assert_eq!(sequence_of(NULL_VERSION), None);
        assert!(is_version_id(&version_id(42, 1)));
        assert!(!is_version_id("NULL"));
        assert!(!is_version_id(""));
    }
}
