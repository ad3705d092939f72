//! Rules that contradict each other: each is told with both of its lines.
//!
//! Only what is certain is told. Two patterns *may* select the same VM and never do; so a contradiction is claimed only where whatever
//! the one rule selects is selected by the other too ([`covers`]), or where both name the same VM in full. Soft rules contradict nobody.

use ulm_model::{Calendar, HostSelector, Level, RuleKind, VmSelector};

use super::glob::{contains, is_exact, share_a_word};
use super::rules::ReadRule;
use crate::problem::Found;

/// Tells each pair of rules that cannot both hold, or of which the later one never speaks.
pub(super) fn find(rules: &[ReadRule<'_>], problems: &mut Vec<Found>) {
    for (at, later) in rules.iter().enumerate() {
        for earlier in &rules[..at] {
            let hard = !earlier.rule.soft && !later.rule.soft;
            let found = if hard { either_way(earlier, later) } else { None };
            problems.extend(found.or_else(|| never_speaks(earlier, later)));
        }
    }
}

/// What two rules may be, whichever stands first.
fn either_way(earlier: &ReadRule<'_>, later: &ReadRule<'_>) -> Option<Found> {
    let both = |of: fn(&ReadRule<'_>, &ReadRule<'_>) -> Option<Clash>| {
        let forth = of(earlier, later).map(|clash| (earlier, later, clash));
        forth.or_else(|| of(later, earlier).map(|clash| (later, earlier, clash)))
    };
    let (one, other, clash) = [pins, pin_and_fence, closed, together_and_apart, windows].into_iter().find_map(both)?;
    // The one that stands later is marked first.
    let (one_place, other_place) = (one.section.place_of_any(clash.one.0), other.section.place_of_any(clash.other.0));
    let found = match std::ptr::eq(other, later) {
        true => Found::new(other_place, clash.message, clash.other.1).also(one_place, clash.one.1),
        false => Found::new(one_place, clash.message, clash.one.1).also(other_place, clash.other.1),
    };
    Some(found.help(clash.help))
}

/// Two rules that cannot both hold: what to mark in each, and what to write there.
struct Clash {
    message: String,
    one: (&'static [&'static str], String),
    other: (&'static [&'static str], String),
    help: &'static str,
}

const HOST_KEYS: &[&str] = &["host", "host_tag", "hosts"];
const VM_KEYS: &[&str] = &["vm", "vm_tag", "vms"];

fn pins(one: &ReadRule<'_>, other: &ReadRule<'_>) -> Option<Clash> {
    let (RuleKind::Pin, RuleKind::Pin) = (&one.rule.kind, &other.rule.kind) else { return None };
    let whom = certainly_share(&one.rule.vms, &other.rule.vms)?;
    certainly_apart(&one.rule.hosts, &other.rule.hosts).then(|| Clash {
        message: format!("rules `{}` and `{}` pin {whom} to different hosts", one.rule.name, other.rule.name),
        one: (HOST_KEYS, "only here".into()),
        other: (HOST_KEYS, "and only here: no host is both".into()),
        help: "what is pinned twice goes only to hosts that both rules name",
    })
}

fn pin_and_fence(pin: &ReadRule<'_>, fence: &ReadRule<'_>) -> Option<Clash> {
    let (RuleKind::Pin, RuleKind::KeepOff) = (&pin.rule.kind, &fence.rule.kind) else { return None };
    let whom = certainly_share(&pin.rule.vms, &fence.rule.vms)?;
    let (pin_hosts, fence_hosts) = (Selector::from(&pin.rule.hosts), Selector::from(&fence.rule.hosts));
    covers(fence_hosts, pin_hosts).then(|| Clash {
        message: format!("rule `{}` keeps {whom} off all hosts that rule `{}` pins to", fence.rule.name, pin.rule.name),
        one: (HOST_KEYS, "only here".into()),
        other: (HOST_KEYS, "never here".into()),
        help: "take one of the rules away, or make one of them soft",
    })
}

