//! Random questions, and an independent meaning of what is sound.
#![allow(dead_code)]

use proptest::prelude::*;
use proptest::sample::select;
use ulm_model::HostIx;
use ulm_place::*;
use ulm_rules::HostSet;

/// Which terms a question has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Curves on both resources.
    Spread,
    /// Hosts that cost something when awake, and a curve.
    Sleep,
    /// Hard and soft relations, and VMs that should leave.
    Rules,
    /// Room that is wanted, and tables.
    Rooms,
    /// Transient resources, excesses, dependencies, disruption.
    Machines,
    /// Shared pages, and hosts that cost something when awake.
    Sharing,
    /// Cells of hosts: VMs in one, or loosely in some; and room that is wanted in one.
    Cells,
    /// All of it.
    All,
}

pub const MIXES: [Mix; 8] =
    [Mix::Spread, Mix::Sleep, Mix::Rules, Mix::Rooms, Mix::Machines, Mix::Sharing, Mix::Cells, Mix::All];
pub const RESOURCES: usize = 2;

impl Mix {
    fn has(self, other: Mix) -> bool {
        self == other || self == Mix::All
    }
}

/// A question with at most so many hosts and VMs, and sizes in the given unit.
pub fn problem(mix: Mix, hosts: usize, vms: usize, unit: i64) -> impl Strategy<Value = Problem> {
    (2..=hosts, 1..=vms).prop_flat_map(move |(hosts, vms)| of(mix, hosts, vms, unit))
}

