//! The state directory, and how commands find it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The state directory of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory {
    directory: PathBuf,
    chosen: DirectoryChoice,
}

/// How the directory was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DirectoryChoice {
    Flag,
    Standard,
    Variable,
}

/// The variable that names the directory.
pub const VARIABLE: &str = "PORTCULLIS_DATA";

const STANDARD: &str = "./portcullis-data";

impl StateDirectory {
    /// `--data DIR`, else `PORTCULLIS_DATA`, else `./portcullis-data`.
    pub fn find(flag: Option<PathBuf>, variable: Option<PathBuf>) -> Self {
        match (flag, variable.filter(|path| !path.as_os_str().is_empty())) {
            (Some(directory), _) => Self { directory, chosen: DirectoryChoice::Flag },
            (None, Some(directory)) => Self { directory, chosen: DirectoryChoice::Variable },
            (None, None) => Self { directory: STANDARD.into(), chosen: DirectoryChoice::Standard },
        }
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The socket that administrative commands talk to.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }

    /// Root's exports.
    pub fn root_env(&self) -> PathBuf {
        self.directory.join("root.env")
    }

    /// The journal's directory.
    pub fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    /// The history's directory.
    pub fn history(&self) -> PathBuf {
        self.directory.join("history")
    }

    /// The option by which another command finds the same directory: empty, or ` --data DIR`.
    pub fn flag(&self) -> String {
        match self.chosen {
            DirectoryChoice::Standard => String::new(),
            DirectoryChoice::Flag | DirectoryChoice::Variable => {
                format!(" --data {}", quoted(&self.directory.display().to_string()))
            }
        }
    }
}

impl fmt::Display for StateDirectory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.directory.display())
    }
}

/// The text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':' | b'@' | b'%' | b'+' | b',');
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_variable_and_both_before_the_standard_place() {
        let find = |flag: Option<&str>, variable: Option<&str>| {
            StateDirectory::find(flag.map(PathBuf::from), variable.map(PathBuf::from)).to_string()
        };
        assert_eq!(find(Some("/a"), Some("/b")), "/a");
        assert_eq!(find(None, Some("/b")), "/b");
        assert_eq!(find(None, Some("")), "./portcullis-data");
        assert_eq!(find(None, None), "./portcullis-data");
    }

    #[test]
    fn only_a_place_off_the_standard_one_has_to_be_named_again() {
        assert_eq!(StateDirectory::find(None, None).flag(), "");
        assert_eq!(StateDirectory::find(Some("/my data".into()), None).flag(), " --data '/my data'");
    }

    #[test]
    fn a_quoted_text_is_one_word() {
        assert_eq!(quoted("a/b+c"), "a/b+c");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
