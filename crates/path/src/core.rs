//! A part of a task that is small enough to be searched: some items on some hosts, all others stay where they are.
//!
//! A placement is a short string of bytes: the host (by its number in the core) of each item, items of a class side by side
//! and sorted, so that placements that differ only by interchangeable items are one. Everything that search and exploration need is
//! asked here: which moves lead on, which lead here, how far it is at least to the end.

use std::collections::BTreeMap;

use crate::problem::{Hop, NONE, Problem};
use crate::state::State;

/// A placement within a core.
pub(crate) type Key = [u8];

/// This item may be anywhere at the end.
const ANYWHERE: u8 = u8::MAX;

/// See the module's text.
pub(crate) struct Core<'p> {
    pub problem: &'p Problem<'p>,
    /// The items, class by class.
    pub items: Vec<u32>,
    /// For each place in the list its class.
    pub class: Vec<u16>,
    /// The hosts; a host's number in the core is its place here. At most 254.
    pub hosts: Vec<u32>,
    /// For each place the host at the end.
    goal: Vec<u8>,
    /// For each place what each of its moves costs at least.
    least: Vec<u64>,
    /// What each host could give if none of the items were there, by host and kind.
    room: Vec<i64>,
    /// The same for the domains of all counters.
    counters: Vec<Vec<i64>>,
    /// Counters that no host outside of a domain's only host can change.
    local: Vec<bool>,
    /// Where VMs are that are not in the core; for rules of the caller's own.
    vm_at: Vec<u32>,
}

/// Running sums of one placement.
#[derive(Clone, Default)]
pub(crate) struct Sums {
    free: Vec<i64>,
    counters: Vec<Vec<i64>>,
    vm_at: Vec<u32>,
}

/// Room for the work of [`Core::least_cost`], used again and again.
#[derive(Default)]
pub(crate) struct Groups {
    first: Vec<u8>,
    state: Vec<Group>,
}

/// How hosts stand that pending items connect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Nothing is pending.
    Calm,
    /// A pending item can move directly.
    Moves,
    /// None can; the first departure costs so much at least.
    Blocked(u64),
}

/// A move within a core: a place in the list of items, and hosts by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub place: u16,
    pub from: u8,
    pub to: u8,
}

/// Which way moves are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Moves that can be made.
    Onward,
    /// Moves that could have led here.
    Back,
}

impl<'p> Core<'p> {
    /// The most hosts that a core can have.
    pub const HOSTS: usize = 254;

    /// All items of the list on these hosts, the rest as in `state`. Every item must be on one of the hosts; one whose goal is not
    /// among them may be anywhere at the end.
    pub fn new(state: &State<'p>, items: Vec<u32>, hosts: Vec<u32>) -> Self {
        let goals: Vec<u32> = items.iter().map(|item| state.problem.items[*item as usize].goal).collect();
        Core::to(state, items, hosts, &goals)
    }

    /// As [`Core::new`], but with these hosts as the items' goals.
    pub fn to(state: &State<'p>, items: Vec<u32>, hosts: Vec<u32>, goals: &[u32]) -> Self {
        let problem = state.problem;
        assert!(hosts.len() <= Self::HOSTS && items.len() < usize::from(u16::MAX), "a core is small");
        let mut sorted: Vec<_> = items.iter().zip(goals).map(|(i, goal)| (*goal, problem.kind_of(*i), *i)).collect();
        sorted.sort_unstable();
        let same = |a: usize, b: usize| (sorted[a].0, &sorted[a].1) == (sorted[b].0, &sorted[b].1);
        let mut class = vec![0u16; sorted.len()];
        for i in 1..sorted.len() {
            class[i] = class[i - 1] + u16::from(!same(i - 1, i));
        }
        let number: BTreeMap<u32, u8> = hosts.iter().enumerate().map(|(n, host)| (*host, n as u8)).collect();
        let goal = sorted.iter().map(|(goal, _, _)| number.get(goal).copied().unwrap_or(ANYWHERE)).collect();
        let items: Vec<u32> = sorted.into_iter().map(|(_, _, item)| item).collect();
        let mut room: Vec<i64> = hosts.iter().flat_map(|host| state.free(*host)).copied().collect();
        let mut counters = state.counters().to_vec();
        for item in &items {
            let host = state.at[*item as usize];
            let first = usize::from(number[&host]) * problem.kinds;
            room[first..].iter_mut().zip(problem.size(*item)).for_each(|(room, size)| *room += size);
            for (c, weight) in &problem.items[*item as usize].counted {
                let d = problem.counters[*c as usize].domain[host as usize];
                if d != NONE {
                    counters[*c as usize][d as usize] += weight;
                }
            }
        }
        let local = problem.counters.iter().map(|counter| counter.is_by_host()).collect();
        let least = items.iter().map(|item| problem.items[*item as usize].least).collect();
        Core { problem, items, class, hosts, goal, least, room, counters, local, vm_at: state.vm_at().to_vec() }
    }

