//! Hosts that hold few VMs: packed anew where nothing less empties any.

mod common;

use common::*;
use ulm_place::dice::Dice;
use ulm_place::*;
use ulm_rules::HostSet;

/// What hosts have of both resources.
const WHOLE: i64 = 1000;
const HOSTS: usize = 20;

/// Hosts cut into three by both resources; their VMs stand by first fit in random order, and what a host costs is worth `moves` moves.
fn triplets(seed: u64, moves: Points) -> Problem {
    let mut dice = Dice(seed);
    let mut sizes = Vec::new();
    for _ in 0..HOSTS {
        let mut cut = || {
            let first = dice.between(200, 600);
            let second = dice.between(200, 800 - first);
            [first, second, WHOLE - first - second]
        };
        let (one, other) = (cut(), cut());
        sizes.extend((0..3).map(|i| vec![one[i], other[i]]));
    }
    dice.shuffle(&mut sizes);
    let mut problem = Problem { resources: 2, ..Problem::default() };
    let mut left: Vec<[i64; 2]> = Vec::new();
    for size in sizes {
        let at = left.iter().position(|left| (0..2).all(|r| size[r] <= left[r])).unwrap_or(left.len());
        if at == left.len() {
            left.push([WHOLE; 2]);
        }
        (0..2).for_each(|r| left[at][r] -= size[r]);
        problem.vms.push(PlaceVm { at: at as u32, size, move_cost: 10, ..PlaceVm::default() });
    }
    let host = PlaceHost { capacity: vec![WHOLE; 2], base: vec![0; 2], takes: true, busy: false };
    problem.hosts = vec![host; left.len()];
    problem.sets = vec![HostSet::all(left.len())];
    problem.awake = vec![10 * moves; left.len()];
    problem
}

fn awake(at: &[u32]) -> usize {
    at.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn hosts_that_hold_three_vms_are_filled_to_the_last_unit() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..10 {
        let problem = triplets(seed, 1000);
        let found = search(&problem, &PLENTY);
        before += awake(&home(&problem));
        let at = follow(&problem, &found, u32::MAX);
        assert_eq!(unsound(&problem, &at), None);
        after += awake(&at);
    }
    assert!(before >= 10 * (HOSTS + 2), "{before} hosts: first fit leaves something to do");
    assert!(after <= 10 * HOSTS + 2, "{after} hosts, {} are possible", 10 * HOSTS);
}

#[test]
fn what_is_not_worth_its_moves_is_not_packed_anew() {
    for seed in 0..10 {
        let problem = triplets(seed, 2);
        let found = search(&problem, &PLENTY);
        let moves: usize = found.packages.iter().map(|it| it.moves.len()).sum();
        let emptied = awake(&home(&problem)) - awake(&follow(&problem, &found, u32::MAX));
        assert!(moves <= 2 * emptied, "{moves} moves for {emptied} hosts, each worth two");
    }
}
