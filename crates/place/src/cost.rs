//! What a placement costs, reckoned from scratch and term by term: for telling, and as the measure of what the search keeps up to date.
//!
//! Method: one pass over VMs, hosts and relations. Sums are kept in 128 bits; what leaves this room as [`Points`] is cut to 64.

use std::collections::{BTreeMap, BTreeSet};

use ulm_model::HostIx;

use crate::problem::{
    Curve, Dependency, Disruption, Excess, Points, Problem, Relation, RelationKind, Sharing, WantedRoom,
};

/// A sum of points or sizes.
pub(crate) type Sum = i128;

/// The whole, in the units of [`Curve::floor`].
const WHOLE: Sum = 10_000;
/// From here on an excess counts as this much, so that its fourth power can be reckoned: ten thousand times the whole.
const MOST_EXCESS: Sum = 10_000 * WHOLE;

/// What a placement costs, by term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Surplus VMs and domains of relations, broken hard ones included.
    pub relations: Points,
    /// Domains that lack what their VMs need.
    pub dependencies: Points,
    /// Load above the floors.
    pub curves: Points,
    /// Load above hosts' own levels.
    pub excesses: Points,
    /// Moved VMs of the group of which most are moved.
    pub disruption: Points,
    /// Hosts that carry VMs.
    pub awake: Points,
    /// VMs of some class on hosts of some class.
    pub tables: Points,
    /// Room that is missing.
    pub rooms: Points,
    /// Copies of shared pages.
    pub pages: Points,
    /// VMs that are not where they are now.
    pub moves: Points,
    /// VMs that should not stay where they are now, and do.
    pub stays: Points,
}

impl Costs {
    /// All together.
    pub fn total(&self) -> Points {
        points(self.exact())
    }

    /// All together, uncut.
    pub(crate) fn exact(&self) -> Sum {
        let hold = [self.relations, self.dependencies, self.tables, self.rooms, self.moves, self.stays];
        let bear = [self.curves, self.excesses, self.awake, self.disruption, self.pages];
        hold.iter().chain(&bear).map(|it| Sum::from(*it)).sum()
    }
}

/// What it costs that each VM is on the host that `at` gives for it.
pub fn cost(problem: &Problem, at: &[u32]) -> Costs {
    assert_eq!(at.len(), problem.vms.len(), "one host for each VM");
    let vms = || problem.vms.iter().zip(at);
    let mut loads: Vec<Sum> = problem.hosts.iter().flat_map(|host| host.base.iter().map(|it| Sum::from(*it))).collect();
    let mut awake: Vec<bool> = problem.hosts.iter().map(|host| host.busy).collect();
    for (vm, host) in vms() {
        awake[*host as usize] = true;
        for (r, load) in loads[*host as usize * problem.resources..][..problem.resources].iter_mut().enumerate() {
            *load += Sum::from(vm.takes(r, *host));
        }
    }
    let pages = problem.sharing.as_ref().map_or(0, |sharing| {
        let counts = sharing.counts(at);
        for ((host, class), count) in &counts {
            for r in &sharing.resources {
                loads[*host as usize * problem.resources + r] -= sharing.credit(*host, *class, *count);
            }
        }
        counts.iter().map(|((host, class), count)| sharing.points(*host, *class, *count)).sum()
    });
    let load = |host: usize| &loads[host * problem.resources..(host + 1) * problem.resources];
    let hosts = 0..problem.hosts.len();
    let on_curve =
        |curve: &Curve| hosts.clone().map(|h| Sum::from(curve.points(h, load(h)[curve.resource]))).sum::<Sum>();
    let in_excess = |excess: &Excess| {
        let points = |h| Sum::from(excess.points(h, excess.load(load(h))));
        hosts.clone().map(points).sum::<Sum>()
    };
    let missing = |room: &WantedRoom| {
        let set = &problem.sets[room.allowed as usize];
        let fits = |h: &usize| u64::from(room.fits(&problem.hosts[*h].capacity, |r| load(*h)[r]));
        let have: u64 = hosts.clone().filter(|h| set.contains(HostIx(*h as u32))).map(|h| fits(&h)).sum();
        Sum::from(room.missing(have)) * Sum::from(room.points)
    };
    let in_tables = problem
        .tables
        .iter()
        .flat_map(|table| (0..at.len()).map(move |vm| Sum::from(table.points[table.place(vm, at[vm] as usize)])));
    Costs {
        relations: points(problem.relations.iter().map(|it| it.price() * Sum::from(it.surplus(at))).sum()),
        dependencies: points(
            problem.dependencies.iter().map(|it| Dependency::BROKEN * Sum::from(it.lacking(at))).sum(),
        ),
        excesses: points(problem.excesses.iter().map(in_excess).sum()),
        disruption: points(
            problem.disruption.as_ref().map_or(0, |it| Sum::from(it.each) * Sum::from(it.most(problem, at))),
        ),
        curves: points(problem.curves.iter().map(on_curve).sum()),
        awake: points(problem.awake.iter().zip(&awake).filter(|it| *it.1).map(|it| Sum::from(*it.0)).sum()),
        tables: points(in_tables.sum()),
        rooms: points(problem.rooms.iter().map(missing).sum()),
        pages: points(pages),
        moves: points(vms().filter(|(vm, at)| vm.at != **at).map(|(vm, _)| Sum::from(vm.move_cost)).sum()),
        stays: points(vms().filter(|(vm, at)| vm.at == **at).map(|(vm, _)| Sum::from(vm.stay_cost)).sum()),
    }
}

