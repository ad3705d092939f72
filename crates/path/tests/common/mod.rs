//! Random tasks that are small, and the truth about them by trying everything.
//!
//! [`task`] gives the same task for the same seed. [`truth`] is written from the meaning in `ulm_model`'s `task.rs` alone, and
//! shares nothing with the path finder or the checker.

#![allow(dead_code, reason = "each test uses its own part")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ulm_check::Completeness;
use ulm_model::*;
use ulm_path::MoveCost;

/// Random numbers: splitmix64, the same for the same seed everywhere.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// 0 to `end` − 1.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll() % (most - least + 1)
    }
    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }
    pub fn pick<'s, T>(&mut self, from: &'s [T]) -> &'s T {
        &from[self.below(from.len())]
    }
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
    /// 0 to `end` − 1 in random order.
    pub fn order(&mut self, end: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..end).collect();
        self.shuffle(&mut order);
        order
    }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Tasks by hand.

/// A host that has so much of each resource, and takes one move at a time and gives one.
pub fn host(name: &str, capacity: &[u64]) -> TaskHost {
    TaskHost {
        name: name.into(),
        capacity: capacity.to_vec(),
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    }
}

/// A VM that is to go from one host to another; its move costs what it has of the first resource.
pub fn vm(name: &str, size: &[u64], from: u32, to: u32) -> TaskVm {
    let copy = Copying { bytes: size[0], ..Copying::default() };
    TaskVm { name: name.into(), from, to, size: size.to_vec(), stays: false, copy }
}

/// A hard rule that always holds.
pub fn rule(name: &str, kind: TaskRuleKind) -> TaskRule {
    TaskRule { name: name.into(), holds: Holds::Always, soft: false, kind }
}

/// A task of one resource without rules: what hosts have, and (size, from, to) for each VM.
pub fn plain(capacity: &[u64], vms: &[(u64, u32, u32)]) -> Task {
    Task {
        resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
        hosts: capacity.iter().enumerate().map(|(i, has)| host(&format!("h{i}"), &[*has])).collect(),
        vms: vms.iter().enumerate().map(|(i, (size, from, to))| vm(&format!("v{i}"), &[*size], *from, *to)).collect(),
        ..Task::default()
    }
}

