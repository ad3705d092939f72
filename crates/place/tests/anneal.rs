//! What annealing promises, on random questions.

mod common;

use std::cell::Cell;

use common::*;
use proptest::prelude::*;
use proptest::sample::select;
use ulm_model::HostIx;
use ulm_place::dice::Dice;
use ulm_place::*;
use ulm_rules::HostSet;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_answer_is_sound_and_costs_what_it_says(
        problem in select(MIXES.to_vec()).prop_flat_map(|mix| problem(mix, 6, 14, 1)),
        moves in prop_oneof![0..8u32, Just(u32::MAX)],
        evaluations in select(vec![0u64, 50, 20_000]),
        seed in any::<u64>(),
    ) {
        let effort = Effort { evaluations, moves };
        let found = anneal(&problem, &effort, seed, &|| false);
        prop_assert_eq!(unsound(&problem, &found.at), None);
        prop_assert_eq!(found.after, cost(&problem, &found.at).total());
        prop_assert_eq!(found.before, cost(&problem, &home(&problem)).total());
        prop_assert!(found.after <= found.before);
        let away = found.at.iter().zip(home(&problem)).filter(|(at, home)| **at != *home).count();
        prop_assert!(away <= moves as usize);
        prop_assert!(!found.stopped);
        prop_assert_eq!(&found, &anneal(&problem, &effort, seed, &|| false));
        follow(&problem, &found.in_packages(&problem), moves);
    }
}

#[test]
fn the_best_is_found_where_a_few_vms_are_everything() {
    let found = anneal(&uneven(), &Effort { evaluations: 10_000, moves: u32::MAX }, 1, &|| false);
    assert_eq!((found.before, found.after), (10, 0));
}

/// `x` brings most, but has no room before `y` has gone, which brings next to nothing.
#[test]
fn a_chain_that_brings_most_for_each_move_comes_first() {
    let host = PlaceHost { capacity: vec![100], base: vec![0], takes: true, busy: false };
    let vm = |at, size, allowed, stay_cost| PlaceVm {
        at,
        size: vec![size],
        allowed,
        move_cost: 10,
        stay_cost,
        ..PlaceVm::default()
    };
    let only = |host| HostSet::of(4, |it| it == HostIx(host));
    let [x, y, z] = [vm(0, 60, 0, 110), vm(1, 60, 1, 11), vm(3, 10, 1, 40)];
    let problem = Problem {
        resources: 1,
        hosts: vec![host; 4],
        vms: vec![x, y, z],
        sets: vec![only(1), only(2)],
        ..Problem::default()
    };
    let found = anneal(&problem, &Effort { evaluations: 10_000, moves: u32::MAX }, 1, &|| false).in_packages(&problem);
    let packages: Vec<(usize, Points)> = found.packages.iter().map(|it| (it.moves.len(), it.gain)).collect();
    assert_eq!(packages, [(2, 101), (1, 30)]);
}

#[test]
fn whoever_says_stop_gets_the_best_so_far() {
    let mut problem = uneven();
    problem.vms[1].size = vec![5];
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 20
    };
    let found = anneal(&problem, &Effort { evaluations: u64::MAX, moves: u32::MAX }, 1, &stop);
    assert!(found.stopped && found.after <= found.before);
    assert_eq!(found.after, cost(&problem, &found.at).total());
    assert!(found.evaluations < 10_000_000);
}

/// Three hosts that are full, and a large VM on each that is wanted on the next host, and may be on these two only: all three go at once,
/// or none.
#[test]
fn a_ring_of_vms_changes_places_at_once() {
    let host = PlaceHost { capacity: vec![10], base: vec![0], takes: true, busy: false };
    let large = |at: u32| PlaceVm { at, size: vec![6], allowed: at, ..PlaceVm::default() };
    let small = |at: u32| PlaceVm { at, size: vec![4], allowed: 3, stays: true, ..PlaceVm::default() };
    let pair = |at: u32| HostSet::of(3, |host| host.0 == at || host.0 == (at + 1) % 3);
    let next_is_wanted = Table {
        vm_class: vec![0, 1, 2, 3, 3, 3],
        host_class: vec![0, 1, 2],
        points: vec![5, 0, 5, 5, 5, 0, 0, 5, 5, 0, 0, 0],
        host_classes: 3,
    };
    let problem = Problem {
        resources: 1,
        hosts: vec![host; 3],
        vms: (0..3).map(large).chain((0..3).map(small)).collect(),
        sets: (0..3).map(pair).chain([HostSet::all(3)]).collect(),
        tables: vec![next_is_wanted],
        ..Problem::default()
    };
    let found = anneal(&problem, &Effort { evaluations: 20_000, moves: u32::MAX }, 1, &|| false);
    assert_eq!((found.after, found.at), (0, vec![1, 2, 0, 0, 1, 2]));
}

/// Hosts whose load nearly fits until eight VMs are taken to other hosts.
fn displaced(seed: u64) -> Problem {
    let mut dice = Dice(seed);
    let (hosts, each) = (60u32, 10u32);
    let sizes: Vec<i64> = (0..hosts * each).map(|_| dice.between(1_000, 100_000)).collect();
    let mut at: Vec<u32> = (0..hosts * each).map(|vm| vm / each).collect();
    let mut load = vec![0; hosts as usize];
    at.iter().zip(&sizes).for_each(|(host, size)| load[*host as usize] += size);
    for _ in 0..8 {
        at[dice.place((hosts * each) as usize)] = dice.place(hosts as usize) as u32;
    }
    let vm = |(at, size): (&u32, &i64)| PlaceVm {
        at: *at,
        size: vec![*size],
        allowed: 0,
        move_cost: 1,
        ..PlaceVm::default()
    };
    let host = |_: u32| PlaceHost { capacity: vec![i64::MAX], base: vec![0], takes: true, busy: false };
    Problem {
        resources: 1,
        hosts: (0..hosts).map(host).collect(),
        vms: at.iter().zip(&sizes).map(vm).collect(),
        sets: vec![HostSet::all(hosts as usize)],
        excesses: vec![Excess { parts: vec![(0, 1)], above: load.iter().map(|it| it + 200).collect(), each: 10 }],
        ..Problem::default()
    }
}

/// Cooled over all hosts alone, it ends at 78,000 to 264,000.
#[test]
fn what_a_few_hosts_can_do_together_is_found() {
    for seed in 0..5 {
        let found = anneal(&displaced(seed), &Effort { evaluations: 2_000_000, moves: u32::MAX }, 1, &|| false);
        assert!(found.after < 5_000, "{seed}: {}", found.after);
    }
}
