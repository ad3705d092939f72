//! One table of a text, and how its keys are read.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::Key;
use super::names::meant;
use crate::problem::Found;
use crate::sources::Place;
use crate::values::{Item, Wrong, named};

/// One of the texts, read as TOML.
pub(super) struct Document<'t> {
    pub file: usize,
    pub text: &'t str,
    pub table: Spanned<DeTable<'t>>,
}

/// One table.
#[derive(Clone)]
pub(crate) struct Section<'t> {
    pub file: usize,
    text: &'t str,
    table: &'t DeTable<'t>,
    span: Range<usize>,
    /// As it is written: `[hotspot]`.
    pub shown: &'static str,
}

impl<'t> Section<'t> {
    pub fn keys(&self) -> impl Iterator<Item = (&'t str, &'t Item<'t>)> {
        self.table.iter().map(|(name, value)| (name.get_ref().as_ref(), value))
    }

    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &'t Item<'t>)> {
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }

    pub fn at(&self, span: Range<usize>) -> Place {
        Place { file: self.file, span }
    }

    /// Where the table begins.
    pub fn place(&self) -> Place {
        self.at(self.span.clone())
    }

    /// Where the key's value stands, or the table when the key is not there.
    pub fn place_of(&self, key: &str) -> Place {
        self.at(self.find(key).map_or(self.span.clone(), |(_, value)| value.span()))
    }

    /// Where the first of the keys stands that is there.
    pub fn place_of_any(&self, keys: &[&str]) -> Place {
        keys.iter().find(|key| self.has(key)).map_or(self.place(), |key| self.place_of(key))
    }

    /// Where the key's name stands.
    pub fn place_of_name(&self, key: &str) -> Place {
        self.at(self.find(key).map_or(self.span.clone(), |(name, _)| name))
    }

    /// A piece of a text that is the value of the key, if it stands in the file letter by letter; else all of the value.
    pub fn place_in(&self, key: &str, text: &str, part: Range<usize>) -> Place {
        match self.find(key) {
            Some((_, value)) => self.inside(value.span(), text, part),
            None => self.place(),
        }
    }

    fn inside(&self, value: Range<usize>, text: &str, part: Range<usize>) -> Place {
        let raw = self.text.get(value.clone()).unwrap_or_default();
        match raw.find(text).filter(|_| !text.is_empty()) {
            Some(offset) => {
                let start = value.start + offset;
                self.at(start + part.start..start + part.end)
            }
            None => self.at(value),
        }
    }

    /// Reads one key.
    pub fn set<T>(&self, key: &Key<T>, item: &Item<'_>, into: &mut T, problems: &mut Vec<Found>) {
        if let Err(Wrong { label, part }) = (key.set)(into, item) {
            let place = match part {
                Some((value, text, part)) => self.inside(value, &text, part),
                None => self.at(item.span()),
            };
            problems.push(Found::new(place, format!("`{}` in {} cannot be read", key.name, self.shown), label));
        }
    }

    /// Reads all keys; what is in none of the tables is unknown, what must be there and is not is missing.
    pub fn read<T>(&self, keys: &[Key<T>], into: &mut T, problems: &mut Vec<Found>) {
        self.read_beside(keys, &[], into, problems);
    }

    /// The same where tables of these names may stand beside the keys; they are read by others.
    pub fn read_beside<T>(&self, keys: &[Key<T>], tables: &[&str], into: &mut T, problems: &mut Vec<Found>) {
        for (name, item) in self.keys().filter(|(name, _)| !tables.contains(name)) {
            match keys.iter().find(|key| key.name == name) {
                Some(key) => self.set(key, item, into, problems),
                None => {
                    let known: Vec<&str> = keys.iter().map(|key| key.name).chain(tables.iter().copied()).collect();
                    problems.push(self.unknown(name, &known));
                }
            }
        }
        for key in keys.iter().filter(|key| key.must && !self.has(key.name)) {
            problems.push(self.missing(key.name, key.says));
        }
    }

    /// The table under the key, if it is there.
    pub fn table(&self, key: &str, shown: &'static str, problems: &mut Vec<Found>) -> Option<Section<'t>> {
        let (name, item) = self.find(key)?;
        match item.get_ref().as_table() {
            Some(table) => Some(self.below(table, name, shown)),
            None => {
                let message = format!("`{key}` is a table, written as {shown}");
                problems.push(Found::new(self.at(item.span()), message, format!("this is {}", named(item.get_ref()))));
                None
            }
        }
    }

    /// The tables under the key, in their order.
    pub fn tables(&self, key: &str, shown: &'static str, problems: &mut Vec<Found>) -> Vec<Section<'t>> {
        let Some((_, item)) = self.find(key) else { return Vec::new() };
        let mut sections = Vec::new();
        let mut wrong = |item: &Item<'_>| {
            let message = format!("every {key} is a table, written as {shown}");
            problems.push(Found::new(self.at(item.span()), message, format!("this is {}", named(item.get_ref()))));
        };
        match item.get_ref().as_array() {
            Some(items) => items.iter().for_each(|item| match item.get_ref().as_table() {
                Some(table) => sections.push(self.below(table, item.span(), shown)),
                None => wrong(item),
            }),
            None => wrong(item),
        }
        sections
    }

    fn below(&self, table: &'t DeTable<'t>, span: Range<usize>, shown: &'static str) -> Section<'t> {
        Section { file: self.file, text: self.text, table, span, shown }
    }

    pub fn unknown(&self, name: &str, known: &[&str]) -> Found {
        let message = format!("`{name}` is not known in {}", self.shown);
        Found::new(self.place_of_name(name), message, "unknown").help(meant(name, known, "known here"))
    }

    pub fn missing(&self, key: &str, says: &str) -> Found {
        let what = self.shown.trim_matches(['[', ']']);
        let found = Found::new(self.place(), format!("this {what} has no `{key}`"), format!("of this {what}"));
        found.help(format!("`{key}`: {says}"))
    }
}

/// All tables `[name]`, in the order of the texts.
pub(super) struct Parts<'t> {
    pub shown: &'static str,
    sections: Vec<Section<'t>>,
    /// Where the first text ends.
    end: Place,
}