/// A sum as points.
pub(crate) fn points(sum: Sum) -> Points {
    sum.clamp(Sum::from(Points::MIN), Sum::from(Points::MAX)) as Points
}

impl Curve {
    /// The most that one curve costs on one host, so that sums over hosts remain exact.
    pub const MOST: Points = 1 << 48;

    /// What this load costs on this host.
    pub fn points(&self, host: usize, load: i128) -> Points {
        let (whole, floor) = (Sum::from(self.whole[host]), Sum::from(self.floor));
        let parts = load.saturating_mul(WHOLE);
        if whole == 0 || parts < (floor + 1) * whole {
            return 0;
        }
        let excess = (parts / whole - floor).min(MOST_EXCESS);
        let weight = Sum::from(self.weight);
        let all = match self.power {
            1 => weight * excess / WHOLE,
            2 => weight.saturating_mul(excess * excess) / (WHOLE * WHOLE),
            _ => weight.saturating_mul(excess * excess * (excess * excess)) / (WHOLE * WHOLE * WHOLE * WHOLE),
        };
        all.min(Sum::from(Self::MOST)) as Points
    }
}

impl Excess {
    /// The most that it costs on one host, so that sums over hosts remain exact.
    pub const MOST: Points = 1 << 56;

    /// What is looked at of a host's loads.
    pub(crate) fn load(&self, load: &[Sum]) -> Sum {
        self.parts.iter().map(|(resource, factor)| load[*resource].saturating_mul(Sum::from(*factor))).sum()
    }

    /// What this costs on this host.
    pub(crate) fn points(&self, host: usize, load: Sum) -> Points {
        let level = self.above[host];
        let above = load - Sum::from(level);
        if level == i64::MAX || above <= 0 {
            return 0;
        }
        above.saturating_mul(Sum::from(self.each)).min(Sum::from(Self::MOST)) as Points
    }
}

impl Disruption {
    /// How many VMs of the group of which most are moved are elsewhere than now.
    pub fn most(&self, problem: &Problem, at: &[u32]) -> u32 {
        let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
        for ((vm, host), group) in problem.vms.iter().zip(at).zip(&self.group) {
            *moved.entry(*group).or_default() += u32::from(vm.at != *host);
        }
        moved.into_values().max().unwrap_or(0)
    }
}

impl Dependency {
    /// What each domain that lacks what its VMs need costs, where that is so from the beginning.
    pub const BROKEN: Sum = Relation::BROKEN as Sum;

    /// In how many domains VMs lack what they need.
    pub fn lacking(&self, at: &[u32]) -> u64 {
        let of = |vms: &[u32]| vms.iter().map(|vm| self.domains[at[*vm as usize] as usize]).collect::<BTreeSet<u32>>();
        of(&self.vms).difference(&of(&self.of)).count() as u64
    }
}

