//! The question as packing: hosts that nothing connects apart from each other, what cannot leave counted as taken.
//!
//! The room of a host holds in every sound placement: what is on it takes no more than its capacity, or no more than
//! what was on it at the start; and no more than what may be on it at all. Where pages are shared, what is on it may be larger by
//! what VMs give as credit that were there at the start.

use ulm_model::HostIx;

use crate::cost::Sum;
use crate::problem::{Points, Problem};

/// Hosts between which VMs may go, and the VMs that may leave their host.
pub(super) struct Part<'p> {
    pub hosts: Vec<Bin>,
    pub vms: Vec<Item<'p>>,
    pub resources: usize,
}

/// A host.
pub(super) struct Bin {
    pub host: u32,
    /// What VMs that may leave their host can take of each resource on this one, at most.
    pub room: Vec<Sum>,
    /// Whether it carries something in any case.
    pub awake: bool,
    /// Whether it carries something now.
    pub now: bool,
    /// What it costs that it is awake.
    pub points: Points,
}

/// A VM.
pub(super) struct Item<'p> {
    pub size: &'p [i64],
}

impl Part<'_> {
    /// What the hosts cost that are awake in any case.
    pub fn awake_points(&self) -> Points {
        self.hosts.iter().filter(|host| host.awake).fold(0, |sum, host| sum.saturating_add(host.points))
    }

    /// Hosts that carry something now, and what they cost: no bound can be above.
    pub fn now(&self) -> (u32, Points) {
        let now = self.hosts.iter().filter(|host| host.now);
        now.fold((0, 0), |sum, host| (sum.0 + 1, sum.1.saturating_add(host.points)))
    }
}

/// Whether each VM cannot be elsewhere than it is, whatever hosts take by size.
pub(super) fn fixed(problem: &Problem) -> Vec<bool> {
    let takes = |host: &HostIx| problem.hosts[host.at()].takes;
    let open: Vec<Vec<u32>> =
        problem.sets.iter().map(|set| set.iter().filter(takes).map(|host| host.0).take(2).collect()).collect();
    let nowhere = |vm: &crate::PlaceVm| open[vm.allowed as usize].iter().all(|host| *host == vm.at);
    problem.vms.iter().map(|vm| vm.stays || nowhere(vm)).collect()
}

/// The parts of a question that have anything on them, or anything to place.
pub(super) fn parts(problem: &Problem) -> Vec<Part<'_>> {
    let fixed = fixed(problem);
    let rooms = rooms(problem, &fixed);
    let roots = roots(problem, &fixed);
    let mut place = vec![usize::MAX; problem.hosts.len()];
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut awake: Vec<bool> = problem.hosts.iter().map(|host| host.busy).collect();
    for (vm, _) in problem.vms.iter().zip(&fixed).filter(|it| *it.1) {
        awake[vm.at as usize] = true;
    }
    let mut now = awake.clone();
    problem.vms.iter().for_each(|vm| now[vm.at as usize] = true);
    for (h, room) in rooms.into_iter().enumerate() {
        let root = roots[h];
        if place[root] == usize::MAX {
            place[root] = parts.len();
            parts.push(Part { hosts: Vec::new(), vms: Vec::new(), resources: problem.resources });
        }
        let points = problem.awake.get(h).copied().unwrap_or(0);
        parts[place[root]].hosts.push(Bin { host: h as u32, room, awake: awake[h], now: now[h], points });
    }
    for (vm, _) in problem.vms.iter().zip(&fixed).filter(|it| !*it.1) {
        parts[place[roots[vm.at as usize]]].vms.push(Item { size: &vm.size });
    }
    parts.retain(|part| !part.vms.is_empty() || part.hosts.iter().any(|host| host.awake));
    parts
}

/// The room of each host for VMs that may leave theirs.
fn rooms(problem: &Problem, fixed: &[bool]) -> Vec<Vec<Sum>> {
    let none = || vec![0 as Sum; problem.resources];
    let add = |sum: &mut [Sum], size: &[i64]| sum.iter_mut().zip(size).for_each(|it| *it.0 += Sum::from(*it.1));
    // What is there at the start; of it what cannot leave; what may come to the host or stay there of VMs that can.
    let mut home = vec![none(); problem.hosts.len()];
    let mut bound = home.clone();
    let mut reach = home.clone();
    let mut by_set = vec![none(); problem.sets.len()];
    for (vm, fixed) in problem.vms.iter().zip(fixed) {
        let (at, set) = (vm.at as usize, &problem.sets[vm.allowed as usize]);
        add(&mut home[at], &vm.size);
        if *fixed {
            add(&mut bound[at], &vm.size);
        } else {
            add(&mut by_set[vm.allowed as usize], &vm.size);
            if !(problem.hosts[at].takes && set.contains(HostIx(vm.at))) {
                add(&mut reach[at], &vm.size);
            }
        }
    }
    for (set, sizes) in problem.sets.iter().zip(&by_set).filter(|it| it.1.iter().any(|size| *size > 0)) {
        for host in set.iter().filter(|host| problem.hosts[host.at()].takes) {
            reach[host.at()].iter_mut().zip(sizes).for_each(|it| *it.0 += *it.1);
        }
    }
    let credit = credit(problem);
    let room = |h: usize, r: usize| {
        let (capacity, base) = (problem.hosts[h].capacity[r], Sum::from(problem.hosts[h].base[r]));
        if capacity == i64::MAX {
            return reach[h][r];
        }
        let shared = if credit.is_empty() { 0 } else { credit[h * problem.resources + r] };
        let most = (Sum::from(capacity) + shared).max(base + home[h][r]);
        (most - base - bound[h][r]).min(reach[h][r])
    };
    (0..problem.hosts.len()).map(|h| (0..problem.resources).map(|r| room(h, r)).collect()).collect()
}

/// What VMs that have not moved take less than each by itself, at most: host × resources + resource; empty if nothing is shared.
fn credit(problem: &Problem) -> Vec<Sum> {
    let Some(sharing) = &problem.sharing else { return Vec::new() };
    let home: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    let mut credit = vec![0; problem.hosts.len() * problem.resources];
    for ((host, class), count) in sharing.counts(&home) {
        for r in &sharing.resources {
            credit[host as usize * problem.resources + r] += sharing.credit(host, class, count);
        }
    }
    credit
}

/// For each host the one that stands for its part.
fn roots(problem: &Problem, fixed: &[bool]) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..problem.hosts.len()).collect();
    let takes = |host: &HostIx| problem.hosts[host.at()].takes;
    let mut first = vec![None; problem.sets.len()];
    for (vm, _) in problem.vms.iter().zip(fixed).filter(|it| !*it.1) {
        let set = vm.allowed as usize;
        let one = *first[set].get_or_insert_with(|| {
            let mut hosts = problem.sets[set].iter().filter(takes).map(|host| host.at());
            let one = hosts.next().unwrap_or(vm.at as usize);
            hosts.for_each(|other| join(&mut parent, one, other));
            one
        });
        join(&mut parent, one, vm.at as usize);
    }
    (0..parent.len()).map(|host| root(&mut parent, host)).collect()
}

fn root(parent: &mut [usize], mut host: usize) -> usize {
    while parent[host] != host {
        parent[host] = parent[parent[host]];
        host = parent[host];
    }
    host
}

fn join(parent: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(parent, one), root(parent, other));
    let (low, high) = (one.min(other), one.max(other));
    parent[high] = low;
}
