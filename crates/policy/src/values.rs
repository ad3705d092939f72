//! Values with their units: `"75%"`, `"4GiB"`, `"10min"`, `"100MiB/s"`. A bare number where a unit belongs is refused.
//!
//! Each reader takes a TOML value and gives the value or a sentence that says what would be right.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use ulm_model::{Bytes, BytesPerSecond, CalendarSpan, Level, Per, Share};

use crate::read::calendar_text;

/// A value and where it stands.
pub(crate) type Item<'i> = Spanned<DeValue<'i>>;

/// One kind of value: how it looks, and how it is read.
pub(crate) struct Value<T: 'static> {
    pub form: Form,
    pub read: fn(&Item<'_>) -> Result<T, Wrong>,
}

/// How a value looks, for editors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Span,
    Size,
    Rate,
    Share,
    Count,
    Flag,
    Text,
    Texts,
    Paths,
    Networks,
    Level,
    Per,
    Spans,
    SharingLevels,
    SharingNodes,
}

/// Why a value cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What would be right.
    pub label: String,
    /// Which text is wrong and which bytes of it, if it is not all of the value.
    pub part: Option<(Range<usize>, String, Range<usize>)>,
}

impl From<String> for Wrong {
    fn from(label: String) -> Self {
        Wrong { label, part: None }
    }
}

macro_rules! value {
    ($(#[$doc:meta])* $name:ident: $ty:ty = $form:ident, $read:ident) => {
        $(#[$doc])*
        pub(crate) const $name: Value<$ty> = Value { form: Form::$form, read: |item| Ok($read(item.get_ref())?) };
    };
}

value!(SPAN: Duration = Span, span);
value!(SIZE: Bytes = Size, size);
value!(RATE: Option<BytesPerSecond> = Rate, rate);
value!(SHARE: Share = Share, share);
value!(COUNT: u32 = Count, count);
value!(FLAG: bool = Flag, yes_or_no);
value!(TEXT: String = Text, words);
value!(TEXTS: Vec<String> = Texts, words_or_list);
value!(PATHS: Vec<String> = Paths, paths);
value!(NETWORKS: Vec<String> = Networks, networks);
value!(LEVEL: Level = Level, level);
value!(PER: Per = Per, per);

/// Spans of the week, see [`calendar_text`].
pub(crate) const SPANS_OF_WEEK: Value<Vec<CalendarSpan>> = Value { form: Form::Spans, read: spans_of_week };

fn spans_of_week(item: &Item<'_>) -> Result<Vec<CalendarSpan>, Wrong> {
    let right = "a list of spans, e.g. [\"mon-fri 22:00-06:00\", \"sat,sun\"]";
    let one = std::slice::from_ref(item);
    let items = match item.get_ref().as_array() {
        Some(items) => &items[..],
        None if item.get_ref().as_str().is_some() => one,
        None => return Err(expected(right, item.get_ref()).into()),
    };
    if items.is_empty() {
        return Err("this list is empty: the calendar would never hold".to_owned().into());
    }
    let read = |item: &Item<'_>| {
        let text = item.get_ref().as_str().ok_or_else(|| Wrong::from(format!("this should be {right}")))?;
        calendar_text::span(text)
            .map_err(|(range, label)| Wrong { label, part: Some((item.span(), text.to_owned(), range)) })
    };
    items.iter().map(read).collect()
}

/// `"host"`, or the key of a label.
fn level(value: &DeValue<'_>) -> Result<Level, String> {
    let right = "\"host\", or the key of a label of hosts, e.g. \"rack\"";
    let text = value.as_str().ok_or_else(|| expected(right, value))?;
    match text {
        "host" => Ok(Level::Host),
        text if label_key(text) => Ok(Level::Label(text.to_owned())),
        _ => Err(expected(right, value)),
    }
}

/// `"vm"`, `"rule"` or `"label:KEY"`.
fn per(value: &DeValue<'_>) -> Result<Per, String> {
    let right = "\"vm\", \"rule\" or \"label:KEY\", e.g. \"label:app\"";
    match value.as_str().ok_or_else(|| expected(right, value))? {
        "vm" => Ok(Per::Vm),
        "rule" => Ok(Per::Rule),
        text => match text.strip_prefix("label:") {
            Some(key) if label_key(key) => Ok(Per::Label(key.to_owned())),
            _ => Err(expected(right, value)),
        },
    }
}

fn label_key(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == '=' || c.is_whitespace())
}

const SPANS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

pub(crate) fn span(value: &DeValue<'_>) -> Result<Duration, String> {
    let right = "a time with its unit (ms, s, min, h, d), e.g. \"15s\" or \"10min\"";
    quantity(value, SPANS, right).map(Duration::from_millis)
}

pub(crate) fn size(value: &DeValue<'_>) -> Result<Bytes, String> {
    quantity(value, SIZES, "a size with its unit (B, KiB, MiB, GiB, TiB), e.g. \"4GiB\"").map(Bytes)
}

