//! JSON whose every value knows its place: a value is the piece of the text that it stands in.
//!
//! Values are opened level by level, only where they are wanted. A wrong kind of value is reported and left out, so that one
//! reading finds all that is wrong.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::{Report, nearest};

/// One JSON value: a slice of the text that it was read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'t> {
    /// The text, without space around it. Where it lies is its place.
    pub at: &'t str,
}

/// Something that was read, and where.
#[derive(Clone, Debug)]
pub(crate) struct Spot<'t, T> {
    pub at: &'t str,
    pub value: T,
}

/// A name in the text.
pub(crate) type Name<'t> = Spot<'t, Cow<'t, str>>;

impl<'t> Node<'t> {
    /// The whole text as one value; a syntax error is reported with its place.
    pub fn whole(text: &'t str, report: &mut Report<'t>) -> Option<Self> {
        match serde_json::from_str::<&'t RawValue>(text) {
            Ok(raw) => Some(Node { at: raw.get() }),
            Err(error) => {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or("it cannot be read").to_owned();
                let line_start: usize =
                    text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
                let mut offset = (line_start + error.column().saturating_sub(1)).min(text.len());
                while !text.is_char_boundary(offset) {
                    offset -= 1;
                }
                report.at(&text[offset..], format!("this is not JSON: {message}"));
                None
            }
        }
    }

    /// The text of a string.
    pub fn text(self, right: &str, report: &mut Report<'t>) -> Option<Name<'t>> {
        if !self.at.starts_with('"') {
            report.at(self.at, format!("this is {}, it must be {right}", self.kind()));
            return None;
        }
        let inner = &self.at[1..self.at.len() - 1];
        if !inner.contains('\\') {
            return Some(Spot { at: self.at, value: Cow::Borrowed(inner) });
        }
        match serde_json::from_str::<String>(self.at) {
            Ok(text) => Some(Spot { at: self.at, value: Cow::Owned(text) }),
            Err(_) => {
                report.at(self.at, "half a surrogate pair stands in this text: it is no text".to_owned());
                None
            }
        }
    }

    /// A name: a string that is not empty.
    pub fn name(self, right: &str, report: &mut Report<'t>) -> Option<Name<'t>> {
        let name = self.text(right, report)?;
        if name.value.is_empty() {
            report.at(self.at, format!("this must not be empty: it must be {right}"));
            return None;
        }
        Some(name)
    }

    /// `true` or `false`.
    pub fn yes_or_no(self, report: &mut Report<'t>) -> Option<Spot<'t, bool>> {
        match self.at {
            "true" => Some(Spot { at: self.at, value: true }),
            "false" => Some(Spot { at: self.at, value: false }),
            _ => {
                report.at(self.at, format!("this is {}, it must be true or false", self.kind()));
                None
            }
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(self, words: &[(&str, T)], report: &mut Report<'t>) -> Option<Spot<'t, T>> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let right = format!("one of \"{}\"", names.join("\", \""));
        let text = self.text(&right, report)?;
        let known = words.iter().find(|(word, _)| *word == text.value);
        if known.is_none() {
            report.at(self.at, format!("\"{}\" is not known: it must be {right}", text.value));
        }
        known.map(|(_, value)| Spot { at: self.at, value: *value })
    }

    /// The items of a list.
    pub fn list(self, right: &str, report: &mut Report<'t>) -> Vec<Node<'t>> {
        if !self.at.starts_with('[') {
            report.at(self.at, format!("this is {}, it must be {right}", self.kind()));
            return Vec::new();
        }
        let items: Vec<&'t RawValue> = serde_json::from_str(self.at).expect("the text was read as JSON before");
        items.into_iter().map(|item| Node { at: item.get() }).collect()
    }

    /// A list of names.
    pub fn names(self, right: &str, report: &mut Report<'t>) -> Vec<Name<'t>> {
        let items = self.list(right, report);
        items.into_iter().filter_map(|item| item.name("a name in quotation marks", report)).collect()
    }

    /// The entries of an object whose keys are names; a key that is there twice is reported.
    pub fn entries(self, right: &str, report: &mut Report<'t>) -> Option<Vec<(Name<'t>, Node<'t>)>> {
        if !self.at.starts_with('{') {
            report.at(self.at, format!("this is {}, it must be {right}", self.kind()));
            return None;
        }
        let Raw(pairs) = serde_json::from_str::<Raw<'t>>(self.at).expect("the text was read as JSON before");
        let mut entries: Vec<(Name<'t>, Node<'t>)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Some(key) = (Node { at: key.get() }).text("a name", report) else { continue };
            entries.push((key, Node { at: value.get() }));
        }
        if has_twice(&entries) {
            let mut seen = HashSet::new();
            let twice: Vec<_> = entries.iter().filter(|(key, _)| !seen.insert(key.value.to_string())).collect();
            for (key, _) in twice {
                report.at(key.at, format!("`{}` is given twice here: leave one out", key.value));
            }
        }
        Some(entries)
    }

    /// What a value is, for sentences.
    pub fn kind(self) -> &'static str {
        match self.at.as_bytes().first() {
            Some(b'"') => "a text",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

fn has_twice(entries: &[(Name<'_>, Node<'_>)]) -> bool {
    if entries.len() <= 16 {
        return (1..entries.len()).any(|i| entries[..i].iter().any(|(key, _)| key.value == entries[i].0.value));
    }
    let mut seen = HashSet::new();
    !entries.iter().all(|(key, _)| seen.insert(key.value.as_ref()))
}

/// An object's keys and values, as they stand in the text.
struct Raw<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Raw<'t> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Pairs).map(Raw)
    }
}

/// An object with known keys. What was not asked for by the end is unknown.
pub(crate) struct Keys<'t> {
    pub at: &'t str,
    what: &'static str,
    entries: Vec<(Name<'t>, Node<'t>)>,
    known: Vec<&'static str>,
}

impl<'t> Keys<'t> {
    /// Opens an object; `what` is what sentences call it, e.g. `a host`.
    pub fn open(node: Node<'t>, what: &'static str, report: &mut Report<'t>) -> Option<Self> {
        let entries = node.entries(&format!("{what}: an object {{…}}"), report)?;
        Some(Keys { at: node.at, what, entries, known: Vec::with_capacity(8) })
    }

    /// The value of a key that may be left out.
    pub fn take(&mut self, key: &'static str) -> Option<Node<'t>> {
        self.known.push(key);
        self.entries.iter().find(|(name, _)| name.value == key).map(|(_, value)| *value)
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, key: &'static str, report: &mut Report<'t>) -> Option<Node<'t>> {
        let value = self.take(key);
        if value.is_none() {
            report.at(self.at, format!("`{key}` is missing: {} needs it", self.what));
        }
        value
    }

    /// Reports the keys that nobody asked for.
    pub fn done(self, report: &mut Report<'t>) {
        for (key, _) in &self.entries {
            if self.known.contains(&key.value.as_ref()) {
                continue;
            }
            let hint = match nearest(&key.value, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", self.known.join(", ")),
            };
            report.at(key.at, format!("`{}` is no key of {}: {hint}", key.value, self.what));
        }
    }
}
