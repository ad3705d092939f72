//! Random small worlds: four hosts, six VMs, sizes of some bytes, rules of all kinds, and plans of some steps.

use std::collections::BTreeSet;
use std::time::Duration;

use ulm_model::*;

use super::{NOW, World, by_hand};

/// Numbers to make a case from.
pub struct Dice(pub std::vec::IntoIter<u8>);

impl Dice {
    /// One below `n`.
    fn below(&mut self, n: u64) -> u64 {
        u64::from(self.0.next().unwrap_or(0)) % n
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == n - 1
    }
    fn maybe(&mut self, n: u64) -> Option<u64> {
        (self.below(3) > 0).then(|| self.below(n))
    }
}

pub fn window(value: u64) -> Recent<Bytes> {
    Recent(vec![Figure { value: Bytes(value), at: NOW }])
}

/// Which kinds of rules there are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kinds {
    Only(u64),
    All,
}

pub const KINDS: u64 = 12;

pub fn world(dice: &mut Dice, kinds: Kinds) -> World {
    let mut world = World::new();
    let snapshot = &mut world.snapshot;
    let roomy = kinds != Kinds::All || dice.one_in(2);
    for host in &mut snapshot.hosts {
        host.memory = Bytes(if roomy { 30 } else { 6 + dice.below(12) });
        host.cpu = MilliCpu(if roomy { 20_000 } else { 1500 + dice.below(8) * 500 });
        host.memory_use = window(if roomy { 0 } else { dice.below(4) });
        for (key, values, often) in [("rack", 2, 5), ("gen", 3, 4)] {
            if !dice.one_in(often) {
                host.tags.insert(format!("{key}={}", dice.below(values)));
            }
        }
        if kinds == Kinds::Only(11) {
            let cells = dice.below(3);
            for id in 0..cells as u32 {
                let pages =
                    [2, 4].map(|size| HugePages { size: Bytes(size), total: Bytes(99), free: Bytes(dice.below(10)) });
                host.cells.push(Cell {
                    id,
                    cpus: 4,
                    free: Bytes(dice.below(10)),
                    pages: pages.into(),
                    ..Cell::default()
                });
            }
        }
    }
    // Spare rules are about how much there is.
    if kinds == Kinds::Only(8) {
        for host in &mut snapshot.hosts {
            host.memory = Bytes(6 + dice.below(14));
            host.cpu = MilliCpu(2000 + dice.below(6) * 1000);
            if dice.one_in(6) {
                host.state = HostState::Maintenance;
            }
        }
    }
    snapshot.vms.truncate(6);
    for vm in &mut snapshot.vms {
        vm.host = HostIx(dice.below(4) as u32);
        (vm.memory, vm.vcpus) = (Bytes(1 + dice.below(4)), 1 + dice.below(3) as u32);
        vm.memory_use = if dice.one_in(4) { Recent::default() } else { window(dice.below(5)) };
        if !dice.one_in(4) {
            vm.tags.insert(format!("app={}", dice.below(2)));
        }
        let needs = vm.needs.as_mut().unwrap();
        if kinds == Kinds::Only(11) {
            needs.pages = dice.one_in(2).then(|| Bytes(2 + 2 * dice.below(2)));
            needs.cells = (0..2).filter(|_| dice.one_in(2)).collect();
        }
    }
    let mut steps = Vec::new();
    for v in 0..dice.below(3) as usize {
        if dice.one_in(2) {
            let from = snapshot.vms[v].host;
            let to = HostIx((from.0 + 1 + dice.below(3) as u32) % 4);
            let to = (!dice.one_in(4)).then_some(to);
            snapshot.in_flight.push(InFlight { vm: VmIx(v as u32), from, to, since: NOW });
        }
    }
    let mut at: Vec<u32> = snapshot.vms.iter().map(|vm| vm.host.0).collect();
    let hands = dice.below(4);
    for i in 0..1 + dice.below(5) as usize {
        // Of the first two some may be moving already.
        let v = if snapshot.in_flight.is_empty() { dice.below(6) } else { 2 + dice.below(4) } as usize;
        let to = (at[v] + 1 + dice.below(3) as u32) % 4;
        let bits = dice.below(256);
        let mut after: BTreeSet<u32> = (0..i as u32).filter(|s| bits >> (s % 8) & 3 == 3).collect();
        let mine = |step: &Step| matches!(&step.action, Action::Move { vm, .. } if *vm == snapshot.vms[v].id);
        after.extend(steps.iter().rposition(mine).map(|s| s as u32));
        let name = |h: u32| HostName(format!("h{h}"));
        steps.push(Step {
            id: StepId(i as u32),
            action: Action::Move {
                vm: snapshot.vms[v].id,
                vm_name: snapshot.vms[v].name.clone(),
                from: name(at[v]),
                to: name(to),
            },
            after: after.into_iter().map(StepId).collect(),
            because: if hands == 1 || (hands == 2 && dice.one_in(2)) { by_hand() } else { Reason::Calm {} },
            expected: dice.maybe(3).map(|s| Expected {
                duration: Duration::from_secs(60),
                downtime: Duration::from_secs(s),
                bytes: Bytes(1),
                gains: vec![],
                payback: None,
                lasts: None,
            }),
        });
        at[v] = to;
    }
    world.plan.steps = steps;
    world.now = Time(NOW.0 + 50_000);
    for _ in 0..dice.below(5) {
        let vm = world.snapshot.vms[dice.below(6) as usize].id;
        let (ended, downtime) = (Time(world.now.0 - dice.below(6) as i64 * 1000), Duration::from_secs(dice.below(3)));
        world.past.push(PastMove { vm, ended, downtime });
    }
    let rulebook = &mut world.rulebook;
    rulebook.capacity = Capacity {
        memory_overcommit: Share::percent(100),
        memory_reserve: Bytes(dice.below(2)),
        cpu_overcommit: Share::percent(150),
    };
    for r in 0..1 + dice.below(3) {
        let kind = match kinds {
            Kinds::All => dice.below(KINDS),
            Kinds::Only(kind) if r > 0 && dice.one_in(2) => [kind, dice.below(KINDS)][1],
            Kinds::Only(kind) => kind,
        };
        let (kind, soft) = (a_kind(dice, kind), dice.one_in(10));
        let softens =
            matches!(kind, RuleKind::Pin | RuleKind::KeepOff | RuleKind::Together { .. } | RuleKind::Apart { .. });
        let some = |dice: &mut Dice, words: &[&str]| match dice.below(words.len() as u64 + 1) as usize {
            0 => vec![],
            i => vec![words[i - 1].to_owned()],
        };
        rulebook.rules.push(Rule {
            name: format!("r{r}"),
            kind,
            soft: soft && softens,
            vms: VmSelector {
                name: some(dice, &["*", "*", "vm-[0-9]", "vm-?", "*4", "vm-1*"]),
                tag: some(dice, &["app=*", "", "app=1", "*"]).into_iter().filter(|tag| !tag.is_empty()).collect(),
            },
            hosts: HostSelector {
                name: some(dice, &["*", "*", "h1", "h?", "h3"]),
                tag: some(dice, &["rack=*", "", "rack=1", ""]).into_iter().filter(|tag| !tag.is_empty()).collect(),
            },
        });
    }
    if dice.one_in(2) {
        share(dice, &mut world);
    }
    world
}