/// Each VM on at most one host of its own: anti-affinity among these VMs.
pub fn apart(vms: &[u32], hosts: u32) -> TaskRuleKind {
    TaskRuleKind::AtMost { vms: vms.to_vec(), domains: (0..hosts).map(|host| vec![host]).collect(), limit: 1 }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Random tasks.

/// Hosts and VMs of tasks whose states can all be tried: up to some 20,000 placements; now and then up to 400,000.
const SHAPES: [(usize, usize); 16] = [
    (2, 4),
    (2, 6),
    (2, 8),
    (2, 9),
    (2, 10),
    (3, 5),
    (3, 7),
    (3, 8),
    (3, 9),
    (3, 9),
    (4, 5),
    (4, 6),
    (4, 7),
    (5, 5),
    (5, 6),
    (6, 5),
];
const LARGE_SHAPES: [(usize, usize); 6] = [(3, 10), (4, 8), (4, 9), (5, 7), (5, 8), (6, 7)];

/// A random task without flaw. Nearly a third are plain; in the others each feature is there with some probability. B is sound in
/// all but a few.
pub fn task(seed: u64) -> Task {
    let mut dice = Dice::new(seed);
    loop {
        let draft = Draft::roll(&mut dice);
        if let Some(task) = draft.finish(&mut dice) {
            let flaw = task.flaw();
            assert!(flaw.is_none(), "the generator made a task with a flaw: {flaw:?}\n{task:#?}");
            return task;
        }
    }
}

/// A random task of capacities and VMs alone: every sane move has a sane way back.
pub fn plain_task(seed: u64) -> Task {
    let mut dice = Dice::new(seed);
    loop {
        let mut draft = Draft::roll(&mut dice);
        draft.plain = true;
        if let Some(task) = draft.finish(&mut dice) {
            return task;
        }
    }
}

/// Irregular sizes, capacity alone, many VMs, hosts nearly full: around the fill where most tasks turn impossible.
pub fn tight_task(seed: u64) -> Task {
    let mut dice = Dice::new(seed ^ 0x7167_6874);
    loop {
        let mut draft = Draft::roll(&mut dice);
        let (hosts, vms) = (draft.task.hosts.len(), draft.task.vms.len());
        if vms < 7 || hosts > 4 {
            continue;
        }
        (draft.plain, draft.flavours, draft.fill) = (true, false, dice.between(76, 93));
        if let Some(task) = draft.finish(&mut dice) {
            return task;
        }
    }
}

/// Too large for the truth: 8 to 30 hosts, some five VMs on each.
pub fn large_task(seed: u64) -> Task {
    let mut dice = Dice::new(seed ^ 0x006c_6172_6765);
    loop {
        let hosts = 8 + dice.below(23);
        let vms = hosts * 5 + dice.below(hosts);
        let mut draft = Draft::of_shape(&mut dice, (hosts, vms));
        draft.fill = dice.between(70, 97);
        if let Some(task) = draft.finish(&mut dice) {
            return task;
        }
    }
}

/// What is decided before VMs are placed.
struct Draft {
    plain: bool,
    flavours: bool,
    task: Task,
    fill: u64,
}

impl Draft {
    fn roll(dice: &mut Dice) -> Draft {
        let shape = if dice.percent(20) { *dice.pick(&LARGE_SHAPES) } else { *dice.pick(&SHAPES) };
        Draft::of_shape(dice, shape)
    }

    fn of_shape(dice: &mut Dice, (hosts, vms): (usize, usize)) -> Draft {
        let plain = dice.percent(30);
        let resources = *dice.pick(&[1, 1, 1, 2, 2, 3, 4]);
        let flavours = dice.percent(40);
        let mut task = Task::default();
        for name in &["memory", "cpu", "disk", "network"][..resources] {
            task.resources.push(TaskResource { name: (*name).into(), holds: Holds::Always });
        }
        for i in 0..hosts {
            let mut one = host(&format!("h{i}"), &vec![0; resources]);
            one.moves_in = dice.between(1, 2) as u32;
            one.moves_out = dice.between(1, 2) as u32;
            task.hosts.push(one);
        }
        let (bytes_are_memory, together) = (dice.percent(70), dice.percent(50));
        for i in 0..vms {
            let first = if flavours { *dice.pick(&[4, 8, 8, 16, 16, 32]) } else { dice.between(3, 32) };
            let size = (0..resources).map(|r| match (r, together) {
                (0, _) => first,
                (_, true) => first * (r as u64 + 1) / 2 + dice.between(0, 3),
                (_, false) => dice.between(1, 20),
            });
            let size: Vec<u64> = size.collect();
            let mut one = vm(&format!("v{i}"), &size, 0, 0);
            one.copy.bytes = if bytes_are_memory { first } else { dice.between(1, 12) };
            task.vms.push(one);
        }
        Draft {
            plain,
            flavours,
            task,
            fill: if dice.percent(30) { dice.between(60, 85) } else { dice.between(80, 100) },
        }
    }

    fn finish(mut self, dice: &mut Dice) -> Option<Task> {
        let mixed = !self.plain;
        if mixed {
            self.decide_hosts(dice);
            for resource in &mut self.task.resources[1..] {
                resource.holds = if dice.percent(15) { Holds::AtEnd } else { Holds::Always };
            }
        }
        let groups = if mixed && dice.percent(20) { self.decide_groups(dice) } else { vec![] };
        self.provide(dice);
        let keep = *dice.pick(&[0, 0, 30, 70]);
        let mut placed = false;
        for _ in 0..12 {
            placed = self.place(dice, &groups, keep);
            if placed {
                break;
            }
            self.widen();
        }
        if !placed {
            return None;
        }
        if mixed {
            if dice.percent(12) {
                self.overload_a(dice);
            }
            self.decide_rules(dice);
            self.decide_groups_of_the_end(dice, &groups);
            if dice.percent(30) {
                self.connect(dice);
            }
            if dice.percent(2) {
                // B is what it happens to be.
                let hosts = self.task.hosts.len();
                let vm = dice.below(self.task.vms.len());
                if !self.task.vms[vm].stays {
                    self.task.vms[vm].to = dice.below(hosts) as u32;
                }
            }
        }
        Some(self.task)
    }

    fn decide_hosts(&mut self, dice: &mut Dice) {
        let hosts = self.task.hosts.len();
        if dice.percent(15) {
            self.task.hosts[dice.below(hosts)].takes = false;
        }
        if hosts > 2 && dice.percent(20) {
            let powers = [
                Power::Off,
                Power::SwitchOn { takes_ms: 120_000 },
                Power::SwitchOn { takes_ms: 500 },
                Power::SwitchOff { takes_ms: 17_000 },
                Power::SwitchOff { takes_ms: 17_000 },
            ];
            self.task.hosts[hosts - 1].power = *dice.pick(&powers);
            if hosts > 3 && dice.percent(30) {
                self.task.hosts[hosts - 2].power = *dice.pick(&powers);
            }
        }
        for vm in &mut self.task.vms {
            vm.stays = dice.percent(6);
        }
    }

    /// Sets of VMs that are together in A and in B.
    fn decide_groups(&mut self, dice: &mut Dice) -> Vec<Vec<usize>> {
        let order = dice.order(self.task.vms.len());
        let members = 2 + dice.below(2);
        let mut groups = vec![order[..members].to_vec()];
        if order.len() > members + 3 && dice.percent(40) {
            groups.push(order[members..members + 2].to_vec());
        }
        for (i, group) in groups.iter().enumerate() {
            let vms = group.iter().map(|vm| *vm as u32).collect();
            let mut rule = rule(&format!("together-{i}"), TaskRuleKind::Together { vms });
            rule.soft = dice.percent(20);
            self.task.rules.push(rule);
        }
        groups
    }

    /// Gives hosts so much that the VMs fill them as wished.
    fn provide(&mut self, dice: &mut Dice) {
        let alike = dice.percent(60);
        let on = |host: &TaskHost, a: bool| match host.power {
            Power::On => true,
            Power::Off => false,
            Power::SwitchOn { .. } => !a,
            Power::SwitchOff { .. } => a,
        };
        let count = |a| self.task.hosts.iter().filter(|host| on(host, a)).count() as u64;
        let usable = count(true).min(count(false)).max(1);
        for r in 0..self.task.resources.len() {
            let asked: u64 = self.task.vms.iter().map(|vm| vm.size[r]).sum();
            let most = self.task.vms.iter().map(|vm| vm.size[r]).max().unwrap_or(1);
            // The first resource is as scarce as wished, the others mostly less so.
            let fill = if r == 0 { self.fill } else { self.fill - dice.between(0, 20) };
            let each = (asked * 100).div_ceil(fill * usable).max(most);
            for host in &mut self.task.hosts {
                host.capacity[r] = match (r == 0 && self.flavours, alike) {
                    (true, true) => each.div_ceil(16) * 16,
                    (true, false) => (each + dice.between(0, 24) - 8).div_ceil(8) * 8,
                    (false, true) => each,
                    (false, false) => (each + dice.between(0, each / 4)).saturating_sub(each / 8),
                };
            }
        }
    }

    fn widen(&mut self) {
        for host in &mut self.task.hosts {
            for has in &mut host.capacity {
                *has += if self.flavours { 8 } else { 1 + *has / 30 };
            }
        }
    }

    /// Places all VMs, for A and for B; of the VMs of A so many percent keep their place in B where it may be.
    fn place(&mut self, dice: &mut Dice, groups: &[Vec<usize>], keep: u64) -> bool {
        let groups: Vec<Vec<usize>> = groups
            .iter()
            .cloned()
            .chain(
                (0..self.task.vms.len()).filter(|vm| !groups.iter().flatten().any(|one| one == vm)).map(|vm| vec![vm]),
            )
            .collect();
        let a = |host: usize, task: &Task| matches!(task.hosts[host].power, Power::On | Power::SwitchOff { .. });
        let Some(from) = self.pack(dice, &groups, &[], &a) else { return false };
        let b = |host: usize, task: &Task| {
            matches!(task.hosts[host].power, Power::On | Power::SwitchOn { .. }) && task.hosts[host].takes
        };
        let in_b = |host: usize, task: &Task| matches!(task.hosts[host].power, Power::On | Power::SwitchOn { .. });
        let drained = dice.percent(60);
        let mut kept = vec![None; self.task.vms.len()];
        for group in &groups {
            let stays = group.iter().any(|vm| self.task.vms[*vm].stays);
            let host = from[group[0]];
            let leaves = !in_b(host, &self.task) || (drained && !self.task.hosts[host].takes);
            if (stays || dice.percent(keep)) && !leaves {
                group.iter().for_each(|vm| kept[*vm] = Some(host));
            } else if stays {
                group.iter().for_each(|vm| self.task.vms[*vm].stays = false);
            }
        }
        let exchanged = if dice.percent(45) { self.exchange(dice, &groups, &from) } else { None };
        let Some(to) = exchanged.or_else(|| self.pack(dice, &groups, &kept, &b)) else { return false };
        for (i, vm) in self.task.vms.iter_mut().enumerate() {
            (vm.from, vm.to) = (from[i] as u32, to[i] as u32);
        }
        true
    }

    /// A with some groups in exchanged places, two or three at a time: what is hardest to reach. None if a host is to be left.
    fn exchange(&self, dice: &mut Dice, groups: &[Vec<usize>], from: &[usize]) -> Option<Vec<usize>> {
        let task = &self.task;
        let steady = |host: &usize| task.hosts[*host].takes && task.hosts[*host].power == Power::On;
        if !from.iter().all(steady) {
            return None;
        }
        let fits = |at: &[usize]| {
            (0..task.hosts.len()).all(|host| {
                (0..task.resources.len()).all(|r| {
                    let there = (0..at.len()).filter(|vm| at[*vm] == host);
                    there.map(|vm| task.vms[vm].size[r]).sum::<u64>() <= task.hosts[host].capacity[r]
                })
            })
        };
        let movable: Vec<&Vec<usize>> =
            groups.iter().filter(|group| !group.iter().any(|vm| task.vms[*vm].stays)).collect();
        if movable.len() < 3 {
            return None;
        }
        let (mut at, mut left) = (from.to_vec(), dice.between(1, 5));
        for _ in 0..40 {
            let mut next = at.clone();
            let order = dice.order(movable.len());
            let ring = &order[..2 + dice.below(2)];
            for (i, one) in ring.iter().enumerate() {
                let other = movable[ring[(i + 1) % ring.len()]][0];
                movable[*one].iter().for_each(|vm| next[*vm] = at[other]);
            }
            if left > 0 && next != at && fits(&next) {
                (at, left) = (next, left - 1);
            }
        }
        (at != from).then_some(at)
    }

    /// A random packing on the hosts that may be used, or none after some attempts.
    fn pack(
        &self,
        dice: &mut Dice,
        groups: &[Vec<usize>],
        kept: &[Option<usize>],
        usable: &dyn Fn(usize, &Task) -> bool,
    ) -> Option<Vec<usize>> {
        let task = &self.task;
        let hosts: Vec<usize> = (0..task.hosts.len()).filter(|host| usable(*host, task)).collect();
        'attempts: for attempt in 0..12 {
            let mut free: Vec<Vec<u64>> = task.hosts.iter().map(|host| host.capacity.clone()).collect();
            let mut at = vec![usize::MAX; task.vms.len()];
            let mut take = |free: &mut Vec<Vec<u64>>, group: &[usize], host: usize| {
                let asked = |r: usize| group.iter().map(|vm| task.vms[*vm].size[r]).sum::<u64>();
                if (0..task.resources.len()).any(|r| free[host][r] < asked(r)) {
                    return false;
                }
                for vm in group {
                    free[host].iter_mut().zip(&task.vms[*vm].size).for_each(|(free, size)| *free -= size);
                    at[*vm] = host;
                }
                true
            };
            let mut order = groups.to_vec();
            dice.shuffle(&mut order);
            if attempt % 2 == 1 {
                order.sort_by_key(|group| Reverse(group.iter().map(|vm| task.vms[*vm].size[0]).sum::<u64>()));
            }
            order.sort_by_key(|group| kept.get(group[0]).copied().flatten().is_none());
            for group in &order {
                let wanted = kept.get(group[0]).copied().flatten();
                let tries: Vec<usize> = match wanted {
                    Some(host) => vec![host],
                    None => dice.order(hosts.len()).into_iter().map(|i| hosts[i]).collect(),
                };
                if !tries.into_iter().any(|host| take(&mut free, group, host)) {
                    continue 'attempts;
                }
            }
            return Some(at);
        }
        None
    }

    /// Takes from a host what A needs there and B does not: A breaks a limit.
    fn overload_a(&mut self, dice: &mut Dice) {
        for host in dice.order(self.task.hosts.len()) {
            let r = dice.below(self.task.resources.len());
            let load = |in_a: bool| -> u64 {
                let there = |vm: &&TaskVm| (if in_a { vm.from } else { vm.to }) == host as u32;
                self.task.vms.iter().filter(there).map(|vm| vm.size[r]).sum()
            };
            let (a, b) = (load(true), load(false));
            if b < a {
                self.task.hosts[host].capacity[r] = dice.between(b, a - 1);
                return;
            }
        }
    }

    fn decide_rules(&mut self, dice: &mut Dice) {
        let (hosts, vms) = (self.task.hosts.len(), self.task.vms.len());
        let some_vms = |dice: &mut Dice, most: usize| -> Vec<u32> {
            let count = 2 + dice.below(most - 1);
            dice.order(vms)[..count.min(vms)].iter().map(|vm| *vm as u32).collect()
        };
        let mut kinds = vec![];
        while dice.percent(40) {
            let mut domains: Vec<Vec<u32>> = (0..hosts as u32).map(|host| vec![host]).collect();
            let (mut limit, mut most) = (1, 4);
            if dice.percent(35) && hosts > 2 {
                // Racks; now and then a host is in none.
                domains = vec![vec![]; 2];
                (0..hosts as u32).filter(|_| dice.percent(90)).for_each(|host| domains[host as usize % 2].push(host));
                (limit, most) = (dice.between(1, 3), vms);
            } else if dice.percent(20) {
                (limit, most) = ((vms as u64).div_ceil(hosts as u64) + dice.between(0, 1), vms);
            }
            kinds.push(TaskRuleKind::AtMost { vms: some_vms(dice, most), domains: domains.into(), limit });
        }
        if dice.percent(25) {
            let these = some_vms(dice, 4);
            let mut hosts: Vec<u32> = (0..hosts as u32).filter(|_| dice.percent(60)).collect();
            hosts.extend(these.iter().map(|vm| self.task.vms[*vm as usize].to));
            kinds.push(TaskRuleKind::Only { vms: these, hosts });
        }
        if dice.percent(20) {
            let these = some_vms(dice, 4);
            let wanted = |host: &u32| these.iter().any(|vm| self.task.vms[*vm as usize].to == *host);
            let hosts = (0..hosts as u32).filter(|host| !wanted(host) && dice.percent(50)).collect();
            kinds.push(TaskRuleKind::Never { vms: these, hosts });
        }
        if dice.percent(15) {
            let rank: Vec<u32> = (0..hosts).map(|_| dice.below(3) as u32).collect();
            let upward = |vm: &u32| {
                let vm = &self.task.vms[*vm as usize];
                rank[vm.from as usize] <= rank[vm.to as usize]
            };
            let these = some_vms(dice, vms).into_iter().filter(upward).collect();
            kinds.push(TaskRuleKind::OneWay { vms: these, rank });
        }
        for kind in kinds {
            // What B breaks is of no use, and what A breaks is the exception.
            let b_keeps = keeps(&self.task, &kind, |vm| vm.to);
            let a_keeps = keeps(&self.task, &kind, |vm| vm.from);
            if b_keeps && (a_keeps || dice.percent(25)) {
                let mut rule = rule(&format!("rule-{}", self.task.rules.len()), kind);
                let for_the_end = !matches!(rule.kind, TaskRuleKind::OneWay { .. }) && dice.percent(10);
                rule.holds = if for_the_end { Holds::AtEnd } else { Holds::Always };
                rule.soft = dice.percent(20);
                self.task.rules.push(rule);
            }
        }
    }

    /// Now and then VMs are to be together that need not be on the way: they are not in A, or the rule says so.
    fn decide_groups_of_the_end(&mut self, dice: &mut Dice, groups: &[Vec<usize>]) {
        if !groups.is_empty() || !dice.percent(10) {
            return;
        }
        let host = dice.below(self.task.hosts.len()) as u32;
        let mut vms: Vec<u32> =
            (0..self.task.vms.len() as u32).filter(|vm| self.task.vms[*vm as usize].to == host).collect();
        vms.truncate(3);
        if vms.len() >= 2 {
            let mut rule = rule("in-the-end", TaskRuleKind::Together { vms });
            rule.holds = if dice.percent(50) { Holds::AtEnd } else { Holds::Always };
            self.task.rules.push(rule);
        }
    }

    /// A network card for each host, and now and then two racks with an uplink each.
    fn connect(&mut self, dice: &mut Dice) {
        let hosts = self.task.hosts.len() as u32;
        for host in 0..hosts {
            let link =
                TaskLink { name: format!("nic-{host}"), rate: dice.between(1, 3) * 50_000_000, inside: vec![host] };
            self.task.links.push(link);
        }
        if dice.percent(40) {
            let inside = (0..hosts / 2).collect();
            self.task.links.push(TaskLink { name: "uplink".into(), rate: dice.between(1, 4) * 50_000_000, inside });
        }
        if dice.percent(50) {
            for vm in &mut self.task.vms {
                vm.copy.takes_ms = Some(dice.between(1, 60_000));
            }
        }
    }
}