    /// For searches that want any way: moves that may cost nothing count all the same, so that they are seen to be still to come.
    pub fn count_every_move(&mut self) {
        self.least.iter_mut().for_each(|least| *least = (*least).max(1));
    }

    /// What the expansion of a state counts for: see [`crate::Budget::expansions`].
    pub fn weight(&self) -> u64 {
        (self.items.len() * self.hosts.len()).div_ceil(32).max(1) as u64
    }

    /// The key of a placement.
    pub fn key(&self, at: &[u32]) -> Vec<u8> {
        let number =
            |host: u32| self.hosts.iter().position(|known| *known == host).expect("items are on the core's hosts");
        let mut key: Vec<u8> = self.items.iter().map(|item| number(at[*item as usize]) as u8).collect();
        self.sort(&mut key);
        key
    }

    /// The key of the end. Only for a core in which no item may be anywhere.
    pub fn end(&self) -> Vec<u8> {
        debug_assert!(!self.goal.contains(&ANYWHERE));
        self.goal.clone()
    }

    /// Whether this is the end.
    pub fn is_end(&self, key: &Key) -> bool {
        key.iter().zip(&self.goal).all(|(at, goal)| at == goal || *goal == ANYWHERE)
    }

    fn sort(&self, key: &mut Key) {
        let mut first = 0;
        while first < key.len() {
            let next = self.end_of_class(first);
            key[first..next].sort_unstable();
            first = next;
        }
    }

    fn end_of_class(&self, place: usize) -> usize {
        let class = self.class[place];
        place + self.class[place..].iter().take_while(|other| **other == class).count()
    }

    /// Fills in the sums of a placement.
    pub fn sum(&self, key: &Key, sums: &mut Sums) {
        sums.free.clone_from(&self.room);
        sums.counters.clone_from(&self.counters);
        sums.vm_at.clone_from(&self.vm_at);
        for (place, host) in key.iter().enumerate() {
            self.count(sums, place, *host, -1);
        }
    }

    fn count(&self, sums: &mut Sums, place: usize, host: u8, sign: i64) {
        let item = self.items[place];
        let first = usize::from(host) * self.problem.kinds;
        for (free, size) in sums.free[first..].iter_mut().zip(self.problem.size(item)) {
            *free += sign * size;
        }
        let one = &self.problem.items[item as usize];
        let host = self.hosts[usize::from(host)];
        for (c, weight) in &one.counted {
            let d = self.problem.counters[*c as usize].domain[host as usize];
            if d != NONE {
                sums.counters[*c as usize][d as usize] += sign * weight;
            }
        }
        if sign < 0 && !sums.vm_at.is_empty() {
            one.vms.iter().for_each(|vm| sums.vm_at[*vm as usize] = host);
        }
    }

    /// Every sane move from a placement, or every sane move that leads to it; of interchangeable ones only the first. The sums must be
    /// the placement's.
    pub fn each_step(&self, key: &Key, sums: &Sums, way: Way, mut found: impl FnMut(Step)) {
        for place in 0..key.len() {
            let here = key[place];
            if place > 0 && self.class[place - 1] == self.class[place] && key[place - 1] == here {
                continue;
            }
            for there in 0..self.hosts.len() as u8 {
                if there == here || !self.fits(sums, place, there) {
                    continue;
                }
                let (from, to) = match way {
                    Way::Onward => (here, there),
                    Way::Back => (there, here),
                };
                let step = Step { place: place as u16, from, to };
                if self.is_allowed(sums, step, here, there, way) {
                    found(step);
                }
            }
        }
    }

    fn fits(&self, sums: &Sums, place: usize, host: u8) -> bool {
        let first = usize::from(host) * self.problem.kinds;
        self.problem.size(self.items[place]).iter().zip(&sums.free[first..]).all(|(size, free)| size <= free)
    }

    /// All but the room on the host that is not left or entered yet.
    fn is_allowed(&self, sums: &Sums, step: Step, here: u8, there: u8, way: Way) -> bool {
        let item = self.items[usize::from(step.place)];
        let host = |number: u8| self.hosts[usize::from(number)];
        let one = &self.problem.items[item as usize];
        let counted = |c: u32, weight: i64| {
            let domain = &self.problem.counters[c as usize].domain;
            let d = domain[host(there) as usize];
            d == NONE || d == domain[host(here) as usize] || sums.counters[c as usize][d as usize] >= weight
        };
        self.problem.may_go(item, host(step.from), host(step.to))
            && one.counted.iter().all(|(c, weight)| counted(*c, *weight))
            && (way == Way::Onward || self.problem.may_be(item, host(step.from)))
            && self.extra_allow(sums, item, host(step.from), host(step.to))
    }

    fn extra_allow(&self, sums: &Sums, item: u32, from: u32, to: u32) -> bool {
        if self.problem.extra.is_empty() {
            return true;
        }
        let mut at = sums.vm_at.clone();
        let vms = &self.problem.items[item as usize].vms;
        vms.iter().for_each(|vm| at[*vm as usize] = from);
        self.problem.extra.iter().all(|rule| vms.iter().all(|vm| rule.admits(&at, *vm, to)))
    }

