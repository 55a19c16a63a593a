//! Reads a ZIP archive as a whole: the form in which MinIO exports its IAM data.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use thiserror::Error;

use portcullis_base::secret::Secret;

/// Why bytes are no archive that is read here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidArchive {
    #[error("`{0}` is damaged")]
    Damaged(String),
    #[error("two members are called `{0}`")]
    Duplicate(String),
    #[error("it is not a ZIP archive")]
    NotZip,
    #[error("`{0}` is larger than {LONGEST_MEMBER} bytes")]
    TooLarge(String),
    #[error("`{0}` is encrypted, or compressed by another method than deflate")]
    Unsupported(String),
}

/// More than the users of one MinIO take; a small archive must not fill the memory.
const LONGEST_MEMBER: u32 = 64 * 1024 * 1024;

const END: &[u8] = b"PK\x05\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// The length of the end record without its comment, which is 65,535 bytes at most.
const END_LENGTH: usize = 22;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ENCRYPTED: u16 = 1;

/// One entry of the central directory.
struct CentralEntry {
    name: String,
    flags: u16,
    method: u16,
    checksum: u32,
    packed: u32,
    length: u32,
    header: u32,
}

/// The members by name.
pub(crate) fn read(archive: &[u8]) -> Result<BTreeMap<String, Secret<Vec<u8>>>, InvalidArchive> {
    let mut members = BTreeMap::new();
    for entry in directory(archive).ok_or(InvalidArchive::NotZip)? {
        let content = content(archive, &entry)?;
        if members.insert(entry.name.clone(), content).is_some() {
            return Err(InvalidArchive::Duplicate(entry.name));
        }
    }
    Ok(members)
}

fn directory(archive: &[u8]) -> Option<Vec<CentralEntry>> {
    let from = archive.len().saturating_sub(END_LENGTH + usize::from(u16::MAX));
    let tail = archive.get(from..)?;
    let at = tail.windows(END.len()).rposition(|window| window == END)?;
    let end = tail.get(at..)?;
    let (count, offset) = (u16_at(end, 10)?, u32_at(end, 16)?);
    let mut rest = archive.get(usize::try_from(offset).ok()?..)?;
    let mut entries = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (name, extra, comment) = (u16_at(rest, 28)?, u16_at(rest, 30)?, u16_at(rest, 32)?);
        let behind = 46 + usize::from(name);
        entries.push(CentralEntry {
            name: String::from_utf8(rest.get(46..behind)?.to_vec()).ok()?,
            flags: u16_at(rest, 8)?,
            method: u16_at(rest, 10)?,
            checksum: u32_at(rest, 16)?,
            packed: u32_at(rest, 20)?,
            length: u32_at(rest, 24)?,
            header: u32_at(rest, 42)?,
        });
        if !rest.starts_with(CENTRAL) {
            return None;
        }
        rest = rest.get(behind + usize::from(extra) + usize::from(comment)..)?;
    }
    Some(entries)
}

fn content(archive: &[u8], entry: &CentralEntry) -> Result<Secret<Vec<u8>>, InvalidArchive> {
    let damaged = || InvalidArchive::Damaged(entry.name.clone());
    if entry.length > LONGEST_MEMBER {
        return Err(InvalidArchive::TooLarge(entry.name.clone()));
    }
    if entry.flags & ENCRYPTED != 0 {
        return Err(InvalidArchive::Unsupported(entry.name.clone()));
    }
    let packed = packed(archive, entry).ok_or_else(damaged)?;
    let mut content = Vec::new();
    let limit = u64::from(entry.length) + 1;
    match entry.method {
        STORED => content.extend_from_slice(packed),
        DEFLATED => {
            DeflateDecoder::new(packed).take(limit).read_to_end(&mut content).map_err(|_| damaged())?;
        }
        _ => return Err(InvalidArchive::Unsupported(entry.name.clone())),
    }
    let content = Secret::new(content);
    let mut checksum = Crc::new();
    checksum.update(content.expose());
    let whole = u32::try_from(content.expose().len()).is_ok_and(|length| length == entry.length);
    if whole && checksum.sum() == entry.checksum { Ok(content) } else { Err(damaged()) }
}

fn packed<'a>(archive: &'a [u8], entry: &CentralEntry) -> Option<&'a [u8]> {
    let local = archive.get(usize::try_from(entry.header).ok()?..)?;
    if !local.starts_with(LOCAL) {
        return None;
    }
    let from = 30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
    local.get(from..from.checked_add(usize::try_from(entry.packed).ok()?)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORDED: &[u8] = include_bytes!("fixtures/minio-export.zip");

    #[test]
    fn the_archive_of_a_minio_has_its_seven_members() {
        let members = read(RECORDED).expect("an archive");
        let lengths: Vec<_> = members.iter().map(|(name, content)| (name.as_str(), content.expose().len())).collect();
        assert_eq!(
            lengths,
            [
                ("iam-assets/group_mappings.json", 185),
                ("iam-assets/groups.json", 330),
                ("iam-assets/policies.json", 2303),
                ("iam-assets/stsuser_mappings.json", 2),
                ("iam-assets/svcaccts.json", 2678),
                ("iam-assets/user_mappings.json", 442),
                ("iam-assets/users.json", 284),
            ]
        );
    }

    #[test]
    fn what_is_cut_off_or_no_archive_is_refused() {
        assert_eq!(read(b"").err(), Some(InvalidArchive::NotZip));
        assert_eq!(read(b"{\"users\": []}").err(), Some(InvalidArchive::NotZip));
        assert_eq!(read(&RECORDED[..RECORDED.len() - 30]).err(), Some(InvalidArchive::NotZip));
        assert!(read(&RECORDED[100..]).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_byte_changes_no_content_unnoticed(at in 0..RECORDED.len(), by in 1..=255_u8) {
            let mut changed = RECORDED.to_vec();
            changed[at] ^= by;
            let contents = |archive: &[u8]| {
                read(archive).ok().map(|members| {
                    members.into_values().map(|content| content.expose().clone()).collect::<std::collections::BTreeSet<_>>()
                })
            };
            // A name, a time or a permission may change; what a member holds may not.
            if let Some(contents_now) = contents(&changed) {
                prop_assert_eq!(Some(contents_now), contents(RECORDED));
            }
        }

        #[test]
        fn no_bytes_end_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut archive = bytes.clone();
            archive.extend_from_slice(END);
            archive.extend_from_slice(&bytes);
            prop_assert!(read(&archive).is_err() || bytes.len() >= 18);
        }
    }
}
