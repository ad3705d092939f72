//! What any placement costs at least: a bound for each term by itself.
//!
//! Load is spread ideally: as if VMs were fluid and went where a little more costs least. For any price of a unit of
//! load, what load costs less its price, host by host at its best, plus the price of all of it, is a bound (Lagrange);
//! the best price is looked for by halving. VMs pay what is least for them alone. Hosts awake pay
//! [`super::HostBound::points`]. Of shared pages there is one copy at least, and VMs that may leave their host add to its load what
//! they share with nobody.

use std::collections::BTreeMap;

use ulm_model::HostIx;

use super::part::fixed;
use super::{HostBound, by_size};
use crate::cost::{Sum, points};
use crate::problem::{Curve, Points, Problem, Relation, RelationKind};

/// The whole, in the units of [`Curve::floor`].
const WHOLE: f64 = 10_000.0;
/// Halvings: more than a number has digits.
const ROUNDS: usize = 64;
/// By which part of what is added up a sum of floating-point numbers is wrong at most, with much to spare.
const ERROR: f64 = 1e-9;

/// What any sound placement costs at least, as [`crate::cost()`] reckons it; `hosts` is what [`super::hosts`] says of the same problem.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn cost(problem: &Problem, hosts: &HostBound) -> Points {
    let problem = &*by_size(problem);
    let fixed = fixed(problem);
    let load = base(problem, &fixed);
    let curves: Sum = problem.curves.iter().map(|curve| of_curve(problem, &fixed, &load, curve)).sum();
    let relations: Sum = problem.relations.iter().map(|it| of_relation(problem, it)).sum();
    let own = own(problem, &fixed) + pages(problem, &fixed);
    points(Sum::from(hosts.points) + curves + relations + own + rooms(problem, &load))
}

/// Copies of shared pages: one of each class that VMs have, and those that hosts have of VMs that cannot leave.
fn pages(problem: &Problem, fixed: &[bool]) -> Sum {
    let Some(sharing) = &problem.sharing else { return 0 };
    let mut copies: Vec<Sum> = vec![0; sharing.classes.len()];
    for ((host, class), count) in fixed_counts(problem, fixed) {
        copies[class as usize] += Sum::from(sharing.copies(host, count));
    }
    sharing.of.iter().flatten().for_each(|class| copies[*class as usize] = copies[*class as usize].max(1));
    copies.iter().zip(&sharing.classes).map(|(copies, class)| copies * Sum::from(class.points)).sum()
}

/// How many VMs of each class cannot leave each host, by host and class.
fn fixed_counts(problem: &Problem, fixed: &[bool]) -> BTreeMap<(u32, u32), u32> {
    let mut counts = BTreeMap::new();
    let classes = problem.sharing.iter().flat_map(|sharing| &sharing.of);
    for (vm, (classes, _)) in problem.vms.iter().zip(classes.zip(fixed)).filter(|it| *it.1.1) {
        classes.iter().for_each(|class| *counts.entry((vm.at, *class)).or_default() += 1);
    }
    counts
}

/// Moves, stays and tables: for each VM the least of staying and going.
fn own(problem: &Problem, fixed: &[bool]) -> Sum {
    let table = |vm: usize, host: usize| {
        let of = |table: &crate::Table| Sum::from(table.points[table.place(vm, host)]);
        problem.tables.iter().map(of).sum::<Sum>()
    };
    let least = |vm: usize| {
        let row = |table: &crate::Table| {
            let classes = table.host_classes as usize;
            let row = &table.points[table.vm_class[vm] as usize * classes..][..classes];
            row.iter().min().map_or(0, |it| Sum::from(*it))
        };
        problem.tables.iter().map(row).sum::<Sum>()
    };
    let of = |(i, vm): (usize, &crate::PlaceVm)| {
        let stays = Sum::from(vm.stay_cost) + table(i, vm.at as usize);
        if fixed[i] { stays } else { stays.min(Sum::from(vm.move_cost) + least(i)) }
    };
    problem.vms.iter().enumerate().map(of).sum()
}

/// Surplus that no placement avoids, because the domains are too few.
fn of_relation(problem: &Problem, relation: &Relation) -> Sum {
    let RelationKind::AtMost(most) = relation.kind else { return 0 };
    if relation.domains.contains(&Relation::OUTSIDE) || problem.hosts.is_empty() {
        return 0;
    }
    let mut domains = relation.domains.clone();
    domains.sort_unstable();
    domains.dedup();
    let surplus = relation.vms.len() as Sum - domains.len() as Sum * Sum::from(most);
    surplus.max(0) * relation.price()
}

/// Room that is missing even where VMs that may leave their hosts are not counted.
fn rooms(problem: &Problem, load: &[Sum]) -> Sum {
    let of = |room: &crate::WantedRoom| {
        let hosts = problem.sets[room.allowed as usize].iter().map(|host: HostIx| host.at());
        let fits = |h: usize| u64::from(room.fits(&problem.hosts[h].capacity, |r| load[h * problem.resources + r]));
        Sum::from(room.missing(hosts.map(fits).sum())) * Sum::from(room.points)
    };
    problem.rooms.iter().map(of).sum()
}

