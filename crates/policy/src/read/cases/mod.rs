//! Reads cases: what is given for all cases of a file, then case by case what is given besides, and what is to be decided.
//!
//! Every name in a case must be the name of something in it, and nobody may use more than there is: a case that cannot be is told
//! with its place and never run.

mod amounts;
mod given;
mod then;

use toml::de::DeTable;
use ulm_model::Time;

use super::keys::{Key, key};
use super::not_toml;
use super::section::{Document, Section, doubles, list};
use crate::problem::Found;
use crate::values::{Form, Item, TEXT, Value, Wrong};
use crate::{Case, Sources};
use given::Given;

/// What is read of a case beside its tables.
#[derive(Default)]
struct Draft {
    name: String,
    when: Option<Time>,
}

const WHEN: Value<Time> = Value { form: Form::Text, read: when };

static CASE: [Key<Draft>; 2] =
    [key!("name", TEXT, must name, "what it shows, in a sentence"), key!("when", WHEN, some when, "the present time")];

/// Reads all texts, or tells everything that is wrong with them.
pub(crate) fn read(sources: &Sources) -> Result<Vec<Case>, Vec<Found>> {
    let (mut problems, mut cases) = (Vec::new(), Vec::new());
    for (file, text) in sources.texts().enumerate() {
        match DeTable::parse(text) {
            Ok(table) => of_file(&Document { file, text, table }, sources, &mut cases, &mut problems),
            Err(error) => problems.push(not_toml(file, text, &error)),
        }
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

fn of_file(document: &Document<'_>, sources: &Sources, cases: &mut Vec<Case>, problems: &mut Vec<Found>) {
    document.unknown(&["given", "case"], problems);
    let outermost = document.outermost();
    let common = outermost.table("given", "[given]", problems);
    let common =
        common.map_or_else(Given::default, |given| Given::read(&given, ["[[given.host]]", "[[given.vm]]"], problems));
    let sections = list(std::slice::from_ref(document), "case", "[[case]]", problems);
    let mut named = Vec::new();
    for section in &sections {
        let mut draft = Draft::default();
        section.read_beside(&CASE, &["given", "then"], &mut draft, problems);
        let given = section.table("given", "[case.given]", problems);
        let given = given.map_or_else(Given::default, |given| {
            Given::read(&given, ["[[case.given.host]]", "[[case.given.vm]]"], problems)
        });
        let given = given.over(&common);
        given.sense(section, problems);
        let then = section.table("then", "[case.then]", problems);
        let then = match &then {
            Some(then) => then::read(then, &given, problems),
            None => {
                if !section.has("then") {
                    problems.push(section.missing("then", "what is to be decided, as a table [case.then]"));
                }
                continue;
            }
        };
        if !draft.name.is_empty() {
            named.push((draft.name.clone(), section));
        }
        let (hosts, vms) = given.into_values();
        let (name, when) = (draft.name, draft.when.unwrap_or(Case::NOON));
        let line = document.text[..section.place().span.start].matches('\n').count() + 1;
        cases.push(Case { name, file: sources.name(document.file).to_owned(), line, when, hosts, vms, then });
    }
    let named = named.iter().map(|(name, section)| (name.as_str(), *section));
    doubles(named, "case", "each is told by its name", problems);
    // What is wrong with what all cases have in common was found in each of them.
    let mut seen = Vec::new();
    problems.retain(|found| {
        let new = !seen.contains(&(found.place.clone(), found.message.clone()));
        seen.push((found.place.clone(), found.message.clone()));
        new
    });
}

fn when(item: &Item<'_>) -> Result<Time, Wrong> {
    let right = "this must be a time in quotation marks, e.g. \"2026-11-25T03:00:00Z\"";
    let stamp = item.get_ref().as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    stamp.map(|stamp| Time(stamp.as_millisecond())).ok_or_else(|| right.to_owned().into())
}

/// Tells a name that nothing has.
fn unknown_name(section: &Section<'_>, key: &str, what: &str, name: &str, known: &[&str]) -> Found {
    let place = section.place_in(key, name, 0..name.len());
    let found = Found::new(place, format!("there is no {what} `{name}`"), "not known");
    found.help(super::names::meant(name, known, "there are"))
}
