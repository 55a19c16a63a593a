//! Certificates for tests.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

use crate::TlsFiles;

/// A new authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Issued {
    pub certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    /// A certificate for a name or an address.
    pub fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued { certificate: certificate.der().clone(), key: key.serialize_der() }
    }

    pub fn write(&self, path: &Path) {
        fs::write(path, pem("CERTIFICATE", self.0.der())).expect("written");
    }
}

impl Issued {
    pub fn write(&self, files: &TlsFiles) {
        fs::write(&files.cert_file, pem("CERTIFICATE", &self.certificate)).expect("written");
        fs::write(&files.key_file, pem("PRIVATE KEY", &self.key)).expect("written");
    }
}

/// Files of a directory that hold this certificate.
pub fn files(directory: &Path, issued: &Issued) -> TlsFiles {
    let files = TlsFiles { cert_file: directory.join("proxy.pem"), key_file: directory.join("proxy.key") };
    issued.write(&files);
    files
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
