//! Many hosts are emptied at once, because it costs something that they carry VMs, and their VMs fit on fewer.
//!
//! Properties: the result is sound and costs less, or nothing is done.
//!
//! Abstraction: an [`pack::Packing`](Packing): VMs that only sizes, moves and sets tell apart are items of one class. VMs that stay, or
//! that have relations or dependencies, remain where they are, and so do their hosts. It knows nothing of shared pages, and does nothing
//! where they are a good part of what VMs take.
//!
//! Method: no fewer hosts can be awake than hold the sums of all sizes. All above this number are closed, those first whose VMs cost
//! least to move for what is saved, of equals those with fewest, and the packing looks for room. Where too little remains, as many
//! are opened again as hold the excess. What comes of it is made if its whole cost is lower.
//!
//! Complexity: [`STEPS`] for each VM.

use std::collections::BTreeMap;
use std::rc::Rc;

use ulm_model::HostIx;

use super::pack::{Class, HOST, Kind, Packing, UNLIMITED, scale};
use super::{Search, cluster};
use crate::cost::Sum;

/// Steps of annealing for each VM.
const STEPS: u64 = 400;
/// Fewer than these lead nowhere.
const LEAST_STEPS: u64 = 100;
/// The price of excess rises to so many times what it is at first.
const PRICES: i64 = 64;
/// After so many attempts hosts are opened again.
const AGAIN: u32 = 6;
/// A matrix of counts has at most so many.
const COUNTS: usize = 1 << 22;

/// Empties hosts. Whether any was emptied.
pub(super) fn run(search: &mut Search<'_>) -> bool {
    let problem = search.problem();
    let vms = problem.vms.len() as u64;
    let left = (search.effort.evaluations.saturating_sub(search.evaluations)) / 2;
    let transient = problem.transient.contains(&true);
    if transient || cluster::is_shared(problem) || problem.awake.iter().all(|it| *it <= 0) || left < vms * LEAST_STEPS {
        return false;
    }
    let steps = left.min(vms * STEPS);
    let Some(mut question) = Question::new(search) else { return false };
    search.evaluations += question.solve(steps);
    if question.packing.over() > 0 {
        return false;
    }
    let target = question.target(search);
    let (mark, before) = (search.state.mark(), search.state.total());
    for (vm, to) in &target {
        search.shift(*vm, *to);
    }
    let sound = target.iter().all(|(vm, _)| search.state.is_sound_at(*vm));
    if !sound || !search.may_move(0) || search.state.total() >= before {
        search.undo(mark);
        return false;
    }
    // Host by host: there are too many moves to look at each by itself.
    let mut from: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (vm, _) in target {
        from.entry(problem.vms[vm as usize].at).or_default().push(vm);
    }
    search.together.extend(from.into_values());
    true
}

struct Question {
    packing: Packing,
    /// The hosts that take part.
    hosts: Vec<u32>,
    /// The VMs of each class, ascending.
    members: Vec<Vec<u32>>,
    /// Hosts that could be emptied, the most rewarding first: places in `hosts`.
    candidates: Vec<u32>,
    /// What of it can be emptied at most.
    most: usize,
    /// What the first move that matters costs, in the packing's points.
    typical: i64,
}

