//! The text format of answers, `ulm.route/1`: A, B, what moves cost, and the route or the proof that there is none.
//!
//! A file stands on its own: whoever has it can judge it. Reading repairs nothing: what a text says wrongly about a route or a
//! certificate comes through as it stands, so that the checker sees it. Only what has no meaning at all (a name that is not there,
//! a key too many) is refused by the reading itself.

mod read;
mod write;

use crate::placement::{PlacementError, Source};
use crate::{Answer, Task};

/// What the text must say that it is.
pub const SCHEMA: &str = "ulm.route/1";

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFile {
    /// From where to where.
    pub task: Task,
    /// What a move costs: `bytes`, `seconds` or an expression.
    pub cost: String,
    /// What each step of the answer's route costs, in the order of its steps; 0 for hosts that are switched.
    pub costs: Vec<u64>,
    /// The answer.
    pub answer: Answer,
}

impl RouteFile {
    /// As indented JSON with a final newline: one line for each host, VM and step.
    pub fn write(&self) -> String {
        write::text(self)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// Everything that has no meaning in the text, with line and column.
    pub fn read(source: Source<'_>) -> Result<Self, PlacementError> {
        read::file(source)
    }
}

#[cfg(test)]
mod tests;
