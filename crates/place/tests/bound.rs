//! Bounds against every placement of questions small enough to look at all of them, and where the answer is known.

mod common;

use std::collections::BTreeMap;

use common::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ulm_model::HostIx;
use ulm_place::bound::{self, Why};
use ulm_place::dice::Dice;
use ulm_place::*;
use ulm_rules::HostSet;

/// The least of everything over all sound placements.
#[derive(Debug)]
struct Least {
    hosts: u32,
    points: Points,
    cost: Points,
}

fn least(problem: &Problem) -> Least {
    let hosts = problem.hosts.len() as u32;
    let mut at = vec![0; problem.vms.len()];
    let mut least = Least { hosts: u32::MAX, points: Points::MAX, cost: Points::MAX };
    loop {
        if unsound(problem, &at).is_none() {
            let awake = (0..hosts).filter(|host| problem.hosts[*host as usize].busy || at.contains(host));
            let costs = cost(problem, &at);
            least.hosts = least.hosts.min(awake.count() as u32);
            least.points = least.points.min(costs.awake);
            least.cost = least.cost.min(costs.total());
        }
        let Some(next) = at.iter().position(|host| host + 1 < hosts) else { return least };
        at[next] += 1;
        at[..next].fill(0);
    }
}

/// How often a bound was as good as it can be.
#[derive(Default)]
struct Tally {
    questions: u32,
    hosts: u32,
    points: u32,
    cost: u32,
    because: BTreeMap<&'static str, u32>,
}

impl Tally {
    fn check(&mut self, problem: &Problem) {
        let (bound, least) = (bound::hosts(problem), least(problem));
        let cost = bound::cost(problem, &bound);
        assert!(bound.hosts <= least.hosts, "{bound:?} but {least:?}\n{problem:#?}");
        assert!(bound.points <= least.points, "{bound:?} but {least:?}\n{problem:#?}");
        assert!(cost <= least.cost, "cost {cost} but {least:?}\n{problem:#?}");
        self.questions += 1;
        self.hosts += u32::from(bound.hosts == least.hosts);
        self.points += u32::from(bound.points == least.points);
        self.cost += u32::from(cost == least.cost);
        let why = match bound.because {
            Why::Nothing => "nothing",
            Why::Stays => "stays",
            Why::Sum { .. } => "sum",
            Why::Large { .. } => "large",
            Why::Gaps => "gaps",
            Why::Apart { .. } => "apart",
        };
        *self.because.entry(why).or_default() += 1;
    }

    /// Prints, and fails where the bound on hosts is met less often than in so many of a hundred questions.
    fn tell(&self, name: &str, percent: u32) {
        let part = |count: u32| count * 100 / self.questions;
        let (hosts, points, cost) = (part(self.hosts), part(self.points), part(self.cost));
        println!("{name}: {} questions; met: hosts {hosts} %, points {points} %, cost {cost} %", self.questions);
        println!("    {:?}", self.because);
        assert!(hosts >= percent, "{name}: the bound on hosts is met in {hosts} % only");
    }
}

