//! The second place that is told of each digest, so that a removed tail is noticed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::destination::make_folders;
use portcullis_base::clock::Timestamp;
use portcullis_cloudtrail::{DigestHead, TrailName};

/// The second place that is told of each digest; the setting `trail.witness`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointSink {
    /// A file for each trail, to which checkpoints are appended.
    Folder(PathBuf),
    Nowhere,
    /// The datagram socket of the machine's log.
    Syslog(PathBuf),
}

/// What a witness is told of one digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub trail: TrailName,
    pub arn: String,
    pub head: DigestHead,
}

impl CheckpointSink {
    /// The place that the setting names: `syslog`, or a folder.
    pub fn named(path: PathBuf) -> Self {
        if path.as_os_str() == "syslog" { Self::Syslog(PathBuf::from("/dev/log")) } else { Self::Folder(path) }
    }

    /// The folder, if it is one.
    pub fn folder_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Nowhere | Self::Syslog(_) => None,
        }
    }

    /// Tells of a digest; one that was told last is not told again.
    pub fn tell(&self, checkpoint: &Checkpoint, now: Timestamp) -> io::Result<()> {
        match self {
            Self::Folder(folder) => append(folder, checkpoint),
            Self::Nowhere => Ok(()),
            Self::Syslog(socket) => {
                UnixDatagram::unbound()?.send_to(checkpoint.syslog(now).as_bytes(), socket).map(drop)
            }
        }
    }
}

impl Checkpoint {
    /// The checkpoint as a note in the form of C2SP's tlog-checkpoint: origin, size, root, and lines of our own:
    /// the digest's place, its SHA-256, and all of it as the head that `portcullis trail validate` takes.
    pub fn text(&self) -> String {
        let DigestHead { object, hash, tree_size, merkle_root, .. } = &self.head;
        let (root, hash) = (STANDARD.encode(merkle_root), hex::encode(hash));
        format!("{}\n{tree_size}\n{root}\n{object}\n{hash}\n{}\n\n", self.arn, self.head.to_json())
    }

    /// The checkpoint as a message of RFC 5424: facility 13 (log audit), severity 5 (notice).
    fn syslog(&self, now: Timestamp) -> String {
        let process = std::process::id();
        format!("<109>1 {} - portcullis {process} checkpoint - {} {}", now.iso_millis(), self.arn, self.head.to_json())
    }
}

fn append(folder: &Path, checkpoint: &Checkpoint) -> io::Result<()> {
    make_folders(folder)?;
    let path = folder.join(format!("{}.checkpoints", checkpoint.trail));
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let text = checkpoint.text();
    let ends = ends_with(&mut file, text.as_bytes())?;
    if !ends {
        file.write_all(text.as_bytes())?;
    }
    file.sync_all()?;
    if is_new { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn ends_with(file: &mut File, text: &[u8]) -> io::Result<bool> {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let Some(start) = file.metadata()?.len().checked_sub(length) else { return Ok(false) };
    file.seek(SeekFrom::Start(start))?;
    let mut last = Vec::new();
    file.take(length).read_to_end(&mut last)?;
    Ok(last == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_cloudtrail::layout::DigestSeries;

    fn checkpoint(end: i64) -> Checkpoint {
        let head = DigestHead {
            object: "AWSLogs/d.json.gz".to_owned(),
            hash: [1; 32],
            signature: vec![2; 256],
            end: Timestamp::from_seconds(end),
            last_sequence: 9,
            tree_size: 4,
            merkle_root: [3; 32],
            series: DigestSeries::Standard,
        };
        let trail = TrailName::parse("main").expect("a name");
        Checkpoint { trail, arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/main".to_owned(), head }
    }

    #[test]
    fn the_setting_names_the_machines_log_or_a_folder() {
        assert_eq!(CheckpointSink::named("syslog".into()), CheckpointSink::Syslog("/dev/log".into()));
        for folder in ["syslog/", "./syslog", "/srv/witness"] {
            assert_eq!(CheckpointSink::named(folder.into()), CheckpointSink::Folder(folder.into()), "{folder}");
        }
    }

    #[test]
    fn each_checkpoint_is_appended_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let witness = CheckpointSink::Folder(directory.path().join("witness"));
        for end in [1, 1, 2] {
            witness.tell(&checkpoint(end), Timestamp::from_seconds(end)).expect("told");
        }
        let told = std::fs::read_to_string(directory.path().join("witness/main.checkpoints")).expect("there");
        assert_eq!(told, checkpoint(1).text() + &checkpoint(2).text());
        let lines: Vec<&str> = told.lines().take(5).collect();
        assert_eq!(lines[1..4], ["4", &STANDARD.encode([3; 32]), "AWSLogs/d.json.gz"]);
        assert_eq!(DigestHead::from_json(told.lines().nth(5).expect("a line").as_bytes()), Ok(checkpoint(1).head));
    }

    #[test]
    fn the_machines_log_is_told_in_one_message() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let log = UnixDatagram::bind(&path).expect("a socket");
        CheckpointSink::Syslog(path).tell(&checkpoint(1), Timestamp::from_seconds(1)).expect("told");
        let mut message = [0; 4096];
        let length = log.recv(&mut message).expect("a message");
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        assert!(text.starts_with("<109>1 1970-01-01T00:00:01.000Z - portcullis "), "{text}");
        assert!(text.ends_with(&checkpoint(1).head.to_json()), "{text}");
    }
}
