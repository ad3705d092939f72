//! Amounts and rates as people write them: whole numbers, or text with a unit that comes out exactly.

use super::json::{Node, Spot};
use super::problem::Report;

const BYTES: &[(&str, u64)] =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("PiB", 1 << 50)];

/// Eighths of a byte per second, so that bits are whole.
const RATES: &[(&str, u64)] = &[
    ("bit/s", 1),
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("Tbit/s", 1_000_000_000_000),
    ("B/s", 8),
    ("KiB/s", 8 << 10),
    ("MiB/s", 8 << 20),
    ("GiB/s", 8 << 30),
];

/// An amount of a resource: a whole number, or text with a unit of bytes.
pub(crate) fn amount<'t>(node: Node<'t>, what: &str, report: &mut Report<'t>) -> Option<Spot<'t, u64>> {
    quantity(node, what, BYTES, 1, "\"64GiB\"", report)
}

/// A rate in bytes per second: a whole number, or text with a unit.
pub(crate) fn rate<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<Spot<'t, u64>> {
    quantity(node, "a rate", RATES, 8, "\"10Gbit/s\"", report)
}

/// A whole number.
pub(crate) fn count<'t>(node: Node<'t>, what: &str, report: &mut Report<'t>) -> Option<Spot<'t, u64>> {
    match whole(node, what) {
        Ok(value) => Some(Spot { at: node.at, value }),
        Err(message) => {
            report.at(node.at, message);
            None
        }
    }
}

/// A whole number that fits in 32 bits.
pub(crate) fn small_count<'t>(node: Node<'t>, what: &str, report: &mut Report<'t>) -> Option<Spot<'t, u32>> {
    let Spot { at, value } = count(node, what, report)?;
    match u32::try_from(value) {
        Ok(value) => Some(Spot { at, value }),
        Err(_) => {
            report.at(at, format!("{value} is too large: {what} is at most {}", u32::MAX));
            None
        }
    }
}

/// Seconds with up to three places after the point, in milliseconds.
pub(crate) fn seconds<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<Spot<'t, u64>> {
    let wrong = match node.kind() {
        "a number" if node.at.starts_with('-') => format!("{} is negative: a time is 0 or more seconds", node.at),
        "a number" => match scaled(node.at, 1000) {
            Scaled::Exact(value) => return Some(Spot { at: node.at, value }),
            Scaled::TooLarge => format!("{} does not fit in 64 bits", node.at),
            Scaled::Inexact => {
                format!("{} is finer than a millisecond: give at most 3 places after the point", node.at)
            }
            Scaled::NoNumber => format!("{} cannot be read: give seconds as a number, e.g. 12.5", node.at),
        },
        kind => format!("this is {kind}, it must be a number of seconds, e.g. 12.5"),
    };
    report.at(node.at, wrong);
    None
}

fn whole(node: Node<'_>, what: &str) -> Result<u64, String> {
    let text = node.at;
    if node.kind() != "a number" {
        return Err(format!("this is {}, it must be a whole number from 0 on", node.kind()));
    }
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    Err(if text.starts_with('-') {
        format!("{text} is negative: {what} is a whole number from 0 on")
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{text} does not fit in 64 bits: use a larger unit")
    } else {
        format!("{text} is not written as a whole number: {what} is a whole number from 0 on")
    })
}

fn quantity<'t>(
    node: Node<'t>,
    what: &str,
    units: &[(&str, u64)],
    parts: u64,
    example: &str,
    report: &mut Report<'t>,
) -> Option<Spot<'t, u64>> {
    let read = match node.kind() {
        "a number" => whole(node, what),
        "a text" => return with_unit(node, what, units, parts, report),
        kind => Err(format!("this is {kind}, it must be a whole number, or a text with its unit, e.g. {example}")),
    };
    match read {
        Ok(value) => Some(Spot { at: node.at, value }),
        Err(message) => {
            report.at(node.at, message);
            None
        }
    }
}

fn with_unit<'t>(
    node: Node<'t>,
    what: &str,
    units: &[(&str, u64)],
    parts: u64,
    report: &mut Report<'t>,
) -> Option<Spot<'t, u64>> {
    let text = node.text("an amount", report)?.value;
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..end], trimmed[end..].trim());
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let wrong = match units.iter().find(|(name, _)| *name == unit) {
        _ if trimmed.starts_with('-') => format!("\"{text}\" is negative: {what} is 0 or more"),
        _ if number.is_empty() => format!("\"{text}\" does not begin with a number: {what} is a number and its unit"),
        None if unit.is_empty() => {
            format!("\"{text}\" has no unit: write {number} without quotation marks, or add one of {}", names())
        }
        None => format!("\"{text}\": `{unit}` is no unit of {what}: the units are {}", names()),
        Some((_, factor)) => match scaled(number, *factor) {
            Scaled::Exact(value) if value % parts == 0 => return Some(Spot { at: node.at, value: value / parts }),
            Scaled::Exact(_) | Scaled::Inexact => {
                format!("\"{text}\" is no whole number of bytes: use a smaller unit, or fewer places after the point")
            }
            Scaled::TooLarge => format!("\"{text}\" does not fit in 64 bits"),
            Scaled::NoNumber => format!("\"{text}\" cannot be read: `{number}` is no number"),
        },
    };
    report.at(node.at, wrong);
    None
}

