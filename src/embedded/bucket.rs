//! One bucket: what lies on disk, and the index in memory that answers for it.
//!
//! The lock is held while one record is written and never while a body streams.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use s3s::{S3Result, s3_error};

use super::disk::{self, BucketDirectory, Contents};
use super::faults::{check_version_id, internal, no_such_bucket, no_such_key, no_such_upload, no_such_version};
use super::record::{BucketRecord, Content, NULL_VERSION, PartRecord, UploadRecord, Version, Versioning};
use super::store::{Sequence, random};
use super::versions::{Versions, version_id};
use portcullis_base::clock::Timestamp;

/// One bucket.
#[derive(Debug)]
pub struct Bucket {
    pub name: String,
    pub directory: BucketDirectory,
    sequence: Arc<Sequence>,
    state: RwLock<State>,
}

/// What a bucket's lock guards.
#[derive(Debug)]
pub struct State {
    pub record: BucketRecord,
    pub versions: Versions,
    /// By key and id, which is the order they are listed in.
    pub uploads: BTreeMap<(String, String), Upload>,
    standing: Standing,
}

/// A version that was added, and the id the client is told.
pub type Added = (Arc<Version>, Option<String>);

/// An upload and the parts it has so far.
#[derive(Clone, Debug)]
pub struct Upload {
    pub record: Arc<UploadRecord>,
    pub parts: BTreeMap<i32, PartRecord>,
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Deleted,
    Present,
}

impl Bucket {
    /// Takes in what lay on disk.
    pub fn new(name: String, directory: BucketDirectory, sequence: Arc<Sequence>, contents: Contents) -> Self {
        let mut versions = Versions::default();
        for version in contents.versions {
            sequence.seen(version.sequence);
            versions.insert(Arc::new(version));
        }
        let uploads = contents.uploads.into_iter().map(|(record, parts)| {
            let parts = parts.into_iter().map(|part| (part.number, part)).collect();
            ((record.key.clone(), record.id.clone()), Upload { record: Arc::new(record), parts })
        });
        let state =
            State { record: contents.record, versions, uploads: uploads.collect(), standing: Standing::Present };
        Self { name, directory, sequence, state: RwLock::new(state) }
    }

    /// Deletes the bucket, if it holds no version and no marker; uploads that were begun go with it.
    pub fn delete(&self) -> S3Result<()> {
        let mut state = self.write()?;
        if !state.versions.is_empty() {
            return Err(s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            ));
        }
        self.directory.destroy().map_err(internal)?;
        state.standing = Standing::Deleted;
        Ok(())
    }

    /// Looks at the bucket, unless it was deleted since it was found.
    pub fn read(&self) -> S3Result<RwLockReadGuard<'_, State>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.standing == Standing::Deleted { Err(no_such_bucket()) } else { Ok(state) }
    }

    /// Changes the bucket, unless it was deleted since it was found.
    pub fn write(&self) -> S3Result<RwLockWriteGuard<'_, State>> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.standing == Standing::Deleted { Err(no_such_bucket()) } else { Ok(state) }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.sequence.now()
    }

    /// Changes the bucket's record, on disk first.
    pub fn amend(&self, change: impl FnOnce(&mut BucketRecord)) -> S3Result<()> {
        let mut state = self.write()?;
        let mut record = state.record.clone();
        change(&mut record);
        self.directory.write_record(&record).map_err(internal)?;
        state.record = record;
        Ok(())
    }

    /// Makes a version the newest of its key, if `allows` agrees with the one that is.
    pub fn add(&self, key: &str, content: Content, allows: impl FnOnce(&State) -> S3Result<()>) -> S3Result<Added> {
        let mut state = self.write()?;
        allows(&state)?;
        let (version, replaced) = self.put(&mut state, key, content)?;
        let shown_id = state.shown_id(&version);
        drop(state);
        self.remove_bodies_of(replaced.as_deref());
        Ok((version, shown_id))
    }

    /// What DELETE of a key without a version id does, if `allows` agrees with the bucket as it is.
    pub fn delete_key(&self, key: &str, allows: impl FnOnce(&State) -> S3Result<()>) -> S3Result<Option<Arc<Version>>> {
        let mut state = self.write()?;
        allows(&state)?;
        let (marker, removed) = match state.record.versioning {
            Versioning::Never => (None, self.take(&mut state, key, NULL_VERSION)?),
            Versioning::Enabled | Versioning::Suspended => {
                let (marker, replaced) = self.put(&mut state, key, Content::Marker)?;
                (Some(marker), replaced)
            }
        };
        drop(state);
        self.remove_bodies_of(removed.as_deref());
        Ok(marker)
    }

    /// Destroys one version, if `allows` agrees with the bucket as it is.
    pub fn delete_version(
        &self,
        key: &str,
        id: &str,
        allows: impl FnOnce(&State) -> S3Result<()>,
    ) -> S3Result<Option<Arc<Version>>> {
        let mut state = self.write()?;
        allows(&state)?;
        let removed = self.take(&mut state, key, id)?;
        drop(state);
        self.remove_bodies_of(removed.as_deref());
        Ok(removed)
    }

    /// Replaces a version by itself with other content, such as other tags.
    pub fn replace(&self, key: &str, id: &str, change: impl FnOnce(&mut Content)) -> S3Result<()> {
        let mut state = self.write()?;
        let mut version = Version::clone(state.versions.find(key, id).ok_or_else(no_such_version)?);
        change(&mut version.content);
        self.directory.write_version(&version).map_err(internal)?;
        state.versions.insert(Arc::new(version));
        Ok(())
    }

    fn put(&self, state: &mut State, key: &str, content: Content) -> S3Result<(Arc<Version>, Option<Arc<Version>>)> {
        let sequence = self.sequence.next();
        let id = match state.record.versioning {
            Versioning::Enabled => version_id(sequence, random()?),
            Versioning::Never | Versioning::Suspended => NULL_VERSION.to_owned(),
        };
        let version = Arc::new(Version { key: key.to_owned(), id, sequence, content });
        self.directory.write_version(&version).map_err(internal)?;
        let replaced = state.versions.insert(version.clone());
        Ok((version, replaced))
    }

    fn take(&self, state: &mut State, key: &str, id: &str) -> S3Result<Option<Arc<Version>>> {
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

    fn remove_bodies_of(&self, version: Option<&Version>) {
        self.directory.remove_bodies(version.into_iter().flat_map(disk::bodies));
    }
}

impl State {
    /// The version a request speaks of: the one it names, else the newest.
    pub fn version(&self, key: &str, id: Option<&str>) -> S3Result<&Arc<Version>> {
        let Some(id) = id else {
            return self.versions.current(key).ok_or_else(no_such_key);
        };
        check_version_id(id)?;
        self.versions.find(key, id).ok_or_else(no_such_version)
    }

    /// The newest version of a key, which may be a delete marker.
    pub fn current(&self, key: &str) -> Option<&Version> {
        self.versions.current(key).map(|version| &**version)
    }

    /// The id a client is told: none where versioning was never on.
    pub fn shown_id(&self, version: &Version) -> Option<String> {
        match self.record.versioning {
            Versioning::Enabled | Versioning::Suspended => Some(version.id.clone()),
            Versioning::Never => None,
        }
    }

    /// The upload a request names.
    pub fn upload(&mut self, key: &str, id: &str) -> S3Result<&mut Upload> {
        self.uploads.get_mut(&(key.to_owned(), id.to_owned())).ok_or_else(no_such_upload)
    }
}
