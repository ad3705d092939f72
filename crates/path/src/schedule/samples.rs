//! Small and large tasks with sane sequences of hops, for tests.

use ulm_model::{Copying, Holds, Power, Task, TaskHost, TaskLink, TaskResource, TaskRule, TaskRuleKind, TaskVm};

use crate::cost::ByBytes;
use crate::problem::{Hop, NONE, Problem};

/// Steele, Lea and Flood's generator.
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

pub(super) fn host(capacity: &[u64]) -> TaskHost {
    let capacity = capacity.to_vec();
    TaskHost { name: String::new(), capacity, takes: true, power: Power::On, moves_in: 1, moves_out: 1 }
}

pub(super) fn vm(from: u32, to: u32, size: &[u64], takes_ms: u64) -> TaskVm {
    let copy = Copying { takes_ms: Some(takes_ms), bytes: 1, ..Copying::default() };
    TaskVm { name: String::new(), from, to, size: size.to_vec(), stays: false, copy }
}

pub(super) fn link(rate: u64, inside: &[u32]) -> TaskLink {
    TaskLink { name: String::new(), rate, inside: inside.to_vec() }
}

pub(super) fn rule(kind: TaskRuleKind) -> TaskRule {
    TaskRule { name: "a rule".to_owned(), holds: Holds::Always, soft: false, kind }
}

/// A task of these parts, with names.
pub(super) fn task(hosts: Vec<TaskHost>, vms: Vec<TaskVm>, rules: Vec<TaskRule>, links: Vec<TaskLink>) -> Task {
    let resource = |r| TaskResource { name: format!("resource {r}"), holds: Holds::Always };
    let resources = (0..hosts[0].capacity.len()).map(resource).collect();
    let mut task = Task { resources, hosts, vms, rules, links };
    task.hosts.iter_mut().enumerate().for_each(|(h, host)| host.name = format!("h{h}"));
    task.vms.iter_mut().enumerate().for_each(|(v, vm)| vm.name = format!("v{v}"));
    assert_eq!(task.flaw(), None);
    task
}

/// Where items are, and what room is left.
pub(super) struct Walk<'p> {
    problem: &'p Problem<'p>,
    pub at: Vec<u32>,
    free: Vec<i64>,
    counted: Vec<Vec<i64>>,
    pub hops: Vec<Hop>,
}

impl<'p> Walk<'p> {
    pub fn new(problem: &'p Problem<'p>) -> Self {
        let counted = problem.counters.iter().map(|counter| counter.room.clone()).collect();
        let at: Vec<u32> = problem.items.iter().map(|item| item.home).collect();
        let mut walk = Walk { problem, at: at.clone(), free: problem.room.clone(), counted, hops: Vec::new() };
        (0..at.len()).for_each(|item| walk.count(item as u32, at[item], 1));
        walk
    }

    fn count(&mut self, item: u32, host: u32, sign: i64) {
        for (k, size) in self.problem.size(item).iter().enumerate() {
            self.free[host as usize * self.problem.kinds + k] -= sign * size;
        }
        for (counter, weight) in &self.problem.items[item as usize].counted {
            let domain = self.problem.counters[*counter as usize].domain[host as usize];
            if domain != NONE {
                self.counted[*counter as usize][domain as usize] -= sign * weight;
            }
        }
    }

    /// Whether the item may go there now.
    pub fn may(&self, item: u32, to: u32) -> bool {
        let problem = self.problem;
        let from = self.at[item as usize];
        let fits = (0..problem.kinds).all(|k| problem.size(item)[k] <= self.free[to as usize * problem.kinds + k]);
        let counts = |(counter, weight): &(u32, i64)| {
            let domain = &problem.counters[*counter as usize].domain;
            let (out, into) = (domain[from as usize], domain[to as usize]);
            into == NONE || into == out || *weight <= self.counted[*counter as usize][into as usize]
        };
        problem.may_go(item, from, to) && fits && problem.items[item as usize].counted.iter().all(counts)
    }

