//! What is wrong with a configuration, and where.

use std::fmt;

use super::file::Origin;

/// One thing that is wrong, where it stands, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub origin: Origin,
    pub text: String,
}

/// All that is wrong with a configuration; never empty, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    file: String,
    mistakes: Vec<Mistake>,
}

impl Mistakes {
    /// All that is wrong with the file of this name.
    pub(super) fn of(file: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self { file: file.to_owned(), mistakes }
    }

    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Where the mistake stands, as compilers write it.
    pub fn place(&self, mistake: &Mistake) -> String {
        match &mistake.origin {
            Origin::Absent => self.file.clone(),
            Origin::Environment(variable) => format!("environment {variable}"),
            Origin::Line(line) => format!("{}:{line}", self.file),
        }
    }
}

impl fmt::Display for Mistakes {
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

impl std::error::Error for Mistakes {}
