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
//! of rate and duration. What must go through the same slots or lane takes its sum, divided by how much that bears at once. A
//! host that is switched on takes nothing before, one that is switched off is empty before.
//!
//! # Complexity
//!
//! O(VMs · (links around their hosts + rates)).

use ulm_model::{Power, Task};

use crate::cost::{STREAM, duration_ms};
use crate::problem::Problem;

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
    let mut bound = 0;
    // What a lane at the door of a single host bears also holds back that host's switching.
    let mut out_ms: Vec<u64> = (0..out.len()).map(|h| out[h].at_least(task.hosts[h].moves_out)).collect();
    let mut into_ms: Vec<u64> = (0..into.len()).map(|h| into[h].at_least(task.hosts[h].moves_in)).collect();
    for (number, link) in task.links.iter().enumerate() {
        let ms = |way: usize| lanes[number * 2 + way].div_ceil(u128::from(link.rate)) as u64;
        bound = bound.max(ms(0)).max(ms(1));
        if let [host] = link.inside[..] {
            out_ms[host as usize] = out_ms[host as usize].max(ms(0));
            into_ms[host as usize] = into_ms[host as usize].max(ms(1));
        }
    }
    for (h, host) in task.hosts.iter().enumerate() {
        let (before, after) = match host.power {
            Power::SwitchOn { takes_ms } => (takes_ms, 0),
            Power::SwitchOff { takes_ms } if !kept[h] => (0, takes_ms),
            _ => (0, 0),
        };
        bound = bound.max(before + into_ms[h]).max(out_ms[h] + after);
    }
    bound
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
            return possible.map(|rate| measure(duration_ms(one, *rate), *rate)).min().unwrap_or(0);
        }
        // Everything is copied at least once.
        let once =
            |rate: u64| one.copy.takes_ms.unwrap_or((u128::from(one.copy.bytes) * 1000 / u128::from(rate)) as u64);
        possible.map(|rate| measure(once(*rate), *rate)).min().unwrap_or(0)
    }
}
