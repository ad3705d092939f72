//! `[[rule]]`: where VMs may be, and when they may move.

use std::time::Duration;

use ulm_model::{Bytes, Calendar, Level, Per, Rule, RuleKind, Rulebook, Share};

use super::keys::{Key, Kind, Kinds, Need, key};
use super::kinds::{self, Draft, Ground};
use super::section::{Section, doubles};
use super::selection::{Groups, Selection};
use crate::problem::Found;
use crate::values::{COUNT, FLAG, LEVEL, PER, SHARE, SIZE, SPAN, TEXT, TEXTS};

/// A rule as it is read.
#[derive(Default)]
pub(crate) struct RuleDraft {
    name: Option<String>,
    kind: Option<String>,
    soft: bool,
    select: Selection,
    level: Option<Level>,
    at_most: u32,
    at_most_together: Option<u32>,
    memory_overcommit: Option<Share>,
    memory_reserve: Option<Bytes>,
    cpu_overcommit: Option<Share>,
    memory: Option<Share>,
    cpu: Option<Share>,
    label: String,
    per: Option<Per>,
    moves: Option<u32>,
    downtime: Option<Duration>,
    within: Option<Duration>,
    at_once: Option<u32>,
    when: Option<String>,
    not_when: Option<String>,
    rank: u32,
}

impl Draft for RuleDraft {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
    fn selection(&self) -> &Selection {
        &self.select
    }
}

/// A rule and where it stands.
pub(super) struct ReadRule<'t> {
    pub rule: Rule,
    pub section: Section<'t>,
}

const SOFT: Key<RuleDraft> =
    key!("soft", FLAG, soft, "true: a wish, kept where that is possible; false (the default): never broken");
const LEVEL_KEY: Key<RuleDraft> = key!(
    "level", LEVEL, some level,
    "within what: \"host\" (the default), or the key of a label of hosts, e.g. \"rack\""
);
const VMS: &str = "it is about VMs (`vm`, `vm_tag`, or `vms` for a group)";
const HOSTS: &str = "it is about hosts (`host`, `host_tag`, or `hosts` for a group); `host = \"*\"` are all";