/// Whether a placement keeps what the rule asks for.
pub fn keeps(task: &Task, kind: &TaskRuleKind, at: impl Fn(&TaskVm) -> u32) -> bool {
    let host = |vm: &u32| at(&task.vms[*vm as usize]);
    match kind {
        TaskRuleKind::AtMost { vms, domains, limit } => {
            domains.iter().all(|domain| vms.iter().filter(|vm| domain.contains(&host(vm))).count() as u64 <= *limit)
        }
        TaskRuleKind::Together { vms } => vms.iter().all(|vm| host(vm) == host(&vms[0])),
        TaskRuleKind::Only { vms, hosts } => vms.iter().all(|vm| hosts.contains(&host(vm))),
        TaskRuleKind::Never { vms, hosts } => !vms.iter().any(|vm| hosts.contains(&host(vm))),
        TaskRuleKind::OneWay { vms, rank } => vms.iter().all(|vm| {
            let from = task.vms[*vm as usize].from;
            rank[from as usize] <= rank[host(vm) as usize]
        }),
    }
}

/// Whether B keeps all limits and rules, and every VM that moves may move to its host there.
pub fn b_is_sound(task: &Task) -> bool {
    let loads_fit = (0..task.hosts.len()).all(|host| {
        (0..task.resources.len()).all(|r| {
            let there = task.vms.iter().filter(|vm| vm.to as usize == host);
            there.map(|vm| vm.size[r]).sum::<u64>() <= task.hosts[host].capacity[r]
        })
    });
    let hosts_are_on = task.vms.iter().all(|vm| {
        let host = &task.hosts[vm.to as usize];
        !matches!(host.power, Power::Off | Power::SwitchOff { .. }) && (host.takes || vm.from == vm.to)
    });
    loads_fit && hosts_are_on && task.rules.iter().all(|rule| keeps(task, &rule.kind, |vm| vm.to))
}