fn of(mix: Mix, hosts: usize, vms: usize, unit: i64) -> impl Strategy<Value = Problem> {
    let host =
        (8i64..16, 8i64..16, 0i64..3, prop::bool::weighted(0.9), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let host = host.prop_map(move |(a, b, base, takes, busy, limitless)| PlaceHost {
        capacity: vec![a * unit, if limitless { i64::MAX } else { b * unit }],
        base: vec![base * unit, base * unit],
        takes,
        busy,
    });
    let vm =
        (0..hosts as u32, 0i64..6, 1i64..6, 0u32..3, prop::bool::weighted(0.1), 0i64..30, prop::bool::weighted(0.2));
    let vm = vm.prop_map(move |(at, a, b, allowed, stays, move_cost, urgent)| PlaceVm {
        at,
        size: vec![a * unit, b * unit],
        allowed,
        stays,
        move_cost,
        stay_cost: if urgent && mix.has(Mix::Rules) { 500 } else { 0 },
        loosely: Vec::new(),
    });
    let sets =
        prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.8), hosts), 2).prop_map(move |sets| {
            let some = sets.into_iter().map(|set| HostSet::of(hosts, |host| set[host.at()]));
            std::iter::once(HostSet::all(hosts)).chain(some).collect::<Vec<_>>()
        });
    let relation = (
        prop::collection::vec(any::<bool>(), vms),
        prop::collection::vec(select(vec![0, 1, Relation::OUTSIDE, 1, 0, 1]), hosts),
        select(vec![
            RelationKind::AtMost(1),
            RelationKind::AtMost(2),
            RelationKind::Near,
            RelationKind::AtLeast(2),
            RelationKind::AtLeast(3),
        ]),
        select(vec![None, None, Some(40), Some(200)]),
    );
    let relation = relation.prop_map(|(of, domains, kind, points)| Relation {
        vms: (0..of.len() as u32).filter(|vm| of[*vm as usize]).collect(),
        domains,
        kind,
        points,
    });
    let relations = prop::collection::vec(relation, if mix.has(Mix::Rules) { 1..4 } else { 0..1 });
    let dependency = (prop::collection::vec(0u8..4, vms), prop::collection::vec(select(vec![0, 1]), hosts));
    let dependency = dependency.prop_map(|(part, domains)| {
        let of = |which: u8| (0..part.len() as u32).filter(|vm| part[*vm as usize] == which).collect::<Vec<u32>>();
        Dependency { vms: of(1), of: of(2), domains }
    });
    let dependencies = prop::collection::vec(dependency, if mix.has(Mix::Machines) { 0..3 } else { 0..1 });
    let excess =
        (prop::collection::vec((0..RESOURCES, -2i64..3), 1..3), prop::collection::vec(-5i64..12, hosts), 0i64..30);
    let excess = excess.prop_map(move |(mut parts, above, each)| {
        parts.sort();
        parts.dedup_by_key(|part| part.0);
        let above = above.into_iter().map(|it| if it == -5 { i64::MAX } else { it * unit }).collect();
        Excess { parts, above, each }
    });
    let excesses = prop::collection::vec(excess, if mix.has(Mix::Machines) { 1..3 } else { 0..1 });
    let transient = prop::collection::vec(any::<bool>(), if mix.has(Mix::Machines) { RESOURCES } else { 0 });
    let disruption = (prop::collection::vec(0u32..3, vms), 0i64..50, any::<bool>());
    let disruption = disruption
        .prop_map(move |(group, each, some)| (some && mix.has(Mix::Machines)).then_some(Disruption { group, each }));
    let curve = (prop::collection::vec(8i64..16, hosts), 0u32..7000, select(vec![1, 2, 4]), 10i64..1000);
    let curve = curve.prop_map(move |(whole, floor, power, weight)| Curve {
        resource: 0,
        whole: whole.into_iter().map(|it| it * unit).collect(),
        floor,
        power,
        weight,
    });
    let curves =
        prop::collection::vec(curve, if matches!(mix, Mix::Rooms | Mix::Machines | Mix::Cells) { 0..1 } else { 1..3 })
            .prop_map(|mut curves| {
                for (i, curve) in curves.iter_mut().enumerate() {
                    curve.resource = i % RESOURCES;
                }
                curves
            });
    let awake = prop::collection::vec(0i64..300, if mix.has(Mix::Sleep) || mix == Mix::Sharing { hosts } else { 0 });
    let table = (
        prop::collection::vec(0u32..2, vms),
        prop::collection::vec(0u32..2, hosts),
        prop::collection::vec(-30i64..60, 4),
    );
    let table =
        table.prop_map(|(vm_class, host_class, points)| Table { vm_class, host_class, points, host_classes: 2 });
    let tables = prop::collection::vec(table, if mix.has(Mix::Rooms) { 0..2 } else { 0..1 });
    let room = (1i64..9, 0i64..9, 0u32..3, 1u32..4, 50i64..200);
    let room = room.prop_map(move |(a, b, allowed, count, points)| WantedRoom {
        shape: vec![a * unit, b * unit],
        parts: Vec::new(),
        allowed,
        count,
        points,
    });
    let some_rooms = mix.has(Mix::Rooms) || mix == Mix::Cells;
    let rooms = prop::collection::vec(room, if some_rooms { 1..3 } else { 0..1 });
    let parts = (
        prop::collection::vec(host, hosts),
        prop::collection::vec(vm, vms),
        sets,
        relations,
        curves,
        awake,
        tables,
        rooms,
        (dependencies, excesses, transient, disruption, sharing(hosts, vms, unit), cells(hosts, vms)),
    );
    parts.prop_map(move |(hosts, vms, sets, relations, curves, awake, tables, rooms, machines)| {
        let (dependencies, excesses, transient, disruption, sharing, cells) = machines;
        let mut problem = Problem {
            resources: RESOURCES,
            hosts,
            vms,
            sets,
            relations,
            dependencies,
            transient,
            curves,
            excesses,
            disruption,
            awake,
            tables,
            rooms,
            ..Problem::default()
        };
        if mix.has(Mix::Sharing) {
            share(&mut problem, sharing);
        }
        if mix.has(Mix::Cells) {
            divide(&mut problem, &cells, unit);
        }
        assert_eq!(problem.flaw(), None);
        problem
    })
}

/// Classes of pages, and for each VM which it could have.
fn sharing(hosts: usize, vms: usize, unit: i64) -> impl Strategy<Value = Sharing> {
    let class = (0i64..3, 0i64..60).prop_map(move |(weight, points)| Pages { weight: weight * unit, points });
    let of = prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.6), 4), vms);
    let merges = prop::collection::vec(prop::bool::weighted(0.9), hosts);
    let parts = (select(vec![vec![0], vec![1], vec![0, 1]]), prop::collection::vec(class, 4), of, merges);
    parts.prop_map(|(resources, classes, of, merges)| {
        let of = of.iter().map(|has| (0..4).filter(|class| has[*class as usize]).collect()).collect();
        Sharing { resources, merges, classes, of }
    })
}

