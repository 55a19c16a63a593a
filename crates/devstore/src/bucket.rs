//! One bucket: what lies on disk, and the index in memory that answers for it.
//!
//! The lock is held while one record is written and never while a body streams.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use s3s::{S3Result, s3_error};

use super::disk::{self, BucketDirectory, BucketFiles};
use super::faults::{check_version_id, internal, no_such_bucket, no_such_key, no_such_upload, no_such_version};
use super::record::{
    BucketVersioning, NULL_VERSION, PartRecord, StoredBucket, UploadRecord, VersionContent, VersionRecord,
};
use super::store::{VersionSequence, random};
use super::versions::{BucketVersions, version_id};
use portcullis_base::clock::Timestamp;

/// One bucket.
#[derive(Debug)]
pub(crate) struct DevBucket {
    pub name: String,
    pub directory: BucketDirectory,
    sequence: Arc<VersionSequence>,
    state: RwLock<BucketIndex>,
}

/// What a bucket's lock guards.
#[derive(Debug)]
pub(crate) struct BucketIndex {
    pub record: StoredBucket,
    pub versions: BucketVersions,
    /// By key and id, which is the order they are listed in.
    pub uploads: BTreeMap<(String, String), OpenUpload>,
    standing: BucketPresence,
}

/// A version that was added, and the id the client is told.
pub(crate) type AddedVersion = (Arc<VersionRecord>, Option<String>);

/// An upload and the parts it has so far.
#[derive(Clone, Debug)]
pub(crate) struct OpenUpload {
    pub record: Arc<UploadRecord>,
    pub parts: BTreeMap<i32, PartRecord>,
}

#[derive(Debug, PartialEq, Eq)]
enum BucketPresence {
    Deleted,
    Present,
}

impl DevBucket {
    /// Takes in what lay on disk.
    pub(crate) fn new(
        name: String,
        directory: BucketDirectory,
        sequence: Arc<VersionSequence>,
        contents: BucketFiles,
    ) -> Self {
        let mut versions = BucketVersions::default();
        for version in contents.versions {
            sequence.seen(version.sequence);
            versions.insert(Arc::new(version));
        }
        let uploads = contents.uploads.into_iter().map(|(record, parts)| {
            let parts = parts.into_iter().map(|part| (part.number, part)).collect();
            ((record.key.clone(), record.id.clone()), OpenUpload { record: Arc::new(record), parts })
        });
        let state = BucketIndex {
            record: contents.record,
            versions,
            uploads: uploads.collect(),
            standing: BucketPresence::Present,
        };
        Self { name, directory, sequence, state: RwLock::new(state) }
    }

