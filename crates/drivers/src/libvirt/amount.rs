//! Numbers in libvirt's XML: plain ones, amounts of memory with their units, and sets of numbers.

use std::collections::BTreeSet;
use std::str::FromStr;

use roxmltree::Node;
use ulm_model::Bytes;

use super::xml::{Walk, XmlError};

/// Whoever knows of which document it is puts that here.
const WHAT: &str = "a number";

/// What an amount counts in that names no unit, nearly everywhere.
pub(super) const KIB: &str = "KiB";

/// libvirt knows no higher numbers of NUMA cells.
const HIGHEST_CELL: u32 = 1023;
/// All numbers up to the highest, each by itself, are shorter.
const LONGEST_SET: usize = 8192;
/// What is shown of a text that cannot be read.
const SHOWN: usize = 40;

/// An error about something that cannot be.
pub(super) fn odd(why: impl Into<String>) -> XmlError {
    XmlError::new(WHAT, why)
}

/// An error that shows the text, or its beginning.
fn unread(text: &str, is_no: &str) -> XmlError {
    let shown = &text[..text.floor_char_boundary(SHOWN)];
    odd(format!("{shown:?} is no {is_no}"))
}

/// A number without sign.
pub(super) fn number<T: FromStr>(text: &str) -> Result<T, XmlError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| unread(text, "number"))
}

/// What the attribute says, in the unit of the element's `unit`.
pub(super) fn of_attribute(element: Node<'_, '_>, name: &str, usual: &str) -> Result<Bytes, XmlError> {
    scaled(element.attribute(name).unwrap_or_default().trim(), element.attr("unit").unwrap_or(usual))
}

/// What the text inside says, in the unit of the element's `unit`.
pub(super) fn of_text(element: Node<'_, '_>, usual: &str) -> Result<Bytes, XmlError> {
    scaled(element.text().unwrap_or_default().trim(), element.attr("unit").unwrap_or(usual))
}

/// As libvirt documents it: `b` or `bytes`; `k` or `KiB` for 1024 and `KB` for 1000, and so on for M, G, T, P, E; capitals or not.
fn scaled(text: &str, unit: &str) -> Result<Bytes, XmlError> {
    let count: u64 = number(text)?;
    let by = scale(&unit.to_ascii_lowercase()).ok_or_else(|| unread(unit, "unit of memory"))?;
    count.checked_mul(by).map(Bytes).ok_or_else(|| odd(format!("{count} {unit} is more than any memory")))
}

fn scale(unit: &str) -> Option<u64> {
    if ["b", "byte", "bytes"].contains(&unit) {
        return Some(1);
    }
    let mut letters = unit.chars();
    let exponent = "kmgtpe".find(letters.next()?)? as u32 + 1;
    let base: u64 = match letters.as_str() {
        "" | "ib" => 1024,
        "b" => 1000,
        _ => return None,
    };
    base.checked_pow(exponent)
}

/// A set of NUMA cells as libvirt writes it: `0,2-3`, and `0-3,^2` for the same as `0-1,3`. Never empty.
pub(super) fn cells(text: &str) -> Result<BTreeSet<u32>, XmlError> {
    let unread = || unread(text, "set of NUMA cells");
    if text.len() > LONGEST_SET {
        return Err(unread());
    }
    let one = |text: &str| number::<u32>(text.trim()).ok().filter(|id| *id <= HIGHEST_CELL).ok_or_else(unread);
    let mut set = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        if let Some(without) = part.strip_prefix('^') {
            set.remove(&one(without)?);
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (one(first)?, one(last)?);
        if first > last {
            return Err(unread());
        }
        set.extend(first..=last);
    }
    if set.is_empty() { Err(unread()) } else { Ok(set) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_that_libvirt_documents() {
        for (text, unit, bytes) in [
            ("2048", "KiB", 2 << 20),
            ("2048", "k", 2 << 20),
            ("1", "G", 1 << 30),
            ("1", "gib", 1 << 30),
            ("5", "KB", 5000),
            ("7", "bytes", 7),
            ("3", "E", 3 << 60),
        ] {
            assert_eq!(scaled(text, unit).unwrap(), Bytes(bytes), "{text} {unit}");
        }
        for (text, unit) in [("1", "acres"), ("1", "kibi"), ("", "KiB"), ("-1", "KiB"), ("+1", "KiB"), ("16", "E")] {
            assert!(scaled(text, unit).is_err(), "{text} {unit}");
        }
    }

    #[test]
    fn a_set_of_cells_is_read_as_libvirt_writes_it() {
        let set = |text: &str| cells(text).map(|set| set.into_iter().collect::<Vec<_>>());
        assert_eq!(set("0,2-3").unwrap(), [0, 2, 3]);
        assert_eq!(set("1-4,^3").unwrap(), [1, 2, 4]);
        assert_eq!(set(" 1 - 2 , 7 ").unwrap(), [1, 2, 7]);
        for odd in ["", ",", "a", "3-1", "-1", "1-", "1024", "0-4294967295", "1,^1", "1;2", "^"] {
            assert!(set(odd).is_err(), "{odd}");
        }
        let error = set(&"0-1023,".repeat(2000)).unwrap_err().to_string();
        assert!(error.len() < 150 && error.contains("no set of NUMA cells"), "{error}");
    }
}
