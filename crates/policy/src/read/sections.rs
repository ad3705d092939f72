//! The sections that hold plain values.

use std::time::Duration;

use ulm_model::{Capacity, Share};

use super::keys::{Key, key};
use super::section::{Document, Parts};
use crate::policy::{Everywhere, Hotspot, MoveBudget, Observe};
use crate::problem::Found;
use crate::values::{COUNT, FLAG, NETWORKS, PATHS, RATE, SHARE, SIZE, SPAN};
use crate::{Policy, Worth};

pub(crate) static OBSERVE: [Key<Observe>; 3] = [
    key!("interval", SPAN, interval, "from the start of one round to the start of the next"),
    key!("deadline", SPAN, deadline, "the longest that one host may take to answer"),
    key!("stale_after", SPAN, stale_after, "older figures lead to watching, never to moving"),
];

pub(crate) static HOTSPOT: [Key<Hotspot>; 10] = [
    key!("enabled", FLAG, enabled, "whether overworked hosts are looked for"),
    key!("cpu", SHARE, cpu, "a host is overworked above this part of its CPUs"),
    key!("memory", SHARE, memory, "a host is overworked above this part of its memory"),
    key!("above", COUNT, above, "in so many samples"),
    key!("of", COUNT, of, "of the last so many"),
    key!("margin", SHARE, margin, "a target stays so far below the thresholds"),
    key!("cool_down", SPAN, cool_down, "a moved VM is not moved again for so long"),
    key!(
        "minimum_residence",
        SPAN,
        minimum_residence,
        "a VM that came to its host while ULM watched stays at least for so long"
    ),
    key!("no_return", SPAN, no_return, "a moved VM does not go back to a host that it left less than so long ago"),
    key!("settle", SPAN, settle, "a host that took part in a move is not judged for so long"),
];

pub(crate) static LIMITS: [Key<MoveBudget>; 6] = [
    key!("moves", COUNT, moves, "moves at once, in all"),
    key!("moves_per_host", COUNT, moves_per_host, "moves at once, to and from one host together"),
    key!("deadline", SPAN, deadline, "a move that takes longer is aborted"),
    key!("bandwidth", RATE, bandwidth, "the most that one move may send, or \"none\""),
    key!("back_off", SPAN, back_off, "after a failed move the VM is left alone for so long"),
    key!("max_failures", COUNT, max_failures, "after so many failures in a row the VM waits for a move by hand"),
];

pub(crate) static CAPACITY: [Key<Capacity>; 3] = [
    key!(
        "memory_overcommit",
        SHARE,
        memory_overcommit,
        "memory that may be promised, as a part of what the host has beyond its reserve"
    ),
    key!("memory_reserve", SIZE, memory_reserve, "memory of each host that is never promised"),
    key!("cpu_overcommit", SHARE, cpu_overcommit, "virtual CPUs that may be promised, as a part of the host's CPUs"),
];

pub(crate) static EVERYWHERE: [Key<Everywhere>; 2] = [
    key!("paths", PATHS, paths, "directories that hold the same files on every host"),
    key!("networks", NETWORKS, networks, "networks that libvirt does not name and every host has"),
];

pub(crate) static WORTH: [Key<Worth>; 4] = [
    key!("payback", SHARE, payback, "a move has paid back within this part of the time that its gain lasts"),
    key!("lasts", SPAN, lasts, "how long a gain is taken to last where no forecast can be made yet"),
    key!("gain", SHARE, gain, "the goals together gain at least this part of what they cost before"),
    key!("overhead", SHARE, overhead, "a move is reckoned with this part of a CPU on both hosts"),
];