    pub fn go(&mut self, item: u32, to: u32) {
        let from = self.at[item as usize];
        self.count(item, from, -1);
        self.count(item, to, 1);
        self.at[item as usize] = to;
        self.hops.push(Hop { item, from, to });
    }

    /// All to their goals, by other hosts where need be; or as far as that goes without much thought.
    pub fn home(&mut self, dice: &mut Dice) {
        let hosts = self.problem.hosts;
        for _ in 0..200 {
            let mut left = Vec::new();
            let before = self.hops.len();
            for item in 0..self.at.len() as u32 {
                let goal = self.problem.items[item as usize].goal;
                if self.at[item as usize] != goal {
                    if self.may(item, goal) { self.go(item, goal) } else { left.push(item) }
                }
            }
            if left.is_empty() {
                return;
            }
            if self.hops.len() == before {
                for _ in 0..1 + left.len() / 20 {
                    let item = left[dice.roll(left.len())];
                    let to = dice.roll(hosts) as u32;
                    if self.may(item, to) {
                        self.go(item, to);
                    }
                }
            }
        }
    }
}

/// A small task with a walk of legal moves through it: at most so many moves of VMs.
pub(super) fn small(seed: u64, most: usize) -> (Task, Vec<Hop>) {
    let mut dice = Dice(seed);
    let (hosts, kinds) = (2 + dice.roll(4), 1 + dice.roll(2));
    let mut all: Vec<TaskHost> = (0..hosts).map(|_| host(&vec![4 + dice.roll(6) as u64; kinds])).collect();
    for host in &mut all[1..] {
        host.power = match dice.roll(6) {
            0 => Power::SwitchOn { takes_ms: dice.roll(5) as u64 },
            1 => Power::SwitchOff { takes_ms: dice.roll(5) as u64 },
            _ => Power::On,
        };
        host.moves_in = 1 + dice.roll(2) as u32;
        host.moves_out = 1 + dice.roll(3) as u32;
    }
    let mut vms = Vec::new();
    let mut free: Vec<Vec<i64>> = all.iter().map(|host| host.capacity.iter().map(|c| *c as i64).collect()).collect();
    for _ in 0..3 + dice.roll(8) {
        let size: Vec<u64> = (0..kinds).map(|_| dice.roll(5) as u64).collect();
        let from = dice.roll(hosts);
        let fits = size.iter().zip(&free[from]).all(|(size, free)| *size as i64 <= *free);
        if fits && !matches!(all[from].power, Power::SwitchOn { .. }) {
            size.iter().zip(&mut free[from]).for_each(|(size, free)| *free -= *size as i64);
            vms.push(vm(from as u32, from as u32, &size, dice.roll(6) as u64));
            vms.last_mut().unwrap().stays = dice.roll(8) == 0;
        }
    }
    let mut rules = Vec::new();
    if vms.is_empty() {
        vms.push(vm(0, 0, &vec![1; kinds], 3));
    }
    let numbers = 0..vms.len() as u32;
    if dice.roll(3) == 0 {
        let of = numbers.clone().filter(|_| dice.roll(2) == 0).collect();
        let domains =
            if hosts > 3 && dice.roll(2) == 0 { vec![vec![0, 2], vec![1, 3]] } else { vec![vec![0], vec![1]] };
        rules.push(rule(TaskRuleKind::AtMost { vms: of, domains: domains.into(), limit: 1 + dice.roll(3) as u64 }));
    }
    if dice.roll(3) == 0 {
        let first = dice.roll(vms.len());
        let (from, stays) = (vms[first].from, vms[first].stays);
        let same = |v: &u32| vms[*v as usize].from == from && vms[*v as usize].stays == stays;
        rules.push(rule(TaskRuleKind::Together { vms: numbers.filter(same).take(2).collect() }));
    }
    let mut links = Vec::new();
    if dice.roll(2) == 0 {
        links.extend((0..hosts as u32).map(|host| link(1 + dice.roll(3) as u64, &[host])));
        links.push(link(2 + dice.roll(3) as u64, &[0, 1]));
    }
    let mut task = task(all, vms, rules, links);
    let mut hops = Vec::new();
    {
        let problem = Problem::new(&task, &ByBytes, &[]);
        let mut walk = Walk::new(&problem);
        let mut moves = 0;
        for _ in 0..200 * usize::from(!problem.items.is_empty()) {
            let (item, to) = (dice.roll(problem.items.len()) as u32, dice.roll(hosts) as u32);
            let vms = problem.items[item as usize].vms.len();
            if moves + vms <= most && walk.may(item, to) {
                moves += vms;
                walk.go(item, to);
            }
        }
        let ends = walk.at.iter().zip(&problem.items).flat_map(|(at, item)| item.vms.iter().map(move |vm| (*vm, *at)));
        let ends: Vec<(u32, u32)> = ends.collect();
        hops.append(&mut walk.hops);
        drop(problem);
        ends.iter().for_each(|(vm, at)| task.vms[*vm as usize].to = *at);
    }
    (task, hops)
}

