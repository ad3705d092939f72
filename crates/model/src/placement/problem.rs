//! What is wrong with a text, with file, line and column; all of it at once.

use std::fmt;

/// How many problems are told; the rest is counted.
const TOLD: usize = 20;

/// A text to be read, and what its file is called.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// The file's name, for messages.
    pub file: &'t str,
    /// What stands in it.
    pub text: &'t str,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

/// Everything that is wrong, in the order of the files and lines: the first 20, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementError {
    /// The problems; at least one.
    pub problems: Vec<Problem>,
    /// How many more were found.
    pub more: usize,
}

impl fmt::Display for PlacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { file, line, column, message }) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{file}:{line}:{column}: {message}")?;
        }
        match self.more {
            0 => Ok(()),
            1 => f.write_str("\nand 1 more problem"),
            more => write!(f, "\nand {more} more problems"),
        }
    }
}

impl std::error::Error for PlacementError {}

/// Gathers problems while texts are read. A place is a slice of one of the texts.
pub(crate) struct Report<'t> {
    sources: Vec<Source<'t>>,
    found: Vec<Found<'t>>,
    hints: usize,
}

struct Found<'t> {
    at: &'t str,
    message: String,
    /// A second place; its line is written where `{other}` stands in the message.
    other: Option<&'t str>,
}

impl<'t> Report<'t> {
    pub fn new(sources: Vec<Source<'t>>) -> Self {
        Report { sources, found: Vec::new(), hints: 0 }
    }

    /// Something is wrong there.
    pub fn at(&mut self, at: &'t str, message: String) {
        self.found.push(Found { at, message, other: None });
    }

    /// Something is wrong there that has to do with another place: `{other}` in the message becomes that place's line.
    pub fn with(&mut self, at: &'t str, other: &'t str, message: String) {
        self.found.push(Found { at, message, other: Some(other) });
    }

    /// Whether it is worth looking for the word that was meant: not when so much is wrong that it would take long.
    pub fn may_hint(&mut self) -> bool {
        self.hints += 1;
        self.hints <= 2 * TOLD
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All that was found, or nothing.
    pub fn end(mut self) -> Result<(), PlacementError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|one| self.place(one.at));
        let more = found.len().saturating_sub(TOLD);
        let problems = found.into_iter().take(TOLD).map(|one| self.told(one)).collect();
        Err(PlacementError { problems, more })
    }

    /// Which text, and the offset in it.
    fn place(&self, at: &str) -> (usize, usize) {
        let address = at.as_ptr() as usize;
        let inside = |source: &Source<'_>| {
            let start = source.text.as_ptr() as usize;
            (start..=start + source.text.len()).contains(&address)
        };
        let which = self.sources.iter().position(inside).unwrap_or(0);
        (which, address.saturating_sub(self.sources[which].text.as_ptr() as usize))
    }

    fn told(&self, found: Found<'t>) -> Problem {
        let (which, offset) = self.place(found.at);
        let Source { file, text } = self.sources[which];
        let (line, column) = counted(text, offset);
        let message = match found.other {
            None => found.message,
            Some(other) => {
                let (whose, offset) = self.place(other);
                let (line, _) = counted(self.sources[whose].text, offset);
                let said = if whose == which {
                    format!("line {line}")
                } else {
                    format!("{}:{line}", self.sources[whose].file)
                };
                found.message.replace("{other}", &said)
            }
        };
        Problem { file: file.to_owned(), line, column, message }
    }
}

fn counted(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known word that is most like this one, if any is like it at all.
pub(crate) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let allowed = word.chars().count().div_ceil(3);
    let near = known.map(|near| (distance(word, near), near)).filter(|(d, near)| *d <= allowed && *d < near.len());
    near.min().map(|(_, near)| near)
}

/// How many letters must be changed, added, left out or swapped with their neighbour.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let width = other.len() + 1;
    let mut rows: Vec<usize> = (0..width).collect();
    for i in 1..=one.len() {
        rows.push(i);
        for j in 1..width {
            let here = i * width + j;
            let same = usize::from(one[i - 1] != other[j - 1]);
            let mut least = (rows[here - width - 1] + same).min(rows[here - width] + 1).min(rows[here - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[here - 2 * width - 2] + 1);
            }
            rows.push(least);
        }
    }
    rows[rows.len() - 1]
}