enum Scaled {
    Exact(u64),
    Inexact,
    TooLarge,
    NoNumber,
}

/// A decimal number times a factor, exactly.
fn scaled(number: &str, factor: u64) -> Scaled {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Scaled::NoNumber;
    }
    let Ok(whole) = whole.parse::<u64>() else { return Scaled::TooLarge };
    let fraction = fraction.trim_end_matches('0');
    let mut sum = u128::from(whole) * u128::from(factor);
    if !fraction.is_empty() {
        // More places than this are never whole: the largest factor has 50 twos and 15 fives.
        let Some(ten) = 10u128.checked_pow(fraction.len() as u32).filter(|_| fraction.len() <= 19) else {
            return Scaled::Inexact;
        };
        let part = u128::from(fraction.parse::<u64>().unwrap_or(u64::MAX)) * u128::from(factor);
        if part % ten != 0 {
            return Scaled::Inexact;
        }
        sum += part / ten;
    }
    u64::try_from(sum).map_or(Scaled::TooLarge, Scaled::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Source;

    fn read(text: &str, reader: impl for<'t> Fn(Node<'t>, &mut Report<'t>) -> Option<u64>) -> Result<u64, String> {
        let mut report = Report::new(vec![Source { file: "f", text }]);
        let value = Node::whole(text, &mut report).and_then(|node| reader(node, &mut report));
        report.end().map_err(|error| error.problems[0].message.clone())?;
        Ok(value.expect("what is not reported is read"))
    }
    fn size(text: &str) -> Result<u64, String> {
        read(text, |node, report| amount(node, "a size", report).map(|spot| spot.value))
    }
    fn speed(text: &str) -> Result<u64, String> {
        read(text, |node, report| rate(node, report).map(|spot| spot.value))
    }
    fn time(text: &str) -> Result<u64, String> {
        read(text, |node, report| seconds(node, report).map(|spot| spot.value))
    }

    #[test]
    fn amounts_are_whole_numbers_or_have_a_unit() {
        assert_eq!(size("17"), Ok(17));
        assert_eq!(size("\"64GiB\""), Ok(64 << 30));
        assert_eq!(size("\"1.5 GiB\""), Ok(3 << 29));
        assert_eq!(size("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(speed("\"10Gbit/s\""), Ok(1_250_000_000));
        assert_eq!(speed("\"100MiB/s\""), Ok(100 << 20));
        assert_eq!(time("12.5"), Ok(12_500));
        assert_eq!(time("0.001"), Ok(1));
    }

    #[test]
    fn a_wrong_amount_is_told_in_a_sentence() {
        let told = |text: &str| size(text).unwrap_err();
        assert_eq!(told("-5"), "-5 is negative: a size is a whole number from 0 on");
        assert_eq!(told("1.5"), "1.5 is not written as a whole number: a size is a whole number from 0 on");
        assert_eq!(told("99999999999999999999"), "99999999999999999999 does not fit in 64 bits: use a larger unit");
        assert_eq!(told("\"64GB\""), "\"64GB\": `GB` is no unit of a size: the units are B, KiB, MiB, GiB, TiB, PiB");
        assert_eq!(
            told("\"64\""),
            "\"64\" has no unit: write 64 without quotation marks, or add one of B, KiB, MiB, GiB, TiB, PiB"
        );
        assert_eq!(
            told("\"0.3B\""),
            "\"0.3B\" is no whole number of bytes: use a smaller unit, or fewer places after the point"
        );
        assert_eq!(told("\"16384PiB\""), "\"16384PiB\" does not fit in 64 bits");
        assert_eq!(told("\"-1GiB\""), "\"-1GiB\" is negative: a size is 0 or more");
        assert_eq!(told("\"1..5GiB\""), "\"1..5GiB\" cannot be read: `1..5` is no number");
        assert_eq!(told("null"), "this is null, it must be a whole number, or a text with its unit, e.g. \"64GiB\"");
        assert_eq!(
            time("1.0001").unwrap_err(),
            "1.0001 is finer than a millisecond: give at most 3 places after the point"
        );
        assert_eq!(
            speed("\"3bit/s\"").unwrap_err().split(':').next().unwrap(),
            "\"3bit/s\" is no whole number of bytes"
        );
    }
}