// ---------------------------------------------------------------------------------------------------------------------------------
// The truth.

/// What trying everything tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// What the cheapest route costs, if there is a route.
    pub optimum: Option<u64>,
    /// How many states were looked at.
    pub states: usize,
}

/// What moves at once: a VM, or VMs that are to be together all the time.
struct Item {
    vms: Vec<usize>,
    from: usize,
    to: usize,
    size: Vec<u64>,
    /// By hosts: from, to. None: such a move is not allowed.
    cost: Vec<Vec<Option<u64>>>,
    /// What each further move costs at least while it is not where it is to be.
    least: u64,
}

/// A limit on VMs in a domain that always holds.
struct Crowd {
    domain_of: Vec<Option<usize>>,
    weight: Vec<u64>,
    standing: Vec<u64>,
    limit: Vec<u64>,
}

/// The cheapest route, by A* over all placements. A group moves as one.
pub fn truth(task: &Task, cost: &dyn MoveCost) -> Truth {
    if !b_is_sound(task) {
        return Truth { optimum: None, states: 0 };
    }
    let hosts = task.hosts.len();
    let items = items(task, cost);
    let always: Vec<usize> = (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always).collect();
    // What stands still, and what is the limit on the way: the capacity, or what A has there.
    let moves = |vm: usize| items.iter().any(|item| item.vms.contains(&vm));
    let mut standing = vec![vec![0; always.len()]; hosts];
    let mut limit = vec![vec![0; always.len()]; hosts];
    for host in 0..hosts {
        for (i, r) in always.iter().enumerate() {
            let there = || task.vms.iter().enumerate().filter(|(_, vm)| vm.from as usize == host);
            let in_a: u64 = there().map(|(_, vm)| vm.size[*r]).sum();
            limit[host][i] = task.hosts[host].capacity[*r].max(in_a);
            standing[host][i] = there().filter(|(v, _)| !moves(*v)).map(|(_, vm)| vm.size[*r]).sum();
        }
    }
    let crowds = crowds(task, &items);

    let power: Vec<usize> = (0..items.len()).map(|i| hosts.pow(i as u32)).collect();
    let number = |end: &dyn Fn(&Item) -> usize| items.iter().zip(&power).map(|(item, p)| end(item) * p).sum::<usize>();
    let (start, goal) = (number(&|item| item.from), number(&|item| item.to));
    let mut best = vec![u64::MAX; hosts.pow(items.len() as u32)];
    let mut queue = BinaryHeap::new();
    let ahead: u64 = items.iter().filter(|item| item.from != item.to).map(|item| item.least).sum();
    best[start] = 0;
    queue.push(Reverse((ahead, ahead, start)));
    let mut at = vec![0; items.len()];
    let mut load = standing.clone();
    let mut count: Vec<Vec<u64>> = crowds.iter().map(|crowd| crowd.standing.clone()).collect();
    let mut states = 0;
    while let Some(Reverse((whole, ahead, state))) = queue.pop() {
        let so_far = whole - ahead;
        if so_far > best[state] {
            continue;
        }
        states += 1;
        if state == goal {
            return Truth { optimum: Some(so_far), states };
        }
        load.iter_mut().zip(&standing).for_each(|(load, standing)| load.copy_from_slice(standing));
        count.iter_mut().zip(&crowds).for_each(|(count, crowd)| count.copy_from_slice(&crowd.standing));
        let mut rest = state;
        for (i, item) in items.iter().enumerate() {
            at[i] = rest % hosts;
            rest /= hosts;
            load[at[i]].iter_mut().zip(&item.size).for_each(|(load, size)| *load += size);
            for (count, crowd) in count.iter_mut().zip(&crowds) {
                if let Some(domain) = crowd.domain_of[at[i]] {
                    count[domain] += crowd.weight[i];
                }
            }
        }
        for (i, item) in items.iter().enumerate() {
            for to in 0..hosts {
                let Some(cost) = item.cost[at[i]][to] else { continue };
                let fits = (0..always.len()).all(|r| load[to][r] + item.size[r] <= limit[to][r]);
                let may = fits
                    && crowds.iter().zip(&count).all(|(crowd, count)| match crowd.domain_of[to] {
                        Some(domain) if crowd.domain_of[at[i]] != Some(domain) && crowd.weight[i] > 0 => {
                            count[domain] + crowd.weight[i] <= crowd.limit[domain]
                        }
                        _ => true,
                    });
                let next = state + to * power[i] - at[i] * power[i];
                if may && so_far + cost < best[next] {
                    best[next] = so_far + cost;
                    let was = if at[i] == item.to { 0 } else { item.least };
                    let is = if to == item.to { 0 } else { item.least };
                    let ahead = ahead + is - was;
                    queue.push(Reverse((so_far + cost + ahead, ahead, next)));
                }
            }
        }
    }
    Truth { optimum: None, states }
}

