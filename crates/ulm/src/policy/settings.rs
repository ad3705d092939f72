//! How two policies differ, as texts.

use std::time::Duration;

use serde::Serialize;
use ulm_model::{Bytes, BytesPerSecond, Capacity, Share};
use ulm_policy::{Everywhere, Hotspot, MoveBudget, Observe, Policy, Worth};

use crate::print;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: `goal`, `rule`, or a section as it is written.
    pub what: String,
    /// The name of the goal or rule, or the key of the section.
    pub name: String,
    /// How the old policy has it, if it does.
    pub old: Option<String>,
    /// How the new policy has it, if it does.
    pub new: Option<String>,
}

/// A goal or rule that is there and has no short form.
const THERE: &str = "is there";

/// Everything that differs: sections, then goals, rules and sharing groups, in the order of the old policy and then of the new one.
pub fn differences(old: &Policy, new: &Policy) -> Vec<Difference> {
    let mut found = Vec::new();
    sections(old, new, &mut found);
    named("goal", &old.goals, &new.goals, |goal| &goal.name, &mut found);
    named("rule", &old.rules, &new.rules, |rule| &rule.name, &mut found);
    named("sharing group", &old.sharing, &new.sharing, |group| &group.name, &mut found);
    found
}

fn named<T: PartialEq>(what: &str, old: &[T], new: &[T], name: impl Fn(&T) -> &String, found: &mut Vec<Difference>) {
    let of = |all: &[T], it: &T| all.iter().position(|other| name(other) == name(it));
    let there = |is: bool| is.then(|| THERE.to_owned());
    let mut tell = |it: &T, old: bool, new: bool| {
        let (what, name) = (what.to_owned(), name(it).clone());
        found.push(Difference { what, name, old: there(old), new: there(new) });
    };
    for it in old {
        match of(new, it) {
            None => tell(it, true, false),
            Some(at) if new[at] != *it => tell(it, true, true),
            Some(_) => {}
        }
    }
    new.iter().filter(|it| of(old, it).is_none()).for_each(|it| tell(it, false, true));
}

/// Compares every field; one that is not named here does not compile.
macro_rules! compare {
    ($found:ident, $shown:literal, $old:expr, $new:expr, $type:ident { $($field:ident),* $(,)? }) => {
        let ($type { $($field: _),* }, $type { .. }) = (&$old, &$new);
        $(if $old.$field != $new.$field {
            $found.push(Difference {
                what: $shown.to_owned(),
                name: stringify!($field).to_owned(),
                old: Some($old.$field.said()),
                new: Some($new.$field.said()),
            });
        })*
    };
}

fn sections(old: &Policy, new: &Policy, found: &mut Vec<Difference>) {
    let Policy {
        observe: _,
        hotspot: _,
        limits: _,
        capacity: _,
        everywhere: _,
        rules: _,
        sharing: _,
        goals: _,
        worth: _,
    } = old;
    compare!(found, "[observe]", old.observe, new.observe, Observe { interval, deadline, stale_after });
    compare!(
        found,
        "[hotspot]",
        old.hotspot,
        new.hotspot,
        Hotspot { enabled, cpu, memory, above, of, margin, cool_down, minimum_residence, no_return, settle }
    );
    compare!(
        found,
        "[limits]",
        old.limits,
        new.limits,
        MoveBudget { moves, moves_per_host, deadline, bandwidth, back_off, max_failures }
    );
    compare!(
        found,
        "[capacity]",
        old.capacity,
        new.capacity,
        Capacity { memory_overcommit, memory_reserve, cpu_overcommit }
    );
    compare!(found, "[everywhere]", old.everywhere, new.everywhere, Everywhere { paths, networks });
    compare!(found, "[worth]", old.worth, new.worth, Worth { payback, lasts, gain, overhead });
}

/// A value as people say it.
trait Said {
    fn said(&self) -> String;
}

macro_rules! said {
    ($($type:ty: |$value:ident| $said:expr;)*) => {$(
        impl Said for $type {
            fn said(&self) -> String {
                let $value = self;
                $said
            }
        }
    )*};
}

said! {
    bool: |value| value.to_string();
    u32: |value| value.to_string();
    Share: |value| value.to_string();
    Bytes: |value| value.to_string();
    Duration: |value| print::span(*value);
    Option<BytesPerSecond>: |value| value.map_or_else(|| "none".to_owned(), |rate| rate.to_string());
    Vec<String>: |value| if value.is_empty() { "none".to_owned() } else { value.join(", ") };
}
