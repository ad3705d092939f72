//! `ulm policy check`: whether a policy is sound, and what of it comes from which file.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};
use ulm_policy::{Policy, Sources};

use crate::cli::Common;
use crate::exit::Outcome;
use crate::print;

/// What one file says.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Part {
    file: String,
    /// Settings, as `[hotspot] cpu`.
    settings: Vec<Setting>,
    goals: Vec<String>,
    rules: Vec<String>,
    groups: Vec<String>,
    calendars: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Setting {
    section: String,
    key: String,
    /// The file whose value does not count any more.
    instead_of: Option<String>,
}

/// Tells that it is sound and what comes from where, or what is wrong.
pub fn check(common: &Common, policy: &Path) -> Outcome {
    let sources = super::sources(policy)?;
    Policy::read(&sources).map_err(super::wrong)?;
    let parts = parts(&sources);
    if common.json {
        return print::json(&serde_json::json!({ "sound": true, "files": parts }));
    }
    let mut text = format!("{} is sound.\n", policy.display());
    for part in &parts {
        write!(text, "{part}").expect("a string takes everything");
    }
    print::text(&text);
    Ok(())
}

/// What each file says. The policy was read, so all of them can be.
fn parts(sources: &Sources) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (name, text) in sources.names().zip(sources.texts()) {
        let table: Table = text.parse().unwrap_or_default();
        let mut part = Part { file: name.to_owned(), ..Part::default() };
        for (section, value) in &table {
            match value {
                Value::Table(keys) => {
                    let setting = |key: &String| Setting {
                        section: section.clone(),
                        key: key.clone(),
                        instead_of: giving(&parts, section, key),
                    };
                    part.settings.extend(keys.keys().map(setting));
                }
                Value::Array(items) => {
                    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
                    let names = items.iter().filter_map(name);
                    match section.as_str() {
                        "goal" => part.goals.extend(names),
                        "rule" => part.rules.extend(names),
                        "group" => part.groups.extend(names),
                        _ => part.calendars.extend(names),
                    }
                }
                _ => {}
            }
        }
        parts.push(part);
    }
    parts
}

/// The last file that gives the key.
fn giving(parts: &[Part], section: &str, key: &str) -> Option<String> {
    let gives = |part: &&Part| part.settings.iter().any(|known| known.section == section && known.key == key);
    parts.iter().rev().find(gives).map(|part| part.file.clone())
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.file)?;
        for section in self.settings.chunk_by(|a, b| a.section == b.section) {
            let keys = section.iter().map(|setting| match &setting.instead_of {
                Some(file) => format!("{} (instead of that in {file})", setting.key),
                None => setting.key.clone(),
            });
            writeln!(f, "  [{}] {}", section[0].section, Vec::from_iter(keys).join(", "))?;
        }
        let lists =
            [("goals", &self.goals), ("rules", &self.rules), ("groups", &self.groups), ("calendars", &self.calendars)];
        for (what, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            writeln!(f, "  {what}: {}", names.join(", "))?;
        }
        if self.settings.is_empty() && lists.iter().all(|(_, names)| names.is_empty()) {
            writeln!(f, "  nothing: all is at its default")?;
        }
        Ok(())
    }
}