/// `"none"` is no limit.
pub(crate) fn rate(value: &DeValue<'_>) -> Result<Option<BytesPerSecond>, String> {
    let right = "a rate with its unit, e.g. \"100MiB/s\", or \"none\"";
    let text = value.as_str().ok_or_else(|| expected(right, value))?;
    if text == "none" {
        return Ok(None);
    }
    let per_second = text.trim().strip_suffix("/s").ok_or_else(|| expected(right, value))?;
    match scaled(per_second, SIZES) {
        Some(0) => Err("a rate of nothing would never end; \"none\" is no limit".into()),
        Some(bytes) => Ok(Some(BytesPerSecond(bytes))),
        None => Err(expected(right, value)),
    }
}

pub(crate) fn share(value: &DeValue<'_>) -> Result<Share, String> {
    let hundredths = quantity(value, &[("%", 100)], "a part in per cent, e.g. \"75%\"")?;
    u32::try_from(hundredths).map(Share).map_err(|_| "that is more per cent than can be counted".into())
}

pub(crate) fn count(value: &DeValue<'_>) -> Result<u32, String> {
    let right = "a whole number, e.g. 4";
    let integer = value.as_integer().ok_or_else(|| expected(right, value))?;
    u32::from_str_radix(integer.as_str(), integer.radix())
        .map_err(|_| expected("a whole number from 0 to 4294967295", value))
}

pub(crate) fn yes_or_no(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

pub(crate) fn words(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| expected("a text in quotation marks", value))?;
    if text.trim().is_empty() { Err("this must not be empty".into()) } else { Ok(text.to_owned()) }
}

/// A text, or a list of texts.
pub(crate) fn words_or_list(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    if value.as_str().is_some() {
        return words(value).map(|text| vec![text]);
    }
    let items = list(value, |text| !text.trim().is_empty(), "a text in quotation marks, or a list of texts")?;
    if items.is_empty() { Err("this list is empty".into()) } else { Ok(items) }
}

/// A list of absolute paths.
pub(crate) fn paths(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    list(value, |path| path.starts_with('/'), "a list of absolute paths, e.g. [\"/srv/vms\"]")
}

/// A list of networks in the notation that reasons use.
pub(crate) fn networks(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let known = |network: &str| ["bridge:", "network:", "direct:"].iter().any(|kind| network.starts_with(kind));
    list(value, known, "a list of networks with their kind (bridge, network, direct), e.g. [\"bridge:br0\"]")
}

fn list(value: &DeValue<'_>, right: impl Fn(&str) -> bool, wanted: &str) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or_else(|| expected(wanted, value))?;
    let texts = items.iter().map(|item| item.get_ref().as_str().filter(|text| right(text)).map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| format!("this should be {wanted}"))
}

fn quantity(value: &DeValue<'_>, units: &[(&str, u64)], right: &str) -> Result<u64, String> {
    let text = value.as_str().ok_or_else(|| expected(right, value))?;
    scaled(text, units).ok_or_else(|| expected(right, value))
}

/// `12`, `1.5` or `0.25` and a unit, exactly: thousandths are the finest.
pub(crate) fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 3 || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let thousandths: u64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<3}").parse().ok()? };
    let part = u128::from(thousandths) * u128::from(factor);
    // Half a byte, a tenth of a millisecond: finer than what is counted.
    if part % 1000 != 0 {
        return None;
    }
    let sum = u128::from(whole.parse::<u64>().ok()?) * u128::from(factor) + part / 1000;
    u64::try_from(sum).ok()
}

pub(crate) fn expected(right: &str, value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::String(_) => format!("this must be {right}"),
        other => format!("this is {}, it must be {right}", named(other)),
    }
}

pub(crate) fn named(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeValue<'static> {
        DeValue::String(text.to_owned().into())
    }

    #[test]
    fn quantities_are_read_with_their_units() {
        assert_eq!(span(&text("15s")), Ok(Duration::from_secs(15)));
        assert_eq!(span(&text("1.5 h")), Ok(Duration::from_secs(5400)));
        assert_eq!(size(&text("4GiB")), Ok(Bytes::gib(4)));
        assert_eq!(size(&text("0.5KiB")), Ok(Bytes(512)));
        assert_eq!(share(&text("75%")), Ok(Share::percent(75)));
        assert_eq!(share(&text("7.25 %")), Ok(Share(725)));
        assert_eq!(rate(&text("100MiB/s")), Ok(Some(BytesPerSecond(100 << 20))));
        assert_eq!(rate(&text("none")), Ok(None));
    }

    #[test]
    fn nonsense_is_refused_and_never_overflows() {
        for wrong in
            ["", "15", "s", "1..5s", ".5s", "5.s", "-3s", "15 seconds", "99999999999999999999s", "0.0001s", "1e3s"]
        {
            assert!(span(&text(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["4GB", "4", "18446744073709551615TiB", "0.3B"] {
            assert!(size(&text(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["100MiB", "0MiB/s", "None"] {
            assert!(rate(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(share(&text("99999999999%")).is_err() && share(&text("0.75")).is_err());
    }
}
