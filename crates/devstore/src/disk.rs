//! Where everything lies on disk, and how a record is replaced in one step.
//!
//! ```text
//! DIRECTORY/lock
//! DIRECTORY/buckets/BUCKET/bucket.json
//! DIRECTORY/buckets/BUCKET/bodies/XX/BODY
//! DIRECTORY/buckets/BUCKET/versions/XX/SHA256_OF_KEY/VERSION.json
//! DIRECTORY/buckets/BUCKET/uploads/UPLOAD/upload.json and PART.json
//! ```
//! A body counts only once a record names it, and a record appears by rename: what a crash leaves behind is a
//! body or a temporary file without a record, and the next start removes it. Nothing is synced to the device: the store is
//! for trying out and for tests, and a power cut may lose its latest writes.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::record::{PartRecord, StoredBucket, UploadRecord, VersionRecord};

const TEMPORARY: &str = "tmp";

/// The directory of one bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketDirectory(PathBuf);

/// What lay in a bucket's directory at start.
#[derive(Debug)]
pub(crate) struct BucketFiles {
    pub record: StoredBucket,
    pub versions: Vec<VersionRecord>,
    pub uploads: Vec<(UploadRecord, Vec<PartRecord>)>,
}

impl BucketDirectory {
    /// The directory of the bucket of this name, which is one legal file name.
    pub(crate) fn of(root: &Path, bucket: &str) -> Self {
        Self(root.join("buckets").join(bucket))
    }

    /// Makes the directories of a new bucket; its record makes it count.
    pub(crate) fn create(&self, record: &StoredBucket) -> io::Result<()> {
        // What a crash left of a bucket that was being deleted or created.
        remove_directory(&self.0)?;
        for part in ["bodies", "versions", "uploads"] {
            fs::create_dir_all(self.0.join(part))?;
        }
        self.write_record(record)
    }

    /// Deletes the bucket: without its record it is gone, and the next start removes the rest.
    pub(crate) fn destroy(&self) -> io::Result<()> {
        fs::remove_file(self.record_path())?;
        // An upload that has not noticed yet may be writing here.
        drop(remove_directory(&self.0));
        Ok(())
    }

    /// Reads everything back, and removes what no record names.
    pub(crate) fn scan(&self) -> io::Result<Option<BucketFiles>> {
        let Some(record) = read_json(&self.record_path())? else {
            remove_directory(&self.0)?;
            return Ok(None);
        };
        let versions = self.scan_versions()?;
        let mut named: HashSet<String> = versions.iter().flat_map(bodies).map(str::to_owned).collect();
        let uploads = self.scan_uploads(&mut named)?;
        for body in files_below(&self.0.join("bodies"))? {
            let name = body.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !named.contains(name) {
                fs::remove_file(&body)?;
            }
        }
        Ok(Some(BucketFiles { record, versions, uploads }))
    }

    /// Replaces the bucket's record.
    pub(crate) fn write_record(&self, record: &StoredBucket) -> io::Result<()> {
        write_json(&self.record_path(), record)
    }

    /// Writes or replaces a version's record.
    pub(crate) fn write_version(&self, version: &VersionRecord) -> io::Result<()> {
        write_json(&self.version_path(&version.key, &version.id), version)
    }

    /// Removes a version's record; its bodies stay until they are removed.
    pub(crate) fn remove_version(&self, key: &str, id: &str) -> io::Result<()> {
        fs::remove_file(self.version_path(key, id))
    }

    /// Removes the directory of a key that has no version left.
    pub(crate) fn forget_key(&self, key: &str) {
        // An empty directory does no harm, so that failing here is no failure.
        drop(fs::remove_dir(self.key_directory(key)));
    }

    /// Begins an upload.
    pub(crate) fn write_upload(&self, upload: &UploadRecord) -> io::Result<()> {
        write_json(&self.upload_directory(&upload.id).join("upload.json"), upload)
    }

    /// Writes or replaces a part's record.
    pub(crate) fn write_part(&self, upload: &str, part: &PartRecord) -> io::Result<()> {
        write_json(&self.upload_directory(upload).join(format!("{:05}.json", part.number)), part)
    }

    /// Removes the records of an upload; its bodies stay until they are removed.
    pub(crate) fn remove_upload(&self, upload: &str) -> io::Result<()> {
        remove_directory(&self.upload_directory(upload))
    }

