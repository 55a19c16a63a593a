//! What is wrong with a configuration, and where.

use std::fmt;

use super::file::SettingOrigin;

/// One thing that is wrong, where it stands, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMistake {
    pub origin: SettingOrigin,
    pub text: String,
}

/// All that is wrong with a configuration; never empty, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMistakes {
    file: String,
    mistakes: Vec<ConfigMistake>,
}

impl ConfigMistakes {
    /// All that is wrong with the file of this name.
    pub(super) fn of(file: &str, mut mistakes: Vec<ConfigMistake>) -> Self {
        mistakes.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self { file: file.to_owned(), mistakes }
    }

    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigMistake> {
        self.mistakes.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Where the mistake stands, as compilers write it.
    pub fn place(&self, mistake: &ConfigMistake) -> String {
        match &mistake.origin {
            SettingOrigin::Absent => self.file.clone(),
            SettingOrigin::Environment(variable) => format!("environment {variable}"),
            SettingOrigin::Line(line) => format!("{}:{line}", self.file),
        }
    }
}

impl fmt::Display for ConfigMistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{}: {}", self.place(mistake), mistake.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigMistakes {}
