//! The proxy's certificate, reloaded when its files change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use thiserror::Error;
use zeroize::Zeroizing;

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// A certificate chain with its key, as their files hold them now.
#[derive(Debug)]
pub struct ServerCertificate {
    files: TlsFiles,
    look_every: Duration,
    held: Mutex<LoadedCertificate>,
}

/// Why a certificate cannot be served.
#[derive(Debug, Error)]
pub enum CertificateError {
    #[error("the key in `{}` does not belong to the certificate in `{}`; its own certificate comes first in that file", .0.key_file.display(), .0.cert_file.display())]
    Mismatch(TlsFiles),
    #[error("`{}` holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    #[error("`{}` holds no private key in PEM (-----BEGIN PRIVATE KEY-----) that needs no passphrase", .0.display())]
    NoKey(PathBuf),
    #[error("`{}` cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("`{}` cannot be used: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
}

#[derive(Debug)]
struct LoadedCertificate {
    key: Arc<CertifiedKey>,
    stamps: FileStamps,
    looked: Instant,
}

/// When the files were written, and how long they are; `None` for one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamps([Option<(SystemTime, u64)>; 2]);

/// A renewed certificate is served this much later at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl ServerCertificate {
    /// Reads the certificate, which must be there and belong to its key.
    pub fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        Self::looked_at_every(files, LOOK_EVERY)
    }

    fn looked_at_every(files: &TlsFiles, look_every: Duration) -> Result<Self, CertificateError> {
        // Stamped before they are read: what is written meanwhile is seen at the next look.
        let stamps = FileStamps::of(files);
        let held = LoadedCertificate { key: Arc::new(load(files)?), stamps, looked: Instant::now() };
        Ok(Self { files: files.clone(), look_every, held: Mutex::new(held) })
    }

    /// Reads the certificate and its key again at once; both are taken, or the old ones stay.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let stamps = FileStamps::of(&self.files);
        let key = Arc::new(load(&self.files)?);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (held.key, held.stamps, held.looked) = (key, stamps, Instant::now());
        Ok(())
    }

    /// The certificate of now. One that was replaced by something that cannot be served stays.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() >= self.look_every {
            held.looked = Instant::now();
            let stamps = FileStamps::of(&self.files);
            if stamps != held.stamps {
                match load(&self.files) {
                    Ok(key) => {
                        (held.key, held.stamps) = (Arc::new(key), stamps);
                        tracing::info!(certificate = %self.files.cert_file.display(), "the certificate was read again");
                    }
                    Err(error) => {
                        // Files that could not even be opened may be what they should be.
                        if !error.is_passing() {
                            held.stamps = stamps;
                        }
                        tracing::error!(%error, "the new certificate cannot be served; the old one stays");
                    }
                }
            }
        }
        held.key.clone()
    }
}

impl CertificateError {
    /// True where the process or the system has no descriptors or memory for now.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } => super::is_shortage(error),
            Self::Mismatch(_) | Self::NoCertificate(_) | Self::NoKey(_) | Self::Unusable { .. } => false,
        }
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl FileStamps {
    fn of(files: &TlsFiles) -> Self {
        let stamp = |path: &Path| {
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        Self([stamp(&files.cert_file), stamp(&files.key_file)])
    }
}

fn load(files: &TlsFiles) -> Result<CertifiedKey, CertificateError> {
    let chain = certificates(&files.cert_file)?;
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |error: TlsError| CertificateError::Unusable { path, reason: error.to_string() }
    };
    let pem = Zeroizing::new(bytes(&files.key_file)?);
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| CertificateError::NoKey(files.key_file.clone()))?;
    let key = default_provider().key_provider.load_private_key(key).map_err(unusable(&files.key_file))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(TlsError::InconsistentKeys(_)) => Err(CertificateError::Mismatch(files.clone())),
        Err(error) => Err(unusable(&files.cert_file)(error)),
    }
}