    /// The placement after a step (before it, when looking back).
    pub fn after(&self, key: &Key, step: Step, way: Way, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(key);
        let place = usize::from(step.place);
        out[place] = match way {
            Way::Onward => step.to,
            Way::Back => step.from,
        };
        let mut first = place;
        while first > 0 && self.class[first - 1] == self.class[place] {
            first -= 1;
        }
        let next = self.end_of_class(place);
        out[first..next].sort_unstable();
    }

    /// What a step costs.
    pub fn cost(&self, step: Step) -> u64 {
        let host = |number: u8| self.hosts[usize::from(number)];
        self.problem.move_cost(self.items[usize::from(step.place)], host(step.from), host(step.to))
    }

    /// A cost that no way from here to the end undercuts.
    pub fn least_cost_of(&self, key: &Key) -> u64 {
        let mut sums = Sums::default();
        self.sum(key, &mut sums);
        self.least_cost(key, &sums, &mut Groups::default())
    }

    /// A cost that no way from here to the end undercuts: see [`crate::bound`]. The sums must be the placement's.
    pub fn least_cost(&self, key: &Key, sums: &Sums, groups: &mut Groups) -> u64 {
        let Groups { first, state } = groups;
        // Hosts that pending items connect are one group; each host names one of its group, in the end the first.
        first.clear();
        first.extend(0..self.hosts.len() as u8);
        let mut total = 0u64;
        for (place, (at, goal)) in key.iter().zip(&self.goal).enumerate() {
            if at != goal && *goal != ANYWHERE {
                total = total.saturating_add(self.least[place]);
                let (a, b) = (root(first, *at), root(first, *goal));
                first[usize::from(a.max(b))] = a.min(b);
            }
        }
        if total == 0 {
            return 0;
        }
        state.clear();
        state.resize(self.hosts.len(), Group::Calm);
        let mut blocked = 0;
        for (place, (at, goal)) in key.iter().zip(&self.goal).enumerate() {
            if at == goal || *goal == ANYWHERE {
                continue;
            }
            let group = &mut state[usize::from(root(first, *at))];
            if *group == Group::Calm {
                *group = Group::Blocked(u64::MAX);
                blocked += 1;
            }
            if *group != Group::Moves && self.may_be_direct(sums, place, *at, *goal) {
                *group = Group::Moves;
                blocked -= 1;
            }
        }
        if blocked == 0 {
            return total;
        }
        for (place, (at, goal)) in key.iter().zip(&self.goal).enumerate() {
            if let Group::Blocked(cheapest) = &mut state[usize::from(root(first, *at))] {
                let least = self.least[place];
                *cheapest = (*cheapest).min(if at == goal { least.saturating_mul(2) } else { least });
            }
        }
        let extra = |group: &Group| if let Group::Blocked(cheapest) = group { *cheapest } else { 0 };
        state.iter().map(extra).fold(total, u64::saturating_add)
    }

    /// Whether nothing that only a departure from the target can mend stands against the direct move.
    fn may_be_direct(&self, sums: &Sums, place: usize, at: u8, goal: u8) -> bool {
        let item = self.items[place];
        let (from, to) = (self.hosts[usize::from(at)], self.hosts[usize::from(goal)]);
        let counted = |(c, weight): &(u32, i64)| {
            let d = self.problem.counters[*c as usize].domain[to as usize];
            !self.local[*c as usize] || d == NONE || sums.counters[*c as usize][d as usize] >= *weight
        };
        self.fits(sums, place, goal)
            && self.problem.may_go(item, from, to)
            && self.problem.items[item as usize].counted.iter().all(counted)
    }

    /// Applies a step to the sums, or takes it back.
    pub fn apply(&self, sums: &mut Sums, step: Step, undo: bool) {
        let (leave, enter) = if undo { (step.to, step.from) } else { (step.from, step.to) };
        self.count(sums, usize::from(step.place), leave, 1);
        self.count(sums, usize::from(step.place), enter, -1);
    }

    /// Turns steps between keys into hops of items, beginning with the placement `at` (by item), which is changed on the way.
    pub fn hops(&self, steps: &[(u16, u8, u8)], at: &mut [u32]) -> Vec<Hop> {
        let hop = |(class, from, to): &(u16, u8, u8)| {
            let (from, to) = (self.hosts[usize::from(*from)], self.hosts[usize::from(*to)]);
            let of_class = self.items.iter().zip(&self.class).filter(|(_, c)| *c == class);
            let mut there = of_class.map(|(item, _)| *item).filter(|item| at[*item as usize] == from);
            let item = there.next().expect("the class has an item there");
            at[item as usize] = to;
            Hop { item, from, to }
        };
        steps.iter().map(hop).collect()
    }
}

fn root(group: &[u8], mut host: u8) -> u8 {
    while group[usize::from(host)] != host {
        host = group[usize::from(host)];
    }
    host
}