/// A pin to hosts that take nothing.
fn closed(pin: &ReadRule<'_>, shut: &ReadRule<'_>) -> Option<Clash> {
    if pin.rule.kind != RuleKind::Pin {
        return None;
    }
    let what = match shut.rule.kind {
        RuleKind::Maintenance => "in maintenance",
        RuleKind::MaxVms { at_most: 0 } if shut.rule.vms.is_empty() => "closed to all VMs",
        RuleKind::MaxVms { at_most: 0 } => certainly_share(&pin.rule.vms, &shut.rule.vms).map(|_| "closed to them")?,
        _ => return None,
    };
    // A whole group of hosts may well be rebuilt for a while; a host that is named in full is meant.
    let named = pin.rule.hosts.tag.is_empty() && pin.rule.hosts.name.iter().all(|name| is_exact(name));
    let (pin_hosts, shut_hosts) = (Selector::from(&pin.rule.hosts), Selector::from(&shut.rule.hosts));
    (named && covers(shut_hosts, pin_hosts)).then(|| Clash {
        message: format!("rule `{}` pins VMs to a host that is {what} by rule `{}`", pin.rule.name, shut.rule.name),
        one: (HOST_KEYS, "only here".into()),
        other: (HOST_KEYS, what.to_owned()),
        help: "`exclude` keeps VMs where they are while their host takes no others; a soft pin gives way",
    })
}

fn together_and_apart(together: &ReadRule<'_>, apart: &ReadRule<'_>) -> Option<Clash> {
    let (RuleKind::Together { level: near }, RuleKind::Apart { level: far, at_most }) =
        (&together.rule.kind, &apart.rule.kind)
    else {
        return None;
    };
    // What is on one host is in one rack too; what is in one rack may be on different hosts.
    if near != far && *near != Level::Host {
        return None;
    }
    let (one, other) = (&together.rule.vms, &apart.rule.vms);
    let named = named_in_both(one, other).len();
    let same = covers(one.into(), other.into()) || covers(other.into(), one.into());
    if !(named > *at_most as usize || (same && *at_most == 1 && !is_one_vm(one) && !is_one_vm(other))) {
        return None;
    }
    Some(Clash {
        message: format!(
            "rule `{}` wants the same VMs together that rule `{}` keeps apart",
            together.rule.name, apart.rule.name
        ),
        one: (VM_KEYS, format!("together {}", spoken(near))),
        other: (VM_KEYS, format!("at most {at_most} {}", spoken(far))),
        help: "take one of the rules away, make one of them soft, or keep them apart at a lower level than together",
    })
}

fn spoken(level: &Level) -> String {
    match level {
        Level::Host => "on one host".to_owned(),
        Level::Label(key) => format!("within one {key}"),
    }
}

/// Two windows that are never open at the same time.
fn windows(one: &ReadRule<'_>, other: &ReadRule<'_>) -> Option<Clash> {
    let (RuleKind::Window { calendar: first, open: true }, RuleKind::Window { calendar: second, open }) =
        (&one.rule.kind, &other.rule.kind)
    else {
        return None;
    };
    let whom = match (&one.rule.vms, &other.rule.vms) {
        (a, b) if !a.is_empty() && !b.is_empty() => certainly_share(a, b)?,
        _ => {
            let (a, b) = (Selector::from(&one.rule.hosts), Selector::from(&other.rule.hosts));
            (covers(a, b) || covers(b, a)).then(|| "these hosts".to_owned())?
        }
    };
    if first.zone != second.zone {
        return None;
    }
    // Certain on every date: the open spans taken as wide, the closed ones as narrow as they can be.
    let first = minutes(first, Dated::Always);
    let second = minutes(second, if *open { Dated::Always } else { Dated::Never });
    let ever = first.iter().zip(&second).any(|(first, second)| *first && (*second == *open));
    (!ever).then(|| Clash {
        message: format!(
            "rules `{}` and `{}` leave {whom} no minute of the week to move",
            one.rule.name, other.rule.name
        ),
        one: (&["when", "not_when"], "only now".into()),
        other: (&["when", "not_when"], if *open { "and only now" } else { "but not now" }.into()),
        help: "widen one of the calendars; a rule of kind `exclude` keeps VMs from all automatic moves",
    })
}

/// How spans are taken that hold on some dates only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dated {
    Always,
    Never,
}

const DAY: usize = 1440;
const WEEK: usize = 7 * DAY;

/// The minutes of the week, Monday first, in which it holds.
fn minutes(calendar: &Calendar, dated: Dated) -> Vec<bool> {
    let mut week = vec![false; WEEK];
    for span in calendar.spans.iter().filter(|span| dated == Dated::Always || span.dates.is_none()) {
        let (from, to) = (usize::from(span.from), usize::from(span.to));
        let length = if to > from { to - from } else { DAY - from + to };
        for (day, _) in span.days.iter().enumerate().filter(|(_, on)| **on) {
            for minute in 0..length {
                week[(day * DAY + from + minute) % WEEK] = true;
            }
        }
    }
    week
}

