//! Files that protection depends on and that others than their owner can read or change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::state_directory::StateDirectory;
use portcullis_server::config::Settings;

/// What others must not be able to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileProtection {
    /// It holds a secret.
    Secret,
    /// It controls what the proxy does or trusts.
    Unchanged,
}

/// A file that is open to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExposedFile {
    pub about: &'static str,
    /// What is wrong with it, and the command that corrects it.
    pub text: String,
}

/// The files that are accessible to others; missing files are not listed.
pub(super) fn exposed_files(settings: &Settings, config: Option<&Path>) -> Vec<ExposedFile> {
    let place = StateDirectory::find(Some(settings.state.directory.clone()), None);
    let tls = settings.listen.tls.as_ref();
    let files: [(&'static str, Option<PathBuf>, FileProtection); 8] = [
        ("configuration", config.map(Path::to_owned), FileProtection::Unchanged),
        ("credentials file", Some(settings.upstream.credentials_file.clone()), FileProtection::Secret),
        ("upstream's authorities", settings.upstream.ca_file.clone(), FileProtection::Unchanged),
        ("certificate", tls.map(|files| files.cert_file.clone()), FileProtection::Unchanged),
        ("certificate's key", tls.map(|files| files.key_file.clone()), FileProtection::Secret),
        ("state directory", Some(place.directory().to_owned()), FileProtection::Secret),
        ("master key", Some(place.directory().join("master.key")), FileProtection::Secret),
        ("root's key", Some(place.root_env()), FileProtection::Secret),
    ];
    let exposed = files.into_iter().filter_map(|(about, path, keep)| {
        let path = path?;
        let found = std::fs::metadata(&path).ok()?;
        Some(ExposedFile { about, text: keep.broken_by(&path, &found)? })
    });
    exposed.collect()
}

impl FileProtection {
    fn broken_by(self, path: &Path, found: &Metadata) -> Option<String> {
        let (mode, shown) = (found.mode(), path.display());
        let closed = if found.is_dir() { "700" } else { "600" };
        if mode & 0o022 != 0 {
            return Some(format!("{shown} can be changed by others: chmod go-w {shown}"));
        }
        match self {
            Self::Secret if mode & 0o044 != 0 => Some(format!("{shown} can be read by others: chmod {closed} {shown}")),
            Self::Secret | Self::Unchanged => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_http::{Endpoint, TlsFiles};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_open_to_others_is_told_with_what_closes_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let make = |name: &str, mode: u32| {
            fs::write(path(name), "").unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        };
        let endpoint = Endpoint::parse("http://127.0.0.1:9").unwrap();
        let mut settings = Settings::standard(path("state"), endpoint, path("upstream.env"));
        settings.listen.tls = Some(TlsFiles { cert_file: path("cert"), key_file: path("key") });
        fs::create_dir(path("state")).unwrap();
        let config = path("portcullis.toml");
        let told = |settings: &Settings| -> Vec<String> {
            let shown = |file: ExposedFile| format!("{}: {}", file.about, file.text);
            let all = exposed_files(settings, Some(&config)).into_iter().map(shown);
            all.map(|text| text.replace(&directory.path().display().to_string(), "D")).collect()
        };

        for (file, mode) in [("portcullis.toml", 0o644), ("upstream.env", 0o600), ("cert", 0o644), ("key", 0o400)] {
            make(file, mode);
        }
        fs::set_permissions(path("state"), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(told(&settings), Vec::<String>::new());

        for (file, mode) in [("portcullis.toml", 0o664), ("upstream.env", 0o640), ("cert", 0o646), ("key", 0o604)] {
            make(file, mode);
        }
        make("state/master.key", 0o644);
        make("state/root.env", 0o620);
        fs::set_permissions(path("state"), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(
            told(&settings),
            [
                "configuration: D/portcullis.toml can be changed by others: chmod go-w D/portcullis.toml",
                "credentials file: D/upstream.env can be read by others: chmod 600 D/upstream.env",
                "certificate: D/cert can be changed by others: chmod go-w D/cert",
                "certificate's key: D/key can be read by others: chmod 600 D/key",
                "state directory: D/state can be read by others: chmod 700 D/state",
                "master key: D/state/master.key can be read by others: chmod 600 D/state/master.key",
                "root's key: D/state/root.env can be changed by others: chmod go-w D/state/root.env",
            ]
        );
    }
}