/// Every certificate of a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(CertificateError::NoCertificate(path.to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(CertificateError::Unusable { path: path.to_owned(), reason: error.to_string() }),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|error| CertificateError::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Authority, files};

    fn served(certificate: &ServerCertificate) -> CertificateDer<'static> {
        certificate.current().cert.first().expect("a certificate").clone().into_owned()
    }

    fn refusal(files: &TlsFiles) -> String {
        let text = ServerCertificate::read(files).expect_err("not to be served").to_string();
        text.replace(&files.cert_file.display().to_string(), "CERT")
            .replace(&files.key_file.display().to_string(), "KEY")
    }

    #[test]
    fn a_renewed_certificate_is_served_from_the_next_look_on() {
        let (authority, directory) = (Authority::new("ours"), tempfile::tempdir().expect("a directory"));
        let files = files(directory.path(), &authority.issue("localhost"));
        let certificate = ServerCertificate::looked_at_every(&files, Duration::ZERO).expect("a certificate");
        let before = served(&certificate);
        let renewed = authority.issue("renewed.localhost");
        renewed.write(&files);
        assert_ne!(served(&certificate), before);
        assert_eq!(served(&certificate), renewed.certificate);
    }

    #[test]
    fn a_renewal_that_cannot_be_served_leaves_the_old_certificate_in_place() {
        let (authority, directory) = (Authority::new("ours"), tempfile::tempdir().expect("a directory"));
        let files = files(directory.path(), &authority.issue("localhost"));
        let certificate = ServerCertificate::looked_at_every(&files, Duration::ZERO).expect("a certificate");
        let before = served(&certificate);
        // The certificate is there before its key, as when a tool renews one file after the other.
        let renewed = authority.issue("renewed.localhost");
        let old_key = fs::read(&files.key_file).expect("the key");
        renewed.write(&files);
        fs::write(&files.key_file, &old_key).expect("the key");
        assert_eq!(served(&certificate), before);
        fs::remove_file(&files.cert_file).expect("removed");
        assert_eq!(served(&certificate), before);
        renewed.write(&files);
        assert_eq!(served(&certificate), renewed.certificate);
    }

    #[test]
    fn a_reload_takes_the_new_certificate_at_once_or_keeps_the_old_one() {
        let (authority, directory) = (Authority::new("ours"), tempfile::tempdir().expect("a directory"));
        let files = files(directory.path(), &authority.issue("localhost"));
        let certificate = ServerCertificate::looked_at_every(&files, Duration::from_secs(3600)).expect("a certificate");
        let renewed = authority.issue("renewed.localhost");
        renewed.write(&files);
        certificate.reload().expect("to be served");
        assert_eq!(served(&certificate), renewed.certificate);
        let key = fs::read(&files.key_file).expect("the key");
        authority.issue("other.localhost").write(&files);
        fs::write(&files.key_file, key).expect("the key");
        assert!(matches!(certificate.reload(), Err(CertificateError::Mismatch(_))));
        assert_eq!(served(&certificate), renewed.certificate);
    }

    #[test]
    fn what_cannot_be_served_says_which_file_and_why() {
        let (authority, directory) = (Authority::new("ours"), tempfile::tempdir().expect("a directory"));
        let files = files(directory.path(), &authority.issue("localhost"));
        assert!(ServerCertificate::read(&files).is_ok());
        let swapped = TlsFiles { cert_file: files.cert_file.clone(), key_file: files.cert_file.clone() };
        assert!(
            matches!(ServerCertificate::read(&swapped), Err(CertificateError::NoKey(path)) if path == files.cert_file)
        );
        let key = fs::read(&files.key_file).expect("the key");
        authority.issue("other.localhost").write(&files);
        fs::write(&files.key_file, key).expect("the key");
        assert_eq!(
            refusal(&files),
            "the key in `KEY` does not belong to the certificate in `CERT`; its own certificate comes first in that file"
        );
        fs::write(&files.cert_file, "no certificate").expect("written");
        assert_eq!(refusal(&files), "`CERT` holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
        fs::remove_file(&files.cert_file).expect("removed");
        assert_eq!(refusal(&files), "`CERT` cannot be read: No such file or directory (os error 2)");
    }
}