/// What can move, and which of its moves are allowed whatever stands on the hosts.
fn items(task: &Task, cost: &dyn MoveCost) -> Vec<Item> {
    let mut item_of: Vec<usize> = (0..task.vms.len()).collect();
    for rule in &task.rules {
        if let TaskRuleKind::Together { vms } = &rule.kind
            && rule.holds == Holds::Always
            && keeps(task, &rule.kind, |vm| vm.from)
            && keeps(task, &rule.kind, |vm| vm.to)
        {
            vms.iter().for_each(|vm| item_of[*vm as usize] = vms[0] as usize);
        }
    }
    let sets = (0..task.vms.len()).map(|one| (0..task.vms.len()).filter(|vm| item_of[*vm] == one).collect::<Vec<_>>());
    let moving = sets.filter(|vms| !vms.is_empty() && !vms.iter().any(|vm| task.vms[*vm].stays));
    let item = |vms: Vec<usize>| {
        let hosts = 0..task.hosts.len();
        let between = |from: usize, to: usize| {
            let may = from != to && vms.iter().all(|vm| may_move(task, *vm as u32, from as u32, to as u32));
            may.then(|| vms.iter().map(|vm| cost.cost(task, *vm as u32, from as u32, to as u32)).sum::<u64>())
        };
        let cost: Vec<Vec<_>> = hosts.clone().map(|from| hosts.clone().map(|to| between(from, to)).collect()).collect();
        let always = (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always);
        Item {
            from: task.vms[vms[0]].from as usize,
            to: task.vms[vms[0]].to as usize,
            size: always.map(|r| vms.iter().map(|vm| task.vms[*vm].size[r]).sum()).collect(),
            least: cost.iter().flatten().flatten().min().copied().unwrap_or(0),
            vms,
            cost,
        }
    };
    moving.map(item).collect()
}