/// VMs share as long as that is no more than they take.
fn share(problem: &mut Problem, mut sharing: Sharing) {
    for (vm, of) in problem.vms.iter().zip(&mut sharing.of) {
        let mut left = sharing.resources.iter().map(|r| vm.size[*r]).min().unwrap_or(0);
        of.retain(|class| {
            let weight = sharing.classes[*class as usize].weight;
            let fits = weight <= left;
            left -= if fits { weight } else { 0 };
            fits
        });
    }
    for (r, transient) in problem.transient.iter_mut().enumerate() {
        *transient &= !sharing.resources.contains(&r);
    }
    problem.sharing = Some(sharing);
}

/// Cells that a host may have.
const CELLS: usize = 2;

/// How hosts are divided into cells.
#[derive(Clone, Debug)]
struct Cells {
    /// For each host what each of its cells has beside what VMs take there.
    free: Vec<[i64; CELLS]>,
    /// For each VM: in this one, by size; from [`CELLS`] on: loosely in all, or in none.
    of: Vec<usize>,
    /// Whether a room must be in one of them.
    wanted: [bool; 2],
}

fn cells(hosts: usize, vms: usize) -> impl Strategy<Value = Cells> {
    let free = prop::collection::vec((0i64..8, 0i64..8).prop_map(|(a, b)| [a, b]), hosts);
    let of = prop::collection::vec(0..CELLS + 2, vms);
    let wanted = (prop::bool::weighted(0.8), any::<bool>());
    (free, of, wanted).prop_map(|(free, of, wanted)| Cells { free, of, wanted: [wanted.0, wanted.1] })
}

/// Makes each cell a resource more.
fn divide(problem: &mut Problem, cells: &Cells, unit: i64) {
    problem.resources += CELLS;
    if !problem.transient.is_empty() {
        problem.transient.extend([false; CELLS]);
    }
    for (host, free) in problem.hosts.iter_mut().zip(&cells.free) {
        host.capacity.extend(free.map(|free| free * unit));
        host.base.extend([0; CELLS]);
    }
    for (vm, of) in problem.vms.iter_mut().zip(&cells.of) {
        let size = vm.size[0];
        for cell in 0..CELLS {
            let (r, takes) = (RESOURCES + cell, *of == cell || *of == CELLS);
            vm.size.push(if takes { size } else { 0 });
            if *of == cell {
                let capacity = &mut problem.hosts[vm.at as usize].capacity[r];
                *capacity = capacity.saturating_add(size);
            }
        }
        if *of == CELLS {
            vm.loosely = (RESOURCES..RESOURCES + CELLS).collect();
        }
    }
    for (room, wanted) in problem.rooms.iter_mut().zip(cells.wanted) {
        room.shape.extend([0; CELLS]);
        if wanted {
            room.parts = (RESOURCES..RESOURCES + CELLS).map(|r| (r, room.shape[0])).collect();
        }
    }
}

/// What VMs on the host that have not moved give as credit among each other.
fn credit(problem: &Problem, at: &[u32], host: usize, resource: usize) -> i128 {
    let Some(sharing) = problem.sharing.as_ref().filter(|it| it.resources.contains(&resource) && it.merges[host])
    else {
        return 0;
    };
    let stays = |vm: &usize| at[*vm] as usize == host && problem.vms[*vm].at as usize == host;
    let of = |class: usize| {
        let has = |vm: &usize| sharing.of[*vm].contains(&(class as u32));
        let count = (0..at.len()).filter(stays).filter(has).count();
        i128::from(sharing.classes[class].weight) * count.saturating_sub(1) as i128
    };
    (0..sharing.classes.len()).map(of).sum()
}

