//! What is wrong with files that are imported: file, line, field, and a sentence.

use std::fmt;

use crate::placement::problem::nearest;

/// How many problems are told; the rest is counted.
const TOLD: usize = 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportProblem {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The field or column of that line, e.g. ``column `memory` ``; empty when it is the line as a whole.
    pub place: String,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

/// Everything that is wrong: the first 20, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The problems; at least one.
    pub problems: Vec<ImportProblem>,
    /// How many more were found.
    pub more: usize,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, ImportProblem { file, line, place, message }) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            let comma = if place.is_empty() { "" } else { ", " };
            write!(f, "{separator}{file}:{line}{comma}{place}: {message}")?;
        }
        match self.more {
            0 => Ok(()),
            1 => f.write_str("\nand 1 more problem"),
            more => write!(f, "\nand {more} more problems"),
        }
    }
}

impl std::error::Error for ImportError {}

/// Gathers problems while files are read.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<ImportProblem>,
    more: usize,
}

impl Problems {
    /// Something is wrong there.
    pub fn at(&mut self, file: &str, line: usize, place: &str, message: impl Into<String>) {
        let (file, place, message) = (file.to_owned(), place.to_owned(), message.into());
        self.found.push(ImportProblem { file, line, place, message });
    }

    /// Something is wrong there, unless that was told already.
    pub fn once(&mut self, file: &str, line: usize, place: &str, message: String) {
        if !self.found.iter().any(|one| (one.file.as_str(), one.line, one.place.as_str()) == (file, line, place)) {
            self.at(file, line, place, message);
        }
    }

    /// So many more were counted elsewhere.
    pub fn more(&mut self, more: usize) {
        self.more += more;
    }

    /// The known word that was probably meant, with a question mark; not when so much is wrong that looking would take long.
    pub fn hint<'w>(&self, word: &str, known: impl Iterator<Item = &'w str>) -> String {
        let near = if self.found.len() < 2 * TOLD { nearest(word, known) } else { None };
        near.map_or(String::new(), |near| format!("did you mean `{near}`? Otherwise "))
    }

    /// All that was found so far, file by file and line by line, or nothing.
    ///
    /// # Errors
    /// What was found.
    pub fn end(&mut self) -> Result<(), ImportError> {
        let Problems { found: mut problems, more } = std::mem::take(self);
        if problems.is_empty() {
            return Ok(());
        }
        // Stable: the problems of one line stay in the order of its fields.
        problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let more = more + problems.len().saturating_sub(TOLD);
        problems.truncate(TOLD);
        Err(ImportError { problems, more })
    }
}
