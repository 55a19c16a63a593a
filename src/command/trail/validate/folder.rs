//! A copy of a trail's bucket in a folder, which may lie below the folder's root.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::unreadable;
use crate::command::error::CommandError;
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::digest::TrailDigest;
use portcullis_cloudtrail::layout::{FileKey, FileName};
use portcullis_cloudtrail::logfile::decompress;
use portcullis_cloudtrail::verify::{FileMetadata, StoredFile, TrailFiles};
use portcullis_cloudtrail::{TrailLayout, TrailName};

/// A folder that stands for a bucket.
#[derive(Debug)]
pub(super) struct BucketFolder {
    root: PathBuf,
}

/// The trail that a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundTrail {
    pub trail: TrailName,
    pub layout: TrailLayout,
    pub bucket: BucketName,
}

/// The suffix of a file's metadata file.
const METADATA_SUFFIX: &str = ".metadata.json";
/// The suffix of a file that is being written.
const UNFINISHED: &str = ".part";
const LARGEST: u64 = 1 << 30;
const LARGEST_DIGEST: usize = 64 << 20;

impl BucketFolder {
    /// The folder that stands for a bucket.
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Finds the trail's digests in a folder; the keys that they name show where the bucket's root is.
    pub(super) fn open(directory: &Path, name: Option<&TrailName>) -> Result<(Self, FoundTrail), CommandError> {
        let paths = files_below(directory).map_err(|error| broken(directory, &error))?;
        let mut trails: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for path in &paths {
            let Some((lead, key)) = split(path) else { continue };
            let FileName::Digest { trail, .. } = key.file else { continue };
            if name.is_none_or(|name| *name == trail) {
                let TrailLayout { account, region, .. } = key.layout;
                trails
                    .entry((format!("{trail} ({account}, {region}, {lead})"), trail.to_string()))
                    .or_default()
                    .push(path);
            }
        }
        let mut found = trails.into_iter();
        let Some((_, digests)) = found.next() else {
            return Err(CommandError::failed(format!(
                "no digests found in {}: nothing is proven",
                directory.display()
            )));
        };
        if let Some(((other, _), _)) = found.next() {
            return Err(CommandError::usage(format!("there are several trails in {}", directory.display()))
                .next(format!("Name one, or the folder of one; another is {other}")));
        }
        let placed = digests.iter().find_map(|path| place(directory, path));
        let (root, trail) = placed.ok_or_else(|| {
            CommandError::failed(format!(
                "none of the digests in {} can be read: nothing is proven",
                directory.display()
            ))
        })?;
        Ok((Self { root }, trail))
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let plain = key.split('/').all(|part| !matches!(part, "" | "." | ".."));
        plain.then(|| self.root.join(key))
    }
}

impl TrailFiles for BucketFolder {
    type Error = String;

    fn list(&mut self, prefix: &str) -> Result<Vec<String>, String> {
        let Some(folder) = self.path(prefix.trim_end_matches('/')) else { return Ok(Vec::new()) };
        let told = |error: io::Error| format!("{}: {error}", folder.display());
        let files = match files_below(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            files => files.map_err(told)?,
        };
        let is_metadata = |path: &str| path.ends_with(METADATA_SUFFIX) || path.ends_with(UNFINISHED);
        Ok(files.into_iter().filter(|path| !is_metadata(path)).map(|path| format!("{prefix}{path}")).collect())
    }

    fn read(&mut self, key: &str) -> Result<Option<StoredFile>, String> {
        let Some(path) = self.path(key) else { return Ok(None) };
        let told = |error: io::Error| format!("{}: {error}", path.display());
        let Some(bytes) = contents(&path).map_err(told)? else { return Ok(None) };
        let mut beside = path.as_os_str().to_owned();
        beside.push(METADATA_SUFFIX);
        let metadata = match contents(Path::new(&beside)).map_err(told)? {
            Some(json) => FileMetadata::Present(texts(&json)),
            None => FileMetadata::Lost,
        };
        Ok(Some(StoredFile { bytes, metadata }))
    }
}

/// The part of a path before `AWSLogs`, and the key that the rest is.
fn split(path: &str) -> Option<(&str, FileKey)> {
    let start = match path.rfind("/AWSLogs/") {
        Some(slash) => slash + 1,
        None => 0,
    };
    let (lead, key) = path.split_at_checked(start)?;
    Some((lead, FileKey::parse(key)?))
}

/// The bucket's root and the trail of a digest.
fn place(directory: &Path, path: &str) -> Option<(PathBuf, FoundTrail)> {
    let bytes = contents(&directory.join(path)).ok()??;
    let digest = TrailDigest::parse(&decompress(&bytes, LARGEST_DIGEST).ok()?).ok()?;
    let root = path.strip_suffix(&digest.object).filter(|root| root.is_empty() || root.ends_with('/'))?;
    let FileKey { layout, file } = FileKey::parse(&digest.object)?;
    match file {
        FileName::Digest { trail, .. } => {
            Some((directory.join(root), FoundTrail { trail, layout, bucket: digest.bucket }))
        }
        FileName::Log { .. } => None,
    }
}

/// The paths of all files below a folder, with slashes; names that are not UTF-8 are skipped.
fn files_below(directory: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            // Links to folders are not followed, since they could form a cycle.
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(directory).ok().and_then(Path::to_str) {
                files.push(name.to_owned());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn contents(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

pub(super) fn texts(json: &[u8]) -> BTreeMap<String, String> {
    let members: Map<String, Value> = serde_json::from_slice(json).unwrap_or_default();
    members.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

fn broken(path: &Path, error: &io::Error) -> CommandError {
    unreadable(format!("{}: {error}", path.display()))
}
