//! From TOML to [`Policy`]. Every key stands in one table of [`keys`]; what is in none is unknown.
//!
//! First everything is read that can be read, then what fits together is asked of what could be; all that is wrong is told at once.

pub(crate) mod calendar_text;
mod calendars;
pub(crate) mod cases;
mod contradictions;
mod glob;
mod goals;
pub(crate) mod keys;
pub(crate) mod kinds;
mod names;
mod rules;
mod section;
mod sections;
mod selection;
mod sharing;

use toml::de::DeTable;

use crate::problem::Found;
use crate::sources::Place;
use crate::{Policy, Sources};
use section::{Document, list};
use selection::Groups;

pub(crate) use calendars::CALENDAR_KEYS;
pub(crate) use goals::GOALS;
pub(crate) use rules::RULES;
pub(crate) use sections::{CAPACITY, EVERYWHERE, HOTSPOT, LIMITS, OBSERVE, WORTH};
pub(crate) use selection::GROUP_KEYS;
pub(crate) use sharing::SHARING_KEYS;

/// What stands on the outermost level.
pub(crate) const OUTERMOST: [&str; 11] =
    ["observe", "hotspot", "limits", "capacity", "everywhere", "worth", "rule", "goal", "sharing", "group", "calendar"];

/// Reads all texts, or tells everything that is wrong with them.
pub(crate) fn policy(sources: &Sources) -> Result<Policy, Vec<Found>> {
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for (file, text) in sources.texts().enumerate() {
        match DeTable::parse(text) {
            Ok(table) => documents.push(Document { file, text, table }),
            Err(error) => problems.push(not_toml(file, text, &error)),
        }
    }
    // Half a file would seem to miss what stands in the other half.
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut policy = Policy::default();
    sections::read(&documents, &mut policy, &mut problems);
    let groups = Groups::read(&list(&documents, "group", "[[group]]", &mut problems), &mut problems);
    let calendars = calendars::read(&list(&documents, "calendar", "[[calendar]]", &mut problems), &mut problems);
    let rules = rules::read(&list(&documents, "rule", RULES.shown, &mut problems), &groups, &calendars, &mut problems);
    let goals = goals::read(&list(&documents, "goal", GOALS.shown, &mut problems), &groups, &calendars, &mut problems);
    let sharing = list(&documents, "sharing", "[[sharing]]", &mut problems);
    policy.sharing = sharing::groups(&sharing, &groups, &mut problems);
    contradictions::find(&rules, &mut problems);
    for document in &documents {
        document.unknown(&OUTERMOST, &mut problems);
    }
    policy.rules = rules.into_iter().map(|read| read.rule).collect();
    policy.goals = goals.unwrap_or(policy.goals);
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

fn not_toml(file: usize, text: &str, error: &toml::de::Error) -> Found {
    let label = error.message().lines().next().unwrap_or("this cannot be read");
    let place = Place { file, span: error.span().unwrap_or(text.len()..text.len()) };
    let found = Found::new(place, "this is not TOML", label);
    match error.message().lines().nth(1) {
        Some(more) => found.help(more),
        None => found,
    }
}