/// Reads all of them, and asks what must hold between their values.
pub(super) fn read(documents: &[Document<'_>], policy: &mut Policy, problems: &mut Vec<Found>) {
    let before = problems.len();
    let mut part = |name: &str, shown: &'static str| Parts::of(documents, name, shown, problems);
    let (observe, hotspot) = (part("observe", "[observe]"), part("hotspot", "[hotspot]"));
    let (limits, capacity) = (part("limits", "[limits]"), part("capacity", "[capacity]"));
    let (everywhere, worth) = (part("everywhere", "[everywhere]"), part("worth", "[worth]"));
    observe.read(&OBSERVE, &mut policy.observe, problems);
    hotspot.read(&HOTSPOT, &mut policy.hotspot, problems);
    limits.read(&LIMITS, &mut policy.limits, problems);
    capacity.read(&CAPACITY, &mut policy.capacity, problems);
    everywhere.read(&EVERYWHERE, &mut policy.everywhere, problems);
    worth.read(&WORTH, &mut policy.worth, problems);
    // What fits together is asked only when every single value could be read.
    if problems.len() == before {
        sense(policy, [&observe, &hotspot, &limits, &capacity, &worth], problems);
    }
}

/// What must hold between values.
fn sense(policy: &Policy, [observe, hotspot, limits, capacity, worth]: [&Parts<'_>; 5], problems: &mut Vec<Found>) {
    // The first key is wrong; a second one is what it does not fit to.
    let mut must = |holds: bool, parts: &Parts<'_>, keys: &[&str], label: &str, help: &str| {
        let [key, others @ ..] = keys else { return };
        if !holds {
            let message = format!("`{key}` in {} cannot be so", parts.shown);
            let found = Found::new(parts.place_of(key), message, label).help(help);
            problems.push(match others.iter().find(|other| parts.has(other)) {
                Some(other) => found.also(parts.place_of(other), format!("`{other}`")),
                None => found,
            });
        }
    };
    let (o, h, l, c, w) = (&policy.observe, &policy.hotspot, &policy.limits, &policy.capacity, &policy.worth);
    must(!o.interval.is_zero(), observe, &["interval"], "no time at all", "hosts are asked every 15 s by default");
    must(!o.deadline.is_zero(), observe, &["deadline"], "no time at all", "a host has 5 s to answer by default");
    must(
        o.stale_after >= o.interval,
        observe,
        &["stale_after", "interval"],
        "shorter than `interval`",
        "every figure would be stale before the next one comes: nothing would ever move",
    );
    for (key, threshold) in [("cpu", h.cpu), ("memory", h.memory)] {
        must(threshold <= Share::WHOLE, hotspot, &[key], "more than 100 %", "no host could ever be above it");
        must(
            threshold > h.margin,
            hotspot,
            &[key, "margin"],
            "not above `margin`",
            "a target must stay below the threshold less the margin: no host could ever be one",
        );
    }
    must(h.of > 0, hotspot, &["of"], "none at all", "16 samples are looked at by default");
    must(h.above > 0, hotspot, &["above"], "none at all", "every host would be overworked at every moment");
    must(
        h.above <= h.of,
        hotspot,
        &["above", "of"],
        "more than `of`",
        "a host can be above its threshold in no more samples than are looked at",
    );
    must(
        h.no_return <= Duration::from_secs(7 * 86_400),
        hotspot,
        &["no_return"],
        "longer than a week",
        "what happened longer ago is not looked at: 7d is the most",
    );
    let disable = "`ulm disable` switches acting off";
    must(l.moves > 0, limits, &["moves"], "none at all", disable);
    must(l.moves_per_host > 0, limits, &["moves_per_host"], "none at all", disable);
    must(!l.deadline.is_zero(), limits, &["deadline"], "no time at all", "a move has 30 min by default");
    let whole = "100 % promises no more than there is";
    must(c.memory_overcommit > Share::ZERO, capacity, &["memory_overcommit"], "nothing", whole);
    let four = "400 % promises four vCPUs for each CPU";
    must(c.cpu_overcommit > Share::ZERO, capacity, &["cpu_overcommit"], "nothing", four);
    let never = "no move could ever pay back: 50 % is the default";
    must(w.payback > Share::ZERO, worth, &["payback"], "nothing", never);
    must(!w.lasts.is_zero(), worth, &["lasts"], "no time at all", "a gain is taken to last for 1 h by default");
    must(
        w.gain < Share::WHOLE,
        worth,
        &["gain"],
        "100 % or more",
        "nothing can gain more than everything: 2 % is the default",
    );
}