/// How a large task differs in B.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// So many of a hundred VMs are elsewhere.
    Moved(usize),
    /// So many of a hundred VMs have changed places in pairs.
    Swapped(usize),
}

/// Many hosts with three kinds of room, filled to so many of a hundred.
pub(super) fn large(hosts: usize, fill: usize, change: Change, seed: u64) -> Task {
    let mut dice = Dice(seed);
    let all: Vec<TaskHost> = (0..hosts).map(|_| host(&[128, 100, 100])).collect();
    let mut free = vec![[128i64 - 128 * (100 - fill as i64) / 100, 100, 100]; hosts];
    let mut vms: Vec<TaskVm> = Vec::new();
    let fits = |free: &[i64; 3], size: &[u64]| free.iter().zip(size).all(|(free, size)| *size as i64 <= *free);
    let take = |free: &mut [i64; 3], size: &[u64], sign: i64| {
        free.iter_mut().zip(size).for_each(|(free, size)| *free -= sign * *size as i64);
    };
    for (from, free) in free.iter_mut().enumerate() {
        for _ in 0..60 {
            let memory = [1, 2, 2, 4, 4, 8][dice.roll(6)];
            let size = [memory, 1 + dice.roll(memory as usize) as u64, 1 + dice.roll(3) as u64];
            if fits(free, &size) {
                take(free, &size, 1);
                vms.push(vm(from as u32, from as u32, &size, memory * 1000));
            }
        }
    }
    free.iter_mut().for_each(|free| free[0] += 128 * (100 - fill as i64) / 100);
    let (Change::Moved(share) | Change::Swapped(share)) = change;
    let wanted = vms.len() * share / 100;
    let mut changed = 0;
    for _ in 0..wanted * 200 {
        let (one, to) = (dice.roll(vms.len()), dice.roll(hosts));
        if changed >= wanted || vms[one].to != vms[one].from || vms[one].from == to as u32 {
            continue;
        }
        if let Change::Moved(_) = change {
            let (from, size) = (vms[one].from as usize, vms[one].size.clone());
            if fits(&free[to], &size) {
                take(&mut free[to], &size, 1);
                take(&mut free[from], &size, -1);
                vms[one].to = to as u32;
                changed += 1;
            }
        } else {
            let other = dice.roll(vms.len());
            let same = vms[other].size[0] == vms[one].size[0];
            if same && vms[other].to == vms[other].from && vms[other].from != vms[one].from {
                let (a, b) = (vms[one].from as usize, vms[other].from as usize);
                let (at_a, at_b) = (vms[one].size.clone(), vms[other].size.clone());
                take(&mut free[a], &at_a, -1);
                take(&mut free[b], &at_b, -1);
                if fits(&free[a], &at_b) && fits(&free[b], &at_a) {
                    take(&mut free[a], &at_b, 1);
                    take(&mut free[b], &at_a, 1);
                    (vms[one].to, vms[other].to) = (b as u32, a as u32);
                    changed += 2;
                } else {
                    take(&mut free[a], &at_a, 1);
                    take(&mut free[b], &at_b, 1);
                }
            }
        }
    }
    task(all, vms, Vec::new(), Vec::new())
}