/// A later rule that never speaks because an earlier one has said all of it.
fn never_speaks(earlier: &ReadRule<'_>, later: &ReadRule<'_>) -> Option<Found> {
    let (first, second) = (&earlier.rule, &later.rule);
    match (&first.kind, &second.kind) {
        (RuleKind::Priority { .. }, RuleKind::Priority { .. }) if covers((&first.vms).into(), (&second.vms).into()) => {
            let message = format!("rule `{}` already gives a rank to the VMs of rule `{}`", first.name, second.name);
            let found = Found::new(later.section.place_of("rank"), message, "never counts");
            let found = found.also(earlier.section.place_of("rank"), "counts: it stands first");
            Some(found.help("the first rule that selects a VM counts: put the narrower one first"))
        }
        (
            RuleKind::Capacity { memory_overcommit: a, memory_reserve: b, cpu_overcommit: c },
            RuleKind::Capacity { memory_overcommit: x, memory_reserve: y, cpu_overcommit: z },
        ) if covers((&first.hosts).into(), (&second.hosts).into()) => {
            let twice = [
                ("memory_overcommit", a.is_some() && x.is_some()),
                ("memory_reserve", b.is_some() && y.is_some()),
                ("cpu_overcommit", c.is_some() && z.is_some()),
            ];
            let (key, _) = twice.into_iter().find(|(_, twice)| *twice)?;
            let message = format!("rule `{}` already gives `{key}` to the hosts of rule `{}`", first.name, second.name);
            let found = Found::new(later.section.place_of(key), message, "never counts");
            let found = found.also(earlier.section.place_of(key), "counts: it stands first");
            Some(found.help("the first rule that selects a host counts: put the narrower one first"))
        }
        _ => None,
    }
}

/// The parts that selectors of VMs and of hosts have in common.
#[derive(Clone, Copy)]
struct Selector<'s> {
    name: &'s [String],
    tag: &'s [String],
}

impl<'s> From<&'s VmSelector> for Selector<'s> {
    fn from(of: &'s VmSelector) -> Self {
        Selector { name: &of.name, tag: &of.tag }
    }
}

impl<'s> From<&'s HostSelector> for Selector<'s> {
    fn from(of: &'s HostSelector) -> Self {
        Selector { name: &of.name, tag: &of.tag }
    }
}

/// Whether the outer selector certainly selects all that the inner one does, and the inner one may select something.
fn covers(outer: Selector<'_>, inner: Selector<'_>) -> bool {
    let part = |outer: &[String], inner: &[String]| {
        let inside = |pattern: &String| outer.iter().any(|outer| contains(outer, pattern));
        outer.is_empty() || (!inner.is_empty() && inner.iter().all(inside))
    };
    let empty = |selector: Selector<'_>| selector.name.is_empty() && selector.tag.is_empty();
    !empty(outer) && !empty(inner) && part(outer.name, inner.name) && part(outer.tag, inner.tag)
}

/// VMs that are certainly selected by both, in words.
fn certainly_share(one: &VmSelector, other: &VmSelector) -> Option<String> {
    if covers(one.into(), other.into()) || covers(other.into(), one.into()) {
        return Some("the same VMs".to_owned());
    }
    named_in_both(one, other).first().map(|name| format!("`{name}`"))
}

/// VMs that one of them names in full and that both select by their names alone.
fn named_in_both<'s>(one: &'s VmSelector, other: &'s VmSelector) -> Vec<&'s str> {
    if !one.tag.is_empty() || !other.tag.is_empty() {
        return Vec::new();
    }
    let exact = one.name.iter().chain(&other.name).filter(|name| is_exact(name));
    let by = |selector: &VmSelector, name: &str| selector.name.iter().any(|pattern| contains(pattern, name));
    let mut names: Vec<&str> = exact.map(String::as_str).filter(|name| by(one, name) && by(other, name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether it names one VM in full.
fn is_one_vm(vms: &VmSelector) -> bool {
    vms.name.len() == 1 && is_exact(&vms.name[0])
}

/// Whether no host can be selected by both. Only names tell: a host may have any tags.
fn certainly_apart(one: &HostSelector, other: &HostSelector) -> bool {
    let named = !one.name.is_empty() && !other.name.is_empty();
    named && !one.name.iter().any(|a| other.name.iter().any(|b| share_a_word(a, b)))
}