/// Some hosts merge, and VMs have some bytes in common.
fn share(dice: &mut Dice, world: &mut World) {
    for host in &mut world.snapshot.hosts {
        let (saved, full_scans) = (Bytes(dice.below(7)), 1 + dice.below(4));
        host.merging = (!dice.one_in(4)).then(|| Merging { saved, full_scans, ..Merging::default() });
    }
    for patterns in [["vm-1*", "vm-4"], ["*", "vm-2"]] {
        let level =
            |dice: &mut Dice, prefix: &str| SharingLevel { prefix: prefix.into(), weight: Bytes(dice.below(4)) };
        world.rulebook.sharing.push(SharingGroup {
            name: "g".into(),
            vms: VmSelector {
                name: patterns[dice.below(2) as usize..].iter().map(|it| (*it).to_owned()).collect(),
                tag: vec![],
            },
            levels: vec![level(dice, "app="), level(dice, "a")],
            nodes: vec![SharingNode { path: vec!["1".into()], weight: Bytes(dice.below(4)) }],
            trust: Trust::stated(Share::percent(if dice.one_in(2) { 100 } else { 60 })),
            reserve: Share::percent(if dice.one_in(2) { 0 } else { 40 }),
        });
    }
}

pub fn a_kind(dice: &mut Dice, kind: u64) -> RuleKind {
    let level = |dice: &mut Dice| if dice.one_in(2) { Level::Host } else { Level::Label("rack".into()) };
    match kind {
        0 => RuleKind::Apart { level: level(dice), at_most: 1 + dice.below(3) as u32 },
        1 => RuleKind::MaxVms { at_most: 1 + dice.below(4) as u32 },
        2 => RuleKind::Together { level: level(dice) },
        3 => RuleKind::Capacity {
            memory_overcommit: dice.maybe(12).map(|n| Share(n as u32 * 1300)),
            memory_reserve: dice.maybe(4).map(Bytes),
            cpu_overcommit: dice.maybe(4).map(|n| Share(n as u32 * 5500)),
        },
        4 => RuleKind::Headroom { memory: Share(dice.below(4) as u32 * 2500), cpu: Share(dice.below(4) as u32 * 2500) },
        5 => RuleKind::OneWay { label: "gen".into() },
        6 | 7 => RuleKind::Budget {
            per: match dice.below(3) {
                0 => Per::Vm,
                1 => Per::Rule,
                _ => Per::Label("app".into()),
            },
            moves: dice.maybe(5).map(|n| n as u32),
            downtime: dice.maybe(6).map(Duration::from_secs),
            within: Duration::from_secs(dice.below(6)),
            at_once: dice.maybe(4).map(|n| n as u32),
        },
        8 => RuleKind::Spare,
        9 => {
            let always = CalendarSpan { days: [true; 7], from: 0, to: 0, dates: None };
            let spans = if dice.one_in(2) { vec![always] } else { vec![] };
            RuleKind::Window {
                calendar: Calendar { name: "c".into(), zone: "UTC".into(), spans },
                open: dice.one_in(2),
            }
        }
        10 => {
            [RuleKind::Exclude, RuleKind::Pin, RuleKind::KeepOff, RuleKind::Maintenance][dice.below(4) as usize].clone()
        }
        _ => RuleKind::Priority { rank: dice.below(200) as u32 },
    }
}
