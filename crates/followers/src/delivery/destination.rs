//! Where the files of a trail go: a folder of this machine, or a bucket of the upstream.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use thiserror::Error;

use portcullis_authorization::TrailBucket;
use portcullis_base::clock::Clock;
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_state::BoxedFuture;
use portcullis_upstream::{TrailFile, TrailFileError, Upstream};

/// Where the files of a trail go.
pub trait TrailDestination: Debug + Send + Sync {
    /// Makes the bucket, if it is not there.
    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), DestinationError>>;

    /// Writes a file, over any that is there; on `Ok` it is whole and as durable as the destination makes it.
    fn put<'a>(
        &'a self,
        bucket: TrailBucket<'a>,
        key: &'a ObjectKey,
        parcel: &'a TrailObject,
    ) -> BoxedFuture<'a, Result<(), DestinationError>>;

    /// Reads a file back, with those of these metadata that it has; none where there is none.
    fn read<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
    ) -> BoxedFuture<'a, Result<Option<TrailObject>, DestinationError>>;

    /// The next keys with this prefix, in order, after this one; none at the end.
    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        after: &'a str,
    ) -> BoxedFuture<'a, Result<Vec<String>, DestinationError>>;
}

/// A file with what is written on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailObject {
    pub bytes: Bytes,
    /// What follows `x-amz-meta-`, and its value.
    pub metadata: BTreeMap<&'static str, String>,
}

/// A folder of this machine that holds a folder for each bucket.
#[derive(Clone, Debug)]
pub struct FolderDestination(PathBuf);

/// The buckets of the upstream, with Portcullis's own key.
#[derive(Clone, Debug)]
pub struct UpstreamDestination {
    upstream: Arc<Upstream>,
    clock: Clock,
}

/// Why the destination did not do it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DestinationError {
    #[error("`{}`: {reason}", path.display())]
    Folder { path: PathBuf, reason: String },
    #[error("`{0}` is no key that a folder can hold")]
    NotAPath(ObjectKey),
    #[error(transparent)]
    Upstream(#[from] TrailFileError),
}

/// The metadata that files of a trail have.
pub(super) const METADATA: [&str; 3] = ["signature", "signature-algorithm", "backfill-generation-timestamp"];

/// What follows a file's name to name the file of its metadata, in a folder.
pub const METADATA_SUFFIX: &str = ".metadata.json";

/// No file of a trail is longer than this.
const LONGEST: usize = 64 * 1024 * 1024;

/// How many keys of a folder are listed at once, as a bucket's are.
const LISTED: usize = 1000;

impl FolderDestination {
    /// The folder of this path; it is made when something is put in it.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// A prefix is a trail's own choice, and must not lead elsewhere.
    fn path(&self, bucket: &BucketName, key: &ObjectKey) -> Result<PathBuf, DestinationError> {
        let refused = || DestinationError::NotAPath(key.clone());
        let relative = Path::new(key.as_str());
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        // `a//b` and `a/` are keys of their own, and no paths.
        let exact = key.as_str().split('/').all(|part| !part.is_empty() && part != "." && part.len() < 240);
        if plain && exact { Ok(self.0.join(bucket.as_str()).join(relative)) } else { Err(refused()) }
    }

    fn write(&self, path: &Path, parcel: &TrailObject) -> Result<(), DestinationError> {
        let failed = |error: io::Error| broken(path, &error);
        if let Some(parent) = path.parent() {
            make_folders(parent).map_err(|error| broken(parent, &error))?;
        }
        // First, so that no file is ever met without its signature.
        if !parcel.metadata.is_empty() {
            let members: Map<String, Value> =
                parcel.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
            replace(&beside(path), Value::Object(members).to_string().as_bytes()).map_err(failed)?;
        }
        replace(path, &parcel.bytes).map_err(failed)
    }

    fn keys(&self, bucket: &BucketName, prefix: &str, after: &str) -> Result<Vec<String>, DestinationError> {
        let mut keys = Vec::new();
        let root = self.0.join(bucket.as_str());
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(broken(&folder, &error)),
            };
            for entry in entries {
                let path = entry.map_err(|error| broken(&folder, &error))?.path();
                let Some(key) = path.strip_prefix(&root).ok().and_then(Path::to_str).map(str::to_owned) else {
                    continue;
                };
                if path.is_dir() {
                    let within = format!("{key}/");
                    if within.starts_with(prefix) || prefix.starts_with(&within) {
                        folders.push(path);
                    }
                } else if key.starts_with(prefix) && key.as_str() > after && !is_ours(&path) {
                    keys.push(key);
                }
            }
        }
        keys.sort_unstable();
        keys.truncate(LISTED);
        Ok(keys)
    }
}

