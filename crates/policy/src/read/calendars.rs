//! `[[calendar]]`: when something holds.

use ulm_model::{Calendar, CalendarSpan};

use super::keys::{Key, key};
use super::section::{Section, doubles};
use crate::problem::Found;
use crate::values::{SPANS_OF_WEEK, TEXT};

/// A calendar as it is read.
#[derive(Default)]
pub(crate) struct CalendarDraft {
    name: Option<String>,
    zone: Option<String>,
    spans: Vec<CalendarSpan>,
}

const UTC: &str = "UTC";

/// The keys of a `[[calendar]]`.
pub(crate) static CALENDAR_KEYS: [Key<CalendarDraft>; 3] = [
    key!("name", TEXT, must some name, "what rules and goals call the calendar"),
    key!("zone", TEXT, some zone, "the time zone whose clocks count, e.g. \"Europe/Vienna\"; UTC if not given"),
    key!(
        "spans", SPANS_OF_WEEK, must spans,
        "when it holds: days, dates and times, e.g. [\"mon-fri 22:00-06:00\", \"sat,sun\"]"
    ),
];

pub(super) fn read(sections: &[Section<'_>], problems: &mut Vec<Found>) -> Vec<Calendar> {
    let mut calendars = Vec::new();
    let mut places = Vec::new();
    for section in sections {
        let mut draft = CalendarDraft::default();
        section.read(&CALENDAR_KEYS, &mut draft, problems);
        let zone = draft.zone.unwrap_or_else(|| UTC.to_owned());
        if !Calendar::knows(&zone) {
            let found = Found::new(section.place_of("zone"), format!("there is no time zone `{zone}`"), "unknown");
            let help = "time zones are named as in the IANA database, by continent and city, e.g. \"Europe/Vienna\"";
            problems.push(found.help(help));
        }
        // A calendar that has a mistake of its own is still there for those who name it.
        if let Some(name) = draft.name {
            calendars.push(Calendar { name, zone, spans: draft.spans });
            places.push(section);
        }
    }
    let named = calendars.iter().map(|calendar: &Calendar| calendar.name.as_str()).zip(places);
    doubles(named, "calendar", "rules and goals name the calendar that they mean", problems);
    calendars
}