impl Question {
    fn new(search: &Search<'_>) -> Option<Self> {
        let (state, problem) = (&search.state, search.problem());
        let resources: Vec<usize> =
            (0..problem.resources).filter(|r| problem.hosts.iter().any(|host| host.capacity[*r] != i64::MAX)).collect();
        let takes_part =
            |host: &u32| problem.hosts[*host as usize].takes && state.is_awake(*host) && !state.is_overfull(*host);
        let mut hosts: Vec<u32> = (0..problem.hosts.len() as u32).filter(takes_part).collect();
        let mut place = vec![u32::MAX; problem.hosts.len()];
        for host in &hosts {
            place[*host as usize] = 0;
        }
        let mut dependent = vec![false; problem.vms.len()];
        for vm in problem.dependencies.iter().flat_map(|it| it.vms.iter().chain(&it.of)) {
            dependent[*vm as usize] = true;
        }
        let moves = |vm: u32| {
            let it = &problem.vms[vm as usize];
            !it.stays
                && !dependent[vm as usize]
                && state.relations(vm).is_empty()
                && place[state.at(vm) as usize] != u32::MAX
        };
        // Classes.
        let moving: Vec<u32> = (0..problem.vms.len() as u32).filter(|vm| moves(*vm)).collect();
        let cost =
            |vm: u32| Sum::from(problem.vms[vm as usize].move_cost) - Sum::from(problem.vms[vm as usize].stay_cost);
        let mut by_key: BTreeMap<(&[i64], Sum, u32), Vec<u32>> = BTreeMap::new();
        for vm in &moving {
            let it = &problem.vms[*vm as usize];
            by_key.entry((&it.size, cost(*vm), it.allowed)).or_default().push(*vm);
        }
        // Hosts in an order that does not hang on their numbers, but between equals.
        let mut has: Vec<Vec<usize>> = vec![Vec::new(); problem.hosts.len()];
        for (class, vms) in by_key.values().enumerate() {
            vms.iter().for_each(|vm| has[state.at(*vm) as usize].push(class));
        }
        hosts.sort_by_cached_key(|host| {
            let sets: Vec<bool> = problem.sets.iter().map(|set| set.contains(HostIx(*host))).collect();
            let it = &problem.hosts[*host as usize];
            let load = state.load(*host).to_vec();
            (state.awake_points(*host), it.capacity.clone(), load, sets, has[*host as usize].clone())
        });
        for (i, host) in hosts.iter().enumerate() {
            place[*host as usize] = i as u32;
        }
        let several = by_key.values().filter(|it| it.len() > 1).count();
        let counted = several * hosts.len() <= COUNTS;
        let columns = if counted { several } else { 0 };
        // Scales.
        let scales: Vec<Sum> = resources
            .iter()
            .map(|r| {
                let limited =
                    hosts.iter().map(|host| problem.hosts[*host as usize].capacity[*r]).filter(|it| *it != i64::MAX);
                scale(Sum::from(limited.max().unwrap_or(0)))
            })
            .collect();
        let costs: Sum = moving.iter().map(|vm| cost(*vm).abs()).sum();
        let average = (costs / hosts.len().max(1) as Sum).max(1);
        let points = |cost: Sum| (cost * Sum::from(HOST) / average).clamp(-(1 << 40), 1 << 40) as i64;
        let sets: Vec<Option<Rc<Vec<bool>>>> = problem
            .sets
            .iter()
            .map(|set| {
                let takes: Vec<bool> = hosts.iter().map(|host| set.contains(HostIx(*host))).collect();
                takes.contains(&false).then(|| Rc::new(takes))
            })
            .collect();
        let size = |vm: u32| -> Vec<i64> {
            let it = &problem.vms[vm as usize];
            resources
                .iter()
                .zip(&scales)
                .map(|(r, scale)| ((Sum::from(it.size[*r]) + scale - 1) / scale) as i64)
                .collect()
        };
        let (mut classes, mut members) = (Vec::new(), Vec::new());
        let mut column = 0;
        for vms in by_key.into_values() {
            let first = vms[0];
            let class = |kind: Kind| Class {
                size: size(first),
                cost: points(cost(first)),
                kind,
                hosts: sets[problem.vms[first as usize].allowed as usize].clone(),
            };
            if vms.len() > 1 && counted {
                classes.push(class(Kind::Many(column)));
                members.push(vms);
                column += 1;
            } else {
                for vm in vms {
                    classes.push(class(Kind::One(place[problem.vms[vm as usize].at as usize])));
                    members.push(vec![vm]);
                }
            }
        }
        // Who is where, and what is left for those who move.
        let mut on = vec![Vec::new(); hosts.len()];
        let mut gone: Vec<Vec<i64>> = vec![vec![0; resources.len()]; hosts.len()];
        let mut count = vec![0usize; hosts.len()];
        for (class, vms) in members.iter().enumerate() {
            for vm in vms {
                let host = place[state.at(*vm) as usize] as usize;
                on[host].push(class as u32);
                count[host] += 1;
                for (sum, r) in gone[host].iter_mut().zip(&resources) {
                    *sum += problem.vms[*vm as usize].size[*r];
                }
            }
        }
        let mut capacity = Vec::new();
        for (i, host) in hosts.iter().enumerate() {
            for (k, r) in resources.iter().enumerate() {
                let most = problem.hosts[*host as usize].capacity[*r];
                let held = state.load(*host)[*r] - Sum::from(gone[i][k]);
                // Without a limit everything fits, whatever it is.
                let free = if most == i64::MAX { UNLIMITED } else { ((Sum::from(most) - held) / scales[k]) as i64 };
                capacity.push(free);
            }
        }
        // What can be emptied, and how much of it.
        let mut candidates: Vec<(Sum, usize, u32)> = Vec::new();
        for (i, host) in hosts.iter().enumerate() {
            let saved = state.awake_points(*host);
            if saved > 0 && count[i] == state.on(*host).len() {
                let moved: Sum = state.on(*host).iter().map(|vm| if state.is_home(*vm) { cost(*vm) } else { 0 }).sum();
                if moved < saved {
                    candidates.push((moved * (1 << 20) / saved, count[i], i as u32));
                }
            }
        }
        candidates.sort_unstable();
        let candidates: Vec<u32> = candidates.into_iter().map(|it| it.2).collect();
        let mut packing = Packing::new(resources.len(), classes, capacity, on, columns);
        for (class, vms) in members.iter().enumerate() {
            if let Kind::Many(column) = packing.classes[class].kind {
                for vm in vms {
                    let (at, home) = (place[state.at(*vm) as usize], place[problem.vms[*vm as usize].at as usize]);
                    packing.more[at as usize * columns + column as usize] += 1;
                    if home != u32::MAX {
                        packing.more[home as usize * columns + column as usize] -= 1;
                    }
                }
            }
        }
        // As many as leave room for the sums.
        let mut spare: Vec<Sum> = (0..resources.len())
            .map(|k| {
                (0..hosts.len())
                    .map(|h| {
                        Sum::from(packing.capacity[h * resources.len() + k] - packing.load[h * resources.len() + k])
                    })
                    .sum()
            })
            .collect();
        let mut most = 0;
        for host in &candidates {
            for (k, spare) in spare.iter_mut().enumerate() {
                *spare -= Sum::from(packing.capacity[*host as usize * resources.len() + k]);
            }
            if spare.iter().any(|it| *it < 0) {
                break;
            }
            most += 1;
        }
        let mut typical: Vec<i64> = moving.iter().map(|vm| points(cost(*vm))).collect();
        typical.sort_unstable();
        let typical = *typical.get(typical.len() / 2)?;
        (most > 0).then_some(Question { packing, hosts, members, candidates, most, typical })
    }

