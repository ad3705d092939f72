//! A placement in the making: values that know the lines that they come from.
//!
//! The draft is written twice. Once with every value on a line of its own, for the reader of placements: the line of a problem
//! then says which value it is about, and that value says where it comes from. Once with a line for each host and VM, for people.

use std::collections::HashSet;

use crate::placement::write::{list, quoted};
use crate::placement::{self, PlacementError, SCHEMA, Source};

use super::Imported;
use super::problem::{ImportError, Problems};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Which of the files that are imported, by its place among them.
    pub file: usize,
    /// Line, from 1.
    pub line: usize,
    /// The field or column; empty for the line as a whole.
    pub place: String,
}

/// A key with its value, both in their JSON form.
struct Entry {
    key: String,
    json: String,
    origin: Origin,
}

/// A host or a VM: values by key.
pub(super) struct Row {
    origin: Origin,
    keys: Vec<Entry>,
    amounts: Vec<Entry>,
    copy: Vec<Entry>,
}

impl Row {
    /// Nothing yet, from that line.
    pub fn new(origin: Origin) -> Self {
        Row { origin, keys: Vec::new(), amounts: Vec::new(), copy: Vec::new() }
    }
    /// A value under a key.
    pub fn key(&mut self, key: &str, json: String, origin: Origin) {
        self.keys.push(Entry { key: quoted(key), json, origin });
    }
    /// How much of a resource it has or asks for.
    pub fn amount(&mut self, resource: &str, json: String, origin: Origin) {
        self.amounts.push(Entry { key: quoted(resource), json, origin });
    }
    /// A value under a key of `copy`.
    pub fn copy(&mut self, key: &str, json: String, origin: Origin) {
        self.copy.push(Entry { key: quoted(key), json, origin });
    }
    fn value(&self, key: &str) -> Option<&str> {
        let key = quoted(key);
        self.keys.iter().find(|entry| entry.key == key).map(|entry| entry.json.as_str())
    }
}

/// A rule about VMs, and about hosts if it names any.
pub(super) struct DraftRule {
    pub name: String,
    pub kind: &'static str,
    pub vms: Vec<String>,
    pub hosts: Vec<String>,
}

impl DraftRule {
    fn json(&self) -> String {
        let names = |names: &[String]| list(names.iter().map(|name| quoted(name)));
        let hosts = if self.hosts.is_empty() { String::new() } else { format!(", \"hosts\": {}", names(&self.hosts)) };
        format!(
            "{{\"name\": {}, \"kind\": \"{}\", \"vms\": {}{hosts}}}",
            quoted(&self.name),
            self.kind,
            names(&self.vms)
        )
    }
}

/// A placement in the making. Names of hosts and of VMs are there once each.
#[derive(Default)]
pub(super) struct Draft {
    pub resources: Vec<String>,
    pub hosts: Vec<Row>,
    pub vms: Vec<Row>,
    pub rules: Vec<DraftRule>,
}

impl Draft {
    /// The placement, if nothing was wrong before and the reader of placements takes it.
    ///
    /// # Errors
    /// All that was wrong before and what the reader does not take, with the file and line that it comes from.
    pub fn finish(self, files: &[&str], mut problems: Problems, notes: Vec<String>) -> Result<Imported, ImportError> {
        let mut spread = Text { spread: true, ..Text::default() };
        self.write(&mut spread);
        let (a, b) = (Source { file: "A", text: &spread.out }, self.as_it_is());
        if let Err(error) = placement::task(a, Source { file: "B", text: &b }) {
            spread.told(error, files, &mut problems);
        }
        problems.end()?;
        let mut text = Text::default();
        self.write(&mut text);
        Ok(Imported { text: text.out, notes, hosts: self.hosts.len(), vms: self.vms.len() })
    }

