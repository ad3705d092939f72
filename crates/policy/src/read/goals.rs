//! `[[goal]]`: what is wanted.

use ulm_model::{Bytes, Calendar, Level, Share};

use super::keys::{Key, Kind, Kinds, Need, key};
use super::kinds::{self, Draft, Ground};
use super::section::{Section, doubles};
use super::selection::{Groups, Selection};
use crate::expression::{ExpressionError, PlacementExpression};
use crate::problem::Found;
use crate::values::{COUNT, FLAG, LEVEL, SHARE, SIZE, TEXT, TEXTS};
use crate::{Custom, Defragment, Goal, GoalKind, Merge, Shape, Spread, pages_fault};

/// A goal as it is read.
pub(crate) struct GoalDraft {
    name: Option<String>,
    kind: Option<String>,
    weight: u32,
    when: Option<String>,
    select: Selection,
    spread: Spread,
    defragment: Defragment,
    vcpus: u32,
    memory: Bytes,
    count: Option<u32>,
    cell: bool,
    pages: Option<Bytes>,
    label: String,
    level: Option<Level>,
    merge: Merge,
    each: Option<String>,
    awake: Option<String>,
}

impl Default for GoalDraft {
    fn default() -> Self {
        GoalDraft {
            name: None,
            kind: None,
            weight: USUAL_WEIGHT,
            when: None,
            select: Selection::default(),
            spread: Spread::default(),
            defragment: Defragment::default(),
            vcpus: 0,
            memory: Bytes(0),
            count: None,
            cell: false,
            pages: None,
            label: String::new(),
            level: None,
            merge: Merge::default(),
            each: None,
            awake: None,
        }
    }
}

const USUAL_WEIGHT: u32 = 100;

impl Draft for GoalDraft {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
    fn selection(&self) -> &Selection {
        &self.select
    }
    fn when(&self) -> Option<&str> {
        self.when.as_deref()
    }
}

const SPREAD: [Key<GoalDraft>; 7] = [
    key!("cpu", COUNT, spread.cpu, "weight of CPU in use (100)"),
    key!("memory", COUNT, spread.memory, "weight of memory in use (100)"),
    key!("disk", COUNT, spread.disk, "weight of disk traffic (0)"),
    key!("network", COUNT, spread.network, "weight of network traffic (0)"),
    key!("contention", COUNT, spread.contention, "weight of CPU time that VMs wanted and did not get (0)"),
    key!(
        "heat",
        COUNT,
        spread.heat,
        "weight of CPU load in warm racks: hosts have the labels `rack` and `celsius` (0)"
    ),
    key!("floor", SHARE, spread.floor, "below this part of a host nothing is done, however uneven (50%)"),
];

const ANY: &str =
    "`vm`, `vm_tag` and `vms` say which VMs it may move, `host`, `host_tag` and `hosts` which hosts it is about";