impl<'t> Parts<'t> {
    pub fn of(documents: &'t [Document<'t>], name: &str, shown: &'static str, problems: &mut Vec<Found>) -> Self {
        let mut sections = Vec::new();
        for document in documents {
            let Some((place, value)) = document.find(name) else { continue };
            match value.get_ref().as_table() {
                Some(table) => sections.push(document.section(table, place, shown)),
                None => {
                    let message = format!("`{name}` is a section, written as {shown}");
                    let label = format!("this is {}", named(value.get_ref()));
                    problems.push(Found::new(Place { file: document.file, span: place }, message, label));
                }
            }
        }
        let end = documents.first().map_or(0, |document| document.text.len());
        Parts { shown, sections, end: Place { file: 0, span: end..end } }
    }

    pub fn read<T>(&self, keys: &[Key<T>], into: &mut T, problems: &mut Vec<Found>) {
        for section in &self.sections {
            section.read(keys, into, problems);
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.sections.iter().any(|section| section.has(key))
    }

    /// Where the value that counts stands: the last one.
    pub fn place_of(&self, key: &str) -> Place {
        let giving = self.sections.iter().rev().find(|section| section.has(key)).or(self.sections.last());
        giving.map_or(self.end.clone(), |section| section.place_of(key))
    }
}

impl<'t> Document<'t> {
    fn find(&'t self, key: &str) -> Option<(Range<usize>, &'t Item<'t>)> {
        let (name, value) = self.table.get_ref().iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }

    fn section(&self, table: &'t DeTable<'t>, span: Range<usize>, shown: &'static str) -> Section<'t> {
        Section { file: self.file, text: self.text, table, span, shown }
    }

    /// What stands on the outermost level.
    pub fn outermost(&'t self) -> Section<'t> {
        self.section(self.table.get_ref(), 0..0, "this file")
    }

    /// Tells what stands on the outermost level and is not known there.
    pub fn unknown(&self, known: &[&str], problems: &mut Vec<Found>) {
        for (name, _) in self.table.get_ref().iter() {
            let word = name.get_ref().as_ref();
            if !known.contains(&word) {
                let place = Place { file: self.file, span: name.span() };
                let found = Found::new(place, format!("`{word}` is not known"), "unknown");
                problems.push(found.help(meant(word, known, "known here")));
            }
        }
    }
}

/// All tables `[[name]]`, in the order of the texts.
pub(super) fn list<'t>(
    documents: &'t [Document<'t>],
    name: &str,
    shown: &'static str,
    problems: &mut Vec<Found>,
) -> Vec<Section<'t>> {
    let mut sections = Vec::new();
    for document in documents {
        let Some((place, value)) = document.find(name) else { continue };
        let Some(items) = value.get_ref().as_array() else {
            let message = format!("{name}s are written as {shown}, with two brackets");
            let label = format!("this is {}", named(value.get_ref()));
            problems.push(Found::new(Place { file: document.file, span: place }, message, label));
            continue;
        };
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => sections.push(document.section(table, item.span(), shown)),
                other => {
                    let place = Place { file: document.file, span: item.span() };
                    let label = format!("this is {}", named(other));
                    problems.push(Found::new(place, format!("a {name} is a table"), label));
                }
            }
        }
    }
    sections
}

/// Tells names that are given twice, with both places.
pub(super) fn doubles<'t>(
    named: impl Iterator<Item = (&'t str, &'t Section<'t>)>,
    one: &str,
    why: &str,
    problems: &mut Vec<Found>,
) {
    let mut seen: Vec<(&str, &Section<'_>)> = Vec::new();
    for (name, section) in named {
        match seen.iter().find(|(other, _)| *other == name) {
            Some((_, first)) => {
                let message = format!("there are two {one}s named `{name}`");
                let found = Found::new(section.place_of("name"), message, "this name is taken");
                problems.push(found.also(first.place_of("name"), "here first").help(why));
            }
            None => seen.push((name, section)),
        }
    }
}
