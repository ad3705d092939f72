//! What is wrong with a policy file, and how it is shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What stands under the marked text.
    pub label: String,
    /// What to do, if there is more to say.
    pub help: Option<String>,
    /// Where, in bytes.
    pub span: Range<usize>,
}

/// Everything that is wrong with a policy file, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The name that the file was given.
    pub file: String,
    /// The problems; empty only when the file could not be read at all.
    pub problems: Vec<Problem>,
    plain: String,
    coloured: String,
}

/// A problem before its place is counted out.
pub(crate) struct Found {
    pub span: Range<usize>,
    pub message: String,
    pub label: String,
    pub help: Option<String>,
}

impl PolicyError {
    pub(crate) fn new(text: &str, file: &str, mut found: Vec<Found>) -> Self {
        found.sort_by_key(|problem| (problem.span.start, problem.span.end));
        let problems: Vec<Problem> = found.into_iter().map(|found| placed(text, found)).collect();
        let (plain, coloured) = (Renderer::plain(), Renderer::styled());
        let show = |renderer: &Renderer| {
            problems.iter().map(|problem| rendered(text, file, problem, renderer)).collect::<Vec<_>>().join("\n\n")
        };
        PolicyError { file: file.to_owned(), plain: show(&plain), coloured: show(&coloured), problems }
    }

    pub(crate) fn unreadable(file: &str, error: &str) -> Self {
        let text = format!("error: the policy file {file} cannot be read: {error}");
        PolicyError { file: file.to_owned(), problems: Vec::new(), plain: text.clone(), coloured: text }
    }

    /// For a terminal with colours. [`fmt::Display`] is without.
    pub fn coloured(&self) -> &str {
        &self.coloured
    }
}

fn placed(text: &str, found: Found) -> Problem {
    // A problem at the end of the text must still lie on a character boundary that exists.
    let start = (0..=found.span.start.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let end =
        (found.span.end.min(text.len()).max(start)..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Problem {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: found.message,
        label: found.label,
        help: found.help,
        span: start..end,
    }
}

fn rendered(text: &str, file: &str, problem: &Problem, renderer: &Renderer) -> String {
    let mark = AnnotationKind::Primary.span(problem.span.clone()).label(&problem.label);
    let snippet = Snippet::source(text).path(file).line_start(1).annotation(mark);
    let mut group = Level::ERROR.primary_title(&problem.message).element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain)
    }
}

impl std::error::Error for PolicyError {}
