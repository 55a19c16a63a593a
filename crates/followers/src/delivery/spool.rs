//! What delivery keeps on this machine: how far each trail is, and the files that are planned.

use std::fmt::Debug;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::destination::{make_folders, replace};
use portcullis_state::BoxedFuture;

/// Files by name; each is there whole or not at all, and on the disk once it was saved.
pub trait DeliverySpool: Debug + Send + Sync {
    /// Reads a file; none where there is none.
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Writes a file, over any that is there.
    fn save<'a>(&'a self, name: &'a str, bytes: &[u8]) -> BoxedFuture<'a, io::Result<()>>;

    /// Takes a file away, if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files.
    fn names(&self) -> io::Result<Vec<String>>;
}

/// Notes in a folder of the state directory.
#[derive(Clone, Debug)]
pub struct SpoolFolder(PathBuf);

impl SpoolFolder {
    /// The folder of this path; it is made with the first note.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl DeliverySpool for SpoolFolder {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn save<'a>(&'a self, name: &'a str, bytes: &[u8]) -> BoxedFuture<'a, io::Result<()>> {
        let (folder, path, bytes) = (self.0.clone(), self.0.join(name), bytes.to_vec());
        Box::pin(async move {
            let saved = tokio::task::spawn_blocking(move || {
                make_folders(&folder)?;
                replace(&path, &bytes)
            });
            saved.await.unwrap_or_else(|_| Err(io::Error::other("the work was interrupted")))
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}