    /// Makes a new body of this name to be written to.
    pub(crate) fn create_body(&self, body: &str) -> io::Result<File> {
        let path = self.body_path(body);
        with_parent(&path, || File::create_new(&path))
    }

    /// Makes a body that shares the bytes of one of any bucket.
    pub(crate) fn link_body(&self, source: &Self, body: &str, new: &str) -> io::Result<()> {
        let path = self.body_path(new);
        with_parent(&path, || fs::hard_link(source.body_path(body), &path))
    }

    /// Opens a body for reading.
    pub(crate) fn open_body(&self, body: &str) -> io::Result<File> {
        File::open(self.body_path(body))
    }

    /// Removes bodies that no record names any more.
    pub(crate) fn remove_bodies<'a>(&self, bodies: impl IntoIterator<Item = &'a str>) {
        for body in bodies {
            // What stays behind is removed at the next start.
            drop(fs::remove_file(self.body_path(body)));
        }
    }

    fn scan_versions(&self) -> io::Result<Vec<VersionRecord>> {
        let mut versions = Vec::new();
        for path in files_below(&self.0.join("versions"))? {
            versions.extend(read_json::<VersionRecord>(&path)?);
        }
        Ok(versions)
    }

    fn scan_uploads(&self, named: &mut HashSet<String>) -> io::Result<Vec<(UploadRecord, Vec<PartRecord>)>> {
        let mut uploads = Vec::new();
        for entry in fs::read_dir(self.0.join("uploads"))? {
            let directory = entry?.path();
            let Some(upload) = read_json::<UploadRecord>(&directory.join("upload.json"))? else {
                remove_directory(&directory)?;
                continue;
            };
            let mut parts = BTreeMap::new();
            for path in files_below(&directory)? {
                if path.file_name().is_some_and(|name| name != "upload.json") {
                    parts.extend(read_json::<PartRecord>(&path)?.map(|part| (part.number, part)));
                }
            }
            // A crash came between the completed version and the end of its upload.
            if parts.values().any(|part| named.contains(&part.body)) {
                remove_directory(&directory)?;
                continue;
            }
            named.extend(parts.values().map(|part| part.body.clone()));
            uploads.push((upload, parts.into_values().collect()));
        }
        Ok(uploads)
    }

    fn record_path(&self) -> PathBuf {
        self.0.join("bucket.json")
    }

    // Keys may be longer than file names and hold any character, so that their hash stands for them.
    fn key_directory(&self, key: &str) -> PathBuf {
        let hash = hex::encode(Sha256::digest(key.as_bytes()));
        let shard = hash.get(..2).unwrap_or_default();
        self.0.join("versions").join(shard).join(&hash)
    }

    fn version_path(&self, key: &str, id: &str) -> PathBuf {
        self.key_directory(key).join(format!("{id}.json"))
    }

    fn upload_directory(&self, upload: &str) -> PathBuf {
        self.0.join("uploads").join(upload)
    }

    fn body_path(&self, body: &str) -> PathBuf {
        let shard = body.get(..2).unwrap_or_default();
        self.0.join("bodies").join(shard).join(body)
    }
}

/// The names of the bodies a version holds.
pub(crate) fn bodies(version: &VersionRecord) -> impl Iterator<Item = &str> {
    version.object().into_iter().flat_map(|object| &object.segments).map(|segment| segment.body.as_str())
}

/// The names of the buckets that have a directory.
pub(crate) fn bucket_names(root: &Path) -> io::Result<Vec<String>> {
    let buckets = root.join("buckets");
    fs::create_dir_all(&buckets)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&buckets)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn write_json(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    let temporary = path.with_extension(TEMPORARY);
    with_parent(path, || fs::write(&temporary, &json))?;
    fs::rename(&temporary, path)
}

fn read_json<Record: DeserializeOwned>(path: &Path) -> io::Result<Option<Record>> {
    if path.extension().is_some_and(|extension| extension == TEMPORARY) {
        fs::remove_file(path)?;
        return Ok(None);
    }
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|error| {
            io::Error::new(ErrorKind::InvalidData, format!("record `{}` cannot be read: {error}", path.display()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_parent<T>(path: &Path, write: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match write() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            write()
        }
        result => result,
    }
}

fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut directories) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { directories.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    Ok(files)
}

fn remove_directory(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