/// Why a placement is not sound, if it is not.
pub fn unsound(problem: &Problem, at: &[u32]) -> Option<String> {
    for (i, (vm, host)) in problem.vms.iter().zip(at).enumerate() {
        let allowed = problem.sets[vm.allowed as usize].contains(HostIx(*host)) && problem.hosts[*host as usize].takes;
        if *host != vm.at && (vm.stays || !allowed) {
            return Some(format!("VM {i} may not be on {host}"));
        }
    }
    for (h, host) in problem.hosts.iter().enumerate() {
        for r in 0..problem.resources {
            let on = || problem.vms.iter().zip(at).filter(|(_, at)| **at as usize == h).map(|(vm, _)| vm);
            let transient = problem.transient.get(r).copied().unwrap_or(false);
            let left = |(vm, at): &(&PlaceVm, &u32)| transient && vm.at as usize == h && **at as usize != h;
            let kept = problem.vms.iter().zip(at).filter(left).map(|(vm, _)| i128::from(vm.size[r])).sum::<i128>();
            // What is taken loosely counts only where a VM has come to, and only for others.
            let loosely = |vm: &PlaceVm| vm.loosely.contains(&r);
            let counts = |vm: &&PlaceVm| vm.at as usize != h || !loosely(vm);
            let load =
                i128::from(host.base[r]) + on().filter(counts).map(|vm| i128::from(vm.size[r])).sum::<i128>() + kept
                    - credit(problem, at, h, r);
            let over = host.capacity[r] != i64::MAX && load > i128::from(host.capacity[r]);
            if over && on().any(|vm| vm.at as usize != h && vm.size[r] > 0 && !loosely(vm)) {
                return Some(format!("host {h} took more of {r} than it has"));
            }
        }
    }
    let home: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    for (i, dependency) in problem.dependencies.iter().enumerate() {
        if dependency.lacking(at) > dependency.lacking(&home) {
            return Some(format!("dependency {i} is broken more"));
        }
    }
    for (i, relation) in problem.relations.iter().enumerate().filter(|it| it.1.points.is_none()) {
        if relation.surplus(at) > relation.surplus(&home) {
            return Some(format!("relation {i} is broken more"));
        }
        let RelationKind::AtMost(most) = relation.kind else { continue };
        for vm in &relation.vms {
            let domain = |at: &[u32], vm: &u32| relation.domains[at[*vm as usize] as usize];
            let here = domain(at, vm);
            let count = relation.vms.iter().filter(|other| domain(at, other) == here).count();
            if here != Relation::OUTSIDE && here != domain(&home, vm) && count > most as usize {
                return Some(format!("VM {vm} went where it breaks relation {i}"));
            }
        }
    }
    None
}

/// Where all VMs are now.
pub fn home(problem: &Problem) -> Vec<u32> {
    problem.vms.iter().map(|vm| vm.at).collect()
}

/// Where the packages lead; each step is checked.
pub fn follow(problem: &Problem, found: &Found, moves: u32) -> Vec<u32> {
    let mut at = home(problem);
    let mut moved = std::collections::BTreeSet::new();
    let mut now = cost(problem, &at).total();
    assert_eq!(found.before, now);
    for package in &found.packages {
        assert!(package.gain > 0 && !package.moves.is_empty(), "{package:?}");
        assert!(package.moves.is_sorted_by(|a, b| a.vm < b.vm), "{package:?}");
        for step in &package.moves {
            assert!(moved.insert(step.vm) && step.to != at[step.vm as usize], "{} moves once", step.vm);
            at[step.vm as usize] = step.to;
        }
        assert_eq!(unsound(problem, &at), None, "after {package:?} of {found:?}");
        let then = cost(problem, &at).total();
        assert_eq!(now - then, package.gain, "{package:?}");
        now = then;
    }
    assert_eq!(found.after, now);
    assert!(found.after <= found.before && moved.len() <= moves as usize);
    at
}

pub const PLENTY: Effort = Effort { evaluations: 10_000_000, moves: u32::MAX };

/// Two hosts and six VMs, and a level that only an even distribution keeps: no move and no exchange of two brings anything.
pub fn uneven() -> Problem {
    let host = PlaceHost { capacity: vec![60], base: vec![0], takes: true, busy: false };
    let vm = |at, size| PlaceVm { at, size: vec![size], ..PlaceVm::default() };
    Problem {
        resources: 1,
        hosts: vec![host; 2],
        vms: vec![vm(0, 8), vm(0, 6), vm(0, 9), vm(0, 7), vm(1, 13), vm(1, 13)],
        sets: vec![HostSet::all(2)],
        excesses: vec![Excess { parts: vec![(0, 1)], above: vec![28, 28], each: 5 }],
        ..Problem::default()
    }
}
