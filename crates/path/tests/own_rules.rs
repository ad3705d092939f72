//! Rules of a caller's own: whatever they are about, the search keeps them, and finds a way if there is one.

mod common;

use std::collections::{BTreeSet, VecDeque};

use common::*;
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, Nature, Rule, Scope, path_with};

/// VMs 0 and 1 may be on one host, but never on hosts whose numbers differ by one (a move counts on both ends).
struct NotNextDoor;

impl Rule for NotNextDoor {
    fn nature(&self) -> Nature {
        Nature { scope: Scope::Placement, monotone: true, symmetric: true }
    }
    fn key(&self, vm: u32) -> u64 {
        if vm < 2 { 1 } else { 0 }
    }
    fn admits(&self, at: &[u32], vm: u32, to: u32) -> bool {
        vm > 1 || at[1 - vm as usize].abs_diff(to) != 1
    }
}

/// A host stays empty enough that the largest VM could be started on it, whatever moves: a hole for emergencies.
struct KeepsAHole {
    capacity: u64,
    hosts: u32,
    sizes: Vec<u64>,
}

impl Rule for KeepsAHole {
    fn nature(&self) -> Nature {
        Nature { scope: Scope::Placement, monotone: true, symmetric: true }
    }
    fn key(&self, _vm: u32) -> u64 {
        0
    }
    fn admits(&self, at: &[u32], vm: u32, to: u32) -> bool {
        let largest = self.sizes.iter().max().copied().unwrap_or(0);
        let taken = |host: u32| {
            let there = at.iter().zip(&self.sizes).filter(|(at, _)| **at == host).map(|(_, size)| size).sum::<u64>();
            there + if to == host { self.sizes[vm as usize] } else { 0 }
        };
        (0..self.hosts).any(|host| taken(host) + largest <= self.capacity)
    }
}

/// One to four hosts of 20 with some VMs of up to 9, both ends sound for the rule.
fn question(seed: u64) -> Task {
    let mut dice = Dice::new(seed ^ 0x6f77_6e00);
    let hosts = 3 + dice.below(2);
    let vms = 3 + dice.below(4);
    let vms: Vec<_> =
        (0..vms).map(|_| (dice.between(1, 9), dice.below(hosts) as u32, dice.below(hosts) as u32)).collect();
    plain(&vec![20; hosts], &vms)
}

/// Whether both ends fit.
fn fits(task: &Task) -> bool {
    let back = Task {
        vms: task.vms.iter().map(|vm| TaskVm { from: vm.to, to: vm.from, ..vm.clone() }).collect(),
        ..task.clone()
    };
    b_is_sound(task) && b_is_sound(&back)
}

/// Whether B can be reached by sane moves, seen by trying all.
fn can_be_reached(task: &Task, rule: &dyn Rule) -> bool {
    let capacity = |host: u32| task.hosts[host as usize].capacity[0];
    let a: Vec<u32> = task.vms.iter().map(|vm| vm.from).collect();
    let b: Vec<u32> = task.vms.iter().map(|vm| vm.to).collect();
    let (mut seen, mut open) = (BTreeSet::from([a.clone()]), VecDeque::from([a]));
    while let Some(at) = open.pop_front() {
        if at == b {
            return true;
        }
        for vm in 0..at.len() as u32 {
            for to in (0..task.hosts.len() as u32).filter(|to| *to != at[vm as usize]) {
                let there: u64 =
                    at.iter().zip(&task.vms).filter(|(host, _)| **host == to).map(|(_, vm)| vm.size[0]).sum();
                if there + task.vms[vm as usize].size[0] <= capacity(to) && rule.admits(&at, vm, to) {
                    let mut next = at.clone();
                    next[vm as usize] = to;
                    if seen.insert(next.clone()) {
                        open.push_back(next);
                    }
                }
            }
        }
    }
    false
}

fn agrees(task: &Task, rule: &dyn Rule, seed: u64) -> bool {
    let answer = path_with(task, &[rule], &ByBytes, &Budget::default(), &Alone);
    let possible = can_be_reached(task, rule);
    match answer {
        Answer::Route(route) => {
            assert!(possible, "seed {seed}: a route, where there is none");
            let mut at: Vec<u32> = task.vms.iter().map(|vm| vm.from).collect();
            for (number, step) in route.steps.iter().enumerate() {
                let RouteAction::Move { vm, to, .. } = step.action else { panic!("nothing is switched") };
                assert!(rule.admits(&at, vm, to), "seed {seed}: step {number} breaks the rule");
                assert!(
                    number == 0 || step.after.contains(&(number as u32 - 1)),
                    "seed {seed}: steps keep their order"
                );
                at[vm as usize] = to;
            }
            assert_eq!(check_route(task, &route), Ok(()), "seed {seed}");
        }
        Answer::Impossible { .. } => assert!(!possible, "seed {seed}: {}", as_code(task)),
        Answer::Undecided { .. } => panic!("seed {seed}: undecided"),
    }
    possible
}

#[test]
fn neighbours_are_kept_apart_on_every_way() {
    let sound = |task: &Task| {
        let apart = |a: u32, b: u32| a.abs_diff(b) != 1;
        let [one, two] = [&task.vms[0], &task.vms[1]];
        fits(task) && apart(one.from, two.from) && apart(one.to, two.to)
    };
    let all: Vec<bool> =
        (0..900).filter(|s| sound(&question(*s))).map(|s| agrees(&question(s), &NotNextDoor, s)).collect();
    let possible = all.iter().filter(|possible| **possible).count();
    assert!(possible > 50 && all.len() - possible > 20, "{possible} of {} are possible", all.len());
}

#[test]
fn a_hole_is_kept_on_every_way() {
    let (mut possible, mut not) = (0, 0);
    for seed in 0..900 {
        let task = question(seed);
        let sizes: Vec<u64> = task.vms.iter().map(|vm| vm.size[0]).collect();
        let rule = KeepsAHole { capacity: 20, hosts: task.hosts.len() as u32, sizes };
        if fits(&task) {
            if agrees(&task, &rule, seed) { possible += 1 } else { not += 1 }
        }
    }
    assert!(possible > 50, "{possible} are possible, {not} are not");
}