/// The rules.
pub(crate) static RULES: Kinds<RuleDraft, RuleKind> = Kinds {
    shown: "[[rule]]",
    one: "rule",
    common: &[
        key!("name", TEXT, must some name, "what reasons call it"),
        key!("kind", TEXT, must some kind, "what it asks for"),
    ],
    vm_keys: &[
        key!("vm", TEXTS, select.vm, "VMs: patterns of which one must fit the name or the UUID"),
        key!("vm_tag", TEXTS, select.vm_tag, "VMs: patterns of which one must fit a tag"),
        key!("vms", TEXT, some select.vms, "VMs: the name of a group"),
    ],
    host_keys: &[
        key!("host", TEXTS, select.host, "hosts: patterns of which one must fit the name"),
        key!("host_tag", TEXTS, select.host_tag, "hosts: patterns of which one must fit a tag"),
        key!("hosts", TEXT, some select.hosts, "hosts: the name of a group"),
    ],
    kinds: &[
        Kind {
            name: "exclude",
            says: "these VMs, or these hosts, take part in no automatic move",
            vms: Need::OneOfBoth,
            hosts: Need::OneOfBoth,
            whom: "an exclusion is about VMs (`vm`, `vm_tag`) or about hosts (`host`, `host_tag`), not both; `keep_off` keeps VMs off hosts",
            keys: &[],
            build: |_, _| RuleKind::Exclude,
        },
        Kind {
            name: "pin",
            says: "these VMs go only to these hosts",
            vms: Need::Must,
            hosts: Need::Must,
            whom: "a pin says which VMs (`vm`, `vm_tag`) stay on which hosts (`host`, `host_tag`)",
            keys: &[SOFT],
            build: |_, _| RuleKind::Pin,
        },
        Kind {
            name: "keep_off",
            says: "these VMs do not go to these hosts",
            vms: Need::Must,
            hosts: Need::Must,
            whom: "it says which VMs (`vm`, `vm_tag`) stay off which hosts (`host`, `host_tag`)",
            keys: &[SOFT],
            build: |_, _| RuleKind::KeepOff,
        },
        Kind {
            name: "maintenance",
            says: "these hosts take nothing",
            vms: Need::No,
            hosts: Need::Must,
            whom: "maintenance is about hosts alone (`host`, `host_tag`)",
            keys: &[],
            build: |_, _| RuleKind::Maintenance,
        },
        Kind {
            name: "together",
            says: "these VMs are on one host, or in one rack",
            vms: Need::Must,
            hosts: Need::No,
            whom: VMS,
            keys: &[SOFT, LEVEL_KEY],
            build: |draft, _| RuleKind::Together { level: draft.level.clone().unwrap_or(Level::Host) },
        },
        Kind {
            name: "apart",
            says: "no host, or rack, has more than so many of these VMs",
            vms: Need::Must,
            hosts: Need::No,
            whom: VMS,
            keys: &[
                SOFT,
                LEVEL_KEY,
                key!("at_most", COUNT, some at_most_together, "so many may be together; 1 (the default) keeps them all apart"),
            ],
            build: apart,
        },
        Kind {
            name: "max_vms",
            says: "each of these hosts has at most so many VMs, or so many of these VMs",
            vms: Need::May,
            hosts: Need::Must,
            whom: HOSTS,
            keys: &[key!("at_most", COUNT, must at_most, "so many")],
            build: |draft, _| RuleKind::MaxVms { at_most: draft.at_most },
        },
        Kind {
            name: "capacity",
            says: "other values than in [capacity] for these hosts; the first rule that gives a value counts",
            vms: Need::No,
            hosts: Need::Must,
            whom: HOSTS,
            keys: &[
                key!(
                    "memory_overcommit", SHARE, some memory_overcommit,
                    "memory that may be promised, as a part of what there is beyond the reserve"
                ),
                key!("memory_reserve", SIZE, some memory_reserve, "memory that is never promised"),
                key!(
                    "cpu_overcommit", SHARE, some cpu_overcommit,
                    "virtual CPUs that may be promised, as a part of the CPUs"
                ),
            ],
            build: capacity,
        },
        Kind {
            name: "headroom",
            says: "on each of these hosts a part of what may be promised stays free for emergencies",
            vms: Need::No,
            hosts: Need::Must,
            whom: HOSTS,
            keys: &[
                key!("memory", SHARE, some memory, "this part of the memory that may be promised"),
                key!("cpu", SHARE, some cpu, "this part of the virtual CPUs that may be promised"),
            ],
            build: headroom,
        },
        Kind {
            name: "spare",
            says: "whichever one of these hosts fails, its VMs have room on the others",
            vms: Need::No,
            hosts: Need::Must,
            whom: HOSTS,
            keys: &[],
            build: |_, _| RuleKind::Spare,
        },
        Kind {
            name: "one_way",
            says: "these VMs go only to hosts whose label is not lower than where they are, e.g. never back to an older CPU",
            vms: Need::Must,
            hosts: Need::No,
            whom: VMS,
            keys: &[key!("label", TEXT, must label, "the key of a label of hosts whose values are whole numbers")],
            build: |draft, _| RuleKind::OneWay { label: draft.label.clone() },
        },
        Kind {
            name: "budget",
            says: "how much these VMs may be disturbed",
            vms: Need::Must,
            hosts: Need::No,
            whom: VMS,
            keys: &[
                key!(
                    "per", PER, some per,
                    "what is counted together: \"vm\" (the default), \"rule\" (all of them), or \"label:app\""
                ),
                key!("moves", COUNT, some moves, "at most so many moves within `within`"),
                key!("downtime", SPAN, some downtime, "guests stand still for at most so long within `within`"),
                key!("within", SPAN, some within, "how far back is counted, at most 30d"),
                key!("at_once", COUNT, some at_once, "at most so many move at the same time"),
            ],
            build: budget,
        },
        Kind {
            name: "window",
            says: "automatic moves of these VMs, or from and to these hosts, begin only while a calendar holds, or does not",
            vms: Need::OneOfBoth,
            hosts: Need::OneOfBoth,
            whom: "a window is about VMs (`vm`, `vm_tag`) or about hosts (`host`, `host_tag`), not both",
            keys: &[
                key!("when", TEXT, some when, "only while this calendar holds"),
                key!("not_when", TEXT, some not_when, "only while this calendar does not hold"),
            ],
            build: window,
        },
        Kind {
            name: "priority",
            says: "who is moved last: VMs with a higher rank move only where none with a lower rank helps (100 without a rule)",
            vms: Need::Must,
            hosts: Need::No,
            whom: VMS,
            keys: &[key!("rank", COUNT, must rank, "from 0, moved first")],
            build: |draft, _| RuleKind::Priority { rank: draft.rank },
        },
    ],
};

fn apart(draft: &RuleDraft, ground: &mut Ground<'_, '_>) -> RuleKind {
    let at_most = draft.at_most_together.unwrap_or(1);
    if at_most == 0 {
        let help = "1 keeps them all apart; `keep_off` keeps VMs off hosts";
        ground.refuse("at_most", "`at_most` of a rule of kind `apart` is at least 1", "nowhere at all", help);
    }
    RuleKind::Apart { level: draft.level.clone().unwrap_or(Level::Host), at_most }
}

fn capacity(draft: &RuleDraft, ground: &mut Ground<'_, '_>) -> RuleKind {
    let values = [draft.memory_overcommit.is_some(), draft.memory_reserve.is_some(), draft.cpu_overcommit.is_some()];
    if values == [false; 3] {
        let help = "say `memory_overcommit`, `memory_reserve` or `cpu_overcommit`";
        ground.refuse("kind", "this rule changes nothing", "of this kind", help);
    }
    for (key, value) in [("memory_overcommit", draft.memory_overcommit), ("cpu_overcommit", draft.cpu_overcommit)] {
        if value == Some(Share::ZERO) {
            let help = "`maintenance` keeps everything off hosts";
            ground.refuse(key, format!("`{key}` cannot be 0 %"), "nothing could be promised", help);
        }
    }
    RuleKind::Capacity {
        memory_overcommit: draft.memory_overcommit,
        memory_reserve: draft.memory_reserve,
        cpu_overcommit: draft.cpu_overcommit,
    }
}