    /// Deletes the bucket, if it holds no version and no marker; uploads that were begun go with it.
    pub(crate) fn delete(&self) -> S3Result<()> {
        let mut state = self.write()?;
        if !state.versions.is_empty() {
            return Err(s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            ));
        }
        self.directory.destroy().map_err(internal)?;
        state.standing = BucketPresence::Deleted;
        Ok(())
    }

    /// Looks at the bucket, unless it was deleted since it was found.
    pub(crate) fn read(&self) -> S3Result<RwLockReadGuard<'_, BucketIndex>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.standing == BucketPresence::Deleted { Err(no_such_bucket()) } else { Ok(state) }
    }

    /// Changes the bucket, unless it was deleted since it was found.
    pub(crate) fn write(&self) -> S3Result<RwLockWriteGuard<'_, BucketIndex>> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.standing == BucketPresence::Deleted { Err(no_such_bucket()) } else { Ok(state) }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.sequence.now()
    }

    /// Changes the bucket's record, on disk first.
    pub(crate) fn amend(&self, change: impl FnOnce(&mut StoredBucket)) -> S3Result<()> {
        let mut state = self.write()?;
        let mut record = state.record.clone();
        change(&mut record);
        self.directory.write_record(&record).map_err(internal)?;
        state.record = record;
        Ok(())
    }

    /// Makes a version the newest of its key, if `allows` agrees with the one that is.
    pub(crate) fn add(
        &self,
        key: &str,
        content: VersionContent,
        allows: impl FnOnce(&BucketIndex) -> S3Result<()>,
    ) -> S3Result<AddedVersion> {
        let mut state = self.write()?;
        allows(&state)?;
        let (version, replaced) = self.put(&mut state, key, content)?;
        let shown_id = state.shown_id(&version);
        drop(state);
        self.remove_bodies_of(replaced.as_deref());
        Ok((version, shown_id))
    }

    /// What DELETE of a key without a version id does, if `allows` agrees with the bucket as it is.
    pub(crate) fn delete_key(
        &self,
        key: &str,
        allows: impl FnOnce(&BucketIndex) -> S3Result<()>,
    ) -> S3Result<Option<Arc<VersionRecord>>> {
        let mut state = self.write()?;
        allows(&state)?;
        let (marker, removed) = match state.record.versioning {
            BucketVersioning::Never => (None, self.take(&mut state, key, NULL_VERSION)?),
            BucketVersioning::Enabled | BucketVersioning::Suspended => {
                let (marker, replaced) = self.put(&mut state, key, VersionContent::Marker)?;
                (Some(marker), replaced)
            }
        };
        drop(state);
        self.remove_bodies_of(removed.as_deref());
        Ok(marker)
    }

    /// Destroys one version, if `allows` agrees with the bucket as it is.
    pub(crate) fn delete_version(
        &self,
        key: &str,
        id: &str,
        allows: impl FnOnce(&BucketIndex) -> S3Result<()>,
    ) -> S3Result<Option<Arc<VersionRecord>>> {
        let mut state = self.write()?;
        allows(&state)?;
        let removed = self.take(&mut state, key, id)?;
        drop(state);
        self.remove_bodies_of(removed.as_deref());
        Ok(removed)
    }

    /// Replaces a version by itself with other content, such as other tags.
    pub(crate) fn replace(&self, key: &str, id: &str, change: impl FnOnce(&mut VersionContent)) -> S3Result<()> {
        let mut state = self.write()?;
        let mut version = VersionRecord::clone(state.versions.find(key, id).ok_or_else(no_such_version)?);
        change(&mut version.content);
        self.directory.write_version(&version).map_err(internal)?;
        state.versions.insert(Arc::new(version));
        Ok(())
    }

    fn put(
        &self,
        state: &mut BucketIndex,
        key: &str,
        content: VersionContent,
    ) -> S3Result<(Arc<VersionRecord>, Option<Arc<VersionRecord>>)> {
        let sequence = self.sequence.next();
        let id = match state.record.versioning {
            BucketVersioning::Enabled => version_id(sequence, random()?),
            BucketVersioning::Never | BucketVersioning::Suspended => NULL_VERSION.to_owned(),
        };
        let version = Arc::new(VersionRecord { key: key.to_owned(), id, sequence, content });
        self.directory.write_version(&version).map_err(internal)?;
        let replaced = state.versions.insert(version.clone());
        Ok((version, replaced))
    }

    fn take(&self, state: &mut BucketIndex, key: &str, id: &str) -> S3Result<Option<Arc<VersionRecord>>> {
        if state.versions.find(key, id).is_none() {
            return Ok(None);
        }
        self.directory.remove_version(key, id).map_err(internal)?;
        let removed = state.versions.remove(key, id);
        if !state.versions.holds(key) {
            self.directory.forget_key(key);
        }
        Ok(removed)
    }

    fn remove_bodies_of(&self, version: Option<&VersionRecord>) {
        self.directory.remove_bodies(version.into_iter().flat_map(disk::bodies));
    }
}

impl BucketIndex {
    /// The version a request speaks of: the one it names, else the newest.
    pub(crate) fn version(&self, key: &str, id: Option<&str>) -> S3Result<&Arc<VersionRecord>> {
        let Some(id) = id else {
            return self.versions.current(key).ok_or_else(no_such_key);
        };
        check_version_id(id)?;
        self.versions.find(key, id).ok_or_else(no_such_version)
    }

    /// The newest version of a key, which may be a delete marker.
    pub(crate) fn current(&self, key: &str) -> Option<&VersionRecord> {
        self.versions.current(key).map(|version| &**version)
    }

    /// The id a client is told: none where versioning was never on.
    pub(crate) fn shown_id(&self, version: &VersionRecord) -> Option<String> {
        match self.record.versioning {
            BucketVersioning::Enabled | BucketVersioning::Suspended => Some(version.id.clone()),
            BucketVersioning::Never => None,
        }
    }

    /// The upload a request names.
    pub(crate) fn upload(&mut self, key: &str, id: &str) -> S3Result<&mut OpenUpload> {
        self.uploads.get_mut(&(key.to_owned(), id.to_owned())).ok_or_else(no_such_upload)
    }
}