    /// Closes and packs. Returns the work.
    fn solve(&mut self, steps: u64) -> u64 {
        let mut work = 0;
        let mut closed: Vec<u32> = self.candidates[..self.most].to_vec();
        for host in &closed {
            work += self.packing.close(*host);
        }
        let (hot, cold) = (self.typical / 10, self.typical / 1_000);
        self.packing.anneal(steps / 2, hot, cold, PRICES);
        work += steps / 2;
        for again in 1.. {
            if self.packing.over() == 0 || closed.is_empty() || work >= steps * 2 {
                break;
            }
            if again % AGAIN == 0 {
                let many = (self.packing.excess_in_all() as usize).div_ceil(65_536).clamp(1, closed.len());
                for host in closed.split_off(closed.len() - many) {
                    self.packing.reopen(host);
                }
            }
            self.packing.anneal(steps / 4, hot, cold, PRICES / 2);
            work += steps / 4;
        }
        work
    }

    /// Which VM goes where: of a class those stay at home that can.
    fn target(&self, search: &Search<'_>) -> Vec<(u32, u32)> {
        let mut wanted: Vec<Vec<u32>> = vec![Vec::new(); self.members.len()];
        for (i, on) in self.packing.on.iter().enumerate() {
            for class in on {
                wanted[*class as usize].push(self.hosts[i]);
            }
        }
        let mut target = Vec::new();
        for (vms, hosts) in self.members.iter().zip(wanted) {
            let mut left: BTreeMap<u32, usize> = BTreeMap::new();
            for host in hosts {
                *left.entry(host).or_default() += 1;
            }
            let mut away = Vec::new();
            for vm in vms {
                match left.get_mut(&search.problem().vms[*vm as usize].at) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        target.push((*vm, search.problem().vms[*vm as usize].at));
                    }
                    _ => away.push(*vm),
                }
            }
            let places = left.into_iter().flat_map(|(host, count)| std::iter::repeat_n(host, count));
            target.extend(away.into_iter().zip(places));
        }
        target.retain(|(vm, to)| search.state.at(*vm) != *to);
        target
    }
}
