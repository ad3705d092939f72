//! Hosts by how much of them is used, and VMs by how much they take: measures in which different resources compare.

use crate::cost::Sum;
use crate::placement::Placement;
use crate::problem::Problem;

/// The whole, in parts that are fine enough to tell hosts apart.
const WHOLE: Sum = 1_000_000_000;

/// Hosts, least used first. What counts is the resource that is used most, then the sum of all, then the number.
pub(super) struct Order {
    hosts: Vec<u32>,
    use_of: Vec<(u64, u64)>,
}

impl Order {
    pub fn new(state: &Placement<'_>) -> Self {
        let hosts = 0..state.problem().hosts.len() as u32;
        let use_of: Vec<(u64, u64)> = hosts.clone().map(|host| used(state, host)).collect();
        let mut hosts: Vec<u32> = hosts.collect();
        hosts.sort_by_key(|host| (use_of[*host as usize], *host));
        Order { hosts, use_of }
    }

    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// The host with so many before it.
    pub fn host(&self, place: usize) -> u32 {
        self.hosts[place]
    }

    /// How much of the host is used: the resource that is used most, and the sum.
    pub fn used(&self, host: u32) -> (u64, u64) {
        self.use_of[host as usize]
    }

    /// Puts the host where it belongs now. The other hosts are where they belong.
    pub fn update(&mut self, state: &Placement<'_>, host: u32) {
        let then = used(state, host);
        let now = (self.use_of[host as usize], host);
        if now.0 == then {
            return;
        }
        let from = self.hosts.partition_point(|it| (self.use_of[*it as usize], *it) < now);
        let to = self.hosts.partition_point(|it| (self.use_of[*it as usize], *it) < (then, host));
        if from < to {
            self.hosts[from..to].rotate_left(1);
        } else {
            self.hosts[to..=from].rotate_right(1);
        }
        self.use_of[host as usize] = then;
    }
}

fn used(state: &Placement<'_>, host: u32) -> (u64, u64) {
    let (problem, load) = (state.problem(), state.load(host));
    let capacity = problem.hosts[host as usize].capacity.iter().copied().enumerate();
    let limited = capacity.filter(|(_, most)| *most != i64::MAX);
    let wholes = limited.chain(problem.curves.iter().map(|curve| (curve.resource, curve.whole[host as usize])));
    let parts = wholes.filter(|(_, whole)| *whole > 0).map(|(r, whole)| part(load[r], Sum::from(whole)));
    parts.fold((0, 0), |(most, sum), part| (most.max(part), sum.saturating_add(part)))
}

fn part(size: Sum, whole: Sum) -> u64 {
    (size.saturating_mul(WHOLE) / whole.max(1)).clamp(0, Sum::from(u32::MAX) * WHOLE) as u64
}

/// For each VM the resource that it takes most of, as a part of an average host; of a resource that is nowhere limited, of what all
/// VMs take.
pub(super) fn bulk(problem: &Problem) -> Vec<u64> {
    let whole = |r: usize| {
        let limited = || problem.hosts.iter().map(|host| host.capacity[r]).filter(|it| *it != i64::MAX && *it > 0);
        let on_curves = || problem.curves.iter().filter(|curve| curve.resource == r).flat_map(|it| &it.whole).copied();
        let (mut sum, mut count) = (0, 0);
        for whole in limited().chain(on_curves().filter(|it| *it > 0)) {
            sum += Sum::from(whole);
            count += 1;
        }
        if count > 0 { sum / count } else { problem.vms.iter().map(|vm| Sum::from(vm.size[r])).sum() }
    };
    let wholes: Vec<Sum> = (0..problem.resources).map(whole).collect();
    let most = |vm: &crate::problem::PlaceVm| {
        vm.size.iter().zip(&wholes).map(|(size, whole)| part(Sum::from(*size), *whole)).max().unwrap_or(0)
    };
    problem.vms.iter().map(most).collect()
}