impl TrailDestination for FolderDestination {
    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), DestinationError>> {
        let path = self.0.join(bucket.name().as_str());
        apart(move || make_folders(&path).map_err(|error| broken(&path, &error)))
    }

    fn put<'a>(
        &'a self,
        bucket: TrailBucket<'a>,
        key: &'a ObjectKey,
        parcel: &'a TrailObject,
    ) -> BoxedFuture<'a, Result<(), DestinationError>> {
        let (folder, path, parcel) = (self.clone(), self.path(bucket.name(), key), parcel.clone());
        apart(move || folder.write(&path?, &parcel))
    }

    fn read<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
    ) -> BoxedFuture<'a, Result<Option<TrailObject>, DestinationError>> {
        let path = self.path(bucket, key);
        apart(move || {
            let path = path?;
            let Some(bytes) = contents(&path)? else { return Ok(None) };
            let members = contents(&beside(&path))?.unwrap_or_default();
            let members: Map<String, Value> = serde_json::from_slice(&members).unwrap_or_default();
            let value = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
            let metadata = METADATA.iter().filter_map(|name| Some((*name, value(name)?))).collect();
            Ok(Some(TrailObject { bytes: bytes.into(), metadata }))
        })
    }

    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        after: &'a str,
    ) -> BoxedFuture<'a, Result<Vec<String>, DestinationError>> {
        let (folder, bucket, prefix, after) = (self.clone(), bucket.clone(), prefix.to_owned(), after.to_owned());
        apart(move || folder.keys(&bucket, &prefix, &after))
    }
}

impl UpstreamDestination {
    /// The buckets of this upstream.
    pub fn new(upstream: Arc<Upstream>, clock: Clock) -> Self {
        Self { upstream, clock }
    }
}

impl TrailDestination for UpstreamDestination {
    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), DestinationError>> {
        Box::pin(async move { Ok(self.upstream.make_bucket(bucket, self.clock.now()).await?) })
    }

    fn put<'a>(
        &'a self,
        bucket: TrailBucket<'a>,
        key: &'a ObjectKey,
        parcel: &'a TrailObject,
    ) -> BoxedFuture<'a, Result<(), DestinationError>> {
        Box::pin(async move {
            let metadata = parcel.metadata.iter().map(|(name, value)| (*name, value.clone())).collect();
            // As AWS has it: gzip is what the file is, not how it travels.
            let file = TrailFile { bytes: parcel.bytes.clone(), content_type: "application/json", metadata };
            Ok(self.upstream.put_own(bucket, key, &file, self.clock.now()).await?)
        })
    }

    fn read<'a>(
        &'a self,
        bucket: &'a BucketName,
        key: &'a ObjectKey,
    ) -> BoxedFuture<'a, Result<Option<TrailObject>, DestinationError>> {
        Box::pin(async move {
            let Some(kept) = self.upstream.own(bucket, key, LONGEST, self.clock.now()).await? else {
                return Ok(None);
            };
            let value = |name: &str| kept.metadata(name).map(str::to_owned);
            let metadata = METADATA.iter().filter_map(|name| Some((*name, value(name)?))).collect();
            Ok(Some(TrailObject { bytes: kept.bytes.clone(), metadata }))
        })
    }

    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        after: &'a str,
    ) -> BoxedFuture<'a, Result<Vec<String>, DestinationError>> {
        Box::pin(async move { Ok(self.upstream.own_keys(bucket, prefix, after, self.clock.now()).await?) })
    }
}

/// Disks block, and nothing else may wait for them.
fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DestinationError> + Send + 'static,
) -> BoxedFuture<'static, Result<T, DestinationError>> {
    Box::pin(async move {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            Err(DestinationError::Folder { path: PathBuf::new(), reason: "the work was interrupted".to_owned() })
        })
    })
}

fn broken(path: &Path, error: &io::Error) -> DestinationError {
    DestinationError::Folder { path: path.to_owned(), reason: error.to_string() }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(METADATA_SUFFIX);
    name.into()
}

/// What is in a folder beside the files of a trail.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(METADATA_SUFFIX) || name.ends_with(UNFINISHED)
}

fn contents(path: &Path) -> Result<Option<Vec<u8>>, DestinationError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(path, &error)),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| broken(path, &error))?;
    Ok(Some(bytes))
}

/// The suffix of a file that is being written.
const UNFINISHED: &str = ".part";