/// Whether a VM may be moved so as far as the hosts and the rules that name hosts are concerned.
pub fn may_move(task: &Task, vm: u32, from: u32, to: u32) -> bool {
    let target = &task.hosts[to as usize];
    let takes = target.takes && matches!(target.power, Power::On | Power::SwitchOn { .. });
    let allowed = |rule: &TaskRule| match &rule.kind {
        _ if rule.holds == Holds::AtEnd => true,
        TaskRuleKind::Only { vms, hosts } => !vms.contains(&vm) || hosts.contains(&to),
        TaskRuleKind::Never { vms, hosts } => !vms.contains(&vm) || !hosts.contains(&to),
        TaskRuleKind::OneWay { vms, rank } => !vms.contains(&vm) || rank[from as usize] <= rank[to as usize],
        TaskRuleKind::AtMost { .. } | TaskRuleKind::Together { .. } => true,
    };
    takes && !task.vms[vm as usize].stays && task.rules.iter().all(allowed)
}

fn crowds(task: &Task, items: &[Item]) -> Vec<Crowd> {
    let mut crowds = vec![];
    for rule in task.rules.iter().filter(|rule| rule.holds == Holds::Always) {
        let TaskRuleKind::AtMost { vms, domains, limit } = &rule.kind else { continue };
        let named = |vm: usize| vms.contains(&(vm as u32));
        let moves = |vm: usize| items.iter().any(|item| item.vms.contains(&vm));
        let in_domain = |vm: u32, domain: &Vec<u32>| domain.contains(&task.vms[vm as usize].from);
        let count = |domain: &Vec<u32>, which: &dyn Fn(usize) -> bool| {
            vms.iter().filter(|vm| which(**vm as usize) && in_domain(**vm, domain)).count() as u64
        };
        crowds.push(Crowd {
            domain_of: (0..task.hosts.len() as u32)
                .map(|host| domains.iter().position(|domain| domain.contains(&host)))
                .collect(),
            weight: items.iter().map(|item| item.vms.iter().filter(|vm| named(**vm)).count() as u64).collect(),
            standing: domains.iter().map(|domain| count(domain, &|vm| !moves(vm))).collect(),
            limit: domains.iter().map(|domain| count(domain, &|_| true).max(*limit)).collect(),
        });
    }
    crowds
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Carrying out.

/// Cost that depends on the way: more between hosts that are further apart.
pub struct ByWay;

impl MoveCost for ByWay {
    fn cost(&self, task: &Task, vm: u32, from: u32, to: u32) -> u64 {
        task.vms[vm as usize].copy.bytes * (2 + u64::from(from.abs_diff(to)))
    }
}

/// Where everything is while a route is carried out.
pub struct World<'t> {
    task: &'t Task,
    pub at: Vec<u32>,
    moving_to: Vec<Option<u32>>,
    on: Vec<bool>,
}

impl<'t> World<'t> {
    fn new(task: &'t Task) -> Self {
        World {
            task,
            at: task.vms.iter().map(|vm| vm.from).collect(),
            moving_to: vec![None; task.vms.len()],
            on: task.hosts.iter().map(|host| matches!(host.power, Power::On | Power::SwitchOff { .. })).collect(),
        }
    }

    fn is_there(&self, vm: usize, host: u32) -> bool {
        self.at[vm] == host || self.moving_to[vm] == Some(host)
    }