fn headroom(draft: &RuleDraft, ground: &mut Ground<'_, '_>) -> RuleKind {
    if draft.memory.is_none() && draft.cpu.is_none() {
        ground.refuse(
            "kind",
            "this rule keeps nothing free",
            "of this kind",
            "say `memory`, `cpu` or both, e.g. \"10%\"",
        );
    }
    for (key, value) in [("memory", draft.memory), ("cpu", draft.cpu)] {
        if value.is_some_and(|value| value >= Share::WHOLE) {
            let help = "a host that takes nothing is in `maintenance`";
            ground.refuse(
                key,
                format!("`{key}` of a rule of kind `headroom` is below 100 %"),
                "no room would be left",
                help,
            );
        }
    }
    RuleKind::Headroom { memory: draft.memory.unwrap_or(Share::ZERO), cpu: draft.cpu.unwrap_or(Share::ZERO) }
}

const DAY: Duration = Duration::from_secs(86_400);

fn budget(draft: &RuleDraft, ground: &mut Ground<'_, '_>) -> RuleKind {
    if draft.moves.is_none() && draft.downtime.is_none() && draft.at_once.is_none() {
        ground.refuse("kind", "this budget limits nothing", "of this kind", "say `moves`, `downtime` or `at_once`");
    }
    for (key, value) in [("moves", draft.moves), ("at_once", draft.at_once)] {
        if value == Some(0) {
            let help = "a rule of kind `exclude` keeps VMs from all automatic moves";
            ground.refuse(key, format!("`{key}` of a budget is at least 1"), "never at all", help);
        }
    }
    if draft.downtime == Some(Duration::ZERO) {
        let help = "every move stops the guest for a moment; `exclude` keeps VMs from all automatic moves";
        ground.refuse("downtime", "`downtime` of a budget is more than nothing", "no time at all", help);
    }
    let counted = draft.moves.is_some() || draft.downtime.is_some();
    match draft.within {
        None if counted => {
            let key = if draft.moves.is_some() { "moves" } else { "downtime" };
            let message = format!("`{key}` of a budget needs `within`");
            ground.refuse(key, message, "within which time?", "e.g. within = \"1d\"");
        }
        Some(_) if !counted && draft.at_once.is_some() => {
            let help = "`within` goes with `moves` and `downtime`; `at_once` is about moves at the same time";
            ground.refuse("within", "`within` has nothing to count", "of what?", help);
        }
        Some(within) if within.is_zero() => {
            ground.refuse("within", "`within` cannot be so", "no time at all", "e.g. within = \"1d\"");
        }
        Some(within) if within > Rulebook::REMEMBERED => {
            let help = "what happened longer ago is not remembered: 30d is the most";
            ground.refuse("within", "`within` cannot be so", "longer than 30d", help);
        }
        _ => {}
    }
    RuleKind::Budget {
        per: draft.per.clone().unwrap_or(Per::Vm),
        moves: draft.moves,
        downtime: draft.downtime,
        within: draft.within.unwrap_or(DAY),
        at_once: draft.at_once,
    }
}

fn window(draft: &RuleDraft, ground: &mut Ground<'_, '_>) -> RuleKind {
    match (&draft.when, &draft.not_when) {
        (Some(name), None) => RuleKind::Window { calendar: ground.calendar("when", name), open: true },
        (None, Some(name)) => RuleKind::Window { calendar: ground.calendar("not_when", name), open: false },
        given => {
            let both = given.0.is_some();
            let (message, key) = match both {
                true => ("a window has `when` or `not_when`, not both", "not_when"),
                false => ("this window has no calendar", "kind"),
            };
            let help = "`when`: only while the calendar holds; `not_when`: only while it does not. Both are two rules";
            ground.refuse(key, message, if both { "one too many" } else { "of this kind" }, help);
            RuleKind::Window { calendar: Calendar::default(), open: true }
        }
    }
}

pub(super) fn read<'t>(
    sections: &[Section<'t>],
    groups: &Groups<'t>,
    calendars: &[Calendar],
    problems: &mut Vec<Found>,
) -> Vec<ReadRule<'t>> {
    let mut rules = Vec::new();
    for section in sections {
        let Some(read) = kinds::read(&RULES, section, groups, calendars, problems) else { continue };
        let rule = Rule { name: read.name, kind: read.kind, soft: read.draft.soft, vms: read.vms, hosts: read.hosts };
        rules.push(ReadRule { rule, section: section.clone() });
    }
    let named = rules.iter().map(|read| (read.rule.name.as_str(), &read.section));
    doubles(named, "rule", "reasons name the rule that speaks, so each needs a name of its own", problems);
    rules
}