/// The goals.
pub(crate) static GOALS: Kinds<GoalDraft, GoalKind> = Kinds {
    shown: "[[goal]]",
    one: "goal",
    common: &[
        key!("name", TEXT, must some name, "what reasons call it"),
        key!("kind", TEXT, must some kind, "what is wanted"),
        key!("weight", COUNT, weight, "how much it counts against others; 100 is usual, 0 only reports"),
        key!("when", TEXT, some when, "it is on only while this calendar holds; always if not given"),
    ],
    vm_keys: &[
        key!("vm", TEXTS, select.vm, "VMs that it may move: patterns of which one must fit the name or the UUID"),
        key!("vm_tag", TEXTS, select.vm_tag, "VMs that it may move: patterns of which one must fit a tag"),
        key!("vms", TEXT, some select.vms, "VMs that it may move: the name of a group"),
    ],
    host_keys: &[
        key!("host", TEXTS, select.host, "hosts that it is about: patterns of which one must fit the name"),
        key!("host_tag", TEXTS, select.host_tag, "hosts that it is about: patterns of which one must fit a tag"),
        key!("hosts", TEXT, some select.hosts, "hosts that it is about: the name of a group"),
    ],
    kinds: &[
        Kind {
            name: "rules",
            says: "rules that are not kept are kept again, and soft ones as far as possible",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &[],
            build: |_, _| GoalKind::Rules,
        },
        Kind {
            name: "relieve",
            says: "overworked hosts are relieved; [hotspot] says which are",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &[],
            build: |_, _| GoalKind::Relieve,
        },
        Kind {
            name: "even",
            says: "load is spread over the hosts",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &SPREAD,
            build: |draft, ground| GoalKind::Even(spread(draft, ground)),
        },
        Kind {
            name: "headroom",
            says: "room for bursts is made as large as possible where it is smallest",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &SPREAD,
            build: |draft, ground| GoalKind::Headroom(spread(draft, ground)),
        },
        Kind {
            name: "defragment",
            says: "as few or as cheap hosts as possible carry VMs",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &[
                key!(
                    "watts",
                    COUNT,
                    defragment.watts,
                    "what a host without VMs saves; a host's label `watts` goes before it (100)"
                ),
                key!("cpu", SHARE, defragment.cpu, "a host is filled up to this part of its CPUs (60%)"),
                key!("memory", SHARE, defragment.memory, "a host is filled up to this part of its memory (80%)"),
            ],
            build: defragment,
        },
        Kind {
            name: "evacuate",
            says: "these hosts are emptied",
            vms: Need::May,
            hosts: Need::Must,
            whom: "it says which hosts are emptied (`host`, `host_tag`, or `hosts` for a group)",
            keys: &[],
            build: |_, _| GoalKind::Evacuate,
        },
        Kind {
            name: "make_room",
            says: "there is room for new VMs of a shape",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &[
                key!("vcpus", COUNT, vcpus, "virtual CPUs of one"),
                key!("memory", SIZE, memory, "memory of one"),
                key!("count", COUNT, some count, "so many of them; as many as possible if not given"),
                key!("cell", FLAG, cell, "whether the memory of each must be in one NUMA cell of its host (false)"),
                key!("pages", SIZE, some pages, "the size of the huge pages that it is in; ordinary ones if not given"),
            ],
            build: make_room,
        },
        Kind {
            name: "colocate",
            says: "VMs with the same value of a label are brought near to each other",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &[
                key!("label", TEXT, must label, "the key of a label of VMs, e.g. \"app\""),
                key!(
                    "level", LEVEL, some level,
                    "what is near: \"host\" (the default), or the key of a label of hosts, e.g. \"rack\""
                ),
            ],
            build: |draft, _| GoalKind::Colocate {
                label: draft.label.clone(),
                level: draft.level.clone().unwrap_or(Level::Host),
            },
        },
        Kind {
            name: "merge",
            says: "VMs with pages in common come together on hosts that merge equal pages; [[sharing]] says what they have in common",
            vms: Need::May,
            hosts: Need::No,
            whom: "`vm`, `vm_tag` and `vms` say which VMs it may move; it is about all hosts",
            keys: &[key!(
                "sends",
                SIZE,
                merge.sends,
                "to save a GiB of memory, so much of VMs' memory is sent at most (16GiB)"
            )],
            build: merge,
        },
        Kind {
            name: "custom",
            says: "the sum of your own expressions is made small",
            vms: Need::May,
            hosts: Need::May,
            whom: ANY,
            keys: &[
                key!("each", TEXT, some each, "CEL over `vm` and `host`: what it costs that a VM is on a host"),
                key!("awake", TEXT, some awake, "CEL over `host`: what it costs that a host has any VM"),
            ],
            build: custom,
        },
    ],
};

fn spread(draft: &GoalDraft, ground: &mut Ground<'_, '_>) -> Spread {
    let spread = draft.spread;
    let weights = [spread.cpu, spread.memory, spread.disk, spread.network, spread.contention, spread.heat];
    if weights == [0; 6] {
        let help = "give `cpu`, `memory`, `disk`, `network`, `contention` or `heat` a weight";
        ground.refuse("kind", "this goal looks at nothing: all its weights are 0", "of this kind", help);
    }
    if spread.floor >= Share::WHOLE {
        let help = "the floor is where spreading begins, 50 % by default";
        ground.refuse("floor", "`floor` is below 100 %", "no host is above it", help);
    }
    spread
}

