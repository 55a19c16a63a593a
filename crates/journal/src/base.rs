//! Where a trimmed journal begins: a marker that stands for the records that are gone.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::frame::{self, ChainHash};
use super::segment::{self, SegmentReader};
use super::{JournalError, Sequence};

/// What the first record that is kept follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalBase {
    pub journal: [u8; 16],
    /// The first sequence that is kept; a segment begins with it.
    pub first: u64,
    /// The chain of the record before it.
    pub chain: ChainHash,
}

const NAME: &str = "base";
const MARK: &str = "portcullis journal base 1";

impl JournalBase {
    /// Reads the marker; a journal of which nothing was trimmed has none.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, JournalError> {
        let path = directory.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("read", &path, &error)),
        };
        Self::parse(&text).map(Some).ok_or(JournalError::Header { file: path })
    }

    /// Writes the marker; on return it is on disk.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let partial = directory.join("base.partial");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        io::Write::write_all(&mut &file, self.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, directory.join(NAME))
    }

    fn text(&self) -> String {
        let (journal, chain) = (hex::encode(self.journal), hex::encode(self.chain));
        let text = format!("{MARK}\njournal {journal}\nfirst {:020}\nchain {chain}\n", self.first);
        let check = hex::encode(frame::checksum(text.as_bytes()));
        format!("{text}check {check}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next().filter(|mark| *mark == MARK)?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let journal = hex::decode(value("journal")?).ok()?.try_into().ok()?;
        let first = value("first")?.parse().ok()?;
        let chain = hex::decode(value("chain")?).ok()?.try_into().ok()?;
        let base = Self { journal, first, chain };
        // One written form, so that nothing in it is left unread.
        (base.text() == text).then_some(base)
    }
}

/// The first sequence that a directory has to have.
pub(crate) fn first_of(base: Option<&JournalBase>) -> u64 {
    base.map_or(1, |base| base.first)
}

/// Removes the segments before the base: those of a trim that was cut short, or of one that begins.
pub(crate) fn remove_before(directory: &Path, base: &JournalBase) -> io::Result<()> {
    let firsts = segment::list(directory).map_err(io::Error::other)?;
    for first in firsts.into_iter().filter(|first| *first < base.first) {
        std::fs::remove_file(segment::path_of(directory, first))?;
    }
    Ok(())
}

/// The base that keeps all records from `limit` on; none if that is the one there is.
pub(crate) fn at(directory: &Path, limit: Sequence, present: u64) -> Result<Option<JournalBase>, JournalError> {
    let firsts = segment::list(directory)?;
    let Some(first) = firsts.into_iter().rev().find(|first| *first <= limit.number()) else { return Ok(None) };
    if first <= present {
        return Ok(None);
    }
    let segment = SegmentReader::open(directory, first)?;
    let header = segment.header();
    Ok(Some(JournalBase { journal: header.journal, first, chain: header.chain }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let place = tempfile::TempDir::new().expect("a directory");
        let base = JournalBase { journal: [7; 16], first: 4711, chain: [9; 32] };
        assert_eq!(JournalBase::read(place.path()), Ok(None));
        base.write(place.path()).expect("written");
        assert_eq!(JournalBase::read(place.path()), Ok(Some(base)));
        let (path, text) = (place.path().join(NAME), base.text());
        for place_of_byte in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[place_of_byte] ^= 1;
            std::fs::write(&path, &altered).expect("written");
            let refused = JournalBase::read(place.path());
            assert!(refused.is_err(), "{place_of_byte}: {refused:?}");
        }
        std::fs::write(&path, &text[..text.len() - 1]).expect("written");
        assert_eq!(JournalBase::read(place.path()), Err(JournalError::Header { file: path }));
    }
}
