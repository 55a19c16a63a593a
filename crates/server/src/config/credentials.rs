//! An access key as `KEY=VALUE` lines: the upstream's credentials, and root's exports.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use thiserror::Error;

use portcullis_base::secret::Secret;

/// An access key with where and for what it signs.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: Secret<String>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
}

/// Who else can read a file with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileExposure {
    OwnerOnly,
    /// Its mode lets the group or others read it.
    Others,
}

/// Why a file gives no access key.
#[derive(Debug, Error)]
pub enum CredentialsError {
    #[error("line {line} is not KEY=VALUE")]
    Line { line: usize },
    #[error("{0} is missing; write {0}=... on a line of its own")]
    Missing(&'static str),
    #[error("{0} is given twice")]
    Twice(&'static str),
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("others than its owner can write it; run: chmod 600 FILE")]
    WritableByOthers,
}

/// The most bytes that are read.
const LONGEST: u64 = 64 * 1024;

impl Credentials {
    /// Reads a file, and reports whether others can read it.
    pub fn read(path: &Path) -> Result<(Self, FileExposure), CredentialsError> {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(CredentialsError::WritableByOthers);
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        let text = Secret::new(text);
        let exposure = if mode & 0o044 == 0 { FileExposure::OwnerOnly } else { FileExposure::Others };
        Ok((Self::parse(text.expose())?, exposure))
    }

    /// Reads lines `KEY=VALUE` or `export KEY=VALUE`; `#` starts a comment line, and other keys are ignored.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let mut access_key_id = CredentialField::new("AWS_ACCESS_KEY_ID");
        let mut secret_access_key = CredentialField::new("AWS_SECRET_ACCESS_KEY");
        let mut region = CredentialField::new("AWS_DEFAULT_REGION");
        let mut endpoint = CredentialField::new("AWS_ENDPOINT_URL");
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            let (key, value) = line.split_once('=').ok_or(CredentialsError::Line { line: index + 1 })?;
            for field in [&mut access_key_id, &mut secret_access_key, &mut region, &mut endpoint] {
                field.offer(key.trim_end(), value.trim_start())?;
            }
        }
        Ok(Self {
            access_key_id: access_key_id.required()?,
            secret_access_key: Secret::new(secret_access_key.required()?),
            region: region.value,
            endpoint: endpoint.value,
        })
    }
}

struct CredentialField {
    name: &'static str,
    value: Option<String>,
}

impl CredentialField {
    fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn offer(&mut self, key: &str, value: &str) -> Result<(), CredentialsError> {
        if key != self.name {
            return Ok(());
        }
        let value = unquoted(value);
        if self.value.is_some() {
            return Err(CredentialsError::Twice(self.name));
        }
        if !value.is_empty() {
            self.value = Some(value.to_owned());
        }
        Ok(())
    }

    fn required(self) -> Result<String, CredentialsError> {
        self.value.ok_or(CredentialsError::Missing(self.name))
    }
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_and_plain_lines_are_read_alike() {
        let text = "# root\n\nexport AWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY = \"a/b+c=\"\n\
                    export AWS_ENDPOINT_URL='http://127.0.0.1:9000'\nOTHER=x\n";
        let read = Credentials::parse(text).unwrap();
        assert_eq!(read.access_key_id, "AKIAEXAMPLE");
        assert_eq!(read.secret_access_key.expose(), "a/b+c=");
        assert_eq!(read.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(read.region, None);
    }

    fn refusal(text: &str) -> String {
        Credentials::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_gives_no_key_says_why() {
        assert_eq!(
            refusal("AWS_ACCESS_KEY_ID=A"),
            "AWS_SECRET_ACCESS_KEY is missing; write AWS_SECRET_ACCESS_KEY=... on a line of its own"
        );
        assert_eq!(refusal("AWS_ACCESS_KEY_ID=A\nhello"), "line 2 is not KEY=VALUE");
        assert_eq!(refusal("AWS_ACCESS_KEY_ID=A\nAWS_ACCESS_KEY_ID=B"), "AWS_ACCESS_KEY_ID is given twice");
    }

    #[test]
    fn a_file_says_who_else_could_read_it_and_is_refused_if_others_can_write_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=B\n").unwrap();
        let chmod = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        chmod(0o600);
        assert_eq!(Credentials::read(file.path()).unwrap().1, FileExposure::OwnerOnly);
        chmod(0o644);
        assert_eq!(Credentials::read(file.path()).unwrap().1, FileExposure::Others);
        chmod(0o666);
        assert!(matches!(Credentials::read(file.path()), Err(CredentialsError::WritableByOthers)));
    }
}
