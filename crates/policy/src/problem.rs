//! What is wrong with a policy, and how it is shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};

use crate::Sources;
use crate::sources::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in a sentence.
    pub message: String,
    /// Where.
    pub at: Spot,
    /// Where the other half of a contradiction stands, if there is one.
    pub also: Option<Spot>,
    /// What to do, if there is more to say.
    pub help: Option<String>,
}

/// A marked piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What stands under the marked text.
    pub label: String,
    /// Where in the file, in bytes.
    pub span: Range<usize>,
}

/// Everything that is wrong with a policy, in the order of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The name that the first file was given, or of the one that could not be read.
    pub file: String,
    /// The problems; empty only when a file could not be read at all.
    pub problems: Vec<Problem>,
    plain: String,
    coloured: String,
}

/// A problem before its place is counted out.
#[derive(Debug)]
pub(crate) struct Found {
    pub message: String,
    pub place: Place,
    pub label: String,
    pub also: Option<(Place, String)>,
    pub help: Option<String>,
}

impl Found {
    pub fn new(place: Place, message: impl Into<String>, label: impl Into<String>) -> Self {
        Found { message: message.into(), place, label: label.into(), also: None, help: None }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Found { help: Some(help.into()), ..self }
    }

    pub fn also(self, place: Place, label: impl Into<String>) -> Self {
        Found { also: Some((place, label.into())), ..self }
    }
}

impl PolicyError {
    pub(crate) fn new(sources: &Sources, mut found: Vec<Found>) -> Self {
        found.sort_by_key(|problem| (problem.place.file, problem.place.span.start, problem.place.span.end));
        // Texts may have equal names: what is shown is found by number.
        let files: Vec<Files> =
            found.iter().map(|found| (found.place.file, found.also.as_ref().map(|(also, _)| also.file))).collect();
        let problems: Vec<Problem> = found.into_iter().map(|found| placed(sources, found)).collect();
        let (plain, coloured) = (Renderer::plain(), Renderer::styled());
        let show = |renderer: &Renderer| {
            let all = problems.iter().zip(&files);
            all.map(|(problem, files)| rendered(sources, problem, *files, renderer)).collect::<Vec<_>>().join("\n\n")
        };
        PolicyError { file: sources.name(0).to_owned(), plain: show(&plain), coloured: show(&coloured), problems }
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

fn placed(sources: &Sources, found: Found) -> Problem {
    Problem {
        message: found.message,
        at: spot(sources, &found.place, found.label),
        also: found.also.map(|(place, label)| spot(sources, &place, label)),
        help: found.help,
    }
}

fn spot(sources: &Sources, place: &Place, label: String) -> Spot {
    let text = sources.text(place.file);
    // A problem at the end of the text must still lie on a character boundary that exists.
    let start = (0..=place.span.start.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let end =
        (place.span.end.min(text.len()).max(start)..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Spot {
        file: sources.name(place.file).to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        label,
        span: start..end,
    }
}

/// In which texts a problem is, and its other half.
type Files = (usize, Option<usize>);

fn rendered(sources: &Sources, problem: &Problem, files: Files, renderer: &Renderer) -> String {
    let mark = |kind: AnnotationKind, spot: &Spot| kind.span(spot.span.clone()).label(spot.label.clone());
    let snippet = |file: usize, marks: Vec<Annotation<'static>>| {
        let (text, name) = (sources.text(file).to_owned(), sources.name(file).to_owned());
        Snippet::source(text).path(name).line_start(1).annotations(marks)
    };
    let first = mark(AnnotationKind::Primary, &problem.at);
    let group = Level::ERROR.primary_title(&problem.message);
    let mut group = match (&problem.also, files) {
        (Some(also), (one, Some(other))) if one == other => {
            group.element(snippet(one, vec![first, mark(AnnotationKind::Context, also)]))
        }
        (Some(also), (one, Some(other))) => {
            group.element(snippet(one, vec![first])).element(snippet(other, vec![mark(AnnotationKind::Context, also)]))
        }
        (_, (one, _)) => group.element(snippet(one, vec![first])),
    };
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
