//! Numbers, spans, points of time and names in words.

use std::time::Duration;

/// So many names are told, the rest is counted.
const NAMES: usize = 8;

/// `1 state`, `2,000,000 states`.
pub fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", grouped(number)),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.5 s`, `2 min 30 s`, `1 h 5 min 0 s`.
pub fn span(span: Duration) -> String {
    let (seconds, tenths) = (span.as_secs(), span.subsec_millis() / 100);
    match seconds {
        0..60 => format!("{seconds}.{tenths} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min {} s", seconds / 3600, seconds % 3600 / 60, seconds % 60),
    }
}

/// A point of a timetable: `0:12.5`, `1:02:03.0`.
pub fn clock(ms: u64) -> String {
    let (seconds, tenths) = (ms / 1000, ms % 1000 / 100);
    match seconds / 3600 {
        0 => format!("{}:{:02}.{tenths}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}.{tenths}", seconds % 3600 / 60, seconds % 60),
    }
}

/// Names with commas; the first ones, and how many more.
pub fn named<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    let told = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!(counted(1, "state"), "1 state");
        assert_eq!(counted(2_000_000, "state"), "2,000,000 states");
        assert_eq!(grouped(999), "999");
        assert_eq!(span(Duration::from_millis(12_500)), "12.5 s");
        assert_eq!(span(Duration::from_secs(150)), "2 min 30 s");
        assert_eq!(clock(62_300), "1:02.3");
        assert_eq!(clock(3_723_000), "1:02:03.0");
    }
}
