//! No timetable ends before.
//!
//! # Properties
//!
//! The bound holds for every timetable of every route between the two placements, whichever hops it makes, as long as that keeps
//! slots, lanes and the forecast durations.
//!
//! # Method
//!
//! Whatever the route, each VM that is to be elsewhere is moved out of its host at least once and into its goal at least once, and
//! out of (into) each link around the one that is not around the other. Each such move has one of the rates that links have. So
//! it takes at least the shortest of the durations at rates that the host allows, and of a link at least the smallest of the products
//! of rate and duration. What must go through the same slots or lane takes its sum, divided by how much that bears at once. It
//! begins no earlier than the first host on the far side is on, and after its end a host on the near side is still to be switched
//! off, if all there are. And what moves is there twice, so that no more moves at once than is free (`double_bound`).
//!
//! # Complexity
//!
//! O(VMs · (links around their hosts + rates) + links · hosts).

use ulm_model::{Holds, Power, Task, TaskHost};

use super::jobs::LONGEST;
use crate::cost::{STREAM, duration_ms};
use crate::problem::{NONE, Problem};

/// More rates than that are not looked at one by one.
const RATES: usize = 12;

/// What must go through the slots of a host in one direction.
#[derive(Clone, Copy, Default)]
struct Load {
    sum: u64,
    longest: u64,
}

impl Load {
    fn add(&mut self, ms: u64) {
        self.sum += ms;
        self.longest = self.longest.max(ms);
    }

    fn at_least(&self, slots: u32) -> u64 {
        self.sum.div_ceil(u64::from(slots.max(1))).max(self.longest)
    }
}

/// A time in milliseconds before which no timetable ends that brings each item from its home to its place in `ends` and switches
/// hosts, except off those that are `kept`.
pub(super) fn makespan_bound(problem: &Problem, ends: &[u32], kept: &[bool]) -> u64 {
    let task = problem.task;
    let rates = Rates::new(task);
    let mut out = vec![Load::default(); task.hosts.len()];
    let mut into = out.clone();
    let mut lanes = vec![0u128; task.links.len() * 2];
    let mut around: Vec<Vec<u32>> = vec![Vec::new(); task.hosts.len()];
    for (number, link) in task.links.iter().enumerate() {
        link.inside.iter().for_each(|host| around[*host as usize].push(number as u32));
    }
    around.iter_mut().for_each(|links| links.dedup());
    for (item, end) in problem.items.iter().zip(ends).filter(|(item, end)| item.home != **end) {
        for vm in &item.vms {
            let (from, to) = (item.home as usize, *end as usize);
            out[from].add(rates.shortest(task, *vm, from));
            into[to].add(rates.shortest(task, *vm, to));
            for (here, there, way) in [(from, to, 0), (to, from, 1)] {
                for link in around[here].iter().filter(|link| around[there].binary_search(link).is_err()) {
                    lanes[*link as usize * 2 + way] += rates.least_work(task, *vm, task.links[*link as usize].rate);
                }
            }
        }
    }
    let edges = Edges::new(task, kept);
    let mut bound = edges.switching.max(double_bound(problem, ends, &rates));
    for (h, host) in task.hosts.iter().enumerate() {
        let alone = |other: usize| other == h;
        let others = |other: usize| other != h;
        if out[h].sum > 0 {
            bound = bound.max(edges.around(out[h].at_least(host.moves_out), alone, others));
        }
        if into[h].sum > 0 {
            bound = bound.max(edges.around(into[h].at_least(host.moves_in), others, alone));
        }
    }
    let mut is_inside = vec![false; task.hosts.len()];
    for (number, link) in task.links.iter().enumerate() {
        link.inside.iter().for_each(|host| is_inside[*host as usize] = true);
        let ms = |way: usize| lanes[number * 2 + way].div_ceil(u128::from(link.rate)) as u64;
        let (inside, outside) = (|host: usize| is_inside[host], |host: usize| !is_inside[host]);
        if ms(0) > 0 {
            bound = bound.max(edges.around(ms(0), inside, outside));
        }
        if ms(1) > 0 {
            bound = bound.max(edges.around(ms(1), outside, inside));
        }
        link.inside.iter().for_each(|host| is_inside[*host as usize] = false);
    }
    bound
}

/// What moves is there twice. So at no time does more move than is free in all hosts together, and all that must move takes at least
/// the sum of its sizes, each times its duration, divided by that. The same holds for a counter of which every host has a domain,
/// of what must go from one domain to another.
fn double_bound(problem: &Problem, ends: &[u32], rates: &Rates) -> u64 {
    let task = problem.task;
    let ms = |vm: u32, from: u32, to: u32| {
        u128::from(rates.shortest(task, vm, from as usize).max(rates.shortest(task, vm, to as usize)))
    };
    let kinds: Vec<usize> = (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always).collect();
    // What is free on hosts that take nothing is of no use.
    let mut free = vec![0i64; kinds.len()];
    let takes: Vec<bool> = task.hosts.iter().map(takes).collect();
    for host in (0..problem.hosts).filter(|host| takes[*host]) {
        free.iter_mut().enumerate().for_each(|(k, free)| *free += problem.room[host * kinds.len() + k]);
    }
    let mut work = vec![0u128; problem.kinds];
    let mut counter_free: Vec<i64> = problem.counters.iter().map(|counter| counter.room.iter().sum()).collect();
    let mut counter_work = vec![0u128; counter_free.len()];
    for (number, item) in problem.items.iter().enumerate() {
        let end = ends[number];
        if takes[item.home as usize] {
            problem.size(number as u32).iter().zip(&mut free).for_each(|(size, free)| *free -= size);
        }
        item.counted.iter().for_each(|(counter, weight)| counter_free[*counter as usize] -= weight);
        if item.home == end {
            continue;
        }
        let mut shortest = u128::MAX;
        for vm in &item.vms {
            let ms = ms(*vm, item.home, end);
            shortest = shortest.min(ms);
            for (k, r) in kinds.iter().enumerate() {
                work[k] += u128::from(task.vms[*vm as usize].size[*r]) * ms;
            }
        }
        for (counter, weight) in &item.counted {
            let domain = &problem.counters[*counter as usize].domain;
            if domain[item.home as usize] != domain[end as usize] {
                counter_work[*counter as usize] += *weight as u128 * shortest;
            }
        }
    }
    let everywhere = |counter: &crate::problem::Counter| counter.domain.iter().all(|domain| *domain != NONE);
    let hosts = free.into_iter().zip(work);
    let counters = problem.counters.iter().zip(counter_free.into_iter().zip(counter_work));
    let counters = counters.filter(|(counter, _)| everywhere(counter)).map(|(_, one)| one);
    let all = hosts.chain(counters).filter(|(free, _)| *free > 0);
    all.map(|(free, work)| work.div_ceil(free as u128) as u64).max().unwrap_or(0)
}