/// What is taken on each host by what cannot leave it: host × resources + resource.
fn base(problem: &Problem, fixed: &[bool]) -> Vec<Sum> {
    let mut load: Vec<Sum> = problem.hosts.iter().flat_map(|host| host.base.iter().map(|it| Sum::from(*it))).collect();
    for (vm, _) in problem.vms.iter().zip(fixed).filter(|it| *it.1) {
        let place = vm.at as usize * problem.resources;
        vm.size.iter().zip(&mut load[place..]).for_each(|(size, load)| *load += Sum::from(*size));
    }
    for ((host, class), count) in fixed_counts(problem, fixed) {
        let Some(sharing) = &problem.sharing else { continue };
        for r in &sharing.resources {
            load[host as usize * problem.resources + r] -= sharing.credit(host, class, count);
        }
    }
    load
}

/// Hosts that a curve sees alike.
struct Kind {
    whole: f64,
    /// What cannot leave.
    low: f64,
    /// What is on it at most.
    high: f64,
    count: f64,
}

/// The ideal spread of one resource. In floating point, less what that can be wrong by.
fn of_curve(problem: &Problem, fixed: &[bool], load: &[Sum], curve: &Curve) -> Sum {
    let r = curve.resource;
    let mut home: Vec<Sum> = problem.hosts.iter().map(|host| Sum::from(host.base[r])).collect();
    // What VMs that may leave take at least, and at most.
    let (mut free, mut whole): (Sum, Sum) = (0, 0);
    let shared = problem.sharing.as_ref().filter(|sharing| sharing.resources.contains(&r));
    for (i, (vm, fixed)) in problem.vms.iter().zip(fixed).enumerate() {
        let size = Sum::from(vm.size[r]);
        home[vm.at as usize] += size;
        if !*fixed {
            free += shared.map_or(size, |sharing| sharing.private(problem, i, r));
            whole += size;
        }
    }
    let mut hosts: Vec<(i64, Sum, Sum)> = Vec::new();
    for (h, host) in problem.hosts.iter().enumerate() {
        let low = load[h * problem.resources + r];
        let capacity = if host.capacity[r] == i64::MAX { Sum::MAX } else { Sum::from(host.capacity[r]) };
        let high = if host.takes { capacity.max(home[h]) } else { home[h] };
        hosts.push((curve.whole[h], low, high.min(low + whole)));
    }
    hosts.sort_unstable();
    let kind = |alike: &[(i64, Sum, Sum)]| {
        let (whole, low, high) = alike[0];
        Kind { whole: whole as f64, low: low as f64, high: high as f64, count: alike.len() as f64 }
    };
    let kinds: Vec<Kind> = hosts.chunk_by(|a, b| a == b).map(kind).collect();
    // The bound is concave in the price: the load that hosts take at a price says on which side the best one is.
    let mut best: f64 = 0.0;
    let (mut cheap, mut dear) = (0.0, kinds.iter().map(|kind| kind.dearest(curve)).fold(0.0, f64::max));
    for _ in 0..ROUNDS {
        let price = (cheap + dear) / 2.0;
        let (mut value, mut size, mut load) = (price * free as f64, price * free as f64, 0.0);
        for kind in &kinds {
            let at = kind.best(curve, price);
            let (costs, paid) = (kind.cost(curve, at), price * (at - kind.low));
            value += kind.count * (costs - paid);
            size += kind.count * (costs + paid);
            load += kind.count * (at - kind.low);
        }
        best = best.max(value - size * ERROR);
        if load < free as f64 { cheap = price } else { dear = price }
    }
    if best.is_finite() { (best - ERROR).ceil().max(0.0) as Sum } else { 0 }
}

impl Kind {
    /// A convex function of the load that is nowhere above the curve, which is rounded down in the load and in the
    /// points; and its slope.
    fn seen(&self, curve: &Curve, load: f64) -> (f64, f64) {
        if self.whole == 0.0 || self.beyond(curve, self.high) >= Curve::MOST as f64 {
            return (0.0, 0.0);
        }
        let points = self.beyond(curve, load) - 1.0;
        if points <= 0.0 {
            return (0.0, 0.0);
        }
        let excess = self.excess(curve, load);
        (points, f64::from(curve.power) * (points + 1.0) / excess / self.whole)
    }

    /// By how much the load is above the floor, less what rounding takes away, as a part of the whole.
    fn excess(&self, curve: &Curve, load: f64) -> f64 {
        load / self.whole - f64::from(curve.floor + 1) / WHOLE
    }

    /// The points of this excess.
    fn beyond(&self, curve: &Curve, load: f64) -> f64 {
        let excess = self.excess(curve, load).max(0.0);
        let power = (1..curve.power).fold(excess, |power, _| power * excess);
        curve.weight as f64 * power
    }

    fn cost(&self, curve: &Curve, load: f64) -> f64 {
        self.seen(curve, load).0
    }

    /// The slope at the most that can be on it.
    fn dearest(&self, curve: &Curve) -> f64 {
        self.seen(curve, self.high).1
    }

    /// The load at which what it costs less its price is least.
    fn best(&self, curve: &Curve, price: f64) -> f64 {
        let (mut low, mut high) = (self.low, self.high);
        if self.seen(curve, high).1 <= price {
            return high;
        }
        for _ in 0..ROUNDS {
            let middle = (low + high) / 2.0;
            if self.seen(curve, middle).1 <= price { low = middle } else { high = middle }
        }
        low
    }
}