    /// A B in which no VM moves; a VM whose host is not known is on the first one, so that nothing is told twice.
    fn as_it_is(&self) -> String {
        let hosts: HashSet<&str> = self.hosts.iter().filter_map(|row| row.value("name")).collect();
        let first = self.hosts.first().and_then(|row| row.value("name")).unwrap_or("\"\"");
        let vms = self.vms.iter().filter_map(|row| {
            let host = row.value("host").filter(|host| hosts.contains(host)).unwrap_or(first);
            Some(format!("{{\"name\": {}, \"host\": {host}}}", row.value("name")?))
        });
        format!("{{\"schema\": {}, \"vms\": {}}}", quoted(SCHEMA), list(vms))
    }

    fn write(&self, text: &mut Text) {
        let resources = self.resources.iter().map(|name| format!("{{\"name\": {}}}", quoted(name)));
        text.put(&format!(
            "{{\n  \"schema\": {},\n  \"resources\": {}",
            quoted(SCHEMA),
            placement::write::lines(resources, 2)
        ));
        for (name, amounts, rows) in [("hosts", "capacity", &self.hosts), ("vms", "size", &self.vms)] {
            text.put(&format!(",\n  \"{name}\": ["));
            for (i, row) in rows.iter().enumerate() {
                text.put(if i == 0 { "\n    " } else { ",\n    " });
                text.row(row, amounts);
            }
            text.put(if rows.is_empty() { "]" } else { "\n  ]" });
        }
        if !self.rules.is_empty() {
            let rules = placement::write::lines(self.rules.iter().map(DraftRule::json), 2);
            text.put(&format!(",\n  \"rules\": {rules}"));
        }
        text.put("\n}\n");
    }
}

/// The text as it grows, and where each of its lines comes from.
#[derive(Default)]
struct Text {
    out: String,
    /// Whether every value stands on a line of its own.
    spread: bool,
    /// Of the second line and all after it.
    origins: Vec<Option<Origin>>,
}

impl Text {
    fn put(&mut self, piece: &str) {
        self.out.push_str(piece);
        if self.spread {
            self.origins.extend(piece.matches('\n').map(|_| None));
        }
    }

    /// What follows comes from there.
    fn from(&mut self, origin: &Origin) {
        if self.spread {
            self.out.push('\n');
            self.origins.push(Some(origin.clone()));
        }
    }

    fn row(&mut self, row: &Row, amounts: &str) {
        self.from(&row.origin);
        self.put("{");
        self.entries(&row.keys);
        self.put(&format!(", \"{amounts}\": {{"));
        self.entries(&row.amounts);
        if !row.copy.is_empty() {
            self.put("}, \"copy\": {");
            self.entries(&row.copy);
        }
        self.put("}}");
    }

    fn entries(&mut self, entries: &[Entry]) {
        for (i, Entry { key, json, origin }) in entries.iter().enumerate() {
            self.put(if i == 0 { "" } else { ", " });
            self.from(origin);
            self.put(&format!("{key}: {json}"));
        }
    }

    /// Tells problems of the text as problems of the files that it comes from; what was told of a place before is enough.
    fn told(&self, error: PlacementError, files: &[&str], problems: &mut Problems) {
        problems.more(error.more);
        for problem in error.problems.iter().filter(|problem| problem.file == "A") {
            let known = self.origin(problem.line);
            let (file, line, place) = known.map_or((0, 1, ""), |origin| (origin.file, origin.line, &origin.place));
            problems.once(files[file], line, place, self.with_lines(&problem.message, files));
        }
    }

    /// Where a line comes from, counted from 1.
    fn origin(&self, line: usize) -> Option<&Origin> {
        self.origins.get(line.checked_sub(2)?)?.as_ref()
    }

    /// A message that names a line of the text names that of the file instead.
    fn with_lines(&self, message: &str, files: &[&str]) -> String {
        let Some((before, rest)) = message.split_once("(line ") else { return message.to_owned() };
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match rest[..digits].parse().ok().and_then(|line| self.origin(line)) {
            Some(Origin { file, line, .. }) => format!("{before}({}:{line}{}", files[*file], &rest[digits..]),
            None => message.to_owned(),
        }
    }
}
