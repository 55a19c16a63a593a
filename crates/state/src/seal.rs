//! Sealing: what is secret is encrypted on the disk, and what is not is still bound to its place.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use portcullis_base::secret::Secret;

/// The master key, at work.
#[derive(Clone, Debug)]
pub(crate) struct RecordSealer(Secret<[u8; KEY_BYTES]>);

/// Why something is not sealed or not opened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SealError {
    #[error("the system provides no random bytes")]
    NoRandomness,
    /// Which of the two cannot be told apart.
    #[error("it was altered, or sealed with another master key")]
    NotOurs,
    #[error("it could not be sealed")]
    NotSealed,
}

/// Why a master key file is not used.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    #[error("the master key file is already there")]
    AlreadyThere,
    #[error("the master key file cannot be used")]
    Io(#[from] std::io::Error),
    #[error("the master key file does not hold 64 hexadecimal digits")]
    Malformed,
    #[error("the master key file is missing")]
    Missing,
    #[error("the system provides no random bytes")]
    NoRandomness,
    #[error("the master key file must belong to this user and be inaccessible to others (`chmod 600`)")]
    Permissions,
}

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

impl RecordSealer {
    /// Reads the master key, if its file belongs to this user.
    pub(crate) fn read(path: &Path) -> Result<Self, MasterKeyError> {
        // Neither a link to elsewhere nor a pipe that waits.
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(refused)?;
        let metadata = file.metadata()?;
        let ours = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
        if !ours || metadata.mode() & 0o077 != 0 {
            return Err(MasterKeyError::Permissions);
        }
        let mut text = Zeroizing::new(String::with_capacity(128));
        file.take(128).read_to_string(&mut text).map_err(refused)?;
        let mut key = [0; KEY_BYTES];
        hex::decode_to_slice(text.trim_end(), &mut key).map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self(Secret::new(key)))
    }

    /// Makes a new master key and its file; one that is there is never written over.
    pub(crate) fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| MasterKeyError::NoRandomness)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(refused)?;
        let text = Zeroizing::new(format!("{}\n", hex::encode(*key)));
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(Self(Secret::new(*key)))
    }

    /// Encrypts, so that it opens only with the same binding.
    pub(crate) fn seal(&self, binding: &str, plain: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let payload = Payload { msg: plain, aad: binding.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::NotSealed)?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what `seal` made with this binding.
    pub(crate) fn open(&self, binding: &str, sealed: &str) -> Result<Secret<Vec<u8>>, SealError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| SealError::NotOurs)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::NotOurs)?;
        let payload = Payload { msg: sealed, aad: binding.as_bytes() };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).map(Secret::new).map_err(|_| SealError::NotOurs)
    }

    /// A digest that only this key makes; the label says what it is of.
    pub(crate) fn digest(&self, label: &str, bytes: &[u8]) -> [u8; KEY_BYTES] {
        // HMAC fills a shorter key with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0.expose()).for_each(|(to, from)| *to = *from);
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        // With its length, the label cannot run into the bytes.
        mac.update(format!("{}\n{label}\n", label.len()).as_bytes());
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

fn refused(error: std::io::Error) -> MasterKeyError {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        MasterKeyError::Missing
    } else if kind == ErrorKind::AlreadyExists {
        MasterKeyError::AlreadyThere
    } else if kind == ErrorKind::InvalidData {
        MasterKeyError::Malformed
    } else if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        // So `O_NOFOLLOW` answers a link.
        MasterKeyError::Permissions
    } else {
        MasterKeyError::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn created() -> (tempfile::TempDir, std::path::PathBuf, RecordSealer) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("master.key");
        let sealer = RecordSealer::create(&path).expect("a new key");
        (dir, path, sealer)
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_binding_alone() {
        let (_dir, path, sealer) = created();
        let sealed = sealer.seal("device/a", b"seed").expect("sealed");
        assert_eq!(
            RecordSealer::read(&path).expect("ours").open("device/a", &sealed).expect("opened").expose(),
            b"seed"
        );
        assert_eq!(sealer.open("device/b", &sealed).err(), Some(SealError::NotOurs));
        let (_other_dir, _, other) = created();
        assert_eq!(other.open("device/a", &sealed).err(), Some(SealError::NotOurs));
    }

    #[test]
    fn one_flipped_bit_is_noticed() {
        let (_dir, _, sealer) = created();
        let sealed = sealer.seal("key/a", b"secret").expect("sealed");
        let mut bytes = STANDARD.decode(&sealed).expect("base64");
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            assert_eq!(sealer.open("key/a", &STANDARD.encode(&bytes)).err(), Some(SealError::NotOurs), "{index}");
            bytes[index] ^= 1;
        }
        assert_eq!(sealer.open("key/a", "").err(), Some(SealError::NotOurs));
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_alone() {
        let (_dir, path, _) = created();
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(RecordSealer::create(&path), Err(MasterKeyError::AlreadyThere)));
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let (dir, path, _) = created();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(RecordSealer::read(&path), Err(MasterKeyError::Permissions)));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        assert!(matches!(RecordSealer::read(&link), Err(MasterKeyError::Permissions)));
        assert!(matches!(RecordSealer::read(&dir.path().join("none")), Err(MasterKeyError::Missing)));
        std::fs::write(&path, "00").expect("written");
        assert!(matches!(RecordSealer::read(&path), Err(MasterKeyError::Malformed)));
    }
}