/// VMs on hosts with room enough for the start, and much that is out of the ordinary.
fn packing(dice: &mut Dice, hosts: usize, vms: usize) -> Problem {
    let resources = dice.between(1, 3) as usize;
    let whole = [6, 10, 15, 60][dice.below(4) as usize];
    let alike = dice.rarely(2);
    let shape: Vec<(i64, i64)> = (0..resources)
        .map(|_| {
            [(0, whole), (1, whole / 2), (whole / 4, whole / 2), (whole / 3, whole * 2 / 3)][dice.below(4) as usize]
        })
        .collect();
    let mut problem = Problem { resources, sets: vec![HostSet::all(hosts)], ..Problem::default() };
    for _ in 0..hosts {
        let capacity = |dice: &mut Dice| match dice.below(12) {
            0 if !alike => i64::MAX,
            1..6 if !alike => dice.between(whole / 2, 2 * whole),
            _ => whole,
        };
        let base = |dice: &mut Dice| if dice.rarely(8) { dice.between(0, whole) } else { 0 };
        problem.hosts.push(PlaceHost {
            capacity: (0..resources).map(|_| capacity(dice)).collect(),
            base: (0..resources).map(|_| base(dice)).collect(),
            takes: !dice.rarely(8),
            busy: dice.rarely(8),
        });
        problem.awake.push(if alike { 100 } else { dice.between(0, 50) });
    }
    if dice.rarely(3) {
        for _ in 0..2 {
            problem.sets.push(HostSet::of(hosts, |_: HostIx| !dice.rarely(3)));
        }
    }
    let sets = problem.sets.len() as i64;
    for _ in 0..vms {
        let size = shape.iter().map(|(low, high)| if dice.rarely(9) { 0 } else { dice.between(*low, *high) }).collect();
        problem.vms.push(PlaceVm {
            at: dice.below(hosts as i64) as u32,
            size,
            allowed: dice.below(sets) as u32,
            stays: dice.rarely(12),
            ..PlaceVm::default()
        });
    }
    if dice.rarely(3) {
        for _ in 0..dice.between(1, 2) {
            let domains = match dice.below(3) {
                0 => (0..hosts as u32).collect(),
                1 => (0..hosts as u32).map(|host| host / 2).collect(),
                _ => (0..hosts as u32).map(|host| if dice.rarely(4) { Relation::OUTSIDE } else { host }).collect(),
            };
            problem.relations.push(Relation {
                vms: (0..vms as u32).filter(|_| !dice.rarely(3)).collect(),
                domains,
                kind: RelationKind::AtMost(dice.between(0, 2) as u32),
                points: None,
            });
        }
    }
    assert_eq!(problem.flaw(), None);
    problem
}

#[test]
fn no_placement_of_a_packing_question_is_below_the_bound() {
    let (mut dice, mut tally) = (Dice(1), Tally::default());
    for i in 0..3000 {
        let (hosts, vms) = [(3, 5), (3, 6), (4, 5), (2, 7)][i % 4];
        tally.check(&packing(&mut dice, hosts, vms));
    }
    tally.tell("packing", 85);
    for why in ["stays", "sum", "large", "apart"] {
        assert!(tally.because.get(why).is_some_and(|count| *count > 25), "{why} decides too seldom to be tested");
    }
}

#[test]
fn no_placement_of_any_question_is_below_the_bound() {
    for mix in MIXES {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut tally = Tally::default();
        for (hosts, vms) in [(3, 6), (4, 5)] {
            let strategy = problem(mix, hosts, vms, 1);
            (0..200).for_each(|_| tally.check(&strategy.new_tree(&mut runner).unwrap().current()));
            let strategy = problem(mix, hosts, vms, 1 << 57);
            (0..50).for_each(|_| tally.check(&strategy.new_tree(&mut runner).unwrap().current()));
        }
        tally.tell(&format!("{mix:?}"), 70);
    }
}

/// So many equal hosts, VMs of these sizes one to a host.
fn alike(hosts: usize, capacity: &[i64], sizes: &[Vec<i64>]) -> Problem {
    let base = vec![0; capacity.len()];
    let host = PlaceHost { capacity: capacity.to_vec(), base, takes: true, busy: false };
    let vm = |(at, size): (usize, &Vec<i64>)| PlaceVm { at: at as u32, size: size.clone(), ..PlaceVm::default() };
    Problem {
        resources: capacity.len(),
        hosts: vec![host; hosts],
        vms: sizes.iter().enumerate().map(vm).collect(),
        sets: vec![HostSet::all(hosts)],
        awake: vec![7; hosts],
        ..Problem::default()
    }
}

fn said(problem: &Problem) -> (u32, Points, String) {
    let bound = bound::hosts(problem);
    (bound.hosts, bound.points, bound.because.text(|r| ["memory", "CPU"][r].to_owned()))
}

#[test]
fn what_vms_take_together_needs_hosts() {
    let problem = alike(20, &[100, 1000], &vec![vec![30, 10]; 17]);
    assert_eq!(said(&problem), (6, 42, "memory: what all VMs take together".to_owned()));
    let problem = alike(20, &[90, 1000], &vec![vec![30, 10]; 18]);
    assert_eq!(said(&problem).0, 6);
}

#[test]
fn vms_larger_than_half_a_host_need_one_each() {
    let problem = alike(20, &[100, 1000], &vec![vec![51, 10]; 14]);
    assert_eq!(said(&problem), (14, 98, "memory: large VMs leave gaps that none fills".to_owned()));
    // A third and a bit: two to a host.
    assert_eq!(said(&alike(20, &[100, 1000], &vec![vec![34, 10]; 15])).0, 8);
}