/// Whether the host can be the target of moves.
fn takes(host: &TaskHost) -> bool {
    host.takes && matches!(host.power, Power::On | Power::SwitchOn { .. })
}

/// What comes before moves to hosts, and after moves from hosts.
struct Edges {
    /// Hosts that can be targets, with when they are on; what is on first first.
    targets: Vec<(u64, usize)>,
    /// Hosts that can be sources, with how long they take to be switched off; what takes least first.
    sources: Vec<(u64, usize)>,
    /// The longest switching.
    switching: u64,
}

impl Edges {
    fn new(task: &Task, kept: &[bool]) -> Edges {
        let (mut targets, mut sources) = (Vec::new(), Vec::new());
        for (h, host) in task.hosts.iter().enumerate() {
            let (before, after) = match host.power {
                Power::On => (Some(0), 0),
                Power::Off => continue,
                Power::SwitchOn { takes_ms } => (Some(takes_ms.min(LONGEST)), 0),
                // One that keeps VMs after all stays on.
                Power::SwitchOff { takes_ms } => (None, if kept[h] { 0 } else { takes_ms.min(LONGEST) }),
            };
            targets.extend(before.filter(|_| takes(host)).map(|before| (before, h)));
            sources.push((after, h));
        }
        targets.sort_unstable();
        sources.sort_unstable();
        let longest = |edges: &[(u64, usize)]| edges.last().map_or(0, |last| last.0);
        Edges { switching: longest(&targets).max(longest(&sources)), targets, sources }
    }

    /// When moves are done that take so long in all, each from such a source to such a target.
    fn around(&self, ms: u64, source: impl Fn(usize) -> bool, target: impl Fn(usize) -> bool) -> u64 {
        let first = |edges: &[(u64, usize)], is: &dyn Fn(usize) -> bool| {
            edges.iter().find(|edge| is(edge.1)).map_or(0, |edge| edge.0)
        };
        first(&self.targets, &target) + ms + first(&self.sources, &source)
    }
}

/// The rates that moves can have.
struct Rates {
    /// All that occur, ascending.
    all: Vec<u64>,
    /// The highest that any move from or to each host can have.
    host: Vec<u64>,
}

impl Rates {
    fn new(task: &Task) -> Rates {
        let mut all: Vec<u64> = task.links.iter().map(|link| link.rate.min(STREAM)).chain([STREAM]).collect();
        all.sort_unstable();
        all.dedup();
        let mut host = vec![STREAM; task.hosts.len()];
        for link in &task.links {
            let mut inside = link.inside.clone();
            inside.sort_unstable();
            inside.dedup();
            // Each move of a host crosses a link with that host alone on one side.
            if let [alone] = inside[..] {
                host[alone as usize] = host[alone as usize].min(link.rate);
            }
            if inside.len() + 1 == task.hosts.len()
                && let Some(alone) = (0..task.hosts.len()).find(|h| inside.binary_search(&(*h as u32)).is_err())
            {
                host[alone] = host[alone].min(link.rate);
            }
        }
        Rates { all, host }
    }

    /// The shortest time that a move of the VM from or to the host takes.
    fn shortest(&self, task: &Task, vm: u32, host: usize) -> u64 {
        self.least(task, vm, self.host[host], |ms, _| u128::from(ms)) as u64
    }

    /// The least that a move of the VM over the link takes of it, as rate times milliseconds.
    fn least_work(&self, task: &Task, vm: u32, rate: u64) -> u128 {
        self.least(task, vm, rate, |ms, rate| u128::from(ms) * u128::from(rate))
    }

    /// The least of a measure over the rates up to `most`: durations need not fall with the rate, a copy that never ends is capped.
    fn least(&self, task: &Task, vm: u32, most: u64, measure: impl Fn(u64, u64) -> u128) -> u128 {
        let one = &task.vms[vm as usize];
        let possible = self.all.iter().filter(|rate| **rate <= most.min(STREAM));
        if self.all.len() <= RATES {
            return possible.map(|rate| measure(duration_ms(one, *rate).min(LONGEST), *rate)).min().unwrap_or(0);
        }
        // Everything is copied at least once.
        let once =
            |rate: u64| one.copy.takes_ms.unwrap_or((u128::from(one.copy.bytes) * 1000 / u128::from(rate)) as u64);
        possible.map(|rate| measure(once(*rate).min(LONGEST), *rate)).min().unwrap_or(0)
    }
}
