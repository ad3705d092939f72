//! Quarters of an hour, counted through time and through the week.

use ulm_model::Time;

/// Seconds in a slot: 15 minutes.
pub const SECONDS: i64 = 900;
/// Slots in a day.
pub const DAY: usize = 96;
/// Slots in a week.
pub const WEEK: usize = 7 * DAY;
/// 1970 began on a Thursday: so many slots after the week's begin, which is Monday 0:00 UTC.
const FIRST: i64 = 3 * DAY as i64;

/// The number of the slot that holds a time, counted from 1970.
pub fn slot(at: Time) -> i64 {
    at.seconds().div_euclid(SECONDS)
}

/// When a slot begins.
#[cfg(test)]
pub fn begin(slot: i64) -> Time {
    Time(slot.saturating_mul(SECONDS * 1000))
}

/// The place of a slot in the week: 0 is Monday 0:00 to 0:15 UTC.
pub fn cell(slot: i64) -> usize {
    slot.saturating_add(FIRST).rem_euclid(WEEK as i64) as usize
}

/// The same slot of the other days of the same kind (Monday to Friday, or Saturday and Sunday).
pub fn siblings(cell: usize) -> impl Iterator<Item = usize> {
    let (day, slot) = (cell / DAY, cell % DAY);
    let days = if day < 5 { 0..5 } else { 5..7 };
    days.filter(move |other| *other != day).map(move |other| other * DAY + slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_begins_on_monday() {
        // 2026-11-23 was a Monday.
        let monday = 1_795_392_000_000;
        assert_eq!(Time(monday).to_string(), "2026-11-23T00:00:00Z");
        assert_eq!((cell(slot(Time(monday))), cell(slot(Time(monday - 1)))), (0, WEEK - 1));
        assert_eq!(cell(slot(Time(monday + 86_400_000 + 3_600_000))), DAY + 4);
        assert_eq!(begin(slot(Time(monday + 899_999))), Time(monday));
    }

    #[test]
    fn times_before_1970_have_a_place_too() {
        assert_eq!(cell(slot(Time(-1))), 3 * DAY - 1);
        assert!(cell(slot(Time(i64::MIN))) < WEEK && cell(slot(Time(i64::MAX))) < WEEK);
    }

    #[test]
    fn days_of_the_same_kind_stand_in_for_each_other() {
        assert_eq!(siblings(7).collect::<Vec<_>>(), [1, 2, 3, 4].map(|day| day * DAY + 7));
        assert_eq!(siblings(6 * DAY).collect::<Vec<_>>(), [5 * DAY]);
    }
}