#[test]
fn resources_together_need_more_than_each_by_itself() {
    // Three small sizes go on a host by either resource; but each VM takes more than a third of both together.
    let sizes: Vec<Vec<i64>> = (0..20).map(|i| if i % 2 == 0 { vec![62, 50] } else { vec![50, 62] }).collect();
    let why = "memory and CPU: large VMs leave gaps that none fills".to_owned();
    assert_eq!(said(&alike(20, &[150, 150], &sizes)), (10, 70, why));
}

#[test]
fn vms_of_which_no_two_go_together_need_a_host_each() {
    // Any two of different kinds meet in one resource, and no resource, nor sum of resources, sees it for all.
    let kinds = [vec![60, 60, 0], vec![0, 60, 60], vec![60, 0, 60]];
    let sizes: Vec<Vec<i64>> = (0..12).map(|i| kinds[i % 3].clone()).collect();
    // Some room to spare: the bound is not met by how it is at the start.
    let mut problem = alike(20, &[100, 100, 100], &sizes);
    problem.vms.push(PlaceVm { at: 15, size: vec![1, 1, 1], ..PlaceVm::default() });
    assert_eq!(said(&problem), (12, 84, "gaps remain however hosts are filled".to_owned()));
}

#[test]
fn vms_that_must_be_apart_need_a_host_or_a_domain_each() {
    let mut problem = alike(20, &[1000, 1000], &vec![vec![1, 1]; 9]);
    problem.awake = (0..20).collect();
    let domains = |each: u32| (0..20).map(|host| host / each).collect();
    problem.relations =
        vec![Relation { vms: (0..9).collect(), domains: domains(1), kind: RelationKind::AtMost(2), points: None }];
    assert_eq!(said(&problem), (5, 1 + 2 + 3 + 4, "9 VMs that must be apart".to_owned()));
    // In pairs of hosts: each pair had two from the beginning.
    problem.relations[0].domains = domains(2);
    assert_eq!(said(&problem), (5, 2 + 4 + 6 + 8 / 2, "9 VMs that must be apart".to_owned()));
}

#[test]
fn the_cheapest_hosts_that_suffice_are_paid() {
    let mut problem = alike(4, &[100, 100], &[vec![60, 0], vec![60, 0], vec![30, 0], vec![10, 0]]);
    problem.awake = vec![50, 10, 30, 20];
    problem.hosts[0].busy = true;
    // 160 in all: the first host is awake anyway, and of the others the cheapest has room for what is left.
    assert_eq!(bound::hosts(&problem), bound::HostBound { hosts: 2, points: 60, because: Why::Sum { of: vec![0] } });
}

#[test]
fn hosts_that_nothing_connects_are_counted_by_themselves() {
    let mut problem = alike(8, &[100, 100], &vec![vec![55, 0]; 8]);
    problem.vms.iter_mut().for_each(|vm| vm.size[0] = 25);
    assert_eq!(bound::hosts(&problem).hosts, 2);
    // Six VMs may be on three hosts, two on the other five: two hosts and one.
    problem.sets = vec![HostSet::of(8, |host| host.0 < 3), HostSet::of(8, |host| host.0 >= 3)];
    for (i, vm) in problem.vms.iter_mut().enumerate() {
        (vm.at, vm.allowed) = if i < 6 { (i as u32 % 3, 0) } else { (i as u32, 1) };
    }
    assert_eq!(bound::hosts(&problem).hosts, 3);
}

#[test]
fn load_is_spread_ideally_at_best() {
    let mut problem = alike(4, &[1000, 1000], &[vec![900, 0], vec![0, 0], vec![0, 0], vec![0, 0]]);
    problem.awake.clear();
    problem.curves = vec![Curve { resource: 0, whole: vec![1000; 4], floor: 0, power: 2, weight: 1_000_000 }];
    // 225 on each at best, for .225² of a million; less what rounding may save.
    let ideal = 4 * 50_625;
    let bound = bound::cost(&problem, &bound::hosts(&problem));
    assert!((ideal - 4 * 50..=ideal).contains(&bound), "{bound}");
}