fn defragment(draft: &GoalDraft, ground: &mut Ground<'_, '_>) -> GoalKind {
    let wanted = &draft.defragment;
    for (key, value) in [("cpu", wanted.cpu), ("memory", wanted.memory)] {
        if value == Share::ZERO || value > Share::WHOLE {
            let help = "hosts are filled up to this part, 60 % of CPU and 80 % of memory by default";
            ground.refuse(key, format!("`{key}` is above 0 % and at most 100 %"), "no host can be so full", help);
        }
    }
    GoalKind::Defragment(wanted.clone())
}

fn merge(draft: &GoalDraft, ground: &mut Ground<'_, '_>) -> GoalKind {
    if draft.merge.sends == Bytes(0) {
        let help = "16 GiB by default: a VM of 8 GiB is moved for half a GiB";
        ground.refuse("sends", "`sends` is more than nothing", "no VM could be moved", help);
    }
    GoalKind::Merge(draft.merge)
}

fn make_room(draft: &GoalDraft, ground: &mut Ground<'_, '_>) -> GoalKind {
    let help = "say `vcpus` and `memory` of the VM that room is wanted for";
    for (key, missing) in [("vcpus", draft.vcpus == 0), ("memory", draft.memory == Bytes(0))] {
        if missing {
            let key_or_kind = if ground.section.has(key) { key } else { "kind" };
            ground.refuse(key_or_kind, format!("room is wanted for a VM without `{key}`"), "of which shape?", help);
        }
    }
    if draft.count == Some(0) {
        ground.refuse(
            "count",
            "room is wanted for no VM at all",
            "at least 1",
            "leave `count` out for as many as possible",
        );
    }
    if let Some(fault) = draft.pages.and_then(|size| pages_fault(size, draft.memory)) {
        ground.refuse(fault.of, fault.rule, &fault.wrong, fault.help);
    }
    let GoalDraft { vcpus, memory, count, cell, pages, .. } = *draft;
    GoalKind::MakeRoom(Shape { vcpus, memory, count, cell, pages })
}

fn custom(draft: &GoalDraft, ground: &mut Ground<'_, '_>) -> GoalKind {
    if draft.each.is_none() && draft.awake.is_none() {
        let help = "say `each`, over `vm` and `host`, or `awake`, over `host`";
        ground.refuse("kind", "this goal has no expression", "of this kind", help);
    }
    let texts = [
        ("each", &draft.each, PlacementExpression::each as Parse),
        ("awake", &draft.awake, PlacementExpression::awake),
    ];
    for (key, text, parse) in texts {
        if let Some((text, Err(error))) = text.as_ref().map(|text| (text, parse(text))) {
            let place = match error.span {
                Some(span) => ground.section.place_in(key, text, span),
                None => ground.section.place_of(key),
            };
            let message = format!("`{key}` of this goal cannot be used");
            ground.problems.push(Found::new(place, message, error.message));
        }
    }
    GoalKind::Custom(Custom { each: draft.each.clone(), awake: draft.awake.clone() })
}

type Parse = fn(&str) -> Result<PlacementExpression, ExpressionError>;

/// All goals; `None` if the texts have none, and the usual ones hold.
pub(super) fn read<'t>(
    sections: &[Section<'t>],
    groups: &Groups<'t>,
    calendars: &[Calendar],
    problems: &mut Vec<Found>,
) -> Option<Vec<Goal>> {
    let (mut goals, mut places) = (Vec::new(), Vec::new());
    for section in sections {
        let Some(read) = kinds::read(&GOALS, section, groups, calendars, problems) else { continue };
        let (kind, weight) = (read.kind, read.draft.weight);
        goals.push(Goal { name: read.name, kind, weight, when: read.when, hosts: read.hosts, vms: read.vms });
        places.push(section);
    }
    let named = goals.iter().map(|goal: &Goal| goal.name.as_str()).zip(places);
    doubles(named, "goal", "reasons name the goal that they serve, so each needs a name of its own", problems);
    if let (true, Some(last)) =
        (goals.len() == sections.len() && goals.iter().all(|goal| goal.weight == 0), sections.last())
    {
        let found = Found::new(last.place_of("weight"), "all goals have weight 0", "as of all others");
        problems.push(
            found.help("goals of weight 0 only report: nothing would ever be done; `ulm disable` switches acting off"),
        );
    }
    (!sections.is_empty()).then_some(goals)
}
