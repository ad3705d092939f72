//! Amounts that are given as they are, or as a part of something: `"2.5 CPUs"` or `"80%"`, `"8GiB"` or `"50%"`.

use std::time::Duration;

use ulm_model::Share;

use crate::values::{Form, Item, Value, Wrong, expected, scaled, share, size, span};

/// An amount, before it is known what it may be a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// A part of the whole.
    Part(Share),
    /// So much, in the unit of what it is of.
    So(u64),
}

impl Amount {
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Amount::Part(share) => {
                u64::try_from(u128::from(whole) * u128::from(share.0) / u128::from(Share::WHOLE.0)).unwrap_or(u64::MAX)
            }
            Amount::So(amount) => amount,
        }
    }
}

/// CPU in use, in thousandths of a CPU.
pub(super) const CPU_USE: Value<Amount> = Value { form: Form::Text, read: cpu_use };
/// Memory in use, in bytes.
pub(super) const MEMORY_USE: Value<Amount> = Value { form: Form::Text, read: memory_use };
/// A span, or several.
pub(super) const SPANS: Value<Vec<Duration>> = Value { form: Form::Texts, read: spans };

const CPUS: &[(&str, u64)] = &[("CPU", 1000), ("CPUs", 1000)];

fn part(item: &Item<'_>) -> Option<Result<Amount, Wrong>> {
    item.get_ref().as_str().filter(|text| text.trim_end().ends_with('%'))?;
    Some(share(item.get_ref()).map(Amount::Part).map_err(Wrong::from))
}

fn cpu_use(item: &Item<'_>) -> Result<Amount, Wrong> {
    let right = "CPUs, e.g. \"2.5 CPUs\", or a part in per cent, e.g. \"80%\"";
    part(item).unwrap_or_else(|| {
        let so = item.get_ref().as_str().and_then(|text| scaled(text, CPUS));
        so.map(Amount::So).ok_or_else(|| expected(right, item.get_ref()).into())
    })
}

fn memory_use(item: &Item<'_>) -> Result<Amount, Wrong> {
    let right = "a size with its unit, e.g. \"4GiB\", or a part in per cent, e.g. \"80%\"";
    part(item).unwrap_or_else(|| {
        let so = size(item.get_ref()).map(|size| Amount::So(size.0));
        so.map_err(|_| expected(right, item.get_ref()).into())
    })
}

fn spans(item: &Item<'_>) -> Result<Vec<Duration>, Wrong> {
    match item.get_ref().as_array() {
        Some(items) => items.iter().map(|item| span(item.get_ref()).map_err(Wrong::from)).collect(),
        None => Ok(vec![span(item.get_ref())?]),
    }
}