    fn begin(&mut self, action: RouteAction) -> Result<(), String> {
        match action {
            RouteAction::Move { vm, from, to, .. } => {
                let v = vm as usize;
                if self.at[v] != from || self.moving_to[v].is_some() || from == to {
                    return Err(format!("VM {vm} begins a move {from} → {to}, but is at {}", self.at[v]));
                }
                if !self.on[to as usize] {
                    return Err(format!("VM {vm} is moved to host {to}, which is off"));
                }
                if !may_move(self.task, vm, from, to) {
                    return Err(format!("VM {vm} may not be moved {from} → {to}"));
                }
                self.moving_to[v] = Some(to);
                self.groups_hold(vm, from, to)?;
                self.limits_hold()
            }
            RouteAction::PowerOn { host } => match self.task.hosts[host as usize].power {
                Power::SwitchOn { .. } if !self.on[host as usize] => Ok(()),
                _ => Err(format!("host {host} is not to be switched on")),
            },
            RouteAction::PowerOff { host } => {
                if !matches!(self.task.hosts[host as usize].power, Power::SwitchOff { .. }) || !self.on[host as usize] {
                    return Err(format!("host {host} is not to be switched off"));
                }
                self.on[host as usize] = false;
                let there = (0..self.at.len()).find(|vm| self.is_there(*vm, host));
                there.map_or(Ok(()), |vm| Err(format!("host {host} is switched off with VM {vm}")))
            }
        }
    }

    fn end(&mut self, action: RouteAction, well: bool) {
        match action {
            RouteAction::Move { vm, to, .. } => {
                self.moving_to[vm as usize] = None;
                if well {
                    self.at[vm as usize] = to;
                }
            }
            RouteAction::PowerOn { host } => self.on[host as usize] = well,
            RouteAction::PowerOff { host } => self.on[host as usize] = !well,
        }
    }

    /// The members of a group are where this move begins or ends, and nowhere else.
    fn groups_hold(&self, vm: u32, from: u32, to: u32) -> Result<(), String> {
        for rule in self.task.rules.iter().filter(|rule| rule.holds == Holds::Always) {
            let TaskRuleKind::Together { vms } = &rule.kind else { continue };
            let whole = keeps(self.task, &rule.kind, |vm| vm.from) && keeps(self.task, &rule.kind, |vm| vm.to);
            let near = |one: &u32| {
                let (at, moving) = (self.at[*one as usize], self.moving_to[*one as usize]);
                (at == from && moving.is_none_or(|host| host == to)) || (at == to && moving.is_none())
            };
            if whole && vms.contains(&vm) && !vms.iter().all(near) {
                return Err(format!("{} is torn apart by the move of VM {vm} {from} → {to}", rule.name));
            }
        }
        Ok(())
    }

    fn limits_hold(&self) -> Result<(), String> {
        let task = self.task;
        for host in 0..task.hosts.len() as u32 {
            for r in (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always) {
                let sum = |there: &dyn Fn(usize) -> bool| -> u64 {
                    (0..task.vms.len()).filter(|vm| there(*vm)).map(|vm| task.vms[vm].size[r]).sum()
                };
                let in_a = sum(&|vm| task.vms[vm].from == host);
                let (asked, limit) =
                    (sum(&|vm| self.is_there(vm, host)), task.hosts[host as usize].capacity[r].max(in_a));
                if asked > limit {
                    return Err(format!("{asked} of resource {r} is asked of host {host}, the limit is {limit}"));
                }
            }
        }
        for rule in task.rules.iter().filter(|rule| rule.holds == Holds::Always) {
            let TaskRuleKind::AtMost { vms, domains, limit } = &rule.kind else { continue };
            for domain in domains.iter() {
                let count = |there: &dyn Fn(usize, u32) -> bool| {
                    vms.iter().filter(|vm| domain.iter().any(|host| there(**vm as usize, *host))).count() as u64
                };
                let in_a = count(&|vm, host| task.vms[vm].from == host);
                let now = count(&|vm, host| self.is_there(vm, host));
                if now > in_a.max(*limit) {
                    return Err(format!("{now} VMs of {} in domain {domain:?}", rule.name));
                }
            }
        }
        Ok(())
    }
}

/// How a route is carried out in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// Whoever carries out keeps the limits on moves at once.
    Kept,
    /// Everything begins as soon as it may.
    Ignored,
}

/// Carries the route out with random durations, steps that fail and are tried again, and a random choice of what begins next. Tells
/// what goes wrong: a state that is not sane, a step that cannot begin, a standstill, an end that is not B.
pub fn carry_out(task: &Task, route: &Route, dice: &mut Dice, slots: Slots) -> Result<(), String> {
    let world = carry_out_a_part(task, route, dice, slots)?;
    for (i, vm) in task.vms.iter().enumerate() {
        if world.at[i] != vm.to {
            return Err(format!("VM {i} ends at {} instead of {}", world.at[i], vm.to));
        }
    }
    for (i, host) in task.hosts.iter().enumerate() {
        if world.on[i] != matches!(host.power, Power::On | Power::SwitchOn { .. }) {
            return Err(format!("host {i} ends with its power as in A"));
        }
    }
    Ok(())
}

/// As [`carry_out`], for a route that need not end in B.
pub fn carry_out_a_part<'t>(task: &'t Task, route: &Route, dice: &mut Dice, slots: Slots) -> Result<World<'t>, String> {
    let mut world = World::new(task);
    let steps = &route.steps;
    let mut ended = vec![false; steps.len()];
    let mut running: Vec<(u64, usize)> = vec![];
    let mut now = 0;
    let mut failures = 2 * steps.len();
    while ended.iter().any(|ended| !ended) {
        for i in dice.order(steps.len()) {
            let waits = steps[i].after.iter().any(|before| !ended[*before as usize]);
            if ended[i] || waits || running.iter().any(|(_, step)| *step == i) {
                continue;
            }
            let busy = |host: u32, inward: bool| {
                let is = |(_, step): &&(u64, usize)| match steps[*step].action {
                    RouteAction::Move { from, to, .. } => (if inward { to } else { from }) == host,
                    _ => false,
                };
                running.iter().filter(is).count() as u32
            };
            if let (RouteAction::Move { from, to, .. }, Slots::Kept) = (steps[i].action, slots)
                && (busy(to, true) >= task.hosts[to as usize].moves_in
                    || busy(from, false) >= task.hosts[from as usize].moves_out)
            {
                continue;
            }
            // Now and then a step that may begin is left for later.
            if !running.is_empty() && dice.percent(30) {
                continue;
            }
            world.begin(steps[i].action).map_err(|fault| format!("at {now} step {i}: {fault}"))?;
            running.push((now + dice.between(1, 1000), i));
        }
        let Some(next) = (0..running.len()).min_by_key(|one| running[*one]) else {
            return Err(format!("at {now} nothing runs and nothing may begin"));
        };
        let (time, step) = running.swap_remove(next);
        now = time;
        let well = failures == 0 || !dice.percent(20);
        failures -= usize::from(!well);
        world.end(steps[step].action, well);
        ended[step] = well;
    }
    Ok(world)
}