impl crate::problem::Table {
    /// Where the points of this VM on this host stand.
    pub(crate) fn place(&self, vm: usize, host: usize) -> usize {
        (self.vm_class[vm] * self.host_classes + self.host_class[host]) as usize
    }
}

impl WantedRoom {
    /// How many fit on a host with this capacity and load; never more than are wanted.
    pub fn fits(&self, capacity: &[i64], load: impl Fn(usize) -> i128) -> u32 {
        let limited = (0..self.shape.len()).filter(|r| self.shape[*r] > 0 && capacity[*r] != i64::MAX);
        let fit = limited.map(|r| (Sum::from(capacity[r]) - load(r)).max(0) / Sum::from(self.shape[r])).min();
        let fit = fit.map_or(self.count, |fit| fit.min(Sum::from(self.count)) as u32);
        if self.parts.is_empty() {
            return fit;
        }
        // No two parts have a resource in common, so each is filled by itself.
        let in_parts = self.parts.iter().map(|part| u64::from(self.fits_in(*part, capacity, &load))).sum::<u64>();
        u64::from(fit).min(in_parts) as u32
    }

    /// How many fit in a part of a host by what is free there; never more than are wanted.
    pub(crate) fn fits_in(&self, (r, each): (usize, i64), capacity: &[i64], load: impl Fn(usize) -> Sum) -> u32 {
        if capacity[r] == i64::MAX {
            return self.count;
        }
        let fit = (Sum::from(capacity[r]) - load(r)).max(0) / Sum::from(each);
        fit.min(Sum::from(self.count)) as u32
    }

    /// How many are missing where so many fit.
    pub(crate) fn missing(&self, have: u64) -> u64 {
        u64::from(self.count).saturating_sub(have)
    }
}

impl Sharing {
    /// How many VMs of each class are on each host, by host and class; none that are 0.
    pub fn counts(&self, at: &[u32]) -> BTreeMap<(u32, u32), u32> {
        let mut counts = BTreeMap::new();
        for (host, class) in at.iter().zip(&self.of).flat_map(|(host, of)| of.iter().map(|class| (*host, *class))) {
            *counts.entry((host, class)).or_default() += 1;
        }
        counts
    }

    /// What so many VMs of a class take less on the host than each by itself.
    pub fn credit(&self, host: u32, class: u32, count: u32) -> i128 {
        let merged = count - self.copies(host, count);
        Sum::from(self.classes[class as usize].weight) * Sum::from(merged)
    }

    /// How many copies the host has of what so many VMs there have in common.
    pub fn copies(&self, host: u32, count: u32) -> u32 {
        if self.merges[host as usize] { count.min(1) } else { count }
    }

    /// What the copies cost.
    pub(crate) fn points(&self, host: u32, class: u32, count: u32) -> Sum {
        Sum::from(self.classes[class as usize].points) * Sum::from(self.copies(host, count))
    }

    /// What a VM takes of one of the resources that it shares with nobody, whoever is beside it.
    pub(crate) fn private(&self, problem: &Problem, vm: usize, resource: usize) -> Sum {
        let shared = self.of[vm].iter().map(|class| Sum::from(self.classes[*class as usize].weight)).sum::<Sum>();
        Sum::from(problem.vms[vm].size[resource]) - shared
    }
}

impl Relation {
    /// What a surplus costs.
    pub(crate) fn price(&self) -> Sum {
        Sum::from(self.points.unwrap_or(Self::BROKEN))
    }

    /// Surplus VMs or domains where each VM is on the host that `at` gives for it.
    pub fn surplus(&self, at: &[u32]) -> u64 {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for vm in &self.vms {
            *counts.entry(self.domains[at[*vm as usize] as usize]).or_default() += 1;
        }
        counts.remove(&Self::OUTSIDE);
        match self.kind {
            RelationKind::AtMost(most) => counts.values().map(|count| count.saturating_sub(u64::from(most))).sum(),
            RelationKind::Near => (counts.len() as u64).saturating_sub(1),
            RelationKind::AtLeast(least) => u64::from(least).saturating_sub(counts.len() as u64),
        }
    }
}