/// Writes a file so that it is there whole or not at all, also after a loss of power.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a folder and those above it, and each name durable in the one above.
pub(super) fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folders(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_authorization::{BucketUse, TrailRegister};

    fn parcel(bytes: &'static [u8], signature: Option<&str>) -> TrailObject {
        let metadata = signature.map(|signature| ("signature", signature.to_owned())).into_iter().collect();
        TrailObject { bytes: Bytes::from_static(bytes), metadata }
    }

    fn key(text: &str) -> ObjectKey {
        ObjectKey::parse(text).expect("a key")
    }

    fn bucket() -> BucketName {
        BucketName::parse("logs").expect("a name")
    }

    struct AllTrails;

    impl TrailRegister for AllTrails {
        fn use_of(&self, _: &BucketName) -> BucketUse {
            BucketUse::Trail
        }
    }

    fn leave(bucket: &BucketName) -> TrailBucket<'_> {
        TrailBucket::of(bucket, &AllTrails).expect("a trail's")
    }

    /// What both homes of a trail do alike.
    async fn keeps_files(home: &dyn TrailDestination) {
        assert_eq!(home.read(&bucket(), &key("a/none")).await.ok().flatten(), None);
        home.make_bucket(leave(&bucket())).await.expect("made");
        home.make_bucket(leave(&bucket())).await.expect("there already");
        assert_eq!(home.read(&bucket(), &key("a/none")).await, Ok(None));
        for (name, parcel) in [("a/2", parcel(b"two", Some("00ff"))), ("a/1 +é", parcel(b"one", None))] {
            home.put(leave(&bucket()), &key(name), &parcel).await.expect("put");
            assert_eq!(home.read(&bucket(), &key(name)).await, Ok(Some(parcel)));
        }
        home.put(leave(&bucket()), &key("a/2"), &parcel(b"2", Some("11"))).await.expect("put over");
        assert_eq!(home.read(&bucket(), &key("a/2")).await, Ok(Some(parcel(b"2", Some("11")))));
        home.put(leave(&bucket()), &key("b/3"), &parcel(b"three", None)).await.expect("put");
        assert_eq!(home.list(&bucket(), "a/", "").await, Ok(vec!["a/1 +é".to_owned(), "a/2".to_owned()]));
        assert_eq!(home.list(&bucket(), "", "a/1 +é").await, Ok(vec!["a/2".to_owned(), "b/3".to_owned()]));
        assert_eq!(home.list(&bucket(), "a/", "a/2").await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_folder_keeps_files_and_what_is_written_on_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = FolderDestination::new(directory.path().join("trail"));
        keeps_files(&folder).await;
        let beside = std::fs::read_to_string(directory.path().join("trail/logs/a/2.metadata.json"));
        assert_eq!(beside.expect("there"), r#"{"signature":"11"}"#);
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_folder() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = FolderDestination::new(directory.path().join("trail"));
        for bad in ["../x", "a/../../x", "/x", "a//b", "a/", "./a", "a/./b"] {
            let put = folder.put(leave(&bucket()), &key(bad), &parcel(b"", None)).await;
            assert_eq!(put, Err(DestinationError::NotAPath(key(bad))), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_bucket_of_the_upstream_keeps_files_and_what_is_written_on_them() {
        use portcullis_base::secret::Secret;
        use portcullis_http::Endpoint;
        use portcullis_http::{Dialler, TrustedAuthorities};
        use portcullis_s3::TrailerSupport;
        use portcullis_upstream::{UpstreamSigner, UpstreamTimeouts};

        let directory = tempfile::tempdir().expect("a directory");
        let secret = Secret::new("secret".to_owned());
        let listen = ([127, 0, 0, 1], 0).into();
        let store =
            portcullis_devstore::start(directory.path(), listen, "KEY", &secret, "us-east-1").await.expect("serves");
        let endpoint = Endpoint::parse(&format!("http://{}", store.address)).expect("an endpoint");
        let dialler = Dialler::new(endpoint, &TrustedAuthorities::System).expect("plain");
        let signer = UpstreamSigner::new("KEY".to_owned(), secret, "us-east-1".to_owned());
        let span = std::time::Duration::from_secs(10);
        let timeouts = UpstreamTimeouts { connect: span, response: span, idle: span };
        let upstream = Arc::new(Upstream::new(dialler, signer, timeouts, TrailerSupport::NotTaken));
        let buckets = UpstreamDestination::new(Arc::clone(&upstream), Clock::System);
        let missing = buckets.put(leave(&bucket()), &key("a"), &parcel(b"", None)).await;
        assert_eq!(missing, Err(DestinationError::Upstream(TrailFileError::NoBucket(bucket()))));
        keeps_files(&buckets).await;
        let versioning = upstream.versioning(&bucket(), Clock::System.now()).await;
        assert_eq!(versioning, Ok(portcullis_authorization::Versioning::Enabled));
        store.shutdown().await;
    }
}