/// Whether the timetable keeps what it promises: order, slots, links, durations, sums.
pub fn timetable_holds(task: &Task, route: &Route, cost: &dyn MoveCost) -> Result<(), String> {
    let steps = &route.steps;
    let mut sum = 0;
    for (i, step) in steps.iter().enumerate() {
        if i > 0 && steps[i - 1].start_ms > step.start_ms {
            return Err(format!("step {i} stands after one that begins later"));
        }
        if step.end_ms < step.start_ms {
            return Err(format!("step {i} ends before it begins"));
        }
        if !step.after.is_sorted_by(|a, b| a < b) || step.after.iter().any(|before| *before >= i as u32) {
            return Err(format!("step {i} waits for {:?}", step.after));
        }
        if let Some(before) = step.after.iter().find(|before| steps[**before as usize].end_ms > step.start_ms) {
            return Err(format!("step {i} begins before step {before}, which it waits for, has ended"));
        }
        let lasts = step.end_ms - step.start_ms;
        let expected = match step.action {
            RouteAction::Move { vm, from, to, .. } => {
                sum += cost.cost(task, vm, from, to);
                task.vms[vm as usize].copy.takes_ms
            }
            RouteAction::PowerOn { host } | RouteAction::PowerOff { host } => match task.hosts[host as usize].power {
                Power::SwitchOn { takes_ms } | Power::SwitchOff { takes_ms } => Some(takes_ms),
                _ => None,
            },
        };
        if expected.is_some_and(|expected| expected != lasts) {
            return Err(format!("step {i} lasts {lasts} ms instead of {expected:?}"));
        }
    }
    if sum != route.cost || route.cost_bound > route.cost {
        return Err(format!("cost {}, the moves cost {sum}, the bound is {}", route.cost, route.cost_bound));
    }
    let last = steps.iter().map(|step| step.end_ms).max().unwrap_or(0);
    if last != route.makespan_ms || route.makespan_bound_ms > route.makespan_ms {
        let (makespan, bound) = (route.makespan_ms, route.makespan_bound_ms);
        return Err(format!("makespan {makespan}, the last step ends at {last}, the bound is {bound}"));
    }
    for step in steps {
        let now = step.start_ms;
        let runs = |one: &&RouteStep| one.start_ms <= now && now < one.end_ms;
        let count = |is: &dyn Fn(u32, u32) -> bool, weight: &dyn Fn(u64) -> u64| -> u64 {
            let one = |step: &RouteStep| match step.action {
                RouteAction::Move { from, to, rate, .. } if is(from, to) => weight(rate),
                _ => 0,
            };
            steps.iter().filter(runs).map(one).sum()
        };
        for (i, host) in task.hosts.iter().enumerate() {
            let (inward, outward) =
                (count(&|_, to| to == i as u32, &|_| 1), count(&|from, _| from == i as u32, &|_| 1));
            if inward > u64::from(host.moves_in) || outward > u64::from(host.moves_out) {
                return Err(format!("at {now} ms {inward} moves to host {i} and {outward} from it"));
            }
        }
        for link in &task.links {
            let inside = |host: u32| link.inside.contains(&host);
            let (inward, outward) = (
                count(&|from, to| !inside(from) && inside(to), &|rate| rate),
                count(&|from, to| inside(from) && !inside(to), &|rate| rate),
            );
            if inward.max(outward) > link.rate {
                return Err(format!(
                    "at {now} ms {inward} in and {outward} out on link {} of {}",
                    link.name, link.rate
                ));
            }
        }
    }
    Ok(())
}

/// The task as Rust code, to be pasted into a test: as short as its features allow.
pub fn as_code(task: &Task) -> String {
    let mut text = format!("{task:?}");
    for (long, short) in [("TaskResource { ", "\n  TaskResource { "), ("TaskHost { ", "\n  TaskHost { ")] {
        text = text.replace(long, short);
    }
    text.replace("TaskVm { ", "\n  TaskVm { ")
        .replace("TaskRule { ", "\n  TaskRule { ")
        .replace("TaskLink { ", "\n  TaskLink { ")
}

/// The checker's word on a route that is to lead to B.
pub fn check_route(task: &Task, route: &Route) -> Result<(), String> {
    ulm_check::check_route(task, route, Completeness::ToB).map(drop).map_err(|fault| format!("{fault:?}"))
}

/// The checker's word on a route that leads somewhere.
pub fn check_part(task: &Task, route: &Route) -> Result<(), String> {
    ulm_check::check_route(task, route, Completeness::AnyPlacement).map(drop).map_err(|fault| format!("{fault:?}"))
}

/// The checker's word on a proof.
pub fn check_certificate(task: &Task, certificate: &Certificate) -> Result<(), String> {
    ulm_check::check_certificate(task, certificate).map(drop).map_err(|fault| format!("{fault:?}"))
}
